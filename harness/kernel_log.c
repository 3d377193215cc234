/* SPDX-License-Identifier: MIT */
#include "kernel_log.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An excerpt's lines: at its begin, around the first report, at its end; none longer than this. */
enum { NR_FIRST = 30, NR_BEFORE_REPORT = 5, NR_FROM_REPORT = 80, NR_LAST = 30, MAX_LINE_BYTES = 240 };

/*
 * How such lines begin, the first that fits decides. Note, "traps: x[1] general protection fault" is what the kernel
 * says of a program's fault, and KVM's own "kvm [1]: ..." is about a guest.
 */
static const struct sign {
	const char *begin;
	enum kernel_report report;
} signs[] = {
	{ "Kernel panic - ", KERNEL_DIES },
	{ "PANIC: ", KERNEL_DIES },
	{ "BUG: unable to handle ", KERNEL_OOPSES },
	{ "BUG: kernel NULL pointer ", KERNEL_OOPSES },
	{ "BUG: stack guard page ", KERNEL_OOPSES },
	{ "BUG: TASK stack guard page ", KERNEL_OOPSES },
	{ "kernel BUG at ", KERNEL_OOPSES },
	{ "Oops: ", KERNEL_OOPSES },
	{ "general protection fault", KERNEL_OOPSES },
	{ "divide error: ", KERNEL_OOPSES },
	{ "invalid opcode: ", KERNEL_OOPSES },
	{ "watchdog: BUG: soft lockup", KERNEL_OOPSES },
	{ "watchdog: Watchdog detected hard LOCKUP", KERNEL_OOPSES },
	{ "NMI watchdog: Watchdog detected hard LOCKUP", KERNEL_OOPSES },
	{ "INFO: task ", KERNEL_OOPSES },
	{ "watchdog: BUG: ", KERNEL_WARNS },
	{ "BUG: ", KERNEL_WARNS },
	{ "BUG ", KERNEL_WARNS },		/* SLUB */
	{ "[ BUG: ", KERNEL_WARNS },		/* lockdep */
	{ "WARNING: ", KERNEL_WARNS },
	{ "UBSAN: ", KERNEL_WARNS },
	{ "rcu: INFO: ", KERNEL_WARNS },
	{ "INFO: rcu", KERNEL_WARNS },
	{ "INFO: possible ", KERNEL_WARNS },
	{ "INFO: suspicious ", KERNEL_WARNS },
	{ "INFO: inconsistent ", KERNEL_WARNS },
	{ "INFO: trying to register ", KERNEL_WARNS },
	{ "unchecked MSR access error: ", KERNEL_WARNS },
	{ "list_add corruption", KERNEL_WARNS },
	{ "list_del corruption", KERNEL_WARNS },
};

/* "[    4.000000][   T77] text": the text. */
static const char *line_text(const char *line)
{
	const char *end;

	while (*line == '[') {
		end = line + 1 + strspn(line + 1, " .0123456789TC");
		if (*end != ']')
			break;
		line = end + 1 + strspn(end + 1, " ");
	}
	return line;
}

enum kernel_report kernel_line_report(const char *line)
{
	const char *text = line_text(line);

	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
		if (!strncmp(text, signs[i].begin, strlen(signs[i].begin)))
			return signs[i].report;
	return KERNEL_QUIET;
}

/* --- reading --- */

/* Copies the line at @text and returns where the next one begins. */
static const char *line_next(const char *text, char *line, size_t size_bytes)
{
	size_t len = strcspn(text, "\n");
	size_t kept = len < size_bytes ? len : size_bytes - 1;

	memcpy(line, text, kept);
	line[kept] = '\0';
	if (kept && line[kept - 1] == '\r')
		line[kept - 1] = '\0';
	return text + len + (text[len] == '\n');
}

static bool is_taken(const struct kernel_words *words)
{
	return words->headline[0];
}

/* "CPU: 0 PID: 77 Comm: vmassay Not tainted 6.1" and "WARNING: CPU: 0 PID: 77 at ..." */
static void task_read(const char *line, struct kernel_words *words)
{
	const char *pid = strstr(line, " PID: "), *comm = strstr(line, " Comm: ");

	if (pid && words->pid < 0)
		words->pid = atoi(pid + strlen(" PID: "));
	if (comm && !words->comm[0])
		sscanf(comm, " Comm: %16s", words->comm);
}

/* An oops says what first, and only later where. */
static void place_read(const char *line, struct kernel_words *words)
{
	size_t len = strlen(words->headline);

	if (strncmp(line, "RIP: 0010:", 10) || strstr(words->headline, " at "))
		return;
	snprintf(words->headline + len, sizeof(words->headline) - len, " at %s", line + 10);
}

void kernel_text_read(const char *text, struct kernel_words *ret)
{
	struct kernel_words words = { .pid = -1 };
	char line[MAX_LINE_BYTES + 1];

	while (*text) {
		enum kernel_report report;

		text = line_next(text, line, sizeof(line));
		report = kernel_line_report(line);
		if (report > words.worst)
			words.worst = report;
		if (report && !is_taken(&words))
			snprintf(words.headline, sizeof(words.headline), "the kernel reported: %s",
				 line_text(line));
		if (!is_taken(&words))
			continue;
		task_read(line, &words);
		place_read(line_text(line), &words);
	}
	*ret = words;
}

/* --- excerpts --- */

static void lines_count(const char *text, size_t *ret_nr, size_t *ret_report)
{
	char line[MAX_LINE_BYTES + 1];

	*ret_report = SIZE_MAX;
	for (*ret_nr = 0; *text; ++*ret_nr) {
		text = line_next(text, line, sizeof(line));
		if (*ret_report == SIZE_MAX && kernel_line_report(line))
			*ret_report = *ret_nr;
	}
}

static bool is_kept(size_t index, size_t nr, size_t report)
{
	if (index < NR_FIRST || index + NR_LAST >= nr)
		return true;
	return report != SIZE_MAX && index + NR_BEFORE_REPORT >= report && index < report + NR_FROM_REPORT;
}

static void put_gap(FILE *out, size_t nr)
{
	if (nr)
		fprintf(out, "... %zu lines are left out ...\n", nr);
}

char *kernel_text_excerpt(const char *text)
{
	size_t nr, report, gap = 0, len_bytes;
	char line[MAX_LINE_BYTES + 1], *excerpt = NULL;
	FILE *out = open_memstream(&excerpt, &len_bytes);

	if (!out)
		return NULL;
	lines_count(text, &nr, &report);
	for (size_t i = 0; i < nr; i++) {
		text = line_next(text, line, sizeof(line));
		if (!is_kept(i, nr, report)) {
			gap++;
			continue;
		}
		put_gap(out, gap);
		gap = 0;
		fprintf(out, "%s\n", line);
	}
	if (!fclose(out))
		return excerpt;
	free(excerpt);
	return NULL;
}
