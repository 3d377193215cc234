/* SPDX-License-Identifier: MIT */
/*
 * Nested paging of L2: vmcb12's nested tables, which are in L1's memory, composed with the VM's own. What L2 touches is
 * walked here, in software, and its page goes into tables that only the vCPU has. They are empty at each VMRUN: to L1
 * they are a TLB that VMRUN flushes, so changes of its tables need no watching.
 *
 * Source: APM vol. 2, 15.25.5 and 15.25.6: nested tables are of L1's paging mode, every access is a user's.
 */
#include "soft/nested.h"

#include "soft/private.h"
#include "vm/x86/bits.h"

#define PAGE_MASK 0xfffull
#define ADDRESS_BITS 0x000ffffffffff000ull
#define MAX_LEVELS 5
#define ERROR_P 1ull
#define ERROR_W 2ull
#define ERROR_U 4ull
#define ERROR_RSVD 8ull
#define ERROR_I 16ull

struct format {
	unsigned int nr_levels, index_bits, entry_bytes;
};

static const struct format legacy = { 2, 10, 4 }, pae = { 3, 9, 8 }, long4 = { 4, 9, 8 }, long5 = { 5, 9, 8 };

struct walk {
	struct soft_vcpu *vcpu;
	const struct format *format;
	bool has_nx, has_pse;
	uint64_t gpas[MAX_LEVELS + 1], entries[MAX_LEVELS + 1];
	unsigned int leaf_level;
	bool is_user, is_writable, is_nx;
};

static uint64_t bits(unsigned int high, unsigned int low)
{
	return (~0ull >> (63 - high)) & (~0ull << low);
}

static void walk_init(struct walk *walk, struct soft_vcpu *vcpu)
{
	const struct vmcb_save *save01 = &vcpu->nested.vmcb01->save;
	bool is_pae = save01->cr4 & X86_CR4_PAE;

	*walk = (struct walk) { .vcpu = vcpu, .has_pse = save01->cr4 & X86_CR4_PSE, .is_user = true, .is_writable = true };
	if (save01->efer & EFER_LMA)
		walk->format = save01->cr4 & X86_CR4_LA57 ? &long5 : &long4;
	else
		walk->format = is_pae ? &pae : &legacy;
	walk->has_nx = is_pae && (save01->efer & EFER_NX);
}

static uint64_t walk_root(const struct walk *walk)
{
	uint64_t ncr3 = walk->vcpu->nested.control.nested_cr3;

	if (walk->format == &legacy)
		return ncr3 & 0xfffff000;
	return walk->format == &pae ? ncr3 & 0xffffffe0 : ncr3 & ADDRESS_BITS;
}

static bool is_leaf(const struct walk *walk, unsigned int level, uint64_t entry)
{
	if (level == 1)
		return true;
	if (!(entry & PTE_PS))
		return false;
	if (walk->format == &legacy)
		return walk->has_pse;
	return level == 2 || (level == 3 && walk->format != &pae);
}

static uint64_t reserved_bits(const struct walk *walk, unsigned int level, bool leaf)
{
	unsigned int shift = 12 + (level - 1) * walk->format->index_bits;
	uint64_t reserved;

	/* PSE: bits 20:13 are the frame's 39:32. */
	if (walk->format == &legacy)
		return leaf && level == 2 ? bits(21, 21) : 0;
	if (walk->format == &pae && level == 3)
		return bits(63, walk->vcpu->nested.rules.phys_bits) | 0x1e6;
	reserved = bits(51, walk->vcpu->nested.rules.phys_bits);
	if (!walk->has_nx)
		reserved |= PTE_NX;
	if (walk->format == &pae)
		reserved |= bits(62, 52);
	if (level > 3)
		reserved |= bits(8, 7);
	else if (leaf && level > 1)
		reserved |= bits(shift - 1, 13);
	return reserved;
}

static uint64_t leaf_frame(const struct walk *walk, uint64_t gpa)
{
	uint64_t entry = walk->entries[walk->leaf_level];
	unsigned int shift = 12 + (walk->leaf_level - 1) * walk->format->index_bits;
	uint64_t frame = entry & (walk->format == &legacy ? 0xfffff000 : ADDRESS_BITS);

	if (walk->format == &legacy && walk->leaf_level == 2)
		frame = (entry & bits(31, 22)) | (entry & bits(20, 13)) << 19;
	return (frame & ~bits(shift - 1, 0)) | (gpa & bits(shift - 1, 0));
}

static void rights_add(struct walk *walk, unsigned int level, uint64_t entry)
{
	/* Legacy PAE's PDPE has no rights. */
	if (walk->format == &pae && level == 3)
		return;
	walk->is_user &= !!(entry & PTE_U);
	walk->is_writable &= !!(entry & PTE_W);
	walk->is_nx |= walk->has_nx && (entry & PTE_NX);
}

/* 0, or the error code's P and RSVD with *@ret_is_missing set. */
static uint64_t walk_tables(struct walk *walk, uint64_t gpa, bool *ret_is_missing)
{
	const struct format *format = walk->format;
	uint64_t table = walk_root(walk), *entry;
	unsigned int level;
	bool leaf;

	*ret_is_missing = true;
	for (level = format->nr_levels; ; level--) {
		uint64_t index = gpa >> (12 + (level - 1) * format->index_bits) & bits(format->index_bits - 1, 0);

		walk->gpas[level] = table + index * format->entry_bytes;
		entry = &walk->entries[level];
		if (guest_read(vcpu_space(walk->vcpu), walk->gpas[level], entry, format->entry_bytes) || !(*entry & PTE_P))
			return 0;
		leaf = is_leaf(walk, level, *entry);
		if (*entry & reserved_bits(walk, level, leaf))
			return ERROR_P | ERROR_RSVD;
		rights_add(walk, level, *entry);
		if (leaf)
			break;
		table = *entry & (format == &legacy ? 0xfffff000 : ADDRESS_BITS);
	}
	walk->leaf_level = level;
	*ret_is_missing = false;
	return 0;
}

static void walk_set_accessed(struct walk *walk, bool is_write)
{
	unsigned int level;

	for (level = walk->format->nr_levels; level >= walk->leaf_level; level--) {
		uint64_t entry = walk->entries[level] | PTE_A;

		if (walk->format == &pae && level == 3)
			continue;
		if (level == walk->leaf_level && is_write)
			entry |= PTE_D;
		if (entry != walk->entries[level])
			guest_write(vcpu_space(walk->vcpu), walk->gpas[level], &entry, walk->format->entry_bytes);
		walk->entries[level] = entry;
	}
}

bool nested_translate(struct soft_vcpu *vcpu, uint64_t gpa, uint64_t error, uint64_t *ret_gpa, unsigned int *ret_rights,
	uint64_t *ret_error)
{
	bool is_write = error & ERROR_W, is_fetch = error & ERROR_I, is_missing;
	uint64_t missing;
	struct walk walk;

	walk_init(&walk, vcpu);
	error &= ~(ERROR_P | ERROR_RSVD | (walk.has_nx ? 0 : ERROR_I));
	missing = walk_tables(&walk, gpa, &is_missing);
	if (is_missing) {
		*ret_error = error | missing;
		return false;
	}
	if (!walk.is_user || (is_write && !walk.is_writable) || (is_fetch && walk.is_nx)) {
		*ret_error = error | ERROR_P;
		return false;
	}
	walk_set_accessed(&walk, is_write);
	*ret_gpa = leaf_frame(&walk, gpa);
	/* A page that is not dirty yet comes back here when it is written. */
	*ret_rights = (walk.is_writable && (walk.entries[walk.leaf_level] & PTE_D) ? NPT_WRITE : 0) |
		(walk.is_nx ? 0 : NPT_EXEC);
	return true;
}

void nested_npt_refresh(struct soft_vcpu *vcpu)
{
	struct soft_nested *nested = &vcpu->nested;

	if (nested->vm_generation == vcpu_space(vcpu)->npt.generation)
		return;
	nested->vm_generation = vcpu_space(vcpu)->npt.generation;
	npt_zap(&nested->npt);
}
