/* SPDX-License-Identifier: MIT */
/*
 * What CPUID does not offer to L1 does not act: bits and fields of the VMCB that belong to a feature which L1 has not are
 * without effect on L2, and a #VMEXIT leaves them as L1 wrote them.
 *
 * Can break: KVM runs L2 with a VMCB of its own, into which it takes L1's fields by masks and by the features of the
 * host: a bit too many, and the CPU acts on it with KVM's own tables and addresses.
 * Source: APM vol. 3, appendix E.4.9 (Fn8000_000A); vol. 2, 15.7.1, 15.8.4, 15.14.4, 15.21.10, 15.23, 15.29, 15.33.2,
 * appendix B.
 */
#include "cases/mmu/feature_hide.h"
#include "cases/svm/npt.h"
#include "case.h"

#define SVM_LEAF 0x8000000a
#define EDX_LBRV (1u << 1)
#define EDX_NRIPS (1u << 3)
#define EDX_ASSISTS (1u << 7)
#define EDX_PAUSE_FILTER (1u << 10)
#define EDX_AVIC (1u << 13)
#define EDX_VGIF (1u << 16)
#define EDX_X2AVIC (1u << 18)
#define EDX_VNMI (1u << 25)

#define V_NMI (1u << 11)
#define V_NMI_MASK (1u << 12)
#define V_NMI_ENABLE (1u << 26)
#define X2AVIC_ENABLE (1u << 30)
#define AVIC_ENABLE (1u << 31)

#define VECTOR 0x62
#define MSR_DEBUGCTL 0x1d9
#define DEBUGCTL_BTF 2u
#define POISON 0x1122334455667788ull
#define IN_RAM 0x13572468u

INSN(u_nop, "nop\n\tvmmcall")
INSN(u_window, "sti\n\tnop\n\tnop\n\tcli\n\tvmmcall")
/* The register of a local APIC's TPR, if it were one. */
INSN(u_apic, "mov 0x80(%rbx), %eax\n\tmovl $0x30, 0x80(%rbx)\n\tvmmcall")
INSN(u_debugctl, "mov $0x1d9, %ecx\n\trdmsr\n\tvmmcall")
INSN(u_pause, "1: pause\n\tinc %r15\n\tcmp $64, %r15\n\tjne 1b\n\tvmmcall")
INSN(u_cpuid, "cpuid\n\tvmmcall")
INSN(u_absent, "movabs $0x200000000000, %rax\n\tmov (%rax), %al\n\tvmmcall")

enum field { OF_INT_CTL, OF_LBR, OF_NRIP, OF_PAUSE, OF_ASSISTS };

struct row {
	ROW_FIELDS;
	const char *code, *end;
	enum field field;
	uint32_t feature;	/* of EDX */
	uint32_t int_ctl;
	bool is_nmi;		/* L1 injects one */
	bool has_virq, is_apic, is_nested;
};

#define ROW_OF(label_, code_, feature_, ...)						\
	{ .label = #label_, .code = u_##code_, .end = u_##code_##_end, .feature = EDX_##feature_, ##__VA_ARGS__ }
#define NPT_TOO .is_nested = true, .needs = "cpuid:npt tdp"
/* The machine's own features are not taken away by the guest's CPUID. */
#define NOT_BARE .known = { "2902-bare-keeps-hidden-features", "bare" }

static const struct row rows[] = {
	ROW_OF(v_nmi, nop, VNMI, .int_ctl = V_NMI | V_NMI_ENABLE),
	ROW_OF(v_nmi_alone, nop, VNMI, .int_ctl = V_NMI),
	ROW_OF(v_nmi_enabled, nop, VNMI, .int_ctl = V_NMI_ENABLE, .is_nmi = true),
	ROW_OF(v_nmi_masked, nop, VNMI, .int_ctl = V_NMI_MASK | V_NMI_ENABLE, .is_nmi = true),
	ROW_OF(avic, apic, AVIC, .int_ctl = AVIC_ENABLE, .is_apic = true),
	ROW_OF(avic_nested, apic, AVIC, .int_ctl = AVIC_ENABLE, .is_apic = true, NPT_TOO),
	ROW_OF(x2avic, apic, X2AVIC, .int_ctl = AVIC_ENABLE | X2AVIC_ENABLE, .is_apic = true),
	ROW_OF(x2avic_nested, apic, X2AVIC, .int_ctl = AVIC_ENABLE | X2AVIC_ENABLE, .is_apic = true, NPT_TOO),
	ROW_OF(v_gif_clear, window, VGIF, .int_ctl = V_GIF_ENABLE, .has_virq = true, NOT_BARE),
	ROW_OF(v_gif_set, window, VGIF, .int_ctl = V_GIF_ENABLE | V_GIF, .has_virq = true),
	ROW_OF(lbr, debugctl, LBRV, .field = OF_LBR, NOT_BARE),
	ROW_OF(nrip, cpuid, NRIPS, .field = OF_NRIP, NOT_BARE),
	ROW_OF(pause_filter, pause, PAUSE_FILTER, .field = OF_PAUSE, NOT_BARE),
	ROW_OF(decode_assists, absent, ASSISTS, .field = OF_ASSISTS, NOT_BARE),
};

CASE(unoffered, .says = "a field of a feature that CPUID does not offer is without effect, and kept", .modes = LONG64,
     .needs = "vendor:amd nested", .rows = ROWS(rows))

static unsigned int nr_nmis, nr_interrupts;

static void on_nmi(struct guest_regs *regs)
{
	(void)regs;
	nr_nmis++;
}

static void on_interrupt(struct guest_regs *regs)
{
	(void)regs;
	nr_interrupts++;
}

static void int_ctl_make(const struct row *row)
{
	struct vmcb_control *control = &l1_vmcb.control;

	control->int_ctl = row->int_ctl;
	if (row->has_virq) {
		control->int_ctl |= V_IRQ | V_INTR_MASKING | V_PRIORITY(15);
		control->int_vector = VECTOR;
	}
	if (row->is_nmi)
		control->event_inj = EVENT_VALID | EVENT_NMI | NMI_VECTOR;
	/* Pages that the CPU would find, and write to. */
	control->avic_apic_bar = SCRATCH_GPA;
	control->avic_backing_page = (ulong_t)page_alloc();
	control->avic_logical_table = (ulong_t)page_alloc();
	control->avic_physical_table = (ulong_t)page_alloc();
	write32(SCRATCH_GPA + 0x80, IN_RAM);
	l2_regs.rbx = SCRATCH_GPA;
}

static void check_int_ctl(const struct row *row)
{
	CHECK_L2_DONE(row->end - 3);
	CHECK_EQ(row->int_ctl, l1_vmcb.control.int_ctl & ~(V_INTR_MASKING | V_PRIORITY(15)));
	CHECK_EQ(row->is_nmi, nr_nmis);
	CHECK_EQ(row->has_virq, nr_interrupts);
	if (!row->is_apic)
		return;
	CHECK_EQ(IN_RAM, l1_vmcb.save.rax);
	CHECK_EQ(0x30, read32(SCRATCH_GPA + 0x80));
}

/* 16 bytes: how many were fetched, and they. */
static void check_insn_bytes(void)
{
	const uint8_t *at = &l1_vmcb.control.nr_insn_bytes;
	unsigned int i, nr = 0;

	for (i = 0; i < 16; i++)
		nr += at[i] == 0xa5;
	CHECK_EQ(16, nr);
}

static void field_make(const struct row *row)
{
	switch (row->field) {
	case OF_LBR:
		l1_vmcb.control.virt_ext = LBR_ENABLE;
		l1_vmcb.save.dbgctl = DEBUGCTL_BTF;
		break;
	case OF_NRIP:
		vmcb_intercept(&l1_vmcb, SVM_EXIT_CPUID);
		l1_vmcb.control.next_rip = POISON;
		break;
	case OF_PAUSE:
		vmcb_intercept(&l1_vmcb, SVM_EXIT_PAUSE);
		l1_vmcb.control.pause_filter_count = 32;
		break;
	case OF_ASSISTS:
		vmcb_intercept(&l1_vmcb, SVM_EXIT_EXCP_BASE + PF_VECTOR);
		memset(&l1_vmcb.control.nr_insn_bytes, 0xa5, 16);
		break;
	default:
		int_ctl_make(row);
	}
}

static void check_field(const struct row *row)
{
	switch (row->field) {
	case OF_LBR:
		CHECK_L2_DONE(row->end - 3);
		CHECK_EQ(0, (uint32_t)l1_vmcb.save.rax);
		CHECK_EQ(DEBUGCTL_BTF, l1_vmcb.save.dbgctl);
		CHECK_EQ(LBR_ENABLE, l1_vmcb.control.virt_ext);
		break;
	case OF_NRIP:
		CHECK_EXIT(.code = SVM_EXIT_CPUID, .rip = (ulong_t)row->code);
		CHECK_EQ(POISON, l1_vmcb.control.next_rip);
		break;
	case OF_PAUSE:
		CHECK_EXIT(.code = SVM_EXIT_PAUSE, .rip = (ulong_t)row->code);
		/* The first of them. */
		CHECK_EQ(0, l2_regs.r15);
		CHECK_EQ(32, l1_vmcb.control.pause_filter_count);
		break;
	case OF_ASSISTS:
		CHECK_EXIT_CODE(SVM_EXIT_EXCP_BASE + PF_VECTOR);
		check_insn_bytes();
		break;
	default:
		check_int_ctl(row);
	}
}

GUEST(unoffered)
{
	const struct row *row = GUEST_ROW(rows);

	guest_handle(NMI_VECTOR, on_nmi);
	guest_handle(VECTOR, on_interrupt);
	l1_svm_init();
	l2_warm();
	if (row->is_nested) {
		npt_build();
		l1_vmcb.control.nested_ctl = NP_ENABLE;
		l1_vmcb.control.nested_cr3 = (ulong_t)npt_root;
		l1_vmcb.control.tlb_control = TLB_FLUSH_ALL;
	}
	field_make(row);
	l2_run(row->code);
	check_field(row);
}

HOST(unoffered)
{
	feature_hide(t, SVM_LEAF, 3, ROW(t, rows)->feature);
	expect_done(t);
}
