/* SPDX-License-Identifier: MIT */
/*
 * MOV to and from debug registers: values read back, DR4 and DR5 are DR6 and DR7 unless CR4.DE makes them #UD, the
 * upper halves of DR6 and DR7 are #GP(0), and with DR7.GD every access is #DB with DR6.BD and GD cleared. KVM takes the
 * first access, hands the registers to the guest, and loads them at each entry from then on.
 *
 * Can break: a register lost when the guest gets them; DR6 of the host's in the guest; a check that only the CPU makes.
 * Source: APM vol. 2, 13.1.1 and 8.2.2; SDM vol. 3B, 17.2.
 */
#include "cases/mmu/forced.h"

#define DR7_GD (1ul << 13)
#define DR6_BD (1ul << 13)
#define DR6_CLEAR 0xffff0ff0ul
#define DR7_CLEAR 0x400ul
#define UPPER ((ulong_t)(1ull << 32))

static struct fault dr_write(unsigned int number, ulong_t value, bool forced)
{
	switch (number + (forced ? 8 : 0)) {
	case 0: return TRY("mov %0, %%dr0", : : "r"(value) : "memory");
	case 1: return TRY("mov %0, %%dr1", : : "r"(value) : "memory");
	case 2: return TRY("mov %0, %%dr2", : : "r"(value) : "memory");
	case 3: return TRY("mov %0, %%dr3", : : "r"(value) : "memory");
	/* DR4 and DR5 by opcode: from the A register. */
	case 4: return TRY(".byte 0x0f, 0x23, 0xe0", : : "a"(value) : "memory");
	case 5: return TRY(".byte 0x0f, 0x23, 0xe8", : : "a"(value) : "memory");
	case 6: return TRY("mov %0, %%dr6", : : "r"(value) : "memory");
	case 7: return TRY("mov %0, %%dr7", : : "r"(value) : "memory");
	case 8: return TRY_FORCED("mov %0, %%dr0", : : "r"(value) : "memory");
	case 11: return TRY_FORCED("mov %0, %%dr3", : : "r"(value) : "memory");
	case 12: return TRY_FORCED(".byte 0x0f, 0x23, 0xe0", : : "a"(value) : "memory");
	case 13: return TRY_FORCED(".byte 0x0f, 0x23, 0xe8", : : "a"(value) : "memory");
	case 14: return TRY_FORCED("mov %0, %%dr6", : : "r"(value) : "memory");
	default: return TRY_FORCED("mov %0, %%dr7", : : "r"(value) : "memory");
	}
}

static struct fault dr_read(unsigned int number, ulong_t *value, bool forced)
{
	switch (number + (forced ? 8 : 0)) {
	case 0: return TRY("mov %%dr0, %0", : "+r"(*value) : : "memory");
	case 1: return TRY("mov %%dr1, %0", : "+r"(*value) : : "memory");
	case 2: return TRY("mov %%dr2, %0", : "+r"(*value) : : "memory");
	case 3: return TRY("mov %%dr3, %0", : "+r"(*value) : : "memory");
	case 4: return TRY(".byte 0x0f, 0x21, 0xe0", : "+a"(*value) : : "memory");
	case 5: return TRY(".byte 0x0f, 0x21, 0xe8", : "+a"(*value) : : "memory");
	case 6: return TRY("mov %%dr6, %0", : "+r"(*value) : : "memory");
	case 7: return TRY("mov %%dr7, %0", : "+r"(*value) : : "memory");
	case 8: return TRY_FORCED("mov %%dr0, %0", : "+r"(*value) : : "memory");
	case 11: return TRY_FORCED("mov %%dr3, %0", : "+r"(*value) : : "memory");
	case 12: return TRY_FORCED(".byte 0x0f, 0x21, 0xe0", : "+a"(*value) : : "memory");
	case 13: return TRY_FORCED(".byte 0x0f, 0x21, 0xe8", : "+a"(*value) : : "memory");
	case 14: return TRY_FORCED("mov %%dr6, %0", : "+r"(*value) : : "memory");
	default: return TRY_FORCED("mov %%dr7, %0", : "+r"(*value) : : "memory");
	}
}

struct row {
	ROW_FIELDS;
	uint8_t number;
	bool forced;
	ulong_t value, reads;	/* @reads 0: as written */
	bool de, gd;
	int32_t vector;		/* 0: it is legal */
};

#define FORCED .forced = true, .needs = FORCED_NEEDS
#define BOTH(label_, ...) { .label = label_, __VA_ARGS__ }, { .label = label_ "_forced", FORCED, __VA_ARGS__ }

static const struct row rows[] = {
	BOTH("dr0", .number = 0, .value = 0x12345678),
	{ .label = "dr1", .number = 1, .value = 0x9abcdef0 },
	{ .label = "dr2", .number = 2, .value = 0x0fedcba9 },
	BOTH("dr3", .number = 3, .value = 0x87654321),
	{ .label = "dr0_64", .modes = LONG64, .number = 0, .value = (ulong_t)0x123456789abcdef0ull },
	BOTH("dr6_zero", .number = 6, .value = 0, .reads = DR6_CLEAR),
	BOTH("dr6_bits", .number = 6, .value = 0xe00f, .reads = DR6_CLEAR | 0xe00f),
	BOTH("dr7_zero", .number = 7, .value = 0, .reads = DR7_CLEAR),
	BOTH("dr7_fields", .number = 7, .value = 0xffff0000, .reads = 0xffff0000 | DR7_CLEAR),
	BOTH("dr4_is_dr6", .number = 4, .value = 0x4001, .reads = DR6_CLEAR | 0x4001),
	BOTH("dr5_is_dr7", .number = 5, .value = 0x300, .reads = 0x300 | DR7_CLEAR),
	BOTH("dr4_de", .number = 4, .de = true, .vector = UD_VECTOR),
	BOTH("dr5_de", .number = 5, .de = true, .vector = UD_VECTOR),
	BOTH("dr6_de", .number = 6, .de = true, .value = 0x4000, .reads = DR6_CLEAR | 0x4000),
	/* What the CPU of lab-svm does not check by itself. */
	{ .label = "dr6_upper_forced", FORCED, .modes = LONG64, .number = 6, .value = UPPER, .vector = GP_VECTOR },
	{ .label = "dr7_upper_forced", FORCED, .modes = LONG64, .number = 7, .value = UPPER, .vector = GP_VECTOR },
	{ .label = "dr0_gd_forced", FORCED, .number = 0, .value = 1, .gd = true, .vector = DB_VECTOR },
	{ .label = "dr3_gd_forced", FORCED, .number = 3, .value = 1, .gd = true, .vector = DB_VECTOR },
	{ .label = "dr7_gd_forced", FORCED, .number = 7, .value = 1, .gd = true, .vector = DB_VECTOR },
};

CASE(dr_rules, .says = "debug registers take, refuse and read back what the manuals say", .modes = PAE32 | LONG64,
     .rows = ROWS(rows))

/* The registers that an access of number @number does not concern. */
static void others_check(unsigned int number, unsigned int round)
{
	if (number != 1)
		CHECK_EQ(0x1100 + round, read_dr1());
	if (number != 2)
		CHECK_EQ(0x2200 + round, read_dr2());
}

static void access_refused(const struct row *row)
{
	ulong_t value = 0x77, before = row->number == 0 ? read_dr0() : row->number == 3 ? read_dr3() : 0;
	struct fault f;

	/* From here on, every access is #DB. */
	if (row->gd)
		write_dr7(DR7_CLEAR | DR7_GD);
	f = dr_write(row->number, row->value, row->forced);
	CHECK_FAULT(row->vector, 0, f);
	if (row->number == 0)
		CHECK_EQ(before, read_dr0());
	if (row->number == 3)
		CHECK_EQ(before, read_dr3());
	if (row->gd) {
		CHECK_EQ(DR6_CLEAR | DR6_BD, read_dr6());
		CHECK_EQ(DR7_CLEAR, read_dr7() & ~DR7_GD);
		return;
	}
	CHECK_EQ(DR6_CLEAR, read_dr6());
	CHECK_EQ(DR7_CLEAR, read_dr7());
	if (row->vector == UD_VECTOR) {
		f = dr_read(row->number, &value, row->forced);
		CHECK_FAULT(UD_VECTOR, 0, f);
		CHECK_EQ(0x77, value);
	}
}

static void access_taken(const struct row *row)
{
	ulong_t want = row->reads ? row->reads : row->value, value = 0;
	struct fault f = dr_write(row->number, row->value, row->forced);

	CHECK_NO_FAULT(f);
	f = dr_read(row->number, &value, row->forced);
	CHECK_NO_FAULT(f);
	CHECK_EQ(want, value);
	/* An exit in between: the registers come back. */
	(void)in8(0x80);
	f = dr_read(row->number, &value, false);
	CHECK_NO_FAULT(f);
	CHECK_EQ(want, value);
	CHECK_EQ(row->number == 6 || row->number == 4 ? want : DR6_CLEAR, read_dr6());
	CHECK_EQ(row->number == 7 || row->number == 5 ? want : DR7_CLEAR, read_dr7());
	write_dr7(DR7_CLEAR);
	write_dr6(DR6_CLEAR);
}

GUEST(dr_rules)
{
	const struct row *row = GUEST_ROW(rows);
	unsigned int round;

	if (row->de)
		write_cr4(read_cr4() | X86_CR4_DE);
	for (round = 0; round < 2; round++) {
		write_dr1(0x1100 + round);
		write_dr2(0x2200 + round);
		write_dr6(DR6_CLEAR);
		write_dr7(DR7_CLEAR);
		if (row->vector)
			access_refused(row);
		else
			access_taken(row);
		others_check(row->number, round);
		/* With GD still on, a CPU that checks it would stop here. */
		if (row->gd)
			return;
	}
}

HOST(dr_rules)
{
	unsigned int round;

	if (!ROW(t, rows)->vector)
		for (round = 0; round < 2; round++)
			expect_pio_in(t, 0, .port = 0x80, .size = 1, .count = 1);
	expect_done(t);
}
