/* SPDX-License-Identifier: MIT */
/*
 * A selector is loaded into a segment register only when its descriptor allows it; else #GP, #NP or #SS with the
 * selector as error code, the register and the descriptor unchanged. A load sets the descriptor's accessed bit. KVM's
 * emulator has the same rules.
 *
 * Can break: an error code without the selector, or with its RPL; #NP for #SS; an accessed bit set by a load that
 * faults; a type that is not looked at.
 * Source: APM vol. 2, 4.10 and 8.2; SDM vol. 2B, MOV, "Protected Mode Exceptions" and "64-Bit Mode Exceptions".
 */
#include "cases/mmu/forced.h"

enum seg { IN_ES, IN_SS };

struct row {
	ROW_FIELDS;
	enum seg seg;
	uint16_t selector;
	uint8_t access;		/* P, DPL, S, type */
	int32_t vector;		/* 0: it is legal */
	uint32_t error_code;
	bool forced;
};

#define DATA_RW 0x92
#define DATA_RO 0x90
#define CODE_X 0x98
#define CODE_RX 0x9a
#define TSS_FREE 0x89

#define BOTH(label_, ...)								\
	{ .label = label_, __VA_ARGS__ },						\
	{ .label = label_ "_forced", .needs = FORCED_NEEDS, .forced = true, __VA_ARGS__ }
#define SELECTOR SEL_FREE

static const struct row rows[] = {
	BOTH("es_data", .seg = IN_ES, .selector = SELECTOR, .access = DATA_RW),
	BOTH("es_read_only", .seg = IN_ES, .selector = SELECTOR, .access = DATA_RO),
	BOTH("es_readable_code", .seg = IN_ES, .selector = SELECTOR, .access = CODE_RX),
	BOTH("es_code", .seg = IN_ES, .selector = SELECTOR, .access = CODE_X, .vector = GP_VECTOR,
	     .error_code = SELECTOR),
	BOTH("es_system", .seg = IN_ES, .selector = SELECTOR, .access = TSS_FREE, .vector = GP_VECTOR,
	     .error_code = SELECTOR),
	BOTH("es_not_present", .seg = IN_ES, .selector = SELECTOR, .access = DATA_RW & 0x7f, .vector = NP_VECTOR,
	     .error_code = SELECTOR),
	{ .label = "es_dpl0_rpl3", .seg = IN_ES, .selector = SELECTOR | 3, .access = DATA_RW, .vector = GP_VECTOR,
	  .error_code = SELECTOR },
	{ .label = "es_dpl0_rpl3_forced", .needs = FORCED_NEEDS, .forced = true, .seg = IN_ES,
	  .selector = SELECTOR | 3, .access = DATA_RW, .vector = GP_VECTOR, .error_code = SELECTOR,
	  .known = { .finding = "0303-emulator-rpl-above-dpl" } },
	BOTH("es_dpl3_rpl3", .seg = IN_ES, .selector = SELECTOR | 3, .access = DATA_RW | 0x60),
	BOTH("es_null", .seg = IN_ES, .selector = 0, .access = DATA_RW),
	BOTH("es_null_rpl3", .seg = IN_ES, .selector = 3, .access = DATA_RW),
	BOTH("es_beyond_gdt", .seg = IN_ES, .selector = 0xe8, .access = DATA_RW, .vector = GP_VECTOR,
	     .error_code = 0xe8),
	BOTH("es_no_ldt", .seg = IN_ES, .selector = SELECTOR | 4, .access = DATA_RW, .vector = GP_VECTOR,
	     .error_code = SELECTOR | 4),
	BOTH("ss_data", .seg = IN_SS, .selector = SELECTOR, .access = DATA_RW),
	BOTH("ss_read_only", .seg = IN_SS, .selector = SELECTOR, .access = DATA_RO, .vector = GP_VECTOR,
	     .error_code = SELECTOR),
	BOTH("ss_code", .seg = IN_SS, .selector = SELECTOR, .access = CODE_RX, .vector = GP_VECTOR,
	     .error_code = SELECTOR),
	BOTH("ss_not_present", .seg = IN_SS, .selector = SELECTOR, .access = DATA_RW & 0x7f, .vector = SS_VECTOR,
	     .error_code = SELECTOR),
	BOTH("ss_dpl3", .seg = IN_SS, .selector = SELECTOR, .access = DATA_RW | 0x60, .vector = GP_VECTOR,
	     .error_code = SELECTOR),
	BOTH("ss_rpl3", .seg = IN_SS, .selector = SELECTOR | 3, .access = DATA_RW, .vector = GP_VECTOR,
	     .error_code = SELECTOR),
	/* QEMU 7.2 takes it in 64-bit mode. */
	{ .label = "ss_null_rpl3", .modes = PROTECTED, .seg = IN_SS, .selector = 3, .access = DATA_RW,
	  .vector = GP_VECTOR },
	{ .label = "ss_null_rpl3_forced", .needs = FORCED_NEEDS, .forced = true, .seg = IN_SS, .selector = 3,
	  .access = DATA_RW, .vector = GP_VECTOR },
	BOTH("ss_null_32", .modes = PROTECTED, .seg = IN_SS, .selector = 0, .access = DATA_RW, .vector = GP_VECTOR),
	BOTH("ss_null_64", .modes = LONG64, .seg = IN_SS, .selector = 0, .access = DATA_RW),
};

CASE(segment_load, .says = "a segment register takes the selectors that its rules allow, in KVM's emulator too",
     .modes = PROT32 | PAE32 | LONG64, .shadow_too = true, .rows = ROWS(rows))

static uint32_t selector_read(enum seg seg)
{
	uint32_t selector;

	if (seg == IN_ES)
		__asm__ volatile("mov %%es, %0" : "=r"(selector));
	else
		__asm__ volatile("mov %%ss, %0" : "=r"(selector));
	return selector & 0xffff;
}

static struct fault selector_load(const struct row *row, uint32_t selector)
{
	if (row->seg == IN_ES)
		return row->forced ? TRY_FORCED("mov %0, %%es", : : "r"(selector) : "memory")
				   : TRY("mov %0, %%es", : : "r"(selector) : "memory");
	return row->forced ? TRY_FORCED("mov %0, %%ss", : : "r"(selector) : "memory")
			   : TRY("mov %0, %%ss", : : "r"(selector) : "memory");
}

GUEST(segment_load)
{
	const struct row *row = GUEST_ROW(rows);
	volatile uint64_t *gdt = (volatile uint64_t *)GDT_GPA;
	uint64_t descriptor = (gdt[SEL_DATA / 8] & ~(0xffull << 40)) | (uint64_t)row->access << 40, after;
	uint32_t old = selector_read(row->seg), now;
	struct fault f;

	gdt[SEL_FREE / 8] = descriptor;
	f = selector_load(row, row->selector);
	now = selector_read(row->seg);
	after = gdt[SEL_FREE / 8];
	__asm__ volatile("mov %0, %%es\n\tmov %0, %%ss" : : "r"(SEL_DATA) : "memory");
	if (row->vector)
		CHECK_FAULT(row->vector, row->error_code, f);
	else
		CHECK_NO_FAULT(f);
	CHECK_EQ(row->vector ? old : row->selector, now);
	CHECK_EQ(row->vector || row->selector < 8 ? descriptor : descriptor | 1ull << 40, after);
	CHECK_EQ(0, gdt[SEL_FREE / 8 + 1]);
}

HOST(segment_load)
{
	expect_done(t);
}
