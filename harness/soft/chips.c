/* SPDX-License-Identifier: MIT */
/* The interrupt controllers' place in a VM: their requests, and what they ask of the hypervisor. */
#include "soft/private.h"

#include <errno.h>
#include <stdlib.h>

/* --- what they ask --- */

static uint64_t chips_now(void *opaque)
{
	(void)opaque;
	return clock_ns();
}

static struct soft_vcpu *vcpu_of_lapic(struct soft_vm *vm, uint32_t id)
{
	unsigned int i;

	for (i = 0; i < vm->nr_vcpus; i++)
		if (vm->vcpus[i]->id == id)
			return vm->vcpus[i];
	return NULL;
}

static struct lapic_clock chips_clock(void *opaque, uint32_t lapic_id)
{
	const struct soft_vcpu *vcpu = vcpu_of_lapic(opaque, lapic_id);
	uint64_t now = clock_ns();

	return (struct lapic_clock) { now, now + (vcpu ? vcpu->tsc_offset : 0), SOFT_TSC_KHZ };
}

/* vCPUs look for themselves between two slices. */
static void chips_kick(void *opaque, uint32_t lapic_id)
{
	(void)opaque;
	(void)lapic_id;
}

static void chips_event(void *opaque, uint32_t lapic_id, enum apic_delivery kind, uint8_t vector)
{
	struct soft_vcpu *vcpu = vcpu_of_lapic(opaque, lapic_id);

	(void)vector;
	if (vcpu && kind == APIC_NMI && vcpu->nmi.nr_pending < 2)
		vcpu->nmi.nr_pending++;
}

static struct irqchip_owner chips_owner(struct soft_vm *vm)
{
	return (struct irqchip_owner) {
		.opaque = vm, .now_ns = chips_now, .clock = chips_clock, .kick = chips_kick, .event = chips_event,
	};
}

/* --- life --- */

int vcpu_add_lapic(struct soft_vcpu *vcpu)
{
	if (!vcpu_has_lapic(vcpu))
		return 0;
	return irqchip_add_lapic(&vcpu->vm->chip, &vcpu->lapic, vcpu->id, vcpu->id == vcpu->vm->boot_cpu_id);
}

void vcpu_remove_lapic(struct soft_vcpu *vcpu)
{
	if (vcpu_has_lapic(vcpu))
		irqchip_remove_lapic(&vcpu->vm->chip, &vcpu->lapic);
}

void chips_destroy(struct soft_vm *vm)
{
	irqchip_destroy(&vm->chip);
	io_bus_clear(&vm->ports);
	io_bus_clear(&vm->memory);
}

int vcpu_mmio_read(struct soft_vcpu *vcpu, uint64_t gpa, unsigned int len, void *data)
{
	int r = -EOPNOTSUPP;

	if (vcpu_has_lapic(vcpu))
		r = lapic_mmio_read(&vcpu->lapic, gpa, len, data);
	return r ? io_bus_read(&vcpu->vm->memory, gpa, len, data) : r;
}

int vcpu_mmio_write(struct soft_vcpu *vcpu, uint64_t gpa, unsigned int len, const void *data)
{
	int r = -EOPNOTSUPP;

	if (vcpu_has_lapic(vcpu))
		r = lapic_mmio_write(&vcpu->lapic, gpa, len, data);
	return r ? io_bus_write(&vcpu->vm->memory, gpa, len, data) : r;
}

/* --- requests --- */

static long answer_create_irqchip(struct call *call)
{
	struct irqchip_owner owner = chips_owner(call->vm);

	return irqchip_create(&call->vm->chip, &owner, &call->vm->ports, &call->vm->memory, call->vm->nr_vcpus);
}

static long answer_create_pit(struct call *call)
{
	return irqchip_create_pit(&call->vm->chip, &call->vm->ports, KVM_PIT_SPEAKER_DUMMY);
}

static long answer_create_pit2(struct call *call)
{
	const struct kvm_pit_config *config = call->data;

	return irqchip_create_pit(&call->vm->chip, &call->vm->ports, config->flags);
}

static long answer_get_irqchip(struct call *call)
{
	return irqchip_get(&call->vm->chip, call->data);
}

static long answer_set_irqchip(struct call *call)
{
	return irqchip_set(&call->vm->chip, call->data);
}

static long answer_get_pit(struct call *call)
{
	return irqchip_get_pit(&call->vm->chip, call->data);
}

static long answer_set_pit(struct call *call)
{
	return irqchip_set_pit(&call->vm->chip, call->data);
}

static long answer_get_pit2(struct call *call)
{
	return irqchip_get_pit2(&call->vm->chip, call->data);
}

static long answer_set_pit2(struct call *call)
{
	return irqchip_set_pit2(&call->vm->chip, call->data);
}

static long answer_reinject(struct call *call)
{
	return irqchip_reinject_control(&call->vm->chip, call->data);
}

static long answer_irq_line(struct call *call)
{
	return irqchip_line(&call->vm->chip, call->data, false);
}

static long answer_irq_line_status(struct call *call)
{
	return irqchip_line(&call->vm->chip, call->data, true);
}

static long answer_msi(struct call *call)
{
	return irqchip_signal_msi(&call->vm->chip, call->data);
}

static long answer_routing(struct call *call)
{
	struct kvm_irq_routing head;
	struct kvm_irq_routing_entry *entries;
	long r = -EFAULT;

	if (user_read(&head, call->argument, sizeof(head)))
		return -EFAULT;
	if (head.nr > 4096 || head.flags)
		return -EINVAL;
	entries = calloc(head.nr + 1, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	if (!user_read(entries, call->argument + sizeof(head), head.nr * sizeof(*entries)))
		r = irqchip_set_routing(&call->vm->chip, head.nr, head.flags, entries);
	free(entries);
	return r;
}

/* The controllers belong to the VM's lock. */
#define LOCKED(name)								\
	static long locked_##name(struct call *call)				\
	{									\
		long r;								\
										\
		pthread_mutex_lock(&call->vm->lock);				\
		r = answer_##name(call);					\
		pthread_mutex_unlock(&call->vm->lock);				\
		return r;							\
	}

LOCKED(create_irqchip)
LOCKED(create_pit)
LOCKED(create_pit2)
LOCKED(get_irqchip)
LOCKED(set_irqchip)
LOCKED(get_pit)
LOCKED(set_pit)
LOCKED(get_pit2)
LOCKED(set_pit2)
LOCKED(reinject)
LOCKED(irq_line)
LOCKED(irq_line_status)
LOCKED(msi)
LOCKED(routing)

const struct answer chip_answers[] = {
	{ KVM_CREATE_IRQCHIP, locked_create_irqchip, true },
	{ KVM_CREATE_PIT, locked_create_pit, true },
	{ KVM_CREATE_PIT2, locked_create_pit2, false },
	{ KVM_GET_IRQCHIP, locked_get_irqchip, false },
	{ KVM_SET_IRQCHIP, locked_set_irqchip, false },
	{ KVM_GET_PIT, locked_get_pit, false },
	{ KVM_SET_PIT, locked_set_pit, false },
	{ KVM_GET_PIT2, locked_get_pit2, false },
	{ KVM_SET_PIT2, locked_set_pit2, false },
	{ KVM_REINJECT_CONTROL, locked_reinject, false },
	{ KVM_IRQ_LINE, locked_irq_line, false },
	{ KVM_IRQ_LINE_STATUS, locked_irq_line_status, false },
	{ KVM_SIGNAL_MSI, locked_msi, false },
	{ KVM_SET_GSI_ROUTING, locked_routing, true },
	{ 0, NULL, false },
};

static long answer_get_lapic(struct call *call)
{
	if (!vcpu_has_lapic(call->vcpu))
		return -EINVAL;
	lapic_state_get(&call->vcpu->lapic, call->data);
	return 0;
}

static long answer_set_lapic(struct call *call)
{
	if (!vcpu_has_lapic(call->vcpu))
		return -EINVAL;
	return lapic_state_set(&call->vcpu->lapic, call->data);
}

LOCKED(get_lapic)
LOCKED(set_lapic)

const struct answer chip_vcpu_answers[] = {
	{ KVM_GET_LAPIC, locked_get_lapic, false },
	{ KVM_SET_LAPIC, locked_set_lapic, false },
	{ 0, NULL, false },
};
