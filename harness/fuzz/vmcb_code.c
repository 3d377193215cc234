/* SPDX-License-Identifier: MIT */
/* L2's instructions as bytes, for 64-bit code; other modes read them as they may. */
#include <string.h>

#include "fuzz/vmcb_ops.h"
#include "fuzz/vmcb_world.h"

enum { RAX, RCX, RDX, RBX };

struct code {
	uint8_t *bytes;
	unsigned int len;
};

static void put(struct code *code, uint64_t value, unsigned int len_bytes)
{
	memcpy(code->bytes + code->len, &value, len_bytes);
	code->len += len_bytes;
}

/* Bytes in the order in which they are written down. */
static void put_hex(struct code *code, const char *hex)
{
	for (; *hex; hex += 2) {
		unsigned int high = hex[0] > '9' ? hex[0] - 'a' + 10 : hex[0] - '0';
		unsigned int low = hex[1] > '9' ? hex[1] - 'a' + 10 : hex[1] - '0';

		put(code, high << 4 | low, 1);
	}
}

/* MOV of 32 bits, or of 64 when they are needed. */
static void put_mov(struct code *code, unsigned int reg, uint64_t value)
{
	bool is_wide = value >> 32;

	if (is_wide || reg > 7)
		put(code, 0x40 | (is_wide ? 8 : 0) | reg >> 3, 1);
	put(code, 0xb8 | (reg & 7), 1);
	put(code, value, is_wide ? 8 : 4);
}

static void put_io(struct code *code, uint64_t insn, uint64_t port)
{
	static const char *const insns[] = { "ec", "66ed", "ed", "ee", "66ef", "ef", "6c", "6e", "f36c", "f36e" };

	put_mov(code, RDX, port);
	put_hex(code, insns[insn]);
}

static void put_msr(struct code *code, bool is_write, uint64_t msr, uint64_t value)
{
	put_mov(code, RCX, msr);
	if (is_write) {
		put_mov(code, RAX, (uint32_t)value);
		put_mov(code, RDX, value >> 32);
	}
	put_hex(code, is_write ? "0f30" : "0f32");
}

/* MOV between RBX and the register; @opcode reads, and writes with bit 1. */
static void put_register(struct code *code, unsigned int opcode, bool is_write, unsigned int number, uint64_t value)
{
	if (is_write)
		put_mov(code, RBX, value);
	if (number > 7)
		put(code, 0x44, 1);
	put(code, 0x0f, 1);
	put(code, opcode | (is_write ? 2 : 0), 1);
	put(code, 0xc0 | (number & 7) << 3 | RBX, 1);
}

/* Through RCX. A call pushes where it came from, as any call does. */
static void put_memory(struct code *code, uint64_t access, uint64_t linear)
{
	static const char *const insns[] = { "488b19", "488919", "ffd1" };

	put_mov(code, RCX, linear);
	put_hex(code, insns[access]);
}

#define L2_BYTES(name_, bytes_) bytes_,
static const char *const l2_insns[] = { VMCB_L2_INSNS(L2_BYTES) };

unsigned int vmcb_code(const struct input_op *op, uint8_t *bytes)
{
	struct code code = { bytes, 0 };
	const uint64_t *args = op->args;

	switch (op->kind) {
	case VMCB_OP_L2:
		put_hex(&code, l2_insns[args[0]]);
		break;
	case VMCB_OP_L2_REG:
		put_mov(&code, (unsigned int)args[0], args[1]);
		break;
	case VMCB_OP_L2_IO:
		put_io(&code, args[0], args[1]);
		break;
	case VMCB_OP_L2_MSR:
		put_msr(&code, args[0], args[1], args[2]);
		break;
	case VMCB_OP_L2_CR:
		put_register(&code, 0x20, args[0], (unsigned int)args[1], args[2]);
		break;
	case VMCB_OP_L2_DR:
		put_register(&code, 0x21, args[0], (unsigned int)args[1], args[2]);
		break;
	case VMCB_OP_L2_MEM:
		put_memory(&code, args[0], args[1]);
		break;
	case VMCB_OP_L2_INT:
		put(&code, 0xcd, 1);
		put(&code, args[0], 1);
		break;
	case VMCB_OP_L2_BYTES:
		memcpy(bytes, op->bytes, op->nr_bytes);
		code.len = op->nr_bytes;
		break;
	default:
		if (vmcb_op_is_host(op))
			put(&code, 0xe6 | VMCB_HOST_PORT << 8, 2);
		break;
	}
	return code.len;
}
