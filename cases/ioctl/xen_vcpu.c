/* SPDX-License-Identifier: MIT */
/*
 * A vCPU's share of Xen's interface. Its attributes are set and read back, or refused whole. Its run state is accounted:
 * what user space sets or adds is what it reads, and what the guest finds in its own memory, where the time of entry is
 * the sum of the four times. An event channel's event is a bit in the shared page, one in the vCPU's part of it, a byte
 * that says that there is something, and an interrupt; a masked one is the first bit only.
 *
 * Can break: an attribute in another one's place, a sum that is not checked, times added to another state's, a bit of
 * another port, an event sent although it is masked or already there, one that no interrupt tells of.
 * Source: KVM API, KVM_XEN_VCPU_SET_ATTR, KVM_XEN_VCPU_GET_ATTR, KVM_XEN_HVM_EVTCHN_SEND; Xen's public headers (xen.h:
 * struct shared_info, struct vcpu_info; vcpu.h: struct vcpu_runstate_info).
 */
#include "case.h"

#include <string.h>

#include "cases/ioctl/lapic_regs.h"

#define SHARED (SCRATCH_GPA + 0x5000)	/* struct shared_info */
#define SHARED_PENDING 0x800
#define SHARED_MASK 0xa00
#define INFO (SCRATCH_GPA + 0x6040)	/* struct vcpu_info */
#define INFO_SELECTOR 8
#define RUNSTATE (SCRATCH_GPA + 0x7040)	/* struct vcpu_runstate_info */
#define VECTOR 0x51
#define NONE (~0ull)

enum { RUNNING, RUNNABLE, BLOCKED, OFFLINE };

struct row {
	ROW_FIELDS;
	void (*guest)(void);
	void (*host)(struct test *t);
};

/* --- the guest's half --- */

static volatile uint32_t nr_events;

/* As a kernel does: the byte is taken back first. */
static void on_event(struct guest_regs *regs)
{
	(void)regs;
	nr_events++;
	CHECK_EQ(1, *(volatile uint8_t *)(ulong_t)INFO);
	*(volatile uint8_t *)(ulong_t)INFO = 0;
	write32(APIC_EOI, 0);
}

static void events_take(uint32_t want)
{
	sti_nop_cli();
	CHECK_EQ(want, nr_events);
}

static void guest_events(void)
{
	guest_handle(VECTOR, on_event);
	write32(APIC_SVR, SVR_ENABLE | 0xff);
	guest_sync(1);
	events_take(1);
	guest_sync(2);
	events_take(1);
	guest_sync(3);
	events_take(2);
}

static void guest_stages(void)
{
	guest_sync(1);
	guest_sync(2);
	CHECK(true);
}

/* --- the host's half --- */

static long attr_set_try(struct test *t, struct kvm_xen_vcpu_attr attr)
{
	return vcpu_ioctl_try(t->vcpu, KVM_XEN_VCPU_SET_ATTR, &attr);
}

static struct kvm_xen_vcpu_attr attr_get(struct test *t, uint16_t type)
{
	struct kvm_xen_vcpu_attr attr = { .type = type };

	vcpu_ioctl(t->vcpu, KVM_XEN_VCPU_GET_ATTR, &attr);
	return attr;
}

static void shared_set(struct test *t)
{
	struct kvm_xen_hvm_attr is_long = { .type = KVM_XEN_ATTR_TYPE_LONG_MODE, .u.long_mode = 1 };
	struct kvm_xen_hvm_attr shared = { .type = KVM_XEN_ATTR_TYPE_SHARED_INFO, .u.shared_info.gfn = SHARED >> 12 };

	vm_ioctl(t->vm, KVM_XEN_HVM_SET_ATTR, &is_long);
	vm_ioctl(t->vm, KVM_XEN_HVM_SET_ATTR, &shared);
}

static void host_attributes(struct test *t)
{
	static const uint16_t places[] = { KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO, KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO,
					   KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR };
	struct kvm_xen_vcpu_attr attr;
	unsigned int i;

	for (i = 0; i < 3; i++)
		expect_result(t, 0, attr_set_try(t, (struct kvm_xen_vcpu_attr){
			.type = places[i], .u.gpa = SCRATCH_GPA + 0x1000 * (i + 1) + 0x40 }));
	for (i = 0; i < 3; i++)
		expect_eq(t, SCRATCH_GPA + 0x1000 * (i + 1) + 0x40, attr_get(t, places[i]).u.gpa);
	for (i = 0; i < 3; i++)
		expect_result(t, 0, attr_set_try(t, (struct kvm_xen_vcpu_attr){ .type = places[i], .u.gpa = NONE }));
	for (i = 0; i < 2; i++)
		expect_eq(t, NONE, attr_get(t, places[i]).u.gpa);
	attr = (struct kvm_xen_vcpu_attr){ .type = KVM_XEN_VCPU_ATTR_TYPE_VCPU_ID, .u.vcpu_id = 7 };
	expect_result(t, 0, attr_set_try(t, attr));
	expect_eq(t, 7, attr_get(t, KVM_XEN_VCPU_ATTR_TYPE_VCPU_ID).u.vcpu_id);
	attr = (struct kvm_xen_vcpu_attr){ .type = KVM_XEN_VCPU_ATTR_TYPE_UPCALL_VECTOR, .u.vector = VECTOR };
	expect_result(t, 0, attr_set_try(t, attr));
	attr.u.vector = 0xf;
	expect_errno(t, EINVAL, attr_set_try(t, attr));
	expect_eq(t, VECTOR, attr_get(t, KVM_XEN_VCPU_ATTR_TYPE_UPCALL_VECTOR).u.vector);
	attr.type = 0x77;
	expect_errno(t, ENOENT, attr_set_try(t, attr));
	expect_errno(t, ENOENT, vcpu_ioctl_try(t->vcpu, KVM_XEN_VCPU_GET_ATTR, &attr));
	attr.type = KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADJUST;
	expect_errno(t, EINVAL, vcpu_ioctl_try(t->vcpu, KVM_XEN_VCPU_GET_ATTR, &attr));
	require_sync(t, 1);
	require_sync(t, 2);
	expect_done(t);
}

static void expect_runstate(struct test *t, struct kvm_xen_vcpu_attr want)
{
	struct kvm_xen_vcpu_attr got = attr_get(t, KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_DATA);

	expect_bytes(t, &want.u.runstate, &got.u.runstate, sizeof(want.u.runstate));
}

static void host_runstate(struct test *t)
{
	struct kvm_xen_vcpu_attr data = {
		.type = KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_DATA,
		.u.runstate = { .state = BLOCKED, .state_entry_time = 1000, .time_running = 100, .time_runnable = 200,
				.time_blocked = 300, .time_offline = 400 },
	};
	struct kvm_xen_vcpu_attr wrong = data;
	struct kvm_xen_vcpu_attr add = {
		.type = KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADJUST,
		.u.runstate = { .state = -1ull, .state_entry_time = 10, .time_running = 1, .time_runnable = 2,
				.time_blocked = 3, .time_offline = 4 },
	};

	expect_result(t, 0, attr_set_try(t, (struct kvm_xen_vcpu_attr){ .type = KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR,
									.u.gpa = RUNSTATE }));
	expect_result(t, 0, attr_set_try(t, data));
	expect_runstate(t, data);
	wrong.u.runstate.state_entry_time++;
	expect_errno(t, EINVAL, attr_set_try(t, wrong));
	wrong = data;
	wrong.u.runstate.state = OFFLINE + 1;
	expect_errno(t, EINVAL, attr_set_try(t, wrong));
	expect_runstate(t, data);
	expect_result(t, 0, attr_set_try(t, add));
	data.u.runstate.state_entry_time = 1010;
	data.u.runstate.time_running = 101;
	data.u.runstate.time_runnable = 202;
	data.u.runstate.time_blocked = 303;
	data.u.runstate.time_offline = 404;
	expect_runstate(t, data);
	add.u.runstate.time_running++;
	expect_errno(t, EINVAL, attr_set_try(t, add));
	expect_runstate(t, data);
	/* Until now it was blocked. */
	add.u.runstate = (typeof(add.u.runstate)){ .state = OFFLINE };
	expect_result(t, 0, attr_set_try(t, add));
	wrong = attr_get(t, KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_DATA);
	expect_true(t, wrong.u.runstate.time_blocked > 303);
	data.u.runstate.state = OFFLINE;
	data.u.runstate.time_blocked = wrong.u.runstate.time_blocked;
	data.u.runstate.state_entry_time += wrong.u.runstate.time_blocked - 303;
	expect_runstate(t, data);
	expect_eq(t, OFFLINE, attr_get(t, KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_CURRENT).u.runstate.state);
	require_sync(t, 1);
	require_sync(t, 2);
	expect_done(t);
}

struct runstate_info {
	uint32_t state, pad;
	uint64_t entry, times[4];
};

/* The VM's clock goes on in one state at a time. */
static void host_runstate_guest(struct test *t)
{
	volatile struct runstate_info *info = vm_hva(t->vm, RUNSTATE, sizeof(*info));
	uint64_t entry, offline;

	shared_set(t);
	expect_result(t, 0, attr_set_try(t, (struct kvm_xen_vcpu_attr){ .type = KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR,
									.u.gpa = RUNSTATE }));
	require_sync(t, 1);
	expect_eq(t, RUNNING, info->state);
	expect_result(t, 0, attr_set_try(t, (struct kvm_xen_vcpu_attr){ .type = KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_CURRENT,
									.u.runstate.state = BLOCKED }));
	expect_eq(t, BLOCKED, attr_get(t, KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_CURRENT).u.runstate.state);
	entry = attr_get(t, KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_DATA).u.runstate.state_entry_time;
	expect_true(t, entry > info->entry);
	/* Before it first ran. */
	offline = info->times[OFFLINE];
	expect_errno(t, EINVAL, attr_set_try(t, (struct kvm_xen_vcpu_attr){
		.type = KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_CURRENT, .u.runstate.state = 4 }));
	require_sync(t, 2);
	expect_eq(t, RUNNING, info->state);
	expect_true(t, info->entry > entry);
	expect_true(t, info->times[BLOCKED] > 0);
	expect_eq(t, offline, info->times[OFFLINE]);
	expect_eq(t, info->entry, info->times[0] + info->times[1] + info->times[2] + info->times[3]);
	expect_done(t);
}

static long event_send_try(struct test *t, uint32_t port, uint32_t vcpu)
{
	struct kvm_irq_routing_xen_evtchn event = { .port = port, .vcpu = vcpu,
						    .priority = KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL };

	return vm_ioctl_try(t->vm, KVM_XEN_HVM_EVTCHN_SEND, &event);
}

static void expect_bits(struct test *t, uint64_t word0, uint64_t word1, uint64_t selector)
{
	const volatile uint64_t *pending = vm_hva(t->vm, SHARED + SHARED_PENDING, 16);

	expect_eq(t, word0, pending[0]);
	expect_eq(t, word1, pending[1]);
	expect_eq(t, selector, *(volatile uint64_t *)vm_hva(t->vm, INFO + INFO_SELECTOR, 8));
}

static void host_events(struct test *t)
{
	struct kvm_irq_routing_xen_evtchn wrong = { .port = 5, .priority = 1 };
	uint64_t *masks = vm_hva(t->vm, SHARED + SHARED_MASK, 16);

	shared_set(t);
	expect_result(t, 0, attr_set_try(t, (struct kvm_xen_vcpu_attr){ .type = KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO,
									.u.gpa = INFO }));
	expect_result(t, 0, attr_set_try(t, (struct kvm_xen_vcpu_attr){ .type = KVM_XEN_VCPU_ATTR_TYPE_UPCALL_VECTOR,
									.u.vector = VECTOR }));
	require_sync(t, 1);
	expect_errno(t, EINVAL, event_send_try(t, 0, 0));
	expect_errno(t, EINVAL, event_send_try(t, 4096, 0));
	expect_errno(t, EINVAL, vm_ioctl_try(t->vm, KVM_XEN_HVM_EVTCHN_SEND, &wrong));
	expect_errno(t, EINVAL, event_send_try(t, 5, 1));
	expect_bits(t, 0, 0, 0);
	expect_result(t, 0, event_send_try(t, 64 + 5, 0));
	expect_bits(t, 0, 1 << 5, 1 << 1);
	/* Already there, and the same word's selector is set: no second interrupt. */
	expect_result(t, 0, event_send_try(t, 64 + 5, 0));
	require_sync(t, 2);
	masks[0] = 1 << 9;
	expect_result(t, 0, event_send_try(t, 9, 0));
	expect_bits(t, 1 << 9, 1 << 5, 1 << 1);
	require_sync(t, 3);
	expect_result(t, 0, event_send_try(t, 10, 0));
	expect_bits(t, 3 << 9, 1 << 5, 3);
	expect_done(t);
}

static const struct row rows[] = {
	{ .label = "attributes", .guest = guest_stages, .host = ON_HOST(host_attributes) },
	{ .label = "runstate", .guest = guest_stages, .host = ON_HOST(host_runstate) },
	{ .label = "runstate_guest", .guest = guest_stages, .host = ON_HOST(host_runstate_guest) },
	{ .label = "events", .guest = guest_events, .host = ON_HOST(host_events) },
};

CASE(xen_vcpu, .says = "a vCPU's Xen attributes, run state and events are what was set and sent", .modes = LONG64,
     .irqchip = true, .needs = "KVM_CAP_XEN_HVM&0x3e", .rows = ROWS(rows))

GUEST(xen_vcpu)
{
	GUEST_ROW(rows)->guest();
}

HOST(xen_vcpu)
{
	struct kvm_xen_hvm_config config = { .flags = KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL | KVM_XEN_HVM_CONFIG_EVTCHN_SEND,
					     .msr = 0x40000200 };

	vm_ioctl(t->vm, KVM_XEN_HVM_CONFIG, &config);
	ROW(t, rows)->host(t);
}
