/* SPDX-License-Identifier: MIT */
/*
 * VMMCALL: the number is RAX, the arguments are RBX, RCX, RDX and RSI, the result is RAX, 32 bits of each outside 64-bit
 * code (the kernel's Documentation/virt/kvm/x86/hypercalls.rst). KVM API, KVM_EXIT_HYPERCALL.
 */
#include "soft/private.h"

#include <errno.h>
#include <linux/kvm_para.h>
#include <string.h>

#include "vm/x86/bits.h"

#define PAGE_MASK 0xfffull

static uint64_t argument(const struct soft_vcpu *vcpu, unsigned int reg)
{
	return save_is_64bit(&vcpu->vmcb->save) ? vcpu->regs[reg] : (uint32_t)vcpu->regs[reg];
}

static int hypercall_finish(struct soft_vcpu *vcpu, uint64_t result)
{
	vcpu->regs[REG_RAX] = save_is_64bit(&vcpu->vmcb->save) ? result : (uint32_t)result;
	return instruction_skip(vcpu);
}

static long complete_hypercall(struct soft_vcpu *vcpu)
{
	return hypercall_finish(vcpu, vcpu->run->hypercall.ret);
}

static bool is_range(uint64_t gpa, uint64_t nr_pages)
{
	uint64_t first = gpa / (PAGE_MASK + 1);

	return !(gpa & PAGE_MASK) && nr_pages && first + nr_pages > first;
}

/* Page by page, user space is told what the guest shares with it. */
static int map_gpa_range(struct soft_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint64_t gpa = argument(vcpu, REG_RBX), nr_pages = argument(vcpu, REG_RCX);

	if (!(vcpu->vm->hypercall_exits & 1u << KVM_HC_MAP_GPA_RANGE))
		return hypercall_finish(vcpu, (uint64_t)-KVM_ENOSYS);
	if (!is_range(gpa, nr_pages))
		return hypercall_finish(vcpu, (uint64_t)-KVM_EINVAL);
	run->exit_reason = KVM_EXIT_HYPERCALL;
	run->hypercall.nr = KVM_HC_MAP_GPA_RANGE;
	run->hypercall.args[0] = gpa;
	run->hypercall.args[1] = nr_pages;
	run->hypercall.args[2] = argument(vcpu, REG_RDX);
	run->hypercall.longmode = save_is_64bit(&vcpu->vmcb->save);
	vcpu->complete = complete_hypercall;
	return 0;
}

int handle_vmmcall(struct soft_vcpu *vcpu)
{
	stat_count(&vcpu->stats, STAT_hypercalls);
	if (vcpu->vmcb->save.cpl)
		return hypercall_finish(vcpu, (uint64_t)-KVM_EPERM);
	switch (argument(vcpu, REG_RAX)) {
	case KVM_HC_VAPIC_POLL_IRQ:
		return hypercall_finish(vcpu, 0);
	case KVM_HC_MAP_GPA_RANGE:
		return map_gpa_range(vcpu);
	default:
		return hypercall_finish(vcpu, (uint64_t)-KVM_ENOSYS);
	}
}

/* Intel's word for it is written over with AMD's, for guests that take what CPUID says of the vendor for nothing. */
bool vmcall_patch(struct soft_vcpu *vcpu)
{
	static const uint8_t vmcall[] = { 0x0f, 0x01, 0xc1 }, vmmcall[] = { 0x0f, 0x01, 0xd9 };
	uint64_t linear = guest_code_linear(vcpu);
	uint8_t code[sizeof(vmcall)];

	if (vcpu->vm->disabled_quirks & KVM_X86_QUIRK_FIX_HYPERCALL_INSN)
		return false;
	return !guest_linear_read(vcpu, linear, code, sizeof(code)) && !memcmp(code, vmcall, sizeof(code)) &&
		!guest_linear_write(vcpu, linear, vmmcall, sizeof(vmmcall));
}
