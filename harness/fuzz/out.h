/* SPDX-License-Identifier: MIT */
/* Text that is put together in a buffer which may be too small: as snprintf(), over several calls. */
#ifndef VMASSAY_FUZZ_OUT_H
#define VMASSAY_FUZZ_OUT_H

#include <stddef.h>

struct out {
	char *buf;		/* ends with a zero byte unless .len_bytes is 0 */
	size_t len_bytes;
	size_t at;		/* the length that all of it needs, without the zero byte */
};

void out_add(struct out *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
