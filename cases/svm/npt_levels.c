/* SPDX-License-Identifier: MIT */
/*
 * What an entry of L1's nested tables forbids holds at each of their four levels, for L2's data, its fetches and the walk
 * of its own tables at each of their levels; the #NPF exit tells the access, the entry's faults and the address to the
 * byte. What is forbidden there only for something else goes through and leaves the accessed bit at all levels, and the
 * dirty bit in the last. Large pages of 2 MiB and 1 GiB alike.
 *
 * The page, and only that, is far up in L2's physical memory, under entries of its own at every level: so nothing else
 * that L2 does meets them.
 *
 * Can break: a permission of an upper level that KVM's third table does not have, or has where it need not; bits 32 and
 * 33; the access of a walk, which is a user's write; an address without its low bits; reserved bits of large pages.
 * Source: APM vol. 2, 15.25.5, 15.25.6, 5.3.3, 5.3.5.
 */
#include "cases/svm/npt.h"
#include "case.h"

INSN(v_read, "mov (%rbx), %al\n\tvmmcall")
INSN(v_write, "movb $0x5a, (%rbx)\n\tvmmcall")
INSN(v_rmw, "orb $1, (%rbx)\n\tvmmcall")
INSN(v_fetch, "call *%rbx\n\tvmmcall")

/* Index 1 at each level, of L2's linear address and of its physical one. */
#define INDEX_1 (1ull << 39 | 1ull << 30 | 1ull << 21 | 1ull << 12)
#define OFFSET 0x128
#define LINEAR (INDEX_1 | OFFSET)
/* Also what is there in a page of 2 MiB at SCRATCH_GPA, and in one of 1 GiB at 0. */
#define DATA (SCRATCH_GPA + 0x1000)

#define USER PFERR_U
#define RESERVED (1ull << 51)

enum access { READ, WRITE, RMW, FETCH, WALK };

struct row {
	ROW_FIELDS;
	enum access access;
	uint64_t set, clear;
	uint64_t error;		/* of the entry's, in EXITINFO1 beside the access; 0: goes through */
	uint8_t first, last;	/* levels; 0: from the page's own to 4 */
	uint8_t page_level;	/* of the nested entry that maps the page; 0 stands for 1 */
};

#define ROW_OF(label_, access_, ...) { .label = label_, .access = access_, ##__VA_ARGS__ }
#define EACH(label_, ...)								\
	ROW_OF("read_" label_, READ, ##__VA_ARGS__), ROW_OF("write_" label_, WRITE, ##__VA_ARGS__),	\
	ROW_OF("fetch_" label_, FETCH, ##__VA_ARGS__), ROW_OF("walk_" label_, WALK, ##__VA_ARGS__)
#define ABSENT .clear = PTE_P, .error = USER
#define READ_ONLY .clear = PTE_W
#define SUPERVISOR .clear = PTE_U, .error = USER | PFERR_P
#define NO_FETCH .set = PTE_NX
#define MBZ(bits_) .set = bits_, .error = USER | PFERR_P | PFERR_RSVD
#define FORBIDDEN .error = USER | PFERR_P
#define LARGE(label_, level_, ...)							\
	EACH(label_, .page_level = level_, ##__VA_ARGS__), EACH(label_ "_absent", .page_level = level_, ABSENT, ##__VA_ARGS__),	\
	ROW_OF("read_" label_ "_ro", READ, .page_level = level_, READ_ONLY, ##__VA_ARGS__),	\
	ROW_OF("write_" label_ "_ro", WRITE, .page_level = level_, READ_ONLY, FORBIDDEN, ##__VA_ARGS__),	\
	ROW_OF("fetch_" label_ "_nx", FETCH, .page_level = level_, NO_FETCH, FORBIDDEN, ##__VA_ARGS__),	\
	ROW_OF("read_" label_ "_supervisor", READ, .page_level = level_, SUPERVISOR, ##__VA_ARGS__)
#define GIGABYTE .needs = "cpuid:pdpe1gb"

static const struct row rows[] = {
	EACH("all"), EACH("absent", ABSENT), EACH("supervisor", SUPERVISOR), EACH("reserved", MBZ(RESERVED)),
	ROW_OF("rmw_all", RMW),
	ROW_OF("read_ro", READ, READ_ONLY), ROW_OF("fetch_ro", FETCH, READ_ONLY),
	ROW_OF("write_ro", WRITE, READ_ONLY, FORBIDDEN), ROW_OF("rmw_ro", RMW, READ_ONLY, FORBIDDEN),
	ROW_OF("walk_ro", WALK, READ_ONLY, FORBIDDEN),
	ROW_OF("read_nx", READ, NO_FETCH), ROW_OF("write_nx", WRITE, NO_FETCH), ROW_OF("walk_nx", WALK, NO_FETCH),
	ROW_OF("fetch_nx", FETCH, NO_FETCH, FORBIDDEN),
	/* Nothing else of an entry that is not present counts. */
	ROW_OF("read_absent_reserved", READ, .set = RESERVED | PTE_NX, ABSENT),
	EACH("pml4_ps", MBZ(PTE_PS), .first = 4, .last = 4),
	ROW_OF("read_pml4_bit_8", READ, MBZ(1 << 8), .first = 4, .last = 4),
	LARGE("2m", 2), LARGE("1g", 3, GIGABYTE),
	ROW_OF("read_2m_bit_13", READ, MBZ(1 << 13), .page_level = 2, .first = 2, .last = 2),
	ROW_OF("read_2m_bit_20", READ, MBZ(1 << 20), .page_level = 2, .first = 2, .last = 2),
	ROW_OF("read_1g_bit_13", READ, MBZ(1 << 13), .page_level = 3, .first = 3, .last = 3, GIGABYTE),
	ROW_OF("read_1g_bit_29", READ, MBZ(1 << 29), .page_level = 3, .first = 3, .last = 3, GIGABYTE),
};

CASE(npt_levels, .says = "a nested entry forbids at each level what it forbids, and tells all of it", .modes = LONG64,
     .needs = "vendor:amd nested cpuid:npt tdp", .rows = ROWS(rows))

/* [level - 1] */
static uint64_t nested[3][NPT_ENTRIES] NPT_TABLE, own[3][NPT_ENTRIES] NPT_TABLE;
static uint64_t *nested_entries[4];

static void nested_make(unsigned int page_level)
{
	static const uint64_t bases[] = { DATA, SCRATCH_GPA, 0 };
	unsigned int level;

	npt_build();
	nested_entries[3] = &npt_root[1];
	for (level = 3; level >= page_level; level--) {
		nested_entries[level - 1] = &nested[level - 1][1];
		*nested_entries[level] = (ulong_t)nested[level - 1] | NPT_PAGE_FLAGS;
	}
	*nested_entries[page_level - 1] = bases[page_level - 1] | NPT_PAGE_FLAGS | (page_level > 1 ? PTE_PS : 0);
}

/*
 * L2's own tables for LINEAR: the page is in far memory, or, for a walk, the table of @far_level, which is then where the
 * page was. Level 4 is the root, which all of L2 needs.
 */
static void own_make(unsigned int far_level)
{
	const uint64_t flags = PTE_P | PTE_W | PTE_U | PTE_A | PTE_D;
	uint64_t *root = (uint64_t *)read_cr3(), *parent = root;
	unsigned int level;

	l1_vmcb.save.cr3 = read_cr3();
	for (level = 3; level >= 1; level--) {
		uint64_t *table = level == far_level ? (uint64_t *)DATA : own[level - 1];

		memset(table, 0, 4096);
		parent[1] = (level == far_level ? INDEX_1 : (ulong_t)table) | flags;
		parent = table;
	}
	parent[1] = (far_level ? SCRATCH_GPA + 0x2000 : INDEX_1) | flags;
	if (far_level == 4) {
		memcpy((void *)DATA, root, 4096);
		l1_vmcb.save.cr3 = INDEX_1;
	}
	write8((far_level ? SCRATCH_GPA + 0x2000 : DATA) + OFFSET, 0xc3);
}

static const char *code_of(enum access access)
{
	return (const char *const[]){ v_read, v_write, v_rmw, v_fetch, v_read }[access];
}

static uint64_t error_of(const struct row *row)
{
	static const uint64_t bits[] = {
		NPF_FINAL, NPF_FINAL | PFERR_W, NPF_FINAL | PFERR_W, NPF_FINAL | PFERR_I, NPF_TABLE | PFERR_W,
	};

	return row->error | bits[row->access];
}

static void check_fault(const struct row *row, unsigned int far_level)
{
	const char *rip = row->access == FETCH ? (const char *)LINEAR : code_of(row->access);
	uint64_t offset = row->access != WALK ? OFFSET : far_level == 4 ? 0 : 8;

	CHECK_EXIT(.code = SVM_EXIT_NPF, .info_1 = error_of(row), .info_2 = INDEX_1 + offset, .rip = (ulong_t)rip);
}

static void check_through(const struct row *row, unsigned int page_level)
{
	bool is_write = row->access == WRITE || row->access == RMW;
	unsigned int level;

	CHECK_EXIT_CODE(SVM_EXIT_VMMCALL);
	CHECK_NO_EXIT(SVM_EXIT_NPF);
	for (level = page_level; level <= 4; level++)
		CHECK_EQ(PTE_A, *nested_entries[level - 1] & PTE_A);
	if (row->access != WALK) {
		CHECK_EQ(is_write ? PTE_D : 0, *nested_entries[page_level - 1] & PTE_D);
		CHECK_EQ(row->access == WRITE ? 0x5a : 0xc3, read8(DATA + OFFSET));
	}
}

/* As golden, and what an entry's faults leave is not there for the next one. */
static void enter(const struct row *row)
{
	l1_vmcb.control.tlb_control = TLB_FLUSH_ALL;
	l2_regs.rbx = LINEAR;
	l2_run(code_of(row->access));
}

static void try_one(const struct row *row, unsigned int level, unsigned int page_level, unsigned int far_level)
{
	uint64_t *entry;

	nested_make(page_level);
	own_make(far_level);
	entry = nested_entries[level - 1];
	*entry = (*entry | row->set) & ~row->clear;
	enter(row);
	if (row->error) {
		check_fault(row, far_level);
		*entry = (*entry & ~row->set) | row->clear;
		l1_vmcb.control.tlb_control = TLB_FLUSH_ALL;
		vmcb_run(&l1_vmcb);
	}
	check_through(row, page_level);
}

GUEST(npt_levels)
{
	const struct row *row = GUEST_ROW(rows);
	unsigned int page_level = row->page_level ? row->page_level : 1, level, far_level;
	unsigned int first = row->first ? row->first : page_level, last = row->last ? row->last : 4;

	l1_svm_init();
	l1_vmcb.control.nested_ctl = NP_ENABLE;
	l1_vmcb.control.nested_cr3 = (ulong_t)npt_root;
	for (level = first; level <= last; level++) {
		if (row->access != WALK)
			try_one(row, level, page_level, 0);
		for (far_level = 1; row->access == WALK && far_level <= 4; far_level++)
			try_one(row, level, page_level, far_level);
	}
}

HOST(npt_levels)
{
	expect_done(t);
}
