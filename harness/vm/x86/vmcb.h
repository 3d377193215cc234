/* SPDX-License-Identifier: MIT */
/*
 * The VMCB: what VMRUN takes and #VMEXIT leaves, byte for byte, and the bits of its fields. For guest code that is a
 * hypervisor itself, and for the host's side that looks at it. Exit codes are SVM_EXIT_* of asm/svm.h.
 *
 * Source: APM vol. 2, appendix B (layout), 15.5 to 15.21 (meaning).
 */
#ifndef VMASSAY_VMCB_H
#define VMASSAY_VMCB_H

#include <stddef.h>
#include <stdint.h>

#define VMCB_BYTES	0x1000
#define IOPM_BYTES	0x3000
#define MSRPM_BYTES	0x2000

/*
 * An intercept's bit in .intercept[] is the number of its exit code: word code / 32, bit code % 32. CRs and DRs have
 * reads at n and writes at 16 + n, exceptions stand at SVM_EXIT_EXCP_BASE + vector.
 */
#define NR_INTERCEPT_WORDS 6

/* .tlb_control */
#define TLB_KEEP		0
#define TLB_FLUSH_ALL		1
#define TLB_FLUSH_ASID		3
#define TLB_FLUSH_ASID_LOCAL	7

/* .int_ctl */
#define V_TPR_BITS		0x000000ffu
#define V_IRQ			0x00000100u
#define V_GIF			0x00000200u
#define V_PRIORITY(n_)		((uint32_t)(n_) << 16)
#define V_IGN_TPR		0x00100000u
#define V_INTR_MASKING		0x01000000u
#define V_GIF_ENABLE		0x02000000u

/* .int_state */
#define INT_STATE_SHADOW	1u
#define INT_STATE_GUEST_IF	2u

/* .event_inj, .exit_int_info */
#define EVENT_VECTOR		0x000000ffu
#define EVENT_TYPE(n_)		((uint32_t)(n_) << 8)
#define EVENT_INTR		EVENT_TYPE(0)
#define EVENT_NMI		EVENT_TYPE(2)
#define EVENT_EXCEPTION		EVENT_TYPE(3)
#define EVENT_SOFT		EVENT_TYPE(4)
#define EVENT_HAS_ERROR		0x00000800u
#define EVENT_VALID		0x80000000u

/* .nested_ctl, .virt_ext */
#define NP_ENABLE		1u
#define LBR_ENABLE		1u
#define VMLOAD_VMSAVE_ENABLE	2u

/* .exit_info_1 of IOIO: APM vol. 2, 15.10.2 */
#define IOIO_IN			0x0001u
#define IOIO_STRING		0x0004u
#define IOIO_REP		0x0008u
#define IOIO_SIZE(bytes_)	((uint32_t)(bytes_) << 4)
#define IOIO_ADDRESS(bytes_)	((uint32_t)(bytes_) << 6)	/* 2, 4, 8: A16, A32, A64 */
#define IOIO_SEGMENT(n_)	((uint32_t)(n_) << 10)		/* ES CS SS DS FS GS */
#define IOIO_PORT(port_)	((uint32_t)(port_) << 16)

/* .exit_info_1 of NPF beside the PFERR_* bits: APM vol. 2, 15.25.6 */
#define NPF_FINAL		(1ull << 32)
#define NPF_TABLE		(1ull << 33)

/* A segment's .attrib: the descriptor's bits 55:52 and 47:40. */
#define SEG_ATTRIB_TYPE		0x000fu
#define SEG_ATTRIB_S		0x0010u
#define SEG_ATTRIB_DPL(n_)	((uint16_t)((n_) << 5))
#define SEG_ATTRIB_P		0x0080u
#define SEG_ATTRIB_L		0x0200u
#define SEG_ATTRIB_DB		0x0400u
#define SEG_ATTRIB_G		0x0800u

struct vmcb_seg {
	uint16_t selector;
	uint16_t attrib;
	uint32_t limit;
	uint64_t base;
};

struct vmcb_control {
	uint32_t intercept[NR_INTERCEPT_WORDS];
	uint8_t reserved_018[0x24];
	uint16_t pause_filter_threshold;
	uint16_t pause_filter_count;
	uint64_t iopm_base_pa;
	uint64_t msrpm_base_pa;
	uint64_t tsc_offset;
	uint32_t asid;
	uint8_t tlb_control;
	uint8_t reserved_05d[3];
	uint32_t int_ctl;
	uint32_t int_vector;
	uint32_t int_state;
	uint32_t reserved_06c;
	uint64_t exit_code;
	uint64_t exit_info_1;
	uint64_t exit_info_2;
	uint32_t exit_int_info;
	uint32_t exit_int_info_error;
	uint64_t nested_ctl;
	uint64_t avic_apic_bar;
	uint64_t ghcb_pa;
	uint32_t event_inj;
	uint32_t event_inj_error;
	uint64_t nested_cr3;
	uint64_t virt_ext;
	uint32_t clean;
	uint32_t reserved_0c4;
	uint64_t next_rip;
	uint8_t nr_insn_bytes;
	uint8_t insn_bytes[15];
	uint64_t avic_backing_page;
	uint64_t reserved_0e8;
	uint64_t avic_logical_table;
	uint64_t avic_physical_table;
	uint64_t reserved_100;
	uint64_t vmsa_pa;
	uint8_t reserved_110[0x2d0];
	uint8_t software_3e0[0x20];	/* the hypervisor's own */
};

struct vmcb_save {
	struct vmcb_seg es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
	uint8_t reserved_0a0[0x2b];
	uint8_t cpl;
	uint8_t reserved_0cc[4];
	uint64_t efer;
	uint8_t reserved_0d8[0x70];
	uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip;
	uint8_t reserved_180[0x58];
	uint64_t rsp;
	uint8_t reserved_1e0[0x18];
	uint64_t rax, star, lstar, cstar, sfmask, kernel_gs_base, sysenter_cs, sysenter_esp, sysenter_eip, cr2;
	uint8_t reserved_248[0x20];
	uint64_t g_pat, dbgctl, br_from, br_to, last_excp_from, last_excp_to;
	uint8_t reserved_298[0x968];
};

struct vmcb {
	struct vmcb_control control;
	struct vmcb_save save;
};

#define VMCB_AT(part_, field_, offset_) \
	_Static_assert(offsetof(struct vmcb_##part_, field_) == (offset_), "APM vol. 2, appendix B: " #field_)
VMCB_AT(control, pause_filter_threshold, 0x3c);
VMCB_AT(control, asid, 0x58);
VMCB_AT(control, int_ctl, 0x60);
VMCB_AT(control, exit_code, 0x70);
VMCB_AT(control, nested_ctl, 0x90);
VMCB_AT(control, event_inj, 0xa8);
VMCB_AT(control, nested_cr3, 0xb0);
VMCB_AT(control, clean, 0xc0);
VMCB_AT(control, next_rip, 0xc8);
VMCB_AT(control, vmsa_pa, 0x108);
VMCB_AT(save, cpl, 0xcb);
VMCB_AT(save, efer, 0xd0);
VMCB_AT(save, cr4, 0x148);
VMCB_AT(save, rip, 0x178);
VMCB_AT(save, rsp, 0x1d8);
VMCB_AT(save, rax, 0x1f8);
VMCB_AT(save, cr2, 0x240);
VMCB_AT(save, g_pat, 0x268);
VMCB_AT(save, last_excp_to, 0x290);
_Static_assert(sizeof(struct vmcb_control) == 0x400, "APM vol. 2, table B-1");
_Static_assert(sizeof(struct vmcb) == VMCB_BYTES, "a VMCB is a page");

#endif
