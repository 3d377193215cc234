/* SPDX-License-Identifier: MIT */
/*
 * One CPU's state. The architectural part is the owner's to read and write while the CPU does not run (then
 * cpu_state_changed()); the rest is derived from it or belongs to the machine.
 */
#ifndef VMASSAY_MACHINE_CPU_H
#define VMASSAY_MACHINE_CPU_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

#include "machine/fpu.h"
#include "vm/x86/vmcb.h"

struct block;
struct machine;
struct op;

/* In the order of the encoding. The last two make every effective address a sum of registers (see struct op). */
enum {
	REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
	REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
	REG_ZERO,	/* always 0 */
	REG_NEXT_RIP,	/* while an instruction executes: the address behind it, or its branch target */
	NR_REGS,
};

enum { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, NR_SEGS, SEG_TR = NR_SEGS, SEG_LDTR, NR_ALL_SEGS };

enum {
	VECTOR_DE, VECTOR_DB, VECTOR_NMI, VECTOR_BP, VECTOR_OF, VECTOR_BR, VECTOR_UD, VECTOR_NM, VECTOR_DF,
	VECTOR_TS = 10, VECTOR_NP, VECTOR_SS, VECTOR_GP, VECTOR_PF, VECTOR_MF = 16, VECTOR_AC, VECTOR_MC, VECTOR_XF,
};

/* Segment attributes as the VMCB packs them, APM vol. 2, 15.5.1: descriptor bits 55:52 and 47:40. */
/* Why a block ends early. A string instruction goes on in spite of new code, so that its chunks do not tell what is cached. */
#define STOP_EVENT 1u
#define STOP_CODE 2u

#define SEG_TYPE 0x00fu
#define SEG_TYPE_ACCESSED 0x001u
#define SEG_TYPE_WRITABLE 0x002u	/* data; readable for code */
#define SEG_TYPE_EXPAND_DOWN 0x004u	/* data; conforming for code */
#define SEG_TYPE_CODE 0x008u
#define SEG_S 0x010u
#define SEG_DPL_SHIFT 5
#define SEG_P 0x080u
#define SEG_L 0x200u
#define SEG_DB 0x400u
#define SEG_G 0x800u

struct segment {
	uint16_t selector;
	uint16_t attrib;	/* SEG_*; 0 is a null selector's */
	uint32_t limit;		/* in bytes, whatever G says */
	uint64_t base;
};

struct table_register {
	uint64_t base;
	uint16_t limit;
};

/*
 * Where in a segment accesses need no more checks than this: (offset - lo) < len, for any access of up to 16 bytes.
 * All of the address space in 64-bit mode. Anything else takes the slow way, which has the manual's order of checks.
 */
struct window {
	uint64_t base;
	uint64_t lo;
	uint64_t len[2];	/* ACCESS_READ, ACCESS_WRITE */
};

enum access { ACCESS_READ, ACCESS_WRITE, ACCESS_EXEC };

/* Pages whose translation and rights are known for the current CPL, by linear address (tlb.h). */
struct fast_page {
	uint64_t tag;		/* page's linear address | cpu->fast_generation */
	uint64_t addend;	/* host address - linear address */
};

#define NR_FAST_PAGES 256

/* Blocks by RIP, valid while cpu->jump_generation is as it was. */
struct jump_entry {
	uint64_t rip;
	uint64_t generation;
	struct block *block;
};

#define NR_JUMP_ENTRIES 1024

/* How the decoder must read bytes. */
enum code_mode { CODE_REAL16, CODE_PROT16, CODE_PROT32, CODE_LONG64, NR_CODE_MODES };

struct fault {
	uint8_t vector;
	bool has_error;
	bool is_software;	/* of INT n, INT3 or INTO: a trap, RIP is behind it */
	bool is_int_n;		/* of INT n: no exception, whatever the vector */
	bool is_injected;	/* is being delivered already, so no intercept sees it */
	uint32_t error;
	uint64_t address;	/* #PF: what CR2 gets */
};

/* What a transfer between privileges changes step by step, and a fault in the midst of it must not. */
struct saved {
	struct segment segs[NR_ALL_SEGS];
	uint64_t rsp, rflags, cr0, cr3;
	uint8_t cpl;
};

/* Classes of what is delivered, APM vol. 2, 8.2.9. */
enum delivery { DELIVERY_NONE, DELIVERY_BENIGN, DELIVERY_CONTRIBUTORY, DELIVERY_PAGE_FAULT, DELIVERY_DOUBLE_FAULT };

struct tlb;

/* Branch recording (APM vol. 2, 13.1), as the VMCB has it. */
struct branches {
	uint64_t dbgctl, br_from, br_to, last_excp_from, last_excp_to;
};

/* What VMRUN keeps of the host; on hardware it is in the page of VM_HSAVE_PA, in no format that is said. */
struct svm_host {
	struct segment segs[SEG_DS + 1];	/* ES, CS, SS, DS */
	struct table_register gdtr, idtr;
	uint64_t efer, cr0, cr3, cr4, cr8, rflags, rip, rsp, rax, pat;
	struct branches branches;
};

struct svm_state {
	uint64_t vm_cr, hsave_pa, tsc_ratio;	/* VM_CR, VM_HSAVE_PA, TSC_RATIO */
	bool has_gif;			/* the global interrupt flag */
	uint32_t pins;			/* SVM_PIN_*; written by other threads, too */

	/* Of the guest that is active */
	bool is_guest;
	bool is_called;			/* by machine_vmrun(), not by an instruction */
	bool has_nested_paging;
	bool has_own_branches;		/* LBR virtualisation */
	bool is_injecting;		/* EVENTINJ has not been delivered yet */
	uint16_t pause_left;		/* PAUSEs before the next exit */
	uint64_t pause_tsc;		/* when the last one was */
	struct vmcb *vmcb;		/* in host memory */
	uint64_t vmcb_pa;
	struct vmcb_control control;	/* as VMRUN read it; up to the bytes of next_rip */
	struct svm_host host;

	/* Of its #VMEXIT */
	uint64_t exit_code, exit_info_1, exit_info_2, next_rip;
	bool is_fetching_bytes;		/* for decode assists: what that meets is no exit of its own */
	uint8_t nr_insn_bytes, insn_bytes[15];
	uint32_t delivering, delivering_error;	/* EXITINTINFO of the event that is being delivered */
};

struct cpu {
	/* Architectural state */
	uint64_t regs[NR_REGS];		/* RAX to R15, then helpers of the machine */
	uint64_t rip;			/* of the instruction being executed; a faulting one's after a fault */
	uint64_t rflags;
	struct segment segs[NR_ALL_SEGS];
	struct table_register gdtr, idtr;
	uint64_t cr0, cr2, cr3, cr4, cr8, xcr0;
	uint64_t efer;
	uint64_t dr[8];
	struct branches branches;
	uint64_t star, lstar, cstar, sfmask, kernel_gs_base, tsc_aux, pat;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t tsc;			/* at the last instruction; one tick for each */
	uint32_t pkru;
	struct fpu fpu;			/* x87, MMX and SSE */
	uint8_t cpl;
	bool has_shadow;		/* an interrupt shadow: STI, MOV SS or POP SS was the last instruction */

	/* The owner's switches */
	uint32_t escapes;		/* exceptions by vector that leave machine_run() instead of being delivered */

	/* Of the last machine_run() */
	struct fault fault;
	const char *unimplemented;	/* the mnemonic, or what else */
	uint64_t nr_instructions;

	/* Derived by cpu_state_changed() */
	enum code_mode code_mode;
	bool is_long64;			/* 64-bit mode: EFER.LMA and CS.L */
	uint64_t stack_mask;		/* of RSP in stack accesses: 0xffff, 0xffffffff or ~0 */
	uint64_t linear_mask;
	struct window windows[NR_SEGS];
	uint32_t asid;			/* 0: not in a guest */

	/* External events, by the owner */
	int interrupt;			/* vector that is asserted, or -1; taken (and -1 again) when RFLAGS.IF allows */
	bool has_nmi;			/* likewise */
	bool is_nmi_blocked;		/* until IRET */
	bool has_exception;		/* raised: it is taken like one of the next instruction's, which is not executed */
	struct fault exception;

	struct svm_state svm;

	/* The machine's */
	struct machine *machine;
	unsigned int index;
	uint8_t must_stop;		/* STOP_*: before the next instruction, 0: go on */
	bool is_stopped;		/* machine_stop() */
	bool is_halted;
	bool is_monitoring;		/* MONITOR was executed, and no MWAIT since */
	uint8_t breakpoints_hit;	/* by the instruction being executed: bits of DR6 */
	uint64_t fast_generation;	/* 1 to 4095 */
	uint64_t jump_generation;
	struct tlb *tlb;
	const struct op *op;		/* the one being executed */
	const struct op *first_op;	/* of the run that it is in: those between have been completed */
	uint64_t budget;		/* instructions left for machine_run() */
	jmp_buf escape;			/* cpu_raise() goes there */
	struct saved saved;
	bool is_saved;			/* a fault restores what is there */
	bool is_external;		/* EXT in error codes: the event being delivered is not the program's own */
	enum delivery delivery;		/* what is being delivered, for double and triple faults */
	struct block *scratch;		/* one instruction that is not worth caching */
	struct fast_page (*fast)[NR_FAST_PAGES];	/* fast_pages of the current CPL */
	struct fast_page fast_pages[2][2][NR_FAST_PAGES];	/* is_user, ACCESS_READ/WRITE */
	struct jump_entry jumps[NR_JUMP_ENTRIES];
};

#endif
