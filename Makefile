# Two commands do everything: make demo, make test. Both set up a virtual environment of their own.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
TORCH := $(shell grep '^torch==' constraints.txt)
# PyTorch's own index of builds without CUDA, which are a tenth of the size. Where it cannot be reached, the
# configured index decides.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
# One process for each core; what shares a fixture stays together, and the long tests stay first.
PYTEST_ARGS ?= -n auto --dist loadscope --no-loadscope-reorder
EXTRAS := onnx,hf,skops,http
# What the tests need beside those: nothing is skipped for want of a library.
TEST_EXTRAS := zk,plots,parquet,ray,trainer,lightning,keras,dev,docs
DEMO_FOLDER ?= earmark-demo

.PHONY: demo test check format bench docs clean

demo: $(VENV)/.installed
	rm -rf $(DEMO_FOLDER)
	$(BIN)/earmark demo -o $(DEMO_FOLDER)

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev
	$(BIN)/ruff format src tests benchmarks
	$(BIN)/ruff check --fix src tests benchmarks

bench: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/start_up.py
	$(BIN)/python benchmarks/verify_cost.py
	$(BIN)/python benchmarks/mixing_cost.py
	$(BIN)/python benchmarks/exposures.py
	$(BIN)/python benchmarks/digits.py
	$(BIN)/python benchmarks/null_models.py --keys 5000

docs: $(VENV)/.installed-dev
	$(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) $(DEMO_FOLDER) site dist build .coverage

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit("Earmark needs Python 3.11 or newer, found " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.torch: $(VENV)/.created constraints.txt
	$(PIP) install --quiet --retries 1 --timeout 15 --index-url $(TORCH_INDEX) --no-deps $(TORCH) || true
	$(PIP) install --quiet -c constraints.txt $(TORCH)
	touch $@

$(VENV)/.installed: $(VENV)/.torch pyproject.toml
	$(PIP) install --quiet -c constraints.txt -e '.[$(EXTRAS)]'
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) install --quiet -c constraints.txt -e '.[$(EXTRAS),$(TEST_EXTRAS)]'  # the site is built by a test
	touch $@
