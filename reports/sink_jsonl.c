/* SPDX-License-Identifier: MIT */
#include "reports/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <json-c/json.h>

#include "harness/err.h"
#include "reports/compare.h"
#include "reports/json_add.h"

struct jsonl {
	struct sink sink;
	int fd;
	bool owns_fd;
	char *name;	/* of the file, for error lines */
	int error;	/* -errno of the first failure; nothing is written after it */
};

static struct jsonl *jsonl_of(struct sink *sink)
{
	return (struct jsonl *)sink;
}

/* A serial port may be non-blocking and slow; 0 or -errno. */
static int write_all(int fd, const char *data, size_t len_bytes)
{
	struct pollfd writable = { .fd = fd, .events = POLLOUT };
	ssize_t written;

	while (len_bytes) {
		written = write(fd, data, len_bytes);
		if (written >= 0) {
			data += written;
			len_bytes -= written;
		} else if (errno == EAGAIN) {
			if (poll(&writable, 1, -1) < 0 && errno != EINTR)
				return -errno;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

static int write_line(int fd, const char *text)
{
	/* Facts are not ours: their strings may hold bytes that no JSON reader takes. */
	char *line = utf8_repair(text);
	size_t len_bytes;
	int error;

	if (!line)
		return -ENOMEM;
	/* The newline takes the NUL's place, so that line and newline are one write. */
	len_bytes = strlen(line);
	line[len_bytes] = '\n';
	error = write_all(fd, line, len_bytes + 1);
	free(line);
	return error;
}

/* Writes and puts @event; NULL means that there was no memory for it. */
static void write_event(struct jsonl *jsonl, struct json_object *event)
{
	const int flags = JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE;
	const char *text = event ? json_object_to_json_string_ext(event, flags) : NULL;

	if (!jsonl->error)
		jsonl->error = text ? write_line(jsonl->fd, text) : -ENOMEM;
	json_object_put(event);
}

static struct json_object *event_new(const char *type)
{
	struct json_object *event = json_object_new_object();

	json_add(&event, "type", json_object_new_string(type));
	return event;
}

static void jsonl_run_begin(struct sink *sink, const struct run_info *info)
{
	struct json_object *event = event_new("run");

	json_add(&event, "version", json_object_new_int(1));
	json_add(&event, "target", json_object_new_string(info->target));
	json_add(&event, "nr_planned", json_object_new_uint64(info->nr_planned));
	json_add(&event, "seed", json_object_new_uint64(info->seed));
	json_add(&event, "facts",
		 info->facts ? json_object_get(info->facts) : json_object_new_object());
	write_event(jsonl_of(sink), event);
}

static void jsonl_test_begin(struct sink *sink, const char *test, const char *target,
			     unsigned int round)
{
	struct json_object *event = event_new("start");

	json_add(&event, "test", json_object_new_string(test));
	json_add(&event, "target", json_object_new_string(target));
	json_add(&event, "round", json_object_new_uint64(round));
	write_event(jsonl_of(sink), event);
}

static void jsonl_test_end(struct sink *sink, const struct result *result)
{
	write_event(jsonl_of(sink), result_to_json(result));
}

static void jsonl_run_end(struct sink *sink, const struct summary *summary)
{
	struct json_object *event = event_new("end");

	json_add(&event, "summary", summary_to_json(summary));
	json_add(&event, "duration_us", json_object_new_uint64(summary->duration_us));
	write_event(jsonl_of(sink), event);
}

static void jsonl_target_begin(struct sink *sink, const char *target, struct json_object *facts)
{
	struct json_object *event = event_new("target");

	json_add(&event, "target", json_object_new_string(target));
	json_add(&event, "facts", facts ? json_object_get(facts) : json_object_new_object());
	write_event(jsonl_of(sink), event);
}

static void jsonl_comparison(struct sink *sink, const struct compare *compare)
{
	write_event(jsonl_of(sink), compare_to_json(compare));
}

static int jsonl_close(struct sink *sink, struct err *err)
{
	struct jsonl *jsonl = jsonl_of(sink);
	int error = jsonl->error;

	if (jsonl->owns_fd && close(jsonl->fd) < 0 && !error)
		error = -errno;
	if (error)
		err_set(err, -error, "%s: %s", jsonl->name, strerror(-error));
	free(jsonl->name);
	free(jsonl);
	return error;
}

static const struct sink_ops jsonl_ops = {
	.run_begin = jsonl_run_begin,
	.test_begin = jsonl_test_begin,
	.test_end = jsonl_test_end,
	.run_end = jsonl_run_end,
	.target_begin = jsonl_target_begin,
	.comparison = jsonl_comparison,
	.close = jsonl_close,
};

static struct jsonl *jsonl_new(int fd, const char *name)
{
	struct jsonl *jsonl = calloc(1, sizeof(*jsonl));

	if (!jsonl)
		return NULL;
	jsonl->sink.ops = &jsonl_ops;
	jsonl->fd = fd;
	jsonl->name = strdup(name);
	if (!jsonl->name) {
		free(jsonl);
		return NULL;
	}
	return jsonl;
}

/* True when @path is a file whose last line was cut short by a crash or a full disk. */
static bool ends_in_mid_line(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat stat;
	char last = '\n';

	if (fd < 0)
		return false;
	if (!fstat(fd, &stat) && S_ISREG(stat.st_mode) && stat.st_size > 0 &&
	    pread(fd, &last, 1, stat.st_size - 1) != 1)
		last = '\n';
	close(fd);
	return last != '\n';
}

int sink_jsonl_open(const char *path, struct sink **ret, struct err *err)
{
	bool is_cut_short = ends_in_mid_line(path);
	struct jsonl *jsonl;
	int fd, error;

	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0) {
		error = errno;
		return err_set(err, error, "%s: %s", path, strerror(error));
	}
	jsonl = jsonl_new(fd, path);
	if (!jsonl) {
		close(fd);
		return err_set(err, ENOMEM, "%s: %s", path, strerror(ENOMEM));
	}
	jsonl->owns_fd = true;
	/* Our first event must not continue a line that nobody finished. */
	if (is_cut_short)
		jsonl->error = write_all(fd, "\n", 1);
	*ret = &jsonl->sink;
	return 0;
}

int sink_jsonl_open_fd(int fd, struct sink **ret, struct err *err)
{
	struct jsonl *jsonl;
	char name[32];

	snprintf(name, sizeof(name), "file descriptor %d", fd);
	jsonl = jsonl_new(fd, name);
	if (!jsonl)
		return err_set(err, ENOMEM, "%s: %s", name, strerror(ENOMEM));
	*ret = &jsonl->sink;
	return 0;
}
