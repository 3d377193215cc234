/* SPDX-License-Identifier: MIT */
/*
 * VMXON, VMXOFF and what every VMX instruction needs first: CR4.VMXE, IA32_FEATURE_CONTROL, CPL 0, 64-bit mode, a good
 * pointer. All six flags, or the fault, each time.
 *
 * Can break: #GP where #UD goes first, a lock that opens, VMfailValid without a VMCS.
 * Source: SDM vol. 3C, 24.7, 24.8, chapter 31 (VMXON, VMXOFF).
 */
#include "case.h"
#include "guests/l1_vmx.h"

static void start(void)
{
	vmx_prepare();
	CHECK_EQ(VMX_OK, vmxon_try((ulong_t)vmx.vmxon_region));
}

static void on_off_on(void)
{
	uint64_t value = 0x5a5a;

	start();
	CHECK_EQ(VMX_OK, vmxoff_try());
	CHECK_EQ(VMX_FAULT(UD_VECTOR, 0), vmxoff_try());
	CHECK_EQ(VMX_FAULT(UD_VECTOR, 0), vmread_try(GUEST_RIP, &value));
	CHECK_EQ(0x5a5a, value);
	CHECK_EQ(VMX_OK, vmxon_try((ulong_t)vmx.vmxon_region));
	CHECK_EQ(VMX_FAIL_INVALID, vmread_try(GUEST_RIP, &value));
}

static void twice_without_vmcs(void)
{
	start();
	CHECK_EQ(VMX_FAIL_INVALID, vmxon_try((ulong_t)vmx.vmxon_region));
	/* The pointer does not matter, and neither do CR0 and CR4. */
	CHECK_EQ(VMX_FAIL_INVALID, vmxon_try(1));
}

static void twice_with_vmcs(void)
{
	vmx_start();
	CHECK_EQ(VMX_FAIL_VALID(VMX_ERROR_VMXON_IN_ROOT), vmxon_try((ulong_t)vmx.vmxon_region));
	CHECK_EQ(VMX_FAIL_VALID(VMX_ERROR_VMXON_IN_ROOT), vmxon_try(1));
}

static void without_vmxe(void)
{
	vmx_prepare();
	write_cr4(read_cr4() & ~X86_CR4_VMXE);
	CHECK_EQ(VMX_FAULT(UD_VECTOR, 0), vmxon_try((ulong_t)vmx.vmxon_region));
	write_cr4(read_cr4() | X86_CR4_VMXE);
	CHECK_EQ(VMX_OK, vmxon_try((ulong_t)vmx.vmxon_region));
}

/* In VMX operation CR4.VMXE and the bits of CR0 that are fixed stay. */
static void fixed_bits_in_operation(void)
{
	struct fault f;

	start();
	f = write_cr4_safe(read_cr4() & ~X86_CR4_VMXE);
	CHECK_FAULT(GP_VECTOR, 0, f);
	f = write_cr0_safe(read_cr0() & ~X86_CR0_NE);
	CHECK_FAULT(GP_VECTOR, 0, f);
	CHECK(read_cr4() & X86_CR4_VMXE);
	/* The others are as free as ever: KVM sees MCE, and leaves DE to the guest. */
	f = write_cr4_safe(read_cr4() ^ X86_CR4_MCE);
	CHECK_NO_FAULT(f);
	f = write_cr4_safe(read_cr4() ^ X86_CR4_DE);
	CHECK_NO_FAULT(f);
	CHECK_EQ(VMX_OK, vmxoff_try());
	f = write_cr4_safe(read_cr4() & ~X86_CR4_VMXE);
	CHECK_NO_FAULT(f);
	f = write_cr0_safe(read_cr0() & ~X86_CR0_NE);
	CHECK_NO_FAULT(f);
}

static void cr0_ne_clear(void)
{
	vmx_prepare();
	write_cr0(read_cr0() & ~X86_CR0_NE);
	CHECK_EQ(VMX_FAULT(GP_VECTOR, 0), vmxon_try((ulong_t)vmx.vmxon_region));
	write_cr0(read_cr0() | X86_CR0_NE);
	CHECK_EQ(VMX_OK, vmxon_try((ulong_t)vmx.vmxon_region));
}

static void feature_control_unlocked(void)
{
	CHECK_EQ(0, rdmsr(MSR_IA32_FEAT_CTL));
	vmx.vmxon_region = vmx_region_alloc();
	write_cr4(read_cr4() | X86_CR4_VMXE);
	CHECK_EQ(VMX_FAULT(GP_VECTOR, 0), vmxon_try((ulong_t)vmx.vmxon_region));
	/* Enabled, but not locked. */
	wrmsr(MSR_IA32_FEAT_CTL, FEAT_CTL_VMX_OUTSIDE_SMX);
	CHECK_EQ(FEAT_CTL_VMX_OUTSIDE_SMX, rdmsr(MSR_IA32_FEAT_CTL));
	CHECK_EQ(VMX_FAULT(GP_VECTOR, 0), vmxon_try((ulong_t)vmx.vmxon_region));
	wrmsr(MSR_IA32_FEAT_CTL, FEAT_CTL_VMX_OUTSIDE_SMX | FEAT_CTL_LOCKED);
	CHECK_EQ(VMX_OK, vmxon_try((ulong_t)vmx.vmxon_region));
}

static void feature_control_locked_off(void)
{
	struct fault f;

	vmx.vmxon_region = vmx_region_alloc();
	write_cr4(read_cr4() | X86_CR4_VMXE);
	wrmsr(MSR_IA32_FEAT_CTL, FEAT_CTL_LOCKED);
	CHECK_EQ(VMX_FAULT(GP_VECTOR, 0), vmxon_try((ulong_t)vmx.vmxon_region));
	f = wrmsr_safe(MSR_IA32_FEAT_CTL, FEAT_CTL_VMX_OUTSIDE_SMX | FEAT_CTL_LOCKED);
	CHECK_FAULT(GP_VECTOR, 0, f);
	f = wrmsr_safe(MSR_IA32_FEAT_CTL, FEAT_CTL_LOCKED);
	CHECK_FAULT(GP_VECTOR, 0, f);
	CHECK_EQ(FEAT_CTL_LOCKED, rdmsr(MSR_IA32_FEAT_CTL));
}

static void feature_control_reserved(void)
{
	struct fault f = wrmsr_safe(MSR_IA32_FEAT_CTL, 1ull << 63 | FEAT_CTL_LOCKED);

	CHECK_FAULT(GP_VECTOR, 0, f);
	f = wrmsr_safe(MSR_IA32_FEAT_CTL, 1u << 4 | FEAT_CTL_LOCKED);
	CHECK_FAULT(GP_VECTOR, 0, f);
	CHECK_EQ(0, rdmsr(MSR_IA32_FEAT_CTL));
}

static uint64_t first_beyond(void)
{
	return 1ull << (cpuid(0x80000008, 0).eax & 0xff);
}

static void bad_pointers(void)
{
	uint32_t *region;

	vmx_prepare();
	region = vmx.vmxon_region;
	CHECK_EQ(VMX_FAIL_INVALID, vmxon_try((ulong_t)region | 1));
	CHECK_EQ(VMX_FAIL_INVALID, vmxon_try((ulong_t)region | 0x800));
	CHECK_EQ(VMX_FAIL_INVALID, vmxon_try(first_beyond()));
	CHECK_EQ(VMX_FAIL_INVALID, vmxon_try((ulong_t)region | 1ull << 63));
	/* Within the width, but there is no memory. */
	CHECK_EQ(VMX_FAIL_INVALID, vmxon_try(first_beyond() - 0x1000));
	*region ^= 1;
	CHECK_EQ(VMX_FAIL_INVALID, vmxon_try((ulong_t)region));
	*region ^= 1 | 1u << 31;
	CHECK_EQ(VMX_FAIL_INVALID, vmxon_try((ulong_t)region));
	*region ^= 1u << 31;
	CHECK_EQ(VMX_OK, vmxon_try((ulong_t)region));
}

static void bad_operands(void)
{
	char *page = page_alloc();

	vmx_prepare();
	pte_write(pte_find((ulong_t)page, 1), 0);
	invlpg((ulong_t)page);
	CHECK_EQ(VMX_FAULT(PF_VECTOR, 0), vmxon_at_try(page + 0x10));
	CHECK_EQ((ulong_t)page + 0x10, abi_self()->fault.cr2);
	/* The second half of the operand. */
	CHECK_EQ(VMX_FAULT(PF_VECTOR, 0), vmxon_at_try(page - 4));
	CHECK_EQ((ulong_t)page, abi_self()->fault.cr2);
	CHECK_EQ(VMX_FAULT(GP_VECTOR, 0), vmxon_at_try((void *)0x800000000000));
	CHECK_EQ(VMX_OK, vmxon_try((ulong_t)vmx.vmxon_region));
}

/* --- all instructions --- */

static uint8_t operand[16];

static vmx_outcome launch_try(bool is_resume)
{
	vmx_enter(is_resume);
	return vmx.exit.outcome;
}

static void all_want(vmx_outcome want)
{
	uint64_t value = 0;

	CHECK_EQ(want, vmxoff_try());
	CHECK_EQ(want, vmptrld_at_try(operand));
	CHECK_EQ(want, vmclear_at_try(operand));
	CHECK_EQ(want, vmptrst_at_try(operand));
	CHECK_EQ(want, vmread_try(GUEST_RIP, &value));
	CHECK_EQ(want, vmwrite_try(GUEST_RIP, 0));
	CHECK_EQ(want, invept_try(INVEPT_ALL, operand));
	CHECK_EQ(want, invvpid_try(INVVPID_ALL, operand));
	CHECK_EQ(want, VMX_TRY("vmlaunch", (), ()));
	CHECK_EQ(want, VMX_TRY("vmresume", (), ()));
}

static void outside_operation(void)
{
	vmx_prepare();
	all_want(VMX_FAULT(UD_VECTOR, 0));
	write_cr4(read_cr4() & ~X86_CR4_VMXE);
	all_want(VMX_FAULT(UD_VECTOR, 0));
}

static bool has_user_run;

static void user_inside(void *unused)
{
	(void)unused;
	all_want(VMX_FAULT(GP_VECTOR, 0));
	CHECK_EQ(VMX_FAULT(GP_VECTOR, 0), vmxon_try(0));
	has_user_run = true;
}

static void user_in_operation(void)
{
	vmx_start();
	guest_catch_user(user_inside, NULL);
	CHECK(has_user_run);
}

static void user_outside(void *unused)
{
	(void)unused;
	all_want(VMX_FAULT(UD_VECTOR, 0));
	/* VMXON itself asks for CPL first. */
	CHECK_EQ(VMX_FAULT(GP_VECTOR, 0), vmxon_try((ulong_t)vmx.vmxon_region));
	has_user_run = true;
}

static void user_outside_operation(void)
{
	vmx_prepare();
	guest_catch_user(user_outside, NULL);
	CHECK(has_user_run);
}

static void without_vmcs(void)
{
	uint64_t value = 0;

	start();
	CHECK_EQ(VMX_OK, vmptrst_at_try(&value));
	CHECK_EQ(~0ull, value);
	CHECK_EQ(VMX_FAIL_INVALID, vmread_try(GUEST_RIP, &value));
	CHECK_EQ(VMX_FAIL_INVALID, vmread_try(0x7ffe, &value));
	CHECK_EQ(VMX_FAIL_INVALID, vmwrite_try(GUEST_RIP, 0));
	CHECK_EQ(VMX_FAIL_INVALID, vmwrite_try(VM_INSTRUCTION_ERROR, 0));
	CHECK_EQ(VMX_FAIL_INVALID, launch_try(false));
	CHECK_EQ(VMX_FAIL_INVALID, launch_try(true));
	CHECK_EQ(VMX_FAIL_INVALID, vmptrld_try(1));
	CHECK_EQ(VMX_FAIL_INVALID, vmptrld_try((ulong_t)vmx.vmxon_region));
	CHECK_EQ(VMX_FAIL_INVALID, vmclear_try(1));
	CHECK_EQ(VMX_FAIL_INVALID, vmclear_try((ulong_t)vmx.vmxon_region));
	CHECK_EQ(VMX_FAIL_INVALID, invept_try(7, operand));
}

/*
 * In compatibility mode there are no VMX instructions. The far return goes to 32-bit code, the far jump back; the
 * exception is taken in 64-bit mode and returns.
 */
void compat_vmxon(void);
void compat_vmxoff(void);
#ifdef VMASSAY_GUEST
#define COMPAT(name_, text_)								\
	__asm__(".pushsection .text\n.globl " #name_ "\n" #name_ ":\n\t"		\
		"pushq $0x18\n\tpushq $1f\n\tlretq\n"					\
		".code32\n"								\
		"1:\t" text_ "\n"							\
		"2:\tljmp $0x8, $3f\n"							\
		".code64\n"								\
		"3:\tret\n"								\
		".pushsection .fixups, \"a\"\n.long 1b - ., 2b - .\n.popsection\n"	\
		".popsection");
COMPAT(compat_vmxon, "vmxon (%esp)")
COMPAT(compat_vmxoff, "vmxoff")
#else
void compat_vmxon(void) { }
void compat_vmxoff(void) { }
#endif

_Static_assert(SEL_CODE32 == 0x18 && SEL_CODE64 == 0x8, "COMPAT() repeats these");

static void compatibility_mode(void)
{
	vmx_prepare();
	fault_clear();
	compat_vmxon();
	CHECK_FAULT(UD_VECTOR, 0, abi_self()->fault);
	CHECK_EQ(VMX_OK, vmxon_try((ulong_t)vmx.vmxon_region));
	fault_clear();
	compat_vmxoff();
	CHECK_FAULT(UD_VECTOR, 0, abi_self()->fault);
	CHECK_EQ(VMX_OK, vmxoff_try());
}

struct row {
	ROW_FIELDS;
	void (*run)(void);
};
#define RUN(name_) { .label = #name_, .run = name_ }

static const struct row rows[] = {
	RUN(on_off_on), RUN(twice_without_vmcs), RUN(twice_with_vmcs), RUN(without_vmxe), RUN(fixed_bits_in_operation),
	RUN(cr0_ne_clear), RUN(feature_control_unlocked), RUN(feature_control_locked_off),
	RUN(feature_control_reserved), RUN(bad_pointers), RUN(bad_operands), RUN(outside_operation),
	RUN(user_in_operation), RUN(user_outside_operation), RUN(without_vmcs), RUN(compatibility_mode),
};

CASE(insn_vmxon, .says = "VMXON and VMXOFF, and what every VMX instruction needs first", .modes = LONG64,
     .needs = "vendor:intel nested vmx:invept vmx:invvpid", .rows = ROWS(rows))

GUEST(insn_vmxon)
{
	GUEST_ROW(rows)->run();
}

HOST(insn_vmxon)
{
	expect_done(t);
}
