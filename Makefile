# Everything that keeps minikafka honest. `make` lists the targets.

GO            ?= go
GOLANGCI_LINT ?= $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK   ?= $(GO) run golang.org/x/vuln/cmd/govulncheck@v1.9.0
FUZZTIME      ?= 30s
STRESS        ?= 20
BENCHTIME     ?= 1s
TARGET        ?= minikafka

.DEFAULT_GOAL := help
.PHONY: help check test virtual race stress fuzz integration bench bench-kafka lint fmt vuln conformance reference

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

check: lint test virtual ## What to run before a commit: lint and test

test: ## Unit tests and fuzz seeds
	$(GO) test ./...

virtual: ## Tests of consumer groups in virtual time, with Kafka's timings
	$(GO) test -tags synctests -run 'Consumer|Coordinator|Member|Offsets' .

race: ## Unit tests with the race detector
	$(GO) test -race ./...

stress: ## Unit tests STRESS times over, in random order, on 1, 2 and 4 processors
	$(GO) test -count=$(STRESS) -shuffle=on -cpu=1,2,4 -timeout=60m ./...

fuzz: ## Every fuzz target for FUZZTIME each
	@$(GO) list ./... | while read -r pkg; do \
		for target in $$($(GO) test -list '^Fuzz' "$$pkg" | grep '^Fuzz'); do \
			echo "$$pkg $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$pkg" || exit 1; \
		done; \
	done

integration: ## Other people's clients against minikafka (a module of its own)
	cd integration && $(GO) test ./...

conformance: ## What a Kafka cluster does, row by row, on TARGET: minikafka, serve, reference, kfake, or addresses
	cd integration && $(GO) test -count=1 -timeout 60m ./conformance -target=$(TARGET)

reference: ## The same rows against a real Apache Kafka (fetches it; needs Java 17 and Maven)
	cd integration && $(GO) test -count=1 -timeout 60m ./reference
	cd integration && $(GO) test -count=1 -timeout 60m ./conformance -target=reference

bench-kafka: ## Latency and throughput beside a real Apache Kafka too (needs Java 17 and Maven)
	cd integration && MINIKAFKA_BENCH=1 $(GO) test -count=1 -v -timeout 20m -run TestBenchBesideKafka ./reference

bench: ## Benchmarks, as ratios to kfake in the same run
	$(GO) test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) ./...

lint: ## golangci-lint on both modules
	$(GOLANGCI_LINT) run ./...
	cd integration && $(GOLANGCI_LINT) run -c ../.golangci.yml ./...

fmt: ## Format all code
	$(GOLANGCI_LINT) fmt ./...
	cd integration && $(GOLANGCI_LINT) fmt -c ../.golangci.yml ./...

vuln: ## Known vulnerabilities in what the module calls
	$(GOVULNCHECK) ./...
