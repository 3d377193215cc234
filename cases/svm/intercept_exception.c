/* SPDX-License-Identifier: MIT */
/*
 * An exception of L2 that L1 intercepts exits with its vector, its error code in EXITINFO1, for #PF the address in
 * EXITINFO2, before CR2, DR6 or anything else of L2 is changed. One that L1 does not intercept is delivered in L2,
 * though KVM may want it for itself (#UD, #DB, #AC, #PF in the shadow).
 *
 * Can break: the vector's bit, the error code, CR2 written too early, an exception of KVM's own choice handed to L1.
 * Source: APM vol. 2, 15.12.
 */
#include "guests/l1_svm.h"
#include "case.h"

#define NONCANONICAL "0x8000000000000000"
#define ABSENT "0x200000000000"

INSN(x_de, "xor %ecx, %ecx\n\txor %edx, %edx\n\tx_de_at: div %ecx\n\tret")
INSN(x_bp, "x_bp_at: int3\n\tx_bp_next: ret")
INSN(x_ud, "x_ud_at: ud2\n\tret")
INSN(x_nm, "mov %cr0, %rax\n\tbts $3, %rax\n\tmov %rax, %cr0\n\tx_nm_at: fnop\n\tret")
INSN(x_np, "mov $0xa8, %eax\n\tx_np_at: mov %ax, %ds\n\tret")
INSN(x_ss, "movabs $" NONCANONICAL ", %rbp\n\tx_ss_at: mov (%rbp), %al\n\tret")
INSN(x_ss_sel, "mov $0xa8, %eax\n\tx_ss_sel_at: mov %ax, %ss\n\tret")
INSN(x_gp, "movabs $" NONCANONICAL ", %rax\n\tx_gp_at: mov (%rax), %al\n\tret")
INSN(x_gp_sel, "mov $0xb3, %eax\n\tx_gp_sel_at: mov %ax, %ds\n\tret")
INSN(x_ts, "mov $0xb0, %eax\n\tx_ts_at: ltr %ax\n\tret")
INSN(x_pf_read, "movabs $" ABSENT ", %rax\n\tx_pf_read_at: mov (%rax), %al\n\tret")
INSN(x_pf_write, "movabs $" ABSENT "+0x123, %rax\n\tx_pf_write_at: movb $1, (%rax)\n\tret")
INSN(x_mf, "fninit\n\tpushq $0x37b\n\tfldcw (%rsp)\n\tpop %rax\n\tfldz\n\tfld1\n\tfdiv %st(1), %st\n\t"
     "x_mf_at: fwait\n\tret")
INSN(x_xm, "mov %cr4, %rax\n\tor $0x600, %rax\n\tmov %rax, %cr4\n\tpushq $0x1d80\n\tldmxcsr (%rsp)\n\tpop %rax\n\t"
     "xorps %xmm0, %xmm0\n\tmov $0x3f800000, %eax\n\tmovd %eax, %xmm1\n\tx_xm_at: divss %xmm0, %xmm1\n\tret")
/* In compatibility mode, which L2's stack and code are low enough for. */
#define COMPATIBLE(text_)								\
	"lea 1f(%rip), %rax\n\tpushq $0x18\n\tpush %rax\n\tlretq\n\t.code32\n\t1: " text_ "\n\t.code64"
INSN(x_br, COMPATIBLE("push $6\n\tpush $5\n\tmov $1, %eax\n\tx_br_at: bound %eax, (%esp)\n\tx_br_next: hlt"))
INSN(x_of, COMPATIBLE("mov $0x7f, %al\n\tadd $1, %al\n\tx_of_at: into\n\tx_of_next: hlt"))
INSN(x_db, "pushf\n\torl $0x100, (%rsp)\n\tpopf\n\tnop\n\tx_db_at: nop\n\tret")

extern const char x_de_at[] GUEST_API, x_bp_at[] GUEST_API, x_bp_next[] GUEST_API, x_ud_at[] GUEST_API,
	x_nm_at[] GUEST_API, x_np_at[] GUEST_API, x_ss_at[] GUEST_API, x_ss_sel_at[] GUEST_API, x_gp_at[] GUEST_API,
	x_gp_sel_at[] GUEST_API, x_pf_read_at[] GUEST_API, x_pf_write_at[] GUEST_API, x_db_at[] GUEST_API,
	x_mf_at[] GUEST_API, x_xm_at[] GUEST_API, x_br_at[] GUEST_API, x_br_next[] GUEST_API, x_of_at[] GUEST_API, x_of_next[] GUEST_API;

struct row {
	ROW_FIELDS;
	const char *code, *rip;
	uint8_t vector;
	uint32_t error_code;
	uint64_t address;
	const char *next_rip;		/* of the exit */
	const char *rip_delivered;	/* where delivery says that it was; NULL: as the exit */
	bool is_off;
};

#define ON(name_, vector_, ...) \
	{ .label = #name_, .code = x_##name_, .rip = x_##name_##_at, .vector = vector_, ##__VA_ARGS__ }
#define OFF(name_, vector_, ...) \
	{ .label = #name_ "_off", .code = x_##name_, .rip = x_##name_##_at, .vector = vector_, .is_off = true, ##__VA_ARGS__ }
#define BOTH(name_, vector_, ...) ON(name_, vector_, ##__VA_ARGS__), OFF(name_, vector_, ##__VA_ARGS__)

static const struct row rows[] = {
	BOTH(de, DE_VECTOR), BOTH(db, DB_VECTOR),
	ON(bp, BP_VECTOR, .next_rip = x_bp_next, .known = { "0102-qemu-int3-not-intercepted", "lab-svm" }),
	OFF(bp, BP_VECTOR, .rip_delivered = x_bp_next),
	BOTH(ud, UD_VECTOR), BOTH(nm, NM_VECTOR), BOTH(np, NP_VECTOR, .error_code = 0xa8), BOTH(ss, SS_VECTOR, .known = { "0109-qemu-noncanonical-stack-gp", "lab-svm" }),
	BOTH(ss_sel, SS_VECTOR, .error_code = 0xa8), BOTH(gp, GP_VECTOR),
	BOTH(gp_sel, GP_VECTOR, .error_code = 0xb0),
	BOTH(mf, MF_VECTOR), ON(br, BR_VECTOR, .next_rip = x_br_next), OFF(br, BR_VECTOR),
	BOTH(xm, XM_VECTOR, .known = { "1206-qemu-no-simd-exceptions", "lab-svm" }),
	ON(of, OF_VECTOR, .next_rip = x_of_next, .known = { "0102-qemu-int3-not-intercepted", "lab-svm" }),
	OFF(of, OF_VECTOR, .rip_delivered = x_of_next),
	BOTH(pf_read, PF_VECTOR, .address = 0x200000000000),
	BOTH(pf_write, PF_VECTOR, .error_code = PFERR_W, .address = 0x200000000123),
};

CASE(intercept_exception, .says = "an intercepted exception of L2 exits, another is delivered in L2", .modes = LONG64,
     .needs = "vendor:amd nested", .rows = ROWS(rows))

static struct fault l2_fault;

/* L2: takes the exception by L1's handlers, which are its own. */
static void l2_main(void)
{
	const struct row *row = GUEST_ROW(rows);

	l2_fault = guest_catch((void (*)(void *))row->code, NULL);
	__asm__ volatile("vmmcall" : : : "memory");
}

/* SEL_FREE: a data segment that is not present; + 8: one of DPL 0 that is. */
static void make_segments(void)
{
	*(uint64_t *)(GDT_GPA + SEL_FREE) = 0x00cf13000000ffffull;
	*(uint64_t *)(GDT_GPA + SEL_FREE + 8) = 0x00cf93000000ffffull;
}

static void check_exit(const struct row *row, uint64_t cr2)
{
	/* Only #PF defines EXITINFO2. */
	CHECK_EXIT(.code = SVM_EXIT_EXCP_BASE + row->vector, .info_1 = row->error_code,
		   .info_2 = row->vector == PF_VECTOR ? row->address : l1_vmcb.control.exit_info_2,
		   .rip = (ulong_t)row->rip);
	if (row->next_rip)
		CHECK_NEXT_RIP(row->next_rip);
	CHECK_CR2(cr2, l1_vmcb.save.cr2);
}

static void check_delivered(const struct row *row)
{
	CHECK_EXIT_CODE(SVM_EXIT_VMMCALL);
	CHECK_NO_EXIT(SVM_EXIT_EXCP_BASE + row->vector);
	CHECK_EQ(0, l1_vmcb.control.exit_int_info);
	CHECK_FAULT(row->vector, row->error_code, l2_fault);
	CHECK_EQ((ulong_t)(row->rip_delivered ? row->rip_delivered : row->rip), l2_fault.rip);
	if (row->vector == PF_VECTOR) {
		CHECK_CR2(row->address, l2_fault.cr2);
		CHECK_CR2(row->address, l1_vmcb.save.cr2);
	}
}

GUEST(intercept_exception)
{
	const struct row *row = GUEST_ROW(rows);
	unsigned int vector;

	make_segments();
	l1_svm_init();
	l2_warm();
	l1_vmcb.save.cr2 = 0x1234567;
	for (vector = 0; vector < 32 && row->is_off; vector++)
		if (vector != row->vector)
			vmcb_intercept(&l1_vmcb, SVM_EXIT_EXCP_BASE + vector);
	if (!row->is_off)
		vmcb_intercept(&l1_vmcb, SVM_EXIT_EXCP_BASE + row->vector);
	l2_run(l2_main);
	if (row->is_off)
		check_delivered(row);
	else
		check_exit(row, 0x1234567);
}

HOST(intercept_exception)
{
	expect_done(t);
}
