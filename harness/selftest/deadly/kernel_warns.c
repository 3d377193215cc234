/* SPDX-License-Identifier: MIT */
#include "case.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

CASE(kernel_warns, .says = "a kernel that reports a bug passes", .modes = NO_GUEST,
     .alone = true)

/* The kernel tells who drops its caches, at the line's begin. */
HOST(kernel_warns)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

	prctl(PR_SET_NAME, "WARNING: drill");
	expect_result(t, 1, write(fd, "1", 1));
}
