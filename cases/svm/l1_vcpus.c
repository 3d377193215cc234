/* SPDX-License-Identifier: MIT */
/*
 * Two vCPUs of one L1 run an L2 each, in its own VMCB and nested tables, side by side; and what one sends to the other
 * while that runs L2 exits there, or is L2's. Nested tables that one vCPU changes are the new ones for L2 on the other
 * when that has exited and entered with a flush.
 *
 * Can break: what KVM keeps for each vCPU and for each VMCB mixed up (permission maps, ASIDs, shadow pages, caches of
 * L1's VMCB); a kick that does not get a vCPU out of L2; shadow pages not brought up to date on the other vCPU.
 * Source: APM vol. 2, 15.13.1, 15.13.2, 15.16, 15.21.
 */
#include "cases/ioctl/lapic_regs.h"
#include "cases/svm/npt.h"
#include "case.h"

#define VECTOR 0x56
#define NR_ROUNDS 40
#define PAGE (SCRATCH_GPA + 0x10000ul)
#define OWN_PAGE(vcpu_) (SCRATCH_GPA + 0x20000ul + (vcpu_) * 0x1000ul)

/* Adds to [RBX] and to RCX. */
INSN(v_count, "incq (%rbx)\n\tinc %rcx\n\tvmmcall")
/* Says at [RBX] that it runs, and runs until [RBX + 4]. */
INSN(v_loop, "movl $1, (%rbx)\n1:\tpause\n\tcmpl $0, 4(%rbx)\n\tje 1b\n\tvmmcall")
/* The same, then RAX from [RDI]. */
INSN(v_watch, "movl $1, (%rbx)\n1:\tpause\n\tcmpl $0, 4(%rbx)\n\tje 1b\n\tmov (%rdi), %rax\n\tvmmcall")

enum kind { SIDE_BY_SIDE, INTERRUPT, NMI, CHANGED_TABLES };

struct row {
	ROW_FIELDS;
	enum kind kind;
	bool is_intercepted;
	bool is_masking;	/* V_INTR_MASKING, and L2 has IF clear */
};

static const struct row rows[] = {
	{ .label = "side_by_side", .kind = SIDE_BY_SIDE, .needs = "cpuid:npt tdp" },
	{ .label = "ipi_exits", .kind = INTERRUPT, .is_intercepted = true },
	{ .label = "ipi_exits_masking", .kind = INTERRUPT, .is_intercepted = true, .is_masking = true,
	  .known = { "0505-bochs-guest-if-holds-back-host", "lab-svm-bochs", .is_skipped = true } },
	{ .label = "ipi_delivered", .kind = INTERRUPT },
	{ .label = "nmi_exits", .kind = NMI, .is_intercepted = true }, { .label = "nmi_delivered", .kind = NMI },
	{ .label = "changed_tables", .kind = CHANGED_TABLES, .is_intercepted = true, .needs = "cpuid:npt tdp" },
};

CASE(l1_vcpus, .says = "two vCPUs of L1 run an L2 each, and reach each other's", .modes = LONG64, .nr_vcpus = 2,
     .needs = "vendor:amd nested", .irqchip = true, .rows = ROWS(rows))

static struct vmcb vmcbs[2] __attribute__((aligned(4096)));
static struct l2_regs regs[2];
static uint8_t stacks[2][0x1000] __attribute__((aligned(16)));
static unsigned int nr_taken[2];	/* in L1, in L2; of the second vCPU */
static struct {
	volatile uint32_t runs, is_over;
} flag;

static void on_event(struct guest_regs *r)
{
	bool is_l2 = (uint64_t)(ulong_t)stacks[1] + sizeof(stacks[1]) - r->rsp < sizeof(stacks[1]);

	nr_taken[is_l2]++;
	flag.is_over = is_l2;
	if (r->vector == VECTOR)
		write32(APIC_EOI, 0);
}

static struct vmcb *vmcb_make(unsigned int vcpu)
{
	struct vmcb *vmcb = &vmcbs[vcpu];

	l1_svm_enable();
	vmcb_init(vmcb);
	vmcb->save.rsp = (ulong_t)stacks[vcpu] + sizeof(stacks[vcpu]);
	return vmcb;
}

/* Both at the same linear and the same guest-physical address, which each L2 has elsewhere. */
static void try_side_by_side(void)
{
	unsigned int vcpu = vcpu_index(), i;
	struct vmcb *vmcb = vmcb_make(vcpu);
	uint64_t *root = page_alloc(), *level_3 = page_alloc(), *level_2 = page_alloc(), *level_1 = page_alloc();

	memcpy(level_3, npt_level_3, sizeof(npt_level_3));
	memcpy(level_2, npt_level_2, sizeof(npt_level_2[0]));
	memcpy(level_1, npt_level_1[NPT_SCRATCH], sizeof(npt_level_1[0]));
	root[0] = (ulong_t)level_3 | NPT_TABLE_FLAGS;
	level_3[0] = (ulong_t)level_2 | NPT_TABLE_FLAGS;
	level_2[SCRATCH_GPA >> 21] = (ulong_t)level_1 | NPT_TABLE_FLAGS;
	level_1[PAGE >> 12 & 511] = OWN_PAGE(vcpu) | NPT_PAGE_FLAGS;
	vmcb->control.nested_ctl = NP_ENABLE;
	vmcb->control.nested_cr3 = (ulong_t)root;
	regs[vcpu].rbx = PAGE;
	for (i = 0; i < NR_ROUNDS; i++) {
		vmcb->save.rip = (ulong_t)v_count;
		vmcb_run_with(vmcb, &regs[vcpu]);
		CHECK_EXIT_OF(vmcb, .code = SVM_EXIT_VMMCALL, .rip = (ulong_t)v_count_end - 3);
	}
	CHECK_EQ(NR_ROUNDS, regs[vcpu].rcx);
	CHECK_EQ(NR_ROUNDS, read64(OWN_PAGE(vcpu)));
	CHECK_EQ(0, read64(PAGE));
}

static bool is_in_loop(const struct vmcb *vmcb, const char *code, const char *end)
{
	return vmcb->save.rip >= (ulong_t)code && vmcb->save.rip < (ulong_t)end;
}

static void receive(const struct row *row)
{
	uint32_t exit = row->kind == NMI ? SVM_EXIT_NMI : SVM_EXIT_INTR;
	struct vmcb *vmcb = vmcb_make(1);

	if (row->is_intercepted)
		vmcb_intercept(vmcb, exit);
	if (row->is_masking)
		vmcb->control.int_ctl |= V_INTR_MASKING;
	else
		vmcb->save.rflags |= X86_EFLAGS_IF;
	vmcb->save.rip = (ulong_t)v_loop;
	regs[1].rbx = (ulong_t)&flag;
	clgi();
	sti();
	vmcb_run_with(vmcb, &regs[1]);
	__asm__ volatile("nop\n\tnop" : : : "memory");
	cli();
	CHECK_EQ(row->is_intercepted ? exit : SVM_EXIT_VMMCALL, vmcb->control.exit_code);
	CHECK(is_in_loop(vmcb, v_loop, v_loop_end));
	CHECK_EQ(row->is_intercepted, nr_taken[0]);
	CHECK_EQ(!row->is_intercepted, nr_taken[1]);
	flag.is_over = 1;
}

/* With interrupts taken: Bochs 2.7 holds back even the host's while a guest has IF clear. */
static void wait_for(volatile uint32_t *word)
{
	while (!*word) {
		sti();
		cpu_relax();
		cli();
	}
}

static void send(const struct row *row)
{
	wait_for(&flag.runs);
	write32(APIC_ICR_HIGH, 1u << 24);
	write32(APIC_ICR, row->kind == NMI ? ICR_NMI : VECTOR);
	wait_for(&flag.is_over);
}

/* The second vCPU's L2 has PAGE in its tables while the first one changes them. */
static void watch(void)
{
	struct vmcb *vmcb = vmcb_make(1);

	vmcb_intercept(vmcb, SVM_EXIT_INTR);
	vmcb->control.nested_ctl = NP_ENABLE;
	vmcb->control.nested_cr3 = (ulong_t)npt_root;
	vmcb->control.int_ctl |= V_INTR_MASKING;
	vmcb->save.rflags |= X86_EFLAGS_IF;
	regs[1].rbx = (ulong_t)&flag;
	regs[1].rdi = PAGE;
	/* Once, so that it is in the shadow. */
	flag.is_over = 1;
	vmcb->save.rip = (ulong_t)v_watch;
	vmcb_run_with(vmcb, &regs[1]);
	CHECK_EQ(0x1111, vmcb->save.rax);
	flag.is_over = 0;
	flag.runs = 0;
	guest_barrier();
	vmcb->save.rip = (ulong_t)v_watch;
	sti();
	vmcb_run_with(vmcb, &regs[1]);
	cli();
	CHECK_EQ(SVM_EXIT_INTR, vmcb->control.exit_code);
	flag.is_over = 1;
	vmcb->control.tlb_control = TLB_FLUSH_ALL;
	vmcb_run_with(vmcb, &regs[1]);
	CHECK_EQ(SVM_EXIT_VMMCALL, vmcb->control.exit_code);
	CHECK_EQ(0x2222, vmcb->save.rax);
}

static void change(const struct row *row)
{
	guest_barrier();
	wait_for(&flag.runs);
	*npt_entry(PAGE, 1, NPT_SCRATCH) = OWN_PAGE(0) | NPT_PAGE_FLAGS;
	send(row);
}

GUEST(l1_vcpus)
{
	const struct row *row = GUEST_ROW(rows);

	write32(APIC_SVR, SVR_ENABLE | 0xff);
	if (vcpu_index() == 0) {
		guest_handle(VECTOR, on_event);
		guest_handle(NMI_VECTOR, on_event);
		npt_build();
		if (row->kind == CHANGED_TABLES) {
			write64(PAGE, 0x1111);
			write64(OWN_PAGE(0), 0x2222);
		}
	}
	guest_barrier();
	if (row->kind == SIDE_BY_SIDE)
		try_side_by_side();
	else if (vcpu_index() == 0)
		row->kind == CHANGED_TABLES ? change(row) : send(row);
	else
		row->kind == CHANGED_TABLES ? watch() : receive(row);
	CHECK(true);
}

HOST(l1_vcpus)
{
	struct kvm_mp_state runnable = { KVM_MP_STATE_RUNNABLE };

	vcpu_ioctl(t->vm->vcpus[1], KVM_SET_MP_STATE, &runnable);
	expect_all_done(t);
}
