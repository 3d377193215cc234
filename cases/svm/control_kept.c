/* SPDX-License-Identifier: MIT */
/*
 * #VMEXIT writes the exit fields and what the CPU keeps there, and leaves every other byte of the control area as L1
 * set it, reserved ones, the hypervisor's own 32 and the tail of the page included.
 *
 * Can break: the VMCB that KVM runs L2 with shines through: its intercepts, ASID, offsets, maps, TLB_CONTROL, nested
 * CR3; reserved bytes cleared.
 * Source: APM vol. 2, 15.6, appendix B.
 */
#include "guests/l1_svm.h"
#include "case.h"

INSN(k_code, "vmmcall")

CASE(control_kept, .says = "#VMEXIT leaves the fields that are L1's as they were", .modes = LONG64,
     .needs = "vendor:amd nested")

static struct vmcb before;

/* Written by a #VMEXIT, or cleared by it: .int_ctl, .int_vector, .int_state, exit fields, EVENTINJ, next RIP, bytes. */
static bool is_exits(unsigned int offset)
{
	return (offset >= 0x60 && offset < 0x6c) || (offset >= 0x70 && offset < 0x90) ||
	       (offset >= 0xa8 && offset < 0xb0) || (offset >= 0xc8 && offset < 0xe0);
}

static void check_control(void)
{
	const uint8_t *want = (const uint8_t *)&before, *got = (const uint8_t *)&l1_vmcb;
	unsigned int i, first = 0, nr = 0;

	for (i = 0; i < 0x400; i++) {
		if (is_exits(i) || want[i] == got[i])
			continue;
		if (!nr++)
			first = i;
	}
	CHECK_EQ(0, first);
	CHECK_EQ(0, nr);
}

static void check_tail(void)
{
	unsigned int i, nr = 0;

	for (i = 0; i < sizeof(before.save.reserved_298); i++)
		nr += l1_vmcb.save.reserved_298[i] != 0xa5;
	CHECK_EQ(0, nr);
}

GUEST(control_kept)
{
	unsigned int code;

	l1_svm_init();
	memset(l1_vmcb.control.reserved_018, 0xa5, sizeof(l1_vmcb.control.reserved_018));
	memset(l1_vmcb.control.software_3e0, 0xa5, sizeof(l1_vmcb.control.software_3e0));
	memset(l1_vmcb.control.reserved_110, 0xa5, sizeof(l1_vmcb.control.reserved_110));
	memset(l1_vmcb.save.reserved_298, 0xa5, sizeof(l1_vmcb.save.reserved_298));
	for (code = 0; code < SVM_EXIT_INTR; code++)
		vmcb_intercept(&l1_vmcb, code);
	l1_vmcb.control.tsc_offset = 0x123456789;
	l1_vmcb.control.asid = 77;
	l1_vmcb.control.tlb_control = TLB_FLUSH_ALL;
	l1_vmcb.control.clean = 0;
	l1_vmcb.save.rip = (ulong_t)k_code;
	before = l1_vmcb;
	vmcb_run(&l1_vmcb);
	CHECK_L2_DONE(k_code);
	check_control();
	check_tail();
	CHECK_EQ(0, l1_vmcb.control.int_state);
	CHECK_EQ(0, l1_vmcb.control.event_inj);
	CHECK_EQ(before.control.int_ctl, l1_vmcb.control.int_ctl);
}

HOST(control_kept)
{
	expect_done(t);
}
