/* SPDX-License-Identifier: MIT */
/*
 * Control registers, debug registers and MSRs in L2: what L1's masks, shadows, controls and bitmaps make exit, and
 * their neighbours that do not.
 *
 * Can break: a mask compared with the register instead of the shadow; a bitmap of the other direction or range; an MSR
 * beyond the bitmaps that does not exit.
 * Source: SDM vol. 3C, 25.6.6, 25.6.9, 26.1.3, tables 28-3 and 28-4.
 */
#include "cases/vmx/l2.h"

L2(to_cr0, "mov %rdi, %cr0")
L2(clts, "clts")
L2(lmsw, "lmsw %bx")
L2(to_cr3, "mov %rdi, %cr3")
L2(from_cr3, "mov %cr3, %r11")
L2(to_cr4, "mov %rdi, %cr4")
L2(to_cr8, "mov %r9, %cr8")
L2(from_cr8, "mov %cr8, %rbp")
L2(to_dr3, "mov %r10, %dr3")
L2(from_dr7, "mov %dr7, %rcx")
L2(to_dr6, "mov %rdx, %dr6")
L2(rdmsr, "rdmsr")
L2(wrmsr, "wrmsr")

enum { TO_CR, FROM_CR, CLTS, LMSW };
#define CR(cr_, type_, gpr_) ((cr_) | (type_) << 4 | (gpr_) << 8)
#define FROM_DR (1u << 4)
#define DR(dr_, gpr_) ((dr_) | (gpr_) << 8)

#define SET_BITMAP(name_, byte_, bit_)							\
	static void name_(void) { vmx.msr_bitmap[byte_] |= 1u << (bit_); }
/* A bit for each of 0 to 0x1fff and of 0xc0000000 to 0xc0001fff, reads in the first 2 KiB, writes in the second. */
#define READ_LOW(msr_) (msr_) / 8, (msr_) % 8
#define READ_HIGH(msr_) 0x400 + (msr_) / 8, (msr_) % 8
#define WRITE_LOW(msr_) 0x800 + (msr_) / 8, (msr_) % 8
#define WRITE_HIGH(msr_) 0xc00 + (msr_) / 8, (msr_) % 8
#define SET_BITMAP_AT(name_, at_) SET_BITMAP(name_, at_)

SET_BITMAP_AT(catch_read_174, READ_LOW(0x174))
SET_BITMAP_AT(catch_read_1fff, READ_LOW(0x1fff))
SET_BITMAP_AT(catch_read_0, READ_LOW(0))
SET_BITMAP_AT(catch_read_high_100, READ_HIGH(0x100))
SET_BITMAP_AT(catch_read_high_1fff, READ_HIGH(0x1fff))
SET_BITMAP_AT(catch_read_gs_base, READ_HIGH(0x101))
SET_BITMAP_AT(catch_read_kernel_gs_base, READ_HIGH(0x102))
SET_BITMAP_AT(catch_write_gs_base, WRITE_HIGH(0x101))
SET_BITMAP_AT(catch_write_kernel_gs_base, WRITE_HIGH(0x102))
SET_BITMAP_AT(catch_write_174, WRITE_LOW(0x174))
SET_BITMAP_AT(catch_write_1fff, WRITE_LOW(0x1fff))
SET_BITMAP_AT(catch_write_high_100, WRITE_HIGH(0x100))
SET_BITMAP_AT(catch_write_high_1fff, WRITE_HIGH(0x1fff))

/* All bits but the one that is asked for. */
static void catch_all_but(unsigned int byte, unsigned int bit)
{
	memset(vmx.msr_bitmap, 0xff, 4096);
	vmx.msr_bitmap[byte] &= ~(1u << bit);
}
#define ALL_BUT(name_, at_) static void name_(void) { catch_all_but(at_); }
ALL_BUT(catch_all_but_read_174, READ_LOW(0x174))
ALL_BUT(catch_all_but_read_high_100, READ_HIGH(0x100))
ALL_BUT(catch_all_but_read_gs_base, READ_HIGH(0x101))
ALL_BUT(catch_all_but_read_kernel_gs_base, READ_HIGH(0x102))
ALL_BUT(catch_all_but_write_gs_base, WRITE_HIGH(0x101))
ALL_BUT(catch_all_but_write_kernel_gs_base, WRITE_HIGH(0x102))
ALL_BUT(catch_all_but_write_174, WRITE_LOW(0x174))
ALL_BUT(catch_all_but_write_high_100, WRITE_HIGH(0x100))

#define MASK_CR0(bits_, shadow_) VMCS_VALUE(CR0_GUEST_HOST_MASK, bits_), VMCS_VALUE(CR0_READ_SHADOW, shadow_)
#define MASK_CR4(bits_, shadow_) VMCS_VALUE(CR4_GUEST_HOST_MASK, bits_), VMCS_VALUE(CR4_READ_SHADOW, shadow_)
#define EDITS(...) .edits = { __VA_ARGS__ }
#define PROC(bits_) EDITS(VMCS_SET(PROC_CONTROLS, bits_))
#define EXITS(label_, name_, reason_, ...)						\
	{ L2_NAMED(label_, name_), .exit.reason = EXIT_REASON_##reason_, ##__VA_ARGS__ }
/* KVM sees the access, for reasons of its own, or does not. */
#define SEEN(label_, name_, reason_, ...)						\
	{ L2_NAMED(label_, name_), .has_no_exit = true, KVM_SEES(EXIT_REASON_##reason_), ##__VA_ARGS__ }
#define FREE(label_, name_, ...) { L2_NAMED(label_, name_), .has_no_exit = true, ##__VA_ARGS__ }
#define CR_EXITS(label_, name_, qualification_, ...)					\
	EXITS(label_, name_, CR_ACCESS, .exit.qualification = qualification_, ##__VA_ARGS__)
#define FLIPS(cr_, bits_) .rdi_flips = L2_##cr_, .regs.rdi = bits_
#define NO_BITMAP EDITS(VMCS_CLEAR(PROC_CONTROLS, PROC_MSR_BITMAPS))

static const struct l2_row rows[] = {
	CR_EXITS("cr0_masked", to_cr0, CR(0, TO_CR, RDI), EDITS(MASK_CR0(X86_CR0_TS, 0)), FLIPS(CR0, X86_CR0_TS)),
	/* What counts is the shadow, not the register. */
	CR_EXITS("cr0_unlike_shadow", to_cr0, CR(0, TO_CR, RDI), EDITS(MASK_CR0(X86_CR0_TS, X86_CR0_TS)),
		 FLIPS(CR0, 0)),
	FREE("cr0_like_shadow", to_cr0, EDITS(MASK_CR0(X86_CR0_TS, X86_CR0_TS)), FLIPS(CR0, X86_CR0_TS)),
	SEEN("cr0_not_masked", to_cr0, CR_ACCESS, EDITS(MASK_CR0(X86_CR0_TS, 0)), FLIPS(CR0, X86_CR0_AM)),
	CR_EXITS("clts", clts, CR(0, CLTS, 0), EDITS(MASK_CR0(X86_CR0_TS, X86_CR0_TS))),
	FREE("clts_shadow_clear", clts, EDITS(MASK_CR0(X86_CR0_TS, 0))),
	CR_EXITS("lmsw", lmsw, CR(0, LMSW, 0) | 0x5a09u << 16, EDITS(MASK_CR0(X86_CR0_TS, 0)), .regs.rbx = 0x5a09),
	/* LMSW sets PE and does not clear it; bits of CR0 beyond its four are none of its. */
	CR_EXITS("lmsw_sets_pe", lmsw, CR(0, LMSW, 0) | 1u << 16, EDITS(MASK_CR0(X86_CR0_PE, 0)), .regs.rbx = 1),
	FREE("lmsw_pe_like_shadow", lmsw, EDITS(MASK_CR0(X86_CR0_PE, X86_CR0_PE)), .regs.rbx = 0x771),
	FREE("lmsw_keeps_pe", lmsw, EDITS(MASK_CR0(X86_CR0_PE, X86_CR0_PE)), .regs.rbx = 1ull << 32),
	FREE("lmsw_not_masked", lmsw, EDITS(MASK_CR0(X86_CR0_AM | X86_CR0_NE, 0)), .regs.rbx = 1),
	CR_EXITS("lmsw_unlike_shadow", lmsw, CR(0, LMSW, 0) | 1u << 16, EDITS(MASK_CR0(X86_CR0_MP, X86_CR0_MP)),
		 .regs.rbx = 1),
	FREE("clts_not_masked", clts),
	CR_EXITS("lmsw_sets_em", lmsw, CR(0, LMSW, 0) | 0x5u << 16, EDITS(MASK_CR0(X86_CR0_EM, 0)), .regs.rbx = 5),

	CR_EXITS("cr3_load", to_cr3, CR(3, TO_CR, RDI), PROC(PROC_CR3_LOAD_EXITING), FLIPS(CR3, 0)),
	FREE("cr3_load_off", to_cr3, FLIPS(CR3, 0), .needs = "tdp"),
	CR_EXITS("cr3_store", from_cr3, CR(3, FROM_CR, R11), PROC(PROC_CR3_STORE_EXITING)),
	FREE("cr3_store_off", from_cr3, .needs = "tdp"),
	CR_EXITS("cr4_masked", to_cr4, CR(4, TO_CR, RDI), EDITS(MASK_CR4(X86_CR4_TSD, 0)), FLIPS(CR4, X86_CR4_TSD)),
	CR_EXITS("cr4_unlike_shadow", to_cr4, CR(4, TO_CR, RDI), EDITS(MASK_CR4(X86_CR4_TSD, X86_CR4_TSD)),
		 FLIPS(CR4, 0)),
	FREE("cr4_like_shadow", to_cr4, EDITS(MASK_CR4(X86_CR4_DE, X86_CR4_DE)), FLIPS(CR4, X86_CR4_DE)),
	CR_EXITS("cr8_load", to_cr8, CR(8, TO_CR, R9), PROC(PROC_CR8_LOAD_EXITING), .regs.r9 = 5),
	CR_EXITS("cr8_store", from_cr8, CR(8, FROM_CR, RBP), PROC(PROC_CR8_STORE_EXITING)),

	EXITS("dr_load", to_dr3, DR_ACCESS, PROC(PROC_MOV_DR_EXITING), .exit.qualification = DR(3, R10),
	      .regs.r10 = 0x300000),
	EXITS("dr_store", from_dr7, DR_ACCESS, PROC(PROC_MOV_DR_EXITING), .exit.qualification = DR(7, RCX) | FROM_DR),
	EXITS("dr6_load", to_dr6, DR_ACCESS, PROC(PROC_MOV_DR_EXITING), .exit.qualification = DR(6, RDX),
	      .regs.rdx = 0xffff0ff0),
	SEEN("dr_load_off", to_dr3, DR_ACCESS, .regs.r10 = 0x300000),

	EXITS("rdmsr", rdmsr, MSR_READ, NO_BITMAP, .regs.rcx = 0x174),
	EXITS("wrmsr", wrmsr, MSR_WRITE, NO_BITMAP, .regs.rcx = 0x174),
	EXITS("rdmsr_low_bit", rdmsr, MSR_READ, .regs.rcx = 0x174, .prepare = catch_read_174),
	EXITS("rdmsr_first_bit", rdmsr, MSR_READ, .regs.rcx = 1ull << 32, .prepare = catch_read_0),
	EXITS("rdmsr_last_low_bit", rdmsr, MSR_READ, .regs.rcx = 0x1fff, .prepare = catch_read_1fff),
	EXITS("rdmsr_high_bit", rdmsr, MSR_READ, .regs.rcx = 0xc0000100, .prepare = catch_read_high_100),
	EXITS("rdmsr_last_high_bit", rdmsr, MSR_READ, .regs.rcx = 0xc0001fff, .prepare = catch_read_high_1fff),
	EXITS("rdmsr_beyond_low", rdmsr, MSR_READ, .regs.rcx = 0x2000),
	EXITS("rdmsr_below_high", rdmsr, MSR_READ, .regs.rcx = 0xbfffffff),
	EXITS("rdmsr_beyond_high", rdmsr, MSR_READ, .regs.rcx = 0xc0002000),
	EXITS("rdmsr_last", rdmsr, MSR_READ, .regs.rcx = 0xffffffff),
	SEEN("rdmsr_all_but_low", rdmsr, MSR_READ, .regs.rcx = 0x174, .prepare = catch_all_but_read_174),
	FREE("rdmsr_all_but_high", rdmsr, .regs.rcx = 0xc0000100, .prepare = catch_all_but_read_high_100),
	EXITS("rdmsr_gs_base", rdmsr, MSR_READ, .regs.rcx = 0xc0000101, .prepare = catch_read_gs_base),
	FREE("rdmsr_all_but_gs_base", rdmsr, .regs.rcx = 0xc0000101, .prepare = catch_all_but_read_gs_base),
	EXITS("rdmsr_kernel_gs_base", rdmsr, MSR_READ, .regs.rcx = 0xc0000102, .prepare = catch_read_kernel_gs_base),
	FREE("rdmsr_all_but_kernel_gs_base", rdmsr, .regs.rcx = 0xc0000102,
	     .prepare = catch_all_but_read_kernel_gs_base),
	EXITS("wrmsr_gs_base", wrmsr, MSR_WRITE, .regs.rcx = 0xc0000101, .prepare = catch_write_gs_base),
	FREE("wrmsr_all_but_gs_base", wrmsr, .regs.rcx = 0xc0000101, .regs.rax = ABI_GPA, .regs.rdx = 1ull << 32,
	     .prepare = catch_all_but_write_gs_base),
	EXITS("wrmsr_kernel_gs_base", wrmsr, MSR_WRITE, .regs.rcx = 0xc0000102, .prepare = catch_write_kernel_gs_base),
	FREE("wrmsr_all_but_kernel_gs_base", wrmsr, .regs.rcx = 0xc0000102, .regs.rax = 0x300000, .regs.rdx = 1ull << 32,
	     .prepare = catch_all_but_write_kernel_gs_base),
	/* Reads of what is no memory are all ones. */
	EXITS("rdmsr_no_memory", rdmsr, MSR_READ, .regs.rcx = 0x174, EDITS(VMCS_VALUE(MSR_BITMAP, MMIO_GPA))),
	EXITS("wrmsr_no_memory", wrmsr, MSR_WRITE, .regs.rcx = 0xc0000102, EDITS(VMCS_VALUE(MSR_BITMAP, MMIO_GPA))),
	EXITS("wrmsr_low_bit", wrmsr, MSR_WRITE, .regs.rcx = 0x174, .prepare = catch_write_174),
	EXITS("wrmsr_last_low_bit", wrmsr, MSR_WRITE, .regs.rcx = 0x1fff, .prepare = catch_write_1fff),
	EXITS("wrmsr_high_bit", wrmsr, MSR_WRITE, .regs.rcx = 0xc0000100, .prepare = catch_write_high_100),
	EXITS("wrmsr_last_high_bit", wrmsr, MSR_WRITE, .regs.rcx = 0xc0001fff, .prepare = catch_write_high_1fff),
	EXITS("wrmsr_beyond_low", wrmsr, MSR_WRITE, .regs.rcx = 0x2000),
	EXITS("wrmsr_beyond_high", wrmsr, MSR_WRITE, .regs.rcx = 0xc0002000),
	SEEN("wrmsr_all_but_low", wrmsr, MSR_WRITE, .regs.rcx = 0x174, .regs.rax = 8, .regs.rdx = 1ull << 32,
	     .prepare = catch_all_but_write_174),
	FREE("wrmsr_all_but_high", wrmsr, .regs.rcx = 0xc0000100, .regs.rax = 0x300000, .regs.rdx = 1ull << 32,
	     .prepare = catch_all_but_write_high_100),
};

CASE(exit_register, .says = "registers of L2 exit to L1 by mask, shadow, control and bitmap", .modes = LONG64,
     .needs = "vendor:intel nested", .rows = ROWS(rows))

GUEST(exit_register)
{
	l2_row_run(GUEST_ROW(rows));
}

HOST(exit_register)
{
	l2_row_host(t, ROW(t, rows));
}
