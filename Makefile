# One virtual environment, one pinned set; `make demo` and `make test` are all a reader needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test coverage test-isa test-pandas3 test-lowest lint docs speed clean

# All three models of the study on rendered pages of simulated patients, at two-core size.
demo: $(STAMP)
	$(BIN)/python -m benchmarks mori2025 --modality image --size small --seeds 3 --n-jobs 2 \
	  --out results/mori2025

# One thread a worker: two workers of two threads each would wait for one another.
test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal $(PYTEST_ARGS)

# Lines of crtkit/ that no test runs; fails below 95 per cent. Lines marked "cuda only" are left out.
coverage: $(STAMP)
	$(BIN)/python -m coverage erase
	COVERAGE_FILE=$(CURDIR)/.coverage OMP_NUM_THREADS=1 $(BIN)/python -m coverage run \
	  -m pytest -n auto --dist worksteal $(PYTEST_ARGS)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report --skip-covered --show-missing --sort=cover

# What depends on arithmetic, as other processors would compute it: torch's and oneDNN's kernels
# without AVX2, with AVX2 and with all there is, numpy and OpenBLAS without AVX-512. Common checks,
# processes and slow tests are left to `make test`.
ISA_TESTS := tests/explain tests/spect tests/signals/qrs \
	  $(patsubst %,tests/neural/test_%.py,engine resnet sequence autoencoder simclr modules) \
	  $(patsubst %,tests/neural/ecgfm/test_%.py,network losses) \
	  $(patsubst %,tests/signals/test_%.py,filters resample stft statistics rocket)
ISA_SKIP := check_ or fork or n_jobs or fresh_process or interrupted or search
ISA_RUN = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist worksteal -m "not slow" \
	  -k "not ($(ISA_SKIP))" $(ISA_TESTS) $(PYTEST_ARGS)
test-isa: $(STAMP)
	ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=AVX2 $(ISA_RUN)
	ATEN_CPU_CAPABILITY=avx2 OPENBLAS_CORETYPE=Haswell \
	  NPY_DISABLE_CPU_FEATURES="X86_V4 AVX512_ICL AVX512_SPR" $(ISA_RUN)
	ONEDNN_MAX_CPU_ISA=AVX2 $(ISA_RUN)

# An oracle of the tests keeps pandas at 2 in the pinned set; cohorts must work on 3 too.
PANDAS3 := .venv-pandas3
test-pandas3: $(STAMP)
	test -x $(PANDAS3)/bin/python || $(PYTHON) -m venv $(PANDAS3)
	grep -v '^pandas==' constraints.txt > $(PANDAS3)/constraints.txt
	$(PANDAS3)/bin/python -m pip install --quiet --disable-pip-version-check \
	  -c $(PANDAS3)/constraints.txt "pandas>=3.0,<3.1" numpy scipy scikit-learn joblib \
	  lazy-loader tqdm threadpoolctl pyarrow wfdb pytest hypothesis
	PYTHONPATH=. $(PANDAS3)/bin/python -m pytest -p no:cacheprovider tests/cohort/test_cohort.py \
	  tests/cohort/test_manifest.py tests/cohort/test_rows.py tests/readers/test_wfdb.py \
	  tests/datasets/test_physionet.py

# The oldest versions that pyproject.toml allows: every bound is pinned to itself.
LOWEST := .venv-lowest
test-lowest: $(STAMP)
	test -x $(LOWEST)/bin/python || $(PYTHON) -m venv $(LOWEST)
	sed -n '/^dependencies = /,/^\[tool/p' pyproject.toml | sed '/^all = /d; /^dev = /,$$d' \
	  | grep -o '"[A-Za-z][A-Za-z0-9_.-]*\(\[[a-z]*\]\)\?>=[0-9.]*"' | tr -d '"' | sed 's/>=/==/' \
	  > $(LOWEST)/lowest.txt
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check \
	  -r $(LOWEST)/lowest.txt pytest hypothesis
	PYTHONPATH=. OMP_NUM_THREADS=1 $(LOWEST)/bin/python -m pytest -p no:cacheprovider \
	  -m "not slow" tests/cohort tests/readers tests/signals tests/statistics tests/persistence

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/mypy
	$(BIN)/mypy $$(find crtkit -name '*.pyi')

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
	rm -rf $(VENV) $(PANDAS3) $(LOWEST) build dist *.egg-info docs/_build docs/auto_examples docs/generated results
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage* htmlcov
