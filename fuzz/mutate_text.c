/* SPDX-License-Identifier: MIT */
#include "mutate_text.h"

#include <string.h>

#define TEXT_BYTES 16384

void text_read_or_golden(const uint8_t *data, size_t len_bytes, const struct input_domain *domain, struct input *input)
{
	if (input_parse((const char *)data, len_bytes, input, NULL))
		input_init(input, domain);
}

size_t text_write(struct input *input, uint8_t *out, size_t max_bytes)
{
	char text[TEXT_BYTES];
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
