/* SPDX-License-Identifier: MIT */
/*
 * The I/O permission map over all of its ports, in one run of the guest. What passes goes into the ring of coalesced
 * writes, where the host sees each access without an exit of its own; the host empties it at each sync.
 *
 *	GUEST(x) { iopm_range_guest(GUEST_ROW(rows)->range); }
 *	HOST(x) { iopm_range_host(t, &ROW(t, rows)->range); }
 */
#ifndef CASES_SVM_IOPM_RANGE_H
#define CASES_SVM_IOPM_RANGE_H

#include <string.h>

#include "guests/l1_svm.h"
#include "case.h"

#define NR_PORTS 0x10000u
#define PAGE_BYTES 4096
/* Accesses between two syncs. The ring has room for twice as many, but KVM takes one that begins at 0 for full sooner. */
#define NR_PASSES 80

#define I_CODE(name_, insn_) \
	INSN(i_##name_, insn_ "\n\tmov %ebx, %edx\n\t" insn_ "\n\tmov %ecx, %edx\n\ti_" #name_ "_last: " insn_ "\n\tvmmcall") \
	extern const char i_##name_##_last[] GUEST_API;
I_CODE(1, "out %al, %dx")
I_CODE(2, "out %ax, %dx")
I_CODE(4, "out %eax, %dx")

struct iopm_range {
	bool is_pass;		/* all bits set but those of the access: it passes. Else one bit set: it exits */
	uint8_t size;		/* of the access; 0: each in turn */
	uint32_t first, end;	/* ports */
	uint32_t step;		/* one port out of so many, another one of them each time */
};

static inline uint32_t range_port(const struct iopm_range *range, uint32_t base)
{
	return base + (base / range->step * 7 + 3) % range->step;
}

static inline unsigned int range_size(const struct iopm_range *range, uint32_t base)
{
	return range->size ? range->size : 1u << base / range->step % 3;
}

/* The runtime's own ports leave for the host in any case, and a zone has no wrap. */
static inline bool is_coalesced(uint32_t port, unsigned int size)
{
	return port < NR_PORTS && port + size <= NR_PORTS && (port + size <= DONE_PORT || port > YIELD_PORT);
}

/* @port, or where that is not possible, another one that is not near @self. */
static inline uint32_t neighbour(uint32_t self, uint32_t port, unsigned int size)
{
	return is_coalesced(port, size) ? port : self < 0x8000 ? 0xc000 : 0x4000;
}

struct passed {
	uint16_t port;
	uint8_t size, data;
};

/* --- guest --- */

static volatile uint32_t pass_first, pass_end;

/* L2: each four ports alone pass. */
static inline void l2_pass(void)
{
	uint32_t port;

	for (port = pass_first; port < pass_end; port += 4) {
		uint8_t *byte = &l1_iopm[port / 8];

		*byte = ~(0x0f << port % 8);
		if (is_coalesced(port, 4))
			out32(port, port >> 2 & 0xff);
		*byte = 0xff;
	}
	__asm__ volatile("vmmcall");
}

static inline void guest_pass(void)
{
	memset(l1_iopm, 0xff, IOPM_BYTES);
	for (pass_first = 0; pass_first < NR_PORTS; pass_first = pass_end) {
		pass_end = pass_first + 4 * NR_PASSES < NR_PORTS ? pass_first + 4 * NR_PASSES : NR_PORTS;
		l2_run(l2_pass);
		CHECK_EXIT_CODE(SVM_EXIT_VMMCALL);
		guest_sync(1);
	}
}

/* Two accesses beside the bit of @port, and one that has it as its byte @nth. */
static inline void try_bit(uint32_t port, unsigned int size, unsigned int nth)
{
	const char *code = size == 1 ? i_1 : size == 2 ? i_2 : i_4;
	const char *last = size == 1 ? i_1_last : size == 2 ? i_2_last : i_4_last;
	const char *end = size == 1 ? i_1_end : size == 2 ? i_2_end : i_4_end;
	uint16_t at = port - nth;

	iopm_set(l1_iopm, at + nth, true);
	l2_regs.rdx = neighbour(port, port + 1, size);
	l2_regs.rbx = neighbour(port, port - size, size);
	l2_regs.rcx = at;
	l1_vmcb.save.rax = port & 0xff;
	l2_run(code);
	l1_vmcb.control.exit_info_1 &= ~(uint64_t)IOIO_ADDRESS(2 | 4 | 8);
	CHECK_EXIT(.code = SVM_EXIT_IOIO, .info_1 = IOIO_SIZE(size) | IOIO_PORT(at), .info_2 = (ulong_t)end - 3,
		   .rip = (ulong_t)last);
	iopm_set(l1_iopm, at + nth, false);
}

static inline void guest_bits(const struct iopm_range *range)
{
	unsigned int nr_passes = 0;
	uint32_t base;

	for (base = range->first; base < range->end; base += range->step) {
		uint32_t port = range_port(range, base);
		unsigned int size = range_size(range, base);

		try_bit(port, size, port / 8 % size);
		nr_passes += 2;
		if (nr_passes == NR_PASSES) {
			guest_sync(1);
			nr_passes = 0;
		}
	}
	guest_sync(1);
}

static inline void iopm_range_guest(const struct iopm_range *range)
{
	l1_svm_init();
	vmcb_intercept(&l1_vmcb, SVM_EXIT_IOIO);
	if (range->is_pass)
		guest_pass();
	else
		guest_bits(range);
}

/* --- host --- */

static inline void range_zone_add(struct test *t, uint32_t first, uint32_t end)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = first, .size = end - first, .pio = 1 };

	require_result(t, 0, vm_ioctl_try(t->vm, KVM_REGISTER_COALESCED_MMIO, &zone));
}

/* The guest is at its next sync, and has until there made just these accesses. */
static inline void expect_passed(struct test *t, const struct passed *want, unsigned int nr)
{
	long page = sys_has_cap(t->sys, KVM_CAP_COALESCED_MMIO);
	struct kvm_coalesced_mmio_ring *ring = (void *)((uint8_t *)t->vcpu->run + page * PAGE_BYTES);
	const uint32_t nr_entries = (PAGE_BYTES - sizeof(*ring)) / sizeof(ring->coalesced_mmio[0]);
	struct passed got[NR_PASSES + 16] = { 0 };
	unsigned int nr_got = 0;

	require_sync(t, 1);
	for (; ring->first != ring->last; ring->first = (ring->first + 1) % nr_entries) {
		const struct kvm_coalesced_mmio *entry = &ring->coalesced_mmio[ring->first];

		if (nr_got < sizeof(got) / sizeof(got[0]))
			got[nr_got++] = (struct passed){ entry->phys_addr, entry->len, entry->data[0] };
	}
	expect_eq(t, nr, nr_got);
	expect_bytes(t, want, got, nr * sizeof(*want));
}

static inline void host_pass(struct test *t)
{
	struct passed want[NR_PASSES] = { 0 };
	unsigned int nr = 0;
	uint32_t port;

	for (port = 0; port < NR_PORTS; port += 4) {
		if (is_coalesced(port, 4))
			want[nr++] = (struct passed){ port, 4, port >> 2 };
		if (port / 4 % NR_PASSES == NR_PASSES - 1 || port + 4 == NR_PORTS) {
			expect_passed(t, want, nr);
			nr = 0;
		}
	}
}

static inline void host_bits(struct test *t, const struct iopm_range *range)
{
	struct passed want[NR_PASSES] = { 0 };
	unsigned int nr = 0;
	uint32_t base;

	for (base = range->first; base < range->end; base += range->step) {
		uint32_t port = range_port(range, base);
		unsigned int size = range_size(range, base);

		want[nr++] = (struct passed){ neighbour(port, port + 1, size), size, port };
		want[nr++] = (struct passed){ neighbour(port, port - size, size), size, port };
		if (nr == NR_PASSES) {
			expect_passed(t, want, nr);
			nr = 0;
		}
	}
	expect_passed(t, want, nr);
}

static inline void iopm_range_host(struct test *t, const struct iopm_range *range)
{
	range_zone_add(t, 0, DONE_PORT);
	range_zone_add(t, YIELD_PORT + 1, NR_PORTS);
	if (range->is_pass)
		host_pass(t);
	else
		host_bits(t, range);
	expect_done(t);
}

#endif
