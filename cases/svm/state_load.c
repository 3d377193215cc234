/* SPDX-License-Identifier: MIT */
/*
 * L2 begins with just what the VMCB's save area says, each field by itself: L2 reads it back with its own instructions.
 * And what L2 makes of it is in the save area after the #VMEXIT.
 *
 * Can break: a field left out of the copy between L1's VMCB and the one that runs, or copied only when the clean bits
 * or the VMCB's address say that it changed; a field of L1's in its place.
 * Source: APM vol. 2, 15.5.1, 15.6, table B-2.
 */
#include "guests/l1_svm.h"
#include "case.h"

INSN(v_ds, "mov $0, %eax\n\tmov %ds, %eax\n\tvmmcall")
INSN(v_es, "mov $0, %eax\n\tmov %es, %eax\n\tvmmcall")
INSN(v_ss, "mov $0, %eax\n\tmov %ss, %eax\n\tvmmcall")
INSN(v_cs, "mov $0, %eax\n\tmov %cs, %eax\n\tvmmcall")
INSN(v_gdt_base, "sgdt -16(%rsp)\n\tmov -14(%rsp), %rax\n\tvmmcall")
INSN(v_gdt_limit, "sgdt -16(%rsp)\n\tmovzwl -16(%rsp), %eax\n\tvmmcall")
INSN(v_idt_base, "sidt -16(%rsp)\n\tmov -14(%rsp), %rax\n\tvmmcall")
INSN(v_idt_limit, "sidt -16(%rsp)\n\tmovzwl -16(%rsp), %eax\n\tvmmcall")
INSN(v_cr0, "mov %cr0, %rax\n\tvmmcall")
INSN(v_cr2, "mov %cr2, %rax\n\tvmmcall")
INSN(v_cr3, "mov %cr3, %rax\n\tvmmcall")
INSN(v_cr4, "mov %cr4, %rax\n\tvmmcall")
INSN(v_dr6, "mov %dr6, %rax\n\tvmmcall")
INSN(v_dr7, "mov %dr7, %rax\n\tvmmcall")
INSN(v_rflags, "pushf\n\tpop %rax\n\tvmmcall")
INSN(v_rsp, "mov %rsp, %rax\n\tvmmcall")
INSN(v_rax, "vmmcall")
INSN(v_efer, "mov $0xc0000080, %ecx\n\tmov $0, %eax\n\trdmsr\n\tvmmcall")

struct row {
	ROW_FIELDS;
	const char *code;
	uint16_t offset, len_bytes;
	uint64_t value;		/* with @is_xor: what is changed in the golden one */
	uint64_t also;		/* bits that read as 1 */
	bool is_xor;
};

#define FIELD_OF(field_) \
	.offset = offsetof(struct vmcb_save, field_), .len_bytes = sizeof(((struct vmcb_save *)0)->field_)
#define SET(label_, code_, field_, value_, ...) \
	{ .label = #label_, .code = v_##code_, FIELD_OF(field_), .value = value_, ##__VA_ARGS__ }
#define XOR(label_, code_, field_, value_) SET(label_, code_, field_, value_, .is_xor = true)

static const struct row rows[] = {
	SET(ds, ds, ds.selector, 0x3b), SET(es, es, es.selector, 0x28), SET(ss, ss, ss.selector, 0x28),
	SET(cs, cs, cs.selector, 0x70), SET(ds_null, ds, ds.selector, 0),
	SET(gdt_base, gdt_base, gdtr.base, 0xffff800012345678), SET(gdt_limit, gdt_limit, gdtr.limit, 0x1237),
	SET(idt_base, idt_base, idtr.base, 0x00007ffffffff000), SET(idt_limit, idt_limit, idtr.limit, 0x7fff),
	XOR(cr0_ts, cr0, cr0, X86_CR0_TS), XOR(cr0_mp, cr0, cr0, X86_CR0_MP), XOR(cr0_wp, cr0, cr0, X86_CR0_WP),
	XOR(cr0_am, cr0, cr0, X86_CR0_AM), XOR(cr0_ne, cr0, cr0, X86_CR0_NE), XOR(cr0_cd, cr0, cr0, X86_CR0_CD),
	SET(cr2, cr2, cr2, 0xffff8000deadbeef), SET(cr2_zero, cr2, cr2, 0),
	XOR(cr3_pwt, cr3, cr3, 0x8), XOR(cr3_pcd, cr3, cr3, 0x10),
	XOR(cr4_tsd, cr4, cr4, X86_CR4_TSD), XOR(cr4_de, cr4, cr4, X86_CR4_DE), XOR(cr4_pge, cr4, cr4, X86_CR4_PGE),
	XOR(cr4_osfxsr, cr4, cr4, X86_CR4_OSFXSR), XOR(cr4_mce, cr4, cr4, X86_CR4_MCE),
	SET(dr6_b0, dr6, dr6, 0xffff0ff1), SET(dr6_bs, dr6, dr6, 0xffff4ff0), SET(dr6_clear, dr6, dr6, 0xffff0ff0),
	SET(dr7_l0, dr7, dr7, 0x401), SET(dr7_len, dr7, dr7, 0xd0400), SET(dr7_clear, dr7, dr7, 0x400),
	SET(rflags_cf, rflags, rflags, 3), SET(rflags_if, rflags, rflags, 0x202),
	SET(rflags_all, rflags, rflags, 0xed7), SET(rflags_ac, rflags, rflags, 0x40002),
	SET(rflags_iopl, rflags, rflags, 0x3002), SET(rflags_id, rflags, rflags, 0x200002),
	SET(rflags_bit_1_clear, rflags, rflags, 0, .also = 2),
	SET(rax, rax, rax, 0x8877665544332211), SET(rax_ones, rax, rax, ~0ull),
	XOR(efer_sce, efer, efer, EFER_SCE), XOR(efer_nx, efer, efer, EFER_NX),
};

CASE(state_load, .says = "L2 begins with each field of the save area", .modes = LONG64,
     .needs = "vendor:amd nested", .rows = ROWS(rows))

static uint64_t field_get(const struct vmcb_save *save, const struct row *row)
{
	uint64_t value = 0;

	memcpy(&value, (const uint8_t *)save + row->offset, row->len_bytes);
	return value;
}

static void field_set(struct vmcb_save *save, const struct row *row, uint64_t value)
{
	memcpy((uint8_t *)save + row->offset, &value, row->len_bytes);
}

static void try_value(const struct row *row, uint64_t value)
{
	struct vmcb_save want;

	field_set(&l1_vmcb.save, row, value);
	l1_vmcb.save.rip = (ulong_t)row->code;
	want = l1_vmcb.save;
	l2_run(row->code);
	CHECK_EXIT_CODE(SVM_EXIT_VMMCALL);
	if (row->code == v_cr2)
		CHECK_CR2(value, l1_vmcb.save.rax);
	else
		CHECK_EQ(value | row->also, l1_vmcb.save.rax);
	field_set(&want, row, value | row->also);
	want.rip = l1_vmcb.save.rip;
	want.rsp = l1_vmcb.save.rsp;
	want.rax = l1_vmcb.save.rax;
	CHECK_SAVE_SAME(&want);
}

GUEST(state_load)
{
	const struct row *row = GUEST_ROW(rows);
	uint64_t golden;

	l1_svm_init();
	golden = field_get(&l1_vmcb.save, row);
	try_value(row, row->is_xor ? golden ^ row->value : row->value);
	/* Once more with the old one, which the CPU must not remember. */
	if (row->code != v_rax && row->is_xor)
		try_value(row, golden);
}

HOST(state_load)
{
	expect_done(t);
}
