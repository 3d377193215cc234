/* SPDX-License-Identifier: MIT */
/*
 * An interrupt whose vector has a task gate is taken once: it switches to the gate's task, which returns with IRET to
 * the interrupted one, whose registers are as they were.
 *
 * Can break: KVM executes the task switch itself, with the interrupt half delivered: injected again it meets a busy TSS;
 * NT, the back link, the busy bits; RIP of what was interrupted.
 * Source: APM vol. 2, 12.3, 8.7.1 (task gates); KVM API, KVM_INTERRUPT.
 */
#include "case.h"

#define VECTOR 0x41
#define TASK_GATE (0x85ull << 40)
#define TSS_AVAILABLE 0x0000890000000067ull
#define TSS_BUSY (1ull << 41)

INSN(gate_task, "incl task_gate_count\n\tiret\n\tjmp gate_task")

CASE(task_gate_interrupt, .says = "an interrupt through a task gate switches tasks once", .modes = PROTECTED)

/* The offsets are those of a 32-bit TSS: APM vol. 2, 12.2.3. */
struct tss {
	uint32_t back_link, stacks[6], cr3, eip, eflags, eax, ecx, edx, ebx, esp, ebp, esi, edi, es, cs, ss, ds, fs,
		gs, ldt, io_map;
};

_Static_assert(sizeof(struct tss) == 0x68, "APM vol. 2, 12.2.3");

uint32_t task_gate_count;
static struct tss tss;
static uint32_t stack[64];

static void task_make(void)
{
	uint64_t base = (ulong_t)&tss;

	tss = (struct tss){ .cr3 = guest_mode() == PROT32 ? 0 : read_cr3(), .eip = (ulong_t)gate_task, .eflags = 2,
			    .esp = (ulong_t)&stack[64], .es = SEL_DATA, .cs = SEL_CODE32, .ss = SEL_DATA,
			    .ds = SEL_DATA, .fs = SEL_DATA, .gs = SEL_SELF };
	/* A task switch loads CR3 and does not save it: the way back needs it in the TSS that runs now. */
	((struct tss *)TSS_GPA)->cr3 = tss.cr3;
	*(uint64_t *)(GDT_GPA + SEL_FREE) = TSS_AVAILABLE | (base & 0xffffff) << 16 | (base >> 24) << 56;
	*(uint64_t *)guest_idt_entry(VECTOR) = TASK_GATE | (uint64_t)SEL_FREE << 16;
}

static void check_back(uint32_t count)
{
	uint16_t tr;

	__asm__ volatile("str %0" : "=r"(tr));
	CHECK_EQ(count, task_gate_count);
	CHECK_EQ(SEL_TSS, tr);
	CHECK_EQ(0, read_flags() & X86_EFLAGS_NT);
	CHECK_EQ(SEL_TSS, tss.back_link & 0xffff);
	CHECK_EQ(0, *(uint64_t *)(GDT_GPA + SEL_FREE) & TSS_BUSY);
	CHECK_EQ(TSS_BUSY, *(uint64_t *)(GDT_GPA + SEL_TSS) & TSS_BUSY);
}

GUEST(task_gate_interrupt)
{
	uint32_t round;

	task_make();
	for (round = 1; round <= 3; round++) {
		sti();
		guest_sync(round);
		__asm__ volatile("nop\n\tnop" : : : "memory");
		cli();
		check_back(round);
	}
}

HOST(task_gate_interrupt)
{
	struct kvm_interrupt interrupt = { .irq = VECTOR };
	uint32_t round;

	for (round = 1; round <= 3; round++) {
		require_sync(t, round);
		vcpu_ioctl(t->vcpu, KVM_INTERRUPT, &interrupt);
	}
	expect_done(t);
}
