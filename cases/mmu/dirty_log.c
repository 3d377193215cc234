/* SPDX-License-Identifier: MIT */
/*
 * KVM_GET_DIRTY_LOG names exactly the pages the guest wrote, whoever made the write for it: the instruction itself at
 * any width, KVM's emulator, the CPU pushing an interrupt frame or setting accessed and dirty bits. The log is empty at
 * the start, is cleared by being read, and a page that was read and reported is reported again when it is written
 * again. Reads and fetches leave no trace.
 *
 * Note, when a page without a mapping is read, KVM maps it writable and reports it then and there; that is allowed (no
 * write is lost). So the first round of a row that only reads is not judged, the next two are.
 *
 * Can break: a page reached by the second half of a crossing write; a write path of KVM's own that forgets
 * mark_page_dirty(); write protection that is not restored after the log was read.
 * Source: KVM API, 4.8 KVM_GET_DIRTY_LOG; APM vol. 2, 5.4.2 (accessed and dirty bits).
 */
#include "case.h"

#include <string.h>

#define SLOT 1
#define SLOT_GPA 0x800000ul
#define NR_PAGES 130
#define PAGE 4096ul
#define AT(page_, offset_) (SLOT_GPA + (page_) * PAGE + (offset_))
#define APIC_VERSION_GPA 0xfee00030ul	/* MMIO that the in-kernel local APIC answers */
#define PIC_IMR 0x21			/* a port that the in-kernel PIC answers */

/* --- writes of the guest's own --- */

static void nothing(void)
{
}

static void byte_first(void)
{
	write8(AT(0, 0), 1);
}

static void byte_last(void)
{
	write8(AT(1, PAGE - 1), 1);
}

static void last_page(void)
{
	write8(AT(NR_PAGES - 1, PAGE - 1), 1);
}

static void word_boundaries(void)
{
	write8(AT(63, 0), 1);
	write8(AT(64, 0), 1);
	write8(AT(127, 0), 1);
	write8(AT(128, 0), 1);
}

static void cross_16(void)
{
	write16(AT(3, -1), 0x1234);
}

static void cross_32(void)
{
	write32(AT(5, -3), 0x12345678);
}

static void touch_32(void)
{
	write32(AT(5, -4), 0x12345678);
	write32(AT(6, 0), 0x12345678);
}

static void cross_string(void)
{
	memset((void *)AT(7, -1), 0x5a, PAGE + 2);
}

static void copy_out(void)
{
	memcpy((void *)(scratch_base() + 0x1000), (void *)AT(10, 0), 2 * PAGE);
}

static void copy_in(void)
{
	memcpy((void *)AT(12, 0), (void *)(scratch_base() + 0x1000), PAGE);
}

static void copy_down(void)
{
	ulong_t to = AT(14, 0), from = scratch_base() + 0x2000, count = 2;

	__asm__ volatile("std\n\trep movsb\n\tcld" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

static void reads(void)
{
	CHECK_EQ(read8(AT(0, 0)), read8(AT(0, 1)));
	CHECK_EQ(read32(AT(64, -2)), read32(AT(65, -2)));
}

static void fetch(void)
{
	/* The host has put RET there. */
	((void (*)(void))AT(20, 0))();
}

static void push(void)
{
	__asm__ volatile("mov %%esp, %%ebx\n\tmov %k0, %%esp\n\tpush $0\n\tmov %%ebx, %%esp"
			 : : "r"(AT(22, 0)) : "ebx", "memory");
}

static void call_near(void)
{
	__asm__ volatile("mov %%esp, %%ebx\n\tmov %k0, %%esp\n\tcall 1f\n1:\tmov %%ebx, %%esp"
			 : : "r"(AT(24, 0)) : "ebx", "memory");
}

static void xchg(void)
{
	uint32_t value = 1;

	__asm__ volatile("xchg %0, (%1)" : "+r"(value) : "r"(AT(25, 8)) : "memory");
}

static void cmpxchg_unequal(void)
{
	uint32_t old = 0x77777777;

	/* A CMPXCHG that finds another value writes that value back. */
	__asm__ volatile("lock cmpxchg %1, (%2)" : "+a"(old) : "r"(1), "r"(AT(26, 8)) : "memory", "cc");
}

static void cmpxchg8b(void)
{
	uint32_t low = 0, high = 0;

	__asm__ volatile("lock cmpxchg8b (%2)" : "+a"(low), "+d"(high) : "r"(AT(27, 8)), "b"(1), "c"(2)
			 : "memory", "cc");
}

static void bts(void)
{
	/* A register bit offset reaches beyond the operand: bit 8 * 4096 of page 28 is in page 29. */
	__asm__ volatile("bts %0, (%1)" : : "r"(8ul * 4096), "r"(AT(28, 0)) : "memory", "cc");
}

static void bit_test(void)
{
	__asm__ volatile("bt %0, (%1)" : : "r"(8ul * 4096), "r"(AT(28, 0)) : "memory", "cc");
}

static void fxsave(void)
{
	__asm__ volatile("fxsave (%0)" : : "r"(AT(31, -256 - 256)) : "memory");
}

static void sidt(void)
{
	__asm__ volatile("sidt (%0)" : : "r"(AT(33, -1)) : "memory");
}

/* --- writes by the CPU on the way --- */

static void on_breakpoint(struct guest_regs *regs)
{
	(void)regs;
}

static void frame(void)
{
	guest_handle(BP_VECTOR, on_breakpoint);
	__asm__ volatile("mov %%esp, %%ebx\n\tmov %k0, %%esp\n\tint3\n\tmov %%ebx, %%esp"
			 : : "r"(AT(41, 0)) : "ebx", "memory");
}

/* A free descriptor of a GDT copy in page 44 gets its accessed bit when it is loaded. */
static void descriptor_accessed(void)
{
	struct {
		uint16_t limit;
		ulong_t base;
	} __attribute__((packed)) old, new = { GDT_BYTES - 1, AT(44, 0) };
	uint64_t *gdt = (void *)AT(44, 0), data;

	data = *(uint64_t *)(GDT_GPA + SEL_DATA);
	if (!gdt[SEL_DATA / 8])
		memcpy(gdt, (void *)GDT_GPA, GDT_BYTES);
	gdt[SEL_FREE / 8] = data & ~(1ull << 40);
	__asm__ volatile("sgdt %0" : "=m"(old));
	guest_sync(10);
	__asm__ volatile("lgdt %0\n\tmov %1, %%es\n\tmov %2, %%es\n\tlgdt %3"
			 : : "m"(new), "r"(SEL_FREE), "r"(SEL_DATA), "m"(old) : "memory");
	CHECK_EQ(data, gdt[SEL_FREE / 8]);
}

/* Page 46 becomes the page table of the 2 or 4 MiB that begin at scratch_base(). */
static void table_use(uint64_t clear)
{
	void *pde = pte_find(SCRATCH_GPA, 2);
	ulong_t old_table = (ulong_t)pte_find(SCRATCH_GPA + 0x100000, 1) & ~0xffful;
	ulong_t va = SCRATCH_GPA + 0x5000, offset = (ulong_t)pte_find(va, 1) & 0xfff;
	uint64_t want;

	memcpy((void *)AT(46, 0), (void *)old_table, PAGE);
	pte_write(pde, AT(46, 0) | PTE_P | PTE_W | PTE_U | PTE_A);
	want = pte_read((void *)AT(46, offset));
	pte_write((void *)AT(46, offset), want & ~clear);
	write_cr3(read_cr3());
	guest_sync(10);
	if (clear == PTE_A)
		(void)read8(va);
	else
		write8(va, 1);
	CHECK_EQ(want, pte_read((void *)AT(46, offset)));
	pte_write(pde, old_table | PTE_P | PTE_W | PTE_U | PTE_A);
	write_cr3(read_cr3());
}

static void table_accessed(void)
{
	table_use(PTE_A);
}

static void table_dirty(void)
{
	table_use(PTE_D);
}

/* --- writes by KVM's emulator --- */

static void movs_mmio_to_ram(void)
{
	ulong_t to = AT(51, 8), from = APIC_VERSION_GPA;

	__asm__ volatile("movsl" : "+D"(to), "+S"(from) : : "memory");
	CHECK_EQ(AT(51, 12), to);
	CHECK_EQ(read32(APIC_VERSION_GPA), read32(AT(51, 8)));
}

static void movs_mmio_cross(void)
{
	ulong_t to = AT(53, -1), from = APIC_VERSION_GPA;

	__asm__ volatile("movsl" : "+D"(to), "+S"(from) : : "memory");
	CHECK_EQ(read32(APIC_VERSION_GPA), read32(AT(53, -1)));
}

static void push_mmio(void)
{
	__asm__ volatile("mov %%esp, %%ebx\n\tmov %k0, %%esp\n\tpush (%1)\n\tmov %%ebx, %%esp"
			 : : "r"(AT(55, 0)), "r"(APIC_VERSION_GPA) : "ebx", "memory");
}

static void ins(void)
{
	ulong_t to = AT(57, -2), count = 4;

	__asm__ volatile("rep insb" : "+D"(to), "+c"(count) : "d"(PIC_IMR) : "memory");
	CHECK_EQ(AT(57, 2), to);
	CHECK_EQ(0, count);
}

static void outs(void)
{
	ulong_t from = AT(59, 0), count = 2;

	__asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(PIC_IMR) : "memory");
	CHECK_EQ(AT(59, 2), from);
}

struct row {
	ROW_FIELDS;
	void (*guest)(void);
	uint8_t pages[4];	/* written, ascending; the page one before the first never is */
	uint8_t nr_pages;
	bool has_set_up;	/* .guest syncs at stage 10 when what comes now is what counts */
};

#define PAGING (PAGE32 | PAE32 | LONG64)

static const struct row rows[] = {
	{ .label = "nothing", .guest = nothing },
	{ .label = "byte_first", .guest = byte_first, .pages = { 0 }, .nr_pages = 1 },
	{ .label = "byte_last", .guest = byte_last, .pages = { 1 }, .nr_pages = 1 },
	{ .label = "last_page", .guest = last_page, .pages = { NR_PAGES - 1 }, .nr_pages = 1 },
	{ .label = "word_boundaries", .guest = word_boundaries, .pages = { 63, 64, 127, 128 }, .nr_pages = 4 },
	{ .label = "cross_16", .guest = cross_16, .pages = { 2, 3 }, .nr_pages = 2 },
	{ .label = "cross_32", .guest = cross_32, .pages = { 4, 5 }, .nr_pages = 2 },
	{ .label = "touch_32", .guest = touch_32, .pages = { 4, 6 }, .nr_pages = 2 },
	{ .label = "cross_string", .guest = cross_string, .pages = { 6, 7, 8 }, .nr_pages = 3 },
	{ .label = "copy_out", .guest = copy_out },
	{ .label = "copy_in", .guest = copy_in, .pages = { 12 }, .nr_pages = 1 },
	{ .label = "copy_down", .guest = copy_down, .pages = { 13, 14 }, .nr_pages = 2 },
	{ .label = "reads", .guest = reads },
	{ .label = "fetch", .guest = fetch },
	{ .label = "push", .guest = push, .pages = { 21 }, .nr_pages = 1 },
	{ .label = "call", .guest = call_near, .pages = { 23 }, .nr_pages = 1 },
	{ .label = "xchg", .guest = xchg, .pages = { 25 }, .nr_pages = 1 },
	{ .label = "cmpxchg_unequal", .guest = cmpxchg_unequal, .pages = { 26 }, .nr_pages = 1 },
	{ .label = "cmpxchg8b", .guest = cmpxchg8b, .pages = { 27 }, .nr_pages = 1 },
	{ .label = "bts", .guest = bts, .pages = { 29 }, .nr_pages = 1 },
	{ .label = "bt", .guest = bit_test },
	{ .label = "fxsave", .guest = fxsave, .pages = { 30 }, .nr_pages = 1 },
	{ .label = "sidt_cross", .guest = sidt, .pages = { 32, 33 }, .nr_pages = 2 },
	{ .label = "interrupt_frame", .guest = frame, .pages = { 40 }, .nr_pages = 1 },
	{ .label = "descriptor_accessed", .guest = descriptor_accessed, .pages = { 44 }, .nr_pages = 1,
	  .has_set_up = true },
	{ .label = "table_accessed", .modes = PAGING, .guest = table_accessed, .pages = { 46 }, .nr_pages = 1,
	  .has_set_up = true },
	{ .label = "table_dirty", .modes = PAGING, .guest = table_dirty, .pages = { 46 }, .nr_pages = 1,
	  .has_set_up = true },
	{ .label = "movs_mmio_to_ram", .guest = movs_mmio_to_ram, .pages = { 51 }, .nr_pages = 1 },
	{ .label = "movs_mmio_cross", .guest = movs_mmio_cross, .pages = { 52, 53 }, .nr_pages = 2 },
	{ .label = "push_mmio", .guest = push_mmio, .modes = PROTECTED, .pages = { 54 }, .nr_pages = 1 },
	{ .label = "ins", .guest = ins, .pages = { 56, 57 }, .nr_pages = 2 },
	{ .label = "outs", .guest = outs },
};

CASE(dirty_log, .says = "the dirty log names the pages that were written, once",
     .modes = PROTECTED | LONG64, .irqchip = true, .rows = ROWS(rows), .shadow_too = true)

GUEST(dirty_log)
{
	const struct row *row = GUEST_ROW(rows);

	uint32_t stage;

	guest_sync(1);
	for (stage = 2; stage <= 4; stage++) {
		row->guest();
		guest_sync(stage);
	}
	guest_sync(5);
}

/* The whole bitmap, its padding, and what lies behind the buffer. */
static void log_expect(struct test *t, const struct row *row)
{
	uint64_t want[4] = { 0, 0, 0, 0x5a5a5a5a5a5a5a5aull }, got[4];
	struct kvm_dirty_log log = { .slot = SLOT, .dirty_bitmap = got };
	unsigned int i;

	memset(got, 0x5a, sizeof(got));
	for (i = 0; row && i < row->nr_pages; i++)
		want[row->pages[i] / 64] |= 1ull << row->pages[i] % 64;
	vm_ioctl(t->vm, KVM_GET_DIRTY_LOG, &log);
	expect_bytes(t, want, got, sizeof(got));
}

static void log_drop(struct test *t)
{
	uint64_t bitmap[3];
	struct kvm_dirty_log log = { .slot = SLOT, .dirty_bitmap = bitmap };

	vm_ioctl(t->vm, KVM_GET_DIRTY_LOG, &log);
}

HOST(dirty_log)
{
	const struct row *row = ROW(t, rows);
	uint32_t stage;
	uint8_t *ram = vm_slot_add(t->vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, SLOT_GPA, NR_PAGES * PAGE);

	ram[20 * PAGE] = 0xc3;
	require_sync(t, 1);
	log_expect(t, NULL);
	for (stage = 2; stage <= 4; stage++) {
		if (row->has_set_up) {
			require_sync(t, 10);
			log_drop(t);
		}
		require_sync(t, stage);
		if (!row->nr_pages && stage == 2)
			log_drop(t);
		log_expect(t, row);
		log_expect(t, NULL);
	}
	require_sync(t, 5);
	log_expect(t, NULL);
	expect_done(t);
}
