/* SPDX-License-Identifier: MIT */
/*
 * A guest payload: an ELF executable, loaded by its program headers, entered by symbol, mapped back to source lines.
 *
 * The image stays in the caller's memory (it is usually linked into the program) and must outlive the object.
 * Every function refuses a malformed file with -errno and one line that names the file and what is wrong with
 * it: truncated, not ELF, wrong class, byte order or machine, not an executable, no loadable segment, a segment
 * outside the file, segments that overlap in memory or lie outside RAM, a missing symbol.
 */
#ifndef VMASSAY_GUEST_ELF_H
#define VMASSAY_GUEST_ELF_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct guest_elf;

/* The word size the vCPU's mode can run: 32 also stands for 16-bit code (EM_386). */
enum guest_bits {
	GUEST_BITS_32 = 32,
	GUEST_BITS_64 = 64,
};

/* Checks @image once, whole; *@ret_elf is untouched on failure. @name is copied and used in messages. */
int guest_elf_open(const char *name, const void *image, size_t len_bytes, enum guest_bits bits,
		   struct guest_elf **ret_elf, struct err *err);

/*
 * Copies what every PT_LOAD segment has in the file to its physical address in RAM (guest-physical
 * [@ram_gpa, @ram_gpa + @ram_bytes), mapped at @ram). Nothing is written unless all segments fit.
 *
 * Note, RAM must hold zeroes, as new memory does: the rest of a segment (p_memsz beyond p_filesz) is not touched. Most
 * of a guest's .bss is stacks and tables that it never uses, and each page of them would cost a page fault.
 */
int guest_elf_load(const struct guest_elf *elf, void *ram, uint64_t ram_gpa, uint64_t ram_bytes,
		   struct err *err);

uint64_t guest_elf_entry(const struct guest_elf *elf);

/* The value of a defined global or local symbol. -ENOENT names the symbol and the file. */
int guest_elf_symbol(const struct guest_elf *elf, const char *symbol, uint64_t *ret_value, struct err *err);

/*
 * Writes "file.c:line (function)" for the code at @address; -ENOENT when the debug information does not know it.
 * The function's part is left out when only the line is known, "symbol+0x12" is written when only the symbol is.
 */
int guest_elf_line(const struct guest_elf *elf, uint64_t address, char *buf, size_t len_bytes);

/* Accepts NULL. */
void guest_elf_close(struct guest_elf *elf);

#endif
