/* SPDX-License-Identifier: MIT */
/*
 * Cases that end more than themselves, on a real KVM in the lab: test_deadly VMASSAY-BADCASES
 *
 * One makes the kernel panic, one makes it report a bug, and during one the emulator is killed from outside. Each
 * costs itself and a boot; what came before is kept and what comes after is run.
 */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "reports/result.h"

#define MAX_RESULTS 8

static const char *program;
static char folder[] = "/tmp/vmassay-deadly-XXXXXX";
static char json[64], console[64];
static struct result *results[MAX_RESULTS];
static unsigned int nr_results, nr_killed;
static int exit_code = -1;

/* --- the run --- */

/* How many such lines the report has so far. */
static unsigned int count_lines(const char *part, const char *other)
{
	FILE *file = fopen(json, "re");
	char *line = NULL;
	size_t size = 0;
	unsigned int nr = 0;

	while (file && getline(&line, &size, file) > 0)
		nr += strstr(line, part) && strstr(line, other);
	free(line);
	if (file)
		fclose(file);
	return nr;
}

/* The process that @parent has started, or 0. */
static pid_t child_of(pid_t parent)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	char path[300];
	pid_t found = 0;
	int ppid;

	while (dir && !found && (entry = readdir(dir))) {
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%s/stat", entry->d_name);
		file = atoi(entry->d_name) ? fopen(path, "re") : NULL;
		if (file && fscanf(file, "%*d (%*[^)]) %*c %d", &ppid) == 1 && ppid == parent)
			found = atoi(entry->d_name);
		if (file)
			fclose(file);
	}
	if (dir)
		closedir(dir);
	return found;
}

/* Whenever the test has started: a second time where another was being taken down at the first. */
static void kill_emulator(pid_t pid)
{
	pid_t emulator = child_of(pid);

	if (!emulator || count_lines("\"start\"", "\"deadly.killed_outside\"") <= nr_killed)
		return;
	if (!kill(emulator, SIGKILL))
		nr_killed++;
}

static int run_program(void)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		/* Standard output is this program's TAP. */
		dup2(STDERR_FILENO, STDOUT_FILENO);
		execl(program, program, "lab", "svm", "--json", json, "--console", console, "deadly.*", (char *)NULL);
		_exit(126);
	}
	while (waitpid(pid, &status, WNOHANG) != pid) {
		kill_emulator(pid);
		usleep(100000);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void results_read(void)
{
	FILE *file = fopen(json, "re");
	char *line = NULL;
	size_t size = 0;

	while (file && nr_results < MAX_RESULTS && getline(&line, &size, file) > 0) {
		struct json_object *event = json_tokener_parse(line);

		results[nr_results] = event ? result_from_json(event) : NULL;
		if (results[nr_results])
			nr_results++;
		json_object_put(event);
	}
	free(line);
	if (file)
		fclose(file);
}

static int run_lab(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(json, sizeof(json), "%s/json", folder);
	snprintf(console, sizeof(console), "%s/console", folder);
	exit_code = run_program();
	results_read();
	unlink(json);
	unlink(console);
	rmdir(folder);
	return 0;
}

static int free_results(void **state)
{
	(void)state;
	while (nr_results)
		result_free(results[--nr_results]);
	return 0;
}

/* --- what it reported --- */

/* In the order in which they ended: one may end while the next one runs. */
static const struct result *result_of(const char *test)
{
	unsigned int i;

	for (i = 0; i < nr_results; i++)
		if (!strcmp(results[i]->test, test))
			return results[i];
	fail_msg("%s has no result", test);
	return NULL;
}

static void assert_result(const char *test, enum verdict verdict, const char *reason, const char *dmesg)
{
	const struct result *result = result_of(test);
	const char *said = "", *why = result_reason(result);
	size_t i;

	assert_string_equal(verdict_name(result->verdict), verdict_name(verdict));
	if (strncmp(why ? why : "", reason, strlen(reason)))
		fail_msg("%s: '%s' does not begin with '%s'", test, why ? why : "", reason);
	if (why && strstr(why, "tests ran then"))
		fail_msg("%s: '%s'", test, why);
	for (i = 0; i < result->nr_notes; i++)
		if (result->notes[i].kind == NOTE_DMESG)
			said = result->notes[i].text;
	if (!strstr(said, dmesg))
		fail_msg("%s: '%s' does not hold '%s'", test, said, dmesg);
}

static void test_first(void **state)
{
	(void)state;
	assert_result("deadly.first", VERDICT_PASS, "", "");
}

static void test_panic(void **state)
{
	(void)state;
	assert_result("deadly.kernel_panics", VERDICT_FAIL,
		      "the kernel reported: Kernel panic - not syncing: sysrq triggered crash", "Call Trace:");
}

static void test_report(void **state)
{
	(void)state;
	assert_result("deadly.kernel_warns", VERDICT_FAIL, "the kernel reported: WARNING: drill",
		      "): drop_caches: 1\n");
}

static void test_kill(void **state)
{
	(void)state;
	assert_in_range(nr_killed, 1, 2);
	assert_result("deadly.killed_outside", VERDICT_ERROR, "emulator ended by signal 9 (Killed)", "");
}

static void test_last(void **state)
{
	(void)state;
	assert_result("deadly.last", VERDICT_PASS, "", "");
	assert_int_equal(nr_results, 5);
	assert_int_equal(exit_code, 1);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first), cmocka_unit_test(test_panic), cmocka_unit_test(test_report),
		cmocka_unit_test(test_kill), cmocka_unit_test(test_last),
	};

	if (argc != 2) {
		fprintf(stderr, "usage: test_deadly VMASSAY-BADCASES\n");
		return 2;
	}
	program = argv[1];
	return cmocka_run_group_tests(tests, run_lab, free_results);
}
