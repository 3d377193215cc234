/* SPDX-License-Identifier: MIT */
/*
 * What runs inputs of one domain on one target, and what search, replay and minimiser must know of a run, whatever the
 * domain is: what broke an oracle, what was new about it (features), and its outcome as lines of text.
 */
#ifndef VMASSAY_FUZZ_EXECUTOR_H
#define VMASSAY_FUZZ_EXECUTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fuzz/input.h"

struct err;

#define EXECUTOR_NR_FEATURES 65536u	/* a feature is a number below it */
#define EXECUTOR_MAX_FEATURES 512
#define EXECUTOR_VIOLATION_BYTES 256

/* What came of an input. */
struct trial {
	char violation[EXECUTOR_VIOLATION_BYTES];	/* what must not be, at first; "": nothing */
	unsigned int nr_features;
	uint16_t features[EXECUTOR_MAX_FEATURES];
	uint64_t hash;			/* of the outcome */
	unsigned int nr_lines;		/* of the outcome; the Nth is what the Nth "expect" line of an input is about */
	bool is_cut;			/* a clock has ended it: on a machine that is less busy it may come further */
};

struct executor {
	const struct input_domain *domain;
	const char *target;
	bool is_exact;			/* the same input has the same outcome */
	/* Fills *@trial. Each run begins in the same state. */
	void (*run)(struct executor *executor, const struct input *input, struct trial *trial);
	/* Line @n of the last run's outcome, without a newline. As snprintf(). */
	size_t (*line)(const struct executor *executor, unsigned int n, char *buf, size_t len_bytes);
	/*
	 * Why line @n of the last run's outcome may be without [@word, @word + @len): a name that the "known" line of an input
	 * may have. NULL: for no reason, or there never is one.
	 */
	const char *(*excuse)(const struct executor *executor, unsigned int n, const char *word, size_t len);
	void (*free)(struct executor *executor);
};

/* @target NULL: the domain's first. -EINVAL: there is no such target for inputs of @domain; or as its own function says. */
int executor_new(const struct input_domain *domain, const char *target, struct executor **ret, struct err *err);
void executor_free(struct executor *executor);		/* NULL is fine */

/* Whether any domain has a target of that name. */
bool executor_is_target(const char *target);
/* Whether it is this kernel's KVM, which nobody fuzzes by accident. */
bool executor_is_dangerous(const char *target);

/* Runs an input, and on an exact target once more: another outcome is a violation. */
void executor_run_twice(struct executor *executor, const struct input *input, struct trial *trial);

/*
 * After a run of @input: true when its lines have the words of those that it expects, or lack some for a reason that it
 * names: then @buf is the last such reason, or else "". Otherwise @buf says what is missing: the line, the word, and what came
 * of it.
 */
bool executor_expect(const struct executor *executor, const struct trial *trial, const struct input *input, char *buf,
		     size_t len_bytes);

/*
 * Minimises an input to what still does the same: breaks the same oracle, or else shows the same features. Returns how
 * many inputs that took.
 */
unsigned int executor_minimise(struct executor *executor, struct input *input);

/* Never 0. Two violations are of one kind when their lines are the same but for numbers. */
uint64_t violation_kind(const char *violation);

/* --- targets --- */

/* 0, or -errno and a line. */
int vmcb_executor_new(struct executor **ret, struct err *err);		/* "vmcb" on the machine */
int ioctl_executor_new_soft(struct executor **ret, struct err *err);	/* "ioctl" on the soft hypervisor */
/* "ioctl" on this kernel's /dev/kvm: of a lab, or with the word of whoever owns the machine. */
int ioctl_executor_new_kvm(struct executor **ret, struct err *err);

#endif
