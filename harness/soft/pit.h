/* SPDX-License-Identifier: MIT */
/*
 * A PC's 8254 timer with its three channels, and port 61h: channel 0 is IRQ 0, channel 2 the speaker. Time is the
 * owner's: pit_advance() makes what is due, pit_deadline_ns() says when that will be.
 *
 * Source: Intel 8254 data sheet, as KVM has it: channels 1 and 2 have counts and outputs, but interrupt nobody; a count
 * written is in effect at once; the state is KVM_GET_PIT2's.
 */
#ifndef VMASSAY_SOFT_PIT_H
#define VMASSAY_SOFT_PIT_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

#define PIT_FREQUENCY_HZ 1193182

struct pit_owner {
	void *opaque;
	uint64_t (*now_ns)(void *opaque);
	void (*line)(void *opaque);	/* IRQ 0 rises and falls */
};

struct pit {
	struct kvm_pit_state2 state;	/* count_load_time is in nanoseconds of now_ns() */
	struct pit_owner owner;
	uint64_t expires_ns;		/* when channel 0 is at its end, or was */
	uint64_t period_ns;
	uint32_t nr_pending;		/* ticks that wait for the guest's end of the last one */
	bool is_armed;			/* channel 0 counts to an interrupt */
	bool is_periodic;
	bool reinject;			/* KVM_REINJECT_CONTROL */
	bool is_acked;			/* the guest ended the last tick */
};

void pit_init(struct pit *pit, const struct pit_owner *owner);
/* Ports 0x40 to 0x43, and port 0x61. */
int pit_io_read(void *pit, uint64_t port, unsigned int len, void *data);
int pit_io_write(void *pit, uint64_t port, unsigned int len, const void *data);
int pit_speaker_read(void *pit, uint64_t port, unsigned int len, void *data);
int pit_speaker_write(void *pit, uint64_t port, unsigned int len, const void *data);
/* ~0: not armed. */
uint64_t pit_deadline_ns(const struct pit *pit);
void pit_advance(struct pit *pit);
/* The interrupt of IRQ 0 was ended; its mask was taken away. */
void pit_acked(struct pit *pit);
void pit_unmasked(struct pit *pit);
void pit_reinject_set(struct pit *pit, bool reinject);
void pit_state_get(const struct pit *pit, struct kvm_pit_state2 *ret_state);
void pit_state_set(struct pit *pit, const struct kvm_pit_state2 *state);

#endif
