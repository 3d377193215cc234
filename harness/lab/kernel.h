/* SPDX-License-Identifier: MIT */
/*
 * The kernel a lab boots: an image and, unless everything is built in, the folder with its modules.
 */
#ifndef VMASSAY_LAB_KERNEL_H
#define VMASSAY_LAB_KERNEL_H

#include <stddef.h>

struct err;

struct kernel {
	char *image;	/* bzImage, or an ELF vmlinux with a PVH entry */
	char *version;	/* "6.1.0-56-amd64"; NULL when neither the image nor its name tells */
	char *modules;	/* lib/modules/VERSION folder; NULL: none, all is built in */
};

/*
 * Finds what to boot. @image or @modules NULL: found by the other one, or, both NULL, the newest
 * kernel in /boot that has modules. Modules that belong to another kernel than @image are refused.
 * @ret is untouched on failure.
 */
int kernel_find(struct kernel *ret, const char *image, const char *modules, struct err *err);

/* The same, with other folders in place of /boot and /lib/modules. */
int kernel_find_in(struct kernel *ret, const char *boot, const char *lib_modules,
		   const char *image, const char *modules, struct err *err);

/* Accepts a struct that is all zero. */
void kernel_free(struct kernel *kernel);

/* Negative, zero or positive as version @a is older than, equal to or newer than @b. */
int kernel_compare_versions(const char *a, const char *b);

/*
 * Copies the first word of a bzImage's version string. Returns 0 without a string, too, @version
 * being empty then (an ELF image has none), or -errno: unreadable, or no kernel.
 */
int kernel_read_version(const char *image, char *version, size_t size_bytes, struct err *err);

#endif
