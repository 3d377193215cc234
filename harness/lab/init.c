/* SPDX-License-Identifier: MIT */
/*
 * The inner half of a lab: process 1 of the emulated machine.
 *
 * There is no stderr worth the name: what goes wrong before the command runs is a line among the
 * results, or, when that port itself does not open, a line on the kernel's console.
 */
#include "lab/lab.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "lab/contract.h"
#include "lab/modules.h"
#include "lab/strlist.h"
#include "lab/words.h"

#ifndef MODULE_INIT_COMPRESSED_FILE	/* linux/module.h, since 5.17 */
#define MODULE_INIT_COMPRESSED_FILE 4
#endif

/* The kernel takes one second for it, and may give up. */
#define CLOCK_WAIT_MS 3000
#define CLOCK_POLL_MS 20

struct mount {
	const char *type;
	const char *folder;
};

bool lab_is_inside(void)
{
	return getpid() == 1 && !access(LAB_MODULES, F_OK);
}

/*
 * What a kernel lacks (tracing, say) is missed by the cases that need it, not here. Note, nothing
 * goes on /tmp: the root is a tmpfs already, and the program itself may have been built there.
 */
static void mount_all(void)
{
	static const struct mount mounts[] = {
		{ "proc", "/proc" },
		{ "sysfs", "/sys" },
		{ "devtmpfs", "/dev" },
		{ "debugfs", "/sys/kernel/debug" },
		{ "tracefs", "/sys/kernel/tracing" },
	};

	for (size_t i = 0; i < sizeof(mounts) / sizeof(*mounts); i++)
		mount(mounts[i].type, mounts[i].folder, mounts[i].type, 0, NULL);
}

/*
 * Starts this program over, once there is a /proc: the dynamic loader ($ORIGIN) and sanitizers
 * look into it before main() does. By its path, which is its name in an oops.
 */
static void start_over(void)
{
	char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (len > 0) {
		path[len] = '\0';
		execl(path, path, (char *)NULL);
	}
}

/* The kernel has opened the console for us unless the initramfs came without the device. */
static void open_console(void)
{
	int fd = open("/dev/console", O_RDWR | O_NOCTTY);

	if (fd < 0)
		return;
	for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
		dup2(fd, i);
	if (fd > STDERR_FILENO)
		close(fd);
}

void lab_setting_write(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, value, strlen(value)) < 0)
		fprintf(stderr, "vmassay: %s: %s\n", path, strerror(errno));
	close(fd);
}

void lab_be_patient(void)
{
	lab_setting_write("/proc/sys/kernel/watchdog_thresh", "60");
	lab_setting_write("/sys/module/rcupdate/parameters/rcu_cpu_stall_timeout", "120");
}

static void prepare_surroundings(void)
{
	if (access("/proc/self", F_OK)) {
		mount_all();
		start_over();
	}
	open_console();
	/* Warnings and worse; an oops kills the process that met it and the run goes on. */
	lab_setting_write("/proc/sys/kernel/printk", "5");
	lab_setting_write("/proc/sys/kernel/panic_on_oops", "0");
	/* One that runs in circles says so and ends; of a task that waits for ever the run itself is told. */
	lab_setting_write("/proc/sys/kernel/softlockup_panic", "1");
	lab_setting_write("/proc/sys/kernel/panic_on_rcu_stall", "1");
	lab_setting_write("/proc/sys/kernel/hung_task_timeout_secs", "8");
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	setenv("HOME", "/", 1);
}

static bool is_clock_provisional(void)
{
	char name[32] = "";
	int fd = open("/sys/devices/system/clocksource/clocksource0/current_clocksource", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	if (read(fd, name, sizeof(name) - 1) < 0)
		name[0] = '\0';
	close(fd);
	return !strncmp(name, "tsc-early", strlen("tsc-early"));
}

/*
 * The kernel measures its TSC once more in its second second. KVM takes the first value for what the CPU can do and
 * the second for what it does; and a machine that is saved between the two ends of the measurement comes back with a
 * clock that leaps.
 */
static void wait_for_clock(void)
{
	const struct timespec pause = { .tv_nsec = CLOCK_POLL_MS * 1000000 };
	unsigned int i;

	for (i = 0; i < CLOCK_WAIT_MS / CLOCK_POLL_MS && is_clock_provisional(); i++)
		nanosleep(&pause, NULL);
}

static void __attribute__((noreturn)) power_off(void)
{
	reboot(RB_POWER_OFF);
	/* Without ACPI there is no switch; the emulator takes a reset for the end. */
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}

/* Bytes must pass as they are: no echo, no carriage returns. */
static int open_results(void)
{
	int fd = open(LAB_RESULTS, O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios termios;

	if (fd < 0 || tcgetattr(fd, &termios)) {
		fprintf(stderr, "vmassay: " LAB_RESULTS ": %s\n", strerror(errno));
		power_off();
	}
	cfmakeraw(&termios);
	cfsetspeed(&termios, B115200);
	termios.c_cflag |= CLOCAL;
	tcsetattr(fd, TCSANOW, &termios);
	return fd;
}

static void __attribute__((noreturn)) fail(int results_fd, const char *what, const char *why)
{
	char text[256];

	snprintf(text, sizeof(text), "%s: %s", what, why);
	for (char *c = text; *c; c++) {
		if (*c < ' ' || *c > '~' || *c == '"' || *c == '\\')
			*c = '?';
	}
	dprintf(results_fd, LAB_LINE_ERROR "\n", text);
	tcdrain(results_fd);
	power_off();
}

/* @line is a file name in the modules' folder and parameters. Returns 0 or -errno. */
static int load_module(char *line)
{
	size_t name_len = strcspn(line, " ");
	const char *params = line + name_len + (line[name_len] == ' ');
	char path[256];
	int flags;
	int fd;
	int status = 0;

	line[name_len] = '\0';
	snprintf(path, sizeof(path), LAB_MODULE_DIR "/%s", line);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	flags = module_is_compressed(path) ? MODULE_INIT_COMPRESSED_FILE : 0;
	if (syscall(SYS_finit_module, fd, params, flags))
		status = -errno;
	close(fd);
	return status;
}

static void load_modules(int results_fd)
{
	FILE *file = fopen(LAB_MODULES, "re");
	char *line = NULL;
	size_t size = 0;

	if (!file)
		fail(results_fd, LAB_MODULES, strerror(errno));
	while (getline(&line, &size, file) > 0) {
		int status;

		line[strcspn(line, "\n")] = '\0';
		status = load_module(line);
		if (status && status != -EEXIST)
			fail(results_fd, line, strerror(-status));
	}
	free(line);
	fclose(file);
}

static void require_kvm(int results_fd)
{
	if (access("/dev/kvm", F_OK))
		fail(results_fd, "/dev/kvm", "none; the kernel has no KVM, or none for this CPU");
}

static void receive_words(struct strlist *words, int results_fd)
{
	int status = words_receive(words, results_fd);

	if (status)
		fail(results_fd, "the command's words", strerror(-status));
}

/* As process 1 we also reap what the command's own children leave behind. */
static int wait_for_command(pid_t command)
{
	int wait_status;
	pid_t pid;

	do {
		pid = wait(&wait_status);
	} while (pid != command && (pid > 0 || errno == EINTR));
	if (pid != command)
		return 127;
	return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

/* In a child: process 1 must not die with the command, for that is a kernel panic. */
static int run_command(int (*run)(int argc, char **argv, int results_fd), struct strlist *words,
		       int results_fd)
{
	pid_t command = fork();

	if (command < 0)
		fail(results_fd, "fork", strerror(errno));
	if (!command) {
		int code = run(words->nr, words->strings, results_fd);

		fflush(NULL);
		_exit(code);
	}
	return wait_for_command(command);
}

void lab_end(int results_fd, int code)
{
	dprintf(results_fd, "%c\n" LAB_LINE_EXIT "\n", LAB_CANCEL, code);
	tcdrain(results_fd);
	power_off();
}

void lab_init(int (*run)(int argc, char **argv, int results_fd))
{
	struct strlist words = { 0 };
	int results_fd;
	int code;

	prepare_surroundings();
	results_fd = open_results();
	dprintf(results_fd, LAB_LINE_BOOT "\n");
	wait_for_clock();
	load_modules(results_fd);
	require_kvm(results_fd);
	receive_words(&words, results_fd);
	code = run_command(run, &words, results_fd);
	lab_end(results_fd, code);
}
