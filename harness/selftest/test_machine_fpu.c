/* SPDX-License-Identifier: MIT */
/*
 * x87, MMX and SSE as an operating system sees them: who is refused and how (APM vol. 4 and 5, the instructions'
 * exception tables), and the images of the state (APM vol. 2, 11.4 and 11.5). What the instructions compute is
 * selftest/differ's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "machine_fixture.h"

#define BUDGET 1000
#define HANDLED(vector) (HANDLER_GPA + 16 * (vector) + 1)
#define NONE 0xff
#define XCR0_ALL 3
#define UNTOUCHED 0xa5

MACHINE_CODE(x87, "fldz; hlt");
MACHINE_CODE(mmx, "paddb %mm1, %mm0; hlt");
MACHINE_CODE(sse, "xorps %xmm1, %xmm0; hlt");
MACHINE_CODE(wait_, "fwait; hlt");
MACHINE_CODE(init, "fninit; hlt");
MACHINE_CODE(load_mxcsr, "ldmxcsr (%rbx); hlt");
MACHINE_CODE(save, "fxsave64 (%rbx); hlt");
MACHINE_CODE(save_32, ".code32\nfxsave (%ebx); hlt");
MACHINE_CODE(restore, "fxrstor64 (%rbx); hlt");
MACHINE_CODE(xsave, "xsave64 (%rbx); hlt");
MACHINE_CODE(xsaveopt, "xsaveopt64 (%rbx); hlt");
MACHINE_CODE(xrstor, "xrstor64 (%rbx); hlt");
MACHINE_CODE(aligned, "movaps (%rbx), %xmm0; hlt");
MACHINE_CODE(aligned_store, "movaps %xmm0, (%rbx); hlt");
MACHINE_CODE(aligned_operand, "addps (%rbx), %xmm0; hlt");
MACHINE_CODE(unaligned, "movups (%rbx), %xmm0; hlt");
MACHINE_CODE(divide, "divps %xmm1, %xmm0; hlt");
MACHINE_CODE(divide_x87, "fninit; fldcw (%rbx); fld1; fldz; fdivrp; fnstsw %ax; fwait; hlt");

static void open_at(struct fixture *fixture, const uint8_t *code, const uint8_t *end, uint64_t operand)
{
	fixture_open(fixture);
	fixture_enter_long64(fixture);
	fixture->cpu->cr0 |= X86_CR0_NE;
	fixture->cpu->cr4 |= X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT | X86_CR4_OSXSAVE;
	fixture->cpu->xcr0 = XCR0_ALL;
	fixture->cpu->regs[REG_RBX] = operand;
	fixture->cpu->regs[REG_RAX] = fixture->cpu->regs[REG_RDX] = ~0ull;
	fixture_load(fixture, code, end);
	cpu_state_changed(fixture->cpu);
}

/* @vector: the exception that it ends with, or NONE. */
static void run(struct fixture *fixture, const uint8_t *code, const uint8_t *end, unsigned int vector)
{
	assert_int_equal(machine_run(fixture->cpu, BUDGET), MACHINE_EXIT_HLT);
	assert_int_equal(fixture->cpu->rip, vector == NONE ? CODE_GPA + (uint64_t)(end - code) : HANDLED(vector));
}

#define CODE(name) name, name##_end

/* CR0 and CR4.OSFXSR against kinds of instructions. */
static void test_available(void **state)
{
	static const struct {
		uint64_t cr0, cr4_clear;
		unsigned int x87, mmx, sse, wait;
	} rows[] = {
		{ 0, 0, NONE, NONE, NONE, NONE },
		{ X86_CR0_EM, 0, VECTOR_NM, VECTOR_UD, VECTOR_UD, NONE },
		{ X86_CR0_TS, 0, VECTOR_NM, VECTOR_NM, VECTOR_NM, NONE },
		{ X86_CR0_MP, 0, NONE, NONE, NONE, NONE },
		{ X86_CR0_TS | X86_CR0_MP, 0, VECTOR_NM, VECTOR_NM, VECTOR_NM, VECTOR_NM },
		{ X86_CR0_EM | X86_CR0_TS, 0, VECTOR_NM, VECTOR_UD, VECTOR_UD, NONE },
		{ 0, X86_CR4_OSFXSR, NONE, NONE, VECTOR_UD, NONE },
		{ X86_CR0_TS, X86_CR4_OSFXSR, VECTOR_NM, VECTOR_NM, VECTOR_UD, NONE },
	};
	struct fixture fixture;
	unsigned int i, kind;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct {
			const uint8_t *code, *end;
			unsigned int vector;
		} kinds[] = { { CODE(x87), rows[i].x87 }, { CODE(mmx), rows[i].mmx }, { CODE(sse), rows[i].sse },
			{ CODE(wait_), rows[i].wait }, { CODE(init), rows[i].x87 } };

		for (kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++) {
			open_at(&fixture, kinds[kind].code, kinds[kind].end, DATA_GPA);
			fixture.cpu->cr0 |= rows[i].cr0;
			fixture.cpu->cr4 &= ~rows[i].cr4_clear;
			run(&fixture, kinds[kind].code, kinds[kind].end, kinds[kind].vector);
			fixture_close(&fixture);
		}
	}
}

static void expect_at(const uint8_t *code, const uint8_t *end, uint64_t operand, unsigned int vector)
{
	struct fixture fixture;

	open_at(&fixture, code, end, operand);
	run(&fixture, code, end, vector);
	fixture_close(&fixture);
}

static void test_alignment(void **state)
{
	(void)state;
	expect_at(CODE(aligned), DATA_GPA + 16, NONE);
	expect_at(CODE(aligned), DATA_GPA + 8, VECTOR_GP);
	expect_at(CODE(aligned_store), DATA_GPA + 1, VECTOR_GP);
	expect_at(CODE(aligned_operand), DATA_GPA + 4, VECTOR_GP);
	expect_at(CODE(unaligned), DATA_GPA + 1, NONE);
	expect_at(CODE(save), DATA_GPA + 8, VECTOR_GP);
	expect_at(CODE(restore), DATA_GPA + 8, VECTOR_GP);
	expect_at(CODE(xsave), DATA_GPA + 32, VECTOR_GP);
	expect_at(CODE(xrstor), DATA_GPA + 32, VECTOR_GP);
}

/* #XF needs the operating system's consent; and changes nothing but MXCSR. */
static void test_simd_exception(void **state)
{
	static const struct {
		uint64_t cr4_clear;
		uint32_t mxcsr, want;
		unsigned int vector;
	} rows[] = {
		{ 0, 0x1f80, 0x1f84, NONE },
		{ 0, 0x1d80, 0x1d84, VECTOR_XF },
		{ X86_CR4_OSXMMEXCPT, 0x1d80, 0x1d84, VECTOR_UD },
	};
	struct fixture fixture;
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		open_at(&fixture, CODE(divide), DATA_GPA);
		fixture.cpu->cr4 &= ~rows[i].cr4_clear;
		fixture.cpu->fpu.mxcsr = rows[i].mxcsr;
		fixture.cpu->fpu.xmm[0][0] = fixture.cpu->fpu.xmm[0][1] = 0x3f8000003f800000;
		run(&fixture, CODE(divide), rows[i].vector);
		assert_int_equal(fixture.cpu->fpu.mxcsr, rows[i].want);
		assert_true(fixture.cpu->fpu.xmm[0][0] == (rows[i].vector == NONE ? 0x7f8000007f800000 :
			0x3f8000003f800000));
		fixture_close(&fixture);
	}
}

/* An unmasked x87 exception shows at the next instruction that waits. */
static void test_x87_exception(void **state)
{
	struct fixture fixture;

	(void)state;
	open_at(&fixture, CODE(divide_x87), DATA_GPA);
	fixture_put(&fixture, DATA_GPA, 0x37b, 2);
	run(&fixture, CODE(divide_x87), VECTOR_MF);
	/* ES, B and ZE; TOP is 6: nothing was popped. */
	assert_int_equal(fixture.cpu->regs[REG_RAX] & 0xffff, 0xb084);
	fixture_close(&fixture);
}

static void test_mxcsr(void **state)
{
	struct fixture fixture;

	(void)state;
	open_at(&fixture, CODE(load_mxcsr), DATA_GPA);
	fixture_put(&fixture, DATA_GPA, 0x9fc0, 4);
	run(&fixture, CODE(load_mxcsr), NONE);
	assert_int_equal(fixture.cpu->fpu.mxcsr, 0x9fc0);
	fixture_close(&fixture);
	open_at(&fixture, CODE(load_mxcsr), DATA_GPA);
	fixture_put(&fixture, DATA_GPA, 0x11f80, 4);
	run(&fixture, CODE(load_mxcsr), VECTOR_GP);
	assert_int_equal(fixture.cpu->fpu.mxcsr, 0x1f80);
	fixture_close(&fixture);
}

/* Recognisable state, and memory that shows what was not written. */
static void fill(struct fixture *fixture)
{
	struct fpu *fpu = &fixture->cpu->fpu;
	unsigned int i;

	fpu->fcw = 0x27f;
	fpu->fsw = 0x3800;
	fpu->ftw = 0x81;
	fpu->mxcsr = 0x1fa0;
	for (i = 0; i < 8; i++)
		memset(fpu->st[i], (int)(0x10 + i), 10);
	for (i = 0; i < 16; i++)
		memset(fpu->xmm[i], (int)(0x20 + i), 16);
	memset(fixture->ram + DATA_GPA, UNTOUCHED, 1024);
}

static void assert_image(const struct fixture *fixture, unsigned int nr_xmm)
{
	unsigned int i;

	assert_int_equal(fixture_get(fixture, DATA_GPA, 2), 0x27f);
	assert_int_equal(fixture_get(fixture, DATA_GPA + 2, 2), 0x3800);
	assert_int_equal(fixture_get(fixture, DATA_GPA + 4, 1), 0x81);
	assert_int_equal(fixture_get(fixture, DATA_GPA + 24, 4), 0x1fa0);
	assert_int_equal(fixture_get(fixture, DATA_GPA + 28, 4), 0x2ffff);
	for (i = 0; i < 8; i++)
		assert_memory_equal(fixture->ram + DATA_GPA + 32 + 16 * i, fixture->cpu->fpu.st[i], 10);
	for (i = 0; i < nr_xmm; i++)
		assert_memory_equal(fixture->ram + DATA_GPA + 160 + 16 * i, fixture->cpu->fpu.xmm[i], 16);
	assert_int_equal(fixture_get(fixture, DATA_GPA + 160 + 16 * i, 1), UNTOUCHED);
}

static void test_fxsave(void **state)
{
	static const struct {
		uint64_t cr4_clear, efer;
		unsigned int nr_xmm;
	} rows[] = { { 0, 0, 16 }, { X86_CR4_OSFXSR, 0, 0 }, { 0, EFER_FFXSR, 0 } };
	struct fixture fixture;
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		open_at(&fixture, CODE(save), DATA_GPA);
		fill(&fixture);
		fixture.cpu->cr4 &= ~rows[i].cr4_clear;
		fixture.cpu->efer |= rows[i].efer;
		run(&fixture, CODE(save), NONE);
		assert_image(&fixture, rows[i].nr_xmm);
		fixture_close(&fixture);
	}
}

/* Outside 64-bit mode there are eight. */
static void test_fxsave_32(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_open(&fixture);
	fixture_enter_prot32(&fixture);
	fixture_load(&fixture, CODE(save_32));
	fixture.cpu->cr4 |= X86_CR4_OSFXSR;
	fixture.cpu->regs[REG_RBX] = DATA_GPA;
	fill(&fixture);
	cpu_state_changed(fixture.cpu);
	run(&fixture, CODE(save_32), NONE);
	assert_image(&fixture, 8);
	fixture_close(&fixture);
}

static void test_fxrstor(void **state)
{
	struct fixture fixture;
	uint8_t want[256];

	(void)state;
	open_at(&fixture, CODE(restore), DATA_GPA);
	memset(want, 0x77, sizeof(want));
	memset(fixture.ram + DATA_GPA, 0x77, 512);
	fixture_put(&fixture, DATA_GPA, 0x00813800037f, 6);
	fixture_put(&fixture, DATA_GPA + 24, 0x1f81, 4);
	run(&fixture, CODE(restore), NONE);
	assert_int_equal(fixture.cpu->fpu.fcw, 0x37f);
	assert_int_equal(fixture.cpu->fpu.fsw, 0x3800);
	assert_int_equal(fixture.cpu->fpu.ftw, 0x81);
	assert_int_equal(fixture.cpu->fpu.mxcsr, 0x1f81);
	assert_memory_equal(fixture.cpu->fpu.xmm, want, 256);
	fixture_close(&fixture);
	open_at(&fixture, CODE(restore), DATA_GPA);
	fixture_put(&fixture, DATA_GPA + 24, 0x10000, 4);
	run(&fixture, CODE(restore), VECTOR_GP);
	fixture_close(&fixture);
}

/* What is not asked for stays as it was, in memory and in XSTATE_BV. */
static void test_xsave(void **state)
{
	struct fixture fixture;

	(void)state;
	open_at(&fixture, CODE(xsave), DATA_GPA);
	fill(&fixture);
	fixture_put(&fixture, DATA_GPA + 512, 4, 8);
	run(&fixture, CODE(xsave), NONE);
	assert_image(&fixture, 16);
	assert_int_equal(fixture_get(&fixture, DATA_GPA + 512, 8), 7);
	fixture_close(&fixture);
	open_at(&fixture, CODE(xsave), DATA_GPA);
	fill(&fixture);
	fixture_put(&fixture, DATA_GPA + 512, 0, 8);
	fixture.cpu->regs[REG_RAX] = 2;
	run(&fixture, CODE(xsave), NONE);
	assert_int_equal(fixture_get(&fixture, DATA_GPA, 1), UNTOUCHED);
	assert_int_equal(fixture_get(&fixture, DATA_GPA + 24, 4), 0x1fa0);
	assert_int_equal(fixture_get(&fixture, DATA_GPA + 160, 1), 0x20);
	assert_int_equal(fixture_get(&fixture, DATA_GPA + 512, 8), 2);
	fixture_close(&fixture);
}

/* Registers in their initial state are not written, and XSTATE_BV says so. */
static void test_xsaveopt(void **state)
{
	struct fixture fixture;

	(void)state;
	open_at(&fixture, CODE(xsaveopt), DATA_GPA);
	fill(&fixture);
	memset(fixture.cpu->fpu.xmm, 0, sizeof(fixture.cpu->fpu.xmm));
	fixture_put(&fixture, DATA_GPA + 512, 3, 8);
	run(&fixture, CODE(xsaveopt), NONE);
	assert_int_equal(fixture_get(&fixture, DATA_GPA, 2), 0x27f);
	assert_int_equal(fixture_get(&fixture, DATA_GPA + 160, 1), UNTOUCHED);
	assert_int_equal(fixture_get(&fixture, DATA_GPA + 512, 8), 1);
	fixture_close(&fixture);
}

static void test_xrstor(void **state)
{
	static const struct {
		uint64_t bv, compact, reserved, mxcsr;
		unsigned int vector;
	} rows[] = {
		{ 3, 0, 0, 0x1f80, NONE }, { 0, 0, 0, 0x1f80, NONE }, { 4, 0, 0, 0x1f80, VECTOR_GP },
		{ 3, 1ull << 63, 0, 0x1f80, VECTOR_GP }, { 3, 0, 1, 0x1f80, VECTOR_GP },
		{ 3, 0, 0, 0x10000, VECTOR_GP },
	};
	struct fixture fixture;
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		open_at(&fixture, CODE(xrstor), DATA_GPA);
		fill(&fixture);
		memset(fixture.ram + DATA_GPA, 0x11, 512);
		memset(fixture.ram + DATA_GPA + 512, 0, 64);
		fixture_put(&fixture, DATA_GPA + 24, rows[i].mxcsr, 4);
		fixture_put(&fixture, DATA_GPA + 512, rows[i].bv, 8);
		fixture_put(&fixture, DATA_GPA + 520, rows[i].compact, 8);
		fixture_put(&fixture, DATA_GPA + 528, rows[i].reserved, 8);
		run(&fixture, CODE(xrstor), rows[i].vector);
		assert_int_equal(fixture.cpu->fpu.xmm[0][0] & 0xff, rows[i].vector != NONE ? 0x20 :
			rows[i].bv & 2 ? 0x11 : 0);
		if (rows[i].vector == NONE && !rows[i].bv)
			assert_int_equal(fixture.cpu->fpu.fcw, 0x37f);
		fixture_close(&fixture);
	}
}

static void test_xsave_refused(void **state)
{
	struct fixture fixture;

	(void)state;
	open_at(&fixture, CODE(xsave), DATA_GPA);
	fixture.cpu->cr4 &= ~X86_CR4_OSXSAVE;
	run(&fixture, CODE(xsave), VECTOR_UD);
	fixture_close(&fixture);
	open_at(&fixture, CODE(xrstor), DATA_GPA);
	fixture.cpu->cr0 |= X86_CR0_TS;
	run(&fixture, CODE(xrstor), VECTOR_NM);
	fixture_close(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_available),
		cmocka_unit_test(test_alignment),
		cmocka_unit_test(test_simd_exception),
		cmocka_unit_test(test_x87_exception),
		cmocka_unit_test(test_mxcsr),
		cmocka_unit_test(test_fxsave),
		cmocka_unit_test(test_fxsave_32),
		cmocka_unit_test(test_fxrstor),
		cmocka_unit_test(test_xsave),
		cmocka_unit_test(test_xsaveopt),
		cmocka_unit_test(test_xrstor),
		cmocka_unit_test(test_xsave_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
