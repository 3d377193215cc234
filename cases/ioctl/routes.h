/* SPDX-License-Identifier: MIT */
/* Short routing tables, for the cases that are about what a route does. */
#ifndef VMASSAY_ROUTES_H
#define VMASSAY_ROUTES_H

#include "case.h"

#define MAX_ROUTES_HERE 8

#define MSI_ROUTE(gsi_, high_, low_, data_)						\
	{ .gsi = gsi_, .type = KVM_IRQ_ROUTING_MSI,					\
	  .u.msi = { .address_lo = low_, .address_hi = high_, .data = data_ } }
#define PIN_ROUTE(gsi_, chip_, pin_)							\
	{ .gsi = gsi_, .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip = { .irqchip = chip_, .pin = pin_ } }

/* KVM_SET_GSI_ROUTING: 0 or -errno. @nr is at most MAX_ROUTES_HERE. */
static inline long routes_try(struct test *t, uint32_t nr, const struct kvm_irq_routing_entry *entries)
{
	struct {
		struct kvm_irq_routing header;
		struct kvm_irq_routing_entry entries[MAX_ROUTES_HERE];
	} table = { .header.nr = nr };
	uint32_t i;

	for (i = 0; i < nr; i++)
		table.entries[i] = entries[i];
	return vm_ioctl_try(t->vm, KVM_SET_GSI_ROUTING, &table.header);
}

#endif
