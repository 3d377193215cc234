/* SPDX-License-Identifier: MIT */
/*
 * VMCS shadowing: VMREAD and VMWRITE of L2 reach the VMCS that L1 has linked, field by field of the two bitmaps; without
 * a link they fail, and what the bitmaps do not cover exits.
 *
 * Can break: the bitmap of the other direction, L1's own VMCS changed instead of the linked one, a link that is stale.
 * Source: SDM vol. 3C, 25.6.15, 26.1.3, chapter 31 (VMREAD, VMWRITE).
 */
#include "case.h"
#include "guests/l1_vmx.h"

#define FIELD GUEST_SYSENTER_ESP
#define NEIGHBOUR GUEST_SYSENTER_EIP

static uint8_t *read_bitmap, *write_bitmap;
static uint32_t *linked;
static vmx_outcome l2_outcome[2];
static uint64_t l2_value;

static uint64_t linked_read(uint32_t field)
{
	uint64_t value;

	CHECK_EQ(VMX_OK, vmptrld_try((ulong_t)linked));
	value = vmcs_read(field);
	CHECK_EQ(VMX_OK, vmclear_try((ulong_t)linked));
	CHECK_EQ(VMX_OK, vmptrld_try((ulong_t)vmx.vmcs));
	return value;
}

/* The linked VMCS has 0x1111 in FIELD, L1's has 0x2222. */
static void start(bool is_linked)
{
	vmx_start();
	vmcs_write(FIELD, 0x2222);
	linked = vmx_region_alloc();
	*linked |= 1u << 31;
	CHECK_EQ(VMX_OK, vmclear_try((ulong_t)linked));
	CHECK_EQ(VMX_OK, vmptrld_try((ulong_t)linked));
	vmcs_write(FIELD, 0x1111);
	vmcs_write(NEIGHBOUR, 0x3333);
	CHECK_EQ(VMX_OK, vmclear_try((ulong_t)linked));
	CHECK_EQ(VMX_OK, vmptrld_try((ulong_t)vmx.vmcs));
	read_bitmap = page_alloc();
	write_bitmap = page_alloc();
	vmcs_write(VMREAD_BITMAP, (ulong_t)read_bitmap);
	vmcs_write(VMWRITE_BITMAP, (ulong_t)write_bitmap);
	vmx_use_secondary(PROC2_VMCS_SHADOWING);
	if (is_linked)
		vmcs_write(VMCS_LINK_POINTER, (ulong_t)linked);
}

static void l2_accesses(void)
{
	l2_outcome[0] = vmread_try(FIELD, &l2_value);
	l2_outcome[1] = vmwrite_try(FIELD, 0x4444);
}

static void reaches_the_linked(void)
{
	start(true);
	vmx_aim(l2_accesses);
	vmx_run();
	CHECK_L2_DONE();
	CHECK_EQ(VMX_OK, l2_outcome[0]);
	CHECK_EQ(VMX_OK, l2_outcome[1]);
	CHECK_EQ(0x1111, l2_value);
	CHECK_EQ(0x2222, vmcs_read(FIELD));
	CHECK_EQ(0x4444, linked_read(FIELD));
	CHECK_EQ(0x3333, linked_read(NEIGHBOUR));
}

static void without_link(void)
{
	start(false);
	l2_value = 0x5a5a;
	vmx_aim(l2_accesses);
	vmx_run();
	CHECK_L2_DONE();
	CHECK_EQ(VMX_FAIL_INVALID, l2_outcome[0]);
	CHECK_EQ(VMX_FAIL_INVALID, l2_outcome[1]);
	CHECK_EQ(0x5a5a, l2_value);
	CHECK_EQ(0x2222, vmcs_read(FIELD));
}

static void check_exits(uint64_t reason)
{
	vmx_aim(l2_accesses);
	vmx_run();
	CHECK_REASON(reason);
	CHECK_EQ(0x1111, linked_read(FIELD));
}

static void read_bit(void)
{
	start(true);
	read_bitmap[FIELD / 8] = 1u << FIELD % 8;
	check_exits(EXIT_REASON_VMREAD);
}

static void write_bit(void)
{
	start(true);
	write_bitmap[FIELD / 8] = 1u << FIELD % 8;
	check_exits(EXIT_REASON_VMWRITE);
	/* The VMREAD before it did not exit. */
	CHECK_EQ(0x1111, l2_value);
}

static void all_but_the_bit(void)
{
	start(true);
	memset(read_bitmap, 0xff, 4096);
	memset(write_bitmap, 0xff, 4096);
	read_bitmap[FIELD / 8] = write_bitmap[FIELD / 8] = (uint8_t)~(1u << FIELD % 8);
	vmx_aim(l2_accesses);
	vmx_run();
	CHECK_L2_DONE();
	CHECK_EQ(0x1111, l2_value);
	CHECK_EQ(0x4444, linked_read(FIELD));
}

static void l2_reads_beyond(void)
{
	vmread_try(FIELD | 0x8000, &l2_value);
}

static void beyond_the_bitmap(void)
{
	start(true);
	vmx_aim(l2_reads_beyond);
	vmx_run();
	CHECK_REASON(EXIT_REASON_VMREAD);
}

/* Reads of what is no memory are all ones. */
static void bitmap_no_memory(void)
{
	start(true);
	vmcs_write(VMREAD_BITMAP, MMIO_GPA);
	check_exits(EXIT_REASON_VMREAD);
}

/* A shadow VMCS cannot be entered. */
static void launch_refused(void)
{
	start(true);
	CHECK_EQ(VMX_OK, vmptrld_try((ulong_t)linked));
	vmx_enter(false);
	CHECK_EQ(VMX_FAIL_INVALID, vmx.exit.outcome);
	vmx_enter(true);
	CHECK_EQ(VMX_FAIL_INVALID, vmx.exit.outcome);
}

struct row {
	ROW_FIELDS;
	void (*run)(void);
};
#define RUN(name_) { .label = #name_, .run = name_ }

static const struct row rows[] = {
	RUN(reaches_the_linked), RUN(without_link), RUN(read_bit), RUN(write_bit), RUN(all_but_the_bit),
	RUN(beyond_the_bitmap), RUN(bitmap_no_memory), RUN(launch_refused),
};

CASE(vmcs_shadowing, .says = "VMREAD and VMWRITE of L2 reach the linked VMCS by bitmap", .modes = LONG64,
     .needs = "vendor:intel nested vmx:vmcs_shadowing", .rows = ROWS(rows))

GUEST(vmcs_shadowing)
{
	GUEST_ROW(rows)->run();
}

HOST(vmcs_shadowing)
{
	expect_done(t);
}
