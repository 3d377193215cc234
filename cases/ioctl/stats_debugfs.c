/* SPDX-License-Identifier: MIT */
/*
 * debugfs has a folder for each VM, named after its process and its descriptor, with one file for each statistic: a
 * VM's own, and the sum of its vCPUs'; a folder for each vCPU in it; and, above, the sums over all VMs. A counter takes 0
 * to begin anew, and nothing else. The folder goes with the VM.
 *
 * Can break: a file that shows its neighbour's value, a sum that leaves a vCPU out, a folder that stays.
 * Source: virt/kvm (the files are no part of the API; KVM_GET_STATS_FD, KVM API 4.133, has the same values).
 */
#include "cases/ioctl/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

struct row {
	ROW_FIELDS;
	void (*host)(struct test *t);
};

static void path_make(const struct test *t, char *path, size_t len_bytes, const char *name)
{
	snprintf(path, len_bytes, KVM_FOLDER "/%d-%d/%s", getpid(), t->vm->fd, name);
}

static uint64_t vm_value(struct test *t, const char *name)
{
	char path[256];

	path_make(t, path, sizeof(path), name);
	return file_value(t, path);
}

static uint64_t vcpus_sum(struct test *t, const char *name)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < t->vm->nr_vcpus; i++)
		sum += stat_get(t, t->vm->vcpus[i]->fd, name);
	return sum;
}

/* The vCPUs stand still: every statistic has the same value both ways. */
static void host_equal(struct test *t)
{
	struct kvm_stats_header header;
	int owners[] = { t->vm->fd, t->vcpu->fd };
	unsigned int owner, i;

	for (owner = 0; owner < 2; owner++) {
		int fd = sys_call(t->sys, owners[owner], KVM_GET_STATS_FD, 0);

		require_result(t, sizeof(header), pread(fd, &header, sizeof(header), 0));
		for (i = 0; i < header.num_desc; i++) {
			char one[sizeof(struct kvm_stats_desc) + STAT_NAME_BYTES] = { 0 };
			const struct kvm_stats_desc *desc = (const void *)one;
			size_t bytes = sizeof(*desc) + header.name_size;

			require_true(t, pread(fd, one, bytes, header.desc_offset + i * bytes) == (ssize_t)bytes);
			/* Histograms have no file. */
			if (desc->size != 1)
				continue;
			expect_eq(t, owner ? vcpus_sum(t, desc->name) : stat_get(t, t->vm->fd, desc->name),
				  vm_value(t, desc->name));
		}
		close(fd);
	}
}

static void host_sum(struct test *t)
{
	uint64_t first = stat_get(t, t->vm->vcpus[0]->fd, "io_exits");
	uint64_t second = stat_get(t, t->vm->vcpus[1]->fd, "io_exits");

	expect_eq(t, 1, first);
	expect_eq(t, 3, second);
	expect_eq(t, first + second, vm_value(t, "io_exits"));
	expect_true(t, file_value(t, KVM_FOLDER "/io_exits") >= first + second);
}

static long write_try(struct test *t, const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	long r;

	require_true(t, fd >= 0);
	r = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return r;
}

/* All vCPUs', and only this counter. */
static void host_clear(struct test *t)
{
	uint64_t exits = vm_value(t, "exits");
	char path[256];

	path_make(t, path, sizeof(path), "io_exits");
	expect_errno(t, EINVAL, write_try(t, path, "1"));
	expect_errno(t, EINVAL, write_try(t, path, "4"));
	expect_eq(t, 4, vm_value(t, "io_exits"));
	expect_result(t, 0, write_try(t, path, "0"));
	expect_eq(t, 0, vm_value(t, "io_exits"));
	expect_eq(t, 0, vcpus_sum(t, "io_exits"));
	expect_eq(t, exits, vm_value(t, "exits"));
	expect_eq(t, exits, vcpus_sum(t, "exits"));
}

/* What the guest could write is write-protected from here on. */
static void flushes_make(struct test *t)
{
	const struct slot *slot = &t->vm->slots[0];

	require_result(t, 0, vm_region_try(t->vm, slot->id, KVM_MEM_LOG_DIRTY_PAGES, slot->gpa, slot->bytes, slot->hva));
}

/* A VM's own counter, which takes 0 only, too; its neighbours stay. */
static void host_clear_vm(struct test *t)
{
	uint64_t flushes, pages;
	char path[256];

	flushes_make(t);
	pages = vm_value(t, "pages_4k");
	flushes = vm_value(t, "remote_tlb_flush_requests");
	require_true(t, flushes > 0);
	path_make(t, path, sizeof(path), "remote_tlb_flush_requests");
	expect_errno(t, EINVAL, write_try(t, path, "1"));
	expect_eq(t, flushes, vm_value(t, "remote_tlb_flush_requests"));
	expect_result(t, 0, write_try(t, path, "0"));
	expect_eq(t, 0, vm_value(t, "remote_tlb_flush_requests"));
	expect_eq(t, 0, stat_get(t, t->vm->fd, "remote_tlb_flush_requests"));
	expect_eq(t, pages, vm_value(t, "pages_4k"));
	expect_eq(t, 4, vm_value(t, "io_exits"));
}

/* The files above the folders are of all VMs: the sums are read, and cleared. */
static void host_clear_all(struct test *t)
{
	static const char *const names[] = { "io_exits", "remote_tlb_flush_requests" };
	struct vm *other = vm_create(t->sys);
	uint64_t exits = vm_value(t, "exits");
	unsigned int i;
	char path[256];

	vcpu_create(other, 0);
	flushes_make(t);
	for (i = 0; i < 2; i++) {
		uint64_t value = vm_value(t, names[i]);

		require_true(t, value > 0);
		snprintf(path, sizeof(path), KVM_FOLDER "/%s", names[i]);
		expect_true(t, file_value(t, path) >= value);
		expect_errno(t, EINVAL, write_try(t, path, "1"));
		expect_eq(t, value, vm_value(t, names[i]));
		expect_result(t, 0, write_try(t, path, "0"));
		expect_eq(t, 0, vm_value(t, names[i]));
		expect_eq(t, 0, file_value(t, path));
	}
	expect_eq(t, exits, vm_value(t, "exits"));
	expect_true(t, file_value(t, KVM_FOLDER "/pages_4k") >= vm_value(t, "pages_4k"));
	expect_true(t, vm_value(t, "pages_4k") > 0);
	vm_destroy(other);
}

/* A histogram for each size of page: how often each page of the slots is mapped. All pages are in it, once. */
static void host_rmaps(struct test *t)
{
	static const struct { const char *name; uint64_t bytes; } sizes[] = { { "4K", 4096 }, { "2M", 2 << 20 } };
	char path[256], text[4096] = "";
	unsigned int size;
	int fd;

	path_make(t, path, sizeof(path), "mmu_rmaps_stat");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	require_true(t, fd >= 0);
	require_true(t, read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	for (size = 0; size < 2; size++) {
		uint64_t sum = 0, pages = t->vm->slots[0].bytes / sizes[size].bytes, unmapped;
		char line[16], *at, *end;

		snprintf(line, sizeof(line), "Level=%s:\t", sizes[size].name);
		at = strstr(text, line);
		require_true(t, at != NULL);
		at += strlen(line);
		unmapped = strtoull(at, NULL, 10);
		for (; *at && *at != '\n'; at = end + strspn(end, "\t"))
			sum += strtoull(at, &end, 10);
		expect_eq(t, pages, sum);
		/* The guest's code and its report page are mapped. */
		expect_true(t, size || unmapped < pages);
	}
}

/* What is no counter but a state cannot be cleared. */
static void host_read_only(struct test *t)
{
	struct stat status;
	char path[256];

	path_make(t, path, sizeof(path), "pages_4k");
	require_result(t, 0, stat(path, &status));
	expect_eq(t, 0444, status.st_mode & 0777);
	path_make(t, path, sizeof(path), "io_exits");
	require_result(t, 0, stat(path, &status));
	expect_eq(t, 0644, status.st_mode & 0777);
	path_make(t, path, sizeof(path), "vcpu0/guest_mode");
	require_result(t, 0, stat(path, &status));
	expect_eq(t, 0444, status.st_mode & 0777);
}

static void host_vcpu(struct test *t)
{
	uint64_t offset = 0;
	struct kvm_device_attr attr = { .group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET,
					.addr = (uintptr_t)&offset };
	char path[256];

	expect_eq(t, 0, vm_value(t, "vcpu0/guest_mode"));
	expect_eq(t, 0, vm_value(t, "vcpu1/guest_mode"));
	expect_eq(t, getpid(), vm_value(t, "vcpu0/pid"));
	vcpu_ioctl(t->vm->vcpus[1], KVM_GET_DEVICE_ATTR, &attr);
	expect_eq(t, offset, vm_value(t, "vcpu1/tsc-offset"));
	path_make(t, path, sizeof(path), "vcpu2");
	expect_errno(t, ENOENT, access(path, F_OK) ? -errno : 0);
}

/* An open file of it is one of nothing then. */
static void host_gone(struct test *t)
{
	uint64_t all = file_value(t, KVM_FOLDER "/io_exits");
	char path[256], text[8];
	struct vm *vm = vm_create(t->sys);
	int fd;

	expect_eq(t, 2, kvm_folders_of(getpid()));
	snprintf(path, sizeof(path), KVM_FOLDER "/%d-%d/io_exits", getpid(), vm->fd);
	vcpu_create(vm, 0);
	expect_eq(t, 0, file_value(t, path));
	expect_eq(t, all, file_value(t, KVM_FOLDER "/io_exits"));
	vm_destroy(vm);
	expect_errno(t, ENOENT, access(path, F_OK) ? -errno : 0);
	expect_eq(t, 1, kvm_folders_of(getpid()));
	/* A file holds its VM, and the folder with it. */
	vm = vm_create(t->sys);
	snprintf(path, sizeof(path), KVM_FOLDER "/%d-%d/pages_4k", getpid(), vm->fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	vm_destroy(vm);
	expect_true(t, read(fd, text, sizeof(text)) == 2 && !memcmp(text, "0\n", 2));
	close(fd);
	expect_errno(t, ENOENT, access(path, F_OK) ? -errno : 0);
	expect_eq(t, 1, kvm_folders_of(getpid()));
}

static const struct row rows[] = {
	{ .label = "equal", .host = ON_HOST(host_equal) },
	{ .label = "sum", .host = ON_HOST(host_sum) },
	{ .label = "clear", .host = ON_HOST(host_clear) },
	{ .label = "clear_vm", .host = ON_HOST(host_clear_vm) },
	{ .label = "clear_all", .host = ON_HOST(host_clear_all), .needs = "lab" },
	{ .label = "rmaps", .host = ON_HOST(host_rmaps), .needs = "param:kvm_amd.npt=0" },
	{ .label = "read_only", .host = ON_HOST(host_read_only) },
	{ .label = "vcpu", .host = ON_HOST(host_vcpu), .needs = "KVM_CAP_VCPU_ATTRIBUTES stable_tsc" },
	{ .label = "gone", .host = ON_HOST(host_gone) },
};

CASE(stats_debugfs, .says = "debugfs shows the same statistics", .modes = LONG64, .nr_vcpus = 2,
     .needs = "debugfs KVM_CAP_BINARY_STATS_FD", .alone = true, .shadow_too = true, .rows = ROWS(rows))

GUEST(stats_debugfs)
{
	guest_sync(1);
	guest_sync(2);
	guest_sync(3);
}

/* One I/O exit of the first vCPU, three of the second. */
HOST(stats_debugfs)
{
	require_sync(t, 1);
	t->vcpu = t->vm->vcpus[1];
	require_sync(t, 1);
	require_sync(t, 2);
	require_sync(t, 3);
	t->vcpu = t->vm->vcpus[0];
	ROW(t, rows)->host(t);
}
