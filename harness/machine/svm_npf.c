/* SPDX-License-Identifier: MIT */
/* The nested page fault's #VMEXIT and the instruction bytes that go with it (APM vol. 2, 15.25.6 and 15.8.4). */
#include "machine/svm_guest.h"

#include <asm/svm.h>
#include <string.h>

#include "machine/event.h"

#define ADDRESS_SPACE_64 (~0ull)

static uint64_t bytes_to_limit(const struct cpu *cpu, uint64_t rip)
{
	if (cpu->is_long64)
		return ADDRESS_SPACE_64;
	return rip > cpu->segs[SEG_CS].limit ? 0 : cpu->segs[SEG_CS].limit - rip + 1;
}

/* Raises what fetching meets, which ends it, behind the bytes that it could fetch. */
static void fetch_bytes(struct cpu *cpu)
{
	struct svm_state *svm = &cpu->svm;
	uint64_t linear = (cpu->is_long64 ? cpu->rip : cpu->segs[SEG_CS].base + cpu->rip) & cpu->linear_mask;
	uint64_t room = bytes_to_limit(cpu, cpu->rip), gpa = 0;

	while (svm->nr_insn_bytes < sizeof(svm->insn_bytes) && svm->nr_insn_bytes < room) {
		if (!svm->nr_insn_bytes || !(linear & PAGE_MASK))
			gpa = page_translate(cpu, linear, ACCESS_EXEC, false);
		svm->insn_bytes[svm->nr_insn_bytes++] = (uint8_t)physical_read(cpu->machine, gpa++, 1);
		linear = (linear + 1) & cpu->linear_mask;
	}
}

void svm_fetch_insn(struct cpu *cpu)
{
	jmp_buf escape;

	if (!(cpu->machine->svm_features & SVM_FEATURE_DECODE_ASSISTS))
		return;
	memcpy(escape, cpu->escape, sizeof(escape));
	memset(cpu->svm.insn_bytes, 0, sizeof(cpu->svm.insn_bytes));
	cpu->svm.nr_insn_bytes = 0;
	cpu->svm.is_fetching_bytes = true;
	if (setjmp(cpu->escape) == ESCAPE_NONE)
		fetch_bytes(cpu);
	cpu->svm.is_fetching_bytes = false;
	memcpy(cpu->escape, escape, sizeof(escape));
}

_Noreturn void svm_exit_npf(struct cpu *cpu, uint64_t gpa, uint64_t error, bool is_fetch)
{
	if (!cpu->svm.is_fetching_bytes && !is_fetch && cpu->op && cpu->delivery == DELIVERY_NONE)
		svm_fetch_insn(cpu);
	svm_exit(cpu, SVM_EXIT_NPF, error, gpa);
}
