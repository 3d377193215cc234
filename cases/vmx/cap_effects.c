/* SPDX-License-Identifier: MIT */
/*
 * What user space has taken from a guest hypervisor's capabilities is gone for its instructions and entries, too, and
 * what is next to it is not.
 *
 * Can break: KVM goes by its own capabilities and not by the vCPU's.
 * Source: KVM API, KVM_SET_MSRS (feature MSRs); SDM vol. 3D, A.3.3, A.10; vol. 3C, 27.2.1.1, 29.3.3.1, chapter 31
 * (INVEPT, INVVPID, VMPTRLD).
 */
#include "case.h"
#include "guests/l1_vmx.h"

struct row {
	ROW_FIELDS;
	uint32_t msr;
	uint64_t taken;		/* bits that become 0 */
	void (*run)(void);
};

static uint64_t descriptor[2];

static void no_invept(void)
{
	CHECK_EQ(VMX_FAULT(UD_VECTOR, 0), invept_try(INVEPT_ALL, descriptor));
	descriptor[0] = 1;
	CHECK_EQ(VMX_OK, invvpid_try(INVVPID_ALL, descriptor));
}

static void no_invvpid(void)
{
	CHECK_EQ(VMX_FAULT(UD_VECTOR, 0), invvpid_try(INVVPID_ALL, descriptor));
	CHECK_EQ(VMX_OK, invept_try(INVEPT_ALL, descriptor));
}

static void no_invept_single(void)
{
	vmx_use_ept();
	descriptor[0] = vmcs_read(EPT_POINTER);
	CHECK_EQ(VMX_FAIL_VALID(VMX_ERROR_INVEPT_INVVPID_OPERAND), invept_try(INVEPT_SINGLE, descriptor));
	CHECK_EQ(VMX_OK, invept_try(INVEPT_ALL, descriptor));
}

static void no_invept_all(void)
{
	vmx_use_ept();
	descriptor[0] = vmcs_read(EPT_POINTER);
	CHECK_EQ(VMX_FAIL_VALID(VMX_ERROR_INVEPT_INVVPID_OPERAND), invept_try(INVEPT_ALL, descriptor));
	CHECK_EQ(VMX_OK, invept_try(INVEPT_SINGLE, descriptor));
}

static void check_invvpid(uint64_t missing)
{
	uint64_t type;

	descriptor[0] = 1;
	for (type = INVVPID_ADDRESS; type <= INVVPID_SINGLE_KEEP_GLOBAL; type++)
		CHECK_EQ(type == missing ? VMX_FAIL_VALID(VMX_ERROR_INVEPT_INVVPID_OPERAND) : VMX_OK,
			 invvpid_try(type, descriptor));
}

static void no_invvpid_address(void)
{
	check_invvpid(INVVPID_ADDRESS);
}

static void no_invvpid_single(void)
{
	check_invvpid(INVVPID_SINGLE);
}

static void no_invvpid_all(void)
{
	check_invvpid(INVVPID_ALL);
}

static void no_invvpid_keep_global(void)
{
	check_invvpid(INVVPID_SINGLE_KEEP_GLOBAL);
}

static void no_shadowing(void)
{
	uint32_t *region = vmx_region_alloc();

	*region |= 1u << 31;
	CHECK_EQ(VMX_FAIL_VALID(VMX_ERROR_VMPTRLD_REVISION), vmptrld_try((ulong_t)region));
	*region &= ~(1u << 31);
	CHECK_EQ(VMX_OK, vmptrld_try((ulong_t)region));
}

static void check_refused(void)
{
	vmx_run();
	CHECK_EQ(VMX_FAIL_VALID(VMX_ERROR_ENTRY_CONTROLS), vmx.exit.outcome);
}

static void eptp_refused(void)
{
	vmx_use_ept();
	check_refused();
	vmcs_write(PROC2_CONTROLS, 0);
	vmx_run();
	CHECK_L2_DONE();
}

static void no_ad(void)
{
	vmx_use_ept();
	vmcs_set(EPT_POINTER, EPTP_AD);
	check_refused();
	vmcs_clear_bits(EPT_POINTER, EPTP_AD);
	vmx_run();
	CHECK_L2_DONE();
}

static void no_hlt_exiting(void)
{
	vmcs_set(PROC_CONTROLS, PROC_HLT_EXITING);
	check_refused();
	vmcs_clear_bits(PROC_CONTROLS, PROC_HLT_EXITING);
	vmx_run();
	CHECK_L2_DONE();
}

INSN(effects_load, "mov 0x209000, %ebx\n\tret")

/* An entry that allows fetches only is malformed then. */
static void no_execute_only(void)
{
	vmx_use_ept();
	*ept_find(0x209000, 1) &= ~(EPTE_R | EPTE_W);
	vmx_aim(effects_load);
	vmx_run();
	CHECK_REASON(EXIT_REASON_EPT_MISCONFIG);
	CHECK_EQ(0x209000, vmx.exit.guest_physical);
}

static void no_true_controls(void)
{
	/* The default1 bits must be 1, as the other MSRs say. */
	CHECK_EQ(0, rdmsr(MSR_IA32_VMX_BASIC) >> 55 & 1);
	vmx_run();
	CHECK_L2_DONE();
}

#define EPT_CAP(label_, run_, bit_, ...)						\
	{ .label = label_, .msr = MSR_IA32_VMX_EPT_VPID_CAP, .taken = 1ull << (bit_), .run = run_, ##__VA_ARGS__ }
#define PROC2(label_, run_, control_, ...)						\
	{ .label = label_, .msr = MSR_IA32_VMX_PROCBASED_CTLS2, .taken = (uint64_t)(control_) << 32, .run = run_, \
	  ##__VA_ARGS__ }

static const struct row rows[] = {
	EPT_CAP("no_invept", no_invept, 20), EPT_CAP("no_invvpid", no_invvpid, 32),
	PROC2("no_ept", no_invept, PROC2_EPT), PROC2("no_vpid", no_invvpid, PROC2_VPID),
	EPT_CAP("no_invept_single", no_invept_single, 25), EPT_CAP("no_invept_all", no_invept_all, 26),
	EPT_CAP("no_invvpid_address", no_invvpid_address, 40), EPT_CAP("no_invvpid_single", no_invvpid_single, 41),
	EPT_CAP("no_invvpid_all", no_invvpid_all, 42), EPT_CAP("no_invvpid_keep_global", no_invvpid_keep_global, 43),
	PROC2("no_shadowing", no_shadowing, PROC2_VMCS_SHADOWING, .needs = "vmx:vmcs_shadowing"),
	EPT_CAP("no_write_back", eptp_refused, 14), EPT_CAP("no_walk_4", eptp_refused, 6),
	EPT_CAP("no_ad", no_ad, 21, .needs = "vmx:ept_ad"),
	EPT_CAP("no_execute_only", no_execute_only, 0, .needs = "vmx:ept_execute_only tdp"),
	{ .label = "no_hlt_exiting", .msr = MSR_IA32_VMX_TRUE_PROCBASED_CTLS, .taken = (uint64_t)PROC_HLT_EXITING << 32,
	  .run = no_hlt_exiting },
	{ .label = "no_true_controls", .msr = MSR_IA32_VMX_BASIC, .taken = 1ull << 55, .run = no_true_controls },
};

CASE(cap_effects, .says = "a capability that user space took away is not there", .modes = LONG64,
     .needs = "vendor:intel nested vmx:ept vmx:vpid vmx:invept vmx:invvpid", .rows = ROWS(rows))

GUEST(cap_effects)
{
	vmx_start();
	GUEST_ROW(rows)->run();
}

struct one_msr {
	struct kvm_msrs head;
	struct kvm_msr_entry entry;
};

HOST(cap_effects)
{
	struct one_msr msr = { .head.nmsrs = 1, .entry.index = ROW(t, rows)->msr };

	require_result(t, 1, vcpu_ioctl_try(t->vcpu, KVM_GET_MSRS, &msr.head));
	msr.entry.data &= ~ROW(t, rows)->taken;
	require_result(t, 1, vcpu_ioctl_try(t->vcpu, KVM_SET_MSRS, &msr.head));
	expect_done(t);
}
