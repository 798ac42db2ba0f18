#!/usr/bin/env bash
# Starts the service the way the README says, `make run`, and goes through it as a customer
# would: token, checkout, payment, portal. Needs bash, curl, sed and grep.
#
#   SMOKE_START_SECONDS  how long it may take to be ready, compiling included (300)
#   SMOKE_STOP_SECONDS   how long it may take to stop after SIGTERM (40)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

start_seconds=${SMOKE_START_SECONDS:-300}
stop_seconds=${SMOKE_STOP_SECONDS:-40}

work=$(mktemp -d)
log=$work/service.log
group=""  # the process group that `make run` leads; empty while there is none
checks=0

# --- ending what was started ------------------------------------------------------------

# The leader still runs; other than kill -0 this is false for one that ended and was not waited for.
running() { jobs -r | grep -q .; }

group_alive() { [ -n "$group" ] && kill -0 -- "-$group" 2>/dev/null; }

cleanup() {
	local status=$?
	trap - EXIT INT TERM
	if group_alive; then
		kill -TERM -- "-$group" 2>/dev/null || true
		for _ in {1..50}; do
			group_alive || break
			sleep 0.1
		done
		kill -KILL -- "-$group" 2>/dev/null || true
	fi
	rm -rf "$work"
	exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
	printf 'FAIL %s\n' "$1" >&2
	if [ -s "$work/body" ]; then
		printf -- '--- last answer: %s\n' "${code:-none}" >&2
		head -c 2000 "$work/body" >&2
		printf '\n' >&2
	fi
	if [ -s "$log" ]; then
		printf -- '--- last lines of the service\n' >&2
		tail -n 30 "$log" >&2
	fi
	exit 1
}

pass() {
	checks=$((checks + 1))
	printf 'ok   %s\n' "$1"
}

# --- talking to it ----------------------------------------------------------------------

code=""

# request METHOD URL [curl arguments...] leaves the status in $code and the body in $work/body.
# No proxy and no .curlrc: everything here is on loopback.
request() {
	local method=$1 url=$2
	shift 2
	: >"$work/body"
	code=$(curl -q --noproxy '*' --silent --show-error --max-time 30 \
		--request "$method" --output "$work/body" --write-out '%{http_code}' \
		"$@" "$url" 2>"$work/curl") || fail "$method $url: $(cat "$work/curl")"
}

# expect STATUS WHAT judges the last answer.
expect() {
	[ "$code" = "$1" ] || fail "$2: status $code, want $1"
}

# member NAME prints a string member of the last answer. Member names are unique enough in
# what is read here that no JSON parser is needed; "&" and "/" may come escaped.
member() {
	tr -d '\n' <"$work/body" |
		sed -n 's/.*"'"$1"'"[[:space:]]*:[[:space:]]*"\([^"]*\)".*/\1/p' |
		sed -e 's/\\u0026/\&/g' -e 's,\\/,/,g'
}

contains() { grep -q -- "$1" "$work/body"; }

# --- ports ------------------------------------------------------------------------------

# A port that nobody answers on. Between looking and binding somebody may still take it;
# then the service says so and this fails in plain words.
free_port() {
	local port
	for _ in {1..100}; do
		port=$((20000 + RANDOM % 12000)) # below the range that outgoing connections use
		if [ "$port" != "${1:-}" ] && ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
			printf '%s\n' "$port"
			return
		fi
	done
	echo "no free port found" >&2
	return 1
}

# --- finding the service ----------------------------------------------------------------

# "pid ppid" of every process; ps is missing from small images, /proc from other systems.
processes() {
	if [ -r /proc/self/stat ]; then
		# The second field is a name in parentheses that may hold spaces and parentheses.
		cat /proc/[0-9]*/stat 2>/dev/null | sed -n 's/^\([0-9]*\) (.*) [A-Za-z] \([0-9]*\) .*/\1 \2/p'
	else
		ps -A -o pid= -o ppid=
	fi
}

# leaf PID prints the last in a line of only children: make, perhaps a shell, go, the service.
leaf() {
	local pid=$1 all child
	all=$(processes || true)
	while child=$(sed -n "s/^ *\([0-9]*\)  *$pid\$/\1/p" <<<"$all" | head -n 1) && [ -n "$child" ]; do
		pid=$child
	done
	printf '%s\n' "$pid"
}

# ----------------------------------------------------------------------------------------

# What the caller's shell is set up for is not what is tried here; with a live key beside
# it --dev would rightly refuse to start.
for name in $(compgen -e | grep -E '^(TILL|STRIPE)_' || true); do unset "$name"; done
# Called by make, this would else run the inner make as its child, with its flags.
unset MAKEFLAGS MFLAGS MAKELEVEL

port=$(free_port)
ops_port=$(free_port "$port")
base=http://127.0.0.1:$port
ops=http://127.0.0.1:$ops_port

# Job control gives the job a process group of its own.
set -m
TILL_ADDR=127.0.0.1:$port TILL_OPS_ADDR=127.0.0.1:$ops_port "${MAKE:-make}" --no-print-directory run >"$log" 2>&1 </dev/null &
group=$!
set +m

began=$SECONDS
until curl -q --noproxy '*' --silent --fail --max-time 2 --output /dev/null "$base/readyz"; do
	running || fail "make run ended before it was ready"
	[ $((SECONDS - began)) -lt "$start_seconds" ] || fail "not ready after $start_seconds s"
	sleep 0.2
done
pass "ready after $((SECONDS - began)) s"

request GET "$ops/readyz"
expect 200 "GET /readyz on the operations port"
pass "ready on the operations port too"

json=(--header 'Content-Type: application/json')

request POST "$base/checkout" "${json[@]}" --data '{"plan":"pro"}'
expect 401 "POST /checkout without a token"
contains '"unauthenticated"' || fail "POST /checkout without a token: no code unauthenticated"
pass "no token, no checkout"

request POST "$base/dev/token" "${json[@]}" --data '{"sub":"alice"}'
expect 201 "POST /dev/token"
token=$(member token)
[ -n "$token" ] || fail "POST /dev/token: no token"
# In a file, not among the arguments: those are for all users of the machine to see.
printf 'Authorization: Bearer %s\n' "$token" >"$work/credential"
auth=(--header "@$work/credential")
pass "token for alice"

request POST "$base/checkout" "${auth[@]}" "${json[@]}" --data '{"plan":"pro","quantity":2}'
expect 201 "POST /checkout"
id=$(member id) url=$(member url)
[ -n "$id" ] || fail "POST /checkout: no id"
[ -n "$url" ] || fail "POST /checkout: no url"
pass "checkout session $id"

request GET "$url" --location --max-redirs 3
expect 200 "the Checkout page, $url"
contains SANDBOX || fail "the Checkout page does not say SANDBOX"
pass "Checkout page opens and says what it is"

request POST "$base/sandbox/v1/checkout/$id/complete"
case $code in 2??) ;; *) fail "completing $id: status $code, want 2xx" ;; esac
request GET "$base/checkout/$id" "${auth[@]}"
expect 200 "GET /checkout/$id"
[ "$(member status)" = complete ] || fail "GET /checkout/$id: status is not complete"
pass "paid and complete"

request POST "$base/portal" "${auth[@]}" "${json[@]}" --data ''
expect 201 "POST /portal"
url=$(member url)
[ -n "$url" ] || fail "POST /portal: no url"
request GET "$url" --location --max-redirs 3
expect 200 "the Billing Portal page, $url"
contains SANDBOX || fail "the Billing Portal page does not say SANDBOX"
pass "Billing Portal page opens and says what it is"

request GET "$ops/metrics"
expect 200 "GET /metrics on the operations port"
contains '^till_' || fail "GET /metrics: no metric begins with till_"
request GET "$base/metrics"
expect 404 "GET /metrics on the public port"
pass "metrics on the operations port only"

# Only the service gets the signal: make and go would die of it at once and take its exit
# code with them; left alone, they hand it on.
began=$SECONDS code=""
: >"$work/body"
kill -TERM "$(leaf "$group")"
while running && [ $((SECONDS - began)) -lt "$stop_seconds" ]; do sleep 0.1; done
running && fail "still running $stop_seconds s after SIGTERM"
status=0
wait "$group" || status=$?
[ "$status" -eq 0 ] || fail "make run ended with $status after SIGTERM, want 0"
pass "stopped after $((SECONDS - began)) s, exit code 0"

# Its token for trying things out, which it prints, is another one.
grep -qF -- "${token##*.}" "$log" && fail "the token is in the log"
pass "the token is not in the log"

printf 'smoke: %d checks passed\n' "$checks"
