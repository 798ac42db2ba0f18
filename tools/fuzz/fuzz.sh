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

said=$(mktemp)
trap 'rm -f "$said"' EXIT

fuzz() {
	"$go" test -run '^$' -fuzz "^$2\$" -fuzztime "$fuzztime" "$1" </dev/null 2>&1 | tee "$said"
}

# Go before 1.27 takes the end of the fuzz time for a failure now and then, more often
# on a busy machine (https://go.dev/issue/75804). Nothing was found then: a finding
# leaves its input, or says what is wrong with it.
ended() {
	[ "$(grep -A 1 -e '^--- FAIL' "$said" | tail -n 1)" = '    context deadline exceeded' ] &&
		! grep -q -e 'Failing input' -e '^panic:' "$said"
}

count=0 failed=()
while read -r package name; do
	printf '== %s %s, %s\n' "$package" "$name" "$fuzztime"
	count=$((count + 1))
	if ! fuzz "$package" "$name"; then
		if ! ended; then
			failed+=("$package $name")
			continue
		fi
		echo 'Only the time was over, which is no finding: once more.'
		fuzz "$package" "$name" || failed+=("$package $name")
	fi
done <<<"$targets"

printf '%d fuzz targets, %d failed\n' "$count" "${#failed[@]}"
if [ "${#failed[@]}" -gt 0 ]; then
	printf '  %s\n' "${failed[@]}"
	exit 1
fi
