/* SPDX-License-Identifier: MIT */
/*
 * The local APIC as a place that messages arrive at: destinations, IRR and ISR, and its state as a whole. Its registers
 * are lapic_regs.c's, its timer is lapic_timer.c's.
 */
#include "harness/soft/lapic_private.h"

#include <errno.h>

#define XAPIC_ALL 0xff
#define X2APIC_ALL 0xffffffffu
#define NR_VECTORS 256
#define BASE_RESERVED 0x2ffull

static int vector_highest(const struct lapic *lapic, unsigned int bits)
{
	int i;

	for (i = NR_VECTORS / 32 - 1; i >= 0; i--) {
		uint32_t word = reg_get(lapic, bits + i * 16);

		if (word)
			return i * 32 + 31 - __builtin_clz(word);
	}
	return -1;
}

int lapic_highest_request(const struct lapic *lapic)
{
	return vector_highest(lapic, LAPIC_IRR);
}

int lapic_highest_in_service(const struct lapic *lapic)
{
	return vector_highest(lapic, LAPIC_ISR);
}

static uint8_t ppr_of(const struct lapic *lapic)
{
	uint8_t tpr = reg_get(lapic, LAPIC_TPR);
	int vector = lapic_highest_in_service(lapic);
	uint8_t served = vector < 0 ? 0 : vector & 0xf0;

	return (tpr & 0xf0) >= served ? tpr : served;
}

uint8_t lapic_ppr_update(struct lapic *lapic)
{
	uint8_t ppr = ppr_of(lapic);

	reg_set(lapic, LAPIC_PPR, ppr);
	return ppr;
}

bool lapic_is_software_enabled(const struct lapic *lapic)
{
	return lapic_is_enabled(lapic) && reg_get(lapic, LAPIC_SVR) & SVR_ENABLE;
}

/* Note, what is pending is delivered also where the APIC was disabled by software meanwhile (11.4.7.2). */
int lapic_pending(const struct lapic *lapic)
{
	int vector = lapic_highest_request(lapic);

	if (!lapic_is_enabled(lapic) || vector < 0 || (vector & 0xf0) <= ppr_of(lapic))
		return -1;
	return vector;
}

bool lapic_has_vector(const struct lapic *lapic, uint8_t vector)
{
	return vector_test(lapic, LAPIC_IRR, vector) || vector_test(lapic, LAPIC_ISR, vector);
}

void lapic_take(struct lapic *lapic, uint8_t vector)
{
	vector_put(lapic, LAPIC_IRR, vector, false);
	vector_put(lapic, LAPIC_ISR, vector, true);
	lapic_ppr_update(lapic);
}

void lapic_eoi(struct lapic *lapic)
{
	int vector = lapic_highest_in_service(lapic);

	if (vector < 0)
		return;
	vector_put(lapic, LAPIC_ISR, vector, false);
	lapic_ppr_update(lapic);
	lapic->owner.eoi(lapic->owner.opaque, lapic, vector, vector_test(lapic, LAPIC_TMR, vector));
}

static bool is_physical_destination(const struct lapic *lapic, uint32_t destination)
{
	/* KVM: a vCPU whose ID does not fit an xAPIC is reached by it all the same. */
	if (lapic_is_x2apic(lapic) || destination > XAPIC_ALL)
		return destination == lapic->id;
	return destination == reg_get(lapic, LAPIC_ID) >> 24;
}

static bool is_logical_destination(const struct lapic *lapic, uint32_t destination)
{
	uint32_t ldr = reg_get(lapic, LAPIC_LDR);

	if (lapic_is_x2apic(lapic))
		return ldr >> 16 == destination >> 16 && (ldr & destination & 0xffff);
	ldr >>= 24;
	switch (reg_get(lapic, LAPIC_DFR)) {
	case DFR_FLAT:
		return ldr & destination;
	case DFR_CLUSTER:
		return ldr >> 4 == destination >> 4 && (ldr & destination & 0xf);
	default:
		return false;
	}
}

/* An x2APIC's IPI to 0xff is for that ID, and not for all xAPICs. */
static bool is_broadcast(const struct lapic *lapic, const struct lapic *from, const struct apic_message *message)
{
	if (lapic_is_x2apic(lapic))
		return message->destination == X2APIC_ALL ||
			(message->is_for_x2apics && message->destination == XAPIC_ALL);
	return message->destination == XAPIC_ALL && !(from && lapic_is_x2apic(from));
}

bool lapic_is_destination(const struct lapic *lapic, const struct lapic *from, const struct apic_message *message)
{
	if (!lapic_is_enabled(lapic))
		return false;
	switch ((enum apic_shorthand)message->shorthand) {
	case APIC_SELF:
		return lapic == from;
	case APIC_ALL:
		return true;
	case APIC_OTHERS:
		return lapic != from;
	case APIC_NO_SHORTHAND:
		break;
	}
	if (is_broadcast(lapic, from, message))
		return true;
	if (message->is_logical)
		return is_logical_destination(lapic, message->destination);
	return is_physical_destination(lapic, message->destination);
}

static int vector_accept(struct lapic *lapic, const struct apic_message *message)
{
	if ((message->is_level && message->is_deassert) || !lapic_is_software_enabled(lapic))
		return 0;
	vector_put(lapic, LAPIC_TMR, message->vector, message->is_level);
	vector_put(lapic, LAPIC_IRR, message->vector, true);
	lapic->owner.kick(lapic->owner.opaque, lapic);
	return 1;
}

int lapic_accept(struct lapic *lapic, const struct apic_message *message)
{
	switch ((enum apic_delivery)message->delivery) {
	case APIC_FIXED:
	case APIC_LOWEST:
		return vector_accept(lapic, message);
	case APIC_INIT:
		if (message->is_level && message->is_deassert)
			return 0;
		break;
	case APIC_SMI:
	case APIC_NMI:
	case APIC_SIPI:
		break;
	case APIC_EXTINT:	/* lapic_accepts_extint() is that way */
	default:
		return 0;
	}
	lapic->owner.event(lapic->owner.opaque, lapic, message->delivery, message->vector);
	return 1;
}

int lapic_local_interrupt(struct lapic *lapic, unsigned int offset)
{
	uint32_t lvt = reg_get(lapic, offset);
	struct apic_message message = {
		.vector = lvt & LVT_VECTOR,
		.delivery = (lvt & LVT_MODE) >> 8,
		.is_level = !!(lvt & LVT_LEVEL),
	};

	if (!lapic_is_enabled(lapic) || lvt & LVT_MASKED)
		return 0;
	return lapic_accept(lapic, &message);
}

static bool lint0_is(const struct lapic *lapic, enum apic_delivery delivery)
{
	return (reg_get(lapic, LAPIC_LVT_LINT0) & (LVT_MODE | LVT_MASKED)) == (uint32_t)delivery << 8;
}

bool lapic_lint0_is_nmi(const struct lapic *lapic)
{
	return lint0_is(lapic, APIC_NMI);
}

bool lapic_accepts_extint(const struct lapic *lapic)
{
	return !lapic_is_enabled(lapic) || lint0_is(lapic, APIC_EXTINT);
}

static uint32_t x2apic_ldr(uint32_t id)
{
	return id >> 4 << 16 | 1u << (id & 0xf);
}

/* Both modes' IDs are the vCPU's when the mode is entered. */
static void base_put(struct lapic *lapic, uint64_t base)
{
	bool was_x2apic = lapic_is_x2apic(lapic), was_xapic = lapic_is_enabled(lapic) && !was_x2apic;

	lapic->base = base;
	if (lapic_is_x2apic(lapic) && !was_x2apic) {
		reg_set(lapic, LAPIC_ID, lapic->id);
		reg_set(lapic, LAPIC_LDR, x2apic_ldr(lapic->id));
	} else if (lapic_is_enabled(lapic) && !lapic_is_x2apic(lapic) && !was_xapic) {
		reg_set(lapic, LAPIC_ID, lapic->id << 24);
	}
}

/* Note, the boot processor's bit can be written, and so it is in KVM. */
int lapic_base_set(struct lapic *lapic, uint64_t base, unsigned int physical_bits, bool is_host)
{
	uint64_t mode = base & (LAPIC_BASE_ENABLE | LAPIC_BASE_X2APIC);
	bool is_enabled = lapic_is_enabled(lapic), is_x2apic = lapic_is_x2apic(lapic);

	if (base & BASE_RESERVED || base >> physical_bits || mode == LAPIC_BASE_X2APIC ||
	    (mode & LAPIC_BASE_X2APIC && !lapic->has_x2apic))
		return -EINVAL;
	if (!is_host && is_x2apic && mode == LAPIC_BASE_ENABLE)
		return -EINVAL;
	if (!is_host && !is_enabled && mode & LAPIC_BASE_X2APIC)
		return -EINVAL;
	base_put(lapic, base);
	return 0;
}

void lapic_version_update(struct lapic *lapic)
{
	uint32_t max_lvt = lapic->has_cmci ? 6 : 5;

	reg_set(lapic, LAPIC_VERSION, 0x14 | max_lvt << 16 | (uint32_t)lapic->has_directed_eoi << 24);
}

void lapic_reset(struct lapic *lapic, bool is_bsp, bool is_init)
{
	static const uint16_t lvts[] = {
		LAPIC_LVT_TIMER, LAPIC_LVT_THERMAL, LAPIC_LVT_PERF, LAPIC_LVT_LINT0, LAPIC_LVT_LINT1, LAPIC_LVT_ERROR,
	};
	uint32_t id = reg_get(lapic, LAPIC_ID), ldr = reg_get(lapic, LAPIC_LDR);
	unsigned int i;

	lapic_timer_stop(lapic);
	lapic->period_ns = lapic->target_ns = lapic->tsc_deadline = 0;
	memset(lapic->regs, 0, sizeof(lapic->regs));
	if (!is_init)
		lapic->base = LAPIC_BASE_RESET | LAPIC_BASE_ENABLE | (is_bsp ? LAPIC_BASE_BSP : 0);
	reg_set(lapic, LAPIC_ID, is_init ? id : lapic->id << 24);
	reg_set(lapic, LAPIC_LDR, lapic_is_x2apic(lapic) ? ldr : 0);
	for (i = 0; i < sizeof(lvts) / sizeof(lvts[0]); i++)
		reg_set(lapic, lvts[i], LVT_MASKED);
	if (lapic->has_cmci)
		reg_set(lapic, LAPIC_LVT_CMCI, LVT_MASKED);
	/* As firmware would set it for the 8259A. */
	if (is_bsp && !lapic->has_no_lint0_quirk)
		reg_set(lapic, LAPIC_LVT_LINT0, APIC_EXTINT << 8);
	reg_set(lapic, LAPIC_DFR, DFR_FLAT);
	reg_set(lapic, LAPIC_SVR, 0xff);
	lapic_version_update(lapic);
}

void lapic_init(struct lapic *lapic, uint32_t id, bool is_bsp, const struct lapic_owner *owner)
{
	memset(lapic, 0, sizeof(*lapic));
	lapic->id = id;
	lapic->owner = *owner;
	lapic->has_x2apic = true;
	lapic->has_tsc_deadline = true;
	lapic_reset(lapic, is_bsp, false);
}

/* In x2APIC mode the ID is in the upper byte, unless user space asked for all of it. */
static uint32_t id_shift(const struct lapic *lapic)
{
	return lapic_is_x2apic(lapic) && !lapic->is_32bit_ids ? 24 : 0;
}

void lapic_state_get(struct lapic *lapic, struct kvm_lapic_state *ret_state)
{
	uint32_t id = reg_get(lapic, LAPIC_ID) << id_shift(lapic), count = lapic_timer_count(lapic);

	lapic_ppr_update(lapic);
	memcpy(ret_state->regs, lapic->regs, sizeof(ret_state->regs));
	memcpy(ret_state->regs + LAPIC_ID, &id, sizeof(id));
	memcpy(ret_state->regs + LAPIC_TMCCT, &count, sizeof(count));
}

int lapic_state_set(struct lapic *lapic, const struct kvm_lapic_state *state)
{
	uint32_t id, old_lvt = reg_get(lapic, LAPIC_LVT_TIMER);

	memcpy(&id, state->regs + LAPIC_ID, sizeof(id));
	id >>= id_shift(lapic);
	if (lapic_is_x2apic(lapic) && lapic->is_32bit_ids && id != lapic->id)
		return -EINVAL;
	memcpy(lapic->regs, state->regs, sizeof(state->regs));
	reg_set(lapic, LAPIC_ID, id);
	if (lapic_is_x2apic(lapic))
		reg_set(lapic, LAPIC_LDR, x2apic_ldr(id));
	lapic_version_update(lapic);
	lapic_ppr_update(lapic);
	lapic_timer_restore(lapic, old_lvt);
	lapic->owner.kick(lapic->owner.opaque, lapic);
	return 0;
}
