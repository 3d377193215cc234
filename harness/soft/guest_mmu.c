/* SPDX-License-Identifier: MIT */
/*
 * The guest's own page tables, walked by the hypervisor: KVM_TRANSLATE (KVM API, 4.15) and the reading of guest memory
 * by linear address. APM vol. 2, chapter 5. No rights are asked and no bits are set: that is the CPU's.
 */
#include "soft/private.h"

#include <errno.h>
#include <string.h>

#include "machine/svm.h"
#include "vm/x86/bits.h"

#define PAGE_BYTES 4096u
#define PAGE_MASK 0xfffull
#define ADDRESS_BITS 0x000ffffffffff000ull
#define PDE32_FRAME 0xffc00000ull

struct format {
	unsigned int nr_levels;
	unsigned int entry_bytes;
	unsigned int index_bits;
};

static const struct format *format_of(const struct vmcb_save *save)
{
	static const struct format formats[] = { { 2, 4, 10 }, { 3, 8, 9 }, { 4, 8, 9 }, { 5, 8, 9 } };

	if (!(save->cr4 & X86_CR4_PAE))
		return &formats[0];
	if (!(save->efer & EFER_LMA))
		return &formats[1];
	return &formats[save->cr4 & X86_CR4_LA57 ? 3 : 2];
}

static uint64_t root_of(const struct vmcb_save *save, const struct format *format)
{
	return save->cr3 & (format->nr_levels == 3 ? 0xffffffe0 : ADDRESS_BITS);
}

static bool is_leaf(const struct vmcb_save *save, const struct format *format, unsigned int level, uint64_t entry)
{
	if (level == 1)
		return true;
	if (!(entry & PTE_PS))
		return false;
	if (format->nr_levels == 2)
		return save->cr4 & X86_CR4_PSE;
	return level == 2 || (level == 3 && format->nr_levels > 3);
}

static bool is_reserved(const struct soft_vcpu *vcpu, const struct format *format, unsigned int level, uint64_t entry)
{
	if (format->nr_levels == 2)
		return false;
	if (!vcpu_is_legal_gpa(vcpu, entry & ADDRESS_BITS))
		return true;
	return ((entry & PTE_NX) && !(vcpu->vmcb->save.efer & EFER_NX)) || (level > 3 && (entry & PTE_PS));
}

/* PSE36: bits 20:13 of a large page's entry are the address' 39:32. */
static uint64_t leaf_frame(const struct format *format, unsigned int level, uint64_t entry)
{
	if (level == 2 && format->nr_levels == 2)
		return (entry & PDE32_FRAME) | (entry >> 13 & 0xff) << 32;
	return entry & ADDRESS_BITS;
}

bool guest_translate(struct soft_vcpu *vcpu, uint64_t linear, uint64_t *ret_gpa)
{
	const struct vmcb_save *save = &vcpu->vmcb->save;
	const struct format *format = format_of(save);
	uint64_t table = root_of(save, format);
	unsigned int level;
	bool is_pdptr;

	if (!(save->cr0 & X86_CR0_PG)) {
		*ret_gpa = linear;
		return true;
	}
	for (level = format->nr_levels; ; level--) {
		unsigned int shift = 12 + (level - 1) * format->index_bits;
		uint64_t entry = 0, index = linear >> shift & ((1u << format->index_bits) - 1), offset;

		is_pdptr = vcpu->has_pdptrs && format->nr_levels == 3 && level == 3;
		if (is_pdptr)
			entry = vcpu->pdptrs[index];
		else if (guest_read(vcpu_space(vcpu), table + index * format->entry_bytes, &entry, format->entry_bytes))
			return false;
		if (!(entry & PTE_P) || is_reserved(vcpu, format, level, entry))
			return false;
		if (is_leaf(save, format, level, entry)) {
			offset = (1ull << shift) - 1;
			*ret_gpa = (leaf_frame(format, level, entry) & ~offset) | (linear & offset);
			return true;
		}
		table = entry & ADDRESS_BITS;
	}
}

static int linear_move(struct soft_vcpu *vcpu, uint64_t linear, void *own, size_t len_bytes, bool is_write)
{
	while (len_bytes) {
		size_t len = PAGE_BYTES - (linear & PAGE_MASK);
		uint64_t gpa;

		if (len > len_bytes)
			len = len_bytes;
		if (!guest_translate(vcpu, linear, &gpa))
			return -EFAULT;
		if (is_write ? guest_write(vcpu_space(vcpu), gpa, own, len) : guest_read(vcpu_space(vcpu), gpa, own, len))
			return -EFAULT;
		linear += len;
		own = (uint8_t *)own + len;
		len_bytes -= len;
	}
	return 0;
}

int guest_linear_read(struct soft_vcpu *vcpu, uint64_t linear, void *to, size_t len_bytes)
{
	return linear_move(vcpu, linear, to, len_bytes, false);
}

int guest_linear_write(struct soft_vcpu *vcpu, uint64_t linear, const void *from, size_t len_bytes)
{
	return linear_move(vcpu, linear, (void *)(uintptr_t)from, len_bytes, true);
}

uint64_t guest_code_linear(const struct soft_vcpu *vcpu)
{
	const struct vmcb_save *save = &vcpu->vmcb->save;

	if (save_is_64bit(save))
		return save->rip;
	return (uint32_t)(save->cs.base + save->rip);
}

unsigned int guest_code_read(struct soft_vcpu *vcpu, uint8_t *bytes, unsigned int max)
{
	uint64_t linear = guest_code_linear(vcpu);
	unsigned int in_page = PAGE_BYTES - (linear & PAGE_MASK);

	if (!guest_linear_read(vcpu, linear, bytes, max))
		return max;
	return in_page < max && !guest_linear_read(vcpu, linear, bytes, in_page) ? in_page : 0;
}

static long answer_translate(struct call *call)
{
	struct kvm_translation *translation = call->data;
	struct soft_vm *vm = call->vm;
	uint64_t gpa = ~0ull;

	vm_lock(vm);
	translation->valid = guest_translate(call->vcpu, translation->linear_address, &gpa);
	vm_unlock(vm);
	translation->physical_address = gpa;
	translation->writeable = 1;
	translation->usermode = 0;
	return 0;
}

const struct answer guest_mmu_answers[] = {
	{ KVM_TRANSLATE, answer_translate, false },
	{ 0, NULL, false },
};
