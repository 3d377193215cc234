/* SPDX-License-Identifier: MIT */
/*
 * Where there is no memory, there is no VMCB and no map: VMRUN with such an address in RAX is #GP(0), one with an MSR
 * permission map that cannot be read is not entered, and a #VMEXIT to a VMCB whose memory the VM has lost waits: L2 takes
 * a #GP for it, and exits once the memory is back.
 *
 * Can break: a pointer to nowhere followed; L2 run with a map that is all zero; guest mode left without the exit.
 * Source: APM vol. 2, 15.5.1; vol. 3, VMRUN (#GP(0) for a RAX that no VMCB can have); KVM's own where the manual ends.
 */
#include "cases/svm/nested_state.h"
#include "guests/l1_svm.h"
#include "case.h"

#define ELSEWHERE 0x20000000
#define L2_PORT 0x80
#define FAULT_PORT 0x81

INSN(l_code, "out %al, $0x80\n\tl_end: vmmcall")
extern const char l_end[] GUEST_API;

enum what { RAX, MSRPM, MSRPM_UNUSED, EXIT };

struct row {
	ROW_FIELDS;
	enum what what;
};

static const struct row rows[] = {
	{ .label = "vmrun_rax", .what = RAX }, { .label = "msrpm", .what = MSRPM },
	{ .label = "msrpm_unused", .what = MSRPM_UNUSED }, { .label = "exit", .what = EXIT },
};

CASE(vmcb_lost, .says = "no VMCB and no map where there is no memory", .modes = LONG64,
     .needs = "vendor:amd nested KVM_CAP_NESTED_STATE", .rows = ROWS(rows))

static unsigned int nr_taken;
static struct guest_regs taken;

static void on_gp(struct guest_regs *regs)
{
	taken = *regs;
	nr_taken++;
	out8(FAULT_PORT, regs->vector);
}

static void msrpm_run(bool is_used)
{
	struct vmcb_save before;

	l1_vmcb.control.msrpm_base_pa = MMIO_GPA;
	if (is_used)
		vmcb_intercept(&l1_vmcb, SVM_EXIT_MSR);
	l1_vmcb.save.rip = (ulong_t)l_end;
	before = l1_vmcb.save;
	vmcb_run(&l1_vmcb);
	if (is_used)
		CHECK_REFUSED(&before);
	else
		CHECK_L2_DONE(l_end);
}

static void exit_run(void)
{
	struct vmcb *vmcb = (struct vmcb *)ELSEWHERE;

	guest_handle(GP_VECTOR, on_gp);
	l2_warm();
	*vmcb = l1_vmcb;
	vmcb->save.rip = (ulong_t)l_code;
	vmcb_run(vmcb);
	CHECK_EXIT_OF(vmcb, .code = SVM_EXIT_VMMCALL, .rip = (ulong_t)l_end);
	CHECK_EQ(1, nr_taken);
	CHECK_EQ((ulong_t)l_end, taken.rip);
	CHECK_EQ(0, taken.error_code);
}

GUEST(vmcb_lost)
{
	enum what what = GUEST_ROW(rows)->what;

	l1_svm_init();
	if (what == RAX)
		CHECK_FAULT(GP_VECTOR, 0, vmrun_try(MMIO_GPA));
	else if (what == EXIT)
		exit_run();
	else
		msrpm_run(what == MSRPM);
}

static void lose_it(struct test *t, void *memory)
{
	struct kvm_nested_state *state;

	require_pio_out(t, .port = L2_PORT, .size = 1, .count = 1);
	require_result(t, 0, vm_region_try(t->vm, 5, 0, ELSEWHERE, 0, memory));
	require_pio_out(t, .port = FAULT_PORT, .size = 1, .count = 1, .data = GP_VECTOR);
	state = nested_state_get(t);
	expect_eq(t, KVM_STATE_NESTED_GUEST_MODE | KVM_STATE_NESTED_GIF_SET, state->flags);
	expect_eq(t, ELSEWHERE, state->hdr.svm.vmcb_pa);
	free(state);
	require_result(t, 0, vm_region_try(t->vm, 5, 0, ELSEWHERE, 0x1000, memory));
}

HOST(vmcb_lost)
{
	if (ROW(t, rows)->what == EXIT)
		lose_it(t, vm_slot_add(t->vm, 5, 0, ELSEWHERE, 0x1000));
	expect_done(t);
	expect_entry_refused(t, NULL);
}
