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
PACKAGES := autoseg planner trainer inference tests benchmarks examples
HOOK := docs/repository_links.py

.DEFAULT_GOAL := help
.PHONY: help install demo test test-newest test-lowest lint docs clean

help:
	@echo "make demo    a synthetic data set through the whole path, planned to end within 10 minutes"
	@echo "make test    every test, in two processes or PROCESSES=N"
	@echo "make test-newest   the fast tests on the newest Python that is at hand beside $(PYTHON)"
	@echo "make test-lowest   hostile files, on the lowest versions that pyproject.toml allows, except of torch"
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

# The tests of a file, and those that look at the same run, go to one process; files begin in their order, the longest
# first. What looks at other programs runs afterwards, alone.
PROCESSES ?= 2
ALONE = $(shell grep -rls --include='*.py' 'mark.alone' tests)
BESIDE = -n $(PROCESSES) --dist loadfile --no-loadscope-reorder
# the many processes that tests start would compile every module anew
unexport PYTHONDONTWRITEBYTECODE

test: $(INSTALLED)
	$(BIN)/python -m pytest $(BESIDE) -m "not alone"
	$(BIN)/python -m pytest -m alone $(ALONE)

# the newest interpreter at hand that starts and for which torch has wheels; or NEWEST=/path/to/python3.13
NEWEST ?= $(shell for n in 14 13 12; do python3.$$n -c "" 2>/dev/null && echo python3.$$n && break; done)
test-newest:
ifeq ($(NEWEST),)
	@echo "skipped: no Python newer than 3.11 is at hand"
else
	$(NEWEST) -m venv .venv-newest
	.venv-newest/bin/python -m pip install $(if $(INDEX),--extra-index-url $(INDEX)) -e '.[dev]'
	.venv-newest/bin/python -m pytest $(BESIDE) -m "not slow and not alone"
endif

# torch is the one of constraints.txt: its lowest version is large, and reads no file of a stranger
HOSTILE_TESTS := tests/autoseg/run_folder/test_array_file.py tests/autoseg/commands/test_guards.py \
	tests/autoseg/commands/test_copy.py tests/autoseg/image tests/autoseg/machine/test_processes.py \
	tests/autoseg/test_names.py tests/autoseg/test_files.py tests/autoseg/test_chart_style.py
test-lowest:
	$(PYTHON) -m venv --clear .venv-lowest
	.venv-lowest/bin/python -m pip install -c constraints.txt $(if $(INDEX),--extra-index-url $(INDEX)) torch
	$(PYTHON) -m tests.lowest_versions > .venv-lowest/lowest.txt
	.venv-lowest/bin/python -m pip install -r .venv-lowest/lowest.txt
	.venv-lowest/bin/python -m pip install $(if $(INDEX),--extra-index-url $(INDEX)) -e '.[dev]' -c .venv-lowest/lowest.txt
	.venv-lowest/bin/python -m pytest $(HOSTILE_TESTS)

lint: $(INSTALLED)
	$(BIN)/ruff format --check $(PACKAGES) $(HOOK)
	$(BIN)/ruff check $(PACKAGES) $(HOOK)
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(DOCS_INSTALLED)
	$(BIN)/mkdocs build

clean:
	rm -rf $(VENV) .venv-newest .venv-lowest site build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache *.egg-info
