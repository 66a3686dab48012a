# `make help` explains every target. Each target installs the packages it needs, once.
SHELL := /bin/bash
VENV ?= .venv
# The first Python that the package supports; `make PYTHON=/path/to/python3.12 setup` to choose another.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c "$(SUPPORTED)" 2>/dev/null && { echo $$p; break; }; done)
RUN := $(VENV)/bin/python -m
# uv where it is installed, pip elsewhere. --seed adds pip, which the tests use.
ifneq ($(shell command -v uv),)
MAKE_VENV := uv venv --quiet --seed --allow-existing --python $(PYTHON)
INSTALL := uv pip install --quiet --python $(VENV)/bin/python
else
MAKE_VENV := $(PYTHON) -m venv
INSTALL := $(RUN) pip install --quiet
endif
SETUP := $(VENV)/.installed
SETUP_DEV := $(VENV)/.installed-dev
SETUP_SWEEP := $(VENV)/.installed-sweep
SETUP_BENCH := $(VENV)/.installed-bench
EXPLAIN := awk -F ':.*\#\# ' '/^[a-z-]+:.*\#\# / {printf "  make %-17s %s\n", $$1, $$2}'

.DEFAULT_GOAL := help
.PHONY: help setup quickstart lint type format test test-slow test-ddp docs bench gpu clean

help: ## Explain every target
	@$(EXPLAIN) Makefile
	@printf '\nStudies, in outputs/; the times are of an AMD EPYC:\n'
	@$(EXPLAIN) scripts/experiments/*.mk

setup: $(SETUP) ## Make .venv and install the package in it

quickstart: $(SETUP) ## Train ODC on scikit-learn's digits, on the CPU, and print the scores
	$(RUN) odc_lightning.train experiment=quickstart

lint: $(SETUP_DEV) ## Check style and formatting (ruff)
	$(RUN) ruff check .
	$(RUN) ruff format --check .

type: $(SETUP_DEV) ## Check types (mypy)
	$(RUN) mypy

format: $(SETUP_DEV) ## Fix style and formatting in place (ruff)
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

# Two processes on two cores: with more threads than cores they would wait for each other.
ONE_THREAD := OMP_NUM_THREADS=1

test: $(SETUP_DEV) ## Run all tests but the slow ones, two at a time
	$(ONE_THREAD) $(RUN) pytest -n 2 --dist worksteal -m "not long"

test-slow: $(SETUP_DEV) ## Run the slow tests: killed processes and long trainings
	$(ONE_THREAD) $(RUN) pytest -n 2 --dist worksteal -m long

test-ddp: $(SETUP_DEV) ## Run only the tests that start several processes
	$(RUN) pytest -m ddp

docs: $(SETUP_DEV) ## Build the documentation in outputs/site; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(RUN) mkdocs build --quiet

bench: $(SETUP_DEV) ## Measure time and memory of every part and its baselines (outputs/bench)
	$(RUN) benchmarks

gpu: $(SETUP_DEV) ## Measure and check on a GPU what only a GPU can tell, in nine minutes (outputs/gpu)
	$(RUN) benchmarks.gpu

clean: ## Remove the environment, caches and builds, but not outputs/
	rm -rf $(VENV) build dist src/*.egg-info .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(SETUP): setup.cfg pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 found; name one: make PYTHON=/path/to/python setup"; exit 1; }
	test -x $(VENV)/bin/python || $(MAKE_VENV) $(VENV)
	$(INSTALL) --editable .
	@touch $@

$(SETUP_SWEEP): $(SETUP)
	$(INSTALL) --editable '.[sweep]'
	@touch $@

$(SETUP_BENCH): $(SETUP)
	$(INSTALL) --editable '.[bench]'
	@touch $@

$(SETUP_DEV): $(SETUP)
	$(INSTALL) --editable '.[dev]'
	@touch $@

include scripts/experiments/*.mk
