/* SPDX-License-Identifier: MIT */
#include "differ/scene_memory.h"

#include <string.h>

#include "vm/x86/bits.h"

#define TABLE (PTE_P | PTE_W | PTE_U | PTE_A)
#define LEAF (PTE_P | PTE_A | PTE_D)
#define LAST_LEVEL (TABLES_AT + 0x3000u)
#define IOPB_OFFSET 0x88u	/* the redirection bitmap is before it */

static void put(uint8_t *memory, uint64_t at, uint64_t value, unsigned int len_bytes)
{
	memcpy(memory + at, &value, len_bytes);
}

/* --- page tables --- */

static uint64_t leaf_of(const struct scene *scene, unsigned int page)
{
	uint64_t user = scene->cpl == 3 ? PTE_U : 0, address = (uint64_t)page << 12;

	switch (address) {
	case CONST_AT:
		return address | LEAF | user;
	case USER_DATA_AT:
		return address | LEAF | PTE_W | PTE_U;
	case CODE_AT:
	case DATA_AT:
	case STACK_AT & ~0xfffu:
		return address | LEAF | PTE_W | user;
	case ABSENT_AT:
		return 0;
	default:
		return address | LEAF | PTE_W;
	}
}

static void put_tables(struct scene *scene)
{
	bool is_wide = scene->sregs.cr4 & X86_CR4_PAE, is_long = scene_is_long(scene->mode);
	unsigned int size = is_wide ? 8 : 4, page;

	if (is_long) {
		put(scene->memory, TABLES_AT, (TABLES_AT + 0x1000) | TABLE, 8);
		put(scene->memory, TABLES_AT + 0x1000, (TABLES_AT + 0x2000) | TABLE, 8);
		put(scene->memory, TABLES_AT + 0x2000, LAST_LEVEL | TABLE, 8);
	} else if (is_wide) {
		put(scene->memory, TABLES_AT, (TABLES_AT + 0x1000) | PTE_P, 8);
		put(scene->memory, TABLES_AT + 0x1000, LAST_LEVEL | TABLE, 8);
	} else {
		put(scene->memory, TABLES_AT, LAST_LEVEL | TABLE, 4);
	}
	for (page = 0; page < WORLD_BYTES >> 12; page++)
		put(scene->memory, LAST_LEVEL + page * size, leaf_of(scene, page), size);
}

/* --- descriptors --- */

static uint64_t descriptor(uint32_t base, uint32_t limit, unsigned int type, unsigned int flags)
{
	return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)type << 40 |
	       (uint64_t)(limit >> 16 & 15) << 48 | (uint64_t)flags << 52 | (uint64_t)(base >> 24) << 56;
}

static const uint64_t fixed_descriptors[FIRST_RANDOM] = {
	[1] = 0x00af9b000000ffff,
	[2] = 0x00cf93000000ffff,
	[3] = 0x00cf9b000000ffff,
	[4] = 0x00cffb000000ffff,
	[5] = 0x00cff3000000ffff,
	[6] = 0x00affb000000ffff,
	[7] = 0x00009b000000ffff,
	[8] = 0x0000fb000000ffff,
	[9] = 0x000093000000ffff,
	[10] = 0x0000f3000000ffff,
	[12] = 0x00008b0000000000 | TSS_LIMIT | (uint64_t)TSS_AT << 16,
	[14] = 0x0000890000000000 | TSS_LIMIT | (uint64_t)TSS2_AT << 16,
	[16] = 0x0000820000000000 | (NR_DESCRIPTORS * 8 - 1) | (uint64_t)GDT_AT << 16,
};

static uint64_t rng_gate(const struct scene *scene, struct rng *rng, unsigned int type, unsigned int dpl, bool is_present)
{
	uint64_t offset = type == 4 || type == 12 ? scene_rng_rip(scene, rng) : HANDLERS_AT + 0x80 + rng_below(rng, 0x40);
	uint64_t selector = type == 5 ? SEL_TSS2 : rng_percent(rng, 70) ? (scene_is_long(scene->mode) ? SEL_CODE64 : SEL_CODE32) :
			    scene_rng_selector(scene, rng);

	return (offset & 0xffff) | selector << 16 | rng_below(rng, 4) << 32 | (uint64_t)type << 40 | (uint64_t)dpl << 45 |
	       (uint64_t)is_present << 47 | (offset >> 16 & 0xffff) << 48;
}

static uint64_t rng_system(const struct scene *scene, struct rng *rng, unsigned int dpl, bool is_present)
{
	static const uint8_t types[] = { 1, 2, 3, 4, 5, 9, 11, 12, 12, 4 };
	unsigned int type = rng_percent(rng, 90) ? types[rng_below(rng, sizeof(types))] : (unsigned int)rng_below(rng, 16);
	unsigned int access = type | dpl << 5 | (unsigned int)is_present << 7;
	uint32_t limit = rng_percent(rng, 80) ? TSS_LIMIT : (uint32_t)rng_below(rng, 0x80);

	if (type == 2)
		return descriptor(GDT_AT, NR_DESCRIPTORS * 8 - 1, access, 0);
	if (type == 4 || type == 5 || type == 6 || type == 7 || type >= 12)
		return rng_gate(scene, rng, type, dpl, is_present);
	return descriptor(TSS2_AT, limit, access, 0);
}

static uint64_t rng_descriptor(const struct scene *scene, struct rng *rng)
{
	unsigned int dpl = rng_percent(rng, 80) ? scene->cpl : (unsigned int)rng_below(rng, 4);
	bool is_present = rng_percent(rng, 90);
	unsigned int flags = (unsigned int)rng_below(rng, 16), type = 0x10 | (unsigned int)rng_below(rng, 16);
	uint32_t base = rng_percent(rng, 70) ? 0 : rng_percent(rng, 50) ? 0x10 : (uint32_t)rng_next(rng);
	uint32_t limit = rng_percent(rng, 50) ? 0xfffff : (uint32_t)rng_value(rng) & 0xfffff;

	if (rng_percent(rng, 45))
		return rng_system(scene, rng, dpl, is_present);
	return descriptor(base, limit, type | dpl << 5 | (unsigned int)is_present << 7, flags);
}

static void put_gdt(struct scene *scene, struct rng *rng)
{
	unsigned int i;

	memcpy(scene->memory + GDT_AT, fixed_descriptors, sizeof(fixed_descriptors));
	for (i = FIRST_RANDOM; i < NR_DESCRIPTORS; i += 2) {
		put(scene->memory, GDT_AT + i * 8, rng_descriptor(scene, rng), 8);
		/* In long mode the upper half of what needs one; mostly zero. */
		put(scene->memory, GDT_AT + i * 8 + 8, !scene_is_long(scene->mode) ? rng_descriptor(scene, rng) :
		    rng_percent(rng, 90) ? 0 : rng_value(rng), 8);
	}
}

/* --- interrupts --- */

static void put_idt(struct scene *scene, struct rng *rng)
{
	bool is_long = scene_is_long(scene->mode);
	unsigned int vector, size = is_long ? 16 : 8;
	uint64_t gate;

	for (vector = 0; vector < 256; vector++) {
		put(scene->memory, IVT_AT + vector * 4, vector | HANDLERS_AT << 12, 4);
		gate = (HANDLERS_AT + vector) | (is_long ? SEL_CODE64 : SEL_CODE32) << 16 | 0xeeull << 40;
		/* A double fault has a stack of its own where it can: the instruction's may be bad. */
		if (is_long && vector == 8)
			gate |= 1ull << 32;
		if (vector >= IDT_RANDOM && vector < IDT_RANDOM + 0x20) {
			static const uint8_t types[] = { 5, 6, 7, 14, 14, 15, 12, 0 };

			gate = rng_gate(scene, rng, types[rng_below(rng, sizeof(types))],
					rng_percent(rng, 70) ? 3 : (unsigned int)rng_below(rng, 4), rng_percent(rng, 90));
			/* Bits that a 64-bit gate takes as its stack are no count here. */
			gate &= is_long ? ~(7ull << 32) | 1ull << 32 : ~(7ull << 32);
		}
		put(scene->memory, IDT_AT + vector * size, gate, 8);
		if (is_long)
			put(scene->memory, IDT_AT + vector * size + 8, 0, 8);
	}
	memset(scene->memory + HANDLERS_AT, 0xf4, 256);
}

/* The state that a switch to the second TSS finds, 32-bit or, where a descriptor says so, noise for 16-bit. */
static void put_next_task(struct scene *scene, struct rng *rng)
{
	uint8_t *tss = scene->memory + TSS2_AT;
	unsigned int at;

	for (at = 0; at < TSS_LIMIT; at += 4)
		put(tss, at, rng_next(rng), 4);
	put(tss, 0, SEL_TSS, 4);
	put(tss, 28, scene->sregs.cr3, 4);
	put(tss, 32, scene_rng_rip(scene, rng), 4);
	put(tss, 36, X86_EFLAGS_FIXED | (rng_next(rng) & 0xcd5), 4);
	put(tss, 56, STACK_AT, 4);
	for (at = 72; at < 96; at += 4)
		put(tss, at, rng_percent(rng, 95) ? SEL_DATA : scene_rng_selector(scene, rng), 4);
	put(tss, 76, rng_percent(rng, 95) ? SEL_CODE32 : scene_rng_selector(scene, rng), 4);
	put(tss, 96, rng_percent(rng, 80) ? 0 : SEL_LDT, 4);
	put(tss, 100, 0, 4);
}

static void put_tss(struct scene *scene, struct rng *rng)
{
	uint8_t *tss = scene->memory + TSS_AT;
	unsigned int i;

	if (scene_is_long(scene->mode)) {
		for (i = 0; i < 3; i++)
			put(tss, 4 + i * 8, HANDLER_STACK_AT, 8);
		for (i = 0; i < 7; i++)
			put(tss, 36 + i * 8, HANDLER_STACK_AT, 8);
		put(tss, 102, IOPB_OFFSET, 2);
	} else {
		put(tss, 0, SEL_TSS2, 4);
		for (i = 0; i < 3; i++) {
			put(tss, 4 + i * 8, HANDLER_STACK_AT, 4);
			put(tss, 8 + i * 8, SEL_DATA, 4);
		}
		put(tss, 28, scene->sregs.cr3, 4);
		put(tss, 102, IOPB_OFFSET, 2);
	}
	for (i = 0; i < 64; i += 8)
		put(tss, IOPB_OFFSET - 32 + i, rng_next(rng) & rng_next(rng), 8);
	put(tss, TSS_LIMIT, 0xff, 1);
}

void scene_fill_memory(struct scene *scene, struct rng *rng)
{
	unsigned int at;

	memset(scene->memory, 0, sizeof(scene->memory));
	put_tables(scene);
	put_gdt(scene, rng);
	put_idt(scene, rng);
	put_tss(scene, rng);
	put_next_task(scene, rng);
	memset(scene->memory + CODE_AT, 0xcc, 0x1000);
	/* Without paging, code may come here. */
	memset(scene->memory + ABSENT_AT, 0xcc, 0x1000);
	for (at = DATA_AT; at < HANDLERS_AT; at += 8)
		put(scene->memory, at, rng_value(rng), 8);
	for (at = STACK_AT - 0x100; at < STACK_AT + 0x100; at += 8)
		put(scene->memory, at, rng_value(rng), 8);
}

/* --- registers --- */

static struct kvm_segment segment(uint16_t selector, uint8_t type, unsigned int dpl, bool is_16)
{
	return (struct kvm_segment){ .selector = selector, .limit = is_16 ? 0xffff : ~0u, .type = type, .s = 1,
		.present = 1, .dpl = (uint8_t)dpl, .g = !is_16, .db = !is_16 };
}

static struct kvm_segment real_segment(uint32_t base, uint8_t type, unsigned int dpl)
{
	struct kvm_segment ret = segment((uint16_t)(base >> 4), type, dpl, true);

	ret.base = base;
	return ret;
}

static void fill_real_segments(struct kvm_sregs *sregs, unsigned int dpl)
{
	sregs->cs = real_segment(CODE_AT, dpl ? 3 : 11, dpl);
	sregs->ds = real_segment(DATA_AT, 3, dpl);
	sregs->es = real_segment(USER_DATA_AT, 3, dpl);
	sregs->fs = real_segment(DATA_AT + 0x100, 3, dpl);
	sregs->gs = real_segment(CONST_AT, 3, dpl);
	sregs->ss = real_segment(STACK_AT & ~0xfffu, 3, dpl);
}

static void fill_flat_segments(struct scene *scene, struct rng *rng)
{
	struct kvm_sregs *sregs = &scene->sregs;
	bool is_16 = scene_is_16(scene->mode), is_user = scene->cpl == 3;
	uint16_t code = scene->mode == SCENE_LONG64 ? (is_user ? SEL_USER_CODE64 : SEL_CODE64) :
			is_16 ? (is_user ? SEL_USER_CODE16 : SEL_CODE16) : is_user ? SEL_USER_CODE32 : SEL_CODE32;
	uint16_t data = is_16 ? (is_user ? SEL_USER_DATA16 : SEL_DATA16) : is_user ? SEL_USER_DATA : SEL_DATA;

	sregs->cs = segment(code, 11, scene->cpl, is_16);
	if (scene->mode == SCENE_LONG64) {
		sregs->cs.l = 1;
		sregs->cs.db = 0;
	}
	sregs->ss = sregs->ds = sregs->es = sregs->fs = sregs->gs = segment(data, 3, scene->cpl, is_16);
	if (rng_percent(rng, 30))
		sregs->fs = sregs->gs = (struct kvm_segment){ .unusable = 1 };
	else if (scene->mode == SCENE_LONG64)
		sregs->gs.base = 0x20;
	if (rng_percent(rng, 4))
		sregs->ds.type = 1;
}

static uint64_t rng_cr0(const struct scene *scene, struct rng *rng)
{
	uint64_t cr0 = X86_CR0_ET | X86_CR0_NE;

	if (scene->mode != SCENE_REAL)
		cr0 |= X86_CR0_PE;
	if (scene_is_long(scene->mode) || (scene->mode != SCENE_REAL && rng_percent(rng, 70)))
		cr0 |= X86_CR0_PG;
	if (rng_percent(rng, 80))
		cr0 |= X86_CR0_MP;
	if (rng_percent(rng, 70))
		cr0 |= X86_CR0_WP;
	if (rng_percent(rng, 50))
		cr0 |= X86_CR0_AM;
	if (rng_percent(rng, 10))
		cr0 |= X86_CR0_TS;
	if (rng_percent(rng, 5))
		cr0 |= X86_CR0_EM;
	return cr0;
}

/* Only what every CPU of today has. */
static uint64_t rng_cr4(const struct scene *scene, struct rng *rng)
{
	uint64_t cr4 = rng_next(rng) & (X86_CR4_TSD | X86_CR4_DE | X86_CR4_PSE | X86_CR4_PCE | X86_CR4_OSFXSR |
		X86_CR4_OSXMMEXCPT | X86_CR4_PGE);

	if (scene_is_long(scene->mode) || rng_percent(rng, 40))
		cr4 |= X86_CR4_PAE;
	if (rng_percent(rng, 30))
		cr4 |= X86_CR4_SMEP;
	if (rng_percent(rng, 30))
		cr4 |= X86_CR4_SMAP;
	if (rng_percent(rng, 20))
		cr4 |= X86_CR4_UMIP;
	return cr4;
}

void scene_fill_sregs(struct scene *scene, struct rng *rng)
{
	struct kvm_sregs *sregs = &scene->sregs;
	bool is_long = scene_is_long(scene->mode);

	sregs->cr0 = rng_cr0(scene, rng);
	sregs->cr4 = rng_cr4(scene, rng);
	sregs->cr3 = TABLES_AT;
	sregs->cr2 = rng_percent(rng, 50) ? 0 : rng_next(rng) >> 20;
	sregs->cr8 = is_long ? rng_below(rng, 16) : 0;
	sregs->efer = (is_long ? EFER_LME | EFER_LMA : 0) | (rng_percent(rng, 85) ? EFER_SCE : 0) |
		(rng_percent(rng, 70) ? EFER_NX : 0);
	sregs->gdt = (struct kvm_dtable){ .base = GDT_AT, .limit = NR_DESCRIPTORS * 8 - 1 };
	sregs->idt = scene->mode == SCENE_REAL ? (struct kvm_dtable){ .base = IVT_AT, .limit = 0x3ff } :
		(struct kvm_dtable){ .base = IDT_AT, .limit = is_long ? 0xfff : 0x7ff };
	if (scene_is_real(scene->mode))
		fill_real_segments(sregs, scene->cpl);
	else
		fill_flat_segments(scene, rng);
	sregs->tr = (struct kvm_segment){ .selector = SEL_TSS, .base = TSS_AT, .limit = TSS_LIMIT, .type = 11,
		.present = 1 };
	sregs->ldt = (struct kvm_segment){ .unusable = 1 };
	if (scene->mode != SCENE_REAL && rng_percent(rng, 60))
		sregs->ldt = (struct kvm_segment){ .selector = SEL_LDT, .base = GDT_AT, .limit = NR_DESCRIPTORS * 8 - 1,
			.type = 2, .present = 1 };
}

uint64_t scene_rng_rip(const struct scene *scene, struct rng *rng)
{
	uint64_t base = scene_is_real(scene->mode) ? 0 : CODE_AT;

	if (rng_percent(rng, 94))
		return base + 0x10 + rng_below(rng, 0x700);
	return rng_percent(rng, 50) ? ABSENT_AT + rng_below(rng, 0xff0) : rng_value(rng) | WORLD_BYTES;
}

uint16_t scene_rng_code_selector(const struct scene *scene, struct rng *rng)
{
	return scene_is_real(scene->mode) ? CODE_AT >> 4 : scene_rng_selector(scene, rng);
}

uint16_t scene_rng_selector(const struct scene *scene, struct rng *rng)
{
	static const uint16_t segments[] = { CODE_AT >> 4, DATA_AT >> 4, USER_DATA_AT >> 4, CONST_AT >> 4,
		(STACK_AT & ~0xfffu) >> 4 };
	static const uint16_t good[2][10] = {
		{ SEL_CODE64, SEL_DATA, SEL_CODE32, SEL_DATA, SEL_CODE32, SEL_CODE16, SEL_DATA16, SEL_TSS, SEL_TSS2, SEL_LDT },
		{ SEL_USER_CODE64, SEL_USER_DATA, SEL_USER_CODE32, SEL_USER_DATA, SEL_USER_CODE32, SEL_USER_CODE16,
		  SEL_USER_DATA16, SEL_TSS2, SEL_CODE64, SEL_DATA },
	};
	uint64_t kind = rng_below(rng, 16);

	if (scene_is_real(scene->mode) && kind < 12)
		return segments[rng_below(rng, sizeof(segments) / sizeof(segments[0]))];
	if (kind == 0)
		return (uint16_t)rng_below(rng, 4);
	if (kind == 1)
		return (uint16_t)rng_value(rng);
	if (kind < 7)
		return good[scene->cpl == 3][rng_below(rng, 10)];
	/* One of the random ones, mostly at our own privilege. */
	return (uint16_t)((FIRST_RANDOM + rng_below(rng, NR_DESCRIPTORS - FIRST_RANDOM)) * 8 | (rng_percent(rng, 10) ? 4 : 0) |
		(rng_percent(rng, 85) ? scene->cpl : rng_below(rng, 4)));
}
