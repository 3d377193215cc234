/* SPDX-License-Identifier: MIT */
/*
 * The MSR areas: entries are loaded in order for L2, stored and loaded when it exits; one that cannot be loaded makes
 * the entry fail with reason 34 and its number, and the ones before it stay loaded.
 *
 * Can break: the number counted from 0, an entry after the bad one loaded, the count ignored, a store of L1's value.
 * Source: SDM vol. 3C, 27.4, 27.8, 28.4, 28.6.
 */
#include "case.h"
#include "guests/l1_vmx.h"

struct msr_entry {
	uint32_t index, reserved;
	uint64_t value;
};

#define MAX_ENTRIES 4
#define MSR_UCODE_WRITE 0x79
#define MSR_UCODE_REV 0x8b
#define MSR_SMM_MONITOR_CTL 0x9b

/* MSRs that nobody uses here, with different values for L1 and L2. */
#define MARK MSR_KERNEL_GS_BASE
#define OTHER MSR_LSTAR
#define L1_MARK 0x1111000
#define L2_MARK 0x2222000
#define L1_OTHER 0x3333000
#define L2_OTHER 0x4444000

/* The first MSR in L2's RAX and RDX, the second in RBX and RSI. */
INSN(areas_code, "mov $0xc0000102, %ecx\n\trdmsr\n\tmov %rax, %rbx\n\tmov %rdx, %rsi\n\t"
     "mov $0xc0000082, %ecx\n\trdmsr\n\tret")

struct row {
	ROW_FIELDS;
	struct msr_entry entries[MAX_ENTRIES];
	unsigned int nr;
	unsigned int failing;	/* 1: the first; 0: none */
	uint64_t mark, other;	/* as L2, or L1 after a failure, finds them */
};

#define LOADS(label_, mark_, other_, ...)						\
	{ .label = label_, .entries = { __VA_ARGS__ }, .mark = mark_, .other = other_,	\
	  .nr = sizeof((struct msr_entry[]){ __VA_ARGS__ }) / sizeof(struct msr_entry) }
#define FAILS(label_, failing_, mark_, other_, ...)					\
	{ .label = label_, .entries = { __VA_ARGS__ }, .mark = mark_, .other = other_, .failing = failing_, \
	  .nr = sizeof((struct msr_entry[]){ __VA_ARGS__ }) / sizeof(struct msr_entry) }

static const struct row rows[] = {
	LOADS("one", L2_MARK, L1_OTHER, { MARK, 0, L2_MARK }),
	LOADS("two", L2_MARK, L2_OTHER, { MARK, 0, L2_MARK }, { OTHER, 0, L2_OTHER }),
	LOADS("in_order", L2_MARK, L1_OTHER, { MARK, 0, 0x7777000 }, { MARK, 0, L2_MARK }),
	FAILS("first_bad", 1, L1_MARK, L1_OTHER, { MSR_FS_BASE, 0, 0 }, { MARK, 0, L2_MARK }),
	FAILS("gs_base", 1, L1_MARK, L1_OTHER, { MSR_GS_BASE, 0, ABI_GPA }),
	FAILS("reserved", 2, L2_MARK, L1_OTHER, { MARK, 0, L2_MARK }, { OTHER, 1, L2_OTHER }),
	FAILS("third_bad", 3, L2_MARK, L2_OTHER, { MARK, 0, L2_MARK }, { OTHER, 0, L2_OTHER }, { MSR_FS_BASE, 0, 0 },
	      { MARK, 0, 0x7777000 }),
	FAILS("noncanonical", 2, L2_MARK, L1_OTHER, { MARK, 0, L2_MARK }, { OTHER, 0, 0x800000000000 }),
	FAILS("no_such_msr", 1, L1_MARK, L1_OTHER, { 0xc0001f00, 0, 0 }),
	FAILS("read_only_msr", 1, L1_MARK, L1_OTHER, { MSR_IA32_VMX_BASIC, 0, 0 }),
	FAILS("ucode_write", 1, L1_MARK, L1_OTHER, { MSR_UCODE_WRITE, 0, 0 }),
	FAILS("ucode_revision", 1, L1_MARK, L1_OTHER, { MSR_UCODE_REV, 0, 0 }),
	FAILS("smm_monitor", 1, L1_MARK, L1_OTHER, { MSR_SMM_MONITOR_CTL, 0, 0 }),
};

CASE(msr_areas, .says = "MSR areas are loaded and stored in order, and a bad entry is named", .modes = LONG64,
     .needs = "vendor:intel nested", .rows = ROWS(rows))

static void check_failed(const struct row *row, const struct vmx_exit *state)
{
	struct vmx_exit want = *state;

	want.reason = EXIT_REASON_MSR_LOAD_FAIL | VMX_EXIT_REASONS_FAILED_VMENTRY;
	want.qualification = row->failing;
	CHECK_EXIT(&want);
	CHECK_EQ(row->mark, rdmsr(MARK));
	CHECK_EQ(row->other, rdmsr(OTHER));
	/* Without the entries the same VMCS is fine, and still clear. */
	vmcs_write(ENTRY_MSR_LOAD_COUNT, 0);
	vmx_enter(false);
	CHECK_EQ(VMX_OK, vmx.exit.outcome);
	CHECK_L2_DONE();
}

static void check_loaded(const struct row *row, const struct msr_entry *stored)
{
	CHECK_EQ(VMX_OK, vmx.exit.outcome);
	CHECK_L2_DONE();
	CHECK_EQ(row->mark, vmx.gprs.rsi << 32 | vmx.gprs.rbx);
	CHECK_EQ(row->other, vmx.gprs.rdx << 32 | vmx.gprs.rax);
	/* Stored before L1's were loaded, which has happened too. */
	CHECK_EQ(row->mark, stored[0].value);
	CHECK_EQ(row->other, stored[1].value);
	CHECK_EQ(0x5a5a5a5a5a5a5a5a, stored[2].value);
	CHECK_EQ(L1_MARK, rdmsr(MARK));
	CHECK_EQ(L1_OTHER, rdmsr(OTHER));
}

GUEST(msr_areas)
{
	static struct msr_entry loaded[MAX_ENTRIES] __attribute__((aligned(16)));
	static struct msr_entry stored[3] __attribute__((aligned(16))) = {
		{ MARK, 0, 0x5a }, { OTHER, 0, 0x5a }, { MARK, 0, 0x5a5a5a5a5a5a5a5a },
	};
	static struct msr_entry back[2] __attribute__((aligned(16))) = { { MARK, 0, L1_MARK }, { OTHER, 0, L1_OTHER } };
	const struct row *row = GUEST_ROW(rows);
	struct vmx_exit state;
	unsigned int i;

	for (i = 0; i < MAX_ENTRIES; i++)
		loaded[i] = row->entries[i];
	wrmsr(MARK, L1_MARK);
	wrmsr(OTHER, L1_OTHER);
	vmx_start();
	vmcs_write(ENTRY_MSR_LOAD_ADDRESS, (ulong_t)loaded);
	vmcs_write(ENTRY_MSR_LOAD_COUNT, row->nr);
	if (!row->failing) {
		vmcs_write(EXIT_MSR_STORE_ADDRESS, (ulong_t)stored);
		vmcs_write(EXIT_MSR_STORE_COUNT, 2);
		vmcs_write(EXIT_MSR_LOAD_ADDRESS, (ulong_t)back);
		vmcs_write(EXIT_MSR_LOAD_COUNT, 2);
	}
	vmx_aim(areas_code);
	vmx_state_read(&state);
	vmx_run();
	if (row->failing)
		check_failed(row, &state);
	else
		check_loaded(row, stored);
}

HOST(msr_areas)
{
	expect_done(t);
}
