/* SPDX-License-Identifier: MIT */
/*
 * KVM_SET_PMU_EVENT_FILTER (KVM API, 4.120). The vCPUs have no counters that count, so a filter is looked at, and nothing
 * is left of it.
 */
#include "soft/private.h"

#include <errno.h>
#include <stdlib.h>

#define MAX_EVENTS 300

static long answer_set_filter(struct call *call)
{
	struct kvm_pmu_event_filter head;
	size_t len_bytes;
	void *events;
	long r;

	if (user_read(&head, call->argument, sizeof(head)))
		return -EFAULT;
	if ((head.action != KVM_PMU_EVENT_ALLOW && head.action != KVM_PMU_EVENT_DENY) || head.flags)
		return -EINVAL;
	if (head.nevents > MAX_EVENTS)
		return -E2BIG;
	len_bytes = head.nevents * sizeof(head.events[0]);
	events = malloc(len_bytes + 1);
	if (!events)
		return -ENOMEM;
	r = user_read(events, call->argument + sizeof(head), len_bytes);
	free(events);
	return r;
}

const struct answer pmu_filter_answers[] = {
	{ KVM_SET_PMU_EVENT_FILTER, answer_set_filter, true },
	{ 0, NULL, false },
};
