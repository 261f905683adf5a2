# minato: everything a machine needs is installed by `make setup`; `make demo`
# runs the workshop, `make test` passes the tests. CI runs setup and test.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := build

GO ?= go
export CGO_ENABLED := 1
LDFLAGS := -s -w
# Packages whose tests start containers and change the host: run after the rest,
# one package at a time, because they share two cores and one kernel.
HOST_PKGS := ./e2e/... ./dataplane/container/... ./dataplane/network/... ./dataplane/build/... ./dataplane/database/...

.PHONY: help setup setup-tests build generate coverage test test-unit test-host lint fmt demo bench bench-rollout bench-alb soak explore clean check-go

help:
	@echo "make demo           install what is needed, build, run the workshop, leave it open to the browser"
	@echo "make test           build, check and run every test, with real containers"
	@echo "make setup          install the packages of the machine; setup-tests: those of the tests too"
	@echo "make build          bin/minato and its small programs"
	@echo "make generate       aws/api anew from aws/models"
	@echo "make lint, fmt      what is wrong with the sources; mend their format"
	@echo "make test-unit      the tests that change nothing on the host; test-host: the others"
	@echo "make bench          every figure of docs/performance.md; bench-rollout, bench-alb: parts"
	@echo "make soak           hours of load, kills and full disks"
	@echo "make explore        properties and fuzz targets with inputs that no run had before: FOR=10s each"
	@echo "make coverage       docs/coverage.md from what the end-to-end tests call"

check-go:
	@v=$$($(GO) env GOVERSION 2>/dev/null | sed 's/^go//'); case "$$v" in \
	  "") echo "minato needs Go 1.21 or newer (https://go.dev/dl); none was found" >&2; exit 1;; \
	  1.[0-9]|1.[0-9].*|1.1[0-9]|1.1[0-9].*|1.20|1.20.*) echo "Go $$v cannot read this go.mod: install Go 1.21 or newer (https://go.dev/dl, or apt -t bookworm-backports install golang-go); it fetches the toolchain that go.mod names by itself" >&2; exit 1;; esac

setup: check-go
	./scripts/setup

setup-tests: check-go
	./scripts/setup tests

build: check-go bin/minato examples/workshop/chat/bin/chat

GO_FILES = $(shell git ls-files '*.go' go.mod go.sum)

include dataplane/container/containerd/build.mk

bin/minato: $(SHIM) $(GO_FILES)
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $@ ./cmd/minato

examples/workshop/chat/bin/chat: $(GO_FILES)
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $@ ./examples/workshop/chat

generate: check-go
	$(GO) run ./aws/gen

lint: check-go
	@test -z "$$($(GO) tool gofumpt -l $$(git ls-files '*.go' | grep -v '\.gen\.go$$'))" || { echo "not gofumpt-ed:"; $(GO) tool gofumpt -l $$(git ls-files '*.go' | grep -v '\.gen\.go$$'); exit 1; }
	$(GO) run ./aws/gen -check
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

fmt:
	$(GO) tool gofumpt -w $$(git ls-files '*.go' | grep -v '\.gen\.go$$')

test: setup-tests build lint test-unit test-host

# Properties have the same inputs in each run, so that a run says what the one before
# it said; `make explore` looks for new ones.
test-unit test-host coverage: export RAPID_SEED := 20261130

# -race everywhere; the end-to-end tests run the binary that `make build` made.
test-unit:
	$(GO) test -race -timeout 40m $$($(GO) list ./... | grep -v -E '^minato/(e2e|dataplane/(container|network|build|database))(/|$$)')

# -p 1 holds for compiling too: that is done before, on all processors.
test-host: build
	$(GO) list -race -export -deps -test $(HOST_PKGS) >/dev/null
	$(GO) test -race -p 1 -timeout 100m $(HOST_PKGS)

coverage: setup-tests build
	MINATO_COVERAGE=write $(GO) test -count=1 -timeout 100m ./e2e/...

demo: setup build
	./bin/minato demo

bench: build
	$(GO) run ./e2e/bench

bench-rollout: build
	$(GO) run ./e2e/bench -set rollout

# A part: make bench-alb ALB="-rows 'http11_1k$$|tls' -rounds 3"
bench-alb: build
	$(GO) run ./e2e/bench -set alb $(ALB)

soak: build
	MINATO_SOAK=1 $(GO) test -count=1 -timeout 2h -run TestSoak -v ./e2e/...

explore: check-go
	@for d in $$(git grep -l 'rapid\.Check(' -- '*_test.go' | xargs -n1 dirname | sort -u); do RAPID_CHECKS=2000 $(GO) test -count=1 -timeout 30m ./$$d; done
	@git grep -hoE '^func Fuzz\w+' -- '*_test.go' | sort -u | while read -r _ name; do \
	  for d in $$(git grep -lE "^func $$name\(" -- '*_test.go' | xargs -n1 dirname | sort -u); do \
	    echo "$$d $$name"; $(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(or $(FOR),10s) ./$$d; done; done

clean:
	rm -rf bin examples/workshop/chat/bin $(SHIM)
