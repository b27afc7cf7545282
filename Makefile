# Every verb sets up what it needs and is quick the second time. `make` alone lists them.
PYTHON ?= python3
DEMO_VENV := .venv-demo
PEER_VENV := .venv-peer
VENV := .venv
STAMP := .installed
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test test-all lint types tests bench bench-methods bench-export demo-model clean

help:  ## list the verbs
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 16

demo: $(DEMO_VENV)/$(STAMP)  ## inspect the embedded demo images; writes clipspect-demo/index.html
	$(DEMO_VENV)/bin/clipspect demo --out clipspect-demo

test: lint types tests  ## lint, types and tests

lint: $(VENV)/$(STAMP)  ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/$(STAMP)  ## mypy --strict on the runtime and the exporter
	$(BIN)/mypy

tests: $(VENV)/$(STAMP)  ## pytest, WinCLIP's full-size export included
	$(BIN)/pytest --durations 10

test-all: lint types  ## the same, and the full-size exports of AnomalyCLIP and APRIL-GAN (minutes more)
	$(BIN)/pytest --durations 10 -m ""

bench: $(VENV)/$(STAMP)  ## where an inspection's time goes, on the demo bundle
	$(BIN)/pytest benchmarks/bench_inspect.py --benchmark-only

bench-methods: $(VENV)/$(STAMP) $(PEER_VENV)/$(STAMP)  ## every method at full size beside its peers; writes work/bench/methods.md and .png
	mkdir -p work/bench
	$(BIN)/pytest benchmarks/bench_methods.py --benchmark-only --benchmark-json work/bench/methods.json; status=$$?; \
	$(BIN)/python benchmarks/report.py work/bench/methods.json work/bench && exit $$status

bench-export: $(VENV)/$(STAMP)  ## how long full-size exports take (10 minutes, 7 GB)
	$(BIN)/pytest benchmarks/bench_export.py --benchmark-only

demo-model: $(VENV)/$(STAMP)  ## draw the pictures, train the demo CLIP (up to two hours), write its bundle
	mkdir -p work/demo
	cd models && ../$(BIN)/python -m demo.train --work ../work/demo --out clipspect_models/demo.safetensors
	cd models && ../$(BIN)/python -m demo.build

clean:  ## remove the environments and what was made; a training in work/ stays
	rm -rf $(VENV) $(DEMO_VENV) $(PEER_VENV) clipspect-demo build .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks

# The demo's environment holds the runtime and one engine, nothing else: no torch.
$(DEMO_VENV)/$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(DEMO_VENV)
	$(DEMO_VENV)/bin/pip install --quiet --disable-pip-version-check --editable ".[cpu]"
	touch $@

$(VENV)/$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[dev]"
	touch $@

# What users run instead: anomalib with its own pins (6 GB).
$(PEER_VENV)/$(STAMP):
	$(PYTHON) -m venv $(PEER_VENV)
	$(PEER_VENV)/bin/pip install --quiet --disable-pip-version-check "anomalib[cpu,clip]==2.7.0"
	touch $@
