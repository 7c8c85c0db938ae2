#!/usr/bin/env bash
# Builds app.wasm: app.py with CPython inside, by componentize-py as it comes. In: nothing. Out: app.wasm, about 18 MB, never committed.
set -euo pipefail
cd "$(dirname "$0")"

# The WIT of WASI 0.2.12 ships in the crate that the Rust guests use.
crate=$(cargo metadata --manifest-path ../Cargo.toml --format-version 1 --locked |
    python3 -c 'import json, sys; print(next(p["manifest_path"] for p in json.load(sys.stdin)["packages"] if p["name"] == "wasip2" and p["version"].startswith("2.")))')
wit=$(dirname "$crate")/wit

python3 -m venv target/venv
target/venv/bin/pip install --quiet --disable-pip-version-check componentize-py==0.25.1
target/venv/bin/componentize-py --quiet --wit-path "$wit" --world wasi:http/proxy@0.2.12 componentize app --output app.wasm
stat --format '%n: %s bytes' app.wasm
