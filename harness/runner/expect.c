/* SPDX-License-Identifier: MIT */
/*
 * The checks of case.h: run to an exit, compare the whole of it, note want and got.
 */
#include "case.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backend/recorder.h"
#include "elf/guest_elf.h"
#include "reports/result.h"
#include "runner/quirks.h"
#include "runner/registry.h"
#include "runner/test.h"

#define TEXT_BYTES 1024

/* --- notes --- */

/* @vcpu is whose state is shown. */
static void check_failed_on(struct test *t, struct vcpu *vcpu, struct check_at at, const char *text, const char *want,
			    const char *got, const char *fields)
{
	struct note note = {
		.kind = NOTE_CHECK,
		.file = (char *)at.file,
		.line = at.line,
		.text = (char *)text,
		.want = (char *)want,
		.got = (char *)got,
		.fields = (char *)fields,
	};

	result_add_note(t->result, &note);
	result_worsen(t->result, VERDICT_FAIL, NULL);
	t->publish(t);
	if (vcpu && t->has_run)
		test_dump(t, vcpu);
	if (at.kind == CHECK_REQUIRE)
		test_stop(t);
}

static void check_failed(struct test *t, struct check_at at, const char *text, const char *want, const char *got,
			 const char *fields)
{
	check_failed_on(t, t->vcpu, at, text, want, got, fields);
}

static const char *errno_text(long result, char *buf, size_t len)
{
	const char *name = result < 0 ? strerrorname_np(-result) : NULL;

	if (name)
		snprintf(buf, len, "%s", name);
	else
		snprintf(buf, len, "%ld", result);
	return buf;
}

/* --- what was met: only where the test is recorded --- */

static int64_t exit_part(const struct exit_record *exit)
{
	switch (exit->reason) {
	case KVM_EXIT_INTERNAL_ERROR: return exit->internal.suberror;
	case KVM_EXIT_SYSTEM_EVENT: return exit->system_event.type;
	default: return MET_NO_PART;
	}
}

static void met_exit(const struct test *t, const struct exit_record *exit)
{
	if (t->recorder)
		met_add(t->recorder->met, (struct met_fact){ MET_EXIT, exit->reason, exit_part(exit) });
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), len_end = strlen(end);

	return len >= len_end && !strcmp(text + len - len_end, end);
}

/* A number that was to be @got: a call's result, or a field of an exit that a case looks at by itself. */
static void met_number(const struct test *t, const char *text, int64_t got)
{
	if (!t->recorder)
		return;
	if (got < 0 && got > -RECORDER_MAX_ERRNO)
		recorder_assert(t->recorder, -got);
	else if (ends_with(text, "exit_reason"))
		met_add(t->recorder->met, (struct met_fact){ MET_EXIT, got, MET_NO_PART });
	else if (ends_with(text, "suberror"))
		met_add(t->recorder->met, (struct met_fact){ MET_EXIT, KVM_EXIT_INTERNAL_ERROR, got });
}

static void met_by_guest(const struct test *t, const struct abi_page *page)
{
	static const enum met_kind kinds[] = { MET_SVM, MET_SVM_OFF, MET_VMX, MET_VMX_OFF };
	uint32_t i;

	for (i = 0; t->recorder && i < page->nr_met && i < ABI_MAX_MET; i++) {
		unsigned int kind = page->met[i] / ABI_MET_SVM - 1, code = page->met[i] & ABI_MET_CODE;

		if (kind < sizeof(kinds) / sizeof(kinds[0]))
			met_add(t->recorder->met, (struct met_fact){ kinds[kind], code, MET_NO_PART });
	}
}

/* --- what the guest reported --- */

static const char *const vector_names[32] = {
	"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "#9", "#TS", "#NP", "#SS", "#GP", "#PF", "#15",
	"#MF", "#AC", "#MC", "#XM", "#VE", "#CP", "#22", "#23", "#24", "#25", "#26", "#27", "#HV", "#VC", "#SX", "#31",
};

static const char *fault_text(uint64_t packed, char *buf, size_t len)
{
	int32_t vector = packed >> 32;

	if (vector == NO_VECTOR)
		snprintf(buf, len, "no fault");
	else if (vector < 32)
		snprintf(buf, len, "%s(0x%x)", vector_names[vector], (uint32_t)packed);
	else
		snprintf(buf, len, "interrupt 0x%x", vector);
	return buf;
}

/* A string of the guest's image; bounded, and never outside its RAM. */
static const char *guest_string(struct vm *vm, uint64_t gpa, char *buf, size_t len)
{
	size_t i;

	for (i = 0; i + 1 < len; i++) {
		const char *at = vm_hva_try(vm, gpa + i, 1);

		if (!at || !*at)
			break;
		buf[i] = *at;
	}
	buf[i] = '\0';
	return buf;
}

static void record_take(struct test *t, struct vm *vm, const struct abi_record *record)
{
	char file[256], text[256], want[64], got[64];
	struct note note = {
		.kind = record->kind == ABI_RECORD_MESSAGE ? NOTE_MESSAGE : NOTE_CHECK,
		.line = record->line,
		.file = (char *)guest_string(vm, record->file, file, sizeof(file)),
		.text = (char *)guest_string(vm, record->text, text, sizeof(text)),
	};

	switch (record->kind) {
	case ABI_RECORD_MESSAGE:
		snprintf(text + strlen(text), sizeof(text) - strlen(text), " 0x%" PRIx64, record->got);
		break;
	case ABI_RECORD_FAULT:
		note.want = (char *)fault_text(record->want, want, sizeof(want));
		note.got = (char *)fault_text(record->got, got, sizeof(got));
		break;
	default:
		snprintf(want, sizeof(want), "0x%" PRIx64, record->want);
		snprintf(got, sizeof(got), "0x%" PRIx64, record->got);
		note.want = want;
		note.got = got;
	}
	result_add_note(t->result, &note);
	if (note.kind == NOTE_CHECK)
		result_worsen(t->result, VERDICT_FAIL, NULL);
}

/* The vCPU's report page; NULL when it has none. A case may make a guest's vCPU by itself. */
static struct abi_page *report_of(const struct test *t, struct vcpu *vcpu)
{
	if (!vcpu->report && t->mode != NO_GUEST && vcpu->id < ABI_MAX_VCPUS)
		vcpu->report = vm_hva_try(vcpu->vm, ABI_GPA + vcpu->id * ABI_PAGE_BYTES, sizeof(struct abi_page));
	return vcpu->report;
}

static void page_take(struct test *t, struct vcpu *vcpu)
{
	const struct abi_page *page = report_of(t, vcpu);
	uint32_t nr, i, *nr_taken;

	if (!page)
		return;
	nr_taken = &t->nr_records_taken[vcpu->id];
	nr = page->nr_records;
	for (i = *nr_taken; i < nr && i < ABI_MAX_RECORDS; i++)
		record_take(t, vcpu->vm, &page->records[i]);
	if (nr > ABI_MAX_RECORDS && *nr_taken <= ABI_MAX_RECORDS)
		test_note_reason(t, VERDICT_FAIL, "%u more guest reports did not fit the report page",
				 nr - ABI_MAX_RECORDS);
	if (nr != *nr_taken) {
		*nr_taken = nr;
		t->publish(t);
	}
	t->nr_guest_checks[vcpu->id] = page->nr_checks;
	met_by_guest(t, page);
}

void test_take_reports(struct test *t)
{
	unsigned int i;

	for (i = 0; t->vm && i < t->vm->nr_vcpus; i++)
		page_take(t, t->vm->vcpus[i]);
}

/* --- running --- */

static void guest_died(struct test *t, struct vcpu *vcpu, const struct abi_page *page)
{
	char where[256], what[64];

	if (!t->elf || guest_elf_line(t->elf, page->fault.rip, where, sizeof(where)))
		snprintf(where, sizeof(where), "unknown code");
	fault_text((uint64_t)(uint32_t)page->fault.vector << 32 | page->fault.error_code, what, sizeof(what));
	t->is_over = true;
	test_note_reason(t, VERDICT_FAIL, "vCPU %u of the guest took %s that nobody expected, at %s, RIP 0x%" PRIx64
			 ", CR2 0x%" PRIx64, vcpu->id, what, where, page->fault.rip, page->fault.cr2);
	test_dump(t, vcpu);
}

static void timed_out(struct test *t, struct vcpu *vcpu)
{
	t->is_over = true;
	if (t->was_running)
		test_note_reason(t, VERDICT_FAIL, "hang: vCPU %u did not leave KVM_RUN in time", vcpu->id);
	else
		test_note_reason(t, VERDICT_ERROR, "out of time outside KVM_RUN");
	test_dump(t, vcpu);
	test_stop(t);
}

/* True when the vCPU left with an exit and its guest is alive. Note, t->exit is still that of an earlier run. */
static bool run_to_exit(struct test *t, struct vcpu *vcpu, struct check_at at)
{
	const struct abi_page *page = report_of(t, vcpu);
	char text[64];
	int r;

	if (t->is_over) {
		check_failed(t, at, "an exit, but the guest is over", NULL, NULL, NULL);
		return false;
	}
	r = vcpu_run_try(vcpu);
	t->has_run = true;
	if (t->is_timed_out)
		timed_out(t, vcpu);
	if (page && page->nr_records != t->nr_records_taken[vcpu->id])
		test_take_reports(t);
	if (r) {
		check_failed(t, at, "KVM_RUN", "an exit", errno_text(r, text, sizeof(text)), NULL);
		return false;
	}
	if (page && page->state == ABI_STATE_DIED) {
		guest_died(t, vcpu, page);
		return false;
	}
	return true;
}

static bool exit_matches(struct test *t, struct check_at at, const struct exit_record *want)
{
	char want_text[TEXT_BYTES], got_text[TEXT_BYTES], fields[256];

	exit_decode(&t->exit, t->vcpu->run);
	if (exit_equal(want, &t->exit, fields, sizeof(fields))) {
		met_exit(t, want);
		return true;
	}
	exit_format_pair(want_text, got_text, TEXT_BYTES, want, &t->exit);
	check_failed(t, at, "the exit differs", want_text, got_text, fields);
	return false;
}

/* True when the last exit is the runtime's OUT to @port. */
static bool is_runtime_exit(const struct test *t, uint16_t port)
{
	return t->exit.reason == KVM_EXIT_IO && t->exit.io.direction == KVM_EXIT_IO_OUT && t->exit.io.port == port;
}

/*
 * The guest is at its end or at a stage when an ordinary exit was due: the exit is missing. (The exits at DONE_PORT and
 * SYNC_PORT are the runtime's, a case never names them.) Note, an exit right behind the OUT of a stage, an interrupt
 * window say, finds the page still in that state.
 */
static bool is_missing(struct test *t, struct check_at at, const struct exit_record *want)
{
	const struct abi_page *page = report_of(t, t->vcpu);
	char want_text[TEXT_BYTES], got_text[64];

	exit_decode(&t->exit, t->vcpu->run);
	if (!page || (page->state != ABI_STATE_DONE && page->state != ABI_STATE_SYNC))
		return false;
	if (!is_runtime_exit(t, page->state == ABI_STATE_DONE ? DONE_PORT : SYNC_PORT))
		return false;
	exit_format(want_text, TEXT_BYTES, want);
	if (page->state == ABI_STATE_DONE) {
		t->is_over = true;
		snprintf(got_text, sizeof(got_text), "no exit, the guest is done");
	} else {
		snprintf(got_text, sizeof(got_text), "no exit, the guest is at stage %u", page->stage);
	}
	check_failed(t, at, "the exit is missing", want_text, got_text, "reason");
	return true;
}

/* Runs to an exit that is the guest's own; false when none came. */
static bool run_expecting(struct test *t, struct check_at at)
{
	t->result->nr_checks++;
	if (run_to_exit(t, t->vcpu, at))
		return true;
	if (at.kind == CHECK_REQUIRE)
		test_stop(t);
	return false;
}

bool test_check_exit(struct test *t, struct check_at at, const struct exit_record *want)
{
	return run_expecting(t, at) && !is_missing(t, at, want) && exit_matches(t, at, want);
}

/*
 * The two exits that a run loop meets all the time are compared where KVM left them: decoding costs more than all the
 * rest of the loop. Whatever does not match at once is looked at again, whole.
 */
static bool check_pio_whole(struct test *t, struct check_at at, const struct exit_io *want)
{
	const struct exit_record record = { .reason = KVM_EXIT_IO, .io = *want };

	return !is_missing(t, at, &record) && exit_matches(t, at, &record);
}

bool test_check_pio(struct test *t, struct check_at at, const struct exit_io *want)
{
	const struct abi_page *page = report_of(t, t->vcpu);

	if (!run_expecting(t, at))
		return false;
	if ((page && page->state != ABI_STATE_RUNNING) || !exit_is_io(t->vcpu->run, want))
		return check_pio_whole(t, at, want);
	t->exit.reason = KVM_EXIT_IO;
	t->exit.io = *want;
	met_exit(t, &t->exit);
	return true;
}

static bool check_mmio_whole(struct test *t, struct check_at at, const struct exit_mmio *want)
{
	const struct exit_record record = { .reason = KVM_EXIT_MMIO, .mmio = *want };

	return !is_missing(t, at, &record) && exit_matches(t, at, &record);
}

bool test_check_mmio(struct test *t, struct check_at at, const struct exit_mmio *want)
{
	const struct abi_page *page = report_of(t, t->vcpu);

	if (!run_expecting(t, at))
		return false;
	if ((page && page->state != ABI_STATE_RUNNING) || !exit_is_mmio(t->vcpu->run, want))
		return check_mmio_whole(t, at, want);
	t->exit.reason = KVM_EXIT_MMIO;
	t->exit.mmio = *want;
	met_exit(t, &t->exit);
	return true;
}

bool test_check_pio_in(struct test *t, struct check_at at, const struct exit_io *want, const void *reply,
		       uint64_t value)
{
	const struct kvm_run *run;
	size_t len;

	if (!test_check_pio(t, at, want))
		return false;
	run = t->vcpu->run;
	len = (size_t)run->io.size * run->io.count;
	if (!reply && len > sizeof(value))
		len = sizeof(value);
	memcpy((uint8_t *)run + run->io.data_offset, reply ? reply : &value, len);
	return true;
}

bool test_check_mmio_read(struct test *t, struct check_at at, const struct exit_mmio *want, uint64_t value)
{
	if (!test_check_mmio(t, at, want))
		return false;
	memcpy(t->vcpu->run->mmio.data, &value, sizeof(value));
	return true;
}

static bool check_state(struct test *t, struct check_at at, enum abi_state state, uint16_t port, const char *text)
{
	const struct exit_record want = {
		.reason = KVM_EXIT_IO,
		.io = { .direction = KVM_EXIT_IO_OUT, .port = port, .size = 1, .count = 1 },
	};
	static const char *const state_names[] = { "reset", "running", "at a stage", "done", "dead" };
	const struct abi_page *page = report_of(t, t->vcpu);
	char got[TEXT_BYTES];

	if (!run_expecting(t, at))
		return false;
	if (page && page->state == state) {
		t->is_over = state == ABI_STATE_DONE;
		return exit_matches(t, at, &want);
	}
	if (page && page->state == ABI_STATE_DONE)
		t->is_over = true;
	exit_decode(&t->exit, t->vcpu->run);
	exit_format(got, sizeof(got), &t->exit);
	snprintf(got + strlen(got), sizeof(got) - strlen(got), " (guest: %s)",
		 page && page->state <= ABI_STATE_DIED ? state_names[page->state] : "unknown");
	check_failed(t, at, "an exit that nobody expected", text, got, "reason");
	return false;
}

bool test_check_done(struct test *t, struct check_at at)
{
	return check_state(t, at, ABI_STATE_DONE, DONE_PORT, "the guest is done");
}

bool test_check_sync(struct test *t, struct check_at at, uint32_t stage)
{
	char text[64];

	snprintf(text, sizeof(text), "the guest is at stage %u", stage);
	if (!check_state(t, at, ABI_STATE_SYNC, SYNC_PORT, text))
		return false;
	return test_check_u64(t, at, "the guest's stage", stage, ((struct abi_page *)t->vcpu->report)->stage);
}

bool test_check_run_error(struct test *t, struct check_at at, int error)
{
	int r;

	r = vcpu_run_try(t->vcpu);
	t->has_run = true;
	if (t->is_timed_out)
		timed_out(t, t->vcpu);
	exit_decode(&t->exit, t->vcpu->run);
	test_take_reports(t);
	return test_check_result(t, at, "KVM_RUN", -error, r);
}

/* --- all vCPUs at once --- */

struct runner_thread {
	pthread_t thread;
	struct vcpu *vcpu;
	int error;
};

static bool is_yield(const struct kvm_run *run)
{
	return run->exit_reason == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_OUT && run->io.port == YIELD_PORT;
}

static void *thread_run(void *argument)
{
	struct runner_thread *self = argument;

	self->vcpu->tid = syscall(SYS_gettid);
	for (;;) {
		self->error = vcpu_run_try(self->vcpu);
		if (self->error || !is_yield(self->vcpu->run))
			break;
		sched_yield();
	}
	self->vcpu->tid = 0;
	return NULL;
}

static bool check_one_done(struct test *t, struct check_at at, const struct runner_thread *self)
{
	const struct abi_page *page = report_of(t, self->vcpu);
	char got[TEXT_BYTES], text[64];

	t->result->nr_checks++;
	exit_decode(&t->exit, self->vcpu->run);
	if (page && page->state == ABI_STATE_DIED) {
		guest_died(t, self->vcpu, page);
		return false;
	}
	if (!self->error && page && page->state == ABI_STATE_DONE)
		return true;
	snprintf(text, sizeof(text), "vCPU %u is done", self->vcpu->id);
	if (self->error)
		errno_text(self->error, got, sizeof(got));
	else
		exit_format(got, sizeof(got), &t->exit);
	check_failed_on(t, self->vcpu, at, "an exit that nobody expected", text, got, "reason");
	return false;
}

bool test_check_all_done(struct test *t, struct check_at at)
{
	struct runner_thread threads[VM_MAX_VCPUS];
	unsigned int i, nr = t->vm->nr_vcpus;
	bool all = true;

	t->has_run = true;
	for (i = 0; i < nr; i++) {
		threads[i] = (struct runner_thread){ .vcpu = t->vm->vcpus[i] };
		if (pthread_create(&threads[i].thread, NULL, thread_run, &threads[i]))
			test_error(t, "cannot start a thread for vCPU %u", i);
	}
	for (i = 0; i < nr; i++)
		pthread_join(threads[i].thread, NULL);
	test_take_reports(t);
	t->is_over = true;
	if (t->is_timed_out)
		for (i = 0; i < nr; i++)
			if (threads[i].error)
				timed_out(t, threads[i].vcpu);
	for (i = 0; i < nr; i++)
		all &= check_one_done(t, at, &threads[i]);
	if (!all && at.kind == CHECK_REQUIRE)
		test_stop(t);
	return all;
}

/* --- values --- */

bool test_check_u64(struct test *t, struct check_at at, const char *text, uint64_t want, uint64_t got)
{
	char want_text[32], got_text[32];

	t->result->nr_checks++;
	if (want == got) {
		met_number(t, text, got);
		return true;
	}
	snprintf(want_text, sizeof(want_text), "0x%" PRIx64, want);
	snprintf(got_text, sizeof(got_text), "0x%" PRIx64, got);
	check_failed(t, at, text, want_text, got_text, NULL);
	return false;
}

bool test_check_result(struct test *t, struct check_at at, const char *text, long want, long got)
{
	char want_text[64], got_text[64];

	t->result->nr_checks++;
	if (want == got) {
		met_number(t, text, got);
		return true;
	}
	check_failed(t, at, text, errno_text(want, want_text, sizeof(want_text)),
		     errno_text(got, got_text, sizeof(got_text)), NULL);
	return false;
}

bool test_check_text(struct test *t, struct check_at at, const char *text, const char *want, const char *got)
{
	t->result->nr_checks++;
	if (!strcmp(want, got))
		return true;
	check_failed(t, at, text, want, got, NULL);
	return false;
}

bool test_check_true(struct test *t, struct check_at at, const char *text, bool holds)
{
	t->result->nr_checks++;
	if (!holds)
		check_failed(t, at, text, "true", "false", NULL);
	return holds;
}

static void bytes_text(char *buf, size_t len, const uint8_t *bytes, size_t nr)
{
	size_t i;

	buf[0] = '\0';
	for (i = 0; i < nr && i * 3 + 4 < len; i++)
		sprintf(buf + i * 3, "%02x ", bytes[i]);
}

bool test_check_bytes(struct test *t, struct check_at at, const char *text, const void *want, const void *got,
		      size_t len_bytes)
{
	const uint8_t *w = want, *g = got;
	char want_text[128], got_text[128], fields[64];
	size_t first, shown;

	t->result->nr_checks++;
	for (first = 0; first < len_bytes && w[first] == g[first]; first++)
		;
	if (first == len_bytes)
		return true;
	shown = len_bytes - first < 16 ? len_bytes - first : 16;
	bytes_text(want_text, sizeof(want_text), w + first, shown);
	bytes_text(got_text, sizeof(got_text), g + first, shown);
	snprintf(fields, sizeof(fields), "byte %zu on, of %zu", first, len_bytes);
	check_failed(t, at, text, want_text, got_text, fields);
	return false;
}

bool test_check_regs(struct test *t, struct check_at at, const struct kvm_regs *want, const struct kvm_regs *got)
{
	char want_text[TEXT_BYTES], got_text[TEXT_BYTES], fields[TEXT_BYTES];

	t->result->nr_checks++;
	if (regs_equal(want, got, fields, want_text, got_text, TEXT_BYTES))
		return true;
	check_failed(t, at, "struct kvm_regs", want_text, got_text, fields);
	return false;
}

bool test_check_sregs(struct test *t, struct check_at at, const struct kvm_sregs *want, const struct kvm_sregs *got)
{
	char want_text[TEXT_BYTES], got_text[TEXT_BYTES], fields[TEXT_BYTES];
	struct kvm_sregs want_here = *want;

	/* What no CPU has touched yet is as KVM was told. */
	if (t->has_run)
		quirks_shift_sregs(t->result->target, &want_here, got);
	t->result->nr_checks++;
	if (sregs_equal(&want_here, got, fields, want_text, got_text, TEXT_BYTES))
		return true;
	check_failed(t, at, "struct kvm_sregs", want_text, got_text, fields);
	return false;
}
