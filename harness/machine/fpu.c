/* SPDX-License-Identifier: MIT */
#include "machine/fpu.h"

#include <string.h>

#include "machine/event.h"
#include "machine/private.h"
#include "vm/x86/bits.h"

static unsigned int fpu_top(const struct fpu *fpu)
{
	return (fpu->fsw & FSW_TOP) >> FSW_TOP_SHIFT;
}

void fpu_set_fsw(struct fpu *fpu, uint16_t fsw)
{
	unsigned int i, old_top = fpu_top(fpu), top;
	uint8_t old[8][16];

	fpu->fsw = fsw;
	top = fpu_top(fpu);
	if (top == old_top)
		return;
	memcpy(old, fpu->st, sizeof(old));
	for (i = 0; i < 8; i++)
		memcpy(fpu->st[i], old[(i + top - old_top) & 7], sizeof(old[0]));
}

void fpu_init_x87(struct fpu *fpu)
{
	fpu->fcw = FCW_INIT;
	fpu_set_fsw(fpu, 0);
	fpu->ftw = 0;
	fpu->fop = 0;
	fpu->fip = fpu->fdp = 0;
}

void fpu_reset(struct fpu *fpu)
{
	memset(fpu, 0, sizeof(*fpu));
	fpu->fcw = 0x40;
	fpu->ftw = 0xff;
	fpu->mxcsr = MXCSR_INIT;
}

void fpu_check_sse(struct cpu *cpu, uint64_t feature)
{
	if ((cpu->cr0 & X86_CR0_EM) || !(cpu->cr4 & X86_CR4_OSFXSR) || !cpu_has(cpu, feature))
		cpu_raise(cpu, VECTOR_UD);
	if (cpu->cr0 & X86_CR0_TS)
		cpu_raise(cpu, VECTOR_NM);
}

/* Without CR0.NE, the exception is an interrupt by way of a pin (APM vol. 2, 3.1.1), which nobody has connected. */
void fpu_check_pending(struct cpu *cpu)
{
	if (!(cpu->fpu.fsw & FSW_ES))
		return;
	if (!(cpu->cr0 & X86_CR0_NE))
		cpu_unimplemented(cpu, "x87 exception without CR0.NE");
	cpu_raise(cpu, VECTOR_MF);
}

void fpu_check_mmx(struct cpu *cpu, uint64_t feature)
{
	if ((cpu->cr0 & X86_CR0_EM) || !cpu_has(cpu, feature))
		cpu_raise(cpu, VECTOR_UD);
	if (cpu->cr0 & X86_CR0_TS)
		cpu_raise(cpu, VECTOR_NM);
	fpu_check_pending(cpu);
}

void fpu_check_x87_available(struct cpu *cpu)
{
	if (cpu->cr0 & (X86_CR0_EM | X86_CR0_TS))
		cpu_raise(cpu, VECTOR_NM);
}

void fpu_check_x87(struct cpu *cpu)
{
	fpu_check_x87_available(cpu);
	fpu_check_pending(cpu);
}

uint32_t fpu_mxcsr_reserved(const struct cpu *cpu)
{
	return ~(MXCSR_DEFINED | (cpu_has(cpu, FEATURE_MISALIGN) ? MXCSR_MM : 0));
}

uint64_t fpu_mmx_read(const struct fpu *fpu, unsigned int number)
{
	uint64_t value;

	memcpy(&value, fpu->st[(number - fpu_top(fpu)) & 7], sizeof(value));
	return value;
}

void fpu_mmx_enter(struct fpu *fpu)
{
	fpu->ftw = 0xff;
	fpu_set_fsw(fpu, fpu->fsw & (uint16_t)~FSW_TOP);
}

void fpu_mmx_write(struct fpu *fpu, unsigned int number, uint64_t value)
{
	fpu_mmx_enter(fpu);
	memcpy(fpu->st[number], &value, sizeof(value));
	memset(fpu->st[number] + 8, 0xff, 2);
}
