/* SPDX-License-Identifier: MIT */
#include "soft/async_pf.h"

#include <asm/kvm_para.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "soft/private.h"
#include "soft/signals.h"
#include "vm/x86/bits.h"

#define PAGE_BYTES 4096u
#define PAGE_MASK 0xfffull
#define LOOK_NS 1000000		/* for a userfaultfd, at most so often */
#define LOOK_AGAIN_US 20
#define NR_LOOKS 2500		/* where the kernel does not say what a thread waits for */
#define AREA_MASK (~0x3full)
#define ENABLED (KVM_ASYNC_PF_ENABLED | KVM_ASYNC_PF_DELIVERY_AS_INT)

struct soft_async_page {
	struct soft_async_page *next;
	pthread_t thread;
	uintptr_t hva;
	uint64_t gpa;
	bool is_write, is_told;
	pid_t tid;		/* the thread's; 0: it has not begun */
	bool is_there;		/* the last that it writes */
	uint32_t token;
};

/* --- what is late --- */

static bool is_userfault(int folder, const char *name)
{
	static const char kind[] = "anon_inode:[userfaultfd]";
	char target[sizeof(kind)];
	ssize_t len = readlinkat(folder, name, target, sizeof(target));

	return len == sizeof(kind) - 1 && !memcmp(target, kind, sizeof(kind) - 1);
}

static bool process_has_userfault(void)
{
	DIR *folder = opendir("/proc/self/fd");
	const struct dirent *entry;
	bool is_found = false;

	if (!folder)
		return false;
	while (!is_found && (entry = readdir(folder)))
		is_found = is_userfault(dirfd(folder), entry->d_name);
	closedir(folder);
	return is_found;
}

/* Memory without one is there as soon as it is touched. */
static bool has_userfault(struct soft_vm *vm)
{
	struct soft_userfaults *userfaults = &vm->userfaults;
	uint64_t now = clock_ns();

	if (userfaults->are_there || (userfaults->looked_ns && now - userfaults->looked_ns < LOOK_NS))
		return userfaults->are_there;
	userfaults->looked_ns = now;
	userfaults->are_there = process_has_userfault();
	return userfaults->are_there;
}

static bool is_resident(uintptr_t hva)
{
	unsigned char there = 0;

	return mincore((void *)(hva & ~PAGE_MASK), PAGE_BYTES, &there) || (there & 1);
}

/* A guest that takes no interrupts has nothing to do meanwhile; neither has one whose instruction is being executed. */
static bool may_wait_outside(const struct soft_vcpu *vcpu)
{
	return vcpu->chips.has_lapic && !vcpu->vm->attempt && !vcpu->vm->soft->max_turns && !vcpu->vm->is_bare &&
		!vcpu->exception.is_pending && !vcpu_needs_reinjection(vcpu) && vcpu_accepts_interrupt(vcpu);
}

/* --- the thread --- */

static void *page_fetch(void *argument)
{
	struct soft_async_page *page = argument;

	__atomic_store_n(&page->tid, gettid(), __ATOMIC_RELAXED);
	user_has_page(page->hva, page->is_write);
	__atomic_store_n(&page->is_there, true, __ATOMIC_RELEASE);
	return NULL;
}

static bool page_is_there(const struct soft_async_page *page)
{
	return __atomic_load_n(&page->is_there, __ATOMIC_ACQUIRE);
}

/* Signals are the process's own threads'. */
static int thread_start(struct soft_async_page *page)
{
	struct soft_signals signals = { 0 };
	int r;

	signals_hold(&signals);
	r = pthread_create(&page->thread, NULL, page_fetch, page);
	signals_release(&signals);
	return r;
}

static struct soft_async_page *page_start(uintptr_t hva, uint64_t gpa, bool is_write)
{
	struct soft_async_page *page = calloc(1, sizeof(*page));

	if (!page)
		return NULL;
	page->hva = hva;
	page->gpa = gpa & ~PAGE_MASK;
	page->is_write = is_write;
	if (!thread_start(page))
		return page;
	free(page);
	return NULL;
}

static void page_end(struct soft_async_page *page)
{
	pthread_join(page->thread, NULL);
	free(page);
}

/* The thread waits for the page, and not for a CPU. */
static bool page_is_awaited(const struct soft_async_page *page)
{
	static const char place[] = "handle_userfault";
	pid_t tid = __atomic_load_n(&page->tid, __ATOMIC_RELAXED);
	char path[48], waits[sizeof(place)] = "";
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/wchan", tid);
	fd = tid ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0)
		return false;
	len = read(fd, waits, sizeof(waits) - 1);
	close(fd);
	return len > 0 && !strcmp(waits, place);
}

static bool page_is_late(const struct soft_async_page *page)
{
	unsigned int i;

	for (i = 0; i < NR_LOOKS && !page_is_there(page); i++) {
		if (page_is_awaited(page))
			return true;
		usleep(LOOK_AGAIN_US);
	}
	return !page_is_there(page);
}

/* --- what the guest hears of it --- */

static bool is_enabled(const struct soft_vcpu *vcpu)
{
	return (vcpu->paravirt.async_pf & ENABLED) == ENABLED;
}

static uint64_t area_of(const struct soft_vcpu *vcpu)
{
	return vcpu->paravirt.async_pf & AREA_MASK;
}

static bool may_tell(const struct soft_vcpu *vcpu)
{
	const struct vmcb_save *save = &vcpu->vmcb->save;

	return is_enabled(vcpu) && !vcpu->nested.is_guest && (save->cr0 & X86_CR0_PG) &&
		((vcpu->paravirt.async_pf & KVM_ASYNC_PF_SEND_ALWAYS) || save->cpl);
}

static uint32_t token_next(struct soft_vcpu *vcpu)
{
	uint32_t number = ++vcpu->async_pf.nr_tokens & 0xfffff;

	if (!number)
		number = ++vcpu->async_pf.nr_tokens & 0xfffff;
	return number << 12 | (vcpu->id & 0xfff);
}

/* The #PF is the guest's by CR2 alone: its error code says nothing. */
static bool missing_tell(struct soft_vcpu *vcpu, struct soft_async_page *page)
{
	uint32_t reason = KVM_PV_REASON_PAGE_NOT_PRESENT;

	if (!may_tell(vcpu) || guest_write(vm_space(vcpu->vm), area_of(vcpu), &reason, sizeof(reason)))
		return false;
	page->token = token_next(vcpu);
	vcpu_queue_exception(vcpu, VECTOR_PF, true, 0);
	vcpu->exception.has_payload = true;
	vcpu->exception.payload = page->token;
	return true;
}

static struct soft_async_page **page_find(struct soft_vcpu *vcpu, uint64_t gpa)
{
	struct soft_async_page **place = &vcpu->async_pf.pages;

	while (*place && (*place)->gpa != (gpa & ~PAGE_MASK))
		place = &(*place)->next;
	return place;
}

bool async_pf_begin(struct soft_vcpu *vcpu, uintptr_t hva, uint64_t gpa, bool is_write)
{
	struct soft_async_page **place, *page;

	if (!may_wait_outside(vcpu) || is_resident(hva) || !has_userfault(vcpu->vm))
		return false;
	place = page_find(vcpu, gpa);
	if (*place) {
		vcpu->async_pf.is_halted = true;
		return true;
	}
	page = page_start(hva, gpa, is_write);
	if (!page)
		return false;
	if (!page_is_late(page)) {
		page_end(page);
		return false;
	}
	*place = page;
	page->is_told = missing_tell(vcpu, page);
	vcpu->async_pf.is_halted = !page->is_told;
	return true;
}

/* One token at a time: the guest takes it away. */
static bool has_room(struct soft_vcpu *vcpu)
{
	uint64_t at = area_of(vcpu) + offsetof(struct kvm_vcpu_pv_apf_data, token);
	uint32_t token;

	return !guest_read(vm_space(vcpu->vm), at, &token, sizeof(token)) && !token;
}

static void ready_tell(struct soft_vcpu *vcpu, uint32_t token)
{
	const struct apic_message message = {
		.delivery = APIC_FIXED, .vector = (uint8_t)vcpu->paravirt.async_pf_vector,
	};
	uint64_t at = area_of(vcpu) + offsetof(struct kvm_vcpu_pv_apf_data, token);

	if (!guest_write(vm_space(vcpu->vm), at, &token, sizeof(token)))
		lapic_accept(&vcpu->chips.lapic, &message);
}

void async_pf_poll(struct soft_vcpu *vcpu)
{
	struct soft_async_page **place = &vcpu->async_pf.pages, *page;

	while ((page = *place)) {
		bool is_told = page->is_told && is_enabled(vcpu);

		if (page_is_there(page))
			vcpu->async_pf.is_halted = false;
		if (!page_is_there(page) || (is_told && !has_room(vcpu))) {
			place = &page->next;
			continue;
		}
		*place = page->next;
		if (is_told)
			ready_tell(vcpu, page->token);
		page_end(page);
	}
}

void async_pf_forget(struct soft_vcpu *vcpu)
{
	struct soft_async_page *page;

	for (page = vcpu->async_pf.pages; page; page = page->next)
		page->is_told = false;
}

void async_pf_free(struct soft_vcpu *vcpu)
{
	struct soft_async_page *page, *next;

	for (page = vcpu->async_pf.pages; page; page = next) {
		next = page->next;
		page_end(page);
	}
}
