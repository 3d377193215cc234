/* SPDX-License-Identifier: MIT */
/*
 * Another process with a VM of its own, whose vCPUs run in threads for ever: what becomes of it when the process ends.
 * The guest counts in its report page's first value while it runs.
 */
#ifndef VMASSAY_PROCESS_H
#define VMASSAY_PROCESS_H

#include "cases/ioctl/stats.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

struct process {
	pid_t pid;
	int ready_fd;		/* readable once every vCPU runs */
};

static inline void *process_vcpu_run(void *argument)
{
	while (!vcpu_run_try(argument))
		;
	return NULL;
}

/* Until each vCPU's guest has counted. */
static inline void process_wait(struct test *t)
{
	unsigned int i;

	for (i = 0; i < t->vm->nr_vcpus; i++)
		while (!((volatile struct abi_page *)guest_page(t, i))->values[0])
			usleep(1000);
}

static inline void __attribute__((noreturn)) process_main(struct test *t, unsigned int nr_vcpus, bool has_irqchip,
							   int ready_fd, void (*end)(void))
{
	struct vm *vm;
	pthread_t thread;
	unsigned int i;

	/* The test's process is watched, this one is not. */
	t->sys->marker = &t->sys->own_marker;
	vm = vm_create(t->sys);
	if (has_irqchip)
		vm_ioctl_value(vm, KVM_CREATE_IRQCHIP, 0);
	guest_load(t, vm);
	t->vm = vm;
	guest_arg(t, 0, 1);
	for (i = 0; i < nr_vcpus; i++) {
		struct vcpu *vcpu = guest_vcpu(t, vm, i);
		struct kvm_mp_state runnable = { KVM_MP_STATE_RUNNABLE };

		vcpu->tid = 1;
		vcpu_ioctl(vcpu, KVM_SET_MP_STATE, &runnable);
		pthread_create(&thread, NULL, process_vcpu_run, vcpu);
	}
	process_wait(t);
	if (write(ready_fd, "r", 1) != 1)
		_exit(1);
	if (end)
		end();
	for (;;)
		pause();
}

/* Starts it and waits until all of its vCPUs run; argument 0 of its guest is 1. @end is its own end, or NULL. */
static inline struct process process_start(struct test *t, unsigned int nr_vcpus, bool has_irqchip, void (*end)(void))
{
	struct process process;
	int fds[2];
	char byte;

	require_result(t, 0, pipe(fds));
	process.pid = fork();
	require_true(t, process.pid >= 0);
	if (!process.pid)
		process_main(t, nr_vcpus, has_irqchip, fds[1], end);
	close(fds[1]);
	process.ready_fd = fds[0];
	require_result(t, 1, read(process.ready_fd, &byte, 1));
	return process;
}

/* It is gone with this wait status, and nothing of its VM is left; what the kernel says of it, the runner hears. */
static inline void expect_process_gone(struct test *t, struct process process, int want_status)
{
	unsigned int i;
	int status = 0;

	require_true(t, waitpid(process.pid, &status, 0) == process.pid);
	expect_eq(t, want_status, status);
	/* The last reference may go behind a grace period. */
	for (i = 0; kvm_folders_of(process.pid) && i < 200; i++)
		usleep(10000);
	expect_eq(t, 0, kvm_folders_of(process.pid));
	close(process.ready_fd);
}

#endif
