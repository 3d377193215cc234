/* SPDX-License-Identifier: MIT */
/*
 * driver N FILE|FOLDER...: a target without a fuzzer. Runs every file, and N mutants of each, always the same ones: by the
 * target's own mutator, or else of bytes.
 */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "rng.h"
#include "target.h"

#define MAX_BYTES (1u << 20)

#pragma weak LLVMFuzzerCustomMutator

static uint8_t original[MAX_BYTES], mutant[MAX_BYTES];
static unsigned long nr_mutants, nr_run;

static size_t mutate_bytes(size_t len_bytes, struct rng *rng)
{
	uint64_t nr = 1 + rng_below(rng, 8);

	if (!len_bytes)
		return 0;
	while (nr--)
		mutant[rng_below(rng, len_bytes)] = (uint8_t)rng_value(rng);
	return rng_percent(rng, 20) ? rng_below(rng, len_bytes) : len_bytes;
}

static void run_mutants(size_t len_bytes)
{
	struct rng rng = { len_bytes };
	unsigned long i;

	for (i = 0; i < nr_mutants; i++) {
		size_t len = len_bytes;

		memcpy(mutant, original, len_bytes);
		if (LLVMFuzzerCustomMutator && rng_percent(&rng, 80))
			len = LLVMFuzzerCustomMutator(mutant, len, MAX_BYTES, (unsigned int)rng_next(&rng));
		else
			len = mutate_bytes(len, &rng);
		LLVMFuzzerTestOneInput(mutant, len);
	}
	nr_run += nr_mutants;
}

static bool run_file(const char *path)
{
	FILE *file = fopen(path, "re");
	size_t len;

	if (!file) {
		fprintf(stderr, "driver: %s: %s\n", path, strerror(errno));
		return false;
	}
	len = fread(original, 1, sizeof(original), file);
	fclose(file);
	LLVMFuzzerTestOneInput(original, len);
	nr_run++;
	run_mutants(len);
	return true;
}

static bool run_path(const char *path)
{
	struct dirent **names;
	struct stat stat_;
	bool ret = true;
	int nr, i;

	if (stat(path, &stat_) || !S_ISDIR(stat_.st_mode))
		return run_file(path);
	nr = scandir(path, &names, NULL, alphasort);
	for (i = 0; i < nr; i++) {
		char file[4096];

		snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name);
		if (names[i]->d_name[0] != '.')
			ret &= run_file(file);
		free(names[i]);
	}
	if (nr >= 0)
		free(names);
	return ret;
}

int main(int argc, char **argv)
{
	bool all = true;
	int i;

	if (argc < 3) {
		fprintf(stderr, "usage: driver MUTANTS FILE|FOLDER...\n");
		return 2;
	}
	nr_mutants = strtoul(argv[1], NULL, 10);
	for (i = 2; i < argc; i++)
		all &= run_path(argv[i]);
	printf("%lu inputs\n", nr_run);
	return all && nr_run ? 0 : 1;
}
