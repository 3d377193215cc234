/* SPDX-License-Identifier: MIT */
/* Inputs of "ioctl" on the soft hypervisor: what operations do, and oracles that can say no to a hypervisor that lies. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <linux/kvm.h>

#include "err.h"
#include "fuzz/executor.h"
#include "fuzz/expect.h"
#include "fuzz/ioctl_calls.h"
#include "fuzz/ioctl_ops.h"
#include "fuzz/ioctl_runner.h"
#include "soft/soft.h"

#define IN(text_) "input ioctl\n" text_

/* --- a backend that lies once in a while --- */

static struct soft *soft;
static struct ioctl_runner *runner;
static struct ioctl_result result;

/* Called with what the soft hypervisor answered; returns what the caller is told. */
typedef long lie_fn(int fd, unsigned long request, uintptr_t argument, long answer);

static lie_fn *lie;
static uint8_t *pool;			/* that the last slot shows */
static struct kvm_run *shared;		/* of the last vCPU */
static bool keeps_vcpus;		/* close() does nothing to them */

static long lying_ioctl(const struct backend *backend, int fd, unsigned long request, uintptr_t argument)
{
	long answer = soft_backend(soft)->ioctl(soft_backend(soft), fd, request, argument);

	(void)backend;
	if (request == KVM_SET_USER_MEMORY_REGION && !answer)
		pool = (uint8_t *)(uintptr_t)((struct kvm_userspace_memory_region *)argument)->userspace_addr;
	return lie ? lie(fd, request, argument, answer) : answer;
}

static int lying_open(const struct backend *backend)
{
	(void)backend;
	return soft_backend(soft)->open(soft_backend(soft));
}

static void *lying_mmap(const struct backend *backend, int fd, size_t len_bytes, uint64_t offset, int *ret_error)
{
	(void)backend;
	shared = soft_backend(soft)->mmap(soft_backend(soft), fd, len_bytes, offset, ret_error);
	return shared;
}

static int lying_munmap(const struct backend *backend, void *address, size_t len_bytes)
{
	(void)backend;
	return soft_backend(soft)->munmap(soft_backend(soft), address, len_bytes);
}

static int kept_fd = -1;

static int lying_close(const struct backend *backend, int fd)
{
	(void)backend;
	if (keeps_vcpus && kept_fd < 0) {
		kept_fd = fd;
		return 0;
	}
	return soft_backend(soft)->close(soft_backend(soft), fd);
}

static const struct backend liar = { .name = "liar", .open = lying_open, .ioctl = lying_ioctl, .mmap = lying_mmap,
	.munmap = lying_munmap, .close = lying_close };

static int setup(void **state)
{
	struct err err;

	(void)state;
	if (soft_create(&soft) || ioctl_runner_new(&liar, soft, &runner, &err))
		return -1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ioctl_runner_free(runner);
	soft_destroy(soft);
	return 0;
}

static size_t line(const void *context, unsigned int n, char *buf, size_t len_bytes)
{
	return ioctl_step_print(&((const struct ioctl_result *)context)->steps[n], buf, len_bytes);
}

static void run_lied(const char *text, lie_fn *what)
{
	struct input input;
	struct err err;

	if (input_parse(text, strlen(text), &input, &err))
		fail_msg("%s%s", text, err.text);
	/* The frame's handlers of signals are in the place of the hypervisor's. */
	soft_bound(soft, 0);
	lie = what;
	ioctl_runner_run(runner, &input, &result);
	lie = NULL;
}

static void run_text(const char *text)
{
	char missing[EXPECT_LINE_BYTES + 256];
	struct input input;
	struct err err;

	run_lied(text, NULL);
	if (result.violation[0])
		fail_msg("%s%s", text, result.violation);
	assert_int_equal(input_parse(text, strlen(text), &input, &err), 0);
	if (!expect_holds(input.expect, result.nr_steps, line, NULL, &result, missing, sizeof(missing)))
		fail_msg("%s%s", text, missing);
}

/* --- operations --- */

static void test_operations(void **state)
{
	static const char *const inputs[] = {
		/* Golden states */
		IN("run vcpu0 1\nexpect run ok exit=HLT rip=0x8001"),
		IN("base long\nguest_reg rbx 0x1122334455667788\nguest_insn out8\nrun vcpu0 2\n"
		   "expect exit=IO port=0x10\nexpect exit=HLT"),
		IN("base irqchip\nvm_call vm0 get_pit2 0\nrun vcpu0 1\nexpect get_pit2 ok\nexpect run EINTR"),
		IN("base split\nvm_call vm0 get_irqchip 0\nexpect get_irqchip ENXIO"),
		IN("base vm\nrun vcpu0 1\nvcpu vcpu0 vm0 3\nvcpu_call vcpu0 get_regs 0\n"
		   "expect run EBADF\nexpect create_vcpu fd\nexpect get_regs ok"),
		IN("base empty\nvm vm3 0\nvm vm3 1\nvcpu vcpu1 vm3 0\nvcpu vcpu2 vm3 0\nrun vcpu2 1\n"
		   "expect create_vm fd\nexpect create_vm EINVAL\nexpect create_vcpu fd\nexpect create_vcpu EEXIST\n"
		   "expect run EBADF"),
		/* Descriptors */
		IN("close_vcpu vcpu0\nrun vcpu0 1\nclose_vm vm0\nvm_call vm0 get_clock 0\nexpect run EBADF\nexpect get_clock EBADF"),
		IN("close_vm vm0\nrun vcpu0 1\nexpect run ok exit=HLT"),
		IN("device dev0 vm0 4 0\ndevice_call dev0 has_device_attr\nclose_device dev0\ndevice_call dev0 has_device_attr\n"
		   "expect create_device ok\nexpect has_device_attr ENXIO\nexpect has_device_attr EBADF"),
		IN("device dev0 vm0 4 1\ndevice_call dev0 run\nexpect create_device ok\nexpect run EBADF"),
		IN("vm_call vm0 get_stats_fd 0\nexpect get_stats_fd fd"),
		/* The guest */
		IN("guest_insn out8\nguest_insn in8\nguest_insn load\nrun vcpu0 4\nexpect exit=IO direction=out\n"
		   "expect exit=IO direction=in\nexpect exit=HLT"),
		IN("guest_reg rdx 0x3f8\nguest_reg rax 0x41\nguest_insn out8\nrun vcpu0 1\nexpect port=0x3f8 data=0x41"),
		IN("guest 0x8000 e680\nrun vcpu0 1\nexpect port=0x80"),
		IN("guest_insn ud2\nrun vcpu0 1\nexpect exit=HLT rip=0x501"),
		IN("guest_insn jmp_self\nrun vcpu0 4\nexpect run EINTR"),
		/* Memory */
		IN("slot vm0 1 0 0x100000 0x1000 0x20000\nslot vm0 1 0 0x200000 0x1000 0x20000\nslot vm0 1 0 0 0 0\n"
		   "slot vm0 1 0 0 0 0\nslot vm0 2 0 0x8000 0x1000 0\nexpect set_user_memory_region ok\n"
		   "expect set_user_memory_region ok\nexpect set_user_memory_region ok\n"
		   "expect set_user_memory_region EINVAL\nexpect set_user_memory_region EEXIST"),
		IN("base long\nslot vm0 1 0 0x100000 0x1000 0x20000\nguest_reg rdi 0x100000\nguest_insn store\n"
		   "guest_reg rdi 0x102000\nguest_insn store\nrun vcpu0 2\nexpect set_user_memory_region ok\n"
		   "expect exit=MMIO phys_addr=0x102000 is_write=yes\nexpect exit=HLT"),
		IN("slot vm0 0 1 0 0x20000 0\ndirty_log vm0 0\ndirty_log vm0 1\nexpect set_user_memory_region ok\n"
		   "expect get_dirty_log ok\nexpect get_dirty_log ENOENT"),
		IN("cap vm0 168 3 0\nslot vm0 0 1 0 0x20000 0\nclear_log vm0 0 0 32\nclear_log vm0 0 1 32\nexpect enable_cap ok\n"
		   "expect set_user_memory_region ok\nexpect clear_dirty_log ok\nexpect clear_dirty_log EINVAL"),
		/* State */
		IN("set vcpu0 regs.rip 0x8800\nset vcpu0 regs.rax 7\nxor vcpu0 regs.rax 2\nrun vcpu0 1\nexpect set_regs ok\n"
		   "expect set_regs ok\nexpect set_regs ok\nexpect rip=0x8801 rax=0x5"),
		IN("set vcpu0 sregs.cr0 0x80000000\nexpect set_sregs EINVAL"),
		IN("set vcpu0 events.nmi.pending 1\nrun vcpu0 1\nexpect set_vcpu_events ok\nexpect rip=0x501"),
		IN("set vcpu0 debug.control 3\nguest_insn nop\nrun vcpu0 1\nexpect set_guest_debug ok\nexpect exit=DEBUG rip=0x8001"),
		IN("set vcpu0 lapic.tpr 0x20\nexpect set_lapic EINVAL"),
		IN("base irqchip\nset vcpu0 lapic.tpr 0x20\nvm_set vm0 pic.imr 0xff\nvm_xor vm0 pit.channels[0].mode 1\n"
		   "expect set_lapic ok\nexpect set_irqchip ok\nexpect set_pit2 ok"),
		IN("set vcpu0 nested.flags 0x100\nset vcpu0 nested.flags 1\nexpect set_nested_state ok\nexpect set_nested_state EINVAL"),
		IN("msr vcpu0 0xc0000082 0x1234\nmsr vcpu0 0x12345 1\nexpect set_msrs ret=1\nexpect set_msrs ok"),
		IN("cpuid vcpu0 1 ecx 1\nexpect set_cpuid2 ok"),
		IN("shared vcpu0 immediate_exit 1\nrun vcpu0 4\nexpect run EINTR rip=0x8000"),
		IN("shared vcpu0 kvm_dirty_regs 0x8000000000000000\nrun vcpu0 4\nexpect run EINVAL"),
		/* Events */
		IN("guest_insn sti\nguest_insn nop\nguest_insn nop\ninterrupt vcpu0 0x20\nrun vcpu0 1\nexpect interrupt ok\n"
		   "expect exit=HLT"),
		IN("base irqchip\nguest_insn out8\nirq_line vm0 4 1\nmsi vm0 0xfee00000 0x30 0\nrun vcpu0 1\n"
		   "expect irq_line ok\nexpect signal_msi ok\nexpect exit=IO"),
		IN("base irqchip\nevent event0 0\nevent event1 1\nirqfd vm0 event0 4 0\nirqfd vm0 event0 4 0\nirqfd vm0 event2 4 0\n"
		   "event_write event0 1\nclose_event event0\nexpect irqfd ok\nexpect irqfd EBUSY\nexpect irqfd EBADF"),
		IN("event event0 0\nioeventfd vm0 event0 0x10 1 2 0\nguest_insn out8\nrun vcpu0 1\nexpect ioeventfd ok\nexpect exit=HLT"),
		IN("base irqchip\nroute vm0 5 msi 0xfee00000 0x31\nroute vm0 5 irqchip 9 0\nexpect set_gsi_routing ok\n"
		   "expect set_gsi_routing EINVAL"),
		IN("cap vm0 188 4 0\nmsr_filter vm0 0 3 0xc0000080 8\nguest_reg rcx 0xc0000080\nguest_insn rdmsr\nrun vcpu0 1\n"
		   "expect enable_cap ok\nexpect x86_set_msr_filter ok\nexpect exit=X86_RDMSR index=0xc0000080"),
		IN("coalesce vm0 0x100000 0x1000 0\nexpect register_coalesced_mmio ok"),
		IN("vcpu_cap vcpu0 190 1\nvcpu_cap vcpu0 1 1\nexpect enable_cap ok\nexpect enable_cap EINVAL"),
		/* The argument */
		IN("vcpu_call vcpu0 get_regs 0\narg_number 0x80 0x8100\nvcpu_call vcpu0 set_regs 0\nrun vcpu0 1\nexpect get_regs ok\n"
		   "expect set_regs ok\nexpect rip=0x8101"),
		IN("arg 0 01000000\narg_xor 0 03\nsys_call get_msrs 0\narg_clear\nsys_call get_msrs 0\nexpect get_msrs\n"
		   "expect get_msrs ok"),
		IN("place end 8\nvcpu_call vcpu0 get_regs 0\nplace null 0\nvcpu_call vcpu0 get_regs 0\nplace kernel 0\n"
		   "vcpu_call vcpu0 set_regs 0\nplace pool 0x30000\nvcpu_call vcpu0 get_regs 0\nvcpu_call vcpu0 get_regs 0\n"
		   "expect get_regs EFAULT\nexpect get_regs EFAULT\nexpect set_regs EFAULT\nexpect get_regs ok\nexpect get_regs ok"),
		IN("arg_number 0 1\narg_number 16 0x1000\narg_pointer 0x18 unmapped 0\nvm_call vm0 set_user_memory_region 0\n"
		   "expect set_user_memory_region EEXIST"),
		IN("base irqchip\nevent event0 0\narg_fd 0 event0\nvm_call vm0 irqfd 0\nexpect irqfd ok"),
		/* At an exit */
		IN("guest_insn out8\nguest_insn out8\nat 1\nset vcpu0 regs.rip 0x9000\nat 0\nvcpu_call vcpu0 nmi 0\nrun vcpu0 1\n"
		   "expect nmi ok\nexpect run exit=HLT rip=0x501\nexpect set_regs ok"),
		IN("guest_insn out8\nat 1\nslot vm0 0 0 0 0 0\nrun vcpu0 3\nexpect exit=IO\nexpect set_user_memory_region ok\nexpect run"),
		IN("pool 0x8000 0x1000 none\nrun vcpu0 1\nexpect run"),
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++)
		run_text(inputs[i]);
}

/* Every call with nothing and with something in the argument, and every field: no oracle has anything against it. */
static void test_all_calls(void **state)
{
	static const char *const names[NR_IOCTL_SCOPES] = { "sys_call", "vm_call vm0", "vcpu_call vcpu0", "device_call dev0" };
	unsigned int scope, i;
	char text[256];

	(void)state;
	for (scope = 0; scope < NR_IOCTL_SCOPES; scope++) {
		for (i = 0; i < nr_ioctl_calls[scope]; i++) {
			const char *value = scope == IOCTL_SCOPE_DEVICE ? "" : " 0";

			snprintf(text, sizeof(text), IN("base irqchip\ndevice dev0 vm0 4 0\n%s %s%s\narg_number 0 1\n%s %s%s\n"),
				 names[scope], ioctl_calls[scope][i].name, value, names[scope], ioctl_calls[scope][i].name, value);
			run_text(text);
		}
	}
	for (i = 0; i < ioctl_vcpu_field_names.nr; i++) {
		snprintf(text, sizeof(text), IN("set vcpu0 %s 1\nbase irqchip\nset vcpu0 %s 0\nrun vcpu0 1\n"),
			 ioctl_vcpu_fields[i].name, ioctl_vcpu_fields[i].name);
		run_text(text);
	}
}

/* --- lies --- */

static long lie_errno(int fd, unsigned long request, uintptr_t argument, long answer)
{
	(void)fd, (void)argument;
	return request == KVM_GET_DEBUGREGS ? -ENOSPC : answer;
}

static long lie_beyond(int fd, unsigned long request, uintptr_t argument, long answer)
{
	(void)fd;
	if (request == KVM_GET_DEBUGREGS)
		((uint8_t *)argument)[sizeof(struct kvm_debugregs)] = 1;
	return answer;
}

static long lie_success(int fd, unsigned long request, uintptr_t argument, long answer)
{
	(void)fd, (void)argument;
	return request == KVM_GET_DEBUGREGS && answer == -EFAULT ? 0 : answer;
}

static long lie_fault(int fd, unsigned long request, uintptr_t argument, long answer)
{
	(void)fd, (void)argument;
	return request == KVM_GET_DEBUGREGS ? -EFAULT : answer;
}

static bool has_set;

static long lie_half_set(int fd, unsigned long request, uintptr_t argument, long answer)
{
	struct kvm_debugregs regs = { .db = { 5 } };

	(void)argument;
	if (request == KVM_SET_DEBUGREGS && answer < 0)
		soft_backend(soft)->ioctl(soft_backend(soft), fd, request, (uintptr_t)&regs);
	return answer;
}

static long lie_no_set(int fd, unsigned long request, uintptr_t argument, long answer)
{
	(void)fd;
	has_set |= request == KVM_SET_DEBUGREGS;
	if (request == KVM_GET_DEBUGREGS && has_set)
		((struct kvm_debugregs *)argument)->db[0] = 9;
	return answer;
}

static long lie_exit(int fd, unsigned long request, uintptr_t argument, long answer)
{
	(void)fd, (void)argument;
	if (request == KVM_RUN)
		shared->exit_reason = KVM_EXIT_DEBUG;
	return answer;
}

static long lie_mmio(int fd, unsigned long request, uintptr_t argument, long answer)
{
	(void)fd, (void)argument;
	if (request != KVM_RUN)
		return answer;
	shared->exit_reason = KVM_EXIT_MMIO;
	shared->mmio.phys_addr = 0x1000;
	shared->mmio.len = 4;
	shared->mmio.is_write = 0;
	return answer;
}

static long lie_io(int fd, unsigned long request, uintptr_t argument, long answer)
{
	(void)fd, (void)argument;
	if (request != KVM_RUN)
		return answer;
	shared->exit_reason = KVM_EXIT_IO;
	shared->io.direction = KVM_EXIT_IO_IN;
	shared->io.size = 4;
	shared->io.count = 1025;
	shared->io.data_offset = 0x1000;
	return answer;
}

static long lie_flag(int fd, unsigned long request, uintptr_t argument, long answer)
{
	(void)fd, (void)argument;
	if (request == KVM_RUN)
		shared->if_flag = 1;
	return answer;
}

static long lie_cr8(int fd, unsigned long request, uintptr_t argument, long answer)
{
	(void)fd, (void)argument;
	if (request == KVM_RUN)
		shared->cr8 = 3;
	return answer;
}

static long lie_input(int fd, unsigned long request, uintptr_t argument, long answer)
{
	(void)fd, (void)argument;
	if (request == KVM_RUN)
		shared->request_interrupt_window ^= 1;
	return answer;
}

static long lie_memory(int fd, unsigned long request, uintptr_t argument, long answer)
{
	(void)fd, (void)argument;
	if (request == KVM_RUN)
		pool[0x20000] = 1;
	return answer;
}

static long lie_msr(int fd, unsigned long request, uintptr_t argument, long answer)
{
	(void)fd;
	if (request == KVM_GET_MSRS)
		((struct kvm_msrs *)argument)->entries[0].data = 77;
	return answer;
}

static void test_lies(void **state)
{
	static const struct {
		const char *text;
		lie_fn *lie;
		const char *violation;
	} rows[] = {
		{ "vcpu_call vcpu0 get_debugregs 0", lie_errno, "get_debugregs ends with ENOSPC, which is none of its errors" },
		{ "vcpu_call vcpu0 get_debugregs 0", lie_beyond,
		  "get_debugregs writes where its argument is not: at offset 0x80 of 0x80" },
		{ "place end 8\nvcpu_call vcpu0 get_debugregs 0", lie_success, "get_debugregs succeeds without an argument" },
		{ "vcpu_call vcpu0 get_debugregs 0", lie_fault, "get_debugregs does not find its argument" },
		{ "set vcpu0 debugregs.flags 1", lie_half_set,
		  "set_debugregs ends with EINVAL, and changes what get_debugregs gives at offset 0x0" },
		{ "set vcpu0 debugregs.dr7 0x400", lie_no_set, "set_debugregs succeeds, and get_debugregs gives another db" },
		{ "run vcpu0 1", lie_exit, "DEBUG, which nobody has asked for" },
		{ "run vcpu0 1", lie_mmio, "KVM_EXIT_MMIO at 0x1000, where a slot is" },
		{ "run vcpu0 1", lie_io, "KVM_EXIT_IO with 1025 elements of size 4 at offset 0x1000" },
		{ "run vcpu0 1", lie_flag, "if_flag is 1, and RFLAGS 0x2" },
		{ "run vcpu0 1", lie_cr8, "cr8 0x3 and apic_base 0xfee00900 are shared, 0x0 and 0xfee00900 the vCPU's" },
		{ "run vcpu0 1", lie_input, "KVM_RUN changes what is the user's in the shared page" },
		{ "run vcpu0 1", lie_memory, "user memory that no slot has ever had was written, at 0x20000 of the pool" },
		{ "msr vcpu0 0xc0000082 5", lie_msr, "MSR 0xc0000082 is set to 0x5, and is 0x4d" },
	};
	unsigned int i;
	char text[256];

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text), IN("%s\n"), rows[i].text);
		run_text(text);
		has_set = false;
		run_lied(text, rows[i].lie);
		assert_string_equal(result.violation, rows[i].violation);
	}
}

static void test_leak(void **state)
{
	(void)state;
	keeps_vcpus = true;
	run_lied(IN("vm vm1 0\n"), NULL);
	keeps_vcpus = false;
	assert_string_equal(result.violation, "all is closed, and 1 VMs, 1 vCPUs and 1 files are left");
	liar.close(&liar, kept_fd);
	run_text(IN("vm vm1 0\n"));
}

/* --- the executor --- */

static void test_executor(void **state)
{
	static const char text[] = IN("guest_insn out8\nset vcpu0 regs.rbx 4\nrun vcpu0 1\nset vcpu0 sregs.cr0 0xf0000001\n");
	struct executor *executor = NULL;
	struct input input;
	struct trial trial, again;
	char printed[256];
	struct err err;

	(void)state;
	assert_int_equal(executor_new(&ioctl_domain, NULL, &executor, &err), 0);
	assert_string_equal(executor->target, "soft-svm");
	assert_true(executor_is_dangerous("kvm"));
	assert_false(executor_is_dangerous("soft-svm"));
	assert_false(executor_is_dangerous(NULL));
	assert_int_equal(input_parse(text, strlen(text), &input, &err), 0);
	executor_run_twice(executor, &input, &trial);
	assert_string_equal(trial.violation, "");
	assert_true(trial.nr_features > 3);
	/* What shows the same is found again, and is smaller. */
	input.ops[2].args[1] = 3;
	executor->run(executor, &input, &again);
	assert_true(again.hash != trial.hash);
	executor_minimise(executor, &input);
	input_print(&input, printed, sizeof(printed));
	assert_string_equal(printed, IN("guest_insn out8\nset vcpu0 regs.rbx 0\nrun vcpu0 3\nset vcpu0 sregs.cr0 0\n"));
	executor_free(executor);
}

static void test_hash(void **state)
{
	struct ioctl_result other;

	(void)state;
	run_text(IN("guest_insn out8\nrun vcpu0 1\n"));
	other = result;
	assert_true(ioctl_result_hash(&other) == ioctl_result_hash(&result));
	other.steps[0].exit.io.port++;
	assert_true(ioctl_result_hash(&other) != ioctl_result_hash(&result));
	other = result;
	other.steps[0].rip++;
	assert_true(ioctl_result_hash(&other) != ioctl_result_hash(&result));
	other = result;
	other.memory_hash++;
	assert_true(ioctl_result_hash(&other) != ioctl_result_hash(&result));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_operations),
		cmocka_unit_test(test_all_calls),
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_leak),
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_executor),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
