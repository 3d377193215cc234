/* SPDX-License-Identifier: MIT */
#include "fuzz/vmcb_ops.h"

#include "fuzz/vmcb_world.h"
#include "vm/x86/bits.h"

#define NR(array_) (sizeof(array_) / sizeof((array_)[0]))

/* --- fields --- */

#define SIZE_OF(part_, field_) sizeof(((struct vmcb *)0)->part_.field_)
#define FIELD(part_, field_) { #field_, offsetof(struct vmcb, part_.field_), SIZE_OF(part_, field_) }
#define BYTES_AT(name_, offset_) { name_, offset_, 8 }
#define CONTROL(field_) FIELD(control, field_)
#define SAVE(field_) FIELD(save, field_)
#define SEG(seg_) SAVE(seg_.selector), SAVE(seg_.attrib), SAVE(seg_.limit), SAVE(seg_.base)
#define INTERCEPT_WORD(n_) { "intercept" #n_, offsetof(struct vmcb, control.intercept) + 4 * (n_), 4 }

const struct vmcb_field vmcb_fields[] = {
	INTERCEPT_WORD(0), INTERCEPT_WORD(1), INTERCEPT_WORD(2), INTERCEPT_WORD(3), INTERCEPT_WORD(4), INTERCEPT_WORD(5),
	CONTROL(pause_filter_threshold), CONTROL(pause_filter_count), CONTROL(iopm_base_pa), CONTROL(msrpm_base_pa),
	CONTROL(tsc_offset), CONTROL(asid), CONTROL(tlb_control), CONTROL(int_ctl), CONTROL(int_vector),
	CONTROL(int_state), CONTROL(exit_code), CONTROL(exit_info_1), CONTROL(exit_info_2), CONTROL(exit_int_info),
	CONTROL(exit_int_info_error), CONTROL(nested_ctl), CONTROL(avic_apic_bar), CONTROL(ghcb_pa), CONTROL(event_inj),
	CONTROL(event_inj_error), CONTROL(nested_cr3), CONTROL(virt_ext), CONTROL(clean), CONTROL(next_rip),
	CONTROL(nr_insn_bytes), CONTROL(avic_backing_page), CONTROL(avic_logical_table), CONTROL(avic_physical_table),
	CONTROL(vmsa_pa), CONTROL(reserved_06c), CONTROL(reserved_0c4), CONTROL(reserved_0e8), CONTROL(reserved_100),
	BYTES_AT("reserved_018", 0x18), BYTES_AT("reserved_110", 0x110), BYTES_AT("software_3e0", 0x3e0),
	SEG(es), SEG(cs), SEG(ss), SEG(ds), SEG(fs), SEG(gs), SEG(gdtr), SEG(ldtr), SEG(idtr), SEG(tr), SAVE(cpl),
	SAVE(efer), SAVE(cr4), SAVE(cr3), SAVE(cr0), SAVE(dr7), SAVE(dr6), SAVE(rflags), SAVE(rip), SAVE(rsp), SAVE(rax),
	SAVE(star), SAVE(lstar), SAVE(cstar), SAVE(sfmask), SAVE(kernel_gs_base), SAVE(sysenter_cs), SAVE(sysenter_esp),
	SAVE(sysenter_eip), SAVE(cr2), SAVE(g_pat), SAVE(dbgctl), SAVE(br_from), SAVE(br_to), SAVE(last_excp_from),
	SAVE(last_excp_to), BYTES_AT("reserved_4a0", 0x4a0), BYTES_AT("reserved_4d8", 0x4d8),
	BYTES_AT("reserved_698", 0x698), BYTES_AT("reserved_ff8", 0xff8),
};

const unsigned int nr_vmcb_fields = NR(vmcb_fields);

static const char *field_name(unsigned int index)
{
	return vmcb_fields[index].name;
}

static unsigned int field_bits(unsigned int index)
{
	return vmcb_fields[index].len_bytes * 8;
}

static const struct input_names fields = { NR(vmcb_fields), field_name, field_bits };

/* --- exit codes --- */

#define SIXTEEN(p_)									\
	p_ "0", p_ "1", p_ "2", p_ "3", p_ "4", p_ "5", p_ "6", p_ "7", p_ "8", p_ "9", p_ "10", p_ "11", p_ "12",	\
	p_ "13", p_ "14", p_ "15"
#define UNNAMED(p_) p_ "0", p_ "1", p_ "2", p_ "3", p_ "4", p_ "5", p_ "6", p_ "7", p_ "8", p_ "9", p_ "a", p_ "b",	\
	p_ "c", p_ "d", p_ "e", p_ "f"

static const char *const exit_names[NR_INTERCEPTS] = {
	SIXTEEN("read_cr"), SIXTEEN("write_cr"), SIXTEEN("read_dr"), SIXTEEN("write_dr"),
	SIXTEEN("exception"), "exception16", "exception17", "exception18", "exception19", "exception20", "exception21",
	"exception22", "exception23", "exception24", "exception25", "exception26", "exception27", "exception28",
	"exception29", "exception30", "exception31",
	"intr", "nmi", "smi", "init", "vintr", "cr0_sel_write", "read_idtr", "read_gdtr", "read_ldtr", "read_tr",
	"write_idtr", "write_gdtr", "write_ldtr", "write_tr", "rdtsc", "rdpmc",
	"pushf", "popf", "cpuid", "rsm", "iret", "swint", "invd", "pause", "hlt", "invlpg", "invlpga", "ioio", "msr",
	"task_switch", "ferr_freeze", "shutdown",
	"vmrun", "vmmcall", "vmload", "vmsave", "stgi", "clgi", "skinit", "rdtscp", "icebp", "wbinvd", "monitor", "mwait",
	"mwait_cond", "xsetbv", "rdpru", "efer_write_trap",
	SIXTEEN("write_trap_cr"),
	"invlpgb", "invlpgb_illegal", "invpcid", "mcommit", "tlbsync", "bus_lock", "idle_hlt", "code_a7", "code_a8",
	"code_a9", "code_aa", "code_ab", "code_ac", "code_ad", "code_ae", "code_af",
	UNNAMED("code_b"),
};

const char *vmcb_exit_name(uint64_t code)
{
	if (code < NR_INTERCEPTS)
		return exit_names[code];
	return code == 0x400 ? "npf" : code == ~0ull ? "invalid" : NULL;
}

static const char *intercept_name(unsigned int index)
{
	return exit_names[index];
}

static const struct input_names intercepts = { NR_INTERCEPTS, intercept_name, NULL };

/* --- other words --- */

static const char *rule_name(unsigned int index)
{
	return svm_rules[index].id;
}

static const struct input_names rules = { NR_SVM_RULES, rule_name, NULL };

#define NAMES(id_, ...)									\
	static const char *const id_##_list[] = { __VA_ARGS__ };			\
	static const char *id_##_name(unsigned int index)				\
	{										\
		return id_##_list[index];						\
	}										\
	static const struct input_names id_ = { NR(id_##_list), id_##_name, NULL }

NAMES(on_off, "on", "off");
NAMES(legality, "illegal", "legal");
NAMES(bases, "long", "npt", "unpaged", "pae");
NAMES(changes, "set", "xor");
NAMES(msrpm_accesses, "read", "write", "both");
NAMES(event_types, "intr", "nmi", "exception", "soft");
NAMES(flushes, "all", "asid", "local", "nothing");
NAMES(pins, "intr", "nmi", "smi", "init");
NAMES(l1_insns, "stgi", "clgi", "vmload", "vmsave", "flush_tlb");
NAMES(registers, "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
      "r15");
NAMES(io_insns, "in8", "in16", "in32", "out8", "out16", "out32", "insb", "outsb", "rep_insb", "rep_outsb");
NAMES(msr_insns, "rdmsr", "wrmsr");
NAMES(moves, "read", "write");
NAMES(accesses, "load", "store", "execute");
NAMES(places, "l1", "l2");
NAMES(host_acts, "migrate", "leave", "unmap", "smi", "nmi", "step", "pae");
NAMES(state_words, "flags", "format", "size", "vmcb_pa");
NAMES(control_registers, "cr0", "cr3", "cr4", "efer");
NAMES(event_words, "exception", "exception_injected", "interrupt_injected", "nmi_injected", "nmi_pending", "nmi_masked",
      "shadow", "smm", "smi_pending", "smm_inside_nmi", "latched_init");
#define L2_NAME(name_, bytes_) #name_,
NAMES(l2_insns, VMCB_L2_INSNS(L2_NAME));

/* --- likely numbers --- */

static const uint64_t likely_numbers[] = {
	0, 1, 2, 3, 5, 7, 8, 0x1f, 0x7f, 0xff, 0x100, 0x400, 0xfff, 0x1000, 0x7fff, 0xffff, 0x10000, 0x80000000, 0xffff0ff0,
	0xffffffff, 0x100000000, 0x7fffffffffff, 0x800000000000, 0xffff800000000000, 0x7fffffffffffffff,
	0x8000000000000000, ~0ull,
	X86_CR0_PG, X86_CR0_PE, X86_CR0_WP, X86_CR0_NW, X86_CR0_CD, X86_CR0_TS, X86_CR4_PAE, X86_CR4_PSE, X86_CR4_PGE,
	X86_CR4_PCIDE, X86_CR4_LA57, X86_CR4_SMEP, X86_CR4_SMAP, X86_CR4_UMIP, X86_CR4_OSXSAVE, EFER_LME, EFER_LMA, EFER_NX,
	EFER_SVME, EFER_SCE, X86_EFLAGS_IF, X86_EFLAGS_TF, X86_EFLAGS_VM, X86_EFLAGS_RF, X86_EFLAGS_AC, X86_EFLAGS_NT,
	EVENT_VALID, EVENT_HAS_ERROR, EVENT_VALID | EVENT_EXCEPTION | 13 | EVENT_HAS_ERROR, V_IRQ, V_INTR_MASKING,
	V_IGN_TPR, V_GIF_ENABLE | V_GIF, PTE_P, PTE_W, PTE_U, PTE_PS, PTE_P | PTE_W | PTE_U, 1ull << 63, 1ull << 51,
	VMCB_CODE_GPA, VMCB_DATA_GPA, VMCB_VMCB_GPA, VMCB_PML4_GPA, VMCB_NPML4_GPA, VMCB_IOPM_GPA, VMCB_MSRPM_GPA,
	0x0007040600070406,
};

static const uint64_t likely_addresses[] = {
	0, VMCB_PML4_GPA, VMCB_PDPT_GPA, VMCB_PD_GPA, VMCB_PT_GPA, VMCB_GDT_GPA, VMCB_IDT_GPA, VMCB_TSS_GPA, VMCB_STACK_GPA,
	VMCB_STACK_GPA - 8, VMCB_CODE_GPA, VMCB_CODE_GPA + 0xffe, VMCB_HANDLER_GPA, VMCB_DATA_GPA, VMCB_DATA_GPA + 0xffc,
	VMCB_DATA_GPA + 0x1000, VMCB_VMCB_GPA, VMCB_IOPM_GPA, VMCB_MSRPM_GPA, VMCB_NPML4_GPA, VMCB_NPT_GPA,
	VMCB_RAM_BYTES - 8, VMCB_RAM_BYTES, 0x1fffff, 0x200000, 0xfee00000, 0xfffffff8, 0x100000000, 0x7ffffffff000,
	0x800000000000, 0xffff800000000000,
};

static const uint64_t likely_ports[] = { 0, 0x20, 0x60, 0x70, 0x80, 0xcf8, 0xcfc, 0x3f8, 0x7ffe, 0x7fff, 0x8000, 0xfffd,
	0xfffe, 0xffff };

static const uint64_t likely_msrs[] = { 0x10, 0x1b, 0x174, 0x175, 0x176, 0x1d9, 0x277, 0x1fff, 0x2000, MSR_EFER, MSR_STAR,
	MSR_LSTAR, 0xc0000083, 0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103, 0xc0001fff, 0xc0002000,
	0xc0010114, 0xc0010117, 0xc0010015, 0xc0011fff, 0xc0012000, 0xffffffff };

static const uint64_t likely_vectors[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 16, 17, 18, 19, 31, 32, 33,
	0x80, 0xff };

static const uint64_t likely_words[] = { 0, 1, 2, 3, 0x100, 0x101, 0x102, 0x103, 0x80, 0x1080, VMCB_VMCB_GPA, VMCB_IOPM_GPA,
	VMCB_RAM_BYTES, 1ull << 52 };

static const uint64_t likely_levels[] = { 1, 2, 3, 4 };
static const uint64_t likely_registers[] = { 0, 2, 3, 4, 6, 7, 8 };

/* --- the table --- */

#define NUMBER(name_, last_, likely_)							\
	{ .name = name_, .last = last_, .likely = likely_, .nr_likely = NR(likely_) }
#define VALUE(name_, last_) { .name = name_, .last = last_ }
#define WORD(name_, names_) { .name = name_, .type = OPERAND_NAME, .names = &(names_) }
#define BYTES { .name = "bytes", .type = OPERAND_BYTES }
#define ADDRESS(name_) { .name = name_, .likely = likely_addresses, .nr_likely = NR(likely_addresses) }
#define PORT NUMBER("port", 0xffff, likely_ports)
#define VECTOR NUMBER("vector", 0xff, likely_vectors)
#define LEVEL NUMBER("level", 4, likely_levels)
#define ERROR_CODE VALUE("error", 0xffffffff)
#define ROW(id_, name_, weight_, says_, nr_, ...)					\
	[VMCB_OP_##id_] = { name_, says_, weight_, { __VA_ARGS__ }, nr_ }

static const struct input_op_desc ops[NR_VMCB_OPS] = {
	ROW(RUN, "run", 3, "VMRUN now; the end of the input is one, too", 0),
	ROW(SKIP, "skip", 2, "go on behind the instruction of the last exit: RIP becomes nRIP", 0),
	ROW(MIGRATE, "migrate", 3, "in the next run, get and set the nested state where L2 exits to user space", 0),
	ROW(BASE, "base", 2, "paging and mode of L2 as in one of the rule table's states", 1, WORD("base", bases)),
	ROW(SET, "set", 14, "a field of the VMCB becomes the value", 2, WORD("field", fields), VALUE("value", 0)),
	ROW(XOR, "xor", 8, "bits of a field flip", 2, WORD("field", fields), VALUE("value", 0)),
	ROW(RULE, "rule", 12, "value number VALUE of edit number EDIT of a rule, both modulo how many there are", 4,
	    WORD("rule", rules), WORD("kind", legality), VALUE("edit", 0xff), VALUE("value", 0xffff)),
	ROW(INTERCEPT, "intercept", 10, "one intercept", 2, WORD("code", intercepts), WORD("state", on_off)),
	ROW(INTERCEPT_ALL, "intercept_all", 2, "all intercepts; off leaves VMRUN's", 1, WORD("state", on_off)),
	ROW(NPT, "npt", 5, "the nested tables' entry of LEVEL for an address of L2", 4, WORD("change", changes),
	    ADDRESS("gpa"), LEVEL, VALUE("value", 0)),
	ROW(PT, "pt", 5, "the entry of LEVEL of L2's own tables for a linear address", 4, WORD("change", changes),
	    ADDRESS("linear"), LEVEL, VALUE("value", 0)),
	ROW(IOPM, "iopm", 4, "a port's bit of the I/O permission map", 2, PORT, WORD("state", on_off)),
	ROW(IOPM_ALL, "iopm_all", 1, "all of the I/O permission map", 1, WORD("state", on_off)),
	ROW(MSRPM, "msrpm", 4, "an MSR's bits of the MSR permission map; one that has none: nothing", 3,
	    NUMBER("msr", 0xffffffff, likely_msrs), WORD("access", msrpm_accesses), WORD("state", on_off)),
	ROW(MSRPM_ALL, "msrpm_all", 1, "all of the MSR permission map", 1, WORD("state", on_off)),
	ROW(INJECT, "inject", 6, "EVENTINJ without an error code", 2, WORD("type", event_types), VECTOR),
	ROW(INJECT_ERROR, "inject_error", 4, "EVENTINJ with an error code", 3, WORD("type", event_types), VECTOR, ERROR_CODE),
	ROW(VIRQ, "virq", 4, "a virtual interrupt is pending", 2, VECTOR, VALUE("priority", 15)),
	ROW(PIN, "pin", 4, "a pin of the CPU is asserted", 1, WORD("pin", pins)),
	ROW(FLUSH, "flush", 3, "what of the TLB VMRUN flushes", 1, WORD("what", flushes)),
	ROW(REG, "reg", 5, "a register of L2 at VMRUN; RAX and RSP are the VMCB's", 2, WORD("register", registers),
	    ADDRESS("value")),
	ROW(POKE, "poke", 4, "bytes of L2's memory", 2, NUMBER("gpa", VMCB_L2_BYTES - INPUT_MAX_BYTES, likely_addresses), BYTES),
	ROW(L1, "l1", 5, "an instruction of L1", 1, WORD("instruction", l1_insns)),
	ROW(L1_INVLPGA, "l1_invlpga", 2, "INVLPGA by L1", 2, ADDRESS("linear"), VALUE("asid", 0xffffffff)),
	ROW(L2, "l2", 16, "an instruction of L2, behind those since the last run; then it halts", 1,
	    WORD("instruction", l2_insns)),
	ROW(L2_REG, "l2_reg", 6, "MOV of a number to a register", 2, WORD("register", registers), ADDRESS("value")),
	ROW(L2_IO, "l2_io", 5, "DX gets the port; then the instruction", 2, WORD("instruction", io_insns), PORT),
	ROW(L2_MSR, "l2_msr", 6, "ECX, EDX and EAX are loaded; then the instruction", 3, WORD("instruction", msr_insns),
	    NUMBER("msr", 0xffffffff, likely_msrs), VALUE("value", 0)),
	ROW(L2_CR, "l2_cr", 6, "MOV from a control register to RBX, or of a value through RBX", 3, WORD("move", moves),
	    NUMBER("number", 15, likely_registers), VALUE("value", 0)),
	ROW(L2_DR, "l2_dr", 4, "the same of a debug register", 3, WORD("move", moves),
	    NUMBER("number", 7, likely_registers), VALUE("value", 0)),
	ROW(L2_MEM, "l2_mem", 8, "8 bytes are read into RBX, written from it, or called as code", 2,
	    WORD("access", accesses), ADDRESS("linear")),
	ROW(L2_INT, "l2_int", 3, "INT n", 1, VECTOR),
	ROW(L2_BYTES, "l2_bytes", 6, "any bytes as code", 1, BYTES),
	ROW(HOST, "host", 3, "user space, in L1 before VMRUN, or in L2 at an OUT that is not intercepted", 2,
	    WORD("place", places), WORD("act", host_acts)),
	ROW(HOST_STATE, "host_state", 3, "user space sets nested state with another value in its VMCB", 3,
	    WORD("place", places), WORD("field", fields), VALUE("value", 0)),
	ROW(HOST_HEADER, "host_header", 2, "user space sets nested state with another header", 3, WORD("place", places),
	    WORD("word", state_words), NUMBER("value", ~0ull, likely_words)),
	ROW(HOST_SREGS, "host_sregs", 2, "user space sets a special register", 3, WORD("place", places),
	    WORD("control", control_registers), VALUE("value", 0)),
	ROW(HOST_EVENTS, "host_events", 2, "user space sets what is pending, injected or blocked", 3, WORD("place", places),
	    WORD("event", event_words), VECTOR),
	ROW(HOST_MSR, "host_msr", 1, "user space sets an MSR", 3, WORD("place", places),
	    NUMBER("msr", 0xffffffff, likely_msrs), VALUE("value", 0)),
	ROW(HYPERV, "hyperv", 1, "KVM offers Hyper-V's interface, and the VMCB takes of it what VALUE says", 1,
	    VALUE("value", 7)),
};

const struct input_domain vmcb_domain = {
	.name = "vmcb", .ops = ops, .nr_ops = NR(ops), .likely = likely_numbers, .nr_likely = NR(likely_numbers),
};
