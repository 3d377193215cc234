/* SPDX-License-Identifier: MIT */
/*
 * Hyper-V's clocks and timers as KVM has them: the reference time, its page, the frequencies, and four synthetic timers
 * that interrupt, by a vector of their own or by a message in the guest's page.
 *
 * Can break: a time that goes back, a page that gives another time than the MSR, a timer that comes early or twice, a
 * message with another timer's index, one that is written over a message that the guest has not taken.
 * Source: Hyper-V Top-Level Functional Specification, 11.8 (SIMP, EOM), 11.10 (message flags), 12.3 (synthetic timers:
 * configuration, expiration messages), 12.7 (partition reference time enlightenment, its page).
 */
#include "case.h"

#include <string.h>

#include "cases/ioctl/hyperv.h"
#include "cases/ioctl/lapic_regs.h"

#define STIMER_ENABLE 1ull
#define STIMER_PERIODIC 2ull
#define STIMER_AUTO 8ull
#define STIMER_DIRECT(vector_) (0x1000ull | (vector_) << 4)
#define STIMER_MESSAGE(sint_) ((sint_) << 16)
#define TIMER_EXPIRED 0x80000010u
#define MESSAGE_PENDING 1

struct row {
	ROW_FIELDS;
	const struct op *ops;
	uint32_t synic;		/* the capability that turns it on; 0: off */
};

/* The message of SINT 2: TLFS, 11.10. */
struct message {
	uint32_t type;
	uint8_t payload_bytes, flags;
	uint16_t reserved;
	uint64_t origin;
	uint32_t timer, reserved_timer;
	uint64_t expired, delivered;	/* reference time */
};

static struct message *message(void *page)
{
	return (struct message *)((uint8_t *)page + 2 * 256);
}

/* --- the host's half --- */

static void host_tsc_settle(struct test *t)
{
	/* 1302: of KVM's own choice, it may be one that KVM refuses. */
	vcpu_ioctl_value(t->vcpu, KVM_SET_TSC_KHZ, 0);
	guest_arg(t, 1, vcpu_ioctl_value(t->vcpu, KVM_GET_TSC_KHZ, 0));
}

static void host_page_clear(struct test *t)
{
	memset(vm_hva(t->vm, HV_PAGE, 4096), 0, 4096);
}

/* --- the guest's half --- */

static void guest_time(void)
{
	uint64_t first = rdmsr(HV_TIME_REF_COUNT), second = rdmsr(HV_TIME_REF_COUNT);

	CHECK(first && second >= first);
	/* 100 ns: a minute at most. */
	CHECK(second - first < 600000000);
	CHECK_EQ(GUEST_ARG(1) * 1000, rdmsr(HV_TSC_FREQUENCY));
}

static void guest_runtime(void)
{
	uint64_t first = rdmsr(HV_VP_RUNTIME), second = rdmsr(HV_VP_RUNTIME);

	CHECK(second >= first && second - first < 600000000);
}

/* ((TSC * scale) >> 64) + offset, unless the sequence is 0: the page is no use then. */
static void guest_page_time(void)
{
#ifdef __x86_64__
	const volatile struct {
		uint32_t sequence, reserved;
		uint64_t scale, offset;
	} *page = (void *)HV_PAGE;
	uint64_t before = rdmsr(HV_TIME_REF_COUNT), by_page, after;

	if (!page->sequence)
		return;
	by_page = (uint64_t)((unsigned __int128)rdtsc() * page->scale >> 64) + page->offset;
	after = rdmsr(HV_TIME_REF_COUNT);
	CHECK(by_page + 1 >= before);
	CHECK(by_page <= after + 1);
#endif
}

static void expired_check(uint32_t timer, uint64_t expired)
{
	const struct message *at = message((void *)HV_PAGE);

	CHECK_EQ(TIMER_EXPIRED, at->type);
	CHECK_EQ(24, at->payload_bytes);
	CHECK_EQ(0, at->flags);
	CHECK_EQ(timer, at->timer);
	CHECK_EQ(0, at->reserved_timer);
	CHECK_EQ(expired, at->expired);
	CHECK(at->delivered >= expired && at->delivered <= rdmsr(HV_TIME_REF_COUNT));
	CHECK_EQ(0, message((void *)(HV_PAGE - 256))->type);
	CHECK_EQ(0, message((void *)(HV_PAGE + 256))->type);
}

static void guest_expired_1(void)
{
	expired_check(1, 1);
}

static void guest_expired_3(void)
{
	expired_check(3, 2);
}

static void guest_message_take(void)
{
	message((void *)HV_PAGE)->type = 0;
}

/* The one that waits has said so in the one that is there, and left the rest alone. */
static void guest_is_pending(void)
{
	CHECK_EQ(TIMER_EXPIRED, message((void *)HV_PAGE)->type);
	CHECK_EQ(MESSAGE_PENDING, message((void *)HV_PAGE)->flags);
	CHECK_EQ(1, message((void *)HV_PAGE)->timer);
}

/* 20 ms from now, and not before. */
static void guest_one_shot(void)
{
	uint64_t at = rdmsr(HV_TIME_REF_COUNT) + 200000;

	wrmsr(HV_STIMER_COUNT(2), at);
	CHECK_EQ(at, rdmsr(HV_STIMER_COUNT(2)));
	halt_once();
	CHECK(rdmsr(HV_TIME_REF_COUNT) >= at);
}

#define SYNIC .synic = KVM_CAP_HYPERV_SYNIC2
#define MESSAGES_ON								\
	LAPIC_ON, HOST_DO(host_page_clear), HV_SYNIC_EXIT(HV_SCONTROL, 1, 1, 0, 0),	\
	HV_SYNIC_EXIT(HV_SIMP, HV_PAGE | 1, 1, 0, HV_PAGE | 1)

static const struct row rows[] = {
	{ .label = "time", .ops = OPS {
		HOST_DO(host_tsc_settle), GUEST_DO(guest_time), WRMSR_GP(HV_TIME_REF_COUNT, 0), WRMSR_GP(HV_TSC_FREQUENCY, 0),
		RDMSR(HV_APIC_FREQUENCY, 1000000000), WRMSR_GP(HV_APIC_FREQUENCY, 1000000000), END } },
	{ .label = "runtime", .ops = OPS { GUEST_DO(guest_runtime), WRMSR_GP(HV_VP_RUNTIME, 0), END } },
	{ .label = "reference_page", .ops = OPS {
		VCPU(1), HOST_DO(host_tsc_settle), VCPU(0), HOST_DO(host_tsc_settle), HOST_DO(host_page_clear),
		RDMSR(HV_REFERENCE_TSC, 0), WRMSR(HV_REFERENCE_TSC, HV_PAGE | 1),
		RDMSR(HV_REFERENCE_TSC, HV_PAGE | 1), GUEST_DO(guest_page_time), VCPU(1), RDMSR(HV_REFERENCE_TSC, HV_PAGE | 1),
		GUEST_DO(guest_page_time), VCPU(0), WRMSR(HV_REFERENCE_TSC, 0), RDMSR(HV_REFERENCE_TSC, 0), END } },
	{ .label = "stimer", SYNIC, .ops = OPS {
		LAPIC_ON, RDMSR(HV_STIMER_CONFIG(0), 0), RDMSR(HV_STIMER_COUNT(3), 0),
		/* Periodic, each 10 ms; off by its configuration. */
		WRMSR(HV_STIMER_CONFIG(1), STIMER_ENABLE | STIMER_PERIODIC | STIMER_DIRECT(0x51)),
		WRMSR(HV_STIMER_COUNT(1), 100000), RDMSR(HV_STIMER_COUNT(1), 100000),
		HALT(0x51), LAPIC_EOI, HALT(0x51), LAPIC_EOI, WRMSR(HV_STIMER_CONFIG(1), 0),
		RDMSR(HV_STIMER_CONFIG(1), 0), RDMSR(HV_STIMER_CONFIG(0), 0), RDMSR(HV_STIMER_CONFIG(2), 0), END } },
	{ .label = "stimer_auto", SYNIC, .ops = OPS {
		LAPIC_ON, WRMSR(HV_STIMER_CONFIG(0), STIMER_AUTO | STIMER_DIRECT(0x61)),
		RDMSR(HV_STIMER_CONFIG(0), STIMER_AUTO | STIMER_DIRECT(0x61)), TAKE(0),
		/* A count turns it on; a time that is over comes at once, and it is off again. */
		WRMSR(HV_STIMER_COUNT(0), 1), HALT(0x61), LAPIC_EOI,
		RDMSR(HV_STIMER_CONFIG(0), STIMER_AUTO | STIMER_DIRECT(0x61)), TAKE(0),
		WRMSR(HV_STIMER_COUNT(0), 0), RDMSR(HV_STIMER_CONFIG(0), STIMER_AUTO | STIMER_DIRECT(0x61)), END } },
	{ .label = "one_shot", SYNIC, .ops = OPS {
		LAPIC_ON, WRMSR(HV_STIMER_CONFIG(2), STIMER_AUTO | STIMER_DIRECT(0x51)),
		RDMSR(HV_STIMER_CONFIG(2), STIMER_AUTO | STIMER_DIRECT(0x51)), GUEST_DO(guest_one_shot), TAKE(0x51), LAPIC_EOI,
		RDMSR(HV_STIMER_CONFIG(2), STIMER_AUTO | STIMER_DIRECT(0x51)), TAKE(0), END } },
	{ .label = "message", SYNIC, .ops = OPS {
		MESSAGES_ON, WRMSR(HV_SINT(2), 0x51), WRMSR(HV_STIMER_CONFIG(1), STIMER_AUTO | STIMER_MESSAGE(2)),
		RDMSR(HV_STIMER_CONFIG(1), STIMER_AUTO | STIMER_MESSAGE(2)), WRMSR(HV_STIMER_COUNT(1), 1), HALT(0x51),
		GUEST_DO(guest_expired_1), LAPIC_EOI, RDMSR(HV_STIMER_CONFIG(1), STIMER_AUTO | STIMER_MESSAGE(2)), TAKE(0), END } },
	{ .label = "message_waits", SYNIC, .ops = OPS {
		/* A second one comes when the guest has taken the first and says so. */
		MESSAGES_ON, WRMSR(HV_SINT(2), 0x51), WRMSR(HV_STIMER_CONFIG(1), STIMER_AUTO | STIMER_MESSAGE(2)),
		WRMSR(HV_STIMER_CONFIG(3), STIMER_AUTO | STIMER_MESSAGE(2)), WRMSR(HV_STIMER_COUNT(1), 1), HALT(0x51), LAPIC_EOI,
		WRMSR(HV_STIMER_COUNT(3), 2), TAKE(0), GUEST_DO(guest_is_pending), GUEST_DO(guest_message_take), TAKE(0),
		WRMSR(HV_EOM, 0), HALT(0x51), GUEST_DO(guest_expired_3), LAPIC_EOI, END } },
	{ .label = "message_no_source", SYNIC, .ops = OPS {
		/* SINT 0 is none to a timer that is on. */
		MESSAGES_ON, WRMSR(HV_STIMER_CONFIG(1), STIMER_ENABLE | STIMER_PERIODIC | STIMER_MESSAGE(2)),
		WRMSR(HV_STIMER_CONFIG(1), STIMER_ENABLE), RDMSR(HV_STIMER_CONFIG(1), 0), END } },
};

CASE(hyperv_timer, .says = "Hyper-V's clocks agree, and its timers come in time, once, with their message", .modes = LONG64,
     .irqchip = true, .nr_vcpus = 2, .needs = "KVM_CAP_SYS_HYPERV_CPUID KVM_CAP_HYPERV_SYNIC2", .rows = ROWS(rows))

GUEST(hyperv_timer)
{
	script_guest(GUEST_ROW(rows)->ops);
}

HOST(hyperv_timer)
{
	const struct row *row = ROW(t, rows);

	hv_vcpus_set(t, HV_ALL_LEAVES, row->synic);
	script_host(t, row->ops);
}
