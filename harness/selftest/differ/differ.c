/* SPDX-License-Identifier: MIT */
/* differ [OPTION]...: runs instances on both sides and prints what differs. TAP, one test for the whole. */
#include "differ.h"

#include <cpuid.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vm/x86/bits.h"

#define STATUS_FLAGS (X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF | X86_EFLAGS_SF | X86_EFLAGS_OF)
/* RF is set by the fault itself, the rest is as it was. */
#define COMPARED_FLAGS (STATUS_FLAGS | X86_EFLAGS_DF | X86_EFLAGS_TF | X86_EFLAGS_IF | X86_EFLAGS_NT | X86_EFLAGS_AC)
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

static const char *const names[16] = { "RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
	"R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15" };

static const char *const segment_names[4] = { "ES", "CS", "SS", "DS" };

static uint64_t undefined_flags(const struct instance *instance, const struct outcome *outcome)
{
	/* A fault leaves all flags alone; only what was executed leaves some undefined. */
	return outcome->vector == 3 ? instance->form->undefined : 0;
}

static bool is_number_different(const char *what, uint64_t native, uint64_t machine, bool prints)
{
	if (native == machine)
		return false;
	if (prints)
		printf("#   %-8s native 0x%016llx machine 0x%016llx\n", what, (unsigned long long)native,
			(unsigned long long)machine);
	return true;
}

/* A register of more than 8 bytes. */
static bool is_bytes_different(const char *name, const uint8_t *native, const uint8_t *machine, unsigned int len_bytes,
	bool prints)
{
	uint64_t halves[2][2] = { 0 };

	memcpy(halves[0], native, len_bytes);
	memcpy(halves[1], machine, len_bytes);
	return is_number_different(name, halves[0][1], halves[1][1], prints) |
	       is_number_different(name, halves[0][0], halves[1][0], prints);
}

/* The return to user space makes all null selectors zero. */
static uint16_t selector_seen(uint16_t selector)
{
	return selector < 4 ? 0 : selector;
}

static bool is_data_different(const struct outcome *native, const struct outcome *machine, bool prints)
{
	unsigned int i;

	if (!memcmp(native->data, machine->data, DATA_BYTES))
		return false;
	for (i = 0; i < DATA_BYTES && prints; i++)
		if (native->data[i] != machine->data[i])
			printf("#   [0x%llx] native 0x%02x machine 0x%02x\n", DATA_ADDRESS + i, native->data[i],
				machine->data[i]);
	return true;
}

/* Not the pointers: the host's kernel has its own by then. */
static bool is_fpu_different(const struct fpu *native, const struct fpu *machine, bool prints)
{
	bool ret = is_number_different("FCW", native->fcw, machine->fcw, prints);
	unsigned int i;
	char name[8];

	ret |= is_number_different("FSW", native->fsw, machine->fsw, prints);
	ret |= is_number_different("FTW", native->ftw, machine->ftw, prints);
	ret |= is_number_different("MXCSR", native->mxcsr, machine->mxcsr, prints);
	for (i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "ST%u", i);
		ret |= is_bytes_different(name, native->st[i], machine->st[i], 10, prints);
	}
	for (i = 0; i < 16; i++) {
		snprintf(name, sizeof(name), "XMM%u", i);
		ret |= is_bytes_different(name, (const uint8_t *)native->xmm[i], (const uint8_t *)machine->xmm[i], 16,
			prints);
	}
	return ret;
}

static bool is_different(const struct instance *instance, const struct outcome *native, const struct outcome *machine,
	uint64_t flags, bool prints)
{
	uint64_t mask = instance->is_64 ? ~0ull : 0xffffffff;
	unsigned int i, nr_regs = instance->is_64 ? 16 : 8;
	/* Of RSP there is but half once 32-bit code runs. */
	bool is_long = instance->is_64 && machine->segs[1] == 0x33, ret = false;

	for (i = 0; i < nr_regs; i++)
		if (i != 4)
		ret |= is_number_different(names[i], native->regs[i] & mask, machine->regs[i] & mask, prints);
	mask = is_long ? ~0ull : 0xffffffff;
	ret |= is_number_different("RSP", native->regs[4] & mask, machine->regs[4] & mask, prints);
	for (i = 0; i < 4; i++)
		ret |= is_number_different(segment_names[i], selector_seen(native->segs[i]),
			selector_seen(machine->segs[i]), prints);
	ret |= is_number_different("RIP", native->rip & mask, machine->rip & mask, prints);
	ret |= is_number_different("RFLAGS", native->rflags & flags, machine->rflags & flags, prints);
	ret |= is_fpu_different(&native->fpu, &machine->fpu, prints);
	ret |= is_number_different("vector", native->vector, machine->vector, prints);
	ret |= is_number_different("error", native->error, machine->error, prints);
	ret |= is_number_different("CR2", native->cr2 & mask, machine->cr2 & mask, prints);
	return is_data_different(native, machine, prints) || ret;
}

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
		printf(" %s 0x%llx", names[i], (unsigned long long)instance->regs[i]);
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
	flags = COMPARED_FLAGS & ~undefined_flags(&instance, &native);
	if (is_different(&instance, &native, &machine, flags, false)) {
		if (++progress->nr_differ > MAX_PRINTED)
			return;
	} else if (is_different(&instance, &native, &machine, COMPARED_FLAGS, false)) {
		if (++progress->nr_undefined > MAX_PRINTED || !options->is_strict)
			return;
		flags = COMPARED_FLAGS;
	} else {
		return;
	}
	print_instance(options, &instance, index);
	is_different(&instance, &native, &machine, flags, true);
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

/* Where the manual leaves a choice, the machine does what AMD's CPUs do. */
static bool is_amd(void)
{
	unsigned int eax, ebx, ecx, edx;

	return __get_cpuid(0, &eax, &ebx, &ecx, &edx) && ebx == signature_AMD_ebx;
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
	if (!is_amd()) {
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
