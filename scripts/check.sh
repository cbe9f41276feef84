#!/usr/bin/env bash
# What must hold before a change is merged, besides "make test".
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/lint.sh

echo '== generated files'
# The same comparison as in make test, but first: it is the quickest to mend.
go test . -run TestGeneratedFilesAreUpToDate -count 1

echo '== race detector'
# e2e runs binaries of its own, which the detector would not see into.
go list ./... | grep -v '/e2e' | xargs env CGO_ENABLED=1 go test -race -timeout 10m

echo '== the other path of HTTP/1.1'
go test ./server/edge -nethttp
POSTERN_HTTP1=standard go test ./e2e -count 1 -timeout 14m

echo '== fuzzing'
FUZZTIME=${FUZZTIME:-5s} scripts/fuzz.sh
