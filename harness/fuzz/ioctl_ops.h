/* SPDX-License-Identifier: MIT */
/*
 * Operations of "input ioctl": what a user of KVM's system calls does. Things that are opened have names (vm0, vcpu1,
 * dev0, event0) by which later operations reach them; one that is not there is a file descriptor of -1. The golden state
 * ("base") has vm0 and vcpu0 (ioctl_world.h).
 *
 * All calls share one argument, which operations write and calls read and fill: what a call got is edited and set again.
 * "at N" postpones the operation behind it to the Nth exit of the next run.
 *
 * Operands of a kind are .args in the order of its row in ioctl_ops.c.
 */
#ifndef VMASSAY_FUZZ_IOCTL_OPS_H
#define VMASSAY_FUZZ_IOCTL_OPS_H

#include "fuzz/input.h"

enum ioctl_op {
	IOCTL_OP_BASE,
	IOCTL_OP_VM,
	IOCTL_OP_VCPU,
	IOCTL_OP_DEVICE,
	IOCTL_OP_EVENT,
	IOCTL_OP_CLOSE_VM,
	IOCTL_OP_CLOSE_VCPU,
	IOCTL_OP_CLOSE_DEVICE,
	IOCTL_OP_CLOSE_EVENT,
	IOCTL_OP_EVENT_WRITE,
	IOCTL_OP_SLOT,
	IOCTL_OP_POOL,
	IOCTL_OP_GUEST,
	IOCTL_OP_GUEST_INSN,
	IOCTL_OP_GUEST_REG,
	IOCTL_OP_SET,
	IOCTL_OP_XOR,
	IOCTL_OP_VM_SET,
	IOCTL_OP_VM_XOR,
	IOCTL_OP_SHARED,
	IOCTL_OP_MSR,
	IOCTL_OP_CPUID,
	IOCTL_OP_ARG,
	IOCTL_OP_ARG_NUMBER,
	IOCTL_OP_ARG_XOR,
	IOCTL_OP_ARG_CLEAR,
	IOCTL_OP_ARG_POINTER,
	IOCTL_OP_ARG_FD,
	IOCTL_OP_PLACE,
	IOCTL_OP_SYS_CALL,
	IOCTL_OP_VM_CALL,
	IOCTL_OP_VCPU_CALL,
	IOCTL_OP_DEVICE_CALL,
	IOCTL_OP_CAP,
	IOCTL_OP_VCPU_CAP,
	IOCTL_OP_IRQ_LINE,
	IOCTL_OP_MSI,
	IOCTL_OP_ROUTE,
	IOCTL_OP_IRQFD,
	IOCTL_OP_IOEVENTFD,
	IOCTL_OP_COALESCE,
	IOCTL_OP_DIRTY_LOG,
	IOCTL_OP_CLEAR_LOG,
	IOCTL_OP_MSR_FILTER,
	IOCTL_OP_INTERRUPT,
	IOCTL_OP_RUN,
	IOCTL_OP_AT,
	NR_IOCTL_OPS,
};

/* Operands that are words. */
enum ioctl_base { IOCTL_BASE_REAL, IOCTL_BASE_LONG, IOCTL_BASE_IRQCHIP, IOCTL_BASE_SPLIT, IOCTL_BASE_VM, IOCTL_BASE_EMPTY };
enum { IOCTL_POOL_WRITE, IOCTL_POOL_READ, IOCTL_POOL_NONE };
enum { IOCTL_ROUTE_IRQCHIP, IOCTL_ROUTE_MSI, IOCTL_ROUTE_OTHER };
enum ioctl_place { IOCTL_PLACE_ARG, IOCTL_PLACE_END, IOCTL_PLACE_POOL, IOCTL_PLACE_NULL, IOCTL_PLACE_UNMAPPED, IOCTL_PLACE_KERNEL };

/* What a guest executes, as bytes for hexadecimal digits. */
extern const char *const ioctl_guest_insns[];

extern const struct input_domain ioctl_domain;

#endif
