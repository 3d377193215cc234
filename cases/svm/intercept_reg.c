/* SPDX-License-Identifier: MIT */
/*
 * A MOV of L2 to or from a control or debug register exits with the register's own code, on that register and that
 * direction only; with decode assists EXITINFO1 names the general register.
 *
 * Can break: reads and writes exchanged, a register's neighbour, CR8 left out, KVM's own CR0, CR4 and DR handling for L2
 * that does not ask L1.
 * Source: APM vol. 2, 15.8.1, 15.9 and appendix C.
 */
#include "guests/l1_svm.h"
#include "case.h"

#define REGISTER(kind_, n_)								\
	INSN(l2_read_##kind_##n_, "mov %" #kind_ #n_ ", %rbx\n\tvmmcall")			\
	INSN(l2_write_##kind_##n_, "mov %rbx, %" #kind_ #n_ "\n\tvmmcall")
#define REGISTER_HIGH(kind_, n_)							\
	INSN(l2_read_high_##kind_##n_, "mov %" #kind_ #n_ ", %r13\n\tvmmcall")		\
	INSN(l2_write_high_##kind_##n_, "mov %r13, %" #kind_ #n_ "\n\tvmmcall")

REGISTER(cr, 0) REGISTER(cr, 2) REGISTER(cr, 3) REGISTER(cr, 4) REGISTER(cr, 8)
REGISTER(dr, 0) REGISTER(dr, 1) REGISTER(dr, 2) REGISTER(dr, 3) REGISTER(dr, 4) REGISTER(dr, 5)
REGISTER(dr, 6) REGISTER(dr, 7)
REGISTER_HIGH(cr, 0) REGISTER_HIGH(cr, 3) REGISTER_HIGH(cr, 4) REGISTER_HIGH(dr, 7)
INSN(l2_lmsw, "lmsw %bx\n\tvmmcall")
INSN(l2_clts, "clts\n\tvmmcall")
INSN(l2_smsw, "smsw %ebx\n\tvmmcall")

enum value { NO_VALUE, CR0_NOW, CR3_NOW, CR4_NOW };

struct row {
	ROW_FIELDS;
	const char *code, *end;
	uint16_t exit;
	uint8_t gpr;		/* + 1; 0: not a MOV */
	enum value value;	/* of RBX and R13: the register's own, 0 for the others */
};

#define ROW_OF(label_, symbol_, exit_, gpr_, value_)					\
	{ .label = #label_, .code = l2_##symbol_, .end = l2_##symbol_##_end, .exit = exit_, .gpr = gpr_, .value = value_ }
#define BOTH(kind_, n_, up_, value_)							\
	ROW_OF(read_##kind_##n_, read_##kind_##n_, SVM_EXIT_READ_##up_##n_, 4, NO_VALUE),	\
	ROW_OF(write_##kind_##n_, write_##kind_##n_, SVM_EXIT_WRITE_##up_##n_, 4, value_)
#define BOTH_HIGH(kind_, n_, up_, value_)						\
	ROW_OF(read_##kind_##n_##_r13, read_high_##kind_##n_, SVM_EXIT_READ_##up_##n_, 14, NO_VALUE),	\
	ROW_OF(write_##kind_##n_##_r13, write_high_##kind_##n_, SVM_EXIT_WRITE_##up_##n_, 14, value_)

static const struct row rows[] = {
	BOTH(cr, 0, CR, CR0_NOW), BOTH(cr, 2, CR, NO_VALUE), BOTH(cr, 3, CR, CR3_NOW), BOTH(cr, 4, CR, CR4_NOW),
	BOTH(cr, 8, CR, NO_VALUE),
	BOTH(dr, 0, DR, NO_VALUE), BOTH(dr, 1, DR, NO_VALUE), BOTH(dr, 2, DR, NO_VALUE), BOTH(dr, 3, DR, NO_VALUE),
	/* CR4.DE is 0: other names of DR6 and DR7, with intercepts of their own. */
	BOTH(dr, 4, DR, NO_VALUE), BOTH(dr, 5, DR, NO_VALUE),
	BOTH(dr, 6, DR, NO_VALUE), BOTH(dr, 7, DR, NO_VALUE),
	BOTH_HIGH(cr, 0, CR, CR0_NOW), BOTH_HIGH(cr, 3, CR, CR3_NOW), BOTH_HIGH(cr, 4, CR, CR4_NOW),
	BOTH_HIGH(dr, 7, DR, NO_VALUE),
	ROW_OF(clts, clts, SVM_EXIT_WRITE_CR0, 0, NO_VALUE),
	ROW_OF(lmsw, lmsw, SVM_EXIT_WRITE_CR0, 0, CR0_NOW),
	ROW_OF(smsw, smsw, SVM_EXIT_READ_CR0, 0, NO_VALUE),
};

CASE(intercept_reg, .says = "a MOV CRn or DRn of L2 exits with the register's code", .modes = LONG64,
     .needs = "vendor:amd nested", .rows = ROWS(rows))

static uint64_t value_now(enum value value)
{
	switch (value) {
	case CR0_NOW: return read_cr0();
	case CR3_NOW: return read_cr3();
	case CR4_NOW: return read_cr4();
	default: return 0;
	}
}

GUEST(intercept_reg)
{
	const struct row *row = GUEST_ROW(rows);
	uint64_t value = value_now(row->value), mov = row->gpr ? row->gpr - 1 : 0;
	struct vmcb_save want;
	struct l2_regs regs = { .rbx = value, .r13 = value };
	unsigned int code;

	/* Only of a control register: CLTS and LMSW write one, too. */
	if (row->gpr && row->exit < SVM_EXIT_READ_DR0)
		mov |= 1ull << 63;
	l1_svm_init();
	vmcb_intercept(&l1_vmcb, row->exit);
	l2_regs = regs;
	want = l1_vmcb.save;
	l2_run(row->code);
	CHECK_EXIT(.code = row->exit, .info_1 = has_decode_assists() ? mov : 0, .rip = (ulong_t)row->code);
	CHECK_NEXT_RIP(row->end - 3);
	CHECK_L2_REGS(&regs);
	want.rip = l1_vmcb.save.rip;
	want.rsp = l1_vmcb.save.rsp;
	CHECK_SAVE_SAME(&want);

	/* All the others: no exit. */
	for (code = SVM_EXIT_READ_CR0; code < SVM_EXIT_EXCP_BASE; code++)
		vmcb_intercept(&l1_vmcb, code);
	vmcb_intercept_clear(&l1_vmcb, row->exit);
	l2_regs = regs;
	l2_run(row->code);
	CHECK_L2_DONE(row->end - 3);
	CHECK_NO_EXIT(row->exit);
}

HOST(intercept_reg)
{
	expect_done(t);
}
