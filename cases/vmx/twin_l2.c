/* SPDX-License-Identifier: MIT */
/*
 * A VM whose guest is a hypervisor on VMX moves while its L2 runs, or between two VMX instructions of L1: L2's I/O, its
 * events and L1's exits go on in the other VM. The current VMCS is in no memory of the guest then.
 *
 * Can break: the cached VMCS, or the one that it links to; an exit that is due but not made (monitor trap); what L1's
 * controls ask for and L2's state decides (windows, the preemption timer); whose NMI is blocked.
 * Source: KVM API, KVM_GET_NESTED_STATE, KVM_SET_NESTED_STATE (KVM_STATE_NESTED_MTF_PENDING and the VMX header); SDM
 * vol. 3C, 24.11.1 (software use of the VMCS), 25.6, 26.5.
 *
 * Seen to fail without: NESTED (VMXON and the current VMCS, L2, the linked VMCS, the trap that is due), EVENTS, MSRS:
 * the rows "lost_*".
 */
#include "cases/ioctl/twin.h"
#include "guests/l1_vmx.h"

#define VECTOR 0x33

static volatile uint32_t nr_taken;

static void on_event(struct guest_regs *regs)
{
	(void)regs;
	nr_taken++;
	out8(0x82, nr_taken);
}

/* --- L1 with a current VMCS, not in L2 --- */

static void guest_current(void)
{
	vmx_start();
	vmcs_write(GUEST_SYSENTER_ESP, 0x7777000);
	out8(0x80, 1);
	CHECK_EQ(0x7777000, vmcs_read(GUEST_SYSENTER_ESP));
	vmcs_write(GUEST_SYSENTER_EIP, 0x8888000);
	out8(0x80, 2);
	CHECK_EQ(VMX_OK, vmclear_try((ulong_t)vmx.vmcs));
	out8(0x80, 3);
	CHECK_EQ(VMX_FAIL_INVALID, vmread_try(GUEST_SYSENTER_ESP, &(uint64_t){ 0 }));
	CHECK_EQ(VMX_OK, vmptrld_try((ulong_t)vmx.vmcs));
	CHECK_EQ(0x8888000, vmcs_read(GUEST_SYSENTER_EIP));
}

/* --- L2 amid I/O: exits 1 to 4 are its own --- */

INSN(u_io, "mov $0x41, %r12d\n\tmov $0x11, %al\n\tout %al, $0x80\n\tin $0x81, %al\n\tmovzx %al, %r13d\n\t"
	   "mov $0x10000ffe, %ebx\n\tmovw $0x5566, (%rbx)\n\tmov 6(%rbx), %r14d\n\tinc %r12\n\tret")

static void l2_io(void)
{
	ulong_t cr4 = read_cr4();

	wrmsr(MSR_LSTAR, 0x12345000);
	wrmsr(MSR_IA32_SYSENTER_ESP, 0x9999000);
	vmcs_set(GUEST_CR4, X86_CR4_DE);
	vmcs_write(GUEST_SYSENTER_ESP, 0x7777000);
	vmcs_write(HOST_SYSENTER_ESP, 0x9999000);
	vmx.gprs.r15 = 15;
	vmx_aim(u_io);
	vmx_run();
	CHECK_L2_DONE();
	CHECK_EQ(0x42, vmx.gprs.r12);
	CHECK_EQ(twin_reply(2, 1), vmx.gprs.r13);
	CHECK_EQ(twin_reply(4, 4), vmx.gprs.r14);
	CHECK_EQ(15, vmx.gprs.r15);
	CHECK_EQ(cr4 | X86_CR4_DE, vmx.exit.cr4);
	CHECK_EQ(0x7777000, vmcs_read(GUEST_SYSENTER_ESP));
	CHECK_EQ(cr4, read_cr4());
	CHECK_EQ(0x9999000, rdmsr(MSR_IA32_SYSENTER_ESP));
	CHECK_EQ(0x12345000, rdmsr(MSR_LSTAR));
	out8(0x80, 5);
}

static void guest_io(void)
{
	vmx_start();
	l2_io();
}

static void guest_io_ept(void)
{
	vmx_start();
	vmx_use_ept();
	l2_io();
}

/* --- what L1 asked for, and L2's state decides --- */

INSN(u_sti, "out %al, $0x80\n\tsti\n\tnop\n\tnop\n\tcli\n\tret")
INSN(u_out, "out %al, $0x80\n\tnop\n\tret")
INSN(u_hlt, "sti\n\thlt\n\tcli\n\tret")
INSN(u_spin, "out %al, $0x80\n1:\tpause\n\tjmp 1b")

static void guest_window(void)
{
	vmx_start();
	vmcs_set(PROC_CONTROLS, PROC_INTERRUPT_WINDOW_EXITING);
	vmx_aim(u_sti);
	vmx_run();
	CHECK_EQ(EXIT_REASON_INTERRUPT_WINDOW, vmx.exit.reason);
	CHECK_EQ((ulong_t)u_sti + 4, vmx.exit.rip);
	out8(0x80, 2);
}

/* The trap behind the OUT is due when the OUT completes. */
static void guest_trap(void)
{
	vmx_start();
	vmcs_set(PROC_CONTROLS, PROC_MONITOR_TRAP_FLAG);
	vmx_aim(u_out);
	vmx_run();
	CHECK_EQ(EXIT_REASON_MONITOR_TRAP_FLAG, vmx.exit.reason);
	CHECK_EQ((ulong_t)u_out + 2, vmx.exit.rip);
	out8(0x80, 2);
}

static void guest_preemption(void)
{
	vmx_start();
	vmcs_set(PIN_CONTROLS, PIN_PREEMPTION_TIMER);
	vmcs_write(PREEMPTION_TIMER_VALUE, 2000000);
	/* Bochs holds an interrupt of the host back while a guest has IF = 0. */
	vmcs_set(GUEST_RFLAGS, X86_EFLAGS_IF);
	vmx_aim(u_spin);
	vmx_run();
	CHECK_EQ(EXIT_REASON_PREEMPTION_TIMER, vmx.exit.reason);
	out8(0x80, 2);
}

/* --- the VMCS that L1's links to, which L2 reads and writes: it has 0x1111 --- */

static void l2_linked(void)
{
	uint64_t value = 0;

	out8(0x80, 1);
	CHECK_EQ(VMX_OK, vmread_try(GUEST_SYSENTER_ESP, &value));
	CHECK_EQ(0x1111, value);
	CHECK_EQ(VMX_OK, vmwrite_try(GUEST_SYSENTER_ESP, 0x4444));
	out8(0x80, 2);
	CHECK_EQ(VMX_OK, vmread_try(GUEST_SYSENTER_ESP, &value));
	CHECK_EQ(0x4444, value);
}

static void guest_linked(void)
{
	uint32_t *linked;

	vmx_start();
	linked = vmx_region_alloc();
	*linked |= 1u << 31;
	CHECK_EQ(VMX_OK, vmclear_try((ulong_t)linked));
	CHECK_EQ(VMX_OK, vmptrld_try((ulong_t)linked));
	vmcs_write(GUEST_SYSENTER_ESP, 0x1111);
	CHECK_EQ(VMX_OK, vmclear_try((ulong_t)linked));
	CHECK_EQ(VMX_OK, vmptrld_try((ulong_t)vmx.vmcs));
	vmcs_write(VMREAD_BITMAP, (ulong_t)page_alloc());
	vmcs_write(VMWRITE_BITMAP, (ulong_t)page_alloc());
	vmx_use_secondary(PROC2_VMCS_SHADOWING);
	vmcs_write(VMCS_LINK_POINTER, (ulong_t)linked);
	vmx_aim(l2_linked);
	vmx_run();
	CHECK_L2_DONE();
}

/* --- from outside, at exit 1 --- */

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

static void guest_interrupt(void)
{
	guest_handle(VECTOR, on_event);
	vmx_start();
	vmcs_set(GUEST_RFLAGS, X86_EFLAGS_IF);
	vmx_aim(u_out);
	vmx_run();
	CHECK_L2_DONE();
	CHECK_EQ(1, nr_taken);
}

static void guest_hlt(void)
{
	guest_handle(VECTOR, on_event);
	vmx_start();
	vmx_aim(u_hlt);
	vmx_run();
	CHECK_L2_DONE();
	CHECK_EQ(1, nr_taken);
}

static void guest_nmi(void)
{
	guest_handle(NMI_VECTOR, on_event);
	vmx_start();
	vmx_aim(u_out);
	vmx_run();
	CHECK_L2_DONE();
	CHECK_EQ(2, nr_taken);
	out8(0x80, 4);
}

static void guest_nmi_exits(void)
{
	vmx_start();
	vmcs_set(PIN_CONTROLS, PIN_NMI_EXITING);
	vmx_aim(u_out);
	vmx_run();
	CHECK_EQ(EXIT_REASON_EXCEPTION_NMI, vmx.exit.reason);
	CHECK_EQ(INTR_VALID | INTR_NMI | NMI_VECTOR, vmx.exit.intr_info);
	CHECK_EQ((ulong_t)u_out + 2, vmx.exit.rip);
	out8(0x80, 2);
}

/* --- an exception that user space makes pending in L2 --- */

static void guest_gp_exits(void)
{
	vmx_start();
	vmcs_set(EXCEPTION_BITMAP, 1u << GP_VECTOR);
	vmx_aim(u_out);
	vmx_run();
	CHECK_EQ(EXIT_REASON_EXCEPTION_NMI, vmx.exit.reason);
	CHECK_EQ(INTR_VALID | INTR_HARDWARE_EXCEPTION | INTR_ERROR_CODE | GP_VECTOR, vmx.exit.intr_info);
	CHECK_EQ(0x58, vmx.exit.intr_error_code);
	CHECK_EQ((ulong_t)u_out + 2, vmx.exit.rip);
	out8(0x80, 2);
}

static void guest_gp(void)
{
	guest_handle(GP_VECTOR, on_event);
	vmx_start();
	vmx_aim(u_out);
	vmx_run();
	CHECK_L2_DONE();
	CHECK_EQ(1, nr_taken);
}

/* --- rows --- */

#define ACT(act_) .plan.act = ON_HOST(act_)
#define PENDING_GP ACT(twin_act_gp), .set_up = ON_HOST(twin_payload_enable), .needs = "KVM_CAP_EXCEPTION_PAYLOAD"
#define PREEMPTION .needs = "vmx:preemption_timer", .has_time = true
#define TRAP .needs = "vmx:monitor_trap_flag"
#define LINKED .needs = "vmx:vmcs_shadowing"

static const struct twin_row rows[] = {
	TWIN_4("current", guest_current),
	TWIN_AT("io", 1, 6, guest_io), TWIN_AT("io", 2, 6, guest_io), TWIN_AT("io", 3, 6, guest_io),
	TWIN_AT("io", 4, 6, guest_io), TWIN_AT("io", 5, 6, guest_io),
	TWIN_AT("io_ept", 1, 6, guest_io_ept, .needs = "vmx:ept"), TWIN_AT("io_ept", 2, 6, guest_io_ept, .needs = "vmx:ept"),
	TWIN_AT("io_ept", 3, 6, guest_io_ept, .needs = "vmx:ept"), TWIN_AT("io_ept", 4, 6, guest_io_ept, .needs = "vmx:ept"),
	TWIN_AT("io_ept", 5, 6, guest_io_ept, .needs = "vmx:ept"),
	TWIN_3("window", guest_window), TWIN_3("trap", guest_trap, TRAP), TWIN_3("preemption", guest_preemption, PREEMPTION),
	TWIN_3("linked", guest_linked, LINKED),
	TWIN_3("interrupt", guest_interrupt, ACT(act_interrupt)), TWIN_3("hlt", guest_hlt, ACT(act_interrupt)),
	TWIN_5("nmi", guest_nmi, ACT(act_nmis)), TWIN_3("nmi_exits", guest_nmi_exits, ACT(act_nmi)),
	TWIN_3("gp_exits", guest_gp_exits, PENDING_GP), TWIN_3("gp", guest_gp, PENDING_GP),

	TWIN_LOST("lost_nested_current", 1, guest_current, PART_NESTED),
	TWIN_LOST("lost_nested", 1, guest_io, PART_NESTED),
	TWIN_LOST("lost_nested_linked", 1, guest_linked, PART_NESTED, LINKED),
	TWIN_LOST("lost_nested_trap", 1, guest_trap, PART_NESTED, TRAP),
	TWIN_LOST("lost_events_nmi", 2, guest_nmi, PART_EVENTS, ACT(act_nmis)),
	TWIN_LOST("lost_events_exception", 1, guest_gp_exits, PART_EVENTS, PENDING_GP),
	TWIN_LOST("lost_msrs", 1, guest_io, PART_MSRS),
};

CASE(twin_l2, .says = "L1 and its L2 go on in another VM", .modes = LONG64,
     .needs = "vendor:intel nested KVM_CAP_NESTED_STATE", .rows = ROWS(rows))

GUEST(twin_l2)
{
	GUEST_ROW(rows)->guest();
}

HOST(twin_l2)
{
	twin_host(t, ROW(t, rows));
}
