# The commands a person types.
#
#   make demo    brings a mesh of five routers up on this machine, breaks it and shows it heal
#   make lab     the mesh on real kernels, from boot: virtual machines as routers; a page that tells what was seen
#   make test    everything that can tell whether it works
#   make check   format, lints, and a test or a reason for every clause of the RFCs
#   make conformance  writes docs/conformance.md from the names of the tests
#   make mutants  breaks lines that clauses guard, and shows which tests fail
#   make soak    the same for hours: more seeds, more fuzzing, longer scenarios
#   make bench   the figures, beside BIRD's and FRR's; BENCH="rest cold" for some of them, BENCH=--quick to try them out
#   make scale   what a change costs in areas of 100 to 10,000 routers, by simulation
#   make package ARCH=mipsel  a package for one family of routers; make packages for all of packaging/targets
#   make reproducible ARCH=mipsel  builds a package twice, in two directories, and compares them octet for octet
#   make kernel   runs the MIPS program on a real big-endian kernel, which is built first (minutes)
#   make clean   takes running labs down and removes what was built

.PHONY: demo lab test check conformance mutants soak bench scale package packages reproducible kernel clean

demo:
	@testbed/run demo $(DEMO)

lab:
	@testbed/run --machines test --report target/machines.html $(LAB)

test:
	@testbed/test

check:
	cargo fmt --all -- --check
	cargo run --quiet --locked -p dlan-conformance -- check
	cargo clippy --workspace --all-targets --all-features --locked

conformance:
	@cargo run --quiet --locked -p dlan-conformance -- write

mutants:
	@cargo run --quiet --locked -p dlan-conformance -- mutants

soak:
	@testbed/soak

bench:
	@testbed/bench $(BENCH)

scale:
	cargo run --profile lab --locked -p ospf-lite --features sim --example scaling

package:
	@packaging/package $(ARCH)

packages:
	@packaging/package

reproducible:
	@packaging/reproducible $(ARCH)

kernel:
	@packaging/on-kernel $(ARCH)

clean:
	@if pgrep -f 'node-init --first' >/dev/null; then testbed/run down; fi
	cargo clean
