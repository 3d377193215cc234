/* SPDX-License-Identifier: MIT */
/*
 * An instruction that L2 may not execute, or that is an exception itself, raises its own exception in L2 when its
 * intercept is clear: no exit to L1, the vector, the error code and RIP that it has without a hypervisor.
 *
 * Can break: an intercept of KVM's own (RDPMC, RSM, SKINIT, XSETBV) handed to L1, or answered with L1's exception.
 * VMMCALL has a case of its own, vmmcall_off.
 * Source: APM vol. 2, 15.9; vol. 3, ICEBP (INT1), RDPMC, RDPRU, RSM, SKINIT, XSETBV.
 */
#include "guests/l1_svm.h"
#include "case.h"

#define CODE(name_, text_) INSN(of_##name_, text_ "\n\tret")

CODE(rdpmc, "mov $0x3fffffff, %ecx\n\tof_rdpmc_at: rdpmc")
CODE(rsm, "of_rsm_at: rsm")
CODE(skinit, "of_skinit_at: .byte 0x0f, 0x01, 0xde")
CODE(rdpru, "xor %ecx, %ecx\n\tof_rdpru_at: .byte 0x0f, 0x01, 0xfd")
CODE(icebp, ".byte 0xf1\n\tof_icebp_at: nop")
/* The x87's bit of XCR0 must be set. */
CODE(xsetbv, "xor %ecx, %ecx\n\txor %eax, %eax\n\txor %edx, %edx\n\tof_xsetbv_at: xsetbv")

extern const char of_rdpmc_at[] GUEST_API, of_rsm_at[] GUEST_API, of_skinit_at[] GUEST_API,
	of_rdpru_at[] GUEST_API, of_icebp_at[] GUEST_API, of_xsetbv_at[] GUEST_API;

struct row {
	ROW_FIELDS;
	const char *code, *at;	/* @at: RIP that the exception has */
	uint16_t exit;
	uint8_t vector;
};

#define ROW_OF(name_, exit_, vector_, ...)						\
	{ .label = #name_, .code = of_##name_, .at = of_##name_##_at, .exit = SVM_EXIT_##exit_,	\
	  .vector = vector_##_VECTOR, ##__VA_ARGS__ }

static const struct row rows[] = {
	ROW_OF(rdpmc, RDPMC, GP), ROW_OF(rsm, RSM, UD), ROW_OF(skinit, SKINIT, UD),
	ROW_OF(rdpru, RDPRU, UD),
	ROW_OF(icebp, ICEBP, DB, .known = { "0108-qemu-icebp-undefined", "lab-svm" }),
	ROW_OF(xsetbv, XSETBV, GP, .needs = "cpuid:xsave"),
};

CASE(intercept_off_fault, .says = "an instruction of L2 without its intercept has its own exception, in L2",
     .modes = LONG64, .needs = "vendor:amd nested", .rows = ROWS(rows))

static struct fault l2_fault;

static void l2_main(void)
{
	l2_fault = guest_catch((void (*)(void *))GUEST_ROW(rows)->code, NULL);
	__asm__ volatile("vmmcall" : : : "memory");
}

GUEST(intercept_off_fault)
{
	const struct row *row = GUEST_ROW(rows);
	unsigned int vector;

	write_cr4(read_cr4() | (cpuid(1, 0).ecx & 1u << 26 ? X86_CR4_OSXSAVE : 0));
	l1_svm_init();
	l2_warm();
	for (vector = 0; vector < 32; vector++)
		if (vector != NMI_VECTOR && vector != row->vector)
			vmcb_intercept(&l1_vmcb, SVM_EXIT_EXCP_BASE + vector);
	l2_run(l2_main);
	CHECK_EXIT_CODE(SVM_EXIT_VMMCALL);
	CHECK_EQ(0, l1_vmcb.control.exit_int_info);
	CHECK_NO_EXIT(row->exit);
	CHECK_FAULT(row->vector, 0, l2_fault);
	CHECK_EQ((ulong_t)row->at, l2_fault.rip);
}

HOST(intercept_off_fault)
{
	expect_done(t);
}
