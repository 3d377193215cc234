/* SPDX-License-Identifier: MIT */
/*
 * What "vmassay bench" measures against: the same system calls with nothing around them.
 */
#ifndef VMASSAY_BENCH_RAW_H
#define VMASSAY_BENCH_RAW_H

#include <stdint.h>

struct kvm_cpuid2;

#define RAW_RAM_BYTES 0x400000

/* A VM with one vCPU whose guest does OUT to port 0x80 for ever. */
struct raw_vm {
	int kvm_fd, vm_fd, vcpu_fd;
	void *ram;
	struct kvm_run *run;
	long run_bytes;
};

/* 0 or -errno; @cpuid is set as it is. */
int raw_vm_open(struct raw_vm *vm, struct kvm_cpuid2 *cpuid);
void raw_vm_close(struct raw_vm *vm);

/* @n exits, each looked at once. 0, or -EPROTO when one was not the OUT. */
int raw_vm_run(struct raw_vm *vm, unsigned int n);

/* A process that opens a VM, runs to one exit, tears down and tells its parent through a pipe. 0 or -errno. */
int raw_hello(struct kvm_cpuid2 *cpuid);

#endif
