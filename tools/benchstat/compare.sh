#!/usr/bin/env bash
# Runs the Go benchmarks of this tree and of a commit in turns, so that a busy minute
# hits both, and prints benchstat's table of what has changed.
#
#   compare.sh BENCHSTAT BASE
#
#   BENCH      which benchmarks, as for go test -bench (all)
#   BENCHTIME  how long each run of one takes (200ms)
#   COUNT      runs of each; benchstat wants six or more to tell a change from noise (6)
set -euo pipefail

benchstat=${1:?usage: compare.sh BENCHSTAT BASE} base=${2:?usage: compare.sh BENCHSTAT BASE}
go=${GO:-go}
head=$(git rev-parse --show-toplevel)
commit=$(git rev-parse --verify "$base^{commit}")

work=$(mktemp -d)
finish() {
	git -C "$head" worktree remove --force "$work/base" 2>/dev/null || true
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
git -C "$head" worktree add --quiet --detach "$work/base" "$commit"

# Compiled once: a run is then nothing but the benchmark.
compile() { # SIDE TREE
	local dir
	mkdir -p "$work/bin/$1"
	(cd "$2" && git grep --untracked -lE '^func Benchmark' -- '*_test.go' | xargs -n 1 dirname | sort -u) >"$work/$1.dirs"
	while read -r dir; do
		(cd "$2" && "$go" test -c -o "$work/bin/$1/${dir//\//-}" "./$dir")
	done <"$work/$1.dirs"
}

run() { # SIDE TREE DIR
	local binary=$work/bin/$1/${3//\//-}
	[ -x "$binary" ] || return 0
	# As go test does: in the package's own folder. What has no benchmark of that name says PASS.
	(cd "$2/$3" && "$binary" -test.run '^$' -test.bench "${BENCH:-.}" -test.benchmem -test.benchtime "${BENCHTIME:-200ms}" </dev/null) >>"$work/$1.txt"
}

: >"$work/base.txt"
: >"$work/head.txt"
compile base "$work/base"
compile head "$head"
count=${COUNT:-6}
for ((i = 1; i <= count; i++)); do
	printf 'run %d of %d\n' "$i" "$count" >&2
	while read -r dir; do
		if ((i % 2)); then
			run base "$work/base" "$dir"
			run head "$head" "$dir"
		else
			run head "$head" "$dir"
			run base "$work/base" "$dir"
		fi
	done < <(sort -u "$work/base.dirs" "$work/head.dirs")
done

grep -q '^Benchmark' "$work/head.txt" || { echo "No benchmark of this tree matches ${BENCH:-.}" >&2; exit 1; }
(cd "$work" && "$benchstat" "base=base.txt" "head=head.txt")
