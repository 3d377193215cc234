/* SPDX-License-Identifier: MIT */
/* The machine's paging and its TLB: what a walk allows and says, and what is believed until it is flushed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "machine_fixture.h"

#define ERROR_P 1u
#define ERROR_W 2u
#define ERROR_U 4u
#define ERROR_RSVD 8u
#define ERROR_I 16u
#define ERROR_PK 32u
#define NO_FAULT ~0u

#define FRAME_A 0x50000u
#define FRAME_B 0x51000u
#define BUDGET 1000

MACHINE_CODE(load, "mov (%rbx), %rax; hlt");
MACHINE_CODE(store, "mov %rax, (%rbx); hlt");
MACHINE_CODE(jump, "jmp *%rbx");
MACHINE_CODE(invalidate, "invlpg (%rbx); mov (%rbx), %rax; hlt");
MACHINE_CODE(set_cr3, "mov %rcx, %cr3; mov (%rbx), %rax; hlt");
MACHINE_CODE(set_cr4, "mov %rcx, %cr4; mov (%rbx), %rax; hlt");

struct row {
	const char *label;
	char access;		/* 'r', 'w', 'x' */
	bool is_user;
	uint64_t entry;		/* of the page, but for its frame */
	uint64_t cr0, cr4;	/* added; in cr0, WP is taken away */
	uint64_t rflags;
	uint32_t pkru;
	uint32_t want;		/* error code */
};

#define USER .is_user = true
#define PKEY(n) ((uint64_t)(n) << 59)

static const struct row rows[] = {
	{ "read", 'r', .entry = PTE_P, .want = NO_FAULT },
	{ "read, not present", 'r', .entry = 0, .want = 0 },
	{ "write, not present", 'w', .entry = 0, .want = ERROR_W },
	{ "execute, not present", 'x', .entry = 0, .want = ERROR_I },
	{ "user reads, not present", 'r', USER, .entry = 0, .want = ERROR_U },
	{ "write", 'w', .entry = PTE_P | PTE_W, .want = NO_FAULT },
	{ "write, read-only", 'w', .entry = PTE_P, .want = ERROR_P | ERROR_W },
	{ "write, read-only, no WP", 'w', .entry = PTE_P, .cr0 = X86_CR0_WP, .want = NO_FAULT },
	{ "user writes, read-only, no WP", 'w', USER, .entry = PTE_P | PTE_U, .cr0 = X86_CR0_WP,
	  .want = ERROR_P | ERROR_W | ERROR_U },
	{ "user reads the supervisor's", 'r', USER, .entry = PTE_P | PTE_W, .want = ERROR_P | ERROR_U },
	{ "user reads", 'r', USER, .entry = PTE_P | PTE_U, .want = NO_FAULT },
	{ "execute, NX", 'x', .entry = PTE_P | PTE_NX, .want = ERROR_P | ERROR_I },
	{ "read, NX", 'r', .entry = PTE_P | PTE_NX, .want = NO_FAULT },
	{ "read, reserved bit", 'r', .entry = PTE_P | 1ull << 51, .want = ERROR_P | ERROR_RSVD },
	{ "execute the user's, SMEP", 'x', .entry = PTE_P | PTE_U, .cr4 = X86_CR4_SMEP, .want = ERROR_P | ERROR_I },
	{ "read the user's, SMAP", 'r', .entry = PTE_P | PTE_U, .cr4 = X86_CR4_SMAP, .want = ERROR_P },
	{ "read the user's, SMAP and AC", 'r', .entry = PTE_P | PTE_U, .cr4 = X86_CR4_SMAP, .rflags = X86_EFLAGS_AC,
	  .want = NO_FAULT },
	{ "read, key without access", 'r', .entry = PTE_P | PTE_U | PKEY(3), .cr4 = X86_CR4_PKE, .pkru = 1u << 6,
	  .want = ERROR_P | ERROR_PK },
	{ "read, key without write", 'r', .entry = PTE_P | PTE_U | PKEY(3), .cr4 = X86_CR4_PKE, .pkru = 2u << 6,
	  .want = NO_FAULT },
	{ "write, key without write", 'w', .entry = PTE_P | PTE_W | PTE_U | PKEY(3), .cr4 = X86_CR4_PKE, .pkru =
		2u << 6,
	  .want = ERROR_P | ERROR_W | ERROR_PK },
	{ "write the supervisor's, key without write", 'w', .entry = PTE_P | PTE_W | PKEY(3), .cr4 = X86_CR4_PKE,
	  .pkru = 2u << 6, .want = NO_FAULT },
};

static void enter_row(struct fixture *fixture, const struct row *row)
{
	struct cpu *cpu = fixture->cpu;

	fixture_enter_long64(fixture);
	fixture_map(fixture, 0, FRAME_A | row->entry);
	fixture_put(fixture, FRAME_A, 0xf4, 1);
	cpu->cr0 &= ~row->cr0;
	cpu->cr4 |= row->cr4;
	cpu->rflags |= row->rflags;
	cpu->pkru = row->pkru;
	cpu->regs[REG_RBX] = PT_LINEAR;
	cpu->escapes = ~0u;
	if (row->is_user) {
		/* The code must be the user's, too. */
		fixture_put(fixture, PD_GPA, PTE_P | PTE_W | PTE_U | PTE_PS, 8);
		cpu->segs[SEG_CS].selector = USER_CODE64_SEL;
		cpu->cpl = 3;
	}
	cpu_state_changed(cpu);
	if (row->access == 'r')
		fixture_load(fixture, load, load_end);
	else if (row->access == 'w')
		fixture_load(fixture, store, store_end);
	else
		fixture_load(fixture, jump, jump_end);
}

static void test_rights(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		uint64_t used = row->access == 'w' ? PTE_A | PTE_D : PTE_A;
		enum machine_exit why;
		struct fixture fixture;

		fixture_open(&fixture);
		enter_row(&fixture, row);
		why = machine_run(fixture.cpu, BUDGET);
		print_message("# %s\n", row->label);
		if (row->want == NO_FAULT) {
			/* A user ends at the HLT by #GP. */
			assert_int_equal(why, row->is_user ? MACHINE_EXIT_EXCEPTION : MACHINE_EXIT_HLT);
			if (row->is_user)
				assert_int_equal(fixture.cpu->fault.vector, VECTOR_GP);
			assert_true(fixture_get(&fixture, PT_GPA, 8) == (FRAME_A | row->entry | used));
		} else {
			assert_int_equal(why, MACHINE_EXIT_EXCEPTION);
			assert_int_equal(fixture.cpu->fault.vector, VECTOR_PF);
			assert_int_equal(fixture.cpu->fault.error, row->want);
			assert_true(fixture.cpu->fault.address == PT_LINEAR);
			assert_true(fixture_get(&fixture, PT_GPA, 8) == (FRAME_A | row->entry));
		}
		fixture_close(&fixture);
	}
}

/* A machine whose first page of PT_LINEAR has been read from FRAME_A, and is FRAME_B's in the tables now. */
static void open_stale(struct fixture *fixture, uint64_t rights)
{
	fixture_open(fixture);
	fixture_enter_long64(fixture);
	fixture_map(fixture, 0, FRAME_A | PTE_P | PTE_W | rights);
	fixture_put(fixture, FRAME_A, 0xa, 8);
	fixture_put(fixture, FRAME_B, 0xb, 8);
	fixture->cpu->regs[REG_RBX] = PT_LINEAR;
	fixture_load(fixture, load, load_end);
	assert_int_equal(machine_run(fixture->cpu, BUDGET), MACHINE_EXIT_HLT);
	assert_int_equal(fixture->cpu->regs[REG_RAX], 0xa);
	fixture_map(fixture, 0, FRAME_B | PTE_P | PTE_W | rights);
}

static uint64_t run_code(struct fixture *fixture, const uint8_t *code, const uint8_t *end)
{
	fixture_load(fixture, code, end);
	assert_int_equal(machine_run(fixture->cpu, BUDGET), MACHINE_EXIT_HLT);
	return fixture->cpu->regs[REG_RAX];
}

static void test_stale_until_invlpg(void **state)
{
	struct fixture fixture;

	(void)state;
	open_stale(&fixture, 0);
	assert_int_equal(run_code(&fixture, load, load_end), 0xa);
	assert_int_equal(run_code(&fixture, invalidate, invalidate_end), 0xb);
	fixture_close(&fixture);
}

static void test_stale_until_cr3(void **state)
{
	struct fixture fixture;

	(void)state;
	open_stale(&fixture, 0);
	fixture.cpu->regs[REG_RCX] = PML4_GPA;
	assert_int_equal(run_code(&fixture, set_cr3, set_cr3_end), 0xb);
	fixture_close(&fixture);
}

static void test_global_survives_cr3(void **state)
{
	struct fixture fixture;

	(void)state;
	open_stale(&fixture, PTE_G);
	fixture.cpu->regs[REG_RCX] = PML4_GPA;
	assert_int_equal(run_code(&fixture, set_cr3, set_cr3_end), 0xa);
	fixture.cpu->regs[REG_RCX] = X86_CR4_PAE;
	assert_int_equal(run_code(&fixture, set_cr4, set_cr4_end), 0xb);
	fixture_close(&fixture);
}

/* Another PCID has translations of its own; coming back without a flush finds the old ones. */
static void test_pcid(void **state)
{
	struct fixture fixture;

	(void)state;
	open_stale(&fixture, 0);
	fixture.cpu->regs[REG_RCX] = X86_CR4_PAE | X86_CR4_PCIDE;
	fixture.cpu->cr4 = X86_CR4_PAE;
	/* Setting PCIDE keeps what PCID 0 has, or flushes it: either is allowed, so it is read again. */
	fixture_map(&fixture, 0, FRAME_A | PTE_P | PTE_W);
	assert_int_equal(run_code(&fixture, set_cr4, set_cr4_end), 0xa);
	fixture_map(&fixture, 0, FRAME_B | PTE_P | PTE_W);
	fixture.cpu->regs[REG_RCX] = PML4_GPA | 5 | 1ull << 63;
	assert_int_equal(run_code(&fixture, set_cr3, set_cr3_end), 0xb);
	fixture.cpu->regs[REG_RCX] = PML4_GPA | 0 | 1ull << 63;
	assert_int_equal(run_code(&fixture, set_cr3, set_cr3_end), 0xa);
	fixture.cpu->regs[REG_RCX] = PML4_GPA;
	assert_int_equal(run_code(&fixture, set_cr3, set_cr3_end), 0xb);
	fixture_close(&fixture);
}

static void test_asid(void **state)
{
	struct fixture fixture;

	(void)state;
	open_stale(&fixture, 0);
	fixture.cpu->asid = 1;
	cpu_state_changed(fixture.cpu);
	assert_int_equal(run_code(&fixture, load, load_end), 0xb);
	fixture.cpu->asid = 0;
	cpu_state_changed(fixture.cpu);
	assert_int_equal(run_code(&fixture, load, load_end), 0xa);
	fixture_close(&fixture);
}

/* More rights need no flush: the CPU looks again before it faults. */
static void test_more_rights(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_open(&fixture);
	fixture_enter_long64(&fixture);
	fixture_map(&fixture, 0, FRAME_A | PTE_P);
	fixture.cpu->regs[REG_RBX] = PT_LINEAR;
	run_code(&fixture, load, load_end);
	fixture_map(&fixture, 0, FRAME_A | PTE_P | PTE_W);
	fixture.cpu->regs[REG_RAX] = 0x77;
	run_code(&fixture, store, store_end);
	assert_int_equal(fixture_get(&fixture, FRAME_A, 8), 0x77);
	fixture_close(&fixture);
}

/* Changes the immediate of the next instruction, which has been decoded with it. */
MACHINE_CODE(modify_next, "movb $0x5a, 1 + 3f(%rip)\n3: mov $0x11, %al; hlt");

static void test_self_modification(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_open(&fixture);
	fixture_enter_long64(&fixture);
	assert_int_equal(run_code(&fixture, modify_next, modify_next_end) & 0xff, 0x5a);
	fixture_close(&fixture);
}

/* Two places of a page with code: a change of the one must not make the machine forget to watch the other. */
static void test_two_places(void **state)
{
	static const uint8_t code[] = { 0xb0, 0x11, 0xf4 };	/* mov $0x11, %al; hlt */
	const uint64_t other = CODE_GPA + 0x200;
	struct fixture fixture;

	(void)state;
	fixture_open(&fixture);
	fixture_enter_long64(&fixture);
	fixture_put(&fixture, other, 0xf411b0, 3);
	fixture.cpu->rip = other;
	assert_int_equal(machine_run(fixture.cpu, BUDGET), MACHINE_EXIT_HLT);
	run_code(&fixture, code, code + sizeof(code));
	fixture_put(&fixture, CODE_GPA + 1, 0x22, 1);
	fixture_put(&fixture, other + 1, 0x33, 1);
	fixture.cpu->rip = other;
	assert_int_equal(machine_run(fixture.cpu, BUDGET), MACHINE_EXIT_HLT);
	assert_int_equal(fixture.cpu->regs[REG_RAX] & 0xff, 0x33);
	fixture.cpu->rip = CODE_GPA;
	assert_int_equal(machine_run(fixture.cpu, BUDGET), MACHINE_EXIT_HLT);
	assert_int_equal(fixture.cpu->regs[REG_RAX] & 0xff, 0x22);
	fixture_close(&fixture);
}

/* The same bytes by two linear addresses: code that runs by one is changed by the other. */
static void test_alias_modification(void **state)
{
	static const uint8_t code[] = { 0xb0, 0x11, 0xf4 };	/* mov $0x11, %al; hlt */
	struct fixture fixture;
	unsigned int i;

	(void)state;
	fixture_open(&fixture);
	fixture_enter_long64(&fixture);
	fixture_map(&fixture, 0, CODE_GPA | PTE_P | PTE_W);
	fixture_load(&fixture, code, code + sizeof(code));
	assert_int_equal(machine_run(fixture.cpu, BUDGET), MACHINE_EXIT_HLT);
	for (i = 0; i < (unsigned int)(store_end - store); i++)
		fixture_put(&fixture, 0x30000 + i, store[i], 1);
	fixture.cpu->regs[REG_RAX] = 0xf499b0;	/* mov $0x99, %al; hlt */
	fixture.cpu->regs[REG_RBX] = PT_LINEAR;
	fixture.cpu->rip = 0x30000;
	assert_int_equal(machine_run(fixture.cpu, BUDGET), MACHINE_EXIT_HLT);
	fixture.cpu->rip = CODE_GPA;
	assert_int_equal(machine_run(fixture.cpu, BUDGET), MACHINE_EXIT_HLT);
	assert_int_equal(fixture.cpu->regs[REG_RAX] & 0xff, 0x99);
	fixture_close(&fixture);
}

/* --- who wrote where --- */

MACHINE_CODE(store_rsi, "mov %rax, (%rsi); mov (%rdi), %rcx; hlt");

#define STORE_GPA 0x8000u
#define PAGE_BIT(gpa_) (1ull << (gpa_) / 0x1000)

static void store_watched(struct fixture *fixture)
{
	fixture->cpu->regs[REG_RSI] = STORE_GPA;
	fixture->cpu->regs[REG_RDI] = STACK0_GPA;
	run_code(fixture, store_rsi, store_rsi_end);
}

static void test_watch(void **state)
{
	uint64_t dirty[FIXTURE_RAM_BYTES / 0x1000 / 64] = { 0 };
	struct fixture fixture;

	(void)state;
	fixture_open(&fixture);
	fixture_enter_long64(&fixture);
	assert_int_equal(machine_ram_watch(fixture.machine, 0x1000, dirty), -ENOENT);
	assert_int_equal(machine_ram_watch(fixture.machine, 0, dirty), 0);
	store_watched(&fixture);
	/* The store, and the walk's A and D. */
	assert_int_equal(dirty[0], PAGE_BIT(STORE_GPA) | PAGE_BIT(PML4_GPA) | PAGE_BIT(PDPT_GPA) | PAGE_BIT(PD_GPA));
	assert_int_equal(dirty[1], 0);
	dirty[0] = 0;
	cpu_state_changed(fixture.cpu);
	store_watched(&fixture);
	assert_int_equal(dirty[0], PAGE_BIT(STORE_GPA));
	dirty[0] = 0;
	machine_ram_watch(fixture.machine, 0, NULL);
	store_watched(&fixture);
	assert_int_equal(dirty[0], 0);
	fixture_close(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rights),
		cmocka_unit_test(test_stale_until_invlpg),
		cmocka_unit_test(test_stale_until_cr3),
		cmocka_unit_test(test_global_survives_cr3),
		cmocka_unit_test(test_pcid),
		cmocka_unit_test(test_asid),
		cmocka_unit_test(test_more_rights),
		cmocka_unit_test(test_self_modification),
		cmocka_unit_test(test_two_places),
		cmocka_unit_test(test_alias_modification),
		cmocka_unit_test(test_watch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
