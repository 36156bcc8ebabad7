# Two commands do everything on a fresh machine with Python 3.11: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test check bench chaos format clean

demo: $(STAMP)            ## play a B2B site for 60 simulated days, kill a worker, prove that nothing was lost
	@$(BIN)/leadstream demo $(ARGS)

test: $(STAMP)            ## every test; what a missing tool leaves out is named at the end
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

check: $(STAMP)           ## formatting, lint, types, import rules, dependencies, compose file
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pip check
	@if [ -f docker-compose.yml ]; then $(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml; fi

bench: $(STAMP)           ## print the numbers of docs/performance.md
	@$(BIN)/python -m tests.bench $(ARGS)

chaos: $(STAMP)           ## real processes on Apache Kafka under faults: SECONDS=180 SEED=1
	@$(BIN)/python -m tests.chaos --seconds $(or $(SECONDS),180) --seed $(or $(SEED),1) $(ARGS)

format: $(STAMP)
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("leadstream needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Say: make PYTHON=python3.11 ...") if sys.version_info < (3, 11) else None'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
