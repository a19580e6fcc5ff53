# From nothing but Python 3.11, pip and make: `make demo` and `make test` set up .venv by themselves.
#
#   make demo                                                torch from the default package index
#   make demo INDEX=https://download.pytorch.org/whl/cpu     PyTorch's build for the CPU alone
#   make test PYTHON=/path/to/python3.11                     another interpreter

PYTHON ?= python3.11
INDEX ?=

VENV := .venv
BIN := $(VENV)/bin
# one mark for each index, so that naming another one installs its torch
INSTALLED := $(VENV)/.installed$(subst /,_,$(subst :,_,$(INDEX)))
DOCS_INSTALLED := $(VENV)/.installed.docs
PACKAGES := autoseg planner trainer inference tests benchmarks
HOOK := docs/repository_links.py

.DEFAULT_GOAL := help
.PHONY: help install demo test lint docs clean

help:
	@echo "make demo    a synthetic data set through the whole path, planned to end within 10 minutes"
	@echo "make test    every test"
	@echo "make lint    format, style, types, imports between the packages"
	@echo "make docs    the documentation as a site, in site/; open site/index.html"
	@echo "make clean   remove the virtual environment and what tools left behind"
	@echo "INDEX=URL    package index to take torch from"

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name it with PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
ifneq ($(INDEX),)
	$(BIN)/python -m pip install --no-deps --force-reinstall --index-url $(INDEX) -c constraints.txt torch
endif
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev]'
	@touch $@

$(DOCS_INSTALLED): $(INSTALLED)
	$(BIN)/python -m pip install -c constraints.txt -e '.[docs]'
	@touch $@

demo: $(INSTALLED)
	$(BIN)/autoseg demo

test: $(INSTALLED)
	$(BIN)/python -m pytest

lint: $(INSTALLED)
	$(BIN)/ruff format --check $(PACKAGES) $(HOOK)
	$(BIN)/ruff check $(PACKAGES) $(HOOK)
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(DOCS_INSTALLED)
	$(BIN)/mkdocs build

clean:
	rm -rf $(VENV) build site .mypy_cache .ruff_cache .pytest_cache .import_linter_cache *.egg-info
