/* SPDX-License-Identifier: MIT */
/*
 * SSE and MMX moves, x87 control words and FXSAVE by KVM's emulator: all bytes of the register and of memory, alignment,
 * and what CR0.EM, CR0.TS and CR4.OSFXSR forbid.
 *
 * Can break: the upper register half lost; a register above seven without REX; #GP of MOVAPS missed, or raised for
 * MOVUPS; #NM and #UD exchanged; memory written although CR0.TS is set; FXSAVE with the wrong number of registers.
 * Source: APM vol. 4, MOVAPS, MOVUPS, MOVDQA, MOVDQU, MOVNTPS, MOVNTDQ; vol. 5, MOVQ, FXSAVE, FNSTCW; vol. 2, 3.1.1, 8.2.8.
 */
#include "cases/ioctl/emulate.h"

EMU(load_aligned, INSN_("movaps " M ", %xmm1") INSN_("movapd " M ", %xmm2") INSN_("movdqa " M ", %xmm7"))
EMU(store_aligned, INSN_("movaps %xmm1, " M) INSN_("movapd %xmm2, " M) INSN_("movdqa %xmm7, " M) INSN_("movntps %xmm1, " M)
    INSN_("movntpd %xmm2, " M) INSN_("movntdq %xmm3, " M))
EMU(load_any, INSN_("movups " M ", %xmm1") INSN_("movupd " M ", %xmm2") INSN_("movdqu " M ", %xmm7"))
EMU(store_any, INSN_("movups %xmm1, " M) INSN_("movupd %xmm2, " M) INSN_("movdqu %xmm7, " M))
EMU(registers, INSN_("movaps %xmm1, %xmm2") INSN_("movups %xmm3, %xmm0") INSN_("movdqa %xmm5, %xmm6") INSN_("movdqu %xmm7, %xmm1")
    INSN_(".byte 0x0f, 0x29, 0xca") INSN_(".byte 0x66, 0x0f, 0x7f, 0xca"))
EMU(sse_64, WIDTH_(64) INSN_("movaps (%rdi), %xmm9") INSN_("movdqu %xmm15, (%rdi)") INSN_("movups %xmm8, %xmm12")
    INSN_("movdqa %xmm1, %xmm14"))
EMU(mmx, INSN_("movq " M ", %mm1") INSN_("movq %mm2, " M) INSN_("movq %mm3, %mm4") INSN_(".byte 0x0f, 0x7f, 0xe5"))
EMU(fpu, INSN_("fnstcw " M) INSN_("fnstsw " M) INSN_("fninit"))
EMU(sse, INSN_("movaps " M ", %xmm1") INSN_("movups %xmm1, " M) INSN_("movdqa %xmm1, %xmm2"))
EMU(fxsave, WIDTH_(32) INSN_("fxsave (%edi)"))
EMU(fxrstor, WIDTH_(32) INSN_("fxrstor (%edi)"))
EMU(fxsave_both, WIDTH_(32) INSN_("fxsave (%edi)") INSN_("fxrstor (%edi)"))

struct row {
	struct emu_row emu;
	uint64_t cr0, cr4;
	bool no_sse;
};

static void simd_set(struct test *t, struct kvm_sregs *sregs, uint8_t *memory);
static void reserved_forget(uint8_t *memory);

#define SET(label_, list_, ...) { .emu = { .label = label_, EMU_OF(list_), .prepare = ON_HOST(simd_set), .has_fpu = true, __VA_ARGS__ }
#define MISALIGNED .in = { AT(RDI, EMU_DATA + 8) }
#define SPLIT .in = { AT(RDI, 0x2ff7) }
#define GP0 WANT_FAULT(GP_VECTOR, 0)
#define NM WANT_FAULT(NM_VECTOR, 0)
#define UD WANT_FAULT(UD_VECTOR, 0)

static const struct row rows[] = {
	SET("load_aligned", load_aligned) },
	SET("store_aligned", store_aligned) },
	SET("load_any", load_any) },
	SET("store_any", store_any) },
	SET("load_misaligned", load_aligned, MISALIGNED, GP0, .no_native = true) },
	SET("store_misaligned", store_aligned, MISALIGNED, GP0, .no_native = true) },
	SET("load_any_misaligned", load_any, MISALIGNED) },
	SET("store_any_misaligned", store_any, MISALIGNED) },
	SET("load_any_split", load_any, SPLIT) },
	SET("store_any_split", store_any, SPLIT) },
	SET("registers", registers) },
	SET("sse_64", sse_64, .modes = LONG64) },
	SET("mmx", mmx) },
	SET("fpu", fpu) },
	SET("sse_no_osfxsr", sse, UD), .no_sse = true },
	SET("sse_em", sse, UD), .cr0 = X86_CR0_EM },
	SET("sse_ts", sse, NM), .cr0 = X86_CR0_TS },
	/* QEMU looks at TS first. */
	SET("sse_em_ts", sse, UD, .no_native = true), .cr0 = X86_CR0_TS | X86_CR0_EM },
	SET("mmx_em", mmx, UD), .cr0 = X86_CR0_EM },
	SET("mmx_ts", mmx, NM), .cr0 = X86_CR0_TS },
	SET("fpu_em", fpu, NM), .cr0 = X86_CR0_EM },
	SET("fpu_ts", fpu, NM), .cr0 = X86_CR0_TS },
	SET("fxsave", fxsave, .modes = PROT32, .forget = ON_HOST(reserved_forget)) },
	SET("fxsave_no_osfxsr", fxsave, .modes = PROT32, .forget = ON_HOST(reserved_forget)), .no_sse = true },
	SET("fxsave_misaligned", fxsave_both, .modes = PROT32, MISALIGNED, GP0, .no_native = true) },
	SET("fxsave_ts", fxsave_both, .modes = PROT32, NM), .cr0 = X86_CR0_TS },
	SET("fxsave_em", fxsave_both, .modes = PROT32, NM), .cr0 = X86_CR0_EM },
	SET("fxrstor", fxrstor, .modes = PROT32) },
	SET("fxrstor_no_osfxsr", fxrstor, .modes = PROT32), .no_sse = true },
	SET("fxrstor_mxcsr", fxrstor, .modes = PROT32, GP0, .no_native = true, .memory_in = { BYTES(EMU_DATA + 24, 4, 0x10000) }) },
};

CASE(emulate_simd, .says = "vector moves and x87 control by KVM's emulator are the CPU's",
     .modes = REAL16 | PROT32 | LONG64, .needs = EMU_NEEDS, .rows = ROWS(rows))

static void simd_set(struct test *t, struct kvm_sregs *sregs, uint8_t *memory)
{
	const struct row *row = ROW(t, rows);

	sregs->cr0 |= row->cr0;
	if (!row->no_sse)
		sregs->cr4 |= X86_CR4_OSFXSR;
	/* An image that FXRSTOR takes, whatever else lies there. */
	emu_put(memory, EMU_DATA, 0x0000037f, 8);
	if (!row->emu.memory_in[0].size)
		emu_put(memory, EMU_DATA + 24, 0xffff00001f80, 8);
}

/* Behind each x87 register, and behind the tag byte. */
static void reserved_forget(uint8_t *memory)
{
	unsigned int i;

	memory[EMU_DATA + 5] = 0;
	for (i = 0; i < 8; i++)
		memset(memory + EMU_DATA + 32 + i * 16 + 10, 0, 6);
}

GUEST(emulate_simd)
{
}

HOST(emulate_simd)
{
	emu_row_run(t, &ROW(t, rows)->emu);
}
