/* SPDX-License-Identifier: MIT */
/*
 * Runs an emulator as a child process and watches it until it has ended: results come back as
 * lines, the console is kept, silence ends it. What distinguishes one emulator from another is in
 * struct emulator.
 */
#ifndef VMASSAY_LAB_EMULATOR_H
#define VMASSAY_LAB_EMULATOR_H

#include <stdbool.h>
#include <stddef.h>

#include "lab/strlist.h"

struct err;

/*
 * What is to be booted. The descriptors are open in the child under the same numbers, for it to
 * open as /proc/self/fd/N.
 */
struct emulator_plan {
	const char *kernel;	/* file to boot, which may be /proc/self/fd/N of kernel_fd */
	int kernel_fd;		/* -1: none */
	const char *command_line;
	const char *cpu;
	unsigned int nr_cpus;
	unsigned int memory_mib;
	int initramfs_fd;
	int console_fd;		/* first serial port: the write end of a pipe */
	int results_fd;		/* second serial port, likewise */
};

struct emulator {
	const char *program;
	const char *package;	/* Debian's, for the message that it is missing */

	bool boots_elf;		/* boots a vmlinux by its PVH entry, not only a bzImage */

	/* Adds the command line after the program's name. Returns 0 or -ENOMEM. */
	int (*add_arguments)(struct strlist *argv, const struct emulator_plan *plan);
};

extern const struct emulator emulator_qemu;

struct emulator_watch {
	unsigned int timeout_s;	/* without results for this long the emulator is ended */
	int console_fd;		/* open file that gets a copy of the console; -1: none */

	/* Returns true for the last line that is expected: the emulator is to end soon. */
	bool (*on_line)(void *context, const char *line);
	void *context;
};

/*
 * Runs @emulator on @plan, whose console and results are set here, until it has ended. Returns 0
 * when it was started, with how it ended and its last lines in @last_words; -errno otherwise.
 */
int emulator_run(const struct emulator *emulator, struct emulator_plan *plan,
		 const struct emulator_watch *watch, char *last_words, size_t size_bytes,
		 struct err *err);

#endif
