/* SPDX-License-Identifier: MIT */
/*
 * The lock of a VM, under which its vCPUs run in turns. One that gives its turn away sleeps until another has taken one:
 * the mutex alone would be the same thread's again before those that wait have woken up.
 */
#include "soft/private.h"

/* Its address is this thread's alone. */
static _Thread_local char self;

static void turn_take(struct soft_vm *vm)
{
	vm->holder = &self;
	vm->nr_turns++;
	pthread_cond_broadcast(&vm->turn_taken);
}

static void wait_begin(struct soft_vm *vm)
{
	__atomic_add_fetch(&vm->nr_waiting, 1, __ATOMIC_RELAXED);
}

static void wait_end(struct soft_vm *vm)
{
	__atomic_sub_fetch(&vm->nr_waiting, 1, __ATOMIC_RELAXED);
	turn_take(vm);
}

void vm_lock(struct soft_vm *vm)
{
	wait_begin(vm);
	pthread_mutex_lock(&vm->lock);
	wait_end(vm);
}

void vm_unlock(struct soft_vm *vm)
{
	vm->holder = NULL;
	pthread_mutex_unlock(&vm->lock);
}

void vm_must_be_locked(struct soft_vm *vm)
{
	if (__atomic_load_n(&vm->holder, __ATOMIC_RELAXED) != &self)
		__atomic_add_fetch(&vm->soft->nr_unlocked, 1, __ATOMIC_RELAXED);
}

/* Whoever waits is on its way to the mutex, or has been woken by a turn since it began to. */
void vm_yield(struct soft_vm *vm)
{
	uint64_t turn = vm->nr_turns;

	if (!__atomic_load_n(&vm->nr_waiting, __ATOMIC_RELAXED))
		return;
	wait_begin(vm);
	while (vm->nr_turns == turn)
		pthread_cond_wait(&vm->turn_taken, &vm->lock);
	wait_end(vm);
}
