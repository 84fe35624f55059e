# `make demo` and `make test` do all the set-up on a machine that has CPython 3.11+ with venv.
# Another interpreter: make demo PYTHON=python3.12

PYTHON ?= python3
PY := .venv/bin/python
PIP := $(PY) -m pip --disable-pip-version-check install --quiet -c constraints.txt
export TF_CPP_MIN_LOG_LEVEL ?= 2
# Processes that run tests side by side; each holds TensorFlow, some 2 GB.
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow lint format types docs docs-check regression pin-sample bench wheel-check pins clean

help:
	@echo "make demo         set up .venv, run the fashion task on its synthetic sample, compare"
	@echo "make test         set up .venv, run the tests (make test-slow: the ones that take minutes)"
	@echo "make lint types   ruff, the layers of imports, mypy (make format: let ruff lay the code out)"
	@echo "make docs         serve the documentation on this machine (make docs-check: build it, links checked)"
	@echo "make regression   hold the tiny synthetic sample against its pinned baseline (make pin-sample: pin it anew)"
	@echo "make bench        the benchmarks"
	@echo "make wheel-check  build sdist and wheel, install and try the wheel elsewhere"
	@echo "make pins         renew constraints.txt"
	@echo "make clean        remove .venv, caches and builds (never results)"

# The report is tried in a browser. Where there is none, and none can be installed, that test is skipped.
BROWSER = for one in chromium chromium-browser google-chrome chrome; do \
    command -v $$one >/dev/null 2>&1 && exit 0; done; { \
  echo "installing chromium for the test of the report ..." >&2; \
  [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq >/dev/null 2>&1 \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null 2>&1; \
  } || echo "chromium cannot be installed here: the report's test in a browser will be skipped" >&2

# A stamp per set of packages: nothing is installed again until what they depend on changes.
.venv/.ready: setup.cfg pyproject.toml constraints.txt
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
	  echo "messybench needs CPython 3.11, 3.12 or 3.13, and '$(PYTHON)' is none of them;" \
	       "name one that is: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; exit 2; }
	@$(PY) -c '' 2>/dev/null || { echo "making .venv ..." >&2; "$(PYTHON)" -m venv --clear .venv; }
	@echo "installing messybench and what it needs into .venv (a few minutes the first time) ..." >&2
	@$(PIP) setuptools
	@$(PIP) --no-build-isolation -e .
	@touch $@

.venv/.ready-dev: .venv/.ready
	@echo "installing what tests and checks need into .venv ..." >&2
	@$(PIP) --no-build-isolation -e '.[test,lint,clean,docs,explain,handcrafted,hub,mlflow,onnx,ray,tensorboard,tune]' build
	@$(BROWSER)
	@touch $@

demo: .venv/.ready
	$(PY) -m bench run --task fashion
	$(PY) -m bench compare --task fashion --no-classes

test: .venv/.ready-dev
	$(PY) -m pytest -m "not slow" -n $(JOBS) --dist worksteal $(ARGS)

test-slow: .venv/.ready-dev
	$(PY) -m pytest -m slow -n $(JOBS) --dist worksteal $(ARGS)

lint: .venv/.ready-dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check --quiet .
	.venv/bin/lint-imports --no-cache

format: .venv/.ready-dev
	$(PY) -m ruff format --quiet .
	$(PY) -m ruff check --fix .

types: .venv/.ready-dev
	$(PY) -m mypy

# The theme warns on every build that mkdocs 2 will not run it; setup.cfg asks for mkdocs 1.
MKDOCS := NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs

docs: .venv/.ready-dev
	$(MKDOCS) serve

docs-check: .venv/.ready-dev
	$(MKDOCS) build --strict --quiet --site-dir build/site

# What is pinned as the baseline drawn-tiny. Results and cache are new each time: stored cells would
# hide a change of the code.
TINY := build/tiny
RUN_TINY := rm -rf $(TINY) && $(PY) -m bench run --task fashion --sample tiny --backbone lenet \
  --method none,class_weight --seed 0-1 --results $(TINY)/results --cache $(TINY)/cache --quiet

regression: .venv/.ready
	$(RUN_TINY)
	$(PY) -m bench compare --task fashion --results $(TINY)/results --baseline drawn-tiny --no-classes \
	  --fail-on-regression

pin-sample: .venv/.ready
	$(RUN_TINY)
	$(PY) -m bench baseline pin drawn-tiny --task fashion --results $(TINY)/results --baselines baselines \
	  --force --summary "The tiny synthetic sample: CI holds every change against it."

# These take hours; docs/reliability.md has their commands.
HOURS := benchmarks/kills.py benchmarks/mutation.py

bench: .venv/.ready-dev
	@failed=0; for script in $(filter-out $(HOURS),$(wildcard benchmarks/*.py)); do \
	  echo "== $$script"; $(PY) -m benchmarks.$$(basename $$script .py) || failed=1; done; exit $$failed

wheel-check: .venv/.ready-dev
	$(PY) .ci/check_wheel.py

pins:
	d=$$(mktemp -d) && trap 'rm -rf "$$d"' EXIT && "$(PYTHON)" -m venv "$$d" \
	&& "$$d/bin/python" -m pip install --quiet setuptools \
	&& "$$d/bin/python" -m pip install --quiet --no-build-isolation -e '.[test,lint,clean,docs,explain,fuzz,handcrafted,hub,mlflow,onnx,ray,tensorboard,tune]' build \
	&& { head -n 2 constraints.txt; "$$d/bin/python" -m pip freeze --all --exclude pip --exclude messybench; } > "$$d/new" \
	&& cp "$$d/new" constraints.txt

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find bench tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
