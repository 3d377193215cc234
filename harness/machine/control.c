/* SPDX-License-Identifier: MIT */
#include "machine/control.h"

#include "machine/debug.h"
#include "machine/event.h"
#include "machine/private.h"
#include "machine/svm_guest.h"
#include "machine/tlb.h"
#include "vm/x86/bits.h"

#define CR0_DEFINED (X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | X86_CR0_ET | X86_CR0_NE | X86_CR0_WP | \
	X86_CR0_AM | X86_CR0_NW | X86_CR0_CD | X86_CR0_PG)
#define CR3_NO_FLUSH (1ull << 63)
/* APM vol. 2, 15.30 */
#define MSR_DEBUGCTL 0x1d9
#define MSR_BR_FROM 0x1db
#define MSR_BR_TO 0x1dc
#define MSR_LAST_EXCP_FROM 0x1dd
#define MSR_LAST_EXCP_TO 0x1de
#define MSR_TSC_RATIO 0xc0000104
#define MSR_SVM_KEY 0xc0010118
#define TSC_RATIO_RESERVED 0xffffff0000000000ull

static _Noreturn void raise_gp(struct cpu *cpu)
{
	cpu_raise_error(cpu, VECTOR_GP, 0);
}

/* Turning paging on under EFER.LME enters long mode, turning it off leaves it. */
static void check_paging_change(struct cpu *cpu, uint64_t value)
{
	bool turns_on = value & ~cpu->cr0 & X86_CR0_PG, turns_off = cpu->cr0 & ~value & X86_CR0_PG;

	if (turns_on && (cpu->efer & EFER_LME) &&
	    (!(cpu->cr4 & X86_CR4_PAE) || (cpu->segs[SEG_CS].attrib & SEG_L)))
		raise_gp(cpu);
	if (turns_off && (cpu->is_long64 || (cpu->cr4 & X86_CR4_PCIDE)))
		raise_gp(cpu);
}

static void check_cr0(struct cpu *cpu, uint64_t value)
{
	if (value >> 32 || (value & (X86_CR0_PG | X86_CR0_PE)) == X86_CR0_PG ||
	    (value & (X86_CR0_NW | X86_CR0_CD)) == X86_CR0_NW)
		raise_gp(cpu);
	check_paging_change(cpu, value);
}

void control_write_cr0(struct cpu *cpu, uint64_t value)
{
	uint64_t changed;

	check_cr0(cpu, value);
	value = (value & CR0_DEFINED) | X86_CR0_ET;
	changed = value ^ cpu->cr0;
	cpu->cr0 = value;
	if (changed & X86_CR0_PG)
		cpu->efer = value & X86_CR0_PG && cpu->efer & EFER_LME ? cpu->efer | EFER_LMA : cpu->efer & ~EFER_LMA;
	if (changed & (X86_CR0_PG | X86_CR0_PE))
		tlb_flush_asid(cpu, cpu->asid, true);
	cpu_forget_fast(cpu);
	cpu_mode_changed(cpu);
}

static void check_cr3(struct cpu *cpu, uint64_t value)
{
	if (cpu->cr4 & X86_CR4_PCIDE)
		value &= ~CR3_NO_FLUSH;
	if ((cpu->efer & EFER_LMA) && value >> cpu->machine->physical_bits)
		raise_gp(cpu);
}

void control_write_cr3(struct cpu *cpu, uint64_t value)
{
	bool keeps = (cpu->cr4 & X86_CR4_PCIDE) && (value & CR3_NO_FLUSH);

	check_cr3(cpu, value);
	if (cpu->cr4 & X86_CR4_PCIDE)
		value &= ~CR3_NO_FLUSH;
	cpu->cr3 = value;
	if (!keeps)
		tlb_flush_pcid(cpu, cpu->asid, cpu_pcid(cpu));
	cpu_forget_fast(cpu);
}

static uint64_t cr4_defined(const struct cpu *cpu)
{
	static const struct {
		uint64_t feature;
		uint64_t bit;
	} optional[] = {
		{ FEATURE_UMIP, X86_CR4_UMIP }, { FEATURE_LA57, X86_CR4_LA57 }, { FEATURE_FSGSBASE, X86_CR4_FSGSBASE },
		{ FEATURE_PCID, X86_CR4_PCIDE }, { FEATURE_XSAVE, X86_CR4_OSXSAVE }, { FEATURE_SMEP, X86_CR4_SMEP },
		{ FEATURE_SMAP, X86_CR4_SMAP }, { FEATURE_PKU, X86_CR4_PKE },
	};
	uint64_t defined = X86_CR4_VME | X86_CR4_PVI | X86_CR4_TSD | X86_CR4_DE | X86_CR4_PSE | X86_CR4_PAE |
		X86_CR4_MCE |
		X86_CR4_PGE | X86_CR4_PCE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT;
	unsigned int i;

	for (i = 0; i < sizeof(optional) / sizeof(optional[0]); i++)
		if (cpu_has(cpu, optional[i].feature))
			defined |= optional[i].bit;
	return defined;
}

static void check_cr4(struct cpu *cpu, uint64_t value)
{
	uint64_t changed = value ^ cpu->cr4;
	bool is_long = cpu->efer & EFER_LMA;

	if (value & ~cr4_defined(cpu))
		raise_gp(cpu);
	if (is_long && (changed & (X86_CR4_PAE | X86_CR4_LA57)))
		raise_gp(cpu);
	if ((changed & value & X86_CR4_PCIDE) && (!is_long || (cpu->cr3 & 0xfff)))
		raise_gp(cpu);
}

void control_write_cr4(struct cpu *cpu, uint64_t value)
{
	const uint64_t paging = X86_CR4_PGE | X86_CR4_PAE | X86_CR4_PSE | X86_CR4_PCIDE | X86_CR4_SMEP | X86_CR4_LA57;
	uint64_t changed = value ^ cpu->cr4;

	check_cr4(cpu, value);
	cpu->cr4 = value;
	if (changed & paging)
		tlb_flush_asid(cpu, cpu->asid, true);
	cpu_forget_fast(cpu);
}

void control_write_cr8(struct cpu *cpu, uint64_t value)
{
	if (value >> 4)
		raise_gp(cpu);
	cpu->cr8 = value;
	/* V_TPR follows, under V_INTR_MASKING or not (APM vol. 2, 15.21.2). */
	if (cpu->svm.is_guest)
		cpu->svm.control.int_ctl = (cpu->svm.control.int_ctl & ~V_TPR_BITS) | (uint32_t)value;
	cpu->must_stop |= STOP_EVENT;
}

void control_check_number(struct cpu *cpu, unsigned int number)
{
	if (cpu->cpl)
		raise_gp(cpu);
	if (number != 0 && number != 2 && number != 3 && number != 4 && number != 8)
		cpu_raise(cpu, VECTOR_UD);
}

void control_check_write(struct cpu *cpu, unsigned int number, uint64_t value)
{
	switch (number) {
	case 0:
		check_cr0(cpu, value);
		break;
	case 3:
		check_cr3(cpu, value);
		break;
	case 4:
		check_cr4(cpu, value);
		break;
	case 8:
		if (value >> 4)
			raise_gp(cpu);
		break;
	default:
		break;
	}
}

/* DR4 and DR5 are DR6 and DR7 without CR4.DE. */
unsigned int control_check_debug(struct cpu *cpu, unsigned int number)
{
	if (number > 7 || ((cpu->cr4 & X86_CR4_DE) && (number == 4 || number == 5)))
		cpu_raise(cpu, VECTOR_UD);
	if (cpu->cpl)
		raise_gp(cpu);
	if (cpu->dr[7] & DR7_GD) {
		cpu->dr[6] |= DR6_BD;
		cpu_raise(cpu, VECTOR_DB);
	}
	return number == 4 || number == 5 ? number + 2 : number;
}

static uint64_t efer_defined(const struct cpu *cpu)
{
	uint64_t defined = EFER_LMA;

	if (cpu_has(cpu, FEATURE_SYSCALL))
		defined |= EFER_SCE;
	if (cpu_has(cpu, FEATURE_LM))
		defined |= EFER_LME;
	if (cpu_has(cpu, FEATURE_NX))
		defined |= EFER_NX;
	if (cpu_has(cpu, FEATURE_SVM))
		defined |= EFER_SVME;
	if (cpu_has(cpu, FEATURE_FFXSR))
		defined |= EFER_FFXSR;
	return defined;
}

/* LMA is the CPU's own: a write leaves it. */
static void efer_write(struct cpu *cpu, uint64_t value)
{
	if ((value & EFER_SVME) && (cpu->svm.vm_cr & VM_CR_SVMDIS))
		raise_gp(cpu);
	if ((value & ~efer_defined(cpu)) || (((value ^ cpu->efer) & EFER_LME) && (cpu->cr0 & X86_CR0_PG)))
		raise_gp(cpu);
	value = (value & ~EFER_LMA) | (cpu->efer & EFER_LMA);
	if ((value ^ cpu->efer) & EFER_NX)
		tlb_flush_asid(cpu, cpu->asid, true);
	cpu->efer = value;
}

static bool is_pat(uint64_t value)
{
	unsigned int i, type;

	for (i = 0; i < 8; i++) {
		type = value >> 8 * i & 0xff;
		if (type > 7 || type == 2 || type == 3)
			return false;
	}
	return true;
}

/* Those that are nothing but a number; NULL for others. */
static uint64_t *msr_plain(struct cpu *cpu, uint32_t msr, bool *ret_is_address)
{
	*ret_is_address = false;
	switch (msr) {
	case MSR_STAR:
		return &cpu->star;
	case MSR_SYSCALL_MASK:
		return &cpu->sfmask;
	case MSR_IA32_SYSENTER_CS:
		return &cpu->sysenter_cs;
	case MSR_TSC_AUX:
		return &cpu->tsc_aux;
	case MSR_BR_FROM:
		return &cpu->branches.br_from;
	case MSR_BR_TO:
		return &cpu->branches.br_to;
	case MSR_LAST_EXCP_FROM:
		return &cpu->branches.last_excp_from;
	case MSR_LAST_EXCP_TO:
		return &cpu->branches.last_excp_to;
	default:
		break;
	}
	*ret_is_address = true;
	switch (msr) {
	case MSR_LSTAR:
		return &cpu->lstar;
	case MSR_CSTAR:
		return &cpu->cstar;
	case MSR_FS_BASE:
		return &cpu->segs[SEG_FS].base;
	case MSR_GS_BASE:
		return &cpu->segs[SEG_GS].base;
	case MSR_KERNEL_GS_BASE:
		return &cpu->kernel_gs_base;
	case MSR_IA32_SYSENTER_ESP:
		return &cpu->sysenter_esp;
	case MSR_IA32_SYSENTER_EIP:
		return &cpu->sysenter_eip;
	default:
		return NULL;
	}
}

/* SVM's (APM vol. 2, 15.30). */
static uint64_t svm_msr_read(struct cpu *cpu, uint32_t msr)
{
	if (!cpu_has(cpu, FEATURE_SVM))
		raise_gp(cpu);
	switch (msr) {
	case MSR_VM_CR:
		return cpu->svm.vm_cr;
	case MSR_VM_HSAVE_PA:
		return cpu->svm.hsave_pa;
	case MSR_SVM_KEY:
		return 0;
	case MSR_TSC_RATIO:
		if (cpu->machine->svm_features & SVM_FEATURE_TSC_RATIO)
			return cpu->svm.tsc_ratio;
		break;
	default:
		break;
	}
	raise_gp(cpu);
}

/* LOCK keeps itself and SVMDIS; SVM cannot be disabled while it is on. */
static void vm_cr_write(struct cpu *cpu, uint64_t value)
{
	uint64_t kept = cpu->svm.vm_cr & VM_CR_LOCK ? VM_CR_LOCK | VM_CR_SVMDIS : 0;

	if ((value & ~VM_CR_DEFINED) || ((value & ~kept & VM_CR_SVMDIS) && (cpu->efer & EFER_SVME)))
		raise_gp(cpu);
	cpu->svm.vm_cr = (value & ~kept) | (cpu->svm.vm_cr & kept);
}

static void svm_msr_write(struct cpu *cpu, uint32_t msr, uint64_t value)
{
	if (!cpu_has(cpu, FEATURE_SVM))
		raise_gp(cpu);
	if (msr == MSR_VM_CR) {
		vm_cr_write(cpu, value);
	} else if (msr == MSR_VM_HSAVE_PA && !(value & PAGE_MASK) && !(value >> cpu->machine->physical_bits)) {
		cpu->svm.hsave_pa = value;
	} else if (msr == MSR_TSC_RATIO && (cpu->machine->svm_features & SVM_FEATURE_TSC_RATIO) &&
		   !(value & TSC_RATIO_RESERVED)) {
		cpu->svm.tsc_ratio = value;
	} else if (msr != MSR_SVM_KEY) {
		raise_gp(cpu);
	}
}

uint64_t msr_read(struct cpu *cpu, uint32_t msr)
{
	bool is_address;
	const uint64_t *plain = msr_plain(cpu, msr, &is_address);

	if (plain)
		return *plain;
	switch (msr) {
	case MSR_EFER:
		return cpu->efer;
	case MSR_IA32_PAT:
		return cpu->pat;
	case MSR_IA32_TSC:
		return svm_read_tsc(cpu);
	case MSR_DEBUGCTL:
		return cpu->branches.dbgctl;
	/* Of the bank that these name there is nothing: no error was logged. */
	case MSR_IA32_P5_MC_ADDR:
	case MSR_IA32_P5_MC_TYPE:
		return 0;
	default:
		return svm_msr_read(cpu, msr);
	}
}

void msr_write(struct cpu *cpu, uint32_t msr, uint64_t value)
{
	bool is_address;
	uint64_t *plain = msr_plain(cpu, msr, &is_address);

	if (plain) {
		if (is_address && !is_canonical(cpu, value))
			raise_gp(cpu);
		*plain = msr == MSR_SYSCALL_MASK || msr == MSR_TSC_AUX ? (uint32_t)value : value;
		cpu_windows_changed(cpu);
		return;
	}
	switch (msr) {
	case MSR_EFER:
		efer_write(cpu, value);
		break;
	case MSR_IA32_PAT:
		if (!is_pat(value))
			raise_gp(cpu);
		cpu->pat = value;
		break;
	case MSR_IA32_TSC:
		cpu->tsc = value;
		break;
	case MSR_DEBUGCTL:
		if (value & ~DBGCTL_DEFINED)
			raise_gp(cpu);
		cpu->branches.dbgctl = value;
		cpu->must_stop |= STOP_EVENT;
		break;
	default:
		svm_msr_write(cpu, msr, value);
	}
}
