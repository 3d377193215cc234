/* SPDX-License-Identifier: MIT */
/*
 * INIT and start-up messages with the in-kernel local APIC: the states a second vCPU goes through, where it starts, what
 * INIT resets and what it keeps, and what comes at the wrong time and is dropped.
 *
 * Can break: CS and IP of the start-up vector, a start-up taken without INIT or twice, a register that INIT clears, the
 * boot processor left waiting, events of an earlier life that stay pending.
 * Source: SDM vol. 3A, 9.1.1 (table 9-1, state after INIT), 9.4.4.1 (INIT-SIPI-SIPI), 11.4.7.3 (local APIC after INIT);
 * APM vol. 2, 14.1.3; KVM API, 4.38 (KVM_GET_MP_STATE).
 */
#include "case.h"

#include <string.h>

#include "cases/ioctl/lapic_regs.h"

#define START_VECTOR 0x2a
#define START_GPA (START_VECTOR << 12)

static const uint8_t out_loop[] = {
	0xb0, 0x5a,		/* mov $0x5a, %al */
	0xe6, 0x80,		/* out %al, $0x80 */
	0xeb, 0xfc,		/* jmp to the out */
};

static void ipi(struct test *t, uint32_t low)
{
	/* vCPU 0 sends it, at its next stage. */
	t->vcpu = t->vm->vcpus[0];
	guest_arg(t, 0, low);
	require_sync(t, 1);
}

static uint32_t state_of(struct test *t, unsigned int index)
{
	struct kvm_mp_state state;

	vcpu_ioctl(t->vm->vcpus[index], KVM_GET_MP_STATE, &state);
	return state.mp_state;
}

static void init(struct test *t)
{
	ipi(t, ICR_INIT | ICR_ASSERT);
}

static void startup(struct test *t, uint8_t vector)
{
	ipi(t, ICR_STARTUP | ICR_ASSERT | vector);
}

/*
 * Note, CS is writable data in table 9-1 and code in KVM, and whether the accessed bit of CS and SS shows differs between
 * the vendors' modules.
 */
static void expect_segment(struct test *t, const struct kvm_segment *segment, uint16_t selector)
{
	expect_eq(t, selector, segment->selector);
	expect_eq(t, (uint32_t)selector << 4, segment->base);
	expect_eq(t, 0xffff, segment->limit);
	expect_eq(t, 3, (segment->type | 1) & 7);
	expect_eq(t, 1, segment->present);
	expect_eq(t, 1, segment->s);
	expect_eq(t, 0, segment->dpl);
	expect_eq(t, 0, segment->db);
	expect_eq(t, 0, segment->l);
	expect_eq(t, 0, segment->g);
}

static void expect_system_segment(struct test *t, const struct kvm_segment *segment, uint8_t type)
{
	expect_eq(t, 0, segment->selector);
	expect_eq(t, 0, segment->base);
	expect_eq(t, 0xffff, segment->limit);
	expect_eq(t, type, segment->type & 7);
	expect_eq(t, 1, segment->present);
	expect_eq(t, 0, segment->s);
	expect_eq(t, 0, segment->dpl);
	expect_eq(t, 0, segment->g);
}

/* At the code of out_loop, after a start-up with START_VECTOR. */
static void expect_started(struct test *t)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct kvm_debugregs debug;

	t->vcpu = t->vm->vcpus[1];
	expect_eq(t, KVM_MP_STATE_RUNNABLE, state_of(t, 1));
	/* Before it runs: Bochs 2.7 does not load CR2 at VMRUN. */
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &sregs);
	expect_eq(t, 0, sregs.cr2);
	expect_pio_out(t, .port = 0x80, .size = 1, .count = 1, .data = 0x5a);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &sregs);
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &regs);
	vcpu_ioctl(t->vcpu, KVM_GET_DEBUGREGS, &debug);
	expect_segment(t, &sregs.cs, START_VECTOR << 8);
	expect_segment(t, &sregs.ds, 0);
	expect_segment(t, &sregs.es, 0);
	expect_segment(t, &sregs.ss, 0);
	expect_segment(t, &sregs.fs, 0);
	expect_segment(t, &sregs.gs, 0);
	expect_system_segment(t, &sregs.tr, 3);
	expect_system_segment(t, &sregs.ldt, 2);
	expect_eq(t, 0, sregs.gdt.base);
	expect_eq(t, 0xffff, sregs.gdt.limit);
	expect_eq(t, 0, sregs.idt.base);
	expect_eq(t, 0xffff, sregs.idt.limit);
	expect_eq(t, X86_CR0_ET, sregs.cr0 & ~(X86_CR0_CD | X86_CR0_NW));
	expect_eq(t, 0, sregs.cr3);
	expect_eq(t, 0, sregs.cr4);
	expect_eq(t, 0, sregs.efer);
	expect_eq(t, 2, regs.rflags);
	expect_eq(t, 0x5a, regs.rax);
	expect_eq(t, 0, regs.rbx | regs.rcx | regs.rsi | regs.rdi | regs.rbp | regs.rsp);
	expect_eq(t, 0, regs.r8 | regs.r9 | regs.r10 | regs.r11 | regs.r12 | regs.r13 | regs.r14 | regs.r15);
	expect_true(t, regs.rdx != 0);	/* the CPU's identification */
	expect_eq(t, 0xffff0ff0, debug.dr6);
	expect_eq(t, 0x400, debug.dr7);
	expect_eq(t, KVM_MP_STATE_RUNNABLE, state_of(t, 1));
}

/* --- INIT, start-up --- */

static void host_start(struct test *t)
{
	expect_eq(t, KVM_MP_STATE_RUNNABLE, state_of(t, 0));
	expect_eq(t, KVM_MP_STATE_UNINITIALIZED, state_of(t, 1));
	init(t);
	expect_eq(t, KVM_MP_STATE_INIT_RECEIVED, state_of(t, 1));
	startup(t, START_VECTOR);
	expect_started(t);
	expect_eq(t, KVM_MP_STATE_RUNNABLE, state_of(t, 0));
}

/* Both are there when KVM_RUN looks: one after the other. It asks to be called again (EAGAIN) after a wait. */
static void host_start_at_once(struct test *t)
{
	init(t);
	startup(t, START_VECTOR);
	t->vcpu = t->vm->vcpus[1];
	expect_run_error(t, EAGAIN);
	expect_started(t);
}

static void host_first_vector_counts(struct test *t)
{
	init(t);
	startup(t, START_VECTOR);
	expect_eq(t, KVM_MP_STATE_RUNNABLE, state_of(t, 1));
	startup(t, 0x50);
	expect_started(t);
	/* And again while it runs. */
	startup(t, 0x50);
	t->vcpu = t->vm->vcpus[1];
	expect_pio_out(t, .port = 0x80, .size = 1, .count = 1, .data = 0x5a);
}

static void host_no_init(struct test *t)
{
	startup(t, START_VECTOR);
	expect_eq(t, KVM_MP_STATE_UNINITIALIZED, state_of(t, 1));
	/* It was dropped, not kept for the INIT. */
	init(t);
	expect_eq(t, KVM_MP_STATE_INIT_RECEIVED, state_of(t, 1));
}

static void host_runs_blocked(struct test *t)
{
	t->vcpu = t->vm->vcpus[1];
	t->vcpu->run->immediate_exit = 1;
	expect_run_error(t, EINTR);
	t->vcpu->run->immediate_exit = 0;
	init(t);
	expect_eq(t, KVM_MP_STATE_INIT_RECEIVED, state_of(t, 1));
	t->vcpu = t->vm->vcpus[1];
	t->vcpu->run->immediate_exit = 1;
	expect_run_error(t, EINTR);
	t->vcpu->run->immediate_exit = 0;
	expect_eq(t, KVM_MP_STATE_INIT_RECEIVED, state_of(t, 1));
}

/* --- INIT of a vCPU that runs: its state goes, all but what INIT keeps --- */

static void dirty(struct test *t, struct vcpu *vcpu)
{
	struct kvm_mp_state runnable = { KVM_MP_STATE_RUNNABLE };
	struct kvm_regs regs = { .rip = START_GPA, .rflags = 2, .rax = 1, .rbx = 2, .rcx = 3, .rdx = 0, .rsi = 5,
	.rdi = 6,
				 .rbp = 7, .rsp = 8, .r8 = 9, .r15 = 10 };
	struct kvm_debugregs debug = { .db = { 1, 2, 3, 4 }, .dr6 = 0xffff0fff, .dr7 = 0x700 };
	const struct kvm_segment data = { .base = 0x7000, .limit = 0xfffff, .selector = SEL_USER_DATA, .type = 3, .present = 1,
					  .dpl = 3, .db = 1, .s = 1, .g = 1 };
	struct kvm_lapic_state lapic;
	struct kvm_sregs sregs;

	vcpu_ioctl(vcpu, KVM_SET_MP_STATE, &runnable);
	vcpu_ioctl(vcpu, KVM_GET_SREGS, &sregs);
	sregs.cr2 = 0x1234000;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = data;
	sregs.tr = (struct kvm_segment){ .base = 0x8000, .limit = 0x67, .selector = 0x30, .type = 11, .present = 1 };
	sregs.ldt = (struct kvm_segment){ .base = 0x9000, .limit = 0x77, .selector = 0x28, .type = 2, .present = 1 };
	vcpu_ioctl(vcpu, KVM_SET_SREGS, &sregs);
	vcpu_ioctl(vcpu, KVM_SET_REGS, &regs);
	vcpu_ioctl(vcpu, KVM_SET_DEBUGREGS, &debug);
	vcpu_ioctl(vcpu, KVM_GET_LAPIC, &lapic);
	lapic.regs[0x80] = 0x30;	/* TPR */
	lapic.regs[0xf1] = 0x01;	/* SVR: enabled */
	lapic.regs[0x200 + 0x20 + 2] = 0x02;	/* IRR 51h */
	lapic.regs[0x100 + 0x20 + 1] = 0x02;	/* ISR 49h */
	lapic.regs[0xd3] = 0x02;	/* LDR */
	vcpu_ioctl(vcpu, KVM_SET_LAPIC, &lapic);
	expect_result(t, 0, vcpu_ioctl_value_try(vcpu, KVM_NMI, 0));
}

static uint32_t lapic_word(const struct kvm_lapic_state *lapic, uint32_t at)
{
	uint32_t value;

	memcpy(&value, lapic->regs + at, sizeof(value));
	return value;
}

static void host_init_resets(struct test *t)
{
	struct vcpu *vcpu = t->vm->vcpus[1];
	struct kvm_vcpu_events events;
	struct kvm_debugregs debug;
	struct kvm_lapic_state lapic;

	dirty(t, vcpu);
	init(t);
	expect_eq(t, KVM_MP_STATE_INIT_RECEIVED, state_of(t, 1));
	vcpu_ioctl(vcpu, KVM_GET_LAPIC, &lapic);
	expect_eq(t, 0x01000000, lapic_word(&lapic, 0x20));
	expect_eq(t, 0, lapic_word(&lapic, 0x80));
	expect_eq(t, 0xff, lapic_word(&lapic, 0xf0));
	expect_eq(t, 0, lapic_word(&lapic, 0xd0));
	expect_eq(t, 0, lapic_word(&lapic, 0x220));
	expect_eq(t, 0, lapic_word(&lapic, 0x120));
	expect_eq(t, LVT_MASKED, lapic_word(&lapic, 0x350));
	vcpu_ioctl(vcpu, KVM_GET_DEBUGREGS, &debug);
	expect_eq(t, 0, debug.db[0] | debug.db[1] | debug.db[2] | debug.db[3]);
	vcpu_ioctl(vcpu, KVM_GET_VCPU_EVENTS, &events);
	expect_eq(t, 0, events.nmi.pending);
	expect_eq(t, 0, events.nmi.masked);
	startup(t, START_VECTOR);
	expect_started(t);
}

/* --- what INIT keeps (table 9-1): CR0.CD and NW, the TSC, IA32_APIC_BASE --- */

static void host_init_keeps(struct test *t)
{
	struct vcpu *vcpu = t->vm->vcpus[1];
	struct kvm_sregs sregs;

	dirty(t, vcpu);
	vcpu_ioctl(vcpu, KVM_GET_SREGS, &sregs);
	sregs.cr0 &= ~(uint64_t)(X86_CR0_CD | X86_CR0_NW);
	sregs.apic_base = APIC_BASE_X2APIC;
	vcpu_ioctl(vcpu, KVM_SET_SREGS, &sregs);
	init(t);
	expect_eq(t, KVM_MP_STATE_INIT_RECEIVED, state_of(t, 1));
	vcpu_ioctl(vcpu, KVM_GET_SREGS, &sregs);
	expect_eq(t, X86_CR0_ET, sregs.cr0);
	expect_eq(t, APIC_BASE_X2APIC, sregs.apic_base);
}

/* --- INIT to the boot processor: it waits for no start-up, but goes on at the reset vector --- */

#define RESET_GPA 0xfffff000u	/* a page with the vector at its end */

static void host_boot_processor(struct test *t)
{
	struct kvm_msi msi = { .address_lo = LAPIC, .data = ICR_INIT | ICR_ASSERT };
	struct kvm_sregs sregs;
	uint8_t *page = vm_hva(t->vm, START_GPA, 0x1000);

	memcpy(page + 0xff0, out_loop, sizeof(out_loop));
	expect_result(t, 0, vm_region_try(t->vm, 1, 0, RESET_GPA, 0x1000, page));
	dirty(t, t->vm->vcpus[0]);
	expect_result(t, 1, vm_ioctl_try(t->vm, KVM_SIGNAL_MSI, &msi));
	expect_eq(t, KVM_MP_STATE_RUNNABLE, state_of(t, 0));
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &sregs);
	expect_eq(t, 0xf000, sregs.cs.selector);
	expect_eq(t, 0xffff0000, sregs.cs.base);
	expect_eq(t, 0, sregs.cr0 & (X86_CR0_PE | X86_CR0_PG));
	expect_eq(t, 0, sregs.efer);
	expect_pio_out(t, .port = 0x80, .size = 1, .count = 1, .data = 0x5a);
	expect_eq(t, KVM_MP_STATE_RUNNABLE, state_of(t, 0));
	expect_eq(t, KVM_MP_STATE_UNINITIALIZED, state_of(t, 1));
}

/* --- a start-up message in SMM is dropped, as the CPU does not wait for one; INIT is kept until SMM is left --- */

static const uint8_t smm_code[] = {
	0xe6, 0x81,		/* out %al, $0x81 */
	0xe6, 0x82,
	0x0f, 0xaa,		/* rsm */
};

static void host_smm(struct test *t)
{
	struct vcpu *vcpu = t->vm->vcpus[1];
	struct kvm_vcpu_events events;

	expect_result(t, 0, vm_region_try(t->vm, 1 << 16, 0, 0, RAM_BYTES, vm_hva(t->vm, 0, RAM_BYTES)));
	memcpy(vm_hva(t->vm, 0x38000, sizeof(smm_code)), smm_code, sizeof(smm_code));
	init(t);
	startup(t, START_VECTOR);
	expect_started(t);
	expect_result(t, 0, vcpu_ioctl_value_try(vcpu, KVM_SMI, 0));
	expect_pio_out(t, .port = 0x81, .size = 1, .count = 1, .data = 0x5a);
	startup(t, START_VECTOR + 1);
	t->vcpu = vcpu;
	expect_pio_out(t, .port = 0x82, .size = 1, .count = 1, .data = 0x5a);
	expect_pio_out(t, .port = 0x80, .size = 1, .count = 1, .data = 0x5a);
	expect_result(t, 0, vcpu_ioctl_value_try(vcpu, KVM_SMI, 0));
	expect_pio_out(t, .port = 0x81, .size = 1, .count = 1, .data = 0x5a);
	init(t);
	t->vcpu = vcpu;
	expect_pio_out(t, .port = 0x82, .size = 1, .count = 1, .data = 0x5a);
	expect_eq(t, KVM_MP_STATE_RUNNABLE, state_of(t, 1));
	vcpu_ioctl(vcpu, KVM_GET_VCPU_EVENTS, &events);
	expect_eq(t, 1, events.smi.latched_init);
	events.smi.smm = 0;
	vcpu_ioctl(vcpu, KVM_SET_VCPU_EVENTS, &events);
	expect_eq(t, KVM_MP_STATE_INIT_RECEIVED, state_of(t, 1));
	startup(t, START_VECTOR);
	expect_started(t);
}

struct row {
	ROW_FIELDS;
	void (*host)(struct test *t);
};

static const struct row rows[] = {
	{ .label = "start", .host = ON_HOST(host_start) },
	{ .label = "start_at_once", .host = ON_HOST(host_start_at_once) },
	{ .label = "first_vector_counts", .host = ON_HOST(host_first_vector_counts) },
	{ .label = "no_init", .host = ON_HOST(host_no_init) },
	{ .label = "runs_blocked", .host = ON_HOST(host_runs_blocked) },
	{ .label = "init_resets", .host = ON_HOST(host_init_resets) },
	{ .label = "boot_processor", .host = ON_HOST(host_boot_processor) },
	{ .label = "smm", .host = ON_HOST(host_smm), .needs = "KVM_CAP_X86_SMM KVM_CAP_MULTI_ADDRESS_SPACE>=2" },
	{ .label = "init_keeps", .host = ON_HOST(host_init_keeps), .needs = "cpuid:x2apic" },
};

CASE(irq_init_sipi, .says = "INIT and start-up messages take a vCPU through its states", .modes = LONG64,
     .irqchip = true, .nr_vcpus = 2, .shadow_too = true, .rows = ROWS(rows))

/* vCPU 0 only: sends to vCPU 1 what the host says, for ever. */
GUEST(irq_init_sipi)
{
	write32(APIC_SVR, SVR_ENABLE | 0xff);
	guest_sync(0);
	for (;;) {
		write32(APIC_ICR_HIGH, 1u << 24);
		write32(APIC_ICR, GUEST_ARG(0));
		guest_sync(1);
	}
}

HOST(irq_init_sipi)
{
	memcpy(vm_hva(t->vm, START_GPA, sizeof(out_loop)), out_loop, sizeof(out_loop));
	require_sync(t, 0);
	ROW(t, rows)->host(t);
}
