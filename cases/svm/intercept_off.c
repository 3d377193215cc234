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
CODE(dr0, "mov $0x1234568, %eax\n\tmov %rax, %dr0\n\txor %eax, %eax\n\tmov %dr0, %rax")
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
};

#define ROW_OF(name_, ...) { .label = #name_, .code = off_##name_, .end = off_##name_##_end, ##__VA_ARGS__ }

static const struct row rows[] = {
	ROW_OF(sidt, .want = WANT_IDT), ROW_OF(sgdt, .want = WANT_GDT), ROW_OF(sldt, .value = 0),
	ROW_OF(str, .value = SEL_TSS), ROW_OF(lidt), ROW_OF(lgdt), ROW_OF(lldt), ROW_OF(rdtsc),
	ROW_OF(pushf, .value = 2), ROW_OF(popf, .value = 0xc97),
	ROW_OF(cpuid, .want = WANT_CPUID_EBX), ROW_OF(iret, .value = 77), ROW_OF(invd, .value = 77),
	ROW_OF(wbinvd, .value = 77), ROW_OF(pause, .value = 77), ROW_OF(invlpg, .value = 77),
	ROW_OF(monitor, .value = 77), ROW_OF(mwait, .value = 77),
	ROW_OF(cr0_read, .want = WANT_CR0), ROW_OF(cr3_read, .want = WANT_CR3), ROW_OF(cr4_read, .want = WANT_CR4),
	ROW_OF(cr8_read, .value = 0), ROW_OF(cr2_write, .value = 0x1234567),
	ROW_OF(cr0_write, .want = WANT_CR0, .value = X86_CR0_AM), ROW_OF(cr3_write, .want = WANT_CR3),
	ROW_OF(cr4_write, .want = WANT_CR4, .value = X86_CR4_TSD), ROW_OF(clts, .want = WANT_CR0),
	ROW_OF(dr0, .value = 0x1234568), ROW_OF(dr7_read, .value = 0x400),
	ROW_OF(rdmsr_efer, .want = WANT_EFER), ROW_OF(wrmsr_lstar, .value = 0x12345),
	ROW_OF(rdmsr_pat, .want = WANT_PAT_LOW),
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

GUEST(intercept_off)
{
	const struct row *row = GUEST_ROW(rows);

	l1_svm_init();
	l2_run(row->code);
	CHECK_L2_DONE(row->end - 3);
	CHECK_EQ(wanted(row), l1_vmcb.save.rax);
}

HOST(intercept_off)
{
	expect_done(t);
}
