#!/usr/bin/env bash
# Builds the service and has it accept and refuse the tokens of a real OpenID provider, on
# free ports of this machine. Needs Go and Node 20 or newer with npm.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

for need in node npm; do
	command -v "$need" >/dev/null || {
		printf 'make oidc needs %s.\n' "$need" >&2
		exit 1
	}
done
node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)' || {
	printf 'make oidc needs Node 20 or newer, not %s.\n' "$(node --version)" >&2
	exit 1
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

npm ci --prefix tools/oidc --no-audit --no-fund --silent
go build -buildvcs=false -o "$work/till" ./cmd/api
timeout 180 node tools/oidc/walk.mjs "$work/till"
