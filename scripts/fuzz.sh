#!/usr/bin/env bash
# Fuzzes every target of the module, one after the other, FUZZTIME each (5s).
# Minimising is bounded: without that a target with large seeds spends its time there.
set -euo pipefail
cd "$(dirname "$0")/.."

fuzztime=${FUZZTIME:-5s}
git ls-files --cached --others --exclude-standard '*_test.go' | while read -r file; do
	sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file" | while read -r target; do
		echo "== $(dirname "$file") $target"
		go test "./$(dirname "$file")" -run '^$' -fuzz "^$target\$" -fuzztime "$fuzztime" -fuzzminimizetime 10x </dev/null
	done
done
