/* SPDX-License-Identifier: MIT */
/* vCPUs: their life, KVM_RUN's door, and what they are set to beside the guest's state. */
#include "soft/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "machine/svm.h"
#include "vm/x86/bits.h"

#define APIC_BASE 0xfee00000ull
#define APIC_BASE_BSP (1ull << 8)
#define APIC_BASE_ENABLE (1ull << 11)

/* RDX says which CPU it is: APM vol. 2, table 14-1. */
static void regs_reset(struct soft_vcpu *vcpu)
{
	const struct kvm_cpuid_entry2 *leaf = vcpu_cpuid(vcpu, 1, 0);

	memset(vcpu->regs, 0, sizeof(vcpu->regs));
	vcpu->regs[REG_RDX] = leaf ? leaf->eax : 0x600;
	memset(vcpu->dr, 0, sizeof(vcpu->dr));
}

/* As after RESET: APM vol. 2, table 14-1. */
void vcpu_reset(struct soft_vcpu *vcpu)
{
	nested_reset(vcpu);
	smm_reset(vcpu);
	regs_reset(vcpu);
	vcpu->cr8 = 0;
	vcpu->xcr0 = 1;
	vcpu->mp_state = KVM_MP_STATE_RUNNABLE;
	vcpu->cpu->fpu = (struct fpu) { .fcw = FCW_INIT, .mxcsr = MXCSR_INIT };
	vcpu->apic_base = APIC_BASE | APIC_BASE_ENABLE |
		(vcpu->id == vcpu->vm->boot_cpu_id ? APIC_BASE_BSP : 0);
	init_vmcb(vcpu, false);
	msrs_reset(vcpu);
	paravirt_reset(vcpu);
	chips_vcpu_reset(vcpu, false);
}

/* APM vol. 2, 14.1.3: INIT leaves the MSRs, the FPU and the local APIC's base. */
void vcpu_init_received(struct soft_vcpu *vcpu)
{
	nested_reset(vcpu);
	regs_reset(vcpu);
	vcpu->exception = (struct soft_exception) { 0 };
	vcpu->interrupt.is_injected = false;
	vcpu->nmi.is_injected = vcpu->nmi.is_masked = false;
	vcpu->nmi.nr_pending = 0;
	init_vmcb(vcpu, true);
	chips_vcpu_reset(vcpu, true);
}

void vcpu_start(struct soft_vcpu *vcpu, uint8_t sipi_vector)
{
	vcpu->vmcb->save.cs.selector = (uint16_t)(sipi_vector << 8);
	vcpu->vmcb->save.cs.base = (uint64_t)sipi_vector << 12;
	vcpu->vmcb->save.rip = 0;
}

void vcpu_cr8_set(struct soft_vcpu *vcpu, uint8_t value)
{
	vcpu->cr8 = value;
	if (vcpu->chips.has_lapic && lapic_cr8_get(&vcpu->chips.lapic) != value)
		lapic_cr8_set(&vcpu->chips.lapic, value);
}

/* Pages without a file are only kept where nobody else can have them any more: soft_bound(). */
static void run_free(struct soft_vcpu *vcpu)
{
	struct soft *soft = vcpu->vm->soft;

	if (!vcpu->run)
		return;
	if (soft->max_turns && !vcpu->run_inode && soft->nr_spare_runs < SOFT_SPARE_RUNS)
		soft->spare_runs[soft->nr_spare_runs++] = vcpu->run;
	else
		munmap(vcpu->run, SOFT_RUN_BYTES);
}

void soft_vcpu_destroy(struct soft_vcpu *vcpu)
{
	if (!vcpu)
		return;
	run_free(vcpu);
	if (vcpu->run_fd >= 0)
		close(vcpu->run_fd);
	async_pf_free(vcpu);
	chips_vcpu_free(vcpu);
	free(vcpu->cpuid);
	free(vcpu->msrs);
	mce_free(vcpu);
	dirty_ring_free(vcpu);
	stats_free(&vcpu->stats);
	pthread_mutex_destroy(&vcpu->lock);
	__atomic_sub_fetch(&vcpu->vm->soft->nr_vcpus, 1, __ATOMIC_RELAXED);
	free(vcpu);
}

/* Fewer system calls than a file takes, and those of a vCPU before it, where there are some. */
static int run_make_bounded(struct soft_vcpu *vcpu)
{
	struct soft *soft = vcpu->vm->soft;
	void *run;

	if (soft->nr_spare_runs) {
		vcpu->run = soft->spare_runs[--soft->nr_spare_runs];
		memset(vcpu->run, 0, SOFT_RUN_BYTES);
		return 0;
	}
	run = mmap(NULL, SOFT_RUN_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (run == MAP_FAILED)
		return -ENOMEM;
	vcpu->run = run;
	return 0;
}

/* The shared pages are a file, for which the vCPU's descriptor stands: it can be mapped and copied by anybody. */
static int run_make(struct soft_vcpu *vcpu)
{
	void *run = MAP_FAILED;
	struct stat stat;

	if (vcpu->vm->soft->max_turns)
		return run_make_bounded(vcpu);
	vcpu->run_fd = memfd_create("kvm-vcpu", MFD_CLOEXEC);
	if (vcpu->run_fd < 0)
		return -errno;
	if (!ftruncate(vcpu->run_fd, SOFT_RUN_BYTES) && !fstat(vcpu->run_fd, &stat))
		run = mmap(NULL, SOFT_RUN_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->run_fd, 0);
	if (run == MAP_FAILED)
		return -ENOMEM;
	vcpu->run_device = stat.st_dev;
	vcpu->run_inode = stat.st_ino;
	vcpu->run = run;
	return 0;
}

static int vcpu_init(struct soft_vcpu *vcpu)
{
	struct soft_vm *vm = vcpu->vm;
	int r = run_make(vcpu);

	if (r)
		return r;
	vcpu->vmcb = pages_get(vm, 1, &vcpu->vmcb_spa);
	if (!vcpu->vmcb || dirty_ring_init(vcpu) || msrs_init(vcpu) || mce_init(vcpu) || nested_init(vcpu))
		return -ENOMEM;
	if (!vm->nr_vcpus)
		vcpu->cpu = machine_cpu(vm->machine, 0);
	else if (machine_cpu_add(vm->machine, &vcpu->cpu))
		return -ENOMEM;
	if (vm->is_bare)
		return chips_vcpu_init(vcpu);
	machine_enter_host(vcpu->cpu);
	return chips_vcpu_init(vcpu);
}

int soft_vcpu_create(struct soft_vm *vm, uint32_t id, struct soft_vcpu **ret_vcpu)
{
	struct soft_vcpu *vcpu = calloc(1, sizeof(*vcpu));
	int r;

	if (!vcpu)
		return -ENOMEM;
	__atomic_add_fetch(&vm->soft->nr_vcpus, 1, __ATOMIC_RELAXED);
	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->index = vm->nr_vcpus;
	tsc_init(vcpu);
	hyperv_vcpu_init(vcpu);
	xen_vcpu_init(vcpu);
	vcpu->run_fd = vcpu->chips.wake_fd = -1;
	pthread_mutex_init(&vcpu->lock, NULL);
	r = vcpu_init(vcpu);
	if (r) {
		soft_vcpu_destroy(vcpu);
		return r;
	}
	vcpu_reset(vcpu);
	*ret_vcpu = vcpu;
	return 0;
}

static long answer_run(struct call *call)
{
	return call->argument ? -EINVAL : vcpu_run(call->vcpu);
}

static long answer_signal_mask(struct call *call)
{
	struct kvm_signal_mask head;

	call->vcpu->has_signal_mask = false;
	if (!call->argument)
		return 0;
	if (user_read(&head, call->argument, sizeof(head)))
		return -EFAULT;
	if (head.len != sizeof(call->vcpu->signal_mask))
		return -EINVAL;
	if (user_read(&call->vcpu->signal_mask, call->argument + sizeof(head), head.len))
		return -EFAULT;
	call->vcpu->has_signal_mask = true;
	return 0;
}

static long answer_enable_cap(struct call *call)
{
	const struct kvm_enable_cap *cap = call->data;

	if (cap->flags)
		return -EINVAL;
	if (cap->cap != KVM_CAP_ENFORCE_PV_FEATURE_CPUID)
		return hyperv_enable_cap(call->vcpu, cap);
	call->vcpu->enforces_pv_cpuid = cap->args[0];
	return 0;
}

const struct answer vcpu_answers[] = {
	{ KVM_RUN, answer_run, true },
	{ KVM_SET_SIGNAL_MASK, answer_signal_mask, true },
	{ KVM_ENABLE_CAP, answer_enable_cap, false },
	{ 0, NULL, false },
};
