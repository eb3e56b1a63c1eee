# The commands a person types.
.PHONY: check test
check:
	cargo fmt --all -- --check
	cargo clippy --workspace --all-targets --all-features --locked
test: check
	cargo test --workspace --all-features --locked
