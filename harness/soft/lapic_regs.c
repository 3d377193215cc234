/* SPDX-License-Identifier: MIT */
/*
 * The local APIC's registers as the guest reads and writes them: by memory in xAPIC mode, by MSRs in x2APIC mode.
 *
 * As in KVM, and other than the manual: no error is ever recorded in ESR (finding 0608), an LVT entry's read-only bits
 * are kept as written (0605), and reserved bits of x2APIC's EOI and SVR are ignored (0606).
 */
#include "harness/soft/lapic_private.h"

#include <errno.h>

#define MSR_FIRST 0x800
#define ICR_BUSY (1u << 12)
#define ICR_ASSERT (1u << 14)
#define ICR_LEVEL (1u << 15)
#define ICR_LOGICAL (1u << 11)
#define X2APIC_ICR_RESERVED 0xfff32000ull

#define LVT_COMMON (LVT_MASKED | LVT_STATUS | LVT_VECTOR)
#define LVT_LINT (LVT_COMMON | LVT_MODE | LVT_LOW_ACTIVE | LVT_REMOTE_IRR | LVT_LEVEL)

/* What can be written of the LVT entry at @offset; 0: there is none. */
static uint32_t lvt_writable(const struct lapic *lapic, unsigned int offset)
{
	switch (offset) {
	case LAPIC_LVT_TIMER:
		return LVT_COMMON | LVT_TIMER_PERIODIC | (lapic->has_tsc_deadline ? LVT_TIMER_DEADLINE : 0);
	case LAPIC_LVT_CMCI:
		return lapic->has_cmci ? LVT_COMMON | LVT_MODE : 0;
	case LAPIC_LVT_THERMAL:
	case LAPIC_LVT_PERF:
		return LVT_COMMON | LVT_MODE;
	case LAPIC_LVT_LINT0:
	case LAPIC_LVT_LINT1:
		return LVT_LINT;
	case LAPIC_LVT_ERROR:
		return LVT_COMMON;
	default:
		return 0;
	}
}

static bool is_readable(const struct lapic *lapic, unsigned int offset)
{
	if (offset >= LAPIC_ISR && offset < LAPIC_ESR)
		return true;
	switch (offset) {
	case LAPIC_ID: case LAPIC_VERSION: case LAPIC_TPR: case LAPIC_PPR: case LAPIC_LDR: case LAPIC_SVR:
	case LAPIC_ESR: case LAPIC_ICR: case LAPIC_TMICT: case LAPIC_TMCCT: case LAPIC_TDCR:
		return true;
	case LAPIC_APR: case LAPIC_DFR: case LAPIC_ICR_HIGH:
		return !lapic_is_x2apic(lapic);
	default:
		return lvt_writable(lapic, offset);
	}
}

static void tpr_report(struct lapic *lapic, bool is_write)
{
	if (lapic->owner.tpr_access)
		lapic->owner.tpr_access(lapic->owner.opaque, lapic, is_write);
}

static uint32_t reg_read(struct lapic *lapic, unsigned int offset)
{
	switch (offset) {
	case LAPIC_APR:
		return 0;
	case LAPIC_TMCCT:
		return lapic_timer_count(lapic);
	case LAPIC_PPR:
		return lapic_ppr_update(lapic);
	case LAPIC_TPR:
		tpr_report(lapic, false);
		/* fall through */
	default:
		return reg_get(lapic, offset);
	}
}

static void icr_send(struct lapic *lapic, uint32_t low, uint32_t destination)
{
	struct apic_message message = {
		.destination = destination,
		.vector = low,
		.delivery = low >> 8 & 7,
		.shorthand = low >> 18 & 3,
		.is_logical = !!(low & ICR_LOGICAL),
		.is_level = !!(low & ICR_LEVEL),
		.is_deassert = !(low & ICR_ASSERT),
	};

	lapic->owner.send(lapic->owner.opaque, lapic, &message);
}

void lapic_tpr_set(struct lapic *lapic, uint8_t tpr)
{
	reg_set(lapic, LAPIC_TPR, tpr);
	lapic_ppr_update(lapic);
}

static void lvt_write(struct lapic *lapic, unsigned int offset, uint32_t value)
{
	if (!(reg_get(lapic, LAPIC_SVR) & SVR_ENABLE))
		value |= LVT_MASKED;
	value &= lvt_writable(lapic, offset);
	if (offset == LAPIC_LVT_TIMER)
		lapic_timer_lvt_set(lapic, value);
	else
		reg_set(lapic, offset, value);
}

/* Disabling masks all LVT entries (11.4.7.2). */
static void svr_write(struct lapic *lapic, uint32_t value)
{
	unsigned int offset;

	reg_set(lapic, LAPIC_SVR, value & (0x3ff | (lapic->has_directed_eoi ? SVR_DIRECTED_EOI : 0)));
	if (value & SVR_ENABLE)
		return;
	for (offset = LAPIC_LVT_CMCI; offset <= LAPIC_LVT_ERROR; offset += 0x10)
		if (lvt_writable(lapic, offset))
			reg_set(lapic, offset, reg_get(lapic, offset) | LVT_MASKED);
}

/* Those that only xAPIC mode has. */
static int xapic_write(struct lapic *lapic, unsigned int offset, uint32_t value)
{
	switch (offset) {
	case LAPIC_ID:
	case LAPIC_LDR:
	case LAPIC_ICR_HIGH:
		reg_set(lapic, offset, value & 0xff000000);
		return 0;
	case LAPIC_DFR:
		reg_set(lapic, offset, value | 0x0fffffff);
		return 0;
	case LAPIC_ICR:
		value &= ~ICR_BUSY;
		reg_set(lapic, LAPIC_ICR, value);
		icr_send(lapic, value, reg_get(lapic, LAPIC_ICR_HIGH) >> 24);
		return 0;
	default:
		return -EINVAL;
	}
}

static int x2apic_write(struct lapic *lapic, unsigned int offset, uint32_t value)
{
	if (offset != LAPIC_SELF_IPI || value & ~0xffu)
		return -EINVAL;
	icr_send(lapic, APIC_SELF << 18 | value, 0);
	return 0;
}

static int reg_write(struct lapic *lapic, unsigned int offset, uint32_t value)
{
	switch (offset) {
	case LAPIC_TPR:
		tpr_report(lapic, true);
		lapic_tpr_set(lapic, value);
		return 0;
	case LAPIC_EOI:
		lapic_eoi(lapic);
		return 0;
	case LAPIC_SVR:
		svr_write(lapic, value);
		return 0;
	case LAPIC_ESR:
		return lapic_is_x2apic(lapic) && value ? -EINVAL : 0;
	case LAPIC_TMICT:
		lapic_timer_start(lapic, value);
		return 0;
	case LAPIC_TDCR:
		lapic_timer_divide(lapic, value);
		return 0;
	}
	if (lvt_writable(lapic, offset)) {
		lvt_write(lapic, offset, value);
		return 0;
	}
	return lapic_is_x2apic(lapic) ? x2apic_write(lapic, offset, value) : xapic_write(lapic, offset, value);
}

/* 1: the page is the APIC's; 0: nobody's, reads are all ones; -EOPNOTSUPP: somebody else's. */
static int page_state(const struct lapic *lapic, uint64_t address)
{
	if (address - (lapic->base & 0xffffffffff000ull) >= LAPIC_LEN_BYTES)
		return -EOPNOTSUPP;
	if (lapic_is_enabled(lapic) && !lapic_is_x2apic(lapic))
		return 1;
	return lapic->has_no_mmio_hole ? -EOPNOTSUPP : 0;
}

int lapic_mmio_read(struct lapic *lapic, uint64_t address, unsigned int len, void *data)
{
	unsigned int offset = address & 0xff0, within = address & 0xf;
	int state = page_state(lapic, address);
	uint32_t value;

	if (state < 0)
		return state;
	memset(data, state ? 0 : 0xff, len);
	if (!state || within + len > sizeof(value) || (address & 0xfff) >= 0x400 || !is_readable(lapic, offset))
		return 0;
	value = reg_read(lapic, offset);
	memcpy(data, (uint8_t *)&value + within, len);
	return 0;
}

/* Registers are written by aligned words; what else is tried has no effect. */
int lapic_mmio_write(struct lapic *lapic, uint64_t address, unsigned int len, const void *data)
{
	int state = page_state(lapic, address);
	uint32_t value;

	if (state < 0)
		return state;
	if (!state || len != sizeof(value) || address & 0xf)
		return 0;
	memcpy(&value, data, sizeof(value));
	reg_write(lapic, address & 0xff0, value);
	return 0;
}

int lapic_msr_read(struct lapic *lapic, uint32_t msr, uint64_t *ret_value)
{
	unsigned int offset = (msr - MSR_FIRST) << 4;

	if (!lapic_is_x2apic(lapic) || offset >= LAPIC_LEN_BYTES || !is_readable(lapic, offset))
		return -EINVAL;
	*ret_value = reg_read(lapic, offset);
	if (offset == LAPIC_ICR)
		*ret_value |= (uint64_t)reg_get(lapic, LAPIC_ICR_HIGH) << 32;
	return 0;
}

static int x2apic_icr_write(struct lapic *lapic, uint64_t value)
{
	if (value & X2APIC_ICR_RESERVED)
		return -EINVAL;
	value &= ~(uint64_t)ICR_BUSY;
	reg_set(lapic, LAPIC_ICR, value);
	reg_set(lapic, LAPIC_ICR_HIGH, value >> 32);
	icr_send(lapic, value, value >> 32);
	return 0;
}

uint64_t lapic_icr_get(const struct lapic *lapic)
{
	return reg_get(lapic, LAPIC_ICR) | (uint64_t)reg_get(lapic, LAPIC_ICR_HIGH) << 32;
}

void lapic_icr_set(struct lapic *lapic, uint64_t value)
{
	if (lapic_is_x2apic(lapic)) {
		lapic_msr_write(lapic, MSR_FIRST + (LAPIC_ICR >> 4), value);
		return;
	}
	xapic_write(lapic, LAPIC_ICR_HIGH, value >> 32);
	xapic_write(lapic, LAPIC_ICR, (uint32_t)value);
}

int lapic_msr_write(struct lapic *lapic, uint32_t msr, uint64_t value)
{
	unsigned int offset = (msr - MSR_FIRST) << 4;

	if (!lapic_is_x2apic(lapic) || offset >= LAPIC_LEN_BYTES)
		return -EINVAL;
	if (offset == LAPIC_ICR)
		return x2apic_icr_write(lapic, value);
	if (value >> 32)
		return -EINVAL;
	return reg_write(lapic, offset, value);
}

uint8_t lapic_tpr_get(const struct lapic *lapic)
{
	return (uint8_t)reg_get(lapic, LAPIC_TPR);
}

uint8_t lapic_cr8_get(const struct lapic *lapic)
{
	return reg_get(lapic, LAPIC_TPR) >> 4 & 0xf;
}

void lapic_cr8_set(struct lapic *lapic, uint8_t cr8)
{
	lapic_tpr_set(lapic, (cr8 & 0xf) << 4);
}
