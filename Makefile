# The one place that knows how to build, try and check Chimera. Needs python3 (3.11 or later) and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.installed

.PHONY: help demo test lint soak clean

help:            ## What can be made
	@grep -hE '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Chimera needs Python 3.11 or later; set PYTHON=python3.x")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $(READY)

demo: $(READY)   ## Shadow-trade the embedded world for half a minute
	$(BIN)/chimera-shadow --world embedded --speed 10 --duration 300 --seed 7

test: lint       ## Everything that must hold: lint, types, imports, tests
	$(BIN)/python -m pytest -m 'not system' -n auto --dist loadfile
	$(BIN)/python -m pytest -m system

lint: $(READY)   ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

soak: $(READY)   ## Ten minutes of bursts: the guard must not fire on a trader that works
	CHIMERA_SOAK_SECONDS=600 $(BIN)/python -m pytest tests/system/test_guard_soak.py

clean:           ## Remove the environment and caches
	rm -rf $(VENV) build dist *.egg-info .hypothesis .mypy_cache .ruff_cache
