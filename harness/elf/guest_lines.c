/* SPDX-License-Identifier: MIT */
/*
 * Code addresses to source lines, through libdw.
 *
 * libdw decompresses a section in place and notes that in the section's header, in the image
 * itself. The guest's image is read-only, so the debug information is read from a private copy,
 * made when the first address is asked for: most runs never ask.
 *
 * Compilation units are walked instead of trusting .debug_aranges (dwarf_addrdie): clang does not
 * write it.
 */
#include "guest_elf.h"
#include "guest_elf_private.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dwarf.h>
#include <elfutils/libdw.h>

struct guest_lines {
	void *copy;	/* NULL: not opened yet */
	Elf *elf;
	Dwarf *dwarf;	/* NULL after opening: there is no usable debug information */
};

/* What is known of an address; names are borrowed from the file. */
struct place {
	const char *file;	/* NULL: no line is known */
	int line;
	const char *function;	/* from the debug information, or NULL */
	const char *symbol;	/* from the symbol table, or NULL */
	uint64_t symbol_offset;
};

struct function_search {
	uint64_t address;
	Dwarf_Die *unit;
	struct place *place;	/* takes the function's name, and the line of a call inlined into it */
};

struct guest_lines *guest_lines_new(void)
{
	return calloc(1, sizeof(struct guest_lines));
}

void guest_lines_free(struct guest_lines *lines)
{
	if (!lines)
		return;
	dwarf_end(lines->dwarf);
	elf_end(lines->elf);
	free(lines->copy);
	free(lines);
}

static int lines_open(struct guest_lines *lines, const struct guest_elf *elf)
{
	if (lines->copy)
		return 0;
	lines->copy = malloc(elf->len_bytes);
	if (!lines->copy)
		return -ENOMEM;
	memcpy(lines->copy, elf->image, elf->len_bytes);
	lines->elf = elf_memory(lines->copy, elf->len_bytes);
	/* A NULL is not an error: a guest without debug information still has symbols. */
	if (lines->elf)
		lines->dwarf = dwarf_begin_elf(lines->elf, DWARF_C_READ, NULL);
	return 0;
}

/* True when *@ret_unit is the compilation unit whose code holds @address. */
static bool unit_find(Dwarf *dwarf, uint64_t address, Dwarf_Die *ret_unit)
{
	Dwarf_CU *unit = NULL;
	uint8_t unit_type;

	while (dwarf_get_units(dwarf, unit, &unit, NULL, &unit_type, ret_unit, NULL) == 0)
		if (unit_type == DW_UT_compile && dwarf_haspc(ret_unit, address) > 0)
			return true;
	return false;
}

/* The line of @call, an inlined subroutine, in the function that it was inlined into. */
static void call_site(Dwarf_Die *unit, Dwarf_Die *call, struct place *place)
{
	Dwarf_Attribute attribute;
	Dwarf_Word file, line;
	Dwarf_Files *files;
	size_t nr_files;

	if (dwarf_formudata(dwarf_attr(call, DW_AT_call_file, &attribute), &file) ||
	    dwarf_formudata(dwarf_attr(call, DW_AT_call_line, &attribute), &line) ||
	    dwarf_getsrcfiles(unit, &files, &nr_files) || file >= nr_files || !line || line > INT_MAX)
		return;
	place->file = dwarf_filesrc(files, file, NULL, NULL);
	place->line = line;
}

/* Looks for the outermost call below @parent that was inlined around the address. */
static bool call_find(struct function_search *search, Dwarf_Die *parent)
{
	Dwarf_Die child;
	int rc;

	for (rc = dwarf_child(parent, &child); rc == 0; rc = dwarf_siblingof(&child, &child)) {
		int tag = dwarf_tag(&child);

		if (dwarf_haspc(&child, search->address) <= 0)
			continue;
		if (tag == DW_TAG_inlined_subroutine) {
			call_site(search->unit, &child, search->place);
			return true;
		}
		if (tag == DW_TAG_lexical_block && call_find(search, &child))
			return true;
	}
	return false;
}

/*
 * The function itself, not what was inlined into it: that is what the symbol table says, and its
 * own line is what the reader wrote. (dwarf_getscopes() leaves an inlined call towards its
 * definition, never meeting the function.)
 */
static int function_visit(Dwarf_Die *function, void *context)
{
	struct function_search *search = context;

	if (dwarf_haspc(function, search->address) <= 0)
		return DWARF_CB_OK;
	search->place->function = dwarf_diename(function);
	call_find(search, function);
	return DWARF_CB_ABORT;
}

static void line_find(Dwarf_Die *unit, uint64_t address, struct place *place)
{
	Dwarf_Line *line = dwarf_getsrc_die(unit, address);
	int number;

	/* Line 0 is code that the compiler made up, without a source. */
	if (!line || dwarf_lineno(line, &number) || !number)
		return;
	place->file = dwarf_linesrc(line, NULL, NULL);
	place->line = number;
}

static void place_find(Dwarf *dwarf, uint64_t address, struct place *place)
{
	Dwarf_Die unit;
	struct function_search search = { .address = address, .unit = &unit, .place = place };

	if (!dwarf || !unit_find(dwarf, address, &unit))
		return;
	line_find(&unit, address, place);
	dwarf_getfuncs(&unit, function_visit, &search, 0);
}

/* True for what may name code: an absolute value (a size, a constant) is no place. */
static bool is_label(const GElf_Sym *sym)
{
	unsigned int type = GELF_ST_TYPE(sym->st_info);

	return (type == STT_FUNC || type == STT_NOTYPE) &&
	       sym->st_shndx != SHN_UNDEF && sym->st_shndx != SHN_ABS;
}

/* The last function or untyped label at or below @address. */
static void symbol_find(const struct guest_elf *elf, const struct guest_segment *segment,
			uint64_t address, struct place *place)
{
	uint64_t best_value = segment->vaddr;
	GElf_Sym sym;

	for (size_t i = 1; i < elf->symbols.nr; i++) {
		gelf_getsym(elf->symbols.data, i, &sym);
		if (!is_label(&sym) || !elf->symbols.names[sym.st_name] ||
		    sym.st_value < best_value || sym.st_value > address)
			continue;
		/* At one address, the function's name says more than a label's. */
		if (place->symbol && sym.st_value == best_value &&
		    GELF_ST_TYPE(sym.st_info) != STT_FUNC)
			continue;
		place->symbol = elf->symbols.names + sym.st_name;
		best_value = sym.st_value;
	}
	place->symbol_offset = address - best_value;
}

/* libdw prepends the build folder; the reader wants the path from the root of the sources. */
static const char *path_shorten(const char *path)
{
	static const char *const roots[] = { "/cases/", "/guests/" };

	if (path[0] != '/')
		return path;
	for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
		const char *found = strstr(path, roots[i]);

		if (found)
			return found + 1;
	}
	return path;
}

static void place_print(const struct place *place, char *buf, size_t len_bytes)
{
	const char *function = place->function ? place->function : place->symbol;
	char offset[24] = "";

	if (place->symbol_offset && function == place->symbol)
		snprintf(offset, sizeof(offset), "+0x%" PRIx64, place->symbol_offset);
	if (!place->file)
		snprintf(buf, len_bytes, "%s%s", place->symbol, offset);
	else if (function)
		snprintf(buf, len_bytes, "%s:%d (%s%s)", path_shorten(place->file), place->line,
			 function, offset);
	else
		snprintf(buf, len_bytes, "%s:%d", path_shorten(place->file), place->line);
	/* The names are the file's: they shall not end the line or steer a terminal. */
	for (; *buf; buf++)
		if (iscntrl((unsigned char)*buf))
			*buf = '?';
}

/* A text that does not fit is cut: it is for a reader, and half a place is better than none. */
int guest_elf_line(const struct guest_elf *elf, uint64_t address, char *buf, size_t len_bytes)
{
	const struct guest_segment *segment = guest_elf_code_segment(elf, address);
	struct place place = { 0 };
	int rc;

	if (!len_bytes)
		return -EINVAL;
	if (!segment)
		return -ENOENT;
	rc = lines_open(elf->lines, elf);
	if (rc)
		return rc;
	place_find(elf->lines->dwarf, address, &place);
	symbol_find(elf, segment, address, &place);
	if (!place.file && !place.symbol)
		return -ENOENT;
	place_print(&place, buf, len_bytes);
	return 0;
}
