/* SPDX-License-Identifier: MIT */
/*
 * EPT of L1: an access that it does not allow exits as a violation that names the access, the permissions and both
 * addresses, one that meets a malformed entry as a misconfiguration; once L1 has repaired the entry, L2 goes on.
 *
 * Can break: permissions of one level only, an access of the page walk taken for one of the program, a stale translation
 * behind INVEPT, KVM's own violations passed on to L1.
 * Source: SDM vol. 3C, 29.3.2, 29.3.3, tables 28-7 and 29-6.
 */
#include "cases/vmx/l2.h"

/*
 * L2 reaches its page at LINEAR by a page table of its own; to L2 it is at L2_GPA, of which L1's EPT makes PAGE, RAM of
 * the case's. Nothing else lies in these tables.
 */
#define OFFSET 0x128
#define LINEAR 0x40000000ul
#define L2_GPA 0x80180000ul
#define PAGE 0x380000ul
#define LARGE_PAGE 0x200000ul	/* the 2 MiB that hold PAGE, and L2_GPA to L2 */

L2(load, "mov (%rsi), %rcx")
L2(store, "movb $0x5a, (%rsi)")
L2(call, "call *%rsi")

#define Q(access_, permissions_) ((access_) | (permissions_) << 3 | EPT_QUAL_LINEAR_VALID | EPT_QUAL_TRANSLATED)
#define R 1u
#define W 2u
#define X 4u

struct row {
	ROW_FIELDS;
	const char *code;
	unsigned int level;		/* of the entry that is changed; 0: 1 */
	uint64_t set, clear;
	uint64_t reason;		/* 0: none */
	uint64_t qualification;
	bool compares_qualification;	/* of a misconfiguration */
	bool is_walk;			/* the entry is of the page that holds L2's page table */
};

#define VIOLATION(label_, name_, clear_, qualification_, ...)				\
	{ .label = label_, .code = l2_##name_, .clear = clear_, .reason = EXIT_REASON_EPT_VIOLATION, \
	  .qualification = qualification_, ##__VA_ARGS__ }
#define MISCONFIG(label_, set_, clear_, ...)						\
	{ .label = label_, .code = l2_load, .set = set_, .clear = clear_, \
	  .reason = EXIT_REASON_EPT_MISCONFIG, ##__VA_ARGS__ }
#define ALLOWED(label_, name_, clear_, ...)						\
	{ .label = label_, .code = l2_##name_, .clear = clear_, ##__VA_ARGS__ }

static const struct row rows[] = {
	VIOLATION("absent_load", load, EPTE_RWX, Q(R, 0)),
	VIOLATION("absent_store", store, EPTE_RWX, Q(W, 0)),
	VIOLATION("absent_fetch", call, EPTE_RWX, Q(X, 0)),
	VIOLATION("read_only_store", store, EPTE_W, Q(W, R | X)),
	VIOLATION("read_only_no_fetch_store", store, EPTE_W | EPTE_X, Q(W, R)),
	VIOLATION("no_fetch", call, EPTE_X, Q(X, R | W)),
	VIOLATION("read_only_fetch", call, EPTE_W | EPTE_X, Q(X, R)),
	VIOLATION("execute_only_load", load, EPTE_R | EPTE_W, Q(R, X), .needs = "vmx:ept_execute_only"),
	VIOLATION("execute_only_store", store, EPTE_R | EPTE_W, Q(W, X), .needs = "vmx:ept_execute_only"),
	ALLOWED("read_only_load", load, EPTE_W | EPTE_X),
	ALLOWED("no_fetch_store", store, EPTE_X),
	ALLOWED("read_only_call", call, EPTE_W),
	ALLOWED("execute_only_call", call, EPTE_R | EPTE_W, .needs = "vmx:ept_execute_only"),
	VIOLATION("absent_2m", load, EPTE_RWX, Q(R, 0), .level = 2),
	VIOLATION("read_only_2m", store, EPTE_W, Q(W, R | X), .level = 2),
	VIOLATION("read_only_table_1g", store, EPTE_W, Q(W, R | X), .level = 3),
	VIOLATION("absent_table_1g", load, EPTE_RWX, Q(R, 0), .level = 3),

	/* Only a violation has a qualification; the rows below do not compare it. */
	MISCONFIG("qualification", 0, EPTE_R, .compares_qualification = true,
		  .known = { "0406-nested-ept-misconfig-qualification", NULL, "6.1..6.1" }),
	MISCONFIG("write_only", 0, EPTE_R | EPTE_X),
	MISCONFIG("write_execute", 0, EPTE_R),
	MISCONFIG("type_2", 2ull << 3, 7ull << 3),
	MISCONFIG("type_3", 3ull << 3, 7ull << 3),
	MISCONFIG("type_7", 7ull << 3, 0),
	MISCONFIG("bit51", 1ull << 51, 0),
	MISCONFIG("table_bit3", 1ull << 3, 0, .level = 3),
	MISCONFIG("large_2m_address", 1ull << 12, 0, .level = 2),

	/* The walk of L2's page tables is an access of its own, not translated further. */
	{ .label = "walk_absent", .code = l2_load, .clear = EPTE_RWX, .is_walk = true,
	  .reason = EXIT_REASON_EPT_VIOLATION, .qualification = EPT_QUAL_READ | EPT_QUAL_LINEAR_VALID },
};

CASE(exit_ept, .says = "L1's EPT decides what L2 may access, and the exit says what it was", .modes = LONG64,
     .needs = "vendor:intel nested vmx:ept vmx:invept tdp", .rows = ROWS(rows))

static void map_page(void)
{
	page_map(LINEAR, L2_GPA, PTE_P | PTE_W | PTE_U | PTE_A | PTE_D);
	vmx_use_ept();
	*ept_find(L2_GPA, 2) = LARGE_PAGE | EPTE_RWX | EPTE_WB | EPTE_LARGE;
}

/* The guest-physical address of the entry of LINEAR in L2's page table. */
static uint64_t pte_gpa(void)
{
	return (ulong_t)pte_find(LINEAR, 1);
}

static void check_exit(const struct row *row, uint64_t physical, struct vmx_exit *want)
{
	want->reason = row->reason;
	want->qualification = row->qualification;
	want->guest_physical = physical;
	if (row->reason == EXIT_REASON_EPT_VIOLATION)
		want->guest_linear = LINEAR + OFFSET;
	else if (!row->compares_qualification)
		vmx.exit.qualification = 0;
	if (row->code == l2_call) {
		want->rip = LINEAR + OFFSET;
		want->rsp -= 8;
	}
	/* Finding 0404 */
	vmx.exit.rflags &= ~X86_EFLAGS_RF;
	CHECK_EXIT(want);
}

GUEST(exit_ept)
{
	const struct row *row = GUEST_ROW(rows);
	struct { uint64_t eptp, zero; } descriptor = { 0, 0 };
	uint64_t physical, old, *entry;
	struct vmx_exit want;

	/* RET, for the rows that call it */
	write8(PAGE + OFFSET, 0xc3);
	vmx_start();
	map_page();
	physical = row->is_walk ? pte_gpa() : L2_GPA + OFFSET;
	entry = ept_find(physical, row->level ? row->level : 1);
	old = *entry;
	*entry = (old & ~row->clear) | row->set;
	vmx_aim(row->code);
	vmx.gprs.rsi = LINEAR + OFFSET;
	vmx_state_read(&want);
	vmx_run();
	if (row->reason) {
		check_exit(row, physical, &want);
		*entry = old;
		descriptor.eptp = vmcs_read(EPT_POINTER);
		CHECK_EQ(VMX_OK, invept_try(INVEPT_SINGLE, &descriptor));
		vmx_run();
	}
	CHECK_EQ(VMX_OK, vmx.exit.outcome);
	CHECK_L2_DONE();
	if (row->code == l2_load)
		CHECK_EQ(0xc3, vmx.gprs.rcx);
	CHECK_EQ(row->code == l2_store ? 0x5a : 0xc3, read8(PAGE + OFFSET));
}

HOST(exit_ept)
{
	expect_done(t);
}
