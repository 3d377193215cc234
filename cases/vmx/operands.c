/* SPDX-License-Identifier: MIT */
/*
 * The memory operands of VMX instructions in 64-bit mode, which KVM works out itself: base, index, scale, displacement,
 * segment base, address size, and the fault of an address that is not canonical.
 *
 * Can break: the scale, a displacement's sign, a base where there is none, bits above a 32-bit address, #GP for #SS.
 * Source: SDM vol. 3C, 28.2.5, table 28-13; vol. 1, 3.3.7.1; vol. 3C, chapter 31 (VMPTRST).
 */
#include "case.h"
#include "guests/l1_vmx.h"

#define PAGE (SCRATCH_GPA + 0x10000)
#define HIGH 0x100000000ul	/* PAGE is there, too */
#define NONCANONICAL 0x800000000000ul
#define BAD (~0x123ull)

static uint64_t near __attribute__((used));

INSN(vmptrst_near, "vmptrst near(%rip)\n\tret")

/* The outcome of VMPTRST with the registers, and the eight bytes at @at hold the pointer or, if it fails, do not. */
#define CHECK_AT(at_, want_, text_, rax_, rcx_)						\
	do {										\
		uint64_t *at = (uint64_t *)(at_);					\
											\
		*at = BAD;								\
		CHECK_EQ(want_, VMX_TRY(text_, (), (, "a"(rax_), "c"(rcx_))));		\
		CHECK_EQ((want_) == VMX_OK ? (ulong_t)vmx.vmcs : BAD, *at);		\
	} while (0)

static void forms(void)
{
	CHECK_AT(PAGE, VMX_OK, "vmptrst (%%rax)", PAGE, 0ul);
	CHECK_AT(PAGE + 0x78, VMX_OK, "vmptrst 0x78(%%rax)", PAGE, 0ul);
	CHECK_AT(PAGE, VMX_OK, "vmptrst -0x80(%%rax)", PAGE + 0x80, 0ul);
	CHECK_AT(PAGE + 0x10, VMX_OK, "vmptrst (%%rax,%%rcx)", PAGE, 0x10ul);
	CHECK_AT(PAGE + 0x20, VMX_OK, "vmptrst (%%rax,%%rcx,2)", PAGE, 0x10ul);
	CHECK_AT(PAGE + 0x40, VMX_OK, "vmptrst (%%rax,%%rcx,4)", PAGE, 0x10ul);
	CHECK_AT(PAGE + 0x80, VMX_OK, "vmptrst (%%rax,%%rcx,8)", PAGE, 0x10ul);
	CHECK_AT(PAGE + 0x90, VMX_OK, "vmptrst 0x10(%%rax,%%rcx,8)", PAGE, 0x10ul);
	/* No base, no index. */
	CHECK_AT(PAGE + 0x40, VMX_OK, "vmptrst 0x210000(,%%rcx,4)", BAD, 0x10ul);
	CHECK_AT(PAGE + 0x48, VMX_OK, "vmptrst 0x210048", BAD, BAD);
	near = BAD;
	CHECK_NO_FAULT(guest_catch((void (*)(void *))vmptrst_near, NULL));
	CHECK_EQ((ulong_t)vmx.vmcs, near);
}

_Static_assert(PAGE == 0x210000, "forms() has it as a number");

static void address_32(void)
{
	CHECK_AT(PAGE + 8, VMX_OK, "vmptrst 8(%%eax)", PAGE | HIGH, 0ul);
	CHECK_AT(PAGE + 0x80, VMX_OK, "vmptrst (%%eax,%%ecx,8)", PAGE | HIGH, 0x10ul | HIGH);
	CHECK_AT(PAGE, VMX_OK, "vmptrst -8(%%eax)", PAGE + 8, 0ul);
	/* The sum wraps around at 4 GiB. */
	CHECK_AT(PAGE, VMX_OK, "vmptrst (%%eax,%%ecx)", 0xfffffff0ul, PAGE + 0x10);
}

/* Only FS and GS have a base; it is added to all 64 bits, behind the 32-bit sum. */
static void segment_bases(void)
{
	page_map(HIGH, PAGE, PTE_P | PTE_W | PTE_A | PTE_D);
	wrmsr(MSR_FS_BASE, PAGE);
	CHECK_AT(PAGE + 0x18, VMX_OK, "vmptrst %%fs:8(%%rax)", 0x10ul, 0ul);
	CHECK_AT(PAGE + 0x18, VMX_OK, "vmptrst %%fs:8(%%eax)", 0x10ul | HIGH, 0ul);
	wrmsr(MSR_FS_BASE, HIGH);
	CHECK_AT(PAGE + 0x20, VMX_OK, "vmptrst %%fs:0x20(%%eax)", 0ul, 0ul);
	CHECK_AT(HIGH + 0x28, VMX_OK, "vmptrst %%fs:0x28(%%rax)", 0ul, 0ul);
	CHECK_AT(PAGE + 0x50, VMX_OK, "vmptrst %%gs:(%%rax)", PAGE + 0x50 - ABI_GPA, 0ul);
	CHECK_AT(PAGE + 0x30, VMX_OK, "vmptrst %%es:(%%rax)", PAGE + 0x30, 0ul);
	CHECK_AT(PAGE + 0x38, VMX_OK, "vmptrst %%ss:(%%rax)", PAGE + 0x38, 0ul);
}

static void not_canonical(void)
{
	wrmsr(MSR_FS_BASE, 0x7ffffffff000);
	/* RSP and RBP go by SS; a prefix for it counts for nothing. */
	CHECK_EQ(VMX_FAULT(GP_VECTOR, 0), VMX_TRY("vmptrst %%ss:(%%rax)", (), (, "a"(NONCANONICAL))));
	CHECK_EQ(VMX_FAULT(GP_VECTOR, 0), VMX_TRY("vmptrst (%%rax)", (), (, "a"(NONCANONICAL))));
	CHECK_EQ(VMX_FAULT(GP_VECTOR, 0), VMX_TRY("vmptrst %%fs:(%%rax)", (), (, "a"(0x1000ul))));
	CHECK_EQ(VMX_FAULT(SS_VECTOR, 0), VMX_TRY("vmptrst (%%rsp,%%rax)", (), (, "a"(NONCANONICAL))));
	CHECK_EQ(VMX_FAULT(GP_VECTOR, 0), VMX_TRY("vmptrld (%%rax)", (), (, "a"(NONCANONICAL))));
	CHECK_EQ(VMX_FAULT(SS_VECTOR, 0), VMX_TRY("vmptrld (%%rsp,%%rax)", (), (, "a"(NONCANONICAL))));
	CHECK_EQ(VMX_FAULT(GP_VECTOR, 0), VMX_TRY("vmclear (%%rax)", (), (, "a"(NONCANONICAL))));
	CHECK_EQ(VMX_FAULT(GP_VECTOR, 0), VMX_TRY("vmwrite (%%rax), %%rcx", (), (, "a"(NONCANONICAL), "c"((ulong_t)GUEST_RIP))));
}

struct row {
	ROW_FIELDS;
	void (*run)(void);
};
#define RUN(name_) { .label = #name_, .run = name_ }

static const struct row rows[] = {
	RUN(forms), RUN(address_32), RUN(segment_bases), RUN(not_canonical),
};

CASE(operands, .says = "a VMX instruction's memory operand is where the manual says", .modes = LONG64,
     .needs = "vendor:intel nested", .rows = ROWS(rows))

GUEST(operands)
{
	vmx_start();
	GUEST_ROW(rows)->run();
}

HOST(operands)
{
	expect_done(t);
}
