/* SPDX-License-Identifier: MIT */
/*
 * INIT and start-up IPIs: blocked while L1 runs in VMX operation, an exit as soon as L2 does; and an L2 that waits for a
 * start-up exits by it, with its vector.
 *
 * Can break: an INIT that resets a vCPU in VMX operation, one that is lost in L1, a start-up that L1 gets though nobody
 * waits for one.
 * Source: SDM vol. 3C, 24.8, 26.2 (INIT signals, start-up IPIs), 28.2.1 (qualification of start-up IPIs), 26.6.2.
 */
#include "cases/ioctl/lapic_regs.h"
#include "case.h"
#include "guests/l1_vmx.h"

#define START_VECTOR 0x2a

/* RDI: the ICR, EAX: what is written there. */
INSN(init_send, "mov %eax, (%rdi)\n\t.globl init_next\ninit_next:\n\tnop\n\tret")
extern const char init_next[] GUEST_API;

static volatile bool is_done;

static void send_to_self(uint32_t icr)
{
	write32(APIC_ICR_HIGH, 0);
	write32(APIC_ICR, icr);
}

static void check_exit(uint64_t reason, uint64_t qualification, const char *rip, uint64_t activity)
{
	CHECK_EQ(VMX_OK, vmx.exit.outcome);
	CHECK_REASON(reason);
	CHECK_EQ(qualification, vmx.exit.qualification);
	CHECK_EQ((ulong_t)rip, vmx.exit.rip);
	CHECK_EQ(activity, vmx.exit.activity);
	CHECK_EQ(0, vmx.exit.intr_info);
	CHECK_EQ(0, vmx.exit.vectoring_info);
}

static void check_goes_on(void)
{
	vmcs_write(GUEST_ACTIVITY, ACTIVITY_ACTIVE);
	vmx_run();
	CHECK_L2_DONE();
}

/* Its own vCPU's, at the next instruction. */
static void init_in_l2(void)
{
	vmx_start();
	write32(APIC_ICR_HIGH, 0);
	vmx_aim(init_send);
	vmx.gprs.rdi = APIC_ICR;
	vmx.gprs.rax = ICR_INIT | ICR_ASSERT;
	vmx_run();
	check_exit(EXIT_REASON_INIT_SIGNAL, 0, init_next, ACTIVITY_ACTIVE);
	check_goes_on();
}

static void init_in_l1(void)
{
	vmx_start();
	send_to_self(ICR_INIT | ICR_ASSERT);
	CHECK_EQ((ulong_t)vmx_l2_end, vmcs_read(GUEST_RIP));
	vmx_run();
	check_exit(EXIT_REASON_INIT_SIGNAL, 0, vmx_l2_end, ACTIVITY_ACTIVE);
	check_goes_on();
}

/* Before the interrupt that has waited, too. */
static void init_before_interrupt(void)
{
	vmx_start();
	write32(APIC_SVR, SVR_ENABLE | 0xff);
	vmcs_set(PIN_CONTROLS, PIN_EXTERNAL_INTERRUPT_EXITING);
	write32(APIC_ICR, ICR_SELF | 0x55);
	send_to_self(ICR_INIT | ICR_ASSERT);
	vmx_run();
	check_exit(EXIT_REASON_INIT_SIGNAL, 0, vmx_l2_end, ACTIVITY_ACTIVE);
	vmx_run();
	check_exit(EXIT_REASON_EXTERNAL_INTERRUPT, 0, vmx_l2_end, ACTIVITY_ACTIVE);
}

/* Where nobody waits for it, it is ignored: in L1, and in L2. */
static void startup_ignored(void)
{
	vmx_start();
	send_to_self(ICR_STARTUP | START_VECTOR);
	vmx_aim(init_send);
	vmx.gprs.rdi = APIC_ICR;
	vmx.gprs.rax = ICR_STARTUP | START_VECTOR;
	vmx_run();
	CHECK_EQ(VMX_OK, vmx.exit.outcome);
	CHECK_L2_DONE();
}

/* The other vCPU sends it until it has been seen. */
static void startup(void)
{
	vmx_start();
	vmcs_write(GUEST_ACTIVITY, ACTIVITY_WAIT_FOR_SIPI);
	vmx_run();
	is_done = true;
	check_exit(EXIT_REASON_SIPI_SIGNAL, START_VECTOR, vmx_l2_end, ACTIVITY_WAIT_FOR_SIPI);
	check_goes_on();
}

/* Not an INIT: that is blocked where a start-up is waited for. */
static void startup_behind_init(void)
{
	vmx_start();
	send_to_self(ICR_INIT | ICR_ASSERT);
	vmcs_write(GUEST_ACTIVITY, ACTIVITY_WAIT_FOR_SIPI);
	vmx_run();
	is_done = true;
	check_exit(EXIT_REASON_SIPI_SIGNAL, START_VECTOR, vmx_l2_end, ACTIVITY_WAIT_FOR_SIPI);
}

static void send_startups(void)
{
	unsigned int i;

	while (!is_done) {
		write32(APIC_ICR_HIGH, 0);
		write32(APIC_ICR, ICR_STARTUP | START_VECTOR);
		for (i = 0; i < 1000; i++)
			cpu_relax();
	}
}

struct row {
	ROW_FIELDS;
	void (*run)(void);
	bool has_sender;
};
#define RUN(name_, ...) { .label = #name_, .run = name_, ##__VA_ARGS__ }

static const struct row rows[] = {
	RUN(init_in_l2), RUN(init_in_l1), RUN(init_before_interrupt), RUN(startup_ignored),
	RUN(startup, .has_sender = true, .needs = "vmx:wait_for_sipi"),
	RUN(startup_behind_init, .has_sender = true, .needs = "vmx:wait_for_sipi"),
};

CASE(exit_init, .says = "INIT and start-up exit from L2, and are blocked in L1", .modes = LONG64,
     .needs = "vendor:intel nested", .irqchip = true, .nr_vcpus = 2, .rows = ROWS(rows))

GUEST(exit_init)
{
	const struct row *row = GUEST_ROW(rows);

	if (!vcpu_index())
		row->run();
	else if (row->has_sender)
		send_startups();
	CHECK(true);
}

HOST(exit_init)
{
	/* With the in-kernel APIC it would wait for a start-up. */
	const struct kvm_mp_state runnable = { KVM_MP_STATE_RUNNABLE };

	vcpu_ioctl(t->vm->vcpus[1], KVM_SET_MP_STATE, &runnable);
	expect_all_done(t);
}
