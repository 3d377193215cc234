/* SPDX-License-Identifier: MIT */
/* What the parts of the hypervisor share: its objects, and which file does what to them. */
#ifndef VMASSAY_SOFT_PRIVATE_H
#define VMASSAY_SOFT_PRIVATE_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "machine/cpu.h"
#include "machine/machine.h"
#include "soft/async_pf.h"
#include "soft/chips.h"
#include "soft/dirty_ring.h"
#include "soft/hyperv.h"
#include "soft/msr_filter.h"
#include "soft/nested.h"
#include "soft/npt.h"
#include "soft/paravirt.h"
#include "soft/smm.h"
#include "soft/soft.h"
#include "soft/stats.h"
#include "soft/xen.h"
#include "vm/x86/bits.h"
#include "vm/x86/vmcb.h"

struct soft_vcpu;

#define SOFT_MAX_SLOTS 32764
#define SOFT_NR_SPACES 2	/* of slots: the guest's, and that of system management mode */
#define SOFT_MAX_VCPUS 256
#define SOFT_MAX_VCPU_ID 4096
#define SOFT_MAX_CPUID 256
#define SOFT_RUN_BYTES 0x3000	/* kvm_run, the page of PIO data, the coalesced ring */
#define SOFT_PIO_OFFSET 0x1000
#define SOFT_SPARE_RUNS 4
#define SOFT_GUEST_BITS 48	/* physical addresses of guests */
#define MAX_INSN_BYTES 15
#define SOFT_MCE_BANKS 32
#define SOFT_MCG_CAP (1ull << 8 | 1ull << 24)	/* MCG_CTL_P, MCG_SER_P */

#define SOFT_HYPERCALL_EXITS (1u << 12)	/* KVM_HC_MAP_GPA_RANGE */
/* KVM_CAP_DISABLE_QUIRKS2 */
#define SOFT_QUIRKS (KVM_X86_QUIRK_LINT0_REENABLED | KVM_X86_QUIRK_CD_NW_CLEARED | KVM_X86_QUIRK_LAPIC_MMIO_HOLE |	\
	KVM_X86_QUIRK_OUT_7E_INC_RIP | KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT |					\
	KVM_X86_QUIRK_FIX_HYPERCALL_INSN | KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS)

/* KVM_CAP_SET_GUEST_DEBUG2 */
#define SOFT_GUEST_DEBUG (KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_SW_BP |		\
	KVM_GUESTDBG_USE_HW_BP | KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP | KVM_GUESTDBG_BLOCKIRQ)

/* KVM_CAP_X86_DISABLE_EXITS */
#define SOFT_DISABLED_EXITS (KVM_X86_DISABLE_EXITS_HLT | KVM_X86_DISABLE_EXITS_PAUSE | KVM_X86_DISABLE_EXITS_CSTATE)

/* --- descriptors (file.c) --- */

enum soft_kind { SOFT_SYSTEM, SOFT_VM, SOFT_VCPU, SOFT_DEVICE, NR_SOFT_KINDS };

struct soft_file {
	enum soft_kind kind;
	unsigned int nr_users;		/* the descriptor, and each call that is under way */
	struct soft_vm *vm;		/* a reference; NULL: SOFT_SYSTEM */
	struct soft_vcpu *vcpu;		/* SOFT_VCPU */
};

struct soft {
	struct backend backend;		/* first: the calls find the rest behind it */
	pthread_mutex_t lock;		/* files, references */
	struct soft_file **files;	/* by descriptor */
	size_t nr_files;
	uint64_t *process;		/* reads as 0 in a child that fork() made */
	uint64_t generation;		/* of the process that this memory is in */
	uint32_t tsc_khz;		/* of this CPU */
	bool is_bare;			/* VMs own their machine */
	int null_fd;			/* descriptors are copies of it */
	struct soft_chunk *spare_chunks;	/* lock; of VMs that are gone (memory.c) */
	unsigned int nr_spare_chunks;
	unsigned int nr_vms, nr_vcpus;	/* that are there */
	unsigned int nr_unlocked;	/* see struct soft_live */
	unsigned int max_turns;		/* of KVM_RUN; 0: no limit */
	uint64_t own_ns;		/* with .max_turns: what the time is */
	struct kvm_run *spare_runs[SOFT_SPARE_RUNS];	/* with .max_turns: shared pages of vCPUs that are gone */
	unsigned int nr_spare_runs;
};

/* A call under way. */
struct call {
	struct soft *soft;
	struct soft_vm *vm;
	struct soft_vcpu *vcpu;
	uintptr_t argument;
	void *data;		/* what @argument points to, copied in and out as the request's number says */
};

/* A request's row. Raw: the argument is a value, or points to more than the number says. */
struct answer {
	unsigned long request;
	long (*give)(struct call *call);
	bool is_raw;
};

/* By kind of descriptor, each ends with a row of zeroes. */
extern const struct answer system_answers[], vm_answers[], vm_state_answers[], slot_answers[], vcpu_answers[],
	vcpu_state_answers[], cpuid_answers[], msr_answers[], msr_filter_answers[], event_answers[], nested_answers[], mce_answers[],
	paravirt_answers[], vm_stats_answers[], vcpu_stats_answers[], pmu_filter_answers[], vm_tsc_answers[],
	vcpu_tsc_answers[], vm_device_answers[], device_answers[], system_attr_answers[], chip_answers[],
	chip_vcpu_answers[], vapic_answers[], smm_answers[], hyperv_answers[], hyperv_system_answers[],
	xen_answers[], xen_vcpu_answers[], guest_mmu_answers[], guest_debug_answers[], dirty_ring_answers[];

/* A new descriptor or -errno. @vm's reference goes to it. */
int file_add(struct soft *soft, enum soft_kind kind, struct soft_vm *vm, struct soft_vcpu *vcpu);
/* The same for what is a VM's: with a reference of its own. */
int file_add_of_vm(struct soft *soft, enum soft_kind kind, struct soft_vm *vm, struct soft_vcpu *vcpu);
/* Whether @fd stands for a VM of @soft. */
bool soft_is_vm(struct soft *soft, int fd);
/* Of the process that calls. */
uint64_t soft_generation(struct soft *soft);

/* --- user memory (user.c): 0 or -EFAULT, never a signal --- */

int user_read(void *to, uintptr_t from, size_t len_bytes);
int user_write(uintptr_t to, const void *from, size_t len_bytes);
bool user_has_page(uintptr_t address, bool is_write);
/* In this thread reads and writes are accesses of its own, not the kernel's. */
void user_direct(bool is_on);

/* --- memory slots (slots.c) --- */

struct soft_slot {
	uint32_t id;		/* the address space is in the upper half */
	uint32_t flags;
	uint64_t gpa;
	uint64_t len_bytes;
	uintptr_t hva;
	uint64_t spa;		/* where the machine has it */
	uint64_t *dirty;	/* a bit per page; NULL: not logged */
};

/* An address space: what a vCPU that uses it has for its physical memory. */
struct soft_space {
	struct soft_vm *vm;
	struct soft_slot *slots;	/* by ascending gpa */
	size_t nr_slots;
	struct soft_npt npt;
};

int slots_init(struct soft_vm *vm);
/* NULL: nothing is there. */
struct soft_slot *slot_find(struct soft_space *space, uint64_t gpa);
void slots_free(struct soft_vm *vm);
/* The slot's pages are logged: in a bitmap, or in the ring of the vCPU that runs. */
void slot_mark_dirty(struct soft_vm *vm, struct soft_slot *slot, uint64_t gpa);
/* The page's next write is to be told again; nothing where the slot is gone. */
void slot_page_protect(struct soft_vm *vm, uint32_t id, uint64_t page);
/* The hypervisor's own accesses to guest memory: 0 or -EFAULT. */
int guest_read(struct soft_space *space, uint64_t gpa, void *to, size_t len_bytes);
int guest_write(struct soft_space *space, uint64_t gpa, const void *from, size_t len_bytes);
/* The page at @gpa itself, until the VM's lock is let go; NULL: it is not there, or not to be written. */
void *slot_page(struct soft_space *space, uint64_t gpa, bool is_write);

/* --- guest memory by linear address (guest_mmu.c): of the tables as they are, with no rights asked --- */

/* False: nothing is mapped there. */
bool guest_translate(struct soft_vcpu *vcpu, uint64_t linear, uint64_t *ret_gpa);
int guest_linear_read(struct soft_vcpu *vcpu, uint64_t linear, void *to, size_t len_bytes);
int guest_linear_write(struct soft_vcpu *vcpu, uint64_t linear, const void *from, size_t len_bytes);
/* Of the instruction at RIP. */
uint64_t guest_code_linear(const struct soft_vcpu *vcpu);
/* As many of its bytes as there are up to @max; the page it begins in may be the last. */
unsigned int guest_code_read(struct soft_vcpu *vcpu, uint8_t *bytes, unsigned int max);

/* Whether the guest is in 64-bit code. */
static inline bool save_is_64bit(const struct vmcb_save *save)
{
	return (save->efer & EFER_LMA) && (save->cs.attrib & SEG_L);
}

/* --- user memory that is gone when a guest wants it (lost_pages.c) --- */

/* Around the time that the machine runs the vCPU. It is stopped where it meets one: vcpu->has_lost_page. */
void lost_pages_watch(struct soft_vcpu *vcpu);
void lost_pages_unwatch(struct soft_vcpu *vcpu);

/* --- the machine's own memory (memory.c): pages that are no guest's --- */

struct soft_chunk {
	struct soft_chunk *next;
	uint64_t spa;
	uint8_t *host;
	unsigned int nr_dirty_pages;	/* from the first on; the others are zero */
};

/* Zeroed, contiguous; NULL: no memory. */
void *pages_get(struct soft_vm *vm, unsigned int nr_pages, uint64_t *ret_spa);
void *pages_host(struct soft_vm *vm, uint64_t spa);
void pages_free(struct soft_vm *vm);
void spare_chunks_free(struct soft *soft);

/* --- the TSC (tsc.c) --- */

struct soft_tsc {
	uint32_t khz;
	uint64_t offset;	/* to the host's at that frequency */
	uint64_t adjust;	/* IA32_TSC_ADJUST */
};

/* The last that user space gave one of the VM's vCPUs. */
struct soft_tsc_write {
	uint64_t at;			/* of the host's TSC */
	uint64_t value, offset;
	uint32_t khz;		/* 0: there was none */
};

void tsc_init(struct soft_vcpu *vcpu);
/*
 * The host's: as it is, how fast it runs (measured, which takes a millisecond), and at the vCPU's frequency. With a clock
 * of the thread's own it counts that clock's nanoseconds.
 */
uint64_t host_tsc(void);
uint32_t host_tsc_khz(void);
uint64_t tsc_unshifted(const struct soft_vcpu *vcpu);
/* The guest's. */
uint64_t tsc_guest(const struct soft_vcpu *vcpu);
void tsc_set(struct soft_vcpu *vcpu, uint64_t value, bool is_host);
void tsc_adjust_set(struct soft_vcpu *vcpu, uint64_t value, bool is_host);

/* --- VMs (vm.c) --- */

struct soft_vm {
	struct soft *soft;
	uint64_t generation;		/* of the process that made it */
	unsigned int nr_refs;		/* soft.lock */
	pthread_mutex_t lock;		/* all below; held while the machine runs */
	const void *holder;		/* of the lock: its thread (turns.c); NULL: nobody */
	unsigned int nr_waiting;	/* for the lock, to run */
	uint64_t nr_turns;		/* that were taken (turns.c) */
	pthread_cond_t turn_taken;
	struct attempt *attempt;	/* the instruction that is being emulated; NULL: none (emulate.c) */
	struct machine *machine;
	bool is_bare;			/* guests run on it directly, at its own addresses */
	struct soft_vcpu *running;	/* that the machine's bus serves; NULL: none (bare.c) */
	struct soft_vcpu *vcpus[SOFT_MAX_VCPUS];
	unsigned int nr_vcpus;
	struct soft_space spaces[SOFT_NR_SPACES];
	uint64_t next_spa;		/* of the next slot's memory */
	struct soft_chunk *chunks;
	unsigned int nr_chunk_pages;	/* that the first chunk has given away */
	uint64_t next_chunk_spa;
	uint64_t iopm_spa, msrpm_spa;
	uint32_t max_vcpu_id;
	bool has_max_vcpu_id;		/* set by user space, which it may be once */
	uint32_t boot_cpu_id;
	uint64_t disabled_quirks;
	uint32_t disabled_exits;
	uint32_t tsc_khz;		/* of vCPUs to come */
	struct soft_tsc_write tsc_last;
	bool has_vfio;			/* the device was created */
	uint64_t wall_clock;		/* MSR_KVM_WALL_CLOCK(_NEW) */
	int64_t clock_offset;		/* of KVM_GET_CLOCK to the monotonic clock */
	uint64_t tss_addr, identity_addr;
	uint32_t msr_exits;		/* KVM_CAP_X86_USER_SPACE_MSR */
	struct msr_filter msr_filter;
	uint64_t hypercall_exits;	/* KVM_CAP_EXIT_HYPERCALL */
	bool has_payloads, has_triple_fault_event, exits_on_failure, guests_read_platform_info;
	uint32_t dirty_ring_bytes;	/* of each vCPU's; 0: logs are bitmaps */
	struct soft_vcpu *entered;	/* that ran last; NULL: none did */
	uint64_t manual_dirty;		/* KVM_DIRTY_LOG_MANUAL_* */
	unsigned long nr_mmu_pages;
	struct soft_stats stats;
	struct soft_chips chips;
	struct soft_hyperv hyperv;
	struct soft_xen xen;
	struct soft_userfaults userfaults;
};

/* --- turns at the machine (turns.c) --- */

void vm_lock(struct soft_vm *vm);
void vm_unlock(struct soft_vm *vm);
/* Where a list changes: that nobody else can be in it. What is not so is counted (struct soft_live). */
void vm_must_be_locked(struct soft_vm *vm);
/* Gives the turn away where somebody waits for one; the caller has the lock before and after. */
void vm_yield(struct soft_vm *vm);

/* Where all that a VM has but its vCPUs' own accesses is. */
static inline struct soft_space *vm_space(struct soft_vm *vm)
{
	return &vm->spaces[0];
}

struct soft_vm *vm_of_call(struct call *call);
/* By its local APIC's ID; NULL: there is none. */
struct soft_vcpu *vcpu_of_id(struct soft_vm *vm, uint32_t id);
void soft_vm_destroy(struct soft_vm *vm);
uint64_t clock_ns(void);
/* What clock_ns() is in this thread; NULL: the host's monotonic clock. */
void clock_set(const uint64_t *ns);
bool clock_is_own(void);
#define NSEC_KHZ 1000000u	/* the frequency of a counter of nanoseconds */
uint64_t realtime_ns(void);

/* --- vCPUs (vcpu.c) --- */

struct soft_exception {
	bool is_pending, is_injected, has_error, has_payload;
	bool is_interrupted_fault;	/* the guest's own, which an exit in its delivery has interrupted */
	bool lends_rf;			/* its RFLAGS have RF for no more than that delivery */
	uint8_t vector;
	uint32_t error;
	uint64_t payload;
};

/* An access that user space must complete (emulate.c). */
#define SOFT_MAX_ACCESSES 16

struct soft_access {
	bool is_write, is_port, is_known;
	uint8_t size;
	uint16_t count;		/* elements that are asked for in one exit of REP INS; 0: 1 */
	uint64_t address, value;
};

/* What REP INS has read ahead of where it is. */
#define SOFT_AHEAD_BYTES 1024

struct soft_ahead {
	uint8_t data[SOFT_AHEAD_BYTES];
	unsigned int nr_bytes, nr_used;
};

/* Machine checks (mce.c). */
struct soft_mce {
	uint64_t cap, status, ctl;	/* MCG_* */
	uint64_t (*banks)[4];		/* MCi_CTL, _STATUS, _ADDR, _MISC */
};

/* The guest's own, while a debugger's are in their place. */
struct soft_debugged {
	uint64_t dr6, dr7;
	bool has_tf;
};

struct soft_vcpu {
	struct soft_vm *vm;
	uint32_t id;
	unsigned int index;
	pthread_mutex_t lock;
	struct kvm_run *run;		/* shared with what user space maps */
	int run_fd;			/* of its file until the vCPU has its descriptor; then, or without a file, -1 */
	dev_t run_device;		/* of that file */
	ino_t run_inode;
	struct cpu *cpu;
	struct vmcb *vmcb;		/* the one in use: L2's while nested.is_guest */
	uint64_t vmcb_spa;
	uint64_t regs[16];		/* the machine's order; RAX and RSP are in the VMCB while it runs */
	uint64_t hidden_efer;		/* that the VMCB must have and the guest has not set: SVME */
	uint64_t dr[4], cr8, apic_base, xcr0;
	uint32_t mp_state;
	uint32_t asid;			/* of the VMCB in use; never taken back, as an attempt's VMCB is (emulate.c) */
	uint32_t last_asid;		/* that was given to one of its VMCBs */
	uint64_t asid_round;		/* counts how often ASIDs began anew */
	uint64_t asid_generation;	/* asid_round that the ASID is of; another, or 0: the VMCB needs a new one */
	uint64_t npt_generation;	/* that its TLB knows */
	struct soft_nested nested;
	uint32_t intercept[NR_INTERCEPT_WORDS];	/* what the hypervisor wants to see; L1 may want more */
	bool has_window;		/* V_IRQ stands for an interrupt that waits */

	struct soft_exception exception;
	struct { bool is_injected, is_soft, is_l1s; uint8_t vector; } interrupt;
	struct { bool is_injected, is_masked; uint8_t nr_pending; } nmi;
	bool has_triple_fault;
	struct soft_smm smm;
	bool enforces_pv_cpuid;		/* KVM_CAP_ENFORCE_PV_FEATURE_CPUID */
	bool is_idle;			/* in a HLT that is no exit */
	bool has_lost_page;		/* the last run was stopped at one (lost_pages.c) */
	uint64_t lost_gpa;
	bool has_run;			/* KVM_RUN got as far as the guest */
	bool wants_turn;		/* it waits for the VM's lock, to run */
	unsigned int nr_turns;		/* of this KVM_RUN */

	struct kvm_cpuid_entry2 *cpuid;
	uint32_t nr_cpuid;
	uint64_t *msrs;			/* values of the MSRs that are only kept, by row (msrs.c) */
	const uint64_t *tsc_aux;		/* one of them, which each entry takes */
	struct soft_mce mce;
	struct soft_stats stats;
	struct soft_dirty_ring dirty_ring;
	struct soft_tsc tsc;
	struct soft_paravirt paravirt;
	struct soft_hyperv_vcpu hyperv;
	struct soft_xen_vcpu xen;
	struct soft_async_pf async_pf;
	struct kvm_guest_debug debug;
	struct soft_debugged debugged;
	uint64_t debug_dr6, debug_dr7;	/* as the guest left them, whose ever they are */
	struct soft_vcpu_chips chips;
	bool has_signal_mask;
	uint64_t signal_mask;		/* blocked while KVM_RUN runs; bit n - 1 is signal n */

	uint64_t pdptrs[4];		/* PAE's, as KVM_SET_SREGS2 gave them; memory's as soon as it runs */
	bool has_pdptrs;
	uint64_t emulated_rip;		/* of the instruction that is or was being emulated */
	uint64_t io_linear;		/* of the IN or OUT that user space is asked for */
	struct soft_access accesses[SOFT_MAX_ACCESSES];	/* of the instruction being emulated */
	struct soft_ahead ahead;
	unsigned int nr_accesses;
	unsigned int nr_given;		/* writes that user space has been told */
	unsigned int nr_known, nr_used;	/* reads that are answered (bare.c) */
	bool is_trap_due;		/* the exit behind the instruction's writes */
	bool is_asking;			/* the last access waits for user space (bare.c) */
	bool is_completing;		/* KVM_RUN must first take what user space answered */
	long (*complete)(struct soft_vcpu *vcpu);
	uint64_t port_rip;		/* linear, of the IN or OUT that waits for user space */
};

/* What the vCPU's physical addresses are in. */
static inline struct soft_space *vcpu_space(struct soft_vcpu *vcpu)
{
	return &vcpu->vm->spaces[vcpu->smm.is_in];
}

int soft_vcpu_create(struct soft_vm *vm, uint32_t id, struct soft_vcpu **ret_vcpu);
void soft_vcpu_destroy(struct soft_vcpu *vcpu);
void vcpu_reset(struct soft_vcpu *vcpu);
/* INIT, and the SIPI that ends the wait behind it. */
void vcpu_init_received(struct soft_vcpu *vcpu);
void vcpu_start(struct soft_vcpu *vcpu, uint8_t sipi_vector);
/* Also the local APIC's TPR. */
void vcpu_cr8_set(struct soft_vcpu *vcpu, uint8_t value);
/* Whether a halted vCPU goes on. */
bool vcpu_has_wake_event(struct soft_vcpu *vcpu);
/* One waits behind the one that is served. */
void vcpu_nmi_queue(struct soft_vcpu *vcpu);

/* --- the VMCB (vmcb.c) --- */

/* As after RESET, or after INIT, which leaves the MSRs. */
void init_vmcb(struct soft_vcpu *vcpu, bool is_init);
/* What the hypervisor wants to see of the vCPU. */
void vcpu_intercept(struct soft_vcpu *vcpu, unsigned int exit_code, bool is_on);
bool vcpu_wants(const struct soft_vcpu *vcpu, unsigned int exit_code);
/* The VMCB in use gets what the hypervisor wants, and what L1 wants of L2. */
void vcpu_intercepts_changed(struct soft_vcpu *vcpu);
/* By the vCPU's CPUID. */
void recalc_instruction_intercepts(struct soft_vcpu *vcpu);
/* Where the guest's physical addresses are. */
struct soft_npt *vcpu_npt(struct soft_vcpu *vcpu);

/* --- CPUID (cpuid.c) --- */

const struct machine_cpuid *soft_machine_cpuid(size_t *ret_nr);
const struct kvm_cpuid_entry2 *vcpu_cpuid(const struct soft_vcpu *vcpu, uint32_t leaf, uint32_t subleaf);
/* What the guest's CPUID answers. */
struct kvm_cpuid_entry2 vcpu_cpuid_answer(const struct soft_vcpu *vcpu, uint32_t leaf, uint32_t subleaf);
bool vcpu_has(const struct soft_vcpu *vcpu, uint32_t leaf, unsigned int reg, unsigned int bit);

/* --- MSRs (msrs.c) --- */

int msrs_init(struct soft_vcpu *vcpu);
void msrs_reset(struct soft_vcpu *vcpu);
/* CPUID is #GP but to CPL 0. */
bool msr_faults_cpuid(const struct soft_vcpu *vcpu);
uint64_t msr_misc_enable(const struct soft_vcpu *vcpu);
/* As the guest or user space sees them: 0, -ENOENT for what is not there, or -EINVAL for what is not allowed. */
int msr_get(struct soft_vcpu *vcpu, uint32_t index, uint64_t *ret_value, bool is_host);
int msr_set(struct soft_vcpu *vcpu, uint32_t index, uint64_t value, bool is_host);

/* --- machine checks (mce.c) --- */

int mce_init(struct soft_vcpu *vcpu);
void mce_free(struct soft_vcpu *vcpu);
/* 1: done, 0: not one of theirs, -EINVAL. */
int mce_msr_get(struct soft_vcpu *vcpu, uint32_t index, uint64_t *ret_value, bool is_host);
int mce_msr_set(struct soft_vcpu *vcpu, uint32_t index, uint64_t value, bool is_host);

/* --- control registers (control.c) --- */

bool cr0_is_valid(uint64_t value);
bool efer_is_known(uint64_t value);
bool cr4_is_valid(const struct soft_vcpu *vcpu, uint64_t value);
unsigned int vcpu_physical_bits(const struct soft_vcpu *vcpu);
bool vcpu_is_legal_gpa(const struct soft_vcpu *vcpu, uint64_t gpa);
/* In legacy PAE mode, CR3's four entries. */
bool vcpu_pdpes_are_valid(struct soft_vcpu *vcpu);
int apic_base_set(struct soft_vcpu *vcpu, uint64_t value, bool is_host);
/* What guests may set in XCR0. */
uint64_t soft_xcr0_supported(void);
/* Of a guest's MOV to CR: 0 or -EINVAL (#GP). */
int cr0_set(struct soft_vcpu *vcpu, uint64_t value);
int cr3_set(struct soft_vcpu *vcpu, uint64_t value);
int cr4_set(struct soft_vcpu *vcpu, uint64_t value);
int xcr0_set(struct soft_vcpu *vcpu, uint64_t value);
int efer_set(struct soft_vcpu *vcpu, uint64_t value, bool is_host);
/* Whatever it is: the VMCB gets it, SVM goes on and off. */
void efer_write(struct soft_vcpu *vcpu, uint64_t value);


/* --- system-wide answers that other files have --- */

long system_check_extension(struct call *call);
long system_supported_cpuid(struct call *call);
long system_emulated_cpuid(struct call *call);
long system_msr_list(struct call *call);
long system_msr_feature_list(struct call *call);
long system_msrs(struct call *call);

/* --- the machine's bus (emulate.c) --- */

uint64_t soft_bus_read(void *opaque, enum machine_space space, uint64_t address, unsigned int size);
void soft_bus_write(void *opaque, enum machine_space space, uint64_t address, unsigned int size, uint64_t value);

/* --- running (run.c, exits.c, events.c, emulate.c) --- */

long vcpu_run(struct soft_vcpu *vcpu);
/* VMRUN: the guest is out again when it returns, BUDGET and STOPPED as if by INTR. */
enum machine_exit vcpu_enter(struct soft_vcpu *vcpu, uint64_t budget);
/* Executes the instruction at RIP; the first @nr_known of its reads have been answered. As vcpu_handle_exit(). */
int vcpu_emulate(struct soft_vcpu *vcpu, unsigned int nr_known);
/* KVM_SYNC_X86_*: registers that pass by kvm_run. */
int vcpu_sync_from_run(struct soft_vcpu *vcpu);
void vcpu_sync_to_run(struct soft_vcpu *vcpu);
void vcpu_events_get(struct soft_vcpu *vcpu, struct kvm_vcpu_events *events);
int vcpu_events_set(struct soft_vcpu *vcpu, struct kvm_vcpu_events *events);
void vcpu_deliver_payload(struct soft_vcpu *vcpu);

/* Events, as the VMCB and GIF let them. What L1 intercepts does not wait for L2. */
bool vcpu_accepts_nmi(const struct soft_vcpu *vcpu);
bool vcpu_accepts_interrupt(const struct soft_vcpu *vcpu);
/* An event was on its way when the guest was left. */
bool vcpu_needs_reinjection(const struct soft_vcpu *vcpu);
/* V_IRQ is as the guest's hypervisor has it again. */
void vcpu_window_close(struct soft_vcpu *vcpu);

enum npf { NPF_MAPPED, NPF_MMIO, NPF_L1, NPF_LATE, NPF_BAD };
/*
 * Makes the access of the VMCB's nested page fault possible, where there is memory. *@ret_gpa is where that is or is not;
 * NPF_L1: nowhere in L1's nested tables, and EXITINFO1 is L1's; NPF_LATE: user space does not have it yet (async_pf.h).
 */
enum npf npf_map(struct soft_vcpu *vcpu, uint64_t *ret_gpa);

/* What the bus was told is handed out, as vcpu_handle_exit() says. */
long vcpu_give_writes(struct soft_vcpu *vcpu);
void vcpu_add_access(struct soft_vcpu *vcpu, struct soft_access access);
/* Asks user space for what an access needs. */
void vcpu_ask_access(struct soft_vcpu *vcpu, const struct soft_access *access);
/* The value that user space answered a read with. */
uint64_t vcpu_answer_of(const struct soft_vcpu *vcpu, const struct soft_access *access);

/* --- a guest that owns the machine (bare.c) --- */

uint64_t bare_bus_read(void *opaque, enum machine_space space, uint64_t address, unsigned int size);
void bare_bus_write(void *opaque, enum machine_space space, uint64_t address, unsigned int size, uint64_t value);
/* A slice of the guest; as vcpu_handle_exit(). */
int bare_run(struct soft_vcpu *vcpu);
/* A triple fault: true when it was an exit to the guest's own hypervisor. */
bool bare_shutdown(struct soft_vcpu *vcpu);

/* --- user space as debugger (guest_debug.c) --- */

/* What it wants is intercepted. */
void debug_prepare(struct soft_vcpu *vcpu);
/* Around VMRUN: its registers in the guest's place, and back. */
void debug_load(struct soft_vcpu *vcpu);
void debug_unload(struct soft_vcpu *vcpu);
/* A trap behind an instruction that was executed for the guest, where one is wanted; as vcpu_handle_exit(). */
int debug_step(struct soft_vcpu *vcpu);
int handle_db(struct soft_vcpu *vcpu);
int handle_bp(struct soft_vcpu *vcpu);
int handle_dr(struct soft_vcpu *vcpu);

/* The instruction at RIP is executed; as vcpu_handle_exit(). */
int instruction_skip(struct soft_vcpu *vcpu);
/* The TPR's word in guest memory, around each entry (vapic.c). */
void vapic_enter(struct soft_vcpu *vcpu);
void vapic_leave(struct soft_vcpu *vcpu);
/* 1: go on in the guest, 0: back to user space, or -errno. */
int vcpu_handle_exit(struct soft_vcpu *vcpu);
int handle_ioio(struct soft_vcpu *vcpu);	/* port_io.c */
int handle_vmmcall(struct soft_vcpu *vcpu);	/* hypercall.c */
/* True: there was a VMCALL at RIP, and there is a VMMCALL now. */
bool vmcall_patch(struct soft_vcpu *vcpu);
int handle_ud(struct soft_vcpu *vcpu);		/* invalid_opcode.c */
int handle_msr(struct soft_vcpu *vcpu);		/* msr_exits.c */
void vcpu_queue_exception(struct soft_vcpu *vcpu, uint8_t vector, bool has_error, uint32_t error);

#endif
