/* SPDX-License-Identifier: MIT */
/*
 * The task priority is lowered below an interrupt that waits while another one, higher still, is in service: nothing is
 * taken, the guest goes on, and the one that waits comes with the end of the other.
 *
 * Can break: a threshold that the hypervisor sets for the guest's task priority and does not take back, because the
 * processor's priority, which is the one in service, has not changed: the guest does not get on.
 * Source: SDM vol. 3A, 10.8.3 (task and processor priority); vol. 3C, 26.6.7 (VM exits by the TPR threshold).
 */
#include "case.h"

#include "cases/ioctl/irq_script.h"
#include "cases/ioctl/lapic_regs.h"

struct row {
	ROW_FIELDS;
	const struct op *ops;
};

/* Without virtual interrupt delivery. */
#define THRESHOLD_KNOWN .known = { .finding = "0907-tpr-threshold-never-lowered", .targets = "lab-vmx", .is_skipped = true }
#define IN_SERVICE WRITE32(APIC_ICR, ICR_SELF | 0x41), TAKE(0), WRITE32(APIC_ICR, ICR_SELF | 0x61), TAKE(0x61)
#define THEN_ENDED TAKE(0), READ32(APIC_PPR, 0x60), LAPIC_EOI, TAKE(0x41), LAPIC_EOI, TAKE(0)

static const struct row rows[] = {
	{ .label = "mmio", THRESHOLD_KNOWN, .ops = OPS {
		LAPIC_ON, WRITE32(APIC_TPR, 0x50), IN_SERVICE, WRITE32(APIC_TPR, 0), THEN_ENDED, END } },
	{ .label = "mmio_halfway", THRESHOLD_KNOWN, .ops = OPS {
		LAPIC_ON, WRITE32(APIC_TPR, 0x50), IN_SERVICE, WRITE32(APIC_TPR, 0x30), TAKE(0), READ32(APIC_PPR, 0x60),
		WRITE32(APIC_TPR, 0), THEN_ENDED, END } },
	{ .label = "cr8", THRESHOLD_KNOWN, .ops = OPS {
		LAPIC_ON, WRITE_CR8(5), IN_SERVICE, WRITE_CR8(0), THEN_ENDED, END } },
	{ .label = "same_class", .ops = OPS {
		LAPIC_ON, WRITE32(APIC_TPR, 0x50), IN_SERVICE, WRITE32(APIC_TPR, 0x40), TAKE(0), READ32(APIC_PPR, 0x60),
		LAPIC_EOI, TAKE(0), WRITE32(APIC_TPR, 0), TAKE(0x41), LAPIC_EOI, TAKE(0), END } },
};

CASE(lapic_tpr_lowered, .says = "a task priority that is lowered below one in service lets nothing through, and the guest on",
     .modes = LONG64, .irqchip = true, .rows = ROWS(rows))

GUEST(lapic_tpr_lowered)
{
	script_guest(GUEST_ROW(rows)->ops);
}

HOST(lapic_tpr_lowered)
{
	script_host(t, ROW(t, rows)->ops);
}
