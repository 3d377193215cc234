/* SPDX-License-Identifier: MIT */
/*
 * L1's TPR shadow is in force in a VM whose APIC is user space's, too.
 *
 * Can break: KVM's own exits by CR8, which it needs for user space's APIC, taken over into L2.
 * Source: SDM vol. 3C, 30.1.2, 30.3.
 */
#include "cases/vmx/l2.h"

L2(to_cr8, "mov %r9, %cr8")

static void use_tpr_shadow(void)
{
	uint32_t *page = page_alloc();

	page[0x80 / 4] = 0x50;
	vmcs_write(VIRTUAL_APIC_ADDRESS, (ulong_t)page);
	vmcs_write(TPR_THRESHOLD, 5);
	vmcs_set(PROC_CONTROLS, PROC_TPR_SHADOW);
}

static const struct l2_row rows[] = {
	{ L2_NAMED("below_without_apic", to_cr8), .prepare = use_tpr_shadow, .regs.r9 = 4,
	  .exit.reason = EXIT_REASON_TPR_BELOW_THRESHOLD, .has_no_length = true, .is_trap = true, .is_final = true,
	  .known = { "0405-nested-tpr-shadow-without-irqchip", NULL, "6.1..6.1" } },
};

CASE(tpr_shadow, .says = "MOV to CR8 of L2 writes L1's virtual TPR", .modes = LONG64,
     .needs = "vendor:intel nested vmx:tpr_shadow", .rows = ROWS(rows))

GUEST(tpr_shadow)
{
	l2_row_run(GUEST_ROW(rows));
}

HOST(tpr_shadow)
{
	l2_row_host(t, ROW(t, rows));
}
