# Every target sets up what it needs on a Linux machine that has Python >= 3.11, make and a network to its
# package registries. Caches live outside the checkout; in it are made only `.venv`, `.local` and what tools keep for
# themselves, all of which git ignores and `make clean` removes.

PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
STAMP  := $(VENV)/.stamp

.DEFAULT_GOAL := help
.PHONY: help demo up down test lint e2e search chaos bench bench-cluster images release crds lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- the environment ------------------------------------------------------------------------------------

$(STAMP): requirements/uv.txt requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "This needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Setting up $(VENV) ..."
	@[ -x $(PY) ] || $(PYTHON) -m venv $(VENV) || { \
	  echo "Python's venv module is missing. On Debian or Ubuntu: apt-get install python3-venv"; exit 1; }
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PY) -m ensurepip >/dev/null
	@$(PY) -m pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@VIRTUAL_ENV=$(VENV) $(VENV)/bin/uv pip install -q --compile-bytecode --require-hashes -r requirements/dev.txt
	@VIRTUAL_ENV=$(VENV) $(VENV)/bin/uv pip install -q --no-deps --no-build-isolation -e .
	@touch $@

# --- use it ---------------------------------------------------------------------------------------------

demo: $(STAMP) ## From nothing to all examples finished, on a control plane of its own
	@$(PY) -m localcluster demo

up: $(STAMP) ## Start control plane, node and operator in the background (.local/kubeconfig)
	@$(PY) -m localcluster up

down: $(STAMP) ## End what `make up` started, and remove it
	@$(PY) -m localcluster down

# --- prove it -------------------------------------------------------------------------------------------

lint: $(STAMP) ## ruff, mypy --strict, and the layers
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy .
	@$(VENV)/bin/lint-imports

test: $(STAMP) ## All tests that need no container, on a real etcd and kube-apiserver
	@$(PY) -m localcluster binaries
	@$(PY) -m pytest -m "not chaos" $(TESTARGS)

e2e: $(STAMP) ## The suite on KUBECONFIG's cluster, or else on a kind cluster of its own
	@$(PY) -m e2e $(E2EARGS)

ROUNDS ?= 10
search: $(STAMP) ## The property tests, ROUNDS times (10), on examples that were not tried before
	@for round in $$(seq $(ROUNDS)); do \
	  HYPOTHESIS_PROFILE=search $(PY) -m pytest -q -m "hypothesis and not chaos" $(TESTARGS) || exit 1; done

chaos: $(STAMP) ## The long kill series
	@$(PY) -m localcluster binaries
	@$(PY) -m pytest -m chaos --timeout 1800 $(TESTARGS)

bench: $(STAMP) ## Measure against named rivals on a real kube-apiserver; writes bench/results
	@$(PY) -m localcluster binaries
	@$(PY) -m bench $(BENCHARGS)

bench-cluster: $(STAMP) ## Measure Bell jobs on real nodes, beside bare Jobs and pods; writes bench/results
	@$(PY) -m e2e --bench $(BENCHARGS)

# --- make it --------------------------------------------------------------------------------------------

images: $(STAMP) ## Build the three images with docker, podman or buildah
	@$(PY) -m deploy.images $(IMAGEARGS)

crds: $(STAMP) ## Write deploy/crds and docs/reference from the models
	@$(PY) -m api.crds
	@$(PY) -m api.reference

release: $(STAMP) ## Render this version's install manifest into deploy/releases
	@mkdir -p deploy/releases
	@kubectl=$$($(PY) -m localcluster binaries | grep '/kubectl$$') && \
	  file=deploy/releases/v$$($(PY) -c 'from messages.version import VERSION; print(VERSION)').yaml && \
	  $$kubectl kustomize deploy/overlays/default > $$file.new && mv $$file.new $$file && echo $$file

LOCK := $(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --no-emit-find-links --no-header --no-annotate
lock: $(STAMP) ## Renew the hashed requirements of every image and of the development environment
	@for e in controller executor validation; do $(LOCK) pyproject.toml --extra $$e -o requirements/$$e.txt; done
	@$(LOCK) pyproject.toml --extra controller --extra executor --extra validation --extra local --extra dev \
	  -o requirements/dev.txt
	@echo 'uv>=0.9' | $(LOCK) - -o requirements/uv.txt
	@for f in requirements/*.txt; do sed -i '1i # Made by `make lock` from pyproject.toml; do not edit.' $$f; done

clean: down ## Remove what the targets made in this checkout
	@rm -rf $(VENV) .local .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
