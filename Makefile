# One virtual environment, one pinned set; `make demo` and `make test` are all a reader needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test lint docs speed clean

demo: $(STAMP)
	$(BIN)/python -m benchmarks mori2025 --out results/mori2025

test: $(STAMP)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/mypy

docs: $(STAMP)
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

speed: $(STAMP)
	$(BIN)/python -m benchmarks.speed --out results/speed

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "crtkit needs Python 3.11 or later; give one with: make PYTHON=python3.12 ..."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  -c constraints.txt -e ".[dev,docs]"
	touch $(STAMP)

clean:
	rm -rf $(VENV) build dist *.egg-info docs/_build docs/auto_examples docs/generated results
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage htmlcov
