/* SPDX-License-Identifier: MIT */
/* Random numbers that are a function of their seed, for instances and inputs that must be made again. */
#ifndef VMASSAY_RNG_H
#define VMASSAY_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct rng {
	uint64_t state;
};

/* splitmix64: any state is a good seed. */
static inline uint64_t rng_next(struct rng *rng)
{
	uint64_t z = rng->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* 0 to @n - 1; @n is not 0. */
static inline uint64_t rng_below(struct rng *rng, uint64_t n)
{
	return rng_next(rng) % n;
}

static inline bool rng_percent(struct rng *rng, unsigned int percent)
{
	return rng_below(rng, 100) < percent;
}

/* A number near where something changes, or any. */
static inline uint64_t rng_value(struct rng *rng)
{
	switch (rng_below(rng, 6)) {
	case 0:
		return rng_below(rng, 5) - 2;
	case 1:
		return (1ull << rng_below(rng, 64)) + rng_below(rng, 3) - 1;
	case 2:
		return 0 - (1ull << rng_below(rng, 64)) + rng_below(rng, 3) - 1;
	case 3:
		return rng_next(rng) >> rng_below(rng, 64);
	case 4:
		return rng_below(rng, 256) * 0x0101010101010101ull;
	default:
		return rng_next(rng);
	}
}

#endif
