/* SPDX-License-Identifier: MIT */
/*
 * CPUID's answers, and the features that the machine itself goes by, one bit each (APM vol. 3, appendix D and E).
 */
#ifndef VMASSAY_MACHINE_CPUID_H
#define VMASSAY_MACHINE_CPUID_H

#include "machine/machine.h"

#define FEATURE_CX8 (1u << 0)
#define FEATURE_CX16 (1u << 1)
#define FEATURE_CMOV (1u << 2)
#define FEATURE_MOVBE (1u << 3)
#define FEATURE_POPCNT (1u << 4)
#define FEATURE_ABM (1u << 5)		/* LZCNT */
#define FEATURE_BMI1 (1u << 6)
#define FEATURE_BMI2 (1u << 7)
#define FEATURE_ADX (1u << 8)
#define FEATURE_SSE42 (1u << 9)
#define FEATURE_RDTSCP (1u << 10)
#define FEATURE_PSE36 (1u << 11)
#define FEATURE_PAGE1GB (1u << 12)
#define FEATURE_SMEP (1u << 13)
#define FEATURE_SMAP (1u << 14)
#define FEATURE_PKU (1u << 15)
#define FEATURE_UMIP (1u << 16)
#define FEATURE_FSGSBASE (1u << 17)
#define FEATURE_PCID (1u << 18)
#define FEATURE_LA57 (1u << 19)
#define FEATURE_XSAVE (1u << 20)
#define FEATURE_SVM (1u << 21)
#define FEATURE_SYSCALL (1u << 22)
#define FEATURE_LM (1u << 23)
#define FEATURE_NX (1u << 24)
#define FEATURE_INVPCID (1u << 25)
#define FEATURE_SYSENTER (1u << 26)
#define FEATURE_LAHF64 (1u << 27)
#define FEATURE_TBM (1u << 28)
#define FEATURE_RDRAND (1u << 29)
#define FEATURE_MONITOR (1u << 30)
#define FEATURE_NEVER (1u << 31)	/* other vendors', and what is not known here */

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

uint32_t cpuid_features(const struct machine_cpuid *table, size_t nr);

/* The registers that CPUID gives for the leaf; zero where there is none. */
struct machine_cpuid cpuid_lookup(const struct machine_cpuid *table, size_t nr, uint32_t leaf, uint32_t subleaf);

/* Bits of a physical address, Fn8000_0008_EAX[7:0]; 36 without that leaf. */
unsigned int cpuid_physical_bits(const struct machine_cpuid *table, size_t nr);

#endif
