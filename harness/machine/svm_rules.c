/* SPDX-License-Identifier: MIT */
#include "machine/svm_rules.h"

#include <string.h>

#include "vm/x86/bits.h"

#define CODE_INTR	0x60u
#define CODE_VMRUN	0x80u
#define VMRUN_WORD	(CODE_VMRUN / 32)
#define VMRUN_BIT	(1u << CODE_VMRUN % 32)
#define HIGH_HALF	0xffffffff00000000ull
#define PAGE_BITS	0xfffull
#define CR4_ALWAYS	0x7ffull	/* VME to OSXMMEXCPT: every CPU that has SVM has them */
#define EVENT_TYPE_BITS	EVENT_TYPE(7)
#define CR4_CET		(1ull << 23)
#define EFER_TCE	(1ull << 15)
#define EFER_MCOMMIT	(1ull << 17)
#define EFER_INTWB	(1ull << 18)
#define EFER_UAIE	(1ull << 20)
#define EFER_AIBRSE	(1ull << 21)

/* --- the CPU --- */

enum { EAX, EBX, ECX, EDX };

struct bit_of {
	uint64_t value;
	uint32_t leaf, reg, bit;
};

static const struct bit_of cr4_bits[] = {
	{ X86_CR4_UMIP, 7, ECX, 2 }, { X86_CR4_LA57, 7, ECX, 16 }, { X86_CR4_FSGSBASE, 7, EBX, 0 },
	{ X86_CR4_PCIDE, 1, ECX, 17 }, { X86_CR4_OSXSAVE, 1, ECX, 26 }, { X86_CR4_SMEP, 7, EBX, 7 },
	{ X86_CR4_SMAP, 7, EBX, 20 }, { X86_CR4_PKE, 7, ECX, 3 }, { CR4_CET, 7, ECX, 7 },
};

static const struct bit_of efer_bits[] = {
	{ EFER_NX, 0x80000001, EDX, 20 }, { EFER_SVME, 0x80000001, ECX, 2 }, { EFER_FFXSR, 0x80000001, EDX, 25 },
	{ EFER_TCE, 0x80000001, ECX, 17 }, { EFER_MCOMMIT, 0x80000008, EBX, 8 }, { EFER_INTWB, 0x80000008, EBX, 13 },
	{ EFER_UAIE, 0x80000021, EAX, 7 }, { EFER_AIBRSE, 0x80000021, EAX, 8 },
};

static uint64_t bits_of(const struct bit_of *bits, unsigned int nr, svm_cpuid_fn *read, const void *context)
{
	uint64_t value = 0;
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (read(context, bits[i].leaf, 0, bits[i].reg) >> bits[i].bit & 1)
			value |= bits[i].value;
	return value;
}

#define NR(array_) (sizeof(array_) / sizeof((array_)[0]))

void svm_rule_cpu_init(struct svm_rule_cpu *cpu, svm_cpuid_fn *read, const void *context)
{
	/* Note, LMSLE has a CPUID bit that takes it away, and none that gives it: it is neither reserved nor legal here. */
	uint64_t efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_LMSLE;

	*cpu = (struct svm_rule_cpu){
		.phys_bits = read(context, 0x80000008, 0, EAX) & 0xff,
		.cr4_reserved = ~(CR4_ALWAYS | bits_of(cr4_bits, NR(cr4_bits), read, context)),
		.efer_reserved = ~(efer | bits_of(efer_bits, NR(efer_bits), read, context)),
		.has_npt = read(context, 0x8000000a, 0, EDX) & 1,
	};
}

/* --- predicates --- */

static uint64_t beyond(const struct svm_rule_cpu *cpu)
{
	return ~0ull << cpu->phys_bits;
}

static bool is_long(const struct vmcb_save *save)
{
	return (save->efer & EFER_LME) && (save->cr0 & X86_CR0_PG);
}

static bool is_pae(const struct vmcb_save *save)
{
	return !is_long(save) && (save->cr0 & X86_CR0_PG) && (save->cr4 & X86_CR4_PAE);
}

static bool has_np(const struct vmcb *vmcb)
{
	return vmcb->control.nested_ctl & NP_ENABLE;
}

#define RULE(id_) static bool broken_##id_(const struct vmcb *vmcb, const struct svm_rule_cpu *cpu)
#define UNUSED(x_) ((void)(x_))

RULE(efer_svme)
{
	UNUSED(cpu);
	return !(vmcb->save.efer & EFER_SVME);
}

RULE(cr0_nw_without_cd)
{
	UNUSED(cpu);
	return (vmcb->save.cr0 & (X86_CR0_CD | X86_CR0_NW)) == X86_CR0_NW;
}

RULE(cr0_high)
{
	UNUSED(cpu);
	return vmcb->save.cr0 & HIGH_HALF;
}

RULE(dr6_high)
{
	UNUSED(cpu);
	return vmcb->save.dr6 & HIGH_HALF;
}

RULE(dr7_high)
{
	UNUSED(cpu);
	return vmcb->save.dr7 & HIGH_HALF;
}

RULE(long_without_pae)
{
	UNUSED(cpu);
	return is_long(&vmcb->save) && !(vmcb->save.cr4 & X86_CR4_PAE);
}

RULE(long_without_pe)
{
	UNUSED(cpu);
	return is_long(&vmcb->save) && !(vmcb->save.cr0 & X86_CR0_PE);
}

RULE(cr3_long)
{
	return is_long(&vmcb->save) && (vmcb->save.cr3 & beyond(cpu));
}

RULE(cs_l_and_d)
{
	uint16_t both = SEG_ATTRIB_L | SEG_ATTRIB_DB;

	UNUSED(cpu);
	return is_long(&vmcb->save) && (vmcb->save.cs.attrib & both) == both;
}

RULE(cr4_reserved)
{
	return vmcb->save.cr4 & cpu->cr4_reserved;
}

RULE(efer_reserved)
{
	return vmcb->save.efer & cpu->efer_reserved;
}

RULE(vmrun_intercept)
{
	UNUSED(cpu);
	return !(vmcb->control.intercept[VMRUN_WORD] & VMRUN_BIT);
}

RULE(asid_zero)
{
	UNUSED(cpu);
	return !vmcb->control.asid;
}

RULE(np_unsupported)
{
	return has_np(vmcb) && !cpu->has_npt;
}

RULE(ncr3_beyond)
{
	return has_np(vmcb) && (vmcb->control.nested_cr3 & beyond(cpu));
}

/* Bits 11:0 of the address are ignored. */
static bool is_map_beyond(uint64_t pa, uint64_t len_bytes, const struct svm_rule_cpu *cpu)
{
	pa &= ~PAGE_BITS;
	return (pa & beyond(cpu)) || ((pa + len_bytes - 1) & beyond(cpu));
}

RULE(msrpm_beyond)
{
	return is_map_beyond(vmcb->control.msrpm_base_pa, MSRPM_BYTES, cpu);
}

RULE(iopm_beyond)
{
	return is_map_beyond(vmcb->control.iopm_base_pa, IOPM_BYTES, cpu);
}

RULE(cr3_legacy)
{
	return !is_long(&vmcb->save) && (vmcb->save.cr3 & beyond(cpu));
}

/* APM vol. 2, 5.2.3: bits 2:1, 8:5 and those above the physical address. */
static uint64_t pdpte_reserved(const struct svm_rule_cpu *cpu)
{
	return beyond(cpu) | 0x1e6;
}

RULE(pdpte_reserved)
{
	unsigned int i;

	if (!is_pae(&vmcb->save) || has_np(vmcb))
		return false;
	for (i = 0; i < 4; i++)
		if ((cpu->pdpte[i] & PTE_P) && (cpu->pdpte[i] & pdpte_reserved(cpu)))
			return true;
	return false;
}

static bool has_event(const struct vmcb *vmcb, uint32_t type)
{
	return (vmcb->control.event_inj & (EVENT_VALID | EVENT_TYPE_BITS)) == (EVENT_VALID | type);
}

RULE(event_type)
{
	UNUSED(cpu);
	return has_event(vmcb, EVENT_TYPE(1)) || has_event(vmcb, EVENT_TYPE(5)) ||
	       has_event(vmcb, EVENT_TYPE(6)) || has_event(vmcb, EVENT_TYPE(7));
}

RULE(event_vector)
{
	uint32_t vector = vmcb->control.event_inj & EVENT_VECTOR;

	UNUSED(cpu);
	return has_event(vmcb, EVENT_EXCEPTION) && (vector == 2 || vector > 31);
}

/* Each byte is a memory type: 0 UC, 1 WC, 4 WT, 5 WP, 6 WB, 7 UC-. */
RULE(g_pat)
{
	const uint32_t types = 1u << 0 | 1u << 1 | 1u << 4 | 1u << 5 | 1u << 6 | 1u << 7;
	unsigned int i;

	UNUSED(cpu);
	for (i = 0; i < 64 && has_np(vmcb); i += 8) {
		uint8_t type = vmcb->save.g_pat >> i;

		if (type > 7 || !(types >> type & 1))
			return true;
	}
	return false;
}

/* --- values --- */

static uint64_t high_half(const struct svm_rule_cpu *cpu)
{
	UNUSED(cpu);
	return HIGH_HALF;
}

static uint64_t low_half(const struct svm_rule_cpu *cpu)
{
	UNUSED(cpu);
	return ~HIGH_HALF;
}

/* MP, EM, TS, NE, WP and AM, and those reserved ones of the lower half that are read as zero whatever is written. */
static uint64_t cr0_harmless(const struct svm_rule_cpu *cpu)
{
	UNUSED(cpu);
	return X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | X86_CR0_NE | X86_CR0_WP | X86_CR0_AM;
}

/* Local and global enables, LE, GE, and the conditions of breakpoints that are off. */
static uint64_t dr7_harmless(const struct svm_rule_cpu *cpu)
{
	UNUSED(cpu);
	return 0xffff03ff;
}

static uint64_t cr4_reserved(const struct svm_rule_cpu *cpu)
{
	return cpu->cr4_reserved;
}

/* PAE, PSE and LA57 are what L2's paging is; the guest's pages are user pages to SMEP, SMAP and PKE. */
static uint64_t cr4_harmless(const struct svm_rule_cpu *cpu)
{
	return (X86_CR4_VME | X86_CR4_PVI | X86_CR4_TSD | X86_CR4_DE | X86_CR4_MCE | X86_CR4_PGE | X86_CR4_PCE |
		X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT | X86_CR4_UMIP | X86_CR4_FSGSBASE | X86_CR4_PCIDE |
		X86_CR4_OSXSAVE) & ~cpu->cr4_reserved;
}

static uint64_t efer_reserved(const struct svm_rule_cpu *cpu)
{
	return cpu->efer_reserved;
}

static uint64_t efer_harmless(const struct svm_rule_cpu *cpu)
{
	return (EFER_SCE | EFER_NX | EFER_FFXSR) & ~cpu->efer_reserved;
}

static uint64_t cr3_harmless(const struct svm_rule_cpu *cpu)
{
	UNUSED(cpu);
	return PTE_PWT | PTE_PCD;
}

static uint64_t np_where_not(const struct svm_rule_cpu *cpu)
{
	return cpu->has_npt ? 0 : NP_ENABLE;
}

/* The last page of the physical address space, and where a map would end there. */
static uint64_t last_page(const struct svm_rule_cpu *cpu)
{
	return (1ull << cpu->phys_bits) - 0x1000;
}

static uint64_t last_but_one(const struct svm_rule_cpu *cpu)
{
	return last_page(cpu) - 0x1000;
}

static uint64_t last_but_two(const struct svm_rule_cpu *cpu)
{
	return last_page(cpu) - 0x2000;
}

#define PART(part_, field_)								\
	.offset = offsetof(struct vmcb, part_.field_), .len_bytes = sizeof(((struct vmcb *)0)->part_.field_)
#define SAVE(field_) PART(save, field_)
#define CONTROL(field_) PART(control, field_)
#define PDPTE(n_) .base = SVM_BASE_PAE, .is_pdpte = true, .offset = 8 * (n_), .len_bytes = 8
#define ALL_BITS .clear = ~0ull
#define EDITS(id_, ...) static const struct svm_edit id_[] = { __VA_ARGS__ };

EDITS(illegal_efer_svme, { "SVME clear", SAVE(efer), .clear = EFER_SVME })
EDITS(legal_efer_svme, { "SVME set", SAVE(efer), .set = EFER_SVME })

EDITS(illegal_cr0_nw_without_cd, { "NW alone", SAVE(cr0), .clear = X86_CR0_CD, .set = X86_CR0_NW })
EDITS(legal_cr0_nw_without_cd, { "CD and NW", SAVE(cr0), .set = X86_CR0_CD | X86_CR0_NW },
      { "CD alone", SAVE(cr0), .set = X86_CR0_CD }, { "neither", SAVE(cr0), .clear = X86_CR0_CD | X86_CR0_NW })

EDITS(illegal_cr0_high, { "each of bits 63:32", SAVE(cr0), .each = high_half })
EDITS(legal_cr0_high, { "each of MP, EM, TS, NE, WP, AM", SAVE(cr0), .each = cr0_harmless })

EDITS(illegal_dr6_high, { "each of bits 63:32", SAVE(dr6), .each = high_half })
EDITS(legal_dr6_high, { "each of bits 31:0", SAVE(dr6), .clear = ~0xffff0ff0ull, .each = low_half },
      { "zero", SAVE(dr6), ALL_BITS })

EDITS(illegal_dr7_high, { "each of bits 63:32", SAVE(dr7), .each = high_half })
EDITS(legal_dr7_high, { "each of bits 31:16 and 9:0", SAVE(dr7), .each = dr7_harmless }, { "zero", SAVE(dr7), ALL_BITS })

EDITS(illegal_long_without_pae, { "PAE clear", SAVE(cr4), .clear = X86_CR4_PAE })
EDITS(legal_long_without_pae,
      { "PAE and PG clear, LME set", SAVE(efer), .base = SVM_BASE_UNPAGED, .set = EFER_LME },
      { "PAE and LME clear", SAVE(cr4), .base = SVM_BASE_UNPAGED, .clear = X86_CR4_PAE })

EDITS(illegal_long_without_pe, { "PE clear", SAVE(cr0), .clear = X86_CR0_PE })
EDITS(legal_long_without_pe,
      { "PE clear, PAE paging, LME clear", SAVE(cr0), .base = SVM_BASE_PAE, .clear = X86_CR0_PE },
      { "PE and PG clear", SAVE(cr0), .base = SVM_BASE_UNPAGED, .clear = X86_CR0_PE })

EDITS(illegal_cr3_long, { "each bit from MAXPHYADDR to 63", SAVE(cr3), .each = beyond })
EDITS(legal_cr3_long, { "PWT, PCD", SAVE(cr3), .each = cr3_harmless })

EDITS(illegal_cs_l_and_d, { "D set in 64-bit mode", SAVE(cs.attrib), .set = SEG_ATTRIB_DB | SEG_ATTRIB_L })
EDITS(legal_cs_l_and_d, { "D alone: compatibility", SAVE(cs.attrib), .clear = SEG_ATTRIB_L, .set = SEG_ATTRIB_DB },
      { "neither", SAVE(cs.attrib), .clear = SEG_ATTRIB_L | SEG_ATTRIB_DB },
      { "both outside of long mode", SAVE(cs.attrib), .base = SVM_BASE_UNPAGED, .set = SEG_ATTRIB_DB | SEG_ATTRIB_L })

EDITS(illegal_cr4_reserved, { "each bit that the CPU does not have", SAVE(cr4), .each = cr4_reserved })
EDITS(legal_cr4_reserved, { "each bit that it has", SAVE(cr4), .each = cr4_harmless })

EDITS(illegal_efer_reserved, { "each bit that the CPU does not have", SAVE(efer), .each = efer_reserved })
EDITS(legal_efer_reserved, { "each bit that it has", SAVE(efer), .each = efer_harmless },
      { "NX clear", SAVE(efer), .clear = EFER_NX })

EDITS(illegal_vmrun_intercept, { "clear", CONTROL(intercept[VMRUN_WORD]), .clear = VMRUN_BIT })
EDITS(legal_vmrun_intercept, { "set", CONTROL(intercept[VMRUN_WORD]), .set = VMRUN_BIT })

EDITS(illegal_asid_zero, { "0", CONTROL(asid), ALL_BITS })
EDITS(legal_asid_zero, { "1, 2, 3", CONTROL(asid), ALL_BITS, .set = 1, .step = 1, .count = 3 })

EDITS(illegal_np_unsupported, { "NP_ENABLE where the CPU has none", CONTROL(nested_ctl), .each = np_where_not })
EDITS(legal_np_unsupported, { "NP_ENABLE clear", CONTROL(nested_ctl), .clear = NP_ENABLE })

EDITS(illegal_ncr3_beyond,
      { "each bit from MAXPHYADDR to 63", CONTROL(nested_cr3), .base = SVM_BASE_NPT, .each = beyond })
EDITS(legal_ncr3_beyond, { "PWT, PCD", CONTROL(nested_cr3), .base = SVM_BASE_NPT, .each = cr3_harmless },
      { "any bit without NP_ENABLE", CONTROL(nested_cr3), .each = beyond })

EDITS(illegal_msrpm_beyond, { "each bit from MAXPHYADDR to 63", CONTROL(msrpm_base_pa), .each = beyond },
      { "its second page is beyond", CONTROL(msrpm_base_pa), ALL_BITS, .set_by = last_page })
EDITS(legal_msrpm_beyond, { "the last two pages", CONTROL(msrpm_base_pa), ALL_BITS, .set_by = last_but_one },
      { "the last two pages, bits 11:0 set", CONTROL(msrpm_base_pa), ALL_BITS, .set = PAGE_BITS,
	.set_by = last_but_one })

EDITS(illegal_iopm_beyond, { "each bit from MAXPHYADDR to 63", CONTROL(iopm_base_pa), .each = beyond },
      { "its third page is beyond", CONTROL(iopm_base_pa), ALL_BITS, .set_by = last_but_one },
      { "two of its pages are beyond", CONTROL(iopm_base_pa), ALL_BITS, .set_by = last_page })
EDITS(legal_iopm_beyond, { "the last three pages", CONTROL(iopm_base_pa), ALL_BITS, .set_by = last_but_two },
      { "the last three pages, bits 11:0 set", CONTROL(iopm_base_pa), ALL_BITS, .set = PAGE_BITS,
	.set_by = last_but_two })

EDITS(illegal_cr3_legacy,
      { "each bit from MAXPHYADDR to 63, unpaged", SAVE(cr3), .base = SVM_BASE_UNPAGED, .each = beyond },
      { "each bit from MAXPHYADDR to 63, PAE", SAVE(cr3), .base = SVM_BASE_PAE, .each = beyond })
EDITS(legal_cr3_legacy, { "PWT, PCD, unpaged", SAVE(cr3), .base = SVM_BASE_UNPAGED, .each = cr3_harmless },
      { "PWT, PCD, PAE", SAVE(cr3), .base = SVM_BASE_PAE, .each = cr3_harmless })

EDITS(illegal_pdpte_reserved, { "entry 0, each reserved bit", PDPTE(0), .each = pdpte_reserved },
      { "entry 1, present, each", PDPTE(1), .set = PTE_P, .each = pdpte_reserved },
      { "entry 2, present, each", PDPTE(2), .set = PTE_P, .each = pdpte_reserved },
      { "entry 3, present, each", PDPTE(3), .set = PTE_P, .each = pdpte_reserved })
EDITS(legal_pdpte_reserved, { "entry 3, not present, each", PDPTE(3), .clear = PTE_P, .each = pdpte_reserved },
      { "entry 3, present, PWT, PCD", PDPTE(3), .set = PTE_P, .each = cr3_harmless })

#define EVENT(event_) CONTROL(event_inj), ALL_BITS, .set = EVENT_VALID | (event_)
#define WITH_ERROR (EVENT_EXCEPTION | EVENT_HAS_ERROR)

EDITS(illegal_event_type, { "type 1", EVENT(EVENT_TYPE(1) | 0x20) },
      { "types 5, 6, 7", EVENT(EVENT_TYPE(5) | 0x20), .step = EVENT_TYPE(1), .count = 3 })
EDITS(legal_event_type, { "INTR, vectors 32 to 39", EVENT(EVENT_INTR | 32), .step = 1, .count = 8 },
      { "NMI", EVENT(EVENT_NMI | 2) }, { "not valid, every type", CONTROL(event_inj), ALL_BITS, .step = EVENT_TYPE(1),
	.count = 8 })

EDITS(illegal_event_vector, { "exception 2", EVENT(EVENT_EXCEPTION | 2) },
      { "exceptions 32 to 255", EVENT(EVENT_EXCEPTION | 32), .step = 1, .count = 224 })
EDITS(legal_event_vector, { "exceptions 0, 1", EVENT(EVENT_EXCEPTION), .step = 1, .count = 2 },
      { "exceptions 5, 6, 7", EVENT(EVENT_EXCEPTION | 5), .step = 1, .count = 3 },
      { "exceptions 10 to 14, error code", EVENT(WITH_ERROR | 10), .step = 1, .count = 5 },
      { "exception 16", EVENT(EVENT_EXCEPTION | 16) }, { "exception 17, error code", EVENT(WITH_ERROR | 17) },
      { "exceptions 18, 19", EVENT(EVENT_EXCEPTION | 18), .step = 1, .count = 2 },
      { "not valid, vector 2", CONTROL(event_inj), ALL_BITS, .set = EVENT_EXCEPTION | 2 })

#define PAT(byte_) SAVE(g_pat), .base = SVM_BASE_NPT, .clear = 0xffull << 8 * (byte_)
#define PAT_TYPES(byte_, first_) PAT(byte_), .set = (uint64_t)(first_) << 8 * (byte_), .step = 1ull << 8 * (byte_)

EDITS(illegal_g_pat, { "PA0, types 2, 3", PAT_TYPES(0, 2), .count = 2 },
      { "PA0, types 8 to 255", PAT_TYPES(0, 8), .count = 248 }, { "PA7, types 2, 3", PAT_TYPES(7, 2), .count = 2 },
      { "PA7, types 8 to 255", PAT_TYPES(7, 8), .count = 248 })
EDITS(legal_g_pat, { "PA0, types 0, 1", PAT_TYPES(0, 0), .count = 2 }, { "PA0, types 4 to 7", PAT_TYPES(0, 4), .count = 4 },
      { "PA7, types 4 to 7", PAT_TYPES(7, 4), .count = 4 },
      { "any type without NP_ENABLE", SAVE(g_pat), .set = ~0ull })

EDITS(legal_not_checked, { "maps, bits 11:0 set: IOPM", CONTROL(iopm_base_pa), .set = PAGE_BITS },
      { "maps, bits 11:0 set: MSRPM", CONTROL(msrpm_base_pa), .set = PAGE_BITS },
      { "RFLAGS bit 1 clear", SAVE(rflags), .clear = X86_EFLAGS_FIXED },
      { "TLB_CONTROL 0, 1", CONTROL(tlb_control), .step = 1, .count = 2 },
      { "V_INTR_VECTOR without V_IRQ", CONTROL(int_vector), .set = 0xff },
      { "EXITCODE of another exit", CONTROL(exit_code), .set = CODE_INTR },
      { "EXITINFO1", CONTROL(exit_info_1), .set = ~0ull }, { "EXITINFO2", CONTROL(exit_info_2), .set = ~0ull },
      { "what was reserved at 0x3e0", CONTROL(software_3e0[0]), .set = 0xff },
      { "DS with the attributes of a null selector", SAVE(ds.attrib), ALL_BITS },
      { "LDTR with any attributes", SAVE(ldtr.attrib), ALL_BITS }, { "EFER.LME without PG", SAVE(efer),
	.base = SVM_BASE_UNPAGED, .set = EFER_LME })

/* --- the table --- */

#define LISTS(id_)									\
	.illegal = illegal_##id_, .nr_illegal = NR(illegal_##id_), .legal = legal_##id_, .nr_legal = NR(legal_##id_)
#define ROW(id_, says_, manual_, check_)						\
	[SVM_RULE_##id_] = { #id_, says_, manual_, broken_##id_, check_, LISTS(id_) }
#define CHECKS "APM vol. 2, 15.5.1"

const struct svm_rule svm_rules[NR_SVM_RULES] = {
	ROW(efer_svme, "EFER.SVME is zero", CHECKS, "!(save->efer & EFER_SVME)"),
	ROW(cr0_nw_without_cd, "CR0.CD is zero and CR0.NW is set", CHECKS,
	    "(save->cr0 & X86_CR0_CD) == 0 && (save->cr0 & X86_CR0_NW)"),
	ROW(cr0_high, "CR0[63:32] are not zero", CHECKS, "save->cr0 & ~0xffffffffULL"),
	ROW(dr6_high, "DR6[63:32] are not zero", CHECKS, "!kvm_dr6_valid(save->dr6)"),
	ROW(dr7_high, "DR7[63:32] are not zero", CHECKS, "!kvm_dr7_valid(save->dr7)"),
	ROW(long_without_pae, "EFER.LME and CR0.PG are set and CR4.PAE is zero", CHECKS, "!(save->cr4 & X86_CR4_PAE)"),
	ROW(long_without_pe, "EFER.LME and CR0.PG are set and CR0.PE is zero", CHECKS, "!(save->cr0 & X86_CR0_PE)"),
	ROW(cr3_long, "an MBZ bit of CR3 is set, long mode", CHECKS, "kvm_vcpu_is_illegal_gpa(vcpu, save->cr3)"),
	ROW(cs_l_and_d, "EFER.LME, CR0.PG, CR4.PAE, CS.L and CS.D are all set", CHECKS,
	    "(save->cs.attrib & SVM_SELECTOR_L_MASK) && (save->cs.attrib & SVM_SELECTOR_DB_MASK)"),
	ROW(cr4_reserved, "an MBZ bit of CR4 is set", CHECKS, "!__kvm_is_valid_cr4(vcpu, save->cr4)"),
	ROW(efer_reserved, "an MBZ bit of EFER is set", CHECKS, "!kvm_valid_efer(vcpu, save->efer)"),
	ROW(vmrun_intercept, "the VMRUN intercept is clear", CHECKS, "!vmcb12_is_intercept(control, INTERCEPT_VMRUN)"),
	ROW(asid_zero, "ASID is zero", CHECKS, "control->asid == 0"),
	ROW(np_unsupported, "NP_ENABLE is set and the CPU has no nested paging", "APM vol. 2, 15.25.3",
	    "(control->nested_ctl & SVM_NESTED_CTL_NP_ENABLE) && !npt_enabled"),
	ROW(ncr3_beyond, "an MBZ bit of nCR3 is set, nested paging", "APM vol. 2, 15.25.4",
	    "(control->nested_ctl & SVM_NESTED_CTL_NP_ENABLE) && !kvm_vcpu_is_legal_gpa(vcpu, control->nested_cr3)"),
	ROW(msrpm_beyond, "the MSR permission map reaches beyond the physical addresses", CHECKS,
	    "!nested_svm_check_bitmap_pa(vcpu, control->msrpm_base_pa, MSRPM_SIZE)"),
	ROW(iopm_beyond, "the I/O permission map reaches beyond the physical addresses", CHECKS,
	    "!nested_svm_check_bitmap_pa(vcpu, control->iopm_base_pa, IOPM_SIZE)"),
	ROW(cr3_legacy, "an MBZ bit of CR3 is set, not long mode", CHECKS, "kvm_vcpu_is_illegal_gpa(vcpu, cr3)"),
	ROW(pdpte_reserved, "a reserved bit of a present PDPTE is set, PAE without nested paging",
	    "APM vol. 2, 5.2.3, 15.25.10", "!load_pdptrs(vcpu, cr3)"),
	ROW(event_type, "EVENTINJ has a reserved type", "APM vol. 2, 15.20", NULL),
	ROW(event_vector, "EVENTINJ has an exception whose vector is none", "APM vol. 2, 15.20", NULL),
	ROW(g_pat, "G_PAT has a reserved type or bit, nested paging", "APM vol. 2, 15.25.4", NULL),
	[SVM_RULE_not_checked] = { "not_checked", "nothing: what VMRUN does not look at", CHECKS, .legal = legal_not_checked,
				   .nr_legal = NR(legal_not_checked) },
};

const struct svm_rule *svm_rule_broken(const struct vmcb *vmcb, const struct svm_rule_cpu *cpu, enum svm_rule_id from)
{
	unsigned int i;

	for (i = from; i < NR_SVM_RULES; i++)
		if (svm_rules[i].is_broken && svm_rules[i].is_broken(vmcb, cpu))
			return &svm_rules[i];
	return NULL;
}

unsigned int svm_edit_count(const struct svm_edit *edit, const struct svm_rule_cpu *cpu)
{
	if (edit->each)
		return __builtin_popcountll(edit->each(cpu));
	return edit->count ? edit->count : 1;
}

/* The set bit number @index, counted from below. */
static uint64_t bit_at(uint64_t bits, unsigned int index)
{
	for (; index; index--)
		bits &= bits - 1;
	return bits & -bits;
}

void svm_edit_apply(const struct svm_edit *edit, unsigned int index, struct svm_rule_cpu *cpu, struct vmcb *vmcb)
{
	uint8_t *field = (edit->is_pdpte ? (uint8_t *)cpu->pdpte : (uint8_t *)vmcb) + edit->offset;
	uint64_t value = 0;

	memcpy(&value, field, edit->len_bytes);
	value = ((value & ~edit->clear) | edit->set) + index * edit->step;
	if (edit->set_by)
		value |= edit->set_by(cpu);
	if (edit->each)
		value |= bit_at(edit->each(cpu), index);
	memcpy(field, &value, edit->len_bytes);
}
