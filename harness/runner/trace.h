/* SPDX-License-Identifier: MIT */
/*
 * The hardware's exits, as the kernel's tracepoints tell them: user space sees few exits, hardware takes many.
 *
 * Each trace hears one thread, through perf events of its own, so that tests that run side by side do not hear each
 * other and nothing of the machine's tracing is changed. Needs tracefs and the right to trace (root).
 *
 * Source: tracepoints kvm:kvm_exit, kvm:kvm_nested_vmexit, kvm:kvm_nested_vmenter_failed.
 */
#ifndef VMASSAY_TRACE_H
#define VMASSAY_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct trace;

enum hw_exit_kind {
	HW_EXIT,		/* from a guest to KVM */
	HW_NESTED_EXIT,		/* from L2, seen by KVM, which decides whether L1 hears of it */
	HW_ENTRY_FAILED,	/* a nested entry that KVM refused */
	NR_HW_EXIT_KINDS,
};

struct hw_exit {
	enum hw_exit_kind kind;
	uint32_t vcpu;
	uint32_t isa;		/* KVM_ISA_VMX 1, KVM_ISA_SVM 2 */
	uint64_t reason;	/* as the CPU has it; HW_ENTRY_FAILED: the error */
	uint64_t rip;
	uint64_t info1, info2;
	uint32_t intr_info, error_code;
	char check[256];	/* HW_ENTRY_FAILED: the text of the check that failed */
};

/* Begins to hear the calling thread. -ENOENT: no tracefs or no such tracepoint; -EACCES, -EPERM: not allowed. */
int trace_open(struct trace **ret, struct err *err);

/* Takes the next exit in the order of time; false when there is none (yet). */
bool trace_next(struct trace *trace, struct hw_exit *ret);

/* How many events were lost because nobody read them in time. */
uint64_t trace_nr_lost(const struct trace *trace);

/* Accepts NULL. */
void trace_close(struct trace *trace);

/* "io", "npf", "EPT_VIOLATION", ...: the names of asm/svm.h and asm/vmx.h; "unnamed" for others. */
const char *hw_exit_reason_name(uint32_t isa, uint64_t reason);

/* One line, without newline. */
int hw_exit_format(char *buf, size_t len_bytes, const struct hw_exit *exit);

#endif
