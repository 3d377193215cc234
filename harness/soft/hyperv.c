/* SPDX-License-Identifier: MIT */
#include "soft/hyperv.h"

#include <errno.h>

#include "soft/private.h"
#include "vm/x86/bits.h"

#define PAGE_MASK 0xfffull
#define ENABLED 1ull
#define INTERFACE 0x31237648u		/* "Hv#1" */
#define LEAF_INTERFACE 0x40000001u
#define LEAF_FEATURES 0x40000003u
#define LEAF_DEBUGGER 0x40000082u
#define BIT(n) (1u << (n))
#define EAX 0
#define EDX 3
#define MAX_VP_INDEX 4096
#define SINT_VECTOR 0xffull
#define SINT_MASKED 0x10000ull
#define SINT_AUTO_EOI 0x20000ull
#define FIRST_VECTOR 16
#define CRASH_NOTIFY (1ull << 63)
#define APIC_HZ 1000000000

enum hyperv_msr {
	MSR_OS_ID = 0x40000000, MSR_HYPERCALL, MSR_VP_INDEX, MSR_RESET, MSR_VP_RUNTIME = 0x40000010,
	MSR_TIME = 0x40000020, MSR_REFERENCE_TSC, MSR_TSC_FREQUENCY, MSR_APIC_FREQUENCY,
	MSR_EOI = 0x40000070, MSR_ICR, MSR_TPR, MSR_ASSIST_PAGE,
	MSR_SCONTROL = 0x40000080, MSR_SVERSION, MSR_SIEFP, MSR_SIMP, MSR_EOM,
	MSR_SINT0 = 0x40000090, MSR_SINT15 = 0x4000009f, MSR_TIMER0 = 0x400000b0, MSR_TIMER3_COUNT = 0x400000b7,
	MSR_DEBUG_CONTROL = 0x400000f1, MSR_DEBUG_STATUS, MSR_DEBUG_SEND, MSR_DEBUG_RECEIVE, MSR_DEBUG_PENDING,
	MSR_DEBUG_OPTIONS = 0x400000ff, MSR_CRASH_P0 = 0x40000100, MSR_CRASH_P4 = 0x40000104, MSR_CRASH_CTL,
	MSR_REENLIGHTENMENT, MSR_TSC_EMULATION, MSR_TSC_EMULATION_STATUS,
};

#define MSR_LAST 0x400001ff

/* --- CPUID: TLFS, appendix A --- */

unsigned int hyperv_leaves(struct kvm_cpuid_entry2 *entries)
{
	static const struct kvm_cpuid_entry2 leaves[] = {
		/* "Linux KVM Hv" */
		{ .function = 0x40000000, .eax = LEAF_DEBUGGER, .ebx = 0x756e694c, .ecx = 0x564b2078, .edx = 0x7648204d },
		{ .function = LEAF_INTERFACE, .eax = INTERFACE },
		{ .function = 0x40000002, .eax = 0x3839, .ebx = 0xa0000 },
		/* MSRs: all but the statistics' and the guest idle state's; hypercalls that post and signal, and debug */
		{ .function = LEAF_FEATURES, .eax = 0x2aff, .ebx = BIT(4) | BIT(5) | BIT(11),
		  .edx = BIT(4) | BIT(8) | BIT(10) | BIT(11) | BIT(19) },
		/* Recommended: remote TLB flushes, APIC MSRs, relaxed timing, cluster IPIs, sparse sets; spins before a call */
		{ .function = 0x40000004, .eax = BIT(2) | BIT(3) | BIT(5) | BIT(10) | BIT(11), .ebx = 0xfff },
		{ .function = 0x40000005, .eax = SOFT_MAX_VCPUS, .ebx = 64 },
		{ .function = 0x40000006 },
		{ .function = 0x40000080, .eax = LEAF_DEBUGGER, .ebx = 0x756e694c, .ecx = 0x564b2078, .edx = 0x7648204d },
		{ .function = 0x40000081, .eax = 0x31235356 },	/* "VS#1" */
		{ .function = LEAF_DEBUGGER, .eax = BIT(1) },
	};
	unsigned int i;

	_Static_assert(sizeof(leaves) / sizeof(leaves[0]) <= HYPERV_MAX_LEAVES, "room");
	for (i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++)
		entries[i] = leaves[i];
	return i;
}

void hyperv_cpuid_changed(struct soft_vcpu *vcpu)
{
	const struct kvm_cpuid_entry2 *entry = vcpu_cpuid(vcpu, LEAF_INTERFACE, 0);

	vcpu->hyperv.is_there = entry && entry->eax == INTERFACE;
}

bool hyperv_has(const struct soft_vcpu *vcpu, uint32_t leaf, unsigned int reg, unsigned int bit)
{
	return !vcpu->hyperv.enforces_cpuid || vcpu_has(vcpu, leaf, reg, bit);
}

bool hyperv_has_debugger(const struct soft_vcpu *vcpu)
{
	return vcpu_has(vcpu, LEAF_DEBUGGER, EAX, 1);
}

/* Which feature gives an MSR. */
static const struct {
	uint32_t first, last;
	uint8_t reg, bit;
} features[] = {
	{ MSR_OS_ID, MSR_HYPERCALL, EAX, 5 },
	{ MSR_VP_INDEX, MSR_VP_INDEX, EAX, 6 },
	{ MSR_RESET, MSR_RESET, EAX, 7 },
	{ MSR_VP_RUNTIME, MSR_VP_RUNTIME, EAX, 0 },
	{ MSR_TIME, MSR_TIME, EAX, 1 },
	{ MSR_REFERENCE_TSC, MSR_REFERENCE_TSC, EAX, 9 },
	{ MSR_TSC_FREQUENCY, MSR_APIC_FREQUENCY, EAX, 11 },
	{ MSR_EOI, MSR_ASSIST_PAGE, EAX, 4 },
	{ MSR_SCONTROL, MSR_EOM, EAX, 2 },
	{ MSR_SINT0, MSR_SINT15, EAX, 2 },
	{ MSR_TIMER0, MSR_TIMER3_COUNT, EAX, 3 },
	{ MSR_DEBUG_CONTROL, MSR_DEBUG_PENDING, EDX, 11 },
	{ MSR_DEBUG_OPTIONS, MSR_DEBUG_OPTIONS, EDX, 11 },
	{ MSR_CRASH_P0, MSR_CRASH_CTL, EDX, 10 },
	{ MSR_REENLIGHTENMENT, MSR_TSC_EMULATION_STATUS, EAX, 13 },
};

/* For a guest; user space has them all. */
static bool msr_is_there(const struct soft_vcpu *vcpu, uint32_t index)
{
	unsigned int i;

	if (!vcpu->hyperv.is_there)
		return false;
	for (i = 0; i < sizeof(features) / sizeof(features[0]); i++)
		if (index >= features[i].first && index <= features[i].last)
			return hyperv_has(vcpu, LEAF_FEATURES, features[i].reg, features[i].bit) &&
				(features[i].bit != 11 || features[i].reg != EDX || hyperv_has_debugger(vcpu));
	return false;
}

/* --- life --- */

void hyperv_vcpu_init(struct soft_vcpu *vcpu)
{
	unsigned int i;

	vcpu->hyperv.vp_index = vcpu->index;
	vcpu->hyperv.version = 1;
	for (i = 0; i < HYPERV_NR_SINTS; i++)
		vcpu->hyperv.sints[i] = SINT_MASKED;
}

void hyperv_free(struct soft_vm *vm)
{
	hyperv_events_free(vm);
}

int hyperv_enable_cap(struct soft_vcpu *vcpu, const struct kvm_enable_cap *cap)
{
	switch (cap->cap) {
	case KVM_CAP_HYPERV_SYNIC2:
		if (cap->args[0])
			return -EINVAL;
		__attribute__((fallthrough));
	case KVM_CAP_HYPERV_SYNIC:
		if (!vcpu->chips.has_lapic)
			return -EINVAL;
		vcpu->hyperv.has_synic = true;
		vcpu->hyperv.keeps_pages = cap->cap == KVM_CAP_HYPERV_SYNIC2;
		return 0;
	case KVM_CAP_HYPERV_ENFORCE_CPUID:
		vcpu->hyperv.enforces_cpuid = cap->args[0];
		return 0;
	default:
		return -EINVAL;
	}
}

/* --- the synthetic interrupt controller: TLFS, 11.8 --- */

struct soft_vcpu *hyperv_vp(struct soft_vm *vm, uint64_t vp_index)
{
	unsigned int i;

	for (i = 0; i < vm->nr_vcpus; i++)
		if (vm->vcpus[i]->hyperv.vp_index == vp_index)
			return vm->vcpus[i];
	return NULL;
}

int hyperv_sint_raise(struct soft_vcpu *vcpu, uint32_t sint)
{
	struct apic_message message = { .delivery = APIC_FIXED };
	uint64_t value;

	if (!vcpu->hyperv.has_synic || sint >= HYPERV_NR_SINTS)
		return -EINVAL;
	value = vcpu->hyperv.sints[sint];
	if (value & SINT_MASKED)
		return -ENOENT;
	message.vector = (uint8_t)value;
	return lapic_accept(&vcpu->chips.lapic, &message);
}

bool hyperv_ends_by_itself(const struct soft_vcpu *vcpu, uint8_t vector)
{
	unsigned int i;

	for (i = 0; vcpu->hyperv.has_synic && i < HYPERV_NR_SINTS; i++)
		if ((vcpu->hyperv.sints[i] & (SINT_AUTO_EOI | SINT_MASKED | SINT_VECTOR)) == (SINT_AUTO_EOI | vector))
			return true;
	return false;
}

static int sint_set(struct soft_vcpu *vcpu, unsigned int i, uint64_t value, bool is_host)
{
	if ((value & SINT_VECTOR) < FIRST_VECTOR && !(value & SINT_MASKED) && !is_host)
		return -EINVAL;
	vcpu->hyperv.sints[i] = value;
	return 1;
}

static int page_clear(struct soft_vcpu *vcpu, uint64_t value, size_t len_bytes)
{
	static const uint8_t zeroes[PAGE_MASK + 1];

	return guest_write(vcpu_space(vcpu), value & ~PAGE_MASK, zeroes, len_bytes) ? -EINVAL : 1;
}

/* The events' page or the messages'; the guest's write reaches user space. */
static int synic_page_set(struct soft_vcpu *vcpu, uint32_t index, uint64_t *page, uint64_t value, bool is_host)
{
	if ((value & ENABLED) && !is_host && !vcpu->hyperv.keeps_pages && page_clear(vcpu, value, PAGE_MASK + 1) < 0)
		return -EINVAL;
	*page = value;
	if (!is_host)
		vcpu->hyperv.exit_msr = index;
	return 1;
}

static int synic_set(struct soft_vcpu *vcpu, uint32_t index, uint64_t value, bool is_host)
{
	struct soft_hyperv_vcpu *hyperv = &vcpu->hyperv;
	unsigned int i = index - MSR_TIMER0;

	if (!hyperv->has_synic && (!is_host || value))
		return -EINVAL;
	switch (index) {
	case MSR_SCONTROL:
		hyperv->control = value;
		if (!is_host)
			hyperv->exit_msr = index;
		return 1;
	case MSR_SVERSION:
		if (!is_host)
			return -EINVAL;
		hyperv->version = value;
		return 1;
	case MSR_SIEFP:
		return synic_page_set(vcpu, index, &hyperv->events_page, value, is_host);
	case MSR_SIMP:
		return synic_page_set(vcpu, index, &hyperv->messages_page, value, is_host);
	case MSR_EOM:
		hyperv_message_taken(vcpu);
		return 1;
	case MSR_SINT0 ... MSR_SINT15:
		return sint_set(vcpu, index - MSR_SINT0, value, is_host);
	default:
		if (i & 1)
			hyperv_timer_count_set(vcpu, i / 2, value);
		else
			hyperv_timer_config_set(vcpu, i / 2, value);
		return 1;
	}
}

static int synic_get(struct soft_vcpu *vcpu, uint32_t index, uint64_t *ret_value, bool is_host)
{
	struct soft_hyperv_vcpu *hyperv = &vcpu->hyperv;
	unsigned int i = index - MSR_TIMER0;

	if (!hyperv->has_synic && !is_host)
		return -EINVAL;
	switch (index) {
	case MSR_SCONTROL:
		*ret_value = hyperv->control;
		return 1;
	case MSR_SVERSION:
		*ret_value = hyperv->version;
		return 1;
	case MSR_SIEFP:
		*ret_value = hyperv->events_page;
		return 1;
	case MSR_SIMP:
		*ret_value = hyperv->messages_page;
		return 1;
	case MSR_EOM:
		*ret_value = 0;
		return 1;
	case MSR_SINT0 ... MSR_SINT15:
		*ret_value = hyperv->sints[index - MSR_SINT0];
		return 1;
	default:
		*ret_value = i & 1 ? hyperv->timers[i / 2].count : hyperv->timers[i / 2].config;
		return 1;
	}
}

/* --- the local APIC's registers, without an exit for each: TLFS, 11.2 --- */

static int apic_set(struct soft_vcpu *vcpu, uint32_t index, uint64_t value)
{
	if (!vcpu->chips.has_lapic)
		return -EINVAL;
	switch (index) {
	case MSR_EOI:
		lapic_eoi(&vcpu->chips.lapic);
		return 1;
	case MSR_ICR:
		lapic_icr_set(&vcpu->chips.lapic, value);
		return 1;
	default:
		lapic_tpr_set(&vcpu->chips.lapic, (uint8_t)value);
		vcpu->cr8 = lapic_cr8_get(&vcpu->chips.lapic);
		return 1;
	}
}

static int apic_get(struct soft_vcpu *vcpu, uint32_t index, uint64_t *ret_value)
{
	if (!vcpu->chips.has_lapic || index == MSR_EOI)
		return -EINVAL;
	*ret_value = index == MSR_ICR ? lapic_icr_get(&vcpu->chips.lapic) : lapic_tpr_get(&vcpu->chips.lapic);
	return 1;
}

/* --- hypercalls' page, and the partition's other MSRs --- */

/* Its code: VMMCALL; RET. TLFS, 3.8. */
static int hypercall_set(struct soft_vcpu *vcpu, uint64_t value)
{
	static const uint8_t code[] = { 0x0f, 0x01, 0xd9, 0xc3 };
	struct soft_hyperv *vm = &vcpu->vm->hyperv;

	if (!vm->os_id)
		return 1;
	if ((value & ENABLED) && guest_write(vcpu_space(vcpu), value & ~PAGE_MASK, code, sizeof(code)))
		return -EINVAL;
	vm->hypercall = value;
	return 1;
}

static int assist_page_set(struct soft_vcpu *vcpu, uint64_t value)
{
	if ((value & ENABLED) && page_clear(vcpu, value, sizeof(uint32_t)) < 0)
		return -EINVAL;
	vcpu->hyperv.assist_page = value;
	return 1;
}

static uint64_t *debug_of(struct soft_hyperv *vm, uint32_t index)
{
	switch (index) {
	case MSR_DEBUG_CONTROL:
		return &vm->debug.control;
	case MSR_DEBUG_STATUS:
		return &vm->debug.status;
	case MSR_DEBUG_SEND:
		return &vm->debug.send;
	case MSR_DEBUG_RECEIVE:
		return &vm->debug.receive;
	case MSR_DEBUG_PENDING:
		return &vm->debug.pending;
	default:
		return &vm->debug.options;
	}
}

static int debug_set(struct soft_vcpu *vcpu, uint32_t index, uint64_t value, bool is_host)
{
	*debug_of(&vcpu->vm->hyperv, index) = value;
	if (!is_host && (index == MSR_DEBUG_CONTROL || index == MSR_DEBUG_PENDING))
		vcpu->hyperv.exit_msr = index;
	return 1;
}

/* Where a value is only kept; NULL: elsewhere. */
static uint64_t *kept_of(struct soft_vcpu *vcpu, uint32_t index)
{
	struct soft_hyperv *vm = &vcpu->vm->hyperv;

	switch (index) {
	case MSR_OS_ID:
		return &vm->os_id;
	case MSR_HYPERCALL:
		return &vm->hypercall;
	case MSR_VP_INDEX:
		return &vcpu->hyperv.vp_index;
	case MSR_REFERENCE_TSC:
		return &vm->reference_tsc;
	case MSR_ASSIST_PAGE:
		return &vcpu->hyperv.assist_page;
	case MSR_CRASH_P0 ... MSR_CRASH_P4:
		return &vm->crash[index - MSR_CRASH_P0];
	case MSR_CRASH_CTL:
		return &vm->crash_ctl;
	case MSR_REENLIGHTENMENT:
		return &vm->reenlightenment;
	case MSR_TSC_EMULATION:
		return &vm->tsc_emulation;
	case MSR_TSC_EMULATION_STATUS:
		return &vm->tsc_emulation_status;
	case MSR_DEBUG_CONTROL ... MSR_DEBUG_PENDING:
	case MSR_DEBUG_OPTIONS:
		return debug_of(vm, index);
	default:
		return NULL;
	}
}

static bool is_synic(uint32_t index)
{
	return (index >= MSR_SCONTROL && index <= MSR_EOM) || (index >= MSR_SINT0 && index <= MSR_SINT15) ||
		(index >= MSR_TIMER0 && index <= MSR_TIMER3_COUNT);
}

static bool is_ours(uint32_t index)
{
	return index >= MSR_OS_ID && index <= MSR_LAST;
}

int hyperv_msr_get(struct soft_vcpu *vcpu, uint32_t index, uint64_t *ret_value, bool is_host)
{
	const uint64_t *kept;

	if (!is_ours(index))
		return 0;
	if (!is_host && !msr_is_there(vcpu, index))
		return -EINVAL;
	if (is_synic(index))
		return synic_get(vcpu, index, ret_value, is_host);
	kept = kept_of(vcpu, index);
	if (kept) {
		*ret_value = *kept;
		return 1;
	}
	switch (index) {
	case MSR_RESET:
		*ret_value = 0;
		return 1;
	case MSR_VP_RUNTIME:
		*ret_value = clock_ns() / 100 + vcpu->hyperv.runtime_offset;
		return 1;
	case MSR_TIME:
		*ret_value = hyperv_time(vcpu);
		return 1;
	case MSR_TSC_FREQUENCY:
		*ret_value = vcpu->tsc.khz * 1000ull;
		return 1;
	case MSR_APIC_FREQUENCY:
		*ret_value = APIC_HZ;
		return 1;
	case MSR_EOI ... MSR_TPR:
		return apic_get(vcpu, index, ret_value);
	default:
		return -EINVAL;
	}
}

static int host_only_set(struct soft_vcpu *vcpu, uint32_t index, uint64_t value)
{
	switch (index) {
	case MSR_VP_INDEX:
		if (value >= MAX_VP_INDEX)
			return -EINVAL;
		vcpu->hyperv.vp_index = value;
		return 1;
	case MSR_VP_RUNTIME:
		vcpu->hyperv.runtime_offset = value - clock_ns() / 100;
		return 1;
	default:
		return -EINVAL;
	}
}

int hyperv_msr_set(struct soft_vcpu *vcpu, uint32_t index, uint64_t value, bool is_host)
{
	struct soft_hyperv *vm = &vcpu->vm->hyperv;

	if (!is_ours(index))
		return 0;
	if (!is_host && !msr_is_there(vcpu, index))
		return -EINVAL;
	if (is_synic(index))
		return synic_set(vcpu, index, value, is_host);
	switch (index) {
	case MSR_OS_ID:
		vm->os_id = value;
		if (!value)
			vm->hypercall &= ~ENABLED;
		return 1;
	case MSR_HYPERCALL:
		return hypercall_set(vcpu, value);
	case MSR_RESET:
		if (value == 1 && !is_host)
			vcpu->hyperv.exit_msr = index;
		return 1;
	case MSR_REFERENCE_TSC:
		vm->reference_tsc = value;
		hyperv_clock_changed(vcpu);
		return 1;
	case MSR_EOI ... MSR_TPR:
		return apic_set(vcpu, index, value);
	case MSR_ASSIST_PAGE:
		return assist_page_set(vcpu, value);
	case MSR_CRASH_CTL:
		if (is_host)
			vm->crash_ctl = value & CRASH_NOTIFY;
		else if (value & CRASH_NOTIFY)
			vcpu->hyperv.exit_msr = index;
		return 1;
	case MSR_TSC_EMULATION_STATUS:
		if (value && !is_host)
			return -EINVAL;
		__attribute__((fallthrough));
	case MSR_CRASH_P0 ... MSR_CRASH_P4:
	case MSR_REENLIGHTENMENT:
	case MSR_TSC_EMULATION:
		*kept_of(vcpu, index) = value;
		return 1;
	case MSR_DEBUG_CONTROL ... MSR_DEBUG_PENDING:
	case MSR_DEBUG_OPTIONS:
		return debug_set(vcpu, index, value, is_host);
	default:
		return is_host ? host_only_set(vcpu, index, value) : -EINVAL;
	}
}

/* --- exits --- */

static long complete_debug(struct soft_vcpu *vcpu)
{
	if (vcpu->run->hyperv.u.syndbg.msr == MSR_DEBUG_CONTROL)
		vcpu->vm->hyperv.debug.status = vcpu->run->hyperv.u.syndbg.status;
	return 1;
}

static void exit_debug(struct soft_vcpu *vcpu, uint32_t index)
{
	const struct soft_hyperv *vm = &vcpu->vm->hyperv;
	struct kvm_hyperv_exit *exit = &vcpu->run->hyperv;

	exit->type = KVM_EXIT_HYPERV_SYNDBG;
	exit->u.syndbg.msr = index;
	exit->u.syndbg.control = vm->debug.control;
	exit->u.syndbg.status = vm->debug.status;
	exit->u.syndbg.send_page = vm->debug.send;
	exit->u.syndbg.recv_page = vm->debug.receive;
	exit->u.syndbg.pending_page = vm->debug.pending;
	vcpu->complete = complete_debug;
}

static void exit_synic(struct soft_vcpu *vcpu, uint32_t index)
{
	struct kvm_hyperv_exit *exit = &vcpu->run->hyperv;

	exit->type = KVM_EXIT_HYPERV_SYNIC;
	exit->u.synic.msr = index;
	exit->u.synic.control = vcpu->hyperv.control;
	exit->u.synic.evt_page = vcpu->hyperv.events_page;
	exit->u.synic.msg_page = vcpu->hyperv.messages_page;
}

bool hyperv_exit_take(struct soft_vcpu *vcpu)
{
	uint32_t index = vcpu->hyperv.exit_msr;
	struct kvm_run *run = vcpu->run;

	if (!index)
		return false;
	vcpu->hyperv.exit_msr = 0;
	if (index == MSR_RESET || index == MSR_CRASH_CTL) {
		run->exit_reason = KVM_EXIT_SYSTEM_EVENT;
		run->system_event.type = index == MSR_RESET ? KVM_SYSTEM_EVENT_RESET : KVM_SYSTEM_EVENT_CRASH;
		run->system_event.ndata = 0;
		return true;
	}
	run->exit_reason = KVM_EXIT_HYPERV;
	if (is_synic(index))
		exit_synic(vcpu, index);
	else
		exit_debug(vcpu, index);
	return true;
}
