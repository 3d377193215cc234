/* SPDX-License-Identifier: MIT */
#include "soft/faults.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <ucontext.h>

static const int signals[] = { SIGSEGV, SIGBUS };
static struct sigaction previous[2];	/* written once, before the handlers are there */
static _Thread_local struct fault_watch watcher;

/* Without a handler before, the fault happens again behind this and ends the process. */
static void fault_pass_on(const struct sigaction *to, int signal, siginfo_t *info, void *context)
{
	if (to->sa_flags & SA_SIGINFO)
		to->sa_sigaction(signal, info, context);
	else if (to->sa_handler != SIG_DFL && to->sa_handler != SIG_IGN)
		to->sa_handler(signal);
	else
		sigaction(signal, to, NULL);
}

/*
 * One that a system call or another process sent has no address. A watcher leaves by a jump: whoever is between this and
 * the kernel (a sanitizer, a program's own handler) may have more signals blocked than handlers_set() asked for.
 */
static void on_fault(int signal, siginfo_t *info, void *context)
{
	const ucontext_t *interrupted = context;

	if (watcher.fn && info->si_code > 0) {
		pthread_sigmask(SIG_SETMASK, &interrupted->uc_sigmask, NULL);
		watcher.fn(watcher.opaque, (uintptr_t)info->si_addr);
	}
	fault_pass_on(&previous[signal == SIGBUS], signal, info, context);
}

static void handlers_set(void)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK };
	unsigned int i;

	for (i = 0; i < 2; i++)
		sigaction(signals[i], NULL, &previous[i]);
	for (i = 0; i < 2; i++)
		sigaction(signals[i], &action, NULL);
}

void faults_renew(void)
{
	struct sigaction now;

	faults_init();
	sigaction(SIGSEGV, NULL, &now);
	if (!(now.sa_flags & SA_SIGINFO) || now.sa_sigaction != on_fault)
		handlers_set();
}

void faults_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, handlers_set);
}

struct fault_watch faults_watch(fault_fn *fn, void *opaque)
{
	struct fault_watch before = watcher;

	watcher = (struct fault_watch){ fn, opaque };
	return before;
}

void faults_unwatch(void)
{
	watcher.fn = NULL;
}
