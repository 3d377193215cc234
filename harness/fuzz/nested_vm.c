/* SPDX-License-Identifier: MIT */
/* L1's pages, its VM, and the state that it is put back to. */
#include "fuzz/nested_private.h"

#include <asm/kvm.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "vm/x86/bits.h"
#include "vm/x86/mode.h"

#define L1_CODE_SEL 0x08
#define L1_DATA_SEL 0x10
#define L1_TSS_SEL 0x18

extern const uint8_t nested_l1_begin[], nested_l1_faults[], nested_l1_ignore[], nested_l1_end[];

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

int nested_vm_make(struct nested *n)
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
	n->kvm_cpuid->nent = (uint32_t)n->nr_cpuid;
	if (n->has_hyperv)
		nested_hyperv_cpuid(n->kvm_cpuid);
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

static void *vm_end(void *vm)
{
	vm_destroy(vm);
	return NULL;
}

/*
 * The end of a VM is mostly waiting, for whoever in the kernel may still look at it: another thread does that while the next
 * one is made. A signal is for this thread. Where the hypervisor is in this process there is nothing to wait for.
 */
static bool vm_end_begin(struct nested *n, struct vm *vm)
{
	unsigned int at = n->nr_ends++ % NESTED_MAX_ENDS;
	sigset_t all, before;

	if (n->ends[at].is_running)
		pthread_join(n->ends[at].thread, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	n->ends[at].is_running = !pthread_create(&n->ends[at].thread, NULL, vm_end, vm);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return n->ends[at].is_running;
}

void nested_vm_unmake(struct nested *n)
{
	struct vm *vm = n->vm;

	/* nested_tick() may come at any time. */
	n->vcpu = NULL;
	n->vm = NULL;
	if (!vm || n->sys->backend != backend_kvm() || !vm_end_begin(n, vm))
		vm_destroy(vm);
}

void nested_vms_wait(struct nested *n)
{
	unsigned int i;

	for (i = 0; i < NESTED_MAX_ENDS; i++) {
		if (n->ends[i].is_running)
			pthread_join(n->ends[i].thread, NULL);
		n->ends[i].is_running = false;
	}
}

/* --- state --- */

int nested_state_take(struct nested *n)
{
	struct {
		struct kvm_msr_list head;
		uint32_t indices[NESTED_MAX_MSRS];
	} list = { .head.nmsrs = NESTED_MAX_MSRS };
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

void nested_state_put(struct nested *n)
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

/* Without SVM no VMCB is the one of the VMRUN before. */
void nested_vmcb_forget(struct nested *n)
{
	struct kvm_sregs sregs = n->sregs;

	sregs.efer &= ~EFER_SVME;
	vcpu_ioctl(n->vcpu, KVM_SET_SREGS, &sregs);
	nested_state_put(n);
	n->has_gif = true;
}

bool nested_l2_leave(struct nested *n)
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
	nested_state_put(n);
	vcpu_ioctl(n->vcpu, KVM_SET_REGS, &n->regs);
	n->has_gif = true;
	return nested_script_run(n) == STOP_DONE;
}

int nested_vm_remake(struct nested *n)
{
	int r;

	memcpy(n->l1, n->l1_golden, NESTED_L1_BYTES);
	/* A tick may end the calls that make one. */
	do {
		nested_vm_unmake(n);
		r = nested_vm_make(n);
	} while (r == -EINTR);
	if (!r && nested_script_run(n) != STOP_DONE)
		r = -EIO;
	return r;
}

/* --- memory --- */

static uint8_t *pages_new(size_t len_bytes)
{
	void *pages = mmap(NULL, len_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return pages == MAP_FAILED ? NULL : pages;
}

int nested_memory_make(struct nested *n)
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

void nested_memory_free(struct nested *n)
{
	if (n->ram)
		munmap(n->ram, VMCB_RAM_BYTES);
	if (n->l1)
		munmap(n->l1, NESTED_L1_BYTES);
	free(n->golden);
	free(n->l1_golden);
}
