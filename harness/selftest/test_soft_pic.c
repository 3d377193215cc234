/* SPDX-License-Identifier: MIT */
/* The 8259A pair against its data sheet, by the ports. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "harness/soft/pic.h"

#define EOI 0x20
#define READ_IRR 0x0a
#define READ_ISR 0x0b

struct seen {
	struct pic pic;
	uint32_t acked;		/* a bit for each pin */
	unsigned int nr_raised;
};

static void on_acked(void *opaque, unsigned int pin)
{
	((struct seen *)opaque)->acked |= 1u << pin;
}

static void on_raised(void *opaque)
{
	((struct seen *)opaque)->nr_raised++;
}

static void out(struct seen *seen, uint16_t port, uint8_t value)
{
	assert_int_equal(pic_io_write(&seen->pic, port, 1, &value), 0);
}

static uint8_t in(struct seen *seen, uint16_t port)
{
	uint8_t value;

	assert_int_equal(pic_io_read(&seen->pic, port, 1, &value), 0);
	return value;
}

static void chip_start(struct seen *seen, uint16_t port, uint8_t base, uint8_t icw4)
{
	out(seen, port, 0x11);
	out(seen, port + 1, base);
	out(seen, port + 1, port == 0x20 ? 4 : 2);
	out(seen, port + 1, icw4);
}

static void start(struct seen *seen, uint8_t icw4)
{
	const struct pic_owner owner = { .opaque = seen, .acked = on_acked, .raised = on_raised };

	*seen = (struct seen){ .acked = 0 };
	pic_init(&seen->pic, &owner);
	chip_start(seen, 0x20, 0x20, icw4);
	chip_start(seen, 0xa0, 0x28, 1);
}

static void pulse(struct seen *seen, unsigned int pin)
{
	pic_line_set(&seen->pic, pin, true);
	pic_line_set(&seen->pic, pin, false);
}

static void test_priority(void **state)
{
	struct seen seen;

	(void)state;
	start(&seen, 1);
	pulse(&seen, 5);
	pulse(&seen, 3);
	assert_int_equal(in(&seen, 0x20), 0x28);
	assert_true(seen.pic.output);
	assert_int_equal(seen.nr_raised, 1);
	assert_int_equal(pic_acknowledge(&seen.pic), 0x23);
	assert_false(seen.pic.output);	/* 5 waits for the end of 3 */
	pulse(&seen, 0);
	assert_int_equal(pic_acknowledge(&seen.pic), 0x20);
	out(&seen, 0x20, READ_ISR);
	assert_int_equal(in(&seen, 0x20), 0x09);
	out(&seen, 0x20, EOI);
	assert_int_equal(in(&seen, 0x20), 0x08);
	assert_int_equal(seen.acked, 1);
	out(&seen, 0x20, EOI);
	assert_int_equal(pic_acknowledge(&seen.pic), 0x25);
}

static void test_cascade(void **state)
{
	struct seen seen;

	(void)state;
	start(&seen, 1);
	pulse(&seen, 12);
	assert_int_equal(pic_acknowledge(&seen.pic), 0x2c);
	out(&seen, 0x20, READ_ISR);
	out(&seen, 0xa0, READ_ISR);
	assert_int_equal(in(&seen, 0x20), 4);
	assert_int_equal(in(&seen, 0xa0), 0x10);
	pulse(&seen, 9);
	assert_false(seen.pic.output);
	out(&seen, 0xa0, EOI);
	out(&seen, 0x20, EOI);
	assert_int_equal(seen.acked, 1u << 12 | 1u << 2);
	assert_int_equal(pic_acknowledge(&seen.pic), 0x29);
}

static void test_spurious(void **state)
{
	struct seen seen;

	(void)state;
	start(&seen, 1);
	assert_int_equal(pic_acknowledge(&seen.pic), 0x27);
	out(&seen, 0x20, READ_ISR);
	assert_int_equal(in(&seen, 0x20), 0);
	out(&seen, 0x4d1, 0x08);
	pic_line_set(&seen.pic, 11, true);
	pic_line_set(&seen.pic, 11, false);
	assert_int_equal(pic_acknowledge(&seen.pic), 0x2f);
	assert_int_equal(in(&seen, 0x20), 4);
}

static void test_level(void **state)
{
	struct seen seen;

	(void)state;
	start(&seen, 1);
	out(&seen, 0x4d0, 0xff);
	assert_int_equal(in(&seen, 0x4d0), 0xf8);
	assert_int_equal(pic_line_set(&seen.pic, 5, true), 1);
	assert_int_equal(pic_line_set(&seen.pic, 5, true), 0);
	assert_int_equal(pic_acknowledge(&seen.pic), 0x25);
	out(&seen, 0x20, EOI);
	assert_int_equal(pic_acknowledge(&seen.pic), 0x25);
	pic_line_set(&seen.pic, 5, false);
	out(&seen, 0x20, EOI);
	assert_false(seen.pic.output);
}

static void test_rotation(void **state)
{
	struct seen seen;

	(void)state;
	start(&seen, 1);
	out(&seen, 0x20, 0xc4);		/* 4 is the lowest */
	pulse(&seen, 4);
	pulse(&seen, 3);
	pulse(&seen, 6);
	assert_int_equal(pic_acknowledge(&seen.pic), 0x26);
	out(&seen, 0x20, 0xa0);		/* rotate: 6 is */
	assert_int_equal(pic_acknowledge(&seen.pic), 0x23);
	out(&seen, 0x20, 0x63);
	assert_int_equal(pic_acknowledge(&seen.pic), 0x24);
}

static void test_automatic_end(void **state)
{
	struct seen seen;

	(void)state;
	start(&seen, 3);
	out(&seen, 0x20, 0x80);		/* and rotate */
	pulse(&seen, 3);
	assert_int_equal(pic_acknowledge(&seen.pic), 0x23);
	assert_int_equal(seen.acked, 1u << 3);
	pulse(&seen, 3);
	pulse(&seen, 1);
	pulse(&seen, 4);
	assert_int_equal(pic_acknowledge(&seen.pic), 0x24);
	assert_int_equal(pic_acknowledge(&seen.pic), 0x21);
	assert_int_equal(pic_acknowledge(&seen.pic), 0x23);
}

static void test_mask(void **state)
{
	struct seen seen;

	(void)state;
	start(&seen, 1);
	out(&seen, 0x21, 0x10);
	assert_int_equal(pic_line_set(&seen.pic, 4, true), -1);
	assert_false(seen.pic.output);
	assert_int_equal(in(&seen, 0x21), 0x10);
	out(&seen, 0x21, 0);
	assert_int_equal(pic_acknowledge(&seen.pic), 0x24);
	chip_start(&seen, 0x20, 0x43, 1);
	pulse(&seen, 1);
	assert_int_equal(pic_acknowledge(&seen.pic), 0x41);	/* the base's lower bits are not there */
}

/* Only bytes are taken; other ports are not the chips'. */
static void test_ports(void **state)
{
	struct seen seen;
	uint8_t bytes[2] = { 0xff, 0xff };

	(void)state;
	start(&seen, 1);
	assert_int_equal(pic_io_write(&seen.pic, 0x21, 2, bytes), 0);
	assert_int_equal(in(&seen, 0x21), 0);
	assert_int_equal(pic_io_read(&seen.pic, 0x20, 2, bytes), 0);
	assert_int_equal(bytes[0] | bytes[1], 0);
	assert_int_not_equal(pic_io_read(&seen.pic, 0x22, 1, bytes), 0);
	assert_int_not_equal(pic_io_write(&seen.pic, 0x4d2, 1, bytes), 0);
}

static void test_state(void **state)
{
	struct kvm_pic_state set = {
		.last_irr = 0x20, .irr = 0x28, .imr = 0x40, .isr = 2, .priority_add = 5, .irq_base = 0x60,
		.read_reg_select = 1, .init4 = 1, .elcr = 0x20, .elcr_mask = 0xf8,
	}, got;
	struct seen seen;

	(void)state;
	start(&seen, 1);
	pic_state_set(&seen.pic, KVM_IRQCHIP_PIC_MASTER, &set);
	pic_state_get(&seen.pic, KVM_IRQCHIP_PIC_MASTER, &got);
	assert_memory_equal(&set, &got, sizeof(got));
	assert_int_equal(pic_acknowledge(&seen.pic), 0x65);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_priority),
		cmocka_unit_test(test_cascade),
		cmocka_unit_test(test_spurious),
		cmocka_unit_test(test_level),
		cmocka_unit_test(test_rotation),
		cmocka_unit_test(test_automatic_end),
		cmocka_unit_test(test_mask),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
