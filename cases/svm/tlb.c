/* SPDX-License-Identifier: MIT */
/*
 * L1 changes a translation while L2 sleeps: after the flush that the manual asks for, L2 has the new one, be it in L2's
 * own tables, in the nested tables, or in the tables that L1 itself runs on; without a flush it has the old or the new
 * one. A translation that becomes more permissive, and an entry that becomes present, need none. L1's own translations
 * are right all the while.
 *
 * Can break: KVM runs L1 and L2 under tables and an ASID of its own making: a flush that L1 asks for (TLB_CONTROL,
 * INVLPGA) kept from the tables that KVM has in the shadow, an entry out of step that is not read again at VMRUN or at
 * #VMEXIT, A and D of an entry that L1 has cleared.
 * Source: APM vol. 2, 5.5.2, 5.5.3, 15.16, 15.25.
 */
#include "cases/svm/npt.h"
#include "case.h"

#define A_GPA (SCRATCH_GPA + 0x10000ul)
#define B_GPA (SCRATCH_GPA + 0x11000ul)
#define OTHER_GPA (SCRATCH_GPA + 0x12000ul)	/* not changed */
#define PAGE_BYTES 0x1000
#define NR_ROUNDS 6

INSN(t_read, "mov (%rbx), %eax\n\tvmmcall")
INSN(t_write, "mov (%rbx), %eax\n\tmov %eax, (%rbx)\n\tvmmcall")
INSN(t_fetch, "mov (%rbx), %eax\n\tcall *%r8\n\tvmmcall")
INSN(t_cr3, "mov %cr3, %rax\n\tmov %rax, %cr3\n\tmov (%rbx), %eax\n\tvmmcall")
INSN(t_invlpg, "invlpg (%rbx)\n\tmov (%rbx), %eax\n\tvmmcall")
INSN(t_pge, "mov %cr4, %rax\n\txor $0x80, %al\n\tmov %rax, %cr4\n\txor $0x80, %al\n\tmov %rax, %cr4\n\t"
	    "mov (%rbx), %eax\n\tvmmcall")

/* Whose tables are changed. */
enum table { L2_TABLE, NESTED_TABLE, L1_TABLE };
enum change { REMAP, READ_ONLY, ABSENT, NO_EXECUTE };
enum flush {
	NO_FLUSH, FLUSH_ALL, FLUSH_ASID, FLUSH_LOCAL, INVLPGA, INVLPGA_L1, NEW_ASID, L1_INVLPG, L1_CR3,
	L2_ITSELF,	/* the row's code does it */
};

struct row {
	ROW_FIELDS;
	const char *code;
	enum table table;
	enum change change;
	enum flush flush;
	bool is_nested;
	bool is_own_root;	/* L2's CR3 is another than L1's, with the same translations */
	bool is_global;
	uint8_t level;		/* of the nested entry; 0: 1 */
};

#define ROW_OF(label_, table_, change_, flush_, code_, ...)				\
	{ .label = #label_, .table = table_, .change = change_, .flush = flush_, .code = t_##code_, ##__VA_ARGS__ }
#define BY_ASID .needs = "cpuid:flushbyasid"
#define NESTED .is_nested = true, .needs = "cpuid:npt tdp"
#define NESTED_BY_ASID .is_nested = true, .needs = "cpuid:npt tdp cpuid:flushbyasid"
/* Each of the changes, by each of the ways that L1 has. */
#define WAYS(label_, table_, change_, code_, ...)					\
	ROW_OF(label_##_flush_all, table_, change_, FLUSH_ALL, code_, ##__VA_ARGS__),	\
	ROW_OF(label_##_new_asid, table_, change_, NEW_ASID, code_, ##__VA_ARGS__),	\
	ROW_OF(label_##_no_flush, table_, change_, NO_FLUSH, code_, ##__VA_ARGS__)
#define CHANGES(label_, table_, ...)							\
	WAYS(label_##_remap, table_, REMAP, read, ##__VA_ARGS__),			\
	WAYS(label_##_read_only, table_, READ_ONLY, write, ##__VA_ARGS__),		\
	WAYS(label_##_absent, table_, ABSENT, read, ##__VA_ARGS__),			\
	WAYS(label_##_no_execute, table_, NO_EXECUTE, fetch, ##__VA_ARGS__)
#define INVLPGA_OF(label_, ...)								\
	ROW_OF(label_##_remap_invlpga, L2_TABLE, REMAP, INVLPGA, read, ##__VA_ARGS__),	\
	ROW_OF(label_##_read_only_invlpga, L2_TABLE, READ_ONLY, INVLPGA, write, ##__VA_ARGS__),	\
	ROW_OF(label_##_remap_l2_cr3, L2_TABLE, REMAP, L2_ITSELF, cr3, ##__VA_ARGS__),	\
	ROW_OF(label_##_remap_l2_invlpg, L2_TABLE, REMAP, L2_ITSELF, invlpg, ##__VA_ARGS__),	\
	ROW_OF(label_##_absent_l2_cr3, L2_TABLE, ABSENT, L2_ITSELF, cr3, ##__VA_ARGS__)
#define GLOBAL(label_, ...)								\
	ROW_OF(label_##_flush_all, L2_TABLE, REMAP, FLUSH_ALL, read, .is_global = true, ##__VA_ARGS__),	\
	ROW_OF(label_##_invlpga, L2_TABLE, REMAP, INVLPGA, read, .is_global = true, ##__VA_ARGS__),	\
	ROW_OF(label_##_l2_invlpg, L2_TABLE, REMAP, L2_ITSELF, invlpg, .is_global = true, ##__VA_ARGS__),	\
	ROW_OF(label_##_l2_pge, L2_TABLE, REMAP, L2_ITSELF, pge, .is_global = true, ##__VA_ARGS__)

static const struct row rows[] = {
	CHANGES(shared, L2_TABLE), INVLPGA_OF(shared), GLOBAL(shared_global),
	CHANGES(own, L2_TABLE, .is_own_root = true), INVLPGA_OF(own, .is_own_root = true),
	GLOBAL(own_global, .is_own_root = true),
	CHANGES(nested_l2, L2_TABLE, NESTED), INVLPGA_OF(nested_l2, NESTED), GLOBAL(nested_global, NESTED),
	CHANGES(nested, NESTED_TABLE, NESTED),
	WAYS(nested_level_2_absent, NESTED_TABLE, ABSENT, read, NESTED, .level = 2),
	WAYS(nested_level_2_read_only, NESTED_TABLE, READ_ONLY, write, NESTED, .level = 2),
	WAYS(nested_level_2_no_execute, NESTED_TABLE, NO_EXECUTE, fetch, NESTED, .level = 2),
	ROW_OF(shared_remap_flush_asid, L2_TABLE, REMAP, FLUSH_ASID, read, BY_ASID),
	ROW_OF(shared_remap_flush_local, L2_TABLE, REMAP, FLUSH_LOCAL, read, BY_ASID),
	ROW_OF(nested_remap_flush_asid, NESTED_TABLE, REMAP, FLUSH_ASID, read, NESTED_BY_ASID),
	ROW_OF(nested_remap_flush_local, NESTED_TABLE, REMAP, FLUSH_LOCAL, read, NESTED_BY_ASID),
	ROW_OF(nested_absent_flush_asid, NESTED_TABLE, ABSENT, FLUSH_ASID, read, NESTED_BY_ASID),
	/* L1's own: the exit and L1's means, whatever L2 did between. */
	ROW_OF(l1_remap_invlpg, L1_TABLE, REMAP, L1_INVLPG, read), ROW_OF(l1_remap_cr3, L1_TABLE, REMAP, L1_CR3, read),
	ROW_OF(l1_remap_invlpga_0, L1_TABLE, REMAP, INVLPGA_L1, read),
	ROW_OF(l1_remap_flush_all, L1_TABLE, REMAP, FLUSH_ALL, read),
	ROW_OF(l1_remap_no_flush, L1_TABLE, REMAP, NO_FLUSH, read),
	ROW_OF(l1_nested_remap_invlpg, L1_TABLE, REMAP, L1_INVLPG, read, NESTED),
	ROW_OF(l1_nested_remap_invlpga_0, L1_TABLE, REMAP, INVLPGA_L1, read, NESTED),
	ROW_OF(l1_nested_remap_flush_all, L1_TABLE, REMAP, FLUSH_ALL, read, NESTED),
};

CASE(tlb, .says = "what L1 changes in tables while L2 sleeps is what L2 has after a flush", .modes = LONG64,
     .needs = "vendor:amd nested", .rows = ROWS(rows))

static uint64_t *entry;		/* the one that changes */
static uint64_t old_value, new_value;

/* A copy of the tables on the way to @address, down to level 1: the new root has the same translations. */
static uint64_t root_copy(ulong_t address)
{
	uint64_t *root = page_alloc(), *at = root;
	const uint64_t *from = (const uint64_t *)(read_cr3() & ~0xfffull);
	unsigned int shift;

	for (shift = 39;; shift -= 9) {
		uint64_t *next;

		memcpy(at, from, PAGE_BYTES);
		if (shift == 12)
			return (ulong_t)root;
		next = page_alloc();
		from = (const uint64_t *)(from[address >> shift & 511] & 0x000ffffffffff000ull);
		at[address >> shift & 511] = (ulong_t)next | PTE_P | PTE_W | PTE_U | PTE_A;
		at = next;
	}
}

/* The level-1 entry of @address under @root. */
static uint64_t *leaf_of(uint64_t root, ulong_t address)
{
	uint64_t *table = (uint64_t *)(root & ~0xfffull);
	unsigned int shift;

	for (shift = 39; shift > 12; shift -= 9)
		table = (uint64_t *)(table[address >> shift & 511] & 0x000ffffffffff000ull);
	return &table[address >> 12 & 511];
}

static uint64_t changed(enum change change, uint64_t value)
{
	switch (change) {
	case REMAP: return value ^ A_GPA ^ B_GPA;
	case READ_ONLY: return value & ~PTE_W;
	case ABSENT: return value & ~PTE_P;
	default: return value | PTE_NX;
	}
}

static void prepare(const struct row *row)
{
	uint64_t *leaf = pte_find(A_GPA, 1);

	write32(A_GPA, 0x00c3aaaa);
	write32(B_GPA, 0x00c3bbbb);
	write32(OTHER_GPA, 0xcccc);
	npt_build();
	if (row->is_global)
		*leaf |= PTE_G;
	write_cr4(read_cr4() | X86_CR4_PGE);
	l1_svm_init();
	if (row->is_nested) {
		l1_vmcb.control.nested_ctl = NP_ENABLE;
		l1_vmcb.control.nested_cr3 = (ulong_t)npt_root;
	}
	if (row->is_own_root)
		l1_vmcb.save.cr3 = root_copy(A_GPA);
	entry = row->table == NESTED_TABLE ? npt_entry(A_GPA, row->level ? row->level : 1, NPT_SCRATCH) :
		leaf_of(row->table == L1_TABLE ? read_cr3() : l1_vmcb.save.cr3, A_GPA);
	/* The pages behind a large entry have their own permissions still. */
	old_value = *entry | PTE_A | PTE_D;
	new_value = changed(row->change, old_value);
	vmcb_intercept(&l1_vmcb, SVM_EXIT_EXCP_BASE + PF_VECTOR);
}

static void flush(enum flush flush)
{
	l1_vmcb.control.tlb_control = TLB_KEEP;
	switch (flush) {
	case FLUSH_ALL: l1_vmcb.control.tlb_control = TLB_FLUSH_ALL; break;
	case FLUSH_ASID: l1_vmcb.control.tlb_control = TLB_FLUSH_ASID; break;
	case FLUSH_LOCAL: l1_vmcb.control.tlb_control = TLB_FLUSH_ASID_LOCAL; break;
	case INVLPGA: __asm__ volatile("invlpga" : : "a"(A_GPA), "c"(l1_vmcb.control.asid) : "memory"); break;
	case INVLPGA_L1: __asm__ volatile("invlpga" : : "a"(A_GPA), "c"(0) : "memory"); break;
	/* Never used before, so that nothing is in the TLB under it. */
	case NEW_ASID: l1_vmcb.control.asid++; break;
	case L1_INVLPG: invlpg(A_GPA); break;
	case L1_CR3: write_cr3(read_cr3()); break;
	default: break;
	}
}

/* L2 goes to @code, reads at A_GPA, and writes or executes there as the code says. */
static void enter(const char *code)
{
	l2_regs.rbx = A_GPA;
	l2_regs.r8 = A_GPA + 2;
	l1_vmcb.save.rax = 0;
	l2_run(code);
}

static uint64_t wanted_error(enum change change)
{
	switch (change) {
	case READ_ONLY: return PFERR_W | PFERR_P;
	case NO_EXECUTE: return PFERR_I | PFERR_P;
	default: return 0;
	}
}

static void check_refused(const struct row *row)
{
	bool is_nested = row->table == NESTED_TABLE;
	uint64_t address = row->change == NO_EXECUTE ? A_GPA + 2 : A_GPA;

	CHECK_EQ(is_nested ? SVM_EXIT_NPF : SVM_EXIT_EXCP_BASE + PF_VECTOR, l1_vmcb.control.exit_code);
	CHECK_EQ(wanted_error(row->change) | (is_nested ? NPF_FINAL | PFERR_U : 0), l1_vmcb.control.exit_info_1);
	CHECK_EQ(address, l1_vmcb.control.exit_info_2);
}

static void check_seen(const struct row *row, bool is_new)
{
	if (is_new && row->change != REMAP) {
		check_refused(row);
		return;
	}
	CHECK_EQ(SVM_EXIT_VMMCALL, l1_vmcb.control.exit_code);
	CHECK_EQ(is_new ? 0x00c3bbbb : 0x00c3aaaa, l1_vmcb.save.rax);
}

/* The old or the new one. */
static void check_either(const struct row *row)
{
	if (l1_vmcb.control.exit_code != SVM_EXIT_VMMCALL) {
		check_seen(row, true);
		return;
	}
	CHECK(l1_vmcb.save.rax == 0x00c3aaaa || (row->change == REMAP && l1_vmcb.save.rax == 0x00c3bbbb));
}

static void try_l2(const struct row *row, bool is_new)
{
	bool is_sure = row->flush != NO_FLUSH || (row->change != REMAP && !is_new);

	*entry = is_new ? new_value : old_value;
	flush(row->flush);
	enter(row->code);
	if (is_sure)
		check_seen(row, is_new);
	else
		check_either(row);
	/* L1's own, and L2's other ones. */
	CHECK_EQ(0xcccc, read32(OTHER_GPA));
}

static void try_l1(const struct row *row, bool is_new)
{
	uint32_t value = is_new ? 0x00c3bbbb : 0x00c3aaaa, got;

	*entry = is_new ? new_value : old_value;
	flush(row->flush);
	l2_regs.rbx = OTHER_GPA;
	l2_run(t_read);
	CHECK_EQ(SVM_EXIT_VMMCALL, l1_vmcb.control.exit_code);
	CHECK_EQ(0xcccc, l1_vmcb.save.rax);
	got = read32(A_GPA);
	if (row->flush == NO_FLUSH)
		CHECK(got == 0x00c3aaaa || got == 0x00c3bbbb);
	else
		CHECK_EQ(value, got);
}

GUEST(tlb)
{
	const struct row *row = GUEST_ROW(rows);
	unsigned int i;

	prepare(row);
	for (i = 0; i < NR_ROUNDS; i++) {
		if (row->table == L1_TABLE)
			try_l1(row, i & 1);
		else
			try_l2(row, i & 1);
	}
}

HOST(tlb)
{
	expect_done(t);
}
