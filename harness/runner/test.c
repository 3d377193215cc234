/* SPDX-License-Identifier: MIT */
#include "runner/test.h"

#include <errno.h>
#include <json-c/json.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backend/recorder.h"
#include "elf/guest_elf.h"
#include "err.h"
#include "runner/hw_exits.h"
#include "runner/job.h"
#include "runner/quirks.h"

/* A process runs one test at a time; the signal handler and must_failed() have no other way to it. */
static struct test *current;
static int result_fd = -1;
static jmp_buf end;

/* --- the result's way out --- */

static void write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno != EINTR)
			return;
		if (n > 0) {
			text += n;
			len -= n;
		}
	}
}

void test_say_line(int fd, const char *line)
{
	if (fd < 0)
		return;
	write_all(fd, line, strlen(line));
	write_all(fd, "\n", 1);
}

static void result_publish(struct test *t)
{
	struct json_object *object = result_to_json(t->result);
	const char *text;

	text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN);
	test_say_line(result_fd, text);
	json_object_put(object);
}

/* --- verdicts that are not checks --- */

void test_stop(struct test *t)
{
	(void)t;
	longjmp(end, 1);
}

void test_note_reason(struct test *t, enum verdict verdict, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	result_worsen(t->result, verdict, text);
	t->publish(t);
}

void test_say(struct test *t, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	result_add_note(t->result, &(struct note){ .kind = NOTE_MESSAGE, .text = text });
}

void test_error(struct test *t, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	test_note_reason(t, VERDICT_ERROR, "%s", text);
	test_stop(t);
}

/* A call that every working KVM grants was refused: that is a verdict on KVM, unless the machine ran out of something. */
static void must_failed(void *context, const char *what, long error)
{
	struct test *t = context;
	bool is_surroundings = error == -ENOMEM || error == -EMFILE || error == -ENFILE;

	test_note_reason(t, is_surroundings ? VERDICT_ERROR : VERDICT_FAIL, "%s must succeed, but: %s", what,
			 strerrorname_np(-error) ? strerrorname_np(-error) : strerror(-error));
	if (t->vcpu)
		test_dump(t, t->vcpu);
	test_stop(t);
}

/* --- the watchdog's kick --- */

static void on_kick(int signal)
{
	struct test *t = current;
	unsigned int v, c;
	int self = syscall(SYS_gettid), before = errno;

	if (!t)
		return;
	if (!t->is_timed_out)
		t->was_running = vm_marker_in_run(t->sys->marker);
	for (v = 0; v < t->nr_vms; v++) {
		for (c = 0; c < t->vms[v]->nr_vcpus; c++) {
			struct vcpu *vcpu = t->vms[v]->vcpus[c];

			vcpu_kick(vcpu);
			/* Only the first thread that hears of it wakes the others. */
			if (vcpu->tid && vcpu->tid != self && !t->is_timed_out)
				syscall(SYS_tgkill, getpid(), vcpu->tid, signal);
		}
	}
	t->is_timed_out = true;
	errno = before;
}

static void kick_listen(void)
{
	struct sigaction action = { .sa_handler = on_kick };

	sigaction(TEST_KICK_SIGNAL, &action, NULL);
}

/* --- set-up --- */

struct vm *test_vm(struct test *t)
{
	struct vm *vm;

	if (t->nr_vms == TEST_MAX_VMS)
		test_error(t, "a test can have %d VMs", TEST_MAX_VMS);
	vm = vm_create(t->sys);
	t->vms[t->nr_vms++] = vm;
	return vm;
}

static void image_open(struct test *t)
{
	struct err err;

	if (t->elf)
		return;
	if (!t->image)
		test_error(t, "no guest image for mode %s", mode_name(t->mode));
	if (guest_elf_open(t->image->file, t->image->start, t->image->len_bytes,
			   t->mode & (LONG64 | LA57) ? GUEST_BITS_64 : GUEST_BITS_32, &t->elf, &err))
		test_error(t, "%s", err.text);
}

static void page_write(struct test *t, struct vm *vm, unsigned int index)
{
	struct abi_page *page = vm_hva(vm, ABI_GPA + index * ABI_PAGE_BYTES, sizeof(*page));

	*page = (struct abi_page){
		.self = ABI_GPA + index * ABI_PAGE_BYTES,
		.magic = ABI_MAGIC,
		.mode = t->mode,
		.vcpu = index,
		.nr_vcpus = t->desc->nr_vcpus ? t->desc->nr_vcpus : 1,
		.row = t->row,
		.cr2_is_lost = quirks_lose_cr2(t->result->target),
		.misses_windows = quirks_miss_windows(t->result->target),
		.seed = t->seed,
		.fault.vector = NO_VECTOR,
	};
}

void guest_load(struct test *t, struct vm *vm)
{
	uint64_t ram_bytes = mode_ram_bytes(t->mode);
	void *ram = vm_slot_add(vm, 0, 0, 0, ram_bytes);
	struct err err;
	unsigned int i;

	image_open(t);
	if (guest_elf_load(t->elf, ram, 0, ram_bytes, &err))
		test_error(t, "%s", err.text);
	mode_write_tables(vm, t->mode);
	for (i = 0; i < ABI_MAX_VCPUS; i++)
		page_write(t, vm, i);
}

struct vcpu *guest_vcpu(struct test *t, struct vm *vm, unsigned int index)
{
	struct vcpu *vcpu = vcpu_create(vm, index);

	vcpu_set_supported_cpuid(vcpu);
	mode_enter(vcpu, t->mode, index, guest_elf_entry(t->elf));
	return vcpu;
}

static void set_up(struct test *t)
{
	unsigned int i, nr_vcpus = t->desc->nr_vcpus ? t->desc->nr_vcpus : 1;

	if (t->desc->manual)
		return;
	t->vm = test_vm(t);
	if (t->desc->irqchip)
		vm_ioctl_value(t->vm, KVM_CREATE_IRQCHIP, 0);
	if (t->mode == NO_GUEST) {
		for (i = 0; i < nr_vcpus; i++)
			vcpu_create(t->vm, i);
	} else {
		guest_load(t, t->vm);
		for (i = 0; i < nr_vcpus; i++)
			guest_vcpu(t, t->vm, i);
	}
	t->vcpu = t->vm->vcpus[0];
}

struct abi_page *guest_page(struct test *t, unsigned int index)
{
	return vm_hva(t->vm, ABI_GPA + index * ABI_PAGE_BYTES, sizeof(struct abi_page));
}

void guest_arg(struct test *t, unsigned int index, uint64_t value)
{
	unsigned int vcpu;

	for (vcpu = 0; vcpu < ABI_MAX_VCPUS; vcpu++)
		guest_page(t, vcpu)->args[index] = value;
}

uint64_t guest_value(struct test *t, unsigned int index)
{
	return guest_page(t, 0)->values[index];
}

uint64_t guest_symbol(struct test *t, const char *name)
{
	struct err err;
	uint64_t value = 0;

	image_open(t);
	if (guest_elf_symbol(t->elf, name, &value, &err))
		test_error(t, "%s", err.text);
	return value;
}

uint64_t test_scratch_gpa(const struct test *t)
{
	return t->mode == REAL16 ? SCRATCH16_GPA : SCRATCH_GPA;
}

uint64_t test_mmio_gpa(const struct test *t)
{
	return t->mode == REAL16 ? MMIO16_GPA : MMIO_GPA;
}

/* --- a test from begin to end --- */

static void tear_down(struct test *t)
{
	unsigned int i;

	current = NULL;
	if (t->result->verdict == VERDICT_FAIL)
		test_dump_hw_exits(t);
	if (t->nr_vms)
		test_say_line(result_fd, TEST_LINE_CLOSING);
	for (i = 0; i < t->nr_vms; i++)
		vm_destroy(t->vms[i]);
	t->nr_vms = 0;
	hw_log_close(t);
	guest_elf_close(t->elf);
}

static void run_guarded(struct test *t)
{
	if (setjmp(end))
		return;
	set_up(t);
	t->desc->host(t);
}

static void count_checks(struct test *t)
{
	unsigned int i;

	for (i = 0; i < ABI_MAX_VCPUS; i++)
		t->result->nr_checks += t->nr_guest_checks[i];
	if (!t->result->nr_checks && t->result->verdict < VERDICT_ERROR)
		result_worsen(t->result, VERDICT_ERROR, "no check was made");
}

/* The interface that the test judges: the target's own, or the recorder before it. */
static const struct backend *backend_choose(struct test *t, const struct test_setup *setup, struct recorder *recorder)
{
	struct met *met = setup->is_recorded ? met_new() : NULL;

	if (!met)
		return setup->backend;
	recorder_open(recorder, setup->backend, met);
	t->recorder = recorder;
	return &recorder->backend;
}

/* What was met becomes a part of the result. */
static void recorder_end(struct test *t)
{
	if (!t->recorder)
		return;
	t->result->met = met_text(t->recorder->met);
	met_free(t->recorder->met);
	t->recorder = NULL;
}

struct result *test_run_here(const struct test_setup *setup)
{
	const struct test_entry *entry = setup->entry;
	struct sys sys = { 0 };
	struct test t = {
		.desc = entry->desc, .row = entry->row, .mode = entry->mode, .image = entry->image,
		.seed = setup->seed, .sys = &sys, .publish = result_publish,
	};
	struct recorder recorder;
	struct err err;
	uint64_t start = clock_us();

	result_fd = setup->result_fd;
	t.result = result_new(entry->name, setup->target, entry->file);
	t.result->round = setup->round;
	kick_listen();
	if (sys_open(&sys, backend_choose(&t, setup, &recorder), setup->marker, &err)) {
		result_worsen(t.result, VERDICT_ERROR, err.text);
		recorder_end(&t);
		return t.result;
	}
	sys.cpuid = setup->cpuid;
	sys.must_failed = must_failed;
	sys.context = &t;
	current = &t;
	if (setup->is_traced)
		hw_log_open(&t);
	run_guarded(&t);
	test_take_reports(&t);
	count_checks(&t);
	tear_down(&t);
	if (setup->cpuid)
		sys.cpuid = NULL;
	sys_close(&sys);
	recorder_end(&t);
	t.result->duration_us = clock_us() - start;
	return t.result;
}

bool test_publish(const struct test_setup *setup)
{
	struct test t = { .result = test_run_here(setup) };
	bool has_passed = t.result->verdict == VERDICT_PASS;

	result_publish(&t);
	result_free(t.result);
	fflush(NULL);
	return has_passed;
}
