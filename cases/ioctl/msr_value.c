/* SPDX-License-Identifier: MIT */
/*
 * KVM_SET_MSRS takes each legal value of an MSR and gives it back; an illegal value is refused and the MSR keeps the
 * one it has. A set to one MSR changes no other of the table.
 *
 * Can break: two MSRs that share a field, a value cut to 32 bits, a dropped canonical or reserved-bit check.
 * Source: APM vol. 2, 3.2 (system MSRs), 5.3.1 (canonical form), 7.7 (MTRRs), 7.8.1 (PAT: types 2 and 3 are reserved),
 * appendix A; KVM API, 4.19.
 */
#include "case.h"

#include "cases/ioctl/vcpu_state.h"

#define CANONICAL_LOW 0x00007fffffffffffull
#define CANONICAL_HIGH 0xffff800000000000ull
#define BAD_LOW 0x0000800000000000ull
#define BAD_HIGH 0xffff7fffffffffffull

struct row {
	ROW_FIELDS;
	uint32_t index;
	uint64_t good[6];
	uint64_t bad[6];	/* ends at 0, which is never bad */
};

#define CANONICAL(index_) .index = index_, .good = { 0x123456789ab, CANONICAL_LOW, CANONICAL_HIGH, ~0ull, 1, 0 },	\
	.bad = { BAD_LOW, BAD_HIGH, 1ull << 63, 0x7fffffffffffffff }
#define MTRR_FIXED(index_) .index = index_,						\
	.good = { 0x0605040100000606, 0x0600000000000000, 0x0000000000000001, 0x0606060606060606, 0 },	\
	.bad = { 2, 3, 7, 0x0200000000000000, 0x0000000000000800, 0x0000030000000000 }
#define MTRR_BASE(index_) .index = index_, .good = { 0x12345000, 0xfff006, 0xfffff001, 0 },	\
	.bad = { 2, 3, 7, 0x12345100, 1ull << 63, 1ull << 52 }
#define MTRR_MASK(index_) .index = index_, .good = { 0xfffff800, 0x800, 0 },		\
	.bad = { 1, 0x400, 0xfffff801, 1ull << 63, 1ull << 52 }

static const struct row rows[] = {
	{ .label = "star", .index = MSR_STAR, .good = { 0x0123456789abcdef, ~0ull, 0xfedcba9876543210, 0 } },
	{ .label = "lstar", CANONICAL(MSR_LSTAR) },
	{ .label = "cstar", CANONICAL(MSR_CSTAR) },
	{ .label = "syscall_mask", .index = MSR_SYSCALL_MASK, .good = { 0x47700, 0xfedcba98, 1, 0 } },
	{ .label = "fs_base", CANONICAL(MSR_FS_BASE) },
	{ .label = "gs_base", CANONICAL(MSR_GS_BASE) },
	{ .label = "kernel_gs_base", CANONICAL(MSR_KERNEL_GS_BASE) },
	{ .label = "sysenter_cs", .index = MSR_IA32_SYSENTER_CS, .good = { 0x10, 0xfff8, 0 } },
	{ .label = "sysenter_esp", .index = MSR_IA32_SYSENTER_ESP, .good = { 0x12345678, 0x76543210, 0 } },
	{ .label = "sysenter_eip", .index = MSR_IA32_SYSENTER_EIP, .good = { 0x12345678, 0x76543210, 0 } },
	{ .label = "tsc_aux", .index = MSR_TSC_AUX, .good = { 0x12345678, 0xffffffff, 0 }, .needs = "cpuid:rdtscp" },
	{ .label = "tsc_adjust", .index = MSR_IA32_TSC_ADJUST, .good = { 0x123456789abcdef0, ~0ull, 0 },
	  .needs = "cpuid:tsc_adjust" },
	{ .label = "efer", .index = MSR_EFER, .good = { EFER_SCE, EFER_NX | EFER_LME, 0 },
	  .bad = { 1 << 1, 1 << 9, 1 << 16, 1ull << 32, 1ull << 63, EFER_SCE | 1 << 7 }, .needs = "cpuid:nx cpuid:lm" },
	{ .label = "pat", .index = MSR_IA32_PAT, .good = { 0x0706050401000706, 0, 0x0007040600070406 },
	  .bad = { 2, 3, 8, 0x0200000000000000, 0x0300000000000000, 0x0000000000000800 } },
	{ .label = "apic_base", .index = MSR_IA32_APICBASE, .good = { 0xfee00100, 0xfed00900, 0xfee00900 },
	  .bad = { 0xfee00901, 0xfee00b00, 0xfee00980, 1ull << 63 | 0xfee00900, 1ull << 52 | 0xfee00900 } },
	{ .label = "mtrr_def_type", .index = MSR_MTRRdefType, .good = { 0xc06, 0x800, 0x400, 4, 0 },
	  .bad = { 2, 3, 7, 0xd06, 0x1c06, 1ull << 32 } },
	{ .label = "mtrr_fix_64k", MTRR_FIXED(MSR_MTRRfix64K_00000) },
	{ .label = "mtrr_fix_16k_first", MTRR_FIXED(0x258) },
	{ .label = "mtrr_fix_16k_last", MTRR_FIXED(0x259) },
	{ .label = "mtrr_fix_4k_first", MTRR_FIXED(0x268) },
	{ .label = "mtrr_fix_4k_last", MTRR_FIXED(0x26f) },
	{ .label = "mtrr_base_first", MTRR_BASE(MSR_MTRRphysBase0) },
	{ .label = "mtrr_base_last", MTRR_BASE(0x20e) },
	{ .label = "mtrr_mask_first", MTRR_MASK(0x201) },
	{ .label = "mtrr_mask_last", MTRR_MASK(0x20f) },
	{ .label = "smbase", .index = 0x9e, .good = { 0xa0000, 0xfffff000, 0x30000 }, .needs = "KVM_CAP_X86_SMM" },
	{ .label = "mcg_status", .index = 0x17a, .good = { 5, 7, 0 } },
	{ .label = "vm_hsave_pa", .index = MSR_VM_HSAVE_PA, .good = { 0x123000, 0xfffff000, 0 }, .needs = "cpuid:svm" },
	{ .label = "kvm_poll_control", .index = 0x4b564d05, .good = { 0, 1 }, .bad = { 2, 3, 1ull << 63 } },
	{ .label = "kvm_async_pf_en", .index = 0x4b564d02, .good = { 0 },
	  .bad = { 0x10, 0x30, 0x20, 1, 0x100001 } },	/* no APIC here to notify through: it stays off */
	{ .label = "kvm_steal_time", .index = 0x4b564d03, .good = { 0x100000, 0 }, .bad = { 0x3, 0x100021, 0x3f } },
};

CASE(msr_value, .says = "an MSR takes its legal values and keeps the last of them", .modes = NO_GUEST,
     .rows = ROWS(rows))

#define NR_ROWS (sizeof(rows) / sizeof(rows[0]))

static void values_get(struct test *t, uint64_t *values)
{
	unsigned int i;

	for (i = 0; i < NR_ROWS; i++) {
		values[i] = 0;
		msr_get_try(t->vcpu, rows[i].index, &values[i]);
	}
}

static void check_all(struct test *t, const uint64_t *want)
{
	uint64_t got[NR_ROWS];
	unsigned int i;

	values_get(t, got);
	for (i = 0; i < NR_ROWS; i++)
		if (want[i] != got[i])
			test_say(t, "MSR 0x%x", rows[i].index);
	expect_bytes(t, want, got, sizeof(got));
}

HOST(msr_value)
{
	const struct row *row = ROW(t, rows);
	uint64_t values[NR_ROWS];
	unsigned int i;

	vcpu_set_supported_cpuid(t->vcpu);
	values_get(t, values);
	for (i = 0; i < 6 && (!i || row->good[i - 1]); i++) {
		expect_result(t, 1, msr_set_try(t->vcpu, row->index, row->good[i]));
		values[t->row] = row->good[i];
		check_all(t, values);
	}
	expect_result(t, 1, msr_set_try(t->vcpu, row->index, row->good[0]));
	values[t->row] = row->good[0];
	for (i = 0; i < 6 && row->bad[i]; i++) {
		test_say(t, "bad value %u", i);
		expect_result(t, 0, msr_set_try(t->vcpu, row->index, row->bad[i]));
		check_all(t, values);
	}
}
