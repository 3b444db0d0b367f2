# Two commands matter: `make demo` and `make test`. Each sets up all it needs.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
DATA ?= demo-data
PORTAL := src/wardlight/web/portal/index.html
# What Python compiles is kept, wherever a shell says otherwise: tests start hundreds of processes.
unexport PYTHONDONTWRITEBYTECODE

help: ## Show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.ready $(PORTAL) ## Prepare .venv with all dependencies, and the portal

$(VENV)/.ready: requirements-dev.txt pyproject.toml hatch_build.py ui/package-lock.json $(shell find src -name "*.pyx")
	@tools/setup.sh $(VENV)
	@touch $@

$(PORTAL): $(VENV)/.ready ui/index.html ui/vite.config.ts $(shell find ui/src -type f)
	@tools/portal.sh $(VENV)
	@touch $@

# What was compiled before and has not changed costs nothing; a start that compiles anew takes a second longer.
compiled: setup
	@$(BIN)/python -m compileall -q -j 2 src tests bench

demo: compiled ## Run everything with a seeded institution, receiver and sample studies
	@tools/system-packages.sh dcmtk curl  # what the printed lines use
	@$(BIN)/wardlight demo --data $(DATA)

test: compiled ## Lint, types, import contracts, all fast tests
	@tools/system-packages.sh dcmtk curl postgresql chromium orthanc orthanc-dicomweb rsyslog rsyslog-gnutls
	@$(MAKE) --no-print-directory lint
	@# In the order of the folders: files that take long stand before the many short ones, which fill what is left.
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not long"

test-long: compiled ## The slow suites: kill tests, long fuzzing, large objects
	@tools/system-packages.sh dcmtk curl postgresql chromium orthanc orthanc-dicomweb rsyslog rsyslog-gnutls
	@$(BIN)/python -m pytest -m long

bench: compiled ## Measure against peers (under 10 minutes)
	@tools/system-packages.sh dcmtk orthanc orthanc-dicomweb
	@$(BIN)/python -m bench --json bench.json --markdown bench.md

bench-long: compiled ## As bench, at 10 million instances, with growth curves and extremes (hours)
	@tools/system-packages.sh dcmtk orthanc orthanc-dicomweb
	@$(BIN)/python -m bench --long --json bench.json --markdown docs/reference/performance.md
	@$(BIN)/python -m bench.growth --markdown docs/reference/performance.md
	@$(BIN)/python -m bench.extremes --markdown docs/reference/performance.md

lint: setup ## ruff, mypy --strict, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

lock: setup ## Renew requirements*.txt
	@PATH="$$PWD/.venv-uv/bin:$$PATH" uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q --exclude-newer "7 days" -o requirements.txt
	@PATH="$$PWD/.venv-uv/bin:$$PATH" uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q --exclude-newer "7 days" -o requirements-dev.txt
	@PATH="$$PWD/.venv-uv/bin:$$PATH" uv pip compile bench/peers-requirements.in --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q --exclude-newer "7 days" -o bench/peers-requirements.txt

.PHONY: help setup compiled demo test test-long bench bench-long lint lock
