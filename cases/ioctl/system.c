/* SPDX-License-Identifier: MIT */
/*
 * /dev/kvm's own calls: the version, the size of a vCPU's mapping, which VM types there are, what an argument that must
 * be zero does when it is not.
 *
 * Can break: an argument that is no longer looked at, a size that does not fit the mapping.
 * Source: KVM API, 4.1 (KVM_GET_API_VERSION), 4.2 (KVM_CREATE_VM), 4.5 (KVM_GET_VCPU_MMAP_SIZE), 5 (struct kvm_run).
 */
#include "case.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static long system_call(struct test *t, unsigned long request, uintptr_t argument)
{
	return sys_call(t->sys, t->sys->fd, request, argument);
}

static void host_api_version(struct test *t)
{
	expect_result(t, 12, system_call(t, KVM_GET_API_VERSION, 0));
	expect_errno(t, EINVAL, system_call(t, KVM_GET_API_VERSION, 1));
	expect_errno(t, EINVAL, system_call(t, KVM_GET_API_VERSION, 1ul << 32));
}

/* struct kvm_run, the PIO data page and the coalesced MMIO ring: a page each. */
static void host_mmap_size(struct test *t)
{
	long bytes = system_call(t, KVM_GET_VCPU_MMAP_SIZE, 0);

	expect_eq(t, 3 * 4096, bytes);
	expect_errno(t, EINVAL, system_call(t, KVM_GET_VCPU_MMAP_SIZE, 1));
}

static void expect_type(struct test *t, uintptr_t type, bool is_good)
{
	long fd = system_call(t, KVM_CREATE_VM, type);

	test_say(t, "type 0x%lx", (unsigned long)type);
	if (is_good) {
		expect_true(t, fd >= 0);
		expect_result(t, 0, t->sys->backend->close(t->sys->backend, fd));
	} else {
		expect_eq(t, (uint64_t)-EINVAL, fd);
	}
}

static void host_vm_type(struct test *t)
{
	unsigned int bit;

	expect_type(t, 0, true);
	for (bit = 5; bit < 64; bit++)
		expect_type(t, 1ul << bit, false);
	expect_type(t, ~0ul, false);
	expect_type(t, 0, true);
}

/* Descriptors of KVM do not leak into programs that are executed. */
static void host_close_on_exec(struct test *t)
{
	struct vm *vm = test_vm(t);
	struct vcpu *vcpu = vcpu_create(vm, 0);

	expect_eq(t, FD_CLOEXEC, fcntl(vm->fd, F_GETFD));
	expect_eq(t, FD_CLOEXEC, fcntl(vcpu->fd, F_GETFD));
}

/* The mapping ends where KVM_GET_VCPU_MMAP_SIZE says: behind it, no page is there to touch. */
static void host_mmap_offset(struct test *t)
{
	struct vm *vm = test_vm(t);
	struct vcpu *vcpu = vcpu_create(vm, 0);
	uint8_t *second = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 4096);

	require_true(t, second != MAP_FAILED);
	second[0] = 0x5a;
	second[4095] = 0xa5;
	expect_eq(t, 0x5a, ((uint8_t *)vcpu->run)[4096]);
	expect_eq(t, 0xa5, ((uint8_t *)vcpu->run)[8191]);
	expect_eq(t, 0, ((uint8_t *)vcpu->run)[0]);
	munmap(second, 4096);
}

struct row {
	ROW_FIELDS;
	void (*host)(struct test *t);
};

static const struct row rows[] = {
	{ .label = "api_version", .host = host_api_version },
	{ .label = "mmap_size", .host = host_mmap_size },
	{ .label = "vm_type", .host = host_vm_type },
	{ .label = "close_on_exec", .host = host_close_on_exec },
	{ .label = "mmap_offset", .host = host_mmap_offset },
};

CASE(system, .says = "/dev/kvm answers for itself", .modes = NO_GUEST, .manual = true, .rows = ROWS(rows))

HOST(system)
{
	ROW(t, rows)->host(t);
}
