/* SPDX-License-Identifier: MIT */
#include "machine/cpuid.h"

#include <stddef.h>

#define ANY_SUBLEAF (~0u)
#define BIT(n) (1u << (n))

enum { EAX, EBX, ECX, EDX };

/* Where CPUID says it, APM vol. 3, appendix D. */
static const struct {
	uint64_t feature;
	uint32_t leaf;
	uint8_t reg;
	uint8_t bit;
	uint8_t subleaf;
} features[] = {
	{ FEATURE_FPU, 1, EDX, 0 },
	{ FEATURE_MMX, 1, EDX, 23 },
	{ FEATURE_FXSR, 1, EDX, 24 },
	{ FEATURE_SSE, 1, EDX, 25 },
	{ FEATURE_SSE2, 1, EDX, 26 },
	{ FEATURE_SSE3, 1, ECX, 0 },
	{ FEATURE_SSSE3, 1, ECX, 9 },
	{ FEATURE_FFXSR, 0x80000001, EDX, 25 },
	{ FEATURE_CX8, 1, EDX, 8 },
	{ FEATURE_SYSENTER, 1, EDX, 11 },
	{ FEATURE_CMOV, 1, EDX, 15 },
	{ FEATURE_PSE36, 1, EDX, 17 },
	{ FEATURE_CX16, 1, ECX, 13 },
	{ FEATURE_MONITOR, 1, ECX, 3 },
	{ FEATURE_PCID, 1, ECX, 17 },
	{ FEATURE_SSE42, 1, ECX, 20 },
	{ FEATURE_MOVBE, 1, ECX, 22 },
	{ FEATURE_POPCNT, 1, ECX, 23 },
	{ FEATURE_RDRAND, 1, ECX, 30 },
	{ FEATURE_XSAVE, 1, ECX, 26 },
	{ FEATURE_XSAVEOPT, 0xd, EAX, 0, 1 },
	{ FEATURE_FSGSBASE, 7, EBX, 0 },
	{ FEATURE_BMI1, 7, EBX, 3 },
	{ FEATURE_SMEP, 7, EBX, 7 },
	{ FEATURE_BMI2, 7, EBX, 8 },
	{ FEATURE_INVPCID, 7, EBX, 10 },
	{ FEATURE_ADX, 7, EBX, 19 },
	{ FEATURE_SMAP, 7, EBX, 20 },
	{ FEATURE_UMIP, 7, ECX, 2 },
	{ FEATURE_PKU, 7, ECX, 3 },
	{ FEATURE_LA57, 7, ECX, 16 },
	{ FEATURE_LAHF64, 0x80000001, ECX, 0 },
	{ FEATURE_SVM, 0x80000001, ECX, 2 },
	{ FEATURE_ABM, 0x80000001, ECX, 5 },
	{ FEATURE_MISALIGN, 0x80000001, ECX, 7 },
	{ FEATURE_TBM, 0x80000001, ECX, 21 },
	{ FEATURE_SYSCALL, 0x80000001, EDX, 11 },
	{ FEATURE_NX, 0x80000001, EDX, 20 },
	{ FEATURE_PAGE1GB, 0x80000001, EDX, 26 },
	{ FEATURE_RDTSCP, 0x80000001, EDX, 27 },
	{ FEATURE_LM, 0x80000001, EDX, 29 },
};

/* An EPYC's face, with what the machine implements and no more. */
const struct machine_cpuid machine_cpuid_default[] = {
	{ 0x00000000, ANY_SUBLEAF, 0x0000000d, 0x68747541, 0x444d4163, 0x69746e65 },
	{ 0x00000001, ANY_SUBLEAF, 0x00800f12, 0x00010800, BIT(0) | BIT(3) | BIT(9) | BIT(13) | BIT(17) |
	  BIT(22) | BIT(23) | BIT(26),
	  BIT(0) | BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(8) | BIT(11) | BIT(13) | BIT(15) | BIT(16) |
	  BIT(17) | BIT(19) | BIT(23) | BIT(24) | BIT(25) | BIT(26) },
	{ 0x00000005, ANY_SUBLEAF, 0x40, 0x40, 3, 0x11 },
	{ 0x00000007, 0, 0, BIT(0) | BIT(3) | BIT(7) | BIT(8) | BIT(10) | BIT(19) | BIT(20),
	  BIT(2) | BIT(3) | BIT(16), 0 },
	{ 0x0000000d, 0, 3, 576, 576, 0 },
	{ 0x0000000d, 1, BIT(0), 0, 0, 0 },
	{ 0x80000000, ANY_SUBLEAF, 0x8000000a, 0x68747541, 0x444d4163, 0x69746e65 },
	{ 0x80000001, ANY_SUBLEAF, 0x00800f12, 0, BIT(0) | BIT(2) | BIT(5) | BIT(7),
	  BIT(11) | BIT(20) | BIT(25) | BIT(26) | BIT(27) |
	  BIT(29) },
	{ 0x80000008, ANY_SUBLEAF, 0x00003930, 0, 0, 0 },
	{ 0x8000000a, ANY_SUBLEAF, 1, 0x8000, 0, SVM_FEATURE_NP | SVM_FEATURE_LBR | SVM_FEATURE_LOCK |
	  SVM_FEATURE_NRIPS | SVM_FEATURE_TSC_RATIO | SVM_FEATURE_CLEAN | SVM_FEATURE_FLUSH_BY_ASID |
	  SVM_FEATURE_DECODE_ASSISTS | SVM_FEATURE_PAUSE_FILTER | SVM_FEATURE_PAUSE_THRESHOLD | SVM_FEATURE_VLS |
	  SVM_FEATURE_VGIF },
};
const size_t machine_nr_cpuid_default = sizeof(machine_cpuid_default) / sizeof(machine_cpuid_default[0]);

struct machine_cpuid cpuid_lookup(const struct machine_cpuid *table, size_t nr, uint32_t leaf, uint32_t subleaf)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (table[i].leaf == leaf && (table[i].subleaf == ANY_SUBLEAF || table[i].subleaf == subleaf))
			return table[i];
	return (struct machine_cpuid) { leaf, subleaf, 0, 0, 0, 0 };
}

uint64_t cpuid_features(const struct machine_cpuid *table, size_t nr)
{
	uint64_t ret = 0;
	size_t i;

	for (i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		struct machine_cpuid leaf = cpuid_lookup(table, nr, features[i].leaf, features[i].subleaf);
		uint32_t regs[] = { leaf.eax, leaf.ebx, leaf.ecx, leaf.edx };

		if (regs[features[i].reg] & BIT(features[i].bit))
			ret |= features[i].feature;
	}
	return ret;
}

unsigned int cpuid_physical_bits(const struct machine_cpuid *table, size_t nr)
{
	unsigned int bits = cpuid_lookup(table, nr, 0x80000008, 0).eax & 0xff;

	return bits ? bits : 36;
}

void machine_cpuid_add_crc32(struct machine_cpuid *table, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (table[i].leaf == 1)
			table[i].ecx |= BIT(20);
}
