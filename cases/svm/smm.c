/* SPDX-License-Identifier: MIT */
/*
 * An SMI while L2 runs enters system management mode over L1's and L2's heads, with L2's state in the save area and a
 * note there that it was a guest; RSM goes back into L2, which with L1 is none the wiser. With the SMI intercept L2
 * exits, and L1 takes the SMI when it sets GIF. What RSM cannot go back to is a shutdown.
 *
 * Can break: L1's state, which KVM keeps beside L2's and needs for SMM itself; L2's registers, intercepts or nested
 * tables after RSM; a save area that is believed as it stands; an SMI taken with GIF clear.
 * Source: APM vol. 2, 10.2.3 (save area), 10.3, 15.13.3, 15.17, 15.22.
 */
#include "cases/ioctl/lapic_regs.h"
#include "cases/svm/npt.h"
#include "cases/svm/smm.h"

#define L2_PORT 0x81
#define VECTOR 0x55
#define USER_IOPL 0x3000ull

INSN(s_l2, "mov $0x5678, %eax\n\tstc\n\tout %al, $0x81\n\ts_l2_next: inc %r15\n\tmov (%rbx), %rcx\n\tvmmcall")
extern const char s_l2_next[] GUEST_API;

/* Where the SMI finds the vCPU, and what comes of it. */
enum kind {
	RETURNS,	/* L2, and RSM goes back to it */
	EXITS,		/* L2, whose SMIs L1 intercepts */
	GIF_CLEAR,	/* L1 */
	SHUTDOWN,	/* L2; the save area is spoiled in SMM */
	STATE_REFUSED,	/* L2; a nested state is set in SMM */
};

struct row {
	ROW_FIELDS;
	enum kind kind;
	bool is_nested, is_masking, is_interrupt;
	bool is_user;		/* L2 is at CPL 3, with IOPL 3 */
	uint32_t saved_at;	/* a word of the save area, and what is changed in it */
	uint64_t saved_xor;
	struct {
		uint64_t cr0, cr4, efer;
	} l1;			/* bits that are clear in L1 */
};

#define SHADOW(label_, ...)								\
	{ .label = label_, .kind = RETURNS, ##__VA_ARGS__, .needs = "param:kvm_amd.npt=0",	\
	  .known = { "1106-smi-in-l2-changes-l1" } }

static const struct row rows[] = {
	{ .label = "returns", .kind = RETURNS },
	{ .label = "returns_nested", .kind = RETURNS, .is_nested = true, .needs = "cpuid:npt tdp" },
	{ .label = "returns_masking", .kind = RETURNS, .is_masking = true },
	{ .label = "returns_to_interrupt", .kind = RETURNS, .is_interrupt = true },
	{ .label = "returns_user", .kind = RETURNS, .is_user = true },
	{ .label = "returns_user_nested", .kind = RETURNS, .is_user = true, .is_nested = true, .needs = "cpuid:npt tdp" },
	{ .label = "exits", .kind = EXITS },
	{ .label = "exits_user", .kind = EXITS, .is_user = true },
	{ .label = "exits_nested", .kind = EXITS, .is_nested = true, .needs = "cpuid:npt tdp" },
	{ .label = "gif_clear", .kind = GIF_CLEAR },
	{ .label = "saved_svme_clear", .kind = SHUTDOWN, .saved_at = SAVED_EFER, .saved_xor = EFER_SVME },
	{ .label = "saved_vmcb_beyond", .kind = SHUTDOWN, .saved_at = SAVED_VMCB, .saved_xor = 1ull << 51 },
	/* What KVM's own VMCB of L1 has beside L1's bits. */
	{ .label = "l1_cr4_mce_clear", .kind = RETURNS, .l1 = { .cr4 = X86_CR4_MCE },
	  .known = { "1106-smi-in-l2-changes-l1" } },
	{ .label = "l1_cr0_wp_clear", .kind = RETURNS, .l1 = { .cr0 = X86_CR0_WP }, .needs = "tdp" },
	{ .label = "l1_efer_nx_clear", .kind = RETURNS, .l1 = { .efer = EFER_NX }, .needs = "tdp" },
	SHADOW("l1_cr0_wp_clear_shadow", .l1 = { .cr0 = X86_CR0_WP }),
	SHADOW("l1_efer_nx_clear_shadow", .l1 = { .efer = EFER_NX }),
	{ .label = "nested_state", .kind = STATE_REFUSED },
};

CASE(smm, .says = "an SMI in L2 is invisible, or exits, and RSM goes back into L2", .modes = LONG64,
     .needs = "vendor:amd nested KVM_CAP_NESTED_STATE KVM_CAP_SIGNAL_MSI " SMM_NEEDS, .irqchip = true,
     .rows = ROWS(rows))

static unsigned int nr_interrupts;

static void on_interrupt(struct guest_regs *regs)
{
	(void)regs;
	nr_interrupts++;
	write32(APIC_EOI, 0);
}

static void user_make(struct vmcb_save *save)
{
	save->cs.selector = SEL_USER_CODE64;
	save->cs.attrib |= SEG_ATTRIB_DPL(3);
	save->ss.selector = SEL_USER_DATA;
	save->ss.attrib |= SEG_ATTRIB_DPL(3);
	save->cpl = 3;
	save->rflags |= USER_IOPL;
}

static void prepare(const struct row *row)
{
	write32(APIC_SVR, SVR_ENABLE | 0xff);
	guest_handle(VECTOR, on_interrupt);
	write32(SCRATCH_GPA, 0x13579bdf);
	npt_build();
	write_cr0(read_cr0() & ~row->l1.cr0);
	write_cr4((read_cr4() | X86_CR4_MCE) & ~row->l1.cr4);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~row->l1.efer);
	l1_svm_init();
	if (row->is_nested) {
		l1_vmcb.control.nested_ctl = NP_ENABLE;
		l1_vmcb.control.nested_cr3 = (ulong_t)npt_root;
		/* L2's page is another one than L1's. */
		*npt_entry(SCRATCH_GPA, 1, NPT_SCRATCH) ^= 0x1000;
		write32(SCRATCH_GPA + 0x1000, 0x2468ace0);
	}
	if (row->is_masking)
		l1_vmcb.control.int_ctl |= V_INTR_MASKING;
	if (row->is_interrupt) {
		vmcb_intercept(&l1_vmcb, SVM_EXIT_INTR);
		l1_vmcb.save.rflags |= X86_EFLAGS_IF;
	}
	if (row->is_user)
		user_make(&l1_vmcb.save);
	if (row->kind == EXITS)
		vmcb_intercept(&l1_vmcb, SVM_EXIT_SMI);
}

static void check_user(void)
{
	CHECK_EQ(3, l1_vmcb.save.cpl);
	CHECK_EQ(SEL_USER_CODE64, l1_vmcb.save.cs.selector);
	CHECK_EQ(0xafb, l1_vmcb.save.cs.attrib);
	CHECK_EQ(SEL_USER_DATA, l1_vmcb.save.ss.selector);
	CHECK_EQ(0xcf3, l1_vmcb.save.ss.attrib);
	CHECK_EQ(USER_IOPL, l1_vmcb.save.rflags & USER_IOPL);
}

static void check_done(const struct row *row, const struct l2_regs *before)
{
	struct l2_regs want = *before;

	want.r15++;
	want.rcx = row->is_nested ? 0x2468ace0 : 0x13579bdf;
	CHECK_L2_DONE(s_l2_end - 3);
	if (row->kind != EXITS)
		CHECK_NO_EXIT(SVM_EXIT_SMI);
	CHECK_L2_REGS(&want);
	CHECK_EQ(0x5678, l1_vmcb.save.rax);
	CHECK_EQ(X86_EFLAGS_FIXED, l1_vmcb.save.rflags & ~(X86_EFLAGS_IF | USER_IOPL | 0x8d5ull));
	if (row->is_user)
		check_user();
}

/* L1 is what it was: control registers, and that it can enter L2 as before. */
static void check_l1(uint64_t cr0, uint64_t cr3, uint64_t cr4, uint64_t efer)
{
	CHECK_EQ(cr0, read_cr0());
	CHECK_EQ(cr3, read_cr3());
	CHECK_EQ(cr4, read_cr4());
	CHECK_EQ(efer, rdmsr(MSR_EFER));
}

static void try_l2(const struct row *row)
{
	const struct l2_regs regs = { .rbx = SCRATCH_GPA, .rdx = 2, .rbp = 5, .rsi = 6, .rdi = 7, .r8 = 8, .r15 = 15 };
	uint64_t cr0 = read_cr0(), cr3 = read_cr3(), cr4 = read_cr4(), efer = rdmsr(MSR_EFER);

	l2_regs = regs;
	l2_run(s_l2);
	if (row->kind == EXITS) {
		/* EXITINFO1 tells the SMI's source, which is not defined for one that the API makes. */
		CHECK_EXIT(.code = SVM_EXIT_SMI, .info_1 = l1_vmcb.control.exit_info_1, .rip = (ulong_t)s_l2_next);
		/* The SMI came at vmcb_run()'s STGI. */
		vmcb_run(&l1_vmcb);
	}
	if (row->is_interrupt) {
		CHECK_EXIT(.code = SVM_EXIT_INTR, .rip = (ulong_t)s_l2_next);
		CHECK_EQ(0, nr_interrupts);
		sti_nop_cli();
		CHECK_EQ(1, nr_interrupts);
		vmcb_run(&l1_vmcb);
	}
	check_done(row, &regs);
	check_l1(cr0, cr3, cr4, efer);
}

GUEST(smm)
{
	const struct row *row = GUEST_ROW(rows);

	prepare(row);
	if (row->kind == GIF_CLEAR) {
		clgi();
		out8(L2_PORT, 0x78);
		out8(L2_PORT + 1, 0);
		stgi();
		return;
	}
	try_l2(row);
}

/* --- host --- */

static uint64_t *saved(struct test *t, uint32_t at)
{
	return smm_saved(t, at);
}

static void expect_l2_saved(struct test *t, const struct row *row)
{
	expect_eq(t, 1, *saved(t, SAVED_SVM_STATE) & 1);
	expect_eq(t, guest_symbol(t, "l1_vmcb"), *saved(t, SAVED_VMCB));
	expect_eq(t, guest_symbol(t, "s_l2_next"), *saved(t, SAVED_RIP));
	expect_eq(t, 0x5678, *saved(t, SAVED_RAX));
	expect_eq(t, SCRATCH_GPA, *saved(t, SAVED_RBX));
	expect_eq(t, 15, *saved(t, SAVED_R15));
	expect_eq(t, X86_EFLAGS_FIXED | X86_EFLAGS_CF | (row->is_interrupt ? X86_EFLAGS_IF : 0) |
		  (row->is_user ? USER_IOPL : 0), *saved(t, SAVED_RFLAGS));
	expect_eq(t, row->is_user ? SEL_USER_CODE64 : SEL_CODE64, (uint16_t)*saved(t, SAVED_CS));
	expect_eq(t, row->is_user ? SEL_USER_DATA : SEL_DATA, (uint16_t)*saved(t, SAVED_SS));
	expect_eq(t, EFER_SVME | EFER_LMA | EFER_LME, *saved(t, SAVED_EFER) & (EFER_SVME | EFER_LMA | EFER_LME));
	expect_eq(t, TABLES_GPA, *saved(t, SAVED_CR3));
	expect_eq(t, X86_CR0_PG | X86_CR0_PE, *saved(t, SAVED_CR0) & (X86_CR0_PG | X86_CR0_PE));
	expect_eq(t, 0x400, *saved(t, SAVED_DR7));
}

static void expect_smm(struct test *t, bool is_inside)
{
	struct kvm_vcpu_events events;

	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &events);
	expect_eq(t, is_inside, events.smi.smm);
	expect_eq(t, is_inside ? KVM_RUN_X86_SMM : 0, t->vcpu->run->flags & KVM_RUN_X86_SMM);
}

static void expect_handler(struct test *t)
{
	struct kvm_sregs sregs;

	expect_smm_handler(t);
	expect_smm(t, true);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &sregs);
	expect_eq(t, SMBASE, sregs.cs.base);
	expect_eq(t, 0, sregs.efer);
	expect_eq(t, 0, sregs.cr0 & (X86_CR0_PG | X86_CR0_PE));
}

struct nested {
	struct kvm_nested_state head;
	uint8_t vmcb[KVM_STATE_NESTED_SVM_VMCB_SIZE];
};

static void nested_get(struct test *t, struct nested *state)
{
	memset(state, 0, sizeof(*state));
	state->head.size = sizeof(*state);
	require_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_GET_NESTED_STATE, &state->head));
}

/* SMM is not a guest of L1's: no state of L2 fits. */
static void expect_state_refused(struct test *t, const struct nested *l2)
{
	static struct nested now;

	nested_get(t, &now);
	expect_eq(t, 0, now.head.flags & KVM_STATE_NESTED_GUEST_MODE);
	expect_eq(t, sizeof(now.head), now.head.size);
	expect_errno(t, EINVAL, vcpu_ioctl_try(t->vcpu, KVM_SET_NESTED_STATE, &l2->head));
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_NESTED_STATE, &now.head));
}

static void host_gif_clear(struct test *t)
{
	/* Still L1's code, with the SMI pending. */
	expect_pio_out(t, .port = L2_PORT + 1, .size = 1, .count = 1, .data = 0);
	expect_smm(t, false);
	expect_handler(t);
	expect_eq(t, 0, *saved(t, SAVED_SVM_STATE) & 1);
	expect_done(t);
}

HOST(smm)
{
	const struct row *row = ROW(t, rows);
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = VECTOR };
	static struct nested l2;

	smm_prepare(t);
	require_pio_out(t, .port = L2_PORT, .size = 1, .count = 1, .data = 0x78);
	vcpu_settle(t);
	nested_get(t, &l2);
	smi(t);
	if (row->is_interrupt)
		expect_result(t, 1, vm_ioctl_try(t->vm, KVM_SIGNAL_MSI, &msi));
	if (row->kind == GIF_CLEAR) {
		host_gif_clear(t);
		return;
	}
	expect_handler(t);
	if (row->kind == EXITS)
		expect_eq(t, 0, *saved(t, SAVED_SVM_STATE) & 1);
	else
		expect_l2_saved(t, row);
	if (row->kind == STATE_REFUSED)
		expect_state_refused(t, &l2);
	if (row->saved_at)
		*saved(t, row->saved_at) ^= row->saved_xor;
	if (row->kind == SHUTDOWN) {
		expect_shutdown(t);
		return;
	}
	expect_done(t);
	expect_smm(t, false);
}
