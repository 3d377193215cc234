/* SPDX-License-Identifier: MIT */
#include "cli/fuzz_inside.h"

#include <json-c/json.h>
#include <stdio.h>

#include "cli/cli.h"
#include "fuzz/nested_differ.h"
#include "reports/json_add.h"
#include "runner/kmsg.h"

struct json_object *inside_line_new(const char *type, const char *event)
{
	struct json_object *line = json_object_new_object();

	json_add(&line, "type", json_object_new_string(type));
	json_add(&line, "event", json_object_new_string(event));
	return line;
}

void inside_line_send(struct json_object *line)
{
	if (line)
		dprintf(cli_results_fd, "%s\n", json_object_to_json_string_ext(line, JSON_C_TO_STRING_PLAIN));
	json_object_put(line);
}

bool inside_kernel_hear(struct kmsg *kmsg, struct kernel_words *ret, const char **known)
{
	uint64_t then = kmsg_now(kmsg);

	kmsg_read(kmsg);
	kernel_text_read(kmsg_since(kmsg, then), ret);
	kmsg_forget(kmsg, kmsg_now(kmsg));
	/* What is worse than a warning has no finding that excuses it. */
	*known = ret->worst == KERNEL_WARNS ? nested_known_report(ret->headline) : NULL;
	return ret->worst;
}
