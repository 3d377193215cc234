/* SPDX-License-Identifier: MIT */
/*
 * KVM_GET_NESTED_STATE says where VMXON and the current VMCS are, whether L2 runs, and how many bytes that takes;
 * KVM_SET_NESTED_STATE takes that and refuses what no vCPU could be in: addresses, flags, sizes, revisions, and with L2
 * running what no entry would take.
 *
 * Can break: a check that only VMLAUNCH makes; a flag of system management mode outside of it; a size that leaves out the
 * linked VMCS; a refusal that has changed the vCPU.
 * Source: KVM API, KVM_GET_NESTED_STATE, KVM_SET_NESTED_STATE (struct kvm_vmx_nested_state_hdr); SDM vol. 3C, 27.2, 27.3.
 */
#include "cases/vmx/nested_state.h"

#include "cases/ioctl/cpuid_change.h"
#include "cases/ioctl/vcpu_state.h"
#include "guests/l1_vmx.h"

#include <sys/mman.h>

#define NO_VMCS_BYTES sizeof(struct kvm_nested_state)
#define VMCS_BYTES (NO_VMCS_BYTES + NESTED_VMCS_BYTES)
#define NONE (~0ull)
#define CPUID_VMX (1u << 5)	/* leaf 1, ECX */

/* Where the guest waits. */
enum where { OUTSIDE, NO_VMCS, CURRENT, IN_L2, IN_L2_TIMER, IN_L2_LINKED };

enum { VALUE_VMXON, VALUE_VMCS };

struct row {
	ROW_FIELDS;
	enum where where;
	/* What the state becomes, and the answer; NULL: it is only looked at. */
	void (*change)(struct test *t, struct kvm_nested_state *state);
	int error;
	bool is_late;		/* the vCPU may have left VMX operation by then */
	bool has_no_vmx;	/* the vCPU's CPUID */
	/* A field of the VMCS that no entry would take with this value; 0: none. */
	uint32_t field;
	uint64_t value;
};

/* --- the guest --- */

INSN(n_wait, "out %al, $0x80\n\tvmcall")

/* Behind the same VMCS: the host learns where the state has the field. */
static void show_field(const struct row *row)
{
	uint64_t old;

	if (!row->field)
		return;
	old = vmcs_read(row->field);
	vmcs_write(row->field, 0x5a17c3d2e4b69687);
	guest_sync(1);
	vmcs_write(row->field, old);
}

static void link_vmcs(void)
{
	uint32_t *linked = vmx_region_alloc();

	*linked |= 1u << 31;
	vmcs_write(VMREAD_BITMAP, (ulong_t)page_alloc());
	vmcs_write(VMWRITE_BITMAP, (ulong_t)page_alloc());
	vmx_use_secondary(PROC2_VMCS_SHADOWING);
	vmcs_write(VMCS_LINK_POINTER, (ulong_t)linked);
}

static void wait_in_l2(enum where where)
{
	if (where == IN_L2_LINKED)
		link_vmcs();
	if (where == IN_L2_TIMER) {
		vmcs_set(PIN_CONTROLS, PIN_PREEMPTION_TIMER);
		vmcs_write(PREEMPTION_TIMER_VALUE, ~0u);
	}
	vmx_aim(n_wait);
	vmx_run();
	CHECK_REASON(EXIT_REASON_VMCALL);
	CHECK_EQ((ulong_t)n_wait + 2, vmx.exit.rip);
}

static void guest_waits(const struct row *row)
{
	if (row->where == NO_VMCS) {
		vmx_prepare();
		CHECK_EQ(VMX_OK, vmxon_try((ulong_t)vmx.vmxon_region));
	} else if (row->where >= CURRENT) {
		vmx_start();
		show_field(row);
	}
	GUEST_VALUE(VALUE_VMXON, (ulong_t)vmx.vmxon_region);
	GUEST_VALUE(VALUE_VMCS, (ulong_t)vmx.vmcs);
	if (row->where >= IN_L2)
		wait_in_l2(row->where);
	else
		out8(0x80, 0);
	CHECK(true);
}

/* --- changes --- */

/* The first address that the vCPU has not. */
static uint64_t beyond(struct test *t)
{
	struct kvm_cpuid_entry2 entry;

	require_true(t, cpuid_find(t->sys->cpuid, 0x80000008, 0, &entry));
	return 1ull << (entry.eax & 0xff);
}

#define CHANGE(name_, ...)								\
	static void name_(struct test *t, struct kvm_nested_state *state)		\
	{										\
		struct kvm_vmx_nested_state_hdr *hdr = &state->hdr.vmx;			\
		uint32_t *vmcs = (uint32_t *)state->data.vmx[0].vmcs12;			\
		uint32_t *linked = (uint32_t *)state->data.vmx[0].shadow_vmcs12;	\
											\
		(void)t;								\
		(void)hdr;								\
		(void)vmcs;								\
		(void)linked;								\
		__VA_ARGS__;								\
	}

CHANGE(same)
CHANGE(format_svm, state->format = KVM_STATE_NESTED_FORMAT_SVM)
CHANGE(flag_bit15, state->flags |= 1u << 15)
CHANGE(flag_evmcs, state->flags |= KVM_STATE_NESTED_EVMCS)
CHANGE(flag_guest_mode, state->flags |= KVM_STATE_NESTED_GUEST_MODE)
CHANGE(flag_run_pending, state->flags |= KVM_STATE_NESTED_RUN_PENDING)
CHANGE(header_flag, hdr->flags |= 1u << 1)
CHANGE(smm_unknown, hdr->smm.flags = 1u << 2)
CHANGE(smm_vmxon, hdr->smm.flags = KVM_STATE_NESTED_SMM_VMXON)
CHANGE(smm_guest_mode, hdr->smm.flags = KVM_STATE_NESTED_SMM_GUEST_MODE)
CHANGE(smm_both, hdr->smm.flags = KVM_STATE_NESTED_SMM_VMXON | KVM_STATE_NESTED_SMM_GUEST_MODE)
CHANGE(off, *hdr = (struct kvm_vmx_nested_state_hdr){ .vmxon_pa = NONE, .vmcs12_pa = NONE };
       state->flags = 0; state->size = NO_VMCS_BYTES)
CHANGE(off_with_vmcs, hdr->vmxon_pa = NONE; state->flags = 0)
CHANGE(off_in_smm, hdr->vmxon_pa = hdr->vmcs12_pa = NONE; state->flags = 0;
       hdr->smm.flags = KVM_STATE_NESTED_SMM_VMXON)
CHANGE(off_in_guest_mode, hdr->vmxon_pa = hdr->vmcs12_pa = NONE; state->flags = KVM_STATE_NESTED_GUEST_MODE)
CHANGE(vmxon_given, hdr->vmxon_pa = SCRATCH_GPA)
CHANGE(vmxon_misaligned, hdr->vmxon_pa |= 0x800)
CHANGE(vmxon_bit0, hdr->vmxon_pa |= 1)
CHANGE(vmxon_beyond, hdr->vmxon_pa = beyond(t))
CHANGE(vmcs_misaligned, hdr->vmcs12_pa |= 0x800)
CHANGE(vmcs_beyond, hdr->vmcs12_pa = beyond(t))
CHANGE(vmcs_is_vmxon, hdr->vmcs12_pa = hdr->vmxon_pa)
CHANGE(vmcs_none, hdr->vmcs12_pa = NONE)
CHANGE(vmcs_dropped, hdr->vmcs12_pa = NONE; state->size = NO_VMCS_BYTES)
CHANGE(vmcs_dropped_in_l2, hdr->vmcs12_pa = NONE; state->size = NO_VMCS_BYTES)
CHANGE(size_without_vmcs, state->size = NO_VMCS_BYTES)
CHANGE(size_of_nothing, state->size = NO_VMCS_BYTES - 1)
CHANGE(size_without_linked, state->size = VMCS_BYTES)
CHANGE(revision, vmcs[0] ^= 1)
CHANGE(linked_revision, linked[0] ^= 1)
CHANGE(linked_not_shadow, linked[0] &= ~(1u << 31))
CHANGE(deadline, hdr->flags |= KVM_STATE_VMX_PREEMPTION_TIMER_DEADLINE; hdr->preemption_timer_deadline = NONE)

#define LOOKS(label_, where_, ...) { .label = label_, .where = where_, ##__VA_ARGS__ }
#define TAKES(change_, where_, ...)							\
	{ .label = #where_ "_" #change_, .where = where_, .change = ON_HOST(change_), ##__VA_ARGS__ }
#define REFUSES(change_, where_, ...) TAKES(change_, where_, .error = EINVAL, ##__VA_ARGS__)
#define REFUSES_LATE(change_, where_, ...) REFUSES(change_, where_, .is_late = true, ##__VA_ARGS__)
#define FIELD(label_, field_, value_, ...)						\
	{ .label = "field_" label_, .where = IN_L2, .change = ON_HOST(same), .error = EINVAL, .is_late = true, \
	  .field = field_, .value = value_, ##__VA_ARGS__ }
#define LINKED .needs = "vmx:vmcs_shadowing"

static const struct row rows[] = {
	LOOKS("outside", OUTSIDE), LOOKS("no_vmcs", NO_VMCS), LOOKS("current", CURRENT), LOOKS("in_l2", IN_L2),
	LOOKS("in_l2_timer", IN_L2_TIMER, .needs = "vmx:preemption_timer"), LOOKS("in_l2_linked", IN_L2_LINKED, LINKED),

	TAKES(same, OUTSIDE), TAKES(same, NO_VMCS), TAKES(same, CURRENT), TAKES(same, IN_L2),
	TAKES(same, IN_L2_LINKED, LINKED), TAKES(same, IN_L2_TIMER, .needs = "vmx:preemption_timer"),
	TAKES(off, CURRENT), TAKES(off, IN_L2), TAKES(vmcs_dropped, CURRENT), TAKES(deadline, CURRENT),
	REFUSES(format_svm, CURRENT), REFUSES(flag_bit15, CURRENT), REFUSES(flag_evmcs, CURRENT),
	REFUSES(flag_run_pending, CURRENT), REFUSES(header_flag, CURRENT),
	REFUSES(smm_unknown, CURRENT), REFUSES(smm_vmxon, CURRENT), REFUSES(smm_guest_mode, CURRENT),
	REFUSES(smm_both, CURRENT), REFUSES(smm_both, IN_L2), REFUSES(smm_unknown, IN_L2),
	REFUSES(off_with_vmcs, CURRENT), REFUSES(off_in_smm, CURRENT), REFUSES(off_in_guest_mode, CURRENT),
	REFUSES(vmxon_misaligned, CURRENT), REFUSES(vmxon_bit0, CURRENT), REFUSES(vmxon_beyond, CURRENT),
	REFUSES(size_of_nothing, CURRENT), REFUSES(vmxon_given, OUTSIDE, .has_no_vmx = true),
	REFUSES_LATE(flag_guest_mode, NO_VMCS), REFUSES_LATE(vmcs_misaligned, CURRENT), REFUSES_LATE(vmcs_beyond, CURRENT),
	REFUSES_LATE(vmcs_is_vmxon, CURRENT), REFUSES_LATE(vmcs_none, CURRENT), REFUSES_LATE(size_without_vmcs, CURRENT),
	REFUSES_LATE(size_without_vmcs, IN_L2), REFUSES_LATE(vmcs_dropped_in_l2, IN_L2),
	REFUSES_LATE(revision, CURRENT), REFUSES_LATE(revision, IN_L2),
	REFUSES_LATE(size_without_linked, IN_L2_LINKED, LINKED), REFUSES_LATE(linked_revision, IN_L2_LINKED, LINKED),
	REFUSES_LATE(linked_not_shadow, IN_L2_LINKED, LINKED),
	/* One of each group that an entry checks. */
	FIELD("pin", PIN_CONTROLS, 0), FIELD("exit", EXIT_CONTROLS, 0), FIELD("entry", ENTRY_CONTROLS, 0),
	FIELD("host_cr4", HOST_CR4, 0), FIELD("host_rip", HOST_RIP, 0x800000000000), FIELD("guest_cr0", GUEST_CR0, 0),
	FIELD("activity", GUEST_ACTIVITY, ACTIVITY_SHUTDOWN), FIELD("guest_cr3", GUEST_CR3, 1ull << 63,
	      .known = { "4600-set-nested-state-answers-2", NULL, "6.1..6.1" }),
};

CASE(nested_state, .says = "the nested state is what L1 made it, and an impossible one is refused", .modes = LONG64,
     .needs = "vendor:intel nested KVM_CAP_NESTED_STATE", .rows = ROWS(rows))

GUEST(nested_state)
{
	guest_waits(GUEST_ROW(rows));
}

/* --- the host --- */

static uint32_t bytes_of(enum where where)
{
	if (where < CURRENT)
		return NO_VMCS_BYTES;
	return where == IN_L2_LINKED ? NESTED_STATE_BYTES : VMCS_BYTES;
}

static void check_header(struct test *t, const struct row *row, const struct kvm_nested_state *state)
{
	const struct kvm_vmx_nested_state_hdr *hdr = &state->hdr.vmx;

	expect_eq(t, row->where >= IN_L2 ? KVM_STATE_NESTED_GUEST_MODE : 0, state->flags);
	expect_eq(t, KVM_STATE_NESTED_FORMAT_VMX, state->format);
	expect_eq(t, bytes_of(row->where), state->size);
	expect_eq(t, row->where == OUTSIDE ? NONE : guest_value(t, VALUE_VMXON), hdr->vmxon_pa);
	expect_eq(t, row->where < CURRENT ? NONE : guest_value(t, VALUE_VMCS), hdr->vmcs12_pa);
	expect_eq(t, 0, hdr->smm.flags);
	expect_eq(t, row->where == IN_L2_TIMER ? KVM_STATE_VMX_PREEMPTION_TIMER_DEADLINE : 0, hdr->flags);
	expect_true(t, !hdr->preemption_timer_deadline == (row->where != IN_L2_TIMER));
}

/* One byte too few: nothing but the size is written. */
static void check_size(struct test *t, const struct row *row)
{
	struct kvm_nested_state *state = calloc(1, NESTED_STATE_BYTES);

	state->size = bytes_of(row->where) - 1;
	expect_errno(t, E2BIG, vcpu_ioctl_try(t->vcpu, KVM_GET_NESTED_STATE, state));
	expect_eq(t, bytes_of(row->where), state->size);
	expect_eq(t, 0, state->hdr.vmx.vmxon_pa);
	free(state);
}

/* The header is there, the VMCS is not. */
static void check_fault(struct test *t, const struct row *row, const struct kvm_nested_state *good)
{
	uint8_t *pages = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct kvm_nested_state *state = (void *)(pages + 4096 - NO_VMCS_BYTES);

	if (pages == MAP_FAILED)
		test_error(t, "no memory");
	memcpy(state, good, bytes_of(row->where) < VMCS_BYTES ? NO_VMCS_BYTES : VMCS_BYTES);
	munmap(pages + (row->where == IN_L2_LINKED ? 2 : 1) * 4096, 4096);
	expect_errno(t, EFAULT, vcpu_ioctl_try(t->vcpu, KVM_GET_NESTED_STATE, state));
	munmap(pages, 3 * 4096);
}

static void field_change(struct test *t, const struct row *row, const uint8_t *shown, struct kvm_nested_state *state)
{
	static const unsigned int widths[] = { [VMCS_16] = 2, [VMCS_64] = 8, [VMCS_32] = 4, [VMCS_NATURAL] = 8 };
	const uint64_t mark = 0x5a17c3d2e4b69687;
	unsigned int bytes = widths[VMCS_FIELD_WIDTH(row->field)], at;

	for (at = 0; at + bytes <= NESTED_VMCS_BYTES; at++)
		if (!memcmp(shown + at, &mark, bytes)) {
			memcpy(state->data.vmx[0].vmcs12 + at, &row->value, bytes);
			return;
		}
	test_error(t, "no place of field 0x%x in the saved VMCS", row->field);
}

static void check_unchanged(struct test *t, const struct vcpu_state *before, const struct kvm_nested_state *good)
{
	struct kvm_nested_state *after = nested_state_get(t);

	expect_vcpu_state(t, t->vcpu, before);
	expect_bytes(t, good, after, NESTED_STATE_BYTES);
	free(after);
}

static void check_set(struct test *t, const struct row *row, struct kvm_nested_state *good, struct kvm_nested_state *shown)
{
	struct kvm_nested_state *tried = calloc(1, NESTED_STATE_BYTES);
	struct vcpu_state before;

	memcpy(tried, good, NESTED_STATE_BYTES);
	row->change(t, tried);
	if (row->field)
		field_change(t, row, shown->data.vmx[0].vmcs12, tried);
	vcpu_state_get(t->vcpu, &before);
	expect_result(t, -row->error, vcpu_ioctl_try(t->vcpu, KVM_SET_NESTED_STATE, tried));
	if (row->error && !row->is_late)
		check_unchanged(t, &before, good);
	free(tried);
	/* And the good one is taken, whatever was tried. */
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_NESTED_STATE, good));
	vcpu_ioctl(t->vcpu, KVM_SET_REGS, &before.regs);
}

HOST(nested_state)
{
	const struct row *row = ROW(t, rows);
	struct kvm_nested_state *good, *shown = NULL;

	if (row->has_no_vmx)
		cpuid_change(t, 1, (struct cpuid_bits){ .ecx_off = CPUID_VMX });
	if (row->field) {
		require_sync(t, 1);
		vcpu_settle(t);
		shown = nested_state_get(t);
	}
	require_pio_out(t, .port = 0x80, .size = 1, .count = 1);
	vcpu_settle(t);
	good = nested_state_get(t);
	if (row->change) {
		check_set(t, row, good, shown);
	} else {
		check_header(t, row, good);
		check_size(t, row);
		if (row->where >= CURRENT)
			check_fault(t, row, good);
	}
	free(good);
	free(shown);
	expect_done(t);
}
