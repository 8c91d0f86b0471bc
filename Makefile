# One target per job. `make run` and `make test` do their own set-up.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
LOCK := requirements.lock
IMAGE_LOCK := requirements-image.lock
BATCH_LOCK := requirements-batch.lock
DATA ?=
BENCH ?=
PORT ?= 8000
# Threads that spin while they wait cost more than they bring when cores are shared.
export OMP_WAIT_POLICY ?= passive

.PHONY: help autoscaling soak install run test test-quick test-slow test-serve test-cluster test-install check lint format types layers bench overload drill scale accuracy lock chart clean
.DEFAULT_GOAL := help

help:  ## Print the targets.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /|/' | column -t -s '|'

install: .venv/installed  ## Make .venv from the lock file.

.venv/installed: $(LOCK) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Marquee needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Set PYTHON=..."; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(LOCK)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

run: install  ## Data, training and the graph: recommendations over HTTP. DATA=folder for your own, PORT=8000.
	@exec $(BIN)/marquee up --port $(PORT) $(if $(DATA),--data "$(DATA)")

# As many files at a time as there are cores. What starts a graph needs the machine for itself.
SIDE_BY_SIDE ?= --numprocesses auto --dist loadfile

test: check test-quick test-slow test-serve  ## Everything that CI runs.

test-quick: install  ## Tests that need no graph.
	$(BIN)/pytest $(SIDE_BY_SIDE) -m "not slow and not serve and not cluster"

test-slow: install  ## Tests that take more than a few seconds each.
	$(BIN)/pytest $(SIDE_BY_SIDE) -m "slow and not serve and not cluster"

test-serve: install  ## Tests against a running graph.
	$(BIN)/pytest -m "serve and not cluster" --durations=12

test-cluster: install  ## Tests on the Kubernetes that KUBECONFIG points to, else on one that comes and goes (../shared/cluster).
	.ci/cluster $(BIN)/pytest -m cluster --durations=12

test-install: install  ## Of those, the ones without load: our objects on the API server, helm install to uninstall.
	.ci/cluster $(BIN)/pytest -m cluster tests/charts tests/conformance tests/deployments tests/e2e/test_install.py

check: lint types layers  ## Everything that needs no running code.

lint: install  ## Ruff: rules and format.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: install  ## Let ruff rewrite what it can.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: install  ## mypy --strict.
	$(BIN)/mypy

layers: install  ## The one direction of imports.
	$(BIN)/lint-imports

bench: install  ## Every figure of docs/performance.md (about 25 minutes); ends with one line of JSON. BENCH="--only rivals" for a part.
	@$(BIN)/marquee bench --out docs/performance $(BENCH)

autoscaling: install  ## The scaling policy against Ray Serve's own, simulated; the table and the plot of docs/autoscaling.md.
	@$(BIN)/marquee autoscaling --plot docs/autoscaling.png

SOAK_SECONDS = $(if $(filter command line environment,$(origin SECONDS)),$(SECONDS),600)
soak: install  ## Steady load for 10 minutes (SECONDS=): fails when memory grows or a request fails.
	@$(BIN)/marquee soak --seconds $(SOAK_SECONDS)

overload: install  ## Up to three times the capacity, shed and popular; plots in docs/performance/.
	@$(BIN)/marquee overload --out docs/performance

drill: install  ## A good canary and six bad ones, rolled out on the real service under load (about 12 minutes).
	@$(BIN)/marquee drill

scale: install  ## 10,000 against 1,000,000 simulated users: time and memory of every step.
	@$(BIN)/marquee scale

EVALUATED ?= ../shared/data/ml-latest-small ../shared/data/kuairand-pure
SHOWN ?= ../shared/data/kuairand-pure
accuracy: install  ## The accuracy tables of docs/evaluation, every protocol (over an hour on two cores).
	@set -e; for data in $(SHOWN); do out=docs/evaluation/$$(basename $$data)/impressions; \
	  $(BIN)/marquee evaluate --data $$data --protocol impressions --json $$out/report.json --out $$out; \
	done; for data in $(EVALUATED); do for protocol in leave-last-out global-time; do \
	  out=docs/evaluation/$$(basename $$data)/$$protocol; tuned=$$out/settings.json; \
	  if [ -f $$tuned ]; then settings="--config $$tuned --with-defaults"; else settings=; fi; \
	  $(BIN)/marquee evaluate --data $$data --protocol $$protocol --json $$out/report.json --out $$out $$settings; \
	done; done

lock: install  ## Resolve the newest allowed versions anew (needs uv).
	uv pip compile pyproject.toml --all-extras --upgrade --generate-hashes --no-header --no-annotate \
	  --python-version 3.11 --no-emit-package nvidia-nccl-cu12 -o $(LOCK)
	printf 'hatchling\nxgboost-cpu==%s\n' "$$(sed -nE 's/^xgboost==([^ ]+).*/\1/p' $(LOCK))" \
	  | uv pip compile pyproject.toml - --extra serve --extra redis --extra kubernetes --extra objects --extra kafka --extra lake --extra loadtest \
	  --constraint $(LOCK) --generate-hashes --no-header --no-annotate --python-version 3.11 \
	  --no-emit-package xgboost --no-emit-package nvidia-nccl-cu12 -o $(IMAGE_LOCK)
	uv pip compile pyproject.toml --extra tune --extra features --constraint $(LOCK) --generate-hashes --no-header \
	  --no-annotate --python-version 3.11 $$(sed -nE 's/^([^ =]+)==.*/--no-emit-package \1/p' $(IMAGE_LOCK)) \
	  --no-emit-package xgboost --no-emit-package nvidia-nccl-cu12 -o $(BATCH_LOCK)

chart: install  ## Write what the Helm charts take from the program: schemas of values, tables, Ray's variables, dashboards.
	$(BIN)/python -m deployments.dashboards charts/marquee/files/dashboards
	$(BIN)/python -m deployments.chart charts

clean:  ## Remove what the targets made, bundles and state included.
	rm -rf .venv .marquee .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
