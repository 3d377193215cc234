/* SPDX-License-Identifier: MIT */
/*
 * A KVM that plays a script: the harness's own tests say what each KVM_RUN leaves behind, right or wrong.
 *
 * Descriptors are real ones, so that a leak shows in /proc/self/fd; memory is reached through the slots that were
 * registered, as a guest would. All other calls answer as a working KVM does unless the test says otherwise.
 */
#ifndef VMASSAY_FAKE_BACKEND_H
#define VMASSAY_FAKE_BACKEND_H

#include <linux/kvm.h>

#include "backend/backend.h"
#include "guests/abi.h"
#include "vm/exit.h"

#define FAKE_MAX_OBJECTS 64
#define FAKE_MAX_SLOTS 16
#define FAKE_MAX_REPLIES 16
#define FAKE_MAX_CAPS 512

enum fake_kind {
	FAKE_END,		/* of the script: KVM_RUN fails with ENODATA */
	FAKE_EXIT,
	FAKE_FAIL,		/* KVM_RUN fails with errno .number */
	FAKE_HANG,		/* until kicked */
	FAKE_HANG_DEAF,		/* a kick changes nothing */
	FAKE_SIGNAL,		/* the process gets signal .number, with its default effect */
	FAKE_LEAVE,		/* the process ends with status .number */
};

/* Strings are the host's; they are copied to where a guest's would be. */
struct fake_record {
	enum abi_record_kind kind;
	unsigned int line;
	const char *file;	/* NULL: no record */
	const char *text;
	uint64_t want;
	uint64_t got;
};

/* One KVM_RUN. */
struct fake_step {
	enum fake_kind kind;
	int number;
	struct exit_record exit;
	enum abi_state state;	/* of the report page; 0: running */
	uint32_t stage;
	uint64_t nr_checks;	/* that the guest made since the last step */
	uint32_t nr_lost;	/* reports that did not fit the page */
	struct fault fault;
	struct fake_record record;
};

#define STEP_EXIT(...) { .kind = FAKE_EXIT, .exit = { __VA_ARGS__ } }
#define STEP_PIO(direction_, ...)							\
	STEP_EXIT(.reason = KVM_EXIT_IO, .io = { .direction = direction_, __VA_ARGS__ })
#define STEP_OUT(...) STEP_PIO(KVM_EXIT_IO_OUT, __VA_ARGS__)
#define STEP_IN(...) STEP_PIO(KVM_EXIT_IO_IN, __VA_ARGS__)
#define STEP_MMIO(...) STEP_EXIT(.reason = KVM_EXIT_MMIO, .mmio = { __VA_ARGS__ })
#define STEP_LEAVES(port_, state_, ...)							\
	{ .kind = FAKE_EXIT, .state = state_, __VA_ARGS__,				\
	  .exit = { .reason = KVM_EXIT_IO,						\
		    .io = { .direction = KVM_EXIT_IO_OUT, .port = port_, .size = 1, .count = 1 } } }
#define STEP_DONE STEP_LEAVES(DONE_PORT, ABI_STATE_DONE, .stage = 0)
#define STEP_SYNC(stage_) STEP_LEAVES(SYNC_PORT, ABI_STATE_SYNC, .stage = stage_)
#define STEP_DIED(...) STEP_LEAVES(DONE_PORT, ABI_STATE_DIED, .fault = { __VA_ARGS__ })
#define STEP_FAIL(errno_) { .kind = FAKE_FAIL, .number = errno_ }

enum fake_object_kind { FAKE_FREE, FAKE_SYS, FAKE_VM, FAKE_VCPU };

struct fake_object {
	enum fake_object_kind kind;
	int fd;
	int vm_fd;		/* of a vCPU */
	uint32_t id;
	struct kvm_run *run;	/* once mapped */
	unsigned int at;	/* next step of its script */
	struct kvm_regs regs;
	struct kvm_sregs sregs;
};

struct fake_slot {
	int vm_fd;
	struct kvm_userspace_memory_region region;
};

/* What user space had put into kvm_run for the guest by the next KVM_RUN. */
struct fake_reply {
	uint32_t reason;
	uint8_t bytes[64];
};

struct fake {
	struct backend backend;	/* first: the calls find the rest behind it */

	/* The test's. */
	const struct fake_step *scripts[ABI_MAX_VCPUS];	/* by vCPU id; ended by FAKE_END */
	int open_error;		/* errno of open(), 0: opens */
	int api_version;
	unsigned long fail_request;	/* this request fails ... */
	int fail_error;			/* ... with this errno */
	long caps[FAKE_MAX_CAPS];
	struct kvm_cpuid_entry2 cpuid[4];
	uint32_t nr_cpuid;
	struct kvm_msr_entry feature_msr;	/* the only one; .index 0: none */

	/* What happened. */
	unsigned int nr_opens;
	unsigned int nr_bad_closes;	/* of a descriptor that is not open */
	struct fake_reply replies[FAKE_MAX_REPLIES];
	unsigned int nr_replies;

	struct fake_object objects[FAKE_MAX_OBJECTS];
	struct fake_slot slots[FAKE_MAX_SLOTS];
};

void fake_init(struct fake *fake);

struct fake *fake_of(const struct backend *backend);

/* Descriptors that nobody has closed. */
unsigned int fake_nr_open(const struct fake *fake);

#endif
