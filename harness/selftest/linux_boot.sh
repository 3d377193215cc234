#!/bin/sh
# SPDX-License-Identifier: MIT
# linux_boot.sh PRELOAD INIT: boots Linux to its user space in Debian's QEMU, unmodified, on the soft hypervisor.
# PRELOAD is libvmassay-kvm.so, INIT a static program for /init. Ends with 77 where QEMU or a kernel is missing.
preload=$1 init=$2
limit_s=500

skip() {
	echo "linux_boot: $1"
	exit 77
}

# One member of a newc archive (cpio(5)), padded to four bytes: NAME MODE FILE
member() {
	size=$(stat -c %s "$3")
	printf '070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\0' \
		1 "$2" 0 0 1 0 "$size" 0 0 0 0 $((${#1} + 1)) 0 "$1"
	head -c $(((4 - (110 + ${#1} + 1) % 4) % 4)) /dev/zero
	cat "$3"
	head -c $(((4 - size % 4) % 4)) /dev/zero
}

command -v qemu-system-x86_64 >/dev/null || skip "no qemu-system-x86_64"
kernel=$(ls -v /boot/vmlinuz-*-amd64 2>/dev/null | tail -n 1)
[ -r "$kernel" ] || skip "no kernel in /boot"

folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
{ member init 0100755 "$init"; member 'TRAILER!!!' 0 /dev/null; } >"$folder/initrd"

LD_PRELOAD=$preload timeout "$limit_s" qemu-system-x86_64 -accel kvm -cpu host -m 256 -display none -monitor none \
	-serial "file:$folder/serial" -no-reboot -kernel "$kernel" -initrd "$folder/initrd" \
	-append "console=ttyS0 reboot=t quiet" </dev/null >"$folder/said" 2>&1
if grep -a "^user space of Linux .*, process 1" "$folder/serial"; then
	exit 0
fi
echo "linux_boot: $kernel did not come to its user space"
tail -n 20 "$folder/said" "$folder/serial"
exit 1
