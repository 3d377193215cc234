/* SPDX-License-Identifier: MIT */
/*
 * "vmassay bench soft": what a guest's instruction, an exit to user space and a VM's life cost on the self-contained
 * hypervisor, in time of the CPU: what else the machine does costs nothing.
 */
#include "cli/bench_soft.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "err.h"
#include "soft/soft.h"
#include "vm/vm.h"
#include "vm/x86/mode.h"

#define CODE_GPA 0x100000u
#define DATA_GPA 0x101000u
#define NR_LIVES 20000
#define NR_EXITS 1000000
#define NR_ITERATIONS 25000000u
#define NR_INSNS_EACH 4u

/* Each ends with OUT to port 80h; the loops count RCX down, and have NR_INSNS_EACH instructions. */
static const uint8_t exit_code[] = { 0xe6, 0x80, 0xeb, 0xfc };
static const uint8_t register_code[] = {
	0x48, 0x01, 0xc8,		/* add %rcx, %rax */
	0x48, 0x31, 0xc2,		/* xor %rax, %rdx */
	0x48, 0xff, 0xc9,		/* dec %rcx */
	0x75, 0xf5,			/* jnz */
	0xe6, 0x80,
};
static const uint8_t memory_code[] = {
	0x48, 0x8b, 0x06,		/* mov (%rsi), %rax */
	0x48, 0x01, 0x4e, 0x08,		/* add %rcx, 8(%rsi) */
	0x48, 0xff, 0xc9,		/* dec %rcx */
	0x75, 0xf4,			/* jnz */
	0xe6, 0x80,
};

static double cpu_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void must_failed(void *context, const char *what, long error)
{
	(void)context;
	cli_print("bench: %s: %s", what, strerror((int)-error));
	exit(99);
}

/* In 64-bit mode with paging, about to execute @code. */
static struct vcpu *vcpu_with_code(struct sys *sys, const uint8_t *code, size_t len_bytes)
{
	struct vm *vm = vm_create(sys);
	struct kvm_regs regs = { .rip = CODE_GPA, .rflags = 2, .rcx = NR_ITERATIONS, .rsi = DATA_GPA };
	uint8_t *ram = vm_slot_add(vm, 0, 0, 0, RAM_BYTES);
	struct vcpu *vcpu = vcpu_create(vm, 0);

	memcpy(ram + CODE_GPA, code, len_bytes);
	vcpu_set_supported_cpuid(vcpu);
	mode_write_tables(vm, LONG64);
	mode_enter(vcpu, LONG64, 0, CODE_GPA);
	vcpu_ioctl(vcpu, KVM_SET_REGS, &regs);
	return vcpu;
}

/* Seconds of @nr runs from one OUT to the next. */
static double seconds_of_runs(struct sys *sys, const uint8_t *code, size_t len_bytes, unsigned int nr)
{
	struct vcpu *vcpu = vcpu_with_code(sys, code, len_bytes);
	double start = cpu_seconds(), ret;

	while (nr--) {
		if (!vcpu_run_try(vcpu) && vcpu->run->exit_reason == KVM_EXIT_IO)
			continue;
		cli_print("bench: exit %u where an OUT should be", vcpu->run->exit_reason);
		exit(99);
	}
	ret = cpu_seconds() - start;
	vm_destroy(vcpu->vm);
	return ret;
}

static double seconds_of_lives(struct sys *sys, unsigned int nr)
{
	double start = cpu_seconds();

	while (nr--) {
		struct vm *vm = vm_create(sys);

		vm_slot_add(vm, 0, 0, 0, RAM_BYTES);
		vcpu_create(vm, 0);
		vm_destroy(vm);
	}
	return cpu_seconds() - start;
}

static void print_loop(struct sys *sys, const char *name, const uint8_t *code, size_t len_bytes)
{
	double seconds = seconds_of_runs(sys, code, len_bytes, 1);

	cli_print("%-28s %9.1f million instructions/s", name, NR_INSNS_EACH * (NR_ITERATIONS / 1e6) / seconds);
}

int bench_soft(void)
{
	struct soft *soft;
	struct sys sys;
	struct err err;
	int r = soft_create(&soft);

	if (r)
		return usage_error("bench: %s", strerror(-r));
	if (sys_open(&sys, soft_backend(soft), NULL, &err)) {
		soft_destroy(soft);
		return usage_error("%s", err.text);
	}
	sys.must_failed = must_failed;
	print_loop(&sys, "register loop", register_code, sizeof(register_code));
	print_loop(&sys, "memory loop", memory_code, sizeof(memory_code));
	cli_print("%-28s %9.2f us", "VM, vCPU and slot, a life", seconds_of_lives(&sys, NR_LIVES) / NR_LIVES * 1e6);
	cli_print("%-28s %9.3f us", "exit to user space", seconds_of_runs(&sys, exit_code, sizeof(exit_code), NR_EXITS) /
		  NR_EXITS * 1e6);
	sys_close(&sys);
	soft_destroy(soft);
	return 0;
}
