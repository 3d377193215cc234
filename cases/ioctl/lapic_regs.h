/* SPDX-License-Identifier: MIT */
/*
 * The local APIC's registers: SDM vol. 3A, table 11-1 (xAPIC), table 11-6 (x2APIC).
 */
#ifndef VMASSAY_LAPIC_REGS_H
#define VMASSAY_LAPIC_REGS_H

#define LAPIC 0xfee00000
#define APIC_ID (LAPIC + 0x20)
#define APIC_VERSION (LAPIC + 0x30)
#define APIC_TPR (LAPIC + 0x80)
#define APIC_APR (LAPIC + 0x90)
#define APIC_PPR (LAPIC + 0xa0)
#define APIC_EOI (LAPIC + 0xb0)
#define APIC_LDR (LAPIC + 0xd0)
#define APIC_DFR (LAPIC + 0xe0)
#define APIC_SVR (LAPIC + 0xf0)
#define APIC_ISR(vector_) (LAPIC + 0x100 + (vector_) / 32 * 0x10)
#define APIC_TMR(vector_) (LAPIC + 0x180 + (vector_) / 32 * 0x10)
#define APIC_IRR(vector_) (LAPIC + 0x200 + (vector_) / 32 * 0x10)
#define VECTOR_BIT(vector_) (1u << ((vector_) & 31))
#define APIC_ESR (LAPIC + 0x280)
#define APIC_CMCI (LAPIC + 0x2f0)
#define APIC_ICR (LAPIC + 0x300)
#define APIC_ICR_HIGH (LAPIC + 0x310)
#define APIC_LVT_TIMER (LAPIC + 0x320)
#define APIC_LVT_THERMAL (LAPIC + 0x330)
#define APIC_LVT_PERF (LAPIC + 0x340)
#define APIC_LVT_LINT0 (LAPIC + 0x350)
#define APIC_LVT_LINT1 (LAPIC + 0x360)
#define APIC_LVT_ERROR (LAPIC + 0x370)
#define APIC_TMICT (LAPIC + 0x380)
#define APIC_TMCCT (LAPIC + 0x390)
#define APIC_TDCR (LAPIC + 0x3e0)

/* The same in x2APIC mode. */
#define X2APIC(register_) (0x800 + (((register_) - LAPIC) >> 4))
#define X2APIC_SELF_IPI 0x83f

#define SVR_ENABLE 0x100
#define LVT_MASKED 0x10000
#define LVT_PERIODIC 0x20000
#define LVT_TSC_DEADLINE 0x40000
#define LVT_NMI 0x400
#define LVT_EXTINT 0x700

/* ICR, lower half. */
#define ICR_LOWEST 0x100
#define ICR_SMI 0x200
#define ICR_NMI 0x400
#define ICR_INIT 0x500
#define ICR_STARTUP 0x600
#define ICR_LOGICAL 0x800
#define ICR_ASSERT 0x4000
#define ICR_LEVEL 0x8000
#define ICR_SELF 0x40000
#define ICR_ALL 0x80000
#define ICR_OTHERS 0xc0000

#define APIC_BASE_BSP 0x100
#define APIC_BASE_EXTD 0x400
#define APIC_BASE_EN 0x800
#define APIC_BASE_X2APIC (LAPIC | APIC_BASE_EN | APIC_BASE_EXTD)

/* Software-enabled, spurious vector 0xff. */
#define LAPIC_ON WRITE32(APIC_SVR, SVR_ENABLE | 0xff)
#define SELF_IPI(vector_) WRITE32(APIC_ICR, ICR_SELF | (vector_))
#define LAPIC_EOI WRITE32(APIC_EOI, 0)
/* Physical destination in xAPIC mode. */
#define IPI(destination_, low_) WRITE32(APIC_ICR_HIGH, (uint32_t)(destination_) << 24), WRITE32(APIC_ICR, low_)

#endif
