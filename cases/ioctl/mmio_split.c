/* SPDX-License-Identifier: MIT */
/*
 * An access that crosses a page is two: each part is RAM or MMIO as its own page is, the lower address first.
 *
 * The page below MMIO here is made RAM (slot 1), as is one behind it, so that an operand can lie half in a slot. The
 * bytes of the part in RAM are stored at once, without an exit, and only they.
 *
 * Can break: the whole access treated as its first page; the second part's data taken from the first part's start; an
 * exit of a length that runs over the page; a split write done twice when it is completed.
 * Source: KVM API, KVM_EXIT_MMIO; APM vol. 2, 5.3 (each page is translated by itself).
 */
#include "cases/ioctl/blob.h"

/* Instructions of 2, 4 and 8 bytes, in code of every width. */
BLOB(st16, "mov %ax, (%edi)")
BLOB(st32, "mov %eax, (%edi)")
BLOB(ld16, "mov (%edi), %ax")
BLOB(ld32, "mov (%edi), %eax")
BLOB(add32, "addl $1, (%edi)")
BLOB(xchg32, "xchg %eax, (%edi)")
BLOB(cmpxchg8b, "cmpxchg8b (%edi)")
BLOB(movsl, "movsl")

/* Offsets from the start of MMIO. RAM is the page below it, and pages 4 and 5. */
#define RAM_BELOW (-0x1000ll)
#define RAM_ABOVE 0x4000
#define PAGE 0x1000

struct row {
	struct blob_row blob;
	int64_t at;		/* the RAM that changes: offset from the start of MMIO */
	uint8_t nr_bytes;
	uint64_t before, after;
};

#define ROW_AT(label_, name_, ...) { .blob = { .label = label_, BLOB_OF(name_), __VA_ARGS__ }
#define AT_RDI(offset_) .in = { PTR(RDI, MMIO, offset_) }
#define RAM_CHANGES(at_, nr_bytes_, before_, after_)					\
	.at = at_, .nr_bytes = nr_bytes_, .before = before_, .after = after_ }
#define NO_RAM .nr_bytes = 0 }

static const struct row rows[] = {
	ROW_AT("st16_pages", st16, AT_RDI(0xfff), .steps = { WR(0xfff, 1, 0xa8), WR(0x1000, 1, 0xa7) }), NO_RAM,
	ROW_AT("st32_pages_1_3", st32, AT_RDI(0xfff), .steps = { WR(0xfff, 1, 0xa8), WR(0x1000, 3, 0xa5a6a7) }), NO_RAM,
	ROW_AT("st32_pages_3_1", st32, AT_RDI(0xffd), .steps = { WR(0xffd, 3, 0xa6a7a8), WR(0x1000, 1, 0xa5) }), NO_RAM,
	ROW_AT("st32_last_of_page", st32, AT_RDI(0xffc), .steps = { WR(0xffc, 4, 0xa5a6a7a8) }), NO_RAM,
	ROW_AT("ld16_pages", ld16, AT_RDI(0xfff), .steps = { RD(0xfff, 1, 0x11), RD(0x1000, 1, 0x22) },
	       .out = { REG(RAX, 0xa1a2a3a4a5a62211) }), NO_RAM,
	ROW_AT("ld32_pages_2_2", ld32, AT_RDI(0xffe), .steps = { RD(0xffe, 2, 0x1122), RD(0x1000, 2, 0x3344) },
	       .out = { REG(RAX, 0x33441122) }), NO_RAM,
	ROW_AT("ld32_pages_1_3", ld32, AT_RDI(0x1fff), .steps = { RD(0x1fff, 1, 0x11), RD(0x2000, 3, 0x223344) },
	       .out = { REG(RAX, 0x22334411) }), NO_RAM,
	ROW_AT("add32_pages", add32, AT_RDI(0xffe),
	       .steps = { RD(0xffe, 2, 0xffff), RD(0x1000, 2, 0x00ff), WR(0xffe, 2, 0), WR(0x1000, 2, 0x0100) },
	       FLAGS(PF | AF)), NO_RAM,
	ROW_AT("xchg32_pages", xchg32, AT_RDI(0xffd),
	       .steps = { RD(0xffd, 3, 0x112233), RD(0x1000, 1, 0x44), WR(0xffd, 3, 0xa6a7a8), WR(0x1000, 1, 0xa5) },
	       .out = { REG(RAX, 0x44112233) }), NO_RAM,
	ROW_AT("cmpxchg8b_pages", cmpxchg8b, AT_RDI(0xffb), .modes = PROT32 | LONG64,
	       .steps = { RD(0xffb, 5, 0xd8a5a6a7a8), RD(0x1000, 3, 0xd5d6d7), WR(0xffb, 5, 0xc8b5b6b7b8),
			  WR(0x1000, 3, 0xc5c6c7) },
	       FLAGS(FLAGS_BEFORE | ZF)), NO_RAM,
	ROW_AT("movsl_pages", movsl, .in = { PTR(RSI, MMIO, 0xffe), PTR(RDI, MMIO, 0x1fff) },
	       .steps = { RD(0xffe, 2, 0x1122), RD(0x1000, 2, 0x3344), WR(0x1fff, 1, 0x22), WR(0x2000, 3, 0x334411) },
	       .out = { PTR(RSI, MMIO, 0x1002), PTR(RDI, MMIO, 0x2003) }), NO_RAM,

	ROW_AT("st32_ram_mmio", st32, AT_RDI(-3ull), .modes = PROT32 | LONG64, .steps = { WR(0, 1, 0xa5) }),
	RAM_CHANGES(-3, 3, 0x112233, 0xa6a7a8),
	ROW_AT("st32_mmio_ram", st32, AT_RDI(0x3fff), .steps = { WR(0x3fff, 1, 0xa8) }),
	RAM_CHANGES(0x4000, 3, 0x112233, 0xa5a6a7),
	ROW_AT("ld32_ram_mmio", ld32, AT_RDI(-2ull), .modes = PROT32 | LONG64, .steps = { RD(0, 2, 0x3344) },
	       .out = { REG(RAX, 0x33441122) }),
	RAM_CHANGES(-2, 2, 0x1122, 0x1122),
	ROW_AT("ld32_mmio_ram", ld32, AT_RDI(0x3fff), .steps = { RD(0x3fff, 1, 0x11) }, .out = { REG(RAX, 0x22334411) }),
	RAM_CHANGES(0x4000, 3, 0x223344, 0x223344),
	ROW_AT("add32_ram_mmio", add32, AT_RDI(-1ull), .modes = PROT32 | LONG64,
	       .steps = { RD(0, 3, 0), WR(0, 3, 1) }, FLAGS(PF | AF)),
	RAM_CHANGES(-1, 1, 0xff, 0x00),
	ROW_AT("add32_mmio_ram", add32, AT_RDI(0x3ffe), .steps = { RD(0x3ffe, 2, 0xffff), WR(0x3ffe, 2, 0) },
	       FLAGS(PF | AF)),
	RAM_CHANGES(0x4000, 2, 0x1233, 0x1234),
	ROW_AT("st32_mmio_before_ram", st32, AT_RDI(0x3ffc), .steps = { WR(0x3ffc, 4, 0xa5a6a7a8) }), NO_RAM,
	ROW_AT("st32_ram_first", st32, AT_RDI(0x4000)), RAM_CHANGES(0x4000, 4, 0x11223344, 0xa5a6a7a8),
	ROW_AT("st32_ram_last", st32, AT_RDI(-4ull), .modes = PROT32 | LONG64), RAM_CHANGES(-4, 4, 0x11223344, 0xa5a6a7a8),
};

CASE(mmio_split, .says = "an access across pages is two, each what its page is", .modes = REAL16 | PROT32 | LONG64,
     .rows = ROWS(rows), .shadow_too = true)

GUEST(mmio_split)
{
}

static void page_fill(uint8_t *page, const struct row *row, int64_t page_at, uint64_t value)
{
	unsigned int i;

	for (i = 0; i < PAGE; i++)
		page[i] = i * 13 + 5;
	if (row->nr_bytes && row->at >= page_at && row->at < page_at + PAGE)
		memcpy(page + (row->at - page_at), &value, row->nr_bytes);
}

static void page_check(struct test *t, const struct row *row, const uint8_t *page, int64_t page_at)
{
	uint8_t want[PAGE];

	page_fill(want, row, page_at, row->after);
	expect_bytes(t, want, page, PAGE);
}

HOST(mmio_split)
{
	const struct row *row = ROW(t, rows);
	uint8_t *below = vm_slot_add(t->vm, 1, 0, test_mmio_gpa(t) + RAM_BELOW, PAGE);
	uint8_t *above = vm_slot_add(t->vm, 2, 0, test_mmio_gpa(t) + RAM_ABOVE, PAGE);

	page_fill(below, row, RAM_BELOW, row->before);
	page_fill(above, row, RAM_ABOVE, row->before);
	blob_run(t, &row->blob);
	page_check(t, row, below, RAM_BELOW);
	page_check(t, row, above, RAM_ABOVE);
}
