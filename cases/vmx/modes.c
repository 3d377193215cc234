/* SPDX-License-Identifier: MIT */
/*
 * VMX in the modes that are not 64-bit: none without protection, none without paging, and operands of 32 bits in the
 * others.
 *
 * Can break: a check of CR0 that only 64-bit guests reach; the upper half of a 64-bit field written by 32 bits.
 * Source: SDM vol. 3C, 24.7, 24.8, chapter 31 (VMXON, VMREAD, VMWRITE).
 */
#include "case.h"
#include "vm/x86/vmx.h"

CASE(modes, .says = "VMX instructions by mode, with 32-bit operands", .modes = REAL16 | PROT32 | PAGE32 | PAE32,
     .needs = "vendor:intel nested")

/* True when the instruction said VMsucceed. */
#define VMX32(instruction_, ...)							\
	({ uint8_t failed_ = 0xff;							\
	   struct fault f_ = TRY(instruction_ "\n\tsetna %[failed]", : [failed] "+q"(failed_) : __VA_ARGS__ : "cc", \
				 "memory");						\
	   CHECK_NO_FAULT(f_);								\
	   failed_ == 0; })

static void check_refused(int vector, uint64_t *region_gpa)
{
	struct fault f = TRY("vmxon %0", : : "m"(*region_gpa));

	CHECK_FAULT(vector, 0, f);
	f = TRY("vmxoff", );
	CHECK_FAULT(UD_VECTOR, 0, f);
	f = TRY("vmptrld %0", : : "m"(*region_gpa));
	CHECK_FAULT(UD_VECTOR, 0, f);
	f = TRY("vmclear %0", : : "m"(*region_gpa));
	CHECK_FAULT(UD_VECTOR, 0, f);
	f = TRY("vmlaunch", );
	CHECK_FAULT(UD_VECTOR, 0, f);
	f = TRY("vmresume", );
	CHECK_FAULT(UD_VECTOR, 0, f);
	f = TRY("vmread %0, %0", : : "r"(GUEST_RIP));
	CHECK_FAULT(UD_VECTOR, 0, f);
	f = TRY("vmwrite %0, %0", : : "r"(GUEST_RIP));
	CHECK_FAULT(UD_VECTOR, 0, f);
}

static ulong_t field_read(ulong_t field)
{
	volatile ulong_t value = 0x5a5a5a5a;

	CHECK(VMX32("vmread %[field], %[value]", [field] "r"(field), [value] "m"(value)));
	return value;
}

static void field_write(ulong_t field, ulong_t value)
{
	CHECK(VMX32("vmwrite %[value], %[field]", [field] "r"(field), [value] "r"(value)));
}

static void check_32_bits(uint64_t *vmxon_gpa, uint64_t *vmcs_gpa)
{
	volatile uint64_t current = 0;

	CHECK(VMX32("vmxon %[gpa]", [gpa] "m"(*vmxon_gpa)));
	CHECK(VMX32("vmclear %[gpa]", [gpa] "m"(*vmcs_gpa)));
	CHECK(VMX32("vmptrld %[gpa]", [gpa] "m"(*vmcs_gpa)));
	CHECK(VMX32("vmptrst %[current]", [current] "m"(current)));
	CHECK_EQ(*vmcs_gpa, current);
	field_write(GUEST_SYSENTER_EIP, 0x89abcdef);
	CHECK_EQ(0x89abcdef, field_read(GUEST_SYSENTER_EIP));
	field_write(GUEST_CS_SELECTOR, 0x12345678);
	CHECK_EQ(0x5678, field_read(GUEST_CS_SELECTOR));
	/* A 64-bit field by halves; writing the whole one clears the upper. */
	field_write(TSC_OFFSET | VMCS_FIELD_HIGH, 0x11223344);
	field_write(TSC_OFFSET, 0x55667788);
	CHECK_EQ(0x55667788, field_read(TSC_OFFSET));
	CHECK_EQ(0, field_read(TSC_OFFSET | VMCS_FIELD_HIGH));
	field_write(TSC_OFFSET | VMCS_FIELD_HIGH, 0x99aabbcc);
	CHECK_EQ(0x99aabbcc, field_read(TSC_OFFSET | VMCS_FIELD_HIGH));
	CHECK_EQ(0x55667788, field_read(TSC_OFFSET));
	CHECK(VMX32("vmxoff", "r"(0)));
}

GUEST(modes)
{
	uint64_t vmxon_gpa = scratch_base(), vmcs_gpa = vmxon_gpa + 0x1000;
	uint32_t revision = rdmsr(MSR_IA32_VMX_BASIC);

	write32(vmxon_gpa, revision);
	write32(vmcs_gpa, revision);
	check_refused(UD_VECTOR, &vmxon_gpa);
	wrmsr(MSR_IA32_FEAT_CTL, FEAT_CTL_LOCKED | FEAT_CTL_VMX_OUTSIDE_SMX);
	write_cr4(read_cr4() | X86_CR4_VMXE);
	switch (guest_mode()) {
	case REAL16:
		check_refused(UD_VECTOR, &vmxon_gpa);
		break;
	case PROT32:
		check_refused(GP_VECTOR, &vmxon_gpa);
		break;
	default:
		check_32_bits(&vmxon_gpa, &vmcs_gpa);
	}
}

HOST(modes)
{
	expect_done(t);
}
