/* SPDX-License-Identifier: MIT */
/*
 * SVM of the machine, against the manual: a guest that the test runs by machine_vmrun(), with nested paging unless it
 * says otherwise, and what its #VMEXIT leaves (APM vol. 2, chapter 15). One guest page table entry and one nested entry
 * decide about the page at PT_LINEAR.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <asm/svm.h>
#include <cmocka.h>

#include "machine/private.h"
#include "machine/svm.h"
#include "machine_fixture.h"

#define BUDGET 1000
#define VMCB_GPA 0x50000u
#define NPML4_GPA 0x51000u
#define NPDPT_GPA 0x52000u
#define NPD_GPA 0x53000u
#define NPT_GPA 0x54000u	/* all of the RAM, page by page */
#define HOST_VMCB_GPA 0x55000u
#define HSAVE_GPA 0x56000u
#define IOPM_GPA 0x58000u
#define MSRPM_GPA 0x5c000u
#define ALL (PTE_P | PTE_W | PTE_U)
#define NP_ERROR_P 1u
#define NP_ERROR_W 2u
#define NP_ERROR_U 4u
#define NP_ERROR_RSVD 8u
#define NP_ERROR_I 16u

struct svm_fixture {
	struct fixture base;
	struct cpu *cpu;
	struct vmcb *vmcb;
};

static void intercept(struct svm_fixture *f, unsigned int code)
{
	f->vmcb->control.intercept[code / 32] |= 1u << code % 32;
}

static void nested_map(struct svm_fixture *f, uint64_t gpa, uint64_t entry)
{
	fixture_put(&f->base, NPT_GPA + gpa / 0x1000 * 8, entry, 8);
}

static void put_nested_tables(struct svm_fixture *f)
{
	uint64_t gpa;

	fixture_put(&f->base, NPML4_GPA, NPDPT_GPA | ALL, 8);
	fixture_put(&f->base, NPDPT_GPA, NPD_GPA | ALL, 8);
	fixture_put(&f->base, NPD_GPA, NPT_GPA | ALL, 8);
	for (gpa = 0; gpa < FIXTURE_RAM_BYTES; gpa += 0x1000)
		nested_map(f, gpa, gpa | ALL);
}

static struct vmcb_seg seg_of(const struct segment *segment)
{
	return (struct vmcb_seg) { segment->selector, segment->attrib, segment->limit, segment->base };
}

/* The CPU's state becomes the guest's, and the CPU a host. */
static void become_host(struct svm_fixture *f)
{
	struct vmcb_save *save = &f->vmcb->save;
	struct cpu *cpu = f->cpu;

	save->es = seg_of(&cpu->segs[SEG_ES]);
	save->cs = seg_of(&cpu->segs[SEG_CS]);
	save->ss = seg_of(&cpu->segs[SEG_SS]);
	save->ds = seg_of(&cpu->segs[SEG_DS]);
	save->gdtr = (struct vmcb_seg) { .limit = cpu->gdtr.limit, .base = cpu->gdtr.base };
	save->idtr = (struct vmcb_seg) { .limit = cpu->idtr.limit, .base = cpu->idtr.base };
	save->efer = cpu->efer | EFER_SVME;
	save->cr0 = cpu->cr0;
	save->cr3 = cpu->cr3;
	save->cr4 = cpu->cr4;
	save->dr6 = 0xffff0ff0;
	save->dr7 = 0x400;
	save->rflags = X86_EFLAGS_FIXED;
	save->rip = cpu->rip;
	save->rsp = cpu->regs[REG_RSP];
	save->g_pat = 0x0007040600070406;
	f->vmcb->control.asid = 1;
	f->vmcb->control.iopm_base_pa = IOPM_GPA;
	f->vmcb->control.msrpm_base_pa = MSRPM_GPA;
	f->vmcb->control.nested_ctl = NP_ENABLE;
	f->vmcb->control.nested_cr3 = NPML4_GPA;
	intercept(f, SVM_EXIT_VMRUN);
	machine_enter_host(cpu);
}

static void open_code(struct svm_fixture *f, const uint8_t *code, const uint8_t *end)
{
	fixture_open(&f->base);
	fixture_enter_long64(&f->base);
	fixture_load(&f->base, code, end);
	f->cpu = f->base.cpu;
	f->vmcb = (struct vmcb *)(void *)(f->base.ram + VMCB_GPA);
	put_nested_tables(f);
	become_host(f);
	intercept(f, SVM_EXIT_HLT);
}

#define OPEN(f, code) open_code(f, code, code##_end)

static void run_until(struct svm_fixture *f, uint64_t code)
{
	assert_int_equal(machine_vmrun(f->cpu, VMCB_GPA, BUDGET), MACHINE_EXIT_VMEXIT);
	assert_int_equal(f->vmcb->control.exit_code, code);
	assert_false(machine_in_guest(f->cpu));
}

static void assert_exit(const struct svm_fixture *f, uint64_t info_1, uint64_t info_2)
{
	assert_int_equal(f->vmcb->control.exit_info_1, info_1);
	assert_int_equal(f->vmcb->control.exit_info_2, info_2);
}

static void close_all(struct svm_fixture *f)
{
	fixture_close(&f->base);
}

/* --- the world switch --- */

MACHINE_CODE(count, "inc %rax; inc %rbx; hlt");

static void test_world_switch(void **state)
{
	struct svm_fixture f;
	struct segment host_cs;

	(void)state;
	OPEN(&f, count);
	f.vmcb->save.rax = 41;
	f.vmcb->save.cr2 = 0x1234;
	f.vmcb->save.dr7 = 0x2400;
	f.cpu->regs[REG_RAX] = VMCB_GPA;
	f.cpu->regs[REG_RBX] = 6;
	f.cpu->regs[REG_RSP] = 0x7777;
	f.cpu->rip = 0xabcd;
	f.cpu->dr[7] = 0x401;
	host_cs = f.cpu->segs[SEG_CS];
	run_until(&f, SVM_EXIT_HLT);
	assert_int_equal(f.vmcb->save.rax, 42);
	assert_int_equal(f.vmcb->save.cr2, 0x1234);
	assert_int_equal(f.vmcb->save.rip, CODE_GPA + 6);
	assert_int_equal(f.vmcb->control.next_rip, CODE_GPA + 7);
	assert_int_equal(f.cpu->regs[REG_RAX], VMCB_GPA);
	assert_int_equal(f.cpu->regs[REG_RBX], 7);
	assert_int_equal(f.cpu->regs[REG_RSP], 0x7777);
	assert_int_equal(f.cpu->rip, 0xabcd);
	assert_int_equal(f.cpu->dr[7], 0x400);
	assert_int_equal(f.cpu->asid, 0);
	assert_false(f.cpu->svm.has_gif);
	assert_memory_equal(&f.cpu->segs[SEG_CS], &host_cs, sizeof(host_cs));
	close_all(&f);
}

static void test_refused(void **state)
{
	struct svm_fixture f;

	(void)state;
	OPEN(&f, count);
	f.vmcb->control.asid = 0;
	run_until(&f, (uint64_t)SVM_EXIT_ERR);
	assert_int_equal(machine_vmrun(f.cpu, VMCB_GPA + 8, BUDGET), MACHINE_EXIT_EXCEPTION);
	assert_int_equal(f.cpu->fault.vector, VECTOR_GP);
	f.cpu->efer &= ~EFER_SVME;
	assert_int_equal(machine_vmrun(f.cpu, VMCB_GPA, BUDGET), MACHINE_EXIT_EXCEPTION);
	assert_int_equal(f.cpu->fault.vector, VECTOR_UD);
	close_all(&f);
}

/* Each value of a rule that needs no other paging mode: VMRUN refuses the illegal ones alone. */
static void run_edit(const struct svm_edit *edit, bool is_legal)
{
	struct svm_fixture f;
	unsigned int i, nr;

	OPEN(&f, count);
	nr = svm_edit_count(edit, &f.base.machine->svm_rule_cpu);
	for (i = 0; i < nr; i++) {
		struct vmcb before = *f.vmcb;

		f.vmcb->control.nested_ctl = edit->base == SVM_BASE_NPT ? NP_ENABLE : 0;
		memset(f.vmcb->control.intercept, 0xff, sizeof(f.vmcb->control.intercept));
		svm_edit_apply(edit, i, &f.base.machine->svm_rule_cpu, f.vmcb);
		machine_vmrun(f.cpu, VMCB_GPA, BUDGET);
		machine_vmrun_abandon(f.cpu, SVM_EXIT_INTR);
		assert_int_equal(f.vmcb->control.exit_code != (uint64_t)SVM_EXIT_ERR, is_legal);
		*f.vmcb = before;
	}
	close_all(&f);
}

static void run_edits(const struct svm_edit *edits, unsigned int nr, bool is_legal)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (edits[i].base <= SVM_BASE_NPT && !edits[i].is_pdpte)
			run_edit(&edits[i], is_legal);
}

static void test_rules(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < NR_SVM_RULES; i++) {
		/* This CPU has nested paging. */
		if (i != SVM_RULE_np_unsupported)
			run_edits(svm_rules[i].illegal, svm_rules[i].nr_illegal, false);
		run_edits(svm_rules[i].legal, svm_rules[i].nr_legal, true);
	}
}

MACHINE_CODE(forever, "1: jmp 1b");

static void test_budget_and_continue(void **state)
{
	struct svm_fixture f;

	(void)state;
	OPEN(&f, forever);
	intercept(&f, SVM_EXIT_INTR);
	f.vmcb->control.int_ctl = V_INTR_MASKING;
	assert_int_equal(machine_vmrun(f.cpu, VMCB_GPA, 10), MACHINE_EXIT_BUDGET);
	assert_true(machine_in_guest(f.cpu));
	assert_int_equal(machine_vmrun_continue(f.cpu, 10), MACHINE_EXIT_BUDGET);
	machine_set_intr(f.cpu, true);
	assert_int_equal(machine_vmrun_continue(f.cpu, 10), MACHINE_EXIT_VMEXIT);
	assert_int_equal(f.vmcb->control.exit_code, SVM_EXIT_INTR);
	close_all(&f);
}

/* What another program writes into the guest's code is seen once the machine is told that something may have changed. */
static void test_changed_code(void **state)
{
	struct svm_fixture f;

	(void)state;
	OPEN(&f, count);
	f.cpu->regs[REG_RBX] = 0;
	run_until(&f, SVM_EXIT_HLT);
	f.base.ram[CODE_GPA + 5] = 0xcb;	/* dec %rbx */
	f.vmcb->save.rip = CODE_GPA;
	machine_ram_may_have_changed(f.base.machine);
	run_until(&f, SVM_EXIT_HLT);
	assert_int_equal(f.cpu->regs[REG_RBX], 0);
	assert_int_equal(f.vmcb->save.rax, 2);
	close_all(&f);
}

/* --- pins --- */

static void test_pins(void **state)
{
	static const struct {
		void (*set)(struct cpu *cpu);
		uint64_t code;
	} pins[] = {
		{ machine_set_nmi, SVM_EXIT_NMI }, { machine_set_smi, SVM_EXIT_SMI }, { machine_set_init, SVM_EXIT_INIT },
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(pins) / sizeof(pins[0]); i++) {
		struct svm_fixture f;

		OPEN(&f, forever);
		intercept(&f, (unsigned int)pins[i].code);
		pins[i].set(f.cpu);
		run_until(&f, pins[i].code);
		assert_int_equal(f.vmcb->save.rip, CODE_GPA);
		/* It stays pending. */
		run_until(&f, pins[i].code);
		assert_int_equal(machine_take_nmi(f.cpu), pins[i].code == SVM_EXIT_NMI);
		close_all(&f);
	}
}

/* Without V_INTR_MASKING the guest's IF is what masks, with it the host's. */
static void test_interrupt_mask(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 8; i++) {
		bool is_masking = i & 1, guest_if = i & 2, host_if = i & 4;
		struct svm_fixture f;

		OPEN(&f, count);
		intercept(&f, SVM_EXIT_INTR);
		f.vmcb->control.int_ctl = is_masking ? V_INTR_MASKING : 0;
		f.vmcb->save.rflags |= guest_if ? X86_EFLAGS_IF : 0;
		if (!host_if)
			f.cpu->rflags &= ~X86_EFLAGS_IF;
		machine_set_intr(f.cpu, true);
		run_until(&f, (is_masking ? host_if : guest_if) ? SVM_EXIT_INTR : SVM_EXIT_HLT);
		close_all(&f);
	}
}

/* --- instruction intercepts --- */

#define ONE(name, text) MACHINE_CODE(insn_##name, text "; hlt")

ONE(read_cr0, "mov %cr0, %rbx"); ONE(write_cr0, "mov %rbx, %cr0"); ONE(read_cr3, "mov %cr3, %r9");
ONE(write_cr8, "mov %rbp, %cr8"); ONE(smsw, "smsw %eax"); ONE(lmsw, "lmsw %bx"); ONE(clts, "clts");
ONE(read_dr7, "mov %dr7, %rsi"); ONE(write_dr0, "mov %rdi, %dr0"); ONE(sidt, "sidt -16(%rsp)");
ONE(sgdt, "sgdt -16(%rsp)"); ONE(sldt, "sldt %eax"); ONE(str, "str %eax"); ONE(lidt, "lidt -16(%rsp)");
ONE(lgdt, "lgdt -16(%rsp)"); ONE(lldt, "lldt %cx"); ONE(ltr, "ltr %cx"); ONE(rdtsc, "rdtsc");
ONE(rdtscp, "rdtscp"); ONE(pushf, "pushfq"); ONE(popf, "popfq"); ONE(cpuid, "cpuid"); ONE(iret, "iretq");
ONE(swint, "int $0x80"); ONE(icebp, ".byte 0xf1"); ONE(invd, "invd"); ONE(wbinvd, "wbinvd"); ONE(pause, "pause");
ONE(hlt, "hlt"); ONE(invlpg, "invlpg 0x123(%rsp)"); ONE(invlpga, "invlpga"); ONE(vmrun, "vmrun");
ONE(vmmcall, "vmmcall"); ONE(vmload, "vmload"); ONE(vmsave, "vmsave"); ONE(stgi, "stgi"); ONE(clgi, "clgi");
ONE(rdpmc, "rdpmc"); ONE(monitor, "monitor"); ONE(mwait, "mwait");
ONE(invpcid, "invpcid (%rsp), %rcx");

struct insn {
	const char *name;
	const uint8_t *code, *end;
	unsigned int exit_code;
	uint64_t info_1;
	int user_vector;	/* at CPL 3: what comes before the intercept; -1: the intercept */
};

#define MOV (1ull << 63)
#define INSN(name, code, info, user) { #name, insn_##name, insn_##name##_end, code, info, user }

static const struct insn insns[] = {
	INSN(read_cr0, SVM_EXIT_READ_CR0, MOV | REG_RBX, VECTOR_GP),
	INSN(write_cr0, SVM_EXIT_WRITE_CR0, MOV | REG_RBX, VECTOR_GP),
	INSN(read_cr3, SVM_EXIT_READ_CR3, MOV | REG_R9, VECTOR_GP),
	INSN(write_cr8, SVM_EXIT_WRITE_CR8, MOV | REG_RBP, VECTOR_GP),
	INSN(smsw, SVM_EXIT_READ_CR0, 0, -1), INSN(lmsw, SVM_EXIT_WRITE_CR0, 0, VECTOR_GP),
	INSN(clts, SVM_EXIT_WRITE_CR0, 0, VECTOR_GP),
	INSN(read_dr7, SVM_EXIT_READ_DR7, REG_RSI, VECTOR_GP),
	INSN(write_dr0, SVM_EXIT_WRITE_DR0, REG_RDI, VECTOR_GP),
	INSN(sidt, SVM_EXIT_IDTR_READ, 0, -1), INSN(sgdt, SVM_EXIT_GDTR_READ, 0, -1),
	INSN(sldt, SVM_EXIT_LDTR_READ, 0, -1), INSN(str, SVM_EXIT_TR_READ, 0, -1),
	INSN(lidt, SVM_EXIT_IDTR_WRITE, 0, VECTOR_GP), INSN(lgdt, SVM_EXIT_GDTR_WRITE, 0, VECTOR_GP),
	INSN(lldt, SVM_EXIT_LDTR_WRITE, 0, VECTOR_GP), INSN(ltr, SVM_EXIT_TR_WRITE, 0, VECTOR_GP),
	INSN(rdtsc, SVM_EXIT_RDTSC, 0, -1), INSN(rdtscp, SVM_EXIT_RDTSCP, 0, -1),
	INSN(pushf, SVM_EXIT_PUSHF, 0, -1), INSN(popf, SVM_EXIT_POPF, 0, -1), INSN(cpuid, SVM_EXIT_CPUID, 0, -1),
	INSN(iret, SVM_EXIT_IRET, 0, -1), INSN(swint, SVM_EXIT_SWINT, 0x80, -1), INSN(icebp, SVM_EXIT_ICEBP, 0, -1),
	INSN(invd, SVM_EXIT_INVD, 0, VECTOR_GP), INSN(wbinvd, SVM_EXIT_WBINVD, 0, VECTOR_GP),
	INSN(pause, SVM_EXIT_PAUSE, 0, -1), INSN(hlt, SVM_EXIT_HLT, 0, VECTOR_GP),
	INSN(invlpg, SVM_EXIT_INVLPG, STACK_GPA + 0x123, VECTOR_GP),
	INSN(invlpga, SVM_EXIT_INVLPGA, 0, VECTOR_GP), INSN(invpcid, SVM_EXIT_INVPCID, 0, VECTOR_GP),
	INSN(vmrun, SVM_EXIT_VMRUN, 0, VECTOR_GP), INSN(vmmcall, SVM_EXIT_VMMCALL, 0, -1),
	INSN(vmload, SVM_EXIT_VMLOAD, 0, VECTOR_GP), INSN(vmsave, SVM_EXIT_VMSAVE, 0, VECTOR_GP),
	INSN(rdpmc, SVM_EXIT_RDPMC, 0, VECTOR_GP), INSN(monitor, SVM_EXIT_MONITOR, 0, VECTOR_UD),
	INSN(mwait, SVM_EXIT_MWAIT, 0, VECTOR_UD),
	INSN(stgi, SVM_EXIT_STGI, 0, VECTOR_GP), INSN(clgi, SVM_EXIT_CLGI, 0, VECTOR_GP),
};

static void test_instructions(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(insns) / sizeof(insns[0]); i++) {
		const struct insn *insn = &insns[i];
		struct svm_fixture f;

		print_message("# %s\n", insn->name);
		open_code(&f, insn->code, insn->end);
		f.cpu->regs[REG_RBX] = f.vmcb->save.cr0;
		f.cpu->regs[REG_RBP] = 3;
		intercept(&f, insn->exit_code);
		run_until(&f, insn->exit_code);
		assert_exit(&f, insn->info_1, 0);
		assert_int_equal(f.vmcb->save.rip, CODE_GPA);
		assert_int_equal(f.vmcb->control.next_rip, CODE_GPA + (uint64_t)(insn->end - insn->code) - 1);
		close_all(&f);
	}
}

/* At CPL 3 the #GP comes before the intercept, where the manual says that exceptions do. */
static void test_instructions_of_user(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(insns) / sizeof(insns[0]); i++) {
		const struct insn *insn = &insns[i];
		struct svm_fixture f;

		print_message("# %s\n", insn->name);
		open_code(&f, insn->code, insn->end);
		f.vmcb->save.cpl = 3;
		fixture_put(&f.base, PD_GPA, PTE_P | PTE_W | PTE_U | PTE_PS, 8);
		intercept(&f, insn->exit_code);
		intercept(&f, SVM_EXIT_EXCP_BASE + VECTOR_GP);
		intercept(&f, SVM_EXIT_EXCP_BASE + VECTOR_UD);
		run_until(&f, insn->user_vector < 0 ? insn->exit_code :
			SVM_EXIT_EXCP_BASE + (unsigned int)insn->user_vector);
		assert_int_equal(f.vmcb->save.rip, CODE_GPA);
		assert_int_equal(f.vmcb->save.cpl, 3);
		close_all(&f);
	}
}

MACHINE_CODE(cr0_ts_mp, "mov %cr0, %rax; xor $0xa, %rax; mov %rax, %cr0; xor $0x10000, %rax; mov %rax, %cr0; hlt");

static void test_cr0_selective(void **state)
{
	struct svm_fixture f;

	(void)state;
	OPEN(&f, cr0_ts_mp);
	intercept(&f, SVM_EXIT_CR0_SEL_WRITE);
	run_until(&f, SVM_EXIT_CR0_SEL_WRITE);
	assert_int_equal(f.vmcb->save.rip, cr0_ts_mp_end - cr0_ts_mp - 4 + CODE_GPA);
	assert_int_equal(f.vmcb->save.cr0 & 0xa, 0xa);
	close_all(&f);
}

MACHINE_CODE(lmsw_ts, "mov $9, %ax; lmsw %ax; hlt");

static void test_lmsw_selective(void **state)
{
	struct svm_fixture f;

	(void)state;
	OPEN(&f, lmsw_ts);
	intercept(&f, SVM_EXIT_CR0_SEL_WRITE);
	run_until(&f, SVM_EXIT_CR0_SEL_WRITE);
	assert_int_equal(f.vmcb->save.rip, CODE_GPA + 4);
	close_all(&f);
}

MACHINE_CODE(armed, "mwait; inc %rbx; mov %rsp, %rax; monitor; mwait; hlt");

static void test_mwait_armed(void **state)
{
	struct svm_fixture f;

	(void)state;
	OPEN(&f, armed);
	f.cpu->regs[REG_RBX] = f.cpu->regs[REG_RCX] = 0;
	intercept(&f, SVM_EXIT_MWAIT_COND);
	run_until(&f, SVM_EXIT_MWAIT_COND);
	assert_int_equal(f.cpu->regs[REG_RBX], 1);
	close_all(&f);
}

/* --- permission maps --- */

MACHINE_CODE(in_byte, "in $0x60, %al; hlt");
MACHINE_CODE(out_dword, "out %eax, %dx; hlt");
MACHINE_CODE(rep_outs, "rep outsw %gs:(%rsi), %dx; hlt");
MACHINE_CODE(insb32, "insb %dx, %es:(%edi); hlt");
MACHINE_CODE(wide_ins, ".byte 0x48; insl %dx, %es:(%rdi); hlt");
MACHINE_CODE(wide_outs, ".byte 0x48; outsl %ds:(%rsi), %dx; hlt");

static void test_ports(void **state)
{
	static const struct {
		const uint8_t *code, *end;
		uint16_t port, map_port;
		uint64_t info;
	} rows[] = {
		{ in_byte, in_byte_end, 0x60, 0x60,
		  IOIO_PORT(0x60) | IOIO_IN | IOIO_SIZE(1) | IOIO_ADDRESS(8) },
		/* The last of four ports, in the next byte of the map. */
		{ out_dword, out_dword_end, 0x3c6, 0x3c9, IOIO_PORT(0x3c6) | IOIO_SIZE(4) | IOIO_ADDRESS(8) },
		{ rep_outs, rep_outs_end, 0x1234, 0x1234,
		  IOIO_PORT(0x1234) | IOIO_STRING | IOIO_REP | IOIO_SIZE(2) | IOIO_ADDRESS(8) | IOIO_SEGMENT(5) },
		{ insb32, insb32_end, 0xffff, 0xffff,
		  IOIO_PORT(0xffffu) | IOIO_STRING | IOIO_IN | IOIO_SIZE(1) | IOIO_ADDRESS(4) },
		/* REX.W makes no port of 8 bytes. */
		{ wide_ins, wide_ins_end, 0x80, 0x83,
		  IOIO_PORT(0x80) | IOIO_STRING | IOIO_IN | IOIO_SIZE(4) | IOIO_ADDRESS(8) },
		{ wide_outs, wide_outs_end, 0x80, 0x80,
		  IOIO_PORT(0x80) | IOIO_STRING | IOIO_SIZE(4) | IOIO_ADDRESS(8) | IOIO_SEGMENT(3) },
	};
	unsigned int i, is_set;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (is_set = 0; is_set < 2; is_set++) {
			struct svm_fixture f;

			open_code(&f, rows[i].code, rows[i].end);
			f.cpu->regs[REG_RDX] = rows[i].port;
			f.cpu->regs[REG_RCX] = 1;
			f.cpu->regs[REG_RSI] = f.cpu->regs[REG_RDI] = DATA_GPA;
			intercept(&f, SVM_EXIT_IOIO);
			f.base.ram[IOPM_GPA + rows[i].map_port / 8] = (uint8_t)(is_set << rows[i].map_port % 8);
			run_until(&f, is_set ? SVM_EXIT_IOIO : SVM_EXIT_HLT);
			if (is_set)
				assert_exit(&f, rows[i].info,
					CODE_GPA + (uint64_t)(rows[i].end - rows[i].code) - 1);
			close_all(&f);
		}
}

MACHINE_CODE(read_msr, "rdmsr; hlt");
MACHINE_CODE(write_msr, "wrmsr; hlt");

static void test_msrs(void **state)
{
	static const struct {
		uint32_t msr;
		unsigned int byte, bit;		/* read; write is the next bit */
	} rows[] = {
		{ MSR_IA32_SYSENTER_CS, 0x174 / 4, 0 }, { MSR_STAR, 0x800 + 0x81 / 4, 2 },
		{ MSR_VM_HSAVE_PA, 0x1000 + 0x117 / 4, 6 },
	};
	unsigned int i, is_write, is_set;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (is_write = 0; is_write < 2; is_write++)
			for (is_set = 0; is_set < 2; is_set++) {
				struct svm_fixture f;

				if (is_write)
					OPEN(&f, write_msr);
				else
					OPEN(&f, read_msr);
				f.cpu->regs[REG_RCX] = rows[i].msr;
				f.cpu->regs[REG_RDX] = 0;
				intercept(&f, SVM_EXIT_MSR);
				f.base.ram[MSRPM_GPA + rows[i].byte] =
					(uint8_t)(1 << (rows[i].bit + (is_set ? is_write : !is_write)));
				run_until(&f, is_set ? SVM_EXIT_MSR : SVM_EXIT_HLT);
				if (is_set)
					assert_exit(&f, is_write, 0);
				close_all(&f);
			}
}

/* An MSR that the map does not have. */
static void test_msr_beyond(void **state)
{
	struct svm_fixture f;

	(void)state;
	OPEN(&f, read_msr);
	f.cpu->regs[REG_RCX] = 0x2000;
	intercept(&f, SVM_EXIT_MSR);
	run_until(&f, SVM_EXIT_MSR);
	close_all(&f);
}

/* --- exceptions --- */

MACHINE_CODE(load, "mov 8(%rbx), %rax; hlt");
MACHINE_CODE(store, "mov %rax, (%rbx); hlt");
MACHINE_CODE(modify, "incl (%rbx); hlt");
MACHINE_CODE(call, "call *%rbx; hlt");
MACHINE_CODE(breakpoint, "int3; hlt");
MACHINE_CODE(interrupt_14, "int $14; hlt");

static void test_page_fault(void **state)
{
	struct svm_fixture f;

	(void)state;
	OPEN(&f, load);
	f.cpu->regs[REG_RBX] = PT_LINEAR;
	f.vmcb->save.cr2 = 0x5555;
	intercept(&f, SVM_EXIT_EXCP_BASE + VECTOR_PF);
	run_until(&f, SVM_EXIT_EXCP_BASE + VECTOR_PF);
	assert_exit(&f, 0, PT_LINEAR + 8);
	assert_int_equal(f.vmcb->save.cr2, 0x5555);
	assert_int_equal(f.vmcb->control.next_rip, 0);
	assert_int_equal(f.vmcb->control.nr_insn_bytes, 15);
	assert_memory_equal(f.vmcb->control.insn_bytes, load, (size_t)(load_end - load));
	close_all(&f);
}

/* INT3's RIP is the instruction's own when it is intercepted; INT n is no exception. */
static void test_software_exceptions(void **state)
{
	struct svm_fixture f;

	(void)state;
	OPEN(&f, breakpoint);
	intercept(&f, SVM_EXIT_EXCP_BASE + VECTOR_BP);
	run_until(&f, SVM_EXIT_EXCP_BASE + VECTOR_BP);
	assert_int_equal(f.vmcb->save.rip, CODE_GPA);
	assert_int_equal(f.vmcb->control.next_rip, CODE_GPA + 1);
	close_all(&f);
	OPEN(&f, interrupt_14);
	intercept(&f, SVM_EXIT_EXCP_BASE + VECTOR_PF);
	run_until(&f, SVM_EXIT_HLT);
	assert_int_equal(f.vmcb->save.rip, HANDLER_GPA + 16 * 14);
	close_all(&f);
}

/* Breakpoints of the guest's DR7: a fault before the instruction, a trap behind the access. */
static void test_breakpoints(void **state)
{
	static const struct {
		const char *name;
		uint64_t address, dr7, rip;	/* rip 0: none hits */
	} rows[] = {
		{ "execute", CODE_GPA + 4, 1, CODE_GPA + 4 },
		{ "execute, not enabled", CODE_GPA + 4, 0, 0 },
		{ "read or write, 4 bytes", DATA_GPA + 12, 0xf0001, CODE_GPA + 4 },
		{ "write", DATA_GPA + 8, 0xd0001, 0 },
		{ "read or write, another byte", DATA_GPA + 16, 0x30001, 0 },
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct svm_fixture f;

		print_message("# %s\n", rows[i].name);
		OPEN(&f, load);
		f.cpu->regs[REG_RBX] = DATA_GPA;
		f.cpu->dr[0] = rows[i].address;
		f.vmcb->save.dr7 = rows[i].dr7;
		intercept(&f, SVM_EXIT_EXCP_BASE + VECTOR_DB);
		run_until(&f, rows[i].rip ? SVM_EXIT_EXCP_BASE + VECTOR_DB : SVM_EXIT_HLT);
		if (rows[i].rip)
			assert_int_equal(f.vmcb->save.rip, rows[i].rip);
		assert_int_equal(f.vmcb->save.dr6 & 0xf, rows[i].rip ? 1 : 0);
		close_all(&f);
	}
}

MACHINE_CODE(read_dr0, "mov %dr0, %rbx; hlt");

/* DR7.GD: #DB with DR6.BD, and GD is clear in the handler and behind an intercept alike (APM vol. 2, 15.12.2). */
static void test_debug_register_access(void **state)
{
	unsigned int is_intercepted;

	(void)state;
	for (is_intercepted = 0; is_intercepted < 2; is_intercepted++) {
		struct svm_fixture f;

		OPEN(&f, read_dr0);
		f.vmcb->save.dr7 = 0x2400;
		if (is_intercepted)
			intercept(&f, SVM_EXIT_EXCP_BASE + VECTOR_DB);
		run_until(&f, is_intercepted ? SVM_EXIT_EXCP_BASE + VECTOR_DB : SVM_EXIT_HLT);
		assert_int_equal(f.vmcb->save.rip, is_intercepted ? CODE_GPA : HANDLER_GPA + 16 * VECTOR_DB);
		assert_int_equal(f.vmcb->save.dr6, 0xffff2ff0);
		assert_int_equal(f.vmcb->save.dr7, 0x400);
		close_all(&f);
	}
}

/* What an owner says is being delivered already passes the intercept by; what it raises does not. */
static void test_owners_exception(void **state)
{
	unsigned int is_injected;

	(void)state;
	for (is_injected = 0; is_injected < 2; is_injected++) {
		struct svm_fixture f;

		OPEN(&f, count);
		intercept(&f, SVM_EXIT_EXCP_BASE + VECTOR_UD);
		f.cpu->exception = (struct fault) { .vector = VECTOR_UD, .is_injected = is_injected };
		f.cpu->has_exception = true;
		run_until(&f, is_injected ? SVM_EXIT_HLT : SVM_EXIT_EXCP_BASE + VECTOR_UD);
		assert_int_equal(f.vmcb->save.rip, is_injected ? HANDLER_GPA + 16 * VECTOR_UD : CODE_GPA);
		close_all(&f);
	}
}

/* A triple fault from outside, in a guest that is active: SHUTDOWN when that is intercepted. */
static void test_owners_shutdown(void **state)
{
	unsigned int is_intercepted;

	(void)state;
	for (is_intercepted = 0; is_intercepted < 2; is_intercepted++) {
		struct svm_fixture f;

		OPEN(&f, count);
		assert_false(machine_shutdown(f.cpu));
		if (is_intercepted)
			intercept(&f, SVM_EXIT_SHUTDOWN);
		assert_int_equal(machine_vmrun(f.cpu, VMCB_GPA, 0), MACHINE_EXIT_BUDGET);
		assert_int_equal(machine_shutdown(f.cpu), is_intercepted);
		assert_int_equal(machine_in_guest(f.cpu), !is_intercepted);
		if (is_intercepted)
			assert_int_equal(f.vmcb->control.exit_code, SVM_EXIT_SHUTDOWN);
		close_all(&f);
	}
}

/* A fault in the delivery of another: EXITINTINFO has the first. */
static void test_exit_int_info(void **state)
{
	struct svm_fixture f;

	(void)state;
	OPEN(&f, interrupt_14);
	f.vmcb->save.idtr.limit = 14 * 16 - 1;
	intercept(&f, SVM_EXIT_EXCP_BASE + VECTOR_GP);
	run_until(&f, SVM_EXIT_EXCP_BASE + VECTOR_GP);
	assert_exit(&f, 14 * 8 + 2, 0);
	assert_int_equal(f.vmcb->control.exit_int_info, EVENT_VALID | EVENT_SOFT | 14);
	assert_int_equal(f.vmcb->save.rip, CODE_GPA);
	close_all(&f);
	/* #PF, then the IDT's page is not there in nested tables. */
	OPEN(&f, load);
	f.cpu->regs[REG_RBX] = PT_LINEAR;
	nested_map(&f, IDT_GPA, 0);
	run_until(&f, SVM_EXIT_NPF);
	assert_exit(&f, NPF_FINAL | NP_ERROR_U, IDT_GPA + VECTOR_PF * 16);
	assert_int_equal(f.vmcb->control.exit_int_info, EVENT_VALID | EVENT_EXCEPTION | EVENT_HAS_ERROR | VECTOR_PF);
	assert_int_equal(f.vmcb->control.nr_insn_bytes, 0);
	close_all(&f);
}

static void test_double_fault_and_shutdown(void **state)
{
	struct svm_fixture f;

	(void)state;
	OPEN(&f, load);
	f.cpu->regs[REG_RBX] = PT_LINEAR;
	f.vmcb->save.idtr.limit = 0;
	intercept(&f, SVM_EXIT_EXCP_BASE + VECTOR_DF);
	run_until(&f, SVM_EXIT_EXCP_BASE + VECTOR_DF);
	f.vmcb->control.intercept[2] = 0;
	intercept(&f, SVM_EXIT_SHUTDOWN);
	run_until(&f, SVM_EXIT_SHUTDOWN);
	close_all(&f);
}

/* --- nested paging --- */

static void test_nested_fault(void **state)
{
	static const struct {
		const char *name;
		const uint8_t *code, *end;
		uint64_t guest, nested, error;	/* entries for DATA_GPA; no error: the HLT is reached */
	} rows[] = {
		{ "read, not present", load, load_end, ALL, 0, NP_ERROR_U },
		{ "write, not present", store, store_end, ALL, 0, NP_ERROR_U | NP_ERROR_W },
		{ "modify, not present", modify, modify_end, ALL, 0, NP_ERROR_U | NP_ERROR_W },
		{ "fetch, not present", call, call_end, ALL, 0, NP_ERROR_U | NP_ERROR_I },
		{ "read, read-only", load, load_end, ALL, PTE_P | PTE_U, 0 },
		{ "write, read-only", store, store_end, ALL, PTE_P | PTE_U, NP_ERROR_P | NP_ERROR_U | NP_ERROR_W },
		{ "read, supervisor's", load, load_end, ALL, PTE_P | PTE_W, NP_ERROR_P | NP_ERROR_U },
		{ "fetch, NX", call, call_end, ALL, ALL | PTE_NX, NP_ERROR_P | NP_ERROR_U | NP_ERROR_I },
		{ "read, NX", load, load_end, ALL, ALL | PTE_NX, 0 },
		{ "read, reserved", load, load_end, ALL, ALL | 1ull << 51, NP_ERROR_P | NP_ERROR_U | NP_ERROR_RSVD },
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct svm_fixture f;

		print_message("# %s\n", rows[i].name);
		open_code(&f, rows[i].code, rows[i].end);
		f.cpu->regs[REG_RBX] = PT_LINEAR;
		fixture_map(&f.base, 0, DATA_GPA | rows[i].guest);
		nested_map(&f, DATA_GPA, DATA_GPA | rows[i].nested);
		run_until(&f, rows[i].error ? SVM_EXIT_NPF : SVM_EXIT_HLT);
		if (rows[i].error)
			assert_exit(&f, NPF_FINAL | rows[i].error, DATA_GPA + (rows[i].code == load ? 8 : 0));
		if (rows[i].error && rows[i].code != call)
			assert_memory_equal(f.vmcb->control.insn_bytes, rows[i].code,
				(size_t)(rows[i].end - rows[i].code));
		close_all(&f);
	}
}

/* The guest's tables are read as if they were written, by a user. */
static void test_nested_fault_of_table(void **state)
{
	static const struct {
		uint64_t nested, error;
	} rows[] = {
		{ 0, NP_ERROR_U | NP_ERROR_W }, { PTE_P | PTE_U, NP_ERROR_P | NP_ERROR_U | NP_ERROR_W },
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		struct svm_fixture f;

		OPEN(&f, load);
		f.cpu->regs[REG_RBX] = PT_LINEAR + 0x3000;
		nested_map(&f, PT_GPA, PT_GPA | rows[i].nested);
		run_until(&f, SVM_EXIT_NPF);
		assert_exit(&f, NPF_TABLE | rows[i].error, PT_GPA + 3 * 8);
		close_all(&f);
	}
}

static void test_nested_accessed_and_dirty(void **state)
{
	struct svm_fixture f;
	uint64_t at = NPT_GPA + DATA_GPA / 0x1000 * 8;

	(void)state;
	OPEN(&f, load);
	f.cpu->regs[REG_RBX] = PT_LINEAR;
	fixture_map(&f.base, 0, DATA_GPA | ALL);
	run_until(&f, SVM_EXIT_HLT);
	assert_int_equal(fixture_get(&f.base, at, 8), DATA_GPA | ALL | PTE_A);
	assert_int_equal(fixture_get(&f.base, NPT_GPA + PT_GPA / 0x1000 * 8, 8), PT_GPA | ALL | PTE_A | PTE_D);
	/* The translation is there, but a write must still set D. */
	fixture_load(&f.base, store, store_end);
	f.vmcb->save.rip = CODE_GPA;
	run_until(&f, SVM_EXIT_HLT);
	assert_int_equal(fixture_get(&f.base, at, 8), DATA_GPA | ALL | PTE_A | PTE_D);
	close_all(&f);
}

/* A translation that a read left allows neither a write nor a fetch that nested tables deny. */
MACHINE_CODE(load_store, "mov 8(%rbx), %rax; mov %rax, (%rbx); hlt");
MACHINE_CODE(load_call, "mov 8(%rbx), %rax; call *%rbx; hlt");

static void test_nested_rights_behind_read(void **state)
{
	struct svm_fixture f;

	(void)state;
	OPEN(&f, load_store);
	f.cpu->regs[REG_RBX] = PT_LINEAR;
	fixture_map(&f.base, 0, DATA_GPA | ALL | PTE_A | PTE_D);
	nested_map(&f, DATA_GPA, DATA_GPA | PTE_P | PTE_U | PTE_D);
	run_until(&f, SVM_EXIT_NPF);
	assert_exit(&f, NPF_FINAL | NP_ERROR_P | NP_ERROR_U | NP_ERROR_W, DATA_GPA);
	assert_int_equal(f.vmcb->save.rip, CODE_GPA + 4);
	close_all(&f);
	OPEN(&f, load_call);
	f.cpu->regs[REG_RBX] = PT_LINEAR;
	fixture_map(&f.base, 0, DATA_GPA | ALL);
	nested_map(&f, DATA_GPA, DATA_GPA | ALL | PTE_NX);
	run_until(&f, SVM_EXIT_NPF);
	assert_exit(&f, NPF_FINAL | NP_ERROR_P | NP_ERROR_U | NP_ERROR_I, DATA_GPA);
	assert_int_equal(f.vmcb->save.rip, PT_LINEAR);
	close_all(&f);
}

/* A stale translation lives until its ASID is flushed; another ASID never had it. */
static void test_asid(void **state)
{
	static const struct {
		uint32_t asid;
		uint8_t tlb_control;
		bool is_stale;
	} rows[] = {
		{ 1, TLB_KEEP, true }, { 1, TLB_FLUSH_ASID, false }, { 1, TLB_FLUSH_ALL, false },
		{ 1, TLB_FLUSH_ASID_LOCAL, false }, { 2, TLB_KEEP, false }, { 2, TLB_FLUSH_ASID, false },
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct svm_fixture f;

		OPEN(&f, load);
		f.cpu->regs[REG_RBX] = PT_LINEAR;
		fixture_map(&f.base, 0, DATA_GPA | ALL);
		run_until(&f, SVM_EXIT_HLT);
		nested_map(&f, DATA_GPA, 0);
		f.vmcb->save.rip = CODE_GPA;
		f.vmcb->control.asid = rows[i].asid;
		f.vmcb->control.tlb_control = rows[i].tlb_control;
		run_until(&f, rows[i].is_stale ? SVM_EXIT_HLT : SVM_EXIT_NPF);
		close_all(&f);
	}
}

/* INVLPGA takes one page of one ASID. */
static void test_invlpga(void **state)
{
	unsigned int asid;

	(void)state;
	for (asid = 1; asid <= 2; asid++) {
		struct svm_fixture f;

		OPEN(&f, load);
		f.cpu->regs[REG_RBX] = PT_LINEAR;
		fixture_map(&f.base, 0, DATA_GPA | ALL);
		run_until(&f, SVM_EXIT_HLT);
		nested_map(&f, DATA_GPA, 0);
		f.vmcb->save.rip = CODE_GPA;
		machine_invlpga(f.cpu, PT_LINEAR, asid);
		run_until(&f, asid == 1 ? SVM_EXIT_NPF : SVM_EXIT_HLT);
		close_all(&f);
	}
}

/* A guest without paging has nested tables only. */
MACHINE_CODE(real_load, ".code16; mov 0x1234, %al; hlt");

static void test_unpaged(void **state)
{
	struct svm_fixture f;
	struct vmcb_save *save;

	(void)state;
	OPEN(&f, real_load);
	save = &f.vmcb->save;
	save->cr0 = X86_CR0_ET;
	save->cr4 = 0;
	save->efer = EFER_SVME;
	save->cs = (struct vmcb_seg) { CODE_GPA >> 4, SEG_P | SEG_S | 0xb, 0xffff, CODE_GPA };
	save->ds = (struct vmcb_seg) { DATA_GPA >> 4, SEG_P | SEG_S | 0x3, 0xffff, DATA_GPA };
	save->rip = 0;
	nested_map(&f, DATA_GPA + 0x1000, 0);
	run_until(&f, SVM_EXIT_NPF);
	assert_exit(&f, NPF_FINAL | NP_ERROR_U, DATA_GPA + 0x1234);
	fixture_put(&f.base, DATA_GPA + 0x234, 0x77, 1);
	nested_map(&f, DATA_GPA + 0x1000, DATA_GPA | ALL);
	run_until(&f, SVM_EXIT_HLT);
	assert_int_equal(save->rax, 0x77);
	close_all(&f);
}

/* --- events --- */

struct injection {
	const char *name;
	uint32_t event, error;
	uint64_t rip, stack;	/* the handler, and what is on its stack's top */
};

static void test_injection(void **state)
{
	static const struct injection rows[] = {
		{ "INTR", EVENT_INTR | 0x55, 0, HANDLER_GPA + 0x550, CODE_GPA },
		{ "NMI", EVENT_NMI | 0x77, 0, HANDLER_GPA + 0x20, CODE_GPA },
		{ "#UD", EVENT_EXCEPTION | VECTOR_UD, 0, HANDLER_GPA + 0x60, CODE_GPA },
		{ "#GP", EVENT_EXCEPTION | EVENT_HAS_ERROR | VECTOR_GP, 0x1234, HANDLER_GPA + 0xd0, 0x1234 },
		{ "INT n", EVENT_SOFT | 0x80, 0, HANDLER_GPA + 0x800, CODE_GPA + 2 },
		{ "INT3", EVENT_EXCEPTION | VECTOR_BP, 0, HANDLER_GPA + 0x30, CODE_GPA + 2 },
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct svm_fixture f;

		print_message("# %s\n", rows[i].name);
		OPEN(&f, count);
		f.vmcb->control.event_inj = EVENT_VALID | rows[i].event;
		f.vmcb->control.event_inj_error = rows[i].error;
		f.vmcb->control.next_rip = CODE_GPA + 2;
		run_until(&f, SVM_EXIT_HLT);
		assert_int_equal(f.vmcb->save.rip, rows[i].rip);
		assert_int_equal(fixture_get(&f.base, f.vmcb->save.rsp, 8), rows[i].stack);
		assert_int_equal(f.vmcb->control.event_inj & EVENT_VALID, 0);
		assert_int_equal(f.vmcb->control.exit_int_info, 0);
		close_all(&f);
	}
}

/* What is injected is not intercepted itself, but what its delivery meets is. */
static void test_injection_fails(void **state)
{
	struct svm_fixture f;

	(void)state;
	OPEN(&f, count);
	intercept(&f, SVM_EXIT_EXCP_BASE + VECTOR_UD);
	f.vmcb->control.event_inj = EVENT_VALID | EVENT_EXCEPTION | VECTOR_UD;
	nested_map(&f, STACK_GPA - 0x1000, 0);
	run_until(&f, SVM_EXIT_NPF);
	assert_int_equal(f.vmcb->control.exit_int_info, EVENT_VALID | EVENT_EXCEPTION | VECTOR_UD);
	assert_int_equal(f.vmcb->save.rip, CODE_GPA);
	assert_int_equal(f.vmcb->save.rsp, STACK_GPA);
	close_all(&f);
}

static void test_virtual_interrupt(void **state)
{
	static const struct {
		const char *name;
		uint32_t int_ctl;
		bool has_if, has_shadow, is_taken;
	} rows[] = {
		{ "open", V_IRQ | V_PRIORITY(3), true, false, true },
		{ "IF clear", V_IRQ | V_PRIORITY(3), false, false, false },
		{ "not pending", V_PRIORITY(3), true, false, false },
		{ "priority equals V_TPR", V_IRQ | V_PRIORITY(3) | 3, true, false, false },
		{ "priority above V_TPR", V_IRQ | V_PRIORITY(4) | 3, true, false, true },
		{ "V_IGN_TPR", V_IRQ | V_PRIORITY(1) | V_IGN_TPR | 0xf, true, false, true },
		{ "V_GIF clear", V_IRQ | V_PRIORITY(3) | V_GIF_ENABLE, true, false, false },
		{ "V_GIF set", V_IRQ | V_PRIORITY(3) | V_GIF_ENABLE | V_GIF, true, false, true },
	};
	unsigned int i, is_intercepted;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (is_intercepted = 0; is_intercepted < 2; is_intercepted++) {
			struct svm_fixture f;

			print_message("# %s\n", rows[i].name);
			OPEN(&f, count);
			f.vmcb->control.int_ctl = rows[i].int_ctl | V_INTR_MASKING;
			f.vmcb->control.int_vector = 0x66;
			f.vmcb->save.rflags |= rows[i].has_if ? X86_EFLAGS_IF : 0;
			if (is_intercepted)
				intercept(&f, SVM_EXIT_VINTR);
			run_until(&f, is_intercepted && rows[i].is_taken ? SVM_EXIT_VINTR : SVM_EXIT_HLT);
			if (rows[i].is_taken && !is_intercepted)
				assert_int_equal(f.vmcb->save.rip, HANDLER_GPA + 0x660);
			assert_int_equal(f.vmcb->control.int_ctl & V_IRQ,
				rows[i].is_taken && !is_intercepted ? 0 : rows[i].int_ctl & V_IRQ);
			close_all(&f);
		}
}

/* The shadow holds for one instruction. */
static void test_interrupt_shadow(void **state)
{
	struct svm_fixture f;

	(void)state;
	OPEN(&f, count);
	f.vmcb->control.int_ctl = V_IRQ | V_PRIORITY(3) | V_INTR_MASKING;
	f.vmcb->control.int_state = INT_STATE_SHADOW;
	f.vmcb->save.rflags |= X86_EFLAGS_IF;
	intercept(&f, SVM_EXIT_VINTR);
	run_until(&f, SVM_EXIT_VINTR);
	assert_int_equal(f.vmcb->save.rip, CODE_GPA + 3);
	assert_int_equal(f.vmcb->control.int_state & INT_STATE_SHADOW, 0);
	close_all(&f);
}

MACHINE_CODE(set_tpr, "mov %rbx, %cr8; mov %cr8, %rcx; hlt");

static void test_virtual_tpr(void **state)
{
	unsigned int is_masking;

	(void)state;
	for (is_masking = 0; is_masking < 2; is_masking++) {
		struct svm_fixture f;

		OPEN(&f, set_tpr);
		f.cpu->cr8 = 9;
		f.cpu->regs[REG_RBX] = 5;
		f.vmcb->control.int_ctl = is_masking ? V_INTR_MASKING : 0;
		assert_int_equal(machine_vmrun(f.cpu, VMCB_GPA, 1), MACHINE_EXIT_BUDGET);
		assert_int_equal(machine_tpr(f.cpu), is_masking ? 9 : 5);
		assert_int_equal(machine_vmrun_continue(f.cpu, BUDGET), MACHINE_EXIT_VMEXIT);
		assert_int_equal(f.cpu->regs[REG_RCX], 5);
		assert_int_equal(f.vmcb->control.int_ctl & V_TPR_BITS, 5);
		assert_int_equal(f.cpu->cr8, is_masking ? 9 : 5);
		close_all(&f);
	}
}

MACHINE_CODE(read_tsc, "rdtsc; hlt");

static void test_tsc(void **state)
{
	struct svm_fixture f;

	(void)state;
	OPEN(&f, read_tsc);
	f.cpu->tsc = 0x1000;
	f.cpu->svm.tsc_ratio = 3ull << 31;	/* 1.5 */
	f.vmcb->control.tsc_offset = 0x500000000;
	run_until(&f, SVM_EXIT_HLT);
	assert_int_equal(f.vmcb->save.rax, 0x1800);
	assert_int_equal(f.cpu->regs[REG_RDX], 5);
	close_all(&f);
}

MACHINE_CODE(pauses, "1: pause; inc %rbx; jmp 1b");

static void test_pause_filter(void **state)
{
	struct svm_fixture f;

	(void)state;
	OPEN(&f, pauses);
	f.vmcb->control.pause_filter_count = 3;
	f.cpu->regs[REG_RBX] = 0;
	intercept(&f, SVM_EXIT_PAUSE);
	run_until(&f, SVM_EXIT_PAUSE);
	assert_int_equal(f.cpu->regs[REG_RBX], 2);
	close_all(&f);
}

/* The guest's branches are recorded in its VMCB, and the host's MSRs stay. */
MACHINE_CODE(branch, "jmp 1f; nop; 1: inc %rax; int3");

static void test_branches(void **state)
{
	struct svm_fixture f;

	(void)state;
	OPEN(&f, branch);
	f.cpu->branches.br_from = 0x1234;
	f.vmcb->save.dbgctl = 1;
	f.vmcb->control.virt_ext = LBR_ENABLE;
	run_until(&f, SVM_EXIT_HLT);
	assert_int_equal(f.vmcb->save.last_excp_from, CODE_GPA);
	assert_int_equal(f.vmcb->save.last_excp_to, CODE_GPA + 3);
	assert_int_equal(f.vmcb->save.br_from, CODE_GPA + 6);
	assert_int_equal(f.vmcb->save.br_to, HANDLER_GPA + 16 * VECTOR_BP);
	assert_int_equal(f.cpu->branches.br_from, 0x1234);
	assert_int_equal(f.cpu->branches.dbgctl, 0);
	close_all(&f);
}

/* --- VMLOAD and VMSAVE, and a hypervisor in the machine --- */

static void test_vmload_vmsave(void **state)
{
	struct svm_fixture f;
	struct vmcb *other;

	(void)state;
	OPEN(&f, count);
	f.vmcb->save.fs.base = 0x1111;
	f.vmcb->save.tr = (struct vmcb_seg) { 0x40, 0x8b, 0x67, 0x2222 };
	f.vmcb->save.kernel_gs_base = 0x3333;
	f.vmcb->save.sysenter_eip = 0x4444;
	assert_true(machine_vmload(f.cpu, VMCB_GPA));
	assert_false(machine_vmload(f.cpu, VMCB_GPA + 1));
	assert_true(machine_vmsave(f.cpu, HOST_VMCB_GPA));
	other = (struct vmcb *)(void *)(f.base.ram + HOST_VMCB_GPA);
	assert_int_equal(other->save.fs.base, 0x1111);
	assert_memory_equal(&other->save.tr, &f.vmcb->save.tr, sizeof(other->save.tr));
	assert_int_equal(other->save.kernel_gs_base, 0x3333);
	assert_int_equal(other->save.sysenter_eip, 0x4444);
	assert_int_equal(other->save.rax, 0);
	close_all(&f);
}

/* VMRUN as an instruction: the loop goes on in the guest, and behind the #VMEXIT in the hypervisor. */
MACHINE_CODE(hypervisor, "vmrun; inc %rcx; vmrun; inc %rcx; hlt");

static void test_vmrun_instruction(void **state)
{
	struct svm_fixture f;
	struct cpu *cpu;

	(void)state;
	OPEN(&f, count);
	cpu = f.cpu;
	fixture_enter_long64(&f.base);
	cpu->efer |= EFER_SVME;
	cpu_state_changed(cpu);
	memcpy(f.base.ram + CODE_GPA + 0x100, hypervisor, (size_t)(hypervisor_end - hypervisor));
	cpu->rip = CODE_GPA + 0x100;
	cpu->regs[REG_RAX] = VMCB_GPA;
	cpu->regs[REG_RBX] = cpu->regs[REG_RCX] = 0;
	/* Without a place for the host's state it is #GP. */
	assert_int_equal(machine_run(cpu, BUDGET), MACHINE_EXIT_HLT);
	assert_int_equal(cpu->rip, HANDLER_GPA + 16 * VECTOR_GP + 1);
	cpu->rip = CODE_GPA + 0x100;
	cpu->regs[REG_RSP] = STACK_GPA;
	cpu->svm.hsave_pa = HSAVE_GPA;
	assert_int_equal(machine_run(cpu, BUDGET), MACHINE_EXIT_HLT);
	assert_int_equal(f.vmcb->control.exit_code, SVM_EXIT_HLT);
	assert_int_equal(f.vmcb->save.rip, CODE_GPA + 6);
	assert_int_equal(cpu->regs[REG_RBX], 1);
	assert_int_equal(cpu->regs[REG_RCX], 2);
	assert_int_equal(cpu->regs[REG_RAX], VMCB_GPA);
	assert_int_equal(cpu->rip, CODE_GPA + 0x100 + (uint64_t)(hypervisor_end - hypervisor));
	close_all(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_world_switch),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_budget_and_continue),
		cmocka_unit_test(test_changed_code),
		cmocka_unit_test(test_pins),
		cmocka_unit_test(test_interrupt_mask),
		cmocka_unit_test(test_instructions),
		cmocka_unit_test(test_instructions_of_user),
		cmocka_unit_test(test_cr0_selective),
		cmocka_unit_test(test_lmsw_selective),
		cmocka_unit_test(test_mwait_armed),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_msrs),
		cmocka_unit_test(test_msr_beyond),
		cmocka_unit_test(test_page_fault),
		cmocka_unit_test(test_software_exceptions),
		cmocka_unit_test(test_breakpoints),
		cmocka_unit_test(test_debug_register_access),
		cmocka_unit_test(test_owners_exception),
		cmocka_unit_test(test_owners_shutdown),
		cmocka_unit_test(test_exit_int_info),
		cmocka_unit_test(test_double_fault_and_shutdown),
		cmocka_unit_test(test_nested_fault),
		cmocka_unit_test(test_nested_fault_of_table),
		cmocka_unit_test(test_nested_accessed_and_dirty),
		cmocka_unit_test(test_nested_rights_behind_read),
		cmocka_unit_test(test_asid),
		cmocka_unit_test(test_invlpga),
		cmocka_unit_test(test_unpaged),
		cmocka_unit_test(test_injection),
		cmocka_unit_test(test_injection_fails),
		cmocka_unit_test(test_virtual_interrupt),
		cmocka_unit_test(test_interrupt_shadow),
		cmocka_unit_test(test_virtual_tpr),
		cmocka_unit_test(test_tsc),
		cmocka_unit_test(test_pause_filter),
		cmocka_unit_test(test_branches),
		cmocka_unit_test(test_vmload_vmsave),
		cmocka_unit_test(test_vmrun_instruction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
