/* SPDX-License-Identifier: MIT */
/*
 * The structural mutator for AFL++, as a library: AFL_CUSTOM_MUTATOR_LIBRARY=build/fuzz/afl_mutator.so, and with
 * AFL_CUSTOM_MUTATOR_ONLY=1 nothing else. It trims by whole operations, each of which is dropped once. Two inputs of one
 * domain are crossed, in one mutant of four.
 *
 * Source: AFL++, docs/custom_mutators.md.
 */
#include "afl_mutator.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz/vmcb_ops.h"
#include "mutate_text.h"

#define TEXT_BYTES 16384
#define CROSS_PERCENT 25

struct afl_mutator {
	struct rng rng;
	const struct input_domain *domain;	/* of the last input that could be read */
	uint8_t text[TEXT_BYTES];	/* the last mutant, or the last that trimming has tried */
	struct input best, tried;	/* trimming */
	unsigned int at;		/* the operation that .tried lacks */
	int nr_steps;
};

void *afl_custom_init(void *afl, unsigned int seed)
{
	struct afl_mutator *m = calloc(1, sizeof(*m));

	(void)afl;
	if (m) {
		m->rng.state = seed;
		m->domain = &vmcb_domain;
	}
	return m;
}

void afl_custom_deinit(void *mutator)
{
	free(mutator);
}

size_t afl_custom_fuzz(void *mutator, uint8_t *data, size_t len_bytes, uint8_t **out, uint8_t *other, size_t other_bytes,
		       size_t max_bytes)
{
	struct afl_mutator *m = mutator;
	struct input input, second, both;

	text_read_or_golden(data, len_bytes, m->domain, &input);
	m->domain = input.domain;
	if (other && rng_percent(&m->rng, CROSS_PERCENT)) {
		text_read_or_golden(other, other_bytes, m->domain, &second);
		if (second.domain == input.domain) {
			input_cross(&input, &second, &both, &m->rng);
			input = both;
		}
	}
	input_mutate(&input, &m->rng);
	*out = m->text;
	return text_write(&input, m->text, max_bytes < TEXT_BYTES ? max_bytes : TEXT_BYTES);
}

/* How many steps there are: none for what cannot be read, which AFL++ then trims by itself. */
int32_t afl_custom_init_trim(void *mutator, uint8_t *data, size_t len_bytes)
{
	struct afl_mutator *m = mutator;

	m->at = 0;
	m->nr_steps = 0;
	if (input_parse((const char *)data, len_bytes, &m->best, NULL))
		return 0;
	return (int32_t)m->best.nr_ops;
}

size_t afl_custom_trim(void *mutator, uint8_t **out)
{
	struct afl_mutator *m = mutator;

	m->tried = m->best;
	if (m->at < m->best.nr_ops) {
		m->tried.nr_ops--;
		memmove(&m->tried.ops[m->at], &m->tried.ops[m->at + 1], (m->tried.nr_ops - m->at) * sizeof(m->tried.ops[0]));
	}
	*out = m->text;
	return text_write(&m->tried, m->text, TEXT_BYTES);
}

/* How many steps are done. */
int32_t afl_custom_post_trim(void *mutator, unsigned char is_same)
{
	struct afl_mutator *m = mutator;

	if (is_same)
		m->best = m->tried;
	else
		m->at++;
	return ++m->nr_steps;
}
