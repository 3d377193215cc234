/* SPDX-License-Identifier: MIT */
/*
 * A lab: a real Linux kernel's KVM inside an emulator that offers virtualisation extensions, on a machine without them.
 *
 * Outside, lab_run() writes an initramfs that holds this very program with its shared-library closure and the kernel
 * modules, boots it, and turns the JSON lines that come over the second serial port back into results. Inside, the
 * program finds itself as process 1, and lab_init() mounts, loads the modules, runs the command, and powers off.
 * Nothing is left behind: the initramfs lives in a memfd, the serial port is a socket.
 *
 * When the inside is ready for its command, the machine is saved in the user's cache (lab/state.h), and the next boot
 * of the same machine resumes it there.
 */
#ifndef VMASSAY_LAB_H
#define VMASSAY_LAB_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#include "lab/emulator.h"

struct err;

struct lab_options {
	const char *name;		/* "svm" */
	const char *kernel;		/* bzImage; NULL: the newest installed Debian linux-image */
	const char *modules;		/* a lib/modules/VERSION folder; NULL: the one that belongs to the kernel */
	const char *cpu;		/* emulator's CPU model; NULL: the lab's own */
	unsigned int nr_cpus;		/* 0: the lab's own */
	unsigned int memory_mib;	/* 0: the lab's own */
	const char *append;		/* more kernel command line, or NULL */
	const char *const *params;	/* "module.name=value", NULL-terminated; or NULL */
	const char *const *files;	/* absolute paths that the command inside finds too; NULL-terminated, or NULL */
	const char *console;		/* file the kernel's console is appended to; NULL: none kept */
	bool is_fresh;			/* boot, even where a saved machine could be resumed, and save none */
	unsigned int timeout_s;		/* the emulator is ended when no results come for this long; 0: default */
	const volatile sig_atomic_t *is_interrupted;	/* the emulator is ended when set; or NULL */
};

/* A boot's outcome beside the lines it sent. */
struct lab_outcome {
	bool is_complete;	/* the command inside ended and said so */
	int exit_code;		/* its exit code, 128 + N after signal N; meaningful only if complete */
	bool is_resumed;	/* the machine was a saved one; otherwise it was booted */
	double boot_s;		/* from the call to the first line; 0: there was none */
	double save_s;		/* what saving the machine took; 0: it was not tried */
	double total_s;
	char note[512];		/* what is wrong with a saved machine, which cost time and no more; or "" */
	char last_words[1024];	/* when not complete: what process 1 said, or else the emulator's */
	struct emulator_record emulator;	/* how it ended; filled during the boot */
};

struct lab_defaults {
	unsigned int test_timeout_ms;	/* what a test may take: emulators differ by a factor of ten */
	const char *module;		/* the KVM module under test, as /sys/module spells it: "kvm_amd" */
	const char *tdp_param;		/* its parameter for two-dimensional paging: "npt"; NULL: no judging without it */
	unsigned int nr_cpus_smp;	/* of the machine for the tests that want more than one; 0: no judging so */
	unsigned int timeout_s;		/* of silence, where no test may take longer than that */
};

/* The name of the @index-th lab; NULL behind the last one. */
const char *lab_name(size_t index);

/* 0, or -EINVAL with the labs there are in @err; @ret is untouched then. */
int lab_check(const char *name, struct lab_defaults *ret, struct err *err);

/*
 * Boots once, runs @argv (NULL-terminated, argv[0] is the subcommand) inside, and calls @on_line for each complete line
 * that comes back, in order, without its newline. Returns 0 when the emulator was started and has ended (see @outcome),
 * -errno with one line otherwise: unknown lab, missing emulator, kernel or module, with the package that has it.
 */
int lab_boot(const struct lab_options *options, const char *const *argv,
	     void (*on_line)(void *context, const char *line), void *context,
	     struct lab_outcome *outcome, struct err *err);

/* It, or what stands for it in a test. */
typedef int lab_boot_fn(const struct lab_options *options, const char *const *argv,
			void (*on_line)(void *context, const char *line), void *context,
			struct lab_outcome *outcome, struct err *err);

/* True when this process is a lab's process 1 (pid 1 and the marker file of our initramfs exists). */
bool lab_is_inside(void);

/* Inside: writes a file of /proc/sys or /sys; a line when it is refused, and nothing where there is none. */
void lab_setting_write(const char *path, const char *value);

/*
 * Inside: the kernel's watchdogs wait for a minute or two. On a machine that is busy a lab's clock leaps by half a minute,
 * which is no hang; one that lasts is seen by its silence.
 */
void lab_be_patient(void);

/*
 * Process 1 of a lab: mounts, loads modules, and calls @run with the command's words and a descriptor that its JSON
 * lines go to; then reports its exit code and powers off. Never returns.
 */
void lab_init(int (*run)(int argc, char **argv, int results_fd)) __attribute__((noreturn));

/* Inside: reports @code as the command's and powers off at once, from whatever process. */
void lab_end(int results_fd, int code) __attribute__((noreturn));

#endif
