/* SPDX-License-Identifier: MIT */
#include "cli/fuzz_board.h"

#include <semaphore.h>
#include <string.h>
#include <sys/mman.h>

struct fuzz_board {
	sem_t lock;			/* of kinds */
	uint64_t kinds[BOARD_MAX_KINDS];
	size_t nr_kinds;
	struct board_totals totals[BOARD_MAX_LABS];
	uint64_t nr_places;
	uint8_t places[BOARD_PLACES_BYTES / 8];
};

struct fuzz_board *fuzz_board_new(void)
{
	struct fuzz_board *board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (board == MAP_FAILED)
		return NULL;
	sem_init(&board->lock, 1, 1);
	return board;
}

void fuzz_board_free(struct fuzz_board *board)
{
	if (board)
		munmap(board, sizeof(*board));
}

bool fuzz_board_place(struct fuzz_board *board, uint64_t offset)
{
	uint8_t bit = (uint8_t)(1u << offset % 8);

	if (offset >= BOARD_PLACES_BYTES ||
	    (__atomic_fetch_or(&board->places[offset / 8], bit, __ATOMIC_RELAXED) & bit))
		return false;
	__atomic_add_fetch(&board->nr_places, 1, __ATOMIC_RELAXED);
	return true;
}

uint64_t fuzz_board_next_place(const struct fuzz_board *board, uint64_t offset)
{
	while (offset < BOARD_PLACES_BYTES && !(board->places[offset / 8] >> offset % 8 & 1))
		offset += board->places[offset / 8] ? 1 : 8 - offset % 8;
	return offset;
}

uint64_t fuzz_board_nr_places(const struct fuzz_board *board)
{
	return __atomic_load_n(&board->nr_places, __ATOMIC_RELAXED);
}

static bool kind_add(struct fuzz_board *board, uint64_t kind)
{
	size_t i;

	for (i = 0; i < board->nr_kinds; i++)
		if (board->kinds[i] == kind)
			return false;
	if (board->nr_kinds == BOARD_MAX_KINDS)
		return false;
	board->kinds[board->nr_kinds++] = kind;
	return true;
}

static void lock(struct fuzz_board *board)
{
	/* A signal may end the wait. */
	while (sem_wait(&board->lock))
		;
}

bool fuzz_board_kind(struct fuzz_board *board, uint64_t kind)
{
	bool is_first;

	lock(board);
	is_first = kind_add(board, kind);
	sem_post(&board->lock);
	return is_first;
}

size_t fuzz_board_kinds(struct fuzz_board *board, uint64_t *kinds)
{
	size_t nr;

	lock(board);
	nr = board->nr_kinds;
	memcpy(kinds, board->kinds, nr * sizeof(*kinds));
	sem_post(&board->lock);
	return nr;
}

void fuzz_board_tell(struct fuzz_board *board, unsigned int lab, const struct board_totals *totals)
{
	board->totals[lab] = *totals;
}

struct board_totals fuzz_board_sum(const struct fuzz_board *board)
{
	struct board_totals sum = { 0 };
	unsigned int lab;

	for (lab = 0; lab < BOARD_MAX_LABS; lab++) {
		const struct board_totals *one = &board->totals[lab];

		sum.inputs += one->inputs;
		sum.deaths += one->deaths;
		sum.kept += one->kept;
		if (one->seconds > sum.seconds)
			sum.seconds = one->seconds;
	}
	return sum;
}
