# `make` alone explains the targets.

# One profile and one feature set for everything, so that nothing is compiled twice.
CARGO_FLAGS := --workspace --locked
export RUST_BACKTRACE ?= 0

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test lint build influxd setup-demo setup-test clean

help: ## Explain the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

demo: setup-demo build ## Private Tor network, proxy, three file servers, a live table (DEMO_SECONDS=n, TOR=public)
	@$${CARGO_TARGET_DIR:-target}/debug/undertone-demo

test: setup-test influxd build lint ## All tests, end to end through a private Tor network
	cargo test $(CARGO_FLAGS)

lint: ## Formatting and clippy, warnings are errors
	cargo fmt --all --check
	cargo clippy $(CARGO_FLAGS) --all-targets -- --deny warnings

build: ## Binaries and examples
	cargo build $(CARGO_FLAGS) --bins --examples

# Before the tests, which have deadlines: building it takes minutes of all cores, once.
influxd:
	@[ -n "$$UNDERTONE_INFLUXD" ] || influxd version 2>&1 | grep -qE '^InfluxDB (v?2\.|dev)' \
		|| tests/go/build-influxd.sh >/dev/null

setup-demo:
	@tests/tools/install.sh demo

setup-test:
	@tests/tools/install.sh test

clean: ## Remove what was built here
	cargo clean
