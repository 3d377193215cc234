/* SPDX-License-Identifier: MIT */
/*
 * The machine's modes and events: how it gets from one mode to another, and what delivering an exception leaves
 * behind.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "machine_fixture.h"

#define BUDGET 1000
#define FLAGS (X86_EFLAGS_FIXED | X86_EFLAGS_CF)

/* RIP of the HLT's end: which handler it was. */
#define HANDLED(vector) (HANDLER_GPA + 16 * (vector) + 1)

MACHINE_CODE(divide_by_zero, "xor %ecx, %ecx; stc; div %ecx");
MACHINE_CODE(software_interrupt, "stc; int $0x21");
MACHINE_CODE(load_null, "mov (%rbx), %rax");
MACHINE_CODE(step, "pushf; orl $0x100, (%rsp); popf; inc %rax; inc %rax");
MACHINE_CODE(to_user, "pushq $0x2b; pushq %rcx; pushq $0x202; pushq $0x23; pushq %rdx; iretq");
MACHINE_CODE(user, "syscall");

/* Real mode to 32-bit protected mode to 64-bit mode, with CODE_GPA as a real-mode segment. */
MACHINE_CODE(boot,
	".code16\n"
	"lgdtl %cs:(6f - boot)\n"
	"mov %cr0, %eax; or $1, %al; mov %eax, %cr0\n"
	"ljmpl $0x18, $(0x10000 + 1f - boot)\n"
	".code32\n"
	"1: mov $0x10, %eax; mov %eax, %ds; mov %eax, %es; mov %eax, %ss\n"
	"mov %cr4, %eax; or $0x20, %eax; mov %eax, %cr4\n"
	"mov $0x1000, %eax; mov %eax, %cr3\n"
	"mov $0xc0000080, %ecx; rdmsr; or $0x100, %eax; wrmsr\n"
	"mov %cr0, %eax; or $0x80000000, %eax; mov %eax, %cr0\n"
	"ljmp $0x08, $(0x10000 + 2f - boot)\n"
	".code64\n"
	"2: movabs $0x123456789abcdef0, %rbx; mov $0x9000, %esp; push %rbx; pop %r9; hlt\n"
	"6: .word 0x4f; .long 0x5000");

static void open_long64(struct fixture *fixture, const uint8_t *code, const uint8_t *end)
{
	fixture_open(fixture);
	fixture_enter_long64(fixture);
	fixture_load(fixture, code, end);
}

/* What the handler finds on its stack. */
struct frame {
	uint64_t rip, cs, rflags, rsp, ss;
};

static void assert_frame(const struct fixture *fixture, uint64_t at, const struct frame *want)
{
	struct frame got;

	memcpy(&got, fixture->ram + at, sizeof(got));
	assert_memory_equal(&got, want, sizeof(got));
}

static void test_boot(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_open(&fixture);
	fixture_enter_long64(&fixture);
	cpu_reset(fixture.cpu);
	fixture_load(&fixture, boot, boot_end);
	fixture.cpu->segs[SEG_CS].selector = CODE_GPA >> 4;
	fixture.cpu->segs[SEG_CS].base = CODE_GPA;
	fixture.cpu->rip = 0;
	cpu_state_changed(fixture.cpu);
	assert_int_equal(machine_run(fixture.cpu, BUDGET), MACHINE_EXIT_HLT);
	assert_true(fixture.cpu->regs[REG_R9] == 0x123456789abcdef0);
	assert_true(fixture.cpu->is_long64);
	assert_int_equal(fixture.cpu->efer, EFER_LME | EFER_LMA);
	assert_int_equal(fixture.cpu->segs[SEG_CS].selector, CODE64_SEL);
	fixture_close(&fixture);
}

static void test_fault(void **state)
{
	const struct frame want = { CODE_GPA + 3, CODE64_SEL, FLAGS | X86_EFLAGS_RF | X86_EFLAGS_IF,
		STACK_GPA - 8, DATA_SEL };
	struct fixture fixture;

	(void)state;
	open_long64(&fixture, divide_by_zero, divide_by_zero_end);
	/* The frame is aligned to 16 bytes, wherever RSP was. XOR has set ZF and PF. */
	fixture.cpu->regs[REG_RSP] = STACK_GPA - 8;
	fixture.cpu->rflags |= X86_EFLAGS_IF;
	assert_int_equal(machine_run(fixture.cpu, BUDGET), MACHINE_EXIT_HLT);
	assert_int_equal(fixture.cpu->rip, HANDLED(VECTOR_DE));
	assert_int_equal(fixture.cpu->regs[REG_RSP], STACK_GPA - 16 - 40);
	fixture_put(&fixture, STACK_GPA - 40, fixture_get(&fixture, STACK_GPA - 40, 8) & ~(X86_EFLAGS_ZF |
		X86_EFLAGS_PF), 8);
	assert_frame(&fixture, STACK_GPA - 56, &(struct frame) { want.rip, want.cs,
		fixture_get(&fixture, STACK_GPA - 40, 8), want.rsp, want.ss });
	assert_int_equal(fixture_get(&fixture, STACK_GPA - 40, 8) & ~(X86_EFLAGS_ZF | X86_EFLAGS_PF), want.rflags);
	assert_int_equal(fixture.cpu->rflags & X86_EFLAGS_IF, 0);
	fixture_close(&fixture);
}

static void test_software_interrupt(void **state)
{
	struct fixture fixture;

	(void)state;
	open_long64(&fixture, software_interrupt, software_interrupt_end);
	assert_int_equal(machine_run(fixture.cpu, BUDGET), MACHINE_EXIT_HLT);
	assert_int_equal(fixture.cpu->rip, HANDLED(0x21));
	assert_frame(&fixture, STACK_GPA - 40, &(struct frame) { CODE_GPA + 3, CODE64_SEL, FLAGS, STACK_GPA,
		DATA_SEL });
	fixture_close(&fixture);
}

/* INT 14 is no page fault. */
static void test_software_page_fault(void **state)
{
	struct fixture fixture;

	(void)state;
	open_long64(&fixture, software_interrupt, software_interrupt_end);
	fixture_put(&fixture, CODE_GPA + 2, VECTOR_PF, 1);
	fixture.cpu->cr2 = 0x1234;
	assert_int_equal(machine_run(fixture.cpu, BUDGET), MACHINE_EXIT_HLT);
	assert_int_equal(fixture.cpu->rip, HANDLED(VECTOR_PF));
	assert_int_equal(fixture.cpu->cr2, 0x1234);
	assert_frame(&fixture, STACK_GPA - 40, &(struct frame) { CODE_GPA + 3, CODE64_SEL, FLAGS, STACK_GPA,
		DATA_SEL });
	fixture_close(&fixture);
}

static void test_page_fault(void **state)
{
	struct fixture fixture;

	(void)state;
	open_long64(&fixture, load_null, load_null_end);
	fixture.cpu->regs[REG_RBX] = PT_LINEAR + 0x123;
	/* Gate 14 with IST 1. */
	fixture_put(&fixture, IDT_GPA + 14 * 16 + 4, 1, 1);
	assert_int_equal(machine_run(fixture.cpu, BUDGET), MACHINE_EXIT_HLT);
	assert_int_equal(fixture.cpu->rip, HANDLED(VECTOR_PF));
	assert_int_equal(fixture.cpu->cr2, PT_LINEAR + 0x123);
	assert_int_equal(fixture.cpu->regs[REG_RSP], IST_GPA - 48);
	assert_int_equal(fixture_get(&fixture, IST_GPA - 48, 8), 0);
	fixture_close(&fixture);
}

/* A page fault whose gate is not present: #NP in its delivery makes a double fault. */
static void test_double_fault(void **state)
{
	struct fixture fixture;

	(void)state;
	open_long64(&fixture, load_null, load_null_end);
	fixture.cpu->regs[REG_RBX] = PT_LINEAR;
	fixture_put(&fixture, IDT_GPA + 14 * 16 + 5, 0x0e, 1);
	assert_int_equal(machine_run(fixture.cpu, BUDGET), MACHINE_EXIT_HLT);
	assert_int_equal(fixture.cpu->rip, HANDLED(VECTOR_DF));
	assert_int_equal(fixture_get(&fixture, STACK_GPA - 48, 8), 0);
	assert_int_equal(fixture_get(&fixture, STACK_GPA - 40, 8), CODE_GPA);
	fixture_close(&fixture);
}

/* A page fault in the delivery of another, with a stack for #DF that is there. */
static void test_double_page_fault(void **state)
{
	struct fixture fixture;

	(void)state;
	open_long64(&fixture, load_null, load_null_end);
	fixture.cpu->regs[REG_RBX] = PT_LINEAR;
	fixture.cpu->regs[REG_RSP] = PT_LINEAR + 0x1800;
	fixture_put(&fixture, IDT_GPA + 8 * 16 + 4, 1, 1);
	assert_int_equal(machine_run(fixture.cpu, BUDGET), MACHINE_EXIT_HLT);
	assert_int_equal(fixture.cpu->rip, HANDLED(VECTOR_DF));
	assert_int_equal(fixture.cpu->cr2, PT_LINEAR + 0x17f8);
	assert_frame(&fixture, IST_GPA - 40, &(struct frame) { CODE_GPA, CODE64_SEL, X86_EFLAGS_FIXED | X86_EFLAGS_RF,
		PT_LINEAR + 0x1800, DATA_SEL });
	fixture_close(&fixture);
}

/* #DE and then #NP: both contributory. With #DF's gate missing, too, nothing is left to do. */
static void test_triple_fault(void **state)
{
	struct fixture fixture;

	(void)state;
	open_long64(&fixture, divide_by_zero, divide_by_zero_end);
	fixture_put(&fixture, IDT_GPA + 5, 0x0e, 1);
	fixture_put(&fixture, IDT_GPA + 8 * 16 + 5, 0x0e, 1);
	assert_int_equal(machine_run(fixture.cpu, BUDGET), MACHINE_EXIT_SHUTDOWN);
	fixture_close(&fixture);
}

static void test_single_step(void **state)
{
	struct fixture fixture;

	(void)state;
	open_long64(&fixture, step, step_end);
	assert_int_equal(machine_run(fixture.cpu, BUDGET), MACHINE_EXIT_HLT);
	assert_int_equal(fixture.cpu->rip, HANDLED(VECTOR_DB));
	assert_int_equal(fixture.cpu->regs[REG_RAX], 1);
	assert_int_equal(fixture.cpu->dr[6] & 0xf00f, 0x4000);
	fixture_close(&fixture);
}

/* IRETQ to privilege 3, and back by SYSCALL. */
static void test_user(void **state)
{
	struct cpu *cpu;
	struct fixture fixture;

	(void)state;
	open_long64(&fixture, to_user, to_user_end);
	cpu = fixture.cpu;
	memcpy(fixture.ram + DATA_GPA, user, (size_t)(user_end - user));
	fixture_put(&fixture, PD_GPA, PTE_P | PTE_W | PTE_U | PTE_PS, 8);
	cpu->star = (uint64_t)CODE64_SEL << 32;
	cpu->lstar = HANDLED(0x80) - 1;
	cpu->sfmask = X86_EFLAGS_IF;
	cpu->regs[REG_RCX] = 0x8000;
	cpu->regs[REG_RDX] = DATA_GPA;
	assert_int_equal(machine_run(cpu, BUDGET), MACHINE_EXIT_HLT);
	assert_int_equal(cpu->rip, HANDLED(0x80));
	assert_int_equal(cpu->cpl, 0);
	assert_int_equal(cpu->regs[REG_RCX], DATA_GPA + 2);
	assert_int_equal(cpu->regs[REG_R11], 0x202);
	assert_int_equal(cpu->regs[REG_RSP], 0x8000);
	/* IRET took the segments away that privilege 3 may not have. */
	assert_int_equal(cpu->segs[SEG_DS].selector, 0);
	assert_int_equal(cpu->segs[SEG_DS].attrib, 0);
	assert_int_equal(cpu->rflags, X86_EFLAGS_FIXED);
	fixture_close(&fixture);
}

MACHINE_CODE(enable_interrupts, "sti; inc %rax; inc %rax; hlt");

/* One instruction behind STI runs before the interrupt is taken. */
static void test_shadow(void **state)
{
	struct fixture fixture;

	(void)state;
	open_long64(&fixture, enable_interrupts, enable_interrupts_end);
	fixture.cpu->interrupt = 0x30;
	assert_int_equal(machine_run(fixture.cpu, BUDGET), MACHINE_EXIT_HLT);
	assert_int_equal(fixture.cpu->rip, HANDLED(0x30));
	assert_int_equal(fixture.cpu->regs[REG_RAX], 1);
	assert_int_equal(fixture.cpu->interrupt, -1);
	fixture_close(&fixture);
}

MACHINE_CODE(to_v86, ".code32\n" "pushl $0; pushl $0; pushl $0; pushl $0x2000; pushl $0x3000; pushl $0x100\n"
	"pushl $0x20002; pushl $0x4000; pushl $2; iretl");

/* A virtual-8086 program at 4000:0002 that does INT 21h with IOPL 0: #GP(0), with all its segments on the stack. */
static void test_v86(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_open(&fixture);
	fixture_enter_prot32(&fixture);
	fixture_load(&fixture, to_v86, to_v86_end);
	fixture_put(&fixture, 0x40002, 0x21cd, 2);
	assert_int_equal(machine_run(fixture.cpu, BUDGET), MACHINE_EXIT_HLT);
	assert_int_equal(fixture.cpu->rip, HANDLED(VECTOR_GP));
	assert_int_equal(fixture.cpu->regs[REG_RSP], STACK0_GPA - 10 * 4);
	assert_int_equal(fixture_get(&fixture, STACK0_GPA - 40, 4), 0);
	assert_int_equal(fixture_get(&fixture, STACK0_GPA - 36, 4), 2);
	assert_int_equal(fixture_get(&fixture, STACK0_GPA - 32, 4), 0x4000);
	assert_int_equal(fixture_get(&fixture, STACK0_GPA - 28, 4), 0x30002);
	assert_int_equal(fixture_get(&fixture, STACK0_GPA - 24, 4), 0x100);
	assert_int_equal(fixture_get(&fixture, STACK0_GPA - 20, 4), 0x3000);
	assert_int_equal(fixture_get(&fixture, STACK0_GPA - 16, 4), 0x2000);
	fixture_close(&fixture);
}

MACHINE_CODE(jump_to_task, ".code32\n" "mov $0x77, %ecx; ljmp $0x48, $0");

#define TASK_GPA 0x60000u

/* A JMP to a TSS saves this task and takes all of the other's registers. */
static void test_task(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_open(&fixture);
	fixture_enter_prot32(&fixture);
	fixture_load(&fixture, jump_to_task, jump_to_task_end);
	fixture_put(&fixture, GDT_GPA + 0x48, 0x0000890000000067 | (TASK_GPA & 0xffffull) << 16 | 6ull << 32, 8);
	fixture_put(&fixture, GDT_GPA + TSS_SEL + 5, 0x8b, 1);
	fixture_put(&fixture, TASK_GPA + 0x20, DATA_GPA, 4);
	fixture_put(&fixture, TASK_GPA + 0x24, 2, 4);
	fixture_put(&fixture, TASK_GPA + 0x2c, 0x1234, 4);
	fixture_put(&fixture, TASK_GPA + 0x38, 0x8000, 4);
	fixture_put(&fixture, TASK_GPA + 0x4c, CODE32_SEL, 2);
	fixture_put(&fixture, TASK_GPA + 0x50, DATA_SEL, 2);
	fixture_put(&fixture, DATA_GPA, 0xf4, 1);
	assert_int_equal(machine_run(fixture.cpu, BUDGET), MACHINE_EXIT_HLT);
	assert_int_equal(fixture.cpu->rip, DATA_GPA + 1);
	assert_int_equal(fixture.cpu->regs[REG_RCX], 0x1234);
	assert_int_equal(fixture.cpu->regs[REG_RSP], 0x8000);
	assert_int_equal(fixture.cpu->segs[SEG_TR].selector, 0x48);
	assert_true(fixture.cpu->cr0 & X86_CR0_TS);
	/* What was left: its registers, and no longer busy. */
	assert_int_equal(fixture_get(&fixture, TSS_GPA + 0x20, 4), CODE_GPA + 12);
	assert_int_equal(fixture_get(&fixture, TSS_GPA + 0x2c, 4), 0x77);
	assert_int_equal(fixture_get(&fixture, GDT_GPA + TSS_SEL + 5, 1), 0x89);
	assert_int_equal(fixture_get(&fixture, GDT_GPA + 0x48 + 5, 1), 0x8b);
	fixture_close(&fixture);
}

MACHINE_CODE(vm_call, "vmmcall");

/* What CPUID does not offer is no instruction. */
static void test_absent(void **state)
{
	struct fixture fixture;

	(void)state;
	open_long64(&fixture, vm_call, vm_call_end);
	assert_int_equal(machine_run(fixture.cpu, BUDGET), MACHINE_EXIT_HLT);
	assert_int_equal(fixture.cpu->rip, HANDLED(VECTOR_UD));
	fixture_close(&fixture);
}

MACHINE_CODE(sse41, "pmulld %xmm1, %xmm0");

/* What is not implemented says so, at the instruction. */
static void test_unimplemented(void **state)
{
	struct fixture fixture;

	(void)state;
	open_long64(&fixture, sse41, sse41_end);
	assert_int_equal(machine_run(fixture.cpu, BUDGET), MACHINE_EXIT_UNIMPLEMENTED);
	assert_string_equal(fixture.cpu->unimplemented, "pmulld");
	assert_int_equal(fixture.cpu->rip, CODE_GPA);
	fixture_close(&fixture);
}

MACHINE_CODE(count, "1: inc %rax; dec %rcx; jnz 1b; hlt");

static void *count_alone(void *opaque)
{
	struct fixture *fixture = opaque;

	machine_run(fixture->cpu, ~0ull);
	return NULL;
}

/* Two machines share nothing: they run in two threads. */
static void test_threads(void **state)
{
	struct fixture fixtures[2];
	pthread_t threads[2];
	unsigned int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		open_long64(&fixtures[i], count, count_end);
		fixtures[i].cpu->regs[REG_RCX] = 100000 * (i + 1);
		assert_int_equal(pthread_create(&threads[i], NULL, count_alone, &fixtures[i]), 0);
	}
	for (i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(fixtures[i].cpu->regs[REG_RAX], 100000 * (i + 1));
		assert_int_equal(fixtures[i].cpu->nr_instructions, 300000 * (i + 1) + 1);
		fixture_close(&fixtures[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_boot),
		cmocka_unit_test(test_fault),
		cmocka_unit_test(test_software_interrupt),
		cmocka_unit_test(test_software_page_fault),
		cmocka_unit_test(test_page_fault),
		cmocka_unit_test(test_double_fault),
		cmocka_unit_test(test_double_page_fault),
		cmocka_unit_test(test_triple_fault),
		cmocka_unit_test(test_single_step),
		cmocka_unit_test(test_user),
		cmocka_unit_test(test_shadow),
		cmocka_unit_test(test_v86),
		cmocka_unit_test(test_task),
		cmocka_unit_test(test_absent),
		cmocka_unit_test(test_unimplemented),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
