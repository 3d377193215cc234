/* SPDX-License-Identifier: MIT */
/*
 * Differences between the machine and a hypervisor with a nested guest that mean nothing new, each with its reason, and reports
 * of the kernel that are known.
 */
#include "fuzz/nested_known.h"

#include <string.h>

static const struct nested_known *const lists[] = { nested_known_kvm, nested_known_qemu, nested_known_last };

#define NR_LISTS (sizeof(lists) / sizeof(lists[0]))

const struct nested_known *nested_known_at(unsigned int index)
{
	const struct nested_known *known;
	size_t i;

	for (i = 0; i < NR_LISTS; i++)
		for (known = lists[i]; known->id; known++)
			if (!index--)
				return known;
	return NULL;
}

unsigned int nested_known_index(const struct nested_known *known)
{
	const struct nested_known *at;
	unsigned int index = 0;
	size_t i;

	for (i = 0; i < NR_LISTS; i++)
		for (at = lists[i]; at->id; at++, index++)
			if (at == known)
				return index;
	return index;
}

const struct nested_known *nested_known_find(const struct nested_difference *d)
{
	const struct nested_known *known;
	size_t i;

	for (i = 0; i < NR_LISTS; i++)
		for (known = lists[i]; known->id; known++)
			if (known->is(d))
				return known;
	return NULL;
}

/* --- reports of the kernel --- */

/* By where they are, but for the line. */
static const struct { const char *id, *file, *function; } reports[] = {
	{ "3900", "at arch/x86/kvm/svm/nested.c:", " nested_svm_vmexit+" },
	{ "4550", "at arch/x86/kvm/x86.c:", " kvm_multiple_exception+" },
	{ "4840", "at arch/x86/kvm/x86.c:", " kvm_arch_vcpu_ioctl_run+" },
	{ "4840", "at arch/x86/kvm/x86.c:", " kvm_check_and_inject_events+" },
};

const char *nested_known_report(const char *headline)
{
	size_t i;

	for (i = 0; i < sizeof(reports) / sizeof(reports[0]); i++)
		if (strstr(headline, "WARNING: ") && strstr(headline, reports[i].file) && strstr(headline, reports[i].function))
			return reports[i].id;
	return NULL;
}
