/* SPDX-License-Identifier: MIT */
/* The guest loader: any bytes are loaded, or refused with one line; nothing is written outside of the guest's memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "elf/guest_elf.h"
#include "err.h"
#include "target.h"

#define RAM_GPA 0x100000
#define RAM_BYTES 0x40000
#define MARGIN_BYTES 4096

static void check(int r, const struct err *err)
{
	if (!r || (err->text[0] && !strchr(err->text, '\n')))
		return;
	fprintf(stderr, "fuzz_elf: a refusal without one line: '%s'\n", err->text);
	abort();
}

static void load(const struct guest_elf *elf)
{
	static uint8_t memory[RAM_BYTES + 2 * MARGIN_BYTES];
	struct err err = { "" };
	char line[256];
	uint64_t value;
	size_t i;

	check(guest_elf_load(elf, memory + MARGIN_BYTES, RAM_GPA, RAM_BYTES, &err), &err);
	for (i = 0; i < MARGIN_BYTES; i++)
		if (memory[i] || memory[MARGIN_BYTES + RAM_BYTES + i])
			abort();
	memset(memory + MARGIN_BYTES, 0, RAM_BYTES);
	err.text[0] = 0;
	check(guest_elf_symbol(elf, "guest_main", &value, &err), &err);
	guest_elf_line(elf, guest_elf_entry(elf), line, sizeof(line));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
	static const enum guest_bits all_bits[] = { GUEST_BITS_64, GUEST_BITS_32 };
	unsigned int i;

	for (i = 0; i < 2; i++) {
		struct guest_elf *elf = NULL;
		struct err err = { "" };
		int r = guest_elf_open("fuzzed", data, len_bytes, all_bits[i], &elf, &err);

		check(r, &err);
		if (!r)
			load(elf);
		guest_elf_close(elf);
	}
	return 0;
}
