/* SPDX-License-Identifier: MIT */
/*
 * INIT while L2 runs exits to L1 when L1 intercepts it, and waits there for GIF; when it does not, it resets the CPU
 * with L1 and L2, which begins at the reset vector and is no guest of anybody.
 *
 * Can break: an INIT that resets L1 over its head, one that is lost, guest mode left behind by the reset.
 * Source: APM vol. 2, 15.13.4, 15.17 (table of GIF's effect), 14.1.
 */
#include "cases/ioctl/lapic_regs.h"
#include "cases/svm/nested_state.h"
#include "guests/l1_svm.h"
#include "case.h"

INSN(i_code, "out %al, $0x80\n\ti_next: nop\n\tvmmcall")
extern const char i_next[] GUEST_API;

#define RESET_PAGE 0xfffff000
#define MSI_INIT 0x500

struct row {
	ROW_FIELDS;
	bool is_intercepted;
};

static const struct row rows[] = {
	{ .label = "exits", .is_intercepted = true }, { .label = "resets" },
};

CASE(init_in_l2, .says = "INIT in L2 exits, or resets the CPU", .modes = LONG64, .irqchip = true,
     .needs = "vendor:amd nested KVM_CAP_SIGNAL_MSI KVM_CAP_NESTED_STATE", .rows = ROWS(rows))

GUEST(init_in_l2)
{
	write32(APIC_SVR, SVR_ENABLE | 0xff);
	l1_svm_init();
	if (GUEST_ROW(rows)->is_intercepted)
		vmcb_intercept(&l1_vmcb, SVM_EXIT_INIT);
	else	/* The host sees that there is none. */
		guest_met(ABI_MET_SVM_OFF, SVM_EXIT_INIT);
	l1_vmcb.save.rip = (ulong_t)i_code;
	vmcb_run_gif_clear(&l1_vmcb);
	CHECK_EQ(SVM_EXIT_INIT, l1_vmcb.control.exit_code);
	CHECK_EQ(0, l1_vmcb.control.exit_int_info);
	CHECK_EQ((ulong_t)i_next, l1_vmcb.save.rip);
	/* GIF is clear: it waits. */
}

static uint16_t nested_flags(struct test *t)
{
	struct kvm_nested_state *state = nested_state_get(t);
	uint16_t flags = state->flags;

	free(state);
	return flags;
}

static void expect_reset(struct test *t)
{
	/* OUT AL, 0x81 at the reset vector. */
	static const uint8_t code[] = { 0xe6, 0x81 };
	struct kvm_sregs sregs;

	memcpy((uint8_t *)vm_slot_add(t->vm, 7, 0, RESET_PAGE, 0x1000) + 0xff0, code, sizeof(code));
	require_pio_out(t, .port = 0x81, .size = 1, .count = 1);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &sregs);
	expect_eq(t, 0, sregs.efer);
	expect_eq(t, 0xffff0000, sregs.cs.base);
	expect_eq(t, 0, sregs.cr0 & (X86_CR0_PE | X86_CR0_PG));
	expect_eq(t, KVM_STATE_NESTED_GIF_SET, nested_flags(t));
}

HOST(init_in_l2)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = MSI_INIT };

	require_pio_out(t, .port = 0x80, .size = 1, .count = 1);
	expect_result(t, 1, vm_ioctl_try(t->vm, KVM_SIGNAL_MSI, &msi));
	if (!ROW(t, rows)->is_intercepted) {
		expect_reset(t);
		return;
	}
	expect_done(t);
	expect_eq(t, 0, nested_flags(t));
}
