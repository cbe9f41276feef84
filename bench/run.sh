#!/usr/bin/env bash
# Builds Postern and measures it beside a direct connection, nginx, and HAProxy in
# one and in two hops, one after the other within each round. Writes bench/result.md
# and bench/result.json. Everything talks to loopback only.
#
#   ROUNDS=5 PHASES=lan,wan,mem DUR=1.2s SUTS=direct,postern bench/run.sh [flag...]
#
# More flags go to the harness; README.md lists them.
set -euo pipefail
cd "$(dirname "$0")"

rounds=${ROUNDS:-5}
phases=${PHASES:-lan,wan,mem}
duration=${DUR:-1.2s}
suts=${SUTS:-direct,nginx,haproxy,haproxy2tls,postern}

../scripts/test-deps.sh bench
export PATH=$PATH:/usr/sbin:/sbin

mkdir -p bin certs
CGO_ENABLED=0 go build -C .. -trimpath -o bench/bin/postern ./cmd/postern
go build -o bin/tunnelbench .
case $suts in *chisel* | *connect*) CGO_ENABLED=0 go build -o bin/chisel github.com/jpillora/chisel ;; esac

if [ ! -s certs/both.pem ]; then
	# Go's own example program: no openssl needed.
	(cd certs && go run "$(go env GOROOT)/src/crypto/tls/generate_cert.go" \
		-host 'localhost,127.0.0.1,*.test' -ecdsa-curve P256 -duration 87600h 2>generate.log)
	cat certs/cert.pem certs/key.pem >certs/both.pem
fi

files=
for name in ${suts//,/ }; do files=$files${files:+,}sut/$name.json; done

# In a network namespace of its own where that is allowed: no port collides.
namespace=()
if unshare -n true 2>/dev/null; then
	namespace=(./ns.sh)
fi
exec "${namespace[@]}" bin/tunnelbench -suts "$files" -bin "$PWD/bin" -work "$PWD/work" -certs "$PWD/certs" -out result \
	-rounds "$rounds" -wan-rounds "$((rounds < 3 ? rounds : 3))" -restarts "$((rounds < 3 ? rounds : 3))" \
	-phases "$phases" -dur "$duration" "$@"
