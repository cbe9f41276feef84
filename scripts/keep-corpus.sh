#!/usr/bin/env bash
# Adds what the fuzzer has found interesting on this machine to the corpus that
# FuzzBothPaths starts from: one quoted input a line, those below a KiB, shortest first.
set -euo pipefail
cd "$(dirname "$0")/.."

corpus=server/edge/testdata/bothpaths.corpus
found=$(go env GOCACHE)/fuzz/$(go list ./server/edge)/FuzzBothPaths
{
	[ ! -f "$corpus" ] || cat "$corpus"
	find "$found" -type f -exec sed -n 's/^\[\]byte(\(".*"\))$/\1/p' {} +
} | LC_ALL=C awk 'length < 1024 { print length "\t" $0 }' | LC_ALL=C sort -u -k1,1n -k2 | cut -f2- >"$corpus.new"
mv "$corpus.new" "$corpus"
wc -l "$corpus"
