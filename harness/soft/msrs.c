/* SPDX-License-Identifier: MIT */
/*
 * MSRs by one table: where a value is kept, what it may be, whether user space is told of it in the index list.
 *
 * APM vol. 2, appendix A. What no row has is -ENOENT, which ends a list of user space and is #GP to the guest.
 */
#include "soft/private.h"

#include <asm/kvm_para.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vm/x86/bits.h"

#define MAX_MSRS 512
#define MSR_MCG_CAP 0x179
#define MSR_MCG_STATUS 0x17a
#define MSR_MCG_CTL 0x17b
#define MSR_P5_MC_ADDR 0
#define MSR_P5_MC_TYPE 1
#define MSR_PLATFORM_INFO 0xce
#define PLATFORM_INFO_CPUID_FAULT (1ull << 31)
#define MSR_MISC_FEATURES_ENABLES 0x140
#define MISC_FEATURES_CPUID_FAULT 1ull
#define MSR_DEBUGCTL 0x1d9
#define MSR_DE_CFG 0xc0011029
#define MSR_OSVW_ID_LENGTH 0xc0010140
#define MSR_OSVW_STATUS 0xc0010141
#define MSR_UCODE_REV 0x8b
#define MSR_HWCR 0xc0010015
#define HWCR_MC_STATUS_WR_EN (1ull << 18)
#define HWCR_DROPPED 0x148ull	/* TLBCACHEDIS, FFDIS, IGNNE_EM */
#define LFENCE_SERIALIZE 2u
#define MSR_IA32_PLATFORM_ID 0x17
#define MSR_IA32_EBL_CR_POWERON 0x2a
#define MSR_EBC_FREQUENCY_ID 0x2c
#define MSR_IA32_SPEC_CTRL 0x48
#define MSR_IA32_PRED_CMD 0x49
#define MSR_IA32_UCODE_WRITE 0x79
#define MSR_P6_PERFCTR0 0xc1
#define MSR_FSB_FREQ 0xcd
#define MSR_IA32_BBL_CR_CTL3 0x11e
#define MSR_P6_EVNTSEL0 0x186
#define MSR_IA32_PERF_STATUS 0x198
#define MSR_IA32_PERF_CTL 0x199
#define MSR_IA32_POWER_CTL 0x1fc
#define MSR_IA32_PERF_CAPABILITIES 0x345
#define MSR_RAPL_POWER_UNIT 0x606
#define MSR_PKG_ENERGY_STATUS 0x611
#define MSR_DRAM_ENERGY_STATUS 0x619
#define MSR_PP0_ENERGY_STATUS 0x639
#define MSR_PP1_ENERGY_STATUS 0x641
#define MSR_IA32_XSS 0xda0
#define MSR_AMD64_SYSCFG 0xc0010010
#define MSR_K7_CLK_CTL 0xc001001b
#define MSR_AMD64_NB_CFG 0xc001001f
#define MSR_AMD64_PATCH_LOADER 0xc0010020
#define MSR_K8_INT_PENDING_MSG 0xc0010055
#define MSR_FAM10H_MMIO_CONF_BASE 0xc0010058
#define MSR_K8_TSEG_ADDR 0xc0010112
#define MSR_K8_TSEG_MASK 0xc0010113
#define MSR_VM_IGNNE 0xc0010115
#define MSR_AMD64_VIRT_SPEC_CTRL 0xc001011f
#define MSR_F10H_DC_CFG 0xc0011022
#define MSR_F15H_TW_CFG 0xc0011023
#define MSR_F10H_BU_CFG2 0xc001102a
#define MSR_F15H_EX_CFG 0xc001102c
#define MISC_ENABLE_PMU_ABSENT 0x1800ull
#define MISC_ENABLE_EMON 0x80ull

/* Nothing is speculated: RDCL_NO, SKIP_L1DFL_VMENTRY, SSB_NO, MDS_NO, IF_PSCHANGE_MC_NO, TAA_NO. */
#define MSR_IA32_ARCH_CAPABILITIES 0x10a
#define ARCH_CAPABILITIES 0x179

enum msr_list { UNLISTED, LISTED };

/* What becomes of a value that is written. */
enum msr_writes {
	KEPT,
	KEPT_OF_HOST,		/* a guest's is #GP */
	KEPT_OF_HOST_QUIETLY,	/* a guest's is taken, and forgotten */
	FIXED,			/* a guest's is #GP, user space's must be the one there is, or 0 */
	FORGOTTEN,
};

struct msr_row {
	uint32_t index;
	enum msr_list list;
	uint16_t save;		/* where in the VMCB's save area; 0: elsewhere */
	bool is_canonical;
	bool is_write_only;
	bool is_host;		/* not a guest's at all */
	enum msr_writes writes;
	uint64_t reserved;	/* bits */
	uint64_t dropped;	/* bits that are taken and not kept */
	uint64_t reset;
	struct { uint32_t leaf; uint8_t reg, bit, subleaf; } feature;	/* without which a guest has it not; leaf 0: always there */
};

#define SAVE(field) offsetof(struct vmcb_save, field)

static const struct msr_row rows[] = {
	{ MSR_IA32_SYSENTER_CS, LISTED, SAVE(sysenter_cs), .reserved = ~0xffffffffull },
	{ MSR_IA32_SYSENTER_ESP, LISTED, SAVE(sysenter_esp), .is_canonical = true },
	{ MSR_IA32_SYSENTER_EIP, LISTED, SAVE(sysenter_eip), .is_canonical = true },
	{ MSR_STAR, LISTED, SAVE(star) },
	{ MSR_LSTAR, LISTED, SAVE(lstar), .is_canonical = true },
	{ MSR_CSTAR, LISTED, SAVE(cstar), .is_canonical = true },
	{ MSR_SYSCALL_MASK, LISTED, SAVE(sfmask) },
	{ MSR_KERNEL_GS_BASE, LISTED, SAVE(kernel_gs_base), .is_canonical = true },
	{ MSR_FS_BASE, UNLISTED, SAVE(fs.base), .is_canonical = true },
	{ MSR_GS_BASE, UNLISTED, SAVE(gs.base), .is_canonical = true },
	{ MSR_IA32_PAT, LISTED, SAVE(g_pat), .reset = 0x0007040600070406 },
	{ MSR_IA32_TSC, LISTED },
	{ MSR_EFER, UNLISTED },
	{ MSR_IA32_APICBASE, UNLISTED },
	{ MSR_TSC_AUX, LISTED, .reserved = ~0xffffffffull, .feature = { 0x80000001, 3, 27 } },
	{ MSR_IA32_TSC_ADJUST, LISTED, .feature = { 7, 1, 1 } },
	{ MSR_IA32_MISC_ENABLE, LISTED, .reset = 1 },
	{ MSR_MCG_CAP, UNLISTED },
	{ MSR_MCG_STATUS, LISTED },
	{ MSR_MCG_CTL, LISTED },
	{ MSR_PLATFORM_INFO, LISTED, .reset = PLATFORM_INFO_CPUID_FAULT },
	{ MSR_MISC_FEATURES_ENABLES, LISTED, .reserved = ~MISC_FEATURES_CPUID_FAULT },
	{ MSR_UCODE_REV, LISTED, .writes = KEPT_OF_HOST_QUIETLY, .reset = 0x01000065 },
	{ MSR_MTRRcap, UNLISTED, .writes = FIXED, .reset = 0x508 },
	{ MSR_MTRRdefType, UNLISTED, .reserved = ~0xcffull },
	{ MSR_HWCR, LISTED, .reserved = ~(HWCR_MC_STATUS_WR_EN | HWCR_DROPPED), .dropped = HWCR_DROPPED },
	{ MSR_VM_HSAVE_PA, LISTED },
	{ MSR_P5_MC_ADDR, UNLISTED, .writes = FIXED },
	{ MSR_P5_MC_TYPE, UNLISTED, .writes = FIXED },
	{ MSR_DEBUGCTL, UNLISTED },
	{ MSR_VM_CR, UNLISTED },
	{ MSR_DE_CFG, UNLISTED },
	{ MSR_OSVW_ID_LENGTH, UNLISTED },
	{ MSR_OSVW_STATUS, UNLISTED },
	{ MSR_KVM_WALL_CLOCK, LISTED },
	{ MSR_KVM_SYSTEM_TIME, LISTED },
	{ MSR_KVM_WALL_CLOCK_NEW, LISTED },
	{ MSR_KVM_SYSTEM_TIME_NEW, LISTED },
	{ MSR_KVM_STEAL_TIME, LISTED },
	{ MSR_KVM_PV_EOI_EN, LISTED },
	{ MSR_KVM_POLL_CONTROL, LISTED },
	{ MSR_KVM_ASYNC_PF_EN, LISTED },
	{ MSR_KVM_ASYNC_PF_INT, LISTED },
	{ MSR_KVM_ASYNC_PF_ACK, LISTED },
	{ MSR_IA32_ARCH_CAPABILITIES, LISTED, .writes = KEPT_OF_HOST, .reset = ARCH_CAPABILITIES, .feature = { 7, 3, 29 } },
	{ MSR_IA32_PERF_CAPABILITIES, UNLISTED, .writes = FIXED, .feature = { 1, 2, 15 } },
	{ MSR_IA32_POWER_CTL, LISTED },
	{ MSR_IA32_SMBASE, LISTED, .is_host = true, .reserved = ~0xffffffffull, .reset = SMBASE_RESET },
	{ MSR_SMI_COUNT, LISTED, .writes = KEPT_OF_HOST },
	{ MSR_IA32_XSS, UNLISTED, .reserved = ~0ull, .feature = { 0xd, 0, 3, 1 } },
	{ MSR_IA32_SPEC_CTRL, LISTED, .reserved = ~7ull, .feature = { 0x80000008, 1, 14 } },
	{ MSR_IA32_PRED_CMD, UNLISTED, .is_write_only = true, .writes = FORGOTTEN, .reserved = ~1ull,
	  .feature = { 0x80000008, 1, 12 } },
	{ MSR_AMD64_VIRT_SPEC_CTRL, LISTED, .reserved = ~4ull, .feature = { 0x80000008, 1, 25 } },
	{ MSR_FAM10H_MMIO_CONF_BASE, UNLISTED, .reserved = ~0ull },
	/* What a guest's boot code loads. */
	{ MSR_IA32_UCODE_WRITE, UNLISTED, .is_write_only = true, .writes = FORGOTTEN },
	{ MSR_AMD64_PATCH_LOADER, UNLISTED, .is_write_only = true, .writes = FORGOTTEN },
	{ MSR_VM_IGNNE, UNLISTED, .is_write_only = true, .writes = FORGOTTEN },
	/* Chipset and performance: registers that models of CPUs have, with nothing behind them. */
	{ MSR_AMD64_NB_CFG, UNLISTED, .writes = FORGOTTEN },
	{ MSR_F10H_DC_CFG, UNLISTED, .writes = FORGOTTEN },
	{ MSR_F15H_TW_CFG, UNLISTED, .writes = FORGOTTEN },
	{ MSR_F10H_BU_CFG2, UNLISTED, .writes = FORGOTTEN },
	{ MSR_F15H_EX_CFG, UNLISTED, .writes = FORGOTTEN },
	{ MSR_P6_EVNTSEL0, UNLISTED, .writes = FORGOTTEN },
	{ MSR_P6_EVNTSEL0 + 1, UNLISTED, .writes = FORGOTTEN },
	{ MSR_P6_PERFCTR0, UNLISTED, .writes = FORGOTTEN },
	{ MSR_P6_PERFCTR0 + 1, UNLISTED, .writes = FORGOTTEN },
	{ MSR_K7_CLK_CTL, UNLISTED, .writes = FORGOTTEN, .reset = 0x20000000 },
	{ MSR_IA32_BBL_CR_CTL3, UNLISTED, .writes = FORGOTTEN, .reset = 0xbe702111 },
	{ MSR_IA32_PLATFORM_ID, UNLISTED, .writes = FIXED },
	{ MSR_IA32_EBL_CR_POWERON, UNLISTED, .writes = FIXED },
	{ MSR_EBC_FREQUENCY_ID, UNLISTED, .writes = FIXED, .reset = 1ull << 24 },	/* the bus's clock, once */
	{ MSR_FSB_FREQ, UNLISTED, .writes = FIXED, .reset = 3 },			/* 166 MHz */
	{ MSR_IA32_PERF_STATUS, UNLISTED, .writes = FIXED, .reset = 4ull << 40 | 1000 },
	{ MSR_IA32_PERF_CTL, UNLISTED, .writes = FIXED },
	{ MSR_RAPL_POWER_UNIT, UNLISTED, .writes = FIXED },
	{ MSR_PKG_ENERGY_STATUS, UNLISTED, .writes = FIXED },
	{ MSR_DRAM_ENERGY_STATUS, UNLISTED, .writes = FIXED },
	{ MSR_PP0_ENERGY_STATUS, UNLISTED, .writes = FIXED },
	{ MSR_PP1_ENERGY_STATUS, UNLISTED, .writes = FIXED },
	{ MSR_AMD64_SYSCFG, UNLISTED, .writes = FIXED },
	{ MSR_K8_TSEG_ADDR, UNLISTED, .writes = FIXED },
	{ MSR_K8_TSEG_MASK, UNLISTED, .writes = FIXED },
	{ MSR_K8_INT_PENDING_MSG, UNLISTED, .writes = FIXED },
};
#define NR_ROWS (sizeof(rows) / sizeof(rows[0]))

/* Behind the rows' values in vcpu->msrs. */
#define NR_MTRRS 16
#define NR_FIXED_MTRRS 11

static const uint32_t fixed_mtrrs[NR_FIXED_MTRRS] = {
	0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f,
};

static const struct msr_row *row_find(uint32_t index)
{
	size_t i;

	for (i = 0; i < NR_ROWS; i++)
		if (rows[i].index == index)
			return &rows[i];
	return NULL;
}

static uint64_t *value_of_index(const struct soft_vcpu *vcpu, uint32_t index)
{
	return &vcpu->msrs[row_find(index) - rows];
}

int msrs_init(struct soft_vcpu *vcpu)
{
	vcpu->msrs = calloc(NR_ROWS + NR_MTRRS + NR_FIXED_MTRRS, sizeof(*vcpu->msrs));
	if (!vcpu->msrs)
		return -ENOMEM;
	vcpu->tsc_aux = value_of_index(vcpu, MSR_TSC_AUX);
	return 0;
}

static uint64_t *mtrr_of(struct soft_vcpu *vcpu, uint32_t index)
{
	unsigned int i;

	if (index - MSR_MTRRphysBase0 < NR_MTRRS)
		return &vcpu->msrs[NR_ROWS + index - MSR_MTRRphysBase0];
	for (i = 0; i < NR_FIXED_MTRRS; i++)
		if (fixed_mtrrs[i] == index)
			return &vcpu->msrs[NR_ROWS + NR_MTRRS + i];
	return NULL;
}

static uint64_t *value_of(struct soft_vcpu *vcpu, const struct msr_row *row)
{
	if (row->save)
		return (uint64_t *)((uint8_t *)&vcpu->vmcb->save + row->save);
	return &vcpu->msrs[row - rows];
}

void msrs_reset(struct soft_vcpu *vcpu)
{
	size_t i;

	for (i = 0; i < NR_ROWS; i++)
		if (rows[i].reset)
			*value_of(vcpu, &rows[i]) = rows[i].reset;
}

static bool is_canonical(uint64_t value, const struct soft_vcpu *vcpu)
{
	unsigned int shift = (vcpu->vmcb->save.cr4 & X86_CR4_LA57) ? 64 - 57 : 64 - 48;

	return (uint64_t)((int64_t)(value << shift) >> shift) == value;
}

static bool memory_type_is_valid(uint8_t type)
{
	return type <= 6 && type != 2 && type != 3;
}

/* APM vol. 2, 7.7.2: eight types in a fixed MTRR; bases and masks are the variable ones' by turns. */
static bool mtrr_is_valid(const struct soft_vcpu *vcpu, uint32_t index, uint64_t value)
{
	unsigned int i;

	if (index - MSR_MTRRphysBase0 < NR_MTRRS) {
		if (!vcpu_is_legal_gpa(vcpu, value))
			return false;
		return index & 1 ? !(value & 0x7ff) : memory_type_is_valid((uint8_t)value) && !(value & 0xf00);
	}
	for (i = 0; i < 64; i += 8)
		if (!memory_type_is_valid((uint8_t)(value >> i)))
			return false;
	return true;
}

static bool pat_is_valid(uint64_t value)
{
	unsigned int i;

	for (i = 0; i < 64; i += 8) {
		uint8_t type = (uint8_t)(value >> i);

		if (type > 7 || type == 2 || type == 3)
			return false;
	}
	return true;
}

bool msr_faults_cpuid(const struct soft_vcpu *vcpu)
{
	return *value_of_index(vcpu, MSR_MISC_FEATURES_ENABLES) & MISC_FEATURES_CPUID_FAULT;
}

/* Only user space changes it, and not what is in use. */
static int platform_info_set(struct soft_vcpu *vcpu, uint64_t value, bool is_host)
{
	if (!is_host || (!(value & PLATFORM_INFO_CPUID_FAULT) && msr_faults_cpuid(vcpu)))
		return -EINVAL;
	*value_of_index(vcpu, MSR_PLATFORM_INFO) = value;
	return 0;
}

static int misc_features_set(struct soft_vcpu *vcpu, uint64_t value)
{
	if ((value & ~MISC_FEATURES_CPUID_FAULT) ||
	    (value && !(*value_of_index(vcpu, MSR_PLATFORM_INFO) & PLATFORM_INFO_CPUID_FAULT)))
		return -EINVAL;
	*value_of_index(vcpu, MSR_MISC_FEATURES_ENABLES) = value;
	return 0;
}

uint64_t msr_misc_enable(const struct soft_vcpu *vcpu)
{
	return *value_of_index(vcpu, MSR_IA32_MISC_ENABLE);
}

/* SDM vol. 4, table 2-2: the bits that say what is absent are read only, and EMON's is without a fault. */
static int misc_enable_set(struct soft_vcpu *vcpu, uint64_t value, bool is_host)
{
	uint64_t *kept = value_of_index(vcpu, MSR_IA32_MISC_ENABLE);

	if (!is_host && ((value ^ *kept) & MISC_ENABLE_PMU_ABSENT))
		return -EINVAL;
	*kept = is_host ? value : (value & ~MISC_ENABLE_EMON) | (*kept & MISC_ENABLE_EMON);
	return 0;
}

/* By the bit of its CPUID; false: it has none to ask. */
static bool feature_is_absent(const struct soft_vcpu *vcpu, const struct msr_row *row)
{
	const struct kvm_cpuid_entry2 *entry;

	if (!row->feature.leaf)
		return false;
	entry = vcpu_cpuid(vcpu, row->feature.leaf, row->feature.subleaf);
	return !entry || !((&entry->eax)[row->feature.reg] >> row->feature.bit & 1);
}

/* Only some rows' features are CPUID's to give. */
static bool row_is_there(const struct soft_vcpu *vcpu, const struct msr_row *row, bool is_host)
{
	if (!is_host && (row->is_host || feature_is_absent(vcpu, row)))
		return false;
	switch (row->index) {
	case MSR_OSVW_ID_LENGTH:
	case MSR_OSVW_STATUS:
		return vcpu_has(vcpu, 0x80000001, 2, 9);
	case MSR_PLATFORM_INFO:
		return is_host || vcpu->vm->guests_read_platform_info;
	default:
		return true;
	}
}

int msr_get(struct soft_vcpu *vcpu, uint32_t index, uint64_t *ret_value, bool is_host)
{
	const struct msr_row *row = row_find(index);
	const uint64_t *mtrr = mtrr_of(vcpu, index);
	int r = chips_msr_get(vcpu, index, ret_value);

	if (!r)
		r = mce_msr_get(vcpu, index, ret_value, is_host);
	if (!r)
		r = paravirt_msr_get(vcpu, index, ret_value);
	if (!r)
		r = hyperv_msr_get(vcpu, index, ret_value, is_host);
	if (r)
		return r < 0 ? r : 0;
	if (mtrr) {
		*ret_value = *mtrr;
		return 0;
	}
	if (!row || row->is_write_only || !row_is_there(vcpu, row, is_host))
		return -ENOENT;
	switch (index) {
	case MSR_IA32_TSC:
		*ret_value = tsc_guest(vcpu) + (is_host ? 0 : nested_tsc_offset(vcpu));
		return 0;
	case MSR_IA32_TSC_ADJUST:
		*ret_value = vcpu->tsc.adjust;
		return 0;
	case MSR_EFER:
		*ret_value = vcpu->vmcb->save.efer & ~vcpu->hidden_efer;
		return 0;
	case MSR_VM_HSAVE_PA:
		*ret_value = vcpu->nested.hsave_pa;
		return 0;
	case MSR_VM_CR:
		*ret_value = vcpu->nested.vm_cr;
		return 0;
	case MSR_IA32_APICBASE:
		*ret_value = vcpu->apic_base;
		return 0;
	default:
		*ret_value = *value_of(vcpu, row);
		return 0;
	}
}

static int row_set(struct soft_vcpu *vcpu, const struct msr_row *row, uint64_t value, bool is_host)
{
	if (!is_host && (row->writes == FIXED || row->writes == KEPT_OF_HOST))
		return -EINVAL;
	if (row->writes == FIXED)
		return value && value != row->reset ? -EINVAL : 0;
	if ((value & row->reserved) || (row->is_canonical && !is_canonical(value, vcpu)))
		return -EINVAL;
	if (row->index == MSR_IA32_PAT && !pat_is_valid(value))
		return -EINVAL;
	if (row->index == MSR_MTRRdefType && !memory_type_is_valid((uint8_t)value))
		return -EINVAL;
	if (row->writes == FORGOTTEN || (row->writes == KEPT_OF_HOST_QUIETLY && !is_host))
		return 0;
	*value_of(vcpu, row) = value & ~row->dropped;
	return 0;
}

static int hsave_pa_set(struct soft_vcpu *vcpu, uint64_t value, bool is_host)
{
	if (!is_host && ((value & 0xfff) || !vcpu_is_legal_gpa(vcpu, value)))
		return -EINVAL;
	vcpu->nested.hsave_pa = value;
	return 0;
}

/* APM vol. 2, 15.30.1: LOCK keeps itself and SVMDIS. SVM that is on cannot be disabled. */
static int vm_cr_set(struct soft_vcpu *vcpu, uint64_t value)
{
	uint64_t kept = vcpu->nested.vm_cr & VM_CR_LOCK ? VM_CR_LOCK | VM_CR_SVMDIS : 0;

	if ((value & ~VM_CR_DEFINED) || ((value & ~kept & VM_CR_SVMDIS) && !vcpu->hidden_efer))
		return -EINVAL;
	vcpu->nested.vm_cr = (value & ~kept) | (vcpu->nested.vm_cr & kept);
	return 0;
}

int msr_set(struct soft_vcpu *vcpu, uint32_t index, uint64_t value, bool is_host)
{
	const struct msr_row *row = row_find(index);
	uint64_t *mtrr = mtrr_of(vcpu, index);
	int r = xen_msr_set(vcpu, index, value);

	if (!r)
		r = chips_msr_set(vcpu, index, value);
	if (!r)
		r = mce_msr_set(vcpu, index, value, is_host);
	if (!r)
		r = paravirt_msr_set(vcpu, index, value);
	if (!r)
		r = hyperv_msr_set(vcpu, index, value, is_host);
	if (r)
		return r < 0 ? r : 0;
	if (mtrr) {
		if (!mtrr_is_valid(vcpu, index, value))
			return -EINVAL;
		*mtrr = value;
		return 0;
	}
	if (!row || !row_is_there(vcpu, row, is_host))
		return -ENOENT;
	switch (index) {
	case MSR_IA32_TSC:
		tsc_set(vcpu, value, is_host);
		return 0;
	case MSR_IA32_TSC_ADJUST:
		tsc_adjust_set(vcpu, value, is_host);
		return 0;
	case MSR_EFER:
		return efer_set(vcpu, value, is_host);
	case MSR_VM_HSAVE_PA:
		return hsave_pa_set(vcpu, value, is_host);
	case MSR_DEBUGCTL:	/* nothing records branches */
		return 0;
	case MSR_VM_CR:
		return vm_cr_set(vcpu, value);
	case MSR_IA32_APICBASE:
		return apic_base_set(vcpu, value, is_host);
	case MSR_PLATFORM_INFO:
		return platform_info_set(vcpu, value, is_host);
	case MSR_MISC_FEATURES_ENABLES:
		return misc_features_set(vcpu, value);
	case MSR_IA32_MISC_ENABLE:
		return misc_enable_set(vcpu, value, is_host);
	default:
		return row_set(vcpu, row, value, is_host);
	}
}

/* --- lists --- */

static long indices_give(struct call *call, const uint32_t *indices, uint32_t nr)
{
	struct kvm_msr_list head;
	uint32_t room;

	if (user_read(&head, call->argument, sizeof(head)))
		return -EFAULT;
	room = head.nmsrs;
	head.nmsrs = nr;
	if (user_write(call->argument, &head, sizeof(head)))
		return -EFAULT;
	if (room < nr)
		return -E2BIG;
	return user_write(call->argument + sizeof(head), indices, nr * sizeof(*indices));
}

long system_msr_list(struct call *call)
{
	uint32_t indices[NR_ROWS], nr = 0;
	size_t i;

	for (i = 0; i < NR_ROWS; i++)
		if (rows[i].list == LISTED)
			indices[nr++] = rows[i].index;
	return indices_give(call, indices, nr);
}

static const struct { uint32_t index; uint64_t value; } features[] = {
	{ MSR_DE_CFG, LFENCE_SERIALIZE },
	{ MSR_UCODE_REV, 0x01000065 },
	{ MSR_IA32_ARCH_CAPABILITIES, ARCH_CAPABILITIES },
};
#define NR_FEATURES (sizeof(features) / sizeof(features[0]))

long system_msr_feature_list(struct call *call)
{
	uint32_t indices[NR_FEATURES];
	size_t i;

	for (i = 0; i < NR_FEATURES; i++)
		indices[i] = features[i].index;
	return indices_give(call, indices, NR_FEATURES);
}

static int feature_get(uint32_t index, uint64_t *ret_value)
{
	size_t i;

	for (i = 0; i < NR_FEATURES; i++) {
		if (features[i].index != index)
			continue;
		*ret_value = features[i].value;
		return 0;
	}
	return -EINVAL;
}

/* --- KVM_GET_MSRS and KVM_SET_MSRS: one after the other until one fails; the result is how many were done --- */

static int entry_move(struct soft_vcpu *vcpu, struct kvm_msr_entry *entry, bool is_set)
{
	uint64_t value;
	int r;

	if (is_set)
		return msr_set(vcpu, entry->index, entry->data, true);
	r = vcpu ? msr_get(vcpu, entry->index, &value, true) : feature_get(entry->index, &value);
	if (!r)
		entry->data = value;
	return r;
}

static long msrs_move(struct call *call, struct soft_vcpu *vcpu, bool is_set)
{
	struct kvm_msr_entry *entries;
	struct kvm_msrs head;
	uintptr_t at = call->argument + sizeof(head);
	uint32_t i;
	long r;

	if (user_read(&head, call->argument, sizeof(head)))
		return -EFAULT;
	if (head.nmsrs >= MAX_MSRS / 2)
		return -E2BIG;
	entries = calloc(head.nmsrs + 1, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	r = user_read(entries, at, head.nmsrs * sizeof(*entries));
	for (i = 0; !r && i < head.nmsrs; i++)
		if (entry_move(vcpu, &entries[i], is_set))
			break;
	if (!r && !is_set)
		r = user_write(at, entries, head.nmsrs * sizeof(*entries));
	free(entries);
	return r ? r : (long)i;
}

long system_msrs(struct call *call)
{
	return msrs_move(call, NULL, false);
}

static long answer_get_msrs(struct call *call)
{
	return msrs_move(call, call->vcpu, false);
}

static long answer_set_msrs(struct call *call)
{
	return msrs_move(call, call->vcpu, true);
}

const struct answer msr_answers[] = {
	{ KVM_GET_MSRS, answer_get_msrs, true },
	{ KVM_SET_MSRS, answer_set_msrs, true },
	{ 0, NULL, false },
};
