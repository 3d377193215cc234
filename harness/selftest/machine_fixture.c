/* SPDX-License-Identifier: MIT */
#include "machine_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PAGE_BYTES 4096
#define NR_VECTORS 256
#define FLAT_CODE (SEG_P | SEG_S | SEG_G | SEG_TYPE_CODE | SEG_TYPE_WRITABLE | SEG_TYPE_ACCESSED)
#define FLAT_DATA (SEG_P | SEG_S | SEG_G | SEG_DB | SEG_TYPE_WRITABLE | SEG_TYPE_ACCESSED)

static const uint64_t gdt[] = {
	0,
	0x00af9b000000ffff,	/* CODE64 */
	0x00cf93000000ffff,	/* DATA */
	0x00cf9b000000ffff,	/* CODE32 */
	0x00affb000000ffff,	/* USER_CODE64 */
	0x00cff3000000ffff,	/* USER_DATA */
	0x00009b000000ffff,	/* CODE16 */
	0,
	0x0000890000000067 | (uint64_t)TSS_GPA << 16,
	0,
};

void fixture_put(struct fixture *fixture, uint64_t gpa, uint64_t value, unsigned int len_bytes)
{
	memcpy(fixture->ram + gpa, &value, len_bytes);
	machine_ram_written(fixture->machine, gpa, len_bytes);
}

uint64_t fixture_get(const struct fixture *fixture, uint64_t gpa, unsigned int len_bytes)
{
	uint64_t value = 0;

	memcpy(&value, fixture->ram + gpa, len_bytes);
	return value;
}

void fixture_load(struct fixture *fixture, const uint8_t *code, const uint8_t *end)
{
	memcpy(fixture->ram + CODE_GPA, code, (size_t)(end - code));
	machine_ram_written(fixture->machine, CODE_GPA, (uint64_t)(end - code));
	fixture->cpu->rip = CODE_GPA;
}

void fixture_map(struct fixture *fixture, unsigned int index, uint64_t entry)
{
	fixture_put(fixture, PT_GPA + index * 8, entry, 8);
}

static void put_gates(struct fixture *fixture, bool is_long)
{
	unsigned int vector;

	for (vector = 0; vector < NR_VECTORS; vector++) {
		uint64_t handler = HANDLER_GPA + 16 * vector;
		uint64_t gate = (handler & 0xffff) | (uint64_t)(is_long ? CODE64_SEL : CODE32_SEL) << 16 |
			0x8e00ull << 32 |
			(handler >> 16) << 48;

		fixture_put(fixture, IDT_GPA + vector * (is_long ? 16 : 8), gate, 8);
		if (is_long)
			fixture_put(fixture, IDT_GPA + vector * 16 + 8, 0, 8);
		fixture_put(fixture, handler, 0xf4, 1);
	}
}

static void put_tables(struct fixture *fixture, bool is_long)
{
	fixture_put(fixture, PML4_GPA, PDPT_GPA | PTE_P | PTE_W | PTE_U, 8);
	fixture_put(fixture, PDPT_GPA, PD_GPA | PTE_P | PTE_W | PTE_U, 8);
	fixture_put(fixture, PD_GPA, PTE_P | PTE_W | PTE_PS, 8);
	fixture_put(fixture, PD_GPA + 8, PT_GPA | PTE_P | PTE_W | PTE_U, 8);
	memcpy(fixture->ram + GDT_GPA, gdt, sizeof(gdt));
	put_gates(fixture, is_long);
	fixture_put(fixture, TSS_GPA + 4, STACK0_GPA, is_long ? 8 : 4);
	if (is_long)
		fixture_put(fixture, TSS_GPA + 0x24, IST_GPA, 8);
	else
		fixture_put(fixture, TSS_GPA + 8, DATA_SEL, 2);
}

static void enter(struct fixture *fixture, bool is_long)
{
	struct cpu *cpu = fixture->cpu;
	unsigned int i;

	put_tables(fixture, is_long);
	cpu->cr0 = X86_CR0_PE | X86_CR0_ET | X86_CR0_WP | (is_long ? X86_CR0_PG : 0);
	cpu->cr3 = PML4_GPA;
	cpu->cr4 = is_long ? X86_CR4_PAE | X86_CR4_PGE : 0;
	cpu->efer = is_long ? EFER_LME | EFER_LMA | EFER_NX | EFER_SCE : 0;
	for (i = 0; i < NR_SEGS; i++)
		cpu->segs[i] = (struct segment) { DATA_SEL, FLAT_DATA, ~0u, 0 };
	cpu->segs[SEG_CS] = (struct segment) { is_long ? CODE64_SEL : CODE32_SEL, FLAT_CODE | (is_long ?
		SEG_L : SEG_DB), ~0u, 0 };
	cpu->segs[SEG_TR] = (struct segment) { TSS_SEL, SEG_P | 11, 0x67, TSS_GPA };
	cpu->gdtr = (struct table_register) { GDT_GPA, sizeof(gdt) - 1 };
	cpu->idtr = (struct table_register) { IDT_GPA, NR_VECTORS * (is_long ? 16 : 8) - 1 };
	cpu->regs[REG_RSP] = STACK_GPA;
	cpu->rip = CODE_GPA;
	cpu_state_changed(cpu);
}

void fixture_enter_long64(struct fixture *fixture)
{
	enter(fixture, true);
}

void fixture_enter_prot32(struct fixture *fixture)
{
	enter(fixture, false);
}

void fixture_open(struct fixture *fixture)
{
	struct machine_config config = { .nr_cpus = 1 };

	fixture->ram = aligned_alloc(PAGE_BYTES, FIXTURE_RAM_BYTES);
	assert_non_null(fixture->ram);
	memset(fixture->ram, 0, FIXTURE_RAM_BYTES);
	assert_int_equal(machine_create(&config, &fixture->machine), 0);
	assert_int_equal(machine_ram_add(fixture->machine, 0, FIXTURE_RAM_BYTES, fixture->ram, false), 0);
	fixture->cpu = machine_cpu(fixture->machine, 0);
}

void fixture_close(struct fixture *fixture)
{
	machine_destroy(fixture->machine);
	free(fixture->ram);
}
