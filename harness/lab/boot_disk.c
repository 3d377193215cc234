/* SPDX-License-Identifier: MIT */
#include "lab/boot_disk.h"

#include <asm/bootparam.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"

#define MIB (UINT64_C(1) << 20)

/* Where the pieces beside kernel and initramfs go: memory in which no BIOS keeps anything. */
enum {
	ADDRESS_BOOT_PARAMS = 0x10000,
	ADDRESS_COMMAND_LINE = 0x11000,
	ADDRESS_PAGE_TABLES = 0x20000,
};

enum {
	LOADER_OTHER = 0xff,
	HEADER_START = 0x1f1,	/* of struct setup_header, in a bzImage and in struct boot_params */
	NR_GIB = 4,		/* mapped for the 64-bit entry */
};

/* The BIOS keeps its ACPI tables in the last 64 KiB. */
static const uint64_t acpi_bytes = 64 << 10;

/* The kernel's own limit for an initramfs, XLF_CAN_BE_LOADED_ABOVE_4G or not. */
static const uint64_t memory_max = 2048 * MIB;

extern const unsigned char boot_sector[BOOT_DISK_SECTOR_BYTES];

struct disk {
	const struct boot_disk_plan *plan;
	int fd;
	const unsigned char *image;	/* the kernel's file */
	size_t image_bytes;
	struct boot_params params;
	struct boot_disk_table table;
	unsigned int nr_pieces;
	uint32_t next_sector;
};

static uint64_t memory_bytes(const struct boot_disk_plan *plan)
{
	uint64_t bytes = plan->memory_mib * MIB;

	return bytes < memory_max ? bytes : memory_max;
}

static int write_at(int fd, const void *bytes, size_t len_bytes, off_t offset)
{
	const char *next = bytes;

	while (len_bytes) {
		ssize_t written = pwrite(fd, next, len_bytes, offset);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -errno;
		next += written;
		offset += written;
		len_bytes -= written;
	}
	return 0;
}

/* Adds @bytes to the disk, to be found at @address. The rest of the last sector is zero. */
static int add_piece(struct disk *disk, const void *bytes, size_t len_bytes, uint64_t address)
{
	uint32_t nr_sectors = (len_bytes + BOOT_DISK_SECTOR_BYTES - 1) / BOOT_DISK_SECTOR_BYTES;
	uint64_t end = address + (uint64_t)nr_sectors * BOOT_DISK_SECTOR_BYTES;
	size_t max = sizeof(disk->table.pieces) / sizeof(*disk->table.pieces) - 1;

	if (!nr_sectors)
		return 0;
	if (disk->nr_pieces == max || end > memory_bytes(disk->plan) - acpi_bytes)
		return -E2BIG;
	disk->table.pieces[disk->nr_pieces++] = (struct boot_disk_piece){
		.sector = disk->next_sector,
		.nr_sectors = nr_sectors,
		.address = address,
	};
	disk->next_sector += nr_sectors;
	return write_at(disk->fd, bytes, len_bytes,
			(off_t)(disk->next_sector - nr_sectors) * BOOT_DISK_SECTOR_BYTES);
}

/* The first 4 GiB at their own addresses, in pages of 2 MiB. */
static int add_page_tables(struct disk *disk)
{
	enum { ENTRIES = 512, PRESENT_WRITABLE = 0x3, PAGE_2M = 0x83 };
	static uint64_t tables[2 + NR_GIB][ENTRIES];

	tables[0][0] = (ADDRESS_PAGE_TABLES + sizeof(tables[0])) | PRESENT_WRITABLE;
	for (uint64_t i = 0; i < NR_GIB; i++)
		tables[1][i] = (ADDRESS_PAGE_TABLES + (2 + i) * sizeof(tables[0])) | PRESENT_WRITABLE;
	for (uint64_t i = 0; i < NR_GIB * ENTRIES; i++)
		tables[2 + i / ENTRIES][i % ENTRIES] = i * 2 * MIB | PAGE_2M;
	disk->table.page_tables = ADDRESS_PAGE_TABLES;
	return add_piece(disk, tables, sizeof(tables), ADDRESS_PAGE_TABLES);
}

static bool is_elf64(const struct disk *disk)
{
	return disk->image_bytes >= sizeof(Elf64_Ehdr) &&
	       !memcmp(disk->image, ELFMAG, SELFMAG) && disk->image[EI_CLASS] == ELFCLASS64;
}

static int add_elf_kernel(struct disk *disk)
{
	const Elf64_Ehdr *header = (const void *)disk->image;
	const Elf64_Phdr *segments = (const void *)(disk->image + header->e_phoff);
	int status = 0;

	if (header->e_phoff > disk->image_bytes ||
	    header->e_phnum > (disk->image_bytes - header->e_phoff) / sizeof(*segments))
		return -ENOEXEC;
	for (int i = 0; !status && i < header->e_phnum; i++) {
		const Elf64_Phdr *segment = &segments[i];

		if (segment->p_type != PT_LOAD)
			continue;
		if (segment->p_offset > disk->image_bytes ||
		    segment->p_filesz > disk->image_bytes - segment->p_offset)
			return -ENOEXEC;
		status = add_piece(disk, disk->image + segment->p_offset, segment->p_filesz,
				   segment->p_paddr);
	}
	disk->table.entry = header->e_entry;
	disk->params.hdr = (struct setup_header){
		.boot_flag = 0xaa55,
		.header = 0x53726448,	/* "HdrS" */
		.version = 0x020f,
		.kernel_alignment = 2 * MIB,
	};
	return status ? status : add_page_tables(disk);
}

/* As it is; it unpacks itself. */
static int add_bzimage(struct disk *disk)
{
	const struct setup_header *header = (const void *)(disk->image + HEADER_START);
	size_t setup_bytes;

	if (disk->image_bytes < HEADER_START + sizeof(*header) || header->header != 0x53726448 ||
	    header->version < 0x020a)
		return -ENOEXEC;
	setup_bytes = ((header->setup_sects ? header->setup_sects : 4) + 1) *
		      BOOT_DISK_SECTOR_BYTES;
	if (setup_bytes >= disk->image_bytes)
		return -ENOEXEC;
	disk->params.hdr = *header;
	disk->table.entry = header->pref_address;
	return add_piece(disk, disk->image + setup_bytes, disk->image_bytes - setup_bytes,
			 disk->table.entry);
}

/* At the end of memory, where neither an unpacking kernel nor its first tables come. */
static int add_initramfs(struct disk *disk)
{
	struct stat stat;
	uint64_t top = memory_bytes(disk->plan) - MIB;
	uint64_t address;
	void *bytes;
	int status;

	if (fstat(disk->plan->initramfs_fd, &stat))
		return -errno;
	if ((uint64_t)stat.st_size > top / 2)
		return -E2BIG;
	address = (top - stat.st_size) & ~(MIB - 1);
	bytes = mmap(NULL, stat.st_size, PROT_READ, MAP_PRIVATE, disk->plan->initramfs_fd, 0);
	if (bytes == MAP_FAILED)
		return -errno;
	disk->params.hdr.ramdisk_image = address;
	disk->params.hdr.ramdisk_size = stat.st_size;
	status = add_piece(disk, bytes, stat.st_size, address);
	munmap(bytes, stat.st_size);
	return status;
}

static int add_params(struct disk *disk)
{
	struct boot_params *params = &disk->params;
	size_t len = strlen(disk->plan->command_line);
	int status = add_piece(disk, disk->plan->command_line, len + 1, ADDRESS_COMMAND_LINE);

	params->hdr.type_of_loader = LOADER_OTHER;
	params->hdr.loadflags |= LOADED_HIGH;
	params->hdr.cmd_line_ptr = ADDRESS_COMMAND_LINE;
	params->hdr.cmdline_size = len;
	params->e820_table[0] = (struct boot_e820_entry){ .size = 0x9f000, .type = 1 };
	params->e820_table[1] = (struct boot_e820_entry){
		.addr = MIB,
		.size = memory_bytes(disk->plan) - MIB - acpi_bytes,
		.type = 1,
	};
	params->e820_entries = 2;
	disk->table.boot_params = ADDRESS_BOOT_PARAMS;
	return status ? status : add_piece(disk, params, sizeof(*params), ADDRESS_BOOT_PARAMS);
}

/* Cylinders of 16 heads of 63 sectors: an odd size is none an emulator believes. */
static int finish(struct disk *disk)
{
	enum { CYLINDER_SECTORS = 16 * 63 };
	uint32_t nr_cylinders = disk->next_sector / CYLINDER_SECTORS + 1;
	int status = write_at(disk->fd, boot_sector, sizeof(boot_sector), 0);

	if (!status)
		status = write_at(disk->fd, &disk->table, sizeof(disk->table), sizeof(boot_sector));
	if (!status && ftruncate(disk->fd, (off_t)nr_cylinders * CYLINDER_SECTORS *
				 BOOT_DISK_SECTOR_BYTES))
		status = -errno;
	return status;
}

static int fill(struct disk *disk)
{
	int status = is_elf64(disk) ? add_elf_kernel(disk) : add_bzimage(disk);

	if (!status)
		status = add_initramfs(disk);
	if (!status)
		status = add_params(disk);
	return status ? status : finish(disk);
}

static int map_kernel(struct disk *disk)
{
	int fd = open(disk->plan->kernel, O_RDONLY | O_CLOEXEC);
	int error = errno;
	struct stat stat;
	void *bytes;

	if (fd < 0)
		return -error;
	if (fstat(fd, &stat)) {
		error = errno;
		close(fd);
		return -error;
	}
	bytes = mmap(NULL, stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	error = errno;
	close(fd);
	if (bytes == MAP_FAILED)
		return -error;
	disk->image = bytes;
	disk->image_bytes = stat.st_size;
	return 0;
}

int boot_disk_create(int *ret_fd, const struct boot_disk_plan *plan, struct err *err)
{
	struct disk *disk = calloc(1, sizeof(*disk));
	int status;

	_Static_assert(sizeof(struct boot_disk_table) <= BOOT_DISK_SECTOR_BYTES, "one sector");
	if (!disk)
		return err_set(err, ENOMEM, "out of memory");
	disk->plan = plan;
	disk->next_sector = 2;
	disk->fd = memfd_create("boot-disk", MFD_CLOEXEC);
	status = disk->fd < 0 ? -errno : map_kernel(disk);
	if (!status)
		status = fill(disk);
	if (disk->image)
		munmap((void *)disk->image, disk->image_bytes);
	if (!status)
		*ret_fd = disk->fd;
	else if (disk->fd >= 0)
		close(disk->fd);
	free(disk);
	if (status == -ENOEXEC)
		return err_set(err, ENOEXEC, "%s: not a bzImage or 64-bit ELF kernel",
			       plan->kernel);
	if (status == -E2BIG)
		return err_set(err, E2BIG, "kernel and initramfs do not fit into %u MiB; "
			       "give --mem", plan->memory_mib);
	if (status)
		return err_set(err, -status, "cannot make a boot disk of %s: %s", plan->kernel,
			       strerror(-status));
	return 0;
}
