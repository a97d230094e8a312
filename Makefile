# Two commands matter: `make serve` and `make test`. Each creates what it needs first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FASTIFY := loadtests/peers/fastify
SITE_TOOLS := build/site-tools
CONSOLE := clients/console
QUICK_TESTS := tests/unit tests/game tests/lane tests/integration
STORE_TESTS := tests/acceptance tests/faults tests/integration tests/harness
NPM_TESTED := clients/typescript tests/clients/runtimes tests/contract/generated_typescript
# What is never imported need not be compiled; the rest is, when it is imported first.
PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --no-compile
# Tests start servers by the hundred. Where nothing compiled may be kept, each compiles every module again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help serve test test-all test-server test-harness test-stores test-browser console mutants lint audit-packages site lock load bench bench-processing bench-workers wrk fastify clients binary binary-compare binary-report test-binary clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-18s%s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

serve: $(VENV)/run.stamp  ## the server from this tree; ARGS="--port 9000" passes flags on
	@exec $(BIN)/bq-server serve $(ARGS)

test: $(VENV)/dev.stamp  ## the quick tests: units, the game, the store, the lane, with few random examples; ARGS="-k idempotency" selects
	$(BIN)/python -m pytest -p tests.support.quick -n auto --dist worksteal $(QUICK_TESTS) $(ARGS)

test-all: clients test-browser test-harness test-server  ## every test of the source tree; make test-binary adds those of the executable

test-server: $(VENV)/dev.stamp  ## every test except the harness's and the browser's, the quick ones included
	$(BIN)/pytest -n auto --dist worksteal --ignore tests/harness --ignore tests/browser $(ARGS)

test-harness: $(VENV)/dev.stamp  ## the tests of the harness, which start many servers and break some
	$(BIN)/pytest -n auto --dist worksteal tests/harness $(ARGS)

test-stores: $(VENV)/dev.stamp  ## over PostgreSQL whatever test can be: test-server and test-harness run only some of these
	$(BIN)/pytest -n auto --dist worksteal --stores postgresql $(STORE_TESTS) $(ARGS)

test-browser: $(VENV)/dev.stamp $(CONSOLE)/node_modules/.stamp  ## the console in Chromium; pictures of it go to build/pictures
	$(BIN)/pytest -n 2 --dist loadfile tests/browser $(ARGS)

console: $(CONSOLE)/node_modules/.stamp  ## builds the console from clients/console; commit it with its source
	cd $(CONSOLE) && npm run --silent build

mutants: $(VENV)/dev.stamp  ## which mistakes of one operator in the game the shipped stories don't see; ARGS="--all"
	@$(BIN)/python -m tools.mutation $(ARGS)

lint: $(VENV)/dev.stamp  ## ruff, mypy and the rules of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Exits 3, and says so, where no source of advisories can be asked.
audit-packages:  ## asks a public source of advisories about every pinned package
	@$(PYTHON) packaging/audit.py $(ARGS)

site: $(SITE_TOOLS)/.stamp $(VENV)/run.stamp  ## the documentation site, in build/site/
	@$(BIN)/python -m tools.site gather
	@$(SITE_TOOLS)/bin/zensical build --clean --strict
	@$(BIN)/python -m tools.site check

$(SITE_TOOLS)/.stamp: requirements/site.txt
	rm -rf $(SITE_TOOLS)
	$(PYTHON) -m venv $(SITE_TOOLS)
	$(SITE_TOOLS)/bin/pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements/site.txt
	@touch $@

load: $(VENV)/dev.stamp  ## a load test with Locust against a private server; ARGS="--users 20 --run-time 20s"
	@exec $(BIN)/python -m loadtests.run $(ARGS)

bench: $(VENV)/dev.stamp wrk fastify  ## limits, peers and this server side by side; ARGS=--quick; report in loadtests/report/
	@exec $(BIN)/python -m loadtests.bench $(ARGS)

bench-processing: $(VENV)/dev.stamp  ## what a fact costs; ARGS=--quick, or ARGS="--only size" for one part
	@exec $(BIN)/python -m loadtests.processing_cost $(ARGS)

bench-workers: $(VENV)/dev.stamp  ## how fast one worker and two drain the same backlog, in turns; ARGS="--workers 1 2 3"
	@exec $(BIN)/python -m loadtests.workers $(ARGS)

# The closed-loop generator of the bench, from Debian where it is missing; elsewhere the bench says what it lacks.
wrk:
	@command -v wrk > /dev/null || ! command -v apt-get > /dev/null || \
	  { sudo=$$(test "$$(id -u)" = 0 || echo sudo); $$sudo apt-get update -qq && $$sudo apt-get install -y -qq wrk > /dev/null; }

# The packages of the Fastify peer; without node the bench skips it.
fastify:
	@if command -v npm > /dev/null; then $(MAKE) --no-print-directory $(FASTIFY)/node_modules/.stamp; \
	else echo "no npm: the Fastify peer will be skipped"; fi

$(FASTIFY)/node_modules/.stamp: $(FASTIFY)/package-lock.json
	cd $(FASTIFY) && npm ci --silent
	@touch $@

# What generating, compiling and testing clients needs; without it those tests are skipped.
clients: build/contract.stamp  ## what the tests of the clients and generators need (node)
	@if command -v npm > /dev/null; then $(MAKE) --no-print-directory $(NPM_TESTED:=/node_modules/.stamp); \
	else echo "no npm: no TypeScript will be tested"; fi

$(NPM_TESTED:=/node_modules/.stamp) $(CONSOLE)/node_modules/.stamp: %/node_modules/.stamp: %/package-lock.json
	cd $* && npm ci --silent --ignore-scripts
	@touch $@

build/contract.stamp: requirements/contract.txt
	rm -rf build/contract
	$(PYTHON) -m venv build/contract
	build/contract/bin/pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements/contract.txt
	@touch $@

# dist/bq-server and dist/bq-server-dir.tar.gz, from the pinned packages and nothing else that is installed here.
binary: build/venv.stamp  ## the executable: dist/bq-server and dist/bq-server-dir.tar.gz
	@packaging/build.sh dist

binary-compare: build/venv.stamp  ## builds the executable once more and reports what differs
	@packaging/build.sh build/again
	build/venv/bin/python packaging/compare.py dist build/again

binary-report: $(VENV)/dev.stamp  ## start-up time, size and memory of both forms beside the source
	@$(BIN)/python packaging/report.py dist $(ARGS)

test-binary: $(VENV)/dev.stamp  ## the tests of the executable in dist/
	BINARY_DIST=dist $(BIN)/pytest -n auto --dist loadfile tests/binary $(ARGS)

# The pinned files name no host: hashes only, for every platform the packages support. `npm run lock` in the directory of
# the Fastify peer, of the TypeScript client and of the console does the same for its packages.
lock: $(VENV)/dev.stamp  ## pins every package again, with hashes and without a host
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --extra build pyproject.toml -o requirements/run.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --extra build --extra dev pyproject.toml -c requirements/run.txt -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --extra build --extra binary pyproject.toml -c requirements/run.txt -o requirements/binary.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 requirements/contract.in -o requirements/contract.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 requirements/site.in -o requirements/site.txt

# What takes long says so first: a silent program is taken for one that hangs.
$(VENV)/bin/python:
	@echo "Creating a Python environment in $(VENV) (about 5 s)..."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: requirements/run.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing what the server needs into $(VENV), once (about 20 s with a fast network)..."
	@$(PIP_INSTALL) --require-hashes -r requirements/run.txt
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt $(VENV)/run.stamp
	@echo "Installing what tests and lint need into $(VENV), once (about a minute)..."
	@$(PIP_INSTALL) --require-hashes -r requirements/dev.txt
	@touch $@

build/venv.stamp: requirements/binary.txt packaging/bootloader.sh
	rm -rf build/venv
	$(PYTHON) -m venv build/venv
	build/venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/binary.txt
	packaging/bootloader.sh
	@touch $@

clean:  ## removes .venv, build/ and dist/
	rm -rf $(VENV) build dist *.egg-info
