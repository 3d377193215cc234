/* SPDX-License-Identifier: MIT */
/*
 * An SMI in L2 leaves L1 as it is, too: after RSM, L2 runs on under L1's permission map, and the #VMEXIT brings back the
 * segments and descriptor tables that L1 had at its VMRUN, not those of L2 or of SMM.
 *
 * Can break: KVM keeps L1's state aside while SMM has its VMCB; the map of L2's accesses, which is made for it at VMRUN,
 * is not made again for RSM.
 * Source: APM vol. 2, 15.6, 15.11, 15.22.
 */
#include "cases/svm/nested_state.h"
#include "cases/svm/smm.h"
#include "guests/l1_svm.h"

#define L2_PORT 0x81

INSN(m_l2, "out %al, $0x81\n\tmov $0xc0000082, %ecx\n\tm_rdmsr: rdmsr\n\tvmmcall")
extern const char m_rdmsr[] GUEST_API;

CASE(smm_l1, .says = "an SMI in L2 leaves L1's map and segments as they are", .modes = LONG64,
     .needs = "vendor:amd nested " SMM_NEEDS, .irqchip = true)

static uint8_t l2_stack[0x1000] __attribute__((aligned(16)));

/* What #VMEXIT brings back of L1's RAX and RSP: without the latter there is no way on. */
static uint64_t run_for_rax(void)
{
	uint64_t rax = (ulong_t)&l1_vmcb;

	l1_vmcb.save.rip = (ulong_t)m_l2;
	l1_vmcb.save.rsp = (ulong_t)l2_stack + sizeof(l2_stack);
	__asm__ volatile("push %%rbp\n\tvmrun\n\tpop %%rbp" : "+a"(rax) : :
			 "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "cc",
			 "memory");
	return rax;
}

GUEST(smm_l1)
{
	struct vmcb_save *save = &l1_vmcb.save;
	uint64_t cr3 = read_cr3();

	l1_svm_init();
	vmcb_intercept(&l1_vmcb, SVM_EXIT_MSR);
	msrpm_set(l1_msrpm, MSR_LSTAR, false, true);
	/* For nothing in 64-bit mode, but saved and restored. */
	save->ds.base = save->es.base = save->ss.base = 0x1000;
	save->gdtr.limit = 0x77;
	save->idtr.limit = 0x7ff;
	write_flags(read_flags() | X86_EFLAGS_AC);
	guest_sync(1);
	CHECK_EQ((ulong_t)&l1_vmcb, run_for_rax());
	CHECK_EQ(X86_EFLAGS_AC, read_flags() & X86_EFLAGS_AC);
	stgi();
	guest_sync(2);
	CHECK_EQ(cr3, read_cr3());
	CHECK_EXIT(.code = SVM_EXIT_MSR, .rip = (ulong_t)m_rdmsr);
	CHECK_EQ(0x1000, save->ds.base);
	CHECK_EQ(0x77, save->gdtr.limit);
	CHECK_EQ(0x7ff, save->idtr.limit);
}

static void expect_tables(struct test *t, const struct kvm_sregs *want, const struct kvm_sregs *got)
{
	expect_bytes(t, &want->ds, &got->ds, sizeof(want->ds));
	expect_bytes(t, &want->es, &got->es, sizeof(want->es));
	expect_bytes(t, &want->ss, &got->ss, sizeof(want->ss));
	expect_eq(t, want->gdt.base, got->gdt.base);
	expect_eq(t, want->gdt.limit, got->gdt.limit);
	expect_eq(t, want->idt.base, got->idt.base);
	expect_eq(t, want->idt.limit, got->idt.limit);
}

/* An SMI handler that leaves nothing as it found it. */
static void handler_put(struct test *t)
{
	static const uint8_t handler[] = {
		0x66, 0xbc, 0x00, 0x70, 0x00, 0x00,		/* MOV ESP, 7000h */
		0x2e, 0x0f, 0x01, 0x16, 0x40, SMM_ENTRY >> 8,	/* LGDT CS:[8040h] */
		0x66, 0xb8, 0x18, 0x60, 0x00, 0x00,		/* MOV EAX, 6018h */
		0x0f, 0x22, 0xd8,				/* MOV CR3, EAX */
		0xb0, 0x5a, 0xe6, SMM_PORT, 0x0f, 0xaa,		/* MOV AL, 5Ah; OUT 80h, AL; RSM */
	};
	static const uint8_t gdtr[] = { 0x37, 0x00, 0x00, 0x50, 0x00, 0x00 };

	memcpy(vm_hva(t->vm, SMBASE + SMM_ENTRY, sizeof(handler)), handler, sizeof(handler));
	memcpy(vm_hva(t->vm, SMBASE + SMM_ENTRY + 0x40, sizeof(gdtr)), gdtr, sizeof(gdtr));
}

HOST(smm_l1)
{
	struct kvm_sregs before, after;

	smm_prepare(t);
	handler_put(t);
	require_sync(t, 1);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &before);
	require_pio_out(t, .port = L2_PORT, .size = 1, .count = 1);
	vcpu_settle(t);
	smi(t);
	expect_smm_handler(t);
	require_sync(t, 2);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &after);
	expect_tables(t, &before, &after);
	expect_done(t);
}
