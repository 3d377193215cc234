/* SPDX-License-Identifier: MIT */
/*
 * Accesses that user space must answer. The machine executes the instruction itself: what it reads from memory that is
 * not there comes from the bus below, which knows what user space answered so far. A read without an answer makes the
 * attempt void: the instruction, or a string's element, has not begun; user space is asked, and the next KVM_RUN tries
 * again. Once all is known the instruction counts, and its writes are handed out one by one.
 *
 * What an attempt wrote to RAM before it was void, the next one writes again; it had not read it.
 */
#include "soft/private.h"

#include <asm/svm.h>
#include <errno.h>
#include <string.h>

#include "machine/svm.h"
#include "vm/x86/bits.h"

#define PAGE_BYTES 4096u
#define PAGE_MASK 0xfffull
#define NR_WINDOW_PAGES 4
#define WINDOW_SPA 0x10000ull		/* no RAM of the machine is there */
#define MAX_ATTEMPT_EXITS 64
#define ALL_EXCEPTIONS 0xffffffffu
#define SOFTWARE_EXCEPTIONS (1u << VECTOR_BP | 1u << VECTOR_OF)	/* INT3 and INTO: the CPU's own */
#define PFERR_FETCH 0x10u
#define IOIO_A16 (1u << 7)
#define IOIO_A32 (1u << 8)

/* The vCPU whose instruction is being tried, for the bus. */
struct attempt {
	struct soft_vcpu *vcpu;
	uint64_t pages[NR_WINDOW_PAGES];	/* what is at WINDOW_SPA, by the VM's physical address */
	uint64_t mapped[NR_WINDOW_PAGES];	/* the same, by the guest's: L2 has others */
	unsigned int nr_pages;
	unsigned int nr_known;			/* answers at the front of vcpu->accesses */
	unsigned int nr_used;
	unsigned int nr_ahead_used;		/* bytes of vcpu->ahead; it is the instruction's when it is done */
	uint16_t nr_to_ask;			/* elements, should user space be asked */
	bool is_void;
};

void vcpu_add_access(struct soft_vcpu *vcpu, struct soft_access access)
{
	if (vcpu->nr_accesses < SOFT_MAX_ACCESSES)
		vcpu->accesses[vcpu->nr_accesses++] = access;
}

static uint64_t window_address(const struct attempt *attempt, enum machine_space space, uint64_t address)
{
	if (space == MACHINE_SPACE_IO)
		return address;
	return attempt->pages[(address - WINDOW_SPA) / PAGE_BYTES % NR_WINDOW_PAGES] | (address & PAGE_MASK);
}

/* How many elements REP INS asks for at once: as many as are left, have room, and begin in the page. */
static uint16_t ins_count(const struct soft_vcpu *vcpu)
{
	uint64_t info = vcpu->vmcb->control.exit_info_1, count = vcpu->regs[REG_RCX], in_page, room;
	uint64_t offset = vcpu->regs[REG_RDI] & PAGE_MASK;

	if (!(info & IOIO_REP))
		return 1;
	if (info & IOIO_A16)
		count = (uint16_t)count;
	else if (info & IOIO_A32)
		count = (uint32_t)count;
	in_page = vcpu->vmcb->save.rflags & X86_EFLAGS_DF ? offset : PAGE_BYTES - offset;
	if (count > in_page)
		count = in_page;
	room = SOFT_AHEAD_BYTES / (info >> 4 & 7);
	if (count > room)
		count = room;
	return count ? (uint16_t)count : 1;
}

static bool ahead_read(struct attempt *attempt, unsigned int size, uint64_t *ret_value)
{
	const struct soft_ahead *ahead = &attempt->vcpu->ahead;

	if (attempt->nr_ahead_used + size > ahead->nr_bytes)
		return false;
	*ret_value = 0;
	memcpy(ret_value, ahead->data + attempt->nr_ahead_used, size);
	attempt->nr_ahead_used += size;
	return true;
}

/* Of a slot that can only be read, an instruction that also writes reads memory; of one with a hole, what is there. */
static bool slot_read(struct attempt *attempt, uint64_t gpa, unsigned int size, uint64_t *ret_value)
{
	*ret_value = 0;
	return !guest_read(vcpu_space(attempt->vcpu), gpa, ret_value, size);
}

uint64_t soft_bus_read(void *opaque, enum machine_space space, uint64_t address, unsigned int size)
{
	struct soft_vm *vm = opaque;
	struct attempt *attempt = vm->attempt;
	struct soft_vcpu *vcpu;
	uint64_t value;

	if (!attempt)
		return ~0ull;
	vcpu = attempt->vcpu;
	machine_stop(vcpu->cpu);
	if (space == MACHINE_SPACE_IO && ahead_read(attempt, size, &value))
		return value;
	if (space == MACHINE_SPACE_MEMORY && slot_read(attempt, window_address(attempt, space, address), size, &value))
		return value;
	if (attempt->nr_used < attempt->nr_known)
		return vcpu->accesses[attempt->nr_used++].value;
	/* What a device of the VM's answered is known in the next attempt. */
	if (chips_read(vcpu, space == MACHINE_SPACE_IO, window_address(attempt, space, address), size, &value)) {
		vcpu_add_access(vcpu, (struct soft_access) { .value = value });
		attempt->nr_known = attempt->nr_used = vcpu->nr_accesses;
		return value;
	}
	vcpu_add_access(vcpu, (struct soft_access) {
		.is_port = space == MACHINE_SPACE_IO, .size = (uint8_t)size, .count = attempt->nr_to_ask,
		.address = window_address(attempt, space, address),
	});
	attempt->is_void = true;
	machine_put_back(vcpu->cpu);
}

void soft_bus_write(void *opaque, enum machine_space space, uint64_t address, unsigned int size, uint64_t value)
{
	struct soft_vm *vm = opaque;
	struct attempt *attempt = vm->attempt;

	if (!attempt)
		return;
	machine_stop(attempt->vcpu->cpu);
	vcpu_add_access(attempt->vcpu, (struct soft_access) {
		.is_write = true, .is_port = space == MACHINE_SPACE_IO, .size = (uint8_t)size,
		.address = window_address(attempt, space, address), .value = value,
	});
}

/* --- one attempt --- */

static int window_map(struct attempt *attempt, uint64_t mapped_gpa, uint64_t gpa)
{
	unsigned int i = attempt->nr_pages;

	if (attempt->nr_pages == NR_WINDOW_PAGES)
		return -ENOSPC;
	attempt->nr_pages++;
	attempt->pages[i] = gpa & ~PAGE_MASK;
	attempt->mapped[i] = mapped_gpa;
	return npt_map(vcpu_npt(attempt->vcpu), mapped_gpa, WINDOW_SPA + i * PAGE_BYTES, NPT_WRITE | NPT_EXEC);
}

static void window_unmap(struct attempt *attempt)
{
	unsigned int i;

	for (i = 0; i < attempt->nr_pages; i++)
		npt_mark_mmio(vcpu_npt(attempt->vcpu), attempt->mapped[i]);
}

enum attempt_end {
	ATTEMPT_AGAIN,		/* with what is there now */
	ATTEMPT_DONE,
	ATTEMPT_EXCEPTION,
	ATTEMPT_EXIT,		/* at the instruction, which is its handler's */
	ATTEMPT_L1,		/* L1's nested tables have no such page */
	ATTEMPT_FAILED,
};

/* Memory that user space does not have is asked for like what has no slot; code must be in memory. */
static enum attempt_end attempt_npf(struct attempt *attempt, struct vmcb *vmcb)
{
	uint64_t gpa, error = vmcb->control.exit_info_1;
	enum npf npf = npf_map(attempt->vcpu, &gpa);

	if (npf == NPF_MAPPED)
		return ATTEMPT_AGAIN;
	if (npf == NPF_L1)
		return ATTEMPT_L1;
	if ((error & PFERR_FETCH) || window_map(attempt, vmcb->control.exit_info_2, gpa))
		return ATTEMPT_FAILED;
	return ATTEMPT_AGAIN;
}

/* The string's elements come by the bus, like all that the attempt has to ask for. */
static void attempt_string_io(struct attempt *attempt, struct vmcb *vmcb)
{
	if (vmcb->control.exit_info_1 & IOIO_IN)
		attempt->nr_to_ask = ins_count(attempt->vcpu);
	vmcb->control.intercept[SVM_EXIT_IOIO / 32] &= ~(1u << SVM_EXIT_IOIO % 32);
}

static enum attempt_end attempt_exit(struct attempt *attempt, struct vmcb *vmcb)
{
	uint64_t code = vmcb->control.exit_code;
	bool is_string = code == SVM_EXIT_IOIO && (vmcb->control.exit_info_1 & IOIO_STRING);

	if (code == SVM_EXIT_NPF)
		return attempt_npf(attempt, vmcb);
	if (is_string && !nested_wants_exit(attempt->vcpu)) {
		attempt_string_io(attempt, vmcb);
		return ATTEMPT_AGAIN;
	}
	return code - SVM_EXIT_EXCP_BASE < 32 ? ATTEMPT_EXCEPTION : ATTEMPT_EXIT;
}

static enum attempt_end attempt_run(struct attempt *attempt)
{
	struct soft_vcpu *vcpu = attempt->vcpu;
	struct vmcb *vmcb = vcpu->vmcb;
	unsigned int i;

	for (i = 0; i < MAX_ATTEMPT_EXITS; i++) {
		enum attempt_end end;
		enum machine_exit exit;

		attempt->nr_used = 0;
		vcpu->nr_accesses = attempt->nr_known;
		attempt->nr_ahead_used = vcpu->ahead.nr_used;
		exit = vcpu_enter(vcpu, 1);
		if (vcpu->has_lost_page)
			continue;
		if (exit == MACHINE_EXIT_BUDGET || exit == MACHINE_EXIT_STOPPED)
			return ATTEMPT_DONE;
		if (exit != MACHINE_EXIT_VMEXIT)
			return ATTEMPT_FAILED;
		end = attempt_exit(attempt, vmcb);
		if (end != ATTEMPT_AGAIN)
			return end;
	}
	return ATTEMPT_FAILED;
}

static void exception_queue(struct soft_vcpu *vcpu, const struct vmcb_control *control)
{
	const uint32_t with_error = 1u << VECTOR_DF | 1u << VECTOR_TS | 1u << VECTOR_NP | 1u << VECTOR_SS |
		1u << VECTOR_GP | 1u << VECTOR_PF | 1u << VECTOR_AC;
	uint8_t vector = (uint8_t)(control->exit_code - SVM_EXIT_EXCP_BASE);

	vcpu_queue_exception(vcpu, vector, with_error >> vector & 1, (uint32_t)control->exit_info_1);
	if (vector == VECTOR_PF) {
		vcpu->exception.has_payload = true;
		vcpu->exception.payload = control->exit_info_2;
	}
}

static void control_restore(struct vmcb *vmcb, const struct vmcb_control *before)
{
	memcpy(vmcb->control.intercept, before->intercept, sizeof(before->intercept));
}

static int emulation_exit(struct soft_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint8_t bytes[MAX_INSN_BYTES];
	unsigned int nr = guest_code_read(vcpu, bytes, sizeof(bytes));

	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->emulation_failure.suberror = KVM_INTERNAL_ERROR_EMULATION;
	run->emulation_failure.ndata = nr ? 3 : 1;
	run->emulation_failure.flags = nr ? KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES : 0;
	run->emulation_failure.insn_size = (uint8_t)nr;
	memset(run->emulation_failure.insn_bytes, 0x90, sizeof(run->emulation_failure.insn_bytes));
	memcpy(run->emulation_failure.insn_bytes, bytes, nr);
	return 0;
}

/* KVM API, KVM_EXIT_INTERNAL_ERROR: a guest's user gets #UD and user space nothing, unless it asked for all failures. */
static int emulation_fail(struct soft_vcpu *vcpu)
{
	vcpu->nr_accesses = 0;
	if (vcpu->vm->exits_on_failure)
		return emulation_exit(vcpu);
	vcpu_queue_exception(vcpu, VECTOR_UD, false, 0);
	return vcpu->vmcb->save.cpl ? 1 : emulation_exit(vcpu);
}

/* --- user space's part --- */

static void mmio_ask(struct kvm_run *run, const struct soft_access *access)
{
	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = access->address;
	run->mmio.len = access->size;
	run->mmio.is_write = access->is_write;
	memset(run->mmio.data, 0, sizeof(run->mmio.data));
	if (access->is_write)
		memcpy(run->mmio.data, &access->value, access->size);
}

static void pio_ask(struct kvm_run *run, const struct soft_access *access)
{
	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = access->is_write ? KVM_EXIT_IO_OUT : KVM_EXIT_IO_IN;
	run->io.size = access->size;
	run->io.port = (uint16_t)access->address;
	run->io.count = access->count ? access->count : 1;
	run->io.data_offset = SOFT_PIO_OFFSET;
	if (access->is_write)
		memcpy((uint8_t *)run + SOFT_PIO_OFFSET, &access->value, access->size);
}

void vcpu_ask_access(struct soft_vcpu *vcpu, const struct soft_access *access)
{
	if (!access->is_port)
		stat_count(&vcpu->stats, STAT_mmio_exits);
	if (access->is_port)
		pio_ask(vcpu->run, access);
	else
		mmio_ask(vcpu->run, access);
}

uint64_t vcpu_answer_of(const struct soft_vcpu *vcpu, const struct soft_access *access)
{
	const void *data = access->is_port ? (void *)((uint8_t *)vcpu->run + SOFT_PIO_OFFSET) : vcpu->run->mmio.data;
	uint64_t value = 0;

	memcpy(&value, data, access->size);
	return value;
}

static long complete_read(struct soft_vcpu *vcpu)
{
	struct soft_access *access = &vcpu->accesses[vcpu->nr_accesses - 1];

	if (access->is_port && access->count > 1) {
		vcpu->ahead.nr_bytes = (unsigned int)access->count * access->size;
		vcpu->ahead.nr_used = 0;
		memcpy(vcpu->ahead.data, (uint8_t *)vcpu->run + SOFT_PIO_OFFSET, vcpu->ahead.nr_bytes);
		return vcpu_emulate(vcpu, vcpu->nr_accesses - 1);
	}
	access->value = vcpu_answer_of(vcpu, access);
	return vcpu_emulate(vcpu, vcpu->nr_accesses);
}

long vcpu_give_writes(struct soft_vcpu *vcpu)
{
	while (vcpu->nr_given < vcpu->nr_accesses) {
		const struct soft_access *access = &vcpu->accesses[vcpu->nr_given++];

		if (!access->is_write ||
		    chips_write(vcpu, access->is_port, access->address, access->size, access->value))
			continue;
		vcpu_ask_access(vcpu, access);
		vcpu->complete = vcpu_give_writes;
		return 0;
	}
	vcpu->nr_accesses = 0;
	if (!vcpu->is_trap_due)
		return 1;
	vcpu->is_trap_due = false;
	return vcpu_handle_exit(vcpu);
}

/* --- the instruction --- */

static int instruction_emulate(struct soft_vcpu *vcpu, unsigned int nr_known)
{
	struct attempt attempt = { .vcpu = vcpu, .nr_known = nr_known, .nr_to_ask = 1 };
	struct vmcb *vmcb = vcpu->vmcb, before = *vmcb;
	uint64_t regs[16];
	enum attempt_end end;

	memcpy(regs, vcpu->regs, sizeof(regs));
	vcpu->nr_accesses = nr_known;
	vcpu->emulated_rip = vmcb->save.rip;
	vmcb->control.intercept[SVM_EXIT_EXCP_BASE / 32] |= ALL_EXCEPTIONS & ~SOFTWARE_EXCEPTIONS;
	vcpu->vm->attempt = &attempt;
	end = attempt_run(&attempt);
	vcpu->vm->attempt = NULL;
	window_unmap(&attempt);
	control_restore(vmcb, &before.control);
	if (attempt.is_void) {
		vcpu_ask_access(vcpu, &vcpu->accesses[vcpu->nr_accesses - 1]);
		vcpu->complete = complete_read;
		return 0;
	}
	vcpu->ahead.nr_used = attempt.nr_ahead_used;
	/* User space may have made the count smaller: what is left over is not the next instruction's. */
	if (end != ATTEMPT_DONE || vmcb->save.rip != before.save.rip)
		vcpu->ahead.nr_bytes = vcpu->ahead.nr_used = 0;
	if (end == ATTEMPT_FAILED) {
		*vmcb = before;
		memcpy(vcpu->regs, regs, sizeof(regs));
		return emulation_fail(vcpu);
	}
	if (end == ATTEMPT_EXIT)
		return vcpu_handle_exit(vcpu);
	if (end == ATTEMPT_L1) {
		nested_reflect(vcpu);
		return 1;
	}
	/* What the hypervisor itself wants, a debugger's traps, is behind what the instruction wrote. */
	if (end == ATTEMPT_EXCEPTION && vcpu_wants(vcpu, (unsigned int)vmcb->control.exit_code))
		vcpu->is_trap_due = true;
	else if (end == ATTEMPT_EXCEPTION)
		exception_queue(vcpu, &vmcb->control);
	vcpu->nr_given = 0;
	return (int)vcpu_give_writes(vcpu);
}

/* What was read ahead is used up at once: no event comes between. */
int vcpu_emulate(struct soft_vcpu *vcpu, unsigned int nr_known)
{
	int r = instruction_emulate(vcpu, nr_known);

	if (!nr_known)
		stat_count(&vcpu->stats, STAT_insn_emulation);
	while (r == 1 && vcpu->ahead.nr_used < vcpu->ahead.nr_bytes)
		r = instruction_emulate(vcpu, 0);
	return r;
}
