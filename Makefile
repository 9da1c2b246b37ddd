# Headrace. `make` alone lists the targets.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:

PYTHON := .venv/bin/python
LOCALLY_INSTALLED := $(patsubst %/pyproject.toml,%,$(wildcard layers/core/pyproject.toml client/pyproject.toml admin/pyproject.toml))

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

## --- tools, each in an environment of its own -------------------------------------------------

install: .venv/.installed .tools/sam/.installed .tools/platform/.installed ## the tools, at their pinned versions (the other targets do it as needed)

.venv/.installed: requirements/dev.txt $(wildcard layers/*/requirements.txt) $(addsuffix /pyproject.toml,$(LOCALLY_INSTALLED))
	@requirements/install .venv -r requirements/dev.txt $(addprefix -e ./,$(LOCALLY_INSTALLED))

.tools/sam/.installed: requirements/sam.txt
	@requirements/install .tools/sam -r requirements/sam.txt

.tools/platform/.installed: requirements/platform.txt
	@requirements/install .tools/platform -r requirements/platform.txt

## --- the local platform -----------------------------------------------------------------------

up: tools ## start the local platform, deploy what changed, write .local/headrace.json
	@$(PYTHON) -m local up

down: .venv/.installed ## stop it; its state is kept
	@$(PYTHON) -m local down

logs: .venv/.installed ## follow the functions' logs (FUNCTION=name for one)
	@$(PYTHON) -m local logs

clean: .venv/.installed ## stop it and forget its state
	@$(PYTHON) -m local clean

demo: tools ## an export from token to verified file, live
	@$(PYTHON) -m local demo

tools: # the three environments at once
	@$(MAKE) --no-print-directory -j3 install

.PHONY: help install up down logs clean demo tools
