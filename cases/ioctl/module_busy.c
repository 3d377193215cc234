/* SPDX-License-Identifier: MIT */
/*
 * KVM's modules cannot be unloaded while anything of them is in use: a descriptor of /dev/kvm, of a VM, a vCPU, a device
 * or statistics, a mapping. Each holds the vendor's module, and gives it back when it goes; kvm is held by the vendor's.
 *
 * Can break: a descriptor that holds nothing: its code is gone under it; one whose reference is never given back: the
 * module can never be unloaded again.
 * Source: delete_module(2) (EWOULDBLOCK: others use the module); KVM API, 2 (file descriptors).
 */
#include "case.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vm/x86/vendor.h"

struct row {
	ROW_FIELDS;
	void (*host)(struct test *t);
};

static long delete_try(const char *module)
{
	return syscall(SYS_delete_module, module, O_NONBLOCK) ? -errno : 0;
}

static long nr_users(struct test *t, const char *module)
{
	char path[128];
	FILE *file;
	long nr = -1;

	snprintf(path, sizeof(path), "/sys/module/%s/refcnt", module);
	file = fopen(path, "re");
	require_true(t, file != NULL);
	require_result(t, 1, fscanf(file, "%ld", &nr));
	fclose(file);
	return nr;
}

/* The last reference may go behind a grace period. */
static void expect_users(struct test *t, long want)
{
	unsigned int i;

	for (i = 0; nr_users(t, vendor_module()) != want && i < 200; i++)
		usleep(10000);
	expect_eq(t, want, nr_users(t, vendor_module()));
}

static void host_refused(struct test *t)
{
	struct vm *vm = vm_create(t->sys);

	expect_errno(t, EWOULDBLOCK, delete_try(vendor_module()));
	expect_errno(t, EWOULDBLOCK, delete_try("kvm"));
	/* It works as before. */
	vcpu_create(vm, 0);
	expect_result(t, 1, sys_has_cap(t->sys, KVM_CAP_HLT));
	vm_destroy(vm);
}

/* Closes @fd; it held the module, and gives it back. */
static void expect_held(struct test *t, const char *what, long fd, long before)
{
	test_say(t, "%s", what);
	require_true(t, fd >= 0);
	expect_true(t, nr_users(t, vendor_module()) > before);
	expect_errno(t, EWOULDBLOCK, delete_try(vendor_module()));
	close(fd);
	expect_users(t, before);
}

static void host_system(struct test *t)
{
	long before = nr_users(t, vendor_module());

	expect_held(t, "/dev/kvm", open("/dev/kvm", O_RDWR | O_CLOEXEC), before);
}

static void host_vm(struct test *t)
{
	long before = nr_users(t, vendor_module());

	expect_held(t, "VM", sys_call(t->sys, t->sys->fd, KVM_CREATE_VM, 0), before);
}

/* The others hold their VM, and it the module, when its own descriptor is closed. */
static void host_parts(struct test *t)
{
	static const char *const names[] = { "vCPU", "statistics of a VM", "statistics of a vCPU", "device" };
	long before = nr_users(t, vendor_module());
	unsigned int i;

	for (i = 0; i < 4; i++) {
		struct kvm_create_device device = { .type = KVM_DEV_TYPE_VFIO };
		long vm = sys_call(t->sys, t->sys->fd, KVM_CREATE_VM, 0);
		long vcpu = sys_call(t->sys, vm, KVM_CREATE_VCPU, 0), fd = vcpu;

		if (i == 3) {
			require_result(t, 0, sys_call(t->sys, vm, KVM_CREATE_DEVICE, (uintptr_t)&device));
			fd = device.fd;
		} else if (i) {
			fd = sys_call(t->sys, i == 1 ? vm : vcpu, KVM_GET_STATS_FD, 0);
		}
		close(vm);
		if (fd != vcpu)
			close(vcpu);
		expect_held(t, names[i], fd, before);
	}
}

static void host_mapping(struct test *t)
{
	long before = nr_users(t, vendor_module());
	long vm = sys_call(t->sys, t->sys->fd, KVM_CREATE_VM, 0);
	long vcpu = sys_call(t->sys, vm, KVM_CREATE_VCPU, 0);
	struct kvm_run *run = mmap(NULL, t->sys->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);

	require_true(t, run != MAP_FAILED);
	close(vm);
	close(vcpu);
	usleep(50000);
	expect_true(t, nr_users(t, vendor_module()) > before);
	expect_errno(t, EWOULDBLOCK, delete_try(vendor_module()));
	expect_eq(t, 0, run->immediate_exit);
	munmap(run, t->sys->run_bytes);
	expect_users(t, before);
}

/* A call that is refused leaves no reference. */
static void host_failures(struct test *t)
{
	long before = nr_users(t, vendor_module()), vm;
	struct kvm_create_device device = { .type = 0x7777 };

	expect_errno(t, EINVAL, sys_call(t->sys, t->sys->fd, KVM_CREATE_VM, 0x1234));
	vm = sys_call(t->sys, t->sys->fd, KVM_CREATE_VM, 0);
	expect_errno(t, EINVAL, sys_call(t->sys, vm, KVM_CREATE_VCPU, ~0u));
	expect_errno(t, ENODEV, sys_call(t->sys, vm, KVM_CREATE_DEVICE, (uintptr_t)&device));
	close(vm);
	expect_users(t, before);
}

static const struct row rows[] = {
	{ .label = "refused", .host = host_refused },
	{ .label = "system", .host = host_system },
	{ .label = "vm", .host = host_vm },
	{ .label = "parts", .host = host_parts, .needs = "KVM_CAP_BINARY_STATS_FD" },
	{ .label = "mapping", .host = host_mapping },
	{ .label = "failures", .host = host_failures },
};

CASE(module_busy, .says = "a module stays as long as anything of it is in use, and no longer", .modes = NO_GUEST,
     .manual = true, .needs = "lab root modules", .alone = true, .rows = ROWS(rows))

HOST(module_busy)
{
	ROW(t, rows)->host(t);
}
