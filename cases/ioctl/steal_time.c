/* SPDX-License-Identifier: MIT */
/*
 * Steal time: the guest names 64 bytes, and at every entry KVM adds there the time for which the vCPU's thread waited for
 * a CPU, under a version that is odd meanwhile; .preempted is 0 when the guest runs.
 * The MSRs of asynchronous page faults, of which nothing is delivered here, take just their legal values.
 *
 * Can break: an odd version left; bytes written beyond the structure, or after it was given back; steal time that is set
 * and not added; a reserved bit let through, a feature that the guest's CPUID does not have.
 * Source: Documentation/virt/kvm/x86/msr.rst (MSR_KVM_STEAL_TIME, MSR_KVM_ASYNC_PF_EN, _INT, _ACK); KVM API,
 * KVM_CAP_ENFORCE_PV_FEATURE_CPUID.
 */
#include "cases/ioctl/pv_msr.h"

#include "cases/ioctl/vcpu_state.h"

#define AT (SCRATCH_GPA + 0x1040)
#define FILLING 0xa5
#define FLUSH_TLB 2	/* .preempted: KVM_VCPU_FLUSH_TLB */

struct row {
	ROW_FIELDS;
	void (*guest)(void);
	void (*host)(struct test *t);
};

/* --- the guest's half --- */

static volatile struct kvm_steal_time *info(void)
{
	return (volatile struct kvm_steal_time *)(ulong_t)AT;
}

static void check_good(void)
{
	CHECK(info()->version && !(info()->version & 1));
	CHECK_EQ(0, info()->flags);
	CHECK_EQ(0, info()->preempted);
}

static void guest_enabled(void)
{
	uint32_t version;
	uint64_t steal;

	wrmsr(MSR_KVM_STEAL_TIME, AT | 1);
	CHECK_EQ(AT | 1, rdmsr(MSR_KVM_STEAL_TIME));
	guest_sync(1);
	check_good();
	version = info()->version;
	steal = info()->steal;
	CHECK(steal >= 1000000007);
	guest_sync(2);
	check_good();
	CHECK((int32_t)(info()->version - version) > 0);
	CHECK(info()->steal >= steal);
	wrmsr(MSR_KVM_STEAL_TIME, AT);
	CHECK_EQ(AT, rdmsr(MSR_KVM_STEAL_TIME));
	guest_sync(3);
}

/* Only its flag is needed: bits 5:1 are reserved. */
static void guest_refused(void)
{
	unsigned int bit;

	for (bit = 1; bit < 6; bit++) {
		CHECK_FAULT(GP_VECTOR, 0, wrmsr_safe(MSR_KVM_STEAL_TIME, AT | 1 | 1ull << bit));
		CHECK_FAULT(GP_VECTOR, 0, wrmsr_safe(MSR_KVM_STEAL_TIME, 1ull << bit));
	}
	CHECK_EQ(0, rdmsr(MSR_KVM_STEAL_TIME));
}

static void guest_absent(void)
{
	uint64_t value;

	CHECK_FAULT(GP_VECTOR, 0, wrmsr_safe(MSR_KVM_STEAL_TIME, AT | 1));
	CHECK_FAULT(GP_VECTOR, 0, rdmsr_safe(MSR_KVM_STEAL_TIME, &value));
	CHECK_NO_FAULT(wrmsr_safe(MSR_KVM_POLL_CONTROL, 0));
}

static void guest_poll_absent(void)
{
	uint64_t value;

	CHECK_FAULT(GP_VECTOR, 0, wrmsr_safe(MSR_KVM_POLL_CONTROL, 0));
	CHECK_FAULT(GP_VECTOR, 0, rdmsr_safe(MSR_KVM_POLL_CONTROL, &value));
	CHECK_NO_FAULT(wrmsr_safe(MSR_KVM_STEAL_TIME, 0));
}

/* Enabled 1, at CPL 0 too 2, as #PF exits 4, ready by interrupt 8. */
static void guest_apf(void)
{
	static const uint8_t good[] = { 0, 1, 3, 9, 0xb, 0xd, 0xf, 8 };
	uint64_t last = 0;
	unsigned int i;

	for (i = 0; i < sizeof(good); i++) {
		last = AT | good[i];
		CHECK_NO_FAULT(wrmsr_safe(MSR_KVM_ASYNC_PF_EN, last));
		CHECK_EQ(last, rdmsr(MSR_KVM_ASYNC_PF_EN));
	}
	CHECK_FAULT(GP_VECTOR, 0, wrmsr_safe(MSR_KVM_ASYNC_PF_EN, AT | 0x10));
	CHECK_FAULT(GP_VECTOR, 0, wrmsr_safe(MSR_KVM_ASYNC_PF_EN, AT | 0x21));
	CHECK_EQ(last, rdmsr(MSR_KVM_ASYNC_PF_EN));
	CHECK_NO_FAULT(wrmsr_safe(MSR_KVM_ASYNC_PF_EN, 0));
	CHECK_NO_FAULT(wrmsr_safe(MSR_KVM_ASYNC_PF_INT, 0xff));
	CHECK_EQ(0xff, rdmsr(MSR_KVM_ASYNC_PF_INT));
	CHECK_FAULT(GP_VECTOR, 0, wrmsr_safe(MSR_KVM_ASYNC_PF_INT, 0x100));
	CHECK_FAULT(GP_VECTOR, 0, wrmsr_safe(MSR_KVM_ASYNC_PF_INT, 1ull << 63 | 0x51));
	CHECK_EQ(0xff, rdmsr(MSR_KVM_ASYNC_PF_INT));
	CHECK_NO_FAULT(wrmsr_safe(MSR_KVM_ASYNC_PF_ACK, 1));
	CHECK_EQ(0, rdmsr(MSR_KVM_ASYNC_PF_ACK));
}

static void guest_apf_no_int(void)
{
	uint64_t value;

	CHECK_NO_FAULT(wrmsr_safe(MSR_KVM_ASYNC_PF_EN, AT | 5));
	CHECK_FAULT(GP_VECTOR, 0, wrmsr_safe(MSR_KVM_ASYNC_PF_EN, AT | 9));
	CHECK_FAULT(GP_VECTOR, 0, wrmsr_safe(MSR_KVM_ASYNC_PF_INT, 0x51));
	CHECK_FAULT(GP_VECTOR, 0, rdmsr_safe(MSR_KVM_ASYNC_PF_INT, &value));
	CHECK_FAULT(GP_VECTOR, 0, wrmsr_safe(MSR_KVM_ASYNC_PF_ACK, 1));
	CHECK_FAULT(GP_VECTOR, 0, rdmsr_safe(MSR_KVM_ASYNC_PF_ACK, &value));
	CHECK_EQ(AT | 5, rdmsr(MSR_KVM_ASYNC_PF_EN));
}

static void guest_apf_no_vmexit(void)
{
	CHECK_NO_FAULT(wrmsr_safe(MSR_KVM_ASYNC_PF_EN, AT | 9));
	CHECK_FAULT(GP_VECTOR, 0, wrmsr_safe(MSR_KVM_ASYNC_PF_EN, AT | 5));
	CHECK_EQ(AT | 9, rdmsr(MSR_KVM_ASYNC_PF_EN));
}

static void guest_apf_absent(void)
{
	uint64_t value;

	CHECK_FAULT(GP_VECTOR, 0, wrmsr_safe(MSR_KVM_ASYNC_PF_EN, 0));
	CHECK_FAULT(GP_VECTOR, 0, rdmsr_safe(MSR_KVM_ASYNC_PF_EN, &value));
}

/* --- the host's half --- */

static struct kvm_steal_time *host_info(struct test *t)
{
	return vm_hva(t->vm, AT, sizeof(struct kvm_steal_time));
}

static void page_fill(struct test *t)
{
	memset(vm_hva(t->vm, SCRATCH_GPA, 0x4000), FILLING, 0x4000);
	memset(vm_hva(t->vm, AT, 64), 0, 64);
}

static void host_enabled(struct test *t)
{
	const uint8_t *page = vm_hva(t->vm, SCRATCH_GPA, 0x4000);
	struct kvm_steal_time last;
	size_t i, nr_changed = 0;

	page_fill(t);
	/* Whatever is there is added to; an odd version is junk. */
	host_info(t)->steal = 1000000007;
	host_info(t)->version = 0x1235;
	require_sync(t, 1);
	expect_true(t, host_info(t)->version > 0x1235 && host_info(t)->version < 0x1235 + 100);
	/* Preempted, and its TLB is to be flushed, says another vCPU: both are done at the entry. */
	host_info(t)->preempted = KVM_VCPU_PREEMPTED | FLUSH_TLB;
	require_sync(t, 2);
	require_sync(t, 3);
	last = *host_info(t);
	expect_eq(t, 0, last.version & 1);
	expect_done(t);
	expect_bytes(t, &last, host_info(t), sizeof(last));
	for (i = 0; i < 0x4000; i++)
		nr_changed += (i < 0x1040 || i >= 0x1080) && page[i] != FILLING;
	expect_eq(t, 0, nr_changed);
	for (i = 0; i < sizeof(last.pad) / sizeof(last.pad[0]); i++)
		expect_eq(t, 0, last.pad[i]);
}

static void host_done(struct test *t)
{
	expect_done(t);
}

static void host_without(struct test *t, uint32_t feature)
{
	pv_features_hide(t, 1u << feature);
	pv_features_enforce(t);
	expect_done(t);
}

#define WITHOUT(name_, feature_) static void host_without_##name_(struct test *t) { host_without(t, feature_); }
WITHOUT(steal, KVM_FEATURE_STEAL_TIME)
WITHOUT(poll, KVM_FEATURE_POLL_CONTROL)
WITHOUT(int, KVM_FEATURE_ASYNC_PF_INT)
WITHOUT(vmexit, KVM_FEATURE_ASYNC_PF_VMEXIT)
WITHOUT(apf, KVM_FEATURE_ASYNC_PF)

#define ENFORCE .needs = "KVM_CAP_ENFORCE_PV_FEATURE_CPUID"

static const struct row rows[] = {
	{ .label = "enabled", .guest = guest_enabled, .host = ON_HOST(host_enabled) },
	{ .label = "refused", .guest = guest_refused, .host = ON_HOST(host_done) },
	{ .label = "absent", .guest = guest_absent, .host = ON_HOST(host_without_steal), ENFORCE },
	{ .label = "poll_absent", .guest = guest_poll_absent, .host = ON_HOST(host_without_poll), ENFORCE },
	{ .label = "async_pf", .guest = guest_apf, .host = ON_HOST(host_done), .needs = "KVM_CAP_ASYNC_PF_INT" },
	{ .label = "async_pf_no_int", .guest = guest_apf_no_int, .host = ON_HOST(host_without_int), ENFORCE },
	{ .label = "async_pf_no_vmexit", .guest = guest_apf_no_vmexit, .host = ON_HOST(host_without_vmexit), ENFORCE },
	{ .label = "async_pf_absent", .guest = guest_apf_absent, .host = ON_HOST(host_without_apf), ENFORCE },
};

CASE(steal_time, .says = "KVM's own MSRs of time stolen and pages awaited do as they are documented", .modes = LONG64,
     .irqchip = true, .rows = ROWS(rows))

GUEST(steal_time)
{
	GUEST_ROW(rows)->guest();
}

HOST(steal_time)
{
	ROW(t, rows)->host(t);
}
