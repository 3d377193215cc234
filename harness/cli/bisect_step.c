/* SPDX-License-Identifier: MIT */
#include "cli/bisect_step.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/child.h"
#include "cli/cli.h"
#include "lab/strlist.h"
#include "reports/json_add.h"
#include "runner/job.h"

/* What the builder ends with when these sources cannot be built; anything else is its own trouble. */
#define BUILDER_CANNOT 1

#define SHORT_COMMIT 12

char *git_read(const char *tree, const char *const *words)
{
	struct strlist argv = { 0 };
	char *text = NULL;

	strlist_add(&argv, "git");
	strlist_add(&argv, "-C");
	strlist_add(&argv, tree);
	for (; *words; words++)
		strlist_add(&argv, *words);
	if (!argv.error)
		text = child_read((const char *const *)argv.strings);
	strlist_free(&argv);
	return text;
}

/* --- the records --- */

static void record_path(char *path, const char *work)
{
	snprintf(path, PATH_MAX, "%s/steps.json", work);
}

static struct bisect_step step_from_json(struct json_object *line, const char *work)
{
	struct bisect_step step = {
		.number = json_number(line, "number"),
		.code = json_number(line, "code"),
		.build_us = json_number(line, "build_us"),
		.lab_us = json_number(line, "lab_us"),
	};

	snprintf(step.commit, sizeof(step.commit), "%s", json_text(line, "commit"));
	snprintf(step.folder, sizeof(step.folder), "%s/%s", work, json_text(line, "folder"));
	snprintf(step.says, sizeof(step.says), "%s", json_text(line, "says"));
	return step;
}

/* False, after a line that says why, when it cannot be kept. */
static bool step_append(const char *work, const struct bisect_step *step, const char *subject)
{
	struct json_object *line = json_object_new_object();
	char path[PATH_MAX], *clean = utf8_repair(subject);
	FILE *file;
	int r;

	json_object_object_add(line, "type", json_object_new_string("step"));
	json_object_object_add(line, "number", json_object_new_uint64(step->number));
	json_object_object_add(line, "commit", json_object_new_string(step->commit));
	json_object_object_add(line, "subject", json_object_new_string(clean ? clean : ""));
	json_object_object_add(line, "folder", json_object_new_string(strrchr(step->folder, '/') + 1));
	json_object_object_add(line, "says", json_object_new_string(step->says));
	json_object_object_add(line, "code", json_object_new_uint64(step->code));
	json_object_object_add(line, "build_us", json_object_new_uint64(step->build_us));
	json_object_object_add(line, "lab_us", json_object_new_uint64(step->lab_us));
	record_path(path, work);
	file = fopen(path, "ae");
	r = !file;
	if (file) {
		fprintf(file, "%s\n", json_object_to_json_string_ext(line, JSON_C_TO_STRING_PLAIN));
		r = fclose(file);
	}
	if (r)
		usage_error("bisect: %s: %s", path, strerror(errno));
	json_object_put(line);
	free(clean);
	return !r;
}

bool bisect_step_find(const char *work, const char *commit, struct bisect_step *ret)
{
	char path[PATH_MAX], *text = NULL;
	size_t size_bytes = 0;
	bool is_found = false;
	FILE *file;

	record_path(path, work);
	file = fopen(path, "re");
	while (file && getline(&text, &size_bytes, file) > 0) {
		struct json_object *line = json_tokener_parse(text);

		if (line && (!commit || !strcmp(json_text(line, "commit"), commit))) {
			*ret = step_from_json(line, work);
			is_found = true;
		}
		json_object_put(line);
	}
	free(text);
	if (file)
		fclose(file);
	return is_found;
}

void bisect_step_results(const struct bisect_step *step, struct bisect_results *results)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/results.json", step->folder) < (int)sizeof(path))
		bisect_results_read(results, path);
}

/* --- build --- */

static enum bisect_code step_build(const struct bisect_options *bisect, const char *commit, struct bisect_step *step)
{
	char log[PATH_MAX + 16];
	struct strlist words = { 0 };
	uint64_t start_us = clock_us();
	int code;

	strlist_add(&words, bisect->builder);
	strlist_add(&words, "--source");
	strlist_add(&words, bisect->tree);
	if (commit) {
		strlist_add(&words, "--commit");
		strlist_add(&words, commit);
	}
	strlist_add(&words, bisect->variant);
	strlist_add(&words, step->folder);
	snprintf(log, sizeof(log), "%s/build.log", step->folder);
	code = words.error ? 127 : child_run_logged((const char *const *)words.strings, log);
	strlist_free(&words);
	step->build_us = clock_us() - start_us;
	if (!code)
		return BISECT_GOOD;
	snprintf(step->says, sizeof(step->says), code == BUILDER_CANNOT ? "does not build" : "the builder cannot work");
	return code == BUILDER_CANNOT ? BISECT_SKIP : BISECT_END;
}

/* --- judge --- */

void bisect_add_lab_words(struct strlist *words, const struct args *args)
{
	const struct lab_options *lab = &args->lab;
	const char *const *param;

	strlist_addf(words, "--seed=0x%llx", (unsigned long long)args->run.seed);
	strlist_addf(words, "--boots=%u", args->nr_boots);
	if (args->selection.repeat)
		strlist_addf(words, "--repeat=%u", args->selection.repeat);
	if (args->run.timeout_ms)
		strlist_addf(words, "--timeout=%g", args->run.timeout_ms / 1000.0);
	if (args->run.nr_jobs)
		strlist_addf(words, "--jobs=%u", args->run.nr_jobs);
	if (lab->cpu)
		strlist_addf(words, "--cpu=%s", lab->cpu);
	if (lab->nr_cpus)
		strlist_addf(words, "--smp=%u", lab->nr_cpus);
	if (lab->memory_mib)
		strlist_addf(words, "--mem=%u", lab->memory_mib);
	if (lab->append)
		strlist_addf(words, "--append=%s", lab->append);
	for (param = lab->params; *param; param++)
		strlist_addf(words, "--param=%s", *param);
}

static void words_for_lab(struct strlist *words, const struct args *args, const char *folder)
{
	const char *const *glob;

	strlist_add(words, args->bisect.judge);
	strlist_add(words, "lab");
	strlist_add(words, args->lab.name);
	strlist_addf(words, "--kernel=%s/bzImage", folder);
	strlist_addf(words, "--json=%s/results.json", folder);
	strlist_addf(words, "--console=%s/console", folder);
	bisect_add_lab_words(words, args);
	strlist_add(words, "--");
	for (glob = args->selection.globs; *glob; glob++)
		strlist_add(words, *glob);
}

/* Why there are no results: the last line of what the lab said. */
static void say_why_none(struct bisect_step *step, const char *log)
{
	FILE *file = fopen(log, "re");
	char line[400] = "";

	while (file && fgets(line, sizeof(line), file))
		line[strcspn(line, "\n")] = '\0';
	if (file)
		fclose(file);
	snprintf(step->says, sizeof(step->says), "no test was run%s%s", *line ? ": " : "", line);
}

static enum bisect_code step_judge(const struct args *args, struct bisect_step *step)
{
	struct bisect_results results = { 0 };
	struct strlist words = { 0 };
	uint64_t start_us = clock_us();
	char log[PATH_MAX + 16];
	enum bisect_code code;

	words_for_lab(&words, args, step->folder);
	snprintf(log, sizeof(log), "%s/lab.log", step->folder);
	if (!words.error)
		child_run_logged((const char *const *)words.strings, log);
	strlist_free(&words);
	step->lab_us = clock_us() - start_us;
	bisect_step_results(step, &results);
	code = bisect_results_code(&results);
	if (results.nr)
		bisect_results_summarise(&results, step->says, sizeof(step->says));
	else
		say_why_none(step, log);
	bisect_results_free(&results);
	return code;
}

/* --- the step --- */

/* Its number, its commit's full name and its folder. */
static bool step_begin(const struct bisect_options *bisect, const char *commit, struct bisect_step *step)
{
	struct bisect_step last = { 0 };
	char *name = git_ask(bisect->tree, "rev-parse", "--verify", commit ? commit : "HEAD");

	if (!name || strlen(name) >= sizeof(step->commit)) {
		free(name);
		usage_error("bisect: %s: git does not know %s", bisect->tree, commit ? commit : "HEAD");
		return false;
	}
	bisect_step_find(bisect->work, NULL, &last);
	*step = (struct bisect_step){ .number = last.number + 1 };
	strcpy(step->commit, name);
	free(name);
	snprintf(step->folder, sizeof(step->folder), "%s/%02u-%.*s", bisect->work, step->number, SHORT_COMMIT,
		 step->commit);
	if (!mkdir(step->folder, 0777))
		return true;
	usage_error("bisect: %s: %s", step->folder, strerror(errno));
	return false;
}

static const char *code_name(enum bisect_code code)
{
	switch (code) {
	case BISECT_GOOD: return "good";
	case BISECT_BAD: return "bad";
	case BISECT_SKIP: return "skip";
	case BISECT_END:
	default: return "end";
	}
}

enum bisect_code bisect_step_run(const struct args *args, const char *commit, struct bisect_step *ret)
{
	const struct bisect_options *bisect = &args->bisect;
	char *subject;

	if (!step_begin(bisect, commit, ret))
		return BISECT_END;
	subject = git_ask(bisect->tree, "log", "-1", "--format=%s", ret->commit);
	fprintf(stderr, "step %u: %.*s %s: building ...", ret->number, SHORT_COMMIT, ret->commit,
		subject ? subject : "");
	ret->code = step_build(bisect, commit, ret);
	fprintf(stderr, " %.0f s; ", ret->build_us / 1e6);
	if (ret->code == BISECT_GOOD && !cli_is_interrupted)
		ret->code = step_judge(args, ret);
	if (cli_is_interrupted) {
		snprintf(ret->says, sizeof(ret->says), "interrupted");
		ret->code = BISECT_END;
	}
	fprintf(stderr, "%s (%s)\n", ret->says, code_name(ret->code));
	if (ret->code == BISECT_END && !cli_is_interrupted)
		usage_error("bisect: see %s/build.log", ret->folder);
	if (!step_append(bisect->work, ret, subject ? subject : ""))
		ret->code = BISECT_END;
	free(subject);
	return ret->code;
}
