/* SPDX-License-Identifier: MIT */
/*
 * A KVM exit as a value: decoded from struct kvm_run, compared whole, printed by one printer.
 *
 * Every KVM_EXIT_* reason of the UAPI header has a row in one table that names its fields, so that the comparison and
 * both printed sides come from the same place. Fields that a reason does not use are zero.
 *
 * Source: KVM API, "The kvm_run structure".
 */
#ifndef VMASSAY_EXIT_H
#define VMASSAY_EXIT_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Newer than the UAPI header of the oldest distribution that builds this. */
#ifndef KVM_EXIT_LOONGARCH_IOCSR
#define KVM_EXIT_LOONGARCH_IOCSR 38
#endif
#ifndef KVM_EXIT_MEMORY_FAULT
#define KVM_EXIT_MEMORY_FAULT 39
#endif
#ifndef KVM_MEMORY_EXIT_FLAG_PRIVATE
#define KVM_MEMORY_EXIT_FLAG_PRIVATE (1ULL << 3)
#endif

/* What KVM can move in one KVM_EXIT_IO: its data page holds at most this. */
#define EXIT_IO_MAX_BYTES 4096

struct exit_io {
	uint8_t direction;	/* KVM_EXIT_IO_IN, KVM_EXIT_IO_OUT */
	uint16_t port;
	uint8_t size;		/* bytes: 1, 2, 4 */
	uint32_t count;
	uint64_t data;		/* OUT only: the first size * count bytes, at most 8, little endian */
	const uint8_t *bytes;	/* OUT of more than 8 bytes: all of them; borrowed from kvm_run until the next run */
	uint32_t nr_bytes;
};

struct exit_mmio {
	uint64_t phys_addr;
	uint32_t len;		/* bytes: 1 .. 8 */
	uint8_t is_write;
	uint64_t data;		/* writes only: len bytes, little endian */
};

struct exit_record {
	uint32_t reason;	/* KVM_EXIT_* */
	union {
		struct exit_io io;
		struct exit_mmio mmio;
		struct {
			uint64_t hardware_exit_reason;
		} unknown;
		struct {
			uint64_t hardware_entry_failure_reason;
			uint32_t cpu;
		} fail_entry;
		struct {
			uint32_t exception;
			uint32_t error_code;
		} ex;
		struct {
			uint64_t nr;
			uint64_t args[6];
			uint32_t longmode;
		} hypercall;
		struct {
			uint32_t exception;
			uint64_t pc;
			uint64_t dr6;	/* bits of breakpoints that dr7 does not enable are clear */
			uint64_t dr7;
		} debug;
		struct {
			uint64_t rip;
			uint32_t is_write;
		} tpr_access;
		struct {
			uint32_t suberror;
			uint32_t ndata;
			uint64_t data[16];
		} internal;
		struct {
			uint32_t type;
			uint32_t ndata;
			uint64_t data[16];
		} system_event;
		struct {
			uint8_t vector;
		} eoi;
		struct {
			uint32_t reason;
			uint32_t index;
			uint64_t data;	/* X86_WRMSR only */
		} msr;
		struct {
			uint32_t type;
			uint64_t words[10];	/* the members of the union that the type selects, in order */
		} hyperv, xen;
		struct {
			uint32_t flags;
		} notify;
		struct {
			uint64_t flags;
			uint64_t gpa;
			uint64_t size;	/* bytes */
		} memory_fault;
		uint64_t raw[7];	/* reasons that x86 does not make: the payload's first words */
	};
};

/* Decodes what KVM_RUN left in @run. @run is borrowed only by io.bytes. */
void exit_decode(struct exit_record *record, const struct kvm_run *run);

/* A constant length is one load; a variable one is a call. */
static inline uint64_t exit_load(const void *from, uint32_t len_bytes)
{
	uint64_t value = 0;

	switch (len_bytes) {
	case 1: __builtin_memcpy(&value, from, 1); break;
	case 2: __builtin_memcpy(&value, from, 2); break;
	case 4: __builtin_memcpy(&value, from, 4); break;
	case 8: __builtin_memcpy(&value, from, 8); break;
	default: __builtin_memcpy(&value, from, len_bytes < 8 ? len_bytes : 8); break;
	}
	return value;
}

/*
 * True when what KVM_RUN left in @run is just @want, without decoding it: for the loops where exits are counted. False
 * decides nothing (a long OUT is never decided here).
 */
static inline bool exit_is_io(const struct kvm_run *run, const struct exit_io *want)
{
	if (run->exit_reason != KVM_EXIT_IO || run->io.direction != want->direction || run->io.port != want->port ||
	    run->io.size != want->size || run->io.count != want->count || want->nr_bytes || want->bytes)
		return false;
	if (run->io.direction == KVM_EXIT_IO_IN)
		return !want->data;
	return run->io.count == 1 && run->io.size <= 8 &&
	       exit_load((const uint8_t *)run + run->io.data_offset, run->io.size) == want->data;
}

static inline bool exit_is_mmio(const struct kvm_run *run, const struct exit_mmio *want)
{
	if (run->exit_reason != KVM_EXIT_MMIO || run->mmio.phys_addr != want->phys_addr ||
	    run->mmio.len != want->len || run->mmio.is_write != want->is_write || want->len > 8)
		return false;
	return (want->is_write ? exit_load(run->mmio.data, want->len) : 0) == want->data;
}

/* "IO", "MMIO", ...; "77" for a reason that the UAPI header does not name (a static buffer per thread). */
const char *exit_reason_name(uint32_t reason);

/* One line without newline: "IO direction=out port=0x80 size=1 count=1 data=0x5a". Returns snprintf's length. */
int exit_format(char *buf, size_t len_bytes, const struct exit_record *record);

/*
 * True when both records agree in the reason and in every field of it. Otherwise false, and @fields (may be NULL)
 * names the fields that differ, comma separated: "port,data", or "reason" when that differs.
 */
bool exit_equal(const struct exit_record *want, const struct exit_record *got, char *fields, size_t len_bytes);

/*
 * The two lines of a failed comparison, of equal column layout: each field is padded so that the same field starts at
 * the same column in @want and @got.
 */
void exit_format_pair(char *want_buf, char *got_buf, size_t len_bytes, const struct exit_record *want,
		      const struct exit_record *got);

#endif
