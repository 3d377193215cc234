/* SPDX-License-Identifier: MIT */
/*
 * Controls that are not what the capability MSRs allow, contradict each other, or point where they must not: the entry
 * fails with error 7, and nothing is loaded. What is next to them is legal.
 *
 * Can break: reserved bits that nobody looks at, an address checked although its control is off, an event that cannot be
 * delivered.
 * Source: SDM vol. 3C, 27.2.1; for events 27.2.1.3.
 */
#include "cases/vmx/entry.h"

#define REFUSED_AS(label_, check_, ...)							\
	{ .label = label_, .error = VMX_ERROR_ENTRY_CONTROLS, .check = check_, ##__VA_ARGS__ }
#define REFUSED(label_, check_, ...) REFUSED_AS(label_, check_, .edits = { __VA_ARGS__ })
#define LEGAL(label_, ...) { .label = label_, .edits = { __VA_ARGS__ }, .is_legal = true }
#define LEGAL_AS(label_, ...) { .label = label_, .is_legal = true, ##__VA_ARGS__ }

#define VERIFY(field_, msr_)								\
	"!vmx_control_verify(vmcs12->" field_ ", vmx->nested.msrs." msr_ "_ctls_low, vmx->nested.msrs." msr_ "_ctls_high)"
#define VERIFY_PIN VERIFY("pin_based_vm_exec_control", "pinbased")
#define VERIFY_PROC VERIFY("cpu_based_vm_exec_control", "procbased")
#define VERIFY_PROC2 VERIFY("secondary_vm_exec_control", "secondary")
#define VERIFY_EXIT VERIFY("vm_exit_controls", "exit")
#define VERIFY_ENTRY VERIFY("vm_entry_controls", "entry")
#define FORBIDDEN(name_, control_, check_, ...)						\
	REFUSED_AS(name_ "_forbidden_low", check_, .control = control_, .change = SET_LOWEST_FORBIDDEN, ##__VA_ARGS__), \
	REFUSED_AS(name_ "_forbidden_high", check_, .control = control_, .change = SET_HIGHEST_FORBIDDEN, \
		   ##__VA_ARGS__)
#define NEEDED(name_, control_, check_)							\
	REFUSED_AS(name_ "_needed_low", check_, .control = control_, .change = CLEAR_LOWEST_NEEDED), \
	REFUSED_AS(name_ "_needed_high", check_, .control = control_, .change = CLEAR_HIGHEST_NEEDED)

#define PAGE_CHECK(name_) "!page_address_valid(vcpu, vmcs12->" name_ ")"
/* A page's address: bits 11:0 are 0, and it lies within the physical width. */
#define PAGE(label_, field_, name_, ...)						\
	REFUSED_AS(label_ "_misaligned", PAGE_CHECK(name_), .edits = { VMCS_SET(field_, 0x800) }, ##__VA_ARGS__), \
	REFUSED_AS(label_ "_bit0", PAGE_CHECK(name_), .edits = { VMCS_SET(field_, 1) }, ##__VA_ARGS__), \
	REFUSED_AS(label_ "_beyond", PAGE_CHECK(name_), .beyond = field_, ##__VA_ARGS__)

#define EVENT(info_) VMCS_VALUE(ENTRY_INTR_INFO, INTR_VALID | (info_))
#define ENTRY_MSR_CHECK										\
	"nested_vmx_check_msr_switch(vcpu, vmcs12->vm_entry_msr_load_count, vmcs12->vm_entry_msr_load_addr)"
#define EXIT_MSR_CHECK "nested_vmx_check_exit_msr_switch_controls(vcpu, vmcs12)"
#define EPTP_CHECK "!nested_vmx_check_eptp(vcpu, vmcs12->ept_pointer)"
#define ERROR_CODE_CHECK "has_error_code != should_have_error_code"
/* KVM leaves it to the CPU, and tells so. */
#define BY_CPU "hardware VM-instruction error: "

static void use_virtual_apic(void)
{
	vmcs_write(VIRTUAL_APIC_ADDRESS, (ulong_t)page_alloc());
	vmcs_write(TPR_THRESHOLD, 0);
	vmcs_set(PROC_CONTROLS, PROC_TPR_SHADOW);
}

static void use_apic_accesses(void)
{
	vmcs_write(APIC_ACCESS_ADDRESS, (ulong_t)page_alloc());
	vmx_use_secondary(PROC2_VIRTUALIZE_APIC_ACCESSES);
}

static void use_vpid(void)
{
	vmcs_write(VPID, 1);
	vmx_use_secondary(PROC2_VPID);
}

static void use_pml(void)
{
	vmx_use_ept();
	vmcs_set(EPT_POINTER, EPTP_AD);
	vmcs_write(PML_ADDRESS, (ulong_t)page_alloc());
	vmcs_write(PML_INDEX, 511);
	vmx_use_secondary(PROC2_PML);
}

static void use_eptp_list(void)
{
	vmx_use_ept();
	vmcs_write(EPTP_LIST_ADDRESS, (ulong_t)page_alloc());
	vmcs_write(VM_FUNCTION_CONTROLS, 1);
	vmx_use_secondary(PROC2_VM_FUNCTIONS);
}

static void use_shadowing(void)
{
	vmcs_write(VMREAD_BITMAP, (ulong_t)page_alloc());
	vmcs_write(VMWRITE_BITMAP, (ulong_t)page_alloc());
	vmx_use_secondary(PROC2_VMCS_SHADOWING);
}

static const struct entry_row rows[] = {
	FORBIDDEN("pin", CTL_PIN, VERIFY_PIN), NEEDED("pin", CTL_PIN, VERIFY_PIN),
	FORBIDDEN("proc", CTL_PROC, VERIFY_PROC), NEEDED("proc", CTL_PROC, VERIFY_PROC),
	FORBIDDEN("proc2", CTL_PROC2, VERIFY_PROC2, .secondary = PROC2_RDTSCP, .needs = "vmx:rdtscp"),
	FORBIDDEN("exit", CTL_EXIT, VERIFY_EXIT), NEEDED("exit", CTL_EXIT, VERIFY_EXIT),
	FORBIDDEN("entry", CTL_ENTRY, VERIFY_ENTRY), NEEDED("entry", CTL_ENTRY, VERIFY_ENTRY),
	REFUSED("entry_to_smm", VERIFY_ENTRY, VMCS_SET(ENTRY_CONTROLS, ENTRY_TO_SMM)),
	REFUSED("deactivate_dual_monitor", VERIFY_ENTRY, VMCS_SET(ENTRY_CONTROLS, ENTRY_DEACTIVATE_DUAL_MONITOR)),
	/* Secondary controls count only when they are active. */
	LEGAL("proc2_not_active", VMCS_CLEAR(PROC_CONTROLS, PROC_SECONDARY), VMCS_VALUE(PROC2_CONTROLS, ~0u)),

	REFUSED("cr3_targets", "vmcs12->cr3_target_count > nested_cpu_vmx_misc_cr3_count(vcpu)",
		VMCS_VALUE(CR3_TARGET_COUNT, 0x1ff)),
	PAGE("io_bitmap_a", IO_BITMAP_A, "io_bitmap_a", .prepare = vmx_use_io_bitmaps),
	PAGE("io_bitmap_b", IO_BITMAP_B, "io_bitmap_b", .prepare = vmx_use_io_bitmaps),
	LEGAL_AS("io_bitmap_top", .top = IO_BITMAP_B, .prepare = vmx_use_io_bitmaps),
	LEGAL("io_bitmap_off", VMCS_VALUE(IO_BITMAP_A, 0x801), VMCS_VALUE(IO_BITMAP_B, ~0ull)),
	PAGE("msr_bitmap", MSR_BITMAP, "msr_bitmap"),
	LEGAL("msr_bitmap_off", VMCS_CLEAR(PROC_CONTROLS, PROC_MSR_BITMAPS), VMCS_VALUE(MSR_BITMAP, 0x801)),

	PAGE("virtual_apic", VIRTUAL_APIC_ADDRESS, "virtual_apic_page_addr", .prepare = use_virtual_apic,
	     .needs = "vmx:tpr_shadow"),
	LEGAL_AS("virtual_apic", .prepare = use_virtual_apic, .needs = "vmx:tpr_shadow"),
	/* Nothing of it is used then. */
	LEGAL_AS("virtual_apic_no_memory", .prepare = use_virtual_apic, .needs = "vmx:tpr_shadow",
		 .edits = { VMCS_VALUE(VIRTUAL_APIC_ADDRESS, MMIO_GPA),
			    VMCS_SET(PROC_CONTROLS, PROC_CR8_LOAD_EXITING | PROC_CR8_STORE_EXITING) }),
	REFUSED_AS("tpr_threshold_reserved", BY_CPU, .prepare = use_virtual_apic, .needs = "vmx:tpr_shadow",
		   .edits = { VMCS_VALUE(TPR_THRESHOLD, 0x10) }),
	REFUSED_AS("tpr_threshold_above", BY_CPU, .prepare = use_virtual_apic, .needs = "vmx:tpr_shadow",
		   .edits = { VMCS_VALUE(TPR_THRESHOLD, 1) }),
	PAGE("apic_access", APIC_ACCESS_ADDRESS, "apic_access_addr", .prepare = use_apic_accesses,
	     .needs = "vmx:virtualize_apic_accesses"),
	REFUSED_AS("x2apic_without_tpr_shadow", "!nested_cpu_has(vmcs12, CPU_BASED_TPR_SHADOW)",
		   .needs = "vmx:virtualize_x2apic",
		   .edits = { VMCS_SET(PROC_CONTROLS, PROC_SECONDARY),
			      VMCS_VALUE(PROC2_CONTROLS, PROC2_VIRTUALIZE_X2APIC) }),
	REFUSED_AS("x2apic_with_apic_accesses",
		   "nested_cpu_has_virt_x2apic_mode(vmcs12) && "
		   "nested_cpu_has2(vmcs12, SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES)",
		   .needs = "vmx:virtualize_x2apic vmx:virtualize_apic_accesses", .prepare = use_apic_accesses,
		   .edits = { VMCS_SET(PROC2_CONTROLS, PROC2_VIRTUALIZE_X2APIC) }),

	/* A field whose control is off may say anything, with other secondary controls or without any. */
	LEGAL("virtual_apic_off", VMCS_VALUE(VIRTUAL_APIC_ADDRESS, 0x801), VMCS_VALUE(TPR_THRESHOLD, ~0u)),
	LEGAL("secondary_off", VMCS_VALUE(APIC_ACCESS_ADDRESS, 0x801), VMCS_VALUE(EPT_POINTER, ~0ull),
	      VMCS_VALUE(PML_ADDRESS, 0x801), VMCS_VALUE(VMREAD_BITMAP, 0x801)),
	LEGAL_AS("apic_access_off", .secondary = PROC2_RDTSCP, .needs = "vmx:rdtscp",
		 .edits = { VMCS_VALUE(APIC_ACCESS_ADDRESS, 0x801), VMCS_VALUE(EPT_POINTER, ~0ull),
			    VMCS_VALUE(PML_ADDRESS, 0x801), VMCS_VALUE(VPID, 0) }),
	LEGAL_AS("vmcs_bitmaps_off", .secondary = PROC2_RDTSCP, .needs = "vmx:rdtscp",
		 .edits = { VMCS_VALUE(VMREAD_BITMAP, 0x801), VMCS_VALUE(VMWRITE_BITMAP, ~0ull),
			    VMCS_VALUE(EPTP_LIST_ADDRESS, 0x801), VMCS_VALUE(VM_FUNCTION_CONTROLS, ~0ull) }),

	REFUSED("virtual_nmis_alone",
		"!nested_cpu_has_nmi_exiting(vmcs12) && nested_cpu_has_virtual_nmis(vmcs12)",
		VMCS_SET(PIN_CONTROLS, PIN_VIRTUAL_NMIS)),
	REFUSED("nmi_window_alone",
		"!nested_cpu_has_virtual_nmis(vmcs12) && nested_cpu_has(vmcs12, CPU_BASED_NMI_WINDOW_EXITING)",
		VMCS_SET(PROC_CONTROLS, PROC_NMI_WINDOW_EXITING)),
	LEGAL("nmi_exiting", VMCS_SET(PIN_CONTROLS, PIN_NMI_EXITING)),
	LEGAL("virtual_nmis", VMCS_SET(PIN_CONTROLS, PIN_NMI_EXITING | PIN_VIRTUAL_NMIS)),
	REFUSED_AS("save_timer_alone", NULL, .needs = "vmx:preemption_timer",
		   .edits = { VMCS_SET(EXIT_CONTROLS, EXIT_SAVE_PREEMPTION_TIMER) }),

	REFUSED_AS("vpid_0", "nested_cpu_has_vpid(vmcs12) && !vmcs12->virtual_processor_id", .needs = "vmx:vpid",
		   .prepare = use_vpid, .edits = { VMCS_VALUE(VPID, 0) }),
	LEGAL_AS("vpid_1", .needs = "vmx:vpid", .prepare = use_vpid),
	LEGAL_AS("vpid_last", .needs = "vmx:vpid", .prepare = use_vpid, .edits = { VMCS_VALUE(VPID, 0xffff) }),
	REFUSED_AS("unrestricted_without_ept",
		   "nested_cpu_has2(vmcs12, SECONDARY_EXEC_UNRESTRICTED_GUEST) && !nested_cpu_has_ept(vmcs12)",
		   .needs = "vmx:unrestricted_guest",
		   .edits = { VMCS_SET(PROC_CONTROLS, PROC_SECONDARY),
			      VMCS_VALUE(PROC2_CONTROLS, PROC2_UNRESTRICTED_GUEST) }),
	LEGAL_AS("ept", .needs = "vmx:ept", .prepare = vmx_use_ept),
	LEGAL_AS("ept_unrestricted", .needs = "vmx:ept vmx:unrestricted_guest", .prepare = vmx_use_ept,
		 .edits = { VMCS_SET(PROC2_CONTROLS, PROC2_UNRESTRICTED_GUEST) }),
#define EPTP(label_, ...)								\
	REFUSED_AS(label_, EPTP_CHECK, .needs = "vmx:ept", .prepare = vmx_use_ept, ##__VA_ARGS__)
	EPTP("eptp_type_1", .edits = { { EPT_POINTER, 1, 7 } }),
	EPTP("eptp_type_7", .edits = { VMCS_SET(EPT_POINTER, 7) }),
	EPTP("eptp_walk_3", .edits = { { EPT_POINTER, 2ull << 3, 7ull << 3 } }),
	EPTP("eptp_walk_8", .edits = { VMCS_SET(EPT_POINTER, 7ull << 3) }),
	EPTP("eptp_bit7", .edits = { VMCS_SET(EPT_POINTER, 1ull << 7) }),
	EPTP("eptp_bit11", .edits = { VMCS_SET(EPT_POINTER, 1ull << 11) }),
	EPTP("eptp_bit63", .edits = { VMCS_SET(EPT_POINTER, 1ull << 63) }),

	PAGE("vmread_bitmap", VMREAD_BITMAP, "vmread_bitmap", .needs = "vmx:vmcs_shadowing", .prepare = use_shadowing),
	PAGE("vmwrite_bitmap", VMWRITE_BITMAP, "vmwrite_bitmap", .needs = "vmx:vmcs_shadowing",
	     .prepare = use_shadowing),
	LEGAL_AS("shadowing", .needs = "vmx:vmcs_shadowing", .prepare = use_shadowing),
	REFUSED_AS("pml_without_ept", "!nested_cpu_has_ept(vmcs12)", .needs = "vmx:pml",
		   .edits = { VMCS_SET(PROC_CONTROLS, PROC_SECONDARY), VMCS_VALUE(PROC2_CONTROLS, PROC2_PML) }),

	PAGE("pml", PML_ADDRESS, "pml_address", .needs = "vmx:pml vmx:ept", .prepare = use_pml),
	LEGAL_AS("pml", .needs = "vmx:pml vmx:ept", .prepare = use_pml),
	PAGE("eptp_list", EPTP_LIST_ADDRESS, "eptp_list_address", .needs = "vmx:vm_functions vmx:ept",
	     .prepare = use_eptp_list),
	LEGAL_AS("eptp_list", .needs = "vmx:vm_functions vmx:ept", .prepare = use_eptp_list),
	REFUSED_AS("eptp_list_without_ept", "!nested_cpu_has_ept(vmcs12)", .needs = "vmx:vm_functions vmx:ept",
		   .prepare = use_eptp_list, .edits = { VMCS_CLEAR(PROC2_CONTROLS, PROC2_EPT) }),
	REFUSED_AS("vm_function_1", "vmcs12->vm_function_control & ~vmx->nested.msrs.vmfunc_controls",
		   .needs = "vmx:vm_functions vmx:ept", .prepare = use_eptp_list,
		   .edits = { VMCS_SET(VM_FUNCTION_CONTROLS, 2) }),
	LEGAL_AS("vm_functions_off", .needs = "vmx:vm_functions vmx:ept", .prepare = use_eptp_list,
		 .edits = { VMCS_CLEAR(PROC2_CONTROLS, PROC2_VM_FUNCTIONS), VMCS_VALUE(VM_FUNCTION_CONTROLS, ~0ull),
			    VMCS_SET(EPTP_LIST_ADDRESS, 1) }),
	LEGAL_AS("eptp_ad", .needs = "vmx:ept_ad", .prepare = vmx_use_ept, .edits = { VMCS_SET(EPT_POINTER, EPTP_AD) }),

	REFUSED("entry_msrs_misaligned", ENTRY_MSR_CHECK, VMCS_VALUE(ENTRY_MSR_LOAD_COUNT, 1),
		VMCS_VALUE(ENTRY_MSR_LOAD_ADDRESS, 0x300008)),
	REFUSED_AS("entry_msrs_beyond", ENTRY_MSR_CHECK, .beyond = ENTRY_MSR_LOAD_ADDRESS,
		   .edits = { VMCS_VALUE(ENTRY_MSR_LOAD_COUNT, 1) }),
	/* The first byte is within the physical width, the last one is not. */
	REFUSED_AS("entry_msrs_across", ENTRY_MSR_CHECK, .top = ENTRY_MSR_LOAD_ADDRESS,
		   .edits = { VMCS_VALUE(ENTRY_MSR_LOAD_COUNT, 257) }),
	LEGAL("entry_msrs_none", VMCS_VALUE(ENTRY_MSR_LOAD_ADDRESS, 0x300008)),
	REFUSED("exit_load_msrs_misaligned", EXIT_MSR_CHECK, VMCS_VALUE(EXIT_MSR_LOAD_COUNT, 1),
		VMCS_VALUE(EXIT_MSR_LOAD_ADDRESS, 0x300004)),
	REFUSED_AS("exit_load_msrs_beyond", EXIT_MSR_CHECK, .beyond = EXIT_MSR_LOAD_ADDRESS,
		   .edits = { VMCS_VALUE(EXIT_MSR_LOAD_COUNT, 1) }),
	REFUSED_AS("exit_load_msrs_across", EXIT_MSR_CHECK, .top = EXIT_MSR_LOAD_ADDRESS,
		   .edits = { VMCS_VALUE(EXIT_MSR_LOAD_COUNT, 257) }),
	REFUSED("exit_store_msrs_misaligned", EXIT_MSR_CHECK, VMCS_VALUE(EXIT_MSR_STORE_COUNT, 1),
		VMCS_VALUE(EXIT_MSR_STORE_ADDRESS, 0x300001)),
	REFUSED_AS("exit_store_msrs_beyond", EXIT_MSR_CHECK, .beyond = EXIT_MSR_STORE_ADDRESS,
		   .edits = { VMCS_VALUE(EXIT_MSR_STORE_COUNT, 1) }),
	REFUSED_AS("exit_store_msrs_across", EXIT_MSR_CHECK, .top = EXIT_MSR_STORE_ADDRESS,
		   .edits = { VMCS_VALUE(EXIT_MSR_STORE_COUNT, 257) }),
	LEGAL("exit_msrs_none", VMCS_VALUE(EXIT_MSR_LOAD_ADDRESS, 0x300008),
	      VMCS_VALUE(EXIT_MSR_STORE_ADDRESS, ~0ull)),

	REFUSED("event_type_1", "intr_type == INTR_TYPE_RESERVED", EVENT(INTR_RESERVED | 0x20)),
	REFUSED("event_nmi_3", "intr_type == INTR_TYPE_NMI_INTR && vector != NMI_VECTOR", EVENT(INTR_NMI | 3)),
	REFUSED("event_exception_32", "intr_type == INTR_TYPE_HARD_EXCEPTION && vector > 31",
		EVENT(INTR_HARDWARE_EXCEPTION | 32)),
	REFUSED_AS("event_other_1", "intr_type == INTR_TYPE_OTHER_EVENT && vector != 0",
		   .needs = "vmx:monitor_trap_flag", .edits = { EVENT(INTR_OTHER_EVENT | 1) }),
	REFUSED("event_gp_without_code", ERROR_CODE_CHECK, EVENT(INTR_HARDWARE_EXCEPTION | GP_VECTOR)),
	REFUSED("event_pf_without_code", ERROR_CODE_CHECK, EVENT(INTR_HARDWARE_EXCEPTION | PF_VECTOR)),
	REFUSED("event_ud_with_code", ERROR_CODE_CHECK, EVENT(INTR_HARDWARE_EXCEPTION | INTR_ERROR_CODE | UD_VECTOR)),
	REFUSED("event_interrupt_with_code", ERROR_CODE_CHECK, EVENT(INTR_EXTERNAL | INTR_ERROR_CODE | 0x20)),
	REFUSED("event_soft_with_code", ERROR_CODE_CHECK, EVENT(INTR_SOFTWARE_INTERRUPT | INTR_ERROR_CODE | GP_VECTOR),
		VMCS_VALUE(ENTRY_INSN_LENGTH, 2)),
	REFUSED("event_code_bit16",
		"has_error_code && vmcs12->vm_entry_exception_error_code & GENMASK(31, 16)",
		EVENT(INTR_HARDWARE_EXCEPTION | INTR_ERROR_CODE | GP_VECTOR), VMCS_VALUE(ENTRY_ERROR_CODE, 0x10000)),
	REFUSED("event_bit12", "intr_info & INTR_INFO_RESVD_BITS_MASK", EVENT(INTR_EXTERNAL | 1u << 12 | 0x20)),
	REFUSED("event_bit30", "intr_info & INTR_INFO_RESVD_BITS_MASK", EVENT(INTR_EXTERNAL | 1u << 30 | 0x20)),
	REFUSED("event_length_16", "vmcs12->vm_entry_instruction_len > 15", EVENT(INTR_SOFTWARE_INTERRUPT | 0x80),
		VMCS_VALUE(ENTRY_INSN_LENGTH, 16)),
	REFUSED("event_length_16_bp", "vmcs12->vm_entry_instruction_len > 15",
		EVENT(INTR_SOFTWARE_EXCEPTION | BP_VECTOR), VMCS_VALUE(ENTRY_INSN_LENGTH, 16)),
	REFUSED("event_length_16_privileged", "vmcs12->vm_entry_instruction_len > 15",
		EVENT(INTR_PRIVILEGED_EXCEPTION | DB_VECTOR), VMCS_VALUE(ENTRY_INSN_LENGTH, 16)),
	REFUSED("event_code_bit31",
		"has_error_code && vmcs12->vm_entry_exception_error_code & GENMASK(31, 16)",
		EVENT(INTR_HARDWARE_EXCEPTION | INTR_ERROR_CODE | GP_VECTOR), VMCS_VALUE(ENTRY_ERROR_CODE, 1u << 31)),
	REFUSED("event_nmi_0", "intr_type == INTR_TYPE_NMI_INTR && vector != NMI_VECTOR", EVENT(INTR_NMI)),
	REFUSED("event_exception_255", "intr_type == INTR_TYPE_HARD_EXCEPTION && vector > 31",
		EVENT(INTR_HARDWARE_EXCEPTION | 255)),
	REFUSED("event_df_without_code", ERROR_CODE_CHECK, EVENT(INTR_HARDWARE_EXCEPTION | DF_VECTOR)),
	REFUSED("event_ts_without_code", ERROR_CODE_CHECK, EVENT(INTR_HARDWARE_EXCEPTION | TS_VECTOR)),
	REFUSED("event_np_without_code", ERROR_CODE_CHECK, EVENT(INTR_HARDWARE_EXCEPTION | NP_VECTOR)),
	REFUSED("event_ss_without_code", ERROR_CODE_CHECK, EVENT(INTR_HARDWARE_EXCEPTION | SS_VECTOR)),
	REFUSED("event_ac_without_code", ERROR_CODE_CHECK, EVENT(INTR_HARDWARE_EXCEPTION | AC_VECTOR)),
	REFUSED("event_nmi_with_code", ERROR_CODE_CHECK, EVENT(INTR_NMI | INTR_ERROR_CODE | NMI_VECTOR)),
	/* An event that is not valid may say anything. */
	LEGAL("event_not_valid", VMCS_VALUE(ENTRY_INTR_INFO, 0x7fffffff), VMCS_VALUE(ENTRY_ERROR_CODE, ~0u),
	      VMCS_VALUE(ENTRY_INSN_LENGTH, ~0u)),
};

CASE(entry_controls, .says = "controls that are not allowed fail the entry with error 7", .modes = LONG64,
     .needs = "vendor:intel nested", .rows = ROWS(rows))

GUEST(entry_controls)
{
	entry_row_run(GUEST_ROW(rows));
}

HOST(entry_controls)
{
	expect_done(t);
	expect_entry_refused(t, ROW(t, rows)->check);
}
