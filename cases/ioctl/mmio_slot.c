/* SPDX-License-Identifier: MIT */
/*
 * What is MMIO and what is memory, at the edges of slots: the last byte of a slot is RAM and the first behind it is an
 * exit; a hole between two slots, the page below 4 GiB and the local APIC's page without an in-kernel APIC are MMIO; a
 * slot with KVM_MEM_READONLY reads as RAM and exits on writes, memory unchanged, also for the write of a
 * read-modify-write; a deleted slot is MMIO from then on, a new one is RAM from then on.
 *
 * Can break: an access that starts in a slot taken for one inside it; a stale MMIO translation cached after the slot
 * appears, or a stale RAM one after it is gone; the read of a read-only slot exiting, its write reaching memory.
 * Source: KVM API, KVM_SET_USER_MEMORY_REGION (KVM_MEM_READONLY: "writes ... posted to userspace as KVM_EXIT_MMIO").
 */
#include "cases/ioctl/blob.h"

BLOB(st32, "mov %eax, (%edi)")
BLOB(ld32, "mov (%edi), %eax")
BLOB(st8, "mov %al, (%edi)")
BLOB(st8_twice, "mov %al, (%edi)\n\tmov %al, (%edi)")
BLOB(ld_twice, "mov (%edi), %eax\n\tmov (%edi), %eax")
BLOB(inc, "incl (%edi)")
BLOB(lock_inc, "lock incl (%edi)")
BLOB(cmp, "cmp %eax, (%edi)")
BLOB(st_ld, "mov %eax, (%edi)\n\tmov (%edi), %ebx")
BLOB(rep_stosb, "rep stosb")
BLOB(movsl, "movsl")

#define PAGE 0x1000
/* Slots, as offsets from MMIO: RAM, a hole of a page, a read-only page. */
#define RAM_SLOT 0x1000
#define RO_SLOT 0x3000
#define TOP ((uint32_t)(0 - MMIO_GPA))	/* 4 GiB, as an offset from MMIO */

struct row {
	struct blob_row blob;
	uint16_t ram_at;	/* what changes in the RAM slot */
	uint8_t nr_ram;
	uint64_t ram_value;
};

#define SLOT_ROW(label_, name_, ...) { .blob = { .label = label_, BLOB_OF(name_), __VA_ARGS__ } }
#define SLOT_RAM(label_, name_, at_, nr_, value_, ...)					\
	{ .blob = { .label = label_, BLOB_OF(name_), __VA_ARGS__ }, .ram_at = at_, .nr_ram = nr_, .ram_value = value_ }
#define AT_RDI(offset_) .in = { PTR(RDI, MMIO, offset_) }
/* The page's bytes are i * 13 + 5. */
#define DWORD_AT_4 0x60534639u
#define DWORD_AT_100 0x2c1f1205u

static const struct row rows[] = {
	SLOT_ROW("below_slot", st32, AT_RDI(0xffc), .steps = { WR(0xffc, 4, 0xa5a6a7a8) }),
	SLOT_RAM("slot_first", st32, 0, 4, 0xa5a6a7a8, AT_RDI(0x1000)),
	SLOT_RAM("slot_last", st8, 0xfff, 1, 0xa8, AT_RDI(0x1fff)),
	SLOT_ROW("behind_slot", st8, AT_RDI(0x2000), .steps = { WR(0x2000, 1, 0xa8) }),
	SLOT_ROW("hole_last", st32, AT_RDI(0x2ffc), .steps = { WR(0x2ffc, 4, 0xa5a6a7a8) }),
	SLOT_ROW("hole_read", ld_twice, AT_RDI(0x2800), .steps = { RD(0x2800, 4, 0x11), RD(0x2800, 4, 0x22) },
		 .out = { REG(RAX, 0x22) }),
	SLOT_ROW("hole_write_twice", st8_twice, AT_RDI(0x2800), .steps = { WR(0x2800, 1, 0xa8), WR(0x2800, 1, 0xa8) }),
	SLOT_ROW("ro_read", ld32, AT_RDI(0x3004), .out = { REG(RAX, DWORD_AT_4) }),
	SLOT_ROW("ro_write", st32, AT_RDI(0x3004), .steps = { WR(0x3004, 4, 0xa5a6a7a8) }),
	SLOT_ROW("ro_first_byte", st8, AT_RDI(0x3000), .steps = { WR(0x3000, 1, 0xa8) }),
	SLOT_ROW("ro_last_byte", st8, AT_RDI(0x3fff), .steps = { WR(0x3fff, 1, 0xa8) }),
	SLOT_ROW("ro_write_twice", st8_twice, AT_RDI(0x3004), .steps = { WR(0x3004, 1, 0xa8), WR(0x3004, 1, 0xa8) }),
	SLOT_ROW("ro_write_then_read", st_ld, AT_RDI(0x3004), .steps = { WR(0x3004, 4, 0xa5a6a7a8) },
		 .out = { REG(RBX, DWORD_AT_4) }),
	SLOT_ROW("ro_inc", inc, AT_RDI(0x3004), .steps = { WR(0x3004, 4, DWORD_AT_4 + 1) }, FLAGS(CF | PF)),
	SLOT_ROW("ro_lock_inc", lock_inc, AT_RDI(0x3004), .steps = { WR(0x3004, 4, DWORD_AT_4 + 1) }, FLAGS(CF | PF)),
	SLOT_ROW("ro_cmp", cmp, .in = { PTR(RDI, MMIO, 0x3004), REG(RAX, DWORD_AT_4) }, FLAGS(PF | ZF)),
	SLOT_ROW("ro_rep_stosb", rep_stosb, .in = { PTR(RDI, MMIO, 0x3ffe), REG(RCX, 3) },
		 .steps = { WR(0x3ffe, 1, 0xa8), WR(0x3fff, 1, 0xa8), WR(0x4000, 1, 0xa8) },
		 .out = { PTR(RDI, MMIO, 0x4001), REG(RCX, 0) }),
	SLOT_ROW("ro_to_hole_movs", movsl, .in = { PTR(RSI, MMIO, 0x3004), PTR(RDI, MMIO, 0x2ffc) },
		 .steps = { WR(0x2ffc, 4, DWORD_AT_4) }, .out = { PTR(RSI, MMIO, 0x3008), PTR(RDI, MMIO, 0x3000) }),
	SLOT_RAM("ro_to_ram_movs", movsl, 0x10, 4, DWORD_AT_100,
		 .in = { PTR(RSI, MMIO, 0x3100), PTR(RDI, MMIO, 0x1010) },
		 .out = { PTR(RSI, MMIO, 0x3104), PTR(RDI, MMIO, 0x1014) }),
	SLOT_ROW("behind_ro", ld32, AT_RDI(0x4000), .steps = { RD(0x4000, 4, 0x11) }, .out = { REG(RAX, 0x11) }),
	SLOT_ROW("below_4gib", st32, .modes = PROT32 | LONG64, AT_RDI(TOP - 4), .steps = { WR(TOP - 4, 4, 0xa5a6a7a8) }),
	SLOT_ROW("below_4gib_read", ld32, .modes = PROT32 | LONG64, AT_RDI(TOP - 4),
		 .steps = { RD(TOP - 4, 4, 0x12345678) }, .out = { REG(RAX, 0x12345678) }),
	SLOT_ROW("no_apic", ld32, .modes = PROT32 | LONG64, AT_RDI(0xfee00020 - MMIO_GPA),
		 .steps = { RD(0xfee00020 - MMIO_GPA, 4, 0x12345678) }, .out = { REG(RAX, 0x12345678) }),
	SLOT_ROW("above_ram", st32, .modes = PROT32 | LONG64, .in = { REG(RDI, RAM_BYTES) },
		 .steps = { WR((int64_t)RAM_BYTES - MMIO_GPA, 4, 0xa5a6a7a8) }),
	SLOT_ROW("above_ram_16", st32, .modes = REAL16, .in = { REG(RDI, 0) }, .steps = { WR(0, 4, 0xa5a6a7a8) }),
};

CASE(mmio_slot, .says = "slots end where they end, read-only slots read as RAM and exit on writes",
     .modes = REAL16 | PROT32 | LONG64, .needs = "KVM_CAP_READONLY_MEM", .rows = ROWS(rows),
     .shadow_too = true)

GUEST(mmio_slot)
{
}

static void page_fill(uint8_t *page)
{
	unsigned int i;

	for (i = 0; i < PAGE; i++)
		page[i] = i * 13 + 5;
}

HOST(mmio_slot)
{
	const struct row *row = ROW(t, rows);
	uint8_t want[PAGE], *ram, *ro;

	ram = vm_slot_add(t->vm, 1, 0, test_mmio_gpa(t) + RAM_SLOT, PAGE);
	ro = vm_slot_add(t->vm, 2, KVM_MEM_READONLY, test_mmio_gpa(t) + RO_SLOT, PAGE);
	page_fill(ram);
	page_fill(ro);
	blob_run(t, &row->blob);
	page_fill(want);
	expect_bytes(t, want, ro, PAGE);
	memcpy(want + row->ram_at, &row->ram_value, row->nr_ram);
	expect_bytes(t, want, ram, PAGE);
}
