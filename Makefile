# Every target but clean works on a fresh Debian with python3.11 and make.

# The real one, also where an environment is active that is about to be made anew.
PYTHON ?= $(shell $$(command -v python3.11 || command -v python3) -c 'import os, sys; print(os.path.realpath(sys.executable))' 2>/dev/null)
BIN := .venv/bin
STAMP := .venv/installed
# An environment names its own place and its Python's: copied, or with another Python, it is made anew.
MOVED := $(shell [ "$$(cat $(STAMP) 2>/dev/null)" = "$$(pwd -P)" ] && $(BIN)/python -c 0 2>/dev/null || echo moved)
# Installed code runs with its user's rights: nobody else may write it, whatever the umask.
CLOSED := umask g-w,o-w;
SEEDS ?= 2000
SECONDS ?= 600
SEED ?= 1
CENTRALS ?= 1
# A container often sets it, and each process would then compile each changed source anew, and each
# worker of pytest all tests.
unexport PYTHONDONTWRITEBYTECODE
# Each has a target of its own, which brings what it needs.
ELSEWHERE := not kafka and not prometheus and not hosts and not browser and not ansible
BROKER_TESTS = tests/process/test_network.py $(wildcard tests/process/test_faults_*.py)

.DEFAULT_GOAL := install
.PHONY: install run test test-slow test-faults bench sim mutants chaos recovery kafka test-kafka \
        prometheus test-prometheus browser test-browser fuzzer fuzz ansible test-ansible wheelhouse hosts \
        test-hosts test-hosts-slow docs lint lint-ansible types clean FORCE

install: $(STAMP)

# editable_mode=compat: a plain path entry. The default finder costs each process 19 ms at its start.
# compileall: else the ten programs of the first `make run` all compile the same files at once.
$(STAMP): setup.cfg constraints.txt pyproject.toml $(if $(MOVED),FORCE)
	@$(if $(PYTHON),:,echo "make install: needs Python 3.11 to 3.13: apt install python3 python3-venv" >&2; exit 1)
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	  || { echo "make install: $(PYTHON) is not Python 3.11 to 3.13; name one: make install PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  package=$$($(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
	  [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	    && echo "Installing Debian's $$package: without it there are no virtual environments" \
	    && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$package >/dev/null \
	    || { echo "make install: $(PYTHON) cannot make a virtual environment: apt install $$package" >&2; exit 1; }; }
	@echo "Installing evd and its pinned dependencies into .venv (once; about a minute)"
	@$(CLOSED) $(PYTHON) -m venv $(if $(MOVED),--clear) .venv
	@$(CLOSED) $(BIN)/pip install --disable-pip-version-check -c constraints.txt setuptools
	@$(CLOSED) $(BIN)/pip install --disable-pip-version-check -c constraints.txt --no-build-isolation \
	  --config-settings editable_mode=compat -e '.[postgres,test,dev]'
	@$(CLOSED) $(BIN)/python -m compileall -q evd
	@pwd -P > $@

# pytest keeps what it makes of each file of tests. It is made here once: with none of it there, each
# of the workers below would make all of it.
.venv/collected: $(STAMP)
	@$(BIN)/pytest -q --collect-only >/dev/null || true
	@touch $@

run: install
	@exec $(BIN)/evd run

# Half of the time of real programs is waiting: five workers keep two cores busy.
test: install .venv/collected
	@$(BIN)/pytest -n 5 --dist loadfile --no-loadscope-reorder -m "not slow and $(ELSEWHERE)" $(ARGS)
	@$(if $(ARGS),:,echo "LEFT OUT: the tests of the playbooks' own modules, which need Ansible: make test-ansible")

test-slow: install .venv/collected
	@$(BIN)/pytest -n 4 -m "slow and $(ELSEWHERE)" $(ARGS)

test-faults: install
	@$(BIN)/pytest -n 4 -m faults $(ARGS)

bench: install
	@$(BIN)/python -m tests.bench

sim: install
	@$(BIN)/python -m tests.sim --seeds $(SEEDS)

mutants: install
	@$(BIN)/python -m tests.sim.mutants

chaos: install
	@$(BIN)/python -m tests.chaos --seconds $(SECONDS) --seed $(SEED) --centrals $(CENTRALS) $(ARGS)

recovery: install
	@$(BIN)/python -m tests.recovery --write

kafka: install
	@$(BIN)/python etc/kafka/install.py

# The last two: the process tests that touch the broker, on a node that keeps its disk and on one
# that loses it.
test-kafka: kafka
	@$(BIN)/pytest -n 2 --dist worksteal -m kafka $(ARGS)
	@$(if $(ARGS),:,EVD_TEST_BROKER=kafka $(BIN)/pytest -n 2 --dist worksteal $(BROKER_TESTS) -k broker)
	@$(if $(ARGS),:,EVD_TEST_BROKER=kafka-emptied $(BIN)/pytest -n 2 --dist worksteal $(BROKER_TESTS) \
	  -k "comes_back_empty or broker and (START or confirmation)")

prometheus: install
	@$(BIN)/python -m tests.prometheus.install

test-prometheus: prometheus
	@$(BIN)/pytest -m prometheus $(ARGS)

browser: install
	@$(CLOSED) $(BIN)/python -m tests.browser.install

test-browser: browser
	@$(BIN)/pytest -n 0 -m browser $(ARGS)

# An extra of setup.cfg that only some targets need.
.venv/installed-%: $(STAMP)
	@echo "Installing what .[$*] names into .venv"
	@$(CLOSED) $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt \
	  --no-build-isolation --config-settings editable_mode=compat -e '.[$*]'
	@touch $@

fuzzer: .venv/installed-fuzz

fuzz: fuzzer
	@$(BIN)/python -m tests.fuzz --seconds $(SECONDS)

ansible: .venv/installed-ansible

test-ansible: ansible
	@$(BIN)/pytest -n 0 -m ansible $(ARGS)

# The time in the archive is a fixed one: the same code makes the same wheel.
wheelhouse: install
	@rm -rf dist build
	@SOURCE_DATE_EPOCH=315532800 $(BIN)/pip wheel --disable-pip-version-check -c constraints.txt --no-build-isolation \
	  -w dist '.[postgres]'
	@rm -rf build
	@echo "dist/: $$(ls dist/*.whl | wc -l) wheels, $$(du -sh dist | cut -f1)"

hosts: install
	@$(BIN)/python -m tests.hosts.install

# Where hosts can't be booted every test is left out, loudly; in CI that is a failure.
test-hosts: ansible wheelhouse kafka
	@$(BIN)/python -m tests.hosts.install || [ "$$CI" != true ]
	@$(BIN)/python -m tests.hosts $(ARGS)

# Those that take too long for each run: settings that change, a network on one host.
test-hosts-slow:
	@$(MAKE) --no-print-directory test-hosts ARGS="--slow $(ARGS)"

docs: install
	@$(BIN)/python -m tests.docs

lint: install
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

lint-ansible: ansible
	@cd ansible && ../$(BIN)/yamllint --strict . && \
	  PATH="$(CURDIR)/$(BIN):$$PATH" ansible-lint --offline --strict --profile production

types: install
	@$(BIN)/mypy

clean:
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
