#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Two machines' worth of AFL++ on this one, over one folder: afl.sh SOURCE_ROOT [TARGET]
#
# TARGET is what fuzz/oss-fuzz-build made with afl-clang-fast; without one, it is built here. Each "machine" has one
# instance; the second must take over what the first has found. Exit code 77: afl-fuzz is not installed.
set -eu

root=$(realpath "$1")
command -v afl-fuzz >/dev/null || { echo "afl.sh: there is no afl-fuzz"; exit 77; }
scratch=$(mktemp -d /tmp/vmassay-afl.XXXXXX)
trap 'rm -rf "$scratch"' EXIT

fail()
{
	echo "afl.sh: $*" >&2
	tail -n 20 "$scratch"/shared/*.log >&2 || :
	exit 1
}

stat_of()
{
	sed -n "s/^$2 *: //p" "$scratch/shared/$1/fuzzer_stats"
}

target=${2:-}
if [ -z "$target" ]; then
	CC=afl-clang-fast CFLAGS=-O1 OUT="$scratch" "$root/fuzz/oss-fuzz-build" fuzz_vmcb >/dev/null
	target=$scratch/fuzz_vmcb
fi
mkdir "$scratch/seeds"
printf 'input vmcb\n' >"$scratch/seeds/golden"
cp -n "$target" "$scratch/fuzz_vmcb" 2>/dev/null || :
"$root/fuzz/afl-start" --main --jobs 1 --time 40 --name one --seeds "$scratch/seeds" "$scratch/fuzz_vmcb" "$scratch/shared" &
one=$!
"$root/fuzz/afl-start" --jobs 1 --time 40 --name two --seeds "$scratch/seeds" "$scratch/fuzz_vmcb" "$scratch/shared" &
two=$!
# 1: it has found something. That is for ci/nightly to judge: what random inputs find in 40 seconds differs each time.
for pid in $one $two; do
	wait "$pid" || [ $? -eq 1 ] || fail 'an instance failed'
done
for file in "$scratch"/shared/*/crashes/id*; do
	[ ! -e "$file" ] || { echo "afl.sh: note, this was found:" && cat "$file"; }
done
[ "$(stat_of one-0 execs_done)" -gt 100 ] || fail 'the first machine has run next to nothing'
[ "$(stat_of one-0 corpus_found)" -gt 10 ] || fail 'the structural mutator finds nothing'
[ "$(stat_of two-0 corpus_imported)" -gt 0 ] || fail 'the second machine has taken nothing over'
# What it keeps is text that our parser reads.
for file in "$scratch"/shared/one-0/queue/id*; do
	head -n 1 "$file" | grep -qx 'input vmcb' || fail "$file is no input"
done
echo "afl.sh: $(stat_of one-0 execs_done) and $(stat_of two-0 execs_done) inputs, $(stat_of two-0 corpus_imported) taken over"
