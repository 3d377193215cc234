/* SPDX-License-Identifier: MIT */
/*
 * An exception or software interrupt arrives once, with its vector, error code, RIP, flags and CR2, also when its
 * delivery itself has to wait for KVM: the stack it pushes to is memory that nobody has touched before, so that the
 * frame's first write ends in a nested page fault, and KVM must deliver the event again.
 *
 * Can break: an event that is lost, comes twice, or comes as an event of another kind after an exit in the middle of
 * its delivery; a RIP that is taken from before or behind the instruction; an error code that is dropped.
 * Source: APM vol. 2, 8.2 and 8.4 (vectors and error codes), 15.7.2 (EXITINTINFO), 15.20 (event injection).
 */
#include "case.h"

#define SLOT_GPA 0x40000000ul
#define NR_STACKS 8
#define HOLE_VA 0xc0007000ul
#define NOT_PRESENT (SEL_FREE)
#define BEYOND_GDT 0xf8

struct row {
	ROW_FIELDS;
	uint8_t vector;
	uint8_t len_bytes;	/* of the instruction */
	bool is_trap;		/* RIP is behind it */
	uint32_t error_code;
	ulong_t cr2;
};

/* On a stack of its own; label 1 is the instruction. */
#define ON_STACK(instruction_, ...)							\
	__asm__ volatile("mov %%esp, %%ebx\n\tmov %k1, %%esp\n\tmovl $1f, %0\n1:\t" instruction_	\
			 "\n\tmov %%ebx, %%esp" : "=m"(want_rip) : "r"(top), ##__VA_ARGS__ : "ebx", "memory", "cc")

static uint32_t want_rip;
static volatile uint32_t nr_taken;
static struct guest_regs taken;
static ulong_t taken_cr2;

static void on_event(struct guest_regs *regs)
{
	const struct row *row;

	nr_taken++;
	taken = *regs;
	taken_cr2 = read_cr2();
	row = (const struct row *)(ulong_t)GUEST_ARG(0);
	if (!row->is_trap)
		regs->rip += row->len_bytes;
}

static void int3(ulong_t top)
{
	ON_STACK("int3");
}

static void int_n(ulong_t top)
{
	ON_STACK("int $0x31");
}

static void ud2(ulong_t top)
{
	ON_STACK("ud2");
}

static void divide(ulong_t top)
{
	ON_STACK("div %%ecx", "a"(1), "d"(0), "c"(0));
}

static void bad_selector(ulong_t top)
{
	ON_STACK("mov %%eax, %%es", "a"(BEYOND_GDT));
}

static void not_present(ulong_t top)
{
	ON_STACK("mov %%eax, %%es", "a"(NOT_PRESENT));
}

static void page_fault(ulong_t top)
{
	ON_STACK("mov (%%eax), %%ecx", "a"(HOLE_VA + 0x123), "c"(0));
}

static void page_fault_write(ulong_t top)
{
	ON_STACK("mov %%ecx, (%%eax)", "a"(HOLE_VA + 0x456), "c"(0));
}

static void device_not_available(ulong_t top)
{
	write_cr0(read_cr0() | X86_CR0_TS);
	ON_STACK("fninit");
}

#define PAGING (PAGE32 | PAE32 | LONG64)

#define INT_KNOWN .known = { .finding = "0507-bochs-exitintinfo-of-int-n", .targets = "lab-svm-bochs" }

static const struct row rows[] = {
	{ .label = "int3", .vector = BP_VECTOR, .len_bytes = 1, .is_trap = true, INT_KNOWN },
	{ .label = "int_n", .vector = 0x31, .len_bytes = 2, .is_trap = true, INT_KNOWN },
	{ .label = "ud2", .vector = UD_VECTOR, .len_bytes = 2 },
	{ .label = "divide", .vector = DE_VECTOR, .len_bytes = 2 },
	{ .label = "bad_selector", .vector = GP_VECTOR, .len_bytes = 2, .error_code = BEYOND_GDT },
	{ .label = "not_present", .vector = NP_VECTOR, .len_bytes = 2, .error_code = NOT_PRESENT },
	{ .label = "page_fault", .modes = PAGING, .vector = PF_VECTOR, .cr2 = HOLE_VA + 0x123 },
	{ .label = "page_fault_write", .modes = PAGING, .vector = PF_VECTOR, .error_code = PFERR_W,
	  .cr2 = HOLE_VA + 0x456 },
	{ .label = "device_not_available", .vector = NM_VECTOR, .len_bytes = 2 },
};

static void (*const events[])(ulong_t top) = {
	int3, int_n, ud2, divide, bad_selector, not_present, page_fault, page_fault_write, device_not_available,
};

_Static_assert(sizeof(events) / sizeof(events[0]) == sizeof(rows) / sizeof(rows[0]), "an event for each row");

CASE(exceptions, .says = "an exception arrives once and whole, also when its delivery exits to KVM",
     .modes = PROT32 | PAGE32 | PAE32 | LONG64, .rows = ROWS(rows), .shadow_too = true)

/* In 64-bit mode a 32-bit address takes a prefix. */
static void row_fit(struct row *row)
{
	if (row->vector == PF_VECTOR)
		row->len_bytes = is_long_mode() ? 3 : 2;
}

static void event_check(const struct row *row, ulong_t flags)
{
	CHECK_EQ(1, nr_taken);
	CHECK_EQ(row->vector, taken.vector);
	CHECK_EQ(row->error_code, taken.error_code);
	CHECK_EQ(want_rip + (row->is_trap ? row->len_bytes : 0), taken.rip);
	/* A fault sets RF in the image; the arithmetic flags are not of interest. */
	CHECK_EQ(flags & (X86_EFLAGS_IF | X86_EFLAGS_DF | X86_EFLAGS_TF),
		 taken.rflags & (X86_EFLAGS_IF | X86_EFLAGS_DF | X86_EFLAGS_TF));
	if (row->vector == PF_VECTOR)
		CHECK_CR2(row->cr2, taken_cr2);
}

GUEST(exceptions)
{
	struct row row = *GUEST_ROW(rows);
	unsigned int i;
	uint64_t data = *(volatile uint64_t *)(GDT_GPA + SEL_DATA);

	row_fit(&row);
	abi_self()->args[0] = (ulong_t)&row;
	guest_handle(row.vector, on_event);
	*(volatile uint64_t *)(GDT_GPA + SEL_FREE) = data & ~(1ull << 47);
	if (guest_mode() != PROT32)
		page_map(HOLE_VA, 0, 0);
	for (i = 0; i < NR_STACKS; i++) {
		nr_taken = 0;
		want_rip = 0;
		events[abi_self()->row](SLOT_GPA + (i + 1) * 0x2000);
		event_check(&row, read_flags());
	}
	CHECK_EQ(data & ~(1ull << 47), *(volatile uint64_t *)(GDT_GPA + SEL_FREE));
}

HOST(exceptions)
{
	vm_slot_add(t->vm, 1, 0, SLOT_GPA, (NR_STACKS + 1) * 0x2000);
	expect_done(t);
}
