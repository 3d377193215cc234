/* SPDX-License-Identifier: MIT */
/*
 * What an emulator's CPU does wrong in hundreds of tests in one and the same way. A .known in each of them would make
 * all of them blind there; a quirk moves the one field's expectation on the targets named, and nothing else.
 *
 * Each has a finding, and a test that shows it without help from here, which is .known for the same targets: when the
 * quirk is gone that test passes, and says so.
 */
#ifndef VMASSAY_QUIRKS_H
#define VMASSAY_QUIRKS_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>

struct quirk {
	const char *finding;	/* as in struct known */
	const char *targets;	/* a glob of emulators' names; never one that a real CPU or lab-svm has */
	/* Makes @want what this CPU leaves there, as far as @got has it; NULL: it is right. */
	void (*shift_sregs)(struct kvm_sregs *want, const struct kvm_sregs *got);
	/* The guest is told so (abi.h): */
	bool loses_cr2;		/* an entry does not load CR2 */
	bool misses_windows;	/* an interrupt is overlooked although IF is set, until IF changes */
};

/* All there are. */
const struct quirk *quirk_list(size_t *ret_nr);

/* @want as @target's CPU has it. */
bool quirks_lose_cr2(const char *target);
bool quirks_miss_windows(const char *target);
void quirks_shift_sregs(const char *target, struct kvm_sregs *want, const struct kvm_sregs *got);

#endif
