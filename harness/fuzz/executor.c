/* SPDX-License-Identifier: MIT */
#include "fuzz/executor.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "err.h"
#include "fuzz/expect.h"
#include "fuzz/ioctl_ops.h"
#include "fuzz/vmcb_ops.h"

/* --- targets --- */

static const struct target {
	const struct input_domain *domain;
	const char *name;
	int (*make)(struct executor **ret, struct err *err);
	bool is_dangerous;
} targets[] = {
	{ &vmcb_domain, "machine", vmcb_executor_new, false },
	{ &ioctl_domain, "soft-svm", ioctl_executor_new_soft, false },
	{ &ioctl_domain, "kvm", ioctl_executor_new_kvm, true },
};

#define NR_TARGETS (sizeof(targets) / sizeof(targets[0]))

static const struct target *target_find(const struct input_domain *domain, const char *name)
{
	size_t i;

	for (i = 0; i < NR_TARGETS; i++)
		if ((!domain || targets[i].domain == domain) && (!name || !strcmp(targets[i].name, name)))
			return &targets[i];
	return NULL;
}

bool executor_is_target(const char *name)
{
	return target_find(NULL, name);
}

bool executor_is_dangerous(const char *name)
{
	const struct target *target = target_find(NULL, name);

	return name && target && target->is_dangerous;
}

int executor_new(const struct input_domain *domain, const char *name, struct executor **ret, struct err *err)
{
	const struct target *target = target_find(domain, name);
	struct executor *executor;
	int r;

	if (!target)
		return err_set(err, EINVAL, "'input %s' has no target '%s'", domain->name, name ? name : "");
	r = target->make(&executor, err);
	if (r)
		return r;
	executor->domain = domain;
	executor->target = target->name;
	*ret = executor;
	return 0;
}

void executor_free(struct executor *executor)
{
	if (executor)
		executor->free(executor);
}

/* --- expectations --- */

struct expected {
	const struct executor *executor;
	const char *known;
	const char **reason;
};

static size_t expected_line(const void *context, unsigned int n, char *buf, size_t len_bytes)
{
	const struct executor *executor = ((const struct expected *)context)->executor;

	return executor->line(executor, n, buf, len_bytes);
}

static bool is_excused(const void *context, unsigned int n, const char *word, size_t len)
{
	const struct expected *expected = context;
	const char *reason = expected->executor->excuse ? expected->executor->excuse(expected->executor, n, word, len) : NULL;

	if (!reason || !expect_has_word(expected->known, reason, strlen(reason)))
		return false;
	*expected->reason = reason;
	return true;
}

bool executor_expect(const struct executor *executor, const struct trial *trial, const struct input *input, char *buf,
		     size_t len_bytes)
{
	const char *reason = "";
	struct expected expected = { executor, input->known, &reason };

	if (!expect_holds(input->expect, trial->nr_lines, expected_line, is_excused, &expected, buf, len_bytes))
		return false;
	snprintf(buf, len_bytes, "%s", reason);
	return true;
}

/* --- kinds --- */

/* Numbers begin with a digit: what is behind "0x" goes with it. */
uint64_t violation_kind(const char *violation)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	while (*violation) {
		if (isdigit((unsigned char)*violation))
			violation += strspn(violation, "0123456789abcdefx");
		else
			hash = (hash ^ (uint8_t)*violation++) * 0x100000001b3ull;
	}
	return hash;
}

/* --- runs --- */

void executor_run_twice(struct executor *executor, const struct input *input, struct trial *trial)
{
	uint64_t hash;

	executor->run(executor, input, trial);
	if (!executor->is_exact || trial->violation[0])
		return;
	hash = trial->hash;
	executor->run(executor, input, trial);
	if (trial->hash != hash && !trial->violation[0])
		strcpy(trial->violation, "the same input has another outcome the second time");
}

/* --- minimisation --- */

struct same {
	struct executor *executor;
	struct trial want, got;
	uint64_t kind;			/* 0: it breaks nothing */
};

static uint64_t kind_of(const struct trial *trial)
{
	return trial->violation[0] ? violation_kind(trial->violation) : 0;
}

static bool does_the_same(void *context, const struct input *input)
{
	struct same *same = context;

	executor_run_twice(same->executor, input, &same->got);
	if (kind_of(&same->got) != same->kind)
		return false;
	return same->kind || (same->got.nr_features == same->want.nr_features &&
	       !memcmp(same->got.features, same->want.features, same->want.nr_features * sizeof(same->want.features[0])));
}

unsigned int executor_minimise(struct executor *executor, struct input *input)
{
	struct same same = { .executor = executor };

	executor_run_twice(executor, input, &same.want);
	same.kind = kind_of(&same.want);
	return input_minimise(input, does_the_same, &same);
}
