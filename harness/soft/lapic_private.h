/* SPDX-License-Identifier: MIT */
/* What lapic.c, lapic_regs.c and lapic_timer.c share: the registers, and each other's changes. */
#ifndef VMASSAY_SOFT_LAPIC_PRIVATE_H
#define VMASSAY_SOFT_LAPIC_PRIVATE_H

#include <string.h>
#include "harness/soft/lapic.h"

/* Offsets in the page; an MSR's number is 0x800 + offset / 16 (SDM vol. 3A, 11.4.1, 11.12.1.2). */
#define LAPIC_ID 0x020
#define LAPIC_VERSION 0x030
#define LAPIC_TPR 0x080
#define LAPIC_APR 0x090
#define LAPIC_PPR 0x0a0
#define LAPIC_EOI 0x0b0
#define LAPIC_LDR 0x0d0
#define LAPIC_DFR 0x0e0
#define LAPIC_SVR 0x0f0
#define LAPIC_ISR 0x100
#define LAPIC_TMR 0x180
#define LAPIC_IRR 0x200
#define LAPIC_ESR 0x280
#define LAPIC_ICR 0x300
#define LAPIC_ICR_HIGH 0x310
#define LAPIC_TMICT 0x380
#define LAPIC_TMCCT 0x390
#define LAPIC_TDCR 0x3e0
#define LAPIC_SELF_IPI 0x3f0

#define LVT_VECTOR 0xffu
#define LVT_MODE 0x700u
#define LVT_STATUS (1u << 12)
#define LVT_LOW_ACTIVE (1u << 13)
#define LVT_REMOTE_IRR (1u << 14)
#define LVT_LEVEL (1u << 15)
#define LVT_MASKED (1u << 16)
#define LVT_TIMER_PERIODIC (1u << 17)
#define LVT_TIMER_DEADLINE (1u << 18)
#define LVT_TIMER_MODE (LVT_TIMER_PERIODIC | LVT_TIMER_DEADLINE)
#define SVR_ENABLE (1u << 8)
#define SVR_DIRECTED_EOI (1u << 12)
#define DFR_FLAT 0xffffffffu
#define DFR_CLUSTER 0x0fffffffu

static inline uint32_t reg_get(const struct lapic *lapic, unsigned int offset)
{
	uint32_t value;

	memcpy(&value, lapic->regs + offset, sizeof(value));
	return value;
}

static inline void reg_set(struct lapic *lapic, unsigned int offset, uint32_t value)
{
	memcpy(lapic->regs + offset, &value, sizeof(value));
}

/* Register @bits (ISR, TMR, IRR) is eight words of 32 vectors, 16 bytes apart. */
static inline bool vector_test(const struct lapic *lapic, unsigned int bits, uint8_t vector)
{
	return reg_get(lapic, bits + vector / 32 * 16) >> vector % 32 & 1;
}

static inline void vector_put(struct lapic *lapic, unsigned int bits, uint8_t vector, bool is_set)
{
	unsigned int offset = bits + vector / 32 * 16;
	uint32_t bit = 1u << vector % 32, word = reg_get(lapic, offset);

	reg_set(lapic, offset, is_set ? word | bit : word & ~bit);
}

/* lapic_regs.c: PPR follows from TPR and ISR (SDM vol. 3A, 11.8.3.1). */
uint8_t lapic_ppr_update(struct lapic *lapic);

/* lapic_timer.c */
uint32_t lapic_timer_count(const struct lapic *lapic);
void lapic_timer_start(struct lapic *lapic, uint32_t initial_count);
void lapic_timer_divide(struct lapic *lapic, uint32_t tdcr);
/* LVT timer gets the mode of @lvt. */
void lapic_timer_lvt_set(struct lapic *lapic, uint32_t lvt);
/* The registers are new (KVM_SET_LAPIC): TMCCT says how much is left. */
void lapic_timer_restore(struct lapic *lapic, uint32_t old_lvt);
void lapic_timer_stop(struct lapic *lapic);

#endif
