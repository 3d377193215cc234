/* SPDX-License-Identifier: MIT */
/*
 * With V_GIF_ENABLE, STGI and CLGI of L2 that L1 does not intercept set and clear V_GIF, which L1 finds in the VMCB, and
 * V_GIF holds L2's virtual interrupt back; L1's own GIF is another.
 *
 * Can break: V_GIF of the VMCB that L2 runs with, not brought back; L1's GIF changed by L2's instructions; a virtual
 * interrupt taken with V_GIF clear.
 * Source: APM vol. 2, 15.33.
 */
#include "guests/l1_svm.h"
#include "case.h"

#define VECTOR 0x61

INSN(v_nop, "nop\n\tvmmcall")
INSN(v_stgi, "stgi\n\tvmmcall")
INSN(v_clgi, "clgi\n\tvmmcall")
INSN(v_both, "clgi\n\tstgi\n\tvmmcall")
INSN(v_window, "sti\n\tnop\n\tnop\n\tv_held: stgi\n\tnop\n\tcli\n\tvmmcall")
extern const char v_held[] GUEST_API;

struct row {
	ROW_FIELDS;
	const char *code, *end;
	bool v_gif;		/* at VMRUN */
	bool want;		/* after */
	bool has_virq;
};

#define OF(name_) .code = v_##name_, .end = v_##name_##_end
static const struct row rows[] = {
	{ .label = "set_kept", OF(nop), .v_gif = true, .want = true }, { .label = "clear_kept", OF(nop) },
	{ .label = "stgi", OF(stgi), .want = true }, { .label = "stgi_again", OF(stgi), .v_gif = true, .want = true },
	{ .label = "clgi", OF(clgi), .v_gif = true }, { .label = "clgi_again", OF(clgi) },
	{ .label = "clgi_stgi", OF(both), .v_gif = true, .want = true },
	{ .label = "holds_virq", OF(window), .want = true, .has_virq = true },
};

CASE(vgif, .says = "STGI and CLGI of L2 act on V_GIF", .modes = LONG64, .needs = "vendor:amd nested cpuid:vgif",
     .rows = ROWS(rows))

static uint64_t taken_rip;
static unsigned int nr_taken;

static void on_event(struct guest_regs *regs)
{
	taken_rip = regs->rip;
	nr_taken++;
}

GUEST(vgif)
{
	const struct row *row = GUEST_ROW(rows);
	uint32_t int_ctl = V_GIF_ENABLE | (row->v_gif ? V_GIF : 0);

	guest_handle(VECTOR, on_event);
	l1_svm_init();
	l2_warm();
	l1_vmcb.control.int_ctl = int_ctl | (row->has_virq ? V_IRQ | V_INTR_MASKING | V_PRIORITY(15) : 0);
	l1_vmcb.control.int_vector = VECTOR;
	l2_run(row->code);
	CHECK_L2_DONE(row->end - 3);
	CHECK_EQ(row->want ? V_GIF : 0, l1_vmcb.control.int_ctl & V_GIF);
	CHECK_EQ(V_GIF_ENABLE, l1_vmcb.control.int_ctl & V_GIF_ENABLE);
	CHECK_EQ(0, l1_vmcb.control.int_ctl & V_IRQ);
	CHECK_EQ(row->has_virq, nr_taken);
	if (row->has_virq)
		CHECK_EQ((ulong_t)v_held + 3, taken_rip);
}

HOST(vgif)
{
	expect_done(t);
}
