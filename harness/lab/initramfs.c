/* SPDX-License-Identifier: MIT */
#include "lab/initramfs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "err.h"
#include "lab/archive.h"
#include "lab/closure.h"
#include "lab/contract.h"
#include "lab/strlist.h"

/* Mount points; the console is there before any of them, for the kernel opens it for /init. */
static int add_skeleton(struct archive *archive, struct err *err)
{
	static const char *const folders[] = { "/proc", "/sys", "/tmp", "/root" };
	int status = archive_add_char_device(archive, "/dev/console", 0600, 5, 1, err);

	for (size_t i = 0; !status && i < sizeof(folders) / sizeof(*folders); i++)
		status = archive_add_dir(archive, folders[i], err);
	return status;
}

/*
 * /init is a link: at its own path the program finds what stands beside it. Note, the kernel
 * follows it before /proc is there.
 */
static int add_program(struct archive *archive, const struct closure *closure, struct err *err)
{
	int status = closure_pack(closure, archive, err);

	return status ? status : archive_add_symlink(archive, "/init", closure->program, err);
}

static int add_modules(struct archive *archive, const struct strlist *modules, struct err *err)
{
	struct strlist names = { 0 };
	int status = 0;

	for (size_t i = 0; !status && i < modules->nr; i++) {
		const char *path = modules->strings[i];
		const char *slash = strrchr(path, '/');

		if (strlist_addf(&names, LAB_MODULE_DIR "/%s", slash ? slash + 1 : path))
			status = err_set(err, ENOMEM, "out of memory");
		else
			status = archive_add_file(archive, names.strings[i], path, err);
	}
	strlist_free(&names);
	return status;
}

static int add_module_lines(struct archive *archive, const struct strlist *lines,
			    struct err *err)
{
	char *text = strlist_join(lines, "\n");
	int status;

	if (!text)
		return err_set(err, ENOMEM, "out of memory");
	status = archive_add_bytes(archive, LAB_MODULES, 0644, text, strlen(text), err);
	free(text);
	return status;
}

int initramfs_create(int *ret_fd, const struct closure *closure, const struct strlist *modules,
		     const struct strlist *module_lines, const char *const *files, struct err *err)
{
	int fd = memfd_create("initramfs", MFD_CLOEXEC);
	struct archive *archive;
	int error = errno;
	int status;

	if (fd < 0)
		return err_set(err, error, "cannot make a memfd: %s", strerror(error));
	status = archive_open(&archive, ARCHIVE_CPIO, fd, NULL, err);
	if (status)
		goto err_close;
	status = add_skeleton(archive, err);
	if (!status)
		status = add_program(archive, closure, err);
	if (!status)
		status = add_modules(archive, modules, err);
	if (!status)
		status = add_module_lines(archive, module_lines, err);
	for (; !status && files && *files; files++)
		status = archive_add_file(archive, *files, *files, err);
	if (!status)
		status = archive_finish(archive, err);
	archive_free(archive);
	if (status)
		goto err_close;
	*ret_fd = fd;
	return 0;

err_close:
	close(fd);
	return status;
}
