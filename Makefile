# Everything happens in .venv, which is made here; nothing is installed outside it except, for `make test` as root on
# Debian, what tests drive: Chromium, zsh and fish.
# The first of these that runs and is new enough: version managers put names on PATH that start nothing.
PYTHON ?= $(shell for each in python3.13 python3.12 python3.11 python3; do "$$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v $$each && break; done 2>/dev/null | head -n 1)
VENV := .venv
BIN := $(VENV)/bin
CLUSTER ?= auto
PYTEST ?= $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help lab up down test lint test-unit test-cluster test-notebooks test-browser test-kind course drills bench fidelity format clean

help: ## list what can be done here
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | awk -F '\t' '{printf "  make %-16s %s\n", $$1, $$2}'

$(VENV)/.installed: pyproject.toml hatch_build.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "ai-lab needs Python 3.11 or newer; $(or $(PYTHON),python3) is older or missing. Install one, or name it: make lab PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) tools/install.py $(VENV)

$(VENV)/.installed-dev: $(VENV)/.installed
	@$(PYTHON) tools/install.py $(VENV) --dev

lab: $(VENV)/.installed ## set everything up and open the course in JupyterLab
	@$(BIN)/ai-lab open --cluster $(CLUSTER)

up: $(VENV)/.installed ## start the lab cluster only
	@$(BIN)/ai-lab up --cluster $(CLUSTER)

down: $(VENV)/.installed ## stop the lab cluster
	@$(BIN)/ai-lab down

test: lint test-unit test-kind test-cluster test-notebooks test-browser ## set everything up and run every test

lint: $(VENV)/.installed-dev ## form, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev ## put the code into the project's form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test-unit: $(VENV)/.installed-dev ## tests that need no cluster
	@sh tests/cli/get-shells.sh
	@sh tests/images/get-prometheus.sh build/prometheus
	$(PYTEST) -m 'not cluster and not notebook and not browser and not kind' -n 2

test-cluster: $(VENV)/.installed-dev ## tests on a live embedded cluster, with real kubectl
	$(PYTEST) -m 'cluster and not notebook and not browser' -n 2 --dist loadgroup

test-notebooks: $(VENV)/.installed-dev ## solutions compared by nbval, learners' notebooks run by papermill
	$(PYTEST) -m notebook -n 2 --dist loadgroup

test-browser: $(VENV)/.installed-dev ## JupyterLab in headless Chromium
	@sh tests/browser/get-chromium.sh $(BIN)
	$(PYTEST) -m browser

test-kind: $(VENV)/.installed-dev ## images as real containers, and the real kind on our configuration, where there are Docker and kind
	$(PYTEST) -m kind -v tests/kind

course: $(VENV)/.installed-dev ## prove the course: starts fail, solutions pass, wrong attempts fail for their own reason
	$(BIN)/ai-lab dev check

drills: $(VENV)/.installed-dev ## prove 200 incident drills on the cluster in use; the log is build/drills.log
	@mkdir -p build
	$(BIN)/ai-lab dev drill --seeds 1-200 --log build/drills.log

fidelity: $(VENV)/.installed-dev ## hold the embedded cluster against what a real one showed
	$(PYTEST) tests/fidelity

bench: $(VENV)/.installed-dev ## measure start-up, memory and verdicts
	$(BIN)/python -m benchmarks

clean: ## remove what was built (the cluster's state is kept)
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
