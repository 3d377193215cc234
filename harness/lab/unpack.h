/* SPDX-License-Identifier: MIT */
/*
 * Unpacks a compressed kernel on this side of the emulator, which would take three times as long:
 * it is most of what a boot takes until the kernel's first instruction.
 */
#ifndef VMASSAY_LAB_UNPACK_H
#define VMASSAY_LAB_UNPACK_H

#include <stdbool.h>

/*
 * Returns a memfd, close-on-exec, with the ELF kernel inside the bzImage @image, or -errno: one
 * that cannot be unpacked, or lacks the PVH entry that @needs_pvh wants, is to be booted as it is.
 */
int unpack_kernel(const char *image, bool needs_pvh);

#endif
