/* SPDX-License-Identifier: MIT */
/*
 * "vmassay bisect": git bisect, with a kernel built and judged in a lab at each step.
 *
 * 1. The command line is looked at as far as it can be without building anything.
 * 2. Both ends are judged: a bisection between ends that are not what they are said to be costs hours and finds
 *    something that is nothing.
 * 3. git bisect run starts "vmassay bisect --step" for each commit. It does so in a worktree without files: the
 *    builder has a checkout of its own, so neither the user's files nor a bisection of theirs is met.
 * 4. What git names is shown with the results of its parent and its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/bisect_step.h"
#include "cli/child.h"
#include "cli/cli.h"
#include "err.h"
#include "folder.h"
#include "lab/closure.h"
#include "lab/spawn.h"
#include "lab/strlist.h"

#define EXIT_NOT_FOUND 99
#define SHORT_COMMIT 12

struct bisection {
	struct args args;
	char good[COMMIT_SIZE], bad[COMMIT_SIZE];
	char program[PATH_MAX];		/* this one */
	char tree[PATH_MAX], builder[PATH_MAX], judge[PATH_MAX], work[PATH_MAX];
	char worktree[PATH_MAX + 16];	/* git's, without files */
	char pinned[PATH_MAX + 16];	/* a copy of this program, which may be built anew meanwhile */
	char log[PATH_MAX + 16];	/* what git says */
};

/* --- what is on the command line --- */

/* Note, a bundle's program cannot be started by its name alone. */
static int find_program(struct bisection *b)
{
	struct closure closure;
	struct err err;

	if (closure_find(&closure, &err))
		return usage_error("bisect: %s", err.text);
	snprintf(b->program, sizeof(b->program), "%s", closure.program);
	closure_free(&closure);
	return 0;
}

/* In a build folder of the source tree, or installed. */
static int find_builder(struct bisection *b)
{
	static const char *const places[] = { "../ci/kernel/build", "../share/vmassay/kernel/build" };
	char folder[PATH_MAX], path[PATH_MAX + 64];
	size_t i;

	if (b->args.bisect.builder) {
		if (!realpath(b->args.bisect.builder, b->builder) || access(b->builder, X_OK))
			return usage_error("bisect: --builder %s: %s", b->args.bisect.builder, strerror(errno));
		b->args.bisect.builder = b->builder;
		return 0;
	}
	b->args.bisect.builder = b->builder;
	snprintf(folder, sizeof(folder), "%s", b->program);
	*strrchr(folder, '/') = '\0';
	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, places[i]);
		if (realpath(path, b->builder) && !access(b->builder, X_OK))
			return 0;
	}
	return usage_error("bisect: no kernel builder beside %s (name ci/kernel/build with --builder)", b->program);
}

static int check_tree(struct bisection *b)
{
	const char *tree = b->args.bisect.tree;
	char git[PATH_MAX], *folder;

	if (spawn_locate(git, sizeof(git), "git"))
		return usage_error("bisect: no git in PATH (Debian package git)");
	if (!realpath(tree, b->tree))
		return usage_error("bisect: --tree %s: %s", tree, strerror(errno));
	folder = git_ask(b->tree, "rev-parse", "--git-dir");
	if (!folder)
		return usage_error("bisect: --tree %s: not a git tree", tree);
	free(folder);
	return 0;
}

/* Sets @ret to the commit's full name. */
static int check_commit(struct bisection *b, const char *option, const char *text, char *ret)
{
	char name[PATH_MAX], *answer;

	snprintf(name, sizeof(name), "%s^{commit}", text);
	answer = git_ask(b->tree, "rev-parse", "--verify", name);
	if (!answer)
		return usage_error("bisect: --%s %s: no such commit in %s", option, text, b->tree);
	snprintf(ret, COMMIT_SIZE, "%s", answer);
	free(answer);
	snprintf(name, sizeof(name), "%s:arch/x86/kvm/Makefile", ret);
	answer = git_ask(b->tree, "rev-parse", "--verify", name);
	if (!answer)
		return usage_error("bisect: --%s %s: has no arch/x86/kvm/Makefile, is it Linux?", option, text);
	free(answer);
	return 0;
}

static int check_commits(struct bisection *b)
{
	const struct bisect_options *bisect = &b->args.bisect;
	char *answer;
	int r = check_commit(b, "good", bisect->good, b->good);

	if (!r)
		r = check_commit(b, "bad", bisect->bad, b->bad);
	if (r)
		return r;
	if (!strcmp(b->good, b->bad))
		return usage_error("bisect: %s and %s are the same commit", bisect->good, bisect->bad);
	answer = git_ask(b->tree, "merge-base", "--is-ancestor", b->good, b->bad);
	if (!answer)
		return usage_error("bisect: %s (good) is not an ancestor of %s (bad)", bisect->good, bisect->bad);
	free(answer);
	return 0;
}

static int check_tests(struct bisection *b)
{
	static char target[64];
	struct lab_defaults defaults;
	struct registry registry;
	struct plan plan;
	struct err err;
	int r;

	if (b->args.selection.globs[0])
		return usage_error("bisect: what is '%s'? (tests are named with --case)", b->args.selection.globs[0]);
	if (!b->args.cases[0])
		return usage_error("bisect: which tests? (--case GLOB)");
	if (!b->args.lab.name)
		b->args.lab.name = "svm";
	if (lab_check(b->args.lab.name, &defaults, &err) || registry_open(&registry, &err))
		return usage_error("%s", err.text);
	snprintf(target, sizeof(target), "lab-%s", b->args.lab.name);
	b->args.selection.globs = b->args.cases;
	b->args.selection.target = target;
	r = plan_open(&plan, &registry, &b->args.selection, &err);
	if (!r)
		plan_close(&plan);
	registry_close(&registry);
	return r ? usage_error("bisect: %s", err.text) : 0;
}

/* Leaves it open when none is named. */
static int find_judge(struct bisection *b)
{
	const char *judge = b->args.bisect.judge;

	if (!judge)
		return 0;
	if (!realpath(judge, b->judge) || access(b->judge, X_OK))
		return usage_error("bisect: --judge %s: %s", judge, strerror(errno));
	b->args.bisect.judge = b->judge;
	return 0;
}

/* --- folders --- */

/* Like mkdir -p, for a @path that starts with a slash. */
/* The user's, or @name in the cache. */
static int open_work(struct bisection *b, const char *name)
{
	char *path;
	int r;

	if (b->args.bisect.work) {
		if (mkdir(b->args.bisect.work, 0777) && errno != EEXIST)
			return usage_error("bisect: --work %s: %s", b->args.bisect.work, strerror(errno));
		path = strdup(b->args.bisect.work);
	} else {
		path = folder_in_cache(name);
		if (!path)
			return usage_error("bisect: neither HOME nor XDG_CACHE_HOME has a folder (name one with --work)");
	}
	r = path ? folder_make(path) : -ENOMEM;
	if (!r && !realpath(path, b->work))
		r = -errno;
	if (r)
		r = usage_error("bisect: %s: %s", path ? path : name, strerror(-r));
	free(path);
	if (r)
		return r;
	b->args.bisect.work = b->work;
	return 0;
}

static int open_new_work(struct bisection *b)
{
	char name[64], path[PATH_MAX + 16];
	time_t now = time(NULL);
	struct tm tm;
	int r;

	strftime(name, sizeof(name), "bisect/%Y%m%d-%H%M%S", localtime_r(&now, &tm));
	r = open_work(b, name);
	if (r)
		return r;
	snprintf(path, sizeof(path), "%s/steps.json", b->work);
	if (!access(path, F_OK))
		return usage_error("bisect: --work %s holds a bisection already", b->work);
	snprintf(b->worktree, sizeof(b->worktree), "%s/worktree", b->work);
	snprintf(b->pinned, sizeof(b->pinned), "%s/vmassay", b->work);
	snprintf(b->log, sizeof(b->log), "%s/git.log", b->work);
	return 0;
}

/* --- one step, for git bisect run --- */

/* The commit that git bisect wants judged when it has not checked it out; empty when it has. */
static void read_bisect_head(const char *tree, char *ret)
{
	char *answer = git_ask(tree, "rev-parse", "--verify", "BISECT_HEAD");

	snprintf(ret, COMMIT_SIZE, "%s", answer ? answer : "");
	free(answer);
}

/* git may be ended without its steps. */
static void end_with_parent(void)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
}

static int run_step(struct bisection *b)
{
	struct bisect_step step;
	char commit[COMMIT_SIZE];
	int r;

	if (b->args.bisect.good || b->args.bisect.bad)
		return usage_error("bisect: --step judges one commit, git knows which is good and bad");
	if (!b->args.bisect.tree)
		b->args.bisect.tree = ".";
	r = check_tree(b);
	if (!r)
		r = open_work(b, "bisect/by-hand");
	if (r)
		return r;
	b->args.bisect.tree = b->tree;
	if (!b->args.bisect.judge)
		b->args.bisect.judge = b->program;
	end_with_parent();
	read_bisect_head(b->tree, commit);
	return bisect_step_run(&b->args, *commit ? commit : NULL, &step);
}

/* --- git and the two ends --- */

static bool is_end_right(struct bisection *b, const char *option, const char *commit, enum bisect_code want)
{
	struct bisect_step step;

	if (bisect_step_run(&b->args, commit, &step) == want)
		return true;
	if (!cli_is_interrupted && step.code != BISECT_END)
		usage_error("bisect: --%s %s is not %s: %s (see %s)", option, want == BISECT_GOOD ? b->args.bisect.good :
			    b->args.bisect.bad, option, step.says, step.folder);
	return false;
}

/* Like child_run_logged(), with a line when it does not end with 0. */
static bool must_end_well(struct bisection *b, const char *const *argv)
{
	int code = child_run_logged(argv, b->log);

	if (code && !cli_is_interrupted)
		usage_error("bisect: %s ended with %d (see %s)", argv[0], code, b->log);
	return !code;
}

#define must_run(b, ...) must_end_well(b, (const char *const[]){ __VA_ARGS__, NULL })

static bool worktree_add(struct bisection *b)
{
	return must_run(b, "git", "-C", b->tree, "worktree", "add", "--detach", "--no-checkout", b->worktree, b->bad) &&
	       must_run(b, "git", "-C", b->worktree, "bisect", "start", "--no-checkout", b->bad, b->good);
}

/* git's refs of the bisection go with it. */
static void worktree_remove(struct bisection *b)
{
	if (!access(b->worktree, F_OK))
		must_run(b, "git", "-C", b->tree, "worktree", "remove", "--force", b->worktree);
}

static void words_for_git(const struct bisection *b, struct strlist *words)
{
	const struct args *args = &b->args;
	const char *const *word;

	for (word = (const char *const[]){ "git", "-C", b->worktree, "bisect", "run", b->pinned, "bisect", "--step",
					   NULL }; *word; word++)
		strlist_add(words, *word);
	for (word = args->cases; *word; word++)
		strlist_addf(words, "--case=%s", *word);
	strlist_addf(words, "--lab=%s", args->lab.name);
	strlist_addf(words, "--tree=%s", b->worktree);
	strlist_addf(words, "--work=%s", b->work);
	strlist_addf(words, "--builder=%s", b->builder);
	strlist_addf(words, "--variant=%s", args->bisect.variant);
	strlist_addf(words, "--judge=%s", args->bisect.judge);
	bisect_add_lab_words(words, args);
}

/* The steps tell of themselves on stderr; what git says is for the log. */
static int git_bisect_run(struct bisection *b)
{
	int fd = open(b->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	struct strlist words = { 0 };
	int code = 127;

	words_for_git(b, &words);
	if (fd >= 0 && !words.error)
		code = child_run((const char *const *)words.strings, fd, STDERR_FILENO);
	strlist_free(&words);
	if (fd >= 0)
		close(fd);
	return code;
}

/* The commits that may be the first bad one, as git now knows; 0 when it cannot tell. */
static unsigned int count_suspects(struct bisection *b)
{
	char *answer = git_ask(b->worktree, "rev-list", "--count", "refs/bisect/bad", "--not",
			       "--glob=refs/bisect/good-*");
	unsigned int nr = answer ? strtoul(answer, NULL, 10) : 0;

	free(answer);
	return nr;
}

/* --- what came out --- */

static void print_git(const char *answer)
{
	printf("%s\n", answer ? answer : "  (git cannot tell)");
}

/* The first parent's own results; it may be known to be good by those of a child only. */
static bool find_parent(struct bisection *b, const char *commit, struct bisect_step *ret)
{
	char name[COMMIT_SIZE + 1], parent[COMMIT_SIZE], *answer;

	snprintf(name, sizeof(name), "%s^", commit);
	answer = git_ask(b->tree, "rev-parse", "--verify", name);
	snprintf(parent, sizeof(parent), "%s", answer ? answer : "");
	free(answer);
	return *parent && (bisect_step_find(b->work, parent, ret) ||
			   bisect_step_run(&b->args, parent, ret) != BISECT_END);
}

static void print_both(const struct bisect_step *good, const struct bisect_step *bad)
{
	struct bisect_results results[2] = { 0 };
	char titles[2][64];

	snprintf(titles[0], sizeof(titles[0]), "parent %.*s", SHORT_COMMIT, good->commit);
	snprintf(titles[1], sizeof(titles[1]), "first bad %.*s", SHORT_COMMIT, bad->commit);
	bisect_step_results(good, &results[0]);
	bisect_step_results(bad, &results[1]);
	bisect_print_sides(stdout, &(struct bisect_side){ titles[0], &results[0] },
			   &(struct bisect_side){ titles[1], &results[1] });
	bisect_results_free(&results[0]);
	bisect_results_free(&results[1]);
}

static int report_found(struct bisection *b)
{
	char *commit = git_ask(b->worktree, "rev-parse", "refs/bisect/bad");
	struct bisect_step bad, good;
	char *text;

	if (!commit)
		return EXIT_NOT_FOUND;
	if (!bisect_step_find(b->work, commit, &bad) || !find_parent(b, commit, &good)) {
		usage_error("bisect: %s is the first bad commit, but results to show are missing", commit);
		free(commit);
		return EXIT_NOT_FOUND;
	}
	text = git_ask(b->tree, "log", "-1", "--date=iso", "--format=  %s%n  %an <%ae>, %ad", commit);
	printf("first bad commit %s\n", commit);
	print_git(text);
	printf("  parent: %s\n  bad:    %s\n\n", good.folder, bad.folder);
	print_both(&good, &bad);
	free(commit);
	free(text);
	return 0;
}

static int report_suspects(struct bisection *b, unsigned int nr)
{
	char *text = git_ask(b->worktree, "log", "--format=  %h %s", "refs/bisect/bad", "--not",
			     "--glob=refs/bisect/good-*");

	printf("the first bad commit is one of these %u, the others could not be judged\n", nr);
	print_git(text);
	printf("  steps: %s\n", b->work);
	free(text);
	return EXIT_NOT_FOUND;
}

/* --- the whole --- */

#define GIT_ONLY_SKIPPED_LEFT 2

static int search(struct bisection *b)
{
	unsigned int nr;
	int code = 0;

	if (!worktree_add(b))
		return EXIT_NOT_FOUND;
	nr = count_suspects(b);
	if (nr > 1)
		code = git_bisect_run(b);
	if (cli_is_interrupted)
		return EXIT_INTERRUPTED;
	if (nr > 1)
		nr = count_suspects(b);
	if (nr == 1)
		return report_found(b);
	if (code == GIT_ONLY_SKIPPED_LEFT && nr)
		return report_suspects(b, nr);
	usage_error("bisect: git bisect ended with %d (see %s)", code, b->log);
	return EXIT_NOT_FOUND;
}

static int judge_and_search(struct bisection *b)
{
	int code;

	if (!must_run(b, "cp", "--", b->program, b->pinned))
		return EXIT_NOT_FOUND;
	fprintf(stderr, "bisect: steps are in %s\n", b->work);
	code = is_end_right(b, "good", b->good, BISECT_GOOD) && is_end_right(b, "bad", b->bad, BISECT_BAD) ?
	       search(b) : EXIT_NOT_FOUND;
	if (cli_is_interrupted) {
		fprintf(stderr, "vmassay: bisect: interrupted; the same command begins anew, with the kernels that "
			"are built already\n");
		code = EXIT_INTERRUPTED;
	}
	/* A second interrupt ends the tidying, too. */
	cli_is_interrupted = 0;
	worktree_remove(b);
	unlink(b->pinned);
	return code;
}

static int run_whole(struct bisection *b)
{
	struct bisect_options *bisect = &b->args.bisect;
	int r;

	if (!bisect->tree || !bisect->good || !bisect->bad)
		return usage_error("bisect: option '--%s' is missing (see vmassay bisect --help)",
				   !bisect->tree ? "tree" : !bisect->good ? "good" : "bad");
	r = check_tree(b);
	if (!r)
		r = check_commits(b);
	if (!r)
		r = open_new_work(b);
	if (r)
		return r;
	bisect->tree = b->tree;
	if (!bisect->judge)
		bisect->judge = b->pinned;
	return judge_and_search(b);
}

static int run_bisect(int argc, char **argv)
{
	static struct bisection b;
	int r = args_parse(&b.args, argc, argv, ARGS_BISECT);

	if (r)
		return r < 0 ? 0 : r;
	r = check_tests(&b);
	if (!r)
		r = find_program(&b);
	if (!r)
		r = find_builder(&b);
	if (!r)
		r = find_judge(&b);
	if (r)
		return r;
	interrupts_catch();
	if (!b.args.bisect.variant)
		b.args.bisect.variant = "plain";
	return b.args.bisect.is_step ? run_step(&b) : run_whole(&b);
}

/* Note, git bisect would take EXIT_USAGE for a bad commit: a mistyped step has to end the bisection. */
int cmd_bisect(int argc, char **argv)
{
	int i, code;
	bool is_step = false;

	/* Before args_parse(), which may refuse the line. */
	for (i = 1; i < argc; i++)
		is_step |= !strcmp(argv[i], "--step");
	code = run_bisect(argc, argv);
	return is_step && code == EXIT_USAGE ? BISECT_END : code;
}
