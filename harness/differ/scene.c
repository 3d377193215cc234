/* SPDX-License-Identifier: MIT */
#include "differ/scene.h"

#include <string.h>

#include "differ/scene_memory.h"
#include "vm/x86/bits.h"

/* What a form's operand is about, so that most instances mean something. */
enum operand {
	OP_NONE,	/* no ModRM */
	OP_VALUE,	/* any register or memory */
	OP_MEMORY,	/* no register */
	OP_SELECTOR,
	OP_TABLE,	/* memory: limit and base */
	OP_FAR,		/* memory: offset and selector */
	OP_BOUND,	/* memory: two limits */
	OP_CONTROL,	/* ModRM.reg is the number of a control register */
	OP_DEBUG,	/* of a debug register */
	OP_FIXED,	/* the ModRM byte is the extension: an opcode of three bytes */
};

enum {
	HAS_IB = 1 << 0,
	HAS_IW = 1 << 1,
	HAS_FAR = 1 << 2,	/* an immediate offset and selector */
	IS_RETURN = 1 << 3,	/* the stack has RIP and CS */
	IS_IRET = 1 << 4,	/* and RFLAGS */
	IS_POPF = 1 << 5,
	IS_POP_SEGMENT = 1 << 6,
	IS_MSR = 1 << 7,
	IS_PORT = 1 << 8,
	IS_STRING = 1 << 9,
	IS_INT = 1 << 10,	/* an immediate vector */
	IS_STACK = 1 << 11,	/* RSP may be bad */
	IS_BRANCH = 1 << 12,
	NO_66 = 1 << 13,	/* what it is with an operand-size prefix, manuals do not say alike */
	IS_ROUGH = 1 << 14,	/* and memory, often, or not aligned */
};

#define ANY (-1)	/* ModRM.reg */

struct scene_form {
	const char *name;
	uint8_t map;		/* 0: one byte, 1: 0F, 2: 66 0F 38 */
	uint8_t opcode, last_opcode;
	enum operand operand;
	int extension;
	unsigned int flags;
};

static const struct scene_form scene_forms[] = {
	{ "MOV CR", 1, 0x20, 0x20, OP_CONTROL, ANY, 0 },
	{ "MOV CR", 1, 0x22, 0x22, OP_CONTROL, ANY, 0 },
	{ "MOV DR", 1, 0x21, 0x21, OP_DEBUG, ANY, 0 },
	{ "MOV DR", 1, 0x23, 0x23, OP_DEBUG, ANY, 0 },
	{ "CLTS", 1, 0x06, 0x06, OP_NONE, 0, 0 },
	{ "SMSW", 1, 0x01, 0x01, OP_VALUE, 4, 0 },
	{ "LMSW", 1, 0x01, 0x01, OP_VALUE, 6, 0 },
	{ "SGDT", 1, 0x01, 0x01, OP_MEMORY, 0, 0 },
	{ "SIDT", 1, 0x01, 0x01, OP_MEMORY, 1, 0 },
	{ "LGDT", 1, 0x01, 0x01, OP_TABLE, 2, 0 },
	{ "LIDT", 1, 0x01, 0x01, OP_TABLE, 3, 0 },
	{ "INVLPG", 1, 0x01, 0x01, OP_MEMORY, 7, 0 },
	{ "SLDT", 1, 0x00, 0x00, OP_VALUE, 0, 0 },
	{ "STR", 1, 0x00, 0x00, OP_VALUE, 1, 0 },
	{ "LLDT", 1, 0x00, 0x00, OP_SELECTOR, 2, 0 },
	{ "LTR", 1, 0x00, 0x00, OP_SELECTOR, 3, 0 },
	{ "VERR", 1, 0x00, 0x00, OP_SELECTOR, 4, 0 },
	{ "VERW", 1, 0x00, 0x00, OP_SELECTOR, 5, 0 },
	{ "LAR", 1, 0x02, 0x02, OP_SELECTOR, ANY, 0 },
	{ "LSL", 1, 0x03, 0x03, OP_SELECTOR, ANY, 0 },
	{ "ARPL", 0, 0x63, 0x63, OP_SELECTOR, ANY, 0 },
	{ "MOV segment", 0, 0x8e, 0x8e, OP_SELECTOR, ANY, 0 },
	{ "MOV from segment", 0, 0x8c, 0x8c, OP_VALUE, ANY, 0 },
	{ "PUSH segment", 0, 0x06, 0x06, OP_NONE, 0, IS_STACK },
	{ "PUSH segment", 0, 0x0e, 0x0e, OP_NONE, 0, IS_STACK },
	{ "PUSH segment", 0, 0x16, 0x16, OP_NONE, 0, IS_STACK },
	{ "PUSH segment", 1, 0xa0, 0xa0, OP_NONE, 0, IS_STACK },
	{ "POP segment", 0, 0x07, 0x07, OP_NONE, 0, IS_POP_SEGMENT | IS_STACK },
	{ "POP segment", 0, 0x17, 0x17, OP_NONE, 0, IS_POP_SEGMENT | IS_STACK },
	{ "POP segment", 0, 0x1f, 0x1f, OP_NONE, 0, IS_POP_SEGMENT | IS_STACK },
	{ "POP segment", 1, 0xa1, 0xa1, OP_NONE, 0, IS_POP_SEGMENT | IS_STACK },
	{ "POP segment", 1, 0xa9, 0xa9, OP_NONE, 0, IS_POP_SEGMENT | IS_STACK },
	{ "LxS", 0, 0xc4, 0xc5, OP_FAR, ANY, 0 },
	{ "LxS", 1, 0xb2, 0xb2, OP_FAR, ANY, 0 },
	{ "LxS", 1, 0xb4, 0xb5, OP_FAR, ANY, 0 },
	{ "JMP far", 0, 0xea, 0xea, OP_NONE, 0, HAS_FAR },
	{ "JMP far", 0, 0xff, 0xff, OP_FAR, 5, 0 },
	{ "CALL far", 0, 0x9a, 0x9a, OP_NONE, 0, HAS_FAR | IS_STACK },
	{ "CALL far", 0, 0xff, 0xff, OP_FAR, 3, IS_STACK },
	{ "RET far", 0, 0xcb, 0xcb, OP_NONE, 0, IS_RETURN | IS_STACK },
	{ "RET far", 0, 0xca, 0xca, OP_NONE, 0, IS_RETURN | HAS_IW | IS_STACK },
	{ "IRET", 0, 0xcf, 0xcf, OP_NONE, 0, IS_RETURN | IS_IRET | IS_STACK },
	{ "INT", 0, 0xcd, 0xcd, OP_NONE, 0, HAS_IB | IS_INT | IS_STACK },
	{ "INT3", 0, 0xcc, 0xcc, OP_NONE, 0, IS_STACK },
	{ "INTO", 0, 0xce, 0xce, OP_NONE, 0, 0 },
	{ "ICEBP", 0, 0xf1, 0xf1, OP_NONE, 0, 0 },
	{ "BOUND", 0, 0x62, 0x62, OP_BOUND, ANY, 0 },
	{ "PUSHF", 0, 0x9c, 0x9c, OP_NONE, 0, IS_STACK },
	{ "POPF", 0, 0x9d, 0x9d, OP_NONE, 0, IS_POPF | IS_STACK },
	{ "CLI", 0, 0xfa, 0xfa, OP_NONE, 0, 0 },
	{ "STI", 0, 0xfb, 0xfb, OP_NONE, 0, 0 },
	{ "HLT", 0, 0xf4, 0xf4, OP_NONE, 0, 0 },
	{ "IN", 0, 0xe4, 0xe5, OP_NONE, 0, HAS_IB },
	{ "IN", 0, 0xec, 0xed, OP_NONE, 0, IS_PORT },
	{ "OUT", 0, 0xe6, 0xe7, OP_NONE, 0, HAS_IB },
	{ "OUT", 0, 0xee, 0xef, OP_NONE, 0, IS_PORT },
	{ "INS", 0, 0x6c, 0x6d, OP_NONE, 0, IS_PORT | IS_STRING },
	{ "OUTS", 0, 0x6e, 0x6f, OP_NONE, 0, IS_PORT | IS_STRING },
	{ "RDMSR", 1, 0x32, 0x32, OP_NONE, 0, IS_MSR },
	{ "WRMSR", 1, 0x30, 0x30, OP_NONE, 0, IS_MSR },
	{ "SYSCALL", 1, 0x05, 0x05, OP_NONE, 0, 0 },
	{ "SYSRET", 1, 0x07, 0x07, OP_NONE, 0, 0 },
	{ "SYSENTER", 1, 0x34, 0x34, OP_NONE, 0, 0 },
	{ "SYSEXIT", 1, 0x35, 0x35, OP_NONE, 0, 0 },
	{ "SWAPGS", 1, 0x01, 0x01, OP_FIXED, 0xf8, NO_66 },
	{ "CLAC", 1, 0x01, 0x01, OP_FIXED, 0xca, NO_66 },
	{ "STAC", 1, 0x01, 0x01, OP_FIXED, 0xcb, NO_66 },
	{ "XGETBV", 1, 0x01, 0x01, OP_FIXED, 0xd0, NO_66 },
	{ "XSETBV", 1, 0x01, 0x01, OP_FIXED, 0xd1, NO_66 },
	{ "VMRUN", 1, 0x01, 0x01, OP_FIXED, 0xd8, NO_66 },
	{ "RDPMC", 1, 0x33, 0x33, OP_NONE, 0, 0 },
	{ "INVPCID", 2, 0x82, 0x82, OP_MEMORY, ANY, NO_66 },
	{ "WBINVD", 1, 0x08, 0x09, OP_NONE, 0, 0 },
	{ "UD2", 1, 0x0b, 0x0b, OP_NONE, 0, 0 },
	{ "UD", 1, 0xff, 0xff, OP_VALUE, ANY, 0 },
	{ "RSM", 1, 0xaa, 0xaa, OP_NONE, 0, 0 },
	{ "MOV", 0, 0x88, 0x8b, OP_MEMORY, ANY, IS_ROUGH },
	{ "ADD", 0, 0x00, 0x01, OP_MEMORY, ANY, IS_ROUGH },
	{ "XCHG", 0, 0x87, 0x87, OP_MEMORY, ANY, IS_ROUGH },
	{ "PUSH", 0, 0xff, 0xff, OP_VALUE, 6, IS_STACK | IS_ROUGH },
	{ "POP", 0, 0x8f, 0x8f, OP_VALUE, 0, IS_STACK | IS_ROUGH },
	{ "CALL", 0, 0xff, 0xff, OP_VALUE, 2, IS_STACK | IS_ROUGH | IS_BRANCH },
	{ "MOVS", 0, 0xa4, 0xa5, OP_NONE, 0, IS_STRING },
	{ "WAIT", 0, 0x9b, 0x9b, OP_NONE, 0, 0 },
	{ "FNOP", 0, 0xd9, 0xd9, OP_FIXED, 0xd0, NO_66 },
	{ "MOVUPS", 1, 0x10, 0x11, OP_MEMORY, ANY, IS_ROUGH },
	{ "EMMS", 1, 0x77, 0x77, OP_NONE, 0, NO_66 },
};

#define NR_FORMS (sizeof(scene_forms) / sizeof(scene_forms[0]))

const uint32_t scene_msr_numbers[NR_SCENE_MSRS] = {
	[SCENE_STAR] = MSR_STAR, [SCENE_LSTAR] = MSR_LSTAR, [SCENE_CSTAR] = MSR_CSTAR, [SCENE_SFMASK] = MSR_SYSCALL_MASK,
	[SCENE_KERNEL_GS_BASE] = MSR_KERNEL_GS_BASE, [SCENE_SYSENTER_CS] = MSR_IA32_SYSENTER_CS,
	[SCENE_SYSENTER_ESP] = MSR_IA32_SYSENTER_ESP, [SCENE_SYSENTER_EIP] = MSR_IA32_SYSENTER_EIP,
	[SCENE_PAT] = MSR_IA32_PAT,
};

const char *scene_mode_name(enum scene_mode mode)
{
	static const char *const names[NR_SCENE_MODES] = { "real", "vm86", "prot16", "prot32", "compat16", "compat32",
		"long64" };

	return names[mode];
}

/* --- the instruction and its operands --- */

/* An instance while it is made. */
struct making {
	struct scene *scene;
	struct rng *rng;
	const struct scene_form *form;
	bool has_66, has_67, has_rex_w;
	uint8_t segment;		/* the prefix, or 0 */
	unsigned int operand_bytes;	/* by mode and prefixes */
	unsigned int address_bytes;
};

static void put(struct scene *scene, uint64_t value, unsigned int len_bytes)
{
	memcpy(scene->code + scene->len, &value, len_bytes);
	scene->len += len_bytes;
}

static void put_at(struct scene *scene, uint64_t address, uint64_t value, unsigned int len_bytes)
{
	if (address < WORLD_BYTES - 8)
		memcpy(scene->memory + address, &value, len_bytes);
}

static void choose_sizes(struct making *making)
{
	bool is_16 = scene_is_16(making->scene->mode), is_64 = making->scene->mode == SCENE_LONG64;

	making->has_66 = rng_percent(making->rng, 25) && !(making->form->flags & NO_66);
	making->has_67 = rng_percent(making->rng, 8);
	making->has_rex_w = is_64 && rng_percent(making->rng, 30);
	making->operand_bytes = making->has_rex_w ? 8 : is_16 != making->has_66 ? 2 : 4;
	making->address_bytes = is_64 ? (making->has_67 ? 4 : 8) : is_16 != making->has_67 ? 2 : 4;
}

static void put_prefixes(struct making *making)
{
	static const uint8_t segments[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };
	struct scene *scene = making->scene;
	struct rng *rng = making->rng;

	making->segment = rng_percent(rng, 12) ? segments[rng_below(rng, sizeof(segments))] : 0;
	if (making->segment)
		put(scene, making->segment, 1);
	if (making->has_67)
		put(scene, 0x67, 1);
	scene->has_lock = rng_percent(rng, 2) && making->form->operand != OP_CONTROL;
	if (scene->has_lock)
		put(scene, 0xf0, 1);
	if ((making->form->flags & IS_STRING) && rng_percent(rng, 50))
		put(scene, 0xf3, 1);
	if (making->has_66 || making->form->map == 2)
		put(scene, 0x66, 1);
	if (making->has_rex_w)
		put(scene, 0x48, 1);
}

/* Where a memory operand shall be. */
static uint64_t rng_target(const struct making *making)
{
	struct rng *rng = making->rng;
	uint64_t kind = rng_below(rng, making->form->flags & IS_ROUGH ? 100 : 400);

	if (kind < 10)
		return ABSENT_AT + rng_below(rng, 0xff0);
	if (kind < 20)
		return CONST_AT + rng_below(rng, 0xf00);
	if (kind < 25)
		return CONST_AT - rng_below(rng, 8);
	if (kind < 35)
		return HANDLERS_AT + 0x200 + rng_below(rng, 0x100);
	if (kind < 50)
		return USER_DATA_AT + rng_below(rng, 0xf00);
	if (kind < 60)
		return DATA_AT + 0x40 + rng_below(rng, 0xf00);
	if (kind < 65 && making->scene->mode == SCENE_LONG64)
		return rng_value(rng);
	return DATA_AT + 0x40 + rng_below(rng, 0xf0) * 8;
}

static const struct kvm_segment *segment_of(const struct making *making, const struct kvm_segment *otherwise)
{
	const struct kvm_sregs *sregs = &making->scene->sregs;

	switch (making->segment) {
	case 0x26:
		return &sregs->es;
	case 0x2e:
		return &sregs->cs;
	case 0x36:
		return &sregs->ss;
	case 0x3e:
		return &sregs->ds;
	case 0x64:
		return &sregs->fs;
	case 0x65:
		return &sregs->gs;
	default:
		return otherwise;
	}
}

/* Offset of @target in what the prefixes name. */
static uint64_t offset_of(const struct making *making, uint64_t target, const struct kvm_segment *otherwise)
{
	bool is_64 = making->scene->mode == SCENE_LONG64, is_based = making->segment >= 0x64;

	if (!is_64 || is_based)
		target -= segment_of(making, otherwise)->base;
	return making->address_bytes == 8 ? target : making->address_bytes == 4 ? (uint32_t)target : (uint16_t)target;
}

/* What the operand points to or has in it. */
static void put_operand(struct making *making, uint64_t target)
{
	struct scene *scene = making->scene;
	struct rng *rng = making->rng;
	unsigned int size = making->operand_bytes, base_bytes = scene->mode == SCENE_LONG64 ? 8 : 4;

	switch (making->form->operand) {
	case OP_SELECTOR:
		put_at(scene, target, scene_rng_selector(scene, rng), 2);
		break;
	case OP_TABLE:
		/* In real mode, what is no vector table ends nowhere. */
		put_at(scene, target, rng_percent(rng, 70) ? 0xfff : rng_value(rng), 2);
		if (scene->mode == SCENE_REAL)
			put_at(scene, target, 0x3ff | rng_value(rng), 2);
		put_at(scene, target + 2, scene->mode == SCENE_REAL ? IVT_AT : rng_percent(rng, 60) ? scene->sregs.gdt.base :
		       rng_value(rng), base_bytes);
		break;
	case OP_FAR:
		put_at(scene, target, scene_rng_rip(scene, rng), size);
		/* AMD's CPUs have no far pointer of 64 bits. */
		put_at(scene, target + (size == 2 ? 2 : 4), making->form->opcode == 0xff ? scene_rng_code_selector(scene, rng) :
		       scene_rng_selector(scene, rng), 2);
		break;
	case OP_BOUND:
		put_at(scene, target, rng_value(rng), size);
		put_at(scene, target + size, rng_value(rng), size);
		break;
	default:
		if (making->form->flags & IS_BRANCH)
			put_at(scene, target, scene_rng_rip(scene, rng), size);
		break;
	}
}

/* By BX or by BP, whose segment is SS. */
static void put_memory(struct making *making, unsigned int reg)
{
	struct scene *scene = making->scene;
	uint64_t target = rng_target(making);
	bool is_stack = rng_percent(making->rng, 12), is_16 = making->address_bytes == 2;

	scene->has_address = true;
	put_operand(making, target);
	if (is_stack) {
		put(scene, 0x40 | reg << 3 | (is_16 ? 6 : 5), 1);
		put(scene, 0, 1);
		scene->regs.rbp = offset_of(making, target, &scene->sregs.ss);
	} else {
		put(scene, reg << 3 | (is_16 ? 7 : 3), 1);
		scene->regs.rbx = offset_of(making, target, &scene->sregs.ds);
	}
}

static uint64_t rng_control(const struct making *making, unsigned int number)
{
	const struct kvm_sregs *sregs = &making->scene->sregs;
	struct rng *rng = making->rng;
	uint64_t old = number == 0 ? sregs->cr0 : number == 3 ? sregs->cr3 : number == 4 ? sregs->cr4 : rng_value(rng);

	/* A mode that is switched under the running code ends nowhere; one bit is enough to be refused. */
	if (rng_percent(rng, 70))
		return old ^ 1ull << rng_below(rng, rng_percent(rng, 80) ? 24 : 64);
	return rng_percent(rng, 50) ? old : rng_value(rng);
}

static uint64_t *reg_of(struct scene *scene, unsigned int number)
{
	struct kvm_regs *regs = &scene->regs;
	uint64_t *const all[8] = { (uint64_t *)&regs->rax, (uint64_t *)&regs->rcx, (uint64_t *)&regs->rdx,
		(uint64_t *)&regs->rbx, (uint64_t *)&regs->rsp, (uint64_t *)&regs->rbp, (uint64_t *)&regs->rsi,
		(uint64_t *)&regs->rdi };

	return all[number];
}

static void put_control(struct making *making)
{
	static const uint8_t numbers[] = { 0, 0, 2, 3, 4, 4, 0, 2, 3, 4, 4, 1, 5, 6, 7 };
	unsigned int number = numbers[rng_below(making->rng, sizeof(numbers))], rm = (unsigned int)rng_below(making->rng, 4);

	put(making->scene, 0xc0 | number << 3 | rm, 1);
	*reg_of(making->scene, rm) = rng_control(making, number);
}

static void put_debug(struct making *making)
{
	unsigned int number = (unsigned int)rng_below(making->rng, 8), rm = (unsigned int)rng_below(making->rng, 4);

	put(making->scene, 0xc0 | number << 3 | rm, 1);
	/* No breakpoint, so that what follows is still the instruction's. */
	*reg_of(making->scene, rm) = rng_percent(making->rng, 80) ? (uint32_t)rng_next(making->rng) & ~0xffull :
				     rng_value(making->rng) & ~0xffull;
}

static void put_modrm(struct making *making)
{
	const struct scene_form *form = making->form;
	unsigned int reg = form->extension == ANY ? (unsigned int)rng_below(making->rng, 8) : (unsigned int)form->extension;
	unsigned int rm = (unsigned int)rng_below(making->rng, 8);
	/* What lands in RSP, the frame of the end shows. */
	bool is_stack = form->operand == OP_SELECTOR && form->extension == ANY && reg == 4;
	bool is_register = (form->operand == OP_VALUE || form->operand == OP_SELECTOR) && rng_percent(making->rng, 50);
	/* Where it would be no instruction; behind 0F 01 it would be another. */
	bool is_wrong = form->opcode != 0x01 && rng_percent(making->rng, 2);

	reg -= is_stack;
	switch (form->operand) {
	case OP_NONE:
		return;
	case OP_FIXED:
		put(making->scene, (uint64_t)form->extension, 1);
		return;
	case OP_CONTROL:
		put_control(making);
		return;
	case OP_DEBUG:
		put_debug(making);
		return;
	default:
		break;
	}
	if (!is_register && !is_wrong) {
		put_memory(making, reg);
		return;
	}
	put(making->scene, 0xc0 | reg << 3 | rm, 1);
	if ((form->flags & IS_BRANCH) && rm != 4)
		*reg_of(making->scene, rm) = scene_rng_rip(making->scene, making->rng);
	if (form->operand == OP_SELECTOR && rm != 4)
		*reg_of(making->scene, rm) = scene_rng_selector(making->scene, making->rng) |
			(rng_next(making->rng) & 0xffff0000);
}

static void put_immediates(struct making *making)
{
	struct scene *scene = making->scene;
	struct rng *rng = making->rng;

	if (making->form->flags & HAS_FAR) {
		put(scene, scene_rng_rip(scene, rng), making->operand_bytes == 2 ? 2 : 4);
		put(scene, scene_rng_code_selector(scene, rng), 2);
	}
	if (making->form->flags & IS_INT)
		put(scene, rng_percent(rng, 70) ? IDT_RANDOM + rng_below(rng, 0x20) : rng_next(rng), 1);
	else if (making->form->flags & HAS_IB)
		put(scene, rng_next(rng), 1);
	if (making->form->flags & HAS_IW)
		put(scene, rng_percent(rng, 80) ? rng_below(rng, 5) * 4 : rng_value(rng), 2);
}

/* --- the state around it --- */

static void fill_regs(struct making *making)
{
	struct scene *scene = making->scene;
	struct kvm_regs *regs = &scene->regs;
	struct rng *rng = making->rng;
	unsigned int i;

	for (i = 0; i < 8; i++)
		*reg_of(scene, i) = rng_value(rng);
	regs->r8 = rng_next(rng);
	regs->r11 = rng_next(rng) & 0xcd5;
	regs->rsp = STACK_AT;
	if ((making->form->flags & IS_STACK) && rng_percent(rng, 6))
		regs->rsp = rng_percent(rng, 50) ? ABSENT_AT + rng_below(rng, 0x40) : CONST_AT + rng_below(rng, 0x800);
	if (rng_percent(rng, 5))
		regs->rsp += rng_below(rng, 8);
	regs->rsp -= scene->sregs.ss.base;
	regs->rip = INSN_AT - scene->sregs.cs.base;
	regs->rflags = X86_EFLAGS_FIXED | (rng_next(rng) & 0x3cd5);
	if (rng_percent(rng, 70))
		regs->rflags |= X86_EFLAGS_IF;
	if (rng_percent(rng, 6))
		regs->rflags |= X86_EFLAGS_NT;
	if (rng_percent(rng, 15))
		regs->rflags |= X86_EFLAGS_AC;
	if (rng_percent(rng, 3))
		regs->rflags |= X86_EFLAGS_RF;
	if (scene->mode == SCENE_VM86)
		regs->rflags |= X86_EFLAGS_VM;
}

static void fill_msrs(struct making *making)
{
	struct scene *scene = making->scene;
	struct rng *rng = making->rng;

	scene->msrs[SCENE_STAR] = (uint64_t)(rng_percent(rng, 90) ? 0x23 : rng_next(rng) & 0xffff) << 48 |
		(uint64_t)(rng_percent(rng, 90) ? SEL_CODE64 : rng_next(rng) & 0xffff) << 32 | scene_rng_rip(scene, rng) % WORLD_BYTES;
	scene->msrs[SCENE_LSTAR] = CODE_AT + 0x20 + rng_below(rng, 0x100);
	scene->msrs[SCENE_CSTAR] = CODE_AT + 0x20 + rng_below(rng, 0x100);
	scene->msrs[SCENE_SFMASK] = (uint32_t)rng_next(rng);
	scene->msrs[SCENE_KERNEL_GS_BASE] = rng_below(rng, 0x100);
	scene->msrs[SCENE_SYSENTER_CS] = rng_percent(rng, 80) ? SEL_CODE64 : rng_below(rng, 4);
	scene->msrs[SCENE_SYSENTER_ESP] = STACK_AT;
	scene->msrs[SCENE_SYSENTER_EIP] = CODE_AT + 0x20 + rng_below(rng, 0x100);
	scene->msrs[SCENE_PAT] = 0x0007040600070406;
}

static void fill_debug(struct making *making)
{
	struct scene *scene = making->scene;
	unsigned int i;

	for (i = 0; i < 4; i++)
		scene->dr[i] = rng_next(making->rng) >> 20;
	scene->dr6 = 0xffff0ff0;
	/* GD only for who asks. */
	scene->dr7 = 0x400 | (making->form->operand == OP_DEBUG && rng_percent(making->rng, 10) ? 0x2000 : 0);
}

static void fill_msr_operands(struct making *making)
{
	static const uint32_t numbers[] = { MSR_EFER, MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SYSCALL_MASK, MSR_FS_BASE,
		MSR_GS_BASE, MSR_KERNEL_GS_BASE, MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP,
		MSR_IA32_PAT, MSR_EFER, 0xc0001234, 0x12345678 };
	struct kvm_regs *regs = &making->scene->regs;
	struct rng *rng = making->rng;
	uint64_t value = rng_percent(rng, 40) ? rng_value(rng) : rng_percent(rng, 50) ? rng_below(rng, 0x10000) :
		0x0007040600070406 ^ (rng_next(rng) & 0x0101010101010101);

	/* Of SYSENTER's and of SFMASK, KVM and CPUs keep 16 bits, 32 or 64. */
	regs->rcx = numbers[rng_below(rng, sizeof(numbers) / sizeof(numbers[0]))] | (rng_next(rng) & ~0xffffffffull);
	if ((uint32_t)regs->rcx == MSR_EFER)
		value = making->scene->sregs.efer ^ 1ull << rng_below(rng, rng_percent(rng, 80) ? 16 : 64);
	if ((uint32_t)regs->rcx == MSR_SYSCALL_MASK || (uint32_t)regs->rcx == MSR_IA32_SYSENTER_ESP ||
	    (uint32_t)regs->rcx == MSR_IA32_SYSENTER_EIP)
		value = (uint32_t)value;
	if ((uint32_t)regs->rcx == MSR_IA32_SYSENTER_CS)
		value = (uint16_t)value;
	regs->rax = (value & 0xffffffff) | (rng_next(rng) & ~0xffffffffull);
	regs->rdx = value >> 32;
}

static void fill_frame(struct making *making)
{
	struct scene *scene = making->scene;
	struct rng *rng = making->rng;
	unsigned int size = making->operand_bytes, i;
	uint64_t at = scene->regs.rsp + scene->sregs.ss.base, flags = (rng_next(rng) & 0x247cd5) | X86_EFLAGS_FIXED;
	bool is_vm = scene->mode == SCENE_PROT32 && size == 4 && rng_percent(rng, 20);

	if (rng_percent(rng, 80))
		flags &= ~X86_EFLAGS_NT;
	if (rng_percent(rng, 2))
		flags |= X86_EFLAGS_TF;
	if (making->form->flags & IS_IRET && is_vm)
		flags |= X86_EFLAGS_VM;
	if (making->form->flags & IS_POPF) {
		put_at(scene, at, flags, size);
		return;
	}
	put_at(scene, at, is_vm ? 0x10 + rng_below(rng, 0x700) : scene_rng_rip(scene, rng), size);
	put_at(scene, at + size, is_vm ? CODE_AT >> 4 : scene_rng_code_selector(scene, rng), size);
	at += 2 * size;
	if (making->form->flags & IS_IRET) {
		put_at(scene, at, flags, size);
		at += size;
	}
	put_at(scene, at, STACK_AT - 0x100, size);
	put_at(scene, at + size, scene_rng_selector(scene, rng), size);
	for (i = 2; i < 6 && is_vm; i++)
		put_at(scene, at + i * size, rng_below(rng, 0x1000), size);
}

static void fill_operands(struct making *making)
{
	struct scene *scene = making->scene;
	struct rng *rng = making->rng;
	unsigned int flags = making->form->flags;

	scene->has_address |= flags & (HAS_FAR | IS_RETURN | IS_POPF | IS_POP_SEGMENT | IS_STRING | IS_STACK | IS_BRANCH);
	if (flags & IS_PORT)
		scene->regs.rdx = (scene->regs.rdx & ~0xffffull) | (rng_percent(rng, 70) ? rng_below(rng, 0x100) : rng_below(rng, 0x10000));
	if (flags & IS_STRING) {
		scene->regs.rcx = rng_below(rng, 6);
		scene->regs.rsi = offset_of(making, rng_target(making), &scene->sregs.ds);
		scene->regs.rdi = offset_of(&(struct making){ .scene = scene, .address_bytes = making->address_bytes },
					    rng_target(making), &scene->sregs.es);
	}
	if (flags & IS_MSR)
		fill_msr_operands(making);
	if (flags & (IS_RETURN | IS_POPF))
		fill_frame(making);
	if (flags & IS_POP_SEGMENT)
		put_at(scene, scene->regs.rsp + scene->sregs.ss.base, scene_rng_selector(scene, rng), 2);
	/* Targets of SYSRET and SYSEXIT; VMRUN's page; XSETBV's number. */
	if (making->form->map == 1 && (making->form->opcode == 0x07 || making->form->opcode == 0x35)) {
		scene->regs.rcx = scene_rng_rip(scene, rng);
		scene->regs.rdx = CODE_AT + 0x10 + rng_below(rng, 0x100);
	}
	if (making->form->operand == OP_FIXED && making->form->extension == 0xd8)
		scene->regs.rax = TSS2_AT;
	if (making->form->operand == OP_FIXED || making->form->opcode == 0x33)
		scene->regs.rcx = rng_percent(rng, 60) ? 0 : scene->regs.rcx;
}

/* Below 4 GiB there is no more of a register than 32 bits. */
static void cut_regs(struct scene *scene)
{
	unsigned int i;

	for (i = 0; i < 8; i++)
		*reg_of(scene, i) &= 0xffffffff;
	scene->regs.r8 = 0;
	scene->regs.r11 = 0;
}

static const struct scene_form *choose_form(struct rng *rng, const char *only)
{
	size_t first = rng_below(rng, NR_FORMS), i;

	for (i = 0; i < NR_FORMS; i++) {
		const struct scene_form *form = &scene_forms[(first + i) % NR_FORMS];

		if (!only || !strcmp(only, form->name))
			return form;
	}
	return NULL;
}

bool scene_make(struct scene *scene, enum scene_mode mode, unsigned int cpl, uint64_t seed, uint64_t index,
		const char *only_form)
{
	struct rng rng = { seed * 0x100000001b3ull + index * NR_SCENE_MODES + mode };
	struct making making = { .scene = scene, .rng = &rng };

	rng_next(&rng);
	memset(scene, 0, sizeof(*scene));
	making.form = choose_form(&rng, only_form);
	if (!making.form)
		return false;
	scene->name = making.form->name;
	scene->mode = mode;
	scene->cpl = mode == SCENE_REAL ? 0 : mode == SCENE_VM86 ? 3 : cpl;
	scene_fill_sregs(scene, &rng);
	scene_fill_memory(scene, &rng);
	fill_regs(&making);
	fill_msrs(&making);
	fill_debug(&making);
	choose_sizes(&making);
	put_prefixes(&making);
	if (making.form->map)
		put(scene, 0x0f, 1);
	if (making.form->map == 2)
		put(scene, 0x38, 1);
	put(scene, making.form->opcode + rng_below(&rng, making.form->last_opcode - making.form->opcode + 1u), 1);
	put_modrm(&making);
	put_immediates(&making);
	fill_operands(&making);
	if (mode != SCENE_LONG64)
		cut_regs(scene);
	memcpy(scene->memory + INSN_AT, scene->code, scene->len);
	return true;
}
