/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/brief.h"
#include "cli/cli.h"
#include "cli/gcov_files.h"
#include "err.h"
#include "soft/soft.h"

bool host_has_kvm(void)
{
	char line[8192];
	FILE *file = fopen("/proc/cpuinfo", "re");
	bool has_flag = false;

	while (file && !has_flag && fgets(line, sizeof(line), file))
		has_flag = !strncmp(line, "flags", 5) && (strstr(line, " svm ") || strstr(line, " vmx "));
	if (file)
		fclose(file);
	return has_flag && !access("/dev/kvm", R_OK | W_OK);
}

/* That this process may use; two tests for each, as one may be waiting for a time to come. */
static unsigned int cpus_count(void)
{
	cpu_set_t cpus;

	return sched_getaffinity(0, sizeof(cpus), &cpus) ? 1 : CPU_COUNT(&cpus);
}

/* In process, on the executable machine: the target that every machine has. */
static int soft_choose(struct args *args, bool is_bare)
{
	struct soft *soft;
	int r = is_bare ? soft_create_bare(&soft) : soft_create(&soft);

	if (r)
		return usage_error("run: %s: %s", args->run.target, strerror(-r));
	args->soft = soft;
	args->run.backend = soft_backend(soft);
	args->run.kmsg = NULL;
	args->run.shares_processes = !args->is_isolated;
	if (!args->run.nr_jobs)
		args->run.nr_jobs = 2 * cpus_count();
	args->selection.target = args->run.target;
	return 0;
}

/*
 * The target when none is named. A /dev/kvm on a CPU without SVM and VMX is answered by something that this suite is
 * not meant for, and stressing it may disturb the machine: it must be asked for by name.
 */
static int target_choose(struct args *args)
{
	bool is_inside = args->results_fd >= 0;

	if (!args->run.target && !is_inside && !host_has_kvm()) {
		fprintf(stderr, "vmassay: no KVM on virtualisation hardware here: running on soft-svm, the self-contained "
			"hypervisor (--target kvm insists on /dev/kvm; labs: vmassay lab)\n");
		args->run.target = "soft-svm";
	}
	if (!args->run.target)
		args->run.target = "kvm";
	if (!is_inside && !strcmp(args->run.target, "soft-svm"))
		return soft_choose(args, false);
	if (!is_inside && !strcmp(args->run.target, "bare"))
		return soft_choose(args, true);
	if (!is_inside && strcmp(args->run.target, "kvm"))
		return usage_error("run: unknown target '%s' (there are: kvm, soft-svm, bare; labs: vmassay lab)",
				   args->run.target);
	args->run.backend = backend_kvm();
	args->run.kmsg = "/dev/kmsg";
	args->run.owns_kernel = is_inside;
	args->selection.target = args->run.target;
	return 0;
}

/* Inside a lab there is one way out. */
static int sinks_open(const struct args *args, const struct plan *plan, struct sink **sinks)
{
	struct err err;

	if (args->results_fd < 0)
		return outputs_open(args, sinks);
	memset(sinks, 0, RUN_MAX_SINKS * sizeof(*sinks));
	return sink_brief_open(args->results_fd, plan, sinks, &err) ? usage_error("%s", err.text) : 0;
}

static int run_tests(struct args *args)
{
	struct sink *sinks[RUN_MAX_SINKS];
	struct registry registry;
	struct summary summary;
	struct plan plan;
	struct err err;
	int r, code;

	if (registry_open(&registry, &err))
		return usage_error("%s", err.text);
	r = plan_open(&plan, &registry, &args->selection, &err);
	if (r) {
		code = usage_error("%s", err.text);
		goto out_registry;
	}
	code = sinks_open(args, &plan, sinks);
	if (code)
		goto out_plan;
	interrupts_catch();
	args->run.is_interrupted = &cli_is_interrupted;
	r = run_plan(&plan, &registry, &args->run, sinks, &summary, &err);
	if (!r && args->send_gcov && args->results_fd >= 0)
		r = gcov_files_send(args->results_fd, &err);
	code = outputs_close(sinks);
	if (r < 0) {
		usage_error("%s", err.text);
		code = 99;
	}
	/* A process that ends releases what it holds of KVM, which such a kernel may not survive. */
	if (r == RUN_LEFT && args->results_fd >= 0)
		lab_end(args->results_fd, EXIT_LEFT);
	if (!code)
		code = cli_is_interrupted ? EXIT_INTERRUPTED :
		       plan.nr_items ? summary_exit_code(&summary) : 0;
out_plan:
	plan_close(&plan);
out_registry:
	registry_close(&registry);
	return code;
}

int cmd_run(int argc, char **argv)
{
	struct args args;
	int r = args_parse(&args, argc, argv, ARGS_RUN);

	if (r)
		return r < 0 ? 0 : r;
	args.results_fd = cli_results_fd;
	r = target_choose(&args);
	if (r)
		return r;
	r = args.guest ? guest_run(&args) : run_tests(&args);
	soft_destroy(args.soft);
	return r;
}
