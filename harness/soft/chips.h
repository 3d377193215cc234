/* SPDX-License-Identifier: MIT */
/*
 * The interrupt controllers, event descriptors and io buses of a VM, connected to its vCPUs: what the run loop, the exits
 * and the MSRs ask. Who calls holds the VM's lock. With no controller all of it says "none", and user space has the
 * vCPU's interrupts as in KVM.
 */
#ifndef VMASSAY_SOFT_CHIPS_H
#define VMASSAY_SOFT_CHIPS_H

#include <stdbool.h>
#include <stdint.h>

#include "harness/soft/coalesced.h"
#include "harness/soft/eventfds.h"
#include "harness/soft/io_bus.h"
#include "harness/soft/irqchip.h"

struct soft_vm;
struct soft_vcpu;

struct soft_chips {
	struct irqchip chip;
	struct io_bus ports, memory;
	struct irqfds irqfds;
	struct ioeventfds ioeventfds;
	struct coalesced coalesced;	/* its ring is in the first vCPU's pages */
};

struct soft_vcpu_chips {
	struct lapic lapic;
	bool has_lapic;
	int wake_fd;			/* readable: look again; halted vCPUs wait on it. -1: it never waited */
	int extint;			/* split: KVM_INTERRUPT's vector; -1: none */
	int eoi_exit;			/* KVM_EXIT_IOAPIC_EOI's vector; -1: none */
	bool has_init, has_sipi;
	uint8_t sipi_vector;
	bool reports_tpr;		/* KVM_TPR_ACCESS_REPORTING */
	bool has_tpr_access, is_tpr_write;
	uint64_t tpr_rip;		/* of the instruction that did it */
	uint64_t vapic_gpa;		/* KVM_SET_VAPIC_ADDR; 0: none */
};

void chips_init(struct soft_vm *vm);
void chips_free(struct soft_vm *vm);
/* -ENOSPC. After the vCPU has its shared pages; chips_vcpu_free() may follow a failure. */
int chips_vcpu_init(struct soft_vcpu *vcpu);
void chips_vcpu_free(struct soft_vcpu *vcpu);
/* INIT (@is_init) or RESET of the local APIC; sets the vCPU's APIC base. */
void chips_vcpu_reset(struct soft_vcpu *vcpu, bool is_init);

/* An access that meets no memory. True: a device took it. */
bool chips_read(struct soft_vcpu *vcpu, bool is_port, uint64_t address, unsigned int size, uint64_t *ret_value);
bool chips_write(struct soft_vcpu *vcpu, bool is_port, uint64_t address, unsigned int size, uint64_t value);

/* IA32_APIC_BASE with a local APIC: 0 or -EINVAL. */
int chips_apic_base_set(struct soft_vcpu *vcpu, uint64_t value, bool is_host);
/* 1: done, 0: not one of the local APIC's MSRs, -EINVAL: #GP. */
int chips_msr_get(struct soft_vcpu *vcpu, uint32_t index, uint64_t *ret_value);
int chips_msr_set(struct soft_vcpu *vcpu, uint32_t index, uint64_t value);

/* Time and descriptors: has to be called before the guest runs and after a wait. */
void chips_poll(struct soft_vm *vm);
/* INIT and SIPI that arrived, as far as the vCPU's state lets them. */
void chips_startup_accept(struct soft_vcpu *vcpu);
/* A vCPU that was never started waits for that: true when it came. */
bool chips_has_startup(const struct soft_vcpu *vcpu);
/*
 * INIT, SIPI and the end of HLT; what user space must hear. 1: the guest may run; 0: to user space, run->exit_reason is
 * set; -EAGAIN: it waits, chips_wait() and again.
 */
int chips_enter(struct soft_vcpu *vcpu);
/* Lets go of the VM's lock until there may be something, at most a millisecond: the caller looks for signals. */
void chips_wait(struct soft_vcpu *vcpu);

/* Something may be there for a vCPU that waits. */
void chips_wake(struct soft_vcpu *vcpu);

bool chips_has_interrupt(struct soft_vcpu *vcpu);
int chips_take_interrupt(struct soft_vcpu *vcpu);	/* the vector; -1: none */
/* Whether CR8 writes must exit: a lower priority would let something in. */
bool chips_wants_cr8(const struct soft_vcpu *vcpu);

/* Whether user space may inject with KVM_INTERRUPT, as far as the controllers let it. */
bool chips_accept_user_interrupt(const struct soft_vcpu *vcpu);
/* KVM_INTERRUPT: 1: it is not a controller's business. */
int chips_interrupt(struct soft_vcpu *vcpu, uint32_t vector);
/* KVM_ENABLE_CAP of the VM; -EINVAL: not ours. */
int chips_enable_cap(struct soft_vm *vm, const struct kvm_enable_cap *cap);

#endif
