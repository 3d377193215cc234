/* SPDX-License-Identifier: MIT */
/*
 * System instructions by KVM's emulator, with and without the privilege they need: control, debug and model-specific
 * registers, descriptor tables, task and local descriptor table registers, segment loads, I/O permission.
 *
 * Can break: an instruction that CPL 3 may execute; the 24-bit base of a 16-bit LGDT; SGDT's size in 64-bit mode; LMSW
 * that clears PE; a busy TSS that LTR takes; a segment register loaded although its descriptor is refused; IOPL or the
 * I/O bitmap ignored; CLTS, LLDT, LTR and SLDT in real mode.
 * Source: APM vol. 3, chapter 4; vol. 2, 3.2.5, 4.6, 4.10, 12.2.4; SDM vol. 1, 19.5 (I/O permission bit map).
 */
#include "cases/ioctl/emulate.h"

EMU(flags_if, INSN_("cli") INSN_("sti"))
EMU(cr_read, WIDTH_LEGACY INSN_("mov %cr0, %eax") INSN_("mov %cr3, %edx") INSN_("mov %cr4, %ebx"))
EMU(cr_read_64, WIDTH_(64) INSN_("mov %cr0, %rax") INSN_("mov %cr3, %r8") INSN_("mov %cr4, %r9")
    INSN_("mov %cr8, %rax"))
EMU(cr_invalid, INSN_(".byte 0x0f, 0x20, 0xc8") INSN_(".byte 0x0f, 0x20, 0xe8") INSN_(".byte 0x0f, 0x22, 0xf0")
    INSN_(".byte 0x0f, 0x22, 0xf8"))
EMU(cr2_read, WIDTH_LEGACY INSN_("mov %cr2, %ecx"))
EMU(cr2_read_64, WIDTH_(64) INSN_("mov %cr2, %rcx"))
EMU(cr2_write, WIDTH_LEGACY INSN_("mov %eax, %cr2"))
EMU(clts, INSN_("clts"))
EMU(lmsw, INSN_("lmsw %ax") INSN_("lmsw " M))
EMU(smsw, INSN_("smsw %ax") INSN_("smsw " M) INSN_("smsw %edx"))
EMU(smsw_64, WIDTH_(64) INSN_("smsw %rax"))
EMU(dr, WIDTH_LEGACY INSN_("mov %dr0, %eax") INSN_("mov %dr7, %ecx") INSN_("mov %dr6, %ecx") INSN_("mov %eax, %dr1"))
EMU(dr_64, WIDTH_(64) INSN_("mov %dr0, %rax") INSN_("mov %dr7, %r8") INSN_("mov %rax, %dr2"))
EMU(dr_alias, INSN_(".byte 0x0f, 0x21, 0xe0") INSN_(".byte 0x0f, 0x21, 0xe8"))
EMU(dr6_high, WIDTH_(64) INSN_("mov %rax, %dr6") INSN_("mov %rax, %dr7"))
EMU(dr_invalid, WIDTH_(64) INSN_(".byte 0x44, 0x0f, 0x21, 0xc0"))
EMU(lgdt, INSN_("lgdt " M) INSN_("lidt " M))
EMU(lgdt_16, WIDTH_LEGACY INSN_("lgdtw (%edi)") INSN_("lidtw (%edi)") INSN_("lgdtl (%edi)") INSN_("lidtl (%edi)"))
EMU(sgdt, INSN_("sgdt " M) INSN_("sidt " M))
EMU(lldt, INSN_("lldt %ax") INSN_("lldt " M))
EMU(ltr, INSN_("ltr %ax"))
EMU(sldt, INSN_("sldt %ax") INSN_("sldt " M) INSN_("sldt %edx") INSN_("str %ax") INSN_("str " M) INSN_("str %edx"))
EMU(mov_sreg, INSN_("mov %ds, %ax") INSN_("mov %ds, %edx") INSN_("mov %es, " M) INSN_("mov %cs, %ecx") INSN_("mov %ss, %ax"))
EMU(mov_sreg_invalid, INSN_(".byte 0x8c, 0xf0") INSN_(".byte 0x8e, 0xf0") INSN_(".byte 0x8e, 0xc8") INSN_(".byte 0x8c, 0xf8"))
EMU(load_sreg, INSN_("mov %eax, %es") INSN_("mov %eax, %fs") INSN_("movw " M ", %ds"))
EMU(load_ss, INSN_("mov %eax, %ss"))
EMU(les, WIDTH_LEGACY INSN_("les (%edi), %eax") INSN_("lds (%edi), %ecx") INSN_("lfs (%edi), %edx") INSN_("lss (%edi), %eax")
    INSN_("les 4(%edi), %ax") INSN_("lfs 4(%edi), %dx"))
EMU(lfs_64, WIDTH_(64) INSN_("lfs (%rdi), %eax") INSN_("lfs (%rdi), %r8d") INSN_("lss (%rdi), %eax"))
EMU(les_only, WIDTH_LEGACY INSN_("les (%edi), %eax"))
EMU(les_reg, WIDTH_LEGACY INSN_(".byte 0x0f, 0xb4, 0xc0") INSN_(".byte 0x0f, 0xb2, 0xc8"))
EMU(cpuid, INSN_("cpuid"))
EMU(rdmsr, INSN_("rdmsr"))
EMU(wrmsr, INSN_("wrmsr"))
EMU(invlpg, INSN_("invlpg " M) INSN_("wbinvd") INSN_("invd"))
EMU(in, INSN_("in $0x10, %al") INSN_("in %dx, %al") INSN_("in %dx, %ax") INSN_("in %dx, %eax") INSN_("insb")
    INSN_("out %al, $0x10") INSN_("out %al, %dx") INSN_("out %ax, %dx") INSN_("out %eax, %dx") INSN_("outsb"))
EMU(privileged, INSN_("clts") INSN_("hlt") INSN_("invd") INSN_("wbinvd") INSN_("rdmsr") INSN_("wrmsr") INSN_("lmsw %ax")
    INSN_("invlpg " M) INSN_("lgdt " M) INSN_("lidt " M) INSN_("lldt %ax") INSN_("ltr %ax")
    INSN_(".byte 0x0f, 0x20, 0xc0") INSN_(".byte 0x0f, 0x22, 0xc0") INSN_(".byte 0x0f, 0x21, 0xc0") INSN_(".byte 0x0f, 0x23, 0xc0"))
EMU(privileged_vm86, INSN_("clts") INSN_("hlt") INSN_("invd") INSN_("wbinvd") INSN_("rdmsr") INSN_("wrmsr") INSN_("lmsw %ax")
    INSN_("invlpg " M) INSN_("lgdt " M) INSN_("lidt " M) INSN_(".byte 0x0f, 0x20, 0xc0") INSN_(".byte 0x0f, 0x22, 0xc0"))
EMU(in_wide, INSN_("in %dx, %ax") INSN_("in %dx, %eax") INSN_("out %ax, %dx") INSN_("outsl") INSN_("insw"))
EMU(prot_only, INSN_("sldt %ax") INSN_("str %ax") INSN_("lldt %ax") INSN_("ltr %ax"))
EMU(umip, INSN_("sgdt " M) INSN_("sidt " M) INSN_("sldt %ax") INSN_("str %ax"))
EMU(umip_smsw, INSN_("smsw %ax") INSN_("smsw " M))
EMU(rdtsc, INSN_("rdtsc"))
EMU(svm, INSN_("vmrun") INSN_("vmload") INSN_("vmsave") INSN_("stgi") INSN_("clgi") INSN_(".byte 0x0f, 0x01, 0xdf"))
EMU(hints, INSN_("prefetchnta " M) INSN_("prefetcht0 " M) INSN_("prefetchw " M) INSN_("nopl " M) INSN_("nopw " M)
    INSN_("clflush " M))
EMU(rsm, INSN_("rsm"))
EMU(syscall, INSN_("syscall"))
EMU(sysenter, INSN_("sysenter"))

EMU(sysexit, INSN_(".byte 0x0f, 0x35"))

#define MSR(index_) .in = { REG(RCX, index_), REG(RAX, 0x12345678), REG(RDX, 0x1abc) }
#define UD WANT_FAULT(UD_VECTOR, 0)
#define GP0 WANT_FAULT(GP_VECTOR, 0)
#define USER .modes = PROT32 | LONG64, .env = ENV_USER
#define SYSTEM(type_) ((uint64_t)(0x80 | (type_)) << 40 | 0x10000ull << 16 | 0x67)

struct row {
	struct emu_row emu;
	uint64_t descriptor;	/* at SEL_FREE, and zeroes behind it */
	uint64_t cr4, cr0;	/* beside what the mode has */
	uint8_t iopb;		/* of port 0x10 on */
	uint16_t tss_limit;	/* 0: as it is */
};

static void system_set(struct test *t, struct kvm_sregs *sregs, uint8_t *memory);
static void fast_calls_set(struct test *t, struct kvm_sregs *sregs, uint8_t *memory);

#define ROW_(...) { .emu = { __VA_ARGS__ } }
#define SET(label_, list_, ...) { .emu = { .label = label_, EMU_OF(list_), .prepare = ON_HOST(system_set), __VA_ARGS__ }
#define SELECTOR(selector_) .in = { REG(RAX, selector_) }, .memory_in = { BYTES(EMU_DATA, 2, selector_) }
/* QEMU does not ask for all of it: canonical bases, TR's type and selector, SVME. */
#define NO_NATIVE .no_native = true
#define PORT .in = { REG(RDX, 0x10) }

#define CR2_KNOWN .known = { .finding = "0504-bochs-vmrun-ignores-cr2", .targets = "lab-svm-bochs" }

/* QEMU's SYSCALL in long mode clears the status flags, whatever the mask says. */
#define SYSCALL_LOST (PF | AF | ZF | SF)

static const struct row rows[] = {
	ROW_(.label = "if", EMU_OF(flags_if)),
	ROW_(.label = "if_user", USER, EMU_OF(flags_if), GP0),
	ROW_(.label = "if_user_iopl", USER, EMU_OF(flags_if), .flags_in = EMU_IOPL(3)),
	ROW_(.label = "if_vm86", .modes = PROT32, .env = ENV_VM86, EMU_OF(flags_if), GP0),
	ROW_(.label = "cr_read", .modes = REAL16 | PROT32, EMU_OF(cr_read)),
	ROW_(.label = "cr_read_64", .modes = LONG64, EMU_OF(cr_read_64)),
	ROW_(.label = "cr_invalid", EMU_OF(cr_invalid), UD),
	ROW_(.label = "cr2_read", .modes = REAL16 | PROT32, EMU_OF(cr2_read), CR2_KNOWN),
	ROW_(.label = "cr2_read_64", .modes = LONG64, EMU_OF(cr2_read_64), CR2_KNOWN),
	ROW_(.label = "cr2_write", .modes = REAL16 | PROT32, EMU_OF(cr2_write)),
	SET("clts", clts), .cr0 = X86_CR0_TS },
	SET("lmsw", lmsw, SELECTOR(0xfff7)) },
	SET("lmsw_sets", lmsw, SELECTOR(0x0e), .modes = PROT32 | LONG64) },
	SET("smsw", smsw), .cr0 = X86_CR0_TS },
	SET("smsw_64", smsw_64, .modes = LONG64), .cr0 = X86_CR0_TS },
	ROW_(.label = "dr", .modes = REAL16 | PROT32, EMU_OF(dr), .in = { REG(RAX, 0x12345678) }),
	ROW_(.label = "dr_64", .modes = LONG64, EMU_OF(dr_64)),
	ROW_(.label = "dr_alias", EMU_OF(dr_alias)),
	SET("dr_alias_de", dr_alias, UD), .cr4 = X86_CR4_DE },
	ROW_(.label = "dr6_upper", .modes = LONG64, EMU_OF(dr6_high), .in = { REG(RAX, 0x100000000) }, GP0),
	ROW_(.label = "dr8", .modes = LONG64, EMU_OF(dr_invalid), UD),
	ROW_(.label = "lgdt", .modes = LONG64, EMU_OF(lgdt), .memory_in = { BYTES(EMU_DATA, 2, 0x1234), BYTES(EMU_DATA + 2, 8, 0x7f0102030405) }),
	ROW_(.label = "lgdt_noncanonical", .modes = LONG64, EMU_OF(lgdt), NO_NATIVE, GP0,
	     .memory_in = { BYTES(EMU_DATA, 2, 0x1234), BYTES(EMU_DATA + 2, 8, 0x800102030405) }),
	ROW_(.label = "lgdt_16", .modes = REAL16 | PROT32, EMU_OF(lgdt_16), .memory_in = { BYTES(EMU_DATA, 2, 0x1234), BYTES(EMU_DATA + 2, 4, 0x89abcdef) }),
	ROW_(.label = "sgdt", EMU_OF(sgdt)),
	ROW_(.label = "sldt", .modes = PROT32 | LONG64, EMU_OF(sldt)),
	ROW_(.label = "sldt_user", USER, EMU_OF(sldt)),
	ROW_(.label = "prot_only", .modes = REAL16, EMU_OF(prot_only), UD),
	ROW_(.label = "prot_only_vm86", .modes = PROT32, .env = ENV_VM86, EMU_OF(prot_only), UD, .flags_in = EMU_IOPL(3)),
	SET("lldt", lldt, SELECTOR(SEL_FREE), .modes = PROT32 | LONG64), .descriptor = SYSTEM(2) },
	SET("lldt_absent", lldt, SELECTOR(SEL_FREE), .modes = PROT32 | LONG64, WANT_FAULT(NP_VECTOR, SEL_FREE)),
	    .descriptor = SYSTEM(2) & ~(1ull << 47) },
	SET("lldt_null", lldt, SELECTOR(0), .modes = PROT32 | LONG64, NO_NATIVE, WANT) },
	SET("lldt_tss", lldt, SELECTOR(SEL_FREE), .modes = PROT32 | LONG64, WANT_FAULT(GP_VECTOR, SEL_FREE)), .descriptor = SYSTEM(9) },
	SET("lldt_data", lldt, SELECTOR(SEL_DATA), .modes = PROT32 | LONG64, WANT_FAULT(GP_VECTOR, SEL_DATA)) },
	SET("ltr", ltr, SELECTOR(SEL_FREE), .modes = PROT32 | LONG64), .descriptor = SYSTEM(9) },
	SET("ltr_busy", ltr, SELECTOR(SEL_FREE), .modes = PROT32 | LONG64, WANT_FAULT(GP_VECTOR, SEL_FREE)), .descriptor = SYSTEM(11) },
	SET("ltr_absent", ltr, SELECTOR(SEL_FREE), .modes = PROT32 | LONG64, WANT_FAULT(NP_VECTOR, SEL_FREE)),
	    .descriptor = SYSTEM(9) & ~(1ull << 47) },
	SET("ltr_null", ltr, SELECTOR(0), .modes = PROT32 | LONG64, NO_NATIVE, GP0) },
	SET("ltr_ldt", ltr, SELECTOR(SEL_FREE | 4), .modes = PROT32 | LONG64, .known = { .finding = "0704-emulated-ltr-ldt-error-code" }, WANT_FAULT(GP_VECTOR, SEL_FREE | 4)), .descriptor = SYSTEM(9) },
	SET("ltr_16", ltr, SELECTOR(SEL_FREE), .modes = PROT32), .descriptor = SYSTEM(1) },
	SET("ltr_16_long", ltr, SELECTOR(SEL_FREE), .modes = LONG64, NO_NATIVE, WANT_FAULT(GP_VECTOR, SEL_FREE),
	    .known = { .finding = "0705-emulated-ltr-16-bit-tss" }), .descriptor = SYSTEM(1) },
	ROW_(.label = "mov_sreg", EMU_OF(mov_sreg)),
	ROW_(.label = "mov_sreg_invalid", EMU_OF(mov_sreg_invalid), UD),
	SET("load_sreg", load_sreg, SELECTOR(SEL_USER_DATA), .modes = PROT32 | LONG64) },
	SET("load_sreg_real", load_sreg, SELECTOR(0x1234), .modes = REAL16) },
	SET("load_sreg_user", load_sreg, SELECTOR(SEL_DATA), USER, .known = { .finding = "0303-emulator-rpl-above-dpl" }, WANT_FAULT(GP_VECTOR, SEL_DATA)) },
	SET("load_ss_null_user", load_ss, SELECTOR(3), USER, GP0) },
	SET("load_ss_rpl", load_ss, SELECTOR(SEL_USER_DATA), .modes = PROT32 | LONG64, WANT_FAULT(GP_VECTOR, SEL_USER_DATA & ~3)) },
	ROW_(.label = "les", .modes = PROT32, EMU_OF(les), .memory_in = { BYTES(EMU_DATA, 8, (uint64_t)SEL_DATA << 32 | (SEL_DATA << 16 | 0x4321)),
	     BYTES(EMU_DATA + 4, 4, SEL_DATA << 16 | SEL_DATA) }),
	ROW_(.label = "lfs_64", .modes = LONG64, EMU_OF(lfs_64), .memory_in = { BYTES(EMU_DATA, 8, (uint64_t)SEL_DATA << 32 | 0x87654321) }),
	ROW_(.label = "les_register", .modes = PROT32, EMU_OF(les_reg), UD),
	ROW_(.label = "les_null", .modes = PROT32, EMU_OF(les_only), .memory_in = { BYTES(EMU_DATA, 8, 0x12345678) }),
	ROW_(.label = "les_absent", .modes = PROT32, EMU_OF(les_only), WANT_FAULT(GP_VECTOR, 0x1230),
	     .memory_in = { BYTES(EMU_DATA, 8, 0x123112345678) }),
	ROW_(.label = "cpuid", EMU_OF(cpuid), .in = { REG(RAX, 0), REG(RCX, 0) }),
	ROW_(.label = "cpuid_7", EMU_OF(cpuid), .in = { REG(RAX, 7), REG(RCX, 0) }),
	ROW_(.label = "rdmsr", EMU_OF(rdmsr), MSR(MSR_EFER)),
	ROW_(.label = "rdmsr_unknown", EMU_OF(rdmsr), MSR(0x7fff), GP0),
	ROW_(.label = "wrmsr_unknown", EMU_OF(wrmsr), MSR(0x7fff), GP0),
	ROW_(.label = "wrmsr", EMU_OF(wrmsr), MSR(MSR_IA32_SYSENTER_ESP)),
	ROW_(.label = "invlpg", EMU_OF(invlpg)),
	ROW_(.label = "invlpg_anywhere", .modes = LONG64, EMU_OF(invlpg), .in = { REG(RDI, 0x8000000000000000) }),
	SET("user_io_bitmap", in, USER, GP0, PORT), .iopb = 0xff },
	SET("user_io_last_bit", in_wide, USER, GP0, PORT), .iopb = 0x02 },
	/* The bitmap's offset is not in the TSS, though what it leads to would be; or the byte of port 0x10 is not. */
	SET("user_io_no_bitmap", in, USER, GP0, PORT, .memory_in = { BYTES(EMU_TSS + 102, 2, 0x20) }), .tss_limit = 0x66 },
	SET("user_io_bitmap_short", in, USER, GP0, PORT), .tss_limit = EMU_IOPB + 1 },
	SET("vm86_io_bitmap", in, .modes = PROT32, .env = ENV_VM86, GP0, PORT, .flags_in = EMU_IOPL(3)), .iopb = 0xff },
	ROW_(.label = "privileged", USER, EMU_OF(privileged), GP0, .in = { REG(RCX, MSR_EFER) }),
	ROW_(.label = "privileged_vm86", .modes = PROT32, .env = ENV_VM86, EMU_OF(privileged_vm86), GP0, .flags_in = EMU_IOPL(3)),
	SET("umip_kernel", umip, .modes = PROT32 | LONG64, .needs = "cpuid:umip"), .cr4 = X86_CR4_UMIP },
	SET("umip_user", umip, USER, .needs = "cpuid:umip", GP0), .cr4 = X86_CR4_UMIP },
	/* Where KVM makes up for a CPU without UMIP, the CPU executes SMSW. */
	SET("umip_smsw_user", umip_smsw, USER, .needs = "cpuid:umip", NO_NATIVE, GP0), .cr4 = X86_CR4_UMIP },
	SET("rdtsc_tsd", rdtsc, USER, GP0), .cr4 = X86_CR4_TSD },
	ROW_(.label = "svm_disabled", .modes = PROT32 | LONG64, .needs = "vendor:amd", EMU_OF(svm), NO_NATIVE, UD, .in = { REG(RAX, 0x1000) }),
	ROW_(.label = "svm_real", .modes = REAL16, .needs = "vendor:amd", EMU_OF(svm), NO_NATIVE, UD, .in = { REG(RAX, 0x1000) }),
	ROW_(.label = "hints", EMU_OF(hints)),
	ROW_(.label = "hints_null", .modes = LONG64, EMU_OF(hints), .in = { REG(RDI, 0x22800) }),
	ROW_(.label = "rsm", EMU_OF(rsm), UD),
	ROW_(.label = "syscall_disabled", EMU_OF(syscall), UD),
	ROW_(.label = "sysenter_real", .modes = REAL16, EMU_OF(sysenter), GP0),
	ROW_(.label = "syscall", .modes = LONG64, .undefined = SYSCALL_LOST, EMU_OF(syscall), .prepare = ON_HOST(fast_calls_set)),
	ROW_(.label = "syscall_user", .modes = LONG64, .undefined = SYSCALL_LOST, .env = ENV_USER, EMU_OF(syscall), .prepare = ON_HOST(fast_calls_set)),
	ROW_(.label = "syscall_compat", .modes = LONG64, .undefined = SYSCALL_LOST, .env = ENV_COMPAT, .needs = "vendor:amd", EMU_OF(syscall),
	     .prepare = ON_HOST(fast_calls_set)),
	ROW_(.label = "syscall_32", .modes = PROT32, .needs = "vendor:amd", EMU_OF(syscall), .prepare = ON_HOST(fast_calls_set)),
	ROW_(.label = "sysenter", .modes = PROT32, EMU_OF(sysenter), .prepare = ON_HOST(fast_calls_set)),
	ROW_(.label = "sysenter_user", .modes = PROT32, .env = ENV_USER, EMU_OF(sysenter), .prepare = ON_HOST(fast_calls_set)),
	ROW_(.label = "syscall_flags", .modes = LONG64, EMU_OF(syscall), .prepare = ON_HOST(fast_calls_set), NO_NATIVE, WANT,
	     .flags_in = EMU_STATUS, .want = { REG(RCX, EMU_GPA + EMU_CODE_AT + 2), REG(R11, X86_EFLAGS_FIXED | EMU_STATUS),
	     REG(RIP, EMU_GPA + 0x900), REG(RFLAGS, X86_EFLAGS_FIXED | PF | AF | ZF | SF) }),
	ROW_(.label = "sysexit", .modes = PROT32, EMU_OF(sysexit), .prepare = ON_HOST(fast_calls_set),
	     .in = { REG(RCX, EMU_GPA + EMU_STACK - 0x100), REG(RDX, EMU_GPA + 0x900) }),
	ROW_(.label = "sysexit_null", .modes = PROT32, EMU_OF(sysexit), GP0),
	ROW_(.label = "sysexit_real", .modes = REAL16, EMU_OF(sysexit), GP0),
	ROW_(.label = "sysexit_user", .modes = PROT32, .env = ENV_USER, EMU_OF(sysexit), GP0),
	ROW_(.label = "sysexit_long_amd", .modes = LONG64, .needs = "vendor:amd", EMU_OF(sysexit), UD, NO_NATIVE,
	     .known = { .finding = "0711-emulated-sysexit-long-mode-amd" }),
	ROW_(.label = "sysenter_null", .modes = PROT32, EMU_OF(sysenter), GP0),
};

CASE(emulate_system, .says = "system instructions by KVM's emulator ask for the same privilege and do the same",
     .modes = REAL16 | PROT32 | LONG64, .needs = EMU_NEEDS, .rows = ROWS(rows))

static void system_set(struct test *t, struct kvm_sregs *sregs, uint8_t *memory)
{
	const struct row *row = ROW(t, rows);

	sregs->cr0 |= row->cr0;
	sregs->cr4 |= row->cr4;
	memory[EMU_TSS + EMU_IOPB + 2] = row->iopb;
	sregs->tr.limit = row->tss_limit ? row->tss_limit : sregs->tr.limit;
	emu_put(memory, EMU_GDT + SEL_FREE, row->descriptor, 8);
	emu_put(memory, EMU_GDT + SEL_FREE + 8, 0, 8);
}

/* SYSCALL to EMU_GPA + 0x900 (64-bit), 0x910 (compatibility) and 0x920 (legacy), SYSENTER to 0x930. */
static void fast_calls_set(struct test *t, struct kvm_sregs *sregs, uint8_t *memory)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entries[7];
	} msrs = {
		.head.nmsrs = 7,
		.entries = {
			{ .index = MSR_STAR, .data = (uint64_t)SEL_CODE64 << 32 | (EMU_GPA + 0x920) },
			{ .index = MSR_LSTAR, .data = EMU_GPA + 0x900 },
			{ .index = MSR_CSTAR, .data = EMU_GPA + 0x910 },
			{ .index = MSR_SYSCALL_MASK, .data = CF | OF | X86_EFLAGS_IF },
			{ .index = MSR_IA32_SYSENTER_CS, .data = SEL_CODE16 },
			{ .index = MSR_IA32_SYSENTER_ESP, .data = EMU_GPA + EMU_STACK - 0x200 },
			{ .index = MSR_IA32_SYSENTER_EIP, .data = EMU_GPA + 0x930 },
		},
	};

	(void)memory;
	sregs->efer |= EFER_SCE;
	require_result(t, 7, vcpu_ioctl_try(t->vcpu, KVM_SET_MSRS, &msrs.head));
}

GUEST(emulate_system)
{
}

HOST(emulate_system)
{
	emu_row_run(t, &ROW(t, rows)->emu);
}
