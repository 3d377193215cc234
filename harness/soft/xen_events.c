/* SPDX-License-Identifier: MIT */
/*
 * Event channels of two levels: a port's bit in the shared page, the bit of its word in the vCPU's own part, a byte that
 * says that there is something, and an interrupt. Xen's xen.h, struct shared_info and struct vcpu_info.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "soft/private.h"
#include "soft/xen_private.h"

#define PAGE_BYTES 4096u
#define PORT_FLAGS (KVM_XEN_EVTCHN_DEASSIGN | KVM_XEN_EVTCHN_UPDATE | KVM_XEN_EVTCHN_RESET)

/* What a guest's words are: 8 bytes each and 64 of them, or 4 and 32. */
struct layout {
	unsigned int word_bits;
	uint64_t pending, mask;		/* in the shared page */
	uint64_t selector;		/* in the vCPU's part; the byte is its first */
};

static const struct layout *layout_of(const struct soft_vm *vm)
{
	static const struct layout layouts[] = { { 32, 0x800, 0x880, 4 }, { 64, 0x800, 0xa00, 8 } };

	return &layouts[vm->xen.is_long];
}

static int bit_get(struct soft_vm *vm, uint64_t gpa, uint32_t bit, bool *ret_is_set)
{
	uint8_t byte;

	if (guest_read(vm_space(vm), gpa + bit / 8, &byte, 1))
		return -EINVAL;
	*ret_is_set = byte >> bit % 8 & 1;
	return 0;
}

/* *@ret_was_set: what it was before. */
static int bit_set(struct soft_vm *vm, uint64_t gpa, uint32_t bit, bool *ret_was_set)
{
	uint8_t byte;

	if (guest_read(vm_space(vm), gpa + bit / 8, &byte, 1))
		return -EINVAL;
	*ret_was_set = byte >> bit % 8 & 1;
	byte |= (uint8_t)(1u << bit % 8);
	return guest_write(vm_space(vm), gpa + bit / 8, &byte, 1) ? -EINVAL : 0;
}

static void vcpu_tell(struct soft_vcpu *vcpu)
{
	const struct apic_message message = { .delivery = APIC_FIXED, .vector = vcpu->xen.upcall_vector };
	const uint8_t one = 1;

	guest_write(vm_space(vcpu->vm), vcpu->xen.info, &one, 1);
	if (vcpu->xen.upcall_vector && vcpu->chips.has_lapic)
		lapic_accept(&vcpu->chips.lapic, &message);
	else
		chips_wake(vcpu);
}

int xen_event_raise(struct soft_vm *vm, const struct kvm_irq_routing_xen_evtchn *event)
{
	const struct layout *layout = layout_of(vm);
	struct soft_vcpu *vcpu = vcpu_of_id(vm, event->vcpu);
	uint64_t shared = vm->xen.shared_gfn * PAGE_BYTES;
	bool was_set, is_masked;

	if (!event->port || event->port >= layout->word_bits * layout->word_bits || !vcpu ||
	    event->priority != KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL ||
	    vcpu->xen.info == XEN_NOWHERE || vm->xen.shared_gfn == XEN_NOWHERE ||
	    bit_set(vm, shared + layout->pending, event->port, &was_set) ||
	    bit_get(vm, shared + layout->mask, event->port, &is_masked))
		return -EINVAL;
	if (was_set)
		return 0;
	if (is_masked)
		return -ENOTCONN;
	if (bit_set(vm, vcpu->xen.info + layout->selector, event->port / layout->word_bits, &was_set))
		return -EINVAL;
	if (!was_set)
		vcpu_tell(vcpu);
	return 1;
}

int xen_interrupt(struct soft_vcpu *vcpu)
{
	uint8_t vector = vcpu->vm->xen.upcall_vector, byte;

	if (!vector || vcpu->xen.info == XEN_NOWHERE || vcpu->xen.upcall_vector ||
	    guest_read(vm_space(vcpu->vm), vcpu->xen.info, &byte, 1) || !byte)
		return -1;
	return vector;
}

/* --- what the guest sends --- */

struct soft_xen_port {
	struct soft_xen_port *next;
	uint32_t number;
	int fd;			/* ours; -1: .event is raised */
	struct kvm_irq_routing_xen_evtchn event;
};

static struct soft_xen_port **port_find(struct soft_vm *vm, uint32_t number)
{
	struct soft_xen_port **place = &vm->xen.ports;

	while (*place && (*place)->number != number)
		place = &(*place)->next;
	return place;
}

static void port_remove(struct soft_xen_port **place)
{
	struct soft_xen_port *port = *place;

	*place = port->next;
	if (port->fd >= 0)
		close(port->fd);
	free(port);
}

void xen_free(struct soft_vm *vm)
{
	while (vm->xen.ports)
		port_remove(&vm->xen.ports);
}

static int port_fill(struct soft_xen_port *port, const struct kvm_xen_hvm_attr *attr)
{
	port->number = attr->u.evtchn.send_port;
	port->event = (struct kvm_irq_routing_xen_evtchn) {
		.port = attr->u.evtchn.deliver.port.port, .vcpu = attr->u.evtchn.deliver.port.vcpu,
		.priority = attr->u.evtchn.deliver.port.priority,
	};
	port->fd = -1;
	if (port->event.port)
		return port->event.priority == KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL ? 0 : -EINVAL;
	port->fd = eventfd_take(attr->u.evtchn.deliver.eventfd.fd);
	return port->fd < 0 ? port->fd : 0;
}

static int port_assign(struct soft_vm *vm, const struct kvm_xen_hvm_attr *attr)
{
	struct soft_xen_port **place = port_find(vm, attr->u.evtchn.send_port), *port;
	bool is_update = attr->u.evtchn.flags & KVM_XEN_EVTCHN_UPDATE;
	int r;

	if (is_update != !!*place)
		return is_update ? -ENOENT : -EEXIST;
	port = calloc(1, sizeof(*port));
	if (!port)
		return -ENOMEM;
	r = port_fill(port, attr);
	if (r) {
		free(port);
		return r;
	}
	if (is_update)
		port_remove(place);
	port->next = vm->xen.ports;
	vm->xen.ports = port;
	return 0;
}

int xen_port_set(struct soft_vm *vm, const struct kvm_xen_hvm_attr *attr)
{
	struct soft_xen_port **place = port_find(vm, attr->u.evtchn.send_port);

	if (attr->u.evtchn.flags & ~(uint32_t)PORT_FLAGS)
		return -EINVAL;
	if (attr->u.evtchn.flags == KVM_XEN_EVTCHN_RESET) {
		xen_free(vm);
		return 0;
	}
	if (!attr->u.evtchn.send_port || attr->u.evtchn.send_port >= PAGE_BYTES)
		return -EINVAL;
	if (attr->u.evtchn.flags != KVM_XEN_EVTCHN_DEASSIGN)
		return port_assign(vm, attr);
	if (!*place)
		return -ENOENT;
	port_remove(place);
	return 0;
}

bool xen_port_send(struct soft_vm *vm, uint32_t number)
{
	static const uint64_t one = 1;
	const struct soft_xen_port *port = *port_find(vm, number);
	ssize_t written;

	if (!port)
		return false;
	if (port->fd < 0) {
		xen_event_raise(vm, &port->event);
		return true;
	}
	written = write(port->fd, &one, sizeof(one));
	(void)written;	/* a full counter stays full */
	return true;
}
