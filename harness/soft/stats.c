/* SPDX-License-Identifier: MIT */
#include "soft/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "soft/private.h"

#define NAME_BYTES 48

#define STAT_NAME(name_) #name_,
static const char *const vm_names[] = { VM_STATS(STAT_NAME) };
static const char *const vcpu_names[] = { VCPU_STATS(STAT_NAME) };
#undef STAT_NAME

_Static_assert(NR_VM_STATS <= MAX_STATS && NR_VCPU_STATS <= MAX_STATS, "room for all values");

struct stats_desc {
	struct kvm_stats_desc desc;
	char name[NAME_BYTES];
};

/* The file, as far as it does not depend on how many there are. */
struct stats_head {
	struct kvm_stats_header header;
	char id[NAME_BYTES];
	struct stats_desc descs[];
};

static size_t data_offset(unsigned int nr)
{
	return sizeof(struct stats_head) + nr * sizeof(struct stats_desc);
}

static size_t file_bytes(unsigned int nr)
{
	return data_offset(nr) + nr * sizeof(uint64_t);
}

static void head_fill(struct stats_head *head, const char *id, const char *const *names, unsigned int nr)
{
	unsigned int i;

	head->header = (struct kvm_stats_header) {
		.name_size = NAME_BYTES, .num_desc = nr, .id_offset = offsetof(struct stats_head, id),
		.desc_offset = offsetof(struct stats_head, descs), .data_offset = (uint32_t)data_offset(nr),
	};
	snprintf(head->id, sizeof(head->id), "%s", id);
	for (i = 0; i < nr; i++) {
		head->descs[i].desc = (struct kvm_stats_desc) {
			.flags = KVM_STATS_TYPE_CUMULATIVE | KVM_STATS_UNIT_NONE | KVM_STATS_BASE_POW10,
			.size = 1, .offset = i * (uint32_t)sizeof(uint64_t),
		};
		snprintf(head->descs[i].name, NAME_BYTES, "%s", names[i]);
	}
}

static int file_make(struct soft_stats *stats, const char *id, const char *const *names, unsigned int nr)
{
	int fd = memfd_create("kvm-stats", MFD_CLOEXEC);
	void *file = MAP_FAILED;

	if (fd < 0)
		return -errno;
	if (!ftruncate(fd, (off_t)file_bytes(nr)))
		file = mmap(NULL, file_bytes(nr), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (file == MAP_FAILED) {
		close(fd);
		return -ENOMEM;
	}
	head_fill(file, id, names, nr);
	memcpy((uint8_t *)file + data_offset(nr), stats->own, nr * sizeof(uint64_t));
	stats->fd = fd;
	stats->file_values = (uint64_t *)((uint8_t *)file + data_offset(nr));
	return 0;
}

/* Another open file, for it has a position of its own and is only read. */
static int file_open(const struct soft_stats *stats)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", stats->fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int stats_give(struct soft_stats *stats, const char *id, const char *const *names, unsigned int nr)
{
	int r = stats->file_values ? 0 : file_make(stats, id, names, nr);

	return r ? r : file_open(stats);
}

void stats_free(struct soft_stats *stats)
{
	uintptr_t page;

	if (!stats->file_values)
		return;
	/* The file is less than a page. */
	page = (uintptr_t)stats->file_values & ~(uintptr_t)4095;
	munmap((void *)page, 4096);
	close(stats->fd);
	stats->file_values = NULL;
}

_Static_assert(sizeof(struct stats_head) + MAX_STATS * (sizeof(struct stats_desc) + sizeof(uint64_t)) <= 4096,
	       "stats_free() unmaps a page");

static long answer_vm_stats(struct call *call)
{
	char id[NAME_BYTES];
	long r;

	snprintf(id, sizeof(id), "kvm-%d", (int)getpid());
	vm_lock(call->vm);
	r = stats_give(&call->vm->stats, id, vm_names, NR_VM_STATS);
	vm_unlock(call->vm);
	return r;
}

static long answer_vcpu_stats(struct call *call)
{
	char id[NAME_BYTES];

	snprintf(id, sizeof(id), "kvm-%d/vcpu-%u", (int)getpid(), call->vcpu->id);
	return stats_give(&call->vcpu->stats, id, vcpu_names, NR_VCPU_STATS);
}

const struct answer vm_stats_answers[] = {
	{ KVM_GET_STATS_FD, answer_vm_stats, true },
	{ 0, NULL, false },
};

const struct answer vcpu_stats_answers[] = {
	{ KVM_GET_STATS_FD, answer_vcpu_stats, true },
	{ 0, NULL, false },
};
