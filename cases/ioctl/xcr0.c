/* SPDX-License-Identifier: MIT */
/*
 * XSETBV takes just the legal values of XCR0: bit 0 set, AVX with SSE only, the two MPX bits together, the three AVX-512
 * bits together and with AVX, the two tile bits together, and no component that the guest's CPUID does not have. All
 * else is #GP(0) and changes nothing. Every combination of the bits is tried, by the CPU's intercept and by KVM's
 * emulator. CPUID leaf 0Dh then says how large the components in use are, and leaf 1 what CR4.OSXSAVE is.
 *
 * Can break: one of the rules; the host's components instead of the guest's; a refused value kept; the sizes not told anew.
 * Source: SDM vol. 1, 13.3 (enabling the XSAVE feature set); vol. 2, XSETBV, XGETBV, CPUID; APM vol. 2, 11.5.2.
 */
#include "case.h"

#define X87 (1ull << 0)
#define SSE (1ull << 1)
#define AVX (1ull << 2)
#define MPX (3ull << 3)
#define AVX512 (7ull << 5)
#define PKRU (1ull << 9)
#define TILE (3ull << 17)

enum way { BY_CPU, BY_EMULATOR };

static const struct row {
	ROW_FIELDS;
	enum way way;
	uint64_t offered;	/* to the guest, of what KVM has */
	void (*guest)(const struct row *row);
} rows[];

static uint64_t xgetbv(void)
{
	uint32_t low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (uint64_t)high << 32 | low;
}

struct write {
	uint32_t index;
	uint64_t value;
};

static void xsetbv_emulated(void *argument)
{
	const struct write *write = argument;

	__asm__ volatile("ud2\n\t.ascii \"kvm\"\n\txsetbv" : : "c"(write->index), "a"((uint32_t)write->value),
			 "d"((uint32_t)(write->value >> 32)) : "memory");
}

static void xsetbv_native(void *argument)
{
	const struct write *write = argument;

	__asm__ volatile("xsetbv" : : "c"(write->index), "a"((uint32_t)write->value),
			 "d"((uint32_t)(write->value >> 32)) : "memory");
}

static struct fault xsetbv(const struct row *row, uint32_t index, uint64_t value)
{
	struct write write = { index, value };

	return guest_catch(row->way == BY_EMULATOR ? xsetbv_emulated : xsetbv_native, &write);
}

static bool all_or_none(uint64_t value, uint64_t bits)
{
	return !(value & bits) || (value & bits) == bits;
}

static bool is_legal(uint64_t value)
{
	struct cpuid_regs leaf = cpuid(0xd, 0);
	uint64_t supported = (uint64_t)leaf.edx << 32 | leaf.eax;

	return value & X87 && !(value & ~supported) && (value & SSE || !(value & AVX)) && all_or_none(value, MPX) &&
	       all_or_none(value, AVX512) && (value & AVX || !(value & AVX512)) && all_or_none(value, TILE);
}

/* The area that the components in @value need in the standard format: those above SSE lie where leaf 0Dh says. */
static uint32_t area_bytes(uint64_t value)
{
	uint32_t bytes = 512 + 64, i;

	for (i = 2; i < 63; i++) {
		struct cpuid_regs leaf;

		if (!(value >> i & 1))
			continue;
		leaf = cpuid(0xd, i);
		if (leaf.ebx + leaf.eax > bytes)
			bytes = leaf.ebx + leaf.eax;
	}
	return bytes;
}

static void value_try(const struct row *row, uint64_t value)
{
	uint64_t before = xgetbv();
	bool legal = is_legal(value);

	CHECK_FAULT(legal ? NO_VECTOR : GP_VECTOR, 0, xsetbv(row, 0, value));
	CHECK_EQ(legal ? value : before, xgetbv());
}

/* All combinations of the nine lowest ones and PKRU, beside what is legal for sure. */
static void guest_combinations(const struct row *row)
{
	uint64_t low;

	for (low = 0; low < 0x200; low++)
		value_try(row, (low & 0xff) | (low & 0x100) << 1);
}

static void guest_each_bit(const struct row *row)
{
	unsigned int bit;

	for (bit = 0; bit < 64; bit++) {
		value_try(row, X87 | 1ull << bit);
		value_try(row, 1ull << bit);
	}
	value_try(row, X87 | TILE);
	value_try(row, ~0ull);
}

static void guest_sizes(const struct row *row)
{
	static const uint64_t values[] = { X87, X87 | SSE | AVX, X87 | SSE, X87 | SSE | PKRU, X87 | SSE | MPX, X87 };
	unsigned int i;

	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		if (is_legal(values[i]))
			CHECK_NO_FAULT(xsetbv(row, 0, values[i]));
		CHECK_EQ(area_bytes(xgetbv()), cpuid(0xd, 0).ebx);
		/* A value that is refused changes no size. */
		CHECK_FAULT(GP_VECTOR, 0, xsetbv(row, 0, values[i] & ~X87));
		CHECK_EQ(area_bytes(xgetbv()), cpuid(0xd, 0).ebx);
	}
}

/* There is no XCR but 0 (1 is read only, where it is at all). */
static void guest_index(const struct row *row)
{
	CHECK_FAULT(GP_VECTOR, 0, xsetbv(row, 1, X87));
	CHECK_FAULT(GP_VECTOR, 0, xsetbv(row, 2, X87 | SSE));
	CHECK_FAULT(GP_VECTOR, 0, xsetbv(row, 0x80000000, X87 | SSE));
	CHECK_EQ(X87, xgetbv());
}

#define CPUID_OSXSAVE (1u << 27)

/* #UD for both, whatever the value; and CPUID tells it. */
static void guest_osxsave_clear(const struct row *row)
{
	uint32_t low = 0, high = 0;

	CHECK_EQ(CPUID_OSXSAVE, cpuid(1, 0).ecx & CPUID_OSXSAVE);
	write_cr4(read_cr4() & ~X86_CR4_OSXSAVE);
	CHECK_EQ(0, cpuid(1, 0).ecx & CPUID_OSXSAVE);
	CHECK_FAULT(UD_VECTOR, 0, xsetbv(row, 0, X87 | SSE));
	CHECK_FAULT(UD_VECTOR, 0, xsetbv(row, 0, 0));
	CHECK_FAULT(UD_VECTOR, 0, TRY("xgetbv", : "+a"(low), "+d"(high) : "c"(0)));
	write_cr4(read_cr4() | X86_CR4_OSXSAVE);
	CHECK_EQ(X87, xgetbv());
}

/* #GP, also for a value that would be legal; reading is anybody's. */
static void guest_user(const struct row *row)
{
	struct write write = { 0, X87 | SSE };

	CHECK_FAULT(GP_VECTOR, 0, guest_catch_user(row->way == BY_EMULATOR ? xsetbv_emulated : xsetbv_native, &write));
	CHECK_EQ(X87, xgetbv());
}

#define EMULATED .way = BY_EMULATOR, .needs = "param:kvm.force_emulation_prefix=1"
#define NO_EXIT_ON_QEMU .known = { .finding = "0106-qemu-xsetbv-not-intercepted", .targets = "lab-svm" }

static const struct row rows[] = {
	{ .label = "combinations", .offered = ~0ull, .guest = guest_combinations, NO_EXIT_ON_QEMU },
	{ .label = "combinations_no_avx", .offered = ~AVX, .guest = guest_combinations, NO_EXIT_ON_QEMU },
	{ .label = "combinations_sse", .offered = X87 | SSE, .guest = guest_combinations, NO_EXIT_ON_QEMU },
	{ .label = "each_bit", .offered = ~0ull, .guest = guest_each_bit, NO_EXIT_ON_QEMU },
	{ .label = "sizes", .offered = ~0ull, .guest = guest_sizes, NO_EXIT_ON_QEMU },
	{ .label = "index", .offered = ~0ull, .guest = guest_index },
	{ .label = "osxsave_clear", .offered = ~0ull, .guest = guest_osxsave_clear },
	{ .label = "user", .offered = ~0ull, .guest = guest_user },
	{ .label = "emulated_combinations", EMULATED, .offered = ~0ull, .guest = guest_combinations },
	{ .label = "emulated_combinations_no_avx", EMULATED, .offered = ~AVX, .guest = guest_combinations },
	{ .label = "emulated_combinations_sse", EMULATED, .offered = X87 | SSE, .guest = guest_combinations },
	{ .label = "emulated_each_bit", EMULATED, .offered = ~0ull, .guest = guest_each_bit },
	{ .label = "emulated_sizes", EMULATED, .offered = ~0ull, .guest = guest_sizes },
	{ .label = "emulated_index", EMULATED, .offered = ~0ull, .guest = guest_index },
	{ .label = "emulated_osxsave_clear", EMULATED, .offered = ~0ull, .guest = guest_osxsave_clear },
	{ .label = "emulated_user", EMULATED, .offered = ~0ull, .guest = guest_user },
};

CASE(xcr0, .says = "XCR0 takes just its legal values", .modes = PROT32 | LONG64, .needs = "cpuid:xsave",
     .rows = ROWS(rows))

GUEST(xcr0)
{
	write_cr4(read_cr4() | X86_CR4_OSXSAVE);
	GUEST_ROW(rows)->guest(GUEST_ROW(rows));
}

/* The guest's CPUID without the components that the row does not offer. */
HOST(xcr0)
{
	const struct kvm_cpuid2 *supported = t->sys->cpuid;
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[256];
	} table = { .head.nent = supported->nent };
	uint32_t i;

	require_true(t, supported->nent <= 256);
	for (i = 0; i < supported->nent; i++) {
		table.entries[i] = supported->entries[i];
		if (table.entries[i].function != 0xd || table.entries[i].index)
			continue;
		table.entries[i].eax &= ROW(t, rows)->offered;
		table.entries[i].edx &= ROW(t, rows)->offered >> 32;
	}
	vcpu_ioctl(t->vcpu, KVM_SET_CPUID2, &table.head);
	expect_done(t);
}
