/* SPDX-License-Identifier: MIT */
/* What counts as a kernel's report and what is quoted of it, from /dev/kmsg and from a console. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel_log.h"
#include "runner/kmsg.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

static void lines_are_classified(void **state)
{
	static const struct {
		enum kernel_report want;
		const char *line;
	} rows[] = {
		{ KERNEL_DIES, "Kernel panic - not syncing: Fatal exception" },
		{ KERNEL_DIES, "[   12.345678] Kernel panic - not syncing: softlockup: hung tasks" },
		{ KERNEL_OOPSES, "BUG: kernel NULL pointer dereference, address: 0000000000000000" },
		{ KERNEL_OOPSES, "BUG: unable to handle page fault for address: ffffc90000000000" },
		{ KERNEL_OOPSES, "[    1.000000][   T77] Oops: 0002 [#1] PREEMPT SMP NOPTI" },
		{ KERNEL_OOPSES, "general protection fault, probably for non-canonical address 0x1: 0000 [#1] SMP" },
		{ KERNEL_OOPSES, "divide error: 0000 [#1] SMP NOPTI" },
		{ KERNEL_OOPSES, "kernel BUG at arch/x86/kvm/x86.c:1234!" },
		{ KERNEL_OOPSES, "watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [vmassay:77]" },
		{ KERNEL_OOPSES, "INFO: task vmassay:77 blocked for more than 8 seconds." },
		{ KERNEL_WARNS, "WARNING: CPU: 0 PID: 77 at arch/x86/kvm/x86.c:1234 f+0x1/0x2 [kvm]" },
		{ KERNEL_WARNS, "WARNING: possible circular locking dependency detected" },
		{ KERNEL_WARNS, "WARNING: suspicious RCU usage" },
		{ KERNEL_WARNS, "WARNING: inconsistent lock state" },
		{ KERNEL_WARNS, "INFO: possible recursive locking detected" },
		{ KERNEL_WARNS, "[ BUG: Invalid wait context ]" },
		{ KERNEL_WARNS, "[    1.000000] [ BUG: Invalid wait context ]" },
		{ KERNEL_WARNS, "BUG: KASAN: slab-use-after-free in f+0x1/0x2" },
		{ KERNEL_WARNS, "BUG: sleeping function called from invalid context at mm/slab.h:1" },
		{ KERNEL_WARNS, "BUG kmalloc-64 (Not tainted): Poison overwritten" },
		{ KERNEL_WARNS, "UBSAN: shift-out-of-bounds in arch/x86/kvm/x86.c:1:2" },
		{ KERNEL_WARNS, "rcu: INFO: rcu_sched self-detected stall on CPU" },
		{ KERNEL_WARNS, "unchecked MSR access error: WRMSR to 0x1 (tried to write 0x2) at rIP: 0x3" },
		/* About a guest, a program, or the machine. */
		{ KERNEL_QUIET, "kvm [77]: vcpu0, guest rIP: 0x1000 unhandled rdmsr: 0x1" },
		{ KERNEL_QUIET, "SVM: kvm [77]: vcpu0, guest rIP: 0x1000 WARNING: is not ours" },
		{ KERNEL_QUIET, "traps: vmassay[77] general protection fault ip:1 sp:2 error:0" },
		{ KERNEL_QUIET, "vmassay[77]: segfault at 0 ip 1 sp 2 error 4" },
		{ KERNEL_QUIET, "INFO: NMI handler (f) took too long to run: 1.1 msecs" },
		{ KERNEL_QUIET, "user requested TSC rate below hardware speed" },
		{ KERNEL_QUIET, "[" }, { KERNEL_QUIET, "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (kernel_line_report(rows[i].line) != rows[i].want)
			fail_msg("'%s' is not %u", rows[i].line, rows[i].want);
}

static void assert_words(const char *text, enum kernel_report worst, const char *headline, int pid, const char *comm)
{
	struct kernel_words words;

	kernel_text_read(text, &words);
	assert_int_equal(words.worst, worst);
	assert_string_equal(words.headline, headline);
	assert_int_equal(words.pid, pid);
	assert_string_equal(words.comm, comm);
}

static void texts_are_read(void **state)
{
	(void)state;
	assert_words("", KERNEL_QUIET, "", -1, "");
	assert_words("[1.0] CPU: 0 PID: 3 Comm: other\n[1.0] fine\n", KERNEL_QUIET, "", -1, "");
	assert_words("[1.0] before, PID: 3 Comm: no\n"
		     "[1.0] WARNING: CPU: 1 PID: 77 at x.c:12 f+0x1/0x2 [kvm]\n"
		     "[1.0] CPU: 1 PID: 77 Comm: vmassay Tainted: G\n"
		     "[1.0] RIP: 0010:f+0x1/0x2 [kvm]\n",
		     KERNEL_WARNS, "the kernel reported: WARNING: CPU: 1 PID: 77 at x.c:12 f+0x1/0x2 [kvm]", 77, "vmassay");
	/* The first is the cause, the worst is what it came to; a console ends lines its own way. */
	assert_words("BUG: kernel NULL pointer dereference, address: 0\r\nOops: 0002 [#1] SMP\r\n"
		     "CPU: 0 PID: 5 Comm: a\r\nRIP: 0010:g+0x1\r\nKernel panic - not syncing: x\r\nRIP: 0010:h+0x2",
		     KERNEL_DIES, "the kernel reported: BUG: kernel NULL pointer dereference, address: 0 at g+0x1", 5, "a");
}

static char *many_lines(unsigned int nr_before, unsigned int nr_after)
{
	size_t len;
	char *text = NULL;
	FILE *out = open_memstream(&text, &len);
	unsigned int i;

	for (i = 0; i < nr_before; i++)
		fprintf(out, "before %u\n", i);
	fputs("WARNING: here\n", out);
	for (i = 0; i < nr_after; i++)
		fprintf(out, "after %u\n", i);
	fclose(out);
	return text;
}

static void assert_excerpt(char *text, const char *want, const char *more, const char *not)
{
	char *excerpt = kernel_text_excerpt(text);

	assert_non_null(strstr(excerpt, want));
	assert_non_null(strstr(excerpt, more));
	assert_null(strstr(excerpt, not));
	free(excerpt);
	free(text);
}

static void excerpts_are_bounded(void **state)
{
	char *text = many_lines(3, 3), *excerpt = kernel_text_excerpt(text), *longer;

	(void)state;
	assert_string_equal(excerpt, text);
	free(excerpt);
	free(text);
	assert_excerpt(many_lines(1000, 1000), "before 29\n... 965 lines are left out ...\nbefore 995\n",
		       "after 78\n... 891 lines are left out ...\nafter 970\n", "before 30\n");
	assert_excerpt(many_lines(1000, 3), "before 29\n... 944 lines are left out ...\nbefore 974\n", "WARNING: here\nafter 0",
		       "before 973\n");
	longer = malloc(5001);
	memset(longer, 'x', 5000);
	longer[5000] = '\0';
	excerpt = kernel_text_excerpt(longer);
	assert_int_equal(strlen(excerpt), 241);
	free(excerpt);
	free(longer);
}

static void records_are_formatted(void **state)
{
	char line[64] = "same";

	(void)state;
	assert_int_equal(kmsg_format("6,339,5140900,-;NET: Registered\n SUBSYSTEM=x\n", line, sizeof(line)), 0);
	assert_string_equal(line, "[    5.140900] NET: Registered\n");
	assert_int_equal(kmsg_format("4,1,12,c,caller=T1;a;b\n", line, sizeof(line)), 0);
	assert_string_equal(line, "[    0.000012] a;b\n");
	/* A program's. */
	assert_int_equal(kmsg_format("12,1,12,-;WARNING: fake\n", line, sizeof(line)), -EINVAL);
	assert_int_equal(kmsg_format("nonsense", line, sizeof(line)), -EINVAL);
	assert_int_equal(kmsg_format("1;x", line, sizeof(line)), -EINVAL);
}

/* A pipe that keeps records apart is as good as the device. */
static void log_is_heard(void **state)
{
	char path[32];
	struct kmsg kmsg;
	uint64_t then;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_DIRECT | O_CLOEXEC), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[0]);
	kmsg_open(&kmsg, path);
	kmsg_read(&kmsg);
	assert_string_equal(kmsg_since(&kmsg, 0), "");
	assert_int_equal(write(fds[1], "6,1,1,-;one\n", 12), 12);
	kmsg_read(&kmsg);
	then = kmsg_now(&kmsg);
	assert_int_equal(write(fds[1], "6,2,2,-;two\n", 12), 12);
	assert_int_equal(write(fds[1], "6,3,3,-;three\n", 14), 14);
	kmsg_read(&kmsg);
	assert_string_equal(kmsg_since(&kmsg, 0), "[    0.000001] one\n[    0.000002] two\n[    0.000003] three\n");
	assert_string_equal(kmsg_since(&kmsg, then), "[    0.000002] two\n[    0.000003] three\n");
	kmsg_forget(&kmsg, then);
	assert_string_equal(kmsg_since(&kmsg, 0), "[    0.000002] two\n[    0.000003] three\n");
	assert_string_equal(kmsg_since(&kmsg, then), kmsg_since(&kmsg, 0));
	kmsg_forget(&kmsg, kmsg_now(&kmsg));
	assert_string_equal(kmsg_since(&kmsg, 0), "");
	kmsg_close(&kmsg);
	close(fds[0]);
	close(fds[1]);
	kmsg_open(&kmsg, NULL);
	kmsg_read(&kmsg);
	assert_string_equal(kmsg_since(&kmsg, 0), "");
	kmsg_close(&kmsg);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_classified), cmocka_unit_test(texts_are_read),
		cmocka_unit_test(excerpts_are_bounded), cmocka_unit_test(records_are_formatted),
		cmocka_unit_test(log_is_heard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
