/* SPDX-License-Identifier: MIT */
/*
 * KVM_GET_MSRS and KVM_SET_MSRS work through their list until one fails: the result is how many succeeded; those before
 * it are done, those behind it are not.
 *
 * Can break: the count off by one, an errno in place of the count, going on behind the failure, giving up before it, the
 * list's limit.
 * Source: KVM API, 4.18 and 4.19 (KVM_GET_MSRS, KVM_SET_MSRS).
 */
#include "case.h"

#include <string.h>

#include "cases/ioctl/vcpu_state.h"

#define BAD_MSR 0xdeadbeef
#define NR 5

static const uint32_t indices[NR] = {
	MSR_STAR, MSR_LSTAR, MSR_KERNEL_GS_BASE, MSR_SYSCALL_MASK, MSR_IA32_SYSENTER_CS,
};

struct row {
	ROW_FIELDS;
	unsigned int bad;	/* the position that fails; NR: none */
	bool by_value;		/* the MSR is known, its value is refused (not canonical) */
};

/* With ignore_msrs=1, KVM takes any MSR for a known one. */
#define NOT_IGNORED "param:kvm.ignore_msrs=0"

static const struct row rows[] = {
	{ .label = "none", .bad = NR },
	{ .label = "first", .bad = 0, .needs = NOT_IGNORED },
	{ .label = "second", .bad = 1, .needs = NOT_IGNORED },
	{ .label = "middle", .bad = 2, .needs = NOT_IGNORED },
	{ .label = "last", .bad = NR - 1, .needs = NOT_IGNORED },
	{ .label = "value_second", .bad = 1, .by_value = true },
	{ .label = "value_middle", .bad = 2, .by_value = true },
};

CASE(msr_partial, .says = "MSR lists stop at the first failure and say where", .modes = NO_GUEST, .rows = ROWS(rows))

struct list {
	struct kvm_msrs header;
	struct kvm_msr_entry entries[NR];
};

static void list_make(struct list *list, uint64_t base)
{
	unsigned int i;

	memset(list, 0, sizeof(*list));
	list->header.nmsrs = NR;
	for (i = 0; i < NR; i++)
		list->entries[i] = (struct kvm_msr_entry){ .index = indices[i], .data = base + i };
}

static void check_values(struct test *t, const uint64_t *want)
{
	struct list got;
	unsigned int i;

	list_make(&got, 0x5a5a);
	expect_result(t, NR, vcpu_ioctl_try(t->vcpu, KVM_GET_MSRS, &got.header));
	for (i = 0; i < NR; i++) {
		expect_eq(t, indices[i], got.entries[i].index);
		expect_eq(t, want[i], got.entries[i].data);
	}
}

static void check_set(struct test *t, const struct row *row, uint64_t *want)
{
	struct list list;
	unsigned int i;

	list_make(&list, 0x2000);
	if (row->bad < NR && row->by_value)
		list.entries[row->bad].data = 0x0000800000000000;
	else if (row->bad < NR)
		list.entries[row->bad].index = BAD_MSR;
	expect_result(t, row->bad, vcpu_ioctl_try(t->vcpu, KVM_SET_MSRS, &list.header));
	for (i = 0; i < row->bad; i++)
		want[i] = 0x2000 + i;
	check_values(t, want);
}

/* Those read have their value, those behind the failure keep what user space had there. */
static void check_get(struct test *t, const struct row *row, const uint64_t *want)
{
	struct list got;
	unsigned int i;

	list_make(&got, 0x9000);
	if (row->bad < NR)
		got.entries[row->bad].index = BAD_MSR;
	expect_result(t, row->bad, vcpu_ioctl_try(t->vcpu, KVM_GET_MSRS, &got.header));
	for (i = 0; i < NR; i++)
		if (i != row->bad)
			expect_eq(t, i < row->bad ? want[i] : 0x9000 + i, got.entries[i].data);
}

HOST(msr_partial)
{
	const struct row *row = ROW(t, rows);
	uint64_t want[NR];
	struct list list;
	unsigned int i;

	vcpu_set_supported_cpuid(t->vcpu);
	list_make(&list, 0x1000);
	expect_result(t, NR, vcpu_ioctl_try(t->vcpu, KVM_SET_MSRS, &list.header));
	for (i = 0; i < NR; i++)
		want[i] = 0x1000 + i;
	check_values(t, want);
	check_set(t, row, want);
	if (!row->by_value)
		check_get(t, row, want);
	list.header.nmsrs = 0;
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_MSRS, &list.header));
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_GET_MSRS, &list.header));
	list.header.nmsrs = 256;
	expect_errno(t, E2BIG, vcpu_ioctl_try(t->vcpu, KVM_SET_MSRS, &list.header));
	expect_errno(t, E2BIG, vcpu_ioctl_try(t->vcpu, KVM_GET_MSRS, &list.header));
	list.header.nmsrs = ~0u;
	expect_errno(t, E2BIG, vcpu_ioctl_try(t->vcpu, KVM_SET_MSRS, &list.header));
	check_values(t, want);
}
