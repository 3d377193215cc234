/* SPDX-License-Identifier: MIT */
/* Every report writer against the exact text it must write; results to JSON and back. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "harness/err.h"
#include "reports/compare.h"
#include "reports/sink.h"

/* What a guest may print: quotes, markup, terminal control, overlong and lone surrogate UTF-8. */
#define NASTY "q\"b\\t\te\033[2J<&>'#]]>\x01\x7f \xff\xc3\xa9\xc0\xaf\xed\xa0\x80\xf0\x9f\x98\x80"
#define REPLACED "\xef\xbf\xbd"
#define NASTY_REPAIRED "q\"b\\t\te\033[2J<&>'#]]>\x01\x7f " REPLACED "\xc3\xa9" REPLACED REPLACED \
	REPLACED REPLACED REPLACED "\xf0\x9f\x98\x80"

static char scratch[] = "/tmp/vmassay-reports-XXXXXX";

static const char *scratch_path(const char *name)
{
	static char path[sizeof(scratch) + 64];

	snprintf(path, sizeof(path), "%s/%s", scratch, name);
	return path;
}

static int make_scratch(void **state)
{
	(void)state;
	return mkdtemp(scratch) ? 0 : -1;
}

/* Fails when a test left a file behind, a writer's temporary one for instance. */
static int remove_scratch(void **state)
{
	(void)state;
	return rmdir(scratch);
}

static char *slurp(const char *path)
{
	char *text = NULL;
	size_t size = 0;
	FILE *file = fopen(path, "re");

	assert_non_null(file);
	if (getdelim(&text, &size, '\0', file) < 0)
		text[0] = '\0';
	fclose(file);
	return text;
}

static void spill(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void assert_file(const char *path, const char *want)
{
	char *got = slurp(path);

	assert_string_equal(got, want);
	free(got);
	assert_int_equal(unlink(path), 0);
}

static struct result *passed(void)
{
	struct result *result = result_new("ioctl.pio.out_byte", "lab-svm", "cases/ioctl/pio.c");

	result->duration_us = 1234;
	result->nr_checks = 2;
	return result;
}

static struct result *skipped(const char *test)
{
	struct result *result = result_new(test, "lab-svm", "cases/mmu/la57.c");

	result_worsen(result, VERDICT_SKIP, "needs cpuid=la57");
	return result;
}

static struct result *known(void)
{
	struct result *result = result_new("svm.a#b\\c", "lab-svm", "cases/svm/asid.c");

	result->round = 2;
	result->duration_us = 2000000;
	result->nr_checks = 1;
	result_worsen(result, VERDICT_KNOWN, "finding 0007 \\ #12\nsince 6.1");
	return result;
}

/* Note, its area begins as another's does. */
static struct result *errored(void)
{
	struct result *result = result_new("io", "lab-svm", "cases/io.c");

	result_worsen(result, VERDICT_ERROR, "emulator died: <signal 6>");
	return result;
}

static struct result *failed(void)
{
	static const struct note notes[] = {
		{ NOTE_CHECK, "cases/svm/walk.c", 31, "exit", "port 0x80\ndata 5a",
		  "port 0x81\n\n  data 5b\n", "port,data" },
		{ NOTE_MESSAGE, "cases/svm/walk.c", 7, NASTY, NULL, NULL, NULL },
		{ NOTE_DUMP, NULL, 0, " rax 0\n rip <1>\n", NULL, NULL, NULL },
		{ NOTE_OUTPUT, NULL, 0, "hello\r\n...\nworld", NULL, NULL, NULL },
		{ NOTE_DMESG, NULL, 0, "[    1.0] WARNING: here\n[    1.1] Call Trace:\n", NULL, NULL, NULL },
	};
	struct result *result = result_new("svm.walk.row", "lab-svm", "cases/svm/walk.c");

	result->duration_us = 12345;
	result->nr_checks = 4;
	for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++)
		result_add_note(result, &notes[i]);
	result_worsen(result, VERDICT_FAIL, "killed by signal 11");
	return result;
}

static void tell(struct sink *sink, struct result *result, struct summary *summary)
{
	sink->ops->test_begin(sink, result->test, result->target, result->round);
	summary->count[result->verdict]++;
	summary->duration_us = 12345678;
	sink->ops->test_end(sink, result);
	result_free(result);
}

static void begin(struct sink *sink, unsigned int nr_planned)
{
	struct json_object *facts = json_tokener_parse(
		"{\"cpu\":\"EPYC <7>\",\"kernel\":\"6.1\",\"nested\":true,"
		"\"list\":[1],\"none\":null}");
	struct run_info info = { "lab-svm", nr_planned, UINT64_MAX, facts };

	assert_non_null(facts);
	sink->ops->run_begin(sink, &info);
	json_object_put(facts);
}

/* A run of 8 planned tests with every verdict, of which one does not happen. */
static void play(struct sink *sink)
{
	struct summary summary = { 0 };

	begin(sink, 8);
	tell(sink, passed(), &summary);
	tell(sink, skipped("mmu.la57"), &summary);
	tell(sink, skipped("mmu.la57_user"), &summary);
	tell(sink, known(), &summary);
	tell(sink, errored(), &summary);
	tell(sink, failed(), &summary);
	tell(sink, passed(), &summary);
	sink->ops->run_end(sink, &summary);
}

static void must_close(struct sink *sink)
{
	struct err err = { "" };

	assert_int_equal(sink->ops->close(sink, &err), 0);
	assert_string_equal(err.text, "");
}

static void begin_target(struct sink *sink, const char *target, const char *facts_text)
{
	struct json_object *facts = json_tokener_parse(facts_text);

	if (sink->ops->target_begin)
		sink->ops->target_begin(sink, target, facts);
	json_object_put(facts);
}

/* A run on two targets, on the second of which its one test fails. */
static void play_two(struct sink *sink)
{
	const struct run_info info = { "lab-svm,lab-vmx[ept=0]", 2, 7, NULL };
	struct result *results[] = {
		result_new("a.b", "lab-svm", "cases/a/b.c"), result_new("a.b", "lab-vmx[ept=0]", "cases/a/b.c"),
	};
	struct compare compare = { 0 };
	struct summary summary = { 0 };

	result_worsen(results[1], VERDICT_FAIL, "hang");
	compare_add_target(&compare, "lab-svm");
	compare_add_target(&compare, "lab-vmx[ept=0]");
	compare_add_result(&compare, 0, results[0]);
	compare_add_result(&compare, 1, results[1]);
	sink->ops->run_begin(sink, &info);
	begin_target(sink, "lab-svm", "{\"cpu\":\"A\",\"kernel\":\"6\"}");
	tell(sink, results[0], &summary);
	begin_target(sink, "lab-vmx[ept=0]", "{\"cpu\":\"B\",\"list\":[1]}");
	tell(sink, results[1], &summary);
	if (sink->ops->comparison)
		sink->ops->comparison(sink, &compare);
	summary.duration_us = 2000000;
	sink->ops->run_end(sink, &summary);
	compare_free(&compare);
}

/* One line, and it names @name. */
static void assert_err_line(const struct err *err, const char *name)
{
	assert_non_null(strstr(err->text, name));
	assert_null(strchr(err->text, '\n'));
}

static void test_names(void **state)
{
	(void)state;
	for (int i = 0; i < NR_VERDICTS; i++)
		assert_int_equal(verdict_from_name(verdict_name(i)), i);
	assert_string_equal(verdict_name(VERDICT_KNOWN), "KNOWN");
	assert_int_equal(verdict_from_name("pass"), -1);
	assert_int_equal(verdict_from_name(""), -1);
	assert_string_equal(note_kind_name(NOTE_OUTPUT), "output");
	assert_string_equal(note_kind_name(NOTE_DMESG), "dmesg");
}

static void test_worst_verdict_is_kept(void **state)
{
	struct result *result = passed();

	(void)state;
	assert_null(result_reason(result));
	result_worsen(result, VERDICT_FAIL, "hang");
	result_worsen(result, VERDICT_SKIP, NULL);
	assert_int_equal(result->verdict, VERDICT_FAIL);
	assert_int_equal(result->nr_notes, 1);
	result_worsen(result, VERDICT_ERROR, "console lost");
	assert_int_equal(result->verdict, VERDICT_FAIL);
	assert_int_equal(result->nr_notes, 2);
	assert_string_equal(result_reason(result), "console lost");
	result_free(result);
	result_free(NULL);
}

static void test_result_owns_its_strings(void **state)
{
	char text[] = "text", test[] = "a.b";
	struct result *result = result_new(test, "kvm", "f.c");

	(void)state;
	result_add_note(result, &(struct note){ .kind = NOTE_CHECK, .want = text });
	test[0] = text[0] = '!';
	assert_string_equal(result->test, "a.b");
	assert_string_equal(result->notes[0].want, "text");
	assert_null(result->notes[0].got);
	result_free(result);
}

static void test_exit_codes(void **state)
{
	static const struct {
		unsigned int count[NR_VERDICTS];
		int want;
		enum verdict worst;
	} rows[] = {
		{ { 0, 0, 0, 0, 0 }, 99, VERDICT_PASS },
		{ { 3, 0, 0, 0, 0 }, 0, VERDICT_PASS },
		{ { 1, 2, 0, 0, 0 }, 0, VERDICT_SKIP },
		{ { 0, 2, 0, 0, 0 }, 77, VERDICT_SKIP },
		{ { 0, 2, 1, 0, 0 }, 0, VERDICT_KNOWN },
		{ { 5, 2, 1, 1, 0 }, 99, VERDICT_ERROR },
		{ { 5, 2, 1, 1, 1 }, 1, VERDICT_FAIL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct summary summary = { 0 };

		memcpy(summary.count, rows[i].count, sizeof(summary.count));
		assert_int_equal(summary_exit_code(&summary), rows[i].want);
		assert_int_equal(summary_worst(&summary), rows[i].worst);
	}
}

static void test_utf8(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		uint32_t code;
	} rows[] = {
		{ "A", 1, 'A' },
		{ "\x7f", 1, 0x7f },
		{ "\x80", 1, UTF8_INVALID },
		{ "\xc2\x80", 2, 0x80 },
		{ "\xc1\xbf", 1, UTF8_INVALID },
		{ "\xc3", 1, UTF8_INVALID },
		{ "\xe0\xa0\x80", 3, 0x800 },
		{ "\xe0\x9f\xbf", 1, UTF8_INVALID },
		{ "\xed\x9f\xbf", 3, 0xd7ff },
		{ "\xed\xa0\x80", 1, UTF8_INVALID },
		{ "\xee\x80\x80", 3, 0xe000 },
		{ "\xf0\x90\x80\x80", 4, 0x10000 },
		{ "\xf0\x8f\xbf\xbf", 1, UTF8_INVALID },
		{ "\xf0\x90\x80", 1, UTF8_INVALID },
		{ "\xf4\x8f\xbf\xbf", 4, 0x10ffff },
		{ "\xf4\x90\x80\x80", 1, UTF8_INVALID },
		{ "\xf8\xb0\x80\x80\x80", 1, UTF8_INVALID },
		{ "\xff", 1, UTF8_INVALID },
	};
	uint32_t code;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(utf8_decode(rows[i].bytes, &code), rows[i].len);
		assert_int_equal(code, rows[i].code);
	}
}

/* Through the text, as a line in a file goes. */
static struct result *there_and_back(const struct result *result)
{
	struct json_object *out = result_to_json(result), *in;
	struct json_tokener *tokener = json_tokener_new();
	struct result *copy;
	const char *line;

	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	line = json_object_to_json_string_ext(out, JSON_C_TO_STRING_PLAIN);
	assert_null(strchr(line, '\n'));
	in = json_tokener_parse_ex(tokener, line, (int)strlen(line) + 1);
	assert_non_null(in);
	copy = result_from_json(in);
	assert_non_null(copy);
	json_object_put(in);
	json_object_put(out);
	json_tokener_free(tokener);
	return copy;
}

static void assert_text_equal(const char *got, const char *want)
{
	assert_true(!got == !want);
	if (want)
		assert_string_equal(got, want);
}

static void test_json_round_trip(void **state)
{
	struct result *want = failed(), *got;

	(void)state;
	want->round = UINT_MAX;
	want->duration_us = UINT64_MAX;
	want->nr_checks = (uint64_t)INT64_MAX + 1;
	got = there_and_back(want);
	assert_string_equal(got->test, want->test);
	assert_string_equal(got->target, want->target);
	assert_string_equal(got->file, want->file);
	assert_int_equal(got->verdict, VERDICT_FAIL);
	assert_int_equal(got->round, UINT_MAX);
	assert_true(got->duration_us == UINT64_MAX);
	assert_true(got->nr_checks == want->nr_checks);
	assert_int_equal(got->nr_notes, 6);
	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(got->notes[i].kind, want->notes[i].kind);
		assert_text_equal(got->notes[i].file, want->notes[i].file);
		assert_int_equal(got->notes[i].line, want->notes[i].line);
		assert_text_equal(got->notes[i].text,
				  i == 1 ? NASTY_REPAIRED : want->notes[i].text);
		assert_text_equal(got->notes[i].want, want->notes[i].want);
		assert_text_equal(got->notes[i].got, want->notes[i].got);
		assert_text_equal(got->notes[i].fields, want->notes[i].fields);
	}
	result_free(want);
	result_free(got);
}

static void test_json_of_a_pass(void **state)
{
	struct result *result = passed();
	struct json_object *object = result_to_json(result);

	(void)state;
	assert_string_equal(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN |
							   JSON_C_TO_STRING_NOSLASHESCAPE),
		"{\"type\":\"result\",\"test\":\"ioctl.pio.out_byte\",\"target\":\"lab-svm\","
		"\"file\":\"cases/ioctl/pio.c\",\"verdict\":\"PASS\",\"round\":0,"
		"\"duration_us\":1234,\"nr_checks\":2}");
	json_object_put(object);
	result_free(result);
}

/*
 * True when result_from_json() takes a good result after its member @key (of its only note if
 * @in_note) was replaced by @value, or removed if that is NULL.
 */
static bool is_taken_with(bool in_note, const char *key, const char *value)
{
	struct json_object *object = json_tokener_parse(
		"{\"type\":\"result\",\"test\":\"a.b\",\"target\":\"kvm\",\"file\":\"f.c\","
		"\"verdict\":\"FAIL\",\"round\":1,\"duration_us\":2,\"nr_checks\":3,\"notes\":[{"
		"\"kind\":\"check\",\"file\":\"f.c\",\"line\":4,\"text\":\"t\",\"want\":\"w\","
		"\"got\":\"g\",\"fields\":\"f\"}]}");
	struct json_object *place = object;
	struct result *result;

	if (in_note)
		place = json_object_array_get_idx(json_object_object_get(object, "notes"), 0);
	assert_non_null(json_object_object_get(place, key));
	json_object_object_del(place, key);
	if (value)
		json_object_object_add(place, key, json_tokener_parse(value));
	result = result_from_json(object);
	json_object_put(object);
	result_free(result);
	return result != NULL;
}

static void test_json_members(void **state)
{
	static const struct {
		const char *key;
		bool in_note, is_text, is_required;
	} rows[] = {
		{ "type", false, true, false }, { "test", false, true, true },
		{ "target", false, true, true }, { "file", false, true, true },
		{ "verdict", false, true, true }, { "round", false, false, true },
		{ "duration_us", false, false, true }, { "nr_checks", false, false, true },
		{ "kind", true, true, true }, { "file", true, true, false },
		{ "line", true, false, false }, { "text", true, true, false },
		{ "want", true, true, false }, { "got", true, true, false },
		{ "fields", true, true, false },
	};
	static const char *const misfits[] = { "null", "true", "1.5", "[]", "{}", "-1" };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(is_taken_with(rows[i].in_note, rows[i].key, NULL),
				 !rows[i].is_required);
		for (size_t j = 0; j < sizeof(misfits) / sizeof(misfits[0]); j++)
			assert_false(is_taken_with(rows[i].in_note, rows[i].key, misfits[j]));
		assert_false(is_taken_with(rows[i].in_note, rows[i].key,
					   rows[i].is_text ? "7" : "\"7\""));
		if (!rows[i].is_text)
			assert_true(is_taken_with(rows[i].in_note, rows[i].key, "4294967295"));
	}
}

static void test_json_values(void **state)
{
	(void)state;
	assert_true(is_taken_with(false, "notes", NULL));
	assert_true(is_taken_with(false, "notes", "[]"));
	assert_false(is_taken_with(false, "notes", "{}"));
	assert_false(is_taken_with(false, "notes", "null"));
	assert_false(is_taken_with(false, "notes", "[1]"));
	assert_false(is_taken_with(false, "notes", "[null]"));
	assert_false(is_taken_with(false, "type", "\"start\""));
	assert_true(is_taken_with(false, "verdict", "\"KNOWN\""));
	assert_false(is_taken_with(false, "verdict", "\"pass\""));
	assert_true(is_taken_with(true, "kind", "\"dump\""));
	assert_false(is_taken_with(true, "kind", "\"CHECK\""));
	assert_false(is_taken_with(false, "test", "\"a\\u0000b\""));
	assert_true(is_taken_with(false, "duration_us", "18446744073709551615"));
	assert_false(is_taken_with(false, "round", "4294967296"));
	assert_false(is_taken_with(true, "line", "4294967296"));
	assert_null(result_from_json(NULL));
}

#define JSONL_RUN \
	"{\"type\":\"run\",\"version\":1,\"target\":\"lab-svm\",\"nr_planned\":8,"	\
	"\"seed\":18446744073709551615,\"facts\":{\"cpu\":\"EPYC <7>\",\"kernel\":\"6.1\","	\
	"\"nested\":true,\"list\":[1],\"none\":null}}\n"
#define JSONL_START \
	"{\"type\":\"start\",\"test\":\"ioctl.pio.out_byte\",\"target\":\"lab-svm\",\"round\":0}\n"
#define JSONL_RESULT \
	"{\"type\":\"result\",\"test\":\"ioctl.pio.out_byte\",\"target\":\"lab-svm\","	\
	"\"file\":\"cases/ioctl/pio.c\",\"verdict\":\"PASS\",\"round\":0,"		\
	"\"duration_us\":1234,\"nr_checks\":2}\n"
#define JSONL_END \
	"{\"type\":\"end\",\"summary\":"	\
	"{\"PASS\":1,\"SKIP\":0,\"KNOWN\":0,\"ERROR\":0,\"FAIL\":0},"	\
	"\"duration_us\":12345678}\n"

/* A message socket keeps the writes apart: each event must be one. */
static void test_jsonl_one_write_per_event(void **state)
{
	static const char *const want[] = { JSONL_RUN, JSONL_START, JSONL_RESULT, JSONL_END };
	struct summary summary = { 0 };
	struct sink *sink;
	char line[1024];
	ssize_t len;
	int fd[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fd), 0);
	assert_int_equal(sink_jsonl_open_fd(fd[0], &sink, NULL), 0);
	begin(sink, 8);
	tell(sink, passed(), &summary);
	sink->ops->run_end(sink, &summary);
	must_close(sink);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		len = read(fd[1], line, sizeof(line) - 1);
		assert_true(len > 0);
		line[len] = '\0';
		assert_string_equal(line, want[i]);
	}
	assert_int_equal(read(fd[1], line, sizeof(line)), -1);
	/* The descriptor is still the caller's. */
	assert_int_equal(close(fd[0]), 0);
	close(fd[1]);
}

static void test_jsonl_appends(void **state)
{
	const char *path = scratch_path("appended.jsonl");
	struct summary summary = { 0 };
	struct sink *sink;

	(void)state;
	spill(path, "{\"old\":1}\n{\"cut");
	assert_int_equal(sink_jsonl_open(path, &sink, NULL), 0);
	begin(sink, 8);
	must_close(sink);
	assert_int_equal(sink_jsonl_open(path, &sink, NULL), 0);
	tell(sink, passed(), &summary);
	must_close(sink);
	assert_file(path, "{\"old\":1}\n{\"cut\n" JSONL_RUN JSONL_START JSONL_RESULT);
}

static void test_jsonl_repairs_facts(void **state)
{
	const char *path = scratch_path("facts.jsonl");
	struct json_object *facts = json_object_new_object();
	struct run_info info = { "t", 0, 7, facts };
	struct sink *sink;

	(void)state;
	json_object_object_add(facts, "cpu", json_object_new_string("a\xff\nb"));
	assert_int_equal(sink_jsonl_open(path, &sink, NULL), 0);
	sink->ops->run_begin(sink, &info);
	info.facts = NULL;
	sink->ops->run_begin(sink, &info);
	must_close(sink);
	json_object_put(facts);
	assert_file(path,
		"{\"type\":\"run\",\"version\":1,\"target\":\"t\",\"nr_planned\":0,\"seed\":7,"
		"\"facts\":{\"cpu\":\"a" REPLACED "\\nb\"}}\n"
		"{\"type\":\"run\",\"version\":1,\"target\":\"t\",\"nr_planned\":0,\"seed\":7,"
		"\"facts\":{}}\n");
}

/* The reader is slow and the pipe full: what does not fit must wait, not be lost. */
static void test_jsonl_waits_for_a_slow_reader(void **state)
{
	const size_t len_bytes = 1 << 20;
	char *text = malloc(len_bytes + 1), buffer[4096];
	size_t nr_z = 0, nr_lines = 0;
	struct summary summary = { 0 };
	struct sink *sink;
	ssize_t len;
	int fd[2], status;
	pid_t pid;

	(void)state;
	memset(text, 'Z', len_bytes);
	text[len_bytes] = '\0';
	assert_int_equal(pipe(fd), 0);
	assert_int_equal(fcntl(fd[1], F_SETFL, O_NONBLOCK), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct result *result = skipped("a.b");

		result_worsen(result, VERDICT_SKIP, text);
		free(text);
		if (sink_jsonl_open_fd(fd[1], &sink, NULL))
			_exit(1);
		tell(sink, result, &summary);
		_exit(sink->ops->close(sink, NULL) ? 1 : 0);
	}
	close(fd[1]);
	usleep(50000);
	while ((len = read(fd[0], buffer, sizeof(buffer))) > 0) {
		for (ssize_t i = 0; i < len; i++) {
			nr_z += buffer[i] == 'Z';
			nr_lines += buffer[i] == '\n';
		}
	}
	close(fd[0]);
	free(text);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(nr_z, len_bytes);
	assert_int_equal(nr_lines, 2);
}

static void test_jsonl_errors(void **state)
{
	struct sink *sink = NULL;
	struct err err = { "" };

	(void)state;
	assert_int_equal(sink_jsonl_open(scratch_path("no/such.jsonl"), &sink, &err), -ENOENT);
	assert_null(sink);
	assert_err_line(&err, scratch_path("no/such.jsonl"));

	assert_int_equal(sink_jsonl_open("/dev/full", &sink, &err), 0);
	play(sink);
	assert_int_equal(sink->ops->close(sink, &err), -ENOSPC);
	assert_string_equal(err.text, "/dev/full: No space left on device");
}

static const char tap_text[] =
	"TAP version 14\n"
	"1..8\n"
	"# target lab-svm, seed 0xffffffffffffffff\n"
	"ok 1 - ioctl.pio.out_byte@lab-svm\n"
	"ok 2 - mmu.la57@lab-svm # SKIP needs cpuid=la57\n"
	"ok 3 - mmu.la57_user@lab-svm # SKIP needs cpuid=la57\n"
	"not ok 4 - svm.a\\#b\\\\c@lab-svm (round 2) # TODO finding 0007 \\\\ \\#12 since 6.1\n"
	"  ---\n"
	"  verdict: KNOWN\n"
	"  duration_ms: 2000.0\n"
	"  file: \"cases/svm/asid.c\"\n"
	"  checks: 1\n"
	"  notes:\n"
	"    - kind: reason\n"
	"      text: |-\n"
	"        finding 0007 \\ #12\n"
	"        since 6.1\n"
	"  ...\n"
	"not ok 5 - io@lab-svm\n"
	"  ---\n"
	"  verdict: ERROR\n"
	"  duration_ms: 0.0\n"
	"  file: \"cases/io.c\"\n"
	"  checks: 0\n"
	"  notes:\n"
	"    - kind: reason\n"
	"      text: \"emulator died: <signal 6>\"\n"
	"  ...\n"
	"not ok 6 - svm.walk.row@lab-svm\n"
	"  ---\n"
	"  verdict: FAIL\n"
	"  duration_ms: 12.3\n"
	"  file: \"cases/svm/walk.c\"\n"
	"  checks: 4\n"
	"  notes:\n"
	"    - kind: check\n"
	"      file: \"cases/svm/walk.c\"\n"
	"      line: 31\n"
	"      text: \"exit\"\n"
	"      want: |-\n"
	"        port 0x80\n"
	"        data 5a\n"
	"      got: \"port 0x81\\n\\\n"
	"        \\n\\\n"
	"        \\u0020 data 5b\\n\"\n"
	"      fields: \"port,data\"\n"
	"    - kind: message\n"
	"      file: \"cases/svm/walk.c\"\n"
	"      line: 7\n"
	"      text: \"q\\\"b\\\\t\\u0009e\\u001b[2J<&>'#]]>\\u0001\\u007f " REPLACED "\xc3\xa9"
	REPLACED REPLACED REPLACED REPLACED REPLACED "\xf0\x9f\x98\x80\"\n"
	"    - kind: dump\n"
	"      text: |2\n"
	"         rax 0\n"
	"         rip <1>\n"
	"    - kind: output\n"
	"      text: \"hello\\u000d\\n\\\n"
	"        \\u002e..\\n\\\n"
	"        world\"\n"
	"    - kind: dmesg\n"
	"      text: |\n"
	"        [    1.0] WARNING: here\n"
	"        [    1.1] Call Trace:\n"
	"    - kind: reason\n"
	"      text: \"killed by signal 11\"\n"
	"  ...\n"
	"ok 7 - ioctl.pio.out_byte@lab-svm\n";

static void test_tap(void **state)
{
	char *text = NULL;
	size_t len_bytes;
	FILE *out = open_memstream(&text, &len_bytes);
	struct sink *sink;

	(void)state;
	assert_int_equal(sink_tap_open(out, &sink, NULL), 0);
	play(sink);
	must_close(sink);
	fclose(out);
	assert_string_equal(text, tap_text);
	free(text);
}

/* What is written about an ERROR whose reason is @text. */
static void put_tap_of_reason(FILE *out, const char *text)
{
	struct result *result = result_new("a", "b", "c");
	struct summary summary = { 0 };
	struct sink *sink;

	result_worsen(result, VERDICT_ERROR, text);
	assert_int_equal(sink_tap_open(out, &sink, NULL), 0);
	tell(sink, result, &summary);
	must_close(sink);
}

static void test_tap_scalars(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "", "\"\"" },
		{ "\n", "\"\\n\"" },
		{ "a: 'b' #", "\"a: 'b' #\"" },
		{ "a\n", "|\n        a" },
		{ "- a\n  b: c # d", "|-\n        - a\n          b: c # d" },
		{ " a\nb", "|2-\n         a\n        b" },
		{ "\ta\nb", "|2-\n        \ta\n        b" },
		{ "a\n\nb", "\"a\\n\\\n        \\n\\\n        b\"" },
		{ "a\n ", "\"a\\n\\\n        \\u0020\"" },
		{ "a\n ...b", "\"a\\n\\\n        \\u0020...b\"" },
		{ "a\n...", "\"a\\n\\\n        \\u002e..\"" },
		{ "a\xff\nb", "|-\n        a" REPLACED "\n        b" },
		{ "a\xe2\x80\xa8\nb", "\"a\\u2028\\n\\\n        b\"" },
		{ "\xef\xbb\xbf\xc2\x85", "\"\\ufeff\\u0085\"" },
	};
	static const char before[] = "      text: ";
	char *tap = NULL, *got;
	size_t len_bytes;
	FILE *out;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		out = open_memstream(&tap, &len_bytes);
		put_tap_of_reason(out, rows[i].text);
		fclose(out);
		got = strstr(tap, before) + strlen(before);
		*strstr(got, "\n  ...\n") = '\0';
		assert_string_equal(got, rows[i].want);
		free(tap);
	}
}

#define JUNIT_PROPERTIES \
	"    <properties>\n"						\
	"      <property name=\"target\" value=\"lab-svm\"/>\n"		\
	"      <property name=\"seed\" value=\"0xffffffffffffffff\"/>\n"	\
	"      <property name=\"cpu\" value=\"EPYC &lt;7&gt;\"/>\n"	\
	"      <property name=\"kernel\" value=\"6.1\"/>\n"		\
	"      <property name=\"nested\" value=\"true\"/>\n"		\
	"    </properties>\n"
#define JUNIT_PASS \
	"    <testcase classname=\"ioctl\" name=\"pio.out_byte@lab-svm\""	\
	" file=\"cases/ioctl/pio.c\" time=\"0.001234\">\n"			\
	"    </testcase>\n"

static const char junit_text[] =
	"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	"<testsuites tests=\"7\" failures=\"1\" errors=\"1\" skipped=\"3\" time=\"12.345678\">\n"
	"  <testsuite name=\"ioctl\" tests=\"2\" failures=\"0\" errors=\"0\" skipped=\"0\""
	" time=\"0.002468\">\n"
	JUNIT_PROPERTIES
	JUNIT_PASS
	JUNIT_PASS
	"  </testsuite>\n"
	"  <testsuite name=\"mmu\" tests=\"2\" failures=\"0\" errors=\"0\" skipped=\"2\""
	" time=\"0.000000\">\n"
	JUNIT_PROPERTIES
	"    <testcase classname=\"mmu\" name=\"la57@lab-svm\" file=\"cases/mmu/la57.c\""
	" time=\"0.000000\">\n"
	"      <skipped message=\"needs cpuid=la57\"/>\n"
	"    </testcase>\n"
	"    <testcase classname=\"mmu\" name=\"la57_user@lab-svm\" file=\"cases/mmu/la57.c\""
	" time=\"0.000000\">\n"
	"      <skipped message=\"needs cpuid=la57\"/>\n"
	"    </testcase>\n"
	"  </testsuite>\n"
	"  <testsuite name=\"svm\" tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"1\""
	" time=\"2.012345\">\n"
	JUNIT_PROPERTIES
	"    <testcase classname=\"svm\" name=\"a#b\\c@lab-svm (round 2)\""
	" file=\"cases/svm/asid.c\" time=\"2.000000\">\n"
	"      <skipped message=\"finding 0007 \\ #12&#10;since 6.1\">finding 0007 \\ #12\n"
	"since 6.1\n"
	"</skipped>\n"
	"    </testcase>\n"
	"    <testcase classname=\"svm\" name=\"walk.row@lab-svm\" file=\"cases/svm/walk.c\""
	" time=\"0.012345\">\n"
	"      <failure message=\"exit\" type=\"FAIL\">cases/svm/walk.c:31: exit\n"
	"want:\n"
	"port 0x80\n"
	"data 5a\n"
	"got:\n"
	"port 0x81\n"
	"\n"
	"  data 5b\n"
	"differs in: port,data\n"
	"cases/svm/walk.c:7: q\"b\\t\te[2J&lt;&amp;&gt;'#]]&gt;\x7f \xc3\xa9\xf0\x9f\x98\x80\n"
	"killed by signal 11\n"
	"</failure>\n"
	"      <system-out> rax 0\n"
	" rip &lt;1&gt;\n"
	"hello&#13;\n"
	"...\n"
	"world\n"
	"[    1.0] WARNING: here\n"
	"[    1.1] Call Trace:\n"
	"</system-out>\n"
	"    </testcase>\n"
	"  </testsuite>\n"
	"  <testsuite name=\"io\" tests=\"1\" failures=\"0\" errors=\"1\" skipped=\"0\""
	" time=\"0.000000\">\n"
	JUNIT_PROPERTIES
	"    <testcase classname=\"io\" name=\"io@lab-svm\" file=\"cases/io.c\""
	" time=\"0.000000\">\n"
	"      <error message=\"emulator died: &lt;signal 6&gt;\" type=\"ERROR\">"
	"emulator died: &lt;signal 6&gt;\n"
	"</error>\n"
	"    </testcase>\n"
	"  </testsuite>\n"
	"</testsuites>\n";

static void test_junit(void **state)
{
	const char *path = scratch_path("report.xml");
	struct sink *sink;

	(void)state;
	spill(path, "an older report");
	assert_int_equal(sink_junit_open(path, &sink, NULL), 0);
	play(sink);
	/* Complete already, should the process die before it closes. */
	assert_int_equal(access(path, R_OK), 0);
	must_close(sink);
	assert_file(path, junit_text);
	assert_int_equal(access(scratch_path("report.xml.tmp"), F_OK), -1);
}

static void test_junit_of_a_run_without_end(void **state)
{
	const char *path = scratch_path("crashed.xml");
	struct summary summary = { 0 };
	struct sink *sink;

	(void)state;
	spill(path, "an older report");
	assert_int_equal(sink_junit_open(path, &sink, NULL), 0);
	begin(sink, 8);
	tell(sink, passed(), &summary);
	must_close(sink);
	assert_file(path,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<testsuites tests=\"1\" failures=\"0\" errors=\"0\" skipped=\"0\""
		" time=\"0.001234\">\n"
		"  <testsuite name=\"ioctl\" tests=\"1\" failures=\"0\" errors=\"0\""
		" skipped=\"0\" time=\"0.001234\">\n"
		JUNIT_PROPERTIES JUNIT_PASS
		"  </testsuite>\n"
		"</testsuites>\n");
}

/* The first broken expectation, else the reason, else at least the verdict's name. */
static void test_junit_headlines(void **state)
{
	const char *path = scratch_path("headlines.xml");
	struct result *result = failed();
	struct summary summary = { 0 };
	struct sink *sink;
	char *text;

	(void)state;
	assert_int_equal(sink_junit_open(path, &sink, NULL), 0);
	tell(sink, result, &summary);
	result = passed();
	result_worsen(result, VERDICT_FAIL, "hang\t\"5 s\"");
	tell(sink, result, &summary);
	result = passed();
	result_worsen(result, VERDICT_ERROR, NULL);
	tell(sink, result, &summary);
	must_close(sink);
	text = slurp(path);
	assert_non_null(strstr(text, "<failure message=\"exit\" type=\"FAIL\">"));
	assert_non_null(strstr(text, "<failure message=\"hang&#9;&quot;5 s&quot;\" type="));
	assert_non_null(strstr(text, "<error message=\"ERROR\" type=\"ERROR\"></error>"));
	free(text);
	assert_int_equal(unlink(path), 0);
}

static void test_junit_errors(void **state)
{
	struct sink *sink = NULL;
	struct err err = { "" };

	(void)state;
	assert_int_equal(sink_junit_open(scratch_path("no/such.xml"), &sink, &err), -ENOENT);
	assert_null(sink);
	assert_err_line(&err, scratch_path("no/such.xml"));

	/* A folder stands where the report should go: the temporary file must not stay. */
	assert_int_equal(mkdir(scratch_path("folder"), 0777), 0);
	assert_int_equal(sink_junit_open(scratch_path("folder"), &sink, &err), 0);
	play(sink);
	assert_int_equal(access(scratch_path("folder.tmp"), F_OK), -1);
	assert_int_equal(sink->ops->close(sink, &err), -EISDIR);
	assert_err_line(&err, scratch_path("folder"));
	assert_int_equal(rmdir(scratch_path("folder")), 0);

	/* A full disk: the older report stays as it was. */
	spill(scratch_path("full"), "an older report");
	assert_int_equal(symlink("/dev/full", scratch_path("full.tmp")), 0);
	assert_int_equal(sink_junit_open(scratch_path("full"), &sink, &err), 0);
	play(sink);
	assert_int_equal(sink->ops->close(sink, &err), -ENOSPC);
	assert_err_line(&err, scratch_path("full.tmp"));
	assert_int_equal(readlink(scratch_path("full.tmp"), (char[1]){ 0 }, 1), -1);
	assert_file(scratch_path("full"), "an older report");
}

#define CONSOLE_HEAD \
	"vmassay: 8 tests on lab-svm\n"	\
	"cpu EPYC <7>, kernel 6.1\n"
#define CONSOLE_PASS \
	"PASS   ioctl.pio.out_byte@lab-svm   1.2 ms\n"
#define CONSOLE_KNOWN \
	"KNOWN  svm.a#b\\c@lab-svm (round 2)   2.0 s\n"	\
	"  reason: finding 0007 \\ #12\n"			\
	"          since 6.1\n"
#define CONSOLE_ERROR \
	"ERROR  io@lab-svm   0.0 ms\n"			\
	"  reason: emulator died: <signal 6>\n"
#define CONSOLE_FAIL \
	"FAIL   svm.walk.row@lab-svm   12.3 ms\n"	\
	"  cases/svm/walk.c:31: exit\n"			\
	"    want  port 0x80\n"				\
	"          data 5a\n"				\
	"    got   port 0x81\n"				\
	"\n"						\
	"            data 5b\n"				\
	"    differs in  port,data\n"			\
	"  guest/case says: cases/svm/walk.c:7: q\"b\\t\te\\x1b[2J<&>'#]]>\\x01\\x7f "	\
	"\\xff\xc3\xa9\\xc0\\xaf\\xed\\xa0\\x80\xf0\x9f\x98\x80\n"				\
	"     rax 0\n"					\
	"     rip <1>\n"				\
	"  output:\n"					\
	"    hello\n"					\
	"    ...\n"					\
	"    world\n"					\
	"  the kernel said:\n"				\
	"    [    1.0] WARNING: here\n"			\
	"    [    1.1] Call Trace:\n"			\
	"  reason: killed by signal 11\n"
#define CONSOLE_TAIL \
	"\n"									\
	"  2 skipped: needs cpuid=la57\n"					\
	"ERROR  io@lab-svm\n"							\
	"FAIL   svm.walk.row@lab-svm\n"						\
	"target lab-svm, seed 0xffffffffffffffff, 12.3 s, 1 known, 1 did not run\n"	\
	"2 passed, 2 failed, 3 skipped\n"

/* What the console shows of play() on something that is no real terminal; free() it. */
static char *console_text(bool is_terminal, bool verbose)
{
	char *text = NULL;
	size_t len_bytes;
	FILE *out = open_memstream(&text, &len_bytes);
	struct sink *sink;

	assert_int_equal(sink_console_open(out, is_terminal, verbose, &sink, NULL), 0);
	play(sink);
	must_close(sink);
	fclose(out);
	return text;
}

static void test_console_plain(void **state)
{
	char *text = console_text(false, false);

	(void)state;
	assert_string_equal(text, CONSOLE_HEAD CONSOLE_KNOWN CONSOLE_ERROR CONSOLE_FAIL
			    CONSOLE_TAIL);
	free(text);
}

static void test_console_verbose(void **state)
{
	char *text = console_text(false, true);

	(void)state;
	assert_string_equal(text, CONSOLE_HEAD CONSOLE_PASS
			    "SKIP   mmu.la57@lab-svm   needs cpuid=la57\n"
			    "SKIP   mmu.la57_user@lab-svm   needs cpuid=la57\n"
			    CONSOLE_KNOWN CONSOLE_ERROR CONSOLE_FAIL CONSOLE_PASS CONSOLE_TAIL);
	free(text);
}

static void test_console_small_run(void **state)
{
	struct run_info info = { "kvm", 1, 16, NULL };
	struct summary summary = { .count = { 1 }, .duration_us = 1500 };
	struct result *result = passed();
	size_t len_bytes;
	char *text = NULL;
	FILE *out = open_memstream(&text, &len_bytes);
	struct sink *sink;

	(void)state;
	/* Not shown where nothing is wrong. */
	result_add_note(result, &(struct note){ .kind = NOTE_DMESG, .text = (char *)"a word\n" });
	assert_int_equal(sink_console_open(out, false, true, &sink, NULL), 0);
	sink->ops->run_begin(sink, &info);
	sink->ops->test_end(sink, result);
	sink->ops->run_end(sink, &summary);
	must_close(sink);
	fclose(out);
	assert_string_equal(text, "vmassay: 1 test on kvm\n"
			    "PASS   ioctl.pio.out_byte@lab-svm   1.2 ms\n\ntarget kvm, seed 0x10, 1.5 ms\n"
			    "1 passed, 0 failed, 0 skipped\n");
	result_free(result);
	free(text);
}

#define CLEAR "\r\033[K"

/* Tests overlap, the oldest is named; a verdict is printed above the status line. */
static void test_console_status_line(void **state)
{
	struct run_info info = { "kvm", 112, 16, NULL };
	struct result *error = errored(), *pass = passed();
	size_t len_bytes;
	char *text = NULL;
	FILE *out = open_memstream(&text, &len_bytes);
	struct sink *sink;

	(void)state;
	setenv("NO_COLOR", "1", 1);
	assert_int_equal(sink_console_open(out, true, false, &sink, NULL), 0);
	sink->ops->run_begin(sink, &info);
	sink->ops->test_begin(sink, error->test, error->target, 0);
	sink->ops->test_begin(sink, pass->test, pass->target, 0);
	sink->ops->test_begin(sink, "a.b", "kvm", 1);
	sink->ops->test_end(sink, error);
	sink->ops->test_end(sink, pass);
	must_close(sink);
	fclose(out);
	unsetenv("NO_COLOR");
	assert_string_equal(text, "vmassay: 112 tests on kvm\n"
		CLEAR "[  0/112] running io"
		CLEAR "[  0/112] running io (+1)"
		CLEAR "[  0/112] running io (+2)"
		CLEAR CONSOLE_ERROR
		CLEAR "[  1/112] running ioctl.pio.out_byte (+1)  1 failed"
		CLEAR CLEAR "[  2/112] running a.b  1 failed" CLEAR);
	result_free(error);
	result_free(pass);
	free(text);
}

static void test_console_colours(void **state)
{
	static const char red[] = "\033[31mFAIL \033[0m  svm.walk.row@lab-svm";
	static const char last_line[] = "\n2 passed, 2 failed, 3 skipped\n";
	char *text;

	(void)state;
	setenv("NO_COLOR", "", 1);
	text = console_text(true, false);
	assert_non_null(strstr(text, red));
	assert_string_equal(text + strlen(text) - strlen(last_line), last_line);
	free(text);
	setenv("NO_COLOR", "1", 1);
	text = console_text(true, false);
	assert_null(strstr(text, "\033[3"));
	free(text);
	unsetenv("NO_COLOR");
	text = console_text(false, true);
	assert_null(strchr(text, '\033'));
	free(text);
}

static void test_console_fits_the_terminal(void **state)
{
	static const char want[] = "vmassay: 12 tests on kvm\r\n" CLEAR "[ 0/12] running io";
	struct winsize size = { .ws_row = 24, .ws_col = 18 };
	struct run_info info = { "kvm", 12, 16, NULL };
	char text[256] = "";
	struct sink *sink;
	int master, slave;
	FILE *out;

	(void)state;
	assert_int_equal(openpty(&master, &slave, NULL, NULL, &size), 0);
	out = fdopen(slave, "w");
	assert_int_equal(sink_console_open(out, true, false, &sink, NULL), 0);
	sink->ops->run_begin(sink, &info);
	sink->ops->test_begin(sink, "ioctl.pio.out_byte", "kvm", 0);
	for (size_t len = 0; len < strlen(want); len = strlen(text))
		assert_true(read(master, text + len, sizeof(text) - 1 - len) > 0);
	assert_string_equal(text, want);
	must_close(sink);
	fclose(out);
	close(master);
}

static void test_stream_errors(void **state)
{
	FILE *full = fopen("/dev/full", "we");
	struct err err = { "" };
	struct sink *sink;

	(void)state;
	assert_int_equal(sink_console_open(full, false, true, &sink, NULL), 0);
	play(sink);
	assert_int_equal(sink->ops->close(sink, &err), -ENOSPC);
	assert_string_equal(err.text, "console output: No space left on device");
	assert_int_equal(sink_tap_open(full, &sink, NULL), 0);
	play(sink);
	assert_int_equal(sink->ops->close(sink, &err), -ENOSPC);
	assert_string_equal(err.text, "TAP output: No space left on device");
	fclose(full);
}

/* --- several targets --- */

static void test_console_of_two(void **state)
{
	char *text = NULL;
	size_t len_bytes;
	FILE *out = open_memstream(&text, &len_bytes);
	struct sink *sink;

	(void)state;
	assert_int_equal(sink_console_open(out, false, false, &sink, NULL), 0);
	play_two(sink);
	must_close(sink);
	fclose(out);
	assert_string_equal(text,
		"vmassay: 2 tests on lab-svm,lab-vmx[ept=0]\n"
		"lab-svm: cpu A, kernel 6\n"
		"lab-vmx[ept=0]: cpu B\n"
		"FAIL   a.b@lab-vmx[ept=0]   0.0 ms\n"
		"  reason: hang\n"
		"\n"
		"  target               PASS   SKIP  KNOWN  ERROR   FAIL\n"
		"  #1  lab-svm             1      0      0      0      0\n"
		"  #2  lab-vmx[ept=0]      0      0      0      0      1\n"
		"\n"
		"  differs (* stands alone)  lab-svm       lab-vmx[ept=0]\n"
		"  a.b                       PASS          FAIL\n"
		"      lab-vmx[ept=0]: hang\n"
		"\n"
		"FAIL   a.b@lab-vmx[ept=0]\n"
		"target lab-svm,lab-vmx[ept=0], seed 0x7, 2.0 s\n"
		"1 passed, 1 failed, 0 skipped\n");
	free(text);
}

/* Comments are all that TAP has for it. */
static void test_tap_of_two(void **state)
{
	static const char want[] =
		"#   target               PASS   SKIP  KNOWN  ERROR   FAIL\n"
		"#   #1  lab-svm             1      0      0      0      0\n"
		"#   #2  lab-vmx[ept=0]      0      0      0      0      1\n"
		"#   differs (* stands alone)  lab-svm       lab-vmx[ept=0]\n"
		"#   a.b                       PASS          FAIL\n"
		"#       lab-vmx[ept=0]: hang\n";
	char *text = NULL;
	size_t len_bytes;
	FILE *out = open_memstream(&text, &len_bytes);
	struct sink *sink;

	(void)state;
	assert_int_equal(sink_tap_open(out, &sink, NULL), 0);
	play_two(sink);
	must_close(sink);
	fclose(out);
	assert_non_null(strstr(text, "not ok 2 - a.b@lab-vmx[ept=0]\n"));
	assert_string_equal(text + strlen(text) - strlen(want), want);
	free(text);
}

static void test_jsonl_of_two(void **state)
{
	const char *path = scratch_path("two.jsonl");
	struct sink *sink;
	char *text;

	(void)state;
	assert_int_equal(sink_jsonl_open(path, &sink, NULL), 0);
	play_two(sink);
	must_close(sink);
	text = slurp(path);
	assert_non_null(strstr(text, "\"seed\":7,\"facts\":{}}\n"
			       "{\"type\":\"target\",\"target\":\"lab-svm\",\"facts\":{\"cpu\":\"A\",\"kernel\":\"6\"}}\n"));
	assert_non_null(strstr(text, "{\"type\":\"comparison\",\"targets\":[{\"target\":\"lab-svm\","));
	assert_non_null(strstr(text, "\"tests\":[\"a.b\"]}]}\n{\"type\":\"end\","));
	free(text);
	assert_int_equal(unlink(path), 0);
}

static void test_junit_of_two(void **state)
{
	const char *path = scratch_path("two.xml");
	struct sink *sink;
	char *text;

	(void)state;
	assert_int_equal(sink_junit_open(path, &sink, NULL), 0);
	play_two(sink);
	must_close(sink);
	text = slurp(path);
	assert_non_null(strstr(text, "<property name=\"seed\" value=\"0x7\"/>\n"
			       "      <property name=\"lab-svm.cpu\" value=\"A\"/>\n"
			       "      <property name=\"lab-svm.kernel\" value=\"6\"/>\n"
			       "      <property name=\"lab-vmx[ept=0].cpu\" value=\"B\"/>\n"
			       "    </properties>\n"));
	assert_non_null(strstr(text, "<testcase classname=\"a\" name=\"b@lab-vmx[ept=0]\""));
	free(text);
	assert_int_equal(unlink(path), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_worst_verdict_is_kept),
		cmocka_unit_test(test_result_owns_its_strings),
		cmocka_unit_test(test_exit_codes),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_json_round_trip),
		cmocka_unit_test(test_json_of_a_pass),
		cmocka_unit_test(test_json_members),
		cmocka_unit_test(test_json_values),
		cmocka_unit_test(test_jsonl_one_write_per_event),
		cmocka_unit_test(test_jsonl_appends),
		cmocka_unit_test(test_jsonl_repairs_facts),
		cmocka_unit_test(test_jsonl_waits_for_a_slow_reader),
		cmocka_unit_test(test_jsonl_errors),
		cmocka_unit_test(test_tap),
		cmocka_unit_test(test_tap_scalars),
		cmocka_unit_test(test_junit),
		cmocka_unit_test(test_junit_of_a_run_without_end),
		cmocka_unit_test(test_junit_headlines),
		cmocka_unit_test(test_junit_errors),
		cmocka_unit_test(test_console_plain),
		cmocka_unit_test(test_console_verbose),
		cmocka_unit_test(test_console_small_run),
		cmocka_unit_test(test_console_status_line),
		cmocka_unit_test(test_console_colours),
		cmocka_unit_test(test_console_fits_the_terminal),
		cmocka_unit_test(test_stream_errors),
		cmocka_unit_test(test_console_of_two),
		cmocka_unit_test(test_tap_of_two),
		cmocka_unit_test(test_jsonl_of_two),
		cmocka_unit_test(test_junit_of_two),
	};

	return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
