/* SPDX-License-Identifier: MIT */
/* SVM as functions on a CPU, for a hypervisor that is the host's code. */
#include "machine/svm.h"

#include <asm/svm.h>

#include "machine/svm_guest.h"
#include "machine/tlb.h"
#include "vm/x86/bits.h"

#define HOST_CODE (SEG_P | SEG_S | SEG_G | SEG_L | SEG_TYPE_CODE | SEG_TYPE_WRITABLE | SEG_TYPE_ACCESSED)
#define HOST_DATA (SEG_P | SEG_S | SEG_G | SEG_DB | SEG_TYPE_WRITABLE | SEG_TYPE_ACCESSED)

void machine_enter_host(struct cpu *cpu)
{
	unsigned int i;

	for (i = 0; i < NR_SEGS; i++)
		cpu->segs[i] = (struct segment) { 0x10, HOST_DATA, ~0u, 0 };
	cpu->segs[SEG_CS] = (struct segment) { 0x08, HOST_CODE, ~0u, 0 };
	cpu->cr0 = X86_CR0_PE | X86_CR0_MP | X86_CR0_ET | X86_CR0_NE | X86_CR0_WP | X86_CR0_PG;
	cpu->cr4 = X86_CR4_PAE | X86_CR4_PGE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT;
	cpu->efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NX | EFER_SVME;
	cpu->rflags = X86_EFLAGS_FIXED | X86_EFLAGS_IF;
	cpu->cpl = 0;
	cpu->svm.has_gif = true;
	cpu_state_changed(cpu);
}

static enum machine_exit vmrun_raises(struct cpu *cpu, unsigned int vector)
{
	cpu->fault = (struct fault) { .vector = (uint8_t)vector, .has_error = vector == VECTOR_GP };
	return MACHINE_EXIT_EXCEPTION;
}

enum machine_exit machine_vmrun(struct cpu *cpu, uint64_t vmcb_pa, uint64_t budget)
{
	struct vmcb *vmcb = svm_vmcb(cpu, vmcb_pa);

	if (!(cpu->efer & EFER_SVME) || !(cpu->cr0 & X86_CR0_PE) || (cpu->rflags & X86_EFLAGS_VM))
		return vmrun_raises(cpu, VECTOR_UD);
	if (cpu->cpl || !svm_is_vmcb_address(cpu, vmcb_pa))
		return vmrun_raises(cpu, VECTOR_GP);
	if (!vmcb) {
		cpu->unimplemented = "a VMCB that is not in RAM";
		return MACHINE_EXIT_UNIMPLEMENTED;
	}
	cpu->svm.is_called = true;
	if (!svm_enter(cpu, vmcb_pa, vmcb, cpu->rip))
		return MACHINE_EXIT_VMEXIT;
	return machine_run(cpu, budget);
}

enum machine_exit machine_vmrun_continue(struct cpu *cpu, uint64_t budget)
{
	return machine_run(cpu, budget);
}

void machine_vmrun_abandon(struct cpu *cpu, uint64_t exit_code)
{
	if (!cpu->svm.is_guest)
		return;
	cpu->svm.exit_code = exit_code;
	cpu->svm.exit_info_1 = cpu->svm.exit_info_2 = 0;
	svm_leave(cpu);
}

bool machine_in_guest(const struct cpu *cpu)
{
	return cpu->svm.is_guest;
}

static struct vmcb *state_vmcb(struct cpu *cpu, uint64_t pa)
{
	return svm_is_vmcb_address(cpu, pa) ? svm_vmcb(cpu, pa) : NULL;
}

bool machine_vmload(struct cpu *cpu, uint64_t vmcb_pa)
{
	const struct vmcb *vmcb = state_vmcb(cpu, vmcb_pa);

	if (vmcb)
		svm_vmload(cpu, vmcb);
	return vmcb;
}

bool machine_vmsave(struct cpu *cpu, uint64_t vmcb_pa)
{
	struct vmcb *vmcb = state_vmcb(cpu, vmcb_pa);

	if (vmcb)
		svm_vmsave(cpu, vmcb);
	return vmcb;
}

void machine_stgi(struct cpu *cpu)
{
	cpu->svm.has_gif = true;
}

void machine_clgi(struct cpu *cpu)
{
	cpu->svm.has_gif = false;
}

void machine_invlpga(struct cpu *cpu, uint64_t linear, uint32_t asid)
{
	tlb_flush_page_asid(cpu, asid, linear);
}

void machine_flush_tlb(struct cpu *cpu)
{
	tlb_flush_all(cpu);
}

static void pin_set(struct cpu *cpu, uint32_t pin)
{
	__atomic_or_fetch(&cpu->svm.pins, pin, __ATOMIC_SEQ_CST);
}

static bool pin_take(struct cpu *cpu, uint32_t pin)
{
	return __atomic_fetch_and(&cpu->svm.pins, ~pin, __ATOMIC_SEQ_CST) & pin;
}

void machine_set_intr(struct cpu *cpu, bool is_asserted)
{
	if (is_asserted)
		pin_set(cpu, SVM_PIN_INTR);
	else
		pin_take(cpu, SVM_PIN_INTR);
}

void machine_set_nmi(struct cpu *cpu)
{
	pin_set(cpu, SVM_PIN_NMI);
}

void machine_set_smi(struct cpu *cpu)
{
	pin_set(cpu, SVM_PIN_SMI);
}

void machine_set_init(struct cpu *cpu)
{
	pin_set(cpu, SVM_PIN_INIT);
}

bool machine_take_nmi(struct cpu *cpu)
{
	return pin_take(cpu, SVM_PIN_NMI);
}

void machine_state_load(struct cpu *cpu, const struct vmcb *vmcb)
{
	svm_state_load(cpu, &vmcb->save);
	svm_vmload(cpu, vmcb);
	cpu_state_changed(cpu);
}

void machine_state_save(const struct cpu *cpu, struct vmcb *vmcb)
{
	svm_state_save(cpu, &vmcb->save);
	svm_vmsave(cpu, vmcb);
}

bool machine_accepts_interrupt(const struct cpu *cpu)
{
	return cpu->svm.has_gif && !cpu->svm.is_injecting && svm_is_interrupt_open(cpu);
}

bool machine_intercepts_interrupt(const struct cpu *cpu)
{
	return svm_intercepts(cpu, SVM_EXIT_INTR);
}

static bool has_virtual_tpr(const struct cpu *cpu)
{
	return cpu->svm.is_guest && (cpu->svm.control.int_ctl & V_INTR_MASKING);
}

uint8_t machine_tpr(const struct cpu *cpu)
{
	return (uint8_t)(has_virtual_tpr(cpu) ? cpu->svm.host.cr8 : cpu->cr8);
}

void machine_tpr_set(struct cpu *cpu, uint8_t tpr)
{
	if (has_virtual_tpr(cpu))
		cpu->svm.host.cr8 = tpr;
	else
		cpu->cr8 = tpr;
}

bool machine_shutdown(struct cpu *cpu)
{
	if (!svm_intercepts(cpu, SVM_EXIT_SHUTDOWN))
		return false;
	machine_vmrun_abandon(cpu, SVM_EXIT_SHUTDOWN);
	return true;
}
