/* SPDX-License-Identifier: MIT */
/*
 * The target "bare": the guest runs on the machine itself, so that its VMRUN is the machine's. There is no hypervisor
 * between them: the VMCB is only where user space's registers are between two runs. What the guest does to ports and to
 * addresses without memory comes here by the machine's bus, and leaves KVM_RUN as an exit of KVM's would.
 *
 * A read that only user space can answer puts the instruction back; it is executed again with the answer.
 */
#include "soft/private.h"

#include <string.h>

#include "machine/svm.h"
#include "vm/x86/bits.h"

#define SLICE_INSTRUCTIONS 20000

uint64_t bare_bus_read(void *opaque, enum machine_space space, uint64_t address, unsigned int size)
{
	struct soft_vcpu *vcpu = ((struct soft_vm *)opaque)->running;
	uint64_t value;

	if (!vcpu)
		return ~0ull;
	if (vcpu->nr_used < vcpu->nr_known) {
		machine_stop(vcpu->cpu);
		return vcpu->accesses[vcpu->nr_used++].value;
	}
	/* CR8 may have changed since the slice began. */
	vcpu_cr8_set(vcpu, machine_tpr(vcpu->cpu) & 0xf);
	if (chips_read(vcpu, space == MACHINE_SPACE_IO, address, size, &value))
		return value;
	vcpu_add_access(vcpu, (struct soft_access) {
		.is_port = space == MACHINE_SPACE_IO, .size = (uint8_t)size, .address = address,
	});
	vcpu->is_asking = true;
	machine_put_back(vcpu->cpu);
}

void bare_bus_write(void *opaque, enum machine_space space, uint64_t address, unsigned int size, uint64_t value)
{
	struct soft_vcpu *vcpu = ((struct soft_vm *)opaque)->running;

	if (!vcpu)
		return;
	machine_stop(vcpu->cpu);
	vcpu_add_access(vcpu, (struct soft_access) {
		.is_write = true, .is_port = space == MACHINE_SPACE_IO, .size = (uint8_t)size, .address = address,
		.value = value,
	});
}

/* --- registers between user space and the machine --- */

static void state_load(struct soft_vcpu *vcpu)
{
	struct cpu *cpu = vcpu->cpu;
	struct vmcb *vmcb = vcpu->vmcb;

	vmcb->save.rax = vcpu->regs[REG_RAX];
	vmcb->save.rsp = vcpu->regs[REG_RSP];
	memcpy(cpu->regs, vcpu->regs, sizeof(vcpu->regs));
	memcpy(cpu->dr, vcpu->dr, sizeof(vcpu->dr));
	machine_state_load(cpu, vmcb);
	machine_tpr_set(cpu, (uint8_t)vcpu->cr8);
	cpu->has_shadow = vmcb->control.int_state & INT_STATE_SHADOW;
	cpu->tsc = tsc_guest(vcpu);
	if (!vcpu->asid_generation)
		machine_flush_tlb(cpu);
	vcpu->asid_generation = 1;
}

static void state_save(struct soft_vcpu *vcpu)
{
	const struct cpu *cpu = vcpu->cpu;
	struct vmcb *vmcb = vcpu->vmcb;

	machine_state_save(cpu, vmcb);
	memcpy(vcpu->regs, cpu->regs, sizeof(vcpu->regs));
	memcpy(vcpu->dr, cpu->dr, sizeof(vcpu->dr));
	vmcb->control.int_state = cpu->has_shadow ? INT_STATE_SHADOW : 0;
	vcpu_cr8_set(vcpu, machine_tpr(cpu) & 0xf);
}

/* --- events --- */

static bool has_interrupt(struct soft_vcpu *vcpu)
{
	return vcpu->interrupt.is_injected || chips_has_interrupt(vcpu);
}

/* The vector leaves its controller when the CPU is about to take it. */
static void interrupt_take(struct soft_vcpu *vcpu)
{
	if (!vcpu->interrupt.is_injected)
		vcpu->cpu->interrupt = chips_take_interrupt(vcpu);
	else
		vcpu->cpu->interrupt = vcpu->interrupt.vector;
	vcpu->interrupt.is_injected = false;
}

static void exception_load(struct soft_vcpu *vcpu)
{
	struct soft_exception *exception = &vcpu->exception;
	struct cpu *cpu = vcpu->cpu;

	if (!exception->is_pending && !exception->is_injected)
		return;
	if (exception->vector == VECTOR_DB && exception->has_payload)
		cpu->dr[6] |= exception->payload;
	cpu->exception = (struct fault) {
		.vector = exception->vector, .has_error = exception->has_error, .error = exception->error,
		.address = exception->has_payload ? exception->payload : cpu->cr2,
		.is_injected = exception->is_injected,
	};
	cpu->has_exception = true;
	exception->is_pending = exception->is_injected = false;
}

static void events_load(struct soft_vcpu *vcpu)
{
	struct cpu *cpu = vcpu->cpu;

	exception_load(vcpu);
	if (vcpu->nmi.nr_pending && !cpu->has_nmi) {
		vcpu->nmi.nr_pending--;
		cpu->has_nmi = true;
	}
	if (cpu->interrupt < 0 && has_interrupt(vcpu) && machine_accepts_interrupt(cpu) &&
	    !machine_intercepts_interrupt(cpu))
		interrupt_take(vcpu);
	machine_set_intr(cpu, has_interrupt(vcpu));
}

/* --- running --- */

static long complete_read(struct soft_vcpu *vcpu)
{
	struct soft_access *access = &vcpu->accesses[vcpu->nr_accesses - 1];

	access->value = vcpu_answer_of(vcpu, access);
	vcpu->nr_known = vcpu->nr_accesses;
	vcpu->nr_used = 0;
	return 1;
}

static int handle_stop(struct soft_vcpu *vcpu)
{
	if (vcpu->is_asking) {
		vcpu->is_asking = false;
		vcpu_ask_access(vcpu, &vcpu->accesses[vcpu->nr_accesses - 1]);
		vcpu->complete = complete_read;
		return 0;
	}
	vcpu->nr_known = vcpu->nr_used = vcpu->nr_given = 0;
	return (int)vcpu_give_writes(vcpu);
}

static int handle_halt(struct soft_vcpu *vcpu)
{
	if (vcpu->chips.has_lapic) {
		vcpu->mp_state = KVM_MP_STATE_HALTED;
		return 1;
	}
	vcpu->run->exit_reason = KVM_EXIT_HLT;
	return 0;
}

static int handle_shutdown(struct soft_vcpu *vcpu)
{
	cpu_reset(vcpu->cpu);
	vcpu_reset(vcpu);
	vcpu->run->exit_reason = KVM_EXIT_SHUTDOWN;
	return 0;
}

static int exit_failed(struct soft_vcpu *vcpu, enum machine_exit exit)
{
	vcpu->run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	vcpu->run->internal.suberror = KVM_INTERNAL_ERROR_EMULATION;
	vcpu->run->internal.ndata = 1;
	vcpu->run->internal.data[0] = exit;
	return 0;
}

bool bare_shutdown(struct soft_vcpu *vcpu)
{
	state_load(vcpu);
	if (!machine_shutdown(vcpu->cpu))
		return false;
	state_save(vcpu);
	return true;
}

int bare_run(struct soft_vcpu *vcpu)
{
	enum machine_exit exit;
	bool is_watched;

	state_load(vcpu);
	events_load(vcpu);
	/* What waits, also for a lower CR8, is looked at before each instruction. */
	is_watched = has_interrupt(vcpu) || chips_wants_cr8(vcpu) || vcpu->run->request_interrupt_window;
	vcpu->vm->running = vcpu;
	exit = machine_run(vcpu->cpu, is_watched ? 1 : SLICE_INSTRUCTIONS);
	vcpu->vm->running = NULL;
	state_save(vcpu);
	switch (exit) {
	case MACHINE_EXIT_BUDGET:
	case MACHINE_EXIT_STOPPED:
		return handle_stop(vcpu);
	case MACHINE_EXIT_HLT:
		return handle_halt(vcpu);
	case MACHINE_EXIT_SHUTDOWN:
		return handle_shutdown(vcpu);
	default:
		return exit_failed(vcpu, exit);
	}
}
