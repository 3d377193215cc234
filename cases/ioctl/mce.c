/* SPDX-License-Identifier: MIT */
/*
 * Machine checks: KVM_X86_SETUP_MCE says how many banks the guest has and what else, KVM_X86_SET_MCE puts an error into
 * one. An uncorrected one is #MC, a corrected one waits in its bank, one that asks for nothing (UCNA) may interrupt
 * through the CMCI entry of the local APIC.
 *
 * Can break: a bank beyond the last; an error that overwrites a worse one, or loses its OVER bit; an error reported
 * although the guest has disabled it; a status that the guest may write.
 * Source: SDM vol. 3B, chapter 15 (15.3.1.1 to 15.3.2.5, 15.5.1, 15.6.3); APM vol. 2, 9.3; KVM API, 4.104 to 4.106.
 */
#include "case.h"

#include "cases/ioctl/irq_script.h"
#include "cases/ioctl/lapic_regs.h"

#define MCG_CAP 0x179
#define MCG_STATUS 0x17a
#define MCG_CTL 0x17b
#define MC_CTL(bank_) (0x400 + 4 * (bank_))
#define MC_STATUS(bank_) (MC_CTL(bank_) + 1)
#define MC_ADDR(bank_) (MC_CTL(bank_) + 2)
#define MC_MISC(bank_) (MC_CTL(bank_) + 3)
#define MC_CTL2(bank_) (0x280 + (bank_))
#define HWCR 0xc0010015
#define HWCR_MC_STATUS_WR_EN (1ull << 18)

#define CAP_CTL_P (1ull << 8)
#define CAP_CMCI_P (1ull << 10)
#define CAP_SER_P (1ull << 24)
#define CTL2_CMCI_EN (1ull << 30)

#define VAL (1ull << 63)
#define OVER (1ull << 62)
#define UC (1ull << 61)
#define EN (1ull << 60)
#define PCC (1ull << 57)
#define MCG_RIPV 1ull
#define MCG_MCIP 4ull

#define ALL (~0ull)
#define NR_BANKS 10

struct row {
	ROW_FIELDS;
	const struct op *ops;
	uint64_t cap;
};

/* --- the host's steps --- */

static void error_set(struct test *t, uint8_t bank, uint64_t status, uint64_t mcg_status, uint64_t address)
{
	struct kvm_x86_mce mce = { .status = status, .mcg_status = mcg_status, .addr = address, .misc = address + 1,
				   .bank = bank };

	expect_result(t, 0, vcpu_ioctl_try(t->vcpu, KVM_X86_SET_MCE, &mce));
}

#define ERROR_(name_, ...) static void error_##name_(struct test *t) { error_set(t, __VA_ARGS__); }
ERROR_(corrected, 3, VAL | EN | 0x11, 0, 0x1000)
ERROR_(corrected_again, 3, VAL | EN | 0x22, 0, 0x2000)
ERROR_(uncorrected, 3, VAL | EN | UC | PCC | 0x33, MCG_RIPV | MCG_MCIP, 0x3000)
ERROR_(uncorrected_last, 9, VAL | EN | UC | PCC | 0x44, MCG_MCIP, 0x4000)
/* Neither PCC nor S nor AR, and nothing in MCG_STATUS: no action is asked for. */
ERROR_(no_action, 3, VAL | EN | UC | 0x55, 0, 0x5000)

static void setup_refused(struct test *t, uint64_t cap)
{
	expect_errno(t, EINVAL, vcpu_ioctl_try(t->vcpu, KVM_X86_SETUP_MCE, &cap));
}

static void host_setup_refused(struct test *t)
{
	uint64_t supported = 0;

	sys_call_must(t->sys, t->sys->fd, KVM_X86_GET_MCE_CAP_SUPPORTED, (uintptr_t)&supported, "MCE");
	expect_eq(t, CAP_CTL_P | CAP_SER_P, supported & (CAP_CTL_P | CAP_SER_P));
	setup_refused(t, CAP_CTL_P);
	setup_refused(t, CAP_CTL_P | 33);
	setup_refused(t, CAP_CTL_P | 0xff);
	if (!(supported & CAP_CMCI_P))
		setup_refused(t, CAP_CMCI_P | 10);
	setup_refused(t, 1ull << 9 | 10);
	setup_refused(t, 1ull << 32 | 10);
}

static void host_set_refused(struct test *t)
{
	struct kvm_x86_mce mce = { .status = EN | UC | 0x33, .mcg_status = MCG_MCIP, .addr = 1, .misc = 2, .bank = 3 };

	expect_errno(t, EINVAL, vcpu_ioctl_try(t->vcpu, KVM_X86_SET_MCE, &mce));
	mce.status |= VAL;
	mce.bank = NR_BANKS;
	expect_errno(t, EINVAL, vcpu_ioctl_try(t->vcpu, KVM_X86_SET_MCE, &mce));
	mce.bank = 0xff;
	expect_errno(t, EINVAL, vcpu_ioctl_try(t->vcpu, KVM_X86_SET_MCE, &mce));
}

/* --- the guest's steps --- */

static void handle_mc(void)
{
	guest_handle(MC_VECTOR, script_on_interrupt);
}

static void mce_on(void)
{
	write_cr4(read_cr4() | X86_CR4_MCE);
}

#define MC_READY GUEST_DO(handle_mc), GUEST_DO(mce_on)
#define RDBANK(bank_, status_, addr_) RDMSR(MC_STATUS(bank_), status_), RDMSR(MC_ADDR(bank_), addr_)

static const struct row rows[] = {
	{ .label = "setup", .ops = OPS {
		RDMSR(MCG_CAP, CAP_CTL_P | NR_BANKS), WRMSR_GP(MCG_CAP, CAP_CTL_P | NR_BANKS), RDMSR(MCG_CTL, ALL),
		RDMSR(MC_CTL(0), ALL), RDMSR(MC_CTL(NR_BANKS - 1), ALL), RDMSR(MC_STATUS(NR_BANKS - 1), 0),
		RDMSR_GP(MC_CTL(NR_BANKS)), WRMSR_GP(MC_CTL(NR_BANKS), 0), RDMSR_GP(MC_MISC(NR_BANKS)),
		HOST_DO(host_setup_refused), RDMSR(MCG_CAP, CAP_CTL_P | NR_BANKS), RDMSR(MCG_CTL, ALL), END } },
	{ .label = "setup_ser", .needs = "vendor:intel", .cap = CAP_CTL_P | CAP_SER_P | NR_BANKS, .ops = OPS {
		RDMSR(MCG_CAP, CAP_CTL_P | CAP_SER_P | NR_BANKS), END } },
	/* AMD's has no more than the count and CTL_P. */
	{ .label = "setup_ser_amd", .needs = "vendor:amd", .cap = CAP_CTL_P | CAP_SER_P | NR_BANKS, .ops = OPS {
		RDMSR(MCG_CAP, CAP_CTL_P | NR_BANKS), END } },
	{ .label = "mcg_ctl", .ops = OPS {
		WRMSR(MCG_CTL, 0), RDMSR(MCG_CTL, 0), WRMSR(MCG_CTL, ALL), RDMSR(MCG_CTL, ALL),
		/* Others are undefined; KVM refuses them. */
		WRMSR_GP(MCG_CTL, 1), WRMSR_GP(MCG_CTL, ALL - 1), RDMSR(MCG_CTL, ALL), END } },
	{ .label = "mcg_ctl_absent", .cap = NR_BANKS, .ops = OPS {
		RDMSR(MCG_CAP, NR_BANKS), RDMSR_GP(MCG_CTL), WRMSR_GP(MCG_CTL, 0), WRMSR_GP(MCG_CTL, ALL), END } },
	{ .label = "bank_ctl", .ops = OPS {
		WRMSR(MC_CTL(4), 0), RDMSR(MC_CTL(4), 0), RDMSR(MC_CTL(3), ALL), RDMSR(MC_CTL(5), ALL),
		WRMSR(MC_CTL(4), ALL), RDMSR(MC_CTL(4), ALL), WRMSR(MC_ADDR(4), 0x123), RDMSR(MC_ADDR(4), 0x123),
		WRMSR(MC_MISC(4), 0x456), RDMSR(MC_MISC(4), 0x456), RDMSR(MC_STATUS(4), 0), END } },
	/* Other values than 0 and all ones are undefined; KVM takes those that guests are known to write. */
	{ .label = "bank_ctl_values", .needs = "pinned", .ops = OPS {
		WRMSR(MC_CTL(4), ALL - (1 << 10)), RDMSR(MC_CTL(4), ALL - (1 << 10)), WRMSR(MC_CTL(1), ALL - 1),
		RDMSR(MC_CTL(1), ALL - 1), WRMSR_GP(MC_CTL(4), 1), WRMSR_GP(MC_CTL(4), ALL - 2), WRMSR_GP(MC_CTL(0), 1ull << 63),
		RDMSR(MC_CTL(4), ALL - (1 << 10)), RDMSR(MC_CTL(0), ALL), END } },
	{ .label = "status_write", .ops = OPS {
		HOST_DO(error_corrected), WRMSR_GP(MC_STATUS(3), 1), WRMSR_GP(MC_STATUS(3), VAL | EN | 0x11),
		RDBANK(3, VAL | EN | 0x11, 0x1000), WRMSR(MC_STATUS(3), 0), RDMSR(MC_STATUS(3), 0),
		WRMSR(MCG_STATUS, MCG_MCIP), RDMSR(MCG_STATUS, MCG_MCIP), WRMSR(MCG_STATUS, 0), RDMSR(MCG_STATUS, 0),
		END } },
	{ .label = "status_write_enabled", .needs = "vendor:amd", .ops = OPS {
		WRMSR(HWCR, HWCR_MC_STATUS_WR_EN), RDMSR(HWCR, HWCR_MC_STATUS_WR_EN), WRMSR(MC_STATUS(3), VAL | 0x77),
		RDMSR(MC_STATUS(3), VAL | 0x77), RDMSR(MC_STATUS(2), 0), END } },
	{ .label = "status_write_disabled", .needs = "vendor:amd",
	  .known = { .finding = "0904-hwcr-never-cleared", .kernels = "..6.6" }, .ops = OPS {
		WRMSR(HWCR, HWCR_MC_STATUS_WR_EN), WRMSR(MC_STATUS(3), VAL | 0x77), WRMSR(HWCR, 0), RDMSR(HWCR, 0),
		WRMSR_GP(MC_STATUS(3), VAL | 0x88), RDMSR(MC_STATUS(3), VAL | 0x77), END } },
	{ .label = "corrected", .ops = OPS {
		MC_READY, HOST_DO(error_corrected), TAKE(0), RDBANK(3, VAL | EN | 0x11, 0x1000),
		RDMSR(MC_MISC(3), 0x1001), RDMSR(MC_STATUS(2), 0), RDMSR(MC_STATUS(4), 0), RDMSR(MCG_STATUS, 0),
		/* A second one takes its place. */
		HOST_DO(error_corrected_again), TAKE(0), RDBANK(3, VAL | OVER | EN | 0x22, 0x2000), END } },
	{ .label = "uncorrected", .ops = OPS {
		MC_READY, HOST_DO(error_uncorrected), TAKE(MC_VECTOR), RDBANK(3, VAL | EN | UC | PCC | 0x33, 0x3000),
		RDMSR(MC_MISC(3), 0x3001), RDMSR(MCG_STATUS, MCG_RIPV | MCG_MCIP), TAKE(0), END } },
	{ .label = "uncorrected_over", .ops = OPS {
		MC_READY, HOST_DO(error_corrected), HOST_DO(error_uncorrected), TAKE(MC_VECTOR),
		RDBANK(3, VAL | OVER | EN | UC | PCC | 0x33, 0x3000), WRMSR(MCG_STATUS, 0),
		/* The uncorrected one stays; that there was another is told. */
		WRMSR(MC_STATUS(3), 0), HOST_DO(error_uncorrected), TAKE(MC_VECTOR), HOST_DO(error_corrected), TAKE(0),
		RDBANK(3, VAL | OVER | EN | UC | PCC | 0x33, 0x3000), END } },
	{ .label = "uncorrected_last", .ops = OPS {
		MC_READY, HOST_DO(error_uncorrected_last), TAKE(MC_VECTOR),
		RDBANK(9, VAL | EN | UC | PCC | 0x44, 0x4000), RDMSR(MCG_STATUS, MCG_MCIP), RDMSR(MC_STATUS(3), 0), END } },
	{ .label = "disabled", .ops = OPS {
		MC_READY, WRMSR(MCG_CTL, 0), HOST_DO(error_uncorrected), TAKE(0), RDBANK(3, 0, 0), RDMSR(MCG_STATUS, 0),
		END } },
	{ .label = "bank_disabled", .ops = OPS {
		MC_READY, WRMSR(MC_CTL(3), 0), HOST_DO(error_uncorrected), TAKE(0), RDBANK(3, 0, 0),
		RDMSR(MCG_STATUS, 0), HOST_DO(error_uncorrected_last), TAKE(MC_VECTOR), END } },
	{ .label = "no_action", .ops = OPS {
		MC_READY, HOST_DO(error_no_action), TAKE(0), RDBANK(3, VAL | EN | UC | 0x55, 0x5000),
		RDMSR(MC_MISC(3), 0x5001), RDMSR(MCG_STATUS, 0), END } },
	{ .label = "set_refused", .ops = OPS {
		MC_READY, HOST_DO(host_set_refused), TAKE(0), RDBANK(3, 0, 0), RDMSR(MCG_STATUS, 0), END } },
	{ .label = "ctl2_absent", .ops = OPS {
		RDMSR_GP(MC_CTL2(0)), WRMSR_GP(MC_CTL2(0), 0), RDMSR_GP(MC_CTL2(NR_BANKS)), END } },
	{ .label = "ctl2", .needs = "vendor:intel", .cap = CAP_CMCI_P | CAP_CTL_P | NR_BANKS, .ops = OPS {
		RDMSR(MC_CTL2(0), 0), WRMSR(MC_CTL2(0), CTL2_CMCI_EN | 0x7fff), RDMSR(MC_CTL2(0), CTL2_CMCI_EN | 0x7fff),
		WRMSR_GP(MC_CTL2(0), 0x8000), WRMSR_GP(MC_CTL2(0), 1ull << 31), WRMSR_GP(MC_CTL2(0), 1ull << 32),
		RDMSR(MC_CTL2(0), CTL2_CMCI_EN | 0x7fff), RDMSR(MC_CTL2(9), 0), RDMSR_GP(MC_CTL2(10)),
		WRMSR_GP(MC_CTL2(10), 0), END } },
	{ .label = "cmci", .needs = "vendor:intel", .cap = CAP_CMCI_P | CAP_CTL_P | NR_BANKS, .ops = OPS {
		MC_READY, LAPIC_ON, WRITE32(APIC_CMCI, 0x62), HOST_DO(error_no_action), TAKE(0),
		WRMSR(MC_CTL2(3), CTL2_CMCI_EN | 1), HOST_DO(error_no_action), TAKE(0x62), LAPIC_EOI, TAKE(0),
		WRITE32(APIC_CMCI, LVT_MASKED | 0x62), HOST_DO(error_no_action), TAKE(0), END } },
	{ .label = "cmci_absent", .ops = OPS {
		/* Six entries in the local vector table, and none for this. */
		READ32_BITS(APIC_VERSION, 0xff0000, 0x050000), END } },
	{ .label = "cmci_version", .needs = "vendor:intel", .cap = CAP_CMCI_P | CAP_CTL_P | NR_BANKS, .ops = OPS {
		READ32_BITS(APIC_VERSION, 0xff0000, 0x060000), READ32(APIC_CMCI, LVT_MASKED), END } },
};

CASE(mce, .says = "machine checks reach just the bank, the exception or the interrupt that they are for",
     .modes = LONG64, .irqchip = true, .needs = "KVM_CAP_MCE", .rows = ROWS(rows))

GUEST(mce)
{
	script_guest(GUEST_ROW(rows)->ops);
}

HOST(mce)
{
	const struct row *row = ROW(t, rows);
	uint64_t cap = row->cap ? row->cap : CAP_CTL_P | NR_BANKS;

	vcpu_ioctl(t->vcpu, KVM_X86_SETUP_MCE, &cap);
	script_host(t, row->ops);
}
