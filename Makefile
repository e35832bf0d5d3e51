# make run | test | test-slow | test-caps | check | bench | docs | pictures
# ACCELERATOR=gpu (with any target) installs CUDA torch and faiss-gpu, in an environment of its own.

ACCELERATOR ?= cpu
PYTHON ?= python3
# What is installed beside the program; DEV= leaves the tools of development out.
DEV ?= ,dev
VENV := .venv$(if $(filter-out cpu,$(ACCELERATOR)),-$(ACCELERATOR))
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: run install test test-slow test-caps check format bench docs pictures clean
.DEFAULT_GOAL := run

run: install  ## everything at once: generated catalogue, tokenizer, IDs, service and page
	$(BIN)/semid demo --out demo --device $(if $(filter-out cpu,$(ACCELERATOR)),cuda,cpu)

install: $(READY)  ## the environment; made anew only when pyproject.toml or constraints.txt change

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
ifeq ($(ACCELERATOR),cpu)
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[cpu$(DEV)]'
else
	grep --invert-match '^torch==' constraints.txt > $(VENV)/constraints.txt
	$(BIN)/pip install --quiet --constraint $(VENV)/constraints.txt --editable '.[$(ACCELERATOR)$(DEV)]'
endif
	touch $@

test: install  ## the tests, under 10 minutes on two cores, two files side by side
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder

test-slow: install  ## longer proofs on real data; SEMID_DATA names its folder
	$(BIN)/pytest -m slow

test-caps: install  ## the tests as other processors would run them: each instruction set, one thread and two
	$(BIN)/python -m tests.instruction_sets

check: install  ## style, types, images, whether the installed packages fit together, and their known faults
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/hadolint docker/Dockerfile docker/Dockerfile.gpu
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker/compose.yaml
	$(BIN)/pip check
	$(BIN)/python -m tests.audit

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install  ## measurements on this machine, kept as JSON under bench/
	$(BIN)/python -m tests.bench
	$(BIN)/python -m tests.bench.scale
	SEMID_FIGURES=bench/durability.json $(BIN)/pytest -m slow tests/e2e/test_durability.py

docs: install  ## the documentation as a site, in site/; a dead link ends it
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

pictures: install  ## the pictures of the page and of a report in docs/; needs Chromium
	$(BIN)/semid demo --no-serve --out build/pictures --encoder words --items 1200 --shoppers 300 --steps 200
	$(BIN)/python -m tests.docs.pictures build/pictures

clean:
	rm -rf .venv .venv-* demo build site *.egg-info
