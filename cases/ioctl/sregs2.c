/* SPDX-License-Identifier: MIT */
/*
 * KVM_GET_SREGS2 is KVM_GET_SREGS with the PDPTRs in place of the interrupt bitmap: valid in PAE paging only, and then
 * the four entries that CR3 points to. KVM_SET_SREGS2 takes them from user space, and translates by them.
 *
 * Can break: the flag in other modes, an entry lost or shifted, a refusal that leaves half of the state.
 * Source: KVM API, KVM_GET_SREGS2 and KVM_SET_SREGS2 (KVM_SREGS2_FLAGS_PDPTRS_VALID); APM vol. 2, 5.2.3.
 */
#include "case.h"

#include <string.h>

#include "cases/ioctl/vcpu_state.h"

struct row {
	ROW_FIELDS;
	unsigned int mode;
};

static const struct row rows[] = {
	{ .label = "real16", .mode = REAL16 },
	{ .label = "prot32", .mode = PROT32 },
	{ .label = "page32", .mode = PAGE32 },
	{ .label = "pae32", .mode = PAE32 },
	{ .label = "long64", .mode = LONG64 },
};

CASE(sregs2, .says = "SREGS2 is SREGS and the PDPTRs of PAE paging", .modes = NO_GUEST, .needs = "KVM_CAP_SREGS2",
     .rows = ROWS(rows))

#define SHARED_BYTES offsetof(struct kvm_sregs2, flags)
_Static_assert(SHARED_BYTES == offsetof(struct kvm_sregs, interrupt_bitmap), "the first part is the same");

static void want_from_sregs(struct test *t, struct kvm_sregs2 *want, unsigned int mode)
{
	struct kvm_sregs sregs;
	unsigned int i;

	memset(want, 0, sizeof(*want));
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &sregs);
	memcpy(want, &sregs, SHARED_BYTES);
	if (mode != PAE32)
		return;
	want->flags = KVM_SREGS2_FLAGS_PDPTRS_VALID;
	for (i = 0; i < 4; i++)
		want->pdptrs[i] = (TABLES_GPA + (1 + i) * 0x1000) | PTE_P;
}

static void expect_refused(struct test *t, const struct kvm_sregs2 *state, uint64_t flags)
{
	struct kvm_sregs2 broken = *state, got;
	struct vcpu_state before;

	vcpu_state_get(t->vcpu, &before);
	broken.cr2 = 0x4444;
	broken.ds.base = 0x9000;
	broken.flags = flags;
	expect_errno(t, EINVAL, vcpu_ioctl_try(t->vcpu, KVM_SET_SREGS2, &broken));
	expect_vcpu_state(t, t->vcpu, &before);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS2, &got);
	expect_bytes(t, state, &got, sizeof(got));
}

static uint64_t translate(struct test *t, uint64_t linear)
{
	struct kvm_translation translation = { .linear_address = linear };

	vcpu_ioctl(t->vcpu, KVM_TRANSLATE, &translation);
	return translation.valid ? translation.physical_address : ~0ull;
}

/* The second and third GiB change places: not in memory, only in the registers. */
static void check_pdptrs(struct test *t, const struct kvm_sregs2 *state)
{
	struct kvm_sregs2 set = *state, got;

	expect_eq(t, 0x40001234, translate(t, 0x40001234));
	set.pdptrs[1] = state->pdptrs[2];
	set.pdptrs[2] = state->pdptrs[1];
	set.pdptrs[3] = 0;
	set.cr2 = 0x1234567;
	vcpu_ioctl(t->vcpu, KVM_SET_SREGS2, &set);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS2, &got);
	expect_bytes(t, &set, &got, sizeof(got));
	expect_eq(t, 0x00001234, translate(t, 0x00001234));
	expect_eq(t, 0x80001234, translate(t, 0x40001234));
	expect_eq(t, 0x40001234, translate(t, 0x80001234));
	expect_eq(t, ~0ull, translate(t, 0xc0001234));
	/* Without the flag they are read from memory again. */
	set.flags = 0;
	vcpu_ioctl(t->vcpu, KVM_SET_SREGS2, &set);
	set = *state;
	set.cr2 = 0x1234567;
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS2, &got);
	expect_bytes(t, &set, &got, sizeof(got));
	expect_eq(t, 0x40001234, translate(t, 0x40001234));
}

HOST(sregs2)
{
	unsigned int mode = ROW(t, rows)->mode;
	struct kvm_sregs2 want, got;

	vcpu_set_supported_cpuid(t->vcpu);
	vm_slot_add(t->vm, 0, 0, 0, RAM_BYTES);
	mode_write_tables(t->vm, mode);
	mode_enter(t->vcpu, mode, 0, 0x1234);
	memset(&got, 0xa5, sizeof(got));
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS2, &got);
	want_from_sregs(t, &want, mode);
	expect_bytes(t, &want, &got, sizeof(got));
	expect_refused(t, &want, 2);
	expect_refused(t, &want, 1ull << 63);
	if (mode != PAE32)
		expect_refused(t, &want, KVM_SREGS2_FLAGS_PDPTRS_VALID);
	want.cr2 = 0x7777;
	want.fs.base = 0x6543210;
	vcpu_ioctl(t->vcpu, KVM_SET_SREGS2, &want);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS2, &got);
	expect_bytes(t, &want, &got, sizeof(got));
	if (mode == PAE32)
		check_pdptrs(t, &want);
}
