# Everything a contributor runs. `make setup` once, then `make check` before each commit.

PYTHON := $(if $(wildcard .venv/bin/python),.venv/bin/python,python3)
TYPED := $(shell find tests/typing examples -name '*.py' 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help setup format check check-static format-check lint imports types test coverage chaos generated

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  make %-14s %s\n", $$1, $$2 }'

setup: ## Make .venv with agentflow and every tool, in the versions of constraints.txt
	python3 -m venv .venv
	.venv/bin/python -m pip install -q -c constraints.txt -e ".[dev]"

format: ## Format the code and apply ruff's safe fixes
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .

check: check-static test ## Everything CI checks, fastest first

check-static: format-check lint imports types ## Everything but the tests

format-check: ## Is the code formatted?
	$(PYTHON) -m ruff format --check .

lint: ## Ruff, every rule
	$(PYTHON) -m ruff check .

imports: ## Do imports point down?
	$(PYTHON) -c "from importlinter.cli import lint_imports_command; lint_imports_command()"

types: ## mypy --strict on the packages, the typing tests and the examples
	$(PYTHON) -m mypy
	$(if $(TYPED),$(PYTHON) -m mypy $(TYPED))

test: ## The tests, on every core
	$(PYTHON) -m pytest -q -n auto

chaos: ## Kill and stop everything at random for ten minutes: make chaos SECONDS=60 SEED=7
	$(PYTHON) -m tests.crash.chaos --seconds $(or $(SECONDS),600) $(if $(SEED),--seed $(SEED))

generated: ## 80 made-up requests for each operation of the API: make generated ONLY="GET and tasks" EXAMPLES=200 SEED=7
	AGENTFLOW_TEST_LONG=1 $(if $(EXAMPLES),AGENTFLOW_TEST_EXAMPLES=$(EXAMPLES)) $(if $(SEED),AGENTFLOW_TEST_SEED=$(SEED)) \
		$(PYTHON) -m pytest -q tests/api/test_generated.py $(if $(ONLY),-k "$(ONLY)")

coverage: ## The tests, and the branches none of them takes
	$(PYTHON) -m coverage run -m pytest -q
	$(PYTHON) -m coverage combine
	$(PYTHON) -m coverage report
