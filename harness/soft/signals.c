/* SPDX-License-Identifier: MIT */
#include "soft/signals.h"

#include <signal.h>
#include <string.h>

static uint64_t bits_of(const sigset_t *set)
{
	uint64_t bits;

	memcpy(&bits, set, sizeof(bits));
	return bits;
}

/* Those that an access of the thread itself raises stay: nobody could take them later. */
void signals_hold(struct soft_signals *signals)
{
	sigset_t all, before;

	if (signals->is_held)
		return;
	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGFPE);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	signals->before = bits_of(&before);
	signals->is_held = true;
}

void signals_release(struct soft_signals *signals)
{
	sigset_t before;

	if (!signals->is_held)
		return;
	sigemptyset(&before);
	memcpy(&before, &signals->before, sizeof(signals->before));
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	signals->is_held = false;
}

bool signals_wait(const struct soft_signals *signals, const uint64_t *blocked)
{
	sigset_t pending;

	sigpending(&pending);
	return bits_of(&pending) & ~(blocked ? *blocked : signals->before);
}
