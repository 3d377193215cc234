/* SPDX-License-Identifier: MIT */
/*
 * An NMI in an interrupt shadow waits for the one instruction that is in it, and is then taken with the flags that the
 * guest has: neither TF nor RF, and no #DB, that somebody steps over the instruction by.
 *
 * Can break: KVM steps over the shadow with TF set in the guest's own RFLAGS, and has to take it out again, from the flags
 * that the NMI pushes, too; a TF that is the guest's own taken out with it.
 * Source: KVM API, KVM_NMI, KVM_SET_VCPU_EVENTS (interrupt.shadow); APM vol. 2, 8.2.3, 15.21.5.
 */
#include "case.h"

#define WAIT_PORT 0x81

INSN(n_code, "out %al, $0x81\n\tn_first: lea 1(%rcx), %rcx\n\tn_second: lea 1(%rcx), %rcx\n\tret")
extern const char n_first[] GUEST_API, n_second[] GUEST_API;

struct row {
	ROW_FIELDS;
	uint8_t shadow;
};

static const struct row rows[] = {
	{ .label = "sti", .shadow = KVM_X86_SHADOW_INT_STI },
	{ .label = "mov_ss", .shadow = KVM_X86_SHADOW_INT_MOV_SS },
	{ .label = "none" },
};

CASE(nmi_in_shadow, .says = "an NMI behind an interrupt shadow finds the guest's own flags", .modes = LONG64,
     .needs = "vendor:amd", .rows = ROWS(rows))

static struct guest_regs taken;
static unsigned int nr_taken, nr_steps;

static void on_nmi(struct guest_regs *regs)
{
	taken = *regs;
	nr_taken++;
}

static void on_step(struct guest_regs *regs)
{
	regs->rflags &= ~(uint64_t)X86_EFLAGS_TF;
	nr_steps++;
}

GUEST(nmi_in_shadow)
{
	const char *want = GUEST_ROW(rows)->shadow ? n_second : n_first;
	uint64_t flags = read_flags(), count = 0;

	guest_handle(NMI_VECTOR, on_nmi);
	guest_handle(DB_VECTOR, on_step);
	__asm__ volatile("call *%1" : "+c"(count) : "r"(n_code), "a"(0) : "cc", "memory");
	CHECK_EQ(1, nr_taken);
	CHECK_EQ(0, nr_steps);
	CHECK_EQ(2, count);
	CHECK_EQ((ulong_t)want, taken.rip);
	CHECK_EQ(flags & ~0x8d5ull, taken.rflags & ~0x8d5ull);
	CHECK_EQ(0, read_flags() & X86_EFLAGS_TF);
}

HOST(nmi_in_shadow)
{
	struct kvm_vcpu_events events;

	require_pio_out(t, .port = WAIT_PORT, .size = 1, .count = 1, .data = 0);
	vcpu_settle(t);
	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &events);
	events.flags = KVM_VCPUEVENT_VALID_SHADOW;
	events.interrupt.shadow = ROW(t, rows)->shadow;
	vcpu_ioctl(t->vcpu, KVM_SET_VCPU_EVENTS, &events);
	expect_result(t, 0, vcpu_ioctl_value_try(t->vcpu, KVM_NMI, 0));
	expect_done(t);
}
