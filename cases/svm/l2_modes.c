/* SPDX-License-Identifier: MIT */
/*
 * L2 runs in every mode that a CPU has: real, 16- and 32-bit protected without paging, with 2-level and PAE paging,
 * compatibility. It reads memory by its own segments and tables, exits, and its mode is in the save area unchanged; L1
 * is back in 64-bit mode each time.
 *
 * Can break: CR0, CR4 and EFER loaded in an order that passes a state nobody asked for, PAE pointers that are L1's, the
 * MMU's mode kept from L1, CS attributes, the upper half of RIP and RAX.
 * Source: APM vol. 2, 15.5.1; 5.2, 5.3.
 */
#include "guests/l1_svm.h"
#include "case.h"

/* MOV EAX or AX, [offset]; CPUID; VMMCALL, as each width has it. */
INSN(o_16, ".byte 0xa1, 0x00, 0x01\n\tcpuid\n\tvmmcall")
INSN(o_32, ".byte 0xa1\n\t.long 0x200100\n\tcpuid\n\tvmmcall")

#define PAGE_BYTES 4096
#define VALUE 0x13579bdf

enum paging { OFF, TWO_LEVELS, PAE, LONG };

struct row {
	ROW_FIELDS;
	enum paging paging;
	bool is_16, is_real;
	bool is_absent;		/* what is read is not mapped in L2's tables */
};

#define CR4_LOST \
	{ .finding = "1004-l2-cr4-left-in-l1", .targets = "lab-svm*", .kernels = "6.1..6.1", .needs = "param:kvm_amd.npt=0" }

static const struct row rows[] = {
	{ .label = "real", .paging = OFF, .is_16 = true, .is_real = true,
	  .known = { "0501-bochs-real-mode-cs-type", "lab-svm-bochs", .next = &(const struct known)CR4_LOST } },
	{ .label = "prot16", .paging = OFF, .is_16 = true, .known = CR4_LOST },
	{ .label = "prot32", .paging = OFF, .known = CR4_LOST },
	{ .label = "page32", .paging = TWO_LEVELS }, { .label = "page32_absent", .paging = TWO_LEVELS, .is_absent = true },
	{ .label = "pae32", .paging = PAE }, { .label = "pae32_absent", .paging = PAE, .is_absent = true },
	{ .label = "pae16", .paging = PAE, .is_16 = true },
	{ .label = "compat32", .paging = LONG }, { .label = "compat16", .paging = LONG, .is_16 = true },
};

CASE(l2_modes, .says = "L2 runs in every mode, and L1 is back in its own", .modes = LONG64,
     .needs = "vendor:amd nested", .rows = ROWS(rows), .shadow_too = true)

/* All of the first 4 MiB one to one; the second 2 MiB, where the value is, as the row has it. */
static ulong_t tables_make(const struct row *row)
{
	uint32_t *two = page_alloc();
	uint64_t *pointers = page_alloc(), *pae = page_alloc();
	uint64_t flags = row->is_absent ? 0 : PTE_P | PTE_W;

	if (row->paging == TWO_LEVELS) {
		/* 4 MiB pages would hold both: a table of 4 KiB pages. */
		uint32_t *table = page_alloc();
		unsigned int i;

		for (i = 0; i < 1024; i++)
			table[i] = i * PAGE_BYTES | (i < 512 ? PTE_P | PTE_W : flags);
		two[0] = (ulong_t)table | PTE_P | PTE_W;
		return (ulong_t)two;
	}
	pointers[0] = (ulong_t)pae | PTE_P;
	pae[0] = PTE_P | PTE_W | PTE_PS;
	pae[1] = 0x200000 | flags | (flags ? PTE_PS : 0);
	return (ulong_t)pointers;
}

static void state_make(const struct row *row, struct vmcb_save *save, ulong_t code)
{
	uint16_t width = row->is_16 ? 0 : SEG_ATTRIB_DB;

	save->cs = (struct vmcb_seg){ .selector = SEL_CODE32, .attrib = 0x09b | width | 0x800, .limit = 0xffffffff };
	save->cs.base = row->is_16 ? code : 0;
	save->rip = row->is_16 ? 0 : code;
	save->ds.base = row->is_16 ? 0x200000 : 0;
	save->ds.attrib = 0x093 | width | 0x800;
	if (row->is_real) {
		save->cs.attrib = 0x09b;
		save->cs.limit = save->ds.limit = 0xffff;
		save->cs.selector = code >> 4;
	}
	if (row->paging == LONG)
		return;
	save->efer &= ~(EFER_LME | EFER_LMA);
	save->cr0 &= ~(X86_CR0_PG | (row->is_real ? X86_CR0_PE : 0));
	save->cr4 &= ~X86_CR4_PAE;
	if (row->paging == OFF)
		return;
	save->cr0 |= X86_CR0_PG;
	save->cr3 = tables_make(row);
	if (row->paging == PAE)
		save->cr4 |= X86_CR4_PAE;
}

GUEST(l2_modes)
{
	const struct row *row = GUEST_ROW(rows);
	ulong_t code = (ulong_t)(row->is_16 ? o_16 : o_32), at = row->is_16 ? 3 : 5;
	uint64_t cr0 = read_cr0(), cr3 = read_cr3(), cr4 = read_cr4();
	struct vmcb_save want;

	write32(0x200100, VALUE);
	l1_svm_init();
	vmcb_intercept(&l1_vmcb, SVM_EXIT_CPUID);
	vmcb_intercept(&l1_vmcb, SVM_EXIT_EXCP_BASE + PF_VECTOR);
	state_make(row, &l1_vmcb.save, code);
	want = l1_vmcb.save;
	vmcb_run(&l1_vmcb);
	if (row->is_absent) {
		CHECK_EXIT(.code = SVM_EXIT_EXCP_BASE + PF_VECTOR, .info_2 = 0x200100, .rip = want.rip);
	} else {
		CHECK_EXIT(.code = SVM_EXIT_CPUID, .rip = want.rip + at);
		want.rip += at;
		want.rax = row->is_16 ? VALUE & 0xffff : VALUE;
	}
	CHECK_SAVE_SAME(&want);
	CHECK_EQ(cr0, read_cr0());
	CHECK_EQ(cr3, read_cr3());
	CHECK_EQ(cr4, read_cr4());
	CHECK_EQ(EFER_LMA, rdmsr(MSR_EFER) & EFER_LMA);
	if (row->is_absent)
		return;

	/* QEMU 7.2 marks a PAE pointer accessed, where that bit is reserved (cases/mmu/pae.h). */
	if (row->paging == PAE)
		*(uint64_t *)want.cr3 &= ~PTE_A;
	/* On, behind CPUID, to the end. */
	l2_resume(2);
	CHECK_L2_DONE(want.rip + 2);
}

HOST(l2_modes)
{
	expect_done(t);
}
