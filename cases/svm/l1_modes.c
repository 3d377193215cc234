/* SPDX-License-Identifier: MIT */
/*
 * L1 is a 32-bit hypervisor, without paging, with 2-level or PAE tables: it runs L2 in its own mode or in another, 64-bit
 * mode among them, by L2's own tables or by nested ones, whose format is that of L1's tables; and it is back in its own
 * mode at each #VMEXIT.
 *
 * Can break: EFER.LMA and LME of L1 that become L2's, PAE pointers not loaded again, nested tables walked as 64-bit ones,
 * a nested CR3 of which only a part counts, upper halves.
 * Source: APM vol. 2, 15.5.1, 15.6, 15.25.3, 15.25.4.
 */
#include "guests/l1_svm.h"
#include "case.h"

INSN(w_read, "mov (%ebx), %eax\n\tcpuid\n\tvmmcall")
/* The same bytes in 64-bit mode, and INC R8, which no other mode has. */
INSN(w_read64, "mov (%ebx), %eax\n\tcpuid\n\t.byte 0x49, 0xff, 0xc0\n\tvmmcall")
INSN(w_write, "mov %ecx, (%ebx)\n\tvmmcall")

#define PAGE (SCRATCH_GPA + 0x10000)
#define OTHER (SCRATCH_GPA + 0x11000)
#define LONG_TABLES (SCRATCH_GPA + 0x20000)
#define PAGE_BYTES 0x1000
#define VALUE 0x13579bdf
#define OTHER_VALUE 0x2468ace0

enum l2 { SAME, NO_PAGING, LONG };
enum nested { OFF, ON, READ_ONLY, ABSENT, TABLE_ABSENT, RESERVED };

struct row {
	ROW_FIELDS;
	enum l2 l2;
	enum nested nested;
	uint64_t cr3_offset;	/* added to the nested CR3 */
};

#define PAGED (PAGE32 | PAE32)
#define NO_PAGING_KNOWN .known = { "1107-svm-without-paging", "!(bare|soft-svm)" }
#define NPT .needs = "cpuid:npt tdp"

static const struct row rows[] = {
	{ .label = "same", .modes = PAGED, .l2 = SAME },
	/* Without nested paging of KVM's own L1 has L2's CR4 then, PAE among it (svm.l1_cr4). */
	{ .label = "no_paging", .modes = PAGED, .l2 = NO_PAGING, .needs = "tdp" },
	{ .label = "long", .modes = PAGED, .l2 = LONG },
	{ .label = "same_prot32", .modes = PROT32, .l2 = SAME, NO_PAGING_KNOWN },
	{ .label = "long_prot32", .modes = PROT32, .l2 = LONG, NO_PAGING_KNOWN },
	{ .label = "same_nested", .modes = PAGED, .l2 = SAME, .nested = ON, NPT },
	{ .label = "no_paging_nested", .modes = PAGED, .l2 = NO_PAGING, .nested = ON, NPT },
	{ .label = "long_nested", .modes = PAGED, .l2 = LONG, .nested = ON, NPT },
	{ .label = "read_only", .modes = PAGED, .l2 = SAME, .nested = READ_ONLY, NPT },
	{ .label = "absent", .modes = PAGED, .l2 = NO_PAGING, .nested = ABSENT, NPT },
	{ .label = "long_absent", .modes = PAGED, .l2 = LONG, .nested = ABSENT, NPT },
	{ .label = "table_absent", .modes = PAE32, .l2 = NO_PAGING, .nested = TABLE_ABSENT, NPT },
	{ .label = "reserved", .modes = PAE32, .l2 = NO_PAGING, .nested = RESERVED, NPT },
	/* The pointers of PAE lie on 32 bytes. */
	{ .label = "pointers_at_20", .modes = PAE32, .l2 = SAME, .nested = ON, .cr3_offset = 0x20, NPT },
	{ .label = "pointers_at_fe0", .modes = PAE32, .l2 = NO_PAGING, .nested = ON, .cr3_offset = 0xfe0, NPT },
};

CASE(l1_modes, .says = "a 32-bit L1 runs L2 in every mode and is back in its own", .modes = PROTECTED,
     .needs = "vendor:amd nested cpuid:lm", .rows = ROWS(rows))

/* The first 4 MiB one to one, of 64-bit mode. */
static ulong_t long_tables(void)
{
	uint64_t *root = (uint64_t *)LONG_TABLES, *pointers = root + 512, *directory = pointers + 512;

	memset(root, 0, 3 * PAGE_BYTES);
	root[0] = (ulong_t)pointers | PTE_P | PTE_W;
	pointers[0] = (ulong_t)directory | PTE_P | PTE_W;
	directory[0] = PTE_P | PTE_W | PTE_PS;
	directory[1] = 0x200000 | PTE_P | PTE_W | PTE_PS;
	return LONG_TABLES;
}

/* Nested tables in the format of L1's own, the first 4 MiB one to one, but PAGE, which is OTHER: its entry. */
#define NESTED_FLAGS (PTE_P | PTE_W | PTE_U)

struct nested_tables {
	uint64_t cr3;
	void *entry, *table;	/* that map PAGE, at levels 1 and 2 */
};

static struct nested_tables nested_two_levels(void)
{
	uint32_t *root = page_alloc(), *table = page_alloc();
	unsigned int i;

	for (i = 0; i < 1024; i++)
		table[i] = i * PAGE_BYTES | NESTED_FLAGS;
	root[0] = (ulong_t)table | NESTED_FLAGS;
	table[PAGE / PAGE_BYTES] = OTHER | NESTED_FLAGS;
	return (struct nested_tables){ .cr3 = (ulong_t)root, .entry = &table[PAGE / PAGE_BYTES], .table = &root[0] };
}

static struct nested_tables nested_pae(uint32_t offset)
{
	uint64_t *pointers = (uint64_t *)((uint8_t *)page_alloc() + offset), *directory = page_alloc();
	uint64_t *table = page_alloc();
	unsigned int i;

	pointers[0] = (ulong_t)directory | PTE_P;
	directory[0] = NESTED_FLAGS | PTE_PS;
	for (i = 0; i < 512; i++)
		table[i] = (SCRATCH_GPA + i * PAGE_BYTES) | NESTED_FLAGS;
	directory[1] = (ulong_t)table | NESTED_FLAGS;
	table[PAGE / PAGE_BYTES % 512] = OTHER | NESTED_FLAGS;
	return (struct nested_tables){ .cr3 = (ulong_t)pointers, .entry = &table[PAGE / PAGE_BYTES % 512],
				       .table = &directory[1] };
}

static void xor_entry(void *entry, uint64_t value)
{
	pte_write(entry, pte_read(entry) ^ value);
}

static void nested_make(const struct row *row, struct nested_tables *tables)
{
	*tables = guest_mode() == PAE32 ? nested_pae(row->cr3_offset) : nested_two_levels();
	if (row->nested == READ_ONLY)
		xor_entry(tables->entry, PTE_W);
	if (row->nested == ABSENT)
		xor_entry(tables->entry, PTE_P);
	if (row->nested == TABLE_ABSENT)
		xor_entry(tables->table, PTE_P);
	if (row->nested == RESERVED)
		xor_entry(tables->entry, 1ull << 51);
	l1_vmcb.control.nested_ctl = NP_ENABLE;
	l1_vmcb.control.nested_cr3 = tables->cr3;
}

/*
 * L2's PAE pointers are a copy: where QEMU marks them accessed (PDPTES_CLEAN), L1's would be spoiled for its #VMEXIT.
 */
static uint64_t *l2_pointers;

static void enter(void)
{
	unsigned int i;

	for (i = 0; i < 4 && l2_pointers; i++)
		l2_pointers[i] &= ~PTE_A;
	vmcb_run(&l1_vmcb);
}

static void l2_make(const struct row *row)
{
	struct vmcb_save *save = &l1_vmcb.save;

	if (row->l2 == SAME && guest_mode() == PAE32) {
		l2_pointers = page_alloc();
		memcpy(l2_pointers, (void *)TABLES_GPA, 32);
		save->cr3 = (ulong_t)l2_pointers;
	}
	if (row->l2 == NO_PAGING) {
		save->cr0 &= ~X86_CR0_PG;
		save->cr4 &= ~X86_CR4_PAE;
	}
	if (row->l2 != LONG)
		return;
	save->cr0 |= X86_CR0_PG;
	save->cr4 |= X86_CR4_PAE;
	save->efer |= EFER_LME | EFER_LMA;
	save->cr3 = long_tables();
	save->cs.selector = SEL_CODE64;
	save->cs.attrib = 0xa9b;
}

static uint64_t wanted_error(enum nested nested)
{
	switch (nested) {
	case READ_ONLY: return NPF_FINAL | PFERR_U | PFERR_W | PFERR_P;
	case RESERVED: return NPF_FINAL | PFERR_U | PFERR_RSVD | PFERR_P;
	default: return NPF_FINAL | PFERR_U;
	}
}

/* L1's mode, whatever L2's was. */
struct l1_state {
	uint64_t cr0, cr3, cr4, efer;
};

static struct l1_state l1_read(void)
{
	return (struct l1_state){ read_cr0(), read_cr3(), read_cr4(), rdmsr(MSR_EFER) };
}

static void check_l1(const struct l1_state *want)
{
	struct l1_state got = l1_read();

	CHECK_EQ(want->cr0, got.cr0);
	CHECK_EQ(want->cr3, got.cr3);
	CHECK_EQ(want->cr4, got.cr4);
	CHECK_EQ(want->efer, got.efer);
	CHECK_EQ(VALUE, read32(PAGE));
}

static const char *code_of(const struct row *row)
{
	return row->nested == READ_ONLY ? w_write : row->l2 == LONG ? w_read64 : w_read;
}

/* L2 reads PAGE and exits at CPUID, behind the MOV. */
static void check_read(const struct row *row, const struct vmcb_save *before)
{
	struct vmcb_save want = *before;

	want.rip += 2;
	want.rax = row->nested == ON ? OTHER_VALUE : VALUE;
	CHECK_EXIT(.code = SVM_EXIT_CPUID, .rip = want.rip);
	CHECK_SAVE_SAME(&want);
	/* On, behind CPUID, to the end. */
	l1_vmcb.save.rip += 2;
	enter();
	CHECK_EQ(SVM_EXIT_VMMCALL, l1_vmcb.control.exit_code);
	CHECK_EQ((ulong_t)(row->l2 == LONG ? w_read64_end : w_read_end) - 3, l1_vmcb.save.rip);
}

static void check_fault(const struct row *row, const char *code, const struct nested_tables *tables)
{
	CHECK_EXIT(.code = SVM_EXIT_NPF, .info_1 = wanted_error(row->nested), .info_2 = PAGE, .rip = (ulong_t)code);
	/* Put right, L2 goes on. */
	if (row->nested == TABLE_ABSENT)
		xor_entry(tables->table, PTE_P);
	else
		xor_entry(tables->entry, row->nested == READ_ONLY ? PTE_W : row->nested == RESERVED ? 1ull << 51 : PTE_P);
	l1_vmcb.control.tlb_control = TLB_FLUSH_ALL;
	enter();
	CHECK_EQ(row->nested == READ_ONLY ? SVM_EXIT_VMMCALL : SVM_EXIT_CPUID, l1_vmcb.control.exit_code);
	CHECK_EQ(row->nested == READ_ONLY ? 0x5a5a5a5a : OTHER_VALUE, read32(OTHER));
	if (row->nested != READ_ONLY)
		CHECK_EQ(OTHER_VALUE, l1_vmcb.save.rax);
}

GUEST(l1_modes)
{
	const struct row *row = GUEST_ROW(rows);
	const char *code = code_of(row);
	struct nested_tables tables = { 0 };
	struct vmcb_save before;
	struct l1_state l1;

	write32(PAGE, VALUE);
	write32(OTHER, OTHER_VALUE);
	l1_svm_init();
	l1 = l1_read();
	vmcb_intercept(&l1_vmcb, SVM_EXIT_CPUID);
	l2_make(row);
	if (row->nested != OFF)
		nested_make(row, &tables);
	l2_regs.rbx = PAGE;
	l2_regs.rcx = 0x5a5a5a5a;
	l1_vmcb.save.rip = (ulong_t)code;
	before = l1_vmcb.save;
	enter();
	if (row->nested <= ON)
		check_read(row, &before);
	else
		check_fault(row, code, &tables);
	check_l1(&l1);
}

HOST(l1_modes)
{
	expect_done(t);
}
