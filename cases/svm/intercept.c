/* SPDX-License-Identifier: MIT */
/*
 * An instruction of L2 whose intercept L1 has set exits before any of it is done: the exit's code, RIP on the
 * instruction, nRIP behind it, nothing else of L2 changed. Only that intercept is set, so that a neighbour's bit does not do.
 *
 * Can break: an intercept word that is not merged into the VMCB of L2, a bit mapped to its neighbour, an exit that KVM
 * handles itself, RIP moved behind the instruction, exit information left from another exit.
 * Source: APM vol. 2, 15.7.1, 15.9, 15.12 and appendix C.
 */
#include "guests/l1_svm.h"
#include "case.h"

#define CODE(name_, text_) INSN(l2_##name_, text_ "\n\tvmmcall")

CODE(sidt, "sidt -16(%rsp)")
CODE(sgdt, "sgdt -16(%rsp)")
CODE(sldt, "sldt %ax")
CODE(str, "str %ax")
CODE(lidt, "lidt (%rsp)")
CODE(lgdt, "lgdt (%rsp)")
CODE(lldt, "lldt %bx")
CODE(ltr, "ltr %bx")
CODE(rdtsc, "rdtsc")
CODE(rdtscp, "rdtscp")
CODE(rdpmc, "rdpmc")
CODE(pushf, "pushf")
CODE(popf, "popf")
CODE(cpuid, "cpuid")
CODE(iret, "iretq")
CODE(int, "int $0x81")
CODE(invd, "invd")
CODE(wbinvd, "wbinvd")
CODE(pause, "pause")
CODE(hlt, "hlt")
CODE(invlpg, "invlpg (%rsp)")
CODE(invlpga, "invlpga")
CODE(vmrun, "vmrun")
CODE(vmmcall, "vmmcall")
CODE(vmload, "vmload")
CODE(vmsave, "vmsave")
CODE(stgi, "stgi")
CODE(clgi, "clgi")
CODE(skinit, ".byte 0x0f, 0x01, 0xde")
CODE(monitor, "monitor")
CODE(mwait, "mwait")
CODE(xsetbv, "xsetbv")
CODE(cr0_am, "mov %rbx, %cr0")
CODE(icebp, ".byte 0xf1")
CODE(invpcid, "invpcid (%rsp), %rbx")

struct row {
	ROW_FIELDS;
	const char *code, *end;
	uint64_t rax, rbx;
	uint16_t exit;
	bool is_rcx_zero;	/* no hints */
	bool from_cr0;		/* RBX: CR0 with one bit changed */
};

#define ROW_OF(name_, exit_, ...) { .label = #name_, .code = l2_##name_, .end = l2_##name_##_end, .exit = SVM_EXIT_##exit_, ##__VA_ARGS__ }

static const struct row rows[] = {
	ROW_OF(sidt, IDTR_READ), ROW_OF(sgdt, GDTR_READ), ROW_OF(sldt, LDTR_READ), ROW_OF(str, TR_READ),
	ROW_OF(lidt, IDTR_WRITE), ROW_OF(lgdt, GDTR_WRITE), ROW_OF(lldt, LDTR_WRITE),
	ROW_OF(ltr, TR_WRITE, .rbx = SEL_TSS),
	ROW_OF(rdtsc, RDTSC), ROW_OF(rdtscp, RDTSCP, .needs = "cpuid:rdtscp", .known = { "0107-qemu-rdtscp-not-intercepted", "lab-svm" }), ROW_OF(rdpmc, RDPMC),
	ROW_OF(pushf, PUSHF), ROW_OF(popf, POPF), ROW_OF(cpuid, CPUID), ROW_OF(iret, IRET), ROW_OF(int, SWINT),
	ROW_OF(invd, INVD, .known = { "0105-qemu-invd-exits-as-wbinvd", "lab-svm" }), ROW_OF(wbinvd, WBINVD),
	ROW_OF(pause, PAUSE), ROW_OF(hlt, HLT), ROW_OF(invlpg, INVLPG), ROW_OF(invlpga, INVLPGA),
	ROW_OF(vmrun, VMRUN), ROW_OF(vmmcall, VMMCALL), ROW_OF(vmload, VMLOAD), ROW_OF(vmsave, VMSAVE),
	ROW_OF(stgi, STGI), ROW_OF(clgi, CLGI), ROW_OF(skinit, SKINIT),
	ROW_OF(monitor, MONITOR, .is_rcx_zero = true), ROW_OF(mwait, MWAIT, .is_rcx_zero = true),
	ROW_OF(xsetbv, XSETBV, .needs = "cpuid:xsave", .known = { "0106-qemu-xsetbv-not-intercepted", "lab-svm" }),
	ROW_OF(cr0_am, CR0_SEL_WRITE, .from_cr0 = true),
	ROW_OF(icebp, ICEBP, .known = { "0108-qemu-icebp-undefined", "lab-svm" }),
	ROW_OF(invpcid, INVPCID, .rbx = 2, .needs = "cpuid:invpcid"),
};

CASE(intercept, .says = "an intercepted instruction of L2 exits to L1 and does nothing", .modes = LONG64,
     .needs = "vendor:amd nested", .rows = ROWS(rows))

/* What decode assists say: APM vol. 2, 15.8. */
static uint64_t info_of(const struct row *row)
{
	if (!has_decode_assists())
		return 0;
	if (row->from_cr0)
		return 1ull << 63 | 3;
	if (row->exit == SVM_EXIT_SWINT)
		return 0x81;
	return row->exit == SVM_EXIT_INVLPG ? l1_vmcb.save.rsp : 0;
}

GUEST(intercept)
{
	const struct row *row = GUEST_ROW(rows);
	struct vmcb_save want;
	struct l2_regs regs = { .rcx = 0x7fffffff, .rdx = 2, .rbp = 5, .rsi = 6, .rdi = 7, .r8 = 8, .r9 = 9,
				.r10 = 10, .r11 = 11, .r12 = 12, .r13 = 13, .r14 = 14, .r15 = 15 };

	if (row->is_rcx_zero)
		regs.rcx = 0;
	regs.rbx = row->from_cr0 ? read_cr0() ^ X86_CR0_AM : row->rbx;
	write_cr4(read_cr4() | (cpuid(1, 0).ecx & 1u << 26 ? X86_CR4_OSXSAVE : 0));
	l1_svm_init();
	vmcb_intercept(&l1_vmcb, row->exit);
	l1_vmcb.save.rax = row->rax;
	l2_regs = regs;
	want = l1_vmcb.save;
	l2_run(row->code);
	CHECK_EXIT(.code = row->exit, .info_1 = info_of(row), .rip = (ulong_t)row->code);
	CHECK_NEXT_RIP(row->end - 3);
	CHECK_L2_REGS(&regs);
	want.rip = (ulong_t)row->code;
	want.rsp = l1_vmcb.save.rsp;
	CHECK_SAVE_SAME(&want);
	CHECK_EQ(0, l1_vmcb.control.int_state);
}

HOST(intercept)
{
	expect_done(t);
}
