/* SPDX-License-Identifier: MIT */
/*
 * x86 vCPU state: printed, and compared field by field.
 */
#ifndef VMASSAY_X86_STATE_H
#define VMASSAY_X86_STATE_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>

/* True when equal; else @fields names those that differ, @want_buf and @got_buf hold just them, in equal columns. */
bool regs_equal(const struct kvm_regs *want, const struct kvm_regs *got, char *fields, char *want_buf,
		char *got_buf, size_t len_bytes);
bool sregs_equal(const struct kvm_sregs *want, const struct kvm_sregs *got, char *fields, char *want_buf,
		 char *got_buf, size_t len_bytes);

/* Several lines each, all with a newline; return what snprintf would. */
int regs_format(char *buf, size_t len_bytes, const struct kvm_regs *regs);
int sregs_format(char *buf, size_t len_bytes, const struct kvm_sregs *sregs);
int events_format(char *buf, size_t len_bytes, const struct kvm_vcpu_events *events);

#endif
