# make demo | make test: set everything up on a fresh machine, then do their job. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export PYTHONDONTWRITEBYTECODE :=

TOOLS := .tools
UV := $(TOOLS)/bin/uv
VENV := .venv
CURRENT := .venv-current
PYTEST_WORKERS ?= 2
PYTEST_ARGS ?=

.PHONY: help setup setup-current redis demo serve-demo test test-current lint format bench clean

help:
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(UV):
	python3 -m venv $(TOOLS)
	$(TOOLS)/bin/pip install --quiet 'uv>=0.5'

setup: $(UV)  ## Create .venv: Python 3.10, TensorFlow 2.16, TFX and the development tools
	$(UV) sync --frozen --quiet --python 3.10 --extra tfx --extra dev

setup-current: $(UV)  ## Create .venv-current: Python 3.12, TensorFlow 2.21 and the development tools
	UV_PROJECT_ENVIRONMENT=$(CURRENT) $(UV) sync --frozen --quiet --python 3.12 --extra dev

redis:  ## Install redis-server where it is missing (needs root)
	@if ! command -v redis-server >/dev/null; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq redis-server >/dev/null; \
	  else echo "redis-server is missing: tests that need it are skipped. Install it with your package manager."; fi; fi

demo: setup  ## Train GRU4Rec on the synthetic clickstream and compare it with baselines and the optimum
	$(VENV)/bin/python -m tfrec.train --model gru4rec --config configs/demo/gru4rec.yaml --output demo/run --overwrite

serve-demo: setup redis  ## Train a tiny model, export, verify, publish to a private Redis and read it all back
	$(VENV)/bin/python deploy/serve_demo.py

test: setup redis  ## All tests on the Python 3.10 stack
	$(VENV)/bin/python -m pytest -n $(PYTEST_WORKERS) $(PYTEST_ARGS)

test-current: setup-current redis  ## All tests on the current stack (TensorFlow 2.21, without TFX)
	$(CURRENT)/bin/python -m pytest -n $(PYTEST_WORKERS) $(PYTEST_ARGS)

lint: setup  ## ruff, ruff format, mypy, import-linter
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

format: setup  ## Apply ruff's fixes and formatting
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench: setup  ## Benchmarks: tables on the terminal, JSON in bench/
	$(VENV)/bin/python -m tfrec.benchmark --output bench

clean:  ## Remove environments and everything generated
	rm -rf $(VENV) $(CURRENT) $(TOOLS) build dist *.egg-info demo bench .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
