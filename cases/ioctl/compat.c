/* SPDX-License-Identifier: MIT */
/*
 * KVM's calls from a 32-bit process: pointers inside of structures have 32 bits, whatever lies in the upper half, the
 * MSR filter's ranges are smaller, and a signal mask is that of such processes; all other calls are as in 64 bits. The
 * calls are made by INT 80h, which is that entry to the kernel from any process.
 *
 * Can break: a pointer's upper half used, a field at the other layout's place, a result that is not passed on, a check
 * (another process's VM) that only the 64-bit entry makes.
 * Source: KVM API, KVM_GET_DIRTY_LOG, KVM_CLEAR_DIRTY_LOG, KVM_X86_SET_MSR_FILTER, KVM_SET_SIGNAL_MASK, and 2 ("issuing
 * ioctls from another process"); the 32-bit layouts follow from the i386 ABI.
 */
#include "case.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOGGED_GPA 0x18000000ull
#define LOGGED_PAGES 8
#define JUNK 0xdeadbeef00000000ull

struct row {
	ROW_FIELDS;
	void (*guest)(void);
	void (*host)(struct test *t);
};

/* --- the guest's half --- */

static void page_touch(unsigned int page)
{
	write32(LOGGED_GPA + page * 4096, page);
}

static void guest_dirty(void)
{
	page_touch(1);
	page_touch(6);
	guest_sync(1);
	page_touch(2);
	guest_sync(2);
}

static void guest_msr(void)
{
	uint64_t value;

	CHECK_NO_FAULT(rdmsr_safe(MSR_IA32_SYSENTER_ESP, &value));
	guest_sync(1);
	CHECK_FAULT(GP_VECTOR, 0, rdmsr_safe(MSR_IA32_SYSENTER_ESP, &value));
	CHECK_NO_FAULT(wrmsr_safe(MSR_IA32_SYSENTER_ESP, 0));
	CHECK_NO_FAULT(rdmsr_safe(MSR_IA32_SYSENTER_CS, &value));
	CHECK_FAULT(GP_VECTOR, 0, wrmsr_safe(MSR_STAR, 0));
	CHECK_NO_FAULT(rdmsr_safe(MSR_STAR, &value));
}

static void guest_stages(void)
{
	guest_sync(1);
	guest_sync(2);
	CHECK(true);
}

/* --- the host's half --- */

/* What a 32-bit process can point to: one page, zeroed; never given back. */
static void *low_page(struct test *t)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	require_true(t, page != MAP_FAILED && (uintptr_t)page < 1ull << 32);
	return page;
}

static uint32_t low(const void *pointer)
{
	return (uintptr_t)pointer;
}

/* The 32-bit layouts of the request's structures. */
struct low_range {
	uint32_t flags, nmsrs, base, bitmap;
};

struct low_filter {
	uint32_t flags;
	struct low_range ranges[KVM_MSR_FILTER_MAX_RANGES];
};

#define LOW_SET_MSR_FILTER _IOW(KVMIO, 0xc6, struct low_filter)

_Static_assert(sizeof(struct low_filter) == 260, "16 ranges of 16 bytes");

static void logged_make(struct test *t)
{
	vm_slot_add(t->vm, 5, KVM_MEM_LOG_DIRTY_PAGES, LOGGED_GPA, LOGGED_PAGES * 4096);
}

static void host_dirty_log(struct test *t)
{
	struct kvm_dirty_log *log = low_page(t);
	uint64_t *bitmap = low_page(t);

	logged_make(t);
	require_sync(t, 1);
	*log = (struct kvm_dirty_log){ .slot = 5, .padding2 = JUNK | low(bitmap) };
	bitmap[1] = 0x5a;
	expect_result(t, 0, backend_kvm_ioctl32(t->vm->fd, KVM_GET_DIRTY_LOG, low(log)));
	expect_eq(t, 0x42, bitmap[0]);
	expect_eq(t, 0x5a, bitmap[1]);
	require_sync(t, 2);
	expect_result(t, 0, backend_kvm_ioctl32(t->vm->fd, KVM_GET_DIRTY_LOG, low(log)));
	expect_eq(t, 4, bitmap[0]);
	log->slot = 6;
	expect_errno(t, ENOENT, backend_kvm_ioctl32(t->vm->fd, KVM_GET_DIRTY_LOG, low(log)));
	expect_errno(t, EFAULT, backend_kvm_ioctl32(t->vm->fd, KVM_GET_DIRTY_LOG, 0x10));
	expect_done(t);
}

static void host_clear_log(struct test *t)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, .args[0] = 1 };
	struct kvm_dirty_log *log = low_page(t);
	struct kvm_clear_dirty_log *clear = low_page(t);
	uint64_t *bitmap = low_page(t);

	vm_ioctl(t->vm, KVM_ENABLE_CAP, &cap);
	logged_make(t);
	require_sync(t, 1);
	*log = (struct kvm_dirty_log){ .slot = 5, .padding2 = JUNK | low(bitmap) };
	expect_result(t, 0, backend_kvm_ioctl32(t->vm->fd, KVM_GET_DIRTY_LOG, low(log)));
	expect_eq(t, 0x42, bitmap[0]);
	*clear = (struct kvm_clear_dirty_log){ .slot = 5, .num_pages = LOGGED_PAGES, .padding2 = JUNK | low(bitmap) };
	bitmap[0] = 2;
	expect_result(t, 0, backend_kvm_ioctl32(t->vm->fd, KVM_CLEAR_DIRTY_LOG, low(clear)));
	expect_result(t, 0, backend_kvm_ioctl32(t->vm->fd, KVM_GET_DIRTY_LOG, low(log)));
	expect_eq(t, 0x40, bitmap[0]);
	/* Must be a multiple of 64. */
	clear->first_page = 1;
	expect_errno(t, EINVAL, backend_kvm_ioctl32(t->vm->fd, KVM_CLEAR_DIRTY_LOG, low(clear)));
	expect_errno(t, EFAULT, backend_kvm_ioctl32(t->vm->fd, KVM_CLEAR_DIRTY_LOG, 0x10));
	require_sync(t, 2);
	expect_done(t);
}

/* One bit of each bitmap stands for one MSR, set: allowed. */
static void host_msr_filter(struct test *t)
{
	struct low_filter *filter = low_page(t);
	uint8_t *bitmap = low_page(t);

	memset(bitmap, 0, 16);
	bitmap[8] = 1;
	filter->ranges[0] = (struct low_range){ .flags = KVM_MSR_FILTER_READ, .nmsrs = 1, .base = MSR_IA32_SYSENTER_ESP,
						.bitmap = low(bitmap) };
	/* The second as the last: the whole table is read. */
	filter->ranges[KVM_MSR_FILTER_MAX_RANGES - 1] = (struct low_range){
		.flags = KVM_MSR_FILTER_WRITE, .nmsrs = 1, .base = MSR_STAR, .bitmap = low(bitmap + 4) };
	filter->ranges[1] = (struct low_range){ .flags = KVM_MSR_FILTER_READ, .nmsrs = 1, .base = MSR_IA32_SYSENTER_CS,
						.bitmap = low(bitmap + 8) };
	require_sync(t, 1);
	expect_result(t, 0, backend_kvm_ioctl32(t->vm->fd, LOW_SET_MSR_FILTER, low(filter)));
	filter->flags = 2;
	expect_errno(t, EINVAL, backend_kvm_ioctl32(t->vm->fd, LOW_SET_MSR_FILTER, low(filter)));
	expect_errno(t, EFAULT, backend_kvm_ioctl32(t->vm->fd, LOW_SET_MSR_FILTER, 0x10));
	expect_done(t);
}

static void on_signal(int number)
{
	(void)number;
}

/* What the thread blocks and this mask does not ends the run; what this mask blocks, too, does not. */
static void host_signal_mask(struct test *t)
{
	struct {
		struct kvm_signal_mask head;
		uint8_t set[8];
	} *mask = low_page(t);
	sigset_t blocked;

	signal(SIGUSR1, on_signal);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	mask->head.len = 8;
	expect_result(t, 0, backend_kvm_ioctl32(t->vcpu->fd, KVM_SET_SIGNAL_MASK, low(mask)));
	raise(SIGUSR1);
	expect_run_error(t, EINTR);
	expect_run_error(t, EINTR);
	mask->set[(SIGUSR1 - 1) / 8] = 1 << (SIGUSR1 - 1) % 8;
	expect_result(t, 0, backend_kvm_ioctl32(t->vcpu->fd, KVM_SET_SIGNAL_MASK, low(mask)));
	require_sync(t, 1);
	mask->set[(SIGUSR1 - 1) / 8] = 0;
	mask->head.len = 4;
	expect_errno(t, EINVAL, backend_kvm_ioctl32(t->vcpu->fd, KVM_SET_SIGNAL_MASK, low(mask)));
	mask->head.len = 16;
	expect_errno(t, EINVAL, backend_kvm_ioctl32(t->vcpu->fd, KVM_SET_SIGNAL_MASK, low(mask)));
	expect_errno(t, EFAULT, backend_kvm_ioctl32(t->vcpu->fd, KVM_SET_SIGNAL_MASK, 0x10));
	/* What was refused has changed nothing. */
	require_sync(t, 2);
	mask->head.len = 8;
	expect_result(t, 0, backend_kvm_ioctl32(t->vcpu->fd, KVM_SET_SIGNAL_MASK, low(mask)));
	expect_run_error(t, EINTR);
	/* No mask at all: the thread's own. */
	expect_result(t, 0, backend_kvm_ioctl32(t->vcpu->fd, KVM_SET_SIGNAL_MASK, 0));
	expect_done(t);
}

/* The same structure, the same answer, on each kind of descriptor. */
static void host_others(struct test *t)
{
	struct kvm_regs want, *got = low_page(t);
	struct kvm_device_attr *attr = low_page(t);
	struct kvm_create_device device = { .type = KVM_DEV_TYPE_VFIO };

	require_sync(t, 1);
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &want);
	expect_result(t, 0, backend_kvm_ioctl32(t->vcpu->fd, KVM_GET_REGS, low(got)));
	expect_regs(t, &want, got);
	expect_result(t, KVM_API_VERSION, backend_kvm_ioctl32(t->sys->fd, KVM_GET_API_VERSION, 0));
	expect_result(t, vm_has_cap(t->vm, KVM_CAP_NR_MEMSLOTS),
		      backend_kvm_ioctl32(t->vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_NR_MEMSLOTS));
	vm_ioctl(t->vm, KVM_CREATE_DEVICE, &device);
	*attr = (struct kvm_device_attr){ .group = KVM_DEV_VFIO_GROUP, .attr = KVM_DEV_VFIO_GROUP_ADD };
	expect_result(t, 0, backend_kvm_ioctl32(device.fd, KVM_HAS_DEVICE_ATTR, low(attr)));
	attr->group = 0x77;
	expect_errno(t, ENXIO, backend_kvm_ioctl32(device.fd, KVM_HAS_DEVICE_ATTR, low(attr)));
	expect_errno(t, ENOTTY, backend_kvm_ioctl32(t->vm->fd, KVM_RUN, 0));
	expect_result(t, sys_call(t->sys, t->sys->fd, KVM_RUN, 0), backend_kvm_ioctl32(t->sys->fd, KVM_RUN, 0));
	close(device.fd);
	require_sync(t, 2);
	expect_done(t);
}

/* KVM_RUN itself; the exit is in the mapped page as ever. */
static void host_run(struct test *t)
{
	require_sync(t, 1);
	expect_result(t, 0, backend_kvm_ioctl32(t->vcpu->fd, KVM_RUN, 0));
	expect_eq(t, KVM_EXIT_IO, t->vcpu->run->exit_reason);
	expect_eq(t, SYNC_PORT, t->vcpu->run->io.port);
	t->vcpu->run->immediate_exit = 1;
	expect_errno(t, EINTR, backend_kvm_ioctl32(t->vcpu->fd, KVM_RUN, 0));
	t->vcpu->run->immediate_exit = 0;
	expect_done(t);
}

/* Each call by its number, in a process that is not the VM's. */
static void host_other_process(struct test *t)
{
	struct { int fd; unsigned long request; } calls[] = {
		{ t->vm->fd, KVM_GET_DIRTY_LOG }, { t->vm->fd, KVM_CHECK_EXTENSION }, { t->vcpu->fd, KVM_GET_MP_STATE },
		{ t->vcpu->fd, KVM_SET_SIGNAL_MASK },
	};
	unsigned int i;

	require_sync(t, 1);
	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		int status = 0;
		pid_t pid = fork();

		if (!pid)
			_exit(-backend_kvm_ioctl32(calls[i].fd, calls[i].request, 0));
		require_true(t, waitpid(pid, &status, 0) == pid && WIFEXITED(status));
		expect_eq(t, EIO, WEXITSTATUS(status));
	}
	require_sync(t, 2);
	expect_done(t);
}

static const struct row rows[] = {
	{ .label = "dirty_log", .guest = guest_dirty, .host = ON_HOST(host_dirty_log) },
	{ .label = "clear_log", .guest = guest_dirty, .host = ON_HOST(host_clear_log),
	  .needs = "KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2" },
	{ .label = "msr_filter", .guest = guest_msr, .host = ON_HOST(host_msr_filter), .needs = "KVM_CAP_X86_MSR_FILTER" },
	{ .label = "signal_mask", .guest = guest_stages, .host = ON_HOST(host_signal_mask) },
	{ .label = "others", .guest = guest_stages, .host = ON_HOST(host_others) },
	{ .label = "run", .guest = guest_stages, .host = ON_HOST(host_run), .needs = "KVM_CAP_IMMEDIATE_EXIT" },
	{ .label = "other_process", .guest = guest_stages, .host = ON_HOST(host_other_process) },
};

CASE(compat, .says = "a 32-bit process has the same KVM, through its own layouts", .modes = LONG64, .needs = "compat",
     .rows = ROWS(rows))

GUEST(compat)
{
	GUEST_ROW(rows)->guest();
}

HOST(compat)
{
	ROW(t, rows)->host(t);
}
