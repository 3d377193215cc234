/* SPDX-License-Identifier: MIT */
/* The outer half of a lab: the table of labs, and one boot from options to outcome. */
#include "lab/lab.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "err.h"
#include "lab/closure.h"
#include "lab/contract.h"
#include "lab/emulator.h"
#include "lab/initramfs.h"
#include "lab/kernel.h"
#include "lab/modules.h"
#include "lab/spawn.h"
#include "lab/state.h"
#include "lab/strlist.h"
#include "lab/unpack.h"
#include "lab/words.h"

struct lab {
	const char *name;
	const struct emulator *emulator;
	const char *module;		/* the KVM module to load, as /sys/module spells it */
	const char *tdp_param;		/* its parameter for two-dimensional paging */
	const char *const *params;	/* its and its dependencies' defaults */
	const char *cpu;
	unsigned int nr_cpus;
	unsigned int nr_cpus_smp;	/* of a second machine, for the tests that want more than one; 0: there is none */
	unsigned int memory_mib;
	unsigned int timeout_s;
	unsigned int test_timeout_ms;
	bool outlives_triple_fault;
	const char *command_line;
};

static const char *const svm_params[] = {
	"kvm_amd.nested=1", "kvm.force_emulation_prefix=1", NULL,
};

/*
 * The kernel's command line. An emulated TSC is the host's, thus reliable, but a busy host makes
 * the kernel's watchdog and timer checks say otherwise, and KVM treats guests' TSCs differently
 * on an unstable one. No KASLR: addresses in an oops are those of System.map. The rest is speed: a
 * VM waits for grace periods when it is made and when it ends.
 */
static const char svm_command_line[] =
	"console=ttyS0 quiet panic=-1 nokaslr tsc=reliable no_timer_check mitigations=off "
	"cryptomgr.notests rcupdate.rcu_expedited=1";

/*
 * All that TCG has but for fast string instructions. Where a CPU has them, the kernel clears and copies memory by bytes,
 * each of which is an iteration to TCG: eight times as many as of the quadwords that it takes otherwise.
 */
static const char svm_cpu[] = "max,-erms";

static const char *const vmx_params[] = {
	"kvm_intel.nested=1", "kvm.force_emulation_prefix=1", NULL,
};

/*
 * As above, but the TSC counts instructions, so that neither does the kernel believe in it nor has
 * it to be measured: loops_per_jiffy is given.
 */
static const char bochs_command_line[] =
	"console=ttyS0 quiet panic=-1 nokaslr tsc=unstable lpj=1000000 no_timer_check "
	"mitigations=off cryptomgr.notests rcupdate.rcu_expedited=1";

static const struct lab lab_table[] = {
	{
		.name = "svm",
		.emulator = &emulator_qemu,
		.module = "kvm_amd",
		.tdp_param = "npt",
		.params = svm_params,
		.cpu = svm_cpu,
		.nr_cpus = 1,
		.nr_cpus_smp = 2,
		.memory_mib = 1024,
		.timeout_s = 120,
		.test_timeout_ms = 20000,
		.command_line = svm_command_line,
	},
	{
		.name = "vmx",
		.emulator = &emulator_bochs,
		.module = "kvm_intel",
		.tdp_param = "ept",
		.params = vmx_params,
		.cpu = "corei7_haswell_4770",
		.nr_cpus = 1,
		.memory_mib = 1024,
		.timeout_s = 300,
		.test_timeout_ms = 60000,
		.command_line = bochs_command_line,
	},
	{
		.name = "svm-bochs",
		.emulator = &emulator_bochs,
		.module = "kvm_amd",
		.params = svm_params,
		.cpu = "trinity_apu",
		.nr_cpus = 1,
		.memory_mib = 1024,
		.timeout_s = 300,
		.test_timeout_ms = 60000,
		.outlives_triple_fault = true,
		.command_line = bochs_command_line,
	},
};

/*
 * Time for a resumed machine to say something. What lies in a state that is whole takes a second;
 * one that is not may leave the machine running in circles.
 */
static const unsigned int resume_timeout_s = 20;

/* One boot, as it is put together. */
struct boot {
	const struct lab *lab;
	const struct lab_options *options;
	struct closure closure;
	struct kernel kernel;
	struct strlist modules;		/* files here */
	struct strlist module_lines;
	struct strlist kernel_words;	/* the kernel's command line */
	char *command_line;
	char kernel_path[32];		/* of kernel_fd, when that is used */
	int kernel_fd;
	int initramfs_fd;
	int console_fd;
	struct words words;
	bool has_all_words;		/* the inside does */
	struct state state;
	bool has_state;			/* @state can be asked */
	bool wants_save;		/* once process 1 is ready */
	struct emulator_plan plan;

	void (*on_line)(void *context, const char *line);
	void *context;
	struct lab_outcome *outcome;
	char error[256];		/* what process 1 could not do; or "" */
	double start_s;
	bool has_words;			/* a line that is not empty has come */
};

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static int refuse_lab(const char *name, struct err *err)
{
	struct strlist names = { 0 };
	char *joined;
	int status;

	for (size_t i = 0; i < sizeof(lab_table) / sizeof(*lab_table); i++)
		strlist_add(&names, lab_table[i].name);
	joined = strlist_join(&names, " ");
	status = err_set(err, EINVAL, "unknown lab '%s' (known: %s)", name ? name : "",
			 joined ? joined : "");
	free(joined);
	strlist_free(&names);
	return status;
}

static int find_lab(const struct lab **ret, const char *name, struct err *err)
{
	for (size_t i = 0; i < sizeof(lab_table) / sizeof(*lab_table); i++) {
		if (name && !strcmp(lab_table[i].name, name)) {
			*ret = &lab_table[i];
			return 0;
		}
	}
	return refuse_lab(name, err);
}

int lab_check(const char *name, struct lab_defaults *ret, struct err *err)
{
	const struct lab *lab;
	int status = find_lab(&lab, name, err);

	if (!status)
		*ret = (struct lab_defaults){
			.test_timeout_ms = lab->test_timeout_ms,
			.module = lab->module,
			.tdp_param = lab->tdp_param,
			.nr_cpus_smp = lab->nr_cpus_smp,
			.timeout_s = lab->timeout_s,
		};
	return status;
}

const char *lab_name(size_t index)
{
	return index < sizeof(lab_table) / sizeof(*lab_table) ? lab_table[index].name : NULL;
}

static int find_kernel_and_modules(struct boot *boot, struct err *err)
{
	const struct lab_options *options = boot->options;
	int status = kernel_find(&boot->kernel, options->kernel, options->modules, err);

	if (!status && boot->kernel.modules)
		status = modules_find(&boot->modules, boot->kernel.modules, boot->lab->module, err);
	return status;
}

/* The library folders go to process 1's environment: the kernel passes on what it does not know. */
static void add_library_path(struct strlist *words, const struct closure *closure)
{
	char *folders = strlist_join(&closure->folders, ":");

	if (!folders)
		words->error = -ENOMEM;
	else if (*folders)
		strlist_addf(words, strchr(folders, ' ') ? "\"LD_LIBRARY_PATH=%s\"" :
			     "LD_LIBRARY_PATH=%s", folders);
	free(folders);
}

static int make_command_line(struct boot *boot, struct err *err)
{
	static const size_t max = 2048;		/* COMMAND_LINE_SIZE, x86 */
	struct strlist *words = &boot->kernel_words;
	int status;

	strlist_add(words, boot->lab->command_line);
	add_library_path(words, &boot->closure);
	status = modules_apply_params(&boot->modules, boot->lab->params, boot->options->params,
				      &boot->module_lines, words, err);
	if (status)
		return status;
	if (boot->options->append)
		strlist_add(words, boot->options->append);
	boot->command_line = strlist_join(words, " ");
	if (!boot->command_line)
		return err_set(err, ENOMEM, "out of memory");
	if (strlen(boot->command_line) >= max)
		return err_set(err, E2BIG, "the kernel's command line is over %zu bytes", max - 1);
	return 0;
}

/* Without success, the emulator boots the image as it is, only slower. */
static void unpack(struct boot *boot)
{
	if (!boot->lab->emulator->boots_elf)
		return;
	boot->kernel_fd = unpack_kernel(boot->kernel.image, boot->lab->emulator->needs_pvh);
	if (boot->kernel_fd < 0)
		return;
	snprintf(boot->kernel_path, sizeof(boot->kernel_path), "/proc/self/fd/%d",
		 boot->kernel_fd);
	boot->plan.kernel = boot->kernel_path;
	boot->plan.kernel_fd = boot->kernel_fd;
}

static int open_console(struct boot *boot, struct err *err)
{
	const char *path = boot->options->console;
	int error;

	if (!path)
		return 0;
	boot->console_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	error = errno;
	if (boot->console_fd < 0)
		return err_set(err, error, "%s: %s", path, strerror(error));
	return 0;
}

static int prepare_files(struct boot *boot, const char *const *argv, struct err *err)
{
	int status = find_lab(&boot->lab, boot->options->name, err);

	if (!status)
		status = find_kernel_and_modules(boot, err);
	if (!status)
		status = closure_find(&boot->closure, err);
	if (!status)
		status = make_command_line(boot, err);
	if (!status)
		status = initramfs_create(&boot->initramfs_fd, &boot->closure, &boot->modules,
					  &boot->module_lines, boot->options->files, err);
	if (!status)
		status = open_console(boot, err);
	if (!status && words_pack(&boot->words, argv))
		status = err_set(err, ENOMEM, "out of memory");
	return status;
}

static void make_plan(struct boot *boot)
{
	const struct lab *lab = boot->lab;
	const struct lab_options *options = boot->options;

	boot->plan = (struct emulator_plan){
		.kernel = boot->kernel.image,
		.kernel_fd = -1,
		.command_line = boot->command_line,
		.cpu = options->cpu ? options->cpu : lab->cpu,
		.outlives_triple_fault = lab->outlives_triple_fault,
		.nr_cpus = options->nr_cpus ? options->nr_cpus : lab->nr_cpus,
		.memory_mib = options->memory_mib ? options->memory_mib : lab->memory_mib,
		.initramfs_fd = boot->initramfs_fd,
	};
}

/*
 * All that the machine is when process 1 asks for its words; the initramfs has this program, and
 * so everything it asks of an emulator, the modules and the user's files. NULL: it cannot be said.
 */
static char *make_key(const struct boot *boot)
{
	const struct emulator *emulator = boot->lab->emulator;
	const struct emulator_plan *plan = &boot->plan;
	char initramfs[32], path[PATH_MAX], *key;
	uint64_t kernel_hash, initramfs_hash, program_hash;

	snprintf(initramfs, sizeof(initramfs), "/proc/self/fd/%d", plan->initramfs_fd);
	if (spawn_locate(path, sizeof(path), emulator->binary) ||
	    state_hash_file(&program_hash, path) ||
	    state_hash_file(&kernel_hash, plan->kernel) ||
	    state_hash_file(&initramfs_hash, initramfs))
		return NULL;
	if (asprintf(&key,
		     "emulator %s %016" PRIx64 "\ncpu %s, %u of them\nmemory %u MiB\n"
		     "kernel %016" PRIx64 "\ninitramfs %016" PRIx64 "\ncommand line %s\n",
		     path, program_hash, plan->cpu, plan->nr_cpus, plan->memory_mib,
		     kernel_hash, initramfs_hash, plan->command_line) < 0)
		return NULL;
	return key;
}

/* Without a place for it, or a key, there is no state, and the boot is a fresh one. */
static void find_state(struct boot *boot)
{
	char *key;

	if (boot->options->is_fresh || !boot->lab->emulator->save)
		return;
	key = make_key(boot);
	boot->has_state = key && !state_open(&boot->state, key);
	free(key);
	if (!boot->has_state)
		return;
	if (state_is_there(&boot->state))
		boot->plan.state = boot->state.folder;
	else
		boot->wants_save = true;
}

static int prepare(struct boot *boot, const char *const *argv, struct err *err)
{
	int status = prepare_files(boot, argv, err);

	if (status)
		return status;
	make_plan(boot);
	find_state(boot);
	return 0;
}

/* What cannot be kept only costs the next run its time. */
static void save_state(struct boot *boot)
{
	double start_s = now_s();
	struct err err = { "" };
	int status = state_begin(&boot->state, &err);

	boot->wants_save = false;
	if (!status)
		status = boot->lab->emulator->save(&boot->plan, boot->state.new_folder, &err);
	if (!status)
		status = state_keep(&boot->state, &err);
	boot->outcome->save_s = now_s() - start_s;
	if (status)
		snprintf(boot->outcome->note, sizeof(boot->outcome->note),
			 "the machine is not saved: %.400s", err.text);
}

/* A port that is closed belongs to an emulator that has died, which will be seen soon. */
static void send_words(struct boot *boot)
{
	char piece[WORDS_HEAD_BYTES + WORDS_PIECE_MAX_BYTES];
	size_t len = words_next(&boot->words, piece);

	boot->has_all_words = len == WORDS_HEAD_BYTES;
	emulator_send(&boot->plan, piece, len);
}

/*
 * QEMU loses an interrupt now and then while a machine of the lab's runs (finding 2801), and the kernel stands still until
 * another one comes. A byte at the serial port is one; once the words are there, nobody reads it.
 */
static void nudge(void *context)
{
	struct boot *boot = context;

	if (boot->has_all_words && boot->lab->emulator->port == EMULATOR_SOCKET)
		emulator_nudge(&boot->plan);
}

/* If @line is process 1's own, takes it and returns true; @is_last is set by the exit code. */
static bool take_own_line(struct boot *boot, const char *line, bool *is_last)
{
	size_t len = strlen(line);
	int code;
	int end = 0;

	if (!len || line[len - 1] == LAB_CANCEL || !strcmp(line, LAB_LINE_BOOT))
		return true;
	if (!strcmp(line, LAB_LINE_NEXT)) {
		if (boot->wants_save)
			save_state(boot);
		send_words(boot);
		return true;
	}
	if (sscanf(line, LAB_LINE_EXIT "%n", &code, &end) == 1 && (size_t)end == len) {
		boot->outcome->is_complete = true;
		boot->outcome->exit_code = code;
		return *is_last = true;
	}
	end = strcspn(LAB_LINE_ERROR, "%");
	if (!strncmp(line, LAB_LINE_ERROR, end)) {
		snprintf(boot->error, sizeof(boot->error), "%.*s",
			 (int)strcspn(line + end, "\""), line + end);
		return *is_last = true;
	}
	return false;
}

static bool take_line(void *context, const char *line)
{
	struct boot *boot = context;
	bool is_last = false;

	if (!boot->has_words && *line) {
		boot->has_words = true;
		boot->outcome->boot_s = now_s() - boot->start_s;
	}
	if (!take_own_line(boot, line, &is_last))
		boot->on_line(boot->context, line);
	return is_last;
}

/*
 * The machine that is resumed asked before it was saved. If it cannot be resumed, its emulator
 * ends, now or for its silence.
 */
static void take_start(void *context)
{
	struct boot *boot = context;
	const struct emulator *emulator = boot->lab->emulator;

	if (boot->plan.state &&
	    !(emulator->resume && emulator->resume(&boot->plan, NULL)))
		send_words(boot);
}

static int run(struct boot *boot, struct err *err)
{
	const struct lab_options *options = boot->options;
	struct lab_outcome *outcome = boot->outcome;
	unsigned int timeout_s = options->timeout_s ? options->timeout_s : boot->lab->timeout_s;
	struct emulator_watch watch = {
		.timeout_s = timeout_s,
		.console_fd = boot->console_fd,
		.is_interrupted = options->is_interrupted,
		.on_start = take_start,
		.on_line = take_line,
		.on_silence = nudge,
		.context = boot,
	};

	if (boot->plan.state)
		watch.first_timeout_s = timeout_s < resume_timeout_s ? timeout_s : resume_timeout_s;
	if (!boot->plan.state)
		unpack(boot);
	outcome->is_resumed = boot->plan.state;
	return emulator_run(boot->lab->emulator, &boot->plan, &watch, &outcome->emulator, err);
}

static bool is_interrupted(const struct boot *boot)
{
	return boot->options->is_interrupted && *boot->options->is_interrupted;
}

/* A state from which not one word comes is removed, and its machine booted and saved anew. */
static int run_or_rerun(struct boot *boot, struct err *err)
{
	struct lab_outcome *outcome = boot->outcome;
	int status = run(boot, err);

	if (!outcome->is_resumed || boot->has_words || is_interrupted(boot))
		return status;
	snprintf(outcome->note, sizeof(outcome->note),
		 "the saved machine does not run, booting a fresh one: %.400s",
		 status && err ? err->text : outcome->emulator.last_words);
	state_remove(&boot->state);
	boot->plan.state = NULL;
	boot->wants_save = true;
	boot->words.sent_bytes = 0;
	return run(boot, err);
}

static void conclude(struct boot *boot)
{
	struct lab_outcome *outcome = boot->outcome;

	outcome->total_s = now_s() - boot->start_s;
	if (!outcome->is_complete)
		snprintf(outcome->last_words, sizeof(outcome->last_words), "%s",
			 *boot->error ? boot->error : outcome->emulator.last_words);
}

static void free_boot(struct boot *boot)
{
	if (boot->console_fd >= 0)
		close(boot->console_fd);
	if (boot->initramfs_fd >= 0)
		close(boot->initramfs_fd);
	if (boot->kernel_fd >= 0)
		close(boot->kernel_fd);
	state_close(&boot->state);
	words_free(&boot->words);
	free(boot->command_line);
	strlist_free(&boot->kernel_words);
	strlist_free(&boot->module_lines);
	strlist_free(&boot->modules);
	kernel_free(&boot->kernel);
	closure_free(&boot->closure);
}

int lab_boot(const struct lab_options *options, const char *const *argv,
	     void (*on_line)(void *context, const char *line), void *context,
	     struct lab_outcome *outcome, struct err *err)
{
	struct boot boot = {
		.options = options,
		.kernel_fd = -1,
		.initramfs_fd = -1,
		.console_fd = -1,
		.on_line = on_line,
		.context = context,
		.outcome = outcome,
		.start_s = now_s(),
	};
	int status;

	*outcome = (struct lab_outcome){ 0 };
	status = prepare(&boot, argv, err);
	if (!status)
		status = run_or_rerun(&boot, err);
	conclude(&boot);
	free_boot(&boot);
	return status;
}
