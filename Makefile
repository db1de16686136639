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
TEST_FOLDERS := $(wildcard tests/python tests/conformance tests/security tests/faults)

DEBIAN := g++ cmake ninja-build ccache libssl-dev libgtest-dev libbenchmark-dev python3-venv
# A Python that brings its own headers (pyenv, conda) needs no package for them.
HAS_HEADERS := import os, sysconfig; print(os.path.exists(sysconfig.get_path("include") + "/Python.h"))
export CMAKE_BUILD_PARALLEL_LEVEL := $(JOBS)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DELETE_ON_ERROR:
.PHONY: build demo test cpp-tests bench lint format sanitize clean distclean

build: $(INSTALLED)
	@cmake --build $(CMAKE_DIR)

demo: build
	$(BIN)/python examples/private_inference.py

# pytest comes last and runs even where a C++ test has failed; either failure is the result.
test: build cpp-tests
	@status=0; \
	ctest --test-dir $(CMAKE_DIR) -j $(JOBS) --output-on-failure --no-tests=error || status=$$?; \
	$(BIN)/python -m pytest $(PYTEST_ARGS) $(TEST_FOLDERS) || status=$$?; \
	exit $$status

# `mutants`: the module with planted leaks, which tests/security must catch.
cpp-tests: build
	@cmake --build $(CMAKE_DIR) --target tests --target mutants

bench: build
	@cmake --build $(CMAKE_DIR) --target benchmarks
	@set -e; for program in $(CMAKE_DIR)/benchmarks/csrc/*_benchmark; do $$program $(BENCH_ARGS); done
	@set -e; for script in $$(grep -l __main__ benchmarks/*.py); do $(BIN)/python $$script; done

lint: $(STAMPS)/lint
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

$(STAMPS)/lint: $(STAMPS)/torch pyproject.toml
	$(BIN)/python -m pip install --quiet 'ruff' 'clang-format>=19,<20' pre-commit
	@touch $@
