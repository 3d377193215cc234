/* SPDX-License-Identifier: MIT */
/*
 * The instructions on a VMCS: which one is current, clear or launched, and the error number of each failure.
 *
 * Can break: a launch state kept in the wrong place, the old VMCS lost by a VMPTRLD that fails, the error number of a
 * neighbour, an operand read too late.
 * Source: SDM vol. 3C, chapter 31 (VMCLEAR, VMPTRLD, VMPTRST, VMREAD, VMWRITE, VMLAUNCH, INVEPT, INVVPID) and 31.4.
 */
#include "case.h"
#include "guests/l1_vmx.h"

static uint64_t first_beyond(void)
{
	return 1ull << (cpuid(0x80000008, 0).eax & 0xff);
}

static uint64_t current_vmcs(void)
{
	uint64_t value = 0x5a5a5a5a5a5a5a5a;

	CHECK_EQ(VMX_OK, vmptrst_at_try(&value));
	return value;
}

/* It fails with @error, which the current VMCS holds, and stays current. */
#define FAILS(error_, call_)								\
	do {										\
		CHECK_EQ(VMX_FAIL_VALID(error_), call_);				\
		CHECK_EQ((ulong_t)vmx.vmcs, current_vmcs());				\
		CHECK_EQ(error_, vmcs_read(VM_INSTRUCTION_ERROR));			\
	} while (0)

static void vmptrld_switches(void)
{
	void *other = vmx_region_alloc();

	vmx_start();
	vmcs_write(GUEST_RSP, 0x1111);
	vmcs_write(GUEST_FS_LIMIT, 0x2222);
	CHECK_EQ(VMX_OK, vmclear_try((ulong_t)other));
	CHECK_EQ((ulong_t)vmx.vmcs, current_vmcs());
	CHECK_EQ(VMX_OK, vmptrld_try((ulong_t)other));
	CHECK_EQ((ulong_t)other, current_vmcs());
	vmcs_write(GUEST_RSP, 0x3333);
	vmcs_write(GUEST_FS_LIMIT, 0x4444);
	CHECK_EQ(VMX_OK, vmptrld_try((ulong_t)vmx.vmcs));
	CHECK_EQ(0x1111, vmcs_read(GUEST_RSP));
	CHECK_EQ(0x2222, vmcs_read(GUEST_FS_LIMIT));
	CHECK_EQ(VMX_OK, vmptrld_try((ulong_t)other));
	CHECK_EQ(0x3333, vmcs_read(GUEST_RSP));
	CHECK_EQ(0x4444, vmcs_read(GUEST_FS_LIMIT));
	/* Once more the one that is current: nothing. */
	CHECK_EQ(VMX_OK, vmptrld_try((ulong_t)other));
	CHECK_EQ(0x3333, vmcs_read(GUEST_RSP));
}

static void vmptrld_address(void)
{
	vmx_start();
	FAILS(VMX_ERROR_VMPTRLD_ADDRESS, vmptrld_try((ulong_t)vmx.vmcs | 1));
	FAILS(VMX_ERROR_VMPTRLD_ADDRESS, vmptrld_try((ulong_t)vmx.vmcs | 0x800));
	FAILS(VMX_ERROR_VMPTRLD_ADDRESS, vmptrld_try(first_beyond()));
	FAILS(VMX_ERROR_VMPTRLD_ADDRESS, vmptrld_try((ulong_t)vmx.vmcs | 1ull << 63));
}

static void vmptrld_vmxon_pointer(void)
{
	vmx_start();
	FAILS(VMX_ERROR_VMPTRLD_VMXON_POINTER, vmptrld_try((ulong_t)vmx.vmxon_region));
}

static void vmptrld_revision(void)
{
	uint32_t *other = vmx_region_alloc();

	vmx_start();
	*other ^= 1;
	FAILS(VMX_ERROR_VMPTRLD_REVISION, vmptrld_try((ulong_t)other));
	*other ^= 1 | 1u << 30;
	FAILS(VMX_ERROR_VMPTRLD_REVISION, vmptrld_try((ulong_t)other));
	*other = 0;
	FAILS(VMX_ERROR_VMPTRLD_REVISION, vmptrld_try((ulong_t)other));
	/* Reads of what is no memory are all ones. */
	FAILS(VMX_ERROR_VMPTRLD_REVISION, vmptrld_try(MMIO_GPA));
}

static void vmclear_current(void)
{
	uint64_t value = 0;

	vmx_start();
	CHECK_EQ(VMX_OK, vmclear_try((ulong_t)vmx.vmcs));
	CHECK_EQ(~0ull, current_vmcs());
	CHECK_EQ(VMX_FAIL_INVALID, vmread_try(GUEST_RIP, &value));
	CHECK_EQ(VMX_OK, vmptrld_try((ulong_t)vmx.vmcs));
	CHECK_EQ(VMX_OK, vmread_try(GUEST_RIP, &value));
	CHECK_EQ((ulong_t)vmx_l2_end, value);
}

static void vmclear_fails(void)
{
	vmx_start();
	FAILS(VMX_ERROR_VMCLEAR_ADDRESS, vmclear_try((ulong_t)vmx.vmcs | 1));
	FAILS(VMX_ERROR_VMCLEAR_ADDRESS, vmclear_try((ulong_t)vmx.vmcs | 0xf00));
	FAILS(VMX_ERROR_VMCLEAR_ADDRESS, vmclear_try(first_beyond()));
	FAILS(VMX_ERROR_VMCLEAR_ADDRESS, vmclear_try(1ull << 62));
	FAILS(VMX_ERROR_VMCLEAR_VMXON_POINTER, vmclear_try((ulong_t)vmx.vmxon_region));
}

/* VMCLEAR does not ask for the revision; it makes the region's launch state clear. */
static void vmclear_any_revision(void)
{
	uint32_t *other = vmx_region_alloc();

	vmx_start();
	*other = 0x12345678;
	CHECK_EQ(VMX_OK, vmclear_try((ulong_t)other));
	CHECK_EQ(0x12345678, *other);
}

static void launch_states(void)
{
	vmx_start();
	vmx_enter(true);
	CHECK_EQ(VMX_FAIL_VALID(VMX_ERROR_VMRESUME_NOT_LAUNCHED), vmx.exit.outcome);
	vmx_enter(false);
	CHECK_EQ(VMX_OK, vmx.exit.outcome);
	CHECK_L2_DONE();
	vmx_enter(false);
	CHECK_EQ(VMX_FAIL_VALID(VMX_ERROR_VMLAUNCH_NOT_CLEAR), vmx.exit.outcome);
	vmx_enter(true);
	CHECK_EQ(VMX_OK, vmx.exit.outcome);
	CHECK_L2_DONE();
	/* The state belongs to the region, not to the processor. */
	CHECK_EQ(VMX_OK, vmptrld_try((ulong_t)vmx_region_alloc()));
	CHECK_EQ(VMX_OK, vmptrld_try((ulong_t)vmx.vmcs));
	vmx_enter(false);
	CHECK_EQ(VMX_FAIL_VALID(VMX_ERROR_VMLAUNCH_NOT_CLEAR), vmx.exit.outcome);
	CHECK_EQ(VMX_OK, vmclear_try((ulong_t)vmx.vmcs));
	CHECK_EQ(VMX_OK, vmptrld_try((ulong_t)vmx.vmcs));
	vmx_enter(true);
	CHECK_EQ(VMX_FAIL_VALID(VMX_ERROR_VMRESUME_NOT_LAUNCHED), vmx.exit.outcome);
	vmx_enter(false);
	CHECK_EQ(VMX_OK, vmx.exit.outcome);
	CHECK_L2_DONE();
}

/* The launch state is asked for before the controls and the host's state are. */
static void launch_state_first(void)
{
	vmx_start();
	vmcs_write(HOST_CR4, 0);
	vmcs_write(PIN_CONTROLS, 0);
	vmx_enter(true);
	CHECK_EQ(VMX_FAIL_VALID(VMX_ERROR_VMRESUME_NOT_LAUNCHED), vmx.exit.outcome);
	vmx_enter(false);
	CHECK(vmx.exit.outcome == VMX_FAIL_VALID(VMX_ERROR_ENTRY_CONTROLS) ||
	      vmx.exit.outcome == VMX_FAIL_VALID(VMX_ERROR_ENTRY_HOST_STATE));
}

static vmx_outcome launch_behind_mov_ss(void)
{
	uint16_t ss = SEL_DATA;

	/* TRY's labels are on the instruction behind MOV SS. */
	return VMX_TRY("nop\n\tmov %[ss], %%ss\n\tvmlaunch", (), (, [ss] "r"(ss)));
}

static void behind_mov_ss(void)
{
	vmx_start();
	CHECK_EQ(VMX_FAIL_VALID(VMX_ERROR_ENTRY_MOV_SS), launch_behind_mov_ss());
	vmx_run();
	CHECK_EQ(VMX_OK, vmx.exit.outcome);
	CHECK_L2_DONE();
}

static void vmread_operands(void)
{
	uint8_t *page = page_alloc();
	uint64_t got = 0;

	vmx_start();
	vmcs_write(GUEST_SYSENTER_ESP, 0x123456789abcdef0);
	CHECK_EQ(VMX_OK, vmread_at_try(GUEST_SYSENTER_ESP, &got));
	CHECK_EQ(0x123456789abcdef0, got);
	/* All 64 bits of memory are written, whatever the field's width is. */
	got = ~0ull;
	vmcs_write(GUEST_SYSENTER_CS, 0x89abcdef);
	CHECK_EQ(VMX_OK, vmread_at_try(GUEST_SYSENTER_CS, &got));
	CHECK_EQ(0x89abcdef, got);
	got = 0xfedcba9876543210;
	CHECK_EQ(VMX_OK, vmwrite_at_try(GUEST_SYSENTER_EIP, &got));
	CHECK_EQ(0xfedcba9876543210, vmcs_read(GUEST_SYSENTER_EIP));
	pte_write(pte_find((ulong_t)page, 1), 0);
	invlpg((ulong_t)page);
	CHECK_EQ(VMX_FAULT(PF_VECTOR, PFERR_W), vmread_at_try(GUEST_SYSENTER_ESP, page + 8));
	CHECK_EQ((ulong_t)page + 8, abi_self()->fault.cr2);
	CHECK_EQ(VMX_FAULT(PF_VECTOR, 0), vmwrite_at_try(GUEST_SYSENTER_EIP, page + 8));
	CHECK_EQ((ulong_t)page + 8, abi_self()->fault.cr2);
	CHECK_EQ(0xfedcba9876543210, vmcs_read(GUEST_SYSENTER_EIP));
	CHECK_EQ(VMX_FAULT(GP_VECTOR, 0), vmread_at_try(GUEST_SYSENTER_ESP, (void *)0x800000000000));
	CHECK_EQ(VMX_FAULT(PF_VECTOR, PFERR_W), vmptrst_at_try(page));
	CHECK_EQ(VMX_FAULT(PF_VECTOR, 0), vmptrld_at_try(page));
	CHECK_EQ(VMX_FAULT(PF_VECTOR, 0), vmclear_at_try(page));
	CHECK_EQ((ulong_t)vmx.vmcs, current_vmcs());
}

static void no_such_field(void)
{
	static const uint64_t fields[] = {
		0x00fe, 0x0c0e, 0x2fff, 0x41fe, 0x4c02, 0x6c18, 0x7ffe,
		/* A high half of what has none, reserved bits, a 64-bit number. */
		GUEST_ES_SELECTOR | 1, GUEST_RIP | 1, PIN_CONTROLS | 1, PIN_CONTROLS | 0x1000, GUEST_RIP | 0x8000,
		GUEST_RIP | 1ull << 32, ~0ull,
	};
	uint64_t value = 0x5a5a;
	unsigned int i;

	vmx_start();
	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		FAILS(VMX_ERROR_UNSUPPORTED_FIELD, vmread_try(fields[i], &value));
		CHECK_EQ(0x5a5a, value);
		FAILS(VMX_ERROR_UNSUPPORTED_FIELD, vmwrite_try(fields[i], 0));
	}
}

static void invept(void)
{
	struct { uint64_t eptp, zero; } descriptor;

	vmx_start();
	vmx_use_ept();
	descriptor.eptp = vmcs_read(EPT_POINTER);
	descriptor.zero = 0;
	CHECK_EQ(VMX_OK, invept_try(INVEPT_SINGLE, &descriptor));
	CHECK_EQ(VMX_OK, invept_try(INVEPT_ALL, &descriptor));
	FAILS(VMX_ERROR_INVEPT_INVVPID_OPERAND, invept_try(0, &descriptor));
	FAILS(VMX_ERROR_INVEPT_INVVPID_OPERAND, invept_try(3, &descriptor));
	FAILS(VMX_ERROR_INVEPT_INVVPID_OPERAND, invept_try(33, &descriptor));
	FAILS(VMX_ERROR_INVEPT_INVVPID_OPERAND, invept_try(1ull << 32 | 1, &descriptor));
	descriptor.eptp ^= 1;
	FAILS(VMX_ERROR_INVEPT_INVVPID_OPERAND, invept_try(INVEPT_SINGLE, &descriptor));
	/* The pointer does not matter, but the operand is read. */
	CHECK_EQ(VMX_OK, invept_try(INVEPT_ALL, &descriptor));
	CHECK_EQ(VMX_FAULT(GP_VECTOR, 0), invept_try(INVEPT_ALL, (void *)0x800000000000));
}

static void invvpid(void)
{
	struct { uint64_t vpid, address; } descriptor = { 1, 0x300000 };

	vmx_start();
	CHECK_EQ(VMX_OK, invvpid_try(INVVPID_ADDRESS, &descriptor));
	CHECK_EQ(VMX_OK, invvpid_try(INVVPID_SINGLE, &descriptor));
	CHECK_EQ(VMX_OK, invvpid_try(INVVPID_ALL, &descriptor));
	CHECK_EQ(VMX_OK, invvpid_try(INVVPID_SINGLE_KEEP_GLOBAL, &descriptor));
	FAILS(VMX_ERROR_INVEPT_INVVPID_OPERAND, invvpid_try(4, &descriptor));
	FAILS(VMX_ERROR_INVEPT_INVVPID_OPERAND, invvpid_try(1ull << 32, &descriptor));
	descriptor.address = 0x800000000000;
	FAILS(VMX_ERROR_INVEPT_INVVPID_OPERAND, invvpid_try(INVVPID_ADDRESS, &descriptor));
	CHECK_EQ(VMX_OK, invvpid_try(INVVPID_SINGLE, &descriptor));
	descriptor.address = 0x300000;
	descriptor.vpid = 0;
	FAILS(VMX_ERROR_INVEPT_INVVPID_OPERAND, invvpid_try(INVVPID_ADDRESS, &descriptor));
	FAILS(VMX_ERROR_INVEPT_INVVPID_OPERAND, invvpid_try(INVVPID_SINGLE, &descriptor));
	FAILS(VMX_ERROR_INVEPT_INVVPID_OPERAND, invvpid_try(INVVPID_SINGLE_KEEP_GLOBAL, &descriptor));
	CHECK_EQ(VMX_OK, invvpid_try(INVVPID_ALL, &descriptor));
	descriptor.vpid = 0x10001;
	FAILS(VMX_ERROR_INVEPT_INVVPID_OPERAND, invvpid_try(INVVPID_SINGLE, &descriptor));
	CHECK_EQ(VMX_FAULT(GP_VECTOR, 0), invvpid_try(INVVPID_ALL, (void *)0x800000000000));
}

struct row {
	ROW_FIELDS;
	void (*run)(void);
};
#define RUN(name_, ...) { .label = #name_, .run = name_, ##__VA_ARGS__ }

static const struct row rows[] = {
	RUN(vmptrld_switches), RUN(vmptrld_address), RUN(vmptrld_vmxon_pointer), RUN(vmptrld_revision),
	RUN(vmclear_current), RUN(vmclear_fails), RUN(vmclear_any_revision), RUN(launch_states),
	RUN(launch_state_first), RUN(behind_mov_ss), RUN(vmread_operands), RUN(no_such_field),
	RUN(invept, .needs = "vmx:ept vmx:invept"), RUN(invvpid, .needs = "vmx:vpid vmx:invvpid"),
};

CASE(insn_vmcs, .says = "the instructions on a VMCS succeed or fail with their error numbers", .modes = LONG64,
     .needs = "vendor:intel nested", .rows = ROWS(rows))

GUEST(insn_vmcs)
{
	GUEST_ROW(rows)->run();
}

HOST(insn_vmcs)
{
	expect_done(t);
}
