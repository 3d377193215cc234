/* SPDX-License-Identifier: MIT */
/*
 * L1's nested page tables decide what L2 may do with a page: a violation is a #NPF exit with the access and the entry's
 * faults in EXITINFO1 and the L2 guest-physical address in EXITINFO2; a legal access goes through and leaves A and D.
 * One on the way through L2's own page tables is told apart from one on the final page.
 *
 * Can break: KVM builds a third table out of L1's and its own: a permission bit not taken over, NX, a reserved bit not
 * looked at, the wrong one of bits 32 and 33, A and D not written back, a large page split wrongly.
 * Source: APM vol. 2, 15.25.5, 15.25.6.
 */
#include "guests/l1_svm.h"
#include "case.h"

INSN(n_read, "mov (%rbx), %al\n\tvmmcall")
INSN(n_write, "movb $0x5a, (%rbx)\n\tvmmcall")
INSN(n_fetch, "call *%rbx\n\tvmmcall")
INSN(n_rmw, "orb $1, (%rbx)\n\tvmmcall")

#define PAGE (SCRATCH_GPA + 0x4000)

enum target { FINAL, TABLE };

struct row {
	ROW_FIELDS;
	const char *code;
	uint64_t set, clear;	/* of the entry that maps the page */
	uint8_t level;
	enum target target;
	uint64_t error;		/* EXITINFO1; 0: no exit */
	uint64_t dirty;		/* A and D afterwards */
};

#define USER PFERR_U
#define ROW_OF(label_, code_, level_, set_, clear_, error_, ...)			\
	{ .label = #label_, .code = n_##code_, .level = level_, .set = set_, .clear = clear_, .error = error_, ##__VA_ARGS__ }
#define LEVELS(label_, code_, set_, clear_, error_)					\
	ROW_OF(label_##_1, code_, 1, set_, clear_, error_), ROW_OF(label_##_2, code_, 2, set_, clear_, error_),	\
	ROW_OF(label_##_3, code_, 3, set_, clear_, error_), ROW_OF(label_##_4, code_, 4, set_, clear_, error_)

static const struct row rows[] = {
	ROW_OF(read_ok, read, 1, 0, 0, 0, .dirty = PTE_A), ROW_OF(write_ok, write, 1, 0, 0, 0, .dirty = PTE_A | PTE_D),
	ROW_OF(fetch_ok, fetch, 1, 0, 0, 0, .dirty = PTE_A), ROW_OF(rmw_ok, rmw, 1, 0, 0, 0, .dirty = PTE_A | PTE_D),
	ROW_OF(read_ro, read, 1, 0, PTE_W, 0, .dirty = PTE_A), ROW_OF(read_nx, read, 1, PTE_NX, 0, 0, .dirty = PTE_A),
	LEVELS(read_absent, read, 0, PTE_P, NPF_FINAL | USER),
	LEVELS(write_absent, write, 0, PTE_P, NPF_FINAL | USER | PFERR_W),
	LEVELS(fetch_absent, fetch, 0, PTE_P, NPF_FINAL | USER | PFERR_I),
	LEVELS(write_ro, write, 0, PTE_W, NPF_FINAL | USER | PFERR_W | PFERR_P),
	LEVELS(rmw_ro, rmw, 0, PTE_W, NPF_FINAL | USER | PFERR_W | PFERR_P),
	LEVELS(fetch_nx, fetch, PTE_NX, 0, NPF_FINAL | USER | PFERR_I | PFERR_P),
	/* A nested table is walked as a user's. */
	LEVELS(read_supervisor, read, 0, PTE_U, NPF_FINAL | USER | PFERR_P),
	LEVELS(write_supervisor, write, 0, PTE_U, NPF_FINAL | USER | PFERR_W | PFERR_P),
	LEVELS(read_reserved, read, 1ull << 51, 0, NPF_FINAL | USER | PFERR_RSVD | PFERR_P),
	ROW_OF(table_absent, read, 1, 0, PTE_P, NPF_TABLE | USER | PFERR_W, .target = TABLE),
	ROW_OF(table_ro, read, 1, 0, PTE_W, NPF_TABLE | USER | PFERR_W | PFERR_P, .target = TABLE),
	ROW_OF(table_nx, read, 1, PTE_NX, 0, 0, .target = TABLE),
};

CASE(npt, .says = "a nested page fault of L2 exits with the access and the address", .modes = LONG64,
     .needs = "vendor:amd nested cpuid:npt tdp", .rows = ROWS(rows))

/* --- nested tables: 4 GiB one to one, in 2 MiB pages but for the one that holds @PAGE --- */

#define NR_ENTRIES 512
#define TABLE_FLAGS (PTE_P | PTE_W | PTE_U | PTE_A)
#define PAGE_FLAGS (PTE_P | PTE_W | PTE_U)

static uint64_t root[NR_ENTRIES] __attribute__((aligned(4096))), level_3[NR_ENTRIES] __attribute__((aligned(4096))),
	level_2[4][NR_ENTRIES] __attribute__((aligned(4096))), level_1[2][NR_ENTRIES] __attribute__((aligned(4096)));

/* Large pages of the address at level 2: one with the case's scratch, one with L2's page tables at its start. */
static void split(unsigned int which, uint64_t gpa)
{
	unsigned int i;

	for (i = 0; i < NR_ENTRIES; i++)
		level_1[which][i] = ((gpa & ~0x1fffffull) + i * 0x1000ull) | PAGE_FLAGS;
	level_2[gpa >> 30][gpa >> 21 & 511] = (ulong_t)level_1[which] | TABLE_FLAGS;
}

static void npt_build(void)
{
	unsigned int i;

	root[0] = (ulong_t)level_3 | TABLE_FLAGS;
	for (i = 0; i < 4; i++)
		level_3[i] = (ulong_t)level_2[i] | TABLE_FLAGS;
	for (i = 0; i < 4 * NR_ENTRIES; i++)
		level_2[i / NR_ENTRIES][i % NR_ENTRIES] = i * 0x200000ull | PAGE_FLAGS | PTE_PS;
	split(0, PAGE);
	split(1, TABLES_GPA);
}

/* The entry at a level on the way to @gpa, which is in one of the two split pages. */
static uint64_t *npt_entry(uint64_t gpa, unsigned int level, unsigned int which)
{
	switch (level) {
	case 1: return &level_1[which][gpa >> 12 & 511];
	case 2: return &level_2[gpa >> 30][gpa >> 21 & 511];
	case 3: return &level_3[gpa >> 30];
	default: return &root[0];
	}
}

/*
 * Above level 1 L2's own code and tables lie under the same entry: the first access that it forbids is L2's fetch of its
 * code, or the walk of its tables.
 */
static void check_first_of_all(const struct row *row)
{
	CHECK_EQ(SVM_EXIT_NPF, l1_vmcb.control.exit_code);
	if (row->code != n_fetch)
		CHECK_EQ((ulong_t)row->code, l1_vmcb.save.rip);
	CHECK_EQ(0, l1_vmcb.control.exit_info_1 & ~(NPF_FINAL | NPF_TABLE | 0x1full));
	CHECK_EQ(USER, l1_vmcb.control.exit_info_1 & USER);
	CHECK_EQ(row->error & (PFERR_P | PFERR_RSVD), l1_vmcb.control.exit_info_1 & (PFERR_P | PFERR_RSVD));
	CHECK_EQ(1, !!(l1_vmcb.control.exit_info_1 & NPF_FINAL) + !!(l1_vmcb.control.exit_info_1 & NPF_TABLE));
}

static void check_outcome(const struct row *row, uint64_t gpa, const uint64_t *entry)
{
	bool is_final = row->target == FINAL;

	if (!row->error) {
		CHECK_EQ(SVM_EXIT_VMMCALL, l1_vmcb.control.exit_code);
		if (is_final)
			CHECK_EQ(row->dirty, *entry & (PTE_A | PTE_D));
		return;
	}
	if (row->level > 1) {
		check_first_of_all(row);
		return;
	}
	CHECK_EQ(SVM_EXIT_NPF, l1_vmcb.control.exit_code);
	CHECK_EQ(row->error, l1_vmcb.control.exit_info_1);
	CHECK_EQ(gpa, is_final ? l1_vmcb.control.exit_info_2 : l1_vmcb.control.exit_info_2 & ~0xfffull);
	CHECK_EQ((ulong_t)(row->code == n_fetch ? (const char *)PAGE : row->code), l1_vmcb.save.rip);
}

GUEST(npt)
{
	const struct row *row = GUEST_ROW(rows);
	uint64_t gpa = row->target == FINAL ? PAGE : read_cr3() & ~0xfffull;
	uint64_t *entry;

	npt_build();
	write8(PAGE, 0xc3);
	entry = npt_entry(gpa, row->level, row->target == FINAL ? 0 : 1);
	l1_svm_init();
	l1_vmcb.control.nested_ctl = NP_ENABLE;
	l1_vmcb.control.nested_cr3 = (ulong_t)root;
	*entry = (*entry & ~row->clear) | row->set;
	l2_regs.rbx = PAGE;
	l2_run(row->code);
	check_outcome(row, gpa, entry);
	if (!row->error)
		return;

	/* Put right, L2 goes on as if nothing had been. */
	*entry = (*entry & ~row->set) | row->clear;
	l1_vmcb.control.tlb_control = TLB_FLUSH_ALL;
	vmcb_run(&l1_vmcb);
	CHECK_EQ(SVM_EXIT_VMMCALL, l1_vmcb.control.exit_code);
	CHECK_EQ(row->code == n_write ? 0x5a : 0xc3, read8(PAGE));
}

HOST(npt)
{
	expect_done(t);
}
