/* SPDX-License-Identifier: MIT */
/*
 * CPUID's answers, and the features that the machine itself goes by, one bit each (APM vol. 3, appendix D and E).
 */
#ifndef VMASSAY_MACHINE_CPUID_H
#define VMASSAY_MACHINE_CPUID_H

#include "machine/machine.h"

#define FEATURE_CX8 (1ull << 0)
#define FEATURE_CX16 (1ull << 1)
#define FEATURE_CMOV (1ull << 2)
#define FEATURE_MOVBE (1ull << 3)
#define FEATURE_POPCNT (1ull << 4)
#define FEATURE_ABM (1ull << 5)		/* LZCNT */
#define FEATURE_BMI1 (1ull << 6)
#define FEATURE_BMI2 (1ull << 7)
#define FEATURE_ADX (1ull << 8)
#define FEATURE_SSE42 (1ull << 9)
#define FEATURE_RDTSCP (1ull << 10)
#define FEATURE_PSE36 (1ull << 11)
#define FEATURE_PAGE1GB (1ull << 12)
#define FEATURE_SMEP (1ull << 13)
#define FEATURE_SMAP (1ull << 14)
#define FEATURE_PKU (1ull << 15)
#define FEATURE_UMIP (1ull << 16)
#define FEATURE_FSGSBASE (1ull << 17)
#define FEATURE_PCID (1ull << 18)
#define FEATURE_LA57 (1ull << 19)
#define FEATURE_XSAVE (1ull << 20)
#define FEATURE_SVM (1ull << 21)
#define FEATURE_SYSCALL (1ull << 22)
#define FEATURE_LM (1ull << 23)
#define FEATURE_NX (1ull << 24)
#define FEATURE_INVPCID (1ull << 25)
#define FEATURE_SYSENTER (1ull << 26)
#define FEATURE_LAHF64 (1ull << 27)
#define FEATURE_TBM (1ull << 28)
#define FEATURE_RDRAND (1ull << 29)
#define FEATURE_MONITOR (1ull << 30)
#define FEATURE_NEVER (1ull << 31)	/* other vendors', and what is not known here */
#define FEATURE_FPU (1ull << 32)
#define FEATURE_MMX (1ull << 33)
#define FEATURE_FXSR (1ull << 34)
#define FEATURE_SSE (1ull << 35)
#define FEATURE_SSE2 (1ull << 36)
#define FEATURE_SSE3 (1ull << 37)
#define FEATURE_FFXSR (1ull << 38)
#define FEATURE_XSAVEOPT (1ull << 39)
#define FEATURE_SSSE3 (1ull << 41)
#define FEATURE_MISALIGN (1ull << 40)	/* MXCSR.MM */

/* Fn8000_000A_EDX, APM vol. 3, E.4.9 */
#define SVM_FEATURE_NP (1u << 0)
#define SVM_FEATURE_LBR (1u << 1)
#define SVM_FEATURE_LOCK (1u << 2)
#define SVM_FEATURE_NRIPS (1u << 3)
#define SVM_FEATURE_TSC_RATIO (1u << 4)
#define SVM_FEATURE_CLEAN (1u << 5)
#define SVM_FEATURE_FLUSH_BY_ASID (1u << 6)
#define SVM_FEATURE_DECODE_ASSISTS (1u << 7)
#define SVM_FEATURE_PAUSE_FILTER (1u << 10)
#define SVM_FEATURE_PAUSE_THRESHOLD (1u << 12)
#define SVM_FEATURE_VLS (1u << 15)
#define SVM_FEATURE_VGIF (1u << 16)

uint64_t cpuid_features(const struct machine_cpuid *table, size_t nr);

/* The registers that CPUID gives for the leaf; zero where there is none. */
struct machine_cpuid cpuid_lookup(const struct machine_cpuid *table, size_t nr, uint32_t leaf, uint32_t subleaf);

/* Bits of a physical address, Fn8000_0008_EAX[7:0]; 36 without that leaf. */
unsigned int cpuid_physical_bits(const struct machine_cpuid *table, size_t nr);

#endif
