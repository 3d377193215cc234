/* SPDX-License-Identifier: MIT */
/* The lab's initramfs: this program as /init, what it needs, the kernel's modules. */
#ifndef VMASSAY_LAB_INITRAMFS_H
#define VMASSAY_LAB_INITRAMFS_H

struct closure;
struct err;
struct strlist;

/*
 * Writes it into a memfd, close-on-exec. @modules are files on this machine; @module_lines are one
 * for each, as modules_apply_params() makes them; @files is NULL-terminated, or NULL. The same
 * arguments give the same bytes. @ret_fd is untouched on failure.
 */
int initramfs_create(int *ret_fd, const struct closure *closure, const struct strlist *modules,
		     const struct strlist *module_lines, const char *const *files, struct err *err);

#endif
