/* SPDX-License-Identifier: MIT */
/*
 * Saving a VM's state, putting it into another, comparing: over a KVM that keeps what it is given, writes down in which
 * order, and refuses on demand. And twins: what a run writes down, and what it tells apart.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "err.h"
#include "here.h"
#include "vm/x86/bits.h"
#include "vm/x86/twin.h"
#include "vm/x86/vm_state.h"

#define NR_FDS 64
#define MAX_BLOB_BYTES 4096
#define NR_MSRS 3
#define RAM 0x8000

/* State that KVM hands out and takes back as it is. */
static const struct blob {
	unsigned long get, set;
	enum vm_part part;
	size_t bytes;
} blobs[] = {
	{ KVM_GET_PIT2, KVM_SET_PIT2, PART_PIT, sizeof(struct kvm_pit_state2) },
	{ KVM_GET_CLOCK, KVM_SET_CLOCK, PART_CLOCK, sizeof(struct kvm_clock_data) },
	{ KVM_GET_SREGS, KVM_SET_SREGS, PART_SREGS, sizeof(struct kvm_sregs) },
	{ KVM_GET_SREGS2, KVM_SET_SREGS2, PART_PDPTRS, sizeof(struct kvm_sregs2) },
	{ KVM_GET_LAPIC, KVM_SET_LAPIC, PART_LAPIC, sizeof(struct kvm_lapic_state) },
	{ KVM_GET_REGS, KVM_SET_REGS, PART_REGS, sizeof(struct kvm_regs) },
	{ KVM_GET_XSAVE, KVM_SET_XSAVE, PART_XSAVE, sizeof(struct kvm_xsave) },
	{ KVM_GET_XCRS, KVM_SET_XCRS, PART_XCRS, sizeof(struct kvm_xcrs) },
	{ KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, PART_EVENTS, sizeof(struct kvm_vcpu_events) },
	{ KVM_GET_MP_STATE, KVM_SET_MP_STATE, PART_MP_STATE, sizeof(struct kvm_mp_state) },
	{ KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS, PART_DEBUGREGS, sizeof(struct kvm_debugregs) },
};

#define NR_BLOBS (sizeof(blobs) / sizeof(blobs[0]))

static uint8_t kept[NR_FDS][NR_BLOBS][MAX_BLOB_BYTES];
static struct kvm_irqchip chips[NR_FDS][3];
/* The second one is not this VM's. */
static const uint32_t msr_indices[NR_MSRS] = { MSR_IA32_TSC, 0xdead, MSR_LSTAR };
static uint64_t msr_values[NR_FDS][NR_MSRS];

static unsigned long order[64];
static unsigned int nr_sets;
static unsigned long refused;	/* this request fails */

static struct fake fake;
static struct sys sys;
static long (*fake_ioctl)(const struct backend *backend, int fd, unsigned long request, uintptr_t argument);

static int msr_find(uint32_t index)
{
	int i;

	for (i = 0; i < NR_MSRS; i++)
		if (i != 1 && msr_indices[i] == index)
			return i;
	return -1;
}

static long msrs_call(int fd, unsigned long request, struct kvm_msrs *msrs)
{
	uint32_t i;

	for (i = 0; i < msrs->nmsrs; i++) {
		int at = msr_find(msrs->entries[i].index);

		if (at < 0)
			break;
		if (request == KVM_GET_MSRS)
			msrs->entries[i].data = msr_values[fd][at];
		else
			msr_values[fd][at] = msrs->entries[i].data;
	}
	return i;
}

static long blob_call(int fd, unsigned long request, void *argument)
{
	size_t i;

	for (i = 0; i < NR_BLOBS; i++) {
		if (request == blobs[i].get)
			memcpy(argument, kept[fd][i], blobs[i].bytes);
		else if (request == blobs[i].set)
			memcpy(kept[fd][i], argument, blobs[i].bytes);
		else
			continue;
		return 0;
	}
	return -EINVAL;
}

static long state_ioctl(const struct backend *backend, int fd, unsigned long request, uintptr_t argument)
{
	struct kvm_msr_list *list = (void *)argument;
	struct kvm_irqchip *chip = (void *)argument;

	if (_IOC_DIR(request) == _IOC_WRITE || request == KVM_SET_IRQCHIP)
		order[nr_sets++ % 64] = request;
	if (refused && request == refused)
		return -EINVAL;
	switch (request) {
	case KVM_GET_MSR_INDEX_LIST:
		list->nmsrs = NR_MSRS;
		memcpy(list->indices, msr_indices, sizeof(msr_indices));
		return 0;
	case KVM_GET_MSRS:
	case KVM_SET_MSRS:
		return msrs_call(fd, request, (void *)argument);
	case KVM_GET_CPUID2:
		((struct kvm_cpuid2 *)argument)->nent = 0;
		return 0;
	case KVM_GET_IRQCHIP:
		*chip = chips[fd][chip->chip_id];
		return 0;
	case KVM_SET_IRQCHIP:
		chips[fd][chip->chip_id] = *chip;
		return 0;
	}
	return blob_call(fd, request, (void *)argument) ? fake_ioctl(backend, fd, request, argument) : 0;
}

static void must_failed(void *context, const char *what, long error)
{
	(void)context;
	fail_msg("%s: %ld", what, error);
}

static int open_fake(void **state)
{
	struct err err;

	(void)state;
	fake_init(&fake);
	fake_ioctl = fake.backend.ioctl;
	fake.backend.ioctl = state_ioctl;
	fake.caps[KVM_CAP_SREGS2] = 1;
	refused = 0;
	if (sys_open(&sys, &fake.backend, NULL, &err))
		return -1;
	sys.must_failed = must_failed;
	return 0;
}

static int close_fake(void **state)
{
	(void)state;
	sys_close(&sys);
	return 0;
}

/* Descriptors are used again. */
static void state_forget(int fd)
{
	memset(kept[fd], 0, sizeof(kept[fd]));
	memset(chips[fd], 0, sizeof(chips[fd]));
	memset(msr_values[fd], 0, sizeof(msr_values[fd]));
}

static struct vm *vm_make(void)
{
	struct vm *vm = vm_create(&sys);

	vcpu_create(vm, 0);
	state_forget(vm->fd);
	state_forget(vm->vcpus[0]->fd);
	vm_slot_add(vm, 0, 0, 0, RAM);
	((struct abi_page *)vm_hva(vm, ABI_GPA, sizeof(struct abi_page)))->magic = ABI_MAGIC;
	return vm;
}

/* Each part has something of its own. */
static struct vm *vm_make_full(void)
{
	struct vm *vm = vm_make();
	int fd = vm->vcpus[0]->fd;
	size_t i;

	for (i = 0; i < NR_BLOBS; i++)
		kept[blobs[i].part < PART_CPUID ? vm->fd : fd][i][0] = 0x10 + i;
	((struct kvm_sregs2 *)kept[fd][3])->pdptrs[2] = 0x5000;
	((struct kvm_vcpu_events *)kept[fd][8])->nmi.masked = 1;
	for (i = 0; i < 3; i++) {
		chips[vm->fd][i].chip_id = i;
		chips[vm->fd][i].chip.dummy[7] = 0x77 + i;
	}
	msr_values[fd][2] = 0x1234;
	((uint8_t *)vm_hva(vm, 0x3456, 1))[0] = 0x99;
	return vm;
}

/* Puts all but @lost into another VM and compares; @text says what differs. */
static bool moved(unsigned int lost, char *text, size_t len_bytes)
{
	struct vm *from = vm_make_full(), *to = vm_make();
	struct vm_state *want = vm_state_save(from), *got;
	bool equal;

	nr_sets = 0;
	assert_int_equal(vm_state_restore_try(to, want, ALL_PARTS & ~lost, text, len_bytes), 0);
	got = vm_state_save(to);
	equal = vm_state_equal(want, got, ALL_PARTS, text, len_bytes);
	vm_state_free(want);
	vm_state_free(got);
	vm_destroy(from);
	vm_destroy(to);
	return equal;
}

static void test_all_moves(void **state)
{
	char text[256];

	(void)state;
	if (!moved(0, text, sizeof(text)))
		fail_msg("%s", text);
}

static void test_lost_part_is_named(void **state)
{
	static const enum vm_part parts[] = {
		PART_MEMORY, PART_PIC, PART_IOAPIC, PART_PIT, PART_PDPTRS, PART_LAPIC, PART_XSAVE, PART_XCRS, PART_MSRS,
		PART_EVENTS, PART_MP_STATE, PART_DEBUGREGS,
	};
	char text[256];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (moved(parts[i], text, sizeof(text)))
			fail_msg("without %s nothing differs", vm_part_name(parts[i]));
		if (strncmp(text, vm_part_name(parts[i]), strlen(vm_part_name(parts[i]))))
			fail_msg("without %s: %s", vm_part_name(parts[i]), text);
	}
	assert_false(moved(PART_REGS, text, sizeof(text)));
	assert_non_null(strstr(text, "rax"));
	assert_false(moved(PART_SREGS, text, sizeof(text)));
	assert_non_null(strstr(text, "cs.base"));
}

static unsigned int place(unsigned long request)
{
	unsigned int i;

	for (i = 0; i < nr_sets && order[i] != request; i++)
		;
	assert_true(i < nr_sets);
	return i;
}

/* What one part permits, or changes, comes behind it. */
static void test_order(void **state)
{
	char text[256];

	(void)state;
	moved(0, text, sizeof(text));
	assert_true(place(KVM_SET_IRQCHIP) < place(KVM_SET_LAPIC));
	assert_true(place(KVM_SET_CPUID2) < place(KVM_SET_SREGS));
	assert_true(place(KVM_SET_SREGS) < place(KVM_SET_LAPIC));
	assert_true(place(KVM_SET_LAPIC) < place(KVM_SET_VCPU_EVENTS));
	assert_true(place(KVM_SET_REGS) < place(KVM_SET_VCPU_EVENTS));
}

static void test_refusal_is_named(void **state)
{
	struct vm *from = vm_make_full(), *to = vm_make();
	struct vm_state *saved = vm_state_save(from);
	struct kvm_mp_state mp_state;
	char text[256];

	(void)state;
	refused = KVM_SET_VCPU_EVENTS;
	assert_int_equal(vm_state_restore_try(to, saved, ALL_PARTS, text, sizeof(text)), -EINVAL);
	assert_string_equal(text, "EVENTS");
	vcpu_ioctl(to->vcpus[0], KVM_GET_MP_STATE, &mp_state);
	assert_int_equal(mp_state.mp_state, 0);
	vm_state_free(saved);
	vm_destroy(from);
	vm_destroy(to);
}

/* --- twins --- */

static void run(const struct fake_step *script, const struct twin_plan *plan, unsigned int until, struct twin_log *log)
{
	struct vm *vm = vm_make();

	fake.scripts[0] = script;
	memset(log, 0, sizeof(*log));
	twin_run(vm, plan, log, until, 60);
	vm_destroy(vm);
}

static const struct fake_step script[] = {
	STEP_OUT(.port = 0x80, .size = 1, .count = 1, .data = 5), STEP_IN(.port = 0x81, .size = 2, .count = 1), STEP_DONE,
	STEP_OUT(.port = 0x99, .size = 1, .count = 1), { .kind = FAKE_END },
};

static void test_run_to_exit(void **state)
{
	static const struct twin_plan plan = { 0 };
	static struct twin_log log;
	char text[256];

	(void)state;
	run(script, &plan, 1, &log);
	assert_int_equal(log.nr, 1);
	twin_step_format(text, sizeof(text), &log, 0);
	assert_string_equal(text, "IO direction=out port=0x80 size=1 count=1 data=0x5");
	/* The guest's end is the run's. */
	run(script, &plan, TWIN_MAX_STEPS, &log);
	assert_int_equal(log.nr, 3);
	assert_int_equal(log.steps[2].exit.io.port, DONE_PORT);
}

static void test_hang_is_a_step(void **state)
{
	static const struct fake_step hangs[] = { { .kind = FAKE_HANG }, { .kind = FAKE_HANG }, { .kind = FAKE_HANG },
		{ .kind = FAKE_HANG }, { .kind = FAKE_HANG }, { .kind = FAKE_HANG }, { .kind = FAKE_HANG },
		{ .kind = FAKE_HANG }, { .kind = FAKE_HANG }, { .kind = FAKE_HANG }, { .kind = FAKE_HANG } };
	static const struct twin_plan plan = { 0 };
	static struct twin_log log;

	(void)state;
	run(hangs, &plan, 1, &log);
	assert_int_equal(log.nr, 1);
	assert_int_equal(log.steps[0].error, -ETIME);
}

static void test_logs_compared(void **state)
{
	static const struct fake_step other[] = {
		STEP_OUT(.port = 0x80, .size = 1, .count = 1, .data = 6), STEP_IN(.port = 0x81, .size = 2, .count = 1),
		STEP_OUT(.port = 0x82, .size = 1, .count = 1), STEP_DONE, { .kind = FAKE_END },
	};
	static const struct twin_plan plan = { 0 };
	static struct twin_log want, got;
	char text[512];

	(void)state;
	run(script, &plan, TWIN_MAX_STEPS, &want);
	run(script, &plan, TWIN_MAX_STEPS, &got);
	assert_true(twin_logs_equal(&want, &got, 0, text, sizeof(text)));
	got.nr--;
	assert_false(twin_logs_equal(&want, &got, 0, text, sizeof(text)));
	assert_non_null(strstr(text, "got no exit"));
	run(other, &plan, TWIN_MAX_STEPS, &got);
	assert_false(twin_logs_equal(&want, &got, 0, text, sizeof(text)));
	assert_non_null(strstr(text, "exit 1:"));
	assert_false(twin_logs_equal(&want, &got, 1, text, sizeof(text)));
	assert_non_null(strstr(text, "exit 3:"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_moves, open_fake, close_fake),
		cmocka_unit_test_setup_teardown(test_lost_part_is_named, open_fake, close_fake),
		cmocka_unit_test_setup_teardown(test_order, open_fake, close_fake),
		cmocka_unit_test_setup_teardown(test_refusal_is_named, open_fake, close_fake),
		cmocka_unit_test_setup_teardown(test_run_to_exit, open_fake, close_fake),
		cmocka_unit_test_setup_teardown(test_hang_is_a_step, open_fake, close_fake),
		cmocka_unit_test_setup_teardown(test_logs_compared, open_fake, close_fake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
