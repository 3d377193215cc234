/* SPDX-License-Identifier: MIT */
#include "lab/closure.h"

#include <errno.h>
#include <limits.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
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

static const char *last_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/*
 * The file that this very code is mapped from. It is not /proc/self/exe when somebody started the
 * program through its interpreter, as a bundle does.
 */
static int mapped_program(char *path, size_t size_bytes)
{
	uintptr_t here = (uintptr_t)mapped_program;
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[PATH_MAX + 128];
	int status = -ENOENT;

	if (!maps)
		return -errno;
	while (status && fgets(line, sizeof(line), maps)) {
		unsigned long start, end;
		int at = 0;

		if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %n", &start, &end, &at) != 2 || !at)
			continue;
		if (here < start || here >= end || line[at] != '/')
			continue;
		line[strcspn(line, "\n")] = '\0';
		status = strlen(line + at) < size_bytes ? 0 : -ENAMETOOLONG;
		if (!status)
			strcpy(path, line + at);
	}
	fclose(maps);
	return status;
}

static int find_program(struct closure *closure)
{
	static const char deleted[] = " (deleted)";
	char path[PATH_MAX], image[PATH_MAX];
	ssize_t len = readlink(running_image, image, sizeof(image) - 1);
	int status = mapped_program(path, sizeof(path));

	if (len < 0)
		return -errno;
	if (status)
		return status;
	image[len] = '\0';
	closure->program_file = strdup(strcmp(path, image) ? path : running_image);
	len = strlen(path);
	if ((size_t)len > strlen(deleted) && !strcmp(path + len - strlen(deleted), deleted))
		path[len - strlen(deleted)] = '\0';
	closure->program = strdup(path);
	return closure->program && closure->program_file ? 0 : -ENOMEM;
}

/* The loaded object of the interpreter's name, else the file of that path. */
static int find_interpreter_file(struct closure *closure)
{
	const char *file = closure->interpreter;

	if (!file)
		return 0;
	for (size_t i = 0; i < closure->objects.nr; i++)
		if (!strcmp(last_name(closure->objects.strings[i]), last_name(closure->interpreter)))
			file = closure->objects.strings[i];
	closure->interpreter_file = strdup(file);
	return closure->interpreter_file ? 0 : -ENOMEM;
}

int closure_find(struct closure *ret, struct err *err)
{
	struct closure closure = { 0 };
	int status = find_program(&closure);

	if (!status)
		status = dl_iterate_phdr(visit_object, &closure);
	if (!status)
		status = find_interpreter_file(&closure);
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
	int status = archive_add_file(archive, closure->program, closure->program_file, err);

	if (!status && closure->interpreter)
		status = archive_add_file(archive, closure->interpreter, closure->interpreter_file, err);
	for (size_t i = 0; !status && i < closure->objects.nr; i++) {
		const char *object = closure->objects.strings[i];

		status = archive_add_file(archive, object, object, err);
	}
	return status;
}

static int pack_flat(struct archive *archive, const char *folder, const char *name, const char *file,
		     struct err *err)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return archive_add_file(archive, path, file, err);
}

int closure_pack_flat(const struct closure *closure, struct archive *archive, struct err *err)
{
	int status = pack_flat(archive, "bin", "vmassay", closure->program_file, err);

	if (!status && closure->interpreter)
		status = pack_flat(archive, "lib", last_name(closure->interpreter),
				   closure->interpreter_file, err);
	for (size_t i = 0; !status && i < closure->objects.nr; i++) {
		const char *object = closure->objects.strings[i];

		status = pack_flat(archive, "lib", last_name(object), object, err);
	}
	return status;
}

void closure_free(struct closure *closure)
{
	free(closure->program);
	free(closure->program_file);
	free(closure->interpreter);
	free(closure->interpreter_file);
	strlist_free(&closure->objects);
	strlist_free(&closure->folders);
	*closure = (struct closure){ 0 };
}
