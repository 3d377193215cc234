/* SPDX-License-Identifier: MIT */
/*
 * The two in-kernel 8259A as a guest programs them: initialization, masks, priorities, the ends of interrupts, level
 * and edge, the cascade, with each register read back and each interrupt's vector.
 *
 * Can break: a bit of a command word, the order of priorities after a rotation, an end of interrupt that clears another
 * level, a masked request that is lost, an edge seen twice, the cascade's second end of interrupt.
 * Source: Intel 8259A datasheet, "Programming the 8259A", "End of Interrupt", "Priority Rotation", "Interrupt Masks",
 * "Reading the 8259A Status", "The Special Fully Nest Mode", "Cascade Mode"; ELCR: Intel 82371AB datasheet, 4.2.
 *
 * Note, KVM keeps an edge's request when the line falls again before it is acknowledged; the chip would answer with
 * its spurious vector. User space relies on it (KVM API, KVM_IRQ_LINE), so pulses are used here.
 */
#include "case.h"

#include <string.h>

#include "cases/ioctl/irq_script.h"
#include "cases/ioctl/pic_ports.h"

#define PULSE(gsi_) LINE(gsi_, 1), LINE(gsi_, 0)

static void pic_get(struct test *t, uint32_t id, struct kvm_irqchip *chip)
{
	memset(chip, 0, sizeof(*chip));
	chip->chip_id = id;
	vm_ioctl(t->vm, KVM_GET_IRQCHIP, chip);
}

static void check_state(struct test *t)
{
	static const struct kvm_pic_state master = {
		.last_irr = 0x60, .irr = 0x40, .imr = 0x42, .isr = 0x20, .priority_add = 3, .irq_base = 0x20,
		.special_mask = 1, .special_fully_nested_mode = 1, .init4 = 1, .elcr = 0x88, .elcr_mask = 0xf8,
	};
	static const struct kvm_pic_state slave = {
		.last_irr = 0x01, .irr = 0x01, .imr = 0x81, .irq_base = 0x28, .read_reg_select = 1, .poll = 1,
		.auto_eoi = 1, .rotate_on_auto_eoi = 1, .init4 = 1, .elcr = 0x10, .elcr_mask = 0xde,
	};
	struct kvm_irqchip chip;

	pic_get(t, KVM_IRQCHIP_PIC_MASTER, &chip);
	expect_bytes(t, &master, &chip.chip.pic, sizeof(master));
	pic_get(t, KVM_IRQCHIP_PIC_SLAVE, &chip);
	expect_bytes(t, &slave, &chip.chip.pic, sizeof(slave));
}

/* The order is 5, 6, 7, 0, ... 4; 5 is a level, and high; 1 is in service. */
static void set_state(struct test *t)
{
	struct kvm_irqchip chip;

	pic_get(t, KVM_IRQCHIP_PIC_MASTER, &chip);
	chip.chip.pic = (struct kvm_pic_state){
		.last_irr = 0x20, .irr = 0x28, .imr = 0x40, .isr = 0x02, .priority_add = 5, .irq_base = 0x60,
		.read_reg_select = 1, .init4 = 1, .elcr = 0x20, .elcr_mask = 0xf8,
	};
	vm_ioctl(t->vm, KVM_SET_IRQCHIP, &chip);
}

/* A word at the two ports of a chip: as bytes, the first half would begin an initialization. */
static void guest_words(void)
{
	static const uint16_t ports[] = { MASTER, SLAVE, MASTER_ELCR };
	unsigned int i;

	for (i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		out16(ports[i], 0x0f00 | ICW1);
		CHECK_EQ(0, in16(ports[i]));
	}
}

struct row {
	ROW_FIELDS;
	const struct op *ops;
};

static const struct row rows[] = {
	/* --- initialization --- */
	{ .label = "reset_state", .ops = OPS {
		IN8(MASTER, 0), IN8(MASTER_MASK, 0), IN8(SLAVE, 0), IN8(SLAVE_MASK, 0), IN8(MASTER_ELCR, 0),
		IN8(SLAVE_ELCR, 0), OUT8(MASTER, READ_ISR), IN8(MASTER, 0), OUT8(SLAVE, READ_ISR), IN8(SLAVE, 0),
		END } },
	{ .label = "icw2_low_bits", .ops = OPS {
		/* T7-T3 are the vector's upper five bits; the lower three are the level's. */
		OUT8(MASTER, ICW1), OUT8(MASTER_MASK, 0x47), OUT8(MASTER_MASK, 4), OUT8(MASTER_MASK, ICW4_8086),
		OUT8(SLAVE, ICW1), OUT8(SLAVE_MASK, 0x9d), OUT8(SLAVE_MASK, 2), OUT8(SLAVE_MASK, ICW4_8086),
		PULSE(3), TAKE(0x43), OUT8(MASTER, EOI), PULSE(9), TAKE(0x99), END } },
	{ .label = "icw1_clears", .ops = OPS {
		PIC_INIT, OUT8(MASTER_MASK, 0xf0), OUT8(MASTER, READ_ISR), OUT8(MASTER, SET_LOWEST(3)),
		OUT8(MASTER, ICW1), OUT8(MASTER_MASK, 0x20), OUT8(MASTER_MASK, 4), OUT8(MASTER_MASK, ICW4_8086),
		IN8(MASTER_MASK, 0),
		/* Priorities are as at first: 1 is above 5. And reads are of the IRR. */
		PULSE(5), PULSE(1), IN8(MASTER, 0x22), TAKE(0x21), IN8(MASTER, 0x20), END } },
	{ .label = "icw1_drops_edges", .ops = OPS {
		PIC_INIT, OUT8(MASTER_MASK, 0xff), PULSE(3), IN8(MASTER, 8), OUT8(MASTER, ICW1), IN8(MASTER, 0),
		END } },
	{ .label = "icw1_keeps_other_chip", .ops = OPS {
		PIC_INIT, OUT8(SLAVE_MASK, 0xa5), OUT8(MASTER_MASK, 0x5a), MASTER_INIT(ICW4_8086),
		IN8(SLAVE_MASK, 0xa5),
		IN8(MASTER_MASK, 0), OUT8(MASTER_MASK, 0x5b), SLAVE_INIT(ICW4_8086), IN8(SLAVE_MASK, 0),
		IN8(MASTER_MASK, 0x5b), END } },
	{ .label = "icw4_absent", .ops = OPS {
		/* Two words follow, and the functions of ICW4 are off: no automatic EOI. */
		MASTER_INIT(ICW4_8086 | ICW4_AEOI), OUT8(MASTER, ICW1_NO_ICW4), OUT8(MASTER_MASK, 0x48),
		OUT8(MASTER_MASK, 4), OUT8(MASTER_MASK, 0x81), IN8(MASTER_MASK, 0x81),
		PULSE(1), TAKE(0x49), OUT8(MASTER, READ_ISR), IN8(MASTER, 2), END } },
	{ .label = "icw_words_count", .ops = OPS {
		/* The port's writes are a mask again just after the last word. */
		OUT8(MASTER, ICW1), OUT8(MASTER_MASK, 0x20), IN8(MASTER_MASK, 0), OUT8(MASTER_MASK, 4),
		IN8(MASTER_MASK, 0), OUT8(MASTER_MASK, ICW4_8086), IN8(MASTER_MASK, 0), OUT8(MASTER_MASK, 0x3c),
		IN8(MASTER_MASK, 0x3c), END } },
	{ .label = "icw1_restarts", .ops = OPS {
		OUT8(MASTER, ICW1), OUT8(MASTER_MASK, 0x50), OUT8(MASTER, ICW1), OUT8(MASTER_MASK, 0x60),
		OUT8(MASTER_MASK, 4), OUT8(MASTER_MASK, ICW4_8086), PULSE(0), TAKE(0x60), END } },

	/* --- masks --- */
	{ .label = "mask_each_bit", .ops = OPS {
		PIC_INIT, OUT8(MASTER_MASK, 0xfe), IN8(MASTER_MASK, 0xfe), OUT8(MASTER_MASK, 0x7f),
		IN8(MASTER_MASK, 0x7f), OUT8(SLAVE_MASK, 0xef), IN8(SLAVE_MASK, 0xef), IN8(MASTER_MASK, 0x7f),
		END } },
	{ .label = "masked_stays_pending", .ops = OPS {
		PIC_INIT, OUT8(MASTER_MASK, 0x10), PULSE(4), TAKE(0), IN8(MASTER, 0x10), OUT8(MASTER_MASK, 0),
		TAKE(0x24), IN8(MASTER, 0), END } },
	{ .label = "mask_of_lower_only", .ops = OPS {
		PIC_INIT, OUT8(MASTER_MASK, 0x02), PULSE(1), PULSE(5), TAKE(0x25), END } },
	{ .label = "masked_slave", .ops = OPS {
		PIC_INIT, OUT8(SLAVE_MASK, 0x02), PULSE(9), TAKE(0), IN8(SLAVE, 2), IN8(MASTER, 0),
		OUT8(SLAVE_MASK, 0),
		TAKE(0x29), END } },
	{ .label = "masked_cascade", .ops = OPS {
		PIC_INIT, OUT8(MASTER_MASK, 0x04), PULSE(9), TAKE(0), IN8(MASTER, 4), IN8(SLAVE, 2),
		OUT8(MASTER_MASK, 0), TAKE(0x29), END } },

	/* --- priorities --- */
	{ .label = "nesting", .ops = OPS {
		PIC_INIT, PULSE(4), TAKE(0x24), PULSE(5), TAKE(0), PULSE(4), TAKE(0), PULSE(3), TAKE(0x23),
		OUT8(MASTER, READ_ISR), IN8(MASTER, 0x18), OUT8(MASTER, READ_IRR), IN8(MASTER, 0x30),
		OUT8(MASTER, EOI), TAKE(0), OUT8(MASTER, READ_ISR), IN8(MASTER, 0x10), OUT8(MASTER, EOI),
		TAKE(0x24), OUT8(MASTER, EOI), TAKE(0x25), IN8(MASTER, 0x20), OUT8(MASTER, EOI), IN8(MASTER, 0),
		END } },
	{ .label = "all_by_priority", .ops = OPS {
		PIC_INIT, PULSE(7), PULSE(6), PULSE(5), PULSE(4), PULSE(3), PULSE(1), PULSE(0), IN8(MASTER, 0xfb),
		TAKE(0x20), OUT8(MASTER, EOI), TAKE(0x21), OUT8(MASTER, EOI), TAKE(0x23), OUT8(MASTER, EOI),
		TAKE(0x24), OUT8(MASTER, EOI), TAKE(0x25), OUT8(MASTER, EOI), TAKE(0x26), OUT8(MASTER, EOI),
		TAKE(0x27), OUT8(MASTER, EOI), TAKE(0), IN8(MASTER, 0), END } },
	{ .label = "slave_by_priority", .ops = OPS {
		/* Both chips want an end; the slave's lines come between 1 and 3. */
		PIC_INIT, PULSE(15), PULSE(8), PULSE(14), PULSE(3), PULSE(1), TAKE(0x21), OUT8(MASTER, EOI),
		TAKE(0x28), OUT8(SLAVE, EOI), OUT8(MASTER, EOI), TAKE(0x2e), OUT8(SLAVE, EOI), OUT8(MASTER, EOI),
		TAKE(0x2f), OUT8(SLAVE, EOI), OUT8(MASTER, EOI), TAKE(0x23), END } },
	{ .label = "set_priority", .ops = OPS {
		PIC_INIT, OUT8(MASTER, SET_LOWEST(4)), PULSE(4), PULSE(3), PULSE(0), PULSE(6), TAKE(0x26),
		OUT8(MASTER, EOI), TAKE(0x20), OUT8(MASTER, EOI), TAKE(0x23), OUT8(MASTER, EOI), TAKE(0x24),
		OUT8(MASTER, EOI), TAKE(0), END } },
	{ .label = "set_priority_lowest_7", .ops = OPS {
		PIC_INIT, OUT8(MASTER, SET_LOWEST(2)), OUT8(MASTER, SET_LOWEST(7)), PULSE(7), PULSE(0), TAKE(0x20),
		OUT8(MASTER, EOI), TAKE(0x27), END } },
	{ .label = "set_priority_makes_way", .ops = OPS {
		/* 5 is served, 6 waits; then 5 becomes the lowest, and 6 is above it. */
		PIC_INIT, PULSE(5), TAKE(0x25), PULSE(6), TAKE(0), OUT8(MASTER, SET_LOWEST(5)), TAKE(0x26), END } },
	{ .label = "set_priority_slave", .ops = OPS {
		PIC_INIT, OUT8(SLAVE, SET_LOWEST(0)), PULSE(8), PULSE(9), TAKE(0x29), PULSE(0), PULSE(1), TAKE(0x20),
		END } },
	{ .label = "rotate_eoi", .ops = OPS {
		PIC_INIT, PULSE(3), TAKE(0x23), OUT8(MASTER, ROTATE_EOI), OUT8(MASTER, READ_ISR), IN8(MASTER, 0),
		/* 3 is the lowest now: 4 the highest. */
		PULSE(3), PULSE(1), PULSE(5), TAKE(0x25), OUT8(MASTER, ROTATE_EOI), TAKE(0x21), OUT8(MASTER, EOI),
		TAKE(0x23), END } },
	{ .label = "rotate_eoi_none", .ops = OPS {
		/* Nothing is in service: nothing rotates. */
		PIC_INIT, OUT8(MASTER, ROTATE_EOI), PULSE(7), PULSE(1), TAKE(0x21), END } },
	{ .label = "rotate_specific", .ops = OPS {
		PIC_INIT, PULSE(6), TAKE(0x26), PULSE(4), TAKE(0x24), OUT8(MASTER, ROTATE_EOI_OF(6)),
		OUT8(MASTER, READ_ISR), IN8(MASTER, 0x10), OUT8(MASTER, EOI), IN8(MASTER, 0), PULSE(6), PULSE(7),
		PULSE(1),
		TAKE(0x27), OUT8(MASTER, EOI), TAKE(0x21), OUT8(MASTER, EOI), TAKE(0x26), END } },

	/* --- the end of an interrupt --- */
	{ .label = "eoi_highest", .ops = OPS {
		PIC_INIT, PULSE(6), TAKE(0x26), PULSE(3), TAKE(0x23), PULSE(0), TAKE(0x20), OUT8(MASTER, READ_ISR),
		IN8(MASTER, 0x49), OUT8(MASTER, EOI), IN8(MASTER, 0x48), OUT8(MASTER, EOI), IN8(MASTER, 0x40),
		OUT8(MASTER, EOI), IN8(MASTER, 0), OUT8(MASTER, EOI), IN8(MASTER, 0), END } },
	{ .label = "eoi_highest_rotated", .ops = OPS {
		/* The highest is that by the rotated order. */
		PIC_INIT, OUT8(MASTER, SET_LOWEST(4)), PULSE(3), TAKE(0x23), PULSE(6), TAKE(0x26),
		OUT8(MASTER, READ_ISR),
		IN8(MASTER, 0x48), OUT8(MASTER, EOI), IN8(MASTER, 0x08), END } },
	{ .label = "eoi_specific", .ops = OPS {
		PIC_INIT, PULSE(6), TAKE(0x26), PULSE(3), TAKE(0x23), OUT8(MASTER, READ_ISR), OUT8(MASTER, EOI_OF(6)),
		IN8(MASTER, 0x08), OUT8(MASTER, EOI_OF(5)), IN8(MASTER, 0x08), OUT8(MASTER, EOI_OF(3)),
		IN8(MASTER, 0),
		/* Specific ends do not rotate. */
		PULSE(3), PULSE(7), TAKE(0x23), END } },
	{ .label = "eoi_other_chip", .ops = OPS {
		PIC_INIT, PULSE(10), TAKE(0x2a), OUT8(SLAVE, READ_ISR), OUT8(MASTER, READ_ISR), IN8(SLAVE, 4),
		IN8(MASTER, 4), OUT8(MASTER, EOI), IN8(SLAVE, 4), IN8(MASTER, 0), PULSE(11), TAKE(0),
		OUT8(SLAVE, EOI),
		IN8(SLAVE, 0), TAKE(0x2b), IN8(SLAVE, 8), IN8(MASTER, 4), END } },
	{ .label = "ocw2_nothing", .ops = OPS {
		PIC_INIT, PULSE(3), TAKE(0x23), OUT8(MASTER, OCW2_NOTHING), OUT8(MASTER, READ_ISR), IN8(MASTER, 8),
		OUT8(MASTER, EOI), PULSE(7), PULSE(1), TAKE(0x21), END } },
	{ .label = "aeoi", .ops = OPS {
		MASTER_INIT(ICW4_8086 | ICW4_AEOI), PULSE(5), PULSE(4), PULSE(6), TAKE(0x242526),
		OUT8(MASTER, READ_ISR),
		IN8(MASTER, 0), OUT8(MASTER, READ_IRR), IN8(MASTER, 0), END } },
	{ .label = "aeoi_of_master_only", .ops = OPS {
		MASTER_INIT(ICW4_8086 | ICW4_AEOI), SLAVE_INIT(ICW4_8086), PULSE(9), TAKE(0x29),
		OUT8(MASTER, READ_ISR),
		IN8(MASTER, 0), OUT8(SLAVE, READ_ISR), IN8(SLAVE, 2), END } },
	{ .label = "aeoi_rotate", .ops = OPS {
		MASTER_INIT(ICW4_8086 | ICW4_AEOI), OUT8(MASTER, ROTATE_AEOI_SET), PULSE(3), TAKE(0x23), PULSE(3),
		PULSE(4), PULSE(1), TAKE(0x242123), END } },
	{ .label = "aeoi_rotate_clear", .ops = OPS {
		MASTER_INIT(ICW4_8086 | ICW4_AEOI), OUT8(MASTER, ROTATE_AEOI_SET), OUT8(MASTER, ROTATE_AEOI_CLEAR),
		PULSE(3), TAKE(0x23), PULSE(4), PULSE(1), TAKE(0x2124), END } },

	/* --- edge and level --- */
	{ .label = "edge_once", .ops = OPS {
		PIC_INIT, LINE(5, 1), TAKE(0x25), OUT8(MASTER, EOI), TAKE(0), IN8(MASTER, 0), LINE(5, 1), TAKE(0),
		LINE(5, 0), TAKE(0), LINE(5, 1), TAKE(0x25), END } },
	{ .label = "level_again", .ops = OPS {
		PIC_INIT, OUT8(MASTER_ELCR, 0x20), LINE(5, 1), TAKE(0x25), IN8(MASTER, 0x20), OUT8(MASTER, EOI),
		TAKE(0x25), LINE(5, 0), IN8(MASTER, 0), OUT8(MASTER, EOI), TAKE(0), END } },
	{ .label = "level_withdrawn", .ops = OPS {
		PIC_INIT, OUT8(MASTER_ELCR, 0x20), LINE(5, 1), IN8(MASTER, 0x20), LINE(5, 0), IN8(MASTER, 0), TAKE(0),
		OUT8(MASTER, READ_ISR), IN8(MASTER, 0), END } },
	{ .label = "level_of_slave", .ops = OPS {
		PIC_INIT, OUT8(SLAVE_ELCR, 0x08), LINE(11, 1), TAKE(0x2b), IN8(SLAVE, 8), OUT8(SLAVE, EOI),
		OUT8(MASTER, EOI), TAKE(0x2b), LINE(11, 0), IN8(SLAVE, 0), OUT8(SLAVE, EOI), OUT8(MASTER, EOI),
		TAKE(0), END } },
	{ .label = "level_survives_icw1", .ops = OPS {
		PIC_INIT, OUT8(MASTER_ELCR, 0x20), LINE(5, 1), MASTER_INIT(ICW4_8086), IN8(MASTER, 0x20),
		IN8(MASTER_ELCR, 0x20), OUT8(MASTER_MASK, 0), TAKE(0x25), END } },
	{ .label = "elcr_bits", .ops = OPS {
		/* The timer, keyboard, cascade, RTC and coprocessor's lines are edges for good. */
		OUT8(MASTER_ELCR, 0xff), IN8(MASTER_ELCR, 0xf8), IN8(SLAVE_ELCR, 0), OUT8(SLAVE_ELCR, 0xff),
		IN8(SLAVE_ELCR, 0xde), IN8(MASTER_ELCR, 0xf8), OUT8(MASTER_ELCR, 0), IN8(MASTER_ELCR, 0),
		IN8(SLAVE_ELCR, 0xde), END } },

	/* --- status, special modes --- */
	{ .label = "read_select_stays", .ops = OPS {
		PIC_INIT, PULSE(3), PULSE(5), TAKE(0x23), IN8(MASTER, 0x20), OUT8(MASTER, READ_ISR), IN8(MASTER, 8),
		IN8(MASTER, 8), OUT8(MASTER, 0x08), IN8(MASTER, 8), OUT8(MASTER, 0x09), IN8(MASTER, 8),
		OUT8(MASTER, READ_IRR), IN8(MASTER, 0x20), OUT8(SLAVE, READ_ISR), IN8(MASTER, 0x20), END } },
	{ .label = "sfnm", .ops = OPS {
		/* A higher line of the same slave comes through while the slave is in service at the master. */
		MASTER_INIT(ICW4_8086 | ICW4_SFNM), SLAVE_INIT(ICW4_8086), PULSE(12), TAKE(0x2c), PULSE(13), TAKE(0),
		PULSE(9), TAKE(0x29), OUT8(MASTER, READ_ISR), OUT8(SLAVE, READ_ISR), IN8(SLAVE, 0x12), IN8(MASTER, 4),
		PULSE(1), TAKE(0x21), END } },
	{ .label = "sfnm_lower_waits", .known = { .finding = "0603-pic-fully-nested-lower" }, .ops = OPS {
		MASTER_INIT(ICW4_8086 | ICW4_SFNM), SLAVE_INIT(ICW4_8086), PULSE(12), TAKE(0x2c), PULSE(3), TAKE(0),
		END } },
	{ .label = "sfnm_off", .ops = OPS {
		PIC_INIT, PULSE(12), TAKE(0x2c), PULSE(9), TAKE(0), OUT8(MASTER, EOI), TAKE(0x29), END } },
	{ .label = "sfnm_of_slave_only", .ops = OPS {
		MASTER_INIT(ICW4_8086), SLAVE_INIT(ICW4_8086 | ICW4_SFNM), PULSE(12), TAKE(0x2c), PULSE(9), TAKE(0),
		PULSE(12), OUT8(SLAVE, READ_ISR), IN8(SLAVE, 0x10), END } },
	{ .label = "spurious_slave", .ops = OPS {
		/* The request is gone when the slave is asked: level 7's vector, in service at the master only. */
		PIC_INIT, OUT8(SLAVE_ELCR, 0x08), LINE(11, 1), LINE(11, 0), TAKE(0x2f), OUT8(SLAVE, READ_ISR),
		IN8(SLAVE, 0), OUT8(MASTER, READ_ISR), IN8(MASTER, 4), END } },
	{ .label = "special_mask", .known = { .finding = "0601-pic-special-mask" }, .ops = OPS {
		/* 3 is in service and masked: lower ones come through. */
		PIC_INIT, PULSE(3), TAKE(0x23), OUT8(MASTER_MASK, 0x08), PULSE(5), TAKE(0),
		OUT8(MASTER, SPECIAL_MASK_SET),
		TAKE(0x25), END } },
	{ .label = "poll", .known = { .finding = "0602-pic-poll-word" }, .ops = OPS {
		PIC_INIT, OUT8(MASTER_MASK, 0), PULSE(5), PULSE(3), OUT8(MASTER, POLL), IN8(MASTER, 0x83),
		OUT8(MASTER, READ_ISR), IN8(MASTER, 0x08), OUT8(MASTER, READ_IRR), IN8(MASTER, 0x20), END } },
	{ .label = "poll_level", .ops = OPS {
		/* The level and the request taken, where KVM agrees with the datasheet; then reads are ordinary again. */
		PIC_INIT, PULSE(5), PULSE(3), OUT8(MASTER, POLL), IN8_BITS(MASTER, 7, 3), IN8(MASTER, 0x20),
		OUT8(MASTER, POLL), IN8_BITS(MASTER, 7, 5), IN8(MASTER, 0), END } },
	{ .label = "poll_slave", .ops = OPS {
		/* Each chip is polled by itself; the slave's last request takes that on the master's input 2 with it. */
		PIC_INIT, PULSE(11), PULSE(9), OUT8(SLAVE, POLL), IN8_BITS(SLAVE, 7, 1), IN8(SLAVE, 0x08), OUT8(SLAVE, EOI),
		OUT8(SLAVE, POLL), IN8_BITS(SLAVE, 7, 3), IN8(SLAVE, 0), OUT8(SLAVE, EOI), IN8(MASTER, 0), TAKE(0),
		PULSE(8), OUT8(SLAVE, POLL), IN8_BITS(SLAVE, 7, 0), IN8(SLAVE, 0), OUT8(SLAVE, EOI), TAKE(0),
		PULSE(10), OUT8(SLAVE, POLL), IN8_BITS(SLAVE, 7, 2), IN8(SLAVE, 0), OUT8(SLAVE, EOI), IN8(MASTER, 0),
		TAKE(0), PULSE(5), TAKE(0x25), END } },
	{ .label = "poll_withdraws", .ops = OPS {
		PIC_INIT, PULSE(3), OUT8(MASTER, POLL), IN8_BITS(MASTER, 7, 3), OUT8(MASTER, EOI), TAKE(0), PULSE(5),
		TAKE(0x25), END } },
	{ .label = "words", .ops = OPS {
		/* The chips have eight lines of data: KVM drops a wider access whole, and reads zeroes. */
		PIC_INIT, OUT8(MASTER_MASK, 0x5a), OUT8(SLAVE_MASK, 0xa5), OUT8(MASTER_ELCR, 0x20), OUT8(SLAVE_ELCR, 0x02),
		PULSE(1), PULSE(8), GUEST_DO(guest_words), IN8(MASTER_MASK, 0x5a), IN8(SLAVE_MASK, 0xa5),
		IN8(MASTER_ELCR, 0x20), IN8(SLAVE_ELCR, 0x02), IN8(MASTER, 0x02), IN8(SLAVE, 0x01), END } },

	/* --- the chips from user space --- */
	{ .label = "status_delivered", .ops = OPS {
		PIC_INIT, STATUS(5, 1, 1), TAKE(0x25), STATUS(9, 1, 1), END } },
	{ .label = "status_coalesced", .ops = OPS {
		PIC_INIT, STATUS(5, 1, 1), LINE(5, 0), STATUS(5, 1, 0), LINE(5, 0), TAKE(0x25), OUT8(MASTER, EOI),
		TAKE(0), STATUS(5, 1, 1), END } },
	{ .label = "status_coalesced_level", .ops = OPS {
		PIC_INIT, OUT8(MASTER_ELCR, 0x20), STATUS(5, 1, 1), STATUS(5, 1, 0), TAKE(0x25), STATUS(5, 1, 0),
		END } },
	{ .label = "status_masked", .ops = OPS {
		PIC_INIT, OUT8(MASTER_MASK, 0x08), OUT8(SLAVE_MASK, 0x02), STATUS(3, 1, -1), STATUS(9, 1, -1),
		TAKE(0), END } },
	{ .label = "state_out", .ops = OPS {
		MASTER_INIT(ICW4_8086 | ICW4_SFNM), SLAVE_INIT(ICW4_8086 | ICW4_AEOI), OUT8(MASTER_MASK, 0x42),
		OUT8(SLAVE_MASK, 0x81), OUT8(MASTER, SET_LOWEST(2)), OUT8(SLAVE, ROTATE_AEOI_SET),
		OUT8(MASTER, SPECIAL_MASK_SET), OUT8(SLAVE, READ_ISR), OUT8(SLAVE, POLL), OUT8(MASTER_ELCR, 0x88),
		OUT8(SLAVE_ELCR, 0x10), LINE(5, 1), TAKE(0x25), LINE(6, 1), LINE(8, 1), HOST_DO(check_state), END } },
	{ .label = "state_in", .ops = OPS {
		PIC_INIT, HOST_DO(set_state), IN8(MASTER_MASK, 0x40), IN8(MASTER_ELCR, 0x20), IN8(MASTER, 0x02),
		OUT8(MASTER, READ_IRR), IN8(MASTER, 0x28),
		/* 5 is the highest, and 1 is in service. */
		TAKE(0x65), OUT8(MASTER, EOI), OUT8(MASTER, EOI), LINE(5, 0), TAKE(0x63), END } },
};

CASE(pic_guest, .says = "the 8259A pair does what its datasheet says", .modes = LONG64, .irqchip = true,
     .rows = ROWS(rows))

GUEST(pic_guest)
{
	script_guest(GUEST_ROW(rows)->ops);
}

HOST(pic_guest)
{
	script_host(t, ROW(t, rows)->ops);
}
