/* SPDX-License-Identifier: MIT */
#include "fuzz/nested.h"

#include <asm/svm.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "fuzz/nested_private.h"
#include "fuzz/touches.h"
#include "fuzz/vmcb_ops.h"
#include "vm/x86/bits.h"
#include "vm/x86/mode.h"

/* --- one VMRUN --- */

void nested_violate(struct vmcb_result *result, const char *what, uint64_t want, uint64_t got)
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
/*
 * Finding 4901: KVM executes a MOV to CR8 as L1's, where it executes it: L2's tables lead to what it keeps read-only, or
 * there is no memory for an event's frame.
 */
static bool may_be_emulated(const struct nested *n)
{
	return n->is_hopeless || (vmcb_world_vmcb(n->ram)->control.exit_int_info & EVENT_VALID);
}

static void host_check(struct nested *n, const struct vmcb *before, struct vmcb_result *result)
{
	const struct kvm_sregs *want = &n->sregs, *got = &n->vcpu->run->s.regs.sregs;
	const struct kvm_regs *regs = &n->vcpu->run->s.regs.regs;

#define SAME(field_)									\
	if (want->field_ != got->field_)						\
		nested_violate(result, "host " #field_, want->field_, got->field_)
	SAME(cr0);
	SAME(cr3);
	SAME(cr4);
	SAME(efer);
	SAME(gdt.base);
	SAME(gdt.limit);
	SAME(idt.base);
	SAME(idt.limit);
	if ((before->control.int_ctl & V_INTR_MASKING) && !may_be_emulated(n))
		SAME(cr8);
	if (!is_segment_same(&want->cs, &got->cs) || !is_segment_same(&want->ss, &got->ss) ||
	    !is_segment_same(&want->ds, &got->ds) || !is_segment_same(&want->es, &got->es))
		nested_violate(result, "host segments", want->cs.selector, got->cs.selector);
	if (regs->rsp != n->regs.rsp)
		nested_violate(result, "host rsp", n->regs.rsp, regs->rsp);
	if (!(regs->rflags & X86_EFLAGS_IF))
		nested_violate(result, "host rflags", n->regs.rflags, regs->rflags);
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
		if (!n->is_changed)
			nested_violate(result, "exception in L1", 0,
				       *(uint64_t *)(void *)(n->l1 + NESTED_EXCHANGE + NESTED_FAULT) - 1);
		break;
	default:
		outcome->end = VMCB_END_UNIMPLEMENTED;
		outcome->unimplemented = "an exit that KVM does not know what to do with";
		break;
	}
	n->is_lost = true;
}

/* What user space has changed is its own to answer for. */
static void outcome_drop(struct vmcb_outcome *outcome)
{
	*outcome = (struct vmcb_outcome){ .end = VMCB_END_UNIMPLEMENTED, .rule = outcome->rule,
		.unimplemented = "user space changed the vCPU" };
}

/* What is pending in L1 and was meant for one run only. */
static void interrupt_withdraw(struct nested *n)
{
	if (!(n->program.pins >> PIN_INTR & 1))
		return;
	nested_step_add(n, NESTED_STEP_DRAIN, 0, 0);
	if (nested_script_run(n) != STOP_DONE)
		n->is_lost = true;
}

/*
 * Memory that was walked as nested tables and is not meant for them. KVM keeps it read-only from then on, and later inputs
 * would fault where they do not by themselves: only a new VM knows nothing of it.
 */
static bool is_strange_table(uint64_t gpa)
{
	gpa &= 0xffffffffff000ull;
	return gpa < VMCB_RAM_BYTES && (gpa < VMCB_NPML4_GPA || gpa > VMCB_NPT_GPA);
}

static bool has_strange_root(const struct vmcb_control *control)
{
	return (control->nested_ctl & NP_ENABLE) && is_strange_table(control->nested_cr3);
}

static bool is_strange_entry(const struct input_op *op, uint64_t entry)
{
	return op->args[2] > 1 && (entry & PTE_P) && !(entry & PTE_PS) && is_strange_table(entry);
}

static void run_once(struct nested *n, struct vmcb_result *result, struct nested_trace *trace)
{
	struct vmcb_outcome *outcome = &result->runs[result->nr_runs];
	struct vmcb *vmcb = vmcb_world_vmcb(n->ram), before = *vmcb;
	const char *trouble = NULL;

	*outcome = (struct vmcb_outcome){ .rule = vmcb_program_predict(&n->program) };
	n->is_hopeless |= has_strange_root(&before.control);
	if (n->has_gif)
		nested_step_add(n, NESTED_STEP_CLGI, 0, 0);
	n->has_gif = false;
	if (n->program.pins) {
		if (n->nr_steps && nested_script_run(n) != STOP_DONE)
			n->is_lost = true;
		trouble = pins_set(n);
	}
	memcpy(n->l1 + NESTED_EXCHANGE + NESTED_REGS, n->program.regs, sizeof(n->program.regs));
	nested_step_add(n, NESTED_STEP_VMRUN, VMCB_VMCB_GPA, 0);
	n->counts.nr_entries++;
	if (trouble || n->is_lost) {
		outcome->end = VMCB_END_UNIMPLEMENTED;
		outcome->unimplemented = trouble ? trouble : "L1 is lost";
		n->is_lost = true;
	} else {
		outcome_take(n, nested_vmrun_watched(n, result), result);
	}
	if (trace) {
		trace->before[result->nr_runs] = before;
		trace->after[result->nr_runs] = *vmcb;
	}
	if (n->is_changed)
		outcome_drop(outcome);
	n->nr_host = n->host_at = 0;
	if (!n->is_lost) {
		if (!n->is_changed)
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
		nested_step_add(n, NESTED_STEP_INVLPGA, op->args[0], (uint32_t)op->args[1]);
		return;
	}
	nested_step_add(n, steps[op->args[0]], VMCB_VMCB_GPA, 0);
	if (op->args[0] == L1_STGI || op->args[0] == L1_CLGI)
		n->has_gif = op->args[0] == L1_STGI;
	/* What follows may read what the one writes, or write what the other reads. */
	if ((op->args[0] == L1_VMSAVE || op->args[0] == L1_VMLOAD) && nested_script_run(n) != STOP_DONE)
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

static bool has_vmsave(const struct input *input)
{
	unsigned int i;

	for (i = 0; i < input->nr_ops; i++)
		if (input->ops[i].kind == VMCB_OP_L1 && input->ops[i].args[0] == L1_VMSAVE)
			return true;
	return false;
}

static bool writes_clean(const struct input *input)
{
	unsigned int i;

	for (i = 0; i < input->nr_ops; i++)
		if ((input->ops[i].kind == VMCB_OP_SET || input->ops[i].kind == VMCB_OP_XOR) &&
		    vmcb_fields[input->ops[i].args[0]].offset == offsetof(struct vmcb, control.clean))
			return true;
	return false;
}

/* L1 where it was before the input before, and all memory as in the golden state. */
static int input_begin(struct nested *n, const struct input *input)
{
	int r = 0;

	n->nr_steps = n->nr_host = n->host_at = 0;
	n->is_changed = false;
	n->has_hyperv = nested_has_hyperv(input);
	if (n->is_fresh || n->is_hopeless || n->has_hyperv || (n->is_lost && !nested_l2_leave(n)))
		r = nested_vm_remake(n);
	if (r)
		return r;
	n->is_lost = n->is_hopeless = false;
	if (n->has_hyperv)
		nested_hyperv_begin(n);
	if (writes_clean(input))
		nested_vmcb_forget(n);
	else if (!vcpu_is_as_before(n))
		nested_state_put(n);
	n->pins = 0;
	nested_pages_restore(n);
	n->program = (struct vmcb_program){ .ram = n->ram, .rule_cpu = n->rule_cpu, .written = nested_page_written, .context = n };
	if (!has_vmsave(input))
		return 0;
	/* What it finds before the first VMRUN is what the golden VMCB has. */
	nested_step_add(n, NESTED_STEP_VMLOAD, VMCB_VMCB_GPA, 0);
	return nested_script_run(n) == STOP_DONE ? 0 : -EIO;
}

/* In L2, it is when L2 comes to user space. */
static void host_apply(struct nested *n, const struct input_op *op)
{
	if (op->args[0] == IN_L2) {
		n->host[n->nr_host++] = op;
		return;
	}
	if (n->nr_steps && nested_script_run(n) != STOP_DONE)
		n->is_lost = true;
	if (!n->is_lost && !nested_host_do(n, op))
		n->is_lost = true;
}

static void op_apply(struct nested *n, const struct input_op *op)
{
	uint64_t entry;

	vmcb_program_apply(&n->program, op);
	if (vmcb_op_is_host(op))
		host_apply(n, op);
	if (op->kind != VMCB_OP_NPT)
		return;
	entry = nested_get64(n->ram, n->last_written);
	nested_step_add(n, NESTED_STEP_WRITE, n->last_written, entry);
	n->is_hopeless |= is_strange_entry(op, entry);
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
	n->is_changed = n->has_hyperv;
	nested_suspects_set(n, touched);
	nested_fetches_begin(n, input);
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
	if (n->is_changed)
		nested_suspect_all(n);
}

/* --- making --- */

static bool is_supported(const struct nested *n)
{
	return (nested_cpuid_read(n, 0x80000001, 0, 2) & 4) && (sys_has_cap(n->sys, KVM_CAP_SYNC_REGS) & KVM_SYNC_X86_SREGS) &&
	       sys_has_cap(n->sys, KVM_CAP_NESTED_STATE);
}

static int nested_make(struct nested *n, struct err *err)
{
	int r = nested_memory_make(n);

	if (!r && !n->sys->cpuid)
		r = sys_supported_cpuid_try(n->sys, &n->sys->cpuid);
	if (!r)
		r = nested_cpuid_make(n);
	if (r)
		return err_set(err, -r, "the nested executor: %s", strerror(-r));
	if (!is_supported(n))
		return err_set(err, ENOTSUP, "this KVM has no nested SVM, or no KVM_CAP_SYNC_REGS or KVM_CAP_NESTED_STATE");
	svm_rule_cpu_init(&n->rule_cpu, nested_cpuid_read, n);
	r = nested_vm_make(n);
	if (r)
		return err_set(err, -r, "the nested executor's VM: %s", strerror(-r));
	if (nested_script_run(n) != STOP_DONE)
		return err_set(err, EIO, "the nested executor's L1 does not come up: exit reason %u",
			       n->vcpu->run->exit_reason);
	/* L1 stands behind its OUT: that is where it is put back to. */
	n->regs = n->vcpu->run->s.regs.regs;
	n->regs.rip = NESTED_L1_GPA + NESTED_CODE;
	r = nested_state_take(n);
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
	nested_vm_unmake(n);
	nested_vms_wait(n);
	nested_memory_free(n);
	free(n->kvm_cpuid);
	free(n);
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
