/* SPDX-License-Identifier: MIT */
/*
 * Device descriptors and attributes: KVM_CREATE_DEVICE with and without KVM_CREATE_DEVICE_TEST, what a device of x86
 * (the VFIO one) answers, and the attributes of the system.
 *
 * Can break: a type beyond the table, a test that creates, a second device where one is the limit, an unknown group or
 * attribute let through, a call that no device has.
 * Source: KVM API, 4.79 (KVM_CREATE_DEVICE), 4.80 (KVM_SET_DEVICE_ATTR), 4.81 (KVM_HAS_DEVICE_ATTR);
 * Documentation/virt/kvm/devices/vfio.rst.
 */
#include "case.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static long create_try(struct test *t, uint32_t type, uint32_t flags, int *ret_fd)
{
	struct kvm_create_device device = { .type = type, .fd = 0x55aa, .flags = flags };
	long r = vm_ioctl_try(t->vm, KVM_CREATE_DEVICE, &device);

	*ret_fd = device.fd;
	return r;
}

static long attr_try(struct test *t, int fd, unsigned long request, uint32_t group, uint64_t attr, const void *addr)
{
	struct kvm_device_attr argument = { .group = group, .attr = attr, .addr = (uintptr_t)addr };

	return sys_call(t->sys, fd, request, (uintptr_t)&argument);
}

/* No type of x86, or none at all; the descriptor's field is left alone. */
static void host_unknown_type(struct test *t)
{
	static const uint32_t types[] = {
		0, KVM_DEV_TYPE_FSL_MPIC_20, KVM_DEV_TYPE_XICS, KVM_DEV_TYPE_ARM_VGIC_V2, KVM_DEV_TYPE_ARM_VGIC_V3,
		KVM_DEV_TYPE_FLIC, 1000, 0x7fffffff, 0x80000000, 0xffffffff,
	};
	unsigned int i;
	int fd;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		test_say(t, "type %u", types[i]);
		expect_errno(t, ENODEV, create_try(t, types[i], 0, &fd));
		expect_eq(t, 0x55aa, fd);
		expect_errno(t, ENODEV, create_try(t, types[i], KVM_CREATE_DEVICE_TEST, &fd));
		expect_eq(t, 0x55aa, fd);
	}
}

/* Tested as often as one likes, and nothing is created by it. */
static void host_vfio(struct test *t)
{
	int fd, none;

	expect_result(t, 0, create_try(t, KVM_DEV_TYPE_VFIO, KVM_CREATE_DEVICE_TEST, &fd));
	expect_eq(t, 0x55aa, fd);
	expect_result(t, 0, create_try(t, KVM_DEV_TYPE_VFIO, KVM_CREATE_DEVICE_TEST, &fd));
	require_result(t, 0, create_try(t, KVM_DEV_TYPE_VFIO, 0, &fd));
	expect_true(t, fd >= 0 && fd != 0x55aa);
	expect_result(t, 0, create_try(t, KVM_DEV_TYPE_VFIO, KVM_CREATE_DEVICE_TEST, &none));
	close(fd);
}

static void host_vfio_second(struct test *t)
{
	int fd, none;

	require_result(t, 0, create_try(t, KVM_DEV_TYPE_VFIO, 0, &fd));
	expect_errno(t, EEXIST, create_try(t, KVM_DEV_TYPE_VFIO, 0, &none));
	expect_eq(t, 0x55aa, none);
	close(fd);
}

/* A group of VFIO devices is added and removed by the descriptor of one, which none of these is. */
static void host_vfio_attr(struct test *t)
{
	const int32_t closed = 999;
	int fd;

	require_result(t, 0, create_try(t, KVM_DEV_TYPE_VFIO, 0, &fd));
	expect_result(t, 0, attr_try(t, fd, KVM_HAS_DEVICE_ATTR, KVM_DEV_VFIO_GROUP, KVM_DEV_VFIO_GROUP_ADD, NULL));
	expect_result(t, 0, attr_try(t, fd, KVM_HAS_DEVICE_ATTR, KVM_DEV_VFIO_GROUP, KVM_DEV_VFIO_GROUP_DEL, NULL));
	expect_errno(t, ENXIO, attr_try(t, fd, KVM_HAS_DEVICE_ATTR, KVM_DEV_VFIO_GROUP, 0, NULL));
	expect_errno(t, ENXIO, attr_try(t, fd, KVM_HAS_DEVICE_ATTR, KVM_DEV_VFIO_GROUP, 99, NULL));
	expect_errno(t, ENXIO, attr_try(t, fd, KVM_HAS_DEVICE_ATTR, 99, KVM_DEV_VFIO_GROUP_ADD, NULL));
	expect_errno(t, ENXIO, attr_try(t, fd, KVM_SET_DEVICE_ATTR, 99, KVM_DEV_VFIO_GROUP_ADD, &closed));
	expect_errno(t, ENXIO, attr_try(t, fd, KVM_SET_DEVICE_ATTR, KVM_DEV_VFIO_GROUP, 99, &closed));
	expect_errno(t, EFAULT, attr_try(t, fd, KVM_SET_DEVICE_ATTR, KVM_DEV_VFIO_GROUP, KVM_DEV_VFIO_GROUP_ADD, NULL));
	expect_errno(t, EBADF, attr_try(t, fd, KVM_SET_DEVICE_ATTR, KVM_DEV_VFIO_GROUP, KVM_DEV_VFIO_GROUP_ADD,
					&closed));
	/* Nothing of it can be read. */
	expect_errno(t, EPERM, attr_try(t, fd, KVM_GET_DEVICE_ATTR, KVM_DEV_VFIO_GROUP, KVM_DEV_VFIO_GROUP_ADD,
					&closed));
	expect_errno(t, EFAULT, sys_call(t->sys, fd, KVM_HAS_DEVICE_ATTR, 0));
	expect_errno(t, EFAULT, sys_call(t->sys, fd, KVM_SET_DEVICE_ATTR, 0));
	close(fd);
}

/* A device has no other calls, neither its VM's nor a vCPU's. */
static void host_other_calls(struct test *t)
{
	static const unsigned long requests[] = {
		KVM_GET_API_VERSION, KVM_CREATE_VM, KVM_CREATE_VCPU, KVM_CREATE_DEVICE, KVM_SET_USER_MEMORY_REGION, KVM_RUN,
		KVM_GET_REGS, KVM_CHECK_EXTENSION,
	};
	static uint8_t argument[4096];
	unsigned int i;
	int fd;

	require_result(t, 0, create_try(t, KVM_DEV_TYPE_VFIO, 0, &fd));
	for (i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		test_say(t, "request 0x%lx", requests[i]);
		expect_errno(t, ENOTTY, sys_call(t->sys, fd, requests[i], (uintptr_t)argument));
	}
	close(fd);
}

/* A device keeps its VM alive, whose descriptor is closed. */
static void host_outlives_vm(struct test *t)
{
	const struct backend *backend = t->sys->backend;
	struct kvm_create_device device = { .type = KVM_DEV_TYPE_VFIO };
	long vm = sys_call(t->sys, t->sys->fd, KVM_CREATE_VM, 0);

	require_true(t, vm >= 0);
	require_result(t, 0, sys_call(t->sys, vm, KVM_CREATE_DEVICE, (uintptr_t)&device));
	backend->close(backend, vm);
	expect_result(t, 0, attr_try(t, device.fd, KVM_HAS_DEVICE_ATTR, KVM_DEV_VFIO_GROUP, KVM_DEV_VFIO_GROUP_ADD,
				     NULL));
	close(device.fd);
}

/* Nothing of this one can be mapped. */
static void host_no_mapping(struct test *t)
{
	int fd;

	require_result(t, 0, create_try(t, KVM_DEV_TYPE_VFIO, 0, &fd));
	expect_true(t, mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED);
	expect_eq(t, ENODEV, errno);
	close(fd);
}

/* A device belongs to its VM's process: a child that has the descriptor is refused. */
static void host_other_process(struct test *t)
{
	int fd, status = 0;
	pid_t child;

	require_result(t, 0, create_try(t, KVM_DEV_TYPE_VFIO, 0, &fd));
	child = fork();
	if (child == 0)
		_exit(-attr_try(t, fd, KVM_HAS_DEVICE_ATTR, KVM_DEV_VFIO_GROUP, KVM_DEV_VFIO_GROUP_ADD, NULL));
	require_true(t, child > 0 && waitpid(child, &status, 0) == child);
	require_true(t, WIFEXITED(status));
	expect_eq(t, EIO, WEXITSTATUS(status));
	expect_result(t, 0, attr_try(t, fd, KVM_HAS_DEVICE_ATTR, KVM_DEV_VFIO_GROUP, KVM_DEV_VFIO_GROUP_ADD, NULL));
	close(fd);
}

/* Attributes of the system: XCR0's bits that guests may have, as CPUID leaf 0xd says too; it is read only. */
static void host_system_attr(struct test *t)
{
	struct kvm_cpuid_entry2 leaf = { 0 };
	uint64_t bits = 0x5555;

	expect_result(t, 0, attr_try(t, t->sys->fd, KVM_HAS_DEVICE_ATTR, 0, KVM_X86_XCOMP_GUEST_SUPP, &bits));
	expect_eq(t, 0x5555, bits);
	expect_result(t, 0, attr_try(t, t->sys->fd, KVM_GET_DEVICE_ATTR, 0, KVM_X86_XCOMP_GUEST_SUPP, &bits));
	cpuid_find(sys_supported_cpuid(t->sys), 0xd, 0, &leaf);
	expect_eq(t, (uint64_t)leaf.edx << 32 | leaf.eax, bits);
	expect_errno(t, ENXIO, attr_try(t, t->sys->fd, KVM_HAS_DEVICE_ATTR, 0, 99, &bits));
	expect_errno(t, ENXIO, attr_try(t, t->sys->fd, KVM_HAS_DEVICE_ATTR, 99, KVM_X86_XCOMP_GUEST_SUPP, &bits));
	expect_errno(t, ENXIO, attr_try(t, t->sys->fd, KVM_GET_DEVICE_ATTR, 0, 99, &bits));
	expect_errno(t, ENXIO, attr_try(t, t->sys->fd, KVM_GET_DEVICE_ATTR, 99, KVM_X86_XCOMP_GUEST_SUPP, &bits));
	expect_errno(t, EFAULT, attr_try(t, t->sys->fd, KVM_GET_DEVICE_ATTR, 0, KVM_X86_XCOMP_GUEST_SUPP, (void *)8));
	expect_errno(t, EFAULT, sys_call(t->sys, t->sys->fd, KVM_GET_DEVICE_ATTR, 0));
	expect_errno(t, EFAULT, sys_call(t->sys, t->sys->fd, KVM_HAS_DEVICE_ATTR, 8));
	expect_errno(t, EINVAL, attr_try(t, t->sys->fd, KVM_SET_DEVICE_ATTR, 0, KVM_X86_XCOMP_GUEST_SUPP, &bits));
}

struct row {
	ROW_FIELDS;
	void (*host)(struct test *t);
};

static const struct row rows[] = {
	{ .label = "unknown_type", .host = host_unknown_type },
	{ .label = "vfio", .host = host_vfio },
	{ .label = "vfio_second", .host = host_vfio_second, .known = { "1201-second-device-ebusy" } },
	{ .label = "vfio_attr", .host = host_vfio_attr },
	{ .label = "other_calls", .host = host_other_calls },
	{ .label = "outlives_vm", .host = host_outlives_vm },
	{ .label = "no_mapping", .host = host_no_mapping },
	{ .label = "other_process", .host = host_other_process },
	{ .label = "system_attr", .host = host_system_attr, .needs = "KVM_CAP_SYS_ATTRIBUTES" },
};

CASE(device, .says = "devices and attributes are there as documented, and no others", .modes = NO_GUEST,
     .rows = ROWS(rows))

HOST(device)
{
	ROW(t, rows)->host(t);
}
