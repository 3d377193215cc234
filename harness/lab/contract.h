/* SPDX-License-Identifier: MIT */
/*
 * What the two halves of a lab agree on: where the initramfs has things, and the lines that
 * process 1 itself sends among the command's own. Both halves are always the same program, so
 * these may change freely.
 */
#ifndef VMASSAY_LAB_CONTRACT_H
#define VMASSAY_LAB_CONTRACT_H

/*
 * One line per module in load order: file name in LAB_MODULE_DIR, parameters. Its presence marks a
 * lab.
 */
#define LAB_MODULES	"/vmassay.modules"
#define LAB_MODULE_DIR	"/modules"

/* The second serial port: results go out, the command's words come in (lab/words.h). */
#define LAB_RESULTS	"/dev/ttyS1"

#define LAB_LINE_BOOT	"{\"type\":\"lab\",\"event\":\"boot\"}"

/* Asks for the next piece of the command's words. The first one says that all is ready for them. */
#define LAB_LINE_NEXT	"{\"type\":\"lab\",\"event\":\"next\"}"

#define LAB_LINE_EXIT	"{\"type\":\"lab\",\"event\":\"exit\",\"code\":%d}"

/* The text holds no quote, backslash or control character. */
#define LAB_LINE_ERROR	"{\"type\":\"lab\",\"event\":\"error\",\"text\":\"%s\"}"

/*
 * Byte before the newline of a line that is to be thrown away: process 1 ends with it what a
 * command that died has left half said.
 */
#define LAB_CANCEL	'\030'

#endif
