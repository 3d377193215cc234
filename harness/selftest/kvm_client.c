/* SPDX-License-Identifier: MIT */
/*
 * A client as any other: system calls and nothing of the harness. A real mode guest writes a letter to a port and halts.
 * To be run under libvmassay-kvm.so only: it says so, and fails, rather than open the host's /dev/kvm.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MEMORY_BYTES 0x1000
#define PORT 0xe9

#define MUST(condition) must(condition, #condition, __LINE__)

/* MOV DX, 0xe9; MOV AL, 'A'; OUT DX, AL; HLT */
static const uint8_t code[] = { 0xba, PORT, 0x00, 0xb0, 'A', 0xee, 0xf4 };

static void must(bool is_true, const char *condition, int line)
{
	if (is_true)
		return;
	fprintf(stderr, "kvm_client.c:%d: %s: errno %d\n", line, condition, errno);
	exit(1);
}

static void check_preloaded(void)
{
	const char *libraries = getenv("LD_PRELOAD");

	if (libraries && strstr(libraries, "libvmassay-kvm.so"))
		return;
	fprintf(stderr, "kvm_client: libvmassay-kvm.so is not in LD_PRELOAD\n");
	exit(1);
}

static void check_not_host(int fd)
{
	char link[64], path[64] = "";

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	MUST(readlink(link, path, sizeof(path) - 1) > 0);
	MUST(strcmp(path, "/dev/kvm") != 0);
}

static int open_vm(int kvm)
{
	struct kvm_userspace_memory_region region = { .memory_size = MEMORY_BYTES };
	uint8_t *memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int vm = ioctl(kvm, KVM_CREATE_VM, 0);

	MUST(vm >= 0 && memory != MAP_FAILED);
	memcpy(memory, code, sizeof(code));
	region.userspace_addr = (uintptr_t)memory;
	MUST(!ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region));
	return vm;
}

static void set_registers(int vcpu)
{
	struct kvm_regs regs = { .rflags = 2 };
	struct kvm_sregs sregs;

	MUST(!ioctl(vcpu, KVM_GET_SREGS, &sregs));
	sregs.cs.base = sregs.cs.selector = 0;
	MUST(!ioctl(vcpu, KVM_SET_SREGS, &sregs));
	MUST(!ioctl(vcpu, KVM_SET_REGS, &regs));
}

static void check_run(int vcpu, const struct kvm_run *run)
{
	set_registers(vcpu);
	MUST(!ioctl(vcpu, KVM_RUN, 0));
	MUST(run->exit_reason == KVM_EXIT_IO);
	MUST(run->io.direction == KVM_EXIT_IO_OUT && run->io.port == PORT && run->io.size == 1 && run->io.count == 1);
	MUST(((const char *)run)[run->io.data_offset] == 'A');
	MUST(!ioctl(vcpu, KVM_RUN, 0));
	MUST(run->exit_reason == KVM_EXIT_HLT);
}

/* A copy works when what it is a copy of is closed; of other files nothing is changed. */
static int check_copies(int vcpu)
{
	struct kvm_regs regs;
	int copy = dup(vcpu), high = fcntl(copy, F_DUPFD_CLOEXEC, 100), other = open("/dev/null", O_RDWR);

	MUST(copy >= 0 && high >= 100 && other >= 0);
	MUST(!close(vcpu) && !close(copy));
	MUST(ioctl(copy, KVM_GET_REGS, &regs) < 0 && errno == EBADF);
	MUST(ioctl(other, KVM_GET_REGS, &regs) < 0 && errno == ENOTTY);
	MUST(dup2(high, other) == other && !close(high));
	MUST(!ioctl(other, KVM_GET_REGS, &regs));
	high = open("/dev/null", O_RDWR);
	MUST(dup2(other, high) == high && dup3(STDERR_FILENO, other, O_CLOEXEC) == other);
	MUST(ioctl(other, KVM_GET_REGS, &regs) < 0 && errno == ENOTTY);
	MUST(!close(other));
	return high;
}

static void check_child(int vcpu)
{
	struct kvm_regs regs;
	int status;
	pid_t pid = fork();

	MUST(pid >= 0);
	if (!pid)
		_exit(ioctl(vcpu, KVM_GET_REGS, &regs) < 0 && errno == EIO ? 0 : 1);
	MUST(waitpid(pid, &status, 0) == pid && !status);
	MUST(!ioctl(vcpu, KVM_GET_REGS, &regs));
}

int main(void)
{
	struct kvm_run *run;
	int kvm, vm, vcpu, len_bytes;

	check_preloaded();
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	MUST(kvm >= 0);
	check_not_host(kvm);
	MUST(ioctl(kvm, KVM_GET_API_VERSION, 0) == KVM_API_VERSION);
	vm = open_vm(kvm);
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	len_bytes = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	MUST(vcpu >= 0 && len_bytes > 0);
	run = mmap(NULL, (size_t)len_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	MUST(run != MAP_FAILED);
	check_run(vcpu, run);
	vcpu = check_copies(vcpu);
	check_run(vcpu, run);
	check_child(vcpu);
	MUST(!munmap(run, (size_t)len_bytes));
	MUST(!close(vcpu) && !close(vm) && !close(kvm));
	return 0;
}
