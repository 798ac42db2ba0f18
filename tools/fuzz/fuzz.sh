#!/usr/bin/env bash
# Runs each fuzz target of the module for the given time, one after the other: the go
# command fuzzes one target per call. A failing input stays in the package's testdata/fuzz,
# to be committed with the fix.
set -euo pipefail

fuzztime=${1:?usage: fuzz.sh TIME, as in 10s or 1000x}
go=${GO:-go}

# The names come before the line that closes their package.
if ! listing=$("$go" test -list '^Fuzz' ./...); then
	printf '%s\n' "$listing"
	exit 1
fi
targets=$(awk '/^Fuzz/ { names[++n] = $1 } /^ok/ { for (i = 1; i <= n; i++) print $2, names[i]; n = 0 }' <<<"$listing")
if [ -z "$targets" ]; then
	echo "No fuzz target found: everything that judges input should have one." >&2
	exit 1
fi

count=0 failed=()
while read -r package name; do
	printf '== %s %s, %s\n' "$package" "$name" "$fuzztime"
	count=$((count + 1))
	"$go" test -run '^$' -fuzz "^$name\$" -fuzztime "$fuzztime" "$package" </dev/null || failed+=("$package $name")
done <<<"$targets"

printf '%d fuzz targets, %d failed\n' "$count" "${#failed[@]}"
if [ "${#failed[@]}" -gt 0 ]; then
	printf '  %s\n' "${failed[@]}"
	exit 1
fi
