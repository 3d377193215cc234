/* SPDX-License-Identifier: MIT */
/*
 * The guest's runtime: start, exceptions, checks, stages, guarded calls. One copy serves all widths.
 */
#include "guest.h"
#include "stack.h"

#define NR_VECTORS 256

_Static_assert(offsetof(struct abi_page, vcpu) == ABI_VCPU_OFFSET, "the entries read .vcpu");
_Static_assert(SEL_USER_CODE32 == 0x33 && SEL_USER_DATA == 0x3b && SEL_USER_CODE64 == 0x43,
	       "stack.h repeats these for the assembler");

struct fixup {
	int32_t fault;		/* relative to itself */
	int32_t resume;		/* likewise */
};

void guest_main(void);
void guest_start(void);
void exception_entry(struct guest_regs *regs);
int guarded_call(void (*function)(void *), void *argument, ulong_t *saved_sp);
int guarded_user_call(void (*function)(void *), void *argument, ulong_t *saved_sp, void *user_sp);
void guarded_abort(ulong_t saved_sp) __attribute__((noreturn));

extern const struct fixup fixups_start[], fixups_end[];
extern const char exception_stubs[];	/* 16 bytes each */

uint8_t stacks[ABI_MAX_VCPUS][STACK_BYTES] __attribute__((aligned(16)));
static guest_handler handlers[NR_VECTORS];
static ulong_t guard_sp[ABI_MAX_VCPUS];	/* 0: no guarded call is under way on that vCPU */

#ifndef VMASSAY_REAL16
static uint8_t exception_stacks[ABI_MAX_VCPUS][STACK_BYTES] __attribute__((aligned(16)));
static uint8_t user_stacks[ABI_MAX_VCPUS][STACK_BYTES] __attribute__((aligned(16)));
#endif
#ifdef __x86_64__
static uint8_t df_stacks[ABI_MAX_VCPUS][STACK_BYTES] __attribute__((aligned(16)));
#endif

static void leave(uint16_t port, enum abi_state state)
{
	abi_self()->state = state;
	out8(port, 0);
}

static void __attribute__((noreturn)) leave_for_good(enum abi_state state)
{
	for (;;)
		leave(DONE_PORT, state);
}

void guest_sync(uint32_t stage)
{
	abi_self()->stage = stage;
	leave(SYNC_PORT, ABI_STATE_SYNC);
	abi_self()->state = ABI_STATE_RUNNING;
}

/* --- checks --- */

static void record_add(enum abi_record_kind kind, const char *file, unsigned int line, const char *text,
		       uint64_t want, uint64_t got)
{
	struct abi_page *page = abi_self();

	if (page->nr_records < ABI_MAX_RECORDS)
		page->records[page->nr_records] = (struct abi_record){
			.kind = kind, .line = line, .file = (ulong_t)file, .text = (ulong_t)text,
			.want = want, .got = got,
		};
	page->nr_records++;
}

void guest_check(bool holds, const char *file, unsigned int line, const char *text, uint64_t want, uint64_t got)
{
	abi_self()->nr_checks++;
	if (!holds)
		record_add(ABI_RECORD_CHECK, file, line, text, want, got);
}

void guest_check_fault(const char *file, unsigned int line, const char *text, int32_t vector, uint32_t error_code,
		       struct fault got)
{
	/* Real mode pushes no error code. */
	uint32_t want_code = guest_mode() == REAL16 ? 0 : error_code;
	uint64_t want = (uint64_t)(uint32_t)vector << 32 | want_code;
	uint64_t have = (uint64_t)(uint32_t)got.vector << 32 | got.error_code;

	abi_self()->nr_checks++;
	if (want != have)
		record_add(ABI_RECORD_FAULT, file, line, text, want, have);
}

void guest_met(uint16_t kind, uint64_t code)
{
	struct abi_page *page = abi_self();
	uint16_t met = kind | (code & ABI_MET_CODE);
	uint32_t i;

	for (i = 0; i < page->nr_met; i++)
		if (page->met[i] == met)
			return;
	if (page->nr_met < ABI_MAX_MET)
		page->met[page->nr_met++] = met;
}

void guest_say(const char *file, unsigned int line, const char *text, uint64_t value)
{
	record_add(ABI_RECORD_MESSAGE, file, line, text, 0, value);
}

/* --- exceptions --- */

void guest_handle(unsigned int vector, guest_handler handler)
{
	handlers[vector] = handler;
}

/* True when RIP was moved to the fix-up of the instruction that faulted. */
static bool fixup_apply(struct guest_regs *regs)
{
	const struct fixup *fixup;

	for (fixup = fixups_start; fixup < fixups_end; fixup++) {
		if ((ulong_t)&fixup->fault + fixup->fault != regs->rip)
			continue;
		regs->rip = (ulong_t)&fixup->resume + fixup->resume;
		return true;
	}
	return false;
}

static void guard_leave(void)
{
	uint32_t vcpu = vcpu_index();
	ulong_t sp = guard_sp[vcpu];

	guard_sp[vcpu] = 0;
	guarded_abort(sp);
}

void exception_entry(struct guest_regs *regs)
{
	struct abi_page *page = abi_self();

	if (handlers[regs->vector]) {
		handlers[regs->vector](regs);
		return;
	}
	if (regs->vector == USER_RETURN_VECTOR && guard_sp[vcpu_index()])
		guard_leave();
	page->fault = (struct fault){
		.vector = regs->vector,
		.error_code = regs->error_code,
		.rip = regs->rip,
		.cr2 = regs->vector == PF_VECTOR ? read_cr2() : 0,
	};
	if (regs->vector < 32 && fixup_apply(regs))
		return;
	if (regs->vector < 32 && guard_sp[vcpu_index()])
		guard_leave();
	page->nr_unexpected++;
	leave_for_good(ABI_STATE_DIED);
}

struct fault guest_catch(void (*function)(void *), void *argument)
{
	ulong_t *sp = &guard_sp[vcpu_index()];

	fault_clear();
	if (guarded_call(function, argument, sp) == 0) {
		*sp = 0;
		fault_clear();
	}
	return abi_self()->fault;
}

#ifndef VMASSAY_REAL16
#define FRAME_BYTES 64		/* what an INT pushes, and more; may lie in two pages */

struct fault guest_catch_user(void (*function)(void *), void *argument)
{
	uint32_t vcpu = vcpu_index();

	fault_clear();
	/* The INT that returns shall not take a nested page fault on its stack: reports/findings/0507. */
	memset(exception_stacks[vcpu] + STACK_BYTES - FRAME_BYTES, 0, FRAME_BYTES);
	guarded_user_call(function, argument, &guard_sp[vcpu], user_stacks[vcpu] + STACK_BYTES - 64);
	return abi_self()->fault;
}
#endif

/* --- IDT --- */

#if defined(VMASSAY_REAL16)
void *guest_idt_entry(unsigned int vector)
{
	return (void *)(vector * 4ul);
}

static void idt_set(unsigned int vector)
{
	/* Note, the IVT begins at address 0, which a compiler takes for a null pointer. */
	write16(vector * 4, (ulong_t)(exception_stubs + vector * 16));
	write16(vector * 4 + 2, 0);
}

static void idt_load(void)
{
}
#else
#ifdef __x86_64__
struct idt_entry {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_mid;
	uint32_t offset_high, reserved;
};
#define IDT_SELECTOR SEL_CODE64
#else
struct idt_entry {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_mid;
};
#define IDT_SELECTOR SEL_CODE32
#endif

static struct idt_entry idt[NR_VECTORS] __attribute__((aligned(16)));

void *guest_idt_entry(unsigned int vector)
{
	return &idt[vector];
}

static void idt_set(unsigned int vector)
{
	ulong_t stub = (ulong_t)(exception_stubs + vector * 16);

	idt[vector] = (struct idt_entry){
		.offset_low = stub,
		.selector = IDT_SELECTOR,
		.type = vector == USER_RETURN_VECTOR || vector == BP_VECTOR ? 0xee : 0x8e,
		.offset_mid = stub >> 16,
	};
#ifdef __x86_64__
	if (vector == DF_VECTOR)
		idt[vector].ist = 1;
#endif
}

static void idt_load(void)
{
	struct {
		uint16_t limit;
		ulong_t base;
	} __attribute__((packed)) idtr = { sizeof(idt) - 1, (ulong_t)idt };

	__asm__ volatile("lidt %0" : : "m"(idtr));
}
#endif

/* --- TSS: only the stacks; the host has made the rest and loaded TR --- */

static void tss_set_stacks(void)
{
#ifndef VMASSAY_REAL16
	uint32_t vcpu = vcpu_index();
	uint8_t *tss = (uint8_t *)(TSS_GPA + vcpu * (ulong_t)TSS_BYTES);

	*(ulong_t *)(tss + 4) = (ulong_t)exception_stacks[vcpu] + STACK_BYTES;
#ifdef __x86_64__
	*(ulong_t *)(tss + 36) = (ulong_t)df_stacks[vcpu] + STACK_BYTES;
#else
	/*
	 * QEMU 7.2 aborts on the way from CPL 3 to CPL 0 when TR holds a busy 32-bit TSS that VMRUN has loaded, and
	 * not when LTR has: it keeps the type as it was before.
	 */
	*(uint8_t *)(GDT_GPA + SEL_TSS + 16 * vcpu + 5) &= ~2;
	__asm__ volatile("ltr %w0" : : "r"(SEL_TSS + 16 * vcpu));
#endif
#endif
}

void guest_start(void)
{
	unsigned int vector;

	for (vector = 0; vector < NR_VECTORS; vector++)
		idt_set(vector);
	idt_load();
	tss_set_stacks();
	abi_self()->state = ABI_STATE_RUNNING;
	guest_main();
	leave_for_good(ABI_STATE_DONE);
}

/* --- vCPUs --- */

static uint32_t barrier_arrived, barrier_round;

/* One turn of waiting, with interrupts taken: Bochs 2.7 holds back even the host's while a guest has IF clear. */
static void wait_open(void)
{
	ulong_t flags = read_flags();

	sti();
	cpu_relax();
	if (!(flags & X86_EFLAGS_IF))
		cli();
}

/* The other vCPU may need this one's CPU to come here; with a CPU of its own it comes soon. */
#define BARRIER_TURNS 2000

void guest_barrier(void)
{
	unsigned int nr_turns = 0;
	uint32_t round = __atomic_load_n(&barrier_round, __ATOMIC_SEQ_CST);

	if (__atomic_add_fetch(&barrier_arrived, 1, __ATOMIC_SEQ_CST) == abi_self()->nr_vcpus) {
		__atomic_store_n(&barrier_arrived, 0, __ATOMIC_SEQ_CST);
		__atomic_add_fetch(&barrier_round, 1, __ATOMIC_SEQ_CST);
		return;
	}
	while (__atomic_load_n(&barrier_round, __ATOMIC_SEQ_CST) == round) {
		wait_open();
		if (++nr_turns % BARRIER_TURNS == 0)
			out8(YIELD_PORT, 0);
	}
}

/* --- what the compiler calls on its own --- */

void *memset(void *to, int value, size_t len_bytes)
{
	void *at = to;

	__asm__ volatile("rep stosb" : "+D"(at), "+c"(len_bytes) : "a"(value) : "memory");
	return to;
}

void *memcpy(void *to, const void *from, size_t len_bytes)
{
	void *at = to;

	__asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(len_bytes) : : "memory");
	return to;
}

int memcmp(const void *one, const void *other, size_t len_bytes)
{
	const uint8_t *a = one, *b = other;

	for (; len_bytes; a++, b++, len_bytes--)
		if (*a != *b)
			return *a - *b;
	return 0;
}
