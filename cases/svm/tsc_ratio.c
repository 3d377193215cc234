/* SPDX-License-Identifier: MIT */
/*
 * L2's time stamp counter is L1's, times L1's TSC ratio where there is one, plus the VMCB's offset; L1's own is neither.
 * It is the same by RDTSC, RDTSCP and RDMSR. What L2 reads lies between what two reads of L1's around it make, to the
 * tick. Without the feature there is no TSC ratio MSR; with it, it holds 40 bits.
 *
 * Can break: KVM's own offset and ratio for L1 left out of L2's, or in twice; the offset not scaled by the ratio; the
 * offset of the VMCB that KVM runs L2 with left from another entry; L2's ratio kept for L1; an MSR that is read on L1's
 * side.
 * Source: APM vol. 2, 15.30.5, appendix B (TSC_OFFSET).
 */
#include "cases/mmu/feature_hide.h"
#include "guests/l1_svm.h"
#include "case.h"

#define MSR_TSC_RATIO 0xc0000104
#define SVM_LEAF 0x8000000a
#define EDX_TSC_RATIO (1u << 4)
#define RATIO_ONE (1ull << 32)

INSN(tr_rdtsc, "rdtsc\n\tvmmcall")
INSN(tr_rdtscp, "rdtscp\n\tvmmcall")
INSN(tr_rdmsr, "mov $0x10, %ecx\n\trdmsr\n\tvmmcall")

enum what { READS, HIDDEN, RESERVED, HOLDS };

struct row {
	ROW_FIELDS;
	const char *code, *end;
	enum what what;
	uint64_t offset;
	uint64_t ratio;		/* 0: not written */
};

#define ROW_OF(label_, name_, ...) { .label = #label_, .code = tr_##name_, .end = tr_##name_##_end, ##__VA_ARGS__ }
#define EACH(label_, ...)								\
	ROW_OF(label_##_rdtsc, rdtsc, __VA_ARGS__), ROW_OF(label_##_rdmsr, rdmsr, __VA_ARGS__)
#define SCALED(label_, ratio_, offset_) \
	EACH(label_, .ratio = ratio_, .offset = offset_, .needs = "cpuid:tsc_scale")
#define UP (1ull << 50 | 0x1234567)
#define DOWN (-(1ull << 50) - 0x7654321)

static const struct row rows[] = {
	EACH(no_offset, .offset = 0), EACH(up, .offset = UP), EACH(down, .offset = DOWN),
	ROW_OF(up_rdtscp, rdtscp, .offset = UP, .needs = "cpuid:rdtscp"),
	SCALED(ratio_1, RATIO_ONE, UP), SCALED(ratio_2, 2 * RATIO_ONE, 0), SCALED(ratio_half, RATIO_ONE / 2, 0),
	SCALED(ratio_2_up, 2 * RATIO_ONE, UP), SCALED(ratio_half_down, RATIO_ONE / 2, DOWN),
	SCALED(ratio_3_halves, 3 * RATIO_ONE / 2, UP),
	{ .label = "hidden_msr", .what = HIDDEN, .known = { "2902-bare-keeps-hidden-features", "bare" } },
	{ .label = "reserved_bits", .what = RESERVED, .needs = "cpuid:tsc_scale" },
	{ .label = "holds_40_bits", .what = HOLDS, .needs = "cpuid:tsc_scale" },
};

CASE(tsc_ratio, .says = "L2's TSC is L1's, scaled and offset", .modes = LONG64, .needs = "vendor:amd nested",
     .rows = ROWS(rows))

static uint64_t scale(uint64_t tsc, uint64_t ratio)
{
	return ((unsigned __int128)tsc * ratio) >> 32;
}

/* Two entries: what the first leaves must not add up. */
static void try_reads(const struct row *row)
{
	uint64_t ratio = row->ratio ? row->ratio : RATIO_ONE, before, after, l2;
	unsigned int i;

	if (row->ratio)
		wrmsr(MSR_TSC_RATIO, row->ratio);
	l1_vmcb.control.tsc_offset = row->offset;
	for (i = 0; i < 2; i++) {
		before = rdtsc();
		l2_run(row->code);
		after = rdtsc();
		CHECK_L2_DONE(row->end - 3);
		l2 = (l2_regs.rdx << 32 | (uint32_t)l1_vmcb.save.rax) - row->offset;
		CHECK(before < after);
		CHECK(l2 >= scale(before, ratio));
		CHECK(l2 <= scale(after, ratio));
		CHECK_EQ(row->offset, l1_vmcb.control.tsc_offset);
	}
	/* L1's runs on from where it was. */
	before = rdmsr(MSR_IA32_TSC);
	CHECK_EQ(1, before - after < 1ull << 40);
}

static void try_hidden(void)
{
	uint64_t value;

	CHECK_FAULT(GP_VECTOR, 0, rdmsr_safe(MSR_TSC_RATIO, &value));
	CHECK_FAULT(GP_VECTOR, 0, wrmsr_safe(MSR_TSC_RATIO, RATIO_ONE));
}

static void try_reserved(void)
{
	unsigned int bit;

	CHECK_EQ(RATIO_ONE, rdmsr(MSR_TSC_RATIO));
	for (bit = 40; bit < 64; bit++) {
		CHECK_FAULT(GP_VECTOR, 0, wrmsr_safe(MSR_TSC_RATIO, 1ull << bit | RATIO_ONE));
		CHECK_EQ(RATIO_ONE, rdmsr(MSR_TSC_RATIO));
	}
}

static void try_holds(void)
{
	unsigned int bit;

	for (bit = 0; bit < 40; bit++) {
		CHECK_NO_FAULT(wrmsr_safe(MSR_TSC_RATIO, 1ull << bit));
		CHECK_EQ(1ull << bit, rdmsr(MSR_TSC_RATIO));
	}
	wrmsr(MSR_TSC_RATIO, RATIO_ONE);
}

GUEST(tsc_ratio)
{
	const struct row *row = GUEST_ROW(rows);

	l1_svm_init();
	switch (row->what) {
	case READS: try_reads(row); break;
	case HIDDEN: try_hidden(); break;
	case RESERVED: try_reserved(); break;
	case HOLDS: try_holds(); break;
	}
}

HOST(tsc_ratio)
{
	/* 1302: of KVM's own choice, it may be one that KVM refuses. */
	vcpu_ioctl_value(t->vcpu, KVM_SET_TSC_KHZ, 0);
	if (ROW(t, rows)->what == HIDDEN)
		feature_hide(t, SVM_LEAF, 3, EDX_TSC_RATIO);
	expect_done(t);
}
