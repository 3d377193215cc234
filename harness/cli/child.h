/* SPDX-License-Identifier: MIT */
/*
 * Runs a program to its end. An interrupt of this process (cli_is_interrupted) ends the program gently, with all that
 * it started: a compiler gets to remove what it was writing. So does this process's death.
 */
#ifndef VMASSAY_CLI_CHILD_H
#define VMASSAY_CLI_CHILD_H

/*
 * @argv[0] is looked for in PATH; stdin is /dev/null. Returns when the program and all in its process group have ended:
 * its exit code, 128 + N after signal N, 127 when it could not be started.
 */
int child_run(const char *const *argv, int stdout_fd, int stderr_fd);

/* The same with stdout and stderr in the file @log, which is made or appended to. 127 when it cannot be opened. */
int child_run_logged(const char *const *argv, const char *log);

/* What the program writes to stdout, without the last newline; free() it. NULL when it does not end with 0. */
char *child_read(const char *const *argv);

#endif
