/* SPDX-License-Identifier: MIT */
/* Structural mutation: whole operations, and operands as their types are. */
#include <string.h>

#include "fuzz/input.h"

#define MAX_STEPS 4

/* --- operands --- */

static uint64_t likely_number(const struct input_domain *domain, const struct input_operand *operand, struct rng *rng)
{
	if (operand->likely)
		return operand->likely[rng_below(rng, operand->nr_likely)];
	return domain->nr_likely ? domain->likely[rng_below(rng, domain->nr_likely)] : 0;
}

/* Into 0 to @last: the bits that fit, or what remains. */
static uint64_t fit(uint64_t value, uint64_t last)
{
	if (value <= last)
		return value;
	return last & (last + 1) ? value % (last + 1) : value & last;
}

static uint64_t new_number(const struct input_domain *domain, const struct input_operand *operand, struct rng *rng)
{
	if (rng_percent(rng, 60))
		return likely_number(domain, operand, rng);
	return rng_value(rng);
}

static uint64_t edited_number(const struct input_domain *domain, const struct input_operand *operand, uint64_t value,
			      struct rng *rng)
{
	switch (rng_below(rng, 5)) {
	case 0:
		return value ^ 1ull << rng_below(rng, 64);
	case 1:
		return value + rng_below(rng, 17) - 8;
	case 2:
		return value ^ likely_number(domain, operand, rng);
	case 3:
		return value | likely_number(domain, operand, rng);
	default:
		return new_number(domain, operand, rng);
	}
}

static void random_bytes(struct input_op *op, struct rng *rng)
{
	unsigned int i;

	op->nr_bytes = (uint8_t)(1 + rng_below(rng, INPUT_MAX_BYTES));
	for (i = 0; i < op->nr_bytes; i++)
		op->bytes[i] = (uint8_t)rng_value(rng);
}

static void random_operand(const struct input_domain *domain, struct input_op *op, unsigned int n, struct rng *rng)
{
	const struct input_op_desc *desc = &domain->ops[op->kind];
	const struct input_operand *operand = &desc->operands[n];
	uint64_t last = input_operand_last(desc, op, n);

	switch (operand->type) {
	case OPERAND_NAME:
		op->args[n] = rng_below(rng, last + 1);
		break;
	case OPERAND_NEW:
	case OPERAND_LINK:
		/* Low ones are more often there. */
		op->args[n] = rng_below(rng, 1 + rng_below(rng, last + 1));
		break;
	case OPERAND_BYTES:
		random_bytes(op, rng);
		break;
	default:
		op->args[n] = fit(new_number(domain, operand, rng), last);
		break;
	}
}

/* The number's limit may depend on the name before it, which may have changed. */
static void refit(const struct input_op_desc *desc, struct input_op *op)
{
	unsigned int n;

	for (n = 0; n < desc->nr_operands; n++)
		op->args[n] = fit(op->args[n], input_operand_last(desc, op, n));
}

static void edit_operand(const struct input_domain *domain, struct input_op *op, struct rng *rng)
{
	const struct input_op_desc *desc = &domain->ops[op->kind];
	unsigned int n;

	if (!desc->nr_operands)
		return;
	n = (unsigned int)rng_below(rng, desc->nr_operands);
	if (desc->operands[n].type == OPERAND_NUMBER)
		op->args[n] = edited_number(domain, &desc->operands[n], op->args[n], rng);
	else if (desc->operands[n].type == OPERAND_BYTES && op->nr_bytes && rng_percent(rng, 70))
		op->bytes[rng_below(rng, op->nr_bytes)] ^= (uint8_t)(1u << rng_below(rng, 8));
	else
		random_operand(domain, op, n, rng);
	refit(desc, op);
}

/* --- operations --- */

static unsigned int random_kind(const struct input_domain *domain, struct rng *rng)
{
	unsigned int total = 0, kind;
	uint64_t at;

	for (kind = 0; kind < domain->nr_ops; kind++)
		total += domain->ops[kind].weight;
	at = rng_below(rng, total);
	for (kind = 0; at >= domain->ops[kind].weight; kind++)
		at -= domain->ops[kind].weight;
	return kind;
}

void input_op_random(const struct input_domain *domain, struct input_op *op, struct rng *rng)
{
	unsigned int n;

	memset(op, 0, sizeof(*op));
	op->kind = (uint16_t)random_kind(domain, rng);
	for (n = 0; n < domain->ops[op->kind].nr_operands; n++)
		random_operand(domain, op, n, rng);
}

/* Opens a gap at @at; the last one is lost when there is no room. */
static void insert_op(struct input *input, unsigned int at, const struct input_op *op)
{
	if (input->nr_ops == INPUT_MAX_OPS)
		input->nr_ops--;
	if (at > input->nr_ops)
		at = input->nr_ops;
	memmove(&input->ops[at + 1], &input->ops[at], (input->nr_ops - at) * sizeof(*op));
	input->ops[at] = *op;
	input->nr_ops++;
}

static void insert_random(struct input *input, struct rng *rng)
{
	struct input_op op;

	input_op_random(input->domain, &op, rng);
	insert_op(input, (unsigned int)rng_below(rng, input->nr_ops + 1), &op);
}

static void mutate_once(struct input *input, struct rng *rng)
{
	unsigned int at, other;
	struct input_op op;

	if (!input->nr_ops) {
		insert_random(input, rng);
		return;
	}
	at = (unsigned int)rng_below(rng, input->nr_ops);
	other = (unsigned int)rng_below(rng, input->nr_ops);
	op = input->ops[at];
	switch (rng_below(rng, 10)) {
	case 0:
	case 1:
	case 2:
		insert_random(input, rng);
		break;
	case 3:
	case 4:
		input->nr_ops--;
		memmove(&input->ops[at], &input->ops[at + 1], (input->nr_ops - at) * sizeof(op));
		break;
	case 5:
		insert_op(input, other, &op);
		break;
	case 6:
		input->ops[at] = input->ops[other];
		input->ops[other] = op;
		break;
	default:
		edit_operand(input->domain, &input->ops[at], rng);
		break;
	}
}

void input_mutate(struct input *input, struct rng *rng)
{
	unsigned int nr = 1 + (unsigned int)rng_below(rng, MAX_STEPS);

	input->expect[0] = input->known[0] = 0;
	while (nr--)
		mutate_once(input, rng);
}

void input_cross(const struct input *one, const struct input *other, struct input *ret, struct rng *rng)
{
	unsigned int nr = (unsigned int)rng_below(rng, one->nr_ops + 1);
	unsigned int from = (unsigned int)rng_below(rng, other->nr_ops + 1);

	input_init(ret, one->domain);
	memcpy(ret->ops, one->ops, nr * sizeof(one->ops[0]));
	ret->nr_ops = nr;
	while (from < other->nr_ops && input_append(ret, &other->ops[from]))
		from++;
}

/* --- words --- */

bool input_words_add(struct input_words *words, const struct input_domain *domain, uint64_t value)
{
	unsigned int i;

	for (i = 0; i < domain->nr_likely; i++)
		if (domain->likely[i] == value)
			return false;
	for (i = 0; i < words->nr; i++)
		if (words->values[i] == value)
			return false;
	if (words->nr == INPUT_MAX_WORDS)
		return false;
	words->values[words->nr++] = value;
	return true;
}

/* The last number of an operation: the others say of what it is. -1: it has none. */
static int value_operand(const struct input_op_desc *desc)
{
	int n = (int)desc->nr_operands;

	while (--n >= 0 && desc->operands[n].type != OPERAND_NUMBER)
		;
	return n;
}

void input_word_place(struct input *input, const struct input_words *words, struct rng *rng)
{
	uint64_t value = words->values[rng_below(rng, words->nr)];
	struct input_op *op;
	int n;

	if (!input->nr_ops)
		return;
	op = &input->ops[rng_below(rng, input->nr_ops)];
	n = value_operand(&input->domain->ops[op->kind]);
	if (n >= 0)
		op->args[n] = fit(value, input_operand_last(&input->domain->ops[op->kind], op, (unsigned int)n));
}
