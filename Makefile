# Everything happens in .venv; a target that needs it makes it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PERFORMANCE := experiments/performance
RAW ?= runs/bench
SCALE ?= cpu

# Of `make reproduce` (experiments/paper/reproduce.py says what each is).
TABLE ?= main
DATA ?= data
MORE ?=
export TABLE SCALE DATA MORE
ifdef SETS
export SETS
endif
export root_of_cardiomegaly root_of_brain_tumor root_of_retinopathy

.DEFAULT_GOAL := help
.PHONY: help setup demo test bench reproduce lint format clean

help: ## Show this help
	@echo "frerec: make TARGET"
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-10s %s\n", $$1, $$2}'

setup: $(STAMP) ## Make the virtual environment and install frerec with its tests and linters

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(STAMP) ## Run the embedded default, minutes on two cores, and print where its report is
	$(BIN)/frerec demo

test: $(STAMP) ## Run the tests
	$(BIN)/python -m pytest

bench: $(STAMP) ## Time the calibration side by side, minutes on two idle cores; SCALE=gpu adds a GPU's
	@mkdir -p $(RAW)
	$(BIN)/python -m pytest $(PERFORMANCE)/bench -n 0 --timeout 600 -q --benchmark-json $(RAW)/cpu.json
ifeq ($(SCALE),gpu)
	$(BIN)/python $(PERFORMANCE)/gpu.py $(RAW)/gpu.json
endif
	$(BIN)/python $(PERFORMANCE)/calibration.py $(RAW)/cpu.json $(PERFORMANCE)/calibration.json \
		$(if $(filter gpu,$(SCALE)),$(RAW)/gpu.json)

reproduce: $(STAMP) ## Run and report a TABLE (main, ablation, sensitivity, dose) at a SCALE (cpu, gpu) on DATA
	@FREREC="$(BIN)/frerec" $(BIN)/python experiments/paper/reproduce.py

lint: $(STAMP) ## Check format, style and types
	$(BIN)/ruff format --check src tests experiments
	$(BIN)/ruff check src tests experiments
	$(BIN)/mypy

format: $(STAMP) ## Format the code and mend what can be mended
	$(BIN)/ruff check --fix src tests experiments
	$(BIN)/ruff format src tests experiments

clean: ## Remove the virtual environment, caches, runs and the store
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis runs store
