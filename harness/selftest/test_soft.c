/* SPDX-License-Identifier: MIT */
/* The self-contained hypervisor's door: descriptors, errors, copies, life. */
#include <errno.h>
#include <linux/kvm.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "soft/soft.h"

struct fixture {
	struct soft *soft;
	const struct backend *backend;
	int sys, vm;
};

static int setup(void **state)
{
	static struct fixture fixture;

	fixture = (struct fixture) { 0 };
	if (soft_create(&fixture.soft))
		return -1;
	fixture.backend = soft_backend(fixture.soft);
	fixture.sys = fixture.backend->open(fixture.backend);
	fixture.vm = (int)fixture.backend->ioctl(fixture.backend, fixture.sys, KVM_CREATE_VM, 0);
	*state = &fixture;
	return fixture.vm < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	soft_destroy(fixture->soft);
	return 0;
}

static long call(struct fixture *fixture, int fd, unsigned long request, const void *argument)
{
	return fixture->backend->ioctl(fixture->backend, fd, request, (uintptr_t)argument);
}

static void test_unknown_requests(void **state)
{
	struct fixture *f = *state;
	long vcpu = f->backend->ioctl(f->backend, f->vm, KVM_CREATE_VCPU, 0);

	assert_true(vcpu >= 0);
	assert_int_equal(call(f, f->sys, KVM_RUN, NULL), -EINVAL);
	assert_int_equal(call(f, f->vm, KVM_RUN, NULL), -ENOTTY);
	assert_int_equal(call(f, (int)vcpu, KVM_CREATE_VM, NULL), -EINVAL);
	assert_int_equal(call(f, -1, KVM_RUN, NULL), -EBADF);
}

static void test_bad_pointers(void **state)
{
	struct fixture *f = *state;
	void *nowhere = (void *)8;
	long vcpu = f->backend->ioctl(f->backend, f->vm, KVM_CREATE_VCPU, 0);

	assert_int_equal(call(f, f->vm, KVM_SET_USER_MEMORY_REGION, nowhere), -EFAULT);
	assert_int_equal(call(f, (int)vcpu, KVM_GET_REGS, nowhere), -EFAULT);
	assert_int_equal(call(f, (int)vcpu, KVM_SET_REGS, nowhere), -EFAULT);
	assert_int_equal(call(f, (int)vcpu, KVM_GET_MSRS, nowhere), -EFAULT);
}

/* A vCPU keeps its VM alive: the VM's descriptor may go first. */
static void test_vcpu_outlives_vm_fd(void **state)
{
	struct fixture *f = *state;
	struct kvm_regs regs = { .rbx = 7, .rflags = 2 }, got;
	long vcpu = f->backend->ioctl(f->backend, f->vm, KVM_CREATE_VCPU, 0);

	assert_int_equal(f->backend->close(f->backend, f->vm), 0);
	assert_int_equal(call(f, f->vm, KVM_CHECK_EXTENSION, NULL), -EBADF);
	assert_int_equal(call(f, (int)vcpu, KVM_SET_REGS, &regs), 0);
	assert_int_equal(call(f, (int)vcpu, KVM_GET_REGS, &got), 0);
	assert_memory_equal(&regs, &got, sizeof(regs));
	assert_int_equal(f->backend->close(f->backend, (int)vcpu), 0);
}

static void test_run_page_is_shared(void **state)
{
	struct fixture *f = *state;
	long vcpu = f->backend->ioctl(f->backend, f->vm, KVM_CREATE_VCPU, 0);
	long len = call(f, f->sys, KVM_GET_VCPU_MMAP_SIZE, NULL);
	int error = 0;
	struct kvm_run *one = f->backend->mmap(f->backend, (int)vcpu, (size_t)len, 0, &error);
	struct kvm_run *other = f->backend->mmap(f->backend, (int)vcpu, (size_t)len, 0, &error);

	assert_non_null(one);
	assert_non_null(other);
	assert_ptr_not_equal(one, other);
	one->immediate_exit = 1;
	assert_int_equal(other->immediate_exit, 1);
	assert_int_equal(call(f, (int)vcpu, KVM_RUN, NULL), -EINTR);
	assert_int_equal(f->backend->munmap(f->backend, one, (size_t)len), 0);
	assert_int_equal(f->backend->munmap(f->backend, other, (size_t)len), 0);
	assert_null(f->backend->mmap(f->backend, f->vm, (size_t)len, 0, &error));
	assert_int_equal(error, -ENODEV);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_unknown_requests, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_pointers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vcpu_outlives_vm_fd, setup, teardown),
		cmocka_unit_test_setup_teardown(test_run_page_is_shared, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
