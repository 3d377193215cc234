#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The fuzzer's commands from outside: fuzz.sh VMASSAY CORPORA
#
# A search is the same again by its seed, goes on from its corpus, and finds nothing on the machine as it is; what is in the
# corpus comes out as its files expect. Nothing here opens any KVM.
set -eu

vmassay=$(realpath "$1")
corpora=$(realpath "$2")
corpus=$corpora/fuzz_vmcb
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

fail()
{
	echo "fuzz.sh: $*" >&2
	exit 1
}

"$vmassay" fuzz vmcb --seed 5 --time 0 --count 3000 --corpus one --findings found > one.out || fail "a finding: $(cat one.out)"
"$vmassay" fuzz vmcb --seed 5 --time 0 --count 3000 --corpus two --findings found > two.out || fail "a finding: $(cat two.out)"
diff -r one two > /dev/null || fail 'the same seed kept other inputs'
[ "$(ls one | wc -l)" -gt 50 ] || fail 'next to nothing was kept'
"$vmassay" replay --quiet one/*.input > out || fail "what was kept is wrong: $(cat out)"
[ -s out ] && fail "--quiet is not quiet: $(cat out)"
kept=$(ls one | wc -l)
"$vmassay" fuzz vmcb --seed 6 --time 0 --count 200000 --corpus one > more.out &
search=$!
sleep 1
kill -9 "$search" 2> /dev/null || :
wait "$search" 2> /dev/null || :
[ "$(ls one | wc -l)" -ge "$kept" ] || fail 'a killed search lost inputs'
"$vmassay" fuzz vmcb --seed 7 --time 0 --count 3000 --corpus one --findings found > more.out || fail "it does not go on: $(cat more.out)"

"$vmassay" replay --quiet "$corpus"/*.input || fail 'the corpus is not as it expects'
printf 'input vmcb\nset asid 0\nexpect exit=hlt\n' > wrong.input
code=0
"$vmassay" replay wrong.input > out || code=$?
[ "$code" = 1 ] || fail "a wrong expectation ended with $code"
grep -q 'want exit=hlt, got refused rule=asid_zero' out || fail "it does not say what is wrong: $(cat out)"
for options in '--lab nowhere' '--lab svm --target machine' '--kernel x' '--param a.b=c' '--repeat 0' '--none'; do
	code=0
	"$vmassay" replay $options wrong.input > out 2>&1 || code=$?
	[ "$code" = 2 ] || fail "replay $options ended with $code: $(cat out)"
	[ "$(wc -l < out)" = 1 ] || fail "replay $options says: $(cat out)"
done
printf 'input vmcb\nset asid 0\nexpect exit=hlt\nknown cpu\n' > known.input
"$vmassay" replay known.input > out && fail 'the machine itself had a reason to be otherwise'
printf 'input vmcb\nexpect nrip=0x10001\nexpect same\n' > known.input
"$vmassay" replay --target soft-svm known.input > out && fail 'a CPU without nRIP has one'
echo 'known cpu' >> known.input
"$vmassay" replay --target soft-svm --repeat 3 known.input > out || fail "a reason that the file names is none: $(cat out)"
grep -q 'known: cpu' out || fail "it does not say what is known: $(cat out)"
echo 'known 0110' > bare.input
"$vmassay" replay bare.input > out 2>&1 && fail 'a file without its header was read'
printf 'input vmcb\nl2 cpuid\nl2 rdtsc\nset cr0 0x180000031\nl2_reg r9 4\n' > long.input
"$vmassay" fuzz minimise long.input > small
printf 'input vmcb\nset cr0 0x100000000\n' | cmp -s - small || fail "minimised to: $(cat small)"
"$vmassay" fuzz minimise --target soft-svm long.input > small
printf 'input vmcb\nset cr0 0x100000000\n' | cmp -s - small || fail "minimised on soft-svm to: $(cat small)"

for folder in three four; do
	"$vmassay" fuzz ioctl --seed 5 --time 0 --count 500 --corpus $folder --findings found > $folder.out ||
		fail "a finding: $(cat $folder.out)"
done
diff -r three four > /dev/null || fail 'the same seed kept other inputs of ioctl'
[ "$(ls three | wc -l)" -gt 50 ] || fail 'next to nothing of ioctl was kept'
"$vmassay" replay --quiet three/*.input "$corpora"/fuzz_ioctl/*.input || fail 'inputs of ioctl are not as expected'
for command in 'fuzz ioctl' "replay three/$(ls three | head -1)" "fuzz minimise three/$(ls three | head -1)" \
	'fuzz merge three --into five --domain ioctl'; do
	code=0
	"$vmassay" $command --target kvm 2> out || code=$?
	[ "$code" = 2 ] || fail "the machine's own KVM was not refused, but $code"
	grep -q -- '--danger-host-kvm' out || fail "it does not say what it takes: $(cat out)"
done
code=0
"$vmassay" fuzz ioctl --target machine 2> out || code=$?
[ "$code" = 2 ] || fail "a target of another domain ended with $code"
# The self-contained hypervisor as an input's L1 and L2.
printf 'input vmcb\nl2 cpuid\nrun\nl2_reg rsi 5\nexpect exit=cpuid\nexpect exit=hlt rsi=0x5\nexpect same\n' > nested.input
"$vmassay" replay --quiet --target soft-svm nested.input > out || fail "on soft-svm: $(cat out)"
code=0
"$vmassay" fuzz vmcb --target kvm > out 2>&1 || code=$?
[ "$code" = 2 ] || fail "it fuzzes this machine's /dev/kvm: $(cat out)"
code=0
"$vmassay" fuzz vmcb --lab nowhere > out 2>&1 || code=$?
[ "$code" = 2 ] || fail "a lab that there is not ended with $code"
for jobs in '-j 0 --lab svm' '-j 65 --lab svm' '-j x --lab svm' '--jobs 2'; do
	code=0
	"$vmassay" fuzz vmcb $jobs > out 2>&1 || code=$?
	[ "$code" = 2 ] || fail "$jobs ended with $code"
done
