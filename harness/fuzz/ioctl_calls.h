/* SPDX-License-Identifier: MIT */
/*
 * The calls that inputs of "ioctl" make, and what is known of each without making it: its argument, the errors that it may
 * end with, and the state that it sets or gets, with the fields of that.
 *
 * Source: KVM API, section 4 (the argument, "Errors" and the text of each call).
 */
#ifndef VMASSAY_FUZZ_IOCTL_CALLS_H
#define VMASSAY_FUZZ_IOCTL_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fuzz/input.h"

enum ioctl_scope { IOCTL_SCOPE_SYSTEM, IOCTL_SCOPE_VM, IOCTL_SCOPE_VCPU, IOCTL_SCOPE_DEVICE, NR_IOCTL_SCOPES };

/* What an argument is. */
enum ioctl_shape {
	IOCTL_SHAPE_VALUE,	/* no pointer */
	IOCTL_SHAPE_FIXED,	/* as long as the number says */
	IOCTL_SHAPE_MSRS,	/* a head, and as many entries as it says */
	IOCTL_SHAPE_CPUID,
	IOCTL_SHAPE_INDICES,
	IOCTL_SHAPE_ROUTES,
	IOCTL_SHAPE_NESTED,
	IOCTL_SHAPE_XSAVE2,
	IOCTL_SHAPE_SIGNALS,
	IOCTL_SHAPE_FILTER,	/* a head, and more that is only read */
};

/* State that one call gets and another sets. */
enum ioctl_state {
	IOCTL_STATE_NONE,
	IOCTL_STATE_REGS, IOCTL_STATE_SREGS, IOCTL_STATE_SREGS2, IOCTL_STATE_FPU, IOCTL_STATE_XSAVE, IOCTL_STATE_XCRS,
	IOCTL_STATE_DEBUGREGS, IOCTL_STATE_MP_STATE, IOCTL_STATE_EVENTS, IOCTL_STATE_LAPIC, IOCTL_STATE_NESTED,
	IOCTL_STATE_DEBUG,	/* KVM_SET_GUEST_DEBUG: cannot be got */
	IOCTL_STATE_IRQCHIP, IOCTL_STATE_PIT2, IOCTL_STATE_CLOCK,
	NR_IOCTL_STATES,
};

struct ioctl_call {
	const char *name;
	unsigned long number;
	enum ioctl_shape shape;
	bool has_pointers;		/* the argument leads to more memory */
	uint64_t errors;		/* 1 << errno for each that it may end with, beside those of all calls */
	enum ioctl_state sets, gets;
};

/* By scope and operand's value. */
extern const struct ioctl_call *const ioctl_calls[NR_IOCTL_SCOPES];
extern const unsigned int nr_ioctl_calls[NR_IOCTL_SCOPES];
/* Calls that only operations of their own make. */
extern const struct ioctl_call ioctl_call_create_vm, ioctl_call_create_vcpu, ioctl_call_run;

/* The row of a number; NULL: none. */
const struct ioctl_call *ioctl_call_find(enum ioctl_scope scope, unsigned long number);
/* The calls of a state; NULL: it cannot be got. */
const struct ioctl_call *ioctl_getter(enum ioctl_state state);
const struct ioctl_call *ioctl_setter(enum ioctl_state state);

/* How long an argument is as its head (at least 8 bytes at @argument) says, if it is written as it should be. */
size_t ioctl_argument_bytes(const struct ioctl_call *call, const void *argument);

bool ioctl_error_is_known(const struct ioctl_call *call, int error);

/* --- fields --- */

struct ioctl_field {
	const char *name;
	uint8_t state;			/* enum ioctl_state; of the shared page's: 0 */
	uint8_t len_bytes;		/* 1, 2, 4 or 8 */
	uint16_t offset;
	uint32_t select;		/* IRQCHIP: the chip */
};

/* By the operand's value: of a vCPU's state, a VM's, and the page that a vCPU shares with its user. */
extern const struct ioctl_field ioctl_vcpu_fields[], ioctl_vm_fields[], ioctl_shared_fields[];
extern const struct input_names ioctl_vcpu_field_names, ioctl_vm_field_names, ioctl_shared_field_names;

extern const struct input_names ioctl_sys_call_names, ioctl_vm_call_names, ioctl_vcpu_call_names, ioctl_device_call_names;

#endif
