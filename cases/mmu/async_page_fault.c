/* SPDX-License-Identifier: MIT */
/*
 * The guest touches a page that its host has to fetch first. A guest that takes asynchronous page faults is told by a
 * #PF whose CR2 is a token, with the reason in the flags of its 64 bytes, runs on, and hears of the page by an interrupt
 * with the same token there. One that does not take them, here or at all, stands still until the page has come. In each
 * case the instruction then has what is in the page.
 *
 * The page is fetched by a thread of this process that answers userfaultfd(2), when the row says so.
 *
 * Can break: a token that comes twice, or not at all; an interrupt for a page whose absence nobody was told of; a second
 * #PF for the same page; a #PF where the guest could not take one.
 * Source: Documentation/virt/kvm/x86/msr.rst, MSR_KVM_ASYNC_PF_EN, _INT and _ACK.
 */
#include "cases/ioctl/pv_msr.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cases/ioctl/lapic_regs.h"

#define SLOT 1
#define GPA 0x40000000ul
#define PAGE 4096ul
#define NR_PAGES 4
#define AREA (SCRATCH_GPA + 0x1040)
#define VECTOR 0x61
#define NOT_PRESENT 1u	/* KVM_PV_REASON_PAGE_NOT_PRESENT */
#define WAKE_ALL ~0u	/* of no page: comes when the guest turns it on, for those who waited before a migration */
#define CONTENTS(page_) (0x5a00u + (page_))
#define ON (AREA | KVM_ASYNC_PF_ENABLED | KVM_ASYNC_PF_DELIVERY_AS_INT)

/* struct kvm_vcpu_pv_apf_data of msr.rst. */
struct apf_data {
	uint32_t flags, token;
	uint8_t pad[56];
	uint32_t enabled;
};

#define VALUE_ABSENT 0	/* how many pages the guest was told to be absent */

/* --- the guest's half --- */

static volatile uint32_t absent_tokens[8], ready_tokens[8];
static volatile uint32_t nr_absent, nr_ready;

static volatile struct apf_data *apf(void)
{
	return (volatile struct apf_data *)(ulong_t)AREA;
}

static void on_ready(struct guest_regs *regs)
{
	(void)regs;
	if (apf()->token != WAKE_ALL)
		ready_tokens[nr_ready++ & 7] = apf()->token;
	apf()->token = 0;
	wrmsr(MSR_KVM_ASYNC_PF_ACK, 1);
	write32(APIC_EOI, 0);
}

/* Tells the host, which may fetch the page now, and waits for it with interrupts on. */
static void on_page_fault(struct guest_regs *regs)
{
	(void)regs;
	CHECK_EQ(NOT_PRESENT, apf()->flags);
	absent_tokens[nr_absent++ & 7] = read_cr2();
	apf()->flags = 0;
	GUEST_VALUE(VALUE_ABSENT, nr_absent);
	while (nr_ready < nr_absent)
		sti_nop_cli();
}

static void apf_start(uint64_t enable)
{
	guest_handle(PF_VECTOR, on_page_fault);
	guest_handle(VECTOR, on_ready);
	write32(APIC_SVR, SVR_ENABLE | 0xff);
	wrmsr(MSR_KVM_ASYNC_PF_INT, VECTOR);
	if (enable)
		wrmsr(MSR_KVM_ASYNC_PF_EN, enable);
	apf()->enabled = 1;
	guest_sync(1);
}

static void page_read(uint32_t page)
{
	CHECK_EQ(CONTENTS(page), read32(GPA + page * PAGE));
}

/* Nobody was told anything. */
static void check_silent(void)
{
	sti_nop_cli();
	CHECK_EQ(0, nr_absent);
	CHECK_EQ(0, nr_ready);
	CHECK_EQ(0, apf()->flags);
	CHECK_EQ(0, apf()->token);
}

static void guest_told(void)
{
	uint32_t page;

	apf_start(ON | KVM_ASYNC_PF_SEND_ALWAYS);
	for (page = 0; page < NR_PAGES; page++) {
		sti();
		page_read(page);
		cli();
		CHECK_EQ(page + 1, nr_absent);
		CHECK_EQ(page + 1, nr_ready);
		CHECK(ready_tokens[page]);
		CHECK_CR2(ready_tokens[page], absent_tokens[page]);
		if (page)
			CHECK(ready_tokens[page] != ready_tokens[page - 1]);
		/* It is there now. */
		page_read(page);
		CHECK_EQ(page + 1, nr_absent);
	}
	CHECK_EQ(0, apf()->flags);
	CHECK_EQ(0, apf()->token);
}

/* CPL 0, and only a user's faults are wanted. */
static void guest_user_only(void)
{
	apf_start(ON);
	sti();
	page_read(0);
	page_read(1);
	cli();
	check_silent();
}

static void user_read(void *argument)
{
	(void)argument;
	page_read(2);
}

static void guest_user(void)
{
	apf_start(ON);
	write_flags(read_flags() | 0x200);
	CHECK_NO_FAULT(guest_catch_user(user_read, NULL));
	cli();
	CHECK_EQ(1, nr_absent);
	CHECK_EQ(1, nr_ready);
	CHECK_CR2(ready_tokens[0], absent_tokens[0]);
}

/* IF = 0: the guest could not take the interrupt. */
static void guest_masked(void)
{
	apf_start(ON | KVM_ASYNC_PF_SEND_ALWAYS);
	page_read(0);
	page_read(3);
	check_silent();
}

static void guest_never_enabled(void)
{
	apf_start(0);
	sti();
	page_read(0);
	page_read(1);
	cli();
	check_silent();
}

static void guest_turned_off(void)
{
	apf_start(ON | KVM_ASYNC_PF_SEND_ALWAYS);
	sti();
	page_read(0);
	cli();
	CHECK_EQ(1, nr_absent);
	CHECK_EQ(1, nr_ready);
	wrmsr(MSR_KVM_ASYNC_PF_EN, AREA);
	sti();
	page_read(1);
	sti_nop_cli();
	CHECK_EQ(1, nr_absent);
	CHECK_EQ(1, nr_ready);
}

/* --- the host's --- */

struct row {
	ROW_FIELDS;
	void (*guest)(void);
	uint32_t nr_told;	/* pages that are fetched only after the guest was told of their absence */
	uint32_t nr_silent;	/* fetched at once, after those */
};

static const struct row rows[] = {
	{ .label = "told", .guest = guest_told, .nr_told = NR_PAGES },
	{ .label = "user_only", .guest = guest_user_only, .nr_silent = 2 },
	{ .label = "user", .guest = guest_user, .nr_told = 1 },
	{ .label = "masked", .guest = guest_masked, .nr_silent = 2 },
	{ .label = "never_enabled", .guest = guest_never_enabled, .nr_silent = 2 },
	{ .label = "turned_off", .guest = guest_turned_off, .nr_told = 1, .nr_silent = 1 },
};

CASE(async_page_fault, .says = "a page that is not there yet is told by a token, and again by the same when it has come",
     .modes = LONG64, .needs = "root KVM_CAP_ASYNC_PF_INT", .rows = ROWS(rows), .irqchip = true, .shadow_too = true)

GUEST(async_page_fault)
{
	GUEST_ROW(rows)->guest();
}

struct pager {
	pthread_t thread;
	int fd;
	uint8_t *ram;
	const struct row *row;
	volatile struct abi_page *guest;
	volatile uint32_t nr_fetched;
};

/* Page after page as it is asked for; the last one is not followed by another. */
static void *pager_run(void *argument)
{
	struct pager *pager = argument;
	const struct row *row = pager->row;
	uint32_t page_data[PAGE / 4];

	while (pager->nr_fetched < row->nr_told + row->nr_silent) {
		struct uffd_msg message;
		struct uffdio_copy copy = { .src = (uintptr_t)page_data, .len = PAGE };

		if (read(pager->fd, &message, sizeof(message)) != sizeof(message))
			return NULL;
		pager->nr_fetched++;
		while (pager->nr_fetched <= row->nr_told && pager->guest->values[VALUE_ABSENT] < pager->nr_fetched)
			usleep(100);
		copy.dst = message.arg.pagefault.address & -PAGE;
		memset(page_data, 0, sizeof(page_data));
		page_data[0] = CONTENTS((copy.dst - (uintptr_t)pager->ram) / PAGE);
		if (ioctl(pager->fd, UFFDIO_COPY, &copy))
			return NULL;
	}
	return NULL;
}

static void pager_start(struct test *t, struct pager *pager)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register area = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	pager->ram = mmap(NULL, NR_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	require_true(t, pager->ram != MAP_FAILED);
	area.range.start = (uintptr_t)pager->ram;
	area.range.len = NR_PAGES * PAGE;
	pager->fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (pager->fd < 0 || ioctl(pager->fd, UFFDIO_API, &api) || ioctl(pager->fd, UFFDIO_REGISTER, &area))
		test_error(t, "userfaultfd: errno %d", errno);
	require_result(t, 0, vm_region_try(t->vm, SLOT, 0, GPA, NR_PAGES * PAGE, pager->ram));
	require_result(t, 0, pthread_create(&pager->thread, NULL, pager_run, pager));
}

HOST(async_page_fault)
{
	struct pager pager = { .row = ROW(t, rows), .guest = guest_page(t, 0) };

	pager_start(t, &pager);
	require_sync(t, 1);
	expect_done(t);
	/* Else the thread would wait for ever. */
	require_eq(t, pager.row->nr_told + pager.row->nr_silent, pager.nr_fetched);
	pthread_join(pager.thread, NULL);
	close(pager.fd);
}
