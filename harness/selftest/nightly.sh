#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Nights of a second each: nightly.sh VMASSAY NIGHTLY
#
# A night goes on where the last one ended, fails for what it finds, and only once. What finds is a program that searches and
# then says that it has found something.
set -eu

real=$(realpath "$1")
nightly=$(realpath "$2")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail()
{
	echo "nightly.sh: $*" >&2
	cat "$scratch/out" >&2
	exit 1
}

# Ends with $1; the rest are options.
night()
{
	want=$1 code=0
	shift
	VMASSAY=$vmassay "$nightly" --time 1 --seed 1 --state "$scratch/state" "$@" >"$scratch/out" 2>&1 || code=$?
	[ "$code" = "$want" ] || fail "it ended with $code, not $want"
}

corpus()
{
	ls "$scratch/state/$1/corpus" | wc -l
}

cat >"$scratch/liar" <<LIAR
#!/bin/sh
code=0
"$real" "\$@" || code=\$?
case "\$1 \$2" in
replay*) echo '  must not be: it is all 0x12 wrong' ;;
'fuzz vmcb')
	printf 'input vmcb\nset asid %s\n' "\$LIE" >"$scratch/state/vmcb-machine/findings/\$LIE.input"
	echo 'FOUND  it is all 0x11 wrong'
	exit 1 ;;
esac
exit \$code
LIAR
chmod +x "$scratch/liar"

vmassay=$real
night 0 vmcb:machine ioctl:soft-svm
grep -q '2 searches, 0 new findings, 0 failed' "$scratch/out" || fail 'its last line'
kept=$(corpus vmcb-machine)
[ "$kept" -gt 50 ] && [ "$(corpus ioctl-soft-svm)" -gt 20 ] || fail 'next to nothing is kept'
vmassay=$scratch/liar
export LIE=7
night 1 vmcb:machine
grep -q '^NEW    vmcb:machine: it is all N wrong$' "$scratch/out" || fail 'it does not say what is new'
grep -q 'set asid 7' "$scratch/out" || fail 'it does not show the input'
[ "$(corpus vmcb-machine)" -ge "$((kept / 2))" ] || fail 'the corpus is lost'
LIE=8
night 0 vmcb:machine
vmassay=$real
night 2 vmcb:nowhere
grep -q "^FAILED vmcb:nowhere .*there is no 'nowhere'" "$scratch/out" || fail 'it does not say what failed'
night 2 --time 0 vmcb:machine
grep -q "'0' is no number of seconds" "$scratch/out" || fail 'it takes no seconds for a time'
