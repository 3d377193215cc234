/* SPDX-License-Identifier: MIT */
/*
 * Rows about a VM entry: one change of the VMCS that enters, and how the entry must fail, or that it must not.
 */
#ifndef VMASSAY_CASES_VMX_ENTRY_H
#define VMASSAY_CASES_VMX_ENTRY_H

#include "case.h"
#include "guests/l1_vmx.h"

#define ENTRY_MAX_EDITS 4

/* Bits of the controls that the vCPU's capability MSRs forbid or need. */
enum entry_control { CTL_NONE, CTL_PIN, CTL_PROC, CTL_PROC2, CTL_EXIT, CTL_ENTRY };
enum entry_change { SET_LOWEST_FORBIDDEN, SET_HIGHEST_FORBIDDEN, CLEAR_LOWEST_NEEDED, CLEAR_HIGHEST_NEEDED };

struct entry_row {
	ROW_FIELDS;
	void (*prepare)(void);		/* leaves a VMCS that enters */
	uint32_t secondary;
	struct vmcs_edit edits[ENTRY_MAX_EDITS];
	uint32_t beyond;		/* this field becomes the first address beyond the physical width */
	uint32_t top;			/* this field becomes the last page's address */
	enum entry_control control;
	enum entry_change change;

	/* One of these: VMfail, an exit with this qualification + 1, or a legal entry. */
	uint16_t error;
	uint16_t exit_plus_1;
	bool is_legal;
	const char *check;		/* Linux 6.1: the check in KVM; NULL: the CPU's own */
};

#ifdef VMASSAY_GUEST

static inline uint64_t first_beyond(void)
{
	return 1ull << (cpuid(0x80000008, 0).eax & 0xff);
}

/* The fields that a row changes, as they were. */
struct entry_saved {
	uint32_t fields[ENTRY_MAX_EDITS + 3];
	uint64_t values[ENTRY_MAX_EDITS + 3];
	unsigned int nr;
};

static inline void entry_save(struct entry_saved *saved, uint32_t field)
{
	saved->fields[saved->nr] = field;
	saved->values[saved->nr++] = vmcs_read(field);
}

static inline void entry_change_control(struct entry_saved *saved, enum entry_control control,
					enum entry_change change)
{
	static const struct { uint32_t field, msr; } controls[] = {
		[CTL_PIN] = { PIN_CONTROLS, MSR_IA32_VMX_TRUE_PINBASED_CTLS },
		[CTL_PROC] = { PROC_CONTROLS, MSR_IA32_VMX_TRUE_PROCBASED_CTLS },
		[CTL_PROC2] = { PROC2_CONTROLS, MSR_IA32_VMX_PROCBASED_CTLS2 },
		[CTL_EXIT] = { EXIT_CONTROLS, MSR_IA32_VMX_TRUE_EXIT_CTLS },
		[CTL_ENTRY] = { ENTRY_CONTROLS, MSR_IA32_VMX_TRUE_ENTRY_CTLS },
	};
	uint64_t allowed = rdmsr(controls[control].msr);
	uint32_t needed = allowed, forbidden = ~(allowed >> 32);

	entry_save(saved, controls[control].field);
	switch (change) {
	case SET_LOWEST_FORBIDDEN:
		vmcs_set(controls[control].field, forbidden & -forbidden);
		break;
	case SET_HIGHEST_FORBIDDEN:
		vmcs_set(controls[control].field, 1u << (31 - __builtin_clz(forbidden)));
		break;
	case CLEAR_LOWEST_NEEDED:
		vmcs_clear_bits(controls[control].field, needed & -needed);
		break;
	case CLEAR_HIGHEST_NEEDED:
		vmcs_clear_bits(controls[control].field, 1u << (31 - __builtin_clz(needed)));
		break;
	}
}

static inline void entry_change_all(struct entry_saved *saved, const struct entry_row *row)
{
	unsigned int i;

	for (i = 0; i < ENTRY_MAX_EDITS && (row->edits[i].set || row->edits[i].clear); i++)
		entry_save(saved, row->edits[i].field);
	vmcs_edit(row->edits, ENTRY_MAX_EDITS);
	if (row->beyond) {
		entry_save(saved, row->beyond);
		vmcs_write(row->beyond, first_beyond());
	}
	if (row->top) {
		entry_save(saved, row->top);
		vmcs_write(row->top, first_beyond() - 4096);
	}
	if (row->control)
		entry_change_control(saved, row->control, row->change);
}

static inline void entry_restore(const struct entry_saved *saved)
{
	unsigned int i;

	for (i = saved->nr; i; i--)
		vmcs_write(saved->fields[i - 1], saved->values[i - 1]);
}

/* L2 was entered and left by the VMCALL that is its first instruction: nothing else has changed. */
static inline void entry_check_legal(const struct vmx_exit *state)
{
	struct vmx_exit want = *state;

	want.reason = EXIT_REASON_VMCALL;
	want.insn_length = 3;
	want.entry_intr_info &= ~INTR_VALID;
	CHECK_EXIT(&want);
}

static inline void entry_check_failed(const struct entry_row *row, const struct vmx_exit *state)
{
	struct vmx_exit want = { 0 };

	if (row->error) {
		want.outcome = VMX_FAIL_VALID(row->error);
	} else {
		want = *state;
		want.reason = EXIT_REASON_INVALID_STATE | VMX_EXIT_REASONS_FAILED_VMENTRY;
		want.qualification = row->exit_plus_1 - 1;
	}
	CHECK_EXIT(&want);
}

/* The entry fails as the row says, with L2's state as it was; and once the change is undone, L2 runs. */
static inline void entry_row_run(const struct entry_row *row)
{
	struct entry_saved saved = { .nr = 0 };
	struct vmx_exit state;

	vmx_start();
	if (row->secondary)
		vmx_use_secondary(row->secondary);
	if (row->prepare)
		row->prepare();
	entry_change_all(&saved, row);
	vmx_state_read(&state);
	vmx_run();
	if (row->is_legal) {
		entry_check_legal(&state);
		return;
	}
	entry_check_failed(row, &state);
	if (vmx.is_launched)
		return;
	entry_restore(&saved);
	vmx_state_read(&state);
	vmx_run();
	entry_check_legal(&state);
}

#else

static inline void entry_row_run(const struct entry_row *row)
{
	(void)row;
}

#endif

#endif
