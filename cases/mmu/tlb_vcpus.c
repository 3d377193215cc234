/* SPDX-License-Identifier: MIT */
/*
 * Two vCPUs on one set of page tables: after one has changed an entry and the other has done INVLPG or reloaded CR3,
 * the other sees the change, and an entry that becomes present needs nothing at all. A bit that one's walk sets is not
 * lost to the other.
 *
 * Can break: a shadow page that is synchronised for the vCPU that wrote, and not for the one that flushed; a remote
 * flush that is left out.
 * Source: APM vol. 2, 5.5.2 and 7.3; SDM vol. 3A, 4.10.5.
 */
#include "case.h"

#define A_GPA (SCRATCH_GPA + 0x10000ul)
#define B_GPA (SCRATCH_GPA + 0x11000ul)
#define VA 0xc0005000ul
#define FLAGS (PTE_P | PTE_W | PTE_A | PTE_D)
#define NR_ROUNDS 40

struct row {
	ROW_FIELDS;
	bool by_cr3;
	bool not_present;	/* between two rounds, and no flush after the change */
	bool protect;		/* the change is that of W */
	bool global;
};

static const struct row rows[] = {
	{ .label = "invlpg" },
	{ .label = "cr3", .by_cr3 = true },
	{ .label = "not_present", .not_present = true },
	{ .label = "protect", .protect = true },
	{ .label = "global", .global = true },
};

CASE(tlb_vcpus, .says = "what one vCPU changes in the page tables the other sees after its own flush",
     .modes = PAGE32 | PAE32 | LONG64, .nr_vcpus = 2, .rows = ROWS(rows), .shadow_too = true, .smp_too = true)

static struct fault write_try(ulong_t va, uint8_t value)
{
	return TRY("movb %0, (%1)", : : "q"(value), "r"(va) : "memory");
}

static void flush(const struct row *row)
{
	if (row->by_cr3)
		write_cr3(read_cr3());
	else
		invlpg(VA);
}

static void look(const struct row *row, unsigned int i)
{
	struct fault f;

	CHECK_EQ(i & 1 ? 0xbb : 0xaa, read8(VA));
	f = write_try(VA + 1 + vcpu_index(), i);
	if (row->protect && i % 4 < 2) {
		CHECK_FAULT(PF_VECTOR, PFERR_P | PFERR_W, f);
		CHECK_CR2(VA + 1 + vcpu_index(), f.cr2);
	} else {
		CHECK_NO_FAULT(f);
		CHECK_EQ(i, read8((i & 1 ? B_GPA : A_GPA) + 1 + vcpu_index()));
	}
}

static uint64_t entry_of(const struct row *row, unsigned int i)
{
	uint64_t entry = (i & 1 ? B_GPA : A_GPA) | FLAGS | (row->global ? PTE_G : 0);

	return row->protect && i % 4 < 2 ? entry & ~PTE_W : entry;
}

GUEST(tlb_vcpus)
{
	const struct row *row = GUEST_ROW(rows);
	static void *pte;
	unsigned int i;

	if (vcpu_index() == 0) {
		write8(A_GPA, 0xaa);
		write8(B_GPA, 0xbb);
		pte = pte_find(VA, 1);
	}
	guest_barrier();
	flush(row);
	if (row->global && guest_mode() != PAE32)
		write_cr4(read_cr4() | X86_CR4_PGE);
	for (i = 0; i < NR_ROUNDS; i++) {
		if (row->not_present) {
			if (vcpu_index() == i % 3 % 2)
				pte_write(pte, 0);
			guest_barrier();
			flush(row);
		}
		guest_barrier();
		/* Now this vCPU writes the entry, now that one. */
		if (vcpu_index() == i % 3 % 2)
			pte_write(pte, entry_of(row, i));
		guest_barrier();
		if (!row->not_present)
			flush(row);
		look(row, i);
		guest_barrier();
	}
	CHECK_EQ(entry_of(row, NR_ROUNDS - 1), pte_read(pte));
}

HOST(tlb_vcpus)
{
	expect_all_done(t);
}
