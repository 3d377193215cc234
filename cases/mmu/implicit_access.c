/* SPDX-License-Identifier: MIT */
/*
 * The CPU's own accesses to the descriptor table are a supervisor's at any CPL: a program at CPL 3 loads a segment
 * register by a GDT that only the supervisor may access, and the descriptor's accessed bit is written there.
 *
 * Can break: KVM's emulator reads or writes a descriptor with the rights of the program.
 * Source: APM vol. 2, 5.6.2 (user/supervisor), 4.8.1 (accessed bit); SDM vol. 3A, 4.6.1 (implicit supervisor accesses).
 */
#include "cases/mmu/forced.h"
#include "cases/mmu/walk.h"

struct row {
	ROW_FIELDS;
	bool forced;
};

static const struct row rows[] = {
	{ .label = "native" },
	{ .label = "forced", .needs = FORCED_NEEDS, .forced = true },
};

CASE(implicit_access, .says = "a segment load at CPL 3 reads and marks a descriptor that is the supervisor's",
     .modes = PAGE32 | PAE32 | LONG64, .rows = ROWS(rows), .shadow_too = true)

#define DATA_DPL3 0xf2ull	/* present, writable, not accessed */
#define ACCESSED (1ull << 40)

/* Into a page of its own: MOV of the selector to EAX, MOV to ES, INT 0x80. */
static void user_code_write(uint8_t *at, bool is_forced)
{
	const uint32_t selector = SEL_FREE | 3;

	*at++ = 0xb8;
	memcpy(at, &selector, 4);
	at += 4;
	if (is_forced) {
		memcpy(at, "\x0f\x0bkvm", 5);
		at += 5;
	}
	memcpy(at, "\x8e\xc0\xcd\x80", 4);
}

GUEST(implicit_access)
{
	const struct row *row = GUEST_ROW(rows);
	volatile uint64_t *gdt = (volatile uint64_t *)GDT_GPA;
	uint64_t descriptor = (gdt[SEL_DATA / 8] & ~(0xffull << 40)) | DATA_DPL3 << 40;
	uint8_t *page = page_alloc();
	struct fault f;

	gdt[SEL_FREE / 8] = descriptor;
	user_code_write(page, row->forced);
	make_supervisor();
	page_map(WALK_USER_VA, (ulong_t)page, PTE_P | PTE_U | PTE_A);
	((uint8_t *)pte_find(WALK_USER_VA, 2))[0] |= PTE_U;
	f = guest_catch_user((void (*)(void *))WALK_USER_VA, NULL);
	CHECK_NO_FAULT(f);
	CHECK_EQ(descriptor | ACCESSED, gdt[SEL_FREE / 8]);
}

HOST(implicit_access)
{
	expect_done(t);
}
