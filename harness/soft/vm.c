/* SPDX-License-Identifier: MIT */
/* VMs: their life, and the requests that are neither slots nor chips. */
#include "soft/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FIRST_SLOT_SPA (1ull << 36)
#define FIRST_CHUNK_SPA 0x1000000ull
#define BARE_CHUNK_SPA (1ull << 46)	/* where no guest has memory */
#define IOPM_PAGES 3
#define MSRPM_PAGES 2
#define PAGE_BYTES 4096u
#define USEC_PER_SEC 1000000
#define MSR_EXIT_REASONS (KVM_MSR_EXIT_REASON_INVAL | KVM_MSR_EXIT_REASON_UNKNOWN | KVM_MSR_EXIT_REASON_FILTER)

static _Thread_local const uint64_t *own_clock;

void clock_set(const uint64_t *ns)
{
	own_clock = ns;
}

bool clock_is_own(void)
{
	return own_clock;
}

uint64_t clock_ns(void)
{
	struct timespec now;

	if (own_clock)
		return *own_clock;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int vm_pages_init(struct soft_vm *vm)
{
	void *iopm = pages_get(vm, IOPM_PAGES, &vm->iopm_spa), *msrpm = pages_get(vm, MSRPM_PAGES, &vm->msrpm_spa);

	if (!iopm || !msrpm)
		return -ENOMEM;
	memset(iopm, 0xff, IOPM_PAGES * PAGE_BYTES);
	memset(msrpm, 0xff, MSRPM_PAGES * PAGE_BYTES);
	return slots_init(vm);
}

struct soft_vm *vm_of_call(struct call *call)
{
	struct machine_config config = { .bus = { NULL, soft_bus_read, soft_bus_write } };
	struct soft_vm *vm = calloc(1, sizeof(*vm));

	if (!vm)
		return NULL;
	__atomic_add_fetch(&call->soft->nr_vms, 1, __ATOMIC_RELAXED);
	*vm = (struct soft_vm) {
		.soft = call->soft, .generation = soft_generation(call->soft), .nr_refs = 1,
		.next_spa = FIRST_SLOT_SPA, .next_chunk_spa = FIRST_CHUNK_SPA, .max_vcpu_id = SOFT_MAX_VCPU_ID,
		.tsc_khz = call->soft->tsc_khz, .guests_read_platform_info = true,
	};
	vm->clock_offset = -(int64_t)clock_ns();
	vm->is_bare = call->soft->is_bare;
	if (vm->is_bare) {
		vm->next_chunk_spa = BARE_CHUNK_SPA;
		config.bus = (struct machine_bus) { vm, bare_bus_read, bare_bus_write };
	}
	pthread_mutex_init(&vm->lock, NULL);
	pthread_cond_init(&vm->turn_taken, NULL);
	chips_init(vm);
	xen_init(vm);
	config.bus.opaque = vm;
	config.cpuid = soft_machine_cpuid(&config.nr_cpuid);
	if (!machine_create(&config, &vm->machine) && !vm_pages_init(vm))
		return vm;
	soft_vm_destroy(vm);
	return NULL;
}

void soft_vm_destroy(struct soft_vm *vm)
{
	unsigned int i;

	for (i = 0; i < vm->nr_vcpus; i++)
		soft_vcpu_destroy(vm->vcpus[i]);
	chips_free(vm);
	hyperv_free(vm);
	xen_free(vm);
	slots_free(vm);
	stats_free(&vm->stats);
	msr_filter_clear(&vm->msr_filter);
	machine_destroy(vm->machine);
	pages_free(vm);
	pthread_cond_destroy(&vm->turn_taken);
	pthread_mutex_destroy(&vm->lock);
	__atomic_sub_fetch(&vm->soft->nr_vms, 1, __ATOMIC_RELAXED);
	free(vm);
}

struct soft_vcpu *vcpu_of_id(struct soft_vm *vm, uint32_t id)
{
	unsigned int i;

	for (i = 0; i < vm->nr_vcpus; i++)
		if (vm->vcpus[i]->id == id)
			return vm->vcpus[i];
	return NULL;
}

static int vcpu_add(struct soft_vm *vm, uint32_t id, struct soft_vcpu **ret_vcpu)
{
	int r;

	vm_must_be_locked(vm);
	if (vm->nr_vcpus >= SOFT_MAX_VCPUS)
		return -EINVAL;
	if (vcpu_of_id(vm, id))
		return -EEXIST;
	r = soft_vcpu_create(vm, id, ret_vcpu);
	if (!r)
		vm->vcpus[vm->nr_vcpus++] = *ret_vcpu;
	return r;
}

static long answer_create_vcpu(struct call *call)
{
	struct soft_vm *vm = call->vm;
	struct soft_vcpu *vcpu;
	long r;

	if (call->argument >= vm->max_vcpu_id)
		return -EINVAL;
	vm_lock(vm);
	r = vcpu_add(vm, (uint32_t)call->argument, &vcpu);
	vm_unlock(vm);
	return r ? r : file_add_of_vm(call->soft, SOFT_VCPU, vm, vcpu);
}

static long answer_check_extension(struct call *call)
{
	return system_check_extension(call);
}

/* --- capabilities that a VM enables --- */

static int cap_max_vcpu_id(struct soft_vm *vm, uint64_t value)
{
	if (vm->nr_vcpus || !value || value > SOFT_MAX_VCPU_ID)
		return -EINVAL;
	if (vm->has_max_vcpu_id && value != vm->max_vcpu_id)
		return -EINVAL;
	vm->max_vcpu_id = (uint32_t)value;
	vm->has_max_vcpu_id = true;
	return 0;
}

static int cap_manual_dirty(struct soft_vm *vm, uint64_t value)
{
	uint64_t allowed = KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE;

	if (value & KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE)
		allowed |= KVM_DIRTY_LOG_INITIALLY_SET;
	if (value & ~allowed)
		return -EINVAL;
	vm->manual_dirty = value;
	return 0;
}

static int cap_msr_exits(struct soft_vm *vm, uint64_t value)
{
	if (value & ~(uint64_t)MSR_EXIT_REASONS)
		return -EINVAL;
	vm->msr_exits = (uint32_t)value;
	return 0;
}

/* Only with hardware for it does KVM take more than "off". */
static int cap_bus_lock_exit(uint64_t value)
{
	return value == KVM_BUS_LOCK_DETECTION_OFF ? 0 : -EINVAL;
}

static int cap_disable_exits(struct soft_vm *vm, uint64_t value)
{
	if (value & ~(uint64_t)SOFT_DISABLED_EXITS)
		return -EINVAL;
	vm->disabled_exits |= (uint32_t)value;
	return 0;
}

/* Nothing is polled here: the value is only checked. */
static int cap_halt_poll(uint64_t value)
{
	return value >> 32 ? -EINVAL : 0;
}

/* Nor are there huge pages; no VM needs to be told when there are vCPUs. */
static int cap_disable_nx_huge_pages(const struct soft_vm *vm, uint64_t value)
{
	return value || vm->nr_vcpus ? -EINVAL : 0;
}

/* Of memory encryption there is none, but the descriptor is looked at first. */
static int cap_encryption_context(struct soft_vm *vm, uint64_t fd)
{
	return soft_is_vm(vm->soft, (int)fd) ? -EINVAL : -EBADF;
}

static int cap_hypercall_exits(struct soft_vm *vm, uint64_t value)
{
	if (value & ~(uint64_t)SOFT_HYPERCALL_EXITS)
		return -EINVAL;
	vm->hypercall_exits = value;
	return 0;
}

static int cap_exits_on_failure(struct soft_vm *vm, uint64_t value)
{
	if (value & ~1ull)
		return -EINVAL;
	vm->exits_on_failure = value;
	return 0;
}

static int cap_set(struct soft_vm *vm, const struct kvm_enable_cap *cap)
{
	uint64_t value = cap->args[0];

	switch (cap->cap) {
	case KVM_CAP_DISABLE_QUIRKS:
		vm->disabled_quirks = value;
		return 0;
	case KVM_CAP_DISABLE_QUIRKS2:
		if (value & ~(uint64_t)SOFT_QUIRKS)
			return -EINVAL;
		vm->disabled_quirks = value;
		return 0;
	case KVM_CAP_MSR_PLATFORM_INFO:
		vm->guests_read_platform_info = value;
		return 0;
	case KVM_CAP_EXCEPTION_PAYLOAD:
		vm->has_payloads = value;
		return 0;
	case KVM_CAP_X86_TRIPLE_FAULT_EVENT:
		vm->has_triple_fault_event = value;
		return 0;
	case KVM_CAP_X86_USER_SPACE_MSR:
		return cap_msr_exits(vm, value);
	case KVM_CAP_EXIT_HYPERCALL:
		return cap_hypercall_exits(vm, value);
	case KVM_CAP_EXIT_ON_EMULATION_FAILURE:
		return cap_exits_on_failure(vm, value);
	case KVM_CAP_X86_BUS_LOCK_EXIT:
		return cap_bus_lock_exit(value);
	case KVM_CAP_X86_DISABLE_EXITS:
		return cap_disable_exits(vm, value);
	case KVM_CAP_HALT_POLL:
		return cap_halt_poll(value);
	case KVM_CAP_VM_DISABLE_NX_HUGE_PAGES:
		return cap_disable_nx_huge_pages(vm, value);
	case KVM_CAP_VM_COPY_ENC_CONTEXT_FROM:
	case KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM:
		return cap_encryption_context(vm, value);
	case KVM_CAP_MAX_VCPU_ID:
		return cap_max_vcpu_id(vm, value);
	case KVM_CAP_DIRTY_LOG_RING:
	case KVM_CAP_DIRTY_LOG_RING_ACQ_REL:
		return dirty_ring_enable(vm, value);
	case KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2:
		return cap->args[1] || cap->args[2] || cap->args[3] ? -EINVAL : cap_manual_dirty(vm, value);
	default:
		return chips_enable_cap(vm, cap);
	}
}

static long answer_enable_cap(struct call *call)
{
	const struct kvm_enable_cap *cap = call->data;
	int r;

	if (cap->flags)
		return -EINVAL;
	vm_lock(call->vm);
	r = cap_set(call->vm, cap);
	vm_unlock(call->vm);
	return r;
}

const struct answer vm_answers[] = {
	{ KVM_CREATE_VCPU, answer_create_vcpu, true },
	{ KVM_CHECK_EXTENSION, answer_check_extension, true },
	{ KVM_ENABLE_CAP, answer_enable_cap, false },
	{ 0, NULL, false },
};

/* --- plain state --- */

/* Three pages for a task that real mode on Intel needs, below 4 GiB. */
static long answer_tss_addr(struct call *call)
{
	/* Only VMX uses it, but the range is checked for all. */
	if (call->argument > 0u - 3 * PAGE_BYTES)
		return -EINVAL;
	call->vm->tss_addr = call->argument;
	return 0;
}

static long answer_identity_addr(struct call *call)
{
	if (call->vm->nr_vcpus)
		return -EINVAL;
	call->vm->identity_addr = *(uint64_t *)call->data;
	return 0;
}

static long answer_boot_cpu(struct call *call)
{
	if (call->vm->nr_vcpus)
		return -EBUSY;
	call->vm->boot_cpu_id = (uint32_t)call->argument;
	return 0;
}

static long answer_set_mmu_pages(struct call *call)
{
	if ((uint32_t)call->argument < 64)
		return -EINVAL;
	call->vm->nr_mmu_pages = (uint32_t)call->argument;
	return 0;
}

static long answer_get_mmu_pages(struct call *call)
{
	return (long)call->vm->nr_mmu_pages;
}

uint64_t realtime_ns(void)
{
	struct timespec now;

	if (own_clock)
		return *own_clock;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static long answer_get_clock(struct call *call)
{
	struct kvm_clock_data *clock = call->data;
	uint64_t now = clock_ns();

	*clock = (struct kvm_clock_data) {
		.clock = now + (uint64_t)call->vm->clock_offset,
		.flags = KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC,
		.realtime = realtime_ns(),
		.host_tsc = host_tsc(),
	};
	return 0;
}

static long answer_set_clock(struct call *call)
{
	const struct kvm_clock_data *clock = call->data;
	uint64_t value = clock->clock, now = realtime_ns();
	unsigned int i;

	if (clock->flags & ~(uint32_t)(KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC | KVM_CLOCK_TSC_STABLE))
		return -EINVAL;
	if ((clock->flags & KVM_CLOCK_REALTIME) && now > clock->realtime)
		value += now - clock->realtime;
	vm_lock(call->vm);
	call->vm->clock_offset = (int64_t)(value - clock_ns());
	for (i = 0; i < call->vm->nr_vcpus; i++)
		paravirt_clock_changed(call->vm->vcpus[i]);
	vm_unlock(call->vm);
	return 0;
}

const struct answer vm_state_answers[] = {
	{ KVM_SET_TSS_ADDR, answer_tss_addr, true },
	{ KVM_SET_IDENTITY_MAP_ADDR, answer_identity_addr, false },
	{ KVM_SET_BOOT_CPU_ID, answer_boot_cpu, true },
	{ KVM_SET_NR_MMU_PAGES, answer_set_mmu_pages, true },
	{ KVM_GET_NR_MMU_PAGES, answer_get_mmu_pages, true },
	{ KVM_GET_CLOCK, answer_get_clock, false },
	{ KVM_SET_CLOCK, answer_set_clock, false },
	{ 0, NULL, false },
};
