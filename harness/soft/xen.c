/* SPDX-License-Identifier: MIT */
#include "soft/xen.h"

#include <errno.h>
#include <string.h>

#include "soft/private.h"
#include "soft/xen_private.h"
#include "vm/x86/bits.h"

#define PAGE_BYTES 4096u
#define PAGE_MASK 0xfffull
#define NSEC_PER_SEC 1000000000ull
#define ENTRY_BYTES 32
#define CONFIG_FLAGS (KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL | KVM_XEN_HVM_CONFIG_EVTCHN_SEND)
#define CALL_VERSION 17
#define CALL_EVENT_CHANNEL 32
#define EVENT_CHANNEL_SEND 4
#define FIRST_VECTOR 16

void xen_init(struct soft_vm *vm)
{
	vm->xen.shared_gfn = XEN_NOWHERE;
}

void xen_vcpu_init(struct soft_vcpu *vcpu)
{
	vcpu->xen = (struct soft_xen_vcpu) {
		.info = XEN_NOWHERE, .time_info = XEN_NOWHERE, .runstate = XEN_NOWHERE, .id = vcpu->index,
		.state = XEN_OFFLINE,
	};
}

uint64_t xen_clock_ns(const struct soft_vm *vm)
{
	return clock_ns() + (uint64_t)vm->clock_offset;
}

/* --- the page of hypercalls --- */

/* MOV EAX, number; VMMCALL; RET; the rest is INT3. */
static int page_make(struct soft_vcpu *vcpu, uint64_t gpa)
{
	uint8_t entry[ENTRY_BYTES] = { 0xb8, 0, 0, 0, 0, 0x0f, 0x01, 0xd9, 0xc3 };
	uint32_t i;

	memset(entry + 9, 0xcc, sizeof(entry) - 9);
	for (i = 0; i < PAGE_BYTES / ENTRY_BYTES; i++) {
		memcpy(entry + 1, &i, sizeof(i));
		if (guest_write(vcpu_space(vcpu), gpa + i * ENTRY_BYTES, entry, sizeof(entry)))
			return -EINVAL;
	}
	return 1;
}

/* One of the pages that user space has for the mode. */
static int page_copy(struct soft_vcpu *vcpu, uint64_t gpa, unsigned int number)
{
	const struct kvm_xen_hvm_config *config = &vcpu->vm->xen.config;
	bool is_long = vcpu->vm->xen.is_long;
	uint64_t blob = is_long ? config->blob_addr_64 : config->blob_addr_32;
	uint8_t page[PAGE_BYTES];

	if (number >= (is_long ? config->blob_size_64 : config->blob_size_32) ||
	    user_read(page, blob + number * PAGE_BYTES, sizeof(page)) ||
	    guest_write(vcpu_space(vcpu), gpa, page, sizeof(page)))
		return -EINVAL;
	return 1;
}

int xen_msr_set(struct soft_vcpu *vcpu, uint32_t index, uint64_t value)
{
	struct soft_xen *xen = &vcpu->vm->xen;
	unsigned int number = value & PAGE_MASK;

	if (!xen->config.msr || index != xen->config.msr)
		return 0;
	xen->is_long = vcpu->vmcb->save.efer & EFER_LMA;
	if (!(xen->config.flags & KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL))
		return page_copy(vcpu, value & ~PAGE_MASK, number);
	return number ? -EINVAL : page_make(vcpu, value & ~PAGE_MASK);
}

/* --- hypercalls --- */

bool xen_has_hypercalls(const struct soft_vcpu *vcpu)
{
	return vcpu->vm->xen.config.flags & KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL;
}

static int call_finish(struct soft_vcpu *vcpu, uint64_t result)
{
	vcpu->regs[REG_RAX] = save_is_64bit(&vcpu->vmcb->save) ? result : (uint32_t)result;
	return instruction_skip(vcpu);
}

static long complete_call(struct soft_vcpu *vcpu)
{
	return call_finish(vcpu, vcpu->run->xen.u.hcall.result);
}

static void arguments_get(const struct soft_vcpu *vcpu, bool is_64bit, uint64_t args[6])
{
	static const uint8_t regs_64[] = { REG_RDI, REG_RSI, REG_RDX, 10, 8, 9 };
	static const uint8_t regs_32[] = { REG_RBX, REG_RCX, REG_RDX, REG_RSI, REG_RDI, REG_RBP };
	unsigned int i;

	for (i = 0; i < 6; i++)
		args[i] = is_64bit ? vcpu->regs[regs_64[i]] : (uint32_t)vcpu->regs[regs_32[i]];
}

/* True: it needs no user space; *@ret_result is what it answers. */
static bool call_is_ours(struct soft_vcpu *vcpu, uint64_t number, const uint64_t args[6], uint64_t *ret_result)
{
	const struct soft_xen *xen = &vcpu->vm->xen;
	uint32_t port;

	if (number == CALL_VERSION && !args[0] && xen->version) {
		*ret_result = xen->version;
		return true;
	}
	if (number != CALL_EVENT_CHANNEL || args[0] != EVENT_CHANNEL_SEND ||
	    !(xen->config.flags & KVM_XEN_HVM_CONFIG_EVTCHN_SEND) ||
	    guest_linear_read(vcpu, args[1], &port, sizeof(port)))
		return false;
	*ret_result = 0;
	return xen_port_send(vcpu->vm, port);
}

int handle_xen_hypercall(struct soft_vcpu *vcpu)
{
	bool is_64bit = save_is_64bit(&vcpu->vmcb->save);
	uint64_t number = is_64bit ? vcpu->regs[REG_RAX] : (uint32_t)vcpu->regs[REG_RAX], result;
	struct kvm_run *run = vcpu->run;
	uint64_t args[6];

	stat_count(&vcpu->stats, STAT_hypercalls);
	arguments_get(vcpu, is_64bit, args);
	if (!vcpu->vmcb->save.cpl && call_is_ours(vcpu, number, args, &result))
		return call_finish(vcpu, result);
	run->exit_reason = KVM_EXIT_XEN;
	run->xen.type = KVM_EXIT_XEN_HCALL;
	run->xen.u.hcall.longmode = is_64bit;
	run->xen.u.hcall.cpl = vcpu->vmcb->save.cpl;
	run->xen.u.hcall.input = number;
	run->xen.u.hcall.result = 0;
	memcpy(run->xen.u.hcall.params, args, sizeof(args));
	vcpu->complete = complete_call;
	return 0;
}

/* --- requests of the VM --- */

static bool has_blob(const struct kvm_xen_hvm_config *config)
{
	return config->blob_addr_32 || config->blob_addr_64 || config->blob_size_32 || config->blob_size_64;
}

static long answer_config(struct call *call)
{
	const struct kvm_xen_hvm_config *config = call->data;

	if ((config->flags & ~(uint32_t)CONFIG_FLAGS) ||
	    ((config->flags & KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL) && has_blob(config)))
		return -EINVAL;
	vm_lock(call->vm);
	call->vm->xen.config = *config;
	vm_unlock(call->vm);
	return 0;
}

/* When the VM's clock was zero, of the world's time; its seconds' upper half is in a field of its own. */
static int wall_clock_write(struct soft_vm *vm, uint64_t gpa)
{
	uint64_t at = gpa + (vm->xen.is_long ? 0xc00 : 0x900), at_high = gpa + (vm->xen.is_long ? 0xc0c : 0x924);
	uint64_t ns = realtime_ns() - xen_clock_ns(vm), sec = ns / NSEC_PER_SEC;
	uint32_t wall[3] = { 2, (uint32_t)sec, (uint32_t)(ns % NSEC_PER_SEC) }, high = (uint32_t)(sec >> 32);

	if (guest_write(vm_space(vm), at, wall, sizeof(wall)) || guest_write(vm_space(vm), at_high, &high, sizeof(high)))
		return -EFAULT;
	return 0;
}

static long shared_set(struct soft_vm *vm, uint64_t gfn)
{
	long r = gfn == XEN_NOWHERE ? 0 : wall_clock_write(vm, gfn * PAGE_BYTES);

	if (!r)
		vm->xen.shared_gfn = gfn;
	return r;
}

bool xen_vector_is_valid(uint8_t vector)
{
	return !vector || vector >= FIRST_VECTOR;
}

static long attr_set(struct soft_vm *vm, const struct kvm_xen_hvm_attr *attr)
{
	switch (attr->type) {
	case KVM_XEN_ATTR_TYPE_LONG_MODE:
		if (attr->u.long_mode > 1)
			return -EINVAL;
		vm->xen.is_long = attr->u.long_mode;
		return 0;
	case KVM_XEN_ATTR_TYPE_SHARED_INFO:
		return shared_set(vm, attr->u.shared_info.gfn);
	case KVM_XEN_ATTR_TYPE_UPCALL_VECTOR:
		if (!xen_vector_is_valid(attr->u.vector))
			return -EINVAL;
		vm->xen.upcall_vector = attr->u.vector;
		return 0;
	case KVM_XEN_ATTR_TYPE_EVTCHN:
		return xen_port_set(vm, attr);
	case KVM_XEN_ATTR_TYPE_XEN_VERSION:
		vm->xen.version = attr->u.xen_version;
		return 0;
	default:
		return -ENOENT;
	}
}

static long answer_set_attr(struct call *call)
{
	long r;

	vm_lock(call->vm);
	r = attr_set(call->vm, call->data);
	vm_unlock(call->vm);
	return r;
}

static long answer_get_attr(struct call *call)
{
	struct kvm_xen_hvm_attr *attr = call->data;
	const struct soft_xen *xen = &call->vm->xen;

	switch (attr->type) {
	case KVM_XEN_ATTR_TYPE_LONG_MODE:
		attr->u.long_mode = xen->is_long;
		return 0;
	case KVM_XEN_ATTR_TYPE_SHARED_INFO:
		attr->u.shared_info.gfn = xen->shared_gfn;
		return 0;
	case KVM_XEN_ATTR_TYPE_UPCALL_VECTOR:
		attr->u.vector = xen->upcall_vector;
		return 0;
	case KVM_XEN_ATTR_TYPE_XEN_VERSION:
		attr->u.xen_version = xen->version;
		return 0;
	default:
		return -ENOENT;
	}
}

static long answer_event_send(struct call *call)
{
	long r;

	vm_lock(call->vm);
	r = xen_event_raise(call->vm, call->data);
	vm_unlock(call->vm);
	return r > 0 || r == -ENOTCONN ? 0 : r;
}

const struct answer xen_answers[] = {
	{ KVM_XEN_HVM_CONFIG, answer_config, false },
	{ KVM_XEN_HVM_SET_ATTR, answer_set_attr, false },
	{ KVM_XEN_HVM_GET_ATTR, answer_get_attr, false },
	{ KVM_XEN_HVM_EVTCHN_SEND, answer_event_send, false },
	{ 0, NULL, false },
};
