/* SPDX-License-Identifier: MIT */
/*
 * One line that says what went wrong, for the person at the terminal.
 *
 * Library code returns 0 or -errno and prints nothing; where a bare errno would not name the file,
 * field or option, it also fills a struct err. The text has no newline and no program name.
 */
#ifndef VMASSAY_ERR_H
#define VMASSAY_ERR_H

struct err {
	char text[512];
};

/* Fills @err (which may be NULL) and returns -@code, so that "return err_set(err, EINVAL, ...)" reads well. */
int err_set(struct err *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
