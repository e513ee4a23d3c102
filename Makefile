# colorcli: everything a checkout needs. `make` shows the targets.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
READY := $(VENV)/.ready

help:  ## show this help
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: $(READY)  ## make the virtual environment and install the package into it, with all that tests and checks need

$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(READY): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

demo: $(INSTALLED)  ## colour a few photographs and say where they are
	$(BIN)/python benchmarks/photos.py demo/gray
	$(BIN)/colorize predict demo/gray -o demo/colour --overwrite
	@echo "gray: demo/gray   coloured: demo/colour"

# By two workers, of which one has all that needs TensorFlow: tests/conftest.py.
WORKERS := 2
PYTEST := $(BIN)/python -m pytest -n $(WORKERS)

test: setup  ## run the tests
	$(PYTEST) -m "not slow"

slow: setup  ## run the long tests: exports in every format, killed and resumed runs
	$(PYTEST) -m slow

# Convolutions and conversions under other processors' kernels: nothing may hang on their last bits.
KERNELS := ONEDNN_MAX_CPU_ISA=SSE41 ONEDNN_MAX_CPU_ISA=AVX2 TF_ENABLE_ONEDNN_OPTS=0

kernels: setup  ## run the tests of networks and exports under other CPU kernels
	for kernel in $(KERNELS); do echo "$$kernel"; \
	  env $$kernel $(BIN)/python -m pytest -m "not slow" tests/network tests/exporting || exit 1; done

lint: setup  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

format: setup  ## rewrite to style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

completions: setup  ## write the completion scripts for bash, zsh, fish and PowerShell
	for shell in bash zsh fish; do \
	  _COLORIZE_COMPLETE=source_$$shell $(BIN)/colorize > completions/colorize.$$shell; done
	_COLORIZE_COMPLETE=source_powershell $(BIN)/colorize > completions/colorize.ps1

docs: setup  ## write what docs/ and the choices of options say of the program from the program
	$(BIN)/python docs/choices.py > choices.part && mv choices.part colorcli/config/choices.py
	$(BIN)/python docs/schema.py > schema.part && mv schema.part docs/eval-schema.json
	$(BIN)/python docs/commands.py > docs/commands.md
	$(BIN)/python docs/manpage.py > docs/colorize.1

page: setup  ## build colorize.html, the page that colours in a browser
	$(BIN)/colorize export -o colorize.html --overwrite

notebook: setup  ## run notebooks/colorize.ipynb on a CPU and a few photographs, and keep what it shows
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python docs/notebook.py

image: setup  ## build the container's image; without podman, run its steps in a folder and colour there
	if command -v podman; then podman build -t colorize .; \
	else $(BIN)/python benchmarks/installs.py --only small; fi

pictures: setup  ## draw the pictures of README and docs with the bundled model
	$(BIN)/python docs/pictures.py
	if [ -f colorize.html ]; then $(BIN)/python docs/page.py colorize.html; fi

wheel: setup  ## build sdist and wheel into dist/, and list what is inside
	rm -rf build dist
	$(BIN)/python -m build --no-isolation --outdir dist .
	$(BIN)/python -m twine check --strict dist/*
	$(BIN)/python -m zipfile --list dist/*.whl
	ls -l dist

bench: setup  ## measure speed and memory; long, and only fair on an idle machine
	$(BIN)/python benchmarks/predict.py
	$(BIN)/python benchmarks/prepare.py
	$(BIN)/python benchmarks/eval.py
	$(BIN)/python benchmarks/exports.py

.PHONY: help setup demo test slow kernels lint format completions docs page notebook image pictures wheel bench
