/* SPDX-License-Identifier: MIT */
/*
 * V_IRQ is an interrupt that L2 has pending: taken when L2's IF, its interrupt shadow and V_TPR against the priority
 * allow, with V_INTR_VECTOR, once; with the VINTR intercept it exits instead, at that very boundary.
 *
 * Can break: KVM merges V_IRQ with an interrupt window of its own; V_IRQ not carried back into L1's VMCB, the priority
 * or V_IGN_TPR lost, delivery in the shadow, an exit when it cannot be taken.
 * Source: APM vol. 2, 15.21.4, 15.21.5.
 */
#include "guests/l1_svm.h"
#include "case.h"

INSN(i_plain, "nop\n\tnop\n\tvmmcall")
INSN(i_sti, "sti\n\tnop\n\ti_sti_here: nop\n\tcli\n\tvmmcall")
INSN(i_popf, "push $0x202\n\tpopf\n\ti_popf_here: nop\n\tcli\n\tvmmcall")

extern const char i_sti_here[] GUEST_API, i_popf_here[] GUEST_API;

#define VECTOR 0x61

struct row {
	ROW_FIELDS;
	const char *code, *where;	/* @where: RIP at which it is taken; NULL: never */
	uint32_t int_ctl;	/* beside V_IRQ and its priority */
	bool no_irq;
	uint8_t tpr;
	bool is_if;
	bool is_shadow;
	bool is_intercepted;
};

#define ROW_OF(label_, code_, where_, ...) \
	{ .label = #label_, .code = i_##code_, .where = where_, ##__VA_ARGS__ }
#define SHADOW_KNOWN									\
	.known = { "0111-qemu-vmrun-drops-shadow", "lab-svm",				\
		   .next = &(const struct known){ "0508-bochs-virq-unseen", "lab-svm-bochs" } }
#define AT_ENTRY .known = { "0508-bochs-virq-unseen", "lab-svm-bochs" }
/* Without V_INTR_MASKING V_TPR would be the host's. */
#define TPR(n_) .tpr = n_, .int_ctl = V_INTR_MASKING
#define BOTH(label_, ...) \
	ROW_OF(label_, __VA_ARGS__), ROW_OF(label_##_vintr, __VA_ARGS__, .is_intercepted = true)

static const struct row rows[] = {
	BOTH(at_once, plain, i_plain, .is_if = true, AT_ENTRY),
	BOTH(if_clear, plain, NULL),
	BOTH(sti, sti, i_sti_here),
	BOTH(popf, popf, i_popf_here),
	BOTH(shadow, plain, i_plain + 1, .is_if = true, .is_shadow = true, SHADOW_KNOWN),
	BOTH(tpr_below, plain, i_plain, .is_if = true, TPR(5), AT_ENTRY),
	BOTH(tpr_same, plain, NULL, .is_if = true, TPR(6),
	     .known = { "0112-qemu-virq-same-priority", "lab-svm" }),
	BOTH(tpr_above, plain, NULL, .is_if = true, TPR(7)),
	ROW_OF(tpr_ignored, plain, i_plain, .is_if = true, .tpr = 7, .int_ctl = V_INTR_MASKING | V_IGN_TPR,
	       AT_ENTRY),
	ROW_OF(no_irq, plain, NULL, .is_if = true, .no_irq = true),
	ROW_OF(masking, plain, i_plain, .is_if = true, .int_ctl = V_INTR_MASKING, AT_ENTRY),
	ROW_OF(masking_if_clear, plain, NULL, .int_ctl = V_INTR_MASKING),
};

CASE(virtual_interrupt, .says = "V_IRQ is taken by L2 when it can be, or exits there", .modes = LONG64,
     .needs = "vendor:amd nested", .rows = ROWS(rows))

static struct guest_regs taken;
static unsigned int nr_taken;

static void on_interrupt(struct guest_regs *regs)
{
	taken = *regs;
	nr_taken++;
}

static void check_exit(const struct row *row, uint32_t int_ctl)
{
	CHECK_EXIT(.code = SVM_EXIT_VINTR, .rip = (ulong_t)row->where);
	CHECK_EQ(int_ctl, l1_vmcb.control.int_ctl);
	CHECK_EQ(0, nr_taken);
}

static void check_taken(const struct row *row, uint32_t int_ctl)
{
	CHECK_EXIT_CODE(SVM_EXIT_VMMCALL);
	CHECK_EQ(row->where ? 1 : 0, nr_taken);
	if (row->where) {
		CHECK_NO_EXIT(SVM_EXIT_VINTR);
		CHECK_EQ(VECTOR, taken.vector);
		CHECK_EQ((ulong_t)row->where, taken.rip);
		CHECK_EQ(X86_EFLAGS_IF, taken.rflags & X86_EFLAGS_IF);
	}
	CHECK_EQ(row->where ? int_ctl & ~V_IRQ : int_ctl, l1_vmcb.control.int_ctl);
}

GUEST(virtual_interrupt)
{
	const struct row *row = GUEST_ROW(rows);
	uint32_t int_ctl = row->int_ctl | V_PRIORITY(6) | (row->no_irq ? 0 : V_IRQ) | row->tpr;

	guest_handle(VECTOR, on_interrupt);
	l1_svm_init();
	/* QEMU 7.2 calls V_IRQ an exception when KVM has yet to map what its delivery touches: have it mapped. */
	l2_warm();
	l1_vmcb.control.int_ctl = int_ctl;
	l1_vmcb.control.int_vector = VECTOR;
	l1_vmcb.control.int_state = row->is_shadow ? INT_STATE_SHADOW : 0;
	if (row->is_if)
		l1_vmcb.save.rflags |= X86_EFLAGS_IF;
	if (row->is_intercepted)
		vmcb_intercept(&l1_vmcb, SVM_EXIT_VINTR);
	l2_run(row->code);
	if (row->is_intercepted && row->where)
		check_exit(row, int_ctl);
	else
		check_taken(row, int_ctl);
}

HOST(virtual_interrupt)
{
	expect_done(t);
}
