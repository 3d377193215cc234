/* SPDX-License-Identifier: MIT */
#include "fake_backend.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define RUN_BYTES 8192		/* struct kvm_run and the page that port data lies in */
#define PIO_OFFSET 4096
#define STRINGS_GPA 0x300000	/* where the strings of records go */
#define RECORD_STRINGS_BYTES 512

struct fake *fake_of(const struct backend *backend)
{
	return (struct fake *)backend;
}

static struct fake_object *object_find(struct fake *fake, int fd)
{
	unsigned int i;

	for (i = 0; i < FAKE_MAX_OBJECTS; i++)
		if (fake->objects[i].kind != FAKE_FREE && fake->objects[i].fd == fd)
			return &fake->objects[i];
	return NULL;
}

static int object_add(struct fake *fake, enum fake_object_kind kind, int vm_fd, uint32_t id)
{
	int fd = memfd_create("vmassay-fake", MFD_CLOEXEC);
	unsigned int i;

	if (fd < 0 || ftruncate(fd, RUN_BYTES))
		abort();
	for (i = 0; i < FAKE_MAX_OBJECTS; i++) {
		if (fake->objects[i].kind != FAKE_FREE)
			continue;
		fake->objects[i] = (struct fake_object){ .kind = kind, .fd = fd, .vm_fd = vm_fd, .id = id };
		return fd;
	}
	abort();
}

unsigned int fake_nr_open(const struct fake *fake)
{
	unsigned int i, nr = 0;

	for (i = 0; i < FAKE_MAX_OBJECTS; i++)
		nr += fake->objects[i].kind != FAKE_FREE;
	return nr;
}

/* --- guest memory --- */

static long region_set(struct fake *fake, int vm_fd, const struct kvm_userspace_memory_region *region)
{
	unsigned int i;

	for (i = 0; i < FAKE_MAX_SLOTS; i++) {
		struct fake_slot *slot = &fake->slots[i];

		if (slot->region.memory_size && (slot->vm_fd != vm_fd || slot->region.slot != region->slot))
			continue;
		*slot = (struct fake_slot){ .vm_fd = vm_fd, .region = *region };
		return 0;
	}
	return -ENOSPC;
}

static void *memory_at(const struct fake *fake, int vm_fd, uint64_t gpa)
{
	unsigned int i;

	for (i = 0; i < FAKE_MAX_SLOTS; i++) {
		const struct kvm_userspace_memory_region *region = &fake->slots[i].region;

		if (fake->slots[i].vm_fd == vm_fd && gpa >= region->guest_phys_addr &&
		    gpa - region->guest_phys_addr < region->memory_size)
			return (uint8_t *)(uintptr_t)region->userspace_addr + (gpa - region->guest_phys_addr);
	}
	return NULL;
}

/* --- the report page --- */

static uint64_t string_put(const struct fake *fake, int vm_fd, uint64_t gpa, const char *string)
{
	strcpy(memory_at(fake, vm_fd, gpa), string);
	return gpa;
}

static void record_put(const struct fake *fake, int vm_fd, struct abi_page *page, const struct fake_record *record)
{
	uint64_t gpa = STRINGS_GPA + page->nr_records * RECORD_STRINGS_BYTES;

	if (!record->file)
		return;
	page->records[page->nr_records++] = (struct abi_record){
		.kind = record->kind,
		.line = record->line,
		.file = string_put(fake, vm_fd, gpa, record->file),
		.text = string_put(fake, vm_fd, gpa + RECORD_STRINGS_BYTES / 2, record->text),
		.want = record->want,
		.got = record->got,
	};
}

static void page_put(const struct fake *fake, const struct fake_object *vcpu, const struct fake_step *step)
{
	struct abi_page *page = memory_at(fake, vcpu->vm_fd, ABI_GPA + vcpu->id * ABI_PAGE_BYTES);

	/* A case without a guest has no page. */
	if (!page || page->magic != ABI_MAGIC)
		return;
	page->state = step->state ? step->state : ABI_STATE_RUNNING;
	page->stage = step->stage;
	page->nr_checks += step->nr_checks;
	page->fault = step->fault;
	record_put(fake, vcpu->vm_fd, page, &step->record);
	if (step->nr_lost)
		page->nr_records = ABI_MAX_RECORDS + step->nr_lost;
}

/* --- KVM_RUN --- */

static void *reply_at(struct kvm_run *run, size_t *ret_len)
{
	if (run->exit_reason == KVM_EXIT_IO) {
		*ret_len = (size_t)run->io.size * run->io.count;
		return (uint8_t *)run + run->io.data_offset;
	}
	*ret_len = sizeof(run->mmio.data);
	return run->exit_reason == KVM_EXIT_MMIO ? run->mmio.data : NULL;
}

static void reply_take(struct fake *fake, struct kvm_run *run)
{
	struct fake_reply *reply = &fake->replies[fake->nr_replies];
	size_t len;
	const void *at = reply_at(run, &len);

	if (!at || fake->nr_replies == FAKE_MAX_REPLIES)
		return;
	fake->nr_replies++;
	reply->reason = run->exit_reason;
	memcpy(reply->bytes, at, len < sizeof(reply->bytes) ? len : sizeof(reply->bytes));
}

static void exit_put(struct kvm_run *run, const struct exit_record *record)
{
	run->exit_reason = record->reason;
	memset(&run->hw, 0, sizeof(*run) - offsetof(struct kvm_run, hw));
	memset((uint8_t *)run + PIO_OFFSET, 0, RUN_BYTES - PIO_OFFSET);
	switch (record->reason) {
	case KVM_EXIT_IO:
		run->io.direction = record->io.direction;
		run->io.port = record->io.port;
		run->io.size = record->io.size;
		run->io.count = record->io.count;
		run->io.data_offset = PIO_OFFSET;
		memcpy((uint8_t *)run + PIO_OFFSET, record->io.bytes ? (const void *)record->io.bytes :
		       &record->io.data, record->io.bytes ? record->io.nr_bytes : sizeof(record->io.data));
		break;
	case KVM_EXIT_MMIO:
		run->mmio.phys_addr = record->mmio.phys_addr;
		run->mmio.len = record->mmio.len;
		run->mmio.is_write = record->mmio.is_write;
		memcpy(run->mmio.data, &record->mmio.data, sizeof(run->mmio.data));
		break;
	case KVM_EXIT_FAIL_ENTRY:
		run->fail_entry.hardware_entry_failure_reason = record->fail_entry.hardware_entry_failure_reason;
		run->fail_entry.cpu = record->fail_entry.cpu;
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		run->system_event.type = record->system_event.type;
		break;
	}
}

static long hang(const struct kvm_run *run, bool is_deaf)
{
	const volatile uint8_t *immediate_exit = &run->immediate_exit;

	while (is_deaf || !*immediate_exit)
		usleep(2000);
	return -EINTR;
}

static long vcpu_run(struct fake *fake, struct fake_object *vcpu)
{
	static const struct fake_step end = { .kind = FAKE_END };
	const struct fake_step *script = vcpu->id < ABI_MAX_VCPUS ? fake->scripts[vcpu->id] : NULL;
	const struct fake_step *step = script ? &script[vcpu->at] : &end;

	if (vcpu->run->immediate_exit)
		return -EINTR;
	reply_take(fake, vcpu->run);
	if (step->kind == FAKE_END)
		return -ENODATA;
	vcpu->at++;
	page_put(fake, vcpu, step);
	switch (step->kind) {
	case FAKE_FAIL:
		return -step->number;
	case FAKE_HANG:
	case FAKE_HANG_DEAF:
		return hang(vcpu->run, step->kind == FAKE_HANG_DEAF);
	case FAKE_SIGNAL:
		signal(step->number, SIG_DFL);
		raise(step->number);
		return -EIO;
	case FAKE_LEAVE:
		_exit(step->number);
	default:
		exit_put(vcpu->run, &step->exit);
		return 0;
	}
}

/* --- calls --- */

static long cpuid_get(const struct fake *fake, struct kvm_cpuid2 *cpuid)
{
	if (cpuid->nent < fake->nr_cpuid)
		return -E2BIG;
	cpuid->nent = fake->nr_cpuid;
	memcpy(cpuid->entries, fake->cpuid, fake->nr_cpuid * sizeof(fake->cpuid[0]));
	return 0;
}

/* The number of MSRs read, as KVM has it. */
static long feature_msrs_get(const struct fake *fake, struct kvm_msrs *msrs)
{
	uint32_t i;

	for (i = 0; i < msrs->nmsrs; i++) {
		if (!fake->feature_msr.index || msrs->entries[i].index != fake->feature_msr.index)
			break;
		msrs->entries[i].data = fake->feature_msr.data;
	}
	return i;
}

static long sys_ioctl_fake(struct fake *fake, unsigned long request, uintptr_t argument)
{
	switch (request) {
	case KVM_GET_API_VERSION:
		return fake->api_version;
	case KVM_GET_VCPU_MMAP_SIZE:
		return RUN_BYTES;
	case KVM_CHECK_EXTENSION:
		return argument < FAKE_MAX_CAPS ? fake->caps[argument] : 0;
	case KVM_GET_SUPPORTED_CPUID:
		return cpuid_get(fake, (void *)argument);
	case KVM_GET_MSRS:
		return feature_msrs_get(fake, (void *)argument);
	case KVM_CREATE_VM:
		return object_add(fake, FAKE_VM, -1, 0);
	default:
		return -EINVAL;
	}
}

static long vm_ioctl_fake(struct fake *fake, const struct fake_object *vm, unsigned long request, uintptr_t argument)
{
	switch (request) {
	case KVM_SET_USER_MEMORY_REGION:
		return region_set(fake, vm->fd, (void *)argument);
	case KVM_CREATE_VCPU:
		return object_add(fake, FAKE_VCPU, vm->fd, argument);
	case KVM_CREATE_IRQCHIP:
		return 0;
	case KVM_CHECK_EXTENSION:
		return argument < FAKE_MAX_CAPS ? fake->caps[argument] : 0;
	default:
		return -EINVAL;
	}
}

/* Linear is physical. */
static long translate(const struct fake *fake, const struct fake_object *vcpu, struct kvm_translation *translation)
{
	translation->physical_address = translation->linear_address;
	translation->valid = memory_at(fake, vcpu->vm_fd, translation->linear_address) != NULL;
	return 0;
}

static long vcpu_ioctl_fake(struct fake *fake, struct fake_object *vcpu, unsigned long request, uintptr_t argument)
{
	void *object = (void *)argument;

	switch (request) {
	case KVM_RUN:
		return vcpu_run(fake, vcpu);
	case KVM_GET_REGS:
		memcpy(object, &vcpu->regs, sizeof(vcpu->regs));
		return 0;
	case KVM_SET_REGS:
		memcpy(&vcpu->regs, object, sizeof(vcpu->regs));
		return 0;
	case KVM_GET_SREGS:
		memcpy(object, &vcpu->sregs, sizeof(vcpu->sregs));
		return 0;
	case KVM_SET_SREGS:
		memcpy(&vcpu->sregs, object, sizeof(vcpu->sregs));
		return 0;
	case KVM_GET_VCPU_EVENTS:
		memset(object, 0, sizeof(struct kvm_vcpu_events));
		return 0;
	case KVM_TRANSLATE:
		return translate(fake, vcpu, object);
	case KVM_SET_CPUID2:
		return 0;
	default:
		return -EINVAL;
	}
}

static long fake_ioctl(const struct backend *backend, int fd, unsigned long request, uintptr_t argument)
{
	struct fake *fake = fake_of(backend);
	struct fake_object *object = object_find(fake, fd);

	if (!object)
		return -EBADF;
	if (fake->fail_request && request == fake->fail_request)
		return -fake->fail_error;
	switch (object->kind) {
	case FAKE_SYS:
		return sys_ioctl_fake(fake, request, argument);
	case FAKE_VM:
		return vm_ioctl_fake(fake, object, request, argument);
	default:
		return vcpu_ioctl_fake(fake, object, request, argument);
	}
}

static int fake_open(const struct backend *backend)
{
	struct fake *fake = fake_of(backend);

	if (fake->open_error)
		return -fake->open_error;
	fake->nr_opens++;
	return object_add(fake, FAKE_SYS, -1, 0);
}

static void *fake_mmap(const struct backend *backend, int fd, size_t len_bytes, uint64_t offset, int *ret_error)
{
	struct fake_object *object = object_find(fake_of(backend), fd);
	void *address = mmap(NULL, len_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);

	if (!object || address == MAP_FAILED) {
		*ret_error = -ENODEV;
		return NULL;
	}
	object->run = address;
	return address;
}

static int fake_munmap(const struct backend *backend, void *address, size_t len_bytes)
{
	(void)backend;
	return munmap(address, len_bytes) ? -errno : 0;
}

static void slots_forget(struct fake *fake, int vm_fd)
{
	unsigned int i;

	for (i = 0; i < FAKE_MAX_SLOTS; i++)
		if (fake->slots[i].vm_fd == vm_fd)
			fake->slots[i] = (struct fake_slot){ 0 };
}

static int fake_close(const struct backend *backend, int fd)
{
	struct fake *fake = fake_of(backend);
	struct fake_object *object = object_find(fake, fd);

	if (!object) {
		fake->nr_bad_closes++;
		return -EBADF;
	}
	if (object->kind == FAKE_VM)
		slots_forget(fake, fd);
	object->kind = FAKE_FREE;
	return close(fd) ? -errno : 0;
}

void fake_init(struct fake *fake)
{
	*fake = (struct fake){
		.backend = {
			.name = "fake",
			.open = fake_open,
			.ioctl = fake_ioctl,
			.mmap = fake_mmap,
			.munmap = fake_munmap,
			.close = fake_close,
		},
		.api_version = KVM_API_VERSION,
		.cpuid = { { .function = 0, .eax = 7 }, { .function = 1 },
			   { .function = 7, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX } },
		.nr_cpuid = 3,
	};
}
