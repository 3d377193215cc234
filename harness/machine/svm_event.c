/* SPDX-License-Identifier: MIT */
/* Events of a guest: intercepted exceptions and pins, EVENTINJ, virtual interrupts (APM vol. 2, 15.12 to 15.21). */
#include "machine/svm_guest.h"

#include <asm/svm.h>

#include "machine/event.h"
#include "vm/x86/bits.h"

#define TASK_HAS_ERROR (1ull << 44)
#define TASK_RF (1ull << 48)

_Noreturn void svm_exit(struct cpu *cpu, uint64_t code, uint64_t info_1, uint64_t info_2)
{
	cpu->svm.exit_code = code;
	cpu->svm.exit_info_1 = info_1;
	cpu->svm.exit_info_2 = info_2;
	cpu_escape(cpu, ESCAPE_VMEXIT);
}

/* --- exceptions --- */

/* INT3, INTO and BOUND say where they end (APM vol. 2, 15.7.1). */
static bool has_next_rip(const struct fault *fault)
{
	return fault->is_software || fault->vector == VECTOR_BR;
}

void svm_check_exception(struct cpu *cpu, bool is_fetch)
{
	const struct fault fault = cpu->fault;
	bool is_page_fault = fault.vector == VECTOR_PF;

	if (fault.vector >= 32 || fault.is_int_n || fault.is_injected || !svm_intercepts(cpu, SVM_EXIT_EXCP_BASE + fault.vector))
		return;
	if (is_page_fault && !is_fetch && cpu->delivery == DELIVERY_NONE)
		svm_fetch_insn(cpu);
	if (has_next_rip(&fault))
		cpu->svm.next_rip = cpu->regs[REG_NEXT_RIP];
	svm_exit(cpu, SVM_EXIT_EXCP_BASE + fault.vector, fault.has_error ? fault.error : 0,
		is_page_fault ? fault.address : 0);
}

void svm_check_shutdown(struct cpu *cpu)
{
	if (svm_intercepts(cpu, SVM_EXIT_SHUTDOWN))
		svm_exit(cpu, SVM_EXIT_SHUTDOWN, 0, 0);
}

/* @flags: what caused it, the bits of EXITINFO2 (APM vol. 2, 15.14.1); @error: ~0 without an error code. */
void svm_check_task_switch(struct cpu *cpu, uint16_t selector, uint64_t flags, uint64_t error)
{
	if (!svm_intercepts(cpu, SVM_EXIT_TASK_SWITCH))
		return;
	if (error != ~0ull)
		flags |= TASK_HAS_ERROR | (uint32_t)error;
	if (cpu->rflags & X86_EFLAGS_RF)
		flags |= TASK_RF;
	svm_exit(cpu, SVM_EXIT_TASK_SWITCH, selector, flags);
}

/* --- pins --- */

bool svm_is_interrupt_open(const struct cpu *cpu)
{
	if (cpu->svm.is_guest && (cpu->svm.control.int_ctl & V_INTR_MASKING))
		return cpu->svm.host.rflags & X86_EFLAGS_IF;
	return (cpu->rflags & X86_EFLAGS_IF) && !cpu->has_shadow;
}

/* What is intercepted stays pending: the hypervisor takes it behind its STGI. */
void svm_check_pins(struct cpu *cpu)
{
	uint32_t pins = svm_pins(cpu);

	if ((pins & SVM_PIN_INIT) && svm_intercepts(cpu, SVM_EXIT_INIT))
		svm_exit(cpu, SVM_EXIT_INIT, 0, 0);
	if ((pins & SVM_PIN_SMI) && svm_intercepts(cpu, SVM_EXIT_SMI))
		svm_exit(cpu, SVM_EXIT_SMI, 0, 0);
	if ((cpu->has_nmi || (pins & SVM_PIN_NMI)) && !cpu->is_nmi_blocked && svm_intercepts(cpu, SVM_EXIT_NMI))
		svm_exit(cpu, SVM_EXIT_NMI, 0, 0);
	if ((cpu->interrupt >= 0 || (pins & SVM_PIN_INTR)) && svm_is_interrupt_open(cpu) &&
	    svm_intercepts(cpu, SVM_EXIT_INTR))
		svm_exit(cpu, SVM_EXIT_INTR, 0, 0);
}

/* --- EVENTINJ --- */

/* INT n, and INT3 and INTO as exceptions, return to where NRIP says (APM vol. 2, 15.20). */
static bool is_software(uint32_t event)
{
	uint32_t type = event & EVENT_TYPE(7), vector = event & EVENT_VECTOR;

	return type == EVENT_SOFT || (type == EVENT_EXCEPTION && (vector == VECTOR_BP || vector == VECTOR_OF));
}

/* Note, a hypervisor that leaves nRIP zero has not written it: the event returns to RIP then. */
static uint64_t return_rip(const struct cpu *cpu)
{
	uint64_t next_rip = cpu->svm.vmcb->control.next_rip;

	return next_rip && (cpu->machine->svm_features & SVM_FEATURE_NRIPS) ? next_rip : cpu->rip;
}

static enum delivery injected_class(uint32_t event)
{
	unsigned int vector = event & EVENT_VECTOR;

	return (event & EVENT_TYPE(7)) == EVENT_EXCEPTION ? event_class(vector) : DELIVERY_BENIGN;
}

void svm_inject(struct cpu *cpu)
{
	uint32_t event = cpu->svm.control.event_inj, type = event & EVENT_TYPE(7);
	unsigned int vector = type == EVENT_NMI ? VECTOR_NMI : event & EVENT_VECTOR;
	enum event_source source = type == EVENT_EXCEPTION ? EVENT_INJECTED : EVENT_EXTERNAL;
	bool has_error = type == EVENT_EXCEPTION && (event & EVENT_HAS_ERROR);

	if (is_software(event)) {
		source = EVENT_SOFTWARE;
		cpu->regs[REG_NEXT_RIP] = return_rip(cpu);
	}
	cpu->svm.is_injecting = false;
	cpu->svm.delivering = event;
	cpu->svm.delivering_error = cpu->svm.control.event_inj_error;
	cpu->delivery = injected_class(event);
	event_deliver(cpu, source, vector, has_error, cpu->svm.control.event_inj_error);
	cpu->delivery = DELIVERY_NONE;
}

/* --- virtual interrupts --- */

static bool is_virtual_interrupt_open(const struct cpu *cpu)
{
	uint32_t int_ctl = cpu->svm.control.int_ctl;
	uint32_t priority = int_ctl >> 16 & 0xf;

	if (!(int_ctl & V_IRQ) || !(cpu->rflags & X86_EFLAGS_IF) || cpu->has_shadow)
		return false;
	if ((int_ctl & V_GIF_ENABLE) && !(int_ctl & V_GIF))
		return false;
	return (int_ctl & V_IGN_TPR) || priority > cpu->cr8;
}

bool svm_take_virtual_interrupt(struct cpu *cpu, unsigned int *ret_vector)
{
	if (!is_virtual_interrupt_open(cpu))
		return false;
	if (svm_intercepts(cpu, SVM_EXIT_VINTR))
		svm_exit(cpu, SVM_EXIT_VINTR, 0, 0);
	cpu->svm.control.int_ctl &= ~V_IRQ;
	*ret_vector = cpu->svm.control.int_vector & EVENT_VECTOR;
	return true;
}
