/* SPDX-License-Identifier: MIT */
/*
 * Every exit reason and its fields. A descriptor says where the field lies in struct exit_record,
 * where KVM left it in struct kvm_run and how it reads; decoding (here), comparing and printing
 * (exit_format.c) walk the same list.
 */
#include "exit.h"
#include "exit_row.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What newer UAPI headers have in struct kvm_run. */
struct run_iocsr_io {
	uint64_t phys_addr;
	uint8_t data[8];
	uint32_t len;
	uint8_t is_write;
};

struct run_memory_fault {
	uint64_t flags;
	uint64_t gpa;
	uint64_t size;
};

/* Where the union of all payloads starts in struct kvm_run. */
#define RUN_PAYLOAD offsetof(struct kvm_run, hw)

/* word_load() and the copying between elements of different size. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the host is little endian");

/* Both reasons with variants have their type in one place: row_find() need not know which it is. */
_Static_assert(offsetof(struct kvm_run, hyperv.type) == offsetof(struct kvm_run, xen.type),
	       "one place in kvm_run");
_Static_assert(offsetof(struct exit_record, hyperv.type) == offsetof(struct exit_record, xen.type),
	       "one place in the record");

#define SIZE_IN(type, member) sizeof(((type *)0)->member)
#define RUN_SIZE(source) SIZE_IN(struct kvm_run, source)

/* STORED: a member of the record. COPIED: also its source. _ARRAY: @first is its first element. */
#define STORED(member)									\
	.offset = offsetof(struct exit_record, member),					\
	.size = SIZE_IN(struct exit_record, member), .nr = 1
#define STORED_ARRAY(member)								\
	.offset = offsetof(struct exit_record, member),					\
	.size = SIZE_IN(struct exit_record, member[0]),					\
	.nr = SIZE_IN(struct exit_record, member) / SIZE_IN(struct exit_record, member[0])
#define FROM(source)									\
	.run_offset = offsetof(struct kvm_run, source), .run_size = RUN_SIZE(source)
#define COPIED(member, source) STORED(member), FROM(source)
#define COPIED_ARRAY(first, source)							\
	.offset = offsetof(struct exit_record, first),					\
	.size = SIZE_IN(struct exit_record, first),					\
	.nr = RUN_SIZE(source) / RUN_SIZE(source[0]), FROM(source[0])

/* RAW: a payload that the record keeps as it lies in struct kvm_run, as far as raw[] reaches. */
#define RAW_AT(at, size_bytes)								\
	.offset = offsetof(struct exit_record, raw) + (at), .size = (size_bytes), .nr = 1
#define RAW_OFFSET(source) (offsetof(struct kvm_run, source) - RUN_PAYLOAD)
#define RAW_STORED(source) RAW_AT(RAW_OFFSET(source), RUN_SIZE(source))
#define RAW(source) RAW_STORED(source), FROM(source)
#define RAW_ARRAY(source)								\
	.offset = offsetof(struct exit_record, raw) + RAW_OFFSET(source),		\
	.size = RUN_SIZE(source[0]),							\
	.nr = MIN(RUN_SIZE(source), SIZE_IN(struct exit_record, raw) - RAW_OFFSET(source)) / \
	      RUN_SIZE(source[0]),							\
	FROM(source[0])

#define IOCSR_STORED(member)								\
	RAW_AT(offsetof(struct run_iocsr_io, member), SIZE_IN(struct run_iocsr_io, member))
#define IOCSR(member)									\
	IOCSR_STORED(member),								\
	.run_offset = RUN_PAYLOAD + offsetof(struct run_iocsr_io, member),		\
	.run_size = SIZE_IN(struct run_iocsr_io, member)
#define MEMORY_FAULT(member)								\
	STORED(memory_fault.member),							\
	.run_offset = RUN_PAYLOAD + offsetof(struct run_memory_fault, member),		\
	.run_size = SIZE_IN(struct run_memory_fault, member)

static const struct value_name yes_no_names[] = { { 0, "no" }, { 1, "yes" }, { 0 } };

static const struct value_name direction_names[] = {
	{ KVM_EXIT_IO_IN, "in" },
	{ KVM_EXIT_IO_OUT, "out" },
	{ 0 }
};

static const struct value_name suberror_names[] = {
	{ KVM_INTERNAL_ERROR_EMULATION, "EMULATION" },
	{ KVM_INTERNAL_ERROR_SIMUL_EX, "SIMUL_EX" },
	{ KVM_INTERNAL_ERROR_DELIVERY_EV, "DELIVERY_EV" },
	{ KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON, "UNEXPECTED_EXIT_REASON" },
	{ 0 }
};

static const struct value_name system_event_names[] = {
	{ KVM_SYSTEM_EVENT_SHUTDOWN, "SHUTDOWN" },
	{ KVM_SYSTEM_EVENT_RESET, "RESET" },
	{ KVM_SYSTEM_EVENT_CRASH, "CRASH" },
	{ KVM_SYSTEM_EVENT_WAKEUP, "WAKEUP" },
	{ KVM_SYSTEM_EVENT_SUSPEND, "SUSPEND" },
	{ KVM_SYSTEM_EVENT_SEV_TERM, "SEV_TERM" },
	{ 7, "TDX_FATAL" },	/* newer than the oldest UAPI header */
	{ 0 }
};

static const struct value_name msr_reason_names[] = {
	{ KVM_MSR_EXIT_REASON_INVAL, "INVAL" },
	{ KVM_MSR_EXIT_REASON_UNKNOWN, "UNKNOWN" },
	{ KVM_MSR_EXIT_REASON_FILTER, "FILTER" },
	{ 0 }
};

static const struct value_name s390_reset_names[] = {
	{ KVM_S390_RESET_POR, "POR" },
	{ KVM_S390_RESET_CLEAR, "CLEAR" },
	{ KVM_S390_RESET_SUBSYSTEM, "SUBSYSTEM" },
	{ KVM_S390_RESET_CPU_INIT, "CPU_INIT" },
	{ KVM_S390_RESET_IPL, "IPL" },
	{ 0 }
};

static const struct value_name hyperv_names[] = {
	{ KVM_EXIT_HYPERV_SYNIC, "SYNIC" },
	{ KVM_EXIT_HYPERV_HCALL, "HCALL" },
	{ KVM_EXIT_HYPERV_SYNDBG, "SYNDBG" },
	{ 0 }
};

static const struct value_name xen_names[] = { { KVM_EXIT_XEN_HCALL, "HCALL" }, { 0 } };

static const struct value_name notify_names[] = {
	{ KVM_NOTIFY_CONTEXT_INVALID, "CONTEXT_INVALID" },
	{ 0 }
};

static const struct value_name memory_fault_names[] = {
	{ KVM_MEMORY_EXIT_FLAG_PRIVATE, "PRIVATE" },
	{ 0 }
};

/*
 * Note, optional fields that are only stored (ret, result, status, the data of X86_RDMSR) are for
 * user space's answer. Before it, KVM leaves there what an earlier exit had: copied, that would be
 * a difference that means nothing.
 */

static const struct field unknown_fields[] = {
	{ "hardware_exit_reason", HEX,
	  COPIED(unknown.hardware_exit_reason, hw.hardware_exit_reason) },
};

static const struct field exception_fields[] = {
	{ "exception", DECIMAL, COPIED(ex.exception, ex.exception) },
	{ "error_code", HEX, COPIED(ex.error_code, ex.error_code) },
};

static const struct field io_fields[] = {
	{ "direction", NAMED, direction_names, COPIED(io.direction, io.direction) },
	{ "port", HEX, COPIED(io.port, io.port) },
	{ "size", DECIMAL, COPIED(io.size, io.size) },
	{ "count", DECIMAL, COPIED(io.count, io.count) },
	{ "data", HEX, STORED(io.data) },
	{ "nr_bytes", DECIMAL, .is_optional = true, STORED(io.nr_bytes) },
	{ "bytes", BYTES, .is_optional = true, STORED(io.bytes) },
};

static const struct field hypercall_fields[] = {
	{ "nr", HEX, COPIED(hypercall.nr, hypercall.nr) },
	{ "args", HEX, COPIED_ARRAY(hypercall.args[0], hypercall.args) },
	{ "longmode", NAMED, yes_no_names, COPIED(hypercall.longmode, hypercall.longmode) },
};

static const struct field debug_fields[] = {
	{ "exception", DECIMAL, COPIED(debug.exception, debug.arch.exception) },
	{ "pc", HEX, COPIED(debug.pc, debug.arch.pc) },
	{ "dr6", HEX, COPIED(debug.dr6, debug.arch.dr6) },
	{ "dr7", HEX, COPIED(debug.dr7, debug.arch.dr7) },
};

static const struct field mmio_fields[] = {
	{ "phys_addr", HEX, COPIED(mmio.phys_addr, mmio.phys_addr) },
	{ "len", DECIMAL, COPIED(mmio.len, mmio.len) },
	{ "is_write", NAMED, yes_no_names, COPIED(mmio.is_write, mmio.is_write) },
	{ "data", HEX, STORED(mmio.data) },
};

static const struct field fail_entry_fields[] = {
	{ "hardware_entry_failure_reason", HEX,
	  COPIED(fail_entry.hardware_entry_failure_reason,
		 fail_entry.hardware_entry_failure_reason) },
	{ "cpu", DECIMAL, COPIED(fail_entry.cpu, fail_entry.cpu) },
};

static const struct field tpr_access_fields[] = {
	{ "rip", HEX, COPIED(tpr_access.rip, tpr_access.rip) },
	{ "is_write", NAMED, yes_no_names, COPIED(tpr_access.is_write, tpr_access.is_write) },
};

static const struct field s390_sieic_fields[] = {
	{ "icptcode", HEX, RAW(s390_sieic.icptcode) },
	{ "ipa", HEX, RAW(s390_sieic.ipa) },
	{ "ipb", HEX, RAW(s390_sieic.ipb) },
};

static const struct field s390_reset_fields[] = {
	{ "s390_reset_flags", FLAGS, s390_reset_names, RAW(s390_reset_flags) },
};

static const struct field dcr_fields[] = {
	{ "dcrn", HEX, RAW(dcr.dcrn) },
	{ "is_write", NAMED, yes_no_names, RAW(dcr.is_write) },
	{ "data", HEX, RAW_STORED(dcr.data) },
};

static const struct field internal_error_fields[] = {
	{ "suberror", NAMED, suberror_names, COPIED(internal.suberror, internal.suberror) },
	{ "ndata", DECIMAL, COPIED(internal.ndata, internal.ndata) },
	{ "data", HEX, COPIED_ARRAY(internal.data[0], internal.data),
	  .count_offset = offsetof(struct exit_record, internal.ndata) },
};

static const struct field osi_fields[] = {
	{ "gprs", HEX, RAW_ARRAY(osi.gprs) },
};

static const struct field papr_hcall_fields[] = {
	{ "nr", HEX, RAW(papr_hcall.nr) },
	{ "ret", HEX, .is_optional = true, RAW_STORED(papr_hcall.ret) },
	{ "args", HEX, RAW_ARRAY(papr_hcall.args) },
};

static const struct field s390_ucontrol_fields[] = {
	{ "trans_exc_code", HEX, RAW(s390_ucontrol.trans_exc_code) },
	{ "pgm_code", HEX, RAW(s390_ucontrol.pgm_code) },
};

static const struct field s390_tsch_fields[] = {
	{ "subchannel_id", HEX, RAW(s390_tsch.subchannel_id) },
	{ "subchannel_nr", HEX, RAW(s390_tsch.subchannel_nr) },
	{ "io_int_parm", HEX, RAW(s390_tsch.io_int_parm) },
	{ "io_int_word", HEX, RAW(s390_tsch.io_int_word) },
	{ "ipb", HEX, RAW(s390_tsch.ipb) },
	{ "dequeued", NAMED, yes_no_names, RAW(s390_tsch.dequeued) },
};

static const struct field epr_fields[] = {
	{ "epr", HEX, RAW(epr.epr) },
};

static const struct field system_event_fields[] = {
	{ "type", NAMED, system_event_names, COPIED(system_event.type, system_event.type) },
	{ "ndata", DECIMAL, COPIED(system_event.ndata, system_event.ndata) },
	{ "data", HEX, COPIED_ARRAY(system_event.data[0], system_event.data),
	  .count_offset = offsetof(struct exit_record, system_event.ndata) },
};

static const struct field s390_stsi_fields[] = {
	{ "addr", HEX, RAW(s390_stsi.addr) },
	{ "ar", HEX, RAW(s390_stsi.ar) },
	{ "fc", HEX, RAW(s390_stsi.fc) },
	{ "sel1", HEX, RAW(s390_stsi.sel1) },
	{ "sel2", HEX, RAW(s390_stsi.sel2) },
};

static const struct field ioapic_eoi_fields[] = {
	{ "vector", HEX, COPIED(eoi.vector, eoi.vector) },
};

/* A type that has no row, like unnamed_fields. */
static const struct field hyperv_fields[] = {
	{ "type", NAMED, hyperv_names, COPIED(hyperv.type, hyperv.type) },
	{ "words", HEX, .is_optional = true, STORED_ARRAY(hyperv.words) },
};

static const struct field hyperv_synic_fields[] = {
	{ "type", NAMED, hyperv_names, COPIED(hyperv.type, hyperv.type) },
	{ "msr", HEX, COPIED(hyperv.words[0], hyperv.u.synic.msr) },
	{ "control", HEX, COPIED(hyperv.words[1], hyperv.u.synic.control) },
	{ "evt_page", HEX, COPIED(hyperv.words[2], hyperv.u.synic.evt_page) },
	{ "msg_page", HEX, COPIED(hyperv.words[3], hyperv.u.synic.msg_page) },
};

static const struct field hyperv_hcall_fields[] = {
	{ "type", NAMED, hyperv_names, COPIED(hyperv.type, hyperv.type) },
	{ "input", HEX, COPIED(hyperv.words[0], hyperv.u.hcall.input) },
	{ "result", HEX, .is_optional = true, STORED(hyperv.words[1]) },
	{ "params", HEX, COPIED_ARRAY(hyperv.words[2], hyperv.u.hcall.params) },
};

static const struct field hyperv_syndbg_fields[] = {
	{ "type", NAMED, hyperv_names, COPIED(hyperv.type, hyperv.type) },
	{ "msr", HEX, COPIED(hyperv.words[0], hyperv.u.syndbg.msr) },
	{ "control", HEX, COPIED(hyperv.words[1], hyperv.u.syndbg.control) },
	{ "status", HEX, .is_optional = true, STORED(hyperv.words[2]) },
	{ "send_page", HEX, COPIED(hyperv.words[3], hyperv.u.syndbg.send_page) },
	{ "recv_page", HEX, COPIED(hyperv.words[4], hyperv.u.syndbg.recv_page) },
	{ "pending_page", HEX, COPIED(hyperv.words[5], hyperv.u.syndbg.pending_page) },
};

static const struct field arm_nisv_fields[] = {
	{ "esr_iss", HEX, RAW(arm_nisv.esr_iss) },
	{ "fault_ipa", HEX, RAW(arm_nisv.fault_ipa) },
};

static const struct field x86_rdmsr_fields[] = {
	{ "reason", FLAGS, msr_reason_names, COPIED(msr.reason, msr.reason) },
	{ "index", HEX, COPIED(msr.index, msr.index) },
	{ "data", HEX, .is_optional = true, STORED(msr.data) },
};

static const struct field x86_wrmsr_fields[] = {
	{ "reason", FLAGS, msr_reason_names, COPIED(msr.reason, msr.reason) },
	{ "index", HEX, COPIED(msr.index, msr.index) },
	{ "data", HEX, COPIED(msr.data, msr.data) },
};

static const struct field xen_fields[] = {
	{ "type", NAMED, xen_names, COPIED(xen.type, xen.type) },
	{ "words", HEX, .is_optional = true, STORED_ARRAY(xen.words) },
};

static const struct field xen_hcall_fields[] = {
	{ "type", NAMED, xen_names, COPIED(xen.type, xen.type) },
	{ "longmode", NAMED, yes_no_names, COPIED(xen.words[0], xen.u.hcall.longmode) },
	{ "cpl", DECIMAL, COPIED(xen.words[1], xen.u.hcall.cpl) },
	{ "input", HEX, COPIED(xen.words[2], xen.u.hcall.input) },
	{ "result", HEX, .is_optional = true, STORED(xen.words[3]) },
	{ "params", HEX, COPIED_ARRAY(xen.words[4], xen.u.hcall.params) },
};

static const struct field riscv_sbi_fields[] = {
	{ "extension_id", HEX, RAW(riscv_sbi.extension_id) },
	{ "function_id", HEX, RAW(riscv_sbi.function_id) },
	{ "args", HEX, RAW_ARRAY(riscv_sbi.args) },
};

static const struct field riscv_csr_fields[] = {
	{ "csr_num", HEX, RAW(riscv_csr.csr_num) },
	{ "new_value", HEX, RAW(riscv_csr.new_value) },
	{ "write_mask", HEX, RAW(riscv_csr.write_mask) },
	{ "ret_value", HEX, RAW(riscv_csr.ret_value) },
};

static const struct field notify_fields[] = {
	{ "flags", FLAGS, notify_names, COPIED(notify.flags, notify.flags) },
};

static const struct field iocsr_fields[] = {
	{ "phys_addr", HEX, IOCSR(phys_addr) },
	{ "len", DECIMAL, IOCSR(len) },
	{ "is_write", NAMED, yes_no_names, IOCSR(is_write) },
	{ "data", HEX, IOCSR_STORED(data) },
};

static const struct field memory_fault_fields[] = {
	{ "flags", FLAGS, memory_fault_names, MEMORY_FAULT(flags) },
	{ "gpa", HEX, MEMORY_FAULT(gpa) },
	{ "size", HEX, MEMORY_FAULT(size) },
};

/* A reason that has no row, so that nobody knows its payload: always zero when decoded. */
static const struct field unnamed_fields[] = {
	{ "raw", HEX, .is_optional = true, STORED_ARRAY(raw) },
};

/* The number that the first @nr_bytes of @from make, at most 8 of them. */
static uint64_t word_load(const void *from, uint64_t nr_bytes)
{
	uint64_t value = 0;

	memcpy(&value, from, MIN(nr_bytes, sizeof(value)));
	return value;
}

/* Note, data_offset is believed: the length of the mapping behind @run is not known here. */
static void io_decode(struct exit_record *record, const struct kvm_run *run)
{
	uint64_t nr_bytes = (uint64_t)run->io.size * run->io.count;
	const uint8_t *bytes;

	if (run->io.direction != KVM_EXIT_IO_OUT)
		return;
	bytes = (const uint8_t *)run + run->io.data_offset;
	record->io.data = word_load(bytes, nr_bytes);
	if (nr_bytes <= 8)
		return;
	record->io.bytes = bytes;
	record->io.nr_bytes = MIN(nr_bytes, EXIT_IO_MAX_BYTES);
}

static void mmio_decode(struct exit_record *record, const struct kvm_run *run)
{
	if (run->mmio.is_write)
		record->mmio.data = word_load(run->mmio.data, run->mmio.len);
}

/* Breakpoints that DR7 does not enable may be found in DR6 or not: SDM vol. 3, "Debug Status Register (DR6)". */
static void debug_decode(struct exit_record *record, const struct kvm_run *run)
{
	(void)run;
	for (unsigned int i = 0; i < 4; i++)
		if (!(record->debug.dr7 >> (2 * i) & 3))
			record->debug.dr6 &= ~(1ull << i);
}

static void dcr_decode(struct exit_record *record, const struct kvm_run *run)
{
	size_t at = offsetof(struct kvm_run, dcr.data) - RUN_PAYLOAD;

	if (run->dcr.is_write)
		memcpy((uint8_t *)record->raw + at, &run->dcr.data, sizeof(run->dcr.data));
}

static void iocsr_decode(struct exit_record *record, const struct kvm_run *run)
{
	struct run_iocsr_io iocsr;

	memcpy(&iocsr, (const uint8_t *)run + RUN_PAYLOAD, sizeof(iocsr));
	if (iocsr.is_write)
		record->raw[1] = word_load(iocsr.data, iocsr.len);
}

#define WITH(list) .fields = (list), .nr_fields = ARRAY_SIZE(list)
#define VARIANTS(list) .variants = (list), .nr_variants = ARRAY_SIZE(list)

static const struct row hyperv_rows[] = {
	[KVM_EXIT_HYPERV_SYNIC] = { WITH(hyperv_synic_fields) },
	[KVM_EXIT_HYPERV_HCALL] = { WITH(hyperv_hcall_fields) },
	[KVM_EXIT_HYPERV_SYNDBG] = { WITH(hyperv_syndbg_fields) },
};

static const struct row xen_rows[] = {
	[KVM_EXIT_XEN_HCALL] = { WITH(xen_hcall_fields) },
};

static const struct row rows[] = {
	[KVM_EXIT_UNKNOWN] = { "UNKNOWN", WITH(unknown_fields) },
	[KVM_EXIT_EXCEPTION] = { "EXCEPTION", WITH(exception_fields) },
	[KVM_EXIT_IO] = { "IO", WITH(io_fields), io_decode },
	[KVM_EXIT_HYPERCALL] = { "HYPERCALL", WITH(hypercall_fields) },
	[KVM_EXIT_DEBUG] = { "DEBUG", WITH(debug_fields), debug_decode },
	[KVM_EXIT_HLT] = { "HLT" },
	[KVM_EXIT_MMIO] = { "MMIO", WITH(mmio_fields), mmio_decode },
	[KVM_EXIT_IRQ_WINDOW_OPEN] = { "IRQ_WINDOW_OPEN" },
	[KVM_EXIT_SHUTDOWN] = { "SHUTDOWN" },
	[KVM_EXIT_FAIL_ENTRY] = { "FAIL_ENTRY", WITH(fail_entry_fields) },
	[KVM_EXIT_INTR] = { "INTR" },
	[KVM_EXIT_SET_TPR] = { "SET_TPR" },
	[KVM_EXIT_TPR_ACCESS] = { "TPR_ACCESS", WITH(tpr_access_fields) },
	[KVM_EXIT_S390_SIEIC] = { "S390_SIEIC", WITH(s390_sieic_fields) },
	[KVM_EXIT_S390_RESET] = { "S390_RESET", WITH(s390_reset_fields) },
	[KVM_EXIT_DCR] = { "DCR", WITH(dcr_fields), dcr_decode },
	[KVM_EXIT_NMI] = { "NMI" },
	[KVM_EXIT_INTERNAL_ERROR] = { "INTERNAL_ERROR", WITH(internal_error_fields) },
	[KVM_EXIT_OSI] = { "OSI", WITH(osi_fields) },
	[KVM_EXIT_PAPR_HCALL] = { "PAPR_HCALL", WITH(papr_hcall_fields) },
	[KVM_EXIT_S390_UCONTROL] = { "S390_UCONTROL", WITH(s390_ucontrol_fields) },
	[KVM_EXIT_WATCHDOG] = { "WATCHDOG" },
	[KVM_EXIT_S390_TSCH] = { "S390_TSCH", WITH(s390_tsch_fields) },
	[KVM_EXIT_EPR] = { "EPR", WITH(epr_fields) },
	[KVM_EXIT_SYSTEM_EVENT] = { "SYSTEM_EVENT", WITH(system_event_fields) },
	[KVM_EXIT_S390_STSI] = { "S390_STSI", WITH(s390_stsi_fields) },
	[KVM_EXIT_IOAPIC_EOI] = { "IOAPIC_EOI", WITH(ioapic_eoi_fields) },
	[KVM_EXIT_HYPERV] = { "HYPERV", WITH(hyperv_fields), VARIANTS(hyperv_rows) },
	[KVM_EXIT_ARM_NISV] = { "ARM_NISV", WITH(arm_nisv_fields) },
	[KVM_EXIT_X86_RDMSR] = { "X86_RDMSR", WITH(x86_rdmsr_fields) },
	[KVM_EXIT_X86_WRMSR] = { "X86_WRMSR", WITH(x86_wrmsr_fields) },
	[KVM_EXIT_DIRTY_RING_FULL] = { "DIRTY_RING_FULL" },
	[KVM_EXIT_AP_RESET_HOLD] = { "AP_RESET_HOLD" },
	[KVM_EXIT_X86_BUS_LOCK] = { "X86_BUS_LOCK" },
	[KVM_EXIT_XEN] = { "XEN", WITH(xen_fields), VARIANTS(xen_rows) },
	[KVM_EXIT_RISCV_SBI] = { "RISCV_SBI", WITH(riscv_sbi_fields) },
	[KVM_EXIT_RISCV_CSR] = { "RISCV_CSR", WITH(riscv_csr_fields) },
	[KVM_EXIT_NOTIFY] = { "NOTIFY", WITH(notify_fields) },
	[KVM_EXIT_LOONGARCH_IOCSR] = { "LOONGARCH_IOCSR", WITH(iocsr_fields), iocsr_decode },
	[KVM_EXIT_MEMORY_FAULT] = { "MEMORY_FAULT", WITH(memory_fault_fields) },
};

static const struct row unnamed_row = { NULL, WITH(unnamed_fields) };

/* @type is read only for the reasons that have variants. */
static const struct row *row_find(uint32_t reason, uint32_t type)
{
	const struct row *row;

	if (reason >= ARRAY_SIZE(rows) || !rows[reason].name)
		return &unnamed_row;
	row = &rows[reason];
	if (type < row->nr_variants && row->variants[type].nr_fields > 0)
		return &row->variants[type];
	return row;
}

const struct row *exit_row_of(const struct exit_record *record)
{
	return row_find(record->reason, record->hyperv.type);
}

unsigned int exit_field_nr(const struct field *field, const struct exit_record *record)
{
	uint32_t count;

	if (!field->count_offset)
		return field->nr;
	memcpy(&count, (const uint8_t *)record + field->count_offset, sizeof(count));
	return MIN(count, field->nr);
}

uint64_t exit_field_value(const struct field *field, const struct exit_record *record,
			  unsigned int i)
{
	return word_load((const uint8_t *)record + field->offset + i * field->size, field->size);
}

/* Note, a count precedes its array in the list: once copied, it says how much of it to copy. */
static void field_copy(const struct field *field, struct exit_record *record,
		       const struct kvm_run *run)
{
	const uint8_t *from = (const uint8_t *)run + field->run_offset;
	uint8_t *to = (uint8_t *)record + field->offset;
	unsigned int nr = exit_field_nr(field, record);

	for (unsigned int i = 0; i < nr; i++)
		memcpy(to + i * field->size, from + i * field->run_size, field->run_size);
}

void exit_decode(struct exit_record *record, const struct kvm_run *run)
{
	const struct row *row = row_find(run->exit_reason, run->hyperv.type);

	memset(record, 0, sizeof(*record));
	record->reason = run->exit_reason;
	for (size_t i = 0; i < row->nr_fields; i++)
		field_copy(&row->fields[i], record, run);
	if (row->decode)
		row->decode(record, run);
}

const char *exit_reason_name(uint32_t reason)
{
	static __thread char number[sizeof("4294967295")];

	if (reason < ARRAY_SIZE(rows) && rows[reason].name)
		return rows[reason].name;
	snprintf(number, sizeof(number), "%" PRIu32, reason);
	return number;
}
