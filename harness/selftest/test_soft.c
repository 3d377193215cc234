/* SPDX-License-Identifier: MIT */
/* The self-contained hypervisor's door: descriptors, errors, copies, life. */
#include <errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
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

/* --- two VMs of one hypervisor, each in a thread of its own --- */

#define NR_VMS 20
#define NR_OUTS 500
#define GUEST_BYTES 0x10000

struct twin {
	struct fixture *fixture;
	uint16_t first;		/* value that its guests tell */
	bool is_good;
};

/* Its guest tells one value after the other: inc %ax; out %ax, $0x80; mov %ax, (0x800); jmp to the inc. */
static const uint8_t counter_code[] = { 0x40, 0xe7, 0x80, 0xa3, 0x00, 0x08, 0xeb, 0xf8 };

static long counter_make(struct twin *twin, uint8_t *ram, long vm)
{
	const struct kvm_userspace_memory_region region = {
		.memory_size = GUEST_BYTES, .userspace_addr = (uintptr_t)ram,
	};
	struct kvm_regs regs = { .rax = twin->first, .rflags = 2 };
	struct fixture *f = twin->fixture;
	long vcpu = f->backend->ioctl(f->backend, (int)vm, KVM_CREATE_VCPU, 0);
	struct kvm_sregs sregs;

	memcpy(ram, counter_code, sizeof(counter_code));
	if (call(f, (int)vm, KVM_SET_USER_MEMORY_REGION, &region) || call(f, (int)vcpu, KVM_GET_SREGS, &sregs))
		return -1;
	sregs.cs.base = sregs.cs.selector = 0;
	return call(f, (int)vcpu, KVM_SET_SREGS, &sregs) || call(f, (int)vcpu, KVM_SET_REGS, &regs) ? -1 : vcpu;
}

static bool counter_run(struct twin *twin, int vcpu, const uint8_t *ram)
{
	struct fixture *f = twin->fixture;
	int error;
	struct kvm_run *run = f->backend->mmap(f->backend, vcpu, 4096 * 3, 0, &error);
	bool is_good = run;
	unsigned int i;

	for (i = 1; is_good && i <= NR_OUTS; i++) {
		uint16_t told, stored;

		if (f->backend->ioctl(f->backend, vcpu, KVM_RUN, 0) || run->exit_reason != KVM_EXIT_IO)
			return false;
		memcpy(&told, (uint8_t *)run + run->io.data_offset, sizeof(told));
		memcpy(&stored, ram + 0x800, sizeof(stored));
		is_good = told == (uint16_t)(twin->first + i) && (i == 1 || stored == (uint16_t)(told - 1));
	}
	if (run)
		f->backend->munmap(f->backend, run, 4096 * 3);
	return is_good;
}

static void *twin_thread(void *opaque)
{
	struct twin *twin = opaque;
	struct fixture *f = twin->fixture;
	uint8_t *ram = aligned_alloc(4096, GUEST_BYTES);
	unsigned int i;

	twin->is_good = ram;
	for (i = 0; twin->is_good && i < NR_VMS; i++) {
		long vm = f->backend->ioctl(f->backend, f->sys, KVM_CREATE_VM, 0), vcpu;

		memset(ram, 0, GUEST_BYTES);
		vcpu = vm < 0 ? vm : counter_make(twin, ram, vm);
		twin->is_good = vcpu >= 0 && counter_run(twin, (int)vcpu, ram);
		f->backend->close(f->backend, (int)vcpu);
		f->backend->close(f->backend, (int)vm);
	}
	free(ram);
	return NULL;
}

static void test_two_vms_in_two_threads(void **state)
{
	struct twin twins[2] = { { .fixture = *state, .first = 0x1000 }, { .fixture = *state, .first = 0xf000 } };
	pthread_t threads[2];
	unsigned int i;

	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, twin_thread, &twins[i]), 0);
	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_true(twins[0].is_good);
	assert_true(twins[1].is_good);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_unknown_requests, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_pointers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vcpu_outlives_vm_fd, setup, teardown),
		cmocka_unit_test_setup_teardown(test_run_page_is_shared, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_vms_in_two_threads, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
