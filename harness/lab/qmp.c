/* SPDX-License-Identifier: MIT */
/* One JSON object per line each way; a command's answer is the next one that is no event. */
#include "lab/qmp.h"

#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "err.h"

/* An emulator that says nothing for so long will not. */
static const int patience_ms = 20000;

/* Of a state's transfer to a file; the disk's own limit is the one meant. */
#define BANDWIDTH "1000000000000"

/* Sends @line, and @passed_fd with it unless negative. */
static int send_line(int fd, const char *line, int passed_fd)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .bytes = "" };
	struct iovec text = { .iov_base = (void *)line, .iov_len = strlen(line) };
	struct msghdr message = { .msg_iov = &text, .msg_iovlen = 1 };

	if (passed_fd >= 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.head), &passed_fd, sizeof(int));
	}
	return sendmsg(fd, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Byte by byte: what follows the newline is not ours yet, and there is little of it. */
static int receive_line(int fd, char *line, size_t size_bytes)
{
	struct pollfd polled = { .fd = fd, .events = POLLIN };
	size_t len = 0;

	while (len < size_bytes - 1) {
		if (poll(&polled, 1, patience_ms) <= 0)
			return -ETIMEDOUT;
		if (read(fd, line + len, 1) != 1)
			return -EPIPE;
		if (line[len] == '\n') {
			line[len] = '\0';
			return 0;
		}
		len++;
	}
	return -EMSGSIZE;
}

/* The next object with a member @key, or one about an error; NULL with the reason in @error. */
static struct json_object *receive(int fd, const char *key, int *error)
{
	char line[8192];

	for (;;) {
		struct json_object *object;

		*error = -receive_line(fd, line, sizeof(line));
		if (*error)
			return NULL;
		object = json_tokener_parse(line);
		if (object && (json_object_object_get_ex(object, key, NULL) ||
			       json_object_object_get_ex(object, "error", NULL)))
			return object;
		json_object_put(object);
	}
}

static const char *text_of(struct json_object *object, const char *outer, const char *inner)
{
	struct json_object *value;

	if (json_object_object_get_ex(object, outer, &value) &&
	    json_object_object_get_ex(value, inner, &value))
		return json_object_get_string(value);
	return "";
}

/* Takes over @answer. */
static int check_answer(struct json_object *answer, int error, const char *command, struct err *err)
{
	int status = 0;

	if (!answer)
		status = err_set(err, error, "QEMU's monitor does not answer: %s", strerror(error));
	else if (json_object_object_get_ex(answer, "error", NULL))
		status = err_set(err, EIO, "QEMU refuses %s: %s", command,
				 text_of(answer, "error", "desc"));
	json_object_put(answer);
	return status;
}

/* @arguments is JSON. */
static int execute(int fd, const char *command, const char *arguments, int passed_fd,
		   struct err *err)
{
	struct json_object *answer = NULL;
	char line[256];
	int error;

	snprintf(line, sizeof(line), "{\"execute\":\"%s\",\"arguments\":%s}\n", command, arguments);
	error = -send_line(fd, line, passed_fd);
	if (!error)
		answer = receive(fd, "return", &error);
	return check_answer(answer, error, command, err);
}

/* The status that @command, a query, answers with; each of QEMU's is shorter. */
static int query_status(int fd, const char *command, char status[32], struct err *err)
{
	struct json_object *answer = NULL;
	char line[64];
	int error;

	snprintf(line, sizeof(line), "{\"execute\":\"%s\"}\n", command);
	error = -send_line(fd, line, -1);
	if (!error)
		answer = receive(fd, "return", &error);
	snprintf(status, 32, "%s", text_of(answer, "return", "status"));
	return check_answer(answer, error, command, err);
}

/* Asks until @command answers @want; @unwanted is what it will not get over. */
static int wait_for_status(int fd, const char *command, const char *want, const char *unwanted,
			   struct err *err)
{
	const struct timespec pause = { .tv_nsec = 10000000 };
	char status[32];
	int ret;

	while (!(ret = query_status(fd, command, status, err)) && strcmp(status, want)) {
		if (!strcmp(status, unwanted))
			return err_set(err, EIO, "%s says: %s", command, status);
		nanosleep(&pause, NULL);
	}
	return ret;
}

static int transfer(int fd, int state_fd, struct err *err)
{
	int status = execute(fd, "migrate-set-parameters", "{\"max-bandwidth\":" BANDWIDTH "}", -1,
			     err);

	if (!status)
		status = execute(fd, "getfd", "{\"fdname\":\"state\"}", state_fd, err);
	if (!status)
		status = execute(fd, "migrate", "{\"uri\":\"fd:state\"}", -1, err);
	return status ? status : wait_for_status(fd, "query-migrate", "completed", "failed", err);
}

static int greet(int fd, struct err *err)
{
	int error = 0;
	struct json_object *greeting = receive(fd, "QMP", &error);
	int status = check_answer(greeting, error, "to greet", err);

	return status ? status : execute(fd, "qmp_capabilities", "{}", -1, err);
}

int qmp_save(int fd, int state_fd, struct err *err)
{
	struct err ignored;
	int status = greet(fd, err);

	if (!status)
		status = execute(fd, "stop", "{}", -1, err);
	if (status)
		return status;
	status = transfer(fd, state_fd, err);
	if (execute(fd, "cont", "{}", -1, status ? &ignored : err) && !status)
		status = -EIO;
	return status;
}

int qmp_resume(int fd, struct err *err)
{
	int status = greet(fd, err);

	/* It was stopped when it was saved, and so it is now. */
	if (!status)
		status = wait_for_status(fd, "query-status", "paused", "internal-error", err);
	return status ? status : execute(fd, "cont", "{}", -1, err);
}
