# Every target but clean works on a fresh Debian with python3.11 and make.

PYTHON ?= $(firstword $(shell command -v python3.11 python3))
BIN := .venv/bin
STAMP := .venv/installed
SEEDS ?= 2000
SECONDS ?= 600
SEED ?= 1

.DEFAULT_GOAL := install
.PHONY: install run test test-faults bench sim mutants chaos recovery kafka test-kafka \
        wheelhouse test-hosts lint types clean

install: $(STAMP)

# editable_mode=compat: a plain path entry. The default finder costs each process 19 ms at its start.
$(STAMP): setup.cfg constraints.txt pyproject.toml
	@$(if $(PYTHON),:,echo "make install: needs Python 3.11 to 3.13: apt install python3 python3-venv" >&2; exit 1)
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	  || { echo "make install: $(PYTHON) is not Python 3.11 to 3.13; name one: make install PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "make install: $(PYTHON) cannot make a virtual environment: apt install python3-venv" >&2; exit 1; }
	@echo "Installing evd and its pinned dependencies into .venv (once; about a minute)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --disable-pip-version-check -c constraints.txt setuptools
	@$(BIN)/pip install --disable-pip-version-check -c constraints.txt --no-build-isolation \
	  --config-settings editable_mode=compat -e '.[postgres,test,dev]'
	@touch $@

run: install
	@exec $(BIN)/evd run

test: install
	@$(BIN)/pytest -m "not slow and not kafka and not hosts" $(ARGS)

test-faults: install
	@$(BIN)/pytest -m faults $(ARGS)

bench: install
	@$(BIN)/python -m tests.bench

sim: install
	@$(BIN)/python -m tests.sim --seeds $(SEEDS)

mutants: install
	@$(BIN)/python -m tests.sim.mutants

chaos: install
	@$(BIN)/python -m tests.chaos --seconds $(SECONDS) --seed $(SEED)

recovery: install
	@$(BIN)/python -m tests.recovery

kafka: install
	@$(BIN)/python -m tests.kafka.install

test-kafka: kafka
	@$(BIN)/pytest -m kafka $(ARGS)

wheelhouse: install
	@rm -rf dist build
	@$(BIN)/pip wheel --disable-pip-version-check -c constraints.txt --no-build-isolation \
	  -w dist '.[postgres]'
	@rm -rf build
	@echo "dist/: $$(ls dist/*.whl | wc -l) wheels, $$(du -sh dist | cut -f1)"

test-hosts: install
	@$(BIN)/pytest -m hosts $(ARGS)

lint: install
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: install
	@$(BIN)/mypy

clean:
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
