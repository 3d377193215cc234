/* SPDX-License-Identifier: MIT */
/*
 * An instruction twice from one state, by the CPU and by KVM's emulator: registers, flags, segments, memory, the fault
 * with its error code and CR2 must be the same. With kvm.force_emulation_prefix=1, UD2 and "kvm" before an instruction
 * asks for the emulator; the instruction itself lies at the same address both times.
 *
 *	EMU(add, INSN_("add %cl, " M) INSN_("add %ecx, " M))
 *	{ .label = "add", EMU_OF(add), .values = VALUES(emu_pairs) }
 *
 * Each instruction of the list runs with each of the values (RAX, RCX, RDX, eight bytes at RDI) and with all status
 * flags clear and set. The CPU is another implementation, not the manual: a row may also state (.want) what the manual
 * says, which the emulator is held to, and .no_native where the CPU under KVM is known to be wrong.
 *
 * The instruction lies in a page of HLT, so that it ends wherever it goes to; faults go to HLTs of their own. All of it
 * is in [EMU_GPA, EMU_GPA + EMU_BYTES), flat, or with all bases at EMU_GPA where addresses have 16 bits.
 */
#ifndef VMASSAY_CASES_IOCTL_EMULATE_H
#define VMASSAY_CASES_IOCTL_EMULATE_H

#include "case.h"
#include "vm/x86/vendor.h"

#define EMU_NEEDS "param:kvm.force_emulation_prefix=1 KVM_CAP_SYNC_REGS"

/* --- lists of instructions, in the guest's image: length, bytes, text; a length of 0 ends a list --- */

#ifdef VMASSAY_GUEST
#ifdef VMASSAY_REAL16
#define EMU_CODE ".code16gcc"
#elif defined(__x86_64__)
#define EMU_CODE ".code64"
#else
#define EMU_CODE ".code32"
#endif
#define EMU(name_, text_)								\
	__asm__(".pushsection .rodata\n.globl emu_" #name_ "\nemu_" #name_ ":\n" text_	\
		".byte 0\n" EMU_CODE "\n.popsection");
#else
#define EMU(name_, text_)
#endif

#define INSN_(text_) ".byte 773f - 772f\n772: " text_ "\n773: .asciz \"" text_ "\"\n"
/* The instructions that follow are encoded for this width, whatever the mode's is. */
#define WIDTH_(bits_) ".code" #bits_ "\n"

/* The mode's width where it is not 64: for instructions that 64-bit code does not have. */
#ifdef __x86_64__
#define WIDTH_LEGACY ".code32\n"
#else
#define WIDTH_LEGACY
#endif

#ifdef __x86_64__
#define DI_ "%rdi"
#define SI_ "%rsi"
#else
#define DI_ "%edi"
#define SI_ "%esi"
#endif
#define M "(" DI_ ")"

/* --- where things lie --- */

#define EMU_GPA 0x20000u
#define EMU_BYTES 0x10000u
#define EMU_CODE_AT 0x800u	/* two pages of HLT from 0 on, and an instruction in them */
#define EMU_DATA 0x2800u	/* RDI; the middle of the first of two pages */
#define EMU_DATA2 0x3800u	/* RSI */
#define EMU_STACK 0x4800u	/* RSP */
#define EMU_FAULT_STACK 0x5f00u	/* of the exceptions, where the mode has such */
#define EMU_IDT 0x6000u
#define EMU_GDT 0x6800u		/* a copy of the mode's */
#define EMU_HANDLERS 0x7000u	/* + vector: a HLT */
#define EMU_TSS 0x7400u
#define EMU_TSS_LIMIT 0x267u
#define EMU_IOPB 0x68u
#define EMU_TABLE 0xf000u	/* the page table of [0, 2 MiB), or of [0, 4 MiB) */

#define EMU_PREFIX_BYTES 5
#define EMU_HLT 0xf4

enum emu_env {
	ENV_KERNEL,	/* the mode's own width, CPL 0 */
	ENV_USER,	/* the same at CPL 3 */
	ENV_CODE16,	/* 16-bit segments at CPL 0, based at EMU_GPA; compatibility mode where the mode is long */
	ENV_COMPAT,	/* 32-bit code under long mode */
	ENV_VM86,
};

/* In the order of struct kvm_regs; 0 ends a list. */
enum emu_reg_name { NO_REG, RAX, RBX, RCX, RDX, RSI, RDI, RSP, RBP, R8, R9, R10, R11, R12, R13, R14, R15, RIP, RFLAGS };

#define CF X86_EFLAGS_CF
#define PF X86_EFLAGS_PF
#define AF X86_EFLAGS_AF
#define ZF X86_EFLAGS_ZF
#define SF X86_EFLAGS_SF
#define DF X86_EFLAGS_DF
#define OF X86_EFLAGS_OF
#define EMU_STATUS (CF | PF | AF | ZF | SF | OF)
#define EMU_IOPL(level_) ((uint64_t)(level_) << 12)

struct emu_values {
	uint64_t rax, rcx, rdx, memory;
};

struct emu_reg {
	uint8_t name;
	bool is_offset;		/* + EMU_GPA in flat modes */
	uint64_t value;
};

struct emu_bytes {
	uint8_t size;		/* 0 ends a list */
	uint16_t at;		/* offset from EMU_GPA */
	uint64_t value;
};

struct emu_row;

#define EMU_FIELDS									\
	struct {									\
		unsigned int line;							\
		const char *list;							\
		enum emu_env env;							\
		const struct emu_values *values;	/* NULL: one combination */	\
		unsigned int nr_values;							\
		uint64_t undefined;	/* flags that the manual leaves open */		\
		uint64_t flags_in;	/* set in every combination */			\
		bool has_all_flags;	/* every condition is met and not met */	\
		struct emu_reg in[6];							\
		struct emu_bytes memory_in[4];						\
		unsigned int code_at;	/* 0: EMU_CODE_AT */				\
		void (*prepare)(struct test *t, struct kvm_sregs *sregs, uint8_t *memory);	\
		bool has_fpu;		/* x87 and SSE state is set and compared, too */	\
		void (*forget)(uint8_t *memory);	/* clears what the manual leaves open */	\
		bool no_native;								\
		bool has_want;		/* the rest is what the manual says */		\
		int32_t vector;		/* with .has_want: NO_VECTOR or the fault's */	\
		uint32_t error_code;							\
		uint64_t cr2;		/* offset; #PF only */				\
		struct emu_reg want[6];	/* which registers it leaves changed */		\
		struct emu_bytes memory_want[4];					\
	}

struct emu_row {
	ROW_FIELDS;
	EMU_FIELDS;
};

#define EMU_OF(name_) .line = __LINE__, .list = "emu_" #name_
#define VALUES(values_) (values_), .nr_values = sizeof(values_) / sizeof((values_)[0])
#define REG(name_, value_) { name_, false, value_ }
#define AT(name_, offset_) { name_, true, offset_ }
#define BYTES(offset_, size_, value_) { size_, offset_, value_ }
#define WANT .has_want = true, .vector = NO_VECTOR
#define WANT_FAULT(vector_, error_code_) .has_want = true, .vector = vector_, .error_code = error_code_
#define WANT_PF(error_code_, offset_) WANT_FAULT(PF_VECTOR, error_code_), .cr2 = offset_

/* Sums, borders of every width, sign changes, a carry out of each half; the upper parts are never clean. */
static const struct emu_values emu_pairs[] __attribute__((unused)) = {
	{ 0, 0, 0x1122334455667788, 0 },
	{ 0xffffffffffffffff, 1, 0x99aabbccddeeff00, 0xffffffffffffffff },
	{ 0xa5a5a5a5a5a5a57f, 0x5a5a5a5a5a5a5a01, 1, 0xa5a5a5a5a5a5a57f },
	{ 0xa5a5a5a5a5a57fff, 0x5a5a5a5a5a5a8000, 2, 0xa5a5a5a5a5a57fff },
	{ 0xa5a5a5a580000000, 0x5a5a5a5a7fffffff, 3, 0xa5a5a5a580000000 },
	{ 0x7fffffffffffffff, 0x8000000000000080, 0x8000000000000000, 0x8000000000000080 },
	{ 0x0f0f0f0f0f0f0f0f, 0xf0f0f0f0f0f0f0f1, 6, 0xf1e2d3c4b5a69788 },
};

/* --- a state of everything that an instruction can change --- */

struct emu_outcome {
	uint32_t exit_reason;
	int32_t vector;		/* NO_VECTOR: it ended */
	uint32_t error_code;
	struct kvm_regs regs;	/* as the fault's frame has them */
	uint16_t cs, ss;
	bool has_rf;		/* in the fault's frame; .regs has it clear */
	struct kvm_sregs sregs;
	struct kvm_fpu fpu;
	uint8_t memory[EMU_BYTES];
};

struct emu {
	struct test *t;
	const struct emu_row *row;
	uint8_t *memory;	/* the guest's */
	const struct emu_window *windows;
	struct kvm_sregs sregs;	/* what every run starts with */
	uint8_t start[EMU_BYTES];
	const uint8_t *insn;	/* length, bytes, text */
	struct kvm_regs regs;	/* of the present combination */
	unsigned int code_at;
	unsigned int nr_failed;
};

/*
 * Which of the memory is set before a run and compared after it: all of it, or where operands, stack and frames lie when
 * there are many runs.
 */
struct emu_window {
	uint32_t at, len_bytes;
};

static const struct emu_window emu_whole[] __attribute__((unused)) = { { 0, EMU_BYTES }, { 0 } };
static const struct emu_window emu_parts[] __attribute__((unused)) = {
	{ EMU_DATA - 0x80, 0x100 }, { EMU_DATA2 - 0x80, 0x100 }, { EMU_STACK - 0x80, 0x100 },
	{ EMU_FAULT_STACK - 0x80, 0x80 }, { 0 },
};

static inline void emu_copy(const struct emu_window *windows, uint8_t *to, const uint8_t *from)
{
	for (; windows->len_bytes; windows++)
		memcpy(to + windows->at, from + windows->at, windows->len_bytes);
}

static inline bool emu_is_based(const struct test *t, enum emu_env env)
{
	return t->mode == REAL16 || env == ENV_CODE16 || env == ENV_VM86;
}

static inline bool emu_is_long(const struct test *t)
{
	return t->mode & (LONG64 | LA57);
}

/* 64-bit registers, not only long mode. */
static inline bool emu_is_code64(const struct test *t, enum emu_env env)
{
	return emu_is_long(t) && (env == ENV_KERNEL || env == ENV_USER);
}

static inline void emu_put(uint8_t *memory, uint64_t at, uint64_t value, unsigned int size)
{
	memcpy(memory + at, &value, size);
}

static inline uint64_t emu_get(const uint8_t *memory, uint64_t at, unsigned int size)
{
	uint64_t value = 0;

	memcpy(&value, memory + at, size);
	return value;
}

/* --- the state that all runs of a row start with --- */

static inline void emu_idt_write(const struct test *t, uint8_t *memory)
{
	unsigned int vector;

	memset(memory + EMU_HANDLERS, EMU_HLT, 256);
	for (vector = 0; vector < 256; vector++) {
		uint32_t handler = EMU_GPA + EMU_HANDLERS + vector;

		if (t->mode == REAL16) {
			emu_put(memory, EMU_IDT + vector * 4, EMU_GPA << 12 | (EMU_HANDLERS + vector), 4);
		} else if (!emu_is_long(t)) {
			emu_put(memory, EMU_IDT + vector * 8,
				(uint64_t)(handler >> 16) << 48 | 0xeeull << 40 | SEL_CODE32 << 16 | (handler & 0xffff), 8);
		} else if (vector < 128) {
			emu_put(memory, EMU_IDT + vector * 16,
				(uint64_t)(handler >> 16) << 48 | 0xee01ull << 32 | SEL_CODE64 << 16 | (handler & 0xffff), 8);
			emu_put(memory, EMU_IDT + vector * 16 + 8, 0, 8);
		}
	}
}

static inline void emu_tss_write(const struct test *t, uint8_t *memory)
{
	uint8_t *tss = memory + EMU_TSS;

	memset(tss, 0, EMU_TSS_LIMIT + 1);
	memset(tss + EMU_TSS_LIMIT + 1, 0xff, 1);
	emu_put(tss, 102, EMU_IOPB, 2);
	emu_put(tss, 4, EMU_GPA + EMU_FAULT_STACK, 4);
	if (emu_is_long(t))
		emu_put(tss, 36, EMU_GPA + EMU_FAULT_STACK, 4);
	else
		emu_put(tss, 8, SEL_DATA, 2);
}

static inline void emu_segment(struct kvm_segment *segment, uint16_t selector, uint64_t base, uint8_t type, uint8_t dpl)
{
	segment->selector = selector;
	segment->base = base;
	segment->type = type;
	segment->dpl = dpl;
}

static inline void emu_env_data(struct kvm_sregs *sregs, const struct kvm_segment *data)
{
	sregs->ds = sregs->es = sregs->ss = sregs->fs = *data;
}

static inline void emu_env_sregs(const struct test *t, enum emu_env env, struct kvm_sregs *sregs)
{
	struct kvm_segment data = sregs->ds;

	switch (env) {
	case ENV_KERNEL:
		if (t->mode != REAL16)
			break;
		emu_segment(&sregs->cs, EMU_GPA >> 4, EMU_GPA, sregs->cs.type, 0);
		emu_segment(&data, EMU_GPA >> 4, EMU_GPA, data.type, 0);
		emu_env_data(sregs, &data);
		break;
	case ENV_USER:
		emu_segment(&sregs->cs, emu_is_long(t) ? SEL_USER_CODE64 : SEL_USER_CODE32, 0, sregs->cs.type, 3);
		emu_segment(&data, SEL_USER_DATA, 0, data.type, 3);
		emu_env_data(sregs, &data);
		break;
	case ENV_CODE16:
		emu_segment(&sregs->cs, SEL_CODE16, EMU_GPA, sregs->cs.type, 0);
		emu_segment(&data, SEL_DATA16, EMU_GPA, data.type, 0);
		sregs->cs.l = sregs->cs.db = sregs->cs.g = data.db = data.g = 0;
		sregs->cs.limit = data.limit = 0xffff;
		emu_env_data(sregs, &data);
		break;
	case ENV_COMPAT:
		sregs->cs.selector = SEL_CODE32;
		sregs->cs.l = 0;
		sregs->cs.db = 1;
		break;
	case ENV_VM86:
		emu_segment(&data, EMU_GPA >> 4, EMU_GPA, 3, 3);
		data.db = data.g = 0;
		data.limit = 0xffff;
		emu_env_data(sregs, &data);
		sregs->cs = sregs->gs = data;
		break;
	}
}

/* Maps [0, 2 MiB), or 4 MiB in 2-level paging, by pages; the table's entries are the row's to change. */
static inline void emu_table_write(struct test *t, uint8_t *memory)
{
	unsigned int i, nr_bytes = t->mode == PAGE32 ? 4 : 8;
	uint64_t directory = TABLES_GPA + (t->mode == PAGE32 ? 0 : t->mode == PAE32 ? 0x1000 : 0x2000);

	if (t->mode == REAL16 || t->mode == PROT32)
		return;
	for (i = 0; i < 4096 / nr_bytes; i++)
		emu_put(memory, EMU_TABLE + i * nr_bytes, (uint64_t)i << 12 | PTE_P | PTE_W | PTE_U | PTE_A | PTE_D, nr_bytes);
	emu_put(vm_hva(t->vm, directory, 8), 0, (EMU_GPA + EMU_TABLE) | PTE_P | PTE_W | PTE_U | PTE_A, nr_bytes);
}

/* The page-table entry of the page at @offset, for a row's .prepare(). */
static inline void emu_pte_clear(const struct test *t, uint8_t *memory, uint32_t offset, uint64_t bits)
{
	unsigned int nr_bytes = t->mode == PAGE32 ? 4 : 8;
	uint32_t at = EMU_TABLE + ((EMU_GPA + offset) >> 12) * nr_bytes;

	emu_put(memory, at, emu_get(memory, at, nr_bytes) & ~bits, nr_bytes);
}

static inline void emu_sregs(struct emu *emu)
{
	const struct test *t = emu->t;

	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &emu->sregs);
	emu_env_sregs(t, emu->row->env, &emu->sregs);
	emu->sregs.idt = (struct kvm_dtable){ .base = EMU_GPA + EMU_IDT, .limit = t->mode == REAL16 ? 0x3ff : 0x7ff };
	if (t->mode == REAL16)
		return;
	emu->sregs.gdt.base = EMU_GPA + EMU_GDT;
	emu->sregs.tr.base = EMU_GPA + EMU_TSS;
	emu->sregs.tr.limit = EMU_TSS_LIMIT;
	/* QEMU 7.2 aborts when it takes a stack from a busy 32-bit TSS that VMRUN has loaded; SVM asks for neither. */
	emu->sregs.tr.type = !__builtin_strcmp(vendor_of(t->sys->backend), "kvm_amd") ? 9 : 11;
}

static inline void emu_start(struct emu *emu, struct test *t, const struct emu_row *row)
{
	unsigned int i;

	*emu = (struct emu){ .t = t, .row = row, .code_at = row->code_at ? row->code_at : EMU_CODE_AT };
	emu->memory = vm_hva(t->vm, EMU_GPA, EMU_BYTES);
	for (i = 0; i < EMU_BYTES; i++)
		emu->start[i] = i < EMU_DATA - 0x800 ? EMU_HLT : i * 29 + (i >> 8) + 7;
	emu_idt_write(t, emu->start);
	emu_tss_write(t, emu->start);
	memcpy(emu->start + EMU_GDT, vm_hva(t->vm, GDT_GPA, GDT_BYTES), GDT_BYTES);
	emu_table_write(t, emu->start);
	emu_sregs(emu);
	for (i = 0; i < 4 && row->memory_in[i].size; i++)
		emu_put(emu->start, row->memory_in[i].at, row->memory_in[i].value, row->memory_in[i].size);
	if (row->prepare)
		row->prepare(t, &emu->sregs, emu->start);
	memcpy(emu->memory, emu->start, EMU_BYTES);
	emu->windows = row->values ? emu_parts : emu_whole;
	t->vcpu->run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
	t->vcpu->run->s.regs.sregs = (struct kvm_sregs){ 0 };
}

static inline uint64_t emu_pointer(const struct emu *emu, uint64_t offset)
{
	return emu_is_based(emu->t, emu->row->env) ? offset : EMU_GPA + offset;
}

static inline void emu_regs_set(const struct emu *emu, struct kvm_regs *regs, const struct emu_reg *list)
{
	__u64 *values = &regs->rax;
	unsigned int i;

	for (i = 0; i < 6 && list[i].name; i++)
		values[list[i].name - 1] = list[i].is_offset ? emu_pointer(emu, list[i].value) : list[i].value;
	for (i = 0; i < 16 && !emu_is_code64(emu->t, emu->row->env); i++)
		values[i] = i < 8 ? (uint32_t)values[i] : 0;
}

/* The registers of the combination; its memory goes to the start image. */
static inline void emu_combine(struct emu *emu, const struct emu_values *values, uint64_t flags)
{
	struct kvm_regs *regs = &emu->regs;

	*regs = (struct kvm_regs){
		.rax = values->rax, .rcx = values->rcx, .rdx = values->rdx, .rbx = 0xb1b2b3b4b5b6b7b8,
		.rsp = emu_pointer(emu, EMU_STACK), .rbp = 0xe1e2e3e4e5e6e7e8,
		.rsi = emu_pointer(emu, EMU_DATA2), .rdi = emu_pointer(emu, EMU_DATA),
		.r8 = values->rax, .r9 = values->rcx, .r10 = 0x0a1a2a3a4a5a6a7a, .r11 = 0x0b1b2b3b4b5b6b7b,
		.r12 = 0x0c1c2c3c4c5c6c7c, .r13 = 0x0d1d2d3d4d5d6d7d, .r14 = 0x0e1e2e3e4e5e6e7e,
		.r15 = 0x0f1f2f3f4f5f6f7f,
	};
	emu_regs_set(emu, regs, emu->row->in);
	regs->rip = emu_pointer(emu, emu->code_at);
	regs->rflags = X86_EFLAGS_FIXED | flags | emu->row->flags_in;
	if (emu->row->env == ENV_VM86)
		regs->rflags |= X86_EFLAGS_VM;
	if (emu->row->values)
		emu_put(emu->start, EMU_DATA, values->memory, 8);
}

/* --- a run --- */

static inline bool emu_has_error_code(const struct test *t, int32_t vector)
{
	return t->mode != REAL16 && (vector == 8 || (vector >= 10 && vector <= 14) || vector == 17);
}

/*
 * The interrupted state from the frame at the top of the handler's stack, which is taken out of the memory to compare.
 * RF in the image is the CPU's or KVM's injection's; rows of their own are about it.
 */
static inline void emu_frame_take(const struct emu *emu, struct emu_outcome *outcome)
{
	const struct test *t = emu->t;
	unsigned int word = t->mode == REAL16 ? 2 : emu_is_long(t) ? 8 : 4, nr = 3, i;
	const struct kvm_segment *ss = &outcome->sregs.ss;
	uint64_t sp = outcome->regs.rsp, start, at, frame[5] = { 0 };

	if (!emu_is_long(t))
		sp = ss->base + (ss->db ? (uint32_t)sp : sp & 0xffff);
	at = start = sp - EMU_GPA;
	if (at > EMU_BYTES - 64)
		return;
	if (emu_has_error_code(t, outcome->vector)) {
		outcome->error_code = emu_get(outcome->memory, at, 4);
		emu_put(outcome->memory, at, 0, word);
		at += word;
	}
	if (emu_is_long(t) || emu->row->env == ENV_USER || emu->row->env == ENV_VM86)
		nr = 5;
	for (i = 0; i < nr; i++, at += word) {
		frame[i] = emu_get(outcome->memory, at, word);
		emu_put(outcome->memory, at, 0, word);
	}
	outcome->regs.rip = frame[0];
	outcome->cs = frame[1];
	outcome->regs.rflags = frame[2] & ~X86_EFLAGS_RF;
	outcome->has_rf = frame[2] & X86_EFLAGS_RF;
	outcome->regs.rsp = nr == 5 ? frame[3] : outcome->regs.rsp + (at - start);
	if (nr == 5)
		outcome->ss = frame[4];
}

/* At CPL 3 the HLT that ends a run is a #GP(0) itself. */
static inline bool emu_is_end(const struct emu *emu, const struct emu_outcome *outcome)
{
	uint64_t at = outcome->regs.rip;

	if (outcome->vector != GP_VECTOR || outcome->error_code || emu->sregs.cs.dpl != 3)
		return false;
	if (!emu_is_based(emu->t, emu->row->env))
		at -= EMU_GPA;
	return at < EMU_DATA - 0x800 && at != emu->code_at && emu->memory[at] == EMU_HLT;
}

/* What is hidden behind a null selector, but for the base, is nobody's to see. */
static inline void emu_segments_forget(struct kvm_sregs *sregs)
{
	struct kvm_segment *segments[] = { &sregs->ds, &sregs->es, &sregs->fs, &sregs->gs, &sregs->ss, &sregs->ldt };
	unsigned int i;

	for (i = 0; i < sizeof(segments) / sizeof(segments[0]); i++)
		if (segments[i]->unusable)
			*segments[i] = (struct kvm_segment){ .selector = segments[i]->selector, .base = segments[i]->base,
							     .unusable = 1 };
}

/*
 * CR2 is looked at behind a page fault only (Bochs 2.7 shows the host's as the guest's), and not at all where an entry
 * loses what KVM's page fault put there (finding 0504).
 */
static inline bool emu_has_cr2(const struct emu *emu)
{
	const struct kvm_sync_regs *sync = &emu->t->vcpu->run->s.regs;

	return !guest_page(emu->t, 0)->cr2_is_lost &&
	       sync->sregs.cs.base + sync->regs.rip == EMU_GPA + EMU_HANDLERS + PF_VECTOR + 1;
}

static inline void emu_outcome_take(const struct emu *emu, struct emu_outcome *outcome)
{
	const struct kvm_run *run = emu->t->vcpu->run;
	uint64_t at;

	outcome->exit_reason = run->exit_reason;
	outcome->vector = NO_VECTOR;
	outcome->error_code = 0;
	outcome->regs = run->s.regs.regs;
	outcome->sregs = run->s.regs.sregs;
	if (!emu_has_cr2(emu))
		outcome->sregs.cr2 = 0;
	emu_segments_forget(&outcome->sregs);
	outcome->cs = outcome->sregs.cs.selector;
	outcome->ss = outcome->sregs.ss.selector;
	emu_copy(emu->windows, outcome->memory, emu->memory);
	if (run->exit_reason != KVM_EXIT_HLT)
		return;
	outcome->regs.rip--;
	at = outcome->sregs.cs.base + outcome->regs.rip - EMU_GPA - EMU_HANDLERS;
	if (at >= 256)
		return;
	outcome->vector = at;
	emu_frame_take(emu, outcome);
	if (emu_is_end(emu, outcome))
		outcome->vector = NO_VECTOR;
}

static inline void emu_fpu_set(struct emu *emu)
{
	struct kvm_fpu fpu = { .fcw = 0x27f, .fsw = 0x3800, .mxcsr = 0x1f80 };
	unsigned int i;

	for (i = 0; i < sizeof(fpu.xmm); i++)
		((uint8_t *)fpu.xmm)[i] = i * 37 + 11;
	for (i = 0; i < 8; i++)
		memset(fpu.fpr[i], 0x51 + i, 10);
	vcpu_ioctl(emu->t->vcpu, KVM_SET_FPU, &fpu);
}

static inline void emu_run(struct emu *emu, bool is_forced, struct emu_outcome *outcome)
{
	static const uint8_t prefix[EMU_PREFIX_BYTES] = { 0x0f, 0x0b, 'k', 'v', 'm' };
	struct kvm_run *run = emu->t->vcpu->run;

	emu_copy(emu->windows, emu->memory, emu->start);
	memcpy(emu->memory + emu->code_at - sizeof(prefix), prefix, sizeof(prefix));
	memset(emu->memory + emu->code_at, EMU_HLT, 40);
	memcpy(emu->memory + emu->code_at, emu->insn + 1, emu->insn[0]);
	run->s.regs.regs = emu->regs;
	run->s.regs.regs.rip -= is_forced ? sizeof(prefix) : 0;
	run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
	/* KVM shows TR as busy whatever it is. */
	run->s.regs.sregs.tr.type = emu->sregs.tr.type;
	if (memcmp(&run->s.regs.sregs, &emu->sregs, sizeof(emu->sregs))) {
		run->s.regs.sregs = emu->sregs;
		run->kvm_dirty_regs |= KVM_SYNC_X86_SREGS;
	}
	require_result(emu->t, 0, vcpu_run_try(emu->t->vcpu));
	emu_outcome_take(emu, outcome);
}

/* --- comparison --- */

/* Both sides as text: @want is the CPU's, or the manual's. */
static inline void emu_check(struct emu *emu, const char *what, uint64_t want, uint64_t got)
{
	struct check_at at = { emu->t->desc->file, emu->row->line, CHECK_EXPECT };
	const struct kvm_regs *regs = &emu->regs;
	char text[256];

	if (want != got && emu->nr_failed++ < 8) {
		__builtin_snprintf(text, sizeof(text),
				   "%s (rax %llx rcx %llx rdx %llx [rdi] %llx flags %llx): %s", (const char *)emu->insn + 1 +
				   emu->insn[0], regs->rax, regs->rcx, regs->rdx,
				   (unsigned long long)emu_get(emu->start, EMU_DATA, 8), regs->rflags, what);
		test_check_u64(emu->t, at, text, want, got);
	}
}

static inline void emu_check_regs(struct emu *emu, const char *whose, const struct kvm_regs *want,
				  const struct kvm_regs *got)
{
	static const char *const names[18] = {
		"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
		"r15", "rip", "rflags",
	};
	const __u64 *w = &want->rax, *g = &got->rax;
	uint64_t undefined = emu->row->undefined;
	char text[48];
	unsigned int i;

	for (i = 0; i < 18; i++) {
		uint64_t mask = i == 17 ? ~undefined : ~0ull;

		if ((w[i] & mask) == (g[i] & mask))
			continue;
		__builtin_snprintf(text, sizeof(text), "%s against %s", names[i], whose);
		emu_check(emu, text, w[i] & mask, g[i] & mask);
	}
}

static inline void emu_check_memory(struct emu *emu, const struct emu_window *window, const char *whose,
				    const uint8_t *want, const uint8_t *got)
{
	char text[64];
	uint32_t at;

	while (window->len_bytes && !memcmp(want + window->at, got + window->at, window->len_bytes))
		window++;
	if (!window->len_bytes)
		return;
	for (at = window->at; want[at] == got[at]; at++)
		;
	__builtin_snprintf(text, sizeof(text), "memory from 0x%x against %s", at, whose);
	at = at > EMU_BYTES - 8 ? EMU_BYTES - 8 : at;
	emu_check(emu, text, emu_get(want, at, 8), emu_get(got, at, 8));
}

static inline void emu_check_sregs(struct emu *emu, const struct kvm_sregs *want, const struct kvm_sregs *got)
{
	const uint8_t *w = (const uint8_t *)want, *g = (const uint8_t *)got;
	char text[64];
	size_t at;

	if (!memcmp(want, got, sizeof(*want)))
		return;
	for (at = 0; w[at] == g[at]; at++)
		;
	__builtin_snprintf(text, sizeof(text), "struct kvm_sregs from byte %zu against the CPU", at);
	at = at > sizeof(*want) - 8 ? sizeof(*want) - 8 : at;
	emu_check(emu, text, emu_get(w, at, 8), emu_get(g, at, 8));
}

static inline void emu_check_fpu(struct emu *emu, const struct kvm_fpu *want, const struct kvm_fpu *got)
{
	unsigned int i;

	for (i = 0; i < 16; i++) {
		emu_check(emu, "an XMM register's lower half against the CPU", emu_get(want->xmm[i], 0, 8), emu_get(got->xmm[i], 0, 8));
		emu_check(emu, "an XMM register's upper half against the CPU", emu_get(want->xmm[i], 8, 8), emu_get(got->xmm[i], 8, 8));
	}
	for (i = 0; i < 8; i++)
		emu_check(emu, "an x87 register against the CPU", emu_get(want->fpr[i], 0, 8), emu_get(got->fpr[i], 0, 8));
	emu_check(emu, "FCW against the CPU", want->fcw, got->fcw);
	emu_check(emu, "FSW against the CPU", want->fsw, got->fsw);
	emu_check(emu, "MXCSR against the CPU", want->mxcsr, got->mxcsr);
}

static inline void emu_compare(struct emu *emu, const struct emu_outcome *native, const struct emu_outcome *forced)
{
	emu_check(emu, "the exit against the CPU", native->exit_reason, forced->exit_reason);
	emu_check(emu, "the fault's vector against the CPU", (uint32_t)native->vector, (uint32_t)forced->vector);
	emu_check(emu, "the error code against the CPU", native->error_code, forced->error_code);
	emu_check(emu, "CS against the CPU", native->cs, forced->cs);
	emu_check(emu, "SS against the CPU", native->ss, forced->ss);
	emu_check_regs(emu, "the CPU", &native->regs, &forced->regs);
	emu_check_sregs(emu, &native->sregs, &forced->sregs);
	if (emu->row->has_fpu)
		emu_check_fpu(emu, &native->fpu, &forced->fpu);
	emu_check_memory(emu, emu->windows, "the CPU", native->memory, forced->memory);
}

/* The data is as it was, but for what the manual says is written. */
static inline void emu_compare_data(struct emu *emu, const struct emu_outcome *forced)
{
	const struct emu_bytes *want = emu->row->memory_want;
	static const struct emu_window data[] = { { EMU_DATA - 0x800, 0x2000 }, { 0 } };
	static uint8_t expected[EMU_BYTES];
	unsigned int i;

	emu_copy(data, expected, emu->start);
	for (i = 0; i < 4 && want[i].size; i++) {
		emu_check(emu, "memory against the manual", want[i].value,
			  emu_get(forced->memory, want[i].at, want[i].size));
		emu_put(expected, want[i].at, want[i].value, want[i].size);
	}
	if (emu->windows == emu_whole)
		emu_check_memory(emu, data, "the manual", expected, forced->memory);
}

/* What the manual says: the fault, or which registers and bytes have changed. */
static inline void emu_compare_want(struct emu *emu, const struct emu_outcome *forced)
{
	const struct emu_row *row = emu->row;
	struct kvm_regs want = emu->regs;

	emu_check(emu, "the exit against the manual", KVM_EXIT_HLT, forced->exit_reason);
	emu_check(emu, "the fault's vector against the manual", (uint32_t)row->vector, (uint32_t)forced->vector);
	emu_check(emu, "the error code against the manual", emu->t->mode == REAL16 ? 0 : row->error_code, forced->error_code);
	if (row->vector == PF_VECTOR && !guest_page(emu->t, 0)->cr2_is_lost)
		emu_check(emu, "CR2 against the manual", emu_pointer(emu, row->cr2), forced->sregs.cr2);
	if (row->vector == NO_VECTOR)
		want.rip += emu->insn[0];
	emu_regs_set(emu, &want, row->want);
	emu_check_regs(emu, "the manual", &want, &forced->regs);
	emu_compare_data(emu, forced);
}

static inline void emu_insn(struct emu *emu, const struct emu_values *values, uint64_t flags)
{
	static struct emu_outcome native, forced;

	emu_combine(emu, values, flags);
	if (!emu->row->no_native)
		emu_run(emu, false, &native);
	emu_run(emu, true, &forced);
	if (emu->row->forget) {
		emu->row->forget(native.memory);
		emu->row->forget(forced.memory);
	}
	if (!emu->row->no_native)
		emu_compare(emu, &native, &forced);
	if (emu->row->has_want)
		emu_compare_want(emu, &forced);
}

static inline const uint8_t *emu_next(const uint8_t *insn)
{
	return insn + 1 + insn[0] + __builtin_strlen((const char *)insn + 1 + insn[0]) + 1;
}

/* @each for every instruction of the row. */
static inline void emu_row_each(struct test *t, const struct emu_row *row, void (*each)(struct emu *emu))
{
	static struct emu emu;

	emu_start(&emu, t, row);
	for (emu.insn = vm_hva(t->vm, guest_symbol(t, row->list), 16); emu.insn[0]; emu.insn = emu_next(emu.insn))
		each(&emu);
	expect_eq(t, 0, emu.nr_failed);
}

static inline void emu_insn_all(struct emu *emu)
{
	static const struct emu_values one = { 0xa1a2a3a4a5a6a7a8, 0xc1c2c3c4c5c6c7c8, 0xd1d2d3d4d5d6d7d8, 0 };
	static const uint64_t flags[] = { 0, EMU_STATUS, SF, OF, SF | OF, ZF, CF, PF | AF };
	const struct emu_row *row = emu->row;
	unsigned int i, flag, nr = row->values ? row->nr_values : 1;
	unsigned int nr_flags = row->has_all_flags ? sizeof(flags) / sizeof(flags[0]) : 2;

	for (i = 0; i < nr; i++)
		for (flag = 0; flag < nr_flags; flag++)
			emu_insn(emu, row->values ? &row->values[i] : &one, flags[flag]);
}

/* The whole of a row. */
static inline void emu_row_run(struct test *t, const struct emu_row *row)
{
	emu_row_each(t, row, emu_insn_all);
}

#endif
