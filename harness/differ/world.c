/* SPDX-License-Identifier: MIT */
#include "differ/world.h"

#include <string.h>

#include "differ/diff.h"
#include "vm/x86/bits.h"

#define PML4_GPA 0x1000u
#define PDPT_GPA 0x2000u
#define PD_GPA 0x3000u
#define PT_GPA 0x4000u
#define GDT_GPA_ 0x5000u
#define TSS_GPA_ 0x5800u
#define SYSTEM_PDPT_GPA 0x6000u
#define SYSTEM_PD_GPA 0x7000u
#define CODE_GPA 0x8000u
#define DATA_GPA 0x9000u
#define CONST_GPA 0xb000u
#define IDT_GPA_ 0xc000u
#define HANDLERS_GPA 0xd000u	/* + vector */
#define STACK_GPA 0xef00u	/* grows down from here */
#define SYSTEM_LINEAR 0xffffa5a5a5a00000ull	/* all of the memory, and nowhere near a round number */

#define NR_GDT_ENTRIES 18
#define TSS_LIMIT 0x67u
#define INSN_AT (CODE_GPA + (uint32_t)(INSN_ADDRESS - CODE_ADDRESS))
/* Accessed and dirty from the start: who sets these bits when is not what is compared. */
#define TABLE (PTE_P | PTE_W | PTE_U | PTE_A)
#define LEAF (PTE_P | PTE_U | PTE_A | PTE_D)

/* Where a 64-bit Linux has its segments, for the sake of rng_selector(); then some that cannot be loaded everywhere. */
static const uint64_t gdt[NR_GDT_ENTRIES] = {
	[1] = 0x00af9b000000ffff,	/* 08: code, 64-bit, DPL 0 */
	[2] = 0x00cf93000000ffff,	/* 10: data, DPL 0 */
	[3] = 0x00cf9b000000ffff,	/* 18: code, 32-bit, DPL 0 */
	[4] = 0x00cffb000000ffff,	/* 20: code, 32-bit, DPL 3 */
	[5] = 0x00cff3000000ffff,	/* 28: data, DPL 3 */
	[6] = 0x00affb000000ffff,	/* 30: code, 64-bit, DPL 3 */
	[7] = 0x00cf73000000ffff,	/* 38: data, DPL 3, not present */
	[8] = 0x00008b0000000000 | TSS_LIMIT | (uint64_t)TSS_GPA_ << 16,	/* 40: the TSS, busy; see world_fill() */
	[10] = 0x0000890000000000 | TSS_LIMIT | (uint64_t)TSS_GPA_ << 16,	/* 50: a TSS, free */
	[12] = 0x000082000000001f | (uint64_t)GDT_GPA_ << 16,			/* 60: an LDT */
	[14] = 0x00cf9f000000ffff,	/* 70: code, 32-bit, DPL 0, conforming */
	[15] = 0x0040f3000000ffff,	/* 78: data, DPL 3, 64 KiB */
	[16] = 0x00cff1000000ffff,	/* 80: data, DPL 3, read-only */
	[17] = 0x00cff9000000ffff,	/* 88: code, 32-bit, DPL 3, execute-only */
};

static void put(uint8_t *memory, uint64_t at, uint64_t value)
{
	memcpy(memory + at, &value, sizeof(value));
}

static void put_page(uint8_t *memory, uint64_t linear, uint64_t gpa, uint64_t rights)
{
	put(memory, PT_GPA + (linear >> 12 & 511) * 8, gpa | LEAF | rights);
}

static void put_tables(uint8_t *memory)
{
	put(memory, PML4_GPA, PDPT_GPA | TABLE);
	put(memory, PML4_GPA + (SYSTEM_LINEAR >> 39 & 511) * 8, SYSTEM_PDPT_GPA | PTE_P | PTE_W | PTE_A);
	put(memory, SYSTEM_PDPT_GPA + (SYSTEM_LINEAR >> 30 & 511) * 8, SYSTEM_PD_GPA | PTE_P | PTE_W | PTE_A);
	put(memory, SYSTEM_PD_GPA + (SYSTEM_LINEAR >> 21 & 511) * 8, PTE_P | PTE_W | PTE_A | PTE_D | PTE_PS);
	put(memory, PDPT_GPA, PD_GPA | TABLE);
	put(memory, PD_GPA + (CODE_ADDRESS >> 21) * 8, PT_GPA | TABLE);
	put_page(memory, CODE_ADDRESS, CODE_GPA, PTE_W);
	put_page(memory, DATA_ADDRESS, DATA_GPA, PTE_W | PTE_NX);
	put_page(memory, DATA_ADDRESS + PAGE_BYTES_, DATA_GPA + PAGE_BYTES_, PTE_W | PTE_NX);
	put_page(memory, CONST_ADDRESS, CONST_GPA, PTE_NX);
}

/* Interrupt gates that user code may call, to 64-bit code at CPL 0 and a stack of their own. */
static void put_idt(uint8_t *memory)
{
	unsigned int vector;

	for (vector = 0; vector < 256; vector++) {
		uint64_t handler = SYSTEM_LINEAR + HANDLERS_GPA + vector;

		put(memory, IDT_GPA_ + vector * 16, (handler & 0xffff) | 0x08 << 16 | 1ull << 32 | 0xeeull << 40 |
		    (handler >> 16 & 0xffff) << 48);
		put(memory, IDT_GPA_ + vector * 16 + 8, handler >> 32);
	}
	memset(memory + HANDLERS_GPA, 0xf4, 256);
}

void world_fill(uint8_t *memory)
{
	uint64_t stack = SYSTEM_LINEAR + STACK_GPA, high = SYSTEM_LINEAR >> 32;
	/* The base's bits 31:24 of what lies in system memory; its low 16 bits are the offset, for 23:16 see below. */
	uint64_t middle = (SYSTEM_LINEAR >> 16 & 0xff) << 32 | (SYSTEM_LINEAR >> 24 & 0xff) << 56;
	unsigned int i;

	memset(memory, 0, WORLD_BYTES);
	put_tables(memory);
	memcpy(memory + GDT_GPA_, gdt, sizeof(gdt));
	for (i = 8; i <= 12; i += 2) {
		put(memory, GDT_GPA_ + i * 8, gdt[i] | middle);
		put(memory, GDT_GPA_ + i * 8 + 8, high);
	}
	put(memory, TSS_GPA_ + 4, stack);		/* RSP0 */
	put(memory, TSS_GPA_ + 36, stack);		/* IST1 */
	put(memory, TSS_GPA_ + 96, (uint64_t)(TSS_LIMIT + 1) << 48);	/* no I/O permission bitmap: its base is at 102 */
	put_idt(memory);
	memset(memory + CODE_GPA, 0xcc, PAGE_BYTES_);
}

void world_put(uint8_t *memory, const uint8_t *fresh, const struct instance *instance)
{
	static const uint8_t prefix[WORLD_PREFIX_BYTES] = { 0x0f, 0x0b, 'k', 'v', 'm' };

	memcpy(memory, fresh, WORLD_BYTES);
	memcpy(memory + INSN_AT - WORLD_PREFIX_BYTES, prefix, sizeof(prefix));
	memcpy(memory + INSN_AT, instance->code, instance->len);
	instance_fill_data(instance, memory + DATA_GPA);
}

static struct kvm_segment flat(uint16_t selector, uint8_t type, unsigned int cpl)
{
	return (struct kvm_segment){ .selector = (uint16_t)(selector | cpl), .limit = ~0u, .type = type, .s = 1,
		.present = 1, .dpl = (uint8_t)cpl, .g = 1 };
}

static void enter_segments(struct kvm_sregs *sregs, bool is_64, unsigned int cpl)
{
	sregs->cs = flat(is_64 ? (cpl ? 0x30 : 0x08) : cpl ? 0x20 : 0x18, 11, cpl);
	sregs->cs.l = is_64;
	sregs->cs.db = !is_64;
	sregs->ss = flat(cpl ? 0x28 : 0x10, 3, cpl);
	sregs->ss.db = 1;
	sregs->ds = sregs->es = sregs->ss;
	sregs->fs = sregs->gs = (struct kvm_segment){ .unusable = 1 };
	sregs->ldt = (struct kvm_segment){ .unusable = 1 };
	sregs->tr = (struct kvm_segment){ .selector = 0x40, .base = SYSTEM_LINEAR + TSS_GPA_, .limit = TSS_LIMIT,
		.type = 11, .present = 1 };
}

void world_enter(struct kvm_sregs *sregs, struct kvm_regs *regs, const struct instance *instance, unsigned int cpl)
{
	enter_segments(sregs, instance->is_64, cpl);
	sregs->gdt = (struct kvm_dtable){ .base = SYSTEM_LINEAR + GDT_GPA_, .limit = sizeof(gdt) - 1 };
	sregs->idt = (struct kvm_dtable){ .base = SYSTEM_LINEAR + IDT_GPA_, .limit = 0xfff };
	sregs->cr0 = X86_CR0_PE | X86_CR0_MP | X86_CR0_ET | X86_CR0_NE | X86_CR0_WP | X86_CR0_AM | X86_CR0_PG;
	sregs->cr2 = 0;
	sregs->cr3 = PML4_GPA;
	sregs->cr4 = X86_CR4_PAE | X86_CR4_PGE | X86_CR4_OSFXSR;
	sregs->cr8 = 0;
	sregs->efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NX;
	*regs = (struct kvm_regs){
		.rax = instance->regs[0], .rcx = instance->regs[1], .rdx = instance->regs[2], .rbx = instance->regs[3],
		.rsp = instance->regs[4], .rbp = instance->regs[5], .rsi = instance->regs[6], .rdi = instance->regs[7],
		.r8 = instance->regs[8], .r9 = instance->regs[9], .r10 = instance->regs[10], .r11 = instance->regs[11],
		.r12 = instance->regs[12], .r13 = instance->regs[13], .r14 = instance->regs[14],
		.r15 = instance->regs[15], .rip = INSN_ADDRESS, .rflags = instance->rflags,
	};
}

uint32_t world_port(uint16_t port)
{
	return port * 0x9e3779b1u ^ 0xa5a5a5a5u;
}

/* --- comparison --- */

static void forget_what_is_open(struct world_outcome *outcome, uint64_t undefined)
{
	struct kvm_sregs *sregs = &outcome->sregs;

	diff_forget_absent(&sregs->ds);
	diff_forget_absent(&sregs->es);
	diff_forget_absent(&sregs->fs);
	diff_forget_absent(&sregs->gs);
	diff_forget_absent(&sregs->ldt);
	/* The handler's: it is null when the privilege changed (APM vol. 2, 8.9.3); QEMU empties it for any new stack. */
	memset(&sregs->ss, 0, sizeof(sregs->ss));
	sregs->apic_base = 0;
	memset(sregs->interrupt_bitmap, 0, sizeof(sregs->interrupt_bitmap));
	outcome->regs.rflags &= ~undefined;
}

/* The frame's RFLAGS lies third from its end, whatever the error code did to its beginning. */
#define FRAME_FLAGS (STACK_GPA - 24)
#define FRAME_ERROR (STACK_GPA - 48)	/* of those that have one */

#define PF_HANDLED 15	/* RIP's last byte behind the HLT of #PF's handler */
#define PF_WRITE 2u

static bool memory_differs(const struct world_outcome *want, const struct world_outcome *got, uint64_t undefined,
			   struct diff *diff)
{
	uint8_t ignored[8];
	uint32_t at;
	bool ret = false;

	if (!memcmp(want->memory, got->memory, WORLD_BYTES))
		return false;
	/* Whether RF was set: QEMU knows no such thing. */
	undefined |= X86_EFLAGS_RF;
	memcpy(ignored, &undefined, sizeof(ignored));
	for (at = 0; at < WORLD_BYTES; at++) {
		uint8_t mask = at >= FRAME_FLAGS && at < FRAME_FLAGS + 8 ? (uint8_t)~ignored[at - FRAME_FLAGS] : 0xff;

		/* What reads before it writes may fault as either. */
		if (at == FRAME_ERROR && (want->regs.rip & 0xff) == PF_HANDLED)
			mask = (uint8_t)~PF_WRITE;
		if (!((want->memory[at] ^ got->memory[at]) & mask))
			continue;
		ret = true;
		diff_say(diff, "  memory 0x%04x: want 0x%02x, got 0x%02x\n", at, want->memory[at], got->memory[at]);
	}
	return ret;
}

static const char *end_name(enum world_end end)
{
	return end == WORLD_HALTED ? "a HLT" : end == WORLD_SHUT_DOWN ? "a shutdown" : "nothing known";
}

bool world_differs(const struct world_outcome *want_in, const struct world_outcome *got_in, uint64_t undefined,
		   char *buf, size_t len_bytes)
{
	struct world_outcome want = *want_in, got = *got_in;
	struct diff diff = { buf, 0, len_bytes };
	bool ret;

	buf[0] = '\0';
	if (want.end != got.end) {
		diff_say(&diff, "  want %s at the end, got %s\n", end_name(want.end), end_name(got.end));
		return true;
	}
	/* A triple fault leaves nothing that is defined. */
	if (want.end != WORLD_HALTED)
		return false;
	forget_what_is_open(&want, undefined);
	forget_what_is_open(&got, undefined);
	ret = diff_regs(&diff, &want.regs, &got.regs);
	ret |= diff_sregs(&diff, &want.sregs, &got.sregs);
	return memory_differs(&want, &got, undefined, &diff) || ret;
}
