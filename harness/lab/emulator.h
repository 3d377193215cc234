/* SPDX-License-Identifier: MIT */
/*
 * Runs an emulator as a child process and watches it until it has ended: results come back as
 * lines, the console is kept, silence ends it. What distinguishes one emulator from another is in
 * struct emulator.
 */
#ifndef VMASSAY_LAB_EMULATOR_H
#define VMASSAY_LAB_EMULATOR_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lab/stream.h"
#include "lab/strlist.h"

struct err;

/* What an emulator makes of a plan, to boot from; each a descriptor like those of the plan. */
enum emulator_medium {
	EMULATOR_DISK,
	EMULATOR_CONFIGURATION,
	EMULATOR_STATE,
	EMULATOR_HOOK,
	NR_EMULATOR_MEDIA,
};

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
	bool outlives_triple_fault;	/* goes on to what the CPU does then, instead of ending */
	int initramfs_fd;
	int console_fd;		/* first serial port: the write end of a pipe */
	int results_fd;		/* second serial port, of the emulator's kind */
	int monitor_fd;		/* -1: none */
	int media_fds[NR_EMULATOR_MEDIA];	/* -1: none */
	const char *state;	/* folder of a saved machine to resume instead of booting; NULL: boot */

	/* Our own ends, valid while emulator_run() lasts. */
	int send_fd;		/* what is written arrives at the second serial port; -1: goes nowhere */
	int control_fd;		/* the monitor's; -1: none */
	pid_t pid;		/* the emulator's */
};

/*
 * Numbers under which the child has descriptors of the plan besides their own, the same in every
 * run: for an emulator whose saved machines remember them. Above all that this program opens.
 */
enum emulator_alias {
	EMULATOR_ALIAS_CONSOLE = 240,
	EMULATOR_ALIAS_RESULTS,
	EMULATOR_ALIAS_DISK,
};

/* What the second serial port is connected to. */
enum emulator_port {
	EMULATOR_PIPE,		/* nothing can be sent */
	EMULATOR_SOCKET,	/* both ways; the child has it under its number, and cannot open it */
	EMULATOR_TERMINAL,	/* both ways; a raw one, which keeps 64 KiB for us and drops what is more */
};

struct emulator {
	const char *program;
	const char *binary;	/* what that one runs in the end: another version is another machine */
	const char *package;	/* Debian's: "package x", "packages x y" */

	bool listens;		/* opens a port that nobody asked for */
	bool boots_elf;		/* boots a vmlinux, not only a bzImage */
	bool needs_pvh;		/* and that only by its PVH entry */
	enum emulator_port port;

	/* Adds to the plan's media what it wants; the caller closes them. NULL: nothing. */
	int (*make_media)(struct emulator_plan *plan, struct err *err);

	/* Adds "NAME=VALUE" to its environment. Returns 0 or -ENOMEM. NULL: there is none to add. */
	int (*add_environment)(struct strlist *environment, const struct emulator_plan *plan);

	/* Adds the command line after the program's name. Returns 0 or -ENOMEM. */
	int (*add_arguments)(struct strlist *argv, const struct emulator_plan *plan);

	/*
	 * Writes the running machine's state into @folder, from where @plan.state resumes it, and
	 * lets it go on. NULL: cannot, and has no monitor.
	 */
	int (*save)(const struct emulator_plan *plan, const char *folder, struct err *err);

	/* Lets a machine that was saved go on once it takes what is sent. NULL: it does. */
	int (*resume)(const struct emulator_plan *plan, struct err *err);
};

extern const struct emulator emulator_qemu;
extern const struct emulator emulator_bochs;

struct emulator_watch {
	unsigned int timeout_s;	/* without results for this long the emulator is ended, sooner after an oops */
	unsigned int first_timeout_s;	/* for the first line that is not empty; 0: no different */
	int console_fd;		/* open file that gets a copy of the console; -1: none */
	const volatile sig_atomic_t *is_interrupted;	/* the emulator is ended when set; or NULL */

	/* The emulator runs; NULL: no matter. */
	void (*on_start)(void *context);

	/* Returns true for the last line that is expected: the emulator is to end soon. */
	bool (*on_line)(void *context, const char *line);

	/* Nothing has come for some seconds; again and again until something does. NULL: no matter. */
	void (*on_silence)(void *context);
	void *context;
};

enum emulator_end {
	EMULATOR_ENDED,		/* by itself, with status 0 */
	EMULATOR_FAILED,	/* by itself: another status, or a signal that was not ours */
	EMULATOR_BUSY,		/* it was at work, but sent no results for too long, and was ended */
	EMULATOR_IDLE,		/* likewise, but did nothing */
	EMULATOR_TOLD,		/* interrupted, or ended because it went on after the last line */
};

/* How it went; all zero before. */
struct emulator_record {
	enum emulator_end end;
	char last_words[1024];	/* how it ended, and the last lines of its stderr and the console */
	struct tail console;	/* valid while it runs, too */
};

/*
 * Runs @emulator on @plan, whose descriptors except kernel and initramfs are set here, until it has ended. Returns 0
 * when it was started; -errno otherwise.
 */
int emulator_run(const struct emulator *emulator, struct emulator_plan *plan,
		 const struct emulator_watch *watch, struct emulator_record *record,
		 struct err *err);

/* To the second serial port, from within on_line. Returns 0 or -errno. */
int emulator_send(const struct emulator_plan *plan, const char *bytes, size_t len_bytes);
/* A byte that nobody has to read; nothing where an emulator that hangs has left too many of them. */
void emulator_nudge(const struct emulator_plan *plan);

#endif
