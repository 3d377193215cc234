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

/* LVT entries by their offset in the page. */
#define LAPIC_LVT_CMCI 0x2f0
#define LAPIC_LVT_TIMER 0x320
#define LAPIC_LVT_THERMAL 0x330
#define LAPIC_LVT_PERF 0x340
#define LAPIC_LVT_LINT0 0x350
#define LAPIC_LVT_LINT1 0x360
#define LAPIC_LVT_ERROR 0x370

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
	/* The vCPU has something new in IRR. */
	void (*kick)(void *opaque, struct lapic *lapic);
	/* The guest accesses TPR (KVM_TPR_ACCESS_REPORTING); NULL is fine. */
	void (*tpr_access)(void *opaque, struct lapic *lapic, bool is_write);
};

struct lapic {
	uint8_t regs[LAPIC_LEN_BYTES];	/* as KVM_GET_LAPIC of SVM: ICR in two words, in x2APIC mode the plain ID */
	uint64_t base;			/* IA32_APIC_BASE */
	uint32_t id;			/* the vCPU's; x2APIC's ID */
	struct lapic_owner owner;
	/* The timer. */
	uint64_t tsc_deadline;		/* IA32_TSC_DEADLINE; 0: none */
	uint64_t target_ns;		/* when the count is at its end */
	uint64_t period_ns;		/* of the initial count; 0: none */
	bool is_armed;
	/* What the owner may change before the guest runs; lapic_init() sets what KVM has. */
	bool has_x2apic;		/* CPUID.01H:ECX.X2APIC */
	bool has_tsc_deadline;		/* CPUID.01H:ECX.TSC_DEADLINE */
	bool has_directed_eoi;		/* no I/O APIC in the kernel; lapic_version_update() */
	bool has_cmci;			/* a seventh LVT entry; lapic_version_update() */
	bool is_32bit_ids;		/* KVM_X2APIC_API_USE_32BIT_IDS */
	bool has_no_lint0_quirk;	/* KVM_X86_QUIRK_LINT0_REENABLED is off: RESET leaves LINT0 masked */
	bool has_no_mmio_hole;		/* KVM_X86_QUIRK_LAPIC_MMIO_HOLE is off: what is disabled is user space's */
};

/* As after power-up; @is_bsp: the vCPU that boots. */
void lapic_init(struct lapic *lapic, uint32_t id, bool is_bsp, const struct lapic_owner *owner);
/* INIT (@is_init) leaves the base and the ID; RESET does not. */
void lapic_reset(struct lapic *lapic, bool is_bsp, bool is_init);
/* Has to follow a change of has_directed_eoi or has_cmci. */
void lapic_version_update(struct lapic *lapic);

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

/* -EOPNOTSUPP: not in this APIC's page, or the page is not there (has_no_mmio_hole). */
int lapic_mmio_read(struct lapic *lapic, uint64_t address, unsigned int len, void *data);
int lapic_mmio_write(struct lapic *lapic, uint64_t address, unsigned int len, const void *data);
/* MSRs 0x800 to 0x8ff. -EINVAL: #GP. */
int lapic_msr_read(struct lapic *lapic, uint32_t msr, uint64_t *ret_value);
int lapic_msr_write(struct lapic *lapic, uint32_t msr, uint64_t value);
/* IA32_TSC_DEADLINE; 0 in another mode of the timer. */
uint64_t lapic_tsc_deadline_get(const struct lapic *lapic);
void lapic_tsc_deadline_set(struct lapic *lapic, uint64_t value);
/* Both halves of ICR at once, for Hyper-V's MSR; a write sends. */
uint64_t lapic_icr_get(const struct lapic *lapic);
void lapic_icr_set(struct lapic *lapic, uint64_t value);
uint8_t lapic_tpr_get(const struct lapic *lapic);
void lapic_tpr_set(struct lapic *lapic, uint8_t tpr);
/* CR8 is TPR's upper half. */
uint8_t lapic_cr8_get(const struct lapic *lapic);
void lapic_cr8_set(struct lapic *lapic, uint8_t cr8);

/* Whether @lapic is one of those that @message, from @from (NULL: no local APIC), names. */
bool lapic_is_destination(const struct lapic *lapic, const struct lapic *from, const struct apic_message *message);
/* Takes it. Returns 1, 0: not accepted (disabled, deasserted, reserved). */
int lapic_accept(struct lapic *lapic, const struct apic_message *message);
/* An edge at LINT0, LINT1, of the performance counters, ...: what the LVT entry at @offset says. As lapic_accept(). */
int lapic_local_interrupt(struct lapic *lapic, unsigned int offset);
bool lapic_lint0_is_nmi(const struct lapic *lapic);
/* KVM's CPUs take an 8259's interrupt where the APIC is disabled, or LINT0 is ExtINT and not masked. */
bool lapic_accepts_extint(const struct lapic *lapic);

/* The vector that may be delivered now, by PPR; -1: none. lapic_take() moves it to ISR. */
int lapic_pending(const struct lapic *lapic);
/* The highest of IRR and of ISR, whatever the priority (for SVM's TPR threshold, KVM's paravirtual EOI); -1: none. */
int lapic_highest_request(const struct lapic *lapic);
int lapic_highest_in_service(const struct lapic *lapic);
/* Requested or in service. */
bool lapic_has_vector(const struct lapic *lapic, uint8_t vector);
void lapic_take(struct lapic *lapic, uint8_t vector);
/* What a write to the EOI register does. */
void lapic_eoi(struct lapic *lapic);

/* The timer: ~0: not armed. lapic_advance() makes what is due, and may be called at any time. */
uint64_t lapic_deadline_ns(const struct lapic *lapic);
void lapic_advance(struct lapic *lapic);

/* KVM_GET_LAPIC, KVM_SET_LAPIC (-EINVAL: in x2APIC mode an ID that is not the vCPU's). */
void lapic_state_get(struct lapic *lapic, struct kvm_lapic_state *ret_state);
int lapic_state_set(struct lapic *lapic, const struct kvm_lapic_state *state);

#endif
