/* SPDX-License-Identifier: MIT */
/* What L1 does: its script, and KVM_RUN until that is done. */
#include "fuzz/nested_private.h"
#include "fuzz/vmcb_ops.h"

#include <errno.h>
#include <string.h>

#define PAGE_BYTES 0x1000u
#define TICKS 2			/* that L2 may see */
#define L1_TICKS 100		/* and L1, which ends by itself: machines that are busy tick fast */
#define CHANGED_TICKS 1		/* what user space has changed may well have no end */

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

/* L2 has come to user space. False: KVM refuses what it gave. */
static bool l2_visit(struct nested *n)
{
	static const struct input_op migrate = { .kind = VMCB_OP_HOST, .args = { IN_L2, HOST_MIGRATE } };
	struct kvm_run *run = n->vcpu->run;

	if (run->exit_reason == KVM_EXIT_IO && run->io.port == VMCB_HOST_PORT && n->host_at < n->nr_host)
		return nested_host_do(n, n->host[n->host_at++]);
	return !n->program.migrates || nested_host_do(n, &migrate);
}

static unsigned int ticks_allowed(const struct nested *n)
{
	return n->is_changed ? CHANGED_TICKS : is_l1(n) ? L1_TICKS : TICKS;
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
		if (!is_l1(n) && !l2_visit(n))
			return STOP_ERROR;
	} while (n->ticks - start < ticks_allowed(n));
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
