/* SPDX-License-Identifier: MIT */
/*
 * KVM_HC_CLOCK_PAIRING stores the host's wall clock and the TSC of that moment, where the host's clock is a TSC; else, and
 * for another clock, it is -KVM_EOPNOTSUPP and nothing is stored. Memory that is not there is -KVM_EFAULT. No hypercall is
 * user code's.
 *
 * Can break: a field stored in another's place, the TSC of the host and not the guest's, padding that is not clear, another
 * type taken, an error's sign or number.
 * Source: KVM hypercall ABI (Documentation/virt/kvm/x86/hypercalls.rst), KVM_HC_CLOCK_PAIRING; kvm_para.h.
 */
#include "cases/ioctl/pv_msr.h"

#include <string.h>
#include <time.h>

struct row {
	ROW_FIELDS;
	uint64_t gpa, type;
	int64_t result;
};

#define NR_CLOCK_PAIRING 9
#define WALL_CLOCK 0
#define NOT_SUPPORTED (-95)	/* -KVM_EOPNOTSUPP */
#define FAULT (-14)		/* -KVM_EFAULT */
#define PLACE (SCRATCH_GPA + 0x1008)
#define NOWHERE (1ull << 40)
#define FILLING 0xa5
#define NS_PER_S 1000000000ll
#define SLACK_NS 20000000ll	/* beside the clock that the C library reads */

struct clock_pairing {
	int64_t sec, nsec;
	uint64_t tsc;
	uint32_t flags, pad[9];
};

static const struct row rows[] = {
	{ .label = "wall_clock", .gpa = PLACE, .type = WALL_CLOCK },
	{ .label = "other_clock", .gpa = PLACE, .type = 1, .result = NOT_SUPPORTED },
	{ .label = "other_clock_upper", .gpa = PLACE, .type = 1ull << 32, .result = NOT_SUPPORTED },
	{ .label = "nowhere", .gpa = NOWHERE, .type = WALL_CLOCK, .result = FAULT },
};

CASE(clock_pairing, .says = "the clock pairing hypercall tells wall clock and TSC of one moment", .modes = LONG64,
     .needs = "pinned", .rows = ROWS(rows))

GUEST(clock_pairing)
{
	const struct row *row = GUEST_ROW(rows);
	int64_t result = NR_CLOCK_PAIRING;

	GUEST_VALUE(0, rdtsc());
	__asm__ volatile("vmcall" : "+a"(result) : "b"(row->gpa), "c"(row->type) : "memory");
	GUEST_VALUE(1, rdtsc());
	GUEST_VALUE(2, (uint64_t)result);
}

static int64_t real_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* KVM_GET_CLOCK has the real time when the host's clock is a TSC. */
static bool clock_is_tsc(struct test *t)
{
	struct kvm_clock_data data = { 0 };

	vm_ioctl(t->vm, KVM_GET_CLOCK, &data);
	return data.flags & KVM_CLOCK_REALTIME;
}

static void expect_answer(struct test *t, const struct clock_pairing *answer, int64_t before)
{
	static const uint32_t zeros[9];
	int64_t ns = answer->sec * NS_PER_S + answer->nsec;

	test_say(t, "%ld s, %ld ns, TSC %lu, before %lu, after %lu", answer->sec, answer->nsec, answer->tsc,
		 guest_value(t, 0), guest_value(t, 1));
	expect_true(t, answer->tsc >= guest_value(t, 0) && answer->tsc <= guest_value(t, 1));
	expect_true(t, ns + SLACK_NS >= before && ns <= real_ns() + SLACK_NS);
	expect_true(t, answer->nsec >= 0 && answer->nsec < NS_PER_S);
	expect_eq(t, 0, answer->flags);
	expect_bytes(t, zeros, answer->pad, sizeof(zeros));
}

HOST(clock_pairing)
{
	const struct row *row = ROW(t, rows);
	uint8_t *page = vm_hva(t->vm, SCRATCH_GPA + 0x1000, 0x1000), untouched[0x1000];
	struct clock_pairing answer;
	int64_t want = row->result, before;

	memset(page, FILLING, 0x1000);
	memset(untouched, FILLING, sizeof(untouched));
	/* KVM's default may not be the hardware's: reports/findings/1302. */
	vcpu_ioctl_value(t->vcpu, KVM_SET_TSC_KHZ, 0);
	before = real_ns();
	expect_done(t);
	if (row->type == WALL_CLOCK && !clock_is_tsc(t))
		want = NOT_SUPPORTED;
	expect_eq(t, (uint64_t)want, guest_value(t, 2));
	if (!want) {
		memcpy(&answer, page + 8, sizeof(answer));
		expect_answer(t, &answer, before);
		memset(page + 8, FILLING, sizeof(answer));
	}
	expect_bytes(t, untouched, page, sizeof(untouched));
}
