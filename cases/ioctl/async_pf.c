/* SPDX-License-Identifier: MIT */
/*
 * Asynchronous page faults: memory that the host has not got yet is a #PF with a token in CR2 and a word in memory that
 * says so; the same token comes with an interrupt when the memory is there, one at a time. Where the guest must not be
 * told (not enabled, CPL 0 without leave, IF = 0), it finds the memory there, and takes interrupts meanwhile.
 * The host's memory is missing until userfaultfd is told to fill it.
 *
 * Can break: a token of another page, or one that never comes; a second event before the first is acknowledged; a fault
 * in a guest that has interrupts off; a vCPU that is deaf or stuck while it waits; a page read before it is there.
 * Source: Documentation/virt/kvm/x86/msr.rst (MSR_KVM_ASYNC_PF_EN, _INT, _ACK).
 */
#include "cases/ioctl/pv_msr.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cases/ioctl/lapic_regs.h"

#define AREA SCRATCH_GPA
#define MISSING_GPA 0x18000000ull
#define NR_PAGES 2
#define READY_VECTOR 0x61
#define OTHER_VECTOR 0x71
#define BROADCAST 0xffffffffu	/* a token: look at all of your tasks */
#define TOLD (KVM_ASYNC_PF_ENABLED | KVM_ASYNC_PF_DELIVERY_AS_INT)

/* What guest and host tell each other, in the report page's values. */
#define AT_STAGE 0
#define AT_OTHER 1
#define AT_PAST 2

struct row {
	ROW_FIELDS;
	void (*guest)(void);
	void (*serve)(struct test *t);
};

/* --- the guest's half --- */

static volatile uint32_t nr_ready, tokens[8], nr_others;
static volatile bool is_kept;	/* the handler leaves the token where it is */

static volatile struct kvm_vcpu_pv_apf_data *area(void)
{
	return (volatile struct kvm_vcpu_pv_apf_data *)(ulong_t)AREA;
}

static void token_acknowledge(void)
{
	area()->token = 0;
	wrmsr(MSR_KVM_ASYNC_PF_ACK, 1);
}

static void on_ready(struct guest_regs *regs)
{
	(void)regs;
	tokens[nr_ready++ & 7] = area()->token;
	if (!is_kept)
		token_acknowledge();
	write32(APIC_EOI, 0);
}

static void on_other(struct guest_regs *regs)
{
	(void)regs;
	GUEST_VALUE(AT_OTHER, ++nr_others);
	write32(APIC_EOI, 0);
}

/* Note, KVM may begin with a broadcast: whoever waited before this wrote the MSR shall look again. */
static void start(uint64_t flags)
{
	unsigned int i;

	guest_handle(READY_VECTOR, on_ready);
	guest_handle(OTHER_VECTOR, on_other);
	write32(APIC_SVR, SVR_ENABLE | 0xff);
	wrmsr(MSR_KVM_ASYNC_PF_INT, READY_VECTOR);
	wrmsr(MSR_KVM_ASYNC_PF_EN, flags ? AREA | flags : 0);
	sti();
	for (i = 0; i < 100; i++)
		cpu_relax();
	CHECK(nr_ready <= 1 && (!nr_ready || tokens[0] == BROADCAST));
	nr_ready = 0;
}

static ulong_t page_address(unsigned int page)
{
	return MISSING_GPA + page * 4096 + 8 * page;
}

static uint32_t page_value(unsigned int page)
{
	return 0x5a5a0001 + page;
}

static struct fault page_try(unsigned int page, uint32_t *value)
{
	return TRY("movl (%1), %0", : "=r"(*value) : "r"(page_address(page)) : "memory");
}

/* Not there: returns its token. */
static uint32_t page_miss(unsigned int page)
{
	uint32_t value = 0;
	struct fault fault = page_try(page, &value);

	CHECK_EQ(PF_VECTOR, (uint64_t)fault.vector);
	CHECK_EQ(KVM_PV_REASON_PAGE_NOT_PRESENT, area()->flags);
	area()->flags = 0;
	return fault.cr2;
}

/* A user's access. */
static void user_touch(void *argument)
{
	read32(page_address(*(unsigned int *)argument));
}

/* There, or waited for without a word. */
static void page_check(unsigned int page)
{
	uint32_t value = 0;

	CHECK_NO_FAULT(page_try(page, &value));
	CHECK_EQ(page_value(page), value);
	CHECK_EQ(0, area()->flags);
}

static void ready_wait(uint32_t nr)
{
	while (nr_ready < nr)
		cpu_relax();
}

/* Long enough for what must not come. */
static void pause_long(void)
{
	uint64_t end = rdtsc() + 20000000;

	while (rdtsc() < end)
		cpu_relax();
}

/* The second page comes first. */
static void guest_two(void)
{
	uint32_t first, second;

	start(TOLD | KVM_ASYNC_PF_SEND_ALWAYS);
	first = page_miss(0);
	second = page_miss(1);
	CHECK(abi_self()->cr2_is_lost || (first && second && first != second));
	GUEST_VALUE(AT_STAGE, 1);
	ready_wait(1);
	CHECK_CR2(tokens[0], second);
	page_check(1);
	pause_long();
	CHECK_EQ(1, nr_ready);
	GUEST_VALUE(AT_STAGE, 2);
	ready_wait(2);
	CHECK_CR2(tokens[1], first);
	page_check(0);
	CHECK_EQ(2, nr_ready);
}

/* One after the other, each by a token of its own; who has it is not told again. */
static void guest_in_turn(void)
{
	uint32_t token, last = 0;
	unsigned int page;

	start(TOLD | KVM_ASYNC_PF_SEND_ALWAYS);
	for (page = 0; page < NR_PAGES; page++) {
		token = page_miss(page);
		CHECK(abi_self()->cr2_is_lost || (token && token != last));
		last = token;
		GUEST_VALUE(AT_STAGE, page + 1);
		ready_wait(page + 1);
		CHECK_CR2(tokens[page], token);
		page_check(page);
		CHECK_EQ(page + 1, nr_ready);
		CHECK_EQ(0, area()->token);
	}
}

/* Both pages come, one event does, until it is acknowledged. */
static void guest_acknowledged(void)
{
	uint32_t first, second;

	start(TOLD | KVM_ASYNC_PF_SEND_ALWAYS);
	is_kept = true;
	first = page_miss(0);
	second = page_miss(1);
	GUEST_VALUE(AT_STAGE, 1);
	ready_wait(1);
	page_check(1);
	CHECK_CR2(tokens[0], second);
	GUEST_VALUE(AT_STAGE, 2);
	while (abi_self()->args[0] != 2)
		cpu_relax();
	pause_long();
	CHECK_EQ(1, nr_ready);
	CHECK_EQ(tokens[0], area()->token);
	is_kept = false;
	token_acknowledge();
	ready_wait(2);
	CHECK_CR2(tokens[1], first);
	page_check(0);
}

/* The second access to a page that was told missing waits for it. */
static void guest_again(void)
{
	uint32_t token;

	start(TOLD | KVM_ASYNC_PF_SEND_ALWAYS);
	token = page_miss(0);
	GUEST_VALUE(AT_STAGE, 1);
	page_check(0);
	GUEST_VALUE(AT_PAST, 1);
	ready_wait(1);
	CHECK_CR2(tokens[0], token);
	pause_long();
	CHECK_EQ(1, nr_ready);
}

static void guest_untold(uint64_t flags)
{
	start(flags);
	GUEST_VALUE(AT_STAGE, 1);
	page_check(0);
	CHECK_EQ(1, nr_others);
	pause_long();
	CHECK_EQ(0, nr_ready);
}

static void guest_not_enabled(void)
{
	guest_untold(0);
}

/* We are at CPL 0. */
static void guest_user_only(void)
{
	guest_untold(TOLD);
}

/* At CPL 3 that is enough. */
static void guest_user(void)
{
	unsigned int page = 0;
	struct fault fault;

	start(TOLD);
	fault = guest_catch_user(user_touch, &page);
	CHECK_EQ(PF_VECTOR, (uint64_t)fault.vector);
	CHECK_EQ(KVM_PV_REASON_PAGE_NOT_PRESENT, area()->flags);
	area()->flags = 0;
	GUEST_VALUE(AT_STAGE, 1);
	sti();
	ready_wait(1);
	CHECK_CR2(tokens[0], (uint32_t)fault.cr2);
	page_check(0);
	CHECK_EQ(1, nr_ready);
}

static void guest_masked(void)
{
	start(TOLD | KVM_ASYNC_PF_SEND_ALWAYS);
	cli();
	page_check(0);
	sti_nop_cli();
	CHECK_EQ(0, nr_ready);
}

/* What is outstanding then is not delivered. Note, the WRMSR waits for the page. */
static void guest_disabled(void)
{
	start(TOLD | KVM_ASYNC_PF_SEND_ALWAYS);
	page_miss(0);
	GUEST_VALUE(AT_STAGE, 1);
	wrmsr(MSR_KVM_ASYNC_PF_EN, 0);
	page_check(0);
	pause_long();
	CHECK_EQ(0, nr_ready);
	CHECK_EQ(0, area()->token);
}

/* The address alone enables nothing, also where it did before. */
static void guest_turned_off(void)
{
	start(TOLD | KVM_ASYNC_PF_SEND_ALWAYS);
	page_miss(0);
	GUEST_VALUE(AT_STAGE, 1);
	ready_wait(1);
	wrmsr(MSR_KVM_ASYNC_PF_EN, AREA);
	GUEST_VALUE(AT_STAGE, 2);
	page_check(1);
	pause_long();
	CHECK_EQ(1, nr_ready);
}

/* --- the host's half --- */

static int uffd;
static uint8_t *missing;

static void missing_make(struct test *t)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	missing = vm_slot_add(t->vm, 5, 0, MISSING_GPA, NR_PAGES * 4096);
	uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	require_true(t, uffd >= 0);
	require_result(t, 0, ioctl(uffd, UFFDIO_API, &api));
	range.range.start = (uintptr_t)missing;
	range.range.len = NR_PAGES * 4096;
	require_result(t, 0, ioctl(uffd, UFFDIO_REGISTER, &range));
}

static void page_fill(unsigned int page)
{
	static uint32_t data[4096 / 4] __attribute__((aligned(4096)));
	struct uffdio_copy copy = { .dst = (uintptr_t)missing + page * 4096, .src = (uintptr_t)data, .len = 4096 };

	data[2 * page] = page_value(page);
	ioctl(uffd, UFFDIO_COPY, &copy);
}

/* False: not within 5 s. */
static bool value_wait(struct test *t, unsigned int at, uint64_t value)
{
	volatile struct abi_page *page = guest_page(t, 0);
	unsigned int i;

	for (i = 0; page->values[at] < value && i < 5000; i++)
		usleep(1000);
	return page->values[at] >= value;
}

/* Until that page is asked for. */
static void fault_wait(unsigned int page)
{
	struct pollfd event = { .fd = uffd, .events = POLLIN };
	struct uffd_msg message;
	uint64_t offset = NR_PAGES * 4096;

	while (offset / 4096 != page && poll(&event, 1, 5000) > 0)
		if (read(uffd, &message, sizeof(message)) == sizeof(message))
			offset = message.arg.pagefault.address - (uintptr_t)missing;
}

static void serve_two(struct test *t)
{
	value_wait(t, AT_STAGE, 1);
	page_fill(1);
	value_wait(t, AT_STAGE, 2);
	page_fill(0);
}

static void serve_in_turn(struct test *t)
{
	unsigned int page;

	for (page = 0; page < NR_PAGES; page++) {
		value_wait(t, AT_STAGE, page + 1);
		page_fill(page);
	}
}

static void serve_acknowledged(struct test *t)
{
	serve_two(t);
	((volatile struct abi_page *)guest_page(t, 0))->args[0] = 2;
}

static bool was_early;

static void serve_again(struct test *t)
{
	value_wait(t, AT_STAGE, 1);
	usleep(50000);
	was_early = guest_value(t, AT_PAST);
	page_fill(0);
}

/* An interrupt is taken while the page is not there. */
static bool is_deaf;

static void serve_untold(struct test *t)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = OTHER_VECTOR };

	value_wait(t, AT_STAGE, 1);
	fault_wait(0);
	vm_ioctl(t->vm, KVM_SIGNAL_MSI, &msi);
	is_deaf = !value_wait(t, AT_OTHER, 1);
	page_fill(0);
}

static void serve_masked(struct test *t)
{
	(void)t;
	fault_wait(0);
	page_fill(0);
}

static void serve_first(struct test *t)
{
	value_wait(t, AT_STAGE, 1);
	page_fill(0);
}

/* Time for the guest to be at its WRMSR. */
static void serve_disabled(struct test *t)
{
	value_wait(t, AT_STAGE, 1);
	usleep(50000);
	page_fill(0);
}

static void serve_turned_off(struct test *t)
{
	serve_first(t);
	fault_wait(1);
	page_fill(1);
}

static const struct row rows[] = {
	{ .label = "in_turn", .guest = guest_in_turn, .serve = ON_HOST(serve_in_turn) },
	{ .label = "two", .guest = guest_two, .serve = ON_HOST(serve_two) },
	{ .label = "acknowledged", .guest = guest_acknowledged, .serve = ON_HOST(serve_acknowledged) },
	{ .label = "again", .guest = guest_again, .serve = ON_HOST(serve_again) },
	{ .label = "not_enabled", .guest = guest_not_enabled, .serve = ON_HOST(serve_untold) },
	{ .label = "user_only", .guest = guest_user_only, .serve = ON_HOST(serve_untold) },
	{ .label = "user", .guest = guest_user, .serve = ON_HOST(serve_first) },
	{ .label = "masked", .guest = guest_masked, .serve = ON_HOST(serve_masked) },
	{ .label = "disabled", .guest = guest_disabled, .serve = ON_HOST(serve_disabled) },
	{ .label = "turned_off", .guest = guest_turned_off, .serve = ON_HOST(serve_turned_off) },
};

CASE(async_pf, .says = "memory that is not there yet is told missing, and told ready, by one token", .modes = LONG64,
     .irqchip = true, .needs = "KVM_CAP_ASYNC_PF_INT root", .shadow_too = true, .rows = ROWS(rows))

GUEST(async_pf)
{
	GUEST_ROW(rows)->guest();
}

static void *serve(void *argument)
{
	struct test *t = argument;

	ROW(t, rows)->serve(t);
	return NULL;
}

HOST(async_pf)
{
	pthread_t thread;

	missing_make(t);
	require_result(t, 0, pthread_create(&thread, NULL, serve, t));
	expect_done(t);
	pthread_join(thread, NULL);
	expect_true(t, !was_early);
	expect_true(t, !is_deaf);
	close(uffd);
}
