# Everything here works from a fresh clone: each target first sets up what is missing.
export HITHER_CACHE ?= $(HOME)/.cache/hither
export CARGO_TARGET_DIR ?= $(HITHER_CACHE)/target

.DEFAULT_GOAL := help
.PHONY: help setup up check test test-all bench docs wheel contracts native lock format status

help: ## Show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install everything into .venv and ~/.cache/hither; nothing the second time
	@scripts/setup

up: setup ## Start everything and show one account on every chain; Ctrl-C stops it and keeps its state
	@.venv/bin/hither up --demo

check: setup ## Format, lint, types, import contracts, tidy, docs, fast tests: under two minutes
	@scripts/check

test: ## Set up, check, and every normal test; stops at 85 minutes
	@scripts/run_tests

test-all: ## The same, and the long tests: fuzzing, every contract rebuilt, 200 kills
	@scripts/run_tests --all

bench: setup ## Every benchmark, one JSON object each (hither bench NAME)
	@for name in start transfers tokens rpc growth payloads; do .venv/bin/hither bench $$name --json || exit 1; done

docs: setup ## The documents as a site in site/, links checked
	@NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict --quiet

wheel: setup ## A wheel in dist/ that installs without a compiler
	@scripts/wheel

contracts: setup ## Rebuild contracts/ and compare with the locks; WRITE=1 writes them
	@.venv/bin/python contracts/build.py $(if $(WRITE),--write)

format: setup ## Format Python and Rust
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix . && cargo fmt --all && cargo fmt --all --manifest-path contracts/Cargo.toml

status: setup ## Write docs/status.md from what the tests name, the generated pages of docs/reference from the code
	@.venv/bin/python tests/status.py --write && .venv/bin/python -m tests.errors_page --write
	@.venv/bin/python -m tests.reference --write

lock: ## Write requirements/*.txt after a change in pyproject.toml
	@scripts/lock

native: ## Build the native module and install it into .venv, without the rest of setup
	cargo build --release -p hither-native
	cp $(CARGO_TARGET_DIR)/release/libhither_native.so .venv/native.tmp
	mv .venv/native.tmp .venv/lib/python3.11/site-packages/hither_native.abi3.so
	@rm -f .venv/.stamps/native
