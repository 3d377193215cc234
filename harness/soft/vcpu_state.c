/* SPDX-License-Identifier: MIT */
/* A vCPU's state as user space sees it: registers, FPU, debug registers, MP state, translation. */
#include "soft/private.h"

#include <errno.h>
#include <string.h>

#include "vm/x86/bits.h"

/* --- general registers --- */

static uint64_t *regs_of(struct soft_vcpu *vcpu, unsigned int reg)
{
	return &vcpu->regs[reg];
}

static void regs_get(struct soft_vcpu *vcpu, struct kvm_regs *regs)
{
	const uint64_t *r = regs_of(vcpu, 0);

	*regs = (struct kvm_regs) {
		.rax = r[REG_RAX], .rbx = r[REG_RBX], .rcx = r[REG_RCX], .rdx = r[REG_RDX],
		.rsi = r[REG_RSI], .rdi = r[REG_RDI], .rsp = r[REG_RSP], .rbp = r[REG_RBP],
		.r8 = r[REG_R8], .r9 = r[REG_R9], .r10 = r[REG_R10], .r11 = r[REG_R11],
		.r12 = r[REG_R12], .r13 = r[REG_R13], .r14 = r[REG_R14], .r15 = r[REG_R15],
		.rip = vcpu->vmcb->save.rip,
		.rflags = vcpu->vmcb->save.rflags,
	};
	if (vcpu->debug.control & KVM_GUESTDBG_SINGLESTEP)
		regs->rflags &= ~X86_EFLAGS_TF;
}

static void regs_set(struct soft_vcpu *vcpu, const struct kvm_regs *regs)
{
	uint64_t *r = regs_of(vcpu, 0);

	r[REG_RAX] = regs->rax, r[REG_RBX] = regs->rbx, r[REG_RCX] = regs->rcx, r[REG_RDX] = regs->rdx;
	r[REG_RSI] = regs->rsi, r[REG_RDI] = regs->rdi, r[REG_RSP] = regs->rsp, r[REG_RBP] = regs->rbp;
	r[REG_R8] = regs->r8, r[REG_R9] = regs->r9, r[REG_R10] = regs->r10, r[REG_R11] = regs->r11;
	r[REG_R12] = regs->r12, r[REG_R13] = regs->r13, r[REG_R14] = regs->r14, r[REG_R15] = regs->r15;
	vcpu->vmcb->save.rip = regs->rip;
	vcpu->vmcb->save.rflags = regs->rflags | X86_EFLAGS_FIXED;
	vcpu->exception.is_pending = vcpu->exception.is_injected = false;
}

static long answer_get_regs(struct call *call)
{
	regs_get(call->vcpu, call->data);
	return 0;
}

static long answer_set_regs(struct call *call)
{
	regs_set(call->vcpu, call->data);
	return 0;
}

/* --- segments and control registers --- */

static struct kvm_segment segment_get(const struct vmcb_seg *seg)
{
	return (struct kvm_segment) {
		.base = seg->base, .limit = seg->limit, .selector = seg->selector,
		.type = seg->attrib & 0xf, .s = seg->attrib >> 4 & 1, .dpl = seg->attrib >> 5 & 3,
		.present = seg->attrib >> 7 & 1, .avl = seg->attrib >> 8 & 1, .l = seg->attrib >> 9 & 1,
		.db = seg->attrib >> 10 & 1, .g = seg->attrib >> 11 & 1,
		.unusable = !(seg->attrib >> 7 & 1),
	};
}

static struct vmcb_seg segment_set(const struct kvm_segment *seg)
{
	bool is_present = seg->present && !seg->unusable;

	return (struct vmcb_seg) {
		.base = seg->base, .limit = seg->limit, .selector = seg->selector,
		.attrib = (uint16_t)((seg->type & 0xf) | (seg->s & 1) << 4 | (seg->dpl & 3) << 5 |
			is_present << 7 | (seg->avl & 1) << 8 | (seg->l & 1) << 9 | (seg->db & 1) << 10 |
			(seg->g & 1) << 11),
	};
}

static void segments_get(const struct vmcb_save *save, struct kvm_sregs *sregs)
{
	sregs->cs = segment_get(&save->cs);
	sregs->ds = segment_get(&save->ds);
	sregs->es = segment_get(&save->es);
	sregs->fs = segment_get(&save->fs);
	sregs->gs = segment_get(&save->gs);
	sregs->ss = segment_get(&save->ss);
	sregs->tr = segment_get(&save->tr);
	sregs->ldt = segment_get(&save->ldtr);
	/* A task register in use is a busy one, whatever a CPU leaves in the VMCB. */
	sregs->tr.type |= 2;
	sregs->ss.dpl = save->cpl;
	sregs->gdt = (struct kvm_dtable) { .base = save->gdtr.base, .limit = (uint16_t)save->gdtr.limit };
	sregs->idt = (struct kvm_dtable) { .base = save->idtr.base, .limit = (uint16_t)save->idtr.limit };
}

static void segments_set(struct vmcb_save *save, const struct kvm_sregs *sregs)
{
	save->cs = segment_set(&sregs->cs);
	save->ds = segment_set(&sregs->ds);
	save->es = segment_set(&sregs->es);
	save->fs = segment_set(&sregs->fs);
	save->gs = segment_set(&sregs->gs);
	save->ss = segment_set(&sregs->ss);
	save->tr = segment_set(&sregs->tr);
	save->ldtr = segment_set(&sregs->ldt);
	save->cpl = sregs->ss.dpl & 3;
	save->gdtr = (struct vmcb_seg) { .base = sregs->gdt.base, .limit = sregs->gdt.limit };
	save->idtr = (struct vmcb_seg) { .base = sregs->idt.base, .limit = sregs->idt.limit };
}

static void sregs_get(struct soft_vcpu *vcpu, struct kvm_sregs *sregs)
{
	const struct vmcb_save *save = &vcpu->vmcb->save;

	segments_get(save, sregs);
	sregs->cr0 = save->cr0;
	sregs->cr2 = save->cr2;
	sregs->cr3 = save->cr3;
	sregs->cr4 = save->cr4;
	sregs->cr8 = vcpu->cr8;
	sregs->efer = save->efer & ~vcpu->hidden_efer;
	sregs->apic_base = vcpu->apic_base;
}

static bool sregs_are_valid(struct soft_vcpu *vcpu, const struct kvm_sregs *sregs)
{
	if ((sregs->efer & EFER_LME) && (sregs->cr0 & X86_CR0_PG)) {
		if (!(sregs->cr4 & X86_CR4_PAE) || !(sregs->efer & EFER_LMA) || !vcpu_is_legal_gpa(vcpu, sregs->cr3))
			return false;
	} else if ((sregs->efer & EFER_LMA) || sregs->cs.l) {
		return false;
	}
	return cr4_is_valid(vcpu, sregs->cr4) && cr0_is_valid(sregs->cr0);
}

static int sregs_set(struct soft_vcpu *vcpu, const struct kvm_sregs *sregs)
{
	struct vmcb_save *save = &vcpu->vmcb->save;

	if (!sregs_are_valid(vcpu, sregs) || apic_base_set(vcpu, sregs->apic_base, true))
		return -EINVAL;
	vcpu->has_pdptrs = false;
	segments_set(save, sregs);
	save->cr0 = sregs->cr0;
	save->cr2 = sregs->cr2;
	save->cr3 = sregs->cr3;
	save->cr4 = sregs->cr4;
	if (!(sregs->cr8 & ~0xfull))
		vcpu_cr8_set(vcpu, (uint8_t)sregs->cr8);
	efer_write(vcpu, sregs->efer);
	vcpu->asid_generation = 0;
	return 0;
}

static void interrupt_get(const struct soft_vcpu *vcpu, uint64_t *bitmap)
{
	if (vcpu->interrupt.is_injected && !vcpu->interrupt.is_soft)
		bitmap[vcpu->interrupt.vector / 64] |= 1ull << vcpu->interrupt.vector % 64;
}

/* At most one bit; of more, the highest. */
static void interrupt_set(struct soft_vcpu *vcpu, const uint64_t *bitmap)
{
	int word;

	for (word = 3; word >= 0; word--) {
		if (!bitmap[word])
			continue;
		vcpu->interrupt.is_injected = true;
		vcpu->interrupt.is_soft = false;
		vcpu->interrupt.vector = (uint8_t)(word * 64 + 63 - __builtin_clzll(bitmap[word]));
		return;
	}
}

static long answer_get_sregs(struct call *call)
{
	struct kvm_sregs *sregs = call->data;

	sregs_get(call->vcpu, sregs);
	interrupt_get(call->vcpu, (uint64_t *)sregs->interrupt_bitmap);
	return 0;
}

static long answer_set_sregs(struct call *call)
{
	const struct kvm_sregs *sregs = call->data;
	int r = sregs_set(call->vcpu, sregs);

	if (!r)
		interrupt_set(call->vcpu, (const uint64_t *)sregs->interrupt_bitmap);
	return r;
}

static bool sregs2_has_pdptrs(const struct kvm_sregs2 *sregs)
{
	return (sregs->cr0 & X86_CR0_PG) && (sregs->cr4 & X86_CR4_PAE) && !(sregs->efer & EFER_LMA);
}

static long answer_get_sregs2(struct call *call)
{
	struct kvm_sregs2 *sregs2 = call->data;
	struct kvm_sregs sregs = { 0 };

	sregs_get(call->vcpu, &sregs);
	memcpy(sregs2, &sregs, offsetof(struct kvm_sregs, interrupt_bitmap));
	if (!sregs2_has_pdptrs(sregs2))
		return 0;
	if (call->vcpu->has_pdptrs)
		memcpy(sregs2->pdptrs, call->vcpu->pdptrs, sizeof(sregs2->pdptrs));
	else if (guest_read(vcpu_space(call->vcpu), sregs2->cr3 & 0xffffffe0, sregs2->pdptrs, sizeof(sregs2->pdptrs)))
		return 0;
	sregs2->flags |= KVM_SREGS2_FLAGS_PDPTRS_VALID;
	return 0;
}

static long answer_set_sregs2(struct call *call)
{
	const struct kvm_sregs2 *sregs2 = call->data;
	struct soft_vcpu *vcpu = call->vcpu;
	struct kvm_sregs sregs = { 0 };

	if (sregs2->flags & ~(uint64_t)KVM_SREGS2_FLAGS_PDPTRS_VALID)
		return -EINVAL;
	if (sregs2->flags && !sregs2_has_pdptrs(sregs2))
		return -EINVAL;
	memcpy(&sregs, sregs2, offsetof(struct kvm_sregs, interrupt_bitmap));
	if (sregs_set(vcpu, &sregs))
		return -EINVAL;
	vcpu->has_pdptrs = sregs2->flags & KVM_SREGS2_FLAGS_PDPTRS_VALID;
	memcpy(vcpu->pdptrs, sregs2->pdptrs, sizeof(vcpu->pdptrs));
	return 0;
}

/* --- FPU: FXSAVE's layout, APM vol. 2, 11.4.4 --- */

static long answer_get_fpu(struct call *call)
{
	struct kvm_fpu *fpu = call->data;
	const uint8_t *area = (const uint8_t *)&call->vcpu->cpu->fpu;

	memcpy(&fpu->fcw, area, 2);
	memcpy(&fpu->fsw, area + 2, 2);
	fpu->ftwx = area[4];
	memcpy(&fpu->last_opcode, area + 6, 2);
	memcpy(&fpu->last_ip, area + 8, 8);
	memcpy(&fpu->last_dp, area + 16, 8);
	memcpy(fpu->fpr, area + 32, sizeof(fpu->fpr));
	memcpy(fpu->xmm, area + 160, sizeof(fpu->xmm));
	return 0;
}

static long answer_set_fpu(struct call *call)
{
	const struct kvm_fpu *fpu = call->data;
	uint8_t *area = (uint8_t *)&call->vcpu->cpu->fpu;

	memcpy(area, &fpu->fcw, 2);
	memcpy(area + 2, &fpu->fsw, 2);
	area[4] = fpu->ftwx;
	memcpy(area + 6, &fpu->last_opcode, 2);
	memcpy(area + 8, &fpu->last_ip, 8);
	memcpy(area + 16, &fpu->last_dp, 8);
	memcpy(area + 32, fpu->fpr, sizeof(fpu->fpr));
	memcpy(area + 160, fpu->xmm, sizeof(fpu->xmm));
	return 0;
}

#define XSTATE_BV 64		/* in words of 8 bytes: the header's first, APM vol. 2, 11.5.4 */
#define XSTATE_HEADER_WORDS 8
#define XSTATE_X87 1u
#define XSTATE_SSE 2u
#define XSTATE_SUPPORTED (XSTATE_X87 | XSTATE_SSE)

static bool xstate_header_is_valid(const uint64_t *header)
{
	unsigned int i;

	for (i = 1; i < XSTATE_HEADER_WORDS; i++)
		if (header[i])
			return false;
	return !(header[0] & ~(uint64_t)XSTATE_SUPPORTED);
}

static long answer_get_xsave(struct call *call)
{
	struct kvm_xsave *xsave = call->data;

	memset(xsave, 0, sizeof(*xsave));
	memcpy(xsave, &call->vcpu->cpu->fpu, sizeof(call->vcpu->cpu->fpu));
	((uint64_t *)xsave->region)[XSTATE_BV] = XSTATE_SUPPORTED;
	return 0;
}

static long answer_set_xsave(struct call *call)
{
	const uint64_t *header = (const uint64_t *)call->data + XSTATE_BV;
	struct fpu *fpu = &call->vcpu->cpu->fpu, set;

	memcpy(&set, call->data, sizeof(set));
	if (!xstate_header_is_valid(header) || (set.mxcsr & fpu_mxcsr_reserved(call->vcpu->cpu)))
		return -EINVAL;
	/* A component that is not there is as it was at first. */
	if (!(header[0] & XSTATE_X87))
		fpu_init_x87(&set);
	if (!(header[0] & XSTATE_SSE)) {
		memset(set.xmm, 0, sizeof(set.xmm));
		set.mxcsr = MXCSR_INIT;
	}
	*fpu = set;
	return 0;
}

static long answer_get_xcrs(struct call *call)
{
	struct kvm_xcrs *xcrs = call->data;

	xcrs->nr_xcrs = 1;
	xcrs->xcrs[0].value = call->vcpu->xcr0;
	return 0;
}

static long answer_set_xcrs(struct call *call)
{
	const struct kvm_xcrs *xcrs = call->data;
	unsigned int i;

	if (xcrs->nr_xcrs > KVM_MAX_XCRS || xcrs->flags)
		return -EINVAL;
	for (i = 0; i < xcrs->nr_xcrs; i++) {
		if (xcrs->xcrs[i].xcr)
			continue;
		return xcr0_set(call->vcpu, xcrs->xcrs[i].value);
	}
	return 0;
}

/* --- KVM_CAP_SYNC_REGS --- */

int vcpu_sync_from_run(struct soft_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	if (run->kvm_dirty_regs & KVM_SYNC_X86_REGS)
		regs_set(vcpu, &run->s.regs.regs);
	if ((run->kvm_dirty_regs & KVM_SYNC_X86_SREGS) && sregs_set(vcpu, &run->s.regs.sregs))
		return -EINVAL;
	if ((run->kvm_dirty_regs & KVM_SYNC_X86_EVENTS) && vcpu_events_set(vcpu, &run->s.regs.events))
		return -EINVAL;
	run->kvm_dirty_regs = 0;
	return 0;
}

void vcpu_sync_to_run(struct soft_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	if (run->kvm_valid_regs & KVM_SYNC_X86_REGS)
		regs_get(vcpu, &run->s.regs.regs);
	if (run->kvm_valid_regs & KVM_SYNC_X86_SREGS) {
		memset(&run->s.regs.sregs, 0, sizeof(run->s.regs.sregs));
		sregs_get(vcpu, &run->s.regs.sregs);
		interrupt_get(vcpu, (uint64_t *)run->s.regs.sregs.interrupt_bitmap);
	}
	if (run->kvm_valid_regs & KVM_SYNC_X86_EVENTS)
		vcpu_events_get(vcpu, &run->s.regs.events);
}

/* --- debug registers, MP state --- */

static long answer_get_debugregs(struct call *call)
{
	struct kvm_debugregs *regs = call->data;

	memcpy(regs->db, call->vcpu->dr, sizeof(call->vcpu->dr));
	regs->dr6 = call->vcpu->vmcb->save.dr6;
	regs->dr7 = call->vcpu->vmcb->save.dr7;
	return 0;
}

static long answer_set_debugregs(struct call *call)
{
	const struct kvm_debugregs *regs = call->data;

	if (regs->flags || regs->dr6 >> 32 || regs->dr7 >> 32)
		return -EINVAL;
	memcpy(call->vcpu->dr, regs->db, sizeof(call->vcpu->dr));
	call->vcpu->vmcb->save.dr6 = (regs->dr6 & 0x1e00f) | 0xfffe0ff0;
	call->vcpu->vmcb->save.dr7 = regs->dr7 | 0x400;
	return 0;
}

static long answer_get_mp_state(struct call *call)
{
	vm_lock(call->vm);
	chips_startup_accept(call->vcpu);
	vm_unlock(call->vm);
	*(struct kvm_mp_state *)call->data = (struct kvm_mp_state) { call->vcpu->mp_state };
	return 0;
}

static long answer_set_mp_state(struct call *call)
{
	const struct kvm_mp_state *state = call->data;

	/* The others are a local APIC's. */
	if (state->mp_state != KVM_MP_STATE_RUNNABLE && !call->vcpu->chips.has_lapic)
		return -EINVAL;
	if (state->mp_state > KVM_MP_STATE_SIPI_RECEIVED && state->mp_state != KVM_MP_STATE_AP_RESET_HOLD)
		return -EINVAL;
	if (state->mp_state == KVM_MP_STATE_SIPI_RECEIVED) {
		call->vcpu->mp_state = KVM_MP_STATE_INIT_RECEIVED;
		call->vcpu->chips.has_sipi = true;
		return 0;
	}
	call->vcpu->mp_state = state->mp_state;
	return 0;
}

const struct answer vcpu_state_answers[] = {
	{ KVM_GET_REGS, answer_get_regs, false },
	{ KVM_SET_REGS, answer_set_regs, false },
	{ KVM_GET_SREGS, answer_get_sregs, false },
	{ KVM_SET_SREGS, answer_set_sregs, false },
	{ KVM_GET_SREGS2, answer_get_sregs2, false },
	{ KVM_SET_SREGS2, answer_set_sregs2, false },
	{ KVM_GET_FPU, answer_get_fpu, false },
	{ KVM_SET_FPU, answer_set_fpu, false },
	{ KVM_GET_XSAVE, answer_get_xsave, false },
	{ KVM_GET_XSAVE2, answer_get_xsave, false },
	{ KVM_SET_XSAVE, answer_set_xsave, false },
	{ KVM_GET_XCRS, answer_get_xcrs, false },
	{ KVM_SET_XCRS, answer_set_xcrs, false },
	{ KVM_GET_DEBUGREGS, answer_get_debugregs, false },
	{ KVM_SET_DEBUGREGS, answer_set_debugregs, false },
	{ KVM_GET_MP_STATE, answer_get_mp_state, false },
	{ KVM_SET_MP_STATE, answer_set_mp_state, false },
	{ 0, NULL, false },
};
