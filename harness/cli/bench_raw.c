/* SPDX-License-Identifier: MIT */
/*
 * Note, ioctl() is called here and not through the backend: this is the yardstick that the backend and all above it
 * are measured by.
 */
#include "cli/bench_raw.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define CODE_GPA 0x8000

/* 0: out %al, $0x80; jmp 0b */
static const uint8_t code[] = { 0xe6, 0x80, 0xeb, 0xfc };

static int vcpu_prepare(struct raw_vm *vm, struct kvm_cpuid2 *cpuid)
{
	struct kvm_regs regs = { .rip = CODE_GPA, .rflags = 2 };
	struct kvm_sregs sregs;

	if (ioctl(vm->vcpu_fd, KVM_SET_CPUID2, cpuid) || ioctl(vm->vcpu_fd, KVM_GET_SREGS, &sregs))
		return -errno;
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	if (ioctl(vm->vcpu_fd, KVM_SET_SREGS, &sregs) || ioctl(vm->vcpu_fd, KVM_SET_REGS, &regs))
		return -errno;
	return 0;
}

int raw_vm_open(struct raw_vm *vm, struct kvm_cpuid2 *cpuid)
{
	struct kvm_userspace_memory_region region = { .memory_size = RAW_RAM_BYTES };

	vm->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vm->kvm_fd < 0)
		return -errno;
	if (ioctl(vm->kvm_fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		return -EPROTO;
	vm->run_bytes = ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	vm->vm_fd = ioctl(vm->kvm_fd, KVM_CREATE_VM, 0);
	vm->ram = mmap(NULL, RAW_RAM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (vm->vm_fd < 0 || vm->ram == MAP_FAILED)
		return -errno;
	memcpy((uint8_t *)vm->ram + CODE_GPA, code, sizeof(code));
	region.userspace_addr = (uintptr_t)vm->ram;
	if (ioctl(vm->vm_fd, KVM_SET_USER_MEMORY_REGION, &region))
		return -errno;
	vm->vcpu_fd = ioctl(vm->vm_fd, KVM_CREATE_VCPU, 0);
	if (vm->vcpu_fd < 0)
		return -errno;
	vm->run = mmap(NULL, vm->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vm->vcpu_fd, 0);
	if (vm->run == MAP_FAILED)
		return -errno;
	return vcpu_prepare(vm, cpuid);
}

void raw_vm_close(struct raw_vm *vm)
{
	munmap(vm->run, vm->run_bytes);
	close(vm->vcpu_fd);
	close(vm->vm_fd);
	munmap(vm->ram, RAW_RAM_BYTES);
	close(vm->kvm_fd);
}

int raw_vm_run(struct raw_vm *vm, unsigned int n)
{
	while (n--) {
		if (ioctl(vm->vcpu_fd, KVM_RUN, 0))
			return -errno;
		if (vm->run->exit_reason != KVM_EXIT_IO || vm->run->io.port != 0x80)
			return -EPROTO;
	}
	return 0;
}

int raw_hello(struct kvm_cpuid2 *cpuid)
{
	int fds[2], status;
	struct raw_vm vm;
	char word;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		int failed = raw_vm_open(&vm, cpuid) || raw_vm_run(&vm, 1);

		if (!failed)
			raw_vm_close(&vm);
		_exit(failed || write(fds[1], "x", 1) != 1);
	}
	close(fds[1]);
	if (read(fds[0], &word, 1) < 0)
		word = 0;
	close(fds[0]);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status))
		return -EPROTO;
	return 0;
}
