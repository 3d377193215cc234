/* SPDX-License-Identifier: MIT */
/* Starts a program that does not outlive this one. */
#ifndef VMASSAY_LAB_SPAWN_H
#define VMASSAY_LAB_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Finds @program in PATH. Returns 0, or -ENOENT with @path undefined. */
int spawn_locate(char *path, size_t size_bytes, const char *program);

/* A descriptor that the program has under the same number, and perhaps under another, too. */
struct spawn_fd {
	int fd;		/* above 2, or negative: none */
	int alias;	/* the other number, above all of ours; 0: none */
};

/*
 * Runs @path with stdin from /dev/null, stdout and stderr to @output_fd, and the @nr_inherited
 * descriptors @inherited; nothing else is open in it. Without @has_network it has none, where the
 * kernel lets us take it away: no port that it listens on is reached by others or taken by its
 * like. It gets SIGKILL when the calling thread ends. Returns its process id or -errno; a path that
 * cannot be executed shows as a line on @output_fd and exit code 127.
 */
pid_t spawn_program(const char *path, char *const *argv, int output_fd,
		    const struct spawn_fd *inherited, size_t nr_inherited, bool has_network);

#endif
