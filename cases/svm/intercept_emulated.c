/* SPDX-License-Identifier: MIT */
/*
 * An instruction of L2 that KVM's emulator executes exits to L1 by L1's intercepts as the CPU would have it: the code,
 * EXITINFO1 and 2, RIP on the instruction, nothing of L2 changed. With all intercepts of instructions but its own it is
 * executed.
 *
 * Can break: the emulator asks for each instruction by a table of KVM's: an entry left out or of the wrong code, the
 * register's number, the conditions of the selective CR0 write, the fields of an I/O exit, the intercept looked at when
 * half of the instruction is done.
 * Source: APM vol. 2, 15.8.1, 15.9, 15.10, 15.11 and appendix C.
 */
#include "cases/mmu/forced.h"
#include "guests/l1_svm.h"
#include "case.h"

#define PREFIX_BYTES 5
#define VMMCALL_BYTES 3
#define CODE(name_, text_) INSN(em_##name_, FORCED_PREFIX text_ "\n\tvmmcall")
#define REGISTER(kind_, n_)								\
	CODE(read_##kind_##n_, "mov %" #kind_ #n_ ", %rbx") CODE(write_##kind_##n_, "mov %rbx, %" #kind_ #n_)

REGISTER(cr, 0) REGISTER(cr, 2) REGISTER(cr, 3) REGISTER(cr, 4) REGISTER(cr, 8)
REGISTER(dr, 0) REGISTER(dr, 1) REGISTER(dr, 2) REGISTER(dr, 3) REGISTER(dr, 6) REGISTER(dr, 7)
CODE(clts, "clts") CODE(lmsw, "lmsw %bx") CODE(smsw, "smsw %ebx")
CODE(sldt, "sldt %ebx") CODE(str, "str %ebx") CODE(lldt, "lldt %bx") CODE(ltr, "ltr %bx")
CODE(sgdt, "sgdt (%rdi)") CODE(sidt, "sidt (%rdi)") CODE(lgdt, "lgdt (%rsi)") CODE(lidt, "lidt (%rsi)")
CODE(vmrun, "vmrun") CODE(vmmcall, "vmmcall") CODE(vmload, "vmload") CODE(vmsave, "vmsave")
CODE(stgi, "stgi") CODE(clgi, "clgi") CODE(skinit, ".byte 0x0f, 0x01, 0xde") CODE(invlpga, "invlpga")
CODE(rdtscp, "rdtscp") CODE(monitor, "monitor") CODE(mwait, "mwait") CODE(invlpg, "invlpg (%rdi)")
CODE(invd, "invd") CODE(wbinvd, "wbinvd") CODE(wrmsr, "wrmsr") CODE(rdmsr, "rdmsr") CODE(rdtsc, "rdtsc")
CODE(rdpmc, "rdpmc") CODE(cpuid, "cpuid") CODE(rsm, "rsm") CODE(pause, "pause") CODE(nop, "nop")
CODE(pushf, "pushf") CODE(popf, "popf") CODE(int, "int $0x81") CODE(iret, "iretq") CODE(icebp, ".byte 0xf1")
CODE(hlt, "hlt") CODE(xsetbv, "xsetbv")
CODE(outb, "out %al, %dx") CODE(outw, "out %ax, %dx") CODE(outl, "out %eax, %dx") CODE(outb_imm, "out %al, $0x71")
CODE(inb, "in %dx, %al") CODE(inw, "in %dx, %ax") CODE(inl, "in %dx, %eax") CODE(inl_imm, "in $0x71, %eax")
CODE(outq, "rex.w out %eax, %dx") CODE(inq, "rex.w in %dx, %eax")
CODE(outsb, "outsb") CODE(outsl, "outsl") CODE(insb, "insb") CODE(insw, "insw")
CODE(rep_outsw, "rep outsw") CODE(rep_insl, "rep insl") CODE(insb_a32, "addr32 insb")

/* What the instruction does when it is executed. */
enum effect {
	UNKNOWN,	/* the emulator does not have it */
	NOTHING,	/* no register */
	RBX_IS,		/* RBX becomes .value */
	RBX_CR0, RBX_CR3, RBX_CR4,	/* RBX becomes L1's, which L2 has, too */
	OUTSIDE,	/* it leaves for user space, or what it does is not looked at */
};

struct row {
	ROW_FIELDS;
	const char *code, *end;
	uint16_t exit;
	uint16_t also;		/* another intercept that is set; 0: none */
	bool is_not;		/* it does not exit, though .exit is intercepted */
	enum effect effect;
	uint64_t value;
	uint64_t rbx, rcx;
	uint64_t dr7;		/* L2's, beside the golden one */
	uint64_t rbx_cr0;	/* RBX: CR0 with these bits changed */
	uint64_t info_1;
	bool is_io;
	bool is_next_rip;	/* EXITINFO2 of an I/O exit: the next RIP; not looked at in the other rows */
};

#define ROW_OF(label_, name_, exit_, effect_, ...)					\
	{ .label = #label_, .code = em_##name_, .end = em_##name_##_end, .exit = exit_, .effect = effect_, ##__VA_ARGS__ }
#define PLAIN(name_, exit_, effect_, ...) ROW_OF(name_, name_, SVM_EXIT_##exit_, effect_, ##__VA_ARGS__)
#define DR(n_, effect_, value_)								\
	ROW_OF(read_dr##n_, read_dr##n_, SVM_EXIT_READ_DR##n_, RBX_IS, .value = value_),	\
	ROW_OF(write_dr##n_, write_dr##n_, SVM_EXIT_WRITE_DR##n_, effect_)
#define IO(name_, info_) ROW_OF(name_, name_, SVM_EXIT_IOIO, OUTSIDE, .info_1 = info_, .is_io = true)
#define NEXT_RIP(name_, info_)								\
	ROW_OF(name_##_next_rip, name_, SVM_EXIT_IOIO, OUTSIDE, .info_1 = info_, .is_io = true,	\
	       .is_next_rip = true, .known = { "1101-emulated-intercept-next-rip", NULL, "..6.14" })
#define PORT 0x3f4
#define AT_DX IOIO_PORT(PORT)

static const struct row rows[] = {
	PLAIN(read_cr0, READ_CR0, RBX_CR0), PLAIN(write_cr0, WRITE_CR0, NOTHING, .rbx_cr0 = X86_CR0_AM),
	PLAIN(read_cr2, READ_CR0 + 2, RBX_IS, .value = 0x1234567), PLAIN(write_cr2, WRITE_CR0 + 2, NOTHING),
	PLAIN(read_cr3, READ_CR3, RBX_CR3), PLAIN(write_cr3, WRITE_CR3, OUTSIDE),
	PLAIN(read_cr4, READ_CR4, RBX_CR4), PLAIN(write_cr4, WRITE_CR4, OUTSIDE),
	PLAIN(read_cr8, READ_CR8, RBX_IS), PLAIN(write_cr8, WRITE_CR8, NOTHING, .rbx = 3),
	DR(0, NOTHING, 0), DR(1, NOTHING, 0), DR(2, NOTHING, 0), DR(3, NOTHING, 0), DR(6, NOTHING, 0xffff0ff0),
	DR(7, NOTHING, 0x400),
	ROW_OF(read_dr7_of_l2, read_dr7, SVM_EXIT_READ_DR7, RBX_IS, .dr7 = 0xd0001, .value = 0xd0401,
	       .known = { "1105-emulated-dr7-of-l1" }),
	PLAIN(clts, WRITE_CR0, NOTHING), PLAIN(lmsw, WRITE_CR0, NOTHING, .rbx_cr0 = X86_CR0_MP),
	PLAIN(smsw, READ_CR0, RBX_CR0),
	ROW_OF(sel_write_cr0_am, write_cr0, SVM_EXIT_CR0_SEL_WRITE, NOTHING, .rbx_cr0 = X86_CR0_AM),
	ROW_OF(sel_write_cr0_wp, write_cr0, SVM_EXIT_CR0_SEL_WRITE, NOTHING, .rbx_cr0 = X86_CR0_WP),
	ROW_OF(sel_write_cr0_ts, write_cr0, SVM_EXIT_CR0_SEL_WRITE, NOTHING, .rbx_cr0 = X86_CR0_TS, .is_not = true),
	ROW_OF(sel_write_cr0_mp, write_cr0, SVM_EXIT_CR0_SEL_WRITE, NOTHING, .rbx_cr0 = X86_CR0_MP, .is_not = true),
	ROW_OF(sel_write_cr0_same, write_cr0, SVM_EXIT_CR0_SEL_WRITE, NOTHING, .rbx_cr0 = 0, .is_not = true),
	ROW_OF(sel_lmsw, lmsw, SVM_EXIT_CR0_SEL_WRITE, NOTHING, .rbx_cr0 = X86_CR0_TS),
	ROW_OF(sel_clts, clts, SVM_EXIT_CR0_SEL_WRITE, NOTHING, .is_not = true),
	/* Both: the one of all writes comes first. */
	ROW_OF(both_write_cr0_am, write_cr0, SVM_EXIT_WRITE_CR0, NOTHING, .rbx_cr0 = X86_CR0_AM,
	       .also = SVM_EXIT_CR0_SEL_WRITE),
	ROW_OF(both_lmsw, lmsw, SVM_EXIT_WRITE_CR0, NOTHING, .rbx_cr0 = X86_CR0_MP, .also = SVM_EXIT_CR0_SEL_WRITE),
	PLAIN(sldt, LDTR_READ, RBX_IS), PLAIN(str, TR_READ, RBX_IS, .value = SEL_TSS),
	PLAIN(lldt, LDTR_WRITE, NOTHING), PLAIN(ltr, TR_WRITE, NOTHING, .rbx = SEL_FREE),
	PLAIN(sgdt, GDTR_READ, NOTHING), PLAIN(sidt, IDTR_READ, NOTHING),
	PLAIN(lgdt, GDTR_WRITE, NOTHING), PLAIN(lidt, IDTR_WRITE, NOTHING),
	PLAIN(vmrun, VMRUN, UNKNOWN), PLAIN(vmmcall, VMMCALL, UNKNOWN), PLAIN(vmload, VMLOAD, UNKNOWN),
	PLAIN(vmsave, VMSAVE, UNKNOWN), PLAIN(stgi, STGI, UNKNOWN), PLAIN(clgi, CLGI, UNKNOWN),
	PLAIN(skinit, SKINIT, UNKNOWN), PLAIN(invlpga, INVLPGA, UNKNOWN), PLAIN(rdtscp, RDTSCP, UNKNOWN),
	PLAIN(monitor, MONITOR, UNKNOWN), PLAIN(mwait, MWAIT, UNKNOWN), PLAIN(icebp, ICEBP, UNKNOWN),
	PLAIN(rsm, RSM, UNKNOWN), PLAIN(int, SWINT, UNKNOWN), PLAIN(iret, IRET, UNKNOWN),
	PLAIN(rdpmc, RDPMC, UNKNOWN),
	PLAIN(invlpg, INVLPG, NOTHING), PLAIN(invd, INVD, NOTHING), PLAIN(wbinvd, WBINVD, NOTHING),
	PLAIN(wrmsr, MSR, NOTHING, .rcx = MSR_LSTAR, .info_1 = 1), PLAIN(rdmsr, MSR, OUTSIDE, .rcx = MSR_LSTAR),
	PLAIN(rdtsc, RDTSC, OUTSIDE), PLAIN(cpuid, CPUID, OUTSIDE), PLAIN(hlt, HLT, OUTSIDE),
	PLAIN(pause, PAUSE, NOTHING), ROW_OF(nop, nop, SVM_EXIT_PAUSE, NOTHING, .is_not = true),
	PLAIN(pushf, PUSHF, OUTSIDE), PLAIN(popf, POPF, OUTSIDE),
	PLAIN(xsetbv, XSETBV, OUTSIDE, .needs = "cpuid:xsave"),
	IO(outb, IOIO_SIZE(1) | AT_DX), IO(outw, IOIO_SIZE(2) | AT_DX), IO(outl, IOIO_SIZE(4) | AT_DX),
	IO(outq, IOIO_SIZE(4) | AT_DX), IO(outb_imm, IOIO_SIZE(1) | IOIO_PORT(0x71)),
	IO(inb, IOIO_IN | IOIO_SIZE(1) | AT_DX), IO(inw, IOIO_IN | IOIO_SIZE(2) | AT_DX),
	IO(inl, IOIO_IN | IOIO_SIZE(4) | AT_DX), IO(inq, IOIO_IN | IOIO_SIZE(4) | AT_DX),
	IO(inl_imm, IOIO_IN | IOIO_SIZE(4) | IOIO_PORT(0x71)),
	IO(outsb, IOIO_STRING | IOIO_SIZE(1) | AT_DX), IO(outsl, IOIO_STRING | IOIO_SIZE(4) | AT_DX),
	IO(insb, IOIO_IN | IOIO_STRING | IOIO_SIZE(1) | AT_DX), IO(insw, IOIO_IN | IOIO_STRING | IOIO_SIZE(2) | AT_DX),
	IO(rep_outsw, IOIO_STRING | IOIO_REP | IOIO_SIZE(2) | AT_DX),
	IO(rep_insl, IOIO_IN | IOIO_STRING | IOIO_REP | IOIO_SIZE(4) | AT_DX),
	IO(insb_a32, IOIO_IN | IOIO_STRING | IOIO_SIZE(1) | AT_DX),
	NEXT_RIP(outb, IOIO_SIZE(1) | AT_DX), NEXT_RIP(inl_imm, IOIO_IN | IOIO_SIZE(4) | IOIO_PORT(0x71)),
	NEXT_RIP(rep_outsw, IOIO_STRING | IOIO_REP | IOIO_SIZE(2) | AT_DX),
};

CASE(intercept_emulated, .says = "an instruction of L2 that KVM emulates exits by L1's intercepts", .modes = LONG64,
     .needs = "vendor:amd nested " FORCED_NEEDS, .rows = ROWS(rows))

static struct l2_regs regs;

static void enter(const struct row *row)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) *table = (void *)SCRATCH_GPA;

	vmcb_init(&l1_vmcb);
	table->limit = l1_vmcb.save.idtr.limit;
	table->base = l1_vmcb.save.idtr.base;
	regs = (struct l2_regs){ .rcx = row->rcx, .rdx = PORT, .rbx = row->rbx, .rsi = SCRATCH_GPA,
				 .rdi = SCRATCH_GPA + 0x100, .r13 = 13 };
	/* Only what a read gets is poisoned. */
	if (row->effect >= RBX_IS && row->effect <= RBX_CR4)
		regs.rbx = 0x5a5a5a5a;
	if (row->exit == SVM_EXIT_WRITE_CR0 || row->exit == SVM_EXIT_CR0_SEL_WRITE)
		regs.rbx = read_cr0() ^ row->rbx_cr0;
	if (row->code == em_write_cr3)
		regs.rbx = read_cr3();
	if (row->code == em_write_cr4)
		regs.rbx = read_cr4();
	if (row->code == em_write_dr7)
		regs.rbx = 0x400;
	if (row->code == em_lgdt)
		table->limit = l1_vmcb.save.gdtr.limit, table->base = l1_vmcb.save.gdtr.base;
	if (row->code == em_xsetbv)
		regs.rdx = 0;
	l2_regs = regs;
	l1_vmcb.save.rax = row->code == em_xsetbv ? 1 : 0;
	l1_vmcb.save.cr2 = 0x1234567;
	l1_vmcb.save.dr7 |= row->dr7;
}

static void try_on(const struct row *row)
{
	const char *at = row->code + PREFIX_BYTES;
	bool is_string = row->info_1 & IOIO_STRING;
	struct vmcb_save want;

	enter(row);
	vmcb_intercept(&l1_vmcb, row->exit);
	if (row->also)
		vmcb_intercept(&l1_vmcb, row->also);
	want = l1_vmcb.save;
	l2_run(row->code);
	/* Defined for string instructions only. */
	if (row->is_io && !is_string)
		l1_vmcb.control.exit_info_1 &= ~(uint64_t)IOIO_ADDRESS(2 | 4 | 8);
	if (row->is_io && !row->is_next_rip)
		l1_vmcb.control.exit_info_2 = 0;
	CHECK_EXIT(.code = row->exit,
		   .info_1 = row->info_1 | (is_string ? IOIO_ADDRESS(row->code == em_insb_a32 ? 4 : 8) : 0),
		   .info_2 = row->is_next_rip ? (ulong_t)row->end - VMMCALL_BYTES : 0, .rip = (ulong_t)at);
	CHECK_L2_REGS(&regs);
	want.rip = l1_vmcb.save.rip;
	want.rsp = l1_vmcb.save.rsp;
	CHECK_SAVE_SAME(&want);
}

static uint64_t wanted_rbx(const struct row *row)
{
	switch (row->effect) {
	case RBX_IS: return row->code == em_read_cr2 && abi_self()->cr2_is_lost ? l2_regs.rbx : row->value;
	case RBX_CR0: return read_cr0();
	case RBX_CR3: return read_cr3();
	case RBX_CR4: return read_cr4();
	default: return regs.rbx;
	}
}

/* @row->exit is not intercepted, or must not come. */
static void check_executed(const struct row *row)
{
	CHECK_L2_DONE(row->end - VMMCALL_BYTES);
	if (row->effect == OUTSIDE)
		return;
	regs.rbx = wanted_rbx(row);
	CHECK_L2_REGS(&regs);
}

/* Every intercept of an instruction or register but its own. */
static void try_off(const struct row *row)
{
	unsigned int code;

	enter(row);
	for (code = SVM_EXIT_READ_CR0; code < SVM_EXIT_EXCP_BASE; code++)
		vmcb_intercept(&l1_vmcb, code);
	for (code = SVM_EXIT_IDTR_READ; code <= SVM_EXIT_XSETBV; code++)
		if (code != SVM_EXIT_SHUTDOWN && code != SVM_EXIT_FERR_FREEZE && code != SVM_EXIT_TASK_SWITCH)
			vmcb_intercept(&l1_vmcb, code);
	vmcb_intercept_clear(&l1_vmcb, row->exit);
	/* A write of CR0 has two. */
	if (row->exit == SVM_EXIT_WRITE_CR0 || row->exit == SVM_EXIT_CR0_SEL_WRITE) {
		vmcb_intercept_clear(&l1_vmcb, SVM_EXIT_WRITE_CR0);
		vmcb_intercept_clear(&l1_vmcb, SVM_EXIT_CR0_SEL_WRITE);
	}
	l2_run(row->code);
	check_executed(row);
}

GUEST(intercept_emulated)
{
	const struct row *row = GUEST_ROW(rows);

	/* A TSS that is not busy, where this vCPU's is. */
	*(uint64_t *)(GDT_GPA + SEL_FREE) = 0x0000890054000067ull;
	*(uint64_t *)(GDT_GPA + SEL_FREE + 8) = 0;
	memset(l1_iopm, 0xff, IOPM_BYTES);
	memset(l1_msrpm, 0xff, MSRPM_BYTES);
	write_cr4(read_cr4() | (cpuid(1, 0).ecx & 1u << 26 ? X86_CR4_OSXSAVE : 0));
	l1_svm_init();
	if (row->is_not) {
		enter(row);
		vmcb_intercept(&l1_vmcb, row->exit);
		l2_run(row->code);
		check_executed(row);
		return;
	}
	try_on(row);
	if (row->effect == UNKNOWN || row->is_io || row->code == em_hlt)
		return;
	try_off(row);
}

HOST(intercept_emulated)
{
	expect_done(t);
}
