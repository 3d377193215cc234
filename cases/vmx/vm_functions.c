/* SPDX-License-Identifier: MIT */
/*
 * VMFUNC: function 0 takes another EPT of L1's list, without an exit and with all registers; what L1 did not enable, an
 * index beyond the list and an EPT pointer that no entry would take exit. Outside of L2 there is no VMFUNC.
 *
 * Can break: the old EPT's translations, a list entry that is not checked, the exit's length.
 * Source: SDM vol. 3C, 26.5.6.
 */
#include "case.h"
#include "guests/l1_vmx.h"

#define PAGE 0x380000ul
#define OTHER_PAGE 0x390000ul
#define LIST_ENTRIES 512

/* RAX is the function, RCX the index; RBX becomes what L2 finds in its page then. */
INSN(function_code, "vmfunc\n.globl function_next\nfunction_next:\n\tmov 0x380000, %rbx\n\tret")
extern const char function_next[] __attribute__((weak));

struct row {
	ROW_FIELDS;
	uint64_t rax, rcx;
	uint64_t flip_eptp;	/* of the list's entry 1 */
	uint64_t controls;	/* which functions L1 enables */
	bool is_exit;
	uint64_t found;
};

#define EXITS(label_, rax_, rcx_, ...) { .label = label_, .rax = rax_, .rcx = rcx_, .controls = 1, .is_exit = true, ##__VA_ARGS__ }
#define FINDS(label_, rcx_, found_) { .label = label_, .rcx = rcx_, .controls = 1, .found = found_ }

static const struct row rows[] = {
	FINDS("same", 0, 0x1111),
	FINDS("other", 1, 0x2222),
	/* Only ECX counts. */
	FINDS("other_high", 1ull << 32 | 1, 0x2222),
	EXITS("last_is_empty", 0, LIST_ENTRIES - 1),
	EXITS("beyond_list", 0, LIST_ENTRIES),
	EXITS("far_beyond_list", 0, 0xffffffff),
	EXITS("bad_type", 0, 1, .flip_eptp = 1),
	EXITS("bad_walk", 0, 1, .flip_eptp = 7ull << 3),
	EXITS("bad_bit7", 0, 1, .flip_eptp = 1ull << 7),
	EXITS("function_1", 1, 0),
	EXITS("function_63", 63, 0),
	{ .label = "not_enabled", .is_exit = true },
};

CASE(vm_functions, .says = "VMFUNC switches L2's EPT, or exits", .modes = LONG64,
     .needs = "vendor:intel nested vmx:vm_functions vmx:ept", .rows = ROWS(rows))

/* The same as the current EPT, but PAGE is OTHER_PAGE. */
static uint64_t other_eptp(void)
{
	uint64_t *root = vmx.ept_root, eptp = vmcs_read(EPT_POINTER), other;

	vmx_use_ept();
	*ept_find(PAGE, 1) = OTHER_PAGE | EPTE_RWX | EPTE_WB;
	other = vmcs_read(EPT_POINTER);
	vmx.ept_root = root;
	vmcs_write(EPT_POINTER, eptp);
	return other;
}

static void check_exit(const struct row *row, struct vmx_exit *want)
{
	want->reason = EXIT_REASON_VMFUNC;
	want->insn_length = 3;
	CHECK_EXIT(want);
	CHECK_EQ(row->rax, vmx.gprs.rax);
	CHECK_EQ(row->rcx, vmx.gprs.rcx);
	/* The EPT is the one that it was. */
	vmx_skip_insn();
	vmx_run();
	CHECK_L2_DONE();
	CHECK_EQ(0x1111, vmx.gprs.rbx);
}

GUEST(vm_functions)
{
	const struct row *row = GUEST_ROW(rows);
	struct vmx_exit want;
	uint64_t *list;
	struct fault f;

	*(volatile uint64_t *)PAGE = 0x1111;
	*(volatile uint64_t *)OTHER_PAGE = 0x2222;
	vmx_start();
	f = TRY("vmfunc", : : "a"(0), "c"(0));
	CHECK_FAULT(UD_VECTOR, 0, f);
	vmx_use_ept();
	list = page_alloc();
	list[0] = vmcs_read(EPT_POINTER);
	list[1] = other_eptp() ^ row->flip_eptp;
	vmcs_write(EPTP_LIST_ADDRESS, (ulong_t)list);
	vmcs_write(VM_FUNCTION_CONTROLS, row->controls);
	vmx_use_secondary(PROC2_VM_FUNCTIONS);
	vmx_aim(function_code);
	vmx.gprs.rax = row->rax;
	vmx.gprs.rcx = row->rcx;
	vmx_state_read(&want);
	vmx_run();
	if (row->is_exit) {
		check_exit(row, &want);
		return;
	}
	CHECK_EQ(VMX_OK, vmx.exit.outcome);
	CHECK_L2_DONE();
	CHECK_EQ(row->found, vmx.gprs.rbx);
	CHECK_EQ(list[(uint32_t)row->rcx], vmcs_read(EPT_POINTER));
}

HOST(vm_functions)
{
	expect_done(t);
}
