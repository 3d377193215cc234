/* SPDX-License-Identifier: MIT */
/*
 * One test, from set-up over HOST() to the record it leaves. The child's side of job.h.
 */
#ifndef VMASSAY_TEST_H
#define VMASSAY_TEST_H

#include "case.h"
#include "reports/result.h"
#include "runner/registry.h"

struct test_setup {
	const struct test_entry *entry;
	const char *target;
	const struct backend *backend;
	struct kvm_cpuid2 *cpuid;	/* what the target supports, asked once by the runner; borrowed; may be NULL */
	uint64_t seed;
	unsigned int round;
	bool is_traced;			/* record the hardware's exits */
	bool is_recorded;		/* note what the test meets of the interface: result.met */
	struct vm_marker *marker;	/* shared with the runner */
	int result_fd;			/* each state of the result is one JSON line; TEST_LINE_END or _FREE follows the last */
};

/* All of the test is done but taking down its VMs. */
#define TEST_LINE_CLOSING "closing"
/* Without one of these behind them, the states are those of a test that did not come to its end. */
#define TEST_LINE_END "end"	/* and the process ends */
#define TEST_LINE_FREE "free"	/* and the process waits for the next test */

/* Runs the test and writes the result, but for the last line. True when it has passed. */
bool test_publish(const struct test_setup *setup);

/* Writes one of the lines above. */
void test_say_line(int result_fd, const char *line);

/*
 * The same without a process of its own, for the harness's unit tests: runs HOST() and fills the result, which is the
 * caller's. What ends a test early jumps back here.
 */
struct result *test_run_here(const struct test_setup *setup);

/* The signal with which the runner tells a test that its time is over. */
#define TEST_KICK_SIGNAL SIGUSR1

/* Used by expect.c and dump.c. */
void test_stop(struct test *t) __attribute__((noreturn));
void test_note_reason(struct test *t, enum verdict verdict, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void test_dump(struct test *t, struct vcpu *vcpu);
/* Only the hardware's last exits, for a failure that is no exit's; nothing when there is a dump. */
void test_dump_hw_exits(struct test *t);
/* Imports what guests reported since the last time. */
void test_take_reports(struct test *t);

#endif
