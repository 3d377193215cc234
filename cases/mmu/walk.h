/* SPDX-License-Identifier: MIT */
/*
 * A page walk whose entries the case chooses, accessed in all the ways there are, and predicted by a model written from
 * the manuals (APM vol. 2, 5.3 to 5.6 and 8.2.15; SDM vol. 3A, 4.3 to 4.8).
 *
 * walk_prepare() gives one linear address, walk_va(), a chain of tables of its own; the rest of the guest becomes
 * supervisor memory, so that CR4.SMEP and CR4.SMAP can be set. walk_try() writes the entries, makes one access and
 * compares fault, error code, RIP, CR2, data, and what became of every entry.
 *
 * OUTS and INS are accesses too: they are intercepted, and it is KVM's own walk that meets the entries.
 */
#ifndef VMASSAY_CASES_MMU_WALK_H
#define VMASSAY_CASES_MMU_WALK_H

#include "case.h"
#include "cases/mmu/pae.h"

#define WALK_OFFSET 0x201000ul	/* of the page in every size of page; SCRATCH_GPA + 0x1000 */
#define WALK_DATA 64		/* the byte that is read and written; code is before it */
#define WALK_USER_VA 0x80002000ul
#define PIC_IMR 0x21		/* a port that KVM answers by itself */
#define ADDRESS_BITS 0x000ffffffffff000ull
#define MAX_LEVELS 5

enum walk_access {
	S_READ, S_WRITE, S_FETCH, U_READ, U_WRITE, U_FETCH,
	S_OUTS, S_INS, U_OUTS, U_INS,
	NR_ACCESSES,
};

struct walk_test {
	unsigned int levels;		/* whose entries are the case's own: PAE's pointers are not */
	unsigned int leaf;		/* 1: 4 KiB; 2: 2 or 4 MiB; 3: 1 GiB */
	unsigned int maxphyaddr;
	bool is_wide;			/* 8 bytes */
	bool is_long;
	bool wp, smep, smap, nxe, ac, pke;
	uint32_t pkru;
	bool nxe_narrow;		/* EFER.NXE in 2-level paging, too, where it has no meaning */
	ulong_t va;
	void *entries[MAX_LEVELS + 1];	/* [level] */
	uint64_t base[MAX_LEVELS + 1];	/* address of the next table, or of the page and PS */
	ulong_t user_rip[NR_ACCESSES];	/* of the instruction that accesses */
	uint8_t imr;			/* what the PIC's mask is */
	uint8_t next_byte;
};

static inline bool access_is_user(enum walk_access access)
{
	return access == U_READ || access == U_WRITE || access == U_FETCH || access == U_OUTS || access == U_INS;
}

static inline bool access_is_write(enum walk_access access)
{
	return access == S_WRITE || access == U_WRITE || access == S_INS || access == U_INS;
}

static inline bool access_is_fetch(enum walk_access access)
{
	return access == S_FETCH || access == U_FETCH;
}

/* --- the model --- */

static inline uint64_t bits_from_to(unsigned int low, unsigned int high)
{
	return low > high ? 0 : (~0ull >> (63 - high)) & (~0ull << low);
}

/* The bits of an entry at @level that must be zero. */
static inline uint64_t walk_reserved(const struct walk_test *w, unsigned int level, uint64_t entry)
{
	bool is_large = level > 1 && level <= 3 && (entry & PTE_PS);
	uint64_t mask = 0;

	if (!w->is_wide)
		return is_large ? 1ull << 21 : 0;
	mask |= bits_from_to(w->maxphyaddr, w->is_long ? 51 : 62);
	if (!w->nxe)
		mask |= PTE_NX;
	if (level >= 4)
		mask |= PTE_PS;
	if (is_large)
		mask |= bits_from_to(13, level == 2 ? 20 : 29);
	return mask;
}

struct walk_outcome {
	int32_t vector;
	uint32_t error_code;
	unsigned int reached;	/* the lowest level whose entry was used; entries below it are untouched */
};

static inline bool walk_permits(const struct walk_test *w, enum walk_access access, uint64_t all, uint64_t any)
{
	bool is_user_page = all & PTE_U;

	if (access_is_fetch(access) && (any & PTE_NX))
		return false;
	if (access_is_user(access))
		return is_user_page && (!access_is_write(access) || (all & PTE_W));
	if (access_is_fetch(access))
		return !(is_user_page && w->smep);
	if (is_user_page && w->smap && !w->ac)
		return false;
	return !access_is_write(access) || (all & PTE_W) || !w->wp;
}

/* Keys belong to the user pages of long mode, and to data. */
static inline bool walk_key_refuses(const struct walk_test *w, enum walk_access access, uint64_t all, uint64_t leaf)
{
	uint32_t rights = w->pkru >> (leaf >> 59 & 15) * 2;

	if (!w->pke || !w->is_long || !(all & PTE_U) || access_is_fetch(access))
		return false;
	return (rights & 1) || ((rights & 2) && access_is_write(access) && (access_is_user(access) || w->wp));
}

static inline struct walk_outcome walk_predict(const struct walk_test *w, const uint64_t *entries,
					       enum walk_access access)
{
	struct walk_outcome out = { .vector = PF_VECTOR };
	uint64_t all = ~0ull, any = 0;
	unsigned int level;
	bool key_refuses;

	if (access_is_write(access))
		out.error_code |= PFERR_W;
	if (access_is_user(access))
		out.error_code |= PFERR_U;
	if (access_is_fetch(access) && ((w->is_wide && w->nxe) || w->smep))
		out.error_code |= PFERR_I;
	for (level = w->levels; level >= w->leaf; level--) {
		out.reached = level;
		if (!(entries[level] & PTE_P))
			return out;
		if (entries[level] & walk_reserved(w, level, entries[level])) {
			out.error_code |= PFERR_P | PFERR_RSVD;
			return out;
		}
		all &= entries[level];
		any |= entries[level];
	}
	key_refuses = walk_key_refuses(w, access, all, entries[w->leaf]);
	if (walk_permits(w, access, all, any) && !key_refuses)
		return (struct walk_outcome){ .vector = NO_VECTOR, .reached = w->leaf };
	out.error_code |= PFERR_P | (key_refuses ? PFERR_PK : 0);
	return out;
}

/* --- the guest's memory --- */

static inline volatile uint8_t *walk_byte(void)
{
	return (volatile uint8_t *)(WALK_OFFSET + WALK_DATA);
}

/* Appends an instruction with an address operand; 32-bit opcodes take 4 bytes of it, 64-bit ones 8. */
static inline uint8_t *code_address(const struct walk_test *w, uint8_t *at, uint8_t rex, uint8_t opcode)
{
	uint64_t va = (uint64_t)w->va + WALK_DATA;
	unsigned int i;

	if (rex && w->is_long)
		*at++ = rex;
	*at++ = opcode;
	for (i = 0; i < sizeof(ulong_t); i++)
		*at++ = va >> i * 8;
	return at;
}

/* User code for one kind of access, ended by INT 0x80; no stack is touched. */
static inline void code_write(struct walk_test *w, uint8_t *page, enum walk_access access)
{
	uint8_t *start = page + access * 64, *at = start;
	bool is_string = access == U_OUTS || access == U_INS;

	if (is_string) {
		at = code_address(w, at, 0x48, access == U_OUTS ? 0xbe : 0xbf);
		memcpy(at, "\x66\xba\x21\x00", 4);
		at += 4;
	}
	w->user_rip[access] = WALK_USER_VA + (at - page);
	if (is_string)
		*at++ = access == U_OUTS ? 0x6e : 0x6c;
	else
		at = code_address(w, at, 0, access == U_READ ? 0xa0 : 0xa2);
	memcpy(at, "\xcd\x80", 2);
}

/* Takes U from all of the guest's own memory. Note, a table's entries follow each other, and each pte_find() is an exit. */
static inline void make_supervisor(void)
{
	uint64_t bytes_of_table = guest_mode() == PAGE32 ? 4ull << 30 : 1ull << 30, at;
	unsigned int i;

	for (at = 0; at < 4ull << 30; at += bytes_of_table) {
		void *table = pte_find(at, 2);

		for (i = 0; i < 1024 && guest_mode() == PAGE32; i++)
			((volatile uint32_t *)table)[i] &= ~(uint32_t)PTE_U;
		for (i = 0; i < 512 && guest_mode() != PAGE32; i++)
			((volatile uint64_t *)table)[i] &= ~(uint64_t)PTE_U;
	}
	write_cr3(read_cr3());
}

static inline void chain_make(struct walk_test *w)
{
	unsigned int level;

	for (level = w->levels; level >= w->leaf; level--) {
		w->entries[level] = pte_find(w->va, level);
		if (level == w->leaf)
			break;
		(void)pte_find(w->va, level - 1);
		w->base[level] = pte_read(w->entries[level]) & ADDRESS_BITS;
	}
	switch (w->leaf) {
	case 1:
		w->base[1] = WALK_OFFSET;
		break;
	case 2:
		w->base[2] = (w->is_wide ? WALK_OFFSET & ~0x1ffffful : 0) | PTE_PS;
		break;
	default:
		w->base[3] = PTE_PS;
	}
}

static inline void control_set(const struct walk_test *w)
{
	ulong_t cr0 = read_cr0() & ~X86_CR0_WP, cr4 = read_cr4() & ~(X86_CR4_SMEP | X86_CR4_SMAP);
	uint64_t efer = rdmsr(MSR_EFER) & ~EFER_NX;
	struct fault f;

	wrmsr(MSR_EFER, efer | (w->nxe ? EFER_NX : 0));
	write_cr0(cr0 | (w->wp ? X86_CR0_WP : 0));
	cr4 |= (w->smep ? X86_CR4_SMEP : 0) | (w->smap ? X86_CR4_SMAP : 0);
	f = TRY_PAE("", "mov %0, %%cr4", : : "r"(cr4) : "memory", "cc");
	CHECK_NO_FAULT(f);
	/* IOPL 3: CPL 3 may use IN and OUT. */
	write_flags(0x3002 | (w->ac ? X86_EFLAGS_AC : 0));
}

/* @w has leaf, wp, smep, smap, nxe and ac from the case; the rest is filled in. */
static inline void walk_prepare(struct walk_test *w)
{
	uint32_t mode = guest_mode();
	uint8_t *user_code = page_alloc(), *page = (uint8_t *)WALK_OFFSET;
	uint64_t top = mode == LA57 ? 1ull << 48 : mode == LONG64 ? 1ull << 39 : 0xc0000000ull;

	w->is_wide = mode != PAGE32;
	w->nxe &= w->is_wide || w->nxe_narrow;
	w->is_long = is_long_mode();
	w->levels = mode == LA57 ? 5 : mode == LONG64 ? 4 : 2;
	w->maxphyaddr = cpuid(0x80000008, 0).eax & 0xff;
	w->va = top + WALK_OFFSET;
	make_supervisor();
	chain_make(w);
	code_write(w, user_code, U_READ);
	code_write(w, user_code, U_WRITE);
	code_write(w, user_code, U_OUTS);
	code_write(w, user_code, U_INS);
	page_map(WALK_USER_VA, (ulong_t)user_code, PTE_P | PTE_U | PTE_A);
	((uint8_t *)pte_find(WALK_USER_VA, 2))[0] |= PTE_U;
	memcpy(page, "\xc3", 1);
	memcpy(page + 16, "\xcd\x80", 2);
	control_set(w);
}

/* --- one access --- */

static inline struct fault access_make(const struct walk_test *w, enum walk_access access, uint8_t byte,
				       uint8_t *ret_read)
{
	ulong_t va = w->va + WALK_DATA;

	switch (access) {
	case S_READ:
		return TRY("movb (%1), %0", : "+q"(*ret_read) : "r"(va) : "memory");
	case S_WRITE:
		return TRY("movb %0, (%1)", : : "q"(byte), "r"(va) : "memory");
	case S_FETCH:
		return guest_catch((void (*)(void *))w->va, NULL);
	case U_FETCH:
		return guest_catch_user((void (*)(void *))(w->va + 16), NULL);
	case S_OUTS:
		return TRY("outsb", : "+S"(va) : "d"(PIC_IMR) : "memory");
	case S_INS:
		return TRY("insb", : "+D"(va) : "d"(PIC_IMR) : "memory");
	default:
		return guest_catch_user((void (*)(void *))(WALK_USER_VA + access * 64), NULL);
	}
}

static inline ulong_t access_va(const struct walk_test *w, enum walk_access access)
{
	if (access == S_FETCH)
		return w->va;
	return w->va + (access == U_FETCH ? 16 : WALK_DATA);
}

/* What the entries may have become: all bits but A, and A too where the manuals leave no choice. */
static inline bool entry_fits(const struct walk_test *w, const struct walk_outcome *want, enum walk_access access,
			      unsigned int level, uint64_t before, uint64_t after)
{
	bool is_used = level >= want->reached && (before & PTE_P);

	if (want->vector == NO_VECTOR) {
		before |= PTE_A;
		if (level == w->leaf && access_is_write(access))
			before |= PTE_D;
		return before == after;
	}
	/* Whether a walk that faults sets A in the entries it used is the CPU's affair. */
	return is_used ? (before | PTE_A) == (after | PTE_A) && (after & before & PTE_A) == (before & PTE_A)
		       : before == after;
}

static inline bool data_fits(struct walk_test *w, const struct walk_outcome *want, enum walk_access access,
			     uint8_t before, uint8_t wrote, uint8_t got)
{
	uint8_t after = *walk_byte();

	if (want->vector != NO_VECTOR)
		return after == before;
	switch (access) {
	case S_READ:
		return got == before && after == before;
	case S_WRITE:
		return after == wrote;
	case S_OUTS:
	case U_OUTS:
		w->imr = before;
		return after == before;
	case S_INS:
	case U_INS:
		return after == w->imr;
	default:
		return access == U_WRITE || after == before;
	}
}

/*
 * QEMU 7.2 leaves P out where it sets RSVD. What KVM's walk reports is held to the manual by INS and OUTS, which share
 * it with the shadow page tables.
 */
static inline uint32_t fault_leeway(const struct walk_outcome *want, enum walk_access access)
{
	return want->error_code & PFERR_RSVD && access < S_OUTS ? PFERR_P : 0;
}

static inline bool fault_fits(const struct walk_test *w, const struct walk_outcome *want, enum walk_access access,
			      const struct fault *got)
{
	if (got->vector != want->vector)
		return false;
	if (want->vector == NO_VECTOR)
		return true;
	if ((got->error_code | fault_leeway(want, access)) != (want->error_code | fault_leeway(want, access)))
		return false;
	/* The accesses of INS and OUTS are KVM's, and so is the #PF. */
	if (got->cr2 != access_va(w, access) && !(access >= S_OUTS && abi_self()->cr2_is_lost))
		return false;
	if (access_is_fetch(access))
		return got->rip == access_va(w, access);
	return !access_is_user(access) || got->rip == w->user_rip[access];
}

static inline void walk_report(const struct walk_test *w, const uint64_t *entries, enum walk_access access,
			       const struct walk_outcome *want, struct fault got)
{
	unsigned int level;

	if (abi_self()->nr_records > ABI_MAX_RECORDS - 10)
		return;
	SAY("access", access);
	for (level = w->levels; level >= w->leaf; level--) {
		SAY("entry before", entries[level]);
		SAY("entry after", pte_read(w->entries[level]));
	}
	SAY("RIP", got.rip);
	SAY("CR2", got.cr2);
	CHECK_FAULT(want->vector, want->error_code, got);
}

/* As pte_read() and pte_write(), which have to ask CR4, an exit, for the entries' width. */
static inline uint64_t entry_read(const struct walk_test *w, unsigned int level)
{
	const volatile void *entry = w->entries[level];

	return w->is_wide ? *(const volatile uint64_t *)entry : *(const volatile uint32_t *)entry;
}

static inline void entry_write(const struct walk_test *w, unsigned int level, uint64_t value)
{
	volatile void *entry = w->entries[level];

	if (w->is_wide)
		*(volatile uint64_t *)entry = value;
	else
		*(volatile uint32_t *)entry = value;
}

/* Writes @entries[leaf .. levels], makes the access, compares everything with the model. @is_last: says what differs. */
static inline bool walk_fits(struct walk_test *w, const uint64_t *entries, enum walk_access access, bool is_last)
{
	struct walk_outcome want = walk_predict(w, entries, access);
	uint8_t before = w->next_byte += 3, wrote = before ^ 0x55, got_byte = 0;
	struct fault got;
	unsigned int level;
	bool fits;

	*walk_byte() = before;
	for (level = w->levels; level >= w->leaf; level--)
		entry_write(w, level, entries[level]);
	invlpg(w->va);
	got = access_make(w, access, wrote, &got_byte);
	fits = fault_fits(w, &want, access, &got) && data_fits(w, &want, access, before, wrote, got_byte);
	for (level = w->levels; level >= w->leaf; level--)
		fits &= entry_fits(w, &want, access, level, entries[level], entry_read(w, level));
	if (!fits && is_last)
		walk_report(w, entries, access, &want, got);
	return fits;
}

/* Where a VMRUN loses CR2, an exit between a fault and its handler does, too: such a walk is made again. */
static inline void walk_try(struct walk_test *w, const uint64_t *entries, enum walk_access access)
{
	bool fits = (abi_self()->cr2_is_lost && walk_fits(w, entries, access, false)) ||
		    walk_fits(w, entries, access, true);

	guest_check(fits, __FILE__, __LINE__, "the walk as the manuals have it", 1, 0);
}

#endif
