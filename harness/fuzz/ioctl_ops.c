/* SPDX-License-Identifier: MIT */
#include "fuzz/ioctl_ops.h"

#include <linux/kvm.h>

#include "fuzz/ioctl_calls.h"
#include "fuzz/ioctl_world.h"

#define NR(array_) (sizeof(array_) / sizeof((array_)[0]))

/* --- the guest --- */

static const char *const insn_names[] = {
	"hlt", "nop", "out8", "out16", "out32", "in8", "in32", "rep_insb", "rep_outsb", "rep_movsb", "load", "store", "xadd",
	"cpuid", "rdmsr", "wrmsr", "rdtsc", "rdpmc", "cli", "sti", "int3", "int_80", "ud2", "icebp", "vmmcall", "vmcall", "vmrun",
	"vmload", "stgi", "clgi", "kvm_prefix", "mov_to_cr0", "mov_from_cr0", "mov_to_cr3", "mov_to_cr4", "mov_to_cr8", "mov_to_dr7",
	"mov_from_dr6", "invlpg", "wbinvd", "iret", "pause", "xsetbv", "lidt", "pushf", "popf_tf", "div_zero", "jmp_self",
};

const char *const ioctl_guest_insns[] = {
	"f4", "90", "ee", "66ef", "ef", "ec", "ed", "f36c", "f36e", "f3a4", "8a07", "8807", "0fc107",
	"0fa2", "0f32", "0f30", "0f31", "0f33", "fa", "fb", "cc", "cd80", "0f0b", "f1", "0f01d9", "0f01c1", "0f01d8",
	"0f01da", "0f01dc", "0f01dd", "0f0b6b766d", "0f22c0", "0f20c0", "0f22d8", "0f22e0", "f00f22c0", "0f23f8",
	"0f21f0", "0f013f", "0f09", "cf", "f390", "0f01d1", "0f011f", "9c", "6800019d", "31c9f7f1", "ebfe",
};

_Static_assert(NR(insn_names) == NR(ioctl_guest_insns), "each instruction has its bytes");

static const char *insn_name(unsigned int index)
{
	return insn_names[index];
}

static const struct input_names insns = { NR(insn_names), insn_name, NULL };

/* --- words --- */

#define WORDS(id_, ...)									\
	static const char *const id_##_names[] = { __VA_ARGS__ };			\
	static const char *id_##_name(unsigned int index)				\
	{										\
		return id_##_names[index];						\
	}										\
	static const struct input_names id_ = { NR(id_##_names), id_##_name, NULL }

WORDS(bases, "real", "long", "irqchip", "split", "vm", "empty");
WORDS(rights, "write", "read", "none");
WORDS(route_types, "irqchip", "msi", "other");
WORDS(places, "arg", "end", "pool", "null", "unmapped", "kernel");
WORDS(guest_regs, "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi");
WORDS(cpuid_regs, "eax", "ebx", "ecx", "edx");

/* --- likely numbers --- */

static const uint64_t likely_numbers[] = {
	0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, 255, 256, 0x1ff, 0x7fff, 0xfff, 0x1000, 0xffff, 0x10000, 0x7fffffff,
	0x80000000, 0xffffffff, 0xfec00000, 0xfee00000, 0x100000000, 0x7fffffffffffffff, ~0ull, ~0ull - 0xfff,
};

static const uint64_t likely_gpas[] = { 0, 0x1000, 0x2000, 0x8000, 0xf000, 0x10000, 0xa0000, 0xff000, 0x100000, 0xfec00000,
	0xfee00000, 0xfffff000, 0x100000000, 0xfffffffff000, 0xfffffffffffff000 };

static const uint64_t likely_sizes[] = { 0, 1, 2, 4, 8, 0x800, 0x1000, 0x2000, 0x10000, 0x100000, 0x200000, 0x40000000,
	0xfffffffffffff000 };

static const uint64_t likely_ports[] = { 0x10, 0x20, 0x21, 0x40, 0x43, 0x61, 0x7e, 0x80, 0xa0, 0xa1, 0x3f8, 0x4d0, 0xffff };

static const uint64_t likely_caps[] = { KVM_CAP_SPLIT_IRQCHIP, KVM_CAP_X2APIC_API, KVM_CAP_EXCEPTION_PAYLOAD,
	KVM_CAP_X86_USER_SPACE_MSR, KVM_CAP_X86_DISABLE_EXITS, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, KVM_CAP_DIRTY_LOG_RING,
	KVM_CAP_SYNC_REGS, KVM_CAP_HYPERV_SYNIC, KVM_CAP_MAX_VCPU_ID, KVM_CAP_ENFORCE_PV_FEATURE_CPUID,
	KVM_CAP_DISABLE_QUIRKS, KVM_CAP_DISABLE_QUIRKS2, KVM_CAP_MSR_PLATFORM_INFO, KVM_CAP_X86_TRIPLE_FAULT_EVENT,
	KVM_CAP_EXIT_HYPERCALL, KVM_CAP_EXIT_ON_EMULATION_FAILURE, KVM_CAP_X86_BUS_LOCK_EXIT, KVM_CAP_HALT_POLL,
	KVM_CAP_VM_DISABLE_NX_HUGE_PAGES, KVM_CAP_VM_COPY_ENC_CONTEXT_FROM };

static const uint64_t likely_cap_args[] = { 0, 1, 2, 3, 4, 7, 8, 15, 24, 0x1000, 0x7f, 0xffffffff, ~0ull };

static const uint64_t likely_slots[] = { 0, 1, 2, 31, 508, 509, 510, 32763, 32764, 32766, 32767, 0x10000 };

static const uint64_t likely_msrs[] = { 0x10, 0x1b, 0x3a, 0x3b, 0x79, 0x8b, 0xce, 0xfe, 0x174, 0x175, 0x179, 0x17a, 0x1a0, 0x1d9,
	0x1f8, 0x200, 0x250, 0x277, 0x2ff, 0x400, 0x401, 0x47f, 0x6e0, 0x800, 0x802, 0x808, 0x80b, 0x80f, 0x830, 0x832, 0x83f,
	0xda0, 0x11, 0x12, 0x40000000, 0x40000001, 0x40000073, 0x4b564d00, 0x4b564d01, 0x4b564d02, 0x4b564d03, 0x4b564d04,
	0x4b564d05, 0x4b564d06, 0x4b564d07, 0xc0000080, 0xc0000081, 0xc0000082, 0xc0000084, 0xc0000100, 0xc0000102, 0xc0000103,
	0xc0000104, 0xc0010015, 0xc0010055, 0xc0010114, 0xc0010117, 0xc001001f, 0xc0011020, 0xc0011029 };

static const uint64_t likely_leaves[] = { 0, 1, 5, 6, 7, 0xa, 0xb, 0xd, 0x15, 0x40000000, 0x40000001, 0x80000000, 0x80000001,
	0x80000007, 0x80000008, 0x8000000a, 0x8000001f };

static const uint64_t likely_vectors[] = { 0, 1, 2, 3, 8, 13, 14, 15, 16, 31, 32, 64, 128, 254, 255, 256 };

/* --- the table --- */

#define NUMBER(name_, last_) { .name = name_, .last = last_ }
#define LIKELY(name_, last_, likely_) { .name = name_, .last = last_, .likely = likely_, .nr_likely = NR(likely_) }
#define WORD(name_, names_) { .name = name_, .type = OPERAND_NAME, .names = &(names_) }
#define NEW(prefix_) { .name = prefix_, .type = OPERAND_NEW, .prefix = prefix_ }
#define LINK(prefix_) { .name = prefix_, .type = OPERAND_LINK, .prefix = prefix_ }
#define BYTES { .name = "bytes", .type = OPERAND_BYTES }
#define OFFSET NUMBER("offset", IOCTL_ARG_BYTES - INPUT_MAX_BYTES)
#define ROW(id_, name_, weight_, says_, nr_, ...)					\
	[IOCTL_OP_##id_] = { name_, says_, weight_, { __VA_ARGS__ }, nr_ }

static const struct input_op_desc ops[NR_IOCTL_OPS] = {
	ROW(BASE, "base", 3, "the golden state to begin with, wherever it stands; the first counts", 1, WORD("base", bases)),
	ROW(VM, "vm", 2, "KVM_CREATE_VM; what had the name is closed before", 2, NEW("vm"), NUMBER("type", 0)),
	ROW(VCPU, "vcpu", 3, "KVM_CREATE_VCPU, and its shared page mapped", 3, NEW("vcpu"), LINK("vm"), NUMBER("id", 0)),
	ROW(DEVICE, "device", 1, "KVM_CREATE_DEVICE", 4, NEW("dev"), LINK("vm"), NUMBER("type", 0xffffffff),
	    NUMBER("flags", 0xffffffff)),
	ROW(EVENT, "event", 2, "an eventfd", 2, NEW("event"), NUMBER("count", 0xffffffff)),
	ROW(CLOSE_VM, "close_vm", 1, "the descriptor is closed", 1, LINK("vm")),
	ROW(CLOSE_VCPU, "close_vcpu", 1, "the descriptor is closed, its page unmapped", 1, LINK("vcpu")),
	ROW(CLOSE_DEVICE, "close_device", 1, "the descriptor is closed", 1, LINK("dev")),
	ROW(CLOSE_EVENT, "close_event", 1, "the descriptor is closed", 1, LINK("event")),
	ROW(EVENT_WRITE, "event_write", 2, "the eventfd is signalled", 2, LINK("event"), NUMBER("count", 0xffffffff)),
	ROW(SLOT, "slot", 8, "KVM_SET_USER_MEMORY_REGION, of the pool", 6, LINK("vm"), LIKELY("slot", 0xffffffff, likely_slots),
	    NUMBER("flags", 0xffffffff), LIKELY("gpa", 0, likely_gpas), LIKELY("bytes", 0, likely_sizes),
	    LIKELY("offset", 0, likely_gpas)),
	ROW(POOL, "pool", 2, "the user's right to some of the pool's pages", 3, LIKELY("offset", IOCTL_POOL_BYTES - 1, likely_gpas),
	    LIKELY("bytes", IOCTL_POOL_BYTES, likely_sizes), WORD("right", rights)),
	ROW(GUEST, "guest", 4, "bytes of the pool", 2, LIKELY("offset", IOCTL_POOL_BYTES - INPUT_MAX_BYTES, likely_gpas), BYTES),
	ROW(GUEST_INSN, "guest_insn", 12, "an instruction of the guest, behind those before it; then it halts", 1,
	    WORD("instruction", insns)),
	ROW(GUEST_REG, "guest_reg", 8, "the guest loads a register", 2, WORD("register", guest_regs), NUMBER("value", 0)),
	ROW(SET, "set", 16, "the state that has the field is got, the field changed, and the state set", 3, LINK("vcpu"),
	    WORD("field", ioctl_vcpu_field_names), NUMBER("value", 0)),
	ROW(XOR, "xor", 10, "the same with bits of the field", 3, LINK("vcpu"), WORD("field", ioctl_vcpu_field_names),
	    NUMBER("value", 0)),
	ROW(VM_SET, "vm_set", 5, "the same with a VM's", 3, LINK("vm"), WORD("field", ioctl_vm_field_names), NUMBER("value", 0)),
	ROW(VM_XOR, "vm_xor", 4, "the same with bits of it", 3, LINK("vm"), WORD("field", ioctl_vm_field_names),
	    NUMBER("value", 0)),
	ROW(SHARED, "shared", 6, "a field of the page that the vCPU shares", 3, LINK("vcpu"),
	    WORD("field", ioctl_shared_field_names), NUMBER("value", 0)),
	ROW(MSR, "msr", 8, "KVM_SET_MSRS with one", 3, LINK("vcpu"), LIKELY("index", 0xffffffff, likely_msrs), NUMBER("value", 0)),
	ROW(CPUID, "cpuid", 3, "KVM_SET_CPUID2 with what is supported, but for bits of a register", 4, LINK("vcpu"),
	    LIKELY("leaf", 0xffffffff, likely_leaves), WORD("register", cpuid_regs), NUMBER("xor", 0xffffffff)),
	ROW(ARG, "arg", 4, "bytes of the argument", 2, OFFSET, BYTES),
	ROW(ARG_NUMBER, "arg_number", 6, "8 bytes of the argument, as a number", 2, OFFSET, NUMBER("value", 0)),
	ROW(ARG_XOR, "arg_xor", 6, "bits of the argument flip", 2, OFFSET, BYTES),
	ROW(ARG_CLEAR, "arg_clear", 2, "the argument is zero", 0),
	ROW(ARG_POINTER, "arg_pointer", 3, "a pointer in the argument", 3, OFFSET, WORD("place", places), NUMBER("delta", 0)),
	ROW(ARG_FD, "arg_fd", 1, "an eventfd's number in the argument", 2, OFFSET, LINK("event")),
	ROW(PLACE, "place", 2, "where the next call's argument is: with DELTA bytes before the place's end", 2, WORD("place", places),
	    NUMBER("delta", IOCTL_POOL_BYTES - 1)),
	ROW(SYS_CALL, "sys_call", 4, "a call on /dev/kvm; VALUE is what a call that wants no address gets", 2,
	    WORD("call", ioctl_sys_call_names), NUMBER("value", 0)),
	ROW(VM_CALL, "vm_call", 10, "a call on a VM", 3, LINK("vm"), WORD("call", ioctl_vm_call_names), NUMBER("value", 0)),
	ROW(VCPU_CALL, "vcpu_call", 14, "a call on a vCPU", 3, LINK("vcpu"), WORD("call", ioctl_vcpu_call_names),
	    NUMBER("value", 0)),
	ROW(DEVICE_CALL, "device_call", 1, "a call on a device", 2, LINK("dev"), WORD("call", ioctl_device_call_names)),
	ROW(CAP, "cap", 5, "KVM_ENABLE_CAP of a VM", 4, LINK("vm"), LIKELY("cap", 0xffffffff, likely_caps),
	    LIKELY("arg0", 0, likely_cap_args), NUMBER("arg1", 0)),
	ROW(VCPU_CAP, "vcpu_cap", 1, "KVM_ENABLE_CAP of a vCPU", 3, LINK("vcpu"), LIKELY("cap", 0xffffffff, likely_caps),
	    LIKELY("arg0", 0, likely_cap_args)),
	ROW(IRQ_LINE, "irq_line", 5, "KVM_IRQ_LINE", 3, LINK("vm"), LIKELY("gsi", 0xffffffff, likely_vectors),
	    NUMBER("level", 0xffffffff)),
	ROW(MSI, "msi", 3, "KVM_SIGNAL_MSI", 4, LINK("vm"), NUMBER("address", 0), NUMBER("data", 0xffffffff),
	    NUMBER("flags", 0xffffffff)),
	ROW(ROUTE, "route", 3, "KVM_SET_GSI_ROUTING with those before it and one more", 5, LINK("vm"),
	    LIKELY("gsi", 0xffffffff, likely_vectors), WORD("type", route_types), NUMBER("chip_or_address", 0xffffffff),
	    NUMBER("pin_or_data", 0xffffffff)),
	ROW(IRQFD, "irqfd", 3, "KVM_IRQFD", 4, LINK("vm"), LINK("event"), LIKELY("gsi", 0xffffffff, likely_vectors),
	    NUMBER("flags", 0xffffffff)),
	ROW(IOEVENTFD, "ioeventfd", 4, "KVM_IOEVENTFD", 6, LINK("vm"), LINK("event"), LIKELY("address", 0, likely_ports),
	    LIKELY("bytes", 0xffffffff, likely_sizes), NUMBER("flags", 0xffffffff), NUMBER("datamatch", 0)),
	ROW(COALESCE, "coalesce", 3, "KVM_REGISTER_COALESCED_MMIO", 4, LINK("vm"), LIKELY("address", 0, likely_gpas),
	    LIKELY("bytes", 0xffffffff, likely_sizes), NUMBER("pio", 0xffffffff)),
	ROW(DIRTY_LOG, "dirty_log", 4, "KVM_GET_DIRTY_LOG, to the argument's end", 2, LINK("vm"),
	    LIKELY("slot", 0xffffffff, likely_slots)),
	ROW(CLEAR_LOG, "clear_log", 3, "KVM_CLEAR_DIRTY_LOG, of bits at the argument's end", 4, LINK("vm"),
	    LIKELY("slot", 0xffffffff, likely_slots), NUMBER("first", 0), NUMBER("pages", 0xffffffff)),
	ROW(MSR_FILTER, "msr_filter", 3, "KVM_X86_SET_MSR_FILTER with one range", 5, LINK("vm"), NUMBER("flags", 0xffffffff),
	    NUMBER("range_flags", 0xffffffff), LIKELY("first", 0xffffffff, likely_msrs), NUMBER("count", 0xffffffff)),
	ROW(INTERRUPT, "interrupt", 3, "KVM_INTERRUPT", 2, LINK("vcpu"), LIKELY("vector", 0xffffffff, likely_vectors)),
	ROW(RUN, "run", 14, "KVM_RUN, again while there are fewer than EXITS exits", 2, LINK("vcpu"), NUMBER("exits", 16)),
	ROW(AT, "at", 5, "the operation behind it waits for that exit of the next run", 1, NUMBER("exit", 16)),
};

const struct input_domain ioctl_domain = {
	.name = "ioctl", .ops = ops, .nr_ops = NR(ops), .likely = likely_numbers, .nr_likely = NR(likely_numbers),
};
