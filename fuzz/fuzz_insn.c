/* SPDX-License-Identifier: MIT */
/*
 * The machine against the CPU that this runs on, one instruction of user mode for each input: the first two bytes choose a
 * form, the rest is the seed of its bytes and of the state before (harness/differ/instance.h). Not with AddressSanitizer,
 * whose shadow is where instances have their code and data.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "selftest/differ/differ.h"
#include "target.h"

#define NO_AMD 77		/* what a test exits with that has nothing to say */
#define TIMEOUT_S 5

static const char *form_of(const uint8_t *bytes)
{
	size_t at = (bytes[0] | (size_t)bytes[1] << 8) % (nr_forms + nr_simd_forms);

	return at < nr_forms ? forms[at].name : simd_forms[at - nr_forms].name;
}

static uint64_t seed_of(const uint8_t *data, size_t len_bytes)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	while (len_bytes--)
		hash = (hash ^ *data++) * 0x100000001b3ull;
	return hash;
}

static void prepare(struct model **model, bool *has_32)
{
	if (*model)
		return;
	if (!differ_is_amd()) {
		fprintf(stderr, "fuzz_insn: the machine is an AMD CPU, and this is none\n");
		exit(NO_AMD);
	}
	if (!native_prepare())
		*model = model_new();
	if (!*model)
		abort();
	*has_32 = native_has_32();
}

static void fail(const struct instance *instance, const char *what)
{
	unsigned int i;

	fprintf(stderr, "fuzz_insn: %s, %u-bit:", instance->form->name, instance->is_64 ? 64 : 32);
	for (i = 0; i < instance->len; i++)
		fprintf(stderr, " %02x", instance->code[i]);
	fprintf(stderr, ": %s\n", what);
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
	static struct outcome native, machine;
	static struct model *model;
	static bool has_32;
	struct instance instance;
	const char *missing;

	if (len_bytes < 2)
		return -1;
	prepare(&model, &has_32);
	instance_make(&instance, seed_of(data + 2, len_bytes - 2), 0, form_of(data), has_32);
	alarm(TIMEOUT_S);
	native_run(&instance, &native);
	alarm(0);
	missing = model_run(model, &instance, &machine);
	if (missing)
		fail(&instance, missing);
	if (differ_outcomes(&instance, &native, &machine, differ_flags(&instance, &native), true))
		fail(&instance, "the machine does something else than this CPU");
	return 0;
}
