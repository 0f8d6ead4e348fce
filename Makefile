# `make demo` and `make test` are all a newcomer needs. Both create .venv with exact versions (constraints.txt).
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
RESULTS := benchmarks/results
DATASET ?= beauty
AUDIT := .audit
service_extras := service,cpu,jwt,otel,client
training_extras := training,cpu

.DEFAULT_GOAL := help
.PHONY: help spark demo test check format programs test-compose audit bench-newcomer bench-accuracy bench-training bench-intents bench-served-lists bench-serving bench-events bench-chaos bench-runbooks bench-soak bench-stores bench-refusals bench-experiments bench-experiment-report bench-assignment bench-exposures bench-exposures-killed bench-replay bench-ranker bench-big-log bench-big-catalogue reproduce render screenshots clean

help:  ## Say what each target does.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /: /' | awk -F': ' '{printf "%-18s %s\n", $$1, $$2}'

$(BIN)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --upgrade pip==26.3
	$(BIN)/pip install -q torch==2.13.0
	$(BIN)/pip install -q -c constraints.txt -e '.[service,training,cpu,otel,client]'
	touch $@

$(BIN)/.installed-dev: $(BIN)/.installed
	$(BIN)/pip install -q -c constraints.txt --group dev
	touch $@

$(BIN)/.installed-bench: $(BIN)/.installed-dev
	$(BIN)/pip install -q -c constraints.txt --group bench
	touch $@

$(AUDIT)/tools/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(AUDIT)/tools
	$(AUDIT)/tools/bin/pip install -q --upgrade pip==26.3
	$(AUDIT)/tools/bin/pip install -q -c constraints.txt --group audit
	touch $@

# What an image holds, and not even pip beside it.
$(AUDIT)/%/.installed: $(AUDIT)/tools/.installed pyproject.toml constraints.txt
	$(PYTHON) -m venv --without-pip --clear $(AUDIT)/$*
	$(AUDIT)/tools/bin/pip --python $(AUDIT)/$*/bin/python install -q -c constraints.txt '.[$($*_extras)]'
	touch $@

spark: $(BIN)/.installed  ## Install Spark for `intently-train prepare --engine spark` (needs Java); `make test` then tests it too.
	$(BIN)/pip install -q -c constraints.txt -e '.[spark]'

demo: $(BIN)/.installed  ## Synthesize a log, train, export, serve, and show an answer change after an event.
	$(BIN)/python benchmarks/demo.py

test: $(BIN)/.installed-dev  ## Run every test; real data is read from the folder that INTENTLY_DATASETS names.
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/pytest

check: $(BIN)/.installed-dev  ## Lint, format check, types, import contracts and the Dockerfile.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile

test-compose: export COMPOSE_PROJECT_NAME := intently-test
test-compose: $(BIN)/.installed-dev  ## Start the compose stack as a project of its own, test it over its published ports, take it down.
	trap 'docker compose --profile train down --volumes' EXIT; \
	docker compose --profile train up --build --wait --wait-timeout 900 || { docker compose --profile train logs; exit 1; }; \
	INTENTLY_COMPOSE_URL=http://127.0.0.1:8000 $(BIN)/pytest tests/deploy/test_images.py tests/deploy/test_compose_running.py

audit: $(AUDIT)/service/.installed $(AUDIT)/training/.installed  ## Bills of materials (CycloneDX) and known vulnerabilities of what the images hold.
	for image in service training; do \
	    $(AUDIT)/tools/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
	        --output-file $(AUDIT)/$$image.cdx.json $(AUDIT)/$$image/bin/python || exit; \
	    $(AUDIT)/tools/bin/pip --python $(AUDIT)/$$image/bin/python freeze --exclude intently | sed 's/+cpu$$//' >$(AUDIT)/$$image.txt; \
	done
	for image in service training; do \
	    $(AUDIT)/tools/bin/pip-audit --strict --disable-pip --no-deps -r $(AUDIT)/$$image.txt || failed=1; \
	done; exit $${failed:-0}

programs:  ## Install with apt what some tests need (as root); without it they are skipped, visibly.
	bash .ci/run programs

format: $(BIN)/.installed-dev  ## Format and fix what can be fixed.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench-newcomer: $(BIN)/.installed  ## Clone, then make demo, make test and the compose stack (Docker): minutes of each.
	$(BIN)/python benchmarks/newcomer.py

bench-accuracy: $(BIN)/.installed  ## Beauty (INTENTLY_DATASETS) under the full protocol: two methods, two baselines (about an hour).
	test -d data/beauty || $(BIN)/intently-train prepare $(INTENTLY_DATASETS)/Beauty.txt --out data/beauty
	$(BIN)/intently-train baseline popularity --data data/beauty --results $(RESULTS)/accuracy-beauty.jsonl
	$(BIN)/intently-train baseline cooccurrence --data data/beauty --results $(RESULTS)/accuracy-beauty.jsonl
	$(BIN)/intently-train run sasrec --data data/beauty --out bundles --resume --results $(RESULTS)/accuracy-beauty.jsonl
	$(BIN)/intently-train run papers/iclrec --data data/beauty --out bundles --resume --results $(RESULTS)/accuracy-beauty.jsonl

bench-training: $(BIN)/.installed  ## Seconds an epoch and peak memory of every method beside the usual code (Beauty; run it alone).
	test -d data/beauty || $(BIN)/intently-train prepare $(INTENTLY_DATASETS)/Beauty.txt --out data/beauty
	$(BIN)/python benchmarks/training_speed.py --data data/beauty

bench-intents: $(BIN)/.installed  ## Served intents against planted ones: normalised mutual information.
	$(BIN)/python benchmarks/planted_intents.py

bench-served-lists: $(BIN)/.installed  ## 1,000 test users over HTTP get the lists that were evaluated (after bench-accuracy).
	$(BIN)/python benchmarks/served_lists.py --bundle bundles --data data/beauty

bench-serving: $(BIN)/.installed-bench  ## Requests a second and latency beside the usual servers, with real Redis (needs wrk; run it alone).
	$(BIN)/python benchmarks/serving_speed.py
	$(BIN)/python benchmarks/serving_stress.py
	$(BIN)/python benchmarks/serving_scale.py

bench-events: $(BIN)/.installed-bench  ## Events a second, posted alone and together, into a Redis that syncs and the event log (needs wrk; run it alone).
	$(BIN)/python benchmarks/event_speed.py

bench-chaos: $(BIN)/.installed-dev  ## Redis, workers, disk, bundles, clock and clients go wrong under load: what fails, recovers, is lost (redis-server).
	$(BIN)/python benchmarks/chaos.py

bench-runbooks: $(BIN)/.installed-dev  ## Every runbook of docs/runbooks.md while users are served: seconds, failures, losses (redis-server).
	$(BIN)/python benchmarks/runbooks.py

bench-soak: $(BIN)/.installed-dev  ## Half an hour of mixed load: is memory flat, does anything fail (redis-server; run it alone).
	$(BIN)/python benchmarks/soak.py

bench-stores: $(BIN)/.installed-dev  ## Bytes a user in Redis and SQLite at 100,000 users, and how fast a log fills them (about 20 minutes).
	$(BIN)/python benchmarks/store_memory.py
	$(BIN)/python benchmarks/store_load.py

bench-refusals: $(BIN)/.installed-dev  ## Both ports against their OpenAPI documents, and every damaged bundle: counts, and no failure.
	$(BIN)/python benchmarks/refusals.py

bench-experiments: $(BIN)/.installed  ## 4,000 simulated A/A tests and planted effects (three minutes).
	$(BIN)/python benchmarks/experiment_levels.py

bench-experiment-report: $(BIN)/.installed  ## Seconds and memory of a report of 1,000,000 exposures and 100,000 outcomes (run it alone).
	$(BIN)/python benchmarks/experiment_report.py

bench-assignment: $(BIN)/.installed  ## Microseconds a request that it takes to find a user's variants.
	$(BIN)/python benchmarks/assignment_cost.py

bench-exposures: $(BIN)/.installed-bench  ## Requests a second with an experiment and its exposures, and without (needs wrk; run it alone).
	$(BIN)/python benchmarks/exposure_cost.py

bench-exposures-killed: $(BIN)/.installed-dev  ## A million exposures and their outcomes while the service is killed: is any lost? (redis-server; ten minutes)
	$(BIN)/python benchmarks/exposures_killed.py

bench-ranker: $(BIN)/.installed  ## ELCRec section 5 on planted users: B against B+ELCM by user group, ten seeds (half an hour).
	$(BIN)/python benchmarks/ranker.py

bench-replay: $(BIN)/.installed-dev  ## A/B experiments on Beauty (INTENTLY_DATASETS), replayed through service and Redis: hours of training, then minutes.
	$(BIN)/python benchmarks/replay.py --log $(INTENTLY_DATASETS)/Beauty.txt --name beauty

bench-big-log: $(BIN)/.installed  ## Prepare a log of 100 million interactions: seconds, memory, disk (21 GB of disk, six minutes).
	$(BIN)/python benchmarks/big_log.py

bench-big-catalogue: $(BIN)/.installed  ## Train, export and serve a million items (needs wrk; 8 GB of memory, eight minutes).
	$(BIN)/python benchmarks/big_catalogue.py

reproduce: $(BIN)/.installed  ## The papers' tables on DATASET=beauty|sports|toys|yelp|ml-1m|beauty-54k: a queue of hours that can be stopped.
	$(BIN)/python benchmarks/reproduce.py $(DATASET)

render: $(BIN)/.installed  ## Draw the figures; render docs/benchmarks.md and the numbers in docs/methods from benchmarks/results.
	$(BIN)/python benchmarks/figures.py
	$(BIN)/python benchmarks/render.py

screenshots: $(BIN)/.installed-dev  ## Train, serve and photograph the console into docs/console (chromium; about three minutes).
	$(BIN)/python -m tests.console.screenshots

clean:  ## Remove what make created.
	rm -rf $(VENV) $(AUDIT) .demo
