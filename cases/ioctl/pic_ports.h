/* SPDX-License-Identifier: MIT */
/*
 * The two 8259A of a PC, by their ports, and the words of their commands. Source: Intel 8259A datasheet (231468).
 */
#ifndef VMASSAY_PIC_PORTS_H
#define VMASSAY_PIC_PORTS_H

#define MASTER 0x20		/* ICW1, OCW2, OCW3; reads IRR or ISR */
#define MASTER_MASK 0x21	/* ICW2-4, OCW1 */
#define SLAVE 0xa0
#define SLAVE_MASK 0xa1
#define MASTER_ELCR 0x4d0	/* a bit set: that input is level-triggered */
#define SLAVE_ELCR 0x4d1

#define ICW1 0x11		/* edge, cascade, ICW4 follows */
#define ICW1_NO_ICW4 0x10
#define ICW4_8086 0x01
#define ICW4_AEOI 0x02
#define ICW4_SFNM 0x10
#define EOI 0x20
#define EOI_OF(irq_) (0x60 | (irq_))
#define ROTATE_EOI 0xa0
#define ROTATE_EOI_OF(irq_) (0xe0 | (irq_))
#define SET_LOWEST(irq_) (0xc0 | (irq_))
#define ROTATE_AEOI_SET 0x80
#define ROTATE_AEOI_CLEAR 0x00
#define OCW2_NOTHING 0x40
#define READ_IRR 0x0a
#define READ_ISR 0x0b
#define POLL 0x0c
#define SPECIAL_MASK_SET 0x68
#define SPECIAL_MASK_CLEAR 0x48

/* The whole sequence for one chip; the third word tells the cascade. */
#define MASTER_INIT(icw4_) OUT8(MASTER, ICW1), OUT8(MASTER_MASK, 0x20), OUT8(MASTER_MASK, 4), OUT8(MASTER_MASK, icw4_)
#define SLAVE_INIT(icw4_) OUT8(SLAVE, ICW1), OUT8(SLAVE_MASK, 0x28), OUT8(SLAVE_MASK, 2), OUT8(SLAVE_MASK, icw4_)
/* Vectors 0x20-0x27 and 0x28-0x2f. */
#define PIC_INIT MASTER_INIT(ICW4_8086), SLAVE_INIT(ICW4_8086)

#endif
