/* SPDX-License-Identifier: MIT */
/*
 * What host and guest agree on: the modes a guest starts in, where things lie in guest-physical memory, and the report
 * page through which a guest's checks and messages reach the host without using any exit.
 *
 * Every field has the same offset for 16-, 32- and 64-bit guests; addresses are guest-physical in 64 bits.
 */
#ifndef VMASSAY_ABI_H
#define VMASSAY_ABI_H

#include <stddef.h>
#include <stdint.h>

/* The state a vCPU starts in; bits, so that a case can name several. */
#define NO_GUEST	0x00	/* the case talks to the API only */
#define REAL16		0x01	/* real mode, CS = DS = SS = 0 */
#define PROT32		0x02	/* protected mode, flat segments, no paging */
#define PAGE32		0x04	/* protected mode, 2-level paging, CR4.PSE */
#define PAE32		0x08	/* protected mode, PAE paging, EFER.NXE */
#define LONG64		0x10	/* 64-bit mode, 4-level paging, EFER.NXE */
#define LA57		0x20	/* 64-bit mode, 5-level paging */
#define PROTECTED	(PROT32 | PAGE32 | PAE32)
#define EVERY_MODE	(REAL16 | PROTECTED | LONG64)
#define NR_MODES	6

/*
 * Guest-physical memory. All of [0, 4 GiB) is mapped one to one, present, writable, user, accessed and dirty, in the
 * modes with paging.
 */
#define ABI_GPA		0x1000	/* one report page for each vCPU */
#define ABI_PAGE_BYTES	0x1000
#define ABI_MAX_VCPUS	4
#define GDT_GPA		0x5000	/* ABI_SEL_* */
#define TSS_GPA		0x5400	/* one for each vCPU, TSS_BYTES apart */
#define TSS_BYTES	0x100
#define TABLES_GPA	0x6000	/* page tables, up to 7 pages, the root first */
#define TABLES_END_GPA	0xd000
#define IMAGE16_GPA	0x8000	/* a real-mode guest has no page tables */
#define IMAGE_GPA	0x100000
#define SCRATCH16_GPA	0x20000	/* free RAM for the case's use, real mode: up to RAM16_BYTES */
#define SCRATCH_GPA	0x200000	/* free RAM for the case's use: up to RAM_BYTES */
#define RAM16_BYTES	0xa0000
#define RAM_BYTES	0x400000
#define MMIO16_GPA	0xd0000	/* no memory slot here, real mode */
#define MMIO_GPA	0x10000000	/* no memory slot here */

/* Selectors of the GDT at GDT_GPA; the same in all protected and long modes. */
#define SEL_CODE64	0x08
#define SEL_DATA	0x10
#define SEL_CODE32	0x18
#define SEL_CODE16	0x20
#define SEL_DATA16	0x28
#define SEL_USER_CODE32	0x33
#define SEL_USER_DATA	0x3b
#define SEL_USER_CODE64	0x43
#define SEL_SELF	0x48	/* + 8 * vCPU: base = its report page; GS */
#define SEL_TSS		0x68	/* + 16 * vCPU */
#define SEL_FREE	0xa8	/* first of 8 descriptors that are the case's own */
#define GDT_BYTES	0xe8

/* Ports that end a guest or a stage of it; recognised by the report page's state, not by the exit. */
#define DONE_PORT	0xf4
#define SYNC_PORT	0xf5
/* Where a vCPU of expect_all_done() that waits for another one gives up the CPU; nothing else comes of it. */
#define YIELD_PORT	0xf6

#define ABI_MAGIC	0x7661

enum abi_state {
	ABI_STATE_RESET,	/* the guest has not reached its entry */
	ABI_STATE_RUNNING,
	ABI_STATE_SYNC,		/* waits at SYNC_PORT, in .stage */
	ABI_STATE_DONE,
	ABI_STATE_DIED,		/* an exception nobody expected, in .fault */
};

/* An exception as the guest's handler saw it. */
struct fault {
	int32_t vector;		/* NO_VECTOR: none was taken */
	uint32_t error_code;	/* 0 where the exception has none, and in real mode */
	uint64_t rip;
	uint64_t cr2;		/* #PF only */
};

#define NO_VECTOR	(-1)

enum abi_record_kind {
	ABI_RECORD_CHECK,
	ABI_RECORD_FAULT,	/* want and got: the vector in the upper half, the error code in the lower */
	ABI_RECORD_MESSAGE,	/* got: the value said */
};

struct abi_record {
	uint32_t kind;
	uint32_t line;
	uint64_t file;		/* address of a string in the guest's image */
	uint64_t text;		/* likewise */
	uint64_t want;
	uint64_t got;
};

#define ABI_MAX_RECORDS	48
#define ABI_NR_VALUES	32

/* What L1 met of the hardware that it is given, in .met: a kind and the exit's code, of which -1 is ABI_MET_CODE. */
#define ABI_MAX_MET	98
#define ABI_MET_CODE	0xfff
#define ABI_MET_SVM	0x1000	/* L2 exited so, as it had to */
#define ABI_MET_SVM_OFF	0x2000	/* L2 did not exit so, as it had not to */
#define ABI_MET_VMX	0x3000
#define ABI_MET_VMX_OFF	0x4000

struct abi_page {
	uint32_t self;		/* this page's guest-physical address; GS:0 */
	uint32_t magic;

	/* Written by the host before the first entry. */
	uint32_t mode;
	uint32_t vcpu;
	uint32_t nr_vcpus;
	uint32_t row;
	uint64_t seed;
	uint64_t args[16];
	uint32_t cr2_is_lost;	/* the target's CPU does not load CR2 when the guest is entered */
	uint32_t misses_windows;	/* the target's CPU overlooks an interrupt in an open window now and then */

	/* Written by the guest. */
	uint32_t state;		/* enum abi_state */
	uint32_t stage;
	uint64_t nr_checks;
	uint32_t nr_records;	/* made; those beyond ABI_MAX_RECORDS are counted but lost */
	uint32_t nr_unexpected;	/* exceptions and interrupts that nobody expected */
	struct fault fault;	/* the latest one, expected or not */
	uint64_t values[ABI_NR_VALUES];	/* GUEST_VALUE() */
	uint32_t nr_met;	/* those beyond ABI_MAX_MET are lost */
	uint16_t met[ABI_MAX_MET];
	struct abi_record records[ABI_MAX_RECORDS];
};

_Static_assert(sizeof(struct abi_page) <= ABI_PAGE_BYTES, "a report page is one page");
_Static_assert(offsetof(struct abi_page, records) % 8 == 0, "32-bit guests align 64 bits to 4 bytes only");

#endif
