#!/bin/sh
# SPDX-License-Identifier: MIT
# headers.sh SOURCE_ROOT CC...: each header compiles alone. TAP.
set -eu
cd "$1"
shift
headers=$(find harness reports guests -name '*.h' ! -path 'guests/include/*' | sort)
echo "1..$(echo "$headers" | wc -l)"
n=0
for header in $headers; do
	n=$((n + 1))
	if "$@" -std=gnu11 -D_GNU_SOURCE -Iharness -I. -fsyntax-only -x c "$header" 2>/dev/null; then
		echo "ok $n - $header"
	else
		echo "not ok $n - $header"
	fi
done
