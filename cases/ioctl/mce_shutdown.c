/* SPDX-License-Identifier: MIT */
/*
 * A machine check that the processor cannot deliver shuts it down: without CR4.MCE, or with MCG_STATUS.MCIP still set by
 * the one before. Its bank is left as it was.
 *
 * Can break: #MC delivered all the same, or nothing at all; one of the two conditions.
 * Source: SDM vol. 3B, 15.3.1.2 (MCIP: a second machine check enters shutdown), 15.10.1; vol. 3A, 2.5 (CR4.MCE).
 */
#include "case.h"

#include "cases/ioctl/vcpu_state.h"

#define MCG_STATUS 0x17a
#define MCG_MCIP 4ull
#define MC3_STATUS (0x400 + 4 * 3 + 1)
#define STATUS (1ull << 63 | 1ull << 61 | 1ull << 60 | 1ull << 57 | 0x33)	/* VAL, UC, EN, PCC */

static const struct row {
	ROW_FIELDS;
	bool has_mce;		/* CR4.MCE */
	uint64_t mcg_status;
	bool is_shutdown;
} rows[] = {
	{ .label = "no_cr4_mce", .is_shutdown = true },
	{ .label = "in_progress", .has_mce = true, .mcg_status = MCG_MCIP, .is_shutdown = true },
	{ .label = "both", .mcg_status = MCG_MCIP, .is_shutdown = true },
	{ .label = "neither", .has_mce = true, .mcg_status = MCG_MCIP - 1 },
};

CASE(mce_shutdown, .says = "a machine check that cannot be delivered is a shutdown", .modes = PROT32 | LONG64,
     .needs = "KVM_CAP_MCE", .rows = ROWS(rows))

static volatile uint32_t nr_machine_checks;

static void on_machine_check(struct guest_regs *regs)
{
	(void)regs;
	nr_machine_checks++;
}

GUEST(mce_shutdown)
{
	guest_handle(MC_VECTOR, on_machine_check);
	if (GUEST_ROW(rows)->has_mce)
		write_cr4(read_cr4() | X86_CR4_MCE);
	guest_sync(1);
	CHECK_EQ(1, nr_machine_checks);
}

HOST(mce_shutdown)
{
	const struct row *row = ROW(t, rows);
	struct kvm_x86_mce mce = { .status = STATUS, .mcg_status = MCG_MCIP, .bank = 3 };
	uint64_t cap = 10 | 1 << 8, value;

	vcpu_ioctl(t->vcpu, KVM_X86_SETUP_MCE, &cap);
	require_sync(t, 1);
	require_result(t, 1, msr_set_try(t->vcpu, MCG_STATUS, row->mcg_status));
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_X86_SET_MCE, &mce));
	if (row->is_shutdown)
		expect_shutdown(t);
	else
		expect_done(t);
	expect_result(t, 1, msr_get_try(t->vcpu, MC3_STATUS, &value));
	expect_eq(t, row->is_shutdown ? 0 : STATUS, value);
	expect_result(t, 1, msr_get_try(t->vcpu, MCG_STATUS, &value));
	expect_eq(t, row->is_shutdown ? row->mcg_status : MCG_MCIP, value);
}
