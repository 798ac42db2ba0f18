#!/usr/bin/env bash
# Changes the code in small ways, one at a time, and counts how many of the changes the
# package's own tests notice. A place is a package, or one file of it.
#
#   mutants.sh GREMLINS LEAST PLACE...    LEAST is the lowest score allowed, in percent
#
# The score is killed / (killed + lived + not covered). Code that no test reaches is changed
# too, and lives. Changes that no test can notice are listed in equivalent.txt with the
# reason; they count as lived, but are not printed again.
#
#   WORKERS   how many are tried at the same time (2)
#   PATIENCE  how many times as long as the first run a test run may take (5)
#   LOG       file to which all that Gremlins says is added
set -euo pipefail

gremlins=${1:?usage: mutants.sh GREMLINS LEAST PLACE...} least=$2
shift 2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
GO=$(command -v "${GO:-go}")
export GO

# Gremlins runs "go", and takes its word in three places where it should not: the cover
# tool leaves out the conditions of switch cases, so that these would never be changed;
# the time allowed for a test run is a multiple of the first one's, which may come from
# the cache; and a change that does not compile looks like a failed test.
mkdir "$work/bin"
cat >"$work/bin/go" <<'SHIM'
#!/usr/bin/env bash
[ "${1:-}" = test ] || exec "$GO" "$@"
shift
profile="" next=""
for arg in "$@"; do
	[ "$next" != -coverprofile ] || profile=$arg
	next=$arg
done
if [ -n "$profile" ]; then
	sleep 5 # else a short run leaves too little time for those on a busy machine
	"$GO" test -count=1 "$@" || exit
	awk -F: '!/^mode:/ && !seen[$1]++ { print $1 ":1.1,999999.1 1 1" }' "$profile" >"$profile.whole"
	cat "$profile.whole" >>"$profile"
	exit
fi
ulimit -v 8388608 # a changed loop may never end
output=$("$GO" test -vet=off -ldflags='-s -w' "$@" 2>&1) && exit
case $output in *'[build failed]'*) exit 2 ;; esac
exit 1
SHIM
chmod +x "$work/bin/go"

# count STATUS: how many mutants of the log ended so.
count() { grep -c "^ *$1 [A-Z_]* at " "$work/log" || true; }

# survivors prints those that lived, with the line each changes, but for the known ones.
survivors() {
	sed -n 's/^ *LIVED \([A-Z_]*\) at \(.*\):\([0-9]*\):\([0-9]*\)$/\1 \2 \3 \4/p' "$work/log" | sort -k2,2 -k3,3n -k4,4n |
		while read -r change file line column; do
			code=$(sed -n "${line}s/^[[:space:]]*//p" "$package/$file")
			grep -qF "$package/$file | $change | $code | " "$here/equivalent.txt" ||
				printf '  %s:%s:%s %s: %s\n' "$package/$file" "$line" "$column" "$change" "$code"
		done
}

rows=() failed=0
for place in "$@"; do
	package=${place%/*.go}
	exclude=(--exclude-files /) # packages below it have tests of their own
	if [ "$package" != "$place" ]; then
		for file in "$package"/*.go; do
			[ "$file" = "$place" ] || exclude+=(--exclude-files "^${file##*/}\$")
		done
	fi
	printf '== %s\n' "$place"
	if ! PATH="$work/bin:$PATH" TMPDIR="$work" "$gremlins" unleash "./$package" "${exclude[@]}" \
		--workers "${WORKERS:-2}" --timeout-coefficient "${PATIENCE:-5}" \
		--invert-assignments --invert-bitwise --invert-bwassign --invert-logical \
		--invert-loopctrl --remove-self-assignments >"$work/log" 2>&1; then
		cat "$work/log"
		exit 1
	fi
	[ -z "${LOG:-}" ] || cat "$work/log" >>"$LOG"
	survivors
	killed=$(count KILLED) lived=$(count LIVED) uncovered=$(count 'NOT COVERED') late=$(count 'TIMED OUT')
	all=$((killed + lived + uncovered))
	score=$((all > 0 ? killed * 1000 / all : 0))
	verdict=""
	if [ "$score" -lt $((least * 10)) ]; then
		verdict="  less than $least %"
		failed=1
	fi
	rows+=("$(printf '%-30s %6d %6d %11d %9d %5d.%d %%%s' "$place" "$killed" "$lived" "$uncovered" "$late" $((score / 10)) $((score % 10)) "$verdict")")
done

printf '\n%-30s %6s %6s %11s %9s %8s\n' "" killed lived 'not covered' 'timed out' score
printf '%s\n' "${rows[@]}"
exit "$failed"
