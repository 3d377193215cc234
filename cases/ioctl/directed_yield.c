/* SPDX-License-Identifier: MIT */
/*
 * A vCPU that waits for another one can give it its time: KVM_HC_SCHED_YIELD names the vCPU by its APIC id and always
 * returns 0. It is tried each time, and works while the other one's thread waits for the CPU; never for the vCPU itself
 * or for one that does not exist. The statistics have both numbers.
 *
 * Can break: a vCPU that is looked up by its index, a yield to itself, a try that is not counted.
 * Source: Documentation/virt/kvm/x86/hypercalls.rst (KVM_HC_SCHED_YIELD).
 */
#include "cases/ioctl/pv_msr.h"

#include <sched.h>

#include "cases/ioctl/lapic_regs.h"
#include "cases/ioctl/stats.h"

#define HC_SCHED_YIELD 11
#define NR_YIELDS 500

struct row {
	ROW_FIELDS;
	uint32_t id;		/* of the local APIC that is named */
	bool works;
	bool is_absent;
};

static const struct row rows[] = {
	{ .label = "preempted", .id = 1, .works = true },
	{ .label = "itself", .id = 0 },
	{ .label = "nobody", .id = 77 },
	{ .label = "far", .id = 0x80000001 },
	{ .label = "absent", .id = 1, .is_absent = true, .needs = "KVM_CAP_ENFORCE_PV_FEATURE_CPUID" },
};

CASE(directed_yield, .says = "a vCPU gives its time to the one that it names", .modes = LONG64, .irqchip = true,
     .nr_vcpus = 2, .needs = "KVM_CAP_BINARY_STATS_FD", .alone = true, .rows = ROWS(rows))

static volatile bool is_over;

static uint64_t sched_yield_call(ulong_t id)
{
	ulong_t result = HC_SCHED_YIELD;

	__asm__ volatile("vmcall" : "+a"(result) : "b"(id) : "memory");
	return result;
}

GUEST(directed_yield)
{
	const struct row *row = GUEST_ROW(rows);
	uint64_t want = row->is_absent ? (uint64_t)-(int64_t)KVM_ENOSYS : 0;
	unsigned int i;

	write32(APIC_SVR, SVR_ENABLE | 0xff);
	/* Nothing comes; but Bochs' CPU keeps the host's own interrupts back as long as a guest has them off. */
	sti();
	guest_barrier();
	if (vcpu_index()) {
		CHECK(true);
		while (!is_over)
			cpu_relax();
		return;
	}
	for (i = 0; i < NR_YIELDS; i++)
		CHECK_EQ(want, sched_yield_call(row->id));
	is_over = true;
}

HOST(directed_yield)
{
	const struct row *row = ROW(t, rows);
	struct kvm_mp_state runnable = { KVM_MP_STATE_RUNNABLE };
	cpu_set_t one;
	uint64_t nr_done;

	/* Both threads on one CPU: one of them always waits for it. */
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	require_result(t, 0, sched_setaffinity(0, sizeof(one), &one));
	vcpu_ioctl(t->vm->vcpus[1], KVM_SET_MP_STATE, &runnable);
	if (row->is_absent) {
		pv_features_hide(t, 1u << KVM_FEATURE_PV_SCHED_YIELD);
		pv_features_enforce(t);
	}
	expect_all_done(t);
	nr_done = stat_get(t, t->vm->vcpus[0]->fd, "directed_yield_successful");
	expect_eq(t, row->is_absent ? 0 : NR_YIELDS, stat_get(t, t->vm->vcpus[0]->fd, "directed_yield_attempted"));
	if (row->works)
		expect_true(t, nr_done > 0 && nr_done <= NR_YIELDS);
	else
		expect_eq(t, 0, nr_done);
	expect_eq(t, 0, stat_get(t, t->vm->vcpus[1]->fd, "directed_yield_attempted"));
}
