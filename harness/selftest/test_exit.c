/* SPDX-License-Identifier: MIT */
/*
 * struct exit_record: each sample is a kvm_run full of stale bytes into which one exit's payload is
 * written, the one line that must come of it, and the fields of the record that this exit uses. The
 * rest follows from flipping those.
 */
#include "vm/exit.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define PAGE_BYTES 4096
#define RUN_BYTES (2 * PAGE_BYTES)
#define LINE_BYTES 2048
#define STALE 0xa5

_Static_assert(sizeof(struct kvm_run) <= PAGE_BYTES, "the data page follows kvm_run");

/* @nr elements of @size bytes at @offset in kvm_run: @value, @value + 1, ... */
struct poke {
	size_t offset;
	size_t size;
	uint64_t value;
	unsigned int nr;
};

/* A field that the exit uses: @nr elements of @size bytes at @offset in the record. */
struct probe {
	const char *name;
	size_t offset;
	size_t size;
	unsigned int nr;
	bool is_pointer;	/* not to be flipped */
};

struct sample {
	uint32_t reason;
	const char *line;
	struct poke pokes[10];
	struct probe probes[8];
};

#define RUN_PAYLOAD offsetof(struct kvm_run, hw)
#define RUN_SIZE(member) sizeof(((struct kvm_run *)0)->member)
#define RECORD_SIZE(member) sizeof(((struct exit_record *)0)->member)

#define POKE(member, value) { offsetof(struct kvm_run, member), RUN_SIZE(member), value, 1 }
#define POKE_ARRAY(member, value)							\
	{ offsetof(struct kvm_run, member), RUN_SIZE(member[0]), value,			\
	  RUN_SIZE(member) / RUN_SIZE(member[0]) }
#define POKE_PAYLOAD(at, size, value) { RUN_PAYLOAD + (at), size, value, 1 }
#define POKE_DATA_PAGE(size, value, nr) { PAGE_BYTES, size, value, nr }

#define PROBE(name, member) { name, offsetof(struct exit_record, member), RECORD_SIZE(member), 1 }
#define PROBE_ARRAY(name, first, nr)							\
	{ name, offsetof(struct exit_record, first), RECORD_SIZE(first), nr }
#define PROBE_RAW(name, at, size, nr) { name, offsetof(struct exit_record, raw) + (at), size, nr }
#define PROBE_BYTES									\
	{ "bytes", offsetof(struct exit_record, io.bytes), RECORD_SIZE(io.bytes), 1, true }

#define PROBES_IO									\
	PROBE("direction", io.direction), PROBE("port", io.port), PROBE("size", io.size), \
	PROBE("count", io.count), PROBE("data", io.data),				\
	PROBE("nr_bytes", io.nr_bytes), PROBE_BYTES
#define PROBES_MMIO									\
	PROBE("phys_addr", mmio.phys_addr), PROBE("len", mmio.len),			\
	PROBE("is_write", mmio.is_write), PROBE("data", mmio.data)
#define PROBES_IOCSR									\
	PROBE_RAW("phys_addr", 0, 8, 1), PROBE_RAW("data", 8, 8, 1),			\
	PROBE_RAW("len", 16, 4, 1), PROBE_RAW("is_write", 20, 1, 1)
#define PROBES_DCR									\
	PROBE_RAW("dcrn", 0, 4, 1), PROBE_RAW("data", 4, 4, 1), PROBE_RAW("is_write", 8, 1, 1)
#define PROBES_MSR									\
	PROBE("reason", msr.reason), PROBE("index", msr.index), PROBE("data", msr.data)
#define PROBES_INTERNAL(nr)								\
	PROBE("suberror", internal.suberror), PROBE("ndata", internal.ndata),		\
	PROBE_ARRAY("data", internal.data[0], nr)

static const struct sample samples[] = {
	{
		KVM_EXIT_UNKNOWN, "UNKNOWN hardware_exit_reason=0x8182838485868788",
		{ POKE(hw.hardware_exit_reason, 0x8182838485868788) },
		{ PROBE("hardware_exit_reason", unknown.hardware_exit_reason) },
	}, {
		KVM_EXIT_EXCEPTION, "EXCEPTION exception=3735928559 error_code=0x81828384",
		{ POKE(ex.exception, 0xdeadbeef), POKE(ex.error_code, 0x81828384) },
		{ PROBE("exception", ex.exception), PROBE("error_code", ex.error_code) },
	}, {
		KVM_EXIT_IO, "IO direction=out port=0x3f8 size=2 count=3 data=0x464544434241",
		{ POKE(io.direction, KVM_EXIT_IO_OUT), POKE(io.port, 0x3f8), POKE(io.size, 2),
		  POKE(io.count, 3), POKE(io.data_offset, PAGE_BYTES),
		  POKE_DATA_PAGE(1, 0x41, 16) },
		{ PROBES_IO },
	}, {
		KVM_EXIT_IO, "IO direction=out port=0xcf8 size=4 count=2 data=0x4847464544434241",
		{ POKE(io.direction, KVM_EXIT_IO_OUT), POKE(io.port, 0xcf8), POKE(io.size, 4),
		  POKE(io.count, 2), POKE(io.data_offset, PAGE_BYTES),
		  POKE_DATA_PAGE(1, 0x41, 16) },
		{ PROBES_IO },
	}, {
		KVM_EXIT_IO, "IO direction=out port=0x80 size=1 count=9 data=0x4847464544434241"
		" nr_bytes=9 bytes=414243444546474849",
		{ POKE(io.direction, KVM_EXIT_IO_OUT), POKE(io.port, 0x80), POKE(io.size, 1),
		  POKE(io.count, 9), POKE(io.data_offset, PAGE_BYTES),
		  POKE_DATA_PAGE(1, 0x41, 32) },
		{ PROBES_IO },
	}, {
		/* Not at the usual offset, and the product does not fit 32 bits. */
		KVM_EXIT_IO,
		"IO direction=out port=0x80 size=4 count=1073741825 data=0x5756555453525150"
		" nr_bytes=4096 bytes=505152535455565758595a5b5c5d5e5f..",
		{ POKE(io.direction, KVM_EXIT_IO_OUT), POKE(io.port, 0x80), POKE(io.size, 4),
		  POKE(io.count, 0x40000001), POKE(io.data_offset, PAGE_BYTES - 16),
		  { PAGE_BYTES - 16, 1, 0x50, 32 } },
		{ PROBES_IO },
	}, {
		KVM_EXIT_IO, "IO direction=in port=0x71 size=1 count=64 data=0x0",
		{ POKE(io.direction, KVM_EXIT_IO_IN), POKE(io.port, 0x71), POKE(io.size, 1),
		  POKE(io.count, 64), POKE(io.data_offset, PAGE_BYTES) },
		{ PROBES_IO },
	}, {
		KVM_EXIT_HYPERCALL, "HYPERCALL nr=0x8182838485868788 args=[0xa1a2a3a4a5a6a7a0,"
		"0xa1a2a3a4a5a6a7a1,0xa1a2a3a4a5a6a7a2,0xa1a2a3a4a5a6a7a3,0xa1a2a3a4a5a6a7a4,"
		"0xa1a2a3a4a5a6a7a5] longmode=yes",
		{ POKE(hypercall.nr, 0x8182838485868788), POKE(hypercall.longmode, 1),
		  POKE_ARRAY(hypercall.args, 0xa1a2a3a4a5a6a7a0) },
		{ PROBE("nr", hypercall.nr), PROBE_ARRAY("args", hypercall.args[0], 6),
		  PROBE("longmode", hypercall.longmode) },
	}, {
		KVM_EXIT_DEBUG, "DEBUG exception=3 pc=0x8182838485868788 dr6=0x9192939495969798"
		" dr7=0xa1a2a3a4a5a6a7a8",
		{ POKE(debug.arch.exception, 3), POKE(debug.arch.pc, 0x8182838485868788),
		  POKE(debug.arch.dr6, 0x9192939495969798),
		  POKE(debug.arch.dr7, 0xa1a2a3a4a5a6a7a8) },
		{ PROBE("exception", debug.exception), PROBE("pc", debug.pc),
		  PROBE("dr6", debug.dr6), PROBE("dr7", debug.dr7) },
	}, {
		KVM_EXIT_HLT, "HLT",
	}, {
		KVM_EXIT_MMIO, "MMIO phys_addr=0x8182838485868788 len=3 is_write=yes data=0x969798",
		{ POKE(mmio.phys_addr, 0x8182838485868788), POKE(mmio.len, 3),
		  POKE(mmio.is_write, 1),
		  POKE(mmio.data, 0x9192939495969798) },
		{ PROBES_MMIO },
	}, {
		/* A length that lies. */
		KVM_EXIT_MMIO,
		"MMIO phys_addr=0xfee00000 len=4294967295 is_write=2 data=0x9192939495969798",
		{ POKE(mmio.phys_addr, 0xfee00000), POKE(mmio.len, 0xffffffff),
		  POKE(mmio.is_write, 2),
		  POKE(mmio.data, 0x9192939495969798) },
		{ PROBES_MMIO },
	}, {
		KVM_EXIT_MMIO, "MMIO phys_addr=0xfec00000 len=4 is_write=no data=0x0",
		{ POKE(mmio.phys_addr, 0xfec00000), POKE(mmio.len, 4), POKE(mmio.is_write, 0) },
		{ PROBES_MMIO },
	}, {
		KVM_EXIT_MMIO, "MMIO phys_addr=0xfec00000 len=0 is_write=yes data=0x0",
		{ POKE(mmio.phys_addr, 0xfec00000), POKE(mmio.len, 0), POKE(mmio.is_write, 1) },
		{ PROBES_MMIO },
	}, {
		KVM_EXIT_IRQ_WINDOW_OPEN, "IRQ_WINDOW_OPEN",
	}, {
		KVM_EXIT_SHUTDOWN, "SHUTDOWN",
	}, {
		KVM_EXIT_FAIL_ENTRY, "FAIL_ENTRY hardware_entry_failure_reason=0x8000000000000021"
		" cpu=4294967294",
		{ POKE(fail_entry.hardware_entry_failure_reason, 0x8000000000000021),
		  POKE(fail_entry.cpu, 0xfffffffe) },
		{ PROBE("hardware_entry_failure_reason", fail_entry.hardware_entry_failure_reason),
		  PROBE("cpu", fail_entry.cpu) },
	}, {
		KVM_EXIT_INTR, "INTR",
	}, {
		KVM_EXIT_SET_TPR, "SET_TPR",
	}, {
		KVM_EXIT_TPR_ACCESS, "TPR_ACCESS rip=0x8182838485868788 is_write=yes",
		{ POKE(tpr_access.rip, 0x8182838485868788), POKE(tpr_access.is_write, 1) },
		{ PROBE("rip", tpr_access.rip), PROBE("is_write", tpr_access.is_write) },
	}, {
		KVM_EXIT_S390_SIEIC, "S390_SIEIC icptcode=0x81 ipa=0x9192 ipb=0xa1a2a3a4",
		{ POKE(s390_sieic.icptcode, 0x81), POKE(s390_sieic.ipa, 0x9192),
		  POKE(s390_sieic.ipb, 0xa1a2a3a4) },
		{ PROBE_RAW("icptcode", 0, 1, 1), PROBE_RAW("ipa", 2, 2, 1),
		  PROBE_RAW("ipb", 4, 4, 1) },
	}, {
		KVM_EXIT_S390_RESET, "S390_RESET s390_reset_flags="
		"POR|CLEAR|SUBSYSTEM|CPU_INIT|IPL|0x8000000000000020",
		{ POKE(s390_reset_flags, 0x800000000000003f) },
		{ PROBE_RAW("s390_reset_flags", 0, 8, 1) },
	}, {
		KVM_EXIT_DCR, "DCR dcrn=0x81828384 is_write=yes data=0x91929394",
		{ POKE(dcr.dcrn, 0x81828384), POKE(dcr.data, 0x91929394), POKE(dcr.is_write, 1) },
		{ PROBES_DCR },
	}, {
		KVM_EXIT_DCR, "DCR dcrn=0x81828384 is_write=no data=0x0",
		{ POKE(dcr.dcrn, 0x81828384), POKE(dcr.is_write, 0) },
		{ PROBES_DCR },
	}, {
		KVM_EXIT_NMI, "NMI",
	}, {
		KVM_EXIT_INTERNAL_ERROR, "INTERNAL_ERROR suberror=EMULATION ndata=3"
		" data=[0xa1a2a3a4a5a6a700,0xa1a2a3a4a5a6a701,0xa1a2a3a4a5a6a702]",
		{ POKE(internal.suberror, KVM_INTERNAL_ERROR_EMULATION), POKE(internal.ndata, 3),
		  POKE_ARRAY(internal.data, 0xa1a2a3a4a5a6a700) },
		{ PROBES_INTERNAL(3) },
	}, {
		KVM_EXIT_INTERNAL_ERROR, "INTERNAL_ERROR suberror=SIMUL_EX ndata=0 data=[]",
		{ POKE(internal.suberror, KVM_INTERNAL_ERROR_SIMUL_EX), POKE(internal.ndata, 0) },
		{ PROBES_INTERNAL(0) },
	}, {
		/* A count that lies. */
		KVM_EXIT_INTERNAL_ERROR,
		"INTERNAL_ERROR suberror=DELIVERY_EV ndata=4294967295 data="
		"[0x10,0x11,0x12,0x13,0x14,0x15,0x16,0x17,0x18,0x19,0x1a,0x1b,0x1c,0x1d,0x1e,0x1f]",
		{ POKE(internal.suberror, KVM_INTERNAL_ERROR_DELIVERY_EV),
		  POKE(internal.ndata, 0xffffffff), POKE_ARRAY(internal.data, 0x10) },
		{ PROBES_INTERNAL(16) },
	}, {
		KVM_EXIT_INTERNAL_ERROR,
		"INTERNAL_ERROR suberror=UNEXPECTED_EXIT_REASON ndata=1 data=[0x4e]",
		{ POKE(internal.suberror, KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON),
		  POKE(internal.ndata, 1), POKE(internal.data[0], 0x4e) },
		{ PROBES_INTERNAL(1) },
	}, {
		KVM_EXIT_OSI, "OSI gprs=[0xa1a2a3a4a5a6a700,0xa1a2a3a4a5a6a701,0xa1a2a3a4a5a6a702,"
		"0xa1a2a3a4a5a6a703,0xa1a2a3a4a5a6a704,0xa1a2a3a4a5a6a705,0xa1a2a3a4a5a6a706]",
		{ POKE_ARRAY(osi.gprs, 0xa1a2a3a4a5a6a700) },
		{ PROBE_RAW("gprs", 0, 8, 7) },
	}, {
		KVM_EXIT_PAPR_HCALL, "PAPR_HCALL nr=0x8182838485868788 args=[0xa1a2a3a4a5a6a700,"
		"0xa1a2a3a4a5a6a701,0xa1a2a3a4a5a6a702,0xa1a2a3a4a5a6a703,0xa1a2a3a4a5a6a704]",
		{ POKE(papr_hcall.nr, 0x8182838485868788),
		  POKE_ARRAY(papr_hcall.args, 0xa1a2a3a4a5a6a700) },
		{ PROBE_RAW("nr", 0, 8, 1), PROBE_RAW("ret", 8, 8, 1),
		  PROBE_RAW("args", 16, 8, 5) },
	}, {
		KVM_EXIT_S390_UCONTROL, "S390_UCONTROL trans_exc_code=0x8182838485868788"
		" pgm_code=0x91929394",
		{ POKE(s390_ucontrol.trans_exc_code, 0x8182838485868788),
		  POKE(s390_ucontrol.pgm_code, 0x91929394) },
		{ PROBE_RAW("trans_exc_code", 0, 8, 1), PROBE_RAW("pgm_code", 8, 4, 1) },
	}, {
		KVM_EXIT_WATCHDOG, "WATCHDOG",
	}, {
		KVM_EXIT_S390_TSCH, "S390_TSCH subchannel_id=0x8182 subchannel_nr=0x9192"
		" io_int_parm=0xa1a2a3a4 io_int_word=0xb1b2b3b4 ipb=0xc1c2c3c4 dequeued=yes",
		{ POKE(s390_tsch.subchannel_id, 0x8182), POKE(s390_tsch.subchannel_nr, 0x9192),
		  POKE(s390_tsch.io_int_parm, 0xa1a2a3a4), POKE(s390_tsch.io_int_word, 0xb1b2b3b4),
		  POKE(s390_tsch.ipb, 0xc1c2c3c4), POKE(s390_tsch.dequeued, 1) },
		{ PROBE_RAW("subchannel_id", 0, 2, 1), PROBE_RAW("subchannel_nr", 2, 2, 1),
		  PROBE_RAW("io_int_parm", 4, 4, 1), PROBE_RAW("io_int_word", 8, 4, 1),
		  PROBE_RAW("ipb", 12, 4, 1), PROBE_RAW("dequeued", 16, 1, 1) },
	}, {
		KVM_EXIT_EPR, "EPR epr=0x81828384",
		{ POKE(epr.epr, 0x81828384) },
		{ PROBE_RAW("epr", 0, 4, 1) },
	}, {
		KVM_EXIT_SYSTEM_EVENT, "SYSTEM_EVENT type=SEV_TERM ndata=2"
		" data=[0xa1a2a3a4a5a6a700,0xa1a2a3a4a5a6a701]",
		{ POKE(system_event.type, KVM_SYSTEM_EVENT_SEV_TERM), POKE(system_event.ndata, 2),
		  POKE_ARRAY(system_event.data, 0xa1a2a3a4a5a6a700) },
		{ PROBE("type", system_event.type), PROBE("ndata", system_event.ndata),
		  PROBE_ARRAY("data", system_event.data[0], 2) },
	}, {
		KVM_EXIT_SYSTEM_EVENT, "SYSTEM_EVENT type=8 ndata=17 data="
		"[0x10,0x11,0x12,0x13,0x14,0x15,0x16,0x17,0x18,0x19,0x1a,0x1b,0x1c,0x1d,0x1e,0x1f]",
		{ POKE(system_event.type, 8), POKE(system_event.ndata, 17),
		  POKE_ARRAY(system_event.data, 0x10) },
		{ PROBE("type", system_event.type), PROBE("ndata", system_event.ndata),
		  PROBE_ARRAY("data", system_event.data[0], 16) },
	}, {
		KVM_EXIT_S390_STSI,
		"S390_STSI addr=0x8182838485868788 ar=0x91 fc=0x92 sel1=0x93 sel2=0xb1b2",
		{ POKE(s390_stsi.addr, 0x8182838485868788), POKE(s390_stsi.ar, 0x91),
		  POKE(s390_stsi.fc, 0x92), POKE(s390_stsi.sel1, 0x93),
		  POKE(s390_stsi.sel2, 0xb1b2) },
		{ PROBE_RAW("addr", 0, 8, 1), PROBE_RAW("ar", 8, 1, 1), PROBE_RAW("fc", 10, 1, 1),
		  PROBE_RAW("sel1", 11, 1, 1), PROBE_RAW("sel2", 12, 2, 1) },
	}, {
		KVM_EXIT_IOAPIC_EOI, "IOAPIC_EOI vector=0x81",
		{ POKE(eoi.vector, 0x81) },
		{ PROBE("vector", eoi.vector) },
	}, {
		KVM_EXIT_HYPERV, "HYPERV type=SYNIC msr=0x81828384 control=0x9192939495969798"
		" evt_page=0xa1a2a3a4a5a6a7a8 msg_page=0xb1b2b3b4b5b6b7b8",
		{ POKE(hyperv.type, KVM_EXIT_HYPERV_SYNIC), POKE(hyperv.u.synic.msr, 0x81828384),
		  POKE(hyperv.u.synic.control, 0x9192939495969798),
		  POKE(hyperv.u.synic.evt_page, 0xa1a2a3a4a5a6a7a8),
		  POKE(hyperv.u.synic.msg_page, 0xb1b2b3b4b5b6b7b8) },
		{ PROBE("type", hyperv.type), PROBE("msr", hyperv.words[0]),
		  PROBE("control", hyperv.words[1]), PROBE("evt_page", hyperv.words[2]),
		  PROBE("msg_page", hyperv.words[3]) },
	}, {
		KVM_EXIT_HYPERV, "HYPERV type=HCALL input=0x8182838485868788"
		" params=[0x9192939495969700,0x9192939495969701]",
		{ POKE(hyperv.type, KVM_EXIT_HYPERV_HCALL),
		  POKE(hyperv.u.hcall.input, 0x8182838485868788),
		  POKE_ARRAY(hyperv.u.hcall.params, 0x9192939495969700) },
		{ PROBE("type", hyperv.type), PROBE("input", hyperv.words[0]),
		  PROBE("result", hyperv.words[1]), PROBE_ARRAY("params", hyperv.words[2], 2) },
	}, {
		KVM_EXIT_HYPERV, "HYPERV type=SYNDBG msr=0x81828384 control=0x9192939495969798"
		" send_page=0xa1a2a3a4a5a6a7a8 recv_page=0xb1b2b3b4b5b6b7b8"
		" pending_page=0xc1c2c3c4c5c6c7c8",
		{ POKE(hyperv.type, KVM_EXIT_HYPERV_SYNDBG), POKE(hyperv.u.syndbg.msr, 0x81828384),
		  POKE(hyperv.u.syndbg.control, 0x9192939495969798),
		  POKE(hyperv.u.syndbg.send_page, 0xa1a2a3a4a5a6a7a8),
		  POKE(hyperv.u.syndbg.recv_page, 0xb1b2b3b4b5b6b7b8),
		  POKE(hyperv.u.syndbg.pending_page, 0xc1c2c3c4c5c6c7c8) },
		{ PROBE("type", hyperv.type), PROBE("msr", hyperv.words[0]),
		  PROBE("control", hyperv.words[1]), PROBE("status", hyperv.words[2]),
		  PROBE("send_page", hyperv.words[3]), PROBE("recv_page", hyperv.words[4]),
		  PROBE("pending_page", hyperv.words[5]) },
	}, {
		KVM_EXIT_HYPERV, "HYPERV type=0",
		{ POKE(hyperv.type, 0) },
		{ PROBE("type", hyperv.type), PROBE_ARRAY("words", hyperv.words[0], 10) },
	}, {
		KVM_EXIT_ARM_NISV,
		"ARM_NISV esr_iss=0x8182838485868788 fault_ipa=0x9192939495969798",
		{ POKE(arm_nisv.esr_iss, 0x8182838485868788),
		  POKE(arm_nisv.fault_ipa, 0x9192939495969798) },
		{ PROBE_RAW("esr_iss", 0, 8, 1), PROBE_RAW("fault_ipa", 8, 8, 1) },
	}, {
		KVM_EXIT_X86_RDMSR, "X86_RDMSR reason=INVAL|UNKNOWN|0x80000000 index=0xc0000080",
		{ POKE(msr.reason, 0x80000003), POKE(msr.index, 0xc0000080) },
		{ PROBES_MSR },
	}, {
		KVM_EXIT_X86_WRMSR,
		"X86_WRMSR reason=FILTER index=0xc0010117 data=0x8182838485868788",
		{ POKE(msr.reason, KVM_MSR_EXIT_REASON_FILTER), POKE(msr.index, 0xc0010117),
		  POKE(msr.data, 0x8182838485868788) },
		{ PROBES_MSR },
	}, {
		KVM_EXIT_DIRTY_RING_FULL, "DIRTY_RING_FULL",
	}, {
		KVM_EXIT_AP_RESET_HOLD, "AP_RESET_HOLD",
	}, {
		KVM_EXIT_X86_BUS_LOCK, "X86_BUS_LOCK",
	}, {
		KVM_EXIT_XEN, "XEN type=HCALL longmode=yes cpl=3 input=0x8182838485868788"
		" params=[0x91,0x92,0x93,0x94,0x95,0x96]",
		{ POKE(xen.type, KVM_EXIT_XEN_HCALL), POKE(xen.u.hcall.longmode, 1),
		  POKE(xen.u.hcall.cpl, 3), POKE(xen.u.hcall.input, 0x8182838485868788),
		  POKE_ARRAY(xen.u.hcall.params, 0x91) },
		{ PROBE("type", xen.type), PROBE("longmode", xen.words[0]),
		  PROBE("cpl", xen.words[1]),
		  PROBE("input", xen.words[2]), PROBE("result", xen.words[3]),
		  PROBE_ARRAY("params", xen.words[4], 6) },
	}, {
		KVM_EXIT_XEN, "XEN type=2",
		{ POKE(xen.type, 2) },
		{ PROBE("type", xen.type), PROBE_ARRAY("words", xen.words[0], 10) },
	}, {
		KVM_EXIT_RISCV_SBI, "RISCV_SBI extension_id=0x8182838485868788"
		" function_id=0x9192939495969798 args=[0xa1a2a3a4a5a6a700,0xa1a2a3a4a5a6a701,"
		"0xa1a2a3a4a5a6a702,0xa1a2a3a4a5a6a703,0xa1a2a3a4a5a6a704]",
		{ POKE(riscv_sbi.extension_id, 0x8182838485868788),
		  POKE(riscv_sbi.function_id, 0x9192939495969798),
		  POKE_ARRAY(riscv_sbi.args, 0xa1a2a3a4a5a6a700) },
		{ PROBE_RAW("extension_id", 0, 8, 1), PROBE_RAW("function_id", 8, 8, 1),
		  PROBE_RAW("args", 16, 8, 5) },
	}, {
		KVM_EXIT_RISCV_CSR,
		"RISCV_CSR csr_num=0x8182838485868788 new_value=0x9192939495969798"
		" write_mask=0xa1a2a3a4a5a6a7a8 ret_value=0xb1b2b3b4b5b6b7b8",
		{ POKE(riscv_csr.csr_num, 0x8182838485868788),
		  POKE(riscv_csr.new_value, 0x9192939495969798),
		  POKE(riscv_csr.write_mask, 0xa1a2a3a4a5a6a7a8),
		  POKE(riscv_csr.ret_value, 0xb1b2b3b4b5b6b7b8) },
		{ PROBE_RAW("csr_num", 0, 8, 1), PROBE_RAW("new_value", 8, 8, 1),
		  PROBE_RAW("write_mask", 16, 8, 1), PROBE_RAW("ret_value", 24, 8, 1) },
	}, {
		KVM_EXIT_NOTIFY, "NOTIFY flags=CONTEXT_INVALID",
		{ POKE(notify.flags, KVM_NOTIFY_CONTEXT_INVALID) },
		{ PROBE("flags", notify.flags) },
	}, {
		KVM_EXIT_NOTIFY, "NOTIFY flags=0x0",
		{ POKE(notify.flags, 0) },
		{ PROBE("flags", notify.flags) },
	}, {
		KVM_EXIT_LOONGARCH_IOCSR,
		"LOONGARCH_IOCSR phys_addr=0x8182838485868788 len=2 is_write=yes"
		" data=0x9798",
		{ POKE_PAYLOAD(0, 8, 0x8182838485868788), POKE_PAYLOAD(8, 8, 0x9192939495969798),
		  POKE_PAYLOAD(16, 4, 2), POKE_PAYLOAD(20, 1, 1) },
		{ PROBES_IOCSR },
	}, {
		KVM_EXIT_LOONGARCH_IOCSR,
		"LOONGARCH_IOCSR phys_addr=0x1fe01000 len=9 is_write=no data=0x0",
		{ POKE_PAYLOAD(0, 8, 0x1fe01000), POKE_PAYLOAD(16, 4, 9), POKE_PAYLOAD(20, 1, 0) },
		{ PROBES_IOCSR },
	}, {
		KVM_EXIT_MEMORY_FAULT, "MEMORY_FAULT flags=PRIVATE|0x8000000000000001"
		" gpa=0x9192939495969798 size=0xa1a2a3a4a5a6a7a8",
		{ POKE_PAYLOAD(0, 8, 0x8000000000000009), POKE_PAYLOAD(8, 8, 0x9192939495969798),
		  POKE_PAYLOAD(16, 8, 0xa1a2a3a4a5a6a7a8) },
		{ PROBE("flags", memory_fault.flags), PROBE("gpa", memory_fault.gpa),
		  PROBE("size", memory_fault.size) },
	}, {
		77, "77",
		{ { 0 } },
		{ PROBE_RAW("raw", 0, 8, 7) },
	},
};

#define for_each_sample(s) \
	for (const struct sample *s = samples; s < samples + ARRAY_SIZE(samples); s++)
#define for_each_probe(p, s) \
	for (const struct probe *p = (s)->probes; p->name; p++)

/* Heap memory of just two pages, so that the sanitizer sees a step beyond them. */
static struct kvm_run *run_create(const struct sample *sample)
{
	uint8_t *run = malloc(RUN_BYTES);

	assert_non_null(run);
	memset(run, STALE, RUN_BYTES);
	((struct kvm_run *)run)->exit_reason = sample->reason;
	for (const struct poke *poke = sample->pokes; poke->nr; poke++) {
		for (unsigned int i = 0; i < poke->nr; i++) {
			uint64_t value = poke->value + i;

			memcpy(run + poke->offset + i * poke->size, &value, poke->size);
		}
	}
	return (struct kvm_run *)run;
}

/* Returns the kvm_run that io.bytes borrows from. */
static struct kvm_run *sample_decode(const struct sample *sample, struct exit_record *record)
{
	struct kvm_run *run = run_create(sample);

	memset(record, STALE, sizeof(*record));
	exit_decode(record, run);
	return run;
}

static void *probe_at(const struct probe *probe, struct exit_record *record)
{
	return (uint8_t *)record + probe->offset;
}

static size_t probe_bytes(const struct probe *probe)
{
	return probe->size * probe->nr;
}

/* The place of " name=" in @line, or NULL. */
static const char *name_find(const char *line, const char *name)
{
	char token[64];

	snprintf(token, sizeof(token), " %s=", name);
	return strstr(line, token);
}

static void test_every_reason_is_named(void **state)
{
	static const char *const names[] = {
		"UNKNOWN", "EXCEPTION", "IO", "HYPERCALL", "DEBUG", "HLT", "MMIO",
		"IRQ_WINDOW_OPEN", "SHUTDOWN", "FAIL_ENTRY", "INTR", "SET_TPR", "TPR_ACCESS",
		"S390_SIEIC", "S390_RESET", "DCR", "NMI", "INTERNAL_ERROR", "OSI", "PAPR_HCALL",
		"S390_UCONTROL", "WATCHDOG",
		"S390_TSCH", "EPR", "SYSTEM_EVENT", "S390_STSI", "IOAPIC_EOI", "HYPERV", "ARM_NISV",
		"X86_RDMSR", "X86_WRMSR", "DIRTY_RING_FULL", "AP_RESET_HOLD", "X86_BUS_LOCK", "XEN",
		"RISCV_SBI", "RISCV_CSR", "NOTIFY", "LOONGARCH_IOCSR", "MEMORY_FAULT",
	};
	bool has_sample[ARRAY_SIZE(names)] = { false };

	(void)state;
	_Static_assert(KVM_EXIT_MEMORY_FAULT + 1 == ARRAY_SIZE(names), "a name for each");
	for_each_sample(sample)
		if (sample->reason < ARRAY_SIZE(names))
			has_sample[sample->reason] = true;
	for (uint32_t reason = 0; reason < ARRAY_SIZE(names); reason++) {
		assert_string_equal(exit_reason_name(reason), names[reason]);
		assert_true(has_sample[reason]);
	}
	assert_string_equal(exit_reason_name(ARRAY_SIZE(names)), "40");
	assert_string_equal(exit_reason_name(77), "77");
	assert_string_equal(exit_reason_name(UINT32_MAX), "4294967295");
}

static void *name_in_thread(void *unused)
{
	(void)unused;
	assert_string_equal(exit_reason_name(7777), "7777");
	return NULL;
}

static void test_number_is_per_thread(void **state)
{
	const char *mine = exit_reason_name(77);
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, name_in_thread, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_string_equal(mine, "77");
}

static void test_line_shows_payload(void **state)
{
	struct exit_record record;
	char line[LINE_BYTES];

	(void)state;
	for_each_sample(sample) {
		struct kvm_run *run = sample_decode(sample, &record);

		assert_int_equal(exit_format(line, sizeof(line), &record), strlen(sample->line));
		assert_string_equal(line, sample->line);
		free(run);
	}
}

static void test_system_events_are_named(void **state)
{
	static const char *const names[] = {
		"0", "SHUTDOWN", "RESET", "CRASH", "WAKEUP", "SUSPEND", "SEV_TERM", "TDX_FATAL",
	};
	struct exit_record record = { .reason = KVM_EXIT_SYSTEM_EVENT };
	char want[LINE_BYTES], line[LINE_BYTES];

	(void)state;
	for (uint32_t type = 0; type < ARRAY_SIZE(names); type++) {
		record.system_event.type = type;
		exit_format(line, sizeof(line), &record);
		snprintf(want, sizeof(want), "SYSTEM_EVENT type=%s ndata=0 data=[]", names[type]);
		assert_string_equal(line, want);
	}
}

/* What the sample's line shows is shown when zero too; IO is among the lines below. */
static void test_zero_is_shown(void **state)
{
	struct exit_record record;
	char line[LINE_BYTES];

	(void)state;
	for_each_sample(sample) {
		free(sample_decode(sample, &record));
		for_each_probe(probe, sample)
			if (strcmp(probe->name, "type"))
				memset(probe_at(probe, &record), 0, probe_bytes(probe));
		exit_format(line, sizeof(line), &record);
		for_each_probe(probe, sample)
			if (sample->reason != KVM_EXIT_IO && name_find(sample->line, probe->name))
				assert_non_null(name_find(line, probe->name));
	}
}

/* The fields that decoding leaves zero, and that are shown only when a caller sets them. */
static void test_optional_is_shown_when_set(void **state)
{
	static const struct {
		struct exit_record record;
		const char *line;
	} rows[] = {
		{ { KVM_EXIT_IO }, "IO direction=in port=0x0 size=0 count=0 data=0x0" },
		{ { KVM_EXIT_IO, .io = { .nr_bytes = 10 } },
		  "IO direction=in port=0x0 size=0 count=0 data=0x0 nr_bytes=10" },
		{ { KVM_EXIT_X86_RDMSR, .msr = { 1, 2, 0x1f } },
		  "X86_RDMSR reason=INVAL index=0x2 data=0x1f" },
		{ { KVM_EXIT_PAPR_HCALL, .raw = { [1] = 0x1f } },
		  "PAPR_HCALL nr=0x0 ret=0x1f args=[0x0,0x0,0x0,0x0,0x0]" },
		{ { KVM_EXIT_HYPERV, .hyperv = { 2, { 1, 0x1f, 3, 4 } } },
		  "HYPERV type=HCALL input=0x1 result=0x1f params=[0x3,0x4]" },
		{ { KVM_EXIT_HYPERV, .hyperv = { 3, { 1, 2, 0x1f, 4 } } },
		  "HYPERV type=SYNDBG msr=0x1 control=0x2 status=0x1f send_page=0x4 recv_page=0x0"
		  " pending_page=0x0" },
		{ { KVM_EXIT_HYPERV, .hyperv = { 4, { 0, 0, 0, 0x1f } } },
		  "HYPERV type=4 words=[0x0,0x0,0x0,0x1f,0x0,0x0,0x0,0x0,0x0,0x0]" },
		{ { KVM_EXIT_XEN, .xen = { 1, { 0, 3, 2, 0x1f } } },
		  "XEN type=HCALL longmode=no cpl=3 input=0x2 result=0x1f"
		  " params=[0x0,0x0,0x0,0x0,0x0,0x0]" },
		{ { KVM_EXIT_XEN, .xen = { 0, { 0, 0, 0, 0x1f } } },
		  "XEN type=0 words=[0x0,0x0,0x0,0x1f,0x0,0x0,0x0,0x0,0x0,0x0]" },
		{ { 77, .raw = { [6] = 0x1f } }, "77 raw=[0x0,0x0,0x0,0x0,0x0,0x0,0x1f]" },
	};
	char line[LINE_BYTES];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		exit_format(line, sizeof(line), &rows[i].record);
		assert_string_equal(line, rows[i].line);
	}
}

/* Nothing of the stale bytes around the payload, nor of the record before, is left. */
static void test_unused_is_zero(void **state)
{
	static const struct exit_record zero;
	struct exit_record record;

	(void)state;
	for_each_sample(sample) {
		free(sample_decode(sample, &record));
		for_each_probe(probe, sample)
			memset(probe_at(probe, &record), 0, probe_bytes(probe));
		record.reason = 0;
		assert_memory_equal(&record, &zero, sizeof(zero));
	}
}

static void test_same_is_equal(void **state)
{
	struct exit_record want, got;
	char fields[64];

	(void)state;
	for_each_sample(sample) {
		struct kvm_run *want_run = sample_decode(sample, &want);
		struct kvm_run *got_run = sample_decode(sample, &got);

		strcpy(fields, "stale");
		assert_true(exit_equal(&want, &got, fields, sizeof(fields)));
		assert_string_equal(fields, "");
		assert_true(exit_equal(&want, &got, NULL, 0));
		free(want_run);
		free(got_run);
	}
}

/* A difference is one in both directions, has just its field's name, and is seen in the line. */
static void check_differs(const struct exit_record *want, const struct exit_record *got,
			  const char *name)
{
	char fields[64], want_line[LINE_BYTES], got_line[LINE_BYTES];

	assert_false(exit_equal(want, got, NULL, 0));
	assert_false(exit_equal(want, got, fields, sizeof(fields)));
	assert_string_equal(fields, name);
	assert_false(exit_equal(got, want, fields, sizeof(fields)));
	assert_string_equal(fields, name);
	exit_format(want_line, sizeof(want_line), want);
	exit_format(got_line, sizeof(got_line), got);
	assert_string_not_equal(want_line, got_line);
}

static void check_flips(const struct exit_record *want, const struct probe *probe)
{
	for (size_t i = 0; i < probe_bytes(probe); i++) {
		for (unsigned int bit = 0; bit < 8; bit++) {
			struct exit_record got = *want;

			((uint8_t *)probe_at(probe, &got))[i] ^= 1 << bit;
			check_differs(want, &got, probe->name);
		}
	}
}

static void test_each_field_is_compared(void **state)
{
	struct exit_record want;

	(void)state;
	for_each_sample(sample) {
		struct kvm_run *run = sample_decode(sample, &want);

		for_each_probe(probe, sample)
			if (!probe->is_pointer)
				check_flips(&want, probe);
		free(run);
	}
}

static void test_reason_is_compared(void **state)
{
	struct exit_record want;

	(void)state;
	for_each_sample(sample) {
		struct kvm_run *run = sample_decode(sample, &want);
		/* Note, not a copy: what is a number in one reason is a pointer in another. */
		struct exit_record neighbour = { .reason = want.reason ^ 1 };
		struct exit_record unnamed = { .reason = 78 };

		check_differs(&want, &neighbour, "reason");
		check_differs(&want, &unnamed, "reason");
		free(run);
	}
}

static void test_differing_fields_are_listed(void **state)
{
	struct exit_record want = { .reason = KVM_EXIT_IO, .io = { 1, 0x80, 1, 1, 0x5a } };
	struct exit_record got = { .reason = KVM_EXIT_IO, .io = { 1, 0x81, 1, 1, 0x5b } };
	char fields[16];

	(void)state;
	assert_false(exit_equal(&want, &got, fields, sizeof(fields)));
	assert_string_equal(fields, "port,data");
	memset(fields, 'x', sizeof(fields));
	assert_false(exit_equal(&want, &got, fields, 6));
	assert_string_equal(fields, "port,");
	assert_int_equal(fields[6], 'x');
	assert_false(exit_equal(&want, &got, fields, 1));
	assert_string_equal(fields, "");
	assert_int_equal(fields[1], 'o');
}

/* One element more: what the shorter one lacks is a difference of the array too. */
static void test_longer_array_differs(void **state)
{
	struct exit_record want = { KVM_EXIT_INTERNAL_ERROR, .internal = { 1, 1, { 5 } } };
	struct exit_record got = { KVM_EXIT_INTERNAL_ERROR, .internal = { 1, 2, { 5, 6 } } };

	(void)state;
	check_differs(&want, &got, "ndata,data");
	got.internal.ndata = 1;
	assert_true(exit_equal(&want, &got, NULL, 0));
}

/* Exactly @len_bytes of heap, for the sanitizer; without one, the byte beyond is looked at. */
static void check_truncated(const struct exit_record *record, const char *line, size_t len_bytes)
{
	size_t nr_chars = len_bytes - 1 < strlen(line) ? len_bytes - 1 : strlen(line);
	char *buf = malloc(len_bytes);
	char guarded[LINE_BYTES];

	assert_non_null(buf);
	assert_int_equal(exit_format(buf, len_bytes, record), strlen(line));
	assert_int_equal(strlen(buf), nr_chars);
	assert_memory_equal(buf, line, nr_chars);
	free(buf);

	memset(guarded, 'x', sizeof(guarded));
	exit_format(guarded, len_bytes, record);
	assert_int_equal(guarded[len_bytes], 'x');
}

static void test_short_buffers(void **state)
{
	struct exit_record record;

	(void)state;
	for_each_sample(sample) {
		struct kvm_run *run = sample_decode(sample, &record);
		size_t nr_chars = strlen(sample->line);

		assert_int_equal(exit_format(NULL, 0, &record), nr_chars);
		check_truncated(&record, sample->line, 1);
		check_truncated(&record, sample->line, 8);
		check_truncated(&record, sample->line, nr_chars);
		check_truncated(&record, sample->line, nr_chars + 1);
		free(run);
	}
}

static void test_short_buffers_of_a_pair(void **state)
{
	struct exit_record want = { .reason = KVM_EXIT_IO, .io = { 1, 0x80, 1, 1, 0x5a } };
	struct exit_record got = { .reason = KVM_EXIT_IO, .io = { 0, 0x80, 1, 1, 0 } };
	static const size_t len_bytes[] = { 1, 8, 18 };
	char want_line[32], got_line[32];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(len_bytes); i++) {
		memset(want_line, 'x', sizeof(want_line));
		memset(got_line, 'x', sizeof(got_line));
		exit_format_pair(want_line, got_line, len_bytes[i], &want, &got);
		assert_int_equal(strlen(want_line), len_bytes[i] - 1);
		assert_memory_equal(want_line, "IO direction=out port", len_bytes[i] - 1);
		assert_memory_equal(got_line, "IO direction=in  port", len_bytes[i] - 1);
		assert_int_equal(want_line[len_bytes[i]], 'x');
		assert_int_equal(got_line[len_bytes[i]], 'x');
	}
	exit_format_pair(NULL, NULL, 0, &want, &got);
}

/* @line with the padding taken out is @plain. */
static void check_padding_only(const char *line, const char *plain)
{
	char squeezed[LINE_BYTES];
	size_t nr_chars = 0;

	for (; *line; line++)
		if (line[0] != ' ' || line[1] != ' ')
			squeezed[nr_chars++] = *line;
	squeezed[nr_chars] = '\0';
	assert_string_equal(squeezed, plain);
}

/* A field starts where it starts in the other line, and one of both comes without padding. */
static void check_columns(const struct sample *sample, const char *want_line, const char *got_line)
{
	for_each_probe(probe, sample) {
		const char *in_want = name_find(want_line, probe->name);
		const char *in_got = name_find(got_line, probe->name);

		assert_non_null(in_got);
		if (!in_want)
			continue;
		assert_int_equal(in_want - want_line, in_got - got_line);
		assert_false(in_want[-1] == ' ' && in_got[-1] == ' ');
	}
}

/* All ones against the sample: no field of the two has the same width, and each is shown. */
static void test_pair_is_aligned(void **state)
{
	char want_line[LINE_BYTES], got_line[LINE_BYTES], plain[LINE_BYTES];
	struct exit_record want, got;

	(void)state;
	for_each_sample(sample) {
		struct kvm_run *run = sample_decode(sample, &want);
		bool has_bytes = sample->reason == KVM_EXIT_IO;

		got = want;
		for_each_probe(probe, sample)
			if (!probe->is_pointer && strcmp(probe->name, "type"))
				memset(probe_at(probe, &got), 0xff, probe_bytes(probe));
		if (has_bytes)
			got.io.bytes = (const uint8_t *)"0123456789abcdef", got.io.nr_bytes = 16;
		exit_format_pair(want_line, got_line, sizeof(want_line), &want, &got);
		check_columns(sample, want_line, got_line);
		if (!has_bytes) {
			exit_format(plain, sizeof(plain), &want);
			check_padding_only(want_line, plain);
			exit_format(plain, sizeof(plain), &got);
			check_padding_only(got_line, plain);
		}
		free(run);
	}
}

static void check_pair(const struct exit_record *want, const struct exit_record *got,
		       const char *want_text, const char *got_text)
{
	char want_line[LINE_BYTES], got_line[LINE_BYTES];

	exit_format_pair(want_line, got_line, sizeof(want_line), want, got);
	assert_string_equal(want_line, want_text);
	assert_string_equal(got_line, got_text);
}

static void test_pair_lines(void **state)
{
	struct exit_record want = { .reason = KVM_EXIT_IO, .io = { 1, 0x80, 1, 1, 0x5a } };
	struct exit_record got = { .reason = KVM_EXIT_IO, .io = { 0, 0x3f8, 1, 10, 0 } };
	struct exit_record hlt = { .reason = KVM_EXIT_HLT };
	struct exit_record unnamed = { .reason = 77 };
	struct exit_record synic = { .reason = KVM_EXIT_HYPERV, .hyperv = { 1, { 1, 2, 3, 4 } } };
	struct exit_record hcall = { .reason = KVM_EXIT_HYPERV, .hyperv = { 2, { 9, 0, 3, 4 } } };

	(void)state;
	check_pair(&want, &got,
		   "IO direction=out port=0x80  size=1 count=1  data=0x5a",
		   "IO direction=in  port=0x3f8 size=1 count=10 data=0x0");
	check_pair(&want, &hlt, "IO direction=out port=0x80 size=1 count=1 data=0x5a", "HLT");
	check_pair(&hlt, &want, "HLT", "IO direction=out port=0x80 size=1 count=1 data=0x5a");
	check_pair(&hlt, &hlt, "HLT", "HLT");
	check_pair(&unnamed, &unnamed, "77", "77");
	check_pair(&synic, &hcall,
		   "HYPERV type=SYNIC msr=0x1   control=0x2 evt_page=0x3     msg_page=0x4",
		   "HYPERV type=HCALL input=0x9             params=[0x3,0x4]");
	check_pair(&hcall, &synic,
		   "HYPERV type=HCALL input=0x9             params=[0x3,0x4]",
		   "HYPERV type=SYNIC msr=0x1   control=0x2 evt_page=0x3     msg_page=0x4");
	check_differs(&synic, &hcall, "type");
}

static void long_out_set(struct exit_record *record, const uint8_t *bytes, uint32_t nr_bytes)
{
	*record = (struct exit_record){
		.reason = KVM_EXIT_IO,
		.io = { KVM_EXIT_IO_OUT, 0x80, 1, 40, 0x11, bytes, nr_bytes },
	};
}

/* The same bytes elsewhere are equal; one other byte is a difference, and its index is shown. */
static void test_long_out_contents(void **state)
{
	static const unsigned int indexes[] = { 0, 15, 16, 39 };
	char want_line[LINE_BYTES], got_line[LINE_BYTES], differ_at[32], fields[32];
	uint8_t want_bytes[40], got_bytes[40];
	struct exit_record want, got;

	(void)state;
	memset(want_bytes, 0x11, sizeof(want_bytes));
	memset(got_bytes, 0x11, sizeof(got_bytes));
	long_out_set(&want, want_bytes, sizeof(want_bytes));
	long_out_set(&got, got_bytes, sizeof(got_bytes));
	for (size_t i = 0; i < ARRAY_SIZE(indexes); i++) {
		assert_true(exit_equal(&want, &got, NULL, 0));
		exit_format_pair(want_line, got_line, sizeof(want_line), &want, &got);
		assert_string_equal(want_line, got_line);
		assert_null(strstr(want_line, "differ_at"));

		got_bytes[indexes[i]] ^= 0x80;
		assert_false(exit_equal(&want, &got, fields, sizeof(fields)));
		assert_string_equal(fields, "bytes");
		exit_format_pair(want_line, got_line, sizeof(want_line), &want, &got);
		snprintf(differ_at, sizeof(differ_at), " differ_at=%u", indexes[i]);
		assert_string_equal(want_line + strlen(want_line) - strlen(differ_at), differ_at);
		assert_string_equal(got_line + strlen(got_line) - strlen(differ_at), differ_at);
		got_bytes[indexes[i]] ^= 0x80;
	}
}

static void test_long_out_length(void **state)
{
	static const uint8_t bytes[40] = { 1, 2, 3 };
	struct exit_record none, whole, part;

	(void)state;
	long_out_set(&none, NULL, 0);
	long_out_set(&whole, bytes, 17);
	long_out_set(&part, bytes, 16);
	check_differs(&none, &whole, "nr_bytes,bytes");
	check_differs(&part, &whole, "nr_bytes");
	check_pair(&part, &whole,
		   "IO direction=out port=0x80 size=1 count=40 data=0x11 nr_bytes=16"
		   " bytes=01020300000000000000000000000000 differ_at=16",
		   "IO direction=out port=0x80 size=1 count=40 data=0x11 nr_bytes=17"
		   " bytes=01020300000000000000000000000000.. differ_at=16");
	check_pair(&none, &part,
		   "IO direction=out port=0x80 size=1 count=40 data=0x11",
		   "IO direction=out port=0x80 size=1 count=40 data=0x11 nr_bytes=16"
		   " bytes=01020300000000000000000000000000 differ_at=0");
	/* A length without bytes promises nothing to read. */
	long_out_set(&none, NULL, 17);
	check_differs(&none, &whole, "bytes");
}

static void test_long_out_borrows(void **state)
{
	static const struct sample sample = {
		KVM_EXIT_IO, NULL,
		{ POKE(io.direction, KVM_EXIT_IO_OUT), POKE(io.port, 0x80), POKE(io.size, 4),
		  POKE(io.count, 0xffffffff), POKE(io.data_offset, PAGE_BYTES) },
	};
	struct exit_record want, got;
	struct kvm_run *want_run = sample_decode(&sample, &want);
	struct kvm_run *got_run = sample_decode(&sample, &got);

	(void)state;
	assert_ptr_equal(want.io.bytes, (uint8_t *)want_run + PAGE_BYTES);
	assert_int_equal(want.io.nr_bytes, EXIT_IO_MAX_BYTES);
	assert_true(exit_equal(&want, &got, NULL, 0));
	((uint8_t *)got_run)[RUN_BYTES - 1] ^= 1;
	assert_false(exit_equal(&want, &got, NULL, 0));
	free(want_run);
	free(got_run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_reason_is_named),
		cmocka_unit_test(test_number_is_per_thread),
		cmocka_unit_test(test_line_shows_payload),
		cmocka_unit_test(test_system_events_are_named),
		cmocka_unit_test(test_zero_is_shown),
		cmocka_unit_test(test_optional_is_shown_when_set),
		cmocka_unit_test(test_unused_is_zero),
		cmocka_unit_test(test_same_is_equal),
		cmocka_unit_test(test_each_field_is_compared),
		cmocka_unit_test(test_reason_is_compared),
		cmocka_unit_test(test_differing_fields_are_listed),
		cmocka_unit_test(test_longer_array_differs),
		cmocka_unit_test(test_short_buffers),
		cmocka_unit_test(test_short_buffers_of_a_pair),
		cmocka_unit_test(test_pair_is_aligned),
		cmocka_unit_test(test_pair_lines),
		cmocka_unit_test(test_long_out_contents),
		cmocka_unit_test(test_long_out_length),
		cmocka_unit_test(test_long_out_borrows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
