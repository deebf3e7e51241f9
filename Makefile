# `make demo` and `make test` are all that a visitor needs: each makes .venv first when it has
# to. An environment is made again only when pyproject.toml has changed since. Tests are shared by
# as many processes as there are cores; WORKERS=0 keeps them in one, as a debugger wants it.

VENV ?= .venv
OLDEST ?= .venv-oldest
BENCH ?= .venv-bench
PYTEST_ARGS ?=
WORKERS ?= auto
BIN := $(VENV)/bin
PYTEST = -m pytest -n $(WORKERS) --dist worksteal

export PYTHON

.DEFAULT_GOAL := help

.PHONY: help
help: ## list these targets
	@awk 'BEGIN {FS = ":[^#]*## "} /^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

# ------------------------------------------------------------------- environments

$(VENV)/.has-%: pyproject.toml .ci/venv.sh
	@bash .ci/venv.sh $(VENV) $*
	@touch $@

$(OLDEST)/.has-test: pyproject.toml .ci/venv.sh .ci/oldest.txt
	@bash .ci/venv.sh $(OLDEST) test .ci/oldest.txt
	@touch $@

$(BENCH)/.has-bench: pyproject.toml .ci/venv.sh
	@bash .ci/venv.sh $(BENCH) bench
	@touch $@

.PHONY: venv
venv: $(VENV)/.has-demo,test,dev ## make .venv with all that a developer needs

# ------------------------------------------------------------------------ the two

.PHONY: demo
demo: $(VENV)/.has-demo ## see what chainrule does
	@$(BIN)/chainrule demo

.PHONY: test
test: $(VENV)/.has-test ## run the tests (PYTEST_ARGS="-k tanh" picks some)
	@$(BIN)/python $(PYTEST) $(PYTEST_ARGS)

# --------------------------------------------------------------------- the checks

.PHONY: lint
lint: $(VENV)/.has-dev ## check style and formatting
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

.PHONY: format
format: $(VENV)/.has-dev ## mend what lint can mend by itself
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: types
types: $(VENV)/.has-dev $(VENV)/.has-test ## check the types
	@$(BIN)/mypy

.PHONY: imports
imports: $(VENV)/.has-dev ## check that imports run one way
	@$(BIN)/lint-imports --no-logo

.PHONY: house
house: $(VENV)/.has-test ## check file and function sizes, and that the import is light
	@$(BIN)/python .ci/check_house.py

.PHONY: doctest
doctest: $(VENV)/.has-test ## run the examples in docstrings and in the documents
	@$(BIN)/python -m pytest --doctest-modules src docs $(wildcard *.md) $(PYTEST_ARGS)

.PHONY: pages
pages: $(VENV)/.has-test ## write what the commands print today into README.md and docs/
	@$(BIN)/python tests/cli/documents.py
	@$(BIN)/python docs/images/draw.py
	@$(BIN)/python docs/examples/render.py

.PHONY: examples
examples: $(VENV)/.has-test ## run every script in examples/
	@$(BIN)/python .ci/run_examples.py

.PHONY: oldest
oldest: $(OLDEST)/.has-test ## run the quick tests with the oldest supported NumPy and SciPy
	@$(OLDEST)/bin/python $(PYTEST) -m "not slow" $(PYTEST_ARGS)

.PHONY: wheel
wheel: $(VENV)/.has-dev ## check that the wheel is whole and can be built again
	@$(BIN)/python .ci/check_wheel.py

.PHONY: oracle
oracle: $(VENV)/.has-test $(VENV)/.has-oracle ## compare with JAX and PyTorch (a large download)
	@$(BIN)/python $(PYTEST) -m oracle $(PYTEST_ARGS)

.PHONY: bench
bench: $(BENCH)/.has-bench ## time chainrule beside other systems (a large download, 20 minutes)
	@$(BENCH)/bin/python -m benchmarks $(CASES)

.PHONY: bench-quick
bench-quick: $(VENV)/.has-test ## run every benchmark once, tiny, and compare the results
	@$(BIN)/python -m benchmarks --quick

.PHONY: ci
ci: ## run everything that a change must pass
	@bash .ci/run

.PHONY: clean
clean: ## remove environments, builds and caches
	@rm -rf .venv .venv-* build dist .pytest_cache .hypothesis .mypy_cache .ruff_cache
	@rm -rf .import_linter_cache
	@find src tests examples benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
