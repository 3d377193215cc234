/* SPDX-License-Identifier: MIT */
/* Descriptors and the dispatcher: which table answers which request on which kind of descriptor. */
#include "soft/private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "soft/faults.h"

#define MAX_DATA_BYTES 8192
#define PAGE_BYTES 4096u
#define FIRST_NS 1000000000ull	/* soft_bound() */

/* What a request that no table has gets, as the kernel's own defaults do. */
static const struct {
	const struct answer *tables[24];	/* ends with NULL */
	int unknown;
} kinds[NR_SOFT_KINDS] = {
	[SOFT_SYSTEM] = { { system_answers, system_attr_answers, hyperv_system_answers }, EINVAL },
	[SOFT_VM] = { { vm_answers, vm_state_answers, slot_answers, chip_answers, msr_filter_answers, vm_stats_answers,
		vm_tsc_answers, vm_device_answers, pmu_filter_answers, dirty_ring_answers, hyperv_answers, xen_answers }, ENOTTY },
	[SOFT_VCPU] = { { vcpu_answers, vcpu_state_answers, cpuid_answers, msr_answers, event_answers,
		nested_answers, mce_answers, vcpu_stats_answers, vcpu_tsc_answers, paravirt_answers, chip_vcpu_answers,
		vapic_answers, guest_mmu_answers, guest_debug_answers, smm_answers,
		hyperv_system_answers, xen_vcpu_answers }, EINVAL },
	[SOFT_DEVICE] = { { device_answers }, ENOTTY },
};

static struct soft *soft_of(const struct backend *backend)
{
	/* The interface gives backends that have no state. */
	return (struct soft *)(uintptr_t)backend;
}

uint64_t soft_generation(struct soft *soft)
{
	if (!*soft->process) {
		*soft->process = 1;
		soft->generation++;
	}
	return soft->generation;
}

/* --- the table of descriptors --- */

static int files_grow(struct soft *soft, size_t nr)
{
	struct soft_file **files = realloc(soft->files, nr * sizeof(struct soft_file *));

	if (!files)
		return -ENOMEM;
	memset(files + soft->nr_files, 0, (nr - soft->nr_files) * sizeof(struct soft_file *));
	soft->files = files;
	soft->nr_files = nr;
	return 0;
}

static void file_drop(struct soft *soft, struct soft_file *file);

/* A vCPU's is its shared pages' file; the others' do nothing of their own. */
static int descriptor_make(struct soft *soft, struct soft_vcpu *vcpu)
{
	int fd;

	if (!vcpu || vcpu->run_fd < 0)
		return fcntl(soft->null_fd, F_DUPFD_CLOEXEC, 0);
	fd = vcpu->run_fd;
	vcpu->run_fd = -1;
	return fd;
}

int file_add(struct soft *soft, enum soft_kind kind, struct soft_vm *vm, struct soft_vcpu *vcpu)
{
	struct soft_file *file = calloc(1, sizeof(*file)), *gone = NULL;
	int fd = file ? descriptor_make(soft, vcpu) : -1, r = 0;

	if (fd < 0) {
		r = file ? -errno : -ENOMEM;
		free(file);
		return r;
	}
	*file = (struct soft_file) { .kind = kind, .nr_users = 1, .vm = vm, .vcpu = vcpu };
	pthread_mutex_lock(&soft->lock);
	if ((size_t)fd >= soft->nr_files)
		r = files_grow(soft, ((size_t)fd + 64) & ~63ull);
	if (!r) {
		gone = soft->files[fd];
		soft->files[fd] = file;
	}
	pthread_mutex_unlock(&soft->lock);
	/* The number was of one that was closed past us. */
	if (gone)
		file_drop(soft, gone);
	if (!r)
		return fd;
	close(fd);
	free(file);
	return r;
}

int file_add_of_vm(struct soft *soft, enum soft_kind kind, struct soft_vm *vm, struct soft_vcpu *vcpu)
{
	int fd;

	pthread_mutex_lock(&soft->lock);
	vm->nr_refs++;
	pthread_mutex_unlock(&soft->lock);
	fd = file_add(soft, kind, vm, vcpu);
	if (fd >= 0)
		return fd;
	pthread_mutex_lock(&soft->lock);
	vm->nr_refs--;
	pthread_mutex_unlock(&soft->lock);
	return fd;
}

/* What @fd is a copy of that the kernel made: only vCPUs' files can be told apart. Lock. */
static struct soft_file *file_of_copy(const struct soft *soft, int fd)
{
	struct stat stat;
	size_t i;

	if (fstat(fd, &stat))
		return NULL;
	for (i = 0; i < soft->nr_files; i++)
		if (soft->files[i] && soft->files[i]->vcpu && soft->files[i]->vcpu->run_inode == stat.st_ino &&
		    soft->files[i]->vcpu->run_device == stat.st_dev)
			return soft->files[i];
	return NULL;
}

static struct soft_file *file_get(struct soft *soft, int fd, bool or_copy)
{
	struct soft_file *file = NULL;

	pthread_mutex_lock(&soft->lock);
	if (fd >= 0 && (size_t)fd < soft->nr_files)
		file = soft->files[fd];
	if (!file && or_copy)
		file = file_of_copy(soft, fd);
	if (file)
		file->nr_users++;
	pthread_mutex_unlock(&soft->lock);
	return file;
}

static struct soft_file *file_hold(struct soft *soft, int fd)
{
	return file_get(soft, fd, false);
}

/* The last user of the last file of a VM ends it. */
static void file_drop(struct soft *soft, struct soft_file *file)
{
	bool is_last, ends_vm = false;

	pthread_mutex_lock(&soft->lock);
	is_last = !--file->nr_users;
	if (is_last && file->vm)
		ends_vm = !--file->vm->nr_refs;
	pthread_mutex_unlock(&soft->lock);
	if (ends_vm)
		soft_vm_destroy(file->vm);
	if (is_last)
		free(file);
}

bool soft_has_file(struct soft *soft, int fd)
{
	struct soft_file *file = file_hold(soft, fd);

	if (file)
		file_drop(soft, file);
	return file;
}

bool soft_is_vm(struct soft *soft, int fd)
{
	struct soft_file *file = file_hold(soft, fd);
	bool is_vm = file && file->kind == SOFT_VM;

	if (file)
		file_drop(soft, file);
	return is_vm;
}

/* Puts @file, with the caller's reference, in place of what @fd stands for, which is returned. */
static int file_replace(struct soft *soft, int fd, struct soft_file *file, struct soft_file **ret_old)
{
	int r = 0;

	*ret_old = NULL;
	pthread_mutex_lock(&soft->lock);
	if (file && (size_t)fd >= soft->nr_files)
		r = files_grow(soft, ((size_t)fd + 64) & ~63ull);
	if ((size_t)fd < soft->nr_files) {
		*ret_old = soft->files[fd];
		soft->files[fd] = file;
	}
	pthread_mutex_unlock(&soft->lock);
	return r;
}

int soft_copy_file(struct soft *soft, int fd, int copy_fd)
{
	struct soft_file *file, *old;
	int r;

	if (fd == copy_fd)
		return 0;
	file = file_hold(soft, fd);
	r = file_replace(soft, copy_fd, file, &old);
	if (old)
		file_drop(soft, old);
	if (r)
		file_drop(soft, file);
	return r;
}

/* --- the dispatcher --- */

static const struct answer *answer_find(enum soft_kind kind, unsigned long request)
{
	const struct answer *const *table, *answer;

	for (table = kinds[kind].tables; *table; table++)
		for (answer = *table; answer->give; answer++)
			if (answer->request == request)
				return answer;
	return NULL;
}

static long answer_give(const struct answer *answer, struct call *call)
{
	size_t len = _IOC_SIZE(answer->request);
	unsigned int direction = _IOC_DIR(answer->request);
	uint64_t data[MAX_DATA_BYTES / 8];
	long r;

	if (answer->is_raw)
		return answer->give(call);
	call->data = data;
	if (!(direction & _IOC_WRITE))
		memset(data, 0, len);
	else if (user_read(data, call->argument, len))
		return -EFAULT;
	r = answer->give(call);
	if (r >= 0 && (direction & _IOC_READ) && user_write(call->argument, data, len))
		return -EFAULT;
	return r;
}

static long file_ioctl(struct soft *soft, const struct soft_file *file, unsigned long request, uintptr_t argument)
{
	struct call call = { .soft = soft, .vm = file->vm, .vcpu = file->vcpu, .argument = argument };
	const struct answer *answer;
	long r;

	if (file->vm && file->vm->generation != soft_generation(soft))
		return -EIO;
	if (file->kind == SOFT_VCPU && _IOC_TYPE(request) != KVMIO)
		return -EINVAL;
	answer = answer_find(file->kind, request);
	if (!answer)
		return -kinds[file->kind].unknown;
	if (file->kind != SOFT_VCPU)
		return answer_give(answer, &call);
	pthread_mutex_lock(&file->vcpu->lock);
	r = answer_give(answer, &call);
	pthread_mutex_unlock(&file->vcpu->lock);
	return r;
}

static long soft_ioctl(const struct backend *backend, int fd, unsigned long request, uintptr_t argument)
{
	struct soft *soft = soft_of(backend);
	struct soft_file *file = file_get(soft, fd, true);
	long r;

	if (!file)
		return fcntl(fd, F_GETFD) < 0 ? -EBADF : -ENOTTY;
	/* As the kernel, which knows requests by 32 bits. */
	r = file_ioctl(soft, file, (unsigned int)request, argument);
	file_drop(soft, file);
	return r;
}

/* --- open, mmap, close --- */

static int soft_open(const struct backend *backend)
{
	return file_add(soft_of(backend), SOFT_SYSTEM, NULL, NULL);
}

/* Another view of the vCPU's shared pages: a shared mapping's old length 0 asks for one. */
static void *run_map(struct soft_vcpu *vcpu, size_t len_bytes, uint64_t offset, int *ret_error)
{
	void *address;

	uint8_t *from = (uint8_t *)vcpu->run + offset;

	if (offset == DIRTY_RING_OFFSET && vcpu->dirty_ring.entries && len_bytes <= vcpu->vm->dirty_ring_bytes)
		from = (uint8_t *)vcpu->dirty_ring.entries;
	else if (offset % PAGE_BYTES || offset + len_bytes > SOFT_RUN_BYTES) {
		*ret_error = -EINVAL;
		return NULL;
	}
	/* Nobody else has them (soft_bound()): no view of its own. */
	address = vcpu->run_inode ? mremap(from, 0, len_bytes, MREMAP_MAYMOVE) : from;
	*ret_error = address == MAP_FAILED ? -errno : 0;
	return address == MAP_FAILED ? NULL : address;
}

static void *soft_mmap(const struct backend *backend, int fd, size_t len_bytes, uint64_t offset, int *ret_error)
{
	struct soft *soft = soft_of(backend);
	struct soft_file *file = file_get(soft, fd, true);
	void *address = NULL;

	*ret_error = file ? -ENODEV : -EBADF;
	if (file && file->kind == SOFT_VCPU)
		address = run_map(file->vcpu, len_bytes, offset, ret_error);
	if (file)
		file_drop(soft, file);
	return address;
}

static int soft_munmap(const struct backend *backend, void *address, size_t len_bytes)
{
	if (soft_of(backend)->max_turns)
		return 0;
	return munmap(address, len_bytes) ? -errno : 0;
}

static int soft_close(const struct backend *backend, int fd)
{
	struct soft *soft = soft_of(backend);
	struct soft_file *file = NULL;

	if (fd >= 0)
		file_replace(soft, fd, NULL, &file);
	if (file)
		file_drop(soft, file);
	return close(fd) ? -errno : 0;
}

/* --- life --- */

static const char *soft_parameter(const struct backend *backend, const char *module, const char *name)
{
	/* The last column is of a guest that has the machine itself: nothing emulates. */
	static const char *const parameters[][4] = {
		{ "kvm_amd", "npt", "1", "1" },
		{ "kvm_amd", "nested", "1", "1" },
		{ "kvm", "ignore_msrs", "0", "0" },
		{ "kvm", "enable_pmu", "0", "0" },
		{ "kvm", "tdp_mmu", "1", "1" },
		{ "kvm", "min_timer_period_us", "200", NULL },
		{ "kvm", "force_emulation_prefix", "1", "0" },
	};
	size_t i;

	for (i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++)
		if (!strcmp(parameters[i][0], module) && !strcmp(parameters[i][1], name))
			return parameters[i][((const struct soft *)backend)->is_bare ? 3 : 2];
	return NULL;
}

int soft_create(struct soft **ret_soft)
{
	struct soft *soft = calloc(1, sizeof(*soft));

	if (!soft)
		return -ENOMEM;
	soft->process = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	soft->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (soft->process == MAP_FAILED || soft->null_fd < 0) {
		if (soft->process != MAP_FAILED)
			munmap(soft->process, PAGE_BYTES);
		free(soft);
		return -ENOMEM;
	}
	faults_init();
	soft->tsc_khz = host_tsc_khz();
	madvise(soft->process, PAGE_BYTES, MADV_WIPEONFORK);
	pthread_mutex_init(&soft->lock, NULL);
	soft->backend = (struct backend) {
		.name = "soft-svm",
		.module = "kvm_amd",
		.parameter = soft_parameter,
		.open = soft_open,
		.ioctl = soft_ioctl,
		.mmap = soft_mmap,
		.munmap = soft_munmap,
		.close = soft_close,
	};
	*ret_soft = soft;
	return 0;
}

int soft_create_bare(struct soft **ret_soft)
{
	struct soft *soft;
	int r = soft_create(&soft);

	if (r)
		return r;
	soft->is_bare = true;
	soft->backend.name = "bare";
	*ret_soft = soft;
	return 0;
}

void soft_bound(struct soft *soft, unsigned int max_turns)
{
	if (max_turns && !soft->max_turns)
		faults_renew();
	soft->max_turns = max_turns;
	soft->own_ns = FIRST_NS;
	clock_set(max_turns ? &soft->own_ns : NULL);
	soft->tsc_khz = host_tsc_khz();
	user_direct(max_turns);
}

struct soft_live soft_live(struct soft *soft)
{
	struct soft_live live = { 0 };
	size_t fd;

	pthread_mutex_lock(&soft->lock);
	for (fd = 0; fd < soft->nr_files; fd++)
		live.nr_files += !!soft->files[fd];
	pthread_mutex_unlock(&soft->lock);
	live.nr_vms = __atomic_load_n(&soft->nr_vms, __ATOMIC_RELAXED);
	live.nr_vcpus = __atomic_load_n(&soft->nr_vcpus, __ATOMIC_RELAXED);
	live.nr_unlocked = __atomic_load_n(&soft->nr_unlocked, __ATOMIC_RELAXED);
	return live;
}

void soft_destroy(struct soft *soft)
{
	size_t fd;

	if (!soft)
		return;
	if (soft->max_turns)
		soft_bound(soft, 0);
	for (fd = 0; fd < soft->nr_files; fd++)
		if (soft->files[fd])
			soft_close(&soft->backend, (int)fd);
	free(soft->files);
	spare_chunks_free(soft);
	while (soft->nr_spare_runs)
		munmap(soft->spare_runs[--soft->nr_spare_runs], SOFT_RUN_BYTES);
	close(soft->null_fd);
	munmap(soft->process, PAGE_BYTES);
	pthread_mutex_destroy(&soft->lock);
	free(soft);
}

const struct backend *soft_backend(const struct soft *soft)
{
	return &soft->backend;
}
