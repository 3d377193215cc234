/* SPDX-License-Identifier: MIT */
/*
 * A CPU goes offline and comes back under a VM that has run there: the vCPU runs on elsewhere with all of its state, and
 * there again when the CPU is back; its TSC never runs backwards; a vCPU that runs in the guest is moved as it is. VMs
 * can be made meanwhile.
 *
 * Can break: virtualization left on at a CPU that goes, or not turned on at one that comes; a VMCB or VMCS that is still
 * loaded there; MSRs that were loaded on the other CPU only; a TSC offset that does not follow.
 * Source: KVM API, 4.10 (KVM_RUN); Documentation/core-api/cpu_hotplug.rst.
 */
#include "case.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define ONLINE "/sys/devices/system/cpu/cpu1/online"

struct row {
	ROW_FIELDS;
	void (*host)(struct test *t);
	bool spins;
};

/* --- the guest's half --- */

static const uint32_t msrs[] = {
	MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SYSCALL_MASK, MSR_KERNEL_GS_BASE, MSR_FS_BASE, MSR_IA32_SYSENTER_CS,
	MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP, MSR_TSC_AUX,
};

#define NR_MSRS (sizeof(msrs) / sizeof(msrs[0]))

static uint64_t msr_pattern(unsigned int i, uint64_t stage)
{
	return 0x1000 * (i + 1) + stage * 8;
}

static void spin(void)
{
	volatile struct abi_page *page = abi_self();
	uint64_t last = rdtsc();

	while (page->args[0]) {
		uint64_t now = rdtsc();

		if (now < last)
			page->values[1]++;
		last = now;
		page->values[0]++;
	}
}

/* XMM0 holds the stage, too. */
static void step(uint64_t stage, uint64_t *tsc)
{
	uint64_t now = rdtsc(), xmm;
	unsigned int i;

	CHECK(now > *tsc);
	*tsc = now;
#ifdef __x86_64__
	__asm__ volatile("movq %%xmm0, %0" : "=r"(xmm));
	if (stage)
		CHECK_EQ(msr_pattern(99, stage - 1), xmm);
	__asm__ volatile("movq %0, %%xmm0" : : "r"(msr_pattern(99, stage)));
#else
	(void)xmm;
#endif
	for (i = 0; i < NR_MSRS; i++) {
		if (stage)
			CHECK_EQ(msr_pattern(i, stage - 1), rdmsr(msrs[i]));
		wrmsr(msrs[i], msr_pattern(i, stage));
	}
}

/* --- the host's half --- */

static long online_write(bool is_online)
{
	int fd = open(ONLINE, O_WRONLY | O_CLOEXEC);
	long r = fd < 0 ? -1 : write(fd, is_online ? "1" : "0", 1);

	close(fd);
	return r;
}

static void cpu_online(struct test *t, bool is_online)
{
	char text = '?';
	int fd;

	expect_result(t, 1, online_write(is_online));
	fd = open(ONLINE, O_RDONLY | O_CLOEXEC);
	expect_result(t, 1, read(fd, &text, 1));
	expect_eq(t, is_online ? '1' : '0', text);
	close(fd);
}

static void run_on(struct test *t, unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	require_result(t, 0, sched_setaffinity(0, sizeof(set), &set));
	require_eq(t, cpu, sched_getcpu());
}

static void stage(struct test *t, unsigned int cpu)
{
	static uint32_t number = 1;

	run_on(t, cpu);
	require_sync(t, number++);
}

/* Its last CPU has gone, and come back. */
static void host_last_cpu(struct test *t)
{
	unsigned int i;

	for (i = 0; i < 3; i++) {
		stage(t, 1);
		run_on(t, 0);
		cpu_online(t, false);
		stage(t, 0);
		stage(t, 0);
		cpu_online(t, true);
		stage(t, 1);
		stage(t, 0);
	}
}

/* Gone and back between two runs there: what was loaded is not loaded any more. */
static void host_back_at_once(struct test *t)
{
	unsigned int i;

	for (i = 0; i < 3; i++) {
		stage(t, 1);
		run_on(t, 0);
		cpu_online(t, false);
		cpu_online(t, true);
		stage(t, 1);
	}
	stage(t, 0);
}

/* A VM and its first run while the CPU is away; then it comes. */
static void host_made_without(struct test *t)
{
	struct vm *vm;
	struct vcpu *first = t->vcpu;

	run_on(t, 0);
	cpu_online(t, false);
	stage(t, 0);
	vm = test_vm(t);
	guest_load(t, vm);
	t->vm = vm;
	t->vcpu = guest_vcpu(t, vm, 0);
	require_sync(t, 1);
	cpu_online(t, true);
	run_on(t, 1);
	require_sync(t, 2);
	t->vcpu = first;
	t->vm = first->vm;
	stage(t, 1);
}

static void *vcpu_thread(void *argument)
{
	struct vcpu *vcpu = argument;
	long r = vcpu_run_try(vcpu);

	return (void *)r;
}

static void until_counted(struct test *t)
{
	volatile struct abi_page *page = guest_page(t, 0);
	uint64_t before = page->values[0];

	while (page->values[0] < before + 1000)
		usleep(1000);
}

/* In the guest, on the CPU that goes: moved, and moved back by its own affinity. */
static void host_running(struct test *t)
{
	pthread_attr_t attr;
	pthread_t thread;
	cpu_set_t both;
	void *result;
	unsigned int i;

	guest_arg(t, 0, 1);
	run_on(t, 1);
	CPU_ZERO(&both);
	CPU_SET(0, &both);
	CPU_SET(1, &both);
	pthread_attr_init(&attr);
	/* It begins there, for nothing else runs there. */
	t->vcpu->tid = 1;
	require_result(t, 0, pthread_create(&thread, &attr, vcpu_thread, t->vcpu));
	run_on(t, 0);
	until_counted(t);
	for (i = 0; i < 3; i++) {
		cpu_online(t, false);
		until_counted(t);
		cpu_online(t, true);
		require_result(t, 0, pthread_setaffinity_np(thread, sizeof(both), &both));
		until_counted(t);
	}
	guest_arg(t, 0, 0);
	pthread_join(thread, &result);
	expect_eq(t, 0, (long)result);
	expect_eq(t, KVM_EXIT_IO, t->vcpu->run->exit_reason);
	expect_eq(t, 0, guest_value(t, 1));
	t->vcpu->tid = 0;
}

static const struct row rows[] = {
	{ .label = "last_cpu", .host = ON_HOST(host_last_cpu) },
	{ .label = "back_at_once", .host = ON_HOST(host_back_at_once) },
	{ .label = "made_without", .host = ON_HOST(host_made_without) },
	{ .label = "running", .host = ON_HOST(host_running), .spins = true },
};

CASE(cpu_hotplug, .says = "a vCPU outlives the CPU that it ran on", .modes = LONG64, .needs = "lab root smp:2 cpuid:rdtscp",
     .rows = ROWS(rows), .alone = true, .smp_too = true)

GUEST(cpu_hotplug)
{
	uint64_t number, tsc = 0;

	if (GUEST_ROW(rows)->spins) {
		spin();
		return;
	}
	write_cr4(read_cr4() | X86_CR4_OSFXSR);
	for (number = 0;; number++) {
		step(number, &tsc);
		guest_sync(number + 1);
	}
}

HOST(cpu_hotplug)
{
	/* Whatever a test before this one has left. */
	online_write(true);
	ROW(t, rows)->host(t);
}
