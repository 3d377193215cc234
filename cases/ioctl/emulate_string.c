/* SPDX-License-Identifier: MIT */
/*
 * String instructions by KVM's emulator, alone and repeated, up and down, with every operand and address size: the same
 * memory, pointers, count and flags as by the CPU.
 *
 * Can break: a count of zero that does something, or truncates a register it must not; the count cut to the wrong width;
 * SI and DI that wrap at 64 KiB carrying into the upper half; REPNE taken for REPE; the iteration after a mismatch;
 * flags of a reversed comparison; the segment override applied to ES:DI.
 * Source: APM vol. 3, 1.2.6 (repeat prefixes), CMPSx, LODSx, MOVSx, SCASx, STOSx.
 */
#include "cases/ioctl/emulate.h"

#define SIZES_(prefix_, op_) INSN_(prefix_ #op_ "b") INSN_(prefix_ #op_ "w") INSN_(prefix_ #op_ "l")
#define OTHER_ADDRESS ".byte 0x67; "

EMU(plain, SIZES_("", movs) SIZES_("", stos) SIZES_("", lods) SIZES_("", scas) SIZES_("", cmps))
EMU(rep, SIZES_("rep ", movs) SIZES_("rep ", stos) SIZES_("rep ", lods) INSN_("repne movsb") INSN_("repne stosw"))
EMU(repe, SIZES_("repe ", cmps) SIZES_("repe ", scas))
EMU(repne, SIZES_("repne ", cmps) SIZES_("repne ", scas))
EMU(address, INSN_(OTHER_ADDRESS "movsb") INSN_(OTHER_ADDRESS "stosl") INSN_(OTHER_ADDRESS "lodsw") INSN_(OTHER_ADDRESS "scasb")
    INSN_(OTHER_ADDRESS "cmpsl") INSN_(OTHER_ADDRESS "rep movsb") INSN_(OTHER_ADDRESS "rep stosw")
    INSN_(OTHER_ADDRESS "repe cmpsb") INSN_(OTHER_ADDRESS "repne scasb"))
EMU(strings_64, WIDTH_(64) INSN_("movsq") INSN_("stosq") INSN_("lodsq") INSN_("scasq") INSN_("cmpsq") INSN_("rep movsq")
    INSN_("rep stosq") INSN_("repe cmpsq") INSN_("repne scasq") INSN_("rep lodsq"))
EMU(plain_16, WIDTH_(16) SIZES_("rep ", movs) SIZES_("rep ", stos) SIZES_("repe ", cmps) SIZES_("repne ", scas) SIZES_("", lods))
EMU(override, INSN_(".byte 0x64; movsb") INSN_(".byte 0x64; lodsb") INSN_(".byte 0x64; cmpsb") INSN_(".byte 0x64; stosb")
    INSN_(".byte 0x64; scasb"))

/* RAX is the pattern for STOS and SCAS, RCX the count. */
static const struct emu_values counts[] = {
	{ 0xa1a2a3a4a5a6a7a8, 0, 0, 0 },
	{ 0xa1a2a3a4a5a6a7a8, 1, 0, 0 },
	{ 0xa1a2a3a4a5a6a7a8, 6, 0, 0xb1b2b3b4b5b6b7b8 },
	{ 0xa1a2a3a4a5a6a7a8, 5, 0, 0xa1a2a3a4a5a6a7a8 },
};
/* The upper part of the count is not looked at. */
static const struct emu_values counts_16[] = {
	{ 0xa1a2a3a4a5a6a7a8, 0xabcd0000, 0, 0 },
	{ 0xa1a2a3a4a5a6a7a8, 0xabcd0003, 0, 0 },
};
static const struct emu_values counts_32[] = {
	{ 0xa1a2a3a4a5a6a7a8, 0xabcdef0100000003, 0, 0 },
};

/* Both strings the same for the first five bytes. */
#define SIMILAR .memory_in = { BYTES(EMU_DATA, 8, 0x1112131415161718), BYTES(EMU_DATA2, 8, 0x1112a31415161718) }
#define EQUAL .memory_in = { BYTES(EMU_DATA, 8, 0x1112131415161718), BYTES(EMU_DATA2, 8, 0x1112131415161718) }
#define ROW_(name_, ...) { .label = #name_, EMU_OF(name_), .values = VALUES(counts), __VA_ARGS__ },	\
	{ .label = #name_ "_down", EMU_OF(name_), .values = VALUES(counts), .flags_in = DF, __VA_ARGS__ }

static void move_fs(struct test *t, struct kvm_sregs *sregs, uint8_t *memory);
static void move_all(struct test *t, struct kvm_sregs *sregs, uint8_t *memory);

static const struct emu_row rows[] = {
	ROW_(plain),
	ROW_(rep),
	ROW_(repe),
	ROW_(repne),
	{ .label = "repe_similar", EMU_OF(repe), SIMILAR, .in = { REG(RCX, 8), REG(RAX, 0x15161718) } },
	{ .label = "repe_equal", EMU_OF(repe), EQUAL, .in = { REG(RCX, 2), REG(RAX, 0x15161718) } },
	{ .label = "repne_similar", EMU_OF(repne), SIMILAR, .in = { REG(RCX, 8), REG(RAX, 0x13) } },
	ROW_(strings_64, .modes = LONG64),
	{ .label = "override", EMU_OF(override), .prepare = ON_HOST(move_fs) },
	/* 16-bit addresses in 32-bit code would reach below the row's memory: FS and ES are moved. */
	{ .label = "address_32", .modes = REAL16, EMU_OF(address), .values = VALUES(counts) },
	{ .label = "address_16", EMU_OF(address), .modes = PROT32, .prepare = ON_HOST(move_all), .values = VALUES(counts_16),
	  .in = { REG(RSI, 0x12342800), REG(RDI, 0x56783800) } },
	{ .label = "address_16_wraps", EMU_OF(address), .modes = PROT32, .prepare = ON_HOST(move_all), .in = { REG(RSI, 0x1234ffff), REG(RDI, 0x5678fffe),
	  REG(RCX, 0xabcd0004) } },
	{ .label = "address_16_wraps_down", EMU_OF(address), .modes = PROT32, .prepare = ON_HOST(move_all), .flags_in = DF,
	  .in = { REG(RSI, 0x12340001), REG(RDI, 0x56780002), REG(RCX, 0xabcd0004) } },
	{ .label = "address_64", .modes = LONG64, EMU_OF(address), .values = VALUES(counts_32),
	  .in = { REG(RSI, 0xfedcba9800000000 + EMU_GPA + EMU_DATA), REG(RDI, 0x1234567800000000 + EMU_GPA + EMU_DATA2) } },
	{ .label = "code16", .modes = PROT32, .env = ENV_CODE16, EMU_OF(plain_16), .values = VALUES(counts_16) },
};

CASE(emulate_string, .says = "string instructions by KVM's emulator are the CPU's", .modes = REAL16 | PROT32 | LONG64,
     .needs = EMU_NEEDS, .rows = ROWS(rows))

static void move_fs(struct test *t, struct kvm_sregs *sregs, uint8_t *memory)
{
	(void)t;
	(void)memory;
	sregs->fs.base += 0x20;
}

/* 16-bit addresses in flat segments: the bases bring them into the row's memory. */
static void move_all(struct test *t, struct kvm_sregs *sregs, uint8_t *memory)
{
	(void)t;
	(void)memory;
	sregs->ds.base = sregs->es.base = EMU_GPA;
}

GUEST(emulate_string)
{
}

HOST(emulate_string)
{
	emu_row_run(t, ROW(t, rows));
}
