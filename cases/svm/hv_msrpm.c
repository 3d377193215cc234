/* SPDX-License-Identifier: MIT */
/*
 * An L1 that knows it is on Hyper-V can say by a clean bit that its MSR permission map is as it was. Without the bit, or
 * with another VMCB, a change of the map holds from the next VMRUN on; with it the map that was read before holds.
 *
 * Can break: the clean bit of L1 believed when it did not ask for that, or a map kept although it is said to be changed.
 * Source: Hyper-V Top-Level Functional Specification, "Nested Virtualization" (enlightened MSR bitmap, clean field bit 31)
 * and "Hypercall Interface"; APM vol. 2, 15.11.
 */
#include "guests/l1_svm.h"
#include "case.h"

#define HV_GUEST_OS_ID 0x40000000
#define HV_HYPERCALL 0x40000001
#define HV_PAGE SCRATCH_GPA
#define HV_ENLIGHTENED_MSRPM (1u << 1)
#define CLEAN_ENLIGHTENMENTS (1u << 31)

INSN(h_code, "mov $0xc0000081, %ecx\n\trdmsr\n\tvmmcall")

struct row {
	ROW_FIELDS;
	bool is_enlightened, is_clean;
	bool want;	/* the changed map is seen */
};

static const struct row rows[] = {
	{ .label = "not_enlightened", .is_clean = true, .want = true },
	{ .label = "not_clean", .is_enlightened = true, .want = true },
	{ .label = "clean", .is_enlightened = true, .is_clean = true, .known = { "4501-soft-reads-clean-msrpm", "soft-svm" } },
};

CASE(hv_msrpm, .says = "an MSR permission map that L1 says is unchanged is not read again", .modes = LONG64,
     .needs = "vendor:amd nested KVM_CAP_HYPERV_CPUID", .rows = ROWS(rows))

/* STAR, which KVM itself lets through: the CPU looks at the merged map alone. */
GUEST(hv_msrpm)
{
	const struct row *row = GUEST_ROW(rows);

	wrmsr(HV_GUEST_OS_ID, 1);
	wrmsr(HV_HYPERCALL, HV_PAGE | 1);
	l1_svm_init();
	vmcb_intercept(&l1_vmcb, SVM_EXIT_MSR);
	l1_vmcb.control.software_3e0[0] = row->is_enlightened ? HV_ENLIGHTENED_MSRPM : 0;
	l2_run(h_code);
	CHECK_L2_DONE(h_code_end - 3);

	msrpm_set(l1_msrpm, MSR_STAR, false, true);
	l1_vmcb.control.clean = row->is_clean ? CLEAN_ENLIGHTENMENTS : 0;
	l2_run(h_code);
	CHECK_EQ(row->want ? SVM_EXIT_MSR : SVM_EXIT_VMMCALL, l1_vmcb.control.exit_code);
	l1_vmcb.control.clean = 0;
	l2_run(h_code);
	CHECK_EQ(SVM_EXIT_MSR, l1_vmcb.control.exit_code);
	CHECK_EQ((ulong_t)h_code + 5, l1_vmcb.save.rip);
}

/* In place of the hypervisor's leaf that KVM offers, where it does. */
static void leaf_put(struct kvm_cpuid2 *cpuid, uint32_t function, uint32_t eax)
{
	unsigned int i;

	for (i = 0; i < cpuid->nent && cpuid->entries[i].function != function; i++)
		;
	cpuid->entries[i] = (struct kvm_cpuid_entry2){ .function = function, .eax = eax };
	if (i == cpuid->nent)
		cpuid->nent++;
}

HOST(hv_msrpm)
{
	struct {
		struct kvm_cpuid2 header;
		struct kvm_cpuid_entry2 entries[128];
	} table = { .header.nent = 120 };

	vcpu_ioctl(t->vcpu, KVM_GET_CPUID2, &table.header);
	leaf_put(&table.header, 0x40000000, 0x4000000a);
	leaf_put(&table.header, 0x40000001, 0x31237648);	/* "Hv#1" */
	/* The MSRs of the hypercall interface. */
	leaf_put(&table.header, 0x40000003, 1u << 5);
	leaf_put(&table.header, 0x4000000a, 1u << 19);
	vcpu_ioctl(t->vcpu, KVM_SET_CPUID2, &table.header);
	expect_done(t);
}
