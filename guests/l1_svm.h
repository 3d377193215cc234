/* SPDX-License-Identifier: MIT */
/*
 * A guest that is a hypervisor itself: L1 runs L2 by VMRUN.
 *
 * L2 is a piece of the same image, on L1's page tables, descriptor tables and report page, with a stack of its own: so
 * it is a few instructions beside the assertion, and an exception in it is handled like one in L1. It ends by VMMCALL,
 * which is always intercepted.
 *
 *	l1_svm_init();
 *	vmcb_intercept(&l1_vmcb, SVM_EXIT_CPUID);
 *	l2_run(code);
 *	CHECK_EXIT(.code = SVM_EXIT_CPUID, .rip = (ulong_t)code);
 *
 * In a 32-bit guest L2 begins in L1's mode as well, and of L2's registers only the lower halves of the first eight are
 * switched. Source: APM vol. 2, chapter 15.
 */
#ifndef VMASSAY_L1_SVM_H
#define VMASSAY_L1_SVM_H

#include <asm/svm.h>

#include "guests/guest.h"
#include "vm/x86/vmcb.h"

/* L2's registers that VMRUN does not switch; the others are in the VMCB. */
struct l2_regs {
	uint64_t rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15;
};

/* The first L2's VMCB, permission maps (all clear: nothing is intercepted) and registers; page aligned. */
extern struct vmcb l1_vmcb GUEST_API;
extern uint8_t l1_iopm[IOPM_BYTES] GUEST_API, l1_msrpm[MSRPM_BYTES] GUEST_API;
extern struct l2_regs l2_regs GUEST_API;

/* Turns SVM on for this vCPU (EFER.SVME, VM_HSAVE_PA) and makes l1_vmcb golden. */
GUEST_API void l1_svm_init(void);

/* SVM on for this vCPU, with its own host save area. */
GUEST_API void l1_svm_enable(void);

/*
 * Golden: L2 in the mode that the guest has started in, at CPL 0, as L1 is now, interrupts off, ASID 1, RIP 0, intercepts of VMRUN, VMMCALL and
 * SHUTDOWN only.
 */
GUEST_API void vmcb_init(struct vmcb *vmcb);

static inline void vmcb_intercept(struct vmcb *vmcb, uint32_t exit_code)
{
	vmcb->control.intercept[exit_code / 32] |= 1u << (exit_code % 32);
}

static inline void vmcb_intercept_clear(struct vmcb *vmcb, uint32_t exit_code)
{
	vmcb->control.intercept[exit_code / 32] &= ~(1u << (exit_code % 32));
}

/* Enters L2 with l2_regs and returns after its #VMEXIT, with GIF set again. */
GUEST_API void vmcb_run(struct vmcb *vmcb);

/* The same, and GIF is as the #VMEXIT left it: clear. */
GUEST_API void vmcb_run_gif_clear(struct vmcb *vmcb);

/* The same with registers of the caller's, for more than one vCPU. */
GUEST_API void vmcb_run_with(struct vmcb *vmcb, struct l2_regs *regs);

/* Sets RIP to @code, RSP to the top of an L2 stack, and runs l1_vmcb. */
GUEST_API void l2_run(const void *code);

/* L2 in the middle of what it does: runs on from where it left, behind an instruction of @len_bytes. */
GUEST_API void l2_resume(unsigned int len_bytes);

/*
 * Takes an interrupt in L2 once, so that what delivery touches is mapped for L2, and KVM has no exit in the midst of a
 * later one.
 */
GUEST_API void l2_warm(void);

/* One SVM instruction whose fault is a value; RAX is @pa. VMRUN must lead to a #VMEXIT before L2 changes a register. */
GUEST_API struct fault vmrun_try(uint64_t pa);
GUEST_API struct fault vmload_try(uint64_t pa);
GUEST_API struct fault vmsave_try(uint64_t pa);

static inline void stgi(void)
{
	__asm__ volatile("stgi" : : : "memory");
}

static inline void clgi(void)
{
	__asm__ volatile("clgi" : : : "memory");
}

/* The MSR permission bits of @index: 0 read, 1 write. False for an MSR that the map does not have. */
GUEST_API bool msrpm_set(uint8_t *map, uint32_t index, bool is_write, bool value);

/* The I/O permission bit of @port; those from 10000h on are for what an access at FFFFh has behind it. */
GUEST_API void iopm_set(uint8_t *map, uint32_t port, bool value);

/* EXITINFO1 names the register of a MOV CRn or DRn, and the segment of a string I/O: APM vol. 2, 15.8.1. */
static inline bool has_decode_assists(void)
{
	return cpuid(0x8000000a, 0).edx & 1u << 7;
}

/* Where the next instruction is, after an exit of one: APM vol. 2, 15.7.1. */
static inline bool has_nrips(void)
{
	return cpuid(0x8000000a, 0).edx & 1u << 3;
}

/* --- checks --- */

/* What a #VMEXIT says of itself; what is not named is zero. */
struct svm_exit {
	uint64_t code;
	uint64_t info_1, info_2;
	uint32_t int_info, int_info_error;
	uint64_t rip;
};

GUEST_API void check_svm_exit(const struct vmcb *vmcb, const struct svm_exit *want, const char *file,
			      unsigned int line);

#define CHECK_EXIT_OF(vmcb_, ...) \
	check_svm_exit(vmcb_, &(struct svm_exit){ __VA_ARGS__ }, __FILE__, __LINE__)
#define CHECK_EXIT(...) CHECK_EXIT_OF(&l1_vmcb, __VA_ARGS__)

/* Only the code; the rest of the exit is the case's to look at. */
GUEST_API void check_exit_code(const struct vmcb *vmcb, uint64_t want, const char *file, unsigned int line);

#define CHECK_EXIT_CODE(want_) check_exit_code(&l1_vmcb, want_, __FILE__, __LINE__)

/*
 * L2 has done what exits with @code_ where that is intercepted, it was not, and there was no such exit. A code without
 * an intercept of its own (NPF, ERR): there was no such exit.
 */
GUEST_API void check_no_exit(const struct vmcb *vmcb, uint32_t code, const char *file, unsigned int line);

#define CHECK_NO_EXIT(code_) check_no_exit(&l1_vmcb, code_, __FILE__, __LINE__)

/* nRIP of the exit; 0 where it was for something else than an instruction. Without the feature it stays 0. */
#define CHECK_NEXT_RIP(want_) CHECK_EQ(has_nrips() ? (ulong_t)(want_) : 0, l1_vmcb.control.next_rip)

/* L2 came to the VMMCALL at @rip. */
#define CHECK_L2_DONE(rip_) CHECK_EXIT(.code = SVM_EXIT_VMMCALL, .rip = (ulong_t)(rip_))

/* VMRUN refused the VMCB: exit code -1, no other exit field, nothing of L2 saved. */
#define CHECK_REFUSED(before_)								\
	do {										\
		CHECK_EXIT(.code = -1ull, .rip = (before_)->rip);			\
		check_vmcb_save(&l1_vmcb.save, before_, __FILE__, __LINE__);		\
	} while (0)

/* Compares field by field, by name; RIP, RAX and RSP only when they are to be the same, too. */
GUEST_API void check_vmcb_save(const struct vmcb_save *got, const struct vmcb_save *want, const char *file,
			       unsigned int line);

#define CHECK_SAVE_SAME(want_) check_vmcb_save(&l1_vmcb.save, want_, __FILE__, __LINE__)

/* All of L2's registers that VMRUN does not switch. */
GUEST_API void check_l2_regs(const struct l2_regs *want, const char *file, unsigned int line);

#define CHECK_L2_REGS(want_) check_l2_regs(want_, __FILE__, __LINE__)

#endif
