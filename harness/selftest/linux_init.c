/* SPDX-License-Identifier: MIT */
/* The first and only process of the Linux guest that linux_boot.sh starts: says so and restarts the machine. */
#include <stdio.h>
#include <sys/reboot.h>
#include <sys/utsname.h>
#include <unistd.h>

int main(void)
{
	struct utsname name;

	if (uname(&name))
		return 1;
	printf("user space of %s %s, process %d\n", name.sysname, name.release, getpid());
	fflush(stdout);
	return reboot(RB_AUTOBOOT);
}
