/* SPDX-License-Identifier: MIT */
/*
 * A process ends while its vCPUs run, stand in HLT or leave for user space all the time: by itself, by SIGKILL, by exec().
 * It ends at once, its VM with it, and other VMs do not notice. One that is stopped goes on where it was. The descriptors
 * that KVM makes do not survive exec().
 *
 * Can break: a vCPU that does not hear of the signal, a VM that is torn down under its running vCPUs, a reference that is
 * never given back.
 * Source: KVM API, 2 (file descriptors), 4.10 (KVM_RUN); open(2), O_CLOEXEC.
 */
#include "cases/ioctl/process.h"

#include <fcntl.h>

enum guest_kind { SPINS, HALTS, EXITS };

struct row {
	ROW_FIELDS;
	void (*host)(struct test *t);
	enum guest_kind kind;
	unsigned int nr_vcpus;
	bool irqchip;
};

static const struct row *row_of(struct test *t);

/* --- ends --- */

static void end_by_exit(void)
{
	_exit(7);
}

static void end_by_exec(void)
{
	int null = open("/dev/null", O_RDWR);

	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	execl("/proc/self/exe", "vmassay", "--help", NULL);
	_exit(1);
}

static struct process start(struct test *t, void (*end)(void))
{
	const struct row *row = row_of(t);

	return process_start(t, row->nr_vcpus, row->irqchip, end);
}

static void host_exit(struct test *t)
{
	expect_process_gone(t, start(t, end_by_exit), 7 << 8);
}

static void host_exec(struct test *t)
{
	expect_process_gone(t, start(t, end_by_exec), 0);
}

static void host_kill(struct test *t)
{
	struct process process = start(t, NULL);

	expect_eq(t, 1, kvm_folders_of(process.pid));
	kill(process.pid, SIGKILL);
	expect_process_gone(t, process, SIGKILL);
}

/* Stopped, it is stopped; continued, it can be ended. */
static void host_stop(struct test *t)
{
	struct process process = start(t, NULL);
	int status = 0;

	kill(process.pid, SIGSTOP);
	require_true(t, waitpid(process.pid, &status, WUNTRACED) == process.pid);
	expect_true(t, WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	expect_eq(t, 1, kvm_folders_of(process.pid));
	kill(process.pid, SIGCONT);
	require_true(t, waitpid(process.pid, &status, WCONTINUED) == process.pid);
	expect_true(t, WIFCONTINUED(status));
	kill(process.pid, SIGTERM);
	expect_process_gone(t, process, SIGTERM);
}

/* --- descriptors --- */

static void expect_cloexec(struct test *t, const char *what, int fd)
{
	test_say(t, "%s", what);
	require_true(t, fd >= 0);
	expect_eq(t, FD_CLOEXEC, fcntl(fd, F_GETFD));
}

static void host_cloexec(struct test *t)
{
	struct kvm_create_device device = { .type = KVM_DEV_TYPE_VFIO };

	expect_cloexec(t, "VM", t->vm->fd);
	expect_cloexec(t, "vCPU", t->vcpu->fd);
	expect_cloexec(t, "statistics of the VM", sys_call(t->sys, t->vm->fd, KVM_GET_STATS_FD, 0));
	expect_cloexec(t, "statistics of the vCPU", sys_call(t->sys, t->vcpu->fd, KVM_GET_STATS_FD, 0));
	if (!vm_ioctl_try(t->vm, KVM_CREATE_DEVICE, &device))
		expect_cloexec(t, "device", device.fd);
}

#define ENDS(label_, host_, kind_, nr_, ...)						\
	{ .label = label_, .host = ON_HOST(host_), .kind = kind_, .nr_vcpus = nr_, __VA_ARGS__ }

/* Bochs holds back the host's interrupts while a guest with IF = 0 runs. */
#define SPIN_SKIPPED .known = { .finding = "0505-bochs-guest-if-holds-back-host", .is_skipped = true,	\
	.targets = "@(lab-vmx|lab-svm-bochs)" }

static const struct row rows[] = {
	ENDS("exit", host_exit, SPINS, 1, SPIN_SKIPPED),
	ENDS("kill", host_kill, SPINS, 1, SPIN_SKIPPED),
	ENDS("exec", host_exec, SPINS, 1, SPIN_SKIPPED),
	ENDS("stop", host_stop, SPINS, 1, SPIN_SKIPPED),
	ENDS("exit_4", host_exit, SPINS, 4, SPIN_SKIPPED),
	ENDS("kill_4", host_kill, SPINS, 4, SPIN_SKIPPED),
	ENDS("exec_4", host_exec, SPINS, 4, SPIN_SKIPPED),
	ENDS("exit_halted", host_exit, HALTS, 2, .irqchip = true),
	ENDS("kill_halted", host_kill, HALTS, 2, .irqchip = true),
	ENDS("exec_halted", host_exec, HALTS, 2, .irqchip = true),
	ENDS("stop_halted", host_stop, HALTS, 2, .irqchip = true),
	ENDS("kill_irqchip", host_kill, SPINS, 2, SPIN_SKIPPED, .irqchip = true),
	ENDS("exit_exiting", host_exit, EXITS, 2),
	ENDS("kill_exiting", host_kill, EXITS, 2),
	ENDS("exec_exiting", host_exec, EXITS, 2),
	{ .label = "close_on_exec", .host = ON_HOST(host_cloexec) },
};

CASE(process_end, .says = "a process ends at once, and its VM with it", .modes = LONG64,
     .needs = "debugfs KVM_CAP_BINARY_STATS_FD", .rows = ROWS(rows))

static void count(void)
{
	((volatile struct abi_page *)abi_self())->values[0]++;
}

/* In the other process argument 0 is 1. */
GUEST(process_end)
{
	while (GUEST_ARG(0)) {
		count();
		if (GUEST_ROW(rows)->kind == HALTS)
			hlt();
		else if (GUEST_ROW(rows)->kind == EXITS)
			out8(0x80, 0);
	}
	guest_sync(1);
	guest_sync(2);
}

static const struct row *row_of(struct test *t)
{
	return ROW(t, rows);
}

HOST(process_end)
{
	require_sync(t, 1);
	ROW(t, rows)->host(t);
	expect_sync(t, 2);
	expect_done(t);
}
