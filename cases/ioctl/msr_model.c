/* SPDX-License-Identifier: MIT */
/*
 * MSRs that tell a CPU's model, and those that KVM only keeps: what the guest reads, which of its writes are #GP, taken or
 * ignored, and what user space may set. KVM has no hardware behind them, so a wrong value is seen by a guest's boot code
 * alone.
 *
 * Can break: user space's own access refused with the guest's, a read-only MSR written, a fixed value that changes, a write
 * that is ignored stored or refused, a CPUID bit that is not asked.
 * Source: SDM vol. 4, 2.1 (architectural MSRs), 2.17 (MSR_EBC_FREQUENCY_ID, MSR_FSB_FREQ); APM vol. 2, appendix A and 3.2.9
 * (speculation control); KVM API, 4.18 and 4.19. Where the manuals leave a value to the model, KVM's choice since it has
 * the MSR: a guest that has been migrated must find the same.
 */
#include "cases/ioctl/cpuid_change.h"
#include "cases/ioctl/vcpu_state.h"

enum step_kind { STEP_END, HOST_SETS, HOST_REFUSED, HOST_READS, READS, READ_GP, WRITES, WRITE_GP };

struct step {
	enum step_kind kind;
	uint64_t value;
};

struct row {
	ROW_FIELDS;
	uint32_t index, leaf;
	struct cpuid_bits bits;
	struct step steps[10];
};

#define LEAF_FEATURES 1u
#define ECX_PDCM (1u << 15)
#define EDX_ARCH_CAPABILITIES (1u << 29)
#define EAX_XSAVES (1u << 3)	/* of 0xd.1 */
#define LEAF_SIZES 0x80000008u
#define EBX_SPECULATION (1u << 12 | 1u << 14 | 1u << 15 | 1u << 17 | 1u << 24)
#define EBX_VIRT_SSBD (1u << 25)

#define MISC_PMU_ABSENT 0x1800		/* BTS and PEBS unavailable: read only */
#define MISC_EMON 0x80			/* read only, without a fault */
#define HWCR_FFDIS 0x40
#define HWCR_IGNNE_EM 0x100
#define HWCR_TLB_CACHE_DIS 8

/* Reads as 0 and takes any write, which changes nothing. */
#define IGNORED(label_, index_, ...) { .label = label_, .index = index_, ##__VA_ARGS__, .steps = {		\
	{ READS, 0 }, { WRITES, ~0ull }, { READS, 0 }, { HOST_READS, 0 } } }
/* Is written alone, to no effect. */
#define SWALLOWED(label_, index_) { .label = label_, .index = index_, .steps = {	\
	{ WRITES, 0 }, { WRITES, 0x123456789 }, { READ_GP } } }
#define CONSTANT(label_, index_, value_) { .label = label_, .index = index_, .steps = {	\
	{ READS, value_ }, { WRITE_GP, value_ }, { WRITE_GP, ~0ull }, { READS, value_ }, { HOST_READS, value_ } } }

#define INTEL_ABSENT(label_, index_, leaf_, bits_, ...)					\
	{ .label = label_, .needs = "vendor:intel", .index = index_, .leaf = leaf_, .bits bits_, .steps = {	\
		{ READ_GP }, { WRITE_GP, 0 }, { WRITE_GP, ~0ull }, ##__VA_ARGS__ } }
#define ECX_VMX (1u << 5)
#define EDX_INTEL_SPECULATION (1u << 26 | 1u << 27 | 1u << 31)
#define ECX_WAITPKG (1u << 5)
#define ECX_SGX_LC (1u << 30)
#define EBX_MPX (1u << 14)
#define EBX_PT (1u << 25)

static const struct row rows[] = {
	{ .label = "microcode_revision", .index = 0x8b, .steps = {
		{ HOST_SETS, 0x8765432101234567 }, { HOST_READS, 0x8765432101234567 }, { READS, 0x8765432101234567 },
		{ WRITES, 0 }, { READS, 0x8765432101234567 } } },
	SWALLOWED("microcode_update", 0x79),
	SWALLOWED("patch_loader", 0xc0010020),
	{ .label = "arch_capabilities", .index = 0x10a, .leaf = 7, .bits.edx_on = EDX_ARCH_CAPABILITIES, .steps = {
		{ HOST_SETS, 0x25 }, { HOST_READS, 0x25 }, { READS, 0x25 }, { WRITE_GP, 0x25 }, { WRITE_GP, 0 },
		{ READS, 0x25 } } },
	{ .label = "arch_capabilities_absent", .index = 0x10a, .leaf = 7, .bits.edx_off = EDX_ARCH_CAPABILITIES, .steps = {
		{ HOST_SETS, 0x25 }, { READ_GP }, { WRITE_GP, 0x25 }, { HOST_READS, 0x25 } } },
	{ .label = "perf_capabilities", .index = 0x345, .leaf = LEAF_FEATURES, .bits.ecx_on = ECX_PDCM, .steps = {
		{ HOST_SETS, 0 }, { HOST_REFUSED, 1ull << 63 }, { HOST_READS, 0 }, { READS, 0 }, { WRITE_GP, 0 },
		{ READS, 0 } } },
	{ .label = "perf_capabilities_absent", .index = 0x345, .leaf = LEAF_FEATURES, .bits.ecx_off = ECX_PDCM, .steps = {
		{ HOST_SETS, 0 }, { READ_GP }, { WRITE_GP, 0 }, { HOST_READS, 0 } } },
	{ .label = "smi_count", .index = 0x34, .needs = "KVM_CAP_X86_SMM", .steps = {
		{ HOST_SETS, 7 }, { HOST_READS, 7 }, { READS, 7 }, { WRITE_GP, 0 }, { READS, 7 } } },
	{ .label = "smbase", .index = 0x9e, .needs = "KVM_CAP_X86_SMM", .steps = {
		{ HOST_READS, 0x30000 }, { HOST_SETS, 0xa0000 }, { READ_GP }, { WRITE_GP, 0x50000 },
		{ HOST_READS, 0xa0000 } } },
	{ .label = "power_ctl", .index = 0x1fc, .steps = {
		{ HOST_SETS, 0x100000002 }, { READS, 0x100000002 }, { WRITES, 3 }, { READS, 3 }, { HOST_READS, 3 } } },
	{ .label = "misc_enable", .index = MSR_IA32_MISC_ENABLE, .steps = {
		{ HOST_SETS, MISC_PMU_ABSENT | 1 }, { READS, MISC_PMU_ABSENT | 1 }, { WRITES, MISC_PMU_ABSENT },
		{ READS, MISC_PMU_ABSENT }, { WRITE_GP, 0x800 }, { WRITE_GP, 0x1000 }, { WRITE_GP, 0 },
		{ READS, MISC_PMU_ABSENT }, { HOST_READS, MISC_PMU_ABSENT } } },
	{ .label = "misc_enable_emon", .index = MSR_IA32_MISC_ENABLE, .steps = {
		{ HOST_SETS, MISC_PMU_ABSENT }, { WRITES, MISC_PMU_ABSENT | MISC_EMON }, { READS, MISC_PMU_ABSENT },
		{ HOST_SETS, MISC_PMU_ABSENT | MISC_EMON }, { READS, MISC_PMU_ABSENT | MISC_EMON },
		{ WRITES, MISC_PMU_ABSENT | 1 }, { READS, MISC_PMU_ABSENT | MISC_EMON | 1 } } },
	{ .label = "misc_enable_pmu", .index = MSR_IA32_MISC_ENABLE, .steps = {
		{ HOST_SETS, 1 }, { WRITES, 0 }, { WRITE_GP, 0x800 }, { WRITE_GP, 0x1000 }, { READS, 0 } } },
	{ .label = "hwcr", .index = 0xc0010015, .steps = {
		{ WRITES, 0 }, { WRITES, HWCR_FFDIS }, { WRITES, HWCR_IGNNE_EM }, { WRITES, HWCR_TLB_CACHE_DIS },
		{ READS, 0 }, { WRITE_GP, 1 }, { WRITE_GP, 1ull << 17 }, { WRITE_GP, 1ull << 63 }, { READS, 0 } } },
	{ .label = "mmio_conf_base", .index = 0xc0010058, .steps = {
		{ READS, 0 }, { WRITES, 0 }, { WRITE_GP, 1 }, { WRITE_GP, 1ull << 63 }, { READS, 0 } } },
	IGNORED("nb_cfg", 0xc001001f), IGNORED("dc_cfg", 0xc0011022), IGNORED("tw_cfg", 0xc0011023),
	IGNORED("bu_cfg2", 0xc001102a), IGNORED("ex_cfg", 0xc001102c),
	IGNORED("p6_event_select_first", 0x186, .needs = "vendor:amd"),
	IGNORED("p6_event_select_last", 0x187, .needs = "vendor:amd"),
	IGNORED("p6_counter_first", 0xc1, .needs = "vendor:amd"), IGNORED("p6_counter_last", 0xc2, .needs = "vendor:amd"),
	CONSTANT("machine_check_address", 0, 0), CONSTANT("machine_check_type", 1, 0), CONSTANT("platform_id", 0x17, 0),
	CONSTANT("power_on", 0x2a, 0), CONSTANT("perf_control", 0x199, 0), CONSTANT("syscfg", 0xc0010010, 0),
	CONSTANT("tseg_address", 0xc0010112, 0), CONSTANT("tseg_mask", 0xc0010113, 0),
	CONSTANT("interrupt_pending", 0xc0010055, 0), CONSTANT("energy_unit", 0x606, 0),
	CONSTANT("energy_package", 0x611, 0), CONSTANT("energy_memory", 0x619, 0), CONSTANT("energy_core", 0x639, 0),
	CONSTANT("energy_graphics", 0x641, 0),
	/* 166 MHz; a clock of once the bus; 4 times 1000 ticks. */
	CONSTANT("bus_frequency", 0xcd, 3), CONSTANT("bus_ratio", 0x2c, 1ull << 24),
	CONSTANT("perf_status", 0x198, 4ull << 40 | 1000),
	{ .label = "clock_ramp", .index = 0xc001001b, .steps = {
		{ READS, 0x20000000 }, { WRITES, 0 }, { WRITES, ~0ull }, { READS, 0x20000000 }, { HOST_READS, 0x20000000 } } },
	{ .label = "l2_control", .index = 0x11e, .steps = {
		{ READS, 0xbe702111 }, { WRITES, 0 }, { WRITES, 1ull << 19 }, { READS, 0xbe702111 },
		{ HOST_READS, 0xbe702111 } } },
	{ .label = "xss_absent", .index = 0xda0, .leaf = 0xd, .bits.eax_off = EAX_XSAVES, .steps = {
		{ READ_GP }, { WRITE_GP, 0 }, { HOST_SETS, 0 }, { HOST_REFUSED, 1ull << 8 }, { HOST_REFUSED, 1 },
		{ HOST_READS, 0 } } },
	{ .label = "spec_ctrl_absent", .needs = "vendor:amd", .index = 0x48, .leaf = LEAF_SIZES,
	  .bits.ebx_off = EBX_SPECULATION, .steps = {
		{ READ_GP }, { WRITE_GP, 0 }, { WRITE_GP, 1 }, { HOST_SETS, 0 }, { HOST_READS, 0 } } },
	{ .label = "pred_cmd_absent", .needs = "vendor:amd", .index = 0x49, .leaf = LEAF_SIZES,
	  .bits.ebx_off = EBX_SPECULATION, .steps = { { READ_GP }, { WRITE_GP, 0 }, { WRITE_GP, 1 } } },
	{ .label = "virt_spec_ctrl", .needs = "vendor:amd", .index = 0xc001011f, .leaf = LEAF_SIZES,
	  .bits.ebx_on = EBX_VIRT_SSBD, .steps = {
		{ READS, 0 }, { WRITES, 4 }, { READS, 4 }, { WRITE_GP, 1 }, { WRITE_GP, 8 }, { READS, 4 }, { HOST_READS, 4 },
		{ HOST_REFUSED, 2 }, { WRITES, 0 } } },
	{ .label = "virt_spec_ctrl_absent", .needs = "vendor:amd", .index = 0xc001011f, .leaf = LEAF_SIZES,
	  .bits.ebx_off = EBX_VIRT_SSBD, .steps = {
		{ READ_GP }, { WRITE_GP, 0 }, { WRITE_GP, 4 }, { HOST_SETS, 4 }, { HOST_READS, 4 }, { HOST_SETS, 0 } } },
	/* Those that kvm_intel has, without the feature. */
	INTEL_ABSENT("intel_spec_ctrl_absent", 0x48, 7, .edx_off = EDX_INTEL_SPECULATION, { HOST_READS, 0 }),
	INTEL_ABSENT("intel_pred_cmd_absent", 0x49, 7, .edx_off = EDX_INTEL_SPECULATION, { HOST_REFUSED, 2 }),
	INTEL_ABSENT("umwait_control_absent", 0xe1, 7, .ecx_off = ECX_WAITPKG, { HOST_READS, 0 }, { HOST_SETS, 0x101 },
		     { HOST_READS, 0x101 }, { HOST_REFUSED, 2 }, { HOST_REFUSED, 1ull << 32 }, { HOST_READS, 0x101 }),
	INTEL_ABSENT("bndcfgs_absent", 0xd90, 7, .ebx_off = EBX_MPX, { HOST_REFUSED, 2 }),
	INTEL_ABSENT("sgx_hash_0_absent", 0x8c, 7, .ecx_off = ECX_SGX_LC, { HOST_SETS, 0x1111 }, { HOST_READS, 0x1111 }),
	INTEL_ABSENT("sgx_hash_3_absent", 0x8f, 7, .ecx_off = ECX_SGX_LC, { HOST_SETS, 0x3333 }, { HOST_READS, 0x3333 }),
	INTEL_ABSENT("rtit_output_absent", 0x560, 7, .ebx_off = EBX_PT), INTEL_ABSENT("rtit_mask_absent", 0x561, 7, .ebx_off = EBX_PT),
	INTEL_ABSENT("rtit_ctl_absent", 0x570, 7, .ebx_off = EBX_PT), INTEL_ABSENT("rtit_status_absent", 0x571, 7, .ebx_off = EBX_PT),
	INTEL_ABSENT("rtit_cr3_absent", 0x572, 7, .ebx_off = EBX_PT), INTEL_ABSENT("rtit_addr_absent", 0x580, 7, .ebx_off = EBX_PT),
	INTEL_ABSENT("vmx_basic_absent", 0x480, LEAF_FEATURES, .ecx_off = ECX_VMX, { HOST_REFUSED, 0 }),
	INTEL_ABSENT("vmx_misc_absent", 0x485, LEAF_FEATURES, .ecx_off = ECX_VMX, { HOST_REFUSED, 0 }),
	INTEL_ABSENT("vmx_vmfunc_absent", 0x491, LEAF_FEATURES, .ecx_off = ECX_VMX, { HOST_REFUSED, 0 }),
	/* Only once the BIOS has let machine checks be signalled to one CPU; user space asks no BIOS. */
	INTEL_ABSENT("mcg_ext_ctl_off", 0x4d0, 0, .ecx_off = 0, { HOST_READS, 0 }, { HOST_SETS, 1 }, { HOST_READS, 1 },
		     { HOST_REFUSED, 2 }, { HOST_REFUSED, 1ull << 63 }, { HOST_READS, 1 }),
	{ .label = "feature_control", .needs = "vendor:intel nested", .index = 0x3a, .steps = {
		{ READS, 0 }, { HOST_REFUSED, 1ull << 63 }, { HOST_SETS, 5 }, { READS, 5 }, { WRITE_GP, 5 }, { HOST_SETS, 0 },
		{ WRITES, 5 }, { WRITE_GP, 4 }, { HOST_READS, 5 } } },
	/* Without KVM's interrupt controllers the x2APIC is user space's, which has no way to it. */
	{ .label = "x2apic_id_elsewhere", .index = 0x802, .steps = { { READ_GP }, { WRITE_GP, 0 }, { HOST_REFUSED, 0 } } },
	{ .label = "x2apic_icr_elsewhere", .index = 0x830, .steps = { { READ_GP }, { WRITE_GP, 0 }, { HOST_REFUSED, 0 } } },
	{ .label = "x2apic_self_elsewhere", .index = 0x83f, .steps = { { READ_GP }, { WRITE_GP, 0x51 }, { HOST_REFUSED, 0 } } },
	{ .label = "ignne", .needs = "vendor:amd", .index = 0xc0010115, .steps = { { WRITES, 1 }, { READ_GP } } },
};

CASE(msr_model, .says = "an MSR of the CPU's model reads as its constant, is kept, ignored or #GP", .modes = LONG64,
     .needs = "pinned param:kvm.ignore_msrs=0", .rows = ROWS(rows))

static void guest_step(const struct step *step, uint32_t index, unsigned int nr)
{
	uint64_t value;

	switch (step->kind) {
	case READS:
		CHECK_EQ(step->value, rdmsr(index));
		break;
	case READ_GP:
		CHECK_FAULT(GP_VECTOR, 0, rdmsr_safe(index, &value));
		break;
	case WRITES:
		wrmsr(index, step->value);
		break;
	case WRITE_GP:
		CHECK_FAULT(GP_VECTOR, 0, wrmsr_safe(index, step->value));
		break;
	default:
		guest_sync(nr);
	}
}

GUEST(msr_model)
{
	const struct row *row = GUEST_ROW(rows);
	unsigned int i;

	for (i = 0; row->steps[i].kind != STEP_END; i++)
		guest_step(&row->steps[i], row->index, i);
}

static void host_step(struct test *t, const struct step *step, uint32_t index)
{
	uint64_t value;

	switch (step->kind) {
	case HOST_SETS:
	case HOST_REFUSED:
		expect_result(t, step->kind == HOST_SETS, msr_set_try(t->vcpu, index, step->value));
		break;
	default:
		expect_result(t, 1, msr_get_try(t->vcpu, index, &value));
		expect_eq(t, step->value, value);
	}
}

HOST(msr_model)
{
	const struct row *row = ROW(t, rows);
	unsigned int i;

	if (row->leaf)
		cpuid_change(t, row->leaf, row->bits);
	for (i = 0; row->steps[i].kind != STEP_END; i++) {
		if (row->steps[i].kind > HOST_READS)
			continue;
		require_sync(t, i);
		host_step(t, &row->steps[i], row->index);
	}
	expect_done(t);
}
