/* SPDX-License-Identifier: MIT */
/*
 * WRMSR of a legal value reads back; WRMSR of a value with a reserved bit, a bad memory type or an address that is not
 * canonical makes #GP(0) and the MSR keeps its value. So does an access of an MSR that does not exist.
 *
 * Can break: a check that is dropped, made after the write, or made with the wrong width.
 * Source: APM vol. 2, 3.1.7 (EFER), 7.7 (MTRRs), 7.8 (PAT), 16.3 (APIC base), 15.30 (VM_CR, VM_HSAVE_PA), vol. 3,
 * WRMSR; SDM vol. 4, chapter 2.
 */
#include "cases/mmu/forced.h"

struct row {
	ROW_FIELDS;
	uint32_t msr;
	uint64_t clear, set;	/* the value to write: (old & ~clear) | set */
	uint64_t reads_ignored;	/* bits of the value that need not read back */
	bool refused;
	bool at_maxphyaddr;
	bool forced;		/* by KVM's emulator */
};

#define LONG (LONG64 | LA57)
#define TAKE(label_, msr_, value_, ...) \
	{ .label = label_, .msr = msr_, .clear = ~0ull, .set = value_, ##__VA_ARGS__ }
#define REFUSE(label_, msr_, value_, ...) TAKE(label_, msr_, value_, .refused = true, ##__VA_ARGS__)
#define REFUSE_SET(label_, msr_, bits_, ...) \
	{ .label = label_, .msr = msr_, .set = bits_, .refused = true, ##__VA_ARGS__ }
/* KVM leaves these MSRs to the CPU, and QEMU 7.2 takes any value. */
#define REFUSE_FORCED(label_, msr_, value_) \
	TAKE(label_, msr_, value_, .refused = true, .forced = true, .needs = FORCED_NEEDS, .modes = LONG)
#define TAKE_FORCED(label_, msr_, value_) \
	TAKE(label_, msr_, value_, .forced = true, .needs = FORCED_NEEDS, .modes = LONG)
#define AT_MAXPHYADDR .at_maxphyaddr = true

static const struct row rows[] = {
	{ .label = "efer_sce", .msr = MSR_EFER, .set = EFER_SCE },
	{ .label = "efer_sce_forced", .msr = MSR_EFER, .set = EFER_SCE, .forced = true, .needs = FORCED_NEEDS },
	{ .label = "efer_nxe_off", .msr = MSR_EFER, .clear = EFER_NX },
	{ .label = "efer_ffxsr", .needs = "cpuid:fxsr_opt", .msr = MSR_EFER, .set = EFER_FFXSR },
	{ .label = "efer_svme", .needs = "nested vendor:amd", .msr = MSR_EFER, .set = EFER_SVME },
	{ .label = "efer_lme_off", .modes = LONG, .msr = MSR_EFER, .clear = EFER_LME, .refused = true },
	{ .label = "efer_lme_paging", .modes = PAE32, .msr = MSR_EFER, .set = EFER_LME, .refused = true },
	/* Note, LME without paging is legal too, but QEMU 7.2 hangs on the next VMRUN. */
	REFUSE_SET("efer_bit9", MSR_EFER, 1ull << 9), REFUSE_SET("efer_bit16", MSR_EFER, 1ull << 16),
	REFUSE_SET("efer_bit31", MSR_EFER, 1ull << 31), REFUSE_SET("efer_bit32", MSR_EFER, 1ull << 32),
	REFUSE_SET("efer_bit63", MSR_EFER, 1ull << 63),
	REFUSE_SET("efer_bit9_forced", MSR_EFER, 1ull << 9, .forced = true, .needs = FORCED_NEEDS),
	TAKE("star", MSR_STAR, 0x0023001087654321ull),
	TAKE("lstar_low", MSR_LSTAR, 0x00007fffffffffffull, .modes = LONG),
	TAKE("lstar_high", MSR_LSTAR, 0xffff800000000000ull, .modes = LONG),
	TAKE("cstar", MSR_CSTAR, 0xffffffff81234567ull, .modes = LONG),
	TAKE("syscall_mask", MSR_SYSCALL_MASK, 0x47700),
	TAKE("fs_base", MSR_FS_BASE, 0xffff800012345678ull, .modes = LONG),
	TAKE("kernel_gs_base", MSR_KERNEL_GS_BASE, 0x00007ffffffffff0ull, .modes = LONG),
	TAKE_FORCED("star_forced", MSR_STAR, 0x0123456789abcdefull),
	TAKE_FORCED("lstar_forced", MSR_LSTAR, 0xffff800000000000ull),
	TAKE_FORCED("fs_base_forced", MSR_FS_BASE, 0x00007fffffffffffull),
	TAKE_FORCED("kernel_gs_base_forced", MSR_KERNEL_GS_BASE, 0xffff800000000000ull),
	REFUSE_FORCED("lstar_not_canonical", MSR_LSTAR, 0x0100000000000000ull),
	REFUSE_FORCED("cstar_not_canonical", MSR_CSTAR, 0xfeff000000000000ull),
	REFUSE_FORCED("fs_base_not_canonical", MSR_FS_BASE, 0x0100000000000000ull),
	REFUSE_FORCED("kernel_gs_base_not_canonical", MSR_KERNEL_GS_BASE, 0x8000000000000000ull),
	TAKE("sysenter_cs", MSR_IA32_SYSENTER_CS, 0x5678),
	TAKE("sysenter_esp", MSR_IA32_SYSENTER_ESP, 0x12345678),
	TAKE("sysenter_eip", MSR_IA32_SYSENTER_EIP, 0x7fffffff),
	TAKE("tsc_aux", MSR_TSC_AUX, 0x87654321, .needs = "cpuid:rdtscp"),
	TAKE("pat_all_types", MSR_IA32_PAT, 0x0007060504010006ull),
	TAKE("mtrr_def_on", MSR_MTRRdefType, 0xc06), TAKE("mtrr_def_off", MSR_MTRRdefType, 0),
	REFUSE("mtrr_def_type2", MSR_MTRRdefType, 0xc02), REFUSE("mtrr_def_type7", MSR_MTRRdefType, 0xc07),
	REFUSE("mtrr_def_bit8", MSR_MTRRdefType, 0x106), REFUSE("mtrr_def_bit12", MSR_MTRRdefType, 0x1006),
	REFUSE("mtrr_def_bit32", MSR_MTRRdefType, 0x100000006ull),
	TAKE("mtrr_fix64k", MSR_MTRRfix64K_00000, 0x0605040100060504ull),
	REFUSE("mtrr_fix64k_type2", MSR_MTRRfix64K_00000, 0x0606060606060602ull),
	REFUSE("mtrr_fix64k_type7", MSR_MTRRfix64K_00000, 0x0706060606060606ull),
	TAKE("mtrr_fix16k", 0x259, 0x0606060606060606ull), REFUSE("mtrr_fix16k_type3", 0x258, 0x06060306ull),
	TAKE("mtrr_fix4k_last", 0x26f, 0x0101010101010101ull),
	REFUSE("mtrr_fix4k_type8", 0x268, 0x0008000000000000ull),
	TAKE("mtrr_base", 0x200, 0x12345006), REFUSE("mtrr_base_type2", 0x200, 0x12345002),
	REFUSE("mtrr_base_bit8", 0x200, 0x12345106), REFUSE("mtrr_base_bit11", 0x200, 0x12345806),
	REFUSE("mtrr_base_maxphyaddr", 0x200, 6, AT_MAXPHYADDR), REFUSE("mtrr_base_bit63", 0x200, 6 | 1ull << 63),
	TAKE("mtrr_mask", 0x201, 0xfffff800), REFUSE("mtrr_mask_bit10", 0x201, 0xfffffc00),
	REFUSE("mtrr_mask_bit0", 0x201, 0xfffff801), REFUSE("mtrr_mask_maxphyaddr", 0x201, 0xfffff800, AT_MAXPHYADDR),
	TAKE("mtrr_base7", 0x20e, 0xfffff005), TAKE("mtrr_mask7", 0x20f, 0xfffff800),
	REFUSE("mtrr_base7_type3", 0x20e, 3),
	/* KVM knows no write of it, and ignores that with ignore_msrs=1. */
	REFUSE_SET("mtrrcap", MSR_MTRRcap, 0, .needs = "param:kvm.ignore_msrs=0"),
	REFUSE_SET("apic_base_bit0", MSR_IA32_APICBASE, 1), REFUSE_SET("apic_base_bit7", MSR_IA32_APICBASE, 0x80),
	REFUSE_SET("apic_base_bit9", MSR_IA32_APICBASE, 0x200),
	REFUSE_SET("apic_base_maxphyaddr", MSR_IA32_APICBASE, 0, AT_MAXPHYADDR),
	REFUSE("apic_base_x2apic_off", MSR_IA32_APICBASE, 0xfee00400ull),
	{ .label = "apic_base_off", .msr = MSR_IA32_APICBASE, .clear = 0x800 },
	REFUSE("vm_cr_bit5", MSR_VM_CR, 0x20, .needs = "nested vendor:amd"),
	TAKE("vm_hsave_pa", MSR_VM_HSAVE_PA, 0x12345000, .needs = "nested vendor:amd"),
	REFUSE("vm_hsave_pa_bit0", MSR_VM_HSAVE_PA, 0x12345001, .needs = "nested vendor:amd"),
	REFUSE("vm_hsave_pa_bit11", MSR_VM_HSAVE_PA, 0x12345800, .needs = "nested vendor:amd"),
	REFUSE("vm_hsave_pa_maxphyaddr", MSR_VM_HSAVE_PA, 0x12345000, .needs = "nested vendor:amd", AT_MAXPHYADDR),
};

CASE(msr_rules, .says = "an MSR takes its legal values and refuses the others with #GP(0)",
     .modes = PROT32 | PAE32 | LONG64, .irqchip = true, .rows = ROWS(rows))

static struct fault msr_write(const struct row *row, uint64_t value)
{
	uint32_t low = value, high = value >> 32;

	if (!row->forced)
		return wrmsr_safe(row->msr, value);
	return TRY_FORCED("wrmsr", : : "c"(row->msr), "a"(low), "d"(high) : "memory");
}

static uint64_t msr_read(const struct row *row)
{
	uint32_t low = 0, high = 0;
	struct fault f;

	if (!row->forced)
		return rdmsr(row->msr);
	f = TRY_FORCED("rdmsr", : "+a"(low), "+d"(high) : "c"(row->msr));
	CHECK_NO_FAULT(f);
	return (uint64_t)high << 32 | low;
}

GUEST(msr_rules)
{
	const struct row *row = GUEST_ROW(rows);
	uint64_t old = msr_read(row), value = (old & ~row->clear) | row->set;
	struct fault f;

	if (row->at_maxphyaddr)
		value |= 1ull << (cpuid(0x80000008, 0).eax & 0xff);
	f = msr_write(row, value);
	if (row->refused)
		CHECK_FAULT(GP_VECTOR, 0, f);
	else
		CHECK_NO_FAULT(f);
	CHECK_EQ(row->refused ? old : value, msr_read(row));
	f = msr_write(row, old);
	if (row->msr != MSR_MTRRcap)
		CHECK_NO_FAULT(f);
	CHECK_EQ(old, msr_read(row));
}

HOST(msr_rules)
{
	expect_done(t);
}
