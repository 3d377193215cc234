/* SPDX-License-Identifier: MIT */
/* The world switch: what VMRUN and #VMEXIT load and save (APM vol. 2, 15.5 and 15.6), VMLOAD and VMSAVE. */
#include "machine/svm_guest.h"

#include <asm/svm.h>
#include <string.h>

#include "machine/debug.h"
#include "machine/tlb.h"
#include "vm/x86/bits.h"

#define RFLAGS_DEFINED 0x3f7fd7ull
#define SEG_ATTRIB_BITS 0xfffu
#define CONTROL_BYTES offsetof(struct vmcb_control, next_rip)

bool svm_is_vmcb_address(const struct cpu *cpu, uint64_t pa)
{
	return !(pa & PAGE_MASK) && !(pa >> cpu->machine->physical_bits);
}

struct vmcb *svm_vmcb(struct cpu *cpu, uint64_t pa)
{
	const struct ram_slot *slot = ram_find(cpu->machine, pa);

	if (!slot || slot->is_readonly)
		return NULL;
	ram_slot_mark(slot, pa);
	return (struct vmcb *)(void *)(slot->host + (pa - slot->gpa));
}

/* Bases are sign-extended from what the CPU implements of an address, whatever was written (APM vol. 2, 15.5.1). */
static uint64_t canonical(const struct cpu *cpu, uint64_t address)
{
	unsigned int shift = cpu_has(cpu, FEATURE_LA57) ? 64 - 57 : 64 - 48;

	return (uint64_t)((int64_t)(address << shift) >> shift);
}

static struct segment segment_of(const struct cpu *cpu, const struct vmcb_seg *seg)
{
	return (struct segment) { seg->selector, seg->attrib & SEG_ATTRIB_BITS, seg->limit, canonical(cpu, seg->base) };
}

static struct vmcb_seg seg_of(const struct segment *segment)
{
	return (struct vmcb_seg) { segment->selector, segment->attrib, segment->limit, segment->base };
}

static struct table_register table_of(const struct cpu *cpu, const struct vmcb_seg *seg)
{
	return (struct table_register) { canonical(cpu, seg->base), (uint16_t)seg->limit };
}

static void table_save(struct vmcb_seg *seg, const struct table_register *table)
{
	seg->limit = table->limit;
	seg->base = table->base;
}

/* --- consistency --- */

static void read_pdptes(struct cpu *cpu, uint64_t cr3, uint64_t *pdptes)
{
	unsigned int i;

	for (i = 0; i < 4; i++)
		pdptes[i] = physical_read(cpu->machine, (cr3 & 0xffffffe0) + i * 8, 8);
}

static bool is_legal(struct cpu *cpu, const struct vmcb *vmcb)
{
	struct svm_rule_cpu rule_cpu = cpu->machine->svm_rule_cpu;
	bool is_pae = (vmcb->save.cr4 & X86_CR4_PAE) && !(vmcb->save.efer & EFER_LME);

	if (is_pae && !(vmcb->control.nested_ctl & NP_ENABLE))
		read_pdptes(cpu, vmcb->save.cr3, rule_cpu.pdpte);
	return !svm_rule_broken(vmcb, &rule_cpu, 0);
}

/* --- entry --- */

static void host_save(struct cpu *cpu, uint64_t next_rip)
{
	struct svm_host *host = &cpu->svm.host;

	memcpy(host->segs, cpu->segs, sizeof(host->segs));
	host->gdtr = cpu->gdtr;
	host->idtr = cpu->idtr;
	host->efer = cpu->efer;
	host->cr0 = cpu->cr0;
	host->cr3 = cpu->cr3;
	host->cr4 = cpu->cr4;
	host->cr8 = cpu->cr8;
	host->pat = cpu->pat;
	host->rflags = cpu->rflags;
	host->rip = next_rip;
	host->rsp = cpu->regs[REG_RSP];
	host->rax = cpu->regs[REG_RAX];
}

static uint8_t guest_cpl(const struct vmcb_save *save)
{
	if (!(save->cr0 & X86_CR0_PE))
		return 0;
	return save->rflags & X86_EFLAGS_VM ? 3 : save->cpl & 3;
}

void svm_state_load(struct cpu *cpu, const struct vmcb_save *save)
{
	bool is_long = (save->efer & EFER_LME) && (save->cr0 & X86_CR0_PG);

	cpu->segs[SEG_ES] = segment_of(cpu, &save->es);
	cpu->segs[SEG_CS] = segment_of(cpu, &save->cs);
	cpu->segs[SEG_SS] = segment_of(cpu, &save->ss);
	cpu->segs[SEG_DS] = segment_of(cpu, &save->ds);
	cpu->gdtr = table_of(cpu, &save->gdtr);
	cpu->idtr = table_of(cpu, &save->idtr);
	cpu->efer = is_long ? save->efer | EFER_LMA : save->efer & ~EFER_LMA;
	cpu->cr0 = save->cr0 | X86_CR0_ET;
	cpu->cr2 = save->cr2;
	cpu->cr3 = save->cr3;
	cpu->cr4 = save->cr4;
	cpu->dr[6] = dr6_value(save->dr6);
	cpu->dr[7] = dr7_value(save->dr7);
	cpu->rflags = (save->rflags & RFLAGS_DEFINED) | X86_EFLAGS_FIXED;
	cpu->rip = save->rip;
	cpu->regs[REG_RSP] = save->rsp;
	cpu->regs[REG_RAX] = save->rax;
	cpu->cpl = guest_cpl(save);
}

static void control_load(struct cpu *cpu)
{
	struct svm_state *svm = &cpu->svm;
	const struct vmcb_control *control = &svm->control;

	cpu->has_shadow = control->int_state & INT_STATE_SHADOW;
	if (control->int_ctl & V_INTR_MASKING)
		cpu->cr8 = control->int_ctl & 0xf;
	svm->has_nested_paging = control->nested_ctl & NP_ENABLE;
	if (svm->has_nested_paging)
		cpu->pat = svm->vmcb->save.g_pat;
	svm->pause_left = control->pause_filter_count;
	svm->pause_tsc = cpu->tsc;
	svm->is_injecting = control->event_inj & EVENT_VALID;
	cpu->asid = control->asid;
}

/* LBR virtualisation (APM vol. 2, 15.23): the guest has recording of its own. */
static void branches_load(struct cpu *cpu)
{
	struct svm_state *svm = &cpu->svm;
	const struct vmcb_save *save = &svm->vmcb->save;

	svm->has_own_branches = (svm->control.virt_ext & LBR_ENABLE) && (cpu->machine->svm_features & SVM_FEATURE_LBR);
	if (!svm->has_own_branches)
		return;
	svm->host.branches = cpu->branches;
	cpu->branches = (struct branches) { save->dbgctl & DBGCTL_DEFINED, save->br_from, save->br_to,
		save->last_excp_from, save->last_excp_to };
}

static void branches_save(struct cpu *cpu, struct vmcb_save *save)
{
	if (!cpu->svm.has_own_branches)
		return;
	save->dbgctl = cpu->branches.dbgctl;
	save->br_from = cpu->branches.br_from;
	save->br_to = cpu->branches.br_to;
	save->last_excp_from = cpu->branches.last_excp_from;
	save->last_excp_to = cpu->branches.last_excp_to;
	cpu->branches = cpu->svm.host.branches;
}

/* APM vol. 2, 15.16.1; values that it does not name do nothing. */
static void control_flush_tlb(struct cpu *cpu)
{
	switch (cpu->svm.control.tlb_control) {
	case TLB_FLUSH_ALL:
		tlb_flush_all(cpu);
		break;
	case TLB_FLUSH_ASID:
		tlb_flush_asid(cpu, cpu->asid, true);
		break;
	case TLB_FLUSH_ASID_LOCAL:
		tlb_flush_asid(cpu, cpu->asid, false);
		break;
	default:
		break;
	}
}

bool svm_enter(struct cpu *cpu, uint64_t vmcb_pa, struct vmcb *vmcb, uint64_t next_rip)
{
	struct svm_state *svm = &cpu->svm;

	svm->vmcb = vmcb;
	svm->vmcb_pa = vmcb_pa;
	if (!is_legal(cpu, vmcb)) {
		vmcb->control.exit_code = (uint64_t)(int64_t)SVM_EXIT_ERR;
		vmcb->control.event_inj &= ~EVENT_VALID;
		cpu->dr[7] = DR7_FIXED;
		svm->has_gif = false;
		return false;
	}
	host_save(cpu, next_rip);
	memcpy(&svm->control, &vmcb->control, CONTROL_BYTES);
	svm->is_guest = true;
	svm->has_gif = true;
	svm_state_load(cpu, &vmcb->save);
	control_load(cpu);
	branches_load(cpu);
	control_flush_tlb(cpu);
	cpu->is_halted = false;
	cpu_state_changed(cpu);
	return true;
}

/* --- #VMEXIT --- */

void svm_state_save(const struct cpu *cpu, struct vmcb_save *save)
{
	save->es = seg_of(&cpu->segs[SEG_ES]);
	save->cs = seg_of(&cpu->segs[SEG_CS]);
	save->ss = seg_of(&cpu->segs[SEG_SS]);
	save->ds = seg_of(&cpu->segs[SEG_DS]);
	table_save(&save->gdtr, &cpu->gdtr);
	table_save(&save->idtr, &cpu->idtr);
	save->efer = cpu->efer;
	save->cr0 = cpu->cr0;
	save->cr2 = cpu->cr2;
	save->cr3 = cpu->cr3;
	save->cr4 = cpu->cr4;
	save->dr6 = cpu->dr[6];
	save->dr7 = cpu->dr[7];
	save->rflags = cpu->rflags;
	save->rip = cpu->rip;
	save->rsp = cpu->regs[REG_RSP];
	save->rax = cpu->regs[REG_RAX];
	save->cpl = cpu->cpl;
	if (cpu->svm.has_nested_paging)
		save->g_pat = cpu->pat;
}

static void event_save(const struct cpu *cpu, struct vmcb_control *control)
{
	const struct svm_state *svm = &cpu->svm;

	control->exit_int_info = cpu->delivery == DELIVERY_NONE ? 0 : svm->delivering;
	control->exit_int_info_error = cpu->delivery == DELIVERY_NONE ? 0 : svm->delivering_error;
	if (svm->is_injecting) {
		control->exit_int_info = svm->control.event_inj;
		control->exit_int_info_error = svm->control.event_inj_error;
	}
	control->event_inj &= ~EVENT_VALID;
}

static void control_save(const struct cpu *cpu, struct vmcb_control *control)
{
	const struct svm_state *svm = &cpu->svm;

	control->exit_code = svm->exit_code;
	control->exit_info_1 = svm->exit_info_1;
	control->exit_info_2 = svm->exit_info_2;
	control->int_ctl = svm->control.int_ctl;
	if (control->int_ctl & V_INTR_MASKING)
		control->int_ctl = (control->int_ctl & ~V_TPR_BITS) | (uint32_t)cpu->cr8;
	control->int_state = (cpu->has_shadow ? INT_STATE_SHADOW : 0) |
		(cpu->rflags & X86_EFLAGS_IF ? INT_STATE_GUEST_IF : 0);
	event_save(cpu, control);
	if (cpu->machine->svm_features & SVM_FEATURE_NRIPS)
		control->next_rip = svm->next_rip;
	if (cpu->machine->svm_features & SVM_FEATURE_DECODE_ASSISTS) {
		control->nr_insn_bytes = svm->nr_insn_bytes;
		memcpy(control->insn_bytes, svm->insn_bytes, sizeof(control->insn_bytes));
	}
}

/* APM vol. 2, 15.6: CR0.PE is forced, RFLAGS.VM is not there, breakpoints are off, CPL is 0. */
static void host_load(struct cpu *cpu)
{
	const struct svm_host *host = &cpu->svm.host;

	memcpy(cpu->segs, host->segs, sizeof(host->segs));
	cpu->gdtr = host->gdtr;
	cpu->idtr = host->idtr;
	cpu->efer = host->efer;
	cpu->cr0 = host->cr0 | X86_CR0_PE;
	cpu->cr3 = host->cr3;
	cpu->cr4 = host->cr4;
	if (cpu->svm.control.int_ctl & V_INTR_MASKING)
		cpu->cr8 = host->cr8;
	if (cpu->svm.has_nested_paging)
		cpu->pat = host->pat;
	cpu->rflags = host->rflags & ~X86_EFLAGS_VM;
	cpu->rip = host->rip;
	cpu->regs[REG_RSP] = host->rsp;
	cpu->regs[REG_RAX] = host->rax;
	cpu->dr[7] = DR7_FIXED;
	cpu->cpl = 0;
	cpu->asid = 0;
	cpu->has_shadow = cpu->is_halted = false;
}

void svm_leave(struct cpu *cpu)
{
	struct svm_state *svm = &cpu->svm;

	svm_state_save(cpu, &svm->vmcb->save);
	control_save(cpu, &svm->vmcb->control);
	branches_save(cpu, &svm->vmcb->save);
	machine_ram_written(cpu->machine, svm->vmcb_pa, PAGE_BYTES);
	host_load(cpu);
	cpu->delivery = DELIVERY_NONE;
	svm->next_rip = 0;
	svm->nr_insn_bytes = 0;
	memset(svm->insn_bytes, 0, sizeof(svm->insn_bytes));
	svm->control.int_ctl = 0;
	svm->is_guest = svm->has_gif = svm->is_injecting = svm->has_nested_paging = false;
	cpu_state_changed(cpu);
}

/* --- the rest of the state --- */

void svm_vmload(struct cpu *cpu, const struct vmcb *vmcb)
{
	const struct vmcb_save *save = &vmcb->save;

	cpu->segs[SEG_FS] = segment_of(cpu, &save->fs);
	cpu->segs[SEG_GS] = segment_of(cpu, &save->gs);
	cpu->segs[SEG_TR] = segment_of(cpu, &save->tr);
	cpu->segs[SEG_LDTR] = segment_of(cpu, &save->ldtr);
	cpu->kernel_gs_base = canonical(cpu, save->kernel_gs_base);
	cpu->star = save->star;
	cpu->lstar = canonical(cpu, save->lstar);
	cpu->cstar = canonical(cpu, save->cstar);
	cpu->sfmask = (uint32_t)save->sfmask;
	cpu->sysenter_cs = save->sysenter_cs;
	cpu->sysenter_esp = save->sysenter_esp;
	cpu->sysenter_eip = save->sysenter_eip;
	cpu_windows_changed(cpu);
}

void svm_vmsave(const struct cpu *cpu, struct vmcb *vmcb)
{
	struct vmcb_save *save = &vmcb->save;

	save->fs = seg_of(&cpu->segs[SEG_FS]);
	save->gs = seg_of(&cpu->segs[SEG_GS]);
	save->tr = seg_of(&cpu->segs[SEG_TR]);
	save->ldtr = seg_of(&cpu->segs[SEG_LDTR]);
	save->kernel_gs_base = cpu->kernel_gs_base;
	save->star = cpu->star;
	save->lstar = cpu->lstar;
	save->cstar = cpu->cstar;
	save->sfmask = cpu->sfmask;
	save->sysenter_cs = cpu->sysenter_cs;
	save->sysenter_esp = cpu->sysenter_esp;
	save->sysenter_eip = cpu->sysenter_eip;
}

uint64_t svm_read_tsc(const struct cpu *cpu)
{
	uint64_t tsc = cpu->tsc + (cpu->op ? (uint64_t)(cpu->op - cpu->first_op) : 0);

	if (!cpu->svm.is_guest)
		return tsc;
	/* TSC_RATIO has 32 bits of fraction (APM vol. 2, 15.30.5). */
	return (uint64_t)((unsigned __int128)tsc * cpu->svm.tsc_ratio >> 32) + cpu->svm.control.tsc_offset;
}
