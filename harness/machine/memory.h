/* SPDX-License-Identifier: MIT */
/*
 * The machine's physical address space, and a CPU's accesses to it by linear address and by segment and offset.
 *
 * Little-endian numbers of 1, 2, 4 or 8 bytes. The cpu_ functions raise what the access meets: #SS or #GP for
 * segment and canonical checks, #PF, #AC. An access across two pages translates both before it touches either.
 */
#ifndef VMASSAY_MACHINE_MEMORY_H
#define VMASSAY_MACHINE_MEMORY_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "machine/cpu.h"

#define PAGE_BYTES 4096u
#define PAGE_MASK 0xfffull

/* Physical */
struct ram_slot {
	uint64_t gpa;
	uint64_t len_bytes;
	uint8_t *host;
	bool is_readonly;
	uint64_t *code_lines;	/* for each page: which of its 64-byte lines have been decoded */
	uint64_t *dirty;	/* the owner's: a bit for each page that was written, or NULL */
};

static inline void ram_slot_mark(const struct ram_slot *slot, uint64_t gpa)
{
	uint64_t page = (gpa - slot->gpa) / PAGE_BYTES;

	if (slot->dirty)
		slot->dirty[page / 64] |= 1ull << page % 64;
}

/* All ones of @len_bytes, 1 to 8. */
static inline uint64_t bytes_mask(unsigned int len_bytes)
{
	return ~0ull >> (64 - 8 * len_bytes);
}

/* NULL when no RAM is there. */
struct ram_slot *ram_find(struct machine *machine, uint64_t gpa);
uint64_t physical_read(struct machine *machine, uint64_t gpa, unsigned int size);
void physical_write(struct machine *machine, uint64_t gpa, unsigned int size, uint64_t value);

/* Linear. @is_system: an access to a descriptor table or TSS, which is a supervisor's at any CPL. */
uint64_t linear_read(struct cpu *cpu, uint64_t linear, unsigned int size, bool is_system);
void linear_write(struct cpu *cpu, uint64_t linear, unsigned int size, uint64_t value, bool is_system);
/* Raises what a write to all of the bytes would. */
void linear_check_write(struct cpu *cpu, uint64_t linear, unsigned int size, bool is_system);

/* Segment and offset: the slow way with all checks, in the manual's order. */
uint64_t segment_linear(struct cpu *cpu, unsigned int seg, uint64_t offset, unsigned int size, enum access access);
uint64_t memory_read_slow(struct cpu *cpu, unsigned int seg, uint64_t offset, unsigned int size);
void memory_write_slow(struct cpu *cpu, unsigned int seg, uint64_t offset, unsigned int size, uint64_t value);
uint64_t memory_read_to_write_slow(struct cpu *cpu, unsigned int seg, uint64_t offset, unsigned int size);

/*
 * Any number of bytes up to a page, with the checks of one access; #GP(0) unless the linear address is a multiple of
 * @alignment. A write writes all or nothing.
 */
void memory_read_bytes(struct cpu *cpu, unsigned int seg, uint64_t offset, void *to, unsigned int len_bytes,
	unsigned int alignment);
void memory_write_bytes(struct cpu *cpu, unsigned int seg, uint64_t offset, const void *from, unsigned int len_bytes,
	unsigned int alignment);

/* Raises what such a write would. */
void memory_check_write_bytes(struct cpu *cpu, unsigned int seg, uint64_t offset, unsigned int len_bytes,
	unsigned int alignment);

/* NULL: the slow way. */
static inline uint8_t *memory_fast(const struct cpu *cpu, unsigned int seg, uint64_t offset, unsigned int size,
	enum access access)
{
	const struct window *window = &cpu->windows[seg];
	const struct fast_page *page;
	uint64_t linear;

	if (__builtin_expect(offset - window->lo >= window->len[access], 0))
		return NULL;
	linear = (window->base + offset) & cpu->linear_mask;
	page = &cpu->fast[access][linear / PAGE_BYTES % NR_FAST_PAGES];
	/* An access into the next page has another tag. */
	if (__builtin_expect((((linear + size - 1) & ~PAGE_MASK) | cpu->fast_generation) != page->tag, 0))
		return NULL;
	return (uint8_t *)(uintptr_t)(page->addend + linear);
}

/*
 * A guest's memory is raced for by design: by other guests that share it and by user space. What moves it is one access
 * of the host's CPU, and no data race for ThreadSanitizer to report.
 */
#define MAY_RACE __attribute__((no_sanitize("thread")))

static inline MAY_RACE uint64_t host_read(const uint8_t *host, unsigned int size)
{
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;

	switch (size) {
	case 1:
		return *host;
	case 2:
		memcpy(&u16, host, sizeof(u16));
		return u16;
	case 4:
		memcpy(&u32, host, sizeof(u32));
		return u32;
	default:
		memcpy(&u64, host, sizeof(u64));
		return u64;
	}
}

static inline MAY_RACE void host_write(uint8_t *host, unsigned int size, uint64_t value)
{
	switch (size) {
	case 1:
		*host = (uint8_t)value;
		break;
	case 2:
		memcpy(host, &(uint16_t) { (uint16_t)value }, 2);
		break;
	case 4:
		memcpy(host, &(uint32_t) { (uint32_t)value }, 4);
		break;
	default:
		memcpy(host, &value, 8);
	}
}

static inline uint64_t memory_read(struct cpu *cpu, unsigned int seg, uint64_t offset, unsigned int size)
{
	const uint8_t *host = memory_fast(cpu, seg, offset, size, ACCESS_READ);

	return host ? host_read(host, size) : memory_read_slow(cpu, seg, offset, size);
}

static inline void memory_write(struct cpu *cpu, unsigned int seg, uint64_t offset, unsigned int size, uint64_t value)
{
	uint8_t *host = memory_fast(cpu, seg, offset, size, ACCESS_WRITE);

	if (host)
		host_write(host, size, value);
	else
		memory_write_slow(cpu, seg, offset, size, value);
}

/* What a read-modify-write instruction reads: faults as its write would, so that the write cannot any more. */
static inline uint64_t memory_read_to_write(struct cpu *cpu, unsigned int seg, uint64_t offset, unsigned int size)
{
	const uint8_t *host = memory_fast(cpu, seg, offset, size, ACCESS_WRITE);

	return host ? host_read(host, size) : memory_read_to_write_slow(cpu, seg, offset, size);
}

#endif
