/* SPDX-License-Identifier: MIT */
/* What L1 does: its script, and KVM_RUN until that is done. */
#include "fuzz/nested_private.h"

#include <errno.h>
#include <string.h>

#define PAGE_BYTES 0x1000u
#define TICKS 2			/* that a KVM_RUN may see */

static bool is_l1(const struct nested *n)
{
	return n->vcpu->run->s.regs.regs.rip - NESTED_L1_GPA < PAGE_BYTES;
}

/* What L2 reads where there is nothing: ones. */
static void answer(struct kvm_run *run)
{
	if (run->exit_reason == KVM_EXIT_MMIO && !run->mmio.is_write)
		memset(run->mmio.data, 0xff, sizeof(run->mmio.data));
	if (run->exit_reason == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_IN)
		memset((uint8_t *)run + run->io.data_offset, 0xff, (size_t)run->io.size * run->io.count);
}

/* True when L1 or L2 stands still; *@ret says why. */
static bool is_stop(struct nested *n, enum stop *ret)
{
	struct kvm_run *run = n->vcpu->run;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		if (is_l1(n) && run->io.port == NESTED_PORT_DONE)
			return *ret = STOP_DONE, true;
		if (is_l1(n) && run->io.port == NESTED_PORT_FAULT)
			return *ret = STOP_FAULT, true;
		break;
	case KVM_EXIT_MMIO:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		break;
	case KVM_EXIT_HLT:
		return *ret = STOP_HALTED, true;
	case KVM_EXIT_SHUTDOWN:
		return *ret = STOP_SHUTDOWN, true;
	default:
		return *ret = STOP_ERROR, true;
	}
	answer(run);
	return false;
}

/*
 * L2 is taken out of KVM and put back, which is to change nothing. What it has asked of user space is done with first.
 * False: KVM refuses what it gave.
 */
static bool l2_migrate(struct nested *n)
{
	union {
		struct kvm_nested_state head;
		uint8_t bytes[sizeof(struct kvm_nested_state) + KVM_STATE_NESTED_SVM_VMCB_SIZE];
	} state = { .head.size = sizeof(state) };
	int r;

	vcpu_kick(n->vcpu);
	r = vcpu_run_try(n->vcpu);
	n->vcpu->run->immediate_exit = 0;
	/* Some need user space more than once. */
	if (r != -EINTR || vcpu_ioctl_try(n->vcpu, KVM_GET_NESTED_STATE, &state.head))
		return true;
	n->counts.nr_migrations++;
	return !vcpu_ioctl_try(n->vcpu, KVM_SET_NESTED_STATE, &state.head);
}

static enum stop l1_run(struct nested *n)
{
	unsigned int start = n->ticks;
	enum stop stop;
	int r;

	do {
		r = vcpu_run_try(n->vcpu);
		n->counts.nr_runs++;
		if (r == -EINTR || r == -EAGAIN) {
			n->vcpu->run->immediate_exit = 0;
			continue;
		}
		if (r)
			return STOP_ERROR;
		if (is_stop(n, &stop))
			return stop;
		if (n->program.migrates && !is_l1(n) && !l2_migrate(n))
			return STOP_ERROR;
	} while (n->ticks - start < TICKS);
	return STOP_BUDGET;
}

void nested_step_add(struct nested *n, uint64_t what, uint64_t rax, uint64_t rcx)
{
	uint64_t *step = (uint64_t *)(void *)(n->l1 + NESTED_EXCHANGE + NESTED_SCRIPT) + n->nr_steps * 3;

	if (n->nr_steps == NESTED_MAX_STEPS)
		return;
	step[0] = what;
	step[1] = rax;
	step[2] = rcx;
	n->nr_steps++;
}

enum stop nested_script_run(struct nested *n)
{
	uint64_t *end = (uint64_t *)(void *)(n->l1 + NESTED_EXCHANGE + NESTED_SCRIPT) + n->nr_steps * 3;

	end[0] = NESTED_STEP_END;
	n->nr_steps = 0;
	return l1_run(n);
}
