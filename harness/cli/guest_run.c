/* SPDX-License-Identifier: MIT */
/*
 * "vmassay run --guest FILE.elf": loads a user's own guest, enters it in the mode asked for, and prints every exit.
 *
 * The guest has the memory map of guests/abi.h; nothing of the runtime is needed. IN and MMIO reads answer all ones.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "elf/guest_elf.h"
#include "err.h"
#include "vm/exit.h"
#include "vm/x86/mode.h"
#include "vm/x86/state.h"

/* The alarm's handler has no other way to the vCPU. */
static struct vcpu *running;

static void on_alarm(int signal)
{
	(void)signal;
	vcpu_kick(running);
}

static void must_failed(void *context, const char *what, long error)
{
	(void)context;
	usage_error("run: %s: %s", what, strerror(-error));
	exit(99);
}

static int file_map(const char *path, const void **ret, size_t *ret_len, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), error = errno;
	struct stat stat;
	void *image;

	if (fd < 0)
		return err_set(err, error, "%s: %s", path, strerror(error));
	if (fstat(fd, &stat) || !S_ISREG(stat.st_mode) || !stat.st_size) {
		close(fd);
		return err_set(err, EINVAL, "%s: not a file with contents", path);
	}
	image = mmap(NULL, stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	error = errno;
	close(fd);
	if (image == MAP_FAILED)
		return err_set(err, error, "%s: %s", path, strerror(error));
	*ret = image;
	*ret_len = stat.st_size;
	return 0;
}

static void answer(struct kvm_run *run)
{
	if (run->exit_reason == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_IN)
		memset((uint8_t *)run + run->io.data_offset, 0xff, (size_t)run->io.size * run->io.count);
	if (run->exit_reason == KVM_EXIT_MMIO && !run->mmio.is_write)
		memset(run->mmio.data, 0xff, sizeof(run->mmio.data));
}

static bool is_last(const struct kvm_run *run)
{
	switch (run->exit_reason) {
	case KVM_EXIT_HLT:
	case KVM_EXIT_SHUTDOWN:
	case KVM_EXIT_FAIL_ENTRY:
	case KVM_EXIT_INTERNAL_ERROR:
	case KVM_EXIT_SYSTEM_EVENT:
		return true;
	default:
		return false;
	}
}

static void print_state(struct vcpu *vcpu, const struct guest_elf *elf)
{
	struct kvm_regs regs;
	char text[2048];

	vcpu_ioctl(vcpu, KVM_GET_REGS, &regs);
	if (!guest_elf_line(elf, regs.rip, text, sizeof(text)))
		cli_print("at    %s", text);
	regs_format(text, sizeof(text), &regs);
	text[strcspn(text, "\0")] = '\0';
	cli_print("%.*s", (int)strlen(text) - 1, text);
}

static int run_loop(struct vcpu *vcpu, const struct guest_elf *elf, const struct args *args)
{
	struct exit_record record;
	char text[1024];
	unsigned int i;

	for (i = 0; i < args->max_exits; i++) {
		int r = vcpu_run_try(vcpu);

		if (r) {
			cli_print("%5u  KVM_RUN: %s", i, r == -EINTR ? "no exit in time" : strerror(-r));
			print_state(vcpu, elf);
			return 1;
		}
		exit_decode(&record, vcpu->run);
		exit_format(text, sizeof(text), &record);
		cli_print("%5u  %s", i, text);
		if (is_last(vcpu->run)) {
			print_state(vcpu, elf);
			return vcpu->run->exit_reason == KVM_EXIT_HLT ? 0 : 1;
		}
		answer(vcpu->run);
	}
	cli_print("ended after %u exits (--max-exits)", args->max_exits);
	return 0;
}

static void alarm_set(struct vcpu *vcpu, unsigned int timeout_ms)
{
	struct sigaction action = { .sa_handler = on_alarm };

	running = vcpu;
	sigaction(SIGALRM, &action, NULL);
	alarm((timeout_ms + 999) / 1000);
}

static int load_and_run(const struct args *args, unsigned int mode, const struct guest_elf *elf, struct sys *sys,
			struct err *err)
{
	uint64_t entry = guest_elf_entry(elf), ram_bytes = mode_ram_bytes(mode);
	struct kvm_regs regs = { .rflags = 2 };
	struct vm *vm = vm_create(sys);
	struct vcpu *vcpu;
	void *ram;
	int r = 0;

	if (args->entry)
		r = guest_elf_symbol(elf, args->entry, &entry, err);
	ram = vm_slot_add(vm, 0, 0, 0, ram_bytes);
	if (!r)
		r = guest_elf_load(elf, ram, 0, ram_bytes, err);
	if (r)
		goto out;
	mode_write_tables(vm, mode);
	vcpu = vcpu_create(vm, 0);
	vcpu_set_supported_cpuid(vcpu);
	mode_enter(vcpu, mode, 0, entry);
	regs.rip = entry;
	regs.rsp = mode == REAL16 ? 0x7ff0 : 0x80000;
	vcpu_ioctl(vcpu, KVM_SET_REGS, &regs);
	alarm_set(vcpu, args->run.timeout_ms ? args->run.timeout_ms : RUN_TIMEOUT_MS);
	r = run_loop(vcpu, elf, args);
	alarm(0);
out:
	vm_destroy(vm);
	return r;
}

int guest_run(const struct args *args)
{
	unsigned int mode = mode_from_name(args->mode ? args->mode : "long64");
	const void *image = NULL;
	struct guest_elf *elf;
	struct sys sys;
	size_t len = 0;
	struct err err;
	int r;

	if (args->selection.globs[0])
		return usage_error("run: --guest runs no tests, but '%s' names some", args->selection.globs[0]);
	if (file_map(args->guest, &image, &len, &err))
		return usage_error("%s", err.text);
	r = guest_elf_open(args->guest, image, len, mode & (LONG64 | LA57) ? GUEST_BITS_64 : GUEST_BITS_32, &elf,
			   &err);
	if (r)
		goto out_image;
	r = sys_open(&sys, args->run.backend, NULL, &err);
	if (r)
		goto out_elf;
	sys.must_failed = must_failed;
	r = load_and_run(args, mode, elf, &sys, &err);
	sys_close(&sys);
out_elf:
	guest_elf_close(elf);
out_image:
	munmap((void *)image, len);
	if (r >= 0)
		return r;
	/* A lab's stderr is its console, which the person who asked may not see. */
	if (args->results_fd >= 0)
		cli_print("%s", err.text);
	return usage_error("%s", err.text);
}
