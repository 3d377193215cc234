/* SPDX-License-Identifier: MIT */
#include "fuzz/ioctl_outcome.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>

#include "fuzz/ioctl_ops.h"

/* --- as text --- */

const char *ioctl_errno_name(int error)
{
	const char *name = strerrorname_np(error);

	return name ? name : "unknown";
}

static size_t step_print_result(const struct ioctl_step *step, char *buf, size_t len_bytes)
{
	if (step->result < 0)
		return (size_t)snprintf(buf, len_bytes, "%s %s", step->call, ioctl_errno_name((int)-step->result));
	if (step->result)
		return (size_t)snprintf(buf, len_bytes, "%s ret=%ld", step->call, step->result);
	return (size_t)snprintf(buf, len_bytes, "%s %s", step->call, step->is_fd ? "fd" : "ok");
}

size_t ioctl_step_print(const struct ioctl_step *step, char *buf, size_t len_bytes)
{
	char exit[512] = "";

	if (!step->is_run)
		return step_print_result(step, buf, len_bytes);
	if (!step->result)
		exit_format(exit, sizeof(exit), &step->exit);
	return (size_t)snprintf(buf, len_bytes, "run %s%s%s rip=0x%" PRIx64 " rax=0x%" PRIx64 " rflags=0x%" PRIx64,
				step->result ? ioctl_errno_name((int)-step->result) : "ok", exit[0] ? " exit=" : "", exit,
				step->rip, step->rax, step->rflags);
}

/* --- features --- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15ull;
	return hash ^ hash >> 29;
}

static uint64_t text_mix(uint64_t hash, const char *text)
{
	while (*text)
		hash = mix(hash, (uint8_t)*text++);
	return hash;
}

/* What kind of exit: numbers that have any value count by their class. */
static uint64_t exit_kind(const struct exit_record *exit)
{
	uint64_t hash = mix(5, exit->reason);

	switch (exit->reason) {
	case KVM_EXIT_IO:
		return mix(hash, (uint64_t)exit->io.direction << 8 | exit->io.size | (exit->io.count > 1) << 9);
	case KVM_EXIT_MMIO:
		return mix(hash, exit->mmio.len << 1 | exit->mmio.is_write);
	case KVM_EXIT_X86_RDMSR:
	case KVM_EXIT_X86_WRMSR:
		return mix(hash, exit->msr.reason);
	case KVM_EXIT_DEBUG:
		return mix(hash, exit->debug.exception << 16 | (exit->debug.dr6 & 0xe00f));
	case KVM_EXIT_INTERNAL_ERROR:
		return mix(hash, exit->internal.suberror);
	case KVM_EXIT_HYPERCALL:
		return mix(hash, exit->hypercall.nr);
	default:
		return hash;
	}
}

/* Results of calls that count something are of the same class when they are as long. */
static uint64_t result_class(long result)
{
	return result <= 0 ? (uint64_t)result : 64u - (unsigned int)__builtin_clzl((unsigned long)result);
}

static uint64_t step_kind(const struct ioctl_step *step)
{
	uint64_t hash = mix(text_mix(3, step->call), result_class(step->result));

	return step->is_run && !step->result ? mix(hash, exit_kind(&step->exit)) : hash;
}

static uint64_t coarse_kind(const struct ioctl_step *step)
{
	uint64_t hash = mix(text_mix(4, step->call), step->result < 0);

	return step->is_run && !step->result ? mix(hash, step->exit.reason) : hash;
}

unsigned int ioctl_result_features(const struct ioctl_result *result, uint16_t *features)
{
	unsigned int i, nr = 0;
	uint64_t before = 0;

	for (i = 0; i < result->nr_steps; i++) {
		const struct ioctl_step *step = &result->steps[i];
		uint64_t kind = step_kind(step);

		features[nr++] = (uint16_t)(kind >> 7);
		if (step->detail)
			features[nr++] = (uint16_t)(mix(kind, step->detail) >> 7);
		/* Pairs of all kinds would be more than a corpus can hold. */
		if (i && (step->is_run || step[-1].is_run))
			features[nr++] = (uint16_t)(mix(before, coarse_kind(step)) >> 7);
		before = coarse_kind(step);
	}
	return nr;
}

/* --- comparison --- */

uint64_t ioctl_result_hash(const struct ioctl_result *result)
{
	uint64_t hash = mix(result->nr_steps, result->memory_hash);
	unsigned int i, word;

	for (i = 0; i < result->nr_steps; i++) {
		const struct ioctl_step *step = &result->steps[i];

		hash = mix(mix(hash, step_kind(step)), (uint64_t)step->result);
		if (!step->is_run)
			continue;
		hash = mix(mix(mix(hash, step->rip), step->rax), step->rflags);
		for (word = 0; word < 7 && !step->result; word++)
			hash = mix(hash, step->exit.raw[word]);
	}
	return hash;
}
