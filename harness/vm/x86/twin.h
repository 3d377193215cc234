/* SPDX-License-Identifier: MIT */
/*
 * Runs a guest and writes down all that it does, so that two runs can be compared: that of a VM and that of its twin,
 * a fresh VM into which its state was put on the way.
 *
 * User space plays the same part in both: a read is answered by twin_reply() of the exit's number, and an act between
 * two exits is the plan's. Exits are counted from 1 over a guest's whole life, in whichever VM.
 */
#ifndef VMASSAY_X86_TWIN_H
#define VMASSAY_X86_TWIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vm/exit.h"
#include "vm/vm.h"

#define TWIN_MAX_STEPS 48
#define TWIN_STEP_BYTES 64

struct twin_step {
	int error;		/* of KVM_RUN, negative; -ETIME: no exit in time; 0: see below */
	bool is_halted;		/* it waits in HLT inside KVM_RUN; else .exit */
	struct exit_record exit;	/* .io.bytes: see .bytes */
	uint8_t bytes[TWIN_STEP_BYTES];	/* of an OUT of more than 8 */
};

struct twin_log {
	unsigned int nr;	/* steps until now */
	struct twin_step steps[TWIN_MAX_STEPS];
};

struct twin_plan {
	const char *vcpus;	/* which vCPU makes each exit, a digit for each; behind its end, or NULL: vCPU 0 */
	bool stops_in_hlt;	/* with a local APIC in KVM: HLT counts as an exit */
	bool refuses_msrs;	/* what leaves for an MSR is answered by #GP */
	/* Between exit @exit, which is complete then, and the next; NULL: none. */
	void (*act)(struct vm *vm, unsigned int exit);
};

/* Byte @at of the answer to exit @exit; @bytes of them as a number, for the guest's own checks. */
static inline uint8_t twin_reply_byte(unsigned int exit, unsigned int at)
{
	return exit * 0x35 + at * 0x1b + 0x47;
}

static inline uint64_t twin_reply(unsigned int exit, unsigned int bytes)
{
	uint64_t value = 0;
	unsigned int i;

	for (i = 0; i < bytes; i++)
		value |= (uint64_t)twin_reply_byte(exit, i) << (8 * i);
	return value;
}

/*
 * Runs until @until steps are in the log and those of all vCPUs are complete (immediate_exit), or the guest is done or dead,
 * or KVM_RUN fails, or the log is full. A step that completes with another exit counts that one, too: the log may then
 * be longer. @limit_ms is for one exit.
 */
void twin_run(struct vm *vm, const struct twin_plan *plan, struct twin_log *log, unsigned int until,
	      unsigned int limit_ms);

/* True when the steps behind the first @from ones are the same; otherwise @text says which one is not. */
bool twin_logs_equal(const struct twin_log *want, const struct twin_log *got, unsigned int from, char *text,
		     size_t len_bytes);

/* Step @at, counted from 0, in one line. */
void twin_step_format(char *text, size_t len_bytes, const struct twin_log *log, unsigned int at);

#endif
