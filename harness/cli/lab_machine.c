/* SPDX-License-Identifier: MIT */
#include "cli/lab_machine.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "cli/lab_target.h"
#include "err.h"

/* --- making one --- */

static int machine_name(struct lab_machine *machine, unsigned int part)
{
	const char *target = machine->target->name;
	int r = part ? asprintf(&machine->name, "%s.%u", target, part + 1) : asprintf(&machine->name, "%s", target);

	return r < 0 ? -ENOMEM : 0;
}

/* Of a run on one target, the first machine writes the very file that was named. */
static int machine_console(struct lab_machine *machine, unsigned int part)
{
	const struct many_run *many = machine->target->many;
	const char *base = many->args->lab.console;
	int r;

	if (!base)
		r = asprintf(&machine->console, "vmassay-%s.console", machine->name);
	else if (!many->is_plain)
		r = asprintf(&machine->console, "%s.%s", base, machine->name);
	else if (part)
		r = asprintf(&machine->console, "%s.%u", base, part + 1);
	else
		r = asprintf(&machine->console, "%s", base);
	return r < 0 ? -ENOMEM : 0;
}

static int machine_gcov(struct lab_machine *machine)
{
	const char *base = machine->target->many->args->gcov;

	return base && asprintf(&machine->gcov, "%s/%s", base, machine->name) < 0 ? -ENOMEM : 0;
}

int lab_machine_open(struct lab_machine *machine, struct lab_target *target, unsigned int part)
{
	*machine = (struct lab_machine){ .target = target, .args = target->args };
	if (machine_name(machine, part) || machine_console(machine, part) || machine_gcov(machine))
		return -ENOMEM;
	machine->args.lab.console = machine->console;
	machine->args.gcov = machine->gcov;
	machine->args.selection.part = part;
	machine->args.selection.nr_parts = target->nr_machines;
	return 0;
}

void lab_machine_close(struct lab_machine *machine)
{
	free(machine->name);
	free(machine->console);
	free(machine->gcov);
}

/* --- what it says --- */

static void on_line(void *context, enum lab_child_stream stream, const char *text)
{
	struct lab_machine *machine = context;
	struct json_object *line;

	if (stream == CHILD_WORDS) {
		fprintf(stderr, "%s: %s\n", machine->name, text);
		snprintf(machine->last_words, sizeof(machine->last_words), "%s", text);
		return;
	}
	line = json_tokener_parse(text);
	machine->has_begun |= lab_target_take(machine->target, line);
	json_object_put(line);
}

/* --- ends --- */

static void describe_end(const struct lab_machine *machine, char *why, size_t len_bytes)
{
	int status = machine->child.status, len;

	if (WIFSIGNALED(status))
		len = snprintf(why, len_bytes, "the lab's process was ended by signal %d", WTERMSIG(status));
	else
		len = snprintf(why, len_bytes, "the lab's process ended with exit code %d", WEXITSTATUS(status));
	if (machine->last_words[0])
		snprintf(why + len, len_bytes - len, ": %s", machine->last_words);
}

/* A lab without an emulator or a kernel has refused as a command line is refused: that is no verdict on any test. */
static bool is_refusal(const struct lab_machine *machine)
{
	return !machine->has_begun && WIFEXITED(machine->child.status) &&
	       WEXITSTATUS(machine->child.status) == EXIT_USAGE;
}

static void settle(struct lab_machine *machine, bool is_stopping)
{
	struct lab_target *target = machine->target;
	struct many_run *many = target->many;
	unsigned int part = machine->args.selection.part;
	char why[400];

	if (!lab_target_owes(target, part)) {
		many->has_trouble |= WIFEXITED(machine->child.status) && WEXITSTATUS(machine->child.status) == 99;
	} else if (is_refusal(machine)) {
		many->has_refused = true;
		compare_set_note(&many->compare, target->index, machine->last_words);
	} else if (is_stopping) {
		compare_set_note(&many->compare, target->index, "stopped before its end");
	} else {
		describe_end(machine, why, sizeof(why));
		lab_target_give_up(target, part, why);
	}
}

/* --- running --- */

bool lab_machine_start(struct lab_machine *machine)
{
	struct lab_target *target = machine->target;
	struct err err;

	if (!lab_child_start(&machine->child, target->many->run, &machine->args, &err))
		return true;
	compare_set_note(&target->many->compare, target->index, err.text);
	lab_target_give_up(target, machine->args.selection.part, err.text);
	return false;
}

bool lab_machine_read(struct lab_machine *machine, const struct pollfd *fds, bool is_stopping)
{
	if (lab_child_read(&machine->child, fds, on_line, machine))
		return true;
	settle(machine, is_stopping);
	return false;
}
