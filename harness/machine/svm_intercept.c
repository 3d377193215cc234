/* SPDX-License-Identifier: MIT */
/*
 * Instructions that a hypervisor can intercept, as one table: the exit code, what the guest's own exceptions before the
 * intercept are, and what EXITINFO says (APM vol. 2, 15.8 to 15.11).
 *
 * Where a row has no guard, the intercept comes before all of the instruction's exceptions.
 */
#include "machine/svm_guest.h"

#include <Zydis/Zydis.h>
#include <asm/svm.h>

#include "machine/control.h"
#include "machine/exec.h"
#include "machine/io.h"
#include "machine/segment.h"

#define CR0_SELECTIVE (X86_CR0_TS | X86_CR0_MP)
#define INFO_IS_MOV (1ull << 63)
#define CR_WRITE 16

struct intercept {
	uint16_t number;	/* the exec_row's */
	uint16_t code;
	/* Raises what comes before the intercept; NULL: nothing does. */
	void (*guard)(struct cpu *cpu, const struct op *op);
	/* EXITINFO1, with decode assists only; NULL: 0. */
	uint64_t (*info)(struct cpu *cpu, const struct op *op);
	/* Instead of the three: decides and exits itself. */
	void (*check)(struct cpu *cpu, const struct op *op);
};

static bool has_assists(const struct cpu *cpu)
{
	return cpu->machine->svm_features & SVM_FEATURE_DECODE_ASSISTS;
}

static _Noreturn void exit_insn(struct cpu *cpu, uint64_t code, uint64_t info_1, uint64_t info_2)
{
	cpu->svm.next_rip = cpu->regs[REG_NEXT_RIP];
	svm_exit(cpu, code, info_1, info_2);
}

/* --- what comes first --- */

static void guard_cpl0(struct cpu *cpu, const struct op *op)
{
	(void)op;
	if (cpu->cpl)
		cpu_raise_error(cpu, VECTOR_GP, 0);
}

static void guard_umip(struct cpu *cpu, const struct op *op)
{
	(void)op;
	if (cpu->cpl && (cpu->cr4 & X86_CR4_UMIP))
		cpu_raise_error(cpu, VECTOR_GP, 0);
}

static void guard_protected(struct cpu *cpu)
{
	if (is_paragraph_mode(cpu))
		cpu_raise(cpu, VECTOR_UD);
}

static void guard_protected_umip(struct cpu *cpu, const struct op *op)
{
	guard_protected(cpu);
	guard_umip(cpu, op);
}

static void guard_protected_cpl0(struct cpu *cpu, const struct op *op)
{
	guard_protected(cpu);
	guard_cpl0(cpu, op);
}

static void guard_tsd(struct cpu *cpu, const struct op *op)
{
	(void)op;
	if ((cpu->cr4 & X86_CR4_TSD) && cpu->cpl)
		cpu_raise_error(cpu, VECTOR_GP, 0);
}

static void guard_pce(struct cpu *cpu, const struct op *op)
{
	(void)op;
	if (!(cpu->cr4 & X86_CR4_PCE) && cpu->cpl)
		cpu_raise_error(cpu, VECTOR_GP, 0);
}

/* MONITOR and MWAIT are no instructions to a user. */
static void guard_monitor(struct cpu *cpu, const struct op *op)
{
	(void)op;
	if (cpu->cpl)
		cpu_raise(cpu, VECTOR_UD);
}

void svm_check_allowed(struct cpu *cpu)
{
	if (!(cpu->efer & EFER_SVME) || is_paragraph_mode(cpu))
		cpu_raise(cpu, VECTOR_UD);
	if (cpu->cpl)
		cpu_raise_error(cpu, VECTOR_GP, 0);
}

static void guard_svm(struct cpu *cpu, const struct op *op)
{
	(void)op;
	svm_check_allowed(cpu);
}

static void guard_vmcb(struct cpu *cpu, const struct op *op)
{
	svm_check_allowed(cpu);
	if (!svm_is_vmcb_address(cpu, cpu->regs[REG_RAX] & op->address_mask))
		cpu_raise_error(cpu, VECTOR_GP, 0);
}

/* --- what EXITINFO1 says --- */

static uint64_t info_vector(struct cpu *cpu, const struct op *op)
{
	(void)cpu;
	return op->imm & 0xff;
}

static uint64_t info_linear(struct cpu *cpu, const struct op *op)
{
	return (op_offset(cpu, op) + cpu->windows[op->seg].base) & cpu->linear_mask;
}

static uint64_t info_register(const struct cpu *cpu, const struct op *op, unsigned int operand)
{
	return has_assists(cpu) ? op->operands[operand].reg / 8 : 0;
}

static uint64_t info_mov(const struct cpu *cpu, const struct op *op, unsigned int operand)
{
	return has_assists(cpu) ? INFO_IS_MOV | info_register(cpu, op, operand) : 0;
}

/* --- those that decide for themselves --- */

static void check_mov_from_cr(struct cpu *cpu, const struct op *op)
{
	unsigned int number = op->operands[1].reg;

	if (number > 15 || !svm_intercepts(cpu, SVM_EXIT_READ_CR0 + number))
		return;
	control_check_number(cpu, number);
	exit_insn(cpu, SVM_EXIT_READ_CR0 + number, info_mov(cpu, op, 0), 0);
}

/* Selective writes are those that change more than TS and MP; the plain intercept comes before. */
static void check_cr0_write(struct cpu *cpu, uint64_t value, uint64_t info)
{
	if (svm_intercepts(cpu, SVM_EXIT_WRITE_CR0))
		exit_insn(cpu, SVM_EXIT_WRITE_CR0, info, 0);
	if (svm_intercepts(cpu, SVM_EXIT_CR0_SEL_WRITE) && ((value ^ cpu->cr0) & ~(CR0_SELECTIVE | X86_CR0_ET)))
		exit_insn(cpu, SVM_EXIT_CR0_SEL_WRITE, info, 0);
}

static void check_mov_to_cr(struct cpu *cpu, const struct op *op)
{
	unsigned int number = op->operands[0].reg;
	uint64_t value = reg_read(cpu, op->operands[1].reg, cpu->is_long64 ? 8 : 4);

	control_check_number(cpu, number);
	control_check_write(cpu, number, value);
	if (!number)
		check_cr0_write(cpu, value, info_mov(cpu, op, 1));
	if (svm_intercepts(cpu, SVM_EXIT_READ_CR0 + CR_WRITE + number))
		exit_insn(cpu, SVM_EXIT_READ_CR0 + CR_WRITE + number, info_mov(cpu, op, 1), 0);
}

/* To LMSW the selective intercept is one of all writes (APM vol. 2, 15.9). */
static void check_lmsw(struct cpu *cpu, const struct op *op)
{
	guard_cpl0(cpu, op);
	if (svm_intercepts(cpu, SVM_EXIT_WRITE_CR0))
		exit_insn(cpu, SVM_EXIT_WRITE_CR0, 0, 0);
	if (svm_intercepts(cpu, SVM_EXIT_CR0_SEL_WRITE))
		exit_insn(cpu, SVM_EXIT_CR0_SEL_WRITE, 0, 0);
}

static void check_dr(struct cpu *cpu, const struct op *op, unsigned int operand, unsigned int base)
{
	unsigned int number = op->operands[operand].reg;

	if (number > 15 || !svm_intercepts(cpu, base + number))
		return;
	number = control_check_debug(cpu, number);
	if (base == SVM_EXIT_WRITE_DR0 && number >= 6 && reg_read(cpu, op->operands[1].reg, cpu->is_long64 ? 8 : 4) >> 32)
		cpu_raise_error(cpu, VECTOR_GP, 0);
	exit_insn(cpu, base + op->operands[operand].reg, info_register(cpu, op, !operand), 0);
}

static void check_mov_from_dr(struct cpu *cpu, const struct op *op)
{
	check_dr(cpu, op, 1, SVM_EXIT_READ_DR0);
}

static void check_mov_to_dr(struct cpu *cpu, const struct op *op)
{
	check_dr(cpu, op, 0, SVM_EXIT_WRITE_DR0);
}

/* Two bits for each MSR, read and write, in three ranges; all others are intercepted (APM vol. 2, 15.11). */
static bool is_msr_intercepted(const struct cpu *cpu, uint32_t msr, bool is_write)
{
	static const uint32_t firsts[] = { 0, 0xc0000000, 0xc0010000 };
	uint64_t map = cpu->svm.control.msrpm_base_pa & ~PAGE_MASK;
	unsigned int i;

	for (i = 0; i < 3; i++)
		if (msr - firsts[i] < 0x2000) {
			uint32_t bit = (msr - firsts[i]) * 2 + is_write;

			return physical_read(cpu->machine, map + i * 0x800 + bit / 8, 1) >> bit % 8 & 1;
		}
	return true;
}

static void check_msr(struct cpu *cpu, const struct op *op)
{
	bool is_write = op->mnemonic == ZYDIS_MNEMONIC_WRMSR;

	guard_cpl0(cpu, op);
	if (svm_intercepts(cpu, SVM_EXIT_MSR) && is_msr_intercepted(cpu, (uint32_t)cpu->regs[REG_RCX], is_write))
		exit_insn(cpu, SVM_EXIT_MSR, is_write, 0);
}

/* A bit for each port; an access of several bytes asks all of them (APM vol. 2, 15.10.1). */
static bool is_port_intercepted(const struct cpu *cpu, uint16_t port, unsigned int size)
{
	uint64_t at = (cpu->svm.control.iopm_base_pa & ~PAGE_MASK) + port / 8;
	uint64_t bits = physical_read(cpu->machine, at, 1) | physical_read(cpu->machine, at + 1, 1) << 8;

	return bits >> port % 8 & ((1u << size) - 1);
}

static void check_port(struct cpu *cpu, const struct op *op, uint16_t port, unsigned int size, uint64_t info)
{
	static const uint8_t address_bits[] = { 1, 2, 4 };
	unsigned int address = op->address_mask == 0xffff ? 0 : op->address_mask == 0xffffffff ? 1 : 2;

	if (!svm_intercepts(cpu, SVM_EXIT_IOIO))
		return;
	io_check(cpu, port, size);
	if (!is_port_intercepted(cpu, port, size))
		return;
	info |= IOIO_PORT(port) | IOIO_SIZE(size) | (uint64_t)address_bits[address] << 7;
	exit_insn(cpu, SVM_EXIT_IOIO, info, cpu->regs[REG_NEXT_RIP]);
}

static void check_in(struct cpu *cpu, const struct op *op)
{
	check_port(cpu, op, io_port(cpu, op, 1), op->size, IOIO_IN);
}

static void check_out(struct cpu *cpu, const struct op *op)
{
	check_port(cpu, op, io_port(cpu, op, 0), op->operands[1].size, 0);
}

static uint64_t info_string(const struct cpu *cpu, const struct op *op, unsigned int seg)
{
	return IOIO_STRING | (op->prefixes & (OP_REP | OP_REPNE) ? IOIO_REP : 0) |
		(has_assists(cpu) ? IOIO_SEGMENT(seg) : 0);
}

static void check_ins(struct cpu *cpu, const struct op *op)
{
	check_port(cpu, op, (uint16_t)cpu->regs[REG_RDX], op->size, IOIO_IN | info_string(cpu, op, SEG_ES));
}

static void check_outs(struct cpu *cpu, const struct op *op)
{
	check_port(cpu, op, (uint16_t)cpu->regs[REG_RDX], op->size, info_string(cpu, op, op->seg));
}

/*
 * Every PAUSE without a filter; with one, the first that finds the counter at zero. A threshold fills the counter again
 * when the last PAUSE was longer ago (APM vol. 2, 15.14.4).
 */
static bool is_pause_due(struct cpu *cpu)
{
	struct svm_state *svm = &cpu->svm;
	uint64_t tsc = cpu->tsc + (uint64_t)(cpu->op - cpu->first_op);
	bool has_threshold = (cpu->machine->svm_features & SVM_FEATURE_PAUSE_THRESHOLD) &&
		svm->control.pause_filter_threshold;

	if (!(cpu->machine->svm_features & SVM_FEATURE_PAUSE_FILTER) || !svm->control.pause_filter_count)
		return true;
	if (has_threshold && tsc - svm->pause_tsc > svm->control.pause_filter_threshold)
		svm->pause_left = svm->control.pause_filter_count;
	svm->pause_tsc = tsc;
	return !svm->pause_left || !--svm->pause_left;
}

static void check_pause(struct cpu *cpu, const struct op *op)
{
	(void)op;
	if (svm_intercepts(cpu, SVM_EXIT_PAUSE) && is_pause_due(cpu))
		exit_insn(cpu, SVM_EXIT_PAUSE, 0, 0);
}

/* The second intercept is for an MWAIT that would wait: its MONITOR is armed. */
static void check_mwait(struct cpu *cpu, const struct op *op)
{
	guard_monitor(cpu, op);
	if (svm_intercepts(cpu, SVM_EXIT_MWAIT))
		exit_insn(cpu, SVM_EXIT_MWAIT, 0, 0);
	if (cpu->is_monitoring && svm_intercepts(cpu, SVM_EXIT_MWAIT_COND))
		exit_insn(cpu, SVM_EXIT_MWAIT_COND, 0, 0);
}

#define INTERCEPT(name, code, ...) { ZYDIS_MNEMONIC_##name, code, __VA_ARGS__ }
#define CHECK(number_, check_) { .number = number_, .check = check_ }

static const struct intercept intercepts[] = {
	{ 0 },	/* row 0 is none */
	CHECK(EXEC_MOV_FROM_CR, check_mov_from_cr),
	CHECK(EXEC_MOV_TO_CR, check_mov_to_cr),
	CHECK(EXEC_MOV_FROM_DR, check_mov_from_dr),
	CHECK(EXEC_MOV_TO_DR, check_mov_to_dr),
	INTERCEPT(SMSW, SVM_EXIT_READ_CR0, guard_umip),
	INTERCEPT(CLTS, SVM_EXIT_WRITE_CR0, guard_cpl0),
	CHECK(ZYDIS_MNEMONIC_LMSW, check_lmsw),
	INTERCEPT(SIDT, SVM_EXIT_IDTR_READ, guard_umip),
	INTERCEPT(SGDT, SVM_EXIT_GDTR_READ, guard_umip),
	INTERCEPT(SLDT, SVM_EXIT_LDTR_READ, guard_protected_umip),
	INTERCEPT(STR, SVM_EXIT_TR_READ, guard_protected_umip),
	INTERCEPT(LIDT, SVM_EXIT_IDTR_WRITE, guard_cpl0),
	INTERCEPT(LGDT, SVM_EXIT_GDTR_WRITE, guard_cpl0),
	INTERCEPT(LLDT, SVM_EXIT_LDTR_WRITE, guard_protected_cpl0),
	INTERCEPT(LTR, SVM_EXIT_TR_WRITE, guard_protected_cpl0),
	INTERCEPT(RDTSC, SVM_EXIT_RDTSC, guard_tsd),
	INTERCEPT(RDTSCP, SVM_EXIT_RDTSCP, guard_tsd),
	INTERCEPT(RDPMC, SVM_EXIT_RDPMC, guard_pce),
	INTERCEPT(PUSHF, SVM_EXIT_PUSHF, NULL),
	INTERCEPT(PUSHFD, SVM_EXIT_PUSHF, NULL),
	INTERCEPT(PUSHFQ, SVM_EXIT_PUSHF, NULL),
	INTERCEPT(POPF, SVM_EXIT_POPF, NULL),
	INTERCEPT(POPFD, SVM_EXIT_POPF, NULL),
	INTERCEPT(POPFQ, SVM_EXIT_POPF, NULL),
	INTERCEPT(CPUID, SVM_EXIT_CPUID, NULL),
	INTERCEPT(IRET, SVM_EXIT_IRET, NULL),
	INTERCEPT(IRETD, SVM_EXIT_IRET, NULL),
	INTERCEPT(IRETQ, SVM_EXIT_IRET, NULL),
	INTERCEPT(INT, SVM_EXIT_SWINT, NULL, info_vector),
	INTERCEPT(INT1, SVM_EXIT_ICEBP, NULL),
	INTERCEPT(INVD, SVM_EXIT_INVD, guard_cpl0),
	INTERCEPT(WBINVD, SVM_EXIT_WBINVD, guard_cpl0),
	CHECK(ZYDIS_MNEMONIC_PAUSE, check_pause),
	INTERCEPT(HLT, SVM_EXIT_HLT, guard_cpl0),
	INTERCEPT(INVLPG, SVM_EXIT_INVLPG, guard_cpl0, info_linear),
	INTERCEPT(INVLPGA, SVM_EXIT_INVLPGA, guard_svm),
	INTERCEPT(INVPCID, SVM_EXIT_INVPCID, guard_cpl0),
	CHECK(ZYDIS_MNEMONIC_IN, check_in),
	CHECK(ZYDIS_MNEMONIC_OUT, check_out),
	CHECK(ZYDIS_MNEMONIC_INSB, check_ins),
	CHECK(ZYDIS_MNEMONIC_INSW, check_ins),
	CHECK(ZYDIS_MNEMONIC_INSD, check_ins),
	CHECK(ZYDIS_MNEMONIC_OUTSB, check_outs),
	CHECK(ZYDIS_MNEMONIC_OUTSW, check_outs),
	CHECK(ZYDIS_MNEMONIC_OUTSD, check_outs),
	CHECK(ZYDIS_MNEMONIC_RDMSR, check_msr),
	CHECK(ZYDIS_MNEMONIC_WRMSR, check_msr),
	INTERCEPT(VMRUN, SVM_EXIT_VMRUN, guard_vmcb),
	INTERCEPT(VMMCALL, SVM_EXIT_VMMCALL, NULL),
	INTERCEPT(VMLOAD, SVM_EXIT_VMLOAD, guard_vmcb),
	INTERCEPT(VMSAVE, SVM_EXIT_VMSAVE, guard_vmcb),
	INTERCEPT(STGI, SVM_EXIT_STGI, guard_svm),
	INTERCEPT(CLGI, SVM_EXIT_CLGI, guard_svm),
	INTERCEPT(SKINIT, SVM_EXIT_SKINIT, guard_svm),
	INTERCEPT(RSM, SVM_EXIT_RSM, NULL),
	INTERCEPT(MONITOR, SVM_EXIT_MONITOR, guard_monitor),
	CHECK(ZYDIS_MNEMONIC_MWAIT, check_mwait),
	INTERCEPT(XSETBV, SVM_EXIT_XSETBV, NULL),
};

void svm_intercept_index(uint8_t *rows)
{
	unsigned int i;

	for (i = 1; i < sizeof(intercepts) / sizeof(intercepts[0]); i++)
		rows[intercepts[i].number] = (uint8_t)i;
}

static void check_row(struct cpu *cpu, const struct op *op, const struct intercept *row)
{
	if (row->check) {
		row->check(cpu, op);
		return;
	}
	if (!svm_intercepts(cpu, row->code))
		return;
	if (row->guard)
		row->guard(cpu, op);
	exit_insn(cpu, row->code, row->info && has_assists(cpu) ? row->info(cpu, op) : 0, 0);
}

void svm_exec_intercepted(struct cpu *cpu, const struct op *op)
{
	if (cpu->svm.is_guest)
		check_row(cpu, op, &intercepts[op->intercept]);
	op->inner(cpu, op);
}
