/* SPDX-License-Identifier: MIT */
/*
 * KVM_IRQFD as a guest sees it: a write to the descriptor is an edge at its GSI; with a resample descriptor it is a level
 * that the guest's end of interrupt lowers, and that user space hears of.
 *
 * Can break: the level that stays after the end, a resample event lost or sent to one of two, user space's own level
 * lowered with it, a descriptor that still interrupts after it was taken away, an old route.
 * Source: KVM API, 4.75 (KVM_IRQFD), KVM_CAP_IRQFD_RESAMPLE.
 *
 * Note, KVM does a part of this in a kernel thread: the guest waits in HLT for what must come.
 */
#include "case.h"

#include <unistd.h>

#include <sys/eventfd.h>	/* needs what <unistd.h> brings, in the guest's build */

#include "cases/ioctl/ioapic_regs.h"
#include "cases/ioctl/irq_script.h"
#include "cases/ioctl/lapic_regs.h"
#include "cases/ioctl/pic_ports.h"
#include "cases/ioctl/routes.h"

#define GSI 5
#define MSI_GSI 40
#define START OUT8(MASTER_MASK, 0xff), OUT8(SLAVE_MASK, 0xff), LAPIC_ON

struct row {
	ROW_FIELDS;
	const struct op *ops;
};

static int event, other_event, resample, other_resample;

static long irqfd_try(struct test *t, int fd, uint32_t gsi, uint32_t flags, int resample_fd)
{
	struct kvm_irqfd irqfd = { .fd = fd, .gsi = gsi, .flags = flags, .resamplefd = resample_fd };

	return vm_ioctl_try(t->vm, KVM_IRQFD, &irqfd);
}

static void fire(struct test *t, int fd)
{
	const uint64_t one = 1;

	expect_eq(t, sizeof(one), write(fd, &one, sizeof(one)));
}

static uint64_t counted(int fd)
{
	uint64_t count = 0;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static void assign(struct test *t)
{
	expect_result(t, 0, irqfd_try(t, event, GSI, 0, 0));
}

static void msi_route(struct test *t, uint8_t vector)
{
	const struct kvm_irq_routing_entry route = MSI_ROUTE(MSI_GSI, 0, 0xfee00000, vector);

	expect_result(t, 0, routes_try(t, 1, &route));
}

static void assign_msi(struct test *t)
{
	msi_route(t, 0x61);
	expect_result(t, 0, irqfd_try(t, event, MSI_GSI, 0, 0));
	fire(t, event);
}

/* The same GSI, another vector: the descriptor follows. */
static void reroute_msi(struct test *t)
{
	msi_route(t, 0x71);
	fire(t, event);
}

static void fire_event(struct test *t)
{
	fire(t, event);
}

static void fire_other(struct test *t)
{
	fire(t, other_event);
}

static void take_away(struct test *t)
{
	expect_result(t, 0, irqfd_try(t, event, GSI, KVM_IRQFD_FLAG_DEASSIGN, 0));
}

/* It is an ordinary descriptor again, which keeps its count. */
static void fire_kept(struct test *t)
{
	fire(t, event);
	expect_eq(t, 1, counted(event));
}

static void assign_resample(struct test *t)
{
	expect_result(t, 0, irqfd_try(t, event, GSI, KVM_IRQFD_FLAG_RESAMPLE, resample));
}

static void assign_other_resample(struct test *t)
{
	expect_result(t, 0, irqfd_try(t, other_event, GSI, KVM_IRQFD_FLAG_RESAMPLE, other_resample));
}

static void expect_no_resample(struct test *t)
{
	expect_eq(t, 0, counted(resample));
	expect_eq(t, 0, counted(other_resample));
}

static void expect_resample(struct test *t)
{
	expect_eq(t, 1, counted(resample));
	expect_eq(t, 0, counted(other_resample));
}

static void expect_both_resample(struct test *t)
{
	expect_eq(t, 1, counted(resample));
	expect_eq(t, 1, counted(other_resample));
}

static void close_event(struct test *t)
{
	(void)t;
	close(event);
}

static void refused(struct test *t)
{
	expect_errno(t, EBADF, irqfd_try(t, event, GSI, KVM_IRQFD_FLAG_RESAMPLE, -1));
	expect_errno(t, EINVAL, irqfd_try(t, event, GSI, KVM_IRQFD_FLAG_RESAMPLE, t->vm->fd));
	fire(t, event);
	expect_eq(t, 1, counted(event));
}

/* The same event a second time, and with another resampler: neither takes the place of the first. */
static void refused_twice(struct test *t)
{
	expect_errno(t, EBUSY, irqfd_try(t, event, GSI, KVM_IRQFD_FLAG_RESAMPLE, other_resample));
	expect_errno(t, EBUSY, irqfd_try(t, event, GSI + 1, KVM_IRQFD_FLAG_RESAMPLE, other_resample));
	expect_errno(t, EBUSY, irqfd_try(t, event, GSI, 0, 0));
}

#define LEVEL_ENTRY IO_ENTRY(GSI, 0, 0x51 | RT_LEVEL)
#define ENTRY_IDLE IO_READ(IOREDTBL(GSI), 0x51 | RT_LEVEL)

static const struct row rows[] = {
	{ .label = "edge", .ops = OPS {
		START, IO_ENTRY(GSI, 0, 0x51), HOST_DO(assign), HOST_DO(fire_event), HALT(0x51), LAPIC_EOI, TAKE(0),
		HOST_DO(fire_event),
		HALT(0x51), LAPIC_EOI, TAKE(0), END } },
	{ .label = "edge_pic", .ops = OPS {
		PIC_INIT, HOST_DO(assign), HOST_DO(fire_event), HALT(0x25), OUT8(MASTER, EOI), HOST_DO(fire_event),
		HALT(0x25), END } },
	{ .label = "msi", .ops = OPS {
		/* At once: no thread in between. */
		START, HOST_DO(assign_msi), TAKE(0x61), LAPIC_EOI, HOST_DO(fire_event), TAKE(0x61), END } },
	{ .label = "msi_rerouted", .ops = OPS {
		START, HOST_DO(assign_msi), TAKE(0x61), LAPIC_EOI, HOST_DO(reroute_msi), TAKE(0x71), END } },
	{ .label = "taken_away", .ops = OPS {
		START, IO_ENTRY(GSI, 0, 0x51), HOST_DO(assign), HOST_DO(fire_event), HALT(0x51), LAPIC_EOI,
		HOST_DO(take_away),
		HOST_DO(fire_kept), TAKE(0), HOST_DO(assign), TAKE(0), HOST_DO(fire_event), HALT(0x51), END } },
	{ .label = "closed", .ops = OPS {
		START, IO_ENTRY(GSI, 0, 0x51), HOST_DO(assign), HOST_DO(close_event), TAKE(0), LINE(GSI, 1),
		TAKE(0x51), END } },
	{ .label = "resample", .needs = "KVM_CAP_IRQFD_RESAMPLE", .ops = OPS {
		START, LEVEL_ENTRY, HOST_DO(assign_resample), HOST_DO(fire_event), HALT(0x51),
		HOST_DO(expect_no_resample), TAKE(0),
		LAPIC_EOI, HOST_DO(expect_resample), ENTRY_IDLE, TAKE(0), HOST_DO(fire_event), HALT(0x51), LAPIC_EOI,
		HOST_DO(expect_resample), END } },
	{ .label = "resample_pic", .needs = "KVM_CAP_IRQFD_RESAMPLE", .ops = OPS {
		PIC_INIT, OUT8(MASTER_ELCR, 1 << GSI), HOST_DO(assign_resample), HOST_DO(fire_event), HALT(0x25),
		HOST_DO(expect_no_resample), IN8(MASTER, 1 << GSI), OUT8(MASTER, EOI), HOST_DO(expect_resample),
		IN8(MASTER, 0), TAKE(0),
		END } },
	{ .label = "resample_two", .needs = "KVM_CAP_IRQFD_RESAMPLE", .ops = OPS {
		/* One line for both; both are told, whoever raised it. */
		START, LEVEL_ENTRY, HOST_DO(assign_resample), HOST_DO(assign_other_resample), HOST_DO(fire_event),
		HALT(0x51), LAPIC_EOI,
		HOST_DO(expect_both_resample), TAKE(0), HOST_DO(fire_other), HALT(0x51), LAPIC_EOI,
		HOST_DO(expect_both_resample),
		ENTRY_IDLE, END } },
	{ .label = "resample_and_line", .needs = "KVM_CAP_IRQFD_RESAMPLE", .ops = OPS {
		/* Two sources of a line: it is up until both are down, and the end lowers one of them. */
		START, LEVEL_ENTRY, HOST_DO(assign_resample), LINE(GSI, 1), HOST_DO(fire_event), HALT(0x51),
		LAPIC_EOI,
		HOST_DO(expect_resample), HALT(0x51), LINE(GSI, 0), LAPIC_EOI, HOST_DO(expect_resample), TAKE(0),
		ENTRY_IDLE, END } },
	{ .label = "resample_taken_away", .needs = "KVM_CAP_IRQFD_RESAMPLE", .ops = OPS {
		/* Its level goes with it. */
		START, LEVEL_ENTRY, HOST_DO(assign_resample), HOST_DO(fire_event), HALT(0x51), HOST_DO(take_away),
		LAPIC_EOI, TAKE(0),
		HOST_DO(expect_no_resample), ENTRY_IDLE, END } },
	{ .label = "resample_refused", .needs = "KVM_CAP_IRQFD_RESAMPLE", .ops = OPS {
		START, LEVEL_ENTRY, HOST_DO(refused), TAKE(0), HOST_DO(assign_resample), HOST_DO(fire_event),
		HALT(0x51), END } },
	{ .label = "resample_busy", .needs = "KVM_CAP_IRQFD_RESAMPLE", .ops = OPS {
		START, LEVEL_ENTRY, HOST_DO(assign_resample), HOST_DO(refused_twice), HOST_DO(fire_event), HALT(0x51),
		LAPIC_EOI, HOST_DO(expect_resample), ENTRY_IDLE, TAKE(0), HOST_DO(refused_twice), HOST_DO(fire_event),
		HALT(0x51), LAPIC_EOI, HOST_DO(expect_resample), ENTRY_IDLE, END } },
};

CASE(irqfd_guest, .says = "an event descriptor interrupts the guest, and hears of the end of a level", .modes = LONG64,
     .irqchip = true, .needs = "KVM_CAP_IRQFD", .rows = ROWS(rows))

GUEST(irqfd_guest)
{
	script_guest(GUEST_ROW(rows)->ops);
}

HOST(irqfd_guest)
{
	event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	other_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	resample = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	other_resample = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	require_true(t, event >= 0 && other_event >= 0 && resample >= 0 && other_resample >= 0);
	script_host(t, ROW(t, rows)->ops);
	/* Whoever raises the interrupt reads the counter, when is not said. */
	expect_eq(t, 0, counted(event));
}
