# Souk's commands. `make` alone lists them.

SHELL := /bin/bash -o pipefail

# How long each fuzz target runs under `make fuzz`.
FUZZTIME ?= 20s
# Whatever `make run` and `make bench` should pass on, for example ARGS="--http :9000".
ARGS ?=
# Tests start the binary, which Go's test cache does not see: hence -count=1. The gate must end within a quarter of an hour on two cores.
TEST_TIMEOUT := 15m

.PHONY: help
help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: bin/souk ## build the shop and serve it, filled with a sample, on http://127.0.0.1:8080
	bin/souk serve --sample $(ARGS)

.PHONY: split
split: bin/souk needs ## run the shop as a process a room, on PostgreSQL, NATS and Redis of its own, until interrupted
	go run ./deploy/split --binary bin/souk $(ARGS)

.PHONY: test
test: needs drift lint tools ## the whole gate: needs, generated code, lint, every test with the race detector
	go build -race -o bin/souk-race ./cmd/souk
	SOUK_TEST_BINARY=$(CURDIR)/bin/souk-race go test -race -count=1 -timeout $(TEST_TIMEOUT) ./...

.PHONY: bench
bench: bin/souk ## measure the shop, beside the disk's and an append log's figures in the same run
	go run ./test/bench $(ARGS)

.PHONY: chaos
chaos: bin/souk needs ## kill the shop at every point of its stories, in one process and room by room; then 100 rounds of faults under load
	SOUK_TEST_BINARY=$(CURDIR)/bin/souk go test -count=1 -timeout 90m -v ./test/crash -args -whole | grep -v -e '^=== ' -e '"level"'
	SOUK_TEST_BINARY=$(CURDIR)/bin/souk go test -count=1 -timeout 30m ./kit/sqlstore/move ./test/moving -args -whole
	SOUK_TEST_BINARY=$(CURDIR)/bin/souk SOUK_TEST_PLACEMENT=split go test -count=1 -timeout 30m ./test/attack
	SOUK_TEST_BINARY=$(CURDIR)/bin/souk go test -count=1 -timeout 60m -v ./test/chaos -args -rounds 100 | grep -v -e '^=== ' -e '"level"'

.PHONY: replay
replay: bin/souk ## buy the invoices of a real shop again, or of FILE=path, measure it, and balance the books twice
	SOUK_TEST_BINARY=$(CURDIR)/bin/souk go test -count=1 -timeout 60m -v -run '^TestWholeReplay$$' ./test/replay -args -whole $(if $(FILE),-file $(abspath $(FILE))) $(ARGS) | grep -v -e '^=== ' -e '"level"'

.PHONY: house
house: ## print the house's figures: lengths, exported names, comments
	@go test -count=1 -run '^TestFigures$$' ./test/house -v -args -figures | grep -v -e '^=== ' -e '^--- ' -e '^PASS' -e '^ok'

.PHONY: gen
gen: ## write gen/ from the contracts in api/
	go -C tools run ./gen

# Vet and staticcheck have every package compiled; with -race that is what the tests need afterwards.
.PHONY: lint
lint: bin/gofumpt bin/staticcheck ## gofumpt, vet and staticcheck
	@unformatted=$$(bin/gofumpt -l .); if [ -n "$$unformatted" ]; then \
		echo "not in gofumpt's form; run bin/gofumpt -w on:"; echo "$$unformatted"; exit 1; fi
	go vet -race ./...
	GOFLAGS="$$GOFLAGS -race" bin/staticcheck ./...

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME each
	@grep -rlE '^func Fuzz' --include='*_test.go' . | while read -r file; do \
		grep -oE '^func Fuzz[A-Za-z0-9_]+' "$$file" | while read -r _ target; do \
			echo "$$(dirname "$$file") $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$(dirname "$$file")" || exit 1; \
		done || exit 1; \
	done

# What the gate consists of besides the tests.

# Engines that tests and `make split` start for themselves; NATS is built from its module.
ENGINES := postgresql redis-server

.PHONY: needs
needs:
	@if ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || ! command -v redis-server >/dev/null; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $(ENGINES); \
		else \
			echo "PostgreSQL and Redis are needed: apt-get install $(ENGINES), or the like"; exit 1; \
		fi; \
	fi
	@command -v go >/dev/null || { echo "Go is needed: https://go.dev/dl/"; exit 1; }
	@command -v gcc >/dev/null || if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -q && apt-get install -qy --no-install-recommends gcc libc6-dev; \
	else \
		echo "A C compiler is needed for the race detector: apt-get install gcc libc6-dev, or the like"; exit 1; \
	fi

.PHONY: drift
drift:
	go -C tools run ./gen -check

.PHONY: tools
tools:
	go -C tools vet ./...
	go -C tools test ./...

# Programs. Go decides what is current, so they are always asked for; the pinned tools only when the pins change.

.PHONY: bin/souk
bin/souk:
	go build -trimpath -o $@ ./cmd/souk

bin/gofumpt: tools/go.mod tools/go.sum
	go -C tools build -o ../$@ mvdan.cc/gofumpt

bin/staticcheck: tools/go.mod tools/go.sum
	go -C tools build -o ../$@ honnef.co/go/tools/cmd/staticcheck
