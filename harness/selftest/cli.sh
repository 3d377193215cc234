#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The command line of the program that was built: cli.sh VMASSAY
#
# What is wrong on it ends the program with 2 and one line on stderr that names the thing; nothing else is written.
# No KVM and no emulator is touched: every case here ends before.
set -eu

vmassay=$(realpath "$1")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0
cd "$scratch"

problem()
{
	echo "cli.sh: $*" >&2
	sed 's/^/    stdout: /' "$scratch/out" >&2
	sed 's/^/    stderr: /' "$scratch/err" >&2
	failed=1
}

# start WORD...: sets code
start()
{
	code=0
	"$vmassay" "$@" > "$scratch/out" 2> "$scratch/err" < /dev/null || code=$?
}

# refuses TEXT WORD...: TEXT is part of the only line
refuses()
{
	text=$1
	shift
	start "$@"
	[ "$code" = 2 ] || problem "'$*' ended with $code, not 2"
	[ "$(wc -l < "$scratch/err")" = 1 ] || problem "'$*' did not write one line on stderr"
	[ -s "$scratch/out" ] && problem "'$*' wrote to stdout"
	grep -q '^vmassay: ' "$scratch/err" || problem "'$*': the line does not say who speaks"
	grep -qF -- "$text" "$scratch/err" || problem "'$*': the line does not say: $text"
}

# accepts TEXT WORD...: TEXT is part of stdout, stderr is empty
accepts()
{
	text=$1
	shift
	start "$@"
	[ "$code" = 0 ] || problem "'$*' ended with $code, not 0"
	[ -s "$scratch/err" ] && problem "'$*' wrote to stderr"
	grep -qF -- "$text" "$scratch/out" || problem "'$*' does not say: $text"
}

# --- what is right ---

accepts 'vmassay ' --version
accepts 'usage: vmassay COMMAND' --help
accepts 'usage: vmassay COMMAND' -h
accepts 'usage: vmassay COMMAND' help
for command in list run needs; do
	accepts "usage: vmassay $command [OPTION]" $command --help
	accepts "usage: vmassay $command [OPTION]" $command -h
done
accepts 'usage: vmassay lab LAB [OPTION]' lab --help
accepts 'usage: vmassay lab LAB [OPTION]' lab svm --help
accepts 'usage: vmassay bundle FILE.tar' bundle --help
accepts 'usage: vmassay bisect --tree LINUX_GIT' bisect --help
accepts 'usage: vmassay tables write TREE' tables --help
accepts 'ioctl.canary ' list
accepts 'ioctl.canary ' list ioctl.canary
accepts 'ioctl.canary ' list --suite ioctl 'ioctl.c*'
accepts 'ioctl.canary ' list --shard 1/1 ioctl.canary

# Parts are the whole, each test in one of them.
"$vmassay" list > all
for shard in 1 2 3; do
	"$vmassay" list --shard $shard/3
done | sort > parts
sort all | cmp -s - parts || problem "three shards are not the whole list"

# --- the command ---

refuses 'what shall it do?'
refuses "unknown command 'hovercraft'" hovercraft
refuses "unknown command '--hovercraft'" --hovercraft
refuses 'bundle: want one file name' bundle
refuses 'bundle: want one file name' bundle --hovercraft
refuses "tables: want 'write TREE FILE.json...' or 'check TREE'" tables
refuses "tables: want 'write TREE FILE.json...' or 'check TREE'" tables write .
refuses "tables: want 'write TREE FILE.json...' or 'check TREE'" tables check . x.json
refuses '/nonexistent/cases/ioctl/left_out: No such file or directory' tables check /nonexistent
refuses '/nonexistent/x.json: No such file or directory' tables write . /nonexistent/x.json
refuses 'no test of a run with --record there' tables write . /dev/null
refuses 'lab: which one?' lab
refuses 'of svm,vmx,svm-bochs one or several' lab
refuses "unknown lab 'hovercraft'" lab hovercraft
refuses "unknown lab 'hovercraft'" lab svm,hovercraft
refuses "unknown lab ''" lab svm,
refuses "lab 'svm' is there twice" lab svm,vmx,svm
refuses 'cannot read the kernel /nope: ' lab all --kernel /nope
refuses 'cannot read the kernel /nope: ' lab svm --kernel /nope

refuses 'bisect: which tests?' bisect
refuses "bisect: what is 'ioctl.canary'?" bisect ioctl.canary
refuses "unknown lab 'hovercraft'" bisect --case ioctl.canary --lab hovercraft
refuses "bisect: option '--tree' is missing" bisect --case ioctl.canary
refuses "bisect: option '--good' is missing" bisect --case ioctl.canary --tree .
refuses "bisect: option '--bad' does not take '-x'" bisect --bad=-x
refuses "bisect: option '--variant' does not take 'hovercraft'" bisect --variant hovercraft
refuses "bisect: unknown option '--kernel'" bisect --kernel x

# --- options, before and behind names ---

refuses "list: unknown option '--hovercraft'" list --hovercraft
refuses "list: unknown option '--hovercraft'" list 'ioctl.*' --hovercraft
refuses "list: unknown option '--hovercraft=1'" list --suite=ioctl 'ioctl.*' --hovercraft=1 'mmu.*'
refuses "list: unknown option '-x'" list -x
refuses "list: unknown option '-x'" list 'ioctl.*' --suite ioctl -x
refuses "lab: unknown option '-x'" lab svm 'ioctl.*' -vxv
refuses "lab: unknown option '--verbose=1'" lab svm 'ioctl.*' --verbose=1
refuses "list: unknown option '--repeat'" list --repeat 2
refuses "run: unknown option '--smp'" run --smp 2
for name in 'ioctl.*' --verbose; do
	refuses "lab: option '--shard' does not take '3/2'" lab svm "$name" --shard 3/2
	refuses "lab: option '--shard' does not take '0/2'" lab svm "$name" --shard=0/2
	refuses "lab: option '--shard' does not take '1'" lab svm "$name" --shard 1
	refuses "lab: option '--shard' does not take '1/'" lab svm "$name" --shard 1/
	refuses "lab: option '--shard' does not take '/2'" lab svm "$name" --shard /2
	refuses "lab: option '--shard' does not take '-1/2'" lab svm "$name" --shard -1/2
	refuses "lab: option '--seed' does not take 'x'" lab svm "$name" --seed x
	refuses "lab: option '--seed' does not take '12x'" lab svm "$name" --seed 12x
	refuses "lab: option '--seed' does not take '-1'" lab svm "$name" --seed=-1
	refuses "lab: option '--seed' does not take ''" lab svm "$name" --seed=
	refuses "lab: option '--seed' does not take '0x10000000000000000'" lab svm "$name" --seed 0x10000000000000000
	refuses "lab: option '--jobs' does not take '0'" lab svm "$name" -j0
	refuses "lab: option '--jobs' does not take 'many'" lab svm "$name" -j many
	refuses "lab: option '--timeout' does not take '0'" lab svm "$name" -t 0
	refuses "lab: option '--timeout' does not take 'nan'" lab svm "$name" --timeout nan
	refuses "lab: option '--repeat' does not take '0'" lab svm "$name" --repeat 0
	refuses "lab: option '--param' does not take 'x'" lab svm "$name" --param x
	refuses "lab: option '--seed' needs a value" lab svm "$name" --seed
	refuses "lab: option '--timeout' needs a value" lab svm "$name" -t
done

# --- several labs, and one under several parameters ---

refuses "option '--matrix': 'npt' has no values" lab svm --matrix npt
refuses "option '--matrix': '' is no value for 'npt'" lab svm --matrix npt=0,
refuses "option '--matrix': '' has no values" lab svm --matrix npt=0:
refuses "option '--matrix': 'a.b.c' is no parameter" lab svm --matrix a.b.c=0
refuses "option '--matrix': 'npt' has the value '1' twice" lab svm --matrix npt=1,0,1
refuses "option '--matrix': 'npt' is there twice" lab svm --matrix npt=1:nested=1:npt=0
refuses "option '--matrix': more than 64 combinations" lab svm --matrix a=1,2,3,4,5:b=1,2,3,4,5:c=1,2,3
refuses "option '--at-once' does not take '0'" lab all --at-once 0
refuses "option '--table' takes several labs or a --matrix" lab svm --no-shadow --table t
refuses '/nonexistent/t: No such file or directory' lab all --table /nonexistent/t
refuses 'bench runs in one lab, without a matrix' lab all bench
refuses 'bench runs in one lab, without a matrix' lab svm --matrix npt=1 bench
refuses '--guest runs in one lab, without a matrix' lab svm,vmx --guest x.elf
refuses '/nonexistent.elf: No such file or directory' lab svm --guest /nonexistent.elf
refuses "no test matches 'hovercraft*'" lab all 'hovercraft*'
refuses "no test matches '*@lab-svm'" lab svm,vmx '*@lab-svm'

# --- names ---

refuses "no test matches 'hovercraft*'" list 'hovercraft*'
refuses "no test matches 'hovercraft*'" list 'ioctl.*' 'hovercraft*'
refuses "no test matches 'hovercraft*'" lab svm 'hovercraft*'
refuses "no test matches 'hovercraft*'" run --target kvm 'hovercraft*'
refuses "no test is in suite 'hovercraft'" list --suite hovercraft
refuses "no test is in suite 'hovercraft'" list --suite hovercraft --shard 1/2
refuses "no test is in suite 'mmu' and matches the names given" list --suite mmu 'ioctl.*'
refuses "unknown target 'hovercraft'" run --target hovercraft
refuses "unknown target 'hovercraft'" needs --target hovercraft

# --- files ---

refuses '/nonexistent/x.json: No such file or directory' lab svm --json /nonexistent/x.json
refuses '/nonexistent/x.xml' lab svm --junit /nonexistent/x.xml
refuses "$scratch: Is a directory" lab svm --json "$scratch"
refuses '/nonexistent/x.tar: No such file or directory' bundle /nonexistent/x.tar
refuses '/nonexistent/vmlinuz: No such file or directory' lab svm --no-shadow --kernel /nonexistent/vmlinuz
refuses '/nonexistent/guest.elf: No such file or directory' run --target kvm --guest /nonexistent/guest.elf
refuses "$scratch: not a file with contents" run --target kvm --guest "$scratch"
refuses 'empty.elf: not a file with contents' run --target kvm --guest "$(: > empty.elf; echo empty.elf)"
refuses 'text.elf: ' run --target kvm --guest "$(echo text > text.elf; echo text.elf)"
refuses "'ioctl.*' names some" run --target kvm --guest text.elf 'ioctl.*'
refuses "option '--mode' does not take 'wide'" run --target kvm --guest text.elf --mode wide
if [ "$(id -u)" != 0 ]; then
	: > sealed.elf
	chmod 0 sealed.elf
	refuses 'sealed.elf: Permission denied' run --target kvm --guest sealed.elf
fi

# --- a machine without SVM and VMX: /dev/kvm is not touched unasked ---

if ! grep -qE '^flags.* (svm|vmx)( |$)' /proc/cpuinfo; then
	start run ioctl.canary
	[ "$code" -eq 0 ] && grep -q 'running on soft-svm' "$scratch/err" || problem 'run without KVM is not on soft-svm'
fi

# --- a bundle starts where it is unpacked ---

start bundle "$scratch/bundle.tar"
[ "$code" = 0 ] || problem "bundle ended with $code"
tar -tf bundle.tar > listed || problem "tar cannot list the bundle"
grep -q '^vmassay-[0-9.]*/vmassay$' listed || problem "the bundle has no start script"
grep -q 'ld-linux' listed || problem "the bundle has no interpreter"
mkdir elsewhere
tar -xf bundle.tar -C elsewhere
set -- elsewhere/vmassay-*/vmassay
[ "$("$1" --version)" = "$("$vmassay" --version)" ] || problem "the bundle's script does not start"
[ "$("$1" list)" = "$(cat all)" ] || problem "the bundle does not list the same tests"

exit $failed
