# Two commands for a newcomer: `make demo` and `make test`. `make help` lists the rest.
# Needs Python ≥ 3.11 and a package index; Node.js for the contracts' compiler and for the Ethereum test client.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON  ?= $(shell tools/interpreters first)
VENV    := .venv
BIN     := $(VENV)/bin
NPM     := npm --no-fund --no-audit --loglevel=error
ANVIL_VERSION := 1.7.1
GETH_VERSION := 1.13.15
AVALANCHEGO_VERSION := 1.14.0

export PROML_ENGINES := $(CURDIR)/.engines

.PHONY: help demo test test-python test-network test-network-slow test-integrations test-stores test-ipfs test-frameworks test-torch test-interpreters test-solidity test-contracts symbolic slither check peers bench contracts fuzz mutants engines docs lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

# --------------------------------------------------------------------------------------------------- environments

define made
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 or newer found; install one, or run: make PYTHON=/path/to/python3" >&2; exit 2; }
	@echo "setting up the environment in $(@D) (once)"
	@tools/environment "$(PYTHON)" $(@D)
endef

$(VENV)/.demo: requirements/demo.txt pyproject.toml
	$(made) requirements/demo.txt
	@$(BIN)/python -m compileall -q src
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml
	$(made) requirements/dev.txt
	@$(BIN)/python -m compileall -q src
	@touch $@ $(VENV)/.demo

.venv-frameworks/.made .venv-stores/.made .venv-torch/.made: .venv-%/.made: requirements/%.txt pyproject.toml
	$(made) requirements/$*.txt
	@touch $@

contracts/node_modules/.made: contracts/package.json contracts/package-lock.json
	@cd contracts && $(NPM) ci
	@touch $@

# What bench/ compares with, and what examines the contracts, in environments of their own: never a part of the product.
.venv-peers/.made .venv-contracts/.made: .venv-%/.made: requirements/%.txt
	$(made) requirements/$*.txt --no-project
	@touch $@

# Its package refuses Python 3.11 and asks for 5 GB that no metric passes through: requirements/yprov-excludes.in.
.venv-yprov/.made: PYTHON = $(shell tools/interpreters since 3.12)
.venv-yprov/.made: requirements/yprov.txt
	$(made) requirements/yprov.txt --no-project --no-deps
	@touch $@

.PHONY: yprov
yprov:
	@if [ -n "$$(tools/interpreters since 3.12)" ]; then $(MAKE) --no-print-directory .venv-yprov/.made; \
	else tools/left-out yprov "it needs Python 3.12 or newer, and none was found"; fi

.engines/anvil-$(ANVIL_VERSION):
	@mkdir -p .engines
	@$(NPM) install --no-save --prefix .engines @foundry-rs/anvil@$(ANVIL_VERSION)
	@touch $@

# The last line of go-ethereum that seals blocks; the flag is for one of its dependencies, with Go 1.23 and later.
.engines/geth-$(GETH_VERSION)/geth:
	@mkdir -p $(@D)
	@GOBIN=$(CURDIR)/$(@D) go install -ldflags=-checklinkname=0 github.com/ethereum/go-ethereum/cmd/geth@v$(GETH_VERSION)

# The same with a clock that can be wrong.
.engines/geth-skewed-$(GETH_VERSION)/geth: tools/skewed-geth
	@tools/skewed-geth $(GETH_VERSION) $(@D)
	@touch $@

engines: geth  ## Ethereum clients that the tests start, into .engines
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory .engines/anvil-$(ANVIL_VERSION); \
	else tools/left-out engines "npm is not installed"; fi

# The plug-in is Subnet-EVM, of the version in tools/subnet-evm/go.mod; avalanchego finds it by the name of its machine.
AVALANCHEGO := .engines/avalanchego-$(AVALANCHEGO_VERSION)
SUBNET_EVM  := $(AVALANCHEGO)/plugins/srEXiWaHuhNyGwPUi444Tu47ZEDwxTWrbQiuD7FmgSAQ6X7Dy

$(AVALANCHEGO)/avalanchego:
	@mkdir -p $(@D)
	@GOBIN=$(CURDIR)/$(@D) go install github.com/ava-labs/avalanchego/main@v$(AVALANCHEGO_VERSION)
	@mv $(@D)/main $@

$(SUBNET_EVM): tools/subnet-evm/main.go tools/subnet-evm/go.mod tools/subnet-evm/go.sum
	@mkdir -p $(@D)
	@cd tools/subnet-evm && go build -o $(CURDIR)/$@ .

.PHONY: subnet-evm
subnet-evm:  ## avalanchego with Subnet-EVM, into .engines (five minutes to build)
	@if command -v go >/dev/null; then $(MAKE) --no-print-directory $(AVALANCHEGO)/avalanchego $(SUBNET_EVM); \
	else tools/left-out subnet-evm "go is not installed"; fi

.PHONY: geth
geth:  ## go-ethereum for networks of several participants, into .engines (two minutes to build)
	@if command -v go >/dev/null; then $(MAKE) --no-print-directory .engines/geth-$(GETH_VERSION)/geth; \
	else tools/left-out geth "go is not installed"; fi

# A real S3 server for the tests; its licence (AGPL) is of no consequence for what is never shipped.
MINIO_VERSION := 0.0.0-20260212201848-7aac2a2c5b7c

.engines/minio-$(MINIO_VERSION)/minio:
	@mkdir -p $(@D)
	@GOBIN=$(CURDIR)/$(@D) go install github.com/minio/minio@v$(MINIO_VERSION)

.PHONY: minio
minio:  ## a MinIO server for the tests of stores, into .engines (three minutes to build)
	@if command -v go >/dev/null; then $(MAKE) --no-print-directory .engines/minio-$(MINIO_VERSION)/minio; \
	else tools/left-out minio "go is not installed"; fi

# The newest Kubo that Go can build from outside of its own repository, with the Go that it was made for.
KUBO_VERSION := 0.39.0

.engines/kubo-$(KUBO_VERSION)/ipfs:
	@mkdir -p $(@D)
	@GOTOOLCHAIN=go1.25.0 GOBIN=$(CURDIR)/$(@D) go install github.com/ipfs/kubo/cmd/ipfs@v$(KUBO_VERSION)

.PHONY: kubo
kubo:  ## a Kubo daemon for the tests of IPFS, into .engines (five minutes to build)
	@if command -v go >/dev/null; then $(MAKE) --no-print-directory .engines/kubo-$(KUBO_VERSION)/ipfs; \
	else tools/left-out kubo "go is not installed"; fi

EAS_VERSION := 1.9.0
EAS_SHA256  := 9b168dcbeea489418df67ed665b830c7919ae6c8d8c44bbd3694fdcf8bbd6f25

# The package is unpacked and not installed: its built contracts are wanted, not the hundreds of packages it depends on.
.engines/eas-contracts-$(EAS_VERSION)/package:
	@mkdir -p $(@D)
	@cd $(@D) && $(NPM) pack --silent @ethereum-attestation-service/eas-contracts@$(EAS_VERSION) >/dev/null && \
	  echo "$(EAS_SHA256)  $$(echo *.tgz)" | sha256sum --check --quiet && tar xzf *.tgz && rm *.tgz

.PHONY: eas
eas:  ## the built contracts of the Ethereum Attestation Service, which `make bench` measures beside ours
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory .engines/eas-contracts-$(EAS_VERSION)/package; \
	else tools/left-out eas "npm is not installed"; fi

# ----------------------------------------------------------------------------------------------------- what users run

demo: $(VENV)/.demo  ## the whole story, on real data, on this machine
	@$(BIN)/proml demo --into demo-out

test: $(VENV)/.dev engines eas solc  ## every test; names what had to be left out
	@rm -f .cache/left-out
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target test-solidity test-interpreters
	@$(MAKE) --no-print-directory test-python
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target test-network test-integrations
	@tools/left-out report

test-python: $(VENV)/.dev engines  ## the Python tests on the main interpreter
	@$(BIN)/python -m pytest -n 2 --dist loadgroup $(PYTEST)

test-network: $(VENV)/.dev geth  ## four organisations on real clients, which are killed and cut off
	@$(BIN)/python -m pytest tests/network -m 'not long'

test-network-slow: $(VENV)/.dev geth subnet-evm .engines/geth-skewed-$(GETH_VERSION)/geth  ## what takes minutes: four stories at once, a chain that stands still, wrong clocks, Subnet-EVM
	@$(BIN)/python -m pytest tests/network -m long

# One after the other: each needs the machine; the network's tests mostly wait for blocks, and go beside them.
test-integrations:  ## the tests with S3, with frameworks and with PyTorch
	@$(MAKE) --no-print-directory test-stores
	@$(MAKE) --no-print-directory test-frameworks
	@$(MAKE) --no-print-directory test-torch

test-stores: .venv-stores/.made minio  ## content and records on a real S3 server, which is killed
	@if [ -x .engines/minio-$(MINIO_VERSION)/minio ]; then \
	  PROML_TEST_PLACES=s3 .venv-stores/bin/python -m pytest tests/stores tests/ports/test_contents.py tests/ports/test_store.py; fi

test-ipfs: $(VENV)/.dev kubo  ## content by real Kubo daemons, which are killed
	@if [ -x .engines/kubo-$(KUBO_VERSION)/ipfs ]; then \
	  PROML_TEST_PLACES=kubo $(BIN)/python -m pytest tests/stores/test_kubo.py tests/ports/test_contents.py; fi

test-frameworks: .venv-frameworks/.made  ## the tests with MLflow, DVC, XGBoost, Keras and other frameworks
	@.venv-frameworks/bin/python -m pytest -n 2 tests/frameworks

test-torch: .venv-torch/.made  ## the tests with PyTorch, Lightning and Transformers (3 minutes and 6 GB to set up)
	@.venv-torch/bin/python -m pytest tests/torch

# The newest other interpreter runs them all; one in between runs what depends most on the interpreter.
test-interpreters: $(VENV)/.dev  ## the quick Python tests on every other interpreter of 3.11, 3.12, 3.13 that is present
	@set -e; set -- $$(tools/interpreters others $(BIN)/python); \
	while [ $$# -gt 1 ]; do tools/test-with "$$1" tests/capture tests/core tests/ports; shift; done; \
	[ $$# -eq 0 ] || tools/test-with "$$1"

.PHONY: solc
solc:  ## the contracts' compiler and what runs their tests, into contracts/node_modules
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory contracts/node_modules/.made; \
	else tools/left-out contracts "npm is not installed"; fi

# The compiler works on one core for minutes; the quick Python tests go beside it.
test-solidity:  ## everything about the contracts: their tests, Slither, and the proofs
	@$(MAKE) --no-print-directory test-contracts
	@$(MAKE) --no-print-directory slither
	@$(MAKE) --no-print-directory symbolic

test-contracts:  ## the contracts' own tests
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory contracts/node_modules/.made && \
	  cd contracts && node build.mjs --check && node forge.mjs test --offline && node fuzz.mjs; \
	else tools/left-out contracts "npm is not installed"; fi

symbolic:  ## prove the contracts' laws for all values, with Halmos
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory contracts/node_modules/.made .venv-contracts/.made && \
	  cd contracts && node prove.mjs; \
	else tools/left-out symbolic "npm is not installed"; fi

slither:  ## have Slither read the contracts; fails at what no comment on the line before explains
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory contracts/node_modules/.made .venv-contracts/.made && \
	  cd contracts && node slither.mjs; \
	else tools/left-out slither "npm is not installed"; fi

# ------------------------------------------------------------------------------------------------ what developers run

check: $(VENV)/.dev  ## style, types, structure
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/vulture
	@$(BIN)/python -m tools.documents --check

peers: .venv-peers/.made yprov  ## what `make bench` compares with, into .venv-peers and .venv-yprov

bench: $(VENV)/.dev engines eas peers  ## measure: prints a table, writes bench/out/summary.json
	@$(BIN)/python -m bench $(NAMES)

contracts: contracts/node_modules/.made  ## compile the contracts; writes src/proml/contracts
	@cd contracts && node build.mjs

.PHONY: gas-snapshot
gas-snapshot: $(VENV)/.dev  ## measure the contracts' gas anew; writes contracts/gas.json
	@$(BIN)/python -m bench.gas

fuzz: contracts/node_modules/.made  ## a million calls by everybody: do the contracts' invariants hold?
	@cd contracts && node fuzz.mjs long

mutants: $(VENV)/.dev contracts/node_modules/.made .venv-contracts/.made  ## change the contracts in hundreds of ways; every change must fail a test
	@$(BIN)/python -m tools.mutants

docs: $(VENV)/.dev  ## write the generated parts of the documents anew
	@$(BIN)/python -m tools.documents

lock: $(VENV)/.dev  ## write requirements/*.txt anew
	@tools/lock

clean:  ## remove everything that this file made
	@rm -rf .venv .venv-3.* .venv-frameworks .venv-stores .venv-torch .venv-peers .venv-yprov .venv-contracts .engines .cache contracts/node_modules contracts/out contracts/cache bench/out demo-out
