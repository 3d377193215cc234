/* SPDX-License-Identifier: MIT */
#include "l1_vmx.h"

#include "stack.h"

#include <asm/vmx.h>

#define PAGE_BYTES 4096
#define NR_EPT_LEAVES 512
#define AR_UNUSABLE 0x10000u

struct vmx_l1 vmx;

static uint8_t l2_stack[STACK_BYTES] __attribute__((aligned(16)));

/*
 * Enters L2 with *@gprs and comes back with its registers there. Returns NOT_FAILED after an exit, else RFLAGS behind
 * the instruction. HOST_RSP is L1's stack with @gprs on top.
 */
#define NOT_FAILED (~0ull)
uint64_t vmx_switch(struct vmx_gprs *gprs, bool is_resume);
extern const char vmx_switch_exit[];
uint64_t vmx_host_rflags;

__asm__(".pushsection .text\n"
	".globl vmx_switch, vmx_switch_exit, vmx_l2_end\n"
	"vmx_switch:\n\t"
	"push %rbp\n\tpush %rbx\n\tpush %r12\n\tpush %r13\n\tpush %r14\n\tpush %r15\n\t"
	"push %rdi\n\t"
	"mov $0x6c14, %eax\n\t"		/* HOST_RSP */
	"vmwrite %rsp, %rax\n\t"
	"test %esi, %esi\n\t"		/* no instruction up to the branch changes the flags */
	"mov 0(%rdi), %rax\n\tmov 8(%rdi), %rcx\n\tmov 16(%rdi), %rdx\n\tmov 24(%rdi), %rbx\n\t"
	"mov 32(%rdi), %rbp\n\tmov 40(%rdi), %rsi\n\t"
	"mov 56(%rdi), %r8\n\tmov 64(%rdi), %r9\n\tmov 72(%rdi), %r10\n\tmov 80(%rdi), %r11\n\t"
	"mov 88(%rdi), %r12\n\tmov 96(%rdi), %r13\n\tmov 104(%rdi), %r14\n\tmov 112(%rdi), %r15\n\t"
	"mov 48(%rdi), %rdi\n\t"
	"jne 1f\n\t"
	"pushq $0x8d7\n\tpopf\n"	/* VMX_ALL_FLAGS | X86_EFLAGS_FIXED */
	"0:\tvmlaunch\n\t"
	"jmp 2f\n"
	"1:\tpushq $0x8d7\n\tpopf\n"
	"3:\tvmresume\n"
	"2:\tpushf\n\tpop %rax\n\tpop %rdi\n\t"
	"jmp 4f\n"
	".pushsection .fixups, \"a\"\n"
	".long 0b - ., 2b - .\n"
	".long 3b - ., 2b - .\n"
	".popsection\n"
	"vmx_switch_exit:\n\t"
	"pushf\n\tpopq vmx_host_rflags\n\t"
	"push %rdi\n\tmov 8(%rsp), %rdi\n\t"
	"mov %rax, 0(%rdi)\n\tmov %rcx, 8(%rdi)\n\tmov %rdx, 16(%rdi)\n\tmov %rbx, 24(%rdi)\n\t"
	"mov %rbp, 32(%rdi)\n\tmov %rsi, 40(%rdi)\n\t"
	"mov %r8, 56(%rdi)\n\tmov %r9, 64(%rdi)\n\tmov %r10, 72(%rdi)\n\tmov %r11, 80(%rdi)\n\t"
	"mov %r12, 88(%rdi)\n\tmov %r13, 96(%rdi)\n\tmov %r14, 104(%rdi)\n\tmov %r15, 112(%rdi)\n\t"
	"pop %rax\n\tmov %rax, 48(%rdi)\n\t"
	"pop %rdi\n\tmov $-1, %rax\n"
	"4:\tpop %r15\n\tpop %r14\n\tpop %r13\n\tpop %r12\n\tpop %rbx\n\tpop %rbp\n\t"
	"ret\n"
	"vmx_l2_end:\n\t"
	"vmcall\n\t"
	"jmp vmx_l2_end\n"
	".popsection");

_Static_assert((VMX_ALL_FLAGS | X86_EFLAGS_FIXED) == 0x8d7, "vmx_switch() presets the same flags");
_Static_assert(HOST_RSP == 0x6c14 && offsetof(struct vmx_gprs, rdi) == 48 && offsetof(struct vmx_gprs, r15) == 112,
	       "vmx_switch() knows these by number");

/* --- outcomes --- */

vmx_outcome vmx_outcome_take(uint64_t rflags)
{
	struct fault fault = abi_self()->fault;
	vmx_outcome outcome = rflags & VMX_ALL_FLAGS;
	uint64_t error = 0;

	if (fault.vector != NO_VECTOR)
		return outcome | (uint64_t)(fault.vector + 1) << 32 | (uint64_t)(fault.error_code & 0xffff) << 40;
	if (!(outcome & X86_EFLAGS_ZF))
		return outcome;
	__asm__ volatile("vmread %1, %0" : "=r"(error) : "r"((uint64_t)VM_INSTRUCTION_ERROR) : "cc");
	return outcome | error << 16;
}

/* A step that the test takes for granted; it counts as a check only when it fails. */
static void must(vmx_outcome outcome, const char *text, unsigned int line)
{
	if (outcome != VMX_OK)
		guest_check(false, __FILE__, line, text, VMX_OK, outcome);
}
#define MUST(call_) must(call_, #call_, __LINE__)

uint64_t vmcs_read(uint32_t field)
{
	uint64_t value = 0;

	MUST(vmread_try(field, &value));
	return value;
}

void vmcs_write(uint32_t field, uint64_t value)
{
	MUST(vmwrite_try(field, value));
}

void vmcs_edit(const struct vmcs_edit *edits, unsigned int max_nr)
{
	for (; max_nr && (edits->set || edits->clear); edits++, max_nr--)
		vmcs_write(edits->field, (edits->clear == ~0ull ? 0 : vmcs_read(edits->field) & ~edits->clear) |
			   edits->set);
}

/* --- VMX operation --- */

void *vmx_region_alloc(void)
{
	uint32_t *region = page_alloc();

	*region = (uint32_t)rdmsr(MSR_IA32_VMX_BASIC) & 0x7fffffff;
	return region;
}

void vmx_prepare(void)
{
	if (!(rdmsr(MSR_IA32_FEAT_CTL) & FEAT_CTL_LOCKED))
		wrmsr(MSR_IA32_FEAT_CTL, FEAT_CTL_LOCKED | FEAT_CTL_VMX_OUTSIDE_SMX);
	write_cr4(read_cr4() | X86_CR4_VMXE);
	vmx.vmxon_region = vmx_region_alloc();
}

/* --- the golden VMCS --- */

/* The bits that must be 1, as the TRUE MSR has them where there is one. */
static uint32_t controls_needed(uint32_t msr, uint32_t true_msr)
{
	return rdmsr(rdmsr(MSR_IA32_VMX_BASIC) >> 55 & 1 ? true_msr : msr);
}

static void write_controls(void)
{
	uint32_t proc = controls_needed(MSR_IA32_VMX_PROCBASED_CTLS, MSR_IA32_VMX_TRUE_PROCBASED_CTLS);

	vmcs_write(PIN_CONTROLS, controls_needed(MSR_IA32_VMX_PINBASED_CTLS, MSR_IA32_VMX_TRUE_PINBASED_CTLS));
	vmcs_write(PROC_CONTROLS, proc | PROC_MSR_BITMAPS);
	vmcs_write(EXIT_CONTROLS, controls_needed(MSR_IA32_VMX_EXIT_CTLS, MSR_IA32_VMX_TRUE_EXIT_CTLS) |
		   EXIT_HOST_ADDRESS_SPACE_SIZE);
	vmcs_write(ENTRY_CONTROLS, controls_needed(MSR_IA32_VMX_ENTRY_CTLS, MSR_IA32_VMX_TRUE_ENTRY_CTLS) |
		   ENTRY_IA32E_MODE_GUEST);
	vmcs_write(MSR_BITMAP, (uint64_t)vmx.msr_bitmap);
}

static void write_zeros(void)
{
	static const uint16_t fields[] = {
		EXCEPTION_BITMAP, PAGE_FAULT_MASK, PAGE_FAULT_MATCH, CR3_TARGET_COUNT, EXIT_MSR_STORE_COUNT,
		EXIT_MSR_LOAD_COUNT, ENTRY_MSR_LOAD_COUNT, ENTRY_INTR_INFO, ENTRY_ERROR_CODE, ENTRY_INSN_LENGTH,
		TSC_OFFSET, GUEST_DEBUGCTL, GUEST_INTERRUPTIBILITY, GUEST_ACTIVITY, GUEST_SYSENTER_CS,
		GUEST_SYSENTER_ESP, GUEST_SYSENTER_EIP, GUEST_PENDING_DEBUG, HOST_SYSENTER_CS, HOST_SYSENTER_ESP,
		HOST_SYSENTER_EIP, CR0_GUEST_HOST_MASK, CR4_GUEST_HOST_MASK,
	};
	unsigned int i;

	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		vmcs_write(fields[i], 0);
	vmcs_write(VMCS_LINK_POINTER, ~0ull);
}

static void write_control_registers(void)
{
	uint64_t cr0 = read_cr0(), cr3 = read_cr3(), cr4 = read_cr4();

	vmcs_write(GUEST_CR0, cr0);
	vmcs_write(GUEST_CR3, cr3);
	vmcs_write(GUEST_CR4, cr4);
	vmcs_write(CR0_READ_SHADOW, cr0);
	vmcs_write(CR4_READ_SHADOW, cr4);
	vmcs_write(HOST_CR0, cr0);
	vmcs_write(HOST_CR3, cr3);
	vmcs_write(HOST_CR4, cr4);
	vmcs_write(GUEST_DR7, 0x400);
	vmcs_write(GUEST_RFLAGS, X86_EFLAGS_FIXED);
	vmcs_write(HOST_RIP, (uint64_t)vmx_switch_exit);
}

/* @index in the order of the fields: ES, CS, SS, DS, FS, GS, LDTR, TR. */
static void write_segment(unsigned int index, uint16_t selector, uint64_t base)
{
	uint32_t limit = 0, rights = 0;

	__asm__ volatile("lsl %1, %0" : "+r"(limit) : "r"((uint32_t)selector) : "cc");
	__asm__ volatile("lar %1, %0" : "+r"(rights) : "r"((uint32_t)selector) : "cc");
	vmcs_write(GUEST_ES_SELECTOR + 2 * index, selector);
	vmcs_write(GUEST_ES_BASE + 2 * index, base);
	vmcs_write(GUEST_ES_LIMIT + 2 * index, limit);
	vmcs_write(GUEST_ES_AR + 2 * index, selector & ~3 ? rights >> 8 & 0xf0ff : AR_UNUSABLE);
	/* There is no HOST_LDTR_SELECTOR. */
	if (index != 6)
		vmcs_write(index == 7 ? HOST_TR_SELECTOR : HOST_ES_SELECTOR + 2 * index, selector & ~7);
}

#define SELECTOR_OF(name_) ({ uint16_t s_; __asm__("mov %%" name_ ", %0" : "=r"(s_)); s_; })

static void write_segments(void)
{
	uint64_t tss = TSS_GPA + vcpu_index() * TSS_BYTES, fs = rdmsr(MSR_FS_BASE), gs = rdmsr(MSR_GS_BASE);
	uint16_t tr, ldtr;

	__asm__("str %0" : "=r"(tr));
	__asm__("sldt %0" : "=r"(ldtr));
	write_segment(0, SELECTOR_OF("es"), 0);
	write_segment(1, SELECTOR_OF("cs"), 0);
	write_segment(2, SELECTOR_OF("ss"), 0);
	write_segment(3, SELECTOR_OF("ds"), 0);
	write_segment(4, SELECTOR_OF("fs"), fs);
	write_segment(5, SELECTOR_OF("gs"), gs);
	write_segment(6, ldtr, 0);
	write_segment(7, tr, tss);
	/* The one in TR is busy, whatever the GDT says. */
	vmcs_set(GUEST_TR_AR, 2);
	vmcs_write(HOST_FS_BASE, fs);
	vmcs_write(HOST_GS_BASE, gs);
	vmcs_write(HOST_TR_BASE, tss);
}

static void write_tables(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) gdtr, idtr;

	__asm__("sgdt %0" : "=m"(gdtr));
	__asm__("sidt %0" : "=m"(idtr));
	vmcs_write(GUEST_GDTR_BASE, gdtr.base);
	vmcs_write(GUEST_GDTR_LIMIT, gdtr.limit);
	vmcs_write(GUEST_IDTR_BASE, idtr.base);
	vmcs_write(GUEST_IDTR_LIMIT, idtr.limit);
	vmcs_write(HOST_GDTR_BASE, gdtr.base);
	vmcs_write(HOST_IDTR_BASE, idtr.base);
}

void vmx_start(void)
{
	vmx_prepare();
	vmx.vmcs = vmx_region_alloc();
	vmx.msr_bitmap = page_alloc();
	vmx.is_launched = false;
	MUST(vmxon_try((uint64_t)vmx.vmxon_region));
	MUST(vmclear_try((uint64_t)vmx.vmcs));
	MUST(vmptrld_try((uint64_t)vmx.vmcs));
	write_controls();
	write_zeros();
	write_control_registers();
	write_segments();
	write_tables();
	vmx_aim(vmx_l2_end);
}

/* --- what a test adds --- */

void vmx_use_secondary(uint32_t bits)
{
	uint64_t old = 0;

	if (vmcs_read(PROC_CONTROLS) & PROC_SECONDARY)
		old = vmcs_read(PROC2_CONTROLS);
	vmcs_set(PROC_CONTROLS, PROC_SECONDARY);
	vmcs_write(PROC2_CONTROLS, old | bits);
}

void vmx_use_io_bitmaps(void)
{
	/* One behind the other, as page_alloc() hands them out. */
	vmx.io_bitmaps = page_alloc();
	page_alloc();
	vmcs_write(IO_BITMAP_A, (uint64_t)vmx.io_bitmaps);
	vmcs_write(IO_BITMAP_B, (uint64_t)vmx.io_bitmaps + PAGE_BYTES);
	vmcs_set(PROC_CONTROLS, PROC_IO_BITMAPS);
}

static void ept_fill(uint64_t *table, uint64_t gpa, uint64_t step, uint64_t flags)
{
	unsigned int i;

	for (i = 0; i < NR_EPT_LEAVES; i++)
		table[i] = (gpa + i * step) | flags;
}

void vmx_use_ept(void)
{
	uint64_t *pointers = page_alloc();
	unsigned int i;

	vmx.ept_root = page_alloc();
	vmx.ept_root[0] = (uint64_t)pointers | EPTE_RWX;
	for (i = 0; i < 4; i++) {
		uint64_t *directory = page_alloc();

		ept_fill(directory, (uint64_t)i << 30, 1ull << 21, EPTE_RWX | EPTE_WB | EPTE_LARGE);
		pointers[i] = (uint64_t)directory | EPTE_RWX;
	}
	vmcs_write(EPT_POINTER, (uint64_t)vmx.ept_root | EPTP_WALK_4 | EPTP_WB);
	vmx_use_secondary(PROC2_EPT);
}

uint64_t *ept_find(uint64_t gpa, unsigned int level)
{
	uint64_t *table = vmx.ept_root;
	unsigned int at;

	for (at = 4; ; at--) {
		uint64_t *entry = &table[gpa >> (12 + 9 * (at - 1)) & 511];

		if (at == level)
			return entry;
		if (*entry & EPTE_LARGE) {
			table = page_alloc();
			ept_fill(table, *entry & 0x000fffffffe00000ull, PAGE_BYTES, EPTE_RWX | EPTE_WB);
			*entry = (uint64_t)table | EPTE_RWX;
		}
		table = (uint64_t *)(*entry & 0x000ffffffffff000ull);
	}
}

/* --- L2 --- */

void vmx_aim(const void *code)
{
	uint64_t *top = (uint64_t *)(l2_stack + sizeof(l2_stack)) - 2;

	*top = (uint64_t)vmx_l2_end;
	vmcs_write(GUEST_RSP, (uint64_t)top);
	vmcs_write(GUEST_RIP, (uint64_t)code);
}

static bool has_bit(const uint8_t *reasons, size_t nr, uint64_t reason)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (reasons[i] == reason)
			return true;
	return false;
}
#define IS_ONE_OF(reason_, ...)								\
	({ static const uint8_t list_[] = { __VA_ARGS__ }; has_bit(list_, sizeof(list_), reason_); })

static bool is_soft(uint64_t info)
{
	uint64_t type = info & 0x700;

	return (info & INTR_VALID) && type >= INTR_SOFTWARE_INTERRUPT && type <= INTR_SOFTWARE_EXCEPTION;
}

/* SDM vol. 3C, 28.2.5 */
static bool has_insn_length(const struct vmx_exit *exit)
{
	if (is_soft(exit->vectoring_info))
		return true;
	switch (exit->reason) {
	case EXIT_REASON_EXCEPTION_NMI:
		return is_soft(exit->intr_info);
	case EXIT_REASON_TASK_SWITCH:
		return exit->qualification >> 30 != 3;
	default:
		return (exit->reason >= EXIT_REASON_CPUID && exit->reason <= EXIT_REASON_MSR_WRITE) ||
		       IS_ONE_OF(exit->reason, EXIT_REASON_MWAIT_INSTRUCTION, EXIT_REASON_MONITOR_INSTRUCTION,
				 EXIT_REASON_PAUSE_INSTRUCTION, EXIT_REASON_GDTR_IDTR, EXIT_REASON_LDTR_TR,
				 EXIT_REASON_INVEPT, EXIT_REASON_RDTSCP, EXIT_REASON_INVVPID, EXIT_REASON_WBINVD,
				 EXIT_REASON_XSETBV, EXIT_REASON_RDRAND, EXIT_REASON_INVPCID, EXIT_REASON_VMFUNC,
				 EXIT_REASON_RDSEED, EXIT_REASON_XSAVES, EXIT_REASON_XRSTORS);
	}
}

#define IO_QUAL_STRING (1u << 4)

/* SDM vol. 3C, 28.2.5, tables 28-8 to 28-14 */
static bool has_insn_info(const struct vmx_exit *exit)
{
	if (exit->reason == EXIT_REASON_IO_INSTRUCTION)
		return (exit->qualification & IO_QUAL_STRING) && rdmsr(MSR_IA32_VMX_BASIC) >> 54 & 1;
	return IS_ONE_OF(exit->reason, EXIT_REASON_VMCLEAR, EXIT_REASON_VMPTRLD, EXIT_REASON_VMPTRST,
			 EXIT_REASON_VMREAD, EXIT_REASON_VMWRITE, EXIT_REASON_VMON, EXIT_REASON_GDTR_IDTR,
			 EXIT_REASON_LDTR_TR, EXIT_REASON_INVEPT, EXIT_REASON_INVVPID, EXIT_REASON_INVPCID,
			 EXIT_REASON_RDRAND, EXIT_REASON_RDSEED, EXIT_REASON_XSAVES, EXIT_REASON_XRSTORS);
}

#define INFO_MEMORY_FORM (3u | 7u << 7 | 1u << 10 | 7u << 15 | 0x1fu << 18 | 0x1fu << 23)
#define INFO_REGISTER_FORM (0xfu << 3 | 1u << 10)
#define INFO_IS_REGISTER (1u << 10)
#define INFO_NO_INDEX (1u << 22)
#define INFO_NO_BASE (1u << 27)

/* The bits that the manual defines, of information that may name memory or (bit 10) a register. */
static uint32_t operand_bits(uint32_t info)
{
	uint32_t bits = INFO_MEMORY_FORM;

	if (info & INFO_IS_REGISTER)
		return INFO_REGISTER_FORM;
	if (info & INFO_NO_INDEX)
		bits &= ~(3u | 0xfu << 18);
	if (info & INFO_NO_BASE)
		bits &= ~(0xfu << 23);
	return bits;
}

/* SDM vol. 3C, tables 28-8 to 28-14 */
static uint32_t insn_info_bits(const struct vmx_exit *exit, uint32_t info)
{
	switch (exit->reason) {
	case EXIT_REASON_IO_INSTRUCTION:
		/* Address size, and OUTS's segment. */
		return 7u << 7 | (exit->qualification & 8 ? 0 : 7u << 15);
	case EXIT_REASON_RDRAND:
	case EXIT_REASON_RDSEED:
		return 0xfu << 3 | 3u << 11;
	case EXIT_REASON_GDTR_IDTR:
	case EXIT_REASON_LDTR_TR:
		return operand_bits(info) | 3u << 28;
	case EXIT_REASON_VMREAD:
	case EXIT_REASON_VMWRITE:
	case EXIT_REASON_INVEPT:
	case EXIT_REASON_INVVPID:
	case EXIT_REASON_INVPCID:
		return operand_bits(info) | 0xfu << 28;
	default:
		return operand_bits(info);
	}
}

/* SDM vol. 3C, 28.2.1 */
static bool has_guest_linear(const struct vmx_exit *exit)
{
	switch (exit->reason) {
	case EXIT_REASON_EPT_VIOLATION:
		return exit->qualification & EPT_QUAL_LINEAR_VALID;
	case EXIT_REASON_IO_INSTRUCTION:
		return exit->qualification & IO_QUAL_STRING;
	case EXIT_REASON_CR_ACCESS:
		/* LMSW with a memory operand */
		return (exit->qualification & 0x70) == 0x70;
	default:
		return false;
	}
}

static void event_read(uint64_t *info, uint64_t *error_code, uint32_t info_field, uint32_t error_field)
{
	*info = vmcs_read(info_field);
	if (!(*info & INTR_VALID))
		*info = 0;
	/* Bit 12 is undefined where it does not say "NMI unblocking due to IRET". */
	if (*info & INTR_ERROR_CODE)
		*error_code = vmcs_read(error_field);
}

void vmx_state_read(struct vmx_exit *ret)
{
	*ret = (struct vmx_exit){
		.rip = vmcs_read(GUEST_RIP),
		.rsp = vmcs_read(GUEST_RSP),
		.rflags = vmcs_read(GUEST_RFLAGS),
		.cr0 = vmcs_read(GUEST_CR0),
		.cr3 = vmcs_read(GUEST_CR3),
		.cr4 = vmcs_read(GUEST_CR4),
		.interruptibility = vmcs_read(GUEST_INTERRUPTIBILITY),
		.activity = vmcs_read(GUEST_ACTIVITY),
		.pending_debug = vmcs_read(GUEST_PENDING_DEBUG),
		.entry_intr_info = vmcs_read(ENTRY_INTR_INFO),
	};
}

static uint32_t insn_info_read(const struct vmx_exit *exit)
{
	uint32_t info = vmcs_read(EXIT_INSN_INFO);

	return info & insn_info_bits(exit, info);
}

static void exit_read(struct vmx_exit *exit)
{
	vmx_state_read(exit);
	exit->reason = vmcs_read(EXIT_REASON);
	exit->qualification = vmcs_read(EXIT_QUALIFICATION);
	if (exit->reason & VMX_EXIT_REASONS_FAILED_VMENTRY)
		return;
	event_read(&exit->intr_info, &exit->intr_error_code, EXIT_INTR_INFO, EXIT_INTR_ERROR_CODE);
	event_read(&exit->vectoring_info, &exit->vectoring_error_code, IDT_VECTORING_INFO, IDT_VECTORING_ERROR_CODE);
	if (has_insn_length(exit))
		exit->insn_length = vmcs_read(EXIT_INSN_LENGTH);
	if (has_insn_info(exit))
		exit->insn_info = insn_info_read(exit);
	if (has_guest_linear(exit))
		exit->guest_linear = vmcs_read(GUEST_LINEAR_ADDRESS);
	if (exit->reason == EXIT_REASON_EPT_VIOLATION || exit->reason == EXIT_REASON_EPT_MISCONFIG)
		exit->guest_physical = vmcs_read(GUEST_PHYSICAL_ADDRESS);
}

void vmx_enter(bool is_resume)
{
	uint64_t rflags;

	vmx.exit = (struct vmx_exit){ 0 };
	fault_clear();
	rflags = vmx_switch(&vmx.gprs, is_resume);
	if (rflags != NOT_FAILED) {
		vmx.exit.outcome = vmx_outcome_take(rflags);
		return;
	}
	exit_read(&vmx.exit);
	if (!(vmx.exit.reason & VMX_EXIT_REASONS_FAILED_VMENTRY))
		vmx.is_launched = true;
}

void vmx_run(void)
{
	vmx_enter(vmx.is_launched);
}

void vmx_run_blindly(void)
{
	uint64_t rflags;

	vmx.exit = (struct vmx_exit){ 0 };
	fault_clear();
	rflags = vmx_switch(&vmx.gprs, vmx.is_launched);
	if (rflags != NOT_FAILED)
		vmx.exit.outcome = vmx_outcome_take(rflags);
	else
		vmx.is_launched = true;
}

void vmx_skip_insn(void)
{
	vmcs_write(GUEST_RIP, vmx.exit.rip + vmcs_read(EXIT_INSN_LENGTH));
	if (vmx.exit.interruptibility & (INTERRUPTIBILITY_STI | INTERRUPTIBILITY_MOV_SS))
		vmcs_clear_bits(GUEST_INTERRUPTIBILITY, INTERRUPTIBILITY_STI | INTERRUPTIBILITY_MOV_SS);
}

/* --- comparing --- */

static const struct {
	const char *text;
	size_t offset;
} exit_fields[] = {
#define FIELD(name_) { "exit." #name_, offsetof(struct vmx_exit, name_) }
	FIELD(outcome), FIELD(reason), FIELD(qualification), FIELD(guest_linear), FIELD(guest_physical),
	FIELD(intr_info), FIELD(intr_error_code), FIELD(vectoring_info), FIELD(vectoring_error_code),
	FIELD(insn_length), FIELD(insn_info), FIELD(rip), FIELD(rsp), FIELD(rflags), FIELD(cr0), FIELD(cr3), FIELD(cr4),
	FIELD(interruptibility), FIELD(activity), FIELD(pending_debug), FIELD(entry_intr_info),
#undef FIELD
};
_Static_assert(sizeof(struct vmx_exit) == sizeof(exit_fields) / sizeof(exit_fields[0]) * sizeof(uint64_t),
	       "every field of an exit is compared");

static void reason_met(uint64_t want)
{
	if (vmx.exit.outcome == VMX_OK && vmx.exit.reason == want)
		guest_met(ABI_MET_VMX, want);
}

void vmx_reason_check(const char *file, unsigned int line, uint64_t want)
{
	guest_check(want == vmx.exit.reason, file, line, "vmx.exit.reason", want, vmx.exit.reason);
	reason_met(want);
}

void vmx_exit_check(const char *file, unsigned int line, const struct vmx_exit *want)
{
	unsigned int i;

	for (i = 0; i < sizeof(exit_fields) / sizeof(exit_fields[0]); i++) {
		uint64_t w = *(const uint64_t *)((const char *)want + exit_fields[i].offset);
		uint64_t g = *(const uint64_t *)((const char *)&vmx.exit + exit_fields[i].offset);

		guest_check(w == g, file, line, exit_fields[i].text, w, g);
	}
	reason_met(want->reason);
}
