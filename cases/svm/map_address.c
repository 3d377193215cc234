/* SPDX-License-Identifier: MIT */
/*
 * The low twelve bits of the permission maps' addresses do not count: every access is looked up where it would be with
 * these bits clear. Where the map lies beyond the memory that there is, an I/O access whose bit cannot be read exits, and
 * one whose bit can be read goes by that; VMRUN refuses an MSR map that is not all there.
 *
 * Can break: the address taken as it stands, or rounded up; a map that cannot be read taken for one that is all clear.
 * Source: APM vol. 2, 15.10.1, 15.11 (4 KiB aligned, low bits ignored), 15.5.1; KVM's own for memory that is not there.
 */
#include "guests/l1_svm.h"
#include "case.h"

#define PORT 0x3f8
#define PASSES 0x7ff8

INSN(a_out, "out %al, %dx\n\tvmmcall")
INSN(a_outl, "out %eax, %dx\n\tvmmcall")
INSN(a_rdmsr, "rdmsr\n\tvmmcall")

enum what { IOPM_LOW_BITS, MSRPM_LOW_BITS, IOPM_LOST, IOPM_PAGE_LOST, MSRPM_PAGE_LOST };

struct row {
	ROW_FIELDS;
	enum what what;
	uint16_t low_bits;
};

#define KVM_NEEDS .needs = "KVM_CAP_NESTED_STATE"

static const struct row rows[] = {
	{ .label = "iopm_bit_0", .what = IOPM_LOW_BITS, .low_bits = 1 },
	{ .label = "iopm_bit_11", .what = IOPM_LOW_BITS, .low_bits = 0x800 },
	{ .label = "iopm_all_bits", .what = IOPM_LOW_BITS, .low_bits = 0xfff },
	{ .label = "msrpm_bit_0", .what = MSRPM_LOW_BITS, .low_bits = 1 },
	{ .label = "msrpm_bit_11", .what = MSRPM_LOW_BITS, .low_bits = 0x800 },
	{ .label = "msrpm_all_bits", .what = MSRPM_LOW_BITS, .low_bits = 0xfff },
	{ .label = "iopm_lost", .what = IOPM_LOST, KVM_NEEDS },
	{ .label = "iopm_page_lost", .what = IOPM_PAGE_LOST, KVM_NEEDS },
	{ .label = "msrpm_page_lost", .what = MSRPM_PAGE_LOST, KVM_NEEDS },
};

CASE(map_address, .says = "a permission map is where its address says, without the low bits", .modes = LONG64,
     .needs = "vendor:amd nested", .rows = ROWS(rows))

static void check_exits(const char *code, uint32_t size, uint16_t port)
{
	l2_regs.rdx = port;
	l2_run(code);
	l1_vmcb.control.exit_info_1 &= ~(uint64_t)IOIO_ADDRESS(2 | 4 | 8);
	CHECK_EXIT(.code = SVM_EXIT_IOIO, .info_1 = IOIO_SIZE(size) | IOIO_PORT(port), .info_2 = (ulong_t)code + 1,
		   .rip = (ulong_t)code);
}

static void check_passes(uint16_t port)
{
	l2_regs.rdx = port;
	l1_vmcb.save.rax = 0x5a;
	l2_run(a_out);
	CHECK_L2_DONE(a_out + 1);
}

static void try_iopm_bits(uint16_t low_bits)
{
	l1_vmcb.control.iopm_base_pa |= low_bits;
	iopm_set(l1_iopm, PORT, true);
	check_exits(a_out, 1, PORT);
	memset(l1_iopm, 0xff, IOPM_BYTES);
	iopm_set(l1_iopm, PASSES, false);
	check_passes(PASSES);
}

static void try_msr(uint32_t index, bool exits)
{
	l2_regs.rcx = index;
	l2_run(a_rdmsr);
	if (exits)
		CHECK_EXIT(.code = SVM_EXIT_MSR, .rip = (ulong_t)a_rdmsr);
	else
		CHECK_L2_DONE(a_rdmsr + 2);
}

/* One that KVM lets through by its own map, and one that it looks up in L1's. */
static void try_msrpm_bits(uint16_t low_bits)
{
	l1_vmcb.control.msrpm_base_pa |= low_bits;
	vmcb_intercept(&l1_vmcb, SVM_EXIT_MSR);
	msrpm_set(l1_msrpm, MSR_LSTAR, false, true);
	msrpm_set(l1_msrpm, MSR_VM_HSAVE_PA, false, true);
	try_msr(MSR_LSTAR, true);
	try_msr(MSR_VM_HSAVE_PA, true);
	memset(l1_msrpm, 0xff, MSRPM_BYTES);
	msrpm_set(l1_msrpm, MSR_LSTAR, false, false);
	msrpm_set(l1_msrpm, MSR_VM_HSAVE_PA, false, false);
	try_msr(MSR_LSTAR, false);
	try_msr(MSR_VM_HSAVE_PA, false);
}

static void try_msrpm_lost(void)
{
	struct vmcb_save before;

	l1_vmcb.control.msrpm_base_pa = RAM_BYTES - 0x1000;
	vmcb_intercept(&l1_vmcb, SVM_EXIT_MSR);
	l1_vmcb.save.rip = (ulong_t)a_rdmsr;
	before = l1_vmcb.save;
	vmcb_run(&l1_vmcb);
	CHECK_REFUSED(&before);
}

GUEST(map_address)
{
	const struct row *row = GUEST_ROW(rows);

	l1_svm_init();
	vmcb_intercept(&l1_vmcb, SVM_EXIT_IOIO);
	switch (row->what) {
	case IOPM_LOW_BITS:
		try_iopm_bits(row->low_bits);
		break;
	case MSRPM_LOW_BITS:
		try_msrpm_bits(row->low_bits);
		break;
	case IOPM_LOST:
		l1_vmcb.control.iopm_base_pa = MMIO_GPA;
		check_exits(a_out, 1, PASSES);
		break;
	case IOPM_PAGE_LOST:
		/* Two of its three pages are there, all clear. */
		l1_vmcb.control.iopm_base_pa = RAM_BYTES - 0x2000;
		check_passes(PASSES);
		check_exits(a_outl, 4, 0xfffe);
		break;
	case MSRPM_PAGE_LOST:
		try_msrpm_lost();
		break;
	}
}

HOST(map_address)
{
	enum what what = ROW(t, rows)->what;

	if (what == IOPM_LOW_BITS || what == IOPM_PAGE_LOST)
		expect_pio_out(t, .port = PASSES, .size = 1, .count = 1, .data = 0x5a);
	expect_done(t);
}
