/* SPDX-License-Identifier: MIT */
#include "lab/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "err.h"
#include "folder.h"
#include "lab/strlist.h"

#define KEY_FILE "key"

/* Part of the names of folders that are being written. */
#define NEW_MARK ".new."

/* A folder being written for longer than this was left by a run that was killed. */
static const time_t writing_max_s = 600;

/*
 * FNV-1a's step, over words, and mixed: a product's low bits know nothing of the high ones. It
 * tells builds apart, it does not keep anybody out of the cache, which is the user's own.
 */
static uint64_t hash_bytes(const char *bytes, size_t len_bytes)
{
	uint64_t hash = UINT64_C(14695981039346656037) ^ len_bytes;

	while (len_bytes) {
		size_t len = len_bytes < sizeof(uint64_t) ? len_bytes : sizeof(uint64_t);
		uint64_t word = 0;

		memcpy(&word, bytes, len);
		hash = (hash ^ word) * UINT64_C(1099511628211);
		hash ^= hash >> 29;
		bytes += len;
		len_bytes -= len;
	}
	return hash;
}

static int hash_fd(uint64_t *ret, int fd)
{
	struct stat stat;
	void *bytes;

	if (fstat(fd, &stat))
		return -errno;
	if (!stat.st_size) {
		*ret = hash_bytes(NULL, 0);
		return 0;
	}
	bytes = mmap(NULL, stat.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (bytes == MAP_FAILED)
		return -errno;
	*ret = hash_bytes(bytes, stat.st_size);
	munmap(bytes, stat.st_size);
	return 0;
}

int state_hash_file(uint64_t *ret, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int status;

	if (fd < 0)
		return -errno;
	status = hash_fd(ret, fd);
	close(fd);
	return status;
}

int state_open(struct state *ret, const char *key)
{
	struct state state = { .key = strdup(key) };
	char *cache = folder_in_cache("state");
	int error = errno;

	if (!cache) {
		free(state.key);
		return -error;
	}
	if (asprintf(&state.folder, "%s/%016llx", cache,
		     (unsigned long long)hash_bytes(key, strlen(key))) < 0)
		state.folder = NULL;
	free(cache);
	if (!state.key || !state.folder) {
		free(state.key);
		free(state.folder);
		return -ENOMEM;
	}
	*ret = state;
	return 0;
}

/* True when @folder's key is @key, byte for byte. */
static bool has_key(const char *folder, const char *key)
{
	size_t len = strlen(key);
	char path[PATH_MAX];
	char *got = malloc(len + 1);
	bool is_same = false;
	FILE *file;

	snprintf(path, sizeof(path), "%s/" KEY_FILE, folder);
	file = fopen(path, "re");
	if (file && got)
		is_same = fread(got, 1, len + 1, file) == len && !memcmp(got, key, len);
	if (file)
		fclose(file);
	free(got);
	return is_same;
}

bool state_is_there(const struct state *state)
{
	if (!has_key(state->folder, state->key))
		return false;
	utimensat(AT_FDCWD, state->folder, NULL, 0);
	return true;
}

/* Removes @path, a folder of files. What cannot be removed stays: there is nobody to tell. */
static void remove_folder(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
	rmdir(path);
}

static char *cache_of(const struct state *state)
{
	return strndup(state->folder, strrchr(state->folder, '/') - state->folder);
}

int state_begin(struct state *state, struct err *err)
{
	char *cache = cache_of(state);
	char *path = NULL;
	int status = cache ? folder_make(cache) : -ENOMEM;

	free(cache);
	if (!status && asprintf(&path, "%s" NEW_MARK "XXXXXX", state->folder) < 0)
		status = -ENOMEM;
	if (!status && !mkdtemp(path))
		status = -errno;
	if (status) {
		free(path);
		return err_set(err, -status, "%s: %s", state->folder, strerror(-status));
	}
	state->new_folder = path;
	return 0;
}

static int write_key(const struct state *state)
{
	char path[PATH_MAX];
	FILE *file;
	int error = 0;

	snprintf(path, sizeof(path), "%s/" KEY_FILE, state->new_folder);
	file = fopen(path, "wxe");
	if (!file)
		return -errno;
	if (fputs(state->key, file) < 0)
		error = errno;
	if (fclose(file) && !error)
		error = errno;
	return -error;
}

struct age {
	char name[NAME_MAX + 1];
	struct timespec used;
};

static int compare_ages(const void *left, const void *right)
{
	const struct age *a = left, *b = right;

	if (a->used.tv_sec != b->used.tv_sec)
		return a->used.tv_sec < b->used.tv_sec ? 1 : -1;
	return (a->used.tv_nsec < b->used.tv_nsec) - (a->used.tv_nsec > b->used.tv_nsec);
}

static void remove_in(const char *cache, const char *name)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%s", cache, name) < (int)sizeof(path))
		remove_folder(path);
}

/* The states in @cache, malloced, @nr of them; folders left half written are removed. */
static struct age *list_ages(const char *cache, size_t *nr)
{
	DIR *dir = opendir(cache);
	struct age *ages = NULL;
	struct dirent *entry;

	*nr = 0;
	while (dir && (entry = readdir(dir))) {
		struct stat stat;
		struct age *grown;

		if (*entry->d_name == '.' || fstatat(dirfd(dir), entry->d_name, &stat, 0))
			continue;
		if (strstr(entry->d_name, NEW_MARK)) {
			if (stat.st_mtime + writing_max_s < time(NULL))
				remove_in(cache, entry->d_name);
			continue;
		}
		grown = reallocarray(ages, *nr + 1, sizeof(*ages));
		if (!grown)
			break;
		ages = grown;
		snprintf(ages[*nr].name, sizeof(ages[*nr].name), "%s", entry->d_name);
		ages[(*nr)++].used = stat.st_mtim;
	}
	if (dir)
		closedir(dir);
	return ages;
}

static void remove_oldest(const char *cache)
{
	size_t nr;
	struct age *ages = list_ages(cache, &nr);

	if (nr > STATE_MAX) {
		qsort(ages, nr, sizeof(*ages), compare_ages);
		for (size_t i = STATE_MAX; i < nr; i++)
			remove_in(cache, ages[i].name);
	}
	free(ages);
}

static int put_in_place(struct state *state)
{
	/* One with the same name and another key: a clash of hashes, or damage. */
	if (!has_key(state->folder, state->key))
		remove_folder(state->folder);
	if (!rename(state->new_folder, state->folder))
		return 0;
	if (errno != EEXIST && errno != ENOTEMPTY)
		return -errno;
	remove_folder(state->new_folder);
	return 0;
}

int state_keep(struct state *state, struct err *err)
{
	int status = write_key(state);
	char *cache;

	if (!status)
		status = put_in_place(state);
	if (status)
		return err_set(err, -status, "%s: %s", state->folder, strerror(-status));
	free(state->new_folder);
	state->new_folder = NULL;
	cache = cache_of(state);
	if (cache)
		remove_oldest(cache);
	free(cache);
	return 0;
}

void state_remove(const struct state *state)
{
	remove_folder(state->folder);
}

void state_close(struct state *state)
{
	if (state->new_folder)
		remove_folder(state->new_folder);
	free(state->key);
	free(state->folder);
	free(state->new_folder);
	*state = (struct state){ 0 };
}
