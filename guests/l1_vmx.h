/* SPDX-License-Identifier: MIT */
/*
 * A guest hypervisor on VMX (L1), in 64-bit mode: VMX instructions whose outcome is a value, a VMCS that is known to
 * enter (the golden one), and runs of a nested guest (L2) whose exit is one record.
 *
 * L2 starts in L1's own 64-bit world: the same page tables, segments, GDT, IDT, TSS and report page, so that its code
 * is a function of the same image, which may report, and take faults, like any other. It has a stack of its own; when
 * its function returns it does VMCALL at vmx_l2_end. Interrupts are off. Without further ado only what must exit does:
 * MSR bitmaps are used and clear, no exception is intercepted, no EPT.
 *
 *	vmx_start();
 *	vmcs_set(PROC_CONTROLS, PROC_HLT_EXITING);
 *	vmx_aim(l2_function);
 *	vmx_run();				vmx.exit.reason == EXIT_REASON_HLT, vmx.gprs is what L2 had
 *	vmx_skip_insn();
 *	vmx_run();				goes on behind it
 *
 * One vCPU at a time. Calls that are not named _try must succeed: what fails is a failed check of the test.
 *
 * Source: SDM vol. 3C, chapters 24 to 28, 30.
 */
#ifndef VMASSAY_L1_VMX_H
#define VMASSAY_L1_VMX_H

#include "guest.h"
#include "vm/x86/vmx.h"

/* --- how a VMX instruction ended, SDM vol. 3C, 31.2 --- */

/*
 * A number that is compared whole: bits 15:0 CF, PF, AF, ZF, SF, OF at their places in RFLAGS, bits 31:16 the
 * VM-instruction error, 39:32 the vector of a fault + 1, 55:40 its error code. All six flags are set beforehand: an
 * outcome has the ones that the manual says and no other, and a fault leaves them as they were.
 */
typedef uint64_t vmx_outcome;

#define VMX_ALL_FLAGS (X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF | X86_EFLAGS_SF | X86_EFLAGS_OF)
#define VMX_OK 0ull
#define VMX_FAIL_INVALID X86_EFLAGS_CF
#define VMX_FAIL_VALID(error_) (X86_EFLAGS_ZF | (uint64_t)(error_) << 16)
#define VMX_FAULT(vector_, error_code_) (VMX_ALL_FLAGS | (uint64_t)((vector_) + 1) << 32 | (uint64_t)(error_code_) << 40)

#ifdef __x86_64__

/* Of what the instruction left in RFLAGS and, when it faulted, in the report page. */
GUEST_API vmx_outcome vmx_outcome_take(uint64_t rflags);

/* One VMX instruction: VMX_TRY("vmread %[field], %[value]", (outputs), (inputs)), operands by name. */
#define VMX_UNPACK(...) __VA_ARGS__
#define VMX_TRY(instruction_, outputs_, inputs_)					\
	({										\
		uint64_t rflags_;							\
		fault_clear();								\
		__asm__ volatile("push %[preset]\n\tpopf\n"				\
				 "771: " instruction_ "\n772:\n\tpushf\n\tpop %[rflags]\n"	\
				 ".pushsection .fixups, \"a\"\n"			\
				 ".long 771b - ., 772b - .\n"				\
				 ".popsection"						\
				 : [rflags] "=&r"(rflags_) VMX_UNPACK outputs_		\
				 : [preset] "r"(VMX_ALL_FLAGS | X86_EFLAGS_FIXED) VMX_UNPACK inputs_	\
				 : "memory", "cc");					\
		vmx_outcome_take(rflags_);						\
	})

#define VMX_POINTER_INSTRUCTION(name_)							\
	static inline vmx_outcome name_##_at_try(const void *pointer)			\
	{										\
		return VMX_TRY(#name_ " (%[pointer])", (), (, [pointer] "r"(pointer)));	\
	}										\
	static inline vmx_outcome name_##_try(uint64_t gpa)				\
	{										\
		return VMX_TRY(#name_ " %[gpa]", (), (, [gpa] "m"(gpa)));		\
	}
VMX_POINTER_INSTRUCTION(vmxon)
VMX_POINTER_INSTRUCTION(vmptrld)
VMX_POINTER_INSTRUCTION(vmclear)
#undef VMX_POINTER_INSTRUCTION

static inline vmx_outcome vmptrst_at_try(void *pointer)
{
	return VMX_TRY("vmptrst (%[pointer])", (), (, [pointer] "r"(pointer)));
}

static inline vmx_outcome vmxoff_try(void)
{
	return VMX_TRY("vmxoff", (), ());
}

/* *@value is left alone when it fails. */
static inline vmx_outcome vmread_try(uint64_t field, uint64_t *value)
{
	return VMX_TRY("vmread %[field], %[value]", (, [value] "+r"(*value)), (, [field] "r"(field)));
}

static inline vmx_outcome vmread_at_try(uint64_t field, void *to)
{
	return VMX_TRY("vmread %[field], (%[to])", (), (, [field] "r"(field), [to] "r"(to)));
}

static inline vmx_outcome vmwrite_try(uint64_t field, uint64_t value)
{
	return VMX_TRY("vmwrite %[value], %[field]", (), (, [field] "r"(field), [value] "r"(value)));
}

static inline vmx_outcome vmwrite_at_try(uint64_t field, const void *from)
{
	return VMX_TRY("vmwrite (%[from]), %[field]", (), (, [field] "r"(field), [from] "r"(from)));
}

/* @descriptor: 16 bytes, {EPTP, 0} or {VPID, linear address}. */
static inline vmx_outcome invept_try(uint64_t type, const void *descriptor)
{
	return VMX_TRY("invept (%[descriptor]), %[type]", (), (, [type] "r"(type), [descriptor] "r"(descriptor)));
}

static inline vmx_outcome invvpid_try(uint64_t type, const void *descriptor)
{
	return VMX_TRY("invvpid (%[descriptor]), %[type]", (), (, [type] "r"(type), [descriptor] "r"(descriptor)));
}

#endif

/* --- L1's state: one for the image --- */

struct vmx_gprs {
	uint64_t rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15;
};

/*
 * What an exit left in the VMCS. A field that the manual leaves undefined for the exit's reason (SDM vol. 3C, 28.2) is
 * 0 here; so are interruption and vectoring information that are not valid. When the entry did not happen, .outcome
 * says how it failed and all else is 0.
 */
struct vmx_exit {
	vmx_outcome outcome;		/* VMX_OK: L2 was entered, or failed to be with an exit */
	uint64_t reason;		/* with bit 31 when the entry failed; then only .qualification is of use */
	uint64_t qualification;
	uint64_t guest_linear;
	uint64_t guest_physical;
	uint64_t intr_info, intr_error_code;
	uint64_t vectoring_info, vectoring_error_code;
	uint64_t insn_length, insn_info;

	/* L2's state, and of the entry controls what an exit changes. */
	uint64_t rip, rsp, rflags;
	uint64_t cr0, cr3, cr4;
	uint64_t interruptibility, activity, pending_debug;
	uint64_t entry_intr_info;
};

struct vmx_l1 {
	void *vmxon_region;	/* pages; their addresses are guest-physical too */
	void *vmcs;
	uint8_t *msr_bitmap;	/* 4 x 1 KiB: read low, read high, write low, write high */
	uint8_t *io_bitmaps;	/* A and B, two pages, made by vmx_use_io_bitmaps() */
	uint64_t *ept_root;	/* NULL: vmx_use_ept() was not called */
	bool is_launched;
	struct vmx_gprs gprs;	/* L2 is entered with these and leaves its own here */
	struct vmx_exit exit;	/* of the last vmx_run() */
};

GUEST_API extern struct vmx_l1 vmx;
GUEST_API extern const char vmx_l2_end[];
/* L1's RFLAGS as the last exit left them. */
GUEST_API extern uint64_t vmx_host_rflags;

/* --- VMX operation --- */

/* Sets IA32_FEATURE_CONTROL when it is not locked, CR4.VMXE, and makes a VMXON region; no VMXON. */
GUEST_API void vmx_prepare(void);

/* A page with the revision identifier, for VMXON and VMPTRLD. */
GUEST_API void *vmx_region_alloc(void);

/* vmx_prepare(), VMXON, and the golden VMCS, current and clear. */
GUEST_API void vmx_start(void);

/* --- fields of the current VMCS --- */

GUEST_API uint64_t vmcs_read(uint32_t field);
GUEST_API void vmcs_write(uint32_t field, uint64_t value);

static inline void vmcs_set(uint32_t field, uint64_t bits)
{
	vmcs_write(field, vmcs_read(field) | bits);
}

static inline void vmcs_clear_bits(uint32_t field, uint64_t bits)
{
	vmcs_write(field, vmcs_read(field) & ~bits);
}

/* A change of one field, for tables: the value becomes (old & ~clear) | set. The end of a list has neither. */
struct vmcs_edit {
	uint32_t field;
	uint64_t set, clear;
};

#define VMCS_SET(field_, bits_) { .field = field_, .set = bits_ }
#define VMCS_CLEAR(field_, bits_) { .field = field_, .clear = bits_ }
#define VMCS_VALUE(field_, value_) { .field = field_, .set = value_, .clear = ~0ull }

GUEST_API void vmcs_edit(const struct vmcs_edit *edits, unsigned int max_nr);

/* Secondary controls, switched on with the primary bit that they need. */
GUEST_API void vmx_use_secondary(uint32_t bits);

/* I/O bitmaps, clear: no port exits. */
GUEST_API void vmx_use_io_bitmaps(void);

/* EPT that maps [0, 4 GiB) one to one with all permissions, write-back, by 2 MiB pages. */
GUEST_API void vmx_use_ept(void);

/* The EPT entry of @gpa at @level (1 = 4 KiB); large pages above are split. Changes want INVEPT once L2 has run. */
GUEST_API uint64_t *ept_find(uint64_t gpa, unsigned int level);

/* --- L2 --- */

/* L2 is to execute @code, a function, on a fresh stack. */
GUEST_API void vmx_aim(const void *code);

/* VMLAUNCH, or VMRESUME after an exit; fills vmx.exit and vmx.gprs. */
GUEST_API void vmx_run(void);

/* The same with the one or the other instruction. */
GUEST_API void vmx_enter(bool is_resume);

/* The same without a look at the VMCS behind the exit: vmx.exit has .outcome only. */
GUEST_API void vmx_run_blindly(void);

/* RIP behind the instruction that exited; blocking by STI and MOV SS ends. */
GUEST_API void vmx_skip_insn(void);

/* The state that L2 is about to be entered with, as .rip to .entry_intr_info of a record; the rest is 0. */
GUEST_API void vmx_state_read(struct vmx_exit *ret);

/* One check for each field of the record. */
GUEST_API void vmx_exit_check(const char *file, unsigned int line, const struct vmx_exit *want);
#define CHECK_EXIT(want_) vmx_exit_check(__FILE__, __LINE__, want_)

/* Only the reason. */
GUEST_API void vmx_reason_check(const char *file, unsigned int line, uint64_t want);
#define CHECK_REASON(want_) vmx_reason_check(__FILE__, __LINE__, want_)

/* The last exit was the VMCALL that ends L2's function. */
#define CHECK_L2_DONE()									\
	do {										\
		CHECK_REASON(EXIT_REASON_VMCALL);					\
		CHECK_EQ((uint64_t)(ulong_t)vmx_l2_end, vmx.exit.rip);			\
	} while (0)

#endif
