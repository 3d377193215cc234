/* SPDX-License-Identifier: MIT */
/*
 * Arguments of a VM's other calls: capabilities to enable, the addresses that Intel needs, the clock, the TSC's
 * frequency, the dirty log, coalesced MMIO.
 *
 * Can break: a limit or a flag that is no longer looked at, a refusal that has its effect.
 * Source: KVM API, 4.37 (KVM_ENABLE_CAP), 4.36 (KVM_SET_TSS_ADDR), 4.40 (KVM_SET_IDENTITY_MAP_ADDR), 4.8
 * (KVM_GET_DIRTY_LOG), 4.29, 4.30 (KVM_GET_CLOCK, KVM_SET_CLOCK), 4.55, 4.56 (KVM_SET_TSC_KHZ, KVM_GET_TSC_KHZ), 4.116
 * (KVM_REGISTER_COALESCED_MMIO), KVM_CLEAR_DIRTY_LOG, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2.
 */
#include "case.h"

#include <string.h>

#include "cases/ioctl/vcpu_state.h"

#define PAGE 4096ull

static long cap_try(struct test *t, uint32_t cap, uint32_t flags, uint64_t arg)
{
	struct kvm_enable_cap enable = { .cap = cap, .flags = flags, .args[0] = arg };

	return vm_ioctl_try(t->vm, KVM_ENABLE_CAP, &enable);
}

static void host_enable_cap(struct test *t)
{
	expect_errno(t, EINVAL, cap_try(t, 9999, 0, 0));
	expect_errno(t, EINVAL, cap_try(t, KVM_CAP_HLT, 0, 0));
	expect_errno(t, EINVAL, cap_try(t, KVM_CAP_EXCEPTION_PAYLOAD, 1, 1));
	expect_errno(t, EINVAL, cap_try(t, KVM_CAP_X2APIC_API, 0, 1ull << 8));
	expect_errno(t, EINVAL, cap_try(t, KVM_CAP_X2APIC_API, 1, 0));
	expect_result(t, 0, cap_try(t, KVM_CAP_X2APIC_API, 0, 3));
	expect_errno(t, EINVAL, cap_try(t, KVM_CAP_X86_USER_SPACE_MSR, 0, 1 << 3));
	expect_result(t, 0, cap_try(t, KVM_CAP_X86_USER_SPACE_MSR, 0, 7));
	expect_errno(t, EINVAL, cap_try(t, KVM_CAP_X86_DISABLE_EXITS, 0, 1 << 8));
	expect_errno(t, EINVAL, cap_try(t, KVM_CAP_DISABLE_QUIRKS2, 0, 1ull << 40));
	expect_errno(t, EINVAL, cap_try(t, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 0, 2));
	expect_errno(t, EINVAL, cap_try(t, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 0, 4));
	expect_errno(t, EINVAL, cap_try(t, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 1, 1));
	expect_result(t, 0, cap_try(t, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 0, 3));
	expect_errno(t, EINVAL, cap_try(t, KVM_CAP_HALT_POLL, 0, 1ull << 32));
	expect_errno(t, EINVAL, cap_try(t, KVM_CAP_HALT_POLL, 1, 0));
	expect_result(t, 0, cap_try(t, KVM_CAP_HALT_POLL, 0, 0));
}

/* A refused one is not on: no payload flag in the events. */
static void host_enable_cap_effect(struct test *t)
{
	struct vcpu *vcpu = vcpu_create(t->vm, 0);
	struct kvm_vcpu_events events;

	expect_errno(t, EINVAL, cap_try(t, KVM_CAP_EXCEPTION_PAYLOAD, 1u << 31, 1));
	vcpu_events_get(vcpu, &events);
	expect_eq(t, 0, events.flags & KVM_VCPUEVENT_VALID_PAYLOAD);
	expect_result(t, 0, cap_try(t, KVM_CAP_EXCEPTION_PAYLOAD, 0, 1));
	vcpu_events_get(vcpu, &events);
	expect_eq(t, KVM_VCPUEVENT_VALID_PAYLOAD, events.flags & KVM_VCPUEVENT_VALID_PAYLOAD);
	expect_result(t, 0, cap_try(t, KVM_CAP_EXCEPTION_PAYLOAD, 0, 0));
	vcpu_events_get(vcpu, &events);
	expect_eq(t, 0, events.flags & KVM_VCPUEVENT_VALID_PAYLOAD);
}

static void host_vcpu_enable_cap(struct test *t)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_HLT };
	struct vcpu *vcpu = vcpu_create(t->vm, 0);

	expect_errno(t, EINVAL, vcpu_ioctl_try(vcpu, KVM_ENABLE_CAP, &cap));
	cap.cap = KVM_CAP_HYPERV_SYNIC;	/* needs the irqchip */
	expect_errno(t, EINVAL, vcpu_ioctl_try(vcpu, KVM_ENABLE_CAP, &cap));
	cap.cap = KVM_CAP_ENFORCE_PV_FEATURE_CPUID;
	cap.flags = 1;
	expect_errno(t, EINVAL, vcpu_ioctl_try(vcpu, KVM_ENABLE_CAP, &cap));
	cap.flags = 0;
	cap.args[0] = 1;
	expect_result(t, 0, vcpu_ioctl_try(vcpu, KVM_ENABLE_CAP, &cap));
}

static void host_tss_addr(struct test *t)
{
	/* Three pages below 4 GiB. */
	expect_errno(t, EINVAL, vm_ioctl_value_try(t->vm, KVM_SET_TSS_ADDR, 0xffffd001));
	expect_errno(t, EINVAL, vm_ioctl_value_try(t->vm, KVM_SET_TSS_ADDR, 0xfffff000));
	expect_errno(t, EINVAL, vm_ioctl_value_try(t->vm, KVM_SET_TSS_ADDR, 1ull << 32));
	expect_errno(t, EINVAL, vm_ioctl_value_try(t->vm, KVM_SET_TSS_ADDR, ~0ull));
	expect_result(t, 0, vm_ioctl_value_try(t->vm, KVM_SET_TSS_ADDR, 0xffffd000));
}

static void host_identity_map(struct test *t)
{
	uint64_t address = 0xfffbc000;

	expect_errno(t, EFAULT, sys_call(t->sys, t->vm->fd, KVM_SET_IDENTITY_MAP_ADDR, 0));
	expect_errno(t, EFAULT, sys_call(t->sys, t->vm->fd, KVM_SET_IDENTITY_MAP_ADDR, 8));
	expect_result(t, 0, sys_call(t->sys, t->vm->fd, KVM_SET_IDENTITY_MAP_ADDR, (uintptr_t)&address));
	vcpu_create(t->vm, 0);
	expect_errno(t, EINVAL, sys_call(t->sys, t->vm->fd, KVM_SET_IDENTITY_MAP_ADDR, (uintptr_t)&address));
}

static void host_boot_cpu(struct test *t)
{
	expect_result(t, 0, vm_ioctl_value_try(t->vm, KVM_SET_BOOT_CPU_ID, 3));
	expect_result(t, 0, vm_ioctl_value_try(t->vm, KVM_SET_BOOT_CPU_ID, 0));
	vcpu_create(t->vm, 0);
	expect_errno(t, EBUSY, vm_ioctl_value_try(t->vm, KVM_SET_BOOT_CPU_ID, 0));
}

static void host_nr_mmu_pages(struct test *t)
{
	expect_errno(t, EINVAL, vm_ioctl_value_try(t->vm, KVM_SET_NR_MMU_PAGES, 0));
	expect_errno(t, EINVAL, vm_ioctl_value_try(t->vm, KVM_SET_NR_MMU_PAGES, 63));
	expect_result(t, 0, vm_ioctl_value_try(t->vm, KVM_SET_NR_MMU_PAGES, 64));
	expect_result(t, 0, vm_ioctl_value_try(t->vm, KVM_SET_NR_MMU_PAGES, 1000));
}

static void host_clock(struct test *t)
{
	struct kvm_clock_data set = { .clock = 1000000000000000 }, got = { 0 }, later = { 0 };

	set.flags = 1;
	expect_errno(t, EINVAL, vm_ioctl_try(t->vm, KVM_SET_CLOCK, &set));
	set.flags = 1 << 4;
	expect_errno(t, EINVAL, vm_ioctl_try(t->vm, KVM_SET_CLOCK, &set));
	vm_ioctl(t->vm, KVM_GET_CLOCK, &got);
	expect_true(t, got.clock < 1000000000000);	/* refused: the VM is young */
	set.flags = 0;
	expect_result(t, 0, vm_ioctl_try(t->vm, KVM_SET_CLOCK, &set));
	vm_ioctl(t->vm, KVM_GET_CLOCK, &got);
	/* Within two minutes, in nanoseconds. */
	expect_true(t, got.clock >= set.clock && got.clock < set.clock + 120000000000);
	expect_eq(t, 0, got.flags & ~0xeu);
	expect_eq(t, 0, got.pad0);
	vm_ioctl(t->vm, KVM_GET_CLOCK, &later);
	expect_true(t, later.clock > got.clock);
	expect_result(t, 0, vm_ioctl_try(t->vm, KVM_SET_CLOCK, &later));
}

/* On a VM for the vCPUs to come, on a vCPU for itself. */
static void host_tsc_khz(struct test *t)
{
	struct vcpu *first = vcpu_create(t->vm, 0), *second;
	long khz = vcpu_ioctl_value_try(first, KVM_GET_TSC_KHZ, 0), host;

	require_true(t, khz > 0);
	expect_result(t, khz, vm_ioctl_value_try(t->vm, KVM_GET_TSC_KHZ, 0));
	expect_result(t, 0, vcpu_ioctl_value_try(first, KVM_SET_TSC_KHZ, khz + khz / 2));
	expect_result(t, khz + khz / 2, vcpu_ioctl_value_try(first, KVM_GET_TSC_KHZ, 0));
	expect_result(t, khz, vm_ioctl_value_try(t->vm, KVM_GET_TSC_KHZ, 0));
	expect_result(t, 0, vm_ioctl_value_try(t->vm, KVM_SET_TSC_KHZ, 2 * khz));
	expect_result(t, 2 * khz, vm_ioctl_value_try(t->vm, KVM_GET_TSC_KHZ, 0));
	second = vcpu_create(t->vm, 1);
	expect_result(t, 2 * khz, vcpu_ioctl_value_try(second, KVM_GET_TSC_KHZ, 0));
	expect_result(t, khz + khz / 2, vcpu_ioctl_value_try(first, KVM_GET_TSC_KHZ, 0));
	/* 0 is the host's: measured again since the module was loaded, perhaps. */
	expect_result(t, 0, vcpu_ioctl_value_try(first, KVM_SET_TSC_KHZ, 0));
	host = vcpu_ioctl_value_try(first, KVM_GET_TSC_KHZ, 0);
	expect_true(t, host > khz - khz / 100 && host < khz + khz / 100);
	expect_result(t, 0, vm_ioctl_value_try(t->vm, KVM_SET_TSC_KHZ, 0));
	expect_result(t, host, vm_ioctl_value_try(t->vm, KVM_GET_TSC_KHZ, 0));
}

static long log_try(struct test *t, uint32_t slot, void *bitmap)
{
	struct kvm_dirty_log log = { .slot = slot, .dirty_bitmap = bitmap };

	return vm_ioctl_try(t->vm, KVM_GET_DIRTY_LOG, &log);
}

static void host_dirty_log(struct test *t)
{
	uint32_t nr_slots = sys_has_cap(t->sys, KVM_CAP_NR_MEMSLOTS);
	uint64_t bitmap[3];

	memset(bitmap, 0xa5, sizeof(bitmap));
	vm_slot_add(t->vm, 1, 0, 0, 70 * PAGE);
	vm_slot_add(t->vm, 2, KVM_MEM_LOG_DIRTY_PAGES, 0x100000, 70 * PAGE);
	expect_errno(t, ENOENT, log_try(t, 0, bitmap));
	expect_errno(t, ENOENT, log_try(t, 1, bitmap));
	expect_errno(t, ENOENT, log_try(t, nr_slots - 1, bitmap));
	expect_errno(t, EINVAL, log_try(t, nr_slots, bitmap));
	expect_errno(t, EINVAL, log_try(t, 0xffff, bitmap));
	expect_errno(t, EINVAL, log_try(t, 2 << 16 | 2, bitmap));
	expect_errno(t, ENOENT, log_try(t, 1 << 16 | 2, bitmap));
	expect_errno(t, EFAULT, log_try(t, 2, NULL));
	expect_eq(t, 0xa5a5a5a5a5a5a5a5, bitmap[0]);
	expect_result(t, 0, log_try(t, 2, bitmap));
	expect_eq(t, 0, bitmap[0]);
	expect_eq(t, 0, bitmap[1]);
	expect_eq(t, 0xa5a5a5a5a5a5a5a5, bitmap[2]);
	vm_slot_delete(t->vm, 2);
	expect_errno(t, ENOENT, log_try(t, 2, bitmap));
}

static long clear_try(struct test *t, uint32_t slot, uint64_t first, uint32_t nr, void *bitmap)
{
	struct kvm_clear_dirty_log log = { .slot = slot, .first_page = first, .num_pages = nr, .dirty_bitmap = bitmap };

	return vm_ioctl_try(t->vm, KVM_CLEAR_DIRTY_LOG, &log);
}

/* First page by 64; the count too, but for the slot's end. */
static void host_clear_dirty_log(struct test *t)
{
	uint64_t bitmap[8] = { ~0ull, ~0ull, ~0ull };

	expect_result(t, 0, cap_try(t, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 0, 1));
	vm_slot_add(t->vm, 1, 0, 0, 70 * PAGE);
	vm_slot_add(t->vm, 2, KVM_MEM_LOG_DIRTY_PAGES, 0x100000, 70 * PAGE);
	expect_errno(t, ENOENT, clear_try(t, 1, 0, 64, bitmap));
	expect_errno(t, ENOENT, clear_try(t, 3, 0, 64, bitmap));
	expect_errno(t, EINVAL, clear_try(t, 2 << 16 | 2, 0, 64, bitmap));
	expect_errno(t, EINVAL, clear_try(t, 2, 1, 64, bitmap));
	expect_errno(t, EINVAL, clear_try(t, 2, 63, 7, bitmap));
	expect_errno(t, EINVAL, clear_try(t, 2, 0, 63, bitmap));
	expect_errno(t, EINVAL, clear_try(t, 2, 0, 65, bitmap));
	expect_errno(t, EINVAL, clear_try(t, 2, 0, 71, bitmap));
	expect_errno(t, EINVAL, clear_try(t, 2, 0, 128, bitmap));
	expect_errno(t, EINVAL, clear_try(t, 2, 64, 7, bitmap));
	expect_errno(t, EINVAL, clear_try(t, 2, 128, 64, bitmap));
	expect_errno(t, EFAULT, clear_try(t, 2, 0, 64, NULL));
	expect_result(t, 0, clear_try(t, 2, 0, 64, bitmap));
	expect_result(t, 0, clear_try(t, 2, 64, 6, bitmap));
	expect_result(t, 0, clear_try(t, 2, 0, 70, bitmap));
}

static void host_coalesced(struct test *t)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = 0x1000, .size = 4, .pio = 2 };

	expect_errno(t, EINVAL, vm_ioctl_try(t->vm, KVM_REGISTER_COALESCED_MMIO, &zone));
	expect_errno(t, EINVAL, vm_ioctl_try(t->vm, KVM_UNREGISTER_COALESCED_MMIO, &zone));
	zone.pio = 1;
	expect_result(t, 0, vm_ioctl_try(t->vm, KVM_REGISTER_COALESCED_MMIO, &zone));
	zone.pio = 0;
	expect_result(t, 0, vm_ioctl_try(t->vm, KVM_REGISTER_COALESCED_MMIO, &zone));
	expect_result(t, 0, vm_ioctl_try(t->vm, KVM_UNREGISTER_COALESCED_MMIO, &zone));
}

static long zone_try(struct test *t, unsigned long request, uint32_t index, uint32_t pio)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = 8 * index, .size = 4, .pio = pio };

	return sys_call(t->sys, t->vm->fd, request, (uintptr_t)&zone);
}

/* A bus has room for so many zones; one that goes makes room for one, and the other bus has its own. */
static void host_coalesced_most(struct test *t)
{
	uint32_t nr = 0;

	while (nr < 5000 && !zone_try(t, KVM_REGISTER_COALESCED_MMIO, nr, 0))
		nr++;
	expect_true(t, nr >= 100);
	expect_errno(t, ENOSPC, zone_try(t, KVM_REGISTER_COALESCED_MMIO, nr, 0));
	expect_result(t, 0, zone_try(t, KVM_UNREGISTER_COALESCED_MMIO, 0, 0));
	expect_result(t, 0, zone_try(t, KVM_REGISTER_COALESCED_MMIO, nr, 0));
	expect_errno(t, ENOSPC, zone_try(t, KVM_REGISTER_COALESCED_MMIO, 0, 0));
	expect_result(t, 0, zone_try(t, KVM_REGISTER_COALESCED_MMIO, 0, 1));
}

static void host_create_device(struct test *t)
{
	struct kvm_create_device device = { .type = 0x7777, .fd = 0x5a5a };

	expect_errno(t, ENODEV, vm_ioctl_try(t->vm, KVM_CREATE_DEVICE, &device));
	device.flags = KVM_CREATE_DEVICE_TEST;
	device.type = KVM_DEV_TYPE_ARM_VGIC_V3;
	expect_errno(t, ENODEV, vm_ioctl_try(t->vm, KVM_CREATE_DEVICE, &device));
	expect_eq(t, 0x5a5a, device.fd);
}

struct row {
	ROW_FIELDS;
	void (*host)(struct test *t);
};

static const struct row rows[] = {
	{ .label = "enable_cap", .host = host_enable_cap },
	{ .label = "enable_cap_effect", .host = host_enable_cap_effect },
	{ .label = "vcpu_enable_cap", .host = host_vcpu_enable_cap },
	{ .label = "tss_addr", .host = host_tss_addr },
	{ .label = "identity_map", .host = host_identity_map },
	{ .label = "boot_cpu", .host = host_boot_cpu },
	{ .label = "nr_mmu_pages", .host = host_nr_mmu_pages },
	{ .label = "clock", .host = host_clock, .needs = "KVM_CAP_ADJUST_CLOCK" },
	{ .label = "tsc_khz", .host = host_tsc_khz, .needs = "KVM_CAP_GET_TSC_KHZ" },
	{ .label = "dirty_log", .host = host_dirty_log },
	{ .label = "clear_dirty_log", .host = host_clear_dirty_log, .needs = "KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2" },
	{ .label = "coalesced", .host = host_coalesced, .needs = "KVM_CAP_COALESCED_PIO" },
	{ .label = "coalesced_most", .host = host_coalesced_most, .needs = "KVM_CAP_COALESCED_PIO" },
	{ .label = "create_device", .host = host_create_device },
};

CASE(vm_args, .says = "a VM's calls take what they document", .modes = NO_GUEST, .manual = true, .rows = ROWS(rows))

HOST(vm_args)
{
	t->vm = test_vm(t);
	ROW(t, rows)->host(t);
}
