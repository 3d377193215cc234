/* SPDX-License-Identifier: MIT */
/*
 * An I/O APIC of 24 pins at physical address 0xfec00000: redirection table, edges and levels with remote IRR, the end of
 * interrupt that the local APICs broadcast. The state is the one that KVM_GET_IRQCHIP has.
 *
 * Source: Intel 82093AA data sheet, as KVM has it (version 0x11: no EOI register).
 */
#ifndef VMASSAY_SOFT_IOAPIC_H
#define VMASSAY_SOFT_IOAPIC_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>
#include "harness/soft/apic_message.h"
#include "harness/soft/lapic_set.h"

#define IOAPIC_ADDRESS 0xfec00000ull
#define IOAPIC_LEN_BYTES 0x100
#define IOAPIC_RTC_PIN 8

struct ioapic_owner {
	void *opaque;
	/*
	 * Returns how many local APICs took it; -1: there is none that could. *@ret_lapics, which was empty, gets those that
	 * did.
	 */
	int (*deliver)(void *opaque, const struct apic_message *message, struct lapic_set *ret_lapics);
	/* Whether local APIC @lapic, which @message names, has its vector in IRR or ISR. */
	bool (*waits)(void *opaque, const struct apic_message *message, unsigned int lapic);
	void (*acked)(void *opaque, unsigned int pin);		/* its interrupt was ended; NULL is fine */
	void (*masked)(void *opaque, unsigned int pin, bool is_masked);	/* its mask changed; NULL is fine */
};

struct ioapic {
	struct kvm_ioapic_state state;
	struct ioapic_owner owner;
	uint32_t irr_delivered;	/* edges that were delivered while their line is still up */
	struct lapic_set rtc_lapics;	/* those that have not ended the last interrupt of IOAPIC_RTC_PIN */
	uint8_t rtc_vector;
};

void ioapic_init(struct ioapic *ioapic, const struct ioapic_owner *owner);
/*
 * As pic_line_set(); @pin 0 to 23. The result is how many local APICs took it, 0: it was up already or none did, -1: it
 * is masked, or a level that is being served; 1 for a line that falls. With @wants_status (KVM_IRQ_LINE_STATUS), pin 8
 * says 0 until its last interrupt was ended: the RTC's, whose lost ticks user space makes up for.
 */
int ioapic_line_set(struct ioapic *ioapic, unsigned int pin, bool level, bool wants_status);
/* The end of interrupt of local APIC number @lapic; @is_level: it is one that is broadcast. */
void ioapic_eoi(struct ioapic *ioapic, unsigned int lapic, uint8_t vector, bool is_level);
int ioapic_mmio_read(void *ioapic, uint64_t address, unsigned int len, void *data);
int ioapic_mmio_write(void *ioapic, uint64_t address, unsigned int len, const void *data);
void ioapic_state_get(const struct ioapic *ioapic, struct kvm_ioapic_state *ret_state);
/* The state of local APIC number @lapic was set: whether it serves the RTC's interrupt is asked again. */
void ioapic_rtc_restore(struct ioapic *ioapic, unsigned int lapic);
/* What is pending in @state's IRR is delivered at once. */
void ioapic_state_set(struct ioapic *ioapic, const struct kvm_ioapic_state *state);

#endif
