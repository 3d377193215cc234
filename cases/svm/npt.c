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
#include "cases/svm/npt.h"
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

/*
 * Above level 1 L2's own code and tables lie under the same entry: the first access that it forbids is L2's fetch of its
 * code, or the walk of its tables.
 */
static void check_first_of_all(const struct row *row)
{
	CHECK_EXIT_CODE(SVM_EXIT_NPF);
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
		CHECK_EXIT_CODE(SVM_EXIT_VMMCALL);
		CHECK_NO_EXIT(SVM_EXIT_NPF);
		if (is_final)
			CHECK_EQ(row->dirty, *entry & (PTE_A | PTE_D));
		return;
	}
	if (row->level > 1) {
		check_first_of_all(row);
		return;
	}
	CHECK_EXIT_CODE(SVM_EXIT_NPF);
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
	entry = npt_entry(gpa, row->level, row->target == FINAL ? NPT_SCRATCH : NPT_FIRST);
	l1_svm_init();
	l1_vmcb.control.nested_ctl = NP_ENABLE;
	l1_vmcb.control.nested_cr3 = (ulong_t)npt_root;
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
	CHECK_EXIT_CODE(SVM_EXIT_VMMCALL);
	CHECK_EQ(row->code == n_write ? 0x5a : 0xc3, read8(PAGE));
}

HOST(npt)
{
	expect_done(t);
}
