#!/bin/bash
# SPDX-License-Identifier: MIT
#
# QEMU as a lab sees it: a machine that boots at once, keeps its command's words in the file words, and is saved and
# resumed as far as the monitor tells. A state that says "broken" ends it, one that says "mute" makes it hang, and one
# that says "babbling" sends empty lines and NULs all the time. How it was started goes to the file starts.
for word; do
	case $word in
	socket,id=results,fd=*) results=${word##*=} ;;
	socket,id=monitor,fd=*) monitor=${word##*=} ;;
	fd:*) state=${word#fd:} ;;
	esac
done

event()
{
	printf '{"type":"lab","event":"%s"%s}\n' "$1" "$2" >&"$results"
}

answer_monitor()
{
	migration=active
	echo '{"QMP": {}}'
	while read -r command; do
		echo '{"event": "NOISE"}'
		case $command in
		*'"query-status"'*) echo '{"return": {"status": "paused"}}' ;;
		*'"query-migrate"'*)
			echo "{\"return\": {\"status\": \"$migration\"}}"
			migration=completed
			;;
		*"\"${FAKE_REFUSES:-none}\""*) echo '{"error": {"desc": "not today"}}' ;;
		*) echo '{"return": {}}' ;;
		esac
	done
}

if [ -n "$state" ]; then
	echo resume >>starts
	contents=$(cat <&"$state")
	[ "$contents" != broken ] || { echo 'no such machine' >&2; exit 1; }
	[ "$contents" != mute ] || exec sleep 60
	while [ "$contents" = babbling ]; do
		printf '\n\0' >&"$results" && sleep 0.5
	done
fi
answer_monitor <&"$monitor" >&"$monitor" &
server=$!
if [ -z "$state" ]; then
	echo boot >>starts
	event boot
	event next
fi
while read -r length _ <&"$results" && [ "$length" != 0000 ]; do
	head -c "$((16#$length))" <&"$results" >>words
	event next
done
echo 'all words' >&"$results"
kill $server
event exit ',"code":0'
