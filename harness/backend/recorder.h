/* SPDX-License-Identifier: MIT */
/*
 * A backend in front of another one that notes which calls succeed, and which fail with an errno that was asked for.
 *
 * A call that fails is a fact only when a check says that it had to: recorder_assert(). KVM_CHECK_EXTENSION and
 * KVM_ENABLE_CAP are noted with their capability.
 */
#ifndef VMASSAY_RECORDER_H
#define VMASSAY_RECORDER_H

#include "backend/backend.h"
#include "met.h"

#define RECORDER_MAX_ERRNO 134

struct recorder {
	struct backend backend;		/* for sys_open() */
	const struct backend *inner;
	struct met *met;
	struct met_fact failed[RECORDER_MAX_ERRNO];	/* by errno, the latest call; .error 0: none */
};

/* @inner and @met are borrowed. */
void recorder_open(struct recorder *recorder, const struct backend *inner, struct met *met);

/* The latest call that failed with @error was to. */
void recorder_assert(struct recorder *recorder, int error);

#endif
