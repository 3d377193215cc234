/* SPDX-License-Identifier: MIT */
/*
 * A control bit or an MSR that belongs to a feature is there only when the guest's CPUID has the feature: the same
 * write is taken with the CPUID bit and makes #GP(0), changing nothing, without it. The last CPUID counts.
 *
 * Can break: a mask that is made from the host's features, or once and not for each KVM_SET_CPUID2.
 * Source: APM vol. 2, 3.1.3 and 3.1.7, vol. 3, appendix D; SDM vol. 3A, 2.5.
 */
#include "cases/mmu/feature_hide.h"
#include "case.h"

enum what { WRITE_CR4, WRITE_MSR };

struct row {
	ROW_FIELDS;
	enum what what;
	uint32_t msr;
	uint64_t bits;
	uint32_t leaf;
	uint8_t reg, bit;	/* reg 0: EAX ... 3: EDX */
	bool hidden;
	bool back;		/* hidden, and shown again */
};

#define GATE(label_, needs_, modes_, what_, msr_, bits_, leaf_, reg_, bit_)				\
	{ .label = label_, .needs = needs_, .modes = modes_, .what = what_, .msr = msr_, .bits = bits_,	\
	  .leaf = leaf_, .reg = reg_, .bit = bit_ },							\
	{ .label = label_ "_hidden", .needs = needs_, .modes = modes_, .what = what_, .msr = msr_,	\
	  .bits = bits_, .leaf = leaf_, .reg = reg_, .bit = bit_, .hidden = true },			\
	{ .label = label_ "_back", .needs = needs_, .modes = modes_, .what = what_, .msr = msr_,	\
	  .bits = bits_, .leaf = leaf_, .reg = reg_, .bit = bit_, .back = true }

#define CR4_GATE(label_, needs_, modes_, bits_, leaf_, reg_, bit_) \
	GATE(label_, needs_, modes_, WRITE_CR4, 0, bits_, leaf_, reg_, bit_)
#define MSR_GATE(label_, needs_, modes_, msr_, bits_, leaf_, reg_, bit_) \
	GATE(label_, needs_, modes_, WRITE_MSR, msr_, bits_, leaf_, reg_, bit_)

static const struct row rows[] = {
	CR4_GATE("osxsave", "cpuid:xsave", 0, X86_CR4_OSXSAVE, 1, 2, 26),
	CR4_GATE("smep", "cpuid:smep", PROT32, X86_CR4_SMEP, 7, 1, 7),
	CR4_GATE("smap", "cpuid:smap", PROT32, X86_CR4_SMAP, 7, 1, 20),
	CR4_GATE("fsgsbase", "cpuid:fsgsbase", 0, X86_CR4_FSGSBASE, 7, 1, 0),
	CR4_GATE("umip", "cpuid:umip", 0, X86_CR4_UMIP, 7, 2, 2),
	CR4_GATE("pke", "cpuid:pku", 0, X86_CR4_PKE, 7, 2, 3),
	CR4_GATE("la57", "cpuid:la57", PROT32, X86_CR4_LA57, 7, 2, 16),
	CR4_GATE("pcide", "cpuid:pcid", LONG64, X86_CR4_PCIDE, 1, 2, 17),
	MSR_GATE("efer_nxe", "cpuid:nx", PROT32, MSR_EFER, EFER_NX, 0x80000001, 3, 20),
	MSR_GATE("efer_svme", "vendor:amd nested", 0, MSR_EFER, EFER_SVME, 0x80000001, 2, 2),
	MSR_GATE("efer_ffxsr", "cpuid:fxsr_opt", 0, MSR_EFER, EFER_FFXSR, 0x80000001, 3, 25),
};

CASE(feature_gates, .says = "a control bit exists for the guest just when its CPUID has the feature",
     .modes = PROT32 | LONG64, .rows = ROWS(rows))

static struct fault bits_write(const struct row *row, uint64_t value)
{
	return row->what == WRITE_CR4 ? write_cr4_safe(value) : wrmsr_safe(row->msr, value);
}

static uint64_t value_read(const struct row *row)
{
	uint64_t value = 0;

	if (row->what == WRITE_CR4)
		return read_cr4();
	(void)rdmsr_safe(row->msr, &value);
	return value;
}

GUEST(feature_gates)
{
	const struct row *row = GUEST_ROW(rows);
	uint64_t old = value_read(row);
	struct fault f = bits_write(row, old | row->bits);

	if (row->hidden)
		CHECK_FAULT(GP_VECTOR, 0, f);
	else
		CHECK_NO_FAULT(f);
	CHECK_EQ(row->hidden ? old : old | row->bits, value_read(row));
	f = bits_write(row, old);
	CHECK_NO_FAULT(f);
	CHECK_EQ(old, value_read(row));
}

HOST(feature_gates)
{
	const struct row *row = ROW(t, rows);

	if (row->hidden || row->back)
		feature_hide(t, row->leaf, row->reg, 1u << row->bit);
	if (row->back)
		feature_hide(t, row->leaf, row->reg, 0);
	expect_done(t);
}
