/* SPDX-License-Identifier: MIT */
/*
 * An input of the fuzzer, kept: L2's stack is not mapped by the nested page tables when VMRUN injects an interrupt. The
 * #NPF exit has the event in EXITINTINFO, or it is lost; EXITINFO1 says a user write of the final address, which is what
 * the frame is for nested paging.
 *
 * Can break: EVENTINJ's event forgotten with the entry that delivered it; the fault given to L2, or L1's own tables blamed.
 * Source: APM vol. 2, 15.7.2 and 15.20 (EXITINTINFO), 15.25.6 (EXITINFO1 of nested page faults).
 */
#include "fuzz/vmcb_case.h"
#include "case.h"

CASE(fuzz_npf_in_delivery, .says = "a nested page fault has the event that was on its way", .modes = NO_GUEST, .manual = true,
     .needs = "vendor:amd nested")

HOST(fuzz_npf_in_delivery)
{
	expect_vmcb_input(t,
		"input vmcb\n"
		"npt set 0x8000 1 0\n"
		"inject intr 0x21\n"
		"expect exit=npf info1=0x100000006 info2=0x8ff8 intinfo=0x80000021 interror=0x0 rip=0x10000 cr2=0x0\n");
}
