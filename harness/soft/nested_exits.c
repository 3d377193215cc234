/* SPDX-License-Identifier: MIT */
/* L2's exits, L1's or L0's, and the instructions that a hypervisor has: APM vol. 2, 15.7 to 15.11; vol. 3. */
#include "soft/nested.h"

#include <asm/svm.h>

#include "soft/private.h"
#include "vm/x86/bits.h"

#define PAGE_MASK 0xfffull
#define MSRPM_RANGE_BYTES 0x800
#define MSRPM_RANGE_MSRS 0x2000

/* --- whose exit it is --- */

/* A map that is not there intercepts all. */
static uint16_t map_bits(struct soft_vcpu *vcpu, uint64_t gpa, unsigned int nr_bytes)
{
	uint16_t bits = 0;

	return guest_read(vcpu_space(vcpu), gpa, &bits, nr_bytes) ? 0xffff : bits;
}

/* Two bits for each MSR, read and write, in three ranges; what no range has is intercepted. */
static bool is_msr_intercepted(struct soft_vcpu *vcpu)
{
	static const uint32_t firsts[] = { 0, 0xc0000000, 0xc0010000 };
	uint32_t msr = (uint32_t)vcpu->regs[REG_RCX];
	uint64_t map = vcpu->nested.control.msrpm_base_pa;
	unsigned int i, is_write = vcpu->vmcb->control.exit_info_1 & 1;

	for (i = 0; i < 3; i++)
		if (msr - firsts[i] < MSRPM_RANGE_MSRS) {
			uint32_t bit = (msr - firsts[i]) * 2 + is_write;

			return map_bits(vcpu, map + i * MSRPM_RANGE_BYTES + bit / 8, 1) >> bit % 8 & 1;
		}
	return true;
}

/* A bit for each port; of an access of several bytes, any counts. */
static bool is_port_intercepted(struct soft_vcpu *vcpu)
{
	uint64_t info = vcpu->vmcb->control.exit_info_1;
	unsigned int port = (uint16_t)(info >> 16), size = info >> 4 & 7, shift = port % 8;

	return map_bits(vcpu, vcpu->nested.control.iopm_base_pa + port / 8, shift + size > 8 ? 2 : 1) >> shift &
		((1u << size) - 1);
}

static bool is_of_l1(struct soft_vcpu *vcpu, uint64_t code)
{
	if (code == (uint64_t)SVM_EXIT_ERR)
		return true;
	switch (code) {
	/* The machine's own, and the nested tables' owner is not known yet. */
	case SVM_EXIT_INTR:
	case SVM_EXIT_NMI:
	case SVM_EXIT_SMI:
	case SVM_EXIT_NPF:
		return false;
	case SVM_EXIT_VINTR:
		return !vcpu->has_window && nested_intercepts(vcpu, SVM_EXIT_VINTR);
	case SVM_EXIT_MSR:
		return nested_intercepts(vcpu, SVM_EXIT_MSR) && is_msr_intercepted(vcpu);
	case SVM_EXIT_IOIO:
		return nested_intercepts(vcpu, SVM_EXIT_IOIO) && is_port_intercepted(vcpu);
	/* A debugger's, and #UD, which may be a request: what is not comes back as an exception. */
	case SVM_EXIT_EXCP_BASE ... SVM_EXIT_EXCP_BASE + 31:
		return !vcpu_wants(vcpu, (unsigned int)code) && nested_intercepts(vcpu, (unsigned int)code);
	default:
		return nested_intercepts(vcpu, (unsigned int)code);
	}
}

/* What only decode assists tell: L1's CPUID does not have them. */
static void decode_assists_hide(struct vmcb_control *control)
{
	const uint64_t ioio_segment = IOIO_SEGMENT(7);

	if (control->exit_code < SVM_EXIT_EXCP_BASE || control->exit_code == SVM_EXIT_CR0_SEL_WRITE ||
	    control->exit_code == SVM_EXIT_SWINT || control->exit_code == SVM_EXIT_INVLPG)
		control->exit_info_1 = 0;
	else if (control->exit_code == SVM_EXIT_IOIO)
		control->exit_info_1 &= ~ioio_segment;
}

bool nested_wants_exit(struct soft_vcpu *vcpu)
{
	return vcpu->nested.is_guest && is_of_l1(vcpu, vcpu->vmcb->control.exit_code);
}

bool nested_handle_exit(struct soft_vcpu *vcpu)
{
	if (!nested_wants_exit(vcpu))
		return false;
	decode_assists_hide(&vcpu->vmcb->control);
	nested_reflect(vcpu);
	return true;
}

/* --- SVM's instructions; the CPU has checked CPL and mode, and a VMCB's alignment --- */

static bool has_svm(struct soft_vcpu *vcpu)
{
	if (!vcpu->hidden_efer)
		return true;
	vcpu_queue_exception(vcpu, VECTOR_UD, false, 0);
	return false;
}

/* RAX as an address. Note, a prefix that makes it shorter is not seen. */
static uint64_t address_of(const struct soft_vcpu *vcpu)
{
	return save_is_64bit(&vcpu->vmcb->save) ? vcpu->regs[REG_RAX] : (uint32_t)vcpu->regs[REG_RAX];
}

/* The VMCB that RAX has; NULL, and #GP is queued: an address that can have none. */
static struct vmcb *vmcb_operand(struct soft_vcpu *vcpu, bool is_write)
{
	uint64_t gpa = address_of(vcpu);
	struct vmcb *vmcb = NULL;

	if (!(gpa & PAGE_MASK) && vcpu_is_legal_gpa(vcpu, gpa))
		vmcb = slot_page(vcpu_space(vcpu), gpa, is_write);
	if (!vmcb)
		vcpu_queue_exception(vcpu, VECTOR_GP, true, 0);
	return vmcb;
}

int handle_vmrun(struct soft_vcpu *vcpu)
{
	if (!has_svm(vcpu) || !vmcb_operand(vcpu, true))
		return 1;
	return nested_vmrun(vcpu, address_of(vcpu));
}

int handle_vmload(struct soft_vcpu *vcpu)
{
	const struct vmcb *vmcb = has_svm(vcpu) ? vmcb_operand(vcpu, false) : NULL;

	if (!vmcb)
		return 1;
	nested_copy_vmload_state(&vcpu->vmcb->save, &vmcb->save);
	return instruction_skip(vcpu);
}

int handle_vmsave(struct soft_vcpu *vcpu)
{
	struct vmcb *vmcb = has_svm(vcpu) ? vmcb_operand(vcpu, true) : NULL;

	if (!vmcb)
		return 1;
	nested_copy_vmload_state(&vmcb->save, &vcpu->vmcb->save);
	return instruction_skip(vcpu);
}

/* L2's is virtual where L1 has enabled that: APM vol. 2, 15.33.2. */
static int gif_set(struct soft_vcpu *vcpu, bool value)
{
	uint32_t *int_ctl = &vcpu->vmcb->control.int_ctl;

	if (!has_svm(vcpu))
		return 1;
	if (vcpu->nested.is_guest && (*int_ctl & V_GIF_ENABLE))
		*int_ctl = value ? *int_ctl | V_GIF : *int_ctl & ~V_GIF;
	else
		vcpu->nested.has_gif = value;
	if (!value)
		vcpu_window_close(vcpu);
	return instruction_skip(vcpu);
}

int handle_stgi(struct soft_vcpu *vcpu)
{
	return gif_set(vcpu, true);
}

int handle_clgi(struct soft_vcpu *vcpu)
{
	return gif_set(vcpu, false);
}

/* L2 has new translations with each VMRUN; ASID 0 is L1's own. */
int handle_invlpga(struct soft_vcpu *vcpu)
{
	if (!has_svm(vcpu))
		return 1;
	vcpu->asid_generation = 0;
	return instruction_skip(vcpu);
}
