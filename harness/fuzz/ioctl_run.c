/* SPDX-License-Identifier: MIT */
/*
 * KVM_RUN, and what must hold of the page that it shares: the exit is one that was asked for, its fields have legal values
 * and agree with the memory slots, and the registers in the page are the vCPU's.
 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/time.h>

#include "fuzz/ioctl_world.h"
#include "vm/x86/bits.h"

#define LIMIT_MS 20	/* of one KVM_RUN in a kernel */

/* --- the end of guests that have none --- */

static struct kvm_run *volatile run_to_stop;

/* A signal that comes before KVM_RUN is entered would be lost otherwise. */
static void on_alarm(int signal)
{
	(void)signal;
	if (run_to_stop)
		run_to_stop->immediate_exit = 1;
}

static void alarm_set(long ms)
{
	const struct itimerval timer = { .it_value.tv_usec = ms * 1000, .it_interval.tv_usec = ms * 1000 };

	setitimer(ITIMER_REAL, &timer, NULL);
}

/* The soft hypervisor ends them itself. */
static long run_call(struct ioctl_runner *r, struct ioctl_vcpu *vcpu)
{
	struct sigaction action = { .sa_handler = on_alarm }, before;
	uint8_t immediate_exit;
	long result;

	if (r->soft)
		return ioctl_ask(r, vcpu->fd, KVM_RUN, NULL);
	immediate_exit = vcpu->run->immediate_exit;
	run_to_stop = vcpu->run;
	sigaction(SIGALRM, &action, &before);
	alarm_set(LIMIT_MS);
	result = ioctl_ask(r, vcpu->fd, KVM_RUN, NULL);
	alarm_set(0);
	sigaction(SIGALRM, &before, NULL);
	run_to_stop = NULL;
	vcpu->run->immediate_exit = immediate_exit;
	r->result->is_cut |= result == -EINTR && !immediate_exit;
	return result;
}

/* --- what the page says --- */

static const struct ioctl_vm *vm_of(const struct ioctl_runner *r, const struct ioctl_vcpu *vcpu)
{
	const struct ioctl_vm *vm = &r->vms[vcpu->vm];

	return vm->serial == vcpu->vm_serial ? vm : NULL;
}

static bool is_in_pool(const struct ioctl_runner *r, uint64_t hva, uint32_t len_bytes)
{
	uint64_t start = (uintptr_t)r->pool;

	return hva >= start && hva - start + len_bytes <= IOCTL_POOL_BYTES;
}

/*
 * Whether all of an access goes where a slot is that takes it. KVM asks user space, too, for what its emulator finds at
 * an address where the slot has no memory.
 */
static bool is_in_slot(const struct ioctl_runner *r, const struct ioctl_vm *vm, uint64_t gpa, uint32_t len_bytes, bool is_write)
{
	unsigned int i;

	for (i = 0; i < vm->nr_slots; i++) {
		const struct ioctl_known_slot *slot = &vm->slots[i];

		if (gpa >= slot->gpa && gpa - slot->gpa + len_bytes <= slot->bytes &&
		    is_in_pool(r, slot->hva + (gpa - slot->gpa), len_bytes) &&
		    !(is_write && (slot->flags & KVM_MEM_READONLY)))
			return true;
	}
	return false;
}

static void check_io(struct ioctl_runner *r, const struct kvm_run *run)
{
	uint64_t nr_bytes = (uint64_t)run->io.size * run->io.count;

	if (run->io.direction > KVM_EXIT_IO_OUT || (run->io.size != 1 && run->io.size != 2 && run->io.size != 4))
		ioctl_violate(r, "KVM_EXIT_IO with direction %u and size %u", run->io.direction, run->io.size);
	if (!run->io.count || nr_bytes > 4096 || run->io.data_offset > r->run_bytes - nr_bytes)
		ioctl_violate(r, "KVM_EXIT_IO with %u elements of size %u at offset 0x%llx", run->io.count, run->io.size,
			      run->io.data_offset);
}

static void check_mmio(struct ioctl_runner *r, const struct ioctl_vcpu *vcpu, const struct kvm_run *run)
{
	const struct ioctl_vm *vm = vm_of(r, vcpu);

	if (!run->mmio.len || run->mmio.len > 8 || run->mmio.is_write > 1)
		ioctl_violate(r, "KVM_EXIT_MMIO with length %u and is_write %u", run->mmio.len, run->mmio.is_write);
	/* Memory that the user has taken away is no slot's. */
	if (vm && !vm->has_unknown_slots && !r->is_pool_protected &&
	    is_in_slot(r, vm, run->mmio.phys_addr, run->mmio.len, run->mmio.is_write))
		ioctl_violate(r, "KVM_EXIT_MMIO at 0x%llx, where a slot is", run->mmio.phys_addr);
}

/* Exits that somebody has to have asked for. */
static bool is_asked_for(const struct ioctl_runner *r, const struct ioctl_vcpu *vcpu, const struct kvm_run *run)
{
	const struct ioctl_vm *vm = vm_of(r, vcpu);

	switch (run->exit_reason) {
	case KVM_EXIT_DEBUG:
		return vcpu->debug_control & KVM_GUESTDBG_ENABLE;
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		return run->request_interrupt_window;
	case KVM_EXIT_HLT:
		return !vm || (!vm->has_irqchip && !vm->has_split_irqchip);
	case KVM_EXIT_TPR_ACCESS:
		return vcpu->reports_tpr;
	case KVM_EXIT_X86_RDMSR:
	case KVM_EXIT_X86_WRMSR:
		return !vm || (run->msr.reason && !(run->msr.reason & (run->msr.reason - 1)) &&
			       !(run->msr.reason & ~vm->msr_exits));
	case KVM_EXIT_HYPERCALL:
		return !vm || (run->hypercall.nr < 64 && vm->hypercall_exits >> run->hypercall.nr & 1);
	case KVM_EXIT_IOAPIC_EOI:
		return !vm || vm->has_split_irqchip;
	case KVM_EXIT_SET_TPR:
		return !vm || vm->has_irqchip || vm->has_split_irqchip;
	default:
		return true;
	}
}

/* Reasons that an x86 guest can have. */
static bool is_possible(uint32_t reason)
{
	switch (reason) {
	case KVM_EXIT_IO:
	case KVM_EXIT_HYPERCALL:
	case KVM_EXIT_DEBUG:
	case KVM_EXIT_HLT:
	case KVM_EXIT_MMIO:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
	case KVM_EXIT_SHUTDOWN:
	case KVM_EXIT_FAIL_ENTRY:
	case KVM_EXIT_SET_TPR:
	case KVM_EXIT_TPR_ACCESS:
	case KVM_EXIT_INTERNAL_ERROR:
	case KVM_EXIT_SYSTEM_EVENT:
	case KVM_EXIT_IOAPIC_EOI:
	case KVM_EXIT_X86_RDMSR:
	case KVM_EXIT_X86_WRMSR:
	case KVM_EXIT_DIRTY_RING_FULL:
	case KVM_EXIT_UNKNOWN:
		return true;
	default:
		return false;
	}
}

static void check_exit(struct ioctl_runner *r, const struct ioctl_vcpu *vcpu, const struct kvm_run *run)
{
	if (!is_possible(run->exit_reason))
		ioctl_violate(r, "exit reason %u", run->exit_reason);
	if (!is_asked_for(r, vcpu, run))
		ioctl_violate(r, "%s, which nobody has asked for", exit_reason_name(run->exit_reason));
	if (run->exit_reason == KVM_EXIT_IO)
		check_io(r, run);
	if (run->exit_reason == KVM_EXIT_MMIO)
		check_mmio(r, vcpu, run);
	if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR && run->internal.ndata > 16)
		ioctl_violate(r, "KVM_EXIT_INTERNAL_ERROR with %u words", run->internal.ndata);
}

/* What the page has of the registers is what the calls give. */
static void check_registers(struct ioctl_runner *r, const struct ioctl_vcpu *vcpu, const struct kvm_regs *regs)
{
	const struct kvm_run *run = vcpu->run;
	struct kvm_sregs sregs;

	if (run->if_flag != !!(regs->rflags & X86_EFLAGS_IF))
		ioctl_violate(r, "if_flag is %u, and RFLAGS 0x%llx", run->if_flag, regs->rflags);
	if (run->ready_for_interrupt_injection > 1)
		ioctl_violate(r, "ready_for_interrupt_injection is %u", run->ready_for_interrupt_injection);
	if (ioctl_ask(r, vcpu->fd, KVM_GET_SREGS, &sregs))
		return;
	if (run->cr8 != sregs.cr8 || run->apic_base != sregs.apic_base)
		ioctl_violate(r, "cr8 0x%llx and apic_base 0x%llx are shared, 0x%llx and 0x%llx the vCPU's", run->cr8,
			      run->apic_base, sregs.cr8, sregs.apic_base);
}

/* What is the user's is left as it was. */
static void check_inputs(struct ioctl_runner *r, const struct kvm_run *run, const struct kvm_run *before)
{
	if (run->request_interrupt_window != before->request_interrupt_window ||
	    run->immediate_exit != before->immediate_exit || run->kvm_valid_regs != before->kvm_valid_regs ||
	    memcmp(run->padding1, before->padding1, sizeof(before->padding1)))
		ioctl_violate(r, "KVM_RUN changes what is the user's in the shared page");
	if (run->kvm_dirty_regs & ~before->kvm_dirty_regs)
		ioctl_violate(r, "KVM_RUN sets kvm_dirty_regs to 0x%llx", run->kvm_dirty_regs);
}

static void step_fill(struct ioctl_step *step, const struct kvm_run *run, const struct kvm_regs *regs)
{
	step->is_run = true;
	step->rip = regs->rip;
	step->rax = regs->rax;
	step->rflags = regs->rflags;
	if (step->result)
		return;
	memset(&step->exit, 0, sizeof(step->exit));
	exit_decode(&step->exit, run);
	if (step->exit.reason == KVM_EXIT_IO)
		step->exit.io.bytes = NULL;
}

static void run_check_error(struct ioctl_runner *r, long result, bool is_there)
{
	if (result >= 0)
		return;
	if (is_there ? !ioctl_error_is_known(&ioctl_call_run, (int)-result) : result != -EBADF)
		ioctl_violate(r, "run ends with %s, which is none of its errors", ioctl_errno_name((int)-result));
}

long ioctl_run_once(struct ioctl_runner *r, unsigned int index)
{
	struct ioctl_vcpu *vcpu = &r->vcpus[index];
	struct kvm_regs regs = { 0 };
	struct kvm_run before;
	struct ioctl_step *step;
	long result;

	if (!vcpu->run) {
		result = ioctl_ask(r, vcpu->fd, KVM_RUN, NULL);
		run_check_error(r, result, false);
		ioctl_step_add(r, "run", result, 0);
		return result;
	}
	memcpy(&before, vcpu->run, offsetof(struct kvm_run, s));
	result = run_call(r, vcpu);
	run_check_error(r, result, true);
	ioctl_ask(r, vcpu->fd, KVM_GET_REGS, &regs);
	step = ioctl_step_add(r, "run", result, 0);
	step_fill(step, vcpu->run, &regs);
	check_inputs(r, vcpu->run, &before);
	/* Where the page itself was wrong nothing has been run. */
	if (result != -EINVAL)
		check_registers(r, vcpu, &regs);
	if (!result)
		check_exit(r, vcpu, vcpu->run);
	return result;
}
