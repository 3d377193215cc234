/* SPDX-License-Identifier: MIT */
/*
 * The guest's CPUID is the table of KVM_SET_CPUID2: by leaf, by subleaf where the entry says so, with all four registers
 * written and the upper halves cleared. A subleaf that the table does not have is zero; an extended leaf beyond the last
 * is zero on AMD tables.
 *
 * Can break: two output registers exchanged, the subleaf ignored or taken where it is not significant, stale entries,
 * RIP not behind CPUID, CR4 not seen in OSXSAVE.
 * Source: APM vol. 3, CPUID; KVM API, KVM_SET_CPUID2 (KVM_CPUID_FLAG_SIGNIFCANT_INDEX).
 */
#include "case.h"

CASE(cpuid_guest, .says = "the guest sees the table that was set", .modes = PROTECTED | LONG64, .manual = true)

struct seen {
	uint32_t leaf, subleaf, eax, ebx, ecx, edx;
};

static const struct seen wants[] = {
	{ 0, 0, 0xd, 0x68747541, 0x444d4163, 0x69746e65 },
	{ 0, 7, 0xd, 0x68747541, 0x444d4163, 0x69746e65 },
	{ 2, 0, 0x10203040, 0x50607080, 0x90a0b0c0, 0xd0e0f000 },
	{ 2, 5, 0x10203040, 0x50607080, 0x90a0b0c0, 0xd0e0f000 },
	{ 4, 0, 0x401, 0x402, 0x403, 0x404 },
	{ 4, 1, 0x411, 0x412, 0x413, 0x414 },
	{ 4, 3, 0x431, 0x432, 0x433, 0x434 },
	{ 4, 2, 0, 0, 0, 0 },
	{ 4, 4, 0, 0, 0, 0 },
	{ 5, 0, 0, 0, 0, 0 },
	{ 0x80000000, 0, 0x80000008, 0x68747541, 0x444d4163, 0x69746e65 },
	{ 0x80000002, 0, 0xfedcba98, 0x76543210, 0x01234567, 0x89abcdef },
	{ 0x80000003, 0, 0, 0, 0, 0 },
	{ 0x80000009, 0, 0, 0, 0, 0 },
	{ 0xffffffff, 0, 0, 0, 0, 0 },
};

#define NR_WANTS (sizeof(wants) / sizeof(wants[0]))

GUEST(cpuid_guest)
{
	unsigned int i;

	for (i = 0; i < NR_WANTS; i++) {
		const struct seen *want = &wants[i];
		ulong_t a = want->leaf, b = ~0ul, c = want->subleaf, d = ~0ul;

		__asm__ volatile("cpuid" : "+a"(a), "+b"(b), "+c"(c), "+d"(d));
		SAY("leaf", (uint64_t)want->leaf << 32 | want->subleaf);
		CHECK_EQ(want->eax, a);
		CHECK_EQ(want->ebx, b);
		CHECK_EQ(want->ecx, c);
		CHECK_EQ(want->edx, d);
	}
}

#define PLAIN(function_, ...) { .function = function_, __VA_ARGS__ }
#define SUBLEAF(function_, index_, a_, b_, c_, d_)					\
	{ .function = function_, .index = index_, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,	\
	  .eax = a_, .ebx = b_, .ecx = c_, .edx = d_ }
#define NR_ENTRIES 10

HOST(cpuid_guest)
{
	struct {
		struct kvm_cpuid2 header;
		struct kvm_cpuid_entry2 entries[NR_ENTRIES];
	} table = {
		.header.nent = NR_ENTRIES,
		.entries = {
			PLAIN(0, .eax = 0xd, .ebx = 0x68747541, .ecx = 0x444d4163, .edx = 0x69746e65),
			SUBLEAF(4, 0, 0x401, 0x402, 0x403, 0x404),
			SUBLEAF(4, 1, 0x411, 0x412, 0x413, 0x414),
			SUBLEAF(4, 3, 0x431, 0x432, 0x433, 0x434),
			PLAIN(2, .eax = 0x10203040, .ebx = 0x50607080, .ecx = 0x90a0b0c0, .edx = 0xd0e0f000),
			PLAIN(0x80000000, .eax = 0x80000008, .ebx = 0x68747541, .ecx = 0x444d4163, .edx = 0x69746e65),
			PLAIN(0x80000002, .eax = 0xfedcba98, .ebx = 0x76543210, .ecx = 0x01234567, .edx = 0x89abcdef),
			PLAIN(1, .eax = 0x600f12, .edx = 0x178bfbff),
			PLAIN(0x80000001, .eax = 0x600f12, .edx = 0x2fd3fbff),
			PLAIN(0x80000008, .eax = 0x3028),
		},
	};
	struct vcpu *vcpu;

	t->vm = test_vm(t);
	guest_load(t, t->vm);
	vcpu = vcpu_create(t->vm, 0);
	vcpu_ioctl(vcpu, KVM_SET_CPUID2, &table.header);
	mode_enter(vcpu, t->mode, 0, guest_symbol(t, "guest_entry"));
	t->vcpu = vcpu;
	expect_done(t);
}
