/* SPDX-License-Identifier: MIT */
/*
 * Asynchronous page faults: memory that user space has behind a userfaultfd, and not given yet, is fetched by a thread of
 * its own. A guest that wants to know is told so by a #PF with a token, and by an interrupt when it is there; another one
 * takes its interrupts meanwhile. The kernel's Documentation/virt/kvm/x86/msr.rst, MSR_KVM_ASYNC_PF_EN.
 *
 * Note, a userfaultfd that this process does not have, and a slow disk, are waited for where they are met.
 */
#ifndef VMASSAY_SOFT_ASYNC_PF_H
#define VMASSAY_SOFT_ASYNC_PF_H

#include <stdbool.h>
#include <stdint.h>

struct soft_vcpu;
struct soft_async_page;

struct soft_async_pf {
	struct soft_async_page *pages;	/* under way, or there and not told yet */
	uint32_t nr_tokens;
	bool is_halted;			/* until there is something: the guest cannot go on */
};

/* What a VM knows of its process. */
struct soft_userfaults {
	bool are_there;
	uint64_t looked_ns;
};

/* True: the page is late, and the guest's access waits for it outside of the hypervisor. */
bool async_pf_begin(struct soft_vcpu *vcpu, uintptr_t hva, uint64_t gpa, bool is_write);
/* Tells what came. */
void async_pf_poll(struct soft_vcpu *vcpu);
/* MSR_KVM_ASYNC_PF_EN was written: what is under way was another value's. */
void async_pf_forget(struct soft_vcpu *vcpu);
void async_pf_free(struct soft_vcpu *vcpu);

#endif
