/* SPDX-License-Identifier: MIT */
/*
 * INT n in real mode by KVM's emulator needs a stack of six bytes: where a word of the three would lie across the
 * segment's limit, there is #SS and the interrupt is not carried out.
 *
 * Can break: the first or the second of the pushes fails and the others go on, into a handler with a broken frame.
 * Cannot tell: #SS from a shutdown; a CPU that delivers the #SS on the same stack ends in one, QEMU's has no limits.
 * Source: SDM vol. 2A, INT n (real-address mode); APM vol. 3, INT; APM vol. 2, 8.2.13.
 */
#include "cases/ioctl/emulate.h"

#define VECTOR 0x21

EMU(int_stack, WIDTH_(16) INSN_("int $0x21"))

static const struct emu_row row = { EMU_OF(int_stack) };

CASE(emulate_int_stack, .says = "INT n by KVM's emulator is not carried out when its frame is across SS's limit",
     .modes = REAL16, .needs = EMU_NEEDS,
     /* Its CPU has limits there: each #SS is a shutdown, and the next stack is met in what is left of the MMU. */
     .known = { "0104-hang-after-shutdown-without-paging", "lab-svm-bochs", .is_skipped = true })

/* A push from 1 wraps to ffffh, of which the second byte is beyond the limit; one from 0 is to fffeh, which is legal. */
static bool is_refused(uint16_t sp)
{
	return sp == 1 || sp == 3 || sp == 5;
}

static void each_stack(struct emu *emu)
{
	static const struct emu_values values;
	static struct emu_outcome outcome;
	uint16_t sp;

	for (sp = 0; sp < 8; sp++) {
		test_say(emu->t, "SP is %u", sp);
		emu_combine(emu, &values, 0);
		emu->regs.rsp = sp;
		emu_run(emu, true, &outcome);
		if (!is_refused(sp))
			expect_eq(emu->t, VECTOR, (uint32_t)outcome.vector);
		else if (outcome.exit_reason != KVM_EXIT_SHUTDOWN)
			expect_eq(emu->t, SS_VECTOR, (uint32_t)outcome.vector);
	}
}

GUEST(emulate_int_stack)
{
}

HOST(emulate_int_stack)
{
	emu_row_each(t, &row, each_stack);
}
