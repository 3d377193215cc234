/* SPDX-License-Identifier: MIT */
#include "harness/soft/pic.h"

#include <errno.h>
#include <string.h>

#define NR_LEVELS 8
#define CASCADE 2
#define NONE (-1)

/* ICW1, OCW2 and OCW3 at the even port, by bits. */
#define ICW1 0x10
#define ICW1_ICW4 0x01
#define ICW4_AEOI 0x02
#define ICW4_SFNM 0x10
#define OCW3 0x08
#define OCW3_POLL 0x04
#define OCW3_READ 0x02
#define OCW3_READ_ISR 0x01
#define OCW3_SPECIAL_MASK 0x40
#define OCW3_SPECIAL_MASK_ON 0x20

/* OCW2's upper three bits: rotate, specific, end of interrupt. */
enum ocw2 {
	OCW2_ROTATE_AEOI_CLEAR,
	OCW2_EOI,
	OCW2_NOTHING,
	OCW2_EOI_OF,
	OCW2_ROTATE_AEOI_SET,
	OCW2_ROTATE_EOI,
	OCW2_SET_PRIORITY,
	OCW2_ROTATE_EOI_OF,
};

/* What the even and the odd port take next (init_state). */
enum init_state {
	READY,
	WANTS_ICW2,
	WANTS_ICW3,
	WANTS_ICW4,
};

/* How far @levels' highest one is below the highest priority; NR_LEVELS: there is none. */
static int rank_highest(const struct kvm_pic_state *chip, uint8_t levels)
{
	unsigned int rotated = (levels | (unsigned int)levels << NR_LEVELS) >> (chip->priority_add & 7);

	return levels ? __builtin_ctz(rotated) : NR_LEVELS;
}

static int level_of_rank(const struct kvm_pic_state *chip, int rank)
{
	return (rank + chip->priority_add) & 7;
}

static void lowest_set(struct kvm_pic_state *chip, int level)
{
	chip->priority_add = (level + 1) & 7;
}

/*
 * The level that wants to be served above all in service, or NONE. In special fully nested mode the master's cascade
 * does not count as in service. Note, as in KVM, the special mask mode changes nothing here (finding 0601).
 */
static int request_highest(const struct pic *pic, unsigned int number)
{
	const struct kvm_pic_state *chip = &pic->chips[number];
	int rank = rank_highest(chip, chip->irr & ~chip->imr);
	uint8_t isr = chip->isr;

	if (number == 0 && chip->special_fully_nested_mode)
		isr &= ~(1 << CASCADE);
	return rank < rank_highest(chip, isr) ? level_of_rank(chip, rank) : NONE;
}

static int chip_line_set(struct kvm_pic_state *chip, unsigned int level, bool is_up)
{
	uint8_t bit = 1 << level;
	bool had_request = chip->irr & bit, is_level_triggered = chip->elcr & bit;
	bool is_new = true;

	if (is_up && (is_level_triggered || !(chip->last_irr & bit))) {
		chip->irr |= bit;
		is_new = !had_request;
	} else if (!is_up && is_level_triggered) {
		chip->irr &= ~bit;
	}
	chip->last_irr = is_up ? chip->last_irr | bit : chip->last_irr & ~bit;
	if (chip->imr & bit)
		return -1;
	return is_new;
}

/* What INTR is now, with the slave's request at the master. */
static void output_update(struct pic *pic)
{
	bool was_up = pic->output;

	if (request_highest(pic, 1) != NONE) {
		chip_line_set(&pic->chips[0], CASCADE, true);
		chip_line_set(&pic->chips[0], CASCADE, false);
	}
	pic->output = request_highest(pic, 0) != NONE;
	if (pic->output && !was_up && pic->owner.raised)
		pic->owner.raised(pic->owner.opaque);
}

static void level_end(struct pic *pic, unsigned int number, int level)
{
	pic->chips[number].isr &= ~(1 << level);
	if (pic->owner.acked)
		pic->owner.acked(pic->owner.opaque, number * NR_LEVELS + level);
}

static void level_take(struct pic *pic, unsigned int number, int level)
{
	struct kvm_pic_state *chip = &pic->chips[number];

	chip->isr |= 1 << level;
	if (!(chip->elcr & 1 << level))
		chip->irr &= ~(1 << level);
	if (!chip->auto_eoi)
		return;
	if (chip->rotate_on_auto_eoi)
		lowest_set(chip, level);
	level_end(pic, number, level);
}

/* ICW1. A request that was an edge is dropped, and those who wait for its end hear of it. */
static void chip_init(struct pic *pic, unsigned int number, uint8_t icw1)
{
	struct kvm_pic_state *chip = &pic->chips[number];
	uint8_t dropped = chip->irr & ~chip->elcr;
	int level;

	chip->init4 = icw1 & ICW1_ICW4;
	chip->last_irr = 0;
	chip->irr &= chip->elcr;
	chip->imr = 0;
	chip->priority_add = 0;
	chip->special_mask = 0;
	chip->read_reg_select = 0;
	if (!chip->init4) {
		chip->special_fully_nested_mode = 0;
		chip->auto_eoi = 0;
	}
	chip->init_state = WANTS_ICW2;
	for (level = 0; level < NR_LEVELS; level++)
		if (dropped & 1 << level)
			level_end(pic, number, level);
}

static void ocw2_write(struct pic *pic, unsigned int number, uint8_t value)
{
	struct kvm_pic_state *chip = &pic->chips[number];
	int rank = rank_highest(chip, chip->isr), level = value & 7;
	enum ocw2 command = value >> 5;

	switch (command) {
	case OCW2_ROTATE_AEOI_CLEAR:
	case OCW2_ROTATE_AEOI_SET:
		chip->rotate_on_auto_eoi = command == OCW2_ROTATE_AEOI_SET;
		return;
	case OCW2_EOI:
	case OCW2_ROTATE_EOI:
		if (rank == NR_LEVELS)
			return;
		level = level_of_rank(chip, rank);
		break;
	case OCW2_NOTHING:
		return;
	case OCW2_EOI_OF:
	case OCW2_SET_PRIORITY:
	case OCW2_ROTATE_EOI_OF:
		break;
	}
	if (command == OCW2_ROTATE_EOI || command == OCW2_SET_PRIORITY || command == OCW2_ROTATE_EOI_OF)
		lowest_set(chip, level);
	if (command != OCW2_SET_PRIORITY)
		level_end(pic, number, level);
	output_update(pic);
}

static void ocw3_write(struct kvm_pic_state *chip, uint8_t value)
{
	if (value & OCW3_POLL)
		chip->poll = 1;
	if (value & OCW3_READ)
		chip->read_reg_select = value & OCW3_READ_ISR;
	if (value & OCW3_SPECIAL_MASK)
		chip->special_mask = !!(value & OCW3_SPECIAL_MASK_ON);
}

static void mask_write(struct pic *pic, unsigned int number, uint8_t value)
{
	uint8_t changed = pic->chips[number].imr ^ value;
	int level;

	pic->chips[number].imr = value;
	for (level = 0; level < NR_LEVELS && pic->owner.masked; level++)
		if (changed & 1 << level)
			pic->owner.masked(pic->owner.opaque, number * NR_LEVELS + level, value & 1 << level);
	output_update(pic);
}

static void odd_write(struct pic *pic, unsigned int number, uint8_t value)
{
	struct kvm_pic_state *chip = &pic->chips[number];

	switch ((enum init_state)chip->init_state) {
	case READY:
		mask_write(pic, number, value);
		break;
	case WANTS_ICW2:
		chip->irq_base = value & 0xf8;
		chip->init_state = WANTS_ICW3;
		break;
	case WANTS_ICW3:
		chip->init_state = chip->init4 ? WANTS_ICW4 : READY;
		break;
	case WANTS_ICW4:
		chip->special_fully_nested_mode = !!(value & ICW4_SFNM);
		chip->auto_eoi = !!(value & ICW4_AEOI);
		chip->init_state = READY;
		break;
	}
}

static void even_write(struct pic *pic, unsigned int number, uint8_t value)
{
	if (value & ICW1)
		chip_init(pic, number, value);
	else if (value & OCW3)
		ocw3_write(&pic->chips[number], value);
	else
		ocw2_write(pic, number, value);
}

/*
 * The poll word's read is the acknowledge. As in KVM (finding 0602), it is the level without bit 7, nothing comes into
 * service, and the master forgets the slave's request.
 */
static uint8_t poll_read(struct pic *pic, unsigned int number)
{
	int level = request_highest(pic, number);

	pic->chips[number].poll = 0;
	if (level == NONE) {
		output_update(pic);
		return 7;
	}
	if (number == 1) {
		pic->chips[0].isr &= ~(1 << CASCADE);
		pic->chips[0].irr &= ~(1 << CASCADE);
	}
	pic->chips[number].irr &= ~(1 << level);
	level_end(pic, number, level);
	if (number == 1 || level != CASCADE)
		output_update(pic);
	return level;
}

static uint8_t chip_read(struct pic *pic, unsigned int number, bool is_odd)
{
	const struct kvm_pic_state *chip = &pic->chips[number];

	if (chip->poll)
		return poll_read(pic, number);
	if (is_odd)
		return chip->imr;
	return chip->read_reg_select ? chip->isr : chip->irr;
}

void pic_init(struct pic *pic, const struct pic_owner *owner)
{
	memset(pic, 0, sizeof(*pic));
	/* The timer, keyboard, cascade, RTC and coprocessor lines are edges for good. */
	pic->chips[0].elcr_mask = 0xf8;
	pic->chips[1].elcr_mask = 0xde;
	pic->owner = *owner;
}

int pic_line_set(struct pic *pic, unsigned int pin, bool level)
{
	int result = chip_line_set(&pic->chips[pin / NR_LEVELS], pin % NR_LEVELS, level);

	output_update(pic);
	return result;
}

uint8_t pic_acknowledge(struct pic *pic)
{
	int level = request_highest(pic, 0);
	unsigned int number = 0;

	pic->output = false;
	if (level != NONE)
		level_take(pic, 0, level);
	if (level == CASCADE) {
		number = 1;
		level = request_highest(pic, 1);
		if (level != NONE)
			level_take(pic, 1, level);
	}
	if (level == NONE)
		level = 7;	/* spurious: nothing comes into service at that chip */
	output_update(pic);
	return pic->chips[number].irq_base + level;
}

int pic_io_read(void *opaque, uint64_t port, unsigned int len, void *data)
{
	struct pic *pic = opaque;
	uint8_t *byte = data;

	memset(data, 0, len);
	if (len != 1)
		return 0;
	switch (port) {
	case 0x20: case 0x21:
	case 0xa0: case 0xa1:
		*byte = chip_read(pic, port >> 7, port & 1);
		return 0;
	case 0x4d0: case 0x4d1:
		*byte = pic->chips[port & 1].elcr;
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

int pic_io_write(void *opaque, uint64_t port, unsigned int len, const void *data)
{
	struct pic *pic = opaque;
	uint8_t byte = *(const uint8_t *)data;

	if (len != 1)
		return 0;
	switch (port) {
	case 0x20: case 0xa0:
		even_write(pic, port >> 7, byte);
		return 0;
	case 0x21: case 0xa1:
		odd_write(pic, port >> 7, byte);
		return 0;
	case 0x4d0: case 0x4d1:
		pic->chips[port & 1].elcr = byte & pic->chips[port & 1].elcr_mask;
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

void pic_state_get(const struct pic *pic, unsigned int chip, struct kvm_pic_state *ret_state)
{
	*ret_state = pic->chips[chip];
}

void pic_state_set(struct pic *pic, unsigned int chip, const struct kvm_pic_state *state)
{
	pic->chips[chip] = *state;
	output_update(pic);
}
