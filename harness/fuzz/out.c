/* SPDX-License-Identifier: MIT */
#include "fuzz/out.h"

#include <stdarg.h>
#include <stdio.h>

void out_add(struct out *out, const char *format, ...)
{
	size_t left = out->at < out->len_bytes ? out->len_bytes - out->at : 0;
	va_list args;

	va_start(args, format);
	out->at += (size_t)vsnprintf(left ? out->buf + out->at : NULL, left, format, args);
	va_end(args);
}
