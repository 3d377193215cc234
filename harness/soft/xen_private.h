/* SPDX-License-Identifier: MIT */
/* What xen.c, xen_vcpu.c and xen_events.c share. */
#ifndef VMASSAY_SOFT_XEN_PRIVATE_H
#define VMASSAY_SOFT_XEN_PRIVATE_H

#include "soft/xen.h"

/* The VM's clock, as KVM_GET_CLOCK has it. */
uint64_t xen_clock_ns(const struct soft_vm *vm);
/* None, or one that a local APIC takes. */
bool xen_vector_is_valid(uint8_t vector);
/* KVM_XEN_ATTR_TYPE_EVTCHN: what becomes of the events that the guest sends to a port. */
int xen_port_set(struct soft_vm *vm, const struct kvm_xen_hvm_attr *attr);
/* False: nothing is known of the port. */
bool xen_port_send(struct soft_vm *vm, uint32_t port);

#endif
