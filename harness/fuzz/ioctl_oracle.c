/* SPDX-License-Identifier: MIT */
/*
 * Calls, and what must hold of every one of them whatever its argument is: it ends with an error of its own; where there is
 * no argument it does not succeed; it writes what its number says it gives, and nothing else; a setter that refuses
 * leaves what its getter gives, and one that does not is believed.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "fuzz/ioctl_world.h"
#include "vm/x86/bits.h"

#define NESTED_BYTES (sizeof(struct kvm_nested_state) + KVM_STATE_NESTED_SVM_VMCB_SIZE)

int ioctl_fd_of(const struct ioctl_runner *r, struct ioctl_who who)
{
	switch (who.scope) {
	case IOCTL_SCOPE_VM:
		return r->vms[who.index].fd;
	case IOCTL_SCOPE_VCPU:
		return r->vcpus[who.index].fd;
	case IOCTL_SCOPE_DEVICE:
		return r->devices[who.index];
	default:
		return r->sys_fd;
	}
}

/* --- steps --- */

/* The last place is for whatever does not fit. */
struct ioctl_step *ioctl_step_add(struct ioctl_runner *r, const char *call, long result, uint64_t detail)
{
	struct ioctl_result *out = r->result;
	struct ioctl_step *step = &out->steps[out->nr_steps < IOCTL_MAX_STEPS ? out->nr_steps : IOCTL_MAX_STEPS - 1];

	if (out->nr_steps < IOCTL_MAX_STEPS)
		out->nr_steps++;
	step->call = call;
	step->detail = detail;
	step->result = result;
	step->is_fd = step->is_run = false;
	return step;
}

/* --- errors --- */

static void check_error(struct ioctl_runner *r, const struct ioctl_call *call, int fd, int error)
{
	bool is_pointer = call->shape != IOCTL_SHAPE_VALUE;

	if (fd < 0) {
		if (error != EBADF)
			ioctl_violate(r, "%s of no descriptor ends with %s", call->name, ioctl_errno_name(error));
		return;
	}
	if (!ioctl_error_is_known(call, error) && !(is_pointer && error == EFAULT))
		ioctl_violate(r, "%s ends with %s, which is none of its errors", call->name, ioctl_errno_name(error));
}

/* --- the argument --- */

struct argument {
	uintptr_t address;
	size_t room;			/* from there to the end of the shared argument; 0: not in it */
	bool is_nowhere;		/* where nobody has memory */
};

static struct argument argument_take(struct ioctl_runner *r)
{
	struct argument argument = { (uintptr_t)r->arg, IOCTL_ARG_BYTES, false };

	if (!r->is_placed)
		return argument;
	argument.address = ioctl_place_address(r, r->place, r->place_delta);
	argument.is_nowhere = r->place != IOCTL_PLACE_ARG && r->place != IOCTL_PLACE_END && r->place != IOCTL_PLACE_POOL;
	if (r->place == IOCTL_PLACE_POOL) {
		r->is_pool_a_buffer = true;
		argument.room = 0;
	} else {
		argument.room = argument.is_nowhere ? 0 : (uintptr_t)r->arg + IOCTL_ARG_BYTES - argument.address;
	}
	return argument;
}

/* What was there before the call. */
static const uint8_t *argument_before(const struct ioctl_runner *r, const struct argument *argument)
{
	return r->shadow + IOCTL_ARG_BYTES - argument->room;
}

static bool is_getter(const struct ioctl_call *call)
{
	return _IOC_DIR(call->number) & _IOC_READ;
}

/* What says how long the rest is. */
static size_t head_bytes(const struct ioctl_call *call)
{
	return call->shape == IOCTL_SHAPE_INDICES ? sizeof(struct kvm_msr_list) : 8;
}

/* How much of the argument the call may write, as its head was before it. */
static size_t written_bytes(const struct ioctl_call *call, const uint8_t *before, long result)
{
	if (!is_getter(call))
		return 0;
	/* The size that it would need. */
	if (result == -E2BIG)
		return head_bytes(call);
	return result < 0 ? 0 : ioctl_argument_bytes(call, before);
}

static void check_written(struct ioctl_runner *r, const struct ioctl_call *call, const struct argument *argument, long result)
{
	size_t at = IOCTL_ARG_BYTES - argument->room, len = 0, i;
	uint8_t head[8] = { 0 };

	if (call->has_pointers && call->shape == IOCTL_SHAPE_FIXED)
		return;
	memcpy(head, r->shadow + at, argument->room < sizeof(head) ? argument->room : sizeof(head));
	if (argument->room >= head_bytes(call))
		len = written_bytes(call, head, result);
	if (len > argument->room)
		len = argument->room;
	if (!memcmp(r->arg, r->shadow, at) && !memcmp(r->arg + at + len, r->shadow + at + len, argument->room - len))
		return;
	for (i = 0; r->arg[i] == r->shadow[i] || (i >= at && i < at + len); i++)
		;
	ioctl_violate(r, "%s writes where its argument is not: at offset 0x%zx of 0x%zx", call->name, i - at, len);
}

static void check_argument(struct ioctl_runner *r, const struct ioctl_call *call, const struct argument *argument, int fd,
			   long result)
{
	size_t len = _IOC_SIZE(call->number);

	if (call->shape == IOCTL_SHAPE_VALUE || fd < 0)
		return;
	if (result >= 0 && call->shape == IOCTL_SHAPE_FIXED && len && (argument->is_nowhere ||
	    (argument->room && argument->room < len)))
		ioctl_violate(r, "%s succeeds without an argument", call->name);
	if (result == -EFAULT && len && call->shape == IOCTL_SHAPE_FIXED && !call->has_pointers && argument->room >= len)
		ioctl_violate(r, "%s does not find its argument", call->name);
	check_written(r, call, argument, result);
}

/* --- what is known of VMs and vCPUs --- */

static struct ioctl_known_slot *slot_find(struct ioctl_vm *vm, uint32_t id)
{
	unsigned int i;

	for (i = 0; i < vm->nr_slots; i++)
		if (vm->slots[i].id == id)
			return &vm->slots[i];
	return NULL;
}

static void slot_learn(struct ioctl_runner *r, struct ioctl_vm *vm, const struct kvm_userspace_memory_region *region)
{
	struct ioctl_known_slot *slot = slot_find(vm, region->slot);

	if (!region->memory_size) {
		if (slot)
			*slot = vm->slots[--vm->nr_slots];
		return;
	}
	if (!slot && vm->nr_slots == IOCTL_MAX_KNOWN_SLOTS)
		vm->has_unknown_slots = true;
	else if (!slot)
		slot = &vm->slots[vm->nr_slots++];
	if (slot)
		*slot = (struct ioctl_known_slot){ region->slot, region->flags, region->guest_phys_addr, region->memory_size,
			region->userspace_addr };
	ioctl_pool_lend(r, region->userspace_addr, region->memory_size);
	/* A slot may also show the argument to a guest. */
	if (region->userspace_addr < (uintptr_t)r->pool)
		vm->has_unknown_slots = true;
}

static void cap_learn(struct ioctl_vm *vm, const struct kvm_enable_cap *cap)
{
	switch (cap->cap) {
	case KVM_CAP_X86_USER_SPACE_MSR:
		vm->msr_exits = (uint32_t)cap->args[0];
		break;
	case KVM_CAP_EXIT_HYPERCALL:
		vm->hypercall_exits = cap->args[0];
		break;
	case KVM_CAP_SPLIT_IRQCHIP:
		vm->has_split_irqchip = true;
		break;
	default:
		break;
	}
}

/* @at: the argument as it was before the call, at any address. */
static void call_learn(struct ioctl_runner *r, struct ioctl_who who, const struct ioctl_call *call, const uint8_t *at)
{
	struct ioctl_vm *vm = &r->vms[who.index];
	union {
		struct kvm_userspace_memory_region region;
		struct kvm_enable_cap cap;
		struct kvm_guest_debug debug;
		struct kvm_tpr_access_ctl tpr;
	} argument;
	size_t len = _IOC_SIZE(call->number);

	memcpy(&argument, at, len < sizeof(argument) ? len : sizeof(argument));
	if (who.scope == IOCTL_SCOPE_VM && call->number == KVM_SET_USER_MEMORY_REGION)
		slot_learn(r, vm, &argument.region);
	else if (who.scope == IOCTL_SCOPE_VM && call->number == KVM_ENABLE_CAP)
		cap_learn(vm, &argument.cap);
	else if (who.scope == IOCTL_SCOPE_VM && call->number == KVM_CREATE_IRQCHIP)
		vm->has_irqchip = true;
	else if (who.scope == IOCTL_SCOPE_VCPU && call->number == KVM_SET_GUEST_DEBUG)
		r->vcpus[who.index].debug_control = argument.debug.control;
	else if (who.scope == IOCTL_SCOPE_VCPU && call->number == KVM_TPR_ACCESS_REPORTING)
		r->vcpus[who.index].reports_tpr = argument.tpr.enabled;
}

/* --- setters --- */

static size_t state_bytes(enum ioctl_state state)
{
	return state == IOCTL_STATE_NESTED ? NESTED_BYTES : _IOC_SIZE(ioctl_getter(state)->number);
}

/* False: it cannot be got. @set: the setter's argument, which may choose a part. */
static bool state_get(struct ioctl_runner *r, int fd, enum ioctl_state state, const void *set, uint8_t *buf)
{
	const struct ioctl_call *getter = ioctl_getter(state);

	memset(buf, 0, state_bytes(state));
	if (state == IOCTL_STATE_NESTED)
		((struct kvm_nested_state *)buf)->size = NESTED_BYTES;
	if (state == IOCTL_STATE_IRQCHIP)
		((struct kvm_irqchip *)buf)->chip_id = ((const struct kvm_irqchip *)set)->chip_id;
	return ioctl_ask(r, fd, getter->number, buf) >= 0;
}

/* What goes on by itself. */
static void state_hide_time(enum ioctl_state state, uint8_t *buf)
{
	struct kvm_pit_state2 *pit = (struct kvm_pit_state2 *)buf;
	unsigned int i;

	if (state == IOCTL_STATE_LAPIC)
		memset(buf + 0x390, 0, 4);
	for (i = 0; state == IOCTL_STATE_PIT2 && i < 3; i++)
		pit->channels[i].count_load_time = 0;
}

static void check_refused(struct ioctl_runner *r, const struct ioctl_call *call, enum ioctl_state state, long result)
{
	size_t len = state_bytes(state), i;

	state_hide_time(state, r->got[0]);
	state_hide_time(state, r->got[1]);
	if (!memcmp(r->got[0], r->got[1], len))
		return;
	for (i = 0; r->got[0][i] == r->got[1][i]; i++)
		;
	ioctl_violate(r, "%s ends with %s, and changes what %s gives at offset 0x%zx", call->name, ioctl_errno_name((int)-result),
		      ioctl_getter(state)->name, i);
}

#define DIFFERS(member_) (want->member_ != got->member_ ? #member_ : NULL)
#define FIRST(one_, other_) ((one_) ? (one_) : (other_))

static const char *regs_difference(const struct kvm_regs *want, const struct kvm_regs *got, bool is_stepped)
{
	struct kvm_regs all = *want;

	all.rflags |= X86_EFLAGS_FIXED;
	/* A debugger's TF is not the guest's. */
	if (is_stepped)
		all.rflags = got->rflags;
	return memcmp(&all, got, sizeof(all)) ? "a register" : NULL;
}

static const char *segment_difference(const struct kvm_segment *want, const struct kvm_segment *got)
{
	const char *base = DIFFERS(base), *selector = DIFFERS(selector);

	return FIRST(base, selector);
}

static const char *sregs_difference(const struct kvm_sregs *want, const struct kvm_sregs *got)
{
	const struct kvm_segment *segments[2] = { &want->cs, &got->cs };
	const char *control = FIRST(FIRST(DIFFERS(cr0), DIFFERS(cr2)), FIRST(DIFFERS(cr3), DIFFERS(cr4)));
	const char *rest = FIRST(FIRST(DIFFERS(efer), DIFFERS(apic_base)), FIRST(DIFFERS(gdt.base), DIFFERS(idt.base)));
	unsigned int i;

	for (i = 0; i < 8; i++)
		if (segment_difference(&segments[0][i], &segments[1][i]))
			return "a segment";
	return FIRST(control, rest);
}

static const char *fpu_difference(const struct kvm_fpu *want, const struct kvm_fpu *got)
{
	if (memcmp(want->fpr, got->fpr, sizeof(want->fpr)) || memcmp(want->xmm, got->xmm, sizeof(want->xmm)))
		return "a data register";
	return FIRST(FIRST(DIFFERS(fcw), DIFFERS(fsw)), FIRST(DIFFERS(ftwx), FIRST(DIFFERS(last_ip), DIFFERS(last_dp))));
}

static const char *debugregs_difference(const struct kvm_debugregs *want, const struct kvm_debugregs *got)
{
	const uint64_t dr6_bits = 0xe00f;

	if ((want->dr6 ^ got->dr6) & dr6_bits)
		return "dr6";
	if ((want->dr7 | 0x400) != (got->dr7 | 0x400))
		return "dr7";
	return memcmp(want->db, got->db, sizeof(want->db)) ? "db" : NULL;
}

static const char *events_difference(const struct kvm_vcpu_events *want, const struct kvm_vcpu_events *got)
{
	if (!want->nmi.injected != !got->nmi.injected || !want->nmi.masked != !got->nmi.masked)
		return "nmi";
	return !want->interrupt.soft && !want->interrupt.injected != !got->interrupt.injected ? "interrupt.injected" : NULL;
}

static const char *xcrs_difference(const struct kvm_xcrs *want, const struct kvm_xcrs *got)
{
	if (!want->nr_xcrs || want->xcrs[0].xcr)
		return NULL;
	return DIFFERS(xcrs[0].value);
}

/* What the getter gives is what was set, as far as the API says so; NULL: it is. */
static const char *state_difference(const struct ioctl_runner *r, unsigned int index, enum ioctl_state state, const void *want,
				    const void *got)
{
	switch (state) {
	case IOCTL_STATE_REGS:
		return regs_difference(want, got, r->vcpus[index].debug_control & KVM_GUESTDBG_SINGLESTEP);
	case IOCTL_STATE_SREGS:
		return sregs_difference(want, got);
	case IOCTL_STATE_FPU:
		return fpu_difference(want, got);
	case IOCTL_STATE_DEBUGREGS:
		return debugregs_difference(want, got);
	case IOCTL_STATE_EVENTS:
		return events_difference(want, got);
	case IOCTL_STATE_XCRS:
		return xcrs_difference(want, got);
	default:
		return NULL;
	}
}

static bool is_watched(enum ioctl_state state)
{
	return state && state != IOCTL_STATE_CLOCK && state != IOCTL_STATE_DEBUG;
}

/* What is set in part before it is refused, in KVM as well: the flag that it knows nothing of is looked at last. */
static bool is_refused_late(struct ioctl_runner *r, const struct ioctl_call *call, const struct argument *argument)
{
	struct kvm_vcpu_events events;

	if (call->sets != IOCTL_STATE_EVENTS || argument->room < sizeof(events))
		return false;
	memcpy(&events, argument_before(r, argument), sizeof(events));
	return events.flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT;
}

/* --- a call --- */

static long call_plain(struct ioctl_runner *r, struct ioctl_who who, const struct ioctl_call *call, uint64_t value)
{
	struct argument argument = argument_take(r);
	int fd = ioctl_fd_of(r, who);
	long result;

	if (call->shape == IOCTL_SHAPE_VALUE)
		argument.address = value;
	r->is_placed = false;
	result = ioctl_ask(r, fd, call->number, (const void *)argument.address);
	if (result < 0)
		check_error(r, call, fd, (int)-result);
	check_argument(r, call, &argument, fd, result);
	/* What it did, as the argument was. */
	if (result >= 0 && (argument.room >= _IOC_SIZE(call->number) || call->shape == IOCTL_SHAPE_VALUE))
		call_learn(r, who, call, argument_before(r, &argument));
	else if (result >= 0 && who.scope == IOCTL_SCOPE_VM)
		r->vms[who.index].has_unknown_slots = true;
	return result;
}

static long call_setter(struct ioctl_runner *r, struct ioctl_who who, const struct ioctl_call *call)
{
	struct argument argument = argument_take(r);
	bool is_elsewhere = r->is_placed;
	enum ioctl_state state = call->sets;
	int fd = ioctl_fd_of(r, who);
	bool is_got = state_get(r, fd, state, r->shadow, r->got[0]);
	long result = call_plain(r, who, call, 0);
	const char *difference;

	if (!is_got || !state_get(r, fd, state, r->shadow, r->got[1]))
		return result;
	if (result < 0 && !is_refused_late(r, call, &argument))
		check_refused(r, call, state, result);
	if (result < 0 || is_elsewhere)
		return result;
	difference = state_difference(r, who.index, state, r->shadow, r->got[1]);
	if (difference)
		ioctl_violate(r, "%s succeeds, and %s gives another %s", call->name, ioctl_getter(state)->name, difference);
	return result;
}

long ioctl_make(struct ioctl_runner *r, struct ioctl_who who, const struct ioctl_call *call, uint64_t value, uint64_t detail)
{
	long result;

	memcpy(r->shadow, r->arg, IOCTL_ARG_BYTES);
	if (is_watched(call->sets) && ioctl_fd_of(r, who) >= 0)
		result = call_setter(r, who, call);
	else
		result = call_plain(r, who, call, value);
	ioctl_step_add(r, call->name, result, detail);
	return result;
}

long ioctl_make_fd(struct ioctl_runner *r, int fd, const struct ioctl_call *call, uint64_t value)
{
	long result = ioctl_ask(r, fd, call->number, (const void *)(uintptr_t)value);

	if (result < 0)
		check_error(r, call, fd, (int)-result);
	ioctl_step_add(r, call->name, result < 0 ? result : 0, 0)->is_fd = result >= 0;
	return result;
}

bool ioctl_msr_get(struct ioctl_runner *r, int fd, uint32_t index, uint64_t *ret_value)
{
	struct { struct kvm_msrs head; struct kvm_msr_entry entry; } one = { .head = { .nmsrs = 1 }, .entry = { .index = index } };

	if (ioctl_ask(r, fd, KVM_GET_MSRS, &one) != 1)
		return false;
	*ret_value = one.entry.data;
	return true;
}
