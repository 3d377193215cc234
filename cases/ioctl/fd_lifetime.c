/* SPDX-License-Identifier: MIT */
/*
 * A VM lives as long as a descriptor or a mapping of it or of one of its vCPUs does, in whatever order they go.
 *
 * Can break: a reference that a vCPU does not take on its VM, or a mapping on its page: a guest that runs in freed memory.
 * Source: KVM API, 2 (file descriptors: when a VM and its resources are freed; the process that made it).
 */
#include "case.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static long raw(struct test *t, int fd, unsigned long request, uintptr_t argument)
{
	return sys_call(t->sys, fd, request, argument);
}

/* The guest does its three OUTs, seen through @run alone. */
static void expect_outs(struct test *t, int vcpu_fd, const struct kvm_run *run, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		expect_result(t, 0, raw(t, vcpu_fd, KVM_RUN, 0));
		expect_eq(t, KVM_EXIT_IO, run->exit_reason);
		expect_eq(t, 0x80, run->io.port);
		expect_eq(t, 1, run->io.size);
	}
}

/* KVM's own memory is freed behind an RCU grace period: give it the time to go wrong. */
static void churn(struct test *t)
{
	unsigned int i;

	for (i = 0; i < 4; i++) {
		long fd = raw(t, t->sys->fd, KVM_CREATE_VM, 0);

		expect_true(t, fd >= 0);
		raw(t, fd, KVM_CREATE_VCPU, 0);
		t->sys->backend->close(t->sys->backend, fd);
	}
	usleep(50000);
}

static void host_vm_first(struct test *t)
{
	expect_outs(t, t->vcpu->fd, t->vcpu->run, 1);
	/* A copy, because the runner closes its own later. */
	dup2(t->sys->fd, t->vm->fd);
	churn(t);
	expect_outs(t, t->vcpu->fd, t->vcpu->run, 3);
}

static void host_system_first(struct test *t)
{
	int null = dup(2);

	expect_outs(t, t->vcpu->fd, t->vcpu->run, 1);
	dup2(null, t->sys->fd);
	expect_outs(t, t->vcpu->fd, t->vcpu->run, 3);
}

static void host_vcpu_dup(struct test *t)
{
	int copy = dup(t->vcpu->fd);

	dup2(t->sys->fd, t->vcpu->fd);
	dup2(t->sys->fd, t->vm->fd);
	churn(t);
	expect_outs(t, copy, t->vcpu->run, 3);
	close(copy);
}

/* The mapping shows what the vCPU left in it, and holds its page, after every descriptor is gone. */
static void host_mapping_last(struct test *t)
{
	expect_outs(t, t->vcpu->fd, t->vcpu->run, 2);
	dup2(t->sys->fd, t->vm->fd);
	dup2(t->sys->fd, t->vcpu->fd);
	churn(t);
	expect_eq(t, KVM_EXIT_IO, t->vcpu->run->exit_reason);
	expect_eq(t, 0x80, t->vcpu->run->io.port);
	expect_eq(t, 1, t->vcpu->run->io.count);
	expect_eq(t, 0x5a, ((uint8_t *)t->vcpu->run)[t->vcpu->run->io.data_offset]);
}

static void host_mapping_first(struct test *t)
{
	struct kvm_run *again;

	expect_outs(t, t->vcpu->fd, t->vcpu->run, 1);
	munmap(t->vcpu->run, t->sys->run_bytes);
	expect_result(t, 0, raw(t, t->vcpu->fd, KVM_RUN, 0));
	again = mmap(t->vcpu->run, t->sys->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, t->vcpu->fd, 0);
	require_true(t, again == t->vcpu->run);
	expect_eq(t, KVM_EXIT_IO, again->exit_reason);
	expect_outs(t, t->vcpu->fd, again, 2);
}

/* The VM belongs to the process that made it: its child has the descriptors, and is refused. */
static void host_other_process(struct test *t)
{
	struct kvm_regs regs;
	int status = 0;
	pid_t child;

	expect_outs(t, t->vcpu->fd, t->vcpu->run, 1);
	child = fork();
	if (child == 0) {
		int wrong = 0;

		wrong |= (raw(t, t->vcpu->fd, KVM_GET_REGS, (uintptr_t)&regs) != -EIO) << 0;
		wrong |= (raw(t, t->vcpu->fd, KVM_RUN, 0) != -EIO) << 1;
		wrong |= (raw(t, t->vm->fd, KVM_CREATE_VCPU, 1) != -EIO) << 2;
		wrong |= (raw(t, t->vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_HLT) != -EIO) << 3;
		wrong |= (raw(t, t->sys->fd, KVM_CHECK_EXTENSION, KVM_CAP_HLT) != 1) << 4;
		_exit(wrong);
	}
	require_true(t, child > 0 && waitpid(child, &status, 0) == child);
	expect_eq(t, 0, status);
	expect_outs(t, t->vcpu->fd, t->vcpu->run, 3);
}

struct row {
	ROW_FIELDS;
	void (*host)(struct test *t);
};

static const struct row rows[] = {
	{ .label = "vm_first", .host = host_vm_first },
	{ .label = "system_first", .host = host_system_first },
	{ .label = "vcpu_dup", .host = host_vcpu_dup },
	{ .label = "mapping_last", .host = host_mapping_last },
	{ .label = "mapping_first", .host = host_mapping_first },
	{ .label = "other_process", .host = host_other_process },
};

CASE(fd_lifetime, .says = "a VM lives as long as anything of it is held", .modes = LONG64, .rows = ROWS(rows))

GUEST(fd_lifetime)
{
	for (;;)
		out8(0x80, 0x5a);
}

HOST(fd_lifetime)
{
	ROW(t, rows)->host(t);
}
