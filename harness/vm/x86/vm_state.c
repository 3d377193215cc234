/* SPDX-License-Identifier: MIT */
#include "vm/x86/vm_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "vm/x86/bits.h"
#include "vm/x86/state.h"
#include "vm/x86/vmcb.h"

#define PAGE_BYTES 4096ul
#define MAX_CPUID_ENTRIES 256
#define MAX_MSRS 1024
#define FIRST_VMX_MSR 0x480
#define LAST_VMX_MSR 0x491
#define LAPIC_PPR_OFFSET 0xa0
#define LAPIC_TMCCT_OFFSET 0x390
#define NR_CHIPS 3

struct vcpu_saved {
	struct sys *sys;
	struct kvm_cpuid2 *cpuid;
	long tsc_khz;
	struct kvm_sregs sregs;
	bool has_sregs2;
	struct kvm_sregs2 sregs2;
	bool has_lapic;
	struct kvm_lapic_state lapic;
	struct kvm_nested_state *nested;	/* NULL: not offered */
	struct kvm_regs regs;
	struct kvm_xsave xsave;
	struct kvm_xcrs xcrs;
	struct kvm_msrs *msrs;
	struct kvm_vcpu_events events;
	struct kvm_mp_state mp_state;
	struct kvm_debugregs debugregs;
};

struct vm_state {
	unsigned int nr_vcpus;
	struct vcpu_saved vcpus[VM_MAX_VCPUS];
	bool has_irqchip, has_pit;
	struct kvm_irqchip chips[NR_CHIPS];
	struct kvm_pit_state2 pit;
	struct kvm_clock_data clock;
	struct slot slots[VM_MAX_SLOTS];	/* .hva is a copy that is owned */
	unsigned char *touched[VM_MAX_SLOTS];	/* a byte for each page of a slot, bit 0 */
};

static const char *const part_names[NR_PARTS] = {
	"MEMORY", "PIC", "IOAPIC", "PIT", "CLOCK", "CPUID", "TSC_KHZ", "SREGS", "PDPTRS", "LAPIC", "NESTED", "REGS",
	"XSAVE", "XCRS", "MSRS", "EVENTS", "MP_STATE", "DEBUGREGS", "CR2", "PPR",
};

const char *vm_part_name(enum vm_part part)
{
	return part_names[__builtin_ctz(part)];
}

static void *alloc(struct sys *sys, size_t bytes)
{
	void *memory = calloc(1, bytes);

	if (!memory)
		sys->must_failed(sys->context, "memory for a saved state", -ENOMEM);
	return memory;
}

/* --- memory: pages that nobody has touched are zero, and are not read --- */

static unsigned char *pages_touched(struct sys *sys, const struct slot *slot)
{
	unsigned char *touched = alloc(sys, slot->bytes / PAGE_BYTES);

	if (mincore(slot->hva, slot->bytes, touched))
		sys->must_failed(sys->context, "mincore", -errno);
	return touched;
}

static void pages_copy(void *to, const struct slot *from, const unsigned char *touched)
{
	size_t at;

	for (at = 0; at < from->bytes; at += PAGE_BYTES)
		if (touched[at / PAGE_BYTES] & 1)
			memcpy((uint8_t *)to + at, (uint8_t *)from->hva + at, PAGE_BYTES);
}

static void slot_save(struct vm *vm, struct vm_state *state, unsigned int i)
{
	const struct slot *slot = &vm->slots[i];
	void *copy = mmap(NULL, slot->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (copy == MAP_FAILED)
		vm->sys->must_failed(vm->sys->context, "memory for a saved state", -errno);
	state->slots[i] = *slot;
	state->slots[i].hva = copy;
	state->touched[i] = pages_touched(vm->sys, slot);
	pages_copy(copy, slot, state->touched[i]);
}

static void slots_save(struct vm *vm, struct vm_state *state)
{
	unsigned int i;

	for (i = 0; i < VM_MAX_SLOTS; i++)
		if (vm->slots[i].is_used && vm->slots[i].owns_memory)
			slot_save(vm, state, i);
}

static void slots_restore(struct vm *vm, const struct vm_state *state)
{
	unsigned int i;

	for (i = 0; i < VM_MAX_SLOTS; i++)
		if (state->slots[i].is_used)
			pages_copy(vm_hva(vm, state->slots[i].gpa, state->slots[i].bytes), &state->slots[i],
				   state->touched[i]);
}

/* --- MSRs --- */

/*
 * KVM_GET_MSRS ends at the first that this VM does not have; it is dropped and the rest read again.
 */
static void msrs_read(struct vcpu *vcpu, struct kvm_msrs *msrs)
{
	struct kvm_msrs *rest = alloc(vcpu->vm->sys, sizeof(*rest) + MAX_MSRS * sizeof(rest->entries[0]));
	uint32_t nr_read = 0, total = msrs->nmsrs;
	long r;

	while (total) {
		rest->nmsrs = total;
		memcpy(rest->entries, msrs->entries + nr_read, total * sizeof(rest->entries[0]));
		r = vcpu_ioctl(vcpu, KVM_GET_MSRS, rest);
		memcpy(msrs->entries + nr_read, rest->entries, r * sizeof(rest->entries[0]));
		nr_read += r;
		total -= r;
		if (!total)
			break;
		total--;
		memmove(msrs->entries + nr_read, msrs->entries + nr_read + 1, total * sizeof(rest->entries[0]));
	}
	msrs->nmsrs = nr_read;
	free(rest);
}

/* KVM_GET_MSR_INDEX_LIST does not have the MTRRs. */
static const struct { uint32_t first, nr; } mtrrs[] = {
	{ MSR_MTRRphysBase0, 16 }, { MSR_MTRRfix64K_00000, 1 }, { 0x258, 2 }, { 0x268, 8 }, { MSR_MTRRdefType, 1 },
};

static void mtrrs_add(struct kvm_msrs *msrs)
{
	uint32_t i, k;

	for (i = 0; i < sizeof(mtrrs) / sizeof(mtrrs[0]); i++)
		for (k = 0; k < mtrrs[i].nr; k++)
			msrs->entries[msrs->nmsrs++].index = mtrrs[i].first + k;
}

static struct kvm_msrs *msrs_save(struct vcpu *vcpu)
{
	struct sys *sys = vcpu->vm->sys;
	struct kvm_msrs *msrs = alloc(sys, sizeof(*msrs) + MAX_MSRS * sizeof(msrs->entries[0]));
	struct kvm_msr_list *list = alloc(sys, sizeof(*list) + MAX_MSRS * sizeof(list->indices[0]));
	uint32_t i;

	list->nmsrs = MAX_MSRS - 64;
	sys_ioctl(sys, KVM_GET_MSR_INDEX_LIST, list);
	msrs->nmsrs = list->nmsrs;
	for (i = 0; i < list->nmsrs; i++)
		msrs->entries[i].index = list->indices[i];
	free(list);
	mtrrs_add(msrs);
	msrs_read(vcpu, msrs);
	return msrs;
}

/* What is looked at, and how it is said what differs or was refused. */
struct report {
	unsigned int parts;
	char *text;
	size_t len_bytes;
};

/* IA32_FEATURE_CONTROL and the VMX capabilities cannot be changed once there is a VMCS. */
static bool is_feature_msr(uint32_t index)
{
	return index == MSR_IA32_FEAT_CTL || (index >= FIRST_VMX_MSR && index <= LAST_VMX_MSR);
}

/* What KVM does not take, although the vCPU has just that already, is passed over. */
static bool is_msr(struct vcpu *vcpu, const struct kvm_msr_entry *entry)
{
	struct kvm_msrs *one = alloc(vcpu->vm->sys, sizeof(*one) + sizeof(one->entries[0]));
	bool is;

	one->nmsrs = 1;
	one->entries[0].index = entry->index;
	is = vcpu_ioctl_try(vcpu, KVM_GET_MSRS, one) == 1 && one->entries[0].data == entry->data;
	free(one);
	return is;
}

static int msrs_write_try(struct vcpu *vcpu, struct kvm_msrs *msrs, struct report *report)
{
	uint32_t total = msrs->nmsrs, nr_done = 0;
	long r;

	while (nr_done < total) {
		msrs->nmsrs = total - nr_done;
		memmove(msrs->entries, msrs->entries + nr_done, msrs->nmsrs * sizeof(msrs->entries[0]));
		total = msrs->nmsrs;
		r = vcpu_ioctl_try(vcpu, KVM_SET_MSRS, msrs);
		if (r < 0)
			return r;
		if (r < total && !is_msr(vcpu, &msrs->entries[r])) {
			snprintf(report->text, report->len_bytes, "MSRS: 0x%x = 0x%llx", msrs->entries[r].index,
				 msrs->entries[r].data);
			return -EIO;
		}
		nr_done = r + 1;
	}
	return 0;
}

static int msrs_restore_try(struct vcpu *vcpu, const struct kvm_msrs *saved, bool features, struct report *report)
{
	struct kvm_msrs *msrs = alloc(vcpu->vm->sys, sizeof(*msrs) + MAX_MSRS * sizeof(msrs->entries[0]));
	uint32_t i;
	int r;

	for (i = 0; i < saved->nmsrs; i++)
		if (is_feature_msr(saved->entries[i].index) == features)
			msrs->entries[msrs->nmsrs++] = saved->entries[i];
	r = msrs_write_try(vcpu, msrs, report);
	free(msrs);
	return r;
}

/* --- one vCPU: saved --- */

static struct kvm_cpuid2 *cpuid_save(struct vcpu *vcpu)
{
	struct kvm_cpuid2 *cpuid;

	cpuid = alloc(vcpu->vm->sys, sizeof(*cpuid) + MAX_CPUID_ENTRIES * sizeof(cpuid->entries[0]));
	cpuid->nent = MAX_CPUID_ENTRIES;
	vcpu_ioctl(vcpu, KVM_GET_CPUID2, cpuid);
	return cpuid;
}

static struct kvm_nested_state *nested_save(struct vcpu *vcpu)
{
	long bytes = sys_has_cap(vcpu->vm->sys, KVM_CAP_NESTED_STATE);
	struct kvm_nested_state *nested;

	if (!bytes)
		return NULL;
	nested = alloc(vcpu->vm->sys, bytes);
	nested->size = bytes;
	vcpu_ioctl(vcpu, KVM_GET_NESTED_STATE, nested);
	return nested;
}

/* KVM_GET_MP_STATE takes what the local APIC has latched, and may change registers: it comes first. */
static void vcpu_save(struct vcpu *vcpu, struct vcpu_saved *saved)
{
	struct sys *sys = vcpu->vm->sys;

	saved->sys = sys;
	vcpu_ioctl(vcpu, KVM_GET_MP_STATE, &saved->mp_state);
	vcpu_ioctl(vcpu, KVM_GET_VCPU_EVENTS, &saved->events);
	saved->cpuid = cpuid_save(vcpu);
	saved->tsc_khz = vcpu_ioctl_value_try(vcpu, KVM_GET_TSC_KHZ, 0);
	vcpu_ioctl(vcpu, KVM_GET_SREGS, &saved->sregs);
	saved->has_sregs2 = sys_has_cap(sys, KVM_CAP_SREGS2);
	if (saved->has_sregs2)
		vcpu_ioctl(vcpu, KVM_GET_SREGS2, &saved->sregs2);
	saved->has_lapic = !vcpu_ioctl_try(vcpu, KVM_GET_LAPIC, &saved->lapic);
	saved->nested = nested_save(vcpu);
	vcpu_ioctl(vcpu, KVM_GET_REGS, &saved->regs);
	vcpu_ioctl(vcpu, KVM_GET_XSAVE, &saved->xsave);
	vcpu_ioctl(vcpu, KVM_GET_XCRS, &saved->xcrs);
	saved->msrs = msrs_save(vcpu);
	vcpu_ioctl(vcpu, KVM_GET_DEBUGREGS, &saved->debugregs);
}

/* --- one vCPU: put back --- */

static int cpuid_restore_try(struct vcpu *vcpu, const struct vcpu_saved *saved, struct report *report)
{
	(void)report;
	return vcpu_ioctl_try(vcpu, KVM_SET_CPUID2, saved->cpuid);
}

static int tsc_khz_restore_try(struct vcpu *vcpu, const struct vcpu_saved *saved, struct report *report)
{
	(void)report;
	/* Note, where the kernel calibrated its TSC after KVM had asked, KVM refuses the rate that it has. */
	if (saved->tsc_khz <= 0 || vcpu_ioctl_value_try(vcpu, KVM_GET_TSC_KHZ, 0) == saved->tsc_khz)
		return 0;
	return vcpu_ioctl_value_try(vcpu, KVM_SET_TSC_KHZ, saved->tsc_khz);
}

static int sregs_restore_try(struct vcpu *vcpu, const struct vcpu_saved *saved, struct report *report)
{
	struct kvm_sregs sregs = saved->sregs;

	(void)report;
	/* The interrupt that it names is in the events, too. */
	memset(sregs.interrupt_bitmap, 0, sizeof(sregs.interrupt_bitmap));
	vcpu->run->cr8 = sregs.cr8;
	return vcpu_ioctl_try(vcpu, KVM_SET_SREGS, &sregs);
}

static int pdptrs_restore_try(struct vcpu *vcpu, const struct vcpu_saved *saved, struct report *report)
{
	(void)report;
	return saved->has_sregs2 ? vcpu_ioctl_try(vcpu, KVM_SET_SREGS2, &saved->sregs2) : 0;
}

static int lapic_restore_try(struct vcpu *vcpu, const struct vcpu_saved *saved, struct report *report)
{
	(void)report;
	return saved->has_lapic ? vcpu_ioctl_try(vcpu, KVM_SET_LAPIC, &saved->lapic) : 0;
}

static int features_restore_try(struct vcpu *vcpu, const struct vcpu_saved *saved, struct report *report)
{
	return msrs_restore_try(vcpu, saved->msrs, true, report);
}

static int nested_restore_try(struct vcpu *vcpu, const struct vcpu_saved *saved, struct report *report)
{
	(void)report;
	return saved->nested ? vcpu_ioctl_try(vcpu, KVM_SET_NESTED_STATE, saved->nested) : 0;
}

static int other_msrs_restore_try(struct vcpu *vcpu, const struct vcpu_saved *saved, struct report *report)
{
	return msrs_restore_try(vcpu, saved->msrs, false, report);
}

#define RESTORE(name_, request_)							\
	static int name_##_restore_try(struct vcpu *vcpu, const struct vcpu_saved *saved,	\
				       struct report *report)				\
	{										\
		(void)report;								\
		return vcpu_ioctl_try(vcpu, request_, &saved->name_);			\
	}
RESTORE(regs, KVM_SET_REGS)
RESTORE(xsave, KVM_SET_XSAVE)
RESTORE(xcrs, KVM_SET_XCRS)
RESTORE(events, KVM_SET_VCPU_EVENTS)
RESTORE(mp_state, KVM_SET_MP_STATE)
RESTORE(debugregs, KVM_SET_DEBUGREGS)
#undef RESTORE

static const struct {
	enum vm_part part;
	int (*restore_try)(struct vcpu *vcpu, const struct vcpu_saved *saved, struct report *report);
} vcpu_steps[] = {
	{ PART_CPUID, cpuid_restore_try },
	{ PART_TSC_KHZ, tsc_khz_restore_try },
	{ PART_SREGS, sregs_restore_try },
	{ PART_PDPTRS, pdptrs_restore_try },
	{ PART_LAPIC, lapic_restore_try },
	{ PART_MSRS, features_restore_try },
	{ PART_NESTED, nested_restore_try },
	{ PART_REGS, regs_restore_try },
	{ PART_XSAVE, xsave_restore_try },
	{ PART_XCRS, xcrs_restore_try },
	{ PART_MSRS, other_msrs_restore_try },
	{ PART_EVENTS, events_restore_try },
	{ PART_MP_STATE, mp_state_restore_try },
	{ PART_DEBUGREGS, debugregs_restore_try },
};

static void refused(struct report *report, enum vm_part part)
{
	if (!report->text[0])
		snprintf(report->text, report->len_bytes, "%s", vm_part_name(part));
}

static int vcpu_restore_try(struct vcpu *vcpu, const struct vcpu_saved *saved, struct report *report)
{
	size_t i;
	int r = 0;

	for (i = 0; i < sizeof(vcpu_steps) / sizeof(vcpu_steps[0]) && r >= 0; i++) {
		if (!(report->parts & vcpu_steps[i].part))
			continue;
		r = vcpu_steps[i].restore_try(vcpu, saved, report);
		if (r < 0)
			refused(report, vcpu_steps[i].part);
	}
	return r;
}

/* --- the VM --- */

static void devices_save(struct vm *vm, struct vm_state *state)
{
	unsigned int i;

	state->has_irqchip = true;
	for (i = 0; i < NR_CHIPS && state->has_irqchip; i++) {
		state->chips[i].chip_id = i;
		state->has_irqchip = !vm_ioctl_try(vm, KVM_GET_IRQCHIP, &state->chips[i]);
	}
	state->has_pit = !vm_ioctl_try(vm, KVM_GET_PIT2, &state->pit);
	vm_ioctl(vm, KVM_GET_CLOCK, &state->clock);
}

struct vm_state *vm_state_save(struct vm *vm)
{
	struct vm_state *state = alloc(vm->sys, sizeof(*state));
	unsigned int i;

	state->nr_vcpus = vm->nr_vcpus;
	for (i = 0; i < vm->nr_vcpus; i++)
		vcpu_save(vm->vcpus[i], &state->vcpus[i]);
	devices_save(vm, state);
	slots_save(vm, state);
	return state;
}

void vm_state_free(struct vm_state *state)
{
	unsigned int i;

	if (!state)
		return;
	for (i = 0; i < state->nr_vcpus; i++) {
		free(state->vcpus[i].cpuid);
		free(state->vcpus[i].nested);
		free(state->vcpus[i].msrs);
	}
	for (i = 0; i < VM_MAX_SLOTS; i++) {
		if (state->slots[i].hva)
			munmap(state->slots[i].hva, state->slots[i].bytes);
		free(state->touched[i]);
	}
	free(state);
}

static enum vm_part chip_part(unsigned int chip)
{
	return chip == KVM_IRQCHIP_IOAPIC ? PART_IOAPIC : PART_PIC;
}

static int chips_restore_try(struct vm *vm, const struct vm_state *state, struct report *report)
{
	unsigned int i;
	int r = 0;

	for (i = 0; i < NR_CHIPS && state->has_irqchip && !r; i++) {
		r = report->parts & chip_part(i) ? vm_ioctl_try(vm, KVM_SET_IRQCHIP, &state->chips[i]) : 0;
		if (r)
			refused(report, chip_part(i));
	}
	return r;
}

static int devices_restore_try(struct vm *vm, const struct vm_state *state, struct report *report)
{
	struct kvm_clock_data clock = { .clock = state->clock.clock };
	int r = chips_restore_try(vm, state, report);

	if (!r && (report->parts & PART_PIT) && state->has_pit) {
		r = vm_ioctl_try(vm, KVM_SET_PIT2, &state->pit);
		if (r)
			refused(report, PART_PIT);
	}
	if (!r && (report->parts & PART_CLOCK)) {
		r = vm_ioctl_try(vm, KVM_SET_CLOCK, &clock);
		if (r)
			refused(report, PART_CLOCK);
	}
	return r;
}

int vm_state_restore_try(struct vm *vm, const struct vm_state *state, unsigned int parts, char *text, size_t len_bytes)
{
	struct report report = { parts, text, len_bytes };
	unsigned int i;
	int r;

	text[0] = '\0';
	if (parts & PART_MEMORY)
		slots_restore(vm, state);
	r = devices_restore_try(vm, state, &report);
	for (i = 0; i < vm->nr_vcpus && !r; i++)
		r = vcpu_restore_try(vm->vcpus[i], &state->vcpus[i], &report);
	return r;
}

/* --- compared --- */

/* True when equal or not to be looked at. */
static bool bytes_equal(struct report *d, enum vm_part part, const void *want, const void *got, size_t bytes)
{
	const uint8_t *w = want, *g = got;
	size_t i;

	if (!(d->parts & part) || !memcmp(want, got, bytes))
		return true;
	for (i = 0; w[i] == g[i]; i++)
		;
	snprintf(d->text, d->len_bytes, "%s: byte 0x%zx of 0x%zx, want 0x%02x, got 0x%02x", vm_part_name(part), i,
		 bytes, w[i], g[i]);
	return false;
}

/* The names of registers say more than an offset. */
static bool registers_equal(struct report *d, const struct vcpu_saved *want, const struct vcpu_saved *got)
{
	char fields[512], want_text[512], got_text[512];
	struct kvm_sregs want_sregs = want->sregs;
	bool equal = true;

	if (!(d->parts & PART_CR2))
		want_sregs.cr2 = got->sregs.cr2;
	if (d->parts & PART_REGS)
		equal = regs_equal(&want->regs, &got->regs, fields, want_text, got_text, sizeof(fields));
	if (equal && (d->parts & PART_SREGS))
		equal = sregs_equal(&want_sregs, &got->sregs, fields, want_text, got_text, sizeof(fields));
	if (!equal)
		snprintf(d->text, d->len_bytes, "registers: want %s, got %s", want_text, got_text);
	return equal;
}

/* The TSC, HV_X64_MSR_VP_RUNTIME, HV_X64_MSR_TIME_REF_COUNT. */
static bool is_time_msr(uint32_t index)
{
	return index == MSR_IA32_TSC || index == 0x40000010 || index == 0x40000020;
}

static bool msrs_equal(struct report *d, const struct kvm_msrs *want, const struct kvm_msrs *got)
{
	uint32_t i;

	if (!(d->parts & PART_MSRS))
		return true;
	for (i = 0; i < want->nmsrs && i < got->nmsrs; i++) {
		const struct kvm_msr_entry *w = &want->entries[i], *g = &got->entries[i];

		if (w->index == g->index && (w->data == g->data || is_time_msr(w->index)))
			continue;
		snprintf(d->text, d->len_bytes, "MSRS: want 0x%x = 0x%llx, got 0x%x = 0x%llx", w->index, w->data, g->index,
			 g->data);
		return false;
	}
	if (want->nmsrs == got->nmsrs)
		return true;
	snprintf(d->text, d->len_bytes, "MSRS: want %u of them, got %u", want->nmsrs, got->nmsrs);
	return false;
}

static bool lapics_equal(struct report *d, const struct vcpu_saved *want, const struct vcpu_saved *got)
{
	struct kvm_lapic_state w = want->lapic, g = got->lapic;

	memset(w.regs + LAPIC_TMCCT_OFFSET, 0, 4);
	memset(g.regs + LAPIC_TMCCT_OFFSET, 0, 4);
	if (!(d->parts & PART_PPR))
		memcpy(g.regs + LAPIC_PPR_OFFSET, w.regs + LAPIC_PPR_OFFSET, 4);
	return bytes_equal(d, PART_LAPIC, &w, &g, sizeof(w));
}

/* Of L1's save area just what VMRUN keeps for #VMEXIT (APM vol. 2, 15.5.1); KVM copies no more of it, either. */
static void svm_host_keep(struct vmcb_save *save)
{
	const struct vmcb_save all = *save;

	memset(save, 0, sizeof(*save));
	save->es = all.es;
	save->cs = all.cs;
	save->ss = all.ss;
	save->ds = all.ds;
	save->gdtr = all.gdtr;
	save->idtr = all.idtr;
	save->efer = all.efer;
	save->cr0 = all.cr0;
	save->cr3 = all.cr3;
	save->cr4 = all.cr4;
	save->rflags = all.rflags;
	save->rip = all.rip;
	save->rsp = all.rsp;
	save->rax = all.rax;
}

/* Offsets in KVM's VMCS, whose layout is ABI. */
#define VMCS12_GUEST_LINEAR_ADDRESS 416
#define VMCS12_EXIT_INSTRUCTION_LENGTH 832
#define VMCS12_INTERRUPTIBILITY 912
#define BLOCKING_BY_NMI 8

/*
 * What an exit to L1 may leave undefined (SDM vol. 3C, 28.2.1, 28.2.5) holds what the last exit of L2 had; and whether
 * NMIs are blocked is the events' word, which is put in later.
 */
static void vmx_undefined_drop(uint8_t *vmcs12)
{
	memset(vmcs12 + VMCS12_GUEST_LINEAR_ADDRESS, 0, 8);
	memset(vmcs12 + VMCS12_EXIT_INSTRUCTION_LENGTH, 0, 4);
	vmcs12[VMCS12_INTERRUPTIBILITY] &= ~BLOCKING_BY_NMI;
}

static struct kvm_nested_state *nested_copy(struct sys *sys, const struct kvm_nested_state *nested)
{
	struct kvm_nested_state *copy = alloc(sys, nested->size);

	memcpy(copy, nested, nested->size);
	if (copy->format == KVM_STATE_NESTED_FORMAT_SVM && copy->size > sizeof(*copy))
		svm_host_keep(&((struct vmcb *)copy->data.svm[0].vmcb12)->save);
	if (copy->format == KVM_STATE_NESTED_FORMAT_VMX && copy->size > sizeof(*copy))
		vmx_undefined_drop(copy->data.vmx[0].vmcs12);
	return copy;
}

static bool nested_equal(struct report *d, const struct vcpu_saved *want, const struct vcpu_saved *got)
{
	struct kvm_nested_state *w, *g;
	bool equal;

	if (!want->nested)
		return true;
	w = nested_copy(want->sys, want->nested);
	g = nested_copy(want->sys, got->nested);
	equal = bytes_equal(d, PART_NESTED, &w->size, &g->size, sizeof(w->size)) &&
		bytes_equal(d, PART_NESTED, w, g, w->size);
	free(w);
	free(g);
	return equal;
}

/* Some are meaningful with their flags only; without payloads, a pending exception is an injected one, too. */
static bool events_equal(struct report *d, struct kvm_vcpu_events want, struct kvm_vcpu_events got)
{
	struct kvm_vcpu_events *each[] = { &want, &got };
	unsigned int i;

	for (i = 0; i < 2; i++) {
		if (!(each[i]->flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT))
			each[i]->triple_fault.pending = 0;
		if (!(each[i]->flags & KVM_VCPUEVENT_VALID_PAYLOAD))
			each[i]->exception.pending = 0;
		if (!each[i]->exception.injected && !each[i]->exception.pending)
			memset(&each[i]->exception, 0, sizeof(each[i]->exception));
		if (!each[i]->interrupt.injected)
			each[i]->interrupt.nr = each[i]->interrupt.soft = 0;
	}
	return bytes_equal(d, PART_EVENTS, &want, &got, sizeof(want));
}

static bool vcpus_equal(struct report *d, const struct vcpu_saved *want, const struct vcpu_saved *got)
{
	return bytes_equal(d, PART_CPUID, want->cpuid, got->cpuid,
			   sizeof(*want->cpuid) + want->cpuid->nent * sizeof(want->cpuid->entries[0])) &&
	       bytes_equal(d, PART_TSC_KHZ, &want->tsc_khz, &got->tsc_khz, sizeof(want->tsc_khz)) &&
	       registers_equal(d, want, got) &&
	       bytes_equal(d, PART_PDPTRS, want->sregs2.pdptrs, got->sregs2.pdptrs, sizeof(want->sregs2.pdptrs)) &&
	       lapics_equal(d, want, got) && nested_equal(d, want, got) &&
	       bytes_equal(d, PART_XSAVE, &want->xsave, &got->xsave, sizeof(want->xsave)) &&
	       bytes_equal(d, PART_XCRS, &want->xcrs, &got->xcrs, sizeof(want->xcrs)) &&
	       msrs_equal(d, want->msrs, got->msrs) && events_equal(d, want->events, got->events) &&
	       bytes_equal(d, PART_MP_STATE, &want->mp_state, &got->mp_state, sizeof(want->mp_state)) &&
	       bytes_equal(d, PART_DEBUGREGS, &want->debugregs, &got->debugregs, sizeof(want->debugregs));
}

/* Tells the first byte in which the pages differ, with what stands from there on. */
static void page_tell(struct report *d, uint64_t gpa, const uint8_t *want, const uint8_t *got)
{
	uint64_t w, g;
	size_t at = 0;

	while (want[at] == got[at])
		at++;
	at &= ~(sizeof(w) - 1);
	memcpy(&w, want + at, sizeof(w));
	memcpy(&g, got + at, sizeof(g));
	snprintf(d->text, d->len_bytes, "MEMORY: 0x%" PRIx64 ": 0x%" PRIx64 ", not 0x%" PRIx64, gpa + at, g, w);
}

static bool slots_equal(struct report *d, const struct vm_state *want, const struct vm_state *got, unsigned int i)
{
	const struct slot *w = &want->slots[i], *g = &got->slots[i];
	size_t at;

	if (!(d->parts & PART_MEMORY) || !w->is_used)
		return true;
	for (at = 0; at < w->bytes; at += PAGE_BYTES) {
		if (!((want->touched[i][at / PAGE_BYTES] | got->touched[i][at / PAGE_BYTES]) & 1))
			continue;
		if (!memcmp((uint8_t *)w->hva + at, (uint8_t *)g->hva + at, PAGE_BYTES))
			continue;
		page_tell(d, w->gpa + at, (uint8_t *)w->hva + at, (uint8_t *)g->hva + at);
		return false;
	}
	return true;
}

static bool pits_equal(struct report *d, struct kvm_pit_state2 want, struct kvm_pit_state2 got)
{
	unsigned int i;

	for (i = 0; i < 3; i++)
		want.channels[i].count_load_time = got.channels[i].count_load_time = 0;
	return bytes_equal(d, PART_PIT, &want, &got, sizeof(want));
}

bool vm_state_equal(const struct vm_state *want, const struct vm_state *got, unsigned int parts, char *text,
		    size_t len_bytes)
{
	struct report d = { parts, text, len_bytes };
	unsigned int i;
	bool equal = true;

	for (i = 0; i < want->nr_vcpus && equal; i++)
		equal = vcpus_equal(&d, &want->vcpus[i], &got->vcpus[i]);
	for (i = 0; i < NR_CHIPS && equal; i++)
		equal = bytes_equal(&d, chip_part(i), &want->chips[i], &got->chips[i], sizeof(want->chips[i]));
	for (i = 0; i < VM_MAX_SLOTS && equal; i++)
		equal = slots_equal(&d, want, got, i);
	return equal && pits_equal(&d, want->pit, got->pit);
}
