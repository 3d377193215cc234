#!/bin/sh
# SPDX-License-Identifier: MIT
#
# "vmassay bisect" without a kernel and without a lab: bisect.sh VMASSAY
#
# Its git tree has a file that says what a commit's kernel will do, its builder makes that file the kernel, and its
# judge is a program that reads it. git is the real one.
set -eu

command -v git >/dev/null || exit 77
vmassay=$(realpath "$1")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0
cd "$scratch"
export HOME="$scratch/home" XDG_CACHE_HOME="$scratch/the cache" GIT_CONFIG_NOSYSTEM=1
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
tree="$scratch/a tree"

problem()
{
	echo "bisect.sh: $*" >&2
	sed 's/^/    stdout: /' "$scratch/out" >&2
	sed 's/^/    stderr: /' "$scratch/err" >&2
	failed=1
}

in_tree()
{
	git -C "$tree" -c user.name=test -c user.email=test@example.org "$@"
}

# history STATE...: a commit for each, tagged c1, c2, ...
history()
{
	rm -rf "$tree"
	mkdir -p "$tree/arch/x86/kvm"
	in_tree init -q
	: > "$tree/arch/x86/kvm/Makefile"
	nr=0
	for word; do
		nr=$((nr + 1))
		echo "$word" > "$tree/state"
		echo "$nr" > "$tree/nr"
		in_tree add -A
		in_tree commit -q -m "commit $nr is $word"
		in_tree tag "c$nr"
	done
	in_tree checkout -q -b user
}

commit_of()
{
	in_tree rev-parse "$1"
}

state_of_tree()
{
	in_tree status --porcelain --branch
	in_tree for-each-ref
	in_tree worktree list
	ls -a "$tree"
}

# bisect WORD...: sets code
bisect()
{
	code=0
	"$vmassay" bisect --tree "$tree" --builder ./builder --judge ./judge --case ioctl.canary "$@" \
		> out 2> err < /dev/null || code=$?
}

ends_with()
{
	[ "$code" = "$1" ] || problem "$2: ended with $code, not $1"
}

says()
{
	grep -qF -- "$2" "$1" || problem "the $1 does not say: $2"
}

# finds COMMIT WORD...
finds()
{
	wanted=$1
	shift
	before=$(state_of_tree)
	bisect "$@"
	ends_with 0 "$*"
	says out "first bad commit $(commit_of "$wanted")"
	[ "$(state_of_tree)" = "$before" ] || problem "'$*' changed the tree"
}

# refuses CODE TEXT WORD...: TEXT is in a line of ours, which is the last
refuses()
{
	wanted=$1
	text=$2
	shift 2
	before=$(state_of_tree)
	bisect "$@"
	ends_with "$wanted" "$*"
	tail -n 1 err | grep -qF "vmassay: bisect: " || problem "the last line does not say who speaks"
	tail -n 1 err | grep -qF -- "$text" || problem "the last line does not say: $text"
	[ "$(state_of_tree)" = "$before" ] || problem "'$*' changed the tree"
}

cat > builder <<'END'
#!/bin/sh
[ "$1 $3" = "--source --commit" ] && commit=$4 && tree=$2 && shift 4 || { tree=$2; commit=HEAD; shift 2; }
[ "$1" = plain ] || exit 2
state=$(git -C "$tree" show "$commit:state")
case $state in
broken) exit 1 ;;
no_disk) exit 2 ;;
slow) echo $$ > "$XDG_CACHE_HOME/slow"; sleep 60 ;;
esac
echo "$state" > "$2/bzImage"
END
cat > judge <<'END'
#!/bin/sh
echo "$*" >> "$XDG_CACHE_HOME/words"
for word; do
	case $word in
	--kernel=*) kernel=${word#*=} ;;
	--json=*) json=${word#*=} ;;
	esac
done
case $(cat "$kernel") in
good) verdict=PASS ;;
bad) verdict=FAIL ;;
error) verdict=ERROR ;;
skip) verdict=SKIP ;;
mute) echo 'vmassay: no emulator'; exit 99 ;;
esac
printf '{"type":"result","test":"ioctl.canary","target":"lab-svm","file":"x.c","verdict":"%s",' "$verdict" >> "$json"
printf '"round":0,"duration_us":1,"nr_checks":1,"notes":[{"kind":"check","want":"5","got":"6"}]}\n' >> "$json"
END
chmod +x builder judge
mkdir "$XDG_CACHE_HOME" "$HOME"

# --- what is found ---

history good good good good good good good good good good good bad bad bad bad bad bad
finds c12 --good c1 --bad c17
says out 'commit 12 is bad'
says out "$(printf '%s  %-24s  %s' ioctl.canary PASS FAIL)"
says out '    want  5'
says err ' commit 17 is bad: building ... 0 s; ioctl.canary: FAIL (bad)'
[ -n "$(find "$XDG_CACHE_HOME/vmassay/bisect" -name steps.json)" ] || problem "no steps in the cache"
[ -z "$(find "$XDG_CACHE_HOME" -name worktree -o -name vmassay -type f)" ] || problem "something is left in the cache"

finds c12 --good c11 --bad c12 --work w1
[ "$(wc -l < w1/steps.json)" = 2 ] || problem "of two commits were not two judged"

echo 'not committed' >> "$tree/state"
finds c12 --good c5 --bad user --work w2
in_tree checkout -q -f

: > "$XDG_CACHE_HOME/words"
finds c12 --good c10 --bad c13 --work w3 --repeat 3 --param kvm_amd.npt=0 --lab vmx --seed 5 --timeout 7
grep -qv '^lab vmx .*--seed=0x5 .*--repeat=3 --timeout=7 .*--param=kvm_amd.npt=0 -- ioctl.canary$' \
	"$XDG_CACHE_HOME/words" && problem "the lab is not given what it should: $(cat "$XDG_CACHE_HOME/words")"

# --- what cannot be judged is skipped ---

history good good broken error skip mute good good bad bad broken bad bad bad bad bad
finds c9 --good c1 --bad c16 --work w4
history good good good broken mute bad bad
bisect --good c1 --bad c7 --work w5
ends_with 99 'a range'
says err 'no test was run: vmassay: no emulator (skip)'
says out 'one of these 3,'
says out 'commit 4 is broken'
says out 'commit 6 is bad'
grep -q 'commit 3' out && problem "a good commit is among the suspects"

# --- what is not searched ---

history good bad good bad no_disk bad broken
refuses 99 '--good c2 is not good: ioctl.canary: FAIL' --good c2 --bad c4 --work w6
refuses 99 '--bad c3 is not bad: ioctl.canary: PASS' --good c1 --bad c3 --work w7
refuses 99 '--bad c7 is not bad: does not build' --good c1 --bad c7 --work w8
refuses 99 '/build.log' --good c1 --bad c5 --work w9
refuses 2 'holds a bisection already' --good c1 --bad c2 --work w6
refuses 2 '--good nosuch: no such commit' --good nosuch --bad c2
refuses 2 '--bad nosuch: no such commit' --good c1 --bad nosuch
refuses 2 'are the same commit' --good c1 --bad c1
refuses 2 'c3 (good) is not an ancestor of c1 (bad)' --good c3 --bad c1
refuses 2 "option '--bad' is missing" --good c1
refuses 2 '--tree /nonexistent: No such file' --good c1 --bad c2 --tree /nonexistent
refuses 2 'not a git tree' --good c1 --bad c2 --tree "$scratch"
refuses 2 '--work /nonexistent/w: No such file' --good c1 --bad c2 --work /nonexistent/w
refuses 2 '--builder /nonexistent: No such file' --good c1 --bad c2 --builder /nonexistent
refuses 2 '--judge /nonexistent: No such file' --good c1 --bad c2 --judge /nonexistent
refuses 2 "no test matches 'hovercraft'" --good c1 --bad c2 --case hovercraft
in_tree rm -q arch/x86/kvm/Makefile
in_tree commit -q -m 'not Linux'
refuses 2 'is it Linux?' --good c1 --bad user

history good no_disk no_disk bad
refuses 99 '/git.log' --good c1 --bad c4 --work w10
says err 'the builder cannot work (end)'

# --- an interrupt ---

history good good good slow bad bad bad
before=$(state_of_tree)
"$vmassay" bisect --tree "$tree" --builder ./builder --judge ./judge --case ioctl.canary --good c1 --bad c7 \
	--work w11 > out 2> err < /dev/null &
pid=$!
for _ in $(seq 100); do
	[ -s "$XDG_CACHE_HOME/slow" ] && break
	sleep 0.1
done
kill -TERM $pid
code=0
wait $pid || code=$?
ends_with 130 'interrupted'
says err 'interrupted; the same command'
[ "$(state_of_tree)" = "$before" ] || problem "an interrupt left something in the tree"
kill -0 "$(cat "$XDG_CACHE_HOME/slow")" 2> /dev/null && problem "an interrupt left the builder at work"

# --- by hand ---

history good good good bad bad bad
in_tree bisect start c6 c1 > out 2> err
code=0
(cd "$tree" && git bisect run "$vmassay" bisect --step --builder "$scratch/builder" --judge "$scratch/judge" \
	--case ioctl.canary) > out 2> err || code=$?
ends_with 0 'git bisect run'
says out "$(commit_of c4) is the first bad commit"
in_tree bisect reset > out 2> err

# git would take a 2 for a bad commit.
bisect --step --good c1
ends_with 255 '--step with --good'
bisect --step --hovercraft
ends_with 255 '--step with an unknown option'
bisect --step --case hovercraft
ends_with 255 '--step with an unknown test'

exit $failed
