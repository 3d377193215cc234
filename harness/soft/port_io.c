/* SPDX-License-Identifier: MIT */
/* IN and OUT: a device of the VM's answers, or user space does. KVM API, KVM_EXIT_IO. Strings: emulate.c. */
#include "soft/private.h"

#include <string.h>

#include "machine/svm.h"

#define RIP_FIRST_PORT 0x7e

static int in_finish(struct soft_vcpu *vcpu, unsigned int size, uint64_t value)
{
	uint64_t *rax = &vcpu->regs[REG_RAX], mask = (1ull << 8 * size) - 1;

	*rax = size == 4 ? (uint32_t)value : (*rax & ~mask) | (value & mask);
	return instruction_skip(vcpu);
}

/* Where user space has taken the guest elsewhere, the instruction is not its next one any more. */
static bool is_moved(const struct soft_vcpu *vcpu)
{
	return guest_code_linear(vcpu) != vcpu->io_linear;
}

static long complete_in(struct soft_vcpu *vcpu)
{
	uint64_t value = 0;

	if (is_moved(vcpu))
		return 1;
	memcpy(&value, (uint8_t *)vcpu->run + SOFT_PIO_OFFSET, vcpu->run->io.size);
	return in_finish(vcpu, vcpu->run->io.size, value);
}

static long complete_out(struct soft_vcpu *vcpu)
{
	return is_moved(vcpu) ? 1 : instruction_skip(vcpu);
}

static void port_exit(struct soft_vcpu *vcpu, uint16_t port, unsigned int size, bool is_in)
{
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = is_in ? KVM_EXIT_IO_IN : KVM_EXIT_IO_OUT;
	run->io.size = (uint8_t)size;
	run->io.port = port;
	run->io.count = 1;
	run->io.data_offset = SOFT_PIO_OFFSET;
	vcpu->io_linear = guest_code_linear(vcpu);
}

static int port_in(struct soft_vcpu *vcpu, uint16_t port, unsigned int size)
{
	uint64_t value;

	if (chips_read(vcpu, true, port, size, &value))
		return in_finish(vcpu, size, value);
	port_exit(vcpu, port, size, true);
	vcpu->complete = complete_in;
	return 0;
}

/* KVM_X86_QUIRK_OUT_7E_INC_RIP: RIP is behind the OUT when user space is told. */
static bool is_rip_first(const struct soft_vcpu *vcpu, uint16_t port)
{
	return port == RIP_FIRST_PORT && !(vcpu->vm->disabled_quirks & KVM_X86_QUIRK_OUT_7E_INC_RIP);
}

static int port_out(struct soft_vcpu *vcpu, uint16_t port, unsigned int size)
{
	if (chips_write(vcpu, true, port, size, vcpu->regs[REG_RAX] & ((1ull << 8 * size) - 1)))
		return instruction_skip(vcpu);
	port_exit(vcpu, port, size, false);
	memcpy((uint8_t *)vcpu->run + SOFT_PIO_OFFSET, &vcpu->regs[REG_RAX], 4);
	if (is_rip_first(vcpu, port))
		instruction_skip(vcpu);
	else
		vcpu->complete = complete_out;
	return 0;
}

int handle_ioio(struct soft_vcpu *vcpu)
{
	struct vmcb_control *control = &vcpu->vmcb->control;
	uint64_t info = control->exit_info_1;
	unsigned int size = info >> 4 & 7;
	uint16_t port = (uint16_t)(info >> 16);

	stat_count(&vcpu->stats, STAT_io_exits);
	if (info & IOIO_STRING)
		return vcpu_emulate(vcpu, 0);
	control->next_rip = control->exit_info_2;
	return info & IOIO_IN ? port_in(vcpu, port, size) : port_out(vcpu, port, size);
}
