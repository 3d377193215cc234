/* SPDX-License-Identifier: MIT */
/*
 * Under V_INTR_MASKING an interrupt of L1's that L1 intercepts ends L2 also in an interrupt shadow of L2's: at the
 * instruction that is in it, with the shadow in the VMCB, and L2 goes on with it. L2's own IF and shadow are for its
 * own interrupts.
 *
 * Can break: the exit put off until the shadow has ended, the shadow lost with the exit.
 * Source: APM vol. 2, 15.21.1, 15.21.5; KVM API, KVM_SET_VCPU_EVENTS (interrupt.shadow), KVM_SIGNAL_MSI.
 */
#include "cases/ioctl/lapic_regs.h"
#include "cases/svm/nested_state.h"
#include "guests/l1_svm.h"
#include "case.h"

#define VECTOR 0x55
#define WAIT_PORT 0x81

INSN(s_code, "out %al, $0x81\n\ts_next: nop\n\tvmmcall")
extern const char s_next[] GUEST_API;

struct row {
	ROW_FIELDS;
	uint8_t shadow;
};

static const struct row rows[] = {
	{ .label = "sti", .shadow = KVM_X86_SHADOW_INT_STI }, { .label = "mov_ss", .shadow = KVM_X86_SHADOW_INT_MOV_SS },
	{ .label = "none" },
};

CASE(shadow_exit, .says = "an intercepted interrupt ends L2 in its interrupt shadow", .modes = LONG64,
     .needs = "vendor:amd nested KVM_CAP_SIGNAL_MSI", .irqchip = true, .rows = ROWS(rows))

static unsigned int nr_taken;

static void on_interrupt(struct guest_regs *regs)
{
	(void)regs;
	nr_taken++;
	write32(APIC_EOI, 0);
}

GUEST(shadow_exit)
{
	guest_handle(VECTOR, on_interrupt);
	write32(APIC_SVR, SVR_ENABLE | 0xff);
	l1_svm_init();
	l2_warm();
	vmcb_intercept(&l1_vmcb, SVM_EXIT_INTR);
	l1_vmcb.control.int_ctl = V_INTR_MASKING;
	clgi();
	sti();
	l2_run(s_code);
	__asm__ volatile("nop\n\tnop" : : : "memory");
	cli();
	CHECK_EXIT(.code = SVM_EXIT_INTR, .rip = (ulong_t)s_next);
	CHECK_EQ(GUEST_ROW(rows)->shadow ? INT_STATE_SHADOW : 0, l1_vmcb.control.int_state & INT_STATE_SHADOW);
	CHECK_EQ(1, nr_taken);
	vmcb_run(&l1_vmcb);
	CHECK_L2_DONE(s_code_end - 3);
	CHECK_EQ(0, l1_vmcb.control.int_state & INT_STATE_SHADOW);
}

HOST(shadow_exit)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = VECTOR };
	struct kvm_vcpu_events events;

	require_pio_out(t, .port = WAIT_PORT, .size = 1, .count = 1, .data = 0);
	vcpu_settle(t);
	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &events);
	events.flags = KVM_VCPUEVENT_VALID_SHADOW;
	events.interrupt.shadow = ROW(t, rows)->shadow;
	vcpu_ioctl(t->vcpu, KVM_SET_VCPU_EVENTS, &events);
	expect_result(t, 1, vm_ioctl_try(t->vm, KVM_SIGNAL_MSI, &msi));
	expect_done(t);
}
