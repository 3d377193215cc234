/* SPDX-License-Identifier: MIT */
/*
 * An intercepted instruction exits from every mode of L2 and from CPL 3, unless an exception comes first: where the
 * manual has the intercept looked at behind #UD or #GP, L1 sees that one instead, and the instruction's own exit where
 * it has the intercept first. Likewise when KVM's emulator executes it.
 *
 * Can break: the order of the checks, which KVM's emulator has a table for; an exit that belongs to CPL 0 only; modes in
 * which there is no protected-mode instruction; RIP in a 16-bit segment.
 * Source: APM vol. 2, 15.9 (table of instruction intercepts), 15.10.1, 15.11; vol. 3, each instruction.
 */
#include "cases/mmu/forced.h"
#include "guests/l1_svm.h"
#include "case.h"

#define PREFIX_BYTES 5
#define VMMCALL_TEXT "\n\t.byte 0x0f, 0x01, 0xd9"

/* The same bytes in all modes: a memory operand is at RDI, EDI or BX. */
#define CODE(name_, bytes_)								\
	INSN(pm_##name_, ".byte " bytes_ VMMCALL_TEXT)					\
	INSN(pf_##name_, FORCED_PREFIX ".byte " bytes_ VMMCALL_TEXT)

CODE(sgdt, "0x0f, 0x01, 0x07") CODE(sidt, "0x0f, 0x01, 0x0f") CODE(lgdt, "0x0f, 0x01, 0x17")
CODE(lidt, "0x0f, 0x01, 0x1f") CODE(sldt, "0x0f, 0x00, 0xc3") CODE(str, "0x0f, 0x00, 0xcb")
CODE(lldt, "0x0f, 0x00, 0xd3") CODE(ltr, "0x0f, 0x00, 0xdb") CODE(smsw, "0x0f, 0x01, 0xe3")
CODE(lmsw, "0x0f, 0x01, 0xf3") CODE(clts, "0x0f, 0x06") CODE(cr0_read, "0x0f, 0x20, 0xc3")
CODE(cr0_write, "0x0f, 0x22, 0xc3") CODE(cr3_read, "0x0f, 0x20, 0xdb") CODE(cr4_write, "0x0f, 0x22, 0xe3")
CODE(dr0_read, "0x0f, 0x21, 0xc3") CODE(dr7_write, "0x0f, 0x23, 0xfb") CODE(rdtsc, "0x0f, 0x31")
CODE(rdpmc, "0x0f, 0x33") CODE(pushf, "0x9c") CODE(popf, "0x9d") CODE(cpuid, "0x0f, 0xa2")
CODE(rsm, "0x0f, 0xaa") CODE(iret, "0xcf") CODE(int, "0xcd, 0x81") CODE(invd, "0x0f, 0x08")
CODE(wbinvd, "0x0f, 0x09") CODE(pause, "0xf3, 0x90") CODE(hlt, "0xf4") CODE(invlpg, "0x0f, 0x01, 0x3f")
CODE(invlpga, "0x0f, 0x01, 0xdf") CODE(vmrun, "0x0f, 0x01, 0xd8") CODE(vmmcall, "0x0f, 0x01, 0xd9")
CODE(vmload, "0x0f, 0x01, 0xda") CODE(vmsave, "0x0f, 0x01, 0xdb") CODE(stgi, "0x0f, 0x01, 0xdc")
CODE(clgi, "0x0f, 0x01, 0xdd") CODE(skinit, "0x0f, 0x01, 0xde") CODE(rdmsr, "0x0f, 0x32")
CODE(wrmsr, "0x0f, 0x30") CODE(monitor, "0x0f, 0x01, 0xc8") CODE(mwait, "0x0f, 0x01, 0xc9")
CODE(out, "0xe6, 0x71") CODE(in, "0xe4, 0x71") CODE(outsb, "0x6e")
CODE(dr7_gd, "0x0f, 0x23, 0xc3") CODE(cr1_read, "0x0f, 0x20, 0xcb") CODE(dr4_read, "0x0f, 0x21, 0xe3")

enum mode {
	CPL0, USER,		/* 64-bit */
	PROT_32, REAL_16,
	CPL0_FORCED, USER_FORCED, REAL_FORCED,	/* by the emulator */
};

struct row {
	ROW_FIELDS;
	const char *code;
	enum mode mode;
	uint16_t exit;
	int8_t vector;		/* - 1: the exception that comes before; -1 stands for none by being 0 */
	uint64_t rax, rbx, rcx;
	uint64_t info_1;
	uint16_t iopl;
	bool is_gd, is_de, is_bad_address, is_bad_stack;
};

#define ROW_OF(label_, name_, mode_, exit_, ...)					\
	{ .label = #label_, .code = pm_##name_, .mode = mode_, .exit = SVM_EXIT_##exit_, ##__VA_ARGS__ }
#define FORCED_ROW(label_, name_, mode_, exit_, ...)					\
	{ .label = #label_, .code = pf_##name_, .mode = mode_, .exit = SVM_EXIT_##exit_, .needs = FORCED_NEEDS, ##__VA_ARGS__ }
#define EXC(name_) .vector = name_##_VECTOR + 1
/* From CPL 3: #GP(0) comes first. */
#define PRIVILEGED(name_, exit_, ...)							\
	ROW_OF(name_##_user, name_, USER, exit_, EXC(GP), ##__VA_ARGS__),		\
	FORCED_ROW(name_##_user_emulated, name_, USER_FORCED, exit_, EXC(GP), ##__VA_ARGS__)
#define BOCHS_KNOWN .known = { "1108-bochs-vmcb-instructions-exit-first", "lab-svm-bochs" }
#define PRIVILEGED_VMCB(name_, exit_)							\
	ROW_OF(name_##_user, name_, USER, exit_, EXC(GP), BOCHS_KNOWN),			\
	FORCED_ROW(name_##_user_emulated, name_, USER_FORCED, exit_, EXC(GP))
#define FIRST_VMCB(label_, name_, exit_, ...)						\
	ROW_OF(label_, name_, CPL0, exit_, ##__VA_ARGS__, BOCHS_KNOWN),			\
	FORCED_ROW(label_##_emulated, name_, CPL0_FORCED, exit_, ##__VA_ARGS__)
/* The exit, from CPL 3. */
#define FREE(name_, exit_, ...)								\
	ROW_OF(name_##_user, name_, USER, exit_, ##__VA_ARGS__),			\
	FORCED_ROW(name_##_user_emulated, name_, USER_FORCED, exit_, ##__VA_ARGS__)
/* In real mode it is as at CPL 0; or there is no such instruction. */
#define REAL(name_, exit_, ...)								\
	ROW_OF(name_##_prot32, name_, PROT_32, exit_, ##__VA_ARGS__),			\
	ROW_OF(name_##_real, name_, REAL_16, exit_, ##__VA_ARGS__),			\
	FORCED_ROW(name_##_real_emulated, name_, REAL_FORCED, exit_, ##__VA_ARGS__)
#define NOT_REAL(name_, exit_, ...)							\
	ROW_OF(name_##_prot32, name_, PROT_32, exit_, ##__VA_ARGS__),			\
	ROW_OF(name_##_real, name_, REAL_16, exit_, EXC(UD), ##__VA_ARGS__),		\
	FORCED_ROW(name_##_real_emulated, name_, REAL_FORCED, exit_, EXC(UD), ##__VA_ARGS__)
/* At CPL 0, with something amiss. */
#define FIRST(label_, name_, exit_, ...)						\
	ROW_OF(label_, name_, CPL0, exit_, ##__VA_ARGS__),				\
	FORCED_ROW(label_##_emulated, name_, CPL0_FORCED, exit_, ##__VA_ARGS__)

/* CR0 and CR4: KVM's emulator does not look at the value first. */
#define FIRST_CR(label_, name_, exit_, known_, ...)					\
	ROW_OF(label_, name_, CPL0, exit_, ##__VA_ARGS__, known_),			\
	FORCED_ROW(label_##_emulated, name_, CPL0_FORCED, exit_, ##__VA_ARGS__,		\
		   .known = { "1103-emulated-cr-write-exits-before-gp" })
#define QEMU_KNOWN .known = { "1102-exceptions-behind-intercepts", "lab-svm" }
#define BOTH_KNOWN .known = { "1102-exceptions-behind-intercepts", "@(lab-svm|lab-svm-bochs)" }

static const struct row rows[] = {
	FREE(sgdt, GDTR_READ), FREE(sidt, IDTR_READ), FREE(sldt, LDTR_READ), FREE(str, TR_READ), FREE(smsw, READ_CR0),
	FREE(rdtsc, RDTSC), FREE(pushf, PUSHF), FREE(popf, POPF), FREE(cpuid, CPUID), FREE(iret, IRET),
	FREE(int, SWINT), FREE(pause, PAUSE), FREE(vmmcall, VMMCALL), FREE(rsm, RSM),
	FREE(out, IOIO, .iopl = 0x3000, .info_1 = IOIO_SIZE(1) | IOIO_PORT(0x71)),
	FREE(in, IOIO, .iopl = 0x3000, .info_1 = IOIO_IN | IOIO_SIZE(1) | IOIO_PORT(0x71)),
	PRIVILEGED(lgdt, GDTR_WRITE), PRIVILEGED(lidt, IDTR_WRITE), PRIVILEGED(lldt, LDTR_WRITE),
	PRIVILEGED(ltr, TR_WRITE), PRIVILEGED(lmsw, WRITE_CR0), PRIVILEGED(clts, WRITE_CR0),
	PRIVILEGED(cr0_read, READ_CR0), PRIVILEGED(cr0_write, WRITE_CR0), PRIVILEGED(cr3_read, READ_CR3),
	PRIVILEGED(cr4_write, WRITE_CR4), PRIVILEGED(dr0_read, READ_DR0), PRIVILEGED(dr7_write, WRITE_DR7),
	PRIVILEGED(rdpmc, RDPMC), PRIVILEGED(invd, INVD), PRIVILEGED(wbinvd, WBINVD), PRIVILEGED(hlt, HLT),
	PRIVILEGED(invlpg, INVLPG), PRIVILEGED(invlpga, INVLPGA), PRIVILEGED_VMCB(vmload, VMLOAD),
	PRIVILEGED_VMCB(vmsave, VMSAVE), PRIVILEGED_VMCB(vmrun, VMRUN), PRIVILEGED(stgi, STGI), PRIVILEGED(clgi, CLGI),
	PRIVILEGED(rdmsr, MSR), PRIVILEGED(wrmsr, MSR),
	/* Neither IOPL nor a bit map in the TSS allows it. */
	ROW_OF(out_user_refused, out, USER, IOIO, EXC(GP)), ROW_OF(in_user_refused, in, USER, IOIO, EXC(GP)),
	FORCED_ROW(out_user_refused_emulated, out, USER_FORCED, IOIO, EXC(GP)),
	REAL(sgdt, GDTR_READ), REAL(sidt, IDTR_READ), REAL(lgdt, GDTR_WRITE), REAL(lidt, IDTR_WRITE),
	REAL(smsw, READ_CR0), REAL(lmsw, WRITE_CR0), REAL(clts, WRITE_CR0), REAL(cr0_read, READ_CR0),
	REAL(cr0_write, WRITE_CR0), REAL(cr3_read, READ_CR3), REAL(dr0_read, READ_DR0), REAL(rdtsc, RDTSC),
	REAL(pushf, PUSHF), REAL(popf, POPF), REAL(cpuid, CPUID), REAL(iret, IRET), REAL(int, SWINT),
	ROW_OF(invd_prot32, invd, PROT_32, INVD, .known = { "0105-qemu-invd-exits-as-wbinvd", "lab-svm" }),
	ROW_OF(invd_real, invd, REAL_16, INVD, .known = { "0105-qemu-invd-exits-as-wbinvd", "lab-svm" }),
	FORCED_ROW(invd_real_emulated, invd, REAL_FORCED, INVD), REAL(wbinvd, WBINVD), REAL(pause, PAUSE), REAL(hlt, HLT), REAL(invlpg, INVLPG),
	REAL(rdmsr, MSR), REAL(wrmsr, MSR, .info_1 = 1), REAL(rsm, RSM),
	ROW_OF(vmmcall_prot32, vmmcall, PROT_32, VMMCALL), ROW_OF(vmmcall_real, vmmcall, REAL_16, VMMCALL),
	FORCED_ROW(vmmcall_real_emulated, vmmcall, REAL_FORCED, VMMCALL,
		   .known = { "1104-emulated-vmmcall-real-mode" }),
	REAL(out, IOIO, .info_1 = IOIO_SIZE(1) | IOIO_PORT(0x71)),
	NOT_REAL(sldt, LDTR_READ), NOT_REAL(str, TR_READ), NOT_REAL(lldt, LDTR_WRITE), NOT_REAL(ltr, TR_WRITE),
	NOT_REAL(vmload, VMLOAD), NOT_REAL(vmsave, VMSAVE), NOT_REAL(vmrun, VMRUN), NOT_REAL(stgi, STGI),
	NOT_REAL(clgi, CLGI), NOT_REAL(invlpga, INVLPGA),
	/* Before the intercept: what the instruction's operands make, but for memory. */
	FIRST_CR(cr0_write_high, cr0_write, WRITE_CR0, QEMU_KNOWN, EXC(GP), .rbx = 1ull << 32 | X86_CR0_PG | X86_CR0_PE),
	FIRST_CR(cr0_write_pg_alone, cr0_write, WRITE_CR0, BOTH_KNOWN, EXC(GP), .rbx = X86_CR0_PG),
	FIRST_CR(cr4_write_reserved, cr4_write, WRITE_CR4, QEMU_KNOWN, EXC(GP), .rbx = 1ull << 40 | X86_CR4_PAE),
	ROW_OF(dr7_write_high, dr7_write, CPL0, WRITE_DR7, EXC(GP), .rbx = 1ull << 32, BOTH_KNOWN),
	FORCED_ROW(dr7_write_high_emulated, dr7_write, CPL0_FORCED, WRITE_DR7, EXC(GP), .rbx = 1ull << 32),
	ROW_OF(dr0_read_gd, dr0_read, CPL0, READ_DR0, EXC(DB), .is_gd = true,
	       .known = { "3001-bochs-db-intercept-leaves-dr6-dr7", "@(lab-svm|lab-svm-bochs)" }),
	FORCED_ROW(dr0_read_gd_emulated, dr0_read, CPL0_FORCED, READ_DR0, EXC(DB), .is_gd = true,
		   .known = { "1105-emulated-dr7-of-l1" }),
	ROW_OF(dr4_read_de, dr4_read, CPL0, READ_DR4, EXC(UD), .is_de = true, QEMU_KNOWN),
	FORCED_ROW(dr4_read_de_emulated, dr4_read, CPL0_FORCED, READ_DR4, EXC(UD), .is_de = true),
	FIRST(cr1_read, cr1_read, READ_CR0 + 1, EXC(UD)),
	FIRST_VMCB(vmload_rax, vmload, VMLOAD, EXC(GP), .rax = 1ull << 52),
	FIRST_VMCB(vmsave_rax, vmsave, VMSAVE, EXC(GP), .rax = 1ull << 52),
	FIRST_VMCB(vmrun_rax, vmrun, VMRUN, EXC(GP), .rax = 1ull << 52),
	/* Behind it: memory, the MSR's own checks, the stack. */
	FIRST(sgdt_absent, sgdt, GDTR_READ, .is_bad_address = true),
	FIRST(lidt_absent, lidt, IDTR_WRITE, .is_bad_address = true),
	FIRST(invlpg_absent, invlpg, INVLPG, .is_bad_address = true),
	FIRST(rdmsr_unknown, rdmsr, MSR, .rcx = 0x1234), FIRST(wrmsr_unknown, wrmsr, MSR, .rcx = 0x1234, .info_1 = 1),
	FIRST(pushf_stack, pushf, PUSHF, .is_bad_stack = true), FIRST(popf_stack, popf, POPF, .is_bad_stack = true),
	FIRST(iret_stack, iret, IRET, .is_bad_stack = true), FIRST(int_stack, int, SWINT, .is_bad_stack = true),
	FIRST(lldt_selector, lldt, LDTR_WRITE, .rbx = 0xfff8), FIRST(ltr_selector, ltr, TR_WRITE, .rbx = 0xfff8),
};

CASE(intercept_modes, .says = "intercepts hold in every mode, behind the exceptions that come first", .modes = LONG64,
     .needs = "vendor:amd nested", .rows = ROWS(rows))

#define ABSENT 0x200000000000ull
#define DR6_BD (1u << 13)
#define DR7_GD (1ull << 13)

static bool is_forced(enum mode mode)
{
	return mode >= CPL0_FORCED;
}

/* 32-bit without paging, or real mode, flat but for CS of the latter. */
static void leave_long_mode(struct vmcb_save *save, ulong_t code, bool is_real)
{
	uint16_t width = is_real ? 0 : SEG_ATTRIB_DB;

	save->efer &= ~(EFER_LME | EFER_LMA);
	save->cr0 &= ~(X86_CR0_PG | (is_real ? X86_CR0_PE : 0));
	save->cr4 &= ~X86_CR4_PAE;
	save->cs = (struct vmcb_seg){ .selector = SEL_CODE32, .attrib = 0x09b | width | SEG_ATTRIB_G,
				      .limit = 0xffffffff };
	save->ds.attrib = save->es.attrib = save->ss.attrib = 0x093 | width | SEG_ATTRIB_G;
	if (!is_real)
		return;
	/* CS as Bochs has it, too (finding 0501). */
	save->cs = (struct vmcb_seg){ .attrib = 0x093, .limit = 0xffff, .base = code };
	save->ds = save->es = save->ss = (struct vmcb_seg){ .attrib = 0x093, .limit = 0xffff, .base = SCRATCH_GPA };
	save->rip = 0;
	save->rsp = 0x800;
}

static void state_make(const struct row *row, struct vmcb_save *save)
{
	save->rip = (ulong_t)row->code;
	save->rsp = row->is_bad_stack ? ABSENT : SCRATCH_GPA + 0x800;
	save->rflags |= row->iopl;
	save->rax = row->rax ? row->rax : SCRATCH_GPA + 0x1000;
	if (row->is_gd)
		save->dr7 |= DR7_GD;
	if (row->is_de)
		save->cr4 |= X86_CR4_DE;
	if (row->mode == PROT_32 || row->mode == REAL_16 || row->mode == REAL_FORCED)
		leave_long_mode(save, (ulong_t)row->code, row->mode != PROT_32);
	if (row->mode == USER || row->mode == USER_FORCED) {
		save->cs.selector = SEL_USER_CODE64;
		save->cs.attrib |= SEG_ATTRIB_DPL(3);
		save->ss.selector = SEL_USER_DATA;
		save->ss.attrib |= SEG_ATTRIB_DPL(3);
		save->cpl = 3;
	}
}

GUEST(intercept_modes)
{
	const struct row *row = GUEST_ROW(rows);
	struct l2_regs regs = { .rbx = row->rbx, .rcx = row->rcx ? row->rcx : MSR_LSTAR, .rdi = SCRATCH_GPA,
				.rsi = SCRATCH_GPA };
	struct vmcb_save want;
	unsigned int vector;

	memset(l1_iopm, 0xff, IOPM_BYTES);
	memset(l1_msrpm, 0xff, MSRPM_BYTES);
	l1_svm_init();
	if (row->is_bad_address)
		regs.rdi = ABSENT;
	vmcb_intercept(&l1_vmcb, row->exit);
	for (vector = 0; vector < 32; vector++)
		if (vector != NMI_VECTOR)
			vmcb_intercept(&l1_vmcb, SVM_EXIT_EXCP_BASE + vector);
	state_make(row, &l1_vmcb.save);
	l2_regs = regs;
	want = l1_vmcb.save;
	vmcb_run(&l1_vmcb);
	want.rip += is_forced(row->mode) ? PREFIX_BYTES : 0;
	/* What the handler of #DB would see (APM vol. 2, 15.12.2). */
	if (row->is_gd) {
		want.dr6 |= DR6_BD;
		want.dr7 &= ~DR7_GD;
	}
	if (row->exit == SVM_EXIT_IOIO && !row->vector) {
		l1_vmcb.control.exit_info_1 &= ~(uint64_t)IOIO_ADDRESS(2 | 4 | 8);
		l1_vmcb.control.exit_info_2 = 0;
	}
	/* EXITINFO2 is defined for #PF and what has operands in it. */
	CHECK_EXIT(.code = row->vector ? SVM_EXIT_EXCP_BASE + row->vector - 1 : row->exit,
		   .info_1 = row->vector || !has_decode_assists() ? row->vector ? 0 : row->info_1 :
			     l1_vmcb.control.exit_info_1,
		   .info_2 = row->vector || has_decode_assists() ? l1_vmcb.control.exit_info_2 : 0, .rip = want.rip);
	CHECK_L2_REGS(&regs);
	CHECK_SAVE_SAME(&want);
}

HOST(intercept_modes)
{
	expect_done(t);
}
