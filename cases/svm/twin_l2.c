/* SPDX-License-Identifier: MIT */
/*
 * A VM whose guest is a hypervisor moves while its L2 runs: L2's I/O, its events and those of L1, what L1 injects and
 * what it waits for go on in the other VM, and L1 sees the #VMEXIT that it would have seen.
 *
 * Can break: L1's state behind L2's; the controls that are not in the VMCB in memory (it was read at VMRUN); V_IRQ; an
 * injection that was accepted by VMRUN but not entered yet; GIF; whether an NMI is masked, and for whom; an exception
 * that is L1's to intercept; L1, while the SMI of its L2 is handled.
 * Source: KVM API, KVM_GET_NESTED_STATE, KVM_SET_NESTED_STATE (KVM_STATE_NESTED_RUN_PENDING, _GIF_SET); APM vol. 2,
 * 15.5, 15.17, 15.20, 15.21.
 *
 * Seen to fail without: NESTED (L2, V_IRQ, GIF, an injection under way), EVENTS, MSRS: the rows "lost_*".
 */
#include "cases/ioctl/twin.h"
#include "cases/svm/npt.h"
#include "cases/svm/smm.h"
#include "guests/l1_svm.h"

#define VECTOR 0x33

static volatile uint32_t nr_taken, taken_vector, taken_error;

static void on_event(struct guest_regs *regs)
{
	nr_taken++;
	taken_vector = regs->vector;
	taken_error = regs->error_code;
	out8(0x82, nr_taken);
}

/* --- L2 amid I/O: exits 1 to 4 are its own --- */

INSN(t_io, "mov $0x41, %r12d\n\tmov $0x11, %al\n\tout %al, $0x80\n\tin $0x81, %al\n\tmovzx %al, %r13d\n\t"
	   "mov $0x10000ffe, %ebx\n\tmovw $0x5566, (%rbx)\n\tmov 6(%rbx), %r14d\n\tinc %r12\n\tvmmcall")

/* After @nr_before exits. */
static void l2_io(unsigned int nr_before)
{
	ulong_t cr4 = read_cr4(), hsave = rdmsr(MSR_VM_HSAVE_PA);

	wrmsr(MSR_LSTAR, 0x12345000);
	l1_vmcb.save.cr4 |= X86_CR4_DE;
	l1_vmcb.save.dr6 = 0xffff4ff0;
	l1_vmcb.save.rflags |= X86_EFLAGS_CF;
	l2_regs.r15 = 15;
	l2_run(t_io);
	CHECK_L2_DONE((ulong_t)t_io_end - 3);
	CHECK_EQ(0x42, l2_regs.r12);
	CHECK_EQ(twin_reply(nr_before + 2, 1), l2_regs.r13);
	CHECK_EQ(twin_reply(nr_before + 4, 4), l2_regs.r14);
	CHECK_EQ(15, l2_regs.r15);
	CHECK_EQ(cr4 | X86_CR4_DE, l1_vmcb.save.cr4);
	CHECK_EQ(0xffff4ff0, l1_vmcb.save.dr6);
	CHECK_EQ(cr4, read_cr4());
	CHECK_EQ(hsave, rdmsr(MSR_VM_HSAVE_PA));
	CHECK_EQ(0x12345000, rdmsr(MSR_LSTAR));
	out8(0x80, 5);
}

static void guest_io(void)
{
	l1_svm_init();
	l2_io(0);
}

static void guest_io_npt(void)
{
	l1_svm_init();
	npt_build();
	l1_vmcb.control.nested_ctl = NP_ENABLE;
	l1_vmcb.control.nested_cr3 = (ulong_t)npt_root;
	l2_io(0);
}

/* L1 has changed its VMCB in memory: what VMRUN read counts. */
INSN(t_controls, "out %al, $0x80\n\tcpuid\n\tvmmcall")

static void guest_controls(void)
{
	l1_svm_init();
	vmcb_intercept(&l1_vmcb, SVM_EXIT_CPUID);
	l2_run(t_controls);
	CHECK_EXIT(.code = SVM_EXIT_CPUID, .rip = (ulong_t)t_controls + 2);
	out8(0x80, 2);
}

static void act_controls(struct vm *vm, unsigned int exit)
{
	struct kvm_nested_state *state = calloc(1, 3 * 4096);

	state->size = 3 * 4096;
	vcpu_ioctl(vm->vcpus[0], KVM_GET_NESTED_STATE, state);
	if (exit == 1)
		memset(vm_hva(vm, state->hdr.svm.vmcb_pa, 0x10), 0, 0x10);
	free(state);
}

/* --- V_IRQ: pending at exit 1, where L2 has IF = 0; exit 2 is in L2's handler, or L1's, behind the intercept --- */

/*
 * INT touches all that the delivery will: QEMU 7.2 loses V_IRQ when KVM has yet to map that. Behind a tick of the host it
 * takes V_IRQ an instruction early (0111) or late, so L2 waits for it where one instruction is as good as the next.
 */
INSN(t_virq, "out %al, $0x80\n\tint $0x20\n\tsti\n\tt_virq_wait: jmp t_virq_wait\n\tcli\n\tvmmcall")
extern const char t_virq_wait[] GUEST_API;

static void ignore(struct guest_regs *regs)
{
	(void)regs;
}

static void on_virq(struct guest_regs *regs)
{
	on_event(regs);
	CHECK_EQ((ulong_t)t_virq_wait, regs->rip);
	regs->rip += 2;
}

static void virq_start(void)
{
	guest_handle(VECTOR, on_virq);
	l1_svm_init();
	l2_warm();
	guest_handle(0x20, ignore);
	l1_vmcb.control.int_ctl = V_IRQ | V_INTR_MASKING | 6 << 16;
	l1_vmcb.control.int_vector = VECTOR;
}

static void guest_virq(void)
{
	virq_start();
	l2_run(t_virq);
	CHECK_L2_DONE((ulong_t)t_virq_end - 3);
	CHECK_EQ(1, nr_taken);
	CHECK_EQ(0, l1_vmcb.control.int_ctl & V_IRQ);
}

static void guest_vintr(void)
{
	virq_start();
	vmcb_intercept(&l1_vmcb, SVM_EXIT_VINTR);
	l2_run(t_virq);
	CHECK_EXIT(.code = SVM_EXIT_VINTR, .rip = (ulong_t)t_virq_wait);
	CHECK_EQ(0, nr_taken);
	CHECK_EQ(V_IRQ, l1_vmcb.control.int_ctl & V_IRQ);
}

/* --- interrupts and NMIs from outside, at exit 1 --- */

static void act_interrupt(struct vm *vm, unsigned int exit)
{
	const struct kvm_interrupt irq = { .irq = VECTOR };

	if (exit == 1)
		vcpu_ioctl(vm->vcpus[0], KVM_INTERRUPT, &irq);
}

static void act_nmi(struct vm *vm, unsigned int exit)
{
	if (exit == 1)
		vcpu_ioctl_value(vm->vcpus[0], KVM_NMI, 0);
}

/* A second one, in the handler of the first. */
static void act_nmis(struct vm *vm, unsigned int exit)
{
	if (exit <= 2)
		vcpu_ioctl_value(vm->vcpus[0], KVM_NMI, 0);
}

INSN(t_out, "out %al, $0x80\n\tnop\n\tvmmcall")
INSN(t_hlt, "sti\n\thlt\n\tcli\n\tvmmcall")

/* What L1 goes on with is none of what its L2 has. */
static void guest_other(void)
{
	const uint64_t *root = (const uint64_t *)(read_cr3() & ~0xffful);
	uint64_t *other_root = page_alloc();
	struct vmcb_save *save;

	l1_svm_init();
	memcpy(other_root, root, 4096);
	save = &l1_vmcb.save;
	save->cr3 = (ulong_t)other_root;
	save->cr4 |= X86_CR4_DE;
	save->cr0 ^= X86_CR0_WP;
	save->efer ^= EFER_NX;
	save->rflags |= X86_EFLAGS_CF | X86_EFLAGS_DF;
	save->gdtr.base = 0x12340000;
	save->gdtr.limit = 0x77;
	save->idtr.base = 0x43210000;
	save->idtr.limit = 0x123;
	save->es.selector = save->ds.selector = 0x18;
	save->es.base = save->ds.base = 0x5000;
	save->es.limit = save->ds.limit = 0x7fff;
	save->es.attrib = save->ds.attrib = save->ss.attrib = 0x493;
	save->cs.selector = 0x38;
	save->ss.selector = 0x40;
	save->ss.limit = 0xffff;
	l2_run(t_out);
	CHECK_L2_DONE((ulong_t)t_out_end - 3);
	CHECK_EQ((ulong_t)root, read_cr3() & ~0xffful);
	CHECK_EQ(0, read_cr4() & X86_CR4_DE);
}

/* Given to L2. */
static void guest_interrupt(void)
{
	guest_handle(VECTOR, on_event);
	l1_svm_init();
	l1_vmcb.save.rflags |= X86_EFLAGS_IF;
	l2_run(t_out);
	CHECK_L2_DONE((ulong_t)t_out_end - 3);
	CHECK_EQ(1, nr_taken);
}

static void guest_l2_hlt(void)
{
	guest_handle(VECTOR, on_event);
	l1_svm_init();
	l2_run(t_hlt);
	CHECK_L2_DONE((ulong_t)t_hlt_end - 3);
	CHECK_EQ(1, nr_taken);
}

static void guest_l1_hlt(void)
{
	guest_handle(VECTOR, on_event);
	l1_svm_init();
	l2_warm();
	__asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
	CHECK_EQ(1, nr_taken);
	l2_io(2);
}

static void guest_nmi(void)
{
	guest_handle(NMI_VECTOR, on_event);
	l1_svm_init();
	l2_run(t_out);
	CHECK_L2_DONE((ulong_t)t_out_end - 3);
	CHECK_EQ(2, nr_taken);
	out8(0x80, 4);
}

static void guest_nmi_exits(void)
{
	guest_handle(NMI_VECTOR, on_event);
	l1_svm_init();
	vmcb_intercept(&l1_vmcb, SVM_EXIT_NMI);
	l2_run(t_out);
	CHECK_EXIT(.code = SVM_EXIT_NMI, .rip = (ulong_t)t_out + 2);
	CHECK_EQ(1, nr_taken);
}

/* --- an SMI in L2: exit 2 is the handler's, and L1 is nowhere but in memory then --- */

static void act_smi(struct vm *vm, unsigned int exit)
{
	if (exit == 1)
		vcpu_ioctl_value(vm->vcpus[0], KVM_SMI, 0);
}

static void guest_smi(void)
{
	memcpy((void *)(ulong_t)(SMBASE + SMM_ENTRY), smm_handler, sizeof(smm_handler));
	l1_svm_init();
	l2_run(t_out);
	CHECK_L2_DONE((ulong_t)t_out_end - 3);
	out8(0x80, 3);
}

/* Pending while GIF is clear, and taken behind STGI: exit 3. */
static void guest_gif(void)
{
	guest_handle(NMI_VECTOR, on_event);
	l1_svm_init();
	clgi();
	out8(0x80, 1);
	CHECK_EQ(0, nr_taken);
	out8(0x80, 2);
	CHECK_EQ(0, nr_taken);
	stgi();
	CHECK_EQ(1, nr_taken);
	l2_run(t_out);
	CHECK_L2_DONE((ulong_t)t_out_end - 3);
}

/* --- an exception that user space makes pending in L2: L1 intercepts it --- */

static void guest_gp_exits(void)
{
	l1_svm_init();
	vmcb_intercept(&l1_vmcb, SVM_EXIT_EXCP_BASE + GP_VECTOR);
	l2_run(t_out);
	/* Undefined but for #PF: APM vol. 2, 15.12. */
	l1_vmcb.control.exit_info_2 = 0;
	CHECK_EXIT(.code = SVM_EXIT_EXCP_BASE + GP_VECTOR, .info_1 = 0x58, .rip = (ulong_t)t_out + 2);
	out8(0x80, 2);
}

static void guest_gp(void)
{
	guest_handle(GP_VECTOR, on_event);
	l1_svm_init();
	l2_run(t_out);
	CHECK_L2_DONE((ulong_t)t_out_end - 3);
	CHECK_EQ(1, nr_taken);
	CHECK_EQ(0x58, taken_error);
}

/*
 * --- VMRUN accepted, L2 not entered: user space steps from exit 1, the OUT, over VMRUN; at exit 3 it stops to. L1's
 * registers but RAX, RSP and RIP are L2's ---
 */

#define STEPS_TO_VMRUN 3

static void guest_debug_set(struct vm *vm, uint32_t control)
{
	const struct kvm_guest_debug debug = { .control = control };

	vcpu_ioctl(vm->vcpus[0], KVM_SET_GUEST_DEBUG, &debug);
}

static void act_step(struct vm *vm, unsigned int exit)
{
	if (exit == 1)
		guest_debug_set(vm, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP);
	if (exit == STEPS_TO_VMRUN)
		guest_debug_set(vm, 0);
}

INSN(t_nop, "nop\n\tvmmcall")

static void run_stepped(uint32_t event, uint32_t error_code)
{
	static uint8_t stack[0x800] __attribute__((aligned(16)));

	l1_svm_init();
	l2_warm();
	l1_vmcb.control.event_inj = event ? event | EVENT_VALID : 0;
	l1_vmcb.control.event_inj_error = error_code;
	l1_vmcb.save.rip = (ulong_t)t_nop;
	l1_vmcb.save.rsp = (ulong_t)stack + sizeof(stack);
	__asm__ volatile("outb %%al, $0x80\n\tnop\n\tvmrun\n\tstgi"
			 : : "a"(&l1_vmcb) : "rcx", "rdx", "rbx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
	CHECK_L2_DONE((ulong_t)t_nop_end - 3);
	out8(0x80, 2);
}

static void guest_vmrun(void)
{
	run_stepped(0, 0);
	CHECK_EQ(0, nr_taken);
}

static void guest_inject_intr(void)
{
	guest_handle(VECTOR, on_event);
	run_stepped(EVENT_INTR | VECTOR, 0);
	CHECK_EQ(1, nr_taken);
	CHECK_EQ(VECTOR, taken_vector);
}

static void guest_inject_gp(void)
{
	guest_handle(GP_VECTOR, on_event);
	run_stepped(EVENT_EXCEPTION | EVENT_HAS_ERROR | GP_VECTOR, 0x58);
	CHECK_EQ(1, nr_taken);
	CHECK_EQ(0x58, taken_error);
}

static void guest_inject_nmi(void)
{
	guest_handle(NMI_VECTOR, on_event);
	run_stepped(EVENT_NMI | NMI_VECTOR, 0);
	CHECK_EQ(1, nr_taken);
}

/* --- rows --- */

#define ACT(act_) .plan.act = ON_HOST(act_)
#define PENDING_GP ACT(twin_act_gp), .set_up = ON_HOST(twin_payload_enable), .needs = "KVM_CAP_EXCEPTION_PAYLOAD"
/* There steps end the lab, and an NMI that waits for an IRET comes now so, now so. */
#define BOCHS_STEPS .known = { .finding = "0506-bochs-svm-single-step", .targets = "lab-svm-bochs", .is_skipped = true }
#define SMI ACT(act_smi), .set_up = ON_HOST(twin_smm_memory), .needs = SMM_NEEDS
#define STEPPED ACT(act_step), BOCHS_STEPS
#define STEP_AT(label_, nr_, guest_) TWIN_AT(label_, 3, nr_, guest_, STEPPED)

static const struct twin_row rows[] = {
	TWIN_AT("io", 1, 6, guest_io), TWIN_AT("io", 2, 6, guest_io), TWIN_AT("io", 3, 6, guest_io),
	TWIN_AT("io", 4, 6, guest_io), TWIN_AT("io", 5, 6, guest_io),
	TWIN_AT("io_npt", 1, 6, guest_io_npt), TWIN_AT("io_npt", 2, 6, guest_io_npt),
	TWIN_AT("io_npt", 3, 6, guest_io_npt), TWIN_AT("io_npt", 4, 6, guest_io_npt),
	TWIN_AT("io_npt", 5, 6, guest_io_npt),
	TWIN_AT("other", 1, 2, guest_other),
	TWIN_3("controls", guest_controls, ACT(act_controls)),
	TWIN_AT("virq", 1, 3, guest_virq), TWIN_AT("virq", 2, 3, guest_virq),
	TWIN_AT("vintr", 1, 2, guest_vintr),
	TWIN_3("interrupt", guest_interrupt, ACT(act_interrupt)),
	TWIN_3("l2_hlt", guest_l2_hlt, ACT(act_interrupt)),
	TWIN_AT("l1_hlt", 1, 8, guest_l1_hlt, ACT(act_interrupt)), TWIN_AT("l1_hlt", 2, 8, guest_l1_hlt, ACT(act_interrupt)),
	TWIN_5("nmi", guest_nmi, ACT(act_nmis), BOCHS_STEPS), TWIN_3("nmi_exits", guest_nmi_exits, ACT(act_nmi)),
	TWIN_AT("gif", 1, 5, guest_gif, ACT(act_nmi)), TWIN_AT("gif", 2, 5, guest_gif, ACT(act_nmi)),
	TWIN_AT("gif", 3, 5, guest_gif, ACT(act_nmi)), TWIN_AT("gif", 4, 5, guest_gif, ACT(act_nmi)),
	TWIN_4("smi", guest_smi, SMI),
	TWIN_3("gp_exits", guest_gp_exits, PENDING_GP), TWIN_3("gp", guest_gp, PENDING_GP),
	STEP_AT("vmrun", 5, guest_vmrun), STEP_AT("inject_intr", 6, guest_inject_intr),
	STEP_AT("inject_gp", 6, guest_inject_gp), STEP_AT("inject_nmi", 6, guest_inject_nmi),

	TWIN_LOST("lost_nested", 1, guest_io, PART_NESTED),
	TWIN_LOST("lost_nested_controls", 1, guest_controls, PART_NESTED, ACT(act_controls)),
	TWIN_LOST("lost_nested_virq", 1, guest_virq, PART_NESTED),
	TWIN_LOST("lost_nested_gif", 1, guest_gif, PART_NESTED, ACT(act_nmi)),
	TWIN_LOST("lost_nested_injection", 3, guest_inject_intr, PART_NESTED, STEPPED),
	TWIN_LOST("lost_events_interrupt", 1, guest_interrupt, PART_EVENTS, ACT(act_interrupt)),
	TWIN_LOST("lost_events_nmi", 2, guest_nmi, PART_EVENTS, ACT(act_nmis), BOCHS_STEPS),
	TWIN_LOST("lost_events_exception", 1, guest_gp_exits, PART_EVENTS, PENDING_GP),
	TWIN_LOST("lost_msrs", 1, guest_io, PART_MSRS),
	TWIN_LOST("lost_msrs_hsave", 2, guest_smi, PART_MSRS, SMI),
};

CASE(twin_l2, .says = "L1 and its L2 go on in another VM", .modes = LONG64,
     .needs = "vendor:amd nested KVM_CAP_NESTED_STATE", .rows = ROWS(rows))

GUEST(twin_l2)
{
	GUEST_ROW(rows)->guest();
	/* It is the host's there, and memory is compared. */
	if (abi_self()->cr2_is_lost)
		l1_vmcb.save.cr2 = 0;
	/* The rest is of L0's own events, which each VM has in its own number: finding 1306, svm.event_inject_own. */
	l1_vmcb.control.event_inj &= EVENT_VALID;
}

HOST(twin_l2)
{
	twin_host(t, ROW(t, rows));
}
