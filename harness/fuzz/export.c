/* SPDX-License-Identifier: MIT */
#include "fuzz/export.h"

#include <string.h>

#include "fuzz/expect.h"
#include "fuzz/out.h"

#define LINE_BYTES 1024
#define TEXT_BYTES 16384

/* Words of an outcome that any CPU with SVM must say: nRIP and the operands of decode assists are features. */
static const char *const common_words[] = { "exit=", "refused", "halted", "shutdown", "info1=", "info2=", "intinfo=",
	"interror=", "rip=", "cr2=" };

static bool is_common(const char *word)
{
	size_t i;

	for (i = 0; i < sizeof(common_words) / sizeof(common_words[0]); i++)
		if (!strncmp(word, common_words[i], strlen(common_words[i])))
			return true;
	return false;
}

/* True when line @n of all that ran it has the word. */
static bool is_agreed(const struct export_run *runs, size_t nr_runs, unsigned int n, const char *word, size_t len)
{
	char line[LINE_BYTES];
	size_t i;

	for (i = 0; i < nr_runs; i++) {
		runs[i].executor->line(runs[i].executor, n, line, sizeof(line));
		if (!expect_has_word(line, word, len))
			return false;
	}
	return true;
}

/* The words of @line, which is line @n, that are common and agreed on, as one line of expectations. */
static void add_words(struct out *out, const struct export_run *runs, size_t nr_runs, unsigned int n, const char *line)
{
	const char *separator = "expect ";

	while (*line) {
		size_t len = strcspn(line, " ");

		if (is_common(line) && is_agreed(runs, nr_runs, n, line, len)) {
			out_add(out, "%s%.*s", separator, (int)len, line);
			separator = " ";
		}
		line += len;
		line += strspn(line, " ");
	}
}

/* A line of text as one of a string, with its newline. */
static void add_string(struct out *out, const char *line, size_t len)
{
	out_add(out, "\t\t\"%.*s\\n\"\n", (int)len, line);
}

static void add_text(struct out *out, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		add_string(out, text, len);
		text += len;
		text += *text == '\n';
	}
}

static unsigned int nr_common_lines(const struct export_run *runs, size_t nr_runs)
{
	unsigned int nr = runs[0].nr_lines;
	size_t i;

	for (i = 1; i < nr_runs; i++)
		nr = runs[i].nr_lines < nr ? runs[i].nr_lines : nr;
	return nr;
}

static void add_outcomes(struct out *out, const struct export_run *runs, size_t nr_runs)
{
	unsigned int i, nr_lines = nr_common_lines(runs, nr_runs);
	char line[LINE_BYTES], words[LINE_BYTES];

	for (i = 0; i < nr_lines; i++) {
		struct out expect = { words, sizeof(words), 0 };

		runs[0].executor->line(runs[0].executor, i, line, sizeof(line));
		/* How it ended comes first. What is not comparable, or not agreed on, and all behind it, is not asserted. */
		if (!is_common(line) || !is_agreed(runs, nr_runs, i, line, strcspn(line, " ")))
			return;
		add_words(&expect, runs, nr_runs, i, line);
		add_string(out, words, strlen(words));
	}
}

size_t export_case(const struct export_run *runs, size_t nr_runs, const struct input *input, const char *id, char *buf,
		   size_t len_bytes)
{
	struct out out = { buf, len_bytes, 0 };
	char text[TEXT_BYTES];

	input_print(input, text, sizeof(text));
	out_add(&out, "/* SPDX-License-Identifier: MIT */\n/*\n * Made by \"vmassay fuzz export\": what a search has found, kept. "
		"harness/fuzz/README.md has the operations.\n * Say here what can break, and the manual's section that has the "
		"outcome.\n */\n#include \"fuzz/vmcb_case.h\"\n#include \"case.h\"\n\n");
	out_add(&out, "CASE(%s, .says = \"an input of the fuzzer ends as the machine has it\", .modes = NO_GUEST, .manual = true,\n"
		"     .needs = \"vendor:amd nested\")\n\nHOST(%s)\n{\n\texpect_vmcb_input(t,\n", id, id);
	add_text(&out, text);
	if (!input->expect[0])
		add_outcomes(&out, runs, nr_runs);
	/* The last string's newline gives way to what closes the call. */
	if (out.at && out.at < len_bytes)
		out.at--;
	out_add(&out, ");\n}\n");
	return out.at;
}
