/* SPDX-License-Identifier: MIT */
/*
 * What the CPU writes for L1, KVM writes: the state and the exit fields of a VMCB at a #VMEXIT, also at that of a VMRUN
 * that is refused, and what VMSAVE saves. The page is in the dirty log each time.
 *
 * Can break: a page that is mapped for writing and given back as if it had been read only. A migration loses what it says.
 * Source: APM vol. 2, 15.5.1, 15.6; vol. 3, VMSAVE; KVM API, 4.8 KVM_GET_DIRTY_LOG.
 */
#include "cases/mmu/dirty.h"
#include "guests/l1_svm.h"

#define NR_PAGES 70
#define VMCB_PAGE 66

INSN(d_stop, "out %al, $0x80\n\td_end: vmmcall")
extern const char d_end[] GUEST_API;

enum what { EXIT, REFUSED, REFUSED_LATE, VMSAVE };

struct row {
	ROW_FIELDS;
	enum what what;
};

static const struct row rows[] = {
	{ .label = "exit", .what = EXIT }, { .label = "refused", .what = REFUSED },
	/* The permission map has no memory: found out behind the other checks. */
	{ .label = "refused_late", .what = REFUSED_LATE }, { .label = "vmsave", .what = VMSAVE },
};

/* A CPU alone keeps no log; where nested state can be had, L1 is a guest of KVM. */
CASE(vmcb_dirty, .says = "a VMCB that is written for L1 is in the dirty log", .modes = LONG64,
     .needs = "vendor:amd nested KVM_CAP_NESTED_STATE", .rows = ROWS(rows))

static void vmcb_make(struct vmcb *vmcb, enum what what)
{
	*vmcb = l1_vmcb;
	vmcb->save.rip = what == EXIT ? (ulong_t)d_stop : (ulong_t)d_end;
	if (what == REFUSED)
		vmcb->control.asid = 0;
	if (what == REFUSED_LATE) {
		vmcb->control.msrpm_base_pa = MMIO_GPA;
		vmcb_intercept(vmcb, SVM_EXIT_MSR);
	}
}

GUEST(vmcb_dirty)
{
	enum what what = GUEST_ROW(rows)->what;
	struct vmcb *vmcb = (struct vmcb *)(DIRTY_GPA + VMCB_PAGE * PAGE);

	l1_svm_init();
	vmcb_make(vmcb, what);
	guest_sync(1);
	if (what == VMSAVE)
		CHECK_EQ(NO_VECTOR, vmsave_try((ulong_t)vmcb).vector);
	else
		vmcb_run(vmcb);
	guest_sync(2);
	if (what != VMSAVE)
		CHECK_EQ(what == EXIT ? SVM_EXIT_VMMCALL : -1ull, vmcb->control.exit_code);
}

static void log_forget(struct test *t)
{
	uint64_t bits[MAX_WORDS];
	struct kvm_dirty_log log = { .slot = DIRTY_SLOT, .dirty_bitmap = bits };

	require_result(t, 0, vm_ioctl_try(t->vm, KVM_GET_DIRTY_LOG, &log));
}

HOST(vmcb_dirty)
{
	vm_slot_add(t->vm, DIRTY_SLOT, KVM_MEM_LOG_DIRTY_PAGES, DIRTY_GPA, NR_PAGES * PAGE);
	require_sync(t, 1);
	log_forget(t);
	/* That it is dirty from VMRUN on is no fault, but it is not enough. */
	if (ROW(t, rows)->what == EXIT) {
		require_pio_out(t, .port = 0x80, .size = 1, .count = 1);
		log_forget(t);
	}
	require_sync(t, 2);
	LOG_EXPECT(t, DIRTY_SLOT, NR_PAGES, VMCB_PAGE);
	expect_done(t);
}
