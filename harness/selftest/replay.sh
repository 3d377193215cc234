#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What is stored comes out as its files expect, 20 times of 20, and is small:
# replay.sh VMASSAY [--target TARGET|--lab LAB] CORPUS...
set -eu

max_median=6	# operations
vmassay=$1
shift
where=
case $1 in
--target | --lab)
	where="$1 $2"
	shift 2
	;;
esac
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail()
{
	echo "replay.sh: $*" >&2
	exit 1
}

nr_operations()
{
	sed 's/#.*//; /^ *$/d; /^input /d; /^expect /d; /^known /d' "$1" | wc -l
}

nr=0
sizes=
for stored in $(find "$@" -name '*.input' | sort); do
	sizes="$sizes $(nr_operations "$stored")"
	nr=$((nr + 1))
done
[ "$nr" -gt 0 ] || fail 'nothing is stored'
console=
[ "${where#--lab}" = "$where" ] || console="--console $scratch/console"
# shellcheck disable=SC2046,SC2086 # lists of words
"$vmassay" replay $where $console --repeat 20 $(find "$@" -name '*.input' | sort) > "$scratch/out" || {
	awk '/^ok/ { is_wrong = 0 } /^WRONG/ { is_wrong = 1 } is_wrong' "$scratch/out"
	fail 'not all of it replays 20 times of 20'
}
replayed=$(grep -c '^ok ' "$scratch/out")
known=$(grep -c '^ok .*(known: ' "$scratch/out" || :)
[ "$replayed" = "$nr" ] || fail "$nr inputs, $replayed outcomes"
median=$(printf '%s\n' $sizes | sort -n | sed -n "$(((nr + 1) / 2))p")
echo "replay.sh: $nr inputs, $known of them known to be otherwise here, median size $median operations"
[ "$median" -le "$max_median" ] || fail "the median is above $max_median operations"
