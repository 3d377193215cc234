/* SPDX-License-Identifier: MIT */
#include "lab/kernel.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"

/* Offsets in a bzImage; see the kernel's Documentation/x86/boot.rst, "The Real-Mode Header". */
enum {
	BZIMAGE_MAGIC = 0x202,			/* "HdrS" */
	BZIMAGE_KERNEL_VERSION = 0x20e,		/* u16, counted from 0x200 */
};

static const char image_prefix[] = "vmlinuz-";
static const char elf_prefix[] = "vmlinux-";

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool is_readable(const char *path)
{
	return !access(path, R_OK);
}

int kernel_compare_versions(const char *a, const char *b)
{
	return strverscmp(a, b);
}

/* The version string's place is 16 bits wide: it and the string are in the first 68 KiB. */
static int parse_version(const unsigned char *head, size_t len, char *version, size_t size_bytes)
{
	uint16_t offset;
	size_t start;
	size_t word;

	version[0] = '\0';
	if (len > 4 && !memcmp(head, "\177ELF", 4))
		return 0;
	if (len < BZIMAGE_KERNEL_VERSION + 2 || memcmp(head + BZIMAGE_MAGIC, "HdrS", 4))
		return -ENOEXEC;
	memcpy(&offset, head + BZIMAGE_KERNEL_VERSION, sizeof(offset));
	start = le16toh(offset) + 0x200u;
	if (!offset || start >= len)
		return 0;
	word = strcspn((const char *)head + start, " ");
	if (word < size_bytes) {
		memcpy(version, head + start, word);
		version[word] = '\0';
	}
	return 0;
}

int kernel_read_version(const char *image, char *version, size_t size_bytes, struct err *err)
{
	static const size_t head_max = 0x200 + UINT16_MAX + 256;
	unsigned char *head = calloc(1, head_max + 1);
	FILE *file = head ? fopen(image, "re") : NULL;
	int error = errno;
	size_t len;

	if (!file) {
		free(head);
		return err_set(err, error, "cannot read the kernel %s: %s", image,
			       strerror(error));
	}
	len = fread(head, 1, head_max, file);
	error = ferror(file) ? errno : 0;
	fclose(file);
	if (!error)
		error = -parse_version(head, len, version, size_bytes);
	free(head);
	if (error)
		return err_set(err, error, "%s: %s", image,
			       error == ENOEXEC ? "not a bzImage or ELF kernel" : strerror(error));
	return 0;
}

/* The version that belongs to @image: the one it holds, otherwise the one in its name, or "". */
static int image_version(const char *image, char *version, size_t size_bytes, struct err *err)
{
	const char *name = base_name(image);
	int status = kernel_read_version(image, version, size_bytes, err);

	if (status || *version)
		return status;
	if (!strncmp(name, image_prefix, strlen(image_prefix)) ||
	    !strncmp(name, elf_prefix, strlen(elf_prefix)))
		snprintf(version, size_bytes, "%s", name + strlen(image_prefix));
	return 0;
}

/* True when folder @lib_modules has modules for @version; @modules is then their folder. */
static bool has_modules(const char *lib_modules, const char *version, char modules[PATH_MAX])
{
	char dep[PATH_MAX];
	int len = snprintf(dep, sizeof(dep), "%s/%s/modules.dep", lib_modules, version);

	if (!*version || len >= (int)sizeof(dep) || !is_readable(dep))
		return false;
	snprintf(modules, PATH_MAX, "%s/%s", lib_modules, version);
	return true;
}

/* Modules beside @image (an unpacked package, a DESTDIR) go before those that are installed. */
static void find_modules(const char *image, const char *version, const char *lib_modules,
			 char modules[PATH_MAX])
{
	char beside[PATH_MAX];
	int folder_len = base_name(image) - image;
	int len = snprintf(beside, sizeof(beside), "%.*s%s../lib/modules", folder_len, image,
			   folder_len ? "" : "./");

	if (len < (int)sizeof(beside) && has_modules(beside, version, modules))
		return;
	if (!has_modules(lib_modules, version, modules))
		modules[0] = '\0';
}

/* The newest image in @boot that has modules; -ENOENT when there is none. */
static int find_newest(const char *boot, const char *lib_modules, char image[PATH_MAX])
{
	char newest[NAME_MAX + 1] = "";
	char modules[PATH_MAX];
	struct dirent *entry;
	DIR *dir = opendir(boot);

	if (!dir)
		return -ENOENT;
	while ((entry = readdir(dir))) {
		const char *version = entry->d_name + strlen(image_prefix);

		if (strncmp(entry->d_name, image_prefix, strlen(image_prefix)) ||
		    !has_modules(lib_modules, version, modules))
			continue;
		if (!*newest || kernel_compare_versions(version, newest) > 0)
			snprintf(newest, sizeof(newest), "%s", version);
	}
	closedir(dir);
	if (!*newest)
		return -ENOENT;
	if (snprintf(image, PATH_MAX, "%s/%s%s", boot, image_prefix, newest) >= PATH_MAX)
		return -ENAMETOOLONG;
	return 0;
}

/* @modules without its trailing slashes: the last component is a version. */
static void trim_folder(char trimmed[PATH_MAX], const char *modules)
{
	size_t len;

	snprintf(trimmed, PATH_MAX, "%s", modules);
	for (len = strlen(trimmed); len > 1 && trimmed[len - 1] == '/'; len--)
		trimmed[len - 1] = '\0';
}

/* The image that belongs to a modules folder: installed under @boot, or in the folder itself. */
static int find_image(const char *boot, const char *modules, char image[PATH_MAX])
{
	int len = snprintf(image, PATH_MAX, "%s/%s%s", boot, image_prefix, base_name(modules));

	if (len < PATH_MAX && !access(image, F_OK))
		return 0;
	len = snprintf(image, PATH_MAX, "%s/vmlinuz", modules);
	return len < PATH_MAX && !access(image, F_OK) ? 0 : -ENOENT;
}

static int set_kernel(struct kernel *ret, const char *image, const char *version,
		      const char *modules, struct err *err)
{
	struct kernel kernel = {
		.image = strdup(image),
		.version = *version ? strdup(version) : NULL,
		.modules = *modules ? strdup(modules) : NULL,
	};

	if (!kernel.image || !!kernel.version != !!*version || !!kernel.modules != !!*modules) {
		kernel_free(&kernel);
		return err_set(err, ENOMEM, "out of memory");
	}
	*ret = kernel;
	return 0;
}

int kernel_find_in(struct kernel *ret, const char *boot, const char *lib_modules,
		   const char *image, const char *modules, struct err *err)
{
	char found_modules[PATH_MAX] = "";
	char found_image[PATH_MAX];
	char version[256];
	int status;

	if (modules)
		trim_folder(found_modules, modules);
	if (image)
		snprintf(found_image, sizeof(found_image), "%s", image);
	else if (modules && find_image(boot, found_modules, found_image))
		return err_set(err, ENOENT, "no kernel found for %s; give --kernel", found_modules);
	else if (!modules && find_newest(boot, lib_modules, found_image))
		return err_set(err, ENOENT,
			       "no kernel found under %s (Debian package linux-image-amd64), "
			       "or give --kernel", boot);
	status = image_version(found_image, version, sizeof(version), err);
	if (status)
		return status;
	if (!image && !modules)
		has_modules(lib_modules, base_name(found_image) + strlen(image_prefix),
			    found_modules);
	else if (!modules)
		find_modules(found_image, version, lib_modules, found_modules);
	else if (*version && strcmp(version, base_name(found_modules)))
		return err_set(err, EINVAL, "modules folder %s does not belong to kernel %s",
			       found_modules, version);
	return set_kernel(ret, found_image, version, found_modules, err);
}

int kernel_find(struct kernel *ret, const char *image, const char *modules, struct err *err)
{
	return kernel_find_in(ret, "/boot", "/lib/modules", image, modules, err);
}

void kernel_free(struct kernel *kernel)
{
	free(kernel->image);
	free(kernel->version);
	free(kernel->modules);
	*kernel = (struct kernel){ 0 };
}
