#!/usr/bin/env bash
# Builds the service, starts `till serve --dev` on free ports of this machine and walks
# through it in a real browser. Needs Go, Node 18 or newer with npm, and Chromium
# (CHROMIUM names another binary than /usr/bin/chromium).
#
#   BROWSER_SHOTS  an existing folder for screenshots
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

for need in node npm curl "${CHROMIUM:-/usr/bin/chromium}"; do
	command -v "$need" >/dev/null || {
		printf 'make browser needs %s.\n' "$need" >&2
		exit 1
	}
done

work=$(mktemp -d)
service=""
cleanup() {
	local status=$?
	trap - EXIT INT TERM
	if [ -n "$service" ]; then
		kill -TERM "$service" 2>/dev/null || true
		wait "$service" 2>/dev/null || true
	fi
	rm -rf "$work"
	exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

npm ci --prefix tools/browser --no-audit --no-fund --silent
go build -buildvcs=false -o "$work/till" ./cmd/api

TILL_ADDR=127.0.0.1:0 TILL_OPS_ADDR=127.0.0.1:0 "$work/till" serve --dev >"$work/out" 2>"$work/log" &
service=$!
base=""
for _ in {1..200}; do
	base=$(sed -n 's/^  Open *\(http[^ ]*\)\/$/\1/p' "$work/out")
	[ -z "$base" ] || break
	kill -0 "$service" 2>/dev/null || break
	sleep 0.1
done
if [ -z "$base" ]; then
	printf 'The service did not start:\n' >&2
	cat "$work/out" "$work/log" >&2
	exit 1
fi
run() {
	timeout 180 node "$@" || {
		tail -n 20 "$work/log" >&2
		exit 1
	}
}
run tools/browser/walk.mjs "$base" ${BROWSER_SHOTS:+"$BROWSER_SHOTS"}
run tools/browser/forms.mjs "$base"
