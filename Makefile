# `make` alone explains the targets.

# One profile and one feature set for everything, so that nothing is compiled twice.
CARGO_FLAGS := --workspace --locked
export RUST_BACKTRACE ?= 0

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test controls fuzz bench privacy privacy-wire lint build influxd telegraf setup-demo setup-test setup-privacy clean

help: ## Explain the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

demo: setup-demo build ## Private Tor network, proxy, three file servers, a live table (DEMO_SECONDS=n, TOR=public)
	@$${CARGO_TARGET_DIR:-target}/debug/undertone-demo

test: setup-test influxd telegraf build lint ## All tests, end to end through a private Tor network
	cargo test $(CARGO_FLAGS)

controls: setup-test influxd build ## Patches that tests of invariants have to catch (CONTROL=begin of a name)
	@$${CARGO_TARGET_DIR:-target}/debug/undertone-controls $(if $(CONTROL),--control $(CONTROL))

# Built without Tor, in target/fuzz. docs/abuse.md says what it has found.
fuzz: ## Parsers of what comes from outside under libFuzzer, each MINUTES=n (TARGET=name for one of them)
	@tests/tools/fuzz.sh $(or $(MINUTES),1) $(TARGET)

# What is measured is built as what is released, in target/ and, where no Tor is needed, in a workspace of its own. If Telegraf
# can't be built, its rows are missing.
BENCHES := tests/benches/Cargo.toml
bench: setup-test influxd build ## One table of ratios, beside peers; docs/benchmarks.md (BENCH=part for one of them)
	@target=$$(realpath -m "$${CARGO_TARGET_DIR:-target}") && set -ex \
		&& cargo build $(CARGO_FLAGS) --release --bin undertone-ingest-proxy --bin bench_agent \
		&& cargo build --manifest-path $(BENCHES) --locked --release --target-dir "$$target/benches" \
		&& (cd tests/go && go build -buildvcs=false -o "$$target/benches/bench-peers" ./cmd/bench-peers) \
		&& telegraf=$$(tests/go/build-telegraf.sh listeners || true) && UNDERTONE_PROGRAMS="$$target/release" \
		"$$target/debug/undertone-bench" --benches "$$target/benches/release/undertone-benches" \
		--go "$$target/benches/bench-peers" $${telegraf:+--telegraf "$$telegraf"} \
		--document docs/benchmarks.md $(if $(BENCH),--part $(BENCH))

# In a folder of its own: what it needs is built without Tor, in a minute.
privacy: ## How well sessions can be paired, with limits; docs/privacy-measured.md (LARGEST=1000, FULL=1 for larger crowds)
	cargo build --locked --release -p undertone-linkability --target-dir $${CARGO_TARGET_DIR:-target}/privacy
	$${CARGO_TARGET_DIR:-target}/privacy/release/undertone-linkability --document docs/privacy-measured.md $(if $(FULL),--full) $(if $(LARGEST),--largest $(LARGEST))

# On the stream first, then on the link to the guard: some 20 minutes of watching, then the classifier. The table stays in target/.
privacy-wire: setup-test setup-privacy build ## Whether who watches the wire can tell busy from idle; docs/privacy-wire.md
	cargo test $(CARGO_FLAGS) --test scenarios -- wire_capture::p4_ wire_capture::p5_ wire_capture::p6_
	@target=$$(realpath -m "$${CARGO_TARGET_DIR:-target}") && set -e \
		&& "$$target/debug/undertone-privacy-wire" --table "$$target/privacy-wire.csv" $(PRIVACY_WIRE) \
		&& tests/tools/classify.py "$$target/privacy-wire.csv"

lint: ## Formatting and clippy, warnings are errors
	cargo fmt --all --check
	cargo fmt --manifest-path $(BENCHES) --check
	cargo fmt --manifest-path tests/fuzz/Cargo.toml --check
	cargo clippy $(CARGO_FLAGS) --all-targets -- --deny warnings
	cargo clippy --manifest-path $(BENCHES) --locked --target-dir $${CARGO_TARGET_DIR:-target}/benches -- --deny warnings

build: ## Binaries and examples
	cargo build $(CARGO_FLAGS) --bins --examples

# Before the tests, which have deadlines: building it takes minutes of all cores, once.
influxd:
	@[ -n "$$UNDERTONE_INFLUXD" ] || influxd version 2>&1 | grep -qE '^InfluxDB (v?2\.|dev)' \
		|| tests/go/build-influxd.sh >/dev/null

telegraf:
	@tests/go/build-telegraf.sh outputs >/dev/null

setup-demo:
	@tests/tools/install.sh demo

setup-test:
	@tests/tools/install.sh test

setup-privacy:
	@tests/tools/install.sh privacy

clean: ## Remove what was built here
	cargo clean
