/* SPDX-License-Identifier: MIT */
/* A vCPU's share of Xen's interface: KVM API, KVM_XEN_VCPU_SET_ATTR. */
#include <errno.h>
#include <string.h>

#include "soft/private.h"
#include "soft/xen_private.h"

#define MAX_VCPU_ID SOFT_MAX_VCPU_ID

/* --- the run state: Xen's vcpu.h, struct vcpu_runstate_info --- */

/* 32-bit guests have no gap behind the state. */
static void runstate_write(struct soft_vcpu *vcpu)
{
	const struct soft_xen_vcpu *xen = &vcpu->xen;
	uint64_t at = xen->runstate + (vcpu->vm->xen.is_long ? 8 : 4);
	uint32_t state = xen->state;

	guest_write(vm_space(vcpu->vm), xen->runstate, &state, sizeof(state));
	guest_write(vm_space(vcpu->vm), at, &xen->entered_ns, sizeof(xen->entered_ns));
	guest_write(vm_space(vcpu->vm), at + sizeof(xen->entered_ns), xen->times_ns, sizeof(xen->times_ns));
}

static void runstate_change(struct soft_vcpu *vcpu, enum xen_runstate state)
{
	struct soft_xen_vcpu *xen = &vcpu->xen;
	uint64_t now = xen_clock_ns(vcpu->vm);

	xen->times_ns[xen->state] += now - xen->entered_ns;
	xen->entered_ns = now;
	xen->state = state;
}

/* The guest sees its run state as it is when it is entered. */
void xen_enter(struct soft_vcpu *vcpu)
{
	if (vcpu->xen.runstate != XEN_NOWHERE) {
		if (vcpu->xen.state != XEN_RUNNING)
			runstate_change(vcpu, XEN_RUNNING);
		runstate_write(vcpu);
	}
	if (vcpu->xen.time_info != XEN_NOWHERE)
		paravirt_clock_write(vcpu, vcpu->xen.time_info);
}

static bool times_add_up(const struct kvm_xen_vcpu_attr *attr)
{
	return attr->u.runstate.state_entry_time == attr->u.runstate.time_running + attr->u.runstate.time_runnable +
		attr->u.runstate.time_blocked + attr->u.runstate.time_offline;
}

static void times_get(const struct kvm_xen_vcpu_attr *attr, uint64_t times[XEN_NR_RUNSTATES])
{
	times[XEN_RUNNING] = attr->u.runstate.time_running;
	times[XEN_RUNNABLE] = attr->u.runstate.time_runnable;
	times[XEN_BLOCKED] = attr->u.runstate.time_blocked;
	times[XEN_OFFLINE] = attr->u.runstate.time_offline;
}

static long runstate_set(struct soft_vcpu *vcpu, const struct kvm_xen_vcpu_attr *attr)
{
	if (attr->u.runstate.state > XEN_OFFLINE || !times_add_up(attr))
		return -EINVAL;
	vcpu->xen.state = attr->u.runstate.state;
	vcpu->xen.entered_ns = attr->u.runstate.state_entry_time;
	times_get(attr, vcpu->xen.times_ns);
	return 0;
}

/* The state -1 is the one it has. */
static long runstate_adjust(struct soft_vcpu *vcpu, const struct kvm_xen_vcpu_attr *attr)
{
	struct soft_xen_vcpu *xen = &vcpu->xen;
	uint64_t times[XEN_NR_RUNSTATES];
	unsigned int i;

	if ((attr->u.runstate.state > XEN_OFFLINE && attr->u.runstate.state != ~0ull) || !times_add_up(attr) ||
	    xen_clock_ns(vcpu->vm) < xen->entered_ns + attr->u.runstate.state_entry_time)
		return -EINVAL;
	times_get(attr, times);
	xen->entered_ns += attr->u.runstate.state_entry_time;
	for (i = 0; i < XEN_NR_RUNSTATES; i++)
		xen->times_ns[i] += times[i];
	if (attr->u.runstate.state <= XEN_OFFLINE)
		runstate_change(vcpu, attr->u.runstate.state);
	return 0;
}

/* --- the timer --- */

uint64_t xen_timer_wait_ns(const struct soft_vcpu *vcpu)
{
	uint64_t at = vcpu->xen.timer_ns, now;

	if (!at)
		return ~0ull;
	now = xen_clock_ns(vcpu->vm);
	return at > now ? at - now : 0;
}

void xen_timer_advance(struct soft_vcpu *vcpu)
{
	const struct kvm_irq_routing_xen_evtchn event = {
		.port = vcpu->xen.timer_port, .vcpu = vcpu->id, .priority = KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL,
	};

	if (xen_timer_wait_ns(vcpu))
		return;
	vcpu->xen.timer_ns = 0;
	xen_event_raise(vcpu->vm, &event);
}

static long timer_set(struct soft_vcpu *vcpu, const struct kvm_xen_vcpu_attr *attr)
{
	if (attr->u.timer.port && attr->u.timer.priority != KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL)
		return -EINVAL;
	vcpu->xen.timer_port = attr->u.timer.port;
	vcpu->xen.timer_ns = attr->u.timer.port ? attr->u.timer.expires_ns : 0;
	return 0;
}

/* --- requests --- */

static long place_set(struct soft_vcpu *vcpu, uint64_t *place, uint64_t gpa)
{
	if (gpa != XEN_NOWHERE && !slot_find(vm_space(vcpu->vm), gpa))
		return -EINVAL;
	*place = gpa;
	return 0;
}

static long attr_set(struct soft_vcpu *vcpu, const struct kvm_xen_vcpu_attr *attr)
{
	switch (attr->type) {
	case KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO:
		return place_set(vcpu, &vcpu->xen.info, attr->u.gpa);
	case KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO:
		return place_set(vcpu, &vcpu->xen.time_info, attr->u.gpa);
	case KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR:
		return place_set(vcpu, &vcpu->xen.runstate, attr->u.gpa);
	case KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_CURRENT:
		if (attr->u.runstate.state > XEN_OFFLINE)
			return -EINVAL;
		runstate_change(vcpu, attr->u.runstate.state);
		return 0;
	case KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_DATA:
		return runstate_set(vcpu, attr);
	case KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADJUST:
		return runstate_adjust(vcpu, attr);
	case KVM_XEN_VCPU_ATTR_TYPE_VCPU_ID:
		if (attr->u.vcpu_id >= MAX_VCPU_ID)
			return -EINVAL;
		vcpu->xen.id = attr->u.vcpu_id;
		return 0;
	case KVM_XEN_VCPU_ATTR_TYPE_TIMER:
		return timer_set(vcpu, attr);
	case KVM_XEN_VCPU_ATTR_TYPE_UPCALL_VECTOR:
		if (!xen_vector_is_valid(attr->u.vector))
			return -EINVAL;
		vcpu->xen.upcall_vector = attr->u.vector;
		return 0;
	default:
		return -ENOENT;
	}
}

static long answer_set_attr(struct call *call)
{
	long r;

	vm_lock(call->vm);
	r = attr_set(call->vcpu, call->data);
	vm_unlock(call->vm);
	return r;
}

static void runstate_get(const struct soft_xen_vcpu *xen, struct kvm_xen_vcpu_attr *attr)
{
	attr->u.runstate.state = xen->state;
	attr->u.runstate.state_entry_time = xen->entered_ns;
	attr->u.runstate.time_running = xen->times_ns[XEN_RUNNING];
	attr->u.runstate.time_runnable = xen->times_ns[XEN_RUNNABLE];
	attr->u.runstate.time_blocked = xen->times_ns[XEN_BLOCKED];
	attr->u.runstate.time_offline = xen->times_ns[XEN_OFFLINE];
}

static long answer_get_attr(struct call *call)
{
	struct kvm_xen_vcpu_attr *attr = call->data;
	const struct soft_xen_vcpu *xen = &call->vcpu->xen;

	switch (attr->type) {
	case KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO:
		attr->u.gpa = xen->info;
		return 0;
	case KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO:
		attr->u.gpa = xen->time_info;
		return 0;
	case KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR:
		attr->u.gpa = xen->runstate;
		return 0;
	case KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_CURRENT:
		attr->u.runstate.state = xen->state;
		return 0;
	case KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_DATA:
		runstate_get(xen, attr);
		return 0;
	case KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADJUST:
		return -EINVAL;
	case KVM_XEN_VCPU_ATTR_TYPE_VCPU_ID:
		attr->u.vcpu_id = xen->id;
		return 0;
	case KVM_XEN_VCPU_ATTR_TYPE_TIMER:
		attr->u.timer.port = xen->timer_port;
		attr->u.timer.priority = KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL;
		attr->u.timer.expires_ns = xen->timer_ns;
		return 0;
	case KVM_XEN_VCPU_ATTR_TYPE_UPCALL_VECTOR:
		attr->u.vector = xen->upcall_vector;
		return 0;
	default:
		return -ENOENT;
	}
}

const struct answer xen_vcpu_answers[] = {
	{ KVM_XEN_VCPU_SET_ATTR, answer_set_attr, false },
	{ KVM_XEN_VCPU_GET_ATTR, answer_get_attr, false },
	{ 0, NULL, false },
};
