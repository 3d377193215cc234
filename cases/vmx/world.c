/* SPDX-License-Identifier: MIT */
/*
 * The world switch: L2 finds what the guest fields say, the exit saves what L2 made of it, and L1 finds what the host
 * fields say, whatever either had before.
 *
 * Can break: a register that is left as it was because it usually does not differ; limits and flags that an exit sets to
 * constants; a control to load or save that is taken for the other.
 * Source: SDM vol. 3C, 25.4, 25.5, 26.5.1, 27.3.2, 28.3, 28.5.
 */
#include "case.h"
#include "guests/l1_vmx.h"

#define ARITHMETIC (X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF | X86_EFLAGS_SF | X86_EFLAGS_OF)

struct table_register {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

static uint16_t selector_es(void)
{
	uint16_t value;

	__asm__ volatile("mov %%es, %0" : "=r"(value));
	return value;
}

static uint16_t selector_fs(void)
{
	uint16_t value;

	__asm__ volatile("mov %%fs, %0" : "=r"(value));
	return value;
}

static uint16_t selector_tr(void)
{
	uint16_t value;

	__asm__ volatile("str %0" : "=r"(value));
	return value;
}

static struct table_register read_gdtr(void)
{
	struct table_register value;

	__asm__ volatile("sgdt %0" : "=m"(value));
	return value;
}

static struct table_register read_idtr(void)
{
	struct table_register value;

	__asm__ volatile("sidt %0" : "=m"(value));
	return value;
}

/* A root that maps the same. */
static uint64_t other_cr3(void)
{
	void *root = page_alloc();

	memcpy(root, (void *)(read_cr3() & ~0xfffull), 4096);
	return (ulong_t)root;
}

/* --- L1 behind an exit --- */

static void l2_disturbs(void)
{
	uint16_t null = 0;

	wrmsr(MSR_IA32_SYSENTER_CS, 0x18);
	wrmsr(MSR_IA32_SYSENTER_ESP, 0x5000);
	wrmsr(MSR_IA32_SYSENTER_EIP, 0x6000);
	__asm__ volatile("mov %0, %%es\n\tmov %0, %%fs" : : "r"(null));
	wrmsr(MSR_FS_BASE, 0x7000);
	write_dr7(0x401);
	__asm__ volatile("std\n\tpush %0\n\tpopf" : : "r"(ARITHMETIC | X86_EFLAGS_DF | X86_EFLAGS_FIXED) : "cc");
	__asm__ volatile("vmcall");
}

/* A null or 64 Ki segment where the host field has another, tables that are copies, a task and an LDT of its own. */
static void l1_differs(void)
{
	const uint16_t data = SEL_DATA16, task = SEL_FREE, ldt = SEL_FREE + 16;
	struct table_register gdtr = read_gdtr(), idtr = read_idtr();
	uint64_t *gdt = page_alloc(), *idt = page_alloc();

	memcpy(gdt, (void *)gdtr.base, gdtr.limit + 1);
	memcpy(idt, (void *)idtr.base, 4096);
	/* Its own TSS once more, available; and an empty LDT. */
	gdt[task / 8] = gdt[SEL_TSS / 8] & ~(2ull << 40);
	gdt[task / 8 + 1] = gdt[SEL_TSS / 8 + 1];
	gdt[ldt / 8] = 0x82ull << 40 | 7;
	gdt[ldt / 8 + 1] = 0;
	gdtr.base = (ulong_t)gdt;
	idtr.base = (ulong_t)idt;
	__asm__ volatile("lgdt %0\n\tlidt %1" : : "m"(gdtr), "m"(idtr) : "memory");
	__asm__ volatile("ltr %0\n\tlldt %1" : : "r"(task), "r"(ldt));
	__asm__ volatile("mov %0, %%ds\n\tmov %0, %%es\n\tmov %0, %%ss\n\tmov %0, %%fs\n\tmov %0, %%gs" : : "r"(data));
	wrmsr(MSR_GS_BASE, ABI_GPA);
}

static void host_state(void)
{
	struct table_register gdtr, idtr;
	uint64_t cr0, cr3, cr4;

	vmx_start();
	cr0 = read_cr0() ^ X86_CR0_AM;
	cr3 = other_cr3();
	cr4 = read_cr4() | X86_CR4_TSD | X86_CR4_DE;
	vmcs_write(HOST_CR0, cr0);
	vmcs_write(HOST_CR3, cr3);
	vmcs_write(HOST_CR4, cr4);
	vmcs_write(HOST_FS_BASE, 0xffff800000001000);
	vmcs_write(HOST_FS_SELECTOR, SEL_DATA16);
	vmcs_write(HOST_ES_SELECTOR, SEL_DATA);
	vmcs_write(HOST_SYSENTER_CS, 0x28);
	vmcs_write(HOST_SYSENTER_ESP, 0xffff800000002000);
	vmcs_write(HOST_SYSENTER_EIP, 0x7fffffffe000);
	gdtr = read_gdtr();
	idtr = read_idtr();
	l1_differs();
	vmx_aim(l2_disturbs);
	vmx_run();
	CHECK_REASON(EXIT_REASON_VMCALL);
	/* User space looks first: the guest's own look makes KVM read the register again. */
	guest_sync(1);
	CHECK_EQ(cr0, read_cr0());
	CHECK_EQ(cr3, read_cr3());
	CHECK_EQ(cr4, read_cr4());
	CHECK_EQ(0xffff800000001000, rdmsr(MSR_FS_BASE));
	CHECK_EQ(SEL_DATA16, selector_fs());
	CHECK_EQ(SEL_DATA, selector_es());
	CHECK_EQ(SEL_TSS, selector_tr());
	CHECK_EQ(0x28, rdmsr(MSR_IA32_SYSENTER_CS));
	CHECK_EQ(0xffff800000002000, rdmsr(MSR_IA32_SYSENTER_ESP));
	CHECK_EQ(0x7fffffffe000, rdmsr(MSR_IA32_SYSENTER_EIP));
	CHECK_EQ(0x400, read_dr7());
	CHECK_EQ(X86_EFLAGS_FIXED, vmx_host_rflags);
	CHECK_EQ(gdtr.base, read_gdtr().base);
	CHECK_EQ(0xffff, read_gdtr().limit);
	CHECK_EQ(idtr.base, read_idtr().base);
	CHECK_EQ(0xffff, read_idtr().limit);
}

/* --- L1 behind an entry that failed --- */

static uint64_t failed_tsc;

/* Fails when all of L2's state is loaded: the processor goes by the host fields as it does after an exit. */
static void failed_entry(void)
{
	static struct { uint64_t index, value; } bad __attribute__((aligned(16))) = { MSR_FS_BASE, 0 };
	uint64_t cr0, cr3, cr4;

	vmx_start();
	cr0 = read_cr0() ^ X86_CR0_AM;
	cr3 = other_cr3();
	cr4 = read_cr4() | X86_CR4_TSD;
	vmcs_write(HOST_CR0, cr0);
	vmcs_write(HOST_CR3, cr3);
	vmcs_write(HOST_CR4, cr4);
	vmcs_write(HOST_SYSENTER_EIP, 0x7fffffffe000);
	vmcs_set(ENTRY_CONTROLS, ENTRY_LOAD_DEBUG_CONTROLS);
	vmcs_write(GUEST_DR7, 0x402);
	vmcs_set(PROC_CONTROLS, PROC_TSC_OFFSETTING);
	vmcs_write(TSC_OFFSET, 1ull << 50);
	vmcs_write(ENTRY_MSR_LOAD_ADDRESS, (ulong_t)&bad);
	vmcs_write(ENTRY_MSR_LOAD_COUNT, 1);
	failed_tsc = rdtsc();
	vmx_run();
	CHECK_REASON(EXIT_REASON_MSR_LOAD_FAIL | VMX_EXIT_REASONS_FAILED_VMENTRY);
	CHECK(rdtsc() - failed_tsc < 1ull << 49);
	CHECK_EQ(cr0, read_cr0());
	CHECK_EQ(cr3, read_cr3());
	CHECK_EQ(cr4, read_cr4());
	CHECK_EQ(0x7fffffffe000, rdmsr(MSR_IA32_SYSENTER_EIP));
	CHECK_EQ(0x400, read_dr7());
	CHECK_EQ(X86_EFLAGS_FIXED, vmx_host_rflags);
}

/* KVM leaves the threshold to the CPU, which says so when KVM has made L2's state the vCPU's: nothing of it stays. */
static void late_failure(void)
{
	const uint64_t l1_efer = EFER_LME | EFER_LMA | EFER_NX, l1_pat = 0x0007040600070406;
	static struct { uint64_t index, value; } entry_area __attribute__((aligned(16))) = { MSR_KERNEL_GS_BASE, 0x2222000 };
	static struct { uint64_t index, value; } exit_area __attribute__((aligned(16))) = { MSR_KERNEL_GS_BASE, 0x1111000 };
	uint64_t cr0, cr3, cr4;

	vmx_start();
	wrmsr(MSR_KERNEL_GS_BASE, 0x1111000);
	wrmsr(MSR_EFER, l1_efer);
	wrmsr(MSR_IA32_PAT, l1_pat);
	write_dr7(0x500);
	/* One that KVM has not seen. */
	cr3 = other_cr3();
	write_cr3(cr3);
	cr0 = read_cr0();
	cr4 = read_cr4();
	vmcs_set(ENTRY_CONTROLS, ENTRY_LOAD_DEBUG_CONTROLS | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER);
	vmcs_write(GUEST_CR0, cr0 ^ X86_CR0_AM);
	vmcs_write(GUEST_CR3, other_cr3());
	vmcs_write(GUEST_CR4, cr4 | X86_CR4_DE);
	vmcs_write(GUEST_DR7, 0x402);
	vmcs_write(GUEST_PAT, 0x0006040700060407);
	vmcs_write(GUEST_EFER, EFER_LME | EFER_LMA | EFER_SCE);
	vmcs_write(ENTRY_MSR_LOAD_ADDRESS, (ulong_t)&entry_area);
	vmcs_write(ENTRY_MSR_LOAD_COUNT, 1);
	vmcs_write(EXIT_MSR_LOAD_ADDRESS, (ulong_t)&exit_area);
	vmcs_write(EXIT_MSR_LOAD_COUNT, 1);
	vmcs_write(VIRTUAL_APIC_ADDRESS, (ulong_t)page_alloc());
	vmcs_write(TPR_THRESHOLD, 0x10);
	vmcs_set(PROC_CONTROLS, PROC_TPR_SHADOW);
	vmx_run();
	CHECK_EQ(VMX_FAIL_VALID(VMX_ERROR_ENTRY_CONTROLS), vmx.exit.outcome);
	GUEST_VALUE(0, cr0);
	GUEST_VALUE(1, cr3);
	GUEST_VALUE(2, cr4);
	GUEST_VALUE(3, l1_efer);
	guest_sync(1);
	CHECK_EQ(cr0, read_cr0());
	CHECK_EQ(cr3, read_cr3());
	CHECK_EQ(cr4, read_cr4());
	CHECK_EQ(0x500, read_dr7());
	CHECK_EQ(l1_efer, rdmsr(MSR_EFER));
	CHECK_EQ(l1_pat, rdmsr(MSR_IA32_PAT));
	CHECK_EQ(0x1111000, rdmsr(MSR_KERNEL_GS_BASE));
	vmcs_write(TPR_THRESHOLD, 0);
	vmx_run();
	CHECK_EQ(VMX_OK, vmx.exit.outcome);
	CHECK_L2_DONE();
}

/* --- L2 behind the entry --- */

static struct {
	uint64_t cr0, cr3, cr4, dr7, fs_base, sysenter_esp, sysenter_eip, efer, pat;
	uint32_t sysenter_cs;
	uint16_t fs, es, gdtr_limit, idtr_limit;
} seen;

/* The flags first: into R15. */
INSN(world_flags, "pushf\n\tpop %r15\n\tret")

static void l2_looks(void)
{
	seen.cr0 = read_cr0();
	seen.cr3 = read_cr3();
	seen.cr4 = read_cr4();
	seen.dr7 = read_dr7();
	seen.fs_base = rdmsr(MSR_FS_BASE);
	seen.sysenter_cs = rdmsr(MSR_IA32_SYSENTER_CS);
	seen.sysenter_esp = rdmsr(MSR_IA32_SYSENTER_ESP);
	seen.sysenter_eip = rdmsr(MSR_IA32_SYSENTER_EIP);
	seen.efer = rdmsr(MSR_EFER);
	seen.pat = rdmsr(MSR_IA32_PAT);
	seen.fs = selector_fs();
	seen.es = selector_es();
	seen.gdtr_limit = read_gdtr().limit;
	seen.idtr_limit = read_idtr().limit;
}

static void guest_state(void)
{
	uint64_t cr0, cr3, cr4;

	vmx_start();
	cr0 = read_cr0() ^ X86_CR0_AM;
	cr3 = other_cr3();
	cr4 = read_cr4() | X86_CR4_DE;
	vmcs_write(GUEST_CR0, cr0);
	vmcs_write(GUEST_CR3, cr3);
	vmcs_write(GUEST_CR4, cr4);
	vmcs_set(ENTRY_CONTROLS, ENTRY_LOAD_DEBUG_CONTROLS);
	vmcs_write(GUEST_DR7, 0x402);
	vmcs_write(GUEST_FS_BASE, 0xffff800000003000);
	vmcs_write(GUEST_FS_SELECTOR, SEL_DATA16);
	vmcs_write(GUEST_ES_SELECTOR, SEL_USER_DATA & ~3);
	vmcs_write(GUEST_SYSENTER_CS, 0x38);
	vmcs_write(GUEST_SYSENTER_ESP, 0xffff800000004000);
	vmcs_write(GUEST_SYSENTER_EIP, 0x7fffffffd000);
	vmcs_write(GUEST_GDTR_LIMIT, 0x1ff);
	vmcs_write(GUEST_IDTR_LIMIT, 0x1fff);
	vmx_aim(l2_looks);
	vmx_run();
	CHECK_L2_DONE();
	CHECK_EQ(cr0, seen.cr0);
	CHECK_EQ(cr3, seen.cr3);
	CHECK_EQ(cr4, seen.cr4);
	CHECK_EQ(0x402, seen.dr7);
	CHECK_EQ(0xffff800000003000, seen.fs_base);
	CHECK_EQ(SEL_DATA16, seen.fs);
	CHECK_EQ(SEL_USER_DATA & ~3, seen.es);
	CHECK_EQ(0x38, seen.sysenter_cs);
	CHECK_EQ(0xffff800000004000, seen.sysenter_esp);
	CHECK_EQ(0x7fffffffd000, seen.sysenter_eip);
	CHECK_EQ(0x1ff, seen.gdtr_limit);
	CHECK_EQ(0x1fff, seen.idtr_limit);
}

static void guest_rflags(void)
{
	const uint64_t flags = ARITHMETIC | X86_EFLAGS_FIXED | X86_EFLAGS_AC | X86_EFLAGS_NT | 3u << 12;

	vmx_start();
	vmcs_write(GUEST_RFLAGS, flags);
	vmx_aim(world_flags);
	vmx_run();
	CHECK_L2_DONE();
	CHECK_EQ(flags, vmx.gprs.r15);
	CHECK_EQ(flags, vmx.exit.rflags);
	CHECK_EQ(X86_EFLAGS_FIXED, vmx_host_rflags);
}

/* --- the VMCS behind the exit --- */

static uint64_t l2_cr3;

static void l2_changes(void)
{
	uint16_t es = SEL_DATA16, fs = SEL_USER_DATA;

	write_cr3(l2_cr3);
	write_cr4(read_cr4() | X86_CR4_DE);
	write_cr0(read_cr0() ^ X86_CR0_AM);
	__asm__ volatile("mov %0, %%es\n\tmov %1, %%fs" : : "r"(es), "r"(fs));
	wrmsr(MSR_FS_BASE, 0xffff800000005000);
	wrmsr(MSR_IA32_SYSENTER_CS, 0x48);
	wrmsr(MSR_IA32_SYSENTER_ESP, 0xffff800000006000);
	wrmsr(MSR_IA32_SYSENTER_EIP, 0x7fffffffc000);
	write_dr7(0x404);
}

static void saved_state(void)
{
	uint64_t cr0, cr4;

	vmx_start();
	l2_cr3 = other_cr3();
	cr0 = vmcs_read(GUEST_CR0);
	cr4 = vmcs_read(GUEST_CR4);
	vmcs_set(EXIT_CONTROLS, EXIT_SAVE_DEBUG_CONTROLS);
	vmx_aim(l2_changes);
	vmx_run();
	CHECK_L2_DONE();
	CHECK_EQ(cr0 ^ X86_CR0_AM, vmx.exit.cr0);
	CHECK_EQ(l2_cr3, vmx.exit.cr3);
	CHECK_EQ(cr4 | X86_CR4_DE, vmx.exit.cr4);
	CHECK_EQ(SEL_DATA16, vmcs_read(GUEST_ES_SELECTOR));
	CHECK_EQ(0xffff, vmcs_read(GUEST_ES_LIMIT));
	CHECK_EQ(0x93, vmcs_read(GUEST_ES_AR));
	CHECK_EQ(SEL_USER_DATA, vmcs_read(GUEST_FS_SELECTOR));
	CHECK_EQ(0xffffffff, vmcs_read(GUEST_FS_LIMIT));
	CHECK_EQ(0xc0f3, vmcs_read(GUEST_FS_AR));
	CHECK_EQ(0xffff800000005000, vmcs_read(GUEST_FS_BASE));
	CHECK_EQ(0x48, vmcs_read(GUEST_SYSENTER_CS));
	CHECK_EQ(0xffff800000006000, vmcs_read(GUEST_SYSENTER_ESP));
	CHECK_EQ(0x7fffffffc000, vmcs_read(GUEST_SYSENTER_EIP));
	CHECK_EQ(0x404, vmcs_read(GUEST_DR7));
	/* And L1 has what it had. */
	CHECK_EQ(0x400, read_dr7());
	CHECK_EQ(cr0, read_cr0());
	CHECK_EQ(cr4, read_cr4());
}

/* --- shadows, offset, MSRs, timer --- */

static void cr_shadows(void)
{
	uint64_t cr0, cr4;

	vmx_start();
	cr0 = vmcs_read(GUEST_CR0);
	cr4 = vmcs_read(GUEST_CR4);
	/* A bit that is 1 and shown as 0, one that is 0 and shown as 1, and shadow bits outside of the mask. */
	vmcs_write(CR0_GUEST_HOST_MASK, X86_CR0_NE | X86_CR0_MP);
	vmcs_write(CR0_READ_SHADOW, (cr0 & ~X86_CR0_NE) | X86_CR0_MP | X86_CR0_TS | X86_CR0_AM);
	vmcs_write(CR4_GUEST_HOST_MASK, X86_CR4_VMXE | X86_CR4_MCE);
	vmcs_write(CR4_READ_SHADOW, X86_CR4_MCE | X86_CR4_DE);
	vmx_aim(l2_looks);
	vmx_run();
	CHECK_L2_DONE();
	CHECK_EQ((cr0 & ~X86_CR0_NE) | X86_CR0_MP, seen.cr0);
	CHECK_EQ((cr4 & ~X86_CR4_VMXE) | X86_CR4_MCE, seen.cr4);
	CHECK_EQ(cr0, vmx.exit.cr0);
	CHECK_EQ(cr4, vmx.exit.cr4);
}

static uint64_t l2_tsc, l2_tsc_msr;

static void l2_reads_tsc(void)
{
	l2_tsc = rdtsc();
	l2_tsc_msr = rdmsr(MSR_IA32_TSC);
}

static void check_tsc(uint64_t offset, uint64_t want_offset)
{
	uint64_t before, after;

	vmcs_write(TSC_OFFSET, offset);
	vmx_aim(l2_reads_tsc);
	before = rdtsc();
	vmx_run();
	after = rdtsc();
	CHECK_L2_DONE();
	CHECK(l2_tsc - want_offset > before);
	CHECK(l2_tsc_msr - want_offset > l2_tsc - want_offset);
	CHECK(after > l2_tsc_msr - want_offset);
}

static void tsc_offset(void)
{
	vmx_start();
	check_tsc(1ull << 50, 0);
	vmcs_set(PROC_CONTROLS, PROC_TSC_OFFSETTING);
	check_tsc(1ull << 50, 1ull << 50);
	check_tsc(-(1ull << 45), -(1ull << 45));
	check_tsc(0, 0);
}

static void efer(void)
{
	const uint64_t l1 = EFER_LME | EFER_LMA | EFER_NX, l2 = EFER_LME | EFER_LMA | EFER_SCE;

	vmx_start();
	wrmsr(MSR_EFER, l1);
	/* Not loaded: L2 has L1's. */
	vmcs_write(GUEST_EFER, l2);
	vmx_aim(l2_looks);
	vmx_run();
	CHECK_L2_DONE();
	CHECK_EQ(l1, seen.efer);
	CHECK_EQ(l2, vmcs_read(GUEST_EFER));
	/* Loaded, and nothing puts L1's back. */
	vmcs_set(ENTRY_CONTROLS, ENTRY_LOAD_EFER);
	vmx_aim(l2_looks);
	vmx_run();
	CHECK_EQ(l2, seen.efer);
	CHECK_EQ(l2, rdmsr(MSR_EFER));
	/* Both, and saved. */
	vmcs_write(GUEST_EFER, l2 | EFER_NX);
	vmcs_set(EXIT_CONTROLS, EXIT_LOAD_EFER | EXIT_SAVE_EFER);
	vmcs_write(HOST_EFER, l1);
	vmx_aim(l2_looks);
	vmx_run();
	CHECK_EQ(l2 | EFER_NX, seen.efer);
	CHECK_EQ(l1, rdmsr(MSR_EFER));
	CHECK_EQ(l2 | EFER_NX, vmcs_read(GUEST_EFER));
}

static void pat(void)
{
	const uint64_t l1 = 0x0007040600070406, l2 = 0x0006040700060407, host = 0x0106040700060507;

	vmx_start();
	wrmsr(MSR_IA32_PAT, l1);
	vmcs_write(GUEST_PAT, l2);
	vmcs_write(HOST_PAT, host);
	vmx_aim(l2_looks);
	vmx_run();
	CHECK_EQ(l1, seen.pat);
	CHECK_EQ(l1, rdmsr(MSR_IA32_PAT));
	vmcs_set(ENTRY_CONTROLS, ENTRY_LOAD_PAT);
	vmx_aim(l2_looks);
	vmx_run();
	CHECK_EQ(l2, seen.pat);
	CHECK_EQ(l2, rdmsr(MSR_IA32_PAT));
	vmcs_set(EXIT_CONTROLS, EXIT_LOAD_PAT | EXIT_SAVE_PAT);
	vmx_aim(l2_looks);
	vmx_run();
	CHECK_EQ(l2, seen.pat);
	CHECK_EQ(host, rdmsr(MSR_IA32_PAT));
	CHECK_EQ(l2, vmcs_read(GUEST_PAT));
	wrmsr(MSR_IA32_PAT, l1);
}

static void timer_saved(void)
{
	vmx_start();
	vmcs_set(PIN_CONTROLS, PIN_PREEMPTION_TIMER);
	vmcs_write(PREEMPTION_TIMER_VALUE, 0xfffffff0);
	vmx_run();
	CHECK_L2_DONE();
	CHECK_EQ(0xfffffff0, vmcs_read(PREEMPTION_TIMER_VALUE));
	vmcs_set(EXIT_CONTROLS, EXIT_SAVE_PREEMPTION_TIMER);
	vmx_aim(l2_looks);
	vmx_run();
	CHECK_L2_DONE();
	CHECK(vmcs_read(PREEMPTION_TIMER_VALUE) < 0xfffffff0);
	CHECK(vmcs_read(PREEMPTION_TIMER_VALUE) > 0x80000000);
}

INSN(world_spin, "1:\tpause\n\tjmp 1b")

/* The timer counts down by the TSC, 2^rate at a time; half of it is for a clock of KVM's that is not the TSC. */
static void timer_counts(void)
{
	const uint64_t value = 100000;
	unsigned int rate;
	uint64_t before;

	vmx_start();
	rate = rdmsr(MSR_IA32_VMX_MISC) & 0x1f;
	vmcs_set(PIN_CONTROLS, PIN_PREEMPTION_TIMER);
	vmcs_set(EXIT_CONTROLS, EXIT_SAVE_PREEMPTION_TIMER);
	vmcs_write(PREEMPTION_TIMER_VALUE, value);
	/* Bochs holds an interrupt of the host back while a guest has IF = 0. */
	vmcs_set(GUEST_RFLAGS, X86_EFLAGS_IF);
	vmx_aim(world_spin);
	before = rdtsc();
	vmx_run();
	CHECK_REASON(EXIT_REASON_PREEMPTION_TIMER);
	CHECK(rdtsc() - before > value << rate >> 1);
	CHECK_EQ(0, vmcs_read(PREEMPTION_TIMER_VALUE));
	/* Each entry starts it anew. */
	vmcs_write(PREEMPTION_TIMER_VALUE, value);
	before = rdtsc();
	vmx_run();
	CHECK_REASON(EXIT_REASON_PREEMPTION_TIMER);
	CHECK(rdtsc() - before > value << rate >> 1);
}

/* L1's TSC at the exit, whatever L2's offset is. */
static void tsc_stored(void)
{
	static struct { uint64_t index, value; } area[2] __attribute__((aligned(16)));
	uint64_t before, after;

	vmx_start();
	area[0].index = MSR_KERNEL_GS_BASE;
	area[1].index = MSR_IA32_TSC;
	vmcs_write(EXIT_MSR_STORE_ADDRESS, (ulong_t)area);
	vmcs_write(EXIT_MSR_STORE_COUNT, 2);
	vmcs_set(PROC_CONTROLS, PROC_TSC_OFFSETTING);
	vmcs_write(TSC_OFFSET, 1ull << 50);
	before = rdtsc();
	vmx_run();
	after = rdtsc();
	CHECK_L2_DONE();
	CHECK(area[1].value > before && area[1].value < after);
	/* And no longer when it is not in the area. */
	area[1].value = 0;
	vmcs_write(EXIT_MSR_STORE_COUNT, 1);
	vmx_run();
	CHECK_L2_DONE();
	CHECK_EQ(0, area[1].value);
	vmcs_write(EXIT_MSR_STORE_COUNT, 2);
	before = rdtsc();
	vmx_run();
	CHECK(area[1].value > before && area[1].value < rdtsc());
}

struct row {
	ROW_FIELDS;
	void (*run)(void);
};
#define RUN(name_, ...) { .label = #name_, .run = name_, ##__VA_ARGS__ }

static const struct row rows[] = {
	RUN(host_state), RUN(guest_state), RUN(guest_rflags), RUN(saved_state), RUN(cr_shadows), RUN(tsc_offset),
	RUN(efer, .needs = "vmx:load_efer"), RUN(pat, .needs = "vmx:load_pat vmx:save_pat"),
	RUN(timer_saved, .needs = "vmx:preemption_timer"), RUN(timer_counts, .needs = "vmx:preemption_timer"),
	RUN(tsc_stored, .known = { "4601-bochs-stores-tsc-with-offset", "lab-vmx" }), RUN(failed_entry), RUN(late_failure, .needs = "vmx:tpr_shadow vmx:load_pat vmx:load_efer"),
};

CASE(world, .says = "entry and exit load and save all state", .modes = LONG64, .needs = "vendor:intel nested",
     .rows = ROWS(rows))

GUEST(world)
{
	GUEST_ROW(rows)->run();
}

/* SDM vol. 3C, 28.5.2: what an exit makes of a selector. */
#define DATA_SEGMENT(selector_, base_)							\
	{ .base = base_, .limit = 0xffffffff, .selector = selector_, .type = 3, .present = 1, .db = 1, .s = 1, .g = 1 }

static void host_check_segments(struct test *t)
{
	struct kvm_sregs want, got;
	struct kvm_debugregs debugregs;

	vcpu_ioctl(t->vcpu, KVM_GET_DEBUGREGS, &debugregs);
	expect_eq(t, 0x400, debugregs.dr7);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &got);
	/* What the guest's half has no other value for, or looks at itself. */
	want = got;
	want.cs = (struct kvm_segment){ .limit = 0xffffffff, .selector = SEL_CODE64, .type = 11, .present = 1, .s = 1,
					.l = 1, .g = 1 };
	want.ds = want.ss = (struct kvm_segment)DATA_SEGMENT(SEL_DATA, 0);
	want.es = (struct kvm_segment)DATA_SEGMENT(SEL_DATA, 0);
	want.fs = (struct kvm_segment)DATA_SEGMENT(SEL_DATA16, 0xffff800000001000);
	want.gs = (struct kvm_segment)DATA_SEGMENT(SEL_SELF, ABI_GPA);
	want.tr = (struct kvm_segment){ .base = TSS_GPA, .limit = 0x67, .selector = SEL_TSS, .type = 11, .present = 1 };
	want.ldt = (struct kvm_segment){ .unusable = 1 };
	want.gdt.limit = want.idt.limit = 0xffff;
	expect_sregs(t, &want, &got);
}

static void host_check_late(struct test *t)
{
	struct kvm_sregs sregs;

	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &sregs);
	expect_eq(t, guest_value(t, 0), sregs.cr0);
	expect_eq(t, guest_value(t, 1), sregs.cr3);
	expect_eq(t, guest_value(t, 2), sregs.cr4);
	expect_eq(t, guest_value(t, 3), sregs.efer);
}

HOST(world)
{
	if (ROW(t, rows)->run == late_failure) {
		require_sync(t, 1);
		host_check_late(t);
	}
	if (ROW(t, rows)->run == host_state) {
		require_sync(t, 1);
		host_check_segments(t);
	}
	expect_done(t);
}
