/* SPDX-License-Identifier: MIT */
/*
 * What one test said: its verdict, and for anything but a plain pass, the notes that explain it.
 *
 * The same record is made by the runner, carried over a lab's serial port as one JSON line, and handed to every sink.
 */
#ifndef VMASSAY_RESULT_H
#define VMASSAY_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_object;

/* Ordered: the worst wins. ERROR is the test or its surroundings, FAIL the thing under test. */
enum verdict {
	VERDICT_PASS,
	VERDICT_SKIP,
	VERDICT_KNOWN,
	VERDICT_ERROR,
	VERDICT_FAIL,
	NR_VERDICTS,
};

/* "PASS", "SKIP", ...; verdict_from_name() returns -1 for anything else. */
const char *verdict_name(enum verdict verdict);
int verdict_from_name(const char *name);

enum note_kind {
	NOTE_CHECK,	/* an expectation that did not hold: file, line, text, want, got, fields */
	NOTE_REASON,	/* why SKIP, KNOWN or ERROR, or how a FAIL ended (hang, signal): text */
	NOTE_MESSAGE,	/* said by the guest or the case: file, line when known, text */
	NOTE_DUMP,	/* machine state at the failure: text of many lines */
	NOTE_OUTPUT,	/* what the test's process wrote to stdout and stderr */
	NOTE_DMESG,	/* what the kernel said meanwhile: an excerpt of its log or, when it died, of its console */
	NR_NOTE_KINDS,
};

const char *note_kind_name(enum note_kind kind);

/* Every string is owned by the note and NULL when it does not apply; line is 0 then. */
struct note {
	enum note_kind kind;
	char *file;
	unsigned int line;
	char *text;
	char *want;
	char *got;
	char *fields;	/* names of the fields that differ, comma separated */
};

struct result {
	char *test;	/* area.case[.row][.mode], without the target */
	char *target;	/* lab-svm, kvm, ... */
	char *file;	/* the case's source file, relative to the tree */
	enum verdict verdict;
	unsigned int round;	/* 0 .. repeat - 1 */
	uint64_t duration_us;
	uint64_t nr_checks;
	char *met;		/* of the interface, as harness/met.h words; owned; NULL: not recorded */
	struct note *notes;
	size_t nr_notes;
};

/* A copy that owns its strings; free with result_free(), which accepts NULL. NULL only when out of memory. */
struct result *result_new(const char *test, const char *target, const char *file);
void result_free(struct result *result);

/* Appends a copy of @note. Out of memory the note is lost and the verdict becomes ERROR at least. */
void result_add_note(struct result *result, const struct note *note);

/* Raises the verdict to @verdict if that is worse, and says why when @reason is not NULL (a NOTE_REASON). */
void result_worsen(struct result *result, enum verdict verdict, const char *reason);

/* The text of the last NOTE_REASON, borrowed; NULL when there is none. */
const char *result_reason(const struct result *result);

/* {"type":"result", "test":..., ...}; the caller puts the object. from_json is strict and returns NULL on misfit. */
struct json_object *result_to_json(const struct result *result);
struct result *result_from_json(struct json_object *object);

#define UTF8_INVALID UINT32_MAX

/*
 * Guests say any bytes, JSON and XML take only UTF-8. Sets *@ret_code to the character at @text,
 * or to UTF8_INVALID at a byte that starts none, and returns the number of bytes to step over.
 */
size_t utf8_decode(const char *text, uint32_t *ret_code);

/* A copy in which every invalid byte has become U+FFFD; free() it. NULL only when out of memory. */
char *utf8_repair(const char *text);

/* Counts by verdict. */
struct summary {
	unsigned int count[NR_VERDICTS];
	uint64_t duration_us;
};

unsigned int summary_total(const struct summary *summary);
enum verdict summary_worst(const struct summary *summary);

/* {"PASS":n, ...} with all five names; the caller puts it. NULL when out of memory. */
struct json_object *summary_to_json(const struct summary *summary);

/* 0 nothing failed; 1 FAIL; 99 ERROR and no FAIL, or no test at all; 77 every test was skipped. */
int summary_exit_code(const struct summary *summary);

#endif
