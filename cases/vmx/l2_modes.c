/* SPDX-License-Identifier: MIT */
/*
 * L2 in other modes than L1: PAE paging with the pointers from memory or, under EPT, from the VMCS; no paging and real
 * mode as an unrestricted guest; one that goes to long mode by itself; and the task switches of a 32-bit one, which exit.
 *
 * Can break: pointers of L1's, or of the last entry; a bad pointer that no entry looks at; the IA-32e control and EFER
 * that an exit leaves behind; which of the four sources a task switch has.
 * Source: SDM vol. 3C, 25.2 (task switches), 27.3.1.6, 27.3.2.4, 27.8, 28.2.1 (tables 28-2), 28.3.1, 28.3.5; vol. 3A, 4.4.
 */
#include "case.h"
#include "guests/l1_vmx.h"

#define LINEAR 0x40000000u		/* PDPTE1: its first 2 MiB are those of SCRATCH_GPA */
#define L2_STACK (SCRATCH_GPA + 0x8000)
#define MARK (SCRATCH_GPA + 0x9000)
#define REAL_CODE SCRATCH16_GPA
#define FAIL_PDPTE 2
#define AR_CODE32 0xc09b
#define AR_REAL 0x93

INSN(modes_load, ".code32\n\tmov 0x40009000, %ebx\n\tvmcall\n.code64")
/* Another CR3, in EAX, before. */
INSN(modes_cr3, ".code32\n\tmov %eax, %cr3\n\tmov 0x40009000, %ebx\n\tvmcall\n.code64")
INSN(modes_flat, ".code32\n\tmov 0x209000, %ebx\n\tvmcall\n.code64")
INSN(modes_real, ".code16\n\tmov $0x1234, %bx\n\tvmcall\n.code64")
INSN(modes_to_long, ".code32\n\tmov $0xc0000080, %ecx\n\trdmsr\n\tor $0x100, %eax\n\twrmsr\n\t"
     "mov %cr0, %eax\n\tor $0x80000000, %eax\n\tmov %eax, %cr0\n\t"
     ".globl modes_long\nmodes_long:\n\tvmcall\n.code64")
extern const char modes_long[] GUEST_API;

_Static_assert(SCRATCH_GPA == 0x200000 && MARK == 0x209000, "L2's code has these as numbers");

/* --- page tables of PAE paging --- */

static uint64_t *directory_make(uint64_t gpa)
{
	uint64_t *directory = page_alloc();
	unsigned int i;

	for (i = 0; i < 512; i++)
		directory[i] = (gpa + ((uint64_t)i << 21)) | PTE_P | PTE_W | PTE_PS | PTE_A | PTE_D;
	return directory;
}

static uint64_t *low_directory, *high_directory;

/* The first GiB one to one, and at LINEAR the case's own RAM. */
static uint64_t *pointers_make(void)
{
	uint64_t *pointers = page_alloc();

	low_directory = directory_make(0);
	high_directory = directory_make(SCRATCH_GPA);
	pointers[0] = (ulong_t)low_directory | PTE_P;
	pointers[1] = (ulong_t)high_directory | PTE_P;
	return pointers;
}

/* A 32-bit L2; nothing of its segments but CS differs. */
static void aim_32(const char *code)
{
	vmcs_clear_bits(ENTRY_CONTROLS, ENTRY_IA32E_MODE_GUEST);
	vmcs_write(GUEST_CS_AR, AR_CODE32);
	vmcs_write(GUEST_RIP, (ulong_t)code);
	vmcs_write(GUEST_RSP, L2_STACK);
	write32(MARK, 0x5a17c3d2);
}

static uint64_t *start_pae(const char *code)
{
	uint64_t *pointers;

	vmx_start();
	pointers = pointers_make();
	aim_32(code);
	vmcs_write(GUEST_CR3, (ulong_t)pointers);
	return pointers;
}

static void check_loaded(void)
{
	CHECK_EQ(VMX_OK, vmx.exit.outcome);
	CHECK_REASON(EXIT_REASON_VMCALL);
	CHECK_EQ(0x5a17c3d2, vmx.gprs.rbx);
	CHECK_EQ(0, vmcs_read(ENTRY_CONTROLS) & ENTRY_IA32E_MODE_GUEST);
	CHECK_EQ(EFER_LMA | EFER_LME, rdmsr(MSR_EFER) & (EFER_LMA | EFER_LME));
}

static void pae(void)
{
	uint64_t *pointers = start_pae(modes_load);

	vmx_run();
	check_loaded();
	CHECK_EQ((ulong_t)pointers, vmx.exit.cr3);
	/* Once more. */
	vmx.gprs.rbx = 0;
	vmcs_write(GUEST_RIP, (ulong_t)modes_load);
	vmx_run();
	check_loaded();
}

static void pae_cr3_loaded(void)
{
	uint64_t *pointers = start_pae(modes_cr3), *other = page_alloc();

	memcpy(other, pointers, 4096);
	pointers[1] = 0;
	vmx.gprs.rax = (ulong_t)other;
	vmx_run();
	check_loaded();
	CHECK_EQ((ulong_t)other, vmx.exit.cr3);
}

static void check_entry_failed(void)
{
	CHECK_EQ(VMX_OK, vmx.exit.outcome);
	CHECK_REASON(EXIT_REASON_INVALID_STATE | VMX_EXIT_REASONS_FAILED_VMENTRY);
	CHECK_EQ(FAIL_PDPTE, vmx.exit.qualification);
}

static void pae_bad_pointer(void)
{
	uint64_t *pointers = start_pae(modes_load);

	/* Reserved where it is present; anything goes where it is not. */
	pointers[2] = 2;
	pointers[3] = 1ull << 62 | PTE_P;
	vmx_run();
	check_entry_failed();
	pointers[3] = 1 << 1 | PTE_P;
	vmx_run();
	check_entry_failed();
	pointers[3] = 0;
	vmx_run();
	check_loaded();
}

/* --- under EPT the pointers are in the VMCS --- */

static uint64_t *start_pae_ept(const char *code)
{
	uint64_t *pointers = start_pae(code);
	unsigned int i;

	vmx_use_ept();
	for (i = 0; i < 4; i++)
		vmcs_write(GUEST_PDPTE0 + 2 * i, pointers[i]);
	return pointers;
}

static void pae_ept(void)
{
	uint64_t *pointers = start_pae_ept(modes_load);

	/* Memory has others, which do not matter. */
	memset(pointers, 0xff, 32);
	vmx_run();
	check_loaded();
	CHECK_EQ((ulong_t)low_directory | PTE_P, vmcs_read(GUEST_PDPTE0));
	CHECK_EQ((ulong_t)high_directory | PTE_P, vmcs_read(GUEST_PDPTE1));
	CHECK_EQ(0, vmcs_read(GUEST_PDPTE2));
	CHECK_EQ(0, vmcs_read(GUEST_PDPTE3));
}

static void pae_ept_cr3_loaded(void)
{
	uint64_t *pointers = start_pae_ept(modes_cr3), *other = page_alloc();

	memcpy(other, pointers, 4096);
	other[2] = (ulong_t)low_directory | PTE_P;
	other[3] = (ulong_t)high_directory | PTE_P;
	vmcs_write(GUEST_PDPTE1, 0);
	vmx.gprs.rax = (ulong_t)other;
	vmx_run();
	check_loaded();
	CHECK_EQ((ulong_t)other, vmx.exit.cr3);
	CHECK_EQ((ulong_t)low_directory | PTE_P, vmcs_read(GUEST_PDPTE0));
	CHECK_EQ((ulong_t)high_directory | PTE_P, vmcs_read(GUEST_PDPTE1));
	CHECK_EQ((ulong_t)low_directory | PTE_P, vmcs_read(GUEST_PDPTE2));
	CHECK_EQ((ulong_t)high_directory | PTE_P, vmcs_read(GUEST_PDPTE3));
}

static void pae_ept_bad_pointer(void)
{
	start_pae_ept(modes_load);
	vmcs_write(GUEST_PDPTE3, 1ull << 62 | PTE_P);
	vmx_run();
	check_entry_failed();
	vmcs_write(GUEST_PDPTE3, 0);
	vmx_run();
	check_loaded();
}

/* --- unrestricted --- */

static void start_unrestricted(void)
{
	vmx_start();
	vmx_use_ept();
	vmx_use_secondary(PROC2_UNRESTRICTED_GUEST);
}

static void no_paging(void)
{
	start_unrestricted();
	aim_32(modes_flat);
	vmcs_clear_bits(GUEST_CR0, X86_CR0_PG);
	vmx_run();
	check_loaded();
	CHECK_EQ(0, vmx.exit.cr0 & X86_CR0_PG);
	CHECK(read_cr0() & X86_CR0_PG);
}

static void real_segment(uint32_t selector_field, uint16_t selector, uint32_t rights)
{
	unsigned int index = (selector_field - GUEST_ES_SELECTOR) / 2;

	vmcs_write(selector_field, selector);
	vmcs_write(GUEST_ES_BASE + 2 * index, (uint32_t)selector << 4);
	vmcs_write(GUEST_ES_LIMIT + 2 * index, 0xffff);
	vmcs_write(GUEST_ES_AR + 2 * index, rights);
}

static void real_mode(void)
{
	uint16_t es = GUEST_ES_SELECTOR;

	start_unrestricted();
	memcpy((void *)REAL_CODE, modes_real, modes_real_end - modes_real);
	vmcs_clear_bits(ENTRY_CONTROLS, ENTRY_IA32E_MODE_GUEST);
	vmcs_clear_bits(GUEST_CR0, X86_CR0_PG | X86_CR0_PE);
	for (es = GUEST_ES_SELECTOR; es <= GUEST_GS_SELECTOR; es += 2)
		real_segment(es, REAL_CODE >> 4, AR_REAL);
	vmcs_write(GUEST_RIP, 0);
	vmcs_write(GUEST_RSP, 0x1000);
	vmx_run();
	CHECK_EQ(VMX_OK, vmx.exit.outcome);
	CHECK_REASON(EXIT_REASON_VMCALL);
	CHECK_EQ(0x1234, vmx.gprs.rbx & 0xffff);
	CHECK_EQ(3, vmx.exit.rip);
	CHECK_EQ(0, vmx.exit.cr0 & (X86_CR0_PG | X86_CR0_PE));
	CHECK_EQ(REAL_CODE >> 4, vmcs_read(GUEST_CS_SELECTOR));
	CHECK_EQ(REAL_CODE, vmcs_read(GUEST_CS_BASE));
	CHECK_EQ(AR_REAL, vmcs_read(GUEST_CS_AR));
}

/* An error code is for protected mode only. */
static void real_mode_event(void)
{
	start_unrestricted();
	vmcs_clear_bits(ENTRY_CONTROLS, ENTRY_IA32E_MODE_GUEST);
	vmcs_clear_bits(GUEST_CR0, X86_CR0_PG | X86_CR0_PE);
	vmcs_write(ENTRY_INTR_INFO, INTR_VALID | INTR_HARDWARE_EXCEPTION | INTR_ERROR_CODE | GP_VECTOR);
	vmx_run();
	CHECK_EQ(VMX_FAIL_VALID(VMX_ERROR_ENTRY_CONTROLS), vmx.exit.outcome);
}

/* What L2 has made of itself is in the entry controls. */
static void to_long_mode(void)
{
	start_unrestricted();
	aim_32(modes_to_long);
	vmcs_clear_bits(GUEST_CR0, X86_CR0_PG);
	vmcs_set(EXIT_CONTROLS, EXIT_SAVE_EFER);
	vmx_run();
	CHECK_EQ(VMX_OK, vmx.exit.outcome);
	CHECK_REASON(EXIT_REASON_VMCALL);
	CHECK_EQ((ulong_t)modes_long, vmx.exit.rip);
	CHECK(vmx.exit.cr0 & X86_CR0_PG);
	CHECK_EQ(ENTRY_IA32E_MODE_GUEST, vmcs_read(ENTRY_CONTROLS) & ENTRY_IA32E_MODE_GUEST);
	CHECK_EQ(EFER_LMA | EFER_LME, vmcs_read(GUEST_EFER) & (EFER_LMA | EFER_LME));
}

/* --- task switches --- */

#define NEW_TSS SEL_FREE
#define GATE_VECTOR 0x40
#define TASK_GATE_ACCESS 0x85ull
#define FROM_CALL 0u
#define FROM_IRET (1u << 30)
#define FROM_JMP (2u << 30)
#define FROM_GATE (3u << 30)

_Static_assert(NEW_TSS == 0xa8 && GATE_VECTOR == 0x40, "L2's code has these as numbers");

#define TASK(name_, text_) INSN(modes_##name_, ".code32\n" text_ "\n.code64")
TASK(jmp, "ljmp $0xa8, $0")
TASK(call, "lcall $0xa8, $0")
TASK(int, "int $0x40")
TASK(iret, "iret")
TASK(ud, "ud2")

/* TSSs of 104 bytes; the running one's link is the new one. */
static void tasks_start(const char *code)
{
	uint32_t *gdt = (uint32_t *)(GDT_GPA + NEW_TSS), tss = (ulong_t)page_alloc();
	uint64_t *idt = page_alloc();

	start_pae(code);
	gdt[0] = 0x67 | tss << 16;
	gdt[1] = (tss >> 16 & 0xff) | 0x8900 | (tss & 0xff000000);
	idt[GATE_VECTOR] = idt[UD_VECTOR] = TASK_GATE_ACCESS << 40 | (uint64_t)NEW_TSS << 16;
	vmcs_write(GUEST_IDTR_BASE, (ulong_t)idt);
	vmcs_write(GUEST_IDTR_LIMIT, 8 * 0x100 - 1);
	/* IRET goes to the task of the link, which is busy. */
	tss = (ulong_t)page_alloc();
	write32(tss, NEW_TSS);
	vmcs_write(GUEST_TR_BASE, tss);
	vmcs_write(GUEST_TR_LIMIT, 0x67);
	if (code == modes_iret) {
		gdt[1] |= 0x200;
		vmcs_set(GUEST_RFLAGS, X86_EFLAGS_NT);
	}
}

static void check_task(const char *code, uint32_t source, uint64_t insn_length, uint64_t vectoring_info)
{
	struct vmx_exit want;

	tasks_start(code);
	vmx_state_read(&want);
	vmx_run();
	want.reason = EXIT_REASON_TASK_SWITCH;
	want.qualification = source | NEW_TSS;
	want.insn_length = insn_length;
	want.vectoring_info = vectoring_info;
	/* Finding 0404; and on lab-vmx NMIs are blocked behind all but IRET. */
	vmx.exit.rflags &= ~X86_EFLAGS_RF;
	vmx.exit.interruptibility = 0;
	CHECK_EXIT(&want);
}

static void task_jmp(void)
{
	check_task(modes_jmp, FROM_JMP, 7, 0);
}

static void task_call(void)
{
	check_task(modes_call, FROM_CALL, 7, 0);
}

static void task_iret(void)
{
	check_task(modes_iret, FROM_IRET, 1, 0);
}

static void task_int(void)
{
	check_task(modes_int, FROM_GATE, 2, INTR_VALID | INTR_SOFTWARE_INTERRUPT | GATE_VECTOR);
}

static void task_fault(void)
{
	check_task(modes_ud, FROM_GATE, 0, INTR_VALID | INTR_HARDWARE_EXCEPTION | UD_VECTOR);
}

struct row {
	ROW_FIELDS;
	void (*run)(void);
};
#define RUN(name_, ...) { .label = #name_, .run = name_, ##__VA_ARGS__ }
#define EPT .needs = "vmx:ept tdp"
#define UNRESTRICTED .needs = "vmx:ept vmx:unrestricted_guest tdp"

static const struct row rows[] = {
	RUN(pae), RUN(pae_cr3_loaded), RUN(pae_bad_pointer), RUN(pae_ept, EPT), RUN(pae_ept_cr3_loaded, EPT),
	RUN(pae_ept_bad_pointer, EPT), RUN(no_paging, UNRESTRICTED), RUN(real_mode, UNRESTRICTED),
	RUN(real_mode_event, UNRESTRICTED), RUN(to_long_mode, UNRESTRICTED),
	RUN(task_jmp), RUN(task_call), RUN(task_iret), RUN(task_int), RUN(task_fault),
};

CASE(l2_modes, .says = "L2 runs in every mode, and its task switches exit", .modes = LONG64,
     .needs = "vendor:intel nested", .rows = ROWS(rows))

GUEST(l2_modes)
{
	GUEST_ROW(rows)->run();
}

HOST(l2_modes)
{
	expect_done(t);
}
