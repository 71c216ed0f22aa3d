# Two commands matter: `make run` and `make test`. Both set up what they need.

PYTHON ?= python3
VENV := .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
PY := $(BIN)/python.exe
else
BIN := $(VENV)/bin
PY := $(BIN)/python
endif
# A library of the tests' would build what nobody here uses, and cannot with today's Cython.
export NO_SQLITE := 1
PIP := $(PY) -m pip install --quiet --disable-pip-version-check --no-input --root-user-action=ignore --constraint requirements.lock
INPUTS := pyproject.toml requirements.lock setup.py $(wildcard engine/*/*kernel.py)

.PHONY: setup run test check contract bench bundle test-bundle clean lock system

run: $(VENV)/.ready-to-run
	@$(PY) -m app run

setup: $(VENV)/.ready-to-test

test: system $(VENV)/.ready-to-test
	$(PY) -m pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder --cov --cov-report=term --cov-report=xml

check: $(VENV)/.ready-to-test
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -m pytest --quiet tests/test_import_rules.py
	$(PY) -m scripts.contract --check
	$(PY) -m scripts.metrics_page --check

# What is made from the table of operations, the models and the definitions of metrics.
contract: $(VENV)/.ready-to-test
	$(PY) -m scripts.examples
	$(PY) -m scripts.contract
	$(PY) -m scripts.metrics_page

bench: $(VENV)/.ready-to-test
	$(PY) scripts/bench/perf_run.py

# The program for people without Python: dist/studio/, and on Linux its archive.
bundle: $(VENV)/.ready-to-bundle
	@$(PY) packaging/bundle.py

# Uses the bundle as people do; with BUNDLE=... another one than make bundle has made.
test-bundle: system $(VENV)/.ready-to-test $(if $(BUNDLE),,bundle)
	$(PY) -m pytest packaging/smoke $(if $(BUNDLE),--bundle $(BUNDLE))

clean:
	rm -rf $(VENV) build dist studio.egg-info coverage.xml .coverage .coverage.* .hypothesis
	rm -rf .mypy_cache .pytest_cache .ruff_cache engine/*/*kernel.*.so engine/*/*kernel.*.pyd
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Exact versions of everything, for every supported Python, from the ranges in pyproject.toml.
lock: $(VENV)/.ready-to-test
	$(PIP) uv
	$(PY) -m uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
	  --no-header --no-annotate --no-emit-index-url --no-emit-find-links --quiet \
	  --output-file requirements.lock

# What the tests need of the system: a C compiler and Python's headers for the compiled loop, and a
# browser.
system:
	@sh scripts/system_packages.sh $(PYTHON)

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Studio needs Python 3.11 or newer; $(PYTHON) is older. Name another one: make PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "This Python cannot make virtual environments; on Debian: apt-get install python3-venv"; exit 1; }

# The build uses the locked setuptools and Cython, not whatever an isolated build would fetch.
$(VENV)/.ready-to-run: $(INPUTS) | $(PY)
	@echo "Setting up $(VENV) (a minute at most, once) ..."
	@$(PIP) setuptools cython
	@$(PIP) --no-build-isolation --editable .
	@$(PY) -m engine.execution
	@touch $@

$(VENV)/.ready-to-test: $(VENV)/.ready-to-run
	@$(PIP) --no-build-isolation --editable '.[dev]'
	@touch $@

$(VENV)/.ready-to-bundle: $(VENV)/.ready-to-run
	@$(PIP) --no-build-isolation --editable '.[bundle]'
	@touch $@
