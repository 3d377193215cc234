/* SPDX-License-Identifier: MIT */
/* What came of an input of "ioctl": a step for each call that it made and each exit, in a form that is the same every time. */
#ifndef VMASSAY_FUZZ_IOCTL_OUTCOME_H
#define VMASSAY_FUZZ_IOCTL_OUTCOME_H

#include <stddef.h>
#include <stdint.h>

#include "vm/exit.h"

#define IOCTL_MAX_STEPS 96
#define IOCTL_MAX_FEATURES (3 * IOCTL_MAX_STEPS)

struct ioctl_step {
	const char *call;
	uint64_t detail;	/* what kind of call it was, for features: a capability, a field, an index */
	long result;		/* as the call gives it, or -errno; a descriptor is 0 */
	bool is_fd;
	/* Of KVM_RUN. */
	bool is_run;
	struct exit_record exit;	/* when .result is 0; without pointers */
	uint64_t rip, rax, rflags;
};

struct ioctl_result {
	unsigned int nr_steps;
	struct ioctl_step steps[IOCTL_MAX_STEPS];	/* what is more is not kept */
	uint64_t memory_hash;	/* of the pool at the end */
	char violation[256];	/* the first that must not be; "": nothing */
	bool is_cut;		/* a clock has ended a run */
};

/* "set_sregs EINVAL", "check_extension ret=1", "run ok exit=IO direction=out ... rip=0x8002 ...". As snprintf(). */
size_t ioctl_step_print(const struct ioctl_step *step, char *buf, size_t len_bytes);

/* What is new about a step, as a number below 65536: the call and how it ended, and what came before it. */
unsigned int ioctl_result_features(const struct ioctl_result *result, uint16_t *features);

/* Equal for results that are. */
uint64_t ioctl_result_hash(const struct ioctl_result *result);

/* "EINVAL"; a number for one that has no name here. */
const char *ioctl_errno_name(int error);

#endif
