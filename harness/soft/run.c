/* SPDX-License-Identifier: MIT */
/*
 * KVM_RUN: what user space answered, then the guest, exit by exit, until one is user space's. Signals are looked for
 * between slices (signals.h).
 */
#include "soft/private.h"

#include <asm/svm.h>
#include <errno.h>
#include <string.h>

#include "machine/svm.h"
#include "soft/signals.h"
#include "vm/x86/bits.h"

#define SLICE_INSTRUCTIONS 20000
#define BOUNDED_INSTRUCTIONS 300	/* the same with soft_bound() */
#define BOUNDED_NS 1000
#define MAX_ASID 0x7fff
#define INT_N 0xcd
#define V_IRQ_BITS (V_IRQ | V_PRIORITY(0xf) | V_IGN_TPR)

/* --- entering the guest --- */

/* A new ASID for what the TLB must not believe any more: APM vol. 2, 15.16. */
static void pre_run_asid(struct soft_vcpu *vcpu)
{
	struct vmcb_control *control = &vcpu->vmcb->control;
	const struct soft_npt *npt = vcpu_npt(vcpu);

	control->tlb_control = TLB_KEEP;
	control->asid = vcpu->asid;
	if (vcpu->asid_generation && vcpu->asid_generation == vcpu->asid_round &&
	    vcpu->npt_generation == npt->generation)
		return;
	if (!vcpu->asid_round || vcpu->last_asid == MAX_ASID) {
		vcpu->last_asid = 0;
		vcpu->asid_round++;
		control->tlb_control = TLB_FLUSH_ALL;
	}
	control->asid = vcpu->asid = ++vcpu->last_asid;
	vcpu->asid_generation = vcpu->asid_round;
	vcpu->npt_generation = npt->generation;
}

static uint8_t tpr_of(const struct soft_vcpu *vcpu)
{
	return (uint8_t)(nested_has_own_tpr(vcpu) ? vcpu->nested.control.int_ctl & V_TPR_BITS : vcpu->cr8);
}

static void host_to_guest(struct soft_vcpu *vcpu)
{
	struct cpu *cpu = vcpu->cpu;
	struct vmcb *vmcb = vcpu->vmcb;

	memcpy(cpu->regs, vcpu->regs, sizeof(vcpu->regs));
	debug_load(vcpu);
	vmcb->save.rax = vcpu->regs[REG_RAX];
	vmcb->save.rsp = vcpu->regs[REG_RSP];
	vmcb->control.int_ctl = (vmcb->control.int_ctl & ~V_TPR_BITS) | tpr_of(vcpu);
	machine_vmload(cpu, vcpu->vmcb_spa);
	cpu->tsc = tsc_unshifted(vcpu);
	vmcb->control.tsc_offset = vcpu->tsc.offset + nested_tsc_offset(vcpu);
	cpu->tsc_aux = *vcpu->tsc_aux;
	cpu->xcr0 = vcpu->xcr0;
}

static void guest_to_host(struct soft_vcpu *vcpu)
{
	struct cpu *cpu = vcpu->cpu;

	machine_vmsave(cpu, vcpu->vmcb_spa);
	memcpy(vcpu->regs, cpu->regs, sizeof(vcpu->regs));
	debug_unload(vcpu);
	vcpu->regs[REG_RAX] = vcpu->vmcb->save.rax;
	vcpu->regs[REG_RSP] = vcpu->vmcb->save.rsp;
	if (!nested_has_own_tpr(vcpu))
		vcpu_cr8_set(vcpu, vcpu->vmcb->control.int_ctl & 0xf);
	if (vcpu->nested.is_guest)
		nested_sync(vcpu);
}

enum machine_exit vcpu_enter(struct soft_vcpu *vcpu, uint64_t budget)
{
	enum machine_exit exit;

	vcpu->vm->entered = vcpu;
	vcpu->has_pdptrs = false;
	nested_npt_refresh(vcpu);
	pre_run_asid(vcpu);
	host_to_guest(vcpu);
	machine_stgi(vcpu->cpu);
	lost_pages_watch(vcpu);
	exit = machine_vmrun(vcpu->cpu, vcpu->vmcb_spa, budget);
	lost_pages_unwatch(vcpu);
	/* A guest that is still in is taken out as an interrupt of the host would. */
	if (exit != MACHINE_EXIT_VMEXIT && machine_in_guest(vcpu->cpu))
		machine_vmrun_abandon(vcpu->cpu, SVM_EXIT_INTR);
	guest_to_host(vcpu);
	return exit;
}

/* --- events into the guest --- */

static void event_inject(struct soft_vcpu *vcpu, uint32_t type, uint8_t vector, bool has_error, uint32_t error)
{
	struct vmcb_control *control = &vcpu->vmcb->control;

	control->event_inj = EVENT_VALID | type | vector | (has_error ? EVENT_HAS_ERROR : 0);
	control->event_inj_error = error;
	/* What a software event returns to is RIP, not where the last exit's instruction ended. */
	control->next_rip = 0;
}

static bool has_shadow(const struct soft_vcpu *vcpu)
{
	return vcpu->vmcb->control.int_state & INT_STATE_SHADOW;
}

bool vcpu_accepts_nmi(const struct soft_vcpu *vcpu)
{
	if (!vcpu->nested.has_gif)
		return false;
	return nested_intercepts(vcpu, SVM_EXIT_NMI) || (!vcpu->nmi.is_masked && !has_shadow(vcpu));
}

bool vcpu_accepts_interrupt(const struct soft_vcpu *vcpu)
{
	const struct vmcb *vmcb = nested_has_own_tpr(vcpu) ? vcpu->nested.vmcb01 : vcpu->vmcb;

	if (vcpu->vm->is_bare && !machine_accepts_interrupt(vcpu->cpu))
		return false;
	if (!vcpu->nested.has_gif || !(vmcb->save.rflags & X86_EFLAGS_IF))
		return false;
	return nested_intercepts(vcpu, SVM_EXIT_INTR) || !has_shadow(vcpu);
}

bool vcpu_needs_reinjection(const struct soft_vcpu *vcpu)
{
	return vcpu->exception.is_injected || vcpu->nmi.is_injected || vcpu->interrupt.is_injected;
}

static bool is_ready_for_interrupt(const struct soft_vcpu *vcpu)
{
	return vcpu_accepts_interrupt(vcpu) && !vcpu_needs_reinjection(vcpu) && !vcpu->exception.is_pending;
}

/* With KVM's 8259As user space has no interrupts to inject. */
static bool has_pic(const struct soft_vcpu *vcpu)
{
	return vcpu->vm->chips.chip.kind == IRQCHIP_KERNEL;
}

static bool wants_window(const struct soft_vcpu *vcpu)
{
	return vcpu->run->request_interrupt_window && !has_pic(vcpu);
}

static bool is_ready_for_user_interrupt(const struct soft_vcpu *vcpu)
{
	return is_ready_for_interrupt(vcpu) && chips_accept_user_interrupt(vcpu);
}

/* Faults push RF as set, APM vol. 2, 8.2; #DB and traps do not. */
static bool is_fault(uint8_t vector)
{
	return vector != VECTOR_DB && vector != VECTOR_NMI && vector != VECTOR_BP && vector != VECTOR_OF &&
		vector != VECTOR_DF && vector != VECTOR_MC;
}

static void exception_to_injected(struct soft_vcpu *vcpu)
{
	struct vmcb_save *save = &vcpu->vmcb->save;

	vcpu_deliver_payload(vcpu);
	if (is_fault(vcpu->exception.vector))
		save->rflags |= X86_EFLAGS_RF;
	if (vcpu->exception.vector == VECTOR_DB)
		save->dr7 &= ~(1ull << 13);
	vcpu->exception.is_pending = false;
	vcpu->exception.is_injected = true;
}

static void nmi_take(struct soft_vcpu *vcpu)
{
	vcpu->nmi.nr_pending--;
	vcpu->nmi.is_injected = true;
	vcpu->nmi.is_masked = true;
	vcpu_intercept(vcpu, SVM_EXIT_IRET, true);
}

static void interrupt_take(struct soft_vcpu *vcpu)
{
	int vector = chips_take_interrupt(vcpu);

	if (vector < 0)
		return;
	vcpu->interrupt.is_injected = true;
	vcpu->interrupt.is_soft = vcpu->interrupt.is_l1s = false;
	vcpu->interrupt.vector = (uint8_t)vector;
}

bool vcpu_has_wake_event(struct soft_vcpu *vcpu)
{
	return vcpu->exception.is_pending || vcpu->paravirt.is_kicked || smm_accepts_smi(vcpu) || (vcpu->nmi.nr_pending && vcpu_accepts_nmi(vcpu)) ||
		(chips_has_interrupt(vcpu) && vcpu_accepts_interrupt(vcpu));
}

/* A virtual interrupt that only exits tells when the guest would take one: V_IRQ and its intercept. */
static void window_open(struct soft_vcpu *vcpu)
{
	/* STGI exits, and nothing that L2 does changes the mask of L1's interrupts. */
	if (!vcpu->nested.has_gif || nested_has_own_tpr(vcpu))
		return;
	vcpu->has_window = true;
	vcpu->vmcb->control.int_ctl |= V_IRQ_BITS;
	vcpu_intercept(vcpu, SVM_EXIT_VINTR, true);
}

void vcpu_window_close(struct soft_vcpu *vcpu)
{
	uint32_t *int_ctl = &vcpu->vmcb->control.int_ctl;

	if (!vcpu->has_window)
		return;
	vcpu->has_window = false;
	*int_ctl &= ~V_IRQ_BITS;
	if (vcpu->nested.is_guest)
		*int_ctl |= vcpu->nested.control.int_ctl & V_IRQ_BITS;
	vcpu_intercept(vcpu, SVM_EXIT_VINTR, false);
}

/* What is injected pushes RF as it is in the VMCB, and an exit in the delivery has left it as it was before the fault. */
static void exception_inject(struct soft_vcpu *vcpu)
{
	struct soft_exception *exception = &vcpu->exception;
	uint64_t *rflags = &vcpu->vmcb->save.rflags;

	exception->lends_rf = exception->is_interrupted_fault && !(*rflags & X86_EFLAGS_RF);
	if (exception->lends_rf)
		*rflags |= X86_EFLAGS_RF;
	event_inject(vcpu, EVENT_EXCEPTION, exception->vector,
		exception->has_error && (vcpu->vmcb->save.cr0 & X86_CR0_PE), exception->error);
}

static void nmi_inject(struct soft_vcpu *vcpu)
{
	event_inject(vcpu, EVENT_NMI, VECTOR_NMI, false, 0);
	stat_count(&vcpu->stats, STAT_nmi_injections);
}

static bool is_insn_prefix(uint8_t byte, bool is_64bit)
{
	static const uint8_t prefixes[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3 };

	return memchr(prefixes, byte, sizeof(prefixes)) || (is_64bit && (byte & 0xf0) == 0x40);
}

/* Where the INT n at RIP ends; 0: there is none. APM vol. 2, 15.20: the frame of an injected one has nRIP. */
static uint64_t soft_interrupt_end(struct soft_vcpu *vcpu)
{
	uint8_t code[MAX_INSN_BYTES];
	unsigned int nr = guest_code_read(vcpu, code, sizeof(code)), i;

	for (i = 0; i + 1 < nr; i++) {
		if (code[i] == INT_N)
			return vcpu->vmcb->save.rip + i + 2;
		if (!is_insn_prefix(code[i], save_is_64bit(&vcpu->vmcb->save)))
			return 0;
	}
	return 0;
}

static void interrupt_inject(struct soft_vcpu *vcpu)
{
	event_inject(vcpu, vcpu->interrupt.is_soft ? EVENT_SOFT : EVENT_INTR, vcpu->interrupt.vector, false, 0);
	/* L1's stands for no instruction, and L1 has no nRIP to say where it returns to. */
	if (vcpu->interrupt.is_soft && !vcpu->interrupt.is_l1s)
		vcpu->vmcb->control.next_rip = soft_interrupt_end(vcpu);
	stat_count(&vcpu->stats, STAT_irq_injections);
}

/* What is pending becomes what is injected, one event at a time. */
static void events_take(struct soft_vcpu *vcpu)
{
	const struct soft_exception *exception = &vcpu->exception;

	nested_check_events(vcpu);
	if (exception->is_pending && !vcpu_needs_reinjection(vcpu))
		exception_to_injected(vcpu);
	if (smm_accepts_smi(vcpu) && !exception->is_pending && !vcpu_needs_reinjection(vcpu))
		smm_enter(vcpu);
	if (vcpu->debug.control & KVM_GUESTDBG_BLOCKIRQ)
		return;
	if (!exception->is_pending && !vcpu_needs_reinjection(vcpu) && vcpu->nmi.nr_pending && vcpu_accepts_nmi(vcpu))
		nmi_take(vcpu);
	if (!exception->is_pending && chips_has_interrupt(vcpu)) {
		if (is_ready_for_interrupt(vcpu))
			interrupt_take(vcpu);
		if (chips_has_interrupt(vcpu))
			window_open(vcpu);
	}
}

/* Until L2 was entered, nothing comes between VMRUN and what it injects. */
static void events_inject(struct soft_vcpu *vcpu)
{
	const struct soft_exception *exception = &vcpu->exception;

	if (!vcpu->nested.is_run_pending)
		events_take(vcpu);
	vcpu->vmcb->control.event_inj = 0;
	if (exception->is_injected)
		exception_inject(vcpu);
	else if (vcpu->nmi.is_injected)
		nmi_inject(vcpu);
	else if (vcpu->interrupt.is_injected)
		interrupt_inject(vcpu);
	nested_inject(vcpu);
}

/* What the exit interrupted is injected again: EXITINTINFO, APM vol. 2, 15.7.2. */
static void events_complete(struct soft_vcpu *vcpu)
{
	struct vmcb_control *control = &vcpu->vmcb->control;
	uint32_t info = control->exit_int_info;
	uint8_t vector = (uint8_t)info;
	bool was_injected = info == (control->event_inj | EVENT_VALID);
	bool is_interrupted_again = was_injected && vcpu->exception.is_interrupted_fault;

	if (vcpu->exception.lends_rf && (info & EVENT_VALID))
		vcpu->vmcb->save.rflags &= ~(uint64_t)X86_EFLAGS_RF;
	vcpu->exception.lends_rf = false;
	vcpu->exception.is_injected = vcpu->nmi.is_injected = vcpu->interrupt.is_injected = false;
	control->event_inj = 0;
	if (!(info & EVENT_VALID))
		return;
	switch (info & EVENT_TYPE(7)) {
	case EVENT_NMI:
		vcpu->nmi.is_injected = true;
		break;
	case EVENT_EXCEPTION:
		if (!was_injected && (vector == VECTOR_BP || vector == VECTOR_OF))
			break;
		vcpu->exception = (struct soft_exception) {
			.is_injected = true, .vector = vector, .has_error = info & EVENT_HAS_ERROR,
			.error = control->exit_int_info_error,
			.is_interrupted_fault = vector != VECTOR_DB && (!was_injected || is_interrupted_again),
		};
		break;
	default:
		/* The guest's own INT n is executed again: RIP is at it. */
		vcpu->interrupt.is_soft = (info & EVENT_TYPE(7)) == EVENT_SOFT;
		vcpu->interrupt.is_l1s &= was_injected;
		vcpu->interrupt.is_injected = was_injected || !vcpu->interrupt.is_soft;
		vcpu->interrupt.vector = vector;
		break;
	}
}

static bool has_event_behind(struct soft_vcpu *vcpu)
{
	if (vcpu->nested.is_run_pending)
		return vcpu->exception.is_pending || vcpu->smm.is_pending || vcpu->nmi.nr_pending || chips_has_interrupt(vcpu);
	return vcpu_needs_reinjection(vcpu) && (vcpu->exception.is_pending || (vcpu->nmi.nr_pending && vcpu_accepts_nmi(vcpu)));
}

/* --- the loop --- */

static int exit_unimplemented(struct soft_vcpu *vcpu, enum machine_exit exit)
{
	vcpu->run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	vcpu->run->internal.suberror = KVM_INTERNAL_ERROR_EMULATION;
	vcpu->run->internal.ndata = 1;
	vcpu->run->internal.data[0] = exit;
	return 0;
}

static uint64_t slice_of(const struct soft_vcpu *vcpu)
{
	return vcpu->vm->soft->max_turns ? BOUNDED_INSTRUCTIONS : SLICE_INSTRUCTIONS;
}

/* An NMI that waits for an interrupt shadow waits for one instruction, and there is no exit behind that. */
static bool nmi_waits_for_shadow(const struct soft_vcpu *vcpu)
{
	return vcpu->nmi.nr_pending && vcpu->nested.has_gif && !vcpu->nmi.is_masked && has_shadow(vcpu);
}

static uint64_t budget_of(struct soft_vcpu *vcpu)
{
	if (has_event_behind(vcpu))
		return 0;
	return nmi_waits_for_shadow(vcpu) ? 1 : slice_of(vcpu);
}

static int guest_run(struct soft_vcpu *vcpu)
{
	enum machine_exit exit;

	if (vcpu->vm->is_bare)
		return bare_run(vcpu);
	events_inject(vcpu);
	vcpu_intercept(vcpu, SVM_EXIT_WRITE_CR8,
		!nested_has_own_tpr(vcpu) && (!vcpu->chips.has_lapic || chips_wants_cr8(vcpu)));
	if (wants_window(vcpu) && chips_accept_user_interrupt(vcpu))
		window_open(vcpu);
	vcpu_intercept(vcpu, SVM_EXIT_PAUSE, vcpu->vm->nr_vcpus > 1);
	debug_prepare(vcpu);
	vapic_enter(vcpu);
	/* What has to wait for an event that goes in now is next: only that one is delivered. */
	paravirt_enter(vcpu);
	exit = vcpu_enter(vcpu, budget_of(vcpu));
	vapic_leave(vcpu);
	paravirt_leave(vcpu);
	if (exit == MACHINE_EXIT_VMEXIT || exit == MACHINE_EXIT_BUDGET || exit == MACHINE_EXIT_STOPPED)
		events_complete(vcpu);
	if (exit == MACHINE_EXIT_VMEXIT)
		return vcpu_handle_exit(vcpu);
	return exit == MACHINE_EXIT_BUDGET || exit == MACHINE_EXIT_STOPPED ? 1 : exit_unimplemented(vcpu, exit);
}

/* With soft_bound(): a turn takes its time, and there are so many of them. */
static bool has_no_turn_left(struct soft_vcpu *vcpu)
{
	struct soft *soft = vcpu->vm->soft;

	if (!soft->max_turns)
		return false;
	soft->own_ns += BOUNDED_NS;
	return vcpu->nr_turns++ == soft->max_turns;
}

static bool must_leave(struct soft_vcpu *vcpu, const struct soft_signals *signals)
{
	if (has_no_turn_left(vcpu))
		return true;
	if (__atomic_load_n(&vcpu->run->immediate_exit, __ATOMIC_RELAXED))
		return true;
	if (!signals->is_held || !signals_wait(signals, vcpu->has_signal_mask ? &vcpu->signal_mask : NULL))
		return false;
	stat_count(&vcpu->stats, STAT_signal_exits);
	return true;
}

/* For those that would give it their turn. */
static void wants_turn_set(struct soft_vcpu *vcpu, bool is_on)
{
	__atomic_store_n(&vcpu->wants_turn, is_on, __ATOMIC_RELAXED);
}

static long run_interrupted(struct soft_vcpu *vcpu)
{
	vcpu->run->exit_reason = KVM_EXIT_INTR;
	return -EINTR;
}

static long run_loop(struct soft_vcpu *vcpu, struct soft_signals *signals)
{
	struct kvm_run *run = vcpu->run;
	long r;

	run->exit_reason = KVM_EXIT_UNKNOWN;
	if (vcpu->has_signal_mask)
		signals_hold(signals);
	for (;;) {
		if (vcpu->has_triple_fault) {
			vcpu->has_triple_fault = false;
			if (vcpu->vm->is_bare ? bare_shutdown(vcpu) : nested_shutdown(vcpu))
				continue;
			run->exit_reason = KVM_EXIT_SHUTDOWN;
			return 0;
		}
		if (must_leave(vcpu, signals))
			return run_interrupted(vcpu);
		if (dirty_ring_is_full(vcpu)) {
			run->exit_reason = KVM_EXIT_DIRTY_RING_FULL;
			return 0;
		}
		chips_poll(vcpu->vm);
		hyperv_timers_advance(vcpu);
		xen_timer_advance(vcpu);
		async_pf_poll(vcpu);
		r = chips_enter(vcpu);
		if (r == -EAGAIN) {
			signals_hold(signals);
			chips_wait(vcpu);
			continue;
		}
		if (!r)
			return 0;
		if ((vcpu->is_idle || vcpu->async_pf.is_halted) && !vcpu_has_wake_event(vcpu)) {
			signals_hold(signals);
			chips_wait(vcpu);
			continue;
		}
		vcpu->is_idle = vcpu->async_pf.is_halted = false;
		r = guest_run(vcpu);
		if (r <= 0)
			return r;
		if (wants_window(vcpu) && is_ready_for_user_interrupt(vcpu)) {
			run->exit_reason = KVM_EXIT_IRQ_WINDOW_OPEN;
			stat_count(&vcpu->stats, STAT_request_irq_exits);
			return 0;
		}
		if (vcpu->vmcb->control.exit_code == SVM_EXIT_INTR)
			signals_hold(signals);
		wants_turn_set(vcpu, true);
		vm_yield(vcpu->vm);
		wants_turn_set(vcpu, false);
	}
}

/* As in KVM: it asks to be called again when the vCPU was started. */
static long run_unstarted(struct soft_vcpu *vcpu, struct soft_signals *signals)
{
	signals_hold(signals);
	for (;;) {
		if (must_leave(vcpu, signals))
			return run_interrupted(vcpu);
		if (chips_has_startup(vcpu))
			break;
		chips_wait(vcpu);
	}
	chips_startup_accept(vcpu);
	return -EAGAIN;
}

static int run_check(struct soft_vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;

	if (run->kvm_valid_regs & ~(uint64_t)KVM_SYNC_X86_VALID_FIELDS ||
	    run->kvm_dirty_regs & ~(uint64_t)KVM_SYNC_X86_VALID_FIELDS)
		return -EINVAL;
	if (run->kvm_dirty_regs && vcpu_sync_from_run(vcpu))
		return -EINVAL;
	if (vcpu->chips.has_lapic)
		return 0;
	if (run->cr8 & ~0xfull)
		return -EINVAL;
	vcpu->cr8 = run->cr8;
	return 0;
}

static long run_locked(struct soft_vcpu *vcpu, struct soft_signals *signals)
{
	long (*complete)(struct soft_vcpu *vcpu) = vcpu->complete;
	long r = run_check(vcpu);

	if (r)
		return r;
	if (vcpu->mp_state == KVM_MP_STATE_UNINITIALIZED)
		return run_unstarted(vcpu, signals);
	if (!nested_state_is_runnable(vcpu))
		return 0;
	vcpu->has_run = true;
	vcpu->is_idle = false;		/* what leaves KVM_RUN ends a HLT, as an exit does */
	machine_ram_may_have_changed(vcpu->vm->machine);
	if (complete) {
		vcpu->complete = NULL;
		r = complete(vcpu);
		if (r <= 0)
			return r;
	}
	if (vcpu->run->immediate_exit)
		return -EINTR;
	return run_loop(vcpu, signals);
}

static void run_save(struct soft_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	if (run->kvm_valid_regs)
		vcpu_sync_to_run(vcpu);
	if (vcpu->smm.is_in)
		run->flags |= KVM_RUN_X86_SMM;
	run->if_flag = !!(vcpu->vmcb->save.rflags & X86_EFLAGS_IF);
	run->cr8 = vcpu->cr8;
	run->apic_base = vcpu->apic_base;
	run->ready_for_interrupt_injection = has_pic(vcpu) || is_ready_for_user_interrupt(vcpu);
}

/* The wait is the guest's stolen time; the clock costs as much as the rest of it, so only a guest that asks has it read. */
static void vcpu_lock_vm(struct soft_vcpu *vcpu)
{
	bool is_asked = vcpu->paravirt.steal_time;
	uint64_t start = is_asked ? clock_ns() : 0;

	wants_turn_set(vcpu, true);
	vm_lock(vcpu->vm);
	wants_turn_set(vcpu, false);
	if (is_asked)
		vcpu->paravirt.stolen_ns += clock_ns() - start;
}

long vcpu_run(struct soft_vcpu *vcpu)
{
	struct soft_signals signals = { 0 };
	struct soft_vm *vm = vcpu->vm;
	long r;

	vcpu->run->flags = 0;
	vcpu->nr_turns = 0;
	vcpu_lock_vm(vcpu);
	paravirt_load(vcpu);
	xen_enter(vcpu);
	r = run_locked(vcpu, &signals);
	run_save(vcpu);
	vm_unlock(vm);
	signals_release(&signals);
	return r;
}
