/* SPDX-License-Identifier: MIT */
/*
 * A vCPU that runs in the guest on another CPU, and has no reason of its own to leave it, sees what the host does to its
 * memory from the moment the call returns: it has left the guest by then, and its translations are gone.
 *
 * The guest counts in a page, for ever. Where the page is taken away, the count stands still once the call is back; where
 * it is to be logged, what is counted later is in the log; where other memory takes its place, a whole round of the loop
 * later the guest has read that.
 *
 * Can break: a flush of the other CPUs that is left out or comes too early; a vCPU that is asked to flush and is not
 * made to leave the guest for it. On one CPU none of it shows: there the host runs only while the guest does not.
 * Source: KVM API, 4.8 KVM_GET_DIRTY_LOG, 4.35 KVM_SET_USER_MEMORY_REGION and KVM_CAP_SYNC_MMU, KVM_CLEAR_DIRTY_LOG.
 */
#include "case.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define SLOT 5
#define GPA 0x40000000ul
#define MOVED_GPA 0x50000000ul
#define PAGE 4096ul
#define BYTES (2 * PAGE)
#define NR_ROUNDS 20
#define STANDS_STILL_US 300	/* shorter than the time to the next tick, which would make the guest leave */

/* What the guest tells: its loop's rounds, and the second page's word as it was read in the last one. */
#define AT_ROUNDS 0
#define AT_WORD 1

struct row {
	ROW_FIELDS;
	void (*host)(struct test *t);
	bool reads;	/* the second page, too */
};

/* --- the host's half --- */

struct runner {
	struct test *t;
	pthread_t thread;
	volatile uint32_t *count, *word;	/* in the slot's two pages */
	uint8_t *ram;
};

static void run_on(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void *vcpu_thread(void *argument)
{
	run_on(1);
	return (void *)(long)vcpu_run_try(argument);
}

static void until_rounds(struct test *t, uint64_t nr)
{
	volatile struct abi_page *page = guest_page(t, 0);
	uint64_t before = page->values[AT_ROUNDS];

	while (page->values[AT_ROUNDS] < before + nr)
		usleep(50);
}

static void run_begin(struct runner *runner)
{
	require_result(runner->t, 0, pthread_create(&runner->thread, NULL, vcpu_thread, runner->t->vcpu));
	until_rounds(runner->t, 3);
}

/* KVM_RUN came back with @error, or with an exit of this reason. */
static void run_end(struct runner *runner, int error, uint32_t reason)
{
	void *result;

	pthread_join(runner->thread, &result);
	expect_result(runner->t, -error, (long)result);
	if (!error)
		expect_eq(runner->t, reason, runner->t->vcpu->run->exit_reason);
}

static void run_finish(struct runner *runner)
{
	guest_arg(runner->t, 0, 1);
	run_end(runner, 0, KVM_EXIT_IO);
}

static long region_try(struct test *t, uint32_t flags, uint64_t gpa, uint64_t bytes, void *ram)
{
	return vm_region_try(t->vm, SLOT, flags, gpa, bytes, ram);
}

static struct runner start(struct test *t, uint32_t flags)
{
	uint8_t *ram = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct runner runner = { .t = t, .ram = ram };

	require_true(t, ram != MAP_FAILED);
	runner.count = (volatile uint32_t *)ram;
	runner.word = (volatile uint32_t *)(ram + PAGE);
	*runner.word = 0;
	require_result(t, 0, region_try(t, flags, GPA, BYTES, ram));
	run_on(0);
	t->vcpu->tid = 1;	/* whoever runs it */
	return runner;
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000ull + now.tv_nsec / 1000;
}

static void expect_still(struct runner *runner)
{
	uint64_t end_us = now_us() + STANDS_STILL_US;
	uint32_t count = *runner->count;

	while (now_us() < end_us && *runner->count == count)
		;
	expect_eq(runner->t, count, *runner->count);
}

/* The write that found no memory. */
static void expect_left(struct runner *runner)
{
	const struct kvm_run *run = runner->t->vcpu->run;

	run_end(runner, 0, KVM_EXIT_MMIO);
	expect_eq(runner->t, GPA, run->mmio.phys_addr);
	expect_eq(runner->t, 4, run->mmio.len);
	expect_eq(runner->t, 1, run->mmio.is_write);
}

static void host_deleted(struct test *t)
{
	struct runner runner = start(t, 0);
	unsigned int i;

	for (i = 0; i < NR_ROUNDS; i++) {
		run_begin(&runner);
		require_result(t, 0, region_try(t, 0, GPA, 0, NULL));
		expect_still(&runner);
		expect_left(&runner);
		require_result(t, 0, region_try(t, 0, GPA, BYTES, runner.ram));
	}
	run_begin(&runner);
	run_finish(&runner);
}

static void host_moved(struct test *t)
{
	struct runner runner = start(t, 0);
	unsigned int i;

	for (i = 0; i < NR_ROUNDS; i++) {
		run_begin(&runner);
		require_result(t, 0, region_try(t, 0, MOVED_GPA, BYTES, runner.ram));
		expect_still(&runner);
		expect_left(&runner);
		require_result(t, 0, region_try(t, 0, GPA, BYTES, runner.ram));
	}
	run_begin(&runner);
	run_finish(&runner);
}

static void host_protected(struct test *t)
{
	struct runner runner = start(t, 0);
	unsigned int i;

	for (i = 0; i < NR_ROUNDS; i++) {
		run_begin(&runner);
		require_result(t, 0, mprotect(runner.ram, PAGE, PROT_READ));
		expect_still(&runner);
		run_end(&runner, EFAULT, 0);
		require_result(t, 0, mprotect(runner.ram, PAGE, PROT_READ | PROT_WRITE));
	}
	run_begin(&runner);
	run_finish(&runner);
}

static uint64_t log_get(struct test *t)
{
	uint64_t bitmap = 0;
	struct kvm_dirty_log log = { .slot = SLOT, .dirty_bitmap = &bitmap };

	require_result(t, 0, vm_ioctl_try(t->vm, KVM_GET_DIRTY_LOG, &log));
	return bitmap;
}

/* Looked at all the time, until it is clear that the vCPU's thread does not run now. */
static void until_counted(struct runner *runner)
{
	uint64_t end_us = now_us() + STANDS_STILL_US;
	uint32_t count = *runner->count;

	while (*runner->count == count)
		if (now_us() > end_us)
			usleep(50);
}

/* What is counted from now on is in the log. */
static void expect_logged(struct runner *runner)
{
	until_counted(runner);
	expect_eq(runner->t, 1, log_get(runner->t) & 1);
}

static void host_log_fetched(struct test *t)
{
	struct runner runner = start(t, KVM_MEM_LOG_DIRTY_PAGES);
	unsigned int i;

	run_begin(&runner);
	for (i = 0; i < 5 * NR_ROUNDS; i++) {
		log_get(t);
		expect_logged(&runner);
		until_rounds(t, 1);
	}
	run_finish(&runner);
}

static void host_log_begun(struct test *t)
{
	struct runner runner = start(t, 0);
	unsigned int i;

	run_begin(&runner);
	for (i = 0; i < NR_ROUNDS; i++) {
		require_result(t, 0, region_try(t, KVM_MEM_LOG_DIRTY_PAGES, GPA, BYTES, runner.ram));
		expect_logged(&runner);
		require_result(t, 0, region_try(t, 0, GPA, BYTES, runner.ram));
		until_rounds(t, 3);
	}
	run_finish(&runner);
}

static void host_log_cleared(struct test *t)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, .args = { 1 } };
	uint64_t bits = 1;
	struct kvm_clear_dirty_log clear = { .slot = SLOT, .num_pages = BYTES / PAGE, .dirty_bitmap = &bits };
	struct runner runner;
	unsigned int i;

	require_result(t, 0, vm_ioctl_try(t->vm, KVM_ENABLE_CAP, &cap));
	runner = start(t, KVM_MEM_LOG_DIRTY_PAGES);
	run_begin(&runner);
	for (i = 0; i < 5 * NR_ROUNDS; i++) {
		require_result(t, 0, vm_ioctl_try(t->vm, KVM_CLEAR_DIRTY_LOG, &clear));
		expect_logged(&runner);
		until_rounds(t, 1);
	}
	run_finish(&runner);
}

/* The first round that begins after the change has read it. */
static void expect_read(struct runner *runner, uint32_t want)
{
	until_rounds(runner->t, 2);
	expect_eq(runner->t, want, ((volatile struct abi_page *)guest_page(runner->t, 0))->values[AT_WORD]);
}

static void host_replaced(struct test *t)
{
	struct runner runner = start(t, 0);
	unsigned int i;

	run_begin(&runner);
	for (i = 1; i <= NR_ROUNDS; i++) {
		uint32_t *other = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		*other = i;
		mremap(other, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, runner.ram + PAGE);
		expect_read(&runner, i);
	}
	run_finish(&runner);
}

static void host_discarded(struct test *t)
{
	struct runner runner = start(t, 0);
	unsigned int i;

	run_begin(&runner);
	for (i = 1; i <= NR_ROUNDS; i++) {
		*runner.word = i;
		expect_read(&runner, i);
		require_result(t, 0, madvise(runner.ram + PAGE, PAGE, MADV_DONTNEED));
		expect_read(&runner, 0);
	}
	run_finish(&runner);
}

static const struct row rows[] = {
	{ .label = "deleted", .host = ON_HOST(host_deleted) },
	{ .label = "moved", .host = ON_HOST(host_moved) },
	{ .label = "protected", .host = ON_HOST(host_protected) },
	{ .label = "log_fetched", .host = ON_HOST(host_log_fetched) },
	{ .label = "log_begun", .host = ON_HOST(host_log_begun) },
	{ .label = "log_cleared", .host = ON_HOST(host_log_cleared), .needs = "KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2" },
	{ .label = "replaced", .host = ON_HOST(host_replaced), .reads = true },
	{ .label = "discarded", .host = ON_HOST(host_discarded), .reads = true },
};

CASE(flush_running, .says = "a guest that runs sees what is done to its memory when the call is back", .modes = LONG64,
     .needs = "smp:2 KVM_CAP_SYNC_MMU", .rows = ROWS(rows), .alone = true,
     .smp_too = true)

GUEST(flush_running)
{
	volatile struct abi_page *page = abi_self();
	uint32_t i, word = 0;

	sti();
	for (i = 1; !page->args[0]; i++) {
		if (GUEST_ROW(rows)->reads)
			word = read32(GPA + PAGE);
		else
			write32(GPA, i);
		page->values[AT_WORD] = word;
		page->values[AT_ROUNDS] = i;
	}
}

HOST(flush_running)
{
	ROW(t, rows)->host(t);
}
