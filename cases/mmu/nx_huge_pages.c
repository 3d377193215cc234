/* SPDX-License-Identifier: MIT */
/*
 * With kvm.nx_huge_pages a huge page is mapped without the right to execute; where the guest executes, single pages take
 * its place, and are counted, until the recovery thread takes them back. The parameter changes under running VMs, whose
 * mappings are made anew. None of it shows in the guest but by its time.
 *
 * Can break: a guest that is stuck in page faults, an executable huge page in spite of the parameter, a count that is
 * not taken back, single pages kept for ever, a value that is accepted or refused for another.
 * Source: admin-guide/hw-vuln/multihit.rst; admin-guide/kernel-parameters.txt, kvm.nx_huge_pages and
 * kvm.nx_huge_pages_recovery_ratio. The statistics pages_2m and nx_lpage_splits show it.
 */
#include "cases/mmu/host_page.h"

#include "cases/ioctl/stats.h"

#define SLOT 1
#define GPA 0x40000000ul
#define PAGE 4096ul
#define EXECUTE 1ul	/* of the guest's argument 0: call what is there; else read it */
#define RET 0xc3
#define PATIENCE 1000	/* times 10 ms */

GUEST(nx_huge_pages)
{
	uint32_t stage;

	for (stage = 1;; stage++) {
		ulong_t at;

		guest_sync(stage);
		at = GUEST_ARG(0);
		if (at & EXECUTE)
			((void (*)(void))(at & ~EXECUTE))();
		else if (at)
			CHECK_EQ(RET, read8(at));
	}
}

struct setting {
	uint8_t *ram;
	struct kvm_param nx;
	uint64_t nr_huge;	/* mapped before the slot was */
};

static void visit(struct test *t, uint64_t at)
{
	guest_arg(t, 0, at);
	require_sync(t, guest_page(t, 0)->stage + 1);
}

static void expect_counts(struct test *t, const struct setting *setting, uint64_t huge, uint64_t splits)
{
	expect_eq(t, setting->nr_huge + huge, stat_get(t, t->vm->fd, "pages_2m"));
	expect_eq(t, splits, stat_get(t, t->vm->fd, "nx_lpage_splits"));
}

/* The guest runs; a slot of two huge pages full of RET, not mapped yet. */
static struct setting start(struct test *t, const char *nx)
{
	struct setting setting = { .ram = host_huge_map(t, 2) };

	memset(setting.ram, RET, 2 * HUGE_BYTES);
	require_result(t, 0, vm_region_try(t->vm, SLOT, 0, GPA, 2 * HUGE_BYTES, setting.ram));
	require_sync(t, 1);
	setting.nx = kvm_param_set(t, "nx_huge_pages", nx);
	visit(t, 0);
	setting.nr_huge = stat_get(t, t->vm->fd, "pages_2m");
	return setting;
}

static void executed(struct test *t)
{
	struct setting setting = start(t, "force");
	uint64_t splits = stat_get(t, t->vm->fd, "nx_lpage_splits");

	visit(t, GPA + PAGE);
	expect_counts(t, &setting, 1, splits);
	visit(t, (GPA + 2 * PAGE) | EXECUTE);
	expect_counts(t, &setting, 0, splits + 1);
	/* The rest of it stays small, and its neighbour is huge. */
	visit(t, GPA + 3 * PAGE);
	visit(t, (GPA + 511 * PAGE) | EXECUTE);
	expect_counts(t, &setting, 0, splits + 1);
	visit(t, GPA + HUGE_BYTES + 7 * PAGE);
	expect_counts(t, &setting, 1, splits + 1);
	/* Executed before it was read. */
	visit(t, (GPA + HUGE_BYTES) | EXECUTE);
	expect_counts(t, &setting, 0, splits + 2);
	kvm_param_restore(t, &setting.nx);
}

static void off(struct test *t)
{
	struct setting setting = start(t, "off");

	visit(t, (GPA + 2 * PAGE) | EXECUTE);
	visit(t, (GPA + HUGE_BYTES) | EXECUTE);
	expect_counts(t, &setting, 2, 0);
	kvm_param_restore(t, &setting.nx);
}

/* On and off again under one VM: what was small is huge again, and the reverse. */
static void turned(struct test *t)
{
	struct setting setting = start(t, "off");

	visit(t, (GPA + PAGE) | EXECUTE);
	expect_counts(t, &setting, 1, 0);
	require_result(t, 0, kvm_param_set_try("nx_huge_pages", "force"));
	visit(t, (GPA + PAGE) | EXECUTE);
	expect_true(t, stat_get(t, t->vm->fd, "nx_lpage_splits") >= 1);
	require_result(t, 0, kvm_param_set_try("nx_huge_pages", "off"));
	visit(t, (GPA + PAGE) | EXECUTE);
	expect_counts(t, &setting, 1, 0);
	kvm_param_restore(t, &setting.nx);
}

static void recovered(struct test *t)
{
	struct kvm_param ratio = kvm_param_set(t, "nx_huge_pages_recovery_ratio", "1");
	struct setting setting = start(t, "force");
	struct kvm_param period;
	unsigned int i;

	visit(t, (GPA + 2 * PAGE) | EXECUTE);
	visit(t, (GPA + HUGE_BYTES) | EXECUTE);
	expect_true(t, stat_get(t, t->vm->fd, "nx_lpage_splits") >= 2);
	period = kvm_param_set(t, "nx_huge_pages_recovery_period_ms", "1");
	for (i = 0; stat_get(t, t->vm->fd, "nx_lpage_splits") && i < PATIENCE; i++)
		usleep(10000);
	kvm_param_restore(t, &period);
	expect_eq(t, 0, stat_get(t, t->vm->fd, "nx_lpage_splits"));
	/* Nothing was lost, and what is only read is huge. */
	visit(t, GPA + 2 * PAGE);
	visit(t, GPA + HUGE_BYTES);
	expect_counts(t, &setting, 2, 0);
	visit(t, (GPA + 2 * PAGE) | EXECUTE);
	expect_counts(t, &setting, 1, 1);
	kvm_param_restore(t, &setting.nx);
	kvm_param_restore(t, &ratio);
}

static void expect_nx(struct test *t, const char *want)
{
	char got[32];

	kvm_param_get(t, "nx_huge_pages", got, sizeof(got));
	test_check_text(t, AT_EXPECT, "nx_huge_pages", want, got);
}

static void values(struct test *t)
{
	struct setting setting = start(t, "force");

	expect_nx(t, "Y");
	expect_errno(t, EINVAL, kvm_param_set_try("nx_huge_pages", "maybe"));
	expect_errno(t, EINVAL, kvm_param_set_try("nx_huge_pages", "2"));
	expect_nx(t, "Y");
	expect_result(t, 0, kvm_param_set_try("nx_huge_pages", "0"));
	expect_nx(t, "N");
	expect_result(t, 0, kvm_param_set_try("nx_huge_pages", "Y"));
	expect_nx(t, "Y");
	expect_result(t, 0, kvm_param_set_try("nx_huge_pages", "off"));
	expect_nx(t, "N");
	expect_errno(t, EINVAL, kvm_param_set_try("nx_huge_pages_recovery_ratio", "-1"));
	expect_errno(t, EINVAL, kvm_param_set_try("nx_huge_pages_recovery_period_ms", "x"));
	kvm_param_restore(t, &setting.nx);
}

struct row {
	ROW_FIELDS;
	void (*host)(struct test *t);
};

static const struct row rows[] = {
	{ .label = "executed", .host = ON_HOST(executed) },
	{ .label = "off", .host = ON_HOST(off) },
	{ .label = "turned", .host = ON_HOST(turned) },
	{ .label = "recovered", .host = ON_HOST(recovered) },
	{ .label = "values", .host = ON_HOST(values) },
};

CASE(nx_huge_pages, .says = "under nx_huge_pages what the guest executes is in single pages, until they are recovered",
     .modes = LONG64, .needs = "lab root KVM_CAP_BINARY_STATS_FD KVM_CAP_SYNC_MMU", .rows = ROWS(rows), .alone = true,
     .shadow_too = true)

HOST(nx_huge_pages)
{
	ROW(t, rows)->host(t);
}
