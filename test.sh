#!/usr/bin/env bash
# Runs every test, and installs what they need. In: a Rust toolchain. Out: the runners' own words; status 0 when everything passed.
#
#   ./test.sh            everything
#   ./test.sh --quick    without the tests named slow_… and the toolchains that only they need
#
# With CI=true no test may skip itself.
set -euo pipefail
cd "$(dirname "$0")"
exec </dev/null
export PATH="$PATH:${CARGO_HOME:-${HOME:-/root}/.cargo}/bin:/usr/sbin:/sbin"

slow=yes
case "${1-}" in
    "") ;;
    --quick) slow=no ;;
    *) echo "usage: $0 [--quick]" >&2; exit 2 ;;
esac

step() { printf '\n== %s\n' "$*"; }
has() { command -v "$1" >/dev/null; }

install_packages() {
    local missing=()
    has cc || missing+=(build-essential)
    has node || missing+=(nodejs)              # the service that examples/auth replaces
    has mkfs.ext4 || missing+=(e2fsprogs)      # power cuts, on an image of a filesystem
    has mount || missing+=(mount)
    has redis-server || missing+=(redis-server)
    if [ $slow = yes ]; then
        has valgrind || missing+=(valgrind)    # what a request costs in instructions
        has npm || missing+=(npm)              # guests/js
        python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)  # guests/python
    fi
    [ ${#missing[@]} -eq 0 ] && return
    if [ "$(id -u)" != 0 ] || ! has apt-get; then
        echo "missing: ${missing[*]}; install them, or run this as root on Debian or Ubuntu" >&2
        exit 1
    fi
    # RUNLEVEL: a package brings programs, and starts no service.
    export RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    apt-get install -y -q --no-install-recommends "${missing[@]}"
}

# What a test says that could not run here; the runner keeps it to itself when a test passes.
tell_skipped() {
    local skipped
    skipped=$(grep -ohE 'SKIPPED [^<]*' target/nextest/*/junit.xml | sort -u || true)
    [ -z "$skipped" ] && return
    printf '\n%s\n' "$skipped"
    if [ "${CI-}" = true ]; then
        echo "no test may be skipped when CI=true" >&2
        exit 1
    fi
}

step "what the tests need"
install_packages
if [ ! -d "$(rustc --print sysroot)/lib/rustlib/wasm32-wasip2" ]; then
    rustup target add wasm32-wasip2
fi
if ! cargo nextest --version >/dev/null 2>&1; then
    # A version that the compiler of rust-toolchain.toml builds.
    cargo install cargo-nextest --locked --version 0.9.143
fi
rm -f target/nextest/*/junit.xml

step "format"
for workspace in . examples guests; do
    (cd $workspace && cargo fmt --all --check)
done

step "components of the examples and guests"
(cd examples && cargo build --locked --release --target wasm32-wasip2)
(cd guests && cargo build --locked --release --target wasm32-wasip2)
if [ $slow = yes ]; then
    guests/python/build.sh
    guests/js/build.sh
fi

step "lints"
cargo clippy --locked --workspace --all-targets -- -D warnings
(cd examples && cargo clippy --locked --all-targets -- -D warnings)
(cd examples && cargo clippy --locked --release --target wasm32-wasip2 -- -D warnings)
(cd guests && cargo clippy --locked --release --target wasm32-wasip2 -- -D warnings)
if has cargo-deny; then
    cargo deny --locked check
else
    echo "cargo-deny is not installed: deny.toml was not checked"
fi

step "the logic of the examples"
(cd examples && cargo test --locked)

step "the product"
# Building every test of the workspace builds the command too, with the features that one compilation of the engine serves.
cargo nextest run --locked --workspace
cargo test --locked --workspace --doc

if [ $slow = yes ]; then
    step "the product, slow tests"
    cargo nextest run --locked --workspace --profile slow
fi

if [ $slow = yes ]; then
    step "what a request costs in instructions"
    cargo run --locked --release -p coracle-bench -- gate
fi

tell_skipped
step "everything passed"
