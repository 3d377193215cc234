/* SPDX-License-Identifier: MIT */
/* Pages of the machine's memory that no guest sees: VMCBs, permission maps, nested page tables. */
#include "soft/private.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE_BYTES 4096u
#define CHUNK_PAGES 512u

#define CHUNK_BYTES ((size_t)CHUNK_PAGES * PAGE_BYTES)
#define MAX_SPARE_CHUNKS 4

/* --- chunks of them: some are kept for the next VM, as making one costs more than all else of a VM --- */

static struct soft_chunk *chunk_make(void)
{
	struct soft_chunk *chunk = calloc(1, sizeof(*chunk));
	void *host = mmap(NULL, CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (chunk && host != MAP_FAILED) {
		chunk->host = host;
		return chunk;
	}
	if (host != MAP_FAILED)
		munmap(host, CHUNK_BYTES);
	free(chunk);
	return NULL;
}

static void chunk_free(struct soft_chunk *chunk)
{
	munmap(chunk->host, CHUNK_BYTES);
	free(chunk);
}

static struct soft_chunk *chunk_get(struct soft *soft)
{
	struct soft_chunk *chunk;

	pthread_mutex_lock(&soft->lock);
	chunk = soft->spare_chunks;
	if (chunk) {
		soft->spare_chunks = chunk->next;
		soft->nr_spare_chunks--;
	}
	pthread_mutex_unlock(&soft->lock);
	return chunk ? chunk : chunk_make();
}

static void chunk_put(struct soft *soft, struct soft_chunk *chunk)
{
	bool is_kept;

	pthread_mutex_lock(&soft->lock);
	is_kept = soft->nr_spare_chunks < MAX_SPARE_CHUNKS;
	if (is_kept) {
		chunk->next = soft->spare_chunks;
		soft->spare_chunks = chunk;
		soft->nr_spare_chunks++;
	}
	pthread_mutex_unlock(&soft->lock);
	if (!is_kept)
		chunk_free(chunk);
}

void spare_chunks_free(struct soft *soft)
{
	while (soft->spare_chunks) {
		struct soft_chunk *chunk = soft->spare_chunks;

		soft->spare_chunks = chunk->next;
		chunk_free(chunk);
	}
}

static int chunk_add(struct soft_vm *vm)
{
	struct soft_chunk *chunk = chunk_get(vm->soft);

	if (!chunk)
		return -1;
	if (machine_ram_add(vm->machine, vm->next_chunk_spa, CHUNK_BYTES, chunk->host, false)) {
		chunk_put(vm->soft, chunk);
		return -1;
	}
	chunk->next = vm->chunks;
	chunk->spa = vm->next_chunk_spa;
	vm->next_chunk_spa += CHUNK_BYTES;
	vm->chunks = chunk;
	vm->nr_chunk_pages = 0;
	return 0;
}

/* --- pages --- */

/* Only what a VM before this one had is not zero yet. */
static void pages_clear(struct soft_chunk *chunk, unsigned int first, unsigned int nr)
{
	unsigned int nr_old = chunk->nr_dirty_pages > first ? chunk->nr_dirty_pages - first : 0;

	memset(chunk->host + (size_t)first * PAGE_BYTES, 0, (size_t)(nr_old < nr ? nr_old : nr) * PAGE_BYTES);
	if (chunk->nr_dirty_pages < first + nr)
		chunk->nr_dirty_pages = first + nr;
}

void *pages_get(struct soft_vm *vm, unsigned int nr_pages, uint64_t *ret_spa)
{
	uint64_t offset;

	if ((!vm->chunks || vm->nr_chunk_pages + nr_pages > CHUNK_PAGES) && chunk_add(vm))
		return NULL;
	offset = (uint64_t)vm->nr_chunk_pages * PAGE_BYTES;
	pages_clear(vm->chunks, vm->nr_chunk_pages, nr_pages);
	vm->nr_chunk_pages += nr_pages;
	*ret_spa = vm->chunks->spa + offset;
	return vm->chunks->host + offset;
}

void *pages_host(struct soft_vm *vm, uint64_t spa)
{
	struct soft_chunk *chunk;

	for (chunk = vm->chunks; chunk; chunk = chunk->next)
		if (spa - chunk->spa < CHUNK_BYTES)
			return chunk->host + (spa - chunk->spa);
	return NULL;
}

void pages_free(struct soft_vm *vm)
{
	while (vm->chunks) {
		struct soft_chunk *chunk = vm->chunks;

		vm->chunks = chunk->next;
		chunk_put(vm->soft, chunk);
	}
}
