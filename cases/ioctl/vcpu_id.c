/* SPDX-License-Identifier: MIT */
/*
 * KVM_CREATE_VCPU: which ids are taken and which are not, and that a refusal leaves room for the next one.
 *
 * Can break: the last id, an id cut to 32 bits or fewer, a count that is not given back when creation fails.
 * Source: KVM API, 4.7 (KVM_CREATE_VCPU), KVM_CAP_MAX_VCPU_ID, KVM_CAP_MAX_VCPUS.
 */
#include "case.h"

#include <unistd.h>

static long create(struct test *t, uintptr_t id)
{
	return sys_call(t->sys, t->vm->fd, KVM_CREATE_VCPU, id);
}

static void expect_created(struct test *t, uintptr_t id)
{
	long fd = create(t, id);

	expect_true(t, fd >= 0);
}

static long max_id(struct test *t)
{
	return sys_has_cap(t->sys, KVM_CAP_MAX_VCPU_ID);
}

static void host_duplicate(struct test *t)
{
	unsigned int i;

	expect_created(t, 0);
	for (i = 0; i < 5; i++)
		expect_errno(t, EEXIST, create(t, 0));
	expect_created(t, 3);
	expect_errno(t, EEXIST, create(t, 3));
	expect_created(t, 1);
	expect_errno(t, EEXIST, create(t, 0));
}

static void host_largest(struct test *t)
{
	long max = max_id(t);

	expect_errno(t, EINVAL, create(t, max));
	expect_errno(t, EINVAL, create(t, max + 1));
	expect_created(t, max - 1);
	expect_errno(t, EEXIST, create(t, max - 1));
	expect_errno(t, EINVAL, create(t, max));
}

static void host_huge(struct test *t)
{
	expect_errno(t, EINVAL, create(t, 0x80000000));
	expect_errno(t, EINVAL, create(t, 0xffffffff));
	expect_errno(t, EINVAL, create(t, 0x10000));
	expect_created(t, 0);
}

/* KVM_CAP_MAX_VCPU_ID can be lowered for a VM, once, before its vCPUs. */
static void host_max_vcpu_id(struct test *t)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_MAX_VCPU_ID, .args[0] = max_id(t) + 1 };

	expect_errno(t, EINVAL, vm_ioctl_try(t->vm, KVM_ENABLE_CAP, &cap));
	cap.args[0] = 5;
	expect_result(t, 0, vm_ioctl_try(t->vm, KVM_ENABLE_CAP, &cap));
	expect_result(t, 0, vm_ioctl_try(t->vm, KVM_ENABLE_CAP, &cap));
	cap.args[0] = 6;
	expect_errno(t, EINVAL, vm_ioctl_try(t->vm, KVM_ENABLE_CAP, &cap));
	expect_errno(t, EINVAL, create(t, 5));
	expect_created(t, 4);
}

/* As many as KVM_CAP_MAX_VCPUS says, in 6.1 and later more than a descriptor table holds: only the count's order. */
static void host_many(struct test *t)
{
	unsigned int i;

	expect_true(t, sys_has_cap(t->sys, KVM_CAP_MAX_VCPUS) <= max_id(t));
	for (i = 0; i < 40; i++)
		expect_created(t, 39 - i);
	for (i = 0; i < 40; i++)
		expect_errno(t, EEXIST, create(t, i));
}

/* Another VM has its own ids. */
static void host_two_vms(struct test *t)
{
	struct vm *first = t->vm;

	expect_created(t, 2);
	t->vm = test_vm(t);
	expect_created(t, 2);
	expect_errno(t, EEXIST, create(t, 2));
	t->vm = first;
	expect_errno(t, EEXIST, create(t, 2));
}

struct row {
	ROW_FIELDS;
	void (*host)(struct test *t);
};

static const struct row rows[] = {
	{ .label = "duplicate", .host = host_duplicate },
	{ .label = "largest", .host = host_largest },
	{ .label = "huge", .host = host_huge },
	{ .label = "max_vcpu_id", .host = host_max_vcpu_id },
	{ .label = "many", .host = host_many },
	{ .label = "two_vms", .host = host_two_vms },
};

CASE(vcpu_id, .says = "vCPU ids are taken once and up to the limit", .modes = NO_GUEST, .manual = true,
     .rows = ROWS(rows))

HOST(vcpu_id)
{
	t->vm = test_vm(t);
	ROW(t, rows)->host(t);
	t->vm = NULL;
}
