/* SPDX-License-Identifier: MIT */
#include "case.h"

#include <fcntl.h>
#include <unistd.h>

CASE(kernel_panics, .says = "a kernel that crashes passes", .modes = NO_GUEST,
     .alone = true)

HOST(kernel_panics)
{
	int fd = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);

	expect_result(t, 1, write(fd, "c", 1));
}
