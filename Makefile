# Every target sets itself up; nothing has to be installed by hand but Python, Java and Maven.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LOCK_FLAGS := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --quiet

.PHONY: setup check test wide serve lock prove storm fuzz mutate bench demo recording picture dashboard roles

setup: $(STAMP)

$(STAMP): requirements/runtime.txt requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes --no-deps -r requirements/runtime.txt -r requirements/dev.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports --no-cache
	$(BIN)/deptry app
	$(BIN)/python -m tests.store.schema_in_step

# Two at a time, each with servers of its own; a file's tests stay together.
PYTEST_ARGS ?= --numprocesses 2 --dist loadscope --no-loadscope-reorder

test: setup
	@$(BIN)/python -m testbed fetch 8.19 7.17 9.4
	$(BIN)/pytest $(PYTEST_ARGS)

# What takes long (much data, other servers, waits), and more variants of what `make test` has.
wide: setup
	@$(BIN)/python -m testbed fetch 8.19 7.17 9.4
	$(BIN)/pytest $(PYTEST_ARGS) -m wide

serve: setup
	$(BIN)/reindex-queue serve

# Every kind of index, killed and cut off at every request and commit; writes docs/proof.md.
# make prove PROVE_ARGS="--every 20 --kinds plain"
prove: setup
	@$(BIN)/python -m testbed fetch 8.19
	$(BIN)/python -m tests.e2e.prove $(PROVE_ARGS)

# Random posts, cancels, pauses, kills and faults, other ones than the suite's. make storm STORM_EXAMPLES=100
storm: setup
	@$(BIN)/python -m testbed fetch 8.19
	STORM_EXAMPLES=$(or $(STORM_EXAMPLES),50) $(BIN)/pytest -n 0 tests/e2e/test_storm.py

# Other requests made up from the API's document than the suite's. make fuzz FUZZ_EXAMPLES=1000
fuzz: setup
	@$(BIN)/python -m testbed fetch 8.19
	FUZZ_EXAMPLES=$(or $(FUZZ_EXAMPLES),300) $(BIN)/pytest -n 0 tests/api/test_schemathesis.py

# Changes the pure rules in one place after the other, and says which changes no test notices: see
# docs/mutation.md. The tool has an environment of its own. make mutate MUTATE_ARGS="app.store*"
MUTATE := .mutate
MUTMUT := mutmut==3.8.1

mutate: $(MUTATE)/.installed
	$(MUTATE)/bin/mutmut run --max-children 1 $(MUTATE_ARGS)
	$(MUTATE)/bin/mutmut results

$(MUTATE)/.installed: requirements/runtime.txt requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv $(MUTATE)
	$(MUTATE)/bin/pip install --quiet --require-hashes --no-deps -r requirements/runtime.txt -r requirements/dev.txt
	$(MUTATE)/bin/pip install --quiet --no-deps --no-build-isolation -e .
	$(MUTATE)/bin/pip install --quiet $(MUTMUT)
	@touch $@

# 7.17 writes, 9.4 refuses, the queue rewrites on 8.19, 9.4 boots. make demo DEMO_ARGS=--keep
demo: setup
	@$(BIN)/python -m testbed fetch 7.17 8.19 9.4
	@$(BIN)/python -m demo $(DEMO_ARGS)

# What the README shows: the demo, as it ran.
recording: setup
	@$(BIN)/python -m testbed fetch 7.17 8.19 9.4
	@$(BIN)/python -m demo.recording docs/demo.svg

# What docs/architecture.md shows: the rooms, and what each imports.
picture: setup
	$(BIN)/python -m docs.picture docs/architecture.svg

# What Grafana imports: ops/dashboard.py as JSON.
dashboard: setup
	$(BIN)/python -m ops.dashboard ops/grafana-dashboard.json

# Side by side on a real server: the ratios count. make bench BENCH_ARGS="small --pairs 3"
bench: setup
	@$(BIN)/python -m testbed fetch 8.19
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

lock: setup
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile $(LOCK_FLAGS) pyproject.toml -o requirements/runtime.txt
	$(BIN)/uv pip compile $(LOCK_FLAGS) --group build -c requirements/runtime.txt -o requirements/build.txt
	$(BIN)/uv pip compile $(LOCK_FLAGS) --group dev -c requirements/runtime.txt -o requirements/dev.txt

# The roles of the service's own user in Elasticsearch: app/domain/rights.py as JSON.
roles: setup
	$(BIN)/python -m ops.roles ops
