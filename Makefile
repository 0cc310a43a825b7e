# Two commands, each with all of its set-up, on a machine that has Python (3.10 or later) and git.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: report test docs clean

report: $(VENV)/installed  ## every printed number of every paper beside what was built
	$(BIN)/archzoo audit

test: $(VENV)/installed-test  ## lint, types, tests: what CI runs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --dist loadgroup

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(BIN)/python setup.cfg pyproject.toml constraints.txt
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e .
	touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e ".[test]"
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt pyyaml numpy  # what timm imports
	# torchvision asks for another build of torch, timm for torchvision: witnesses alone, without what they ask for.
	$(BIN)/python -m pip install --disable-pip-version-check -q --no-deps -c constraints.txt torchvision timm
	scripts/install_browser.sh
	touch $@

docs: $(VENV)/installed-test  ## the documentation, in docs/_build
	$(BIN)/sphinx-build -q -W --keep-going docs docs/_build

clean:
	rm -rf $(VENV) build *.egg-info docs/_build docs/papers
