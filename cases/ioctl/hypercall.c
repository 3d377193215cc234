/* SPDX-License-Identifier: MIT */
/*
 * VMMCALL: the number is RAX, the arguments RBX, RCX, RDX, RSI, the result RAX; 32 bits of each outside 64-bit code.
 *
 * A number that KVM does not know gives -KVM_ENOSYS (-1000). KVM_HC_VAPIC_POLL_IRQ gives 0. KVM_HC_MAP_GPA_RANGE leaves
 * to user space once KVM_CAP_EXIT_HYPERCALL is enabled for it and its range is whole pages without wrapping, else it is
 * refused (-KVM_EINVAL, or -KVM_ENOSYS when not enabled). VMCALL, Intel's word, is rewritten into VMMCALL in the guest's
 * memory, unless KVM_X86_QUIRK_FIX_HYPERCALL_INSN is disabled.
 *
 * Can break: the number or the result not cut to 32 bits; RIP behind the instruction twice or not at all; the answer
 * of user space not reaching RAX; other registers lost; a wrong opcode patched in.
 * Source: KVM hypercall ABI (Documentation/virt/kvm/x86/hypercalls.rst); KVM API, KVM_EXIT_HYPERCALL,
 * KVM_CAP_EXIT_HYPERCALL, KVM_CAP_DISABLE_QUIRKS2.
 */
#include "cases/ioctl/blob.h"

BLOB(vmmcall, "vmmcall")
BLOB(vmcall, "vmcall\n\tnop")

#define NR_MAP_GPA_RANGE 12
#define RESULT(value_) .out = { REG(RAX, (uint64_t)(value_)) }
#define RANGE(gpa_, pages_)								\
	.in = { REG(RAX, NR_MAP_GPA_RANGE), REG(RBX, gpa_), REG(RCX, pages_), REG(RDX, 0x15) }

struct row {
	struct blob_row blob;
	uint64_t enabled;	/* KVM_CAP_EXIT_HYPERCALL */
	bool exits;
	bool patches;
};

static const struct row rows[] = {
	{ .blob = { .label = "unknown", BLOB_OF(vmmcall), RESULT(-1000) } },
	{ .blob = { .label = "unknown_0", BLOB_OF(vmmcall), .in = { REG(RAX, 0) }, RESULT(-1000) } },
	{ .blob = { .label = "unknown_all_ones", BLOB_OF(vmmcall), .in = { REG(RAX, -1ull) }, RESULT(-1000) } },
	{ .blob = { .label = "poll_irq", BLOB_OF(vmmcall), .in = { REG(RAX, 1) }, RESULT(0) } },
	{ .blob = { .label = "poll_irq_upper", .modes = LONG64, BLOB_OF(vmmcall), .in = { REG(RAX, 0x100000001) },
		    RESULT(-1000) } },
	{ .blob = { .label = "map_disabled", BLOB_OF(vmmcall), RANGE(0x3000, 2), RESULT(-1000) } },
	{ .blob = { .label = "map", BLOB_OF(vmmcall), .needs = "KVM_CAP_EXIT_HYPERCALL", RANGE(0x3000, 2),
		    RESULT(0x80001234) }, .enabled = 1 << NR_MAP_GPA_RANGE, .exits = true },
	{ .blob = { .label = "map_result_64", .modes = LONG64, .needs = "KVM_CAP_EXIT_HYPERCALL", BLOB_OF(vmmcall),
		    RANGE(0x123456789a000, 1), RESULT(0x8000123455667788) },
	  .enabled = 1 << NR_MAP_GPA_RANGE, .exits = true },
	{ .blob = { .label = "map_unaligned", BLOB_OF(vmmcall), .needs = "KVM_CAP_EXIT_HYPERCALL", RANGE(0x3001, 2),
		    RESULT(-22) }, .enabled = 1 << NR_MAP_GPA_RANGE },
	{ .blob = { .label = "map_no_pages", BLOB_OF(vmmcall), .needs = "KVM_CAP_EXIT_HYPERCALL", RANGE(0x3000, 0),
		    RESULT(-22) }, .enabled = 1 << NR_MAP_GPA_RANGE },
	{ .blob = { .label = "map_wraps", .modes = LONG64, .needs = "KVM_CAP_EXIT_HYPERCALL", BLOB_OF(vmmcall),
		    RANGE(0x3000, -1ull), RESULT(-22) }, .enabled = 1 << NR_MAP_GPA_RANGE },
	{ .blob = { .label = "vmcall_patched", .needs = "vendor:amd", BLOB_OF(vmcall), RESULT(-1000) },
	  .patches = true },
};

CASE(hypercall, .says = "VMMCALL answers in RAX, as wide as the mode", .modes = REAL16 | PROT32 | LONG64,
     .needs = "vendor:amd", .rows = ROWS(rows))

GUEST(hypercall)
{
}

static void expect_hypercall(struct test *t, const struct row *row, struct kvm_regs regs)
{
	struct kvm_regs got;

	expect_exit(t, .reason = KVM_EXIT_HYPERCALL,
		    .hypercall = { .nr = NR_MAP_GPA_RANGE, .args = { regs.rbx, regs.rcx, regs.rdx },
				   .longmode = t->mode == LONG64 });
	vcpu_ioctl(t->vcpu, KVM_GET_REGS, &got);
	expect_regs(t, &regs, &got);
	t->vcpu->run->hypercall.ret = row->blob.out[0].value;
}

/* The blob's HLT, and what blob_run() compares; the exit before it is not one of its steps. */
HOST(hypercall)
{
	static const uint8_t patched[] = { 0x0f, 0x01, 0xd9, 0x90, 0xf4 };
	const struct row *row = ROW(t, rows);
	uint64_t code = guest_symbol(t, row->blob.blob.begin);
	struct kvm_regs start, want, got;

	if (row->enabled)
		vm_ioctl(t->vm, KVM_ENABLE_CAP, (&(struct kvm_enable_cap){
			.cap = KVM_CAP_EXIT_HYPERCALL, .args = { row->enabled } }));
	if (!row->exits) {
		blob_run(t, &row->blob);
	} else {
		blob_enter(t, &row->blob, &start);
		expect_hypercall(t, row, start);
		require_hlt(t);
		want = start;
		blob_regs_after(t, &row->blob, guest_symbol(t, row->blob.blob.end), &want);
		vcpu_ioctl(t->vcpu, KVM_GET_REGS, &got);
		expect_regs(t, &want, &got);
	}
	if (row->patches)
		expect_bytes(t, patched, vm_hva(t->vm, code, sizeof(patched)), sizeof(patched));
}
