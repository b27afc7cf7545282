# Every verb sets up what it needs and is quick the second time. `make` alone lists them.
PYTHON ?= python3
DEMO_VENV := .venv-demo
PEER_VENV := .venv-peer
DOCS_VENV := .venv-docs
VENV := .venv
STAMP := .installed
MINUTES := 10
PARALLEL := -n auto --maxprocesses 4 --dist loadfile
BIN := $(VENV)/bin
# Threads wait without spinning: where other work shared the cores, a step took 1.6 s of CPU time instead of 7.
TRAIN := OMP_WAIT_POLICY=passive ../$(BIN)/python -m demo.train --work ../work/demo

# What a box has besides clipspect; box-cpu.txt has an engine, too. A GPU's engines are NVIDIA's: runtime/jetson.
LOCK := $(BIN)/uv pip compile --universal --python-version 3.10 --generate-hashes --no-annotate --quiet $(ARGS) \
	--custom-compile-command "make lock"
BOX := --extra text --extra mqtt --extra sign --extra video
AUDITED := $(BIN)/uv tool run --quiet pip-audit==2.10.1 --strict --disable-pip --require-hashes

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-all lint types tests compat arm docs
.PHONY: bench bench-methods bench-gpu bench-line soak bench-archive bench-export cost demo-model cpp fuzz fuzz-cpp kills lock sbom audit clean

help:  ## list the verbs
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 16

demo: $(DEMO_VENV)/$(STAMP)  ## inspect the embedded demo images; writes clipspect-demo/index.html
	$(DEMO_VENV)/bin/clipspect demo --out clipspect-demo

test: lint types tests  ## lint, types and tests

lint: $(VENV)/$(STAMP)  ## ruff: rules and format; import-linter: what may import what
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

types: $(VENV)/$(STAMP)  ## mypy --strict on the runtime and the exporter
	$(BIN)/mypy

tests: $(VENV)/$(STAMP)  ## pytest, without the slow ones
	$(BIN)/pytest $(PARALLEL) --durations 10

test-slow: $(VENV)/$(STAMP)  ## full-size exports, the installed wheel, README's commands, C++ under sanitizers, restarts
	$(BIN)/pytest $(PARALLEL) --durations 10 -m slow

test-all: test test-slow  ## both

docs: $(DOCS_VENV)/$(STAMP)  ## the documentation as a site, links checked; writes build/site/index.html
	NO_MKDOCS_2_WARNING=1 $(DOCS_VENV)/bin/mkdocs build --strict --quiet

compat: $(VENV)/$(STAMP)  ## the built wheel with the lowest and the newest dependencies, Python 3.10 to 3.13 (ARGS=--strict)
	PYTHONPATH=tests $(BIN)/python tests/install/compat.py $(ARGS)

arm: $(VENV)/$(STAMP)  ## the runtime and the C++ example on emulated aarch64 (root, an hour the first time; ARGS=--help)
	PYTHONPATH=tests $(BIN)/python tests/install/arm.py $(ARGS)

bench: $(VENV)/$(STAMP)  ## the demo bundle in every engine and precision: times, accuracy; writes work/bench/report.md and .png
	mkdir -p work/bench
	$(BIN)/pytest benchmarks/bench_inspect.py --benchmark-only --benchmark-json work/bench/inspect.json
	$(BIN)/clipspect bench demo --threads 2 --json > work/bench/demo.json
	$(BIN)/python benchmarks/report.py work/bench

bench-methods: $(VENV)/$(STAMP) $(PEER_VENV)/$(STAMP)  ## every method at full size beside its peers, into the same report
	mkdir -p work/bench
	$(BIN)/pytest benchmarks/bench_methods.py --benchmark-only --benchmark-json work/bench/methods.json; status=$$?; \
	$(BIN)/python benchmarks/report.py work/bench && exit $$status

bench-gpu: $(VENV)/$(STAMP)  ## on a machine with an NVIDIA GPU: parity and times of every way to it; writes work/bench/gpu.json
	PYTHONPATH=models:benchmarks $(BIN)/python benchmarks/bench_gpu.py

bench-line: $(VENV)/$(STAMP)  ## a line of two cameras at the engine's rate for ten minutes, and the time from a file to its MQTT message
	$(BIN)/python benchmarks/bench_line.py

bench-archive: $(VENV)/$(STAMP)  ## 5,000 images over Ray, workers and driver killed; memory, and two workers beside one
	$(BIN)/python benchmarks/bench_archive.py

soak: $(VENV)/$(STAMP)  ## mixed work for SECONDS (600) in one process: memory, handles and threads must not grow
	$(BIN)/python benchmarks/soak.py $(SECONDS)

bench-export: $(VENV)/$(STAMP)  ## how long full-size exports take (10 minutes, 7 GB)
	$(BIN)/pytest benchmarks/bench_export.py --benchmark-only

cost: $(VENV)/$(STAMP)  ## what speed costs in accuracy, on the demo model (an hour); writes docs/cost-of-speed.md and .png
	PYTHONPATH=models:benchmarks $(BIN)/python benchmarks/cost_of_speed.py

demo-model: $(VENV)/$(STAMP)  ## draw the pictures, train the demo CLIP (two rounds, some hours), write its curve and bundle
	mkdir -p work/demo
	cd models && $(TRAIN) --round 1 --out ../work/demo/round-1.safetensors
	cd models && $(TRAIN) --round 2 --from ../work/demo/round-1.safetensors --out clipspect_models/demo.safetensors
	cd models && ../$(BIN)/python -m demo.curve ../work/demo ../docs/demo-learning-curve.png
	cd models && ../$(BIN)/python -m demo.build

cpp: $(VENV)/$(STAMP)  ## build the C++ example, build/cpp/inspect, and compare it with Python (sanitizers on)
	cmake -S runtime/cpp -B build/cpp -DOpenVINO_DIR="$$($(BIN)/python -c 'import openvino.utils as u; print(u.get_cmake_path())')"
	cmake --build build/cpp
	$(BIN)/pytest tests/runtime/cpp --durations 5

fuzz: $(VENV)/$(STAMP)  ## fuzz what Python reads from outside, MINUTES=10 a target (Atheris, Python 3.11 or later); findings lie in build/fuzz
	mkdir -p build/fuzz
	for target in recipe bundle check graph image tokenizer source records; do \
		$(BIN)/python tests/fuzz/run.py $$target build/fuzz -max_total_time=$$((60 * $(MINUTES))) || exit 1; done

fuzz-cpp: $(VENV)/$(STAMP)  ## fuzz what the C++ side reads, MINUTES=10 a target (clang, libclang-rt-14-dev)
	CC=clang CXX=clang++ cmake -S runtime/cpp -B build/fuzz-cpp -DCLIPSPECT_FUZZ=ON
	cmake --build build/fuzz-cpp
	$(BIN)/python runtime/cpp/fuzz/seeds.py build/fuzz-cpp/corpus
	cd build/fuzz-cpp && for target in manifest recipe onnx_file exif; do \
		fuzz/fuzz_$$target corpus/$$target -max_total_time=$$((60 * $(MINUTES))) -max_len=16384 -timeout=10 -artifact_prefix=$$target- || exit 1; done

kills: $(VENV)/$(STAMP)  ## kill every command that writes, 300 times in all, and start it again (ARGS="--seed 1 --only watch")
	PYTHONPATH=tests $(BIN)/python tests/support/kills.py $(ARGS)

lock: $(VENV)/$(STAMP)  ## requirements/*.txt: what boxes install, each with its hashes (ARGS=--upgrade for newer versions)
	$(LOCK) pyproject.toml $(BOX) --output-file requirements/box.txt
	$(LOCK) pyproject.toml $(BOX) --extra cpu --output-file requirements/box-cpu.txt
	$(LOCK) requirements/build.in --output-file requirements/build.txt

sbom: $(VENV)/$(STAMP)  ## what a box with the locked packages holds, in CycloneDX: build/sbom.json
	$(BIN)/uv venv --quiet --clear build/box
	$(BIN)/uv pip install --quiet --python build/box --require-hashes -r requirements/box-cpu.txt
	$(BIN)/uv build --quiet --wheel --out-dir build/wheel --clear
	$(BIN)/uv pip install --quiet --python build/box --no-deps build/wheel/*.whl
	$(BIN)/uv tool run --quiet --from cyclonedx-bom==7.5.0 cyclonedx-py environment build/box/bin/python \
		--pyproject pyproject.toml --mc-type application --output-reproducible --of JSON -o build/sbom.json

audit: $(VENV)/$(STAMP)  ## known vulnerabilities of the locked packages, by PyPI's records; fails where one cannot be looked up
	$(AUDITED) -r requirements/box-cpu.txt
	$(AUDITED) -r requirements/build.txt

clean:  ## remove the environments and what was made; a training in work/ stays
	rm -rf $(VENV) $(DEMO_VENV) $(PEER_VENV) $(DOCS_VENV) clipspect-demo build .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks

# The demo's environment holds the runtime and one engine, nothing else: no torch, nor what installed it (27 MB).
$(DEMO_VENV)/$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(DEMO_VENV)
	$(DEMO_VENV)/bin/pip install --quiet --disable-pip-version-check --editable ".[cpu]"
	$(DEMO_VENV)/bin/pip uninstall --quiet --yes setuptools pip
	touch $@

$(VENV)/$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[dev]"
	touch $@

$(DOCS_VENV)/$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(DOCS_VENV)
	$(DOCS_VENV)/bin/pip install --quiet --disable-pip-version-check --editable ".[docs]"
	touch $@

# What users run instead: anomalib with its own pins (6 GB).
$(PEER_VENV)/$(STAMP):
	$(PYTHON) -m venv $(PEER_VENV)
	$(PEER_VENV)/bin/pip install --quiet --disable-pip-version-check "anomalib[cpu,clip]==2.7.0"
	touch $@
