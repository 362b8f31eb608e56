# Everything a newcomer or CI runs. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
UV_VERSION := 0.13.8
PIP_AUDIT_VERSION := 2.10.1
UV := .tools/bin/uv
BIN := .venv/bin
# Where the system keeps certificates they count, as for pip: a company's proxy may have one of its own.
export UV_SYSTEM_CERTS := $(if $(wildcard /etc/ssl/certs/ca-certificates.crt),true,false)
export DENO_TLS_CA_STORE ?= mozilla,system
FILE ?=
LANGUAGE ?= en
SEED ?=
OUT ?= out

.PHONY: help setup demo up test check unit chaos chaos-stages fuzz load bench accuracy lock audit

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

demo: setup ## Report on a made conversation, or on FILE=recording; LANGUAGE=en or ja
	@set -e; file="$(FILE)"; \
	if [ -z "$$file" ]; then \
		file="$(OUT)/conversation-$(LANGUAGE).flac"; \
		test -s "$$file" || { echo "Making a conversation of two voices …"; $(BIN)/python -m cli.demo $(OUT) $(LANGUAGE); }; \
	fi; \
	$(BIN)/vibeinsight analyze "$$file" --out "$(OUT)/report" $(if $(FILE),,--language $(LANGUAGE))
	@echo
	@echo "Look next at"
	@echo "  $(OUT)/report/report.html         the report, in a browser"
	@echo "  $(OUT)/report/transcript.srt      who said what, when"
	@echo "  make up                        the API and Flower, until Ctrl-C"
	@echo "  make demo FILE=meeting.m4a     your own recording"

up: setup ## Run everything on this machine until Ctrl-C
	$(BIN)/vibeinsight up

test: check ## Everything that CI needs: check, then every test but the long ones
	$(BIN)/pytest -q --numprocesses 3 --dist loadfile

check: setup ## Style, types, and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: setup ## The tests that need no server
	$(BIN)/pytest -q -m unit

chaos: setup ## Hurt everything for a quarter of an hour; adds itself to docs/reliability.md
	$(BIN)/python -m tests.chaos.programme --report $(if $(SEED),--seed $(SEED))

chaos-stages: setup ## Kill the real stages, models and all, in the middle of their work
	VIBEINSIGHT_CHAOS_ROUNDS=10 $(BIN)/pytest -q tests/chaos/engine

fuzz: setup ## Every request there is, 1,000 damaged recordings, every order of events
	VIBEINSIGHT_FUZZ_FILES=1000 VIBEINSIGHT_FUZZ_EXAMPLES=100 VIBEINSIGHT_FUZZ_SECONDS=600 \
		VIBEINSIGHT_FUZZ_ORDERS=5000 $(BIN)/pytest -q -s -m fuzz

load: setup ## Submits, watchers and 10,000 queued jobs: what gets slow, and what first
	$(BIN)/python bench/load.py

bench: setup ## The whole job against the bare engines
	$(BIN)/python bench/batch.py $(FILE)

accuracy: setup ## Word and speaker errors on recordings with references
	$(BIN)/python bench/accuracy.py
	$(BIN)/python bench/diarization.py

audit: .tools/bin/pip-audit ## Ask about known flaws of every locked package
	.tools/bin/python infra/audit.py

.tools/bin/pip-audit: $(UV)
	-.tools/bin/pip install --quiet --disable-pip-version-check pip-audit==$(PIP_AUDIT_VERSION)

lock: $(UV) ## Resolve pyproject.toml again into requirements.lock and the image's lock
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --no-annotate --all-extras \
		--output-file requirements.lock pyproject.toml
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --no-annotate --extra models --extra voices \
		--constraint requirements.lock --output-file requirements-image.lock pyproject.toml
