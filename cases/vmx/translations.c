/* SPDX-License-Identifier: MIT */
/*
 * What L1 changes in its EPT, or in page tables of L2, L2 sees behind INVEPT and INVVPID, whatever it has used before.
 *
 * Can break: KVM's own tables keep the old page when the EPT pointer is the current one, or when it is not; a type of
 * the instruction that does nothing.
 * Source: SDM vol. 3C, 29.4.3.1 (operations that invalidate cached mappings), chapter 31 (INVEPT, INVVPID).
 */
#include "case.h"
#include "guests/l1_vmx.h"

#define PAGE 0x380000ul
#define OTHER_PAGE 0x390000ul
#define THE_VPID 5

/* One load before the exit, one behind it. */
INSN(translations_code, "mov 0x380000, %rbx\n\tvmcall\n\tmov 0x380000, %rcx\n\tret")
INSN(translations_store, "movb $0x33, 0x380000\n\tvmcall\n\tmovb $0x44, 0x380000\n\tret")

static void prepare(const char *code)
{
	*(volatile uint64_t *)PAGE = 0x1111;
	*(volatile uint64_t *)OTHER_PAGE = 0x2222;
	vmx_start();
	vmx_aim(code);
}

static void run_to_call(void)
{
	vmx_run();
	CHECK_REASON(EXIT_REASON_VMCALL);
	CHECK(vmx.exit.rip != (ulong_t)vmx_l2_end);
}

static void check_sees_other(void)
{
	CHECK_EQ(0x1111, vmx.gprs.rbx);
	vmx_skip_insn();
	vmx_run();
	CHECK_L2_DONE();
	CHECK_EQ(0x2222, vmx.gprs.rcx);
}

static void invept(uint64_t type)
{
	const uint64_t descriptor[2] = { vmcs_read(EPT_POINTER), 0 };

	CHECK_EQ(VMX_OK, invept_try(type, descriptor));
}

static void ept_remaps(uint64_t type)
{
	prepare(translations_code);
	vmx_use_ept();
	ept_find(PAGE, 1);
	run_to_call();
	*ept_find(PAGE, 1) = OTHER_PAGE | EPTE_RWX | EPTE_WB;
	invept(type);
	check_sees_other();
}

static void invept_single(void)
{
	ept_remaps(INVEPT_SINGLE);
}

static void invept_all(void)
{
	ept_remaps(INVEPT_ALL);
}

/* The pointer is not the current VMCS's when it is invalidated. */
static void invept_other_vmcs(void)
{
	uint64_t eptp, descriptor[2] = { 0, 0 };

	prepare(translations_code);
	vmx_use_ept();
	ept_find(PAGE, 1);
	run_to_call();
	eptp = descriptor[0] = vmcs_read(EPT_POINTER);
	*ept_find(PAGE, 1) = OTHER_PAGE | EPTE_RWX | EPTE_WB;
	CHECK_EQ(VMX_OK, vmptrld_try((ulong_t)vmx_region_alloc()));
	CHECK_EQ(VMX_OK, invept_try(INVEPT_SINGLE, descriptor));
	CHECK_EQ(VMX_OK, vmptrld_try((ulong_t)vmx.vmcs));
	CHECK_EQ(eptp, vmcs_read(EPT_POINTER));
	check_sees_other();
}

static void ept_write_taken_away(void)
{
	prepare(translations_store);
	vmx_use_ept();
	ept_find(PAGE, 1);
	run_to_call();
	*ept_find(PAGE, 1) &= ~EPTE_W;
	invept(INVEPT_SINGLE);
	vmx_skip_insn();
	vmx_run();
	CHECK_REASON(EXIT_REASON_EPT_VIOLATION);
	CHECK_EQ(PAGE, vmx.exit.guest_physical);
	CHECK_EQ(0x33, read8(PAGE));
}

/* --- L2's page tables are L1's --- */

static void pages_remapped(uint64_t type, bool has_instruction)
{
	const uint64_t descriptor[2] = { THE_VPID, PAGE };
	void *pte;

	prepare(translations_code);
	if (has_instruction) {
		vmcs_write(VPID, THE_VPID);
		vmx_use_secondary(PROC2_VPID);
	}
	pte = pte_find(PAGE, 1);
	run_to_call();
	pte_write(pte, (pte_read(pte) & 0xfff) | OTHER_PAGE);
	if (has_instruction)
		CHECK_EQ(VMX_OK, invvpid_try(type, descriptor));
	check_sees_other();
}

static void invvpid_address(void)
{
	pages_remapped(INVVPID_ADDRESS, true);
}

static void invvpid_single(void)
{
	pages_remapped(INVVPID_SINGLE, true);
}

static void invvpid_all(void)
{
	pages_remapped(INVVPID_ALL, true);
}

static void invvpid_keep_global(void)
{
	pages_remapped(INVVPID_SINGLE_KEEP_GLOBAL, true);
}

/* Entries and exits invalidate what has no VPID. */
static void no_vpid(void)
{
	pages_remapped(0, false);
}

struct row {
	ROW_FIELDS;
	void (*run)(void);
};
#define RUN(name_, ...) { .label = #name_, .run = name_, ##__VA_ARGS__ }
#define EPT .needs = "vmx:ept vmx:invept tdp"
#define WITH_VPID .needs = "vmx:vpid vmx:invvpid"

static const struct row rows[] = {
	RUN(invept_single, EPT), RUN(invept_all, EPT), RUN(invept_other_vmcs, EPT), RUN(ept_write_taken_away, EPT),
	RUN(invvpid_address, WITH_VPID), RUN(invvpid_single, WITH_VPID), RUN(invvpid_all, WITH_VPID),
	RUN(invvpid_keep_global, WITH_VPID), RUN(no_vpid),
};

CASE(translations, .says = "INVEPT and INVVPID make L2 see what L1 has changed", .modes = LONG64,
     .needs = "vendor:intel nested", .rows = ROWS(rows))

GUEST(translations)
{
	GUEST_ROW(rows)->run();
}

HOST(translations)
{
	expect_done(t);
}
