/* SPDX-License-Identifier: MIT */
/*
 * #VMEXIT brings back what VMRUN has saved of L1, whatever L2 made of it: CR0, CR3, CR4, EFER, RFLAGS, RSP, RAX, CS,
 * SS, DS, ES, GDTR, IDTR; DR7 becomes 400h. What VMRUN does not save stays as L2 left it: DR0 to DR3, DR6, CR2, FS, GS,
 * TR, LDTR, the MSRs of system calls. GIF is clear. What L2 made of its own is in the VMCB, and nothing else has changed
 * there. User space sees L1's state, too.
 *
 * Can break: L1's register restored from the wrong VMCB, or not at all, KVM's caches of control registers and segments; a
 * field of the VMCB that is not saved, or not from where the register is.
 * Source: APM vol. 2, 15.5.1, 15.6.
 */
#include "guests/l1_svm.h"
#include "case.h"

/* Each changes the register in L2. */
INSN(h_cr0, "mov %cr0, %rax\n\txor $0x4002a, %rax\n\tmov %rax, %cr0\n\tvmmcall")
INSN(h_cr4, "mov %cr4, %rax\n\txor $0x68c, %rax\n\tmov %rax, %cr4\n\tvmmcall")
INSN(h_cr3, "mov %rbx, %cr3\n\tvmmcall")
INSN(h_efer, "mov $0xc0000080, %ecx\n\trdmsr\n\txor $0x801, %eax\n\twrmsr\n\tvmmcall")
INSN(h_rflags, "push $0xcd7\n\tpopf\n\tvmmcall")
INSN(h_segments, "mov $0x3b, %eax\n\tmov %ax, %ds\n\tmov %ax, %es\n\tmov $0x28, %eax\n\tmov %ax, %ss\n\tvmmcall")
INSN(h_tables, "mov $0x77, %eax\n\tmov %ax, -16(%rsp)\n\tmov %rbx, -14(%rsp)\n\tlgdt -16(%rsp)\n\tlidt -16(%rsp)\n\t"
     "vmmcall")
INSN(h_dr7, "mov $0x155, %eax\n\tor $0x400, %eax\n\tmov %rax, %dr7\n\tvmmcall")
INSN(h_dr0, "mov %rbx, %dr0\n\tvmmcall")
INSN(h_dr3, "mov %rbx, %dr3\n\tvmmcall")
INSN(h_cr2, "mov %rbx, %cr2\n\tvmmcall")
INSN(h_lstar, "mov $0xc0000082, %ecx\n\tmov %ebx, %eax\n\txor %edx, %edx\n\twrmsr\n\tvmmcall")
INSN(h_fs_base, "mov $0xc0000100, %ecx\n\tmov %ebx, %eax\n\txor %edx, %edx\n\twrmsr\n\tvmmcall")
INSN(h_sysenter_cs, "mov $0x174, %ecx\n\tmov %ebx, %eax\n\txor %edx, %edx\n\twrmsr\n\tvmmcall")
INSN(h_rsp, "mov %rbx, %rsp\n\tvmmcall")
INSN(h_clean, "vmmcall")

struct row {
	ROW_FIELDS;
	const char *code;
	uint64_t rbx;
	uint64_t cr0;		/* bits that L2 begins with, other than L1's */
};

#define ROW_OF(name_, ...) { .label = #name_, .code = h_##name_, ##__VA_ARGS__ }

static const struct row rows[] = {
	ROW_OF(clean), { .label = "cr0_loaded", .code = h_clean, .cr0 = X86_CR0_WP | X86_CR0_MP }, ROW_OF(cr0), ROW_OF(cr4), ROW_OF(cr3), ROW_OF(efer), ROW_OF(rflags), ROW_OF(segments),
	ROW_OF(tables, .rbx = 0x123000), ROW_OF(dr7), ROW_OF(dr0, .rbx = 0x1234), ROW_OF(dr3, .rbx = 0x5678),
	ROW_OF(cr2, .rbx = 0xabcd), ROW_OF(lstar, .rbx = 0x4321), ROW_OF(fs_base, .rbx = 0x5432),
	ROW_OF(sysenter_cs, .rbx = 0x33), ROW_OF(rsp, .rbx = 0x200800),
};

CASE(state_host, .says = "#VMEXIT brings L1's state back, and only what VMRUN saves", .modes = LONG64,
     .needs = "vendor:amd nested", .rows = ROWS(rows))

struct machine {
	uint64_t cr0, cr2, cr3, cr4, efer, rflags, gdt_base, idt_base, dr0, dr3, dr7, lstar, fs_base, sysenter_cs;
	uint16_t gdt_limit, idt_limit, cs, ss, ds, es, fs, gs, tr, ldt;
};

static uint16_t selector(const char which)
{
	uint16_t value = 0;

	switch (which) {
	case 'c': __asm__ volatile("mov %%cs, %0" : "=r"(value)); break;
	case 's': __asm__ volatile("mov %%ss, %0" : "=r"(value)); break;
	case 'd': __asm__ volatile("mov %%ds, %0" : "=r"(value)); break;
	case 'e': __asm__ volatile("mov %%es, %0" : "=r"(value)); break;
	case 'f': __asm__ volatile("mov %%fs, %0" : "=r"(value)); break;
	case 'g': __asm__ volatile("mov %%gs, %0" : "=r"(value)); break;
	case 't': __asm__ volatile("str %0" : "=r"(value)); break;
	case 'l': __asm__ volatile("sldt %0" : "=r"(value)); break;
	}
	return value;
}

static struct machine machine_read(void)
{
	struct table {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) gdt, idt;

	__asm__ volatile("sgdt %0\n\tsidt %1" : "=m"(gdt), "=m"(idt));
	return (struct machine){
		.cr0 = read_cr0(), .cr2 = read_cr2(), .cr3 = read_cr3(), .cr4 = read_cr4(), .efer = rdmsr(MSR_EFER),
		/* The arithmetic flags are the compiler's. */
		.rflags = read_flags() & ~0x8d5ull,
		.gdt_base = gdt.base, .gdt_limit = gdt.limit, .idt_base = idt.base, .idt_limit = idt.limit,
		.dr0 = read_dr0(), .dr3 = read_dr3(), .dr7 = read_dr7(), .lstar = rdmsr(MSR_LSTAR),
		.fs_base = rdmsr(MSR_FS_BASE), .sysenter_cs = rdmsr(MSR_IA32_SYSENTER_CS),
		.cs = selector('c'), .ss = selector('s'), .ds = selector('d'), .es = selector('e'),
		.fs = selector('f'), .gs = selector('g'), .tr = selector('t'), .ldt = selector('l'),
	};
}

static void check_machine(const struct machine *want, const struct machine *got)
{
	CHECK_EQ(want->cr0, got->cr0);
	CHECK_CR2(want->cr2, got->cr2);
	CHECK_EQ(want->cr3, got->cr3);
	CHECK_EQ(want->cr4, got->cr4);
	CHECK_EQ(want->efer, got->efer);
	CHECK_EQ(want->rflags, got->rflags);
	CHECK_EQ(want->gdt_base, got->gdt_base);
	CHECK_EQ(want->gdt_limit, got->gdt_limit);
	CHECK_EQ(want->idt_base, got->idt_base);
	CHECK_EQ(want->idt_limit, got->idt_limit);
	CHECK_EQ(want->dr0, got->dr0);
	CHECK_EQ(want->dr3, got->dr3);
	CHECK_EQ(want->dr7, got->dr7);
	CHECK_EQ(want->lstar, got->lstar);
	CHECK_EQ(want->fs_base, got->fs_base);
	CHECK_EQ(want->sysenter_cs, got->sysenter_cs);
	CHECK_EQ(want->cs, got->cs);
	CHECK_EQ(want->ss, got->ss);
	CHECK_EQ(want->ds, got->ds);
	CHECK_EQ(want->es, got->es);
	CHECK_EQ(want->fs, got->fs);
	CHECK_EQ(want->gs, got->gs);
	CHECK_EQ(want->tr, got->tr);
	CHECK_EQ(want->ldt, got->ldt);
}

/* What L2 changed and L1 sees. */
static void apply_leaks(const struct row *row, struct machine *want)
{
	want->dr7 = 0x400;
	want->cr2 = row->code == h_cr2 ? row->rbx : l1_vmcb.save.cr2;
	if (row->code == h_dr0)
		want->dr0 = row->rbx;
	if (row->code == h_dr3)
		want->dr3 = row->rbx;
	if (row->code == h_lstar)
		want->lstar = row->rbx;
	if (row->code == h_fs_base)
		want->fs_base = row->rbx;
	if (row->code == h_sysenter_cs)
		want->sysenter_cs = row->rbx;
}

/* What L2 has made of @save. */
static void apply_changes(const struct row *row, struct vmcb_save *save)
{
	if (row->code == h_cr0)
		save->cr0 ^= 0x4002a;
	if (row->code == h_cr4)
		save->cr4 ^= 0x68c;
	if (row->code == h_cr3)
		save->cr3 = l2_regs.rbx;
	if (row->code == h_efer)
		save->efer ^= 0x801;
	if (row->code == h_rflags)
		save->rflags = 0xcd7;
	if (row->code == h_tables) {
		save->gdtr.limit = save->idtr.limit = 0x77;
		save->gdtr.base = save->idtr.base = row->rbx;
	}
	if (row->code == h_dr7)
		save->dr7 = 0x555;
	if (row->code == h_cr2)
		save->cr2 = row->rbx;
}

static void check_saved(const struct row *row, const struct vmcb_save *before)
{
	struct vmcb_save want = *before, *got = &l1_vmcb.save;

	apply_changes(row, &want);
	want.rip = got->rip;
	want.rax = got->rax;
	if (row->code == h_rsp)
		want.rsp = row->rbx;
	else
		want.rsp = got->rsp;
	/* The arithmetic flags are XOR's where there is one. */
	if (row->code != h_rflags)
		want.rflags = (want.rflags & ~0x8d5ull) | (got->rflags & 0x8d5);
	if (row->code == h_segments) {
		CHECK_EQ(0x3b, got->ds.selector);
		CHECK_EQ(0x3b, got->es.selector);
		CHECK_EQ(0x28, got->ss.selector);
		want.ds = got->ds;
		want.es = got->es;
		want.ss = got->ss;
	}
	check_vmcb_save(got, &want, __FILE__, __LINE__);
	CHECK_EQ(want.rsp, got->rsp);
}

GUEST(state_host)
{
	const struct row *row = GUEST_ROW(rows);
	struct machine before, after;
	struct vmcb_save saved;

	l1_svm_init();
	wrmsr(MSR_LSTAR, 0x1111);
	wrmsr(MSR_IA32_SYSENTER_CS, 0x22);
	write_dr0(0x9999);
	write_dr3(0x8888);
	write_dr7(0x402);
	write_cr2(0x7777);
	l1_vmcb.save.cr2 = 0x6666;
	l2_regs.rbx = row->code == h_cr3 ? read_cr3() | 0x18 : row->rbx;
	l1_vmcb.save.cr0 ^= row->cr0;
	saved = l1_vmcb.save;
	before = machine_read();
	l2_run(row->code);
	after = machine_read();
	guest_sync(1);
	CHECK_EXIT_CODE(SVM_EXIT_VMMCALL);
	GUEST_VALUE(0, before.cr0);
	GUEST_VALUE(1, before.cr3);
	GUEST_VALUE(2, before.cr4);
	GUEST_VALUE(3, before.efer);
	apply_leaks(row, &before);
	check_machine(&before, &after);
	check_saved(row, &saved);
}

HOST(state_host)
{
	struct kvm_debugregs debug;
	struct kvm_sregs sregs;

	require_sync(t, 1);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &sregs);
	vcpu_ioctl(t->vcpu, KVM_GET_DEBUGREGS, &debug);
	expect_done(t);
	expect_eq(t, guest_value(t, 0), sregs.cr0);
	expect_eq(t, guest_value(t, 1), sregs.cr3);
	expect_eq(t, guest_value(t, 2), sregs.cr4);
	expect_eq(t, guest_value(t, 3), sregs.efer);
	expect_eq(t, 0x400, debug.dr7);
}
