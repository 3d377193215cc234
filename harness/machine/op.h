/* SPDX-License-Identifier: MIT */
/*
 * A decoded instruction, and the tables that bind mnemonics to what executes them.
 *
 * An operation is decoded once, then executed many times: everything that its bytes decide is decided here. Registers
 * are byte offsets into cpu->regs, so that AH is not a special case, and an effective address is always
 * (regs[base] + (regs[index] << scale) + displacement) & address_mask, where an absent register is REG_ZERO and a
 * RIP-relative one is REG_NEXT_RIP.
 */
#ifndef VMASSAY_MACHINE_OP_H
#define VMASSAY_MACHINE_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "machine/cpu.h"

enum operand_kind { OPERAND_NONE, OPERAND_REG, OPERAND_MEM, OPERAND_IMM, OPERAND_XMM, OPERAND_MMX };

struct operand {
	uint8_t kind;
	uint8_t reg;		/* OPERAND_REG: offset into cpu->regs; or the number of a segment, CR, DR, XMM or MMX */
	uint8_t size;		/* bytes */
};

enum { OP_LOCK = 1, OP_REP = 2, OP_REPNE = 4 };

typedef void exec_fn(struct cpu *cpu, const struct op *op);

/*
 * Executes one operation whole, or raises (cpu_raise()) having changed nothing but what the manual says. RIP is moved
 * by the loop, to regs[REG_NEXT_RIP].
 */
struct op {
	exec_fn *exec;
	exec_fn *inner;		/* of an instruction that SVM can intercept: what executes it then */
	uint64_t imm;		/* sign- or zero-extended as the instruction wants it; a branch's displacement */
	uint64_t displacement;
	uint64_t address_mask;
	uint8_t length;
	uint8_t size;		/* operand size in bytes */
	uint8_t prefixes;	/* OP_* */
	uint8_t base, index, scale, seg;
	uint8_t nr_operands;
	struct operand operands[3];	/* destination first; a fourth is never needed */
	uint16_t selector;	/* of a far pointer; the second immediate of ENTER */
	uint16_t mnemonic;	/* ZydisMnemonic */
	uint8_t intercept;	/* row of svm_intercept.c */
	bool is_16bit;		/* the operand-size attribute, where Zydis does not say it: x87's environment */
	uint8_t modrm;		/* 0 where there is none */
	uint8_t opcode;		/* its last byte; where a condition is coded, the low four bits are it */
};

/* Straight-line code in one physical page, and where it is. */
struct block {
	struct block *next;
	uint64_t gpa;
	uint16_t len_bytes;
	uint8_t mode;		/* enum code_mode */
	uint8_t nr_ops;
	uint64_t epoch;		/* the machine's, when the bytes were last known to be those in memory */
	struct op ops[];	/* behind them are the bytes they were decoded from */
};

#define MAX_BLOCK_OPS 32

enum exec_row_flags {
	ROW_ENDS_BLOCK = 1,	/* may branch or change what later instructions mean */
	ROW_WIDTH = 2,		/* the handler goes by the operand-size attribute, not by the first operand's size */
	ROW_CPL0 = 4,		/* #GP(0) when CPL is not 0 */
	ROW_ANY = 8,		/* one handler, the first, whatever the sizes of its operands */
};

/* Numbers of their own for what shares a mnemonic with something else. */
enum exec_special {
	EXEC_FIRST_SPECIAL = 2000,
	EXEC_CALL_FAR = EXEC_FIRST_SPECIAL,
	EXEC_JMP_FAR,
	EXEC_RET_FAR,
	EXEC_MOV_FROM_SEG,
	EXEC_MOV_TO_SEG,
	EXEC_MOV_FROM_CR,
	EXEC_MOV_TO_CR,
	EXEC_MOV_FROM_DR,
	EXEC_MOV_TO_DR,
	EXEC_PUSH_SEG,
	EXEC_POP_SEG,
	EXEC_STRING_MOVSD,
	EXEC_STRING_CMPSD,
	NR_EXEC_ROWS,
};

struct exec_row {
	uint16_t mnemonic;	/* ZydisMnemonic or enum exec_special */
	uint8_t flags;
	uint64_t features;	/* FEATURE_*: #UD unless CPUID has all */
	exec_fn *exec[4];	/* for 1, 2, 4 and 8 bytes; NULL where there is none */
};

struct exec_table {
	const struct exec_row *rows;
	size_t nr_rows;
};

extern const struct exec_table exec_alu, exec_shift, exec_muldiv, exec_bit, exec_bmi, exec_move, exec_stack,
	exec_branch, exec_string, exec_decimal, exec_flags, exec_io, exec_system, exec_far, exec_interrupt,
	exec_segment, exec_control, exec_syscall, exec_svm, exec_simd, exec_packed, exec_float, exec_x87, exec_fpu;

/*
 * All rows by mnemonic, NULL where there is none, and the features of the CPU they are for. The machine's for its
 * life.
 */
struct exec_index {
	const struct exec_row *rows[NR_EXEC_ROWS];
	uint8_t intercepts[NR_EXEC_ROWS];	/* rows of svm_intercept.c; 0 where there is none */
	uint64_t features;
};

void exec_index_init(struct exec_index *index, uint64_t features);

enum decode_result {
	DECODE_OK,
	DECODE_MORE,		/* the instruction is longer than the bytes given */
	DECODE_UD,
	DECODE_TOO_LONG,	/* more than 15 bytes: #GP(0) */
};

/*
 * Decodes one instruction. What is legal and not implemented decodes to an operation that says so when executed.
 * *@ret_ends_block is true when nothing may follow it in a block.
 */
enum decode_result op_decode(const struct exec_index *index, enum code_mode mode, const uint8_t *bytes, size_t nr_bytes,
	struct op *ret_op, bool *ret_ends_block);

#endif
