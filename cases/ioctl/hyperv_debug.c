/* SPDX-License-Identifier: MIT */
/*
 * Hyper-V's synthetic debugger: MSRs that hold a request and its pages, two of which leave for user space when the guest
 * writes them, and hypercalls that user space answers where the guest has chosen them. Without its leaf there is none.
 *
 * Can break: an exit for another MSR, a page exchanged with the next one, the status that user space gives lost, a
 * hypercall that leaves though the guest has not chosen it.
 * Source: KVM API, KVM_EXIT_HYPERV (KVM_EXIT_HYPERV_SYNDBG, KVM_EXIT_HYPERV_HCALL); include/asm/hyperv-tlfs.h of the UAPI's
 * kernel for the numbers; Hyper-V Top-Level Functional Specification, 3.12 (status codes).
 */
#include "case.h"

#include "cases/ioctl/hyperv.h"

#define CONTROL_SEND 1
#define USE_HYPERCALLS 4	/* an option */
#define STATUS_SUCCESS 2
#define ONE_PAGE (HV_PAGE + 0x1000)
#define OTHER_PAGE (HV_PAGE + 0x2000)

struct row {
	ROW_FIELDS;
	const struct op *ops;
	enum hv_with with;
};

/* --- the host's half --- */

static void host_status(struct test *t)
{
	t->vcpu->run->hyperv.u.syndbg.status = STATUS_SUCCESS;
}

/* --- the guest's half --- */

static void guest_post(void)
{
	CHECK_EQ(HV_ANSWER, hypercall(HV_POST_DEBUG, ONE_PAGE, OTHER_PAGE));
}

static void guest_retrieve(void)
{
	CHECK_EQ(HV_ANSWER, hypercall(HV_RETRIEVE_DEBUG, ONE_PAGE, OTHER_PAGE));
}

static void guest_reset(void)
{
	CHECK_EQ(HV_ANSWER, hypercall(HV_RESET_DEBUG, ONE_PAGE, OTHER_PAGE));
}

/* Data is not for registers; a reset has none. */
static void guest_fast(void)
{
	CHECK_EQ(HV_INVALID_PARAMETER, hypercall(HV_POST_DEBUG | HV_FAST, ONE_PAGE, 0));
	CHECK_EQ(HV_INVALID_PARAMETER, hypercall(HV_RETRIEVE_DEBUG | HV_FAST, ONE_PAGE, 0));
}

static void guest_not_chosen(void)
{
	CHECK_EQ(HV_OPERATION_DENIED, hypercall(HV_POST_DEBUG, ONE_PAGE, 0));
	CHECK_EQ(HV_OPERATION_DENIED, hypercall(HV_RETRIEVE_DEBUG, ONE_PAGE, 0));
	CHECK_EQ(HV_OPERATION_DENIED, hypercall(HV_RESET_DEBUG, ONE_PAGE, 0));
}

static void guest_not_there(void)
{
	CHECK_EQ(HV_INVALID_CODE, hypercall(HV_POST_DEBUG, ONE_PAGE, 0));
	CHECK_EQ(HV_INVALID_CODE, hypercall(HV_RETRIEVE_DEBUG, ONE_PAGE, 0));
	CHECK_EQ(HV_INVALID_CODE, hypercall(HV_RESET_DEBUG, ONE_PAGE, 0));
}

#define DEBUG_EXIT(msr_, value_, ...)							\
	{ OP(OP_WRMSR, "WRMSR " #msr_), .at = msr_, .value = value_,			\
	  .host = ON_HOST(host_status),							\
	  .exit = &(const struct exit_record){ .reason = KVM_EXIT_HYPERV,			\
			.hyperv = { .type = KVM_EXIT_HYPERV_SYNDBG, .words = { msr_, __VA_ARGS__ } } } }

static const struct row rows[] = {
	{ .label = "registers", .ops = OPS {
		RDMSR(HV_DEBUG_CONTROL, 0), RDMSR(HV_DEBUG_STATUS, 0), RDMSR(HV_DEBUG_PENDING, 0),
		WRMSR(HV_DEBUG_SEND, ONE_PAGE), WRMSR(HV_DEBUG_RECEIVE, OTHER_PAGE), WRMSR(HV_DEBUG_STATUS, 5),
		WRMSR(HV_DEBUG_OPTIONS, USE_HYPERCALLS), RDMSR(HV_DEBUG_SEND, ONE_PAGE), RDMSR(HV_DEBUG_RECEIVE, OTHER_PAGE),
		RDMSR(HV_DEBUG_STATUS, 5), RDMSR(HV_DEBUG_OPTIONS, USE_HYPERCALLS), RDMSR(HV_DEBUG_CONTROL, 0),
		RDMSR(HV_DEBUG_PENDING, 0), END } },
	{ .label = "send", .ops = OPS {
		/* The status is user space's answer to a request. */
		WRMSR(HV_DEBUG_SEND, ONE_PAGE), WRMSR(HV_DEBUG_RECEIVE, OTHER_PAGE),
		DEBUG_EXIT(HV_DEBUG_CONTROL, 64ull << 16 | CONTROL_SEND, 64ull << 16 | CONTROL_SEND, 0, ONE_PAGE, OTHER_PAGE, 0),
		RDMSR(HV_DEBUG_CONTROL, 64ull << 16 | CONTROL_SEND), RDMSR(HV_DEBUG_STATUS, STATUS_SUCCESS), END } },
	{ .label = "pending", .ops = OPS {
		WRMSR(HV_DEBUG_SEND, ONE_PAGE),
		DEBUG_EXIT(HV_DEBUG_PENDING, OTHER_PAGE, 0, 0, ONE_PAGE, 0, OTHER_PAGE),
		RDMSR(HV_DEBUG_PENDING, OTHER_PAGE), RDMSR(HV_DEBUG_STATUS, 0), END } },
	{ .label = "hypercalls", .ops = OPS {
		HV_HYPERCALLS_ON, WRMSR(HV_DEBUG_OPTIONS, USE_HYPERCALLS),
		HV_GUEST_CALL(guest_post, HV_POST_DEBUG, ONE_PAGE, OTHER_PAGE),
		HV_GUEST_CALL(guest_retrieve, HV_RETRIEVE_DEBUG, ONE_PAGE, OTHER_PAGE),
		HV_GUEST_CALL(guest_reset, HV_RESET_DEBUG, ONE_PAGE, OTHER_PAGE), GUEST_DO(guest_fast), END } },
	{ .label = "hypercalls_not_chosen", .ops = OPS {
		HV_HYPERCALLS_ON, WRMSR(HV_DEBUG_OPTIONS, ~(uint64_t)USE_HYPERCALLS), GUEST_DO(guest_not_chosen), END } },
	{ .label = "absent", .with = HV_ENFORCED_NOTHING, .needs = "KVM_CAP_HYPERV_ENFORCE_CPUID", .ops = OPS {
		RDMSR_GP(HV_DEBUG_CONTROL), WRMSR_GP(HV_DEBUG_CONTROL, CONTROL_SEND), RDMSR_GP(HV_DEBUG_STATUS),
		WRMSR_GP(HV_DEBUG_PENDING, OTHER_PAGE), WRMSR_GP(HV_DEBUG_OPTIONS, USE_HYPERCALLS), HV_HOST_HYPERCALLS_ON,
		GUEST_DO(guest_not_there), END } },
};

CASE(hyperv_debug, .says = "Hyper-V's debugger asks user space by its MSRs and hypercalls, if it is there", .modes = LONG64,
     .irqchip = true, .needs = "KVM_CAP_SYS_HYPERV_CPUID", .rows = ROWS(rows))

GUEST(hyperv_debug)
{
	script_guest(GUEST_ROW(rows)->ops);
}

HOST(hyperv_debug)
{
	const struct row *row = ROW(t, rows);

	hv_vcpus_set(t, row->with, 0);
	script_host(t, row->ops);
}
