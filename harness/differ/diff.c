/* SPDX-License-Identifier: MIT */
#include "differ/diff.h"

#include <stdarg.h>
#include <stdio.h>

#include "vm/x86/state.h"

void diff_say(struct diff *diff, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(diff->buf + diff->len, diff->room - diff->len, format, args);
	va_end(args);
	if (len > 0)
		diff->len = diff->len + (size_t)len < diff->room ? diff->len + (size_t)len : diff->room - 1;
}

bool diff_regs(struct diff *diff, const struct kvm_regs *want, const struct kvm_regs *got)
{
	char fields[512], want_text[1024], got_text[1024];

	if (regs_equal(want, got, fields, want_text, got_text, sizeof(want_text)))
		return false;
	diff_say(diff, "  %s\n  want %s\n  got  %s\n", fields, want_text, got_text);
	return true;
}

bool diff_sregs(struct diff *diff, const struct kvm_sregs *want, const struct kvm_sregs *got)
{
	char fields[512], want_text[1024], got_text[1024];

	if (sregs_equal(want, got, fields, want_text, got_text, sizeof(want_text)))
		return false;
	diff_say(diff, "  %s\n  want %s\n  got  %s\n", fields, want_text, got_text);
	return true;
}

void diff_forget_absent(struct kvm_segment *segment)
{
	if (segment->unusable || !segment->present)
		*segment = (struct kvm_segment){ .selector = segment->selector, .unusable = 1 };
	segment->padding = 0;
}
