# `make help` explains every target. Each one installs what it needs, once.
SHELL := /bin/bash
VENV ?= .venv
# The first Python that the package supports; `make PYTHON=/path/to/python3.12 setup` to choose another.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c "$(SUPPORTED)" 2>/dev/null && { echo $$p; break; }; done)
RUN := $(VENV)/bin/python -m
SETUP := $(VENV)/.installed
SETUP_DEV := $(VENV)/.installed-dev

.DEFAULT_GOAL := help
.PHONY: help setup quickstart compare lint type format test test-ddp bench clean

help: ## Explain every target
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(SETUP) ## Make .venv and install the package in it

quickstart: $(SETUP) ## Train ODC on scikit-learn's digits on the CPU and show what came out
	$(RUN) odc_lightning.train experiment=quickstart

# Networks that are trained once, and then only evaluated.
COMPARED := outputs/compare

compare: $(COMPARED)/odc/summary.json $(COMPARED)/supervised/summary.json ## Train ODC and a supervised network on Fashion-MNIST, evaluate both beside an untrained one
	rm -rf $(COMPARED)/evaluation
	$(RUN) odc_lightning.evaluate -m checkpoint=untrained,$(COMPARED)/odc,$(COMPARED)/supervised \
		data=fashion_mnist model=convnet hydra.sweep.dir=$(COMPARED)/evaluation
	$(VENV)/bin/python scripts/evaluation_table.py $(COMPARED)/evaluation/*/ \
		--figure $(COMPARED)/low_shot.png > $(COMPARED)/results.md
	@cat $(COMPARED)/results.md

$(COMPARED)/%/summary.json: | $(SETUP)
	$(RUN) odc_lightning.train experiment=$*_fashion_mnist hydra.run.dir=$(COMPARED)/$*

lint: $(SETUP_DEV) ## Check style and formatting (ruff)
	$(RUN) ruff check .
	$(RUN) ruff format --check .

type: $(SETUP_DEV) ## Check types (mypy)
	$(RUN) mypy

format: $(SETUP_DEV) ## Mend style and formatting in place (ruff)
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

test: $(SETUP_DEV) ## Run all tests
	$(RUN) pytest

test-ddp: $(SETUP_DEV) ## Run only the tests that start several processes
	$(RUN) pytest -m ddp

bench: $(SETUP_DEV) ## Measure, side by side, what the memory's step costs
	$(RUN) benchmarks.memory_step

clean: ## Remove the environment, caches and builds; runs in outputs/ stay
	rm -rf $(VENV) build dist src/*.egg-info .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(SETUP): setup.cfg pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 found; name one: make PYTHON=/path/to/python setup"; exit 1; }
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(RUN) pip install --quiet --editable .
	@touch $@

$(SETUP_DEV): $(SETUP)
	$(RUN) pip install --quiet --editable '.[dev]'
	@touch $@
