/* SPDX-License-Identifier: MIT */
/*
 * The in-kernel interrupt controllers and the timer: created once and before the vCPUs, their state in and out whole,
 * and none of their calls answered when they are not there.
 *
 * Can break: the order that creation insists on, a chip number, one 8259 taken for the other, a field of a state.
 * Source: KVM API, 4.24 (KVM_CREATE_IRQCHIP), 4.25 (KVM_IRQ_LINE), 4.26, 4.27 (KVM_GET_IRQCHIP, KVM_SET_IRQCHIP), 4.57,
 * 4.58 (KVM_GET_LAPIC, KVM_SET_LAPIC), 4.71 (KVM_CREATE_PIT2), 4.72, 4.73 (KVM_GET_PIT2, KVM_SET_PIT2).
 */
#include "case.h"

#include <string.h>

#include "cases/ioctl/vcpu_state.h"

static void irqchip_create(struct test *t)
{
	expect_result(t, 0, vm_ioctl_value_try(t->vm, KVM_CREATE_IRQCHIP, 0));
}

static long irq_line_try(struct test *t, uint32_t irq, uint32_t level)
{
	struct kvm_irq_level line = { .irq = irq, .level = level };

	return vm_ioctl_try(t->vm, KVM_IRQ_LINE, &line);
}

static void host_create_twice(struct test *t)
{
	irqchip_create(t);
	expect_errno(t, EEXIST, vm_ioctl_value_try(t->vm, KVM_CREATE_IRQCHIP, 0));
	vcpu_create(t->vm, 0);
	expect_errno(t, EEXIST, vm_ioctl_value_try(t->vm, KVM_CREATE_IRQCHIP, 0));
}

static void host_create_after_vcpu(struct test *t)
{
	struct kvm_lapic_state lapic;
	struct vcpu *vcpu = vcpu_create(t->vm, 0);

	expect_errno(t, EINVAL, vm_ioctl_value_try(t->vm, KVM_CREATE_IRQCHIP, 0));
	expect_errno(t, ENXIO, irq_line_try(t, 0, 0));
	expect_errno(t, EINVAL, vcpu_ioctl_try(vcpu, KVM_GET_LAPIC, &lapic));
}

static void host_split(struct test *t)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args[0] = 24 };
	struct kvm_irqchip chip = { .chip_id = 0 };
	struct kvm_interrupt interrupt = { .irq = 0x30 };
	struct kvm_lapic_state lapic;
	struct vcpu *vcpu;

	cap.args[0] = ~0u;
	expect_errno(t, EINVAL, vm_ioctl_try(t->vm, KVM_ENABLE_CAP, &cap));
	cap.args[0] = 24;
	expect_result(t, 0, vm_ioctl_try(t->vm, KVM_ENABLE_CAP, &cap));
	expect_errno(t, EEXIST, vm_ioctl_try(t->vm, KVM_ENABLE_CAP, &cap));
	expect_errno(t, EEXIST, vm_ioctl_value_try(t->vm, KVM_CREATE_IRQCHIP, 0));
	expect_errno(t, ENXIO, vm_ioctl_try(t->vm, KVM_GET_IRQCHIP, &chip));
	vcpu = vcpu_create(t->vm, 0);
	expect_result(t, 0, vcpu_ioctl_try(vcpu, KVM_GET_LAPIC, &lapic));
	/* The 8259 is user space's: KVM_INTERRUPT is its ExtINT, one at a time. */
	expect_result(t, 0, vcpu_ioctl_try(vcpu, KVM_INTERRUPT, &interrupt));
	expect_errno(t, EEXIST, vcpu_ioctl_try(vcpu, KVM_INTERRUPT, &interrupt));
	interrupt.irq = 256;
	expect_errno(t, EINVAL, vcpu_ioctl_try(vcpu, KVM_INTERRUPT, &interrupt));
}

static void host_split_after_vcpu(struct test *t)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args[0] = 24 };

	vcpu_create(t->vm, 0);
	expect_errno(t, EEXIST, vm_ioctl_try(t->vm, KVM_ENABLE_CAP, &cap));
}

static void host_interrupt(struct test *t)
{
	struct kvm_interrupt interrupt = { .irq = 0x30 };
	struct vcpu_state before;
	struct vcpu *vcpu;

	irqchip_create(t);
	vcpu = vcpu_create(t->vm, 0);
	vcpu_state_get(vcpu, &before);
	expect_errno(t, ENXIO, vcpu_ioctl_try(vcpu, KVM_INTERRUPT, &interrupt));
	interrupt.irq = 256;
	expect_errno(t, EINVAL, vcpu_ioctl_try(vcpu, KVM_INTERRUPT, &interrupt));
	expect_vcpu_state(t, vcpu, &before);
}

/* None of them is there. */
static void host_absent(struct test *t)
{
	struct kvm_irqchip chip = { .chip_id = 0 };
	struct kvm_lapic_state lapic = { { 0 } };
	struct kvm_pit_state2 pit = { .flags = 0 };
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 0x30 };
	struct kvm_vapic_addr vapic = { .vapic_addr = 0 };
	struct kvm_irq_level status = { .irq = 0, .level = 1 };
	struct vcpu *vcpu = vcpu_create(t->vm, 0);

	expect_errno(t, ENXIO, vm_ioctl_try(t->vm, KVM_GET_IRQCHIP, &chip));
	expect_errno(t, ENXIO, vm_ioctl_try(t->vm, KVM_SET_IRQCHIP, &chip));
	expect_errno(t, EINVAL, vcpu_ioctl_try(vcpu, KVM_GET_LAPIC, &lapic));
	expect_errno(t, EINVAL, vcpu_ioctl_try(vcpu, KVM_SET_LAPIC, &lapic));
	expect_errno(t, EINVAL, vcpu_ioctl_try(vcpu, KVM_SET_VAPIC_ADDR, &vapic));
	expect_errno(t, ENXIO, vm_ioctl_try(t->vm, KVM_GET_PIT2, &pit));
	expect_errno(t, ENXIO, vm_ioctl_try(t->vm, KVM_SET_PIT2, &pit));
	expect_errno(t, ENXIO, irq_line_try(t, 0, 1));
	expect_errno(t, ENXIO, vm_ioctl_try(t->vm, KVM_IRQ_LINE_STATUS, &status));
	expect_errno(t, EINVAL, vm_ioctl_try(t->vm, KVM_SIGNAL_MSI, &msi));
}

static void chip_get(struct test *t, uint32_t id, struct kvm_irqchip *chip)
{
	memset(chip, 0, sizeof(*chip));
	chip->chip_id = id;
	vm_ioctl(t->vm, KVM_GET_IRQCHIP, chip);
}

static void host_pics(struct test *t)
{
	struct kvm_irqchip master, slave, ioapic, got;

	irqchip_create(t);
	chip_get(t, KVM_IRQCHIP_PIC_MASTER, &master);
	chip_get(t, KVM_IRQCHIP_PIC_SLAVE, &slave);
	chip_get(t, KVM_IRQCHIP_IOAPIC, &ioapic);
	/* IRQ 2 is the cascade, level triggers are for PCI's lines only (the ELCR's mask). */
	expect_eq(t, 0xf8, master.chip.pic.elcr_mask);
	expect_eq(t, 0xde, slave.chip.pic.elcr_mask);
	master.chip.pic.irq_base = 0x20;
	master.chip.pic.imr = 0xff;
	master.chip.pic.init4 = 1;
	master.chip.pic.read_reg_select = 1;
	master.chip.pic.elcr = 0x28;
	master.chip.pic.priority_add = 3;
	expect_result(t, 0, vm_ioctl_try(t->vm, KVM_SET_IRQCHIP, &master));
	chip_get(t, KVM_IRQCHIP_PIC_MASTER, &got);
	expect_bytes(t, &master.chip.pic, &got.chip.pic, sizeof(got.chip.pic));
	chip_get(t, KVM_IRQCHIP_PIC_SLAVE, &got);
	expect_bytes(t, &slave.chip.pic, &got.chip.pic, sizeof(got.chip.pic));
	slave.chip.pic.irq_base = 0x28;
	slave.chip.pic.imr = 0xfe;
	slave.chip.pic.auto_eoi = 1;
	expect_result(t, 0, vm_ioctl_try(t->vm, KVM_SET_IRQCHIP, &slave));
	chip_get(t, KVM_IRQCHIP_PIC_SLAVE, &got);
	expect_bytes(t, &slave.chip.pic, &got.chip.pic, sizeof(got.chip.pic));
	chip_get(t, KVM_IRQCHIP_PIC_MASTER, &got);
	expect_bytes(t, &master.chip.pic, &got.chip.pic, sizeof(got.chip.pic));
	chip_get(t, KVM_IRQCHIP_IOAPIC, &got);
	expect_bytes(t, &ioapic.chip.ioapic, &got.chip.ioapic, sizeof(got.chip.ioapic));
}

static void host_ioapic(struct test *t)
{
	struct kvm_irqchip chip, got;
	unsigned int i;

	irqchip_create(t);
	chip_get(t, KVM_IRQCHIP_IOAPIC, &chip);
	expect_eq(t, 0xfec00000, chip.chip.ioapic.base_address);
	expect_eq(t, 0, chip.chip.ioapic.id);
	expect_eq(t, 0, chip.chip.ioapic.irr);
	for (i = 0; i < KVM_IOAPIC_NUM_PINS; i++)
		expect_eq(t, 1 << 16, chip.chip.ioapic.redirtbl[i].bits);	/* masked */
	chip.chip.ioapic.id = 5;
	chip.chip.ioapic.ioregsel = 0x13;
	for (i = 0; i < KVM_IOAPIC_NUM_PINS; i++)
		chip.chip.ioapic.redirtbl[i].bits = (uint64_t)i << 56 | 1 << 16 | (0x30 + i);
	expect_result(t, 0, vm_ioctl_try(t->vm, KVM_SET_IRQCHIP, &chip));
	chip_get(t, KVM_IRQCHIP_IOAPIC, &got);
	expect_bytes(t, &chip.chip.ioapic, &got.chip.ioapic, sizeof(got.chip.ioapic));
}

static void host_chip_id(struct test *t)
{
	struct kvm_irqchip chip = { .chip_id = 3 };

	irqchip_create(t);
	expect_errno(t, EINVAL, vm_ioctl_try(t->vm, KVM_GET_IRQCHIP, &chip));
	expect_errno(t, EINVAL, vm_ioctl_try(t->vm, KVM_SET_IRQCHIP, &chip));
	chip.chip_id = ~0u;
	expect_errno(t, EINVAL, vm_ioctl_try(t->vm, KVM_GET_IRQCHIP, &chip));
	expect_errno(t, EINVAL, vm_ioctl_try(t->vm, KVM_SET_IRQCHIP, &chip));
}

/* A line shows in the 8259's IRR, one line at a time, and not in the other 8259. */
static void host_irq_line(struct test *t)
{
	struct kvm_irqchip master, slave;
	unsigned int irq;

	irqchip_create(t);
	for (irq = 0; irq < 16; irq++) {
		if (irq == 2)
			continue;	/* the cascade */
		test_say(t, "IRQ %u", irq);
		expect_result(t, 0, irq_line_try(t, irq, 1));
		chip_get(t, KVM_IRQCHIP_PIC_MASTER, &master);
		chip_get(t, KVM_IRQCHIP_PIC_SLAVE, &slave);
		expect_eq(t, irq < 8 ? 1 << irq : 0, master.chip.pic.irr & ~4);
		expect_eq(t, irq < 8 ? 0 : 1 << (irq - 8), slave.chip.pic.irr);
		expect_result(t, 0, irq_line_try(t, irq, 0));
		master.chip.pic.irr = slave.chip.pic.irr = 0;
		master.chip.pic.last_irr = slave.chip.pic.last_irr = 0;
		vm_ioctl(t->vm, KVM_SET_IRQCHIP, &slave);
		vm_ioctl(t->vm, KVM_SET_IRQCHIP, &master);
	}
	expect_result(t, 0, irq_line_try(t, 23, 1));
	chip_get(t, KVM_IRQCHIP_IOAPIC, &master);
	expect_eq(t, 1 << 23, master.chip.ioapic.irr);
}

static void host_lapic(struct test *t)
{
	struct kvm_lapic_state set, got;
	struct vcpu *vcpu;

	irqchip_create(t);
	vcpu = vcpu_create(t->vm, 0);
	vcpu_create(t->vm, 1);
	vcpu_ioctl(vcpu, KVM_GET_LAPIC, &set);
	set.regs[0x80] = 0x30;	/* TPR */
	set.regs[0xa0] = 0x30;	/* and so PPR */
	set.regs[0xd0 + 3] = 0x02;	/* LDR */
	set.regs[0xf0] = 0xef;	/* SVR: enabled below, spurious vector */
	set.regs[0xf1] = 0x01;
	set.regs[0x180] = 0x04;	/* TMR: vector 2 */
	set.regs[0x270] = 0x80;	/* IRR: vector 255 of the last word's first byte */
	set.regs[0x320] = 0x41;	/* LVT timer, masked */
	set.regs[0x370] = 0xfe;	/* LVT error, masked */
	set.regs[0x380] = 0x99;	/* TMICT */
	set.regs[0x3e0] = 0x0b;	/* TDCR */
	expect_result(t, 0, vcpu_ioctl_try(vcpu, KVM_SET_LAPIC, &set));
	vcpu_ioctl(vcpu, KVM_GET_LAPIC, &got);
	memset(set.regs + 0x390, 0, 4);
	memset(got.regs + 0x390, 0, 4);	/* TMCCT runs */
	expect_bytes(t, set.regs, got.regs, sizeof(got.regs));
	vcpu_ioctl(t->vm->vcpus[1], KVM_GET_LAPIC, &got);
	expect_eq(t, 0, got.regs[0x80]);
	expect_eq(t, 1, got.regs[0x23]);	/* its ID */
}

static void pit_create(struct test *t)
{
	struct kvm_pit_config config = { .flags = KVM_PIT_SPEAKER_DUMMY };

	irqchip_create(t);
	expect_result(t, 0, vm_ioctl_try(t->vm, KVM_CREATE_PIT2, &config));
}

static void host_pit_create(struct test *t)
{
	struct kvm_pit_config config = { .flags = 0 };

	pit_create(t);
	expect_errno(t, EEXIST, vm_ioctl_try(t->vm, KVM_CREATE_PIT2, &config));
	expect_errno(t, EEXIST, vm_ioctl_value_try(t->vm, KVM_CREATE_PIT, 0));
}

static void host_pit_state(struct test *t)
{
	struct kvm_pit_state2 set, got;
	unsigned int i;

	pit_create(t);
	memset(&set, 0xa5, sizeof(set));
	vm_ioctl(t->vm, KVM_GET_PIT2, &set);
	expect_eq(t, 0x10000, set.channels[0].count);
	expect_eq(t, 0xff, set.channels[0].mode);
	expect_eq(t, 1, set.channels[0].gate);
	expect_eq(t, 0, set.channels[2].gate);
	for (i = 0; i < 3; i++) {
		set.channels[i].count = 0x1234 + i;
		set.channels[i].latched_count = 0x50 + i;
		set.channels[i].read_state = 1 + i;
		set.channels[i].write_state = 3 - i;
		set.channels[i].rw_mode = 3;
		set.channels[i].mode = 5;
		set.channels[i].bcd = i & 1;
		set.channels[i].gate = 1;
	}
	set.flags = KVM_PIT_FLAGS_HPET_LEGACY;
	expect_result(t, 0, vm_ioctl_try(t->vm, KVM_SET_PIT2, &set));
	vm_ioctl(t->vm, KVM_GET_PIT2, &got);
	for (i = 0; i < 3; i++) {
		struct kvm_pit_channel_state want = set.channels[i];

		want.count_load_time = got.channels[i].count_load_time;
		expect_bytes(t, &want, &got.channels[i], sizeof(want));
	}
	expect_eq(t, KVM_PIT_FLAGS_HPET_LEGACY, got.flags);
	/* A count of 0 is 65536. */
	set.channels[2].count = 0;
	vm_ioctl(t->vm, KVM_SET_PIT2, &set);
	vm_ioctl(t->vm, KVM_GET_PIT2, &got);
	expect_eq(t, 0x10000, got.channels[2].count);
}

static void host_reinject(struct test *t)
{
	struct kvm_reinject_control control = { .pit_reinject = 0 };

	expect_errno(t, ENXIO, vm_ioctl_value_try(t->vm, KVM_REINJECT_CONTROL, (uintptr_t)&control));
	pit_create(t);
	expect_result(t, 0, vm_ioctl_value_try(t->vm, KVM_REINJECT_CONTROL, (uintptr_t)&control));
}

struct row {
	ROW_FIELDS;
	void (*host)(struct test *t);
};

static const struct row rows[] = {
	{ .label = "create_twice", .host = host_create_twice },
	{ .label = "create_after_vcpu", .host = host_create_after_vcpu },
	{ .label = "split", .host = host_split, .needs = "KVM_CAP_SPLIT_IRQCHIP" },
	{ .label = "split_after_vcpu", .host = host_split_after_vcpu, .needs = "KVM_CAP_SPLIT_IRQCHIP" },
	{ .label = "interrupt", .host = host_interrupt },
	{ .label = "absent", .host = host_absent },
	{ .label = "pics", .host = host_pics },
	{ .label = "ioapic", .host = host_ioapic },
	{ .label = "chip_id", .host = host_chip_id },
	{ .label = "irq_line", .host = host_irq_line },
	{ .label = "lapic", .host = host_lapic },
	{ .label = "pit_create", .host = host_pit_create, .needs = "KVM_CAP_PIT2" },
	{ .label = "pit_state", .host = host_pit_state, .needs = "KVM_CAP_PIT_STATE2" },
	{ .label = "reinject", .host = host_reinject, .needs = "KVM_CAP_REINJECT_CONTROL" },
};

CASE(irqchip, .says = "interrupt controllers are made once and keep their state", .modes = NO_GUEST, .manual = true,
     .rows = ROWS(rows))

HOST(irqchip)
{
	t->vm = test_vm(t);
	ROW(t, rows)->host(t);
}
