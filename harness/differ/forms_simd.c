/* SPDX-License-Identifier: MIT */
/* x87, MMX and SSE by opcode; the prefix that chooses among four instructions is part of the form. */
#include "differ/instance.h"

#define MODRM (FORM_MODRM | FORM_SIMD)
#define EXT (FORM_MODRM | FORM_EXTENSION | FORM_SIMD)
#define IB FORM_IB
#define ONE 0
#define TWO 1
#define M38 2
#define M3A 3

#define PREFIXED(name, flags, opcode, last)				\
	{ name, flags, TWO, opcode, last, 0, 0 },			\
	{ name, (flags) | FORM_66, TWO, opcode, last, 0, 0 },		\
	{ name, (flags) | FORM_F2, TWO, opcode, last, 0, 0 },		\
	{ name, (flags) | FORM_F3, TWO, opcode, last, 0, 0 }

const struct form simd_forms[] = {
	PREFIXED("MOVUPS", MODRM, 0x10, 0x11),
	PREFIXED("MOVLPS", MODRM, 0x12, 0x13),
	PREFIXED("UNPCKLPS", MODRM, 0x14, 0x15),
	PREFIXED("MOVHPS", MODRM, 0x16, 0x17),
	PREFIXED("MOVAPS", MODRM, 0x28, 0x29),
	PREFIXED("CVTSI2SD", MODRM, 0x2a, 0),
	{ "MOVNTPS", MODRM, TWO, 0x2b, 0, 0, 0 },	/* with F2 and F3, SSE4A's */
	PREFIXED("CVTSD2SI", MODRM, 0x2c, 0x2d),
	PREFIXED("COMISD", MODRM, 0x2e, 0x2f),
	PREFIXED("MOVMSKPS", MODRM, 0x50, 0),
	PREFIXED("SQRTPS", MODRM, 0x51, 0x53),
	PREFIXED("ANDPS", MODRM, 0x54, 0x57),
	PREFIXED("ADDPS", MODRM, 0x58, 0x59),
	PREFIXED("CVTPS2PD", MODRM, 0x5a, 0x5b),
	PREFIXED("SUBPS", MODRM, 0x5c, 0x5f),
	PREFIXED("PUNPCKLBW", MODRM, 0x60, 0x6d),
	PREFIXED("MOVD", MODRM, 0x6e, 0x6f),
	PREFIXED("PSHUFD", MODRM | IB, 0x70, 0),
	PREFIXED("PSLLW", MODRM | IB, 0x71, 0x73),
	PREFIXED("PCMPEQB", MODRM, 0x74, 0x76),
	PREFIXED("EMMS", FORM_SIMD, 0x77, 0),
	PREFIXED("HADDPS", MODRM, 0x7c, 0x7d),
	PREFIXED("MOVQ", MODRM, 0x7e, 0x7f),
	PREFIXED("CMPPS", MODRM | IB, 0xc2, 0),
	PREFIXED("PINSRW", MODRM | IB, 0xc4, 0xc5),
	PREFIXED("SHUFPS", MODRM | IB, 0xc6, 0),
	PREFIXED("PSRLW", MODRM, 0xd0, 0xdf),
	PREFIXED("PAND", MODRM, 0xe0, 0xef),
	PREFIXED("PSUBB", MODRM, 0xf0, 0xf6),
	PREFIXED("PADDB", MODRM, 0xf8, 0xfe),
	{ "PSHUFB", MODRM, M38, 0x00, 0x0b, 0, 0 },
	{ "PSHUFB", MODRM | FORM_66, M38, 0x00, 0x0b, 0, 0 },
	{ "PABSB", MODRM, M38, 0x1c, 0x1e, 0, 0 },
	{ "PABSB", MODRM | FORM_66, M38, 0x1c, 0x1e, 0, 0 },
	{ "PALIGNR", MODRM | IB, M3A, 0x0f, 0, 0, 0 },
	{ "PALIGNR", MODRM | IB | FORM_66, M3A, 0x0f, 0, 0, 0 },
	{ "FXSAVE", EXT | FORM_MEMORY | FORM_IMAGE, TWO, 0xae, 0, 0, 0 },
	{ "FXRSTOR", EXT | FORM_MEMORY | FORM_IMAGE, TWO, 0xae, 0, 1, 0 },
	{ "LDMXCSR", EXT | FORM_MEMORY | FORM_IMAGE, TWO, 0xae, 0, 2, 0 },
	{ "STMXCSR", EXT | FORM_MEMORY, TWO, 0xae, 0, 3, 0 },
	{ "x87", MODRM, ONE, 0xd8, 0xdf, 0, 0 },
	{ "x87", MODRM, ONE, 0xd8, 0xdf, 0, 0 },
	{ "x87", MODRM, ONE, 0xd8, 0xdf, 0, 0 },
	{ "x87", MODRM, ONE, 0xd8, 0xdf, 0, 0 },
	{ "x87", MODRM, ONE, 0xd8, 0xdf, 0, 0 },
	{ "x87", MODRM, ONE, 0xd8, 0xdf, 0, 0 },
	{ "x87", MODRM, ONE, 0xd8, 0xdf, 0, 0 },
	{ "x87", MODRM, ONE, 0xd8, 0xdf, 0, 0 },
	{ "FNSTSW AX", EXT, ONE, 0xdf, 0, 4, 0 },
	{ "FWAIT", FORM_SIMD, ONE, 0x9b, 0, 0, 0 },
};

const size_t nr_simd_forms = sizeof(simd_forms) / sizeof(simd_forms[0]);
