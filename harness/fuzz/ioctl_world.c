/* SPDX-License-Identifier: MIT */
#include "fuzz/ioctl_world.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "err.h"
#include "soft/soft.h"
#include "vm/x86/bits.h"

#define PAGE_BYTES 4096u
#define REGION_ADDRESS 0x200000000000ull	/* free in every process, with and without sanitizers */
#define MAX_CPUID 128
#define SUPPORTED_BYTES (sizeof(struct kvm_cpuid2) + MAX_CPUID * sizeof(struct kvm_cpuid_entry2))
#define MAX_TURNS 40		/* of the soft hypervisor's in one KVM_RUN */

/* In the pool; each page is written by the bases that need it. */
#define IVT_GPA 0x0
#define HANDLER_GPA 0x500
#define PML4_GPA 0x1000
#define PDPT_GPA 0x2000
#define PD_GPA 0x3000
#define IDT_GPA 0x4000
#define GDT_GPA 0x4800
#define STACK_GPA 0x7000
#define HLT_BYTE 0xf4
#define SLOT_BYTES (IOCTL_POOL_BYTES / 2)	/* the other half is no guest's */

void ioctl_violate(struct ioctl_runner *r, const char *format, ...)
{
	va_list args;

	if (r->result->violation[0])
		return;
	va_start(args, format);
	vsnprintf(r->result->violation, sizeof(r->result->violation), format, args);
	va_end(args);
}

long ioctl_ask(struct ioctl_runner *r, int fd, unsigned long number, const void *argument)
{
	return r->backend->ioctl(r->backend, fd, number, (uintptr_t)argument);
}

/* --- user memory --- */

uintptr_t ioctl_place_address(const struct ioctl_runner *r, enum ioctl_place place, uint64_t delta)
{
	switch (place) {
	case IOCTL_PLACE_ARG:
		return (uintptr_t)r->arg + (delta < IOCTL_ARG_BYTES ? delta : 0);
	case IOCTL_PLACE_END:
		return (uintptr_t)r->arg + IOCTL_ARG_BYTES - (delta <= IOCTL_ARG_BYTES ? delta : 0);
	case IOCTL_PLACE_POOL:
		return (uintptr_t)r->pool + delta % IOCTL_POOL_BYTES;
	case IOCTL_PLACE_UNMAPPED:
		return (uintptr_t)r->pool + IOCTL_POOL_BYTES + delta % PAGE_BYTES;
	case IOCTL_PLACE_KERNEL:
		return 0xffff800000000000ull + delta;
	default:
		return delta % PAGE_BYTES;
	}
}

static void pages_mark(uint64_t *pages, uint64_t offset, uint64_t len_bytes)
{
	uint64_t page;

	if (!len_bytes)
		return;
	for (page = offset / PAGE_BYTES; page <= (offset + len_bytes - 1) / PAGE_BYTES && page < IOCTL_POOL_PAGES; page++)
		pages[page / 64] |= 1ull << page % 64;
}

void ioctl_pool_write(struct ioctl_runner *r, uint64_t offset, const void *from, size_t len_bytes)
{
	if (r->is_pool_protected)
		return;
	memcpy(r->pool + offset, from, len_bytes);
	pages_mark(r->user_pages, offset, len_bytes);
}

void ioctl_pool_lend(struct ioctl_runner *r, uint64_t hva, uint64_t len_bytes)
{
	uint64_t offset = hva - (uintptr_t)r->pool;

	if (offset < IOCTL_POOL_BYTES)
		pages_mark(r->slot_pages, offset, len_bytes < IOCTL_POOL_BYTES ? len_bytes : IOCTL_POOL_BYTES);
}

void ioctl_pool_protect(struct ioctl_runner *r, uint64_t offset, uint64_t len_bytes, unsigned int right)
{
	static const int rights[] = { PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE };

	offset &= ~(uint64_t)(PAGE_BYTES - 1);
	if (len_bytes > IOCTL_POOL_BYTES - offset)
		len_bytes = IOCTL_POOL_BYTES - offset;
	mprotect(r->pool + offset, len_bytes, rights[right]);
	r->is_pool_protected = true;
}

void ioctl_code_add(struct ioctl_runner *r, const uint8_t *bytes, unsigned int nr)
{
	if (r->code_bytes + nr >= IOCTL_CODE_BYTES)
		return;
	ioctl_pool_write(r, IOCTL_CODE_GPA + r->code_bytes, bytes, nr);
	r->code_bytes += nr;
}

static bool is_zero_page(const uint64_t *page)
{
	unsigned int i;

	for (i = 0; i < PAGE_BYTES / 8; i++)
		if (page[i])
			return false;
	return true;
}

static uint64_t page_hash(const uint64_t *page, uint64_t hash)
{
	unsigned int i;

	for (i = 0; i < PAGE_BYTES / 8; i++)
		hash = ((hash ^ page[i]) * 0x9e3779b97f4a7c15ull) ^ hash >> 31;
	return hash;
}

/* What nobody may have written is zero; the rest goes into the outcome. */
static void pool_look(struct ioctl_runner *r)
{
	unsigned char is_there[IOCTL_POOL_PAGES];
	unsigned int i;

	r->result->memory_hash = 0;
	if (r->is_pool_protected)
		mprotect(r->pool, IOCTL_POOL_BYTES, PROT_READ | PROT_WRITE);
	if (mincore(r->pool, IOCTL_POOL_BYTES, is_there))
		return;
	for (i = 0; i < IOCTL_POOL_PAGES; i++) {
		const uint64_t *page = (const uint64_t *)(r->pool + (size_t)i * PAGE_BYTES);

		if (!(is_there[i] & 1) || is_zero_page(page))
			continue;
		r->result->memory_hash = page_hash(page, r->result->memory_hash + i + 1);
		if (!((r->user_pages[i / 64] | r->slot_pages[i / 64]) >> i % 64 & 1) && !r->is_pool_a_buffer)
			ioctl_violate(r, "user memory that no slot has ever had was written, at 0x%x of the pool", i * PAGE_BYTES);
	}
}

static void pool_reset(struct ioctl_runner *r)
{
	madvise(r->pool, IOCTL_POOL_BYTES, MADV_DONTNEED);
	memset(r->user_pages, 0, sizeof(r->user_pages));
	memset(r->slot_pages, 0, sizeof(r->slot_pages));
	r->is_pool_protected = r->is_pool_a_buffer = false;
}

/* --- the golden guest --- */

static void descriptor_write(struct ioctl_runner *r, unsigned int n, uint64_t value)
{
	ioctl_pool_write(r, GDT_GPA + n * 8, &value, 8);
}

/* Every vector's handler halts. */
static void real_tables_write(struct ioctl_runner *r)
{
	uint32_t vectors[256];
	unsigned int i;

	for (i = 0; i < 256; i++)
		vectors[i] = HANDLER_GPA;
	ioctl_pool_write(r, IVT_GPA, vectors, sizeof(vectors));
}

static void long_tables_write(struct ioctl_runner *r)
{
	const uint64_t pml4e = PDPT_GPA | 7, pdpte = PD_GPA | 7, pde = 0x83 | 4;
	uint64_t gates[64];
	unsigned int i;

	for (i = 0; i < 64; i += 2) {
		gates[i] = 0x8e0000080000ull | HANDLER_GPA;
		gates[i + 1] = 0;
	}
	ioctl_pool_write(r, PML4_GPA, &pml4e, 8);
	ioctl_pool_write(r, PDPT_GPA, &pdpte, 8);
	ioctl_pool_write(r, PD_GPA, &pde, 8);
	ioctl_pool_write(r, IDT_GPA, gates, sizeof(gates));
	descriptor_write(r, 1, 0x00af9b000000ffffull);
	descriptor_write(r, 2, 0x00cf93000000ffffull);
}

static void sregs_make_long(struct kvm_sregs *sregs)
{
	const struct kvm_segment code = { .limit = ~0u, .selector = 8, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1 };
	const struct kvm_segment data = { .limit = ~0u, .selector = 16, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1 };

	sregs->cs = code;
	sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = data;
	sregs->tr = (struct kvm_segment){ .limit = 0x67, .type = 11, .present = 1 };
	sregs->gdt = (struct kvm_dtable){ .base = GDT_GPA, .limit = 23 };
	sregs->idt = (struct kvm_dtable){ .base = IDT_GPA, .limit = 32 * 16 - 1 };
	sregs->cr0 = X86_CR0_PE | X86_CR0_ET | X86_CR0_NE | X86_CR0_WP | X86_CR0_PG;
	sregs->cr3 = PML4_GPA;
	sregs->cr4 = X86_CR4_PAE;
	sregs->efer = EFER_LME | EFER_LMA;
}

static bool is_ok(struct ioctl_runner *r, long result, const char *what)
{
	if (result >= 0)
		return true;
	ioctl_violate(r, "the golden state cannot be made: %s: %s", what, ioctl_errno_name((int)-result));
	return false;
}

static void vcpu_make_golden(struct ioctl_runner *r, int fd)
{
	const struct kvm_regs regs = { .rip = IOCTL_CODE_GPA, .rflags = 2, .rsp = STACK_GPA, .rdx = 0x10, .rbx = 0x6000,
		.rdi = 0x6000, .rsi = 0x6800, .rcx = 3 };
	struct kvm_sregs sregs = { 0 };

	if (!is_ok(r, ioctl_ask(r, fd, KVM_GET_SREGS, &sregs), "get_sregs"))
		return;
	if (r->base == IOCTL_BASE_LONG)
		sregs_make_long(&sregs);
	else
		sregs.cs.base = sregs.cs.selector = 0;
	if (r->base == IOCTL_BASE_LONG)
		long_tables_write(r);
	else
		real_tables_write(r);
	ioctl_pool_write(r, HANDLER_GPA, &(uint8_t){ HLT_BYTE }, 1);
	memset(r->pool + IOCTL_CODE_GPA, HLT_BYTE, IOCTL_CODE_BYTES);
	pages_mark(r->user_pages, IOCTL_CODE_GPA, IOCTL_CODE_BYTES);
	is_ok(r, ioctl_ask(r, fd, KVM_SET_SREGS, &sregs), "set_sregs");
	is_ok(r, ioctl_ask(r, fd, KVM_SET_REGS, &regs), "set_regs");
}

/* 64-bit mode has to be in CPUID before it is set. */
static void vcpu_give_cpuid(struct ioctl_runner *r, int fd)
{
	if (r->base == IOCTL_BASE_LONG && r->supported)
		is_ok(r, ioctl_ask(r, fd, KVM_SET_CPUID2, r->supported), "set_cpuid2");
}

static void chips_make_golden(struct ioctl_runner *r, struct ioctl_vm *vm)
{
	const struct kvm_enable_cap split = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { 24 } };
	const struct kvm_pit_config pit = { 0 };

	if (r->base == IOCTL_BASE_SPLIT)
		vm->has_split_irqchip = is_ok(r, ioctl_ask(r, vm->fd, KVM_ENABLE_CAP, &split), "split irqchip");
	if (r->base != IOCTL_BASE_IRQCHIP)
		return;
	vm->has_irqchip = is_ok(r, ioctl_ask(r, vm->fd, KVM_CREATE_IRQCHIP, NULL), "create_irqchip");
	is_ok(r, ioctl_ask(r, vm->fd, KVM_CREATE_PIT2, &pit), "create_pit2");
}

static void golden_make(struct ioctl_runner *r)
{
	const struct kvm_userspace_memory_region slot = { .memory_size = SLOT_BYTES,
		.userspace_addr = (uintptr_t)r->pool };
	struct ioctl_vm *vm = &r->vms[0];
	long fd;

	if (r->base == IOCTL_BASE_EMPTY)
		return;
	fd = ioctl_ask(r, r->sys_fd, KVM_CREATE_VM, NULL);
	if (!is_ok(r, fd, "create_vm"))
		return;
	ioctl_vm_opened(r, 0, (int)fd);
	is_ok(r, ioctl_ask(r, vm->fd, KVM_SET_USER_MEMORY_REGION, &slot), "set_user_memory_region");
	vm->slots[vm->nr_slots++] = (struct ioctl_known_slot){ 0, 0, 0, SLOT_BYTES, (uintptr_t)r->pool };
	pages_mark(r->slot_pages, 0, SLOT_BYTES);
	if (r->base == IOCTL_BASE_VM)
		return;
	chips_make_golden(r, vm);
	fd = ioctl_ask(r, vm->fd, KVM_CREATE_VCPU, NULL);
	if (!is_ok(r, fd, "create_vcpu"))
		return;
	ioctl_vcpu_opened(r, 0, 0, (int)fd);
	vcpu_give_cpuid(r, (int)fd);
	vcpu_make_golden(r, (int)fd);
}

/* --- descriptors --- */

void ioctl_fd_close(struct ioctl_runner *r, int *fd)
{
	if (*fd >= 0)
		r->backend->close(r->backend, *fd);
	*fd = -1;
}

void ioctl_vm_close(struct ioctl_runner *r, unsigned int vm)
{
	ioctl_fd_close(r, &r->vms[vm].fd);
}

void ioctl_vcpu_close(struct ioctl_runner *r, unsigned int vcpu)
{
	if (r->vcpus[vcpu].run)
		r->backend->munmap(r->backend, r->vcpus[vcpu].run, r->run_bytes);
	r->vcpus[vcpu].run = NULL;
	ioctl_fd_close(r, &r->vcpus[vcpu].fd);
}

void ioctl_vm_opened(struct ioctl_runner *r, unsigned int vm, int fd)
{
	ioctl_vm_close(r, vm);
	r->vms[vm] = (struct ioctl_vm){ .fd = fd };
	r->vms[vm].serial = ++r->next_serial;
}

void ioctl_vcpu_opened(struct ioctl_runner *r, unsigned int vcpu, unsigned int vm, int fd)
{
	int error = 0;

	ioctl_vcpu_close(r, vcpu);
	r->vcpus[vcpu] = (struct ioctl_vcpu){ .fd = fd, .vm = vm, .vm_serial = r->vms[vm].serial };
	r->vcpus[vcpu].run = r->backend->mmap(r->backend, fd, r->run_bytes, 0, &error);
	if (!r->vcpus[vcpu].run)
		ioctl_violate(r, "the page that a vCPU shares cannot be mapped: %s", ioctl_errno_name(-error));
}

/* The lowest descriptor that is free. */
static int free_fd(const struct ioctl_runner *r)
{
	int fd = fcntl(r->sys_fd, F_DUPFD_CLOEXEC, 0);

	if (fd >= 0)
		close(fd);
	return fd;
}

/* --- life --- */

void ioctl_world_begin(struct ioctl_runner *r)
{
	unsigned int i;

	for (i = 0; i < INPUT_MAX_LINKS; i++) {
		r->vms[i].fd = r->vcpus[i].fd = r->devices[i] = r->events[i] = -1;
		r->vcpus[i].run = NULL;
	}
	memset(r->arg, 0, IOCTL_ARG_BYTES);
	memset(r->shadow, 0, IOCTL_ARG_BYTES);
	r->next_serial = r->code_bytes = r->nr_pending = r->depth = 0;
	r->is_placed = false;
	if (r->soft)
		soft_bound(r->soft, MAX_TURNS);
	r->free_fd = free_fd(r);
	golden_make(r);
}

static void soft_check_end(struct ioctl_runner *r)
{
	struct soft_live live;

	if (!r->soft)
		return;
	live = soft_live(r->soft);
	if (live.nr_unlocked != r->nr_unlocked)
		ioctl_violate(r, "a list of a VM changes without its lock");
	r->nr_unlocked = live.nr_unlocked;
	if (live.nr_files != 1 || live.nr_vms || live.nr_vcpus)
		ioctl_violate(r, "all is closed, and %u VMs, %u vCPUs and %u files are left", live.nr_vms, live.nr_vcpus,
			      live.nr_files - 1);
}

void ioctl_world_end(struct ioctl_runner *r)
{
	unsigned int i;

	pool_look(r);
	for (i = 0; i < INPUT_MAX_LINKS; i++) {
		ioctl_vm_close(r, i);
		ioctl_fd_close(r, &r->devices[i]);
		ioctl_vcpu_close(r, i);
		if (r->events[i] >= 0)
			close(r->events[i]);
		r->events[i] = -1;
	}
	soft_check_end(r);
	if (free_fd(r) != r->free_fd)
		ioctl_violate(r, "all is closed, and a descriptor is left open");
	pool_reset(r);
}

/* [guard][argument][guard][pool][guard] */
static int regions_map(struct ioctl_runner *r)
{
	size_t len = IOCTL_ARG_BYTES + IOCTL_POOL_BYTES + 3 * PAGE_BYTES;
	uint8_t *at = mmap((void *)REGION_ADDRESS, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return -ENOMEM;
	r->arg = at + PAGE_BYTES;
	r->pool = r->arg + IOCTL_ARG_BYTES + PAGE_BYTES;
	if (mprotect(r->arg, IOCTL_ARG_BYTES, PROT_READ | PROT_WRITE) ||
	    mprotect(r->pool, IOCTL_POOL_BYTES, PROT_READ | PROT_WRITE))
		return -ENOMEM;
	/* A page at a time is what may be seen. */
	madvise(r->pool, IOCTL_POOL_BYTES, MADV_NOHUGEPAGE);
	return 0;
}

static int buffers_make(struct ioctl_runner *r)
{
	r->shadow = malloc(IOCTL_ARG_BYTES);
	r->got[0] = malloc(IOCTL_ARG_BYTES);
	r->got[1] = malloc(IOCTL_ARG_BYTES);
	r->supported = calloc(1, SUPPORTED_BYTES);
	if (!r->shadow || !r->got[0] || !r->got[1] || !r->supported || regions_map(r))
		return -ENOMEM;
	r->supported->nent = MAX_CPUID;
	return 0;
}

int ioctl_runner_new(const struct backend *backend, struct soft *soft, struct ioctl_runner **ret, struct err *err)
{
	struct ioctl_runner *r = calloc(1, sizeof(*r));
	long result;

	if (!r)
		return err_set(err, ENOMEM, "%s", strerror(ENOMEM));
	r->backend = backend;
	r->soft = soft;
	r->sys_fd = backend->open(backend);
	result = r->sys_fd < 0 ? r->sys_fd : buffers_make(r);
	if (!result) {
		result = ioctl_ask(r, r->sys_fd, KVM_GET_VCPU_MMAP_SIZE, NULL);
		r->run_bytes = result > 0 ? (size_t)result : 0;
	}
	if (result > 0)
		result = ioctl_ask(r, r->sys_fd, KVM_GET_SUPPORTED_CPUID, r->supported);
	if (result < 0) {
		ioctl_runner_free(r);
		return err_set(err, (int)-result, "%s: %s", backend->name, strerror((int)-result));
	}
	*ret = r;
	return 0;
}

void ioctl_runner_free(struct ioctl_runner *r)
{
	if (!r)
		return;
	if (r->sys_fd >= 0)
		r->backend->close(r->backend, r->sys_fd);
	if (r->arg)
		munmap(r->arg - PAGE_BYTES, IOCTL_ARG_BYTES + IOCTL_POOL_BYTES + 3 * PAGE_BYTES);
	free(r->shadow);
	free(r->got[0]);
	free(r->got[1]);
	free(r->supported);
	free(r);
}

static enum ioctl_base base_of(const struct input *input)
{
	unsigned int i;

	for (i = 0; i < input->nr_ops; i++)
		if (input->ops[i].kind == IOCTL_OP_BASE)
			return (enum ioctl_base)input->ops[i].args[0];
	return IOCTL_BASE_REAL;
}

void ioctl_runner_run(struct ioctl_runner *r, const struct input *input, struct ioctl_result *result)
{
	r->input = input;
	r->result = result;
	result->nr_steps = 0;
	result->violation[0] = 0;
	result->is_cut = false;
	r->base = base_of(input);
	ioctl_world_begin(r);
	ioctl_program_run(r);
	ioctl_world_end(r);
}
