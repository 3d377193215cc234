/* SPDX-License-Identifier: MIT */
/* differ [OPTION]...: runs instances on both sides and prints what differs. TAP, one test for the whole. */
#include "differ.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vm/x86/bits.h"

#define TIMEOUT_S 5
#define MAX_PRINTED 20
#define NR_VECTORS 32

struct options {
	uint64_t seed, count, first;
	const char *only;
	bool is_strict;		/* undefined flags, too */
	bool is_64_only;
	bool is_replay;
};

/* Shared with the child that executes, which may die of it. */
struct progress {
	uint64_t next;
	bool has_32;
	uint64_t nr_done, nr_differ, nr_unimplemented, nr_undefined;
	uint64_t nr_by_vector[NR_VECTORS];
};

static const char *const usage =
	"usage: differ [OPTION]...\n"
	"  --seed N    instances of another series (default 1)\n"
	"  --count N   how many (default 100000)\n"
	"  --index N   only the one that a difference names\n"
	"  --only NAME only forms of that name, as ADD\n"
	"  --strict    flags that the manual leaves undefined, too\n"
	"  --64        no 32-bit code\n";

static void print_instance(const struct options *options, const struct instance *instance, uint64_t index)
{
	unsigned int i;

	printf("# %s, %d-bit, --seed %llu --index %llu%s%s:", instance->form->name, instance->is_64 ? 64 : 32,
		(unsigned long long)options->seed, (unsigned long long)index, options->only ? " --only " : "",
		options->only ? options->only : "");
	for (i = 0; i < instance->len; i++)
		printf(" %02x", instance->code[i]);
	printf("\n#   before: RFLAGS 0x%llx", (unsigned long long)instance->rflags);
	for (i = 0; i < 16; i++)
		printf(" %s 0x%llx", differ_registers[i], (unsigned long long)instance->regs[i]);
	printf("\n");
}

static void compare_one(const struct options *options, struct model *model, struct progress *progress, uint64_t index)
{
	struct instance instance;
	static struct outcome native, machine;
	const char *unimplemented;
	uint64_t flags;

	instance_make(&instance, options->seed, index, options->only, progress->has_32);
	if (options->is_replay)
		print_instance(options, &instance, index);
	native_run(&instance, &native);
	unimplemented = model_run(model, &instance, &machine);
	if (options->is_replay)
		printf("#   after: #%u error 0x%x RIP 0x%llx, the machine: #%u error 0x%x RIP 0x%llx\n", native.vector,
			native.error, (unsigned long long)native.rip, machine.vector, machine.error,
			(unsigned long long)machine.rip);
	progress->nr_done++;
	progress->nr_by_vector[native.vector % NR_VECTORS]++;
	if (unimplemented) {
		progress->nr_unimplemented++;
		if (progress->nr_unimplemented <= MAX_PRINTED) {
			print_instance(options, &instance, index);
			printf("#   not implemented: %s\n", unimplemented);
		}
		return;
	}
	flags = differ_flags(&instance, &native);
	if (differ_outcomes(&instance, &native, &machine, flags, false)) {
		if (++progress->nr_differ > MAX_PRINTED)
			return;
	} else if (differ_outcomes(&instance, &native, &machine, DIFFER_ALL_FLAGS, false)) {
		if (++progress->nr_undefined > MAX_PRINTED || !options->is_strict)
			return;
		flags = DIFFER_ALL_FLAGS;
	} else {
		return;
	}
	print_instance(options, &instance, index);
	differ_outcomes(&instance, &native, &machine, flags, true);
}

static void run_child(const struct options *options, struct progress *progress)
{
	struct model *model = NULL;

	if (!native_prepare())
		model = model_new();
	if (!model) {
		printf("# cannot prepare this process\n");
		fflush(stdout);
		_exit(1);
	}
	progress->has_32 = !options->is_64_only && native_has_32();
	alarm(TIMEOUT_S);
	for (; progress->next < options->first + options->count; progress->next++) {
		if (progress->next % 1000 == 0)
			alarm(TIMEOUT_S);
		compare_one(options, model, progress, progress->next);
	}
	fflush(stdout);
	model_free(model);
}

/* The child executes what may kill it: then another goes on behind the instance that did. */
static int run_all(const struct options *options, struct progress *progress)
{
	while (progress->next < options->first + options->count) {
		struct instance instance;
		int status;
		pid_t pid = fork();

		if (pid < 0)
			return -1;
		if (!pid) {
			run_child(options, progress);
			_exit(0);
		}
		if (waitpid(pid, &status, 0) != pid)
			return -1;
		if (WIFEXITED(status))
			return WEXITSTATUS(status) ? -1 : 0;
		instance_make(&instance, options->seed, progress->next, options->only, progress->has_32);
		print_instance(options, &instance, progress->next);
		printf("#   the process died by signal %d\n", WTERMSIG(status));
		progress->nr_differ++;
		progress->next++;
	}
	return 0;
}

static int parse(int argc, char **argv, struct options *options)
{
	static const struct option longs[] = {
		{ "seed", required_argument, NULL, 's' }, { "count", required_argument, NULL, 'c' },
		{ "index", required_argument, NULL, 'i' }, { "only", required_argument, NULL, 'o' },
		{ "strict", no_argument, NULL, 'u' }, { "64", no_argument, NULL, '6' }, { NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) >= 0) {
		if (c == 's')
			options->seed = strtoull(optarg, NULL, 0);
		else if (c == 'c')
			options->count = strtoull(optarg, NULL, 0);
		else if (c == 'i')
			options->first = strtoull(optarg, NULL, 0), options->count = 1, options->is_replay = true;
		else if (c == 'o')
			options->only = optarg;
		else if (c == 'u')
			options->is_strict = true;
		else if (c == '6')
			options->is_64_only = true;
		else
			return -1;
	}
	return optind == argc ? 0 : -1;
}

static bool has_form(const char *name)
{
	size_t i;

	for (i = 0; i < nr_forms; i++)
		if (!strcmp(forms[i].name, name))
			return true;
	for (i = 0; i < nr_simd_forms; i++)
		if (!strcmp(simd_forms[i].name, name))
			return true;
	return false;
}

static void print_summary(const struct options *options, const struct progress *progress)
{
	unsigned int i;

	printf("# seed %llu: %llu instances, %llu differ, %llu not implemented, %llu differ in undefined flags only; native",
		(unsigned long long)options->seed, (unsigned long long)progress->nr_done,
		(unsigned long long)progress->nr_differ, (unsigned long long)progress->nr_unimplemented,
		(unsigned long long)progress->nr_undefined);
	for (i = 0; i < NR_VECTORS; i++)
		if (progress->nr_by_vector[i])
			printf(" #%u: %llu", i, (unsigned long long)progress->nr_by_vector[i]);
	printf("\n");
}

int main(int argc, char **argv)
{
	struct options options = { .seed = 1, .count = 100000 };
	struct progress *progress;
	bool is_good;

	if (parse(argc, argv, &options)) {
		fputs(usage, stderr);
		return 2;
	}
	if (options.only && !has_form(options.only)) {
		fprintf(stderr, "differ: --only %s: no such form\n", options.only);
		return 2;
	}
	if (!differ_is_amd()) {
		printf("1..0 # SKIP the machine is an AMD CPU, and this is none\n");
		return 0;
	}
	progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (progress == MAP_FAILED) {
		perror("differ: mmap");
		return 99;
	}
	progress->next = options.first;
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("1..1\n");
	is_good = !run_all(&options, progress) && !progress->nr_differ && !progress->nr_unimplemented &&
		progress->nr_done;
	print_summary(&options, progress);
	printf("%sok 1 - the machine does what this CPU does\n", is_good ? "" : "not ");
	munmap(progress, sizeof(*progress));
	return !is_good;
}
