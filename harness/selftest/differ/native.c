/* SPDX-License-Identifier: MIT */
/*
 * The native side: state is loaded by a few instructions, the instance executed at its address, and whatever comes
 * of it ends in a signal, at the latest by the INT3 that fills the page: its context is the outcome.
 */
#include "differ.h"

#include <asm/prctl.h>
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ucontext.h>
#include <unistd.h>

#define USER32_CS 0x23
#define USER_DS 0x2b
#define USER64_CS 0x33
#define FIRST_KERNEL_ADDRESS 0x7ffffffff000ull
#define CLEAN_FLAGS 0x202
#define STACK_BYTES 65536

static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP };
static const int context_regs[16] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
	REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15 };

/* What enter() loads: an IRET frame does RIP, CS, RFLAGS, RSP and SS at once. */
static struct {
	uint64_t regs[16];
	uint64_t rip, cs, rflags, rsp, ss;
	struct fpu fpu;
} entry;

static sigjmp_buf back;
static struct outcome *result;

static void on_signal(int number, siginfo_t *info, void *opaque)
{
	/* In the format of FXSAVE */
	const void *fpregs = ((ucontext_t *)opaque)->uc_mcontext.fpregs;
	const greg_t *gregs = ((ucontext_t *)opaque)->uc_mcontext.gregs;
	unsigned int i;

	/* What an instance may have set stays set here: NT and AC would not let this process go on. */
	__builtin_ia32_writeeflags_u64(CLEAN_FLAGS);
	(void)number;
	(void)info;
	for (i = 0; i < 16; i++)
		result->regs[i] = (uint64_t)gregs[context_regs[i]];
	result->rip = (uint64_t)gregs[REG_RIP];
	result->segs[1] = (uint16_t)gregs[REG_CSGSFS];
	result->segs[2] = (uint16_t)(gregs[REG_CSGSFS] >> 48);
	/* A handler begins with the data segments as they were. */
	__asm__ volatile("mov %%es, %0; mov %%ds, %1" : "=m" (result->segs[0]), "=m" (result->segs[3]));
	result->rflags = (uint64_t)gregs[REG_EFL];
	result->vector = (uint32_t)gregs[REG_TRAPNO];
	result->error = (uint32_t)gregs[REG_ERR];
	/* Linux says of any of its own addresses that there is a page. */
	if (result->vector == 14 && (uint64_t)gregs[REG_CR2] >= FIRST_KERNEL_ADDRESS)
		result->error &= ~1u;
	result->cr2 = result->vector == 14 ? (uint64_t)gregs[REG_CR2] : 0;
	memcpy(&result->fpu, fpregs, sizeof(result->fpu));
	siglongjmp(back, 1);
}

__attribute__((naked, noreturn)) static void enter(void)
{
	__asm__ volatile(
		"lea %[entry], %%rsp\n"
		"fxrstor64 %[fpu]\n"
		"mov 0x00(%%rsp), %%rax\n"
		"mov 0x08(%%rsp), %%rcx\n"
		"mov 0x10(%%rsp), %%rdx\n"
		"mov 0x18(%%rsp), %%rbx\n"
		"mov 0x28(%%rsp), %%rbp\n"
		"mov 0x30(%%rsp), %%rsi\n"
		"mov 0x38(%%rsp), %%rdi\n"
		"mov 0x40(%%rsp), %%r8\n"
		"mov 0x48(%%rsp), %%r9\n"
		"mov 0x50(%%rsp), %%r10\n"
		"mov 0x58(%%rsp), %%r11\n"
		"mov 0x60(%%rsp), %%r12\n"
		"mov 0x68(%%rsp), %%r13\n"
		"mov 0x70(%%rsp), %%r14\n"
		"mov 0x78(%%rsp), %%r15\n"
		"add $0x80, %%rsp\n"
		"iretq\n"
		: : [entry] "m" (entry), [fpu] "m" (entry.fpu));
}

static void *map_at(uint64_t address, size_t len, int protection)
{
	return mmap((void *)address, len, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
}

/* One descriptor of Linux' GDT has the CPU's number. */
static int stay_on_cpu(void)
{
	cpu_set_t set;
	int number = sched_getcpu();

	if (number < 0)
		return -1;
	CPU_ZERO(&set);
	CPU_SET(number, &set);
	return sched_setaffinity(0, sizeof(set), &set);
}

int native_prepare(void)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
	stack_t stack = { .ss_size = STACK_BYTES };
	size_t i;

	if (stay_on_cpu())
		return -1;
	if (map_at(CODE_ADDRESS, PAGE_BYTES_, PROT_READ | PROT_WRITE | PROT_EXEC) == MAP_FAILED ||
	    map_at(DATA_ADDRESS, DATA_BYTES, PROT_READ | PROT_WRITE) == MAP_FAILED ||
	    map_at(CONST_ADDRESS, PAGE_BYTES_, PROT_READ) == MAP_FAILED)
		return -1;
	memset((void *)CODE_ADDRESS, 0xcc, PAGE_BYTES_);
	/* A page that was never read is not there yet. */
	(void)*(volatile uint8_t *)CONST_ADDRESS;
	stack.ss_sp = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack.ss_sp == MAP_FAILED || sigaltstack(&stack, NULL))
		return -1;
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (sigaction(signals[i], &action, NULL))
			return -1;
	return 0;
}

void native_run(const struct instance *instance, struct outcome *outcome)
{
	uint8_t *code = (uint8_t *)INSN_ADDRESS;

	instance_fill_data(instance, (uint8_t *)DATA_ADDRESS);
	memcpy(code, instance->code, instance->len);
	memcpy(entry.regs, instance->regs, sizeof(entry.regs));
	entry.fpu = instance->fpu;
	entry.rip = INSN_ADDRESS;
	entry.cs = instance->is_64 ? USER64_CS : USER32_CS;
	entry.rflags = instance->rflags;
	entry.rsp = instance->regs[4];
	entry.ss = USER_DS;
	result = outcome;
	/* What 32-bit code needs, and 64-bit code does not look at. */
	__asm__ volatile("mov %0, %%ds; mov %0, %%es" : : "r" (USER_DS));
	if (!sigsetjmp(back, 0))
		enter();
	/* The whole page: an instance may have written elsewhere in it. */
	memset((void *)CODE_ADDRESS, 0xcc, PAGE_BYTES_);
	memcpy(outcome->data, (void *)DATA_ADDRESS, DATA_BYTES);
}

#define DPL0_DATA 0x00cf93000000ffffull

uint64_t native_descriptor(unsigned int index)
{
	uint32_t selector = index * 8 | 3, attributes, limit;
	bool is_seen;

	__asm__ volatile("lar %3, %0; lsl %3, %1; setz %2" : "=&r" (attributes), "=&r" (limit), "=qm" (is_seen) : "r" (selector));
	if (!index || !is_seen)
		return index ? DPL0_DATA : 0;
	if (attributes & 1u << 23)
		limit >>= 12;
	return (uint64_t)(attributes & 0x00f0ff00) << 32 | (uint64_t)(limit & 0xf0000) << 32 | (limit & 0xffff);
}

bool native_has_32(void)
{
	struct instance instance = { .is_64 = false, .code = { 0x40 }, .len = 1, .rflags = 0x202 };
	struct outcome outcome;

	/* 40: INC EAX, a prefix in 64-bit code. */
	native_run(&instance, &outcome);
	return outcome.vector == 3 && (uint32_t)outcome.regs[0] == 1;
}
