/* SPDX-License-Identifier: MIT */
/*
 * A guest in the midst of I/O, or with registers of every kind in use, goes on in a fresh VM as it would have in its
 * own: string instructions with elements left, accesses that were split at a page, x87, SSE and AVX, debug registers,
 * MSRs, CR2.
 *
 * Can break: RCX, RSI, RDI of a string instruction lost or advanced twice; the emulator's read-ahead not completed;
 * XSTATE_BV, MXCSR or the upper halves of YMM; XCR0; PDPTRs read from memory again; DR0-3; an MSR missing from the list.
 * Source: KVM API, KVM_RUN (completion), KVM_GET_REGS to KVM_GET_DEBUGREGS, KVM_GET_MSR_INDEX_LIST.
 *
 * Seen to fail without: MEMORY, REGS, SREGS, CPUID, XSAVE, XCRS, DEBUGREGS, MSRS (the rows "lost_*"), and TSC_KHZ, which
 * no guest sees at once, but the state does.
 */
#include "cases/ioctl/twin.h"

/* In one page. */
#define BUFFER_BYTES 2048

static uint8_t buffer[BUFFER_BYTES] __attribute__((aligned(BUFFER_BYTES)));

/* --- ports --- */

static void guest_pio(void)
{
	out8(0x80, 0x11);
	CHECK_EQ(twin_reply(2, 1), in8(0x81));
	out16(0x82, 0x2233);
	CHECK_EQ(twin_reply(4, 2), in16(0x83));
	out32(0x84, 0x44556677);
	CHECK_EQ(twin_reply(6, 4), in32(0x85));
}

static void string_check(unsigned int at, unsigned int exit, unsigned int nr)
{
	unsigned int i, nr_wrong = 0;

	for (i = 0; i < nr; i++)
		nr_wrong += buffer[at + i] != twin_reply_byte(exit, i);
	CHECK_EQ(0, nr_wrong);
}

/* Where real-mode memory accesses of the runtime leave ES anywhere. */
static void es_flat(void)
{
	ulong_t es;

	__asm__ volatile("mov %%ds, %k0\n\tmov %w0, %%es" : "=r"(es));
}

/* KVM asks for 1024 bytes at once, and not beyond a page; it writes element by element. */
static void guest_pio_rep(void)
{
	const uint8_t *from = buffer;
	uint8_t *to = buffer;
	ulong_t left = 1030;

	es_flat();
	__asm__ volatile("rep insb" : "+D"(to), "+c"(left) : "d"(0x90) : "memory");
	CHECK_EQ(0, left);
	CHECK_EQ((ulong_t)buffer + 1030, (ulong_t)to);
	string_check(0, 1, 1024);
	string_check(1024, 2, 6);
	left = 3;
	__asm__ volatile("rep outsw" : "+S"(from), "+c"(left) : "d"(0x91) : "memory");
	CHECK_EQ(0, left);
	CHECK_EQ((ulong_t)buffer + 6, (ulong_t)from);
}

static void guest_pio_down(void)
{
	uint8_t *to = buffer + 8;
	ulong_t left = 3;

	es_flat();
	__asm__ volatile("std\n\trep insl\n\tcld" : "+D"(to), "+c"(left) : "d"(0x92) : "memory");
	CHECK_EQ(0, left);
	CHECK_EQ((ulong_t)buffer - 4, (ulong_t)to);
	out8(0x80, 1);
}

/* --- MMIO --- */

/* Two exits each where the page ends in the midst. */
static void guest_mmio(void)
{
	ulong_t split = mmio_base() + 0xffd;
	uint32_t value;

	write32(mmio_base() + 4, 0x99aabbcc);
	write32(split, 0x11223344);
	value = read32(split);
	CHECK_EQ(twin_reply(4, 3) | twin_reply(5, 1) << 24, value);
	CHECK_EQ(twin_reply(6, 2), read16(mmio_base() + 8));
	out8(0x80, 1);
}

/* DS and ES are flat, or in real mode at the region. */
static void guest_mmio_rep(void)
{
	ulong_t left = 3, to = guest_mode() == REAL16 ? 0x10 : mmio_base() + 0x10;
	ulong_t es = guest_mode() == REAL16 ? MMIO16_GPA >> 4 : SEL_DATA;

	__asm__ volatile("mov %w2, %%es\n\trep stosl\n\tmov %%ss, %k2\n\tmov %w2, %%es"
			 : "+D"(to), "+c"(left), "+r"(es) : "a"(0x5a5b5c5d) : "memory");
	CHECK_EQ(0, left);
}

/* Read, then written: one instruction, and one exit completes with the next. */
static void guest_mmio_rmw(void)
{
	ulong_t at = mmio_base() + 0x20, es = MMIO16_GPA >> 4;

	if (guest_mode() == REAL16)
		__asm__ volatile("mov %w0, %%es\n\tincl %%es:0x20\n\tmov %%ss, %k0\n\tmov %w0, %%es"
				 : "+r"(es) : : "memory", "cc");
	else
		__asm__ volatile("incl (%0)" : : "r"(at) : "memory", "cc");
	out8(0x80, 2);
}

/* --- registers --- */

static const uint8_t pattern[32] = {
	0x80, 0x91, 0xa2, 0xb3, 0xc4, 0xd5, 0xe6, 0xf7, 0x08, 0x19, 0x2a, 0x3b, 0x4c, 0x5d, 0x6e, 0x7f,
	0x3c, 0x2d, 0x1e, 0x0f, 0xf0, 0xe1, 0xd2, 0xc3, 0xb4, 0xa5, 0x96, 0x87, 0x78, 0x69, 0x5a, 0x4b,
};

static void fpu_on(void)
{
	write_cr0((read_cr0() & ~(X86_CR0_EM | X86_CR0_TS)) | X86_CR0_MP | X86_CR0_NE);
	write_cr4(read_cr4() | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT);
}

/* The stack has two values, precision control and rounding are not the default, MXCSR neither. */
static void guest_fpu(void)
{
	static uint8_t got[32];
	static const uint16_t control = 0x0c7f;
	static const uint32_t mxcsr = 0x7f80;
	static uint16_t control_got, status;
	static uint32_t mxcsr_got;
	static int32_t top, next;
	static const int32_t one = 0x12345678, other = -77;

	fpu_on();
	__asm__ volatile("fninit\n\tfldcw %0\n\tfildl %1\n\tfildl %2" : : "m"(control), "m"(one), "m"(other));
	__asm__ volatile("ldmxcsr %0\n\tmovups %1, %%xmm0\n\tmovups %2, %%xmm7"
			 : : "m"(mxcsr), "m"(pattern[0]), "m"(pattern[16]) : "memory");
	out8(0x80, 1);
	__asm__ volatile("movups %%xmm0, %0\n\tmovups %%xmm7, %1\n\tstmxcsr %2"
			 : "=m"(got[0]), "=m"(got[16]), "=m"(mxcsr_got) : : "memory");
	__asm__ volatile("fnstsw %0\n\tfnstcw %1\n\tfistpl %2\n\tfistpl %3"
			 : "=m"(status), "=m"(control_got), "=m"(top), "=m"(next) : : "memory");
	CHECK_EQ(0, memcmp(pattern, got, 32));
	CHECK_EQ(mxcsr, mxcsr_got);
	CHECK_EQ(control, control_got);
	CHECK_EQ(6 << 11, status & 0x3800);
	CHECK_EQ((uint32_t)other, (uint32_t)top);
	CHECK_EQ(one, next);
}

static uint32_t xgetbv(void)
{
	uint32_t low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return low;
}

/* XCR0 is set by user space: QEMU 7.2 has an XSETBV that KVM does not see. */
static void guest_avx(void)
{
	static uint8_t got[32];

	fpu_on();
	write_cr4(read_cr4() | X86_CR4_OSXSAVE);
	out8(0x80, 0);
	__asm__ volatile("vmovdqu %0, %%ymm3" : : "m"(pattern) : "memory");
	out8(0x80, 1);
	CHECK_EQ(7, xgetbv());
	__asm__ volatile("vmovdqu %%ymm3, %0" : "=m"(got) : : "memory");
	CHECK_EQ(0, memcmp(pattern, got, 32));
}

static volatile uint32_t nr_debug, debug_dr6;

static void on_debug(struct guest_regs *regs)
{
	(void)regs;
	nr_debug++;
	debug_dr6 = read_dr6();
	write_dr6(0xffff0ff0);
	write_dr7(0x400);
}

/* DR1 = @at, and @bits of DR7, set before the exit and looked at behind it. */
static void dr_arm(ulong_t at, uint32_t bits)
{
	uint32_t dr7 = 0x400 | bits;

	guest_handle(DB_VECTOR, on_debug);
	write_dr0(0x1000);
	write_dr1(at);
	write_dr2(0x2000);
	write_dr3(0x3000);
	write_dr6(0xffff0ff0);
	write_dr7(dr7);
	out8(0x80, 1);
	CHECK_EQ(0x1000, read_dr0());
	CHECK_EQ(at, read_dr1());
	CHECK_EQ(0x2000, read_dr2());
	CHECK_EQ(0x3000, read_dr3());
	CHECK_EQ(dr7, read_dr7());
}

/* Lengths and types, but none enabled. */
static void guest_dr(void)
{
	dr_arm(0x1008, 0xfd980000);
	write_dr7(0x400);
}

INSN(breakpoint_here, "nop\n\tret")

static void guest_dr_insn(void)
{
	dr_arm((ulong_t)breakpoint_here, 2 << 2);
	((void (*)(void))(ulong_t)breakpoint_here)();
	CHECK_EQ(1, nr_debug);
	CHECK_EQ(0xffff0ff2, debug_dr6);
}

static void guest_dr_data(void)
{
	static volatile uint32_t watched;

	dr_arm((ulong_t)&watched, 2 << 2 | 0xd << 20);
	watched = 1;
	CHECK_EQ(1, nr_debug);
	CHECK_EQ(0xffff0ff2, debug_dr6);
}

static const struct {
	uint32_t index;
	uint64_t value;
} msrs[] = {
	{ MSR_IA32_SYSENTER_CS, 0x1234 }, { MSR_IA32_SYSENTER_ESP, 0x23456000 }, { MSR_IA32_SYSENTER_EIP, 0x34567000 },
	{ MSR_IA32_PAT, 0x0007040600070401 }, { MSR_MTRRdefType, 0xc06 }, { MSR_MTRRphysBase0, 0x40000006 },
	{ MSR_MTRRfix64K_00000, 0x0606060606060606 }, { MSR_STAR, 0x0020001000000000 }, { MSR_LSTAR, 0x10002000 },
	{ MSR_CSTAR, 0x10003000 }, { MSR_SYSCALL_MASK, 0x47700 }, { MSR_KERNEL_GS_BASE, 0x12345678 },
};

#define NR_GUEST_MSRS (sizeof(msrs) / sizeof(msrs[0]))

static void guest_msrs(void)
{
	unsigned int i;

	for (i = 0; i < NR_GUEST_MSRS; i++)
		wrmsr(msrs[i].index, msrs[i].value);
	write_cr2(0x5550000);
	out8(0x80, 1);
	for (i = 0; i < NR_GUEST_MSRS; i++)
		CHECK_EQ(msrs[i].value, rdmsr(msrs[i].index));
	CHECK_CR2(0x5550000, read_cr2());
	CHECK_EQ(cpuid(0, 0).eax, GUEST_VALUE(0, cpuid(0, 0).eax));
}

/* TSC at 2^40: a fresh VM's does not come there. */
static void guest_tsc(void)
{
	uint64_t start = 1ull << 40, now;

	wrmsr(MSR_IA32_TSC, start);
	out8(0x80, 1);
	now = rdtsc();
	CHECK(now > start && now < start << 1);
}

static void guest_cpuid(void)
{
	out8(0x80, 1);
	GUEST_VALUE(0, cpuid(0, 0).ebx);
	GUEST_VALUE(1, cpuid(1, 0).edx);
	GUEST_VALUE(2, cpuid(0x80000001, 0).edx);
}

/* The GDT, the IDT, a segment of its own, and CR3 are where the guest put them. */
static void guest_segments(void)
{
	static uint32_t far_word;
	uint32_t value;

	far_word = 0x600df00d;
	if (guest_mode() == REAL16)
		__asm__ volatile("mov %w0, %%fs" : : "r"((ulong_t)&far_word >> 4));
	else
		__asm__ volatile("mov %w0, %%fs" : : "r"(SEL_DATA));
	out8(0x80, 1);
	if (guest_mode() == REAL16)
		__asm__ volatile("movl %%fs:(%k1), %0" : "=r"(value) : "r"((ulong_t)&far_word & 15));
	else
		__asm__ volatile("movl %%fs:(%1), %0" : "=r"(value) : "r"(&far_word));
	CHECK_EQ(0x600df00d, value);
}

/* The page directory of the second GiB is exchanged in memory after CR3 was loaded: the registers keep the old one. */
static void guest_pdptrs(void)
{
	volatile uint64_t *pointers = (uint64_t *)(ulong_t)read_cr3();
	volatile uint32_t *alias = (uint32_t *)((ulong_t)scratch_base() + 0x40000000);
	uint64_t old = pointers[1];

	*(volatile uint32_t *)scratch_base() = 0x11111111;
	pointers[1] = pointers[0];
	write_cr3(read_cr3());
	pointers[1] = old;
	out8(0x80, 1);
	invlpg((ulong_t)alias);
	CHECK_EQ(0x11111111, *alias);
}

/* --- rows --- */

static void tsc_khz_double(struct vm *vm, unsigned int exit)
{
	long khz = vcpu_ioctl_value(vm->vcpus[0], KVM_GET_TSC_KHZ, 0);

	if (exit == 1)
		vcpu_ioctl_value(vm->vcpus[0], KVM_SET_TSC_KHZ, 2 * khz);
}

static void avx_permit(struct vm *vm, unsigned int exit)
{
	const struct kvm_xcrs xcrs = { .nr_xcrs = 1, .xcrs[0].value = 7 };

	if (exit == 1)
		vcpu_ioctl(vm->vcpus[0], KVM_SET_XCRS, &xcrs);
}

#define SETS_XCR0 .plan.act = ON_HOST(avx_permit), .needs = "cpuid:avx"
#define CHANGES_TSC_KHZ .plan.act = ON_HOST(tsc_khz_double), .has_time = true

#define QEMU_BREAKPOINTS								\
	.known = { .finding = "0901-qemu-vmrun-arms-no-breakpoints", .targets = "lab-svm", .is_skipped = true,	\
		   .next = &(const struct known){ "0515-bochs-svm-db-intercept-dr6", "lab-svm-bochs" } }
/* What goes astray without a part may do so with IF = 0. */
#define ASTRAY										\
	.known = { .finding = "0505-bochs-guest-if-holds-back-host", .is_skipped = true,	\
		   .targets = "@(lab-vmx|lab-svm-bochs)" }

#define SOME_MODES .modes = REAL16 | PAE32 | LONG64
#define ONE_MODE .modes = LONG64

static const struct twin_row rows[] = {
	TWIN_AT("pio", 1, 7, guest_pio, SOME_MODES), TWIN_AT("pio", 2, 7, guest_pio, SOME_MODES),
	TWIN_AT("pio", 4, 7, guest_pio, ONE_MODE), TWIN_AT("pio", 6, 7, guest_pio, ONE_MODE),
	TWIN_AT("pio_rep", 1, 6, guest_pio_rep, SOME_MODES), TWIN_AT("pio_rep", 2, 6, guest_pio_rep, ONE_MODE),
	TWIN_AT("pio_rep", 3, 6, guest_pio_rep, SOME_MODES), TWIN_AT("pio_rep", 4, 6, guest_pio_rep, SOME_MODES),
	TWIN_AT("pio_rep", 5, 6, guest_pio_rep, ONE_MODE),
	TWIN_3("pio_down", guest_pio_down, ONE_MODE),
	TWIN_AT("mmio", 1, 8, guest_mmio, ONE_MODE), TWIN_AT("mmio", 3, 8, guest_mmio, SOME_MODES),
	TWIN_AT("mmio", 5, 8, guest_mmio, SOME_MODES), TWIN_AT("mmio", 6, 8, guest_mmio, SOME_MODES),
	TWIN_4("mmio_rep", guest_mmio_rep, SOME_MODES),
	TWIN_AT("mmio_rmw", 2, 4, guest_mmio_rmw, SOME_MODES),
	TWIN_2("fpu", guest_fpu),
	TWIN_3("avx", guest_avx, SETS_XCR0, .modes = PROT32 | LONG64),
	TWIN_2("dr", guest_dr, SOME_MODES), TWIN_2("dr_insn", guest_dr_insn, QEMU_BREAKPOINTS, SOME_MODES),
	TWIN_2("dr_data", guest_dr_data, QEMU_BREAKPOINTS, ONE_MODE),
	TWIN_2("msrs", guest_msrs, SOME_MODES), TWIN_2("tsc", guest_tsc, ONE_MODE, .has_time = true),
	TWIN_2("cpuid", guest_cpuid, ONE_MODE), TWIN_2("segments", guest_segments),
	/* With nested paging of AMD the processor has no such registers: APM vol. 2, 15.25.10. */
	TWIN_2("pdptrs", guest_pdptrs, .modes = PAE32, .needs = "vendor:intel KVM_CAP_SREGS2"),

	TWIN_LOST("lost_memory", 1, guest_pio, PART_MEMORY, ONE_MODE),
	TWIN_LOST("lost_regs", 1, guest_pio_rep, PART_REGS, ONE_MODE),
	TWIN_LOST("lost_sregs", 1, guest_segments, PART_SREGS | PART_PDPTRS, ONE_MODE, ASTRAY),
	TWIN_LOST("lost_cpuid", 1, guest_cpuid, PART_CPUID, ONE_MODE),
	TWIN_LOST("lost_xsave", 1, guest_fpu, PART_XSAVE, ONE_MODE),
	TWIN_LOST("lost_xcrs", 2, guest_avx, PART_XCRS, SETS_XCR0, ONE_MODE),
	TWIN_LOST("lost_debugregs", 1, guest_dr, PART_DEBUGREGS, ONE_MODE),
	TWIN_LOST("lost_msrs", 1, guest_msrs, PART_MSRS, ONE_MODE),
	TWIN_LOST("lost_msrs_tsc", 1, guest_tsc, PART_MSRS, ONE_MODE),
	TWIN_LOST("lost_pdptrs", 1, guest_pdptrs, PART_PDPTRS, .modes = PAE32, .needs = "vendor:intel KVM_CAP_SREGS2"),
	TWIN_LOST("lost_tsc_khz", 1, guest_pio, PART_TSC_KHZ, .is_unseen = true, CHANGES_TSC_KHZ, ONE_MODE),
};

CASE(twin_io, .says = "a guest saved amid I/O or with registers in use goes on in another VM",
     .modes = EVERY_MODE | LA57, .rows = ROWS(rows))

GUEST(twin_io)
{
	GUEST_ROW(rows)->guest();
}

HOST(twin_io)
{
	twin_host(t, ROW(t, rows));
}
