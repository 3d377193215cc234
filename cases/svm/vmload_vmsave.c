/* SPDX-License-Identifier: MIT */
/*
 * VMSAVE writes FS, GS, TR, LDTR with their hidden parts and the MSRs of system calls, and not another byte of the
 * page; VMLOAD loads just these. KVM does both for L1 on a copy of its own.
 *
 * Can break: a field left out or taken from L2's, a page written as a whole, TR's type.
 * Source: APM vol. 2, 15.5.2; vol. 3, VMLOAD, VMSAVE.
 */
#include "guests/l1_svm.h"
#include "case.h"

enum what { SAVE, LOAD };

struct row {
	ROW_FIELDS;
	enum what what;
	uint32_t msr;
	uint16_t offset;	/* in the save area, of the MSR's field */
	uint64_t value;
};

#define MSR_ROW(name_, what_, field_, msr_, value_)					\
	{ .label = #name_, .what = what_, .msr = msr_, .offset = offsetof(struct vmcb_save, field_), .value = value_ }
#define BOTH(field_, msr_, value_) \
	MSR_ROW(save_##field_, SAVE, field_, msr_, value_), MSR_ROW(load_##field_, LOAD, field_, msr_, value_)
#define BASE(name_, msr_, value_) \
	MSR_ROW(save_##name_##_base, SAVE, name_.base, msr_, value_), \
	MSR_ROW(load_##name_##_base, LOAD, name_.base, msr_, value_)

static const struct row rows[] = {
	BOTH(star, MSR_STAR, 0x0023001012345678), BOTH(lstar, MSR_LSTAR, 0xffffffff81234567),
	BOTH(cstar, MSR_CSTAR, 0xffffffff87654321), BOTH(sfmask, MSR_SYSCALL_MASK, 0x47700),
	BOTH(kernel_gs_base, MSR_KERNEL_GS_BASE, 0xffff888012345000),
	BOTH(sysenter_cs, MSR_IA32_SYSENTER_CS, 0x10), BOTH(sysenter_esp, MSR_IA32_SYSENTER_ESP, 0x12345678),
	BOTH(sysenter_eip, MSR_IA32_SYSENTER_EIP, 0x23456789), BASE(fs, MSR_FS_BASE, 0x00007f0012345678),
};

CASE(vmload_vmsave, .says = "VMSAVE and VMLOAD move just their registers", .modes = LONG64,
     .needs = "vendor:amd nested", .rows = ROWS(rows))

#define POISON 0xa5

struct span {
	uint16_t begin, end;	/* of the save area */
};

/* Bytes that VMSAVE writes: the whole of the four segments, STAR .. SYSENTER_EIP. */
static bool is_written(unsigned int offset)
{
	static const struct span spans[] = { { 0x40, 0x60 }, { 0x70, 0x80 }, { 0x90, 0xa0 }, { 0x200, 0x240 } };
	unsigned int i;

	if (offset < 0x400)
		return false;
	for (i = 0; i < 4; i++)
		if (offset - 0x400 >= spans[i].begin && offset - 0x400 < spans[i].end)
			return true;
	return false;
}

static void check_untouched(const uint8_t *page)
{
	unsigned int i, nr_touched = 0, first = 0;

	for (i = 0; i < VMCB_BYTES; i++) {
		if (is_written(i) || page[i] == POISON)
			continue;
		if (!nr_touched++)
			first = i;
	}
	CHECK_EQ(0, first);
	CHECK_EQ(0, nr_touched);
}

static void check_segments(const struct vmcb_save *save)
{
	CHECK_EQ(SEL_SELF, save->gs.selector & ~3);
	CHECK_EQ((ulong_t)abi_self(), save->gs.base);
	CHECK_EQ(0xfff, save->gs.limit);
	CHECK_EQ(SEL_TSS, save->tr.selector);
	CHECK_EQ(TSS_GPA, save->tr.base);
	CHECK_EQ(0x67, save->tr.limit);
	CHECK_EQ(0x8b, save->tr.attrib);
	CHECK_EQ(0, save->ldtr.selector);
}

static void try_save(const struct row *row)
{
	struct vmcb *vmcb = page_alloc();
	uint64_t got;

	memset(vmcb, POISON, sizeof(*vmcb));
	wrmsr(row->msr, row->value);
	CHECK_NO_FAULT(vmsave_try((ulong_t)vmcb));
	memcpy(&got, (uint8_t *)&vmcb->save + row->offset, sizeof(got));
	CHECK_EQ(row->value, got);
	check_untouched((uint8_t *)vmcb);
	check_segments(&vmcb->save);
}

static void try_load(const struct row *row)
{
	struct vmcb *vmcb = page_alloc();
	uint64_t cr0 = read_cr0(), cr3 = read_cr3(), cr4 = read_cr4(), efer = rdmsr(MSR_EFER);

	memset(vmcb, POISON, sizeof(*vmcb));
	CHECK_NO_FAULT(vmsave_try((ulong_t)vmcb));
	memcpy((uint8_t *)&vmcb->save + row->offset, &row->value, sizeof(row->value));
	wrmsr(row->msr, 0);
	CHECK_NO_FAULT(vmload_try((ulong_t)vmcb));
	CHECK_EQ(row->value, rdmsr(row->msr));
	CHECK_EQ(cr0, read_cr0());
	CHECK_EQ(cr3, read_cr3());
	CHECK_EQ(cr4, read_cr4());
	CHECK_EQ(efer, rdmsr(MSR_EFER));
	CHECK_EQ(ABI_MAGIC, abi_self()->magic);
}

GUEST(vmload_vmsave)
{
	const struct row *row = GUEST_ROW(rows);

	l1_svm_init();
	if (row->what == SAVE)
		try_save(row);
	else
		try_load(row);
}

HOST(vmload_vmsave)
{
	expect_done(t);
}
