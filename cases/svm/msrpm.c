/* SPDX-License-Identifier: MIT */
/*
 * RDMSR and WRMSR of L2 exit to L1 by the MSR's own two bits of the permission map, reads apart from writes, at both
 * ends of each of the map's three ranges; outside of them they always do; with every other bit set they do not.
 *
 * Can break: KVM merges its map with L1's by a list of offsets: one left out, the wrong half of a pair, a map that is
 * not read again for the next entry.
 * Source: APM vol. 2, 15.11.
 */
#include "guests/l1_svm.h"
#include "case.h"

INSN(m_read, "rdmsr\n\tvmmcall")
INSN(m_write, "wrmsr\n\tvmmcall")

enum outcome { WORKS, FAULTS, OUTSIDE };

struct row {
	ROW_FIELDS;
	uint32_t index;
	enum outcome outcome;	/* without an exit */
	bool is_read_only;
};

static const struct row rows[] = {
	{ .label = "0", .index = 0, .outcome = WORKS, .is_read_only = true }, { .label = "tsc", .index = 0x10, .outcome = WORKS },
	{ .label = "sysenter_cs", .index = 0x174, .outcome = WORKS },
	{ .label = "sysenter_esp", .index = 0x175, .outcome = WORKS },
	{ .label = "sysenter_eip", .index = 0x176, .outcome = WORKS },
	{ .label = "pat", .index = 0x277, .outcome = WORKS },
	{ .label = "1fff", .index = 0x1fff, .outcome = FAULTS },
	{ .label = "efer", .index = 0xc0000080, .outcome = WORKS },
	{ .label = "star", .index = 0xc0000081, .outcome = WORKS },
	{ .label = "lstar", .index = 0xc0000082, .outcome = WORKS },
	{ .label = "cstar", .index = 0xc0000083, .outcome = WORKS },
	{ .label = "sfmask", .index = 0xc0000084, .outcome = WORKS },
	{ .label = "fs_base", .index = 0xc0000100, .outcome = WORKS },
	{ .label = "gs_base", .index = 0xc0000101, .outcome = WORKS },
	{ .label = "kernel_gs_base", .index = 0xc0000102, .outcome = WORKS },
	{ .label = "c0000000", .index = 0xc0000000, .outcome = FAULTS },
	{ .label = "c0001fff", .index = 0xc0001fff, .outcome = FAULTS },
	{ .label = "vm_hsave_pa", .index = 0xc0010117, .outcome = WORKS },
	{ .label = "c0011fff", .index = 0xc0011fff, .outcome = FAULTS },
	{ .label = "2000", .index = 0x2000, .outcome = OUTSIDE },
	{ .label = "bfffffff", .index = 0xbfffffff, .outcome = OUTSIDE },
	{ .label = "c0002000", .index = 0xc0002000, .outcome = OUTSIDE },
	{ .label = "c000ffff", .index = 0xc000ffff, .outcome = OUTSIDE },
	{ .label = "c0012000", .index = 0xc0012000, .outcome = OUTSIDE },
	{ .label = "ffffffff", .index = 0xffffffff, .outcome = OUTSIDE },
};

CASE(msrpm, .says = "an MSR access of L2 exits by its own bit of the map", .modes = LONG64,
     .needs = "vendor:amd nested", .rows = ROWS(rows))

static struct l2_regs regs;

static void enter(const void *code, uint32_t index, uint64_t value)
{
	regs = (struct l2_regs){ .rcx = index, .rdx = value >> 32 };
	l2_regs = regs;
	l1_vmcb.save.rax = (uint32_t)value;
	l2_run(code);
}

static void check_exits(const void *code, uint32_t index, bool is_write)
{
	enter(code, index, 0x1111111122222222ull);
	CHECK_EXIT(.code = SVM_EXIT_MSR, .info_1 = is_write, .rip = (ulong_t)code);
	CHECK_NEXT_RIP(code + 2);
	CHECK_L2_REGS(&regs);
	CHECK_EQ(0x22222222, l1_vmcb.save.rax);
}

/* No exit to L1: the access works, or #GP is what L1 sees, who intercepts that. */
static void check_passes(const void *code, const struct row *row, bool is_write)
{
	bool works = row->outcome == WORKS && !(is_write && row->is_read_only);
	uint64_t value = row->outcome == WORKS ? rdmsr(row->index) : 0;

	enter(code, row->index, value);
	CHECK_EXIT_CODE(works ? SVM_EXIT_VMMCALL : SVM_EXIT_EXCP_BASE + GP_VECTOR);
	if (works && row->index != MSR_IA32_TSC) {
		CHECK_EQ((uint32_t)value, l1_vmcb.save.rax);
		CHECK_EQ(value >> 32, l2_regs.rdx);
		CHECK_EQ(value, rdmsr(row->index));
	}
}

static void try_one(const struct row *row, const void *code, bool is_write)
{
	memset(l1_msrpm, 0, MSRPM_BYTES);
	msrpm_set(l1_msrpm, row->index, is_write, true);
	check_exits(code, row->index, is_write);
	if (row->outcome == OUTSIDE)
		return;
	memset(l1_msrpm, 0xff, MSRPM_BYTES);
	msrpm_set(l1_msrpm, row->index, is_write, false);
	check_passes(code, row, is_write);
	/* The intercept itself off: the map does not count. */
	memset(l1_msrpm, 0xff, MSRPM_BYTES);
	vmcb_intercept_clear(&l1_vmcb, SVM_EXIT_MSR);
	check_passes(code, row, is_write);
	vmcb_intercept(&l1_vmcb, SVM_EXIT_MSR);
}

GUEST(msrpm)
{
	const struct row *row = GUEST_ROW(rows);

	l1_svm_init();
	vmcb_intercept(&l1_vmcb, SVM_EXIT_MSR);
	vmcb_intercept(&l1_vmcb, SVM_EXIT_EXCP_BASE + GP_VECTOR);
	try_one(row, m_read, false);
	try_one(row, m_write, true);
}

HOST(msrpm)
{
	expect_done(t);
}
