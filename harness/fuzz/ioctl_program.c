/* SPDX-License-Identifier: MIT */
/* What each operation does. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fuzz/ioctl_world.h"

#define MAX_DEPTH 2		/* of runs that wait for exits of others */
#define MAX_RUN_EXITS 16

static const struct ioctl_call *call_find(enum ioctl_scope scope, unsigned long number)
{
	return ioctl_call_find(scope, number);
}

/* A call with @argument as the beginning of the shared one. */
static long make_with(struct ioctl_runner *r, struct ioctl_who who, unsigned long number, const void *argument, size_t len_bytes,
		      uint64_t detail)
{
	memcpy(r->arg, argument, len_bytes);
	return ioctl_make(r, who, call_find(who.scope, number), 0, detail);
}

static struct ioctl_who vm_who(uint64_t index)
{
	return (struct ioctl_who){ IOCTL_SCOPE_VM, (unsigned int)index };
}

static struct ioctl_who vcpu_who(uint64_t index)
{
	return (struct ioctl_who){ IOCTL_SCOPE_VCPU, (unsigned int)index };
}

/* --- descriptors --- */

static void do_vm(struct ioctl_runner *r, const uint64_t *args)
{
	long fd = ioctl_make_fd(r, r->sys_fd, &ioctl_call_create_vm, args[1]);

	if (fd >= 0)
		ioctl_vm_opened(r, (unsigned int)args[0], (int)fd);
}

static void do_vcpu(struct ioctl_runner *r, const uint64_t *args)
{
	long fd = ioctl_make_fd(r, r->vms[args[1]].fd, &ioctl_call_create_vcpu, args[2]);

	if (fd >= 0)
		ioctl_vcpu_opened(r, (unsigned int)args[0], (unsigned int)args[1], (int)fd);
}

static void do_device(struct ioctl_runner *r, const uint64_t *args)
{
	struct kvm_create_device device = { .type = (uint32_t)args[2], .flags = (uint32_t)args[3] };
	long result = make_with(r, vm_who(args[1]), KVM_CREATE_DEVICE, &device, sizeof(device), device.type);

	if (result || (device.flags & KVM_CREATE_DEVICE_TEST))
		return;
	ioctl_fd_close(r, &r->devices[args[0]]);
	memcpy(&device, r->arg, sizeof(device));
	r->devices[args[0]] = (int)device.fd;
}

static void event_close(struct ioctl_runner *r, uint64_t event)
{
	if (r->events[event] >= 0)
		close(r->events[event]);
	r->events[event] = -1;
}

static void do_event(struct ioctl_runner *r, const uint64_t *args)
{
	event_close(r, args[0]);
	r->events[args[0]] = eventfd((unsigned int)args[1], EFD_CLOEXEC | EFD_NONBLOCK);
}

static void do_event_write(struct ioctl_runner *r, const uint64_t *args)
{
	if (r->events[args[0]] >= 0)
		eventfd_write(r->events[args[0]], args[1]);
}

/* --- memory --- */

static void do_slot(struct ioctl_runner *r, const uint64_t *args)
{
	struct kvm_userspace_memory_region region = {
		.slot = (uint32_t)args[1], .flags = (uint32_t)args[2], .guest_phys_addr = args[3], .memory_size = args[4],
		.userspace_addr = (uintptr_t)r->pool + args[5],
	};

	make_with(r, vm_who(args[0]), KVM_SET_USER_MEMORY_REGION, &region, sizeof(region), region.flags);
}

static unsigned int bytes_of_text(const char *text, uint8_t *bytes)
{
	unsigned int nr = 0;

	for (; text[2 * nr]; nr++) {
		const char pair[3] = { text[2 * nr], text[2 * nr + 1], 0 };

		bytes[nr] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return nr;
}

static void do_guest_insn(struct ioctl_runner *r, const uint64_t *args)
{
	uint8_t bytes[INPUT_MAX_BYTES];

	ioctl_code_add(r, bytes, bytes_of_text(ioctl_guest_insns[args[0]], bytes));
}

/* MOV with an immediate: of 32 bits in real mode. */
static void do_guest_reg(struct ioctl_runner *r, const uint64_t *args)
{
	bool is_long = r->base == IOCTL_BASE_LONG;
	uint8_t bytes[10] = { is_long ? 0x48 : 0x66, (uint8_t)(0xb8 + args[0]) };

	memcpy(bytes + 2, &args[1], is_long ? 8 : 4);
	ioctl_code_add(r, bytes, is_long ? 10 : 6);
}

/* --- state by field --- */

static uint64_t number_read(const void *from, unsigned int len_bytes)
{
	uint64_t value = 0;

	memcpy(&value, from, len_bytes);
	return value;
}

static void number_change(void *at, unsigned int len_bytes, uint64_t value, bool is_xor)
{
	if (is_xor)
		value ^= number_read(at, len_bytes);
	memcpy(at, &value, len_bytes);
}

/* What cannot be got begins as zero. */
static void field_change(struct ioctl_runner *r, struct ioctl_who who, const struct ioctl_field *field, uint64_t value, bool is_xor)
{
	enum ioctl_state state = field->state;
	const struct ioctl_call *getter = ioctl_getter(state);
	struct kvm_nested_state *nested = (struct kvm_nested_state *)r->arg;

	memset(r->arg, 0, IOCTL_ARG_BYTES);
	if (state == IOCTL_STATE_NESTED)
		nested->size = sizeof(*nested) + KVM_STATE_NESTED_SVM_VMCB_SIZE;
	if (state == IOCTL_STATE_IRQCHIP)
		((struct kvm_irqchip *)r->arg)->chip_id = field->select;
	if (getter)
		ioctl_ask(r, ioctl_fd_of(r, who), getter->number, r->arg);
	/* A state without L2 is got without its VMCB. */
	if (state == IOCTL_STATE_NESTED && nested->size < sizeof(*nested) + KVM_STATE_NESTED_SVM_VMCB_SIZE &&
	    field->offset >= sizeof(*nested))
		nested->size = sizeof(*nested) + KVM_STATE_NESTED_SVM_VMCB_SIZE;
	number_change(r->arg + field->offset, field->len_bytes, value, is_xor);
	ioctl_make(r, who, ioctl_setter(state), 0, (uintptr_t)(field->offset + 1));
}

static void shared_set(struct ioctl_runner *r, const uint64_t *args)
{
	const struct ioctl_field *field = &ioctl_shared_fields[args[1]];
	struct ioctl_vcpu *vcpu = &r->vcpus[args[0]];

	if (vcpu->run && (size_t)field->offset + field->len_bytes <= r->run_bytes)
		memcpy((uint8_t *)vcpu->run + field->offset, &args[2], field->len_bytes);
}

/* MSRs that are what was written last, and no more: APM vol. 2, 6.1.1, 6.1.2 and 4.5.4. */
static bool is_plain_msr(uint32_t index)
{
	return index == 0xc0000081 || index == 0xc0000082 || index == 0xc0000083 || index == 0xc0000102;
}

/* And those that time moves, or that have time in them. */
static bool is_time_msr(uint32_t index)
{
	return index == 0x10 || index == 0x3b || index == 0x6e0 || index == 0x839 || (index & ~0xffu) == 0x4b564d00 ||
	       index == 0x11 || index == 0x12 || (index & ~0xffu) == 0x40000000;
}

static void do_msr(struct ioctl_runner *r, const uint64_t *args)
{
	struct { struct kvm_msrs head; struct kvm_msr_entry entry; } one = {
		.head = { .nmsrs = 1 }, .entry = { .index = (uint32_t)args[1], .data = args[2] },
	};
	int fd = r->vcpus[args[0]].fd;
	uint64_t before, after;
	bool was_there = ioctl_msr_get(r, fd, one.entry.index, &before);
	long result = make_with(r, vcpu_who(args[0]), KVM_SET_MSRS, &one, sizeof(one), one.entry.index);

	if (!was_there || !ioctl_msr_get(r, fd, one.entry.index, &after))
		return;
	if (!result && after != before && !is_time_msr(one.entry.index))
		ioctl_violate(r, "MSR 0x%x is not set, and is 0x%llx behind 0x%llx", one.entry.index, (unsigned long long)after,
			      (unsigned long long)before);
	if (result == 1 && is_plain_msr(one.entry.index) && after != args[2])
		ioctl_violate(r, "MSR 0x%x is set to 0x%llx, and is 0x%llx", one.entry.index, (unsigned long long)args[2],
			      (unsigned long long)after);
}

static void do_cpuid(struct ioctl_runner *r, const uint64_t *args)
{
	size_t len = sizeof(*r->supported) + r->supported->nent * sizeof(r->supported->entries[0]);
	struct kvm_cpuid2 *cpuid = (struct kvm_cpuid2 *)r->arg;
	unsigned int i;

	if (len > IOCTL_ARG_BYTES)
		return;
	memcpy(r->arg, r->supported, len);
	for (i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == args[1])
			(&cpuid->entries[i].eax)[args[2]] ^= (uint32_t)args[3];
	ioctl_make(r, vcpu_who(args[0]), call_find(IOCTL_SCOPE_VCPU, KVM_SET_CPUID2), 0, args[1] << 2 | args[2]);
}

/* --- the argument --- */

static void do_arg_xor(struct ioctl_runner *r, const struct input_op *op)
{
	unsigned int i;

	for (i = 0; i < op->nr_bytes; i++)
		r->arg[op->args[0] + i] ^= op->bytes[i];
}

static void do_arg_pointer(struct ioctl_runner *r, const uint64_t *args)
{
	uintptr_t pointer = ioctl_place_address(r, (enum ioctl_place)args[1], args[2]);

	memcpy(r->arg + args[0], &pointer, sizeof(pointer));
	r->is_pool_a_buffer |= args[1] == IOCTL_PLACE_POOL;
}

static void do_place(struct ioctl_runner *r, const uint64_t *args)
{
	r->place = (enum ioctl_place)args[0];
	r->place_delta = (unsigned int)args[1];
	r->is_placed = true;
}

/* A descriptor that nobody has asked for by name is closed again. */
static void do_call_fd(struct ioctl_runner *r, struct ioctl_who who, const struct ioctl_call *call)
{
	long fd = ioctl_make_fd(r, ioctl_fd_of(r, who), call, 0);
	int close_fd = (int)fd;

	if (fd >= 0)
		ioctl_fd_close(r, &close_fd);
}

static void do_call_device(struct ioctl_runner *r, struct ioctl_who who, const struct ioctl_call *call)
{
	const struct kvm_create_device *device = (const struct kvm_create_device *)r->arg;
	int fd;

	r->is_placed = false;
	if (!ioctl_make(r, who, call, 0, device->type) && !(device->flags & KVM_CREATE_DEVICE_TEST)) {
		fd = (int)device->fd;
		ioctl_fd_close(r, &fd);
	}
}

static void do_call(struct ioctl_runner *r, struct ioctl_who who, uint64_t index, uint64_t value)
{
	const struct ioctl_call *call = &ioctl_calls[who.scope][index];

	if (call->number == KVM_GET_STATS_FD)
		do_call_fd(r, who, call);
	else if (call->number == KVM_CREATE_DEVICE)
		do_call_device(r, who, call);
	else
		ioctl_make(r, who, call, value, 0);
}

/* --- calls with an argument of their own --- */

static void do_cap(struct ioctl_runner *r, struct ioctl_who who, const struct kvm_enable_cap *cap)
{
	make_with(r, who, KVM_ENABLE_CAP, cap, sizeof(*cap), (uint64_t)cap->cap << 8 | (cap->args[0] & 0xff));
}

static void do_msi(struct ioctl_runner *r, const uint64_t *args)
{
	struct kvm_msi msi = { .address_lo = (uint32_t)args[1], .address_hi = (uint32_t)(args[1] >> 32),
		.data = (uint32_t)args[2], .flags = (uint32_t)args[3] };

	make_with(r, vm_who(args[0]), KVM_SIGNAL_MSI, &msi, sizeof(msi), msi.data >> 8 & 7);
}

static struct kvm_irq_routing_entry route_of(const uint64_t *args)
{
	struct kvm_irq_routing_entry route = { .gsi = (uint32_t)args[1] };

	switch (args[2]) {
	case IOCTL_ROUTE_IRQCHIP:
		route.type = KVM_IRQ_ROUTING_IRQCHIP;
		route.u.irqchip.irqchip = (uint32_t)args[3];
		route.u.irqchip.pin = (uint32_t)args[4];
		break;
	case IOCTL_ROUTE_MSI:
		route.type = KVM_IRQ_ROUTING_MSI;
		route.u.msi.address_lo = (uint32_t)args[3];
		route.u.msi.data = (uint32_t)args[4];
		break;
	default:
		route.type = (uint32_t)args[3];
		route.flags = (uint32_t)args[4];
		break;
	}
	return route;
}

static void do_route(struct ioctl_runner *r, const uint64_t *args)
{
	struct ioctl_vm *vm = &r->vms[args[0]];
	struct { struct kvm_irq_routing head; struct kvm_irq_routing_entry entries[IOCTL_MAX_ROUTES]; } routing = { 0 };

	if (vm->nr_routes == IOCTL_MAX_ROUTES)
		vm->nr_routes = 0;
	vm->routes[vm->nr_routes] = route_of(args);
	routing.head.nr = vm->nr_routes + 1;
	memcpy(routing.entries, vm->routes, sizeof(routing.entries));
	if (!make_with(r, vm_who(args[0]), KVM_SET_GSI_ROUTING, &routing, sizeof(routing), args[2] + 1))
		vm->nr_routes++;
}

static void do_irqfd(struct ioctl_runner *r, const uint64_t *args)
{
	struct kvm_irqfd irqfd = { .fd = (uint32_t)r->events[args[1]], .gsi = (uint32_t)args[2], .flags = (uint32_t)args[3],
		.resamplefd = (uint32_t)r->events[0] };

	make_with(r, vm_who(args[0]), KVM_IRQFD, &irqfd, sizeof(irqfd), irqfd.flags);
}

static void do_ioeventfd(struct ioctl_runner *r, const uint64_t *args)
{
	struct kvm_ioeventfd ioeventfd = { .fd = r->events[args[1]], .addr = args[2], .len = (uint32_t)args[3],
		.flags = (uint32_t)args[4], .datamatch = args[5] };

	make_with(r, vm_who(args[0]), KVM_IOEVENTFD, &ioeventfd, sizeof(ioeventfd), ioeventfd.flags);
}

static void do_coalesce(struct ioctl_runner *r, const uint64_t *args)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = args[1], .size = (uint32_t)args[2], .pio = (uint32_t)args[3] };

	make_with(r, vm_who(args[0]), KVM_REGISTER_COALESCED_MMIO, &zone, sizeof(zone), zone.pio);
}

static void do_dirty_log(struct ioctl_runner *r, const uint64_t *args)
{
	struct kvm_dirty_log log = { .slot = (uint32_t)args[1], .dirty_bitmap = r->arg + IOCTL_ARG_BYTES / 2 };

	make_with(r, vm_who(args[0]), KVM_GET_DIRTY_LOG, &log, sizeof(log), 0);
}

static void do_clear_log(struct ioctl_runner *r, const uint64_t *args)
{
	struct kvm_clear_dirty_log log = { .slot = (uint32_t)args[1], .first_page = args[2], .num_pages = (uint32_t)args[3],
		.dirty_bitmap = r->arg + IOCTL_ARG_BYTES / 2 };

	make_with(r, vm_who(args[0]), KVM_CLEAR_DIRTY_LOG, &log, sizeof(log), 0);
}

static void do_msr_filter(struct ioctl_runner *r, const uint64_t *args)
{
	struct kvm_msr_filter filter = { .flags = (uint32_t)args[1], .ranges[0] = { .flags = (uint32_t)args[2],
		.base = (uint32_t)args[3], .nmsrs = (uint32_t)args[4], .bitmap = r->arg + IOCTL_ARG_BYTES / 2 } };

	make_with(r, vm_who(args[0]), KVM_X86_SET_MSR_FILTER, &filter, sizeof(filter), args[1] << 4 | args[2]);
}

static void do_interrupt(struct ioctl_runner *r, const uint64_t *args)
{
	struct kvm_interrupt interrupt = { .irq = (uint32_t)args[1] };

	make_with(r, vcpu_who(args[0]), KVM_INTERRUPT, &interrupt, sizeof(interrupt), 0);
}

static void do_irq_line(struct ioctl_runner *r, const uint64_t *args)
{
	struct kvm_irq_level level = { .irq = (uint32_t)args[1], .level = (uint32_t)args[2] };

	make_with(r, vm_who(args[0]), KVM_IRQ_LINE, &level, sizeof(level), 0);
}

/* --- runs, and what waits for their exits --- */

static void op_do(struct ioctl_runner *r, const struct input_op *op);

static void pending_do(struct ioctl_runner *r, const struct ioctl_pending *pending, unsigned int nr, unsigned int exit)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (pending[i].exit == exit)
			op_do(r, &r->input->ops[pending[i].op]);
}

static void do_run(struct ioctl_runner *r, const uint64_t *args)
{
	struct ioctl_pending pending[INPUT_MAX_OPS];
	unsigned int nr = r->nr_pending, exit = 0;
	long result;

	if (r->depth == MAX_DEPTH)
		return;
	memcpy(pending, r->pending, nr * sizeof(pending[0]));
	r->nr_pending = 0;
	r->depth++;
	pending_do(r, pending, nr, exit);
	do {
		result = ioctl_run_once(r, (unsigned int)args[0]);
		pending_do(r, pending, nr, ++exit);
	} while ((!result || result == -EAGAIN) && exit < args[1] && exit < MAX_RUN_EXITS &&
		 r->result->nr_steps < IOCTL_MAX_STEPS);
	r->depth--;
}

/* --- all --- */

static void arg_do(struct ioctl_runner *r, const struct input_op *op)
{
	switch (op->kind) {
	case IOCTL_OP_ARG:
		memcpy(r->arg + op->args[0], op->bytes, op->nr_bytes);
		break;
	case IOCTL_OP_ARG_NUMBER:
		memcpy(r->arg + op->args[0], &op->args[1], 8);
		break;
	case IOCTL_OP_ARG_XOR:
		do_arg_xor(r, op);
		break;
	case IOCTL_OP_ARG_CLEAR:
		memset(r->arg, 0, IOCTL_ARG_BYTES);
		break;
	case IOCTL_OP_ARG_POINTER:
		do_arg_pointer(r, op->args);
		break;
	case IOCTL_OP_ARG_FD:
		memcpy(r->arg + op->args[0], &r->events[op->args[1]], sizeof(int));
		break;
	default:
		do_place(r, op->args);
		break;
	}
}

static void state_do(struct ioctl_runner *r, const struct input_op *op)
{
	const uint64_t *args = op->args;
	bool is_xor = op->kind == IOCTL_OP_XOR || op->kind == IOCTL_OP_VM_XOR;

	if (op->kind == IOCTL_OP_SET || op->kind == IOCTL_OP_XOR)
		field_change(r, vcpu_who(args[0]), &ioctl_vcpu_fields[args[1]], args[2], is_xor);
	else
		field_change(r, vm_who(args[0]), &ioctl_vm_fields[args[1]], args[2], is_xor);
}

static void op_do(struct ioctl_runner *r, const struct input_op *op)
{
	const uint64_t *args = op->args;
	const struct ioctl_who system = { IOCTL_SCOPE_SYSTEM, 0 };

	switch ((enum ioctl_op)op->kind) {
	case IOCTL_OP_VM: do_vm(r, args); break;
	case IOCTL_OP_VCPU: do_vcpu(r, args); break;
	case IOCTL_OP_DEVICE: do_device(r, args); break;
	case IOCTL_OP_EVENT: do_event(r, args); break;
	case IOCTL_OP_CLOSE_VM: ioctl_vm_close(r, (unsigned int)args[0]); break;
	case IOCTL_OP_CLOSE_VCPU: ioctl_vcpu_close(r, (unsigned int)args[0]); break;
	case IOCTL_OP_CLOSE_DEVICE: ioctl_fd_close(r, &r->devices[args[0]]); break;
	case IOCTL_OP_CLOSE_EVENT: event_close(r, args[0]); break;
	case IOCTL_OP_EVENT_WRITE: do_event_write(r, args); break;
	case IOCTL_OP_SLOT: do_slot(r, args); break;
	case IOCTL_OP_POOL: ioctl_pool_protect(r, args[0], args[1], (unsigned int)args[2]); break;
	case IOCTL_OP_GUEST: ioctl_pool_write(r, args[0], op->bytes, op->nr_bytes); break;
	case IOCTL_OP_GUEST_INSN: do_guest_insn(r, args); break;
	case IOCTL_OP_GUEST_REG: do_guest_reg(r, args); break;
	case IOCTL_OP_SET:
	case IOCTL_OP_XOR:
	case IOCTL_OP_VM_SET:
	case IOCTL_OP_VM_XOR: state_do(r, op); break;
	case IOCTL_OP_SHARED: shared_set(r, args); break;
	case IOCTL_OP_MSR: do_msr(r, args); break;
	case IOCTL_OP_CPUID: do_cpuid(r, args); break;
	case IOCTL_OP_ARG:
	case IOCTL_OP_ARG_NUMBER:
	case IOCTL_OP_ARG_XOR:
	case IOCTL_OP_ARG_CLEAR:
	case IOCTL_OP_ARG_POINTER:
	case IOCTL_OP_ARG_FD:
	case IOCTL_OP_PLACE: arg_do(r, op); break;
	case IOCTL_OP_SYS_CALL: do_call(r, system, args[0], args[1]); break;
	case IOCTL_OP_VM_CALL: do_call(r, vm_who(args[0]), args[1], args[2]); break;
	case IOCTL_OP_VCPU_CALL: do_call(r, vcpu_who(args[0]), args[1], args[2]); break;
	case IOCTL_OP_DEVICE_CALL:
		do_call(r, (struct ioctl_who){ IOCTL_SCOPE_DEVICE, (unsigned int)args[0] }, args[1], 0);
		break;
	case IOCTL_OP_CAP:
		do_cap(r, vm_who(args[0]), &(struct kvm_enable_cap){ .cap = (uint32_t)args[1], .args = { args[2], args[3] } });
		break;
	case IOCTL_OP_VCPU_CAP:
		do_cap(r, vcpu_who(args[0]), &(struct kvm_enable_cap){ .cap = (uint32_t)args[1], .args = { args[2] } });
		break;
	case IOCTL_OP_IRQ_LINE: do_irq_line(r, args); break;
	case IOCTL_OP_MSI: do_msi(r, args); break;
	case IOCTL_OP_ROUTE: do_route(r, args); break;
	case IOCTL_OP_IRQFD: do_irqfd(r, args); break;
	case IOCTL_OP_IOEVENTFD: do_ioeventfd(r, args); break;
	case IOCTL_OP_COALESCE: do_coalesce(r, args); break;
	case IOCTL_OP_DIRTY_LOG: do_dirty_log(r, args); break;
	case IOCTL_OP_CLEAR_LOG: do_clear_log(r, args); break;
	case IOCTL_OP_MSR_FILTER: do_msr_filter(r, args); break;
	case IOCTL_OP_INTERRUPT: do_interrupt(r, args); break;
	case IOCTL_OP_RUN: do_run(r, args); break;
	/* "base" is looked at before all, "at" by who goes over the input. */
	case IOCTL_OP_BASE:
	case IOCTL_OP_AT:
	case NR_IOCTL_OPS: break;
	}
}

void ioctl_program_run(struct ioctl_runner *r)
{
	const struct input *input = r->input;
	unsigned int i;

	for (i = 0; i < input->nr_ops; i++) {
		if (input->ops[i].kind != IOCTL_OP_AT)
			op_do(r, &input->ops[i]);
		else if (i + 1 < input->nr_ops) {
			r->pending[r->nr_pending++] = (struct ioctl_pending){ (unsigned int)input->ops[i].args[0], i + 1 };
			i++;
		}
	}
}
