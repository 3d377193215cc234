/* SPDX-License-Identifier: MIT */
/*
 * Guest payloads: what is refused, in which words; what is loaded, and which bytes stay untouched.
 *
 * The images are laid out by hand as one C structure, so that a hostile field is one assignment.
 * Each is opened from read-only memory that ends at an unmapped page: a write to it or a read
 * beyond it is a SIGSEGV, inside libelf as well.
 *
 * Source lines need a linked guest with debug information and a guest_main():
 * VMASSAY_TEST_GUEST_ELF names it, that test is skipped without.
 */
#include "elf/guest_elf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"

#define PAGE 4096
#define CODE_GPA 0x100000
#define DATA_GPA 0x101000	/* adjacent to the end of the code's segment */
#define CODE_BYTES 0x40
#define CODE_MEMSZ 0x1000	/* zeroed up to the data */
#define DATA_BYTES 8
#define DATA_MEMSZ 0x20
#define UNTOUCHED 0xa5

enum { SECTION_NONE, SECTION_CODE, SECTION_SYMBOLS, SECTION_NAMES, NR_SECTIONS };

static const char names[64] = "\0start.S\0guest_main\0label\0missing\0LIMIT";
enum { NAME_FILE = 1, NAME_MAIN = 9, NAME_LABEL = 20, NAME_MISSING = 26, NAME_LIMIT = 34 };

/* The same executable in both classes: two segments, a symbol table and its names. */
#define DEFINE_IMAGE(n, machine) \
struct image##n { \
	Elf##n##_Ehdr ehdr; \
	Elf##n##_Phdr phdr[3]; \
	uint8_t code[CODE_BYTES]; \
	uint8_t data[DATA_BYTES]; \
	Elf##n##_Sym sym[8]; \
	char names[sizeof(names)]; \
	Elf##n##_Shdr shdr[NR_SECTIONS]; \
}; \
\
static struct image##n image##n##_make(void) \
{ \
	struct image##n image = { \
		.ehdr = { \
			.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS##n, ELFDATA2LSB, EV_CURRENT }, \
			.e_type = ET_EXEC, .e_machine = machine, .e_version = EV_CURRENT, \
			.e_entry = CODE_GPA + 4, \
			.e_phoff = offsetof(struct image##n, phdr), .e_phnum = 3, \
			.e_phentsize = sizeof(Elf##n##_Phdr), \
			.e_shoff = offsetof(struct image##n, shdr), .e_shnum = NR_SECTIONS, \
			.e_shentsize = sizeof(Elf##n##_Shdr), \
			.e_ehsize = sizeof(Elf##n##_Ehdr), \
		}, \
		.phdr = { \
			{ .p_type = PT_NOTE }, \
			{ .p_type = PT_LOAD, .p_flags = PF_R | PF_X, \
			  .p_offset = offsetof(struct image##n, code), \
			  .p_vaddr = CODE_GPA, .p_paddr = CODE_GPA, \
			  .p_filesz = CODE_BYTES, .p_memsz = CODE_MEMSZ }, \
			{ .p_type = PT_LOAD, .p_flags = PF_R | PF_W, \
			  .p_offset = offsetof(struct image##n, data), \
			  .p_vaddr = DATA_GPA, .p_paddr = DATA_GPA, \
			  .p_filesz = DATA_BYTES, .p_memsz = DATA_MEMSZ }, \
		}, \
		.sym = { \
			[1] = { .st_name = NAME_FILE, .st_shndx = SHN_ABS, \
				.st_info = ELF##n##_ST_INFO(STB_LOCAL, STT_FILE) }, \
			[2] = { .st_name = NAME_LABEL, .st_value = CODE_GPA + 0x20, \
				.st_shndx = SECTION_CODE }, \
			[3] = { .st_name = NAME_MAIN, .st_value = CODE_GPA + 0x30, \
				.st_shndx = SECTION_CODE }, \
			[4] = { .st_name = NAME_MAIN, .st_value = CODE_GPA + 4, \
				.st_info = ELF##n##_ST_INFO(STB_GLOBAL, STT_FUNC), \
				.st_shndx = SECTION_CODE }, \
			[5] = { .st_name = NAME_MAIN, .st_value = CODE_GPA + 0x34, \
				.st_shndx = SECTION_CODE }, \
			[6] = { .st_name = NAME_MISSING, \
				.st_info = ELF##n##_ST_INFO(STB_GLOBAL, STT_NOTYPE) }, \
			[7] = { .st_name = NAME_LIMIT, .st_value = CODE_GPA + 0x18, \
				.st_info = ELF##n##_ST_INFO(STB_GLOBAL, STT_NOTYPE), \
				.st_shndx = SHN_ABS }, \
		}, \
		.shdr = { \
			[SECTION_CODE] = { .sh_type = SHT_PROGBITS }, \
			[SECTION_SYMBOLS] = { .sh_type = SHT_SYMTAB, .sh_link = SECTION_NAMES, \
				.sh_offset = offsetof(struct image##n, sym), \
				.sh_size = sizeof(image.sym), \
				.sh_entsize = sizeof(Elf##n##_Sym) }, \
			[SECTION_NAMES] = { .sh_type = SHT_STRTAB, .sh_size = sizeof(names), \
				.sh_offset = offsetof(struct image##n, names) }, \
		}, \
	}; \
\
	memcpy(image.names, names, sizeof(names)); \
	memset(image.code, 0x90, CODE_BYTES); \
	memset(image.data, 0xda, DATA_BYTES); \
	return image; \
}

DEFINE_IMAGE(32, EM_386)
DEFINE_IMAGE(64, EM_X86_64)

/* An image in read-only memory that ends where an unmapped page begins, perhaps opened. */
struct guest {
	uint8_t *map;
	size_t map_bytes;
	const uint8_t *image;
	struct guest_elf *elf;
};

static struct guest guest_seal(const void *image, size_t len_bytes)
{
	size_t data_bytes = (len_bytes + PAGE - 1) / PAGE * PAGE;
	struct guest guest = { .map_bytes = data_bytes + PAGE };

	guest.map = mmap(NULL, guest.map_bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(guest.map != MAP_FAILED);
	guest.image = guest.map + data_bytes - len_bytes;
	if (len_bytes)
		memcpy(guest.map + data_bytes - len_bytes, image, len_bytes);
	assert_int_equal(mprotect(guest.map, guest.map_bytes, PROT_READ), 0);
	assert_int_equal(mprotect(guest.map + data_bytes, PAGE, PROT_NONE), 0);
	return guest;
}

static void guest_free(struct guest *guest)
{
	guest_elf_close(guest->elf);
	munmap(guest->map, guest->map_bytes);
}

static struct guest guest_open(const void *image, size_t len_bytes, enum guest_bits bits)
{
	struct guest guest = guest_seal(image, len_bytes);
	struct err err = { "" };

	if (guest_elf_open("g.elf", guest.image, len_bytes, bits, &guest.elf, &err))
		fail_msg("%s", err.text);
	return guest;
}

/* Each line about a file begins with its name. */
static void assert_text(const struct err *err, const char *want)
{
	assert_memory_equal(err->text, "g.elf: ", 7);
	assert_string_equal(err->text + 7, want);
}

static void assert_refused(const void *image, size_t len_bytes, enum guest_bits bits,
			   int want_errno, const char *want_text)
{
	struct guest guest = guest_seal(image, len_bytes);
	struct guest_elf *elf = (void *)-1;
	struct err err = { "" };
	int rc;

	rc = guest_elf_open("g.elf", guest.image, len_bytes, bits, &elf, &err);
	assert_int_equal(rc, -want_errno);
	assert_text(&err, want_text);
	assert_ptr_equal(elf, (void *)-1);
	rc = guest_elf_open("g.elf", guest.image, len_bytes, bits, &elf, NULL);
	assert_int_equal(rc, -want_errno);
	guest_free(&guest);
}

/*
 * Returns whether the file was accepted; if so, asks for everything: what the answers are does not
 * matter, only that they come.
 */
static bool is_accepted(const void *image, size_t len_bytes, enum guest_bits bits)
{
	static uint8_t ram[0x3000];
	struct guest guest = guest_seal(image, len_bytes);
	struct err err = { "" };
	char line[64];
	uint64_t value;
	int rc;

	rc = guest_elf_open("g.elf", guest.image, len_bytes, bits, &guest.elf, &err);
	if (rc) {
		assert_int_equal(rc, -ENOEXEC);
		assert_memory_equal(err.text, "g.elf: ", 7);
	} else {
		guest_elf_load(guest.elf, ram, CODE_GPA, sizeof(ram), NULL);
		guest_elf_symbol(guest.elf, "guest_main", &value, NULL);
		guest_elf_line(guest.elf, guest_elf_entry(guest.elf), line, sizeof(line));
		guest_elf_line(guest.elf, CODE_GPA + CODE_BYTES, line, sizeof(line));
	}
	guest_free(&guest);
	return !rc;
}

/* One hostile value in the 64-bit image. */
struct patch {
	size_t offset;
	size_t len_bytes;
	uint64_t value;
};

#define PATCH(field, to) \
	{ offsetof(struct image64, field), sizeof(((struct image64 *)NULL)->field), to }

static const struct refusal {
	struct patch patch;
	const char *want_text;
} refusals[] = {
	/* Identification and header. */
	{ PATCH(ehdr.e_ident[1], 'e'), "not an ELF file" },
	{ PATCH(ehdr.e_ident[EI_CLASS], 3), "unknown ELF class 3" },
	{ PATCH(ehdr.e_ident[EI_DATA], ELFDATA2MSB),
	  "byte order 2, expected little-endian (ELFDATA2LSB)" },
	{ PATCH(ehdr.e_ident[EI_VERSION], 0), "EI_VERSION 0, expected 1" },
	{ PATCH(ehdr.e_version, 2), "e_version 2, expected 1" },
	{ PATCH(ehdr.e_machine, EM_AARCH64), "ELF machine 183, expected EM_X86_64 (62)" },
	{ PATCH(ehdr.e_type, ET_DYN), "position-independent or a shared object (ET_DYN); "
	  "link it at a fixed address (-static -no-pie)" },
	{ PATCH(ehdr.e_type, ET_REL), "an object file that was never linked (ET_REL)" },
	{ PATCH(ehdr.e_type, ET_CORE), "ELF type 4, expected an executable (ET_EXEC)" },
	/* Tables. */
	{ PATCH(ehdr.e_phnum, PN_XNUM), "65535 program headers, at most 64 are accepted" },
	{ PATCH(ehdr.e_phnum, 65), "65 program headers, at most 64 are accepted" },
	{ PATCH(ehdr.e_phentsize, 32), "program headers of 32 bytes, expected 56" },
	{ PATCH(ehdr.e_phoff, UINT64_MAX - 7),
	  "program header table (3 entries at 0xfffffffffffffff8) "
	  "lies outside the file of 0x330 bytes" },
	{ PATCH(ehdr.e_phoff, 0x330 - 2 * 56),
	  "program header table (3 entries at 0x2c0) lies outside the file of 0x330 bytes" },
	{ PATCH(ehdr.e_shnum, 5),
	  "section header table (5 entries at 0x230) lies outside the file of 0x330 bytes" },
	{ PATCH(ehdr.e_shentsize, 0), "section headers of 0 bytes, expected 64" },
	{ PATCH(ehdr.e_shnum, 0), "0 section headers at 0x230, expected both or neither" },
	{ PATCH(ehdr.e_shoff, 0), "4 section headers at 0x0, expected both or neither" },
	/* Segments. */
	{ PATCH(ehdr.e_phnum, 0), "no loadable segment (PT_LOAD)" },
	{ PATCH(ehdr.e_phnum, 1), "no loadable segment (PT_LOAD)" },
	{ PATCH(phdr[2].p_filesz, 0x21),
	  "segment 2: p_filesz 0x21 exceeds p_memsz 0x20" },
	{ PATCH(phdr[2].p_offset, 0x330 - 7),
	  "segment 2: 0x8 bytes at 0x329 lie outside the file of 0x330 bytes" },
	{ PATCH(phdr[2].p_offset, UINT64_MAX - 3),
	  "segment 2: 0x8 bytes at 0xfffffffffffffffc lie outside the file of 0x330 bytes" },
	{ PATCH(phdr[2].p_paddr, UINT64_MAX - 0x1e),
	  "segment 2: p_paddr 0xffffffffffffffe1 + p_memsz 0x20 wraps around" },
	{ PATCH(phdr[2].p_vaddr, UINT64_MAX - 0x1e),
	  "segment 2: p_vaddr 0xffffffffffffffe1 + p_memsz 0x20 wraps around" },
	{ PATCH(phdr[2].p_paddr, 0x100fff),
	  "segment 1 [0x100000, 0x101000) overlaps segment 2 [0x100fff, 0x10101f)" },
	{ PATCH(phdr[2].p_paddr, 0xfffe1),
	  "segment 1 [0x100000, 0x101000) overlaps segment 2 [0xfffe1, 0x100001)" },
	{ PATCH(phdr[2].p_paddr, 0x100010),
	  "segment 1 [0x100000, 0x101000) overlaps segment 2 [0x100010, 0x100030)" },
	{ PATCH(ehdr.e_entry, CODE_GPA - 1),
	  "entry point 0xfffff lies in no executable segment" },
	{ PATCH(ehdr.e_entry, DATA_GPA), "entry point 0x101000 lies in no executable segment" },
	{ PATCH(phdr[1].p_flags, PF_R), "entry point 0x100004 lies in no executable segment" },
	/* Symbols. */
	{ PATCH(shdr[SECTION_SYMBOLS].sh_entsize, 16),
	  "symbol table: entries of 16 bytes, expected 24" },
	{ PATCH(shdr[SECTION_SYMBOLS].sh_size, 0xbf),
	  "symbol table: 0xbf bytes end within an entry" },
	{ PATCH(shdr[SECTION_SYMBOLS].sh_offset, 0x330 - 0xbf),
	  "symbol table: 0xc0 bytes at 0x271 lie outside the file of 0x330 bytes" },
	{ PATCH(shdr[SECTION_SYMBOLS].sh_link, 99),
	  "symbol table: section 99 is no string table" },
	{ PATCH(shdr[SECTION_SYMBOLS].sh_link, SECTION_CODE),
	  "symbol table: section 1 is no string table" },
	{ PATCH(shdr[SECTION_NAMES].sh_size, UINT64_MAX),
	  "symbol table: string table outside the file" },
	{ PATCH(shdr[SECTION_NAMES].sh_size, 0),
	  "symbol table: string table without a final NUL" },
	{ PATCH(names[63], 'x'), "symbol table: string table without a final NUL" },
	{ PATCH(sym[3].st_name, 64), "symbol 3: its name lies outside the string table" },
};

static void test_malformed_files_are_refused_by_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		const struct patch *patch = &refusals[i].patch;
		struct image64 image = image64_make();

		/* Note, both the host and the file are little-endian. */
		memcpy((uint8_t *)&image + patch->offset, &patch->value, patch->len_bytes);
		assert_refused(&image, sizeof(image), GUEST_BITS_64, ENOEXEC,
			       refusals[i].want_text);
	}
}

static void test_class_and_machine_follow_the_mode(void **state)
{
	struct image32 image32 = image32_make();
	struct image64 image64 = image64_make();

	(void)state;
	assert_refused(&image32, sizeof(image32), GUEST_BITS_64, ENOEXEC,
		       "ELFCLASS32, but the guest runs 64-bit code");
	assert_refused(&image64, sizeof(image64), GUEST_BITS_32, ENOEXEC,
		       "ELFCLASS64, but the guest runs 32-bit code");
	assert_refused(&image64, sizeof(image64), (enum guest_bits)16, EINVAL,
		       "a 16-bit guest, expected 32 or 64");
	image32.ehdr.e_machine = EM_X86_64;
	assert_refused(&image32, sizeof(image32), GUEST_BITS_32, ENOEXEC,
		       "ELF machine 62, expected EM_386 (3)");
}

/* The refusals above are one byte beyond these. */
static void test_segments_may_touch(void **state)
{
	struct image32 image32 = image32_make();
	struct image64 image64 = image64_make();

	(void)state;
	image64.phdr[2].p_paddr = CODE_GPA - DATA_MEMSZ;
	assert_true(is_accepted(&image64, sizeof(image64), GUEST_BITS_64));
	image64.phdr[2].p_paddr = UINT64_MAX - DATA_MEMSZ;
	assert_true(is_accepted(&image64, sizeof(image64), GUEST_BITS_64));
	/* A 32-bit guest's addresses end at 4 GiB. */
	image32.phdr[2].p_paddr = UINT32_MAX - DATA_MEMSZ + 1;
	assert_true(is_accepted(&image32, sizeof(image32), GUEST_BITS_32));
	image32.phdr[2].p_paddr++;
	assert_refused(&image32, sizeof(image32), GUEST_BITS_32, ENOEXEC,
		       "segment 2: p_paddr 0xffffffe1 + p_memsz 0x20 wraps around");
}

static struct guest guest_seal_file(const char *path, size_t *ret_len_bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct guest guest;
	struct stat st;
	void *bytes;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	bytes = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	assert_true(bytes != MAP_FAILED);
	guest = guest_seal(bytes, st.st_size);
	munmap(bytes, st.st_size);
	*ret_len_bytes = st.st_size;
	return guest;
}

static void test_own_pie_is_refused(void **state)
{
	struct err err = { "" };
	struct guest guest;
	size_t len_bytes;
	Elf64_Half type;
	int rc;

	(void)state;
	guest = guest_seal_file("/proc/self/exe", &len_bytes);
	memcpy(&type, guest.image + offsetof(Elf64_Ehdr, e_type), sizeof(type));
	if (type != ET_DYN)
		skip();
	rc = guest_elf_open("g.elf", guest.image, len_bytes, GUEST_BITS_64, &guest.elf, &err);
	assert_int_equal(rc, -ENOEXEC);
	assert_text(&err, "position-independent or a shared object (ET_DYN); "
		    "link it at a fixed address (-static -no-pie)");
	guest_free(&guest);
}

static void assert_cuts_refused(const void *image, size_t len_bytes, enum guest_bits bits,
				size_t enough_bytes)
{
	for (size_t len = 0; len <= len_bytes; len++)
		if (is_accepted(image, len, bits) != (len >= enough_bytes))
			fail_msg("%zu of %zu bytes, %zu are enough", len, len_bytes, enough_bytes);
}

static void test_truncated_files_are_refused(void **state)
{
	struct image32 image32 = image32_make();
	struct image64 image64 = image64_make();

	(void)state;
	assert_refused(NULL, 0, GUEST_BITS_64, ENOEXEC, "an empty file");
	assert_refused(&image64, 15, GUEST_BITS_64, ENOEXEC,
		       "truncated: 15 bytes, an ELF header has 64");
	assert_refused(&image64, 63, GUEST_BITS_64, ENOEXEC,
		       "truncated: 63 bytes, an ELF header has 64");
	assert_refused(&image32, 51, GUEST_BITS_32, ENOEXEC,
		       "truncated: 51 bytes, an ELF header has 52");
	assert_cuts_refused(&image32, sizeof(image32), GUEST_BITS_32, sizeof(image32));
	assert_cuts_refused(&image64, sizeof(image64), GUEST_BITS_64, sizeof(image64));

	/* Without section headers, only the segments must be there. */
	image32.ehdr.e_shoff = image32.ehdr.e_shnum = 0;
	image64.ehdr.e_shoff = image64.ehdr.e_shnum = 0;
	assert_cuts_refused(&image32, sizeof(image32), GUEST_BITS_32,
			    offsetof(struct image32, sym));
	assert_cuts_refused(&image64, sizeof(image64), GUEST_BITS_64,
			    offsetof(struct image64, sym));
}

static void damage_each_byte(void *image, size_t len_bytes, enum guest_bits bits, uint8_t xor)
{
	for (size_t i = 0; i < len_bytes; i++) {
		((uint8_t *)image)[i] ^= xor;
		is_accepted(image, len_bytes, bits);
		((uint8_t *)image)[i] ^= xor;
	}
}

static void test_a_damaged_byte_is_harmless(void **state)
{
	struct image32 image32 = image32_make();
	struct image64 image64 = image64_make();

	(void)state;
	for (unsigned int bit = 0; bit <= 8; bit++) {
		uint8_t xor = bit < 8 ? 1u << bit : 0xff;

		damage_each_byte(&image32, sizeof(image32), GUEST_BITS_32, xor);
		damage_each_byte(&image64, sizeof(image64), GUEST_BITS_64, xor);
	}
}

/* What RAM holds at @gpa once the hand-made image is loaded. */
static uint8_t want_byte(uint64_t gpa)
{
	if (gpa >= CODE_GPA && gpa < CODE_GPA + CODE_BYTES)
		return 0x90;
	if (gpa >= DATA_GPA && gpa < DATA_GPA + DATA_BYTES)
		return 0xda;
	return UNTOUCHED;
}

static void assert_loads(const struct guest *guest, uint64_t ram_gpa, size_t ram_bytes)
{
	uint8_t *ram = malloc(ram_bytes);
	struct err err = { "" };

	assert_non_null(ram);
	memset(ram, UNTOUCHED, ram_bytes);
	if (guest_elf_load(guest->elf, ram, ram_gpa, ram_bytes, &err))
		fail_msg("%s", err.text);
	for (size_t i = 0; i < ram_bytes; i++)
		if (ram[i] != want_byte(ram_gpa + i))
			fail_msg("at 0x%zx: want 0x%x, got 0x%x", (size_t)ram_gpa + i,
				 want_byte(ram_gpa + i), ram[i]);
	free(ram);
}

static void test_segments_are_copied_and_their_rest_left_alone(void **state)
{
	struct image32 image32 = image32_make();
	struct image64 image64 = image64_make();
	struct guest guest = guest_open(&image64, sizeof(image64), GUEST_BITS_64);

	(void)state;
	assert_int_equal(guest_elf_entry(guest.elf), CODE_GPA + 4);
	assert_loads(&guest, CODE_GPA - 0x1000, 0x3000);
	/* From the first byte of RAM to the last. */
	assert_loads(&guest, CODE_GPA, DATA_GPA + DATA_MEMSZ - CODE_GPA);
	guest_free(&guest);

	guest = guest_open(&image32, sizeof(image32), GUEST_BITS_32);
	assert_int_equal(guest_elf_entry(guest.elf), CODE_GPA + 4);
	assert_loads(&guest, CODE_GPA - 0x1000, 0x3000);
	guest_free(&guest);
}

static void assert_load_refused(const struct guest *guest, uint64_t ram_gpa, size_t ram_bytes,
				const char *want_text)
{
	uint8_t *ram = malloc(ram_bytes + 1);
	struct err err = { "" };

	assert_non_null(ram);
	memset(ram, UNTOUCHED, ram_bytes);
	assert_int_equal(guest_elf_load(guest->elf, ram, ram_gpa, ram_bytes, &err), -ERANGE);
	assert_text(&err, want_text);
	for (size_t i = 0; i < ram_bytes; i++)
		assert_int_equal(ram[i], UNTOUCHED);
	free(ram);
}

static void test_nothing_is_written_unless_all_fits(void **state)
{
	struct image64 image = image64_make();
	struct guest guest = guest_open(&image, sizeof(image), GUEST_BITS_64);
	struct err err = { "" };

	(void)state;
	assert_load_refused(&guest, 0x100000, 0x101f, "segment 2 [0x101000, 0x101020) "
			    "lies outside RAM [0x100000, 0x10101f)");
	assert_load_refused(&guest, 0x100001, 0x2000, "segment 1 [0x100000, 0x101000) "
			    "lies outside RAM [0x100001, 0x102001)");
	assert_load_refused(&guest, 0, 0x80000, "segment 1 [0x100000, 0x101000) "
			    "lies outside RAM [0x0, 0x80000)");
	assert_load_refused(&guest, 0x100000, 0, "segment 1 [0x100000, 0x101000) "
			    "lies outside RAM [0x100000, 0x100000)");
	assert_int_equal(guest_elf_load(guest.elf, NULL, UINT64_MAX, 2, &err), -EINVAL);
	assert_text(&err, "RAM at 0xffffffffffffffff of 0x2 bytes wraps around");
	guest_free(&guest);
}

/* As linkers write them: without bytes, p_offset means nothing; an empty segment is nowhere. */
static void test_segments_without_bytes(void **state)
{
	struct image64 image = image64_make();
	uint8_t ram[0x1020];
	struct guest guest;

	(void)state;
	image.phdr[0] = image.phdr[1];
	image.phdr[0].p_paddr += 8;
	image.phdr[0].p_filesz = image.phdr[0].p_memsz = 0;
	image.phdr[2].p_offset = UINT64_MAX;
	image.phdr[2].p_filesz = 0;
	guest = guest_open(&image, sizeof(image), GUEST_BITS_64);
	memset(ram, UNTOUCHED, sizeof(ram));
	assert_int_equal(guest_elf_load(guest.elf, ram, CODE_GPA, sizeof(ram), NULL), 0);
	assert_int_equal(ram[CODE_BYTES - 1], 0x90);
	for (size_t i = CODE_BYTES; i < sizeof(ram); i++)
		assert_int_equal(ram[i], UNTOUCHED);
	guest_free(&guest);
}

static void assert_symbol(const struct guest *guest, const char *symbol, uint64_t want)
{
	struct err err = { "" };
	uint64_t value = 0;

	if (guest_elf_symbol(guest->elf, symbol, &value, &err))
		fail_msg("%s", err.text);
	assert_int_equal(value, want);
}

static void assert_no_symbol(const struct guest *guest, const char *symbol, const char *want_text)
{
	uint64_t value = 0x1234;
	struct err err = { "" };

	assert_int_equal(guest_elf_symbol(guest->elf, symbol, &value, &err), -ENOENT);
	assert_text(&err, want_text);
	assert_int_equal(value, 0x1234);
}

static void test_symbols_are_found(void **state)
{
	struct image64 image = image64_make();
	struct guest guest = guest_open(&image, sizeof(image), GUEST_BITS_64);

	(void)state;
	assert_symbol(&guest, "label", CODE_GPA + 0x20);
	assert_symbol(&guest, "LIMIT", CODE_GPA + 0x18);
	/* A local of the same name stands before the global, and one behind. */
	assert_symbol(&guest, "guest_main", CODE_GPA + 4);
	assert_no_symbol(&guest, "missing", "undefined symbol \"missing\"");
	assert_no_symbol(&guest, "guest", "no symbol \"guest\"");
	assert_no_symbol(&guest, "start.S", "no symbol \"start.S\"");
	assert_no_symbol(&guest, "", "no symbol \"\"");
	guest_free(&guest);
}

static void assert_line(const struct guest *guest, uint64_t address, const char *want)
{
	char line[64] = "";

	assert_int_equal(guest_elf_line(guest->elf, address, line, sizeof(line)), 0);
	assert_string_equal(line, want);
}

static void assert_no_line(const struct guest *guest, uint64_t address)
{
	char line[] = "as it was";

	assert_int_equal(guest_elf_line(guest->elf, address, line, sizeof(line)), -ENOENT);
	assert_string_equal(line, "as it was");
}

static void test_stripped_file_has_no_symbols(void **state)
{
	struct image64 image = image64_make();
	struct guest guest;

	(void)state;
	image.shdr[SECTION_SYMBOLS].sh_type = SHT_PROGBITS;
	guest = guest_open(&image, sizeof(image), GUEST_BITS_64);
	assert_no_symbol(&guest, "label", "no symbol table, thus no symbol \"label\"");
	assert_no_line(&guest, CODE_GPA + 4);
	guest_free(&guest);
}

static void test_line_without_debug_information(void **state)
{
	struct image64 image = image64_make();
	struct guest guest;
	char line[4] = "";

	(void)state;
	image.names[NAME_LABEL + 1] = '\n';
	guest = guest_open(&image, sizeof(image), GUEST_BITS_64);
	assert_line(&guest, CODE_GPA + 4, "guest_main");
	/* LIMIT is nearer, but a constant. */
	assert_line(&guest, CODE_GPA + 0x1c, "guest_main+0x18");
	assert_line(&guest, CODE_GPA + 0x21, "l?bel+0x1");
	assert_no_line(&guest, CODE_GPA + 3);
	assert_no_line(&guest, CODE_GPA - 1);
	assert_no_line(&guest, DATA_GPA);
	assert_no_line(&guest, UINT64_MAX);
	assert_int_equal(guest_elf_line(guest.elf, CODE_GPA + 4, line, 0), -EINVAL);
	assert_int_equal(guest_elf_line(guest.elf, CODE_GPA + 4, line, sizeof(line)), 0);
	assert_string_equal(line, "gue");
	guest_free(&guest);
}

static void test_line_of_a_linked_guest(void **state)
{
	const char *path = getenv("VMASSAY_TEST_GUEST_ELF");
	enum guest_bits bits;
	struct guest guest;
	char line[256] = "";
	size_t len_bytes;
	uint64_t address = 0;
	int number, end = 0, rc;
	struct err err = { "" };

	(void)state;
	if (!path)
		skip();
	guest = guest_seal_file(path, &len_bytes);
	bits = guest.image[EI_CLASS] == ELFCLASS64 ? GUEST_BITS_64 : GUEST_BITS_32;
	rc = guest_elf_open("g.elf", guest.image, len_bytes, bits, &guest.elf, &err);
	if (!rc)
		rc = guest_elf_symbol(guest.elf, "guest_main", &address, &err);
	if (rc)
		fail_msg("%s", err.text);
	assert_int_equal(guest_elf_line(guest.elf, address, line, sizeof(line)), 0);
	assert_int_equal(sscanf(line, "%*[^:]:%d (guest_main)%n", &number, &end), 1);
	assert_int_equal(end, strlen(line));
	assert_true(number > 0);
	assert_false(line[0] == '/' && (strstr(line, "/cases/") || strstr(line, "/guests/")));
	/* Wherever the guest may be, asking does not hurt. */
	for (size_t i = 0; i < 4096; i++)
		guest_elf_line(guest.elf, guest_elf_entry(guest.elf) + i, line, sizeof(line));
	guest_free(&guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_malformed_files_are_refused_by_name),
		cmocka_unit_test(test_class_and_machine_follow_the_mode),
		cmocka_unit_test(test_segments_may_touch),
		cmocka_unit_test(test_own_pie_is_refused),
		cmocka_unit_test(test_truncated_files_are_refused),
		cmocka_unit_test(test_a_damaged_byte_is_harmless),
		cmocka_unit_test(test_segments_are_copied_and_their_rest_left_alone),
		cmocka_unit_test(test_nothing_is_written_unless_all_fits),
		cmocka_unit_test(test_segments_without_bytes),
		cmocka_unit_test(test_symbols_are_found),
		cmocka_unit_test(test_stripped_file_has_no_symbols),
		cmocka_unit_test(test_line_without_debug_information),
		cmocka_unit_test(test_line_of_a_linked_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
