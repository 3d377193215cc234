#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What is stored comes out as its files expect, 20 times of 20: replay.sh VMASSAY CORPUS...
set -eu

vmassay=$1
shift
nr=0
for folder in "$@"; do
	for stored in "$folder"/*.input; do
		set -- "$stored" "$stored" "$stored" "$stored" "$stored"
		"$vmassay" replay --quiet "$@" "$@" "$@" "$@" || {
			echo "replay.sh: $stored does not replay 20 times of 20" >&2
			exit 1
		}
		nr=$((nr + 1))
	done
done
echo "replay.sh: $nr inputs"
[ "$nr" -gt 0 ]
