/* SPDX-License-Identifier: MIT */
/*
 * The memory operands of VMX instructions outside of 64-bit mode: segments with base, limit and type, 16-bit and 32-bit
 * addresses, and no more than 32 bits of a field.
 *
 * Can break: a limit that counts the operand's first byte only, a type that is not looked at or only for reads, #GP for
 * #SS, an address that is not truncated, eight bytes written where four are meant.
 * Source: SDM vol. 3A, 5.3, 5.4.2, 5.5; vol. 3C, chapter 31 (VMPTRST, VMPTRLD, VMREAD: protected mode exceptions).
 */
#include "case.h"
#include "vm/x86/vmx.h"

#define AREA_OFFSET 0x10000	/* in the case's own RAM: the segment's base */
#define BAD 0xa5a5a5a5u
#define DATA_RW 0x93
#define DATA_RO 0x91
#define DATA_DOWN 0x97
#define CODE_X 0x99
#define CODE_RX 0x9b

struct row {
	ROW_FIELDS;
	uint8_t access;		/* of the segment in FS; 0: FS is null */
	uint32_t limit;
	uint32_t offset;
	int32_t write, read;	/* the vectors that VMPTRST and VMPTRLD fault with; NO_VECTOR */
};

#define FS_ROW(label_, access_, limit_, offset_, write_, read_, ...)			\
	{ .label = label_, .access = access_, .limit = limit_, .offset = offset_, .write = write_, .read = read_, ##__VA_ARGS__ }

static const struct row rows[] = {
	FS_ROW("base", DATA_RW, 0xffff, 0x100, NO_VECTOR, NO_VECTOR),
	FS_ROW("last", DATA_RW, 0x107, 0x100, NO_VECTOR, NO_VECTOR),
	FS_ROW("last_byte_beyond", DATA_RW, 0x106, 0x100, GP_VECTOR, GP_VECTOR),
	FS_ROW("beyond", DATA_RW, 0xff, 0x100, GP_VECTOR, GP_VECTOR),
	FS_ROW("read_only", DATA_RO, 0xffff, 0x100, GP_VECTOR, NO_VECTOR),
	FS_ROW("readable_code", CODE_RX, 0xffff, 0x100, GP_VECTOR, NO_VECTOR),
	FS_ROW("null", 0, 0, 0x100, GP_VECTOR, GP_VECTOR),
	/* Below its limit an expand-down segment has nothing, above it all. */
	FS_ROW("down_below", DATA_DOWN, 0x1ff, 0x100, GP_VECTOR, GP_VECTOR,
	       .known = { "4602-vmx-operand-in-expand-down-segment", NULL, "6.1..6.1" }),
	FS_ROW("down_above", DATA_DOWN, 0xff, 0x100, NO_VECTOR, NO_VECTOR,
	       .known = { "4602-vmx-operand-in-expand-down-segment", NULL, "6.1..6.1" }),
};

CASE(operands_32, .says = "a VMX instruction's operand obeys its segment", .modes = PAE32, .needs = "vendor:intel nested",
     .rows = ROWS(rows))

static void descriptor_set(uint64_t base, uint32_t limit, uint8_t access)
{
	uint32_t *at = (uint32_t *)(ulong_t)(GDT_GPA + SEL_FREE);

	at[0] = (limit & 0xffff) | (uint32_t)base << 16;
	at[1] = ((uint32_t)base >> 16 & 0xff) | (uint32_t)access << 8 | (limit & 0xf0000) | 1u << 22 |
		((uint32_t)base & 0xff000000);
}

static void fs_load(uint16_t selector)
{
	__asm__ volatile("mov %0, %%fs" : : "r"(selector) : "memory");
}

/* VMXON and a current VMCS; returns its address. */
static uint32_t start(void)
{
	static uint64_t vmxon_gpa, vmcs_gpa;
	uint32_t revision = rdmsr(MSR_IA32_VMX_BASIC);
	struct fault f;

	vmxon_gpa = scratch_base();
	vmcs_gpa = vmxon_gpa + 0x1000;
	write32(vmxon_gpa, revision);
	write32(vmcs_gpa, revision);
	wrmsr(MSR_IA32_FEAT_CTL, FEAT_CTL_LOCKED | FEAT_CTL_VMX_OUTSIDE_SMX);
	write_cr4(read_cr4() | X86_CR4_VMXE);
	f = TRY("vmxon %0", : : "m"(vmxon_gpa));
	CHECK_NO_FAULT(f);
	f = TRY("vmptrld %0", : : "m"(vmcs_gpa));
	CHECK_NO_FAULT(f);
	return vmcs_gpa;
}

static void check_write(const struct row *row, uint32_t *at, uint32_t vmcs)
{
	struct fault f;

	at[0] = at[1] = at[2] = BAD;
	f = TRY("vmptrst %%fs:(%0)", : : "r"(row->offset) : "memory");
	CHECK_FAULT(row->write, 0, f);
	CHECK_EQ(row->write == NO_VECTOR ? vmcs : BAD, at[0]);
	CHECK_EQ(row->write == NO_VECTOR ? 0 : BAD, at[1]);
	CHECK_EQ(BAD, at[2]);
}

static void check_read(const struct row *row, uint32_t *at, uint32_t vmcs)
{
	struct fault f;

	at[0] = vmcs;
	at[1] = 0;
	f = TRY("vmptrld %%fs:(%0)", : : "r"(row->offset) : "memory");
	CHECK_FAULT(row->read, 0, f);
}

/* The forms of addresses, once. */
static void check_forms(uint32_t base, uint32_t vmcs)
{
	uint32_t *at = (uint32_t *)(ulong_t)base;
	struct fault f;

	at[0x40] = BAD;
	f = TRY("vmptrst %%fs:-0x10(%0,%1,8)", : : "r"(0x10), "r"(0x20) : "memory");
	CHECK_NO_FAULT(f);
	CHECK_EQ(vmcs, at[0x40]);
	at[0x44] = BAD;
	f = TRY("addr16 vmptrst %%fs:(%%bx,%%si)", : : "b"(0x770100), "S"(0x880010) : "memory");
	CHECK_NO_FAULT(f);
	CHECK_EQ(vmcs, at[0x44]);
	at[0x3f] = BAD;
	f = TRY("addr16 vmptrst %%fs:-4(%%bx)", : : "b"(0x770100) : "memory");
	CHECK_NO_FAULT(f);
	CHECK_EQ(vmcs, at[0x3f]);
	/* Four bytes of a field. */
	at[0x50] = at[0x51] = BAD;
	f = TRY("vmread %1, %%fs:(%0)", : : "r"(0x140), "r"(VMCS_LINK_POINTER) : "memory", "cc");
	CHECK_NO_FAULT(f);
	CHECK(at[0x50] != BAD);
	CHECK_EQ(BAD, at[0x51]);
	f = TRY("vmread %1, %%fs:(%0)", : : "r"(0xfffffffc), "r"(VMCS_LINK_POINTER) : "memory", "cc");
	CHECK_FAULT(GP_VECTOR, 0, f);
}

GUEST(operands_32)
{
	const struct row *row = GUEST_ROW(rows);
	uint32_t vmcs = start(), base = scratch_base() + AREA_OFFSET;
	uint32_t *at = (uint32_t *)(ulong_t)(base + row->offset);

	descriptor_set(base, row->limit, row->access);
	fs_load(row->access ? SEL_FREE : 0);
	check_write(row, at, vmcs);
	check_read(row, at, vmcs);
	if (row->limit == 0xffff && row->access == DATA_RW)
		check_forms(base, vmcs);
	fs_load(SEL_DATA);
}

HOST(operands_32)
{
	expect_done(t);
}
