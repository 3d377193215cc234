/* SPDX-License-Identifier: MIT */
/*
 * Signals of the thread that is in KVM_RUN. Those that come before they are held count as having come before the call;
 * a longer run holds them back and asks now and then, and leaves with them pending, as the kernel does.
 */
#ifndef VMASSAY_SOFT_SIGNALS_H
#define VMASSAY_SOFT_SIGNALS_H

#include <stdbool.h>
#include <stdint.h>

/* Sets of signals: bit n - 1 is signal n. */
struct soft_signals {
	bool is_held;
	uint64_t before;	/* what the thread had blocked */
};

void signals_hold(struct soft_signals *signals);
void signals_release(struct soft_signals *signals);
/* True when one is pending that @blocked (NULL: what the thread had blocked) does not have. */
bool signals_wait(const struct soft_signals *signals, const uint64_t *blocked);

#endif
