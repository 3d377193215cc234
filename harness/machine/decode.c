/* SPDX-License-Identifier: MIT */
#include "machine/op.h"

#include <Zydis/Zydis.h>
#include <string.h>

#include "machine/cpuid.h"
#include "machine/event.h"
#include "machine/svm_guest.h"

_Static_assert(EXEC_FIRST_SPECIAL > (int)ZYDIS_MNEMONIC_MAX_VALUE, "special rows lie behind Zydis' mnemonics");

static const struct exec_table *const tables[] = {
	&exec_alu, &exec_shift, &exec_muldiv, &exec_bit, &exec_bmi, &exec_move, &exec_stack, &exec_branch,
	&exec_string, &exec_decimal, &exec_flags, &exec_io, &exec_system, &exec_far, &exec_interrupt, &exec_segment,
	&exec_control, &exec_syscall, &exec_svm, &exec_simd, &exec_packed, &exec_float, &exec_x87, &exec_fpu,
};

void exec_index_init(struct exec_index *index, uint64_t features)
{
	size_t i, j;

	memset(index, 0, sizeof(*index));
	index->features = features;
	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (j = 0; j < tables[i]->nr_rows; j++)
			index->rows[tables[i]->rows[j].mnemonic] = &tables[i]->rows[j];
	if (features & FEATURE_SVM)
		svm_intercept_index(index->intercepts);
}

static void op_unimplemented(struct cpu *cpu, const struct op *op)
{
	cpu_unimplemented(cpu, ZydisMnemonicGetString(op->mnemonic));
}

/* Without their features, LZCNT and TZCNT are BSR and BSF with a prefix that means nothing (APM vol. 3). */
static void decoder_init(ZydisDecoder *decoder, enum code_mode mode, uint64_t features)
{
	static const struct {
		ZydisMachineMode mode;
		ZydisStackWidth width;
	} modes[NR_CODE_MODES] = {
		[CODE_REAL16] = { ZYDIS_MACHINE_MODE_REAL_16, ZYDIS_STACK_WIDTH_16 },
		[CODE_PROT16] = { ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16 },
		[CODE_PROT32] = { ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32 },
		[CODE_LONG64] = { ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64 },
	};

	ZydisDecoderInit(decoder, modes[mode].mode, modes[mode].width);
	ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_AMD_BRANCHES, ZYAN_TRUE);
	ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
	ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_LZCNT, !!(features & FEATURE_ABM));
	ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_TZCNT, !!(features & FEATURE_BMI1));
}

/* Number of a general register in its enumeration order, which is the encoding's for all sizes but 8 bits. */
static uint8_t register_number(ZydisRegister reg)
{
	return (uint8_t)ZydisRegisterGetId(ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg));
}

static uint8_t register_offset(ZydisRegister reg)
{
	uint8_t offset = register_number(reg) * 8;

	return reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH ? offset + 1 : offset;
}

static bool is_general_register(ZydisRegister reg)
{
	return reg >= ZYDIS_REGISTER_AL && reg <= ZYDIS_REGISTER_R15;
}

/* A base or index register; 32-bit RIP-relative addressing is the same with a narrower mask. */
static uint8_t address_register(ZydisRegister reg)
{
	switch (reg) {
	case ZYDIS_REGISTER_NONE:
		return REG_ZERO;
	case ZYDIS_REGISTER_RIP:
	case ZYDIS_REGISTER_EIP:
		return REG_NEXT_RIP;
	default:
		return register_number(reg);
	}
}

static uint8_t segment_number(ZydisRegister reg)
{
	return (uint8_t)(reg - ZYDIS_REGISTER_ES);
}

static uint64_t size_mask(unsigned int bits)
{
	return bits == 64 ? ~0ull : (1ull << bits) - 1;
}

/*
 * No base register, only a displacement: ModRM.mod 0 and SIB.base 5, whatever REX.B. Note, Zydis 4.0 names R13D,
 * and no displacement, for a 32-bit address with REX.B.
 */
static bool is_without_base(const ZydisDecodedInstruction *insn)
{
	return (insn->attributes & ZYDIS_ATTRIB_HAS_SIB) && !insn->raw.modrm.mod && insn->raw.sib.base == 5;
}

static void op_set_memory(struct op *op, const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *operand)
{
	op->base = address_register(operand->mem.base);
	op->index = address_register(operand->mem.index);
	op->scale = operand->mem.scale ? (uint8_t)__builtin_ctz(operand->mem.scale) : 0;
	op->displacement = (uint64_t)operand->mem.disp.value;
	if (is_without_base(insn)) {
		op->base = REG_ZERO;
		op->displacement = (uint64_t)insn->raw.disp.value;
	}
	op->address_mask = size_mask(insn->address_width);
	op->seg = segment_number(operand->mem.segment);
}

static uint8_t register_kind(ZydisRegister reg)
{
	switch (ZydisRegisterGetClass(reg)) {
	case ZYDIS_REGCLASS_XMM:
		return OPERAND_XMM;
	case ZYDIS_REGCLASS_MMX:
		return OPERAND_MMX;
	default:
		return OPERAND_REG;
	}
}

static void op_set_operand(struct op *op, unsigned int i, const ZydisDecodedInstruction *insn,
	const ZydisDecodedOperand *operand)
{
	struct operand *to = &op->operands[i];

	to->size = (uint8_t)(operand->size / 8);
	switch (operand->type) {
	case ZYDIS_OPERAND_TYPE_REGISTER:
		to->kind = register_kind(operand->reg.value);
		to->reg = is_general_register(operand->reg.value) ? register_offset(operand->reg.value) :
			(uint8_t)ZydisRegisterGetId(operand->reg.value);
		break;
	case ZYDIS_OPERAND_TYPE_MEMORY:
		to->kind = OPERAND_MEM;
		op_set_memory(op, insn, operand);
		break;
	case ZYDIS_OPERAND_TYPE_POINTER:
		to->kind = OPERAND_IMM;
		op->imm = operand->ptr.offset;
		op->selector = operand->ptr.segment;
		break;
	case ZYDIS_OPERAND_TYPE_IMMEDIATE:
		to->kind = OPERAND_IMM;
		/* The second immediate: ENTER's level. */
		if (i && op->operands[0].kind == OPERAND_IMM)
			op->selector = (uint16_t)operand->imm.value.u;
		else
			op->imm = operand->imm.value.u;
		break;
	default:
		break;
	}
}

/* String instructions have hidden operands; what they need of them is the source's segment and the address size. */
static void op_set_hidden(struct op *op, const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *operands)
{
	unsigned int i;

	op->seg = SEG_DS;
	op->address_mask = size_mask(insn->address_width);
	for (i = 0; i < insn->operand_count; i++)
		if (operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY && operands[i].mem.segment != ZYDIS_REGISTER_ES)
			op->seg = segment_number(operands[i].mem.segment);
	if (insn->attributes & ZYDIS_ATTRIB_HAS_SEGMENT_ES)
		op->seg = SEG_ES;
}

static uint16_t special_of_operands(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *operands,
	ZydisRegisterClass class, uint16_t from, uint16_t to)
{
	if (operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER && ZydisRegisterGetClass(operands[0].reg.value) == class)
		return to;
	if (insn->operand_count_visible > 1 && operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
	    ZydisRegisterGetClass(operands[1].reg.value) == class)
		return from;
	return 0;
}

/* The row's number: the mnemonic's, but for those that name several instructions. */
static uint16_t row_number(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *operands)
{
	bool is_far = insn->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
	bool is_string = insn->meta.category == ZYDIS_CATEGORY_STRINGOP;
	uint16_t special = 0;

	switch (insn->mnemonic) {
	case ZYDIS_MNEMONIC_CALL:
		special = is_far ? EXEC_CALL_FAR : 0;
		break;
	case ZYDIS_MNEMONIC_JMP:
		special = is_far ? EXEC_JMP_FAR : 0;
		break;
	case ZYDIS_MNEMONIC_RET:
		special = is_far ? EXEC_RET_FAR : 0;
		break;
	case ZYDIS_MNEMONIC_MOVSD:
		special = is_string ? EXEC_STRING_MOVSD : 0;
		break;
	case ZYDIS_MNEMONIC_CMPSD:
		special = is_string ? EXEC_STRING_CMPSD : 0;
		break;
	case ZYDIS_MNEMONIC_PUSH:
		special = special_of_operands(insn, operands, ZYDIS_REGCLASS_SEGMENT, 0, EXEC_PUSH_SEG);
		break;
	case ZYDIS_MNEMONIC_POP:
		special = special_of_operands(insn, operands, ZYDIS_REGCLASS_SEGMENT, 0, EXEC_POP_SEG);
		break;
	case ZYDIS_MNEMONIC_MOV:
		special = special_of_operands(insn, operands, ZYDIS_REGCLASS_SEGMENT, EXEC_MOV_FROM_SEG,
			EXEC_MOV_TO_SEG);
		if (!special)
			special = special_of_operands(insn, operands, ZYDIS_REGCLASS_CONTROL, EXEC_MOV_FROM_CR,
				EXEC_MOV_TO_CR);
		if (!special)
			special = special_of_operands(insn, operands, ZYDIS_REGCLASS_DEBUG, EXEC_MOV_FROM_DR,
				EXEC_MOV_TO_DR);
		break;
	default:
		break;
	}
	return special ? special : (uint16_t)insn->mnemonic;
}

static void op_set_prefixes(struct op *op, const ZydisDecodedInstruction *insn)
{
	if (insn->attributes & ZYDIS_ATTRIB_HAS_LOCK)
		op->prefixes |= OP_LOCK;
	if (insn->attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE))
		op->prefixes |= OP_REP;
	if (insn->attributes & ZYDIS_ATTRIB_HAS_REPNE)
		op->prefixes |= OP_REPNE;
}

/* A port has at most 4 bytes, whatever REX.W says (APM vol. 3, INS, OUTS). */
static bool is_port_string(const ZydisDecodedInstruction *insn)
{
	return insn->mnemonic == ZYDIS_MNEMONIC_INSD || insn->mnemonic == ZYDIS_MNEMONIC_OUTSD;
}

/*
 * An operand-size prefix makes a near branch of 64-bit mode a 16-bit one on AMD's CPUs. Note, Zydis says so for
 * 32-bit displacements only.
 */
static bool is_branch16(const ZydisDecodedInstruction *insn, enum code_mode mode)
{
	return mode == CODE_LONG64 && (insn->attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE) && !insn->raw.rex.W &&
	       (insn->meta.branch_type == ZYDIS_BRANCH_TYPE_SHORT || insn->meta.branch_type == ZYDIS_BRANCH_TYPE_NEAR);
}

static void op_bind(const struct exec_index *index, struct op *op, const struct exec_row *row, bool *ret_ends_block)
{
	exec_fn *exec = NULL;

	if (row && (row->flags & ROW_ANY))
		exec = row->exec[0];
	else if (row && op->size && op->size <= 8)
		exec = row->exec[__builtin_ctz(op->size)];
	op->exec = exec ? exec : op_unimplemented;
	op->intercept = row ? index->intercepts[row->mnemonic] : 0;
	if (op->intercept) {
		op->inner = op->exec;
		op->exec = svm_exec_intercepted;
	}
	*ret_ends_block = !exec || (row->flags & ROW_ENDS_BLOCK) || (op->prefixes & (OP_REP | OP_REPNE));
}

static enum decode_result result_of_status(ZyanStatus status)
{
	if (status == ZYDIS_STATUS_NO_MORE_DATA)
		return DECODE_MORE;
	return status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG ? DECODE_TOO_LONG : DECODE_UD;
}

static ZyanStatus insn_decode(enum code_mode mode, uint64_t features, const uint8_t *bytes, size_t nr_bytes,
	ZydisDecodedInstruction *insn, ZydisDecodedOperand *operands)
{
	ZydisDecoder decoder;

	decoder_init(&decoder, mode, features);
	return ZydisDecoderDecodeFull(&decoder, bytes, nr_bytes, insn, operands);
}

/* Zydis has neither in real mode, where they are #GP(0) and not #UD (APM vol. 3, SYSENTER, SYSEXIT). */
static bool is_fast_call(enum code_mode mode, uint64_t features, const uint8_t *bytes, size_t nr_bytes,
	ZydisDecodedInstruction *insn, ZydisDecodedOperand *operands)
{
	return mode == CODE_REAL16 &&
		ZYAN_SUCCESS(insn_decode(CODE_PROT16, features, bytes, nr_bytes, insn, operands)) &&
		(insn->mnemonic == ZYDIS_MNEMONIC_SYSENTER || insn->mnemonic == ZYDIS_MNEMONIC_SYSEXIT);
}

/*
 * True for what extensions add that the machine never has: #UD, as on a CPU whose CPUID does not say them. Note, MPX and
 * most of CET are not among them: their opcodes are NOPs elsewhere.
 */
static bool is_never_there(const ZydisDecodedInstruction *insn)
{
	if (insn->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
		return true;
	switch (insn->meta.isa_set) {
	case ZYDIS_ISA_SET_AES:
	case ZYDIS_ISA_SET_AMD_INVLPGB:
	case ZYDIS_ISA_SET_ENQCMD:
	case ZYDIS_ISA_SET_GFNI:
	case ZYDIS_ISA_SET_HRESET:
	case ZYDIS_ISA_SET_KEYLOCKER:
	case ZYDIS_ISA_SET_KEYLOCKER_WIDE:
	case ZYDIS_ISA_SET_MCOMMIT:
	case ZYDIS_ISA_SET_MOVDIR:
	case ZYDIS_ISA_SET_PADLOCK_ACE:
	case ZYDIS_ISA_SET_PADLOCK_PHE:
	case ZYDIS_ISA_SET_PADLOCK_PMM:
	case ZYDIS_ISA_SET_PADLOCK_RNG:
	case ZYDIS_ISA_SET_PCLMULQDQ:
	case ZYDIS_ISA_SET_PCONFIG:
	case ZYDIS_ISA_SET_PT:
	case ZYDIS_ISA_SET_RTM:
	case ZYDIS_ISA_SET_SERIALIZE:
	case ZYDIS_ISA_SET_SGX:
	case ZYDIS_ISA_SET_SGX_ENCLV:
	case ZYDIS_ISA_SET_SHA:
	case ZYDIS_ISA_SET_SMX:
	case ZYDIS_ISA_SET_SNP:
	case ZYDIS_ISA_SET_TDX:
	case ZYDIS_ISA_SET_TSX_LDTRK:
	case ZYDIS_ISA_SET_UINTR:
	case ZYDIS_ISA_SET_VTX:
	case ZYDIS_ISA_SET_WAITPKG:
		return true;
	default:
		return false;
	}
}

enum decode_result op_decode(const struct exec_index *index, enum code_mode mode, const uint8_t *bytes, size_t nr_bytes,
	struct op *ret_op, bool *ret_ends_block)
{
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	const struct exec_row *row;
	struct op op = { .base = REG_ZERO, .index = REG_ZERO };
	ZyanStatus status;
	unsigned int i;

	status = insn_decode(mode, index->features, bytes, nr_bytes, &insn, operands);
	if (!ZYAN_SUCCESS(status) && !is_fast_call(mode, index->features, bytes, nr_bytes, &insn, operands))
		return result_of_status(status);
	row = index->rows[row_number(&insn, operands)];
	if (row ? row->features & ~index->features : is_never_there(&insn))
		return DECODE_UD;
	op.mnemonic = (uint16_t)insn.mnemonic;
	op.length = insn.length;
	op.opcode = insn.opcode;
	op.modrm = (uint8_t)(insn.raw.modrm.mod << 6 | insn.raw.modrm.reg << 3 | insn.raw.modrm.rm);
	op_set_prefixes(&op, &insn);
	op_set_hidden(&op, &insn, operands);
	op.nr_operands = insn.operand_count_visible < 3 ? insn.operand_count_visible : 3;
	for (i = 0; i < op.nr_operands; i++)
		op_set_operand(&op, i, &insn, &operands[i]);
	op.size = op.nr_operands && !(row && (row->flags & ROW_WIDTH)) ? op.operands[0].size : insn.operand_width / 8;
	if (is_branch16(&insn, mode))
		op.size = 2;
	if (is_port_string(&insn))
		op.size = 4;
	op.is_16bit = (mode != CODE_PROT32 && mode != CODE_LONG64) !=
		((insn.attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE) && !insn.raw.rex.W);
	op_bind(index, &op, row, ret_ends_block);
	*ret_op = op;
	return DECODE_OK;
}
