/* SPDX-License-Identifier: MIT */
#include "fuzz/nested.h"

#include <asm/kvm.h>
#include <asm/svm.h>
#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "err.h"
#include "fuzz/nested_l1.h"
#include "fuzz/touches.h"
#include "fuzz/vmcb_ops.h"
#include "machine/cpuid.h"
#include "vm/vm.h"
#include "vm/x86/bits.h"
#include "vm/x86/mode.h"

#define PAGE_BYTES 0x1000u
#define NR_WORDS (VMCB_NR_PAGES / 64)
#define MAX_CPUID 32
#define MAX_MSRS 256
#define TICKS 2			/* that a KVM_RUN may see */
#define SWEEP_EVERY 64		/* inputs between two looks at all pages */
#define WATCHED_OPS 2		/* of an input whose reads of the VMCB are counted */
#define SWEEP_CLOSELY 256	/* inputs that are looked at one by one behind a find */
#define L1_CODE_SEL 0x08
#define L1_DATA_SEL 0x10
#define L1_TSS_SEL 0x18
#define EXTERNAL_INTERRUPT 0x20

extern const uint8_t nested_l1_begin[], nested_l1_faults[], nested_l1_ignore[], nested_l1_end[];

/* Why L1 does not go on. */
enum stop {
	STOP_DONE,		/* its script is done */
	STOP_HALTED,		/* L2 halts, and L1 does not intercept it */
	STOP_SHUTDOWN,
	STOP_BUDGET,
	STOP_FAULT,		/* an exception in L1 */
	STOP_ERROR,		/* KVM does not know what to do */
};

struct msr_list {
	struct kvm_msrs head;
	struct kvm_msr_entry entries[MAX_MSRS];
};

struct nested {
	struct sys *sys;
	struct vm *vm;
	struct vcpu *vcpu;
	uint8_t *ram, *golden;		/* VMCB_RAM_BYTES */
	uint8_t *l1, *l1_golden;	/* NESTED_L1_BYTES */
	struct machine_cpuid cpuid[MAX_CPUID];
	size_t nr_cpuid;
	struct svm_rule_cpu rule_cpu;
	struct kvm_cpuid2 *kvm_cpuid;

	/* A vCPU that has done nothing yet but CLGI. */
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_debugregs debugregs;
	struct kvm_vcpu_events events;
	struct kvm_xsave xsave;
	struct kvm_xcrs xcrs;
	struct msr_list msrs;

	struct vmcb_program program;
	unsigned int nr_steps;		/* of the script, not executed yet */
	uint64_t suspects[NR_WORDS];	/* pages that this input may have written */
	bool has_gif;
	bool is_fresh;
	bool is_lost;			/* the vCPU is somewhere in L2 */
	bool is_hopeless;		/* only a new VM will do */
	bool is_unclean;		/* it may have more state than a look shows */
	uint64_t pins;			/* that this input has asserted */
	uint64_t last_written;		/* by an operation */
	unsigned int nr_since_sweep, nr_close;
	volatile unsigned int ticks;
	bool is_watched;		/* this input */
	struct touches *fetches;	/* of watched_fields; NULL: nobody counts */
	struct nested_counts counts;
};

/* --- CPUID --- */

/* Registers whose bits are features; the others are the machine's, but for the width of addresses. */
static const struct {
	uint32_t leaf, subleaf;
	uint32_t masks[4];	/* of EAX to EDX */
} feature_words[] = {
	{ 1, 0, { 0, 0, ~0u, ~0u } }, { 7, 0, { 0, ~0u, ~0u, ~0u } }, { 0xd, 1, { ~0u, 0, 0, 0 } },
	{ 0x80000001, 0, { 0, 0, ~0u, ~0u } }, { 0x8000000a, 0, { 0, 0, 0, ~0u } },
};

static void cpuid_cut(struct machine_cpuid *ours, const struct kvm_cpuid_entry2 *theirs, const uint32_t *masks)
{
	ours->eax &= theirs->eax | ~masks[0];
	ours->ebx &= theirs->ebx | ~masks[1];
	ours->ecx &= theirs->ecx | ~masks[2];
	ours->edx &= theirs->edx | ~masks[3];
}

static void cpuid_common(struct nested *n, const struct kvm_cpuid2 *supported)
{
	size_t i, word;

	n->nr_cpuid = machine_nr_cpuid_default;
	memcpy(n->cpuid, machine_cpuid_default, n->nr_cpuid * sizeof(n->cpuid[0]));
	for (i = 0; i < n->nr_cpuid; i++) {
		struct machine_cpuid *ours = &n->cpuid[i];
		uint32_t subleaf = ours->subleaf == ~0u ? 0 : ours->subleaf;
		struct kvm_cpuid_entry2 theirs = { 0 };

		cpuid_find(supported, ours->leaf, subleaf, &theirs);
		for (word = 0; word < sizeof(feature_words) / sizeof(feature_words[0]); word++)
			if (feature_words[word].leaf == ours->leaf && feature_words[word].subleaf == subleaf)
				cpuid_cut(ours, &theirs, feature_words[word].masks);
		if (ours->leaf == 0x80000008)
			ours->eax = theirs.eax & 0xffff;
	}
}

static int cpuid_make(struct nested *n)
{
	size_t i;

	cpuid_common(n, n->sys->cpuid);
	n->kvm_cpuid = calloc(1, sizeof(*n->kvm_cpuid) + n->nr_cpuid * sizeof(n->kvm_cpuid->entries[0]));
	if (!n->kvm_cpuid)
		return -ENOMEM;
	n->kvm_cpuid->nent = (uint32_t)n->nr_cpuid;
	for (i = 0; i < n->nr_cpuid; i++) {
		const struct machine_cpuid *leaf = &n->cpuid[i];

		n->kvm_cpuid->entries[i] = (struct kvm_cpuid_entry2){
			.function = leaf->leaf, .index = leaf->subleaf == ~0u ? 0 : leaf->subleaf,
			.flags = leaf->subleaf == ~0u ? 0 : KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
			.eax = leaf->eax, .ebx = leaf->ebx, .ecx = leaf->ecx, .edx = leaf->edx,
		};
	}
	return 0;
}

static uint32_t cpuid_read(const void *context, uint32_t leaf, uint32_t subleaf, unsigned int reg)
{
	const struct nested *n = context;
	struct machine_cpuid found = cpuid_lookup(n->cpuid, n->nr_cpuid, leaf, subleaf);

	return (uint32_t[]){ found.eax, found.ebx, found.ecx, found.edx }[reg];
}

const struct machine_cpuid *nested_cpuid(const struct nested *n, size_t *ret_nr)
{
	*ret_nr = n->nr_cpuid;
	return n->cpuid;
}

/* --- L1's pages --- */

static void put64(uint8_t *page, unsigned int offset, uint64_t value)
{
	memcpy(page + offset, &value, sizeof(value));
}

static void put_gate(uint8_t *l1, unsigned int vector, const uint8_t *label)
{
	uint64_t handler = NESTED_L1_GPA + NESTED_CODE + (uint64_t)(label - nested_l1_begin);

	put64(l1, NESTED_IDT + vector * 16, (handler & 0xffff) | L1_CODE_SEL << 16 | 0x8e00ull << 32 |
	      (handler >> 16 & 0xffff) << 48);
	put64(l1, NESTED_IDT + vector * 16 + 8, handler >> 32);
}

static void l1_fill(uint8_t *l1)
{
	const uint64_t flags = PTE_P | PTE_W | PTE_A | PTE_D, at = NESTED_L1_GPA;
	unsigned int vector;

	memcpy(l1 + NESTED_CODE, nested_l1_begin, (size_t)(nested_l1_end - nested_l1_begin));
	put64(l1, NESTED_PML4 + (at >> 39 & 511) * 8, (at + NESTED_PDPT) | PTE_P | PTE_W | PTE_A);
	put64(l1, NESTED_PDPT + (at >> 30 & 511) * 8, (at + NESTED_PD) | PTE_P | PTE_W | PTE_A);
	put64(l1, NESTED_PD + (at >> 21 & 511) * 8, at | flags | PTE_PS);
	put64(l1, NESTED_PD + ((at + NESTED_WORLD) >> 21 & 511) * 8, flags | PTE_PS);
	put64(l1, NESTED_GDT + L1_CODE_SEL, 0x00af9b000000ffff);
	put64(l1, NESTED_GDT + L1_DATA_SEL, 0x00cf93000000ffff);
	for (vector = 0; vector < 32; vector++)
		put_gate(l1, vector, nested_l1_faults + 16 * vector);
	put_gate(l1, 2, nested_l1_ignore);
	put_gate(l1, NESTED_IRQ_VECTOR, nested_l1_ignore);
}

/* --- the VM --- */

static struct kvm_segment segment(uint16_t selector, uint8_t type, bool is_code)
{
	return (struct kvm_segment){ .selector = selector, .limit = ~0u, .type = type, .present = 1, .s = 1, .g = 1,
		.l = is_code, .db = !is_code };
}

static void sregs_make(struct nested *n)
{
	struct kvm_sregs *sregs = &n->sregs;
	const uint64_t at = NESTED_L1_GPA;

	vcpu_ioctl(n->vcpu, KVM_GET_SREGS, sregs);
	sregs->cs = segment(L1_CODE_SEL, 11, true);
	sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = segment(L1_DATA_SEL, 3, false);
	sregs->tr = (struct kvm_segment){ .selector = L1_TSS_SEL, .base = at + NESTED_TSS, .limit = 0x67, .type = 11,
		.present = 1 };
	sregs->ldt = (struct kvm_segment){ .unusable = 1, .type = 2 };
	sregs->gdt = (struct kvm_dtable){ .base = at + NESTED_GDT, .limit = 0xfff };
	sregs->idt = (struct kvm_dtable){ .base = at + NESTED_IDT, .limit = 0xfff };
	sregs->cr0 = X86_CR0_PE | X86_CR0_ET | X86_CR0_NE | X86_CR0_WP | X86_CR0_PG;
	sregs->cr3 = at + NESTED_PML4;
	sregs->cr4 = X86_CR4_PAE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT;
	sregs->efer = EFER_LME | EFER_LMA | EFER_NX | EFER_SCE | EFER_SVME;
	sregs->cr2 = sregs->cr8 = 0;
}

static int vm_make(struct nested *n)
{
	struct kvm_msrs *hsave = &n->msrs.head;
	int r = vm_create_try(n->sys, &n->vm);

	if (r)
		return r;
	n->counts.nr_made++;
	r = vm_region_try(n->vm, 0, 0, 0, VMCB_RAM_BYTES, n->ram);
	if (!r)
		r = vm_region_try(n->vm, 1, 0, NESTED_L1_GPA, NESTED_L1_BYTES, n->l1);
	if (!r)
		r = vcpu_create_try(n->vm, 0, &n->vcpu);
	if (r)
		return r;
	r = (int)sys_call(n->sys, n->vcpu->fd, KVM_SET_CPUID2, (uintptr_t)n->kvm_cpuid);
	if (r)
		return r;
	sregs_make(n);
	vcpu_ioctl(n->vcpu, KVM_SET_SREGS, &n->sregs);
	n->regs = (struct kvm_regs){ .rip = NESTED_L1_GPA + NESTED_CODE, .rsp = NESTED_L1_GPA + NESTED_STACK_END,
		.rflags = X86_EFLAGS_FIXED | X86_EFLAGS_IF };
	vcpu_ioctl(n->vcpu, KVM_SET_REGS, &n->regs);
	if (!n->msrs.head.nmsrs) {
		hsave->nmsrs = 1;
		n->msrs.entries[0] = (struct kvm_msr_entry){ .index = MSR_VM_HSAVE_PA, .data = NESTED_L1_GPA + NESTED_HSAVE };
	}
	r = (int)sys_call(n->sys, n->vcpu->fd, KVM_SET_MSRS, (uintptr_t)hsave);
	n->vcpu->run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
	n->is_lost = n->is_unclean = false;
	n->has_gif = true;
	return r < 0 ? r : 0;
}

static void vm_unmake(struct nested *n)
{
	struct vm *vm = n->vm;

	/* nested_tick() may come at any time. */
	n->vcpu = NULL;
	n->vm = NULL;
	vm_destroy(vm);
}

/* --- running L1 --- */

static bool is_l1(const struct nested *n)
{
	return n->vcpu->run->s.regs.regs.rip - NESTED_L1_GPA < PAGE_BYTES;
}

/* What L2 reads where there is nothing: ones. */
static void answer(struct kvm_run *run)
{
	if (run->exit_reason == KVM_EXIT_MMIO && !run->mmio.is_write)
		memset(run->mmio.data, 0xff, sizeof(run->mmio.data));
	if (run->exit_reason == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_IN)
		memset((uint8_t *)run + run->io.data_offset, 0xff, (size_t)run->io.size * run->io.count);
}

/* True when L1 or L2 stands still; *@ret says why. */
static bool is_stop(struct nested *n, enum stop *ret)
{
	struct kvm_run *run = n->vcpu->run;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		if (is_l1(n) && run->io.port == NESTED_PORT_DONE)
			return *ret = STOP_DONE, true;
		if (is_l1(n) && run->io.port == NESTED_PORT_FAULT)
			return *ret = STOP_FAULT, true;
		break;
	case KVM_EXIT_MMIO:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		break;
	case KVM_EXIT_HLT:
		return *ret = STOP_HALTED, true;
	case KVM_EXIT_SHUTDOWN:
		return *ret = STOP_SHUTDOWN, true;
	default:
		return *ret = STOP_ERROR, true;
	}
	answer(run);
	return false;
}

static enum stop l1_run(struct nested *n)
{
	unsigned int start = n->ticks;
	enum stop stop;
	int r;

	do {
		r = vcpu_run_try(n->vcpu);
		n->counts.nr_runs++;
		if (r == -EINTR || r == -EAGAIN) {
			n->vcpu->run->immediate_exit = 0;
			continue;
		}
		if (r)
			return STOP_ERROR;
		if (is_stop(n, &stop))
			return stop;
	} while (n->ticks - start < TICKS);
	return STOP_BUDGET;
}

static void step_add(struct nested *n, uint64_t what, uint64_t rax, uint64_t rcx)
{
	uint64_t *step = (uint64_t *)(void *)(n->l1 + NESTED_EXCHANGE + NESTED_SCRIPT) + n->nr_steps * 3;

	if (n->nr_steps == NESTED_MAX_STEPS)
		return;
	step[0] = what;
	step[1] = rax;
	step[2] = rcx;
	n->nr_steps++;
}

static enum stop script_run(struct nested *n)
{
	uint64_t *end = (uint64_t *)(void *)(n->l1 + NESTED_EXCHANGE + NESTED_SCRIPT) + n->nr_steps * 3;

	end[0] = NESTED_STEP_END;
	n->nr_steps = 0;
	return l1_run(n);
}

/* --- state --- */

static int state_take(struct nested *n)
{
	struct {
		struct kvm_msr_list head;
		uint32_t indices[MAX_MSRS];
	} list = { .head.nmsrs = MAX_MSRS };
	unsigned int i;
	long r = sys_call(n->sys, n->sys->fd, KVM_GET_MSR_INDEX_LIST, (uintptr_t)&list);

	if (r)
		return (int)r;
	vcpu_ioctl(n->vcpu, KVM_GET_DEBUGREGS, &n->debugregs);
	vcpu_ioctl(n->vcpu, KVM_GET_VCPU_EVENTS, &n->events);
	vcpu_ioctl(n->vcpu, KVM_GET_XSAVE, &n->xsave);
	vcpu_ioctl(n->vcpu, KVM_GET_XCRS, &n->xcrs);
	n->events.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_SMM;
	n->msrs.head.nmsrs = 0;
	for (i = 0; i < list.head.nmsrs; i++) {
		struct {
			struct kvm_msrs head;
			struct kvm_msr_entry entry;
		} one = { .head.nmsrs = 1, .entry.index = list.indices[i] };

		/* Time goes on, and what cannot be set is not to be put back. */
		if (one.entry.index == MSR_IA32_TSC || one.entry.index == MSR_IA32_TSC_ADJUST)
			continue;
		if (sys_call(n->sys, n->vcpu->fd, KVM_GET_MSRS, (uintptr_t)&one) == 1 &&
		    sys_call(n->sys, n->vcpu->fd, KVM_SET_MSRS, (uintptr_t)&one) == 1)
			n->msrs.entries[n->msrs.head.nmsrs++] = one.entry;
	}
	return 0;
}

static void state_put(struct nested *n)
{
	struct kvm_vcpu_events events;

	n->counts.nr_resets++;
	vcpu_ioctl(n->vcpu, KVM_SET_SREGS, &n->sregs);
	/* Without an interrupt controller in the kernel, each KVM_RUN takes the TPR from here. */
	n->vcpu->run->cr8 = 0;
	sys_call(n->sys, n->vcpu->fd, KVM_SET_MSRS, (uintptr_t)&n->msrs);
	vcpu_ioctl_try(n->vcpu, KVM_SET_DEBUGREGS, &n->debugregs);
	vcpu_ioctl_try(n->vcpu, KVM_SET_XCRS, &n->xcrs);
	vcpu_ioctl_try(n->vcpu, KVM_SET_XSAVE, &n->xsave);
	events = n->events;
	vcpu_ioctl_try(n->vcpu, KVM_SET_VCPU_EVENTS, &events);
	n->is_unclean = false;
}

/* Out of L2, where L1 cannot be: as a migration does that starts over. False: KVM refuses. */
static bool l2_leave(struct nested *n)
{
	struct kvm_nested_state state = {
		.format = KVM_STATE_NESTED_FORMAT_SVM, .size = sizeof(state), .flags = KVM_STATE_NESTED_GIF_SET,
	};

	/* What L2 has asked of user space is done with first. */
	vcpu_kick(n->vcpu);
	vcpu_run_try(n->vcpu);
	n->vcpu->run->immediate_exit = 0;
	if (vcpu_ioctl_try(n->vcpu, KVM_SET_NESTED_STATE, &state))
		return false;
	state_put(n);
	vcpu_ioctl(n->vcpu, KVM_SET_REGS, &n->regs);
	n->has_gif = true;
	return script_run(n) == STOP_DONE;
}

static int vm_remake(struct nested *n)
{
	int r;

	memcpy(n->l1, n->l1_golden, NESTED_L1_BYTES);
	/* A tick may end the calls that make one. */
	do {
		vm_unmake(n);
		r = vm_make(n);
	} while (r == -EINTR);
	if (!r && script_run(n) != STOP_DONE)
		r = -EIO;
	return r;
}

/* --- pages --- */

static void page_written(void *context, uint64_t gpa, uint64_t len_bytes)
{
	struct nested *n = context;
	uint64_t page, last = (gpa + len_bytes - 1) / PAGE_BYTES;

	n->last_written = gpa;
	for (page = gpa / PAGE_BYTES; page <= last && page < VMCB_NR_PAGES; page++)
		n->suspects[page / 64] |= 1ull << page % 64;
}

static bool is_nested_table(uint64_t gpa)
{
	return gpa >= VMCB_NPML4_GPA && gpa < VMCB_NPT_GPA + PAGE_BYTES;
}

static uint64_t get64(const uint8_t *ram, uint64_t gpa)
{
	uint64_t value;

	memcpy(&value, ram + gpa, sizeof(value));
	return value;
}

/*
 * A hypervisor that shadows L1's nested tables sees L1's own writes to them, and not ours. False: there are too many, and
 * only a new VM will do.
 */
static bool table_restore(struct nested *n, uint64_t table)
{
	uint64_t gpa;

	for (gpa = table; gpa < table + PAGE_BYTES; gpa += 8) {
		uint64_t golden = get64(n->golden, gpa);

		if (!((get64(n->ram, gpa) ^ golden) & ~(PTE_A | PTE_D)))
			continue;
		if (n->nr_steps >= NESTED_MAX_STEPS / 4)
			return false;
		step_add(n, NESTED_STEP_WRITE, gpa, golden);
	}
	return true;
}

static void page_restore(struct nested *n, unsigned int page)
{
	size_t at = (size_t)page * PAGE_BYTES;

	if (!memcmp(n->ram + at, n->golden + at, PAGE_BYTES))
		return;
	if (is_nested_table(at) && !table_restore(n, at))
		n->is_hopeless = true;
	memcpy(n->ram + at, n->golden + at, PAGE_BYTES);
}

/* Pages that nobody had reason to suspect, and that are changed: the first of them, or 0. */
static uint64_t sweep(struct nested *n)
{
	uint64_t found = 0;
	unsigned int page;

	for (page = 0; page < VMCB_NR_PAGES; page++) {
		size_t at = (size_t)page * PAGE_BYTES;

		if ((n->suspects[page / 64] >> page % 64 & 1) || !memcmp(n->ram + at, n->golden + at, PAGE_BYTES))
			continue;
		memcpy(n->ram + at, n->golden + at, PAGE_BYTES);
		n->is_hopeless |= is_nested_table(at);
		found = found ? found : at;
	}
	return found;
}

/* --- one VMRUN --- */

static void violation_set(struct vmcb_result *result, const char *what, uint64_t want, uint64_t got)
{
	if (!result->violation[0])
		snprintf(result->violation, sizeof(result->violation), "%s: want 0x%llx, got 0x%llx", what,
			 (unsigned long long)want, (unsigned long long)got);
}

static bool is_segment_same(const struct kvm_segment *one, const struct kvm_segment *other)
{
	return one->selector == other->selector && one->base == other->base && one->limit == other->limit &&
	       one->type == other->type && one->dpl == other->dpl && one->l == other->l && one->db == other->db;
}

/* L1 is as VMRUN found it: APM vol. 2, 15.6. FS, GS, TR and LDTR are not the host's to have back. */
static void host_check(struct nested *n, const struct vmcb *before, struct vmcb_result *result)
{
	const struct kvm_sregs *want = &n->sregs, *got = &n->vcpu->run->s.regs.sregs;
	const struct kvm_regs *regs = &n->vcpu->run->s.regs.regs;

#define SAME(field_)									\
	if (want->field_ != got->field_)						\
		violation_set(result, "host " #field_, want->field_, got->field_)
	SAME(cr0);
	SAME(cr3);
	SAME(cr4);
	SAME(efer);
	SAME(gdt.base);
	SAME(gdt.limit);
	SAME(idt.base);
	SAME(idt.limit);
	if (before->control.int_ctl & V_INTR_MASKING)
		SAME(cr8);
	if (!is_segment_same(&want->cs, &got->cs) || !is_segment_same(&want->ss, &got->ss) ||
	    !is_segment_same(&want->ds, &got->ds) || !is_segment_same(&want->es, &got->es))
		violation_set(result, "host segments", want->cs.selector, got->cs.selector);
	if (regs->rsp != n->regs.rsp)
		violation_set(result, "host rsp", n->regs.rsp, regs->rsp);
	if (!(regs->rflags & X86_EFLAGS_IF))
		violation_set(result, "host rflags", n->regs.rflags, regs->rflags);
}

/* What L2 is, where it cannot be left. */
static void outcome_of_l2(const struct nested *n, struct vmcb_outcome *outcome)
{
	const struct kvm_regs *regs = &n->vcpu->run->s.regs.regs;
	const uint64_t values[16] = { regs->rax, regs->rcx, regs->rdx, regs->rbx, regs->rsp, regs->rbp, regs->rsi, regs->rdi,
		regs->r8, regs->r9, regs->r10, regs->r11, regs->r12, regs->r13, regs->r14, regs->r15 };

	memcpy(outcome->regs, values, sizeof(values));
	outcome->rip = regs->rip;
	outcome->rflags = regs->rflags;
	outcome->cr2 = n->vcpu->run->s.regs.sregs.cr2;
	outcome->exit_code = SVM_EXIT_INTR;
}

static const char *pins_set(struct nested *n)
{
	struct kvm_interrupt interrupt = { .irq = NESTED_IRQ_VECTOR };
	uint32_t pins = n->program.pins;

	n->pins |= pins;
	if (pins)
		n->is_unclean = true;
	if (pins >> PIN_INIT & 1)
		return "pin init";
	if ((pins >> PIN_INTR & 1) && vcpu_ioctl_try(n->vcpu, KVM_INTERRUPT, &interrupt))
		return "KVM_INTERRUPT";
	if ((pins >> PIN_NMI & 1) && vcpu_ioctl_value_try(n->vcpu, KVM_NMI, 0))
		return "KVM_NMI";
	if ((pins >> PIN_SMI & 1) && vcpu_ioctl_value_try(n->vcpu, KVM_SMI, 0))
		return "KVM_SMI";
	return NULL;
}

/* A VMCB that is refused says so by its exit code; finding 1002: QEMU by half of it. */
static bool is_refused(const struct vmcb *vmcb)
{
	return (uint32_t)vmcb->control.exit_code == (uint32_t)SVM_EXIT_ERR;
}

static void outcome_take(struct nested *n, enum stop stop, struct vmcb_result *result)
{
	struct vmcb_outcome *outcome = &result->runs[result->nr_runs];
	const struct vmcb *vmcb = vmcb_world_vmcb(n->ram);

	switch (stop) {
	case STOP_DONE:
		outcome->end = is_refused(vmcb) ? VMCB_END_REFUSED : VMCB_END_EXIT;
		vmcb_outcome_fill(outcome, vmcb, (const uint64_t *)(const void *)(n->l1 + NESTED_EXCHANGE + NESTED_REGS));
		return;
	case STOP_HALTED:
		outcome->end = VMCB_END_HALTED;
		outcome_of_l2(n, outcome);
		break;
	case STOP_SHUTDOWN:
		outcome->end = VMCB_END_SHUTDOWN;
		break;
	case STOP_BUDGET:
		outcome->end = VMCB_END_BUDGET;
		break;
	case STOP_FAULT:
		outcome->end = VMCB_END_UNIMPLEMENTED;
		outcome->unimplemented = "an exception in L1";
		violation_set(result, "exception in L1", 0, *(uint64_t *)(void *)(n->l1 + NESTED_EXCHANGE + NESTED_FAULT) - 1);
		break;
	default:
		outcome->end = VMCB_END_UNIMPLEMENTED;
		outcome->unimplemented = "an exit that KVM does not know what to do with";
		break;
	}
	n->is_lost = true;
}

/* What is pending in L1 and was meant for one run only. */
static void interrupt_withdraw(struct nested *n)
{
	if (!(n->program.pins >> PIN_INTR & 1))
		return;
	step_add(n, NESTED_STEP_DRAIN, 0, 0);
	if (script_run(n) != STOP_DONE)
		n->is_lost = true;
}

/* --- what VMRUN reads --- */

/* Fields that no #VMEXIT writes, and not next to the page's ends, where a copy by wide words may overlap itself. */
static const struct {
	const char *name;
	size_t offset;
} watched_fields[TOUCHES_MAX] = {
	{ "msrpm_base_pa", offsetof(struct vmcb, control.msrpm_base_pa) }, { "asid", offsetof(struct vmcb, control.asid) },
	{ "nested_ctl", offsetof(struct vmcb, control.nested_ctl) },
	{ "nested_cr3", offsetof(struct vmcb, control.nested_cr3) },
};

bool nested_watch_fetches(struct nested *n)
{
	const void *places[TOUCHES_MAX];
	size_t i;

	for (i = 0; i < TOUCHES_MAX; i++)
		places[i] = n->ram + VMCB_VMCB_GPA + watched_fields[i].offset;
	n->fetches = touches_open(places, TOUCHES_MAX);
	return n->fetches;
}

/* A trap takes longer than most inputs, so it is short ones that are looked at, which what is found becomes anyway. */
static void fetches_begin(struct nested *n, const struct input *input)
{
	if (!n->fetches)
		return;
	n->is_watched = input->nr_ops <= WATCHED_OPS;
	touches_set(n->fetches, n->is_watched);
}

/* L2 may read L1's memory, too, where it has a way to it. */
static enum stop vmrun_watched(struct nested *n, struct vmcb_result *result)
{
	bool is_watched = n->is_watched && vmcb_program_is_isolated(&n->program);
	uint64_t before[TOUCHES_MAX], after[TOUCHES_MAX];
	enum stop stop;
	size_t i;

	if (!is_watched)
		return script_run(n);
	touches_read(n->fetches, before);
	stop = script_run(n);
	touches_read(n->fetches, after);
	for (i = 0; i < TOUCHES_MAX; i++)
		if (after[i] - before[i] > 1 && !result->violation[0])
			snprintf(result->violation, sizeof(result->violation), "VMRUN reads %s of the VMCB %llu times",
				 watched_fields[i].name, (unsigned long long)(after[i] - before[i]));
	return stop;
}

static void run_once(struct nested *n, struct vmcb_result *result, struct nested_trace *trace)
{
	struct vmcb_outcome *outcome = &result->runs[result->nr_runs];
	struct vmcb *vmcb = vmcb_world_vmcb(n->ram), before = *vmcb;
	const char *trouble = NULL;

	*outcome = (struct vmcb_outcome){ .rule = vmcb_program_predict(&n->program) };
	if (n->has_gif)
		step_add(n, NESTED_STEP_CLGI, 0, 0);
	n->has_gif = false;
	if (n->program.pins) {
		if (n->nr_steps && script_run(n) != STOP_DONE)
			n->is_lost = true;
		trouble = pins_set(n);
	}
	memcpy(n->l1 + NESTED_EXCHANGE + NESTED_REGS, n->program.regs, sizeof(n->program.regs));
	step_add(n, NESTED_STEP_VMRUN, VMCB_VMCB_GPA, 0);
	n->counts.nr_entries++;
	if (trouble || n->is_lost) {
		outcome->end = VMCB_END_UNIMPLEMENTED;
		outcome->unimplemented = trouble ? trouble : "L1 is lost";
		n->is_lost = true;
	} else {
		outcome_take(n, vmrun_watched(n, result), result);
	}
	if (trace) {
		trace->before[result->nr_runs] = before;
		trace->after[result->nr_runs] = *vmcb;
	}
	if (!n->is_lost) {
		host_check(n, &before, result);
		interrupt_withdraw(n);
	}
	memcpy(n->program.regs, outcome->regs, sizeof(n->program.regs));
	vmcb_program_ran(&n->program);
	result->nr_runs++;
}

static void l1_execute(struct nested *n, const struct input_op *op)
{
	static const unsigned int steps[] = {
		[L1_STGI] = NESTED_STEP_STGI, [L1_CLGI] = NESTED_STEP_CLGI, [L1_VMLOAD] = NESTED_STEP_VMLOAD,
		[L1_VMSAVE] = NESTED_STEP_VMSAVE, [L1_FLUSH_TLB] = NESTED_STEP_FLUSH,
	};

	if (op->kind == VMCB_OP_L1_INVLPGA) {
		step_add(n, NESTED_STEP_INVLPGA, op->args[0], (uint32_t)op->args[1]);
		return;
	}
	step_add(n, steps[op->args[0]], VMCB_VMCB_GPA, 0);
	if (op->args[0] == L1_STGI || op->args[0] == L1_CLGI)
		n->has_gif = op->args[0] == L1_STGI;
	/* What follows may read what it writes. */
	if (op->args[0] == L1_VMSAVE && script_run(n) != STOP_DONE)
		n->is_lost = true;
}

/* --- inputs --- */

/* What L2 may do to registers that no exit shows. */
static bool is_unclean(const struct input_op *op)
{
	return op->kind == VMCB_OP_L2_MSR || op->kind == VMCB_OP_L2_DR || op->kind == VMCB_OP_L2_BYTES ||
	       op->kind == VMCB_OP_L2_CR || op->kind == VMCB_OP_POKE || (op->kind == VMCB_OP_L2 &&
	       (op->args[0] == L2_xsetbv || op->args[0] == L2_fninit || op->args[0] == L2_swapgs));
}

static bool vcpu_is_as_before(const struct nested *n)
{
	const struct kvm_sregs *got = &n->vcpu->run->s.regs.sregs;

	return !n->is_unclean && !got->cr2 && !got->cr8 && !n->pins;
}

static void pages_restore(struct nested *n)
{
	unsigned int i;

	for (i = 0; i < NR_WORDS; i++)
		for (; n->suspects[i]; n->suspects[i] &= n->suspects[i] - 1)
			page_restore(n, i * 64 + (unsigned int)__builtin_ctzll(n->suspects[i]));
}

static void suspects_set(struct nested *n, const uint64_t *touched)
{
	/* What any run writes: stack, VMCB, and marks in tables and descriptors, which may be another target's or not. */
	static const uint32_t always[] = { VMCB_PML4_GPA, VMCB_PDPT_GPA, VMCB_PD_GPA, VMCB_PT_GPA, VMCB_GDT_GPA,
		VMCB_STACK_GPA - PAGE_BYTES, VMCB_PAE_PDPT_GPA, VMCB_VMCB_GPA, VMCB_NPML4_GPA, VMCB_NPDPT_GPA, VMCB_NPD_GPA,
		VMCB_NPT_GPA };
	unsigned int i;

	if (touched)
		memcpy(n->suspects, touched, sizeof(n->suspects));
	else
		memset(n->suspects, 0xff, sizeof(n->suspects));
	for (i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		page_written(n, always[i], 1);
}

static bool has_vmsave(const struct input *input)
{
	unsigned int i;

	for (i = 0; i < input->nr_ops; i++)
		if (input->ops[i].kind == VMCB_OP_L1 && input->ops[i].args[0] == L1_VMSAVE)
			return true;
	return false;
}

/* L1 where it was before the input before, and all memory as in the golden state. */
static int input_begin(struct nested *n, const struct input *input)
{
	int r = 0;

	n->nr_steps = 0;
	if (n->is_fresh || n->is_hopeless || (n->is_lost && !l2_leave(n)))
		r = vm_remake(n);
	if (r)
		return r;
	n->is_lost = n->is_hopeless = false;
	if (!vcpu_is_as_before(n))
		state_put(n);
	n->pins = 0;
	pages_restore(n);
	n->program = (struct vmcb_program){ .ram = n->ram, .rule_cpu = n->rule_cpu, .written = page_written, .context = n };
	if (!has_vmsave(input))
		return 0;
	/* What it finds before the first VMRUN is what the golden VMCB has. */
	step_add(n, NESTED_STEP_VMLOAD, VMCB_VMCB_GPA, 0);
	return script_run(n) == STOP_DONE ? 0 : -EIO;
}

static bool is_l1_intact(const struct nested *n)
{
	return !memcmp(n->l1 + NESTED_CODE, n->l1_golden + NESTED_CODE, PAGE_BYTES) &&
	       !memcmp(n->l1 + NESTED_PML4, n->l1_golden + NESTED_PML4, NESTED_IDT + PAGE_BYTES - NESTED_PML4);
}

static void look_around(struct nested *n, struct vmcb_result *result)
{
	uint64_t found;

	if (!n->nr_close && ++n->nr_since_sweep < SWEEP_EVERY)
		return;
	n->nr_since_sweep = 0;
	found = sweep(n);
	/* Of one of many inputs it is not known which did it: from now on they are looked at one by one for a while. */
	if (found && n->nr_close)
		violation_set(result, "a page that only this target wrote", 0, found);
	if (found || n->nr_close)
		n->nr_close = found ? SWEEP_CLOSELY : n->nr_close - 1;
	if (is_l1_intact(n))
		return;
	violation_set(result, "L1's own pages were written", 0, 1);
	n->is_lost = true;
	memcpy(n->l1, n->l1_golden, NESTED_L1_BYTES);
}

static void op_apply(struct nested *n, const struct input_op *op)
{
	vmcb_program_apply(&n->program, op);
	if (op->kind != VMCB_OP_NPT)
		return;
	step_add(n, NESTED_STEP_WRITE, n->last_written, get64(n->ram, n->last_written));
}

void nested_run(struct nested *n, const struct input *input, const uint64_t *touched, struct vmcb_result *result,
		struct nested_trace *trace)
{
	unsigned int i;
	int r;

	result->nr_runs = 0;
	result->violation[0] = 0;
	result->memory_hash = 0;
	r = input_begin(n, input);
	if (r) {
		n->sys->must_failed(n->sys->context, "a new VM for L1", r);
		return;
	}
	suspects_set(n, touched);
	fetches_begin(n, input);
	for (i = 0; i < input->nr_ops && !n->is_lost; i++) {
		const struct input_op *op = &input->ops[i];

		n->is_unclean |= is_unclean(op);
		if (op->kind == VMCB_OP_L1 || op->kind == VMCB_OP_L1_INVLPGA)
			l1_execute(n, op);
		else if (op->kind != VMCB_OP_RUN)
			op_apply(n, op);
		else if (result->nr_runs + 1 < VMCB_MAX_RUNS)
			run_once(n, result, trace);
	}
	if (!n->is_lost)
		run_once(n, result, trace);
	look_around(n, result);
}

/* --- making --- */

static uint8_t *pages_new(size_t len_bytes)
{
	void *pages = mmap(NULL, len_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return pages == MAP_FAILED ? NULL : pages;
}

static int memory_make(struct nested *n)
{
	n->ram = pages_new(VMCB_RAM_BYTES);
	n->l1 = pages_new(NESTED_L1_BYTES);
	n->golden = malloc(VMCB_RAM_BYTES);
	n->l1_golden = calloc(1, NESTED_L1_BYTES);
	if (!n->ram || !n->l1 || !n->golden || !n->l1_golden)
		return -ENOMEM;
	vmcb_world_fill(n->golden);
	memcpy(n->ram, n->golden, VMCB_RAM_BYTES);
	l1_fill(n->l1_golden);
	memcpy(n->l1, n->l1_golden, NESTED_L1_BYTES);
	return 0;
}

static bool is_supported(const struct nested *n)
{
	return (cpuid_read(n, 0x80000001, 0, 2) & 4) && (sys_has_cap(n->sys, KVM_CAP_SYNC_REGS) & KVM_SYNC_X86_SREGS) &&
	       sys_has_cap(n->sys, KVM_CAP_NESTED_STATE);
}

static int nested_make(struct nested *n, struct err *err)
{
	int r = memory_make(n);

	if (!r && !n->sys->cpuid)
		r = sys_supported_cpuid_try(n->sys, &n->sys->cpuid);
	if (!r)
		r = cpuid_make(n);
	if (r)
		return err_set(err, -r, "the nested executor: %s", strerror(-r));
	if (!is_supported(n))
		return err_set(err, ENOTSUP, "this KVM has no nested SVM, or no KVM_CAP_SYNC_REGS or KVM_CAP_NESTED_STATE");
	svm_rule_cpu_init(&n->rule_cpu, cpuid_read, n);
	r = vm_make(n);
	if (r)
		return err_set(err, -r, "the nested executor's VM: %s", strerror(-r));
	if (script_run(n) != STOP_DONE)
		return err_set(err, EIO, "the nested executor's L1 does not come up: exit reason %u",
			       n->vcpu->run->exit_reason);
	/* L1 stands behind its OUT: that is where it is put back to. */
	n->regs = n->vcpu->run->s.regs.regs;
	n->regs.rip = NESTED_L1_GPA + NESTED_CODE;
	r = state_take(n);
	return r ? err_set(err, -r, "the nested executor's MSRs: %s", strerror(-r)) : 0;
}

int nested_open(struct sys *sys, struct nested **ret, struct err *err)
{
	struct nested *n = calloc(1, sizeof(*n));
	int r;

	if (!n)
		return err_set(err, ENOMEM, "%s", strerror(ENOMEM));
	n->sys = sys;
	r = nested_make(n, err);
	if (r)
		nested_close(n);
	else
		*ret = n;
	return r;
}

void nested_close(struct nested *n)
{
	if (!n)
		return;
	touches_close(n->fetches);
	vm_unmake(n);
	if (n->ram)
		munmap(n->ram, VMCB_RAM_BYTES);
	if (n->l1)
		munmap(n->l1, NESTED_L1_BYTES);
	free(n->golden);
	free(n->l1_golden);
	free(n->kvm_cpuid);
	free(n);
}

void nested_suspect_all(struct nested *n)
{
	memset(n->suspects, 0xff, sizeof(n->suspects));
}

const uint8_t *nested_ram(const struct nested *n)
{
	return n->ram;
}

struct nested_counts nested_counts(const struct nested *n)
{
	return n->counts;
}

void nested_set_fresh(struct nested *n, bool is_fresh)
{
	n->is_fresh = is_fresh;
}

void nested_tick(struct nested *n)
{
	struct vcpu *vcpu = *(struct vcpu *volatile *)&n->vcpu;

	n->ticks++;
	if (vcpu)
		vcpu_kick(vcpu);
}
