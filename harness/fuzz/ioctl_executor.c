/* SPDX-License-Identifier: MIT */
/* What runs inputs of "ioctl": the soft hypervisor in this process, or the kernel's KVM. */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "fuzz/executor.h"
#include "fuzz/ioctl_runner.h"
#include "soft/soft.h"

#define KEPT_BYTES (64 << 20)

_Static_assert(IOCTL_MAX_FEATURES <= EXECUTOR_MAX_FEATURES, "they fit");
_Static_assert(sizeof(((struct ioctl_result *)0)->violation) <= EXECUTOR_VIOLATION_BYTES, "it fits");

struct ioctl_executor {
	struct executor executor;	/* first: the functions find the rest behind it */
	struct soft *soft;		/* NULL: a kernel's */
	struct ioctl_runner *runner;
	struct ioctl_result result;
};

static void executor_run(struct executor *executor, const struct input *input, struct trial *trial)
{
	struct ioctl_executor *ioctl = (struct ioctl_executor *)executor;

	ioctl_runner_run(ioctl->runner, input, &ioctl->result);
	trial->is_cut = ioctl->result.is_cut;
	strcpy(trial->violation, ioctl->result.violation);
	trial->nr_features = ioctl_result_features(&ioctl->result, trial->features);
	trial->nr_lines = ioctl->result.nr_steps;
	trial->hash = ioctl_result_hash(&ioctl->result);
}

static size_t executor_line(const struct executor *executor, unsigned int n, char *buf, size_t len_bytes)
{
	return ioctl_step_print(&((const struct ioctl_executor *)executor)->result.steps[n], buf, len_bytes);
}

static void ioctl_executor_free(struct executor *executor)
{
	struct ioctl_executor *ioctl = (struct ioctl_executor *)executor;

	ioctl_runner_free(ioctl->runner);
	soft_destroy(ioctl->soft);
	free(ioctl);
}

/* Takes @soft. */
static int executor_make(const struct backend *backend, struct soft *soft, struct executor **ret, struct err *err)
{
	struct ioctl_executor *ioctl = calloc(1, sizeof(*ioctl));
	int r;

	if (!ioctl) {
		soft_destroy(soft);
		return err_set(err, ENOMEM, "%s", strerror(ENOMEM));
	}
	ioctl->executor = (struct executor){ .run = executor_run, .line = executor_line, .free = ioctl_executor_free,
		.is_exact = soft };
	ioctl->soft = soft;
	r = ioctl_runner_new(backend, soft, &ioctl->runner, err);
	if (r)
		ioctl_executor_free(&ioctl->executor);
	else
		*ret = &ioctl->executor;
	return r;
}

int ioctl_executor_new_soft(struct executor **ret, struct err *err)
{
	struct soft *soft;

	/* VMs come and go: what they had is not given back to the kernel each time. */
	mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
	mallopt(M_TOP_PAD, KEPT_BYTES / 4);
	if (soft_create(&soft))
		return err_set(err, ENOMEM, "%s", strerror(ENOMEM));
	return executor_make(soft_backend(soft), soft, ret, err);
}

int ioctl_executor_new_kvm(struct executor **ret, struct err *err)
{
	return executor_make(backend_kvm(), NULL, ret, err);
}
