/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>

#include "cli/fuzz_inside.h"
#include "cli/fuzz_target.h"
#include "cli/replay.h"
#include "err.h"
#include "reports/json_add.h"
#include "runner/kmsg.h"

#define NR_WORDS 3	/* before the inputs */

static struct json_object *line_new(const char *event, unsigned int file)
{
	struct json_object *line = inside_line_new("replay", event);

	json_add(&line, "file", json_object_new_int((int)file));
	return line;
}

/* It is outside before anything else happens here. */
static void line_send(struct json_object *line)
{
	inside_line_send(line);
	tcdrain(cli_results_fd);
}

/* What the kernel said meanwhile is the input's doing. */
static void kernel_listen(struct kmsg *kmsg, struct replayed *replayed)
{
	struct kernel_words words;
	const char *known;

	if (!inside_kernel_hear(kmsg, &words, &known))
		return;
	if (known)
		strlist_addf(&replayed->lines, "known=%s %s", known, words.headline);
	else if (!replayed->violation[0])
		snprintf(replayed->violation, sizeof(replayed->violation), "%s", words.headline);
}

static void done_send(unsigned int file, const struct replayed *replayed)
{
	struct json_object *line = line_new("done", file), *lines = json_object_new_array();
	size_t i;

	for (i = 0; i < replayed->lines.nr; i++)
		json_append(&lines, json_object_new_string(replayed->lines.strings[i]));
	json_add(&line, "run", json_object_new_int((int)replayed->run));
	json_add(&line, "lines", lines);
	json_add(&line, "violation", json_object_new_string(replayed->violation));
	json_add(&line, "known", json_object_new_string(replayed->known));
	json_add(&line, "missing", json_object_new_string(replayed->missing));
	line_send(line);
}

int replay_agent(int argc, char **argv)
{
	unsigned int repeat = argc > NR_WORDS ? (unsigned int)strtoul(argv[1], NULL, 0) : 0, file;
	struct executor *executor = NULL;
	struct replayed replayed;
	struct input input;
	struct kmsg kmsg;
	struct err err;
	int i, r = 0;

	kmsg_open(&kmsg, "/dev/kmsg");
	lab_be_patient();
	for (i = NR_WORDS; i < argc && !r; i++) {
		file = (unsigned int)strtoul(argv[2], NULL, 0) + (unsigned int)(i - NR_WORDS);
		r = input_parse(argv[i], strlen(argv[i]), &input, &err);
		if (!r)
			r = fuzz_target_switch(input.domain, "kvm", &executor, &err);
		if (r)
			break;
		line_send(line_new("at", file));
		replay_run(executor, &input, repeat, &replayed);
		kernel_listen(&kmsg, &replayed);
		done_send(file, &replayed);
		replayed_free(&replayed);
	}
	if (r)
		cli_print("replay: %s", err.text);
	executor_free(executor);
	kmsg_close(&kmsg);
	return r ? 99 : 0;
}
