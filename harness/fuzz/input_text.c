/* SPDX-License-Identifier: MIT */
/* The text form: one operation on a line, words with blanks between, # to the line's end is for the reader. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "fuzz/input.h"
#include "fuzz/out.h"

#define MAX_WORDS 8
#define MAX_LINE_BYTES 256
#define MAX_FILE_BYTES 65536
#define HEADER "input"
#define EXPECT "expect"
#define KNOWN "known"

/* --- reading --- */

struct line {
	unsigned int number;		/* from 1 */
	char text[MAX_LINE_BYTES];	/* words, each ended by a zero byte */
	const char *words[MAX_WORDS];
	unsigned int nr_words;
	struct err *err;
};

static int line_error(const struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int line_error(const struct line *line, const char *format, ...)
{
	char text[384];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return err_set(line->err, EINVAL, "line %u: %s", line->number, text);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* A line without its comment and the blanks at its end. */
static int line_copy(struct line *line, const char *from, size_t len_bytes)
{
	const char *comment = memchr(from, '#', len_bytes);
	size_t len = comment ? (size_t)(comment - from) : len_bytes, i;

	for (i = 0; i < len_bytes; i++)
		if (!isprint((unsigned char)from[i]) && from[i] != '\t' && from[i] != '\r' && i < len)
			return line_error(line, "byte 0x%02x is no text", (unsigned char)from[i]);
	while (len && (is_blank(from[len - 1]) || from[len - 1] == '\r'))
		len--;
	if (len >= sizeof(line->text))
		return line_error(line, "longer than %zu bytes", sizeof(line->text) - 1);
	memcpy(line->text, from, len);
	line->text[len] = 0;
	return 0;
}

static int line_split(struct line *line)
{
	char *at = line->text;

	line->nr_words = 0;
	for (;;) {
		while (is_blank(*at))
			at++;
		if (!*at)
			return 0;
		if (line->nr_words == MAX_WORDS)
			return line_error(line, "more than %u words", MAX_WORDS);
		line->words[line->nr_words++] = at;
		while (*at && !is_blank(*at))
			at++;
		if (*at)
			*at++ = 0;
	}
}

/* Where the trouble is: the operation and its operand. */
#define AT "%s: %s: "

static int parse_number(const struct line *line, const char *word, const struct input_op_desc *desc,
			const struct input_op *op, unsigned int n, uint64_t *ret)
{
	uint64_t last = input_operand_last(desc, op, n);
	const char *name = desc->operands[n].name;
	char *stop;

	errno = 0;
	if (!isdigit((unsigned char)word[0]))
		return line_error(line, AT "'%s' is no number", desc->name, name, word);
	/* Note, a leading zero would be octal to strtoull(), and a surprise to everybody else. */
	*ret = strtoull(word, &stop, word[0] == '0' && (word[1] | 32) == 'x' ? 16 : 10);
	if (*stop || stop == word)
		return line_error(line, AT "'%s' is no number", desc->name, name, word);
	if (errno == ERANGE)
		return line_error(line, AT "%s has more than 64 bits", desc->name, name, word);
	if (*ret > last)
		return line_error(line, AT "%s is more than 0x%llx", desc->name, name, word, (unsigned long long)last);
	return 0;
}

static int parse_name(const struct line *line, const char *word, const struct input_op_desc *desc, unsigned int n,
		      uint64_t *ret)
{
	const struct input_names *names = desc->operands[n].names;
	unsigned int i;

	for (i = 0; i < names->nr; i++)
		if (!strcmp(names->name(i), word)) {
			*ret = i;
			return 0;
		}
	return line_error(line, AT "there is no '%s'", desc->name, desc->operands[n].name, word);
}

static int parse_link(const struct line *line, const char *word, const struct input_op_desc *desc, unsigned int n,
		      uint64_t *ret)
{
	const struct input_operand *operand = &desc->operands[n];
	size_t len = strlen(operand->prefix);
	const char *digit = word + len;

	if (strncmp(word, operand->prefix, len) || !isdigit((unsigned char)*digit) || digit[1] ||
	    *digit - '0' >= INPUT_MAX_LINKS)
		return line_error(line, AT "'%s' is none of %s0 to %s%u", desc->name, operand->name, word,
				  operand->prefix, operand->prefix, INPUT_MAX_LINKS - 1);
	*ret = (uint64_t)(*digit - '0');
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static int parse_bytes(const struct line *line, const char *word, const struct input_op_desc *desc, unsigned int n,
		       struct input_op *op)
{
	const char *name = desc->operands[n].name, *at = word;

	for (op->nr_bytes = 0; *at; at += 2) {
		int high = hex_digit(at[0]), low = high < 0 ? -1 : hex_digit(at[1]);

		if (low < 0)
			return line_error(line, AT "'%s' is not pairs of hexadecimal digits", desc->name, name, word);
		if (op->nr_bytes == INPUT_MAX_BYTES)
			return line_error(line, AT "more than %u bytes", desc->name, name, INPUT_MAX_BYTES);
		op->bytes[op->nr_bytes++] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

static int parse_operand(const struct line *line, const struct input_op_desc *desc, unsigned int n, struct input_op *op)
{
	const char *word = line->words[n + 1];

	switch (desc->operands[n].type) {
	case OPERAND_NAME:
		return parse_name(line, word, desc, n, &op->args[n]);
	case OPERAND_NEW:
	case OPERAND_LINK:
		return parse_link(line, word, desc, n, &op->args[n]);
	case OPERAND_BYTES:
		return parse_bytes(line, word, desc, n, op);
	default:
		return parse_number(line, word, desc, op, n, &op->args[n]);
	}
}

static int parse_op(const struct line *line, struct input *input)
{
	const struct input_domain *domain = input->domain;
	const struct input_op_desc *desc = domain->ops;
	struct input_op op = { 0 };
	unsigned int n;
	int r = 0;

	while (op.kind < domain->nr_ops && strcmp(domain->ops[op.kind].name, line->words[0]))
		op.kind++;
	if (op.kind == domain->nr_ops)
		return line_error(line, "there is no operation '%s'", line->words[0]);
	desc += op.kind;
	if (line->nr_words - 1 != desc->nr_operands)
		return line_error(line, "%s: %u operands, not %u", desc->name, desc->nr_operands, line->nr_words - 1);
	for (n = 0; n < desc->nr_operands && !r; n++)
		r = parse_operand(line, desc, n, &op);
	if (!r && !input_append(input, &op))
		return line_error(line, "more than %u operations", INPUT_MAX_OPS);
	return r;
}

static int parse_header(const struct line *line, struct input *input)
{
	const struct input_domain *domain;

	if (line->nr_words != 2 || strcmp(line->words[0], HEADER))
		return line_error(line, "it must begin with '" HEADER " vmcb' or '" HEADER " ioctl'");
	domain = input_domain_find(line->words[1]);
	if (!domain)
		return line_error(line, HEADER ": there is no '%s'", line->words[1]);
	input_init(input, domain);
	return 0;
}

/* The words behind the first one, at the end of @text, and @end behind them. */
static int parse_words(const struct line *line, char *text, size_t max_bytes, char end)
{
	size_t at = strlen(text);
	unsigned int i;

	if (line->nr_words < 2)
		return line_error(line, "%s: no words behind it", line->words[0]);
	for (i = 1; i < line->nr_words; i++) {
		int len = snprintf(text + at, max_bytes - at, "%s%c", line->words[i], i + 1 < line->nr_words ? ' ' : end);

		at += (size_t)len;
		if (at >= max_bytes)
			return line_error(line, "%s: all of them are more than %zu bytes", line->words[0], max_bytes - 1);
	}
	return 0;
}

static int parse_line(struct line *line, const char *text, size_t len_bytes, struct input *input)
{
	int r = line_copy(line, text, len_bytes);

	if (!r)
		r = line_split(line);
	if (r || !line->nr_words)
		return r;
	if (!input->domain)
		return parse_header(line, input);
	if (!strcmp(line->words[0], EXPECT))
		return parse_words(line, input->expect, sizeof(input->expect), '\n');
	if (!strcmp(line->words[0], KNOWN))
		return parse_words(line, input->known, sizeof(input->known), ' ');
	return parse_op(line, input);
}

int input_parse(const char *text, size_t len_bytes, struct input *ret, struct err *err)
{
	struct line line = { .err = err };
	struct input input;
	int r;

	input_init(&input, NULL);
	while (len_bytes) {
		const char *end = memchr(text, '\n', len_bytes);
		size_t len = end ? (size_t)(end - text) : len_bytes;

		line.number++;
		r = parse_line(&line, text, len, &input);
		if (r)
			return r;
		len += end ? 1 : 0;
		text += len;
		len_bytes -= len;
	}
	line.number++;
	if (!input.domain)
		return line_error(&line, "it ends before '" HEADER " vmcb' or '" HEADER " ioctl'");
	*ret = input;
	return 0;
}

/* --- writing --- */

static void out_operand(struct out *out, const struct input_operand *operand, const struct input_op *op, uint64_t value)
{
	unsigned int i;

	out_add(out, " ");
	switch (operand->type) {
	case OPERAND_NAME:
		out_add(out, "%s", operand->names->name((unsigned int)value));
		break;
	case OPERAND_NEW:
	case OPERAND_LINK:
		out_add(out, "%s%u", operand->prefix, (unsigned int)value);
		break;
	case OPERAND_BYTES:
		for (i = 0; i < op->nr_bytes; i++)
			out_add(out, "%02x", op->bytes[i]);
		break;
	default:
		out_add(out, value < 10 ? "%llu" : "0x%llx", (unsigned long long)value);
		break;
	}
}

static void out_op(struct out *out, const struct input_domain *domain, const struct input_op *op)
{
	const struct input_op_desc *desc = &domain->ops[op->kind];
	unsigned int n;

	out_add(out, "%s", desc->name);
	for (n = 0; n < desc->nr_operands; n++)
		out_operand(out, &desc->operands[n], op, op->args[n]);
}

size_t input_op_print(const struct input_domain *domain, const struct input_op *op, char *buf, size_t len_bytes)
{
	struct out out = { buf, len_bytes, 0 };

	out_op(&out, domain, op);
	return out.at;
}

size_t input_print(const struct input *input, char *buf, size_t len_bytes)
{
	struct out out = { buf, len_bytes, 0 };
	const char *line = input->expect;
	unsigned int i;

	out_add(&out, HEADER " %s\n", input->domain->name);
	for (i = 0; i < input->nr_ops; i++) {
		out_op(&out, input->domain, &input->ops[i]);
		out_add(&out, "\n");
	}
	while (*line) {
		size_t len = strcspn(line, "\n");

		out_add(&out, EXPECT " %.*s\n", (int)len, line);
		line += len + 1;
	}
	if (input->known[0])
		out_add(&out, KNOWN " %.*s\n", (int)strlen(input->known) - 1, input->known);
	return out.at;
}

/* --- files --- */

int input_read(const char *path, struct input *ret, struct err *err)
{
	struct err inner;
	FILE *file = fopen(path, "re");
	char *text;
	size_t len;
	int r;

	if (!file)
		return err_set(err, errno, "%s: %s", path, strerror(errno));
	text = malloc(MAX_FILE_BYTES + 1);
	if (!text) {
		fclose(file);
		return err_set(err, ENOMEM, "%s: out of memory", path);
	}
	len = fread(text, 1, MAX_FILE_BYTES + 1, file);
	if (ferror(file))
		r = err_set(err, EIO, "%s: it cannot be read", path);
	else if (len > MAX_FILE_BYTES)
		r = err_set(err, EFBIG, "%s: more than %u bytes", path, MAX_FILE_BYTES);
	else if ((r = input_parse(text, len, ret, &inner)))
		err_set(err, EINVAL, "%s: %s", path, inner.text);
	fclose(file);
	free(text);
	return r;
}

static int text_write(const char *text, size_t len, const char *path)
{
	FILE *file = fopen(path, "we");
	bool is_written;

	if (!file)
		return -errno;
	is_written = fwrite(text, 1, len, file) == len;
	if (fclose(file) || !is_written)
		return errno ? -errno : -EIO;
	return 0;
}

/* Under another name first: who reads, or is killed, never meets half a file. */
int input_write(const struct input *input, const char *path, struct err *err)
{
	size_t len = input_print(input, NULL, 0);
	char *text = malloc(len + 1), *part = NULL;
	int r = -ENOMEM;

	if (text && asprintf(&part, "%s.%d.part", path, (int)getpid()) >= 0) {
		input_print(input, text, len + 1);
		r = text_write(text, len, part);
		if (!r && rename(part, path))
			r = -errno;
		if (r)
			unlink(part);
		free(part);
	}
	free(text);
	return r ? err_set(err, -r, "%s: %s", path, strerror(-r)) : 0;
}
