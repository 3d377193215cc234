/* SPDX-License-Identifier: MIT */
/*
 * Shifts and rotates by KVM's emulator: by one, by an immediate, by CL, of registers and RAM, with every count that is
 * special: 0, which touches no flag, the operand's size, one more, and counts that are cut to five or six bits.
 *
 * Can break: the count cut to the operand's size; a rotate through CF that forgets it; flags changed by a count of 0;
 * the sixth bit of a count for 64 bits.
 * Source: APM vol. 3, RCL, RCR, ROL, ROR, SAL, SAR, SHLD, SHR, SHRD.
 */
#include "cases/ioctl/emulate.h"

#define BY_ONE(op_) INSN_(#op_ " %dl") INSN_(#op_ " %ah") INSN_(#op_ "b " M) INSN_(#op_ " %dx") INSN_(#op_ "w " M)	\
	INSN_(#op_ " %eax") INSN_(#op_ "l " M)
#define BY_CL(op_) INSN_(#op_ " %cl, %dl") INSN_(#op_ "b %cl, " M) INSN_(#op_ "w %cl, " M) INSN_(#op_ " %cl, %eax")	\
	INSN_(#op_ "l %cl, " M)
#define BY_IMM(op_) INSN_(#op_ " $7, %ah") INSN_(#op_ "b $9, " M) INSN_(#op_ "w $17, " M) INSN_(#op_ " $33, %edx")	\
	INSN_(#op_ "l $31, " M) INSN_(#op_ "l $32, " M)
#define BY_64(op_) INSN_(#op_ " %rdx") INSN_(#op_ "q " M) INSN_(#op_ " %cl, %r8") INSN_(#op_ "q %cl, (%rdi)")	\
	INSN_(#op_ "q $33, (%rdi)") INSN_(#op_ " $65, %rax") INSN_(#op_ " $7, %sil")

EMU(rol, BY_CL(rol) BY_IMM(rol))
EMU(ror, BY_CL(ror) BY_IMM(ror))
EMU(rcl, BY_CL(rcl) BY_IMM(rcl))
EMU(rcr, BY_CL(rcr) BY_IMM(rcr))
EMU(shl, BY_CL(shl) BY_IMM(shl))
EMU(shr, BY_CL(shr) BY_IMM(shr))
EMU(sar, BY_CL(sar) BY_IMM(sar))
EMU(rotate_one, BY_ONE(rol) BY_ONE(ror) BY_ONE(rcl) BY_ONE(rcr))
EMU(shift_one, BY_ONE(shl) BY_ONE(shr) BY_ONE(sar))
EMU(sal_alias, INSN_(".byte 0xc0, 0xf2, 0x03") INSN_(".byte 0xd1, 0xf2") INSN_(".byte 0xd3, 0xf2"))
EMU(shld, INSN_("shld %cl, %eax, " M) INSN_("shld $5, %eax, " M) INSN_("shld $33, %eax, %edx") INSN_("shld %cl, %edx, %eax"))
EMU(shrd, INSN_("shrd %cl, %eax, " M) INSN_("shrd $5, %eax, " M) INSN_("shrd $33, %eax, %edx") INSN_("shrd %cl, %edx, %eax"))
/* Counts above 16 leave the result of a 16-bit double shift undefined. */
EMU(double_16, INSN_("shld $3, %ax, %dx") INSN_("shld $15, %ax, " M) INSN_("shrd $15, %ax, %dx") INSN_("shrd $16, %ax, " M)
    INSN_("shld $32, %dx, %ax"))
EMU(shift_64, WIDTH_(64) BY_64(rol) BY_64(ror) BY_64(rcl) BY_64(rcr) BY_64(shl) BY_64(shr) BY_64(sar)
    INSN_("shld %cl, %rax, (%rdi)") INSN_("shrd %cl, %r8, %r10") INSN_("shld $63, %rax, %rdx") INSN_("shrd $64, %rax, %rdx"))

static const struct emu_values counts[] = {
	{ 0xa5a5a5a5a5a5a5a5, 0x5a5a5a5a5a5a5a00, 0x123456789abcdef1, 0x8070605040302011 },
	{ 0x5a5a5a5a5a5a5a5a, 0xffffffffffffff01, 0x123456789abcdef1, 0x8070605040302081 },
	{ 0xa5a5a5a5a5a5a5a5, 0x07, 0x8000000080008080, 0x8070605040302081 },
	{ 0xa5a5a5a5a5a5a5a5, 0x08, 0x8000000080008080, 0x80706050c0308181 },
	{ 0xa5a5a5a5a5a5a5a5, 0x09, 0x8000000080008080, 0x80706050c0308181 },
	{ 0x0102030405060708, 0x10, 0x123456789abcdef1, 0x80706050c0308181 },
	{ 0x0102030405060708, 0x1f, 0x123456789abcdef1, 0x80706050c0308181 },
	{ 0x0102030405060708, 0x20, 0x123456789abcdef1, 0x80706050c0308181 },
	{ 0x0102030405060708, 0xe1, 0x123456789abcdef1, 0x80706050c0308181 },
	{ 0x0102030405060708, 0x3f, 0x123456789abcdef1, 0x80706050c0308181 },
};

#define ROW_(name_, undefined_, ...) \
	{ .label = #name_, EMU_OF(name_), .values = VALUES(counts), .undefined = undefined_, __VA_ARGS__ }

static const struct emu_row rows[] = {
	ROW_(rol, OF),
	ROW_(ror, OF),
	ROW_(rcl, OF),
	ROW_(rcr, OF),
	/* CF is undefined when the count exceeds the size, except for SAR. */
	ROW_(shl, OF | AF | CF),
	ROW_(shr, OF | AF | CF),
	ROW_(sar, OF | AF),
	ROW_(rotate_one, 0),
	ROW_(shift_one, AF),
	ROW_(sal_alias, OF | AF | CF),
	ROW_(shld, OF | AF),
	ROW_(shrd, OF | AF),
	ROW_(double_16, OF | AF),
	ROW_(shift_64, OF | AF | CF, .modes = LONG64),
};

CASE(emulate_shift, .says = "shifts and rotates by KVM's emulator are the CPU's", .modes = REAL16 | PROT32 | LONG64,
     .needs = EMU_NEEDS, .rows = ROWS(rows))

GUEST(emulate_shift)
{
}

HOST(emulate_shift)
{
	emu_row_run(t, ROW(t, rows));
}
