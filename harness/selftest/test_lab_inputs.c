/* SPDX-License-Identifier: MIT */
/*
 * Inputs in a lab whose boots are played: what is written, and where the next machine goes on, when stored ones are replayed
 * and when a search makes them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/fuzz_lab.h"
#include "cli/replay.h"
#include "fuzz/vmcb_ops.h"

#define MAX_BOOTS 6
#define MAX_LINES 6
#define OUTPUT_BYTES 16384
#define PANIC "[    3.0] BUG: kernel NULL pointer dereference, address: 0\n"

/* What a machine says until it ends. */
struct boot {
	const char *lines[MAX_LINES];
	const char *console;		/* or NULL */
	bool is_complete;
	int exit_code;
};

static const struct boot *script;
static unsigned int nr_booted;
static char words[MAX_BOOTS][32][512];	/* that each was given */
static char output[OUTPUT_BYTES];

static int boot_play(const struct lab_options *options, const char *const *argv,
		     void (*on_line)(void *context, const char *line), void *context, struct lab_outcome *outcome,
		     struct err *err)
{
	const struct boot *boot = &script[nr_booted];
	unsigned int i;

	(void)options;
	(void)err;
	assert_true(nr_booted < MAX_BOOTS);
	memset(words[nr_booted], 0, sizeof(words[0]));
	for (i = 0; argv[i]; i++)
		snprintf(words[nr_booted][i], sizeof(words[0][0]), "%s", argv[i]);
	nr_booted++;
	*outcome = (struct lab_outcome){
		.is_complete = boot->is_complete, .exit_code = boot->exit_code, .last_words = "its last words",
	};
	for (i = 0; i < MAX_LINES && boot->lines[i]; i++)
		on_line(context, boot->lines[i]);
	if (boot->console)
		tail_feed(&outcome->emulator.console, boot->console, strlen(boot->console));
	return 0;
}

/* --- what is printed --- */

static int saved_fd, output_fd;

static void output_begin(void)
{
	fflush(stdout);
	saved_fd = dup(STDOUT_FILENO);
	output_fd = memfd_create("output", MFD_CLOEXEC);
	assert_true(saved_fd >= 0 && output_fd >= 0);
	dup2(output_fd, STDOUT_FILENO);
}

static void output_end(void)
{
	ssize_t len;

	fflush(stdout);
	dup2(saved_fd, STDOUT_FILENO);
	len = pread(output_fd, output, sizeof(output) - 1, 0);
	output[len > 0 ? len : 0] = 0;
	close(saved_fd);
	close(output_fd);
}

/* --- replay --- */

#define AT(file) "{\"type\":\"replay\",\"event\":\"at\",\"file\":" #file "}"
#define DONE(file, rest) "{\"type\":\"replay\",\"event\":\"done\",\"file\":" #file ",\"run\":2," rest "}"
#define RIGHT "\"lines\":[\"exit=hlt\",\"same\"],\"violation\":\"\",\"missing\":\"\""
#define ENDED .is_complete = true

static const struct replay_scene {
	const char *name;
	struct boot boots[4];
	unsigned int want_boots;
	int want_code;
	bool is_quiet;
	const char *want_output;
} replay_scenes[] = {
	{ "both are right", { { { AT(0), DONE(0, RIGHT), AT(1), DONE(1, RIGHT) }, ENDED } }, 1, 0, false,
	  "ok      one\n  0  exit=hlt\n  1  same\nok      two\n  0  exit=hlt\n  1  same\n" },
	{ "quietly", { { { AT(0), DONE(0, RIGHT), AT(1), DONE(1, RIGHT) }, ENDED } }, 1, 0, true, "" },
	{ "what is known is right", { { { AT(0), DONE(0, RIGHT ",\"known\":\"0110\""), AT(1), DONE(1, RIGHT) }, ENDED } }, 1, 0,
	  false, "ok      one (known: 0110)\n  0  exit=hlt\n  1  same\nok      two\n  0  exit=hlt\n  1  same\n" },
	{ "one is not", { { { AT(0), DONE(0, "\"lines\":[],\"violation\":\"x: 1\",\"missing\":\"line 0\""), AT(1),
	  DONE(1, RIGHT) }, ENDED } }, 1, 1, true,
	  "WRONG   one (run 2 of 3)\n  must not be: x: 1\n  is not as expected: line 0\n" },
	{ "one kills the kernel", { { { AT(0) }, PANIC }, { { AT(1), DONE(1, RIGHT) }, ENDED } }, 2, 1, true,
	  "WRONG   one\n  must not be: the lab died: the kernel reported: BUG: kernel NULL pointer dereference, address: 0\n" },
	{ "the last one does", { { { AT(0), DONE(0, RIGHT), AT(1) } } }, 1, 1, true,
	  "WRONG   two\n  must not be: the lab died: its last words\n" },
	{ "the process ends in one", { { { AT(0) }, ENDED, .exit_code = 139 }, { { AT(1), DONE(1, RIGHT) }, ENDED } }, 2, 1, true,
	  "WRONG   one\n  must not be: the lab died: its process ended in the middle\n" },
	{ "the machine ends before any", { { { NULL }, PANIC } }, 1, 99, true, "" },
	{ "it ends between two", { { { AT(0), DONE(0, RIGHT) }, PANIC } }, 1, 99, true, "" },
	{ "nothing can be run", { { { NULL }, ENDED, .exit_code = 99 } }, 1, 99, true, "" },
	{ "another's outcome is nobody's", { { { AT(0), DONE(1, RIGHT) }, ENDED }, { { AT(1), DONE(1, RIGHT) }, ENDED } }, 2, 1,
	  true, "WRONG   one\n  must not be: the lab died: its process ended in the middle\n" },
};

static void test_replay(void **state)
{
	static const char *const paths[] = { "one", "two" };
	const struct replay_scene *scene = *state;
	struct args args = { .lab.name = "svm", .selection.repeat = 3, .is_quiet = scene->is_quiet };
	struct input inputs[2];
	int code;

	input_init(&inputs[0], &vmcb_domain);
	input_init(&inputs[1], &vmcb_domain);
	snprintf(inputs[1].expect, sizeof(inputs[1].expect), "exit=hlt\n");
	script = scene->boots;
	nr_booted = 0;
	output_begin();
	code = replay_in_lab(&args, paths, inputs, 2, boot_play);
	output_end();
	assert_string_equal(output, scene->want_output);
	assert_int_equal(code, scene->want_code);
	assert_int_equal(nr_booted, scene->want_boots);
	assert_string_equal(words[0][0], "replay");
	assert_string_equal(words[0][1], "3");
	assert_string_equal(words[0][2], "0");
	assert_string_equal(words[0][3], "input vmcb\n");
	assert_string_equal(words[0][4], "input vmcb\nexpect exit=hlt\n");
	if (nr_booted < 2)
		return;
	assert_string_equal(words[1][2], "1");
	assert_string_equal(words[1][3], words[0][4]);
	assert_string_equal(words[1][4], "");
}

/* --- searches --- */

/* The words of an agent. */
enum { SEED = 3, FIRST, CAREFUL, COUNT, GCOV, KINDS, WORDS, FEATURES, PLACES, RAN, INPUTS };

#define FUZZ(event, rest) "{\"type\":\"fuzz\",\"event\":\"" event "\"" rest "}"
#define NUMBER(event, number) FUZZ(event, ",\"number\":" #number)
#define KEPT(number, text) FUZZ("kept", ",\"number\":" #number ",\"input\":\"input vmcb\\n" text "\\n\"")
#define FOUND(says, text) FUZZ("found", ",\"number\":5,\"violation\":\"" says "\",\"outcome\":[\"exit=hlt\"]," \
			       "\"input\":\"input vmcb\\n" text "\\n\"")

static char scratch[] = "/tmp/vmassay-inputs-XXXXXX";

static int scratch_make(void **state)
{
	(void)state;
	return mkdtemp(scratch) && !chdir(scratch) ? 0 : -1;
}

static int scratch_remove(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "cd / && rm -rf %s", scratch);
	return system(command);
}

static int folders_empty(void **state)
{
	(void)state;
	return system("rm -rf corpus findings");
}

static void stored(const char *name, const char *text)
{
	FILE *file;

	assert_int_equal(system("mkdir -p corpus"), 0);
	file = fopen(name, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static unsigned int nr_files(const char *folder, const char *suffix)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	unsigned int nr = 0;

	while (dir && (entry = readdir(dir)))
		nr += strstr(entry->d_name, suffix) != NULL;
	if (dir)
		closedir(dir);
	return nr;
}

static int search_run(const struct boot *boots)
{
	struct fuzz_lab_options options = {
		.domain = &vmcb_domain, .lab.name = "svm", .boot = boot_play, .seed = 7, .corpus = "corpus", .findings = "findings",
	};
	int code;

	script = boots;
	nr_booted = 0;
	output_begin();
	code = fuzz_lab(&options);
	output_end();
	return code;
}

static bool has_input(unsigned int boot, const char *text)
{
	unsigned int i;

	for (i = INPUTS; i < 32 && words[boot][i][0]; i++)
		if (!strcmp(words[boot][i], text))
			return true;
	return false;
}

/* All that was told before the machine died is there, and goes into the next one, and into the next search. */
static void test_nothing_is_lost(void **state)
{
	static const struct boot boots[] = {
		{ { NUMBER("at", 0), KEPT(3, "set asid 0"), FOUND("run 0: star: want 0x1", "set star 1"), FUZZ("features", ",\"features\":\"5,a\""),
		  FUZZ("cover", ",\"places\":\"10,20\""), FUZZ("words", ",\"number\":3,\"words\":\"1234\"") } },
		{ { NUMBER("at", 16), FOUND("run 2: star: want 0x77", "set star 2") }, ENDED },
	}, again[] = { { { NUMBER("at", 0) }, ENDED } };

	(void)state;
	assert_int_equal(search_run(boots), 1);
	assert_int_equal(nr_booted, 2);
	assert_true(has_input(0, "input vmcb\n"));
	assert_true(has_input(1, "input vmcb\nset asid 0\n"));
	assert_string_equal(words[0][FEATURES], "-");
	assert_string_equal(words[1][FEATURES], "5,a,");
	assert_string_equal(words[1][PLACES], "10,20,");
	assert_string_equal(words[1][WORDS], "1234");
	assert_string_not_equal(words[1][KINDS], "-");
	assert_int_equal(nr_files("corpus", ".input"), 1);
	/* Of one kind: they differ in numbers. */
	assert_int_equal(nr_files("findings", ".input"), 1);
	assert_non_null(strstr(output, "FOUND  run 0: star: want 0x1\n#   exit=hlt\ninput vmcb\nset star 1\n"));
	assert_null(strstr(output, "set star 2"));
	assert_int_equal(search_run(again), 0);
	assert_true(has_input(0, "input vmcb\nset asid 0\n"));
	assert_string_equal(words[0][WORDS], "1234");
}

/* The kernel names who ran, whether or not that was told. */
static void test_named_death(void **state)
{
	static const struct boot boots[] = {
		{ { NULL }, PANIC "[    3.1] CPU: 0 PID: 8 Comm: f5 Not tainted 6.1.0\n" },
		{ { NULL }, PANIC "[    3.1] CPU: 0 PID: 8 Comm: f6 Not tainted 6.1.0\n" },
		{ { NULL }, PANIC "[    3.1] CPU: 0 PID: 8 Comm: f7 Not tainted 6.1.0\n" },
		{ { NULL }, PANIC "[    3.1] CPU: 0 PID: 8 Comm: f9 Not tainted 6.1.0\n" },
		{ { NUMBER("at", 10) }, ENDED },
	};

	(void)state;
	assert_int_equal(search_run(boots), 1);
	assert_int_equal(nr_booted, 5);
	assert_string_equal(words[1][FIRST], "6");
	assert_string_equal(words[1][CAREFUL], "0");
	assert_string_equal(words[3][FIRST], "8");
	assert_string_equal(words[4][FIRST], "10");
	assert_int_equal(nr_files("findings", ".input"), 1);
	assert_int_equal(nr_files("findings", ".log"), 1);
}

/* Otherwise the next machine tells each, and the one behind that goes on. */
static void test_unnamed_death(void **state)
{
	static const struct boot boots[] = {
		{ { NUMBER("at", 0), NUMBER("at", 16) } },
		{ { NUMBER("at", 16), NUMBER("at", 17) } },
		{ { NUMBER("at", 18) }, ENDED },
	};

	(void)state;
	assert_int_equal(search_run(boots), 1);
	assert_int_equal(nr_booted, 3);
	assert_string_equal(words[1][FIRST], "16");
	assert_string_equal(words[1][CAREFUL], "64");
	assert_string_equal(words[2][FIRST], "18");
	assert_string_equal(words[2][CAREFUL], "0");
	assert_int_equal(nr_files("findings", ".input"), 1);
	assert_non_null(strstr(output, "FOUND  the lab died: its last words"));
}

static void test_deadly_seed(void **state)
{
	static const struct boot boots[] = {
		{ { NULL } }, { { NUMBER("seed", 0), NUMBER("seed", 1) } }, { { NUMBER("at", 0) }, ENDED },
	};

	(void)state;
	stored("corpus/a.input", "input vmcb\nset asid 2\n");
	stored("corpus/b.input", "input vmcb\nset asid 3\n");
	assert_int_equal(search_run(boots), 1);
	assert_int_equal(nr_booted, 3);
	assert_string_equal(words[1][CAREFUL], "64");
	assert_true(has_input(2, "input vmcb\nset asid 2\n"));
	assert_false(has_input(2, "input vmcb\nset asid 3\n"));
	assert_non_null(strstr(output, "FOUND  the lab died: its last words\ninput vmcb\nset asid 3\n"));
	assert_int_equal(nr_files("corpus", ".input"), 2);
}

/* There is always one to begin with; unless that one is it. */
static void test_deadly_corpus(void **state)
{
	static const struct boot boots[] = {
		{ { NULL } }, { { NUMBER("seed", 0) } }, { { NUMBER("at", 0) }, ENDED },
	}, golden[] = { { { NULL } }, { { NUMBER("seed", 0) } }, { { NUMBER("seed", 0) } } };

	(void)state;
	stored("corpus/a.input", "input vmcb\nset asid 2\n");
	assert_int_equal(search_run(boots), 1);
	assert_int_equal(nr_booted, 3);
	assert_true(has_input(2, "input vmcb\n"));
	assert_false(has_input(2, "input vmcb\nset asid 2\n"));
	assert_int_equal(system("rm -r corpus"), 0);
	assert_int_equal(search_run(golden), 99);
	assert_int_equal(nr_booted, 3);
}

int main(void)
{
	enum { NR_SCENES = sizeof(replay_scenes) / sizeof(replay_scenes[0]) };
	enum { NR_OTHERS = 5 };
	struct CMUnitTest tests[NR_SCENES + NR_OTHERS] = {
		cmocka_unit_test_setup(test_nothing_is_lost, folders_empty), cmocka_unit_test_setup(test_named_death, folders_empty),
		cmocka_unit_test_setup(test_unnamed_death, folders_empty), cmocka_unit_test_setup(test_deadly_seed, folders_empty),
		cmocka_unit_test_setup(test_deadly_corpus, folders_empty),
	};
	unsigned int i;

	for (i = 0; i < NR_SCENES; i++)
		tests[i + NR_OTHERS] =
			(struct CMUnitTest){ replay_scenes[i].name, test_replay, NULL, NULL, (void *)&replay_scenes[i] };
	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
