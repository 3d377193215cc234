/* SPDX-License-Identifier: MIT */
/*
 * #UD is the hypervisor's first: UD2 and "kvm" before an instruction is a prefix that asks for the emulator, as with
 * kvm.force_emulation_prefix=1; VMCALL becomes VMMCALL. Whatever else raised it goes to the guest.
 */
#include "soft/private.h"

#include <string.h>

static const uint8_t emulation_prefix[] = { 0x0f, 0x0b, 'k', 'v', 'm' };

static bool has_emulation_prefix(struct soft_vcpu *vcpu)
{
	uint8_t bytes[sizeof(emulation_prefix)];

	return !guest_linear_read(vcpu, guest_code_linear(vcpu), bytes, sizeof(bytes)) &&
		!memcmp(bytes, emulation_prefix, sizeof(bytes));
}

int handle_ud(struct soft_vcpu *vcpu)
{
	if (has_emulation_prefix(vcpu)) {
		vcpu->vmcb->save.rip += sizeof(emulation_prefix);
		return vcpu_emulate(vcpu, 0);
	}
	if (!vmcall_patch(vcpu))
		vcpu_queue_exception(vcpu, VECTOR_UD, false, 0);
	return 1;
}
