/* SPDX-License-Identifier: MIT */
/*
 * The PIT's first calls, KVM_CREATE_PIT, KVM_GET_PIT and KVM_SET_PIT, against the second ones: the same device and the
 * same channels, without flags; ENXIO where there is no PIT.
 *
 * Can break: a record of the other size copied, flags lost or taken from the stack, a call on a VM without a PIT.
 * Source: KVM API, 4.71 to 4.73 (KVM_CREATE_PIT2, KVM_GET_PIT2, KVM_SET_PIT2), 4.39 (KVM_CREATE_IRQCHIP).
 */
#include "case.h"

#include <string.h>

static void host_none(struct test *t)
{
	struct kvm_pit_state state, before;

	memset(&state, 0xa5, sizeof(state));
	before = state;
	expect_errno(t, ENXIO, vm_ioctl_try(t->vm, KVM_GET_PIT, &state));
	expect_errno(t, ENXIO, vm_ioctl_try(t->vm, KVM_SET_PIT, &state));
	expect_bytes(t, &before, &state, sizeof(state));
}

static void host_create(struct test *t)
{
	struct kvm_pit_config config = { .flags = 0 };

	expect_result(t, 0, vm_ioctl_value_try(t->vm, KVM_CREATE_PIT, 0));
	expect_errno(t, EEXIST, vm_ioctl_value_try(t->vm, KVM_CREATE_PIT, 0));
	expect_errno(t, EEXIST, vm_ioctl_try(t->vm, KVM_CREATE_PIT2, &config));
}

/* When a channel was loaded is its own: all else is what was set. */
static void expect_channels(struct test *t, const struct kvm_pit_channel_state *want,
			    const struct kvm_pit_channel_state *got)
{
	unsigned int i;

	for (i = 0; i < 3; i++) {
		struct kvm_pit_channel_state channel = want[i];

		channel.count_load_time = got[i].count_load_time;
		expect_bytes(t, &channel, &got[i], sizeof(channel));
	}
}

static void channels_fill(struct kvm_pit_channel_state *channels)
{
	unsigned int i;

	for (i = 0; i < 3; i++)
		channels[i] = (struct kvm_pit_channel_state){
			.count = 0x8000 + i, .latched_count = 0x70 + i, .count_latched = i, .status_latched = i & 1,
			.status = 0x40 + i, .read_state = 1 + i, .write_state = 3 - i, .write_latch = 0x11 * i,
			.rw_mode = 3, .mode = 4, .bcd = i & 1, .gate = 1,
		};
}

static void host_set_get(struct test *t)
{
	struct kvm_pit_state set, got;
	struct kvm_pit_state2 got2;

	vm_ioctl_value(t->vm, KVM_CREATE_PIT, 0);
	memset(&set, 0, sizeof(set));
	memset(&got, 0xa5, sizeof(got));
	memset(&got2, 0xa5, sizeof(got2));
	channels_fill(set.channels);
	expect_result(t, 0, vm_ioctl_try(t->vm, KVM_SET_PIT, &set));
	expect_result(t, 0, vm_ioctl_try(t->vm, KVM_GET_PIT, &got));
	expect_channels(t, set.channels, got.channels);
	expect_result(t, 0, vm_ioctl_try(t->vm, KVM_GET_PIT2, &got2));
	expect_channels(t, set.channels, got2.channels);
	expect_eq(t, 0, got2.flags & KVM_PIT_FLAGS_HPET_LEGACY);
}

/* What the second call set, the first one tells; the first one leaves the flags as they are. */
static void host_both(struct test *t)
{
	struct kvm_pit_state2 set2, got2;
	struct kvm_pit_state got;

	vm_ioctl_value(t->vm, KVM_CREATE_PIT, 0);
	memset(&set2, 0, sizeof(set2));
	channels_fill(set2.channels);
	set2.channels[1].count = 0x1234;
	set2.flags = KVM_PIT_FLAGS_HPET_LEGACY;
	expect_result(t, 0, vm_ioctl_try(t->vm, KVM_SET_PIT2, &set2));
	expect_result(t, 0, vm_ioctl_try(t->vm, KVM_GET_PIT, &got));
	expect_channels(t, set2.channels, got.channels);
	got.channels[1].count = 0x4321;
	set2.channels[1].count = 0x4321;
	expect_result(t, 0, vm_ioctl_try(t->vm, KVM_SET_PIT, &got));
	vm_ioctl(t->vm, KVM_GET_PIT2, &got2);
	expect_channels(t, set2.channels, got2.channels);
	expect_eq(t, KVM_PIT_FLAGS_HPET_LEGACY, got2.flags & KVM_PIT_FLAGS_HPET_LEGACY);
}

struct row {
	ROW_FIELDS;
	void (*host)(struct test *t);
};

static const struct row rows[] = {
	{ .label = "none", .host = host_none },
	{ .label = "create", .host = host_create },
	{ .label = "set_get", .host = host_set_get },
	{ .label = "both", .host = host_both },
};

CASE(pit_calls, .says = "the PIT's first calls and its second ones are about one device", .modes = NO_GUEST,
     .irqchip = true, .needs = "KVM_CAP_PIT KVM_CAP_PIT2 KVM_CAP_PIT_STATE2", .rows = ROWS(rows))

HOST(pit_calls)
{
	ROW(t, rows)->host(t);
}
