/* SPDX-License-Identifier: MIT */
/*
 * RDTSC and the MSR of the TSC give L2 what L1 has and the offset of the VMCB, of each VMRUN anew; L1 reads its own behind
 * the #VMEXIT.
 *
 * Can break: an offset that stays from the VMRUN before, or stays with L1; one of the ways of reading that has another.
 * Source: APM vol. 2, 15.5.1, appendix B (TSC_OFFSET).
 */
#include "guests/l1_svm.h"
#include "case.h"

#define SLACK (1ull << 40)

INSN(t_read, "rdtsc\n\tmov %eax, %esi\n\tmov %edx, %edi\n\tmov $0x10, %ecx\n\trdmsr\n\tmov %eax, %ebx\n\tmov %edx, %ebp\n\t"
     "vmmcall")

struct row {
	ROW_FIELDS;
	uint64_t offset;
};

static const struct row rows[] = {
	{ .label = "ahead", .offset = 1ull << 56 }, { .label = "behind", .offset = -(1ull << 50) },
	{ .label = "upper_half", .offset = 3ull << 62 },
};

CASE(tsc_offset, .says = "L2's TSC is L1's and the offset of its VMRUN", .modes = LONG64, .needs = "vendor:amd nested",
     .rows = ROWS(rows))

/* From @base on, and not by an offset more. */
#define CHECK_FROM(base_, got_) CHECK_EQ(1, (got_) - (base_) < SLACK)

static void try_offset(uint64_t offset)
{
	/* Finding 1302: for KVM, who reads the MSR, it may stand still. */
	uint64_t before = rdtsc(), msr_before = rdmsr(MSR_IA32_TSC);

	l1_vmcb.control.tsc_offset = offset;
	l2_run(t_read);
	CHECK_L2_DONE(t_read_end - 3);
	CHECK_FROM(before + offset, l2_regs.rdi << 32 | l2_regs.rsi);
	CHECK_FROM(msr_before + offset, l2_regs.rbp << 32 | l2_regs.rbx);
	CHECK_FROM(before, rdtsc());
	CHECK_FROM(msr_before, rdmsr(MSR_IA32_TSC));
	CHECK_EQ(offset, l1_vmcb.control.tsc_offset);
}

GUEST(tsc_offset)
{
	uint64_t offset = GUEST_ROW(rows)->offset;

	l1_svm_init();
	try_offset(0);
	try_offset(offset);
	try_offset(0);
	try_offset(offset + SLACK);
}

HOST(tsc_offset)
{
	expect_done(t);
}
