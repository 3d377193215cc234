/* SPDX-License-Identifier: MIT */
/*
 * KVM_TRANSLATE walks the guest's page tables as they are now: small and large pages, every level's present bit, the
 * offset in the page; without paging it is the identity. The walk may set accessed bits, and changes nothing else.
 *
 * The walk is the system's: it does not see U/S. KVM says writeable 1 and usermode 0 whatever the entries are.
 *
 * Can break: the offset's width at one level, a large page's base, PAE's four entries, canonical form, stale roots.
 * Source: KVM API, 4.15 (KVM_TRANSLATE); APM vol. 2, 5.2, 5.3.
 */
#include "case.h"

CASE(translate, .says = "linear addresses are translated as the guest's tables say", .modes = EVERY_MODE | LA57,
     .shadow_too = true)

#define WINDOW 0x3f000000ul	/* a large page of its own, no memory behind it */


static void __attribute__((unused)) guest_tables(void)
{
	void *pte;

	page_map(WINDOW + 0x1000, 0x12345000, PTE_P | PTE_W);
	page_map(WINDOW + 0x2000, 0x00abc000, PTE_P);		/* read-only, supervisor */
	page_map(WINDOW + 0x3000, 0x00abd000, 0);		/* not present */
	page_map(WINDOW + 0x4000, 0xfffff000, PTE_P | PTE_W | PTE_U);
	pte = pte_find(WINDOW + 0x1000, 1);
	GUEST_VALUE(1, (ulong_t)pte);
	/* A directory entry that is not there: the next large page. */
	pte = pte_find(WINDOW + 0x800000, 2);
	pte_write(pte, 0);
	write_cr3(read_cr3());
}

GUEST(translate)
{
	GUEST_VALUE(0, guest_mode() & ~(REAL16 | PROT32));
#ifndef VMASSAY_REAL16
	if (guest_mode() != PROT32)
		guest_tables();
#endif
	guest_sync(1);
}

static void expect_translation(struct test *t, uint64_t linear, bool valid, uint64_t physical)
{
	struct kvm_translation got = {
		.linear_address = linear, .physical_address = 0x5555, .valid = 0x55, .writeable = 0x55, .usermode = 0x55,
	};
	struct kvm_translation want = {
		.linear_address = linear, .physical_address = physical, .valid = valid, .writeable = 1,
	};

	test_say(t, "linear 0x%lx", (unsigned long)linear);
	vcpu_ioctl(t->vcpu, KVM_TRANSLATE, &got);
	expect_bytes(t, &want, &got, sizeof(want));
}

static void check_paging(struct test *t)
{
	bool is_long = t->mode & (LONG64 | LA57);
	uint64_t top = t->mode == LA57 ? 1ull << 56 : 1ull << 47;

	expect_translation(t, WINDOW, true, WINDOW);
	expect_translation(t, WINDOW + 0x1000, true, 0x12345000);
	expect_translation(t, WINDOW + 0x1fff, true, 0x12345fff);
	expect_translation(t, WINDOW + 0x2004, true, 0x00abc004);
	expect_translation(t, WINDOW + 0x3000, false, ~0ull);
	expect_translation(t, WINDOW + 0x4abc, true, 0xfffffabc);
	expect_translation(t, WINDOW + 0x5000, true, WINDOW + 0x5000);
	expect_translation(t, WINDOW + 0x7fffff, true, WINDOW + 0x7fffff);
	expect_translation(t, WINDOW + 0x800000, false, ~0ull);
	expect_translation(t, WINDOW + 0x9fffff, false, ~0ull);
	expect_translation(t, WINDOW + 0xc00000, true, WINDOW + 0xc00000);
	if (!is_long)
		return;
	expect_translation(t, 1ull << 32, false, ~0ull);
	expect_translation(t, top - 1, false, ~0ull);
	expect_translation(t, -top, false, ~0ull);
}

HOST(translate)
{
	uint64_t limit = t->mode == REAL16 ? 0x10ffef : 0xffffffff;
	uint64_t *pte;

	require_sync(t, 1);
	expect_translation(t, 0, true, 0);
	expect_translation(t, 0x1234, true, 0x1234);
	expect_translation(t, 0x7fffff, true, 0x7fffff);
	expect_translation(t, limit, true, limit);
	if (t->mode & (REAL16 | PROT32))
		return;
	check_paging(t);
	/* The table in memory is what counts, and it is not made dirty. */
	pte = vm_hva(t->vm, guest_value(t, 1), 4);
	expect_eq(t, 0x12345000 | PTE_P | PTE_W, *(volatile uint32_t *)pte & ~PTE_A);
	*(volatile uint32_t *)pte = 0x00777000 | PTE_P;
	expect_translation(t, WINDOW + 0x1678, true, 0x00777678);
	expect_eq(t, 0x00777000 | PTE_P, *(volatile uint32_t *)pte & ~PTE_A);
	expect_done(t);
}
