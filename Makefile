# Every task of the project; "make help" lists them. Tasks of more than a line live
# in scripts/.

GO ?= go
# Version control stamping fails in containers that mount somebody else's checkout.
export GOFLAGS := $(GOFLAGS) -buildvcs=false

.PHONY: help
help: ## list the tasks
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

.PHONY: build
build: ## build bin/postern for this machine
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/postern ./cmd/postern

.PHONY: demo
demo: ## run server, agent and a sample service on this machine
	$(GO) run ./cmd/postern demo

.PHONY: test
# The soak takes the longest, so it begins first. e2e counts what visitors wait: nothing
# else may run beside it.
test: ## install what tests need, then run all of them
	scripts/test-deps.sh test
	$(GO) test -p 2 -timeout 14m ./e2e/soak $$($(GO) list ./... | grep -v "/e2e$$\|/e2e/soak$$")
	$(GO) test -timeout 14m ./e2e
	$(GO) test -C bench ./...

.PHONY: soak
soak: ## mixed load for SOAK (default 1h) at RATE visits a second, logs into LOGS; see docs/soak.md
	$(GO) test ./e2e/soak -count 1 -timeout 0 -v -run TestSoak -soak $(or $(SOAK),1h) -rate $(or $(RATE),500) $(if $(LOGS),-logs $(abspath $(LOGS)))

.PHONY: check
check: ## lint, race detector, seconds of fuzzing, generated files
	scripts/test-deps.sh check
	scripts/check.sh

.PHONY: lint
lint: ## gofmt, vet, staticcheck
	scripts/lint.sh

.PHONY: fuzz
fuzz: ## fuzz every target for FUZZTIME (default 60s)
	FUZZTIME=$${FUZZTIME:-60s} scripts/fuzz.sh

.PHONY: generate
generate: ## write generated files again
	$(GO) generate ./...

.PHONY: bench
bench: ## measure against nginx and HAProxy; see docs/performance.md
	bench/run.sh

.PHONY: bench-gateway
bench-gateway: ## measure private gateways against chisel; see docs/performance.md
	SUTS=direct,chisel,postern-chisel,postern-connect PHASES=gateway,idle,thin bench/run.sh

.PHONY: bench-store
bench-store: ## time reads among 100,000 rows, and look-ups and rebuilds of 100,000 routes
	scripts/test-deps.sh test
	$(GO) test -run '^$$' -bench '^Benchmark(Rows|RouteLookup|Rebuild)$$' -benchtime 3s \
		./server/store/sqlstore ./server/api ./server/route ./server/routebuild

.PHONY: release
release: ## build every archive of VERSION=x.y.z into dist/
	@test -n "$(VERSION)" || { echo 'usage: make release VERSION=1.2.3' >&2; exit 2; }
	$(GO) run ./internal/releasetool -version "$(VERSION)" -out dist
