/* SPDX-License-Identifier: MIT */
#include "vm/x86/twin.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "guests/abi.h"

#define TICK_US 10000

/* The one that runs; the signal's handler has no other way to it. */
static struct vcpu *running;

static void on_tick(int signal)
{
	(void)signal;
	if (running)
		vcpu_kick(running);
}

static void ticks_set(struct vcpu *vcpu, unsigned int interval_us)
{
	const struct itimerval timer = { .it_interval.tv_usec = interval_us, .it_value.tv_usec = interval_us };
	struct sigaction action = { .sa_handler = on_tick };

	running = vcpu;
	if (vcpu)
		sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	if (!vcpu)
		signal(SIGALRM, SIG_DFL);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ull + now.tv_nsec / 1000000;
}

static bool is_halted(struct vcpu *vcpu)
{
	struct kvm_mp_state state;

	return !vcpu_ioctl_try(vcpu, KVM_GET_MP_STATE, &state) && state.mp_state == KVM_MP_STATE_HALTED;
}

/* 0, an errno, or 1: it waits in HLT. An AP that a SIPI woke says EAGAIN once. */
static int run_in_time(struct vcpu *vcpu, const struct twin_plan *plan, unsigned int limit_ms)
{
	uint64_t end_ms = now_ms() + limit_ms;
	int r;

	ticks_set(vcpu, TICK_US);
	for (;;) {
		r = vcpu_run_try(vcpu);
		vcpu->run->immediate_exit = 0;
		if (r != -EINTR && r != -EAGAIN)
			break;
		if (plan->stops_in_hlt && is_halted(vcpu)) {
			r = 1;
			break;
		}
		if (now_ms() > end_ms) {
			r = -ETIME;
			break;
		}
	}
	ticks_set(NULL, 0);
	return r;
}

static void reply(struct kvm_run *run, const struct twin_plan *plan, unsigned int exit)
{
	uint32_t i, len = 0;
	uint8_t *to = NULL;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		len = run->io.direction == KVM_EXIT_IO_IN ? run->io.size * run->io.count : 0;
		to = (uint8_t *)run + run->io.data_offset;
		break;
	case KVM_EXIT_MMIO:
		len = run->mmio.is_write ? 0 : run->mmio.len;
		to = run->mmio.data;
		break;
	case KVM_EXIT_X86_RDMSR:
		len = sizeof(run->msr.data);
		to = (uint8_t *)&run->msr.data;
		run->msr.error = plan->refuses_msrs;
		break;
	case KVM_EXIT_X86_WRMSR:
		run->msr.error = plan->refuses_msrs;
		break;
	case KVM_EXIT_HYPERCALL:
		len = 4;
		to = (uint8_t *)&run->hypercall.ret;
		break;
	}
	for (i = 0; i < len; i++)
		to[i] = twin_reply_byte(exit, i);
}

/* What an exit's record only borrows is kept with it. */
static void step_add(struct twin_log *log, struct vcpu *vcpu, const struct twin_plan *plan, int r)
{
	struct twin_step *step = &log->steps[log->nr++];

	*step = (struct twin_step){ .error = r < 0 ? r : 0, .is_halted = r > 0 };
	if (r)
		return;
	exit_decode(&step->exit, vcpu->run);
	if (step->exit.reason == KVM_EXIT_IO && step->exit.io.bytes) {
		size_t len = step->exit.io.nr_bytes < TWIN_STEP_BYTES ? step->exit.io.nr_bytes : TWIN_STEP_BYTES;

		memcpy(step->bytes, step->exit.io.bytes, len);
		step->exit.io.bytes = NULL;
		step->exit.io.nr_bytes = 0;
	}
	reply(vcpu->run, plan, log->nr);
}

/* The end of vCPU 0's guest, or of any by an exception or a shutdown. */
static bool is_over(struct vm *vm, const struct twin_log *log)
{
	unsigned int i;

	if (log->nr && log->steps[log->nr - 1].exit.reason == KVM_EXIT_SHUTDOWN)
		return true;
	for (i = 0; i < vm->nr_vcpus; i++) {
		const struct abi_page *page = vm_hva(vm, ABI_GPA + i * ABI_PAGE_BYTES, sizeof(*page));

		if (page->state == ABI_STATE_DIED || (!i && page->state == ABI_STATE_DONE))
			return true;
	}
	return false;
}

static bool may_go_on(struct vm *vm, const struct twin_log *log)
{
	if (log->nr == TWIN_MAX_STEPS || is_over(vm, log))
		return false;
	return !log->nr || !log->steps[log->nr - 1].error;
}

static struct vcpu *vcpu_of_step(struct vm *vm, const struct twin_plan *plan, unsigned int exit)
{
	return vm->vcpus[plan->vcpus && exit <= strlen(plan->vcpus) ? plan->vcpus[exit - 1] - '0' : 0];
}

static void complete(struct vm *vm, struct vcpu *vcpu, const struct twin_plan *plan, struct twin_log *log)
{
	int r = 0;

	while (!r && may_go_on(vm, log)) {
		vcpu->run->immediate_exit = 1;
		r = vcpu_run_try(vcpu);
		vcpu->run->immediate_exit = 0;
		if (!r)
			step_add(log, vcpu, plan, r);
	}
	if (r && r != -EINTR)
		step_add(log, vcpu, plan, r);
}

/* The others wait since their own last exit. */
static void complete_all(struct vm *vm, const struct twin_plan *plan, struct twin_log *log)
{
	unsigned int i;

	for (i = 0; i < vm->nr_vcpus; i++)
		complete(vm, vm->vcpus[i], plan, log);
}

void twin_run(struct vm *vm, const struct twin_plan *plan, struct twin_log *log, unsigned int until,
	      unsigned int limit_ms)
{
	struct vcpu *vcpu;

	while (log->nr < until && may_go_on(vm, log)) {
		vcpu = vcpu_of_step(vm, plan, log->nr + 1);
		step_add(log, vcpu, plan, run_in_time(vcpu, plan, limit_ms));
		if (log->nr < until && !plan->act)
			continue;
		complete_all(vm, plan, log);
		if (plan->act && may_go_on(vm, log))
			plan->act(vm, log->nr);
	}
}

/* --- compared --- */

void twin_step_format(char *text, size_t len_bytes, const struct twin_log *log, unsigned int at)
{
	const struct twin_step *step = &log->steps[at];

	if (at >= log->nr)
		snprintf(text, len_bytes, "no exit");
	else if (step->error)
		snprintf(text, len_bytes, "%s", strerror(-step->error));
	else if (step->is_halted)
		snprintf(text, len_bytes, "halted");
	else
		exit_format(text, len_bytes, &step->exit);
}

static bool steps_equal(const struct twin_step *want, const struct twin_step *got)
{
	return want->error == got->error && want->is_halted == got->is_halted &&
	       exit_equal(&want->exit, &got->exit, NULL, 0) && !memcmp(want->bytes, got->bytes, sizeof(want->bytes));
}

bool twin_logs_equal(const struct twin_log *want, const struct twin_log *got, unsigned int from, char *text,
		     size_t len_bytes)
{
	char want_text[256], got_text[256];
	unsigned int i;

	for (i = from; i < want->nr || i < got->nr; i++) {
		if (i < want->nr && i < got->nr && steps_equal(&want->steps[i], &got->steps[i]))
			continue;
		twin_step_format(want_text, sizeof(want_text), want, i);
		twin_step_format(got_text, sizeof(got_text), got, i);
		snprintf(text, len_bytes, "exit %u: want %s, got %s", i + 1, want_text, got_text);
		return false;
	}
	return true;
}
