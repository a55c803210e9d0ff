# Every target sets up what it needs; `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

ARGS ?=
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
COMPILE := $(PY) -m piptools compile --generate-hashes --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
	--no-emit-options --strip-extras --no-header --annotation-style=line --quiet --allow-unsafe

# Python 3.13 and no other: python3.13, else a python3 that is 3.13, else uv's. Empty where there is none.
IS_313 := -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))'
MAKE_VENV = if python3.13 $(IS_313) 2>/dev/null; then python3.13 -m venv $(VENV); \
	elif python3 $(IS_313) 2>/dev/null; then python3 -m venv $(VENV); \
	elif command -v uv >/dev/null; then uv venv --quiet --seed --python 3.13 $(VENV); \
	else echo 'Python 3.13 is needed: install it from python.org or your system, or install uv, and try again.' >&2; exit 1; fi

.PHONY: help setup soak run test mutants lint format bench package requirements clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1|/' | column -t -s '|'

setup: $(READY) ## the environment in .venv, which every other target makes by itself

run: $(READY) ## the whole product on this machine; ARGS=--once ends when the mail has arrived
	@$(PY) -m sandbox run $(ARGS)

test: $(READY) ## all tests, one worker for each processor; ARGS goes to pytest
	@$(PY) -m pytest -n auto $(ARGS)

lint: $(READY) ## style, types, infrastructure, queries
	@$(PY) -m ruff format --check --quiet . || { echo 'Not formatted: run `make format`.' >&2; exit 1; }
	@$(PY) -m ruff check --quiet .
	@$(PY) -m mypy --no-error-summary
	@$(PY) infra/check.py
	@$(PY) -m infra.queries
	@echo 'lint: clean'

format: $(READY) ## formats the code
	@$(PY) -m ruff format --quiet .
	@$(PY) -m ruff check --quiet --fix .

soak: $(READY) ## 12,000 messages, the worker killed five times on the way; takes minutes
	@$(PY) -m tests.e2e.backfill $(ARGS)

mutants: $(READY) ## changes the deciding code in a thousand small ways and tells which no table notices; takes minutes
	@$(PY) -m tests.mutants

bench: $(READY) ## measures speed as ratios; ARGS goes to the program
	@$(PY) -m bench $(ARGS)

package: $(READY) ## builds the zip that is published, in dist/; ARGS=--list prints its files, ARGS=--built adds one with its requirements
	@$(PY) infra/package.py $(ARGS)

requirements: $(READY) ## compiles requirements*.txt anew from pyproject.toml; ARGS=--upgrade takes newer versions
	@$(COMPILE) $(ARGS) -o requirements.txt pyproject.toml
	@$(COMPILE) $(ARGS) --extra dev -c requirements.txt -o requirements-dev.txt pyproject.toml

clean: ## removes everything that can be made again
	@rm -rf $(VENV) .sandbox dist mutants sandbox/node_modules infra/kusto/node_modules tests/browser/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements-dev.txt
	@if [ -e $(PY) ] && ! $(PY) $(IS_313); then rm -rf $(VENV); fi
	@if [ ! -e $(PY) ]; then echo 'Making a Python 3.13 environment in $(VENV) …'; $(MAKE_VENV); fi
	@echo 'Installing the packages of requirements-dev.txt (about a minute) …'
	@$(PY) -m sandbox.waiting $(PY) -m pip install --quiet --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@
