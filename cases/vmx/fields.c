/* SPDX-License-Identifier: MIT */
/*
 * Every field of the VMCS keeps what VMWRITE wrote, as many bits as it has, apart from every other field, also over
 * VMCLEAR and VMPTRLD; the high halves of 64-bit fields are reached on their own.
 *
 * Can break: two encodings with one place, a field kept by the processor that a VMCLEAR does not write back, a width.
 * Source: SDM vol. 3C, 25.11.2, chapter 31 (VMREAD, VMWRITE), vol. 3D, appendix B.
 */
#include "case.h"
#include "guests/l1_vmx.h"

struct row {
	ROW_FIELDS;
	const uint16_t *fields;
	unsigned int nr;
	void (*run)(const struct row *row);
};

#define ENCODING(name_, encoding_) encoding_,
static const uint16_t all_fields[] = { VMCS_FIELDS(ENCODING) };
static const uint16_t tpr_fields[] = { VIRTUAL_APIC_ADDRESS, TPR_THRESHOLD };
static const uint16_t ept_fields[] = { EPT_POINTER, GUEST_PDPTE0, GUEST_PDPTE1, GUEST_PDPTE2, GUEST_PDPTE3 };
static const uint16_t secondary_fields[] = { PROC2_CONTROLS, MSR_BITMAP };
static const uint16_t vpid_fields[] = { VPID };
static const uint16_t pat_fields[] = { GUEST_PAT, HOST_PAT };
static const uint16_t efer_fields[] = { GUEST_EFER, HOST_EFER };
static const uint16_t timer_fields[] = { PREEMPTION_TIMER_VALUE };
static const uint16_t shadow_fields[] = { VMREAD_BITMAP, VMWRITE_BITMAP };
static const uint16_t apic_access_fields[] = { APIC_ACCESS_ADDRESS };

/* The bits that a field has; of access rights, those that are not reserved, which a CPU may drop. */
static uint64_t field_mask(uint32_t field)
{
	if (field >= GUEST_ES_AR && field <= GUEST_TR_AR)
		return 0x1f0ff;
	switch (VMCS_FIELD_WIDTH(field)) {
	case VMCS_16:
		return 0xffff;
	case VMCS_32:
		return 0xffffffff;
	default:
		return ~0ull;
	}
}

static bool is_writable(uint32_t field)
{
	return VMCS_FIELD_TYPE(field) != VMCS_READ_ONLY;
}

static void check_round_trip(uint32_t field, uint64_t value)
{
	uint64_t got = 0x5a5a5a5a5a5a5a5a;

	/* What a field is too narrow for is not written; reserved rights are not tried. */
	if (field >= GUEST_ES_AR && field <= GUEST_TR_AR)
		value &= field_mask(field);
	vmcs_write(field, value);
	CHECK_EQ(VMX_OK, vmread_try(field, &got));
	/* The encoding is named by both sides. */
	if ((value & field_mask(field)) != got)
		SAY("field", field);
	CHECK_EQ(value & field_mask(field), got);
}

static void round_trip(const struct row *row)
{
	unsigned int i;

	for (i = 0; i < row->nr; i++) {
		if (!is_writable(row->fields[i]))
			continue;
		check_round_trip(row->fields[i], ~0ull);
		check_round_trip(row->fields[i], 0x8123456789abcdef);
		check_round_trip(row->fields[i], 0);
	}
}

static uint64_t own_value(uint32_t field)
{
	return (field * 0x0001000100010001ull ^ 0x5a5a000033330000ull) & field_mask(field);
}

static void check_own_values(const struct row *row)
{
	unsigned int i;

	for (i = 0; i < row->nr; i++)
		if (is_writable(row->fields[i]) && own_value(row->fields[i]) != vmcs_read(row->fields[i])) {
			SAY("field", row->fields[i]);
			CHECK_EQ(own_value(row->fields[i]), vmcs_read(row->fields[i]));
		}
}

static void each_its_own(const struct row *row)
{
	unsigned int i;

	for (i = 0; i < row->nr; i++)
		if (is_writable(row->fields[i]))
			vmcs_write(row->fields[i], own_value(row->fields[i]));
	check_own_values(row);
	CHECK_EQ(VMX_OK, vmclear_try((ulong_t)vmx.vmcs));
	CHECK_EQ(VMX_OK, vmptrld_try((ulong_t)vmx.vmcs));
	check_own_values(row);
	/* And beside another one. */
	CHECK_EQ(VMX_OK, vmptrld_try((ulong_t)vmx_region_alloc()));
	for (i = 0; i < row->nr; i++)
		if (is_writable(row->fields[i]))
			vmcs_write(row->fields[i], 0);
	CHECK_EQ(VMX_OK, vmptrld_try((ulong_t)vmx.vmcs));
	check_own_values(row);
}

static void high_halves(const struct row *row)
{
	unsigned int i;

	for (i = 0; i < row->nr; i++) {
		uint32_t field = row->fields[i], high = field | VMCS_FIELD_HIGH;
		uint64_t value = 0;

		if (VMCS_FIELD_WIDTH(field) != VMCS_64) {
			CHECK_EQ(VMX_FAIL_VALID(VMX_ERROR_UNSUPPORTED_FIELD), vmread_try(high, &value));
			CHECK_EQ(VMX_FAIL_VALID(VMX_ERROR_UNSUPPORTED_FIELD), vmwrite_try(high, 0));
			continue;
		}
		vmcs_write(field, 0x1122334455667788);
		CHECK_EQ(0x11223344, vmcs_read(high));
		/* Only 32 bits are written. */
		vmcs_write(high, 0xaabbccdd99aabbcc);
		CHECK_EQ(0x99aabbcc55667788, vmcs_read(field));
		CHECK_EQ(0x99aabbcc, vmcs_read(high));
	}
}

static void read_only_written(const struct row *row)
{
	unsigned int i;

	for (i = 0; i < row->nr; i++)
		if (!is_writable(row->fields[i]) && row->fields[i] != VM_INSTRUCTION_ERROR)
			check_round_trip(row->fields[i], 0x123456789abcdef0);
}

/* The host has taken away the capability to write them. */
static void read_only_refused(const struct row *row)
{
	unsigned int i;

	CHECK_EQ(0, rdmsr(MSR_IA32_VMX_MISC) >> 29 & 1);
	for (i = 0; i < row->nr; i++) {
		uint64_t old;

		if (is_writable(row->fields[i]))
			continue;
		old = vmcs_read(row->fields[i]);
		CHECK_EQ(VMX_FAIL_VALID(VMX_ERROR_READ_ONLY_FIELD), vmwrite_try(row->fields[i], ~old));
		if (row->fields[i] != VM_INSTRUCTION_ERROR)
			CHECK_EQ(old, vmcs_read(row->fields[i]));
	}
}

#define FIELDS(label_, fields_, run_, ...)						\
	{ .label = label_, .fields = fields_, .nr = sizeof(fields_) / sizeof((fields_)[0]), .run = run_, ##__VA_ARGS__ }
#define OPTIONAL(name_, ...) FIELDS(#name_, name_##_fields, round_trip, ##__VA_ARGS__)

static const struct row rows[] = {
	FIELDS("round_trip", all_fields, round_trip),
	FIELDS("each_its_own", all_fields, each_its_own),
	FIELDS("high_halves", all_fields, high_halves),
	FIELDS("read_only_written", all_fields, read_only_written, .needs = "vmx:vmwrite_any_field"),
	FIELDS("read_only_refused", all_fields, read_only_refused),
	OPTIONAL(tpr, .needs = "vmx:tpr_shadow"), OPTIONAL(ept, .needs = "vmx:ept"),
	OPTIONAL(secondary, .needs = "vmx:secondary"), OPTIONAL(vpid, .needs = "vmx:vpid"),
	OPTIONAL(pat, .needs = "vmx:load_pat"), OPTIONAL(efer, .needs = "vmx:load_efer"),
	OPTIONAL(timer, .needs = "vmx:preemption_timer"), OPTIONAL(shadow, .needs = "vmx:vmcs_shadowing"),
	OPTIONAL(apic_access, .needs = "vmx:virtualize_apic_accesses"),
};

CASE(fields, .says = "a field of the VMCS keeps what was written, and no other does", .modes = LONG64,
     .needs = "vendor:intel nested", .rows = ROWS(rows))

GUEST(fields)
{
	const struct row *row = GUEST_ROW(rows);

	vmx_start();
	row->run(row);
}

static void forbid_writes(struct test *t)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = { .head.nmsrs = 1, .entry.index = MSR_IA32_VMX_MISC };

	vcpu_ioctl(t->vcpu, KVM_GET_MSRS, &msrs.head);
	msrs.entry.data &= ~(1ull << 29);
	require_result(t, 1, vcpu_ioctl_try(t->vcpu, KVM_SET_MSRS, &msrs.head));
}

HOST(fields)
{
	if (ROW(t, rows)->run == read_only_refused)
		forbid_writes(t);
	expect_done(t);
}
