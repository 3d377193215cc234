/* SPDX-License-Identifier: MIT */
/*
 * What a Linux kernel says about itself, read from its log or its console: which lines report that it is broken, and
 * how badly. Lines may have the time and the caller before them, as the console shows them.
 */
#ifndef VMASSAY_KERNEL_LOG_H
#define VMASSAY_KERNEL_LOG_H

#include <stddef.h>

/* Ordered: the worst wins. */
enum kernel_report {
	KERNEL_QUIET,	/* nothing of the kind */
	KERNEL_WARNS,	/* WARN, KASAN, UBSAN, lockdep, an RCU stall: it goes on */
	KERNEL_OOPSES,	/* a process died or is stuck in it, perhaps with locks held */
	KERNEL_DIES,	/* panic */
};

struct kernel_words {
	enum kernel_report worst;
	char headline[320];	/* "the kernel reported: " and what first, with the place if a line names it; or "" */
	int pid;		/* of the task that was running then; -1: not told */
	char comm[17];		/* its name; "" */
};

enum kernel_report kernel_line_report(const char *line);

/* Reads the lines of @text. */
void kernel_text_read(const char *text, struct kernel_words *ret);

/*
 * The lines of @text that are worth a place in a report, malloced: all, or, when they are many, the first ones, those
 * from the first report on, and the last ones, with a line for each gap. NULL only when out of memory.
 */
char *kernel_text_excerpt(const char *text);

#endif
