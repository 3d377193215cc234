/* SPDX-License-Identifier: MIT */
/*
 * INIT waits while GIF is clear, after CLGI or after the #VMEXIT that it makes itself, and comes at STGI.
 *
 * Can break: INIT lost at the exit, taken at once behind it, or not seen at an STGI that is no exit of its own.
 * Source: APM vol. 2, 15.13.4, 15.17, 14.1.3.
 */
#include <string.h>

#include "cases/ioctl/lapic_regs.h"
#include "guests/l1_svm.h"
#include "case.h"

#define L2_PORT 0x81
#define RESET_PORT 0x82
#define RESET_PAGE 0xfffff000ull	/* the reset vector's */
#define INIT_DATA 0x4500		/* of the message: delivery mode INIT, assert */

INSN(n_l2, "out %al, $0x81\n\tn_l2_next: nop\n\tvmmcall")
extern const char n_l2_next[] GUEST_API;

enum where { L2, L1_GIF_CLEAR };

struct row {
	ROW_FIELDS;
	enum where where;
	bool is_open;	/* L1 sets GIF in the end */
};

#define GIF_OF_KVM .is_open = true, .needs = "param:kvm_amd.vgif=0"
#define GIF_OF_CPU									\
	.is_open = true, .needs = "param:kvm_amd.vgif=1", .known = { "1109-init-unseen-at-virtual-stgi" }

static const struct row rows[] = {
	{ .label = "exits", .where = L2 }, { .label = "gif_clear", .where = L1_GIF_CLEAR },
	{ .label = "exits_then_stgi", .where = L2, GIF_OF_KVM },
	{ .label = "gif_clear_then_stgi", .where = L1_GIF_CLEAR, GIF_OF_KVM },
	{ .label = "exits_then_stgi_vgif", .where = L2, GIF_OF_CPU },
	{ .label = "gif_clear_then_stgi_vgif", .where = L1_GIF_CLEAR, GIF_OF_CPU },
};

CASE(init_gif, .says = "INIT waits for GIF", .modes = LONG64,
     .needs = "vendor:amd nested KVM_CAP_SIGNAL_MSI KVM_CAP_NESTED_STATE", .irqchip = true, .rows = ROWS(rows))

GUEST(init_gif)
{
	const struct row *row = GUEST_ROW(rows);

	write32(APIC_SVR, SVR_ENABLE | 0xff);
	l1_svm_init();
	if (row->where == L1_GIF_CLEAR) {
		clgi();
		out8(L2_PORT, 0);
	} else {
		vmcb_intercept(&l1_vmcb, SVM_EXIT_INIT);
		l1_vmcb.save.rip = (ulong_t)n_l2;
		/* Not vmcb_run(), which sets GIF. */
		__asm__ volatile("vmrun" : : "a"(&l1_vmcb) : "memory");
		CHECK_EXIT(.code = SVM_EXIT_INIT, .rip = (ulong_t)n_l2_next);
	}
	guest_sync(1);
	guest_sync(2);
	stgi();
	/* The vCPU is at its reset vector by now. */
	CHECK(false);
}

static void expect_reset(struct test *t)
{
	struct kvm_nested_state nested = { .size = sizeof(nested) };
	struct kvm_sregs sregs;

	expect_pio_out(t, .port = RESET_PORT, .size = 1, .count = 1, .data = 0x5a);
	vcpu_ioctl(t->vcpu, KVM_GET_SREGS, &sregs);
	expect_eq(t, 0xffff0000, sregs.cs.base);
	expect_eq(t, 0xf000, sregs.cs.selector);
	expect_eq(t, 0, sregs.efer);
	expect_eq(t, 0, sregs.cr0 & (X86_CR0_PE | X86_CR0_PG));
	expect_eq(t, 0, sregs.cr4);
	require_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_GET_NESTED_STATE, &nested));
	expect_eq(t, KVM_STATE_NESTED_GIF_SET, nested.flags);
}

HOST(init_gif)
{
	static const uint8_t reset_code[] = { 0xb0, 0x5a, 0xe6, RESET_PORT };	/* MOV AL, 5Ah; OUT 82h, AL */
	const struct row *row = ROW(t, rows);
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = INIT_DATA };
	uint8_t *page = vm_slot_add(t->vm, 1, 0, RESET_PAGE, 0x1000);

	memcpy(page + 0xff0, reset_code, sizeof(reset_code));
	require_pio_out(t, .port = L2_PORT, .size = 1, .count = 1, .data = 0);
	vcpu_settle(t);
	expect_result(t, 1, vm_ioctl_try(t->vm, KVM_SIGNAL_MSI, &msi));
	require_sync(t, 1);
	require_sync(t, 2);
	if (row->is_open)
		expect_reset(t);
}
