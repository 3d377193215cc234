/* SPDX-License-Identifier: MIT */
/*
 * Operations of "input vmcb": what a hypervisor (L1) does to a guest (L2) before and between VMRUNs. The golden state
 * that they change is vmcb_world.h's. An input's end is a VMRUN, so that the empty one runs the golden guest once.
 *
 * Operands of a kind are .args in the order of its row in vmcb_ops.c.
 */
#ifndef VMASSAY_FUZZ_VMCB_OPS_H
#define VMASSAY_FUZZ_VMCB_OPS_H

#include "fuzz/input.h"
#include "machine/svm_rules.h"

enum vmcb_op {
	VMCB_OP_RUN,
	VMCB_OP_SKIP,
	VMCB_OP_MIGRATE,
	VMCB_OP_BASE,
	VMCB_OP_SET,
	VMCB_OP_XOR,
	VMCB_OP_RULE,
	VMCB_OP_INTERCEPT,
	VMCB_OP_INTERCEPT_ALL,
	VMCB_OP_NPT,
	VMCB_OP_PT,
	VMCB_OP_IOPM,
	VMCB_OP_IOPM_ALL,
	VMCB_OP_MSRPM,
	VMCB_OP_MSRPM_ALL,
	VMCB_OP_INJECT,
	VMCB_OP_INJECT_ERROR,
	VMCB_OP_VIRQ,
	VMCB_OP_PIN,
	VMCB_OP_FLUSH,
	VMCB_OP_REG,
	VMCB_OP_POKE,
	VMCB_OP_L1,
	VMCB_OP_L1_INVLPGA,
	VMCB_OP_L2,
	VMCB_OP_L2_REG,
	VMCB_OP_L2_IO,
	VMCB_OP_L2_MSR,
	VMCB_OP_L2_CR,
	VMCB_OP_L2_DR,
	VMCB_OP_L2_MEM,
	VMCB_OP_L2_INT,
	VMCB_OP_L2_BYTES,
	VMCB_OP_HOST,
	VMCB_OP_HOST_STATE,
	VMCB_OP_HOST_HEADER,
	VMCB_OP_HOST_SREGS,
	VMCB_OP_HOST_EVENTS,
	VMCB_OP_HOST_MSR,
	VMCB_OP_HYPERV,
	NR_VMCB_OPS,
};

/* What user space does while L1 or L2 runs. */
static inline bool vmcb_op_is_host(const struct input_op *op)
{
	return op->kind >= VMCB_OP_HOST && op->kind <= VMCB_OP_HOST_MSR;
}

struct vmcb_field {
	const char *name;
	uint16_t offset;		/* into the VMCB */
	uint8_t len_bytes;		/* 1, 2, 4 or 8 */
};

/* By the operand's value. */
extern const struct vmcb_field vmcb_fields[];
extern const unsigned int nr_vmcb_fields;

/* Exit codes that have an intercept bit are their own operand. */
#define NR_INTERCEPTS (NR_INTERCEPT_WORDS * 32)
/* The name of an exit code, as operations and outcomes have it; NULL: it has none. */
const char *vmcb_exit_name(uint64_t code);

enum { ON, OFF };
enum { KIND_ILLEGAL, KIND_LEGAL };
enum { CHANGE_SET, CHANGE_XOR };
enum { MSRPM_READ, MSRPM_WRITE, MSRPM_BOTH };
enum { INJECT_INTR, INJECT_NMI, INJECT_EXCEPTION, INJECT_SOFT };
enum { FLUSH_ALL, FLUSH_ASID, FLUSH_LOCAL, FLUSH_NOTHING };
enum { PIN_INTR, PIN_NMI, PIN_SMI, PIN_INIT };
enum { L1_STGI, L1_CLGI, L1_VMLOAD, L1_VMSAVE, L1_FLUSH_TLB };
enum { MOVE_READ, MOVE_WRITE };
enum { MEM_LOAD, MEM_STORE, MEM_EXECUTE };
enum { IN_L1, IN_L2 };
enum { HOST_MIGRATE, HOST_LEAVE, HOST_UNMAP, HOST_SMI, HOST_NMI, HOST_STEP, HOST_PAE };
enum { HEADER_FLAGS, HEADER_FORMAT, HEADER_SIZE, HEADER_VMCB };
enum {
	EVENTS_EXCEPTION, EVENTS_EXCEPTION_INJECTED, EVENTS_INTERRUPT_INJECTED, EVENTS_NMI_INJECTED, EVENTS_NMI_PENDING,
	EVENTS_NMI_MASKED, EVENTS_SHADOW, EVENTS_SMM, EVENTS_SMI_PENDING, EVENTS_SMM_INSIDE_NMI, EVENTS_LATCHED_INIT,
};

/* Instructions without operands; the order of their bytes in vmcb_code.c, too. */
#define VMCB_L2_INSNS(X)								\
	X(cpuid, "0fa2") X(hlt, "f4") X(pause, "f390") X(rdtsc, "0f31") X(rdtscp, "0f01f9") X(rdpmc, "0f33")	\
	X(vmmcall, "0f01d9") X(vmrun, "0f01d8") X(vmload, "0f01da") X(vmsave, "0f01db") X(stgi, "0f01dc")	\
	X(clgi, "0f01dd") X(skinit, "0f01de") X(invlpga, "0f01df") X(invd, "0f08") X(wbinvd, "0f09")		\
	X(monitor, "0f01c8") X(mwait, "0f01c9") X(rsm, "0faa") X(icebp, "f1") X(int3, "cc") X(ud2, "0f0b")	\
	X(cli, "fa") X(sti, "fb") X(pushf, "9c") X(popf, "9d") X(iret, "48cf") X(clts, "0f06") X(xsetbv, "0f01d1")	\
	X(lgdt, "0f0116") X(lidt, "0f011e") X(sgdt, "0f0106") X(sidt, "0f010e") X(lldt, "0f00d0") X(ltr, "0f00d8")	\
	X(sldt, "0f00c0") X(str, "0f00c8") X(smsw, "0f01e0") X(lmsw, "0f01f0") X(invlpg, "0f013e")		\
	X(swapgs, "0f01f8") X(syscall, "0f05") X(sysenter, "0f34") X(div_zero, "31c9f7f1") X(nop, "90")		\
	X(mov_ss, "8ed0") X(push, "50") X(pop, "58") X(rep_movsb, "f3a4") X(fninit, "dbe3") X(jmp_self, "ebfe")

#define VMCB_L2_ENUM(name_, bytes_) L2_##name_,
enum { VMCB_L2_INSNS(VMCB_L2_ENUM) NR_L2_INSNS };

extern const struct input_domain vmcb_domain;

#endif
