/* SPDX-License-Identifier: MIT */
/* What controls, saves and restores the state of x87 and SSE (APM vol. 2, 11.4 and 11.5). */
#include "machine/exec.h"

#include <Zydis/Zydis.h>

/* Offsets in an FXSAVE image */
#define IMAGE_BYTES 512
#define IMAGE_MXCSR 24
#define IMAGE_ST 32
#define IMAGE_XMM 160
#define IMAGE_XMM_BYTES 256
#define IMAGE_XMM_32_BYTES 128		/* outside 64-bit mode: half of the registers */

/* XSAVE's header, behind the image */
#define HEADER_XSTATE_BV 512
#define XSAVE_BYTES 576

#define STATE_X87 1ull
#define STATE_SSE 2ull

static void ldmxcsr(struct cpu *cpu, const struct op *op)
{
	uint32_t value;

	fpu_check_sse(cpu, FEATURE_SSE);
	value = (uint32_t)operand_read(cpu, op, 0, 4);
	if (value & fpu_mxcsr_reserved(cpu))
		cpu_raise_error(cpu, VECTOR_GP, 0);
	cpu->fpu.mxcsr = value;
}

static void stmxcsr(struct cpu *cpu, const struct op *op)
{
	fpu_check_sse(cpu, FEATURE_SSE);
	operand_write(cpu, op, 0, 4, cpu->fpu.mxcsr);
}

/* After a change of FCW or FSW: an exception that is flagged and not masked is pending. */
static void update_pending(struct fpu *fpu)
{
	fpu->fsw &= (uint16_t)~(FSW_ES | FSW_B);
	if (fpu->fsw & ~fpu->fcw & FSW_EXCEPTIONS)
		fpu->fsw |= FSW_ES | FSW_B;
}

static void set_fcw(struct fpu *fpu, uint64_t value)
{
	/* Bit 6 reads as 1; infinity control (12) is kept, and nothing else of what is reserved. */
	fpu->fcw = (uint16_t)((value & 0x1f3f) | 0x40);
}

static void fninit(struct cpu *cpu, const struct op *op)
{
	(void)op;
	fpu_check_x87_available(cpu);
	fpu_init_x87(&cpu->fpu);
}

static void fnclex(struct cpu *cpu, const struct op *op)
{
	(void)op;
	fpu_check_x87_available(cpu);
	cpu->fpu.fsw &= 0x7f00;
}

static void fldcw(struct cpu *cpu, const struct op *op)
{
	fpu_check_x87(cpu);
	set_fcw(&cpu->fpu, operand_read(cpu, op, 0, 2));
	update_pending(&cpu->fpu);
}

static void fnstcw(struct cpu *cpu, const struct op *op)
{
	fpu_check_x87_available(cpu);
	operand_write(cpu, op, 0, 2, cpu->fpu.fcw);
}

static void fnstsw(struct cpu *cpu, const struct op *op)
{
	fpu_check_x87_available(cpu);
	operand_write(cpu, op, 0, 2, cpu->fpu.fsw);
}

static void fnop(struct cpu *cpu, const struct op *op)
{
	(void)op;
	fpu_check_x87(cpu);
}

/* FENI, FDISI and FSETPM: of older coprocessors. */
static void fnop_no_wait(struct cpu *cpu, const struct op *op)
{
	(void)op;
	fpu_check_x87_available(cpu);
}

static void fwait(struct cpu *cpu, const struct op *op)
{
	(void)op;
	if ((cpu->cr0 & (X86_CR0_MP | X86_CR0_TS)) == (X86_CR0_MP | X86_CR0_TS))
		cpu_raise(cpu, VECTOR_NM);
	fpu_check_pending(cpu);
}

/* The image that FXSAVE and XSAVE write: pointers only with a pending exception (APM vol. 2, 11.4.4). */
static void put_x87(const struct fpu *fpu, uint8_t *image, bool is_wide)
{
	const bool has_pointers = fpu->fsw & FSW_ES;

	host_write(image, 2, fpu->fcw);
	host_write(image + 2, 2, fpu->fsw);
	host_write(image + 4, 2, fpu->ftw);
	host_write(image + 6, 2, has_pointers ? fpu->fop : 0);
	host_write(image + 8, 8, has_pointers ? is_wide ? fpu->fip : (uint32_t)fpu->fip : 0);
	host_write(image + 16, 8, has_pointers ? is_wide ? fpu->fdp : (uint32_t)fpu->fdp : 0);
	memcpy(image + IMAGE_ST, fpu->st, sizeof(fpu->st));
}

static void get_x87(struct fpu *fpu, const uint8_t *image, bool is_wide)
{
	unsigned int i;

	fpu->fsw = (uint16_t)host_read(image + 2, 2);
	set_fcw(fpu, host_read(image, 2));
	update_pending(fpu);
	fpu->ftw = image[4];
	fpu->fop = host_read(image + 6, 2) & 0x7ff;
	fpu->fip = host_read(image + 8, is_wide ? 8 : 4);
	fpu->fdp = host_read(image + 16, is_wide ? 8 : 4);
	for (i = 0; i < 8; i++)
		memcpy(fpu->st[i], image + IMAGE_ST + i * 16, 10);
}

static void put_mxcsr(const struct cpu *cpu, uint8_t *image)
{
	host_write(image + IMAGE_MXCSR, 4, cpu->fpu.mxcsr);
	host_write(image + IMAGE_MXCSR + 4, 4, ~fpu_mxcsr_reserved(cpu));
}

static void get_mxcsr(struct cpu *cpu, const uint8_t *image)
{
	cpu->fpu.mxcsr = (uint32_t)host_read(image + IMAGE_MXCSR, 4);
}

static void check_mxcsr(struct cpu *cpu, const uint8_t *image)
{
	if (host_read(image + IMAGE_MXCSR, 4) & fpu_mxcsr_reserved(cpu))
		cpu_raise_error(cpu, VECTOR_GP, 0);
}

static unsigned int xmm_bytes(const struct cpu *cpu)
{
	return cpu->is_long64 ? IMAGE_XMM_BYTES : IMAGE_XMM_32_BYTES;
}

/* Without CR4.OSFXSR they are not FXSAVE's, nor are they to a kernel with EFER.FFXSR. */
static bool has_fxsave_xmm(const struct cpu *cpu)
{
	bool is_fast = (cpu->efer & EFER_FFXSR) && !cpu->cpl && cpu->is_long64;

	return (cpu->cr4 & X86_CR4_OSFXSR) && !is_fast;
}

ALWAYS_INLINE void do_fxsave(struct cpu *cpu, const struct op *op, bool is_wide)
{
	uint64_t offset = op_offset(cpu, op);
	uint8_t image[IMAGE_XMM + IMAGE_XMM_BYTES];
	unsigned int len = IMAGE_XMM + (has_fxsave_xmm(cpu) ? xmm_bytes(cpu) : 0);

	fpu_check_x87_available(cpu);
	put_x87(&cpu->fpu, image, is_wide);
	put_mxcsr(cpu, image);
	memcpy(image + IMAGE_XMM, cpu->fpu.xmm, IMAGE_XMM_BYTES);
	memory_check_write_bytes(cpu, op->seg, offset, IMAGE_BYTES, 16);
	memory_write_bytes(cpu, op->seg, offset, image, len, 16);
}

ALWAYS_INLINE void do_fxrstor(struct cpu *cpu, const struct op *op, bool is_wide)
{
	uint8_t image[IMAGE_BYTES];

	fpu_check_x87_available(cpu);
	memory_read_bytes(cpu, op->seg, op_offset(cpu, op), image, IMAGE_BYTES, 16);
	if (cpu->cr4 & X86_CR4_OSFXSR)
		check_mxcsr(cpu, image);
	get_x87(&cpu->fpu, image, is_wide);
	if (cpu->cr4 & X86_CR4_OSFXSR)
		get_mxcsr(cpu, image);
	if (has_fxsave_xmm(cpu))
		memcpy(cpu->fpu.xmm, image + IMAGE_XMM, xmm_bytes(cpu));
}

static void fxsave(struct cpu *cpu, const struct op *op)
{
	do_fxsave(cpu, op, false);
}

static void fxsave64(struct cpu *cpu, const struct op *op)
{
	do_fxsave(cpu, op, true);
}

static void fxrstor(struct cpu *cpu, const struct op *op)
{
	do_fxrstor(cpu, op, false);
}

static void fxrstor64(struct cpu *cpu, const struct op *op)
{
	do_fxrstor(cpu, op, true);
}

/* XSAVE */

static void check_xsave(struct cpu *cpu)
{
	if (!(cpu->cr4 & X86_CR4_OSXSAVE))
		cpu_raise(cpu, VECTOR_UD);
	if (cpu->cr0 & X86_CR0_TS)
		cpu_raise(cpu, VECTOR_NM);
}

static uint64_t requested_states(const struct cpu *cpu)
{
	return (cpu->regs[REG_RDX] << 32 | (uint32_t)cpu->regs[REG_RAX]) & cpu->xcr0;
}

static bool is_x87_initial(const struct fpu *fpu)
{
	const uint8_t zero[sizeof(fpu->st)] = { 0 };

	return fpu->fcw == FCW_INIT && !fpu->fsw && !fpu->ftw && !fpu->fop && !fpu->fip && !fpu->fdp &&
	       !memcmp(fpu->st, zero, sizeof(zero));
}

static bool is_sse_initial(const struct fpu *fpu)
{
	const uint8_t zero[sizeof(fpu->xmm)] = { 0 };

	return !memcmp(fpu->xmm, zero, sizeof(zero));
}

/* XINUSE: what is not in its initial state. */
static uint64_t states_in_use(const struct fpu *fpu)
{
	return (is_x87_initial(fpu) ? 0 : STATE_X87) | (is_sse_initial(fpu) ? 0 : STATE_SSE);
}

/* Components in @states go to memory, the header's bits of what was asked for say which are not initial. */
ALWAYS_INLINE void do_xsave(struct cpu *cpu, const struct op *op, bool is_wide, bool is_optimized)
{
	uint64_t offset = op_offset(cpu, op), asked = requested_states(cpu), in_use = states_in_use(&cpu->fpu);
	uint64_t states = is_optimized ? asked & in_use : asked, header;
	uint8_t image[XSAVE_BYTES];

	check_xsave(cpu);
	memory_check_write_bytes(cpu, op->seg, offset, XSAVE_BYTES, 64);
	memory_read_bytes(cpu, op->seg, offset, image, XSAVE_BYTES, 64);
	if (states & STATE_X87)
		put_x87(&cpu->fpu, image, is_wide);
	/* MXCSR is part of SSE's state, but never initial to XSAVEOPT. */
	if (asked & STATE_SSE)
		put_mxcsr(cpu, image);
	if (states & STATE_SSE)
		memcpy(image + IMAGE_XMM, cpu->fpu.xmm, xmm_bytes(cpu));
	header = (host_read(image + HEADER_XSTATE_BV, 8) & ~asked) | (asked & in_use);
	host_write(image + HEADER_XSTATE_BV, 8, header);
	memory_write_bytes(cpu, op->seg, offset, image, HEADER_XSTATE_BV + 8, 64);
}

/* The standard form only: XCOMP_BV and what is reserved behind it are 0. */
static void check_header(struct cpu *cpu, const uint8_t *image)
{
	if ((host_read(image + HEADER_XSTATE_BV, 8) & ~cpu->xcr0) || host_read(image + HEADER_XSTATE_BV + 8, 8) ||
	    host_read(image + HEADER_XSTATE_BV + 16, 8))
		cpu_raise_error(cpu, VECTOR_GP, 0);
}

ALWAYS_INLINE void do_xrstor(struct cpu *cpu, const struct op *op, bool is_wide)
{
	uint64_t asked = requested_states(cpu), present;
	uint8_t image[XSAVE_BYTES];

	check_xsave(cpu);
	memory_read_bytes(cpu, op->seg, op_offset(cpu, op), image, XSAVE_BYTES, 64);
	check_header(cpu, image);
	if (asked & STATE_SSE)
		check_mxcsr(cpu, image);
	present = host_read(image + HEADER_XSTATE_BV, 8);
	if (asked & present & STATE_X87) {
		get_x87(&cpu->fpu, image, is_wide);
	} else if (asked & STATE_X87) {
		fpu_init_x87(&cpu->fpu);
		memset(cpu->fpu.st, 0, sizeof(cpu->fpu.st));
	}
	if (asked & STATE_SSE)
		get_mxcsr(cpu, image);
	if (asked & present & STATE_SSE)
		memcpy(cpu->fpu.xmm, image + IMAGE_XMM, xmm_bytes(cpu));
	else if (asked & STATE_SSE)
		memset(cpu->fpu.xmm, 0, xmm_bytes(cpu));
}

static void xsave(struct cpu *cpu, const struct op *op)
{
	do_xsave(cpu, op, false, false);
}

static void xsave64(struct cpu *cpu, const struct op *op)
{
	do_xsave(cpu, op, true, false);
}

static void xsaveopt(struct cpu *cpu, const struct op *op)
{
	do_xsave(cpu, op, false, true);
}

static void xsaveopt64(struct cpu *cpu, const struct op *op)
{
	do_xsave(cpu, op, true, true);
}

static void xrstor(struct cpu *cpu, const struct op *op)
{
	do_xrstor(cpu, op, false);
}

static void xrstor64(struct cpu *cpu, const struct op *op)
{
	do_xrstor(cpu, op, true);
}

/* The x87 environment (APM vol. 2, 11.4.2): 14 or 28 bytes by operand size. */

#define ENVIRONMENT_16_BYTES 14
#define ENVIRONMENT_32_BYTES 28
#define ST_BYTES 10
#define TAG_EMPTY 3

static unsigned int environment_size(struct cpu *cpu, const struct op *op)
{
	/* Addresses are split in another way there. */
	if (!(cpu->cr0 & X86_CR0_PE) || (cpu->rflags & X86_EFLAGS_VM))
		cpu_unimplemented(cpu, "x87 environment outside protected mode");
	return op->is_16bit ? ENVIRONMENT_16_BYTES : ENVIRONMENT_32_BYTES;
}

/* 0: valid, 1: zero, 2: special; of a register that is not empty. */
static unsigned int tag_of(const uint8_t *st)
{
	uint64_t significand = host_read(st, 8);
	unsigned int exponent = host_read(st + 8, 2) & 0x7fff;

	if (!exponent && !significand)
		return 1;
	return !exponent || exponent == 0x7fff || !(significand >> 63) ? 2 : 0;
}

static uint16_t full_tags(const struct fpu *fpu)
{
	unsigned int i, top = (fpu->fsw & FSW_TOP) >> FSW_TOP_SHIFT, tags = 0;

	for (i = 0; i < 8; i++)
		tags |= (fpu->ftw & 1 << i ? tag_of(fpu->st[(i - top) & 7]) : TAG_EMPTY) << 2 * i;
	return (uint16_t)tags;
}

static uint8_t short_tags(uint64_t tags)
{
	unsigned int i, ret = 0;

	for (i = 0; i < 8; i++)
		ret |= (unsigned int)((tags >> 2 * i & 3) != TAG_EMPTY) << i;
	return (uint8_t)ret;
}

/* Selectors are not kept, and read as 0. */
static void put_environment(const struct fpu *fpu, uint8_t *to, unsigned int size)
{
	unsigned int word = size == ENVIRONMENT_16_BYTES ? 2 : 4;

	memset(to, 0, size);
	host_write(to, word, 0xffff0000 | fpu->fcw);
	host_write(to + word, word, 0xffff0000 | fpu->fsw);
	host_write(to + 2 * word, word, 0xffff0000 | full_tags(fpu));
	host_write(to + 3 * word, word, fpu->fip);
	if (word == 4)
		host_write(to + 4 * word, word, (uint64_t)fpu->fop << 16);
	host_write(to + 5 * word, word, fpu->fdp);
	if (word == 4)
		host_write(to + 6 * word, word, 0xffff0000);
}

static void get_environment(struct fpu *fpu, const uint8_t *from, unsigned int size)
{
	unsigned int word = size == ENVIRONMENT_16_BYTES ? 2 : 4;

	fpu_set_fsw(fpu, (uint16_t)host_read(from + word, 2));
	set_fcw(fpu, host_read(from, 2));
	update_pending(fpu);
	fpu->ftw = short_tags(host_read(from + 2 * word, 2));
	fpu->fip = host_read(from + 3 * word, word);
	fpu->fop = word == 4 ? host_read(from + 4 * word + 2, 2) & 0x7ff : 0;
	fpu->fdp = host_read(from + 5 * word, word);
}

static void fnstenv(struct cpu *cpu, const struct op *op)
{
	unsigned int size = environment_size(cpu, op);
	uint8_t image[ENVIRONMENT_32_BYTES];

	fpu_check_x87_available(cpu);
	put_environment(&cpu->fpu, image, size);
	memory_write_bytes(cpu, op->seg, op_offset(cpu, op), image, size, 1);
	cpu->fpu.fcw |= FSW_EXCEPTIONS;
	update_pending(&cpu->fpu);
}

static void fldenv(struct cpu *cpu, const struct op *op)
{
	unsigned int size = environment_size(cpu, op);
	uint8_t image[ENVIRONMENT_32_BYTES];

	fpu_check_x87(cpu);
	memory_read_bytes(cpu, op->seg, op_offset(cpu, op), image, size, 1);
	get_environment(&cpu->fpu, image, size);
}

static void fnsave(struct cpu *cpu, const struct op *op)
{
	unsigned int i, size = environment_size(cpu, op);
	uint8_t image[ENVIRONMENT_32_BYTES + 8 * ST_BYTES];

	fpu_check_x87_available(cpu);
	put_environment(&cpu->fpu, image, size);
	for (i = 0; i < 8; i++)
		memcpy(image + size + i * ST_BYTES, cpu->fpu.st[i], ST_BYTES);
	memory_write_bytes(cpu, op->seg, op_offset(cpu, op), image, size + 8 * ST_BYTES, 1);
	fpu_init_x87(&cpu->fpu);
}

static void frstor(struct cpu *cpu, const struct op *op)
{
	unsigned int i, size = environment_size(cpu, op);
	uint8_t image[ENVIRONMENT_32_BYTES + 8 * ST_BYTES];

	fpu_check_x87(cpu);
	memory_read_bytes(cpu, op->seg, op_offset(cpu, op), image, size + 8 * ST_BYTES, 1);
	get_environment(&cpu->fpu, image, size);
	for (i = 0; i < 8; i++)
		memcpy(cpu->fpu.st[i], image + size + i * ST_BYTES, ST_BYTES);
}

#define ROW(mnemonic, features, exec) { ZYDIS_MNEMONIC_##mnemonic, ROW_ANY, features, { exec } }

static const struct exec_row rows[] = {
	ROW(LDMXCSR, FEATURE_SSE, ldmxcsr), ROW(STMXCSR, FEATURE_SSE, stmxcsr),
	ROW(FNINIT, FEATURE_FPU, fninit), ROW(FNCLEX, FEATURE_FPU, fnclex), ROW(FLDCW, FEATURE_FPU, fldcw),
	ROW(FNSTCW, FEATURE_FPU, fnstcw), ROW(FNSTSW, FEATURE_FPU, fnstsw), ROW(FNOP, FEATURE_FPU, fnop),
	ROW(FENI8087_NOP, FEATURE_FPU, fnop_no_wait), ROW(FDISI8087_NOP, FEATURE_FPU, fnop_no_wait),
	ROW(FSETPM287_NOP, FEATURE_FPU, fnop_no_wait), ROW(FWAIT, FEATURE_FPU, fwait),
	ROW(FNSTENV, FEATURE_FPU, fnstenv), ROW(FLDENV, FEATURE_FPU, fldenv), ROW(FNSAVE, FEATURE_FPU, fnsave),
	ROW(FRSTOR, FEATURE_FPU, frstor),
	ROW(FXSAVE, FEATURE_FXSR, fxsave), ROW(FXSAVE64, FEATURE_FXSR, fxsave64),
	ROW(FXRSTOR, FEATURE_FXSR, fxrstor), ROW(FXRSTOR64, FEATURE_FXSR, fxrstor64),
	ROW(XSAVE, FEATURE_XSAVE, xsave), ROW(XSAVE64, FEATURE_XSAVE, xsave64),
	ROW(XSAVEOPT, FEATURE_XSAVEOPT, xsaveopt), ROW(XSAVEOPT64, FEATURE_XSAVEOPT, xsaveopt64),
	ROW(XRSTOR, FEATURE_XSAVE, xrstor), ROW(XRSTOR64, FEATURE_XSAVE, xrstor64),
};

EXEC_TABLE(exec_fpu, rows);
