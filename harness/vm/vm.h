/* SPDX-License-Identifier: MIT */
/*
 * The KVM surface as a C library: the system, VMs, memory slots, vCPUs.
 *
 * x_try() may fail and returns -errno (or the call's non-negative result); x() must succeed: a failure goes to the
 * system's must_failed(), which does not return. Requests whose argument is a pointer are checked at compile time: the
 * object's size must be the size in the request's number.
 *
 * Source: KVM API, sections 4 and 5.
 */
#ifndef VMASSAY_VM_H
#define VMASSAY_VM_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/backend.h"

struct err;

#define VM_MAX_SLOTS 64
#define VM_MAX_VCPUS 64

/*
 * Which call the process is in, for whoever watches it from outside: a process that dies or hangs inside KVM accuses
 * KVM, one that does so elsewhere accuses the test. Lives in memory shared with the watcher.
 */
struct vm_marker {
	volatile uint64_t request;	/* other than KVM_RUN; 0: none */
	volatile uint32_t is_running;	/* the process's first thread is inside KVM_RUN */
	volatile uint32_t nr_running;	/* other threads that are */
};

static inline bool vm_marker_in_run(const struct vm_marker *marker)
{
	return marker->is_running || marker->nr_running;
}

/* /dev/kvm. */
struct sys {
	const struct backend *backend;
	int fd;
	size_t run_bytes;	/* KVM_GET_VCPU_MMAP_SIZE */
	struct vm_marker *marker;
	struct vm_marker own_marker;
	struct kvm_cpuid2 *cpuid;	/* KVM_GET_SUPPORTED_CPUID once asked for; owned */
	/* Called when a call that must succeed did not; must not return. @what names the request. */
	void (*must_failed)(void *context, const char *what, long error);
	void *context;
};

struct slot {
	bool is_used;
	uint32_t id;
	uint64_t gpa;
	uint64_t bytes;
	void *hva;
	bool owns_memory;	/* mapped by vm_slot_add() */
};

struct vcpu {
	struct vm *vm;
	int fd;
	uint32_t id;
	struct kvm_run *run;	/* sys.run_bytes long */
	void *report;		/* the guest's report page of this vCPU, for the layers above; NULL: none */
	int tid;		/* of the thread that runs it, when that is not the process's first; else 0 */
};

struct vm {
	struct sys *sys;
	int fd;
	struct slot slots[VM_MAX_SLOTS];
	struct vcpu *vcpus[VM_MAX_VCPUS];	/* in creation order */
	unsigned int nr_vcpus;
};

/* --- calls --- */

#define VM_CHECK_SIZE(request_, argument_)						\
	_Static_assert(_IOC_SIZE(request_) == sizeof(*(argument_)),			\
		       "the argument's size is not the one in " #request_)

/* On any descriptor, unchecked: for calls that are wrong on purpose. */
long sys_call(struct sys *sys, int fd, unsigned long request, uintptr_t argument);
long sys_call_must(struct sys *sys, int fd, unsigned long request, uintptr_t argument, const char *what);

#define sys_ioctl_try(sys_, request_, argument_)					\
	({ VM_CHECK_SIZE(request_, argument_);						\
	   sys_call(sys_, (sys_)->fd, request_, (uintptr_t)(argument_)); })
#define sys_ioctl(sys_, request_, argument_)						\
	({ VM_CHECK_SIZE(request_, argument_);						\
	   sys_call_must(sys_, (sys_)->fd, request_, (uintptr_t)(argument_), #request_); })
#define vm_ioctl_try(vm_, request_, argument_)						\
	({ const struct vm *of_ = (vm_);						\
	   VM_CHECK_SIZE(request_, argument_);						\
	   sys_call(of_->sys, of_->fd, request_, (uintptr_t)(argument_)); })
#define vm_ioctl(vm_, request_, argument_)						\
	({ const struct vm *of_ = (vm_);						\
	   VM_CHECK_SIZE(request_, argument_);						\
	   sys_call_must(of_->sys, of_->fd, request_, (uintptr_t)(argument_), #request_); })
#define vcpu_ioctl_try(vcpu_, request_, argument_)					\
	({ const struct vcpu *of_ = (vcpu_);						\
	   VM_CHECK_SIZE(request_, argument_);						\
	   sys_call(of_->vm->sys, of_->fd, request_, (uintptr_t)(argument_)); })
#define vcpu_ioctl(vcpu_, request_, argument_)						\
	({ const struct vcpu *of_ = (vcpu_);						\
	   VM_CHECK_SIZE(request_, argument_);						\
	   sys_call_must(of_->vm->sys, of_->fd, request_, (uintptr_t)(argument_), #request_); })

/* Requests whose argument is a value (or nothing: 0). */
#define vm_ioctl_value_try(vm_, request_, value_)					\
	({ const struct vm *of_ = (vm_); sys_call(of_->sys, of_->fd, request_, value_); })
#define vm_ioctl_value(vm_, request_, value_)						\
	({ const struct vm *of_ = (vm_); sys_call_must(of_->sys, of_->fd, request_, value_, #request_); })
#define vcpu_ioctl_value_try(vcpu_, request_, value_)					\
	({ const struct vcpu *of_ = (vcpu_); sys_call(of_->vm->sys, of_->fd, request_, value_); })
#define vcpu_ioctl_value(vcpu_, request_, value_)					\
	({ const struct vcpu *of_ = (vcpu_); sys_call_must(of_->vm->sys, of_->fd, request_, value_, #request_); })

/* --- the system --- */

/* Opens @backend and checks KVM_GET_API_VERSION. @marker may be NULL. */
int sys_open(struct sys *sys, const struct backend *backend, struct vm_marker *marker, struct err *err);
void sys_close(struct sys *sys);

/* KVM_CHECK_EXTENSION: 0 when not offered, else its value. */
long sys_has_cap(struct sys *sys, long cap);
long vm_has_cap(struct vm *vm, long cap);

/* --- VMs --- */

/* The object is the caller's from here until vm_destroy(), which accepts NULL and closes its vCPUs first. */
int vm_create_try(struct sys *sys, struct vm **ret_vm);
struct vm *vm_create(struct sys *sys);
void vm_destroy(struct vm *vm);

/* KVM_SET_USER_MEMORY_REGION as it stands; nothing is recorded. */
int vm_region_try(struct vm *vm, uint32_t slot, uint32_t flags, uint64_t gpa, uint64_t bytes, void *hva);

/* Maps zeroed memory and makes a slot of it; returns its address. The memory lives until vm_destroy(). */
void *vm_slot_add(struct vm *vm, uint32_t slot, uint32_t flags, uint64_t gpa, uint64_t bytes);
void vm_slot_delete(struct vm *vm, uint32_t slot);

/* The host address of [@gpa, @gpa + @bytes) if one slot made by vm_slot_add() holds it, else NULL. */
void *vm_hva_try(const struct vm *vm, uint64_t gpa, uint64_t bytes);
void *vm_hva(const struct vm *vm, uint64_t gpa, uint64_t bytes);

/* --- vCPUs: owned by the VM --- */

int vcpu_create_try(struct vm *vm, uint32_t id, struct vcpu **ret_vcpu);
struct vcpu *vcpu_create(struct vm *vm, uint32_t id);

/* KVM_RUN once: 0, or -errno (-EINTR: a signal or immediate_exit). */
static inline int vcpu_run_try(struct vcpu *vcpu)
{
	const struct sys *sys = vcpu->vm->sys;
	struct vm_marker *marker = sys->marker;
	long r;

	/* The first thread is the one whose exits are counted; it pays for no locked instruction. */
	if (!vcpu->tid) {
		marker->is_running = 1;
		r = sys->backend->ioctl(sys->backend, vcpu->fd, KVM_RUN, 0);
		marker->is_running = 0;
		return r;
	}
	__atomic_add_fetch(&marker->nr_running, 1, __ATOMIC_SEQ_CST);
	r = sys->backend->ioctl(sys->backend, vcpu->fd, KVM_RUN, 0);
	__atomic_sub_fetch(&marker->nr_running, 1, __ATOMIC_SEQ_CST);
	return r;
}

/* Makes a KVM_RUN that is under way, or the next one, return -EINTR; async-signal-safe. */
void vcpu_kick(struct vcpu *vcpu);

#endif
