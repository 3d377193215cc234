/* SPDX-License-Identifier: MIT */
/*
 * The floating-point state by its three interfaces: what one sets, the others and the guest see; what is not legal is
 * refused and changes nothing.
 *
 * Can break: a register lost between the formats, MXCSR, XSTATE_BV and the compaction bits, XCR0's dependencies.
 * Source: KVM API, 4.22, 4.23 (KVM_GET_FPU, KVM_SET_FPU), 4.42, 4.43 (KVM_GET_XSAVE, KVM_SET_XSAVE), 4.44, 4.45
 * (KVM_GET_XCRS, KVM_SET_XCRS); APM vol. 2, 11.4.2 (FXSAVE), 11.5.2 (XCR0), 11.5.6 (XSAVE header).
 */
#include "case.h"

#include <string.h>

#include "cases/ioctl/vcpu_state.h"

#define HEADER 512	/* XSAVE: byte offsets */
#define XSTATE_BV (HEADER + 0)
#define XCOMP_BV (HEADER + 8)
#define MXCSR 24
#define ST(nr_) (32 + 16 * (nr_))
#define XMM(nr_) (160 + 16 * (nr_))

static void put(struct kvm_xsave *xsave, size_t offset, uint64_t value, size_t bytes)
{
	memcpy((uint8_t *)xsave->region + offset, &value, bytes);
}

static uint64_t get(const struct kvm_xsave *xsave, size_t offset, size_t bytes)
{
	uint64_t value = 0;

	memcpy(&value, (const uint8_t *)xsave->region + offset, bytes);
	return value;
}

static void fpu_make(struct kvm_fpu *fpu)
{
	unsigned int i, b;

	*fpu = (struct kvm_fpu){ .fcw = 0x27f, .fsw = 0x3800, .ftwx = 0x81, .last_opcode = 0x123,
				 .last_ip = 0x12345678, .last_dp = 0x9abcdef0 };
	for (i = 0; i < 8; i++)
		for (b = 0; b < 10; b++)
			fpu->fpr[i][b] = 0x10 * i + b + 1;
	for (i = 0; i < 16; i++)
		for (b = 0; b < 16; b++)
			fpu->xmm[i][b] = 0x80 + 7 * i + b;
}

static void host_legacy_fresh(struct test *t)
{
	struct kvm_fpu set, got;
	struct kvm_xsave xsave;

	fpu_make(&set);
	vcpu_ioctl(t->vcpu, KVM_SET_FPU, &set);
	memset(&got, 0xa5, sizeof(got));
	vcpu_ioctl(t->vcpu, KVM_GET_FPU, &got);
	got.mxcsr = set.mxcsr;
	expect_bytes(t, &set, &got, sizeof(got));
	vcpu_ioctl(t->vcpu, KVM_GET_XSAVE, &xsave);
	expect_eq(t, set.fcw, get(&xsave, 0, 2));
	expect_eq(t, set.fsw, get(&xsave, 2, 2));
	expect_eq(t, set.ftwx, get(&xsave, 4, 1));
	expect_eq(t, set.last_opcode, get(&xsave, 6, 2));
	expect_eq(t, set.last_ip, get(&xsave, 8, 8));
	expect_eq(t, set.last_dp, get(&xsave, 16, 8));
}

/* The same when x87 and SSE state is in use already (XSTATE_BV). */
static void host_legacy(struct test *t)
{
	struct kvm_xsave xsave;

	vcpu_ioctl(t->vcpu, KVM_GET_XSAVE, &xsave);
	put(&xsave, XSTATE_BV, 3, 8);
	vcpu_ioctl(t->vcpu, KVM_SET_XSAVE, &xsave);
	host_legacy_fresh(t);
}

static void host_mxcsr(struct test *t)
{
	struct kvm_fpu fpu;
	struct kvm_xsave xsave;

	vcpu_ioctl(t->vcpu, KVM_GET_XSAVE, &xsave);
	put(&xsave, MXCSR, 0x1fa0, 4);
	put(&xsave, XSTATE_BV, 3, 8);
	vcpu_ioctl(t->vcpu, KVM_SET_XSAVE, &xsave);
	vcpu_ioctl(t->vcpu, KVM_GET_FPU, &fpu);
	expect_eq(t, 0x1fa0, fpu.mxcsr);
}

static void xsave_make(struct kvm_xsave *xsave)
{
	unsigned int i;

	memset(xsave, 0, sizeof(*xsave));
	put(xsave, 0, 0x27f, 2);
	put(xsave, 2, 0x1800, 2);
	put(xsave, 4, 0x42, 1);
	put(xsave, 6, 0x321, 2);
	put(xsave, 8, 0x11112222, 4);
	put(xsave, 16, 0x33334444, 4);
	put(xsave, MXCSR, 0x1f85, 4);
	for (i = 0; i < 8; i++)
		put(xsave, ST(i), 0x0102030405060708 * (i + 1), 8);
	for (i = 0; i < 16; i++) {
		put(xsave, XMM(i), 0x1111111111111111ull * (i % 15 + 1), 8);
		put(xsave, XMM(i) + 8, 0x0123456789abcdef + i, 8);
	}
	put(xsave, XSTATE_BV, 3, 8);
}

static void host_xsave(struct test *t)
{
	struct kvm_xsave set, got;
	struct kvm_fpu fpu;
	unsigned int i;

	xsave_make(&set);
	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_SET_XSAVE, &set));
	vcpu_ioctl(t->vcpu, KVM_GET_XSAVE, &got);
	/* The MXCSR mask is the CPU's, the rest of the legacy region is ours; bytes 464-511 are software's. */
	expect_bytes(t, set.region, got.region, 28);
	expect_bytes(t, (uint8_t *)set.region + 32, (uint8_t *)got.region + 32, 416 - 32);
	expect_eq(t, 3, get(&got, XSTATE_BV, 8) & 3);
	expect_eq(t, 0, get(&got, XCOMP_BV, 8));
	vcpu_ioctl(t->vcpu, KVM_GET_FPU, &fpu);
	expect_eq(t, 0x27f, fpu.fcw);
	expect_eq(t, 0x1800, fpu.fsw);
	expect_eq(t, 0x42, fpu.ftwx);
	expect_eq(t, 0x321, fpu.last_opcode);
	for (i = 0; i < 8; i++)
		expect_bytes(t, (uint8_t *)set.region + ST(i), fpu.fpr[i], 16);
	for (i = 0; i < 16; i++)
		expect_bytes(t, (uint8_t *)set.region + XMM(i), fpu.xmm[i], 16);
}

static void expect_xsave_refused(struct test *t, size_t offset, uint64_t value, size_t bytes)
{
	struct vcpu_state before;
	struct kvm_xsave bad;

	vcpu_state_get(t->vcpu, &before);
	xsave_make(&bad);
	put(&bad, XMM(0), 0x7777, 8);
	put(&bad, offset, value, bytes);
	test_say(t, "byte %zu", offset);
	expect_errno(t, EINVAL, vcpu_ioctl_try(t->vcpu, KVM_SET_XSAVE, &bad));
	expect_vcpu_state(t, t->vcpu, &before);
}

static void host_xsave_refused(struct test *t)
{
	struct kvm_xsave set;

	xsave_make(&set);
	vcpu_ioctl(t->vcpu, KVM_SET_XSAVE, &set);
	expect_xsave_refused(t, MXCSR, 0x11f80, 4);
	expect_xsave_refused(t, MXCSR, 0x80001f80, 4);
	expect_xsave_refused(t, XSTATE_BV, 3 | 1ull << 62, 8);
	expect_xsave_refused(t, XSTATE_BV, 3 | 1ull << 40, 8);
	expect_xsave_refused(t, XCOMP_BV, 1ull << 63, 8);
	expect_xsave_refused(t, HEADER + 16, 1, 8);
	expect_xsave_refused(t, HEADER + 56, 1ull << 63, 8);
}

static long xcr_try(struct test *t, uint32_t nr, uint32_t flags, uint32_t xcr, uint64_t value)
{
	struct kvm_xcrs xcrs = { .nr_xcrs = nr, .flags = flags, .xcrs[0] = { .xcr = xcr, .value = value } };

	return vcpu_ioctl_try(t->vcpu, KVM_SET_XCRS, &xcrs);
}

static void expect_xcr0(struct test *t, uint64_t value)
{
	struct kvm_xcrs got, want = { .nr_xcrs = 1, .xcrs[0].value = value };

	memset(&got, 0xa5, sizeof(got));
	vcpu_ioctl(t->vcpu, KVM_GET_XCRS, &got);
	expect_bytes(t, &want, &got, sizeof(got));
}

static void host_xcrs(struct test *t)
{
	static const uint64_t bad[] = { 0, 2, 6, 1ull << 63 | 1, 1ull << 62 | 3, 1 | 1 << 8, 0xfffffffffffffffe };
	unsigned int i;

	expect_xcr0(t, 1);
	expect_result(t, 0, xcr_try(t, 1, 0, 0, 3));
	expect_xcr0(t, 3);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		expect_errno(t, EINVAL, xcr_try(t, 1, 0, 0, bad[i]));
		expect_xcr0(t, 3);
	}
	expect_errno(t, EINVAL, xcr_try(t, 1, 1, 0, 1));
	expect_errno(t, EINVAL, xcr_try(t, 17, 0, 0, 1));
	expect_errno(t, EINVAL, xcr_try(t, ~0u, 0, 0, 1));
	expect_xcr0(t, 3);
	expect_result(t, 0, xcr_try(t, 0, 0, 0, 1));	/* an empty list */
	expect_result(t, 0, xcr_try(t, 1, 0, 1, 1));	/* XCR1 is none of KVM's */
	expect_xcr0(t, 3);
	expect_result(t, 0, xcr_try(t, 1, 0, 0, 1));
	expect_xcr0(t, 1);
}

static void host_xcrs_avx(struct test *t)
{
	expect_result(t, 0, xcr_try(t, 1, 0, 0, 7));
	expect_xcr0(t, 7);
	expect_errno(t, EINVAL, xcr_try(t, 1, 0, 0, 5));	/* AVX without SSE */
	expect_xcr0(t, 7);
}

struct row {
	ROW_FIELDS;
	void (*host)(struct test *t);
};

static const struct row rows[] = {
	{ .label = "legacy", .host = host_legacy },
	{ .label = "legacy_fresh", .host = host_legacy_fresh, .needs = "cpuid:xsave",
	  .known = { .finding = "0204-set-fpu-lost-when-fresh" } },
	{ .label = "mxcsr", .host = host_mxcsr, .known = { .finding = "0202-get-fpu-mxcsr" } },
	{ .label = "xsave", .host = host_xsave, .needs = "cpuid:xsave" },
	{ .label = "xsave_refused", .host = host_xsave_refused, .needs = "cpuid:xsave" },
	{ .label = "xcrs", .host = host_xcrs, .needs = "cpuid:xsave" },
	{ .label = "xcrs_avx", .host = host_xcrs_avx, .needs = "cpuid:avx cpuid:xsave" },
};

CASE(fpu, .says = "floating-point state goes in and out by three interfaces", .modes = NO_GUEST, .rows = ROWS(rows))

HOST(fpu)
{
	vcpu_set_supported_cpuid(t->vcpu);
	ROW(t, rows)->host(t);
}
