# Everything a newcomer or CI runs. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
UV_VERSION := 0.13.8
UV := .tools/bin/uv
BIN := .venv/bin
PACKAGES := api workers pipelines shared cli

.PHONY: help setup demo test check unit lint chaos bench accuracy lock up

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  \033[1m%-10s\033[0m %s\n", $$1, $$2}'

setup: .venv/.synced ## Install everything into .venv (PyPI only, hash-checked)

$(UV):
	$(PYTHON) -m venv .tools
	.tools/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.synced: $(UV) requirements.lock pyproject.toml
	test -x $(BIN)/python || $(UV) venv --quiet --python $(PYTHON) .venv
	$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

lock: $(UV) ## Resolve pyproject.toml again into requirements.lock and the image's lock
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --no-annotate --all-extras \
		--output-file requirements.lock pyproject.toml
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --no-annotate --extra models --extra voices \
		--constraint requirements.lock --output-file requirements-image.lock pyproject.toml
