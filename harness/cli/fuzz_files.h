/* SPDX-License-Identifier: MIT */
/* "vmassay fuzz minimise", "merge" and "export": what is done with files that searches have left. */
#ifndef VMASSAY_CLI_FUZZ_FILES_H
#define VMASSAY_CLI_FUZZ_FILES_H

/* argv[0] is the command's name; each returns the exit code. */
int fuzz_minimise(int argc, char **argv);
int fuzz_merge(int argc, char **argv);
int fuzz_export(int argc, char **argv);

#endif
