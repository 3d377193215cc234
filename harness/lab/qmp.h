/* SPDX-License-Identifier: MIT */
/* QEMU's monitor, as far as it takes to write a machine's state to a file and to go on from there. */
#ifndef VMASSAY_LAB_QMP_H
#define VMASSAY_LAB_QMP_H

struct err;

/*
 * Stops the machine behind the monitor @fd (a UNIX socket nobody has spoken on), writes its state
 * to @state_fd for "-incoming fd:N" and lets it go on, also after a failure. Returns 0 or -errno.
 */
int qmp_save(int fd, int state_fd, struct err *err);

/*
 * Waits, with such a monitor, until a machine's state has been read, and lets it go on. Returns 0
 * or -errno.
 */
int qmp_resume(int fd, struct err *err);

#endif
