/* SPDX-License-Identifier: MIT */
/*
 * QEMU without acceleration, whose emulated CPU has SVM.
 *
 * Note, the accelerator is named so that this machine's own /dev/kvm is never touched.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "lab/emulator.h"
#include "lab/qmp.h"

/* The file of a state's folder that holds it all, memory included. */
#define STATE_FILE "machine"

static int open_state(const char *folder, int flags, struct err *err)
{
	char path[PATH_MAX];
	int fd, error;

	snprintf(path, sizeof(path), "%s/" STATE_FILE, folder);
	fd = open(path, flags | O_CLOEXEC, 0666);
	error = errno;
	return fd < 0 ? err_set(err, error, "%s: %s", path, strerror(error)) : fd;
}

static int make_media(struct emulator_plan *plan, struct err *err)
{
	int fd = plan->state ? open_state(plan->state, O_RDONLY, err) : -1;

	if (plan->state && fd < 0)
		return fd;
	plan->media_fds[EMULATOR_STATE] = fd;
	return 0;
}

static int save(const struct emulator_plan *plan, const char *folder, struct err *err)
{
	int fd = open_state(folder, O_WRONLY | O_CREAT | O_EXCL, err);
	int status = fd < 0 ? fd : qmp_save(plan->control_fd, fd, err);

	if (fd >= 0)
		close(fd);
	return status;
}

/* Bytes for the serial port that come earlier are lost in the port's own restoration. */
static int resume(const struct emulator_plan *plan, struct err *err)
{
	return qmp_resume(plan->control_fd, err);
}

/* A resumed machine has its kernel and all else that was loaded in its memory. */
static void add_origin(struct strlist *argv, const struct emulator_plan *plan)
{
	if (plan->state) {
		strlist_add(argv, "-incoming");
		strlist_addf(argv, "fd:%d", plan->media_fds[EMULATOR_STATE]);
		return;
	}
	strlist_add(argv, "-kernel");
	strlist_add(argv, plan->kernel);
	strlist_add(argv, "-initrd");
	strlist_addf(argv, "/proc/self/fd/%d", plan->initramfs_fd);
	strlist_add(argv, "-append");
	strlist_add(argv, plan->command_line);
}

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
	strlist_addf(argv, "socket,id=results,fd=%d", plan->results_fd);
	strlist_add(argv, "-chardev");
	strlist_addf(argv, "socket,id=monitor,fd=%d", plan->monitor_fd);
	strlist_add(argv, "-mon");
	strlist_add(argv, "chardev=monitor,mode=control");
	add_origin(argv, plan);
	return argv->error;
}

const struct emulator emulator_qemu = {
	.program = "qemu-system-x86_64",
	.binary = "qemu-system-x86_64",
	.package = "package qemu-system-x86",
	.boots_elf = true,
	.needs_pvh = true,
	.port = EMULATOR_SOCKET,
	.make_media = make_media,
	.save = save,
	.resume = resume,
	.add_arguments = add_arguments,
};
