/* SPDX-License-Identifier: MIT */
/*
 * Two vCPUs move to another VM between INIT and SIPI, or with the one's interrupt under way to the other: the second
 * one waits for its INIT, has had it, has had its SIPI, runs, or halts.
 *
 * Can break: an INIT or SIPI that is latched in the local APIC and in no saved field; the SIPI's vector; the MP state;
 * an IPI that is in the other's IRR only.
 * Source: KVM API, KVM_GET_MP_STATE (it takes what is latched), KVM_SET_MP_STATE; SDM vol. 3A, 8.4.4 (INIT-SIPI).
 *
 * Seen to fail without MP_STATE, SREGS and LAPIC of the second vCPU: the rows "lost_*".
 */
#include "cases/ioctl/lapic_regs.h"
#include "cases/ioctl/twin.h"

#define TRAMPOLINE 0xe000
#define SIPI_VECTOR (TRAMPOLINE >> 12)

/* mov $0x5a, %al; out %al, $0x82; hlt; then again from the out: an NMI ends a HLT. */
static void trampoline_put(void)
{
	static const uint8_t code[] = { 0xb0, 0x5a, 0xe6, 0x82, 0xf4, 0xeb, 0xfb };

	/* Its NMI vector leads to an IRET: real-mode IVT at 0. */
	write32(4 * NMI_VECTOR, TRAMPOLINE + 0x100);
	write8(TRAMPOLINE + 0x100, 0xcf);
	memcpy((void *)TRAMPOLINE, code, sizeof(code));
}

static void ipi(uint32_t low)
{
	write32(APIC_ICR_HIGH, 1u << 24);
	write32(APIC_ICR, low);
}

/* vCPU 0 only: the other one never comes to GUEST(). */
static void guest_start_other(void)
{
	trampoline_put();
	write32(APIC_SVR, SVR_ENABLE | 0xff);
	out8(0x80, 1);
	ipi(ICR_INIT | ICR_ASSERT);
	out8(0x80, 2);
	ipi(ICR_STARTUP | ICR_ASSERT | SIPI_VECTOR);
	out8(0x80, 3);
	ipi(ICR_NMI | ICR_ASSERT);
	out8(0x80, 6);
}

/* Exits 1 to 3 are vCPU 0's, at 4 the other leaves, at 5 it halts, at 6 vCPU 0 has sent an NMI, which wakes it. */
#define START .plan.vcpus = "00011010", .plan.stops_in_hlt = true
#define POINT(at_) TWIN_AT("start", at_, 8, guest_start_other, START)

static const struct twin_row rows[] = {
	POINT(1), POINT(2), POINT(3), POINT(4), POINT(5), POINT(6), POINT(7),
	TWIN_LOST("lost_mp_state", 3, guest_start_other, PART_MP_STATE, START),
	TWIN_LOST("lost_mp_state_running", 4, guest_start_other, PART_MP_STATE, START),
	TWIN_LOST("lost_sregs", 4, guest_start_other, PART_SREGS | PART_PDPTRS, START),
	TWIN_LOST("lost_events", 6, guest_start_other, PART_EVENTS, START),
};

CASE(twin_smp, .says = "vCPUs that wait for, or send, INIT, SIPI and NMI go on in another VM", .modes = LONG64,
     .nr_vcpus = 2, .irqchip = true, .rows = ROWS(rows))

GUEST(twin_smp)
{
	GUEST_ROW(rows)->guest();
}

HOST(twin_smp)
{
	twin_host(t, ROW(t, rows));
}
