/* SPDX-License-Identifier: MIT */
/*
 * What guest_elf.c (the file's structure and symbols) and guest_lines.c (its debug information)
 * share. Nobody else includes this.
 */
#ifndef VMASSAY_GUEST_ELF_PRIVATE_H
#define VMASSAY_GUEST_ELF_PRIVATE_H

#include "guest_elf.h"

#include <gelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Guests have two to five; bounds the work on a hostile file and makes the table a plain array. */
#define GUEST_ELF_MAX_PROGRAM_HEADERS 64

struct guest_lines;

/* One non-empty PT_LOAD. Neither address range wraps; the file's part is inside the image. */
struct guest_segment {
	size_t index;		/* in the program header table, as readelf -l counts */
	uint64_t offset;	/* meaningful only if filesz */
	uint64_t vaddr;
	uint64_t paddr;
	uint64_t filesz;	/* <= memsz */
	uint64_t memsz;		/* > 0 */
	bool is_executable;
};

/* SHT_SYMTAB and its strings, in the image. All st_name are inside names, which ends in NUL. */
struct guest_symbols {
	Elf_Data *data;		/* NULL: the file has no symbol table */
	size_t nr;
	const char *names;
	size_t names_bytes;
};

struct guest_elf {
	char *name;
	const void *image;	/* borrowed, only ever read */
	size_t len_bytes;
	enum guest_bits bits;
	Elf *elf;
	uint64_t entry;
	struct guest_segment segments[GUEST_ELF_MAX_PROGRAM_HEADERS];
	size_t nr_segments;
	struct guest_symbols symbols;
	struct guest_lines *lines;	/* a pointer: a const guest_elf opens them late */
};

/* The executable segment whose p_vaddr range holds @address, or NULL. */
const struct guest_segment *guest_elf_code_segment(const struct guest_elf *elf, uint64_t address);

/* Allocates; the debug information is looked at by the first guest_elf_line(). NULL: no memory. */
struct guest_lines *guest_lines_new(void);
/* Accepts NULL. */
void guest_lines_free(struct guest_lines *lines);

#endif
