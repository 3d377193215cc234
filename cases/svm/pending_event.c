/* SPDX-License-Identifier: MIT */
/*
 * An exception that user space makes pending while the vCPU is in L2 takes the way of any other there: to L1 when L1
 * intercepts the vector, with error code and, for #PF, the address in the exit fields and CR2 left alone; else to L2's
 * handler, with CR2 or DR6 written. A pending triple fault is a SHUTDOWN exit, or the VM's end when L1 does not
 * intercept that.
 *
 * Can break: the payload delivered before it is known who gets the event, or to both; DR7.GD left set; an exit that the
 * vCPU takes over and over; L1's handler called for L2's event.
 * Source: KVM API, 4.32 (KVM_SET_VCPU_EVENTS), KVM_CAP_EXCEPTION_PAYLOAD, KVM_CAP_X86_TRIPLE_FAULT_EVENT; APM vol. 2,
 * 15.12, 15.12.2, 15.12.15, 15.14.3.
 */
#include "cases/svm/nested_state.h"
#include "guests/l1_svm.h"
#include "case.h"

INSN(p_code, "out %al, $0x80\n\tp_next: nop\n\tp_end: vmmcall")
extern const char p_next[] GUEST_API, p_end[] GUEST_API;

#define ADDRESS 0x12345678abcull
#define DR6_FIXED 0xffff0ff0
#define DR6_BS (1u << 14)
#define DR7_GD (1u << 13)
#define OLD_CR2 0x777000

struct row {
	ROW_FIELDS;
	uint8_t vector;
	bool has_error, is_intercepted, is_triple_fault;
	uint32_t error;
	uint64_t payload;
};

#define BOTH(label_, vector_, ...)							\
	{ .label = label_ "_exits", .vector = vector_, .is_intercepted = true, __VA_ARGS__ },	\
	{ .label = label_ "_delivered", .vector = vector_, __VA_ARGS__ }
#define TRIPLE_FAULT .is_triple_fault = true, .needs = "KVM_CAP_X86_TRIPLE_FAULT_EVENT"

static const struct row rows[] = {
	BOTH("de", DE_VECTOR), BOTH("ud", UD_VECTOR), BOTH("gp", GP_VECTOR, .has_error = true, .error = 0x1238),
	BOTH("pf", PF_VECTOR, .has_error = true, .error = PFERR_P | PFERR_W, .payload = ADDRESS),
	/* Without a payload the address is in CR2 already. */
	BOTH("pf_in_cr2", PF_VECTOR, .has_error = true, .error = PFERR_P),
	BOTH("db", DB_VECTOR, .payload = DR6_BS),
	{ .label = "triple_fault_exits", .is_intercepted = true, TRIPLE_FAULT },
	{ .label = "triple_fault_ends", TRIPLE_FAULT },
};

CASE(pending_event, .says = "what user space makes pending in L2 exits or is delivered", .modes = LONG64,
     .needs = "vendor:amd nested KVM_CAP_EXCEPTION_PAYLOAD", .rows = ROWS(rows))

static struct guest_regs taken;
static uint64_t taken_cr2, taken_dr6;
static unsigned int nr_taken;

static void on_event(struct guest_regs *regs)
{
	taken = *regs;
	taken_cr2 = read_cr2();
	taken_dr6 = read_dr6();
	nr_taken++;
}

/* EXITINFO1 is defined for vectors with an error code, EXITINFO2 for #PF only. */
static void check_exited(const struct row *row)
{
	CHECK_EQ(SVM_EXIT_EXCP_BASE + row->vector, l1_vmcb.control.exit_code);
	if (row->has_error)
		CHECK_EQ(row->error, l1_vmcb.control.exit_info_1);
	if (row->vector == PF_VECTOR && row->payload)
		CHECK_EQ(row->payload, l1_vmcb.control.exit_info_2);
	else if (row->vector == PF_VECTOR)
		CHECK_CR2(OLD_CR2, l1_vmcb.control.exit_info_2);
	CHECK_EQ(0, l1_vmcb.control.exit_int_info);
	CHECK_EQ((ulong_t)p_next, l1_vmcb.save.rip);
	CHECK_EQ(0, nr_taken);
	CHECK_CR2(OLD_CR2, l1_vmcb.save.cr2);
	if (row->vector == DB_VECTOR) {
		CHECK_EQ(DR6_FIXED | DR6_BS, l1_vmcb.save.dr6);
		CHECK_EQ(0, l1_vmcb.save.dr7 & DR7_GD);
	}
	/* Once. */
	vmcb_run(&l1_vmcb);
	CHECK_L2_DONE(p_end);
	CHECK_EQ(0, nr_taken);
}

static void check_delivered(const struct row *row)
{
	CHECK_EQ(SVM_EXIT_VMMCALL, l1_vmcb.control.exit_code);
	CHECK_EQ((ulong_t)p_end, l1_vmcb.save.rip);
	CHECK_EQ(1, nr_taken);
	CHECK_EQ(row->vector, taken.vector);
	CHECK_EQ(row->error, taken.error_code);
	CHECK_EQ((ulong_t)p_next, taken.rip);
	CHECK_CR2(row->vector == PF_VECTOR && row->payload ? row->payload : OLD_CR2, taken_cr2);
	if (row->vector == DB_VECTOR)
		CHECK_EQ(DR6_FIXED | DR6_BS, taken_dr6);
}

GUEST(pending_event)
{
	const struct row *row = GUEST_ROW(rows);

	l1_svm_init();
	l2_warm();
	guest_handle(row->vector, on_event);
	l1_vmcb.save.cr2 = OLD_CR2;
	vmcb_intercept_clear(&l1_vmcb, SVM_EXIT_SHUTDOWN);
	if (row->is_intercepted)
		vmcb_intercept(&l1_vmcb, row->is_triple_fault ? SVM_EXIT_SHUTDOWN : SVM_EXIT_EXCP_BASE + row->vector);
	l2_run(p_code);
	if (row->is_triple_fault)
		CHECK_EQ(SVM_EXIT_SHUTDOWN, l1_vmcb.control.exit_code);
	else if (row->is_intercepted)
		check_exited(row);
	else
		check_delivered(row);
}

static void cap_enable(struct test *t, uint32_t cap)
{
	vm_ioctl(t->vm, KVM_ENABLE_CAP, (&(struct kvm_enable_cap){ .cap = cap, .args = { 1 } }));
}

static void event_put(struct test *t, const struct row *row)
{
	struct kvm_debugregs debug;
	struct kvm_vcpu_events events;

	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &events);
	if (row->is_triple_fault) {
		events.triple_fault.pending = 1;
	} else {
		events.exception.pending = 1;
		events.exception.nr = row->vector;
		events.exception.has_error_code = row->has_error;
		events.exception.error_code = row->error;
		events.exception_has_payload = row->payload != 0;
		events.exception_payload = row->payload;
	}
	vcpu_ioctl(t->vcpu, KVM_SET_VCPU_EVENTS, &events);
	if (row->vector != DB_VECTOR || !row->is_intercepted)
		return;
	vcpu_ioctl(t->vcpu, KVM_GET_DEBUGREGS, &debug);
	debug.dr7 |= DR7_GD;
	vcpu_ioctl(t->vcpu, KVM_SET_DEBUGREGS, &debug);
}

HOST(pending_event)
{
	const struct row *row = ROW(t, rows);
	struct kvm_vcpu_events events;

	cap_enable(t, KVM_CAP_EXCEPTION_PAYLOAD);
	if (row->is_triple_fault)
		cap_enable(t, KVM_CAP_X86_TRIPLE_FAULT_EVENT);
	require_pio_out(t, .port = 0x80, .size = 1, .count = 1);
	vcpu_settle(t);
	event_put(t, row);
	if (row->is_triple_fault && !row->is_intercepted)
		expect_shutdown(t);
	else
		expect_done(t);
	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &events);
	expect_eq(t, 0, events.exception.pending);
	expect_eq(t, 0, events.exception.injected);
	expect_eq(t, 0, events.triple_fault.pending);
}
