/* SPDX-License-Identifier: MIT */
/*
 * VMMCALL: the number is RAX, the arguments are RBX, RCX, RDX and RSI, the result is RAX, 32 bits of each outside 64-bit
 * code (the kernel's Documentation/virt/kvm/x86/hypercalls.rst). KVM API, KVM_EXIT_HYPERCALL.
 */
#include "soft/private.h"

#include <errno.h>
#include <asm/kvm_para.h>
#include <linux/kvm_para.h>
#include <string.h>

#include "vm/x86/bits.h"

#define PAGE_MASK 0xfffull
#define NSEC_PER_SEC 1000000000ull
#define ICR_LOGICAL (1ull << 11)
#define ICR_LEVEL (1ull << 15)
#define ICR_SHORTHAND (3ull << 18)

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

/* --- among vCPUs --- */

/* To the local APICs of a bitmap whose first bit is @first; the result is how many took it. */
static uint64_t ipis_send(struct soft_vm *vm, uint64_t bitmap, uint64_t first, const struct apic_message *message)
{
	uint64_t nr = 0;

	for (; bitmap; bitmap &= bitmap - 1) {
		uint64_t id = first + (uint64_t)__builtin_ctzll(bitmap);
		struct soft_vcpu *target = id <= UINT32_MAX ? vcpu_of_id(vm, (uint32_t)id) : NULL;

		if (target && target->chips.has_lapic)
			nr += (uint64_t)lapic_accept(&target->chips.lapic, message);
	}
	return nr;
}

static uint64_t send_ipi(struct soft_vcpu *vcpu)
{
	unsigned int nr_bits = save_is_64bit(&vcpu->vmcb->save) ? 64 : 32;
	uint64_t icr = argument(vcpu, REG_RSI), first = (uint32_t)argument(vcpu, REG_RDX);
	struct apic_message message = {
		.vector = (uint8_t)icr, .delivery = icr >> 8 & 7, .is_level = icr & ICR_LEVEL,
	};

	if (icr & (ICR_SHORTHAND | ICR_LOGICAL))
		return (uint64_t)-KVM_EINVAL;
	return ipis_send(vcpu->vm, argument(vcpu, REG_RBX), first, &message) +
		ipis_send(vcpu->vm, argument(vcpu, REG_RCX), first + nr_bits, &message);
}

/* The turn goes with the exit, to whoever waits for it: that is tried here, and counted. */
static void turn_give(struct soft_vcpu *vcpu, uint64_t id)
{
	const struct soft_vcpu *target = vcpu_of_id(vcpu->vm, (uint32_t)id);

	stat_count(&vcpu->stats, STAT_directed_yield_attempted);
	if (target && target != vcpu && __atomic_load_n(&target->wants_turn, __ATOMIC_RELAXED))
		stat_count(&vcpu->stats, STAT_directed_yield_successful);
}

static uint64_t kick(struct soft_vcpu *vcpu)
{
	uint64_t id = argument(vcpu, REG_RCX);
	struct soft_vcpu *target = vcpu_of_id(vcpu->vm, (uint32_t)id);

	if (target) {
		target->paravirt.is_kicked = true;
		chips_wake(target);
	}
	turn_give(vcpu, id);
	return 0;
}

static uint64_t call_among_vcpus(struct soft_vcpu *vcpu, uint64_t number)
{
	static const unsigned int features[] = {
		[KVM_HC_KICK_CPU] = KVM_FEATURE_PV_UNHALT, [KVM_HC_SEND_IPI] = KVM_FEATURE_PV_SEND_IPI,
		[KVM_HC_SCHED_YIELD] = KVM_FEATURE_PV_SCHED_YIELD,
	};

	if (!paravirt_has(vcpu, features[number]))
		return (uint64_t)-KVM_ENOSYS;
	if (number == KVM_HC_KICK_CPU)
		return kick(vcpu);
	if (number == KVM_HC_SEND_IPI)
		return send_ipi(vcpu);
	turn_give(vcpu, argument(vcpu, REG_RBX));
	return 0;
}

/* The wall clock, and the guest's TSC of that moment. */
static uint64_t clock_pairing(struct soft_vcpu *vcpu)
{
	uint64_t now = realtime_ns();
	struct kvm_clock_pairing answer = {
		.sec = (int64_t)(now / NSEC_PER_SEC), .nsec = (int64_t)(now % NSEC_PER_SEC), .tsc = tsc_guest(vcpu),
	};

	if (argument(vcpu, REG_RCX) != KVM_CLOCK_PAIRING_WALLCLOCK)
		return (uint64_t)-KVM_EOPNOTSUPP;
	if (guest_write(vm_space(vcpu->vm), argument(vcpu, REG_RBX), &answer, sizeof(answer)))
		return (uint64_t)-KVM_EFAULT;
	return 0;
}

int handle_vmmcall(struct soft_vcpu *vcpu)
{
	uint64_t number = argument(vcpu, REG_RAX);

	/* Of both, those with bit 31 are Hyper-V's. */
	if (xen_has_hypercalls(vcpu) && !(hyperv_has_hypercalls(vcpu) && number >> 31 & 1))
		return handle_xen_hypercall(vcpu);
	if (hyperv_has_hypercalls(vcpu))
		return handle_hyperv_hypercall(vcpu);
	stat_count(&vcpu->stats, STAT_hypercalls);
	if (vcpu->vmcb->save.cpl)
		return hypercall_finish(vcpu, (uint64_t)-KVM_EPERM);
	switch (number) {
	case KVM_HC_VAPIC_POLL_IRQ:
		return hypercall_finish(vcpu, 0);
	case KVM_HC_KICK_CPU:
	case KVM_HC_SEND_IPI:
	case KVM_HC_SCHED_YIELD:
		return hypercall_finish(vcpu, call_among_vcpus(vcpu, number));
	case KVM_HC_CLOCK_PAIRING:
		return hypercall_finish(vcpu, clock_pairing(vcpu));
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
