/* SPDX-License-Identifier: MIT */
/*
 * What the hardware exits with for the plainest instructions, in order and nothing else: CPUID, OUT, CPUID, HLT.
 *
 * User space sees only two of them. Can break: an intercept set that the guest does not need, or one that is missing.
 * Source: APM vol. 2, 15.9 and appendix C; SDM vol. 3C, 26.1.2 and appendix C.
 */
#include "case.h"

CASE(hw_exits, .says = "each intercepted instruction exits once, in order", .modes = LONG64)

GUEST(hw_exits)
{
	cpuid(0, 0);
	out8(0x80, 1);
	cpuid(0, 0);
	hlt();
}

HOST(hw_exits)
{
	expect_pio_out(t, .port = 0x80, .size = 1, .count = 1, .data = 1);
	expect_svm_exits(t, SVM_EXIT_CPUID, SVM_EXIT_IOIO);
	expect_vmx_exits(t, EXIT_REASON_CPUID, EXIT_REASON_IO_INSTRUCTION);
	expect_hlt(t);
	expect_svm_exits(t, SVM_EXIT_CPUID, SVM_EXIT_HLT);
	expect_vmx_exits(t, EXIT_REASON_CPUID, EXIT_REASON_HLT);
	expect_done(t);
}
