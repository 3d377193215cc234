/* SPDX-License-Identifier: MIT */
/*
 * A signal that ends each KVM_RUN and stays pending: blocked by the thread, and not by KVM_RUN's own mask.
 * Source: KVM API, KVM_SET_SIGNAL_MASK.
 */
#ifndef VMASSAY_CASES_IOCTL_RUN_MASK_H
#define VMASSAY_CASES_IOCTL_RUN_MASK_H

#include "case.h"

#include <signal.h>

/* KVM_SET_SIGNAL_MASK takes the kernel's set of 8 bytes, behind a header whose size is the request's. */
static inline void run_mask_set(struct test *t, uint64_t mask)
{
	struct {
		struct kvm_signal_mask head;
		uint64_t set;
	} __attribute__((packed)) arg = { .head.len = 8, .set = mask };

	vcpu_ioctl(t->vcpu, KVM_SET_SIGNAL_MASK, (struct kvm_signal_mask *)(void *)&arg);
}

static inline void run_signal_block(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(how, &set, NULL);
}

/* From here on each KVM_RUN ends with EINTR. @handler is called once the signal is unblocked, if it ever is. */
static inline void run_signal_raise(struct test *t, void (*handler)(int))
{
	const struct sigaction action = { .sa_handler = handler };

	sigaction(SIGUSR2, &action, NULL);
	run_signal_block(SIG_BLOCK);
	run_mask_set(t, 0);
	raise(SIGUSR2);
}

/* KVM_RUN does not see the signal any more, which stays pending. */
static inline void run_signal_hold(struct test *t)
{
	run_mask_set(t, 1ull << (SIGUSR2 - 1));
}

#endif
