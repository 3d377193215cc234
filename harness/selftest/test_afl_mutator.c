/* SPDX-License-Identifier: MIT */
/* The mutator for AFL++, loaded as AFL++ does: mutants that can be read, and a trimming that keeps what it is told to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/input.h"
#include "fuzz/vmcb_ops.h"
#include "rng.h"

#define ASIDS "input vmcb\nl2 cpuid\nset asid 0\nl2 rdtsc\nset asid 7\nl2 hlt\n"

static struct {
	void *(*init)(void *afl, unsigned int seed);
	void (*deinit)(void *mutator);
	size_t (*fuzz)(void *mutator, uint8_t *data, size_t len, uint8_t **out, uint8_t *other, size_t other_len, size_t max);
	int32_t (*init_trim)(void *mutator, uint8_t *data, size_t len);
	size_t (*trim)(void *mutator, uint8_t **out);
	int32_t (*post_trim)(void *mutator, unsigned char is_same);
} afl;

static void *symbol(void *library, const char *name)
{
	void *at = dlsym(library, name);

	if (!at)
		fail_msg("%s", dlerror());
	return at;
}

static int load(void **state)
{
	void *library = dlopen(getenv("VMASSAY_TEST_AFL_MUTATOR"), RTLD_NOW | RTLD_LOCAL);

	if (!library)
		fail_msg("%s", dlerror());
	*(void **)&afl.init = symbol(library, "afl_custom_init");
	*(void **)&afl.deinit = symbol(library, "afl_custom_deinit");
	*(void **)&afl.fuzz = symbol(library, "afl_custom_fuzz");
	*(void **)&afl.init_trim = symbol(library, "afl_custom_init_trim");
	*(void **)&afl.trim = symbol(library, "afl_custom_trim");
	*(void **)&afl.post_trim = symbol(library, "afl_custom_post_trim");
	*state = library;
	return 0;
}

static int unload(void **state)
{
	dlclose(*state);
	return 0;
}

static void test_mutants(void **state)
{
	static uint8_t other[] = "input vmcb\nset rip 0x1234\n", data[] = ASIDS, broken[] = "nothing of ours";
	unsigned int i, nr_changed = 0, nr_crossed = 0;
	void *m = afl.init(NULL, 3);
	struct input input, was;
	uint8_t *out;

	(void)state;
	assert_non_null(m);
	assert_int_equal(input_parse((char *)data, sizeof(data) - 1, &was, NULL), 0);
	for (i = 0; i < 1000; i++) {
		size_t max = 64 + i, len = afl.fuzz(m, data, sizeof(data) - 1, &out, other, sizeof(other) - 1, max);

		assert_true(len && len <= max);
		assert_int_equal(input_parse((char *)out, len, &input, NULL), 0);
		nr_changed += !input_is_equal(&input, &was);
		nr_crossed += memmem(out, len, "0x1234", 6) != NULL;
	}
	assert_true(nr_changed > 900 && nr_crossed > 50);
	/* What is no input becomes one; there may be nothing to cross it with. */
	i = (unsigned int)afl.fuzz(m, broken, sizeof(broken) - 1, &out, NULL, 0, 4096);
	assert_int_equal(input_parse((char *)out, i, &input, NULL), 0);
	assert_int_equal(afl.fuzz(m, data, sizeof(data) - 1, &out, NULL, 0, 4), 0);
	afl.deinit(m);
}

/* As AFL++ does it, for an input whose worth is the second ASID. */
static void test_trim(void **state)
{
	static uint8_t data[] = ASIDS, broken[] = "input vmcb\nset";
	int32_t nr, done = 0, nr_asked = 0;
	void *m = afl.init(NULL, 3);
	struct input input;
	uint8_t *out, last[4096];
	size_t len, last_len = 0;

	(void)state;
	nr = afl.init_trim(m, data, sizeof(data) - 1);
	assert_int_equal(nr, 5);
	while (done < nr) {
		len = afl.trim(m, &out);
		assert_int_equal(input_parse((char *)out, len, &input, NULL), 0);
		if (memmem(out, len, "asid 7", 6)) {
			memcpy(last, out, len);
			last_len = len;
			done = afl.post_trim(m, 1);
		} else {
			done = afl.post_trim(m, 0);
		}
		assert_int_equal(done, ++nr_asked);
	}
	assert_int_equal(last_len, strlen("input vmcb\nset asid 7\n"));
	assert_memory_equal(last, "input vmcb\nset asid 7\n", last_len);
	assert_int_equal(afl.init_trim(m, broken, sizeof(broken) - 1), 0);
	afl.deinit(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mutants),
		cmocka_unit_test(test_trim),
	};

	return cmocka_run_group_tests(tests, load, unload);
}
