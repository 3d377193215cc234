/* SPDX-License-Identifier: MIT */
/* Interrupt controllers and local APICs without vCPUs: what they ask of their owner is written down here. */
#ifndef VMASSAY_SELFTEST_SOFT_CHIPS_FIXTURE_H
#define VMASSAY_SELFTEST_SOFT_CHIPS_FIXTURE_H

#include "harness/soft/irqchip.h"

#define CHIPS_NR_LAPICS 4

struct chips {
	struct irqchip chip;
	struct io_bus ports, memory;
	struct lapic lapics[CHIPS_NR_LAPICS];
	uint64_t now_ns;
	uint32_t events[CHIPS_NR_LAPICS];	/* a bit for each enum apic_delivery */
	uint8_t event_vector;
	uint32_t acked;				/* a bit for each GSI */
	int exit_vector;			/* of KVM_EXIT_IOAPIC_EOI; -1: none */
};

/* All with software-enabled local APICs 0 to 3. Fails the test on any error. */
void chips_create(struct chips *chips, enum irqchip_kind kind);
void chips_destroy(struct chips *chips);

void chips_lapic_write(struct chips *chips, unsigned int lapic, unsigned int offset, uint32_t value);
uint32_t chips_lapic_read(struct chips *chips, unsigned int lapic, unsigned int offset);
void chips_ioapic_entry(struct chips *chips, unsigned int pin, uint64_t entry);
uint64_t chips_ioapic_entry_get(struct chips *chips, unsigned int pin);
/* KVM_IRQ_LINE_STATUS. */
int chips_line(struct chips *chips, uint32_t gsi, bool level);

#endif
