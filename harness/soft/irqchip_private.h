/* SPDX-License-Identifier: MIT */
/* What irqchip.c asks irq_routes.c. */
#ifndef VMASSAY_SOFT_IRQCHIP_PRIVATE_H
#define VMASSAY_SOFT_IRQCHIP_PRIVATE_H

#include "harness/soft/irqchip.h"

/* The PC's: GSI n is the n-th 8259A line and the n-th I/O APIC pin. -ENOMEM. */
int irq_routes_default(struct irqchip *chip);
/* The GSI that leads to @pin of controller @id (KVM_IRQCHIP_*); -1: none. */
int irq_route_find(const struct irqchip *chip, uint32_t id, uint32_t pin);
/* Split: whether @vector at @lapic can be a level of user space's I/O APIC. */
bool irq_routes_have_level(const struct irqchip *chip, const struct lapic *lapic, uint8_t vector);

#endif
