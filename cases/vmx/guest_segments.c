/* SPDX-License-Identifier: MIT */
/*
 * Segments, descriptor tables and the other guest fields that few entries change: an entry loads each of them, an exit
 * saves each of them, and one of them that L1 writes takes none of the others along, whenever L1 looks.
 *
 * Can break: a field that only its neighbour's write makes KVM load; what L2 changed, lost by a VMWRITE, a VMCLEAR or a
 * VMRESUME before the first VMREAD; one register's limit in another one's field.
 * Source: SDM vol. 3C, 25.4, 27.3.1.2, 27.3.2, 28.3.1 to 28.3.3.
 */
#include "cases/vmx/segments.h"

static void write_all(const struct segment_field *fields, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		vmcs_write(fields[i].field, fields[i].value);
}

static void check_all(const struct segment_field *fields, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (fields[i].value != vmcs_read(fields[i].field))
			SAY("field", fields[i].field);
		CHECK_EQ(fields[i].value, vmcs_read(fields[i].field));
	}
}
#define WRITE_ALL(fields_) write_all(fields_, sizeof(fields_) / sizeof((fields_)[0]))
#define CHECK_ALL(fields_) check_all(fields_, sizeof(fields_) / sizeof((fields_)[0]))

static void check_vmcall(void)
{
	CHECK_EQ(VMX_OK, vmx.exit.outcome);
	CHECK_EQ(EXIT_REASON_VMCALL, vmcs_read(EXIT_REASON));
}

static void are_entered(void)
{
	vmx_start();
	WRITE_ALL(segments_entered);
	vmx_run();
	check_vmcall();
	CHECK_ALL(segments_entered);
	/* Others, and by VMRESUME. */
	WRITE_ALL(segments_changed);
	vmx_run();
	check_vmcall();
	CHECK_ALL(segments_changed);
}

static void load_segments(void)
{
	vmx_start();
	vmx_aim(segments_load);
	vmx.gprs.r8 = (ulong_t)&segments_gdtr;
	vmx.gprs.r9 = (ulong_t)&segments_idtr;
	vmx_run_blindly();
}

static void check_changed(void)
{
	check_vmcall();
	CHECK_EQ((ulong_t)segments_exit, vmcs_read(GUEST_RIP));
	CHECK_EQ((ulong_t)segments_gdt, vmcs_read(GUEST_GDTR_BASE));
	CHECK_ALL(segments_changed);
}

static void are_saved(void)
{
	load_segments();
	check_changed();
}

static void are_kept_by_vmresume(void)
{
	load_segments();
	vmx_run_blindly();
	check_changed();
}

static void are_kept_by_vmclear(void)
{
	load_segments();
	CHECK_EQ(VMX_OK, vmclear_try((ulong_t)vmx.vmcs));
	CHECK_EQ(VMX_OK, vmptrld_try((ulong_t)vmx.vmcs));
	check_changed();
}

static void are_kept_by_vmptrld(void)
{
	load_segments();
	CHECK_EQ(VMX_OK, vmptrld_try((ulong_t)vmx_region_alloc()));
	CHECK_EQ(VMX_OK, vmptrld_try((ulong_t)vmx.vmcs));
	check_changed();
}

static void are_kept_by_vmwrite(void)
{
	load_segments();
	vmcs_write(GUEST_ES_LIMIT, 0x7777);
	vmx_run_blindly();
	check_vmcall();
	CHECK_ALL(segments_changed_but_es);
}

/* A field of the controls, too, makes the entry load all. */
static void are_kept_by_control(void)
{
	load_segments();
	vmcs_write(PAGE_FAULT_MASK, 1);
	vmx_run_blindly();
	check_changed();
}

struct row {
	ROW_FIELDS;
	void (*run)(void);
};
#define RUN(name_) { .label = #name_, .run = name_ }

static const struct row rows[] = {
	RUN(are_entered), RUN(are_saved), RUN(are_kept_by_vmresume), RUN(are_kept_by_vmclear), RUN(are_kept_by_vmptrld),
	RUN(are_kept_by_vmwrite), RUN(are_kept_by_control),
};

CASE(guest_segments, .says = "every segment and table of L2 is loaded and saved, and none is lost between",
     .modes = LONG64, .needs = "vendor:intel nested", .rows = ROWS(rows))

GUEST(guest_segments)
{
	GUEST_ROW(rows)->run();
}

HOST(guest_segments)
{
	expect_done(t);
}
