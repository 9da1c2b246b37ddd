# Headrace. `make` alone lists the targets.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:

BIN := .venv/bin
PYTHON := $(BIN)/python
# `sam build` looks for the functions' Python, with pip, on PATH; a region is all it needs of AWS.
SAM = PATH="$(CURDIR)/$(BIN):$$PATH" SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=eu-west-1 .tools/sam/bin/sam
TYPED := layers/core/headrace functions client/headrace_client admin/headrace_admin local openapi tests $(wildcard benchmarks)
LOCALLY_INSTALLED := $(patsubst %/pyproject.toml,%,$(wildcard layers/core/pyproject.toml client/pyproject.toml admin/pyproject.toml))
# Who only stops what runs is not made to wait for tools that changed, or were never there.
IF_INSTALLED = if ! test -e .venv/.installed; then echo "nothing was started from this clone yet: make demo"; \
  else $(MAKE) --no-print-directory placed &&

help: ## this list
	@awk -F ':.*## ' '/^## --- tools/ { exit } \
	  /^## --- / { gsub(/^## --- | -+$$/, ""); printf "\n%s\n", $$0 } \
	  /^[a-z-]+:.*## / { printf "  make %-19s %s\n", $$1, $$2 }' Makefile
	@echo; echo "What it is, and what to read next: README.md"

## --- see it at work ------------------------------------------------------------------------------

demo: tools ## an export from token to verified file, live
	@$(PYTHON) -m local demo

demo-datasets: tools ## data sets between two environments: build, dry run, import, undo
	@$(PYTHON) -m local demo-datasets

demo-templates: tools ## templates: log in, activate, read page by page while rows change
	@$(PYTHON) -m local demo-templates

demo-profiles: tools ## profiles: a vendor asks for access, pushes athletes, leads a user to one
	@$(PYTHON) -m local demo-profiles

## --- a local platform to work with ---------------------------------------------------------------

up: tools ## start the local platform, deploy what changed, write .local/headrace.json
	@$(PYTHON) -m local up

logs: ## follow the functions' logs (FUNCTION=name for one)
	@$(IF_INSTALLED) $(PYTHON) -m local logs; fi

down: ## stop it; its state is kept
	@$(IF_INSTALLED) $(PYTHON) -m local down; fi

clean: ## stop it and forget its state
	@$(IF_INSTALLED) $(PYTHON) -m local clean; fi

## --- what CI runs --------------------------------------------------------------------------------

test: tools ## unit and component tests, and beside them the system tests on a platform of their own
	@$(PYTHON) -m local all-tests

check: tools ## style, types, imports between parts, the template, the API's description
	@$(MAKE) --no-print-directory --keep-going --jobs=2 --output-sync types template style imports described

style:
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

types:
	@$(BIN)/mypy $(TYPED)

imports:
	@$(BIN)/lint-imports

template:
	@$(SAM) validate --lint
	@$(BIN)/cfn-lint template.yaml

described:
	@$(PYTHON) -m openapi.generate --check
	@$(PYTHON) -m headrace.catalog.reference --check
	@$(PYTHON) -m tests.abuse_report --check
	@$(PYTHON) -m tests.security.page --check

## --- more tests and measurements, each of minutes to hours ---------------------------------------

chaos: tools ## every fault at every point of exports and data sets; writes docs/reliability.md (SEEDS=3)
	@SEEDS=$(or $(SEEDS),3) PAIRS=$(or $(PAIRS),20) $(PYTHON) -m local test tests/system/chaos/campaign.py tests/system/chaos/test_samples.py

load: tools ## 200 clients for a day in minutes, fairness, growth; writes docs/load.md (CLIENTS=20 DAY=60)
	@failed=0; \
	CLIENTS=$(CLIENTS) DAY=$(DAY) $(PYTHON) -m local test tests/system/load/campaign.py || failed=1; \
	HEADRACE_WORKERS=16 $(PYTHON) -m local test tests/system/load/fairness.py tests/system/load/growth.py || failed=1; \
	exit $$failed

security: tools .tools/security/.installed ## security tools over the code and the template (TOOL=name for one)
	@$(PYTHON) -m tests.security $(TOOL)

sam-local: tools .tools/containers/.installed ## every function in a real container, by sam local (FUNCTIONS="…", IMAGE=…)
	@$(PYTHON) -m tests.containers $(FUNCTIONS) $(if $(IMAGE),--image $(IMAGE))

postgresql-versions: tools ## the component tests that use PostgreSQL, on servers 12 to 18 from npm, an hour (VERSIONS="12 18")
	@$(PYTHON) -m tests.component.postgresql.versions $(VERSIONS)

explore: tools ## the property tests with examples never tried before
	@HYPOTHESIS_PROFILE=explore $(PYTHON) -m pytest -n 2 $$(grep -rl hypothesis --include='test_*.py' tests/unit tests/component)

bench: tools .tools/bench/.installed sam-build ## how fast an export is, beside psql, DuckDB and other tools
	@$(PYTHON) -m benchmarks $(BENCH)

## --- for who changes or deploys it ---------------------------------------------------------------

install: .venv/.installed .tools/sam/.installed .tools/platform/.installed ## the tools, at their pinned versions (the other targets do it as needed)
	@:

format: .venv/.installed ## put the code into its format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

openapi: .venv/.installed ## write the pages that are made from code anew
	@$(PYTHON) -m openapi.generate
	@$(PYTHON) -m headrace.catalog.reference
	@$(PYTHON) -m tests.abuse_report
	@$(PYTHON) -m tests.security.page

sam-build: tools ## what a deployment to AWS would upload, in .aws-sam/build
	@$(SAM) build --cached --parallel

## --- tools, each in an environment of its own ----------------------------------------------------

placed: # a checkout that was moved has its tools name the new place
	@test ! -e .venv/.installed || $(PYTHON) -I -S requirements/placed.py .venv .tools/*

.venv/.installed .tools/sam/.installed .tools/bench/.installed .tools/containers/.installed .tools/security/.installed .tools/platform/.installed: | placed

.venv/.installed: requirements/dev.txt requirements/data.txt $(wildcard layers/*/requirements.txt) $(addsuffix /pyproject.toml,$(LOCALLY_INSTALLED))
	@requirements/install .venv -r requirements/dev.txt $(addprefix -e ./,$(LOCALLY_INSTALLED))
	@requirements/install .venv --no-deps -r requirements/data.txt
	@touch $@

.tools/sam/.installed: requirements/sam.txt
	@requirements/install .tools/sam -r requirements/sam.txt
	@touch $@

.tools/bench/.installed: requirements/bench.txt
	@requirements/install .tools/bench -r requirements/bench.txt
	@touch $@

.tools/containers/.installed: requirements/containers.txt
	@requirements/install .tools/containers -r requirements/containers.txt
	@touch $@

.tools/security/.installed: requirements/security.txt
	@requirements/install .tools/security -r requirements/security.txt
	@touch $@

.tools/platform/.installed: requirements/platform.txt
	@requirements/install .tools/platform -r requirements/platform.txt
	@touch $@

tools: # the three environments at once
	@$(MAKE) --no-print-directory -j3 install

.PHONY: help install up down logs clean demo demo-datasets demo-templates demo-profiles sam-build test chaos sam-local postgresql-versions explore check security bench load format openapi placed tools style types imports template described
