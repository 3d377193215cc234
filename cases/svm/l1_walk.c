/* SPDX-License-Identifier: MIT */
/*
 * After the #VMEXIT KVM walks L1's tables again when it executes an instruction for L1: a string OUT reads the page that
 * L1's tables have at its address, whatever mode L2 was in and wherever L2's tables have that address.
 *
 * Can break: the mode, the root or the pointers of L2 kept for L1, which the CPU itself does not use; the first
 * instruction only, before anything else makes KVM look again.
 * Source: APM vol. 2, 15.6 (the host's CR0, CR3, CR4 and EFER are reloaded).
 */
#include "cases/svm/rules.h"
#include "case.h"

#define PORT 0x90
#define HERE (SCRATCH_GPA + 0x4000)
#define THERE (SCRATCH_GPA + 0x6000)

struct row {
	ROW_FIELDS;
	enum svm_base base;
};

static const struct row rows[] = {
	{ .label = "long", .base = SVM_BASE_LONG }, { .label = "nested_paging", .base = SVM_BASE_NPT, .needs = "cpuid:npt tdp" },
	{ .label = "unpaged", .base = SVM_BASE_UNPAGED }, { .label = "pae", .base = SVM_BASE_PAE },
};

CASE(l1_walk, .says = "KVM walks L1's tables for L1 after an L2 of any mode", .modes = LONG64,
     .needs = "vendor:amd nested", .rows = ROWS(rows))

INSN(w_code, "vmmcall")

/* Nothing between the exit and OUTSB makes KVM set up its walks again. */
static void run_and_out(void)
{
	ulong_t at = HERE;

	__asm__ volatile("push %%rbx\n\tpush %%rbp\n\tvmrun\n\toutsb\n\tpop %%rbp\n\tpop %%rbx\n\tstgi"
			 : "+S"(at) : "a"(&l1_vmcb), "d"(PORT)
			 : "rcx", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory");
	CHECK_EQ(HERE + 1, at);
}

GUEST(l1_walk)
{
	uint64_t cr3 = read_cr3();

	write8(HERE, 0x11);
	write8(THERE, 0x5a);
	page_map(HERE, THERE, PTE_P | PTE_W | PTE_A | PTE_D);
	l1_svm_init();
	npt_build();
	rules_tables_make();
	rules_base_make(&l1_vmcb, GUEST_ROW(rows)->base);
	l1_vmcb.save.rip = (ulong_t)w_code;
	run_and_out();
	CHECK_L2_DONE(w_code);
	CHECK_EQ(cr3, read_cr3());
}

HOST(l1_walk)
{
	expect_pio_out(t, .port = PORT, .size = 1, .count = 1, .data = 0x5a);
	expect_done(t);
}
