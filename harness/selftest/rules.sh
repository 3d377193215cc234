#!/bin/sh
# SPDX-License-Identifier: MIT
# rules.sh VMASSAY RULES.md: the file is what the program prints, and every rule has a test.
set -eu
work=$(mktemp "${TMPDIR:-/tmp}/vmassay-rules.XXXXXX")
trap 'rm -f "$work"' EXIT
"$1" rules > "$work"
diff -u "$2" "$work"
