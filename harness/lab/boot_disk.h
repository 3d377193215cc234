/* SPDX-License-Identifier: MIT */
/*
 * A hard disk whose boot sector starts a Linux kernel: for an emulator that cannot load one itself.
 *
 * The boot sector copies pieces of the disk into memory as a table in the second sector says, and
 * enters the kernel by the 64-bit or the 32-bit boot protocol (Documentation/x86/boot.rst). What a
 * boot loader works out on the running machine is in the pieces already: the machine is known.
 */
#ifndef VMASSAY_LAB_BOOT_DISK_H
#define VMASSAY_LAB_BOOT_DISK_H

#include <stdint.h>

struct err;

enum { BOOT_DISK_SECTOR_BYTES = 512 };

/* The second sector: what the boot sector is to do. All addresses are physical. */
struct boot_disk_table {
	uint32_t entry;		/* the kernel's */
	uint32_t page_tables;	/* long mode is entered with these; 0: it is not */
	uint32_t boot_params;	/* what the kernel finds in RSI */
	struct boot_disk_piece {
		uint32_t sector;
		uint32_t nr_sectors;	/* 0 ends the table */
		uint32_t address;
	} pieces[41];
};

struct boot_disk_plan {
	const char *kernel;	/* a bzImage or a 64-bit ELF vmlinux */
	int initramfs_fd;
	const char *command_line;
	unsigned int memory_mib;	/* of the machine; at most 2048 are seen by the kernel */
};

/* Writes it into a memfd, close-on-exec. @ret_fd is untouched on failure. */
int boot_disk_create(int *ret_fd, const struct boot_disk_plan *plan, struct err *err);

#endif
