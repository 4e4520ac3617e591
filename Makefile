# Everything here works from a fresh clone; `make setup` is implied.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/hither/target

.PHONY: native
native:
	cargo build --release -p hither-native
	cp $(CARGO_TARGET_DIR)/release/libhither_native.so .venv/native.tmp
	mv .venv/native.tmp .venv/lib/python3.11/site-packages/hither_native.abi3.so
