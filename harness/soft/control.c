/* SPDX-License-Identifier: MIT */
/* What control registers may be: APM vol. 2, 3.1, and the vCPU's CPUID. */
#include "soft/private.h"

#include <errno.h>

#include "vm/x86/bits.h"

#define CR0_KNOWN (X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | X86_CR0_ET | X86_CR0_NE | X86_CR0_WP |	\
	X86_CR0_AM | X86_CR0_NW | X86_CR0_CD | X86_CR0_PG)
#define CPUID_XSTATE 0xd
#define XCR0_X87 1u
#define XCR0_SUPPORTED 3u	/* and SSE */
#define CR3_PCID 0xfffull
#define EFER_KNOWN (EFER_SCE | EFER_LME | EFER_LMA | EFER_NX | EFER_SVME | EFER_FFXSR)

/* Bits that need a feature; the others in the mask below are always there. */
static const struct {
	uint64_t bit;
	uint32_t leaf;
	uint8_t reg, number;	/* of EAX to EDX */
} cr4_features[] = {
	{ X86_CR4_SMEP, 7, 1, 7 },
	{ X86_CR4_SMAP, 7, 1, 20 },
	{ X86_CR4_FSGSBASE, 7, 1, 0 },
	{ X86_CR4_PKE, 7, 2, 3 },
	{ X86_CR4_LA57, 7, 2, 16 },
	{ X86_CR4_UMIP, 7, 2, 2 },
	{ X86_CR4_PCIDE, 1, 2, 17 },
	{ X86_CR4_OSXSAVE, 1, 2, 26 },
};
#define CR4_ALWAYS (X86_CR4_VME | X86_CR4_PVI | X86_CR4_TSD | X86_CR4_DE | X86_CR4_PSE | X86_CR4_PAE |		\
	X86_CR4_MCE | X86_CR4_PGE | X86_CR4_PCE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT)

bool cr0_is_valid(uint64_t value)
{
	if (value >> 32 || ((value & X86_CR0_NW) && !(value & X86_CR0_CD)))
		return false;
	return !(value & X86_CR0_PG) || (value & X86_CR0_PE);
}

bool cr4_is_valid(const struct soft_vcpu *vcpu, uint64_t value)
{
	uint64_t allowed = CR4_ALWAYS;
	size_t i;

	/* A vCPU that has no CPUID yet may have what there is. */
	for (i = 0; i < sizeof(cr4_features) / sizeof(cr4_features[0]); i++)
		if (!vcpu->cpuid || vcpu_has(vcpu, cr4_features[i].leaf, cr4_features[i].reg, cr4_features[i].number))
			allowed |= cr4_features[i].bit;
	return !(value & ~allowed);
}

unsigned int vcpu_physical_bits(const struct soft_vcpu *vcpu)
{
	const struct kvm_cpuid_entry2 *entry = vcpu_cpuid(vcpu, 0x80000008, 0);

	return entry && (entry->eax & 0xff) ? entry->eax & 0xff : 36;
}

bool vcpu_is_legal_gpa(const struct soft_vcpu *vcpu, uint64_t gpa)
{
	unsigned int bits = vcpu_physical_bits(vcpu);

	return bits >= 64 || !(gpa >> bits);
}

static bool is_long(const struct vmcb_save *save)
{
	return save->efer & EFER_LMA;
}

/* Legacy PAE's four entries, read when they are loaded: APM vol. 2, 5.2.3. */
static bool pdpes_are_valid(struct soft_vcpu *vcpu, uint64_t cr3)
{
	uint64_t pdpes[4];
	unsigned int i;

	if (guest_read(vcpu_space(vcpu), cr3 & 0xffffffe0, pdpes, sizeof(pdpes)))
		return false;
	for (i = 0; i < 4; i++)
		if ((pdpes[i] & PTE_P) && ((pdpes[i] & 0x1e6) || !vcpu_is_legal_gpa(vcpu, pdpes[i] & ~0xfffull)))
			return false;
	return true;
}

bool vcpu_pdpes_are_valid(struct soft_vcpu *vcpu)
{
	const struct vmcb_save *save = &vcpu->vmcb->save;

	if (is_long(save) || !(save->cr0 & X86_CR0_PG) || !(save->cr4 & X86_CR4_PAE))
		return true;
	return pdpes_are_valid(vcpu, save->cr3);
}

static int long_mode_enter(struct vmcb_save *save)
{
	if (!(save->cr4 & X86_CR4_PAE) || (save->cs.attrib & SEG_L))
		return -EINVAL;
	save->efer |= EFER_LMA;
	return 0;
}

int cr0_set(struct soft_vcpu *vcpu, uint64_t value)
{
	struct vmcb_save *save = &vcpu->vmcb->save;
	bool is_paging = value & X86_CR0_PG, was_paging = save->cr0 & X86_CR0_PG;

	if (!cr0_is_valid(value))
		return -EINVAL;
	value = (value | X86_CR0_ET) & CR0_KNOWN;
	if (is_paging && !was_paging && (save->efer & EFER_LME) && long_mode_enter(save))
		return -EINVAL;
	if (is_paging && !(save->efer & EFER_LME) && (save->cr4 & X86_CR4_PAE) &&
	    ((value ^ save->cr0) & (X86_CR0_PG | X86_CR0_CD | X86_CR0_NW)) && !pdpes_are_valid(vcpu, save->cr3))
		return -EINVAL;
	if (!is_paging && (save_is_64bit(save) || (save->cr4 & X86_CR4_PCIDE)))
		return -EINVAL;
	if (!is_paging)
		save->efer &= ~EFER_LMA;
	save->cr0 = value;
	vcpu->asid_generation = 0;
	return 0;
}

int cr3_set(struct soft_vcpu *vcpu, uint64_t value)
{
	struct vmcb_save *save = &vcpu->vmcb->save;

	if (is_long(save) && (save->cr4 & X86_CR4_PCIDE))
		value &= ~(1ull << 63);
	if (is_long(save) && !vcpu_is_legal_gpa(vcpu, value))
		return -EINVAL;
	if (!is_long(save) && (save->cr0 & X86_CR0_PG) && (save->cr4 & X86_CR4_PAE) && !pdpes_are_valid(vcpu, value))
		return -EINVAL;
	save->cr3 = value;
	vcpu->asid_generation = 0;
	return 0;
}

int cr4_set(struct soft_vcpu *vcpu, uint64_t value)
{
	struct vmcb_save *save = &vcpu->vmcb->save;
	uint64_t changed = value ^ save->cr4;
	const uint64_t pdpe_bits = X86_CR4_PGE | X86_CR4_PSE | X86_CR4_PAE | X86_CR4_SMEP;

	if (!cr4_is_valid(vcpu, value))
		return -EINVAL;
	if (is_long(save) && (!(value & X86_CR4_PAE) || (changed & X86_CR4_LA57)))
		return -EINVAL;
	if (!is_long(save) && (save->cr0 & X86_CR0_PG) && (value & X86_CR4_PAE) && (changed & pdpe_bits) &&
	    !pdpes_are_valid(vcpu, save->cr3))
		return -EINVAL;
	if ((value & changed & X86_CR4_PCIDE) && (!is_long(save) || (save->cr3 & CR3_PCID)))
		return -EINVAL;
	save->cr4 = value;
	vcpu->asid_generation = 0;
	return 0;
}

uint64_t soft_xcr0_supported(void)
{
	return XCR0_SUPPORTED;
}

/* x87's bit is always set, and the others are those of the CPUID: APM vol. 2, 11.5.2. */
int xcr0_set(struct soft_vcpu *vcpu, uint64_t value)
{
	const struct kvm_cpuid_entry2 *leaf = vcpu_cpuid(vcpu, CPUID_XSTATE, 0);
	uint64_t supported = leaf ? leaf->eax & XCR0_SUPPORTED : 0;

	if (!(value & XCR0_X87) || value & ~(supported | XCR0_X87))
		return -EINVAL;
	vcpu->xcr0 = value;
	return 0;
}

/* Without SVM there is no L2, and GIF is set. */
void efer_write(struct soft_vcpu *vcpu, uint64_t value)
{
	if (!(value & EFER_SVME))
		nested_reset(vcpu);
	if (!vcpu->vm->is_bare)
		vcpu->hidden_efer = ~value & EFER_SVME;
	vcpu->vmcb->save.efer = value | vcpu->hidden_efer;
}

bool efer_is_known(uint64_t value)
{
	return !(value & ~EFER_KNOWN);
}

/* The CPUID of the guest binds the guest, not user space. */
int efer_set(struct soft_vcpu *vcpu, uint64_t value, bool is_host)
{
	struct vmcb_save *save = &vcpu->vmcb->save;

	if (!efer_is_known(value))
		return -EINVAL;
	if ((value & EFER_SVME) && (vcpu->nested.vm_cr & VM_CR_SVMDIS))
		return -EINVAL;
	if (!is_host && (((value & EFER_SVME) && !vcpu_has(vcpu, 0x80000001, 2, 2)) ||
			 ((value & EFER_FFXSR) && !vcpu_has(vcpu, 0x80000001, 3, 25)) ||
			 ((value & EFER_NX) && !vcpu_has(vcpu, 0x80000001, 3, 20)) ||
			 ((value & (EFER_LME | EFER_LMA)) && !vcpu_has(vcpu, 0x80000001, 3, 29)) ||
			 ((save->cr0 & X86_CR0_PG) && ((value ^ save->efer) & EFER_LME))))
		return -EINVAL;
	efer_write(vcpu, (value & ~EFER_LMA) | (save->efer & EFER_LMA));
	vcpu->asid_generation = 0;
	return 0;
}

#define APIC_BASE_X2APIC (1ull << 10)
#define APIC_BASE_ENABLE (1ull << 11)

int apic_base_set(struct soft_vcpu *vcpu, uint64_t value, bool is_host)
{
	if (vcpu->chips.has_lapic)
		return chips_apic_base_set(vcpu, value, is_host);
	if (value & 0x2ff || !vcpu_is_legal_gpa(vcpu, value) || (value & APIC_BASE_X2APIC))
		return -EINVAL;
	vcpu->apic_base = value;
	return 0;
}
