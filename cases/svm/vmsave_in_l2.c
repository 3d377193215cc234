/* SPDX-License-Identifier: MIT */
/*
 * VMSAVE and VMLOAD of L2 that L1 does not intercept: with VMLOAD and VMSAVE virtualisation, which needs nested paging,
 * RAX is an address of L2 and goes through the nested tables. Without it, or where CPUID does not offer it, RAX is L1's
 * address, nested paging or not. The other page is not touched.
 *
 * Can break: KVM carries them out on L1's memory when it intercepts them and the CPU would have L2's; the bit given to the
 * CPU without nested paging, or with L1's intercept.
 * Source: APM vol. 2, 15.5.2, 15.33.1; vol. 3, VMLOAD, VMSAVE.
 */
#include "cases/mmu/feature_hide.h"
#include "cases/svm/npt.h"
#include "case.h"

#define SVM_LEAF 0x8000000a
#define EDX_VLS (1u << 15)

/* L2's page HERE is L1's page THERE, with nested paging. */
#define HERE (SCRATCH_GPA + 0x4000)
#define THERE (SCRATCH_GPA + 0x6000)
#define AT_HERE 0x11111000ull
#define AT_THERE 0x22222000ull
#define OF_L2 0x33333000ull

INSN(vs_save, "vmsave\n\tvmmcall")
INSN(vs_load, "vmload\n\tmov $0xc0000082, %ecx\n\trdmsr\n\tvmmcall")

struct row {
	ROW_FIELDS;
	const char *code, *end;
	uint16_t exit;
	bool is_virtual;	/* the bit */
	bool is_nested;
	bool is_hidden;		/* CPUID does not have it */
	bool is_there;		/* what must come out: L2's address */
	bool is_intercepted;
};

#define EACH(label_, ...)								\
	{ .label = #label_ "_save", .code = vs_save, .end = vs_save_end, .exit = SVM_EXIT_VMSAVE, __VA_ARGS__ },	\
	{ .label = #label_ "_load", .code = vs_load, .end = vs_load_end, .exit = SVM_EXIT_VMLOAD, __VA_ARGS__ }
#define NPT_NEEDS "cpuid:npt tdp"

static const struct row rows[] = {
	EACH(plain, .is_nested = false),
	EACH(nested, .is_nested = true, .needs = NPT_NEEDS),
	EACH(virtual, .is_nested = true, .is_virtual = true, .is_there = true, .needs = NPT_NEEDS " cpuid:v_vmsave_vmload"),
	EACH(virtual_intercepted, .is_nested = true, .is_virtual = true, .is_intercepted = true, .needs = NPT_NEEDS),
	EACH(hidden, .is_nested = true, .is_virtual = true, .is_hidden = true, .needs = NPT_NEEDS,
	     .known = { "2902-bare-keeps-hidden-features", "bare" }),
	EACH(hidden_flat, .is_virtual = true, .is_hidden = true),
};

CASE(vmsave_in_l2, .says = "VMSAVE and VMLOAD of L2 act on L1's memory, or on L2's when virtualised", .modes = LONG64,
     .needs = "vendor:amd nested", .rows = ROWS(rows))

static void page_make(ulong_t page, uint64_t lstar)
{
	struct vmcb *vmcb = (struct vmcb *)page;

	/* What VMLOAD loads beside LSTAR is as it is. */
	CHECK_NO_FAULT(vmsave_try(page));
	vmcb->save.lstar = lstar;
}

static uint64_t lstar_of(ulong_t page)
{
	return ((struct vmcb *)page)->save.lstar;
}

static void nested_make(void)
{
	npt_build();
	*npt_entry(HERE, 1, NPT_SCRATCH) += THERE - HERE;
	l1_vmcb.control.nested_ctl = NP_ENABLE;
	l1_vmcb.control.nested_cr3 = (ulong_t)npt_root;
}

static void check_intercepted(const struct row *row)
{
	CHECK_EXIT(.code = row->exit, .rip = (ulong_t)row->code);
	CHECK_EQ(AT_HERE, lstar_of(HERE));
	CHECK_EQ(AT_THERE, lstar_of(THERE));
	CHECK_EQ(OF_L2, rdmsr(MSR_LSTAR));
}

static void check_done(const struct row *row)
{
	bool is_save = row->exit == SVM_EXIT_VMSAVE;

	CHECK_L2_DONE(row->end - 3);
	CHECK_NO_EXIT(row->exit);
	CHECK_EQ(is_save && !row->is_there ? OF_L2 : AT_HERE, lstar_of(HERE));
	CHECK_EQ(is_save && row->is_there ? OF_L2 : AT_THERE, lstar_of(THERE));
	if (is_save)
		return;
	CHECK_EQ(row->is_there ? AT_THERE : AT_HERE, l1_vmcb.save.rax);
	/* VMRUN and #VMEXIT do not switch it. */
	CHECK_EQ(row->is_there ? AT_THERE : AT_HERE, rdmsr(MSR_LSTAR));
}

GUEST(vmsave_in_l2)
{
	const struct row *row = GUEST_ROW(rows);

	l1_svm_init();
	page_make(HERE, AT_HERE);
	page_make(THERE, AT_THERE);
	wrmsr(MSR_LSTAR, OF_L2);
	if (row->is_nested)
		nested_make();
	if (row->is_virtual)
		l1_vmcb.control.virt_ext = VMLOAD_VMSAVE_ENABLE;
	if (row->is_intercepted)
		vmcb_intercept(&l1_vmcb, row->exit);
	l1_vmcb.save.rax = HERE;
	l2_run(row->code);
	if (row->is_intercepted)
		check_intercepted(row);
	else
		check_done(row);
	CHECK_EQ(row->is_virtual ? VMLOAD_VMSAVE_ENABLE : 0, l1_vmcb.control.virt_ext);
}

HOST(vmsave_in_l2)
{
	if (ROW(t, rows)->is_hidden)
		feature_hide(t, SVM_LEAF, 3, EDX_VLS);
	expect_done(t);
}
