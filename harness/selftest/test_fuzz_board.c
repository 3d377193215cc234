/* SPDX-License-Identifier: MIT */
/* What the labs of one campaign know together: the first that meets something is the only one that is told so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

#include "cli/fuzz_board.h"

static struct fuzz_board *board;

static int setup(void **state)
{
	(void)state;
	board = fuzz_board_new();
	return board ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	fuzz_board_free(board);
	return 0;
}

static void test_places(void **state)
{
	(void)state;
	assert_true(fuzz_board_place(board, 0));
	assert_false(fuzz_board_place(board, 0));
	assert_true(fuzz_board_place(board, 1));
	assert_true(fuzz_board_place(board, BOARD_PLACES_BYTES - 1));
	assert_false(fuzz_board_place(board, BOARD_PLACES_BYTES));
	assert_false(fuzz_board_place(board, UINT64_MAX));
	assert_int_equal(fuzz_board_nr_places(board), 3);
}

static void test_kinds(void **state)
{
	uint64_t kinds[BOARD_MAX_KINDS], kind;

	(void)state;
	assert_true(fuzz_board_kind(board, 7));
	assert_false(fuzz_board_kind(board, 7));
	assert_int_equal(fuzz_board_kinds(board, kinds), 1);
	assert_int_equal(kinds[0], 7);
	for (kind = 100; kind < 100 + BOARD_MAX_KINDS - 1; kind++)
		assert_true(fuzz_board_kind(board, kind));
	assert_false(fuzz_board_kind(board, 8));
	assert_int_equal(fuzz_board_kinds(board, kinds), BOARD_MAX_KINDS);
}

/* Another process has met one place, made one finding and run some inputs. */
static void test_processes(void **state)
{
	const struct board_totals mine = { .inputs = 5, .deaths = 1, .seconds = 2, .kept = 3 };
	const struct board_totals theirs = { .inputs = 7, .seconds = 4, .kept = 1 };
	struct board_totals sum;
	int status;
	pid_t pid = fork();

	(void)state;
	if (!pid) {
		bool is_first = fuzz_board_place(board, 9) && fuzz_board_kind(board, 9);

		fuzz_board_tell(board, 1, &theirs);
		_exit(!is_first);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_false(fuzz_board_place(board, 9));
	assert_false(fuzz_board_kind(board, 9));
	fuzz_board_tell(board, 0, &mine);
	sum = fuzz_board_sum(board);
	assert_int_equal(sum.inputs, 12);
	assert_int_equal(sum.deaths, 1);
	assert_int_equal(sum.kept, 4);
	assert_true(sum.seconds == 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_places, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kinds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_processes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
