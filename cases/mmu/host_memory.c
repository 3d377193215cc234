/* SPDX-License-Identifier: MIT */
/*
 * What user space and the host's kernel do to the memory behind a slot, the guest sees at its next access: pages that are
 * discarded, punched out of a file, protected, moved, shared by fork() until one side writes. The last rows do it while
 * the guest runs.
 *
 * Every stage touches the page before and after, so that translations are there to go stale.
 *
 * Can break: an invalidation by the MMU notifier that is not heard, covers too little or is not flushed; a read-only
 * mapping made writable; a page of before used for a fault that raced with the invalidation; -EFAULT kept for ever.
 * Source: KVM API, 4.35 (KVM_CAP_SYNC_MMU: changes in the backing of the memory region are reflected in the guest).
 */
#include "case.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096
#define NR_PAGES 4
#define AREA_BYTES (NR_PAGES * PAGE)
#define SLOT 5
#define MMIO mmio_base()
#define PATIENCE_MS 10000	/* for the guest to be in its loop */

/* The word at the beginning of page @page, and the one behind it, which the guest writes. */
static volatile uint32_t *word(uint8_t *area, unsigned int page)
{
	return (volatile uint32_t *)(area + page * PAGE);
}

static void area_fill(uint8_t *area)
{
	unsigned int i;

	for (i = 0; i < NR_PAGES; i++)
		*word(area, i) = 0x1000 + i;
}

static uint8_t *slot_set(struct test *t, void *area)
{
	require_true(t, area != MAP_FAILED);
	require_result(t, 0, vm_region_try(t->vm, SLOT, 0, test_mmio_gpa(t), AREA_BYTES, area));
	return area;
}

static uint8_t *area_private(struct test *t)
{
	uint8_t *area = slot_set(t, mmap(NULL, AREA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	area_fill(area);
	return area;
}

/* @sharing: MAP_SHARED or MAP_PRIVATE. The file has what area_fill() writes. */
static uint8_t *area_of_file(struct test *t, int sharing, int *ret_fd)
{
	int fd = memfd_create("host_memory", MFD_CLOEXEC);
	uint8_t *area, *file;

	require_true(t, fd >= 0);
	require_result(t, 0, ftruncate(fd, AREA_BYTES));
	file = mmap(NULL, AREA_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	require_true(t, file != MAP_FAILED);
	area_fill(file);
	munmap(file, AREA_BYTES);
	area = slot_set(t, mmap(NULL, AREA_BYTES, PROT_READ | PROT_WRITE, sharing, fd, 0));
	*ret_fd = fd;
	return area;
}

static uint32_t file_word(struct test *t, int fd, unsigned int page, unsigned int offset)
{
	uint32_t value = 0;

	require_result(t, sizeof(value), pread(fd, &value, sizeof(value), page * PAGE + offset));
	return value;
}

/* --- pages that go: zeroes come instead, and only there --- */

static void guest_zeroed(void)
{
	unsigned int i;

	for (i = 0; i < NR_PAGES; i++) {
		CHECK_EQ(0x1000 + i, read32(MMIO + i * PAGE));
		write32(MMIO + i * PAGE + 4, 0x2000 + i);
	}
	guest_sync(1);
	for (i = 0; i < NR_PAGES; i++) {
		bool is_gone = i == 1 || i == 2;

		CHECK_EQ(is_gone ? 0 : 0x1000 + i, read32(MMIO + i * PAGE));
		CHECK_EQ(is_gone ? 0 : 0x2000 + i, read32(MMIO + i * PAGE + 4));
		write32(MMIO + i * PAGE + 8, 0x3000 + i);
	}
}

static void expect_zeroed(struct test *t, uint8_t *area)
{
	unsigned int i;

	expect_done(t);
	for (i = 0; i < NR_PAGES; i++) {
		expect_eq(t, i == 1 || i == 2 ? 0 : 0x1000 + i, word(area, i)[0]);
		expect_eq(t, 0x3000 + i, word(area, i)[2]);
	}
}

static void host_discard(struct test *t)
{
	uint8_t *area = area_private(t);

	require_sync(t, 1);
	require_result(t, 0, madvise(area + PAGE, 2 * PAGE, MADV_DONTNEED));
	expect_zeroed(t, area);
}

static void host_punch(struct test *t)
{
	int fd;
	uint8_t *area = area_of_file(t, MAP_SHARED, &fd);

	require_sync(t, 1);
	require_result(t, 0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, 2 * PAGE));
	expect_zeroed(t, area);
	expect_eq(t, 0x3001, file_word(t, fd, 1, 8));
}

/* --- memory that cannot be had for a while: KVM_RUN is EFAULT, the guest stays where it is --- */

static void guest_read_twice(void)
{
	CHECK_EQ(0x1001, read32(MMIO + PAGE));
	write32(MMIO + PAGE + 4, 5);
	guest_sync(1);
	CHECK_EQ(0x1001, read32(MMIO + PAGE));
	CHECK_EQ(5, read32(MMIO + PAGE + 4));
	CHECK_EQ(0x1002, read32(MMIO + 2 * PAGE));
}

static void host_no_access(struct test *t)
{
	uint8_t *area = area_private(t);

	require_sync(t, 1);
	require_result(t, 0, mprotect(area + PAGE, PAGE, PROT_NONE));
	expect_run_error(t, EFAULT);
	expect_run_error(t, EFAULT);
	require_result(t, 0, mprotect(area + PAGE, PAGE, PROT_READ | PROT_WRITE));
	expect_done(t);
}

static void host_moved(struct test *t)
{
	uint8_t *area = area_private(t), *elsewhere = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	require_sync(t, 1);
	require_true(t, mremap(area + PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere) == elsewhere);
	expect_run_error(t, EFAULT);
	require_true(t, mremap(elsewhere, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, area + PAGE) == area + PAGE);
	expect_done(t);
}

static void guest_truncated(void)
{
	CHECK_EQ(0x1003, read32(MMIO + 3 * PAGE));
	guest_sync(1);
	CHECK_EQ(0x1000, read32(MMIO));
	CHECK_EQ(0, read32(MMIO + 3 * PAGE));
}

static void host_truncated(struct test *t)
{
	int fd;

	area_of_file(t, MAP_SHARED, &fd);
	require_sync(t, 1);
	require_result(t, 0, ftruncate(fd, 2 * PAGE));
	expect_run_error(t, EFAULT);
	require_result(t, 0, ftruncate(fd, AREA_BYTES));
	expect_done(t);
}

static void guest_protected(void)
{
	CHECK_EQ(0x1001, read32(MMIO + PAGE));
	write32(MMIO + PAGE + 4, 5);
	guest_sync(1);
	CHECK_EQ(5, read32(MMIO + PAGE + 4));
	guest_sync(2);
	write32(MMIO + PAGE + 4, 6);
	CHECK_EQ(6, read32(MMIO + PAGE + 4));
}

static void host_protected(struct test *t)
{
	uint8_t *area = area_private(t);

	require_sync(t, 1);
	require_result(t, 0, mprotect(area + PAGE, PAGE, PROT_READ));
	require_sync(t, 2);
	expect_run_error(t, EFAULT);
	expect_eq(t, 5, word(area, 1)[1]);
	require_result(t, 0, mprotect(area + PAGE, PAGE, PROT_READ | PROT_WRITE));
	expect_done(t);
	expect_eq(t, 6, word(area, 1)[1]);
}

/* --- one page for two, until one of them writes --- */

static void guest_written(void)
{
	CHECK_EQ(0x1001, read32(MMIO + PAGE));
	write32(MMIO + PAGE + 4, 5);
	guest_sync(1);
	CHECK_EQ(5, read32(MMIO + PAGE + 4));
	write32(MMIO + PAGE + 4, 6);
	guest_sync(2);
	CHECK_EQ(6, read32(MMIO + PAGE + 4));
	CHECK_EQ(7, read32(MMIO + PAGE + 8));
}

/* The child says what it sees when it is told that the guest has written. */
static void host_fork(struct test *t)
{
	uint8_t *area = area_private(t), byte = 0;
	int pipes[2], status = 0;
	pid_t pid;

	require_sync(t, 1);
	require_result(t, 0, pipe2(pipes, O_CLOEXEC));
	pid = fork();
	require_true(t, pid >= 0);
	if (!pid) {
		if (read(pipes[0], &byte, 1) != 1)
			_exit(1);
		_exit(word(area, 1)[0] == 0x1001 && word(area, 1)[1] == 5 ? 0 : 2);
	}
	require_sync(t, 2);
	expect_eq(t, 6, word(area, 1)[1]);
	require_result(t, 1, write(pipes[1], &byte, 1));
	require_result(t, pid, waitpid(pid, &status, 0));
	expect_eq(t, 0, status);
	word(area, 1)[2] = 7;
	expect_done(t);
}

static void guest_copied(void)
{
	CHECK_EQ(0x1001, read32(MMIO + PAGE));
	guest_sync(1);
	CHECK_EQ(0x51, read32(MMIO + PAGE));
	write32(MMIO + PAGE + 4, 6);
	guest_sync(2);
	CHECK_EQ(0x51, read32(MMIO + PAGE));
	CHECK_EQ(6, read32(MMIO + PAGE + 4));
}

/* Only read, the page is the file's; written, it is a copy that neither sees the file nor is seen there. */
static void host_copied(struct test *t)
{
	uint32_t value = 0x51;
	int fd;

	area_of_file(t, MAP_PRIVATE, &fd);
	require_sync(t, 1);
	require_result(t, sizeof(value), pwrite(fd, &value, sizeof(value), PAGE));
	require_sync(t, 2);
	expect_eq(t, 0, file_word(t, fd, 1, 4));
	value = 0x52;
	require_result(t, sizeof(value), pwrite(fd, &value, sizeof(value), PAGE));
	expect_done(t);
	expect_eq(t, 0, file_word(t, fd, 1, 4));
}

static void guest_zero_page(void)
{
	CHECK_EQ(0, read32(MMIO + PAGE));
	CHECK_EQ(0, read32(MMIO + 2 * PAGE));
	guest_sync(1);
	CHECK_EQ(0x61, read32(MMIO + PAGE));
	CHECK_EQ(0, read32(MMIO + 2 * PAGE));
	write32(MMIO + 2 * PAGE, 0x62);
	guest_sync(2);
	CHECK_EQ(0x63, read32(MMIO + 2 * PAGE));
}

/* Memory that was only read is the kernel's page of zeroes, which nobody may write. */
static void host_zero_page(struct test *t)
{
	uint8_t *area = slot_set(t, mmap(NULL, AREA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	require_sync(t, 1);
	*word(area, 1) = 0x61;
	require_sync(t, 2);
	expect_eq(t, 0x62, *word(area, 2));
	expect_eq(t, 0, *word(area, 3));
	*word(area, 2) = 0x63;
	expect_done(t);
}

/* --- while the guest runs --- */

/* The guest's word to the host that it is in its loop. */
static void say_running(void)
{
	write32(MMIO + 3 * PAGE + 4, 1);
}

static void wait_until_running(uint8_t *area)
{
	unsigned int i;

	for (i = 0; !word(area, 3)[1] && i < PATIENCE_MS; i++)
		usleep(1000);
}

struct doer {
	uint8_t *area;
	void (*act)(uint8_t *area);
	pthread_t thread;
};

static void *doer_run(void *context)
{
	struct doer *doer = context;

	wait_until_running(doer->area);
	doer->act(doer->area);
	return NULL;
}

static void doer_begin(struct test *t, struct doer *doer)
{
	require_result(t, 0, pthread_create(&doer->thread, NULL, doer_run, doer));
}

/* Nothing comes; but Bochs' CPU keeps the host's own interrupts back as long as a guest has them off (findings/0505). */
static void let_host_in(void)
{
	sti();
}

static void wait_for(uint32_t value)
{
	let_host_in();
	CHECK_EQ(0x1001, read32(MMIO + PAGE));
	say_running();
	while (read32(MMIO + PAGE) == 0x1001)
		;
	CHECK_EQ(value, read32(MMIO + PAGE));
	CHECK_EQ(0x1002, read32(MMIO + 2 * PAGE));
}

static void guest_waits_for_zero(void)
{
	wait_for(0);
}

static void guest_waits_for_other(void)
{
	wait_for(0x71);
}

static void act_discard(uint8_t *area)
{
	madvise(area + PAGE, PAGE, MADV_DONTNEED);
}

/* Another page takes its place at once: nobody finds the hole between. */
static void act_replace(uint8_t *area)
{
	uint8_t *other = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*word(other, 0) = 0x71;
	mremap(other, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, area + PAGE);
}

static void run_beside(struct test *t, void (*act)(uint8_t *area))
{
	struct doer doer = { .area = area_private(t), .act = act };

	doer_begin(t, &doer);
	expect_done(t);
	pthread_join(doer.thread, NULL);
}

static void host_discard_running(struct test *t)
{
	run_beside(t, act_discard);
}

static void host_replace_running(struct test *t)
{
	run_beside(t, act_replace);
}

static void guest_counts(void)
{
	uint32_t i;

	let_host_in();
	write32(MMIO + PAGE + 4, 1);
	say_running();
	for (i = 2; !read32(MMIO + 2 * PAGE + 4); i++)
		write32(MMIO + PAGE + 4, i);
	CHECK_EQ(i - 1, read32(MMIO + PAGE + 4));
}

static void act_protect(uint8_t *area)
{
	mprotect(area + PAGE, PAGE, PROT_READ);
}

/* From the moment it is protected the guest writes no more, and KVM_RUN says so. */
static void host_protect_running(struct test *t)
{
	struct doer doer = { .area = area_private(t), .act = act_protect };
	uint32_t count;

	doer_begin(t, &doer);
	expect_run_error(t, EFAULT);
	pthread_join(doer.thread, NULL);
	count = word(doer.area, 1)[1];
	expect_true(t, count > 0);
	expect_run_error(t, EFAULT);
	expect_eq(t, count, word(doer.area, 1)[1]);
	require_result(t, 0, mprotect(doer.area + PAGE, PAGE, PROT_READ | PROT_WRITE));
	word(doer.area, 2)[1] = 1;
	expect_done(t);
	/* The write that could not be done, and no other. */
	expect_eq(t, count + 1, word(doer.area, 1)[1]);
}

struct row {
	ROW_FIELDS;
	void (*guest)(void);
	void (*host)(struct test *t);
};

#define ROW_(name_, guest_) { .label = #name_, .guest = guest_, .host = ON_HOST(host_##name_) }

static const struct row rows[] = {
	ROW_(discard, guest_zeroed),
	ROW_(punch, guest_zeroed),
	ROW_(no_access, guest_read_twice),
	ROW_(moved, guest_read_twice),
	ROW_(truncated, guest_truncated),
	ROW_(protected, guest_protected),
	ROW_(fork, guest_written),
	ROW_(copied, guest_copied),
	ROW_(zero_page, guest_zero_page),
	ROW_(discard_running, guest_waits_for_zero),
	ROW_(replace_running, guest_waits_for_other),
	ROW_(protect_running, guest_counts),
};

CASE(host_memory, .says = "the guest sees what happens to the memory behind a slot",
     .modes = REAL16 | PAGE32 | LONG64, .needs = "KVM_CAP_SYNC_MMU", .rows = ROWS(rows), .shadow_too = true,
     .smp_too = true)

GUEST(host_memory)
{
	GUEST_ROW(rows)->guest();
}

HOST(host_memory)
{
	ROW(t, rows)->host(t);
}
