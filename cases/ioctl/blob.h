/* SPDX-License-Identifier: MIT */
/*
 * Rows that are a few instructions: entered with registers that the host chose, left by the exits that the row lists,
 * and ended by a HLT. The host compares every exit, then all registers, all segments and the RAM around.
 *
 *	BLOB(out_al, "out %al, $0x80")
 *	{ .label = "out_al", BLOB_OF(out_al), .steps = { OUT(0x80, 1, 0xa8) } }
 *
 * Registers start as the patterns of blob_regs_default(), RDI at MMIO + 0x40, RSI at RAM + 0x840, RSP at RAM + 0x1800;
 * .in changes them before, .out says what the instructions change. Values are given in 64 bits, and cut to 32 where the
 * mode has no more. FS starts at RAM + 0x1000 in every mode. In real mode a segment cannot reach everything: DS and ES
 * start at MMIO, or at RAM with .ds_ram and .es_ram, SS at RAM.
 */
#ifndef VMASSAY_CASES_IOCTL_BLOB_H
#define VMASSAY_CASES_IOCTL_BLOB_H

#include "case.h"

#define BLOB(name_, text_) INSN(blob_##name_, text_ "\n\thlt")
#define BLOB_OF(name_) .blob = { .line = __LINE__, .begin = "blob_" #name_, .end = "blob_" #name_ "_end" }

#define BLOB_RAM_BYTES 0x4000u

/* In the order of struct kvm_regs; 0 ends a list. */
enum blob_reg_name { NO_REG, RAX, RBX, RCX, RDX, RSI, RDI, RSP, RBP, R8, R9, R10, R11, R12, R13, R14, R15 };
enum blob_base { ABSOLUTE, MMIO, RAM };
enum blob_step_kind { NO_STEP, STEP_OUT, STEP_IN, STEP_WRITE, STEP_READ };

#define CF X86_EFLAGS_CF
#define PF X86_EFLAGS_PF
#define AF X86_EFLAGS_AF
#define ZF X86_EFLAGS_ZF
#define SF X86_EFLAGS_SF
#define DF X86_EFLAGS_DF
#define OF X86_EFLAGS_OF
/* What a row starts with, so that setting and clearing both show. */
#define FLAGS_BEFORE (CF | AF | OF)

struct blob_reg {
	uint8_t name;
	uint8_t base;
	uint64_t value;
};

struct blob_step {
	uint8_t kind;
	uint8_t size;		/* bytes */
	int64_t at;		/* the port, or the offset from the start of MMIO */
	uint64_t data;		/* what is written, or the answer */
};

struct blob_ram {
	uint8_t size;		/* bytes, 0 ends */
	uint16_t at;		/* offset in the scratch RAM */
	uint64_t value;
};

struct blob {
	unsigned int line;
	const char *begin, *end;
};

#define BLOB_FIELDS									\
	struct {									\
		struct blob blob;							\
		struct blob_reg in[6], out[6];						\
		struct blob_step steps[9];						\
		struct blob_ram ram_in[3], ram_out[4];					\
		uint64_t flags_in;	/* instead of FLAGS_BEFORE */			\
		bool sets_flags;	/* .flags is what comes out, else flags stay */	\
		uint64_t flags;								\
		uint64_t undefined;	/* flags that the manual leaves open */		\
		bool ds_ram, es_ram;							\
		bool rip_relative;	/* steps' offsets count from the HLT, too */	\
	}

/* What every row of such a table begins with. */
struct blob_row {
	ROW_FIELDS;
	BLOB_FIELDS;
};

#define REG(name_, value_) { name_, ABSOLUTE, value_ }
#define PTR(name_, base_, offset_) { name_, base_, offset_ }
#define OUT(port_, size_, data_) { STEP_OUT, size_, port_, data_ }
#define IN(port_, size_, reply_) { STEP_IN, size_, port_, reply_ }
#define WR(offset_, size_, data_) { STEP_WRITE, size_, offset_, data_ }
#define RD(offset_, size_, reply_) { STEP_READ, size_, offset_, reply_ }
#define BYTES(offset_, size_, value_) { size_, offset_, value_ }
#define FLAGS(flags_) .sets_flags = true, .flags = (flags_)

static inline uint64_t blob_pointer(const struct test *t, uint8_t base, uint64_t value)
{
	if (base == ABSOLUTE || t->mode == REAL16)
		return value;
	return value + (base == MMIO ? test_mmio_gpa(t) : test_scratch_gpa(t));
}

static inline void blob_regs_set(const struct test *t, struct kvm_regs *regs, const struct blob_reg *list, size_t nr)
{
	__u64 *values = &regs->rax;
	size_t i;

	for (i = 0; i < nr && list[i].name; i++)
		values[list[i].name - 1] = blob_pointer(t, list[i].base, list[i].value);
	for (i = 0; i < 16 && !(t->mode & (LONG64 | LA57)); i++)
		values[i] = i < 8 ? (uint32_t)values[i] : 0;
}

static inline void blob_regs_default(const struct test *t, struct kvm_regs *regs)
{
	*regs = (struct kvm_regs){
		.rax = 0xa1a2a3a4a5a6a7a8, .rbx = 0xb1b2b3b4b5b6b7b8, .rcx = 0xc1c2c3c4c5c6c7c8,
		.rdx = 0xd1d2d3d4d5d6d7d8, .rbp = 0xe1e2e3e4e5e6e7e8,
		.rsi = blob_pointer(t, RAM, 0x840), .rdi = blob_pointer(t, MMIO, 0x40),
		.rsp = blob_pointer(t, RAM, 0x1800),
		.r8 = 0x0818283848586878, .r9 = 0x0919293949596979, .r10 = 0x0a1a2a3a4a5a6a7a,
		.r11 = 0x0b1b2b3b4b5b6b7b, .r12 = 0x0c1c2c3c4c5c6c7c, .r13 = 0x0d1d2d3d4d5d6d7d,
		.r14 = 0x0e1e2e3e4e5e6e7e, .r15 = 0x0f1f2f3f4f5f6f7f,
	};
}

static inline void blob_ram_fill(uint8_t *ram, const struct blob_row *row, bool is_after)
{
	unsigned int i;

	for (i = 0; i < BLOB_RAM_BYTES; i++)
		ram[i] = i * 29 + (i >> 8) + 7;
	for (i = 0; i < 3 && row->ram_in[i].size; i++)
		memcpy(ram + row->ram_in[i].at, &row->ram_in[i].value, row->ram_in[i].size);
	for (i = 0; is_after && i < 4 && row->ram_out[i].size; i++)
		memcpy(ram + row->ram_out[i].at, &row->ram_out[i].value, row->ram_out[i].size);
}

static inline void blob_segment_real(struct kvm_segment *segment, uint64_t base)
{
	segment->base = base;
	segment->selector = base >> 4;
}

static inline void blob_segments(struct test *t, const struct blob_row *row)
{
	uint64_t ram = test_scratch_gpa(t), mmio = test_mmio_gpa(t);
	struct kvm_sregs sregs;

	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &sregs);
	sregs.fs.base = ram + 0x1000;
	if (t->mode == REAL16) {
		blob_segment_real(&sregs.fs, ram + 0x1000);
		blob_segment_real(&sregs.ss, ram);
		blob_segment_real(&sregs.ds, row->ds_ram ? ram : mmio);
		blob_segment_real(&sregs.es, row->es_ram ? ram : mmio);
	}
	vcpu_ioctl(t->vcpu, KVM_SET_SREGS, &sregs);
}

/* Puts the vCPU in front of the row's instructions; *@ret_regs is what it starts with. */
static inline void blob_enter(struct test *t, const struct blob_row *row, struct kvm_regs *ret_regs)
{
	blob_regs_default(t, ret_regs);
	blob_regs_set(t, ret_regs, row->in, sizeof(row->in) / sizeof(row->in[0]));
	ret_regs->rflags = X86_EFLAGS_FIXED | (row->flags_in ? row->flags_in : FLAGS_BEFORE);
	ret_regs->rip = guest_symbol(t, row->blob.begin);
	vcpu_ioctl(t->vcpu, KVM_SET_REGS, ret_regs);
	blob_segments(t, row);
	blob_ram_fill(vm_hva(t->vm, test_scratch_gpa(t), BLOB_RAM_BYTES), row, false);
}

static inline struct check_at blob_at(const struct test *t, const struct blob_row *row)
{
	return (struct check_at){ t->desc->file, row->blob.line, CHECK_REQUIRE };
}

static inline void blob_step(struct test *t, const struct blob_row *row, const struct blob_step *step)
{
	struct check_at at = blob_at(t, row);
	uint64_t gpa = test_mmio_gpa(t) + step->at;

	if (row->rip_relative)
		gpa += guest_symbol(t, row->blob.end) - 1;
	switch (step->kind) {
	case STEP_OUT:
		test_check_pio(t, at, EXIT_PIO(KVM_EXIT_IO_OUT, .port = step->at, .size = step->size, .count = 1,
						.data = step->data));
		break;
	case STEP_IN:
		test_check_pio_in(t, at, EXIT_PIO(KVM_EXIT_IO_IN, .port = step->at, .size = step->size, .count = 1),
				  NULL, step->data);
		break;
	case STEP_WRITE:
		test_check_mmio(t, at, EXIT_MMIO(1, .phys_addr = gpa, .len = step->size, .data = step->data));
		break;
	case STEP_READ:
		test_check_mmio_read(t, at, EXIT_MMIO(0, .phys_addr = gpa, .len = step->size), step->data);
		break;
	}
}

static inline void blob_regs_after(const struct test *t, const struct blob_row *row, uint64_t end,
				   struct kvm_regs *regs)
{
	blob_regs_set(t, regs, row->out, sizeof(row->out) / sizeof(row->out[0]));
	regs->rip = end;
	if (row->sets_flags)
		regs->rflags = X86_EFLAGS_FIXED | row->flags;
	regs->rflags &= ~row->undefined;
}

/* The whole of a row: all its exits, the HLT, and what is left behind. */
static inline void blob_run(struct test *t, const struct blob_row *row)
{
	struct check_at at = blob_at(t, row);
	uint8_t want_ram[BLOB_RAM_BYTES];
	struct kvm_regs want, got;
	struct kvm_sregs want_sregs, got_sregs;
	unsigned int i;

	blob_enter(t, row, &want);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &want_sregs);
	for (i = 0; i < sizeof(row->steps) / sizeof(row->steps[0]) && row->steps[i].kind; i++)
		blob_step(t, row, &row->steps[i]);
	test_check_exit(t, at, EXIT_RECORD(.reason = KVM_EXIT_HLT));
	at.kind = CHECK_EXPECT;
	blob_regs_after(t, row, guest_symbol(t, row->blob.end), &want);
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &got);
	got.rflags &= ~row->undefined;
	test_check_regs(t, at, &want, &got);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &got_sregs);
	test_check_sregs(t, at, &want_sregs, &got_sregs);
	blob_ram_fill(want_ram, row, true);
	test_check_bytes(t, at, "the RAM", want_ram, vm_hva(t->vm, test_scratch_gpa(t), BLOB_RAM_BYTES),
			 BLOB_RAM_BYTES);
}

#endif
