/* SPDX-License-Identifier: MIT */
/*
 * What guest code may use: checks, faults as values, and every instruction that C has no word for.
 *
 * All of it compiles for 16-bit real mode, 32-bit and 64-bit guests. The host's build of a case sees the same text, so
 * that both halves are type-checked twice, and never runs it. guests/README.md is the contract.
 */
#ifndef VMASSAY_GUEST_H
#define VMASSAY_GUEST_H

#include <asm/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi.h"
#include "vm/x86/bits.h"

/* Runtime functions exist in the guest only; a host's table of rows may still name guest functions. */
#ifdef VMASSAY_GUEST
#define GUEST_API
#else
#define GUEST_API __attribute__((weak))
#endif

/* The report page of the vCPU that asks. */
static inline struct abi_page *abi_self(void)
{
	unsigned long self;

	__asm__ volatile("mov %%gs:0, %k0" : "=r"(self));
	return (struct abi_page *)(self & 0xffffffffu);
}

/* --- checks: counted, and recorded with file, line, want and got when they do not hold --- */

GUEST_API void guest_check(bool holds, const char *file, unsigned int line, const char *text, uint64_t want,
			   uint64_t got);
GUEST_API void guest_check_fault(const char *file, unsigned int line, const char *text, int32_t vector,
				 uint32_t error_code, struct fault got);
/* @kind (ABI_MET_x) of @code was checked: for the tables of what has tests. */
GUEST_API void guest_met(uint16_t kind, uint64_t code);
GUEST_API void guest_say(const char *file, unsigned int line, const char *text, uint64_t value);

#define CHECK(condition) guest_check(condition, __FILE__, __LINE__, #condition, 1, 0)

#define CHECK_EQ(want_, got_)								\
	do {										\
		uint64_t w_ = (want_), g_ = (got_);					\
		guest_check(w_ == g_, __FILE__, __LINE__, #got_, w_, g_);		\
	} while (0)

/* @fault_ is a struct fault; its RIP and CR2 are checked by CHECK_EQ where they matter. */
#define CHECK_FAULT(vector_, error_code_, fault_)					\
	guest_check_fault(__FILE__, __LINE__, #fault_, vector_, error_code_, fault_)
#define CHECK_NO_FAULT(fault_) CHECK_FAULT(NO_VECTOR, 0, fault_)

/* A message in the test's report; shown when the test does not pass. */
#define SAY(text_, value_) guest_say(__FILE__, __LINE__, text_, value_)

/* Hands a number to the host: guest_value(t, index) there. */
#define GUEST_VALUE(index_, value_) (abi_self()->values[index_] = (value_))

/* The argument the host gave by guest_arg(t, index, value). */
#define GUEST_ARG(index_) (abi_self()->args[index_])

/* Leaves for the host's expect_sync(t, stage) and goes on when it runs the vCPU again. */
GUEST_API void guest_sync(uint32_t stage);

/*
 * CR2 that had to come through an entry: written before an exit, or with a #PF that KVM injected. On a target whose CPU
 * loses it there, anything fits.
 */
#define CHECK_CR2(want_, got_) CHECK_EQ(want_, abi_self()->cr2_is_lost ? (want_) : (got_))

static inline uint32_t guest_mode(void)
{
	return abi_self()->mode;
}

static inline bool is_long_mode(void)
{
	return guest_mode() & (LONG64 | LA57);
}

/* --- exceptions --- */

/* The other vectors' names, DE_VECTOR to XM_VECTOR, are those of asm/kvm.h. */
#define NMI_VECTOR 2

/* #PF error code, APM vol. 2, 8.4.2 */
#define PFERR_P		0x01
#define PFERR_W		0x02
#define PFERR_U		0x04
#define PFERR_RSVD	0x08
#define PFERR_I		0x10
#define PFERR_PK	0x20

typedef unsigned long ulong_t;

/* The interrupted context as the entry stubs save it; a handler may change it. */
struct guest_regs {
#ifdef __x86_64__
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
	uint64_t rdi, rsi, rbp, unused_rsp, rbx, rdx, rcx, rax;
	uint64_t vector, error_code;
	uint64_t rip, cs, rflags, rsp, ss;
#else
	uint32_t rdi, rsi, rbp, unused_rsp, rbx, rdx, rcx, rax;
	uint32_t vector, error_code;
#ifdef VMASSAY_REAL16
	uint16_t rip, cs, rflags;
#else
	uint32_t rip, cs, rflags, rsp, ss;	/* rsp, ss: from CPL 3 only */
#endif
#endif
};

typedef void (*guest_handler)(struct guest_regs *regs);

/* Handles @vector on all vCPUs from now on; NULL gives it back to the fault machinery. */
GUEST_API void guest_handle(unsigned int vector, guest_handler handler);

/* Bytes of the IDT entry for @vector in this mode, for cases that break them: 4, 8 or 16 wide. */
GUEST_API void *guest_idt_entry(unsigned int vector);

/*
 * Runs @function(@argument) and returns the fault that ended it, or one with NO_VECTOR. For faults whose RIP is not
 * known beforehand; a single instruction is better tried by TRY().
 */
GUEST_API struct fault guest_catch(void (*function)(void *), void *argument);

/* The same at CPL 3, on a stack of its own (protected and long modes). */
GUEST_API struct fault guest_catch_user(void (*function)(void *), void *argument);

static inline void fault_clear(void)
{
	abi_self()->fault = (struct fault){ .vector = NO_VECTOR };
}

/* An instruction of a mode that is not the host's is none that its build can assemble, even where it keeps unused code. */
#ifdef VMASSAY_GUEST
#define IS_GUEST 1
#else
#define IS_GUEST 0
#endif

/*
 * One instruction whose fault is a value: struct fault f = TRY("wrmsr", : : "c"(index), "a"(low), "d"(high));
 * When it faults, nothing of it was executed and RIP goes on behind it.
 */
#define TRY(instruction_, ...)								\
	({										\
		fault_clear();								\
		if (IS_GUEST)								\
			__asm__ volatile("771: " instruction_ "\n772:\n"		\
					 ".pushsection .fixups, \"a\"\n"		\
					 ".long 771b - ., 772b - .\n"			\
					 ".popsection" __VA_ARGS__);			\
		__asm__ volatile("" : : : "memory");					\
		abi_self()->fault;							\
	})

/* --- instructions --- */

#define GUEST_IN(bits_, suffix_)							\
	static inline uint##bits_##_t in##bits_(uint16_t port)				\
	{										\
		uint##bits_##_t value;							\
		__asm__ volatile("in" suffix_ " %1, %0" : "=a"(value) : "Nd"(port) : "memory");	\
		return value;								\
	}										\
	static inline void out##bits_(uint16_t port, uint##bits_##_t value)		\
	{										\
		__asm__ volatile("out" suffix_ " %0, %1" : : "a"(value), "Nd"(port) : "memory");	\
	}
GUEST_IN(8, "b")
GUEST_IN(16, "w")
GUEST_IN(32, "l")
#undef GUEST_IN

static inline struct fault rdmsr_safe(uint32_t index, uint64_t *value)
{
	uint32_t low = 0, high = 0;
	struct fault fault = TRY("rdmsr", : "+a"(low), "+d"(high) : "c"(index));

	*value = (uint64_t)high << 32 | low;
	return fault;
}

static inline struct fault wrmsr_safe(uint32_t index, uint64_t value)
{
	return TRY("wrmsr", : : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

/* An unexpected fault ends the guest with state ABI_STATE_DIED. */
static inline uint64_t rdmsr(uint32_t index)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index) : "memory");
	return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t index, uint64_t value)
{
	__asm__ volatile("wrmsr" : : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

#define GUEST_CONTROL_REGISTER(name_)							\
	static inline ulong_t read_##name_(void)					\
	{										\
		ulong_t value;								\
		__asm__ volatile("mov %%" #name_ ", %0" : "=r"(value) : : "memory");	\
		return value;								\
	}										\
	static inline void write_##name_(ulong_t value)					\
	{										\
		__asm__ volatile("mov %0, %%" #name_ : : "r"(value) : "memory");	\
	}										\
	static inline struct fault write_##name_##_safe(ulong_t value)			\
	{										\
		return TRY("mov %0, %%" #name_, : : "r"(value) : "memory");		\
	}										\
	static inline struct fault read_##name_##_safe(ulong_t *value)			\
	{										\
		return TRY("mov %%" #name_ ", %0", : "+r"(*value) : : "memory");	\
	}
GUEST_CONTROL_REGISTER(cr0)
GUEST_CONTROL_REGISTER(cr2)
GUEST_CONTROL_REGISTER(cr3)
GUEST_CONTROL_REGISTER(cr4)
GUEST_CONTROL_REGISTER(dr0)
GUEST_CONTROL_REGISTER(dr1)
GUEST_CONTROL_REGISTER(dr2)
GUEST_CONTROL_REGISTER(dr3)
GUEST_CONTROL_REGISTER(dr6)
GUEST_CONTROL_REGISTER(dr7)
#ifdef __x86_64__
GUEST_CONTROL_REGISTER(cr8)
#endif
#undef GUEST_CONTROL_REGISTER

struct cpuid_regs {
	uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_regs r;

	__asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "0"(leaf), "2"(subleaf)
			 : "memory");
	return r;
}

static inline ulong_t read_flags(void)
{
	ulong_t flags;

	__asm__ volatile("pushf\n\tpop %0" : "=r"(flags) : : "memory");
	return flags;
}

static inline void write_flags(ulong_t flags)
{
	__asm__ volatile("push %0\n\tpopf" : : "r"(flags) : "memory", "cc");
}

static inline void hlt(void)
{
	__asm__ volatile("hlt" : : : "memory");
}

static inline void cli(void)
{
	__asm__ volatile("cli" : : : "memory");
}

static inline void sti(void)
{
	__asm__ volatile("sti" : : : "memory");
}

/* Interrupts are taken between the two instructions (the shadow of STI covers only the NOP). */
static inline void sti_nop_cli(void)
{
	__asm__ volatile("sti\n\tnop\n\tnop\n\tcli" : : : "memory");
}

/*
 * The same without STI's shadow, for who looks at where the interrupt was taken: always in front of the NOP. A host's
 * interrupt in the shadow makes QEMU 7.2 forget it, and what waits is taken an instruction earlier than else.
 */
static inline void popf_nop_cli(void)
{
	write_flags(read_flags() | X86_EFLAGS_IF);
	__asm__ volatile("nop\n\tcli" : : : "memory");
}

static inline void cpu_relax(void)
{
	__asm__ volatile("pause" : : : "memory");
}

static inline void invlpg(ulong_t address)
{
	__asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

static inline uint64_t rdtsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

/* --- memory: linear addresses; in real mode any address below 1 MiB + 64 KiB, through ES --- */

#ifdef VMASSAY_REAL16
#define GUEST_MEMORY(bits_, suffix_)							\
	static inline uint##bits_##_t read##bits_(ulong_t address)			\
	{										\
		uint##bits_##_t value;							\
		__asm__ volatile("mov %w1, %%es\n\tmov" suffix_ " %%es:(%k2), %0"	\
				 : "=q"(value) : "r"(address >> 4), "r"(address & 15) : "memory");	\
		return value;								\
	}										\
	static inline void write##bits_(ulong_t address, uint##bits_##_t value)		\
	{										\
		__asm__ volatile("mov %w1, %%es\n\tmov" suffix_ " %0, %%es:(%k2)"	\
				 : : "q"(value), "r"(address >> 4), "r"(address & 15) : "memory");	\
	}
#else
#define GUEST_MEMORY(bits_, suffix_)							\
	static inline uint##bits_##_t read##bits_(ulong_t address)			\
	{										\
		uint##bits_##_t value;							\
		__asm__ volatile("mov" suffix_ " (%1), %0" : "=q"(value) : "r"(address) : "memory");	\
		return value;								\
	}										\
	static inline void write##bits_(ulong_t address, uint##bits_##_t value)		\
	{										\
		__asm__ volatile("mov" suffix_ " %0, (%1)" : : "q"(value), "r"(address) : "memory");	\
	}
#endif
GUEST_MEMORY(8, "b")
GUEST_MEMORY(16, "w")
GUEST_MEMORY(32, "l")
#ifdef __x86_64__
GUEST_MEMORY(64, "q")
#endif
#undef GUEST_MEMORY

/* The base of the region without a memory slot, and of the case's own RAM, in this mode. */
static inline ulong_t mmio_base(void)
{
	return guest_mode() == REAL16 ? MMIO16_GPA : MMIO_GPA;
}

static inline ulong_t scratch_base(void)
{
	return guest_mode() == REAL16 ? SCRATCH16_GPA : SCRATCH_GPA;
}

/* --- page tables (protected and long modes with paging) --- */

/*
 * The entry that maps @address at @level (1 = 4 KiB pages) in the tables under CR3. Large pages above it are split and
 * missing tables made, with their addresses unchanged. 4 bytes wide in 2-level paging, else 8: use pte_read/pte_write.
 */
GUEST_API void *pte_find(ulong_t address, unsigned int level);
GUEST_API uint64_t pte_read(const void *pte);
GUEST_API void pte_write(void *pte, uint64_t value);

/* Maps the 4 KiB page at @address to @gpa with @flags (PTE_*; PTE_P is the caller's) and does INVLPG. */
GUEST_API void page_map(ulong_t address, uint64_t gpa, uint64_t flags);

/*
 * QEMU 7.2 sets the accessed bit in the PAE pointers, which no CPU does, and that bit must be zero when a write of CR0,
 * CR3 or CR4, or a #VMEXIT, loads them. So the bits are cleared right before that, twice, for the first round's own walk
 * may set one again, and in one 128-byte line, so that no other page is walked for. Beside PAE there is nothing to lose
 * there.
 */
#define PDPTES_CLEAN									\
	"andl $~0x20, 0x6000\n\tandl $~0x20, 0x6008\n\tandl $~0x20, 0x6010\n\tandl $~0x20, 0x6018\n\t"

_Static_assert(TABLES_GPA == 0x6000, "PDPTES_CLEAN has it as a number");

/* A zeroed page of RAM from the runtime's pool of 64. */
GUEST_API void *page_alloc(void);

/* --- more than one vCPU: every vCPU runs GUEST(); these tell them apart and let them meet --- */

static inline uint32_t vcpu_index(void)
{
	return abi_self()->vcpu;
}

/* Waits until all vCPUs of the VM are here; the host runs them by expect_all_done(). */
GUEST_API void guest_barrier(void);

GUEST_API void *memset(void *to, int value, size_t len_bytes);
GUEST_API void *memcpy(void *to, const void *from, size_t len_bytes);
GUEST_API int memcmp(const void *one, const void *other, size_t len_bytes);

#endif
