/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "err.h"

int cli_results_fd = -1;
volatile sig_atomic_t cli_is_interrupted;

static void on_interrupt(int signal)
{
	(void)signal;
	cli_is_interrupted = 1;
}

void interrupts_catch(void)
{
	struct sigaction action = { .sa_handler = on_interrupt };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

void cli_print(const char *format, ...)
{
	struct json_object *object;
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (cli_results_fd < 0) {
		puts(text);
		fflush(stdout);
		return;
	}
	object = json_object_new_object();
	json_object_object_add(object, "type", json_object_new_string("text"));
	json_object_object_add(object, "text", json_object_new_string(text));
	dprintf(cli_results_fd, "%s\n", json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN));
	json_object_put(object);
}

int console_begin(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		return usage_error("%s: %s", path, strerror(errno));
	close(fd);
	return 0;
}

int outputs_open(const struct args *args, struct sink **sinks)
{
	struct sink **next = sinks;
	struct err err;
	int r = 0;

	memset(sinks, 0, RUN_MAX_SINKS * sizeof(*sinks));
	if (args->results_fd >= 0)
		return sink_jsonl_open_fd(args->results_fd, next, &err) ? usage_error("%s", err.text) : 0;
	if (args->json)
		r = sink_jsonl_open(args->json, next++, &err);
	if (!r && args->junit)
		r = sink_junit_open(args->junit, next++, &err);
	if (!r && args->tap)
		r = sink_tap_open(stdout, next++, &err);
	else if (!r)
		r = sink_console_open(stdout, isatty(STDOUT_FILENO), args->verbose, next++, &err);
	if (!r)
		return 0;
	outputs_close(sinks);
	return usage_error("%s", err.text);
}

int outputs_close(struct sink **sinks)
{
	struct err err;
	int code = 0;

	for (; *sinks; sinks++) {
		if (!(*sinks)->ops->close(*sinks, &err))
			continue;
		fprintf(stderr, "vmassay: %s\n", err.text);
		code = 99;
	}
	return code;
}
