#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What a campaign has met of a kernel file, and when: kcov.sh KCOV_REPORT
#
# The kernel is three calls in two lines, which stand-ins of objdump and addr2line show.
set -eu

report=$(realpath "$1")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

fail()
{
	echo "kcov.sh: $*" >&2
	exit 1
}

cat > objdump << 'END'
#!/bin/sh
for at in 1000 1010 1020; do
	printf 'ffffffff8100%s:\tcall   ffffffff81000000 <__sanitizer_cov_trace_pc>\n' "$at"
	printf 'ffffffff8100%x:\tnop\n' $((0x$at + 5))
done
END
cat > addr2line << 'END'
#!/bin/sh
while read -r address; do
	case $address in
	*1004 | *1014) echo /linux/arch/x86/kvm/svm/nested.c:7 ;;
	*) echo /linux/arch/x86/kvm/svm/nested.c:9 ;;
	esac
done
END
chmod +x objdump addr2line
PATH=$PWD:$PATH
printf '0xffffffff81001005 10\n0xffffffff81001025 70\n' > one
printf '0xffffffff81001005\n0xffffffff81001015 60\n\n0xffff' > two

"$report" --at 60,120 --file svm/nested.c vmlinux one two > out
grep -q '^svm/nested.c: 2 lines with 3 blocks' out || fail "other places: $(cat out)"
grep -Eq '^ +60 +50.0 / +33.3 +50.0 / +66.7 +50.0 / +50.0$' out || fail "after a minute: $(cat out)"
grep -Eq '^ +120 +100.0 / +66.7 +50.0 / +66.7 +75.0 / +66.7$' out || fail "after two: $(cat out)"
"$report" vmlinux two svm/nested.c > out
grep -q 'nested.c not met: 9$' out || fail "not met: $(cat out)"
code=0
"$report" --at 60 --file vmx/nested.c vmlinux one > out 2>&1 || code=$?
[ "$code" = 1 ] || fail "a file that there is not ended with $code"
