# Everything a person or a pipeline does here is a target of this file.
# `make` alone lists them.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

GO ?= go

# Nothing here needs cgo, so nothing but the race detector needs a C compiler; and one
# value everywhere means that vet, lint, contract and run share their compiled packages.
export CGO_ENABLED := 0

# Where git cannot answer (an archive, an untrusted checkout) the build goes on without it.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

# --- tools ----------------------------------------------------------------------------
# One small module per tool: a tool can then neither change the versions that the service
# is built with nor those of another tool. The version stands in the tool's go.mod only.
TOOLS := $(CURDIR)/.tools/bin
version_of = $(shell awk '$$1 == "$(2)" { print $$2; exit }' tools/$(1)/go.mod)

LINT_MODULE := github.com/golangci/golangci-lint/v2
MOCK_MODULE := github.com/stripe/stripe-mock
MUTANTS_MODULE := github.com/go-gremlins/gremlins
BENCHSTAT_MODULE := golang.org/x/perf

GOLANGCI_LINT := $(TOOLS)/golangci-lint-$(call version_of,golangci-lint,$(LINT_MODULE))
GREMLINS := $(TOOLS)/gremlins-$(call version_of,gremlins,$(MUTANTS_MODULE))
BENCHSTAT := $(TOOLS)/benchstat-$(call version_of,benchstat,$(BENCHSTAT_MODULE))
STRIPE_MOCK_2023 := $(TOOLS)/stripe-mock-$(call version_of,stripe-mock-2023-10-16,$(MOCK_MODULE))
STRIPE_MOCK_2026 := $(TOOLS)/stripe-mock-$(call version_of,stripe-mock-2026-08-26,$(MOCK_MODULE))

# A workspace of the developer's must not swap what a tool is built from.
build_tool = cd tools/$(1) && GOWORK=off $(GO) build -trimpath -buildvcs=false -ldflags='-s -w' -o $@ $(2)

# The specification that a stripe-mock was built from; it lies beside its source.
spec_of = $$(cd tools/$(1) && GOWORK=off $(GO) mod download $(MOCK_MODULE) && GOWORK=off $(GO) list -m -f '{{.Dir}}' $(MOCK_MODULE))/embedded/openapi/spec3.json

# --- knobs ----------------------------------------------------------------------------
# The tests that hold openapi.yaml and the routes together, and where they live.
OPENAPI_TESTS ?= Contract
OPENAPI_PACKAGES ?= . ./internal/handlers/...

# What the tests of the Postgres store need; internal/store/pgtest finds it itself.
POSTGRES_THERE = { [ -n "$$TILL_TEST_DATABASE_URL" ] || command -v initdb >/dev/null || \
	ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; } && \
	{ command -v pgbouncer >/dev/null || [ -x /usr/sbin/pgbouncer ]; }

REDIS_THERE = command -v redis-server >/dev/null

TORTURE ?= $(if $(filter true,$(CI)),short,full)
TORTURE_TIMEOUT ?= 60m
LOAD_TIMEOUT ?= 2h
SEEDS ?= $(if $(filter true,$(CI)),10000,100000)

# The tests that send rows of testdata and say how many.
CATALOGUE ?= ^Test(Catalogue|Wycheproof|Vendors|ReachableAddresses|OneBadKeyDoesNot|HostileBodies|IdsThatAreNone|Wire$$|Forms$$|NoUnsafeRoute|NoRouteTakes|HostileURLs|HostileFiles)

ATTACK ?= $(if $(filter true,$(CI)),short,full)

# What decides about strangers: packages, or single files of one. Half an hour and more.
MUTANTS ?= internal/redirect internal/problem internal/handlers/decode.go internal/auth
SCORE ?= 85

# Flags of internal/bench, such as -rounds=3 -window=2s; BENCH_STRICT=1 fails on a missed bound.
BENCH_ARGS ?= $(if $(filter 1 true,$(BENCH_STRICT)),-strict)

FUZZTIME ?= $(if $(filter true,$(CI)),5s,60s)
TEST_TIMEOUT ?= 10m

# PREFIX=/usr/local installs to /usr/local/bin; else where `go install` would.
INSTALL_DIR = $(if $(PREFIX),$(PREFIX)/bin,$(or $(shell $(GO) env GOBIN),$(shell $(GO) env GOPATH)/bin))

##@ Use

.PHONY: help
help: ## show this list
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z][a-z-]*:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: run
run: ## start the service with the built-in sandbox; no account, no configuration
	$(GO) run ./cmd/api serve --dev

.PHONY: build
build: ## build bin/till, static
	$(GO) build -trimpath -buildvcs=false -ldflags='-s -w -X main.version=$(VERSION)' -o bin/till ./cmd/api

.PHONY: install
install: build ## install it as till (PREFIX=/usr/local, or where go install puts things)
	install -d '$(DESTDIR)$(INSTALL_DIR)'
	install -m 0755 bin/till '$(DESTDIR)$(INSTALL_DIR)/till'

##@ Prove

.PHONY: test
test: ## run all tests, with the race detector where a C compiler is present
	@if problem=$$(CGO_ENABLED=1 $(GO) build -race runtime/cgo 2>&1); then \
		echo 'go test -race ./...'; \
		CGO_ENABLED=1 $(GO) test -race -timeout $(TEST_TIMEOUT) ./... && $(GO) test -run AllocatesLittle ./cmd/api; \
	elif [ '$(CI)' = true ]; then \
		echo "The race detector needs a C compiler with its headers, and CI may not go without: $$problem" >&2; \
		exit 1; \
	else \
		echo 'No working C compiler: testing without the race detector.'; \
		$(GO) test -timeout $(TEST_TIMEOUT) ./...; \
	fi
	@$(POSTGRES_THERE) || echo 'Left out, because PostgreSQL 15 and PgBouncer are not both here: all tests of the Postgres store. SQLite was tested.'
	@$(REDIS_THERE) || echo 'Left out, because redis-server is not here: all tests of limits that replicas share. Those of one process were tested.'

.PHONY: torture
torture: ## try to give an owner two customers; TORTURE=short or full, SEEDS=n, needs PostgreSQL
	$(GO) test -count=1 -timeout $(TORTURE_TIMEOUT) ./internal/customers -v -run '^TestSimulation$$' -simulation.seeds $(SEEDS)
	$(GO) test ./internal/customers -run '^$$' -bench 'Ensure' -benchmem
	$(GO) test -tags torture -count=1 -timeout $(TORTURE_TIMEOUT) ./internal/torture -v -run '^TestTorture' -args -form=$(TORTURE)

.PHONY: torture-load
torture-load: ## load, restarts, limits and a Stripe that misbehaves; TORTURE=short or full, needs nginx and redis-server
	$(GO) test -tags torture -count=1 -timeout $(LOAD_TIMEOUT) ./internal/torture -v -run '^TestLoad' -args -form=$(TORTURE)

.PHONY: replicas
replicas: ## simulate 1 to 100 replicas that share Stripe's limit, and Redis failing
	$(GO) test -count=1 -timeout $(TORTURE_TIMEOUT) ./internal/ratelimit -v -run '^Test(Replicas|TheBudgetIsNeverExceeded|AHostileOwner)$$' \
		-args -budget.form=full -budget.seeds $(if $(filter true,$(CI)),200,2000)

# The rows are in testdata; each test says how many it has sent, over all carriers and routes.
.PHONY: catalogue
catalogue: ## try the catalogue of bad inputs and print the count
	@out=$$($(GO) test -count=1 -v -run '$(CATALOGUE)' ./internal/auth ./internal/config ./internal/handlers ./internal/redirect) || { echo "$$out"; exit 1; }; \
	echo "$$out" | awk '/_test\.go:[0-9]+: [0-9]+ / { sub(/^.*_test\.go:[0-9]+: /, ""); seen[n++] = $$0; total += $$1 } \
		END { for (i = 0; i < n; i++) print "  " seen[i]; print total " bad inputs tried, 0 wrong answers"; if (n < 15) exit 1 }'

.PHONY: attack
attack: catalogue ## attack the program on this machine and print what it withstood; ATTACK=short or full
	$(GO) test -tags attack -count=1 -timeout 30m ./internal/attack -v -args -form=$(ATTACK)

.PHONY: contract
contract: $(STRIPE_MOCK_2023) $(STRIPE_MOCK_2026) ## hold what we send to Stripe against its published specification
	TILL_STRIPE_MOCK_2023='$(STRIPE_MOCK_2023)' \
	TILL_STRIPE_MOCK_2026='$(STRIPE_MOCK_2026)' \
	TILL_STRIPE_SPEC_2023="$(call spec_of,stripe-mock-2023-10-16)" \
	TILL_STRIPE_SPEC_2026="$(call spec_of,stripe-mock-2026-08-26)" \
	$(GO) test -tags contract -count=1 -timeout $(TEST_TIMEOUT) ./internal/contract/...

.PHONY: params
params: ## write what the catalogue knows of Stripe's parameters, and what README.md says of it
	TILL_STRIPE_SPEC_2023="$(call spec_of,stripe-mock-2023-10-16)" \
	TILL_STRIPE_SPEC_2026="$(call spec_of,stripe-mock-2026-08-26)" \
	$(GO) test -tags contract -count=1 ./internal/contract -run '^TestTheCatalogueHasStripesParameters$$' -update
	$(GO) test -count=1 ./internal/catalog -run '^TestTheReadmeListsTheParameters$$' -update

.PHONY: smoke
smoke: ## start `make run` and buy something with curl
	bash tools/smoke/smoke.sh

.PHONY: browser
browser: ## walk through the demo and the sandbox's pages in Chromium; needs Node
	bash tools/browser/run.sh

.PHONY: oidc
oidc: ## have a real OpenID provider issue tokens for it; needs Node
	bash tools/oidc/run.sh

.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME
	bash tools/fuzz/fuzz.sh $(FUZZTIME)

.PHONY: mutants
mutants: $(GREMLINS) ## change the code and see whether tests notice; MUTANTS=packages, SCORE=least
	bash tools/gremlins/mutants.sh '$(GREMLINS)' $(SCORE) $(MUTANTS)

.PHONY: nightly
nightly: check test contract fuzz smoke browser oidc torture torture-load replicas attack bench-check bench mutants ## everything, at full length

.PHONY: bench
bench: ## measure what it adds to Stripe, beside a bare proxy and a plain handler; BENCH_STRICT=1, BASE=commit
	$(GO) test -tags bench -count=1 -timeout 180m ./internal/bench -v -run '^TestBench$$' -args $(BENCH_ARGS)
	$(if $(BASE),$(MAKE) bench-compare BASE='$(BASE)')

.PHONY: bench-check
bench-check: ## compare a warm checkout's allocations and CPU time with internal/bench/baseline.json
	$(GO) test -tags bench -count=1 -timeout $(TEST_TIMEOUT) ./internal/bench -v -run '^TestCheck$$'

.PHONY: bench-baseline
bench-baseline: ## write internal/bench/baseline.json anew, for a change that is worth its price
	$(GO) test -tags bench -count=1 -timeout $(TEST_TIMEOUT) ./internal/bench -v -run '^TestCheck$$' -args -record

.PHONY: bench-compare
bench-compare: $(BENCHSTAT) ## run the Go benchmarks beside those of a commit: BASE=main (BENCH, COUNT, BENCHTIME)
	@[ -n '$(BASE)' ] || { echo 'Which commit to compare with? make bench-compare BASE=main' >&2; exit 2; }
	bash tools/benchstat/compare.sh '$(BENCHSTAT)' '$(BASE)'

##@ Keep

# Works without a network once the tools are built and the modules are downloaded.
.PHONY: check
check: check-format vet check-modules lint check-imports check-openapi ## format, vet, modules, lint, import directions, openapi.yaml

.PHONY: check-format
check-format: $(GOLANGCI_LINT)
	$(GOLANGCI_LINT) fmt --diff

.PHONY: vet
vet:
	$(GO) vet ./...

.PHONY: check-modules
check-modules:
	$(GO) mod tidy -diff
	$(GO) mod verify

.PHONY: lint
lint: $(GOLANGCI_LINT) ## run the linters
	$(GOLANGCI_LINT) run

.PHONY: check-imports
check-imports:
	$(GO) test -run '^TestImports' .

# A pattern that matches nothing would pass for ever, so the list is looked at first.
.PHONY: check-openapi
check-openapi:
	@tests=$$($(GO) test -list '$(OPENAPI_TESTS)' $(OPENAPI_PACKAGES)) || { echo "$$tests"; exit 1; }; \
	echo "$$tests" | grep -q '^Test' || { echo "no test in $(OPENAPI_PACKAGES) matches $(OPENAPI_TESTS)" >&2; exit 1; }
	$(GO) test -run '$(OPENAPI_TESTS)' $(OPENAPI_PACKAGES)

.PHONY: fmt
fmt: $(GOLANGCI_LINT) ## format the Go code
	$(GOLANGCI_LINT) fmt

.PHONY: tidy
tidy: ## tidy every go.mod
	$(GO) mod tidy
	for module in tools/*/go.mod; do (cd "$${module%/go.mod}" && GOWORK=off $(GO) mod tidy) || exit 1; done

.PHONY: clean
clean: ## remove what was built here
	rm -rf bin .tools

$(GOLANGCI_LINT): tools/golangci-lint/go.mod tools/golangci-lint/go.sum
	$(call build_tool,golangci-lint,$(LINT_MODULE)/cmd/golangci-lint)

$(GREMLINS): tools/gremlins/go.mod tools/gremlins/go.sum
	$(call build_tool,gremlins,$(MUTANTS_MODULE)/cmd/gremlins)

$(STRIPE_MOCK_2023): tools/stripe-mock-2023-10-16/go.mod tools/stripe-mock-2023-10-16/go.sum
	$(call build_tool,stripe-mock-2023-10-16,$(MOCK_MODULE))

$(STRIPE_MOCK_2026): tools/stripe-mock-2026-08-26/go.mod tools/stripe-mock-2026-08-26/go.sum
	$(call build_tool,stripe-mock-2026-08-26,$(MOCK_MODULE))

$(BENCHSTAT): tools/benchstat/go.mod tools/benchstat/go.sum
	$(call build_tool,benchstat,$(BENCHSTAT_MODULE)/cmd/benchstat)
