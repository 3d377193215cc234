/* SPDX-License-Identifier: MIT */
/* SVM's instructions (APM vol. 3). What intercepts them is before (svm_intercept.c). */
#include "machine/exec.h"

#include <Zydis/Zydis.h>

#include "machine/svm_guest.h"
#include "machine/tlb.h"

/* RAX, as wide as the address size. */
static uint64_t address_operand(const struct cpu *cpu, const struct op *op)
{
	return cpu->regs[REG_RAX] & op->address_mask;
}

static struct vmcb *vmcb_at(struct cpu *cpu, uint64_t pa)
{
	struct vmcb *vmcb = svm_vmcb(cpu, pa);

	if (!vmcb)
		cpu_unimplemented(cpu, "a VMCB that is not in RAM");
	return vmcb;
}

static uint64_t vmcb_address(struct cpu *cpu, const struct op *op)
{
	uint64_t pa = address_operand(cpu, op);

	svm_check_allowed(cpu);
	if (!svm_is_vmcb_address(cpu, pa))
		cpu_raise_error(cpu, VECTOR_GP, 0);
	return pa;
}

static void vmrun(struct cpu *cpu, const struct op *op)
{
	uint64_t pa = vmcb_address(cpu, op);
	struct vmcb *vmcb;

	/* There must be a place for the host's state. */
	if (!cpu->svm.hsave_pa)
		cpu_raise_error(cpu, VECTOR_GP, 0);
	vmcb = vmcb_at(cpu, pa);
	cpu->svm.is_called = false;
	if (svm_enter(cpu, pa, vmcb, cpu->regs[REG_NEXT_RIP]))
		cpu->regs[REG_NEXT_RIP] = cpu->rip;
	cpu->must_stop |= STOP_EVENT;
}

/* Under virtualised VMLOAD and VMSAVE a guest's address is the guest's (APM vol. 2, 15.33.1). */
static struct vmcb *state_operand(struct cpu *cpu, const struct op *op, enum access access)
{
	uint64_t pa = vmcb_address(cpu, op);

	if (cpu->svm.is_guest && cpu->svm.has_nested_paging && (cpu->svm.control.virt_ext & VMLOAD_VMSAVE_ENABLE) &&
	    (cpu->machine->svm_features & SVM_FEATURE_VLS))
		pa = nested_translate_gpa(cpu, pa, access);
	return vmcb_at(cpu, pa);
}

static void vmload(struct cpu *cpu, const struct op *op)
{
	svm_vmload(cpu, state_operand(cpu, op, ACCESS_READ));
}

static void vmsave(struct cpu *cpu, const struct op *op)
{
	svm_vmsave(cpu, state_operand(cpu, op, ACCESS_WRITE));
}

/* A guest with virtual GIF has one of its own (APM vol. 2, 15.33.2). */
static void set_gif(struct cpu *cpu, bool value)
{
	uint32_t *int_ctl = &cpu->svm.control.int_ctl;

	if (cpu->svm.is_guest && (*int_ctl & V_GIF_ENABLE) && (cpu->machine->svm_features & SVM_FEATURE_VGIF))
		*int_ctl = value ? *int_ctl | V_GIF : *int_ctl & ~V_GIF;
	else
		cpu->svm.has_gif = value;
	cpu->must_stop |= STOP_EVENT;
}

static void stgi(struct cpu *cpu, const struct op *op)
{
	(void)op;
	svm_check_allowed(cpu);
	set_gif(cpu, true);
}

static void clgi(struct cpu *cpu, const struct op *op)
{
	(void)op;
	svm_check_allowed(cpu);
	set_gif(cpu, false);
}

static void invlpga(struct cpu *cpu, const struct op *op)
{
	svm_check_allowed(cpu);
	tlb_flush_page_asid(cpu, (uint32_t)cpu->regs[REG_RCX], address_operand(cpu, op));
}

/* It is for who intercepts it. */
static void vmmcall(struct cpu *cpu, const struct op *op)
{
	(void)op;
	cpu_raise(cpu, VECTOR_UD);
}

/* CPUID does not offer it: there is no TPM to tell of the secure loader. Only its intercept is looked at. */
static void skinit(struct cpu *cpu, const struct op *op)
{
	(void)op;
	cpu_raise(cpu, VECTOR_UD);
}

#define ROW(mnemonic, exec) \
	{ ZYDIS_MNEMONIC_##mnemonic, ROW_WIDTH | ROW_ENDS_BLOCK, FEATURE_SVM, EXEC_ANY(exec) }

static const struct exec_row rows[] = {
	ROW(VMRUN, vmrun), ROW(VMLOAD, vmload), ROW(VMSAVE, vmsave), ROW(STGI, stgi), ROW(CLGI, clgi),
	ROW(INVLPGA, invlpga), ROW(VMMCALL, vmmcall), ROW(SKINIT, skinit),
};

EXEC_TABLE(exec_svm, rows);
