# Every target creates what it needs, a virtual environment first of all. It takes Python 3.10 or later and git.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt
WORKERS ?= 2
PYTEST := $(BIN)/pytest -n $(WORKERS) --dist loadgroup
# What `make check` asks of pytest: the quick tests, and none that imports another library of networks.
CHECK_TESTS ?= -m "not slow" --ignore tests/peers

# The tests start some forty processes of Python: without its cache each would compile the package anew.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help audit report lint check test test-all coverage format hooks docs build clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

audit: $(VENV)/installed  ## every printed number of every paper beside ours
	$(BIN)/archzoo audit

report: $(VENV)/installed  ## a page of HTML with every network, archzoo-report.html
	$(BIN)/archzoo report

lint: $(VENV)/installed-test  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers $(WORKERS)

check: lint  ## style, types and the quick tests: before every commit
	$(PYTEST) $(CHECK_TESTS)

test: lint  ## style, types and tests: what CI runs
	$(PYTEST)

test-all: lint  ## the same, with every network and every notebook in full
	EVERY_NET=1 $(PYTEST)

coverage: $(VENV)/installed-coverage  ## the lines that the tests reach, in coverage.xml
	$(PYTEST) --cov --cov-report=term --cov-report=xml

format: $(VENV)/installed-test  ## mend style where that is safe
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

hooks: $(VENV)/installed-hooks  ## run the hooks of .pre-commit-config.yaml at every commit
	$(BIN)/pre-commit install

docs: $(VENV)/installed-test  ## the documentation, in docs/_build
	$(BIN)/sphinx-build -q -W --keep-going docs docs/_build

build: $(VENV)/installed-release  ## the source archive and the wheel, in dist
	rm -rf build dist
	$(BIN)/python -m build --quiet --no-isolation
	$(BIN)/twine check --strict dist/*

clean:  ## remove the virtual environment and all that is generated
	rm -rf $(VENV) build dist *.egg-info docs/_build docs/papers archzoo-report.html .coverage coverage.xml
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) -e .
	touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(PIP) -e ".[test]"
	$(PIP) pyyaml  # what timm imports
	# torchvision asks for another build of torch, timm for torchvision: witnesses alone, without what they ask for.
	$(PIP) --no-deps torchvision timm
	scripts/install_browser.sh
	touch $@

$(VENV)/installed-coverage: $(VENV)/installed-test
	$(PIP) pytest-cov
	touch $@

$(VENV)/installed-hooks: $(BIN)/python constraints.txt
	$(PIP) pre-commit
	touch $@

$(VENV)/installed-release: $(BIN)/python constraints.txt
	$(PIP) build setuptools twine
	touch $@
