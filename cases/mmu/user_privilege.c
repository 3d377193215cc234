/* SPDX-License-Identifier: MIT */
/*
 * At CPL 3 a privileged instruction faults before anything of it happens: #GP(0), or #UD where it does not exist there,
 * with RIP on the instruction. The CPU's own check and the one of KVM's emulator say the same.
 *
 * Can break: an emulated instruction without its privilege check; an intercept that is handled without asking for CPL.
 * Source: APM vol. 3, chapter 4, each instruction's exceptions; SDM vol. 3A, 5.9.
 */
#include "cases/mmu/forced.h"

/* The instruction, and the same behind the prefix that asks KVM to emulate it. */
#define CODE(name_, text_)								\
	INSN(u_##name_, text_ "\n\tret")						\
	INSN(f_##name_, "ud2\n\t.ascii \"kvm\"\n\t" text_ "\n\tret")

CODE(nop, "nop")
CODE(hlt, "hlt")
CODE(cli, "cli")
CODE(sti, "sti")
CODE(in_imm, "in $0x80, %al")
CODE(in_dx, "in %dx, %eax")
CODE(out_imm, "out %al, $0x80")
CODE(insb, "insb")
CODE(outsb, "outsb")
CODE(rep_outsb, "rep outsb")
CODE(mov_from_cr0, ".byte 0x0f, 0x20, 0xc0")
CODE(mov_to_cr0, ".byte 0x0f, 0x22, 0xc0")
CODE(mov_from_cr2, ".byte 0x0f, 0x20, 0xd0")
CODE(mov_to_cr2, ".byte 0x0f, 0x22, 0xd0")
CODE(mov_from_cr3, ".byte 0x0f, 0x20, 0xd8")
CODE(mov_to_cr3, ".byte 0x0f, 0x22, 0xd8")
CODE(mov_from_cr4, ".byte 0x0f, 0x20, 0xe0")
CODE(mov_to_cr4, ".byte 0x0f, 0x22, 0xe0")
CODE(mov_from_cr8, ".byte 0x44, 0x0f, 0x20, 0xc0")
CODE(mov_to_cr8, ".byte 0x44, 0x0f, 0x22, 0xc0")
CODE(mov_from_dr0, ".byte 0x0f, 0x21, 0xc0")
CODE(mov_to_dr0, ".byte 0x0f, 0x23, 0xc0")
CODE(mov_from_dr7, ".byte 0x0f, 0x21, 0xf8")
CODE(mov_to_dr7, ".byte 0x0f, 0x23, 0xf8")
CODE(rdmsr, "rdmsr")
CODE(wrmsr, "wrmsr")
CODE(lgdt, ".byte 0x0f, 0x01, 0x14, 0x24")
CODE(lidt, ".byte 0x0f, 0x01, 0x1c, 0x24")
CODE(lldt, "lldt %ax")
CODE(ltr, "ltr %ax")
CODE(lmsw, "lmsw %ax")
CODE(clts, "clts")
CODE(invlpg, ".byte 0x0f, 0x01, 0x3c, 0x24")
CODE(wbinvd, "wbinvd")
CODE(invd, "invd")
CODE(swapgs, ".byte 0x0f, 0x01, 0xf8")
CODE(xsetbv, "xor %ecx, %ecx\n\t.byte 0x0f, 0x01, 0xd1")
CODE(sysexit, ".byte 0x0f, 0x35")
CODE(sysretl, ".byte 0x0f, 0x07")
CODE(rsm, "rsm")
CODE(rdpmc, "rdpmc")
CODE(rdtsc, "rdtsc")
CODE(rdtscp, "rdtscp")
CODE(sgdt, ".byte 0x0f, 0x01, 0x44, 0x24, 0xe0")
CODE(sidt, ".byte 0x0f, 0x01, 0x4c, 0x24, 0xe0")
CODE(sldt, "sldt %ax")
CODE(str, "str %ax")
CODE(smsw, "smsw %ax")
CODE(smsw_mem, ".byte 0x0f, 0x01, 0x64, 0x24, 0xe0")
CODE(int3, "int3")

struct row {
	ROW_FIELDS;
	const char *code;
	uint32_t set_cr4;
	int32_t vector;		/* 0: #GP */
	uint8_t skip_bytes;	/* of @code before the instruction that faults */
	bool is_legal;
};

#define MODES_32 PROTECTED
#define NAMED(label_, name_, ...) { .label = #label_, .code = u_##name_, ##__VA_ARGS__ }
#define PLAIN(name_, ...) NAMED(name_, name_, ##__VA_ARGS__)
#define FORCED(name_, ...)								\
	{ .label = #name_ "_forced", .needs = FORCED_NEEDS, .code = f_##name_, ##__VA_ARGS__ }
#define BOTH(name_, ...) PLAIN(name_, ##__VA_ARGS__), FORCED(name_, ##__VA_ARGS__)

/* The CPU of lab-vmx has no UMIP, and KVM offers its own. */
#define SMSW_KNOWN .known = { .finding = "0503-umip-emulated-without-smsw", .targets = "lab-vmx" }

static const struct row rows[] = {
	BOTH(nop, .is_legal = true), BOTH(hlt), BOTH(cli), BOTH(sti), BOTH(in_imm), BOTH(in_dx), BOTH(out_imm),
	BOTH(insb), BOTH(outsb), BOTH(rep_outsb), BOTH(mov_from_cr0), BOTH(mov_to_cr0), BOTH(mov_from_cr2),
	BOTH(mov_to_cr2), BOTH(mov_from_cr3), BOTH(mov_to_cr3), BOTH(mov_from_cr4), BOTH(mov_to_cr4),
	BOTH(mov_from_cr8, .modes = LONG64), BOTH(mov_to_cr8, .modes = LONG64), BOTH(mov_from_dr0),
	BOTH(mov_to_dr0), BOTH(mov_from_dr7), BOTH(mov_to_dr7), BOTH(rdmsr), BOTH(wrmsr), BOTH(lgdt), BOTH(lidt),
	BOTH(lldt), BOTH(ltr), BOTH(lmsw), BOTH(clts), BOTH(invlpg), BOTH(wbinvd), BOTH(invd),
	PLAIN(swapgs, .modes = LONG64), NAMED(swapgs_32, swapgs, .modes = MODES_32, .vector = UD_VECTOR),
	PLAIN(xsetbv, .set_cr4 = X86_CR4_OSXSAVE, .needs = "cpuid:xsave", .skip_bytes = 2),
	/* SYSRET is #UD because EFER.SCE is off. */
	PLAIN(sysexit, .modes = MODES_32), PLAIN(sysretl, .modes = LONG64, .vector = UD_VECTOR),
	BOTH(rsm, .vector = UD_VECTOR),
	BOTH(rdpmc), PLAIN(rdtsc, .is_legal = true),
	NAMED(rdtsc_tsd, rdtsc, .set_cr4 = X86_CR4_TSD),
	PLAIN(rdtscp, .needs = "cpuid:rdtscp", .is_legal = true),
	NAMED(rdtscp_tsd, rdtscp, .needs = "cpuid:rdtscp", .set_cr4 = X86_CR4_TSD),
	FORCED(rdtsc, .set_cr4 = X86_CR4_TSD),
	PLAIN(sgdt, .is_legal = true), PLAIN(sidt, .is_legal = true), PLAIN(sldt, .is_legal = true),
	PLAIN(str, .is_legal = true), PLAIN(smsw, .is_legal = true),
	NAMED(sgdt_umip, sgdt, .needs = "cpuid:umip", .set_cr4 = X86_CR4_UMIP),
	NAMED(sidt_umip, sidt, .needs = "cpuid:umip", .set_cr4 = X86_CR4_UMIP),
	NAMED(sldt_umip, sldt, .needs = "cpuid:umip", .set_cr4 = X86_CR4_UMIP),
	NAMED(str_umip, str, .needs = "cpuid:umip", .set_cr4 = X86_CR4_UMIP),
	NAMED(smsw_umip, smsw, .needs = "cpuid:umip", .set_cr4 = X86_CR4_UMIP, SMSW_KNOWN),
	NAMED(smsw_mem_umip, smsw_mem, .needs = "cpuid:umip", .set_cr4 = X86_CR4_UMIP, SMSW_KNOWN),
	PLAIN(int3, .vector = BP_VECTOR, .skip_bytes = 1),
};

CASE(user_privilege, .says = "a privileged instruction at CPL 3 faults and does nothing", .modes = PROTECTED | LONG64,
     .rows = ROWS(rows), .shadow_too = true)

struct machine {
	uint64_t cr0, cr2, cr3, cr4, dr7, efer;
};

static struct machine machine_read(void)
{
	return (struct machine){ read_cr0(), read_cr2(), read_cr3(), read_cr4(), read_dr7(), rdmsr(MSR_EFER) };
}

GUEST(user_privilege)
{
	const struct row *row = GUEST_ROW(rows);
	struct machine before, after;
	ulong_t want_rip = (ulong_t)row->code + row->skip_bytes;
	struct fault f;

	/* The forced ones' prefix is not part of the instruction. */
	if (row->code[0] == 0x0f && row->code[1] == 0x0b)
		want_rip += 5;
	write_cr4(read_cr4() | row->set_cr4);
	before = machine_read();
	f = guest_catch_user((void (*)(void *))row->code, NULL);
	if (row->is_legal)
		CHECK_NO_FAULT(f);
	else
		CHECK_FAULT(row->vector ? row->vector : GP_VECTOR, 0, f);
	if (!row->is_legal)
		CHECK_EQ(want_rip, f.rip);
	after = machine_read();
	CHECK_EQ(before.cr0, after.cr0);
	CHECK_CR2(before.cr2, after.cr2);
	CHECK_EQ(before.cr3, after.cr3);
	CHECK_EQ(before.cr4, after.cr4);
	CHECK_EQ(before.dr7, after.dr7);
	CHECK_EQ(before.efer, after.efer);
	CHECK_EQ(0, read_flags() & X86_EFLAGS_IF);
}

HOST(user_privilege)
{
	expect_done(t);
}
