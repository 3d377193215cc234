/* SPDX-License-Identifier: MIT */
/*
 * libdwfl knows the bzImage header and the kernel's compression formats: it opens a bzImage as the
 * ELF file it holds.
 */
#include "lab/unpack.h"

#include <elfutils/libdwfl.h>
#include <errno.h>
#include <gelf.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* XEN_ELFNOTE_PHYS32_ENTRY, Xen's public/elfnote.h: where a PVH loader enters the kernel. */
enum { NOTE_PHYS32_ENTRY = 18 };

static bool has_pvh_note(Elf *elf, const GElf_Phdr *segment)
{
	Elf_Data *notes = elf_getdata_rawchunk(elf, segment->p_offset, segment->p_filesz,
					       ELF_T_NHDR);
	size_t offset = 0;
	size_t name;
	size_t description;
	GElf_Nhdr note;

	while (notes && (offset = gelf_getnote(notes, offset, &note, &name, &description))) {
		if (note.n_type == NOTE_PHYS32_ENTRY && note.n_namesz == sizeof("Xen") &&
		    !memcmp((const char *)notes->d_buf + name, "Xen", sizeof("Xen")))
			return true;
	}
	return false;
}

static bool has_pvh_entry(Elf *elf)
{
	GElf_Phdr segment;
	size_t nr;

	if (elf_getphdrnum(elf, &nr))
		return false;
	for (size_t i = 0; i < nr; i++) {
		if (gelf_getphdr(elf, i, &segment) && segment.p_type == PT_NOTE &&
		    has_pvh_note(elf, &segment))
			return true;
	}
	return false;
}

static int copy_to_memfd(const char *bytes, size_t len_bytes)
{
	int fd = memfd_create("vmlinux", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	while (len_bytes) {
		ssize_t written = write(fd, bytes, len_bytes);
		int error = errno;

		if (written < 0 && error == EINTR)
			continue;
		if (written < 0) {
			close(fd);
			return -error;
		}
		bytes += written;
		len_bytes -= written;
	}
	return fd;
}

int unpack_kernel(const char *image, bool needs_pvh)
{
	static const Dwfl_Callbacks callbacks = {
		.find_elf = dwfl_build_id_find_elf,
		.find_debuginfo = dwfl_standard_find_debuginfo,
		.section_address = dwfl_offline_section_address,
	};
	Dwfl *dwfl = dwfl_begin(&callbacks);
	Dwfl_Module *module = dwfl ? dwfl_report_offline(dwfl, "kernel", image, -1) : NULL;
	int fd = -ENOEXEC;
	const char *bytes;
	GElf_Addr bias;
	size_t len;
	Elf *elf;

	elf = module ? dwfl_module_getelf(module, &bias) : NULL;
	if (elf && (!needs_pvh || has_pvh_entry(elf))) {
		bytes = elf_rawfile(elf, &len);
		if (bytes)
			fd = copy_to_memfd(bytes, len);
	}
	dwfl_end(dwfl);
	return fd;
}
