/* SPDX-License-Identifier: MIT */
/* What a quirk moves, and that it moves nothing else, on its own targets only. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "runner/quirks.h"

#define CODE 0xb
#define DATA 0x3

static const struct kvm_sregs real = { .cs.type = CODE, .ds.type = DATA, .cr2 = 0x1000 };
static const struct kvm_sregs protected = { .cs.type = CODE, .cr0 = 1, .cr2 = 0x1000 };

/* @want after the shift on @target is @expected. */
static void assert_shift(const char *target, struct kvm_sregs want, const struct kvm_sregs *got,
			 const struct kvm_sregs *expected)
{
	quirks_shift_sregs(target, &want, got);
	assert_memory_equal(&want, expected, sizeof(want));
}

static void test_cs_type(void **state)
{
	struct kvm_sregs got, shifted = real;

	(void)state;
	memset(&got, 0x55, sizeof(got));
	assert_shift("lab-vmx", real, &got, &real);
	got.cs.type = DATA;
	shifted.cs.type = DATA;
	assert_shift("lab-vmx", real, &got, &shifted);
	assert_shift("lab-vmx", protected, &got, &protected);
	shifted.cr2 = got.cr2;
	assert_shift("lab-svm-bochs", real, &got, &shifted);
	/* What was set as data is no quirk's. */
	shifted = real;
	shifted.cs.type = 1;
	assert_shift("lab-vmx", shifted, &got, &shifted);
}

static void test_cr2(void **state)
{
	struct kvm_sregs got = protected, shifted = protected;

	(void)state;
	got.cr2 = 0x2000;
	shifted.cr2 = 0x2000;
	assert_shift("lab-svm-bochs", protected, &got, &shifted);
	assert_shift("lab-vmx", protected, &got, &protected);
	assert_true(quirks_lose_cr2("lab-svm-bochs"));
	assert_true(quirks_miss_windows("lab-svm-bochs"));
	assert_false(quirks_miss_windows("lab-vmx"));
	assert_false(quirks_miss_windows("lab-svm"));
	assert_false(quirks_lose_cr2("lab-vmx"));
}

static void test_elsewhere(void **state)
{
	static const char *const targets[] = { "kvm", "lab-svm", "soft-svm", "soft-vmx", "bare", "fake", "" };
	struct kvm_sregs got = real;
	size_t i;

	(void)state;
	got.cs.type = DATA;
	got.cr2 = 0x2000;
	for (i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		assert_shift(targets[i], real, &got, &real);
		assert_false(quirks_lose_cr2(targets[i]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cs_type), cmocka_unit_test(test_cr2), cmocka_unit_test(test_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
