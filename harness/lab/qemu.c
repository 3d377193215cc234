/* SPDX-License-Identifier: MIT */
/*
 * QEMU without acceleration, whose emulated CPU has SVM.
 *
 * Note, the accelerator is named so that this machine's own /dev/kvm is never touched.
 */
#include "lab/emulator.h"

static int add_arguments(struct strlist *argv, const struct emulator_plan *plan)
{
	/* -no-reboot: a kernel that panics (panic=-1) ends the emulator. */
	static const char *const fixed[] = {
		"-accel", "tcg", "-no-user-config", "-nodefaults", "-no-reboot",
		"-display", "none", "-serial", "chardev:console", "-serial", "chardev:results",
	};

	for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++)
		strlist_add(argv, fixed[i]);
	strlist_add(argv, "-cpu");
	strlist_add(argv, plan->cpu);
	strlist_add(argv, "-smp");
	strlist_addf(argv, "%u", plan->nr_cpus);
	strlist_add(argv, "-m");
	strlist_addf(argv, "%u", plan->memory_mib);
	strlist_add(argv, "-chardev");
	strlist_addf(argv, "file,id=console,path=/proc/self/fd/%d", plan->console_fd);
	strlist_add(argv, "-chardev");
	strlist_addf(argv, "file,id=results,path=/proc/self/fd/%d", plan->results_fd);
	strlist_add(argv, "-kernel");
	strlist_add(argv, plan->kernel);
	strlist_add(argv, "-initrd");
	strlist_addf(argv, "/proc/self/fd/%d", plan->initramfs_fd);
	strlist_add(argv, "-append");
	return strlist_add(argv, plan->command_line);
}

const struct emulator emulator_qemu = {
	.program = "qemu-system-x86_64",
	.package = "package qemu-system-x86",
	.boots_elf = true,
	.needs_pvh = true,
	.add_arguments = add_arguments,
};
