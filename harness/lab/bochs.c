/* SPDX-License-Identifier: MIT */
/*
 * Bochs loads no kernel: it starts from a hard disk of ours. That spares a boot loader's reading
 * by the BIOS and, the kernel being unpacked outside, a third of the boot's instructions.
 */
#include "lab/bochs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "err.h"
#include "lab/boot_disk.h"
#include "lab/emulator.h"

/*
 * Instructions per emulated second, by which alone time passes: no load on this machine makes a
 * test late. Near to what Bochs does in a real second, so that a timeout means about what it says.
 */
static const unsigned int ips = 50000000;

enum { nr_continues = 10000 };

/*
 * Note, of the display libraries only rfb works without a screen. A panic of Bochs ends it: it is
 * Bochs' word for what it cannot emulate, for a CPU's shutdown, and for power off.
 * $BXSHARE is for Bochs, which knows where it was installed.
 */
static const char common[] =
	"display_library: rfb, options=\"timeout=0\"\n"
	"romimage: file=$BXSHARE/BIOS-bochs-latest, options=fastboot\n"
	"vgaromimage: file=$BXSHARE/VGABIOS-lgpl-latest\n"
	"vga: extension=none, update_freq=1\n"
	"clock: sync=none, time0=946684800\n"
	"sound: driver=dummy, waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy\n"
	"speaker: enabled=0\n"
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
			   plan->media_fds[EMULATOR_DISK], plan->console_fd, plan->results_fd);

	return len < 0 ? NULL : text;
}

static int text_to_memfd(const char *name, const char *text)
{
	int fd = memfd_create(name, MFD_CLOEXEC);
	int error = errno;
	size_t len = strlen(text);

	if (fd < 0)
		return -error;
	if (write(fd, text, len) == (ssize_t)len)
		return fd;
	close(fd);
	return -EIO;
}

static int add_text(struct emulator_plan *plan, enum emulator_medium medium, const char *name,
		    const char *text, struct err *err)
{
	int fd = text ? text_to_memfd(name, text) : -ENOMEM;

	if (fd < 0)
		return err_set(err, -fd, "cannot make a memfd: %s", strerror(-fd));
	plan->media_fds[medium] = fd;
	return 0;
}

/*
 * Debian's Bochs stops at its debugger's prompt at the start, and again at each triple fault of a
 * guest of SVM: continue. At the end of the script it ends.
 */
static int add_script(struct emulator_plan *plan, struct err *err)
{
	char script[2 * nr_continues + 1];

	for (unsigned int i = 0; i < nr_continues; i++)
		memcpy(script + 2 * i, "c\n", 3);
	return add_text(plan, EMULATOR_SCRIPT, "debugger", script, err);
}

static int make_media(struct emulator_plan *plan, struct err *err)
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
	status = add_text(plan, EMULATOR_CONFIGURATION, "bochsrc", configuration, err);
	free(configuration);
	if (!status)
		status = add_script(plan, err);
	return status;
}

static int add_arguments(struct strlist *argv, const struct emulator_plan *plan)
{
	strlist_add(argv, "-q");
	strlist_add(argv, "-f");
	strlist_addf(argv, "/proc/self/fd/%d", plan->media_fds[EMULATOR_CONFIGURATION]);
	strlist_add(argv, "-rc");
	return strlist_addf(argv, "/proc/self/fd/%d", plan->media_fds[EMULATOR_SCRIPT]);
}

/*
 * Note, no save: Bochs can (-r resumes), but only when its display's button is pushed, which needs
 * a display with dialogs; rfb has none (dialog_caps 0), and neither has the debugger a command. A
 * library loaded into it can call save_state() from the debugger's readline(); the machine that -r
 * resumes then receives NULs without end on its first serial port and nothing on the second, as
 * if Bochs' timers, which are saved by number, came back under others.
 */
const struct emulator emulator_bochs = {
	.program = "bochs",
	.binary = "bochs-bin",
	.package = "packages bochs bochsbios",
	.listens = true,
	.port = EMULATOR_TERMINAL,
	.boots_elf = true,
	.make_media = make_media,
	.add_arguments = add_arguments,
};
