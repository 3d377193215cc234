/* SPDX-License-Identifier: MIT */
/*
 * The outer half of a lab without booting one: archives, against cpio and tar themselves; which
 * kernel, modules and parameters are chosen; how an emulator's end is told, with a shell for one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <asm/bootparam.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "lab/archive.h"
#include "lab/bochs.h"
#include "lab/boot_disk.h"
#include "lab/closure.h"
#include "lab/emulator.h"
#include "lab/kernel.h"
#include "lab/lab.h"
#include "lab/modules.h"
#include "lab/stream.h"

#define LONG_FOLDER "0123456789012345678901234567890123456789012345678901234567890"

static char scratch[] = "/tmp/vmassay-lab-XXXXXX";

static int make_scratch(void **state)
{
	(void)state;
	return mkdtemp(scratch) && !chdir(scratch) ? 0 : -1;
}

static int remove_scratch(void **state)
{
	char command[PATH_MAX];

	(void)state;
	snprintf(command, sizeof(command), "cd / && rm -rf %s", scratch);
	return system(command);
}

/* Runs in the scratch folder; true means that it ended with 0. */
static bool shell(const char *command)
{
	return !system(command);
}

static void write_file(const char *path, const void *bytes, size_t len)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static void write_text(const char *path, const char *text)
{
	write_file(path, text, strlen(text));
}

static void assert_words(const struct strlist *got, const char *want)
{
	char *joined = strlist_join(got, "\n");

	assert_string_equal(joined, want);
	free(joined);
}

/* One of each; @file of a length that needs padding. */
static void fill_archive(struct archive *archive, struct err *err)
{
	assert_int_equal(archive_add_bytes(archive, "/a//b/./bytes", 0600, "xyz", 3, err), 0);
	assert_int_equal(archive_add_bytes(archive, "a/b/bytes", 0600, "other", 5, err), 0);
	assert_int_equal(archive_add_dir(archive, "a/b", err), 0);
	assert_int_equal(archive_add_dir(archive, "a/x/../empty/", err), 0);
	assert_int_equal(archive_add_dir(archive, "../../climbed", err), 0);
	assert_int_equal(archive_add_symlink(archive, "init", "/a/b/bytes", err), 0);
	assert_int_equal(archive_add_file(archive, "copy", "source", err), 0);
	assert_int_equal(archive_add_bytes(archive, LONG_FOLDER "/" LONG_FOLDER "/name", 0644,
					   "", 0, err), 0);
	assert_int_equal(archive_finish(archive, err), 0);
}

static void write_archive(const char *path, enum archive_format format)
{
	struct archive *archive = NULL;
	struct err err = { "" };
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	write_text("source", "a file's contents\n");
	assert_int_equal(chmod("source", 0755), 0);
	assert_int_equal(archive_open(&archive, format, fd, "../root/", &err), 0);
	fill_archive(archive, &err);
	archive_free(archive);
	close(fd);
}

static void assert_unpacked(void)
{
	assert_true(shell("cmp source out/root/copy && test -x out/root/copy"));
	assert_true(shell("test \"$(cat out/root/a/b/bytes)\" = xyz"));
	assert_true(shell("test \"$(stat -c %a out/root/a/b/bytes)\" = 600"));
	assert_true(shell("test \"$(readlink out/root/init)\" = /a/b/bytes"));
	assert_true(shell("test -d out/root/climbed"));
	assert_true(shell("test -d out/root/a/empty && test ! -e out/root/a/x"));
	assert_true(shell("test -f out/root/" LONG_FOLDER "/" LONG_FOLDER "/name"));
	assert_true(shell("rm -rf out"));
}

static void cpio_unpacks(void **state)
{
	(void)state;
	if (!shell("command -v cpio >/dev/null"))
		skip();
	write_archive("a.cpio", ARCHIVE_CPIO);
	assert_true(shell("mkdir out && cd out && cpio -id --quiet <../a.cpio"));
	assert_unpacked();
}

static void tar_unpacks(void **state)
{
	(void)state;
	if (!shell("command -v tar >/dev/null"))
		skip();
	write_archive("a.tar", ARCHIVE_USTAR);
	assert_true(shell("mkdir out && cd out && tar -xf ../a.tar"));
	assert_unpacked();
}

/* The whole archive, byte for byte: a device node cannot be unpacked without being root. */
static void cpio_bytes(void **state)
{
	static const char want[] =
		"070701" "00000001" "000041ed" "00000000" "00000000" "00000002" "00000000"
		"00000000" "00000000" "00000000" "00000000" "00000000" "00000004" "00000000"
		"dev\0\0\0"
		"070701" "00000002" "00002180" "00000000" "00000000" "00000001" "00000000"
		"00000000" "00000000" "00000000" "00000005" "00000001" "0000000c" "00000000"
		"dev/console\0\0\0"
		"070701" "00000003" "00000000" "00000000" "00000000" "00000001" "00000000"
		"00000000" "00000000" "00000000" "00000000" "00000000" "0000000b" "00000000"
		"TRAILER!!!\0\0\0";
	struct archive *archive = NULL;
	char got[1024] = "";
	int fd = open("bytes.cpio", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	(void)state;
	assert_int_equal(archive_open(&archive, ARCHIVE_CPIO, fd, NULL, NULL), 0);
	assert_int_equal(archive_add_char_device(archive, "/dev/console", 0600, 5, 1, NULL), 0);
	assert_int_equal(archive_finish(archive, NULL), 0);
	archive_free(archive);
	assert_int_equal(pread(fd, got, sizeof(got), 0), 512);
	assert_memory_equal(got, want, sizeof(want) - 1);
	close(fd);
}

static void archive_refuses(void **state)
{
	struct archive *archive = NULL;
	struct err err = { "" };
	char target[102];
	int fd = open("refused", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	(void)state;
	assert_int_equal(archive_open(&archive, ARCHIVE_USTAR, fd, NULL, &err), 0);
	assert_int_equal(archive_add_file(archive, "x", "absent", &err), -ENOENT);
	assert_string_equal(err.text, "absent: No such file or directory");
	assert_int_equal(archive_add_file(archive, "x", "/", &err), -EINVAL);
	assert_string_equal(err.text, "/: not a regular file");
	memset(target, 't', sizeof(target) - 1);
	target[sizeof(target) - 1] = '\0';
	assert_int_equal(archive_add_symlink(archive, "l", target, &err), -ENAMETOOLONG);
	assert_int_equal(archive_add_dir(archive, target, &err), -ENAMETOOLONG);
	archive_free(archive);
	archive_free(NULL);
	close(fd);
}

static void closure_has_this_program(void **state)
{
	struct closure closure = { 0 };
	char self[PATH_MAX] = "";
	bool has_libc = false;

	(void)state;
	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	assert_int_equal(closure_find(&closure, NULL), 0);
	assert_string_equal(closure.program, self);
	for (size_t i = 0; i < closure.objects.nr; i++) {
		assert_int_equal(access(closure.objects.strings[i], R_OK), 0);
		has_libc |= !!strstr(closure.objects.strings[i], "/libc.so.");
	}
	assert_int_equal(has_libc, !!closure.interpreter);
	closure_free(&closure);
}

static void versions_are_ordered(void **state)
{
	static const char *const versions[] = {
		"5.10.0-9-amd64", "5.10.0-28-amd64", "6.1.0-9-amd64", "6.1.0-56-amd64",
		"6.2-rc1-amd64", "6.2.0-amd64", "6.12.9+bpo-amd64", "6.12.10-amd64",
	};

	(void)state;
	for (size_t i = 1; i < sizeof(versions) / sizeof(*versions); i++) {
		assert_true(kernel_compare_versions(versions[i - 1], versions[i]) < 0);
		assert_true(kernel_compare_versions(versions[i], versions[i - 1]) > 0);
	}
}

/* As much of a bzImage as is looked at. */
static void write_image(const char *path, const char *version)
{
	char image[0x400] = "";

	memcpy(image + 0x202, "HdrS", 4);
	image[0x20f] = 0x01;
	snprintf(image + 0x300, 0x100, "%s (builder@host) #1 SMP", version);
	write_file(path, image, sizeof(image));
}

static void make_kernels(void)
{
	assert_true(shell("rm -rf boot lib && mkdir -p boot lib/6.1.0-9 lib/6.1.0-10 lib/6.2.0"));
	write_image("boot/vmlinuz-6.1.0-9", "6.1.0-9");
	write_image("boot/vmlinuz-6.1.0-10", "6.1.0-10");
	write_image("boot/vmlinuz-6.2.0", "6.2.0");
	write_image("own", "6.1.0-9");
	write_image("own-built-in", "7.0.0");
	write_text("lib/6.1.0-9/modules.dep", "");
	write_text("lib/6.1.0-10/modules.dep", "");
}

static void assert_kernel(const char *image, const char *modules, const char *want_image,
			  const char *want_version, const char *want_modules)
{
	struct kernel kernel = { 0 };
	struct err err = { "" };

	if (kernel_find_in(&kernel, "boot", "lib", image, modules, &err))
		fail_msg("%s", err.text);
	assert_string_equal(kernel.image, want_image);
	assert_string_equal(kernel.version ? kernel.version : "", want_version);
	assert_string_equal(kernel.modules ? kernel.modules : "", want_modules);
	kernel_free(&kernel);
}

static void assert_no_kernel(const char *boot, const char *image, const char *modules, int want,
			     const char *want_text)
{
	struct kernel kernel = { 0 };
	struct err err = { "" };

	assert_int_equal(kernel_find_in(&kernel, boot, "lib", image, modules, &err), want);
	assert_string_equal(err.text, want_text);
}

static void kernel_is_found(void **state)
{
	(void)state;
	make_kernels();
	/* 6.2.0 is newer, but has no modules. */
	assert_kernel(NULL, NULL, "boot/vmlinuz-6.1.0-10", "6.1.0-10", "lib/6.1.0-10");
	assert_kernel(NULL, "lib/6.1.0-9/", "boot/vmlinuz-6.1.0-9", "6.1.0-9", "lib/6.1.0-9");
	assert_kernel("own", NULL, "own", "6.1.0-9", "lib/6.1.0-9");
	assert_kernel("own", "lib/6.1.0-9", "own", "6.1.0-9", "lib/6.1.0-9");
	assert_kernel("own-built-in", NULL, "own-built-in", "7.0.0", "");
	write_text("vmlinux-6.1.0-9", "\177ELF, and so on");
	assert_kernel("vmlinux-6.1.0-9", NULL, "vmlinux-6.1.0-9", "6.1.0-9", "lib/6.1.0-9");
}

static void kernel_is_refused(void **state)
{
	(void)state;
	make_kernels();
	write_text("text", "not a kernel");
	assert_no_kernel("absent", NULL, NULL, -ENOENT, "no kernel found under absent "
			 "(Debian package linux-image-amd64), or give --kernel");
	assert_no_kernel("boot", "own", "lib/6.1.0-10", -EINVAL,
			 "modules folder lib/6.1.0-10 does not belong to kernel 6.1.0-9");
	assert_no_kernel("boot", "text", NULL, -ENOEXEC, "text: not a bzImage or ELF kernel");
	assert_no_kernel("boot", "absent", NULL, -ENOENT,
			 "cannot read the kernel absent: No such file or directory");
	assert_no_kernel("boot", NULL, "lib/9.9", -ENOENT,
			 "no kernel found for lib/9.9; give --kernel");
}

static void make_modules(void)
{
	assert_true(shell("mkdir -p 'modules folder'"));
	write_text("modules folder/modules.dep",
		   "k/power.ko:\n"
		   "k/kvm.ko.xz: k/irqbypass.ko.xz\n"
		   "k/kvm-amd.ko.xz: k/ccp.ko.xz k/kvm.ko.xz k/irqbypass.ko.xz\n"
		   "k/kvm-amd-more.ko.xz: k/kvm.ko.xz\n");
	write_text("modules folder/modules.builtin", "k/loop.ko\nk/kvm-intel.ko\n");
}

static void modules_are_in_load_order(void **state)
{
	struct strlist paths = { 0 };
	struct err err = { "" };

	(void)state;
	make_modules();
	assert_int_equal(modules_find(&paths, "modules folder", "kvm_amd", &err), 0);
	assert_words(&paths, "modules folder/k/irqbypass.ko.xz\nmodules folder/k/kvm.ko.xz\n"
		     "modules folder/k/ccp.ko.xz\nmodules folder/k/kvm-amd.ko.xz");
	assert_true(module_is_compressed(paths.strings[0]));
	assert_false(module_is_compressed("k/power.ko"));
	strlist_free(&paths);
	assert_int_equal(modules_find(&paths, "modules folder", "kvm-intel", &err), 0);
	assert_int_equal(paths.nr, 0);
	assert_int_equal(modules_find(&paths, "modules folder", "kvm", &err), 0);
	assert_int_equal(paths.nr, 2);
	strlist_free(&paths);
}

static void absent_modules_are_named(void **state)
{
	struct strlist paths = { 0 };
	struct err err = { "" };

	(void)state;
	make_modules();
	assert_int_equal(modules_find(&paths, "modules folder", "nvmm", &err), -ENOENT);
	assert_string_equal(err.text, "modules folder/modules.dep has no module nvmm");
	assert_int_equal(modules_find(&paths, "absent", "kvm", &err), -ENOENT);
	assert_string_equal(err.text,
			    "cannot read absent/modules.dep: No such file or directory");
}

static void params_go_where_they_belong(void **state)
{
	static const char *const defaults[] = { "kvm_amd.nested=1", "kvm.prefix=1", NULL };
	static const char *const params[] = {
		"kvm-amd.nested=0", "kvm.x=a.b=c", "loop.max_loop=1", NULL,
	};
	struct strlist paths = { 0 };
	struct strlist lines = { 0 };
	struct strlist command_line = { 0 };

	(void)state;
	strlist_add(&paths, "/k v/m/kvm.ko.xz");
	strlist_add(&paths, "/k v/m/kvm-amd.ko.xz");
	assert_int_equal(modules_apply_params(&paths, defaults, params, &lines, &command_line,
					      NULL), 0);
	assert_words(&lines, "kvm.ko.xz prefix=1 x=a.b=c\nkvm-amd.ko.xz nested=0");
	assert_words(&command_line, "loop.max_loop=1");
	strlist_free(&paths);
	strlist_free(&lines);
	strlist_free(&command_line);
}

static void bad_params_are_named(void **state)
{
	static const char *const words[] = { "nested=1", "kvm.=1", ".nested=1", "kvm.nested", "" };
	struct strlist none = { 0 };
	char want[128];

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		const char *const params[] = { words[i], NULL };
		struct err err = { "" };

		assert_int_equal(modules_apply_params(&none, NULL, params, &none, &none, &err),
				 -EINVAL);
		snprintf(want, sizeof(want), "parameter '%s' is not module.name=value", words[i]);
		assert_string_equal(err.text, want);
	}
}

static void assert_tail(const struct tail *tail, uint64_t then, const char *want)
{
	char *text = tail_since(tail, then);

	assert_string_equal(text, want);
	free(text);
}

static void tail_keeps_the_end(void **state)
{
	static struct tail tail;
	char text[256] = "end";

	(void)state;
	tail_quote(&tail, 2, "; said: ", text, sizeof(text));
	assert_string_equal(text, "end");
	for (int i = 0; i < 3000; i++)
		tail_feed(&tail, "filler\r\n", 8);
	tail_feed(&tail, "BUG: it\n\n\none\n  tw", 18);
	tail_feed(&tail, "o\033[0m\n", 6);
	tail_quote(&tail, 2, "; said: ", text, sizeof(text));
	assert_string_equal(text, "end; said: BUG: it | one | two[0m");
	assert_int_equal(tail.len_bytes, sizeof(tail.bytes));
	assert_int_equal(tail.nr_bytes, 3000 * 8 + 18 + 6);
	assert_tail(&tail, tail.nr_bytes - 6, "o[0m\n");
	assert_tail(&tail, tail.nr_bytes - 24, "BUG: it\none\n  two[0m\n");
	assert_tail(&tail, tail.nr_bytes, "");
}

static void bochs_is_configured(void **state)
{
	const struct emulator_plan plan = {
		.cpu = "trinity_apu", .nr_cpus = 2, .memory_mib = 512,
	};
	static const char *const want[] = {
		"plugin_ctrl: speaker=false, serial=false, usb_uhci=true\nplugin_ctrl: serial=true\n",
		"\ncpu: model=trinity_apu, count=2, ips=",
		"\nmemory: guest=512, host=512\n",
		"\nata0-master: type=disk, mode=flat, path=\"/proc/self/fd/242\"\n",
		"\ncom1: enabled=1, mode=file, dev=/proc/self/fd/240\n",
		"\ncom2: enabled=1, mode=term, dev=/proc/self/fd/241\n",
		"\npanic: action=fatal\n",
	};
	struct emulator_plan outliving = plan;
	char *got = bochs_configuration(&plan);

	(void)state;
	for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++) {
		if (!strstr(got, want[i]))
			fail_msg("no '%s' in %s", want[i], got);
	}
	free(got);
	outliving.outlives_triple_fault = true;
	got = bochs_configuration(&outliving);
	assert_non_null(strstr(got, "\npanic: action=fatal, cpu0=report\n"));
	free(got);
}

/* A kernel of one segment, whose contents are the word "kernel". */
static void write_elf_kernel(const char *path)
{
	struct {
		Elf64_Ehdr header;
		Elf64_Phdr segment;
		char text[8];
	} image = {
		.header = {
			.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64 },
			.e_entry = 0x1000010, .e_phoff = sizeof(Elf64_Ehdr), .e_phnum = 1,
		},
		.segment = {
			.p_type = PT_LOAD, .p_paddr = 0x1000000, .p_filesz = 6,
			.p_offset = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr),
		},
		.text = "kernel",
	};

	write_file(path, &image, sizeof(image));
}

/* Only what bears on its own unpacking. */
static void write_bzimage(const char *path)
{
	char image[3 * BOOT_DISK_SECTOR_BYTES + 6] = "";
	struct setup_header header = {
		.setup_sects = 2, .header = 0x53726448, .version = 0x20f,
		.pref_address = 0x1000000,
	};

	memcpy(image + 0x1f1, &header, sizeof(header));
	memcpy(image + 3 * BOOT_DISK_SECTOR_BYTES, "packed", 6);
	write_file(path, image, sizeof(image));
}

/* Does what the boot sector does: copies the piece that is for @address. */
static void read_piece(int fd, const struct boot_disk_table *table, uint32_t address, void *bytes,
		       size_t len_bytes)
{
	const struct boot_disk_piece *piece = table->pieces;

	while (piece->nr_sectors && piece->address != address)
		piece++;
	assert_int_equal(piece->address, address);
	assert_true(len_bytes <= piece->nr_sectors * BOOT_DISK_SECTOR_BYTES);
	assert_int_equal(pread(fd, bytes, len_bytes, (off_t)piece->sector * BOOT_DISK_SECTOR_BYTES),
			 len_bytes);
}

static void assert_boots(const char *kernel, const char *want_kernel, uint32_t want_entry)
{
	const struct boot_disk_plan plan = {
		.kernel = kernel, .initramfs_fd = open("initramfs", O_RDONLY | O_CLOEXEC),
		.command_line = "quiet splash", .memory_mib = 512,
	};
	unsigned char sector[BOOT_DISK_SECTOR_BYTES];
	struct boot_disk_table table;
	struct boot_params params;
	struct err err = { "" };
	char text[16];
	int fd;

	if (boot_disk_create(&fd, &plan, &err))
		fail_msg("%s", err.text);
	assert_int_equal(pread(fd, sector, sizeof(sector), 0), sizeof(sector));
	assert_int_equal(sector[510] | sector[511] << 8, 0xaa55);
	assert_int_equal(pread(fd, &table, sizeof(table), sizeof(sector)), sizeof(table));
	assert_int_equal(table.entry, want_entry);
	read_piece(fd, &table, 0x1000000, text, 6);
	assert_memory_equal(text, want_kernel, 6);
	read_piece(fd, &table, table.boot_params, &params, sizeof(params));
	read_piece(fd, &table, params.hdr.cmd_line_ptr, text, sizeof("quiet splash"));
	assert_string_equal(text, "quiet splash");
	assert_int_equal(params.hdr.ramdisk_size, sizeof("initramfs") - 1);
	read_piece(fd, &table, params.hdr.ramdisk_image, text, params.hdr.ramdisk_size);
	assert_memory_equal(text, "initramfs", params.hdr.ramdisk_size);
	assert_int_equal(params.e820_entries, 2);
	assert_int_equal(params.e820_table[1].addr + params.e820_table[1].size,
			 (512 << 20) - (64 << 10));
	close(plan.initramfs_fd);
	close(fd);
}

static void boot_disk_has_its_pieces(void **state)
{
	(void)state;
	write_text("initramfs", "initramfs");
	write_elf_kernel("elf-kernel");
	assert_boots("elf-kernel", "kernel", 0x1000010);
	write_bzimage("bzimage");
	assert_boots("bzimage", "packed", 0x1000000);
}

static void boot_disk_is_refused(void **state)
{
	struct boot_disk_plan plan = { .command_line = "", .memory_mib = 128 };
	struct err err = { "" };
	int fd = -1;

	(void)state;
	write_text("initramfs", "");
	assert_true(shell("truncate -s 100M initramfs"));
	write_elf_kernel("elf-kernel");
	write_text("text", "not a kernel");
	plan.initramfs_fd = open("initramfs", O_RDONLY | O_CLOEXEC);
	plan.kernel = "text";
	assert_int_equal(boot_disk_create(&fd, &plan, &err), -ENOEXEC);
	assert_string_equal(err.text, "text: not a bzImage or 64-bit ELF kernel");
	plan.kernel = "elf-kernel";
	assert_int_equal(boot_disk_create(&fd, &plan, &err), -E2BIG);
	assert_string_equal(err.text, "kernel and initramfs do not fit into 128 MiB; give --mem");
	plan.kernel = "absent";
	assert_int_equal(boot_disk_create(&fd, &plan, &err), -ENOENT);
	assert_string_equal(err.text,
			    "cannot make a boot disk of absent: No such file or directory");
	assert_int_equal(fd, -1);
	close(plan.initramfs_fd);
}

/* An emulator of which only the ends of its serial ports are used: a shell. */
static const char *script;

static int add_script(struct strlist *argv, const struct emulator_plan *plan)
{
	strlist_add(argv, "-c");
	strlist_addf(argv, "exec 8>/proc/self/fd/%d 9>/proc/self/fd/%d %d>&- %d>&-\n%s",
		     plan->console_fd, plan->results_fd, plan->console_fd, plan->results_fd,
		     script);
	return argv->error;
}

static const struct emulator emulator_shell = {
	.program = "bash",	/* dash knows no descriptors above 9 */
	.package = "package bash",
	.add_arguments = add_script,
};

static bool keep_line(void *context, const char *line)
{
	strlist_add(context, line);
	return !strcmp(line, "last");
}

static void assert_run(const char *commands, const char *want_lines, enum emulator_end want_end,
		       const char *want_words)
{
	struct emulator_plan plan = { .kernel_fd = -1, .initramfs_fd = -1 };
	struct strlist lines = { 0 };
	struct emulator_watch watch = {
		.timeout_s = 1, .console_fd = -1, .on_line = keep_line, .context = &lines,
	};
	struct emulator_record record;
	struct err err = { "" };

	script = commands;
	if (emulator_run(&emulator_shell, &plan, &watch, &record, &err))
		fail_msg("%s", err.text);
	assert_words(&lines, want_lines);
	assert_string_equal(record.last_words, want_words);
	assert_int_equal(record.end, want_end);
	strlist_free(&lines);
}

static void emulator_end_is_told(void **state)
{
	(void)state;
	if (!shell("command -v bash >/dev/null"))
		skip();
	assert_run("printf 'a\\nb' >&9; printf 'c\\nlost' >&9", "a\nbc", EMULATOR_ENDED,
		   "emulator ended before the command did");
	assert_run("echo odd >&2; echo said >&8; exit 3", "", EMULATOR_FAILED,
		   "emulator ended with status 3; last line on stderr: odd; console: said");
	assert_run("kill -ABRT $$", "", EMULATOR_FAILED, "emulator ended by signal 6 (Aborted)");
	assert_run("echo last >&9; echo more >&9; echo even more >&9", "last", EMULATOR_ENDED,
		   "emulator ended before the command did");
}

static void silence_ends_emulator(void **state)
{
	(void)state;
	if (!shell("command -v bash >/dev/null"))
		skip();
	/* A console that never rests is no life. */
	assert_run("echo a >&9; while :; do echo hung >&8; read -t 0.2 <><(:); done", "a", EMULATOR_IDLE,
		   "emulator stood still, sent no results for 1 s and was ended; console: hung | hung | hung");
	assert_run("echo a >&9; while :; do :; done", "a", EMULATOR_BUSY,
		   "emulator sent no results for 1 s and was ended");
}

static void signal_ends_emulator(void **state)
{
	static volatile sig_atomic_t is_interrupted = 1;
	struct emulator_plan plan = { .kernel_fd = -1, .initramfs_fd = -1 };
	struct strlist lines = { 0 };
	struct emulator_watch watch = {
		.timeout_s = 60, .console_fd = -1, .is_interrupted = &is_interrupted,
		.on_line = keep_line, .context = &lines,
	};
	struct emulator_record record;
	struct err err = { "" };

	(void)state;
	if (!shell("command -v bash >/dev/null"))
		skip();
	script = "exec sleep 60";
	if (emulator_run(&emulator_shell, &plan, &watch, &record, &err))
		fail_msg("%s", err.text);
	assert_string_equal(record.last_words, "interrupted");
	assert_int_equal(record.end, EMULATOR_TOLD);
}

static void no_line_here(void *context, const char *line)
{
	(void)context;
	fail_msg("%s", line);
}

/* Its socket is full in no time, and the lab must be able to end it. */
static void nudge_of_hung_emulator_returns(void **state)
{
	struct emulator_plan plan;
	unsigned int i;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	plan.send_fd = fds[0];
	for (i = 0; i < 10000; i++)
		emulator_nudge(&plan);
	close(fds[0]);
	close(fds[1]);
}

static void lab_says_what_is_missing(void **state)
{
	static const char *const argv[] = { "run", NULL };
	struct lab_options options = { .name = "mips" };
	struct lab_outcome outcome;
	struct err err = { "" };
	char *path = strdup(getenv("PATH"));

	(void)state;
	assert_false(lab_is_inside());
	assert_int_equal(lab_boot(&options, argv, no_line_here, NULL, &outcome, &err), -EINVAL);
	assert_string_equal(err.text, "unknown lab 'mips' (known: svm vmx svm-bochs)");
	make_kernels();
	setenv("PATH", "/nowhere", 1);
	options = (struct lab_options){ .name = "svm", .kernel = "own-built-in" };
	assert_int_equal(lab_boot(&options, argv, no_line_here, NULL, &outcome, &err), -ENOENT);
	assert_string_equal(err.text,
			    "qemu-system-x86_64: not found (Debian package qemu-system-x86)");
	options.name = "vmx";
	assert_int_equal(lab_boot(&options, argv, no_line_here, NULL, &outcome, &err), -ENOENT);
	assert_string_equal(err.text, "bochs: not found (Debian packages bochs bochsbios vgabios)");
	setenv("PATH", path, 1);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cpio_unpacks),
		cmocka_unit_test(tar_unpacks),
		cmocka_unit_test(cpio_bytes),
		cmocka_unit_test(archive_refuses),
		cmocka_unit_test(closure_has_this_program),
		cmocka_unit_test(versions_are_ordered),
		cmocka_unit_test(kernel_is_found),
		cmocka_unit_test(kernel_is_refused),
		cmocka_unit_test(modules_are_in_load_order),
		cmocka_unit_test(absent_modules_are_named),
		cmocka_unit_test(params_go_where_they_belong),
		cmocka_unit_test(bad_params_are_named),
		cmocka_unit_test(tail_keeps_the_end),
		cmocka_unit_test(bochs_is_configured),
		cmocka_unit_test(boot_disk_has_its_pieces),
		cmocka_unit_test(boot_disk_is_refused),
		cmocka_unit_test(emulator_end_is_told),
		cmocka_unit_test(silence_ends_emulator),
		cmocka_unit_test(signal_ends_emulator),
		cmocka_unit_test(nudge_of_hung_emulator_returns),
		cmocka_unit_test(lab_says_what_is_missing),
	};

	return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
