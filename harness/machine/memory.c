/* SPDX-License-Identifier: MIT */
#include "machine/private.h"

#include "machine/debug.h"
#include "machine/event.h"
#include "machine/tlb.h"
#include "vm/x86/bits.h"

/* Where an access is in physical memory: in one page, or in two. */
struct place {
	uint64_t gpas[2];
	unsigned int lens[2];	/* bytes; lens[1] is 0 for one page */
};

static struct place place_of(struct cpu *cpu, uint64_t linear, unsigned int size, enum access access, bool is_system)
{
	uint64_t next = ((linear & ~PAGE_MASK) + PAGE_BYTES) & cpu->linear_mask;
	unsigned int rest = (unsigned int)(PAGE_BYTES - (linear & PAGE_MASK));
	struct place place = { .lens = { size < rest ? size : rest } };

	/* Segments are checked by whoever goes through one; the CPU's own accesses, to descriptors and the TSS, are not. */
	if (is_system && (cpu->efer & EFER_LMA) && !(is_canonical(cpu, linear) && is_canonical(cpu, linear + size - 1)))
		cpu_raise_error(cpu, VECTOR_GP, 0);
	place.lens[1] = size - place.lens[0];
	place.gpas[0] = page_translate(cpu, linear, access, is_system);
	if (place.lens[1])
		place.gpas[1] = page_translate(cpu, next, access, is_system);
	return place;
}

static bool is_number(unsigned int len)
{
	return !(len & (len - 1));
}

/* The part of an access that is in one page has any length up to 8: bytes of RAM, or one access of the bus. */
static uint64_t part_read(struct machine *machine, uint64_t gpa, unsigned int len)
{
	uint64_t value = 0;
	unsigned int i;

	if (is_number(len) || !ram_find(machine, gpa))
		return physical_read(machine, gpa, len);
	for (i = 0; i < len; i++)
		value |= physical_read(machine, gpa + i, 1) << 8 * i;
	return value;
}

static void part_write(struct machine *machine, uint64_t gpa, unsigned int len, uint64_t value)
{
	const struct ram_slot *slot = ram_find(machine, gpa);
	unsigned int i;

	if (is_number(len) || !slot || slot->is_readonly) {
		physical_write(machine, gpa, len, value & bytes_mask(len));
		return;
	}
	for (i = 0; i < len; i++)
		physical_write(machine, gpa + i, 1, value >> 8 * i & 0xff);
}

static uint64_t place_read(struct machine *machine, const struct place *place)
{
	uint64_t low = part_read(machine, place->gpas[0], place->lens[0]);

	if (!place->lens[1])
		return low;
	return low | part_read(machine, place->gpas[1], place->lens[1]) << 8 * place->lens[0];
}

static void place_write(struct machine *machine, const struct place *place, uint64_t value)
{
	part_write(machine, place->gpas[0], place->lens[0], value);
	if (place->lens[1])
		part_write(machine, place->gpas[1], place->lens[1], value >> 8 * place->lens[0]);
}

/* Remembers the page for memory_fast(), when it is RAM and a write to it can change no decoded code. */
static void fast_page_fill(struct cpu *cpu, uint64_t linear, uint64_t gpa, enum access access)
{
	const struct ram_slot *slot = ram_find(cpu->machine, gpa);
	struct fast_page *page = &cpu->fast[access][linear / PAGE_BYTES % NR_FAST_PAGES];

	if (!slot)
		return;
	if (access == ACCESS_WRITE && (slot->is_readonly || slot->code_lines[(gpa - slot->gpa) / PAGE_BYTES]))
		return;
	if (access == ACCESS_WRITE)
		ram_slot_mark(slot, gpa);
	page->tag = (linear & ~PAGE_MASK) | cpu->fast_generation;
	page->addend = (uintptr_t)slot->host + (gpa - slot->gpa) - linear;
}

uint64_t linear_read(struct cpu *cpu, uint64_t linear, unsigned int size, bool is_system)
{
	struct place place = place_of(cpu, linear, size, ACCESS_READ, is_system);

	if (!place.lens[1] && !is_system)
		fast_page_fill(cpu, linear, place.gpas[0], ACCESS_READ);
	return place_read(cpu->machine, &place);
}

void linear_write(struct cpu *cpu, uint64_t linear, unsigned int size, uint64_t value, bool is_system)
{
	struct place place = place_of(cpu, linear, size, ACCESS_WRITE, is_system);

	if (!place.lens[1] && !is_system)
		fast_page_fill(cpu, linear, place.gpas[0], ACCESS_WRITE);
	place_write(cpu->machine, &place, value);
}

void linear_check_write(struct cpu *cpu, uint64_t linear, unsigned int size, bool is_system)
{
	place_of(cpu, linear, size, ACCESS_WRITE, is_system);
}

static _Noreturn void raise_segment(struct cpu *cpu, unsigned int seg)
{
	cpu_raise_error(cpu, seg == SEG_SS ? VECTOR_SS : VECTOR_GP, 0);
}

/* Type checks are protected mode's only: real and virtual-8086 mode ignore them (APM vol. 2, 4.10). */
static bool is_type_allowed(const struct cpu *cpu, const struct segment *segment, enum access access)
{
	unsigned int type = segment->attrib;

	if (!(cpu->cr0 & X86_CR0_PE) || (cpu->rflags & X86_EFLAGS_VM))
		return true;
	if (!(type & SEG_P))
		return false;
	if (type & SEG_TYPE_CODE)
		return access == ACCESS_READ && (type & SEG_TYPE_WRITABLE);
	return access == ACCESS_READ || (type & SEG_TYPE_WRITABLE);
}

static bool is_in_limit(const struct segment *segment, uint64_t offset, unsigned int size)
{
	uint64_t last = offset + size - 1;

	if ((segment->attrib & (SEG_TYPE_CODE | SEG_TYPE_EXPAND_DOWN)) == SEG_TYPE_EXPAND_DOWN)
		return offset > segment->limit && last <= (segment->attrib & SEG_DB ? 0xffffffffu : 0xffffu);
	return last <= segment->limit;
}

uint64_t segment_linear(struct cpu *cpu, unsigned int seg, uint64_t offset, unsigned int size, enum access access)
{
	const struct segment *segment = &cpu->segs[seg];
	uint64_t linear;

	if (cpu->is_long64) {
		linear = offset + (seg >= SEG_FS ? segment->base : 0);
		if (!is_canonical(cpu, linear) || !is_canonical(cpu, linear + size - 1))
			raise_segment(cpu, seg);
		return linear;
	}
	if (!is_type_allowed(cpu, segment, access) || !is_in_limit(segment, offset, size))
		raise_segment(cpu, seg);
	return (segment->base + offset) & cpu->linear_mask;
}

static bool is_alignment_checked(const struct cpu *cpu)
{
	return cpu->cpl == 3 && (cpu->cr0 & X86_CR0_AM) && (cpu->rflags & X86_EFLAGS_AC);
}

/* After the page fault that the access meets, APM vol. 2, 8.5. */
static void check_alignment(struct cpu *cpu, uint64_t linear, unsigned int size, enum access access)
{
	if (!is_alignment_checked(cpu) || !(linear & (size - 1)))
		return;
	place_of(cpu, linear, size, access, false);
	cpu_raise_error(cpu, VECTOR_AC, 0);
}

uint64_t memory_read_slow(struct cpu *cpu, unsigned int seg, uint64_t offset, unsigned int size)
{
	uint64_t linear = segment_linear(cpu, seg, offset, size, ACCESS_READ), value;

	check_alignment(cpu, linear, size, ACCESS_READ);
	value = linear_read(cpu, linear, size, false);
	debug_access(cpu, linear, size, ACCESS_READ);
	return value;
}

void memory_write_slow(struct cpu *cpu, unsigned int seg, uint64_t offset, unsigned int size, uint64_t value)
{
	uint64_t linear = segment_linear(cpu, seg, offset, size, ACCESS_WRITE);

	check_alignment(cpu, linear, size, ACCESS_WRITE);
	linear_write(cpu, linear, size, value, false);
	debug_access(cpu, linear, size, ACCESS_WRITE);
}

uint64_t memory_read_to_write_slow(struct cpu *cpu, unsigned int seg, uint64_t offset, unsigned int size)
{
	uint64_t linear = segment_linear(cpu, seg, offset, size, ACCESS_WRITE);
	struct place place;

	/* In 64-bit mode the code that a write may go to need not be readable by type; in the others writable data is. */
	check_alignment(cpu, linear, size, ACCESS_WRITE);
	place = place_of(cpu, linear, size, ACCESS_WRITE, false);
	debug_access(cpu, linear, size, ACCESS_READ);
	return place_read(cpu->machine, &place);
}

/* What an operand of 10 bytes is aligned to is its significand; state images are 16 bytes' multiples. */
static unsigned int natural_alignment(unsigned int len_bytes)
{
	return len_bytes >= 16 ? 16 : len_bytes >= 8 ? 8 : len_bytes;
}

static void check_aligned(struct cpu *cpu, unsigned int seg, uint64_t offset, unsigned int alignment)
{
	uint64_t base = cpu->is_long64 && seg < SEG_FS ? 0 : cpu->segs[seg].base;

	if ((base + offset) & (alignment - 1))
		cpu_raise_error(cpu, VECTOR_GP, 0);
}

/* x87's environment and images of the state are longer than any register, or not as long as any. */
static bool is_state(unsigned int len_bytes)
{
	return len_bytes > 10 && len_bytes != 16;
}

/*
 * What AMD's CPUs look at first: of x87's state the first number, then the last byte; of an aligned image the last
 * byte. Each is an access of its own, whose address may wrap around.
 */
static uint64_t state_linear(struct cpu *cpu, unsigned int seg, uint64_t offset, unsigned int len_bytes,
	unsigned int alignment, enum access access)
{
	unsigned int first_bytes = cpu->op->is_16bit ? 2 : 4;
	uint64_t last = (offset + len_bytes - 1) & cpu->op->address_mask, linear = 0, last_linear;

	if (alignment == 1) {
		linear = segment_linear(cpu, seg, offset, first_bytes, access);
		place_of(cpu, linear, first_bytes, access, false);
	}
	last_linear = segment_linear(cpu, seg, last, 1, access);
	if (alignment > 1)
		linear = segment_linear(cpu, seg, offset, 16, access);
	check_aligned(cpu, seg, offset, alignment);
	page_translate(cpu, last_linear, access, false);
	if (alignment == 1)
		return linear;
	page_translate(cpu, linear, access, false);
	return linear;
}

/* AMD's CPUs check alignment before all else: also where the address is not canonical, or not in the segment. */
static uint64_t bytes_linear(struct cpu *cpu, unsigned int seg, uint64_t offset, unsigned int len_bytes,
	unsigned int alignment, enum access access)
{
	uint64_t linear;

	if (is_state(len_bytes)) {
		linear = state_linear(cpu, seg, offset, len_bytes, alignment, access);
	} else {
		check_aligned(cpu, seg, offset, alignment);
		linear = segment_linear(cpu, seg, offset, len_bytes, access);
	}
	if (is_alignment_checked(cpu) && (linear & (natural_alignment(len_bytes) - 1))) {
		place_of(cpu, linear, len_bytes, access, false);
		cpu_raise_error(cpu, VECTOR_AC, 0);
	}
	return linear;
}

/* Bytes of the piece of an access that begins at @at: 8, or the largest power of two that is left. */
static unsigned int piece_len(unsigned int at, unsigned int len_bytes)
{
	unsigned int rest = len_bytes - at;

	return rest >= 8 ? 8 : 1u << (31 - __builtin_clz(rest));
}

void memory_read_bytes(struct cpu *cpu, unsigned int seg, uint64_t offset, void *to, unsigned int len_bytes,
	unsigned int alignment)
{
	uint64_t linear = bytes_linear(cpu, seg, offset, len_bytes, alignment, ACCESS_READ);
	unsigned int at, len;

	for (at = 0; at < len_bytes; at += len) {
		uint64_t piece = (linear + at) & cpu->linear_mask;

		len = piece_len(at, len_bytes);
		host_write((uint8_t *)to + at, len, linear_read(cpu, piece, len, false));
		debug_access(cpu, piece, len, ACCESS_READ);
	}
}

void memory_check_write_bytes(struct cpu *cpu, unsigned int seg, uint64_t offset, unsigned int len_bytes,
	unsigned int alignment)
{
	uint64_t linear = bytes_linear(cpu, seg, offset, len_bytes, alignment, ACCESS_WRITE);

	linear_check_write(cpu, linear, len_bytes, false);
}

void memory_write_bytes(struct cpu *cpu, unsigned int seg, uint64_t offset, const void *from, unsigned int len_bytes,
	unsigned int alignment)
{
	uint64_t linear = bytes_linear(cpu, seg, offset, len_bytes, alignment, ACCESS_WRITE);
	unsigned int at, len;

	linear_check_write(cpu, linear, len_bytes, false);
	for (at = 0; at < len_bytes; at += len) {
		uint64_t piece = (linear + at) & cpu->linear_mask;

		len = piece_len(at, len_bytes);
		linear_write(cpu, piece, len, host_read((const uint8_t *)from + at, len), false);
		debug_access(cpu, piece, len, ACCESS_WRITE);
	}
}

/*
 * Note, a window that is not whole leaves the last 15 bytes to the slow way, so that one comparison does for all
 * sizes.
 */
static struct window segment_window(const struct cpu *cpu, unsigned int seg)
{
	const struct segment *segment = &cpu->segs[seg];
	struct window window = { .base = segment->base };
	uint64_t len;

	if (is_alignment_checked(cpu) || debug_is_armed(cpu))
		return window;
	if (cpu->is_long64) {
		window.base = seg >= SEG_FS ? segment->base : 0;
		window.len[ACCESS_READ] = window.len[ACCESS_WRITE] = ~0ull;
		return window;
	}
	if ((segment->attrib & (SEG_TYPE_CODE | SEG_TYPE_EXPAND_DOWN)) == SEG_TYPE_EXPAND_DOWN)
		return window;
	len = segment->limit < 15 ? 0 : (uint64_t)segment->limit + 1 - 15;
	window.len[ACCESS_READ] = is_type_allowed(cpu, segment, ACCESS_READ) ? len : 0;
	window.len[ACCESS_WRITE] = is_type_allowed(cpu, segment, ACCESS_WRITE) ? len : 0;
	return window;
}

void cpu_windows_changed(struct cpu *cpu)
{
	unsigned int i;

	cpu->fast = cpu->fast_pages[cpu->cpl == 3];
	for (i = 0; i < NR_SEGS; i++)
		cpu->windows[i] = segment_window(cpu, i);
}
