/* SPDX-License-Identifier: MIT */
/*
 * Every check of case.h, on a KVM that plays a script: it holds when the script is right, and fails when one thing in
 * it is not, with the note's file, line, text, want, got and fields; expect_x() goes on then, require_x() ends the case.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "here.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* What HOST() did. */
static struct {
	unsigned int line;	/* of the check */
	bool held;
	bool went_on;
} seen;

/* A HOST() of one check. */
#define FORM(name_, check_)								\
	static void host_##name_(struct test *t)					\
	{										\
		seen.line = __LINE__;							\
		seen.held = check_;							\
		seen.went_on = true;							\
	}
#define EXPECT(name_, check_) FORM(expect_##name_, expect_##check_)
#define BOTH(name_, check_) EXPECT(name_, check_) FORM(require_##name_, require_##check_)

static const uint8_t twelve[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };
static const uint8_t other_twelve[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13 };
static const struct kvm_regs want_regs = { .rax = 1, .r15 = 0x15, .rip = 0x1000, .rflags = 2 };
static struct kvm_regs got_regs;
static const struct kvm_sregs want_sregs = { .cs.selector = 8, .cr3 = 0x6000, .efer = 0x500 };
static struct kvm_sregs got_sregs;
static uint64_t value;
static long result_number;
static bool condition;

BOTH(exit, exit(t, .reason = KVM_EXIT_FAIL_ENTRY, .fail_entry = { .hardware_entry_failure_reason = 7, .cpu = 1 }))
BOTH(pio_out, pio_out(t, .port = 0x80, .size = 1, .count = 1, .data = 0x5a))
EXPECT(pio_out_long, pio_out(t, .port = 0x80, .size = 4, .count = 3, .data = 0x0807060504030201, .bytes = twelve,
			     .nr_bytes = 12))
BOTH(pio_in, pio_in(t, 0x12345678, .port = 0x90, .size = 4, .count = 1))
EXPECT(pio_in_bytes, pio_in_bytes(t, twelve, .port = 0x90, .size = 4, .count = 3))
BOTH(mmio_write, mmio_write(t, .phys_addr = 0xd0004, .len = 4, .data = 0x1234))
BOTH(mmio_read, mmio_read(t, 0x77, .phys_addr = 0xd0000, .len = 1))
BOTH(hlt, hlt(t))
EXPECT(shutdown, shutdown(t))
EXPECT(irq_window, irq_window(t))
BOTH(done, done(t))
BOTH(sync, sync(t, 3))
EXPECT(all_done, all_done(t))
EXPECT(run_error, run_error(t, EFAULT))
BOTH(eq, eq(t, 0x12, value))
/* Note, true and errno are macros. */
FORM(expect_truth, expect_true(t, condition))
FORM(require_truth, require_true(t, condition))
FORM(expect_an_errno, expect_errno(t, EINVAL, result_number))
BOTH(result, result(t, 3, result_number))
EXPECT(bytes, bytes(t, twelve, other_twelve + 0 * value, value))
EXPECT(regs, regs(t, &want_regs, &got_regs))
EXPECT(sregs, sregs(t, &want_sregs, &got_sregs))

struct row {
	const char *label;
	void (*host)(struct test *t);
	struct fake_step steps[3];
	bool is_require;
	bool is_host_only;	/* NO_GUEST: no page, no state */
	uint64_t value;
	long result_number;
	unsigned int nr_checks;	/* 0: 1 */
	bool has_no_run;	/* nothing ran, so nothing is dumped */

	/* Where the check does not hold. */
	const char *text;
	const char *want;
	const char *got;
	const char *fields;
	const char *reason;	/* instead of a check's note */
};

#define FAIL_ENTRY_7_1 STEP_EXIT(.reason = KVM_EXIT_FAIL_ENTRY,				\
	.fail_entry = { .hardware_entry_failure_reason = 7, .cpu = 1 })
#define OUT_80_5A STEP_OUT(.port = 0x80, .size = 1, .count = 1, .data = 0x5a)
#define IN_90 STEP_IN(.port = 0x90, .size = 4, .count = 1)
#define MMIO_WRITE STEP_MMIO(.phys_addr = 0xd0004, .len = 4, .data = 0x1234, .is_write = 1)
#define MMIO_READ STEP_MMIO(.phys_addr = 0xd0000, .len = 1)
#define HALTED STEP_EXIT(.reason = KVM_EXIT_HLT)
#define SHUT_DOWN STEP_EXIT(.reason = KVM_EXIT_SHUTDOWN)
#define WINDOW STEP_EXIT(.reason = KVM_EXIT_IRQ_WINDOW_OPEN)

/* What each form prints as wanted. */
#define W_FAIL_ENTRY "FAIL_ENTRY hardware_entry_failure_reason=0x7 cpu=1"
#define W_OUT "IO direction=out port=0x80 size=1 count=1 data=0x5a"
#define W_IN "IO direction=in port=0x90 size=4 count=1 data=0x0"
#define W_WRITE "MMIO phys_addr=0xd0004 len=4 is_write=yes data=0x1234"
#define W_READ "MMIO phys_addr=0xd0000 len=1 is_write=no data=0x0"

#define DIFFERS .text = "the exit differs"
#define MISSING .text = "the exit is missing", .fields = "reason"
#define UNEXPECTED .text = "an exit that nobody expected", .fields = "reason"

/* A form of which both kinds exist. */
#define ROWS_BOTH(label_, form_, ...)							\
	{ "expect_" #form_ ": " label_, host_expect_##form_, __VA_ARGS__ },		\
	{ "require_" #form_ ": " label_, host_require_##form_, .is_require = true, __VA_ARGS__ }
#define ROW_EXPECT(label_, form_, ...) { "expect_" #form_ ": " label_, host_expect_##form_, __VA_ARGS__ }
#define STEPS(...) .steps = { __VA_ARGS__ }

/* What must fail every check that waits for an ordinary exit. */
#define ROWS_NO_EXIT(rows_, form_, want_)						\
	rows_("guest done", form_, STEPS(STEP_DONE), MISSING, .want = want_, .got = "no exit, the guest is done"), \
	rows_("at a stage", form_, STEPS(STEP_SYNC(2)), MISSING, .want = want_,	\
	      .got = "no exit, the guest is at stage 2"),				\
	rows_("KVM_RUN fails", form_, STEPS(STEP_FAIL(EFAULT)), .text = "KVM_RUN", .want = "an exit",	\
	      .got = "EFAULT"),								\
	rows_("guest died", form_, STEPS(STEP_DIED(.vector = 14, .error_code = 2, .rip = 0x5, .cr2 = 0x99)),	\
	      .reason = "vCPU 0 of the guest took #PF(0x2) that nobody expected, at unknown code, RIP 0x5, "	\
			"CR2 0x99"),							\
	rows_("other reason", form_, STEPS(STEP_EXIT(.reason = KVM_EXIT_SHUTDOWN + 69)), DIFFERS,	\
	      .fields = "reason", .want = want_, .got = "77")

static const struct row rows[] = {
	ROWS_BOTH("right", exit, STEPS(FAIL_ENTRY_7_1)),
	ROWS_BOTH("reason's field", exit,
		  STEPS(STEP_EXIT(.reason = KVM_EXIT_FAIL_ENTRY, .fail_entry = { 8, 1 })), DIFFERS,
		  .fields = "hardware_entry_failure_reason", .want = W_FAIL_ENTRY,
		  .got = "FAIL_ENTRY hardware_entry_failure_reason=0x8 cpu=1"),
	ROWS_BOTH("cpu, which was not named", exit,
		  STEPS(STEP_EXIT(.reason = KVM_EXIT_FAIL_ENTRY, .fail_entry = { 7, 0 })), DIFFERS, .fields = "cpu",
		  .want = W_FAIL_ENTRY, .got = "FAIL_ENTRY hardware_entry_failure_reason=0x7 cpu=0"),
	ROWS_BOTH("without a guest", exit, STEPS(FAIL_ENTRY_7_1), .is_host_only = true),
	ROWS_BOTH("without a guest, other reason", exit, STEPS(HALTED), .is_host_only = true, DIFFERS,
		  .fields = "reason", .want = W_FAIL_ENTRY, .got = "HLT"),
	ROWS_NO_EXIT(ROWS_BOTH, exit, W_FAIL_ENTRY),

	ROWS_BOTH("right", pio_out, STEPS(OUT_80_5A)),
	ROWS_BOTH("port", pio_out, STEPS(STEP_OUT(.port = 0x81, .size = 1, .count = 1, .data = 0x5a)), DIFFERS,
		  .fields = "port", .want = W_OUT, .got = "IO direction=out port=0x81 size=1 count=1 data=0x5a"),
	ROWS_BOTH("size", pio_out, STEPS(STEP_OUT(.port = 0x80, .size = 2, .count = 1, .data = 0x5a)), DIFFERS,
		  .fields = "size", .want = W_OUT, .got = "IO direction=out port=0x80 size=2 count=1 data=0x5a"),
	ROWS_BOTH("count", pio_out, STEPS(STEP_OUT(.port = 0x80, .size = 1, .count = 2, .data = 0x5a)), DIFFERS,
		  .fields = "count", .want = W_OUT, .got = "IO direction=out port=0x80 size=1 count=2 data=0x5a"),
	ROWS_BOTH("data", pio_out, STEPS(STEP_OUT(.port = 0x80, .size = 1, .count = 1, .data = 0x5b)), DIFFERS,
		  .fields = "data", .want = W_OUT, .got = "IO direction=out port=0x80 size=1 count=1 data=0x5b"),
	ROWS_BOTH("direction", pio_out, STEPS(STEP_IN(.port = 0x80, .size = 1, .count = 1)), DIFFERS,
		  .fields = "direction,data", .want = W_OUT, .got = "IO direction=in  port=0x80 size=1 count=1 data=0x0"),
	ROWS_NO_EXIT(ROWS_BOTH, pio_out, W_OUT),
	ROW_EXPECT("right", pio_out_long,
		   STEPS(STEP_OUT(.port = 0x80, .size = 4, .count = 3, .bytes = twelve, .nr_bytes = 12))),
	ROW_EXPECT("a byte beyond the eighth", pio_out_long,
		   STEPS(STEP_OUT(.port = 0x80, .size = 4, .count = 3, .bytes = other_twelve, .nr_bytes = 12)),
		   DIFFERS, .fields = "bytes",
		   .want = "IO direction=out port=0x80 size=4 count=3 data=0x807060504030201 nr_bytes=12 "
			   "bytes=0102030405060708090a0b0c differ_at=11",
		   .got = "IO direction=out port=0x80 size=4 count=3 data=0x807060504030201 nr_bytes=12 "
			  "bytes=0102030405060708090a0b0d differ_at=11"),

	ROWS_BOTH("right", pio_in, STEPS(IN_90)),
	ROWS_BOTH("port", pio_in, STEPS(STEP_IN(.port = 0x91, .size = 4, .count = 1)), DIFFERS, .fields = "port",
		  .want = W_IN, .got = "IO direction=in port=0x91 size=4 count=1 data=0x0"),
	ROWS_BOTH("size", pio_in, STEPS(STEP_IN(.port = 0x90, .size = 2, .count = 1)), DIFFERS, .fields = "size",
		  .want = W_IN, .got = "IO direction=in port=0x90 size=2 count=1 data=0x0"),
	ROWS_BOTH("count", pio_in, STEPS(STEP_IN(.port = 0x90, .size = 4, .count = 2)), DIFFERS, .fields = "count",
		  .want = W_IN, .got = "IO direction=in port=0x90 size=4 count=2 data=0x0"),
	ROWS_BOTH("direction", pio_in, STEPS(STEP_OUT(.port = 0x90, .size = 4, .count = 1, .data = 5)), DIFFERS,
		  .fields = "direction,data", .want = "IO direction=in  port=0x90 size=4 count=1 data=0x0",
		  .got = "IO direction=out port=0x90 size=4 count=1 data=0x5"),
	ROWS_NO_EXIT(ROWS_BOTH, pio_in, W_IN),
	ROW_EXPECT("right", pio_in_bytes, STEPS(STEP_IN(.port = 0x90, .size = 4, .count = 3))),
	ROW_EXPECT("count", pio_in_bytes, STEPS(STEP_IN(.port = 0x90, .size = 4, .count = 1)), DIFFERS,
		   .fields = "count", .want = "IO direction=in port=0x90 size=4 count=3 data=0x0",
		   .got = "IO direction=in port=0x90 size=4 count=1 data=0x0"),
	ROWS_NO_EXIT(ROW_EXPECT, pio_in_bytes, "IO direction=in port=0x90 size=4 count=3 data=0x0"),

	ROWS_BOTH("right", mmio_write, STEPS(MMIO_WRITE)),
	ROWS_BOTH("address", mmio_write,
		  STEPS(STEP_MMIO(.phys_addr = 0xd0008, .len = 4, .data = 0x1234, .is_write = 1)), DIFFERS,
		  .fields = "phys_addr", .want = W_WRITE, .got = "MMIO phys_addr=0xd0008 len=4 is_write=yes data=0x1234"),
	ROWS_BOTH("length", mmio_write,
		  STEPS(STEP_MMIO(.phys_addr = 0xd0004, .len = 2, .data = 0x1234, .is_write = 1)), DIFFERS,
		  .fields = "len", .want = W_WRITE, .got = "MMIO phys_addr=0xd0004 len=2 is_write=yes data=0x1234"),
	ROWS_BOTH("data", mmio_write,
		  STEPS(STEP_MMIO(.phys_addr = 0xd0004, .len = 4, .data = 0x1235, .is_write = 1)), DIFFERS,
		  .fields = "data", .want = W_WRITE, .got = "MMIO phys_addr=0xd0004 len=4 is_write=yes data=0x1235"),
	ROWS_BOTH("a read", mmio_write, STEPS(STEP_MMIO(.phys_addr = 0xd0004, .len = 4)), DIFFERS,
		  .fields = "is_write,data", .want = W_WRITE, .got = "MMIO phys_addr=0xd0004 len=4 is_write=no  data=0x0"),
	ROWS_NO_EXIT(ROWS_BOTH, mmio_write, W_WRITE),

	ROWS_BOTH("right", mmio_read, STEPS(MMIO_READ)),
	ROWS_BOTH("address", mmio_read, STEPS(STEP_MMIO(.phys_addr = 0xd0001, .len = 1)), DIFFERS,
		  .fields = "phys_addr", .want = W_READ, .got = "MMIO phys_addr=0xd0001 len=1 is_write=no data=0x0"),
	ROWS_BOTH("length", mmio_read, STEPS(STEP_MMIO(.phys_addr = 0xd0000, .len = 8)), DIFFERS, .fields = "len",
		  .want = W_READ, .got = "MMIO phys_addr=0xd0000 len=8 is_write=no data=0x0"),
	ROWS_BOTH("a write", mmio_read, STEPS(STEP_MMIO(.phys_addr = 0xd0000, .len = 1, .data = 9, .is_write = 1)),
		  DIFFERS, .fields = "is_write,data", .want = "MMIO phys_addr=0xd0000 len=1 is_write=no  data=0x0",
		  .got = "MMIO phys_addr=0xd0000 len=1 is_write=yes data=0x9"),
	ROWS_NO_EXIT(ROWS_BOTH, mmio_read, W_READ),

	ROWS_BOTH("right", hlt, STEPS(HALTED)),
	ROWS_BOTH("an OUT", hlt, STEPS(OUT_80_5A), DIFFERS, .fields = "reason", .want = "HLT", .got = W_OUT),
	ROWS_NO_EXIT(ROWS_BOTH, hlt, "HLT"),
	ROW_EXPECT("right", shutdown, STEPS(SHUT_DOWN)),
	ROW_EXPECT("HLT", shutdown, STEPS(HALTED), DIFFERS, .fields = "reason", .want = "SHUTDOWN", .got = "HLT"),
	ROWS_NO_EXIT(ROW_EXPECT, shutdown, "SHUTDOWN"),
	ROW_EXPECT("right", irq_window, STEPS(WINDOW)),
	ROW_EXPECT("HLT", irq_window, STEPS(HALTED), DIFFERS, .fields = "reason", .want = "IRQ_WINDOW_OPEN",
		   .got = "HLT"),
	ROWS_NO_EXIT(ROW_EXPECT, irq_window, "IRQ_WINDOW_OPEN"),

	ROWS_BOTH("right", done, STEPS(STEP_DONE)),
	ROWS_BOTH("an extra exit", done, STEPS(OUT_80_5A), UNEXPECTED, .want = "the guest is done",
		  .got = W_OUT " (guest: running)"),
	ROWS_BOTH("the done port, but the guest is not done", done,
		  STEPS(STEP_OUT(.port = DONE_PORT, .size = 1, .count = 1)), UNEXPECTED, .want = "the guest is done",
		  .got = "IO direction=out port=0xf4 size=1 count=1 data=0x0 (guest: running)"),
	ROWS_BOTH("at a stage", done, STEPS(STEP_SYNC(1)), UNEXPECTED, .want = "the guest is done",
		  .got = "IO direction=out port=0xf5 size=1 count=1 data=0x0 (guest: at a stage)"),
	ROWS_BOTH("done by another exit", done, STEPS({ .kind = FAKE_EXIT, .state = ABI_STATE_DONE,
							.exit = { .reason = KVM_EXIT_HLT } }), DIFFERS,
		  .fields = "reason", .want = "IO direction=out port=0xf4 size=1 count=1 data=0x0", .got = "HLT"),
	ROWS_BOTH("done twice as wide", done,
		  STEPS({ .kind = FAKE_EXIT, .state = ABI_STATE_DONE, .exit = { .reason = KVM_EXIT_IO,
			.io = { .direction = KVM_EXIT_IO_OUT, .port = DONE_PORT, .size = 2, .count = 1 } } }), DIFFERS,
		  .fields = "size", .want = "IO direction=out port=0xf4 size=1 count=1 data=0x0",
		  .got = "IO direction=out port=0xf4 size=2 count=1 data=0x0"),
	ROWS_BOTH("KVM_RUN fails", done, STEPS(STEP_FAIL(EINTR)), .text = "KVM_RUN", .want = "an exit",
		  .got = "EINTR"),
	ROWS_BOTH("guest died", done, STEPS(STEP_DIED(.vector = 6, .rip = 0x5)),
		  .reason = "vCPU 0 of the guest took #UD(0x0) that nobody expected, at unknown code, RIP 0x5, "
			    "CR2 0x0"),
	ROWS_BOTH("without a guest", done, STEPS(HALTED), .is_host_only = true, UNEXPECTED,
		  .want = "the guest is done", .got = "HLT (guest: unknown)"),

	ROWS_BOTH("right", sync, STEPS(STEP_SYNC(3)), .nr_checks = 2),
	ROWS_BOTH("other stage", sync, STEPS(STEP_SYNC(4)), .nr_checks = 2, .text = "the guest's stage",
		  .want = "0x3", .got = "0x4"),
	ROWS_BOTH("done", sync, STEPS(STEP_DONE), UNEXPECTED, .want = "the guest is at stage 3",
		  .got = "IO direction=out port=0xf4 size=1 count=1 data=0x0 (guest: done)"),
	ROWS_BOTH("an extra exit", sync, STEPS(OUT_80_5A), UNEXPECTED, .want = "the guest is at stage 3",
		  .got = W_OUT " (guest: running)"),
	ROWS_BOTH("KVM_RUN fails", sync, STEPS(STEP_FAIL(ENOMEM)), .text = "KVM_RUN", .want = "an exit",
		  .got = "ENOMEM"),
	ROWS_BOTH("guest died", sync, STEPS(STEP_DIED(.vector = 0x40, .rip = 0x5)),
		  .reason = "vCPU 0 of the guest took interrupt 0x40 that nobody expected, at unknown code, RIP 0x5, "
			    "CR2 0x0"),

	ROW_EXPECT("right", all_done, STEPS(STEP_DONE)),
	ROW_EXPECT("waits for another vCPU", all_done,
		   STEPS(STEP_OUT(.port = YIELD_PORT, .size = 1, .count = 1),
			 STEP_OUT(.port = YIELD_PORT, .size = 1, .count = 1), STEP_DONE)),
	ROW_EXPECT("reads where it would wait", all_done, STEPS(STEP_IN(.port = YIELD_PORT, .size = 1, .count = 1)),
		   UNEXPECTED, .want = "vCPU 0 is done", .got = "IO direction=in port=0xf6 size=1 count=1 data=0x0"),
	ROW_EXPECT("an extra exit", all_done, STEPS(OUT_80_5A), UNEXPECTED, .want = "vCPU 0 is done", .got = W_OUT),
	ROW_EXPECT("KVM_RUN fails", all_done, STEPS(STEP_FAIL(EFAULT)), UNEXPECTED, .want = "vCPU 0 is done",
		   .got = "EFAULT"),
	ROW_EXPECT("guest died", all_done, STEPS(STEP_DIED(.vector = 13, .error_code = 0x18, .rip = 0x5)),
		   .reason = "vCPU 0 of the guest took #GP(0x18) that nobody expected, at unknown code, RIP 0x5, "
			     "CR2 0x0"),

	ROW_EXPECT("right", run_error, STEPS(STEP_FAIL(EFAULT))),
	ROW_EXPECT("other error", run_error, STEPS(STEP_FAIL(EINVAL)), .text = "KVM_RUN", .want = "EFAULT",
		   .got = "EINVAL"),
	ROW_EXPECT("an exit", run_error, STEPS(OUT_80_5A), .text = "KVM_RUN", .want = "EFAULT", .got = "0"),

	ROWS_BOTH("right", eq, .value = 0x12),
	ROWS_BOTH("wrong", eq, .value = 1ull << 63 | 0x12, .has_no_run = true, .text = "value", .want = "0x12",
		  .got = "0x8000000000000012"),
	ROWS_BOTH("right", truth, .value = 1),
	ROWS_BOTH("wrong", truth, .has_no_run = true, .text = "condition", .want = "true", .got = "false"),
	ROW_EXPECT("right", an_errno, .result_number = -EINVAL),
	ROW_EXPECT("success", an_errno, .has_no_run = true, .text = "result_number", .want = "EINVAL", .got = "0"),
	ROW_EXPECT("other errno", an_errno, .result_number = -EPERM, .has_no_run = true, .text = "result_number",
		   .want = "EINVAL", .got = "EPERM"),
	ROW_EXPECT("no errno's number", an_errno, .result_number = EINVAL, .has_no_run = true, .text = "result_number",
		   .want = "EINVAL", .got = "22"),
	ROWS_BOTH("right", result, .result_number = 3),
	ROWS_BOTH("wrong", result, .result_number = 4, .has_no_run = true, .text = "result_number", .want = "3",
		  .got = "4"),
	ROWS_BOTH("failed", result, .result_number = -ENOENT, .has_no_run = true, .text = "result_number",
		  .want = "3", .got = "ENOENT"),
	ROW_EXPECT("right", bytes, .value = 11),
	ROW_EXPECT("the last one", bytes, .value = 12, .has_no_run = true, .text = "other_twelve + 0 * value",
		   .want = "0c ", .got = "0d ", .fields = "byte 11 on, of 12"),
	ROW_EXPECT("right", regs),
	ROW_EXPECT("right", sregs),
};

static void check_note(const struct row *row, const struct result *result)
{
	const struct note *note = note_find(result, NOTE_CHECK, 0);

	assert_int_equal(note_count(result, NOTE_CHECK), 1);
	assert_int_equal(note_count(result, NOTE_REASON), 0);
	assert_string_equal(note->file, "harness/selftest/test_expect.c");
	assert_int_equal(note->line, seen.line);
	assert_string_equal(note->text, row->text);
	assert_string_equal(note->want, row->want);
	assert_string_equal(note->got, row->got);
	assert_string_equal(note->fields ? note->fields : "", row->fields ? row->fields : "");
}

static void check_row(const struct row *row, const struct result *result)
{
	bool holds = !row->text && !row->reason;

	assert_int_equal(result->verdict, holds ? VERDICT_PASS : VERDICT_FAIL);
	assert_int_equal(result->nr_checks, row->nr_checks ? row->nr_checks : 1);
	assert_int_equal(seen.went_on, holds || !row->is_require);
	assert_int_equal(seen.held, holds);
	assert_int_equal(note_count(result, NOTE_DUMP), !holds && !row->has_no_run);
	if (holds)
		assert_int_equal(result->nr_notes, 0);
	if (row->text)
		check_note(row, result);
	if (row->reason) {
		assert_int_equal(note_count(result, NOTE_CHECK), 0);
		assert_string_equal(result_reason(result), row->reason);
	}
}

static void test_row(void **state)
{
	const struct row *row = *state;
	struct case_desc desc = { .id = "fake", .file = FAKE_CASE_FILE, .host = row->host };
	struct result *result;
	struct fake fake;

	fake_init(&fake);
	fake.scripts[0] = row->steps;
	memset(&seen, 0, sizeof(seen));
	value = row->value;
	condition = row->value;
	result_number = row->result_number;
	got_regs = want_regs;
	got_sregs = want_sregs;
	result = run_here(&fake, &desc, row->is_host_only ? NO_GUEST : LONG64);
	check_row(row, result);
	result_free(result);
}

/* --- every register is compared --- */

/* Flips each byte that the table @names stands for and wants the name of its field. */
static void flip_each(void (*host)(struct test *t), void *got, const char *const *names, const size_t *offsets,
		      size_t nr)
{
	struct case_desc desc = { .id = "fake", .file = FAKE_CASE_FILE, .host = host };
	struct result *result;
	struct fake fake;
	size_t i;

	fake_init(&fake);
	for (i = 0; i < nr; i++) {
		memset(&seen, 0, sizeof(seen));
		((uint8_t *)got)[offsets[i]] ^= 0x40;
		result = run_here(&fake, &desc, NO_GUEST);
		((uint8_t *)got)[offsets[i]] ^= 0x40;
		assert_int_equal(result->verdict, VERDICT_FAIL);
		assert_true(seen.went_on && !seen.held);
		assert_int_equal(note_count(result, NOTE_CHECK), 1);
		assert_string_equal(note_find(result, NOTE_CHECK, 0)->fields, names[i]);
		assert_int_equal(note_find(result, NOTE_CHECK, 0)->line, seen.line);
		assert_holds(note_find(result, NOTE_CHECK, 0)->want, names[i]);
		assert_holds(note_find(result, NOTE_CHECK, 0)->got, names[i]);
		result_free(result);
	}
}

#define REG(name_) offsetof(struct kvm_regs, name_)
static void test_regs(void **state)
{
	static const char *const names[] = {
		"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp", "r8", "r9", "r10", "r11", "r12", "r13",
		"r14", "r15", "rip", "rflags",
	};
	static const size_t offsets[] = {
		REG(rax), REG(rbx), REG(rcx), REG(rdx), REG(rsi), REG(rdi), REG(rsp), REG(rbp), REG(r8), REG(r9),
		REG(r10), REG(r11), REG(r12), REG(r13), REG(r14), REG(r15), REG(rip), REG(rflags),
	};

	(void)state;
	_Static_assert(ARRAY_SIZE(names) * 8 == sizeof(struct kvm_regs), "a register is not tested");
	got_regs = want_regs;
	flip_each(host_expect_regs, &got_regs, names, offsets, ARRAY_SIZE(names));
}

#define SREG_ROW(name_) { #name_, offsetof(struct kvm_sregs, name_), sizeof(((struct kvm_sregs *)0)->name_) }
#define SEGMENT_ROWS(name_)								\
	SREG_ROW(name_.base), SREG_ROW(name_.limit), SREG_ROW(name_.selector), SREG_ROW(name_.type),	\
	SREG_ROW(name_.present), SREG_ROW(name_.dpl), SREG_ROW(name_.db), SREG_ROW(name_.s), SREG_ROW(name_.l),	\
	SREG_ROW(name_.g), SREG_ROW(name_.avl), SREG_ROW(name_.unusable)

static const struct {
	const char *name;
	size_t offset, bytes;
} sregs_rows[] = {
	SEGMENT_ROWS(cs), SEGMENT_ROWS(ds), SEGMENT_ROWS(es), SEGMENT_ROWS(fs), SEGMENT_ROWS(gs), SEGMENT_ROWS(ss),
	SEGMENT_ROWS(tr), SEGMENT_ROWS(ldt), SREG_ROW(gdt.base), SREG_ROW(gdt.limit), SREG_ROW(idt.base),
	SREG_ROW(idt.limit), SREG_ROW(cr0), SREG_ROW(cr2), SREG_ROW(cr3), SREG_ROW(cr4), SREG_ROW(cr8),
	SREG_ROW(efer), SREG_ROW(apic_base), SREG_ROW(interrupt_bitmap[0]), SREG_ROW(interrupt_bitmap[1]),
	SREG_ROW(interrupt_bitmap[2]), SREG_ROW(interrupt_bitmap[3]),
};

/* The first and the last byte of every field. */
static void test_sregs(void **state)
{
	size_t i;

	(void)state;
	got_sregs = want_sregs;
	for (i = 0; i < ARRAY_SIZE(sregs_rows); i++) {
		const char *names[2] = { sregs_rows[i].name, sregs_rows[i].name };
		size_t offsets[2] = { sregs_rows[i].offset, sregs_rows[i].offset + sregs_rows[i].bytes - 1 };

		flip_each(host_expect_sregs, &got_sregs, names, offsets, 2);
	}
}

/* --- more than one check --- */

static struct fake fake;

static struct result *play(void (*host)(struct test *t), const struct fake_step *steps)
{
	struct case_desc desc = { .id = "fake", .file = FAKE_CASE_FILE, .host = host };

	fake_init(&fake);
	fake.scripts[0] = steps;
	memset(&seen, 0, sizeof(seen));
	return run_here(&fake, &desc, LONG64);
}

static void host_replies(struct test *t)
{
	expect_pio_in(t, 0x1122334455667788, .port = 0x90, .size = 4, .count = 1);
	expect_pio_in_bytes(t, twelve, .port = 0x91, .size = 4, .count = 3);
	expect_mmio_read(t, 0x8877665544332211, .phys_addr = 0xd0000, .len = 8);
	expect_pio_in(t, 0xee, .port = 0x92, .size = 1, .count = 1);
	expect_done(t);
}

static void test_replies(void **state)
{
	static const struct fake_step steps[] = {
		IN_90, STEP_IN(.port = 0x91, .size = 4, .count = 3), STEP_MMIO(.phys_addr = 0xd0000, .len = 8),
		STEP_IN(.port = 0x93, .size = 1, .count = 1), STEP_DONE, { 0 },
	};
	static const uint8_t none[64];
	struct result *result = play(host_replies, steps);

	(void)state;
	assert_int_equal(fake.nr_replies, 4);
	assert_memory_equal(fake.replies[0].bytes, "\x88\x77\x66\x55", 4);
	assert_memory_equal(fake.replies[0].bytes + 4, none, 60);
	assert_memory_equal(fake.replies[1].bytes, twelve, 12);
	assert_memory_equal(fake.replies[1].bytes + 12, none, 52);
	assert_memory_equal(fake.replies[2].bytes, "\x11\x22\x33\x44\x55\x66\x77\x88", 8);
	/* The exit was another than expected: it is not answered. */
	assert_memory_equal(fake.replies[3].bytes, none, 64);
	assert_int_equal(result->verdict, VERDICT_FAIL);
	assert_int_equal(note_count(result, NOTE_CHECK), 1);
	assert_string_equal(note_find(result, NOTE_CHECK, 0)->fields, "port");
	result_free(result);
}

static void host_sequence(struct test *t)
{
	expect_pio_out(t, .port = 0x80, .size = 1, .count = 1, .data = 1);
	expect_pio_out(t, .port = 0x80, .size = 1, .count = 1, .data = 2);
	seen.held = expect_done(t);
	seen.went_on = true;
}

/* One wrong exit is one note; the checks behind it still meet their own exits. */
static void test_goes_on(void **state)
{
	static const struct fake_step steps[] = {
		STEP_OUT(.port = 0x80, .size = 1, .count = 1, .data = 7),
		STEP_OUT(.port = 0x80, .size = 1, .count = 1, .data = 2), STEP_DONE, { 0 },
	};
	struct result *result = play(host_sequence, steps);

	(void)state;
	assert_int_equal(result->verdict, VERDICT_FAIL);
	assert_int_equal(note_count(result, NOTE_CHECK), 1);
	assert_int_equal(note_count(result, NOTE_DUMP), 1);
	assert_int_equal(result->nr_checks, 3);
	assert_true(seen.held && seen.went_on);
	result_free(result);
}

/* When the guest is done early, each exit that is still due is a failure, and KVM_RUN is not called for it. */
static void test_over(void **state)
{
	static const struct fake_step steps[] = { STEP_DONE, { .kind = FAKE_SIGNAL, .number = 9 } };
	struct result *result = play(host_sequence, steps);

	(void)state;
	assert_int_equal(result->verdict, VERDICT_FAIL);
	assert_int_equal(note_count(result, NOTE_CHECK), 3);
	assert_string_equal(note_find(result, NOTE_CHECK, 0)->text, "the exit is missing");
	assert_string_equal(note_find(result, NOTE_CHECK, 1)->text, "an exit, but the guest is over");
	assert_string_equal(note_find(result, NOTE_CHECK, 2)->text, "an exit, but the guest is over");
	assert_false(seen.held);
	result_free(result);
}

static void host_all_required(struct test *t)
{
	expect_done(t);
	require_hlt(t);
	seen.went_on = true;
}

static void test_over_required(void **state)
{
	static const struct fake_step steps[] = { STEP_DONE, { 0 } };
	struct result *result = play(host_all_required, steps);

	(void)state;
	assert_int_equal(result->verdict, VERDICT_FAIL);
	assert_int_equal(note_count(result, NOTE_CHECK), 1);
	assert_string_equal(note_find(result, NOTE_CHECK, 0)->text, "an exit, but the guest is over");
	assert_false(seen.went_on);
	result_free(result);
}

static void test_dump(void **state)
{
	static const struct fake_step steps[] = { HALTED, { 0 } };
	struct result *result = play(host_expect_done, steps);
	const char *dump = note_find(result, NOTE_DUMP, 0)->text;

	(void)state;
	assert_holds(dump, "vCPU 0, mode long64, last exit: HLT\n");
	assert_holds(dump, "guest_entry");
	assert_holds(dump, "code:  100000: ");
	assert_holds(dump, "\nrax    0000000000000000");
	assert_holds(dump, "\ncs   0008 base 0000000000000000 limit ffffffff type b");
	assert_holds(dump, "exception injected 0");
	result_free(result);
}

/* --- what guests report --- */

static void host_done(struct test *t)
{
	expect_done(t);
}

static void test_guest_check(void **state)
{
	static const struct fake_step steps[] = {
		STEP_LEAVES(DONE_PORT, ABI_STATE_DONE, .nr_checks = 3, .record = {
			ABI_RECORD_CHECK, 12, "cases/mmu/x.c", "page->magic", 0x7661, 0x7662 }), { 0 },
	};
	struct result *result = play(host_done, steps);
	const struct note *note = note_find(result, NOTE_CHECK, 0);

	(void)state;
	assert_int_equal(result->verdict, VERDICT_FAIL);
	assert_int_equal(result->nr_checks, 4);
	assert_int_equal(note_count(result, NOTE_CHECK), 1);
	assert_string_equal(note->file, "cases/mmu/x.c");
	assert_int_equal(note->line, 12);
	assert_string_equal(note->text, "page->magic");
	assert_string_equal(note->want, "0x7661");
	assert_string_equal(note->got, "0x7662");
	result_free(result);
}

static void host_sync_done(struct test *t)
{
	expect_sync(t, 1);
	expect_done(t);
}

/* Reports are taken once each, in order, and a message does not fail a test. */
static void test_guest_reports(void **state)
{
	static const struct fake_step good[] = {
		STEP_LEAVES(SYNC_PORT, ABI_STATE_SYNC, .stage = 1, .record = {
			ABI_RECORD_MESSAGE, 5, "cases/mmu/x.c", "cr3", 0, 0x6000 }),
		STEP_DONE, { 0 },
	};
	static const struct fake_step bad[] = {
		STEP_LEAVES(SYNC_PORT, ABI_STATE_SYNC, .stage = 1, .record = {
			ABI_RECORD_FAULT, 7, "cases/mmu/x.c", "f", 14ull << 32 | 2, 0xffffffffull << 32 }),
		STEP_LEAVES(DONE_PORT, ABI_STATE_DONE, .record = {
			ABI_RECORD_CHECK, 8, "cases/mmu/x.c", "g", 1, 0 }), { 0 },
	};
	struct result *result = play(host_sync_done, good);

	(void)state;
	assert_int_equal(result->verdict, VERDICT_PASS);
	assert_int_equal(result->nr_notes, 1);
	assert_string_equal(note_find(result, NOTE_MESSAGE, 0)->text, "cr3 0x6000");
	assert_int_equal(note_find(result, NOTE_MESSAGE, 0)->line, 5);
	result_free(result);
	result = play(host_sync_done, bad);
	assert_int_equal(result->verdict, VERDICT_FAIL);
	assert_int_equal(note_count(result, NOTE_CHECK), 2);
	assert_string_equal(note_find(result, NOTE_CHECK, 0)->want, "#PF(0x2)");
	assert_string_equal(note_find(result, NOTE_CHECK, 0)->got, "no fault");
	assert_int_equal(note_find(result, NOTE_CHECK, 1)->line, 8);
	result_free(result);
}

static void test_lost_reports(void **state)
{
	static const struct fake_step steps[] = {
		STEP_LEAVES(DONE_PORT, ABI_STATE_DONE, .nr_lost = 5), { 0 },
	};
	struct result *result = play(host_done, steps);

	(void)state;
	assert_int_equal(result->verdict, VERDICT_FAIL);
	assert_string_equal(result_reason(result), "5 more guest reports did not fit the report page");
	result_free(result);
}

/* A guest whose last words nobody asked for: HOST() ends before, or a required check ends it. */
static void host_no_more(struct test *t)
{
	(void)vcpu_run_try(t->vcpu);
	require_eq(t, 0, 1);
}

static void test_reports_at_the_end(void **state)
{
	static const struct fake_step steps[] = {
		STEP_LEAVES(SYNC_PORT, ABI_STATE_SYNC, .stage = 1, .nr_checks = 1, .record = {
			ABI_RECORD_CHECK, 7, "cases/mmu/x.c", "early", 1, 0 }), { 0 },
	};
	struct result *result = play(host_no_more, steps);

	(void)state;
	assert_int_equal(note_count(result, NOTE_CHECK), 2);
	assert_string_equal(note_find(result, NOTE_CHECK, 1)->text, "early");
	assert_int_equal(result->nr_checks, 2);
	result_free(result);
}

/* --- more than one vCPU --- */

static struct result *play_two(const struct fake_step *first, const struct fake_step *second)
{
	struct case_desc desc = { .id = "fake", .file = FAKE_CASE_FILE, .host = host_expect_all_done, .nr_vcpus = 2 };

	fake_init(&fake);
	fake.scripts[0] = first;
	fake.scripts[1] = second;
	memset(&seen, 0, sizeof(seen));
	return run_here(&fake, &desc, LONG64);
}

static void test_all_done(void **state)
{
	static const struct fake_step done[] = { STEP_DONE, { 0 } }, halted[] = { HALTED, { 0 } };
	struct result *result = play_two(done, done);

	(void)state;
	assert_int_equal(result->verdict, VERDICT_PASS);
	assert_int_equal(result->nr_checks, 2);
	result_free(result);
	result = play_two(done, halted);
	assert_int_equal(result->verdict, VERDICT_FAIL);
	assert_false(seen.held);
	assert_int_equal(note_count(result, NOTE_CHECK), 1);
	assert_string_equal(note_find(result, NOTE_CHECK, 0)->want, "vCPU 1 is done");
	assert_string_equal(note_find(result, NOTE_CHECK, 0)->got, "HLT");
	/* The machine that is shown is the one that failed. */
	assert_holds(note_find(result, NOTE_DUMP, 0)->text, "vCPU 1, mode long64, last exit: HLT\n");
	result_free(result);
}

/* --- what is not a check --- */

static void host_nothing(struct test *t)
{
	test_say(t, "said %d", 5);
}

static void test_no_check(void **state)
{
	struct result *result = play(host_nothing, NULL);

	(void)state;
	assert_int_equal(result->verdict, VERDICT_ERROR);
	assert_string_equal(result_reason(result), "no check was made");
	assert_string_equal(note_find(result, NOTE_MESSAGE, 0)->text, "said 5");
	result_free(result);
}

static void host_error(struct test *t)
{
	expect_true(t, true);
	test_error(t, "no %s here", "tap");
	seen.went_on = true;
}

static void test_surroundings(void **state)
{
	struct result *result = play(host_error, NULL);

	(void)state;
	assert_int_equal(result->verdict, VERDICT_ERROR);
	assert_string_equal(result_reason(result), "no tap here");
	assert_false(seen.went_on);
	result_free(result);
}

static struct result *play_failing(unsigned long request, int error)
{
	struct case_desc desc = { .id = "fake", .file = FAKE_CASE_FILE, .host = host_expect_done };

	fake_init(&fake);
	fake.fail_request = request;
	fake.fail_error = error;
	memset(&seen, 0, sizeof(seen));
	return run_here(&fake, &desc, LONG64);
}

/* Every call of the set-up: KVM is to blame, but not for a machine without memory or descriptors. */
static void test_must_succeed(void **state)
{
	static const struct {
		unsigned long request;
		int error;
		enum verdict verdict;
		const char *reason;
	} calls[] = {
		{ KVM_CREATE_VM, EPERM, VERDICT_FAIL, "KVM_CREATE_VM must succeed, but: EPERM" },
		{ KVM_CREATE_VM, ENOMEM, VERDICT_ERROR, "KVM_CREATE_VM must succeed, but: ENOMEM" },
		{ KVM_CREATE_VM, EMFILE, VERDICT_ERROR, "KVM_CREATE_VM must succeed, but: EMFILE" },
		{ KVM_CREATE_VM, ENFILE, VERDICT_ERROR, "KVM_CREATE_VM must succeed, but: ENFILE" },
		{ KVM_SET_USER_MEMORY_REGION, EINVAL, VERDICT_FAIL,
		  "KVM_SET_USER_MEMORY_REGION must succeed, but: EINVAL" },
		{ KVM_CREATE_VCPU, EEXIST, VERDICT_FAIL, "KVM_CREATE_VCPU must succeed, but: EEXIST" },
		{ KVM_GET_SUPPORTED_CPUID, E2BIG, VERDICT_FAIL, "KVM_GET_SUPPORTED_CPUID must succeed, but: E2BIG" },
		{ KVM_SET_CPUID2, EINVAL, VERDICT_FAIL, "KVM_SET_CPUID2 must succeed, but: EINVAL" },
		{ KVM_GET_SREGS, EIO, VERDICT_FAIL, "KVM_GET_SREGS must succeed, but: EIO" },
		{ KVM_SET_SREGS, EINVAL, VERDICT_FAIL, "KVM_SET_SREGS must succeed, but: EINVAL" },
		{ KVM_SET_REGS, EINVAL, VERDICT_FAIL, "KVM_SET_REGS must succeed, but: EINVAL" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		struct result *result = play_failing(calls[i].request, calls[i].error);

		assert_int_equal(result->verdict, calls[i].verdict);
		assert_string_equal(note_find(result, NOTE_REASON, 0)->text, calls[i].reason);
		assert_false(seen.went_on);
		result_free(result);
	}
}

static void test_no_kvm(void **state)
{
	struct case_desc desc = { .id = "fake", .file = FAKE_CASE_FILE, .host = host_expect_done };
	struct result *result;

	(void)state;
	fake_init(&fake);
	fake.open_error = EACCES;
	result = run_here(&fake, &desc, LONG64);
	assert_int_equal(result->verdict, VERDICT_ERROR);
	assert_string_equal(result_reason(result), "/dev/kvm: Permission denied");
	result_free(result);
	fake_init(&fake);
	fake.api_version = 11;
	result = run_here(&fake, &desc, LONG64);
	assert_int_equal(result->verdict, VERDICT_ERROR);
	assert_holds(result_reason(result), "API version 11");
	result_free(result);
}

/* --- the program: each row is a test --- */

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_regs), cmocka_unit_test(test_sregs), cmocka_unit_test(test_replies),
		cmocka_unit_test(test_goes_on), cmocka_unit_test(test_over), cmocka_unit_test(test_over_required),
		cmocka_unit_test(test_dump), cmocka_unit_test(test_guest_check), cmocka_unit_test(test_guest_reports),
		cmocka_unit_test(test_lost_reports), cmocka_unit_test(test_reports_at_the_end),
		cmocka_unit_test(test_all_done), cmocka_unit_test(test_no_check), cmocka_unit_test(test_surroundings),
		cmocka_unit_test(test_must_succeed), cmocka_unit_test(test_no_kvm),
	};
	struct CMUnitTest all[ARRAY_SIZE(rows) + ARRAY_SIZE(tests)];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		all[i] = (struct CMUnitTest){ rows[i].label, test_row, NULL, NULL, (void *)&rows[i] };
	memcpy(&all[i], tests, sizeof(tests));
	return cmocka_run_group_tests(all, NULL, NULL);
}
