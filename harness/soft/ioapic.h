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

#define IOAPIC_ADDRESS 0xfec00000ull
#define IOAPIC_LEN_BYTES 0x100

struct ioapic_owner {
	void *opaque;
	/* Returns at how many local APICs it arrived, 0 where it was pending already, -1: no local APIC takes it. */
	int (*deliver)(void *opaque, const struct apic_message *message);
	void (*acked)(void *opaque, unsigned int pin);		/* its interrupt was ended; NULL is fine */
	void (*masked)(void *opaque, unsigned int pin, bool is_masked);	/* its mask changed; NULL is fine */
};

struct ioapic {
	struct kvm_ioapic_state state;
	struct ioapic_owner owner;
	uint32_t irr_delivered;	/* levels that were delivered since they rose */
};

void ioapic_init(struct ioapic *ioapic, const struct ioapic_owner *owner);
void ioapic_reset(struct ioapic *ioapic);
/* As pic_line_set(); @pin 0 to 23. The result is how many local APICs got it; masked pins and lowered lines: 1. */
int ioapic_line_set(struct ioapic *ioapic, unsigned int pin, bool level);
/* A local APIC's end of interrupt. */
void ioapic_eoi(struct ioapic *ioapic, uint8_t vector, bool is_level);
int ioapic_mmio_read(void *ioapic, uint64_t address, unsigned int len, void *data);
int ioapic_mmio_write(void *ioapic, uint64_t address, unsigned int len, const void *data);
void ioapic_state_get(const struct ioapic *ioapic, struct kvm_ioapic_state *ret_state);
/* What is pending in @state's IRR is delivered at once. */
void ioapic_state_set(struct ioapic *ioapic, const struct kvm_ioapic_state *state);

#endif
