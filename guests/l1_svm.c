/* SPDX-License-Identifier: MIT */
#include "guests/l1_svm.h"

#define PAGE_ALIGNED __attribute__((aligned(4096)))
#define STACK_BYTES 0x1000

struct vmcb l1_vmcb PAGE_ALIGNED;
uint8_t l1_iopm[IOPM_BYTES] PAGE_ALIGNED, l1_msrpm[MSRPM_BYTES] PAGE_ALIGNED;
struct l2_regs l2_regs;

static uint8_t host_save[ABI_MAX_VCPUS][4096] PAGE_ALIGNED;
static uint8_t l2_stack[STACK_BYTES] __attribute__((aligned(16)));

void l1_svm_enable(void)
{
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
	wrmsr(MSR_VM_HSAVE_PA, (ulong_t)host_save[vcpu_index()]);
}

static struct vmcb_seg segment(uint16_t selector, uint16_t attrib)
{
	return (struct vmcb_seg){ .selector = selector, .attrib = attrib, .limit = 0xffffffff };
}

struct table_register {
	uint16_t limit;
	ulong_t base;
} __attribute__((packed));

static struct vmcb_seg table_segment(struct table_register table)
{
	return (struct vmcb_seg){ .limit = table.limit, .base = table.base };
}

static void save_init(struct vmcb_save *save)
{
	struct table_register gdtr, idtr;

	__asm__ volatile("sgdt %0\n\tsidt %1" : "=m"(gdtr), "=m"(idtr));
	save->cs = is_long_mode() ? segment(SEL_CODE64, 0xa9b) : segment(SEL_CODE32, 0xc9b);
	save->ss = save->ds = save->es = segment(SEL_DATA, 0xc93);
	save->gdtr = table_segment(gdtr);
	save->idtr = table_segment(idtr);
	save->efer = rdmsr(MSR_EFER);
	save->cr0 = read_cr0();
	save->cr3 = read_cr3();
	save->cr4 = read_cr4();
	save->dr6 = 0xffff0ff0;
	save->dr7 = 0x400;
	save->rflags = X86_EFLAGS_FIXED;
	save->g_pat = rdmsr(MSR_IA32_PAT);
}

void vmcb_init(struct vmcb *vmcb)
{
	memset(vmcb, 0, sizeof(*vmcb));
	/* FS, GS, TR, LDTR and the MSRs of system calls. */
	__asm__ volatile("vmsave" : : "a"(vmcb) : "memory");
	save_init(&vmcb->save);
	vmcb_intercept(vmcb, SVM_EXIT_VMRUN);
	vmcb_intercept(vmcb, SVM_EXIT_VMMCALL);
	vmcb_intercept(vmcb, SVM_EXIT_SHUTDOWN);
	vmcb->control.iopm_base_pa = (ulong_t)l1_iopm;
	vmcb->control.msrpm_base_pa = (ulong_t)l1_msrpm;
	vmcb->control.asid = 1;
}

void l1_svm_init(void)
{
	l1_svm_enable();
	vmcb_init(&l1_vmcb);
}

/*
 * void l2_switch(struct vmcb *vmcb, struct l2_regs *regs). #VMEXIT brings RSP back and RAX, which is the VMCB.
 */
#ifdef __x86_64__
__asm__(".pushsection .text\n"
	"l2_switch:\n"
	"	push %rbp\n	push %rbx\n	push %r12\n	push %r13\n	push %r14\n	push %r15\n"
	"	push %rsi\n"
	"	mov %rdi, %rax\n"
	"	mov 0x00(%rsi), %rcx\n	mov 0x08(%rsi), %rdx\n	mov 0x10(%rsi), %rbx\n"
	"	mov 0x18(%rsi), %rbp\n	mov 0x28(%rsi), %rdi\n	mov 0x30(%rsi), %r8\n"
	"	mov 0x38(%rsi), %r9\n	mov 0x40(%rsi), %r10\n	mov 0x48(%rsi), %r11\n"
	"	mov 0x50(%rsi), %r12\n	mov 0x58(%rsi), %r13\n	mov 0x60(%rsi), %r14\n"
	"	mov 0x68(%rsi), %r15\n	mov 0x20(%rsi), %rsi\n"
	"	vmrun\n"
	"	xchg %rsi, (%rsp)\n"
	"	mov %rcx, 0x00(%rsi)\n	mov %rdx, 0x08(%rsi)\n	mov %rbx, 0x10(%rsi)\n"
	"	mov %rbp, 0x18(%rsi)\n	mov %rdi, 0x28(%rsi)\n	mov %r8, 0x30(%rsi)\n"
	"	mov %r9, 0x38(%rsi)\n	mov %r10, 0x40(%rsi)\n	mov %r11, 0x48(%rsi)\n"
	"	mov %r12, 0x50(%rsi)\n	mov %r13, 0x58(%rsi)\n	mov %r14, 0x60(%rsi)\n"
	"	mov %r15, 0x68(%rsi)\n"
	"	pop %rax\n	mov %rax, 0x20(%rsi)\n"
	"	pop %r15\n	pop %r14\n	pop %r13\n	pop %r12\n	pop %rbx\n	pop %rbp\n"
	"	cld\n"
	"	ret\n"
	".popsection");
#else
__asm__(".pushsection .text\n"
	"l2_switch:\n"
	"	push %ebp\n	push %ebx\n	push %esi\n	push %edi\n"
	"	mov 0x14(%esp), %eax\n	mov 0x18(%esp), %esi\n	push %esi\n"
	"	mov 0x00(%esi), %ecx\n	mov 0x08(%esi), %edx\n	mov 0x10(%esi), %ebx\n"
	"	mov 0x18(%esi), %ebp\n	mov 0x28(%esi), %edi\n	mov 0x20(%esi), %esi\n"
	"	.balign 128\n"
	PDPTES_CLEAN PDPTES_CLEAN
	"	vmrun\n"
	"	xchg %esi, (%esp)\n"
	"	mov %ecx, 0x00(%esi)\n	mov %edx, 0x08(%esi)\n	mov %ebx, 0x10(%esi)\n"
	"	mov %ebp, 0x18(%esi)\n	mov %edi, 0x28(%esi)\n"
	"	pop %eax\n	mov %eax, 0x20(%esi)\n"
	"	pop %edi\n	pop %esi\n	pop %ebx\n	pop %ebp\n"
	"	cld\n"
	"	ret\n"
	".popsection");
#endif
void l2_switch(struct vmcb *vmcb, struct l2_regs *regs);

void vmcb_run_gif_clear(struct vmcb *vmcb)
{
	l2_switch(vmcb, &l2_regs);
}

void vmcb_run(struct vmcb *vmcb)
{
	vmcb_run_with(vmcb, &l2_regs);
}

void vmcb_run_with(struct vmcb *vmcb, struct l2_regs *regs)
{
	l2_switch(vmcb, regs);
	stgi();
}

void l2_run(const void *code)
{
	l1_vmcb.save.rip = (ulong_t)code;
	l1_vmcb.save.rsp = (ulong_t)l2_stack + STACK_BYTES;
	vmcb_run(&l1_vmcb);
}

void l2_resume(unsigned int len_bytes)
{
	l1_vmcb.save.rip += len_bytes;
	vmcb_run(&l1_vmcb);
}

static void ignore(struct guest_regs *regs)
{
	(void)regs;
}

__asm__(".pushsection .text\nl2_nothing: vmmcall\n.popsection");
extern const char l2_nothing[];

void l2_warm(void)
{
	const unsigned int vector = 0x20;

	guest_handle(vector, ignore);
	l1_vmcb.control.event_inj = EVENT_VALID | EVENT_INTR | vector;
	l2_run(l2_nothing);
	l1_vmcb.control.event_inj = 0;
	guest_handle(vector, NULL);
}

struct fault vmrun_try(uint64_t pa)
{
	struct fault fault = TRY("vmrun", : : "a"((ulong_t)pa) : "memory");

	if (fault.vector == NO_VECTOR)
		stgi();
	return fault;
}

struct fault vmload_try(uint64_t pa)
{
	return TRY("vmload", : : "a"((ulong_t)pa) : "memory");
}

struct fault vmsave_try(uint64_t pa)
{
	return TRY("vmsave", : : "a"((ulong_t)pa) : "memory");
}

/* --- the permission maps: APM vol. 2, 15.10.1 and 15.11 --- */

static void map_set(uint8_t *map, unsigned int bit, bool value)
{
	map += bit / 8;
	*map = value ? *map | 1u << (bit % 8) : *map & ~(1u << (bit % 8));
}

void iopm_set(uint8_t *map, uint32_t port, bool value)
{
	map_set(map, port, value);
}

bool msrpm_set(uint8_t *map, uint32_t index, bool is_write, bool value)
{
	static const uint32_t bases[] = { 0, 0xc0000000, 0xc0010000 };
	unsigned int range;

	for (range = 0; range < 3; range++)
		if (index - bases[range] < 0x2000)
			break;
	if (range == 3)
		return false;
	map_set(map + range * 0x800, 2 * (index - bases[range]) + is_write, value);
	return true;
}

/* --- checks --- */

static void check_field(const char *file, unsigned int line, const char *name, uint64_t want, uint64_t got)
{
	guest_check(want == got, file, line, name, want, got);
}

void check_exit_code(const struct vmcb *vmcb, uint64_t want, const char *file, unsigned int line)
{
	check_field(file, line, "exit_code", want, vmcb->control.exit_code);
	if (vmcb->control.exit_code == want)
		guest_met(ABI_MET_SVM, want);
}

void check_no_exit(const struct vmcb *vmcb, uint32_t code, const char *file, unsigned int line)
{
	bool is_intercepted = code < 32 * NR_INTERCEPT_WORDS &&
			      vmcb->control.intercept[code / 32] & 1u << (code % 32);

	guest_check(!is_intercepted, file, line, "the intercept is clear", code, code);
	guest_check((uint32_t)vmcb->control.exit_code != code, file, line, "no exit", 0, code);
	guest_met(ABI_MET_SVM_OFF, code);
}

void check_svm_exit(const struct vmcb *vmcb, const struct svm_exit *want, const char *file, unsigned int line)
{
	const struct vmcb_control *got = &vmcb->control;

	check_exit_code(vmcb, want->code, file, line);
	check_field(file, line, "exit_info_1", want->info_1, got->exit_info_1);
	check_field(file, line, "exit_info_2", want->info_2, got->exit_info_2);
	check_field(file, line, "exit_int_info", want->int_info, got->exit_int_info);
	check_field(file, line, "exit_int_info_error", want->int_info_error, got->exit_int_info_error);
	check_field(file, line, "rip", want->rip, vmcb->save.rip);
}

struct field {
	const char *name;
	uint16_t offset, len_bytes;
};

#define FIELD(name_) { #name_, offsetof(struct vmcb_save, name_), sizeof(((struct vmcb_save *)0)->name_) }
#define SEGMENT(name_) FIELD(name_.selector), FIELD(name_.attrib), FIELD(name_.limit), FIELD(name_.base)

static const struct field save_fields[] = {
	SEGMENT(es), SEGMENT(cs), SEGMENT(ss), SEGMENT(ds), SEGMENT(fs), SEGMENT(gs), SEGMENT(gdtr), SEGMENT(ldtr),
	SEGMENT(idtr), SEGMENT(tr), FIELD(cpl), FIELD(efer), FIELD(cr4), FIELD(cr3), FIELD(cr0), FIELD(dr7),
	FIELD(dr6), FIELD(rflags), FIELD(rip), FIELD(rsp), FIELD(rax), FIELD(star), FIELD(lstar), FIELD(cstar),
	FIELD(sfmask), FIELD(kernel_gs_base), FIELD(sysenter_cs), FIELD(sysenter_esp), FIELD(sysenter_eip),
	FIELD(cr2), FIELD(g_pat), FIELD(dbgctl), FIELD(br_from), FIELD(br_to), FIELD(last_excp_from),
	FIELD(last_excp_to),
};

static uint64_t field_read(const void *record, const struct field *field)
{
	uint64_t value = 0;

	memcpy(&value, (const uint8_t *)record + field->offset, field->len_bytes);
	return value;
}

void check_vmcb_save(const struct vmcb_save *got, const struct vmcb_save *want, const char *file, unsigned int line)
{
	unsigned int i;

	for (i = 0; i < sizeof(save_fields) / sizeof(save_fields[0]); i++) {
		const struct field *field = &save_fields[i];
		uint64_t value = field_read(want, field);
		bool is_lost = field->offset == offsetof(struct vmcb_save, cr2) && abi_self()->cr2_is_lost;

		check_field(file, line, field->name, value, is_lost ? value : field_read(got, field));
	}
}

void check_l2_regs(const struct l2_regs *want, const char *file, unsigned int line)
{
	static const char *const names[] = {
		"rcx", "rdx", "rbx", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
	};
	const uint64_t *w = &want->rcx, *g = &l2_regs.rcx;
	unsigned int i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		check_field(file, line, names[i], w[i], g[i]);
}
