/* SPDX-License-Identifier: MIT */
/* The format of fuzzed inputs: what is read and refused, mutation that keeps inputs writable, minimisation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "err.h"
#include "fuzz/input.h"
#include "fuzz/ioctl_ops.h"
#include "fuzz/vmcb_ops.h"

#define TEXT_BYTES 16384

static void parse_ok(const char *text, struct input *input)
{
	struct err err;
	int r = input_parse(text, strlen(text), input, &err);

	if (r)
		print_error("%s\n", err.text);
	assert_int_equal(r, 0);
}

static const char by_hand[] =
	"# what it is for\n"
	"input vmcb\n"
	"\n"
	"rule asid_zero illegal 0 0\t# the only one\r\n"
	"set cr0 0x80000031\n"
	"xor cs.attrib 512\n"
	"  intercept cpuid off\n"
	"npt set 0x30000 1 0\n"
	"poke 0x30000 0fa2f4\n"
	"run\n"
	"expect refused   rule=asid_zero\n"
	"known cpu\n"
	"expect exit=hlt\n"
	"known 0110";

static const char as_printed[] =
	"input vmcb\n"
	"rule asid_zero illegal 0 0\n"
	"set cr0 0x80000031\n"
	"xor cs.attrib 0x200\n"
	"intercept cpuid off\n"
	"npt set 0x30000 1 0\n"
	"poke 0x30000 0fa2f4\n"
	"run\n"
	"expect refused rule=asid_zero\n"
	"expect exit=hlt\n"
	"known cpu 0110\n";

static void test_by_hand(void **state)
{
	struct input input;
	char text[1024];
	size_t len;

	(void)state;
	parse_ok(by_hand, &input);
	assert_int_equal(input.nr_ops, 7);
	assert_int_equal(input.ops[1].args[1], 0x80000031);
	assert_int_equal(input.ops[5].nr_bytes, 3);
	len = input_print(&input, text, sizeof(text));
	assert_string_equal(text, as_printed);
	assert_int_equal(len, strlen(as_printed));
	assert_int_equal(input_print(&input, text, 5), len);
	assert_string_equal(text, "inpu");
}

static const struct refusal {
	const char *text, *says;
} refusals[] = {
	{ "", "line 1: it ends before 'input vmcb' or 'input ioctl'" },
	{ "# nothing\n", "line 2: it ends before 'input vmcb' or 'input ioctl'" },
	{ "set cr0 1\n", "line 1: it must begin with 'input vmcb' or 'input ioctl'" },
	{ "input vmcs\n", "line 1: input: there is no 'vmcs'" },
	{ "input vmcb now\n", "line 1: it must begin with 'input vmcb' or 'input ioctl'" },
	{ "input vmcb\nsett cr0 1\n", "line 2: there is no operation 'sett'" },
	{ "input vmcb\n\nset cr0\n", "line 3: set: 2 operands, not 1" },
	{ "input vmcb\nrun 1\n", "line 2: run: 0 operands, not 1" },
	{ "input vmcb\nset cr9 1\n", "line 2: set: field: there is no 'cr9'" },
	{ "input vmcb\nset cr0 x\n", "line 2: set: value: 'x' is no number" },
	{ "input vmcb\nset cr0 -1\n", "line 2: set: value: '-1' is no number" },
	{ "input vmcb\nset cr0 1g\n", "line 2: set: value: '1g' is no number" },
	{ "input vmcb\nset cr0 0x\n", "line 2: set: value: '0x' is no number" },
	{ "input vmcb\nset cr0 0x10000000000000000\n", "line 2: set: value: 0x10000000000000000 has more than 64 bits" },
	{ "input vmcb\nset asid 0x100000000\n", "line 2: set: value: 0x100000000 is more than 0xffffffff" },
	{ "input vmcb\nset cpl 256\n", "line 2: set: value: 256 is more than 0xff" },
	{ "input vmcb\niopm 65536 on\n", "line 2: iopm: port: 65536 is more than 0xffff" },
	{ "input vmcb\niopm 1 maybe\n", "line 2: iopm: state: there is no 'maybe'" },
	{ "input vmcb\npoke 0 0fa\n", "line 2: poke: bytes: '0fa' is not pairs of hexadecimal digits" },
	{ "input vmcb\npoke 0 0FA2\n", "line 2: poke: bytes: '0FA2' is not pairs of hexadecimal digits" },
	{ "input vmcb\nl2_bytes 0000000000000000000000000000000000\n", "line 2: l2_bytes: bytes: more than 16 bytes" },
	{ "input vmcb\nset cr0 \001\n", "line 2: byte 0x01 is no text" },
	{ "input vmcb\na b c d e f g h i\n", "line 2: more than 8 words" },
	{ "input vmcb\nexpect\n", "line 2: expect: no words behind it" },
	{ "input vmcb\nknown\n", "line 2: known: no words behind it" },
	{ "input vmcb\nknown 0000000000000000000000000000000000000000000000000000000000000000\n",
	  "line 2: known: all of them are more than 63 bytes" },
	{ "input ioctl\nvm vm8 0\n", "line 2: vm: vm: 'vm8' is none of vm0 to vm7" },
	{ "input ioctl\nvm vcpu0 0\n", "line 2: vm: vm: 'vcpu0' is none of vm0 to vm7" },
	{ "input ioctl\nvm vm10 0\n", "line 2: vm: vm: 'vm10' is none of vm0 to vm7" },
	{ "input ioctl\nintercept hlt on\n", "line 2: there is no operation 'intercept'" },
};

static void test_refusals(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		struct input input = { .nr_ops = 77 };
		struct err err;

		assert_int_not_equal(input_parse(refusals[i].text, strlen(refusals[i].text), &input, &err), 0);
		assert_string_equal(err.text, refusals[i].says);
		assert_int_equal(input.nr_ops, 77);
	}
}

/* Repeats @line until it is refused: what is too much is said, too. */
static void assert_limit(const char *line, const char *says)
{
	static char text[TEXT_BYTES];
	struct input input;
	struct err err;
	size_t len = (size_t)sprintf(text, "input vmcb\n");

	while (len + strlen(line) < sizeof(text))
		len += (size_t)sprintf(text + len, "%s", line);
	assert_int_not_equal(input_parse(text, len, &input, &err), 0);
	assert_string_equal(err.text, says);
}

static void test_limits(void **state)
{
	(void)state;
	assert_limit("run\n", "line 50: more than 48 operations");
	assert_limit("r", "line 2: longer than 255 bytes");
	assert_limit("expect exit=hlt memory=0x1234567890\n",
		     "line 37: expect: all of them are more than 1023 bytes");
}

static void random_input(struct input *input, const struct input_domain *domain, struct rng *rng)
{
	uint64_t nr = rng_below(rng, 20);

	input_init(input, domain);
	while (nr--) {
		struct input_op op;

		input_op_random(domain, &op, rng);
		assert_true(input_append(input, &op));
	}
}

static void assert_round_trip(const struct input *input)
{
	static char text[TEXT_BYTES], again[TEXT_BYTES];
	struct input read;

	assert_true(input_print(input, text, sizeof(text)) < sizeof(text));
	parse_ok(text, &read);
	assert_true(input_is_equal(input, &read));
	input_print(&read, again, sizeof(again));
	assert_string_equal(text, again);
}

static void round_trips(const struct input_domain *domain)
{
	struct rng rng = { 1 };
	unsigned int i;

	for (i = 0; i < 3000; i++) {
		struct input one, other, both;
		unsigned int step;

		random_input(&one, domain, &rng);
		random_input(&other, domain, &rng);
		assert_round_trip(&one);
		for (step = 0; step < 4; step++)
			input_mutate(&one, &rng);
		assert_round_trip(&one);
		input_cross(&one, &other, &both, &rng);
		assert_round_trip(&both);
	}
}

static void test_round_trips(void **state)
{
	(void)state;
	round_trips(&vmcb_domain);
	round_trips(&ioctl_domain);
}

/* Every operation comes, and every word of its operands. */
static void test_mutator_reaches_all(void **state)
{
	bool ops[NR_VMCB_OPS] = { 0 }, intercepts[NR_INTERCEPTS] = { 0 };
	struct rng rng = { 2 };
	struct input_op op;
	unsigned int i;

	(void)state;
	for (i = 0; i < 200000; i++) {
		input_op_random(&vmcb_domain, &op, &rng);
		ops[op.kind] = true;
		if (op.kind == VMCB_OP_INTERCEPT)
			intercepts[op.args[0]] = true;
	}
	for (i = 0; i < NR_VMCB_OPS; i++)
		assert_true(ops[i]);
	for (i = 0; i < NR_INTERCEPTS; i++)
		assert_true(intercepts[i]);
}

/* A seed is an input, whenever. */
static void test_seeded(void **state)
{
	struct rng one = { 3 }, other = { 3 };
	struct input a, b;
	unsigned int i;

	(void)state;
	input_init(&a, &vmcb_domain);
	input_init(&b, &vmcb_domain);
	for (i = 0; i < 100; i++) {
		input_mutate(&a, &one);
		input_mutate(&b, &other);
		assert_true(input_is_equal(&a, &b));
	}
}

static bool keeps_paging_off(void *context, const struct input *input)
{
	bool has_run = false;
	unsigned int i;

	++*(unsigned int *)context;
	for (i = 0; i < input->nr_ops; i++) {
		const struct input_op *op = &input->ops[i];

		has_run |= op->kind == VMCB_OP_RUN;
		if (has_run && op->kind == VMCB_OP_XOR && !strcmp(vmcb_fields[op->args[0]].name, "cr0") &&
		    (op->args[1] & 0x80000001) == 0x80000001)
			return true;
	}
	return false;
}

static void test_minimise(void **state)
{
	unsigned int nr_asked = 0, nr, i, at;
	struct rng rng = { 4 };
	struct input input, cause;
	char text[256];

	(void)state;
	parse_ok("input vmcb\nrun\nxor cr0 0xf234567880005431\n", &cause);
	random_input(&input, &vmcb_domain, &rng);
	for (at = 0; at < cause.nr_ops; at++) {
		assert_true(input_append(&input, &cause.ops[at]));
		for (i = 0; i < 8; i++) {
			input_op_random(&vmcb_domain, &input.ops[input.nr_ops], &rng);
			input.nr_ops++;
		}
	}
	assert_true(keeps_paging_off(&nr_asked, &input));
	nr_asked = 0;
	nr = input_minimise(&input, keeps_paging_off, &nr_asked);
	assert_int_equal(nr, nr_asked);
	input_print(&input, text, sizeof(text));
	assert_string_equal(text, "input vmcb\nrun\nxor cr0 0x80000001\n");
	assert_in_range(nr_asked, 1, 500);
}

static void test_files(void **state)
{
	char path[] = "/tmp/vmassay-input-XXXXXX";
	struct input input, read;
	struct err err;
	int fd = mkstemp(path);
	FILE *file;

	(void)state;
	assert_true(fd >= 0);
	parse_ok(by_hand, &input);
	assert_int_equal(input_write(&input, path, &err), 0);
	assert_int_equal(input_read(path, &read, &err), 0);
	assert_true(input_is_equal(&input, &read));
	assert_string_equal(input.expect, read.expect);
	assert_string_equal(read.known, "cpu 0110 ");
	close(fd);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("input vmcb\nset cr0 nothing\n", file);
	fclose(file);
	assert_int_not_equal(input_read(path, &read, &err), 0);
	assert_non_null(strstr(err.text, path));
	assert_non_null(strstr(err.text, ": line 2: set: value: 'nothing' is no number"));
	unlink(path);
	assert_int_not_equal(input_read(path, &read, &err), 0);
	assert_non_null(strstr(err.text, "No such file"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_hand),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_mutator_reaches_all),
		cmocka_unit_test(test_seeded),
		cmocka_unit_test(test_minimise),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
