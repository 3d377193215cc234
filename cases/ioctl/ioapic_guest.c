/* SPDX-License-Identifier: MIT */
/*
 * The in-kernel IOAPIC as a guest programs it: registers, the 24 entries, edge and level, remote IRR and the end of an
 * interrupt, masks, and what KVM_IRQ_LINE_STATUS says of each line's change.
 *
 * Can break: an entry's neighbour written, a read-only bit written, a level delivered twice or not again, remote IRR
 * that stays, a masked edge kept or a masked level lost, another entry's end of interrupt.
 * Source: Intel 82093AA datasheet, 3.1, 3.2; SDM vol. 3A, 11.8.5 (EOI); KVM API, 4.25 (KVM_IRQ_LINE),
 * KVM_CAP_IRQ_INJECT_STATUS.
 *
 * Note, KVM takes a line's level for "asserted", whatever the entry's polarity says.
 */
#include "case.h"

#include <string.h>

#include "cases/ioctl/ioapic_regs.h"
#include "cases/ioctl/irq_script.h"
#include "cases/ioctl/lapic_regs.h"
#include "cases/ioctl/pic_ports.h"

#define NR_PINS 24

/* The 8259A share the lines below 16: masked. */
#define START OUT8(MASTER_MASK, 0xff), OUT8(SLAVE_MASK, 0xff), LAPIC_ON
#define ENTRY_IS(pin_, want_) IO_READ(IOREDTBL(pin_), want_)

static uint32_t ioapic_read(uint32_t index)
{
	write32(IOREGSEL, index);
	return read32(IOWIN);
}

static void ioapic_write(uint32_t index, uint32_t value)
{
	write32(IOREGSEL, index);
	write32(IOWIN, value);
}

static void guest_reset(void)
{
	unsigned int pin;

	CHECK_EQ(0, read32(IOREGSEL));
	for (pin = 0; pin < NR_PINS; pin++) {
		CHECK_EQ(RT_MASKED, ioapic_read(IOREDTBL(pin)));
		CHECK_EQ(0, ioapic_read(IOREDTBL_HIGH(pin)));
	}
}

static void guest_entries(void)
{
	unsigned int pin;

	for (pin = 0; pin < NR_PINS; pin++) {
		ioapic_write(IOREDTBL(pin), RT_MASKED | (0x30 + pin));
		ioapic_write(IOREDTBL_HIGH(pin), (0x80u + pin) << 24);
	}
	for (pin = 0; pin < NR_PINS; pin++) {
		CHECK_EQ(RT_MASKED | (0x30 + pin), ioapic_read(IOREDTBL(pin)));
		CHECK_EQ((0x80u + pin) << 24, ioapic_read(IOREDTBL_HIGH(pin)));
	}
}

/* Each writable bit of the lower half alone; entry 6 beside it stays. */
static void guest_entry_bits(void)
{
	static const uint32_t read_only = RT_STATUS | RT_REMOTE_IRR;
	unsigned int bit;

	for (bit = 0; bit < 17; bit++) {
		uint32_t want = (1u << bit | RT_MASKED) & ~read_only;

		ioapic_write(IOREDTBL(5), 1u << bit | RT_MASKED);
		CHECK_EQ(want, ioapic_read(IOREDTBL(5)));
	}
	for (bit = 24; bit < 32; bit++) {
		ioapic_write(IOREDTBL_HIGH(5), 1u << bit);
		CHECK_EQ(1u << bit, ioapic_read(IOREDTBL_HIGH(5)));
	}
	CHECK_EQ(RT_MASKED, ioapic_read(IOREDTBL(6)));
	CHECK_EQ(0, ioapic_read(IOREDTBL_HIGH(6)));
	CHECK_EQ(RT_MASKED, ioapic_read(IOREDTBL(4)));
}

/* Indices without a register: nothing is written. */
static void guest_no_register(void)
{
	static const uint8_t indices[] = { 0x03, 0x0f, 0x40, 0x41, 0x80, 0xff };
	unsigned int i;

	for (i = 0; i < sizeof(indices); i++)
		ioapic_write(indices[i], 0x000100aa);
	CHECK_EQ(0, ioapic_read(IOAPIC_ID));
	for (i = 0; i < NR_PINS; i++) {
		CHECK_EQ(RT_MASKED, ioapic_read(IOREDTBL(i)));
		CHECK_EQ(0, ioapic_read(IOREDTBL_HIGH(i)));
	}
}

static void guest_sizes(void)
{
	write8(IOREGSEL, IOREDTBL(7));
	write32(IOWIN, RT_MASKED | 0x83 | RT_LEVEL);
	CHECK_EQ(IOREDTBL(7), read8(IOREGSEL));
	CHECK_EQ(0x83, read8(IOWIN));
	CHECK_EQ(0x8083, read16(IOWIN));
	CHECK_EQ(RT_MASKED | 0x83 | RT_LEVEL, read32(IOWIN));
	write16(IOREGSEL, IOREDTBL_HIGH(7));
	CHECK_EQ(0, read32(IOWIN));
	/* Between and behind the two there is nothing. */
	write32(IOREGSEL + 4, 0x11);
	write32(IOWIN + 0x10, 0x11000000);
	write32(IOREGSEL + 0xf0, 0x11);
	CHECK_EQ(0, read32(IOREGSEL + 0xf0));
	CHECK_EQ(0, read32(IOWIN + 0x10));
	CHECK_EQ(IOREDTBL_HIGH(7), read32(IOREGSEL));
	CHECK_EQ(0, read32(IOWIN));
}

/*
 * A level that nobody takes back: each end of interrupt is followed by the next one, also behind the ten thousandth,
 * from which on KVM gives the guest time.
 */
static void guest_level_forever(void)
{
	unsigned int nr = 10010;
	uint64_t taken = 0x51;

	while (nr-- && taken == 0x51) {
		halt_once();
		taken = script_take();
		write32(APIC_EOI, 0);
	}
	CHECK_EQ(0x51, taken);
}

static void ioapic_get(struct test *t, struct kvm_irqchip *chip)
{
	memset(chip, 0, sizeof(*chip));
	chip->chip_id = KVM_IRQCHIP_IOAPIC;
	vm_ioctl(t->vm, KVM_GET_IRQCHIP, chip);
}

/* Pin 20 is a level in service, pin 21 a masked line that is up, pin 22 an edge that was delivered. */
static void check_state(struct test *t)
{
	struct kvm_irqchip chip;

	ioapic_get(t, &chip);
	expect_eq(t, 0xfec00000, chip.chip.ioapic.base_address);
	expect_eq(t, 0x7, chip.chip.ioapic.id);
	expect_eq(t, IOREDTBL(22), chip.chip.ioapic.ioregsel);
	expect_eq(t, 1u << 20 | 1u << 21, chip.chip.ioapic.irr);
	expect_eq(t, 0x51 | RT_LEVEL | RT_REMOTE_IRR, chip.chip.ioapic.redirtbl[20].bits);
	expect_eq(t, 0x3ull << 56 | RT_MASKED | 0x61, chip.chip.ioapic.redirtbl[21].bits);
	expect_eq(t, 0x41, chip.chip.ioapic.redirtbl[22].bits);
}

/* An edge and a level that were up when the state was taken are delivered; a masked one is not. */
static void set_state(struct test *t)
{
	struct kvm_irqchip chip;

	ioapic_get(t, &chip);
	chip.chip.ioapic.redirtbl[16].bits = 0x71;
	chip.chip.ioapic.redirtbl[17].bits = 0x72 | RT_MASKED;
	chip.chip.ioapic.redirtbl[18].bits = 0x83 | RT_LEVEL;
	chip.chip.ioapic.redirtbl[19].bits = 0x74 | RT_LEVEL | RT_REMOTE_IRR;
	chip.chip.ioapic.irr = 1u << 16 | 1u << 17 | 1u << 18 | 1u << 19;
	vm_ioctl(t->vm, KVM_SET_IRQCHIP, &chip);
}

/* Saved and restored while the RTC's interrupt is in service. */
static void restore_ioapic(struct test *t)
{
	struct kvm_irqchip chip;

	ioapic_get(t, &chip);
	vm_ioctl(t->vm, KVM_SET_IRQCHIP, &chip);
}

/* The entry of GSI 8 names a local APIC that is not there. */
static void restore_elsewhere(struct test *t)
{
	struct kvm_irqchip chip;

	ioapic_get(t, &chip);
	chip.chip.ioapic.redirtbl[8].fields.dest_id = 5;
	vm_ioctl(t->vm, KVM_SET_IRQCHIP, &chip);
}

/* GSI 8's 0x58 is not in service any more. */
static void restore_lapic_idle(struct test *t)
{
	struct kvm_lapic_state lapic;

	vcpu_ioctl(t->vcpu, KVM_GET_LAPIC, &lapic);
	memset(lapic.regs + 0x100, 0, 0x80);
	vcpu_ioctl(t->vcpu, KVM_SET_LAPIC, &lapic);
}

struct row {
	ROW_FIELDS;
	const struct op *ops;
};

static const struct row rows[] = {
	/* --- registers --- */
	{ .label = "reset", .ops = OPS {
		GUEST_DO(guest_reset), IO_READ(IOAPIC_ID, 0), IO_READ(IOAPIC_VERSION, 0x00170011),
		IO_READ(IOAPIC_ARB, 0),
		END } },
	{ .label = "id", .ops = OPS {
		IO_WRITE(IOAPIC_ID, 0xffffffff), IO_READ(IOAPIC_ID, 0x0f000000), IO_READ(IOAPIC_ARB, 0x0f000000),
		IO_WRITE(IOAPIC_ID, 0x05000000), IO_READ(IOAPIC_ID, 0x05000000), END } },
	{ .label = "read_only", .ops = OPS {
		IO_WRITE(IOAPIC_VERSION, 0), IO_READ(IOAPIC_VERSION, 0x00170011), IO_WRITE(IOAPIC_ARB, 0x0a000000),
		IO_READ(IOAPIC_ARB, 0), IO_READ(IOAPIC_ID, 0), END } },
	{ .label = "select", .ops = OPS {
		WRITE32(IOREGSEL, 0x13), READ32(IOREGSEL, 0x13), WRITE32(IOREGSEL, 0x101), READ32(IOREGSEL, 1),
		READ32(IOWIN, 0x00170011), END } },
	{ .label = "entries", .ops = OPS { GUEST_DO(guest_entries), END } },
	{ .label = "entry_bits", .ops = OPS { GUEST_DO(guest_entry_bits), END } },
	{ .label = "no_register", .ops = OPS { GUEST_DO(guest_no_register), END } },
	{ .label = "sizes", .ops = OPS { GUEST_DO(guest_sizes), END } },
	{ .label = "range", .ops = OPS {
		/* 256 bytes are the IOAPIC's, the next are user space's. */
		WRITE32(0xfec000fc, 1),
		WRITE32_EXIT(0xfec00100, 0x12345678, .reason = KVM_EXIT_MMIO,
			     .mmio = { .phys_addr = 0xfec00100, .len = 4, .is_write = 1, .data = 0x12345678 }),
		WRITE32_EXIT(0xfebffffc, 0x9abcdef0, .reason = KVM_EXIT_MMIO,
			     .mmio = { .phys_addr = 0xfebffffc, .len = 4, .is_write = 1, .data = 0x9abcdef0 }),
			END } },

	/* --- edge --- */
	{ .label = "edge", .ops = OPS {
		START, IO_ENTRY(5, 0, 0x51), LINE(5, 1), ENTRY_IS(5, 0x51), READ32(APIC_IRR(0x51), VECTOR_BIT(0x51)),
		READ32(APIC_TMR(0x51), 0), TAKE(0x51), LINE(5, 1), TAKE(0), LINE(5, 0), LAPIC_EOI, TAKE(0),
		LINE(5, 1),
		TAKE(0x51), LAPIC_EOI, TAKE(0), END } },
	{ .label = "edge_in_service", .ops = OPS {
		/* A second edge is remembered by the local APIC, a third is the same. */
		START, IO_ENTRY(5, 0, 0x51), LINE(5, 1), TAKE(0x51), LINE(5, 0), LINE(5, 1), LINE(5, 0), LINE(5, 1),
		TAKE(0), LAPIC_EOI, TAKE(0x51), LAPIC_EOI, TAKE(0), END } },
	{ .label = "edge_masked", .ops = OPS {
		/* Not held pending (82093AA, 3.2.4, bit 16). */
		START, IO_ENTRY(5, 0, 0x51 | RT_MASKED), LINE(5, 1), IO_WRITE(IOREDTBL(5), 0x51), TAKE(0), LINE(5, 0),
		TAKE(0), LINE(5, 1), TAKE(0x51), END } },
	{ .label = "edge_pulse", .ops = OPS {
		START, IO_ENTRY(23, 0, 0xfe), LINE(23, 1), LINE(23, 0), TAKE(0xfe), END } },
	{ .label = "low_active", .ops = OPS {
		START, IO_ENTRY(5, 0, 0x51 | RT_LOW_ACTIVE), TAKE(0), LINE(5, 1), TAKE(0x51),
		ENTRY_IS(5, 0x51 | RT_LOW_ACTIVE), END } },

	/* --- level --- */
	{ .label = "level", .ops = OPS {
		START, IO_ENTRY(5, 0, 0x51 | RT_LEVEL), LINE(5, 1), ENTRY_IS(5, 0x51 | RT_LEVEL | RT_REMOTE_IRR),
		READ32(APIC_TMR(0x51), VECTOR_BIT(0x51)), TAKE(0x51), ENTRY_IS(5, 0x51 | RT_LEVEL | RT_REMOTE_IRR),
		TAKE(0), LINE(5, 0), ENTRY_IS(5, 0x51 | RT_LEVEL | RT_REMOTE_IRR), LAPIC_EOI,
		ENTRY_IS(5, 0x51 | RT_LEVEL),
		TAKE(0), END } },
	{ .label = "level_stays_up", .ops = OPS {
		START, IO_ENTRY(5, 0, 0x51 | RT_LEVEL), LINE(5, 1), TAKE(0x51), LAPIC_EOI,
		ENTRY_IS(5, 0x51 | RT_LEVEL | RT_REMOTE_IRR), TAKE(0x51), LAPIC_EOI, TAKE(0x51), LINE(5, 0),
		LAPIC_EOI,
		TAKE(0), ENTRY_IS(5, 0x51 | RT_LEVEL), END } },
	{ .label = "level_up_again", .ops = OPS {
		/* Down and up before the end: once more, not twice. */
		START, IO_ENTRY(5, 0, 0x51 | RT_LEVEL), LINE(5, 1), TAKE(0x51), LINE(5, 0), LINE(5, 1), LINE(5, 0),
		LINE(5, 1), TAKE(0), LAPIC_EOI, TAKE(0x51), LINE(5, 0), LAPIC_EOI, TAKE(0), END } },
	{ .label = "level_masked", .ops = OPS {
		START, IO_ENTRY(5, 0, 0x51 | RT_LEVEL | RT_MASKED), LINE(5, 1), TAKE(0),
		ENTRY_IS(5, 0x51 | RT_LEVEL | RT_MASKED), IO_WRITE(IOREDTBL(5), 0x51 | RT_LEVEL), TAKE(0x51), END } },
	{ .label = "level_masked_down", .ops = OPS {
		START, IO_ENTRY(5, 0, 0x51 | RT_LEVEL | RT_MASKED), LINE(5, 1), LINE(5, 0),
		IO_WRITE(IOREDTBL(5), 0x51 | RT_LEVEL), TAKE(0), END } },
	{ .label = "level_masked_in_service", .ops = OPS {
		START, IO_ENTRY(5, 0, 0x51 | RT_LEVEL), LINE(5, 1), TAKE(0x51),
		IO_WRITE(IOREDTBL(5), 0x51 | RT_LEVEL | RT_MASKED),
		ENTRY_IS(5, 0x51 | RT_LEVEL | RT_MASKED | RT_REMOTE_IRR), LAPIC_EOI,
		ENTRY_IS(5, 0x51 | RT_LEVEL | RT_MASKED),
		TAKE(0), IO_WRITE(IOREDTBL(5), 0x51 | RT_LEVEL), TAKE(0x51), END } },
	{ .label = "remote_irr_read_only", .ops = OPS {
		START, IO_ENTRY(5, 0, 0x51 | RT_LEVEL), LINE(5, 1), TAKE(0x51),
		IO_WRITE(IOREDTBL(5), 0x51 | RT_LEVEL),
		ENTRY_IS(5, 0x51 | RT_LEVEL | RT_REMOTE_IRR), IO_WRITE(IOREDTBL_HIGH(5), 0),
		ENTRY_IS(5, 0x51 | RT_LEVEL | RT_REMOTE_IRR), TAKE(0), END } },
	{ .label = "remote_irr_edge_clears", .ops = OPS {
		/* What Linux does for an IOAPIC without EOI register: the bit is gone in an edge's entry. */
		START, IO_ENTRY(5, 0, 0x51 | RT_LEVEL), LINE(5, 1), TAKE(0x51),
		IO_WRITE(IOREDTBL(5), 0x51 | RT_MASKED),
		ENTRY_IS(5, 0x51 | RT_MASKED), IO_WRITE(IOREDTBL(5), 0x51 | RT_LEVEL),
		ENTRY_IS(5, 0x51 | RT_LEVEL | RT_REMOTE_IRR), LAPIC_EOI, TAKE(0x51), END } },
	{ .label = "eoi_of_other_vector", .ops = OPS {
		START, IO_ENTRY(5, 0, 0x51 | RT_LEVEL), IO_ENTRY(6, 0, 0x61 | RT_LEVEL), LINE(5, 1), TAKE(0x51),
		LINE(6, 1),
		TAKE(0x61), LAPIC_EOI, ENTRY_IS(5, 0x51 | RT_LEVEL | RT_REMOTE_IRR),
		ENTRY_IS(6, 0x61 | RT_LEVEL | RT_REMOTE_IRR), TAKE(0x61), LINE(6, 0), LAPIC_EOI,
		ENTRY_IS(6, 0x61 | RT_LEVEL),
		LINE(5, 0), LAPIC_EOI, ENTRY_IS(5, 0x51 | RT_LEVEL), TAKE(0), END } },
	{ .label = "eoi_of_shared_vector", .ops = OPS {
		START, IO_ENTRY(5, 0, 0x51 | RT_LEVEL), IO_ENTRY(6, 0, 0x51 | RT_LEVEL), LINE(5, 1), LINE(6, 1),
		TAKE(0x51),
		LINE(5, 0), LINE(6, 0), LAPIC_EOI, ENTRY_IS(5, 0x51 | RT_LEVEL), ENTRY_IS(6, 0x51 | RT_LEVEL),
		TAKE(0),
		END } },
	{ .label = "eoi_without_level", .ops = OPS {
		/* The end of an edge of the same vector is not broadcast: TMR is 0. */
		START, IO_ENTRY(5, 0, 0x51 | RT_LEVEL), LINE(5, 1), TAKE(0x51), LINE(5, 0), SELF_IPI(0x61),
		TAKE(0x61),
		LAPIC_EOI, ENTRY_IS(5, 0x51 | RT_LEVEL | RT_REMOTE_IRR), LAPIC_EOI, ENTRY_IS(5, 0x51 | RT_LEVEL),
		END } },

	/* --- delivery modes --- */
	{ .label = "nmi", .ops = OPS {
		START, IO_ENTRY(5, 0, RT_NMI | 0x51), LINE(5, 1), TAKE(NMI_VECTOR), READ32(APIC_IRR(0x51), 0),
		READ32(APIC_ISR(0x51), 0), LINE(5, 0), LINE(5, 1), TAKE(NMI_VECTOR), END } },
	{ .label = "nmi_lapic_off", .ops = OPS {
		/* A software-disabled local APIC still takes NMI. */
		START, WRITE32(APIC_SVR, 0xff), IO_ENTRY(5, 0, RT_NMI), LINE(5, 1), TAKE(NMI_VECTOR), END } },
	{ .label = "lowest", .ops = OPS {
		START, IO_ENTRY(5, 0, RT_LOWEST | 0x51), LINE(5, 1), TAKE(0x51), END } },
	{ .label = "fixed_lapic_off", .ops = OPS {
		START, WRITE32(APIC_SVR, 0xff), IO_ENTRY(5, 0, 0x51), LINE(5, 1), TAKE(0), LAPIC_ON, TAKE(0), END } },

	/* --- what a line's change says --- */
	{ .label = "status_edge", .ops = OPS {
		START, IO_ENTRY(20, 0, 0x51), STATUS(20, 1, 1), STATUS(20, 1, 0), STATUS(20, 0, 1), STATUS(20, 1, 1),
		TAKE(0x51),
		END } },
	{ .label = "status_masked", .ops = OPS {
		START, IO_ENTRY(20, 0, 0x51 | RT_MASKED), STATUS(20, 1, -1), STATUS(20, 1, 0), STATUS(20, 0, 1),
		END } },
	{ .label = "status_level", .ops = OPS {
		START, IO_ENTRY(20, 0, 0x51 | RT_LEVEL), STATUS(20, 1, 1), STATUS(20, 1, -1), STATUS(20, 0, 1),
		STATUS(20, 1, -1), TAKE(0x51), LINE(20, 0), LAPIC_EOI, STATUS(20, 1, 1), TAKE(0x51), END } },
	{ .label = "status_lapic_off", .ops = OPS {
		START, WRITE32(APIC_SVR, 0xff), IO_ENTRY(20, 0, 0x51), STATUS(20, 1, 0), STATUS(20, 0, 1),
		IO_WRITE(IOREDTBL(20), 0x51 | RT_LEVEL), STATUS(20, 1, 0), ENTRY_IS(20, 0x51 | RT_LEVEL), END } },
	{ .label = "status_rtc", .ops = OPS {
		/* GSI 8 says coalesced until its end of interrupt, so that user space can make up for it. */
		START, IO_ENTRY(8, 0, 0x58), STATUS(8, 1, 1), LINE(8, 0), STATUS(8, 1, 0), LINE(8, 0), TAKE(0x58),
		STATUS(8, 1, 0), LINE(8, 0), LAPIC_EOI, TAKE(0), STATUS(8, 1, 1), TAKE(0x58), END } },
	{ .label = "status_rtc_other", .ops = OPS {
		/* No other pin is coalesced with it. */
		START, IO_ENTRY(8, 0, 0x58), IO_ENTRY(9, 0, 0x69), STATUS(8, 1, 1), LINE(8, 0), STATUS(9, 1, 1), LINE(9, 0),
		TAKE(0x69), LAPIC_EOI, TAKE(0x58), LAPIC_EOI, END } },
	{ .label = "status_rtc_restored", .ops = OPS {
		START, IO_ENTRY(8, 0, 0x58), STATUS(8, 1, 1), LINE(8, 0), TAKE(0x58), HOST_DO(restore_ioapic),
		STATUS(8, 1, 0), LINE(8, 0), LAPIC_EOI, STATUS(8, 1, 1), TAKE(0x58), END } },
	{ .label = "status_rtc_lapic_restored", .ops = OPS {
		START, IO_ENTRY(8, 0, 0x58), STATUS(8, 1, 1), LINE(8, 0), TAKE(0x58), HOST_DO(restore_lapic_idle),
		STATUS(8, 1, 1), TAKE(0x58), END } },
	{ .label = "status_rtc_elsewhere", .ops = OPS {
		/* Nobody's end of interrupt is waited for. */
		START, IO_ENTRY(8, 0, 0x58), STATUS(8, 1, 1), LINE(8, 0), TAKE(0x58), HOST_DO(restore_elsewhere),
		IO_ENTRY(8, 0, 0x68), STATUS(8, 1, 1), LINE(8, 0), TAKE(0x68), END } },
	{ .label = "status_rtc_other_vector", .ops = OPS {
		/* The end of the old vector's interrupt counts. */
		START, IO_ENTRY(8, 0, 0x58), STATUS(8, 1, 1), LINE(8, 0), TAKE(0x58), IO_ENTRY(8, 0, 0x59),
		STATUS(8, 1, 0),
		LINE(8, 0), LAPIC_EOI, STATUS(8, 1, 1), TAKE(0x59), END } },
	{ .label = "level_forever", .ops = OPS {
		START, IO_ENTRY(20, 0, 0x51 | RT_LEVEL), LINE(20, 1), GUEST_DO(guest_level_forever), TAKE(0x51),
		LINE(20, 0), LAPIC_EOI, TAKE(0), END } },
	{ .label = "status_no_route", .ops = OPS { START, STATUS(24, 1, -1), STATUS(4095, 1, -1), END } },

	/* --- state --- */
	{ .label = "state_out", .ops = OPS {
		START, IO_WRITE(IOAPIC_ID, 0x07000000), IO_ENTRY(20, 0, 0x51 | RT_LEVEL),
		IO_ENTRY(21, 3, 0x61 | RT_MASKED),
		IO_ENTRY(22, 0, 0x41), LINE(20, 1), LINE(21, 1), TAKE(0x51), LINE(22, 1), HOST_DO(check_state),
		TAKE(0),
		END } },
	{ .label = "state_in", .ops = OPS {
		START, HOST_DO(set_state), TAKE(0x83), READ32(APIC_IRR(0x71), VECTOR_BIT(0x71)),
		ENTRY_IS(18, 0x83 | RT_LEVEL | RT_REMOTE_IRR), ENTRY_IS(19, 0x74 | RT_LEVEL | RT_REMOTE_IRR),
		ENTRY_IS(17, 0x72 | RT_MASKED), LINE(18, 0), LAPIC_EOI, TAKE(0x71), LAPIC_EOI, TAKE(0), END } },
};

CASE(ioapic_guest, .says = "the IOAPIC does what its datasheet says", .modes = LONG64, .irqchip = true,
     .rows = ROWS(rows))

GUEST(ioapic_guest)
{
	script_guest(GUEST_ROW(rows)->ops);
}

HOST(ioapic_guest)
{
	script_host(t, ROW(t, rows)->ops);
}
