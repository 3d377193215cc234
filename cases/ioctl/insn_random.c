/* SPDX-License-Identifier: MIT */
/*
 * Random instances of the integer instructions by KVM's emulator, at CPL 0 and 3, in 64-bit and 32-bit code: registers,
 * segments, flags, memory and the frame of what they raise are what the machine (harness/machine), an executable
 * specification, says. Each row is some forms of harness/differ/forms.c. A failing instance is told with its bytes and
 * its index: it is a function of its form's name, the index and the seed.
 *
 * Can break: an opcode's row in the emulator's tables (operand order, size, byte or not, lock allowed, privilege, stack),
 * its flags, a fault's vector, error code or order, a partial effect before it.
 * Source: APM vol. 3, chapter 3 and appendix A; vol. 2, chapter 8.
 */
#include "case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "differ/world.h"
#include "vm/x86/mode.h"

#define SEED 0x5eed
#define NR_OF_EACH 60
#define MAX_TOLD 3
#define MAX_EXITS 20000
#define REX_W 8

struct row {
	ROW_FIELDS;
	const char *names[32];	/* of forms; NULL ends them */
};

#define ROW_(label_, ...) { .label = label_, .names = { __VA_ARGS__ } }

static const struct row rows[] = {
	ROW_("add", "ADD", "ADC"),
	ROW_("sub", "SUB", "SBB", "CMP"),
	ROW_("logic", "AND", "OR", "XOR", "TEST", "NOT", "NEG"),
	ROW_("inc", "INC", "DEC", "XADD"),
	ROW_("multiply", "MUL", "IMUL", "DIV", "IDIV"),
	ROW_("rotate", "ROL", "ROR", "RCL", "RCR"),
	ROW_("shift", "SHL", "SHR", "SAR"),
	ROW_("bit", "BT", "BTS", "BTR", "BTC", "BSF", "BSR"),
	ROW_("move", "MOV", "XCHG", "MOVZX", "MOVSX", "MOVSXD", "LEA", "BSWAP", "XLAT"),
	ROW_("convert", "CBW", "CWD", "SETcc", "CMOVcc", "SAHF", "LAHF", "CMC", "CLC", "CLD", "CLI"),
	ROW_("decimal", "DAS", "SALC"),
	ROW_("stack", "PUSH", "POP", "PUSHA", "PUSHF", "POPF", "LEAVE"),
	ROW_("branch", "Jcc", "LOOP", "JMP", "RET"),
	{ .label = "aad", .names = { "AAD" }, .known = { .finding = "2202-emulated-aad-sign-of-a-word" } },
	ROW_("string", "LODS"),
	ROW_("port", "IN", "OUT", "OUTS"),
	ROW_("system", "LLDT", "LGDT", "LIDT", "LMSW", "CLTS", "INVLPG", "WBINVD"),
	ROW_("nop", "NOP", "PREFETCH", "UD2"),
};

CASE(insn_random, .says = "the emulator does at random what the manual says",
     .modes = NO_GUEST, .needs = "vendor:amd cpuid:nx param:kvm.force_emulation_prefix=1", .rows = ROWS(rows), .timeout_ms = 30000,
     .known = { .finding = "0504-bochs-vmrun-ignores-cr2", .targets = "lab-svm-bochs", .is_skipped = true })

/* --- KVM's side --- */

struct kvm_world {
	struct test *t;
	struct vm *vm;
	struct vcpu *vcpu;
	uint8_t *memory;
	uint8_t fresh[WORLD_BYTES];
	struct kvm_sregs sregs;	/* of a fresh vCPU */
};

static void kvm_world_open(struct kvm_world *world, struct test *t)
{
	world->t = t;
	world->vm = vm_create(t->sys);
	world->memory = vm_slot_add(world->vm, 0, 0, 0, WORLD_BYTES);
	world->vcpu = vcpu_create(world->vm, 0);
	vcpu_set_supported_cpuid(world->vcpu);
	vcpu_ioctl(world->vcpu, KVM_GET_SREGS, &world->sregs);
	world_fill(world->fresh);
}

static void answer_port(struct kvm_run *run)
{
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	uint32_t value = world_port(run->io.port), i;

	for (i = 0; i < run->io.count && run->io.direction == KVM_EXIT_IO_IN; i++)
		memcpy(data + i * run->io.size, &value, run->io.size);
}

static enum world_end run_to_end(struct vcpu *vcpu)
{
	unsigned int i;

	for (i = 0; i < MAX_EXITS; i++) {
		int r = vcpu_run_try(vcpu);

		if (r || vcpu->run->exit_reason != KVM_EXIT_IO)
			return !r && vcpu->run->exit_reason == KVM_EXIT_HLT ? WORLD_HALTED :
			       !r && vcpu->run->exit_reason == KVM_EXIT_SHUTDOWN ? WORLD_SHUT_DOWN : WORLD_LOST;
		answer_port(vcpu->run);
	}
	return WORLD_LOST;
}

static void kvm_world_run(struct kvm_world *world, const struct instance *instance, unsigned int cpl,
			  struct world_outcome *outcome)
{
	struct kvm_vcpu_events events = { 0 };
	struct kvm_sregs sregs = world->sregs;
	struct kvm_regs regs;

	world_put(world->memory, world->fresh, instance);
	world_enter(&sregs, &regs, instance, cpl);
	regs.rip -= WORLD_PREFIX_BYTES;
	vcpu_ioctl(world->vcpu, KVM_SET_VCPU_EVENTS, &events);
	vcpu_ioctl(world->vcpu, KVM_SET_SREGS, &sregs);
	vcpu_ioctl(world->vcpu, KVM_SET_REGS, &regs);
	*outcome = (struct world_outcome){ .end = run_to_end(world->vcpu), .memory = world->memory };
	vcpu_ioctl(world->vcpu, KVM_GET_REGS, &outcome->regs);
	vcpu_ioctl(world->vcpu, KVM_GET_SREGS, &outcome->sregs);
}

/* --- the comparison --- */

static unsigned int nr_names(const struct row *row)
{
	unsigned int nr = 0;

	while (row->names[nr])
		nr++;
	return nr;
}

static void tell(struct test *t, const struct instance *instance, unsigned int cpl, uint64_t index, const char *text)
{
	char what[256];
	int len = snprintf(what, sizeof(what), "%s, %d-bit, CPL %u, index %llu:", instance->form->name,
			   instance->is_64 ? 64 : 32, cpl, (unsigned long long)index);
	unsigned int i;

	for (i = 0; i < instance->len; i++)
		len += snprintf(what + len, sizeof(what) - (size_t)len, " %02x", instance->code[i]);
	test_check_text(t, AT_EXPECT, what, "", text);
}

static unsigned int vector_of(const struct world_outcome *outcome)
{
	return (outcome->regs.rip & 0xff) - 1;
}

/* The REX prefix, or 0; *@has_66 tells of the other one. */
static uint8_t prefixes_of(const struct instance *instance, bool *has_66)
{
	const uint8_t *code = instance->code;

	*has_66 = false;
	for (; strchr("\x26\x2e\x36\x3e\x66\x67\xf0\xf2\xf3", *code) && *code; code++)
		*has_66 |= *code == 0x66;
	return instance->is_64 && (*code & 0xf0) == 0x40 ? *code : 0;
}

/* True for what KVM's emulator is known to do otherwise: findings/2201. */
static bool is_settled(const struct instance *instance, const struct world_outcome *want, const struct world_outcome *got)
{
	unsigned int w = vector_of(want), g = vector_of(got);
	const struct form *form = instance->form;
	bool has_66;
	uint8_t rex = prefixes_of(instance, &has_66);

	/* The operand is read, and may fault in its page, before it is known that it cannot be written. */
	if ((w == GP_VECTOR || w == SS_VECTOR) && g == PF_VECTOR)
		return true;
	if (!instance->is_64)
		return false;
	/* A segment prefix means nothing in 64-bit code but tells #SS from #GP. */
	if ((w == GP_VECTOR && g == SS_VECTOR) || (w == SS_VECTOR && g == GP_VECTOR))
		return true;
	return (has_66 && (form->flags & FORM_BRANCH)) ||
	       ((rex & REX_W) && !form->map && (form->opcode == 0x6c || form->opcode == 0x6e));
}

static void compare(struct kvm_world *world, struct world_machine *machine, const char *name, uint64_t index,
		    unsigned int *nr_told)
{
	unsigned int cpl = index & 1 ? 3 : 0;
	struct world_outcome want, got;
	struct instance instance;
	char text[4096];

	instance_make(&instance, SEED, index, name, true);
	world_machine_run(machine, &instance, cpl, &want);
	if (want.missing)
		return;
	kvm_world_run(world, &instance, cpl, &got);
	if (is_settled(&instance, &want, &got))
		return;
	if (world_differs(&want, &got, instance.form->undefined, text, sizeof(text)) && (*nr_told)++ < MAX_TOLD)
		tell(world->t, &instance, cpl, index, text);
}

HOST(insn_random)
{
	const struct row *row = ROW(t, rows);
	struct kvm_cpuid2 *cpuid = sys_supported_cpuid(t->sys);
	struct world_machine *machine = world_machine_new(cpuid);
	unsigned int nr_told = 0, nr = nr_names(row), n;
	static struct kvm_world world;
	uint64_t i;

	free(cpuid);
	require_true(t, machine != NULL);
	kvm_world_open(&world, t);
	for (n = 0; n < nr; n++)
		for (i = 0; i < NR_OF_EACH; i++)
			compare(&world, machine, row->names[n], i, &nr_told);
	expect_true(t, nr_told <= MAX_TOLD);
	vm_destroy(world.vm);
	world_machine_free(machine);
}
