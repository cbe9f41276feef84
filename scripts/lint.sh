#!/usr/bin/env bash
# Formatting, vet and staticcheck over both modules.
set -euo pipefail
cd "$(dirname "$0")/.."

# Pinned: a linter that changes by itself breaks builds that nobody touched.
staticcheck=honnef.co/go/tools/cmd/staticcheck@v0.8.2

echo '== gofmt'
unformatted=$(git ls-files -z --cached --others --exclude-standard '*.go' | xargs -0 gofmt -l)
if [ -n "$unformatted" ]; then
	printf 'run gofmt -w on:\n%s\n' "$unformatted" >&2
	exit 1
fi

echo '== vet'
go vet ./...
for system in windows darwin; do
	GOOS=$system go vet ./...
done
(cd bench && go vet ./...)

echo '== staticcheck'
go run "$staticcheck" ./...
