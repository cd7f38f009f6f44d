# Needs python3 (3.11 or newer) with its venv module, and nothing else; all else goes into .venv, from the lock file.
# Another interpreter: make PYTHON=python3.12 …
PYTHON ?= python3
PYTEST_WORKERS ?= 2
ARGS ?=
BIN := .venv/bin
UV_VERSION := 0.13.9

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo kafka chaos system test check lint types contracts house format docs screenshots vectors bench lock clean

help: ## show these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(BIN)/foldline ## run the news demo; ARGS="--headless --json" are passed on
	@$(BIN)/foldline demo news $(ARGS)

NODES ?= 1
PORT ?= 9092

kafka: ## run Apache Kafka on 127.0.0.1:9092 until Ctrl-C, its data in a temporary folder a port; NODES=3, PORT=19092
	@$(PYTHON) -m tools.kafka run --nodes $(NODES) --port $(PORT)

chaos: $(BIN)/foldline ## hurt three brokers and three learners while 500,000 events flow, then count; ARGS="--seed 2 --json"
	@$(BIN)/python -m tools.chaos $(ARGS)

# What some tests need beside Python. Without it they skip and say so; with CI=true they fail.
system: ## install the browser, Node.js, Java, Maven and kcat for the tests that need them, where that can be done
	@missing=; command -v chromium >/dev/null || missing="chromium"; \
	command -v node >/dev/null || missing="$$missing nodejs"; \
	command -v java >/dev/null || missing="$$missing default-jre-headless"; \
	command -v mvn >/dev/null || missing="$$missing maven"; \
	command -v kcat >/dev/null || missing="$$missing kcat"; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "`id -u`" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing $$missing (once)"; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$missing >/dev/null; \
	else \
	    echo "not installed: $$missing; tests that need it are skipped. On Debian and Ubuntu: apt-get install $$missing"; \
	fi

test: $(BIN)/foldline system ## run the tests; ARGS="-k name" are passed on
	@$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist worksteal $(ARGS)

check: lint types contracts house ## lint, types, import contracts, house rules, then the tests
	@$(MAKE) --no-print-directory test

lint: $(BIN)/foldline ## ruff: rules and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(BIN)/foldline ## mypy, strict
	@$(BIN)/mypy

contracts: $(BIN)/foldline ## import-linter: layers and pure rooms
	@$(BIN)/lint-imports --no-logo

house: $(BIN)/foldline ## the rules of CONTRIBUTING.md that no other tool holds
	@$(BIN)/python -m tools.house

format: $(BIN)/foldline ## let ruff mend format and what it safely can
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

docs: $(BIN)/foldline ## write the generated pages of docs/ again
	@$(BIN)/python -m tools.docs

screenshots: $(BIN)/foldline ## take the dashboard's pictures of docs/images again, with Chromium
	@$(BIN)/python -m tools.screenshots

vectors: $(BIN)/foldline ## write the golden vectors of vectors/ again; another answer to an old case is a fault
	@$(BIN)/python -m tools.vectors

bench: $(BIN)/foldline ## run every benchmark and print its ratios; ARGS="--json" are passed on
	@for each in benchmarks/*.py; do echo "== $$each"; PYTHONPATH=. $(BIN)/python $$each $(ARGS) || exit 1; done

lock: ## resolve pyproject.toml into requirements.lock again; UPGRADE=1 takes newer versions
	@test -x .tools/uv-$(UV_VERSION)/bin/uv || { $(PYTHON) -m venv .tools/uv-$(UV_VERSION) && \
	    .tools/uv-$(UV_VERSION)/bin/python -m pip install --quiet uv==$(UV_VERSION); }
	@.tools/uv-$(UV_VERSION)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-header --extra dev $(if $(UPGRADE),--upgrade) pyproject.toml -o requirements.lock

clean: ## delete .venv, tools and everything generated
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist out
	find src tests benchmarks tools -name __pycache__ -type d -prune -exec rm -rf {} +

# Made from nothing whenever the lock file changes, so that nothing stays behind that the lock does not name.
.venv/.locked: requirements.lock
	@command -v $(PYTHON) >/dev/null || { \
	    echo "$(PYTHON) is not installed; Foldline needs Python 3.11 or newer" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "$(PYTHON) is `$(PYTHON) --version 2>&1`; Foldline needs Python 3.11 or newer: install one and run" \
	         "make PYTHON=/path/to/it" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	    echo "$(PYTHON) cannot make virtual environments (its module venv or ensurepip is missing);" \
	         "on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@rm -rf .venv
	@echo "setting up .venv from requirements.lock (once; a minute or so)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

# The package itself, editable. The build backend is in the lock, so this fetches nothing.
$(BIN)/foldline: .venv/.locked pyproject.toml
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
	@touch $@
