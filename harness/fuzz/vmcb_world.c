/* SPDX-License-Identifier: MIT */
#include "fuzz/vmcb_world.h"

#include <asm/svm.h>
#include <string.h>

#include "fuzz/vmcb_ops.h"
#include "vm/x86/bits.h"

#define PAGE_BYTES 0x1000u
#define ALL (PTE_P | PTE_W | PTE_U)
#define CODE_END (VMCB_CODE_GPA + PAGE_BYTES)
#define HLT 0xf4
#define CODE64_SEL 0x08
#define DATA_SEL 0x10
#define CODE32_SEL 0x18
#define TSS_SEL 0x40
#define FLAT_CODE (SEG_ATTRIB_P | SEG_ATTRIB_S | SEG_ATTRIB_G | 0xb)
#define FLAT_DATA (SEG_ATTRIB_P | SEG_ATTRIB_S | SEG_ATTRIB_G | SEG_ATTRIB_DB | 3)
#define GOLDEN_PAT 0x0007040600070406
#define GOLDEN_CR4 (X86_CR4_PAE | X86_CR4_PGE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT)
#define GOLDEN_CR0 (X86_CR0_PE | X86_CR0_ET | X86_CR0_NE | X86_CR0_WP)

static const uint64_t gdt[] = {
	0,
	0x00af9b000000ffff,	/* CODE64 */
	0x00cf93000000ffff,	/* DATA */
	0x00cf9b000000ffff,	/* CODE32 */
	0x00affb000000ffff,	/* 64-bit code, CPL 3 */
	0x00cff3000000ffff,	/* data, CPL 3 */
	0x00009b000000ffff,	/* 16-bit code */
	0,
	0x00008b0000000067 | (uint64_t)VMCB_TSS_GPA << 16,
	0,
};

static void put64(uint8_t *ram, uint64_t gpa, uint64_t value)
{
	memcpy(ram + gpa, &value, sizeof(value));
}

/* Gates of 64-bit code; the first 2 KiB of their table are no less good, or bad, in other modes. */
static void put_gates(uint8_t *ram)
{
	unsigned int vector;

	for (vector = 0; vector < 256; vector++) {
		uint64_t handler = VMCB_HANDLER_GPA + 16 * vector;

		put64(ram, VMCB_IDT_GPA + vector * 16, (handler & 0xffff) | CODE64_SEL << 16 | 0x8e00ull << 32 |
			(handler >> 16) << 48);
		ram[handler] = HLT;
	}
}

static void put_tables(uint8_t *ram)
{
	uint64_t gpa;

	put64(ram, VMCB_PML4_GPA, VMCB_PDPT_GPA | ALL);
	put64(ram, VMCB_PDPT_GPA, VMCB_PD_GPA | ALL);
	put64(ram, VMCB_PD_GPA, VMCB_PT_GPA | ALL);
	put64(ram, VMCB_PAE_PDPT_GPA, VMCB_PD_GPA | PTE_P);
	put64(ram, VMCB_NPML4_GPA, VMCB_NPDPT_GPA | ALL);
	put64(ram, VMCB_NPDPT_GPA, VMCB_NPD_GPA | ALL);
	put64(ram, VMCB_NPD_GPA, VMCB_NPT_GPA | ALL);
	for (gpa = 0; gpa < VMCB_RAM_BYTES; gpa += PAGE_BYTES)
		put64(ram, VMCB_PT_GPA + gpa / PAGE_BYTES * 8, gpa | ALL);
	for (gpa = 0; gpa < VMCB_L2_BYTES; gpa += PAGE_BYTES)
		put64(ram, VMCB_NPT_GPA + gpa / PAGE_BYTES * 8, gpa | ALL);
}

static void intercept(struct vmcb *vmcb, unsigned int code, bool is_on)
{
	uint32_t bit = 1u << code % 32, *word = &vmcb->control.intercept[code / 32];

	*word = is_on ? *word | bit : *word & ~bit;
}

static void put_control(struct vmcb_control *control)
{
	static const unsigned int codes[] = { SVM_EXIT_VMRUN, SVM_EXIT_VMMCALL, SVM_EXIT_HLT, SVM_EXIT_SHUTDOWN,
		SVM_EXIT_INTR, SVM_EXIT_NMI, SVM_EXIT_SMI, SVM_EXIT_INIT, SVM_EXIT_CPUID, SVM_EXIT_IOIO, SVM_EXIT_MSR };
	unsigned int i;

	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		control->intercept[codes[i] / 32] |= 1u << codes[i] % 32;
	control->iopm_base_pa = VMCB_IOPM_GPA;
	control->msrpm_base_pa = VMCB_MSRPM_GPA;
	control->asid = 1;
	control->int_ctl = V_INTR_MASKING;
	control->nested_cr3 = VMCB_NPML4_GPA;
}

static void put_save(struct vmcb_save *save)
{
	save->es = save->ss = save->ds = save->fs = save->gs = (struct vmcb_seg){ DATA_SEL, FLAT_DATA, ~0u, 0 };
	save->ldtr = (struct vmcb_seg){ 0, SEG_ATTRIB_P | 2, 0, 0 };
	save->tr = (struct vmcb_seg){ TSS_SEL, SEG_ATTRIB_P | 11, 0x67, VMCB_TSS_GPA };
	save->gdtr = (struct vmcb_seg){ .limit = sizeof(gdt) - 1, .base = VMCB_GDT_GPA };
	save->idtr = (struct vmcb_seg){ .limit = 256 * 16 - 1, .base = VMCB_IDT_GPA };
	save->dr6 = 0xffff0ff0;
	save->dr7 = 0x400;
	save->rflags = X86_EFLAGS_FIXED;
	save->rip = VMCB_CODE_GPA;
	save->rsp = VMCB_STACK_GPA;
	save->g_pat = GOLDEN_PAT;
}

void vmcb_world_base(struct vmcb *vmcb, enum svm_base base)
{
	struct vmcb_save *save = &vmcb->save;
	bool is_long = base == SVM_BASE_LONG || base == SVM_BASE_NPT;

	vmcb->control.nested_ctl = base == SVM_BASE_NPT ? NP_ENABLE : 0;
	save->cr0 = GOLDEN_CR0 | (base == SVM_BASE_UNPAGED ? 0 : X86_CR0_PG);
	save->cr3 = base == SVM_BASE_PAE ? VMCB_PAE_PDPT_GPA : VMCB_PML4_GPA;
	save->cr4 = GOLDEN_CR4;
	save->efer = EFER_SVME | EFER_NX | EFER_SCE | (is_long ? EFER_LME | EFER_LMA : 0);
	save->cs = (struct vmcb_seg){ is_long ? CODE64_SEL : CODE32_SEL, FLAT_CODE | (is_long ? SEG_ATTRIB_L :
		SEG_ATTRIB_DB), ~0u, 0 };
}

void vmcb_world_fill(uint8_t *ram)
{
	struct vmcb *vmcb = vmcb_world_vmcb(ram);

	memset(ram, 0, VMCB_RAM_BYTES);
	put_tables(ram);
	memcpy(ram + VMCB_GDT_GPA, gdt, sizeof(gdt));
	put_gates(ram);
	put64(ram, VMCB_TSS_GPA + 4, VMCB_STACK_GPA);
	memset(ram + VMCB_CODE_GPA, HLT, PAGE_BYTES);
	memset(ram + VMCB_IOPM_GPA, 0xff, IOPM_BYTES);
	memset(ram + VMCB_MSRPM_GPA, 0xff, MSRPM_BYTES);
	put_control(&vmcb->control);
	put_save(&vmcb->save);
	vmcb_world_base(vmcb, SVM_BASE_NPT);
}

/* --- operations --- */

static void written(struct vmcb_program *program, uint64_t gpa, uint64_t len_bytes)
{
	program->written(program->context, gpa, len_bytes);
}

static void apply_field(struct vmcb_program *program, unsigned int field, uint64_t value, bool is_xor)
{
	uint8_t *at = (uint8_t *)vmcb_world_vmcb(program->ram) + vmcb_fields[field].offset;
	unsigned int i;

	for (i = 0; i < vmcb_fields[field].len_bytes; i++, value >>= 8)
		at[i] = (uint8_t)(is_xor ? at[i] ^ value : value);
}

static void apply_rule(struct vmcb_program *program, const uint64_t *args)
{
	const struct svm_rule *rule = &svm_rules[args[0]];
	bool is_legal = args[1] == KIND_LEGAL;
	unsigned int nr = is_legal ? rule->nr_legal : rule->nr_illegal, count;
	const struct svm_edit *edit = is_legal ? rule->legal : rule->illegal;
	struct svm_rule_cpu cpu = program->rule_cpu;

	if (!nr)
		return;
	edit += args[2] % nr;
	count = svm_edit_count(edit, &cpu);
	if (!count)
		return;
	memcpy(cpu.pdpte, program->ram + VMCB_PAE_PDPT_GPA, sizeof(cpu.pdpte));
	svm_edit_apply(edit, (unsigned int)(args[3] % count), &cpu, vmcb_world_vmcb(program->ram));
	if (!edit->is_pdpte)
		return;
	memcpy(program->ram + VMCB_PAE_PDPT_GPA, cpu.pdpte, sizeof(cpu.pdpte));
	written(program, VMCB_PAE_PDPT_GPA, sizeof(cpu.pdpte));
}

static void apply_intercept_all(struct vmcb_program *program, bool is_on)
{
	struct vmcb *vmcb = vmcb_world_vmcb(program->ram);

	memset(vmcb->control.intercept, is_on ? 0xff : 0, sizeof(vmcb->control.intercept));
	intercept(vmcb, SVM_EXIT_VMRUN, true);
}

/* Where the golden tables that begin at @root have the entry; they have one table of each level. */
static uint64_t entry_gpa(uint64_t root, uint64_t address, uint64_t level)
{
	uint64_t table = root + (4 - (level ? level : 1)) * PAGE_BYTES;

	return table + (address >> (12 + 9 * ((level ? level : 1) - 1)) & 0x1ff) * 8;
}

static void apply_entry(struct vmcb_program *program, uint64_t root, const uint64_t *args)
{
	uint64_t gpa = entry_gpa(root, args[1], args[2]), value;

	memcpy(&value, program->ram + gpa, sizeof(value));
	put64(program->ram, gpa, args[0] == CHANGE_XOR ? value ^ args[3] : args[3]);
	written(program, gpa, sizeof(value));
}

static void change_bit(struct vmcb_program *program, uint64_t map, uint64_t bit, bool is_on)
{
	uint8_t *byte = program->ram + map + bit / 8, mask = (uint8_t)(1u << bit % 8);

	*byte = is_on ? *byte | mask : *byte & ~mask;
	written(program, map + bit / 8, 1);
}

static void change_map(struct vmcb_program *program, uint64_t map, uint64_t len_bytes, bool is_on)
{
	memset(program->ram + map, is_on ? 0xff : 0, len_bytes);
	written(program, map, len_bytes);
}

/* APM vol. 2, 15.11: two bits for each MSR, read and write, in three ranges of 0x2000. */
static void apply_msrpm(struct vmcb_program *program, const uint64_t *args)
{
	static const uint32_t firsts[] = { 0, 0xc0000000, 0xc0010000 };
	unsigned int i;

	for (i = 0; i < 3; i++) {
		uint64_t bit = ((uint32_t)args[0] - firsts[i]) * 2ull + i * 0x800 * 8;

		if ((uint32_t)args[0] - firsts[i] >= 0x2000)
			continue;
		if (args[1] != MSRPM_WRITE)
			change_bit(program, VMCB_MSRPM_GPA, bit, args[2] == ON);
		if (args[1] != MSRPM_READ)
			change_bit(program, VMCB_MSRPM_GPA, bit + 1, args[2] == ON);
	}
}

static void apply_inject(struct vmcb_program *program, const uint64_t *args, bool has_error)
{
	static const uint32_t types[] = { EVENT_INTR, EVENT_NMI, EVENT_EXCEPTION, EVENT_SOFT };
	struct vmcb_control *control = &vmcb_world_vmcb(program->ram)->control;

	control->event_inj = EVENT_VALID | types[args[0]] | (uint32_t)args[1] | (has_error ? EVENT_HAS_ERROR : 0);
	control->event_inj_error = has_error ? (uint32_t)args[2] : 0;
}

static void apply_virq(struct vmcb_program *program, const uint64_t *args)
{
	struct vmcb_control *control = &vmcb_world_vmcb(program->ram)->control;

	control->int_ctl = (control->int_ctl & ~V_PRIORITY(0xf)) | V_IRQ | V_PRIORITY(args[1]);
	control->int_vector = (uint32_t)args[0];
}

static void apply_flush(struct vmcb_program *program, uint64_t what)
{
	static const uint8_t values[] = { TLB_FLUSH_ALL, TLB_FLUSH_ASID, TLB_FLUSH_ASID_LOCAL, 0 };

	vmcb_world_vmcb(program->ram)->control.tlb_control = values[what];
}

/* The first one since the last VMRUN takes RIP to it. Behind the last one, L2 halts. */
static void apply_code(struct vmcb_program *program, const struct input_op *op)
{
	uint8_t code[VMCB_MAX_CODE_BYTES];
	unsigned int len = vmcb_code(op, code);
	uint64_t gpa = VMCB_CODE_GPA + program->code_at;

	if (!len || gpa + len >= CODE_END)
		return;
	memcpy(program->ram + gpa, code, len);
	program->ram[gpa + len] = HLT;
	written(program, gpa, len + 1);
	if (!program->has_code)
		vmcb_world_vmcb(program->ram)->save.rip = gpa;
	program->has_code = true;
	program->code_at += len;
}

static void apply_skip(struct vmcb_program *program)
{
	struct vmcb *vmcb = vmcb_world_vmcb(program->ram);

	if (vmcb->control.next_rip)
		vmcb->save.rip = vmcb->control.next_rip;
}

static void apply_poke(struct vmcb_program *program, const struct input_op *op)
{
	memcpy(program->ram + op->args[0], op->bytes, op->nr_bytes);
	written(program, op->args[0], op->nr_bytes);
}

/* L2 is to exit to user space there, and L1 does not mind. */
static void apply_host(struct vmcb_program *program, const struct input_op *op)
{
	if (op->args[0] == IN_L1)
		return;
	change_bit(program, VMCB_IOPM_GPA, VMCB_HOST_PORT, false);
	apply_code(program, op);
}

/* Bits of what is Hyper-V's in the VMCB, and that it is to be looked at. */
static void apply_hyperv(struct vmcb *vmcb, uint64_t value)
{
	vmcb->control.software_3e0[0] = (uint8_t)value;
	vmcb->control.clean |= 1u << 31;
}

void vmcb_program_apply(struct vmcb_program *program, const struct input_op *op)
{
	struct vmcb *vmcb = vmcb_world_vmcb(program->ram);
	const uint64_t *args = op->args;

	switch (op->kind) {
	case VMCB_OP_SKIP:
		apply_skip(program);
		break;
	case VMCB_OP_MIGRATE:
		program->migrates = true;
		break;
	case VMCB_OP_BASE:
		vmcb_world_base(vmcb, (enum svm_base)args[0]);
		break;
	case VMCB_OP_SET:
	case VMCB_OP_XOR:
		apply_field(program, (unsigned int)args[0], args[1], op->kind == VMCB_OP_XOR);
		break;
	case VMCB_OP_RULE:
		apply_rule(program, args);
		break;
	case VMCB_OP_INTERCEPT:
		intercept(vmcb, (unsigned int)args[0], args[1] == ON);
		break;
	case VMCB_OP_INTERCEPT_ALL:
		apply_intercept_all(program, args[0] == ON);
		break;
	case VMCB_OP_NPT:
		program->has_own_tables = true;
		apply_entry(program, VMCB_NPML4_GPA, args);
		break;
	case VMCB_OP_PT:
		apply_entry(program, VMCB_PML4_GPA, args);
		break;
	case VMCB_OP_IOPM:
		change_bit(program, VMCB_IOPM_GPA, args[0], args[1] == ON);
		break;
	case VMCB_OP_IOPM_ALL:
		change_map(program, VMCB_IOPM_GPA, IOPM_BYTES, args[0] == ON);
		break;
	case VMCB_OP_MSRPM_ALL:
		change_map(program, VMCB_MSRPM_GPA, MSRPM_BYTES, args[0] == ON);
		break;
	case VMCB_OP_MSRPM:
		apply_msrpm(program, args);
		break;
	case VMCB_OP_INJECT:
	case VMCB_OP_INJECT_ERROR:
		apply_inject(program, args, op->kind == VMCB_OP_INJECT_ERROR);
		break;
	case VMCB_OP_VIRQ:
		apply_virq(program, args);
		break;
	case VMCB_OP_PIN:
		program->pins |= 1u << args[0];
		break;
	case VMCB_OP_FLUSH:
		apply_flush(program, args[0]);
		break;
	case VMCB_OP_REG:
		program->regs[args[0]] = args[1];
		break;
	case VMCB_OP_POKE:
		apply_poke(program, op);
		break;
	case VMCB_OP_HYPERV:
		apply_hyperv(vmcb, args[0]);
		break;
	default:
		if (vmcb_op_is_host(op))
			apply_host(program, op);
		else
			apply_code(program, op);
		break;
	}
}

const struct svm_rule *vmcb_program_predict(const struct vmcb_program *program)
{
	const struct vmcb *vmcb = vmcb_world_vmcb(program->ram);
	struct svm_rule_cpu cpu = program->rule_cpu;
	unsigned int i;

	/* Tables that are beyond the RAM are all ones; PDPTEs are looked at in PAE mode only. */
	for (i = 0; i < 4; i++) {
		uint64_t at = (vmcb->save.cr3 & 0xffffffe0) + i * 8;

		cpu.pdpte[i] = ~0ull;
		if (at < VMCB_RAM_BYTES)
			memcpy(&cpu.pdpte[i], program->ram + at, 8);
	}
	return svm_rule_broken(vmcb, &cpu, 0);
}

bool vmcb_program_is_isolated(const struct vmcb_program *program)
{
	const struct vmcb_control *control = &vmcb_world_vmcb(program->ram)->control;

	return (control->nested_ctl & NP_ENABLE) && !program->has_own_tables &&
	       (control->nested_cr3 & ~0xfffull) == VMCB_NPML4_GPA &&
	       (control->intercept[SVM_EXIT_VMSAVE / 32] >> SVM_EXIT_VMSAVE % 32 & 1);
}

void vmcb_program_ran(struct vmcb_program *program)
{
	/* What runs next begins behind the HLT. */
	program->code_at += program->has_code;
	program->has_code = program->migrates = false;
	program->pins = 0;
}
