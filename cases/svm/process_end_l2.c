/* SPDX-License-Identifier: MIT */
/*
 * A process is killed, exits or becomes another program while its guest's own guest (L2) runs: it ends at once, its VM
 * with it, with nested state and all.
 *
 * Can break: vmcb02 and the host save area freed under the CPU that uses them; a process that stays.
 * Source: KVM API, 2 (file descriptors), 4.10 (KVM_RUN).
 */
#include "guests/l1_svm.h"
#include "cases/ioctl/process.h"

INSN(l2_spin, "1: incq (%rdi)\n\tjmp 1b")

struct row {
	ROW_FIELDS;
	void (*host)(struct test *t);
};

static void end_by_exit(void)
{
	_exit(7);
}

static void host_exit(struct test *t)
{
	expect_process_gone(t, process_start(t, 1, false, end_by_exit), 7 << 8);
}

static void host_kill(struct test *t)
{
	struct process process = process_start(t, 1, false, NULL);

	kill(process.pid, SIGKILL);
	expect_process_gone(t, process, SIGKILL);
}

/* The same under an in-kernel local APIC. */
static void host_kill_irqchip(struct test *t)
{
	struct process process = process_start(t, 1, true, NULL);

	kill(process.pid, SIGKILL);
	expect_process_gone(t, process, SIGKILL);
}

#define NO_INTERRUPT .known = { .finding = "0505-bochs-guest-if-holds-back-host", .is_skipped = true,	\
	.targets = "lab-svm-bochs" }

static const struct row rows[] = {
	{ .label = "exit", .host = ON_HOST(host_exit), NO_INTERRUPT },
	{ .label = "kill", .host = ON_HOST(host_kill), NO_INTERRUPT },
	{ .label = "kill_irqchip", .host = ON_HOST(host_kill_irqchip), NO_INTERRUPT },
};

CASE(process_end_l2, .says = "a process ends at once while L2 runs", .modes = LONG64,
     .needs = "vendor:amd nested debugfs", .rows = ROWS(rows))

GUEST(process_end_l2)
{
	if (GUEST_ARG(0)) {
		l1_svm_init();
		l2_regs.rdi = (ulong_t)&abi_self()->values[0];
		l2_run(l2_spin);
	}
	guest_sync(1);
	guest_sync(2);
}

HOST(process_end_l2)
{
	require_sync(t, 1);
	ROW(t, rows)->host(t);
	expect_sync(t, 2);
	expect_done(t);
}
