#!/usr/bin/env bash
# Builds app.wasm: app.js with its engine inside, by componentize-js as it comes. In: nothing. Out: app.wasm, about 13 MB, never committed.
set -euo pipefail
cd "$(dirname "$0")"

# The WIT of WASI 0.2.12 ships in the crate that the Rust guests use.
crate=$(cargo metadata --manifest-path ../Cargo.toml --format-version 1 --locked |
    node -e 'let text = ""; process.stdin.on("data", (part) => (text += part)).on("end", () => console.log(JSON.parse(text).packages.find((p) => p.name === "wasip2" && p.version.startsWith("2.")).manifest_path))')
wit=$(dirname "$crate")/wit

# No lock file: npm writes one that lacks packages on the next machine; the one direct dependency is pinned.
npm install --no-package-lock --loglevel=error --no-audit --no-fund
node build.mjs "$wit"
stat --format '%n: %s bytes' app.wasm
