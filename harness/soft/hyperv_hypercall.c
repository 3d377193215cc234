/* SPDX-License-Identifier: MIT */
/* Hyper-V's hypercalls: TLFS, 3 (inputs, statuses), 7.8.7.3 (sparse sets), 10.5 (IPIs), 11.11; KVM API, 4.112. */
#include "soft/hyperv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "soft/private.h"
#include "vm/x86/bits.h"

#define CONNECTION_MASK 0xffffffull
#define FLAG_NUMBER 0xffff00000000ull
#define INPUT_RESERVED 0xf000f00078000000ull
#define LEAF_FEATURES 0x40000003u
#define LEAF_RECOMMENDED 0x40000004u
#define EAX 0
#define EBX 1
#define EDX 3
#define FEATURE_POST 4
#define FEATURE_SIGNAL 5
#define FEATURE_DEBUG 11
#define FEATURE_XMM 4
#define RECOMMENDS_FLUSH 2
#define RECOMMENDS_IPI 10
#define RECOMMENDS_SETS 11
#define FLUSH_ALL 1ull
#define SET_SPARSE 0
#define FIRST_VECTOR 0x10
#define LAST_VECTOR 0xff
#define MAX_BANKS 64
#define NR_XMM_WORDS 12
#define DEBUG_USES_HYPERCALLS 4ull

enum hyperv_call {
	CALL_FLUSH_SPACE = 2, CALL_FLUSH_LIST = 3, CALL_SPIN_WAIT = 8, CALL_SEND_IPI = 0xb, CALL_FLUSH_SPACE_EX = 0x13,
	CALL_FLUSH_LIST_EX = 0x14, CALL_SEND_IPI_EX = 0x15, CALL_POST_MESSAGE = 0x5c, CALL_SIGNAL_EVENT = 0x5d,
	CALL_POST_DEBUG = 0x69, CALL_RETRIEVE_DEBUG = 0x6a, CALL_RESET_DEBUG = 0x6b,
};

enum hyperv_status {
	STATUS_OK = 0, INVALID_CODE = 2, INVALID_INPUT = 3, INVALID_ALIGNMENT = 4, INVALID_PARAMETER = 5,
	ACCESS_DENIED = 6, OPERATION_DENIED = 8, INVALID_PORT = 17,
};

/* A hypercall as its registers have it: TLFS, 3.7. */
struct hypercall {
	uint64_t control, input, output;	/* of a fast one, the latter are its first two words */
	uint16_t code, nr_variable, nr_repetitions;
	bool is_fast, is_repeated;
	uint64_t xmm[NR_XMM_WORDS];
};

bool hyperv_has_hypercalls(const struct soft_vcpu *vcpu)
{
	return vcpu->hyperv.is_there && vcpu->vm->hyperv.os_id;
}

/* --- events: KVM_HYPERV_EVENTFD --- */

struct soft_hyperv_event {
	struct soft_hyperv_event *next;
	uint32_t connection;
	int fd;			/* ours */
};

void hyperv_events_free(struct soft_vm *vm)
{
	struct soft_hyperv_event *event, *next;

	for (event = vm->hyperv.events; event; event = next) {
		next = event->next;
		close(event->fd);
		free(event);
	}
}

static struct soft_hyperv_event **event_find(struct soft_vm *vm, uint64_t connection)
{
	struct soft_hyperv_event **place = &vm->hyperv.events;

	while (*place && (*place)->connection != connection)
		place = &(*place)->next;
	return place;
}

static int event_assign(struct soft_vm *vm, const struct kvm_hyperv_eventfd *args)
{
	struct soft_hyperv_event **place = event_find(vm, args->conn_id), *event;
	int fd = eventfd_take(args->fd);

	if (fd < 0)
		return fd;
	event = *place ? NULL : malloc(sizeof(*event));
	if (!event) {
		close(fd);
		return *place ? -EEXIST : -ENOMEM;
	}
	*event = (struct soft_hyperv_event) { .connection = args->conn_id, .fd = fd };
	*place = event;
	return 0;
}

static int event_deassign(struct soft_vm *vm, uint32_t connection)
{
	struct soft_hyperv_event **place = event_find(vm, connection), *event = *place;

	if (!event)
		return -ENOENT;
	*place = event->next;
	close(event->fd);
	free(event);
	return 0;
}

static long answer_eventfd(struct call *call)
{
	const struct kvm_hyperv_eventfd *args = call->data;
	long r;

	if ((args->flags & ~(uint32_t)KVM_HYPERV_EVENTFD_DEASSIGN) || (args->conn_id & ~CONNECTION_MASK))
		return -EINVAL;
	vm_lock(call->vm);
	r = args->flags ? event_deassign(call->vm, args->conn_id) : event_assign(call->vm, args);
	vm_unlock(call->vm);
	return r;
}

const struct answer hyperv_answers[] = {
	{ KVM_HYPERV_EVENTFD, answer_eventfd, false },
	{ 0, NULL, false },
};

static enum hyperv_status event_signal(struct soft_vcpu *vcpu, struct hypercall *call)
{
	static const uint64_t one = 1;
	const struct soft_hyperv_event *event;
	ssize_t written;

	if (!call->is_fast && (call->input & 7 ||
	    guest_read(vcpu_space(vcpu), call->input, &call->input, sizeof(call->input))))
		return INVALID_ALIGNMENT;
	/* Nobody has more than the first flag. */
	if (call->input & FLAG_NUMBER)
		return INVALID_PORT;
	if (call->input & ~CONNECTION_MASK)
		return INVALID_INPUT;
	event = *event_find(vcpu->vm, call->input);
	if (!event)
		return INVALID_PORT;
	written = write(event->fd, &one, sizeof(one));
	(void)written;	/* a full counter stays full */
	return STATUS_OK;
}

/* --- sets of virtual processors --- */

struct vp_set {
	bool is_all;
	uint64_t bank_mask;		/* of the banks that there are, one behind the other */
	uint64_t banks[MAX_BANKS];
};

static bool set_has(const struct vp_set *set, uint64_t vp_index)
{
	uint64_t bank = vp_index / 64, below;

	if (set->is_all)
		return true;
	if (bank >= MAX_BANKS || !(set->bank_mask >> bank & 1))
		return false;
	below = set->bank_mask & ((1ull << bank) - 1);
	return set->banks[__builtin_popcountll(below)] >> vp_index % 64 & 1;
}

/* The banks behind a head of @head_bytes in memory, or of @nr_words in the registers. */
static bool banks_read(struct soft_vcpu *vcpu, const struct hypercall *call, size_t head_bytes, unsigned int nr_words,
	struct vp_set *set)
{
	unsigned int nr = call->nr_variable;

	if (!call->is_fast)
		return nr <= MAX_BANKS &&
			!guest_read(vcpu_space(vcpu), call->input + head_bytes, set->banks, nr * sizeof(*set->banks));
	if (nr > NR_XMM_WORDS - nr_words)
		return false;
	memcpy(set->banks, call->xmm + nr_words, nr * sizeof(*set->banks));
	return true;
}

static bool set_read(struct soft_vcpu *vcpu, const struct hypercall *call, uint64_t format, size_t head_bytes,
	unsigned int nr_words, struct vp_set *set)
{
	if (call->nr_variable != __builtin_popcountll(set->bank_mask))
		return false;
	set->is_all = format != SET_SPARSE;
	return set->is_all || banks_read(vcpu, call, head_bytes, nr_words, set);
}

/* --- TLB flushes: nobody's translations are believed any more --- */

static void tlbs_flush(struct soft_vm *vm, const struct vp_set *set)
{
	unsigned int i;

	for (i = 0; i < vm->nr_vcpus; i++)
		if (set_has(set, vm->vcpus[i]->hyperv.vp_index))
			vm->vcpus[i]->asid_generation = vm->vcpus[i]->nested.l1_asid_generation = 0;
}

/* Address space, flags, and one mask of processors. */
static bool flush_read(struct soft_vcpu *vcpu, const struct hypercall *call, struct vp_set *set)
{
	uint64_t words[3] = { call->input, call->output, call->xmm[0] };

	if (!call->is_fast && guest_read(vcpu_space(vcpu), call->input, words, sizeof(words)))
		return false;
	set->is_all = (words[1] & FLUSH_ALL) || !words[2];
	set->bank_mask = 1;
	set->banks[0] = words[2];
	return true;
}

/* Address space, flags, format, banks that there are. */
static bool flush_ex_read(struct soft_vcpu *vcpu, const struct hypercall *call, struct vp_set *set)
{
	uint64_t words[4] = { call->input, call->output, call->xmm[0], call->xmm[1] };

	if (!call->is_fast && guest_read(vcpu_space(vcpu), call->input, words, sizeof(words)))
		return false;
	set->bank_mask = words[3];
	return set_read(vcpu, call, words[2], sizeof(words), 2, set);
}

static uint64_t flush(struct soft_vcpu *vcpu, const struct hypercall *call, bool is_ex)
{
	struct vp_set set = { 0 };

	if (!(is_ex ? flush_ex_read(vcpu, call, &set) : flush_read(vcpu, call, &set)))
		return INVALID_INPUT;
	tlbs_flush(vcpu->vm, &set);
	return STATUS_OK | (uint64_t)call->nr_repetitions << 32;
}

/* --- IPIs --- */

static void ipis_send(struct soft_vm *vm, uint8_t vector, const struct vp_set *set)
{
	const struct apic_message message = { .delivery = APIC_FIXED, .vector = vector };
	unsigned int i;

	for (i = 0; i < vm->nr_vcpus; i++)
		if (vm->vcpus[i]->chips.has_lapic && set_has(set, vm->vcpus[i]->hyperv.vp_index))
			lapic_accept(&vm->vcpus[i]->chips.lapic, &message);
}

/* In memory the vector has 32 bits, and what is reserved behind it. */
static bool ipi_read(struct soft_vcpu *vcpu, const struct hypercall *call, uint64_t *ret_vector, struct vp_set *set)
{
	uint64_t words[2] = { call->input, call->output };

	if (!call->is_fast) {
		if (guest_read(vcpu_space(vcpu), call->input, words, sizeof(words)))
			return false;
		words[0] = (uint32_t)words[0];
	}
	*ret_vector = words[0];
	set->bank_mask = 1;
	set->banks[0] = words[1];
	return true;
}

static bool ipi_ex_read(struct soft_vcpu *vcpu, const struct hypercall *call, uint64_t *ret_vector, struct vp_set *set)
{
	uint64_t words[3] = { call->input, call->output, call->xmm[0] };

	if (!call->is_fast && guest_read(vcpu_space(vcpu), call->input, words, sizeof(words)))
		return false;
	*ret_vector = (uint32_t)words[0];
	set->bank_mask = words[2];
	return set_read(vcpu, call, words[1], sizeof(words), 1, set);
}

static uint64_t send_ipi(struct soft_vcpu *vcpu, const struct hypercall *call, bool is_ex)
{
	struct vp_set set = { 0 };
	uint64_t vector;

	if (!(is_ex ? ipi_ex_read(vcpu, call, &vector, &set) : ipi_read(vcpu, call, &vector, &set)))
		return INVALID_INPUT;
	if (vector < FIRST_VECTOR || vector > LAST_VECTOR)
		return INVALID_INPUT;
	ipis_send(vcpu->vm, (uint8_t)vector, &set);
	return STATUS_OK;
}

/* --- the call --- */

static uint64_t pair(const struct soft_vcpu *vcpu, unsigned int high, unsigned int low)
{
	return vcpu->regs[high] << 32 | (uint32_t)vcpu->regs[low];
}

static struct hypercall call_of(const struct soft_vcpu *vcpu)
{
	struct hypercall call;

	if (save_is_64bit(&vcpu->vmcb->save)) {
		call.control = vcpu->regs[REG_RCX];
		call.input = vcpu->regs[REG_RDX];
		call.output = vcpu->regs[8];
	} else {
		call.control = pair(vcpu, REG_RDX, REG_RAX);
		call.input = pair(vcpu, REG_RBX, REG_RCX);
		call.output = pair(vcpu, REG_RDI, REG_RSI);
	}
	call.code = (uint16_t)call.control;
	call.is_fast = call.control >> 16 & 1;
	call.nr_variable = call.control >> 17 & 0x3ff;
	call.nr_repetitions = call.control >> 32 & 0xfff;
	call.is_repeated = call.control >> 32 & 0x0fff0fff;
	memcpy(call.xmm, vcpu->cpu->fpu.xmm, sizeof(call.xmm));
	return call;
}

static int call_finish(struct soft_vcpu *vcpu, uint64_t result)
{
	if (save_is_64bit(&vcpu->vmcb->save)) {
		vcpu->regs[REG_RAX] = result;
	} else {
		vcpu->regs[REG_RAX] = (uint32_t)result;
		vcpu->regs[REG_RDX] = result >> 32;
	}
	return instruction_skip(vcpu);
}

static long complete_call(struct soft_vcpu *vcpu)
{
	return call_finish(vcpu, vcpu->run->hyperv.u.hcall.result);
}

/* User space answers. */
static int call_ask(struct soft_vcpu *vcpu, const struct hypercall *call)
{
	struct kvm_hyperv_exit *exit = &vcpu->run->hyperv;

	vcpu->run->exit_reason = KVM_EXIT_HYPERV;
	exit->type = KVM_EXIT_HYPERV_HCALL;
	exit->u.hcall.input = call->control;
	exit->u.hcall.result = 0;
	exit->u.hcall.params[0] = call->input;
	exit->u.hcall.params[1] = call->output;
	vcpu->complete = complete_call;
	return 0;
}

/* What KVM_CAP_HYPERV_ENFORCE_CPUID leaves. */
static bool call_is_allowed(const struct soft_vcpu *vcpu, uint16_t code)
{
	const struct kvm_cpuid_entry2 *recommended = vcpu_cpuid(vcpu, LEAF_RECOMMENDED, 0);

	if (!vcpu->hyperv.enforces_cpuid)
		return true;
	switch (code) {
	case CALL_SPIN_WAIT:
		return recommended && recommended->ebx && recommended->ebx != ~0u;
	case CALL_POST_MESSAGE:
		return hyperv_has(vcpu, LEAF_FEATURES, EBX, FEATURE_POST);
	case CALL_SIGNAL_EVENT:
		return hyperv_has(vcpu, LEAF_FEATURES, EBX, FEATURE_SIGNAL);
	case CALL_POST_DEBUG:
	case CALL_RETRIEVE_DEBUG:
	case CALL_RESET_DEBUG:
		return !hyperv_has_debugger(vcpu) || hyperv_has(vcpu, LEAF_FEATURES, EBX, FEATURE_DEBUG);
	case CALL_FLUSH_SPACE:
	case CALL_FLUSH_LIST:
		return hyperv_has(vcpu, LEAF_RECOMMENDED, EAX, RECOMMENDS_FLUSH);
	case CALL_FLUSH_SPACE_EX:
	case CALL_FLUSH_LIST_EX:
		return hyperv_has(vcpu, LEAF_RECOMMENDED, EAX, RECOMMENDS_FLUSH) &&
			hyperv_has(vcpu, LEAF_RECOMMENDED, EAX, RECOMMENDS_SETS);
	case CALL_SEND_IPI:
		return hyperv_has(vcpu, LEAF_RECOMMENDED, EAX, RECOMMENDS_IPI);
	case CALL_SEND_IPI_EX:
		return hyperv_has(vcpu, LEAF_RECOMMENDED, EAX, RECOMMENDS_IPI) &&
			hyperv_has(vcpu, LEAF_RECOMMENDED, EAX, RECOMMENDS_SETS);
	default:
		return true;
	}
}

/* Whether it has repetitions and a header of variable size as its definition says. */
static bool call_is_formed(const struct hypercall *call)
{
	bool has_index = call->control >> 48 & 0xfff;

	switch (call->code) {
	case CALL_FLUSH_LIST:
		return call->nr_repetitions && !has_index && !call->nr_variable;
	case CALL_FLUSH_LIST_EX:
		return call->nr_repetitions && !has_index;
	case CALL_FLUSH_SPACE_EX:
	case CALL_SEND_IPI_EX:
		return !call->is_repeated;
	default:
		return !call->is_repeated && !call->nr_variable;
	}
}

static int call_debugger(struct soft_vcpu *vcpu, const struct hypercall *call)
{
	if (call->is_fast && call->code != CALL_RESET_DEBUG)
		return call_finish(vcpu, INVALID_PARAMETER);
	if (!hyperv_has_debugger(vcpu))
		return call_finish(vcpu, INVALID_CODE);
	if (!(vcpu->vm->hyperv.debug.options & DEBUG_USES_HYPERCALLS))
		return call_finish(vcpu, OPERATION_DENIED);
	return call_ask(vcpu, call);
}

/* Messages, and events that have no descriptor, are user space's. */
static int call_port(struct soft_vcpu *vcpu, struct hypercall *call)
{
	enum hyperv_status status = INVALID_PORT;

	if (!call_is_formed(call))
		return call_finish(vcpu, INVALID_INPUT);
	if (call->code == CALL_SIGNAL_EVENT)
		status = event_signal(vcpu, call);
	if (status != INVALID_PORT)
		return call_finish(vcpu, status);
	return vcpu->hyperv.has_synic ? call_ask(vcpu, call) : call_finish(vcpu, INVALID_INPUT);
}

static int call_do(struct soft_vcpu *vcpu, struct hypercall *call)
{
	switch (call->code) {
	case CALL_POST_MESSAGE:
	case CALL_SIGNAL_EVENT:
		return call_port(vcpu, call);
	case CALL_POST_DEBUG:
	case CALL_RETRIEVE_DEBUG:
	case CALL_RESET_DEBUG:
		return call_debugger(vcpu, call);
	case CALL_SPIN_WAIT:
	case CALL_FLUSH_SPACE:
	case CALL_FLUSH_LIST:
	case CALL_FLUSH_SPACE_EX:
	case CALL_FLUSH_LIST_EX:
	case CALL_SEND_IPI:
	case CALL_SEND_IPI_EX:
		break;
	default:
		return call_finish(vcpu, INVALID_CODE);
	}
	if (!call_is_formed(call))
		return call_finish(vcpu, INVALID_INPUT);
	switch (call->code) {
	case CALL_SPIN_WAIT:	/* the turn goes with the exit */
		return call_finish(vcpu, STATUS_OK);
	case CALL_SEND_IPI:
	case CALL_SEND_IPI_EX:
		return call_finish(vcpu, send_ipi(vcpu, call, call->code == CALL_SEND_IPI_EX));
	default:
		return call_finish(vcpu, flush(vcpu, call,
			call->code == CALL_FLUSH_SPACE_EX || call->code == CALL_FLUSH_LIST_EX));
	}
}

static bool takes_xmm(uint16_t code)
{
	return code == CALL_FLUSH_SPACE || code == CALL_FLUSH_LIST || code == CALL_FLUSH_SPACE_EX ||
		code == CALL_FLUSH_LIST_EX || code == CALL_SEND_IPI_EX;
}

int handle_hyperv_hypercall(struct soft_vcpu *vcpu)
{
	struct hypercall call = call_of(vcpu);

	stat_count(&vcpu->stats, STAT_hypercalls);
	if (vcpu->vmcb->save.cpl || !(vcpu->vmcb->save.cr0 & X86_CR0_PE) ||
	    (call.is_fast && takes_xmm(call.code) && !hyperv_has(vcpu, LEAF_FEATURES, EDX, FEATURE_XMM))) {
		vcpu_queue_exception(vcpu, VECTOR_UD, false, 0);
		return 1;
	}
	if (!call_is_allowed(vcpu, call.code))
		return call_finish(vcpu, ACCESS_DENIED);
	if (call.control & INPUT_RESERVED)
		return call_finish(vcpu, INVALID_INPUT);
	return call_do(vcpu, &call);
}
