/* SPDX-License-Identifier: MIT */
#include "differ/scene.h"

#include <string.h>

#include "differ/diff.h"
#include "differ/scene_memory.h"
#include "vm/x86/bits.h"

#define PF_WRITE 2

static const char *end_name(enum world_end end)
{
	return end == WORLD_HALTED ? "a HLT" : end == WORLD_SHUT_DOWN ? "a shutdown" : "nothing known";
}

unsigned int scene_vector(const struct scene_outcome *outcome)
{
	return (unsigned int)(outcome->regs.rip + outcome->sregs.cs.base - HANDLERS_AT - 1);
}

/* Bits 19:16 of what LAR gives are undefined (APM vol. 3, LAR). */
static void forget_lar(struct kvm_regs *regs)
{
	__u64 *const all[] = { &regs->rax, &regs->rcx, &regs->rdx, &regs->rbx, &regs->rbp, &regs->rsi, &regs->rdi };
	unsigned int i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		*all[i] &= ~0xf0000ull;
}

/* KVM derives the bit from the limit, because the VMCB need not have it. */
static void derive_granularity(struct kvm_segment *segment)
{
	segment->g = segment->limit > 0xfffff;
}

static void forget_what_is_open(struct scene_outcome *outcome)
{
	struct kvm_sregs *sregs = &outcome->sregs;
	struct kvm_segment *const segments[] = { &sregs->cs, &sregs->ss, &sregs->ds, &sregs->es, &sregs->fs, &sregs->gs,
		&sregs->tr, &sregs->ldt };
	unsigned int i;

	for (i = 0; i < sizeof(segments) / sizeof(segments[0]); i++)
		derive_granularity(segments[i]);
	diff_forget_absent(&sregs->ds);
	diff_forget_absent(&sregs->es);
	diff_forget_absent(&sregs->fs);
	diff_forget_absent(&sregs->gs);
	diff_forget_absent(&sregs->ss);
	/* A handler's: null when the privilege changed (APM vol. 2, 8.9.3); QEMU empties it for any new stack. */
	if (sregs->efer & EFER_LMA)
		memset(&sregs->ss, 0, sizeof(sregs->ss));
	diff_forget_absent(&sregs->ldt);
	/* KVM has bounds of its own for the real mode's type, and no attribute of TR but these. */
	if (!(sregs->cr0 & X86_CR0_PE))
		sregs->cs.type = 3;
	/* KVM leaves RF set behind an instruction that it completes itself. */
	outcome->regs.rflags &= ~X86_EFLAGS_RF;
	sregs->apic_base = 0;
	memset(sregs->interrupt_bitmap, 0, sizeof(sregs->interrupt_bitmap));
}

static bool number_differs(struct diff *diff, const char *name, unsigned int index, uint64_t want, uint64_t got)
{
	if (want == got)
		return false;
	diff_say(diff, "  %s 0x%x: want 0x%llx, got 0x%llx\n", name, index, (unsigned long long)want,
		 (unsigned long long)got);
	return true;
}

/* Where the handler's frame has RF, which QEMU does not know; 0: nowhere, as in a 16-bit frame. */
static uint32_t rf_address(const struct scene_outcome *outcome)
{
	const uint32_t vectors_with_error = 1u << 8 | 0x1fu << 10 | 1u << 17;
	unsigned int vector = scene_vector(outcome);
	bool has_error = vector < 32 && (vectors_with_error >> vector & 1);
	unsigned int size = outcome->sregs.cs.l ? 8 : 4;

	if (!(outcome->sregs.cr0 & X86_CR0_PE))
		return 0;
	return (uint32_t)(outcome->regs.rsp + outcome->sregs.ss.base + (has_error + 2u) * size + 2);
}

/* The bits of a byte of the handler's frame that are open. */
static uint8_t open_bits(const struct scene_outcome *want, uint32_t at)
{
	if (at == rf_address(want))
		return X86_EFLAGS_RF >> 16;
	/* What reads before it writes may fault as either. */
	if (scene_vector(want) == PF_VECTOR && at == (uint32_t)(want->regs.rsp + want->sregs.ss.base))
		return PF_WRITE;
	return 0;
}

static bool memory_differs(struct diff *diff, const struct scene_outcome *want, const struct scene_outcome *got)
{
	uint32_t at;
	bool ret = false;

	if (!memcmp(want->memory, got->memory, WORLD_BYTES))
		return false;
	for (at = 0; at < WORLD_BYTES; at++)
		if ((want->memory[at] ^ got->memory[at]) & ~open_bits(want, at))
			ret |= number_differs(diff, "memory", at, want->memory[at], got->memory[at]);
	return ret;
}

bool scene_differs(const struct scene *scene, const struct scene_outcome *want_in, const struct scene_outcome *got_in,
		   char *buf, size_t len_bytes)
{
	struct scene_outcome want = *want_in, got = *got_in;
	struct diff diff = { buf, 0, len_bytes };
	unsigned int i;
	bool ret;

	buf[0] = '\0';
	if (want.end != got.end) {
		diff_say(&diff, "  want %s at the end, got %s\n", end_name(want.end), end_name(got.end));
		return true;
	}
	/* A triple fault leaves nothing that is defined. */
	if (want.end != WORLD_HALTED)
		return false;
	forget_what_is_open(&want);
	forget_what_is_open(&got);
	if (!strcmp(scene->name, "LAR")) {
		forget_lar(&want.regs);
		forget_lar(&got.regs);
	}
	ret = diff_regs(&diff, &want.regs, &got.regs);
	ret |= diff_sregs(&diff, &want.sregs, &got.sregs);
	for (i = 0; i < 4; i++)
		ret |= number_differs(&diff, "DR", i, want.dr[i], got.dr[i]);
	ret |= number_differs(&diff, "DR", 6, want.dr6, got.dr6);
	ret |= number_differs(&diff, "DR", 7, want.dr7, got.dr7);
	for (i = 0; i < NR_SCENE_MSRS; i++)
		ret |= number_differs(&diff, "MSR", scene_msr_numbers[i], want.msrs[i], got.msrs[i]);
	/* Where a double fault was, its frame does not say (APM vol. 2, 8.2.9). */
	return (scene_vector(&want) != DF_VECTOR && memory_differs(&diff, &want, &got)) || ret;
}
