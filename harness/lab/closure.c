/* SPDX-License-Identifier: MIT */
#include "lab/closure.h"

#include <errno.h>
#include <limits.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "lab/archive.h"

static const char running_image[] = "/proc/self/exe";

/* The interpreter's path lies in the loaded program itself. */
static const char *interpreter_of(const struct dl_phdr_info *info)
{
	for (int i = 0; i < info->dlpi_phnum; i++) {
		if (info->dlpi_phdr[i].p_type == PT_INTERP)
			return (const char *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
	}
	return NULL;
}

/* @path made absolute, with "." and ".." taken by the letter, as archive.h does. */
static int absolute_path(char *absolute, size_t size_bytes, const char *path)
{
	char here[PATH_MAX] = "";

	if (*path != '/' && !getcwd(here, sizeof(here)))
		return -errno;
	absolute[0] = '/';
	if (!*here)
		return archive_name(absolute + 1, size_bytes - 1, NULL, path);
	/* Not as archive_name()'s root: a relative path may well climb out of it. */
	if (strlen(here) + strlen(path) + 2 > sizeof(here))
		return -ENAMETOOLONG;
	strcat(here, "/");
	strcat(here, path);
	return archive_name(absolute + 1, size_bytes - 1, NULL, here);
}

static int add_object(struct closure *closure, const char *path)
{
	char absolute[PATH_MAX];
	char *slash;
	int status = absolute_path(absolute, sizeof(absolute), path);

	if (status)
		return status;
	if (!strlist_has(&closure->objects, absolute))
		strlist_add(&closure->objects, absolute);
	slash = strrchr(absolute, '/');
	slash[slash == absolute] = '\0';
	if (!strlist_has(&closure->folders, absolute))
		strlist_add(&closure->folders, absolute);
	return closure->objects.error ? closure->objects.error : closure->folders.error;
}

/* Called once per loaded object, the program itself first. */
static int visit_object(struct dl_phdr_info *info, size_t size, void *context)
{
	struct closure *closure = context;
	const char *interpreter;

	(void)size;
	if (*info->dlpi_name) {
		/* The vDSO has a name but no file. */
		return strchr(info->dlpi_name, '/') ? add_object(closure, info->dlpi_name) : 0;
	}
	interpreter = interpreter_of(info);
	if (!interpreter || closure->interpreter)
		return 0;
	closure->interpreter = strdup(interpreter);
	return closure->interpreter ? 0 : -ENOMEM;
}

static int find_program(struct closure *closure)
{
	static const char deleted[] = " (deleted)";
	char path[PATH_MAX];
	ssize_t len = readlink(running_image, path, sizeof(path) - 1);

	if (len < 0)
		return -errno;
	path[len] = '\0';
	if ((size_t)len > strlen(deleted) && !strcmp(path + len - strlen(deleted), deleted))
		path[len - strlen(deleted)] = '\0';
	closure->program = strdup(path);
	return closure->program ? 0 : -ENOMEM;
}

int closure_find(struct closure *ret, struct err *err)
{
	struct closure closure = { 0 };
	int status = find_program(&closure);

	if (!status)
		status = dl_iterate_phdr(visit_object, &closure);
	if (status) {
		closure_free(&closure);
		return err_set(err, -status, "cannot list this program's own files: %s",
			       strerror(-status));
	}
	*ret = closure;
	return 0;
}

int closure_pack(const struct closure *closure, struct archive *archive, struct err *err)
{
	int status = archive_add_file(archive, closure->program, running_image, err);

	if (!status && closure->interpreter)
		status = archive_add_file(archive, closure->interpreter, closure->interpreter, err);
	for (size_t i = 0; !status && i < closure->objects.nr; i++) {
		const char *object = closure->objects.strings[i];

		status = archive_add_file(archive, object, object, err);
	}
	return status;
}

void closure_free(struct closure *closure)
{
	free(closure->program);
	free(closure->interpreter);
	strlist_free(&closure->objects);
	strlist_free(&closure->folders);
	*closure = (struct closure){ 0 };
}
