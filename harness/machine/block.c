/* SPDX-License-Identifier: MIT */
/*
 * Decoded code by physical address and mode. A block's bytes are in one page; each RAM page remembers which of its
 * 64-byte lines hold decoded bytes, so that a write to any other line costs one test. Buckets are by line, so that
 * forgetting a range looks into as many buckets as a block can have lines.
 */
#include "machine/private.h"

#include <stdlib.h>
#include <string.h>

#include "machine/event.h"
#include "machine/tlb.h"

#define LINE_BYTES 64
#define MAX_INSN_BYTES 15
#define MAX_BLOCK_BYTES (MAX_BLOCK_OPS * MAX_INSN_BYTES)

static struct block **block_bucket(struct machine *machine, uint64_t gpa)
{
	return &machine->buckets[gpa / LINE_BYTES % NR_BLOCK_BUCKETS];
}

static struct block *block_find(struct machine *machine, uint64_t gpa, enum code_mode mode)
{
	struct block *block = *block_bucket(machine, gpa);

	while (block && (block->gpa != gpa || block->mode != mode))
		block = block->next;
	return block;
}

static void code_changed(struct machine *machine)
{
	unsigned int i;

	for (i = 0; i < machine->nr_cpus; i++) {
		machine->cpus[i]->jump_generation++;
		machine->cpus[i]->must_stop |= STOP_CODE;
	}
}

static void block_bury(struct machine *machine, struct block **link)
{
	struct block *block = *link;

	*link = block->next;
	block->next = machine->dead;
	machine->dead = block;
	machine->nr_blocks--;
}

/* True when there was any. */
static bool bucket_forget(struct machine *machine, uint64_t line_gpa, uint64_t first, uint64_t end)
{
	struct block **link = block_bucket(machine, line_gpa);
	bool is_any = false;

	while (*link) {
		if ((*link)->gpa < end && (*link)->gpa + (*link)->len_bytes > first) {
			block_bury(machine, link);
			is_any = true;
		} else {
			link = &(*link)->next;
		}
	}
	return is_any;
}

/* The bits of the lines of [offset, offset + len) in a page. */
static uint64_t line_bits(uint64_t offset, uint64_t len)
{
	uint64_t first = offset / LINE_BYTES, last = (offset + len - 1) / LINE_BYTES;

	return (~0ull << first) & (~0ull >> (63 - last));
}

void block_forget_range(struct machine *machine, struct ram_slot *slot, uint64_t gpa, uint64_t len_bytes)
{
	uint64_t *lines = &slot->code_lines[(gpa - slot->gpa) / PAGE_BYTES];
	uint64_t touched = line_bits(gpa & PAGE_MASK, len_bytes);
	uint64_t first = gpa & ~(LINE_BYTES - 1ull), end = (gpa + len_bytes + LINE_BYTES - 1) & ~(LINE_BYTES - 1ull);
	uint64_t page = gpa & ~PAGE_MASK, line;
	bool is_any = false;

	if (!(*lines & touched))
		return;
	line = first - page > MAX_BLOCK_BYTES ? (first - MAX_BLOCK_BYTES) & ~(LINE_BYTES - 1ull) : page;
	for (; line < end; line += LINE_BYTES)
		is_any |= bucket_forget(machine, line, first, end);
	*lines &= ~touched;
	if (is_any)
		code_changed(machine);
}

void block_forget_all(struct machine *machine)
{
	size_t i;

	/* A fresh machine has much RAM and no code: its lines are not touched. */
	if (!machine->nr_blocks)
		return;
	for (i = 0; i < NR_BLOCK_BUCKETS; i++)
		while (machine->buckets[i])
			block_bury(machine, &machine->buckets[i]);
	for (i = 0; i < machine->nr_slots; i++)
		memset(machine->slots[i].code_lines, 0, machine->slots[i].len_bytes / PAGE_BYTES * sizeof(uint64_t));
	code_changed(machine);
}

void block_free_dead(struct machine *machine)
{
	while (machine->dead) {
		struct block *block = machine->dead;

		machine->dead = block->next;
		free(block);
	}
}

static void op_raise_ud(struct cpu *cpu, const struct op *op)
{
	(void)op;
	cpu_raise(cpu, VECTOR_UD);
}

static void op_raise_too_long(struct cpu *cpu, const struct op *op)
{
	(void)op;
	cpu_raise_error(cpu, VECTOR_GP, 0);
}

#define MAX_INSN_BYTES 15

/* Bytes that are no instruction are one that faults. */
static void op_set_bad(struct op *op, enum decode_result result)
{
	*op = (struct op) { .exec = result == DECODE_TOO_LONG ? op_raise_too_long : op_raise_ud, .length = 1 };
}

/*
 * Fills @ops with what begins in the page's @len bytes; 0 when the first instruction is longer than they are. *@ret_len is
 * how many of them it depends on: any of an instruction's may be what makes it none.
 */
static unsigned int decode_ops(struct cpu *cpu, const uint8_t *bytes, size_t len, struct op *ops, uint16_t *ret_len)
{
	unsigned int nr = 0;
	size_t at = 0;
	bool ends = false;

	while (nr < MAX_BLOCK_OPS && at < len && !ends) {
		enum decode_result result = op_decode(&cpu->machine->index, cpu->code_mode, bytes + at, len - at,
			&ops[nr],
			&ends);

		if (result == DECODE_MORE)
			break;
		if (result != DECODE_OK) {
			op_set_bad(&ops[nr++], result);
			at = len - at < MAX_INSN_BYTES ? len : at + MAX_INSN_BYTES;
			break;
		}
		at += ops[nr++].length;
	}
	*ret_len = (uint16_t)at;
	return nr;
}

/* A write to the page must come by the slow way from now on. */
static void page_has_code(struct machine *machine, struct ram_slot *slot, uint64_t gpa, uint64_t len)
{
	uint64_t *lines = &slot->code_lines[(gpa - slot->gpa) / PAGE_BYTES];
	unsigned int i;

	for (i = 0; !*lines && i < machine->nr_cpus; i++)
		cpu_forget_fast(machine->cpus[i]);
	*lines |= line_bits(gpa & PAGE_MASK, len);
}

static struct block *block_new(struct cpu *cpu, struct ram_slot *slot, uint64_t gpa)
{
	struct machine *machine = cpu->machine;
	struct op ops[MAX_BLOCK_OPS];
	struct block **bucket, *block;
	uint16_t len;
	unsigned int nr = decode_ops(cpu, slot->host + (gpa - slot->gpa), PAGE_BYTES - (gpa & PAGE_MASK), ops, &len);

	if (!nr)
		return NULL;
	if (machine->nr_blocks >= MAX_BLOCKS)
		block_forget_all(machine);
	block = malloc(sizeof(*block) + nr * sizeof(ops[0]) + len);
	if (!block)
		return NULL;
	bucket = block_bucket(machine, gpa);
	*block = (struct block) { .next = *bucket, .gpa = gpa, .len_bytes = len, .mode = (uint8_t)cpu->code_mode,
		.nr_ops = (uint8_t)nr, .epoch = machine->epoch };
	memcpy(block->ops, ops, nr * sizeof(ops[0]));
	memcpy(block->ops + nr, slot->host + (gpa - slot->gpa), len);
	*bucket = block;
	machine->nr_blocks++;
	page_has_code(machine, slot, gpa, len);
	return block;
}

/* True when the block is what memory has; else it is forgotten. */
static bool block_is_current(struct machine *machine, struct ram_slot *slot, struct block *block)
{
	if (block->epoch == machine->epoch)
		return true;
	if (memcmp(block->ops + block->nr_ops, slot->host + (block->gpa - slot->gpa), block->len_bytes)) {
		block_forget_range(machine, slot, block->gpa, block->len_bytes);
		return false;
	}
	block->epoch = machine->epoch;
	return true;
}

void machine_ram_may_have_changed(struct machine *machine)
{
	machine->epoch++;
	code_changed(machine);
}

/* Bytes of code that may be fetched before the limit of CS. */
static uint64_t bytes_to_limit(const struct cpu *cpu)
{
	if (cpu->is_long64)
		return ~0ull;
	return cpu->rip > cpu->segs[SEG_CS].limit ? 0 : cpu->segs[SEG_CS].limit - cpu->rip + 1;
}

static unsigned int fetch_bytes(struct cpu *cpu, uint64_t linear, uint8_t *bytes, unsigned int nr)
{
	uint64_t gpa = page_translate(cpu, linear, ACCESS_EXEC, false);
	unsigned int i;

	for (i = 0; i < nr && (gpa & PAGE_MASK) + i < PAGE_BYTES; i++)
		bytes[i] = (uint8_t)physical_read(cpu->machine, gpa + i, 1);
	return i;
}

/* One instruction, byte by byte: across pages, up to the limit or from what is no RAM. Not kept. */
static struct block *block_fetch_one(struct cpu *cpu, uint64_t linear)
{
	struct block *block = cpu->scratch;
	uint8_t bytes[MAX_INSN_BYTES];
	uint64_t room = bytes_to_limit(cpu);
	unsigned int nr, most = room < sizeof(bytes) ? (unsigned int)room : sizeof(bytes);
	enum decode_result result;
	bool ends;

	nr = fetch_bytes(cpu, linear, bytes, most);
	result = op_decode(&cpu->machine->index, cpu->code_mode, bytes, nr, &block->ops[0], &ends);
	if (result == DECODE_MORE && nr < most) {
		nr += fetch_bytes(cpu, (linear + nr) & cpu->linear_mask, bytes + nr, most - nr);
		result = op_decode(&cpu->machine->index, cpu->code_mode, bytes, nr, &block->ops[0], &ends);
	}
	if (result == DECODE_MORE)
		cpu_raise_error(cpu, VECTOR_GP, 0);
	if (result != DECODE_OK)
		op_set_bad(&block->ops[0], result);
	block->nr_ops = 1;
	return block;
}

struct block *block_at_rip(struct cpu *cpu)
{
	struct jump_entry *jump = &cpu->jumps[cpu->rip % NR_JUMP_ENTRIES];
	uint64_t linear = (cpu->is_long64 ? cpu->rip : cpu->segs[SEG_CS].base + cpu->rip) & cpu->linear_mask;
	struct ram_slot *slot;
	struct block *block = NULL;
	uint64_t gpa;

	block_free_dead(cpu->machine);
	if (!bytes_to_limit(cpu) || (cpu->is_long64 && !is_canonical(cpu, linear)))
		cpu_raise_error(cpu, VECTOR_GP, 0);
	gpa = page_translate(cpu, linear, ACCESS_EXEC, false);
	slot = ram_find(cpu->machine, gpa);
	if (slot)
		block = block_find(cpu->machine, gpa, cpu->code_mode);
	if (block && !block_is_current(cpu->machine, slot, block))
		block = NULL;
	if (slot && !block)
		block = block_new(cpu, slot, gpa);
	if (!block || block->len_bytes > bytes_to_limit(cpu))
		return block_fetch_one(cpu, linear);
	*jump = (struct jump_entry) { cpu->rip, cpu->jump_generation, block };
	return block;
}
