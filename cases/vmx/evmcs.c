/* SPDX-License-Identifier: MIT */
/*
 * A guest hypervisor on Hyper-V's interface that keeps its VMCS as an enlightened one: an entry takes every field from
 * the page, an exit writes L2's state and the exit's information there, and the nested state that user space saves holds
 * the fields of the page, and puts them back.
 *
 * Can break: a field that is forgotten on the way in or out, or its neighbour's; a group that is clean in the page and
 * taken all the same, or changed and not taken; a page of another layout that is believed.
 * Source: Hyper-V Top-Level Functional Specification (nested virtualization: enlightened VMCS); KVM API,
 * KVM_CAP_HYPERV_ENLIGHTENED_VMCS, KVM_GET_NESTED_STATE (KVM_STATE_NESTED_EVMCS); SDM vol. 3C, 25.4, 27.3.2, 28.3, 28.5.
 */
#include "cases/vmx/evmcs.h"
#include "cases/vmx/segments.h"

#include "cases/ioctl/hyperv.h"
#include "cases/vmx/nested_state.h"

/* RDI: where HOST_RSP is kept, ESI: true for VMRESUME; R8, R9 for L2. All ones after an exit, else RFLAGS. */
INSN(evmcs_switch,
     "push %rbp\n\tpush %rbx\n\tpush %r12\n\tpush %r13\n\tpush %r14\n\tpush %r15\n\tmov %rsp, (%rdi)\n\t"
     "test %esi, %esi\n\t"
     "jne 1f\n\tvmlaunch\n\tjmp 2f\n1:\tvmresume\n2:\tpushf\n\tpop %rax\n\tjmp 3f\n"
     ".globl evmcs_exit\nevmcs_exit:\n\tmov $-1, %rax\n"
     "3:\tpop %r15\n\tpop %r14\n\tpop %r13\n\tpop %r12\n\tpop %rbx\n\tpop %rbp\n\tret")
extern const char evmcs_exit[] GUEST_API;

#define EXITED (~0ull)
#define FLAGS (X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF | X86_EFLAGS_SF | X86_EFLAGS_OF)

enum { VALUE_PAGE };

static uint8_t *page;

static const struct evmcs_field *field_of(uint32_t encoding)
{
	unsigned int i;

	for (i = 0; evmcs_fields[i].field != encoding; i++)
		;
	return &evmcs_fields[i];
}

static uint64_t field_read(uint32_t encoding)
{
	const struct evmcs_field *field = field_of(encoding);

	return evmcs_value(page, field->offset, evmcs_field_bytes(field));
}

static void field_write(uint32_t encoding, uint64_t value)
{
	const struct evmcs_field *field = field_of(encoding);

	evmcs_value_set(page, field->offset, evmcs_field_bytes(field), value);
}

/* The golden VMCS as an enlightened one, which is current then. */
static void evmcs_start(void)
{
	uint8_t *assist = page_alloc();
	unsigned int i;

	vmx_start();
	page = page_alloc();
	evmcs_value_set(page, 0, 4, EVMCS_VERSION);
	for (i = 0; i < NR_EVMCS_FIELDS; i++)
		if (evmcs_fields[i].class != EVMCS_INFO)
			field_write(evmcs_fields[i].field, vmcs_read(evmcs_fields[i].field));
	field_write(HOST_RIP, (ulong_t)evmcs_exit);
	CHECK_EQ(VMX_OK, vmclear_try((ulong_t)vmx.vmcs));
	assist[ASSIST_ENLIGHTEN_ENTRY] = 1;
	*(uint64_t *)(assist + ASSIST_CURRENT_NESTED_VMCS) = (ulong_t)page;
	wrmsr(HV_ASSIST_PAGE, (ulong_t)assist | 1);
	GUEST_VALUE(VALUE_PAGE, (ulong_t)page);
}

static uint64_t evmcs_enter(bool is_resume)
{
	uint64_t (*enter)(void *host_rsp, bool is_resume, long, long, void *r8, void *r9) = (void *)evmcs_switch;

	return enter(page + field_of(HOST_RSP)->offset, is_resume, 0, 0, &segments_gdtr, &segments_idtr);
}

static void check_vmcall(uint64_t outcome)
{
	CHECK_EQ(EXITED, outcome);
	CHECK_EQ(EXIT_REASON_VMCALL, field_read(EXIT_REASON));
	CHECK_EQ(0, field_read(EXIT_QUALIFICATION));
	CHECK_EQ(3, field_read(EXIT_INSN_LENGTH));
	CHECK_EQ(0, field_read(IDT_VECTORING_INFO) & INTR_VALID);
}

static void check_failed(uint64_t outcome, uint64_t want)
{
	CHECK_EQ(want, outcome == EXITED ? outcome : outcome & FLAGS);
}

/* --- entries and exits --- */

static void enters(void)
{
	static const uint16_t kept[] = {
		GUEST_RIP, GUEST_RSP, GUEST_RFLAGS, GUEST_CR0, GUEST_CR3, GUEST_CR4, GUEST_DR7, GUEST_ACTIVITY,
		GUEST_INTERRUPTIBILITY, GUEST_PENDING_DEBUG, ENTRY_CONTROLS, PROC_CONTROLS,
	};
	uint64_t old[sizeof(kept) / sizeof(kept[0])];
	unsigned int i;

	evmcs_start();
	for (i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		old[i] = field_read(kept[i]);
	check_vmcall(evmcs_enter(false));
	for (i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		CHECK_EQ(old[i], field_read(kept[i]));
	/* Launch state is none of its fields. */
	check_vmcall(evmcs_enter(true));
	check_vmcall(evmcs_enter(false));
}

static void check_segments(const struct segment_field *fields, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (fields[i].value != field_read(fields[i].field))
			SAY("field", fields[i].field);
		CHECK_EQ(fields[i].value, field_read(fields[i].field));
	}
}
#define CHECK_SEGMENTS(fields_) check_segments(fields_, sizeof(fields_) / sizeof((fields_)[0]))

static void segments(void)
{
	unsigned int i;

	evmcs_start();
	for (i = 0; i < sizeof(segments_entered) / sizeof(segments_entered[0]); i++)
		field_write(segments_entered[i].field, segments_entered[i].value);
	check_vmcall(evmcs_enter(false));
	CHECK_SEGMENTS(segments_entered);
}

static void segments_of_l2(void)
{
	evmcs_start();
	field_write(GUEST_RIP, (ulong_t)segments_load);
	check_vmcall(evmcs_enter(false));
	CHECK_SEGMENTS(segments_changed);
	/* They are L2's own, which L1 has not touched: the page may say that they are clean. */
	evmcs_value_set(page, EVMCS_CLEAN_FIELDS, 4, EVMCS_CLEAN_ALL);
	check_vmcall(evmcs_enter(true));
	CHECK_SEGMENTS(segments_changed);
}

/* What is not clean is taken anew; RIP always is. */
static void clean_fields(void)
{
	evmcs_start();
	check_vmcall(evmcs_enter(false));
	field_write(GUEST_RFLAGS, X86_EFLAGS_FIXED | X86_EFLAGS_CF);
	field_write(GUEST_RIP, (ulong_t)segments_exit);
	evmcs_value_set(page, EVMCS_CLEAN_FIELDS, 4, EVMCS_CLEAN_ALL & ~EVMCS_CLEAN_GUEST_BASIC);
	check_vmcall(evmcs_enter(true));
	CHECK_EQ((ulong_t)segments_exit, field_read(GUEST_RIP));
	CHECK_EQ(X86_EFLAGS_FIXED | X86_EFLAGS_CF, field_read(GUEST_RFLAGS));
	field_write(GUEST_DS_LIMIT, 0x45678);
	field_write(GUEST_DS_AR, 0x4093);
	evmcs_value_set(page, EVMCS_CLEAN_FIELDS, 4, EVMCS_CLEAN_ALL & ~EVMCS_CLEAN_GUEST_GRP2);
	check_vmcall(evmcs_enter(true));
	CHECK_EQ(0x45678, field_read(GUEST_DS_LIMIT));
}

static void other_revision(void)
{
	evmcs_start();
	evmcs_value_set(page, 0, 4, 0x7fffffff);
	check_failed(evmcs_enter(false), X86_EFLAGS_CF);
	evmcs_value_set(page, 0, 4, EVMCS_VERSION);
	check_vmcall(evmcs_enter(false));
}

/* --- what the page has no field for --- */

static bool may_be_1(uint32_t msr, uint32_t bit)
{
	return rdmsr(msr) >> 32 & bit;
}

static void no_controls(void)
{
	CHECK(!may_be_1(MSR_IA32_VMX_TRUE_PINBASED_CTLS, PIN_PREEMPTION_TIMER | PIN_POSTED_INTERRUPTS));
	CHECK(!may_be_1(MSR_IA32_VMX_PINBASED_CTLS, PIN_PREEMPTION_TIMER | PIN_POSTED_INTERRUPTS));
	CHECK(!may_be_1(MSR_IA32_VMX_TRUE_EXIT_CTLS, EXIT_SAVE_PREEMPTION_TIMER));
	CHECK(!may_be_1(MSR_IA32_VMX_EXIT_CTLS, EXIT_SAVE_PREEMPTION_TIMER));
	CHECK(!may_be_1(MSR_IA32_VMX_PROCBASED_CTLS2, PROC2_VM_FUNCTIONS | PROC2_VMCS_SHADOWING | PROC2_PML |
			PROC2_VIRTUALIZE_APIC_ACCESSES | PROC2_VIRTUAL_INTERRUPT_DELIVERY));
	CHECK(may_be_1(MSR_IA32_VMX_TRUE_PINBASED_CTLS, PIN_NMI_EXITING));
	CHECK(may_be_1(MSR_IA32_VMX_TRUE_EXIT_CTLS, EXIT_LOAD_EFER));
}

static void check_refused(uint32_t field, uint64_t value)
{
	uint64_t old = field_read(field);

	field_write(field, value);
	check_failed(evmcs_enter(false), X86_EFLAGS_ZF);
	CHECK_EQ(VMX_ERROR_ENTRY_CONTROLS, field_read(VM_INSTRUCTION_ERROR));
	field_write(field, old);
}

static void controls_refused(void)
{
	evmcs_start();
	check_refused(PIN_CONTROLS, field_read(PIN_CONTROLS) | PIN_PREEMPTION_TIMER);
	check_refused(PIN_CONTROLS, 0);
	field_write(PROC_CONTROLS, field_read(PROC_CONTROLS) | PROC_SECONDARY);
	check_refused(PROC2_CONTROLS, PROC2_VM_FUNCTIONS);
	check_vmcall(evmcs_enter(false));
}

/* --- saved and put back --- */

static void write_own(bool has_state, unsigned int salt)
{
	unsigned int i;

	for (i = 0; i < NR_EVMCS_FIELDS; i++) {
		const struct evmcs_field *field = &evmcs_fields[i];

		if (has_state && field->class != EVMCS_INFO)
			field_write(field->field, evmcs_own_value(field, salt));
		else if (!has_state && field->class == EVMCS_CONTROL)
			vmcs_write(field->field, evmcs_own_value(field, salt));
	}
}

static void check_put_back(const uint64_t *info)
{
	unsigned int i;

	for (i = 0; i < NR_EVMCS_FIELDS; i++) {
		const struct evmcs_field *field = &evmcs_fields[i];
		uint64_t want = field->class == EVMCS_INFO ? info[i] : evmcs_own_value(field, 3);

		if (field->class == EVMCS_CONTROL)
			continue;
		if (want != field_read(field->field))
			SAY("field", field->field);
		CHECK_EQ(want, field_read(field->field));
	}
}

/* The host finds by a VMCS of VMWRITE, twice written, where the saved state has which field. */
static void saved(void)
{
	static uint64_t info[NR_EVMCS_FIELDS];
	unsigned int i;

	vmx_start();
	write_own(false, 1);
	guest_sync(1);
	write_own(false, 2);
	guest_sync(2);
	CHECK_EQ(VMX_OK, vmxoff_try());
	evmcs_start();
	check_vmcall(evmcs_enter(false));
	write_own(true, 3);
	for (i = 0; i < NR_EVMCS_FIELDS; i++)
		info[i] = field_read(evmcs_fields[i].field);
	guest_sync(3);
	check_put_back(info);
}

struct row {
	ROW_FIELDS;
	void (*run)(void);
};
#define RUN(name_) { .label = #name_, .run = name_ }

static const struct row rows[] = {
	RUN(enters), RUN(segments), RUN(segments_of_l2), RUN(clean_fields), RUN(other_revision), RUN(no_controls),
	RUN(controls_refused), RUN(saved),
};

CASE(evmcs, .says = "an enlightened VMCS gives and takes every field, also when it is saved", .modes = LONG64,
     .needs = "vendor:intel nested KVM_CAP_SYS_HYPERV_CPUID KVM_CAP_HYPERV_ENLIGHTENED_VMCS KVM_CAP_NESTED_STATE",
     .rows = ROWS(rows))

GUEST(evmcs)
{
	GUEST_ROW(rows)->run();
}

/* --- the host's half --- */

static void evmcs_enable(struct test *t)
{
	uint16_t versions = 0;
	struct kvm_enable_cap enable = { .cap = KVM_CAP_HYPERV_ENLIGHTENED_VMCS, .args[0] = (uintptr_t)&versions };

	vcpu_ioctl(t->vcpu, KVM_ENABLE_CAP, &enable);
	/* The lowest and the highest: only one is defined. */
	expect_eq(t, EVMCS_VERSION << 8 | EVMCS_VERSION, versions);
	hv_leaves_set(t, t->vcpu, HV_ALL_LEAVES);
}

/* Where @one and @two, which differ in the salt of the fields' values only, have @field. */
static unsigned int saved_offset(struct test *t, const struct evmcs_field *field, const void *one, const void *two)
{
	unsigned int bytes = evmcs_field_bytes(field), at;

	for (at = 0; at + bytes <= NESTED_VMCS_BYTES; at++)
		if (evmcs_value(one, at, bytes) == evmcs_own_value(field, 1) &&
		    evmcs_value(two, at, bytes) == evmcs_own_value(field, 2))
			return at;
	test_error(t, "no place of field 0x%x in the saved VMCS", field->field);
}

static void check_saved(struct test *t, const void *one, const void *two, const void *got)
{
	unsigned int i;

	for (i = 0; i < NR_EVMCS_FIELDS; i++) {
		const struct evmcs_field *field = &evmcs_fields[i];

		if (field->class != EVMCS_CONTROL)
			continue;
		if (!expect_eq(t, evmcs_own_value(field, 3),
			       evmcs_value(got, saved_offset(t, field, one, two), evmcs_field_bytes(field))))
			test_say(t, "field 0x%x", field->field);
	}
}

static void page_wipe(struct test *t)
{
	uint8_t *at = vm_hva(t->vm, guest_value(t, VALUE_PAGE), EVMCS_BYTES);
	unsigned int i;

	for (i = 0; i < NR_EVMCS_FIELDS; i++)
		if (evmcs_fields[i].class != EVMCS_CONTROL)
			memset(at + evmcs_fields[i].offset, 0xee, evmcs_field_bytes(&evmcs_fields[i]));
}

static void host_saved(struct test *t)
{
	struct kvm_nested_state *states[3];
	unsigned int i;

	for (i = 0; i < 3; i++) {
		require_sync(t, i + 1);
		vcpu_settle(t);
		states[i] = nested_state_get(t);
	}
	expect_eq(t, KVM_STATE_NESTED_EVMCS, states[2]->flags);
	expect_eq(t, ~0ull, states[2]->hdr.vmx.vmcs12_pa);
	check_saved(t, states[0]->data.vmx[0].vmcs12, states[1]->data.vmx[0].vmcs12, states[2]->data.vmx[0].vmcs12);
	page_wipe(t);
	vcpu_ioctl(t->vcpu, KVM_SET_NESTED_STATE, states[2]);
	for (i = 0; i < 3; i++)
		free(states[i]);
}

HOST(evmcs)
{
	evmcs_enable(t);
	if (ROW(t, rows)->run == saved)
		host_saved(t);
	expect_done(t);
}
