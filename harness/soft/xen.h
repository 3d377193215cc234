/* SPDX-License-Identifier: MIT */
/*
 * Xen's interface for guests of a user space that turns it on: a page of hypercalls that leave for user space, the wall
 * clock in the shared page, a vCPU's run state, and event channels. KVM API, KVM_XEN_HVM_CONFIG, KVM_XEN_HVM_SET_ATTR,
 * KVM_XEN_VCPU_SET_ATTR, KVM_XEN_HVM_EVTCHN_SEND; layouts are of Xen's public headers (xen.h, vcpu.h).
 */
#ifndef VMASSAY_SOFT_XEN_H
#define VMASSAY_SOFT_XEN_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

struct soft_vcpu;
struct soft_vm;
struct soft_xen_port;

/* KVM_CAP_XEN_HVM */
#define SOFT_XEN (KVM_XEN_HVM_CONFIG_HYPERCALL_MSR | KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL | KVM_XEN_HVM_CONFIG_SHARED_INFO | \
	KVM_XEN_HVM_CONFIG_RUNSTATE | KVM_XEN_HVM_CONFIG_EVTCHN_2LEVEL | KVM_XEN_HVM_CONFIG_EVTCHN_SEND)

#define XEN_NOWHERE (~0ull)

enum xen_runstate { XEN_RUNNING, XEN_RUNNABLE, XEN_BLOCKED, XEN_OFFLINE, XEN_NR_RUNSTATES };

/* A VM's. */
struct soft_xen {
	struct kvm_xen_hvm_config config;
	bool is_long;			/* the shared structures have 64-bit words */
	uint8_t upcall_vector;		/* of all vCPUs that have none; 0: none */
	uint32_t version;		/* 0: user space answers */
	uint64_t shared_gfn;		/* XEN_NOWHERE: there is none */
	struct soft_xen_port *ports;	/* that the guest may send to without user space */
};

struct soft_xen_vcpu {
	uint64_t info, time_info, runstate;	/* physical addresses, or XEN_NOWHERE */
	uint32_t id;
	uint8_t upcall_vector;
	enum xen_runstate state;
	uint64_t entered_ns, times_ns[XEN_NR_RUNSTATES];
	uint32_t timer_port;
	uint64_t timer_ns;		/* of the VM's clock; 0: not set */
};

void xen_init(struct soft_vm *vm);
void xen_vcpu_init(struct soft_vcpu *vcpu);
void xen_free(struct soft_vm *vm);
/* The MSR of user space's choice. 1: done, 0: another one, -EINVAL. */
int xen_msr_set(struct soft_vcpu *vcpu, uint32_t index, uint64_t value);
/* VMMCALL is Xen's. */
bool xen_has_hypercalls(const struct soft_vcpu *vcpu);
int handle_xen_hypercall(struct soft_vcpu *vcpu);
/* Before the vCPU runs: its run state, its clock, its timer. */
void xen_enter(struct soft_vcpu *vcpu);
void xen_timer_advance(struct soft_vcpu *vcpu);
/* Until the timer is due; ~0: it is not set. */
uint64_t xen_timer_wait_ns(const struct soft_vcpu *vcpu);
/* The vector that waits for the vCPU as an 8259A's would; -1: none. */
int xen_interrupt(struct soft_vcpu *vcpu);
/* 1: it is new, 0: it was there, -ENOTCONN: it is masked, -EINVAL. */
int xen_event_raise(struct soft_vm *vm, const struct kvm_irq_routing_xen_evtchn *event);

#endif
