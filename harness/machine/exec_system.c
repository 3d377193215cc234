/* SPDX-License-Identifier: MIT */
/* What asks the CPU about itself, stops it, or is illegal by name. */
#include "machine/exec.h"

#include <Zydis/Zydis.h>

#include "machine/svm_guest.h"

static void cpuid(struct cpu *cpu, const struct op *op)
{
	struct machine_cpuid leaf = cpuid_lookup(cpu->machine->cpuid, cpu->machine->nr_cpuid,
		(uint32_t)cpu->regs[REG_RAX], (uint32_t)cpu->regs[REG_RCX]);

	(void)op;
	/* What the operating system enabled shows: OSXSAVE and OSPKE. */
	if (leaf.leaf == 1)
		leaf.ecx = (leaf.ecx & ~(1u << 27)) | (cpu->cr4 & X86_CR4_OSXSAVE ? 1u << 27 : 0);
	if (leaf.leaf == 7 && !(uint32_t)cpu->regs[REG_RCX])
		leaf.ecx = (leaf.ecx & ~(1u << 4)) | (cpu->cr4 & X86_CR4_PKE ? 1u << 4 : 0);
	gpr_write(cpu, REG_RAX, 4, leaf.eax);
	gpr_write(cpu, REG_RBX, 4, leaf.ebx);
	gpr_write(cpu, REG_RCX, 4, leaf.ecx);
	gpr_write(cpu, REG_RDX, 4, leaf.edx);
}

static void rdtsc(struct cpu *cpu, const struct op *op)
{
	uint64_t tsc = svm_read_tsc(cpu);

	(void)op;
	if ((cpu->cr4 & X86_CR4_TSD) && cpu->cpl)
		cpu_raise_error(cpu, VECTOR_GP, 0);
	gpr_write(cpu, REG_RAX, 4, (uint32_t)tsc);
	gpr_write(cpu, REG_RDX, 4, tsc >> 32);
}

static void rdtscp(struct cpu *cpu, const struct op *op)
{
	rdtsc(cpu, op);
	gpr_write(cpu, REG_RCX, 4, (uint32_t)cpu->tsc_aux);
}

static void hlt(struct cpu *cpu, const struct op *op)
{
	(void)op;
	if (cpu->cpl)
		cpu_raise_error(cpu, VECTOR_GP, 0);
	cpu->is_halted = true;
	cpu->must_stop |= STOP_EVENT;
}

static void ud(struct cpu *cpu, const struct op *op)
{
	(void)op;
	cpu_raise(cpu, VECTOR_UD);
}

static void check_monitor(struct cpu *cpu, uint32_t extensions)
{
	if (cpu->cpl)
		cpu_raise(cpu, VECTOR_UD);
	if ((uint32_t)cpu->regs[REG_RCX] & ~extensions)
		cpu_raise_error(cpu, VECTOR_GP, 0);
}

static void monitor(struct cpu *cpu, const struct op *op)
{
	check_monitor(cpu, 0);
	memory_read(cpu, op->seg, cpu->regs[REG_RAX] & op->address_mask, 1);
	cpu->is_monitoring = true;
}

/* It may end for reasons of the CPU's own (APM vol. 3), and does at once. */
static void mwait(struct cpu *cpu, const struct op *op)
{
	(void)op;
	check_monitor(cpu, 1);
	cpu->is_monitoring = false;
}

#define NR_COUNTERS 4

/* The four counters that are always there. No event can be selected: they stand still. */
static void rdpmc(struct cpu *cpu, const struct op *op)
{
	(void)op;
	if ((cpu->cpl && !(cpu->cr4 & X86_CR4_PCE)) || (uint32_t)cpu->regs[REG_RCX] >= NR_COUNTERS)
		cpu_raise_error(cpu, VECTOR_GP, 0);
	gpr_write(cpu, REG_RAX, 4, 0);
	gpr_write(cpu, REG_RDX, 4, 0);
}

#define XCR0_X87 1ull
#define XCR0_SSE 2ull
#define XCR0_AVX 4ull
#define CPUID_XSAVE 0xd

static void check_xcr(struct cpu *cpu)
{
	if (!(cpu->cr4 & X86_CR4_OSXSAVE))
		cpu_raise(cpu, VECTOR_UD);
	if ((uint32_t)cpu->regs[REG_RCX])
		cpu_raise_error(cpu, VECTOR_GP, 0);
}

static void xgetbv(struct cpu *cpu, const struct op *op)
{
	(void)op;
	check_xcr(cpu);
	gpr_write(cpu, REG_RAX, 4, (uint32_t)cpu->xcr0);
	gpr_write(cpu, REG_RDX, 4, cpu->xcr0 >> 32);
}

static void xsetbv(struct cpu *cpu, const struct op *op)
{
	struct machine_cpuid leaf = cpuid_lookup(cpu->machine->cpuid, cpu->machine->nr_cpuid, CPUID_XSAVE, 0);
	uint64_t supported = leaf.eax | (uint64_t)leaf.edx << 32 | XCR0_X87;
	uint64_t value = cpu->regs[REG_RDX] << 32 | (uint32_t)cpu->regs[REG_RAX];

	(void)op;
	check_xcr(cpu);
	if (cpu->cpl || (value & ~supported) || !(value & XCR0_X87) ||
	    (value & (XCR0_AVX | XCR0_SSE)) == XCR0_AVX)
		cpu_raise_error(cpu, VECTOR_GP, 0);
	cpu->xcr0 = value;
}

/* A trap without the gate's privilege check: RIP is behind it. */
static void icebp(struct cpu *cpu, const struct op *op)
{
	(void)op;
	cpu->rip = cpu->regs[REG_NEXT_RIP];
	cpu_raise(cpu, VECTOR_DB);
}

/* Not implemented with the feature, and #UD without it: there is no handler. */
#define ABSENT(mnemonic, features) { ZYDIS_MNEMONIC_##mnemonic, ROW_WIDTH, features, { NULL } }
#define ROW(mnemonic, features, exec) \
	{ ZYDIS_MNEMONIC_##mnemonic, ROW_WIDTH | ROW_ENDS_BLOCK, features, EXEC_ANY(exec) }

static const struct exec_row rows[] = {
	ROW(CPUID, 0, cpuid),
	ROW(RDTSC, 0, rdtsc),
	ROW(RDTSCP, FEATURE_RDTSCP, rdtscp),
	ROW(HLT, 0, hlt),
	ROW(UD0, 0, ud),
	ROW(UD1, 0, ud),
	ROW(UD2, 0, ud),
	ROW(RSM, 0, ud),
	ROW(INT1, 0, icebp),
	ROW(MONITOR, FEATURE_MONITOR, monitor),
	ROW(MWAIT, FEATURE_MONITOR, mwait),
	ROW(RDPMC, 0, rdpmc),
	ROW(XGETBV, FEATURE_XSAVE, xgetbv),
	ROW(XSETBV, FEATURE_XSAVE, xsetbv),
	ABSENT(MOVNTSS, FEATURE_NEVER), ABSENT(MOVNTSD, FEATURE_NEVER), ABSENT(EXTRQ, FEATURE_NEVER),
	ABSENT(INSERTQ, FEATURE_NEVER),
	ABSENT(RDRAND, FEATURE_RDRAND), ABSENT(RDSEED, FEATURE_NEVER),
	ABSENT(MONITORX, FEATURE_NEVER), ABSENT(MWAITX, FEATURE_NEVER),
	ABSENT(VMCALL, FEATURE_NEVER), ABSENT(VMLAUNCH, FEATURE_NEVER), ABSENT(VMRESUME, FEATURE_NEVER),
	ABSENT(VMXOFF, FEATURE_NEVER), ABSENT(VMXON, FEATURE_NEVER), ABSENT(VMREAD, FEATURE_NEVER),
	ABSENT(VMWRITE, FEATURE_NEVER), ABSENT(VMPTRLD, FEATURE_NEVER), ABSENT(VMPTRST, FEATURE_NEVER),
	ABSENT(VMCLEAR, FEATURE_NEVER), ABSENT(VMFUNC, FEATURE_NEVER), ABSENT(INVEPT, FEATURE_NEVER),
	ABSENT(INVVPID, FEATURE_NEVER), ABSENT(CLZERO, FEATURE_NEVER), ABSENT(RDPID, FEATURE_NEVER),
	ABSENT(RDPRU, FEATURE_NEVER), ABSENT(GETSEC, FEATURE_NEVER),
};

EXEC_TABLE(exec_system, rows);
