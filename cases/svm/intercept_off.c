/* SPDX-License-Identifier: MIT */
/*
 * With its intercept clear, an instruction of L2 does not exit to L1: it has its effect in L2, whoever carries it out
 * (the CPU, or KVM behind an intercept of its own), and L2 goes on behind it.
 *
 * Can break: an exit that KVM wants for itself handed to L1; an emulated instruction that is skipped, or whose result
 * is L1's.
 * Source: APM vol. 2, 15.9; vol. 3, each instruction.
 */
#include "guests/l1_svm.h"
#include "case.h"

#define CODE(name_, text_) INSN(off_##name_, text_ "\n\tvmmcall")

CODE(sidt, "sidt -16(%rsp)\n\tmov -14(%rsp), %rax")
CODE(sgdt, "sgdt -16(%rsp)\n\tmov -14(%rsp), %rax")
CODE(sldt, "xor %eax, %eax\n\tsldt %ax")
CODE(str, "xor %eax, %eax\n\tstr %ax")
CODE(lidt, "sidt -16(%rsp)\n\tlidt -16(%rsp)")
CODE(lgdt, "sgdt -16(%rsp)\n\tlgdt -16(%rsp)")
CODE(lldt, "xor %eax, %eax\n\tlldt %ax")
CODE(ltr, "mov $0xa8, %ebx\n\tltr %bx\n\txor %eax, %eax\n\tstr %ax")
CODE(invpcid, "push $0\n\tpush $0\n\tmov $2, %eax\n\tinvpcid (%rsp), %rax\n\tmov $77, %eax")
CODE(rdtsc, "rdtsc\n\txor %eax, %eax")
CODE(pushf, "pushf\n\tpop %rax")
CODE(popf, "push $0xc97\n\tpopf\n\tpushf\n\tpop %rax\n\tpush $2\n\tpopf")
CODE(cpuid, "xor %eax, %eax\n\txor %ecx, %ecx\n\tcpuid\n\tmov %ebx, %eax")
CODE(iret, "mov %rsp, %rcx\n\tmov %ss, %edx\n\tpush %rdx\n\tpush %rcx\n\tpushf\n\tmov %cs, %edx\n\tpush %rdx\n\t"
     "lea 1f(%rip), %rdx\n\tpush %rdx\n\tiretq\n\tud2\n1:\tmov $77, %eax")
CODE(invd, "invd\n\tmov $77, %eax")
CODE(wbinvd, "wbinvd\n\tmov $77, %eax")
CODE(pause, "pause\n\tmov $77, %eax")
CODE(invlpg, "invlpg (%rsp)\n\tmov $77, %eax")
CODE(monitor, "mov %rsp, %rax\n\txor %ecx, %ecx\n\txor %edx, %edx\n\tmonitor\n\tmov $77, %eax")
CODE(mwait, "xor %eax, %eax\n\txor %ecx, %ecx\n\tmwait\n\tmov $77, %eax")
CODE(cr0_read, "mov %cr0, %rax")
CODE(cr3_read, "mov %cr3, %rax")
CODE(cr4_read, "mov %cr4, %rax")
CODE(cr8_read, "mov %cr8, %rax")
CODE(cr2_write, "mov $0x1234567, %eax\n\tmov %rax, %cr2\n\txor %eax, %eax\n\tmov %cr2, %rax")
CODE(cr0_write, "mov %cr0, %rax\n\tbts $18, %rax\n\tmov %rax, %cr0\n\tmov %cr0, %rax\n\tmov %rax, %rcx\n\t"
     "btr $18, %rcx\n\tmov %rcx, %cr0")
CODE(cr3_write, "mov %cr3, %rax\n\tmov %rax, %cr3")
CODE(cr4_write, "mov %cr4, %rcx\n\tmov %rcx, %rax\n\tbts $2, %rax\n\tmov %rax, %cr4\n\tmov %cr4, %rax\n\t"
     "mov %rcx, %cr4")
CODE(clts, "mov %cr0, %rax\n\tbts $3, %rax\n\tmov %rax, %cr0\n\tclts\n\tmov %cr0, %rax")
#define DR_CODE(n_)									\
	CODE(dr##n_, "mov $0x123456" #n_ ", %eax\n\tmov %rax, %dr" #n_ "\n\txor %eax, %eax\n\t"	\
	     "mov %dr" #n_ ", %rax")
DR_CODE(0) DR_CODE(1) DR_CODE(2) DR_CODE(3)
CODE(dr6, "mov $0xffff0ff1, %eax\n\tmov %rax, %dr6\n\txor %eax, %eax\n\tmov %dr6, %rax\n\t"
     "mov $0xffff0ff0, %ecx\n\tmov %rcx, %dr6")
CODE(dr7_write, "mov $0x500, %eax\n\tmov %rax, %dr7\n\tmov %dr7, %rax\n\t"
     "mov $0x400, %ecx\n\tmov %rcx, %dr7")
CODE(cr8_write, "mov $5, %eax\n\tmov %rax, %cr8\n\txor %eax, %eax\n\tmov %cr8, %rax")
CODE(lmsw, "mov %cr0, %rax\n\tbts $3, %rax\n\tlmsw %ax\n\tmov %cr0, %rax\n\tclts")
CODE(rdtscp, "rdtscp\n\tmov $77, %eax")
CODE(xsetbv, "xor %ecx, %ecx\n\txgetbv\n\txsetbv\n\tmov $77, %eax")
/* The VMCB is the scratch RAM. */
CODE(vmload, "mov $0x200000, %eax\n\tvmsave\n\tvmload\n\tmov $77, %eax")
CODE(gif, "clgi\n\tstgi\n\tmov $77, %eax")
CODE(invlpga, "mov %rsp, %rax\n\txor %ecx, %ecx\n\tinvlpga\n\tmov $77, %eax")
CODE(out, "mov $77, %eax\n\tout %al, $0x80")
CODE(hlt, "hlt\n\tmov $77, %eax")
CODE(int, "int $0x81\n\tmov $77, %eax")
CODE(dr7_read, "mov %dr7, %rax")
CODE(rdmsr_efer, "mov $0xc0000080, %ecx\n\trdmsr")
CODE(wrmsr_lstar, "mov $0xc0000082, %ecx\n\tmov $0x12345, %eax\n\txor %edx, %edx\n\twrmsr\n\txor %eax, %eax\n\trdmsr")
CODE(rdmsr_pat, "mov $0x277, %ecx\n\trdmsr")

enum want { WANT_VALUE, WANT_IDT, WANT_GDT, WANT_CR0, WANT_CR3, WANT_CR4, WANT_EFER, WANT_PAT_LOW, WANT_CPUID_EBX };

struct row {
	ROW_FIELDS;
	const char *code, *end;
	uint64_t value;		/* of RAX at the end */
	enum want want;		/* WANT_x: the value, changed by XOR with @value */
	uint32_t exits[2];	/* that it makes where they are intercepted */
	unsigned int nr_exits;
	bool is_out;		/* to a port of user space */
	bool is_hlt;
};

#define EXITS(...) .exits = { __VA_ARGS__ }, .nr_exits = sizeof((uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t)

#define ROW_OF(name_, ...) { .label = #name_, .code = off_##name_, .end = off_##name_##_end, ##__VA_ARGS__ }

static const struct row rows[] = {
	ROW_OF(sidt, EXITS(SVM_EXIT_IDTR_READ), .want = WANT_IDT),
	ROW_OF(sgdt, EXITS(SVM_EXIT_GDTR_READ), .want = WANT_GDT),
	ROW_OF(sldt, EXITS(SVM_EXIT_LDTR_READ), .value = 0),
	ROW_OF(str, EXITS(SVM_EXIT_TR_READ), .value = SEL_TSS),
	ROW_OF(lidt, EXITS(SVM_EXIT_IDTR_WRITE)),
	ROW_OF(lgdt, EXITS(SVM_EXIT_GDTR_WRITE)),
	ROW_OF(lldt, EXITS(SVM_EXIT_LDTR_WRITE)),
	ROW_OF(ltr, EXITS(SVM_EXIT_TR_WRITE), .value = SEL_FREE),
	ROW_OF(invpcid, EXITS(SVM_EXIT_INVPCID), .value = 77, .needs = "cpuid:invpcid"),
	ROW_OF(rdtsc, EXITS(SVM_EXIT_RDTSC)),
	ROW_OF(pushf, EXITS(SVM_EXIT_PUSHF), .value = 2),
	ROW_OF(popf, EXITS(SVM_EXIT_POPF), .value = 0xc97),
	ROW_OF(cpuid, EXITS(SVM_EXIT_CPUID), .want = WANT_CPUID_EBX),
	ROW_OF(iret, EXITS(SVM_EXIT_IRET), .value = 77),
	ROW_OF(invd, EXITS(SVM_EXIT_INVD), .value = 77),
	ROW_OF(wbinvd, EXITS(SVM_EXIT_WBINVD), .value = 77),
	ROW_OF(pause, EXITS(SVM_EXIT_PAUSE), .value = 77),
	ROW_OF(invlpg, EXITS(SVM_EXIT_INVLPG), .value = 77),
	ROW_OF(monitor, EXITS(SVM_EXIT_MONITOR), .value = 77),
	ROW_OF(mwait, EXITS(SVM_EXIT_MWAIT), .value = 77),
	ROW_OF(cr0_read, EXITS(SVM_EXIT_READ_CR0), .want = WANT_CR0),
	ROW_OF(cr3_read, EXITS(SVM_EXIT_READ_CR3), .want = WANT_CR3),
	ROW_OF(cr4_read, EXITS(SVM_EXIT_READ_CR4), .want = WANT_CR4),
	ROW_OF(cr8_read, EXITS(SVM_EXIT_READ_CR8), .value = 0),
	ROW_OF(cr2_write, EXITS(SVM_EXIT_WRITE_CR2, SVM_EXIT_READ_CR2), .value = 0x1234567),
	ROW_OF(cr0_write, EXITS(SVM_EXIT_WRITE_CR0, SVM_EXIT_CR0_SEL_WRITE), .want = WANT_CR0, .value = X86_CR0_AM),
	ROW_OF(cr3_write, EXITS(SVM_EXIT_WRITE_CR3), .want = WANT_CR3),
	ROW_OF(cr4_write, EXITS(SVM_EXIT_WRITE_CR4), .want = WANT_CR4, .value = X86_CR4_TSD),
	ROW_OF(clts, EXITS(SVM_EXIT_WRITE_CR0), .want = WANT_CR0),
	ROW_OF(dr7_read, EXITS(SVM_EXIT_READ_DR7), .value = 0x400),
	ROW_OF(rdmsr_efer, EXITS(SVM_EXIT_MSR), .want = WANT_EFER),
	ROW_OF(wrmsr_lstar, EXITS(SVM_EXIT_MSR), .value = 0x12345),
	ROW_OF(rdmsr_pat, EXITS(SVM_EXIT_MSR), .want = WANT_PAT_LOW),
	ROW_OF(dr0, EXITS(SVM_EXIT_READ_DR0, SVM_EXIT_WRITE_DR0), .value = 0x1234560),
	ROW_OF(dr1, EXITS(SVM_EXIT_READ_DR1, SVM_EXIT_WRITE_DR1), .value = 0x1234561),
	ROW_OF(dr2, EXITS(SVM_EXIT_READ_DR2, SVM_EXIT_WRITE_DR2), .value = 0x1234562),
	ROW_OF(dr3, EXITS(SVM_EXIT_READ_DR3, SVM_EXIT_WRITE_DR3), .value = 0x1234563),
	ROW_OF(dr6, EXITS(SVM_EXIT_READ_DR6, SVM_EXIT_WRITE_DR6), .value = 0xffff0ff1),
	ROW_OF(dr7_write, EXITS(SVM_EXIT_WRITE_DR7), .value = 0x500),
	ROW_OF(cr8_write, EXITS(SVM_EXIT_READ_CR8, SVM_EXIT_WRITE_CR8), .value = 5),
	ROW_OF(lmsw, EXITS(SVM_EXIT_WRITE_CR0), .want = WANT_CR0, .value = X86_CR0_TS),
	ROW_OF(rdtscp, EXITS(SVM_EXIT_RDTSCP), .value = 77, .needs = "cpuid:rdtscp"),
	ROW_OF(xsetbv, EXITS(SVM_EXIT_XSETBV), .value = 77, .needs = "cpuid:xsave"),
	ROW_OF(vmload, EXITS(SVM_EXIT_VMLOAD, SVM_EXIT_VMSAVE), .value = 77),
	ROW_OF(gif, EXITS(SVM_EXIT_CLGI, SVM_EXIT_STGI), .value = 77),
	ROW_OF(invlpga, EXITS(SVM_EXIT_INVLPGA), .value = 77),
	ROW_OF(hlt, EXITS(SVM_EXIT_HLT), .value = 77, .is_hlt = true),
	ROW_OF(int, EXITS(SVM_EXIT_SWINT), .value = 77),
	ROW_OF(out, EXITS(SVM_EXIT_IOIO), .value = 77, .is_out = true),
};

CASE(intercept_off, .says = "an instruction of L2 without its intercept has its effect and no exit", .modes = LONG64,
     .needs = "vendor:amd nested", .rows = ROWS(rows))

static uint64_t wanted(const struct row *row)
{
	switch (row->want) {
	case WANT_IDT: return l1_vmcb.save.idtr.base;
	case WANT_GDT: return l1_vmcb.save.gdtr.base;
	case WANT_CR0: return read_cr0() ^ row->value;
	case WANT_CR3: return read_cr3();
	case WANT_CR4: return read_cr4() ^ row->value;
	case WANT_EFER: return (uint32_t)rdmsr(MSR_EFER);
	case WANT_PAT_LOW: return (uint32_t)rdmsr(MSR_IA32_PAT);
	case WANT_CPUID_EBX: return cpuid(0, 0).ebx;
	default: return row->value;
	}
}

static void ignore(struct guest_regs *regs)
{
	(void)regs;
}

/* SEL_FREE: a TSS that is not busy, where this vCPU's is. */
static void tss_make(void)
{
	*(uint64_t *)(GDT_GPA + SEL_FREE) = 0x0000890054000067ull;
	*(uint64_t *)(GDT_GPA + SEL_FREE + 8) = 0;
}

GUEST(intercept_off)
{
	const struct row *row = GUEST_ROW(rows);
	unsigned int i;

	write_cr4(read_cr4() | (cpuid(1, 0).ecx & 1u << 26 ? X86_CR4_OSXSAVE : 0));
	guest_handle(0x81, ignore);
	tss_make();
	l1_svm_init();
	/* Maps of everything count for nothing without their intercept. */
	memset(l1_iopm, 0xff, IOPM_BYTES);
	memset(l1_msrpm, 0xff, MSRPM_BYTES);
	l2_warm();
	l2_run(row->code);
	CHECK_L2_DONE(row->end - 3);
	for (i = 0; i < row->nr_exits; i++)
		CHECK_NO_EXIT(row->exits[i]);
	CHECK_EQ(wanted(row), l1_vmcb.save.rax);
}

HOST(intercept_off)
{
	if (ROW(t, rows)->is_out)
		expect_pio_out(t, .port = 0x80, .size = 1, .count = 1, .data = 77);
	if (ROW(t, rows)->is_hlt)
		expect_hlt(t);
	expect_done(t);
}
