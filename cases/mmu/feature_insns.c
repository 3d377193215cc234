/* SPDX-License-Identifier: MIT */
/*
 * An instruction that belongs to a feature is there only when the guest's CPUID has the feature: with it the instruction
 * has its effect, without it it is #UD. The last CPUID counts.
 *
 * Can break: an intercept that makes the #UD and is not set, or stays when CPUID has the feature again.
 * Source: APM vol. 3, INVPCID, RDTSCP (exceptions); KVM API, KVM_SET_CPUID2.
 */
#include "cases/mmu/feature_hide.h"
#include "case.h"

enum insn { INSN_RDTSCP, INSN_INVPCID };

struct row {
	ROW_FIELDS;
	enum insn insn;
	bool hidden;
	bool back;		/* hidden, and shown again */
};

#define RDTSCP(...) .needs = "cpuid:rdtscp", .insn = INSN_RDTSCP, ##__VA_ARGS__
#define INVPCID(...) .needs = "cpuid:invpcid", .insn = INSN_INVPCID, ##__VA_ARGS__

static const struct row rows[] = {
	{ .label = "rdtscp", RDTSCP() },
	{ .label = "rdtscp_hidden", RDTSCP(.hidden = true), .known = { "0107-qemu-rdtscp-not-intercepted", "lab-svm" } },
	{ .label = "rdtscp_back", RDTSCP(.back = true) },
	{ .label = "invpcid", INVPCID() },
	{ .label = "invpcid_hidden", INVPCID(.hidden = true) },
	{ .label = "invpcid_back", INVPCID(.back = true) },
};

CASE(feature_insns, .says = "an instruction exists for the guest just when its CPUID has the feature",
     .modes = PROT32 | LONG64, .rows = ROWS(rows), .shadow_too = true)

#define AUX 0x1234

static struct fault insn_try(enum insn insn, uint32_t *ret_aux)
{
	const uint64_t descriptor[2] = { 0 };

	if (insn == INSN_INVPCID)
		return TRY("invpcid (%1), %0", : : "r"((ulong_t)2), "r"(descriptor) : "memory");
	return TRY("rdtscp", : "=c"(*ret_aux) : : "eax", "edx");
}

GUEST(feature_insns)
{
	const struct row *row = GUEST_ROW(rows);
	uint32_t aux = 0;
	struct fault f;

	if (row->insn == INSN_RDTSCP && !row->hidden)
		wrmsr(MSR_TSC_AUX, AUX);
	f = insn_try(row->insn, &aux);
	if (row->hidden) {
		CHECK_FAULT(UD_VECTOR, 0, f);
		return;
	}
	CHECK_NO_FAULT(f);
	if (row->insn == INSN_RDTSCP)
		CHECK_EQ(AUX, aux);
}

HOST(feature_insns)
{
	const struct row *row = ROW(t, rows);
	uint32_t leaf = row->insn == INSN_RDTSCP ? 0x80000001 : 7;
	unsigned int reg = row->insn == INSN_RDTSCP ? 3 : 1;
	uint32_t bit = row->insn == INSN_RDTSCP ? 1u << 27 : 1u << 10;

	if (row->hidden || row->back)
		feature_hide(t, leaf, reg, bit);
	if (row->back)
		feature_hide(t, leaf, reg, 0);
	expect_done(t);
}
