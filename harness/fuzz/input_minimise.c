/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "fuzz/input.h"

struct minimiser {
	struct input *best;
	input_keeps_fn *keeps;
	void *context;
	unsigned int nr_asked;
};

/* True, and it is the best one now. */
static bool try_input(struct minimiser *m, const struct input *input)
{
	m->nr_asked++;
	if (!m->keeps(m->context, input))
		return false;
	*m->best = *input;
	return true;
}

static bool try_without(struct minimiser *m, unsigned int at, unsigned int nr)
{
	struct input input = *m->best;

	input.nr_ops -= nr;
	memmove(&input.ops[at], &input.ops[at + nr], (input.nr_ops - at) * sizeof(input.ops[0]));
	return try_input(m, &input);
}

/* True when some went. */
static bool remove_ops(struct minimiser *m)
{
	unsigned int before = m->best->nr_ops, nr, at;

	for (nr = (before + 1) / 2; nr; nr /= 2)
		for (at = 0; at + nr <= m->best->nr_ops;)
			if (!try_without(m, at, nr))
				at += nr;
	return m->best->nr_ops < before;
}

static bool try_number(struct minimiser *m, unsigned int at, unsigned int n, uint64_t value)
{
	struct input input = *m->best;

	if (input.ops[at].args[n] == value)
		return false;
	input.ops[at].args[n] = value;
	return try_input(m, &input);
}

/* Zero is simplest; otherwise as few bits as will do. */
static bool simplify_number(struct minimiser *m, unsigned int at, unsigned int n)
{
	bool ret = false;
	int bit;

	if (try_number(m, at, n, 0))
		return true;
	for (bit = 63; bit >= 0; bit--) {
		uint64_t value = m->best->ops[at].args[n];

		if (value >> bit & 1)
			ret |= try_number(m, at, n, value & ~(1ull << bit));
	}
	return ret;
}

static bool simplify_bytes(struct minimiser *m, unsigned int at)
{
	bool ret = false;

	while (m->best->ops[at].nr_bytes > 1) {
		struct input input = *m->best;

		input.ops[at].nr_bytes--;
		if (!try_input(m, &input))
			break;
		ret = true;
	}
	return ret;
}

static bool simplify_op(struct minimiser *m, unsigned int at)
{
	const struct input_op_desc *desc = &m->best->domain->ops[m->best->ops[at].kind];
	bool ret = false;
	unsigned int n;

	for (n = 0; n < desc->nr_operands; n++) {
		if (desc->operands[n].type == OPERAND_NUMBER)
			ret |= simplify_number(m, at, n);
		else if (desc->operands[n].type == OPERAND_BYTES)
			ret |= simplify_bytes(m, at);
	}
	return ret;
}

unsigned int input_minimise(struct input *input, input_keeps_fn *keeps, void *context)
{
	struct minimiser m = { input, keeps, context, 0 };
	bool has_changed;
	unsigned int at;

	do {
		has_changed = remove_ops(&m);
		for (at = 0; at < input->nr_ops; at++)
			has_changed |= simplify_op(&m, at);
	} while (has_changed);
	return m.nr_asked;
}
