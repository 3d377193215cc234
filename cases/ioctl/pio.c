/* SPDX-License-Identifier: MIT */
#include "case.h"

CASE(pio, .says = "x", .modes = EVERY_MODE | LA57)

GUEST(pio)
{
	struct fault f;

	out8(0x80, 0x5a);
	CHECK_EQ(0x12345678, in32(0x90));
	f = TRY("ud2", :);
	CHECK_FAULT(UD_VECTOR, 0, f);
	write32(mmio_base() + 4, 0x1234);
	CHECK_EQ(0x77, read8(mmio_base()));
}

HOST(pio)
{
	uint64_t base = test_mmio_gpa(t);

	expect_pio_out(t, .port = 0x80, .size = 1, .count = 1, .data = 0x5a);
	expect_pio_in(t, 0x12345678, .port = 0x90, .size = 4, .count = 1);
	expect_mmio_write(t, .phys_addr = base + 4, .len = 4, .data = 0x1234);
	expect_mmio_read(t, 0x77, .phys_addr = base, .len = 1);
	expect_done(t);
}
