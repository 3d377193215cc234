/* SPDX-License-Identifier: MIT */
#include "case.h"

CASE(triple_fault, .says = "a guest without an IDT survives #UD", .modes = LONG64)

GUEST(triple_fault)
{
	static const struct {
		uint16_t limit;
		ulong_t base;
	} __attribute__((packed)) none = { 0, 0 };

	__asm__ volatile("lidt %0\n\tud2" : : "m"(none));
}

HOST(triple_fault)
{
	expect_done(t);	/* here */
}
