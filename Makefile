# `make help` lists what there is. Nothing leaves this folder; `make clean` removes what was made.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000
DATA ?= demo-data
# Random tests print it; name it again to repeat a run.
KATO_FAST_TEST_SEED ?= $(shell date +%s)
ARGS ?=
# Who makes things in parallel must not run two installs into one environment.
.NOTPARALLEL:
export KATO_FAST_TEST_SEED
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

VENV := .venv
BIN := $(abspath $(VENV))/bin
PEERS := .venv-peers
# Without the build backend's remarks about editable installs.
INSTALL := PYTHONWARNINGS=ignore $(BIN)/python -m pip install -q
SAY := @printf '\033[1m%s\033[0m\n'
C_SOURCES := $(shell find csrc -name '*.[ch]')
BUILD_INPUTS := pyproject.toml setup.py kato_fast/_version.py $(C_SOURCES)
PYTEST = KATO_FAST_REQUIRE_C=1 $(BIN)/python -m pytest -p tests.ci_skips --hypothesis-seed=$(KATO_FAST_TEST_SEED)
STATUS := import kato_fast; s = kato_fast.status(); print("engine:", s["implementation"], "-", s["reason"])

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

# ---- Environments. A stamp is newer than everything that it was made from. ----

$(VENV)/.created:
	$(SAY) "Creating the virtual environment $(VENV)"
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is missing: apt-get install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 9))' \
	  || { echo "make: Python 3.9 or newer is needed; name one with PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "make: the Python module venv is missing: apt-get install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)
	@$(INSTALL) --upgrade pip 'setuptools>=77'
	@touch $@

$(VENV)/.service: $(VENV)/.created $(BUILD_INPUTS)
	@$(BIN)/python .ci/check-compiler || echo "make: going on without the C engine; the Python twin is slower" >&2
	$(SAY) "Building the C engine and installing the service (once, about a minute)"
	@$(INSTALL) --no-build-isolation -e '.[all]'
	@$(BIN)/python -c '$(STATUS)'
	@touch $@

$(VENV)/.test: $(VENV)/.created $(BUILD_INPUTS)
	@$(BIN)/python .ci/check-compiler
	$(SAY) "Building the C engine and installing what the tests need"
	@KATO_FAST_REQUIRE_C=1 $(INSTALL) --no-build-isolation -e '.[all,test,bench]'
	@$(BIN)/python -c '$(STATUS)'
	@touch $(VENV)/.service $@

$(VENV)/.lint: $(VENV)/.created pyproject.toml
	$(SAY) "Installing the linters"
	@$(INSTALL) --group lint
	@touch $@

$(VENV)/.docs: $(VENV)/.test
	$(SAY) "Installing Sphinx"
	@$(INSTALL) --group docs
	@touch $@

# Its packages are dependencies of nothing else; the newest of them need Python 3.11.
$(PEERS)/.installed: $(BUILD_INPUTS) benchmarks/compare/requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "make: the peers need Python 3.11 or newer; name one with PYTHON=..." >&2; exit 1; }
	@.ci/check-compiler
	$(SAY) "Installing the peers and the C engine into $(PEERS)"
	@test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip install -q 'setuptools>=77' -r benchmarks/compare/requirements.txt
	@KATO_FAST_REQUIRE_C=1 $(PEERS)/bin/python -m pip install -q --no-build-isolation -e '.[service,cli]'
	@touch $@

# ---- The two commands ----

.PHONY: run
run: $(VENV)/.service ## set up, build, and serve on 127.0.0.1:8000 with the demo knowledge
	@$(BIN)/kato-fast serve --demo --data "$(DATA)" --host $(HOST) --port $(PORT) || [ $$? -eq 130 ]

.PHONY: test
test: $(VENV)/.test ## set up and pass every test
	$(SAY) "Testing, seed $(KATO_FAST_TEST_SEED) (KATO_FAST_TEST_SEED=$(KATO_FAST_TEST_SEED) make test repeats this run)"
	@$(PYTEST) $(ARGS)

# ---- Checks ----

.PHONY: lint
lint: $(VENV)/.lint ## style and static checks of Python and C
	$(SAY) "ruff"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	$(SAY) "clang-format"
	@git ls-files '*.c' '*.h' | xargs $(BIN)/clang-format --dry-run -Werror
	$(SAY) "mypy"
	@$(BIN)/mypy --strict --follow-imports=silent --ignore-missing-imports kato_fast/_core.pyi kato_fast/client.py
	@if command -v cppcheck >/dev/null; then printf '\033[1mcppcheck\033[0m\n'; \
	  cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr --enable=warning,portability \
	    --suppress=missingIncludeSystem -I csrc/include csrc/core; \
	else echo "cppcheck is not installed and was left out"; \
	  test "$${CI:-}" != true || { echo "make: CI must have cppcheck" >&2; exit 1; }; fi

.PHONY: format
format: $(VENV)/.lint ## lay out Python and C as `make lint` wants them
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@git ls-files '*.c' '*.h' | xargs $(BIN)/clang-format -i

.PHONY: sanitize
sanitize: $(VENV)/.test ## C tests and parity tests under AddressSanitizer and UBSan
	@.ci/sanitize "$(BIN)/python" $(ARGS)

.PHONY: tsan
tsan: ## readers, a writer, sealing, saving and closing at once, under ThreadSanitizer
	@.ci/tsan

.PHONY: gcc-clang
gcc-clang: $(VENV)/.test ## build with gcc and clang, warnings as errors, and compare both with the twin
	@.ci/compilers "$(BIN)/python" $(ARGS)

.PHONY: neon
neon: ## cross-compile for aarch64 and run the kernels' C tests under qemu
	@.ci/neon

.PHONY: python-versions
python-versions: ## parity tests on the oldest and the newest Python
	@.ci/python-versions 3.9 3.13

.PHONY: docs
docs: $(VENV)/.docs ## the pages of docs/ as a site in build/docs, warnings as errors
	$(SAY) "sphinx"
	@$(BIN)/python -m sphinx -q -W --keep-going -b html docs build/docs

.PHONY: start
start: ## follow docs/start.md word for word in a fresh clone
	@.ci/start

# ---- Long runs ----

.PHONY: parity
parity: $(VENV)/.test ## 100,000 parity cases through C and the twin
	@KATO_FAST_CASES=$${KATO_FAST_CASES:-100000} $(PYTEST) tests/parity $(ARGS)

.PHONY: difflib
difflib: $(VENV)/.test ## 1,000,000 pairs against Python's difflib
	@KATO_FAST_PAIRS=$${KATO_FAST_PAIRS:-1000000} $(PYTEST) tests/parity -k difflib $(ARGS)

.PHONY: kernels
kernels: ## every kernel of this CPU against plain C, KATO_FAST_PAIRS pairs (a hundred million)
	@mkdir -p build
	@$(or $(CC),cc) -std=gnu11 -O3 -ffp-contract=off -pthread -Icsrc/include -o build/test_align_local \
	  tests/c/test_align_local.c $$(find csrc/core -name '*.c') -lm
	@build/test_align_local $${KATO_FAST_PAIRS:-100000000}

.PHONY: kill
kill: $(VENV)/.test ## kill -9 at 1,000 moments while learning
	@KATO_FAST_KILLS=$${KATO_FAST_KILLS:-1000} $(PYTEST) tests/stores/test_kill.py $(ARGS)

.PHONY: host-tests
host-tests: $(VENV)/.test ## a real KATO, which KATO_HOST_DIR names, plain and with kato_fast; docs/hosts.md
	@if [ -z "$$KATO_HOST_DIR" ]; then echo "host-tests: not run: KATO_HOST_DIR names no checkout of KATO"; exit 0; fi; \
	  KATO_FAST_CASES=$${KATO_FAST_CASES:-10000} $(PYTEST) tests/hosts/test_host.py $(ARGS); \
	  $(BIN)/python -m tests.hosts.suite plain on own own+servers off each

.PHONY: bench
bench: $(VENV)/.test ## measure (a quarter of an hour); ARGS="predict" or ARGS="compare bloom --quick" picks
ifeq ($(firstword $(ARGS)),compare)
	@$(MAKE) --no-print-directory bench-peers
	@$(PEERS)/bin/python -m benchmarks.compare $(wordlist 2,99,$(ARGS))
else ifneq ($(strip $(ARGS)),)
	@$(BIN)/python -m benchmarks $(ARGS)
else
	@$(MAKE) --no-print-directory bench-peers
	@$(BIN)/python -m benchmarks
	@$(PEERS)/bin/python -m benchmarks.compare
	@$(BIN)/python -m benchmarks.report
endif

.PHONY: bench-peers
bench-peers: $(PEERS)/.installed ## set up the environment of those that we are measured against

.PHONY: clean
clean: ## remove what was built; the demo's data stays
	rm -rf .venv .venv-* build dist *.egg-info kato_fast/_core.*.so .pytest_cache .hypothesis .ruff_cache .mypy_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
