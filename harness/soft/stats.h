/* SPDX-License-Identifier: MIT */
/*
 * Statistics of VMs and vCPUs: KVM_GET_STATS_FD (KVM API, 4.133). They are counted in memory until somebody asks for the
 * descriptor; then they are in a file of their own, which outlives whom it is about.
 */
#ifndef VMASSAY_SOFT_STATS_H
#define VMASSAY_SOFT_STATS_H

#include <stdint.h>

/* As KVM names them. */
#define VM_STATS(STAT)									\
	STAT(remote_tlb_flush) STAT(remote_tlb_flush_requests) STAT(mmu_recycled) STAT(pages_4k)\
	STAT(pages_2m) STAT(pages_1g)
#define VCPU_STATS(STAT)								\
	STAT(halt_successful_poll) STAT(halt_attempted_poll) STAT(halt_wakeup)		\
	STAT(pf_taken) STAT(pf_fixed) STAT(pf_emulate) STAT(pf_mmio_spte_created)	\
	STAT(tlb_flush) STAT(exits) STAT(io_exits) STAT(mmio_exits) STAT(signal_exits)	\
	STAT(irq_window_exits) STAT(nmi_window_exits) STAT(halt_exits)			\
	STAT(request_irq_exits) STAT(irq_exits) STAT(irq_injections)			\
	STAT(nmi_injections) STAT(insn_emulation) STAT(insn_emulation_fail)		\
	STAT(hypercalls) STAT(nested_run) STAT(guest_mode)	\
	STAT(directed_yield_attempted) STAT(directed_yield_successful)

#define STAT_NUMBER(name_) STAT_##name_,
enum vm_stat { VM_STATS(STAT_NUMBER) NR_VM_STATS };
enum vcpu_stat { VCPU_STATS(STAT_NUMBER) NR_VCPU_STATS };
#undef STAT_NUMBER

#define MAX_STATS 32

struct soft_stats {
	uint64_t own[MAX_STATS];
	uint64_t *file_values;		/* in place of .own when there is a file */
	int fd;				/* the file; only when .file_values is not NULL */
};

void stats_free(struct soft_stats *stats);

static inline void stat_count(struct soft_stats *stats, unsigned int nr)
{
	uint64_t *values = stats->file_values ? stats->file_values : stats->own;

	values[nr]++;
}

#endif
