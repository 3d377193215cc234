/* SPDX-License-Identifier: MIT */
/*
 * System management mode: KVM_SMI (or an SMI message) enters it at SMBASE + 8000h in the state that the manual has,
 * the interrupted state is in the save area, and RSM brings it back whole. A vCPU in SMM sees the slots of the second
 * address space.
 *
 * Can break: a register of the entry's state, one lost by RSM, upper halves of 64-bit registers, SMBASE's relocation,
 * a second SMI inside, NMI inside, the run's SMM flag, paging that KVM's own accesses take into SMM.
 * Source: SDM vol. 3C, 32.4 (SMRAM), 32.5 (SMI handler execution environment), 32.11 (SMBASE relocation), 32.3.2 (RSM);
 * APM vol. 2, 10.2.3 (AMD64 save area), 10.3; KVM API, 4.105 (KVM_SMI), KVM_RUN_X86_SMM, KVM_CAP_MULTI_ADDRESS_SPACE.
 */
#include "case.h"

#include <stdlib.h>
#include <string.h>

#include "cases/ioctl/lapic_regs.h"
#include "cases/mmu/feature_hide.h"

#define SMBASE 0x30000
#define OTHER_SMBASE 0x50000
#define ENTRY 0x8000
#define SAVE_AREA 0xfe00	/* from SMBASE; APM vol. 2, table 10-1 */
#define SAVED_SMBASE 0xff00
#define SAVED_REVISION 0xfefc
#define SAVED_RIP 0xff78
#define SAVED_RFLAGS 0xff70
#define SAVED_RAX 0xfff8
#define SAVED_R15 0xff80
#define SAVED_CR0 0xff58
#define SAVED_CR3 0xff50
#define SAVED_CR4 0xff48
#define SAVED_EFER 0xfed0
/* Of a CPU without long mode: SDM vol. 3C, table 32-1. */
#define SAVED32_CR0 0xfffc
#define SAVED32_CR3 0xfff8
#define SAVED32_EFLAGS 0xfff4
#define SAVED32_EIP 0xfff0
#define SAVED32_EDI 0xffec	/* and downwards ESI, EBP, ESP, EBX, EDX, ECX, EAX */
#define SAVED32_DR6 0xffcc
#define SAVED32_DR7 0xffc8
#define SAVED32_TR 0xffc4	/* and downwards LDTR, GS, FS, DS, SS, CS, ES */
#define SAVED32_REVISION 0xfefc
#define SAVED32_SMBASE 0xfef8

static const uint8_t out_then_rsm[] = {
	0xb0, 0x5a,		/* mov $0x5a, %al */
	0xe6, 0x80,		/* out %al, $0x80 */
	0x0f, 0xaa,		/* rsm */
};

static const uint8_t out_twice_then_rsm[] = {
	0xb0, 0x5a,
	0xe6, 0x80,
	0xe6, 0x81,
	0x0f, 0xaa,
};

/* SMBASE in the save area becomes OTHER_SMBASE. */
static const uint8_t relocate[] = {
	0x66, 0x2e, 0xc7, 0x06, 0x00, 0xff, 0x00, 0x00, 0x05, 0x00,	/* movl $0x50000, %cs:0xff00 */
	0xe6, 0x80,
	0x0f, 0xaa,
};

/* EBX and EIP in the save area of 32 bits become others: behind the OUT that follows. */
static const uint8_t change_32[] = {
	0x66, 0x2e, 0xc7, 0x06, 0xdc, 0xff, 0x78, 0x56, 0x34, 0x12,	/* movl $0x12345678, %cs:0xffdc */
	0x66, 0x2e, 0xc7, 0x06, 0xf8, 0xfe, 0x00, 0x00, 0x05, 0x00,	/* movl $0x50000, %cs:0xfef8 */
	0xb0, 0x5a,
	0xe6, 0x80,
	0x66, 0x2e, 0x83, 0x06, 0xf0, 0xff, 0x02,			/* addl $2, %cs:0xfff0: behind the look at RFLAGS */
	0x0f, 0xaa,
};

static void code_put(struct test *t, uint64_t smbase, const uint8_t *code, size_t bytes)
{
	memcpy(vm_hva(t->vm, smbase + ENTRY, bytes), code, bytes);
}

static void smi(struct test *t)
{
	expect_result(t, 0, vcpu_ioctl_value_try(t->vcpu, KVM_SMI, 0));
}

static uint64_t saved(struct test *t, uint64_t smbase, uint32_t at)
{
	uint64_t value;

	memcpy(&value, vm_hva(t->vm, smbase + at, sizeof(value)), sizeof(value));
	return value;
}

static void expect_smm(struct test *t, bool is_inside)
{
	struct kvm_vcpu_events events;

	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &events);
	expect_eq(t, is_inside, events.smi.smm);
	expect_eq(t, is_inside ? KVM_RUN_X86_SMM : 0, t->vcpu->run->flags & KVM_RUN_X86_SMM);
}

static void expect_smm_out(struct test *t, uint16_t port)
{
	expect_pio_out(t, .port = port, .size = 1, .count = 1, .data = 0x5a);
	expect_smm(t, true);
}

static void expect_flat_segment(struct test *t, const struct kvm_segment *segment)
{
	expect_eq(t, 0, segment->base);
	expect_eq(t, 0xffffffff, segment->limit);
	expect_eq(t, 0, segment->selector);
	expect_eq(t, 1, segment->present);
	expect_eq(t, 3, segment->type);
	expect_eq(t, 0, segment->db);
}

/* SDM vol. 3C, table 32-4. */
static void expect_entry_state(struct test *t, uint64_t smbase)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct kvm_debugregs debug;

	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &sregs);
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &regs);
	vcpu_ioctl(t->vcpu, KVM_GET_DEBUGREGS, &debug);
	expect_eq(t, smbase, sregs.cs.base);
	expect_eq(t, smbase >> 4, sregs.cs.selector);
	expect_eq(t, 0xffffffff, sregs.cs.limit);
	expect_flat_segment(t, &sregs.ds);
	expect_flat_segment(t, &sregs.es);
	expect_flat_segment(t, &sregs.fs);
	expect_flat_segment(t, &sregs.gs);
	expect_flat_segment(t, &sregs.ss);
	expect_eq(t, 0, sregs.cr0 & (X86_CR0_PE | X86_CR0_EM | X86_CR0_TS | X86_CR0_PG));
	expect_eq(t, X86_CR0_NE | X86_CR0_ET, sregs.cr0 & (X86_CR0_NE | X86_CR0_ET));
	expect_eq(t, 0, sregs.cr4);
	expect_eq(t, 0, sregs.efer);
	expect_eq(t, 2, regs.rflags);
	expect_eq(t, 0x400, debug.dr7);
}

/* MOV, OUT; user space has not completed the OUT yet. */
static void expect_handler_rip(struct test *t)
{
	struct kvm_regs regs;

	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &regs);
	expect_true(t, regs.rip == ENTRY + 2 || regs.rip == ENTRY + 4);
}

/* --- entered, and left again --- */

#ifdef __x86_64__
/* All registers have patterns around an OUT, at which the SMI comes. */
static void guest_round(void)
{
	static uint64_t patterns[16];
	unsigned int i;

	for (i = 0; i < 16; i++)
		patterns[i] = 0;
	__asm__ volatile(
		"push %%rbp\n\t"
		"mov $0x1111111122222222, %%rax\n\tmov $0x2222222233333333, %%rbx\n\tmov $0x3333333344444444, %%rcx\n\t"
		"mov $0x4444444455555555, %%rdx\n\tmov $0x5555555566666666, %%rsi\n\tmov $0x7777777788888888, %%rbp\n\t"
		"mov $0x8888888899999999, %%r8\n\tmov $0x99999999aaaaaaaa, %%r9\n\tmov $0xaaaaaaaabbbbbbbb, %%r10\n\t"
		"mov $0xbbbbbbbbcccccccc, %%r11\n\tmov $0xccccccccdddddddd, %%r12\n\tmov $0xddddddddeeeeeeee, %%r13\n\t"
		"mov $0xeeeeeeeeffffffff, %%r14\n\tmov $0xffffffff00000000, %%r15\n\t"
		"stc\n\toutb %%al, $0x82\n\t"
		"mov %%rax, (%%rdi)\n\tmov %%rbx, 8(%%rdi)\n\tmov %%rcx, 16(%%rdi)\n\tmov %%rdx, 24(%%rdi)\n\t"
		"mov %%rsi, 32(%%rdi)\n\tmov %%rbp, 40(%%rdi)\n\tmov %%r8, 48(%%rdi)\n\tmov %%r9, 56(%%rdi)\n\t"
		"mov %%r10, 64(%%rdi)\n\tmov %%r11, 72(%%rdi)\n\tmov %%r12, 80(%%rdi)\n\tmov %%r13, 88(%%rdi)\n\t"
		"mov %%r14, 96(%%rdi)\n\tmov %%r15, 104(%%rdi)\n\t"
		"pop %%rbp"
		: : "D"(patterns) : "rax", "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
		"r15",
		"cc", "memory");
	for (i = 0; i < 14; i++) {
		uint64_t digit = (i < 5 ? i + 1 : i + 2) * 0x11111111ull,
		next = ((i < 5 ? i + 2 : i + 3) & 15) * 0x11111111ull;

		CHECK_EQ(digit << 32 | next, patterns[i]);
	}
}
#else
static void guest_round(void)
{
}
#endif

static void host_round(struct test *t)
{
	struct kvm_regs regs, after_regs;
	struct kvm_sregs sregs, after_sregs;

	code_put(t, SMBASE, out_then_rsm, sizeof(out_then_rsm));
	require_pio_out(t, .port = 0x82, .size = 1, .count = 1, .data = 0x22);
	expect_smm(t, false);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &sregs);
	/* The OUT is completed first. */
	vcpu_settle(t);
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &regs);
	smi(t);
	expect_smm_out(t, 0x80);
	expect_entry_state(t, SMBASE);
	expect_handler_rip(t);
	expect_eq(t, regs.rip, saved(t, SMBASE, SAVED_RIP));
	expect_eq(t, regs.rflags, saved(t, SMBASE, SAVED_RFLAGS));
	expect_eq(t, regs.rax, saved(t, SMBASE, SAVED_RAX));
	expect_eq(t, regs.r15, saved(t, SMBASE, SAVED_R15));
	expect_eq(t, sregs.cr0, saved(t, SMBASE, SAVED_CR0));
	expect_eq(t, sregs.cr3, saved(t, SMBASE, SAVED_CR3));
	expect_eq(t, sregs.cr4, saved(t, SMBASE, SAVED_CR4));
	expect_eq(t, sregs.efer, saved(t, SMBASE, SAVED_EFER));
	expect_eq(t, SMBASE, (uint32_t)saved(t, SMBASE, SAVED_SMBASE));
	/* AMD64's form, SMBASE can be moved. */
	expect_eq(t, 0x00020064, (uint32_t)saved(t, SMBASE, SAVED_REVISION));
	expect_done(t);
	expect_smm(t, false);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &after_sregs);
	/* The save area has no CR2. */
	sregs.cr2 = after_sregs.cr2;
	expect_sregs(t, &sregs, &after_sregs);
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &after_regs);
	expect_eq(t, regs.rsp & ~0xfffull, after_regs.rsp & ~0xfffull);
}

/* --- what the handler writes to the save area is what comes back --- */

static void guest_stages(void)
{
	guest_sync(1);
	out8(0x82, 1);
	guest_sync(2);
}

/* Between the two there is nothing that needs more than RIP and CS. */
static void guest_bare(void)
{
	__asm__ volatile("outb %%al, $0x81\n\toutb %%al, $0x82" : : "a"(0));
}

static void host_relocated(struct test *t)
{
	code_put(t, SMBASE, relocate, sizeof(relocate));
	code_put(t, OTHER_SMBASE, out_then_rsm, sizeof(out_then_rsm));
	require_sync(t, 1);
	smi(t);
	expect_exit(t, .reason = KVM_EXIT_IO,
		    .io = { .direction = KVM_EXIT_IO_OUT, .port = 0x80, .size = 1, .count = 1, .data = 0 });
	expect_smm(t, true);
	expect_pio_out(t, .port = 0x82, .size = 1, .count = 1, .data = 1);
	smi(t);
	expect_smm_out(t, 0x80);
	expect_entry_state(t, OTHER_SMBASE);
	require_sync(t, 2);
	expect_smm(t, false);
	expect_done(t);
}

/* --- an SMI inside waits for RSM; two of them are one --- */

static void host_inside(struct test *t)
{
	struct kvm_vcpu_events events;

	code_put(t, SMBASE, out_twice_then_rsm, sizeof(out_twice_then_rsm));
	require_sync(t, 1);
	smi(t);
	expect_smm_out(t, 0x80);
	smi(t);
	smi(t);
	expect_smm_out(t, 0x81);
	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &events);
	expect_eq(t, 1, events.smi.pending);
	expect_smm_out(t, 0x80);
	expect_smm_out(t, 0x81);
	expect_pio_out(t, .port = 0x82, .size = 1, .count = 1, .data = 1);
	expect_smm(t, false);
	require_sync(t, 2);
	expect_done(t);
}

/* --- NMI and interrupts wait until RSM --- */

static volatile uint32_t nr_nmis;

static void on_nmi(struct guest_regs *regs)
{
	(void)regs;
	nr_nmis++;
}

static void guest_nmi(void)
{
	guest_handle(NMI_VECTOR, on_nmi);
	guest_sync(1);
	CHECK_EQ(1, nr_nmis);
	out8(0x82, 1);
	guest_sync(2);
}

static void host_nmi(struct test *t)
{
	struct kvm_vcpu_events events;

	code_put(t, SMBASE, out_twice_then_rsm, sizeof(out_twice_then_rsm));
	require_sync(t, 1);
	smi(t);
	expect_smm_out(t, 0x80);
	vcpu_ioctl(t->vcpu, KVM_GET_VCPU_EVENTS, &events);
	expect_eq(t, 1, events.nmi.masked);
	expect_result(t, 0, vcpu_ioctl_value_try(t->vcpu, KVM_NMI, 0));
	expect_smm_out(t, 0x81);
	expect_pio_out(t, .port = 0x82, .size = 1, .count = 1, .data = 1);
	require_sync(t, 2);
	expect_done(t);
}

/* --- by message: the local APIC's SMI delivery mode --- */

static void host_message(struct test *t)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 0x200 };

	code_put(t, SMBASE, out_then_rsm, sizeof(out_then_rsm));
	require_sync(t, 1);
	expect_result(t, 1, vm_ioctl_try(t->vm, KVM_SIGNAL_MSI, &msi));
	expect_smm_out(t, 0x80);
	expect_pio_out(t, .port = 0x82, .size = 1, .count = 1, .data = 1);
	require_sync(t, 2);
	expect_done(t);
}

static void guest_apic_on(void)
{
	write32(APIC_SVR, SVR_ENABLE | 0xff);
	guest_stages();
}

static void guest_self(void)
{
	guest_sync(1);
	write32(APIC_ICR, ICR_SELF | ICR_SMI);
	out8(0x82, 1);
	guest_sync(2);
}

static void guest_ipi(void)
{
	write32(APIC_SVR, SVR_ENABLE | 0xff);
	guest_sync(1);
	write32(APIC_ICR_HIGH, 0);
	write32(APIC_ICR, ICR_SMI);
	out8(0x82, 1);
	guest_sync(2);
}

static void host_ipi(struct test *t)
{
	code_put(t, SMBASE, out_then_rsm, sizeof(out_then_rsm));
	require_sync(t, 1);
	expect_smm_out(t, 0x80);
	expect_pio_out(t, .port = 0x82, .size = 1, .count = 1, .data = 1);
	require_sync(t, 2);
	expect_done(t);
}

/* --- RSM outside of SMM --- */

static void guest_rsm(void)
{
	CHECK_FAULT(UD_VECTOR, 0, TRY("rsm"));
}

static void host_rsm(struct test *t)
{
	expect_done(t);
}

/* --- SMBASE by KVM_SET_MSRS (user space's only) --- */

static void guest_smbase(void)
{
	uint64_t value;

	CHECK_FAULT(GP_VECTOR, 0, rdmsr_safe(0x9e, &value));
	CHECK_FAULT(GP_VECTOR, 0, wrmsr_safe(0x9e, OTHER_SMBASE));
	guest_sync(1);
	out8(0x82, 1);
	guest_sync(2);
}

static void host_smbase(struct test *t)
{
	struct {
		struct kvm_msrs header;
		struct kvm_msr_entry entry;
	} msrs = { .header.nmsrs = 1, .entry.index = 0x9e };

	code_put(t, OTHER_SMBASE, out_then_rsm, sizeof(out_then_rsm));
	expect_result(t, 1, vcpu_ioctl_try(t->vcpu, KVM_GET_MSRS, &msrs.header));
	expect_eq(t, SMBASE, msrs.entry.data);
	msrs.entry.data = OTHER_SMBASE;
	expect_result(t, 1, vcpu_ioctl_try(t->vcpu, KVM_SET_MSRS, &msrs.header));
	require_sync(t, 1);
	smi(t);
	expect_smm_out(t, 0x80);
	expect_entry_state(t, OTHER_SMBASE);
	expect_pio_out(t, .port = 0x82, .size = 1, .count = 1, .data = 1);
	require_sync(t, 2);
	expect_done(t);
}

/* --- a CPU without long mode has another save area --- */

#ifdef __i386__
/* The SMI comes behind the first OUT. */
static void guest_32(void)
{
	__asm__ volatile(
		"pushl %%ebp\n\tmovl $0x11223344, %%eax\n\tmovl $0x55667788, %%ebp\n\tstc\n\t"
		"outb %%al, $0x82\n\toutb %%al, $0x83\n\toutb %%al, $0x84\n\tpopl %%ebp"
		: : "b"(0x99aabbcc), "c"(0xddeeff00), "d"(0x01234567), "S"(0x89abcdef), "D"(0xfedcba98)
		: "eax", "cc", "memory");
}
#else
static void guest_32(void)
{
}
#endif

struct state_32 {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_debugregs debug;
};

static void state_get(struct test *t, struct state_32 *state)
{
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &state->regs);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &state->sregs);
	vcpu_ioctl(t->vcpu, KVM_GET_DEBUGREGS, &state->debug);
}

static void debug_set(struct test *t)
{
	struct kvm_debugregs debug;

	vcpu_ioctl(t->vcpu, KVM_GET_DEBUGREGS, &debug);
	debug.dr6 = 0xffff0ff5;
	debug.dr7 = 0x700;
	vcpu_ioctl(t->vcpu, KVM_SET_DEBUGREGS, &debug);
}

static uint32_t saved_32(struct test *t, uint32_t at)
{
	return saved(t, SMBASE, at);
}

static void expect_saved_32(struct test *t, const struct state_32 *state)
{
	const struct kvm_sregs *s = &state->sregs;
	const struct kvm_segment *const segments[] = { &s->tr, &s->ldt, &s->gs, &s->fs, &s->ds, &s->ss, &s->cs, &s->es };
	const struct kvm_regs *r = &state->regs;
	const uint64_t regs[] = { r->rdi, r->rsi, r->rbp, r->rsp, r->rbx, r->rdx, r->rcx, r->rax };
	unsigned int i;

	expect_eq(t, s->cr0, saved_32(t, SAVED32_CR0));
	expect_eq(t, s->cr3, saved_32(t, SAVED32_CR3));
	expect_eq(t, r->rflags, saved_32(t, SAVED32_EFLAGS));
	expect_eq(t, r->rip, saved_32(t, SAVED32_EIP));
	for (i = 0; i < 8; i++)
		expect_eq(t, regs[i], saved_32(t, SAVED32_EDI - 4 * i));
	for (i = 0; i < 8; i++)
		expect_eq(t, segments[i]->selector, saved_32(t, SAVED32_TR - 4 * i));
	expect_eq(t, state->debug.dr6, saved_32(t, SAVED32_DR6));
	expect_eq(t, state->debug.dr7, saved_32(t, SAVED32_DR7));
	expect_eq(t, 0x00020000, saved_32(t, SAVED32_REVISION));
	expect_eq(t, SMBASE, saved_32(t, SAVED32_SMBASE));
}

static void expect_state_32(struct test *t, struct state_32 *want)
{
	struct state_32 got;

	state_get(t, &got);
	want->sregs.cr2 = got.sregs.cr2;
	expect_regs(t, &want->regs, &got.regs);
	expect_sregs(t, &want->sregs, &got.sregs);
	expect_eq(t, want->debug.dr6, got.debug.dr6);
	expect_eq(t, want->debug.dr7, got.debug.dr7);
}

/* Up to the SMI's handler, of which @code is the whole. */
static void smi_32(struct test *t, const uint8_t *code, size_t bytes, struct state_32 *state)
{
	feature_hide(t, 0x80000001, 3, 1u << 29);
	code_put(t, SMBASE, code, bytes);
	require_pio_out(t, .port = 0x82, .size = 1, .count = 1, .data = 0x44);
	vcpu_settle(t);
	debug_set(t);
	state_get(t, state);
	smi(t);
	expect_smm_out(t, 0x80);
	expect_entry_state(t, SMBASE);
}

static void host_round_32(struct test *t)
{
	struct state_32 state;

	smi_32(t, out_then_rsm, sizeof(out_then_rsm), &state);
	expect_saved_32(t, &state);
	expect_pio_out(t, .port = 0x83, .size = 1, .count = 1, .data = 0x44);
	expect_smm(t, false);
	vcpu_settle(t);
	state.regs.rip += 2;
	expect_state_32(t, &state);
	expect_pio_out(t, .port = 0x84, .size = 1, .count = 1, .data = 0x44);
	expect_done(t);
}

static void host_changed_32(struct test *t)
{
	struct state_32 state;

	code_put(t, OTHER_SMBASE, out_then_rsm, sizeof(out_then_rsm));
	smi_32(t, change_32, sizeof(change_32), &state);
	/* The second OUT is left out. */
	expect_pio_out(t, .port = 0x84, .size = 1, .count = 1, .data = 0x44);
	vcpu_settle(t);
	state.regs.rip += 4;
	state.regs.rbx = 0x12345678;
	expect_state_32(t, &state);
	smi(t);
	expect_smm_out(t, 0x80);
	expect_entry_state(t, OTHER_SMBASE);
	expect_done(t);
}

/* --- each field of the save area comes back as the handler has left it --- */

enum { AREA_ES, AREA_CS, AREA_SS, AREA_DS, AREA_FS, AREA_GS, AREA_GDTR, AREA_LDTR, AREA_IDTR, AREA_TR };

#define AREA_SEGMENTS 0xfe00	/* 16 bytes each: selector, attributes, limit, base */
#define SAVED_DR6 0xff68
#define SAVED_DR7 0xff60

static void saved_set(struct test *t, uint32_t at, uint64_t value, size_t bytes)
{
	memcpy(vm_hva(t->vm, SMBASE + at, bytes), &value, bytes);
}

static void segment_put(struct test *t, unsigned int index, uint16_t selector, uint16_t attributes, uint32_t limit,
			uint64_t base)
{
	uint32_t at = AREA_SEGMENTS + index * 16;

	saved_set(t, at, selector, 2);
	if (attributes)
		saved_set(t, at + 2, attributes, 2);
	saved_set(t, at + 4, limit, 4);
	saved_set(t, at + 8, base, 8);
}

static void expect_segment(struct test *t, const char *name, const struct kvm_segment *segment, uint16_t selector,
			   uint32_t limit, uint64_t base)
{
	test_say(t, "%s", name);
	expect_eq(t, selector, segment->selector);
	expect_eq(t, limit, segment->limit);
	expect_eq(t, base, segment->base);
	expect_eq(t, 1, segment->present);
}

/* RAX FFF8h, and downwards RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 ... R15. The guest needs its stack. */
static void registers_put(struct test *t)
{
	unsigned int i;

	for (i = 0; i < 16; i++)
		if (i != 4)
			saved_set(t, SAVED_RAX - 8 * i, 0x1111111111111111ull * i, 8);
}

static void expect_registers(struct test *t)
{
	struct kvm_regs r;
	const __u64 *const regs[] = { &r.rax, &r.rcx, &r.rdx, &r.rbx, &r.rsp, &r.rbp, &r.rsi, &r.rdi, &r.r8, &r.r9, &r.r10,
		&r.r11, &r.r12, &r.r13, &r.r14, &r.r15 };
	unsigned int i;

	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &r);
	for (i = 0; i < 16; i++)
		if (i != 4)
			expect_eq(t, 0x1111111111111111ull * i, *regs[i]);
	expect_eq(t, X86_EFLAGS_CF | X86_EFLAGS_DF, r.rflags & (X86_EFLAGS_CF | X86_EFLAGS_DF));
}

static void expect_changed_system(struct test *t, const struct kvm_sregs *before)
{
	struct kvm_debugregs debug;
	struct kvm_sregs sregs;

	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &sregs);
	vcpu_ioctl(t->vcpu, KVM_GET_DEBUGREGS, &debug);
	expect_segment(t, "ES", &sregs.es, 0x13, 0x1fff, 0x1000);
	expect_segment(t, "DS", &sregs.ds, 0x23, 0x2fff, 0x2000);
	expect_segment(t, "FS", &sregs.fs, 0x33, 0x3fff, 0xffff800000003000);
	expect_segment(t, "GS", &sregs.gs, 0x43, 0x4fff, 0x7fff00004000);
	expect_segment(t, "LDTR", &sregs.ldt, 0x58, 0x5f, 0x7fff00005000);
	expect_segment(t, "TR", &sregs.tr, 0x60, 0x167, 0x7fff00006000);
	expect_eq(t, 0x77, sregs.gdt.limit);
	expect_eq(t, 0x7fff00007000, sregs.gdt.base);
	expect_eq(t, 0x88, sregs.idt.limit);
	expect_eq(t, 0x7fff00008000, sregs.idt.base);
	expect_eq(t, before->cr0 ^ X86_CR0_WP, sregs.cr0);
	expect_eq(t, before->cr4 | X86_CR4_DE, sregs.cr4);
	expect_eq(t, before->cr3 + 8, sregs.cr3);
	expect_eq(t, before->efer ^ EFER_NX, sregs.efer);
	expect_eq(t, 0xffff0ff1, debug.dr6);
	expect_eq(t, 0x700, debug.dr7);
}

static void host_changed_64(struct test *t)
{
	struct kvm_debugregs debug;
	struct kvm_regs regs, after;
	struct kvm_sregs sregs;

	code_put(t, SMBASE, out_then_rsm, sizeof(out_then_rsm));
	require_pio_out(t, .port = 0x81, .size = 1, .count = 1, .data = 0);
	vcpu_settle(t);
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &regs);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &sregs);
	vcpu_ioctl(t->vcpu, KVM_GET_DEBUGREGS, &debug);
	smi(t);
	expect_smm_out(t, 0x80);
	segment_put(t, AREA_ES, 0x13, 0x493, 0x1fff, 0x1000);
	segment_put(t, AREA_DS, 0x23, 0x493, 0x2fff, 0x2000);
	segment_put(t, AREA_FS, 0x33, 0x493, 0x3fff, 0xffff800000003000);
	segment_put(t, AREA_GS, 0x43, 0x493, 0x4fff, 0x7fff00004000);
	segment_put(t, AREA_LDTR, 0x58, 0x82, 0x5f, 0x7fff00005000);
	segment_put(t, AREA_TR, 0x60, 0x8b, 0x167, 0x7fff00006000);
	segment_put(t, AREA_GDTR, 0, 0, 0x77, 0x7fff00007000);
	segment_put(t, AREA_IDTR, 0, 0, 0x88, 0x7fff00008000);
	saved_set(t, SAVED_CR0, sregs.cr0 ^ X86_CR0_WP, 8);
	saved_set(t, SAVED_CR4, sregs.cr4 | X86_CR4_DE, 8);
	/* PWT or PCD, in which CR3 has no address. */
	saved_set(t, SAVED_CR3, sregs.cr3 + 8, 8);
	saved_set(t, SAVED_EFER, sregs.efer ^ EFER_NX, 8);
	saved_set(t, SAVED_DR6, 0xffff0ff1, 8);
	saved_set(t, SAVED_DR7, 0x700, 8);
	saved_set(t, SAVED_RFLAGS, 2 | X86_EFLAGS_CF | X86_EFLAGS_DF, 8);
	registers_put(t);
	expect_pio_out(t, .port = 0x82, .size = 1, .count = 1, .data = 0);
	expect_smm(t, false);
	vcpu_settle(t);
	expect_registers(t);
	expect_changed_system(t, &sregs);
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &after);
	regs.rip = after.rip;
	vcpu_ioctl(t->vcpu, KVM_SET_SREGS, &sregs);
	vcpu_ioctl(t->vcpu, KVM_SET_REGS, &regs);
	vcpu_ioctl(t->vcpu, KVM_SET_DEBUGREGS, &debug);
	expect_done(t);
}

/* A limit in pages is what it was. */
static void host_granular(struct test *t)
{
	struct kvm_sregs sregs, after;

	code_put(t, SMBASE, out_then_rsm, sizeof(out_then_rsm));
	require_sync(t, 1);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &sregs);
	sregs.es.limit = 0x7fff;
	sregs.es.g = 1;
	vcpu_ioctl(t->vcpu, KVM_SET_SREGS, &sregs);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &sregs);
	expect_eq(t, 0x7fff, sregs.es.limit);
	smi(t);
	expect_smm_out(t, 0x80);
	expect_eq(t, 0x7fff, (uint32_t)saved(t, SMBASE, AREA_SEGMENTS + 4));
	expect_pio_out(t, .port = 0x82, .size = 1, .count = 1, .data = 1);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &after);
	expect_eq(t, 0x7fff, after.es.limit);
	require_sync(t, 2);
	expect_done(t);
}

/* --- SMM has no paging: its string I/O, which KVM carries out, takes linear addresses for physical ones --- */

#define ALIAS 0x60000ul		/* mapped to ALIAS_GPA */
#define ALIAS_GPA 0x61000ul

static const uint8_t outs_then_rsm[] = {
	0x66, 0xbe, 0x00, 0x00, 0x06, 0x00,	/* mov $ALIAS, %esi */
	0xba, 0x80, 0x00,			/* mov $0x80, %dx */
	0x67, 0x6e,				/* outsb (%esi) */
	0x0f, 0xaa,				/* rsm */
};

static void guest_alias(void)
{
	const void *at = (const void *)ALIAS;

	page_map(ALIAS, ALIAS_GPA, PTE_P | PTE_W);
	invlpg(ALIAS);
	guest_sync(1);
	out8(0x82, 1);
	__asm__ volatile("outsb" : "+S"(at) : "d"(0x83) : "memory");
	guest_sync(2);
}

static void host_unpaged(struct test *t)
{
	*(uint8_t *)vm_hva(t->vm, ALIAS, 1) = 0x5a;
	*(uint8_t *)vm_hva(t->vm, ALIAS_GPA, 1) = 0xa5;
	code_put(t, SMBASE, outs_then_rsm, sizeof(outs_then_rsm));
	require_sync(t, 1);
	smi(t);
	expect_smm_out(t, 0x80);
	expect_pio_out(t, .port = 0x82, .size = 1, .count = 1, .data = 1);
	expect_pio_out(t, .port = 0x83, .size = 1, .count = 1, .data = 0xa5);
	require_sync(t, 2);
	expect_done(t);
}

struct row {
	ROW_FIELDS;
	void (*guest)(void);
	void (*host)(struct test *t);
};

static const struct row rows[] = {
	{ .label = "round", .modes = LONG64, .guest = guest_round, .host = ON_HOST(host_round) },
	{ .label = "relocated", .modes = LONG64, .guest = guest_stages, .host = ON_HOST(host_relocated) },
	{ .label = "changed", .modes = LONG64, .guest = guest_bare, .host = ON_HOST(host_changed_64) },
	{ .label = "granular", .modes = LONG64, .guest = guest_stages, .host = ON_HOST(host_granular),
	  .known = { .finding = "4853-rsm-scales-limits", .targets = "lab-vmx*" } },
	{ .label = "inside", .modes = LONG64, .guest = guest_stages, .host = ON_HOST(host_inside) },
	/* NMIs that KVM blocks in SMM stay blocked in Bochs' CPU, for all guests that follow. */
	{ .label = "nmi", .modes = LONG64, .guest = guest_nmi, .host = ON_HOST(host_nmi),
	  .known = { .finding = "0403-bochs-entry-checks", .targets = "lab-vmx", .is_skipped = true } },
	{ .label = "message", .modes = LONG64, .guest = guest_apic_on, .host = ON_HOST(host_message) },
	/* A software-disabled local APIC takes it too (SDM vol. 3A, 11.4.7.2). */
	{ .label = "message_apic_fresh", .modes = LONG64, .guest = guest_stages, .host = ON_HOST(host_message),
	  .known = { .finding = "0612-lapic-map-without-newest" } },
	{ .label = "self_ipi", .modes = LONG64, .guest = guest_self, .host = ON_HOST(host_ipi) },
	{ .label = "ipi", .modes = LONG64, .guest = guest_ipi, .host = ON_HOST(host_ipi) },
	{ .label = "unpaged", .modes = LONG64, .guest = guest_alias, .host = ON_HOST(host_unpaged) },
	{ .label = "rsm_outside", .modes = LONG64, .guest = guest_rsm, .host = ON_HOST(host_rsm) },
	{ .label = "smbase_msr", .modes = LONG64, .guest = guest_smbase, .host = ON_HOST(host_smbase) },
	{ .label = "without_long_mode", .modes = PROT32, .guest = guest_32, .host = ON_HOST(host_round_32) },
	{ .label = "without_long_mode_changed", .modes = PROT32, .guest = guest_32, .host = ON_HOST(host_changed_32) },
};

CASE(irq_smi, .says = "an SMI enters SMM in the manual's state, and RSM brings back the old one",
     .modes = PROT32 | LONG64, .irqchip = true, .needs = "KVM_CAP_X86_SMM KVM_CAP_MULTI_ADDRESS_SPACE>=2 cpuid:lm", .rows = ROWS(rows))

GUEST(irq_smi)
{
	GUEST_ROW(rows)->guest();
}

HOST(irq_smi)
{
	/* The same RAM in the address space that SMM sees. */
	expect_result(t, 0, vm_region_try(t->vm, 1 << 16, 0, 0, RAM_BYTES, vm_hva(t->vm, 0, RAM_BYTES)));
	ROW(t, rows)->host(t);
}
