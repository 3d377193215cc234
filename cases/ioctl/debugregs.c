/* SPDX-License-Identifier: MIT */
/*
 * KVM_SET_DEBUGREGS: six registers in and out and into the guest; upper halves of DR6 and DR7 and unknown flags refused.
 *
 * Can break: two of DR0-DR3 exchanged, DR7 not loaded, the check of one half, state written before it.
 * Source: KVM API, 4.33 and 4.34 (KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS); APM vol. 2, 13.1.1 (DR6, DR7: bits 63:32
 * must be zero).
 */
#include "case.h"

#define DR6_FIXED 0xffff0ff0ull
#define DR7_FIXED 0x400ull

struct row {
	ROW_FIELDS;
	int error;
	struct kvm_debugregs set;
};

#define DB { 0x123456789abc, 0xffff888000001111, 0x2222, 0x33333333 }
#define SET(dr6_, dr7_, flags_) .set = { .db = DB, .dr6 = dr6_, .dr7 = dr7_, .flags = flags_ }

static const struct row rows[] = {
	{ .label = "idle", SET(DR6_FIXED, DR7_FIXED, 0) },
	{ .label = "dr6_b0", SET(DR6_FIXED | 1, DR7_FIXED, 0) },
	{ .label = "dr6_all", SET(DR6_FIXED | 0xe00f, DR7_FIXED, 0) },
	{ .label = "dr7_lengths", SET(DR6_FIXED, 0xfff10400, 0) },
	{ .label = "dr7_enabled", SET(DR6_FIXED, DR7_FIXED | 0x3, 0) },
	{ .label = "dr6_bit_32", .error = EINVAL, SET(DR6_FIXED | 1ull << 32, DR7_FIXED, 0) },
	{ .label = "dr6_bit_63", .error = EINVAL, SET(DR6_FIXED | 1ull << 63, DR7_FIXED, 0) },
	{ .label = "dr7_bit_32", .error = EINVAL, SET(DR6_FIXED, DR7_FIXED | 1ull << 32, 0) },
	{ .label = "dr7_bit_63", .error = EINVAL, SET(DR6_FIXED, DR7_FIXED | 1ull << 63, 0) },
	{ .label = "flags_1", .error = EINVAL, SET(DR6_FIXED, DR7_FIXED, 1) },
	{ .label = "flags_bit_63", .error = EINVAL, SET(DR6_FIXED, DR7_FIXED, 1ull << 63) },
};

CASE(debugregs, .says = "debug registers go in, into the guest and out", .modes = LONG64,
     .needs = "KVM_CAP_DEBUGREGS", .rows = ROWS(rows))

GUEST(debugregs)
{
	const struct row *row = GUEST_ROW(rows);
	bool is_refused = row->error;

	guest_sync(1);
	CHECK_EQ(is_refused ? 0x9000 : row->set.db[0], read_dr0());
	CHECK_EQ(is_refused ? 0x9001 : row->set.db[1], read_dr1());
	CHECK_EQ(is_refused ? 0x9002 : row->set.db[2], read_dr2());
	CHECK_EQ(is_refused ? 0x9003 : row->set.db[3], read_dr3());
	CHECK_EQ(is_refused ? DR6_FIXED : row->set.dr6, read_dr6());
	CHECK_EQ(is_refused ? DR7_FIXED : row->set.dr7, read_dr7());
	write_dr7(DR7_FIXED);
	write_dr0(0x7000);
	write_dr1(0x7001);
	write_dr2(0x7002);
	write_dr3(0x7003);
	write_dr6(DR6_FIXED | 0x4000);
	write_dr7(DR7_FIXED | 0x30000);
}

HOST(debugregs)
{
	const struct row *row = ROW(t, rows);
	const struct kvm_debugregs first = { .db = { 0x9000, 0x9001, 0x9002, 0x9003 }, .dr6 = DR6_FIXED, .dr7 = DR7_FIXED };
	const struct kvm_debugregs last = { .db = { 0x7000, 0x7001, 0x7002, 0x7003 }, .dr6 = DR6_FIXED | 0x4000,
					    .dr7 = DR7_FIXED | 0x30000 };
	struct kvm_debugregs got;

	require_sync(t, 1);
	vcpu_ioctl(t->vcpu, KVM_SET_DEBUGREGS, &first);
	expect_result(t, -row->error, vcpu_ioctl_try(t->vcpu, KVM_SET_DEBUGREGS, &row->set));
	vcpu_ioctl(t->vcpu, KVM_GET_DEBUGREGS, &got);
	expect_bytes(t, row->error ? &first : &row->set, &got, sizeof(got));
	expect_done(t);
	vcpu_ioctl(t->vcpu, KVM_GET_DEBUGREGS, &got);
	expect_bytes(t, &last, &got, sizeof(got));
}
