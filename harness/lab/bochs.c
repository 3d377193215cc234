/* SPDX-License-Identifier: MIT */
/*
 * Bochs loads no kernel: it starts from a hard disk of ours. That spares a boot loader's reading
 * by the BIOS and, the kernel being unpacked outside, a third of the boot's instructions.
 */
#include "lab/bochs.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "lab/bochs_hook.h"
#include "lab/boot_disk.h"
#include "lab/emulator.h"

/*
 * Instructions per emulated second, by which alone time passes: no load on this machine makes a
 * test late. Near to what Bochs does in a real second, so that a timeout means about what it says.
 */
static const unsigned int ips = 50000000;

/* Bochs' names for the disk and the memory in a state's folder. */
#define STATE_DISK "hard_drive.0.drive0.image"
#define STATE_MEMORY "memory.ram"

/* For Bochs to write or read a state of a machine's memory. */
static const int patience_ms = 30000;

/*
 * Note, of the display libraries only rfb works without a screen. A panic of Bochs ends it: it is
 * Bochs' word for what it cannot emulate, for a CPU's shutdown, and for power off.
 * $BXSHARE is for Bochs, which knows where it was installed.
 *
 * A state has Bochs' timers by their numbers, and the order in which devices come decides who has
 * which. Resuming, Bochs makes the USB controller before the serial ports, starting, after them,
 * unless they are taken away and come again. (Otherwise the controller's timer comes back as one
 * of the second port's, which from then on tells the first of bytes that nobody sent.) The speaker
 * would come somewhere else, too, and nobody hears it.
 */
static const char common[] =
	"plugin_ctrl: speaker=false, serial=false, usb_uhci=true\n"
	"plugin_ctrl: serial=true\n"
	"display_library: rfb, options=\"timeout=0\"\n"
	"romimage: file=$BXSHARE/BIOS-bochs-latest, options=fastboot\n"
	"vgaromimage: file=$BXSHARE/VGABIOS-lgpl-latest\n"
	"vga: extension=none, update_freq=1\n"
	"clock: sync=none, time0=946684800\n"
	"sound: driver=dummy, waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy\n"
	"pci: enabled=1, chipset=i440fx\n"
	"ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14\n"
	"boot: disk\n"
	"log: -\n"
	"error: action=ignore\n"
	"info: action=ignore\n"
	"debug: action=ignore\n";

/*
 * A triple fault of a guest of SVM is a panic of the CPU's too, before the #VMEXIT. Where guests may
 * have one that panic is reported only; when it is the kernel's own, the lab waits in vain.
 */
char *bochs_configuration(const struct emulator_plan *plan)
{
	char *text;
	int len = asprintf(&text,
			   "%s"
			   "panic: action=fatal%s\n"
			   "cpu: model=%s, count=%u, ips=%u, reset_on_triple_fault=0, "
			   "ignore_bad_msrs=1, cpuid_limit_winnt=0\n"
			   "memory: guest=%u, host=%u\n"
			   "ata0-master: type=disk, mode=flat, path=\"/proc/self/fd/%d\"\n"
			   "com1: enabled=1, mode=file, dev=/proc/self/fd/%d\n"
			   "com2: enabled=1, mode=term, dev=/proc/self/fd/%d\n",
			   common, plan->outlives_triple_fault ? ", cpu0=report" : "", plan->cpu,
			   plan->nr_cpus, ips, plan->memory_mib, plan->memory_mib,
			   EMULATOR_ALIAS_DISK, EMULATOR_ALIAS_CONSOLE, EMULATOR_ALIAS_RESULTS);

	return len < 0 ? NULL : text;
}

static int bytes_to_memfd(const char *name, const char *bytes, size_t len_bytes)
{
	int fd = memfd_create(name, MFD_CLOEXEC);
	int error = errno;

	if (fd < 0)
		return -error;
	if (write(fd, bytes, len_bytes) == (ssize_t)len_bytes)
		return fd;
	close(fd);
	return -EIO;
}

static int add_bytes(struct emulator_plan *plan, enum emulator_medium medium, const char *name,
		     const char *bytes, size_t len_bytes, struct err *err)
{
	int fd = bytes ? bytes_to_memfd(name, bytes, len_bytes) : -ENOMEM;

	if (fd < 0)
		return err_set(err, -fd, "cannot make a memfd: %s", strerror(-fd));
	plan->media_fds[medium] = fd;
	return 0;
}

/* A place for the disk that is in the state: Bochs wants one of the right size and writes it. */
static int make_empty_disk(struct emulator_plan *plan, struct err *err)
{
	char path[PATH_MAX];
	struct stat disk;
	int fd, error;

	snprintf(path, sizeof(path), "%s/" STATE_DISK, plan->state);
	if (stat(path, &disk))
		return err_set(err, errno, "%s: %s", path, strerror(errno));
	fd = memfd_create("disk", MFD_CLOEXEC);
	plan->media_fds[EMULATOR_DISK] = fd;
	error = fd < 0 || ftruncate(fd, disk.st_size) ? errno : 0;
	return error ? err_set(err, error, "cannot make a disk: %s", strerror(error)) : 0;
}

static int make_boot_media(struct emulator_plan *plan, struct err *err)
{
	const struct boot_disk_plan disk = {
		.kernel = plan->kernel,
		.initramfs_fd = plan->initramfs_fd,
		.command_line = plan->command_line,
		.memory_mib = plan->memory_mib,
	};
	char *configuration;
	int status = boot_disk_create(&plan->media_fds[EMULATOR_DISK], &disk, err);

	if (status)
		return status;
	configuration = bochs_configuration(plan);
	status = add_bytes(plan, EMULATOR_CONFIGURATION, "bochsrc", configuration,
			   configuration ? strlen(configuration) : 0, err);
	free(configuration);
	return status;
}

static int make_media(struct emulator_plan *plan, struct err *err)
{
	int status = add_bytes(plan, EMULATOR_HOOK, "bochs-hook", bochs_hook_start,
			       bochs_hook_end - bochs_hook_start, err);

	if (status)
		return status;
	return plan->state ? make_empty_disk(plan, err) : make_boot_media(plan, err);
}

static int add_environment(struct strlist *environment, const struct emulator_plan *plan)
{
	strlist_addf(environment, "LD_PRELOAD=/proc/self/fd/%d", plan->media_fds[EMULATOR_HOOK]);
	if (plan->state)
		strlist_addf(environment, BOCHS_HOOK_MEMORY "=%s/" STATE_MEMORY, plan->state);
	return strlist_addf(environment, BOCHS_HOOK_MONITOR "=%d", plan->monitor_fd);
}

/* A state has its configuration with it. */
static int add_arguments(struct strlist *argv, const struct emulator_plan *plan)
{
	strlist_add(argv, "-q");
	if (plan->state) {
		strlist_add(argv, "-r");
		return strlist_add(argv, plan->state);
	}
	strlist_add(argv, "-f");
	return strlist_addf(argv, "/proc/self/fd/%d", plan->media_fds[EMULATOR_CONFIGURATION]);
}

/* Waits for the hook's next line, which has to be @want. */
static int expect_line(int fd, const char *want, int patience_ms)
{
	struct pollfd polled = { .fd = fd, .events = POLLIN };
	char line[BOCHS_HOOK_LINE_BYTES];

	if (poll(&polled, 1, patience_ms) <= 0)
		return -ETIMEDOUT;
	if (recv(fd, line, sizeof(line), MSG_WAITALL) != sizeof(line))
		return -EPIPE;
	return memcmp(line, want, sizeof(line)) ? -EIO : 0;
}

static int order(const struct emulator_plan *plan, const char *folder)
{
	size_t len = strlen(folder) + 1;	/* with the NUL, which ends it */

	if (send(plan->control_fd, folder, len, MSG_NOSIGNAL) != (ssize_t)len)
		return -EPIPE;
	/* Brings Bochs to a prompt, where the hook finds the order. */
	return kill(plan->pid, SIGINT) ? -errno : 0;
}

/* Once the machine has booted, nothing reads the disk. It keeps its size, to which Bochs looks. */
static int hollow_disk(const char *folder)
{
	char path[PATH_MAX];
	struct stat disk;

	snprintf(path, sizeof(path), "%s/" STATE_DISK, folder);
	return stat(path, &disk) || truncate(path, 0) || truncate(path, disk.st_size) ? -errno : 0;
}

static int save(const struct emulator_plan *plan, const char *folder, struct err *err)
{
	int status = expect_line(plan->control_fd, BOCHS_HOOK_READY, 0);

	if (!status)
		status = order(plan, folder);
	if (!status)
		status = expect_line(plan->control_fd, BOCHS_HOOK_DONE, patience_ms);
	if (!status)
		status = hollow_disk(folder);
	return status ? err_set(err, -status, "Bochs does not save it: %s", strerror(-status)) : 0;
}

/* When Bochs opens the second serial port it throws away what has been sent there. */
static int resume(const struct emulator_plan *plan, struct err *err)
{
	int status = expect_line(plan->control_fd, BOCHS_HOOK_READY, patience_ms);

	return status ? err_set(err, -status, "Bochs does not resume it: %s", strerror(-status)) : 0;
}

const struct emulator emulator_bochs = {
	.program = "bochs",
	.binary = "bochs-bin",
	.package = "packages bochs bochsbios vgabios",
	.listens = true,
	.port = EMULATOR_TERMINAL,
	.boots_elf = true,
	.make_media = make_media,
	.add_environment = add_environment,
	.save = save,
	.resume = resume,
	.add_arguments = add_arguments,
};
