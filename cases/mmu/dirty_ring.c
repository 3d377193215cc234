/* SPDX-License-Identifier: MIT */
/*
 * With KVM_CAP_DIRTY_LOG_RING each vCPU queues the pages it dirties: slot and offset, in the order of the writes, each
 * once until the entry was harvested and KVM_RESET_DIRTY_RINGS protected the page again. A ring that fills ends KVM_RUN
 * with KVM_EXIT_DIRTY_RING_FULL and loses nothing.
 *
 * Can break: entries of the wrong slot or offset; a reset that protects other pages than those harvested, or counts
 * wrong; an entry lost at the wrap or at the soft limit.
 * Source: KVM API, 8.29 KVM_CAP_DIRTY_LOG_RING.
 */
#include "cases/mmu/dirty.h"

#define NR_PAGES 600
#define RING_BYTES 4096
#define NR_ENTRIES (RING_BYTES / sizeof(struct kvm_dirty_gfn))

struct ring {
	struct kvm_dirty_gfn *entries;
	uint32_t next;
};

static void start(struct test *t, struct ring *ring)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_DIRTY_LOG_RING, .args = { RING_BYTES } };
	const struct backend *backend = t->sys->backend;
	int error = 0;

	t->vm = test_vm(t);
	require_result(t, 0, vm_ioctl_try(t->vm, KVM_ENABLE_CAP, &cap));
	guest_load(t, t->vm);
	vm_slot_add(t->vm, DIRTY_SLOT, KVM_MEM_LOG_DIRTY_PAGES, DIRTY_GPA, NR_PAGES * PAGE);
	t->vcpu = guest_vcpu(t, t->vm, 0);
	ring->next = 0;
	ring->entries = backend->mmap(backend, t->vcpu->fd, RING_BYTES, KVM_DIRTY_LOG_PAGE_OFFSET * PAGE, &error);
	require_result(t, 0, error);
	require_sync(t, 1);
}

static struct kvm_dirty_gfn *ring_next(struct ring *ring)
{
	return &ring->entries[ring->next % NR_ENTRIES];
}

/* Takes the next entry: true when there is one, then it is @page of the slot. */
static bool ring_take(struct test *t, struct ring *ring, uint64_t page)
{
	struct kvm_dirty_gfn *entry = ring_next(ring);

	if (!(entry->flags & KVM_DIRTY_GFN_F_DIRTY))
		return false;
	expect_eq(t, KVM_DIRTY_GFN_F_DIRTY, entry->flags);
	expect_eq(t, DIRTY_SLOT, entry->slot);
	expect_eq(t, page, entry->offset);
	entry->flags = KVM_DIRTY_GFN_F_RESET;
	ring->next++;
	return true;
}

static void ring_expect(struct test *t, struct ring *ring, unsigned int nr, const uint32_t *pages)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		require_true(t, ring_take(t, ring, pages[i]));
	expect_true(t, !ring_take(t, ring, 0));
}

#define RING_EXPECT(t_, ring_, ...)							\
	({ const uint32_t pages_[] = { __VA_ARGS__ };					\
	   ring_expect(t_, ring_, sizeof(pages_) / sizeof(pages_[0]), pages_); })

static long ring_reset(struct test *t)
{
	return vm_ioctl_value_try(t->vm, KVM_RESET_DIRTY_RINGS, 0);
}

static void in_order(struct test *t)
{
	struct ring ring;

	start(t, &ring);
	RING_EXPECT(t, &ring);
	PAGES_WRITE(t, DIRTY_GPA, 7, 3, 599, 64, 7);
	RING_EXPECT(t, &ring, 7, 3, 599, 64);
	/* Harvested but not reset: still writable, not reported. */
	PAGES_WRITE(t, DIRTY_GPA, 3);
	RING_EXPECT(t, &ring);
	expect_result(t, 4, ring_reset(t));
	expect_result(t, 0, ring_reset(t));
	PAGES_WRITE(t, DIRTY_GPA, 599, 3, 8);
	RING_EXPECT(t, &ring, 599, 3, 8);
	expect_result(t, 3, ring_reset(t));
	PAGES_WRITE(t, DIRTY_GPA, 8);
	RING_EXPECT(t, &ring, 8);
}

/* Only what was harvested is reset. */
static void reset_part(struct test *t)
{
	struct ring ring;

	start(t, &ring);
	PAGES_WRITE(t, DIRTY_GPA, 1, 2, 66, 130);
	expect_result(t, 0, ring_reset(t));
	require_true(t, ring_take(t, &ring, 1));
	require_true(t, ring_take(t, &ring, 2));
	expect_result(t, 2, ring_reset(t));
	PAGES_WRITE(t, DIRTY_GPA, 66, 2, 130, 1);
	RING_EXPECT(t, &ring, 66, 130, 2, 1);
	expect_result(t, 4, ring_reset(t));
}

static void full(struct test *t)
{
	struct ring ring;
	uint64_t page = 0;
	unsigned int nr_full = 0;

	start(t, &ring);
	guest_arg(t, 0, ~0ull);
	while (guest_page(t, 0)->stage == 1 && nr_full < NR_PAGES) {
		require_result(t, 0, vcpu_run_try(t->vcpu));
		/* The ring filled before the write itself was made: after the reset that page comes again. */
		if (nr_full && ring_next(&ring)->offset == page - 1)
			require_true(t, ring_take(t, &ring, page - 1));
		while (ring_take(t, &ring, page))
			page++;
		if (t->vcpu->run->exit_reason != KVM_EXIT_DIRTY_RING_FULL)
			break;
		/* It stays full until it is reset. */
		require_exit(t, .reason = KVM_EXIT_DIRTY_RING_FULL);
		expect_true(t, ring_reset(t) > 0);
		nr_full++;
	}
	expect_eq(t, 2, guest_page(t, 0)->stage);
	expect_eq(t, NR_PAGES, page);
	expect_true(t, nr_full >= NR_PAGES / NR_ENTRIES);
}

/*
 * The ring is user space's memory: an entry that names no page of any slot resets nothing, wherever it points, and what
 * was dirtied besides is kept.
 */
static void no_such_page(struct test *t)
{
	static const struct { uint32_t slot; uint64_t offset; } bad[] = {
		{ 2 << 16 | DIRTY_SLOT, 7 }, { 0xffff0000 | DIRTY_SLOT, 7 }, { 1 << 16 | DIRTY_SLOT, 7 }, { 0xffff, 7 },
		{ 0x7ffc, 7 }, { DIRTY_SLOT + 1, 7 }, { DIRTY_SLOT, NR_PAGES }, { DIRTY_SLOT, 1ull << 40 },
		{ DIRTY_SLOT, ~0ull },
	};
	const uint32_t nr = sizeof(bad) / sizeof(bad[0]);
	struct ring ring;
	uint32_t i;

	start(t, &ring);
	for (i = 0; i < nr; i++) {
		PAGES_WRITE(t, DIRTY_GPA, 7 + i);
		ring_next(&ring)->slot = bad[i].slot;
		ring_next(&ring)->offset = bad[i].offset;
		ring_next(&ring)->flags = KVM_DIRTY_GFN_F_RESET;
		ring.next++;
	}
	PAGES_WRITE(t, DIRTY_GPA, 70);
	RING_EXPECT(t, &ring, 70);
	expect_result(t, nr + 1, ring_reset(t));
	/* Only the last was protected again. */
	PAGES_WRITE(t, DIRTY_GPA, 7, 70, 7 + nr - 1, 71);
	RING_EXPECT(t, &ring, 70, 71);
	expect_result(t, 2, ring_reset(t));
}

static void cap_rules(struct test *t)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_DIRTY_LOG_RING, .args = { RING_BYTES } };
	long most = sys_has_cap(t->sys, KVM_CAP_DIRTY_LOG_RING);
	struct ring ring;
	uint64_t bitmap[MAX_WORDS * 2];
	struct kvm_dirty_log log = { .slot = DIRTY_SLOT, .dirty_bitmap = bitmap };
	struct kvm_clear_dirty_log clear = { .slot = DIRTY_SLOT, .num_pages = NR_PAGES, .dirty_bitmap = bitmap };

	t->vm = test_vm(t);
	cap.args[0] = 0;
	expect_errno(t, EINVAL, vm_ioctl_try(t->vm, KVM_ENABLE_CAP, &cap));
	cap.args[0] = RING_BYTES + 16;
	expect_errno(t, EINVAL, vm_ioctl_try(t->vm, KVM_ENABLE_CAP, &cap));
	cap.args[0] = most * 2;
	expect_errno(t, E2BIG, vm_ioctl_try(t->vm, KVM_ENABLE_CAP, &cap));
	expect_errno(t, EINVAL, ring_reset(t));
	vcpu_create(t->vm, 0);
	cap.args[0] = RING_BYTES;
	expect_errno(t, EINVAL, vm_ioctl_try(t->vm, KVM_ENABLE_CAP, &cap));
	start(t, &ring);
	expect_errno(t, EINVAL, vm_ioctl_try(t->vm, KVM_ENABLE_CAP, &cap));
	expect_errno(t, ENXIO, vm_ioctl_try(t->vm, KVM_GET_DIRTY_LOG, &log));
	expect_errno(t, ENXIO, vm_ioctl_try(t->vm, KVM_CLEAR_DIRTY_LOG, &clear));
	PAGES_WRITE(t, DIRTY_GPA, 9);
	RING_EXPECT(t, &ring, 9);
}

struct row {
	ROW_FIELDS;
	void (*host)(struct test *t);
};

static const struct row rows[] = {
	{ .label = "in_order", .host = in_order },
	{ .label = "reset_part", .host = reset_part },
	{ .label = "full", .host = full },
	{ .label = "no_such_page", .host = no_such_page },
	{ .label = "cap_rules", .host = cap_rules },
};

CASE(dirty_ring, .says = "the dirty ring has each page once, in order, and stops the vCPU before it overflows",
     .modes = LONG64, .needs = "KVM_CAP_DIRTY_LOG_RING", .manual = true, .rows = ROWS(rows),
     .shadow_too = true)

GUEST(dirty_ring)
{
	uint32_t stage, page;

	for (stage = 1;; stage++) {
		guest_sync(stage);
		if (GUEST_ARG(0) != ~0ull)
			guest_touch_as_told();
		else
			for (page = 0; page < NR_PAGES; page++)
				write8(DIRTY_GPA + page * PAGE, 1);
	}
}

HOST(dirty_ring)
{
	ROW(t, rows)->host(t);
}
