# Two commands matter: `make train` and `make test`. Both set up first; a finished set-up costs nothing.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
STAMP := $(VENV)/.synced

.PHONY: setup train test test-slurm check bench lock clean
.DEFAULT_GOAL := setup

setup: $(STAMP)

$(BIN)/uv:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"

$(STAMP): requirements.lock pyproject.toml | $(BIN)/uv
	$(BIN)/uv pip sync --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --python $(BIN)/python --no-deps --editable .
	touch $(STAMP)

train: setup
	$(BIN)/python train.py

# A process for each core; the tests of a file share one, and what it has made. The order is that of tests/conftest.py.
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder \
		--ignore tests/end_to_end/test_slurm.py

# On a SLURM of this machine, started for it and stopped again: needs root, and Debian's slurm-wlm and munge.
test-slurm: setup
	$(BIN)/python -m pytest tests/end_to_end/test_slurm.py

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	$(BIN)/python -m benchmarks

lock: $(BIN)/uv
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --upgrade \
		--extra dev --output-file requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache
