# The two commands of the README are `make demo` and `make test`. Each sets up what it needs.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
CONSTRAINTS = requirements/constraints.txt
# What `make quick` runs. It leaves property tests and the files that take most of the time to `make test`.
QUICK = tests/checks tests/expectations tests/test_rooms.py tests/test_text.py tests/test_weight.py \
	tests/test_gates.py tests/test_attempts.py
SLOW = tests/checks/test_changes.py tests/checks/test_completion.py tests/checks/test_damage.py \
	tests/checks/test_evidence_damage.py tests/checks/test_permission_pairs.py tests/checks/test_powershell.py \
	tests/checks/test_sql_properties.py tests/expectations/test_editor_schema.py \
	tests/expectations/test_one_error.py tests/expectations/test_places.py
# One more than the two cores of the smallest machine: the tests of faults wait more than they work.
PROCESSES ?= 3
# Which recordings to record anew; empty means all.
RECORDINGS ?=
# A file of permission pairs to play instead of the kept ones.
PAIRS ?=

HELP = awk -F ':.*  \#\# ' '/^[a-z-]+:.*  \#\# /{printf "  %-16s %s\n", $$1, $$2}' Makefile

.PHONY: help agent-loop demo test test-newest quick check format unit docs record record-traces bench lock screenshots wheel clean permissions-oracle mutants

help:  ## what can be made
	@$(HELP)

$(VENV)/.installed: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e ".[dev]"
	touch $@

demo: $(VENV)/.installed  ## evaluate the example skill on recorded sessions, on a local MLflow store
	$(BIN)/python examples/demo.py

test: check unit wheel test-spark-or-say  ## format, lint, types, imports, tests, wheel, Spark (with Java)

check: $(VENV)/.installed  ## format, lint, strict types, import boundaries, declared dependencies
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/deptry . --no-ansi

quick: $(VENV)/.installed  ## format, lint and the tests that need neither MLflow nor a browser, in half a minute
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/lint-imports --no-cache > /dev/null || $(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -n 2 --dist loadfile -m 'not hypothesis' $(QUICK) $(addprefix --ignore=,$(SLOW))

unit: $(VENV)/.installed  ## the test suite
	$(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder

NEWEST = .venv-newest
TRACE_TESTS = tests/sources tests/parity/test_process_transcript_parity.py tests/newest
test-newest:  ## the trace and Skill Registry tests on the newest MLflow (its wheel alone, where its child packages are missing)
	$(PYTHON) -m venv $(NEWEST)
	$(NEWEST)/bin/python -m pip install --quiet -c $(CONSTRAINTS) -e ".[dev]"
	$(NEWEST)/bin/python -m pip install --quiet --upgrade mlflow || true
	@# Where its child packages are missing pip takes an older release, and says nothing of it.
	$(NEWEST)/bin/python -m pip install --quiet --upgrade --no-deps mlflow
	$(NEWEST)/bin/python -m pip install --quiet python-multipart
	$(NEWEST)/bin/python -c "import mlflow; print('MLflow', mlflow.__version__)"
	$(NEWEST)/bin/python -m pytest -q $(TRACE_TESTS)

.PHONY: test-spark test-spark-or-say
SPARK = .venv-spark
# PySpark asks for an older pandas than MLflow's newest; and executors have to do without MLflow.
$(SPARK)/.installed: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(SPARK)
	grep -v '^pandas' $(CONSTRAINTS) > $(SPARK)/constraints.txt
	$(SPARK)/bin/python -m pip install --quiet --disable-pip-version-check -c $(SPARK)/constraints.txt \
		"pyspark[connect]==4.3.0" "pandas<3" click jsonschema msgspec pytest pyyaml regex sqlglot tree-sitter tree-sitter-bash
	$(SPARK)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

test-spark-or-say:
	@if command -v java > /dev/null; then $(MAKE) test-spark; else \
		echo "=== SPARK WAS NOT TESTED: there is no Java (apt install default-jre-headless) ==="; fi

test-spark: $(SPARK)/.installed  ## Spark and Spark Connect, in an environment without MLflow; needs Java
	$(SPARK)/bin/python -m pytest -q -p no:cacheprovider tests/spark
	SKILLTRACE_SPARK=connect $(SPARK)/bin/python -m pytest -q -p no:cacheprovider tests/spark

wheel: $(VENV)/.installed  ## build the wheel, install it alone, run it
	$(BIN)/python tests/wheel_smoke.py

agent-loop: $(VENV)/.installed  ## run, capture, review, promote, evaluate: Claude Code on a scripted model
	$(BIN)/python -m tests.agent.loop

format: $(VENV)/.installed  ## write the format, mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

record: $(VENV)/.installed  ## record the sessions anew with the real Claude Code CLI
	$(BIN)/python -m tests.recorder.record $(RECORDINGS)

record-traces: $(VENV)/.installed  ## record what MLflow's retired tracer wrote of them
	$(BIN)/python -m tests.recorder.record_traces $(RECORDINGS)

permissions-oracle: $(VENV)/.installed  ## play permission pairs on the real CLI, say where it decides otherwise
	$(BIN)/python -m tests.recorder.permissions_oracle $(PAIRS)

SAMPLE ?= 5
# The data of `make coverage` (.coverage): each mutant is tried on the tests alone that reach it.
REACHED ?=
mutants: $(VENV)/.installed  ## small changes of checks, matching and gates: do the tests notice? (hours; FILES="gates.py")
	$(BIN)/python -m tests.mutation.mutants $(FILES) --sample $(SAMPLE) $(if $(REACHED),--reached $(REACHED))

INPUTS ?= 10000
.PHONY: fuzz
fuzz: $(VENV)/.installed  ## mutated bytes at every parser, guided by coverage (INPUTS for each; TARGETS="shell sql")
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "atheris>=3.0"
	$(BIN)/python -m tests.fuzz.run $(TARGETS) --inputs $(INPUTS)

docs: $(VENV)/.installed  ## write the generated reference pages
	$(BIN)/python -m tests.docs.generate_checks_page
	$(BIN)/python -m tests.docs.generate_reference

.PHONY: site dist coverage test-lowest
site: $(VENV)/.installed  ## build the documents as a site, in build/site
	$(BIN)/python -m mkdocs build --strict

dist: $(VENV)/.installed  ## wheel and sdist of the last commit, reproducibly
	$(BIN)/python .ci/dist.py --outdir dist

MEASURED = checks matching commands sources
BRANCHES ?= 95
coverage: $(VENV)/.installed  ## lines and branches of checks, matching, commands and sources that tests reach (slow)
	$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder --ignore=tests/spark
	$(BIN)/python -m coverage combine --quiet
	@failed=0; for room in $(MEASURED); do $(BIN)/python -m coverage report --skip-covered \
		--include="skilltrace_mlflow/$$room/*" --fail-under=$(BRANCHES) || failed=1; done; exit $$failed

LOWEST = .venv-lowest
# pandas 2.0 was compiled for NumPy 1 and does not say so; without a floor the lowest NumPy is 1.3.0, of Python 2.
LOWEST_TESTS = tests/checks tests/expectations tests/report tests/sources --ignore=tests/report/test_browser.py \
	--ignore=tests/report/test_notebook.py
test-lowest:  ## the tests of the core with the lowest versions that pyproject.toml allows
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct -e . "numpy>=1.26,<2"
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python pytest hypothesis junitparser markdown-it-py xmlschema
	$(LOWEST)/bin/python -m pytest -q $(LOWEST_TESTS)

screenshots: $(VENV)/.installed  ## the pictures in docs/images, made in headless Chromium
	$(BIN)/python -m tests.docs.screenshots

bench: $(VENV)/.installed  ## every benchmark, a few minutes each
	for name in reading checks import driver report; do $(BIN)/python -m benchmarks.bench_$$name || exit 1; done

lock: $(VENV)/.installed  ## pin everything anew
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --universal --python-version 3.10 --extra dev --no-header --no-annotate --no-emit-index-url --no-emit-find-links -o $(CONSTRAINTS) pyproject.toml
	$(BIN)/uv pip compile --universal --python-version 3.10 --no-header --no-annotate --no-emit-index-url --no-emit-find-links -c $(CONSTRAINTS) -o requirements/light.txt requirements/light.in

clean:  ## remove what was made
	rm -rf $(VENV) $(SPARK) $(LOWEST) .venv-interpreters .fuzz build dist .mypy_cache .pytest_cache .ruff_cache demo-output agent-loop-output
