/* SPDX-License-Identifier: MIT */
/*
 * RDMSR and WRMSR of an index that names no register make #GP(0) and leave the registers alone; so do neighbours of
 * ranges that exist. RDMSR of one that exists clears the upper halves of RAX and RDX.
 *
 * Can break: a range check that is off by one; an unknown MSR that reads as zero although ignore_msrs is off.
 * Source: APM vol. 3, RDMSR and WRMSR.
 */
#include "cases/mmu/forced.h"

struct row {
	ROW_FIELDS;
	uint32_t msr;
	bool forced;
	bool exists;
};

#define UNKNOWN(label_, msr_) { .label = label_, .msr = msr_ }, \
	{ .label = label_ "_forced", .needs = FORCED_NEEDS, .msr = msr_, .forced = true }

static const struct row rows[] = {
	UNKNOWN("0x2", 2), UNKNOWN("0x1fff", 0x1fff), UNKNOWN("0x2000", 0x2000), UNKNOWN("0x2fe", 0x2fe),
	UNKNOWN("0x251", 0x251), UNKNOWN("0x270", 0x270), UNKNOWN("0x3fffffff", 0x3fffffff),
	UNKNOWN("0xbfffffff", 0xbfffffff), UNKNOWN("0xc0000085", 0xc0000085), UNKNOWN("0xc0001fff", 0xc0001fff),
	UNKNOWN("0xc0002000", 0xc0002000), UNKNOWN("0xc0011fff", 0xc0011fff), UNKNOWN("0xc0012000", 0xc0012000),
	UNKNOWN("0xffffffff", 0xffffffff), UNKNOWN("0x4b564d10", 0x4b564d10),
	{ .label = "tsc", .msr = MSR_IA32_TSC, .exists = true },
	{ .label = "pat", .msr = MSR_IA32_PAT, .exists = true },
	{ .label = "pat_forced", .needs = FORCED_NEEDS, .msr = MSR_IA32_PAT, .forced = true, .exists = true },
	{ .label = "efer", .msr = MSR_EFER, .exists = true },
	{ .label = "mtrrcap", .msr = MSR_MTRRcap, .exists = true },
};

CASE(msr_unknown, .says = "an MSR that does not exist makes #GP(0) and changes no register", .modes = LONG64,
     .needs = "param:kvm.ignore_msrs=0", .rows = ROWS(rows))

GUEST(msr_unknown)
{
	const struct row *row = GUEST_ROW(rows);
	uint64_t a = 0x1111111111111111ull, d = 0x3333333333333333ull, c = row->msr, want_c;
	struct fault f;

	/* RDMSR takes ECX; QEMU 7.2 takes RCX, and looks beyond the permission map. */
	if (row->forced)
		c |= 0x2222222200000000ull;
	want_c = c;
	f = row->forced ? TRY_FORCED("rdmsr", : "+a"(a), "+c"(c), "+d"(d) : : "memory")
			: TRY("rdmsr", : "+a"(a), "+c"(c), "+d"(d) : : "memory");
	CHECK_EQ(want_c, c);
	if (row->exists) {
		CHECK_NO_FAULT(f);
		CHECK_EQ(0, a >> 32);
		CHECK_EQ(0, d >> 32);
		return;
	}
	CHECK_FAULT(GP_VECTOR, 0, f);
	CHECK_EQ(0x1111111111111111ull, a);
	CHECK_EQ(0x3333333333333333ull, d);
	a = d = 0;
	f = row->forced ? TRY_FORCED("wrmsr", : "+a"(a), "+c"(c), "+d"(d) : : "memory")
			: TRY("wrmsr", : "+a"(a), "+c"(c), "+d"(d) : : "memory");
	CHECK_FAULT(GP_VECTOR, 0, f);
	CHECK_EQ(want_c, c);
}

HOST(msr_unknown)
{
	expect_done(t);
}
