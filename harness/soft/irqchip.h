/* SPDX-License-Identifier: MIT */
/*
 * A VM's interrupt controllers together: the 8259As, the I/O APIC, the timer, each vCPU's local APIC, and the table that
 * says where a GSI goes. Functions that are named as an ioctl take its argument and return its result (0 or more, or
 * -errno); who calls holds the VM's lock. User memory is the caller's work.
 *
 * Source: KVM API, 4.24 to 4.27, 4.52, 4.57, 4.58, 4.64 (KVM_SIGNAL_MSI), 4.71 to 4.75, 7.5 (KVM_CAP_SPLIT_IRQCHIP).
 */
#ifndef VMASSAY_SOFT_IRQCHIP_H
#define VMASSAY_SOFT_IRQCHIP_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "harness/soft/io_bus.h"
#include "harness/soft/ioapic.h"
#include "harness/soft/lapic.h"
#include "harness/soft/pic.h"
#include "harness/soft/pit.h"

#define IRQCHIP_MAX_ROUTES 4096	/* KVM_CAP_IRQ_ROUTING's value */
#define IRQCHIP_MAX_RESERVED_ROUTES 4096	/* KVM_MAX_IRQ_ROUTES, too */
#define IRQCHIP_ALL_LAPICS ~0u
#define IRQCHIP_NR_PINS 24

/* Who holds a line up: it is low when nobody does. */
enum irq_source {
	IRQ_SOURCE_USER,	/* KVM_IRQ_LINE, irqfds */
	IRQ_SOURCE_RESAMPLE,
	IRQ_SOURCE_PIT,
};

struct irqchip_owner {
	void *opaque;
	uint64_t (*now_ns)(void *opaque);
	struct lapic_clock (*clock)(void *opaque, uint32_t lapic_id);
	/* Something for the vCPU of local APIC @lapic_id: look again (interrupts, the timer). ~0: for all. */
	void (*kick)(void *opaque, uint32_t lapic_id);
	void (*event)(void *opaque, uint32_t lapic_id, enum apic_delivery kind, uint8_t vector);
	/* GSI @gsi's interrupt was ended (irqfd_acked()); NULL is fine. */
	void (*acked)(void *opaque, uint32_t gsi);
	/* Split: KVM_EXIT_IOAPIC_EOI for @lapic_id. */
	void (*eoi_exit)(void *opaque, uint32_t lapic_id, uint8_t vector);
	/* The guest accesses TPR; NULL is fine. */
	void (*tpr_access)(void *opaque, uint32_t lapic_id, bool is_write);
	/* A route's source of a synthetic interrupt controller; NULL: there are none. Returns as a line's. */
	int (*hv_sint)(void *opaque, uint32_t vp_index, uint32_t sint);
	/* A route's event channel; NULL: there are none. */
	int (*xen_event)(void *opaque, const struct kvm_irq_routing_xen_evtchn *event);
};

enum irqchip_kind {
	IRQCHIP_NONE,
	IRQCHIP_KERNEL,	/* KVM_CREATE_IRQCHIP */
	IRQCHIP_SPLIT,	/* only the local APICs */
};

struct irqchip;

struct irqchip_lapic {
	struct irqchip *chip;
	struct lapic *lapic;	/* NULL: the place is free */
};

struct irqchip {
	enum irqchip_kind kind;
	struct irqchip_owner owner;
	struct pic pic;
	struct ioapic ioapic;
	struct pit pit;
	bool has_pit;
	bool is_32bit_ids;		/* KVM_CAP_X2APIC_API, by irqchip_x2apic_api() */
	bool has_no_broadcast_quirk;
	struct irqchip_lapic lapics[IRQCHIP_MAX_LAPICS];
	unsigned int nr_lapics;		/* places that were ever taken */
	uint32_t nr_reserved_routes;	/* split: pins of user space's I/O APIC */
	struct kvm_irq_routing_entry *routes;
	size_t nr_routes;
	uint8_t pic_lines[PIC_NR_PINS];		/* by line: a bit for each irq_source */
	uint8_t ioapic_lines[IRQCHIP_NR_PINS];
};

/* A zeroed struct is a VM without controllers. */
void irqchip_destroy(struct irqchip *chip);
/* KVM_CREATE_IRQCHIP; the devices get onto the buses. -EEXIST, -EINVAL (@has_vcpus). */
int irqchip_create(struct irqchip *chip, const struct irqchip_owner *owner, struct io_bus *ports, struct io_bus *memory,
		   bool has_vcpus);
/* KVM_CAP_SPLIT_IRQCHIP with @nr_pins. -EEXIST (there is one, or @has_vcpus), -EINVAL (too many). */
int irqchip_create_split(struct irqchip *chip, const struct irqchip_owner *owner, uint64_t nr_pins, bool has_vcpus);
/* KVM_CREATE_PIT, KVM_CREATE_PIT2: @flags. -EEXIST, -ENOENT without a controller. */
int irqchip_create_pit(struct irqchip *chip, struct io_bus *ports, uint32_t flags);
/* Each vCPU's APIC gets in here when it is made, and out when that ends. */
int irqchip_add_lapic(struct irqchip *chip, struct lapic *lapic, uint32_t id, bool is_bsp);
/* KVM_SET_LAPIC gave @lapic another state. */
void irqchip_lapic_restored(struct irqchip *chip, const struct lapic *lapic);
void irqchip_remove_lapic(struct irqchip *chip, struct lapic *lapic);
/* KVM_CAP_X2APIC_API: what is on stays on. */
void irqchip_x2apic_api(struct irqchip *chip, bool is_32bit_ids, bool has_no_broadcast_quirk);

int irqchip_get(struct irqchip *chip, struct kvm_irqchip *state);	/* KVM_GET_IRQCHIP */
int irqchip_set(struct irqchip *chip, const struct kvm_irqchip *state);
int irqchip_get_pit2(struct irqchip *chip, struct kvm_pit_state2 *ret_state);
int irqchip_set_pit2(struct irqchip *chip, const struct kvm_pit_state2 *state);
int irqchip_get_pit(struct irqchip *chip, struct kvm_pit_state *ret_state);
int irqchip_set_pit(struct irqchip *chip, const struct kvm_pit_state *state);
int irqchip_reinject_control(struct irqchip *chip, const struct kvm_reinject_control *control);
/* KVM_SET_GSI_ROUTING: @nr entries at @entries, already copied; as a whole or not at all. */
int irqchip_set_routing(struct irqchip *chip, uint32_t nr, uint32_t flags, const struct kvm_irq_routing_entry *entries);
/* KVM_IRQ_LINE and KVM_IRQ_LINE_STATUS (@wants_status); both set @line->status. */
int irqchip_line(struct irqchip *chip, struct kvm_irq_level *line, bool wants_status);
/* The result is how many local APICs took it, or -errno. */
int irqchip_signal_msi(struct irqchip *chip, const struct kvm_msi *msi);

/*
 * The level of a GSI for one source, to all that its routes name; the result is KVM's: the sum of what arrived, 0 where
 * it was pending already, -1 where nothing took it.
 */
int irqchip_gsi_set(struct irqchip *chip, enum irq_source source, uint32_t gsi, bool level, bool wants_status);
/* Sends to the local APICs; as ioapic_owner's deliver. @from is the sender of an IPI, or NULL; so may @ret_lapics. */
int irqchip_deliver(struct irqchip *chip, struct lapic *from, const struct apic_message *message,
	struct lapic_set *ret_lapics);

/* Whether there is something @lapic's vCPU could take now (RFLAGS.IF and shadows are the caller's). */
bool irqchip_has_interrupt(const struct irqchip *chip, const struct lapic *lapic);
/* Takes it: the acknowledge cycle. Returns the vector, -1: none. Split: the caller's ExtINT goes before. */
int irqchip_take(struct irqchip *chip, struct lapic *lapic);

/* Timers: the earliest of the PIT and @lapic (NULL: only the PIT), ~0: none. irqchip_advance() makes what is due. */
uint64_t irqchip_deadline_ns(const struct irqchip *chip, const struct lapic *lapic);
void irqchip_advance(struct irqchip *chip);

#endif
