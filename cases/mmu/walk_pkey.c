/* SPDX-License-Identifier: MIT */
/*
 * Protection keys: what PKRU takes from a user page of the key in bits 62:59 of the entry that maps it, for reads,
 * writes and fetches of supervisor and user, and for the accesses that KVM makes for INS and OUTS.
 *
 * Can break: AD or WD of another key; WD that CR0.WP does not rule for the supervisor; a key asked for a fetch, a
 * supervisor page, outside long mode or without CR4.PKE; an error code without its PK bit; KVM's copy of a guest's PKRU.
 * Source: APM vol. 2, 5.6.7 (memory protection keys) and 8.4.2; SDM vol. 3A, 4.6.2 and 4.7.
 */
#include "cases/mmu/walk.h"

struct row {
	ROW_FIELDS;
	uint8_t leaf;
	bool no_wp, no_pke;
};

static const struct row rows[] = {
	{ .label = "small", .modes = LONG64 | LA57, .leaf = 1 },
	{ .label = "small_no_wp", .modes = LONG64, .leaf = 1, .no_wp = true },
	{ .label = "small_no_pke", .modes = LONG64, .leaf = 1, .no_pke = true },
	{ .label = "large", .modes = LONG64, .leaf = 2 },
	{ .label = "huge", .needs = "cpuid:pdpe1gb", .modes = LONG64, .leaf = 3 },
	{ .label = "legacy", .modes = PAGE32 | PAE32, .leaf = 1 },
};

CASE(walk_pkey, .says = "a protection key takes from a user page what PKRU says, and nothing else",
     .modes = PAGE32 | PAE32 | LONG64 | LA57, .needs = "cpuid:pku", .irqchip = true, .rows = ROWS(rows))

#define AD 1u
#define WD 2u

static void pkru_write(uint32_t pkru)
{
	__asm__ volatile(".byte 0x0f, 0x01, 0xef" : : "a"(pkru), "c"(0), "d"(0) : "memory");
}

/* The page's rights and PKRU as they are, all accesses. */
static void key_try(struct walk_test *w, unsigned int key, uint64_t rights, uint32_t pkru)
{
	uint64_t entries[MAX_LEVELS + 1];
	unsigned int level, access;

	for (level = w->levels; level >= w->leaf; level--)
		entries[level] = w->base[level] | PTE_P | PTE_W | PTE_U;
	entries[w->leaf] = w->base[w->leaf] | PTE_P | rights | (uint64_t)key << 59;
	w->pkru = pkru;
	if (!w->pke)
		write_cr4(read_cr4() | X86_CR4_PKE);
	pkru_write(pkru);
	if (!w->pke)
		write_cr4(read_cr4() & ~X86_CR4_PKE);
	for (access = 0; access < NR_ACCESSES; access++)
		walk_try(w, entries, access);
}

GUEST(walk_pkey)
{
	static const uint8_t keys[] = { 0, 1, 7, 8, 15 };
	static const uint64_t rights[] = { PTE_W | PTE_U, PTE_U, PTE_W };
	const struct row *row = GUEST_ROW(rows);
	struct walk_test w = { .leaf = row->leaf, .wp = !row->no_wp, .nxe = true, .pke = !row->no_pke };
	unsigned int i, r, shift;

	walk_prepare(&w);
	write_cr4(read_cr4() | X86_CR4_PKE);
	for (i = 0; i < (w.is_long ? sizeof(keys) : 1); i++) {
		shift = keys[i] * 2;
		for (r = 0; r < 3; r++) {
			key_try(&w, keys[i], rights[r], 0);
			key_try(&w, keys[i], rights[r], AD << shift);
			key_try(&w, keys[i], rights[r], WD << shift);
			key_try(&w, keys[i], rights[r], (AD | WD) << shift);
			key_try(&w, keys[i], rights[r], ~((AD | WD) << shift));
		}
	}
}

HOST(walk_pkey)
{
	expect_done(t);
}
