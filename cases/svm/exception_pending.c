/* SPDX-License-Identifier: MIT */
/*
 * An exception that user space has pending for L2 exits to L1 when L1 intercepts its vector, with the error code, and
 * for #PF the address; when L1 intercepts all but that one, it is delivered in L2. One that user space says is being
 * injected is past the intercepts. A machine check is the one exception that the host makes.
 *
 * Can break: the bit of a vector that no instruction raises, EXITINTINFO and EXITINFO of what never was in hardware,
 * CR2 and DR6 written for what exits, an exception delivered twice.
 * Source: APM vol. 2, 15.12; KVM API, KVM_SET_VCPU_EVENTS, KVM_CAP_EXCEPTION_PAYLOAD, KVM_X86_SET_MCE.
 */
#include "guests/l1_svm.h"
#include "case.h"

INSN(p_wait, "out %al, $0x81\n\tp_wait_next: nop\n\tvmmcall")
extern const char p_wait_next[] GUEST_API;

#define WAIT_PORT 0x81
#define ERROR_CODE 0x1238
#define ADDRESS 0x00007ffff1234568ull
#define CR2_BEFORE 0x1234567
#define MC_BANK_STATUS (1ull << 63 | 1ull << 61 | 1ull << 60 | 0x135)	/* valid, uncorrected, enabled */

enum way { PENDING, INJECTED, MACHINE_CHECK };

struct row {
	ROW_FIELDS;
	uint8_t vector;
	enum way way;
	bool has_error;
	bool is_delivered;	/* L1 intercepts all others */
};

#define EXITS(vector_, ...) { .label = "exits_" #vector_, .vector = vector_, ##__VA_ARGS__ }
#define BOTH(vector_, ...)								\
	EXITS(vector_, ##__VA_ARGS__),							\
	{ .label = "delivered_" #vector_, .vector = vector_, .is_delivered = true, ##__VA_ARGS__ }
#define ERR .has_error = true

static const struct row rows[] = {
	BOTH(0), BOTH(1), BOTH(3), BOTH(4), BOTH(5), BOTH(6), BOTH(7), BOTH(8, ERR), BOTH(9), BOTH(10, ERR),
	BOTH(11, ERR), BOTH(12, ERR), BOTH(13, ERR), BOTH(14, ERR), BOTH(15), BOTH(16), BOTH(17, ERR), BOTH(18),
	BOTH(19),
	/* Not every CPU can deliver these; each has its intercept. */
	EXITS(20), EXITS(21, ERR), EXITS(22), EXITS(27), EXITS(28), EXITS(29, ERR), EXITS(30, ERR), EXITS(31),
	{ .label = "injected_6", .vector = 6, .way = INJECTED }, { .label = "injected_13", .vector = 13, .way = INJECTED, ERR },
	{ .label = "machine_check_exits", .vector = 18, .way = MACHINE_CHECK, .needs = "KVM_CAP_MCE" },
	{ .label = "machine_check_delivered", .vector = 18, .way = MACHINE_CHECK, .is_delivered = true,
	  .needs = "KVM_CAP_MCE" },
};

CASE(exception_pending, .says = "an exception of user space's for L2 exits by its vector's intercept", .modes = LONG64,
     .needs = "vendor:amd nested KVM_CAP_EXCEPTION_PAYLOAD", .rows = ROWS(rows))

static struct guest_regs taken;
static unsigned int nr_taken;

static void on_exception(struct guest_regs *regs)
{
	taken = *regs;
	nr_taken++;
}

static void check_exit(const struct row *row)
{
	/* EXITINFO1 is the error code, or not defined. */
	CHECK_EXIT(.code = SVM_EXIT_EXCP_BASE + row->vector,
		   .info_1 = row->has_error ? ERROR_CODE : l1_vmcb.control.exit_info_1,
		   .info_2 = row->vector == PF_VECTOR ? ADDRESS : l1_vmcb.control.exit_info_2,
		   .rip = (ulong_t)p_wait_next);
	CHECK_CR2(CR2_BEFORE, l1_vmcb.save.cr2);
	CHECK_EQ(0xffff0ff0, l1_vmcb.save.dr6);
	CHECK_EQ(0, nr_taken);
	/* It is L1's now. */
	vmcb_run(&l1_vmcb);
	CHECK_L2_DONE(p_wait_end - 3);
	CHECK_EQ(0, nr_taken);
}

static void check_delivered(const struct row *row)
{
	CHECK_L2_DONE(p_wait_end - 3);
	if (row->is_delivered)
		CHECK_NO_EXIT(SVM_EXIT_EXCP_BASE + row->vector);
	CHECK_EQ(1, nr_taken);
	CHECK_EQ(row->vector, taken.vector);
	CHECK_EQ(row->has_error ? ERROR_CODE : 0, taken.error_code);
	CHECK_EQ((ulong_t)p_wait_next, taken.rip);
	CHECK_CR2(row->vector == PF_VECTOR ? ADDRESS : CR2_BEFORE, l1_vmcb.save.cr2);
}

GUEST(exception_pending)
{
	const struct row *row = GUEST_ROW(rows);
	unsigned int vector;

	for (vector = 0; vector < 32; vector++)
		guest_handle(vector, on_exception);
	write_cr4(read_cr4() | X86_CR4_MCE);
	l1_svm_init();
	l2_warm();
	guest_handle(0x20, NULL);
	for (vector = 0; vector < 32; vector++)
		if (vector != NMI_VECTOR && (vector == row->vector) != row->is_delivered)
			vmcb_intercept(&l1_vmcb, SVM_EXIT_EXCP_BASE + vector);
	l1_vmcb.save.cr2 = CR2_BEFORE;
	l2_run(p_wait);
	if (row->is_delivered || row->way == INJECTED)
		check_delivered(row);
	else
		check_exit(row);
}

static void event_make(struct test *t, const struct row *row)
{
	struct kvm_vcpu_events events;

	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &events);
	events.flags = KVM_VCPUEVENT_VALID_PAYLOAD;
	events.exception.pending = row->way == PENDING;
	events.exception.injected = row->way == INJECTED;
	events.exception.nr = row->vector;
	events.exception.has_error_code = row->has_error;
	events.exception.error_code = row->has_error ? ERROR_CODE : 0;
	events.exception_has_payload = row->vector == PF_VECTOR && row->way == PENDING;
	events.exception_payload = events.exception_has_payload ? ADDRESS : 0;
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_VCPU_EVENTS, &events));
}

static void machine_check(struct test *t)
{
	uint64_t cap = 4;	/* banks; nothing else */
	struct kvm_x86_mce mce = { .status = MC_BANK_STATUS, .mcg_status = 1ull << 2, .bank = 1 };

	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_X86_SETUP_MCE, &cap));
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_X86_SET_MCE, &mce));
}

HOST(exception_pending)
{
	const struct row *row = ROW(t, rows);
	struct kvm_enable_cap cap = { .cap = KVM_CAP_EXCEPTION_PAYLOAD, .args = { 1 } };

	vm_ioctl(t->vm, KVM_ENABLE_CAP, &cap);
	require_pio_out(t, .port = WAIT_PORT, .size = 1, .count = 1, .data = 0);
	vcpu_settle(t);
	if (row->way == MACHINE_CHECK)
		machine_check(t);
	else
		event_make(t, row);
	expect_done(t);
}
