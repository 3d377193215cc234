/* SPDX-License-Identifier: MIT */
/*
 * KVM_SET_VCPU_EVENTS is read back by KVM_GET_VCPU_EVENTS field by field; what it refuses changes nothing.
 *
 * Can break: a field left out, a flag that is not looked at, exceptions that are none (NMI, vector 32), pending and
 * injected exchanged with KVM_CAP_EXCEPTION_PAYLOAD.
 * Source: KVM API, 4.31 and 4.32 (KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS), KVM_CAP_EXCEPTION_PAYLOAD,
 * KVM_CAP_X86_TRIPLE_FAULT_EVENT.
 */
#include "case.h"

#include <string.h>

#include "cases/ioctl/vcpu_state.h"

#define DEFAULT_FLAGS (KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_SMM)
#define PAYLOAD 1
#define TRIPLE 2

struct row {
	ROW_FIELDS;
	int error;
	unsigned int caps;	/* PAYLOAD, TRIPLE: enabled first */
	struct kvm_vcpu_events set;
	struct kvm_vcpu_events want;
};

/* Read back as set, but for the flags, which are all that KVM knows. */
#define SAME(...) .set = { __VA_ARGS__ }, .want = { __VA_ARGS__ }
#define EXCEPTION(nr_, ...) .exception = { .injected = 1, .nr = nr_, ##__VA_ARGS__ }

static const struct row rows[] = {
	{ .label = "none", SAME(.flags = 0) },
	{ .label = "exception_de", SAME(EXCEPTION(0)) },
	{ .label = "exception_gp", SAME(EXCEPTION(13, .has_error_code = 1, .error_code = 0x1234)) },
	{ .label = "exception_pf", SAME(EXCEPTION(14, .has_error_code = 1, .error_code = 7)) },
	{ .label = "exception_31", SAME(EXCEPTION(31)) },
	{ .label = "exception_nmi", .error = EINVAL, .set = { EXCEPTION(2) } },
	{ .label = "exception_32", .error = EINVAL, .set = { EXCEPTION(32) } },
	{ .label = "exception_255", .error = EINVAL, .set = { EXCEPTION(255) } },
	/* Without the capability there is nothing but injected. */
	{ .label = "pending_without_cap", .set = { .exception = { .pending = 1, .nr = 13 } },
	  .want = { .exception = { .nr = 13 } } },
	{ .label = "payload_without_cap", .error = EINVAL, .set = { .flags = KVM_VCPUEVENT_VALID_PAYLOAD } },
	{ .label = "pending", .caps = PAYLOAD,
	  SAME(.exception = { .pending = 1, .nr = 13, .has_error_code = 1, .error_code = 9 },
	       .flags = KVM_VCPUEVENT_VALID_PAYLOAD) },
	{ .label = "pending_payload", .caps = PAYLOAD,
	  SAME(.exception = { .pending = 1, .nr = 14, .has_error_code = 1, .error_code = 2 },
	       .flags = KVM_VCPUEVENT_VALID_PAYLOAD, .exception_has_payload = 1, .exception_payload = 0x123456789a) },
	{ .label = "injected_with_cap", .caps = PAYLOAD,
	  SAME(.exception = { .injected = 1, .nr = 13, .has_error_code = 1, .error_code = 9 },
	       .flags = KVM_VCPUEVENT_VALID_PAYLOAD) },
	{ .label = "pending_wins", .caps = PAYLOAD,
	  .set = { .exception = { .pending = 1, .injected = 1, .nr = 6 }, .flags = KVM_VCPUEVENT_VALID_PAYLOAD },
	  .want = { .exception = { .pending = 1, .nr = 6 }, .flags = KVM_VCPUEVENT_VALID_PAYLOAD } },
	{ .label = "pending_32", .caps = PAYLOAD, .error = EINVAL,
	  .set = { .exception = { .pending = 1, .nr = 32 }, .flags = KVM_VCPUEVENT_VALID_PAYLOAD } },
	{ .label = "pending_nmi", .caps = PAYLOAD, .error = EINVAL,
	  .set = { .exception = { .pending = 1, .nr = 2 }, .flags = KVM_VCPUEVENT_VALID_PAYLOAD } },
	{ .label = "interrupt", SAME(.interrupt = { .injected = 1, .nr = 0x77 }) },
	{ .label = "interrupt_255", SAME(.interrupt = { .injected = 1, .nr = 255 }) },
	{ .label = "shadow_not_valid", .set = { .interrupt.shadow = 3 }, .want = { .flags = 0 } },
	{ .label = "nmi_injected", SAME(.nmi.injected = 1) },
	{ .label = "nmi_masked", SAME(.nmi.masked = 1) },
	{ .label = "nmi_pending", SAME(.flags = KVM_VCPUEVENT_VALID_NMI_PENDING, .nmi.pending = 1) },
	{ .label = "nmi_pending_not_valid", .set = { .nmi.pending = 1 }, .want = { .flags = 0 } },
	{ .label = "nmi_all", SAME(.flags = KVM_VCPUEVENT_VALID_NMI_PENDING,
				   .nmi = { .injected = 1, .pending = 1, .masked = 1 }) },
	{ .label = "sipi_vector", .set = { .flags = KVM_VCPUEVENT_VALID_SIPI_VECTOR, .sipi_vector = 0x12 } },
	{ .label = "smm", SAME(.flags = KVM_VCPUEVENT_VALID_SMM, .smi.smm = 1), .needs = "KVM_CAP_X86_SMM" },
	{ .label = "smm_inside_nmi", SAME(.flags = KVM_VCPUEVENT_VALID_SMM, .smi = { .smm = 1, .smm_inside_nmi = 1 }),
	  .needs = "KVM_CAP_X86_SMM" },
	{ .label = "smm_not_valid", .set = { .smi.smm = 1 }, .want = { .flags = 0 } },
	{ .label = "triple_fault_without_cap", .error = EINVAL, .known = { .finding = "0203-events-refused-halfway" },
	  .set = { .flags = KVM_VCPUEVENT_VALID_TRIPLE_FAULT, .triple_fault.pending = 1 } },
	{ .label = "triple_fault", .caps = TRIPLE, .needs = "KVM_CAP_X86_TRIPLE_FAULT_EVENT",
	  SAME(.flags = KVM_VCPUEVENT_VALID_TRIPLE_FAULT, .triple_fault.pending = 1) },
	{ .label = "flags_bit_6", .error = EINVAL, .set = { .flags = 1 << 6 } },
	{ .label = "flags_bit_31", .error = EINVAL, .set = { .flags = 1u << 31 } },
};

CASE(vcpu_events, .says = "pending events go in and out field by field", .modes = NO_GUEST, .rows = ROWS(rows))

static void cap_enable(struct test *t, uint32_t number)
{
	struct kvm_enable_cap cap = { .cap = number, .args[0] = 1 };

	vm_ioctl(t->vm, KVM_ENABLE_CAP, &cap);
}

HOST(vcpu_events)
{
	const struct row *row = ROW(t, rows);
	struct kvm_vcpu_events want = row->want, got, set = row->set;
	struct vcpu_state before;

	if (row->caps & PAYLOAD)
		cap_enable(t, KVM_CAP_EXCEPTION_PAYLOAD);
	if (row->caps & TRIPLE)
		cap_enable(t, KVM_CAP_X86_TRIPLE_FAULT_EVENT);
	vcpu_state_get(t->vcpu, &before);
	if (row->error) {
		set.nmi.masked = 1;
		set.interrupt.injected = 1;
		expect_errno(t, row->error, vcpu_ioctl_try(t->vcpu, KVM_SET_VCPU_EVENTS, &set));
		expect_vcpu_state(t, t->vcpu, &before);
		return;
	}
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_VCPU_EVENTS, &set));
	want.flags |= DEFAULT_FLAGS;
	if (row->caps & PAYLOAD)
		want.flags |= KVM_VCPUEVENT_VALID_PAYLOAD;
	vcpu_events_get(t->vcpu, &got);
	expect_bytes(t, &want, &got, sizeof(got));
	vcpu_events_get(t->vcpu, &got);
	expect_bytes(t, &want, &got, sizeof(got));
	/* And all of it away again. */
	set = before.events;
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_VCPU_EVENTS, &set));
	vcpu_events_get(t->vcpu, &got);
	got.exception.nr = got.interrupt.nr = 0;
	expect_bytes(t, &before.events, &got, sizeof(got));
}
