# callboard's chores. `make` alone lists them. Each sets up what it needs, and a second run is quick.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

# rustup's commands look for their toolchains under HOME. Where HOME is another one (a container, a fresh
# account), the commands on PATH still lead to them.
RUSTUP := $(patsubst %/.cargo/bin/cargo,%/.rustup,$(shell command -v cargo))
ifneq ($(wildcard $(RUSTUP)/toolchains),)
export RUSTUP_HOME ?= $(RUSTUP)
endif

PY := .venv/bin/python
MATURIN := env -u CONDA_PREFIX VIRTUAL_ENV=$(CURDIR)/.venv $(PY) -m maturin
STAMPS := target/stamps
INTEROP := target/interop
AG2_OLDER := 0.13.4 0.9.10
AG2_V1 := 1.0.6 1.1.2 1.2.1
AG2_V1_NEWEST := $(lastword $(AG2_V1))

# How maturin builds: for debugging, for a release, and for the wheel that is released, guided by a profile.
AS_dev := --profile dev
AS_release := --profile release
AS_guided := $(AS_release) --pgo
GUIDED_BY := $(STAMPS)/profdata target/venvs/ag2-$(AG2_V1_NEWEST)/ready scripts/train benches/train.py

MERMAID := $(dir $(wildcard tests/mermaid/package.json))

RUST_SOURCES := $(wildcard Cargo.toml Cargo.lock pyproject.toml) \
	$(shell find crates -type f -not -path '*/tests/*' -not -path '*/benches/*' -not -path '*/examples/*')
PYTHON_SOURCES := $(shell find python/callboard -name '*.py' -o -name '*.pyi' -o -name py.typed)
PYTHON_CHECKED := $(wildcard python examples tests benches)

.PHONY: help
help: ## list these chores
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

# ---- what people run

.PHONY: demo
demo: $(STAMPS)/native-release ## run the sample: its conversation, its cost, its diagram, its trace as a collector sees it
	@cd examples && ../$(PY) receiver.py ../$(PY) comedians.py

.PHONY: test
test: lint test-rust test-python test-ag2 test-wheel ## check and test everything that needs no other program

.PHONY: interop
interop: $(INTEROP)/otelcol $(INTEROP)/jaeger $(STAMPS)/native-dev ## test against the real OpenTelemetry Collector and Jaeger
	$(PY) -m pytest -rs --timeout 300 tests/interop

.PHONY: ag2-tests
ag2-tests: ag2-checkout target/venvs/ag2-own/ready target/venvs/ag2-own-v1/ready $(STAMPS)/native-dev ## run AG2's own tests without callboard and with it: AG2_TESTS=its repository
	@PYTHONPATH=$(CURDIR)/python target/venvs/ag2-own/bin/python tests/ag2_own/compare.py "$(AG2_TESTS)"
	@PYTHONPATH=$(CURDIR)/python target/venvs/ag2-own-v1/bin/python tests/ag2_own/compare.py "$(AG2_TESTS)"

.PHONY: bench
bench: $(STAMPS)/native-release target/venvs/ag2-$(AG2_V1_NEWEST)/ready ## measure callboard beside the OpenTelemetry SDKs
	cargo build --quiet --release --manifest-path benches/rust/Cargo.toml --target-dir target/benches
	$(PY) benches/run.py

.PHONY: wheel
wheel: $(STAMPS)/rust .venv/ready $(GUIDED_BY) ## build the wheel that is released, guided by a profile, in dist (takes minutes)
	$(MATURIN) build $(AS_guided) --out dist

.PHONY: lint
lint: $(STAMPS)/rust .venv/ready ## check formatting, lints and types
	cargo fmt --all --check
	cargo fmt --check --manifest-path benches/rust/Cargo.toml
	cargo clippy --workspace --all-targets --quiet -- --deny warnings
	$(PY) -m ruff format --check $(PYTHON_CHECKED)
	$(PY) -m ruff check $(PYTHON_CHECKED)
	$(PY) -m mypy --strict python/callboard examples

.PHONY: fmt
fmt: $(STAMPS)/rust .venv/ready ## format the sources and mend what can be mended
	cargo fmt --all
	cargo fmt --manifest-path benches/rust/Cargo.toml
	$(PY) -m ruff format $(PYTHON_CHECKED)
	$(PY) -m ruff check --fix $(PYTHON_CHECKED)

# ---- the parts of `test`

.PHONY: test-rust
test-rust: $(STAMPS)/rust $(if $(MERMAID),$(MERMAID)node_modules/.package-lock.json)
	cargo test --workspace --quiet

.PHONY: test-python
test-python: $(STAMPS)/native-dev
	$(PY) -m pytest -rs --timeout 300 tests/python tests/examples tests/tidy

.PHONY: test-ag2
test-ag2: $(AG2_OLDER:%=test-ag2-%) $(AG2_V1:%=test-ag2-%)

.PHONY: $(AG2_OLDER:%=test-ag2-%)
$(AG2_OLDER:%=test-ag2-%): test-ag2-%: target/venvs/ag2-%/ready $(STAMPS)/native-dev
	PYTHONPATH=python target/venvs/ag2-$*/bin/python -m pytest -rs --timeout 300 tests/python/ag2 tests/examples

.PHONY: $(AG2_V1:%=test-ag2-%)
$(AG2_V1:%=test-ag2-%): test-ag2-%: target/venvs/ag2-%/ready $(STAMPS)/native-dev
	PYTHONPATH=python target/venvs/ag2-$*/bin/python -m pytest -rs --timeout 300 tests/python/ag2_v1

.PHONY: test-wheel
test-wheel: $(STAMPS)/wheel
	@scripts/smoke target/wheel-site

# ---- set-up, each step made once

PINS := python/requirements/tests.txt python/requirements/constraints.txt

.venv/ready: python/requirements/dev.txt $(PINS)
	@scripts/venv $(@D) $<

target/venvs/ag2-own-v1/ready: python/requirements/ag2-$(AG2_V1_NEWEST).txt

target/venvs/ag2-%/ready: python/requirements/ag2-%.txt $(PINS)
	@scripts/venv $(@D) $<

.PHONY: ag2-checkout
ag2-checkout:
	@scripts/need ag2-tests "$(AG2_TESTS)"

$(STAMPS)/rust:
	@scripts/need rust
	@mkdir -p $(@D) && touch $@

# Built in place, for every environment to import. The built file is a prerequisite too: where somebody built
# it by hand since, nobody knows how.
$(STAMPS)/native-%: $(STAMPS)/rust .venv/ready $(RUST_SOURCES) $(wildcard python/callboard/_native.*)
	@rm -f $(STAMPS)/native-*
	@scripts/quietly "building callboard ($*)" $(MATURIN) develop $(AS_$*)
	@touch $@

$(STAMPS)/profdata:
	@scripts/need profdata
	@mkdir -p $(@D) && touch $@

$(STAMPS)/wheel: $(STAMPS)/rust .venv/ready $(RUST_SOURCES) $(PYTHON_SOURCES)
	@rm -rf target/wheels target/wheel-site
	@scripts/quietly "building the wheel" $(MATURIN) build $(AS_dev) --out target/wheels
	@$(PY) -m pip install --quiet --no-index --no-deps --target target/wheel-site target/wheels/*.whl
	@touch $@

$(MERMAID)node_modules/.package-lock.json: $(wildcard $(MERMAID)package*.json)
	@scripts/need node
	@scripts/quietly "installing Mermaid's parser" npm --prefix $(MERMAID) ci --no-audit --no-fund
	@touch $@

$(INTEROP)/otelcol: $(wildcard tests/interop/collector/*)
	@scripts/need go
	@scripts/quietly "building the OpenTelemetry Collector" go -C tests/interop/collector build -o $(CURDIR)/$@ .

$(INTEROP)/jaeger: tests/interop/build-jaeger
	@scripts/need go
	@scripts/quietly "building Jaeger" tests/interop/build-jaeger $@
