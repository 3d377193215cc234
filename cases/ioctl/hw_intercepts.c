/* SPDX-License-Identifier: MIT */
/*
 * One instruction, and the hardware exits it takes: the ones that KVM must see, and none where the CPU does all of it.
 *
 * Can break: an intercept that is not set (the guest reaches the host's state), one that is set for nothing (each use
 * costs a thousand cycles), an MSR permission bit of the neighbour, DR or CR0 intercepts that are never lifted again or
 * lifted for good.
 * Source: APM vol. 2, 15.9, 15.10, 15.11, 15.12 and appendix C; SDM vol. 3C, 26.1.2, 26.1.3 and appendix C. Which of the
 * optional intercepts are set is KVM's choice: those without two-dimensional paging, the descriptor tables, RDTSC.
 */
#include "case.h"

#define MAX_EXITS 3

struct row {
	ROW_FIELDS;
	const char *code;
	uint64_t svm[MAX_EXITS], vmx[MAX_EXITS];
	uint8_t nr_svm, nr_vmx;
	int32_t fault;		/* vector + 1; 0: none */
	uint32_t error_code;
	uint32_t set_cr4;
};

#define NR(...) (sizeof((uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t))
#define SVM(...) .svm = { __VA_ARGS__ }, .nr_svm = NR(__VA_ARGS__)
#define VMX(...) .vmx = { __VA_ARGS__ }, .nr_vmx = NR(__VA_ARGS__)
#define SVM_EXCEPTION(vector_) SVM(SVM_EXIT_EXCP_BASE + (vector_))

/* A function of the image; RAX, RCX, RDX are free. */
#define CODE(name_, text_) INSN(hw_##name_, text_ "\n\tret")
#define READ_MSR(name_, index_) CODE(name_, "mov $" #index_ ", %ecx\n\trdmsr")
#define WRITE_MSR(name_, index_) CODE(name_, "mov $" #index_ ", %ecx\n\trdmsr\n\twrmsr")
#define TOGGLE(name_, cr_, bit_) \
	CODE(name_, "mov %cr" #cr_ ", %rax\n\tbtc $" #bit_ ", %rax\n\tmov %rax, %cr" #cr_)

CODE(nop, "nop")
CODE(cpuid, "push %rbx\n\txor %eax, %eax\n\tcpuid\n\tpop %rbx")
CODE(rdtsc, "rdtsc")
CODE(rdtscp, "rdtscp")
CODE(rdpmc, "mov $0x7fffffff, %ecx\n\trdpmc")
CODE(invd, "invd")
CODE(wbinvd, "wbinvd")
CODE(monitor, "mov %rsp, %rax\n\txor %ecx, %ecx\n\txor %edx, %edx\n\tmonitor")
CODE(mwait, "xor %eax, %eax\n\txor %ecx, %ecx\n\tmwait")
CODE(xgetbv, "xor %ecx, %ecx\n\txgetbv")
CODE(xsetbv, "xor %ecx, %ecx\n\txgetbv\n\txsetbv")
CODE(invlpg, "invlpg (%rsp)")
CODE(clts, "clts")
CODE(smsw, "smsw %eax")
CODE(cr0_read, "mov %cr0, %rax")
CODE(cr0_same, "mov %cr0, %rax\n\tmov %rax, %cr0")
TOGGLE(cr0_mp, 0, 1)
TOGGLE(cr0_ts, 0, 3)
TOGGLE(cr0_em, 0, 2)
TOGGLE(cr0_ne, 0, 5)
TOGGLE(cr0_am, 0, 18)
CODE(cr0_cd, "mov %cr0, %rax\n\tbts $30, %rax\n\tmov %rax, %cr0\n\tmov %cr0, %rcx\n\tcmp %rax, %rcx\n\t"
     "je 1f\n\tud2\n1:")
CODE(cr2_write, "mov %rax, %cr2")
CODE(cr2_read, "mov %cr2, %rax")
CODE(cr3_read, "mov %cr3, %rax")
CODE(cr3_write, "mov %cr3, %rax\n\tmov %rax, %cr3")
CODE(cr4_read, "mov %cr4, %rax")
CODE(cr4_same, "mov %cr4, %rax\n\tmov %rax, %cr4")
TOGGLE(cr4_mce, 4, 6)
TOGGLE(cr4_pge, 4, 7)
TOGGLE(cr4_tsd, 4, 2)
TOGGLE(cr4_osfxsr, 4, 9)
CODE(dr0_read, "mov %dr0, %rax")
CODE(dr3_write, "xor %eax, %eax\n\tmov %rax, %dr3")
CODE(dr6_read, "mov %dr6, %rax")
CODE(dr7_read, "mov %dr7, %rax")
CODE(dr7_write, "mov $0x400, %eax\n\tmov %rax, %dr7")
CODE(dr_all, "mov %dr1, %rax\n\tmov %dr2, %rax\n\tmov %rax, %dr2\n\tmov %dr7, %rax")
READ_MSR(rdmsr_efer, 0xc0000080)
READ_MSR(rdmsr_star, 0xc0000081)
READ_MSR(rdmsr_lstar, 0xc0000082)
READ_MSR(rdmsr_cstar, 0xc0000083)
READ_MSR(rdmsr_sfmask, 0xc0000084)
READ_MSR(rdmsr_fs_base, 0xc0000100)
READ_MSR(rdmsr_kernel_gs_base, 0xc0000102)
READ_MSR(rdmsr_sysenter_cs, 0x174)
READ_MSR(rdmsr_tsc, 0x10)
READ_MSR(rdmsr_apic_base, 0x1b)
READ_MSR(rdmsr_pat, 0x277)
READ_MSR(rdmsr_misc_enable, 0x1a0)
READ_MSR(rdmsr_unknown, 0xc0000200)
READ_MSR(rdmsr_beyond, 0x2000)
READ_MSR(rdmsr_last, 0xffffffff)
WRITE_MSR(wrmsr_efer, 0xc0000080)
WRITE_MSR(wrmsr_star, 0xc0000081)
WRITE_MSR(wrmsr_lstar, 0xc0000082)
WRITE_MSR(wrmsr_cstar, 0xc0000083)
WRITE_MSR(wrmsr_sfmask, 0xc0000084)
WRITE_MSR(wrmsr_fs_base, 0xc0000100)
WRITE_MSR(wrmsr_kernel_gs_base, 0xc0000102)
WRITE_MSR(wrmsr_sysenter_cs, 0x174)
WRITE_MSR(wrmsr_pat, 0x277)
CODE(ud2, "ud2")
CODE(int3, "int3")
CODE(de, "xor %ecx, %ecx\n\txor %edx, %edx\n\tdiv %ecx")
CODE(gp, "movabs $0x8000000000000000, %rax\n\tmov (%rax), %al")
CODE(pf, "movabs $0x200000000000, %rax\n\tmov (%rax), %al")
CODE(nm, "mov %cr0, %rax\n\tbts $3, %rax\n\tmov %rax, %cr0\n\tfnop")
CODE(vmmcall, "mov $0x7fff, %eax\n\tvmmcall")
CODE(vmcall, "mov $0x7fff, %eax\n\tvmcall")
CODE(vmrun, "mov $0x1000, %eax\n\t.byte 0x0f, 0x01, 0xd8")
CODE(vmload, "mov $0x1000, %eax\n\t.byte 0x0f, 0x01, 0xda")
CODE(vmsave, "mov $0x1000, %eax\n\t.byte 0x0f, 0x01, 0xdb")
CODE(skinit, "xor %eax, %eax\n\t.byte 0x0f, 0x01, 0xde")
CODE(vmxon, "vmxon (%rsp)")
CODE(vmxoff, "vmxoff")
CODE(vmptrld, "vmptrld (%rsp)")
CODE(vmptrst, "vmptrst -16(%rsp)")
CODE(vmclear, "vmclear (%rsp)")
CODE(vmlaunch, "vmlaunch")
CODE(vmresume, "vmresume")
CODE(vmread, "vmread %rax, %rcx")
CODE(vmwrite, "vmwrite %rax, %rcx")
CODE(invept, "xor %eax, %eax\n\tinvept (%rsp), %rax")
CODE(invvpid, "xor %eax, %eax\n\tinvvpid (%rsp), %rax")
CODE(rsm, "rsm")
CODE(sgdt, "sgdt -16(%rsp)")
CODE(lgdt, "sgdt -16(%rsp)\n\tlgdt -16(%rsp)")
CODE(sidt, "sidt -16(%rsp)")
CODE(lidt, "sidt -16(%rsp)\n\tlidt -16(%rsp)")
CODE(sldt, "sldt %ax")
CODE(lldt, "xor %eax, %eax\n\tlldt %ax")
CODE(str, "str %ax")
CODE(pushf, "pushf\n\tpopf")
CODE(swapgs, "swapgs\n\tswapgs")
CODE(clflush, "clflush (%rsp)")

#define ROW_OF(name_, ...) { .label = #name_, .code = hw_##name_, ##__VA_ARGS__ }
/* By #UD: the guest's CR4.VMXE and EFER.SVME are off. */
#define REFUSED_SVM(name_, exit_) ROW_OF(name_, .needs = "vendor:amd", SVM(exit_), .fault = 1 + UD_VECTOR)
#define REFUSED_VMX(name_, exit_) ROW_OF(name_, .needs = "vendor:intel", VMX(exit_), .fault = 1 + UD_VECTOR)
#define DIRECT_ON_SVM(name_, ...) ROW_OF(name_, VMX(__VA_ARGS__))
#define BOTH_READ(name_) ROW_OF(name_, SVM(SVM_EXIT_MSR), VMX(EXIT_REASON_MSR_READ))
#define BOTH_WRITE(name_)								\
	ROW_OF(name_, SVM(SVM_EXIT_MSR, SVM_EXIT_MSR), VMX(EXIT_REASON_MSR_READ, EXIT_REASON_MSR_WRITE))

static const struct row rows[] = {
	ROW_OF(nop),
	ROW_OF(cpuid, SVM(SVM_EXIT_CPUID), VMX(EXIT_REASON_CPUID)),
	ROW_OF(rdtsc),
	ROW_OF(rdtscp, .needs = "cpuid:rdtscp"),
	ROW_OF(rdpmc, SVM(SVM_EXIT_RDPMC), VMX(EXIT_REASON_RDPMC), .fault = 1 + GP_VECTOR),
	ROW_OF(invd, SVM(SVM_EXIT_INVD), VMX(EXIT_REASON_INVD),
	       .known = { "0105-qemu-invd-exits-as-wbinvd", "lab-svm" }),
	ROW_OF(wbinvd, SVM(SVM_EXIT_WBINVD), VMX(EXIT_REASON_WBINVD)),
	ROW_OF(monitor, SVM(SVM_EXIT_MONITOR), VMX(EXIT_REASON_MONITOR_INSTRUCTION)),
	ROW_OF(mwait, SVM(SVM_EXIT_MWAIT), VMX(EXIT_REASON_MWAIT_INSTRUCTION)),
	ROW_OF(xgetbv, .needs = "cpuid:xsave", .set_cr4 = X86_CR4_OSXSAVE),
	ROW_OF(xsetbv, .needs = "cpuid:xsave", .set_cr4 = X86_CR4_OSXSAVE, SVM(SVM_EXIT_XSETBV),
	       VMX(EXIT_REASON_XSETBV), .known = { "0106-qemu-xsetbv-not-intercepted", "lab-svm" }),
	ROW_OF(invlpg, .needs = "tdp"),

	/* CR0: the selective intercept is for bits other than TS and MP; VMX has a mask, from which TS is free. */
	ROW_OF(clts), ROW_OF(smsw), ROW_OF(cr0_read), ROW_OF(cr0_same),
	ROW_OF(cr0_mp, VMX(EXIT_REASON_CR_ACCESS)),
	ROW_OF(cr0_ts),
	ROW_OF(cr0_em, SVM(SVM_EXIT_CR0_SEL_WRITE), VMX(EXIT_REASON_CR_ACCESS)),
	ROW_OF(cr0_ne, SVM(SVM_EXIT_CR0_SEL_WRITE), VMX(EXIT_REASON_CR_ACCESS)),
	ROW_OF(cr0_am, SVM(SVM_EXIT_CR0_SEL_WRITE), VMX(EXIT_REASON_CR_ACCESS)),
	/* The hardware's CD stays off, so that the guest's has to be shown to it. */
	ROW_OF(cr0_cd, .needs = "tdp", SVM(SVM_EXIT_CR0_SEL_WRITE, SVM_EXIT_READ_CR0), VMX(EXIT_REASON_CR_ACCESS)),
	ROW_OF(cr2_write), ROW_OF(cr2_read),
	ROW_OF(cr3_read, .needs = "tdp"), ROW_OF(cr3_write, .needs = "tdp"),
	ROW_OF(cr4_read, SVM(SVM_EXIT_READ_CR4)),
	ROW_OF(cr4_same, SVM(SVM_EXIT_READ_CR4, SVM_EXIT_WRITE_CR4)),
	ROW_OF(cr4_mce, SVM(SVM_EXIT_READ_CR4, SVM_EXIT_WRITE_CR4), VMX(EXIT_REASON_CR_ACCESS)),
	ROW_OF(cr4_pge, .needs = "tdp", SVM(SVM_EXIT_READ_CR4, SVM_EXIT_WRITE_CR4)),
	ROW_OF(cr4_tsd, SVM(SVM_EXIT_READ_CR4, SVM_EXIT_WRITE_CR4)),
	ROW_OF(cr4_osfxsr, SVM(SVM_EXIT_READ_CR4, SVM_EXIT_WRITE_CR4)),

	/* The first access hands the registers to the guest, until it leaves for user space. */
	ROW_OF(dr0_read, SVM(SVM_EXIT_READ_DR0), VMX(EXIT_REASON_DR_ACCESS)),
	ROW_OF(dr3_write, SVM(SVM_EXIT_WRITE_DR3), VMX(EXIT_REASON_DR_ACCESS)),
	ROW_OF(dr6_read, SVM(SVM_EXIT_READ_DR6), VMX(EXIT_REASON_DR_ACCESS)),
	ROW_OF(dr7_read, SVM(SVM_EXIT_READ_DR7), VMX(EXIT_REASON_DR_ACCESS)),
	ROW_OF(dr7_write, SVM(SVM_EXIT_WRITE_DR7), VMX(EXIT_REASON_DR_ACCESS)),
	ROW_OF(dr_all, SVM(SVM_EXIT_READ_DR1), VMX(EXIT_REASON_DR_ACCESS)),

	BOTH_READ(rdmsr_efer), BOTH_READ(rdmsr_apic_base), BOTH_READ(rdmsr_pat), BOTH_READ(rdmsr_misc_enable),
	BOTH_WRITE(wrmsr_efer), BOTH_WRITE(wrmsr_pat),
	ROW_OF(rdmsr_tsc, SVM(SVM_EXIT_MSR)),
	ROW_OF(rdmsr_fs_base), ROW_OF(rdmsr_kernel_gs_base), ROW_OF(rdmsr_sysenter_cs),
	ROW_OF(wrmsr_fs_base), ROW_OF(wrmsr_kernel_gs_base), ROW_OF(wrmsr_sysenter_cs),
	DIRECT_ON_SVM(rdmsr_star, EXIT_REASON_MSR_READ), DIRECT_ON_SVM(rdmsr_lstar, EXIT_REASON_MSR_READ),
	DIRECT_ON_SVM(rdmsr_cstar, EXIT_REASON_MSR_READ), DIRECT_ON_SVM(rdmsr_sfmask, EXIT_REASON_MSR_READ),
	DIRECT_ON_SVM(wrmsr_star, EXIT_REASON_MSR_READ, EXIT_REASON_MSR_WRITE),
	DIRECT_ON_SVM(wrmsr_lstar, EXIT_REASON_MSR_READ, EXIT_REASON_MSR_WRITE),
	DIRECT_ON_SVM(wrmsr_cstar, EXIT_REASON_MSR_READ, EXIT_REASON_MSR_WRITE),
	DIRECT_ON_SVM(wrmsr_sfmask, EXIT_REASON_MSR_READ, EXIT_REASON_MSR_WRITE),
	ROW_OF(rdmsr_unknown, SVM(SVM_EXIT_MSR), VMX(EXIT_REASON_MSR_READ), .fault = 1 + GP_VECTOR),
	ROW_OF(rdmsr_beyond, SVM(SVM_EXIT_MSR), VMX(EXIT_REASON_MSR_READ), .fault = 1 + GP_VECTOR),
	ROW_OF(rdmsr_last, SVM(SVM_EXIT_MSR), VMX(EXIT_REASON_MSR_READ), .fault = 1 + GP_VECTOR),

	ROW_OF(ud2, SVM_EXCEPTION(UD_VECTOR), VMX(EXIT_REASON_EXCEPTION_NMI), .fault = 1 + UD_VECTOR),
	ROW_OF(int3, .fault = 1 + BP_VECTOR),
	ROW_OF(de, .fault = 1 + DE_VECTOR),
	ROW_OF(gp, .fault = 1 + GP_VECTOR),
	ROW_OF(pf, .needs = "tdp", .fault = 1 + PF_VECTOR),
	ROW_OF(nm, .fault = 1 + NM_VECTOR),
	ROW_OF(rsm, .needs = "vendor:intel", VMX(EXIT_REASON_EXCEPTION_NMI), .fault = 1 + UD_VECTOR),

	ROW_OF(vmmcall, .needs = "vendor:amd", SVM(SVM_EXIT_VMMCALL)),
	ROW_OF(vmcall, .needs = "vendor:intel", VMX(EXIT_REASON_VMCALL)),
	REFUSED_SVM(vmrun, SVM_EXIT_VMRUN), REFUSED_SVM(vmload, SVM_EXIT_VMLOAD),
	REFUSED_SVM(vmsave, SVM_EXIT_VMSAVE), REFUSED_SVM(skinit, SVM_EXIT_SKINIT),
	REFUSED_VMX(vmxon, EXIT_REASON_VMON), REFUSED_VMX(vmxoff, EXIT_REASON_VMOFF),
	REFUSED_VMX(vmptrld, EXIT_REASON_VMPTRLD), REFUSED_VMX(vmptrst, EXIT_REASON_VMPTRST),
	REFUSED_VMX(vmclear, EXIT_REASON_VMCLEAR), REFUSED_VMX(vmlaunch, EXIT_REASON_VMLAUNCH),
	REFUSED_VMX(vmresume, EXIT_REASON_VMRESUME), REFUSED_VMX(vmread, EXIT_REASON_VMREAD),
	REFUSED_VMX(vmwrite, EXIT_REASON_VMWRITE), REFUSED_VMX(invept, EXIT_REASON_INVEPT),
	REFUSED_VMX(invvpid, EXIT_REASON_INVVPID),

	ROW_OF(sgdt), ROW_OF(lgdt), ROW_OF(sidt), ROW_OF(lidt), ROW_OF(sldt), ROW_OF(lldt), ROW_OF(str),
	ROW_OF(pushf), ROW_OF(swapgs), ROW_OF(clflush),
};

CASE(hw_intercepts, .says = "an instruction takes just the hardware exits that KVM needs", .modes = LONG64,
     .rows = ROWS(rows), .shadow_too = true)

GUEST(hw_intercepts)
{
	const struct row *row = GUEST_ROW(rows);
	struct fault f;

	if (row->set_cr4)
		write_cr4(read_cr4() | row->set_cr4);
	guest_sync(1);
	f = guest_catch((void (*)(void *))row->code, NULL);
	guest_sync(2);
	if (!row->fault)
		CHECK_NO_FAULT(f);
	else
		CHECK_FAULT(row->fault - 1, row->error_code, f);
}

/* @exits and the OUT by which the guest says that it is behind the instruction. */
static void check_exits(struct test *t, uint32_t isa, const uint64_t *exits, unsigned int nr, uint64_t out)
{
	uint64_t want[MAX_EXITS + 1];
	unsigned int i;

	for (i = 0; i < nr; i++)
		want[i] = exits[i];
	want[nr] = out;
	test_check_hw_exits(t, AT_EXPECT, isa, want, nr + 1);
}

HOST(hw_intercepts)
{
	const struct row *row = ROW(t, rows);

	require_sync(t, 1);
	test_forget_hw_exits(t);
	require_sync(t, 2);
	check_exits(t, KVM_ISA_SVM, row->svm, row->nr_svm, SVM_EXIT_IOIO);
	check_exits(t, KVM_ISA_VMX, row->vmx, row->nr_vmx, EXIT_REASON_IO_INSTRUCTION);
	expect_done(t);
}
