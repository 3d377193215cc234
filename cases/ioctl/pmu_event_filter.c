/* SPDX-License-Identifier: MIT */
/*
 * KVM_SET_PMU_EVENT_FILTER: two actions, no flags, a bounded list of events that must all be there.
 *
 * Can break: an action or flag let through, the list's length trusted, a fault in the midst of the list overlooked.
 * Source: KVM API, 4.120 (KVM_SET_PMU_EVENT_FILTER).
 */
#include "case.h"

#include <string.h>
#include <sys/mman.h>

#define MAX_EVENTS 300		/* as 6.1 has it; later kernels take no fewer */
#define PAGE 4096

struct filter {
	struct kvm_pmu_event_filter header;
	uint64_t events[MAX_EVENTS];
};

struct row {
	ROW_FIELDS;
	uint32_t action, nevents, fixed, flags;
	int error;
};

static const struct row rows[] = {
	{ .label = "allow_none", .action = KVM_PMU_EVENT_ALLOW },
	{ .label = "deny_none", .action = KVM_PMU_EVENT_DENY },
	{ .label = "allow_some", .action = KVM_PMU_EVENT_ALLOW, .nevents = 3, .fixed = 1 },
	{ .label = "deny_some", .action = KVM_PMU_EVENT_DENY, .nevents = 3, .fixed = 7 },
	{ .label = "most", .action = KVM_PMU_EVENT_DENY, .nevents = MAX_EVENTS },
	{ .label = "too_many", .action = KVM_PMU_EVENT_DENY, .nevents = 100000, .error = E2BIG },
	{ .label = "far_too_many", .action = KVM_PMU_EVENT_ALLOW, .nevents = ~0u, .error = E2BIG },
	{ .label = "action_2", .action = 2, .error = EINVAL },
	{ .label = "action_high", .action = 1u << 31 | 1, .error = EINVAL },
	{ .label = "flag_1", .flags = 1 << 1, .error = EINVAL },
	{ .label = "flag_31", .flags = 1u << 31, .error = EINVAL },
	/* Looked at before the list is. */
	{ .label = "flag_and_too_many", .nevents = ~0u, .flags = 1u << 31, .error = EINVAL },
};

CASE(pmu_event_filter, .says = "a filter of PMU events is taken when it is well formed", .modes = NO_GUEST,
     .needs = "KVM_CAP_PMU_EVENT_FILTER", .rows = ROWS(rows))

HOST(pmu_event_filter)
{
	const struct row *row = ROW(t, rows);
	struct filter filter = {
		.header = { .action = row->action, .nevents = row->nevents, .fixed_counter_bitmap = row->fixed,
			    .flags = row->flags },
		.events = { 0x1c2, 0xc0, 0x2e },
	};
	uint8_t *page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct kvm_pmu_event_filter *at_end;

	expect_result(t, -row->error, vm_ioctl_try(t->vm, KVM_SET_PMU_EVENT_FILTER, &filter.header));
	/* Again, and in place of what was there. */
	expect_result(t, -row->error, vm_ioctl_try(t->vm, KVM_SET_PMU_EVENT_FILTER, &filter.header));
	require_true(t, page != MAP_FAILED && !munmap(page + PAGE, PAGE));
	if (row->error || !row->nevents)
		return;
	/* The list's last event is not there. */
	at_end = (void *)(page + PAGE - sizeof(filter.header) - (row->nevents - 1) * sizeof(uint64_t));
	memcpy(at_end, &filter, (uint8_t *)page + PAGE - (uint8_t *)at_end);
	expect_errno(t, EFAULT, vm_ioctl_try(t->vm, KVM_SET_PMU_EVENT_FILTER, at_end));
}
