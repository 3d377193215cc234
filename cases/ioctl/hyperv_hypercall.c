/* SPDX-License-Identifier: MIT */
/*
 * Hyper-V's hypercalls as KVM has them: what each answers, the interrupts that they send by masks, by sparse sets and to
 * all, in memory and in registers (also XMM), the events that become an eventfd's, and those that user space answers.
 *
 * Can break: another status than the specification's, a set's bank taken for another one, an interrupt for the wrong
 * processor, a reserved field not looked at, an argument or the answer of user space lost, one width's registers taken
 * in the other.
 * Source: Hyper-V Top-Level Functional Specification, 3.7 (inputs), 3.9 (results), 3.12 (status codes), 7.8.7.3 (sparse
 * sets), 10.5 (IPIs), 11.11 (HvPostMessage, HvSignalEvent), 4.x flushes; KVM API, 4.112 KVM_HYPERV_EVENTFD,
 * KVM_EXIT_HYPERV, KVM_CAP_HYPERV_ENFORCE_CPUID.
 */
#include "case.h"

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cases/ioctl/hyperv.h"
#include "cases/ioctl/lapic_regs.h"

#define CONNECTION 5
#define SPARSE 0	/* a set's format */
#define ALL 1
#define CR4_OSFXSR (1u << 9)

struct row {
	ROW_FIELDS;
	const struct op *ops;
	enum hv_with with;
	uint32_t synic;		/* the capability that turns it on; 0: off */
};

/* --- the host's half --- */

/* vCPU 1 is VP 5, so that its bit in a set is not that of its number. */
static void host_vp_5(struct test *t)
{
	expect_result(t, 1, msr_set_try(t->vm->vcpus[1], HV_VP_INDEX, 5));
}

static long event_try(struct test *t, uint32_t id, int fd, uint32_t flags)
{
	struct kvm_hyperv_eventfd event = { .conn_id = id, .fd = fd, .flags = flags };

	return vm_ioctl_try(t->vm, KVM_HYPERV_EVENTFD, &event);
}

/* An eventfd in the test's process, by its number from then on. */
static void host_event_assign(struct test *t)
{
	int fd = eventfd(0, EFD_NONBLOCK), pipes[2];

	require_true(t, fd >= 0 && !pipe(pipes));
	expect_result(t, -EINVAL, event_try(t, CONNECTION, fd, 2));
	expect_result(t, -EINVAL, event_try(t, 0x1000000, fd, 0));
	expect_result(t, -EBADF, event_try(t, CONNECTION, -1, 0));
	expect_result(t, -EINVAL, event_try(t, CONNECTION, pipes[0], 0));
	expect_result(t, -ENOENT, event_try(t, CONNECTION, -1, KVM_HYPERV_EVENTFD_DEASSIGN));
	expect_result(t, 0, event_try(t, CONNECTION, fd, 0));
	expect_result(t, -EEXIST, event_try(t, CONNECTION, fd, 0));
	expect_result(t, 0, event_try(t, 0xffffff, fd, 0));
	guest_arg(t, 1, fd);
}

static void host_event_deassign(struct test *t)
{
	expect_result(t, 0, event_try(t, CONNECTION, -1, KVM_HYPERV_EVENTFD_DEASSIGN));
	expect_result(t, -ENOENT, event_try(t, CONNECTION, -1, KVM_HYPERV_EVENTFD_DEASSIGN));
}

static void events_check(struct test *t, uint64_t want)
{
	uint64_t nr = 0;

	if (read(((struct abi_page *)guest_page(t, 0))->args[1], &nr, sizeof(nr)) < 0)
		nr = 0;
	expect_eq(t, want, nr);
}

static void host_no_event(struct test *t)
{
	events_check(t, 0);
}

static void host_2_events(struct test *t)
{
	events_check(t, 2);
}

/* --- the guest's half --- */

/* The input of a hypercall in memory. */
static void input_set(const uint64_t *words, unsigned int nr)
{
	volatile uint64_t *page = (void *)HV_PAGE;
	unsigned int i;

	for (i = 0; i < nr; i++)
		page[i] = words[i];
}

#define IN_MEMORY(control_, ...)								\
	({ const uint64_t words_[] = { __VA_ARGS__ };						\
	   input_set(words_, sizeof(words_) / sizeof(words_[0])); hypercall(control_, HV_PAGE, 0); })

/* The words behind the first two, in XMM0 to XMM5. */
static uint64_t xmm_hypercall(uint64_t control, uint64_t one, uint64_t two, const uint64_t *words)
{
	ulong_t cr4 = read_cr4();
	uint64_t result;

	write_cr4(cr4 | CR4_OSFXSR);
	__asm__ volatile("movups (%0), %%xmm0\n\tmovups 16(%0), %%xmm1\n\tmovups 32(%0), %%xmm2\n\t"
			 "movups 48(%0), %%xmm3\n\tmovups 64(%0), %%xmm4\n\tmovups 80(%0), %%xmm5"
			 : : "r"(words) : "memory");
	result = hypercall(control | HV_FAST, one, two);
	write_cr4(cr4);
	return result;
}

#define IN_XMM(control_, one_, two_, ...)							\
	({ const uint64_t words_[12] = { __VA_ARGS__ }; xmm_hypercall(control_, one_, two_, words_); })

static void guest_statuses(void)
{
	CHECK_EQ(HV_INVALID_CODE, hypercall(0x7fff | HV_FAST, 0, 0));
	CHECK_EQ(HV_INVALID_CODE, hypercall(0 | HV_FAST, 0, 0));
	CHECK_EQ(HV_OK, hypercall(HV_SPIN_WAIT | HV_FAST, 0, 0));
	CHECK_EQ(HV_INVALID_INPUT, hypercall(HV_SPIN_WAIT | HV_FAST | HV_REP(1), 0, 0));
	CHECK_EQ(HV_INVALID_INPUT, hypercall(HV_SPIN_WAIT | HV_FAST | HV_VARIABLE(1), 0, 0));
	/* Reserved bits: 30:27, 47:44, 63:60. */
	CHECK_EQ(HV_INVALID_INPUT, hypercall(HV_SPIN_WAIT | HV_FAST | 1ull << 27, 0, 0));
	CHECK_EQ(HV_INVALID_INPUT, hypercall(HV_SPIN_WAIT | HV_FAST | 1ull << 30, 0, 0));
	CHECK_EQ(HV_INVALID_INPUT, hypercall(HV_SPIN_WAIT | HV_FAST | 1ull << 44, 0, 0));
	CHECK_EQ(HV_INVALID_INPUT, hypercall(HV_SPIN_WAIT | HV_FAST | 1ull << 47, 0, 0));
	CHECK_EQ(HV_INVALID_INPUT, hypercall(HV_SPIN_WAIT | HV_FAST | 1ull << 60, 0, 0));
	CHECK_EQ(HV_INVALID_INPUT, hypercall(HV_SPIN_WAIT | HV_FAST | 1ull << 63, 0, 0));
	/* Without the synthetic interrupt controller there is nobody for messages. */
	CHECK_EQ(HV_INVALID_INPUT, hypercall(HV_POST_MESSAGE, SCRATCH_GPA, 0));
	CHECK_EQ(HV_INVALID_INPUT, hypercall(HV_SIGNAL_EVENT | HV_FAST, 1, 0));
}

/* Address space, flags, processors; the list has a word for each repetition behind them. */
static void guest_flushes(void)
{
	CHECK_EQ(HV_OK, IN_MEMORY(HV_FLUSH_SPACE, 0, 0, 3));
	CHECK_EQ(HV_OK, IN_MEMORY(HV_FLUSH_SPACE, 0, 1, 0));
	CHECK_EQ(HV_INVALID_INPUT, hypercall(HV_FLUSH_SPACE, HV_NO_RAM, 0));
	CHECK_EQ(HV_INVALID_INPUT, hypercall(HV_FLUSH_SPACE | HV_REP(1), HV_PAGE, 0));
	CHECK_EQ(HV_INVALID_INPUT, hypercall(HV_FLUSH_SPACE | 1ull << 48, HV_PAGE, 0));
	CHECK_EQ(HV_INVALID_INPUT, hypercall(HV_FLUSH_SPACE | HV_VARIABLE(1), HV_PAGE, 0));
	CHECK_EQ(HV_REP(3), IN_MEMORY(HV_FLUSH_LIST | HV_REP(3), 0, 0, 2, 0x1000, 0x2000, 0x3000));
	CHECK_EQ(HV_REP(0xfff), IN_MEMORY(HV_FLUSH_LIST | HV_REP(0xfff), 0, 0, 2));
	CHECK_EQ(HV_INVALID_INPUT, hypercall(HV_FLUSH_LIST, HV_PAGE, 0));
	CHECK_EQ(HV_INVALID_INPUT, hypercall(HV_FLUSH_LIST | HV_REP(1) | HV_VARIABLE(1), HV_PAGE, 0));
	CHECK_EQ(HV_INVALID_INPUT, hypercall(HV_FLUSH_LIST | HV_REP(1), HV_NO_RAM, 0));
	CHECK_EQ(HV_OK, IN_XMM(HV_FLUSH_SPACE, 0, 0, 3));
	CHECK_EQ(HV_REP(1), IN_XMM(HV_FLUSH_LIST | HV_REP(1), 0, 0, 3));
}

/* Address space, flags, format, banks that there are, banks. */
static void guest_sparse_flushes(void)
{
	CHECK_EQ(HV_OK, IN_MEMORY(HV_FLUSH_SPACE_EX | HV_VARIABLE(1), 0, 0, SPARSE, 1, 3));
	CHECK_EQ(HV_OK, IN_MEMORY(HV_FLUSH_SPACE_EX | HV_VARIABLE(2), 0, 0, SPARSE, 5, 3, 1));
	CHECK_EQ(HV_OK, IN_MEMORY(HV_FLUSH_SPACE_EX, 0, 0, SPARSE, 0));
	CHECK_EQ(HV_OK, IN_MEMORY(HV_FLUSH_SPACE_EX, 0, 0, ALL, 0));
	CHECK_EQ(HV_INVALID_INPUT, IN_MEMORY(HV_FLUSH_SPACE_EX, 0, 0, SPARSE, 1, 3));
	CHECK_EQ(HV_INVALID_INPUT, IN_MEMORY(HV_FLUSH_SPACE_EX | HV_VARIABLE(2), 0, 0, SPARSE, 1, 3, 3));
	CHECK_EQ(HV_INVALID_INPUT, hypercall(HV_FLUSH_SPACE_EX, HV_NO_RAM, 0));
	CHECK_EQ(HV_INVALID_INPUT, IN_MEMORY(HV_FLUSH_SPACE_EX | HV_VARIABLE(1) | HV_REP(1), 0, 0, SPARSE, 1, 3));
	CHECK_EQ(HV_REP(2), IN_MEMORY(HV_FLUSH_LIST_EX | HV_VARIABLE(1) | HV_REP(2), 0, 0, SPARSE, 1, 3, 0x1000, 0x2000));
	CHECK_EQ(HV_INVALID_INPUT, IN_MEMORY(HV_FLUSH_LIST_EX | HV_VARIABLE(1), 0, 0, SPARSE, 1, 3));
	CHECK_EQ(HV_OK, IN_XMM(HV_FLUSH_SPACE_EX | HV_VARIABLE(1), 0, 0, SPARSE, 1, 3));
	/* Six registers hold the set's head and ten banks. */
	CHECK_EQ(HV_OK, IN_XMM(HV_FLUSH_SPACE_EX | HV_VARIABLE(10), 0, 0, SPARSE, 0x3ff, 3));
	CHECK_EQ(HV_INVALID_INPUT, IN_XMM(HV_FLUSH_SPACE_EX | HV_VARIABLE(11), 0, 0, SPARSE, 0x7ff, 3));
	CHECK_EQ(HV_REP(1), IN_XMM(HV_FLUSH_LIST_EX | HV_VARIABLE(1) | HV_REP(1), 0, 0, SPARSE, 1, 3));
}

/* Processors 0 and 1, by their indices' bits; no vector below 10h, none above FFh, nothing beside the vector. */
static void guest_ipis(void)
{
	CHECK_EQ(HV_OK, hypercall(HV_SEND_IPI | HV_FAST, 0x51, 3));
	CHECK_EQ(HV_OK, hypercall(HV_SEND_IPI | HV_FAST, 0x62, 2));
	CHECK_EQ(HV_OK, hypercall(HV_SEND_IPI | HV_FAST, 0x73, 4));
	CHECK_EQ(HV_OK, hypercall(HV_SEND_IPI | HV_FAST, 0xff, 4));
	CHECK_EQ(HV_OK, hypercall(HV_SEND_IPI | HV_FAST, 0x10, 4));
	CHECK_EQ(HV_INVALID_INPUT, hypercall(HV_SEND_IPI | HV_FAST, 0xf, 3));
	CHECK_EQ(HV_INVALID_INPUT, hypercall(HV_SEND_IPI | HV_FAST, 0x100, 3));
	CHECK_EQ(HV_INVALID_INPUT, hypercall(HV_SEND_IPI | HV_FAST, 1ull << 32 | 0x74, 3));
	CHECK_EQ(HV_INVALID_INPUT, hypercall(HV_SEND_IPI | HV_FAST | HV_REP(1), 0x74, 3));
	CHECK_EQ(HV_INVALID_INPUT, hypercall(HV_SEND_IPI | HV_FAST | HV_VARIABLE(1), 0x74, 3));
}

static void guest_memory_ipis(void)
{
	CHECK_EQ(HV_OK, IN_MEMORY(HV_SEND_IPI, 0x51, 2));
	CHECK_EQ(HV_INVALID_INPUT, IN_MEMORY(HV_SEND_IPI, 0xf, 3));
	CHECK_EQ(HV_INVALID_INPUT, IN_MEMORY(HV_SEND_IPI, 0x100, 3));
	CHECK_EQ(HV_INVALID_INPUT, hypercall(HV_SEND_IPI, HV_NO_RAM, 0));
}

/* Vector, format, banks that there are, banks: a bank is 64 processors. */
static void guest_sparse_ipis(void)
{
	CHECK_EQ(HV_OK, IN_MEMORY(HV_SEND_IPI_EX | HV_VARIABLE(1), 0x51, SPARSE, 1, 2));
	CHECK_EQ(HV_OK, IN_MEMORY(HV_SEND_IPI_EX | HV_VARIABLE(2), 0x62, SPARSE, 3, 1, ~0ull));
	CHECK_EQ(HV_OK, IN_MEMORY(HV_SEND_IPI_EX | HV_VARIABLE(1), 0x73, SPARSE, 2, 3));
	CHECK_EQ(HV_OK, IN_MEMORY(HV_SEND_IPI_EX, 0x73, SPARSE, 0, 3));
	CHECK_EQ(HV_INVALID_INPUT, IN_MEMORY(HV_SEND_IPI_EX, 0x73, SPARSE, 1, 3));
	CHECK_EQ(HV_INVALID_INPUT, IN_MEMORY(HV_SEND_IPI_EX | HV_VARIABLE(1), 0x73, SPARSE, 3, 3));
	CHECK_EQ(HV_INVALID_INPUT, IN_MEMORY(HV_SEND_IPI_EX | HV_VARIABLE(1), 0xf, SPARSE, 1, 3));
	CHECK_EQ(HV_INVALID_INPUT, IN_MEMORY(HV_SEND_IPI_EX | HV_VARIABLE(1), 0x100, SPARSE, 1, 3));
	CHECK_EQ(HV_INVALID_INPUT, IN_MEMORY(HV_SEND_IPI_EX | HV_VARIABLE(1) | HV_REP(1), 0x73, SPARSE, 1, 3));
	CHECK_EQ(HV_INVALID_INPUT, hypercall(HV_SEND_IPI_EX, HV_NO_RAM, 0));
}

static void guest_xmm_ipis(void)
{
	CHECK_EQ(HV_OK, IN_XMM(HV_SEND_IPI_EX | HV_VARIABLE(1), 0x51, SPARSE, 1, 2));
	CHECK_EQ(HV_OK, IN_XMM(HV_SEND_IPI_EX | HV_VARIABLE(3), 0x62, SPARSE, 7, 1, ~0ull, ~0ull));
	CHECK_EQ(HV_INVALID_INPUT, IN_XMM(HV_SEND_IPI_EX | HV_VARIABLE(12), 0x73, SPARSE, 0xfff, 3));
}

static void guest_ipi_all(void)
{
	CHECK_EQ(HV_OK, IN_MEMORY(HV_SEND_IPI_EX, 0x51, ALL, 0));
}

static void guest_vp_5(void)
{
	CHECK_EQ(HV_OK, hypercall(HV_SEND_IPI | HV_FAST, 0x51, 2));
	CHECK_EQ(HV_OK, hypercall(HV_SEND_IPI | HV_FAST, 0x62, 1 << 5));
}

static void guest_denied(void)
{
	CHECK_EQ(HV_DENIED, hypercall(HV_SPIN_WAIT | HV_FAST, 0, 0));
	CHECK_EQ(HV_DENIED, hypercall(HV_SEND_IPI | HV_FAST, 0x51, 3));
	CHECK_EQ(HV_DENIED, IN_MEMORY(HV_SEND_IPI_EX, 0x51, ALL, 0));
	CHECK_EQ(HV_DENIED, hypercall(HV_FLUSH_SPACE, SCRATCH_GPA, 0));
	CHECK_EQ(HV_DENIED, hypercall(HV_FLUSH_LIST | HV_REP(1), SCRATCH_GPA, 0));
	CHECK_EQ(HV_DENIED, IN_MEMORY(HV_FLUSH_SPACE_EX, 0, 0, ALL, 0));
	CHECK_EQ(HV_DENIED, IN_MEMORY(HV_FLUSH_LIST_EX | HV_REP(1), 0, 0, ALL, 0));
	CHECK_EQ(HV_DENIED, hypercall(HV_POST_MESSAGE, SCRATCH_GPA, 0));
	CHECK_EQ(HV_DENIED, hypercall(HV_SIGNAL_EVENT | HV_FAST, 1, 0));
	CHECK_EQ(HV_INVALID_CODE, hypercall(0x7fff | HV_FAST, 0, 0));
}

static void guest_post(void)
{
	CHECK_EQ(HV_ANSWER, hypercall(HV_POST_MESSAGE, 0x123456789000, 0xabcdef0123456));
}

static void guest_not_posted(void)
{
	CHECK_EQ(HV_INVALID_INPUT, hypercall(HV_POST_MESSAGE | HV_REP(1), HV_PAGE, 0));
	CHECK_EQ(HV_INVALID_INPUT, hypercall(HV_POST_MESSAGE | HV_VARIABLE(1), HV_PAGE, 0));
	CHECK_EQ(HV_INVALID_INPUT, hypercall(HV_SIGNAL_EVENT | HV_FAST | HV_REP(1), CONNECTION, 0));
	CHECK_EQ(HV_INVALID_INPUT, hypercall(HV_SIGNAL_EVENT | HV_FAST | HV_VARIABLE(1), CONNECTION, 0));
	/* The connection has 24 bits, the flag's number 16 above 32, the rest is reserved. */
	CHECK_EQ(HV_INVALID_INPUT, hypercall(HV_SIGNAL_EVENT | HV_FAST, 1 << 24 | CONNECTION, 0));
	CHECK_EQ(HV_INVALID_INPUT, hypercall(HV_SIGNAL_EVENT | HV_FAST, 1ull << 48 | CONNECTION, 0));
	CHECK_EQ(HV_INVALID_ALIGNMENT, hypercall(HV_SIGNAL_EVENT, HV_PAGE + 4, 0));
	CHECK_EQ(HV_INVALID_ALIGNMENT, hypercall(HV_SIGNAL_EVENT, HV_NO_RAM, 0));
}

static void guest_signal_unknown(void)
{
	CHECK_EQ(HV_ANSWER, hypercall(HV_SIGNAL_EVENT | HV_FAST, CONNECTION, 7));
}

static void guest_signal_flag(void)
{
	CHECK_EQ(HV_ANSWER, hypercall(HV_SIGNAL_EVENT | HV_FAST, 1ull << 32 | CONNECTION, 0));
}

static void guest_signal(void)
{
	CHECK_EQ(HV_OK, hypercall(HV_SIGNAL_EVENT | HV_FAST, CONNECTION, 0));
	CHECK_EQ(HV_OK, IN_MEMORY(HV_SIGNAL_EVENT, CONNECTION));
}

#define SYNIC .synic = KVM_CAP_HYPERV_SYNIC2
#define BOTH_LAPICS_ON VCPU(1), LAPIC_ON, VCPU(0), LAPIC_ON

static const struct row rows[] = {
	{ .label = "statuses", .ops = OPS { HV_HYPERCALLS_ON, GUEST_DO(guest_statuses), END } },
	{ .label = "flush", .ops = OPS { HV_HYPERCALLS_ON, GUEST_DO(guest_flushes), END } },
	{ .label = "flush_sparse", .ops = OPS { HV_HYPERCALLS_ON, GUEST_DO(guest_sparse_flushes), END } },
	{ .label = "ipi", .ops = OPS {
		BOTH_LAPICS_ON, HV_HYPERCALLS_ON, GUEST_DO(guest_ipis), TAKE(0x51), VCPU(1), TAKE(0x62), LAPIC_EOI,
		TAKE(0x51), END } },
	{ .label = "ipi_memory", .ops = OPS {
		BOTH_LAPICS_ON, HV_HYPERCALLS_ON, GUEST_DO(guest_memory_ipis), TAKE(0), VCPU(1), TAKE(0x51), END } },
	{ .label = "ipi_sparse", .ops = OPS {
		BOTH_LAPICS_ON, HV_HYPERCALLS_ON, GUEST_DO(guest_sparse_ipis), TAKE(0x62), VCPU(1), TAKE(0x51), END } },
	{ .label = "ipi_xmm", .ops = OPS {
		BOTH_LAPICS_ON, HV_HYPERCALLS_ON, GUEST_DO(guest_xmm_ipis), TAKE(0x62), VCPU(1), TAKE(0x51), END } },
	{ .label = "ipi_all", .ops = OPS {
		BOTH_LAPICS_ON, HV_HYPERCALLS_ON, GUEST_DO(guest_ipi_all), TAKE(0x51), VCPU(1), TAKE(0x51), END } },
	{ .label = "ipi_vp_index", .ops = OPS {
		BOTH_LAPICS_ON, HV_HYPERCALLS_ON, HOST_DO(host_vp_5), GUEST_DO(guest_vp_5), TAKE(0), VCPU(1), TAKE(0x62), END } },
	{ .label = "denied", .with = HV_ENFORCED_NOTHING, .needs = "KVM_CAP_HYPERV_ENFORCE_CPUID", .ops = OPS {
		HV_HOST_HYPERCALLS_ON, GUEST_DO(guest_denied), END } },
	{ .label = "post", SYNIC, .ops = OPS {
		HV_HYPERCALLS_ON, HV_GUEST_CALL(guest_post, HV_POST_MESSAGE, 0x123456789000, 0xabcdef0123456),
		GUEST_DO(guest_not_posted), END } },
	{ .label = "event", SYNIC, .needs = "KVM_CAP_HYPERV_EVENTFD", .ops = OPS {
		HV_HYPERCALLS_ON, HV_GUEST_CALL(guest_signal_unknown, HV_SIGNAL_EVENT | HV_FAST, CONNECTION, 7),
		HOST_DO(host_event_assign), GUEST_DO(guest_signal), HOST_DO(host_2_events), GUEST_DO(guest_not_posted),
		HOST_DO(host_no_event),
		/* KVM does not know of flags. */
		HV_GUEST_CALL(guest_signal_flag, HV_SIGNAL_EVENT | HV_FAST, 1ull << 32 | CONNECTION, 0),
		HOST_DO(host_no_event), HOST_DO(host_event_deassign),
		HV_GUEST_CALL(guest_signal_unknown, HV_SIGNAL_EVENT | HV_FAST, CONNECTION, 7), HOST_DO(host_no_event), END } },
};

CASE(hyperv_hypercall, .says = "Hyper-V's hypercalls do and answer what is specified, in either width",
     .modes = PROT32 | LONG64, .irqchip = true, .nr_vcpus = 2, .needs = "KVM_CAP_SYS_HYPERV_CPUID KVM_CAP_HYPERV_SYNIC2",
     .rows = ROWS(rows))

GUEST(hyperv_hypercall)
{
	script_guest(GUEST_ROW(rows)->ops);
}

HOST(hyperv_hypercall)
{
	const struct row *row = ROW(t, rows);

	hv_vcpus_set(t, row->with, row->synic);
	script_host(t, row->ops);
}
