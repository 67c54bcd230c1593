# `make` lists its words. Each does its own set-up; python3 and make are all they need.
.PHONY: help run test soak coverage bench lint format translations lock
.DEFAULT_GOAL := help

PYTHON ?= python3
RUN_ENVIRONMENT := .venv/run
TEST_ENVIRONMENT := .venv/test

help: ## list these words
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: ## bring the database up to date and serve on 127.0.0.1:8000
	@$(PYTHON) .ci/environment.py $(RUN_ENVIRONMENT) requirements.txt
	@$(RUN_ENVIRONMENT)/bin/poolproof serve

# T=tests/unit/bank/test_gift.py runs these alone, in one process; DATABASES=mariadb,sqlite chooses others; PROCESSES is how
# many run side by side; ARGUMENTS are pytest's.
DATABASES ?= mysql,sqlite
PROCESSES ?= 3
PYTEST = $(TEST_ENVIRONMENT)/bin/python -m pytest --databases $(DATABASES)
SIDE_BY_SIDE = --numprocesses $(PROCESSES) --dist loadfile --no-loadscope-reorder --require $(firstword $(subst $(comma), ,$(DATABASES)))
test: test-environment ## run the tests on a MySQL of their own, on SQLite and in a browser; T=PATH chooses
	@$(PYTEST) $(if $(T),$(T),$(SIDE_BY_SIDE)) $(ARGUMENTS)

soak: test-environment ## run what is long or rare, alone on the machine; T=PATH chooses
	@$(PYTEST) -m soak $(T) $(ARGUMENTS)

coverage: test-environment ## run the tests and say which branches they reach; fails below the bounds of CONTRIBUTING.md
	@$(TEST_ENVIRONMENT)/bin/coverage erase
	@$(TEST_ENVIRONMENT)/bin/coverage run -m pytest --databases $(DATABASES) $(SIDE_BY_SIDE) $(ARGUMENTS)
	@$(TEST_ENVIRONMENT)/bin/coverage combine --quiet 2>/dev/null
	@$(PYTHON) .ci/coverage_bounds.py $(TEST_ENVIRONMENT)/bin/coverage

# Nothing else should run meanwhile. ARGUMENTS: see `bench/push.py --help`. One peer needs a C compiler.
bench: test-environment ## the push, ours beside what people would use instead: some twenty minutes
	@$(PYTHON) bench/peers/environment.py .venv/peers
	@PYTHONPATH=. $(TEST_ENVIRONMENT)/bin/python bench/push.py $(ARGUMENTS)

lint: test-environment ## check style, types and who may import whom
	@$(TEST_ENVIRONMENT)/bin/ruff check .
	@$(TEST_ENVIRONMENT)/bin/ruff format --check .
	@$(TEST_ENVIRONMENT)/bin/mypy
	@$(TEST_ENVIRONMENT)/bin/lint-imports --no-cache

format: test-environment ## let ruff write the code its way
	@$(TEST_ENVIRONMENT)/bin/ruff check --fix .
	@$(TEST_ENVIRONMENT)/bin/ruff format .

translations: test-environment ## bring the catalogues of translations up to date, and name what is not translated
	@PYTHONPATH=.:webapp/pooling/src $(TEST_ENVIRONMENT)/bin/python -m tests.support.catalogue

.PHONY: test-environment
test-environment:
	@$(PYTHON) .ci/environment.py $(TEST_ENVIRONMENT) requirements-dev.txt

# For maintainers, with uv on the PATH: write the lock files anew.
lock: ## resolve the dependencies again (needs uv)
	uv pip compile pyproject.toml --extra build --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header -o requirements.txt
	uv pip compile pyproject.toml --extra build --extra lab --extra dev --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header -c requirements.txt -o requirements-dev.txt
	uv pip compile bench/peers/requirements.in --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header -o bench/peers/requirements.txt

comma := ,
