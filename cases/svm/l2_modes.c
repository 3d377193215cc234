/* SPDX-License-Identifier: MIT */
/*
 * L2 runs in every mode that a CPU has: real, 16- and 32-bit protected without paging, with 2-level and PAE paging,
 * compatibility. It reads memory by its own segments and tables, exits, and its mode is in the save area unchanged; L1
 * is back in 64-bit mode each time.
 *
 * Can break: CR0, CR4 and EFER loaded in an order that passes a state nobody asked for, PAE pointers that are L1's, the
 * MMU's mode kept from L1, CS attributes, the upper half of RIP and RAX.
 * Source: APM vol. 2, 15.5.1; 5.2, 5.3.
 */
#include "cases/svm/l2_mode.h"
#include "case.h"

/* MOV EAX or AX, [offset]; CPUID; VMMCALL, as each width has it. */
INSN(o_16, ".byte 0xa1, 0x00, 0x01\n\tcpuid\n\tvmmcall")
INSN(o_32, ".byte 0xa1\n\t.long 0x200100\n\tcpuid\n\tvmmcall")

#define VALUE 0x13579bdf

struct row {
	ROW_FIELDS;
	struct l2_mode mode;
};

#define CR4_LOST \
	{ .finding = "1004-l2-cr4-left-in-l1", .targets = "lab-svm*", .kernels = "6.1..6.1", .needs = "param:kvm_amd.npt=0" }

static const struct row rows[] = {
	{ .label = "real", .mode = { .paging = OFF, .is_16 = true, .is_real = true },
	  .known = { "0501-bochs-real-mode-cs-type", "lab-svm-bochs", .next = &(const struct known)CR4_LOST } },
	{ .label = "prot16", .mode = { .paging = OFF, .is_16 = true }, .known = CR4_LOST },
	{ .label = "prot32", .mode = { .paging = OFF }, .known = CR4_LOST },
	{ .label = "page32", .mode = { .paging = TWO_LEVELS } },
	{ .label = "page32_absent", .mode = { .paging = TWO_LEVELS, .is_absent = true } },
	{ .label = "pae32", .mode = { .paging = PAE } },
	{ .label = "pae32_absent", .mode = { .paging = PAE, .is_absent = true } },
	{ .label = "pae16", .mode = { .paging = PAE, .is_16 = true } },
	{ .label = "compat32", .mode = { .paging = LONG } },
	{ .label = "compat16", .mode = { .paging = LONG, .is_16 = true } },
};

CASE(l2_modes, .says = "L2 runs in every mode, and L1 is back in its own", .modes = LONG64,
     .needs = "vendor:amd nested", .rows = ROWS(rows), .shadow_too = true)

GUEST(l2_modes)
{
	const struct row *row = GUEST_ROW(rows);
	ulong_t code = (ulong_t)(row->mode.is_16 ? o_16 : o_32), at = row->mode.is_16 ? 3 : 5;
	uint64_t cr0 = read_cr0(), cr3 = read_cr3(), cr4 = read_cr4();
	struct vmcb_save want;

	write32(0x200100, VALUE);
	l1_svm_init();
	vmcb_intercept(&l1_vmcb, SVM_EXIT_CPUID);
	vmcb_intercept(&l1_vmcb, SVM_EXIT_EXCP_BASE + PF_VECTOR);
	l2_mode_put(&row->mode, &l1_vmcb.save, code);
	want = l1_vmcb.save;
	vmcb_run(&l1_vmcb);
	if (row->mode.is_absent) {
		CHECK_EXIT(.code = SVM_EXIT_EXCP_BASE + PF_VECTOR, .info_2 = 0x200100, .rip = want.rip);
	} else {
		CHECK_EXIT(.code = SVM_EXIT_CPUID, .rip = want.rip + at);
		want.rip += at;
		want.rax = row->mode.is_16 ? VALUE & 0xffff : VALUE;
	}
	CHECK_SAVE_SAME(&want);
	CHECK_EQ(cr0, read_cr0());
	CHECK_EQ(cr3, read_cr3());
	CHECK_EQ(cr4, read_cr4());
	CHECK_EQ(EFER_LMA, rdmsr(MSR_EFER) & EFER_LMA);
	if (row->mode.is_absent)
		return;

	/* QEMU 7.2 marks a PAE pointer accessed, where that bit is reserved (cases/mmu/pae.h). */
	if (row->mode.paging == PAE)
		*(uint64_t *)want.cr3 &= ~PTE_A;
	/* On, behind CPUID, to the end. */
	l2_resume(2);
	CHECK_L2_DONE(want.rip + 2);
}

HOST(l2_modes)
{
	expect_done(t);
}
