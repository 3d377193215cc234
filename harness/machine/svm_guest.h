/* SPDX-License-Identifier: MIT */
/* What the parts of SVM share: the world switch, intercepts, events of a guest, nested paging. */
#ifndef VMASSAY_MACHINE_SVM_GUEST_H
#define VMASSAY_MACHINE_SVM_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "machine/cpu.h"
#include "machine/op.h"
#include "machine/private.h"

/* The world switch (svm_vmrun.c) */

/* True when @pa may be a VMCB's address: aligned and within the physical addresses. */
bool svm_is_vmcb_address(const struct cpu *cpu, uint64_t pa);
/* NULL when no RAM that can be written is there. */
struct vmcb *svm_vmcb(struct cpu *cpu, uint64_t pa);
/*
 * From the host, whose next instruction is at @next_rip, into the guest. False when the state is illegal: the #VMEXIT
 * is done, and the CPU is where it was. Otherwise svm_inject() is pending.
 */
bool svm_enter(struct cpu *cpu, uint64_t vmcb_pa, struct vmcb *vmcb, uint64_t next_rip);
/* The #VMEXIT that svm_exit() prepared. */
void svm_leave(struct cpu *cpu);
/* What VMRUN loads and #VMEXIT saves of a state save area; the owner of the CPU calls cpu_state_changed(). */
void svm_state_load(struct cpu *cpu, const struct vmcb_save *save);
void svm_state_save(const struct cpu *cpu, struct vmcb_save *save);
void svm_vmload(struct cpu *cpu, const struct vmcb *vmcb);
void svm_vmsave(const struct cpu *cpu, struct vmcb *vmcb);
/* Of the guest when one is active. */
uint64_t svm_read_tsc(const struct cpu *cpu);

/* Intercepts (svm_intercept.c) */

/* Ends the guest: a jump to the loop, which does svm_leave(). */
_Noreturn void svm_exit(struct cpu *cpu, uint64_t code, uint64_t info_1, uint64_t info_2);

static inline bool svm_intercepts(const struct cpu *cpu, unsigned int code)
{
	return cpu->svm.is_guest && (cpu->svm.control.intercept[code / 32] >> code % 32 & 1);
}

/* Fills in the rows of instructions that have an intercept, by their exec_row's number. */
void svm_intercept_index(uint8_t *rows);
/* The handler of an instruction that has one. */
void svm_exec_intercepted(struct cpu *cpu, const struct op *op);
/* Raises what SVM's instructions raise outside of an SVM host at CPL 0. */
void svm_check_allowed(struct cpu *cpu);

/* Events (svm_event.c). All but the last are for the loop, and may svm_exit(). */

/* The exception in cpu->fault, before it is combined with what is being delivered, and the shutdown it may become. */
void svm_check_exception(struct cpu *cpu, bool is_fetch);
void svm_check_shutdown(struct cpu *cpu);
void svm_check_task_switch(struct cpu *cpu, uint16_t selector, uint64_t flags, uint64_t error);
/* Pins that are intercepted. */
void svm_check_pins(struct cpu *cpu);
/* Delivers EVENTINJ, which is pending. */
void svm_inject(struct cpu *cpu);
/* True when the virtual interrupt may be taken; *@ret_vector is no longer pending then. */
bool svm_take_virtual_interrupt(struct cpu *cpu, unsigned int *ret_vector);
/* A physical interrupt's mask: RFLAGS.IF of the host under V_INTR_MASKING. */
bool svm_is_interrupt_open(const struct cpu *cpu);

#define SVM_PIN_INTR 1u
#define SVM_PIN_NMI 2u
#define SVM_PIN_SMI 4u
#define SVM_PIN_INIT 8u

static inline uint32_t svm_pins(const struct cpu *cpu)
{
	return __atomic_load_n(&cpu->svm.pins, __ATOMIC_RELAXED);
}

static inline bool svm_is_pending(const struct cpu *cpu)
{
	return svm_pins(cpu) || cpu->svm.is_injecting || (cpu->svm.control.int_ctl & V_IRQ);
}

/* Nested paging */

/* The nested page fault of @gpa; the instruction's bytes are fetched for it (svm_npf.c). */
_Noreturn void svm_exit_npf(struct cpu *cpu, uint64_t gpa, uint64_t error, bool is_fetch);
/* Fetches what decode assists show of the instruction at RIP, as far as it can be fetched. */
void svm_fetch_insn(struct cpu *cpu);
/* Where the guest's physical address is, for an access of VMLOAD's kind (paging.c). */
uint64_t nested_translate_gpa(struct cpu *cpu, uint64_t gpa, enum access access);

#endif
