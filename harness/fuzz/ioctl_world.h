/* SPDX-License-Identifier: MIT */
/*
 * What an input of "ioctl" works on: descriptors by name, the argument that all calls share, and the pool, which is the
 * user memory that slots may show to guests. Argument and pool are at the same address every time where that is free, and
 * end at pages that nobody may touch.
 *
 * The golden state is vm0 with half of the pool at guest address 0, and vcpu0 before the code that the guest operations
 * make, in real mode or in 64-bit mode; all of its exceptions and interrupts end at a HLT. An IRQ chip, whole or split,
 * is added by a base of its own; "vm" has no vCPU yet, "empty" has nothing.
 */
#ifndef VMASSAY_FUZZ_IOCTL_WORLD_H
#define VMASSAY_FUZZ_IOCTL_WORLD_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "fuzz/ioctl_calls.h"
#include "fuzz/ioctl_ops.h"
#include "fuzz/ioctl_runner.h"

#define IOCTL_ARG_BYTES 0x2000u
#define IOCTL_POOL_BYTES 0x40000u
#define IOCTL_POOL_PAGES (IOCTL_POOL_BYTES / 4096)
#define IOCTL_CODE_GPA 0x8000u
#define IOCTL_CODE_BYTES 0x1000u
#define IOCTL_MAX_ROUTES 16
#define IOCTL_MAX_KNOWN_SLOTS 16

/* What is known of a slot from the calls that were made. */
struct ioctl_known_slot {
	uint32_t id, flags;
	uint64_t gpa, bytes, hva;
};

struct ioctl_vm {
	int fd;				/* -1: not there */
	unsigned int serial;		/* another for each VM of an input */
	unsigned int nr_slots;
	struct ioctl_known_slot slots[IOCTL_MAX_KNOWN_SLOTS];
	bool has_unknown_slots;
	uint32_t msr_exits;		/* KVM_CAP_X86_USER_SPACE_MSR */
	uint64_t hypercall_exits;
	bool has_irqchip, has_split_irqchip;
	struct kvm_irq_routing_entry routes[IOCTL_MAX_ROUTES];
	unsigned int nr_routes;
};

struct ioctl_vcpu {
	int fd;
	struct kvm_run *run;		/* NULL: not mapped */
	unsigned int vm, vm_serial;
	uint32_t debug_control;
	bool reports_tpr;
};

struct ioctl_pending {
	unsigned int exit, op;		/* op: of the input */
};

struct ioctl_runner {
	const struct backend *backend;
	struct soft *soft;
	int sys_fd;
	size_t run_bytes;		/* of a vCPU's page */
	uint8_t *arg, *pool;
	uint8_t *shadow;		/* the argument as it was before the call */
	uint8_t *got[2];		/* what getters gave, before and behind a setter */
	struct kvm_cpuid2 *supported;
	const struct input *input;
	struct ioctl_result *result;
	struct ioctl_vm vms[INPUT_MAX_LINKS];
	struct ioctl_vcpu vcpus[INPUT_MAX_LINKS];
	int devices[INPUT_MAX_LINKS], events[INPUT_MAX_LINKS];
	unsigned int next_serial;
	enum ioctl_base base;
	unsigned int code_bytes;	/* of the guest's code */
	uint64_t user_pages[IOCTL_POOL_PAGES / 64];	/* a bit for each page of the pool that the user has written */
	uint64_t slot_pages[IOCTL_POOL_PAGES / 64];	/* and that some slot has had */
	bool is_pool_protected, is_pool_a_buffer;
	enum ioctl_place place;		/* of the next call's argument */
	unsigned int place_delta;
	bool is_placed;
	struct ioctl_pending pending[INPUT_MAX_OPS];
	unsigned int nr_pending, depth;
	unsigned int nr_unlocked;	/* of soft_live() at the end of the input before */
	int free_fd;			/* the lowest number before the input */
};

/* The first of an input counts. */
void ioctl_violate(struct ioctl_runner *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* --- life (ioctl_world.c) --- */

void ioctl_world_begin(struct ioctl_runner *r);
/* Closes what is left; nothing may be left behind then. */
void ioctl_world_end(struct ioctl_runner *r);
void ioctl_vm_close(struct ioctl_runner *r, unsigned int vm);
void ioctl_vcpu_close(struct ioctl_runner *r, unsigned int vcpu);
/* Of devices or events. */
void ioctl_fd_close(struct ioctl_runner *r, int *fd);
void ioctl_vm_opened(struct ioctl_runner *r, unsigned int vm, int fd);
void ioctl_vcpu_opened(struct ioctl_runner *r, unsigned int vcpu, unsigned int vm, int fd);
void ioctl_pool_write(struct ioctl_runner *r, uint64_t offset, const void *from, size_t len_bytes);
/* A slot has it. */
void ioctl_pool_lend(struct ioctl_runner *r, uint64_t hva, uint64_t len_bytes);
void ioctl_pool_protect(struct ioctl_runner *r, uint64_t offset, uint64_t len_bytes, unsigned int right);
/* Behind the guest's code; the rest of it is HLT. */
void ioctl_code_add(struct ioctl_runner *r, const uint8_t *bytes, unsigned int nr);
/* Without a step, and without oracles. */
long ioctl_ask(struct ioctl_runner *r, int fd, unsigned long number, const void *argument);
/* @delta bytes before the end of a place; of ARG with 0: its beginning. */
uintptr_t ioctl_place_address(const struct ioctl_runner *r, enum ioctl_place place, uint64_t delta);

/* --- calls, with what must hold of them (ioctl_oracle.c) --- */

struct ioctl_who {
	enum ioctl_scope scope;
	unsigned int index;		/* of the VM, vCPU or device */
};

int ioctl_fd_of(const struct ioctl_runner *r, struct ioctl_who who);
/*
 * Makes a call with the shared argument, or with @value when that is no pointer, and adds its step. What it does to what is
 * known is taken down. The result or -errno; a new descriptor is the caller's.
 */
long ioctl_make(struct ioctl_runner *r, struct ioctl_who who, const struct ioctl_call *call, uint64_t value, uint64_t detail);
/* A call that gives a descriptor. */
long ioctl_make_fd(struct ioctl_runner *r, int fd, const struct ioctl_call *call, uint64_t value);
struct ioctl_step *ioctl_step_add(struct ioctl_runner *r, const char *call, long result, uint64_t detail);
/* The value of one MSR; false: it cannot be read. */
bool ioctl_msr_get(struct ioctl_runner *r, int fd, uint32_t index, uint64_t *ret_value);

/* --- KVM_RUN (ioctl_run.c) --- */

/* Once: its result. The exit is in the step. */
long ioctl_run_once(struct ioctl_runner *r, unsigned int vcpu);

/* --- operations (ioctl_program.c) --- */

void ioctl_program_run(struct ioctl_runner *r);

#endif
