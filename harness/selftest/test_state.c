/* SPDX-License-Identifier: MIT */
/*
 * Saved machines: how words reach one, where states lie and which are kept, and what a lab does
 * with them, good or bad, with a script in QEMU's place, and a program in Bochs'.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "err.h"
#include "lab/contract.h"
#include "lab/lab.h"
#include "lab/state.h"
#include "lab/strlist.h"
#include "lab/words.h"

static char scratch[] = "/tmp/vmassay-state-XXXXXX";

static bool shell(const char *command)
{
	return !system(command);
}

static int make_scratch(void **state)
{
	(void)state;
	if (!mkdtemp(scratch) || chdir(scratch) || setenv("XDG_CACHE_HOME", scratch, 1))
		return -1;
	return shell("mkdir bin && cp \"$VMASSAY_TEST_FAKE_QEMU\" bin/qemu-system-x86_64 && "
		     "cp \"$VMASSAY_TEST_FAKE_BOCHS\" bin/bochs && cp bin/bochs bin/bochs-bin && "
		     "cp \"$VMASSAY_TEST_GUEST_ELF\" kernel") ? 0 : -1;
}

static int remove_scratch(void **state)
{
	char command[PATH_MAX];

	(void)state;
	snprintf(command, sizeof(command), "cd / && rm -rf %s", scratch);
	return system(command);
}

static int empty_cache(void **state)
{
	(void)state;
	return shell("rm -rf vmassay starts") ? 0 : -1;
}

/* --- words --- */

/* What the outer half does to a piece on its way. */
enum damage { NO_DAMAGE, CHANGED_BYTE, CHANGED_HEAD, EARLY_END };

struct outside {
	int fd;
	struct words words;
	enum damage damage;
	unsigned int nr_pieces;
};

static void *serve_words(void *context)
{
	struct outside *outside = context;
	char line[sizeof(LAB_LINE_NEXT "\n")] = "";

	while (recv(outside->fd, line, sizeof(line) - 1, MSG_WAITALL) == sizeof(line) - 1) {
		char piece[WORDS_HEAD_BYTES + WORDS_PIECE_MAX_BYTES];
		size_t len = words_next(&outside->words, piece);

		assert_string_equal(line, LAB_LINE_NEXT "\n");
		outside->nr_pieces++;
		if (outside->damage == CHANGED_BYTE)
			piece[len - 2] ^= 1;
		if (outside->damage == CHANGED_HEAD)
			piece[0] = 'x';
		if (outside->damage == EARLY_END) {
			shutdown(outside->fd, SHUT_RDWR);
			break;
		}
		assert_int_equal(send(outside->fd, piece, len, MSG_NOSIGNAL), len);
	}
	return NULL;
}

static int transport(struct strlist *got, const char *const *argv, enum damage damage,
		     unsigned int *nr_pieces)
{
	struct outside outside = { .damage = damage };
	pthread_t thread;
	int fds[2];
	int status;

	assert_int_equal(words_pack(&outside.words, argv), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	outside.fd = fds[0];
	assert_int_equal(pthread_create(&thread, NULL, serve_words, &outside), 0);
	status = words_receive(got, fds[1]);
	close(fds[1]);
	pthread_join(thread, NULL);
	close(fds[0]);
	words_free(&outside.words);
	*nr_pieces = outside.nr_pieces;
	return status;
}

static struct strlist many_words(unsigned int nr)
{
	struct strlist words = { 0 };

	strlist_add(&words, "run");
	strlist_add(&words, "");
	for (unsigned int i = 0; i < nr; i++)
		strlist_addf(&words, "mmu.some_case.row%u#%u", i, i % 3);
	return words;
}

static size_t words_length(const struct strlist *words)
{
	size_t len = 0;

	for (size_t i = 0; i < words->nr; i++)
		len += strlen(words->strings[i]) + 1;
	return len;
}

static void assert_arrive(unsigned int nr)
{
	struct strlist want = many_words(nr), got = { 0 };
	size_t nr_full = words_length(&want) / WORDS_PIECE_MAX_BYTES;
	unsigned int nr_pieces;

	assert_int_equal(transport(&got, (const char *const *)want.strings, NO_DAMAGE,
				   &nr_pieces), 0);
	assert_int_equal(got.nr, want.nr);
	for (size_t i = 0; i < want.nr; i++)
		assert_string_equal(got.strings[i], want.strings[i]);
	assert_int_equal(nr_pieces, nr_full + 2);
	strlist_free(&want);
	strlist_free(&got);
}

static void words_arrive(void **state)
{
	(void)state;
	assert_arrive(1);
	assert_arrive(3500);
}

static void damaged_words_are_refused(void **state)
{
	static const char *const argv[] = { "run", "--seed=0x1234", NULL };
	static const char *const none[] = { NULL };
	struct strlist got = { 0 };
	unsigned int nr_pieces;

	(void)state;
	assert_int_equal(transport(&got, argv, CHANGED_BYTE, &nr_pieces), -EBADMSG);
	assert_int_equal(transport(&got, argv, CHANGED_HEAD, &nr_pieces), -EBADMSG);
	assert_int_equal(transport(&got, argv, EARLY_END, &nr_pieces), -EPIPE);
	assert_int_equal(transport(&got, none, NO_DAMAGE, &nr_pieces), -ENODATA);
	assert_int_equal(got.nr, 0);
}

/* --- states --- */

static void keep_state(const char *key)
{
	struct state state = { 0 };
	struct err err = { "" };

	assert_int_equal(state_open(&state, key), 0);
	if (state_begin(&state, &err) || state_keep(&state, &err))
		fail_msg("%s", err.text);
	assert_true(state_is_there(&state));
	state_close(&state);
}

static bool has_state(const char *key)
{
	struct state state = { 0 };
	bool is_there;

	assert_int_equal(state_open(&state, key), 0);
	is_there = state_is_there(&state);
	state_close(&state);
	return is_there;
}

static void hash_is_of_contents(void **state)
{
	uint64_t one, other;

	(void)state;
	assert_true(shell("head -c 100001 /dev/zero >a; cp a b; mkdir c; cp a c/a"));
	assert_int_equal(state_hash_file(&one, "a"), 0);
	assert_int_equal(state_hash_file(&other, "c/a"), 0);
	assert_true(one == other);
	/* The last byte, and one of a length that differs by a zero byte only. */
	assert_true(shell("printf x | dd of=b bs=1 seek=100000 conv=notrunc status=none"));
	assert_int_equal(state_hash_file(&other, "b"), 0);
	assert_true(one != other);
	assert_true(shell("head -c 100002 /dev/zero >b"));
	assert_int_equal(state_hash_file(&other, "b"), 0);
	assert_true(one != other);
	assert_int_equal(state_hash_file(&other, "absent"), -ENOENT);
}

static void state_is_found_by_its_key(void **state)
{
	(void)state;
	assert_false(has_state("cpu max\n"));
	keep_state("cpu max\n");
	assert_true(has_state("cpu max\n"));
	assert_false(has_state("cpu max"));
	/* The folder's name alone is not believed. */
	assert_true(shell("echo 'cpu min' | tee vmassay/state/*/key >/dev/null"));
	assert_false(has_state("cpu max\n"));
	keep_state("cpu max\n");
	keep_state("cpu max\n");
	assert_true(shell("test $(ls vmassay/state | wc -l) = 1"));
}

static void states_need_a_home(void **state)
{
	char *home = strdup(getenv("HOME") ? getenv("HOME") : "/");
	struct state none = { 0 };

	(void)state;
	unsetenv("HOME");
	setenv("XDG_CACHE_HOME", "relative", 1);
	assert_int_equal(state_open(&none, "key"), -ENOENT);
	setenv("HOME", scratch, 1);
	keep_state("key");
	assert_true(shell("test -e \"$HOME\"/.cache/vmassay/state/*/key && rm -rf \"$HOME/.cache\""));
	setenv("HOME", home, 1);
	setenv("XDG_CACHE_HOME", scratch, 1);
	free(home);
}

static void oldest_states_go(void **state)
{
	char key[16], command[128];

	(void)state;
	for (int i = 0; i < STATE_MAX; i++) {
		snprintf(key, sizeof(key), "key %d", i);
		keep_state(key);
		snprintf(command, sizeof(command),
			 "touch -d '%d hours ago' $(dirname $(grep -lx '%s' vmassay/state/*/key))",
			 24 - i, key);
		assert_true(shell(command));
	}
	/* What was used last is not the oldest; half-written ones do not stay for ever. */
	assert_true(has_state("key 0"));
	assert_true(shell("mkdir vmassay/state/1.new.old vmassay/state/1.new.young && "
			  "touch -d '1 hour ago' vmassay/state/1.new.old"));
	keep_state("one more");
	assert_true(has_state("one more"));
	assert_true(has_state("key 0"));
	assert_false(has_state("key 1"));
	assert_true(has_state("key 2"));
	assert_true(shell("test ! -e vmassay/state/1.new.old && test -e vmassay/state/1.new.young"));
}

static void unfinished_state_is_removed(void **state)
{
	struct state half = { 0 };
	struct err err = { "" };

	(void)state;
	assert_int_equal(state_open(&half, "key"), 0);
	assert_int_equal(state_begin(&half, &err), 0);
	assert_true(shell("echo half | tee $(echo vmassay/state/*.new.*)/machine >/dev/null"));
	assert_false(state_is_there(&half));
	state_close(&half);
	assert_true(shell("test -z \"$(ls vmassay/state)\""));
}

/* --- a lab's runs --- */

static void keep_line(void *context, const char *line)
{
	strlist_add(context, line);
}

static void assert_words_arrived(const struct strlist *words)
{
	FILE *file = fopen("want", "we");

	assert_non_null(file);
	for (size_t i = 0; i < words->nr; i++)
		fwrite(words->strings[i], strlen(words->strings[i]) + 1, 1, file);
	assert_int_equal(fclose(file), 0);
	assert_true(shell("cmp want words && rm words"));
}

static const char *lab_under_test = "svm";

/*
 * A run of many words; @want_starts is what the fake says of itself, @want_note a part of the note,
 * "" for none.
 */
static void assert_lab(bool is_fresh, const char *want_starts, bool want_resumed,
		       const char *want_note)
{
	struct strlist words = many_words(1000), lines = { 0 };
	const struct lab_options options = {
		.name = lab_under_test, .kernel = "kernel", .is_fresh = is_fresh, .timeout_s = 3,
	};
	struct lab_outcome outcome;
	struct err err = { "" };
	char command[128];
	char *path = strdup(getenv("PATH")), *with_fake;

	assert_true(asprintf(&with_fake, "%s/bin:%s", scratch, path) > 0);
	setenv("PATH", with_fake, 1);
	if (lab_boot(&options, (const char *const *)words.strings, keep_line, &lines, &outcome,
		     &err))
		fail_msg("%s", err.text);
	setenv("PATH", path, 1);
	if (!outcome.is_complete)
		fail_msg("%s", outcome.last_words);
	if (*want_note ? !strstr(outcome.note, want_note) : *outcome.note)
		fail_msg("'%s' in place of '%s'", outcome.note, want_note);
	assert_int_equal(outcome.is_resumed, want_resumed);
	assert_int_equal(lines.nr, 1);
	assert_string_equal(lines.strings[0], "all words");
	assert_words_arrived(&words);
	snprintf(command, sizeof(command), "test \"$(echo $(cat starts))\" = '%s' && rm starts",
		 want_starts);
	assert_true(shell(command));
	strlist_free(&words);
	strlist_free(&lines);
	free(with_fake);
	free(path);
}

static void machine_is_resumed(void **state)
{
	(void)state;
	assert_lab(false, "boot", false, "");
	assert_true(shell("test $(ls vmassay/state | wc -l) = 1"));
	assert_lab(false, "resume", true, "");
	assert_lab(true, "boot", false, "");
	/* Another kernel is another machine. */
	assert_true(shell("echo >>kernel"));
	assert_lab(false, "boot", false, "");
	assert_lab(false, "resume", true, "");
	assert_true(shell("test $(ls vmassay/state | wc -l) = 2"));
}

static void bad_state_is_replaced(void **state)
{
	(void)state;
	assert_lab(false, "boot", false, "");
	assert_true(shell("echo broken | tee vmassay/state/*/machine >/dev/null"));
	assert_lab(false, "resume boot", false,
		   "the saved machine does not run, booting a fresh one: emulator ended with status 1; "
		   "last line on stderr: no such machine");
	assert_lab(false, "resume", true, "");
	assert_true(shell("rm vmassay/state/*/machine"));
	assert_lab(false, "boot", false, "/machine: No such file or directory");
	assert_lab(false, "resume", true, "");
}

static void mute_state_is_replaced(void **state)
{
	(void)state;
	assert_lab(false, "boot", false, "");
	assert_true(shell("echo mute | tee vmassay/state/*/machine >/dev/null"));
	assert_lab(false, "resume boot", false,
		   "the saved machine does not run, booting a fresh one: "
		   "emulator stood still, sent no results for 3 s and was ended");
	assert_lab(false, "resume", true, "");
}

static void babbling_state_is_replaced(void **state)
{
	(void)state;
	assert_lab(false, "boot", false, "");
	assert_true(shell("echo babbling | tee vmassay/state/*/machine >/dev/null"));
	assert_lab(false, "resume boot", false,
		   "sent no results for 3 s and was ended");
	assert_lab(false, "resume", true, "");
}

static void run_goes_on_unsaved(void **state)
{
	(void)state;
	setenv("FAKE_REFUSES", "migrate", 1);
	assert_lab(false, "boot", false,
		   "the machine is not saved: QEMU refuses migrate: not today");
	assert_true(shell("test -z \"$(ls vmassay/state)\""));
	unsetenv("FAKE_REFUSES");
}

static int use_bochs(void **state)
{
	lab_under_test = "vmx";
	return empty_cache(state);
}

static int use_qemu(void **state)
{
	(void)state;
	lab_under_test = "svm";
	return 0;
}

static void bochs_is_resumed(void **state)
{
	(void)state;
	assert_lab(false, "boot", false, "");
	/* The disk is a hole. */
	assert_true(shell("test \"$(od -An -tx1 vmassay/state/*/hard_drive.0.drive0.image)\" = "
			  "' 00 00 00 00 00'"));
	assert_lab(false, "resume", true, "");
	assert_lab(true, "boot", false, "");
	assert_true(shell("echo broken | tee vmassay/state/*/memory.ram >/dev/null"));
	assert_lab(false, "resume boot", false,
		   "the saved machine does not run, booting a fresh one: emulator ended with status 1; "
		   "last line on stderr: no such machine");
	assert_true(shell("rm vmassay/state/*/hard_drive.0.drive0.image"));
	assert_lab(false, "boot", false, "/hard_drive.0.drive0.image: No such file or directory");
	assert_lab(false, "resume", true, "");
}

static void bochs_goes_on_unsaved(void **state)
{
	(void)state;
	setenv("FAKE_REFUSES", "it", 1);
	assert_lab(false, "boot", false, "the machine is not saved: Bochs does not save it: ");
	assert_true(shell("test -z \"$(ls vmassay/state)\""));
	unsetenv("FAKE_REFUSES");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_arrive),
		cmocka_unit_test(damaged_words_are_refused),
		cmocka_unit_test(hash_is_of_contents),
		cmocka_unit_test_setup(state_is_found_by_its_key, empty_cache),
		cmocka_unit_test_setup(states_need_a_home, empty_cache),
		cmocka_unit_test_setup(oldest_states_go, empty_cache),
		cmocka_unit_test_setup(unfinished_state_is_removed, empty_cache),
		cmocka_unit_test_setup(machine_is_resumed, empty_cache),
		cmocka_unit_test_setup(bad_state_is_replaced, empty_cache),
		cmocka_unit_test_setup(mute_state_is_replaced, empty_cache),
		cmocka_unit_test_setup(babbling_state_is_replaced, empty_cache),
		cmocka_unit_test_setup(run_goes_on_unsaved, empty_cache),
		cmocka_unit_test_setup_teardown(bochs_is_resumed, use_bochs, use_qemu),
		cmocka_unit_test_setup_teardown(bochs_goes_on_unsaved, use_bochs, use_qemu),
	};

	return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
