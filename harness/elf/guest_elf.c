/* SPDX-License-Identifier: MIT */
/*
 * The file is taken as hostile, and libelf is lenient (it quietly shortens a table that does not
 * fit): every table, segment and section is checked here against the image's length before
 * anything in it is used.
 */
#include "guest_elf.h"
#include "guest_elf_private.h"

#include "err.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int refuse(const char *name, struct err *err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int refuse(const char *name, struct err *err, const char *format, ...)
{
	char text[384];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return err_set(err, ENOEXEC, "%s: %s", name, text);
}

/* True when [start, start + len) does not wrap and ends at or before @limit. */
static bool is_range_within(uint64_t start, uint64_t len, uint64_t limit)
{
	uint64_t end;

	return !__builtin_add_overflow(start, len, &end) && end <= limit;
}

static int class_check(const char *name, unsigned char class, enum guest_bits bits, struct err *err)
{
	if (class != ELFCLASS32 && class != ELFCLASS64)
		return refuse(name, err, "unknown ELF class %u", class);
	if ((class == ELFCLASS64) != (bits == GUEST_BITS_64))
		return refuse(name, err, "%s, but the guest runs %u-bit code",
			      class == ELFCLASS64 ? "ELFCLASS64" : "ELFCLASS32", bits);
	return 0;
}

/* Needs nothing but the bytes: once it passes, libelf reads the header that we expect. */
static int ident_check(const char *name, const unsigned char *image, size_t len_bytes,
		       enum guest_bits bits, struct err *err)
{
	size_t header_bytes = bits == GUEST_BITS_64 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr);
	int rc;

	if (!image || !len_bytes)
		return refuse(name, err, "an empty file");
	if (memcmp(image, ELFMAG, len_bytes < SELFMAG ? len_bytes : SELFMAG))
		return refuse(name, err, "not an ELF file");
	if (len_bytes < EI_NIDENT)
		return refuse(name, err, "truncated: %zu bytes, an ELF header has %zu",
			      len_bytes, header_bytes);
	rc = class_check(name, image[EI_CLASS], bits, err);
	if (rc)
		return rc;
	if (image[EI_DATA] != ELFDATA2LSB)
		return refuse(name, err, "byte order %u, expected little-endian (ELFDATA2LSB)",
			      image[EI_DATA]);
	if (image[EI_VERSION] != EV_CURRENT)
		return refuse(name, err, "EI_VERSION %u, expected %u",
			      image[EI_VERSION], EV_CURRENT);
	if (len_bytes < header_bytes)
		return refuse(name, err, "truncated: %zu bytes, an ELF header has %zu",
			      len_bytes, header_bytes);
	return 0;
}

static int type_check(const char *name, unsigned int type, struct err *err)
{
	switch (type) {
	case ET_EXEC:
		return 0;
	case ET_DYN:
		return refuse(name, err, "position-independent or a shared object (ET_DYN); "
			      "link it at a fixed address (-static -no-pie)");
	case ET_REL:
		return refuse(name, err, "an object file that was never linked (ET_REL)");
	default:
		return refuse(name, err, "ELF type %u, expected an executable (ET_EXEC)", type);
	}
}

static int header_check(const struct guest_elf *elf, const GElf_Ehdr *ehdr, struct err *err)
{
	bool is_64 = elf->bits == GUEST_BITS_64;
	unsigned int want_machine = is_64 ? EM_X86_64 : EM_386;

	if (ehdr->e_machine != want_machine)
		return refuse(elf->name, err, "ELF machine %u, expected %s (%u)", ehdr->e_machine,
			      is_64 ? "EM_X86_64" : "EM_386", want_machine);
	if (ehdr->e_version != EV_CURRENT)
		return refuse(elf->name, err, "e_version %u, expected %u",
			      ehdr->e_version, EV_CURRENT);
	return type_check(elf->name, ehdr->e_type, err);
}

/* @nr entries of @type; a table of none is not looked at, wherever it claims to be. */
static int table_check(const struct guest_elf *elf, const char *what, Elf_Type type,
		       uint64_t offset, size_t nr, size_t entry_bytes, struct err *err)
{
	size_t want_bytes = gelf_fsize(elf->elf, type, 1, EV_CURRENT);

	if (!nr)
		return 0;
	if (entry_bytes != want_bytes)
		return refuse(elf->name, err, "%s headers of %zu bytes, expected %zu",
			      what, entry_bytes, want_bytes);
	if (!is_range_within(offset, nr * entry_bytes, elf->len_bytes))
		return refuse(elf->name, err, "%s header table (%zu entries at 0x%" PRIx64
			      ") lies outside the file of 0x%zx bytes",
			      what, nr, offset, elf->len_bytes);
	return 0;
}

/* Note, the counts are e_phnum and e_shnum: libelf's own leave out quietly what is cut off. */
static int tables_check(const struct guest_elf *elf, const GElf_Ehdr *ehdr, struct err *err)
{
	int rc;

	/* PN_XNUM (0xffff: the count is elsewhere) is caught here, too. */
	if (ehdr->e_phnum > GUEST_ELF_MAX_PROGRAM_HEADERS)
		return refuse(elf->name, err, "%u program headers, at most %u are accepted",
			      ehdr->e_phnum, GUEST_ELF_MAX_PROGRAM_HEADERS);
	rc = table_check(elf, "program", ELF_T_PHDR, ehdr->e_phoff, ehdr->e_phnum,
			 ehdr->e_phentsize, err);
	if (rc)
		return rc;
	if (!ehdr->e_shoff != !ehdr->e_shnum)
		return refuse(elf->name, err, "%u section headers at 0x%" PRIx64
			      ", expected both or neither", ehdr->e_shnum, ehdr->e_shoff);
	return table_check(elf, "section", ELF_T_SHDR, ehdr->e_shoff, ehdr->e_shnum,
			   ehdr->e_shentsize, err);
}

static int segment_check(const struct guest_elf *elf, size_t index, const GElf_Phdr *phdr,
			 struct err *err)
{
	uint64_t limit = elf->bits == GUEST_BITS_64 ? UINT64_MAX : (uint64_t)UINT32_MAX + 1;

	if (phdr->p_filesz > phdr->p_memsz)
		return refuse(elf->name, err, "segment %zu: p_filesz 0x%" PRIx64
			      " exceeds p_memsz 0x%" PRIx64, index, phdr->p_filesz, phdr->p_memsz);
	/* Note, linkers give a pure .bss segment a p_offset beyond the file. */
	if (phdr->p_filesz && !is_range_within(phdr->p_offset, phdr->p_filesz, elf->len_bytes))
		return refuse(elf->name, err, "segment %zu: 0x%" PRIx64 " bytes at 0x%" PRIx64
			      " lie outside the file of 0x%zx bytes",
			      index, phdr->p_filesz, phdr->p_offset, elf->len_bytes);
	if (!is_range_within(phdr->p_paddr, phdr->p_memsz, limit))
		return refuse(elf->name, err, "segment %zu: p_paddr 0x%" PRIx64
			      " + p_memsz 0x%" PRIx64 " wraps around",
			      index, phdr->p_paddr, phdr->p_memsz);
	if (!is_range_within(phdr->p_vaddr, phdr->p_memsz, limit))
		return refuse(elf->name, err, "segment %zu: p_vaddr 0x%" PRIx64
			      " + p_memsz 0x%" PRIx64 " wraps around",
			      index, phdr->p_vaddr, phdr->p_memsz);
	return 0;
}

static int segments_read(struct guest_elf *elf, size_t nr_headers, struct err *err)
{
	GElf_Phdr phdr;
	int rc;

	for (size_t i = 0; i < nr_headers; i++) {
		if (!gelf_getphdr(elf->elf, i, &phdr))
			return refuse(elf->name, err, "program header %zu: %s", i, elf_errmsg(-1));
		if (phdr.p_type != PT_LOAD)
			continue;
		rc = segment_check(elf, i, &phdr, err);
		if (rc)
			return rc;
		if (!phdr.p_memsz)
			continue;
		elf->segments[elf->nr_segments++] = (struct guest_segment) {
			.index = i,
			.offset = phdr.p_offset,
			.vaddr = phdr.p_vaddr,
			.paddr = phdr.p_paddr,
			.filesz = phdr.p_filesz,
			.memsz = phdr.p_memsz,
			.is_executable = phdr.p_flags & PF_X,
		};
	}
	if (!elf->nr_segments)
		return refuse(elf->name, err, "no loadable segment (PT_LOAD)");
	return 0;
}

static bool is_overlap(const struct guest_segment *a, const struct guest_segment *b)
{
	return a->paddr < b->paddr + b->memsz && b->paddr < a->paddr + a->memsz;
}

static int segments_check_overlap(const struct guest_elf *elf, struct err *err)
{
	for (size_t i = 0; i < elf->nr_segments; i++) {
		for (size_t j = i + 1; j < elf->nr_segments; j++) {
			const struct guest_segment *a = &elf->segments[i], *b = &elf->segments[j];

			if (is_overlap(a, b))
				return refuse(elf->name, err,
					      "segment %zu [0x%" PRIx64 ", 0x%" PRIx64 ") overlaps "
					      "segment %zu [0x%" PRIx64 ", 0x%" PRIx64 ")",
					      a->index, a->paddr, a->paddr + a->memsz,
					      b->index, b->paddr, b->paddr + b->memsz);
		}
	}
	return 0;
}

/* Returns the section's bytes only if all of them are in the file. */
static Elf_Data *section_data(const struct guest_elf *elf, Elf_Scn *section, const GElf_Shdr *shdr)
{
	if (!is_range_within(shdr->sh_offset, shdr->sh_size, elf->len_bytes))
		return NULL;
	return elf_getdata(section, NULL);
}

static int names_read(struct guest_elf *elf, size_t index, struct err *err)
{
	Elf_Scn *section = elf_getscn(elf->elf, index);
	Elf_Data *data;
	GElf_Shdr shdr;

	if (!section || !gelf_getshdr(section, &shdr) || shdr.sh_type != SHT_STRTAB)
		return refuse(elf->name, err, "symbol table: section %zu is no string table",
			      index);
	data = section_data(elf, section, &shdr);
	if (!data)
		return refuse(elf->name, err, "symbol table: string table outside the file");
	if (!data->d_buf || !data->d_size || ((const char *)data->d_buf)[data->d_size - 1])
		return refuse(elf->name, err, "symbol table: string table without a final NUL");
	elf->symbols.names = data->d_buf;
	elf->symbols.names_bytes = data->d_size;
	return 0;
}

static int symbols_check(const struct guest_elf *elf, struct err *err)
{
	GElf_Sym sym;

	for (size_t i = 0; i < elf->symbols.nr; i++) {
		if (!gelf_getsym(elf->symbols.data, i, &sym))
			return refuse(elf->name, err, "symbol %zu: %s", i, elf_errmsg(-1));
		if (sym.st_name >= elf->symbols.names_bytes)
			return refuse(elf->name, err,
				      "symbol %zu: its name lies outside the string table", i);
	}
	return 0;
}

static int symbols_read(struct guest_elf *elf, Elf_Scn *section, const GElf_Shdr *shdr,
			struct err *err)
{
	size_t want_bytes = gelf_fsize(elf->elf, ELF_T_SYM, 1, EV_CURRENT);
	int rc;

	if (shdr->sh_entsize != want_bytes)
		return refuse(elf->name, err, "symbol table: entries of %" PRIu64
			      " bytes, expected %zu", shdr->sh_entsize, want_bytes);
	if (shdr->sh_size % want_bytes)
		return refuse(elf->name, err, "symbol table: 0x%" PRIx64
			      " bytes end within an entry", shdr->sh_size);
	elf->symbols.data = section_data(elf, section, shdr);
	if (!elf->symbols.data)
		return refuse(elf->name, err, "symbol table: 0x%" PRIx64 " bytes at 0x%" PRIx64
			      " lie outside the file of 0x%zx bytes",
			      shdr->sh_size, shdr->sh_offset, elf->len_bytes);
	elf->symbols.nr = elf->symbols.data->d_size / want_bytes;
	rc = names_read(elf, shdr->sh_link, err);
	if (rc)
		return rc;
	return symbols_check(elf, err);
}

/* A stripped guest is fine here: guest_elf_symbol() will say that it has no symbols. */
static int symbols_open(struct guest_elf *elf, struct err *err)
{
	Elf_Scn *section = NULL;
	GElf_Shdr shdr;

	while ((section = elf_nextscn(elf->elf, section))) {
		if (!gelf_getshdr(section, &shdr))
			return refuse(elf->name, err, "section %zu: %s",
				      elf_ndxscn(section), elf_errmsg(-1));
		if (shdr.sh_type == SHT_SYMTAB)
			return symbols_read(elf, section, &shdr, err);
	}
	return 0;
}

static int elf_read(struct guest_elf *elf, struct err *err)
{
	GElf_Ehdr ehdr;
	int rc;

	elf_version(EV_CURRENT);
	/* The cast is safe: libelf writes to the image only to decompress, see guest_lines.c. */
	elf->elf = elf_memory((char *)elf->image, elf->len_bytes);
	if (!elf->elf || !gelf_getehdr(elf->elf, &ehdr))
		return refuse(elf->name, err, "%s", elf_errmsg(-1));
	rc = header_check(elf, &ehdr, err);
	if (rc)
		return rc;
	rc = tables_check(elf, &ehdr, err);
	if (rc)
		return rc;
	rc = segments_read(elf, ehdr.e_phnum, err);
	if (rc)
		return rc;
	rc = segments_check_overlap(elf, err);
	if (rc)
		return rc;
	elf->entry = ehdr.e_entry;
	if (!guest_elf_code_segment(elf, elf->entry))
		return refuse(elf->name, err,
			      "entry point 0x%" PRIx64 " lies in no executable segment",
			      elf->entry);
	return symbols_open(elf, err);
}

int guest_elf_open(const char *name, const void *image, size_t len_bytes, enum guest_bits bits,
		   struct guest_elf **ret_elf, struct err *err)
{
	struct guest_elf *elf;
	int rc;

	if (bits != GUEST_BITS_32 && bits != GUEST_BITS_64)
		return err_set(err, EINVAL, "%s: a %u-bit guest, expected 32 or 64", name, bits);
	rc = ident_check(name, image, len_bytes, bits, err);
	if (rc)
		return rc;
	elf = calloc(1, sizeof(*elf));
	if (!elf)
		return err_set(err, ENOMEM, "%s: out of memory", name);
	elf->image = image;
	elf->len_bytes = len_bytes;
	elf->bits = bits;
	elf->name = strdup(name);
	elf->lines = guest_lines_new();
	if (!elf->name || !elf->lines) {
		rc = err_set(err, ENOMEM, "%s: out of memory", name);
		goto err_close;
	}
	rc = elf_read(elf, err);
	if (rc)
		goto err_close;
	*ret_elf = elf;
	return 0;

err_close:
	guest_elf_close(elf);
	return rc;
}

void guest_elf_close(struct guest_elf *elf)
{
	if (!elf)
		return;
	guest_lines_free(elf->lines);
	elf_end(elf->elf);
	free(elf->name);
	free(elf);
}

int guest_elf_load(const struct guest_elf *elf, void *ram, uint64_t ram_gpa, uint64_t ram_bytes,
		   struct err *err)
{
	const struct guest_segment *segment, *end = elf->segments + elf->nr_segments;
	uint64_t ram_end;

	if (__builtin_add_overflow(ram_gpa, ram_bytes, &ram_end))
		return err_set(err, EINVAL, "%s: RAM at 0x%" PRIx64 " of 0x%" PRIx64
			       " bytes wraps around", elf->name, ram_gpa, ram_bytes);
	for (segment = elf->segments; segment < end; segment++)
		if (segment->paddr < ram_gpa || segment->paddr + segment->memsz > ram_end)
			return err_set(err, ERANGE, "%s: segment %zu [0x%" PRIx64 ", 0x%" PRIx64
				       ") lies outside RAM [0x%" PRIx64 ", 0x%" PRIx64 ")",
				       elf->name, segment->index, segment->paddr,
				       segment->paddr + segment->memsz, ram_gpa, ram_end);
	for (segment = elf->segments; segment < end; segment++) {
		if (segment->filesz)
			memcpy((uint8_t *)ram + (segment->paddr - ram_gpa),
			       (const uint8_t *)elf->image + segment->offset, segment->filesz);
	}
	return 0;
}

uint64_t guest_elf_entry(const struct guest_elf *elf)
{
	return elf->entry;
}

const struct guest_segment *guest_elf_code_segment(const struct guest_elf *elf, uint64_t address)
{
	for (size_t i = 0; i < elf->nr_segments; i++) {
		const struct guest_segment *segment = &elf->segments[i];

		/* Note, below vaddr the difference wraps and is larger than any segment. */
		if (segment->is_executable && address - segment->vaddr < segment->memsz)
			return segment;
	}
	return NULL;
}

/* True for a symbol that may be asked for by name: not the name of a source file or section. */
static bool is_named(const GElf_Sym *sym)
{
	unsigned int type = GELF_ST_TYPE(sym->st_info);

	return type != STT_FILE && type != STT_SECTION;
}

int guest_elf_symbol(const struct guest_elf *elf, const char *symbol, uint64_t *ret_value,
		     struct err *err)
{
	const char *problem = elf->symbols.nr ? "no symbol" : "no symbol table, thus no symbol";
	bool is_found = false;
	uint64_t value = 0;
	GElf_Sym sym;

	/* Entry 0 is the undefined symbol without a name. */
	for (size_t i = 1; i < elf->symbols.nr; i++) {
		gelf_getsym(elf->symbols.data, i, &sym);
		if (!is_named(&sym) || strcmp(elf->symbols.names + sym.st_name, symbol))
			continue;
		if (sym.st_shndx == SHN_UNDEF) {
			problem = "undefined symbol";
			continue;
		}
		/* Several files may have a static of that name: the first one, unless global. */
		if (is_found && GELF_ST_BIND(sym.st_info) == STB_LOCAL)
			continue;
		is_found = true;
		value = sym.st_value;
	}
	if (!is_found)
		return err_set(err, ENOENT, "%s: %s \"%s\"", elf->name, problem, symbol);
	*ret_value = value;
	return 0;
}
