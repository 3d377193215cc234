/* SPDX-License-Identifier: MIT */
/*
 * The one format of fuzzed inputs: a sparse list of operations from a golden state, each a kind with a few operands. What
 * the operations are is a table of their domain (vmcb_ops.h, ioctl_ops.h); parser, printer, mutator and minimiser know
 * no more than that table. README.md has the text form.
 *
 * An input is one flat struct: it is copied by assignment, and nothing of it is allocated.
 */
#ifndef VMASSAY_FUZZ_INPUT_H
#define VMASSAY_FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rng.h"

struct err;

#define INPUT_MAX_OPS 48
#define INPUT_MAX_OPERANDS 6
#define INPUT_MAX_BYTES 16
#define INPUT_EXPECT_BYTES 1024
#define INPUT_KNOWN_BYTES 64
#define INPUT_MAX_LINKS 8	/* things of one prefix */
#define INPUT_MAX_WORDS 512

/* A closed list of words, and how many bits a number that goes with one may have (NULL: 64). */
struct input_names {
	unsigned int nr;
	const char *(*name)(unsigned int index);
	unsigned int (*bits)(unsigned int index);
};

enum input_operand_type {
	OPERAND_NUMBER,
	OPERAND_NAME,		/* of .names; the value is its index */
	OPERAND_NEW,		/* a thing that the operation makes: .prefix and its index */
	OPERAND_LINK,		/* one that another operation has made, or not */
	OPERAND_BYTES,		/* 1 to INPUT_MAX_BYTES; at most one for each operation */
};

struct input_operand {
	const char *name;		/* for messages */
	enum input_operand_type type;
	uint64_t last;			/* NUMBER: the largest; 0: by the bits of the operand before it, or 64 */
	const struct input_names *names;
	const char *prefix;
	const uint64_t *likely;		/* NUMBER: values that mean something; NULL: the domain's */
	unsigned int nr_likely;
};

struct input_op_desc {
	const char *name;
	const char *says;
	unsigned int weight;		/* how often the mutator takes it */
	struct input_operand operands[INPUT_MAX_OPERANDS];
	unsigned int nr_operands;
};

struct input_domain {
	const char *name;
	const struct input_op_desc *ops;
	unsigned int nr_ops;
	const uint64_t *likely;		/* the dictionary of numbers */
	unsigned int nr_likely;
};

struct input_op {
	uint16_t kind;			/* index into the domain's .ops */
	uint8_t nr_bytes;
	uint8_t bytes[INPUT_MAX_BYTES];
	uint64_t args[INPUT_MAX_OPERANDS];	/* as the operands stand; 0 for BYTES and behind the last */
};

struct input {
	const struct input_domain *domain;
	unsigned int nr_ops;
	struct input_op ops[INPUT_MAX_OPS];
	/* What must come of it: lines, each of words that one run's outcome has (outcome_expect()); "" when nothing is said. */
	char expect[INPUT_EXPECT_BYTES];
	/* For which reasons a target may lack words of that (executor.h), with a blank behind each; "": for none. */
	char known[INPUT_KNOWN_BYTES];
};

/* NULL when there is none of that name. */
const struct input_domain *input_domain_find(const char *name);
void input_init(struct input *input, const struct input_domain *domain);
/* False: no room. */
bool input_append(struct input *input, const struct input_op *op);
/* Whether they are the same operations; what they expect does not count. */
bool input_is_equal(const struct input *one, const struct input *other);

/* The largest number that operand @n of @op may have. */
uint64_t input_operand_last(const struct input_op_desc *desc, const struct input_op *op, unsigned int n);

/* --- text (input_text.c) --- */

/*
 * -EINVAL and one line that names the line and the field: "line 3: set: value: 0x1ffffffff is more than 0xffffffff".
 * *@ret is untouched on failure. The text need not end with a zero byte.
 */
int input_parse(const char *text, size_t len_bytes, struct input *ret, struct err *err);
/* As snprintf(): the length that it needs, of which what fits is written. input_parse() of it gives the same input. */
size_t input_print(const struct input *input, char *buf, size_t len_bytes);
/* One operation, without a newline. */
size_t input_op_print(const struct input_domain *domain, const struct input_op *op, char *buf, size_t len_bytes);

/* Files: an error's line begins with the path. */
int input_read(const char *path, struct input *ret, struct err *err);
int input_write(const struct input *input, const char *path, struct err *err);

/* --- mutation (input_mutate.c) --- */

/* One operation of a random kind with likely operands. */
void input_op_random(const struct input_domain *domain, struct input_op *op, struct rng *rng);
/* Inserts, removes, duplicates, swaps or edits, once or a few times. Expectations go: they are another input's. */
void input_mutate(struct input *input, struct rng *rng);
/* *@ret: a beginning of @one and an end of @other, of the same domain. */
void input_cross(const struct input *one, const struct input *other, struct input *ret, struct rng *rng);

/* Numbers that a target has been seen to compare with, beside those that the domain knows. */
struct input_words {
	unsigned int nr;
	uint64_t values[INPUT_MAX_WORDS];
};

/* False: it is known already, to the domain or as a word, or there are too many. */
bool input_words_add(struct input_words *words, const struct input_domain *domain, uint64_t value);
/* One of @words, which has some, in place of a number, where there is one. */
void input_word_place(struct input *input, const struct input_words *words, struct rng *rng);

/* --- minimisation (input_minimise.c) --- */

typedef bool input_keeps_fn(void *context, const struct input *input);

/*
 * Makes @input smaller while @keeps(@context) says that it still does what it is kept for: without operations, first
 * many at once; then with simpler operands: zero, or with single bits and bytes taken away. Returns how often it asked.
 */
unsigned int input_minimise(struct input *input, input_keeps_fn *keeps, void *context);

#endif
