/* SPDX-License-Identifier: MIT */
/*
 * The capability MSRs agree with each other and with CPUID as the manual says, and no guest can write them.
 *
 * Can break: a control offered without the ones it needs, one that must be 1 and must be 0, a TRUE MSR that says
 * something else about what may be 1.
 * Source: SDM vol. 3D, appendix A; vol. 3C, 24.8.
 */
#include "case.h"
#include "vm/x86/vmx.h"

struct row {
	ROW_FIELDS;
	void (*run)(void);
};

static bool may_be_1(uint32_t msr, uint32_t bit)
{
	return rdmsr(msr) >> 32 & bit;
}

/* No control must be 1 that may not be. */
static void check_controls(uint32_t msr)
{
	uint64_t value = rdmsr(msr);

	CHECK_EQ(0, (uint32_t)value & ~(value >> 32));
}

/* What may be 1 is the same; the TRUE one needs no more than the default1 bits, and of these as many as it wants. */
static void check_pair(uint32_t msr, uint32_t true_msr, uint32_t default1)
{
	uint64_t value = rdmsr(msr), true_value = rdmsr(true_msr);

	check_controls(msr);
	check_controls(true_msr);
	CHECK_EQ(value >> 32, true_value >> 32);
	CHECK_EQ(default1, value & default1);
	CHECK_EQ(0, true_value & ~(uint64_t)default1 & 0xffffffff);
	CHECK_EQ(0, (uint32_t)true_value & ~(uint32_t)value);
}

static void basic(void)
{
	uint64_t value = rdmsr(MSR_IA32_VMX_BASIC), bytes = value >> 32 & 0x1fff, type = value >> 50 & 0xf;

	CHECK_EQ(0, value >> 31 & 1);
	CHECK(bytes > 0 && bytes <= 4096);
	CHECK_EQ(0, value >> 45 & 7);
	/* Never on a CPU with Intel 64. */
	CHECK_EQ(0, value >> 48 & 1);
	CHECK(type == 0 || type == 6);
	CHECK_EQ(0, value >> 59);
}

static void pin(void)
{
	check_pair(MSR_IA32_VMX_PINBASED_CTLS, MSR_IA32_VMX_TRUE_PINBASED_CTLS, PIN_DEFAULT1);
}

static void proc(void)
{
	check_pair(MSR_IA32_VMX_PROCBASED_CTLS, MSR_IA32_VMX_TRUE_PROCBASED_CTLS, PROC_DEFAULT1);
}

static void exit_controls(void)
{
	check_pair(MSR_IA32_VMX_EXIT_CTLS, MSR_IA32_VMX_TRUE_EXIT_CTLS, EXIT_DEFAULT1);
}

static void entry_controls(void)
{
	check_pair(MSR_IA32_VMX_ENTRY_CTLS, MSR_IA32_VMX_TRUE_ENTRY_CTLS, ENTRY_DEFAULT1);
}

static void proc2(void)
{
	CHECK_EQ(0, (uint32_t)rdmsr(MSR_IA32_VMX_PROCBASED_CTLS2));
}

static void misc(void)
{
	uint64_t value = rdmsr(MSR_IA32_VMX_MISC);

	CHECK_EQ(0, value >> 9 & 0x1f);
	CHECK((value >> 16 & 0x1ff) <= 256);
	CHECK_EQ(0, value >> 31 & 1);
	/* Exits store IA32_EFER.LMA where a guest may be without paging. */
	if (may_be_1(MSR_IA32_VMX_PROCBASED_CTLS2, PROC2_UNRESTRICTED_GUEST))
		CHECK_EQ(1, value >> 5 & 1);
}

static void cr_fixed(void)
{
	uint64_t cr0_0 = rdmsr(MSR_IA32_VMX_CR0_FIXED0), cr0_1 = rdmsr(MSR_IA32_VMX_CR0_FIXED1);
	uint64_t cr4_0 = rdmsr(MSR_IA32_VMX_CR4_FIXED0), cr4_1 = rdmsr(MSR_IA32_VMX_CR4_FIXED1);
	uint64_t cr0_needed = X86_CR0_PE | X86_CR0_NE | X86_CR0_PG;

	/* A bit that must be 1 may be. */
	CHECK_EQ(0, cr0_0 & ~cr0_1);
	CHECK_EQ(0, cr4_0 & ~cr4_1);
	CHECK_EQ(cr0_needed, cr0_0 & cr0_needed);
	CHECK_EQ(X86_CR4_VMXE, cr4_0 & X86_CR4_VMXE);
	CHECK_EQ(0xffffffff, cr0_1);
}

/* A bit of CR4 may be 1 just when CPUID has its feature. */
static void cr4_cpuid(void)
{
	uint64_t fixed1 = rdmsr(MSR_IA32_VMX_CR4_FIXED1);
	struct cpuid_regs one = cpuid(1, 0), seven = cpuid(7, 0);

	CHECK_EQ(one.edx >> 1 & 1, !!(fixed1 & X86_CR4_VME));
	CHECK_EQ(one.edx >> 4 & 1, !!(fixed1 & X86_CR4_TSD));
	CHECK_EQ(one.edx >> 2 & 1, !!(fixed1 & X86_CR4_DE));
	CHECK_EQ(one.edx >> 6 & 1, !!(fixed1 & X86_CR4_PAE));
	CHECK_EQ(one.edx >> 13 & 1, !!(fixed1 & X86_CR4_PGE));
	CHECK_EQ(one.ecx >> 17 & 1, !!(fixed1 & X86_CR4_PCIDE));
	CHECK_EQ(one.ecx >> 26 & 1, !!(fixed1 & X86_CR4_OSXSAVE));
	CHECK_EQ(seven.ebx & 1, !!(fixed1 & X86_CR4_FSGSBASE));
	CHECK_EQ(seven.ebx >> 7 & 1, !!(fixed1 & X86_CR4_SMEP));
	CHECK_EQ(seven.ebx >> 20 & 1, !!(fixed1 & X86_CR4_SMAP));
	CHECK_EQ(seven.ecx >> 2 & 1, !!(fixed1 & X86_CR4_UMIP));
	CHECK_EQ(seven.ecx >> 3 & 1, !!(fixed1 & X86_CR4_PKE));
	CHECK_EQ(seven.ecx >> 16 & 1, !!(fixed1 & X86_CR4_LA57));
}

/* The highest index of any field: at least that of GUEST_SYSENTER_EIP, and of the timer's if there is one. */
static void vmcs_enum(void)
{
	uint64_t value = rdmsr(MSR_IA32_VMX_VMCS_ENUM), highest = value >> 1 & 0x1ff;

	CHECK_EQ(0, value & 1);
	CHECK_EQ(0, value >> 10);
	CHECK(highest >= (GUEST_SYSENTER_EIP >> 1 & 0x1ff));
	if (may_be_1(MSR_IA32_VMX_TRUE_PINBASED_CTLS, PIN_PREEMPTION_TIMER))
		CHECK(highest >= (PREEMPTION_TIMER_VALUE >> 1 & 0x1ff));
}

static void needs_other(uint32_t msr, uint32_t bit, uint32_t other_msr, uint32_t other)
{
	if (may_be_1(msr, bit))
		CHECK(may_be_1(other_msr, other));
}

static void dependencies(void)
{
	const uint32_t pin_msr = MSR_IA32_VMX_TRUE_PINBASED_CTLS, proc_msr = MSR_IA32_VMX_TRUE_PROCBASED_CTLS;
	const uint32_t proc2_msr = MSR_IA32_VMX_PROCBASED_CTLS2, exit_msr = MSR_IA32_VMX_TRUE_EXIT_CTLS;

	needs_other(pin_msr, PIN_VIRTUAL_NMIS, pin_msr, PIN_NMI_EXITING);
	needs_other(proc_msr, PROC_NMI_WINDOW_EXITING, pin_msr, PIN_VIRTUAL_NMIS);
	needs_other(pin_msr, PIN_POSTED_INTERRUPTS, proc2_msr, PROC2_VIRTUAL_INTERRUPT_DELIVERY);
	needs_other(pin_msr, PIN_POSTED_INTERRUPTS, exit_msr, EXIT_ACKNOWLEDGE_INTERRUPT);
	needs_other(exit_msr, EXIT_SAVE_PREEMPTION_TIMER, pin_msr, PIN_PREEMPTION_TIMER);
	needs_other(proc2_msr, PROC2_UNRESTRICTED_GUEST, proc2_msr, PROC2_EPT);
	needs_other(proc2_msr, PROC2_PML, proc2_msr, PROC2_EPT);
	needs_other(proc2_msr, PROC2_VIRTUALIZE_X2APIC, proc_msr, PROC_TPR_SHADOW);
	needs_other(proc2_msr, PROC2_APIC_REGISTER_VIRTUALIZATION, proc_msr, PROC_TPR_SHADOW);
	needs_other(proc2_msr, PROC2_VIRTUAL_INTERRUPT_DELIVERY, proc_msr, PROC_TPR_SHADOW);
	needs_other(proc2_msr, PROC2_VIRTUAL_INTERRUPT_DELIVERY, pin_msr, PIN_EXTERNAL_INTERRUPT_EXITING);
}

static void ept_vpid(void)
{
	uint64_t value = rdmsr(MSR_IA32_VMX_EPT_VPID_CAP);

	/* Page walks of 4 levels, a memory type to use, and INVEPT with a type. */
	CHECK(value >> 6 & 1);
	CHECK(value & (1u << 8 | 1u << 14));
	if (value >> 20 & 1)
		CHECK(value & (1u << 25 | 1u << 26));
	if (value >> 32 & 1)
		CHECK(value >> 40 & 0xf);
	CHECK_EQ(0, value >> 44);
	/* Reserved bits */
	CHECK_EQ(0, value & 0xf90cbe3e);
}

/* IA32_VMX_VMFUNC is there with the control only. */
static void vmfunc(void)
{
	bool is_there = may_be_1(MSR_IA32_VMX_PROCBASED_CTLS2, PROC2_VM_FUNCTIONS);
	uint64_t value = 0;
	struct fault f = rdmsr_safe(MSR_IA32_VMX_VMFUNC, &value);

	if (is_there)
		CHECK_NO_FAULT(f);
	/* Only EPTP switching is defined. */
	CHECK_EQ(0, value & ~1ull);
}

static void write_refused(void)
{
	uint32_t msr;

	for (msr = MSR_IA32_VMX_BASIC; msr <= MSR_IA32_VMX_TRUE_ENTRY_CTLS; msr++) {
		uint64_t value = rdmsr(msr);
		struct fault f = wrmsr_safe(msr, value);

		CHECK_FAULT(GP_VECTOR, 0, f);
		f = wrmsr_safe(msr, 0);
		CHECK_FAULT(GP_VECTOR, 0, f);
		CHECK_EQ(value, rdmsr(msr));
	}
}

#define RUN(name_, ...) { .label = #name_, .run = name_, ##__VA_ARGS__ }
static const struct row rows[] = {
	RUN(basic), RUN(pin), RUN(proc), RUN(exit_controls), RUN(entry_controls), RUN(proc2, .needs = "vmx:secondary"),
	RUN(misc), RUN(cr_fixed), RUN(cr4_cpuid), RUN(vmcs_enum), RUN(dependencies),
	RUN(ept_vpid, .needs = "vmx:ept vmx:vpid"), RUN(vmfunc, .needs = "vmx:secondary"),
	RUN(write_refused, .needs = "vmx:secondary vmx:ept"),
};

CASE(cap_msrs, .says = "the VMX capability MSRs agree with each other and cannot be written", .modes = LONG64,
     .needs = "vendor:intel nested", .rows = ROWS(rows))

GUEST(cap_msrs)
{
	GUEST_ROW(rows)->run();
}

HOST(cap_msrs)
{
	expect_done(t);
}
