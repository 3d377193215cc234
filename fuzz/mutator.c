/* SPDX-License-Identifier: MIT */
/* Structural mutation of inputs in text, for libFuzzer: read, change an operation or an operand, write. */
#include <string.h>

#include "fuzz/input.h"
#include "target.h"

/* What cannot be read is as good as nothing. */
static void read_or_golden(const uint8_t *data, size_t len_bytes, struct input *input)
{
	if (input_parse((const char *)data, len_bytes, input, NULL))
		input_init(input, mutator_domain);
}

/* An input that does not fit loses its last operations. */
static size_t write_input(struct input *input, uint8_t *out, size_t max_bytes)
{
	char text[16384];
	size_t len;

	for (;;) {
		len = input_print(input, text, sizeof(text));
		if (len <= max_bytes && len < sizeof(text))
			break;
		if (!input->nr_ops)
			return 0;
		input->nr_ops--;
	}
	memcpy(out, text, len);
	return len;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t len_bytes, size_t max_bytes, unsigned int seed)
{
	struct rng rng = { seed };
	struct input input;

	read_or_golden(data, len_bytes, &input);
	input_mutate(&input, &rng);
	return write_input(&input, data, max_bytes);
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *one, size_t one_bytes, const uint8_t *other, size_t other_bytes, uint8_t *out,
				 size_t max_bytes, unsigned int seed)
{
	struct input inputs[2], both;
	struct rng rng = { seed };

	read_or_golden(one, one_bytes, &inputs[0]);
	read_or_golden(other, other_bytes, &inputs[1]);
	if (inputs[0].domain != inputs[1].domain)
		return 0;
	input_cross(&inputs[0], &inputs[1], &both, &rng);
	return write_input(&both, out, max_bytes);
}
