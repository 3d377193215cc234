/* SPDX-License-Identifier: MIT */
/*
 * KVM_GET_MSR_INDEX_LIST and KVM_GET_MSR_FEATURE_INDEX_LIST: a list that is too short is E2BIG and says how long it
 * must be; one that is just long enough is filled, and nothing behind it is written. What is listed is distinct and can
 * be read.
 *
 * Can break: the count off by one either way, indices behind the end, an error that hides the count, a listed MSR that
 * KVM_GET_MSRS does not know.
 * Source: KVM API, 4.3 (KVM_GET_MSR_INDEX_LIST, KVM_GET_MSR_FEATURE_INDEX_LIST).
 */
#include "case.h"

#include <string.h>

#include "cases/ioctl/vcpu_state.h"

#define MAX_MSRS 1024

static struct {
	struct kvm_msr_list header;
	uint32_t indices[MAX_MSRS];
} list;

struct row {
	ROW_FIELDS;
	unsigned long request;
	uint32_t must_list[8];	/* what every x86 KVM saves or describes */
};

static const struct row rows[] = {
	{ .label = "state", .request = KVM_GET_MSR_INDEX_LIST,
	  .must_list = { MSR_IA32_TSC, MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP, MSR_STAR,
			 MSR_LSTAR, MSR_CSTAR, MSR_KERNEL_GS_BASE } },
	{ .label = "feature", .request = KVM_GET_MSR_FEATURE_INDEX_LIST,
	  .needs = "KVM_CAP_GET_MSR_FEATURES param:kvm.ignore_msrs=0",
	  .must_list = { 0x8b /* UCODE_REV */, 0x10a /* ARCH_CAPABILITIES */ } },
};

CASE(msr_list, .says = "MSR lists count, fill and stop exactly", .modes = NO_GUEST, .rows = ROWS(rows))

static long list_get(struct test *t, unsigned long request, uint32_t nr)
{
	memset(&list, 0xa5, sizeof(list));
	list.header.nmsrs = nr;
	return sys_call(t->sys, t->sys->fd, request, (uintptr_t)&list);
}

static void check_too_short(struct test *t, unsigned long request, uint32_t nr, uint32_t total)
{
	uint32_t i, nr_written = 0;

	expect_errno(t, E2BIG, list_get(t, request, nr));
	expect_eq(t, total, list.header.nmsrs);
	for (i = 0; i < MAX_MSRS; i++)
		nr_written += list.indices[i] != 0xa5a5a5a5;
	expect_eq(t, 0, nr_written);
}

static void check_filled(struct test *t, unsigned long request, uint32_t nr, uint32_t total)
{
	uint32_t i, k, nr_written = 0, nr_twice = 0;

	expect_result(t, 0, list_get(t, request, nr));
	expect_eq(t, total, list.header.nmsrs);
	for (i = 0; i < MAX_MSRS; i++) {
		nr_written += list.indices[i] != 0xa5a5a5a5;
		for (k = 0; k < i && i < total; k++)
			nr_twice += list.indices[i] == list.indices[k];
	}
	expect_eq(t, total, nr_written);
	expect_eq(t, 0, nr_twice);
	expect_eq(t, 0xa5a5a5a5, list.indices[total]);
}

static void check_listed(struct test *t, const struct row *row)
{
	uint32_t i, k;

	for (i = 0; i < 8 && row->must_list[i]; i++) {
		for (k = 0; k < list.header.nmsrs && list.indices[k] != row->must_list[i]; k++)
			;
		test_say(t, "must list MSR 0x%x", row->must_list[i]);
		expect_true(t, k < list.header.nmsrs);
	}
}

static long feature_get(struct test *t, uint32_t index, uint64_t *ret_value)
{
	struct one_msr one = { .header.nmsrs = 1, .entry.index = index };
	long r = sys_ioctl_try(t->sys, KVM_GET_MSRS, &one.header);

	*ret_value = one.entry.data;
	return r;
}

static void check_readable(struct test *t, bool is_feature)
{
	uint64_t value;
	uint32_t i;

	for (i = 0; i < list.header.nmsrs; i++) {
		test_say(t, "MSR 0x%x", list.indices[i]);
		if (is_feature)
			expect_result(t, 1, feature_get(t, list.indices[i], &value));
		else
			expect_result(t, 1, msr_get_try(t->vcpu, list.indices[i], &value));
	}
}

HOST(msr_list)
{
	const struct row *row = ROW(t, rows);
	bool is_feature = row->request == KVM_GET_MSR_FEATURE_INDEX_LIST;
	uint32_t total;
	uint64_t value;

	vcpu_set_supported_cpuid(t->vcpu);
	expect_errno(t, E2BIG, list_get(t, row->request, 0));
	total = list.header.nmsrs;
	require_true(t, total > 0 && total < MAX_MSRS);
	check_too_short(t, row->request, 0, total);
	check_too_short(t, row->request, total - 1, total);
	check_filled(t, row->request, total, total);
	check_filled(t, row->request, total + 1, total);
	check_listed(t, row);
	check_readable(t, is_feature);
	/* The system knows no MSR that it does not list. */
	if (is_feature)
		expect_result(t, 0, feature_get(t, MSR_IA32_TSC, &value));
}
