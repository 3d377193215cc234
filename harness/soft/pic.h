/* SPDX-License-Identifier: MIT */
/*
 * A PC's pair of 8259A interrupt controllers, with the edge/level control registers (ELCR) of the chipset. The state of
 * each is the one that KVM_GET_IRQCHIP has.
 *
 * Source: Intel 8259A data sheet; 82371SB (PIIX3) data sheet, ELCR. Where KVM differs from the data sheet (findings
 * 0601 to 0603: special mask, poll word, fully nested mode), this is as KVM.
 */
#ifndef VMASSAY_SOFT_PIC_H
#define VMASSAY_SOFT_PIC_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

#define PIC_NR_PINS 16

/* Each may be NULL. */
struct pic_owner {
	void *opaque;
	void (*acked)(void *opaque, unsigned int pin);			/* an interrupt of @pin was ended */
	void (*masked)(void *opaque, unsigned int pin, bool is_masked);	/* its mask changed */
	void (*raised)(void *opaque);					/* the INTR line rose */
};

struct pic {
	struct kvm_pic_state chips[2];	/* master, slave */
	bool output;			/* the INTR line */
	struct pic_owner owner;
};

void pic_init(struct pic *pic, const struct pic_owner *owner);
/*
 * The level of line @pin (0 to 15). Returns as KVM_IRQ_LINE_STATUS does: 1 a request, 0 one that was there already,
 * -1 masked.
 */
int pic_line_set(struct pic *pic, unsigned int pin, bool level);
/* The interrupt acknowledge cycles: the vector of the highest request, and spurious ones without one. */
uint8_t pic_acknowledge(struct pic *pic);
/* Only bytes are for the chips: -EOPNOTSUPP for ports that are not theirs. Other lengths are taken and do nothing. */
int pic_io_read(void *pic, uint64_t port, unsigned int len, void *data);
int pic_io_write(void *pic, uint64_t port, unsigned int len, const void *data);
/* @chip: KVM_IRQCHIP_PIC_MASTER or _SLAVE. */
void pic_state_get(const struct pic *pic, unsigned int chip, struct kvm_pic_state *ret_state);
void pic_state_set(struct pic *pic, unsigned int chip, const struct kvm_pic_state *state);

#endif
