/* SPDX-License-Identifier: MIT */
/*
 * "vmassay bundle FILE.tar": this program with every shared object it needs and a start script, for a machine that has
 * none of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "err.h"
#include "lab/archive.h"
#include "lab/closure.h"

/* Nothing of the machine's own libraries is used, not even its dynamic loader. */
static void write_script(char *script, size_t len, const struct closure *closure)
{
	snprintf(script, len, "#!/bin/sh\nhere=$(cd \"$(dirname \"$0\")\" && pwd)\n"
		 "exec \"$here/lib/%s\" --argv0 \"$0\" --library-path \"$here/lib\" \"$here/bin/vmassay\" \"$@\"\n",
		 strrchr(closure->interpreter, '/') + 1);
}

static int bundle_write(int fd, struct err *err)
{
	struct closure closure = { 0 };
	struct archive *archive = NULL;
	char script[4096];
	int r = closure_find(&closure, err);

	if (r)
		return r;
	if (!closure.interpreter) {
		closure_free(&closure);
		return err_set(err, ENOEXEC, "bundle: this program is static, it needs no bundle");
	}
	r = archive_open(&archive, ARCHIVE_USTAR, fd, "vmassay-" VMASSAY_VERSION, err);
	if (!r)
		r = closure_pack_flat(&closure, archive, err);
	write_script(script, sizeof(script), &closure);
	if (!r)
		r = archive_add_bytes(archive, "vmassay", 0755, script, strlen(script), err);
	if (!r)
		r = archive_finish(archive, err);
	archive_free(archive);
	closure_free(&closure);
	return r;
}

int cmd_bundle(int argc, char **argv)
{
	struct err err;
	int fd, r;

	if (argc == 2 && !strcmp(argv[1], "--help")) {
		printf("usage: vmassay bundle FILE.tar\n\nUnpack it anywhere and start vmassay-%s/vmassay.\n",
		       VMASSAY_VERSION);
		return 0;
	}
	if (argc != 2 || argv[1][0] == '-')
		return usage_error("bundle: want one file name (vmassay bundle FILE.tar)");
	fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return usage_error("%s: %s", argv[1], strerror(errno));
	r = bundle_write(fd, &err);
	if (close(fd) && !r)
		r = err_set(&err, errno, "%s: %s", argv[1], strerror(errno));
	if (!r)
		return 0;
	unlink(argv[1]);
	return usage_error("%s", err.text);
}
