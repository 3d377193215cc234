/* SPDX-License-Identifier: MIT */
/*
 * An SMI while L2 is in any mode has that mode's registers in the save area and RSM goes back into it, with all that
 * VMRUN had loaded as it was: segments with their limits to the byte, tables, control registers, tasks. From HLT the
 * save area says that it was a halt. A VMCB or what it names that is not there any more when RSM needs it ends the
 * guest, not the host.
 *
 * Can break: RSM loads segments as descriptors and control registers in an order of its own, in which L2's mode passes
 * through others; PAE pointers; the check of what KVM reads a second time.
 * Source: APM vol. 2, 10.2.3, 10.3.4 (auto halt restart), 15.22; KVM's own for the VMCB spoiled in SMM and VMRUN there.
 */
#include "cases/ioctl/vcpu_state.h"
#include "cases/svm/l2_mode.h"
#include "cases/svm/nested_state.h"
#include "cases/svm/smm.h"
#include "case.h"

#define L2_PORT 0x81

/* OUT 81h, AL; INC eAX; VMMCALL, in 16- and 32-bit modes; and in 64-bit mode. */
INSN(q_legacy, ".byte 0xe6, 0x81, 0x40, 0x0f, 0x01, 0xd9")
INSN(q_long, "out %al, $0x81\n\tinc %eax\n\tvmmcall")

enum kind { RETURNS, HALTED, VMCB_MSRPM_LOST, VMCB_CR3_BEYOND, HSAVE_LOST, VMRUN_IN_SMM };

struct row {
	ROW_FIELDS;
	enum kind kind;
	bool is_legacy;
	struct l2_mode mode;
	uint32_t limit;		/* of DS and ES; 0: as the mode has it */
};

#define MODE(label_, ...) { .label = label_, .is_legacy = true, .mode = { __VA_ARGS__ } }
#define LIMIT(label_, limit_, ...) { .label = label_, .limit = limit_, ##__VA_ARGS__ }
#define LIMIT_KNOWN .known = { "4100-rsm-granular-limits", NULL, "..6.1" }

static const struct row rows[] = {
	{ .label = "real", .is_legacy = true, .mode = { .is_16 = true, .is_real = true },
	  .known = { "0501-bochs-real-mode-cs-type", "lab-svm-bochs" } },
	MODE("prot16", .is_16 = true), MODE("prot32"),
	MODE("page32", .paging = TWO_LEVELS), MODE("pae32", .paging = PAE), MODE("pae16", .paging = PAE, .is_16 = true),
	MODE("compat32", .paging = LONG), MODE("compat16", .paging = LONG, .is_16 = true),
	{ .label = "long" },
	LIMIT("limit_2g", 0x7fffffff, LIMIT_KNOWN), LIMIT("limit_16m", 0xffffff, LIMIT_KNOWN), LIMIT("limit_page", 0xfff),
	{ .label = "halted", .kind = HALTED, .known = { "4101-no-halt-restart-after-smi" } },
	{ .label = "vmcb_msrpm_lost", .kind = VMCB_MSRPM_LOST },
	{ .label = "vmcb_cr3_beyond", .kind = VMCB_CR3_BEYOND },
	{ .label = "hsave_lost", .kind = HSAVE_LOST },
	{ .label = "vmrun", .kind = VMRUN_IN_SMM, .known = { "4500-soft-keeps-l2-through-smm", "soft-svm" } },
};

CASE(smm_modes, .says = "an SMI in L2 and RSM leave L2 in its mode, whichever it is", .modes = LONG64,
     .needs = "vendor:amd nested " SMM_NEEDS, .irqchip = true, .rows = ROWS(rows))

GUEST(smm_modes)
{
	const struct row *row = GUEST_ROW(rows);
	struct vmcb_save want, *save = &l1_vmcb.save;

	l1_svm_init();
	vmcb_intercept(&l1_vmcb, SVM_EXIT_MSR);
	save->rip = (ulong_t)q_long;
	if (row->is_legacy)
		l2_mode_put(&row->mode, save, (ulong_t)q_legacy);
	if (row->limit)
		save->ds.limit = save->es.limit = row->limit;
	/* The CPU goes by the limit in bytes; KVM says by it what G is. */
	if (save->ds.limit <= 0xfffff)
		save->ds.attrib &= ~SEG_ATTRIB_G;
	if (save->es.limit <= 0xfffff)
		save->es.attrib &= ~SEG_ATTRIB_G;
	if (row->kind == VMCB_CR3_BEYOND)
		vmcb_intercept_clear(&l1_vmcb, SVM_EXIT_SHUTDOWN);
	save->rax = 0x12345678;
	want = *save;
	vmcb_run(&l1_vmcb);
	CHECK_L2_DONE(want.rip + (row->is_legacy ? 3 : 4));
	CHECK_NO_EXIT(SVM_EXIT_SMI);
	want.rip = save->rip;
	want.rax = 0x12345679;
	/* INC's own. */
	want.rflags |= save->rflags & 0x8d4;
	CHECK_SAVE_SAME(&want);
	CHECK_EQ(want.rax, save->rax);
}

/* --- host --- */

/* QEMU 7.2 marks PAE pointers accessed, where that bit is reserved (cases/mmu/pae.h). */
static void pointers_clean(struct test *t, const struct kvm_sregs *l2)
{
	uint64_t *pointers = vm_hva(t->vm, l2->cr3, 32);
	unsigned int i;

	for (i = 0; i < 4; i++)
		pointers[i] &= ~PTE_A;
}

static void expect_saved(struct test *t, const struct kvm_regs *regs, const struct kvm_sregs *sregs)
{
	expect_eq(t, regs->rip, *(uint64_t *)smm_saved(t, SAVED_RIP));
	expect_eq(t, regs->rax, *(uint64_t *)smm_saved(t, SAVED_RAX));
	expect_eq(t, regs->rflags, *(uint64_t *)smm_saved(t, SAVED_RFLAGS));
	expect_eq(t, sregs->cr0, *(uint64_t *)smm_saved(t, SAVED_CR0));
	expect_eq(t, sregs->cr3, *(uint64_t *)smm_saved(t, SAVED_CR3));
	expect_eq(t, sregs->cr4, *(uint64_t *)smm_saved(t, SAVED_CR4));
	expect_eq(t, sregs->efer, *(uint64_t *)smm_saved(t, SAVED_EFER));
	expect_eq(t, sregs->cs.selector, *(uint16_t *)smm_saved(t, SAVED_CS));
	expect_eq(t, sregs->cs.base, *(uint64_t *)smm_saved(t, SAVED_CS + 8));
	expect_eq(t, sregs->cs.limit, *(uint32_t *)smm_saved(t, SAVED_CS + 4));
	expect_eq(t, sregs->ds.limit, *(uint32_t *)smm_saved(t, SAVED_DS + 4));
	expect_eq(t, 1, *(uint64_t *)smm_saved(t, SAVED_SVM_STATE) & 1);
}

static void expect_halt_saved(struct test *t)
{
	uint8_t *restart = smm_saved(t, SAVED_HALT_RESTART);

	expect_eq(t, 1, *restart);
	/* Not back into HLT, but behind it. */
	*restart = 0;
}

static void spoil(struct test *t, enum kind kind)
{
	struct vmcb *vmcb = vm_hva(t->vm, guest_symbol(t, "l1_vmcb"), sizeof(*vmcb));

	if (kind == VMCB_MSRPM_LOST)
		vmcb->control.msrpm_base_pa = MMIO_GPA;
	if (kind == VMCB_CR3_BEYOND)
		vmcb->save.cr3 = 1ull << 51;
	if (kind == HSAVE_LOST)
		expect_result(t, 1, msr_set_try(t->vcpu, MSR_VM_HSAVE_PA, MMIO_GPA));
}

/* SVM on in SMM, protected mode, and VMRUN of the L2 that was interrupted. */
static void handler_put_vmrun(struct test *t)
{
	uint8_t handler[] = {
		0xb0, 0x5a, 0xe6, SMM_PORT,
		0x66, 0xb9, 0x80, 0x00, 0x00, 0xc0, 0x0f, 0x32, 0x80, 0xcc, 0x10, 0x0f, 0x30,
		0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0,
		0x66, 0xb8, 0, 0, 0, 0, 0x67, 0x0f, 0x01, 0xd8,
		0xe6, L2_PORT + 1, 0xf4,
	};
	uint32_t vmcb = guest_symbol(t, "l1_vmcb");

	memcpy(handler + 27, &vmcb, sizeof(vmcb));
	memcpy(vm_hva(t->vm, SMBASE + SMM_ENTRY, sizeof(handler)), handler, sizeof(handler));
}

HOST(smm_modes)
{
	const struct row *row = ROW(t, rows);
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	smm_prepare(t);
	if (row->kind == VMRUN_IN_SMM)
		handler_put_vmrun(t);
	require_pio_out(t, .port = L2_PORT, .size = 1, .count = 1, .data = 0x78);
	vcpu_settle(t);
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &regs);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &sregs);
	if (row->kind == HALTED)
		vcpu_ioctl(t->vcpu, KVM_SET_MP_STATE, &(struct kvm_mp_state){ KVM_MP_STATE_HALTED });
	smi(t);
	expect_smm_handler(t);
	expect_saved(t, &regs, &sregs);
	if (row->kind == HALTED)
		expect_halt_saved(t);
	if (row->mode.paging == PAE)
		pointers_clean(t, &sregs);
	spoil(t, row->kind);
	if (row->kind == VMCB_MSRPM_LOST)
		expect_exit(t, .reason = KVM_EXIT_INTERNAL_ERROR, .internal.suberror = KVM_INTERNAL_ERROR_EMULATION);
	else if (row->kind >= VMCB_CR3_BEYOND)
		expect_shutdown(t);
	else
		expect_done(t);
}
