/* SPDX-License-Identifier: MIT */
/* What the files of the nested executor share. */
#ifndef VMASSAY_FUZZ_NESTED_PRIVATE_H
#define VMASSAY_FUZZ_NESTED_PRIVATE_H

#include <linux/kvm.h>
#include <pthread.h>

#include "fuzz/nested.h"
#include "fuzz/nested_l1.h"
#include "machine/cpuid.h"
#include "vm/vm.h"

#define NESTED_NR_WORDS (VMCB_NR_PAGES / 64)
#define NESTED_MAX_CPUID 32
#define NESTED_MAX_MSRS 256
#define NESTED_NR_HYPERV 4		/* leaves of CPUID */

struct touches;

/* Why L1 does not go on. */
enum stop {
	STOP_DONE,		/* its script is done */
	STOP_HALTED,		/* L2 halts, and L1 does not intercept it */
	STOP_SHUTDOWN,
	STOP_BUDGET,
	STOP_FAULT,		/* an exception in L1 */
	STOP_ERROR,		/* KVM does not know what to do */
};

struct msr_list {
	struct kvm_msrs head;
	struct kvm_msr_entry entries[NESTED_MAX_MSRS];
};

#define NESTED_MAX_ENDS 3

struct nested {
	struct sys *sys;
	struct vm *vm;
	struct vcpu *vcpu;
	uint8_t *ram, *golden;		/* VMCB_RAM_BYTES */
	uint8_t *l1, *l1_golden;	/* NESTED_L1_BYTES */
	struct machine_cpuid cpuid[NESTED_MAX_CPUID];
	size_t nr_cpuid;
	struct svm_rule_cpu rule_cpu;
	struct kvm_cpuid2 *kvm_cpuid;

	/* A vCPU that has done nothing yet but CLGI. */
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_debugregs debugregs;
	struct kvm_vcpu_events events;
	struct kvm_xsave xsave;
	struct kvm_xcrs xcrs;
	struct msr_list msrs;

	struct vmcb_program program;
	unsigned int nr_steps;		/* of the script, not executed yet */
	uint64_t suspects[NESTED_NR_WORDS];	/* pages that this input may have written */
	bool has_gif;
	bool is_fresh;
	bool is_lost;			/* the vCPU is somewhere in L2 */
	bool is_hopeless;		/* only a new VM will do */
	bool is_changed;		/* by user space: there is nothing to compare */
	bool has_hyperv;		/* this input */
	const struct input_op *host[INPUT_MAX_OPS];	/* what user space does at L2's next exits */
	unsigned int nr_host, host_at;
	bool is_unclean;		/* it may have more state than a look shows */
	uint64_t pins;			/* that this input has asserted */
	uint64_t last_written;		/* by an operation */
	unsigned int nr_since_sweep, nr_close;
	volatile unsigned int ticks;
	bool is_watched;		/* this input */
	struct touches *fetches;	/* of watched_fields; NULL: nobody counts */
	struct {
		pthread_t thread;
		bool is_running;
	} ends[NESTED_MAX_ENDS];	/* of earlier VMs */
	unsigned int nr_ends;
	struct nested_counts counts;
};

/* --- CPUID (nested_cpuid.c) --- */

/* n->cpuid and n->kvm_cpuid: what both KVM and the machine have. */
int nested_cpuid_make(struct nested *n);
/* For rules: @context is the struct nested. */
uint32_t nested_cpuid_read(const void *context, uint32_t leaf, uint32_t subleaf, unsigned int reg);

/* --- the VM (nested_vm.c) --- */

int nested_memory_make(struct nested *n);
void nested_memory_free(struct nested *n);
int nested_vm_make(struct nested *n);
/* Its end may take until nested_vms_wait(). */
void nested_vm_unmake(struct nested *n);
/* Another one, with L1 before its script. */
int nested_vm_remake(struct nested *n);
/* The state that is put back. */
int nested_state_take(struct nested *n);
void nested_state_put(struct nested *n);
/* The same, and the next VMRUN reads all of the VMCB, whatever its clean bits say. */
void nested_vmcb_forget(struct nested *n);
/* Out of L2, where L1 cannot be: as a migration does that starts over. False: KVM refuses. */
bool nested_l2_leave(struct nested *n);

/* --- L1's script (nested_script.c) --- */

void nested_step_add(struct nested *n, uint64_t what, uint64_t rax, uint64_t rcx);
enum stop nested_script_run(struct nested *n);

/* --- what user space does (nested_host.c) --- */

/* False: KVM refuses what it gave itself. */
bool nested_host_do(struct nested *n, const struct input_op *op);
bool nested_has_hyperv(const struct input *input);
/* Adds Hyper-V's leaves. */
void nested_hyperv_cpuid(struct kvm_cpuid2 *cpuid);
/* L1 says who it is. */
void nested_hyperv_begin(struct nested *n);

/* --- memory between inputs (nested_pages.c) --- */

uint64_t nested_get64(const uint8_t *ram, uint64_t gpa);
/* As vmcb_program.written. */
void nested_page_written(void *context, uint64_t gpa, uint64_t len_bytes);
/* What an input may write beside what its operations do: @touched, or all where that is NULL. */
void nested_suspects_set(struct nested *n, const uint64_t *touched);
void nested_pages_restore(struct nested *n);

/* --- what VMRUN reads (nested_fetches.c) --- */

void nested_fetches_begin(struct nested *n, const struct input *input);
/* Runs the script, whose last step is VMRUN. */
enum stop nested_vmrun_watched(struct nested *n, struct vmcb_result *result);

/* The first counts. */
void nested_violate(struct vmcb_result *result, const char *what, uint64_t want, uint64_t got);

#endif
