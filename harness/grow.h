/* SPDX-License-Identifier: MIT */
/* Arrays that get one element after the other. */
#ifndef VMASSAY_GROW_H
#define VMASSAY_GROW_H

#include <stddef.h>
#include <stdlib.h>

/*
 * @array, which has @nr elements and was only ever grown by this, with room for one more; moved when @nr is a power of
 * two. NULL: no memory, and @array is as it was.
 */
static inline void *grow_by_one(void *array, size_t nr, size_t bytes_each)
{
	return nr & (nr - 1) ? array : reallocarray(array, nr ? 2 * nr : 1, bytes_each);
}

#endif
