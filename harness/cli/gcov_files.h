/* SPDX-License-Identifier: MIT */
/*
 * Line coverage of the kernel under test: its counters, read from debugfs inside the lab, carried out as JSON lines,
 * and written to a folder of the one who asked. The kernel is one that ci/kernel/build makes as variant gcov.
 *
 * Source: Documentation/dev-tools/gcov.rst.
 */
#ifndef VMASSAY_GCOV_FILES_H
#define VMASSAY_GCOV_FILES_H

struct err;
struct json_object;

/* Sends each counter file of the running kernel to @fd, one line each. -ENOENT: this kernel has none. */
int gcov_files_send(int fd, struct err *err);

/*
 * Writes the file that @line ({"type":"gcov","path":...,"hex":...}) has to @folder/@boot/path, making folders. Returns 0
 * or -errno; a path that leads out of the folder is -EINVAL.
 */
int gcov_file_take(struct json_object *line, const char *folder, unsigned int boot, struct err *err);

#endif
