/* SPDX-License-Identifier: MIT */
/*
 * EXITINFO1 of a string I/O has the address size that the instruction works with, by L2's mode and the prefix, and, with
 * decode assists, the segment that it reads: DS, or the one of the prefix where that counts. INS writes ES whatever the
 * prefix.
 *
 * Can break: the default address size of a 16-bit segment, a prefix that toggles it, a segment number that is another
 * one's; KVM passes the CPU's EXITINFO1 on, and makes it up for an instruction of its emulator.
 * Source: APM vol. 2, 15.10.2; vol. 1, 3.5 (overrides in 64-bit mode).
 */
#include "cases/svm/l2_mode.h"
#include "case.h"

#define VMMCALL_TEXT ".byte 0x0f, 0x01, 0xd9"
#define CODE(name_, bytes_) INSN(t_##name_, ".byte " bytes_ "\n\t" VMMCALL_TEXT)

/* OUTSB and INSB, behind each prefix. */
CODE(outs, "0x6e") CODE(outs_es, "0x26, 0x6e") CODE(outs_cs, "0x2e, 0x6e") CODE(outs_ss, "0x36, 0x6e")
CODE(outs_ds, "0x3e, 0x6e") CODE(outs_fs, "0x64, 0x6e") CODE(outs_gs, "0x65, 0x6e")
CODE(ins, "0x6c") CODE(ins_fs, "0x64, 0x6c") CODE(outs_a, "0x67, 0x6e") CODE(ins_a, "0x67, 0x6c")
CODE(outs_gs_a, "0x65, 0x67, 0x6e")

enum segment { ES, CS, SS, DS, FS, GS };

struct row {
	ROW_FIELDS;
	const char *code, *end;
	bool is_legacy;
	struct l2_mode mode;
	uint8_t address_bytes;
	enum segment segment;
	bool is_in;
	bool is_address_size;	/* the bits of the address size are looked at */
};

#define ROW_OF(label_, code_, bytes_, segment_, ...)					\
	{ .label = label_, .code = t_##code_, .end = t_##code_##_end, .address_bytes = bytes_, .segment = segment_, ##__VA_ARGS__ }
#define LEGACY(...) .is_legacy = true, .mode = { __VA_ARGS__ }
#define ALL_OUTS(prefix_, bytes_, ...)							\
	ROW_OF(prefix_ "outs", outs, bytes_, DS, ##__VA_ARGS__), ROW_OF(prefix_ "es_outs", outs_es, bytes_, ES, ##__VA_ARGS__),	\
	ROW_OF(prefix_ "cs_outs", outs_cs, bytes_, CS, ##__VA_ARGS__), ROW_OF(prefix_ "ss_outs", outs_ss, bytes_, SS, ##__VA_ARGS__),	\
	ROW_OF(prefix_ "ds_outs", outs_ds, bytes_, DS, ##__VA_ARGS__), ROW_OF(prefix_ "fs_outs", outs_fs, bytes_, FS, ##__VA_ARGS__),	\
	ROW_OF(prefix_ "gs_outs", outs_gs, bytes_, GS, ##__VA_ARGS__), ROW_OF(prefix_ "ins", ins, bytes_, ES, .is_in = true, ##__VA_ARGS__),	\
	ROW_OF(prefix_ "fs_ins", ins_fs, bytes_, ES, .is_in = true, ##__VA_ARGS__)
#define SIZES(prefix_, bytes_, other_, ...)						\
	ROW_OF(prefix_ "outs_address_size", outs, bytes_, DS, SIZE_IS_SEEN, ##__VA_ARGS__),	\
	ROW_OF(prefix_ "outs_other_address_size", outs_a, other_, DS, SIZE_IS_SEEN, ##__VA_ARGS__),	\
	ROW_OF(prefix_ "gs_outs_other_address_size", outs_gs_a, other_, GS, SIZE_IS_SEEN, ##__VA_ARGS__),	\
	ROW_OF(prefix_ "ins_other_address_size", ins_a, other_, ES, .is_in = true, SIZE_IS_SEEN, ##__VA_ARGS__)
#define SIZE_IS_SEEN .is_address_size = true, .known = { "0110-qemu-ioio-address-size", "lab-svm" }

static const struct row rows[] = {
	/* ES, CS, SS and DS as prefixes are ignored in 64-bit mode. */
	ROW_OF("fs_outs", outs_fs, 8, FS), ROW_OF("gs_outs", outs_gs, 8, GS), ROW_OF("fs_ins", ins_fs, 8, ES, .is_in = true),
	ALL_OUTS("compat32_", 4, LEGACY(.paging = LONG)), ALL_OUTS("real_", 2, LEGACY(.is_16 = true, .is_real = true)),
	SIZES("long_", 8, 4), SIZES("compat32_", 4, 2, LEGACY(.paging = LONG)), SIZES("prot32_", 4, 2, LEGACY()),
	SIZES("prot16_", 2, 4, LEGACY(.is_16 = true)), SIZES("real_", 2, 4, LEGACY(.is_16 = true, .is_real = true)),
};

CASE(ioio_string, .says = "EXITINFO1 of a string I/O has its address size and segment", .modes = LONG64,
     .needs = "vendor:amd nested", .rows = ROWS(rows))

#define PORT 0x3f0

GUEST(ioio_string)
{
	const struct row *row = GUEST_ROW(rows);
	const struct l2_regs regs = { .rdx = PORT, .rcx = 3, .rsi = 0x100, .rdi = 0x100 };
	uint64_t info = IOIO_PORT(PORT) | IOIO_SIZE(1) | IOIO_STRING | (row->is_in ? IOIO_IN : 0), rip;

	l1_svm_init();
	vmcb_intercept(&l1_vmcb, SVM_EXIT_IOIO);
	iopm_set(l1_iopm, PORT, true);
	l1_vmcb.save.rip = (ulong_t)row->code;
	if (row->is_legacy)
		l2_mode_put(&row->mode, &l1_vmcb.save, (ulong_t)row->code);
	rip = l1_vmcb.save.rip;
	l2_regs = regs;
	vmcb_run(&l1_vmcb);
	if (row->is_address_size)
		info |= IOIO_ADDRESS(row->address_bytes);
	else
		l1_vmcb.control.exit_info_1 &= ~(uint64_t)IOIO_ADDRESS(2 | 4 | 8);
	if (has_decode_assists())
		info |= IOIO_SEGMENT(row->segment);
	CHECK_EXIT(.code = SVM_EXIT_IOIO, .info_1 = info, .info_2 = rip + (row->end - row->code) - 3, .rip = rip);
	CHECK_NEXT_RIP(rip + (row->end - row->code) - 3);
	CHECK_L2_REGS(&regs);
}

HOST(ioio_string)
{
	expect_done(t);
}
