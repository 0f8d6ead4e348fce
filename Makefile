# `make demo` and `make test` are all a newcomer needs. Both create .venv with exact versions (constraints.txt).
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
DATA ?= $(INTENTLY_DATASETS)
RESULTS := benchmarks/results

.DEFAULT_GOAL := help
.PHONY: help demo test check format bench-accuracy bench-intents bench-serving render clean

help:  ## Say what each target does.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /: /' | awk -F': ' '{printf "%-16s %s\n", $$1, $$2}'

$(BIN)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --upgrade pip==26.3
	$(BIN)/pip install -q torch==2.13.0
	$(BIN)/pip install -q -c constraints.txt -e '.[service,training,cpu]'
	touch $@

$(BIN)/.installed-dev: $(BIN)/.installed
	$(BIN)/pip install -q -c constraints.txt --group dev
	touch $@

demo: $(BIN)/.installed  ## Synthesize a log, train, export, serve, and show an answer change after an event.
	$(BIN)/python deploy/demo.py

test: $(BIN)/.installed-dev  ## Run every test; real data is read from the folder that INTENTLY_DATASETS names.
	$(BIN)/pytest

check: $(BIN)/.installed-dev  ## Lint, format check, types and import contracts.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(BIN)/.installed-dev  ## Format and fix what can be fixed.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench-accuracy: $(BIN)/.installed  ## Beauty under the full protocol: two methods and two baselines (about an hour on two cores).
	$(BIN)/python benchmarks/accuracy.py --datasets $(DATA)

bench-intents: $(BIN)/.installed  ## Served intents against planted ones: normalised mutual information.
	$(BIN)/python benchmarks/planted_intents.py

bench-serving: $(BIN)/.installed  ## 1,000 users over HTTP get the evaluated lists. Needs a bundle: BUNDLE=... DATASET=...
	$(BIN)/python benchmarks/served_lists.py --bundle $(BUNDLE) --data $(DATASET)

render: $(BIN)/.installed  ## Render docs/benchmarks.md from benchmarks/results.
	$(BIN)/python benchmarks/render.py

clean:  ## Remove what make created.
	rm -rf $(VENV) .demo
