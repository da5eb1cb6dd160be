# make check is what has to be green before a push; make tells the rest.

.PHONY: help build test check still format tidy vet static fix race smoke

help:
	@echo "make build   bin/eve and bin/eve-module"
	@echo "make test    all tests"
	@echo "make check   format, modules, vet, staticcheck, go fix, short tests under the race detector"
	@echo "make smoke   one short scenario, end to end"

build:
	go build -o bin/ ./cmd/eve ./cmd/eve-module

test:
	go test ./...

check: still race

# What is checked without running anything.
still: format tidy vet static fix

format:
	@out=$$(go tool gofumpt -l .); if [ -n "$$out" ]; then echo "not formatted (go tool gofumpt -w .):"; echo "$$out"; exit 1; fi

tidy:
	go mod tidy -diff

vet:
	go vet ./...

static:
	go tool staticcheck ./...

fix:
	@out=$$(go fix -diff ./... 2>&1); if [ -n "$$out" ]; then echo "go fix would change:"; echo "$$out"; exit 1; fi

# Packages that have no goroutine, nor their tests: the race detector tells nothing about them but takes minutes.
CORES = scenarios.*|dmm/expr|dmm/recipe|fase/(adapt|admit|bpel|exact|files|find|fit|har|lqn|machine|plan|qn|report|service|session|sim|solve|spans|stat|step|trace|user|usl)

race:
	PACKAGES="$$(go list ./... | grep -vE '/eve/($(CORES))$$' | tr '\n' ' ')" .ci/test -race -short

smoke: build
	rm -rf bin/smoke
	bin/eve run hello --out bin/smoke || [ $$? -eq 4 ] # 4: the host was too busy for the clients to keep their plan
	test -s bin/smoke/report.html -a -s bin/smoke/summary.json -a -s bin/smoke/run.db
