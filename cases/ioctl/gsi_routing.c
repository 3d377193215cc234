/* SPDX-License-Identifier: MIT */
/*
 * KVM_SET_GSI_ROUTING takes a table as a whole or not at all, checked by where a line arrives afterwards: the table
 * before each refusal sends GSI 5 to the master 8259's pin 3, and still does after it.
 *
 * Can break: a limit off by one, a chip or pin out of range, two routes that exclude each other, a table half replaced.
 * Source: KVM API, 4.52 (KVM_SET_GSI_ROUTING), KVM_CAP_IRQ_ROUTING (its value is the limit).
 */
#include "case.h"

#include <stdlib.h>
#include <string.h>

#define MAX_ROUTES 4096

struct row {
	ROW_FIELDS;
	int error;
	uint32_t nr, flags;
	struct kvm_irq_routing_entry entries[3];
};

#define PIN(gsi_, chip_, pin_)								\
	{ .gsi = gsi_, .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip = { .irqchip = chip_, .pin = pin_ } }
#define MSI(gsi_) { .gsi = gsi_, .type = KVM_IRQ_ROUTING_MSI, .u.msi = { .address_lo = 0xfee00000, .data = 0x30 } }

static const struct row rows[] = {
	{ .label = "empty", .nr = 0 },
	{ .label = "master", .nr = 1, .entries = { PIN(5, 0, 7) } },
	{ .label = "slave_last_pin", .nr = 1, .entries = { PIN(5, 1, 7) } },
	{ .label = "ioapic_last_pin", .nr = 1, .entries = { PIN(5, 2, 23) } },
	{ .label = "three_chips", .nr = 3, .entries = { PIN(5, 0, 1), PIN(5, 1, 2), PIN(5, 2, 3) } },
	{ .label = "last_gsi", .nr = 1, .entries = { PIN(MAX_ROUTES - 1, 0, 1) } },
	{ .label = "msi", .nr = 1, .entries = { MSI(5) } },
	{ .label = "too_many", .nr = MAX_ROUTES + 1, .error = EINVAL },
	{ .label = "flags", .nr = 1, .flags = 1, .entries = { PIN(6, 0, 1) }, .error = EINVAL },
	{ .label = "gsi_too_large", .nr = 1, .entries = { PIN(MAX_ROUTES, 0, 1) }, .error = EINVAL },
	{ .label = "second_gsi_too_large", .nr = 2, .entries = { PIN(6, 0, 1), PIN(~0u, 0, 2) }, .error = EINVAL },
	{ .label = "master_pin_8", .nr = 1, .entries = { PIN(6, 0, 8) }, .error = EINVAL },
	{ .label = "slave_pin_8", .nr = 1, .entries = { PIN(6, 1, 8) }, .error = EINVAL },
	{ .label = "ioapic_pin_24", .nr = 1, .entries = { PIN(6, 2, 24) }, .error = EINVAL },
	{ .label = "chip_3", .nr = 1, .entries = { PIN(6, 3, 0) }, .error = EINVAL },
	{ .label = "type_0", .nr = 1, .entries = { { .gsi = 6 } }, .error = EINVAL },
	{ .label = "type_3", .nr = 1, .entries = { { .gsi = 6, .type = 3 } }, .error = EINVAL },
	{ .label = "type_unknown", .nr = 1, .entries = { { .gsi = 6, .type = 99 } }, .error = EINVAL },
	{ .label = "entry_flags", .nr = 1,
	  .entries = { { .gsi = 6, .type = KVM_IRQ_ROUTING_IRQCHIP, .flags = 1 } }, .error = EINVAL },
	{ .label = "msi_flags", .nr = 1, .entries = { { .gsi = 6, .type = KVM_IRQ_ROUTING_MSI, .flags = 2 } },
	  .error = EINVAL },
	{ .label = "same_chip_twice", .nr = 2, .entries = { PIN(6, 0, 1), PIN(6, 0, 2) }, .error = EINVAL },
	{ .label = "msi_and_pin", .nr = 2, .entries = { MSI(6), PIN(6, 0, 2) }, .error = EINVAL },
	{ .label = "msi_twice", .nr = 2, .entries = { MSI(6), MSI(6) }, .error = EINVAL },
	{ .label = "bad_behind_good", .nr = 3, .entries = { PIN(5, 0, 6), PIN(6, 0, 1), PIN(7, 2, 24) }, .error = EINVAL },
};

CASE(gsi_routing, .says = "a routing table is taken whole or not at all", .modes = NO_GUEST, .irqchip = true,
     .rows = ROWS(rows))

static long routing_set(struct test *t, uint32_t nr, uint32_t flags, const struct kvm_irq_routing_entry *entries)
{
	static struct {
		struct kvm_irq_routing header;
		struct kvm_irq_routing_entry entries[MAX_ROUTES + 1];
	} table;

	memset(&table, 0, sizeof(table));
	table.header.nr = nr;
	table.header.flags = flags;
	memcpy(table.entries, entries, sizeof(rows[0].entries));
	return vm_ioctl_try(t->vm, KVM_SET_GSI_ROUTING, &table.header);
}

static void irrs_get(struct test *t, uint32_t irr[3])
{
	struct kvm_irqchip chip = { .chip_id = 0 };

	vm_ioctl(t->vm, KVM_GET_IRQCHIP, &chip);
	irr[0] = chip.chip.pic.irr & ~4;	/* but the cascade */
	chip.chip_id = 1;
	vm_ioctl(t->vm, KVM_GET_IRQCHIP, &chip);
	irr[1] = chip.chip.pic.irr;
	chip.chip_id = 2;
	vm_ioctl(t->vm, KVM_GET_IRQCHIP, &chip);
	irr[2] = chip.chip.ioapic.irr;
}

/* Raising @gsi shows at the pins that @want has, and at no other. */
static void expect_pins(struct test *t, uint32_t gsi, const uint32_t want[3])
{
	struct kvm_irq_level line = { .irq = gsi, .level = 1 };
	uint32_t irr[3];

	vm_ioctl(t->vm, KVM_IRQ_LINE, &line);
	irrs_get(t, irr);
	expect_bytes(t, want, irr, sizeof(irr));
}

HOST(gsi_routing)
{
	static const struct kvm_irq_routing_entry first[3] = { PIN(5, 0, 3) };
	static const uint32_t first_pins[3] = { 1 << 3, 0, 0 };
	const struct row *row = ROW(t, rows);
	uint32_t i, want[3] = { 0 };

	expect_result(t, 0, routing_set(t, 1, 0, first));
	expect_result(t, -row->error, routing_set(t, row->nr, row->flags, row->entries));
	if (row->error) {
		expect_pins(t, 6, want);
		expect_pins(t, 5, first_pins);
		return;
	}
	for (i = 0; i < row->nr; i++)
		if (row->entries[i].type == KVM_IRQ_ROUTING_IRQCHIP)
			want[row->entries[i].u.irqchip.irqchip] |= 1u << row->entries[i].u.irqchip.pin;
	expect_pins(t, row->nr ? row->entries[0].gsi : 5, want);
}
