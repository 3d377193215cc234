/* SPDX-License-Identifier: MIT */
/*
 * REP INS that runs downwards into a page that is not there ends early: what the port has answered beyond that is gone.
 * Whatever REP INS comes next, the same one with its page or a shorter one elsewhere, asks the port for each element.
 *
 * Note, KVM asks for as many elements as the page has bytes below ES:rDI, whatever their size (pio_rep_ins), so the exit
 * before the fault is for all elements of the rows.
 *
 * Can break: the answers read ahead kept over the fault and stored by the next REP INS, without an exit; rCX or rDI of
 * the fault as they were at the start.
 * Source: APM vol. 3, INS and 1.2.6 (REP: after a fault the registers are of the element that met it); vol. 2, 8.1.1.
 */
#include "case.h"

#define VA 0x40000000ul
#define GPA SCRATCH_GPA
#define PAGE 0x1000ul
#define PORT 0xd7d8
#define NR_READ_AHEAD 8		/* of which NR_STORED fit the page */
#define NR_STORED 3

struct row {
	ROW_FIELDS;
	uint32_t nr;		/* elements of the second REP INS */
	bool is_elsewhere;	/* in the page that is there; else it is the first one that goes on */
};

static const struct row rows[] = {
	{ .label = "same", .nr = NR_READ_AHEAD - NR_STORED },
	{ .label = "one", .nr = 1, .is_elsewhere = true },
	{ .label = "shorter", .nr = 2, .is_elsewhere = true },
	{ .label = "longer", .nr = NR_READ_AHEAD - NR_STORED + 1, .is_elsewhere = true },
};

CASE(pio_rep_ins_early, .says = "what REP INS has read ahead is gone when it ends early",
     .modes = PAGE32 | PAE32 | LONG64, .rows = ROWS(rows))

static uint32_t first_answer(unsigned int i)
{
	return 0x11111111u * (i + 1);
}

static uint32_t second_answer(unsigned int i)
{
	return 0xa5000000u + i;
}

/* Downwards, by dwords. */
static struct fault rep_insl(ulong_t *rdi, ulong_t *rcx)
{
	struct fault fault;

	__asm__ volatile("std");
	fault = TRY("rep insl", : "+D"(*rdi), "+c"(*rcx) : "d"(PORT) : "memory");
	__asm__ volatile("cld");
	return fault;
}

/* @nr dwords from @top downwards. */
static void check_stored(ulong_t top, unsigned int nr, uint32_t (*answer)(unsigned int))
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		CHECK_EQ(answer(i), *(volatile uint32_t *)(top - 4 * i));
}

GUEST(pio_rep_ins_early)
{
	const struct row *row = GUEST_ROW(rows);
	ulong_t top = VA + PAGE + 4 * (NR_STORED - 1), rdi = top, rcx = NR_READ_AHEAD;
	struct fault f;

	page_map(VA + PAGE, GPA + PAGE, PTE_P | PTE_W);
	page_map(VA, GPA, PTE_W);
	f = rep_insl(&rdi, &rcx);
	CHECK_FAULT(PF_VECTOR, PFERR_W, f);
	CHECK_CR2(VA + PAGE - 4, f.cr2);
	CHECK_EQ(VA + PAGE - 4, rdi);
	CHECK_EQ(NR_READ_AHEAD - NR_STORED, rcx);
	check_stored(top, NR_STORED, first_answer);

	page_map(VA, GPA, PTE_P | PTE_W);
	if (row->is_elsewhere) {
		rdi = VA + PAGE + 0x800;
		rcx = row->nr;
	}
	top = rdi;
	f = rep_insl(&rdi, &rcx);
	CHECK_NO_FAULT(f);
	CHECK_EQ(0, rcx);
	CHECK_EQ(top - 4 * row->nr, rdi);
	check_stored(top, row->nr, second_answer);
}

static void answer_exit(struct test *t, unsigned int nr, uint32_t (*answer)(unsigned int))
{
	uint32_t values[NR_READ_AHEAD];
	unsigned int i;

	for (i = 0; i < nr; i++)
		values[i] = answer(i);
	test_check_pio_in(t, AT_REQUIRE, EXIT_PIO(KVM_EXIT_IO_IN, .port = PORT, .size = 4, .count = nr), values, 0);
}

HOST(pio_rep_ins_early)
{
	answer_exit(t, NR_READ_AHEAD, first_answer);
	answer_exit(t, ROW(t, rows)->nr, second_answer);
	expect_done(t);
}
