# SPDX-License-Identifier: MIT
# Everything this file makes lives in .venv and build/; only the first `make` installs packages of the system.
PYTHON ?= python3
TORCH ?= torch==2.13.0
JOBS ?= $(shell nproc)

VENV := .venv
BIN := $(VENV)/bin
CMAKE_DIR := build/cmake
STAMPS := $(VENV)/stamps
INSTALLED := build/installed
SANITIZED := asan tsan
FUZZERS := announcement dealer_request frame handshake plan
FUZZ_SECONDS ?= 60
SOAK_MINUTES ?= 30
TEST_FOLDERS := $(wildcard tests/python tests/conformance tests/security)

DEBIAN := g++ cmake ninja-build ccache libssl-dev libgtest-dev libbenchmark-dev python3-venv
# A Python that brings its own headers (pyenv, conda) needs no package for them.
HAS_HEADERS := import os, sysconfig; print(os.path.exists(sysconfig.get_path("include") + "/Python.h"))
export CMAKE_BUILD_PARALLEL_LEVEL := $(JOBS)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DELETE_ON_ERROR:
.PHONY: build demo test cpp-tests bench peers lint format sanitize fuzz constant-time soak nightly types docs clean distclean

build: $(INSTALLED)
	@cmake --build $(CMAKE_DIR)

demo: build
	$(BIN)/python examples/private_inference.py

# Each worker takes whole files; most tests wait for processes half of the time. Those of faults have deadlines, and run
# one after the other.
PYTEST_WORKERS ?= $(JOBS)

# pytest comes last and runs even where a C++ test has failed; either failure is the result.
test: build cpp-tests
	@status=0; \
	ctest --test-dir $(CMAKE_DIR) -j $(JOBS) --output-on-failure --no-tests=error || status=$$?; \
	$(BIN)/python -m pytest $(PYTEST_ARGS) tests/faults || { code=$$?; test $$code = 5 || status=$$code; }; \
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadfile $(PYTEST_ARGS) $(TEST_FOLDERS) || status=$$?; \
	exit $$status

# `mutants`: the module with planted leaks, which tests/security must catch.
cpp-tests: build
	@cmake --build $(CMAKE_DIR) --target tests --target mutants

# 10,000 random programs of each kind instead of 200, against the oracle and float64.
nightly: build
	CRYPTENSOR_PROGRAMS=10000 $(BIN)/python -m pytest $(PYTEST_ARGS) tests/conformance/test_programs.py \
	  tests/conformance/test_random_torch.py

# Real processes at work for SOAK_MINUTES: results, bytes, memory, descriptors, threads; 1,000 sessions.
soak: build
	PYTHONPATH=tests:tests/conformance $(BIN)/python tests/soak/soak.py $(SOAK_MINUTES)

bench: build
	@cmake --build $(CMAKE_DIR) --target benchmarks
	@set -e; for program in $(CMAKE_DIR)/benchmarks/csrc/*_benchmark; do $$program $(BENCH_ARGS); done
	@set -e; for script in $$(grep -l __main__ benchmarks/*.py); do $(BIN)/python $$script; done

# Every warning is an error: a name that is gone, a link to nowhere, a page in no table of contents.
docs: $(INSTALLED)
	$(BIN)/python -m sphinx --fail-on-warning --keep-going -q -b html docs build/docs
	@echo "build/docs/index.html"

types: $(STAMPS)/lint $(INSTALLED)
	$(BIN)/python -m mypy

# The same works by the peers, each in an environment of its own: the page is in build/peers/page.
peers: build
	$(BIN)/python benchmarks/peers $(PEERS_ARGS)

lint: types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $$(find csrc tests benchmarks -name '*.h' -o -name '*.cpp')

format: $(STAMPS)/lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $$(find csrc tests benchmarks -name '*.h' -o -name '*.cpp')

# The C++ tests once more under AddressSanitizer + UBSan and under ThreadSanitizer.
sanitize: $(SANITIZED:%=sanitize-%)
.PHONY: $(SANITIZED:%=sanitize-%)
$(SANITIZED:%=sanitize-%): sanitize-%: $(INSTALLED)
	cmake --preset $*
	cmake --build build/$* --target tests
	ASAN_OPTIONS=detect_leaks=0 ctest --test-dir build/$* --output-on-failure --no-tests=error

# Hostile bytes, FUZZ_SECONDS for each target. What is found beyond tests/fuzz/corpus stays in build/fuzz/corpus. The
# largest allocation is one MiB: a header may claim what it likes.
fuzz: $(STAMPS)/fuzz $(INSTALLED)
	cmake --preset fuzz
	cmake --build build/fuzz --target fuzzers
	@set -e; for target in $(FUZZERS); do \
	  mkdir -p build/fuzz/corpus/$$target; \
	  ASAN_OPTIONS=detect_leaks=0 build/fuzz/tests/fuzz/fuzz_$$target -max_total_time=$(FUZZ_SECONDS) -max_len=512 \
	    -malloc_limit_mb=1 -detect_leaks=0 -print_final_stats=1 -artifact_prefix=build/fuzz/$$target- \
	    build/fuzz/corpus/$$target tests/fuzz/corpus/$$target; \
	done
	@mkdir -p build/fuzz/corpus/share_file
	$(BIN)/python tests/fuzz/share_file.py -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -print_final_stats=1 \
	  -artifact_prefix=build/fuzz/share_file- build/fuzz/corpus/share_file tests/fuzz/corpus/share_file

# No branch and no address depends on a secret: valgrind tells.
constant-time: build
	@if command -v valgrind >/dev/null; then \
	  cmake --build $(CMAKE_DIR) --target constant_time && \
	  ATEN_CPU_CAPABILITY=default CRYPTENSOR_ISA=portable valgrind --error-limit=no --num-callers=30 \
	    --log-file=build/constant_time.log $(CMAKE_DIR)/tests/constant_time/constant_time $(CONSTANT_TIME_CASE); \
	else \
	  echo "constant-time: skipped, valgrind is missing (apt-get install valgrind, then build again)"; \
	fi

clean:
	rm -rf build dist cryptensor.egg-info
	rm -f cryptensor/_C.*.so

distclean: clean
	rm -rf $(VENV)

# --- Stamps: what a second `make` must not do again -----------------------------------------------------------------
$(STAMPS)/system:
	@missing=; \
	needed="$(DEBIAN)"; \
	[ "$$($(PYTHON) -c '$(HAS_HEADERS)')" = True ] || needed="$$needed python3-dev"; \
	for package in $$needed; do \
	  dpkg -s $$package 2>/dev/null | grep -q '^Status: install ok installed' || missing="$$missing $$package"; \
	done; \
	if [ -n "$$missing" ]; then \
	  sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	  $$sudo apt-get update && \
	  $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $$missing; \
	fi
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	@mkdir -p $(@D) && touch $@

# torch first and alone: the extension is compiled against exactly the torch that it will run with.
$(STAMPS)/torch: $(STAMPS)/system
	$(BIN)/python -m pip install --quiet '$(TORCH)' 'setuptools>=77' wheel
	@touch $@

$(INSTALLED): $(STAMPS)/torch pyproject.toml setup.py
	$(BIN)/python -m pip install --quiet --no-build-isolation -e '.[test,examples]'
	$(BIN)/python -m pip install --quiet --no-deps onnx2torch
	@touch $@

# libFuzzer comes with clang, and clang does not come with its runtime unless it is asked for.
$(STAMPS)/fuzz: $(STAMPS)/torch pyproject.toml
	@if ! dpkg -s clang-14 libclang-rt-14-dev >/dev/null 2>&1; then \
	  sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	  $$sudo apt-get update && \
	  $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends clang-14 libclang-rt-14-dev; \
	fi
	$(BIN)/python -m pip install --quiet 'atheris>=3,<4'
	@touch $@

$(STAMPS)/lint: $(STAMPS)/torch pyproject.toml
	$(BIN)/python -m pip install --quiet 'ruff' 'clang-format>=19,<20' 'mypy>=2' pre-commit
	@touch $@
