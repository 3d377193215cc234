/* SPDX-License-Identifier: MIT */
/*
 * An instruction of L2 that KVM executes itself meets what the CPU would have met: string I/O on memory that L2's
 * tables do not map is a #PF, intercepted or L2's own; on memory that L1's nested tables do not map, a nested page fault
 * with the guest-physical address; a stack address that cannot be is a #GP. RIP stays at the instruction, and put right
 * it is executed as if nothing had been.
 *
 * Can break: the exit of the I/O instruction shines through in the fields; the linear address told in place of the
 * guest-physical one; CR2 written though L1 intercepts; the cause bits 32 and 33.
 * Source: APM vol. 2, 15.12.15, 15.25.6.
 */
#include "cases/svm/npt.h"
#include "case.h"

INSN(f_outs, "outsb\n\tvmmcall")
INSN(f_ins, "insb\n\tvmmcall")

#define PAGE (SCRATCH_GPA + 0x4000)
#define AT (PAGE + 0x123)
#define NOWHERE 0x8000000000000000ull
#define PORT 0x90
#define LAST_PORT 0x91
#define OLD_CR2 0x777000

enum what { GUEST_PAGE, NESTED_PAGE, ADDRESS };

struct row {
	ROW_FIELDS;
	enum what what;
	bool is_write, is_intercepted;
	bool is_exact;		/* EXITINFO2 is compared to the byte */
	uint64_t clear;		/* in the entry */
	uint64_t error;		/* error code, or EXITINFO1 */
};

#define NPF "cpuid:npt tdp"
static const struct row rows[] = {
	{ .label = "pf_read_exits", .clear = PTE_P, .is_intercepted = true },
	{ .label = "pf_write_exits", .is_write = true, .clear = PTE_P, .is_intercepted = true, .error = PFERR_W },
	{ .label = "pf_read_only_exits", .is_write = true, .clear = PTE_W, .is_intercepted = true,
	  .error = PFERR_W | PFERR_P },
	{ .label = "pf_read_delivered", .clear = PTE_P },
	{ .label = "pf_write_delivered", .is_write = true, .clear = PTE_P, .error = PFERR_W },
	{ .label = "gp_exits", .what = ADDRESS, .is_intercepted = true }, { .label = "gp_delivered", .what = ADDRESS },
	{ .label = "npf_read", .what = NESTED_PAGE, .clear = PTE_P, .error = NPF_FINAL | PFERR_U, .needs = NPF },
	{ .label = "npf_write", .what = NESTED_PAGE, .is_write = true, .clear = PTE_P,
	  .error = NPF_FINAL | PFERR_U | PFERR_W, .needs = NPF },
	{ .label = "npf_read_only", .what = NESTED_PAGE, .is_write = true, .clear = PTE_W,
	  .error = NPF_FINAL | PFERR_U | PFERR_W | PFERR_P, .needs = NPF },
	{ .label = "npf_address", .what = NESTED_PAGE, .clear = PTE_P, .error = NPF_FINAL | PFERR_U, .is_exact = true,
	  .needs = NPF, .known = { "1008-emulated-npf-page-address", "!(bare|soft-svm)" } },
	{ .label = "npf_user", .what = NESTED_PAGE, .clear = PTE_U, .error = NPF_FINAL | PFERR_U | PFERR_P, .needs = NPF },
};

CASE(emulated_fault, .says = "string I/O that KVM executes for L2 faults as the CPU's", .modes = LONG64,
     .needs = "vendor:amd nested", .rows = ROWS(rows))

static struct guest_regs taken;
static uint64_t taken_cr2;
static unsigned int nr_taken;
static uint64_t *entry;

static void put_right(void)
{
	*entry |= GUEST_ROW(rows)->clear;
	l1_vmcb.control.tlb_control = TLB_FLUSH_ALL;
}

static void on_fault(struct guest_regs *regs)
{
	taken = *regs;
	taken_cr2 = read_cr2();
	nr_taken++;
	if (GUEST_ROW(rows)->what == ADDRESS) {
		regs->rsi = regs->rdi = AT;
		return;
	}
	*entry |= GUEST_ROW(rows)->clear;
	invlpg(AT);
}

static void check_exit(const struct row *row, const char *code)
{
	unsigned int vector = row->what == ADDRESS ? GP_VECTOR : PF_VECTOR;
	bool is_npf = row->what == NESTED_PAGE;

	CHECK_EQ(is_npf ? SVM_EXIT_NPF : SVM_EXIT_EXCP_BASE + vector, l1_vmcb.control.exit_code);
	CHECK_EQ(row->error, l1_vmcb.control.exit_info_1);
	if (is_npf && !row->is_exact)
		CHECK_EQ(PAGE, l1_vmcb.control.exit_info_2 & ~0xfffull);
	else if (row->what != ADDRESS)
		CHECK_EQ(AT, l1_vmcb.control.exit_info_2);
	CHECK_EQ(0, l1_vmcb.control.exit_int_info);
	CHECK_EQ((ulong_t)code, l1_vmcb.save.rip);
	CHECK_CR2(OLD_CR2, l1_vmcb.save.cr2);
	CHECK_EQ(0, nr_taken);
}

static void check_delivered(const struct row *row, const char *code)
{
	CHECK_EQ(1, nr_taken);
	CHECK_EQ(row->what == ADDRESS ? GP_VECTOR : PF_VECTOR, taken.vector);
	CHECK_EQ(row->error, taken.error_code);
	CHECK_EQ((ulong_t)code, taken.rip);
	if (row->what != ADDRESS)
		CHECK_CR2(AT, taken_cr2);
}

static void break_it(const struct row *row)
{
	static uint64_t nothing;

	entry = row->what == NESTED_PAGE ? npt_entry(PAGE, 1, NPT_SCRATCH) :
		row->what == GUEST_PAGE ? pte_find(PAGE, 1) : &nothing;
	*entry &= ~row->clear;
	if (row->what != NESTED_PAGE)
		invlpg(AT);
}

GUEST(emulated_fault)
{
	const struct row *row = GUEST_ROW(rows);
	const char *code = row->is_write ? f_ins : f_outs;
	bool exits = row->is_intercepted || row->what == NESTED_PAGE;

	guest_handle(PF_VECTOR, on_fault);
	guest_handle(GP_VECTOR, on_fault);
	write8(AT, 0x5a);
	l1_svm_init();
	npt_build();
	if (row->what == NESTED_PAGE) {
		l1_vmcb.control.nested_ctl = NP_ENABLE;
		l1_vmcb.control.nested_cr3 = (ulong_t)npt_root;
	}
	break_it(row);
	if (row->is_intercepted) {
		vmcb_intercept(&l1_vmcb, SVM_EXIT_EXCP_BASE + PF_VECTOR);
		vmcb_intercept(&l1_vmcb, SVM_EXIT_EXCP_BASE + GP_VECTOR);
	}
	l1_vmcb.save.cr2 = OLD_CR2;
	l2_regs.rdx = PORT;
	l2_regs.rsi = l2_regs.rdi = row->what == ADDRESS ? NOWHERE : AT;
	l2_run(code);
	if (exits) {
		check_exit(row, code);
		put_right();
		l2_regs.rsi = l2_regs.rdi = AT;
		vmcb_run(&l1_vmcb);
	} else {
		check_delivered(row, code);
	}
	CHECK_L2_DONE(code + 1);
	if (row->is_write)
		out8(LAST_PORT, read8(AT));
	else
		CHECK_EQ(0x5a, read8(AT));
}

/*
 * A CPU may read the port before it finds that memory cannot be written, or not: KVM does, and reads it again when the
 * instruction is executed again. Memory has the last answer.
 */
static uint8_t answer_reads(struct test *t)
{
	struct kvm_run *run = t->vcpu->run;
	uint8_t value = 0x60;

	for (;;) {
		require_result(t, 0, vcpu_run_try(t->vcpu));
		if (run->exit_reason != KVM_EXIT_IO || run->io.direction != KVM_EXIT_IO_IN)
			break;
		expect_eq(t, PORT, run->io.port);
		expect_eq(t, 1, run->io.size * run->io.count);
		((uint8_t *)run)[run->io.data_offset] = ++value;
	}
	return value;
}

HOST(emulated_fault)
{
	const struct kvm_run *run = t->vcpu->run;

	if (ROW(t, rows)->is_write) {
		uint8_t last = answer_reads(t);

		expect_true(t, last > 0x60);
		require_eq(t, KVM_EXIT_IO, run->exit_reason);
		expect_eq(t, LAST_PORT, run->io.port);
		expect_eq(t, last, ((const uint8_t *)run)[run->io.data_offset]);
	} else {
		expect_pio_out(t, .port = PORT, .size = 1, .count = 1, .data = 0x5a);
	}
	expect_done(t);
}
