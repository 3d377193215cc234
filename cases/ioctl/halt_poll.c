/* SPDX-License-Identifier: MIT */
/*
 * Before a halted vCPU's thread sleeps, KVM may look for an interrupt for a while that grows while short waits come and
 * goes back to none after a long one, up to the limit that KVM_CAP_HALT_POLL sets for this VM. Zero, and a guest that
 * polls itself (MSR_KVM_POLL_CONTROL), is none at all. The waits are the local APIC timer's; what was done is in the
 * statistics.
 *
 * Can break: the module's limit used where the VM has one, a time that never grows or never shrinks, a wait that is
 * counted as both or as neither, a guest that polls twice.
 * Source: Documentation/virt/kvm/halt-polling.rst; KVM API, KVM_CAP_HALT_POLL (7.20); msr.rst, MSR_KVM_POLL_CONTROL.
 */
#include "cases/ioctl/stats.h"

#include <asm/kvm_para.h>

#include "cases/ioctl/irq_script.h"
#include "cases/ioctl/lapic_regs.h"

#define VECTOR 0x41
#define SHORT_NS 1000000
#define LONG_NS 40000000
#define LIMIT_NS 10000000
#define NR_SHORT 30
#define NR_LONG 3

struct row {
	ROW_FIELDS;
	const struct op *ops;
};

/* --- the guest's half --- */

/* KVM's timer counts nanoseconds with a divisor of 1. */
static void waits_do(unsigned int nr, uint32_t ns)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		write32(APIC_TMICT, ns);
		halt_once();
		CHECK_EQ(VECTOR, script_take());
		write32(APIC_EOI, 0);
	}
}

static void wait_short(void)
{
	waits_do(NR_SHORT, SHORT_NS);
}

static void wait_long(void)
{
	waits_do(NR_LONG, LONG_NS);
}

static void polls_itself(void)
{
	wrmsr(MSR_KVM_POLL_CONTROL, 0);
}

/* --- the host's half --- */

static void limit_set(struct test *t, uint64_t ns)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_HALT_POLL, .args[0] = ns };

	expect_result(t, 0, vm_ioctl_try(t->vm, KVM_ENABLE_CAP, &cap));
}

static uint64_t stat(struct test *t, const char *name)
{
	return stat_get(t, t->vcpu->fd, name);
}

static void limit_none(struct test *t)
{
	limit_set(t, 0);
}

static void limit_high(struct test *t)
{
	limit_set(t, LIMIT_NS);
}

static void limit_refused(struct test *t)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_HALT_POLL, .args[0] = 1ull << 32 };

	expect_errno(t, EINVAL, vm_ioctl_try(t->vm, KVM_ENABLE_CAP, &cap));
	cap.args[0] = LIMIT_NS;
	cap.flags = 1;
	expect_errno(t, EINVAL, vm_ioctl_try(t->vm, KVM_ENABLE_CAP, &cap));
}

/* The time doubles from 10 us: the ninth wait of 1 ms, or an earlier one of a slow machine, is over while KVM looks. */
static uint64_t nr_tried;

static void expect_polled(struct test *t)
{
	nr_tried = stat(t, "halt_attempted_poll");
	expect_true(t, nr_tried >= NR_SHORT / 2);
	expect_true(t, stat(t, "halt_successful_poll") >= 1);
	expect_true(t, stat(t, "halt_successful_poll") <= nr_tried);
	expect_true(t, stat(t, "halt_poll_success_ns") > 0);
}

/* Not once since then. */
static void expect_no_more(struct test *t)
{
	expect_eq(t, nr_tried, stat(t, "halt_attempted_poll"));
}

/* The first of the waits that are longer than the limit is looked after; then it is not worth it any more. */
static void expect_given_up(struct test *t)
{
	expect_eq(t, nr_tried + 1, stat(t, "halt_attempted_poll"));
}

static void expect_none(struct test *t)
{
	expect_eq(t, 0, stat(t, "halt_attempted_poll"));
	expect_eq(t, 0, stat(t, "halt_successful_poll"));
	expect_eq(t, 0, stat(t, "halt_poll_success_ns"));
	expect_eq(t, 0, stat(t, "halt_poll_fail_ns"));
	expect_true(t, stat(t, "halt_wakeup") > 0);
}

#define START LAPIC_ON, WRITE32(APIC_LVT_TIMER, VECTOR), WRITE32(APIC_TDCR, 0xb)

static const struct row rows[] = {
	{ .label = "grows", .ops = OPS { HOST_DO(limit_high), START, GUEST_DO(wait_short), HOST_DO(expect_polled), END } },
	{ .label = "shrinks", .ops = OPS {
		HOST_DO(limit_high), START, GUEST_DO(wait_short), HOST_DO(expect_polled), GUEST_DO(wait_long),
		HOST_DO(expect_given_up), END } },
	{ .label = "zero", .ops = OPS { HOST_DO(limit_none), START, GUEST_DO(wait_short), HOST_DO(expect_none), END } },
	{ .label = "lowered", .ops = OPS {
		HOST_DO(limit_high), START, GUEST_DO(wait_short), HOST_DO(expect_polled), HOST_DO(limit_none),
		GUEST_DO(wait_short), HOST_DO(expect_no_more), END } },
	{ .label = "refused", .ops = OPS {
		HOST_DO(limit_none), HOST_DO(limit_refused), START, GUEST_DO(wait_short), HOST_DO(expect_none), END } },
	{ .label = "guest_polls", .ops = OPS {
		HOST_DO(limit_high), START, GUEST_DO(polls_itself), GUEST_DO(wait_short), HOST_DO(expect_none), END } },
};

/* Note, KVM looks only while its thread is the only one that wants the CPU. */
CASE(halt_poll, .says = "a halted vCPU is looked after for as long as its VM allows", .modes = LONG64, .irqchip = true,
     .needs = "KVM_CAP_HALT_POLL KVM_CAP_BINARY_STATS_FD param:kvm.halt_poll_ns_grow=2 param:kvm.halt_poll_ns_shrink=0",
     .alone = true, .rows = ROWS(rows))

GUEST(halt_poll)
{
	script_guest(GUEST_ROW(rows)->ops);
}

HOST(halt_poll)
{
	script_host(t, ROW(t, rows)->ops);
}
