/* SPDX-License-Identifier: MIT */
/* What each #VMEXIT means: exit_handlers[]. APM vol. 2, appendix C. */
#include "soft/private.h"

#include <asm/svm.h>
#include <errno.h>
#include <string.h>

#include "machine/svm.h"
#include "vm/x86/bits.h"

#define PAGE_MASK 0xfffull
#define KVM_ENOSYS 1000
#define PFERR_W 2u
#define CPUID_MONITOR (1u << 3)	/* leaf 1, ECX */
#define CR_IS_MOV (1ull << 63)

typedef int (*exit_handler)(struct soft_vcpu *vcpu);

static uint64_t *rip_of(struct soft_vcpu *vcpu)
{
	return &vcpu->vmcb->save.rip;
}

void instruction_skip(struct soft_vcpu *vcpu)
{
	*rip_of(vcpu) = vcpu->vmcb->control.next_rip;
	vcpu->vmcb->control.int_state &= ~INT_STATE_SHADOW;
	if (vcpu->vmcb->save.rflags & X86_EFLAGS_TF) {
		vcpu->vmcb->save.dr6 |= 1u << 14;
		vcpu_queue_exception(vcpu, VECTOR_DB, false, 0);
	}
}

static int inject_gp(struct soft_vcpu *vcpu)
{
	vcpu_queue_exception(vcpu, VECTOR_GP, true, 0);
	return 1;
}

static int inject_ud(struct soft_vcpu *vcpu)
{
	vcpu_queue_exception(vcpu, VECTOR_UD, false, 0);
	return 1;
}

/* --- nested page faults --- */

enum npf npf_map(struct soft_vcpu *vcpu, uint64_t gpa, uint64_t error)
{
	struct soft_vm *vm = vcpu->vm;
	struct soft_slot *slot = slot_find(vm, gpa);
	bool is_write = error & PFERR_W, is_writable;
	uint64_t offset;

	if (!slot)
		return NPF_MMIO;
	if (is_write && (slot->flags & KVM_MEM_READONLY))
		return NPF_MMIO;
	offset = (gpa & ~PAGE_MASK) - slot->gpa;
	is_writable = !(slot->flags & KVM_MEM_READONLY) && (!slot->dirty || is_write) &&
		user_has_page(slot->hva + offset, true);
	if (is_writable < is_write || (!is_writable && !user_has_page(slot->hva + offset, false)))
		return NPF_BAD;
	if (is_write)
		slot_mark_dirty(slot, gpa);
	if (npt_map(&vm->npt, gpa, slot->spa + offset, NPT_EXEC | (is_writable ? NPT_WRITE : 0)))
		return NPF_BAD;
	return NPF_MAPPED;
}

static int handle_npf(struct soft_vcpu *vcpu)
{
	switch (npf_map(vcpu, vcpu->vmcb->control.exit_info_2, vcpu->vmcb->control.exit_info_1)) {
	case NPF_MAPPED:
		return 1;
	case NPF_MMIO:
		return vcpu_emulate(vcpu, 0);
	default:
		return -EFAULT;
	}
}

/* --- I/O --- */

static void in_finish(struct soft_vcpu *vcpu, uint64_t value, unsigned int size)
{
	uint64_t *rax = &vcpu->regs[REG_RAX];

	*rax = size == 4 ? value : (*rax & ~((1ull << 8 * size) - 1)) | value;
	instruction_skip(vcpu);
}

static uint64_t linear_rip(const struct soft_vcpu *vcpu)
{
	const struct vmcb_save *save = &vcpu->vmcb->save;

	if ((save->efer & EFER_LMA) && (save->cs.attrib & SEG_L))
		return save->rip;
	return (uint32_t)(save->cs.base + save->rip);
}

/* The vCPU may have been taken elsewhere meanwhile: then the access is not its any more. */
static bool is_still_at_port(const struct soft_vcpu *vcpu)
{
	return linear_rip(vcpu) == vcpu->port_rip;
}

static long complete_in(struct soft_vcpu *vcpu)
{
	uint64_t value = 0;

	if (!is_still_at_port(vcpu))
		return 1;
	memcpy(&value, (uint8_t *)vcpu->run + SOFT_PIO_OFFSET, vcpu->run->io.size);
	in_finish(vcpu, value, vcpu->run->io.size);
	return 1;
}

/* A port of a device of the VM's; true: done. */
static bool port_access(struct soft_vcpu *vcpu, uint16_t port, unsigned int size, bool is_in)
{
	uint64_t value, *rax = &vcpu->regs[REG_RAX], mask = (1ull << 8 * size) - 1;

	if (!is_in && !chips_write(vcpu, true, port, size, *rax & mask))
		return false;
	if (is_in && !chips_read(vcpu, true, port, size, &value))
		return false;
	if (is_in)
		*rax = size == 4 ? (uint32_t)value : (*rax & ~mask) | (value & mask);
	instruction_skip(vcpu);
	return true;
}

static long complete_out(struct soft_vcpu *vcpu)
{
	if (is_still_at_port(vcpu))
		instruction_skip(vcpu);
	return 1;
}

/* What KVM_X86_QUIRK_OUT_7E_INC_RIP keeps for QEMU: RIP is behind the OUT at its exit. */
static bool skips_at_exit(const struct soft_vcpu *vcpu, uint16_t port)
{
	return port == 0x7e && !(vcpu->vm->disabled_quirks & KVM_X86_QUIRK_OUT_7E_INC_RIP);
}

static int handle_ioio(struct soft_vcpu *vcpu)
{
	uint64_t info = vcpu->vmcb->control.exit_info_1;
	struct kvm_run *run = vcpu->run;
	bool is_in = info & IOIO_IN;

	if (info & IOIO_STRING)
		return vcpu_emulate(vcpu, 0);
	vcpu->vmcb->control.next_rip = vcpu->vmcb->control.exit_info_2;
	if (port_access(vcpu, (uint16_t)(info >> 16), info >> 4 & 7, is_in))
		return 1;
	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = is_in ? KVM_EXIT_IO_IN : KVM_EXIT_IO_OUT;
	run->io.size = info >> 4 & 7;
	run->io.port = (uint16_t)(info >> 16);
	run->io.count = 1;
	run->io.data_offset = SOFT_PIO_OFFSET;
	if (!is_in)
		memcpy((uint8_t *)run + SOFT_PIO_OFFSET, &vcpu->regs[REG_RAX], 4);
	vcpu->port_rip = linear_rip(vcpu);
	if (!is_in && skips_at_exit(vcpu, run->io.port))
		instruction_skip(vcpu);
	else
		vcpu->complete = is_in ? complete_in : complete_out;
	return 0;
}

/* --- instructions --- */

static int handle_cpuid(struct soft_vcpu *vcpu)
{
	uint64_t *regs = vcpu->regs;
	struct kvm_cpuid_entry2 answer = vcpu_cpuid_answer(vcpu, (uint32_t)regs[REG_RAX], (uint32_t)regs[REG_RCX]);

	regs[REG_RAX] = answer.eax;
	regs[REG_RBX] = answer.ebx;
	regs[REG_RCX] = answer.ecx;
	regs[REG_RDX] = answer.edx;
	instruction_skip(vcpu);
	return 1;
}

static int handle_hlt(struct soft_vcpu *vcpu)
{
	instruction_skip(vcpu);
	if (vcpu->chips.has_lapic) {
		vcpu->mp_state = KVM_MP_STATE_HALTED;
		return 1;
	}
	vcpu->run->exit_reason = KVM_EXIT_HLT;
	return 0;
}

static int handle_skip(struct soft_vcpu *vcpu)
{
	instruction_skip(vcpu);
	return 1;
}

static int handle_xsetbv(struct soft_vcpu *vcpu)
{
	const uint64_t *regs = vcpu->regs;

	if (!(vcpu->vmcb->save.cr4 & X86_CR4_OSXSAVE))
		return inject_ud(vcpu);
	if (vcpu->vmcb->save.cpl || (uint32_t)regs[REG_RCX] ||
	    xcr0_set(vcpu, (uint32_t)regs[REG_RAX] | regs[REG_RDX] << 32))
		return inject_gp(vcpu);
	instruction_skip(vcpu);
	return 1;
}

/* MONITOR and MWAIT do nothing, though CPUID has them not: KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS. */
static int handle_mwait(struct soft_vcpu *vcpu)
{
	if ((vcpu->vm->disabled_quirks & KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS) &&
	    !(vcpu_cpuid_answer(vcpu, 1, 0).ecx & CPUID_MONITOR))
		return inject_ud(vcpu);
	return handle_skip(vcpu);
}

static int handle_vmmcall(struct soft_vcpu *vcpu)
{
	const struct vmcb_save *save = &vcpu->vmcb->save;
	bool is_64bit = (save->efer & EFER_LMA) && (save->cs.attrib & SEG_L);
	uint64_t result = 0 - (uint64_t)KVM_ENOSYS;

	vcpu->regs[REG_RAX] = is_64bit ? result : (uint32_t)result;
	instruction_skip(vcpu);
	return 1;
}

static int handle_cr4_write(struct soft_vcpu *vcpu)
{
	uint64_t info = vcpu->vmcb->control.exit_info_1;

	if (cr4_set(vcpu, vcpu->regs[info & 0xf]))
		return inject_gp(vcpu);
	instruction_skip(vcpu);
	return 1;
}

/* Without a local APIC, user space is told when the guest lowers its priority. */
static int handle_cr8_write(struct soft_vcpu *vcpu)
{
	uint64_t value = vcpu->regs[vcpu->vmcb->control.exit_info_1 & 0xf], before = vcpu->cr8;

	if (value & ~0xfull)
		return inject_gp(vcpu);
	vcpu_cr8_set(vcpu, (uint8_t)value);
	instruction_skip(vcpu);
	if (vcpu->chips.has_lapic || before <= value)
		return 1;
	vcpu->run->exit_reason = KVM_EXIT_SET_TPR;
	return 0;
}

/* --- events --- */

static int handle_nothing(struct soft_vcpu *vcpu)
{
	(void)vcpu;
	return 1;
}

static int handle_vintr(struct soft_vcpu *vcpu)
{
	vcpu->vmcb->control.int_ctl &= ~V_IRQ;
	vmcb_intercept(vcpu->vmcb, SVM_EXIT_VINTR, false);
	return 1;
}

static int handle_iret(struct soft_vcpu *vcpu)
{
	vmcb_intercept(vcpu->vmcb, SVM_EXIT_IRET, false);
	vcpu->nmi.is_masked = false;
	return 1;
}

static int handle_shutdown(struct soft_vcpu *vcpu)
{
	vcpu_reset(vcpu);
	vcpu->run->exit_reason = KVM_EXIT_SHUTDOWN;
	return 0;
}

static int handle_debug(struct soft_vcpu *vcpu)
{
	struct vmcb *vmcb = vcpu->vmcb;
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_DEBUG;
	run->debug.arch.exception = (uint32_t)(vmcb->control.exit_code - SVM_EXIT_EXCP_BASE);
	run->debug.arch.dr6 = run->debug.arch.dr7 = 0;
	if (run->debug.arch.exception == VECTOR_DB) {
		run->debug.arch.dr6 = vmcb->save.dr6;
		run->debug.arch.dr7 = vmcb->save.dr7;
	}
	run->debug.arch.pc = vmcb->save.cs.base + vmcb->save.rip;
	return 0;
}

static int handle_invalid(struct soft_vcpu *vcpu)
{
	vcpu->run->exit_reason = KVM_EXIT_FAIL_ENTRY;
	vcpu->run->fail_entry.hardware_entry_failure_reason = vcpu->vmcb->control.exit_code;
	vcpu->run->fail_entry.cpu = vcpu->index;
	return 0;
}

#define EXCEPTION(vector) (SVM_EXIT_EXCP_BASE + (vector))
#define NR_HANDLERS (SVM_EXIT_NPF + 1)

static const exit_handler exit_handlers[NR_HANDLERS] = {
	[SVM_EXIT_WRITE_CR4] = handle_cr4_write,
	[SVM_EXIT_WRITE_CR8] = handle_cr8_write,
	[EXCEPTION(VECTOR_DB)] = handle_debug,
	[EXCEPTION(VECTOR_BP)] = handle_debug,
	[EXCEPTION(VECTOR_UD)] = handle_ud,
	[SVM_EXIT_INTR] = handle_nothing,
	[SVM_EXIT_NMI] = handle_nothing,
	[SVM_EXIT_SMI] = handle_nothing,
	[SVM_EXIT_VINTR] = handle_vintr,
	[SVM_EXIT_RDPMC] = inject_gp,
	[SVM_EXIT_CPUID] = handle_cpuid,
	[SVM_EXIT_IRET] = handle_iret,
	[SVM_EXIT_INVD] = handle_skip,
	[SVM_EXIT_WBINVD] = handle_skip,
	[SVM_EXIT_HLT] = handle_hlt,
	[SVM_EXIT_IOIO] = handle_ioio,
	[SVM_EXIT_MSR] = handle_msr,
	[SVM_EXIT_SHUTDOWN] = handle_shutdown,
	[SVM_EXIT_VMMCALL] = handle_vmmcall,
	[SVM_EXIT_INVLPGA] = inject_ud,
	[SVM_EXIT_VMRUN] = inject_ud,
	[SVM_EXIT_VMLOAD] = inject_ud,
	[SVM_EXIT_VMSAVE] = inject_ud,
	[SVM_EXIT_STGI] = inject_ud,
	[SVM_EXIT_CLGI] = inject_ud,
	[SVM_EXIT_SKINIT] = inject_ud,
	[SVM_EXIT_MONITOR] = handle_mwait,
	[SVM_EXIT_MWAIT] = handle_mwait,
	[SVM_EXIT_XSETBV] = handle_xsetbv,
	[SVM_EXIT_NPF] = handle_npf,
};

int vcpu_handle_exit(struct soft_vcpu *vcpu)
{
	uint64_t code = vcpu->vmcb->control.exit_code;
	struct kvm_run *run = vcpu->run;

	if (code == (uint64_t)SVM_EXIT_ERR)
		return handle_invalid(vcpu);
	if (code < NR_HANDLERS && exit_handlers[code])
		return exit_handlers[code](vcpu);
	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->internal.suberror = KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON;
	run->internal.ndata = 2;
	run->internal.data[0] = code;
	run->internal.data[1] = vcpu->index;
	return 0;
}
