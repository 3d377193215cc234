/* SPDX-License-Identifier: MIT */
/*
 * CPUID beyond what the table has. A leaf above its class's highest one, or of a class that is not there, is on Intel's
 * CPUs the highest basic leaf, at the subleaf asked for; on AMD's it is zero, and so is every gap inside a class on both.
 * The topology leaves pass ECX[7:0] through for the levels they do not have, with the x2APIC ID in EDX.
 *
 * Can break: a class's bounds by one, the class of a hypervisor's leaf, the subleaf lost on the way to the highest leaf,
 * a vendor taken for the other, EDX of another subleaf.
 * Source: SDM vol. 2A, CPUID ("INPUT EAX = 0BH", and the text on inputs above the highest leaf); APM vol. 3, appendix
 * E.2; the classes from 0x40000000 and 0xc0000000 on are KVM's, as hypervisors and Centaur's CPUs have them.
 */
#include "case.h"

#include <string.h>

#define HV 0x40000000u
#define HV_SECOND 0x40000100u
#define CENTAUR 0xc0000000u

/* What Intel's rule makes of a query, and AMD's. */
enum want { ZERO, HIGHEST, LEVEL };

struct query {
	uint32_t leaf, index;
	enum want intel, amd;
};

struct row {
	ROW_FIELDS;
	const char *vendor;
	uint32_t highest;
	bool is_amd, has_centaur, has_no_basic, has_other_classes;
};

static const struct query queries[] = {
	{ 5, 0, ZERO, ZERO }, { 0x30, 0, HIGHEST, ZERO }, { 0x30, 1, HIGHEST, ZERO }, { 0x3fffffff, 0, HIGHEST, ZERO },
	{ 0x50000000, 0, HIGHEST, ZERO }, { 0x7fffffff, 1, HIGHEST, ZERO },
};

/* With the other classes there: a gap is zero, what is above them is not. */
static const struct query with_classes[] = {
	{ HV + 1, 0, ZERO, ZERO }, { HV + 2, 0, HIGHEST, ZERO }, { HV + 0xff, 1, HIGHEST, ZERO },
	{ HV_SECOND + 2, 0, ZERO, ZERO }, { HV_SECOND + 3, 0, HIGHEST, ZERO }, { HV + 0x200, 0, HIGHEST, ZERO },
	{ 0x4fffffff, 1, HIGHEST, ZERO },
	{ 0x80000005, 0, ZERO, ZERO }, { 0x80000105, 0, ZERO, ZERO }, { 0x80000208, 0, ZERO, ZERO },
	{ 0x80000209, 0, HIGHEST, ZERO }, { 0xbfffffff, 1, HIGHEST, ZERO },
};

static const struct query with_centaur[] = {
	{ CENTAUR + 1, 0, ZERO, ZERO }, { CENTAUR + 2, 0, HIGHEST, ZERO }, { 0xffffffff, 1, HIGHEST, ZERO },
};

static const struct query without_centaur[] = {
	{ CENTAUR, 0, HIGHEST, ZERO }, { CENTAUR + 1, 1, HIGHEST, ZERO }, { 0xffffffff, 0, HIGHEST, ZERO },
};

static const struct query without_classes[] = {
	{ HV, 0, HIGHEST, ZERO }, { 0x80000000, 1, HIGHEST, ZERO }, { 0x80000001, 0, HIGHEST, ZERO },
};

/* The highest leaf is a topology leaf: a level that is not there, directly and by way of a leaf above. */
static const struct query levels[] = {
	{ 0xb, 2, LEVEL, LEVEL }, { 0xb, 0x1ff, LEVEL, LEVEL }, { 0x30, 5, LEVEL, ZERO },
};

static const struct query levels_1f[] = {
	{ 0x1f, 2, LEVEL, LEVEL }, { 0x1f, 0x1ff, LEVEL, LEVEL }, { 0x30, 5, LEVEL, ZERO }, { 0xb, 2, ZERO, ZERO },
};

static const struct row rows[] = {
	{ .label = "intel", .vendor = "GenuntelineI", .highest = 0xb, .has_other_classes = true },
	{ .label = "intel_1f", .vendor = "GenuntelineI", .highest = 0x1f, .has_other_classes = true },
	{ .label = "intel_alone", .vendor = "GenuntelineI", .highest = 0xb },
	{ .label = "centaur", .vendor = "CentaulsaurH", .highest = 0xb, .has_other_classes = true, .has_centaur = true },
	{ .label = "amd", .vendor = "AuthcAMDenti", .highest = 0xb, .has_other_classes = true, .is_amd = true },
	{ .label = "amd_k5", .vendor = "AMDiter!sbet", .highest = 0xb, .has_other_classes = true, .is_amd = true },
	{ .label = "hygon", .vendor = "HygouinenGen", .highest = 0xb, .has_other_classes = true, .is_amd = true },
	/* Nobody says who the vendor is. */
	{ .label = "no_basic", .vendor = "GenuntelineI", .highest = 0xb, .has_no_basic = true, .is_amd = true },
};

CASE(cpuid_range, .says = "CPUID above the highest leaf is the highest basic leaf on Intel's CPUs, and zero on AMD's",
     .modes = LONG64, .manual = true, .rows = ROWS(rows),
     .known = { .finding = "4201-soft-cpuid-is-a-plain-table", .targets = "soft-svm" })

/* What the table has for @leaf, @index; distinct everywhere. */
static struct cpuid_regs content(uint32_t leaf, uint32_t index)
{
	uint32_t base = leaf << 16 | index << 8;

	return (struct cpuid_regs){ base | 0xa, base | 0xb, base | 0xc, base | 0xd };
}

static void query_check(const struct row *row, const struct query *query)
{
	enum want kind = row->is_amd ? query->amd : query->intel;
	struct cpuid_regs got = cpuid(query->leaf, query->index), want = { 0 };
	uint32_t leaf = query->leaf > row->highest ? row->highest : query->leaf;

	if (kind == HIGHEST)
		want = content(row->highest, query->index);
	if (kind == LEVEL) {
		want.ecx = query->index & 0xff;
		want.edx = content(leaf, 1).edx;
	}
	SAY("leaf", (uint64_t)query->leaf << 32 | query->index);
	CHECK_EQ(want.eax, got.eax);
	CHECK_EQ(want.ebx, got.ebx);
	CHECK_EQ(want.ecx, got.ecx);
	CHECK_EQ(want.edx, got.edx);
}

#define EACH(row_, queries_)								\
	do {										\
		unsigned int i_;							\
		for (i_ = 0; i_ < sizeof(queries_) / sizeof((queries_)[0]); i_++)	\
			query_check(row_, &(queries_)[i_]);				\
	} while (0)

GUEST(cpuid_range)
{
	const struct row *row = GUEST_ROW(rows);

	EACH(row, queries);
	if (row->has_other_classes)
		EACH(row, with_classes);
	else
		EACH(row, without_classes);
	if (row->has_centaur)
		EACH(row, with_centaur);
	else
		EACH(row, without_centaur);
	if (row->highest == 0xb)
		EACH(row, levels);
	else
		EACH(row, levels_1f);
}

struct table {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 entries[16];
};

static void table_add(struct table *table, uint32_t leaf, uint32_t index, struct cpuid_regs regs)
{
	table->entries[table->head.nent++] = (struct kvm_cpuid_entry2){
		.function = leaf, .index = index, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		.eax = regs.eax, .ebx = regs.ebx, .ecx = regs.ecx, .edx = regs.edx,
	};
}

/* A class's first leaf, which tells its highest one; EBX, ECX, EDX are the vendor's. */
static void table_add_class(struct table *table, uint32_t leaf, uint32_t highest, const char *vendor)
{
	struct cpuid_regs regs = { .eax = highest };

	memcpy(&regs.ebx, vendor, 12);
	table_add(table, leaf, 0, regs);
}

static void table_make(struct table *table, const struct row *row)
{
	*table = (struct table){ .head.nent = 0 };
	if (!row->has_no_basic)
		table_add_class(table, 0, row->highest, row->vendor);
	table_add(table, 1, 0, (struct cpuid_regs){ .eax = 0x600f12, .edx = 0x178bfbff });
	table_add(table, row->highest, 0, content(row->highest, 0));
	table_add(table, row->highest, 1, content(row->highest, 1));
	if (row->has_other_classes) {
		table_add_class(table, HV, HV + 1, "NobodyNobody");
		table_add_class(table, HV_SECOND, HV_SECOND + 2, "SecondSecond");
		table_add_class(table, 0x80000000, 0x80000208, row->vendor);
		table_add(table, 0x80000001, 0, (struct cpuid_regs){ .edx = 0x2fd3fbff });
		table_add(table, 0x80000008, 0, (struct cpuid_regs){ .eax = 0x3028 });
	}
	if (row->has_centaur)
		table_add_class(table, CENTAUR, CENTAUR + 1, row->vendor);
}

HOST(cpuid_range)
{
	struct vcpu *vcpu;
	struct table table;

	table_make(&table, ROW(t, rows));
	t->vm = test_vm(t);
	guest_load(t, t->vm);
	vcpu = vcpu_create(t->vm, 0);
	vcpu_ioctl(vcpu, KVM_SET_CPUID2, &table.head);
	mode_enter(vcpu, t->mode, 0, guest_symbol(t, "guest_entry"));
	t->vcpu = vcpu;
	expect_done(t);
}
