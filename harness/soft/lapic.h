/* SPDX-License-Identifier: MIT */
/*
 * A vCPU's local APIC, as xAPIC (memory) and x2APIC (MSRs): priorities, IRR/ISR/TMR, ICR, LVT, the timer with its three
 * modes. Its registers are kept as KVM_GET_LAPIC has them. It sends through its owner, and its owner hands it what
 * arrives (lapic_is_destination(), lapic_accept()).
 *
 * Source: SDM vol. 3A, chapter 11; APM vol. 2, chapter 16. The owner holds the VM's lock in each call.
 */
#ifndef VMASSAY_SOFT_LAPIC_H
#define VMASSAY_SOFT_LAPIC_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>
#include "harness/soft/apic_message.h"

#define LAPIC_LEN_BYTES 0x1000
#define LAPIC_BASE_BSP (1ull << 8)
#define LAPIC_BASE_X2APIC (1ull << 10)
#define LAPIC_BASE_ENABLE (1ull << 11)
#define LAPIC_BASE_RESET 0xfee00000ull

struct lapic;

struct lapic_clock {
	uint64_t now_ns;
	uint64_t tsc;		/* the guest's */
	uint32_t tsc_khz;	/* and how fast it runs */
};

struct lapic_owner {
	void *opaque;
	struct lapic_clock (*clock)(void *opaque);
	void (*send)(void *opaque, struct lapic *from, const struct apic_message *message);
	/* One arrived that is no entry of IRR: SMI, NMI, INIT, SIPI (@vector). */
	void (*event)(void *opaque, struct lapic *lapic, enum apic_delivery kind, uint8_t vector);
	/* An interrupt was ended whose TMR bit is @is_level. */
	void (*eoi)(void *opaque, struct lapic *lapic, uint8_t vector, bool is_level);
};

struct lapic {
	uint8_t regs[LAPIC_LEN_BYTES];	/* as KVM_GET_LAPIC; in x2APIC mode ID is the plain number */
	uint64_t base;			/* IA32_APIC_BASE */
	uint32_t id;			/* the vCPU's; x2APIC's ID */
	struct lapic_owner owner;
	uint64_t tsc_deadline;		/* IA32_TSC_DEADLINE; 0: not armed */
	uint64_t expires_ns;		/* of the count's end; 0: not armed */
	uint64_t period_ns;
	uint32_t pending_esr;		/* errors since ESR was last written */
	bool is_32bit_ids;		/* KVM_X2APIC_API_USE_32BIT_IDS */
	bool is_tsc_deadline_there;	/* CPUID.01H:ECX.TSC_DEADLINE */
	bool has_directed_eoi;		/* KVM: only where there is no I/O APIC in the kernel */
	bool has_init;			/* an INIT waits; lapic_events_take() */
};

/* As after power-up; @is_bsp: the vCPU that boots. */
void lapic_init(struct lapic *lapic, uint32_t id, bool is_bsp, const struct lapic_owner *owner);
/* INIT leaves the base and the ID. @is_init_event false: RESET. */
void lapic_reset(struct lapic *lapic, bool is_init_event);

static inline bool lapic_is_x2apic(const struct lapic *lapic)
{
	return (lapic->base & (LAPIC_BASE_ENABLE | LAPIC_BASE_X2APIC)) == (LAPIC_BASE_ENABLE | LAPIC_BASE_X2APIC);
}

/* False: IA32_APIC_BASE's enable bit is clear. */
static inline bool lapic_is_enabled(const struct lapic *lapic)
{
	return lapic->base & LAPIC_BASE_ENABLE;
}

bool lapic_is_software_enabled(const struct lapic *lapic);	/* and enabled */

/*
 * IA32_APIC_BASE. -EINVAL: #GP, for reserved bits (@physical_bits wide addresses) and transitions that are not legal;
 * user space (@is_host) may make every transition.
 */
int lapic_base_set(struct lapic *lapic, uint64_t base, unsigned int physical_bits, bool is_host);

/* The page: -EOPNOTSUPP: not this APIC's. Enabled by memory only, see lapic_is_mine(). */
int lapic_mmio_read(struct lapic *lapic, uint64_t address, unsigned int len, void *data, bool has_hole);
int lapic_mmio_write(struct lapic *lapic, uint64_t address, unsigned int len, const void *data, bool has_hole);
/* MSRs 0x800 to 0x8ff. -EINVAL: #GP. */
int lapic_msr_read(struct lapic *lapic, uint32_t msr, uint64_t *ret_value);
int lapic_msr_write(struct lapic *lapic, uint32_t msr, uint64_t value);
/* IA32_TSC_DEADLINE; 0 in another mode of the timer. */
uint64_t lapic_tsc_deadline_get(const struct lapic *lapic);
void lapic_tsc_deadline_set(struct lapic *lapic, uint64_t value);
/* CR8 is TPR's upper half. */
uint8_t lapic_cr8_get(const struct lapic *lapic);
void lapic_cr8_set(struct lapic *lapic, uint8_t cr8);

/* Whether @lapic is one of those that @message, from @from (NULL: no local APIC), names. */
bool lapic_is_destination(const struct lapic *lapic, const struct lapic *from, const struct apic_message *message);
/* Takes it. Returns 1, 0: IRR had it already, -1: not accepted (disabled, reserved). */
int lapic_accept(struct lapic *lapic, const struct apic_message *message);
/* LINT0 (@pin 0) or LINT1 has an edge: what the LVT entry says. 1: done, 0: masked or disabled. */
int lapic_local_interrupt(struct lapic *lapic, unsigned int pin);
/* KVM's CPUs take an 8259's interrupt where the APIC is disabled, or LINT0 is ExtINT and not masked. */
bool lapic_accepts_extint(const struct lapic *lapic);

/* The vector that may be delivered now, by PPR; -1: none. lapic_take() moves it to ISR. */
int lapic_pending(const struct lapic *lapic);
/* The highest of IRR whatever the priority (for SVM's TPR threshold); -1: none. */
int lapic_highest_request(const struct lapic *lapic);
void lapic_take(struct lapic *lapic, uint8_t vector);
/* That of @vector, or the highest in service, without an access: what the EOI register does. */
void lapic_eoi(struct lapic *lapic);

/* The timer: ~0: not armed. lapic_advance() makes what is due, and may be called at any time. */
uint64_t lapic_deadline_ns(const struct lapic *lapic);
void lapic_advance(struct lapic *lapic);

/* KVM_GET_LAPIC, KVM_SET_LAPIC (-EINVAL: in x2APIC mode an ID that is not the vCPU's). */
void lapic_state_get(struct lapic *lapic, struct kvm_lapic_state *ret_state);
int lapic_state_set(struct lapic *lapic, const struct kvm_lapic_state *state);

#endif
