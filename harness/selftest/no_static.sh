#!/bin/sh
# SPDX-License-Identifier: MIT
# no_static.sh LIBHARNESS.a: the machine and the hypervisor have no writable variables but these, so that two of them in
# two threads are none of each other's business.
set -eu
work=$(mktemp "${TMPDIR:-/tmp}/vmassay-no-static.XXXXXX")
trap 'rm -f "$work"' EXIT

# OBJECT NAME, and why. What is a thread's alone (.tbss) is listed, too: two of them may be in one thread.
known='
soft_faults once	the handlers are set once: they are the process'\''s
soft_faults previous	what the process had for handlers before, written once
soft_faults watcher	whom a fault of this thread is told, for one access
soft_turns self		has no value: its address names the thread
soft_user is_direct	how this thread has user memory accessed, set by each call of soft_bound()
soft_vm own_clock	what time it is for this thread, set by each call of soft_bound()
'

# Constants with addresses in them are written by the loader and never again (.data.rel.ro).
nm -A -f sysv "$1" | tr -d ' ' | awk -F'|' '
	$7 ~ /^(\.data|\.bss|\.tdata|\.tbss|\*COM)/ && $7 !~ /^\.data\.rel\.ro/ {
		object = $1
		sub(/:[^:]*$/, "", object)
		sub(/.*[:\/]/, "", object)
		sub(/\.c\.o$/, "", object)
		name = $1
		sub(/.*:/, "", name)
		sub(/\.[0-9]+$/, "", name)	# of gcc, in a function
		sub(/.*\./, "", name)		# of clang
		if (object ~ /^(machine|soft)_/)
			print object, name
	}' | sort -u >"$work"
echo "$known" | awk 'NF { print $1, $2 }' | sort | diff -u --label "known to $0" --label "in $1" - "$work"
