/* SPDX-License-Identifier: MIT */
/* What the comparisons of outcomes share: a text of one line for each difference. */
#ifndef VMASSAY_DIFFER_DIFF_H
#define VMASSAY_DIFFER_DIFF_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>

/* Begins as { buf, 0, bytes of it }; what has no room is cut off. */
struct diff {
	char *buf;
	size_t len, room;
};

__attribute__((format(printf, 2, 3))) void diff_say(struct diff *diff, const char *format, ...);
/* Says which registers differ; true when some do. */
bool diff_regs(struct diff *diff, const struct kvm_regs *want, const struct kvm_regs *got);
bool diff_sregs(struct diff *diff, const struct kvm_sregs *want, const struct kvm_sregs *got);
/* A segment that is not there has but a selector; what the rest holds then, CPUs and hypervisors disagree on. */
void diff_forget_absent(struct kvm_segment *segment);

#endif
