/* SPDX-License-Identifier: MIT */
/* The names of KVM_CHECK_EXTENSION's capabilities that an x86 kernel can have. */
#ifndef VMASSAY_CAPS_H
#define VMASSAY_CAPS_H

#include <stddef.h>

struct cap {
	const char *name;	/* KVM_CAP_... */
	int number;		/* KVM_CAP_IRQCHIP is 0 */
};

extern const struct cap caps[];
extern const size_t nr_caps;

/* The capability's number, -1 when no row has the name. */
int cap_from_name(const char *name, size_t len);

#endif
