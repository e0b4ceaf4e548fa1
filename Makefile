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
MODEL ?= gru4rec

.PHONY: help setup setup-current redis demo serve-demo pipeline test test-current test-tfx-current tfx-current lint format bench clean

help:
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-17s %s\n", $$1, $$2}'

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

pipeline: setup redis  ## Run the TFX pipeline from a Parquet log to a pushed model and vectors in Redis (MODEL=sasrec)
	$(VENV)/bin/python deploy/pipeline_demo.py --model $(MODEL)

test: setup redis  ## All tests on the Python 3.10 stack
	$(VENV)/bin/python -m pytest -n $(PYTEST_WORKERS) $(PYTEST_ARGS)

test-current: setup-current redis  ## All tests on the current stack (TensorFlow 2.21, without TFX)
	$(CURRENT)/bin/python -m pytest -n $(PYTEST_WORKERS) $(PYTEST_ARGS)

test-tfx-current:  ## Tests of the TFX pipeline on the current stack, where the C library is recent enough
	@libc=$$(getconf GNU_LIBC_VERSION 2>/dev/null | cut -d' ' -f2); \
	if [ "$$(printf '%s\n2.39\n' "$${libc:-0}" | sort -V | head -n 1)" = 2.39 ]; then $(MAKE) --no-print-directory tfx-current; \
	else echo "Skipped: TFX 1.21 needs glibc 2.39 (Ubuntu 24.04, Debian 13), this machine has $${libc:-another C library}."; fi

tfx-current: $(UV) redis
	UV_PROJECT_ENVIRONMENT=$(CURRENT) $(UV) sync --frozen --quiet --python 3.12 --extra tfx --extra dev
	$(CURRENT)/bin/python -m pytest tests/tfx $(PYTEST_ARGS)

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
