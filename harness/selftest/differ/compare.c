/* SPDX-License-Identifier: MIT */
/* What of two outcomes must be the same. */
#include "differ.h"

#include <cpuid.h>
#include <stdio.h>
#include <string.h>

const char *const differ_registers[16] = { "RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
	"R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15" };

static const char *const segment_names[4] = { "ES", "CS", "SS", "DS" };

static uint64_t undefined_flags(const struct instance *instance, const struct outcome *outcome)
{
	/* A fault leaves all flags alone; only what was executed leaves some undefined. */
	return outcome->vector == 3 ? instance->form->undefined : 0;
}

static bool is_number_different(const char *what, uint64_t native, uint64_t machine, bool prints)
{
	if (native == machine)
		return false;
	if (prints)
		printf("#   %-8s native 0x%016llx machine 0x%016llx\n", what, (unsigned long long)native,
			(unsigned long long)machine);
	return true;
}

/* A register of more than 8 bytes. */
static bool is_bytes_different(const char *name, const uint8_t *native, const uint8_t *machine, unsigned int len_bytes,
	bool prints)
{
	uint64_t halves[2][2] = { 0 };

	memcpy(halves[0], native, len_bytes);
	memcpy(halves[1], machine, len_bytes);
	return is_number_different(name, halves[0][1], halves[1][1], prints) |
	       is_number_different(name, halves[0][0], halves[1][0], prints);
}

/* The return to user space makes all null selectors zero. */
static uint16_t selector_seen(uint16_t selector)
{
	return selector < 4 ? 0 : selector;
}

static bool is_data_different(const struct outcome *native, const struct outcome *machine, bool prints)
{
	unsigned int i;

	if (!memcmp(native->data, machine->data, DATA_BYTES))
		return false;
	for (i = 0; i < DATA_BYTES && prints; i++)
		if (native->data[i] != machine->data[i])
			printf("#   [0x%llx] native 0x%02x machine 0x%02x\n", DATA_ADDRESS + i, native->data[i],
				machine->data[i]);
	return true;
}

/* Not the pointers: the host's kernel has its own by then. */
static bool is_fpu_different(const struct fpu *native, const struct fpu *machine, bool prints)
{
	bool ret = is_number_different("FCW", native->fcw, machine->fcw, prints);
	unsigned int i;
	char name[8];

	ret |= is_number_different("FSW", native->fsw, machine->fsw, prints);
	ret |= is_number_different("FTW", native->ftw, machine->ftw, prints);
	ret |= is_number_different("MXCSR", native->mxcsr, machine->mxcsr, prints);
	for (i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "ST%u", i);
		ret |= is_bytes_different(name, native->st[i], machine->st[i], 10, prints);
	}
	for (i = 0; i < 16; i++) {
		snprintf(name, sizeof(name), "XMM%u", i);
		ret |= is_bytes_different(name, (const uint8_t *)native->xmm[i], (const uint8_t *)machine->xmm[i], 16,
			prints);
	}
	return ret;
}

bool differ_outcomes(const struct instance *instance, const struct outcome *native, const struct outcome *machine,
	uint64_t flags, bool prints)
{
	uint64_t mask = instance->is_64 ? ~0ull : 0xffffffff;
	unsigned int i, nr_regs = instance->is_64 ? 16 : 8;
	/* Of RSP there is but half once 32-bit code runs. */
	bool is_long = instance->is_64 && machine->segs[1] == 0x33, ret = false;

	for (i = 0; i < nr_regs; i++)
		if (i != 4)
			ret |= is_number_different(differ_registers[i], native->regs[i] & mask, machine->regs[i] & mask, prints);
	mask = is_long ? ~0ull : 0xffffffff;
	ret |= is_number_different("RSP", native->regs[4] & mask, machine->regs[4] & mask, prints);
	for (i = 0; i < 4; i++)
		ret |= is_number_different(segment_names[i], selector_seen(native->segs[i]),
			selector_seen(machine->segs[i]), prints);
	ret |= is_number_different("RIP", native->rip & mask, machine->rip & mask, prints);
	ret |= is_number_different("RFLAGS", native->rflags & flags, machine->rflags & flags, prints);
	ret |= is_fpu_different(&native->fpu, &machine->fpu, prints);
	ret |= is_number_different("vector", native->vector, machine->vector, prints);
	ret |= is_number_different("error", native->error, machine->error, prints);
	ret |= is_number_different("CR2", native->cr2 & mask, machine->cr2 & mask, prints);
	return is_data_different(native, machine, prints) || ret;
}

uint64_t differ_flags(const struct instance *instance, const struct outcome *native)
{
	return DIFFER_ALL_FLAGS & ~undefined_flags(instance, native);
}

bool differ_is_amd(void)
{
	unsigned int eax, ebx, ecx, edx;

	return __get_cpuid(0, &eax, &ebx, &ecx, &edx) && ebx == signature_AMD_ebx;
}

