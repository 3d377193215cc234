/* SPDX-License-Identifier: MIT */
/*
 * A VMX abort: when an exit cannot store L2's MSRs or load L1's, the processor shuts down. What is next to it is stored
 * and loaded.
 *
 * Can break: an exit that goes on with half of its MSRs, a check that only the entry's area has, the last entry of the
 * area left out.
 * Source: SDM vol. 3C, 28.4, 28.6, 28.7.
 */
#include "cases/ioctl/lapic_regs.h"
#include "case.h"
#include "guests/l1_vmx.h"

struct msr_entry {
	uint32_t index, reserved;
	uint64_t value;
};

#define MAX_ENTRIES 3
#define MSR_SMBASE 0x9e
#define MSR_UCODE_WRITE 0x79
#define MSR_UCODE_REV 0x8b
#define MSR_SMM_MONITOR_CTL 0x9b
#define MARK MSR_KERNEL_GS_BASE
#define OTHER MSR_LSTAR
#define NONCANONICAL 0x800000000000

struct row {
	ROW_FIELDS;
	bool is_store;
	struct msr_entry entries[MAX_ENTRIES];
	unsigned int nr;
	uint64_t area;		/* where it is; 0: in the image */
	bool is_x2apic;
	bool is_done;		/* no abort */
};

#define AREA(...) .entries = { __VA_ARGS__ }, .nr = sizeof((struct msr_entry[]){ __VA_ARGS__ }) / sizeof(struct msr_entry)
#define LOAD(label_, ...) { .label = "load_" label_, AREA(__VA_ARGS__) }
#define STORE(label_, ...) { .label = "store_" label_, .is_store = true, AREA(__VA_ARGS__) }

static const struct row rows[] = {
	{ .label = "load", AREA({ MARK, 0, 0x1111000 }, { OTHER, 0, 0x3333000 }), .is_done = true },
	LOAD("fs_base", { MSR_FS_BASE, 0, 0 }), LOAD("gs_base", { MSR_GS_BASE, 0, ABI_GPA }),
	LOAD("reserved", { MARK, 1, 0x1111000 }), LOAD("reserved_high", { MARK, 1u << 31, 0x1111000 }),
	LOAD("third", { MARK, 0, 0x1111000 }, { OTHER, 0, 0x3333000 }, { MARK, 1, 0 }),
	LOAD("noncanonical", { MARK, 0, NONCANONICAL }), LOAD("no_such_msr", { 0xc0001f00, 0, 0 }),
	LOAD("read_only_msr", { MSR_IA32_VMX_BASIC, 0, 0 }), LOAD("ucode_write", { MSR_UCODE_WRITE, 0, 0 }),
	LOAD("ucode_revision", { MSR_UCODE_REV, 0, 0 }), LOAD("smm_monitor", { MSR_SMM_MONITOR_CTL, 0, 0 }),
	{ .label = "load_x2apic", .is_x2apic = true, AREA({ X2APIC(APIC_TPR), 0, 0 }) },
	{ .label = "load_no_memory", .area = MMIO_GPA, .nr = 1 },

	{ .label = "store", .is_store = true, AREA({ MARK, 0, 0 }, { OTHER, 0, 0 }), .is_done = true },
	STORE("reserved", { MARK, 1, 0 }), STORE("reserved_high", { MARK, 1u << 31, 0 }),
	STORE("third", { MARK, 0, 0 }, { OTHER, 0, 0 }, { MARK, 1, 0 }),
	STORE("no_such_msr", { 0xc0001f00, 0, 0 }), STORE("smbase", { MSR_SMBASE, 0, 0 }),
	STORE("ucode_write", { MSR_UCODE_WRITE, 0, 0 }), STORE("ucode_revision", { MSR_UCODE_REV, 0, 0 }),
	{ .label = "store_x2apic", .is_store = true, .is_x2apic = true, AREA({ X2APIC(APIC_TPR), 0, 0 }) },
	{ .label = "store_no_memory", .is_store = true, .area = MMIO_GPA, .nr = 1 },
};

CASE(abort, .says = "an exit that cannot store or load an MSR shuts the processor down", .modes = LONG64,
     .needs = "vendor:intel nested", .irqchip = true, .rows = ROWS(rows))

GUEST(abort)
{
	static struct msr_entry area[MAX_ENTRIES] __attribute__((aligned(16)));
	const struct row *row = GUEST_ROW(rows);
	unsigned int i;

	for (i = 0; i < MAX_ENTRIES; i++)
		area[i] = row->entries[i];
	wrmsr(MARK, 0x5555000);
	wrmsr(OTHER, 0x6666000);
	if (row->is_x2apic)
		wrmsr(MSR_IA32_APICBASE, rdmsr(MSR_IA32_APICBASE) | APIC_BASE_X2APIC);
	vmx_start();
	vmcs_write(row->is_store ? EXIT_MSR_STORE_ADDRESS : EXIT_MSR_LOAD_ADDRESS, row->area ? row->area : (ulong_t)area);
	vmcs_write(row->is_store ? EXIT_MSR_STORE_COUNT : EXIT_MSR_LOAD_COUNT, row->nr);
	CHECK(true);
	vmx_run();
	/* Behind an abort there is nothing. */
	CHECK(row->is_done);
	CHECK_L2_DONE();
	CHECK_EQ(row->is_store ? 0x5555000 : 0x1111000, row->is_store ? area[0].value : rdmsr(MARK));
	CHECK_EQ(row->is_store ? 0x6666000 : 0x3333000, row->is_store ? area[1].value : rdmsr(OTHER));
}

HOST(abort)
{
	if (ROW(t, rows)->is_done)
		expect_done(t);
	else
		expect_shutdown(t);
}
