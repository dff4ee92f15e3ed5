# `make demo` and `make test` set up what they need in .venv, once, and then work offline.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --quiet

# Python keeps what it compiled: the tests start hundreds of processes.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check lint types coverage test-httpx2 test-lowest test-package test-pythons test-sdks test-engines bench bench-readme pictures man clean

demo: $(READY)  ## a completion with no key and no network
	$(BIN)/writer complete --sandbox "Once upon a time"

test: $(READY)  ## the whole suite, on every core, in any order
	$(BIN)/python -m pytest -n auto --dist worksteal -q

check: lint types coverage test-sdks test-package  ## all checks of a change except `make test`

lint: $(READY)  ## style and common mistakes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)  ## strict type checks
	$(BIN)/mypy writer_cli tests

coverage: $(READY)  ## the suite, with 100 % branch coverage
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n auto --dist worksteal -q
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

test-lowest:  ## the suite with the oldest dependencies that pyproject.toml allows
	$(MAKE) VENV=.venv-lowest .venv-lowest/.ready
	.venv-lowest/bin/python -m pip install -q $$(.venv-lowest/bin/python tests/lowest.py pyproject.toml)
	.venv-lowest/bin/python -m pytest -n auto --dist worksteal -q

test-pythons:  ## the suite with each Python that pyproject.toml names, where it is at hand
	$(PYTHON) tests/pythons.py

test-package: $(READY)  ## what is built and installed as users do it: wheel, sources, Dockerfile, action.yml
	$(BIN)/python tests/package.py

test-httpx2:  ## the suite with httpx2, the successor of httpx, in its place
	$(MAKE) VENV=.venv-httpx2 .venv-httpx2/.ready
	.venv-httpx2/bin/python -m pip install -q httpx2
	echo 'import httpx2; httpx2.alias_httpx()' > \
	  "$$(.venv-httpx2/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/alias_httpx.pth"
	.venv-httpx2/bin/python -m pytest -n auto -q -W ignore::pytest.PytestAssertRewriteWarning \
	  -k "not loads_only_what_it_uses"  # httpx2 is loaded in every process here

test-sdks: $(READY)  ## Writer's own SDKs against `writer sandbox`, where they can be had
	$(BIN)/python -m tests.sdks.run

test-engines: $(READY)  ## vLLM and llama.cpp's server, where they can be had; ENGINES="llama.cpp"
	$(BIN)/python -m tests.engines.run $(ENGINES)

.PHONY: lock audit fuzz mutants
lock: $(READY)  ## choose the newest versions for requirements-dev.txt, and list the licences
	$(BIN)/python -m tests.lock
	$(MAKE) $(READY)
	$(BIN)/python -m tests.licences

audit: $(READY)  ## fail if a version in requirements-dev.txt is known to be vulnerable
	$(BIN)/python -m tests.audit

fuzz: $(READY)  ## random input with fresh seeds; MINUTES=10 PROPERTIES="stream config"
	$(BIN)/python -m tests.fuzz.run $(or $(MINUTES),10) $(PROPERTIES)

mutants: $(READY)  ## change the code and see which tests notice; ROOMS="http apis" SAMPLE=100 SEED=1
	$(BIN)/python -m tests.mutants.run --rooms "$(or $(ROOMS),apis config http batch)" \
	  --sample $(or $(SAMPLE),100) --seed $(or $(SEED),1)

.PHONY: attacks
attacks: $(READY)  ## every case of the attacks, of which the suite tries a part
	ATTACKS=all $(BIN)/python -m pytest -n auto -q tests/attacks

bench: $(READY)  ## the benchmark; ROWS="startup batch" RUNS=15 GROWTH=1000000
	$(BIN)/python -m bench --rows "$(ROWS)" --runs $(or $(RUNS),15) --growth $(or $(GROWTH),50000)

bench-readme: $(READY)  ## write the table of the last `make bench` into bench/README.md
	$(BIN)/python -m bench --write-readme

pictures: $(READY)  ## draw the pictures of the terminal in the documents again, from real runs
	$(BIN)/python -m tests.harness.pictures

man: $(READY)  ## write the man pages again, from the texts of the help
	$(BIN)/python -m tests.harness.man_pages

clean:  ## delete everything that these targets created
	rm -rf .venv .venv-* .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis

# Exactly what requirements-dev.txt names, checked against its hashes; then the checkout itself.
$(READY): pyproject.toml requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "writer needs Python 3.11 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
	  [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	  apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -yq python3-venv; } || \
	  { echo "python3 cannot make virtual environments yet: sudo apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) --no-deps --require-hashes --requirement requirements-dev.txt
	$(PIP) --no-deps --no-build-isolation --editable .
	@# Compiles the tests once: in a first run, each worker would compile all of them.
	@$(BIN)/python -m pytest --collect-only -qq >/dev/null || :
	@touch $@
