/* SPDX-License-Identifier: MIT */
/*
 * A call that answers in its argument is EFAULT where it can read but not write it; a list is EFAULT where only its head is
 * there, or all but its last entry.
 *
 * Can break: the result of the second copy not looked at, the list's copy trusted because the head's went well, one entry
 * too few copied.
 * Source: KVM API; ioctl(2): EFAULT.
 */
#include "case.h"

#include <string.h>
#include <sys/mman.h>

#define PAGE 4096ul
#define NR_PAGES 64ul
#define MANY 8192u	/* entries: more than there are of anything */

enum level { SYSTEM, VM, VCPU };

struct row {
	ROW_FIELDS;
	unsigned long request;
	enum level level;
	void (*prepare)(struct test *t, void *argument);
	bool is_list;		/* of 32-bit indices behind their number, which the call tells */
	size_t entry_bytes;	/* a list of these behind its head */
};

static void prepare_pit(struct test *t, void *argument)
{
	(void)argument;
	vm_ioctl(t->vm, KVM_CREATE_PIT2, (&(struct kvm_pit_config){ 0 }));
}

static void prepare_cpuid(struct test *t, void *argument)
{
	struct kvm_cpuid2 *cpuid = argument;

	vcpu_set_supported_cpuid(t->vcpu);
	cpuid->nent = 256;
}

/* Of the vCPU's, which has as many. */
static void prepare_own_cpuid(struct test *t, void *argument)
{
	prepare_cpuid(t, argument);
	((struct kvm_cpuid2 *)argument)->nent = t->sys->cpuid->nent;
}

static void prepare_msrs(struct test *t, void *argument)
{
	struct kvm_msrs *msrs = argument;

	(void)t;
	*msrs = (struct kvm_msrs){ .nmsrs = 1 };
	msrs->entries[0].index = MSR_IA32_TSC;
}

static void prepare_feature_msrs(struct test *t, void *argument)
{
	prepare_msrs(t, argument);
	((struct kvm_msrs *)argument)->entries[0].index = 0x8b;
}

static void prepare_routes(struct test *t, void *argument)
{
	(void)t;
	*(struct kvm_irq_routing *)argument = (struct kvm_irq_routing){ .nr = 1 };
}

static void prepare_line(struct test *t, void *argument)
{
	(void)t;
	*(struct kvm_irq_level *)argument = (struct kvm_irq_level){ .irq = 3, .level = 1 };
}

static void prepare_vfio(struct test *t, void *argument)
{
	(void)t;
	*(struct kvm_create_device *)argument = (struct kvm_create_device){
		.type = KVM_DEV_TYPE_VFIO, .flags = KVM_CREATE_DEVICE_TEST };
}

static void prepare_xen(struct test *t, void *argument)
{
	(void)t;
	*(struct kvm_xen_hvm_attr *)argument = (struct kvm_xen_hvm_attr){ .type = KVM_XEN_ATTR_TYPE_LONG_MODE };
}

static void prepare_signals(struct test *t, void *argument)
{
	(void)t;
	*(struct kvm_signal_mask *)argument = (struct kvm_signal_mask){ .len = 8 };
}

/* Answers in what it reads: the whole of it cannot be written. */
#define ANSWER(label_, request_, level_, ...) \
	{ .label = label_, .request = request_, .level = level_, ##__VA_ARGS__ }
#define LIST(label_, request_, level_, type_, entries_, prepare_, ...) \
	{ .label = label_, .request = request_, .level = level_, .prepare = prepare_, \
	  .entry_bytes = sizeof(((type_ *)0)->entries_[0]), ##__VA_ARGS__ }

static const struct row rows[] = {
	ANSWER("get_irqchip", KVM_GET_IRQCHIP, VM),
	ANSWER("get_pit", KVM_GET_PIT, VM, .prepare = prepare_pit),
	ANSWER("get_pit2", KVM_GET_PIT2, VM, .prepare = prepare_pit),
	ANSWER("get_clock", KVM_GET_CLOCK, VM),
	ANSWER("irq_line_status", KVM_IRQ_LINE_STATUS, VM, .prepare = prepare_line),
	ANSWER("create_device", KVM_CREATE_DEVICE, VM, .prepare = prepare_vfio, .needs = "KVM_CAP_DEVICE_CTRL"),
	ANSWER("xen_hvm_get_attr", KVM_XEN_HVM_GET_ATTR, VM, .prepare = prepare_xen, .needs = "KVM_CAP_XEN_HVM&0x4"),
	ANSWER("translate", KVM_TRANSLATE, VCPU),
	ANSWER("tpr_access_reporting", KVM_TPR_ACCESS_REPORTING, VCPU),
	ANSWER("get_regs", KVM_GET_REGS, VCPU),
	ANSWER("get_sregs", KVM_GET_SREGS, VCPU),
	ANSWER("get_sregs2", KVM_GET_SREGS2, VCPU, .needs = "KVM_CAP_SREGS2"),
	ANSWER("get_fpu", KVM_GET_FPU, VCPU),
	ANSWER("get_xsave", KVM_GET_XSAVE, VCPU),
	ANSWER("get_xcrs", KVM_GET_XCRS, VCPU),
	ANSWER("get_lapic", KVM_GET_LAPIC, VCPU),
	ANSWER("get_mp_state", KVM_GET_MP_STATE, VCPU),
	ANSWER("get_debugregs", KVM_GET_DEBUGREGS, VCPU),
	ANSWER("get_vcpu_events", KVM_GET_VCPU_EVENTS, VCPU),
	LIST("get_msrs", KVM_GET_MSRS, VCPU, struct kvm_msrs, entries, prepare_msrs),
	LIST("set_msrs", KVM_SET_MSRS, VCPU, struct kvm_msrs, entries, prepare_msrs),
	LIST("system_get_msrs", KVM_GET_MSRS, SYSTEM, struct kvm_msrs, entries, prepare_feature_msrs),
	LIST("get_supported_cpuid", KVM_GET_SUPPORTED_CPUID, SYSTEM, struct kvm_cpuid2, entries, prepare_cpuid),
	LIST("get_cpuid2", KVM_GET_CPUID2, VCPU, struct kvm_cpuid2, entries, prepare_own_cpuid),
	LIST("set_cpuid2", KVM_SET_CPUID2, VCPU, struct kvm_cpuid2, entries, prepare_cpuid),
	LIST("set_cpuid", KVM_SET_CPUID, VCPU, struct kvm_cpuid, entries, prepare_cpuid),
	LIST("set_gsi_routing", KVM_SET_GSI_ROUTING, VM, struct kvm_irq_routing, entries, prepare_routes),
	LIST("set_signal_mask", KVM_SET_SIGNAL_MASK, VCPU, struct kvm_signal_mask, sigset, prepare_signals),
	{ .label = "get_dirty_log", .request = KVM_GET_DIRTY_LOG },
	{ .label = "get_msr_index_list", .request = KVM_GET_MSR_INDEX_LIST, .level = SYSTEM, .is_list = true },
	{ .label = "get_msr_feature_index_list", .request = KVM_GET_MSR_FEATURE_INDEX_LIST, .level = SYSTEM,
	  .is_list = true },
};

CASE(read_only_pointer, .says = "an argument that cannot be written, or half a list, is EFAULT", .modes = NO_GUEST,
     .irqchip = true, .rows = ROWS(rows))

static void expect_fault(struct test *t, const struct row *row, void *argument)
{
	int fd = row->level == SYSTEM ? t->sys->fd : row->level == VM ? t->vm->fd : t->vcpu->fd;

	expect_errno(t, EFAULT, sys_call(t->sys, fd, row->request, (uintptr_t)argument));
}

/* The list's head is the last that is there, then behind its head is all but the last byte of a number of entries. */
static void index_list_try(struct test *t, const struct row *row, uint8_t *memory)
{
	struct kvm_msr_list *list = (void *)memory, *at;
	uint8_t *end = memory + NR_PAGES / 2 * PAGE;
	const uint32_t many = MANY;
	uint32_t nr;

	list->nmsrs = MANY;
	require_result(t, 0, sys_call(t->sys, t->sys->fd, row->request, (uintptr_t)list));
	nr = list->nmsrs;
	require_true(t, nr > 0 && nr < MANY);
	require_true(t, !munmap(end, PAGE));
	at = (void *)(end - sizeof(*at));
	at->nmsrs = MANY;
	expect_fault(t, row, at);
	at = (void *)(end - sizeof(*at) - nr * sizeof(at->indices[0]) + 1);
	memcpy(at, &many, sizeof(many));	/* at an odd address */
	expect_fault(t, row, at);
	/* One more byte, and there is room. */
	at = (void *)(end - sizeof(*at) - nr * sizeof(at->indices[0]));
	at->nmsrs = nr;
	expect_result(t, 0, sys_call(t->sys, t->sys->fd, row->request, (uintptr_t)at));
	expect_eq(t, nr, at->nmsrs);
	/* The head alone. */
	at = (void *)(memory + PAGE - sizeof(*at));
	at->nmsrs = MANY;
	require_true(t, !mprotect(memory, PAGE, PROT_READ));
	expect_fault(t, row, at);
}

/* The entries beyond the end; and, of a list that is written, a head or entries that cannot be. */
static void list_try(struct test *t, const struct row *row, uint8_t *memory)
{
	uint8_t *end = memory + NR_PAGES / 2 * PAGE;
	size_t head_bytes = _IOC_SIZE(row->request);
	void *head = end - head_bytes;

	row->prepare(t, memory);
	memcpy(head, memory, head_bytes);
	require_true(t, !mprotect(end, PAGE, PROT_NONE));
	expect_fault(t, row, head);
	if (!(_IOC_DIR(row->request) & _IOC_READ))
		return;
	require_true(t, !mprotect(end - PAGE, PAGE, PROT_READ) && !mprotect(end, PAGE, PROT_READ | PROT_WRITE));
	memcpy(end, memory + head_bytes, row->entry_bytes);
	if (row->request != KVM_GET_MSRS)
		expect_fault(t, row, head);
	require_true(t, !mprotect(memory, PAGE, PROT_READ));
	expect_fault(t, row, memory);
}

/* The bitmap, which the argument names. */
static void dirty_log_try(struct test *t, uint8_t *memory)
{
	struct kvm_userspace_memory_region slot = { .slot = 8, .flags = KVM_MEM_LOG_DIRTY_PAGES, .memory_size = PAGE,
						    .guest_phys_addr = 1ul << 30, .userspace_addr = (uintptr_t)memory };
	struct kvm_dirty_log log = { .slot = 8, .dirty_bitmap = memory + PAGE };

	vm_ioctl(t->vm, KVM_SET_USER_MEMORY_REGION, &slot);
	require_true(t, !mprotect(memory + PAGE, PAGE, PROT_READ));
	expect_errno(t, EFAULT, vm_ioctl_try(t->vm, KVM_GET_DIRTY_LOG, &log));
	log.dirty_bitmap = NULL;
	expect_errno(t, EFAULT, vm_ioctl_try(t->vm, KVM_GET_DIRTY_LOG, &log));
	log.dirty_bitmap = memory + 2 * PAGE;
	expect_result(t, 0, vm_ioctl_try(t->vm, KVM_GET_DIRTY_LOG, &log));
}

HOST(read_only_pointer)
{
	const struct row *row = ROW(t, rows);
	uint8_t *memory = mmap(NULL, NR_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	require_true(t, memory != MAP_FAILED);
	if (row->request == KVM_GET_DIRTY_LOG) {
		dirty_log_try(t, memory);
	} else if (row->is_list) {
		index_list_try(t, row, memory);
	} else if (row->entry_bytes) {
		list_try(t, row, memory);
	} else {
		if (row->prepare)
			row->prepare(t, memory);
		require_true(t, !mprotect(memory, PAGE, PROT_READ));
		expect_fault(t, row, memory);
	}
}
