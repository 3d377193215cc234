/* SPDX-License-Identifier: MIT */
/*
 * x87, by the host's: the guest's state is loaded (it is an FXSAVE image), one instruction of the same opcode executed
 * on it, and the state taken back. What an unmasked exception does shows at the guest's next instruction that waits.
 *
 * Each opcode's instruction is there once for each ModRM byte that names registers, and once for each /digit with
 * memory at RDI: the encoding selects it.
 */
#include "machine/exec.h"

#include <Zydis/Zydis.h>

#define FIRST_OPCODE 0xd8
#define MODRM_REGISTERS 0xc0
#define STUB_BYTES 4
#define OPERAND_BYTES 16

/* x87_registers[opcode - D8][modrm - C0] and x87_memory[opcode - D8][digit], STUB_BYTES each. */
extern const uint8_t x87_registers[], x87_memory[];
__asm__(".pushsection .text\n"
	"x87_registers:\n"
	".set x87_opcode, 0xd8\n"
	".rept 8\n"
	".set x87_modrm, 0xc0\n"
	".rept 64\n"
	".byte x87_opcode, x87_modrm, 0xc3, 0x90\n"
	".set x87_modrm, x87_modrm + 1\n"
	".endr\n"
	".set x87_opcode, x87_opcode + 1\n"
	".endr\n"
	"x87_memory:\n"
	".set x87_opcode, 0xd8\n"
	".rept 8\n"
	".set x87_modrm, 0x07\n"
	".rept 8\n"
	".byte x87_opcode, x87_modrm, 0xc3, 0x90\n"
	".set x87_modrm, x87_modrm + 8\n"
	".endr\n"
	".set x87_opcode, x87_opcode + 1\n"
	".endr\n"
	".popsection\n");

/* /digits that write memory, by opcode; they pop or not, and are of all sizes. */
static const uint8_t writes_memory[8] = {
	[0xd9 - FIRST_OPCODE] = 1 << 2 | 1 << 3,
	[0xdb - FIRST_OPCODE] = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 7,
	[0xdd - FIRST_OPCODE] = 1 << 1 | 1 << 2 | 1 << 3,
	[0xdf - FIRST_OPCODE] = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 7,
};

static unsigned int modrm_digit(const struct op *op)
{
	return op->modrm >> 3 & 7;
}

static bool is_memory(const struct op *op)
{
	return op->modrm < MODRM_REGISTERS;
}

static const uint8_t *host_stub(const struct op *op)
{
	unsigned int opcode = op->opcode - FIRST_OPCODE;

	if (is_memory(op))
		return x87_memory + (opcode * 8 + modrm_digit(op)) * STUB_BYTES;
	return x87_registers + (opcode * 64 + (op->modrm - MODRM_REGISTERS)) * STUB_BYTES;
}

/*
 * Leaves the host's own x87 state and MXCSR as compiled code expects them. FXRSTOR takes the registers of SSE, too,
 * wherefore they are clobbered.
 */
static void host_execute(struct fpu *fpu, const uint8_t *stub, void *memory, uint64_t *flags)
{
	uint32_t mxcsr = __builtin_ia32_stmxcsr();
	uint64_t host_flags = X86_EFLAGS_FIXED | X86_EFLAGS_IF | (*flags & STATUS_FLAGS);

	__asm__ volatile("lea -128(%%rsp), %%rsp\n\t"
		"fxrstor64 (%[fpu])\n\t"
		"push %[flags]\n\tpopf\n\t"
		"call *%[stub]\n\t"
		"pushf\n\tpop %[flags]\n\t"
		"fxsave64 (%[fpu])\n\t"
		"fninit\n\t"
		"lea 128(%%rsp), %%rsp\n\t"
		"ldmxcsr %[mxcsr]"
		: [flags] "+r" (host_flags)
		: [fpu] "r" (fpu), [stub] "r" (stub), "D" (memory), [mxcsr] "m" (mxcsr)
		: "memory", "cc", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)",
		"xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
		"xmm12", "xmm13", "xmm14", "xmm15");
	*flags = (*flags & ~(uint64_t)STATUS_FLAGS) | (host_flags & STATUS_FLAGS);
}

/* What FNSTENV and #MF's handler want to know. The host's own addresses must not be seen. */
static void set_pointers(struct cpu *cpu, const struct op *op, struct fpu *fpu)
{
	fpu->fop = (uint16_t)((op->opcode & 7) << 8 | op->modrm);
	fpu->fip = cpu->rip;
	if (is_memory(op))
		fpu->fdp = op_offset(cpu, op);
}

static void execute(struct cpu *cpu, const struct op *op, struct fpu *fpu, void *memory)
{
	uint64_t fdp = fpu->fdp;
	uint32_t mxcsr_mask = fpu->mxcsr_mask;

	host_execute(fpu, host_stub(op), memory, &cpu->rflags);
	fpu->mxcsr_mask = mxcsr_mask;
	fpu->fdp = fdp;
	set_pointers(cpu, op, fpu);
}

/* False: an unmasked exception keeps the result from memory. What is written overwrites any pattern. */
static bool is_written(const struct op *op, const struct fpu *before, const uint8_t *memory, unsigned int size)
{
	uint8_t other[OPERAND_BYTES];
	struct fpu again = *before;
	uint64_t flags = 0;

	memset(other, 0xff, sizeof(other));
	host_execute(&again, host_stub(op), other, &flags);
	return !memcmp(memory, other, size);
}

static unsigned int memory_size(const struct op *op)
{
	unsigned int i;

	for (i = 0; i < op->nr_operands; i++)
		if (op->operands[i].kind == OPERAND_MEM)
			return op->operands[i].size;
	return 0;
}

static void store(struct cpu *cpu, const struct op *op, struct fpu *fpu)
{
	unsigned int size = memory_size(op);
	uint8_t memory[OPERAND_BYTES] = { 0 };

	execute(cpu, op, fpu, memory);
	if (!(fpu->fsw & FSW_ES) || is_written(op, &cpu->fpu, memory, size))
		memory_write_bytes(cpu, op->seg, op_offset(cpu, op), memory, size, 1);
	else
		memory_check_write_bytes(cpu, op->seg, op_offset(cpu, op), size, 1);
}

static void x87(struct cpu *cpu, const struct op *op)
{
	uint8_t memory[OPERAND_BYTES] = { 0 };
	struct fpu fpu = cpu->fpu;

	fpu_check_x87(cpu);
	if (is_memory(op) && (writes_memory[op->opcode - FIRST_OPCODE] & 1 << modrm_digit(op))) {
		store(cpu, op, &fpu);
	} else {
		if (is_memory(op))
			memory_read_bytes(cpu, op->seg, op_offset(cpu, op), memory, memory_size(op), 1);
		execute(cpu, op, &fpu, memory);
	}
	cpu->fpu = fpu;
}

/* FISTTP is SSE3's, FCMOVcc and FCOMI need CMOV's bit. */
#define ROW(mnemonic) { ZYDIS_MNEMONIC_##mnemonic, ROW_ANY, FEATURE_FPU, { x87 } }
#define ROW_WITH(mnemonic, feature) { ZYDIS_MNEMONIC_##mnemonic, ROW_ANY, FEATURE_FPU | (feature), { x87 } }

static const struct exec_row rows[] = {
	ROW(F2XM1), ROW(FABS), ROW(FADD), ROW(FADDP), ROW(FBLD), ROW(FBSTP), ROW(FCHS), ROW(FCOM), ROW(FCOMP),
	ROW(FCOMPP), ROW(FCOS), ROW(FDECSTP), ROW(FDIV), ROW(FDIVP), ROW(FDIVR), ROW(FDIVRP), ROW(FFREE), ROW(FFREEP),
	ROW(FIADD), ROW(FICOM), ROW(FICOMP), ROW(FIDIV), ROW(FIDIVR), ROW(FILD), ROW(FIMUL), ROW(FINCSTP), ROW(FIST),
	ROW(FISTP), ROW(FISUB), ROW(FISUBR), ROW(FLD), ROW(FLD1), ROW(FLDL2E), ROW(FLDL2T), ROW(FLDLG2), ROW(FLDLN2),
	ROW(FLDPI), ROW(FLDZ), ROW(FMUL), ROW(FMULP), ROW(FPATAN), ROW(FPREM), ROW(FPREM1), ROW(FPTAN), ROW(FRNDINT),
	ROW(FSCALE), ROW(FSIN), ROW(FSINCOS), ROW(FSQRT), ROW(FST), ROW(FSTP), ROW(FSTPNCE), ROW(FSUB), ROW(FSUBP),
	ROW(FSUBR), ROW(FSUBRP), ROW(FTST), ROW(FUCOM), ROW(FUCOMP), ROW(FUCOMPP), ROW(FXAM), ROW(FXCH), ROW(FXTRACT),
	ROW(FYL2X), ROW(FYL2XP1),
	ROW_WITH(FCMOVB, FEATURE_CMOV), ROW_WITH(FCMOVBE, FEATURE_CMOV), ROW_WITH(FCMOVE, FEATURE_CMOV),
	ROW_WITH(FCMOVNB, FEATURE_CMOV), ROW_WITH(FCMOVNBE, FEATURE_CMOV), ROW_WITH(FCMOVNE, FEATURE_CMOV),
	ROW_WITH(FCMOVNU, FEATURE_CMOV), ROW_WITH(FCMOVU, FEATURE_CMOV), ROW_WITH(FCOMI, FEATURE_CMOV),
	ROW_WITH(FCOMIP, FEATURE_CMOV), ROW_WITH(FUCOMI, FEATURE_CMOV), ROW_WITH(FUCOMIP, FEATURE_CMOV),
	ROW_WITH(FISTTP, FEATURE_SSE3),
};

EXEC_TABLE(exec_x87, rows);
