/* SPDX-License-Identifier: MIT */
#include "soft/chips.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "soft/private.h"

#define RING_OFFSET 0x2000
#define MAX_WAIT_NS 1000000
#define MSR_X2APIC_FIRST 0x800
#define MSR_X2APIC_LAST 0x8ff
#define MSR_TSC_DEADLINE 0x6e0
#define X2APIC_API_FLAGS (KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK)

/* --- what the controllers ask --- */

static uint64_t on_now(void *opaque)
{
	(void)opaque;
	return clock_ns();
}

static struct lapic_clock on_clock(void *opaque, uint32_t id)
{
	struct soft_vcpu *vcpu = vcpu_of_id(opaque, id);
	uint64_t now_ns = clock_ns();

	return (struct lapic_clock) {
		.now_ns = now_ns, .tsc = vcpu ? tsc_guest(vcpu) : now_ns, .tsc_khz = vcpu ? vcpu->tsc.khz : NSEC_KHZ,
	};
}

/* Who never waited has no descriptor to be woken by. */
static void wake_write(struct soft_vcpu *vcpu)
{
	if (vcpu->chips.wake_fd >= 0)
		eventfd_write(vcpu->chips.wake_fd, 1);
}

void chips_wake(struct soft_vcpu *vcpu)
{
	if (vcpu->mp_state != KVM_MP_STATE_RUNNABLE)
		wake_write(vcpu);
}

static void on_kick(void *opaque, uint32_t id)
{
	struct soft_vm *vm = opaque;
	unsigned int i;

	for (i = 0; i < vm->nr_vcpus; i++)
		if (id == IRQCHIP_ALL_LAPICS || vm->vcpus[i]->id == id)
			chips_wake(vm->vcpus[i]);
}

static void on_event(void *opaque, uint32_t id, enum apic_delivery kind, uint8_t vector)
{
	struct soft_vcpu *vcpu = vcpu_of_id(opaque, id);

	if (!vcpu)
		return;
	switch (kind) {
	case APIC_NMI:
		vcpu_nmi_queue(vcpu);
		break;
	case APIC_INIT:
		vcpu->chips.has_init = true;
		vcpu->chips.has_sipi = false;
		break;
	case APIC_SIPI:
		vcpu->chips.has_sipi = true;
		vcpu->chips.sipi_vector = vector;
		break;
	case APIC_SMI:
		vcpu->smm.is_pending = true;
		break;
	default:
		return;
	}
	chips_wake(vcpu);
}

static void on_acked(void *opaque, uint32_t gsi)
{
	struct soft_vm *vm = opaque;

	irqfds_acked(&vm->chips.irqfds, &vm->chips.chip, gsi);
}

static void on_eoi_exit(void *opaque, uint32_t id, uint8_t vector)
{
	struct soft_vcpu *vcpu = vcpu_of_id(opaque, id);

	if (vcpu)
		vcpu->chips.eoi_exit = vector;
}

static int on_hv_sint(void *opaque, uint32_t vp_index, uint32_t sint)
{
	struct soft_vcpu *vcpu = hyperv_vp(opaque, vp_index);

	return vcpu ? hyperv_sint_raise(vcpu, sint) : -EINVAL;
}

static int on_xen_event(void *opaque, const struct kvm_irq_routing_xen_evtchn *event)
{
	return xen_event_raise(opaque, event);
}

static void on_tpr_access(void *opaque, uint32_t id, bool is_write)
{
	struct soft_vcpu *vcpu = vcpu_of_id(opaque, id);

	if (!vcpu || !vcpu->chips.reports_tpr)
		return;
	vcpu->chips.has_tpr_access = true;
	vcpu->chips.is_tpr_write = is_write;
	vcpu->chips.tpr_rip = vcpu->emulated_rip;
}

static struct irqchip_owner owner_of(struct soft_vm *vm)
{
	return (struct irqchip_owner) {
		.opaque = vm, .now_ns = on_now, .clock = on_clock, .kick = on_kick, .event = on_event,
		.acked = on_acked, .eoi_exit = on_eoi_exit, .tpr_access = on_tpr_access, .hv_sint = on_hv_sint,
		.xen_event = on_xen_event,
	};
}

/* --- life --- */

void chips_init(struct soft_vm *vm)
{
	irqfds_init(&vm->chips.irqfds);
}

void chips_free(struct soft_vm *vm)
{
	struct soft_chips *chips = &vm->chips;

	irqfds_clear(&chips->irqfds);
	ioeventfds_clear(&chips->ioeventfds, &chips->ports, &chips->memory);
	coalesced_clear(&chips->coalesced, &chips->ports, &chips->memory);
	irqchip_destroy(&chips->chip);
	io_bus_clear(&chips->ports);
	io_bus_clear(&chips->memory);
}

static bool is_bsp(const struct soft_vcpu *vcpu)
{
	return vcpu->id == vcpu->vm->boot_cpu_id;
}

int chips_vcpu_init(struct soft_vcpu *vcpu)
{
	struct soft_chips *chips = &vcpu->vm->chips;
	int r;

	vcpu->chips = (struct soft_vcpu_chips) { .wake_fd = -1, .extint = -1, .eoi_exit = -1 };
	if (chips->chip.kind != IRQCHIP_NONE) {
		r = irqchip_add_lapic(&chips->chip, &vcpu->chips.lapic, vcpu->id, is_bsp(vcpu));
		if (r)
			return r;
		vcpu->chips.has_lapic = true;
	}
	if (!chips->coalesced.ring)
		chips->coalesced.ring = (void *)((uint8_t *)vcpu->run + RING_OFFSET);
	return 0;
}

void chips_vcpu_free(struct soft_vcpu *vcpu)
{
	if (vcpu->chips.has_lapic)
		irqchip_remove_lapic(&vcpu->vm->chips.chip, &vcpu->chips.lapic);
	if (vcpu->chips.wake_fd >= 0)
		close(vcpu->chips.wake_fd);
}

/* What may have changed since the last access. */
static void lapic_update(struct soft_vcpu *vcpu)
{
	uint64_t disabled = vcpu->vm->disabled_quirks;

	vcpu->chips.lapic.has_tsc_deadline = vcpu_has(vcpu, 1, 2, 24);
	vcpu->chips.lapic.has_no_lint0_quirk = disabled & KVM_X86_QUIRK_LINT0_REENABLED;
	vcpu->chips.lapic.has_no_mmio_hole = disabled & KVM_X86_QUIRK_LAPIC_MMIO_HOLE;
}

void chips_vcpu_reset(struct soft_vcpu *vcpu, bool is_init)
{
	if (!vcpu->chips.has_lapic)
		return;
	lapic_update(vcpu);
	lapic_reset(&vcpu->chips.lapic, is_bsp(vcpu), is_init);
	vcpu->apic_base = vcpu->chips.lapic.base;
	vcpu->cr8 = lapic_cr8_get(&vcpu->chips.lapic);
	if (!is_init && !is_bsp(vcpu))
		vcpu->mp_state = KVM_MP_STATE_UNINITIALIZED;
}

/* --- accesses --- */

bool chips_read(struct soft_vcpu *vcpu, bool is_port, uint64_t address, unsigned int size, uint64_t *ret_value)
{
	struct soft_chips *chips = &vcpu->vm->chips;

	*ret_value = 0;
	if (is_port)
		return !io_bus_read(&chips->ports, address, size, ret_value);
	if (vcpu->chips.has_lapic) {
		lapic_update(vcpu);
		if (!lapic_mmio_read(&vcpu->chips.lapic, address, size, ret_value))
			return true;
	}
	return !io_bus_read(&chips->memory, address, size, ret_value);
}

bool chips_write(struct soft_vcpu *vcpu, bool is_port, uint64_t address, unsigned int size, uint64_t value)
{
	struct soft_chips *chips = &vcpu->vm->chips;

	if (is_port)
		return !io_bus_write(&chips->ports, address, size, &value);
	if (vcpu->chips.has_lapic) {
		lapic_update(vcpu);
		if (!lapic_mmio_write(&vcpu->chips.lapic, address, size, &value)) {
			vcpu->cr8 = lapic_cr8_get(&vcpu->chips.lapic);
			return true;
		}
	}
	return !io_bus_write(&chips->memory, address, size, &value);
}

int chips_apic_base_set(struct soft_vcpu *vcpu, uint64_t value, bool is_host)
{
	struct lapic *lapic = &vcpu->chips.lapic;
	int r;

	lapic->has_x2apic = is_host || vcpu_has(vcpu, 1, 2, 21);
	r = lapic_base_set(lapic, value, SOFT_GUEST_BITS, is_host);
	vcpu->apic_base = lapic->base;
	return r;
}

static bool is_x2apic_msr(uint32_t index)
{
	return index >= MSR_X2APIC_FIRST && index <= MSR_X2APIC_LAST;
}

int chips_msr_get(struct soft_vcpu *vcpu, uint32_t index, uint64_t *ret_value)
{
	if (index == MSR_TSC_DEADLINE && vcpu->chips.has_lapic) {
		*ret_value = lapic_tsc_deadline_get(&vcpu->chips.lapic);
		return 1;
	}
	if (!is_x2apic_msr(index))
		return 0;
	return vcpu->chips.has_lapic && !lapic_msr_read(&vcpu->chips.lapic, index, ret_value) ? 1 : -EINVAL;
}

int chips_msr_set(struct soft_vcpu *vcpu, uint32_t index, uint64_t value)
{
	if (index == MSR_TSC_DEADLINE && vcpu->chips.has_lapic) {
		lapic_tsc_deadline_set(&vcpu->chips.lapic, value);
		return 1;
	}
	if (!is_x2apic_msr(index))
		return 0;
	lapic_update(vcpu);
	if (!vcpu->chips.has_lapic || lapic_msr_write(&vcpu->chips.lapic, index, value))
		return -EINVAL;
	vcpu->cr8 = lapic_cr8_get(&vcpu->chips.lapic);
	return 1;
}

/* --- the run loop's --- */

void chips_poll(struct soft_vm *vm)
{
	if (vm->chips.chip.kind == IRQCHIP_NONE)
		return;
	irqfds_poll(&vm->chips.irqfds, &vm->chips.chip);
	irqchip_advance(&vm->chips.chip);
}

bool chips_has_interrupt(struct soft_vcpu *vcpu)
{
	if (!vcpu->chips.has_lapic)
		return false;
	if (xen_interrupt(vcpu) >= 0)
		return true;
	if (vcpu->chips.extint >= 0 && lapic_accepts_extint(&vcpu->chips.lapic))
		return true;
	return irqchip_has_interrupt(&vcpu->vm->chips.chip, &vcpu->chips.lapic);
}

int chips_take_interrupt(struct soft_vcpu *vcpu)
{
	int vector = vcpu->chips.extint;

	if (xen_interrupt(vcpu) >= 0)
		return xen_interrupt(vcpu);
	if (vector < 0 || !lapic_accepts_extint(&vcpu->chips.lapic)) {
		vector = irqchip_take(&vcpu->vm->chips.chip, &vcpu->chips.lapic);
		if (vector >= 0 && hyperv_ends_by_itself(vcpu, (uint8_t)vector))
			lapic_eoi(&vcpu->chips.lapic);
		return vector;
	}
	vcpu->chips.extint = -1;
	return vector;
}

bool chips_wants_cr8(const struct soft_vcpu *vcpu)
{
	int request = vcpu->chips.has_lapic ? lapic_highest_request(&vcpu->chips.lapic) : -1;

	return request >= 0 && lapic_cr8_get(&vcpu->chips.lapic) >= request >> 4;
}

/* The vCPU's own INIT and SIPI: SDM vol. 3A, 8.4; APM vol. 2, 16.5. */
void chips_startup_accept(struct soft_vcpu *vcpu)
{
	if (!vcpu->chips.has_lapic)
		return;
	if (vcpu->chips.has_init && !vcpu->smm.is_in && !nested_holds_init(vcpu)) {
		vcpu->chips.has_init = false;
		vcpu_init_received(vcpu);
		vcpu->mp_state = is_bsp(vcpu) ? KVM_MP_STATE_RUNNABLE : KVM_MP_STATE_INIT_RECEIVED;
	}
	if (vcpu->chips.has_sipi && vcpu->mp_state == KVM_MP_STATE_INIT_RECEIVED) {
		vcpu_start(vcpu, vcpu->chips.sipi_vector);
		vcpu->mp_state = KVM_MP_STATE_RUNNABLE;
	}
	vcpu->chips.has_sipi = false;
}

bool chips_has_startup(const struct soft_vcpu *vcpu)
{
	return vcpu->chips.has_init || vcpu->chips.has_sipi;
}

/* What user space must hear before the guest goes on. */
static bool exit_report(struct soft_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	if (vcpu->chips.eoi_exit >= 0) {
		run->exit_reason = KVM_EXIT_IOAPIC_EOI;
		run->eoi.vector = (uint8_t)vcpu->chips.eoi_exit;
		vcpu->chips.eoi_exit = -1;
		return true;
	}
	if (!vcpu->chips.has_tpr_access)
		return false;
	run->exit_reason = KVM_EXIT_TPR_ACCESS;
	run->tpr_access.rip = vcpu->chips.tpr_rip;
	run->tpr_access.is_write = vcpu->chips.is_tpr_write;
	vcpu->chips.has_tpr_access = false;
	return true;
}

int chips_enter(struct soft_vcpu *vcpu)
{
	if (!vcpu->chips.has_lapic)
		return 1;
	chips_startup_accept(vcpu);
	if (exit_report(vcpu))
		return 0;
	if (vcpu->mp_state == KVM_MP_STATE_HALTED && vcpu_has_wake_event(vcpu)) {
		vcpu->mp_state = KVM_MP_STATE_RUNNABLE;
		vcpu->paravirt.is_kicked = false;
	}
	return vcpu->mp_state == KVM_MP_STATE_RUNNABLE ? 1 : -EAGAIN;
}

static uint64_t wait_ns(struct soft_vcpu *vcpu)
{
	uint64_t at, wait, now = clock_ns();

	if (!vcpu->chips.has_lapic)
		return MAX_WAIT_NS;
	at = irqchip_deadline_ns(&vcpu->vm->chips.chip, &vcpu->chips.lapic);
	if (at <= now)
		return 0;
	wait = hyperv_timers_wait_ns(vcpu);
	if (xen_timer_wait_ns(vcpu) < wait)
		wait = xen_timer_wait_ns(vcpu);
	if (at - now < wait)
		wait = at - now;
	return wait < MAX_WAIT_NS ? wait : MAX_WAIT_NS;
}

/* -1, which poll() leaves out, where there is no descriptor left: the wait is a short one. */
static int wake_fd(struct soft_vcpu *vcpu)
{
	if (vcpu->chips.wake_fd < 0)
		vcpu->chips.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return vcpu->chips.wake_fd;
}

/* With soft_bound() time goes on to what is waited for, as far as anything is. */
static void wait_bounded(struct soft_vcpu *vcpu)
{
	vcpu->vm->soft->own_ns += wait_ns(vcpu);
	chips_poll(vcpu->vm);
}

/* Until something may have come. */
static void wait_asleep(struct soft_vcpu *vcpu)
{
	struct soft_vm *vm = vcpu->vm;
	struct pollfd fds[] = {
		{ .fd = wake_fd(vcpu), .events = POLLIN },
		{ .fd = irqfds_wait_fd(&vm->chips.irqfds), .events = POLLIN },
	};
	struct timespec timeout = { .tv_nsec = (long)wait_ns(vcpu) };
	eventfd_t count;

	vm_unlock(vm);
	ppoll(fds, 2, &timeout, NULL);
	vm_lock(vm);
	if (vcpu->chips.wake_fd >= 0)
		eventfd_read(vcpu->chips.wake_fd, &count);
	chips_poll(vm);
}

void chips_wait(struct soft_vcpu *vcpu)
{
	if (vcpu->vm->soft->max_turns)
		wait_bounded(vcpu);
	else
		wait_asleep(vcpu);
}

/* --- requests of the VM --- */

static void chips_lock(struct call *call)
{
	vm_lock(call->vm);
	chips_poll(call->vm);
}

/* All requests below run with the VM's lock, and with time up to date. */
static long locked(struct call *call, long (*give)(struct call *call))
{
	long r;

	chips_lock(call);
	r = give(call);
	vm_unlock(call->vm);
	return r;
}

#define ANSWER(name_)									\
	static long give_##name_(struct call *call);					\
	static long answer_##name_(struct call *call)					\
	{										\
		return locked(call, give_##name_);					\
	}										\
	static long give_##name_(struct call *call)

static struct irqchip *chip_of(struct call *call)
{
	return &call->vm->chips.chip;
}

ANSWER(create_irqchip)
{
	struct soft_chips *chips = &call->vm->chips;
	struct irqchip_owner owner = owner_of(call->vm);

	return irqchip_create(&chips->chip, &owner, &chips->ports, &chips->memory, call->vm->nr_vcpus);
}

ANSWER(get_irqchip)
{
	return irqchip_get(chip_of(call), call->data);
}

ANSWER(set_irqchip)
{
	/* The request's number says "read" only. */
	struct kvm_irqchip state;

	if (user_read(&state, call->argument, sizeof(state)))
		return -EFAULT;
	return irqchip_set(chip_of(call), &state);
}

ANSWER(create_pit)
{
	return irqchip_create_pit(chip_of(call), &call->vm->chips.ports, KVM_PIT_SPEAKER_DUMMY);
}

ANSWER(create_pit2)
{
	const struct kvm_pit_config *config = call->data;

	return irqchip_create_pit(chip_of(call), &call->vm->chips.ports, config->flags);
}

ANSWER(get_pit)
{
	return irqchip_get_pit(chip_of(call), call->data);
}

ANSWER(set_pit)
{
	struct kvm_pit_state state;

	if (user_read(&state, call->argument, sizeof(state)))
		return -EFAULT;
	return irqchip_set_pit(chip_of(call), &state);
}

ANSWER(get_pit2)
{
	return irqchip_get_pit2(chip_of(call), call->data);
}

ANSWER(set_pit2)
{
	return irqchip_set_pit2(chip_of(call), call->data);
}

ANSWER(reinject_control)
{
	struct kvm_reinject_control control;

	if (user_read(&control, call->argument, sizeof(control)))
		return -EFAULT;
	return irqchip_reinject_control(chip_of(call), &control);
}

ANSWER(irq_line)
{
	return irqchip_line(chip_of(call), call->data, false);
}

ANSWER(irq_line_status)
{
	return irqchip_line(chip_of(call), call->data, true);
}

ANSWER(signal_msi)
{
	return irqchip_signal_msi(chip_of(call), call->data);
}

ANSWER(irqfd)
{
	return irqfds_set(&call->vm->chips.irqfds, chip_of(call), call->data);
}

ANSWER(ioeventfd)
{
	struct soft_chips *chips = &call->vm->chips;

	return ioeventfds_set(&chips->ioeventfds, &chips->ports, &chips->memory, call->data);
}

ANSWER(register_coalesced)
{
	struct soft_chips *chips = &call->vm->chips;

	return coalesced_register(&chips->coalesced, &chips->ports, &chips->memory, call->data);
}

ANSWER(unregister_coalesced)
{
	struct soft_chips *chips = &call->vm->chips;

	return coalesced_unregister(&chips->coalesced, &chips->ports, &chips->memory, call->data);
}

static long routing_set(struct call *call, const struct kvm_irq_routing *head)
{
	struct kvm_irq_routing_entry *entries;
	size_t len = head->nr * sizeof(*entries);
	long r;

	entries = malloc(len ? len : 1);
	if (!entries)
		return -ENOMEM;
	r = user_read(entries, call->argument + sizeof(*head), len);
	if (!r)
		r = irqchip_set_routing(chip_of(call), head->nr, head->flags, entries);
	free(entries);
	return r;
}

ANSWER(set_gsi_routing)
{
	struct kvm_irq_routing head;

	if (user_read(&head, call->argument, sizeof(head)))
		return -EFAULT;
	if (chip_of(call)->kind == IRQCHIP_NONE || head.nr > IRQCHIP_MAX_ROUTES || head.flags)
		return -EINVAL;
	return routing_set(call, &head);
}

const struct answer chip_answers[] = {
	{ KVM_CREATE_IRQCHIP, answer_create_irqchip, true },
	{ KVM_GET_IRQCHIP, answer_get_irqchip, false },
	{ KVM_SET_IRQCHIP, answer_set_irqchip, true },
	{ KVM_CREATE_PIT, answer_create_pit, true },
	{ KVM_CREATE_PIT2, answer_create_pit2, false },
	{ KVM_GET_PIT, answer_get_pit, false },
	{ KVM_SET_PIT, answer_set_pit, true },
	{ KVM_GET_PIT2, answer_get_pit2, false },
	{ KVM_SET_PIT2, answer_set_pit2, false },
	{ KVM_REINJECT_CONTROL, answer_reinject_control, true },
	{ KVM_IRQ_LINE, answer_irq_line, false },
	{ KVM_IRQ_LINE_STATUS, answer_irq_line_status, false },
	{ KVM_SIGNAL_MSI, answer_signal_msi, false },
	{ KVM_SET_GSI_ROUTING, answer_set_gsi_routing, true },
	{ KVM_IRQFD, answer_irqfd, false },
	{ KVM_IOEVENTFD, answer_ioeventfd, false },
	{ KVM_REGISTER_COALESCED_MMIO, answer_register_coalesced, false },
	{ KVM_UNREGISTER_COALESCED_MMIO, answer_unregister_coalesced, false },
	{ 0, NULL, false },
};

int chips_enable_cap(struct soft_vm *vm, const struct kvm_enable_cap *cap)
{
	struct irqchip_owner owner = owner_of(vm);
	uint64_t value = cap->args[0];

	switch (cap->cap) {
	case KVM_CAP_SPLIT_IRQCHIP:
		return irqchip_create_split(&vm->chips.chip, &owner, value, vm->nr_vcpus);
	case KVM_CAP_X2APIC_API:
		if (value & ~(uint64_t)X2APIC_API_FLAGS)
			return -EINVAL;
		irqchip_x2apic_api(&vm->chips.chip, value & KVM_X2APIC_API_USE_32BIT_IDS,
			value & KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK);
		return 0;
	default:
		return -EINVAL;
	}
}

/* --- requests of a vCPU --- */

bool chips_accept_user_interrupt(const struct soft_vcpu *vcpu)
{
	if (!vcpu->chips.has_lapic)
		return true;
	return vcpu->chips.extint < 0 && lapic_accepts_extint(&vcpu->chips.lapic);
}

int chips_interrupt(struct soft_vcpu *vcpu, uint32_t vector)
{
	if (vcpu->vm->chips.chip.kind == IRQCHIP_NONE)
		return 1;
	if (vcpu->vm->chips.chip.kind == IRQCHIP_KERNEL)
		return -ENXIO;
	if (vcpu->chips.extint >= 0)
		return -EEXIST;
	vcpu->chips.extint = (int)vector;
	chips_wake(vcpu);
	return 0;
}

ANSWER(get_lapic)
{
	if (!call->vcpu->chips.has_lapic)
		return -EINVAL;
	lapic_state_get(&call->vcpu->chips.lapic, call->data);
	return 0;
}

ANSWER(set_lapic)
{
	struct soft_vcpu *vcpu = call->vcpu;
	int r;

	if (!vcpu->chips.has_lapic)
		return -EINVAL;
	r = lapic_state_set(&vcpu->chips.lapic, call->data);
	vcpu->cr8 = lapic_cr8_get(&vcpu->chips.lapic);
	irqchip_lapic_restored(chip_of(call), &vcpu->chips.lapic);
	return r;
}

ANSWER(tpr_reporting)
{
	struct kvm_tpr_access_ctl *control = call->data;

	if (control->flags)
		return -EINVAL;
	call->vcpu->chips.reports_tpr = control->enabled;
	return 0;
}

const struct answer chip_vcpu_answers[] = {
	{ KVM_GET_LAPIC, answer_get_lapic, false },
	{ KVM_SET_LAPIC, answer_set_lapic, false },
	{ KVM_TPR_ACCESS_REPORTING, answer_tpr_reporting, false },
	{ 0, NULL, false },
};
