/* SPDX-License-Identifier: MIT */
/*
 * The IOAPIC (Intel 82093AA datasheet, 3.0) and the local APIC (SDM vol. 3A, 11.4.1) by their addresses.
 */
#ifndef VMASSAY_IOAPIC_REGS_H
#define VMASSAY_IOAPIC_REGS_H

#define IOREGSEL 0xfec00000
#define IOWIN 0xfec00010
#define IOAPIC_ID 0x00
#define IOAPIC_VERSION 0x01
#define IOAPIC_ARB 0x02
#define IOREDTBL(pin_) (0x10 + 2 * (pin_))
#define IOREDTBL_HIGH(pin_) (0x11 + 2 * (pin_))

/* A redirection table entry's lower half. */
#define RT_LOWEST 0x100
#define RT_NMI 0x400
#define RT_INIT 0x500
#define RT_EXTINT 0x700
#define RT_LOGICAL 0x800
#define RT_STATUS 0x1000
#define RT_LOW_ACTIVE 0x2000
#define RT_REMOTE_IRR 0x4000
#define RT_LEVEL 0x8000
#define RT_MASKED 0x10000

#define IO_WRITE(index_, value_) WRITE32(IOREGSEL, index_), WRITE32(IOWIN, value_)
#define IO_READ(index_, want_) WRITE32(IOREGSEL, index_), READ32(IOWIN, want_)
/* The destination first, as the entry may come to life with its lower half. */
#define IO_ENTRY(pin_, destination_, low_)						\
	IO_WRITE(IOREDTBL_HIGH(pin_), (uint32_t)(destination_) << 24), IO_WRITE(IOREDTBL(pin_), low_)

#endif
