# The commands of the project. `make` alone lists them; nothing but Python, make and a package index
# is needed. Everything is installed into .venv; a stamp there makes the second call fast.

# The first of these that runs, is new enough and can make a virtual environment with pip in it.
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3; do \
	$$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && break; done)

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input

# What `make run` runs: one winter day and one summer day.
RUN_COMMAND ?= $(BIN)/gridsim run town --day 2023-01-16 --day 2023-06-12 -o runs/town

# The systems that gridsim is measured beside; benchmarks/peers finds them by PEER_VENVS too.
PEERS := pypsa flexmeasures emhass
PEER_VENVS ?= .venv-peers
# Numbers of batteries, seconds for each run, and more for python -m benchmarks.peers.
BENCH_SIZES ?= 100 1000 10000
BENCH_LIMIT_S ?= 120
BENCH_ARGS ?=

# Passed on to pytest, e.g. make test PYTEST_ARGS='-k timegrid'.
PYTEST_ARGS ?=
# A campaign is repeated with the seed that it printed: make soak SEED=1234.
SEED ?= $(shell date +%j%H%M)
WORKERS ?= 2

NOTEBOOKS := $(wildcard notebooks/*.ipynb)

.DEFAULT_GOAL := help
.PHONY: help venv run test lint style types contracts bench bench-suites bench-beside bench-peers soak docs extras clean

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

run: $(VENV)/.run  ## plan `town` for a winter and a summer day and write the report to runs/town
	$(RUN_COMMAND)

test: $(VENV)/.dev  ## every test, notebooks among them
	$(BIN)/python -m pytest --benchmark-disable -n $(WORKERS) --dist loadfile \
		$(if $(NOTEBOOKS),--nbmake --nbmake-timeout=900) tests $(NOTEBOOKS) $(PYTEST_ARGS)

lint: style types contracts  ## style, types and the direction of imports

style: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

contracts: $(VENV)/.dev
	$(BIN)/lint-imports

bench: bench-suites bench-beside  ## both of the following; half an hour on two cores

bench-suites: $(VENV)/.dev  ## load, build, solve, replay and power flow apart
	BENCH_SIZES="$(BENCH_SIZES)" BENCH_LIMIT_S=$(BENCH_LIMIT_S) \
		$(BIN)/python -m pytest --benchmark-only benchmarks $(PYTEST_ARGS)

bench-beside: $(VENV)/.dev  ## gridsim beside its peers, where installed, on the same instances
	PEER_VENVS=$(PEER_VENVS) $(BIN)/python -m benchmarks.peers --out benchmarks/results \
		--batteries $(BENCH_SIZES) --time-limit $(BENCH_LIMIT_S) $(BENCH_ARGS)

bench-peers: $(PEERS:%=$(PEER_VENVS)/%/.made)  ## install the peers, each in an environment of its own

$(PEER_VENVS)/%/.made: $(VENV)/.made
	$(BIN)/python -m venv $(@D)
	$(@D)/bin/python -m pip --disable-pip-version-check --no-input install --quiet \
		-r benchmarks/peers/requirements-$*.txt
	@touch $@

soak: $(VENV)/.dev  ## a long seeded campaign of the property tests (SEED=… repeats one)
	@echo "seed $(SEED)"
	HYPOTHESIS_PROFILE=soak $(BIN)/python -m pytest --benchmark-disable -n $(WORKERS) \
		-m hypothesis --hypothesis-seed=$(SEED) tests $(PYTEST_ARGS)

docs: $(VENV)/.docs  ## the documentation as pages in build/site; a broken link is an error
	$(BIN)/mkdocs build --strict --quiet --site-dir build/site
	@echo "build/site/index.html"

extras: $(VENV)/.dev  ## install every extra alone in a fresh environment and use it (slow)
	$(BIN)/python tests/contract/extras.py

venv: $(VENV)/.dev  ## only make .venv with everything that a developer needs

clean:  ## remove .venv and everything that was built; runs/ stays
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# Dependency groups need pip 25.1.
$(VENV)/.made:
	@test -n "$(PYTHON)" || { \
		echo "No usable Python: 3.11 or newer is needed, with its venv and ensurepip modules." >&2; \
		echo "Debian and Ubuntu keep those apart: apt install python3-venv" >&2; \
		echo "Another interpreter: make PYTHON=/path/to/python $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/.run: $(VENV)/.made pyproject.toml
	$(PIP) install --quiet --editable '.[gridsim]'
	@touch $@

$(VENV)/.dev: $(VENV)/.made pyproject.toml
	$(PIP) install --quiet --editable '.[all]' --group dev
	@touch $@ $(VENV)/.run

$(VENV)/.docs: $(VENV)/.made pyproject.toml
	$(PIP) install --quiet --group docs
	@touch $@
