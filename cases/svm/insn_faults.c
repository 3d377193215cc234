/* SPDX-License-Identifier: MIT */
/*
 * The SVM instructions of L1 fault as any do: #UD with EFER.SVME clear, #GP(0) at CPL 3 and for an address in RAX that
 * no VMCB can have, and the MSRs of SVM refuse what they cannot hold.
 *
 * Can break: a check dropped, because KVM emulates all of these; the order of checks; VM_HSAVE_PA taken as it comes.
 * Source: APM vol. 2, 15.4, 15.5.1, 15.30; vol. 3, VMRUN, VMLOAD, VMSAVE, STGI, CLGI, SKINIT, INVLPGA.
 */
#include "guests/l1_svm.h"
#include "case.h"

INSN(s_vmrun, "vmrun\n\tret")
INSN(s_vmload, "vmload\n\tret")
INSN(s_vmsave, "vmsave\n\tret")
INSN(s_stgi, "stgi\n\tret")
INSN(s_clgi, "clgi\n\tret")
INSN(s_skinit, ".byte 0x0f, 0x01, 0xde\n\tret")
INSN(s_invlpga, "invlpga\n\tret")

enum what { SVME_OFF, USER, RAX, MSR_WRITE, MSR_READ, HSAVE_ZERO };

struct row {
	ROW_FIELDS;
	enum what what;
	const char *code;
	uint64_t rax;
	uint32_t msr;
	int32_t vector;		/* MSR_WRITE: 0: taken and read back */
};

#define OFF(name_, ...) { .label = #name_ "_svme_off", .what = SVME_OFF, .code = s_##name_, .vector = UD_VECTOR, ##__VA_ARGS__ }
#define CPL3(name_) { .label = #name_ "_user", .what = USER, .code = s_##name_, .vector = GP_VECTOR }
#define ADDRESS(name_, label_, rax_) \
	{ .label = #name_ "_rax_" #label_, .what = RAX, .code = s_##name_, .rax = rax_, .vector = GP_VECTOR }
#define MISALIGNED(name_, label_, rax_)							\
	{ .label = #name_ "_rax_" #label_, .what = RAX, .code = s_##name_, .rax = rax_, .vector = GP_VECTOR,	\
	  .known = { "0803-misaligned-vmcb-address", "lab-svm-bochs" } }
#define ADDRESSES(name_)								\
	MISALIGNED(name_, misaligned_1, 0x200001), MISALIGNED(name_, misaligned_800, 0x200800),	\
	ADDRESS(name_, bit_52, 1ull << 52), ADDRESS(name_, bit_63, 1ull << 63)
#define WRITE(label_, msr_, value_, vector_) \
	{ .label = #label_, .what = MSR_WRITE, .msr = msr_, .rax = value_, .vector = vector_ }

static const struct row rows[] = {
	OFF(vmrun), OFF(vmload), OFF(vmsave), OFF(stgi, .known = { "0801-stgi-clgi-without-svme", "lab-svm" }),
	OFF(clgi, .known = { "0801-stgi-clgi-without-svme", "lab-svm" }), OFF(skinit), OFF(invlpga),
	CPL3(vmrun), CPL3(vmload), CPL3(vmsave), CPL3(stgi), CPL3(clgi), CPL3(invlpga),
	ADDRESSES(vmrun), ADDRESSES(vmload), ADDRESSES(vmsave),
	{ .label = "vmrun_hsave_zero", .what = HSAVE_ZERO, .code = s_vmrun, .vector = GP_VECTOR },
	WRITE(hsave_misaligned, MSR_VM_HSAVE_PA, 0x200008, GP_VECTOR),
	WRITE(hsave_800, MSR_VM_HSAVE_PA, 0x200800, GP_VECTOR),
	WRITE(hsave_bit_52, MSR_VM_HSAVE_PA, 1ull << 52, GP_VECTOR),
	WRITE(hsave_legal, MSR_VM_HSAVE_PA, 0x201000, 0),
	WRITE(vm_cr_reserved_5, MSR_VM_CR, 1u << 5, GP_VECTOR),
	WRITE(vm_cr_reserved_63, MSR_VM_CR, 1ull << 63, GP_VECTOR),
	{ .label = "vm_cr_svmdis_while_on", .what = MSR_WRITE, .msr = MSR_VM_CR, .rax = 1u << 4, .vector = GP_VECTOR,
	  .known = { "0802-vm-cr-stored-by-refused-write", "!(bare|soft-svm)" } },
	WRITE(vm_cr_zero, MSR_VM_CR, 0, 0),
};

CASE(insn_faults, .says = "SVM instructions and MSRs of L1 fault as documented", .modes = LONG64,
     .needs = "vendor:amd nested", .rows = ROWS(rows))

static void call_with_rax(void *argument)
{
	const struct row *row = argument;

	__asm__ volatile("call *%1" : : "a"(row->rax), "r"(row->code) : "rcx", "memory");
}

static void try_msr(const struct row *row)
{
	uint64_t before = rdmsr(row->msr);
	struct fault f = wrmsr_safe(row->msr, row->rax);

	CHECK_FAULT(row->vector ? row->vector : NO_VECTOR, 0, f);
	CHECK_EQ(row->vector ? before : row->rax, rdmsr(row->msr));
}

GUEST(insn_faults)
{
	const struct row *row = GUEST_ROW(rows);
	struct row copy = *row;
	struct fault f;

	l1_svm_init();
	if (row->what == MSR_WRITE) {
		try_msr(row);
		return;
	}
	if (row->what == SVME_OFF)
		wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_SVME);
	if (row->what == HSAVE_ZERO)
		wrmsr(MSR_VM_HSAVE_PA, 0);
	if (row->what != RAX)
		copy.rax = (ulong_t)&l1_vmcb;
	if (row->what == USER)
		f = guest_catch_user(call_with_rax, &copy);
	else
		f = guest_catch(call_with_rax, &copy);
	CHECK_FAULT(row->vector, 0, f);
	CHECK_EQ((ulong_t)row->code, f.rip);
	CHECK_EQ(0, l1_vmcb.control.exit_code);
}

HOST(insn_faults)
{
	expect_done(t);
}
