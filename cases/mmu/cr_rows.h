/* SPDX-License-Identifier: MIT */
/*
 * Writes of CR0, CR3 and CR4: which bits may change in which mode, and what an accepted write reads back as.
 *
 * The including file defines CR3_NEEDS: what it takes for a bad CR3 to be refused, and UPPER_LOST_ON: the targets where
 * its writes of CR0 and CR4 reach KVM's emulator.
 *
 * Source: APM vol. 2, 3.1 (CR0, CR3, CR4) and 5.1; SDM vol. 2B, MOV to control registers, vol. 3A, 2.5.
 */
#ifndef VMASSAY_CASES_MMU_CR_ROWS_H
#define VMASSAY_CASES_MMU_CR_ROWS_H

#include "cases/mmu/walk.h"

enum cr { CR0, CR3, CR4 };

struct cr_row {
	ROW_FIELDS;
	enum cr cr;
	uint64_t set, clear;
	uint64_t ignored;	/* of @set and @clear: bits that read back as before */
	bool refused;		/* #GP(0), nothing changes */
	bool at_maxphyaddr;	/* sets the first bit that is not an address's */
};

#define LONG (LONG64 | LA57)
#define LEGACY (PAGE32 | PAE32)
#define WITH_PAGING (LEGACY | LONG)
#define PROT_ALL (PROT32 | WITH_PAGING)

#define FLIP_ON(label_, cr_, bit_, modes_) { .label = label_, .modes = modes_, .cr = cr_, .set = bit_ }
#define FLIP_OFF(label_, cr_, bit_, modes_) { .label = label_, .modes = modes_, .cr = cr_, .clear = bit_ }
#define REFUSE_ON(label_, cr_, bit_, modes_) \
	{ .label = label_, .modes = modes_, .cr = cr_, .set = bit_, .refused = true }
#define REFUSE_OFF(label_, cr_, bit_, modes_) \
	{ .label = label_, .modes = modes_, .cr = cr_, .clear = bit_, .refused = true }
/* Where a write is left to KVM's emulator, its upper half is lost; of CR0, if it changes more than TS and MP. */
#define REFUSE_UPPER(label_, cr_, bit_) \
	{ .label = label_, .modes = LONG, .cr = cr_, .set = bit_, .refused = true, \
	  .known = { .finding = "0302-cr-write-upper-half", .targets = UPPER_LOST_ON } }
#define REFUSE_CR3(label_, bit_) \
	{ .label = label_, .needs = CR3_NEEDS, .modes = LONG, .cr = CR3, .set = bit_, .refused = true }

static const struct cr_row rows[] = {
	FLIP_ON("cr0_mp", CR0, X86_CR0_MP, EVERY_MODE),
	FLIP_ON("cr0_em", CR0, X86_CR0_EM, EVERY_MODE),
	FLIP_ON("cr0_ts", CR0, X86_CR0_TS, EVERY_MODE),
	FLIP_ON("cr0_mp_ts", CR0, X86_CR0_MP | X86_CR0_TS, LONG),
	{ .label = "cr0_et", .cr = CR0, .clear = X86_CR0_ET, .ignored = X86_CR0_ET },
	FLIP_OFF("cr0_ne_off", CR0, X86_CR0_NE, PROT_ALL),
	FLIP_OFF("cr0_wp_off", CR0, X86_CR0_WP, WITH_PAGING),
	FLIP_ON("cr0_wp", CR0, X86_CR0_WP, REAL16 | PROT32),
	FLIP_ON("cr0_am", CR0, X86_CR0_AM, EVERY_MODE),
	FLIP_ON("cr0_cd", CR0, X86_CR0_CD, EVERY_MODE),
	FLIP_ON("cr0_cd_nw", CR0, X86_CR0_CD | X86_CR0_NW, EVERY_MODE),
	REFUSE_ON("cr0_nw_alone", CR0, X86_CR0_NW, EVERY_MODE),
	{ .label = "cr0_reserved", .modes = PROT_ALL, .cr = CR0, .set = 0x1ffaffc0 & ~0x50000ull,
	  .ignored = 0x1ffaffc0 },
	REFUSE_ON("cr0_pg_real", CR0, X86_CR0_PG, REAL16),
	{ .label = "cr0_pg_without_pe", .modes = PROT32, .cr = CR0, .set = X86_CR0_PG, .clear = X86_CR0_PE,
	  .refused = true },
	REFUSE_OFF("cr0_pe_under_pg", CR0, X86_CR0_PE, WITH_PAGING),
	FLIP_OFF("cr0_pg_off", CR0, X86_CR0_PG, LEGACY),
	REFUSE_OFF("cr0_pg_off_64", CR0, X86_CR0_PG, LONG),
	REFUSE_OFF("cr0_pg_pe_off_64", CR0, X86_CR0_PG | X86_CR0_PE, LONG),
	REFUSE_UPPER("cr0_bit32", CR0, 1ull << 32 | X86_CR0_AM),
	REFUSE_UPPER("cr0_bit47", CR0, 1ull << 47 | X86_CR0_AM),
	REFUSE_UPPER("cr0_bit63", CR0, 1ull << 63 | X86_CR0_AM),
	FLIP_ON("cr3_pwt", CR3, 1ull << 3, WITH_PAGING),
	FLIP_ON("cr3_pcd", CR3, 1ull << 4, WITH_PAGING),
	{ .label = "cr3_maxphyaddr", .needs = CR3_NEEDS, .modes = LONG, .cr = CR3, .at_maxphyaddr = true, .refused = true },
	REFUSE_CR3("cr3_bit51", 1ull << 51),
	REFUSE_CR3("cr3_bit52", 1ull << 52),
	REFUSE_CR3("cr3_bit62", 1ull << 62),
	/* Without CR4.PCIDE this bit is not the "do not flush" of a PCID. */
	REFUSE_CR3("cr3_bit63", 1ull << 63),
	FLIP_ON("cr4_vme_pvi", CR4, X86_CR4_VME | X86_CR4_PVI, PROT_ALL),
	FLIP_ON("cr4_tsd", CR4, X86_CR4_TSD, EVERY_MODE),
	FLIP_ON("cr4_de", CR4, X86_CR4_DE, EVERY_MODE),
	FLIP_ON("cr4_pse", CR4, X86_CR4_PSE, LONG | PAE32),
	FLIP_ON("cr4_mce", CR4, X86_CR4_MCE, EVERY_MODE),
	FLIP_ON("cr4_pge", CR4, X86_CR4_PGE, EVERY_MODE),
	FLIP_ON("cr4_pce", CR4, X86_CR4_PCE, EVERY_MODE),
	FLIP_ON("cr4_osfxsr", CR4, X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT, EVERY_MODE),
	{ .label = "cr4_umip", .needs = "cpuid:umip", .cr = CR4, .set = X86_CR4_UMIP },
	{ .label = "cr4_fsgsbase", .needs = "cpuid:fsgsbase", .cr = CR4, .set = X86_CR4_FSGSBASE },
	{ .label = "cr4_osxsave", .needs = "cpuid:xsave", .cr = CR4, .set = X86_CR4_OSXSAVE },
	{ .label = "cr4_smep", .needs = "cpuid:smep", .cr = CR4, .set = X86_CR4_SMEP },
	{ .label = "cr4_smap", .needs = "cpuid:smap", .cr = CR4, .set = X86_CR4_SMAP },
	{ .label = "cr4_pke", .needs = "cpuid:pku", .cr = CR4, .set = X86_CR4_PKE },
	{ .label = "cr4_vmxe", .needs = "vendor:amd", .cr = CR4, .set = X86_CR4_VMXE, .refused = true },
	REFUSE_ON("cr4_bit15", CR4, 1ull << 15, EVERY_MODE),
	REFUSE_ON("cr4_bit19", CR4, 1ull << 19, EVERY_MODE),
	REFUSE_ON("cr4_bit26", CR4, 1ull << 26, EVERY_MODE),
	REFUSE_ON("cr4_bit29", CR4, 1ull << 29, EVERY_MODE),
	REFUSE_ON("cr4_bit30", CR4, 1ull << 30, EVERY_MODE),
	REFUSE_ON("cr4_bit31", CR4, 1ull << 31, EVERY_MODE),
	REFUSE_UPPER("cr4_bit33", CR4, 1ull << 33),
	REFUSE_UPPER("cr4_bit63", CR4, 1ull << 63),
	REFUSE_OFF("cr4_pae_off_64", CR4, X86_CR4_PAE, LONG),
	FLIP_ON("cr4_pae", CR4, X86_CR4_PAE, REAL16 | PROT32),
	{ .label = "cr4_la57_in_64", .needs = "cpuid:la57", .modes = LONG64, .cr = CR4, .set = X86_CR4_LA57,
	  .refused = true },
	REFUSE_OFF("cr4_la57_off_in_64", CR4, X86_CR4_LA57, LA57),
	{ .label = "cr4_la57_legacy", .needs = "cpuid:la57", .modes = PROT32 | PAE32, .cr = CR4,
	  .set = X86_CR4_LA57 },
	REFUSE_ON("cr4_pcide_legacy", CR4, X86_CR4_PCIDE, REAL16 | PROT32 | LEGACY),
	{ .label = "cr4_pcide", .needs = "cpuid:pcid", .modes = LONG, .cr = CR4, .set = X86_CR4_PCIDE },
};

static inline ulong_t cr_read(enum cr cr)
{
	switch (cr) {
	case CR0:
		return read_cr0();
	case CR3:
		return read_cr3();
	default:
		return read_cr4();
	}
}

struct cr_state {
	uint64_t regs[3];	/* [enum cr] */
	uint64_t efer;
};

static inline struct cr_state cr_state_read(void)
{
	return (struct cr_state){
		.regs = { read_cr0(), read_cr3(), read_cr4() },
		.efer = guest_mode() == REAL16 ? 0 : rdmsr(MSR_EFER),
	};
}

/* @write makes the instruction under test. */
static inline void cr_row_try(const struct cr_row *row, struct fault (*write)(enum cr cr, ulong_t value))
{
	struct cr_state before, after;
	uint64_t set = row->set, want;
	struct fault f;

	if (row->at_maxphyaddr)
		set = 1ull << (cpuid(0x80000008, 0).eax & 0xff);
	if ((set & (X86_CR4_SMEP | X86_CR4_SMAP)) && row->cr == CR4 && (guest_mode() & WITH_PAGING))
		make_supervisor();
	before = cr_state_read();
	after = before;
	want = (ulong_t)((cr_read(row->cr) | set) & ~row->clear);
	f = write(row->cr, want);
	if (row->refused)
		CHECK_FAULT(GP_VECTOR, 0, f);
	else
		CHECK_NO_FAULT(f);
	if (!row->refused)
		after.regs[row->cr] = (want & ~row->ignored) | (before.regs[row->cr] & row->ignored);
	CHECK_EQ(after.regs[CR0], read_cr0());
	CHECK_EQ(after.regs[CR3], read_cr3());
	CHECK_EQ(after.regs[CR4], read_cr4());
	if (guest_mode() != REAL16)
		CHECK_EQ(after.efer, rdmsr(MSR_EFER));
	f = write(row->cr, before.regs[row->cr]);
	CHECK_NO_FAULT(f);
	CHECK_EQ(before.regs[CR0], read_cr0());
	CHECK_EQ(before.regs[CR3], read_cr3());
	CHECK_EQ(before.regs[CR4], read_cr4());
}

#endif
