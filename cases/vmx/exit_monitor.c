/* SPDX-License-Identifier: MIT */
/*
 * What L1 sees of each instruction and of its APIC page: the monitor trap flag exits behind the first instruction, an
 * access to the APIC-access page before it is made, with offset and direction; the page beside it is memory.
 *
 * Can break: the trap an instruction late or lost behind one that KVM handles, a page's neighbour taken for it, reads
 * and writes exchanged, the page lost when KVM has one of its own.
 * Source: SDM vol. 3C, 25.5.2 (monitor trap flag), 29.4 (virtualizing memory-mapped APIC accesses), 28.2.1, table 28-6.
 */
#include "cases/vmx/l2.h"

#define APIC_PAGE SCRATCH_GPA
#define LINEAR_READ (0u << 12)
#define LINEAR_WRITE (1u << 12)

L2(nop, "nop")
L2(load, "mov (%rsi), %ecx")
L2(store, "mov %ecx, (%rsi)")
L2(store_8, "mov %cl, (%rsi)")

static void use_apic_page(void)
{
	vmcs_write(APIC_ACCESS_ADDRESS, APIC_PAGE);
}

#define MTF_ON .edits = { VMCS_SET(PROC_CONTROLS, PROC_MONITOR_TRAP_FLAG) }
#define APIC(label_, name_, offset_, ...)						\
	{ L2_NAMED(label_, name_), .needs = "vmx:virtualize_apic_accesses",		\
	  .secondary = PROC2_VIRTUALIZE_APIC_ACCESSES, .prepare = use_apic_page,	\
	  .regs.rsi = APIC_PAGE + (offset_), .has_no_length = true, ##__VA_ARGS__ }
#define APIC_EXITS(label_, name_, offset_, how_)					\
	APIC(label_, name_, offset_, .exit.reason = EXIT_REASON_APIC_ACCESS, .exit.qualification = (how_) | (offset_))

static const struct l2_row rows[] = {
	{ L2_NAMED("mtf", nop), MTF_ON, .needs = "vmx:monitor_trap_flag", .is_trap = true, .is_final = true,
	  .has_no_length = true, .exit.reason = EXIT_REASON_MONITOR_TRAP_FLAG },
	{ L2_NAMED("no_mtf", nop), .needs = "vmx:monitor_trap_flag", .has_no_exit = true },
	APIC_EXITS("apic_load", load, 0x30, LINEAR_READ),
	APIC_EXITS("apic_load_last", load, 0xffc, LINEAR_READ),
	APIC_EXITS("apic_store", store, 0x80, LINEAR_WRITE),
	APIC_EXITS("apic_store_first", store_8, 0, LINEAR_WRITE),
	APIC("apic_below", load, -4ull, .has_no_exit = true),
	APIC("apic_above", store, 0x1000, .has_no_exit = true),
};

CASE(exit_monitor, .says = "the monitor trap flag and the APIC-access page exit to L1", .modes = LONG64,
     .needs = "vendor:intel nested", .rows = ROWS(rows))

GUEST(exit_monitor)
{
	l2_row_run(GUEST_ROW(rows));
}

HOST(exit_monitor)
{
	l2_row_host(t, ROW(t, rows));
}
