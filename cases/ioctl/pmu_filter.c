/* SPDX-License-Identifier: MIT */
/*
 * KVM_SET_PMU_EVENT_FILTER takes up to 300 events behind its header, allows or denies them, and looks at every field
 * before it reads the list; one that is refused changes nothing. KVM_CAP_PMU_CAPABILITY belongs before the first vCPU.
 *
 * Can break: a limit off by one, a flag or an action let through, the list read beyond its end or not at all.
 * Source: KVM API, 4.120 (KVM_SET_PMU_EVENT_FILTER), KVM_CAP_PMU_CAPABILITY.
 */
#include "case.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_EVENTS 300
#define PAGE 4096ull

struct filter {
	struct kvm_pmu_event_filter head;
	uint64_t events[MAX_EVENTS + 1];
};

static long filter_try(struct test *t, const struct kvm_pmu_event_filter *head)
{
	return vm_ioctl_try(t->vm, KVM_SET_PMU_EVENT_FILTER, (struct kvm_pmu_event_filter *)head);
}

static void host_arguments(struct test *t)
{
	struct filter filter = { .head = { .action = KVM_PMU_EVENT_ALLOW, .nevents = 1 }, .events = { 0xc0 } };

	expect_result(t, 0, filter_try(t, &filter.head));
	filter.head.action = KVM_PMU_EVENT_DENY;
	expect_result(t, 0, filter_try(t, &filter.head));
	filter.head.action = KVM_PMU_EVENT_DENY + 1;
	expect_errno(t, EINVAL, filter_try(t, &filter.head));
	filter.head.action = ~0u;
	expect_errno(t, EINVAL, filter_try(t, &filter.head));
	filter.head.action = KVM_PMU_EVENT_ALLOW;
	filter.head.flags = 2;
	expect_errno(t, EINVAL, filter_try(t, &filter.head));
	filter.head.flags = 1u << 31;
	expect_errno(t, EINVAL, filter_try(t, &filter.head));
}

static void host_count(struct test *t)
{
	struct filter filter = { .head.action = KVM_PMU_EVENT_DENY };
	unsigned int i;

	for (i = 0; i <= MAX_EVENTS; i++)
		filter.events[i] = MAX_EVENTS - i;
	expect_result(t, 0, filter_try(t, &filter.head));
	filter.head.nevents = MAX_EVENTS;
	expect_result(t, 0, filter_try(t, &filter.head));
	filter.head.nevents = MAX_EVENTS + 1;
	expect_errno(t, E2BIG, filter_try(t, &filter.head));
	filter.head.nevents = ~0u;
	expect_errno(t, E2BIG, filter_try(t, &filter.head));
	/* The other fields come first. */
	filter.head.action = 7;
	expect_errno(t, EINVAL, filter_try(t, &filter.head));
	for (i = 0; i <= MAX_EVENTS; i++)
		expect_eq(t, MAX_EVENTS - i, filter.events[i]);
}

/* The list ends with its page: one event more is not there. */
static void host_memory(struct test *t)
{
	uint8_t *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct kvm_pmu_event_filter *head;
	const unsigned int nr = 4;

	require_true(t, pages != MAP_FAILED);
	require_result(t, 0, munmap(pages + PAGE, PAGE));
	head = (void *)(pages + PAGE - sizeof(*head) - nr * sizeof(uint64_t));
	head->action = KVM_PMU_EVENT_ALLOW;
	head->nevents = nr;
	expect_result(t, 0, filter_try(t, head));
	head->nevents = nr + 1;
	expect_errno(t, EFAULT, filter_try(t, head));
	expect_errno(t, EFAULT, filter_try(t, (void *)(pages + PAGE)));
	expect_errno(t, EFAULT, filter_try(t, (void *)(pages + PAGE - 8)));
	munmap(pages, PAGE);
}

static long pmu_cap_try(struct test *t, uint64_t arg)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_PMU_CAPABILITY, .args[0] = arg };

	return vm_ioctl_try(t->vm, KVM_ENABLE_CAP, &cap);
}

/* Where KVM has no PMU, there is nothing to turn off. */
static void host_capability(struct test *t)
{
	bool is_offered = sys_has_cap(t->sys, KVM_CAP_PMU_CAPABILITY) > 0;

	expect_errno(t, EINVAL, pmu_cap_try(t, KVM_PMU_CAP_DISABLE << 1));
	expect_errno(t, EINVAL, pmu_cap_try(t, KVM_PMU_CAP_DISABLE | 1ull << 63));
	expect_result(t, is_offered ? 0 : -EINVAL, pmu_cap_try(t, 0));
	expect_result(t, is_offered ? 0 : -EINVAL, pmu_cap_try(t, KVM_PMU_CAP_DISABLE));
	vcpu_create(t->vm, 0);
	expect_errno(t, EINVAL, pmu_cap_try(t, KVM_PMU_CAP_DISABLE));
	expect_errno(t, EINVAL, pmu_cap_try(t, 0));
}

struct row {
	ROW_FIELDS;
	void (*host)(struct test *t);
};

static const struct row rows[] = {
	{ .label = "arguments", .host = host_arguments },
	{ .label = "count", .host = host_count },
	{ .label = "memory", .host = host_memory },
	{ .label = "capability", .host = host_capability },
};

CASE(pmu_filter, .says = "a filter of performance events is taken or refused whole", .modes = NO_GUEST, .manual = true,
     .needs = "KVM_CAP_PMU_EVENT_FILTER", .rows = ROWS(rows))

HOST(pmu_filter)
{
	t->vm = test_vm(t);
	ROW(t, rows)->host(t);
}
