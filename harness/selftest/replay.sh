#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What is stored comes out as its files expect, 20 times of 20, and is small: replay.sh VMASSAY [--target TARGET] CORPUS...
set -eu

max_median=6	# operations
vmassay=$1
shift
target=
if [ "$1" = --target ]; then
	target="--target $2"
	shift 2
fi

fail()
{
	echo "replay.sh: $*" >&2
	exit 1
}

nr_operations()
{
	sed 's/#.*//; /^ *$/d; /^input /d; /^expect /d' "$1" | wc -l
}

nr=0
sizes=
for folder in "$@"; do
	for stored in "$folder"/*.input; do
		set -- "$stored" "$stored" "$stored" "$stored" "$stored"
		"$vmassay" replay $target --quiet "$@" "$@" "$@" "$@" || fail "$stored does not replay 20 times of 20"
		sizes="$sizes $(nr_operations "$stored")"
		nr=$((nr + 1))
	done
done
[ "$nr" -gt 0 ] || fail 'nothing is stored'
median=$(printf '%s\n' $sizes | sort -n | sed -n "$(((nr + 1) / 2))p")
echo "replay.sh: $nr inputs, median size $median operations"
[ "$median" -le "$max_median" ] || fail "the median is above $max_median operations"
