/* SPDX-License-Identifier: MIT */
/*
 * Random instances of instructions, for those who execute each of them twice and compare: bytes of a form with random
 * prefixes and operands, and a state in which most of them mean something.
 *
 * An instance is a function of (seed, index), so that a difference can be replayed alone.
 */
#ifndef VMASSAY_DIFFER_INSTANCE_H
#define VMASSAY_DIFFER_INSTANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "machine/fpu.h"

/* Addresses that both sides have. Around each there is nothing. */
#define CODE_ADDRESS 0x10000000ull	/* one page of INT3, the instance in its middle */
#define DATA_ADDRESS 0x10010000ull	/* two pages, writable */
#define DATA_BYTES 0x2000u
#define CONST_ADDRESS 0x10020000ull	/* one page, read-only */
#define INSN_ADDRESS (CODE_ADDRESS + 0x800)
#define PAGE_BYTES_ 0x1000u
#define MAX_CODE_BYTES 24
#define MAX_PATCH_BYTES 40

/* How an opcode is written, and what of its outcome the manual leaves open. */
struct form {
	const char *name;
	uint32_t flags;		/* FORM_* */
	uint8_t map;		/* 0: one byte, 1: 0F, 2: 0F 38, 3: 0F 3A */
	uint8_t opcode;
	uint8_t last_opcode;	/* of a range of opcodes that are alike; 0: none */
	uint8_t extension;	/* /0 to /7 in ModRM.reg */
	uint32_t undefined;	/* status flags that are undefined, APM vol. 3 */
};

enum {
	FORM_MODRM = 1 << 0,
	FORM_EXTENSION = 1 << 1,	/* ModRM.reg is .extension */
	FORM_IB = 1 << 2,		/* an immediate byte */
	FORM_IZ = 1 << 3,		/* an immediate of the operand's size, at most 4 bytes */
	FORM_IW = 1 << 4,
	FORM_IV = 1 << 5,		/* up to 8 bytes: MOV */
	FORM_MOFFS = 1 << 6,		/* an address */
	FORM_66 = 1 << 7,		/* mandatory prefixes */
	FORM_F2 = 1 << 8,
	FORM_F3 = 1 << 9,
	FORM_VEX = 1 << 10,		/* with the prefix above as its pp */
	FORM_LOCK = 1 << 11,		/* may be locked when its destination is memory */
	FORM_REP = 1 << 12,
	FORM_NOT64 = 1 << 13,
	FORM_ONLY64 = 1 << 14,
	FORM_MEMORY = 1 << 15,		/* no register in ModRM.rm */
	FORM_STACK = 1 << 16,		/* RSP must mostly be good */
	FORM_STRING = 1 << 17,
	FORM_DIVIDE = 1 << 18,
	FORM_BIT = 1 << 19,		/* a bit number in a register reaches far */
	FORM_BRANCH = 1 << 20,
	FORM_XLAT = 1 << 21,
	FORM_FRAME = 1 << 22,		/* RBP, too */
	FORM_SELECTOR = 1 << 23,	/* registers mostly hold selectors */
	FORM_FAR = 1 << 24,		/* a far pointer */
	FORM_FLAGS = 1 << 25,		/* the stack has RFLAGS: first (POPF) or after RIP and CS (IRET) */
	FORM_RETURN = 1 << 26,		/* the stack has RIP and CS */
	FORM_POP_SEGMENT = 1 << 27,
	FORM_BOUND = 1 << 28,
	FORM_SIMD = 1 << 29,		/* numbers of all kinds in memory, mostly aligned */
	FORM_IMAGE = 1 << 30,		/* of FXSAVE */
};

extern const struct form forms[];
extern const size_t nr_forms;
extern const struct form simd_forms[];
extern const size_t nr_simd_forms;

struct instance {
	const struct form *form;
	bool is_64;		/* else 32-bit code */
	uint8_t code[MAX_CODE_BYTES];
	unsigned int len;
	uint64_t regs[16];
	uint64_t rflags;
	struct fpu fpu;
	uint64_t data_seed;
	/* Written into the data where it is not just noise: a frame or far pointer. */
	uint64_t patch_address;
	unsigned int patch_len;
	uint8_t patch[MAX_PATCH_BYTES];
};

void instance_make(struct instance *instance, uint64_t seed, uint64_t index, const char *only_form, bool with_32);
/* What DATA_ADDRESS holds before. */
void instance_fill_data(const struct instance *instance, uint8_t *data);

#endif
