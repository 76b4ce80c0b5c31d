# Every target makes the virtual environment it needs from requirements.lock: Python 3.11 or newer and make are enough.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
INSTALLED = $(VENV)/.installed
PIP = $(BIN)/python -m pip -qq --disable-pip-version-check --no-input

# Passed through: make demo DEMO_ARGS=--once, make test TEST_ARGS='-k ledger', make lock LOCK_ARGS=--upgrade
DEMO_ARGS ?=
TEST_ARGS ?=
# Test processes side by side; each has servers and folders of its own. 0: one after another, in this process.
TEST_WORKERS ?= auto
BENCH_ARGS ?=
PROVE_ARGS ?=
RUBBISH_ARGS ?=
RECOVERED_ARGS ?=
LOCK_ARGS ?=
APPLY_ARGS ?=
WORKER_ARGS ?=

# No tool of this project reports its use to anybody.
export DO_NOT_TRACK = 1
export PREFECT_SERVER_ANALYTICS_ENABLED = false

.DEFAULT_GOAL := help
.PHONY: help install demo test test-fast lint check aws apply worker bench prove soak lock clean

help: ## What can be made
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' Makefile

install: $(INSTALLED) ## The virtual environment, as the lock says

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 or newer is needed, and '$(PYTHON)' is $$($(PYTHON) --version 2>/dev/null || echo missing)." >&2; \
	  echo "Name another one, as in: make $(or $(MAKECMDGOALS),install) PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes --no-deps -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

demo: $(INSTALLED) ## Failing orders, healed before your eyes (unattended: DEMO_ARGS=--once)
	$(BIN)/reprise demo $(DEMO_ARGS)

test: $(INSTALLED) ## All tests; they need no network and no AWS account
	$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder $(TEST_ARGS)

test-fast: $(INSTALLED) ## The tests that start no server
	$(BIN)/python -m pytest tests/unit $(TEST_ARGS)

lint: $(INSTALLED) ## Everything that is checked without running the code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/cfn-lint deployments/cloudformation/*.yaml
	$(BIN)/codespell .

check: lint test ## Lint, types, import contracts, templates and tests: what must pass before a commit

aws: $(INSTALLED) ## The simulated AWS alone; prints the variables to export
	$(BIN)/reprise aws

apply: $(INSTALLED) ## Bring the Prefect server at PREFECT_API_URL up to date (only look: APPLY_ARGS=--check)
	$(BIN)/reprise apply $(APPLY_ARGS)

worker: $(INSTALLED) ## A worker for the Prefect server at PREFECT_API_URL, until Ctrl-C
	$(BIN)/reprise worker $(WORKER_ARGS)

bench: $(INSTALLED) ## Measure speed and cost on this machine
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

prove: $(INSTALLED) ## Rubbish, crash points, faults, many workers, killed runs, outages (docs/proof.md)
	$(BIN)/python -m pytest -q --all-points tests/project/test_apply_interrupted.py
	$(BIN)/python -m proof.rubbish $(RUBBISH_ARGS)
	$(BIN)/python -m proof.crash $(PROVE_ARGS)
	$(BIN)/python -m proof.recovered $(RECOVERED_ARGS)
	$(BIN)/python -m proof.chaos $(CHAOS_ARGS)

soak: $(INSTALLED) ## Failures arrive and processes are killed for 20 minutes (SOAK_MINUTES)
	$(BIN)/python -m proof.soak

lock: ## Pin and hash what pyproject.toml allows (newer versions: LOCK_ARGS=--upgrade)
	$(PYTHON) -m venv .reprise/lock
	.reprise/lock/bin/python -m pip --quiet --disable-pip-version-check install uv
	.reprise/lock/bin/uv pip compile pyproject.toml --all-extras --universal --generate-hashes --no-emit-index-url \
	  --python-version 3.11 --custom-compile-command "make lock" -o requirements.lock $(LOCK_ARGS)

clean: ## Remove what make and the programs made
	rm -rf $(VENV) .ci-venv .reprise .prefect .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis \
	  build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
