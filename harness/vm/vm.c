/* SPDX-License-Identifier: MIT */
#include "vm/vm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "err.h"

long sys_call(struct sys *sys, int fd, unsigned long request, uintptr_t argument)
{
	long r;

	sys->marker->request = request;
	r = sys->backend->ioctl(sys->backend, fd, request, argument);
	sys->marker->request = 0;
	return r;
}

long sys_call_must(struct sys *sys, int fd, unsigned long request, uintptr_t argument, const char *what)
{
	long r = sys_call(sys, fd, request, argument);

	if (r < 0)
		sys->must_failed(sys->context, what, r);
	return r;
}

/* --- the system --- */

int sys_open(struct sys *sys, const struct backend *backend, struct vm_marker *marker, struct err *err)
{
	long version, run_bytes;
	int fd = backend->open(backend);

	if (fd < 0)
		return err_set(err, -fd, "/dev/kvm: %s", strerror(-fd));
	*sys = (struct sys){ .backend = backend, .fd = fd };
	sys->marker = marker ? marker : &sys->own_marker;
	version = sys_call(sys, fd, KVM_GET_API_VERSION, 0);
	run_bytes = sys_call(sys, fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (version == KVM_API_VERSION && run_bytes >= (long)sizeof(struct kvm_run)) {
		sys->run_bytes = run_bytes;
		return 0;
	}
	sys_close(sys);
	return err_set(err, EPROTO, "/dev/kvm: API version %ld and a vCPU mapping of %ld bytes, want %d and >= %zu",
		       version, run_bytes, KVM_API_VERSION, sizeof(struct kvm_run));
}

void sys_close(struct sys *sys)
{
	if (!sys->backend)
		return;
	sys->backend->close(sys->backend, sys->fd);
	free(sys->cpuid);
	sys->backend = NULL;
	sys->cpuid = NULL;
}

long sys_has_cap(struct sys *sys, long cap)
{
	long r = sys_call(sys, sys->fd, KVM_CHECK_EXTENSION, cap);

	return r < 0 ? 0 : r;
}

long vm_has_cap(struct vm *vm, long cap)
{
	long r = sys_call(vm->sys, vm->fd, KVM_CHECK_EXTENSION, cap);

	return r < 0 ? 0 : r;
}

/* --- VMs --- */

int vm_create_try(struct sys *sys, struct vm **ret_vm)
{
	struct vm *vm = calloc(1, sizeof(*vm));
	long fd;

	if (!vm)
		return -ENOMEM;
	fd = sys_call(sys, sys->fd, KVM_CREATE_VM, 0);
	if (fd < 0) {
		free(vm);
		return fd;
	}
	vm->sys = sys;
	vm->fd = fd;
	*ret_vm = vm;
	return 0;
}

struct vm *vm_create(struct sys *sys)
{
	struct vm *vm = NULL;
	int r = vm_create_try(sys, &vm);

	if (r)
		sys->must_failed(sys->context, "KVM_CREATE_VM", r);
	return vm;
}

static void vcpu_destroy(struct vcpu *vcpu)
{
	const struct backend *backend = vcpu->vm->sys->backend;

	backend->munmap(backend, vcpu->run, vcpu->vm->sys->run_bytes);
	backend->close(backend, vcpu->fd);
	free(vcpu);
}

void vm_destroy(struct vm *vm)
{
	unsigned int i;

	if (!vm)
		return;
	for (i = 0; i < vm->nr_vcpus; i++)
		vcpu_destroy(vm->vcpus[i]);
	vm->sys->backend->close(vm->sys->backend, vm->fd);
	for (i = 0; i < VM_MAX_SLOTS; i++)
		if (vm->slots[i].owns_memory)
			munmap(vm->slots[i].hva, vm->slots[i].bytes);
	free(vm);
}

int vm_region_try(struct vm *vm, uint32_t slot, uint32_t flags, uint64_t gpa, uint64_t bytes, void *hva)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = bytes,
		.userspace_addr = (uintptr_t)hva,
	};

	return vm_ioctl_try(vm, KVM_SET_USER_MEMORY_REGION, &region);
}

static struct slot *slot_unused(struct vm *vm)
{
	unsigned int i;

	for (i = 0; i < VM_MAX_SLOTS; i++)
		if (!vm->slots[i].owns_memory)
			return &vm->slots[i];
	return NULL;
}

void *vm_slot_add(struct vm *vm, uint32_t id, uint32_t flags, uint64_t gpa, uint64_t bytes)
{
	struct slot *slot = slot_unused(vm);
	void *hva = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int r;

	if (!slot || hva == MAP_FAILED)
		vm->sys->must_failed(vm->sys->context, "memory for a slot", slot ? -errno : -ENOSPC);
	r = vm_region_try(vm, id, flags, gpa, bytes, hva);
	if (r)
		vm->sys->must_failed(vm->sys->context, "KVM_SET_USER_MEMORY_REGION", r);
	*slot = (struct slot){
		.is_used = true, .id = id, .gpa = gpa, .bytes = bytes, .hva = hva, .owns_memory = true,
	};
	return hva;
}

void vm_slot_delete(struct vm *vm, uint32_t id)
{
	unsigned int i;
	int r = vm_region_try(vm, id, 0, 0, 0, NULL);

	if (r)
		vm->sys->must_failed(vm->sys->context, "KVM_SET_USER_MEMORY_REGION (delete)", r);
	for (i = 0; i < VM_MAX_SLOTS; i++)
		if (vm->slots[i].is_used && vm->slots[i].id == id)
			vm->slots[i].is_used = false;
}

void *vm_hva_try(const struct vm *vm, uint64_t gpa, uint64_t bytes)
{
	unsigned int i;

	for (i = 0; i < VM_MAX_SLOTS; i++) {
		const struct slot *slot = &vm->slots[i];

		if (slot->is_used && gpa >= slot->gpa && bytes <= slot->bytes && gpa - slot->gpa <= slot->bytes - bytes)
			return (uint8_t *)slot->hva + (gpa - slot->gpa);
	}
	return NULL;
}

void *vm_hva(const struct vm *vm, uint64_t gpa, uint64_t bytes)
{
	void *hva = vm_hva_try(vm, gpa, bytes);

	if (!hva)
		vm->sys->must_failed(vm->sys->context, "a guest-physical address in a slot", -EFAULT);
	return hva;
}

/* --- vCPUs --- */

int vcpu_create_try(struct vm *vm, uint32_t id, struct vcpu **ret_vcpu)
{
	const struct backend *backend = vm->sys->backend;
	struct vcpu *vcpu;
	long fd;
	int error;

	if (vm->nr_vcpus == VM_MAX_VCPUS)
		return -ENOSPC;
	vcpu = calloc(1, sizeof(*vcpu));
	if (!vcpu)
		return -ENOMEM;
	fd = sys_call(vm->sys, vm->fd, KVM_CREATE_VCPU, id);
	if (fd < 0) {
		error = fd;
		goto err_free;
	}
	vcpu->run = backend->mmap(backend, fd, vm->sys->run_bytes, 0, &error);
	if (!vcpu->run)
		goto err_close;
	vcpu->vm = vm;
	vcpu->fd = fd;
	vcpu->id = id;
	vm->vcpus[vm->nr_vcpus++] = vcpu;
	*ret_vcpu = vcpu;
	return 0;

err_close:
	backend->close(backend, fd);
err_free:
	free(vcpu);
	return error;
}

struct vcpu *vcpu_create(struct vm *vm, uint32_t id)
{
	struct vcpu *vcpu = NULL;
	int r = vcpu_create_try(vm, id, &vcpu);

	if (r)
		vm->sys->must_failed(vm->sys->context, "KVM_CREATE_VCPU", r);
	return vcpu;
}

void vcpu_kick(struct vcpu *vcpu)
{
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
}
