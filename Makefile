# Two commands matter: `make serve` and `make test`. Each creates what it needs first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FASTIFY := loadtests/peers/fastify
NPM_TESTED := clients/typescript tests/contract/generated_typescript
PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check

.PHONY: serve test test-harness lint audit-packages lock load bench bench-processing wrk fastify clients binary binary-compare binary-report test-binary clean

# make serve ARGS="--port 9000"
serve: $(VENV)/run.stamp
	@exec $(BIN)/bq-server serve $(ARGS)

# make test ARGS="-k idempotency"
test: $(VENV)/dev.stamp
	$(BIN)/pytest -n auto --ignore tests/harness $(ARGS)

# The tests of the harness's own tools, which start many servers and break some.
test-harness: $(VENV)/dev.stamp
	$(BIN)/pytest -n auto tests/harness $(ARGS)

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Asks a public source of advisories about every pinned package. Exits 3, and says so, where none can be asked.
audit-packages:
	@$(PYTHON) packaging/audit.py $(ARGS)

# make load ARGS="--users 20 --run-time 20s"
load: $(VENV)/dev.stamp
	@exec $(BIN)/python -m loadtests.run $(ARGS)

# make bench ARGS=--quick          limits, peers and this server side by side; a report in loadtests/report/
bench: $(VENV)/dev.stamp wrk fastify
	@exec $(BIN)/python -m loadtests.bench $(ARGS)

# make bench-processing ARGS=--quick          what a fact costs: throughput, size, growth, late facts, holds of the loop
# make bench-processing ARGS="--only size"    one part; a report in loadtests/report/ either way
bench-processing: $(VENV)/dev.stamp
	@exec $(BIN)/python -m loadtests.processing_cost $(ARGS)

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
clients: build/contract.stamp
	@if command -v npm > /dev/null; then $(MAKE) --no-print-directory $(NPM_TESTED:=/node_modules/.stamp); \
	else echo "no npm: no TypeScript will be tested"; fi

$(NPM_TESTED:=/node_modules/.stamp): %/node_modules/.stamp: %/package-lock.json
	cd $* && npm ci --silent --ignore-scripts
	@touch $@

build/contract.stamp: requirements/contract.txt
	rm -rf build/contract
	$(PYTHON) -m venv build/contract
	build/contract/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/contract.txt
	@touch $@

# dist/bq-server and dist/bq-server-dir.tar.gz, from the pinned packages and nothing else that is installed here.
binary: build/venv.stamp
	@packaging/build.sh dist

# Builds once more and tells what differs.
binary-compare: build/venv.stamp
	@packaging/build.sh build/again
	build/venv/bin/python packaging/compare.py dist build/again

# Start-up time, size and memory of both forms beside the source.
binary-report: $(VENV)/dev.stamp
	@$(BIN)/python packaging/report.py dist $(ARGS)

test-binary: $(VENV)/dev.stamp
	BINARY_DIST=dist $(BIN)/pytest -n auto --dist loadfile tests/binary $(ARGS)

# The pinned files name no host: hashes only, for every platform the packages support. `npm run lock` in the directory of
# the Fastify peer, and of the TypeScript client, does the same for its packages.
lock: $(VENV)/dev.stamp
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --extra build pyproject.toml -o requirements/run.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --extra build --extra dev pyproject.toml -c requirements/run.txt -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --extra build --extra binary pyproject.toml -c requirements/run.txt -o requirements/binary.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 requirements/contract.in -o requirements/contract.txt

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

clean:
	rm -rf $(VENV) build dist *.egg-info
