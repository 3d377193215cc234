/* SPDX-License-Identifier: MIT */
/*
 * An AMD64 machine as an executable specification: CPUs, their MMUs and a physical address space, in user space. It
 * knows nothing of KVM and nothing of devices: RAM is host memory that its owner lends, everything else in the
 * physical address space and all I/O ports are answered by the owner's bus functions. README.md has the design.
 *
 * Source: AMD64 Architecture Programmer's Manual (APM), vol. 1 to 3.
 *
 * A machine and its CPUs belong to one thread at a time; two machines share nothing. Functions return 0 or -errno and
 * print nothing, as the whole harness does.
 */
#ifndef VMASSAY_MACHINE_H
#define VMASSAY_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct machine;
struct cpu;

enum machine_space {
	MACHINE_SPACE_MEMORY,	/* physical addresses that no RAM has */
	MACHINE_SPACE_IO,	/* ports, 0 to 0xffff */
};

/*
 * Accesses that meet no RAM, page by page: @size is 1, 2, 4 or 8 bytes (ports: at most 4), or what of such an access is in
 * one of its two pages. Values are little-endian numbers.
 */
struct machine_bus {
	void *opaque;		/* handed to both functions */
	uint64_t (*read)(void *opaque, enum machine_space space, uint64_t address, unsigned int size);
	void (*write)(void *opaque, enum machine_space space, uint64_t address, unsigned int size, uint64_t value);
};

/* What CPUID answers. Leaves that are not in the table read as zero, and a feature that no leaf has is not there. */
struct machine_cpuid {
	uint32_t leaf;
	uint32_t subleaf;	/* ~0: the same for all */
	uint32_t eax, ebx, ecx, edx;
};

struct machine_config {
	unsigned int nr_cpus;			/* 0: one */
	const struct machine_cpuid *cpuid;	/* copied; NULL: machine_cpuid_default */
	size_t nr_cpuid;
	struct machine_bus bus;			/* functions may be NULL: reads are all ones, writes are lost */
};

extern const struct machine_cpuid machine_cpuid_default[];
extern const size_t machine_nr_cpuid_default;
/* SSE4.2's bit, for who compares instructions: CRC32 is all that the machine has of it. */
void machine_cpuid_add_crc32(struct machine_cpuid *table, size_t nr);

/* On failure *@ret_machine is untouched: -ENOMEM, -EINVAL (too many CPUs). */
int machine_create(const struct machine_config *config, struct machine **ret_machine);
void machine_destroy(struct machine *machine);	/* NULL is fine */

/*
 * Lends the machine @len_bytes of host memory as RAM at physical address @gpa; the memory stays the caller's and must
 * live until it is removed. Both are multiples of 4096. Writes to a @is_readonly range go to the bus.
 * -EINVAL (alignment, wrap), -EEXIST (overlap), -ENOMEM.
 */
int machine_ram_add(struct machine *machine, uint64_t gpa, uint64_t len_bytes, void *host, bool is_readonly);
/* Takes back what machine_ram_add() gave at @gpa; -ENOENT. */
int machine_ram_remove(struct machine *machine, uint64_t gpa);
/*
 * From now on a CPU that writes to the RAM at @gpa, be it a guest's store, a page walk or a #VMEXIT, sets the page's bit
 * in @dirty, which has one for each page and is the caller's; NULL ends it. After taking bits away, the owner calls
 * cpu_state_changed() for each CPU. -ENOENT.
 */
int machine_ram_watch(struct machine *machine, uint64_t gpa, uint64_t *dirty);
/* Must be called when somebody else than a CPU of this machine wrote to RAM: decoded instructions are forgotten. */
void machine_ram_written(struct machine *machine, uint64_t gpa, uint64_t len_bytes);
/*
 * The same for an owner who does not know what was written where, such as one that shares RAM with other programs: each
 * decoded block is compared with memory before it runs again. Cheap enough for every entry of a guest.
 */
void machine_ram_may_have_changed(struct machine *machine);


/* One more CPU, while none runs; -EINVAL: too many, -ENOMEM. */
int machine_cpu_add(struct machine *machine, struct cpu **ret_cpu);
/* NULL when there is no such CPU. The state is in cpu.h; a fresh CPU is as after RESET (APM vol. 2, 14.1.3). */
struct cpu *machine_cpu(struct machine *machine, unsigned int index);
void cpu_reset(struct cpu *cpu);
/*
 * Must be called after the owner changed more of a CPU's state than general registers, RIP and RFLAGS' status bits.
 */
void cpu_state_changed(struct cpu *cpu);

enum machine_exit {
	MACHINE_EXIT_BUDGET,		/* as many instructions as were asked for */
	MACHINE_EXIT_HLT,		/* RIP is behind the HLT; machine_run() again continues there */
	MACHINE_EXIT_EXCEPTION,		/* one that cpu->escapes names, in cpu->fault; nothing was delivered */
	MACHINE_EXIT_SHUTDOWN,		/* triple fault */
	MACHINE_EXIT_STOPPED,		/* machine_stop() */
	MACHINE_EXIT_UNIMPLEMENTED,	/* what the instruction at RIP needs is not there: cpu->unimplemented */
	MACHINE_EXIT_VMEXIT,		/* only of machine_vmrun() (svm.h): the guest is left */
};

/*
 * Runs at most @budget instructions (an iteration chunk of a REP string instruction counts as one) and says why it
 * stopped. cpu->nr_instructions counts what was completed.
 */
enum machine_exit machine_run(struct cpu *cpu, uint64_t budget);

/* From a bus function: machine_run() returns behind the instruction that is being executed. */
void machine_stop(struct cpu *cpu);
/*
 * From a bus function that cannot answer yet, and does not return: the instruction has not begun, as after a fault, and
 * machine_run() returns with MACHINE_EXIT_STOPPED. What the instruction wrote to memory before stays written.
 */
_Noreturn void machine_put_back(struct cpu *cpu);

#endif
