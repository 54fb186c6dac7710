# `make` alone explains the targets.

# One profile and one feature set for everything, so that nothing is compiled twice.
CARGO_FLAGS := --workspace --locked
export RUST_BACKTRACE ?= 0

.DEFAULT_GOAL := help
.PHONY: help demo test lint build setup-demo setup-test clean

help: ## Explain the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

demo: setup-demo build ## Private Tor network, proxy, three file servers, a live table (DEMO_SECONDS=n, TOR=public)
	@target/debug/undertone-demo

test: setup-test build lint ## All tests, end to end through a private Tor network
	cargo test $(CARGO_FLAGS)

lint: ## Formatting and clippy, warnings are errors
	cargo fmt --all --check
	cargo clippy $(CARGO_FLAGS) --all-targets -- --deny warnings

build: ## Binaries and examples
	cargo build $(CARGO_FLAGS) --bins --examples

setup-demo:
	@tests/tools/install.sh demo

setup-test:
	@tests/tools/install.sh test

clean: ## Remove what was built here
	cargo clean
