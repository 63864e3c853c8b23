# The front door. `make help` lists what there is.
BUILD        := build
PRESET       := release
PREFIX       ?= /usr
JOBS         ?= $(shell nproc)
CONFIG       ?= configs/local.yaml
BUCKETS      ?= configs/buckets.yaml
COMPOSE      ?= docker compose -p tdsbouncer -f deployments/docker-compose.yml
REDIS_CLI    ?= $(if $(shell command -v redis-cli),redis-cli -p 6379,$(COMPOSE) exec -T redis redis-cli)
SOURCES       = $(shell find src tests -name '*.cpp' -o -name '*.h')
TEST_PACKAGES := packages.txt tests/packages.txt tests/clients/packages.txt

.DEFAULT_GOAL := help
.NOTPARALLEL: # packages before what needs them, under make -j too; JOBS says how many compilers run
.PHONY: help build run install deb demo test test-full test-coverage bench lint fmt vet deps deps-build deps-test deps-tools docs \
        clean docker-build docker-up docker-down docker-destroy docker-restart docker-logs docker-logs-proxy \
        docker-logs-sql docker-ps health redis-ping redis-info

help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

# --- build and run

build: deps-build ## build/tdsbouncer, installing what the build needs
	@cmake --preset $(PRESET) >$(BUILD)-configure.log 2>&1 || { cat $(BUILD)-configure.log; rm -f $(BUILD)-configure.log; exit 1; }
	@rm -f $(BUILD)-configure.log
	@cmake --build --preset $(PRESET) -j $(JOBS)

run: build ## the proxy in the foreground (CONFIG=configs/local.yaml BUCKETS=configs/buckets.yaml)
	$(BUILD)/tdsbouncer --config $(CONFIG) --buckets $(BUCKETS)

demo: deps-test build ## the whole thing on this machine: servers, proxies, HAProxy, real clients (DEMO_KEEP=1: leave it running)
	@tests/clients/setup
	@scripts/demo

install: build ## into PREFIX (/usr), below DESTDIR: binary, units, man pages, completion, documents, /etc/tdsbouncer
	@cmake --install $(BUILD) --prefix $(PREFIX)

deb: build ## build/tdsbouncer_VERSION_ARCH.deb
	@cd $(BUILD) && cpack -G DEB

# --- tests

test: deps-test build ## unit, layering, stand-in, integration and fault tests; last line: N passed, N failed
	@tests/run-all --build $(BUILD)

test-full: deps-test deps-tools build ## test and everything that takes longer: all drivers x encryption, sanitizers, fuzzing
	@tests/run-all --build $(BUILD) --full

test-coverage: deps-test deps-tools ## line coverage of src/ by unit and integration tests: build-coverage/coverage.html
	@cmake --preset coverage >/dev/null
	@cmake --build --preset coverage -j $(JOBS)
	@tests/run-all --build build-coverage
	@gcovr --root . --filter src/ --object-directory build-coverage --html-details build-coverage/coverage.html --print-summary

bench: deps-test build ## relay, sessions and requests against HAProxy and direct: CPU, latency, MiB/s, memory, calls
	@tests/bench/run --build $(BUILD)
	@tests/bench/sessions --build $(BUILD)
	@tests/bench/requests --build $(BUILD)
	@$(BUILD)/token-bench

# --- code

lint: deps-tools build ## formatting, layering, shell scripts, clang-tidy
	@clang-format --dry-run -Werror $(SOURCES)
	@tests/check-layers.py --self-test && tests/check-layers.py
	@shellcheck -S warning $$(grep -rlE '^#!/bin/(ba)?sh' scripts tests .ci deployments --include='*' --exclude-dir=node_modules)
	@run-clang-tidy -quiet -p $(BUILD) -j $(JOBS) "$(CURDIR)/src/.*"

fmt: deps-tools ## format src/ and tests/ in place
	@clang-format -i $(SOURCES)

vet: deps-tools build ## static analysis: every path through src/ with the clang analyzer
	@run-clang-tidy -quiet -p $(BUILD) -j $(JOBS) -checks="-*,clang-analyzer-*,-clang-analyzer-optin.performance.Padding,-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling" "$(CURDIR)/src/.*"

docs: build ## write the generated parts of README.md and docs/ from the tables in src/
	@$(BUILD)/print-tables --write .

deps: deps-build deps-test ## install with apt what is missing for build, test and demo
deps-build:
	@scripts/deps packages.txt
deps-test:
	@scripts/deps $(TEST_PACKAGES)
deps-tools:
	@scripts/deps packages.txt tests/packages-tools.txt

clean: ## remove what was built (not .cache with the drivers of the test clients)
	rm -rf build build-debug build-asan build-tsan build-fuzz build-coverage

# --- docker compose: SQL Server 2022, Redis, three proxies, HAProxy

docker-build: ## build the proxy's image
	$(COMPOSE) build
docker-up: ## start everything and wait until it is healthy
	$(COMPOSE) up -d --build --wait
docker-down: ## stop, keep the data
	$(COMPOSE) down
docker-destroy: ## stop and delete the data
	$(COMPOSE) down --volumes --remove-orphans
docker-restart: ## restart everything
	$(COMPOSE) restart
docker-logs: ## follow all logs
	$(COMPOSE) logs -f --tail=100
docker-logs-proxy: ## follow the proxies' logs
	$(COMPOSE) logs -f --tail=100 proxy-1 proxy-2 proxy-3
docker-logs-sql: ## follow the SQL Servers' logs
	$(COMPOSE) logs -f --tail=100 sqlserver-bucket-1 sqlserver-bucket-2 sqlserver-bucket-3
docker-ps: ## what runs
	$(COMPOSE) ps

# --- a running stack, compose or demo

health: ## /health of the three proxies
	@failed=0; for port in 18081 18082 18083; do echo "== http://localhost:$$port/health"; \
	  curl -sS --max-time 5 http://localhost:$$port/health | jq . || failed=1; done; exit $$failed
redis-ping: ## does Redis answer?
	@$(REDIS_CLI) ping
redis-info: ## slots in use and limits, instances and what each holds
	@$(REDIS_CLI) info server | grep -E 'redis_version|run_id|uptime_in_seconds'
	@echo "instances: $$($(REDIS_CLI) smembers proxy:instances | sort | tr '\n' ' ')"
	@for key in $$($(REDIS_CLI) --scan --pattern 'proxy:bucket:*' | sort); do echo "$$key $$($(REDIS_CLI) get $$key)"; done
	@for name in $$($(REDIS_CLI) smembers proxy:instances | sort); do \
	  echo "proxy:instance:$$name:conns $$($(REDIS_CLI) hgetall proxy:instance:$$name:conns | paste -sd' ')"; done
