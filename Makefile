# The commands a person types.
#
#   make demo    brings a mesh of five routers up on this machine, breaks it and shows it heal
#   make test    everything that can tell whether it works
#   make check   format and lints
#   make bench   the figures, beside BIRD's
#   make clean   takes running labs down and removes what was built

.PHONY: demo test check bench clean

demo:
	@testbed/run demo $(DEMO)

test:
	@testbed/test

check:
	cargo fmt --all -- --check
	cargo clippy --workspace --all-targets --all-features --locked

bench:
	@testbed/bench

clean:
	@if pgrep -f 'node-init --first' >/dev/null; then testbed/run down; fi
	cargo clean
