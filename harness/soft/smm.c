/* SPDX-License-Identifier: MIT */
#include "soft/smm.h"

#include <asm/svm.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "soft/private.h"
#include "vm/x86/bits.h"

#define PAGE_MASK 0xfffull
#define AREA_OFFSET 0xfe00u
#define ENTRY 0x8000
#define REVISION_LEGACY 0x20000u	/* SMBASE can be moved */
#define REVISION_AMD64 0x20064u
#define FLAT_ATTRIB (SEG_P | SEG_S | SEG_TYPE_WRITABLE | SEG_TYPE_ACCESSED | 1u << 11)

/*
 * APM vol. 2, table 10-1, which has the registers where the VMCB's save area has them up to RIP. A CPU without long mode
 * has IA-32's form at the end, and the hidden parts of its registers in what that form leaves open.
 */
struct area {
	struct vmcb_seg segments[10];	/* in the VMCB's order */
	uint8_t reserved_0a0[0x2a];
	uint8_t shadow, cpl;		/* of interrupts; both in what is reserved */
	uint8_t reserved_0cc[4];
	uint64_t efer;
	uint64_t is_l2, vmcb12_gpa;
	uint8_t reserved_0e8[0x10];
	uint32_t legacy_smbase, revision, smbase;
	uint8_t reserved_104[0x44];
	uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip;
	uint64_t regs_down[16];		/* from R15 on */
};

_Static_assert(sizeof(struct area) == 0x200 && offsetof(struct area, smbase) == 0x100, "APM vol. 2, table 10-1");
_Static_assert(offsetof(struct area, cr4) == 0x148 && offsetof(struct area, efer) == 0xd0, "APM vol. 2, table 10-1");
_Static_assert(sizeof(struct vmcb_seg[10]) == offsetof(struct vmcb_save, reserved_0a0), "the VMCB's order");

/* SDM vol. 3C, table 32-1, from FFA8h on. */
struct legacy {
	uint32_t es, cs, ss, ds, fs, gs, ldtr, tr;
	uint32_t dr7, dr6;
	uint32_t regs[8];
	uint32_t eip, eflags, cr3, cr0;
};

#define LEGACY_OFFSET 0x1a8
_Static_assert(LEGACY_OFFSET + sizeof(struct legacy) == sizeof(struct area), "SDM vol. 3C, table 32-1");

static bool has_long_mode(const struct soft_vcpu *vcpu)
{
	return vcpu_has(vcpu, 0x80000001, 3, 29);
}

static uint64_t smbase_of(struct soft_vcpu *vcpu)
{
	uint64_t value = SMBASE_RESET;

	msr_get(vcpu, MSR_IA32_SMBASE, &value, true);
	return value;
}

static void smi_count(struct soft_vcpu *vcpu)
{
	uint64_t value = 0;

	msr_get(vcpu, MSR_SMI_COUNT, &value, true);
	msr_set(vcpu, MSR_SMI_COUNT, value + 1, true);
}

void smm_switch(struct soft_vcpu *vcpu, bool is_in)
{
	if (vcpu->nested.is_guest)
		nested_reset(vcpu);
	vcpu->smm.is_in = is_in;
	vcpu->smm.is_inside_nmi = false;
	vcpu->vmcb->control.nested_cr3 = vcpu_space(vcpu)->npt.root_spa;
	vcpu->nested.vm_generation = ~0ull;
	vcpu->asid_generation = 0;
}

void smm_reset(struct soft_vcpu *vcpu)
{
	vcpu->smm = (struct soft_smm) { 0 };
}

bool smm_accepts_smi(const struct soft_vcpu *vcpu)
{
	return vcpu->smm.is_pending && !vcpu->smm.is_in && vcpu->nested.has_gif;
}

/* --- the save area --- */

static void legacy_put(struct area *area, const struct soft_vcpu *vcpu)
{
	const struct vmcb_save *save = &vcpu->vmcb->save;
	struct legacy legacy = {
		.es = save->es.selector, .cs = save->cs.selector, .ss = save->ss.selector, .ds = save->ds.selector,
		.fs = save->fs.selector, .gs = save->gs.selector, .ldtr = save->ldtr.selector, .tr = save->tr.selector,
		.dr7 = (uint32_t)save->dr7, .dr6 = (uint32_t)save->dr6, .eip = (uint32_t)save->rip,
		.eflags = (uint32_t)save->rflags, .cr3 = (uint32_t)save->cr3, .cr0 = (uint32_t)save->cr0,
	};
	unsigned int i;

	for (i = 0; i < 8; i++)
		legacy.regs[i] = (uint32_t)vcpu->regs[i];
	memcpy((uint8_t *)area + LEGACY_OFFSET, &legacy, sizeof(legacy));
}

static void amd64_put(struct area *area, const struct soft_vcpu *vcpu)
{
	const struct vmcb_save *save = &vcpu->vmcb->save;
	unsigned int i;

	area->cr3 = save->cr3;
	area->cr0 = save->cr0;
	area->dr7 = save->dr7;
	area->dr6 = save->dr6;
	area->rflags = save->rflags;
	area->rip = save->rip;
	for (i = 0; i < 16; i++)
		area->regs_down[15 - i] = vcpu->regs[i];
}

static struct area area_of(struct soft_vcpu *vcpu)
{
	const struct vmcb_save *save = &vcpu->vmcb->save;
	uint32_t smbase = (uint32_t)smbase_of(vcpu);
	struct area area = {
		.shadow = vcpu->vmcb->control.int_state & INT_STATE_SHADOW, .cpl = save->cpl,
		.efer = save->efer & ~vcpu->hidden_efer, .cr4 = save->cr4,
		.is_l2 = vcpu->nested.is_guest, .vmcb12_gpa = vcpu->nested.is_guest ? vcpu->nested.vmcb12_gpa : 0,
	};

	memcpy(area.segments, save, sizeof(area.segments));
	if (has_long_mode(vcpu)) {
		area.revision = REVISION_AMD64;
		area.smbase = smbase;
		amd64_put(&area, vcpu);
	} else {
		area.revision = REVISION_LEGACY;
		area.legacy_smbase = smbase;
		legacy_put(&area, vcpu);
	}
	return area;
}

/* The same registers from IA-32's form. */
static void legacy_get(struct area *area)
{
	struct legacy legacy;
	unsigned int i;

	memcpy(&legacy, (uint8_t *)area + LEGACY_OFFSET, sizeof(legacy));
	memset(area->regs_down, 0, sizeof(area->regs_down));
	area->segments[0].selector = (uint16_t)legacy.es;
	area->segments[1].selector = (uint16_t)legacy.cs;
	area->segments[2].selector = (uint16_t)legacy.ss;
	area->segments[3].selector = (uint16_t)legacy.ds;
	area->segments[4].selector = (uint16_t)legacy.fs;
	area->segments[5].selector = (uint16_t)legacy.gs;
	area->segments[7].selector = (uint16_t)legacy.ldtr;
	area->segments[9].selector = (uint16_t)legacy.tr;
	area->smbase = area->legacy_smbase;
	area->cr3 = legacy.cr3;
	area->cr0 = legacy.cr0;
	area->dr7 = legacy.dr7;
	area->dr6 = legacy.dr6;
	area->rflags = legacy.eflags;
	area->rip = legacy.eip;
	for (i = 0; i < 8; i++)
		area->regs_down[15 - i] = legacy.regs[i];
}

static bool area_is_valid(const struct soft_vcpu *vcpu, const struct area *area)
{
	return cr0_is_valid(area->cr0) && cr4_is_valid(vcpu, area->cr4) && efer_is_known(area->efer);
}

static void area_load(struct soft_vcpu *vcpu, const struct area *area)
{
	struct vmcb_save *save = &vcpu->vmcb->save;
	unsigned int i;

	memcpy(save, area->segments, sizeof(area->segments));
	save->cpl = area->cpl & 3;
	save->cr4 = area->cr4;
	save->cr3 = area->cr3;
	save->cr0 = area->cr0 | X86_CR0_ET;
	save->dr7 = area->dr7;
	save->dr6 = area->dr6;
	save->rflags = area->rflags | X86_EFLAGS_FIXED;
	save->rip = area->rip;
	for (i = 0; i < 16; i++)
		vcpu->regs[i] = area->regs_down[15 - i];
	efer_write(vcpu, area->efer);
	vcpu->vmcb->control.int_state = area->shadow & INT_STATE_SHADOW;
}

/* --- an SMI of L2: L1 is out of the way until RSM --- */

/* L1's registers into the host save area, which is laid out as a VMCB; L2's into L1's VMCB. */
static void l2_keep(struct soft_vcpu *vcpu)
{
	struct vmcb *hsave = slot_page(vcpu_space(vcpu), vcpu->nested.hsave_pa, true);

	if (hsave)
		nested_copy_vmrun_state(&hsave->save, &vcpu->nested.vmcb01->save);
	nested_vmcb12_update(vcpu);
}

/* What SMM's code may have spoiled: in the save area, and in the two pages, of which the VMCB is *@ret_vmcb12. */
static bool l2_is_valid(struct soft_vcpu *vcpu, const struct area *area, const struct vmcb **ret_vmcb12,
			const struct vmcb **ret_hsave)
{
	if (!(area->efer & EFER_SVME) || (area->vmcb12_gpa & PAGE_MASK) || !vcpu_is_legal_gpa(vcpu, area->vmcb12_gpa))
		return false;
	*ret_vmcb12 = slot_page(vcpu_space(vcpu), area->vmcb12_gpa, false);
	*ret_hsave = slot_page(vcpu_space(vcpu), vcpu->nested.hsave_pa, false);
	return *ret_vmcb12 && *ret_hsave && vcpu_is_legal_gpa(vcpu, (*ret_vmcb12)->save.cr3);
}

/* L2's registers are the vCPU's at hand. */
static void l2_enter(struct soft_vcpu *vcpu, uint64_t vmcb12_gpa, const struct vmcb *vmcb12, const struct vmcb *hsave)
{
	struct soft_nested *nested = &vcpu->nested;

	nested->vmcb02->save = nested->vmcb01->save;
	nested_copy_vmrun_state(&nested->vmcb01->save, &hsave->save);
	nested_cache_control(nested, &vmcb12->control);
	nested_enter(vcpu, vmcb12_gpa);
	nested->is_run_pending = false;
	nested->is_unchecked = true;
}

/* --- in and out --- */

/* APM vol. 2, 10.3; SDM vol. 3C, table 32-4. */
static void entry_state_set(struct soft_vcpu *vcpu, uint64_t smbase)
{
	struct vmcb_save *save = &vcpu->vmcb->save;

	efer_write(vcpu, 0);
	save->ds = (struct vmcb_seg) { 0, FLAT_ATTRIB, 0xffffffff, 0 };
	save->es = save->fs = save->gs = save->ss = save->ds;
	save->cs = (struct vmcb_seg) { (uint16_t)(smbase >> 4), FLAT_ATTRIB, 0xffffffff, smbase };
	save->idtr = (struct vmcb_seg) { 0 };
	save->cpl = 0;
	save->cr0 &= ~(uint64_t)(X86_CR0_PE | X86_CR0_EM | X86_CR0_TS | X86_CR0_PG);
	save->cr4 = 0;
	save->dr7 = 0x400;
	save->rflags = X86_EFLAGS_FIXED;
	save->rip = ENTRY;
	vcpu->vmcb->control.int_state = 0;
}

void smm_enter(struct soft_vcpu *vcpu)
{
	struct area area = area_of(vcpu);
	uint64_t smbase = smbase_of(vcpu);

	if (vcpu->nested.is_guest)
		l2_keep(vcpu);
	smm_switch(vcpu, true);
	guest_write(vcpu_space(vcpu), smbase + AREA_OFFSET, &area, sizeof(area));
	smi_count(vcpu);
	vcpu->smm.is_pending = false;
	vcpu->smm.is_inside_nmi = vcpu->nmi.is_masked;
	vcpu->nmi.is_masked = true;
	vcpu_intercept(vcpu, SVM_EXIT_IRET, true);
	entry_state_set(vcpu, smbase);
}

static void nmi_unmask(struct soft_vcpu *vcpu)
{
	if (vcpu->smm.is_inside_nmi)
		return;
	vcpu->nmi.is_masked = false;
	vcpu_intercept(vcpu, SVM_EXIT_IRET, false);
}

/* What is no state of a CPU is a shutdown: APM vol. 2, 10.3.4. */
void smm_leave(struct soft_vcpu *vcpu)
{
	const struct vmcb *vmcb12 = NULL, *hsave = NULL;
	struct area area;
	bool is_l2;
	int r = guest_read(vcpu_space(vcpu), smbase_of(vcpu) + AREA_OFFSET, &area, sizeof(area));

	nmi_unmask(vcpu);
	smm_switch(vcpu, false);
	if (!r && !has_long_mode(vcpu))
		legacy_get(&area);
	is_l2 = !r && area.is_l2 && has_long_mode(vcpu);
	if (r || !area_is_valid(vcpu, &area) || (is_l2 && !l2_is_valid(vcpu, &area, &vmcb12, &hsave))) {
		vcpu->has_triple_fault = true;
		return;
	}
	area_load(vcpu, &area);
	msr_set(vcpu, MSR_IA32_SMBASE, area.smbase, true);
	if (is_l2)
		l2_enter(vcpu, area.vmcb12_gpa, vmcb12, hsave);
}

/* --- requests --- */

static long answer_smi(struct call *call)
{
	if (call->vm->is_bare)
		return -EINVAL;
	call->vcpu->smm.is_pending = true;
	return 0;
}

const struct answer smm_answers[] = {
	{ KVM_SMI, answer_smi, true },
	{ 0, NULL, false },
};
