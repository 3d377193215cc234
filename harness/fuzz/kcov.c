/* SPDX-License-Identifier: MIT */
#include "fuzz/kcov.h"

#include <fcntl.h>
#include <linux/kcov.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define NR_WORDS (1u << 18)		/* of one input; what is more is not told */
#define SPAN_BYTES (64u << 20)		/* of the kernel's image */

struct kcov {
	int fd;
	uint64_t *area;			/* a count, and as many addresses */
	uint64_t nr;
	uint8_t seen[SPAN_BYTES / 8];
};

static int kcov_start(struct kcov *kcov)
{
	kcov->fd = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);
	if (kcov->fd < 0 || ioctl(kcov->fd, KCOV_INIT_TRACE, NR_WORDS))
		return -1;
	kcov->area = mmap(NULL, NR_WORDS * sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, kcov->fd, 0);
	if (kcov->area == MAP_FAILED)
		return -1;
	return ioctl(kcov->fd, KCOV_ENABLE, KCOV_TRACE_PC);
}

struct kcov *kcov_open(void)
{
	struct kcov *kcov = calloc(1, sizeof(*kcov));

	if (!kcov || !kcov_start(kcov))
		return kcov;
	kcov_close(kcov);
	return NULL;
}

void kcov_close(struct kcov *kcov)
{
	if (!kcov)
		return;
	if (kcov->area && kcov->area != MAP_FAILED)
		munmap(kcov->area, NR_WORDS * sizeof(uint64_t));
	if (kcov->fd >= 0)
		close(kcov->fd);
	free(kcov);
}

void kcov_begin(struct kcov *kcov)
{
	__atomic_store_n(&kcov->area[0], 0, __ATOMIC_RELAXED);
}

static bool place_take(struct kcov *kcov, uint64_t offset)
{
	if (offset >= SPAN_BYTES || (kcov->seen[offset / 8] >> offset % 8 & 1))
		return false;
	kcov->seen[offset / 8] |= (uint8_t)(1u << offset % 8);
	kcov->nr++;
	return true;
}

void kcov_mark(struct kcov *kcov, uint32_t offset)
{
	place_take(kcov, offset);
}

unsigned int kcov_take(struct kcov *kcov, void (*on_new)(void *context, uint32_t offset), void *context)
{
	uint64_t i, nr = __atomic_load_n(&kcov->area[0], __ATOMIC_RELAXED);
	unsigned int nr_new = 0;

	for (i = 1; i <= nr; i++) {
		uint64_t offset = kcov->area[i] - KCOV_BASE;

		if (!place_take(kcov, offset))
			continue;
		on_new(context, (uint32_t)offset);
		nr_new++;
	}
	return nr_new;
}

/* --- comparisons --- */

/* Documentation/dev-tools/kcov.rst: of a comparison, what it was, both operands, and where. */
struct comparison {
	uint64_t type, one, other, address;
};

static bool kcov_switch(struct kcov *kcov, unsigned long mode)
{
	ioctl(kcov->fd, KCOV_DISABLE, 0);
	kcov_begin(kcov);
	return !ioctl(kcov->fd, KCOV_ENABLE, mode);
}

bool kcov_words_begin(struct kcov *kcov)
{
	if (kcov_switch(kcov, KCOV_TRACE_CMP))
		return true;
	kcov_switch(kcov, KCOV_TRACE_PC);
	return false;
}

/* Small numbers, of either sign, are tried anyway. */
static bool is_word(const struct comparison *comparison)
{
	unsigned int bits = 8u << (comparison->type >> 1 & 3);
	uint64_t last = bits == 64 ? ~0ull : (1ull << bits) - 1;

	return (comparison->type & KCOV_CMP_CONST) && comparison->one != comparison->other && bits > 8 &&
	       comparison->one > 0xff && comparison->one < last - 0xff;
}

void kcov_words_end(struct kcov *kcov, void (*on_word)(void *context, uint64_t value), void *context)
{
	const struct comparison *comparisons = (const struct comparison *)(kcov->area + 1);
	uint64_t i, nr;

	ioctl(kcov->fd, KCOV_DISABLE, 0);
	nr = kcov->area[0];
	for (i = 0; i < nr; i++)
		if (is_word(&comparisons[i]))
			on_word(context, comparisons[i].one);
	kcov_switch(kcov, KCOV_TRACE_PC);
}

uint64_t kcov_nr(const struct kcov *kcov)
{
	return kcov->nr;
}
