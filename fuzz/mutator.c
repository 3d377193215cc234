/* SPDX-License-Identifier: MIT */
/* Structural mutation of inputs in text, for libFuzzer: read, change an operation or an operand, write. */
#include "mutate_text.h"
#include "target.h"

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t len_bytes, size_t max_bytes, unsigned int seed)
{
	struct rng rng = { seed };
	struct input input;

	text_read_or_golden(data, len_bytes, mutator_domain, &input);
	input_mutate(&input, &rng);
	return text_write(&input, data, max_bytes);
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *one, size_t one_bytes, const uint8_t *other, size_t other_bytes, uint8_t *out,
				 size_t max_bytes, unsigned int seed)
{
	struct input inputs[2], both;
	struct rng rng = { seed };

	text_read_or_golden(one, one_bytes, mutator_domain, &inputs[0]);
	text_read_or_golden(other, other_bytes, mutator_domain, &inputs[1]);
	if (inputs[0].domain != inputs[1].domain)
		return 0;
	input_cross(&inputs[0], &inputs[1], &both, &rng);
	return text_write(&both, out, max_bytes);
}
