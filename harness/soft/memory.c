/* SPDX-License-Identifier: MIT */
/* Pages of the machine's memory that no guest sees: VMCBs, permission maps, nested page tables. */
#include "soft/private.h"

#include <stdlib.h>
#include <sys/mman.h>

#define PAGE_BYTES 4096u
#define CHUNK_PAGES 512u

static int chunk_add(struct soft_vm *vm)
{
	struct soft_chunk *chunk = malloc(sizeof(*chunk));
	size_t len = CHUNK_PAGES * PAGE_BYTES;
	void *host = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (!chunk || host == MAP_FAILED || machine_ram_add(vm->machine, vm->next_chunk_spa, len, host, false)) {
		if (host != MAP_FAILED)
			munmap(host, len);
		free(chunk);
		return -1;
	}
	*chunk = (struct soft_chunk) { vm->chunks, vm->next_chunk_spa, host };
	vm->next_chunk_spa += len;
	vm->chunks = chunk;
	vm->nr_chunk_pages = 0;
	return 0;
}

void *pages_get(struct soft_vm *vm, unsigned int nr_pages, uint64_t *ret_spa)
{
	uint64_t offset;

	if ((!vm->chunks || vm->nr_chunk_pages + nr_pages > CHUNK_PAGES) && chunk_add(vm))
		return NULL;
	offset = (uint64_t)vm->nr_chunk_pages * PAGE_BYTES;
	vm->nr_chunk_pages += nr_pages;
	*ret_spa = vm->chunks->spa + offset;
	return vm->chunks->host + offset;
}

void *pages_host(struct soft_vm *vm, uint64_t spa)
{
	struct soft_chunk *chunk;

	for (chunk = vm->chunks; chunk; chunk = chunk->next)
		if (spa - chunk->spa < CHUNK_PAGES * PAGE_BYTES)
			return chunk->host + (spa - chunk->spa);
	return NULL;
}

void pages_free(struct soft_vm *vm)
{
	while (vm->chunks) {
		struct soft_chunk *chunk = vm->chunks;

		vm->chunks = chunk->next;
		munmap(chunk->host, CHUNK_PAGES * PAGE_BYTES);
		free(chunk);
	}
}
