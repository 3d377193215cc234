/* SPDX-License-Identifier: MIT */
/*
 * User space may offer less to a guest hypervisor than KVM can do, never more, and not while one runs; what it takes
 * away is gone.
 *
 * Can break: a bit that is offered without support, a change that VM entries do not see, a half-done refusal.
 * Source: KVM API, KVM_GET_MSRS (feature MSRs), KVM_SET_MSRS; SDM vol. 3D, appendix A.
 */
#include "case.h"
#include "guests/l1_vmx.h"

enum change {
	SAME,
	DROP_ALLOWED,		/* an optional bit of what may be 1 */
	DEMAND_ALLOWED,		/* an optional bit must be 1 now */
	ADD_FORBIDDEN,		/* a bit that may not be 1 */
	FORBID_NEEDED,		/* a bit that must be 1 need not */
	SET_BITS, CLEAR_BITS,	/* .bits */
};

struct row {
	ROW_FIELDS;
	uint32_t msr;
	enum change change;
	uint64_t bits;
	bool is_refused;
	bool in_operation;	/* after VMXON */
};

#define CONTROLS(name_, msr_, ...)							\
	{ .label = name_ "_same", .msr = msr_, ##__VA_ARGS__ },				\
	{ .label = name_ "_drop", .msr = msr_, .change = DROP_ALLOWED, ##__VA_ARGS__ },	\
	{ .label = name_ "_demand", .msr = msr_, .change = DEMAND_ALLOWED, ##__VA_ARGS__ }, \
	{ .label = name_ "_add", .msr = msr_, .change = ADD_FORBIDDEN, .is_refused = true, ##__VA_ARGS__ }
#define NEEDED(name_, msr_)								\
	{ .label = name_ "_forbid_needed", .msr = msr_, .change = FORBID_NEEDED, .is_refused = true }
#define SAME_AS(name_, msr_, ...) { .label = name_ "_same", .msr = msr_, ##__VA_ARGS__ }
#define TAKES(label_, msr_, change_, bits_, ...)					\
	{ .label = label_, .msr = msr_, .change = change_, .bits = bits_, ##__VA_ARGS__ }
#define REFUSES(label_, msr_, change_, bits_, ...)					\
	TAKES(label_, msr_, change_, bits_, .is_refused = true, ##__VA_ARGS__)

static const struct row rows[] = {
	CONTROLS("pin", MSR_IA32_VMX_TRUE_PINBASED_CTLS), NEEDED("pin", MSR_IA32_VMX_TRUE_PINBASED_CTLS),
	CONTROLS("proc", MSR_IA32_VMX_TRUE_PROCBASED_CTLS), NEEDED("proc", MSR_IA32_VMX_TRUE_PROCBASED_CTLS),
	CONTROLS("proc2", MSR_IA32_VMX_PROCBASED_CTLS2, .needs = "vmx:secondary"),
	CONTROLS("exit", MSR_IA32_VMX_TRUE_EXIT_CTLS), NEEDED("exit", MSR_IA32_VMX_TRUE_EXIT_CTLS),
	CONTROLS("entry", MSR_IA32_VMX_TRUE_ENTRY_CTLS), NEEDED("entry", MSR_IA32_VMX_TRUE_ENTRY_CTLS),
	SAME_AS("basic", MSR_IA32_VMX_BASIC),
	REFUSES("basic_revision", MSR_IA32_VMX_BASIC, SET_BITS, 1),
	REFUSES("basic_32_bits", MSR_IA32_VMX_BASIC, SET_BITS, 1ull << 48),
	REFUSES("basic_bit31", MSR_IA32_VMX_BASIC, SET_BITS, 1ull << 31),
	REFUSES("basic_bit63", MSR_IA32_VMX_BASIC, SET_BITS, 1ull << 63),
	REFUSES("basic_bit45", MSR_IA32_VMX_BASIC, SET_BITS, 1ull << 45),
	REFUSES("basic_bit47", MSR_IA32_VMX_BASIC, SET_BITS, 1ull << 47),
	REFUSES("basic_dual_monitor", MSR_IA32_VMX_BASIC, SET_BITS, 1ull << 49),
	REFUSES("basic_bit57", MSR_IA32_VMX_BASIC, SET_BITS, 1ull << 57),
	REFUSES("basic_size_0", MSR_IA32_VMX_BASIC, CLEAR_BITS, 0x1fffull << 32),
	TAKES("basic_no_true", MSR_IA32_VMX_BASIC, CLEAR_BITS, 1ull << 55),
	TAKES("basic_no_ins_outs", MSR_IA32_VMX_BASIC, CLEAR_BITS, 1ull << 54, .needs = "vmx:ins_outs_info"),
	SAME_AS("misc", MSR_IA32_VMX_MISC),
	TAKES("misc_no_hlt", MSR_IA32_VMX_MISC, CLEAR_BITS, 1ull << 6),
	TAKES("misc_no_sipi", MSR_IA32_VMX_MISC, CLEAR_BITS, 1ull << 8),
	REFUSES("misc_shutdown", MSR_IA32_VMX_MISC, SET_BITS, 1ull << 7),
	REFUSES("misc_pt", MSR_IA32_VMX_MISC, SET_BITS, 1ull << 14),
	REFUSES("misc_smm_exit", MSR_IA32_VMX_MISC, SET_BITS, 1ull << 28),
	REFUSES("misc_max_msrs", MSR_IA32_VMX_MISC, SET_BITS, 7ull << 25),
	REFUSES("misc_mseg", MSR_IA32_VMX_MISC, SET_BITS, 1ull << 32),
	/* The timer that is offered has one rate. */
	REFUSES("misc_rate", MSR_IA32_VMX_MISC, SET_BITS, 2, .needs = "vmx:preemption_timer"),
	TAKES("misc_no_vmwrite_any", MSR_IA32_VMX_MISC, CLEAR_BITS, 1ull << 29, .needs = "vmx:vmwrite_any_field"),
	REFUSES("misc_bit9", MSR_IA32_VMX_MISC, SET_BITS, 1ull << 9),
	REFUSES("misc_bit31", MSR_IA32_VMX_MISC, SET_BITS, 1ull << 31),
	REFUSES("misc_cr3_targets", MSR_IA32_VMX_MISC, SET_BITS, 0x1ffull << 16),
	SAME_AS("cr0_fixed0", MSR_IA32_VMX_CR0_FIXED0),
	REFUSES("cr0_fixed0_ne", MSR_IA32_VMX_CR0_FIXED0, CLEAR_BITS, X86_CR0_NE),
	SAME_AS("cr4_fixed0", MSR_IA32_VMX_CR4_FIXED0),
	REFUSES("cr4_fixed0_vmxe", MSR_IA32_VMX_CR4_FIXED0, CLEAR_BITS, X86_CR4_VMXE),
	SAME_AS("ept_vpid", MSR_IA32_VMX_EPT_VPID_CAP, .needs = "vmx:ept"),
	TAKES("ept_vpid_no_invept", MSR_IA32_VMX_EPT_VPID_CAP, CLEAR_BITS, 1ull << 20, .needs = "vmx:invept"),
	TAKES("ept_vpid_no_execute_only", MSR_IA32_VMX_EPT_VPID_CAP, CLEAR_BITS, 1, .needs = "vmx:ept_execute_only"),
	TAKES("ept_vpid_no_invvpid", MSR_IA32_VMX_EPT_VPID_CAP, CLEAR_BITS, 1ull << 32, .needs = "vmx:invvpid"),
	REFUSES("ept_vpid_bit44", MSR_IA32_VMX_EPT_VPID_CAP, SET_BITS, 1ull << 44, .needs = "vmx:ept"),
	REFUSES("ept_vpid_bit1", MSR_IA32_VMX_EPT_VPID_CAP, SET_BITS, 1ull << 1, .needs = "vmx:ept"),
	REFUSES("ept_vpid_bit63", MSR_IA32_VMX_EPT_VPID_CAP, SET_BITS, 1ull << 63, .needs = "vmx:ept"),
	TAKES("cr0_fixed0_wp", MSR_IA32_VMX_CR0_FIXED0, SET_BITS, X86_CR0_WP),
	TAKES("cr4_fixed0_de", MSR_IA32_VMX_CR4_FIXED0, SET_BITS, X86_CR4_DE),
	TAKES("vmfunc_none", MSR_IA32_VMX_VMFUNC, CLEAR_BITS, 1, .needs = "vmx:vm_functions"),
	REFUSES("vmfunc_bit1", MSR_IA32_VMX_VMFUNC, SET_BITS, 1ull << 1, .needs = "vmx:vm_functions"),
	TAKES("proc_in_operation", MSR_IA32_VMX_TRUE_PROCBASED_CTLS, SAME, 0, .is_refused = true, .in_operation = true),
	TAKES("misc_in_operation", MSR_IA32_VMX_MISC, SAME, 0, .is_refused = true, .in_operation = true),
};

CASE(cap_msrs_set, .says = "user space may take VMX capabilities away, and add none", .modes = LONG64,
     .needs = "vendor:intel nested", .rows = ROWS(rows))

enum { ARG_WANT };

GUEST(cap_msrs_set)
{
	const struct row *row = GUEST_ROW(rows);

	if (row->in_operation)
		vmx_start();
	guest_sync(1);
	CHECK_EQ(GUEST_ARG(ARG_WANT), rdmsr(row->msr));
	if (row->in_operation) {
		vmx_run();
		CHECK_L2_DONE();
	}
}

struct one_msr {
	struct kvm_msrs head;
	struct kvm_msr_entry entry;
};

static uint64_t msr_get(struct test *t, uint32_t index)
{
	struct one_msr msr = { .head.nmsrs = 1, .entry.index = index };

	require_result(t, 1, vcpu_ioctl_try(t->vcpu, KVM_GET_MSRS, &msr.head));
	return msr.entry.data;
}

static uint64_t value_changed(const struct row *row, uint64_t old)
{
	uint32_t needed = old, allowed = old >> 32;
	uint32_t optional = allowed & ~needed, forbidden = ~allowed;

	switch (row->change) {
	case SAME:
		return old;
	case DROP_ALLOWED:
		return old & ~((uint64_t)(optional & -optional) << 32);
	case DEMAND_ALLOWED:
		return old | (optional & -optional);
	case ADD_FORBIDDEN:
		return old | (uint64_t)(forbidden & -forbidden) << 32;
	case FORBID_NEEDED:
		return old & ~(uint64_t)(needed & -needed);
	case SET_BITS:
		/* A bit that is set already would be no change. */
		return (old & row->bits) == row->bits ? old & ~row->bits : old | row->bits;
	default:
		return old & ~row->bits;
	}
}

HOST(cap_msrs_set)
{
	const struct row *row = ROW(t, rows);
	uint64_t old = msr_get(t, row->msr);
	struct one_msr msr = { .head.nmsrs = 1, .entry.index = row->msr, .entry.data = value_changed(row, old) };

	require_sync(t, 1);
	/* How many were set. */
	expect_result(t, row->is_refused ? 0 : 1, vcpu_ioctl_try(t->vcpu, KVM_SET_MSRS, &msr.head));
	expect_eq(t, row->is_refused ? old : msr.entry.data, msr_get(t, row->msr));
	guest_arg(t, ARG_WANT, row->is_refused ? old : msr.entry.data);
	expect_done(t);
}
