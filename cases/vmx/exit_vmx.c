/* SPDX-License-Identifier: MIT */
/*
 * VMX instructions of L2 exit to L1, with the operand's parts in qualification and information; nothing is executed.
 *
 * Can break: KVM answers the instruction itself, as if L1 had executed it; the displacement's sign; a register's number.
 * Source: SDM vol. 3C, 26.1.2, 28.2.1, tables 28-13 and 28-14.
 */
#include "cases/vmx/l2.h"

L2(vmclear, "vmclear 0x10(%rbx,%rcx,8)")
L2(vmclear_back, "vmclear -0x7ffffff0(%r15)")
L2(vmptrld, "vmptrld (%r8,%r9,2)")
L2(vmptrst, "vmptrst 0x12345678")
L2(vmxon, "vmxon %fs:(%rbp)")
L2(vmxoff, "vmxoff")
L2(vmlaunch, "vmlaunch")
L2(vmresume, "vmresume")
L2(vmread, "vmread %rsi, %rdi")
L2(vmread_memory, "vmread %r8, 0x8(%r9)")
L2(vmwrite, "vmwrite %rbx, %rcx")
L2(vmwrite_memory, "vmwrite (%rdx,%rbp,4), %r14")
L2(invept, "invept (%rax), %rdx")
L2(invvpid, "invvpid 0x40(%edx), %r12")

#define ROW_OF(name_, reason_, ...) { L2_CODE(name_), .exit.reason = reason_, ##__VA_ARGS__ }

static const struct l2_row rows[] = {
	ROW_OF(vmclear, EXIT_REASON_VMCLEAR, .exit.qualification = 0x10,
	       .exit.insn_info = ADDRESS_64 | SEGMENT(DS) | INDEX(RCX, 3) | BASE(RBX)),
	ROW_OF(vmclear_back, EXIT_REASON_VMCLEAR, .exit.qualification = -0x7ffffff0ull,
	       .exit.insn_info = ADDRESS_64 | SEGMENT(DS) | NO_INDEX | BASE(R15)),
	ROW_OF(vmptrld, EXIT_REASON_VMPTRLD,
	       .exit.insn_info = ADDRESS_64 | SEGMENT(DS) | INDEX(R9, 1) | BASE(R8)),
	ROW_OF(vmptrst, EXIT_REASON_VMPTRST, .exit.qualification = 0x12345678,
	       .exit.insn_info = ADDRESS_64 | SEGMENT(DS) | NO_INDEX | NO_BASE),
	ROW_OF(vmxon, EXIT_REASON_VMON, .exit.insn_info = ADDRESS_64 | SEGMENT(FS) | NO_INDEX | BASE(RBP)),
	ROW_OF(vmxoff, EXIT_REASON_VMOFF),
	ROW_OF(vmlaunch, EXIT_REASON_VMLAUNCH),
	ROW_OF(vmresume, EXIT_REASON_VMRESUME),
	ROW_OF(vmread, EXIT_REASON_VMREAD, .exit.insn_info = IS_REGISTER | REG1(RDI) | REG2(RSI),
	       .is_qualification_void = true),
	ROW_OF(vmread_memory, EXIT_REASON_VMREAD, .exit.qualification = 8,
	       .exit.insn_info = ADDRESS_64 | SEGMENT(DS) | NO_INDEX | BASE(R9) | REG2(R8)),
	ROW_OF(vmwrite, EXIT_REASON_VMWRITE, .exit.insn_info = IS_REGISTER | REG1(RBX) | REG2(RCX),
	       .is_qualification_void = true),
	ROW_OF(vmwrite_memory, EXIT_REASON_VMWRITE,
	       .exit.insn_info = ADDRESS_64 | SEGMENT(DS) | INDEX(RBP, 2) | BASE(RDX) | REG2(R14)),
	ROW_OF(invept, EXIT_REASON_INVEPT, .needs = "vmx:invept",
	       .exit.insn_info = ADDRESS_64 | SEGMENT(DS) | NO_INDEX | BASE(RAX) | REG2(RDX)),
	ROW_OF(invvpid, EXIT_REASON_INVVPID, .needs = "vmx:invvpid", .exit.qualification = 0x40,
	       .exit.insn_info = ADDRESS_32 | SEGMENT(DS) | NO_INDEX | BASE(RDX) | REG2(R12)),
};

CASE(exit_vmx, .says = "a VMX instruction of L2 exits to L1 with its operands", .modes = LONG64,
     .needs = "vendor:intel nested", .rows = ROWS(rows))

GUEST(exit_vmx)
{
	l2_row_run(GUEST_ROW(rows));
}

HOST(exit_vmx)
{
	l2_row_host(t, ROW(t, rows));
}
