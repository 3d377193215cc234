/* SPDX-License-Identifier: MIT */
/*
 * SYSENTER, SYSEXIT and SYSCALL for a guest whose CPUID says another vendor's name than this CPU's: they are that
 * vendor's, who differ in long mode. The CPU refuses them (#UD) and KVM executes them, as it does when it is forced to.
 *
 * Each goes to 48 F4: HLT in 64-bit code, DEC EAX and HLT in any other, so that RAX tells which it is.
 *
 * Can break: SYSENTER from compatibility mode that leads to 32-bit code, or loses the upper half of RSP; SYSEXIT with the
 * selectors or the truncation of its other width; SYSCALL outside of 64-bit code for other vendors' guests than AMD's.
 * Source: SDM vol. 2B, SYSENTER, SYSEXIT, SYSCALL; APM vol. 3, SYSCALL.
 */
#include "cases/ioctl/cpuid_change.h"
#include "cases/ioctl/emulate.h"

EMU(fast_sysenter, INSN_("sysenter"))
EMU(fast_syscall, INSN_("syscall"))
EMU(fast_sysexit_32, INSN_(".byte 0x0f, 0x35"))
EMU(fast_sysexit_64, INSN_(".byte 0x48, 0x0f, 0x35"))

#define TARGET 0x900u
#define HIGH 0xffff800000000000ull
#define NONCANONICAL 0x0000900000000000ull
#define STACK_HIGH (HIGH + EMU_STACK)

struct row {
	struct emu_row emu;
	struct cpuid_vendor vendor;
	uint32_t sysenter_cs;
	uint16_t cs, ss;		/* where it ends; CS 0: #UD or #GP(0) */
	bool is_code64;
	uint64_t rip, rsp;
};

static void vendor_set(struct test *t, struct kvm_sregs *sregs, uint8_t *memory);

#define ROW_(label_, list_, ...)							\
	{ .emu = { .label = label_, EMU_OF(fast_##list_), .prepare = ON_HOST(vendor_set),	\
		   .memory_in = { BYTES(TARGET, 2, 0xf448) }, __VA_ARGS__ }
#define POINTERS(rcx_, rdx_) .in = { REG(RCX, rcx_), REG(RDX, rdx_) }
#define RIP_ (EMU_GPA + TARGET)
#define LONG .modes = LONG64
#define COMPAT .modes = LONG64, .env = ENV_COMPAT
#define FORCED .no_native = true
/* QEMU's CPU, though AMD's, executes SYSENTER in compatibility mode by itself, with 32 bits of ESP. */
#define COMPAT_FORCED COMPAT, FORCED

static const struct row rows[] = {
	ROW_("sysenter_compat", sysenter, COMPAT_FORCED), VENDOR_INTEL, .sysenter_cs = SEL_CODE64, .cs = SEL_CODE64, .ss = SEL_DATA,
	  .is_code64 = true, .rip = RIP_, .rsp = STACK_HIGH },
	ROW_("sysenter_compat_rpl", sysenter, COMPAT_FORCED), VENDOR_INTEL, .sysenter_cs = SEL_CODE64 | 3, .cs = SEL_CODE64, .ss = SEL_DATA,
	  .is_code64 = true, .rip = RIP_, .rsp = STACK_HIGH },
	ROW_("sysenter_compat_null", sysenter, COMPAT_FORCED, WANT_FAULT(GP_VECTOR, 0)), VENDOR_INTEL },
	ROW_("syscall_compat", syscall, COMPAT_FORCED, WANT_FAULT(UD_VECTOR, 0)), VENDOR_INTEL },
	ROW_("syscall_legacy", syscall, .modes = PROT32, FORCED, WANT_FAULT(UD_VECTOR, 0)), VENDOR_INTEL },
	ROW_("syscall_legacy_nobody", syscall, .modes = PROT32, FORCED, WANT_FAULT(UD_VECTOR, 0)), VENDOR_NOBODY },
	ROW_("sysexit_64", sysexit_64, LONG, POINTERS(STACK_HIGH, RIP_)), VENDOR_INTEL, .sysenter_cs = SEL_CODE64,
	  .cs = SEL_CODE64 + 32 + 3, .ss = SEL_CODE64 + 40 + 3, .is_code64 = true, .rip = RIP_, .rsp = STACK_HIGH },
	ROW_("sysexit_32", sysexit_32, LONG, POINTERS(STACK_HIGH, HIGH + RIP_)), VENDOR_INTEL, .sysenter_cs = SEL_CODE64,
	  .cs = SEL_CODE64 + 16 + 3, .ss = SEL_CODE64 + 24 + 3, .rip = RIP_, .rsp = EMU_STACK },
	ROW_("sysexit_64_rcx", sysexit_64, LONG, POINTERS(NONCANONICAL, RIP_), WANT_FAULT(GP_VECTOR, 0)), VENDOR_INTEL,
	  .sysenter_cs = SEL_CODE64 },
	ROW_("sysexit_64_rdx", sysexit_64, LONG, POINTERS(STACK_HIGH, NONCANONICAL), WANT_FAULT(GP_VECTOR, 0)), VENDOR_INTEL,
	  .sysenter_cs = SEL_CODE64 },
	ROW_("sysexit_64_null", sysexit_64, LONG, POINTERS(STACK_HIGH, RIP_), WANT_FAULT(GP_VECTOR, 0)), VENDOR_INTEL },
	ROW_("sysexit_32_null", sysexit_32, LONG, POINTERS(STACK_HIGH, RIP_), WANT_FAULT(GP_VECTOR, 0)), VENDOR_INTEL },
};

CASE(emulate_fast_call, .says = "system calls of a guest of another vendor's CPUID are that vendor's",
     .modes = PROT32 | LONG64, .needs = EMU_NEEDS, .rows = ROWS(rows),
     .known = { .finding = "4652-soft-fast-calls-are-amds", .targets = "soft-svm" })

static void vendor_set(struct test *t, struct kvm_sregs *sregs, uint8_t *memory)
{
	const struct row *row = ROW(t, rows);
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entries[3];
	} msrs = {
		.head.nmsrs = 3,
		.entries = {
			{ .index = MSR_IA32_SYSENTER_CS, .data = row->sysenter_cs },
			{ .index = MSR_IA32_SYSENTER_ESP, .data = STACK_HIGH },
			{ .index = MSR_IA32_SYSENTER_EIP, .data = RIP_ },
		},
	};

	(void)memory;
	cpuid_vendor(t, row->vendor);
	sregs->efer |= EFER_SCE;
	require_result(t, 3, vcpu_ioctl_try(t->vcpu, KVM_SET_MSRS, &msrs.head));
}

static void expect_arrived(struct emu *emu, const struct row *row, const struct emu_outcome *outcome)
{
	bool is_user = row->cs & 3;

	emu_check(emu, "the vector", is_user ? GP_VECTOR : (uint32_t)NO_VECTOR, (uint32_t)outcome->vector);
	/* The HLT, or at CPL 3 the instruction that faults. */
	emu_check(emu, "RIP", row->rip + (row->is_code64 && is_user ? 0 : 1), outcome->regs.rip);
	emu_check(emu, "RAX", row->is_code64 ? emu->regs.rax : (uint32_t)(emu->regs.rax - 1), outcome->regs.rax);
	emu_check(emu, "RSP", row->rsp, outcome->regs.rsp);
	emu_check(emu, "CS", row->cs, outcome->cs);
	emu_check(emu, "SS", row->ss, outcome->ss);
}

static void call(struct emu *emu, bool is_forced)
{
	static const struct emu_values values = { 0x1122334455667788, 0x99aabbccddeeff00, 3, 0 };
	const struct row *row = ROW(emu->t, rows);
	static struct emu_outcome outcome;

	emu_combine(emu, &values, 0);
	emu_run(emu, is_forced, &outcome);
	emu_check(emu, "the exit", KVM_EXIT_HLT, outcome.exit_reason);
	if (row->cs) {
		expect_arrived(emu, row, &outcome);
		return;
	}
	emu_check(emu, "the fault's vector", row->emu.vector, (uint32_t)outcome.vector);
	emu_check(emu, "the error code", row->emu.error_code, outcome.error_code);
	emu_check_regs(emu, "the fault", &emu->regs, &outcome.regs);
}

static void call_both(struct emu *emu)
{
	if (!emu->row->no_native)
		call(emu, false);
	call(emu, true);
}

GUEST(emulate_fast_call)
{
}

HOST(emulate_fast_call)
{
	emu_row_each(t, &ROW(t, rows)->emu, call_both);
}
