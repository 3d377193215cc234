/* SPDX-License-Identifier: MIT */
/*
 * With GIF clear no interrupt and no NMI reaches L1, whatever IF says; they wait, and come behind STGI. #VMEXIT clears
 * GIF, VMRUN sets it for L2.
 *
 * Can break: an injection that looks at IF only, the window for user space opened with GIF clear, an NMI lost, V_GIF of
 * L1 mixed up with L2's.
 * Source: APM vol. 2, 15.17.
 */
#include "guests/l1_svm.h"
#include "case.h"

#define VECTOR 0x71

enum what { INTERRUPT, NMI };
enum way { BY_CLGI, BY_VMEXIT };

struct row {
	ROW_FIELDS;
	enum what what;
	enum way way;
};

static const struct row rows[] = {
	{ .label = "interrupt_clgi", .what = INTERRUPT, .way = BY_CLGI },
	{ .label = "nmi_clgi", .what = NMI, .way = BY_CLGI },
	{ .label = "interrupt_vmexit", .what = INTERRUPT, .way = BY_VMEXIT },
	{ .label = "nmi_vmexit", .what = NMI, .way = BY_VMEXIT },
};

CASE(gif, .says = "interrupts and NMIs wait while GIF is clear", .modes = LONG64, .needs = "vendor:amd nested",
     .rows = ROWS(rows))

INSN(g_vmmcall, "vmmcall")

static unsigned int nr_taken;

static void on_event(struct guest_regs *regs)
{
	(void)regs;
	nr_taken++;
}

static void gif_clear(enum way way)
{
	if (way == BY_CLGI) {
		clgi();
		return;
	}
	l1_vmcb.save.rip = (ulong_t)g_vmmcall;
	__asm__ volatile("vmrun" : : "a"(&l1_vmcb) : "memory");
}

GUEST(gif)
{
	const struct row *row = GUEST_ROW(rows);

	guest_handle(VECTOR, on_event);
	guest_handle(NMI_VECTOR, on_event);
	l1_svm_init();
	gif_clear(row->way);
	sti();
	guest_sync(1);
	__asm__ volatile("nop\n\tnop" : : : "memory");
	CHECK_EQ(0, nr_taken);
	guest_sync(2);
	CHECK_EQ(0, nr_taken);
	stgi();
	__asm__ volatile("nop\n\tnop" : : : "memory");
	if (row->what == NMI)
		CHECK_EQ(1, nr_taken);
	guest_sync(3);
	__asm__ volatile("nop\n\tnop" : : : "memory");
	cli();
	CHECK_EQ(1, nr_taken);
}

HOST(gif)
{
	const struct row *row = ROW(t, rows);
	struct kvm_interrupt interrupt = { .irq = VECTOR };

	require_sync(t, 1);
	expect_eq(t, 0, t->vcpu->run->ready_for_interrupt_injection);
	if (row->what == NMI)
		vcpu_ioctl_value(t->vcpu, KVM_NMI, 0);
	require_sync(t, 2);
	expect_eq(t, 0, t->vcpu->run->ready_for_interrupt_injection);
	require_sync(t, 3);
	expect_eq(t, 1, t->vcpu->run->ready_for_interrupt_injection);
	if (row->what == INTERRUPT)
		vcpu_ioctl(t->vcpu, KVM_INTERRUPT, &interrupt);
	expect_done(t);
}
