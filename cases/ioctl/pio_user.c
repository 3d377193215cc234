/* SPDX-License-Identifier: MIT */
/*
 * Port I/O at CPL 3: with CPL > IOPL every bit of the operand's ports must be clear in the TSS's permission map, which
 * must lie within the TSS's limit; otherwise #GP(0), and user space hears nothing. With CPL <= IOPL the map is not
 * read, and at CPL 0 neither.
 *
 * A 16- or 32-bit access checks two or four bits, and these may be in two bytes; the CPU reads two bytes of the map
 * for any access, so that the last byte of the map needs another behind it within the limit. The map here starts at
 * offset 0x70 of a TSS whose limit the guest sets. INS and OUTS are checked by KVM, IN and OUT by the CPU.
 *
 * Can break: only the first of the operand's bits is checked; IOPL compared wrongly; the limit off by one; the map
 * looked up at a fixed offset.
 * Source: APM vol. 2, 12.2.4 (I/O-permission bitmap) and 12.2.5; APM vol. 3, IN, OUT, INS, OUTS.
 */
#include "case.h"

#define MAP 0x70
#define NR_MAP_BYTES 0x20	/* ports 0 to 0xff, if the limit allows */

enum access { DO_IN8, DO_OUT8, DO_IN16, DO_OUT16, DO_IN32, DO_OUT32, DO_OUTSB, DO_INSB, DO_OUTSW };

static const struct row {
	ROW_FIELDS;
	enum access access;
	uint16_t port;
	uint8_t iopl;
	uint16_t limit;		/* of the TSS; 0: all of the map and a byte behind it */
	uint16_t denied;	/* the port whose bit is set; NO_PORT: none */
	bool faults;
} rows[] = {
#define NO_PORT 0xffff
#define PORT_ROW(label_, access_, port_, denied_, faults_, ...)				\
	{ .label = label_, .access = access_, .port = port_, .denied = denied_, .faults = faults_, __VA_ARGS__ }
	PORT_ROW("out8_clear", DO_OUT8, 0x43, NO_PORT, false),
	PORT_ROW("out8_set", DO_OUT8, 0x43, 0x43, true),
	PORT_ROW("out8_bit_below", DO_OUT8, 0x43, 0x42, false),
	PORT_ROW("out8_bit_above", DO_OUT8, 0x43, 0x44, false),
	PORT_ROW("in8_clear", DO_IN8, 0x43, NO_PORT, false),
	PORT_ROW("in8_set", DO_IN8, 0x43, 0x43, true),
	PORT_ROW("in8_bit_7", DO_IN8, 0x47, 0x47, true),
	PORT_ROW("in8_next_byte", DO_IN8, 0x47, 0x48, false),
	PORT_ROW("out16_first", DO_OUT16, 0x43, 0x43, true),
	PORT_ROW("out16_second", DO_OUT16, 0x43, 0x44, true),
	PORT_ROW("out16_third", DO_OUT16, 0x43, 0x45, false),
	PORT_ROW("out16_second_byte", DO_OUT16, 0x47, 0x48, true),
	PORT_ROW("in16_second", DO_IN16, 0x43, 0x44, true),
	PORT_ROW("in16_clear", DO_IN16, 0x43, 0x42, false),
	PORT_ROW("out32_fourth", DO_OUT32, 0x43, 0x46, true),
	PORT_ROW("out32_fifth", DO_OUT32, 0x43, 0x47, false),
	PORT_ROW("in32_second_byte", DO_IN32, 0x46, 0x48, true),
	PORT_ROW("in32_clear", DO_IN32, 0x46, 0x45, false),
	PORT_ROW("outsb_clear", DO_OUTSB, 0x43, NO_PORT, false),
	PORT_ROW("outsb_set", DO_OUTSB, 0x43, 0x43, true),
	PORT_ROW("outsw_second_byte", DO_OUTSW, 0x47, 0x48, true),
	PORT_ROW("outsw_third", DO_OUTSW, 0x47, 0x49, false),
	PORT_ROW("insb_set", DO_INSB, 0x43, 0x43, true),
	PORT_ROW("insb_clear", DO_INSB, 0x43, 0x44, false),
	PORT_ROW("iopl3_set", DO_OUT8, 0x43, 0x43, false, .iopl = 3),
	PORT_ROW("iopl3_insb_set", DO_INSB, 0x43, 0x43, false, .iopl = 3),
	PORT_ROW("iopl2_set", DO_OUT8, 0x43, 0x43, true, .iopl = 2),
	PORT_ROW("iopl2_outsb_set", DO_OUTSB, 0x43, 0x43, true, .iopl = 2),
	PORT_ROW("iopl2_clear", DO_IN8, 0x43, 0x42, false, .iopl = 2),
	PORT_ROW("iopl3_no_map", DO_IN8, 0x43, NO_PORT, false, .iopl = 3, .limit = 0x67),
	PORT_ROW("no_map", DO_OUT8, 0, NO_PORT, true, .limit = 0x67),
	PORT_ROW("no_map_outsb", DO_OUTSB, 0, NO_PORT, true, .limit = 0x67),
	PORT_ROW("limit_last", DO_OUT8, 0x47, NO_PORT, false, .limit = MAP + 9),
	PORT_ROW("limit_one_short", DO_OUT8, 0x47, NO_PORT, true, .limit = MAP + 8),
	PORT_ROW("limit_next_byte", DO_OUT8, 0x48, NO_PORT, true, .limit = MAP + 9),
	PORT_ROW("limit_last_outsb", DO_OUTSB, 0x47, NO_PORT, false, .limit = MAP + 9),
	PORT_ROW("limit_one_short_outsb", DO_OUTSB, 0x47, NO_PORT, true, .limit = MAP + 8),
	PORT_ROW("port_100_behind_map", DO_OUT8, 0x110, NO_PORT, true),
};

CASE(pio_user, .says = "CPL 3 reaches just the ports that IOPL or the TSS's map allow, others are #GP(0)",
     .modes = PROT32 | LONG64, .rows = ROWS(rows))

static struct {
	uint32_t value;
	uint32_t beyond;
} buffer;

static void access_port(void *argument)
{
	const struct row *row = argument;
	void *at = &buffer;

	switch (row->access) {
	case DO_IN8:
		buffer.value = in8(row->port);
		break;
	case DO_OUT8:
		out8(row->port, 0xa8);
		break;
	case DO_IN16:
		buffer.value = in16(row->port);
		break;
	case DO_OUT16:
		out16(row->port, 0xa7a8);
		break;
	case DO_IN32:
		buffer.value = in32(row->port);
		break;
	case DO_OUT32:
		out32(row->port, 0xa5a6a7a8);
		break;
	case DO_OUTSB:
		__asm__ volatile("outsb" : "+S"(at) : "d"(row->port) : "memory");
		break;
	case DO_OUTSW:
		__asm__ volatile("outsw" : "+S"(at) : "d"(row->port) : "memory");
		break;
	case DO_INSB:
		__asm__ volatile("insb" : "+D"(at) : "d"(row->port) : "memory");
		break;
	}
}

static bool is_in(enum access access)
{
	return access == DO_IN8 || access == DO_IN16 || access == DO_IN32 || access == DO_INSB;
}

static unsigned int access_bytes(enum access access)
{
	if (access == DO_IN32 || access == DO_OUT32)
		return 4;
	return access == DO_IN16 || access == DO_OUT16 || access == DO_OUTSW ? 2 : 1;
}

/* Note, in8() and in16() zero-extend what they return. */
static uint32_t value_after(enum access access)
{
	if (access == DO_INSB)
		return 0xa5a6a734;
	return is_in(access) ? 0x71727334 & (0xffffffffu >> (32 - 8 * access_bytes(access))) : 0xa5a6a7a8;
}

/*
 * Note, by LTR and not from the host: QEMU 7.2 only takes a TSS for one when LTR has loaded it, not when VMRUN has (its
 * type is "busy" then).
 */
static void tss_load(uint16_t limit)
{
	write16(GDT_GPA + SEL_TSS, limit);
	write8(GDT_GPA + SEL_TSS + 5, 0x89);
	__asm__ volatile("ltr %w0" : : "r"(SEL_TSS) : "memory");
}

GUEST(pio_user)
{
	const struct row *row = GUEST_ROW(rows);
	uint8_t *tss = (uint8_t *)(ulong_t)TSS_GPA;
	struct fault f;

	write16((ulong_t)tss + 0x66, MAP);
	memset(tss + MAP, 0, NR_MAP_BYTES);
	tss[MAP + NR_MAP_BYTES] = 0xff;
	if (row->denied != NO_PORT)
		tss[MAP + row->denied / 8] |= 1 << row->denied % 8;
	tss_load(row->limit ? row->limit : MAP + NR_MAP_BYTES);
	buffer.value = 0xa5a6a7a8;
	buffer.beyond = 0x5eed5eed;
	write_flags(read_flags() | (ulong_t)row->iopl << 12);
	f = guest_catch_user(access_port, (void *)row);
	if (row->faults) {
		CHECK_FAULT(GP_VECTOR, 0, f);
		CHECK_EQ(0xa5a6a7a8, buffer.value);
	} else {
		CHECK_NO_FAULT(f);
		CHECK_EQ(value_after(row->access), buffer.value);
	}
	CHECK_EQ(0x5eed5eed, buffer.beyond);
	/* CPL 0 never asks the map. */
	out8(row->port, 0x77);
}

HOST(pio_user)
{
	const struct row *row = ROW(t, rows);
	unsigned int size = access_bytes(row->access);

	if (!row->faults && is_in(row->access))
		expect_pio_in(t, 0x71727334, .port = row->port, .size = size, .count = 1);
	else if (!row->faults)
		expect_pio_out(t, .port = row->port, .size = size, .count = 1,
			       .data = 0xa5a6a7a8 & (0xffffffffu >> (32 - 8 * size)));
	expect_pio_out(t, .port = row->port, .size = 1, .count = 1, .data = 0x77);
	expect_done(t);
}
