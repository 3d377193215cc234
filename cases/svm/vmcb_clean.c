/* SPDX-License-Identifier: MIT */
/*
 * VMCB clean bits say what of a VMCB is as it was at the end of its last run, so that the CPU may keep it: what is
 * changed with its own bit clear, and all others set, counts in the next run. The bits speak of one VMCB: of two that
 * take turns with all bits set, each has its own state.
 *
 * Can break: a field that goes with the wrong bit; what was kept of one VMCB given to another.
 * Source: APM vol. 2, 15.15.3, 15.15.4.
 */
#include "cases/svm/npt.h"
#include "case.h"

#define CLEAN_I (1u << 0)
#define CLEAN_IOPM (1u << 1)
#define CLEAN_TPR (1u << 3)
#define CLEAN_NP (1u << 4)
#define CLEAN_CRX (1u << 5)
#define CLEAN_DRX (1u << 6)
#define CLEAN_DT (1u << 7)
#define CLEAN_SEG (1u << 8)
#define CLEAN_CR2 (1u << 9)
#define CLEAN_ALL 0x3ffu

#define AT (SCRATCH_GPA + 0x10000ul)
#define ELSEWHERE (SCRATCH_GPA + 0x20000ul)

/* What L2 finds: R8 has CR2, R9 CR8, R10 CR0, R11 the word at RDI. CPUID and RDMSR may exit. */
INSN(c_code, "mov %cr2, %r8\n\tmov %cr8, %r9\n\tsmsw %r10\n\tmov (%rdi), %r11\n\tc_cpuid: cpuid\n\t"
     "mov $0xc0000102, %ecx\n\tc_rdmsr: rdmsr\n\tc_end: vmmcall")
extern const char c_cpuid[] GUEST_API, c_rdmsr[] GUEST_API, c_end[] GUEST_API;

struct row {
	ROW_FIELDS;
	uint32_t changed;	/* 0: two VMCBs take turns */
};

static const struct row rows[] = {
	{ .label = "intercepts", .changed = CLEAN_I }, { .label = "maps", .changed = CLEAN_IOPM },
	{ .label = "tpr", .changed = CLEAN_TPR }, { .label = "np", .changed = CLEAN_NP, .needs = "cpuid:npt tdp" },
	{ .label = "crx", .changed = CLEAN_CRX }, { .label = "drx", .changed = CLEAN_DRX },
	{ .label = "dt", .changed = CLEAN_DT }, { .label = "seg", .changed = CLEAN_SEG },
	{ .label = "cr2", .changed = CLEAN_CR2 }, { .label = "turns" },
};

CASE(vmcb_clean, .says = "what is changed with its clean bit clear counts, and each VMCB has its own", .modes = LONG64,
     .needs = "vendor:amd nested", .rows = ROWS(rows))

static struct vmcb vmcbs[2] __attribute__((aligned(4096)));
static uint8_t msrpm[MSRPM_BYTES] __attribute__((aligned(4096)));
static uint64_t other_level_1[NPT_ENTRIES] NPT_TABLE, other_level_2[NPT_ENTRIES] NPT_TABLE,
	other_level_3[NPT_ENTRIES] NPT_TABLE, other_root[NPT_ENTRIES] NPT_TABLE;

/* The same tables, but for the page at AT. */
static void other_tables_build(void)
{
	memcpy(other_root, npt_root, sizeof(other_root));
	memcpy(other_level_3, npt_level_3, sizeof(other_level_3));
	memcpy(other_level_2, npt_level_2[0], sizeof(other_level_2));
	memcpy(other_level_1, npt_level_1[NPT_SCRATCH], sizeof(other_level_1));
	other_root[0] = (ulong_t)other_level_3 | NPT_TABLE_FLAGS;
	other_level_3[0] = (ulong_t)other_level_2 | NPT_TABLE_FLAGS;
	other_level_2[SCRATCH_GPA >> 21] = (ulong_t)other_level_1 | NPT_TABLE_FLAGS;
	other_level_1[AT >> 12 & 511] = ELSEWHERE | NPT_PAGE_FLAGS;
}

/* Makes the parts named by @parts those of the second form. */
static void vmcb_change(struct vmcb *vmcb, uint32_t parts)
{
	struct vmcb_save *save = &vmcb->save;

	if (parts & CLEAN_I)
		vmcb_intercept(vmcb, SVM_EXIT_CPUID);
	if (parts & CLEAN_IOPM)
		vmcb->control.msrpm_base_pa = (ulong_t)msrpm;
	if (parts & CLEAN_TPR)
		vmcb->control.int_ctl = V_INTR_MASKING | 5;
	if (parts & CLEAN_NP)
		vmcb->control.nested_cr3 = (ulong_t)other_root;
	if (parts & CLEAN_CRX)
		save->cr0 ^= X86_CR0_MP;
	if (parts & CLEAN_DRX) {
		save->dr6 = 0xffff0ff2;
		save->dr7 = 0x408;
	}
	if (parts & CLEAN_DT)
		save->gdtr.limit = save->idtr.limit = 0xfff;
	if (parts & CLEAN_SEG)
		save->ds.limit = save->es.limit = 0x7fffffff;
	if (parts & CLEAN_CR2)
		save->cr2 = 0x5000;
}

static void vmcb_make(struct vmcb *vmcb, uint32_t parts)
{
	*vmcb = l1_vmcb;
	vmcb_intercept(vmcb, SVM_EXIT_MSR);
	vmcb->control.int_ctl = V_INTR_MASKING | 3;
	if (GUEST_ROW(rows)->changed == CLEAN_NP) {
		vmcb->control.nested_ctl = NP_ENABLE;
		vmcb->control.nested_cr3 = (ulong_t)npt_root;
	}
	vmcb->save.cr2 = 0x4000;
	vmcb->save.gdtr.limit = vmcb->save.idtr.limit = 0x7ff;
	vmcb->save.dr6 = 0xffff0ff1;
	vmcb->save.dr7 = 0x402;
	vmcb_change(vmcb, parts);
}

/* Runs it, with @clean; all of its state is that of a VMCB made with @parts. */
static void vmcb_check(struct vmcb *vmcb, uint32_t clean, uint32_t parts)
{
	struct vmcb_save want;

	vmcb->control.clean = clean;
	vmcb->control.tlb_control = clean & CLEAN_NP ? TLB_KEEP : TLB_FLUSH_ALL;
	vmcb->save.rip = (ulong_t)c_code;
	want = vmcb->save;
	l2_regs.rdi = AT;
	vmcb_run(vmcb);
	want.rip = parts & CLEAN_I ? (ulong_t)c_cpuid : parts & CLEAN_IOPM ? (ulong_t)c_rdmsr : (ulong_t)c_end;
	CHECK_EQ(parts & CLEAN_I ? SVM_EXIT_CPUID : parts & CLEAN_IOPM ? SVM_EXIT_MSR : SVM_EXIT_VMMCALL,
		 vmcb->control.exit_code);
	CHECK_EQ(want.rip, vmcb->save.rip);
	want.rax = vmcb->save.rax;
	check_vmcb_save(&vmcb->save, &want, __FILE__, __LINE__);
	CHECK_CR2(parts & CLEAN_CR2 ? 0x5000 : 0x4000, l2_regs.r8);
	CHECK_EQ(parts & CLEAN_TPR ? 5 : 3, l2_regs.r9);
	CHECK_EQ(want.cr0, l2_regs.r10);
	CHECK_EQ(parts & CLEAN_NP ? 0x2222 : 0x1111, l2_regs.r11);
}

static void try_turns(void)
{
	const uint32_t parts = CLEAN_ALL & ~(CLEAN_NP | CLEAN_I);
	unsigned int i;

	vmcb_make(&vmcbs[0], 0);
	vmcb_make(&vmcbs[1], parts);
	for (i = 0; i < 6; i++)
		vmcb_check(&vmcbs[i % 2], i < 2 ? 0 : ~0u, i % 2 ? parts : 0);
}

GUEST(vmcb_clean)
{
	uint32_t changed = GUEST_ROW(rows)->changed;

	l1_svm_init();
	npt_build();
	other_tables_build();
	write64(AT, 0x1111);
	write64(ELSEWHERE, 0x2222);
	msrpm_set(msrpm, MSR_KERNEL_GS_BASE, false, true);
	if (!changed) {
		try_turns();
		return;
	}
	vmcb_make(&vmcbs[0], 0);
	vmcb_check(&vmcbs[0], 0, 0);
	vmcb_change(&vmcbs[0], changed);
	vmcb_check(&vmcbs[0], ~changed, changed);
	vmcb_check(&vmcbs[0], ~0u, changed);
}

HOST(vmcb_clean)
{
	expect_done(t);
}
