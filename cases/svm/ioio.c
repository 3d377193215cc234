/* SPDX-License-Identifier: MIT */
/*
 * An IN or OUT of L2 whose port has its bit in the I/O permission map exits with every field of EXITINFO1 and the next
 * RIP in EXITINFO2; any one of the bits under a wide access does; with all bits but those it does not exit to L1.
 *
 * Can break: the map read at a wrong offset, a wide access that looks at its first port only, the map's last bits,
 * direction, size, string and REP bits, the address size.
 * Source: APM vol. 2, 15.10.1, 15.10.2.
 */
#include "guests/l1_svm.h"
#include "case.h"

#define IO(name_, text_) INSN(io_##name_, text_) INSN(io_##name_##_then, "vmmcall")

IO(outb, "out %al, %dx") IO(outw, "out %ax, %dx") IO(outl, "out %eax, %dx")
IO(inb, "in %dx, %al") IO(inw, "in %dx, %ax") IO(inl, "in %dx, %eax")
IO(outb_imm, "out %al, $0x71") IO(inb_imm, "in $0x71, %al") IO(outl_imm, "out %eax, $0x71")
IO(outsb, "outsb") IO(outsw, "outsw") IO(outsl, "outsl") IO(insb, "insb") IO(insw, "insw") IO(insl, "insl")
IO(rep_outsb, "rep outsb") IO(rep_insl, "rep insl") IO(outsb_a32, "addr32 outsb") IO(insb_a32, "addr32 insb")

struct row {
	ROW_FIELDS;
	const char *code, *then;
	uint32_t info;		/* EXITINFO1 without the port */
	uint16_t port;
	uint8_t size, first_bit;	/* the bit of the map: port + first_bit */
	bool is_string;
	bool is_address_size;	/* of a string instruction: EXITINFO1's A16, A32, A64 as well */
};

#define ROW_OF(label_, name_, port_, size_, bit_, info_, ...)				\
	{ .label = #label_, .code = io_##name_, .then = io_##name_##_then, .port = port_, .size = size_,	\
	  .first_bit = bit_, .info = IOIO_SIZE(size_) | (info_), ##__VA_ARGS__ }
#define PLAIN(name_, size_, info_)							\
	ROW_OF(name_, name_, 0x3f0, size_, 0, info_), ROW_OF(name_##_0, name_, 0, size_, 0, info_),	\
	ROW_OF(name_##_odd, name_, 0x1237, size_, 0, info_), ROW_OF(name_##_ffff, name_, 0xffff, size_, 0, info_),	\
	ROW_OF(name_##_7fff, name_, 0x7fff, size_, 0, info_)
#define STRING(name_, size_, info_) ROW_OF(name_, name_, 0x3f0, size_, 0, IOIO_STRING | (info_), .is_string = true)
#define ADDRESS_SIZE(name_, info_)							\
	ROW_OF(name_##_address_size, name_, 0x3f0, 1, 0, IOIO_STRING | (info_), .is_string = true,	\
	       .is_address_size = true, .known = { "0110-qemu-ioio-address-size", "lab-svm" })

static const struct row rows[] = {
	PLAIN(outb, 1, 0), PLAIN(outw, 2, 0), PLAIN(outl, 4, 0),
	PLAIN(inb, 1, IOIO_IN), PLAIN(inw, 2, IOIO_IN), PLAIN(inl, 4, IOIO_IN),
	ROW_OF(outw_second, outw, 0x3f0, 2, 1, 0), ROW_OF(outl_second, outl, 0x3f0, 4, 1, 0),
	ROW_OF(outl_third, outl, 0x3f0, 4, 2, 0), ROW_OF(outl_fourth, outl, 0x3f0, 4, 3, 0),
	ROW_OF(inl_next_byte, inl, 0x3f6, 4, 3, IOIO_IN), ROW_OF(inw_next_byte, inw, 0x3f7, 2, 1, IOIO_IN),
	ROW_OF(outl_next_page, outl, 0x7ffe, 4, 3, 0),
	/* The map has bits for what lies behind port FFFFh. */
	ROW_OF(outw_wrap, outw, 0xffff, 2, 1, 0), ROW_OF(outl_wrap, outl, 0xfffe, 4, 3, 0),
	ROW_OF(outb_imm, outb_imm, 0x71, 1, 0, 0), ROW_OF(inb_imm, inb_imm, 0x71, 1, 0, IOIO_IN),
	ROW_OF(outl_imm, outl_imm, 0x71, 4, 2, 0),
	STRING(outsb, 1, 0), STRING(outsw, 2, 0), STRING(outsl, 4, 0), STRING(insb, 1, IOIO_IN),
	STRING(insw, 2, IOIO_IN), STRING(insl, 4, IOIO_IN), STRING(rep_outsb, 1, IOIO_REP),
	STRING(rep_insl, 4, IOIO_REP | IOIO_IN), STRING(outsb_a32, 1, 0), STRING(insb_a32, 1, IOIO_IN),
	ADDRESS_SIZE(outsb, 0), ADDRESS_SIZE(outsb_a32, 0), ADDRESS_SIZE(insb, IOIO_IN),
	ADDRESS_SIZE(insb_a32, IOIO_IN),
};

CASE(ioio, .says = "a port access of L2 exits by its bit in the map, described in full", .modes = LONG64,
     .needs = "vendor:amd nested", .rows = ROWS(rows))

/* Only a CPU with decode assists tells the segment of a string instruction: DS 3, ES 0. */
static uint32_t wanted_info(const struct row *row)
{
	bool is_a32 = row->code == io_outsb_a32 || row->code == io_insb_a32;
	uint32_t info = row->info | IOIO_PORT(row->port);

	if (row->is_string)
		info |= IOIO_ADDRESS(is_a32 ? 4 : 8);
	if (row->is_string && !(row->info & IOIO_IN) && has_decode_assists())
		info |= IOIO_SEGMENT(3);
	return info;
}

GUEST(ioio)
{
	const struct row *row = GUEST_ROW(rows);
	struct l2_regs regs = { .rdx = row->port, .rcx = 3, .rsi = SCRATCH_GPA, .rdi = SCRATCH_GPA };
	uint32_t ignored = row->is_address_size ? 0 : IOIO_ADDRESS(2 | 4 | 8);
	unsigned int i;

	l1_svm_init();
	vmcb_intercept(&l1_vmcb, SVM_EXIT_IOIO);
	iopm_set(l1_iopm, row->port + row->first_bit, true);
	l2_regs = regs;
	l1_vmcb.save.rax = 0x11223344;
	l2_run(row->code);
	l1_vmcb.control.exit_info_1 &= ~(uint64_t)ignored;
	CHECK_EXIT(.code = SVM_EXIT_IOIO, .info_1 = wanted_info(row) & ~ignored, .info_2 = (ulong_t)row->then,
		   .rip = (ulong_t)row->code);
	CHECK_NEXT_RIP(row->then);
	CHECK_L2_REGS(&regs);
	CHECK_EQ(0x11223344, l1_vmcb.save.rax);

	/* Skipped: L2 goes on behind it. */
	l1_vmcb.save.rip = l1_vmcb.control.exit_info_2;
	vmcb_run(&l1_vmcb);
	CHECK_L2_DONE(row->then);

	/* Every other bit: not for L1. The access leaves for user space. */
	memset(l1_iopm, 0xff, IOPM_BYTES);
	for (i = 0; i < row->size; i++)
		iopm_set(l1_iopm, row->port + i, false);
	l1_vmcb.save.rax = 0x11223344;
	l2_regs = regs;
	guest_sync(1);
	if (!row->is_string)
		l2_run(row->code);
	CHECK_L2_DONE(row->then);
	GUEST_VALUE(0, l1_vmcb.save.rax);
}

/* An IN of 1 or 2 bytes leaves the rest of EAX, one of 4 clears the upper half of RAX. */
HOST(ioio)
{
	const struct row *row = ROW(t, rows);
	uint32_t mask = row->size == 4 ? 0xffffffff : (1u << 8 * row->size) - 1;
	bool is_in = row->info & IOIO_IN;

	require_sync(t, 1);
	if (is_in && !row->is_string)
		expect_pio_in(t, 0xa1b2c3d4, .port = row->port, .size = row->size, .count = 1);
	else if (!row->is_string)
		expect_pio_out(t, .port = row->port, .size = row->size, .count = 1, .data = 0x11223344 & mask);
	expect_done(t);
	expect_eq(t, is_in && !row->is_string ? (0xa1b2c3d4 & mask) | (0x11223344 & ~mask) : 0x11223344,
		  guest_value(t, 0));
}
