/* SPDX-License-Identifier: MIT */
/*
 * The state of x87, MMX and SSE, and what all of its instructions check before anything else (APM vol. 4, 4.11; vol. 5,
 * 4.8 and 5.14).
 */
#ifndef VMASSAY_MACHINE_FPU_H
#define VMASSAY_MACHINE_FPU_H

#include <stdint.h>

struct cpu;

#define FSW_ES 0x0080u
#define FSW_B 0x8000u
#define FSW_TOP_SHIFT 11
#define FSW_TOP (7u << FSW_TOP_SHIFT)
#define FSW_EXCEPTIONS 0x003fu
#define FCW_INIT 0x037fu
#define MXCSR_INIT 0x1f80u
#define MXCSR_EXCEPTIONS 0x003fu
#define MXCSR_DAZ 0x0040u
#define MXCSR_MASK_SHIFT 7
#define MXCSR_MASKS 0x1f80u
#define MXCSR_FTZ 0x8000u
#define MXCSR_MM 0x20000u	/* 16-byte operands need not be aligned */
#define MXCSR_DEFINED 0xffffu

/* As FXSAVE writes it in 64-bit mode (APM vol. 2, figure 11-8), so that the host can load it. */
struct fpu {
	uint16_t fcw, fsw;
	uint8_t ftw;		/* a bit for each physical register that is not empty */
	uint8_t reserved_1;
	uint16_t fop;
	uint64_t fip, fdp;
	uint32_t mxcsr, mxcsr_mask;
	uint8_t st[8][16];	/* from the top of the stack; 10 bytes each */
	uint64_t xmm[16][2];
	uint8_t reserved_2[96];
} __attribute__((aligned(16)));

_Static_assert(sizeof(struct fpu) == 512, "an FXSAVE image");

/* After reset (APM vol. 2, table 14-1). */
void fpu_reset(struct fpu *fpu);
/* What FNINIT does. */
void fpu_init_x87(struct fpu *fpu);
/* The physical registers stay where they are when TOP moves. */
void fpu_set_fsw(struct fpu *fpu, uint16_t fsw);

/* Raises #UD or #NM, when SSE's registers cannot be used or CPUID lacks the feature. */
void fpu_check_sse(struct cpu *cpu, uint64_t feature);
/* The same for MMX's, and #MF. */
void fpu_check_mmx(struct cpu *cpu, uint64_t feature);
/* For x87 instructions that wait: #NM and #MF. */
void fpu_check_x87(struct cpu *cpu);
/* #NM for those that do not wait. */
void fpu_check_x87_available(struct cpu *cpu);
/* #MF if an x87 exception is pending. */
void fpu_check_pending(struct cpu *cpu);

/* Bits of MXCSR that are #GP. */
uint32_t fpu_mxcsr_reserved(const struct cpu *cpu);

/* MMX's registers are the significands of the physical ones. */
uint64_t fpu_mmx_read(const struct fpu *fpu, unsigned int number);
/* What any MMX instruction does: TOP is 0 and all registers valid. */
void fpu_mmx_enter(struct fpu *fpu);
void fpu_mmx_write(struct fpu *fpu, unsigned int number, uint64_t value);

#endif
