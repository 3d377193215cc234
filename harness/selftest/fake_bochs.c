/* SPDX-License-Identifier: MIT */
/*
 * Bochs as a lab and the library that is loaded into it see it: a debugger that asks readline() at
 * the start and at SIGINT, a SIM that saves, and a restoration by tmpfile64(). Its machine boots at
 * once and keeps its command's words in the file words. How it was started goes to the file starts.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "lab/contract.h"
#include "lab/emulator.h"
#include "lab/words.h"

#define DISK	"hard_drive.0.drive0.image"
#define MEMORY	"memory.ram"

static const char sectors[] = "disk";
static const char knowledge[] = "what the machine knows";

/* By the names that Bochs' have. */
extern void *SIM;
bool save_state(void *sim, const char *folder) __asm__("_ZN13bx_real_sim_c10save_stateEPKc");

static int machine;
void *SIM = &machine;

static volatile sig_atomic_t is_prompted;

static void __attribute__((noreturn)) die(const char *why)
{
	fprintf(stderr, "%s\n", why);
	exit(1);
}

static void append(const char *path, const char *bytes, size_t len_bytes)
{
	FILE *file = fopen(path, "ae");

	if (!file || fwrite(bytes, 1, len_bytes, file) != len_bytes || fclose(file))
		die(path);
}

bool save_state(void *sim, const char *folder)
{
	char path[PATH_MAX];

	if (sim != &machine || getenv("FAKE_REFUSES"))
		return false;
	snprintf(path, sizeof(path), "%s/" DISK, folder);
	append(path, sectors, sizeof(sectors));
	snprintf(path, sizeof(path), "%s/" MEMORY, folder);
	append(path, knowledge, sizeof(knowledge));
	return true;
}

/* The library does what it does before it answers. */
static void prompt(void)
{
	char *(*readline)(const char *prompt) = dlsym(RTLD_DEFAULT, "readline");
	char *answer = readline ? readline("<bochs:1> ") : NULL;

	if (!answer || strcmp(answer, "c"))
		die("the debugger's prompt is not answered");
	free(answer);
	is_prompted = false;
}

static void note_signal(int signal)
{
	(void)signal;
	is_prompted = true;
}

static int open_alias(enum emulator_alias alias, int flags)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", alias);
	fd = open(path, flags | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		die(path);
	return fd;
}

/* Its disk has the size of the one that was saved, and the memory is that of the machine. */
static void restore(void)
{
	char got[sizeof(knowledge)] = "";
	FILE *copy = tmpfile64();
	struct stat disk;

	if (fstat(open_alias(EMULATOR_ALIAS_DISK, O_RDWR), &disk) ||
	    disk.st_size != sizeof(sectors))
		die("the disk has another size");
	/* Bochs does not look, either. */
	if (!copy || fputs("a copy", copy) > 0 || fseek(copy, 0, SEEK_SET) ||
	    fread(got, sizeof(got), 1, copy) != 1 || memcmp(got, knowledge, sizeof(got)))
		die("no such machine");
	fclose(copy);
}

static void receive(int fd, char *bytes, size_t len_bytes)
{
	struct pollfd polled = { .fd = fd, .events = POLLIN };

	while (len_bytes) {
		ssize_t len;

		if (is_prompted)
			prompt();
		/* Not for ever: the signal may come before the poll(). */
		if (poll(&polled, 1, 50) <= 0)
			continue;
		len = read(fd, bytes, len_bytes);
		if (len <= 0)
			die("the second serial port is closed");
		bytes += len;
		len_bytes -= len;
	}
}

/* Returns false after the last piece. */
static bool receive_piece(int fd)
{
	char head[WORDS_HEAD_BYTES + 1] = "", piece[WORDS_PIECE_MAX_BYTES];
	unsigned int len;

	receive(fd, head, WORDS_HEAD_BYTES);
	if (sscanf(head, "%4x", &len) != 1 || len > sizeof(piece))
		die("not the head of a piece");
	receive(fd, piece, len);
	append("words", piece, len);
	return len;
}

int main(int argc, char **argv)
{
	bool is_resumed = argc == 4 && !strcmp(argv[2], "-r");
	int fd = open_alias(EMULATOR_ALIAS_RESULTS, O_RDWR);

	/* As Bochs does: what is there already is lost. */
	tcflush(fd, TCIFLUSH);
	signal(SIGINT, note_signal);
	append("starts", is_resumed ? "resume\n" : "boot\n", is_resumed ? 7 : 5);
	if (is_resumed)
		restore();
	prompt();
	if (!is_resumed)
		dprintf(fd, LAB_LINE_BOOT "\n" LAB_LINE_NEXT "\n");
	while (receive_piece(fd))
		dprintf(fd, LAB_LINE_NEXT "\n");
	dprintf(fd, "all words\n" LAB_LINE_EXIT "\n", 0);
	return 0;
}
