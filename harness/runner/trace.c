/* SPDX-License-Identifier: MIT */
#include "runner/trace.h"

#include <linux/kvm.h>
#include <asm/svm.h>
#include <asm/vmx.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "err.h"

#define PAGE_BYTES 4096
#define NR_DATA_PAGES 64	/* a power of two */
#define DATA_BYTES (NR_DATA_PAGES * PAGE_BYTES)
#define MAX_RECORD_BYTES 4096
#define ISA_VMX 1

enum field { FIELD_REASON, FIELD_RIP, FIELD_ISA, FIELD_INFO1, FIELD_INFO2, FIELD_INTR_INFO, FIELD_ERROR_CODE,
	     FIELD_VCPU, FIELD_MESSAGE, FIELD_ERROR, NR_FIELDS };

static const char *const field_names[NR_FIELDS] = {
	"exit_reason", "guest_rip", "isa", "info1", "info2", "intr_info", "error_code", "vcpu_id", "msg", "err",
};

static const char *const event_names[NR_HW_EXIT_KINDS] = {
	"kvm_exit", "kvm_nested_vmexit", "kvm_nested_vmenter_failed",
};

struct place {
	unsigned int offset;
	unsigned int size;	/* 0: the event has no such field */
};

/*
 * What an event's records look like on this kernel. That does not change while it runs: it is read once, and the tests'
 * processes inherit what the runner has read.
 */
struct event {
	bool is_described;
	uint64_t id;		/* of the tracepoint, common_type in its records */
	struct place places[NR_FIELDS];
};

static struct event events[NR_HW_EXIT_KINDS];

struct trace {
	int fds[NR_HW_EXIT_KINDS];		/* -1: not offered by this kernel */
	struct perf_event_mmap_page *ring;	/* of fds[HW_EXIT]; the others write there too */
	uint64_t nr_lost;
};

/* --- tracefs: what the events look like on this kernel --- */

static FILE *event_open(const char *event, const char *file)
{
	static const char *const roots[] = { "/sys/kernel/tracing", "/sys/kernel/debug/tracing" };
	char path[256];
	FILE *stream = NULL;
	unsigned int i;

	for (i = 0; i < 2 && !stream; i++) {
		snprintf(path, sizeof(path), "%s/events/kvm/%s/%s", roots[i], event, file);
		stream = fopen(path, "re");
	}
	return stream;
}

/* "field:unsigned long guest_rip;	offset:16;	size:8;	signed:0;" */
static void format_take(struct place *places, const char *line)
{
	const char *stop = strchr(line, ';'), *name = stop;
	struct place place;
	unsigned int i;

	if (!strstr(line, "field:") || !stop || sscanf(stop, "; offset:%u; size:%u;", &place.offset, &place.size) != 2)
		return;
	while (name > line && name[-1] != ' ' && name[-1] != '\t')
		name--;
	for (i = 0; i < NR_FIELDS; i++)
		if (strlen(field_names[i]) == (size_t)(stop - name) &&
		    !strncmp(field_names[i], name, stop - name))
			places[i] = place;
}

static int event_describe(enum hw_exit_kind kind)
{
	struct event *event = &events[kind];
	char line[512];
	FILE *file;
	int r;

	if (event->is_described)
		return 0;
	file = event_open(event_names[kind], "id");
	if (!file)
		return -errno;
	r = fscanf(file, "%" SCNu64, &event->id) == 1 ? 0 : -EPROTO;
	fclose(file);
	if (r)
		return r;
	file = event_open(event_names[kind], "format");
	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file))
		format_take(event->places, line);
	fclose(file);
	event->is_described = true;
	return 0;
}

/* --- perf --- */

static int event_listen(struct trace *trace, enum hw_exit_kind kind)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attr),
		.config = events[kind].id,
		.sample_period = 1,
		.sample_type = PERF_SAMPLE_RAW,
		.wakeup_events = 1,
	};
	int fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (kind != HW_EXIT && ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, trace->fds[HW_EXIT])) {
		int error = errno;

		close(fd);
		return -error;
	}
	trace->fds[kind] = fd;
	return 0;
}

static int ring_map(struct trace *trace)
{
	void *ring = mmap(NULL, PAGE_BYTES + DATA_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, trace->fds[HW_EXIT], 0);

	if (ring == MAP_FAILED)
		return -errno;
	trace->ring = ring;
	return 0;
}

int trace_open(struct trace **ret, struct err *err)
{
	struct trace *trace = calloc(1, sizeof(*trace));
	enum hw_exit_kind kind;
	int r = 0;

	if (!trace)
		return -ENOMEM;
	for (kind = 0; kind < NR_HW_EXIT_KINDS; kind++)
		trace->fds[kind] = -1;
	for (kind = 0; kind < NR_HW_EXIT_KINDS && !r; kind++) {
		r = event_describe(kind);
		if (!r)
			r = event_listen(trace, kind);
		if (!r && kind == HW_EXIT)
			r = ring_map(trace);
		/* An older kernel may lack the nested ones. */
		if (r == -ENOENT && kind != HW_EXIT)
			r = 0;
	}
	if (!r) {
		*ret = trace;
		return 0;
	}
	kind--;
	trace_close(trace);
	return err_set(err, -r, "tracepoint kvm:%s: %s", event_names[kind], strerror(-r));
}

void trace_close(struct trace *trace)
{
	enum hw_exit_kind kind;

	if (!trace)
		return;
	if (trace->ring)
		munmap(trace->ring, PAGE_BYTES + DATA_BYTES);
	for (kind = 0; kind < NR_HW_EXIT_KINDS; kind++)
		if (trace->fds[kind] >= 0)
			close(trace->fds[kind]);
	free(trace);
}

uint64_t trace_nr_lost(const struct trace *trace)
{
	return trace->nr_lost;
}

/* --- records --- */

/* A record may wrap around the end of the ring. */
static void ring_copy(const struct trace *trace, uint64_t at, void *to, size_t len)
{
	const uint8_t *data = (const uint8_t *)trace->ring + PAGE_BYTES;
	size_t i;

	for (i = 0; i < len; i++)
		((uint8_t *)to)[i] = data[(at + i) % DATA_BYTES];
}

static uint64_t field_load(const struct place *place, const uint8_t *raw, uint32_t len)
{
	uint64_t value = 0;

	if (place->size && place->size <= 8 && place->offset + place->size <= len)
		memcpy(&value, raw + place->offset, place->size);
	return value;
}

/* A string's field holds its offset in the lower half and its length in the upper. */
static void message_load(char *buf, size_t size, const struct place *place, const uint8_t *raw, uint32_t len)
{
	uint32_t where = field_load(place, raw, len), offset = where & 0xffff, bytes = where >> 16;

	if (offset + bytes > len)
		bytes = 0;
	snprintf(buf, size, "%.*s", (int)bytes, (const char *)raw + offset);
}

static bool sample_decode(const struct trace *trace, const uint8_t *raw, uint32_t len, struct hw_exit *ret)
{
	const struct place *places;
	uint16_t id;
	enum hw_exit_kind kind;

	if (len < sizeof(id))
		return false;
	memcpy(&id, raw, sizeof(id));
	for (kind = 0; kind < NR_HW_EXIT_KINDS; kind++)
		if (trace->fds[kind] >= 0 && events[kind].id == id)
			break;
	if (kind == NR_HW_EXIT_KINDS)
		return false;
	places = events[kind].places;
	*ret = (struct hw_exit){
		.kind = kind,
		.vcpu = field_load(&places[FIELD_VCPU], raw, len),
		.isa = field_load(&places[FIELD_ISA], raw, len),
		.reason = field_load(&places[kind == HW_ENTRY_FAILED ? FIELD_ERROR : FIELD_REASON], raw, len),
		.rip = field_load(&places[FIELD_RIP], raw, len),
		.info1 = field_load(&places[FIELD_INFO1], raw, len),
		.info2 = field_load(&places[FIELD_INFO2], raw, len),
		.intr_info = field_load(&places[FIELD_INTR_INFO], raw, len),
		.error_code = field_load(&places[FIELD_ERROR_CODE], raw, len),
	};
	if (kind == HW_ENTRY_FAILED)
		message_load(ret->check, sizeof(ret->check), &places[FIELD_MESSAGE], raw, len);
	return true;
}

/* Takes one record; true when it was an exit. */
static bool record_take(struct trace *trace, uint64_t at, const struct perf_event_header *header,
			struct hw_exit *ret)
{
	uint8_t body[MAX_RECORD_BYTES];
	uint64_t lost;
	uint32_t len = header->size - sizeof(*header), raw_len;

	if (len > sizeof(body))
		return false;
	ring_copy(trace, at + sizeof(*header), body, len);
	if (header->type == PERF_RECORD_LOST && len >= 16) {
		memcpy(&lost, body + 8, sizeof(lost));
		trace->nr_lost += lost;
	}
	if (header->type != PERF_RECORD_SAMPLE || len < sizeof(raw_len))
		return false;
	memcpy(&raw_len, body, sizeof(raw_len));
	if (raw_len > len - sizeof(raw_len))
		return false;
	return sample_decode(trace, body + sizeof(raw_len), raw_len, ret);
}

bool trace_next(struct trace *trace, struct hw_exit *ret)
{
	struct perf_event_mmap_page *ring = trace->ring;
	uint64_t head = __atomic_load_n(&ring->data_head, __ATOMIC_ACQUIRE), tail = ring->data_tail;
	struct perf_event_header header;
	bool found = false;

	while (tail < head && !found) {
		ring_copy(trace, tail, &header, sizeof(header));
		if (header.size < sizeof(header))
			break;
		found = record_take(trace, tail, &header, ret);
		tail += header.size;
	}
	__atomic_store_n(&ring->data_tail, tail, __ATOMIC_RELEASE);
	return found;
}

/* --- names --- */

struct reason_name {
	uint64_t reason;
	const char *name;
};

static const struct reason_name svm_names[] = { SVM_EXIT_REASONS };
static const struct reason_name vmx_names[] = { VMX_EXIT_REASONS };

static const char *reason_find(const struct reason_name *names, size_t nr, uint64_t reason)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (names[i].reason == reason)
			return names[i].name;
	return "unnamed";
}

const char *hw_exit_reason_name(uint32_t isa, uint64_t reason)
{
	if (isa == ISA_VMX)
		return reason_find(vmx_names, sizeof(vmx_names) / sizeof(vmx_names[0]), reason & 0xffff);
	return reason_find(svm_names, sizeof(svm_names) / sizeof(svm_names[0]), reason);
}

int hw_exit_format(char *buf, size_t len_bytes, const struct hw_exit *exit)
{
	if (exit->kind == HW_ENTRY_FAILED)
		return snprintf(buf, len_bytes, "nested entry refused: %s (error %" PRIu64 ")", exit->check,
				exit->reason);
	return snprintf(buf, len_bytes, "%s vcpu %u %s (0x%" PRIx64 ") rip 0x%" PRIx64 " info1 0x%" PRIx64
			" info2 0x%" PRIx64 " intr_info 0x%x error_code 0x%x",
			exit->kind == HW_NESTED_EXIT ? "nested exit" : "exit", exit->vcpu,
			hw_exit_reason_name(exit->isa, exit->reason), exit->reason, exit->rip, exit->info1,
			exit->info2, exit->intr_info, exit->error_code);
}
