/* SPDX-License-Identifier: MIT */
#include "runner/quirks.h"

#include <fnmatch.h>

#define TYPE_CODE 0xb		/* readable, accessed */
#define TYPE_DATA 0x3		/* writable, accessed */

/* Note, CR0.PE is bit 0. */
static void shift_real_cs_type(struct kvm_sregs *want, const struct kvm_sregs *got)
{
	if (!(want->cr0 & 1) && want->cs.type == TYPE_CODE && got->cs.type == TYPE_DATA)
		want->cs.type = TYPE_DATA;
}

/* Note, it is lost on both ways: the next entry finds what the host's last page fault left, and the exit saves that. */
static void shift_cr2(struct kvm_sregs *want, const struct kvm_sregs *got)
{
	want->cr2 = got->cr2;
}

static const struct quirk quirks[] = {
	{ "0501-bochs-real-mode-cs-type", "@(lab-vmx|lab-svm-bochs)", shift_real_cs_type },
	{ "0504-bochs-vmrun-ignores-cr2", "lab-svm-bochs", shift_cr2, .loses_cr2 = true },
	{ "0508-bochs-virq-unseen", "lab-svm-bochs", .misses_windows = true },
};

static bool is_on(const struct quirk *quirk, const char *target)
{
	return !fnmatch(quirk->targets, target, FNM_EXTMATCH);
}

const struct quirk *quirk_list(size_t *ret_nr)
{
	*ret_nr = sizeof(quirks) / sizeof(quirks[0]);
	return quirks;
}

bool quirks_lose_cr2(const char *target)
{
	size_t i;

	for (i = 0; i < sizeof(quirks) / sizeof(quirks[0]); i++)
		if (quirks[i].loses_cr2 && is_on(&quirks[i], target))
			return true;
	return false;
}

bool quirks_miss_windows(const char *target)
{
	size_t i;

	for (i = 0; i < sizeof(quirks) / sizeof(quirks[0]); i++)
		if (quirks[i].misses_windows && is_on(&quirks[i], target))
			return true;
	return false;
}

void quirks_shift_sregs(const char *target, struct kvm_sregs *want, const struct kvm_sregs *got)
{
	size_t i;

	for (i = 0; i < sizeof(quirks) / sizeof(quirks[0]); i++)
		if (quirks[i].shift_sregs && is_on(&quirks[i], target))
			quirks[i].shift_sregs(want, got);
}
