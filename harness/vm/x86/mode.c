/* SPDX-License-Identifier: MIT */
#include "vm/x86/mode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vm/x86/bits.h"

static const char *const names[NR_MODES] = { "real16", "prot32", "page32", "pae32", "long64", "la57" };

const char *mode_name(unsigned int mode)
{
	return mode == NO_GUEST ? "none" : names[__builtin_ctz(mode)];
}

int mode_from_name(const char *name)
{
	unsigned int i;

	for (i = 0; i < NR_MODES; i++)
		if (!strcmp(names[i], name))
			return 1 << i;
	return -1;
}

/* --- descriptors: APM vol. 2, 4.7 and 4.8 --- */

#define DESCRIPTOR(base_, limit_, type_, dpl_, flags_)						\
	((uint64_t)((limit_) & 0xffff) | (uint64_t)((base_) & 0xffffff) << 16 |			\
	 (uint64_t)(type_) << 40 | (uint64_t)(dpl_) << 45 | 1ull << 47 |			\
	 (uint64_t)((limit_) >> 16 & 0xf) << 48 | (uint64_t)(flags_) << 52 |			\
	 (uint64_t)((base_) >> 24 & 0xff) << 56)

#define TYPE_DATA 0x13		/* S, data, writable, accessed */
#define TYPE_CODE 0x1b		/* S, code, readable, accessed */
#define TYPE_TSS_BUSY 0x0b
#define FLAGS_LONG 0xa		/* G, L */
#define FLAGS_32 0xc		/* G, D/B */
#define FLAGS_16 0x0

static const uint64_t flat_descriptors[] = {
	[SEL_CODE64 / 8] = DESCRIPTOR(0u, 0xfffffu, TYPE_CODE, 0, FLAGS_LONG),
	[SEL_DATA / 8] = DESCRIPTOR(0u, 0xfffffu, TYPE_DATA, 0, FLAGS_32),
	[SEL_CODE32 / 8] = DESCRIPTOR(0u, 0xfffffu, TYPE_CODE, 0, FLAGS_32),
	[SEL_CODE16 / 8] = DESCRIPTOR(0u, 0xffffu, TYPE_CODE, 0, FLAGS_16),
	[SEL_DATA16 / 8] = DESCRIPTOR(0u, 0xffffu, TYPE_DATA, 0, FLAGS_16),
	[SEL_USER_CODE32 / 8] = DESCRIPTOR(0u, 0xfffffu, TYPE_CODE, 3, FLAGS_32),
	[SEL_USER_DATA / 8] = DESCRIPTOR(0u, 0xfffffu, TYPE_DATA, 3, FLAGS_32),
	[SEL_USER_CODE64 / 8] = DESCRIPTOR(0u, 0xfffffu, TYPE_CODE, 3, FLAGS_LONG),
};

static void gdt_write(uint64_t *gdt)
{
	unsigned int i;

	memcpy(gdt, flat_descriptors, sizeof(flat_descriptors));
	for (i = 0; i < ABI_MAX_VCPUS; i++) {
		uint32_t page = ABI_GPA + i * ABI_PAGE_BYTES, tss = TSS_GPA + i * TSS_BYTES;

		gdt[SEL_SELF / 8 + i] = DESCRIPTOR(page, 0xfffu, TYPE_DATA, 3, 0x4);
		gdt[SEL_TSS / 8 + i * 2] = DESCRIPTOR(tss, 0x67u, TYPE_TSS_BUSY, 0, 0);
		gdt[SEL_TSS / 8 + i * 2 + 1] = 0;
	}
}

static void tss_write(uint8_t *tss, unsigned int mode)
{
	const uint16_t no_iopb = 0x68;

	memset(tss, 0, TSS_BYTES);
	memcpy(tss + 0x66, &no_iopb, sizeof(no_iopb));
	if (mode & PROTECTED)
		tss[8] = SEL_DATA;	/* SS0 */
}

/* --- page tables: one to one, 4 GiB --- */

#define TABLE_FLAGS (PTE_P | PTE_W | PTE_U | PTE_A)
#define LEAF_FLAGS (PTE_P | PTE_W | PTE_U | PTE_A | PTE_D | PTE_PS)
#define PAGE_BYTES 4096u

static void tables_page32(uint32_t *directory)
{
	unsigned int i;

	for (i = 0; i < 1024; i++)
		directory[i] = i << 22 | LEAF_FLAGS;
}

/* Four page directories of 2 MiB pages at @gpa. */
static void tables_directories(uint64_t *directories)
{
	unsigned int i;

	for (i = 0; i < 4 * 512; i++)
		directories[i] = (uint64_t)i << 21 | LEAF_FLAGS;
}

/* The upper levels, one page each from TABLES_GPA down to the page-directory-pointer table, then the directories. */
static void tables_wide(struct vm *vm, unsigned int nr_upper, uint64_t pointer_flags)
{
	uint64_t gpa = TABLES_GPA, *table;
	unsigned int i;

	for (; nr_upper > 1; nr_upper--, gpa += PAGE_BYTES) {
		table = vm_hva(vm, gpa, PAGE_BYTES);
		table[0] = (gpa + PAGE_BYTES) | TABLE_FLAGS;
	}
	table = vm_hva(vm, gpa, PAGE_BYTES);
	for (i = 0; i < 4; i++)
		table[i] = (gpa + (1 + i) * PAGE_BYTES) | pointer_flags;
	tables_directories(vm_hva(vm, gpa + PAGE_BYTES, 4 * PAGE_BYTES));
}

void mode_write_tables(struct vm *vm, unsigned int mode)
{
	unsigned int i;

	if (mode == REAL16)
		return;
	gdt_write(vm_hva(vm, GDT_GPA, GDT_BYTES));
	for (i = 0; i < ABI_MAX_VCPUS; i++)
		tss_write(vm_hva(vm, TSS_GPA + i * TSS_BYTES, TSS_BYTES), mode);
	switch (mode) {
	case PAGE32:
		tables_page32(vm_hva(vm, TABLES_GPA, PAGE_BYTES));
		break;
	case PAE32:
		tables_wide(vm, 1, PTE_P);
		break;
	case LONG64:
		tables_wide(vm, 2, TABLE_FLAGS);
		break;
	case LA57:
		tables_wide(vm, 3, TABLE_FLAGS);
		break;
	}
}

/* --- registers --- */

static void segment_from_gdt(struct kvm_segment *segment, uint16_t selector, uint64_t descriptor)
{
	uint32_t limit = (descriptor & 0xffff) | (descriptor >> 32 & 0xf0000);
	uint8_t g = descriptor >> 55 & 1;

	*segment = (struct kvm_segment){
		.base = (descriptor >> 16 & 0xffffff) | (descriptor >> 32 & 0xff000000),
		.limit = g ? limit << 12 | 0xfff : limit,
		.selector = selector,
		.type = descriptor >> 40 & 0xf,
		.present = 1,
		.dpl = descriptor >> 45 & 3,
		.db = descriptor >> 54 & 1,
		.s = descriptor >> 44 & 1,
		.l = descriptor >> 53 & 1,
		.g = g,
	};
}

static void segment_real(struct kvm_segment *segment, uint64_t base, uint8_t type)
{
	*segment = (struct kvm_segment){
		.base = base, .limit = 0xffff, .selector = base >> 4, .type = type, .present = 1, .s = 1,
	};
}

static void sregs_real(struct kvm_sregs *sregs, unsigned int index)
{
	segment_real(&sregs->cs, 0, 0xb);
	segment_real(&sregs->ds, 0, 0x3);
	sregs->es = sregs->ss = sregs->fs = sregs->ds;
	segment_real(&sregs->gs, ABI_GPA + index * ABI_PAGE_BYTES, 0x3);
	sregs->idt = (struct kvm_dtable){ .base = 0, .limit = 0x3ff };
	sregs->gdt = (struct kvm_dtable){ .base = 0, .limit = 0xffff };
	sregs->cr0 = X86_CR0_ET;
	sregs->cr3 = sregs->cr4 = sregs->efer = 0;
}

static void sregs_protected(struct kvm_sregs *sregs, unsigned int mode, unsigned int index)
{
	bool is_long = mode & (LONG64 | LA57);
	uint16_t code = is_long ? SEL_CODE64 : SEL_CODE32;
	uint32_t page = ABI_GPA + index * ABI_PAGE_BYTES, tss = TSS_GPA + index * TSS_BYTES;

	segment_from_gdt(&sregs->cs, code, flat_descriptors[code / 8]);
	segment_from_gdt(&sregs->ds, SEL_DATA, flat_descriptors[SEL_DATA / 8]);
	sregs->es = sregs->ss = sregs->fs = sregs->ds;
	segment_from_gdt(&sregs->gs, SEL_SELF + 8 * index + 3, DESCRIPTOR(page, 0xfffu, TYPE_DATA, 3, 0x4));
	segment_from_gdt(&sregs->tr, SEL_TSS + 16 * index, DESCRIPTOR(tss, 0x67u, TYPE_TSS_BUSY, 0, 0));
	sregs->gdt = (struct kvm_dtable){ .base = GDT_GPA, .limit = GDT_BYTES - 1 };
	sregs->idt = (struct kvm_dtable){ .base = 0, .limit = 0 };
}

void mode_sregs(struct kvm_sregs *sregs, unsigned int mode, unsigned int index)
{
	if (mode == REAL16) {
		sregs_real(sregs, index);
		return;
	}
	sregs_protected(sregs, mode, index);
	sregs->cr0 = X86_CR0_PE | X86_CR0_ET | X86_CR0_NE;
	sregs->cr3 = sregs->cr4 = sregs->efer = 0;
	if (mode == PROT32)
		return;
	sregs->cr0 |= X86_CR0_PG | X86_CR0_WP;
	sregs->cr3 = TABLES_GPA;
	sregs->cr4 = mode == PAGE32 ? X86_CR4_PSE : X86_CR4_PAE;
	if (mode != PAGE32)
		sregs->efer = EFER_NX;
	if (mode & (LONG64 | LA57))
		sregs->efer |= EFER_LME | EFER_LMA;
	if (mode == LA57)
		sregs->cr4 |= X86_CR4_LA57;
}

void mode_enter(struct vcpu *vcpu, unsigned int mode, unsigned int index, uint64_t entry)
{
	struct kvm_regs regs = { .rip = entry, .rflags = 2 };
	struct kvm_sregs sregs;

	vcpu_ioctl(vcpu, KVM_GET_SREGS, &sregs);
	mode_sregs(&sregs, mode, index);
	vcpu_ioctl(vcpu, KVM_SET_SREGS, &sregs);
	vcpu_ioctl(vcpu, KVM_SET_REGS, &regs);
}

/* --- CPUID --- */

int sys_supported_cpuid_try(struct sys *sys, struct kvm_cpuid2 **ret_cpuid)
{
	unsigned int nr = 256;
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + nr * sizeof(cpuid->entries[0]));
	int r;

	if (!cpuid)
		return -ENOMEM;
	cpuid->nent = nr;
	r = sys_ioctl_try(sys, KVM_GET_SUPPORTED_CPUID, cpuid);
	if (r) {
		free(cpuid);
		return r;
	}
	*ret_cpuid = cpuid;
	return 0;
}

struct kvm_cpuid2 *sys_supported_cpuid(struct sys *sys)
{
	struct kvm_cpuid2 *cpuid = NULL;
	int r = sys_supported_cpuid_try(sys, &cpuid);

	if (r)
		sys->must_failed(sys->context, "KVM_GET_SUPPORTED_CPUID", r);
	return cpuid;
}

void vcpu_set_supported_cpuid(struct vcpu *vcpu)
{
	struct sys *sys = vcpu->vm->sys;

	if (!sys->cpuid)
		sys->cpuid = sys_supported_cpuid(sys);
	vcpu_ioctl(vcpu, KVM_SET_CPUID2, sys->cpuid);
}

int cpuid_find(const struct kvm_cpuid2 *cpuid, uint32_t leaf, uint32_t subleaf, struct kvm_cpuid_entry2 *ret_entry)
{
	uint32_t i;

	for (i = 0; i < cpuid->nent; i++) {
		const struct kvm_cpuid_entry2 *entry = &cpuid->entries[i];

		if (entry->function != leaf)
			continue;
		if ((entry->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) && entry->index != subleaf)
			continue;
		if (ret_entry)
			*ret_entry = *entry;
		return 1;
	}
	return 0;
}
