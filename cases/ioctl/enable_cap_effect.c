/* SPDX-License-Identifier: MIT */
/*
 * What an enabled capability changes: before, after, and where it is refused, nothing.
 *
 * Can break: a value that is stored and not looked at, a limit off by one.
 * Source: KVM API, 7.32 (KVM_CAP_MAX_VCPU_ID), 4.31 (KVM_GET_VCPU_EVENTS: the triple fault), 8.29
 * (KVM_CAP_DIRTY_LOG_RING), 4.44, 4.45 (KVM_SET_NR_MMU_PAGES, KVM_GET_NR_MMU_PAGES), 4.41 (KVM_SET_BOOT_CPU_ID).
 */
#include "case.h"

#include "cases/ioctl/vcpu_state.h"

static void enable(struct test *t, uint32_t cap, uint64_t arg)
{
	struct kvm_enable_cap enable = { .cap = cap, .args[0] = arg };

	expect_result(t, 0, vm_ioctl_try(t->vm, KVM_ENABLE_CAP, &enable));
}

static long create_try(struct test *t, uint32_t id)
{
	struct vcpu *vcpu;

	return vcpu_create_try(t->vm, id, &vcpu);
}

/* The ids below it are there, and nothing beyond. */
static void host_max_vcpu_id(struct test *t)
{
	enable(t, KVM_CAP_MAX_VCPU_ID, 4);
	expect_errno(t, EINVAL, create_try(t, 4));
	expect_errno(t, EINVAL, create_try(t, 5));
	expect_errno(t, EINVAL, create_try(t, ~0u));
	expect_result(t, 0, create_try(t, 3));
	expect_result(t, 0, create_try(t, 0));
}

static void host_no_max_vcpu_id(struct test *t)
{
	uint32_t nr = sys_has_cap(t->sys, KVM_CAP_MAX_VCPU_ID);

	expect_errno(t, EINVAL, create_try(t, nr));
	expect_result(t, 0, create_try(t, nr - 1));
}

static void host_triple_fault(struct test *t)
{
	struct kvm_vcpu_events events, set;
	struct vcpu *vcpu = vcpu_create(t->vm, 0);

	vcpu_events_get(vcpu, &events);
	expect_eq(t, 0, events.flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT);
	set = events;
	set.flags = KVM_VCPUEVENT_VALID_TRIPLE_FAULT;
	set.triple_fault.pending = 1;
	expect_errno(t, EINVAL, vcpu_ioctl_try(vcpu, KVM_SET_VCPU_EVENTS, &set));
	enable(t, KVM_CAP_X86_TRIPLE_FAULT_EVENT, 1);
	vcpu_events_get(vcpu, &events);
	expect_eq(t, KVM_VCPUEVENT_VALID_TRIPLE_FAULT, events.flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT);
	expect_eq(t, 0, events.triple_fault.pending);
	expect_result(t, 0, vcpu_ioctl_try(vcpu, KVM_SET_VCPU_EVENTS, &set));
	vcpu_events_get(vcpu, &events);
	expect_eq(t, 1, events.triple_fault.pending);
	/* It is taken when the vCPU runs. */
	t->vcpu = vcpu;
	expect_shutdown(t);
	vcpu_events_get(vcpu, &events);
	expect_eq(t, 0, events.triple_fault.pending);
	enable(t, KVM_CAP_X86_TRIPLE_FAULT_EVENT, 0);
	vcpu_events_get(vcpu, &events);
	expect_eq(t, 0, events.flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT);
}

/* The ring is mapped behind the vCPU's other pages; without it there is nothing. */
static void host_dirty_ring_map(struct test *t)
{
	const uint64_t offset = KVM_DIRTY_LOG_PAGE_OFFSET * 4096ull;
	const struct backend *backend = t->sys->backend;
	static const uint8_t zeros[1 << 16];
	struct vcpu *vcpu;
	void *ring;
	int error = 0;

	enable(t, KVM_CAP_DIRTY_LOG_RING, sizeof(zeros));
	vcpu = vcpu_create(t->vm, 0);
	ring = backend->mmap(backend, vcpu->fd, sizeof(zeros), offset, &error);
	require_true(t, ring != NULL);
	expect_bytes(t, zeros, ring, sizeof(zeros));
	expect_result(t, 0, vm_ioctl_value_try(t->vm, KVM_RESET_DIRTY_RINGS, 0));
	backend->munmap(backend, ring, sizeof(zeros));
}

/* Without rings there is nothing to reset. */
static void host_no_dirty_ring(struct test *t)
{
	vcpu_create(t->vm, 0);
	expect_errno(t, EINVAL, vm_ioctl_value_try(t->vm, KVM_RESET_DIRTY_RINGS, 0));
}

static void host_nr_mmu_pages(struct test *t)
{
	expect_result(t, 0, vm_ioctl_value_try(t->vm, KVM_SET_NR_MMU_PAGES, 64));
	expect_result(t, 64, vm_ioctl_value_try(t->vm, KVM_GET_NR_MMU_PAGES, 0));
	expect_errno(t, EINVAL, vm_ioctl_value_try(t->vm, KVM_SET_NR_MMU_PAGES, 63));
	expect_result(t, 64, vm_ioctl_value_try(t->vm, KVM_GET_NR_MMU_PAGES, 0));
	expect_result(t, 0, vm_ioctl_value_try(t->vm, KVM_SET_NR_MMU_PAGES, 1000));
	expect_result(t, 1000, vm_ioctl_value_try(t->vm, KVM_GET_NR_MMU_PAGES, 0));
}

/* The vCPU of that id is the one that says so in its APIC base. */
static void host_boot_cpu(struct test *t)
{
	const uint64_t bsp = 1 << 8;
	uint64_t base;
	struct vcpu *first, *second;

	expect_result(t, 0, vm_ioctl_value_try(t->vm, KVM_SET_BOOT_CPU_ID, 1));
	vm_ioctl_value(t->vm, KVM_CREATE_IRQCHIP, 0);
	first = vcpu_create(t->vm, 0);
	second = vcpu_create(t->vm, 1);
	expect_result(t, 1, msr_get_try(first, 0x1b, &base));
	expect_eq(t, 0, base & bsp);
	expect_result(t, 1, msr_get_try(second, 0x1b, &base));
	expect_eq(t, bsp, base & bsp);
	expect_errno(t, EBUSY, vm_ioctl_value_try(t->vm, KVM_SET_BOOT_CPU_ID, 0));
}

struct row {
	ROW_FIELDS;
	void (*host)(struct test *t);
};

static const struct row rows[] = {
	{ .label = "max_vcpu_id", .host = host_max_vcpu_id },
	{ .label = "no_max_vcpu_id", .host = host_no_max_vcpu_id },
	{ .label = "triple_fault_event", .host = host_triple_fault, .needs = "KVM_CAP_X86_TRIPLE_FAULT_EVENT" },
	{ .label = "dirty_ring_map", .host = host_dirty_ring_map, .needs = "KVM_CAP_DIRTY_LOG_RING" },
	{ .label = "no_dirty_ring", .host = host_no_dirty_ring },
	{ .label = "nr_mmu_pages", .host = host_nr_mmu_pages },
	{ .label = "boot_cpu", .host = host_boot_cpu, .needs = "KVM_CAP_SET_BOOT_CPU_ID" },
};

CASE(enable_cap_effect, .says = "what is set on a VM has its effect", .modes = NO_GUEST, .manual = true,
     .rows = ROWS(rows))

HOST(enable_cap_effect)
{
	t->vm = test_vm(t);
	ROW(t, rows)->host(t);
}
