/* SPDX-License-Identifier: MIT */
/*
 * The enlightened VMCS: a page in which a guest hypervisor on Hyper-V's interface keeps the fields of a VMCS, without
 * VMREAD and VMWRITE. The layout is of the Hyper-V Top-Level Functional Specification, HV_VMX_ENLIGHTENED_VMCS.
 */
#ifndef VMASSAY_CASES_VMX_EVMCS_H
#define VMASSAY_CASES_VMX_EVMCS_H

#include <stdint.h>

#include "vm/x86/vmx.h"

#define EVMCS_VERSION 1u
#define EVMCS_BYTES 0x400
#define EVMCS_CLEAN_FIELDS 0x338	/* a bit for each group that has not changed */
#define EVMCS_CLEAN_GUEST_BASIC (1u << 10)
#define EVMCS_CLEAN_GUEST_GRP2 (1u << 12)
#define EVMCS_CLEAN_ALL 0xffffu

/* The VP assist page: which enlightened VMCS is the current one. */
#define ASSIST_ENLIGHTEN_ENTRY 40
#define ASSIST_CURRENT_NESTED_VMCS 48

/* L2's state, and what else of the fields an exit changes: the hypervisor reads and writes them. */
#define EVMCS_STATE_FIELDS(FIELD)							\
	FIELD(GUEST_ES_SELECTOR, 0x080) FIELD(GUEST_CS_SELECTOR, 0x082) FIELD(GUEST_SS_SELECTOR, 0x084)	\
	FIELD(GUEST_DS_SELECTOR, 0x086) FIELD(GUEST_FS_SELECTOR, 0x088) FIELD(GUEST_GS_SELECTOR, 0x08a)	\
	FIELD(GUEST_LDTR_SELECTOR, 0x08c) FIELD(GUEST_TR_SELECTOR, 0x08e)		\
	FIELD(GUEST_ES_LIMIT, 0x090) FIELD(GUEST_CS_LIMIT, 0x094) FIELD(GUEST_SS_LIMIT, 0x098)	\
	FIELD(GUEST_DS_LIMIT, 0x09c) FIELD(GUEST_FS_LIMIT, 0x0a0) FIELD(GUEST_GS_LIMIT, 0x0a4)	\
	FIELD(GUEST_LDTR_LIMIT, 0x0a8) FIELD(GUEST_TR_LIMIT, 0x0ac) FIELD(GUEST_GDTR_LIMIT, 0x0b0)	\
	FIELD(GUEST_IDTR_LIMIT, 0x0b4) FIELD(GUEST_ES_AR, 0x0b8) FIELD(GUEST_CS_AR, 0x0bc)	\
	FIELD(GUEST_SS_AR, 0x0c0) FIELD(GUEST_DS_AR, 0x0c4) FIELD(GUEST_FS_AR, 0x0c8)	\
	FIELD(GUEST_GS_AR, 0x0cc) FIELD(GUEST_LDTR_AR, 0x0d0) FIELD(GUEST_TR_AR, 0x0d4)	\
	FIELD(GUEST_ES_BASE, 0x0d8) FIELD(GUEST_CS_BASE, 0x0e0) FIELD(GUEST_SS_BASE, 0x0e8)	\
	FIELD(GUEST_DS_BASE, 0x0f0) FIELD(GUEST_FS_BASE, 0x0f8) FIELD(GUEST_GS_BASE, 0x100)	\
	FIELD(GUEST_LDTR_BASE, 0x108) FIELD(GUEST_TR_BASE, 0x110) FIELD(GUEST_GDTR_BASE, 0x118)	\
	FIELD(GUEST_IDTR_BASE, 0x120) FIELD(GUEST_PAT, 0x1b0) FIELD(GUEST_EFER, 0x1b8)	\
	FIELD(GUEST_PDPTE0, 0x1c0) FIELD(GUEST_PDPTE1, 0x1c8) FIELD(GUEST_PDPTE2, 0x1d0)	\
	FIELD(GUEST_PDPTE3, 0x1d8) FIELD(GUEST_PENDING_DEBUG, 0x1e0) FIELD(GUEST_SYSENTER_ESP, 0x1e8)	\
	FIELD(GUEST_SYSENTER_EIP, 0x1f0) FIELD(GUEST_ACTIVITY, 0x1f8) FIELD(GUEST_SYSENTER_CS, 0x1fc)	\
	FIELD(GUEST_CR0, 0x220) FIELD(GUEST_CR3, 0x228) FIELD(GUEST_CR4, 0x230) FIELD(GUEST_DR7, 0x238)	\
	FIELD(GUEST_RSP, 0x300) FIELD(GUEST_RFLAGS, 0x308) FIELD(GUEST_INTERRUPTIBILITY, 0x310)	\
	FIELD(PROC_CONTROLS, 0x314) FIELD(ENTRY_CONTROLS, 0x31c) FIELD(ENTRY_INTR_INFO, 0x320)	\
	FIELD(ENTRY_ERROR_CODE, 0x324) FIELD(ENTRY_INSN_LENGTH, 0x328) FIELD(GUEST_RIP, 0x330)

/* The hypervisor only reads them. */
#define EVMCS_CONTROL_FIELDS(FIELD)							\
	FIELD(HOST_ES_SELECTOR, 0x008) FIELD(HOST_CS_SELECTOR, 0x00a) FIELD(HOST_SS_SELECTOR, 0x00c)	\
	FIELD(HOST_DS_SELECTOR, 0x00e) FIELD(HOST_FS_SELECTOR, 0x010) FIELD(HOST_GS_SELECTOR, 0x012)	\
	FIELD(HOST_TR_SELECTOR, 0x014) FIELD(HOST_PAT, 0x018) FIELD(HOST_EFER, 0x020)	\
	FIELD(HOST_CR0, 0x028) FIELD(HOST_CR3, 0x030) FIELD(HOST_CR4, 0x038)		\
	FIELD(HOST_SYSENTER_ESP, 0x040) FIELD(HOST_SYSENTER_EIP, 0x048) FIELD(HOST_RIP, 0x050)	\
	FIELD(HOST_SYSENTER_CS, 0x058) FIELD(PIN_CONTROLS, 0x05c) FIELD(EXIT_CONTROLS, 0x060)	\
	FIELD(PROC2_CONTROLS, 0x064) FIELD(IO_BITMAP_A, 0x068) FIELD(IO_BITMAP_B, 0x070)	\
	FIELD(MSR_BITMAP, 0x078) FIELD(TSC_OFFSET, 0x190) FIELD(VIRTUAL_APIC_ADDRESS, 0x198)	\
	FIELD(VMCS_LINK_POINTER, 0x1a0) FIELD(GUEST_DEBUGCTL, 0x1a8)			\
	FIELD(CR0_GUEST_HOST_MASK, 0x200) FIELD(CR4_GUEST_HOST_MASK, 0x208) FIELD(CR0_READ_SHADOW, 0x210)	\
	FIELD(CR4_READ_SHADOW, 0x218) FIELD(HOST_FS_BASE, 0x240) FIELD(HOST_GS_BASE, 0x248)	\
	FIELD(HOST_TR_BASE, 0x250) FIELD(HOST_GDTR_BASE, 0x258) FIELD(HOST_IDTR_BASE, 0x260)	\
	FIELD(HOST_RSP, 0x268) FIELD(EPT_POINTER, 0x270) FIELD(VPID, 0x278) FIELD(EXCEPTION_BITMAP, 0x318)	\
	FIELD(TPR_THRESHOLD, 0x32c)

/* The hypervisor only writes them. */
#define EVMCS_INFO_FIELDS(FIELD)							\
	FIELD(GUEST_PHYSICAL_ADDRESS, 0x2a8) FIELD(VM_INSTRUCTION_ERROR, 0x2b0) FIELD(EXIT_REASON, 0x2b4)	\
	FIELD(EXIT_INTR_INFO, 0x2b8) FIELD(EXIT_INTR_ERROR_CODE, 0x2bc) FIELD(IDT_VECTORING_INFO, 0x2c0)	\
	FIELD(IDT_VECTORING_ERROR_CODE, 0x2c4) FIELD(EXIT_INSN_LENGTH, 0x2c8) FIELD(EXIT_INSN_INFO, 0x2cc)	\
	FIELD(EXIT_QUALIFICATION, 0x2d0) FIELD(GUEST_LINEAR_ADDRESS, 0x2f8)

enum evmcs_class { EVMCS_STATE, EVMCS_CONTROL, EVMCS_INFO };

struct evmcs_field {
	uint16_t field, offset;
	enum evmcs_class class;
};

#define EVMCS_STATE_ROW(field_, offset_) { field_, offset_, EVMCS_STATE },
#define EVMCS_CONTROL_ROW(field_, offset_) { field_, offset_, EVMCS_CONTROL },
#define EVMCS_INFO_ROW(field_, offset_) { field_, offset_, EVMCS_INFO },
static const struct evmcs_field evmcs_fields[] = {
	EVMCS_STATE_FIELDS(EVMCS_STATE_ROW)
	EVMCS_CONTROL_FIELDS(EVMCS_CONTROL_ROW)
	EVMCS_INFO_FIELDS(EVMCS_INFO_ROW)
};
#define NR_EVMCS_FIELDS (sizeof(evmcs_fields) / sizeof(evmcs_fields[0]))

static inline unsigned int evmcs_field_bytes(const struct evmcs_field *field)
{
	static const unsigned int bytes[] = { [VMCS_16] = 2, [VMCS_64] = 8, [VMCS_32] = 4, [VMCS_NATURAL] = 8 };

	return bytes[VMCS_FIELD_WIDTH(field->field)];
}

/* Of the fields in @page, which is an enlightened VMCS or a part of memory that is laid out likewise at @offset. */
static inline uint64_t evmcs_value(const void *page, unsigned int offset, unsigned int len_bytes)
{
	const uint8_t *at = (const uint8_t *)page + offset;
	uint64_t value = 0;

	while (len_bytes--)
		value = value << 8 | at[len_bytes];
	return value;
}

static inline void evmcs_value_set(void *page, unsigned int offset, unsigned int len_bytes, uint64_t value)
{
	uint8_t *at = (uint8_t *)page + offset;

	for (; len_bytes--; value >>= 8)
		*at++ = value;
}

/* A number that no other field has. */
static inline uint64_t evmcs_own_value(const struct evmcs_field *field, unsigned int salt)
{
	uint64_t value = (field->offset + 1) * 0x0101010101010101ull ^ 0x5a5a000033330000ull ^ (uint64_t)salt * 0x9e3779b97f4a7c15ull;
	unsigned int bits = 8 * evmcs_field_bytes(field);

	return bits == 64 ? value : value & ((1ull << bits) - 1);
}

#endif
