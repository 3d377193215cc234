/* SPDX-License-Identifier: MIT */
/*
 * An interrupt on its way to local APICs: from an MSI, an I/O APIC's pin, an ICR.
 *
 * Source: SDM vol. 3A, 11.6 (issuing interrupts), 11.11 (MSI).
 */
#ifndef VMASSAY_SOFT_APIC_MESSAGE_H
#define VMASSAY_SOFT_APIC_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

/* As in ICR, LVT entries, redirection entries and MSI data. */
enum apic_delivery {
	APIC_FIXED = 0,
	APIC_LOWEST = 1,
	APIC_SMI = 2,
	APIC_NMI = 4,
	APIC_INIT = 5,
	APIC_SIPI = 6,
	APIC_EXTINT = 7,
};

enum apic_shorthand {
	APIC_NO_SHORTHAND,
	APIC_SELF,
	APIC_ALL,
	APIC_OTHERS,
};

struct apic_message {
	uint32_t destination;
	uint8_t vector;
	uint8_t delivery;	/* enum apic_delivery; 3 is reserved and reaches nobody */
	uint8_t shorthand;	/* enum apic_shorthand */
	bool is_logical;
	bool is_level;		/* trigger mode */
	bool is_deassert;	/* level 0 */
	bool is_lowest_hint;	/* MSI's redirection hint: one of the destination is enough */
	bool is_for_x2apics;	/* 0xff is everybody, also x2APICs: KVM's quirk for what is no IPI */
};

#endif
