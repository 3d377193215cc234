/* SPDX-License-Identifier: MIT */
#include "cli/brief.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "reports/sink.h"
#include "runner/plan.h"

struct brief_sink {
	struct sink sink;
	struct sink *json;
	int fd;
	const struct plan *plan;
	bool *is_over;		/* the plan's items */
	size_t nr_over;		/* all before that one are */
	int error;		/* -errno of the first failed write */
};

static struct brief_sink *brief_of(struct sink *sink)
{
	return (struct brief_sink *)sink;
}

/* Those that run now are close behind what is over. False: not in the plan. */
static bool place_find(const struct brief_sink *brief, const char *test, unsigned int round, size_t *ret)
{
	size_t i;

	for (i = brief->nr_over; i < brief->plan->nr_items; i++) {
		if (brief->is_over[i] || brief->plan->items[i].round != round ||
		    strcmp(brief->plan->items[i].entry->name, test))
			continue;
		*ret = i;
		return true;
	}
	return false;
}

static void __attribute__((format(printf, 2, 3))) say(struct brief_sink *brief, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (vdprintf(brief->fd, format, args) < 0 && !brief->error)
		brief->error = -errno;
	va_end(args);
}

static void on_run_begin(struct sink *sink, const struct run_info *info)
{
	struct sink *json = brief_of(sink)->json;

	json->ops->run_begin(json, info);
}

static void on_test_begin(struct sink *sink, const char *test, const char *target, unsigned int round)
{
	struct brief_sink *brief = brief_of(sink);
	size_t place;

	if (place_find(brief, test, round, &place))
		say(brief, "+%zu\n", place);
	else
		brief->json->ops->test_begin(brief->json, test, target, round);
}

static void mark_over(struct brief_sink *brief, size_t place)
{
	brief->is_over[place] = true;
	while (brief->nr_over < brief->plan->nr_items && brief->is_over[brief->nr_over])
		brief->nr_over++;
}

static void on_test_end(struct sink *sink, const struct result *result)
{
	struct brief_sink *brief = brief_of(sink);
	bool is_brief = result->verdict == VERDICT_PASS && !result->nr_notes && !result->met, is_planned;
	size_t place;

	is_planned = place_find(brief, result->test, result->round, &place);
	if (is_planned)
		mark_over(brief, place);
	if (is_planned && is_brief)
		say(brief, "=%zu %" PRIu64 " %" PRIu64 "\n", place, result->duration_us, result->nr_checks);
	else
		brief->json->ops->test_end(brief->json, result);
}

static void on_run_end(struct sink *sink, const struct summary *summary)
{
	struct sink *json = brief_of(sink)->json;

	json->ops->run_end(json, summary);
}

static int on_close(struct sink *sink, struct err *err)
{
	struct brief_sink *brief = brief_of(sink);
	int r = brief->json->ops->close(brief->json, err);

	if (!r && brief->error)
		r = err_set(err, -brief->error, "results: %s", strerror(-brief->error));
	free(brief->is_over);
	free(brief);
	return r;
}

static const struct sink_ops ops = {
	.run_begin = on_run_begin,
	.test_begin = on_test_begin,
	.test_end = on_test_end,
	.run_end = on_run_end,
	.close = on_close,
};

int sink_brief_open(int fd, const struct plan *plan, struct sink **ret, struct err *err)
{
	struct brief_sink *brief = calloc(1, sizeof(*brief));
	bool *is_over = calloc(plan->nr_items + 1, sizeof(*is_over));

	if (!brief || !is_over || sink_jsonl_open_fd(fd, &brief->json, err)) {
		free(is_over);
		free(brief);
		return err_set(err, ENOMEM, "results: %s", strerror(ENOMEM));
	}
	brief->sink.ops = &ops;
	brief->fd = fd;
	brief->plan = plan;
	brief->is_over = is_over;
	*ret = &brief->sink;
	return 0;
}

bool brief_read(struct brief *ret, const char *line)
{
	struct brief brief = { .is_start = *line == '+' };
	int end = 0;

	if (brief.is_start)
		sscanf(line, "+%zu%n", &brief.place, &end);
	else
		sscanf(line, "=%zu %" SCNu64 " %" SCNu64 "%n", &brief.place, &brief.duration_us, &brief.nr_checks, &end);
	if (!end || line[end])
		return false;
	*ret = brief;
	return true;
}
