/* SPDX-License-Identifier: MIT */
/*
 * Operations of "input ioctl": what a user of KVM's system calls does. Things that are opened have names (vm0, vcpu1,
 * dev0) by which later operations reach them; one that is not there is a file descriptor of -1. All calls share one
 * argument, which operations write and calls read and fill: what a call got is edited and set again.
 *
 * "at N" postpones the operation behind it to the Nth exit of the next run.
 *
 * Operands of a kind are .args in the order of its row in ioctl_ops.c.
 */
#ifndef VMASSAY_FUZZ_IOCTL_OPS_H
#define VMASSAY_FUZZ_IOCTL_OPS_H

#include "fuzz/input.h"

#define IOCTL_ARG_BYTES 0x2000u		/* the argument */
#define IOCTL_POOL_BYTES 0x100000u	/* the user's memory that slots may show to a guest */

enum ioctl_op {
	IOCTL_OP_VM,
	IOCTL_OP_VCPU,
	IOCTL_OP_DEVICE,
	IOCTL_OP_CLOSE_VM,
	IOCTL_OP_CLOSE_VCPU,
	IOCTL_OP_SLOT,
	IOCTL_OP_GUEST,
	IOCTL_OP_GUEST_INSN,
	IOCTL_OP_ARG,
	IOCTL_OP_ARG_XOR,
	IOCTL_OP_ARG_CLEAR,
	IOCTL_OP_SYS_CALL,
	IOCTL_OP_VM_CALL,
	IOCTL_OP_VCPU_CALL,
	IOCTL_OP_DEVICE_CALL,
	IOCTL_OP_CAP,
	IOCTL_OP_IRQ_LINE,
	IOCTL_OP_INTERRUPT,
	IOCTL_OP_RUN,
	IOCTL_OP_AT,
	NR_IOCTL_OPS,
};

/* A call by name, and whether its argument is a number instead of the shared one's address. */
struct ioctl_call {
	const char *name;
	unsigned long number;
	bool is_by_value;
};

/* By the operands' values. */
extern const struct ioctl_call ioctl_sys_calls[], ioctl_vm_calls[], ioctl_vcpu_calls[], ioctl_device_calls[];
/* What a guest executes, as bytes for hexadecimal digits. */
extern const char *const ioctl_guest_insns[];

extern const struct input_domain ioctl_domain;

#endif
