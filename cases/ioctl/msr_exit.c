/* SPDX-License-Identifier: MIT */
/*
 * RDMSR and WRMSR that KVM will not do itself leave to user space for just those reasons that KVM_CAP_X86_USER_SPACE_MSR
 * names, and are #GP(0) otherwise. User space answers with data, or with an error that is #GP(0) again.
 *
 * KVM_X86_SET_MSR_FILTER denies by a bit per MSR, reads and writes apart, with a default for those in no range; MSRs
 * that the guest reaches without an exit (LSTAR, STAR on SVM) are caught too. A denied access has no effect.
 *
 * Can break: the bit of the neighbouring MSR; reads filtered by a write range; the old MSR bitmap used; the answer's
 * halves exchanged, or RAX and RDX changed when user space said error; RIP on after #GP.
 * Source: KVM API, KVM_CAP_X86_USER_SPACE_MSR, KVM_X86_SET_MSR_FILTER, KVM_EXIT_X86_RDMSR; APM vol. 3, RDMSR, WRMSR.
 */
#include "cases/mmu/forced.h"

#define NO_MSR 0xdead
#define FILTERS KVM_MSR_EXIT_REASON_FILTER
#define UNKNOWNS KVM_MSR_EXIT_REASON_UNKNOWN
#define INVALIDS KVM_MSR_EXIT_REASON_INVAL
#define EXITS_ALL (FILTERS | UNKNOWNS | INVALIDS)
#define READS KVM_MSR_FILTER_READ
#define WRITES KVM_MSR_FILTER_WRITE

enum outcome { DONE_BY_KVM, GP, EXIT_ANSWERED, EXIT_REFUSED };

static const struct row {
	ROW_FIELDS;
	bool is_write;
	uint32_t index;
	uint64_t value;		/* written, or answered, or what KVM has */
	uint32_t enabled;	/* KVM_CAP_X86_USER_SPACE_MSR */
	uint32_t range_flags;	/* 0: no filter */
	uint32_t base;
	uint8_t bits;		/* of 8 MSRs from .base; 1: allowed */
	bool denies_others;
	uint32_t reason;
	enum outcome outcome;
	bool forced;		/* executed by KVM's emulator */
} rows[] = {
#define FILTER(flags_, base_, bits_) .range_flags = flags_, .base = base_, .bits = bits_
/* With ignore_msrs=1, KVM takes an MSR that it does not know for one that reads as 0. */
#define NOT_IGNORED .needs = "param:kvm.ignore_msrs=0"
#define READ(label_, index_, value_, outcome_, ...)					\
	{ .label = label_, .index = index_, .value = value_, .outcome = outcome_, __VA_ARGS__ }
#define WRITE(label_, index_, value_, outcome_, ...)					\
	{ .label = label_, .is_write = true, .index = index_, .value = value_, .outcome = outcome_, __VA_ARGS__ }
	READ("read_filtered", MSR_LSTAR, 0x1122334455667788, EXIT_ANSWERED, .enabled = FILTERS, .reason = FILTERS,
	     FILTER(READS, MSR_STAR, 0xfd)),
	READ("read_filtered_refused", MSR_LSTAR, 0, EXIT_REFUSED, .enabled = FILTERS, .reason = FILTERS,
	     FILTER(READS, MSR_STAR, 0xfd)),
	READ("read_filtered_no_exit", MSR_LSTAR, 0, GP, .enabled = UNKNOWNS | INVALIDS, FILTER(READS, MSR_STAR, 0xfd)),
	READ("read_filtered_first", MSR_STAR, 0x8122334455667788, EXIT_ANSWERED, .enabled = EXITS_ALL, .reason = FILTERS,
	     FILTER(READS | WRITES, MSR_STAR, 0xfe)),
	READ("read_filtered_last", MSR_STAR, 5, EXIT_ANSWERED, .enabled = FILTERS, .reason = FILTERS,
	     FILTER(READS, MSR_STAR - 7, 0x7f)),
	READ("read_bit_above", MSR_LSTAR, 0x2000, DONE_BY_KVM, .enabled = FILTERS, FILTER(READS, MSR_STAR, 0xfb)),
	READ("read_bit_below", MSR_LSTAR, 0x2000, DONE_BY_KVM, .enabled = FILTERS, FILTER(READS, MSR_STAR, 0xfe)),
	READ("read_behind_range", MSR_LSTAR, 0x2000, DONE_BY_KVM, .enabled = FILTERS, FILTER(READS, MSR_LSTAR - 8, 0)),
	READ("read_of_write_range", MSR_LSTAR, 0x2000, DONE_BY_KVM, .enabled = FILTERS, FILTER(WRITES, MSR_LSTAR, 0)),
	READ("read_default_deny", MSR_LSTAR, 0x77, EXIT_ANSWERED, .enabled = FILTERS, .reason = FILTERS,
	     FILTER(READS, MSR_CSTAR, 0xff), .denies_others = true),
	READ("read_allowed_in_deny", MSR_LSTAR, 0x2000, DONE_BY_KVM, .enabled = FILTERS,
	     FILTER(READS, MSR_LSTAR, 0x01), .denies_others = true),
	WRITE("write_filtered", MSR_LSTAR, 0x7122334455667788, EXIT_ANSWERED, .enabled = FILTERS, .reason = FILTERS,
	      FILTER(WRITES, MSR_STAR, 0xfd)),
	WRITE("write_filtered_refused", MSR_LSTAR, 0x3000, EXIT_REFUSED, .enabled = FILTERS, .reason = FILTERS,
	      FILTER(WRITES, MSR_STAR, 0xfd)),
	WRITE("write_filtered_no_exit", MSR_LSTAR, 0x3000, GP, .enabled = UNKNOWNS, FILTER(WRITES, MSR_STAR, 0xfd)),
	WRITE("write_of_read_range", MSR_LSTAR, 0x3000, DONE_BY_KVM, .enabled = FILTERS, FILTER(READS, MSR_LSTAR, 0)),
	WRITE("write_bit_above", MSR_LSTAR, 0x3000, DONE_BY_KVM, .enabled = FILTERS, FILTER(WRITES, MSR_STAR, 0xfb)),
	WRITE("write_default_deny", MSR_LSTAR, 0x3000, EXIT_ANSWERED, .enabled = FILTERS, .reason = FILTERS,
	      FILTER(READS, MSR_LSTAR, 0xff), .denies_others = true),
	READ("read_unknown", NO_MSR, 0xfedcba9876543210, EXIT_ANSWERED, .enabled = UNKNOWNS, .reason = UNKNOWNS,
	     NOT_IGNORED),
	READ("read_unknown_refused", NO_MSR, 0, EXIT_REFUSED, .enabled = EXITS_ALL, .reason = UNKNOWNS, NOT_IGNORED),
	READ("read_unknown_no_exit", NO_MSR, 0, GP, .enabled = FILTERS | INVALIDS, NOT_IGNORED),
	READ("read_unknown_no_cap", NO_MSR, 0, GP, NOT_IGNORED),
	WRITE("write_unknown", NO_MSR, 0xfedcba9876543210, EXIT_ANSWERED, .enabled = UNKNOWNS, .reason = UNKNOWNS,
	      NOT_IGNORED),
	WRITE("write_unknown_no_exit", NO_MSR, 1, GP, .enabled = FILTERS | INVALIDS, NOT_IGNORED),
	WRITE("write_invalid", MSR_EFER, 0x8000000000000000, EXIT_ANSWERED, .enabled = INVALIDS, .reason = INVALIDS),
	WRITE("write_invalid_refused", MSR_EFER, 0x8000000000000000, EXIT_REFUSED, .enabled = EXITS_ALL,
	      .reason = INVALIDS),
#define FORCED .forced = true, .modes = LONG64, .needs = FORCED_NEEDS
	READ("read_forced", MSR_LSTAR, 0x1122334455667788, EXIT_ANSWERED, .enabled = FILTERS, .reason = FILTERS, FORCED,
	     FILTER(READS, MSR_STAR, 0xfd)),
	READ("read_forced_refused", MSR_LSTAR, 0, EXIT_REFUSED, .enabled = FILTERS, .reason = FILTERS, FORCED,
	     FILTER(READS, MSR_STAR, 0xfd)),
	READ("read_forced_no_exit", MSR_LSTAR, 0, GP, FORCED, FILTER(READS, MSR_STAR, 0xfd)),
	READ("read_forced_unknown", NO_MSR, 0xfedcba9876543210, EXIT_ANSWERED, .enabled = UNKNOWNS, .reason = UNKNOWNS,
	     .forced = true, .modes = LONG64, .needs = FORCED_NEEDS " param:kvm.ignore_msrs=0"),
	WRITE("write_forced", MSR_LSTAR, 0x7122334455667788, EXIT_ANSWERED, .enabled = FILTERS, .reason = FILTERS, FORCED,
	      FILTER(WRITES, MSR_STAR, 0xfd)),
	WRITE("write_forced_refused", MSR_LSTAR, 0x3000, EXIT_REFUSED, .enabled = FILTERS, .reason = FILTERS, FORCED,
	      FILTER(WRITES, MSR_STAR, 0xfd)),
	WRITE("write_forced_no_exit", MSR_LSTAR, 0x3000, GP, FORCED, FILTER(WRITES, MSR_STAR, 0xfd)),
	WRITE("write_forced_invalid", MSR_EFER, 0x8000000000000000, EXIT_ANSWERED, .enabled = INVALIDS, .reason = INVALIDS,
	      FORCED),
	WRITE("write_invalid_no_exit", MSR_EFER, 0x8000000000000000, GP, .enabled = FILTERS | UNKNOWNS),
};

CASE(msr_exit, .says = "MSR accesses leave for the reasons asked for, are #GP otherwise, and have no effect denied",
     .modes = REAL16 | PROT32 | LONG64, .needs = "KVM_CAP_X86_USER_SPACE_MSR KVM_CAP_X86_MSR_FILTER",
     .rows = ROWS(rows))

static void access_once(const struct row *row)
{
	bool faults = row->outcome == GP || row->outcome == EXIT_REFUSED;
	uint32_t low = 0x5eed0001, high = 0x5eed0002;
	struct fault f;

	if (row->is_write && row->forced)
		f = TRY_FORCED("wrmsr", : : "c"(row->index), "a"((uint32_t)row->value), "d"((uint32_t)(row->value >> 32)));
	else if (row->is_write)
		f = wrmsr_safe(row->index, row->value);
	else if (row->forced)
		f = TRY_FORCED("rdmsr", : "+a"(low), "+d"(high) : "c"(row->index));
	else
		f = TRY("rdmsr", : "+a"(low), "+d"(high) : "c"(row->index));
	CHECK_FAULT(faults ? GP_VECTOR : NO_VECTOR, 0, f);
	if (row->is_write)
		return;
	CHECK_EQ(faults ? 0x5eed0001 : (uint32_t)row->value, low);
	CHECK_EQ(faults ? 0x5eed0002 : row->value >> 32, high);
}

/* Twice: what the first leaves behind must not change the second. */
GUEST(msr_exit)
{
	access_once(GUEST_ROW(rows));
	access_once(GUEST_ROW(rows));
}

static void filter_set(struct test *t, const struct row *row)
{
	uint8_t bits[8] = { row->bits };
	struct kvm_msr_filter filter = {
		.flags = row->denies_others ? KVM_MSR_FILTER_DEFAULT_DENY : KVM_MSR_FILTER_DEFAULT_ALLOW,
		.ranges[0] = { .flags = row->range_flags, .nmsrs = 8, .base = row->base, .bitmap = bits },
	};

	vm_ioctl(t->vm, KVM_X86_SET_MSR_FILTER, &filter);
}

static uint64_t host_msr(struct test *t, uint32_t index, const uint64_t *set)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = { .head.nmsrs = 1, .entry = { .index = index, .data = set ? *set : 0 } };

	if (set)
		require_result(t, 1, vcpu_ioctl_try(t->vcpu, KVM_SET_MSRS, &msrs.head));
	else
		require_result(t, 1, vcpu_ioctl_try(t->vcpu, KVM_GET_MSRS, &msrs.head));
	return msrs.entry.data;
}

static void expect_access(struct test *t, const struct row *row)
{
	struct kvm_run *run = t->vcpu->run;

	if (row->is_write)
		expect_exit(t, .reason = KVM_EXIT_X86_WRMSR,
			    .msr = { .reason = row->reason, .index = row->index, .data = row->value });
	else
		expect_exit(t, .reason = KVM_EXIT_X86_RDMSR, .msr = { .reason = row->reason, .index = row->index });
	expect_eq(t, 0, run->msr.error);
	run->msr.error = row->outcome == EXIT_REFUSED;
	if (!row->is_write)
		run->msr.data = row->value;
}

HOST(msr_exit)
{
	const struct row *row = ROW(t, rows);
	const uint64_t before = 0x2000;
	bool exits = row->outcome == EXIT_ANSWERED || row->outcome == EXIT_REFUSED;

	host_msr(t, MSR_LSTAR, &before);
	if (row->enabled)
		vm_ioctl(t->vm, KVM_ENABLE_CAP, (&(struct kvm_enable_cap){
			.cap = KVM_CAP_X86_USER_SPACE_MSR, .args = { row->enabled } }));
	if (row->range_flags)
		filter_set(t, row);
	if (exits) {
		expect_access(t, row);
		expect_access(t, row);
	}
	expect_done(t);
	expect_eq(t, row->is_write && row->outcome == DONE_BY_KVM ? row->value : before, host_msr(t, MSR_LSTAR, NULL));
}
