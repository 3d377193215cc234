/* SPDX-License-Identifier: MIT */
/*
 * SVM as its two users see it. A guest of the machine that is a hypervisor itself executes VMRUN and the others as
 * instructions: machine_run() goes on in the guest and, behind the #VMEXIT, in the hypervisor. A hypervisor that is the
 * host's C code calls them here: it owns the CPU's host state and sees the #VMEXIT as machine_vmrun()'s return.
 *
 * VMCB, nested page tables, permission maps and the guest's RAM are physical memory of the machine (machine_ram_add()).
 * The hypervisor reads and writes a VMCB in its own memory while no guest runs on it; the CPU keeps no copy between two
 * VMRUNs, whatever the clean bits say. Nested page tables may be written at any time; what the TLB took from them stays
 * until it is flushed (TLB_CONTROL, another ASID), as on hardware. Guest code that is written behind the CPU's back
 * needs machine_ram_written() or machine_ram_may_have_changed().
 *
 * Source: APM vol. 2, chapter 15 and appendices B and C; vol. 3 for the instructions.
 */
#ifndef VMASSAY_MACHINE_SVM_H
#define VMASSAY_MACHINE_SVM_H

#include <stdbool.h>
#include <stdint.h>

#include "machine/cpu.h"
#include "machine/machine.h"
#include "vm/x86/vmcb.h"

/*
 * Gives the CPU what a 64-bit operating system with SVM on has: long mode at CPL 0, EFER.SVME and NXE, RFLAGS.IF, GIF.
 * It has no page tables and no descriptors: its code is C. VMRUN takes paging mode and NXE of nested tables from it.
 */
void machine_enter_host(struct cpu *cpu);

/*
 * VMRUN with RAX = @vmcb_pa: takes cpu's present state as the host's, loads the guest's and runs at most @budget
 * instructions of it. FS, GS, TR, LDTR, KernelGSBase and the SYSCALL and SYSENTER registers are the guest's already
 * (machine_vmload()), so are the general registers but RAX and RSP: cpu->regs. CR2 is the VMCB's.
 *
 * MACHINE_EXIT_VMEXIT: after the #VMEXIT (also VMEXIT_INVALID): the VMCB has the guest's state and the exit code,
 * cpu has the host's as APM vol. 2, 15.6 says, GIF is 0; general registers but RAX and RSP are as the guest left them.
 * MACHINE_EXIT_EXCEPTION: VMRUN itself raised cpu->fault: #UD (SVME clear), #GP (CPL, address); nothing changed.
 * MACHINE_EXIT_BUDGET, STOPPED, HLT (HLT that is not intercepted), UNIMPLEMENTED, SHUTDOWN (not intercepted): the
 * guest is still active: machine_vmrun_continue(), or machine_vmrun_abandon().
 */
enum machine_exit machine_vmrun(struct cpu *cpu, uint64_t vmcb_pa, uint64_t budget);
enum machine_exit machine_vmrun_continue(struct cpu *cpu, uint64_t budget);
/* Ends the guest by #VMEXIT(@exit_code), EXITINFO 0: for an owner that must have its host state back. */
void machine_vmrun_abandon(struct cpu *cpu, uint64_t exit_code);
/* A guest is active: it was entered by any of the two ways, and there was no #VMEXIT yet. */
bool machine_in_guest(const struct cpu *cpu);

/* The other instructions, at CPL 0 with SVME set. False, and nothing done: an address that would raise #GP. */
bool machine_vmload(struct cpu *cpu, uint64_t vmcb_pa);
bool machine_vmsave(struct cpu *cpu, uint64_t vmcb_pa);
void machine_stgi(struct cpu *cpu);
void machine_clgi(struct cpu *cpu);
void machine_invlpga(struct cpu *cpu, uint64_t linear, uint32_t asid);
/* Not an instruction: all translations of all ASIDs. */
void machine_flush_tlb(struct cpu *cpu);

/*
 * The CPU's present state, host's or guest's, by a VMCB's state save area: what VMRUN and VMLOAD load, except PAT. For an
 * owner that has no guest but drives the CPU itself; loading does not enter or leave one.
 */
void machine_state_load(struct cpu *cpu, const struct vmcb *vmcb);
void machine_state_save(const struct cpu *cpu, struct vmcb *vmcb);
/* A physical interrupt would be seen now: GIF, and RFLAGS.IF, the host's under V_INTR_MASKING. */
bool machine_accepts_interrupt(const struct cpu *cpu);
/* An active guest's interrupts are its hypervisor's. */
bool machine_intercepts_interrupt(const struct cpu *cpu);
/* The TPR of the CPU's own interrupts: CR8, but while a guest under V_INTR_MASKING has V_TPR there. */
uint8_t machine_tpr(const struct cpu *cpu);
void machine_tpr_set(struct cpu *cpu, uint8_t tpr);
/* A triple fault. True when a guest was active and its hypervisor intercepts SHUTDOWN: the #VMEXIT is done. */
bool machine_shutdown(struct cpu *cpu);

/*
 * The CPU's pins. From any thread and from signal handlers, while the CPU runs or not. An intercepted INTR, NMI, SMI or
 * INIT ends the guest as soon as GIF and the masks allow: within one block of code, before the first instruction if it
 * is pending at VMRUN.
 *
 * INTR is a level and has no vector: it is what an INTR intercept sees, and stays until it is taken away. (An interrupt
 * that may be delivered is cpu->interrupt, which an INTR intercept sees, too.) NMI, SMI and INIT are edges: what is
 * intercepted stays pending until the hypervisor takes it with GIF set, which C code does by machine_take_nmi().
 */
void machine_set_intr(struct cpu *cpu, bool is_asserted);
void machine_set_nmi(struct cpu *cpu);
void machine_set_smi(struct cpu *cpu);
void machine_set_init(struct cpu *cpu);
/* True, and it is no longer pending, when there was an NMI. */
bool machine_take_nmi(struct cpu *cpu);

#endif
