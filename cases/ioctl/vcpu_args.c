/* SPDX-License-Identifier: MIT */
/*
 * Arguments of a vCPU's other calls: KVM_RUN's own, the signal mask, nested state, machine checks, statistics, device
 * attributes.
 *
 * Can break: a size that is not compared, the size told on E2BIG, a format or flag let through, a header that points
 * outside its file.
 * Source: KVM API, 4.10 (KVM_RUN), 4.21 (KVM_SET_SIGNAL_MASK), 4.105, 4.106 (KVM_X86_SETUP_MCE, KVM_X86_SET_MCE),
 * 4.114, 4.115 (KVM_GET_NESTED_STATE, KVM_SET_NESTED_STATE), 4.133 (KVM_GET_STATS_FD), KVM_VCPU_TSC_CTRL.
 */
#include "case.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cases/ioctl/vcpu_state.h"

static void host_run_argument(struct test *t)
{
	struct vcpu_state before;

	vcpu_state_get(t->vcpu, &before);
	expect_errno(t, EINVAL, vcpu_ioctl_value_try(t->vcpu, KVM_RUN, 1));
	expect_errno(t, EINVAL, vcpu_ioctl_value_try(t->vcpu, KVM_RUN, ~0ul));
	expect_vcpu_state(t, t->vcpu, &before);
	t->vcpu->run->immediate_exit = 1;
	expect_errno(t, EINTR, vcpu_ioctl_value_try(t->vcpu, KVM_RUN, 0));
	/* The FPU was loaded and saved: its components may be in use now (XSTATE_BV), with the same values. */
	vcpu_ioctl(t->vcpu, KVM_GET_XSAVE, &before.xsave);
	expect_vcpu_state(t, t->vcpu, &before);
	t->vcpu->run->immediate_exit = 0;
}

static void host_signal_mask(struct test *t)
{
	struct {
		struct kvm_signal_mask header;
		uint8_t set[16];
	} mask = { .header.len = 8 };
	static const uint32_t bad[] = { 0, 4, 7, 9, 16, 128, ~0u };
	unsigned int i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		mask.header.len = bad[i];
		expect_errno(t, EINVAL, vcpu_ioctl_try(t->vcpu, KVM_SET_SIGNAL_MASK, &mask.header));
	}
	mask.header.len = 8;
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_SIGNAL_MASK, &mask.header));
	expect_result(t, 0, vcpu_ioctl_value_try(t->vcpu, KVM_SET_SIGNAL_MASK, 0));
}

struct nested {
	struct kvm_nested_state header;
	uint8_t data[4096];
};

static long nested_get(struct test *t, struct nested *state, uint32_t size)
{
	memset(state, 0xa5, sizeof(*state));
	state->header.size = size;
	return vcpu_ioctl_try(t->vcpu, KVM_GET_NESTED_STATE, &state->header);
}

static void host_nested_get(struct test *t)
{
	struct nested state;
	uint32_t size = sizeof(state.header);

	expect_errno(t, E2BIG, nested_get(t, &state, 0));
	expect_eq(t, size, state.header.size);
	expect_errno(t, E2BIG, nested_get(t, &state, size - 1));
	expect_eq(t, size, state.header.size);
	expect_eq(t, 0xa5a5, state.header.format);
	expect_result(t, 0, nested_get(t, &state, size));
	expect_eq(t, size, state.header.size);
	expect_eq(t, KVM_STATE_NESTED_GIF_SET, state.header.flags);
	expect_eq(t, KVM_STATE_NESTED_FORMAT_SVM, state.header.format);
	expect_eq(t, 0xa5, state.data[0]);
	expect_result(t, 0, nested_get(t, &state, sizeof(state)));
	expect_eq(t, size, state.header.size);
	expect_eq(t, 0xa5, state.data[0]);
}

static void expect_nested_refused(struct test *t, uint16_t flags, uint16_t format, uint32_t size)
{
	struct nested before, after, set;

	expect_result(t, 0, nested_get(t, &before, sizeof(before)));
	memset(&set, 0, sizeof(set));
	set.header.flags = flags;
	set.header.format = format;
	set.header.size = size;
	test_say(t, "flags 0x%x, format %u, size %u", flags, format, size);
	expect_errno(t, EINVAL, vcpu_ioctl_try(t->vcpu, KVM_SET_NESTED_STATE, &set.header));
	expect_result(t, 0, nested_get(t, &after, sizeof(after)));
	expect_bytes(t, &before, &after, sizeof(after));
}

static void host_nested_set(struct test *t)
{
	const uint32_t size = sizeof(struct kvm_nested_state);
	struct nested state;

	expect_nested_refused(t, KVM_STATE_NESTED_GIF_SET, KVM_STATE_NESTED_FORMAT_SVM, size - 1);
	expect_nested_refused(t, KVM_STATE_NESTED_GIF_SET, KVM_STATE_NESTED_FORMAT_SVM, 0);
	expect_nested_refused(t, KVM_STATE_NESTED_GIF_SET, KVM_STATE_NESTED_FORMAT_VMX, size);
	expect_nested_refused(t, KVM_STATE_NESTED_GIF_SET, 2, size);
	expect_nested_refused(t, KVM_STATE_NESTED_GIF_SET | 0x10, KVM_STATE_NESTED_FORMAT_SVM, size);
	expect_nested_refused(t, KVM_STATE_NESTED_GIF_SET | 0x8000, KVM_STATE_NESTED_FORMAT_SVM, size);
	expect_nested_refused(t, KVM_STATE_NESTED_GIF_SET | KVM_STATE_NESTED_EVMCS, KVM_STATE_NESTED_FORMAT_SVM, size);
	expect_nested_refused(t, KVM_STATE_NESTED_GIF_SET | KVM_STATE_NESTED_RUN_PENDING, KVM_STATE_NESTED_FORMAT_SVM,
			      size);
	/* EFER.SVME is 0: GIF is 1, and there is no guest mode. */
	expect_nested_refused(t, 0, KVM_STATE_NESTED_FORMAT_SVM, size);
	expect_nested_refused(t, KVM_STATE_NESTED_GIF_SET | KVM_STATE_NESTED_GUEST_MODE, KVM_STATE_NESTED_FORMAT_SVM,
			      sizeof(struct nested));
	expect_result(t, 0, nested_get(t, &state, sizeof(state)));
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_NESTED_STATE, &state.header));
}

/* With EFER.SVME, GIF goes in and out; guest mode needs a VMCB that is there and whole. */
static void host_nested_svme(struct test *t)
{
	const uint32_t size = sizeof(struct kvm_nested_state);
	struct nested state;

	expect_result(t, 1, msr_set_try(t->vcpu, MSR_EFER, EFER_SVME));
	expect_result(t, 0, nested_get(t, &state, size));
	state.header.flags = 0;
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_NESTED_STATE, &state.header));
	expect_result(t, 0, nested_get(t, &state, size));
	expect_eq(t, 0, state.header.flags);
	state.header.flags = KVM_STATE_NESTED_GIF_SET;
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_NESTED_STATE, &state.header));
	expect_result(t, 0, nested_get(t, &state, size));
	expect_eq(t, KVM_STATE_NESTED_GIF_SET, state.header.flags);
	expect_nested_refused(t, KVM_STATE_NESTED_GUEST_MODE, KVM_STATE_NESTED_FORMAT_SVM, size);
	expect_nested_refused(t, KVM_STATE_NESTED_GUEST_MODE, KVM_STATE_NESTED_FORMAT_SVM, size + 4095);
	expect_nested_refused(t, KVM_STATE_NESTED_GUEST_MODE, KVM_STATE_NESTED_FORMAT_SVM, size + 4096);
}

static void host_nested_size(struct test *t)
{
	/* The header and a VMCB, or for VMX two VMCSs. */
	expect_result(t, sizeof(struct kvm_nested_state) + 4096, sys_has_cap(t->sys, KVM_CAP_NESTED_STATE));
}

static void host_mce(struct test *t)
{
	struct kvm_x86_mce mce = { .status = 1ull << 63, .addr = 0x1234, .misc = 0x56, .bank = 9 };
	uint64_t cap, supported = 0, value;

	sys_call_must(t->sys, t->sys->fd, KVM_X86_GET_MCE_CAP_SUPPORTED, (uintptr_t)&supported, "MCE");
	expect_eq(t, 1 << 8, supported & (1 << 8));	/* MCG_CTL_P */
	cap = 0;
	expect_errno(t, EINVAL, vcpu_ioctl_try(t->vcpu, KVM_X86_SETUP_MCE, &cap));
	cap = 33;
	expect_errno(t, EINVAL, vcpu_ioctl_try(t->vcpu, KVM_X86_SETUP_MCE, &cap));
	cap = 10 | 1ull << 63;
	expect_errno(t, EINVAL, vcpu_ioctl_try(t->vcpu, KVM_X86_SETUP_MCE, &cap));
	cap = 10 | 1 << 8;
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_X86_SETUP_MCE, &cap));
	expect_result(t, 1, msr_get_try(t->vcpu, 0x179, &value));
	expect_eq(t, 10 | 1 << 8, value);
	expect_result(t, 1, msr_get_try(t->vcpu, 0x17b, &value));
	expect_eq(t, ~0ull, value);
	/* Bank 9 is the last; a status must say that it is valid. A corrected error lands in its bank. */
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_X86_SET_MCE, &mce));
	expect_result(t, 1, msr_get_try(t->vcpu, 0x400 + 4 * 9 + 1, &value));
	expect_eq(t, 1ull << 63, value);
	expect_result(t, 1, msr_get_try(t->vcpu, 0x400 + 4 * 9 + 2, &value));
	expect_eq(t, 0x1234, value);
	expect_result(t, 1, msr_get_try(t->vcpu, 0x400 + 4 * 9 + 3, &value));
	expect_eq(t, 0x56, value);
	mce.bank = 10;
	expect_errno(t, EINVAL, vcpu_ioctl_try(t->vcpu, KVM_X86_SET_MCE, &mce));
	mce.bank = 8;
	mce.status = 1;
	expect_errno(t, EINVAL, vcpu_ioctl_try(t->vcpu, KVM_X86_SET_MCE, &mce));
	expect_result(t, 1, msr_get_try(t->vcpu, 0x400 + 4 * 8 + 1, &value));
	expect_eq(t, 0, value);
	expect_result(t, 0, msr_get_try(t->vcpu, 0x400 + 4 * 10, &value));
}

/* True when @desc's values lie where no other's do; marks them in @used, a byte for each value. */
static bool is_stat_good(const struct kvm_stats_desc *desc, uint32_t name_size, uint8_t *used, size_t nr_used)
{
	size_t first = desc->offset / 8, i;

	if (desc->offset % 8 || !desc->size || first + desc->size > nr_used || !desc->name[0] ||
	    strnlen(desc->name, name_size) == name_size || (desc->flags & KVM_STATS_TYPE_MASK) > KVM_STATS_TYPE_MAX)
		return false;
	for (i = first; i < first + desc->size; i++)
		if (used[i]++)
			return false;
	return true;
}

static void check_stats(struct test *t, int owner)
{
	uint8_t used[1024] = { 0 };
	struct kvm_stats_header header, again;
	long fd = sys_call(t->sys, owner, KVM_GET_STATS_FD, 0);
	struct kvm_stats_desc *desc;
	size_t desc_bytes, data_bytes = 0;
	uint32_t i, nr_bad = 0;
	char id[256], beyond;

	require_true(t, fd >= 0);
	require_result(t, sizeof(header), pread(fd, &header, sizeof(header), 0));
	expect_eq(t, 0, header.flags);
	expect_true(t, header.num_desc > 0 && header.name_size > 0 && header.name_size <= sizeof(id));
	expect_eq(t, sizeof(header), header.id_offset);
	expect_true(t, header.desc_offset >= header.id_offset + header.name_size);
	desc_bytes = sizeof(*desc) + header.name_size;
	expect_eq(t, header.desc_offset + header.num_desc * desc_bytes, header.data_offset);
	require_true(t, pread(fd, id, header.name_size, header.id_offset) == (ssize_t)header.name_size);
	expect_bytes(t, "kvm-", id, 4);
	desc = malloc(desc_bytes);
	for (i = 0; i < header.num_desc; i++) {
		off_t at = header.desc_offset + i * desc_bytes;

		require_true(t, desc && pread(fd, desc, desc_bytes, at) == (ssize_t)desc_bytes);
		test_say(t, "%s: flags 0x%x, size %u, offset %u", desc->name, desc->flags, desc->size, desc->offset);
		nr_bad += !is_stat_good(desc, header.name_size, used, sizeof(used));
		data_bytes += desc->size * sizeof(uint64_t);
	}
	free(desc);
	expect_eq(t, 0, nr_bad);
	/* No gap: all values up to the last are somebody's. */
	expect_true(t, memchr(used, 0, sizeof(used)) == used + data_bytes / 8);
	expect_result(t, 1, pread(fd, &beyond, 1, header.data_offset + data_bytes - 1));
	expect_result(t, 0, pread(fd, &beyond, 1, header.data_offset + data_bytes));
	expect_result(t, sizeof(again), read(fd, &again, sizeof(again)));
	expect_bytes(t, &header, &again, sizeof(again));
	expect_errno(t, EBADF, write(fd, "x", 1) < 0 ? -EBADF : 0);
	close(fd);
}

static void host_stats(struct test *t)
{
	check_stats(t, t->vm->fd);
	check_stats(t, t->vcpu->fd);
}

static void host_tsc_offset(struct test *t)
{
	uint64_t offset = 0x123456789abc, got = 0;
	struct kvm_device_attr attr = { .group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET,
					.addr = (uintptr_t)&offset };
	struct kvm_device_attr out = attr, bad = attr;

	out.addr = (uintptr_t)&got;
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_HAS_DEVICE_ATTR, &attr));
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_DEVICE_ATTR, &attr));
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_GET_DEVICE_ATTR, &out));
	expect_eq(t, offset, got);
	bad.attr = 1;
	expect_errno(t, ENXIO, vcpu_ioctl_try(t->vcpu, KVM_HAS_DEVICE_ATTR, &bad));
	expect_errno(t, ENXIO, vcpu_ioctl_try(t->vcpu, KVM_SET_DEVICE_ATTR, &bad));
	bad = attr;
	bad.group = 1;
	expect_errno(t, ENXIO, vcpu_ioctl_try(t->vcpu, KVM_HAS_DEVICE_ATTR, &bad));
	bad = attr;
	bad.addr = 0;
	expect_errno(t, EFAULT, vcpu_ioctl_try(t->vcpu, KVM_SET_DEVICE_ATTR, &bad));
	expect_errno(t, EFAULT, vcpu_ioctl_try(t->vcpu, KVM_GET_DEVICE_ATTR, &bad));
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_GET_DEVICE_ATTR, &out));
	expect_eq(t, offset, got);
}

static void host_guest_debug(struct test *t)
{
	struct kvm_guest_debug debug = { .control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_INJECT_DB };
	struct kvm_vcpu_events events;

	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_GUEST_DEBUG, &debug));
	vcpu_events_get(t->vcpu, &events);
	expect_eq(t, 1, events.exception.injected);
	expect_eq(t, 1, events.exception.nr);
	/* One exception is pending: there is no room for another. */
	expect_errno(t, EBUSY, vcpu_ioctl_try(t->vcpu, KVM_SET_GUEST_DEBUG, &debug));
	debug.control = 0;
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_GUEST_DEBUG, &debug));
}

static void host_pvclock_ctrl(struct test *t)
{
	/* No guest here uses the clock. */
	expect_errno(t, EINVAL, vcpu_ioctl_value_try(t->vcpu, KVM_KVMCLOCK_CTRL, 0));
}

static void host_tpr_access(struct test *t)
{
	struct kvm_tpr_access_ctl control = { .enabled = 1, .flags = 1 };

	expect_errno(t, EINVAL, vcpu_ioctl_try(t->vcpu, KVM_TPR_ACCESS_REPORTING, &control));
	control.flags = 0;
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_TPR_ACCESS_REPORTING, &control));
}

struct row {
	ROW_FIELDS;
	void (*host)(struct test *t);
};

static const struct row rows[] = {
	{ .label = "run_argument", .host = host_run_argument },
	{ .label = "signal_mask", .host = host_signal_mask },
	{ .label = "nested_get", .host = host_nested_get, .needs = "KVM_CAP_NESTED_STATE vendor:amd nested" },
	{ .label = "nested_set", .host = host_nested_set, .needs = "KVM_CAP_NESTED_STATE vendor:amd nested" },
	{ .label = "nested_svme", .host = host_nested_svme, .needs = "KVM_CAP_NESTED_STATE vendor:amd nested cpuid:svm" },
	{ .label = "nested_size", .host = host_nested_size, .needs = "KVM_CAP_NESTED_STATE vendor:amd" },
	{ .label = "mce", .host = host_mce, .needs = "KVM_CAP_MCE" },
	{ .label = "stats", .host = host_stats, .needs = "KVM_CAP_BINARY_STATS_FD" },
	/* With an unstable TSC, KVM moves the offset at each load of the vCPU, lest the guest's goes backwards. */
	{ .label = "tsc_offset", .host = host_tsc_offset, .needs = "KVM_CAP_VCPU_ATTRIBUTES stable_tsc" },
	{ .label = "guest_debug", .host = host_guest_debug, .needs = "KVM_CAP_SET_GUEST_DEBUG" },
	{ .label = "pvclock_ctrl", .host = host_pvclock_ctrl, .needs = "KVM_CAP_KVMCLOCK_CTRL" },
	{ .label = "tpr_access", .host = host_tpr_access },
};

CASE(vcpu_args, .says = "a vCPU's calls take what they document", .modes = NO_GUEST, .rows = ROWS(rows))

HOST(vcpu_args)
{
	vcpu_set_supported_cpuid(t->vcpu);
	ROW(t, rows)->host(t);
}
