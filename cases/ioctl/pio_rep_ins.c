/* SPDX-License-Identifier: MIT */
/*
 * REP INS asks for many elements in one exit: as many as are left, fit 1024 bytes and do not run over the page of
 * ES:rDI; what user space answers is in memory, in order, when the instruction is over, and nothing beside it.
 *
 * Note, KVM bounds the count by the bytes left in the page, not by the elements, so that wide elements may still run
 * over its end, and that with DF set the first byte of a page comes alone; the rows say what it asks for. Memory and
 * registers are the manual's either way.
 *
 * Can break: the read-ahead's bound off by one, at the page or at 1024 bytes; a second exit asking for what has been
 * answered; the answer stored from its start again after the page; rCX or rDI one element off.
 * Source: APM vol. 3, INS and 1.2.6 (REP); KVM API, KVM_EXIT_IO (count, and data_offset with size * count bytes).
 */
#include "cases/ioctl/blob.h"

BLOB(insb, "rep insb")
BLOB(insw, "rep insw")
BLOB(insl, "rep insl")

struct row {
	struct blob_row blob;
	uint8_t size;
	bool is_down;
	uint16_t rdi;		/* offset in the RAM */
	uint16_t nr;
	uint16_t counts[6];	/* of the exits; 0 ends */
};

#define INS(label_, name_, size_, rdi_, nr_, ...)					\
	{ .blob = { .label = label_, BLOB_OF(name_), .es_ram = true,			\
		    .in = { PTR(RDI, RAM, rdi_), REG(RCX, nr_) } },			\
	  .size = size_, .rdi = rdi_, .nr = nr_, .counts = { __VA_ARGS__ } }
#define INS_DOWN(label_, name_, size_, rdi_, nr_, ...)					\
	{ .blob = { .label = label_, BLOB_OF(name_), .es_ram = true, .flags_in = DF,	\
		    .in = { PTR(RDI, RAM, rdi_), REG(RCX, nr_) } },			\
	  .size = size_, .is_down = true, .rdi = rdi_, .nr = nr_, .counts = { __VA_ARGS__ } }

static const struct row rows[] = {
	INS("two_bytes", insb, 1, 0x900, 2, 2),
	INS("bytes", insb, 1, 0x900, 100, 100),
	INS("words", insw, 2, 0x900, 100, 100),
	INS("dwords", insl, 4, 0x900, 100, 100),
	INS("bytes_1023", insb, 1, 0x900, 1023, 1023),
	INS("bytes_1024", insb, 1, 0x900, 1024, 1024),
	INS("bytes_1025", insb, 1, 0x900, 1025, 1024, 1),
	INS("words_512", insw, 2, 0x900, 512, 512),
	INS("words_513", insw, 2, 0x900, 513, 512, 1),
	INS("dwords_256", insl, 4, 0x400, 256, 256),
	INS("dwords_257", insl, 4, 0x400, 257, 256, 1),
	INS("page_of_bytes", insb, 1, 0x1000, 4096, 1024, 1024, 1024, 1024),
	INS("to_page_end", insb, 1, 0xff0, 16, 16),
	INS("over_page_end", insb, 1, 0xff0, 17, 16, 1),
	INS("over_two_pages", insb, 1, 0xfff, 4098, 1, 1024, 1024, 1024, 1024, 1),
	INS("dwords_over_page", insl, 4, 0xff8, 20, 8, 12),
	INS("dwords_unaligned", insl, 4, 0xffd, 20, 3, 17),
	INS_DOWN("bytes_down", insb, 1, 0x9ff, 100, 100),
	INS_DOWN("words_down", insw, 2, 0x9fe, 50, 50),
	INS_DOWN("bytes_down_over_page", insb, 1, 0x1004, 10, 4, 1, 5),
	INS_DOWN("bytes_down_page_first", insb, 1, 0x1000, 3, 1, 2),
};

CASE(pio_rep_ins, .says = "REP INS reads ahead within a page, stores all answers in order and nothing else",
     .modes = REAL16 | PROT32 | LONG64, .rows = ROWS(rows))

GUEST(pio_rep_ins)
{
}

static uint8_t answer(unsigned int i)
{
	return i * 7 + (i >> 8) + 1;
}

/* Answers one exit; @done elements were answered before. */
static void answer_exit(struct test *t, const struct row *row, unsigned int done, unsigned int count)
{
	static uint8_t bytes[1024];
	unsigned int i;

	for (i = 0; i < count * row->size; i++)
		bytes[i] = answer(done * row->size + i);
	test_check_pio_in(t, blob_at(t, &row->blob),
			  EXIT_PIO(KVM_EXIT_IO_IN, .port = 0xd7d8, .size = row->size, .count = count), bytes, 0);
}

static void ram_after(const struct row *row, uint8_t *ram)
{
	int step = row->is_down ? -row->size : row->size, at = row->rdi;
	unsigned int i, byte;

	blob_ram_fill(ram, &row->blob, true);
	for (i = 0; i < row->nr; i++, at += step)
		for (byte = 0; byte < row->size; byte++)
			ram[at + byte] = answer(i * row->size + byte);
}

HOST(pio_rep_ins)
{
	const struct row *row = ROW(t, rows);
	uint8_t want_ram[BLOB_RAM_BYTES];
	struct kvm_regs want, got;
	unsigned int i, done = 0;

	blob_enter(t, &row->blob, &want);
	for (i = 0; i < 6 && row->counts[i]; done += row->counts[i], i++)
		answer_exit(t, row, done, row->counts[i]);
	require_eq(t, row->nr, done);
	require_hlt(t);
	want.rip = guest_symbol(t, row->blob.blob.end);
	want.rcx = 0;
	want.rdi += row->is_down ? -row->nr * row->size : row->nr * row->size;
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &got);
	expect_regs(t, &want, &got);
	ram_after(row, want_ram);
	expect_bytes(t, want_ram, vm_hva(t->vm, test_scratch_gpa(t), BLOB_RAM_BYTES), BLOB_RAM_BYTES);
}
